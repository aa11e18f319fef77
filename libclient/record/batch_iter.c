/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "record/batch.h"

#include "base/err.h"
#include "record/legacy.h"
#include "record/varint.h"

/*
 * The records of one batch, decoded in place. A record:
 *
 *   varint length  int8 attributes  varint time delta (64 bit)  varint offset delta  key  value
 * varint header count headers: key (never null), value     each key and value: varint length (-1
 * null), bytes
 *
 * Two decoders of the same thing:
 *
 * 1. The fast one, for a record that ends SLACK bytes or more before the end of the buffer: the
 * length is checked once, then varints are read without a bound, since a varint that begins inside
 * the record ends inside the slack. Whatever it finds odd it leaves to the other.
 * 2. The careful one checks every read, and words the errors. It alone decides what is malformed.
 */
enum {
    SLACK = 32
}; /* attributes 1, four varints of up to 5 bytes, one of up to 10, with 1 to spare */

int ferry_batch_iter_init(struct ferry_batch_iter *it, const struct ferry_batch *b,
                          struct ferry_bytes records, int64_t from, int64_t upto,
                          struct ferry_error *err)
{
    bool append_time = (b->attributes & FERRY_BATCH_LOG_APPEND_TIME) != 0;
    it->at = it->start = records.data ? records.data : b->data;
    it->end = it->at + records.len;
    it->fast = records.len > SLACK ? it->end - SLACK : it->at;
    it->base_offset = b->base_offset;
    it->base_timestamp = append_time ? b->max_timestamp : b->base_timestamp;
    it->timestamp_mask = append_time ? 0 : -1;
    it->from = from < 0 ? 0 : from;
    it->upto = upto;
    it->count = it->left = b->count;
    it->next_delta = 0;
    it->max_delta = (int32_t)(b->last_offset - b->base_offset);
    it->magic = b->magic;
    return b->magic < 2 ? ferry_legacy_iter_init(it, b, err) : 0;
}

/* ---- the careful decoder ---- */

static int bad(const struct ferry_batch_iter *it, const char *what, struct ferry_error *err)
{
    return ferry_fail(err, FERRY_E_PROTOCOL,
                      "batch at offset %lld: record %d of %d (byte %lld of the records): %s",
                      (long long)it->base_offset, it->count - it->left, it->count,
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
    if (*delta < it->next_delta || *delta > it->max_delta)
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
    r->headers = (struct ferry_bytes){p, (size_t)(stop - p)};
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

static int next_careful(struct ferry_batch_iter *it, struct ferry_batch_record *r,
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
        it->left--;
        it->next_delta = delta + 1;
        if (r->offset >= it->from)
            return 1;
    }
    return it->at == it->end ? 0 : bad(it, "bytes are left over behind it", err);
}

/* ---- the fast decoder ---- */

static __attribute__((noinline)) const uint8_t *take_long(const uint8_t *p, uint32_t *v)
{
    int32_t n;
    p = ferry_varint_get32(p, p + 5, &n);
    *v = p ? ferry_varint_zigzag32(n) : 0;
    return p;
}

static __attribute__((noinline)) const uint8_t *take_long64(const uint8_t *p, uint64_t *v)
{
    int64_t n;
    p = ferry_varint_get64(p, p + 10, &n);
    *v = p ? ferry_varint_zigzag64(n) : 0;
    return p;
}

/* Unbounded reads, still zigzagged; NULL only if malformed. */
static inline const uint8_t *take(const uint8_t *p, uint32_t *v)
{
    uint32_t a = p[0];
    if (a < 0x80) {
        *v = a;
        return p + 1;
    }
    uint32_t b = p[1];
    if (b < 0x80) {
        *v = (a & 0x7f) | b << 7;
        return p + 2;
    }
    uint32_t c = p[2];
    if (c < 0x80) {
        *v = (a & 0x7f) | (b & 0x7f) << 7 | c << 14;
        return p + 3;
    }
    return take_long(p, v);
}

static inline const uint8_t *take64(const uint8_t *p, uint64_t *v)
{
    uint32_t a = p[0], b;
    if (a < 0x80) {
        *v = a;
        return p + 1;
    }
    b = p[1];
    if (b < 0x80) {
        *v = (a & 0x7f) | b << 7;
        return p + 2;
    }
    return take_long64(p, v);
}

/* A varint that must not be negative: an odd one (negative) turns into a huge one. */
static inline int64_t natural(uint32_t zigzagged)
{
    return (int64_t)(zigzagged >> 1 | zigzagged << 31);
}

/* Key or value at p; NULL: leave it to the careful decoder. */
static inline const uint8_t *take_field(const uint8_t *p, const uint8_t *stop,
                                        struct ferry_bytes *out)
{
    uint32_t n;
    p = take(p, &n);
    if (__builtin_expect(n == 1, 0)) {
        *out = (struct ferry_bytes){NULL, 0};
        return p;
    }
    int64_t len = natural(n);
    if (!p || len > stop - p)
        return NULL;
    *out = (struct ferry_bytes){p, (size_t)len};
    return p + len;
}

/* One record at it->at: its end, or NULL for the careful decoder. */
static inline const uint8_t *decode_fast(const struct ferry_batch_iter *it,
                                         struct ferry_batch_record *r, int32_t *delta)
{
    const uint8_t *p = it->at, *stop;
    uint32_t n;
    uint64_t time_delta;
    if (p >= it->fast || !(p = take(p, &n)) || natural(n) > it->fast - p)
        return NULL;
    stop = p + natural(n);
    if (!(p = take64(p + 1, &time_delta)) || !(p = take(p, &n)))
        return NULL;
    *delta = (int32_t)natural(n);
    if (natural(n) < it->next_delta || natural(n) > it->max_delta)
        return NULL;
    if (!(p = take_field(p, stop, &r->key)) || !(p = take_field(p, stop, &r->value)) ||
        !(p = take(p, &n)))
        return NULL;
    if (n == 0 ? p != stop : natural(n) > (stop - p) / 2)
        return NULL;
    r->header_count = (int32_t)natural(n);
    r->headers = (struct ferry_bytes){p, (size_t)(stop - p)};
    r->offset = it->base_offset + *delta;
    r->timestamp = (int64_t)((uint64_t)it->base_timestamp +
                             (uint64_t)(ferry_varint_unzigzag64(time_delta) & it->timestamp_mask));
    return stop;
}

int ferry_batch_iter_next(struct ferry_batch_iter *it, struct ferry_batch_record *r,
                          struct ferry_error *err)
{
    while (it->left > 0) {
        int32_t delta;
        const uint8_t *stop = decode_fast(it, r, &delta);
        if (!stop)
            break;
        if (r->offset >= it->upto)
            return stop_early(it);
        it->at = stop;
        it->left--;
        it->next_delta = delta + 1;
        if (r->offset >= it->from)
            return 1;
    }
    return next_careful(it, r, err);
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
