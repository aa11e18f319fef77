/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/arena.h"

#include "base/mem.h"

#include <string.h>

enum { ALIGN = 16, CHUNK_MIN = 1024, CHUNK_MAX = 256 * 1024 };

struct ferry_arena_chunk {
    struct ferry_arena_chunk *older;
    size_t size; /* bytes behind this header */
};

static char *chunk_data(struct ferry_arena_chunk *c)
{
    return (char *)c + sizeof *c;
}

void ferry_arena_init(struct ferry_arena *a, size_t limit)
{
    *a = (struct ferry_arena){.limit = limit};
}

static int add_chunk(struct ferry_arena *a, size_t need)
{
    size_t size = a->chunks ? a->chunks->size * 2 : CHUNK_MIN;
    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    if (size < need)
        size = need;
    struct ferry_arena_chunk *c = ferry_alloc(sizeof *c + size);
    if (!c)
        return -1;
    c->older = a->chunks;
    c->size = size;
    a->chunks = c;
    a->at = chunk_data(c);
    a->end = a->at + size;
    return 0;
}

void *ferry_arena_alloc(struct ferry_arena *a, size_t size)
{
    if (size > SIZE_MAX - ALIGN)
        return NULL;
    size = size ? (size + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN; /* nothing has an address too */
    if (size > a->limit - a->used)
        return NULL;
    if ((size_t)(a->end - a->at) < size && add_chunk(a, size) < 0)
        return NULL;
    void *p = a->at;
    a->at += size;
    a->used += size;
    return memset(p, 0, size);
}

void *ferry_arena_array(struct ferry_arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return ferry_arena_alloc(a, count * size);
}

char *ferry_arena_strndup(struct ferry_arena *a, const char *s, size_t n)
{
    char *copy = ferry_arena_alloc(a, n + 1);
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

void ferry_arena_reset(struct ferry_arena *a)
{
    struct ferry_arena_chunk *keep = a->chunks;
    a->used = 0;
    if (!keep)
        return;
    for (struct ferry_arena_chunk *c = keep->older, *older; c; c = older) {
        older = c->older;
        ferry_free(c);
    }
    keep->older = NULL;
    a->at = chunk_data(keep);
    a->end = a->at + keep->size;
}

void ferry_arena_free(struct ferry_arena *a)
{
    for (struct ferry_arena_chunk *c = a->chunks, *older; c; c = older) {
        older = c->older;
        ferry_free(c);
    }
    *a = (struct ferry_arena){.limit = a->limit};
}
