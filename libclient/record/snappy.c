/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * snappy as Kafka has it. Java frames it in the manner of its xerial library: 0x82 "SNAPPY" 0,
 * int32 version, int32 oldest compatible version, then blocks as int32 length and bytes, and that
 * is what is written. Clients made in C send one bare block; both are read, and a frame header
 * again where a new stream was appended to another.
 */
#include "record/compress_impl.h"

#include "base/err.h"
#include "base/mem.h"

#include <snappy-c.h>

enum {
    BLOCK = 32 * 1024,
    FRAME_HEADER = 16,
    BEST_RATIO = 22 /* the densest element is a copy: 64 bytes out of 3 */
};

static const uint8_t frame_header[FRAME_HEADER] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                   0,    0,   0,   1,   0,   0,   0,   1};

struct state {
    uint8_t scratch[BLOCK];
};

static int pack_block(struct ferry_bytes in, struct ferry_compress_out *o)
{
    size_t n = snappy_max_compressed_length(in.len), room;
    int rc = ferry_compress_room(o, 4 + n, &room);
    if (rc < 0)
        return rc;
    if (room < 4 + n)
        return ferry_compress_beyond(o);
    uint8_t *at = o->slab->data + o->slab->len;
    if (snappy_compress((const char *)in.data, in.len, (char *)at + 4, &n) != SNAPPY_OK)
        return ferry_compress_bad(o, "the library refused to compress a block");
    ferry_put32(at, (uint32_t)n);
    ferry_compress_wrote(o, 4 + n);
    return 0;
}

static int pack(void **state, int level, const struct ferry_bytes *parts, size_t count,
                struct ferry_compress_out *o)
{
    (void)level;
    if (!*state)
        *state = ferry_alloc(sizeof(struct state));
    struct state *s = *state;
    if (!s)
        return ferry_fail(o->err, FERRY_E_NOMEM, "snappy: no memory for the codec");
    int rc = ferry_compress_append(o, frame_header, FRAME_HEADER);
    struct ferry_compress_blocks blocks = {parts, count, 0, BLOCK, s->scratch};
    struct ferry_bytes in;
    while (rc == 0 && ferry_compress_next_block(&blocks, &in)) {
        rc = pack_block(in, o);
    }
    return rc;
}

/* One block. The size it claims is believed only as far as elements of its length could reach. */
static int unpack_block(const uint8_t *in, size_t len, struct ferry_compress_out *o)
{
    const char *packed = (const char *)in;
    size_t size, room;
    if (snappy_uncompressed_length(packed, len, &size) != SNAPPY_OK || size / BEST_RATIO > len)
        return ferry_compress_bad(o, "a block's size is malformed");
    int rc = ferry_compress_room(o, size, &room);
    if (rc < 0)
        return rc;
    if (room < size)
        return ferry_compress_beyond(o);
    if (snappy_uncompress(packed, len, (char *)o->slab->data + o->slab->len, &size) != SNAPPY_OK)
        return ferry_compress_bad(o, "a block is malformed");
    ferry_compress_wrote(o, size);
    return 0;
}

static int unpack(void **state, struct ferry_bytes in, struct ferry_compress_out *o)
{
    (void)state;
    if (in.len < FRAME_HEADER || memcmp(in.data, frame_header, 8))
        return unpack_block(in.data, in.len, o);
    const uint8_t *p = in.data, *end = p + in.len;
    int rc = 0;
    while (p < end && rc == 0) {
        if (end - p >= FRAME_HEADER && !memcmp(p, frame_header, 8)) {
            p += FRAME_HEADER;
            continue;
        }
        if (end - p < 4 || ferry_get32(p) > (size_t)(end - p) - 4)
            return ferry_compress_bad(o, "the data ends inside a block");
        size_t len = ferry_get32(p);
        rc = unpack_block(p + 4, len, o);
        p += 4 + len;
    }
    return rc;
}

const struct ferry_compress_ops ferry_compress_snappy = {pack, unpack, ferry_free};
