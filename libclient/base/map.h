/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_MAP_H
#define BASE_MAP_H
/*
 * Hash map from bytes to a pointer. Keys are copied. Iteration is in insertion order, so that an engine's
 * behaviour never depends on addresses or on a hash seed.
 */
#include "base/bytes.h"

struct ferry_map_entry {
    struct ferry_bytes key; /* owned by the map; data NULL = removed */
    void *value;
    uint32_t hash;
};

struct ferry_map {
    struct ferry_map_entry *entries; /* insertion order */
    size_t used, cap;                /* entries in use including removed ones; room */
    size_t live;                     /* entries that are not removed */
    uint32_t *slots;                 /* index + 1 into entries; 0 empty; power of two many */
    size_t slot_count;
};

void *ferry_map_get(const struct ferry_map *, const void *key, size_t len);
/* Sets or replaces; *old (may be NULL) gets the former value or NULL. 0 or FERRY_E_NOMEM. */
int ferry_map_put(struct ferry_map *, const void *key, size_t len, void *value, void **old);
/* Returns the removed value, or NULL. */
void *ferry_map_remove(struct ferry_map *, const void *key, size_t len);
/* Iteration: start with *at = 0; NULL at the end. Removing during it is fine, adding is not. */
struct ferry_map_entry *ferry_map_next(const struct ferry_map *, size_t *at);
void ferry_map_free(struct ferry_map *); /* keys only; values are the owner's */

static inline void *ferry_map_get_str(const struct ferry_map *m, const char *s)
{
    return ferry_map_get(m, s, strlen(s));
}

#endif
