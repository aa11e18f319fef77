/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "record/build.h"

#include "record/crc32c.h"
#include "record/varint.h"

/*
 * A record begins with its own length, which depends on the sizes of the varints behind it.
 * Computing those first would cost more than writing them, so the fields go down at once behind as
 * many bytes as the length will need, as told from key, value and headers alone; only when the
 * other varints push it over a power of 128 is the little that was written moved up by one byte.
 */

size_t ferry_build_fields_max(const struct ferry_build_field *fields, int32_t count)
{
    size_t n = 0;
    for (int32_t i = 0; i < count; i++)
        n += FERRY_BUILD_FIELD_MAX + fields[i].key.len + fields[i].value.len;
    return n;
}

static size_t fields_size(const struct ferry_build_record *r)
{
    size_t n = 0;
    for (int32_t i = 0; i < r->field_count; i++) {
        const struct ferry_build_field *f = &r->fields[i];
        n += ferry_varint_size((uint64_t)f->key.len << 1) + f->key.len;
        n += f->value.data ? ferry_varint_size((uint64_t)f->value.len << 1) + f->value.len : 1;
    }
    return n;
}

static uint8_t *put_bytes(uint8_t *p, struct ferry_bytes b)
{
    if (!b.data) {
        *p = 1;
        return p + 1;
    }
    p = ferry_varint_put(p, (uint64_t)b.len << 1);
    memcpy(p, b.data, b.len);
    return p + b.len;
}

static uint8_t *put_fields(uint8_t *p, const struct ferry_build_record *r)
{
    p = ferry_varint_put(p, (uint64_t)r->field_count << 1);
    for (int32_t i = 0; i < r->field_count; i++) {
        const struct ferry_build_field *f = &r->fields[i];
        p = ferry_varint_put(p, (uint64_t)f->key.len << 1);
        if (f->key.len)
            memcpy(p, f->key.data, f->key.len);
        p = put_bytes(p + f->key.len, f->value);
    }
    return p;
}

/* Everything up to the value's bytes; the place where those belong. */
static inline uint8_t *put_head(uint8_t *at, const struct ferry_build_record *r, uint64_t time,
                                uint32_t offset, size_t tail)
{
    /* `tail` is what follows the value; attributes and four varints take 5 bytes at least. */
    size_t lower = r->key.len + r->value.len + tail + 5;
    unsigned width = lower < 64 ? 1 : lower < 8192 ? 2 : ferry_varint_size((uint64_t)lower << 1);
    uint8_t *body = at + width, *p = body;
    *p++ = 0;
    p = ferry_varint_put(p, time);
    p = ferry_varint_put(p, offset);
    p = put_bytes(p, r->key);
    p = r->value.data ? ferry_varint_put(p, (uint64_t)r->value.len << 1) : ferry_varint_put(p, 1);
    uint64_t length = (uint64_t)((size_t)(p - body) + r->value.len + tail) << 1;
    uint8_t *length_end = ferry_varint_put(at, length);
    if (__builtin_expect(length_end != body, 0)) {
        size_t head = (size_t)(p - body);
        memmove(body + 1, body, head); /* the length has overwritten the attributes */
        body[1] = 0;
        p++;
    }
    return p;
}

uint8_t *ferry_build_record_reserve(uint8_t *at, const struct ferry_build_record *r,
                                    int64_t timestamp_delta, int32_t offset_delta,
                                    uint8_t **value_at)
{
    uint64_t time = ferry_varint_zigzag64(timestamp_delta);
    uint32_t offset = ferry_varint_zigzag32(offset_delta);
    size_t tail = 1;
    if (__builtin_expect(r->field_count > 0, 0))
        tail = ferry_varint_size((uint64_t)r->field_count << 1) + fields_size(r);
    uint8_t *p = put_head(at, r, time, offset, tail);
    *value_at = p;
    p += r->value.len;
    if (__builtin_expect(r->field_count > 0, 0))
        return put_fields(p, r);
    *p = 0;
    return p + 1;
}

uint8_t *ferry_build_record(uint8_t *at, const struct ferry_build_record *r,
                            int64_t timestamp_delta, int32_t offset_delta)
{
    uint8_t *value_at;
    uint8_t *end = ferry_build_record_reserve(at, r, timestamp_delta, offset_delta, &value_at);
    if (r->value.len)
        memcpy(value_at, r->value.data, r->value.len);
    return end;
}

void ferry_build_header(uint8_t *batch, const struct ferry_build_header *h, size_t size)
{
    ferry_put64(batch, (uint64_t)h->base_offset);
    ferry_put32(batch + 8, (uint32_t)(size - FERRY_BATCH_PREFIX));
    ferry_put32(batch + 12, (uint32_t)h->leader_epoch);
    batch[16] = 2;
    ferry_put32(batch + 17, 0);
    ferry_put16(batch + 21, h->attributes);
    ferry_put32(batch + 23, (uint32_t)h->last_offset_delta);
    ferry_put64(batch + 27, (uint64_t)h->base_timestamp);
    ferry_put64(batch + 35, (uint64_t)h->max_timestamp);
    ferry_put64(batch + 43, (uint64_t)h->producer_id);
    ferry_put16(batch + 51, (uint16_t)h->producer_epoch);
    ferry_put32(batch + 53, (uint32_t)h->base_sequence);
    ferry_put32(batch + 57, (uint32_t)h->count);
}

void ferry_build_crc(uint8_t *batch, size_t size)
{
    ferry_put32(batch + 17,
                ferry_crc32c(0, batch + FERRY_BATCH_CRC_FROM, size - FERRY_BATCH_CRC_FROM));
}

void ferry_build_crc_parts(uint8_t *batch, const struct ferry_bytes *parts, size_t count)
{
    uint32_t crc =
        ferry_crc32c(0, batch + FERRY_BATCH_CRC_FROM, FERRY_BATCH_HEADER - FERRY_BATCH_CRC_FROM);
    for (size_t i = 0; i < count; i++)
        crc = ferry_crc32c(crc, parts[i].data, parts[i].len);
    ferry_put32(batch + 17, crc);
}

void ferry_build_marker(uint8_t batch[FERRY_BUILD_MARKER_SIZE], enum ferry_batch_control type,
                        int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
                        int64_t wall)
{
    uint8_t key[4], value[6];
    ferry_put16(key, 0);
    ferry_put16(key + 2, (uint16_t)type);
    ferry_put16(value, 0);
    ferry_put32(value + 2, (uint32_t)coordinator_epoch);
    struct ferry_build_record r = {.key = {key, sizeof key}, .value = {value, sizeof value}};
    struct ferry_build_header h = {.base_timestamp = wall,
                                   .max_timestamp = wall,
                                   .producer_id = producer_id,
                                   .producer_epoch = producer_epoch,
                                   .leader_epoch = -1,
                                   .base_sequence = -1,
                                   .count = 1,
                                   .attributes = FERRY_BATCH_TRANSACTIONAL | FERRY_BATCH_CONTROL};
    ferry_build_record(batch + FERRY_BATCH_HEADER, &r, 0, 0);
    ferry_build_header(batch, &h, FERRY_BUILD_MARKER_SIZE);
    ferry_build_crc(batch, FERRY_BUILD_MARKER_SIZE);
}
