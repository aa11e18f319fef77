/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H
/*
 * A refcounted piece of memory that may cross threads: a received frame that the application still reads, an
 * encoded batch that a connection still sends. The count is atomic; the bytes are not: one owner writes, then
 * hands on.
 */
#include "base/bytes.h"

#include <stdatomic.h>

struct ferry_slab {
    _Atomic uint32_t refs;
    uint32_t flags; /* owner's own */
    size_t cap;     /* bytes at data that may be used */
    size_t room;    /* bytes that there are: more than cap in a slab that had another use before */
    size_t len;     /* bytes in use */
    void (*on_free)(struct ferry_slab *,
                    void *); /* NULL, or called instead of freeing when refs reach 0 */
    void *cookie;
    uint8_t data[];
};

/* One reference, len 0, data not initialised; NULL without memory. */
struct ferry_slab *ferry_slab_new(size_t cap);
struct ferry_slab *ferry_slab_ref(struct ferry_slab *s);
void ferry_slab_unref(struct ferry_slab *s); /* NULL is fine */
/* Grows a slab with exactly one reference; may move it. NULL without memory (the old one stays). */
struct ferry_slab *ferry_slab_grow(struct ferry_slab *s, size_t cap);

/*
 * Spare slabs. Large ones cost more to have anew (pages to be zeroed and mapped, one by one) than to be filled, so those
 * of a stream of large answers are kept for the next one. Any thread may free a slab into its pool; one thread
 * takes. Nothing is kept for long: the owner trims when the stream has stopped.
 */
struct ferry_slab_pool;

struct ferry_slab_pool *ferry_slab_pool_new(void); /* NULL without memory */
/* Closes it: slabs still in use are freed when they are given back. NULL is fine. */
void ferry_slab_pool_free(struct ferry_slab_pool *);
/* A spare one with room for `want` and not for much more, cap = want; NULL if there is none. */
struct ferry_slab *ferry_slab_pool_take(struct ferry_slab_pool *, size_t want);
/* A slab with one reference will come to the pool when it is freed, if it is large. */
void ferry_slab_pool_adopt(struct ferry_slab_pool *, struct ferry_slab *);
/* Frees the spare ones. */
void ferry_slab_pool_trim(struct ferry_slab_pool *);

#endif
