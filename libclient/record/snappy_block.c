/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * A block is the expanded size as a varint, then elements. An element begins with a tag byte, whose
 * low two bits are its kind:
 *
 *   0  literal: length - 1 in the upper six bits, or 60 to 63 there and length - 1 in the next 1 to
 * 4 bytes 1  copy of 4 to 11 bytes, 11-bit distance     2  copy of 1 to 64, 16-bit distance     3
 * the same, 32-bit
 *
 * Compressing is greedy: a table remembers, by hash, where four bytes were seen last; the longer
 * nothing repeats, the wider the steps of the search.
 *
 * 1. The search stops MARGIN bytes before the end of the input, so every load of 8 or 16 bytes
 * stays inside.
 * 2. Expanding checks each element against the input left and the output left, each distance
 * against what there is; copies in wide steps happen only where the steps stay inside the output.
 */
#include "record/snappy_block.h"

#include "base/bytes.h"

enum { MARGIN = 16, WIDE = 16, LITERAL = 0, COPY1 = 1, COPY2 = 2, COPY4 = 3, BEST_RATIO = 22 };

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* ---- compressing ---- */

struct search {
    const uint8_t *in, *limit; /* last place to look at */
    uint16_t *table;
    unsigned shift;
};

static inline uint16_t *slot(const struct search *s, uint32_t four)
{
    return &s->table[four * 0x9e3779b1u >> s->shift];
}

/* The first place from p on whose four bytes were seen before, and where; NULL: none. */
static inline const uint8_t *find(const struct search *s, const uint8_t *p, const uint8_t **seen)
{
    for (unsigned step = 32; p <= s->limit; p += step++ >> 5) {
        uint32_t four = load32(p);
        uint16_t *at = slot(s, four);
        *seen = s->in + *at;
        *at = (uint16_t)(p - s->in);
        if (load32(*seen) == four)
            return p;
    }
    return NULL;
}

static inline size_t same_length(const uint8_t *a, const uint8_t *b, const uint8_t *b_end)
{
    const uint8_t *b0 = b;
    while (b_end - b >= 8) {
        uint64_t d = load64(a) ^ load64(b);
        if (d)
            return (size_t)(b - b0) + ((unsigned)__builtin_ctzll(d) >> 3);
        a += 8;
        b += 8;
    }
    while (b < b_end && *a == *b) {
        a++;
        b++;
    }
    return (size_t)(b - b0);
}

static uint8_t *put_literal_head(uint8_t *out, size_t len)
{
    size_t n = len - 1;
    if (n < 60) {
        *out = (uint8_t)(n << 2 | LITERAL);
        return out + 1;
    }
    if (n < 256) {
        out[0] = 60 << 2 | LITERAL;
        out[1] = (uint8_t)n;
        return out + 2;
    }
    out[0] = 61 << 2 | LITERAL;
    out[1] = (uint8_t)n;
    out[2] = (uint8_t)(n >> 8);
    return out + 3;
}

/* [from, to) with MARGIN readable bytes behind from. */
static inline uint8_t *put_literal(uint8_t *out, const uint8_t *from, const uint8_t *to)
{
    size_t len = (size_t)(to - from);
    if (len == 0)
        return out;
    out = put_literal_head(out, len);
    if (len <= WIDE)
        memcpy(out, from, WIDE);
    else
        memcpy(out, from, len);
    return out + len;
}

static inline uint8_t *put_copy2(uint8_t *out, size_t distance, size_t len)
{
    out[0] = (uint8_t)((len - 1) << 2 | COPY2);
    out[1] = (uint8_t)distance;
    out[2] = (uint8_t)(distance >> 8);
    return out + 3;
}

static inline uint8_t *put_copy(uint8_t *out, size_t distance, size_t len)
{
    /* Never leaves fewer than 4 for the last one. */
    for (; len >= 68; len -= 64)
        out = put_copy2(out, distance, 64);
    if (len > 64) {
        out = put_copy2(out, distance, 60);
        len -= 60;
    }
    if (len > 11 || distance >= 2048)
        return put_copy2(out, distance, len);
    out[0] = (uint8_t)(distance >> 8 << 5 | (len - 4) << 2 | COPY1);
    out[1] = (uint8_t)distance;
    return out + 2;
}

size_t ferry_snappy_block_compress(const uint8_t *in, size_t len, uint8_t *out,
                                   uint16_t table[FERRY_SNAPPY_TABLE])
{
    uint8_t *at = out;
    const uint8_t *end = in + len, *pending = in, *p, *seen;
    size_t size = len;
    for (; size >= 128; size >>= 7)
        *at++ = (uint8_t)(size | 128);
    *at++ = (uint8_t)size;
    if (len > MARGIN) {
        unsigned bits = 14;
        while (bits > 8 && (size_t)1 << (bits - 1) >= len)
            bits--;
        memset(table, 0, sizeof *table << bits);
        struct search s = {in, end - MARGIN, table, 32 - bits};
        p = in + 1;
        while ((p = find(&s, p, &seen))) {
            size_t n = 4 + same_length(seen + 4, p + 4, end);
            at = put_literal(at, pending, p);
            at = put_copy(at, (size_t)(p - seen), n);
            p = pending = p + n;
            if (p <= s.limit)
                *slot(&s, load32(p - 1)) = (uint16_t)(p - 1 - in);
        }
    }
    if (pending < end) {
        at = put_literal_head(at, (size_t)(end - pending));
        memcpy(at, pending, (size_t)(end - pending));
        at += end - pending;
    }
    return (size_t)(at - out);
}

/* ---- expanding ---- */

int64_t ferry_snappy_block_size(const uint8_t *in, size_t len, const uint8_t **body)
{
    uint64_t size = 0;
    const uint8_t *p = in, *end = in + len;
    for (unsigned shift = 0; shift < 35 && p < end; shift += 7) {
        size |= (uint64_t)(*p & 127) << shift;
        if (*p++ < 128) {
            *body = p;
            return size <= UINT32_MAX && size <= (uint64_t)(end - p) * BEST_RATIO ? (int64_t)size
                                                                                  : -1;
        }
    }
    return -1;
}

/* The bytes of a literal whose tag is in front of p, after its length; NULL if malformed. */
static inline const uint8_t *literal_length(const uint8_t *p, const uint8_t *end, unsigned tag,
                                            size_t *len)
{
    size_t n = tag >> 2;
    unsigned extra = 0;
    if (n >= 60) {
        extra = (unsigned)n - 59;
        if ((size_t)(end - p) < extra)
            return NULL;
        n = 0;
        for (unsigned i = 0; i < extra; i++)
            n |= (size_t)p[i] << 8 * i;
    }
    *len = n + 1;
    return p + extra;
}

/* A copy's length and distance. */
static inline const uint8_t *copy_length(const uint8_t *p, const uint8_t *end, unsigned tag,
                                         size_t *len, size_t *distance)
{
    size_t need = (tag & 3) == COPY4 ? 4 : tag & 3;
    if ((size_t)(end - p) < need)
        return NULL;
    *len = (tag >> 2) + 1;
    if ((tag & 3) == COPY1) {
        *len = (tag >> 2 & 7) + 4;
        *distance = (size_t)(tag >> 5) << 8 | p[0];
    } else {
        *distance = p[0] | (size_t)p[1] << 8;
        if ((tag & 3) == COPY4)
            *distance |= (size_t)p[2] << 16 | (size_t)p[3] << 24;
    }
    return p + need;
}

/* len bytes from `distance` back; `left` is the room at out, at least len. */
static inline void copy_back(uint8_t *out, size_t distance, size_t len, size_t left)
{
    const uint8_t *from = out - distance;
    if (distance >= WIDE && left >= len + WIDE) {
        for (size_t i = 0; i < len; i += WIDE)
            memcpy(out + i, from + i, WIDE);
    } else if (distance >= 8 && left >= len + 8) {
        for (size_t i = 0; i < len; i += 8)
            memcpy(out + i, from + i, 8);
    } else {
        for (size_t i = 0; i < len; i++)
            out[i] = from[i];
    }
}

int ferry_snappy_block_expand(const uint8_t *body, const uint8_t *end, uint8_t *out, size_t size)
{
    const uint8_t *p = body;
    uint8_t *at = out, *out_end = out + size;
    while (p < end) {
        unsigned tag = *p++;
        size_t left = (size_t)(out_end - at), n, distance;
        if ((tag & 3) == LITERAL) {
            p = literal_length(p, end, tag, &n);
            if (!p || n > (size_t)(end - p) || n > left)
                return -1;
            if (n <= WIDE && end - p >= WIDE && left >= WIDE)
                memcpy(at, p, WIDE);
            else
                memcpy(at, p, n);
            p += n;
        } else {
            p = copy_length(p, end, tag, &n, &distance);
            if (!p || distance == 0 || distance > (size_t)(at - out) || n > left)
                return -1;
            copy_back(at, distance, n, left);
        }
        at += n;
    }
    return at == out_end ? 0 : -1;
}
