/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "record/build.h"

#include "record/crc32c.h"
#include "record/varint.h"

/*
 * A record begins with its own length, which depends on the sizes of the varints behind it. Computing those first would
 * cost more than writing them, so the fields go down at once behind as many bytes as the length will need.
 *
 * 1. The usual record (no headers, a value, nothing long; see put_usual) is written without a call, and its length is known
 *    beforehand to need one byte or two.
 * 2. Any other one is written the general way: the width of the length is told from key, value and headers alone, and
 *    only when the other varints push it over a power of 128 is the little that was written moved up by one byte.
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
static uint8_t *put_head(uint8_t *at, const struct ferry_build_record *r, uint64_t time,
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

static uint8_t *put_general(uint8_t *at, const struct ferry_build_record *r,
                            int64_t timestamp_delta, int32_t offset_delta, uint8_t **value_at)
{
    uint64_t time = ferry_varint_zigzag64(timestamp_delta);
    uint32_t offset = (uint32_t)offset_delta << 1;
    size_t tail = 1;
    if (r->field_count > 0)
        tail = ferry_varint_size((uint64_t)r->field_count << 1) + fields_size(r);
    uint8_t *p = put_head(at, r, time, offset, tail);
    *value_at = p;
    p += r->value.len;
    if (r->field_count > 0)
        return put_fields(p, r);
    *p = 0;
    return p + 1;
}

/* ---- the usual record ---- */

enum {
    USUAL_KEY = 64,
    USUAL_LENGTH = 8000, /* with the varints below 8192, so that it takes two bytes itself */
    USUAL_VARINTS = 5    /* bytes at most that the varints take beyond one each */
};

/* Up to 64 bytes, by loads that overlap rather than a loop over bytes. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n >= 16) {
        for (size_t i = 0; i + 16 < n; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else if (n) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

/* A varint of two bytes as a little-endian number. */
static inline uint16_t two_bytes(uint32_t v)
{
    return (uint16_t)(v + (v & 0x3f80) + 0x80);
}

static inline uint8_t *put_two(uint8_t *p, uint32_t v)
{
    uint16_t both = two_bytes(v);
    memcpy(p, &both, 2);
    return p + 2;
}

/* What is known to fit in two bytes. */
static inline uint8_t *put_short(uint8_t *p, uint32_t v)
{
    if (v >= 0x80)
        return put_two(p, v);
    *p = (uint8_t)v;
    return p + 1;
}

#define UNUSUAL(cond) __builtin_expect(!!(cond), 0)

/* The place for the value's bytes and the record's end, or NULL if the record is not a usual one: then nothing is final. */
static inline __attribute__((always_inline)) uint8_t *put_usual(uint8_t *at,
                                                                const struct ferry_build_record *r,
                                                                int64_t timestamp_delta,
                                                                int32_t offset_delta, uint8_t **end)
{
    uint64_t time = ferry_varint_zigzag64(timestamp_delta);
    uint32_t offset = (uint32_t)offset_delta << 1;
    size_t lower = r->key.len + r->value.len + 6; /* the length if each varint took one byte */
    uint8_t *body = at + 2, *p;
    if (UNUSUAL(r->field_count > 0) || UNUSUAL(!r->value.data))
        return NULL;
    if (UNUSUAL(lower - 64 > USUAL_LENGTH - 64)) {
        if (lower >= 64 - USUAL_VARINTS)
            return NULL;
        body = at + 1;
    }
    body[0] = 0;
    body[1] = (uint8_t)time;
    p = body + 2;
    if (UNUSUAL(time >= 0x80)) {
        if (time >= 0x4000)
            return NULL;
        p = put_two(p - 1, (uint32_t)time);
    }
    if (UNUSUAL(offset >= 0x4000)) {
        if (offset >= 1u << 21)
            return NULL;
        p = put_two(p, offset & 0x3fff);
        p[-1] |= 0x80;
        *p++ = (uint8_t)(offset >> 14);
    } else {
        p = put_short(p, offset);
    }
    if (r->key.data) {
        if (UNUSUAL(r->key.len > USUAL_KEY))
            return NULL;
        p = put_short(p, (uint32_t)r->key.len << 1);
        copy_short(p, r->key.data, r->key.len);
        p += r->key.len;
    } else {
        *p++ = 1;
    }
    p = put_short(p, (uint32_t)r->value.len << 1);
    *end = p + r->value.len + 1;
    p[r->value.len] = 0;
    put_short(at, (uint32_t)(*end - body) << 1);
    return p;
}

uint8_t *ferry_build_record_reserve(uint8_t *at, const struct ferry_build_record *r,
                                    int64_t timestamp_delta, int32_t offset_delta,
                                    uint8_t **value_at)
{
    uint8_t *end, *p = put_usual(at, r, timestamp_delta, offset_delta, &end);
    if (UNUSUAL(!p))
        return put_general(at, r, timestamp_delta, offset_delta, value_at);
    *value_at = p;
    return end;
}

static __attribute__((noinline)) uint8_t *unusual_record(uint8_t *at,
                                                         const struct ferry_build_record *r,
                                                         int64_t timestamp_delta,
                                                         int32_t offset_delta)
{
    uint8_t *value_at, *end = put_general(at, r, timestamp_delta, offset_delta, &value_at);
    if (r->value.len)
        memcpy(value_at, r->value.data, r->value.len);
    return end;
}

uint8_t *ferry_build_record(uint8_t *at, const struct ferry_build_record *r,
                            int64_t timestamp_delta, int32_t offset_delta)
{
    uint8_t *end, *p = put_usual(at, r, timestamp_delta, offset_delta, &end);
    if (UNUSUAL(!p))
        return unusual_record(at, r, timestamp_delta, offset_delta);
    memcpy(p, r->value.data, r->value.len);
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
