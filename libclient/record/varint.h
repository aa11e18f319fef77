/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_VARINT_H
#define RECORD_VARINT_H
/* The zigzag varints inside records: 7 bits a byte, low bits first, the sign in bit 0. Hot paths:
 * all inline. */
#include "base/bytes.h"

static inline int32_t ferry_varint_unzigzag32(uint32_t v)
{
    return (int32_t)(v >> 1 ^ -(v & 1));
}

static inline int64_t ferry_varint_unzigzag64(uint64_t v)
{
    return (int64_t)(v >> 1 ^ -(v & 1));
}

static inline uint32_t ferry_varint_zigzag32(int32_t v)
{
    return (uint32_t)v << 1 ^ (uint32_t)(v >> 31);
}

static inline uint64_t ferry_varint_zigzag64(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

/* Bounds-checked reads: the byte after, or NULL where the varint is cut off or does not fit its
 * type. */
const uint8_t *ferry_varint_get64(const uint8_t *p, const uint8_t *end, int64_t *out);
const uint8_t *ferry_varint_get32(const uint8_t *p, const uint8_t *end, int32_t *out);

/* Writes. v is already zigzagged. */
static inline uint8_t *ferry_varint_put(uint8_t *p, uint64_t v)
{
    if (__builtin_expect(v < 0x80, 1)) {
        *p = (uint8_t)v;
        return p + 1;
    }
    if (__builtin_expect(v < 0x4000, 1)) {
        p[0] = (uint8_t)(v | 0x80);
        p[1] = (uint8_t)(v >> 7);
        return p + 2;
    }
    do {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    } while (v >= 0x80);
    *p = (uint8_t)v;
    return p + 1;
}

static inline unsigned ferry_varint_size(uint64_t v)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    return (bits + 6) / 7;
}

#endif
