/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H
/* Views of memory, and loads and stores in network byte order at any alignment. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view: nothing is owned. data == NULL is "null" where a protocol tells null from empty. */
struct ferry_bytes {
    const uint8_t *data;
    size_t len;
};

/* A string view, not NUL-terminated. data == NULL is null. */
struct ferry_str {
    const char *data;
    size_t len;
};

/* A 16-byte id; all zero is "none". */
struct ferry_uuid {
    uint8_t b[16];
};

#define FERRY_STR(literal) ((struct ferry_str){(literal), sizeof(literal) - 1})

static inline struct ferry_str ferry_str_of(const char *s)
{
    return (struct ferry_str){s, s ? strlen(s) : 0};
}

static inline bool ferry_str_eq(struct ferry_str a, struct ferry_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline int ferry_str_cmp(struct ferry_str a, struct ferry_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool ferry_uuid_is_zero(const struct ferry_uuid *u)
{
    static const struct ferry_uuid zero;
    return memcmp(u, &zero, sizeof zero) == 0;
}

static inline bool ferry_uuid_eq(const struct ferry_uuid *a, const struct ferry_uuid *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static inline uint16_t ferry_get16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}

static inline uint32_t ferry_get32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline uint64_t ferry_get64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

static inline void ferry_put16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, 2);
}

static inline void ferry_put32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

static inline void ferry_put64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "base/bytes.h swaps unconditionally; add the big-endian case here"
#endif

#endif
