/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_COMPRESS_IMPL_H
#define RECORD_COMPRESS_IMPL_H
/* Between compress.c and one file per codec; nobody else includes this. */
#include "record/compress.h"

/* Where output goes: behind what the slab held before, never more than limit bytes of it. */
struct ferry_compress_out {
    struct ferry_slab *slab;
    size_t start; /* slab->len before */
    size_t limit; /* most bytes that may be added */
    int codec;
    struct ferry_error *err;
};

static inline size_t ferry_compress_used(const struct ferry_compress_out *o)
{
    return o->slab->len - o->start;
}

/*
 * Free room at slab->data + slab->len: *room is `want` at least, unless the limit leaves less; one
 * byte more than the limit is allowed to be written, so that reaching it can be told from exceeding
 * it. 0, FERRY_E_CODEC when the limit is exceeded already, or FERRY_E_NOMEM.
 */
int ferry_compress_room(struct ferry_compress_out *o, size_t want, size_t *room);
/* n bytes were written there. */
static inline void ferry_compress_wrote(struct ferry_compress_out *o, size_t n)
{
    o->slab->len += n;
}
int ferry_compress_append(struct ferry_compress_out *o, const void *data, size_t len);
/* FERRY_E_CODEC "<codec>: <what>" */
int ferry_compress_bad(struct ferry_compress_out *o, const char *what);
int ferry_compress_beyond(struct ferry_compress_out *o);

/* Cuts parts into blocks in one piece each: a view of a part where it can be, else gathered in
 * scratch. */
struct ferry_compress_blocks {
    const struct ferry_bytes *parts;
    size_t count; /* parts left, the current one included */
    size_t at;    /* consumed of the current part */
    size_t block; /* size of a block; scratch has as much */
    uint8_t *scratch;
};
/* false: no more. */
bool ferry_compress_next_block(struct ferry_compress_blocks *b, struct ferry_bytes *out);

/* *state is NULL at first, and the codec's own from then on; freed by free(*state). */
struct ferry_compress_ops {
    int (*compress)(void **state, int level, const struct ferry_bytes *parts, size_t count,
                    struct ferry_compress_out *o);
    int (*decompress)(void **state, struct ferry_bytes in, struct ferry_compress_out *o);
    void (*free)(void *state);
};

extern const struct ferry_compress_ops ferry_compress_gzip, ferry_compress_snappy,
    ferry_compress_lz4, ferry_compress_zstd;

#endif
