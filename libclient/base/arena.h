/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
/*
 * A bump allocator with a limit: everything is freed at once. Decoding takes its limit from the caller, so a
 * hostile message cannot take more memory than its receiver allows.
 */
#include <stddef.h>
#include <stdint.h>

struct ferry_arena_chunk;

struct ferry_arena {
    struct ferry_arena_chunk *chunks; /* newest first */
    char *at, *end;                   /* free space of the newest chunk */
    size_t used;                      /* bytes handed out */
    size_t limit;                     /* most bytes that may be handed out */
};

/* A zeroed arena with limit set is ready too: no memory is taken before the first allocation. */
void ferry_arena_init(struct ferry_arena *a, size_t limit);
/* Zeroed, 16-byte aligned; NULL if the limit or the memory is exhausted. */
void *ferry_arena_alloc(struct ferry_arena *a, size_t size);
void *ferry_arena_array(struct ferry_arena *a, size_t count, size_t size);
char *ferry_arena_strndup(struct ferry_arena *a, const char *s, size_t n);
/* Frees everything but keeps the newest chunk for reuse. */
void ferry_arena_reset(struct ferry_arena *a);
void ferry_arena_free(struct ferry_arena *a);

#endif
