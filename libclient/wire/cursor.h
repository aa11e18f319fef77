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

static inline struct ferry_cursor ferry_cursor_of(struct ferry_bytes in)
{
    return (struct ferry_cursor){in.data, in.data + in.len, 0};
}

static inline size_t ferry_cursor_left(const struct ferry_cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* Sets the error; what is left becomes nothing. Returns 0. */
uint64_t ferry_cursor_fail(struct ferry_cursor *c);

uint8_t ferry_cursor_u8(struct ferry_cursor *c);
uint16_t ferry_cursor_u16(struct ferry_cursor *c);
uint32_t ferry_cursor_u32(struct ferry_cursor *c);
uint64_t ferry_cursor_u64(struct ferry_cursor *c);
/* Unsigned varint of at most 32 bits. */
uint32_t ferry_cursor_uvarint(struct ferry_cursor *c);
/* Zigzag varint of at most 32 and 64 bits. */
int32_t ferry_cursor_varint(struct ferry_cursor *c);
int64_t ferry_cursor_varlong(struct ferry_cursor *c);
/* The next len bytes, borrowed. */
const uint8_t *ferry_cursor_take(struct ferry_cursor *c, size_t len);

#endif
