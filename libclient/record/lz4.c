/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * lz4 frames, read and written here over the library's block functions: blocks go straight from and
 * to the caller's memory, and there is no decoder to keep. A frame:
 *
 *   magic 4  flags 1  block descriptor 1  [content size 8]  [dictionary id 4]  header checksum 1
 *   blocks: size 4 (top bit: stored), data, [checksum 4]     end mark 0     [content checksum 4]
 *
 * 1. Written: independent blocks of 64 KiB (Java refuses dependent ones), no checksums: the batch
 * has its own.
 * 2. Read: any block size, dependent blocks, all checksums verified, several frames in a row and
 * skippable ones. The header checksum that Kafka before 0.10 computed, which took in the magic, is
 * accepted too.
 * 3. A block's output is bounded by its frame's block size and by what its bytes could make at
 * most.
 */
#include "record/compress_impl.h"

#include "base/err.h"
#include "base/mem.h"

#include <lz4.h>
#include <lz4hc.h>

enum {
    BLOCK = 64 * 1024,
    STORED = (int)0x80000000,
    MAGIC = 0x184d2204,
    MAGIC_SKIP = 0x184d2a50, /* low four bits are free */
    HC_FROM = 3,             /* levels from here on use the slow compressor */
    BEST_RATIO = 255
};

enum flag {
    VERSION_MASK = 0xc0,
    VERSION_1 = 0x40,
    INDEPENDENT = 0x20,
    BLOCK_SUM = 0x10,
    CONTENT_SIZE = 0x08,
    CONTENT_SUM = 0x04,
    DICTIONARY = 0x01
};

struct state {
    void *fast, *slow; /* the compressors' tables */
    uint8_t scratch[BLOCK];
};

static uint32_t le32(const uint8_t *p)
{
    return __builtin_bswap32(ferry_get32(p));
}

static void put_le32(uint8_t *p, uint32_t v)
{
    ferry_put32(p, __builtin_bswap32(v));
}

/* ---- xxHash, 32 bits, seed 0: the checksum of frames ---- */

static const uint32_t prime[5] = {2654435761u, 2246822519u, 3266489917u, 668265263u, 374761393u};

static uint32_t rotate(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}

static uint32_t xxh32(const uint8_t *p, size_t len)
{
    uint32_t h = prime[4];
    const uint8_t *end = p + len;
    if (len >= 16) {
        uint32_t lane[4] = {prime[0] + prime[1], prime[1], 0, 0u - prime[0]};
        for (; end - p >= 16; p += 16)
            for (int i = 0; i < 4; i++)
                lane[i] = rotate(lane[i] + le32(p + 4 * i) * prime[1], 13) * prime[0];
        h = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
    }
    h += (uint32_t)len;
    for (; end - p >= 4; p += 4)
        h = rotate(h + le32(p) * prime[2], 17) * prime[3];
    for (; p < end; p++)
        h = rotate(h + *p * prime[4], 11) * prime[0];
    h = (h ^ h >> 15) * prime[1];
    h = (h ^ h >> 13) * prime[2];
    return h ^ h >> 16;
}

/* ---- writing ---- */

static int nomem(struct ferry_compress_out *o)
{
    return ferry_fail(o->err, FERRY_E_NOMEM, "lz4: no memory for the codec");
}

static struct state *get_state(void **state)
{
    if (!*state)
        *state = ferry_zalloc(sizeof(struct state));
    return *state;
}

static int compress_block(struct state *s, int level, struct ferry_bytes in, uint8_t *to, int cap)
{
    const char *from = (const char *)in.data;
    if (level < HC_FROM)
        return LZ4_compress_fast_extState(s->fast, from, (char *)to, (int)in.len, cap, 1);
    return LZ4_compress_HC_extStateHC(s->slow, from, (char *)to, (int)in.len, cap, level);
}

static int write_block(struct state *s, int level, struct ferry_bytes in,
                       struct ferry_compress_out *o)
{
    size_t room;
    int rc = ferry_compress_room(o, 4 + in.len, &room);
    if (rc < 0)
        return rc;
    uint8_t *at = o->slab->data + o->slab->len;
    /* One byte less than the input, else it is stored as it is. */
    int n = compress_block(s, level, in, at + 4, (int)in.len - 1);
    if (n > 0) {
        put_le32(at, (uint32_t)n);
    } else {
        n = (int)in.len;
        put_le32(at, (uint32_t)n | (uint32_t)STORED);
        memcpy(at + 4, in.data, in.len);
    }
    ferry_compress_wrote(o, 4 + (size_t)n);
    return 0;
}

static int pack(void **state, int level, const struct ferry_bytes *parts, size_t count,
                struct ferry_compress_out *o)
{
    struct state *s = get_state(state);
    if (!s)
        return nomem(o);
    void **tables = level < HC_FROM ? &s->fast : &s->slow;
    size_t need = (size_t)(level < HC_FROM ? LZ4_sizeofState() : LZ4_sizeofStateHC());
    if (!*tables && !(*tables = ferry_alloc(need)))
        return nomem(o);
    uint8_t header[7] = {0x04, 0x22, 0x4d, 0x18, VERSION_1 | INDEPENDENT, 4 << 4, 0};
    header[6] = (uint8_t)(xxh32(header + 4, 2) >> 8);
    int rc = ferry_compress_append(o, header, sizeof header);
    struct ferry_compress_blocks blocks = {parts, count, 0, BLOCK, s->scratch};
    struct ferry_bytes in;
    while (rc == 0 && ferry_compress_next_block(&blocks, &in))
        rc = write_block(s, level, in, o);
    static const uint8_t end_mark[4];
    return rc < 0 ? rc : ferry_compress_append(o, end_mark, sizeof end_mark);
}

/* ---- reading ---- */

struct frame {
    const uint8_t *at, *end;
    size_t block_max;
    size_t start; /* of this frame's output, from the slab's data */
    uint8_t flags;
};

static int ends_too_soon(struct ferry_compress_out *o)
{
    return ferry_compress_bad(o, "the data ends too soon");
}

static int read_header(struct frame *f, struct ferry_compress_out *o)
{
    const uint8_t *p = f->at;
    if (f->end - p < 7)
        return ends_too_soon(o);
    f->flags = p[4];
    unsigned size_code = p[5] >> 4 & 7;
    if ((f->flags & VERSION_MASK) != VERSION_1)
        return ferry_compress_bad(o, "the frame's version is unknown");
    if (f->flags & DICTIONARY)
        return ferry_compress_bad(o, "the frame needs a dictionary");
    if (size_code < 4)
        return ferry_compress_bad(o, "the frame's block size is unknown");
    f->block_max = (size_t)1 << (8 + 2 * size_code);
    size_t header = f->flags & CONTENT_SIZE ? 14 : 6;
    if ((size_t)(f->end - p) < header + 1)
        return ends_too_soon(o);
    uint8_t right = (uint8_t)(xxh32(p + 4, header - 4) >> 8);
    uint8_t old = (uint8_t)(xxh32(p, header) >> 8);
    if (p[header] != right && p[header] != old)
        return ferry_compress_bad(o, "the frame's header checksum is wrong");
    f->at = p + header + 1;
    return 0;
}

/* The library does not tell a block that is malformed from one for which there is no room. */
static int too_long_or_bad(struct ferry_compress_out *o)
{
    return ferry_fail(
        o->err, FERRY_E_CODEC,
        "lz4: a block is malformed, or the data expands beyond the limit of %zu bytes", o->limit);
}

static int expand(const struct frame *f, const uint8_t *from, size_t len,
                  struct ferry_compress_out *o)
{
    size_t most = len * BEST_RATIO, room;
    most = most < f->block_max ? most : f->block_max;
    int rc = ferry_compress_room(o, most, &room);
    if (rc < 0)
        return rc;
    uint8_t *base = o->slab->data, *to = base + o->slab->len;
    int cap = (int)(room < most ? room : most), n;
    if (f->flags & INDEPENDENT) {
        n = LZ4_decompress_safe((const char *)from, (char *)to, (int)len, cap);
    } else {
        size_t known = o->slab->len - f->start, reach = known < 65536 ? known : 65536;
        n = LZ4_decompress_safe_usingDict((const char *)from, (char *)to, (int)len, cap,
                                          (const char *)to - reach, (int)reach);
    }
    if (n < 0)
        return room < most ? too_long_or_bad(o) : ferry_compress_bad(o, "a block is malformed");
    ferry_compress_wrote(o, (size_t)n);
    return 0;
}

/* 1: a block was read; 0: the end mark. */
static int read_block(struct frame *f, struct ferry_compress_out *o)
{
    if (f->end - f->at < 4)
        return ends_too_soon(o);
    uint32_t word = le32(f->at);
    size_t len = word & 0x7fffffff, sum = f->flags & BLOCK_SUM ? 4 : 0;
    f->at += 4;
    if (word == 0)
        return 0;
    if (len > f->block_max)
        return ferry_compress_bad(o, "a block is larger than its frame allows");
    if ((size_t)(f->end - f->at) < len + sum)
        return ends_too_soon(o);
    const uint8_t *from = f->at;
    f->at += len + sum;
    if (sum && le32(from + len) != xxh32(from, len))
        return ferry_compress_bad(o, "a block's checksum is wrong");
    int rc =
        word & (uint32_t)STORED ? ferry_compress_append(o, from, len) : expand(f, from, len, o);
    return rc < 0 ? rc : 1;
}

static int read_frame(struct frame *f, struct ferry_compress_out *o)
{
    int rc = read_header(f, o);
    f->start = o->slab->len;
    while (rc == 0 && (rc = read_block(f, o)) > 0)
        rc = 0;
    if (rc < 0 || !(f->flags & CONTENT_SUM))
        return rc;
    if (f->end - f->at < 4)
        return ends_too_soon(o);
    if (le32(f->at) != xxh32(o->slab->data + f->start, o->slab->len - f->start))
        return ferry_compress_bad(o, "the content checksum is wrong");
    f->at += 4;
    return 0;
}

static int unpack(void **state, struct ferry_bytes in, struct ferry_compress_out *o)
{
    (void)state;
    struct frame f = {.at = in.data, .end = in.data + in.len};
    int rc = 0;
    for (bool first = true; rc == 0; first = false) {
        if (f.end - f.at < 4)
            return first ? ends_too_soon(o) : 0;
        uint32_t magic = le32(f.at);
        if ((magic & ~0xfu) == MAGIC_SKIP && f.end - f.at >= 8 &&
            le32(f.at + 4) <= (size_t)(f.end - f.at - 8))
            f.at += 8 + (size_t)le32(f.at + 4);
        else if (magic == MAGIC)
            rc = read_frame(&f, o);
        else
            return first ? ferry_compress_bad(o, "the data is not a frame") : 0;
    }
    return rc;
}

static void free_state(void *state)
{
    struct state *s = state;
    ferry_free(s->fast);
    ferry_free(s->slow);
    ferry_free(s);
}

const struct ferry_compress_ops ferry_compress_lz4 = {pack, unpack, free_state};
