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
    s->cap = s->room = cap;
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
        grown->cap = grown->room = cap;
    return grown;
}

/* -- Pools -- */

enum {
    SPARES = 8,
    KEEP_FROM = 64 << 10, /* smaller ones are cheap to have */
    KEEP_MAX = 16 << 20,  /* all spare ones together */
    WASTE_MAX = 8         /* a spare one may be so many times larger than what is wanted */
};

struct ferry_slab_pool {
    _Atomic uint32_t refs; /* the owner's, and each adopted slab's */
    _Atomic bool closed;
    _Atomic size_t spare; /* bytes */
    _Atomic(struct ferry_slab *) slots[SPARES];
};

struct ferry_slab_pool *ferry_slab_pool_new(void)
{
    struct ferry_slab_pool *p = ferry_zalloc(sizeof *p);
    if (p)
        atomic_init(&p->refs, 1);
    return p;
}

static void pool_unref(struct ferry_slab_pool *p)
{
    if (atomic_fetch_sub(&p->refs, 1) == 1)
        ferry_free(p);
}

/* Takes a slab out of a slot; it counts as adopted still. */
static struct ferry_slab *pick(struct ferry_slab_pool *p, int slot)
{
    struct ferry_slab *s = atomic_exchange(&p->slots[slot], NULL);
    if (s)
        atomic_fetch_sub(&p->spare, s->room);
    return s;
}

static bool put(struct ferry_slab_pool *p, struct ferry_slab *s)
{
    size_t room = s->room;
    if (atomic_load(&p->closed))
        return false;
    if (atomic_fetch_add(&p->spare, room) + room > KEEP_MAX) {
        atomic_fetch_sub(&p->spare, room);
        return false;
    }
    for (int i = 0; i < SPARES; i++) {
        struct ferry_slab *none = NULL;
        if (atomic_compare_exchange_strong(&p->slots[i], &none, s))
            return true;
    }
    atomic_fetch_sub(&p->spare, room);
    return false;
}

static void give_back(struct ferry_slab *s, void *cookie)
{
    struct ferry_slab_pool *p = cookie;
    atomic_fetch_add(&p->refs, 1); /* once it is a spare, its own reference is whoever takes it's */
    if (s->room < KEEP_FROM || !put(p, s)) {
        ferry_free(s);
        pool_unref(p);
    }
    if (atomic_load(&p->closed))
        ferry_slab_pool_trim(p); /* it was closed between two looks */
    pool_unref(p);
}

void ferry_slab_pool_adopt(struct ferry_slab_pool *p, struct ferry_slab *s)
{
    if (s->on_free || s->room < KEEP_FROM)
        return;
    atomic_fetch_add(&p->refs, 1);
    s->on_free = give_back;
    s->cookie = p;
}

struct ferry_slab *ferry_slab_pool_take(struct ferry_slab_pool *p, size_t want)
{
    for (int i = 0; i < SPARES && want >= KEEP_FROM; i++) {
        struct ferry_slab *s = pick(p, i);
        if (!s)
            continue;
        if (s->room >= want && s->room / WASTE_MAX <= want) {
            atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
            s->cap = want;
            s->len = 0;
            s->flags = 0;
            return s;
        }
        if (s->room >= want && put(p, s))
            continue;
        ferry_free(s); /* too small: the stream has grown */
        pool_unref(p);
    }
    return NULL;
}

void ferry_slab_pool_trim(struct ferry_slab_pool *p)
{
    for (int i = 0; i < SPARES; i++) {
        struct ferry_slab *s = pick(p, i);
        if (!s)
            continue;
        ferry_free(s);
        pool_unref(p);
    }
}

void ferry_slab_pool_free(struct ferry_slab_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->closed, true);
    ferry_slab_pool_trim(p);
    pool_unref(p);
}
