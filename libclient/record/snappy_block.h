/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_SNAPPY_BLOCK_H
#define RECORD_SNAPPY_BLOCK_H
/*
 * The snappy block format, both ways. Our own, since the library that everybody uses is C++:
 * loading its run time costs each process half a millisecond and a megabyte, more than the rest of
 * a small client.
 */
#include <stddef.h>
#include <stdint.h>

enum {
    FERRY_SNAPPY_BLOCK_MAX = 64 * 1024, /* most input of one compressed block */
    FERRY_SNAPPY_TABLE = 16 * 1024      /* entries of the compressor's scratch table */
};

/* Most bytes that compressing len bytes can give. */
static inline size_t ferry_snappy_block_bound(size_t len)
{
    return 32 + len + len / 6;
}

/* Compresses len <= FERRY_SNAPPY_BLOCK_MAX bytes; out has room for the bound. Returns the size. */
size_t ferry_snappy_block_compress(const uint8_t *in, size_t len, uint8_t *out,
                                   uint16_t table[FERRY_SNAPPY_TABLE]);

/*
 * The size that a block claims to expand to, and *body where its elements begin; -1 if it is
 * malformed, or claims more than elements of that length can make (so that a claim is safe to
 * allocate).
 */
int64_t ferry_snappy_block_size(const uint8_t *in, size_t len, const uint8_t **body);
/* Expands the elements [body, end) to exactly size bytes; 0, or -1 if they are malformed. */
int ferry_snappy_block_expand(const uint8_t *body, const uint8_t *end, uint8_t *out, size_t size);

#endif
