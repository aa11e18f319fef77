/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "accum/chunks.h"

#include "base/mem.h"
#include "ferry/error.h"

/* Steps of a third to a half, so that a batch of known size wastes little of its chunk. */
static const uint32_t class_size[FERRY_CHUNK_CLASSES] = {1024,  2048,  4096,  8192,
                                                         12288, 16384, 24576, FERRY_CHUNK_LARGEST};

void ferry_chunks_init(struct ferry_chunks *c, int64_t limit, int64_t record_limit)
{
    memset(c, 0, sizeof *c);
    c->limit = limit;
    c->record_limit = record_limit;
    c->keep = limit > 0 ? (size_t)limit : 32u << 20;
}

/* The smallest class that holds `size` bytes of chunk; FERRY_CHUNK_CLASSES if none does. */
static int class_of(size_t size)
{
    int class = 0;
    while (class < FERRY_CHUNK_CLASSES && class_size[class] < size)
        class ++;
    return class;
}

static bool reserve(struct ferry_chunks *c, int64_t size, bool force)
{
    int64_t before = atomic_fetch_add_explicit(&c->used, size, memory_order_relaxed);
    if (force || c->limit <= 0 || before + size <= c->limit)
        return true;
    atomic_fetch_sub_explicit(&c->used, size, memory_order_relaxed);
    return false;
}

static struct ferry_chunk *get_kept(struct ferry_chunks *c, int class)
{
    if (c->lock)
        c->lock(c->cookie);
    struct ferry_chunk *k = c->free[class];
    if (k) {
        c->free[class] = k->next;
        c->kept -= class_size[class];
    }
    if (c->unlock)
        c->unlock(c->cookie);
    return k;
}

int ferry_chunks_get(struct ferry_chunks *c, size_t need, size_t want, bool force,
                     struct ferry_chunk **out)
{
    int class = class_of((want > need ? want : need) + sizeof(struct ferry_chunk));
    int least = class_of(need + sizeof(struct ferry_chunk));
    if (class == FERRY_CHUNK_CLASSES && least < FERRY_CHUNK_CLASSES)
        class = FERRY_CHUNK_CLASSES - 1;
    size_t size =
        class < FERRY_CHUNK_CLASSES ? class_size[class] : need + sizeof(struct ferry_chunk);
    if (!reserve(c, (int64_t)size, force)) {
        if (least >= class || !reserve(c, class_size[least], force))
            return FERRY_E_QUEUE_FULL;
        class = least;
        size = class_size[class];
    }
    struct ferry_chunk *k = class < FERRY_CHUNK_CLASSES ? get_kept(c, class) : NULL;
    if (!k)
        k = ferry_alloc(size);
    if (!k) {
        atomic_fetch_sub_explicit(&c->used, (int64_t)size, memory_order_relaxed);
        return FERRY_E_NOMEM;
    }
    k->next = NULL;
    k->cap = (uint32_t)(size - sizeof *k);
    k->len = k->count = k->first = 0;
    *out = k;
    return 0;
}

void ferry_chunks_put(struct ferry_chunks *c, struct ferry_chunk *list)
{
    int64_t bytes = 0;
    struct ferry_chunk *surplus = NULL;
    if (!list)
        return;
    if (c->lock)
        c->lock(c->cookie);
    while (list) {
        struct ferry_chunk *k = list;
        list = k->next;
        size_t size = k->cap + sizeof *k;
        int class = class_of(size);
        bytes += (int64_t)size;
        if (class < FERRY_CHUNK_CLASSES && c->kept + size <= c->keep) {
            k->next = c->free[class];
            c->free[class] = k;
            c->kept += size;
        } else {
            k->next = surplus;
            surplus = k;
        }
    }
    if (c->unlock)
        c->unlock(c->cookie);
    while (surplus) {
        struct ferry_chunk *k = surplus;
        surplus = k->next;
        ferry_free(k);
    }
    ferry_chunks_count(c, -bytes);
}

void ferry_chunks_count(struct ferry_chunks *c, int64_t bytes)
{
    atomic_fetch_add(&c->used, bytes);
    if (bytes < 0 && c->freed)
        c->freed(c->cookie);
}

void ferry_chunks_forget(struct ferry_chunks *c, int64_t records)
{
    atomic_fetch_sub(&c->records, records);
    if (c->record_limit > 0 && c->freed)
        c->freed(c->cookie);
}

void ferry_chunks_trim(struct ferry_chunks *c)
{
    struct ferry_chunk *lists[FERRY_CHUNK_CLASSES];
    if (c->lock)
        c->lock(c->cookie);
    memcpy(lists, c->free, sizeof lists);
    memset(c->free, 0, sizeof c->free);
    c->kept = 0;
    if (c->unlock)
        c->unlock(c->cookie);
    for (int i = 0; i < FERRY_CHUNK_CLASSES; i++)
        while (lists[i]) {
            struct ferry_chunk *k = lists[i];
            lists[i] = k->next;
            ferry_free(k);
        }
}
