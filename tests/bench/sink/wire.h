/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SINK_WIRE_H
#define SINK_WIRE_H
/*
 * The primitives of the protocol: a growing buffer with writers (w_), a bounded reader (r_). The sink shares no code with
 * what it measures. `flex` says whether the version of a message is a flexible one.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Prints and exits. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* CRC-32C; crc_init first. */
void crc_init(void);
uint32_t crc32c(const uint8_t *p, size_t n);

/* -- Growing buffer -- */

typedef struct {
    uint8_t *p;
    size_t len, cap;
} buf_t;

static inline void b_room(buf_t *b, size_t n)
{
    if (b->len + n <= b->cap)
        return;
    size_t c = b->cap ? b->cap : 512;
    while (c < b->len + n)
        c *= 2;
    b->p = realloc(b->p, c);
    if (!b->p)
        die("out of memory");
    b->cap = c;
}
static inline void w_raw(buf_t *b, const void *p, size_t n)
{
    b_room(b, n);
    if (n)
        memcpy(b->p + b->len, p, n);
    b->len += n;
}
static inline void w_i8(buf_t *b, int v)
{
    uint8_t x = (uint8_t)v;
    w_raw(b, &x, 1);
}
static inline void w_i16(buf_t *b, int v)
{
    uint16_t x = htons((uint16_t)v);
    w_raw(b, &x, 2);
}
static inline void w_i32(buf_t *b, int64_t v)
{
    uint32_t x = htonl((uint32_t)v);
    w_raw(b, &x, 4);
}
static inline void put_i64(uint8_t *d, int64_t v)
{
    uint64_t x = __builtin_bswap64((uint64_t)v);
    memcpy(d, &x, 8);
}
static inline void w_i64(buf_t *b, int64_t v)
{
    uint8_t x[8];
    put_i64(x, v);
    w_raw(b, x, 8);
}
static inline void w_uv(buf_t *b, uint64_t v)
{
    while (v >= 128) {
        w_i8(b, (int)(v & 127) | 128);
        v >>= 7;
    }
    w_i8(b, (int)v);
}
static inline void w_sv(buf_t *b, int64_t v)
{
    w_uv(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}
static inline void w_str(buf_t *b, int flex, const char *s, int n)
{
    if (flex)
        w_uv(b, s ? (uint64_t)n + 1 : 0);
    else
        w_i16(b, s ? n : -1);
    if (s)
        w_raw(b, s, n);
}
static inline void w_arr(buf_t *b, int flex, int n)
{
    if (flex)
        w_uv(b, (uint64_t)(n + 1));
    else
        w_i32(b, n);
}
static inline void w_tags(buf_t *b, int flex)
{
    if (flex)
        w_i8(b, 0);
}

/* -- Bounded reader -- */

typedef struct {
    const uint8_t *p, *e;
    int bad; /* ran past the end: more input needed, or malformed */
} rd_t;

static inline const uint8_t *r_raw(rd_t *r, size_t n)
{
    if ((size_t)(r->e - r->p) < n) {
        r->bad = 1;
        r->p = r->e;
        return NULL;
    }
    const uint8_t *q = r->p;
    r->p += n;
    return q;
}
static inline int r_i8(rd_t *r)
{
    const uint8_t *q = r_raw(r, 1);
    return q ? (int8_t)*q : 0;
}
static inline int r_i16(rd_t *r)
{
    const uint8_t *q = r_raw(r, 2);
    return q ? (int16_t)(q[0] << 8 | q[1]) : 0;
}
static inline uint32_t be32(const uint8_t *q)
{
    return (uint32_t)q[0] << 24 | q[1] << 16 | q[2] << 8 | q[3];
}
static inline int32_t r_i32(rd_t *r)
{
    const uint8_t *q = r_raw(r, 4);
    return q ? (int32_t)be32(q) : 0;
}
static inline int64_t r_i64(rd_t *r)
{
    const uint8_t *q = r_raw(r, 8);
    return q ? (int64_t)((uint64_t)be32(q) << 32 | be32(q + 4)) : 0;
}
static inline uint64_t r_uv(rd_t *r)
{
    uint64_t v = 0;
    for (int s = 0; s < 64; s += 7) {
        int c = r_i8(r) & 255;
        v |= (uint64_t)(c & 127) << s;
        if (!(c & 128))
            return v;
    }
    r->bad = 1;
    return 0;
}
static inline const char *r_str(rd_t *r, int flex, int *n)
{
    int64_t l = flex ? (int64_t)r_uv(r) - 1 : r_i16(r);
    *n = l < 0 ? 0 : (int)l;
    return l < 0 ? NULL : (const char *)r_raw(r, (size_t)l);
}
static inline const char *r_bytes(rd_t *r, int flex, int *n)
{
    int64_t l = flex ? (int64_t)r_uv(r) - 1 : r_i32(r);
    *n = l < 0 ? 0 : (int)l;
    return l < 0 ? NULL : (const char *)r_raw(r, (size_t)l);
}
static inline int r_arr(rd_t *r, int flex)
{
    return flex ? (int)r_uv(r) - 1 : r_i32(r);
}
static inline void r_tags(rd_t *r, int flex)
{
    if (!flex)
        return;
    uint64_t n = r_uv(r);
    while (n-- && !r->bad) {
        r_uv(r);
        r_raw(r, r_uv(r));
    }
}

#endif
