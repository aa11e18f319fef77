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
    size_t cap;     /* bytes at data */
    size_t len;     /* bytes in use */
    void (*on_free)(struct ferry_slab *, void *); /* NULL, or called instead of freeing when refs reach 0 */
    void *cookie;
    uint8_t data[];
};

/* One reference, len 0, data not initialised; NULL without memory. */
struct ferry_slab *ferry_slab_new(size_t cap);
struct ferry_slab *ferry_slab_ref(struct ferry_slab *s);
void ferry_slab_unref(struct ferry_slab *s); /* NULL is fine */
/* Grows a slab with exactly one reference; may move it. NULL without memory (the old one stays). */
struct ferry_slab *ferry_slab_grow(struct ferry_slab *s, size_t cap);

#endif
