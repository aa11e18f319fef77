/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/map.h"

#include "base/mem.h"
#include "ferry/error.h"

static uint32_t hash_bytes(const void *key, size_t len)
{
    const uint8_t *p = key;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    h ^= h >> 32;
    return (uint32_t)(h * 0x9e3779b1u);
}

/* The slot that holds the key, or the empty one where it would go. */
static size_t find_slot(const struct ferry_map *m, const void *key, size_t len, uint32_t hash)
{
    size_t mask = m->slot_count - 1, i = hash & mask;
    for (; m->slots[i]; i = (i + 1) & mask) {
        const struct ferry_map_entry *e = &m->entries[m->slots[i] - 1];
        if (e->hash == hash && e->key.data && e->key.len == len && memcmp(e->key.data, key, len) == 0)
            break;
    }
    return i;
}

void *ferry_map_get(const struct ferry_map *m, const void *key, size_t len)
{
    if (!m->live)
        return NULL;
    size_t i = find_slot(m, key, len, hash_bytes(key, len));
    return m->slots[i] ? m->entries[m->slots[i] - 1].value : NULL;
}

/* Drops removed entries and rebuilds the slots for at least `want` live ones. */
static int rehash(struct ferry_map *m, size_t want)
{
    size_t slots = 16;
    while (slots < want * 2)
        slots *= 2;
    struct ferry_map_entry *entries = ferry_alloc(slots / 2 * sizeof *entries);
    uint32_t *index = ferry_zalloc(slots * sizeof *index);
    if (!entries || !index) {
        ferry_free(entries);
        ferry_free(index);
        return FERRY_E_NOMEM;
    }
    size_t used = 0;
    for (size_t i = 0; i < m->used; i++) {
        if (!m->entries[i].key.data)
            continue;
        entries[used] = m->entries[i];
        size_t at = entries[used].hash & (slots - 1);
        while (index[at])
            at = (at + 1) & (slots - 1);
        index[at] = (uint32_t)++used;
    }
    ferry_free(m->entries);
    ferry_free(m->slots);
    *m = (struct ferry_map){entries, used, slots / 2, used, index, slots};
    return 0;
}

int ferry_map_put(struct ferry_map *m, const void *key, size_t len, void *value, void **old)
{
    if (old)
        *old = NULL;
    if (m->used == m->cap) {
        int err = rehash(m, m->live + m->live / 2 + 8);
        if (err)
            return err;
    }
    uint32_t hash = hash_bytes(key, len);
    size_t i = find_slot(m, key, len, hash);
    if (m->slots[i]) {
        struct ferry_map_entry *e = &m->entries[m->slots[i] - 1];
        if (old)
            *old = e->value;
        e->value = value;
        return 0;
    }
    uint8_t *copy = ferry_memdup(key, len);
    if (!copy)
        return FERRY_E_NOMEM;
    m->entries[m->used++] = (struct ferry_map_entry){{copy, len}, value, hash};
    m->slots[i] = (uint32_t)m->used;
    m->live++;
    return 0;
}

void *ferry_map_remove(struct ferry_map *m, const void *key, size_t len)
{
    if (!m->live)
        return NULL;
    size_t i = find_slot(m, key, len, hash_bytes(key, len));
    if (!m->slots[i])
        return NULL;
    /* The entry becomes a tombstone that its slot still names, so probe chains stay whole until a rehash. */
    struct ferry_map_entry *e = &m->entries[m->slots[i] - 1];
    void *value = e->value;
    ferry_free((void *)e->key.data);
    *e = (struct ferry_map_entry){.hash = e->hash};
    m->live--;
    return value;
}

struct ferry_map_entry *ferry_map_next(const struct ferry_map *m, size_t *at)
{
    while (*at < m->used) {
        struct ferry_map_entry *e = &m->entries[(*at)++];
        if (e->key.data)
            return e;
    }
    return NULL;
}

void ferry_map_free(struct ferry_map *m)
{
    for (size_t i = 0; i < m->used; i++)
        ferry_free((void *)m->entries[i].key.data);
    ferry_free(m->entries);
    ferry_free(m->slots);
    *m = (struct ferry_map){0};
}
