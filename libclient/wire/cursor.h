/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_CURSOR_H
#define WIRE_CURSOR_H
/*
 * Reading bytes with a sticky error: after the first failure every read gives zero and moves
 * nothing, so a reader checks `err` once, at the end, and before it uses a length to allocate.
 */
#include "base/bytes.h"

struct ferry_cursor {
    const uint8_t *at, *end;
    int err; /* 0 or FERRY_E_PROTOCOL */
};

/* An input without memory is an empty one: what is read from it must not look like null. */
static inline struct ferry_cursor ferry_cursor_of(struct ferry_bytes in)
{
    const uint8_t *at = in.data ? in.data : (const uint8_t *)"";
    return (struct ferry_cursor){at, at + in.len, 0};
}

static inline size_t ferry_cursor_left(const struct ferry_cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* Sets the error; what is left becomes nothing. Returns 0. */
uint64_t ferry_cursor_fail(struct ferry_cursor *c);

/* The next len bytes, borrowed. */
static inline const uint8_t *ferry_cursor_take(struct ferry_cursor *c, size_t len)
{
    if (__builtin_expect(len > ferry_cursor_left(c), 0)) {
        ferry_cursor_fail(c);
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += len;
    return p;
}

static inline uint8_t ferry_cursor_u8(struct ferry_cursor *c)
{
    const uint8_t *p = ferry_cursor_take(c, 1);
    return p ? *p : 0;
}

static inline uint16_t ferry_cursor_u16(struct ferry_cursor *c)
{
    const uint8_t *p = ferry_cursor_take(c, 2);
    return p ? ferry_get16(p) : 0;
}

static inline uint32_t ferry_cursor_u32(struct ferry_cursor *c)
{
    const uint8_t *p = ferry_cursor_take(c, 4);
    return p ? ferry_get32(p) : 0;
}

static inline uint64_t ferry_cursor_u64(struct ferry_cursor *c)
{
    const uint8_t *p = ferry_cursor_take(c, 8);
    return p ? ferry_get64(p) : 0;
}

/* Unsigned varint of at most 32 bits. */
uint32_t ferry_cursor_uvarint(struct ferry_cursor *c);
/* Zigzag varint of at most 32 and 64 bits. */
int32_t ferry_cursor_varint(struct ferry_cursor *c);
int64_t ferry_cursor_varlong(struct ferry_cursor *c);

#endif
