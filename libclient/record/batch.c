/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "record/batch.h"

#include "base/err.h"
#include "record/crc32c.h"
#include "record/legacy.h"

/*
 * The header of a batch: parsed, checked, patched. Layout of version 2 (offset/size):
 *
 *   base offset 0/8  length 8/4  leader epoch 12/4  magic 16/1  crc 17/4  attributes 21/2  last
 * delta 23/4 base time 27/8  max time 35/8  producer id 43/8  producer epoch 51/2  base sequence
 * 53/4  count 57/4
 *
 * 1. After ferry_batch_parse succeeded, [data, data + size) lies inside what was handed in, and
 * records inside that.
 * 2. base_offset >= 0, last_offset >= base_offset (or equal), and neither overflows; 0 <= count <=
 * their distance + 1.
 */
enum { MIN_LEGACY_BODY = 14 }; /* crc, magic, attributes, two lengths */

int64_t ferry_batch_claimed_size(const void *data, size_t len)
{
    if (len < FERRY_BATCH_PREFIX)
        return 0;
    int32_t body = (int32_t)ferry_get32((const uint8_t *)data + 8);
    return body < MIN_LEGACY_BODY ? -1 : (int64_t)body + FERRY_BATCH_PREFIX;
}

static void load_header(struct ferry_batch *b, const uint8_t *p)
{
    b->base_offset = (int64_t)ferry_get64(p);
    b->leader_epoch = (int32_t)ferry_get32(p + 12);
    b->crc = ferry_get32(p + 17);
    b->attributes = ferry_get16(p + 21);
    b->base_timestamp = (int64_t)ferry_get64(p + 27);
    b->max_timestamp = (int64_t)ferry_get64(p + 35);
    b->producer_id = (int64_t)ferry_get64(p + 43);
    b->producer_epoch = (int16_t)ferry_get16(p + 51);
    b->base_sequence = (int32_t)ferry_get32(p + 53);
    b->count = (int32_t)ferry_get32(p + 57);
    b->records = (struct ferry_bytes){p + FERRY_BATCH_HEADER, b->size - FERRY_BATCH_HEADER};
}

static int parse_v2(struct ferry_batch *b, struct ferry_error *err)
{
    if (b->size < FERRY_BATCH_HEADER)
        return ferry_fail(err, FERRY_E_PROTOCOL,
                          "batch at offset %lld: %zu bytes are less than the header's 61",
                          (long long)ferry_get64(b->data), b->size);
    load_header(b, b->data);
    int32_t delta = (int32_t)ferry_get32(b->data + 23);
    if (b->base_offset < 0 || delta < 0 || b->base_offset > INT64_MAX - 1 - delta)
        return ferry_fail(
            err, FERRY_E_PROTOCOL,
            "batch at offset %lld: base offset and last offset delta %d are out of range",
            (long long)b->base_offset, (int)delta);
    b->last_offset = b->base_offset + delta;
    if (b->count < 0 || (int64_t)b->count > (int64_t)delta + 1)
        return ferry_fail(err, FERRY_E_PROTOCOL,
                          "batch at offset %lld: %d records cannot fill offset deltas 0 to %d",
                          (long long)b->base_offset, (int)b->count, (int)delta);
    return 0;
}

int ferry_batch_parse(const void *data, size_t len, struct ferry_batch *b, struct ferry_error *err)
{
    const uint8_t *p = data;
    int64_t size = ferry_batch_claimed_size(p, len);
    if (size < 0)
        return ferry_fail(err, FERRY_E_PROTOCOL,
                          "batch at offset %lld: a length of %d is less than any batch has",
                          (long long)ferry_get64(p), (int)ferry_get32(p + 8));
    b->data = p;
    b->size = (size_t)size;
    if (len < FERRY_BATCH_PEEK || (size_t)size > len)
        return FERRY_E_AGAIN;
    b->magic = p[16];
    if (b->magic == 2)
        return parse_v2(b, err);
    if (b->magic < 2)
        return ferry_legacy_parse(b, err);
    return ferry_fail(err, FERRY_E_UNSUPPORTED,
                      "batch at offset %lld: format version %u is unknown; 0 to 2 can be read",
                      (long long)ferry_get64(p), (unsigned)b->magic);
}

int ferry_batch_check_crc(const struct ferry_batch *b, struct ferry_error *err)
{
    uint32_t crc = b->magic < 2 ? ferry_legacy_crc(b)
                                : ferry_crc32c(0, b->data + FERRY_BATCH_CRC_FROM,
                                               b->size - FERRY_BATCH_CRC_FROM);
    if (crc == b->crc)
        return 0;
    return ferry_fail(err, FERRY_E_CRC,
                      "batch at offset %lld: checksum is %08x, its %zu bytes give %08x",
                      (long long)b->base_offset, (unsigned)b->crc, b->size, (unsigned)crc);
}

void ferry_batch_set_init(struct ferry_batch_set *set, struct ferry_bytes bytes)
{
    set->start = set->at = bytes.data;
    set->end = bytes.data ? bytes.data + bytes.len : NULL;
    set->truncated = set->wanted = 0;
}

int ferry_batch_set_next(struct ferry_batch_set *set, struct ferry_batch *b,
                         struct ferry_error *err)
{
    if (set->at == set->end)
        return 0;
    int rc = ferry_batch_parse(set->at, (size_t)(set->end - set->at), b, err);
    if (rc == FERRY_E_AGAIN) {
        set->truncated = (size_t)(set->end - set->at);
        set->wanted = b->size;
        return 0;
    }
    if (rc < 0)
        return rc;
    set->at += b->size;
    return 1;
}

/* ---- what a client may produce ---- */

static int check_producer(const struct ferry_batch *b, struct ferry_error *err)
{
    bool has_id = b->producer_id >= 0;
    if (b->producer_id < -1 || (has_id && (b->producer_epoch < 0 || b->base_sequence < 0)) ||
        (!has_id && ferry_batch_is_transactional(b)))
        return ferry_fail(err, FERRY_E_INVALID,
                          "producer id %lld with epoch %d, sequence %d%s is not a valid identity",
                          (long long)b->producer_id, (int)b->producer_epoch, (int)b->base_sequence,
                          ferry_batch_is_transactional(b) ? " in a transaction" : "");
    return 0;
}

static int check_content(const struct ferry_batch *b, struct ferry_error *err)
{
    if (b->count < 1 || b->count != b->last_offset - b->base_offset + 1)
        return ferry_fail(err, FERRY_E_INVALID,
                          "a produced batch of %d records has the last offset delta %lld",
                          (int)b->count, (long long)(b->last_offset - b->base_offset));
    if (ferry_batch_is_control(b))
        return ferry_fail(err, FERRY_E_INVALID, "a client may not produce a control batch");
    if (ferry_batch_codec(b) > 4)
        return ferry_fail(err, FERRY_E_INVALID, "codec %d is unknown", ferry_batch_codec(b));
    if (b->attributes & FERRY_BATCH_LOG_APPEND_TIME)
        return ferry_fail(err, FERRY_E_INVALID, "a client may not set the LogAppendTime bit");
    return check_producer(b, err);
}

int ferry_batch_check_produced(struct ferry_bytes set, struct ferry_batch *b,
                               struct ferry_error *err)
{
    if (!set.data || set.len < FERRY_BATCH_PEEK)
        return ferry_fail(err, FERRY_E_PROTOCOL, "%zu bytes are not a record batch", set.len);
    if (set.data[16] != 2)
        return ferry_fail(err, FERRY_E_UNSUPPORTED,
                          "records in format version %u; a producer must send version 2",
                          (unsigned)set.data[16]);
    b->size = 0;
    int rc = ferry_batch_parse(set.data, set.len, b, err);
    if (rc == FERRY_E_PROTOCOL && b->size == set.len && b->size >= FERRY_BATCH_HEADER &&
        ferry_batch_check_crc(b, NULL) == 0)
        return FERRY_E_INVALID; /* it came as it was meant: sent again it is no better */
    if (rc == FERRY_E_AGAIN)
        return ferry_fail(err, FERRY_E_PROTOCOL, "the batch claims %zu bytes of %zu", b->size,
                          set.len);
    if (rc < 0)
        return rc;
    if (b->size != set.len)
        return ferry_fail(err, FERRY_E_INVALID,
                          "%zu bytes follow the batch; one batch per partition is allowed",
                          set.len - b->size);
    rc = ferry_batch_check_crc(b, err);
    return rc < 0 ? rc : check_content(b, err);
}

/* ---- patches under the CRC ---- */

static uint32_t header_crc(const uint8_t *batch)
{
    return ferry_crc32c(0, batch + FERRY_BATCH_CRC_FROM, FERRY_BATCH_HEADER - FERRY_BATCH_CRC_FROM);
}

/* A change in the header changes the CRC by that change moved behind the records, whatever they
 * are. */
static void carry_crc(uint8_t *batch, size_t size, uint32_t before)
{
    uint32_t change = before ^ header_crc(batch);
    uint32_t crc = ferry_get32(batch + 17);
    ferry_put32(batch + 17, crc ^ ferry_crc32c_shift(change, size - FERRY_BATCH_HEADER));
}

void ferry_batch_patch_append_time(uint8_t *batch, size_t size, int64_t wall)
{
    uint32_t before = header_crc(batch);
    ferry_put16(batch + 21, ferry_get16(batch + 21) | FERRY_BATCH_LOG_APPEND_TIME);
    ferry_put64(batch + 35, (uint64_t)wall);
    carry_crc(batch, size, before);
}

void ferry_batch_patch_max_timestamp(uint8_t *batch, size_t size, int64_t max_timestamp)
{
    uint32_t before = header_crc(batch);
    ferry_put64(batch + 35, (uint64_t)max_timestamp);
    carry_crc(batch, size, before);
}

void ferry_batch_patch_producer(uint8_t *batch, size_t size, int64_t id, int16_t epoch,
                                int32_t sequence, bool transactional)
{
    uint32_t before = header_crc(batch);
    uint16_t attributes = ferry_get16(batch + 21) & (uint16_t)~FERRY_BATCH_TRANSACTIONAL;
    ferry_put16(batch + 21, attributes | (transactional ? FERRY_BATCH_TRANSACTIONAL : 0));
    ferry_put64(batch + 43, (uint64_t)id);
    ferry_put16(batch + 51, (uint16_t)epoch);
    ferry_put32(batch + 53, (uint32_t)sequence);
    carry_crc(batch, size, before);
}
