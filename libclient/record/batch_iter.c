/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "record/batch.h"

#include "base/err.h"
#include "record/batch_next.h"
#include "record/legacy.h"
#include "record/varint.h"

/*
 * The records of one batch, decoded in place. A record:
 *
 *   varint length  int8 attributes  varint time delta (64 bit)  varint offset delta  key  value
 * varint header count headers: key (never null), value     each key and value: varint length (-1
 * null), bytes
 *
 * Two decoders of the same thing, the fast one in batch_next.h, the careful one here:
 *
 * 1. The fast one, for a record that is to be yielded, ends SLACK bytes or more before the end of the buffer, and has no
 *    varint longer than four bytes. Its length is checked once, then varints are read without a bound, since one that
 *    begins inside the record ends inside the slack. It calls nothing, so it keeps all in registers; whatever it finds
 *    odd it leaves to the other.
 * 2. The careful one checks every read, leaves out records below the window, and words the errors. It alone decides what
 *    is malformed.
 */
enum { SLACK = 32 }; /* attributes 1, five varints of up to 4 bytes, with some to spare */

static uint32_t clamp(int64_t v, int64_t base, uint32_t max)
{
    return v <= base ? 0 : (uint64_t)v - (uint64_t)base > max ? max : (uint32_t)(v - base);
}

int ferry_batch_iter_init(struct ferry_batch_iter *it, const struct ferry_batch *b,
                          struct ferry_bytes records, int64_t from, int64_t upto,
                          struct ferry_error *err)
{
    bool append_time = (b->attributes & FERRY_BATCH_LOG_APPEND_TIME) != 0;
    it->at = it->start = records.data ? records.data : b->data;
    it->end = it->at + records.len;
    it->base_offset = b->base_offset;
    it->base_timestamp = append_time ? b->max_timestamp : b->base_timestamp;
    it->timestamp_mask = append_time ? 0 : -1;
    it->from = from < 0 ? 0 : from;
    it->upto = upto;
    it->count = b->count;
    it->left = b->count < 0 ? 0 : (uint32_t)b->count;
    it->next_delta = 0;
    it->max_delta = (uint32_t)(b->last_offset - b->base_offset);
    it->high = clamp(upto, b->base_offset, it->max_delta + 1);
    it->low = it->first = clamp(from, b->base_offset, it->high);
    bool any = b->count > 0 && it->low < it->high && records.len > SLACK;
    it->fast = any ? it->end - SLACK : it->start;
    it->magic = b->magic;
    return b->magic < 2 ? ferry_legacy_iter_init(it, b, err) : 0;
}

static int bad(const struct ferry_batch_iter *it, const char *what, struct ferry_error *err)
{
    return ferry_fail(err, FERRY_E_PROTOCOL,
                      "batch at offset %lld: record %d of %d (byte %lld of the records): %s",
                      (long long)it->base_offset, it->count - (int32_t)it->left, it->count,
                      (long long)(it->at - it->start), what);
}

static const uint8_t *take_bytes(const uint8_t *p, const uint8_t *stop, struct ferry_bytes *out)
{
    int32_t len;
    p = ferry_varint_get32(p, stop, &len);
    if (!p || len < -1 || len > stop - p)
        return NULL;
    *out = len < 0 ? (struct ferry_bytes){NULL, 0} : (struct ferry_bytes){p, (size_t)len};
    return len < 0 ? p : p + len;
}

/* The fields between [p, stop), which is all of a record behind its length; *delta is its offset
 * delta. */
static int decode_body(struct ferry_batch_iter *it, const uint8_t *p, const uint8_t *stop,
                       struct ferry_batch_record *r, int32_t *delta, struct ferry_error *err)
{
    int64_t time_delta;
    if (p == stop)
        return bad(it, "it is empty", err);
    p = ferry_varint_get64(p + 1, stop, &time_delta);
    if (!p)
        return bad(it, "its timestamp delta is malformed", err);
    p = ferry_varint_get32(p, stop, delta);
    if (!p)
        return bad(it, "its offset delta is malformed", err);
    uint32_t floor = it->low > it->first ? it->low : it->next_delta;
    if (*delta < 0 || (uint32_t)*delta < floor || (uint32_t)*delta > it->max_delta)
        return bad(it, "its offset delta does not rise within the batch's", err);
    p = take_bytes(p, stop, &r->key);
    if (!p)
        return bad(it, "its key does not fit", err);
    p = take_bytes(p, stop, &r->value);
    if (!p)
        return bad(it, "its value does not fit", err);
    p = ferry_varint_get32(p, stop, &r->header_count);
    if (!p || r->header_count < 0 || r->header_count > (stop - p) / 2)
        return bad(it, "its header count is malformed", err);
    if (r->header_count == 0 && p != stop)
        return bad(it, "it is longer than its fields", err);
    r->headers = (struct ferry_bytes){r->header_count ? p : NULL, (size_t)(stop - p)};
    r->offset = it->base_offset + *delta;
    r->timestamp =
        (int64_t)((uint64_t)it->base_timestamp + (uint64_t)(time_delta & it->timestamp_mask));
    return 0;
}

static int stop_early(struct ferry_batch_iter *it)
{
    it->at = it->end;
    it->left = 0;
    return 0;
}

int ferry_batch_iter_next_careful(struct ferry_batch_iter *it, struct ferry_batch_record *r,
                                  struct ferry_error *err)
{
    if (it->magic < 2)
        return ferry_legacy_iter_next(it, r, err);
    while (it->left > 0) {
        int32_t len, delta;
        const uint8_t *p = ferry_varint_get32(it->at, it->end, &len);
        if (!p || len < 0 || len > it->end - p)
            return bad(it, "its length does not fit", err);
        int rc = decode_body(it, p, p + len, r, &delta, err);
        if (rc < 0)
            return rc;
        if (r->offset >= it->upto)
            return stop_early(it);
        it->at = p + len;
        it->next_delta = (uint32_t)delta + 1;
        if (r->offset >= it->from) {
            ferry_batch_iter_advance(it, (uint32_t)delta);
            return 1;
        }
        it->left--;
    }
    return it->at == it->end ? 0 : bad(it, "bytes are left over behind it", err);
}

int ferry_batch_iter_next(struct ferry_batch_iter *it, struct ferry_batch_record *r,
                          struct ferry_error *err)
{
    return ferry_batch_iter_next_inline(it, r, err);
}

int ferry_batch_headers_next(struct ferry_batch_headers *h, struct ferry_batch_header *out,
                             struct ferry_error *err)
{
    if (h->left <= 0)
        return h->at == h->end ? 0
                               : ferry_fail(err, FERRY_E_PROTOCOL,
                                            "%lld bytes are left over behind a record's headers",
                                            (long long)(h->end - h->at));
    struct ferry_bytes key;
    const uint8_t *p = take_bytes(h->at, h->end, &key);
    if (!p || !key.data)
        return ferry_fail(err, FERRY_E_PROTOCOL, "a record header's key is %s",
                          p ? "null" : "malformed");
    p = take_bytes(p, h->end, &out->value);
    if (!p)
        return ferry_fail(err, FERRY_E_PROTOCOL, "a record header's value is malformed");
    out->key = (struct ferry_str){(const char *)key.data, key.len};
    h->at = p;
    h->left--;
    return 1;
}
