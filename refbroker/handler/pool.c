/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 1. A slab's true size is in `flags`: a class (below 64), or the size in units of 4 KiB above the classes. `cap` is
 *    the user's to lower while the slab is lent to the driver. The highest bit says that it is parked.
 */
#include "config.h"

#include "refbroker/handler/pool.h"

#include "base/check.h"
#include "base/mem.h"

enum { BIG_UNIT = 4096, BIG_FLAG = 64, PARKED_MAX = 32 << 20, PARKED_SMALL = 4096 };
#define PARKED 0x80000000u

static unsigned class_of(size_t cap)
{
    unsigned c = POOL_CLASS_FIRST;
    while (((size_t)1 << c) < cap)
        c++;
    return c;
}

size_t broker_pool_room(const struct ferry_slab *s)
{
    uint32_t flags = s->flags & ~PARKED;
    return flags < BIG_FLAG ? (size_t)1 << flags : (size_t)(flags - BIG_FLAG) * BIG_UNIT;
}

void broker_pool_init(struct broker_pool *p, size_t spare_max)
{
    *p = (struct broker_pool){.spare_max = spare_max};
}

static void take_back(struct ferry_slab *s, void *cookie)
{
    struct broker_pool *p = cookie;
    size_t room = broker_pool_room(s);
    size_t *count = s->flags & PARKED ? &p->parked : &p->held;
    FERRY_CHECK(*count >= room);
    *count -= room;
    s->flags &= ~PARKED;
    if (s->flags >= BIG_FLAG || p->spare_bytes + room > p->spare_max) {
        ferry_free(s);
        return;
    }
    s->cookie = p->spare[s->flags - POOL_CLASS_FIRST];
    p->spare[s->flags - POOL_CLASS_FIRST] = s;
    p->spare_bytes += room;
}

static struct ferry_slab *fresh(size_t room, uint32_t flags)
{
    struct ferry_slab *s = ferry_slab_new(room);
    if (s)
        s->flags = flags;
    return s;
}

static size_t big_units(size_t cap)
{
    return (cap + BIG_UNIT - 1) / BIG_UNIT;
}

struct ferry_slab *broker_pool_get(struct broker_pool *p, size_t cap)
{
    struct ferry_slab *s;
    if (cap > (size_t)1 << POOL_CLASS_LAST) {
        size_t units = big_units(cap);
        s = fresh(units * BIG_UNIT, (uint32_t)units + BIG_FLAG);
    } else {
        unsigned c = class_of(cap);
        s = p->spare[c - POOL_CLASS_FIRST];
        if (s) {
            p->spare[c - POOL_CLASS_FIRST] = s->cookie;
            p->spare_bytes -= (size_t)1 << c;
            atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
        } else {
            s = fresh((size_t)1 << c, c);
        }
    }
    if (!s)
        return NULL;
    s->cap = broker_pool_room(s);
    s->len = 0;
    s->on_free = take_back;
    s->cookie = p;
    p->held += s->cap;
    return s;
}

struct ferry_slab *broker_pool_grow(struct broker_pool *p, struct ferry_slab *s, size_t cap)
{
    size_t room = broker_pool_room(s);
    if (cap <= room) {
        s->cap = room;
        return s;
    }
    if (s->flags >= BIG_FLAG) { /* the allocator moves pages, not bytes */
        size_t units = big_units(cap);
        struct ferry_slab *grown = ferry_slab_grow(s, units * BIG_UNIT);
        if (!grown)
            return NULL;
        grown->flags = (uint32_t)units + BIG_FLAG;
        p->held += units * BIG_UNIT - room;
        return grown;
    }
    struct ferry_slab *grown = broker_pool_get(p, cap);
    if (!grown)
        return NULL;
    memcpy(grown->data, s->data, s->len);
    grown->len = s->len;
    ferry_slab_unref(s);
    return grown;
}

void broker_pool_park(struct broker_pool *p, struct ferry_slab *s)
{
    size_t room = broker_pool_room(s);
    if (s->flags & PARKED || (room > PARKED_SMALL && p->parked + room > PARKED_MAX))
        return;
    s->flags |= PARKED;
    p->held -= room;
    p->parked += room;
}

void broker_pool_free(struct broker_pool *p)
{
    FERRY_CHECK(p->held == 0 && p->parked == 0);
    for (int i = 0; i < POOL_CLASSES; i++)
        while (p->spare[i]) {
            struct ferry_slab *s = p->spare[i];
            p->spare[i] = s->cookie;
            ferry_free(s);
        }
    p->spare_bytes = 0;
}
