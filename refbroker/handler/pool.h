/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANDLER_POOL_H
#define HANDLER_POOL_H
/*
 * Slabs for what arrives, reused: powers of two from 256 bytes to 1 MiB are kept for the next taker up to a bound,
 * larger ones go back at once. `held` counts what is out, which queued.max.request.bytes bounds.
 */
#include "base/slab.h"

enum {
    POOL_CLASS_FIRST = 8,
    POOL_CLASS_LAST = 20,
    POOL_CLASSES = POOL_CLASS_LAST - POOL_CLASS_FIRST + 1
};

struct broker_pool {
    struct ferry_slab *spare[POOL_CLASSES]; /* chained through cookie */
    size_t spare_bytes, spare_max;
    size_t held;   /* bytes that are out */
    size_t parked; /* bytes that are out, but set aside */
};

void broker_pool_init(struct broker_pool *, size_t spare_max);
/* len 0, one reference; cap is at least `cap`. NULL without memory. Released by ferry_slab_unref. */
struct ferry_slab *broker_pool_get(struct broker_pool *, size_t cap);
/* A slab with one reference grown to at least `cap`; may move. NULL without memory (the old one stays). */
struct ferry_slab *broker_pool_grow(struct broker_pool *, struct ferry_slab *, size_t cap);
/* The memory a slab takes, whatever its cap was set to while it was lent. */
size_t broker_pool_room(const struct ferry_slab *);
/* A request that holds the slab waits for something that may take long: it counts as parked, no longer as held,
 * unless it is large and much is parked already. */
void broker_pool_park(struct broker_pool *, struct ferry_slab *);
/* Every slab must be back. */
void broker_pool_free(struct broker_pool *);

#endif
