/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "drive/ids.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"

static size_t home(const struct ferry_ids *t, uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32) & (t->cap - 1);
}

static size_t find(const struct ferry_ids *t, uint64_t key)
{
    size_t at = home(t, key);
    while (t->entries[at].key && t->entries[at].key != key)
        at = (at + 1) & (t->cap - 1);
    return at;
}

void *ferry_ids_get(const struct ferry_ids *t, uint64_t key)
{
    return t->cap && key ? t->entries[find(t, key)].value : NULL;
}

static int widen(struct ferry_ids *t)
{
    struct ferry_ids wide = {.cap = t->cap ? t->cap * 2 : 16, .count = t->count};
    wide.entries = ferry_zalloc(wide.cap * sizeof *wide.entries);
    if (!wide.entries)
        return FERRY_E_NOMEM;
    for (size_t i = 0; i < t->cap; i++)
        if (t->entries[i].key)
            wide.entries[find(&wide, t->entries[i].key)] = t->entries[i];
    ferry_free(t->entries);
    *t = wide;
    return 0;
}

int ferry_ids_put(struct ferry_ids *t, uint64_t key, void *value)
{
    FERRY_CHECK(key && value);
    if (4 * (t->count + 1) > 3 * t->cap && widen(t))
        return FERRY_E_NOMEM;
    size_t at = find(t, key);
    if (t->entries[at].key)
        return FERRY_E_EXISTS;
    t->entries[at] = (struct ferry_ids_entry){key, value};
    t->count++;
    return 0;
}

void ferry_ids_remove(struct ferry_ids *t, uint64_t key)
{
    if (!t->cap || !key)
        return;
    size_t hole = find(t, key);
    if (!t->entries[hole].key)
        return;
    t->count--;
    /* Entries behind the hole move up if their home does not lie between the hole and them. */
    for (size_t at = (hole + 1) & (t->cap - 1); t->entries[at].key; at = (at + 1) & (t->cap - 1)) {
        size_t h = home(t, t->entries[at].key);
        if (((at - h) & (t->cap - 1)) >= ((at - hole) & (t->cap - 1))) {
            t->entries[hole] = t->entries[at];
            hole = at;
        }
    }
    t->entries[hole] = (struct ferry_ids_entry){0, NULL};
}

void *ferry_ids_any(const struct ferry_ids *t)
{
    for (size_t i = 0; t->count && i < t->cap; i++)
        if (t->entries[i].key)
            return t->entries[i].value;
    return NULL;
}

void ferry_ids_free(struct ferry_ids *t)
{
    ferry_free(t->entries);
    *t = (struct ferry_ids){0};
}
