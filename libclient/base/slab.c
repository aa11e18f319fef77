/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/slab.h"

#include "base/check.h"
#include "base/mem.h"

struct ferry_slab *ferry_slab_new(size_t cap)
{
    struct ferry_slab *s = ferry_alloc(sizeof *s + cap);
    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    s->flags = 0;
    s->cap = cap;
    s->len = 0;
    s->on_free = NULL;
    s->cookie = NULL;
    return s;
}

struct ferry_slab *ferry_slab_ref(struct ferry_slab *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void ferry_slab_unref(struct ferry_slab *s)
{
    if (!s)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
    FERRY_CHECK(before > 0);
    if (before > 1)
        return;
    if (s->on_free)
        s->on_free(s, s->cookie);
    else
        ferry_free(s);
}

struct ferry_slab *ferry_slab_grow(struct ferry_slab *s, size_t cap)
{
    FERRY_CHECK(atomic_load(&s->refs) == 1);
    struct ferry_slab *grown = ferry_realloc(s, sizeof *s + cap);
    if (grown)
        grown->cap = cap;
    return grown;
}
