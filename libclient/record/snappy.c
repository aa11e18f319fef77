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
#include "record/snappy_block.h"

enum { BLOCK = 32 * 1024, FRAME_HEADER = 16 };

static const uint8_t frame_header[FRAME_HEADER] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                   0,    0,   0,   1,   0,   0,   0,   1};

struct state {
    uint16_t table[FERRY_SNAPPY_TABLE];
    uint8_t scratch[BLOCK];
};

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
        size_t room;
        rc = ferry_compress_room(o, 4 + ferry_snappy_block_bound(in.len), &room);
        if (rc < 0)
            break;
        uint8_t *at = o->slab->data + o->slab->len;
        size_t n = ferry_snappy_block_compress(in.data, in.len, at + 4, s->table);
        ferry_put32(at, (uint32_t)n);
        ferry_compress_wrote(o, 4 + n);
    }
    return rc;
}

static int block(const uint8_t *in, size_t len, struct ferry_compress_out *o)
{
    const uint8_t *body;
    int64_t size = ferry_snappy_block_size(in, len, &body);
    if (size < 0)
        return ferry_compress_bad(o, "a block's size is malformed");
    size_t room;
    int rc = ferry_compress_room(o, (size_t)size, &room);
    if (rc < 0)
        return rc;
    if (room < (size_t)size)
        return ferry_compress_beyond(o);
    if (ferry_snappy_block_expand(body, in + len, o->slab->data + o->slab->len, (size_t)size))
        return ferry_compress_bad(o, "a block is malformed");
    ferry_compress_wrote(o, (size_t)size);
    return 0;
}

static int unpack(void **state, struct ferry_bytes in, struct ferry_compress_out *o)
{
    (void)state;
    if (in.len < FRAME_HEADER || memcmp(in.data, frame_header, 8))
        return block(in.data, in.len, o);
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
        rc = block(p + 4, len, o);
        p += 4 + len;
    }
    return rc;
}

const struct ferry_compress_ops ferry_compress_snappy = {pack, unpack, ferry_free};
