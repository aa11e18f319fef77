/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ACCUM_PLAIN_H
#define ACCUM_PLAIN_H
/*
 * The same as ferry_accum_append for the usual record: no headers, key and value of less than FERRY_PLAIN_MAX bytes together,
 * nothing kept beside it but a cookie. Inline, with values in registers: of the instructions that a record costs on its
 * way through a producer, most are these.
 */
#include "accum/accum.h"
#include "record/varint.h"

enum { FERRY_PLAIN_MAX = 8000 };

/* Whether the plain form will do for accumulators of this kind: their side array is one that it can fill, and only bytes
 * limit a batch. */
static inline bool ferry_plain_fits(const struct ferry_accum_config *c)
{
    return (c->side & ~(uint32_t)FERRY_SIDE_COOKIE) == 0 && c->batch_records == 0 &&
           c->batch_size / 7 < FERRY_ACCUM_RECORDS_MAX;
}

/* By the library's memcpy: knowing the range of len, the compiler would copy in a loop of its own, which is slower. */
static inline uint8_t *ferry_plain_copy(uint8_t *p, const void *data, size_t len)
{
    __asm__("" : "+r"(len));
    memcpy(p, data, len);
    return p + len;
}

static inline uint8_t *ferry_plain_bytes(uint8_t *p, const void *data, uint32_t len)
{
    if (!data) {
        *p = 1;
        return p + 1;
    }
    return ferry_plain_copy(ferry_varint_put(p, (uint64_t)len << 1), data, len);
}

/* The memory of a batch is seldom in the cache: it was the kernel that read it last, megabytes ago. A store that misses is
 * not waited for by itself, but the next atomic operation, in the send of the next record, waits for all of them. So the
 * lines a few records further on are fetched while this one is written. (A prefetch never faults, also behind the end.) */
enum { FERRY_PLAIN_AHEAD = 2048 };
static inline void ferry_plain_prefetch(const uint8_t *from, const uint8_t *end)
{
    for (; from < end; from += 64) {
#if defined(__x86_64__)
        __asm__("prefetchw %0" : : "m"(from[FERRY_PLAIN_AHEAD]));
#else
        __builtin_prefetch(from + FERRY_PLAIN_AHEAD, 1);
#endif
    }
}

/* Bytes for the length in front of a record with so much in key and value, if the other varints take one byte each. */
static inline unsigned ferry_plain_width(uint32_t bytes)
{
    return bytes + 6 < 64 ? 1 : 2;
}

/* The length in front of a record that was encoded behind `width` bytes for it; the record's end. See record/build.c. */
static inline uint8_t *ferry_plain_length(uint8_t *at, unsigned width, uint8_t *end)
{
    uint32_t length = (uint32_t)(end - at - width) << 1;
    if (__builtin_expect(width == 2, 1)) {
        if (__builtin_expect(length < 0x4000, 1)) { /* at least 0x80, or the width were 1 */
            at[0] = (uint8_t)(length | 0x80);
            at[1] = (uint8_t)(length >> 7);
            return end;
        }
    } else if (length < 0x80) {
        at[0] = (uint8_t)length;
        return end;
    }
    /* The varints in between were longer than least. */
    memmove(at + width + 1, at + width, (size_t)(end - at - width));
    ferry_varint_put(at, length);
    return end + 1;
}

/* false: there is no room in the open chunk, or no open batch; nothing is changed then. (Fields are read again after the
 * copy rather than kept: registers are what is short here.) */
static inline __attribute__((always_inline)) bool
ferry_plain_append(struct ferry_accum *a, const void *key, uint32_t key_len, const void *value,
                   uint32_t value_len, int64_t timestamp, uint64_t cookie)
{
    uint8_t *p = a->at;
    size_t most = (size_t)key_len + value_len + FERRY_BUILD_OVERHEAD_MAX;
    uint32_t index = a->count;
    if (__builtin_expect(
            most > (size_t)(a->end - p) || most + a->side_size > (size_t)(a->side_at - p), 0))
        return false;
    if (__builtin_expect(timestamp > a->max_timestamp, 0)) { /* so is the first one's */
        a->max_timestamp = timestamp;
        if (index == 0)
            a->base_timestamp = timestamp;
    }
    a->count = index + 1;
    ferry_plain_prefetch(p, p + key_len + value_len);
    p += ferry_plain_width(key_len + value_len);
    *p++ = 0;
    p = ferry_varint_put(p, ferry_varint_zigzag64(timestamp - a->base_timestamp));
    p = ferry_varint_put(p, (uint64_t)index << 1);
    p = ferry_plain_bytes(p, key, key_len);
    p = ferry_plain_bytes(p, value, value_len);
    *p++ = 0;
    a->at = ferry_plain_length(a->at, ferry_plain_width(key_len + value_len), p);
    if (a->side_size) {
        a->side_at -= 8;
        memcpy(a->side_at, &cookie, 8);
    }
    return true;
}

#endif
