/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ACCUM_CHUNKS_H
#define ACCUM_CHUNKS_H
/*
 * The producer's memory: pieces of a few sizes, of which batches are made, counted against
 * buffer.memory.
 *
 * A chunk holds encoded records from its front and, from its end downwards, an entry for each of
 * them in the side array (cookie, send time ...): neither ever moves, and a report finds both by
 * index. A small batch takes one small chunk; a large one goes on in larger ones.
 *
 *  1. `used` is the sum of the sizes of all chunks given out, and of what batches count beside
 * them.
 *  2. Free chunks are kept for reuse, at most `keep` bytes of them, and dropped by
 * ferry_chunks_trim.
 *  3. Nothing here locks. The counters are atomic; the lists of free chunks are guarded by the
 * owner's lock and unlock hooks, which may be NULL where one thread does all.
 */
#include "base/bytes.h"

#include <stdatomic.h>

struct ferry_chunk {
    struct ferry_chunk *next;
    uint32_t cap;   /* bytes at data */
    uint32_t len;   /* of them used from the front */
    uint32_t count; /* records that begin in it */
    uint32_t first; /* index of the first of them in the batch */
    uint8_t data[];
};

enum {
    FERRY_CHUNK_CLASSES = 8, /* 1, 2, 4, 8, 12, 16, 24, 32 KiB, struct ferry_chunk included */
    FERRY_CHUNK_LARGEST =
        32768 /* larger records get a chunk of their own size, which is not kept */
};

struct ferry_chunks {
    _Atomic int64_t used;    /* bytes */
    _Atomic int64_t records; /* counted by whoever appends and releases */
    int64_t limit;           /* bytes; 0 = none */
    int64_t record_limit;    /* 0 = none */
    size_t keep;             /* bytes of free chunks kept at most */
    size_t kept;
    struct ferry_chunk *free[FERRY_CHUNK_CLASSES];
    void (*lock)(void *cookie);
    void (*unlock)(void *cookie);
    void (*freed)(void *cookie); /* room came back: someone may be waiting. NULL: nobody ever is */
    void *cookie;
};

void ferry_chunks_init(struct ferry_chunks *, int64_t limit, int64_t record_limit);
/* A chunk with room for `need` bytes at least and, if that is small, about `want`;
 * FERRY_E_QUEUE_FULL if the limit does not allow it, FERRY_E_NOMEM. `force` ignores the limit (for
 * what is already counted and moves). */
int ferry_chunks_get(struct ferry_chunks *, size_t need, size_t want, bool force,
                     struct ferry_chunk **out);
/* Gives a list of chunks back. */
void ferry_chunks_put(struct ferry_chunks *, struct ferry_chunk *list);
/* Counts memory that is not a chunk's (compressed bytes); negative to give it back. */
void ferry_chunks_count(struct ferry_chunks *, int64_t bytes);
/* Gives records back that were counted in `records`. */
void ferry_chunks_forget(struct ferry_chunks *, int64_t records);
/* Frees the kept chunks. */
void ferry_chunks_trim(struct ferry_chunks *);

#endif
