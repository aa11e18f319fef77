/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVE_IDS_H
#define DRIVE_IDS_H
/* From an engine's id (slot and generation) to the driver's object. Open addressing; a key of 0 is
 * never used. */
#include "engine/env.h"

struct ferry_ids {
    struct ferry_ids_entry {
        uint64_t key;
        void *value;
    } * entries;
    size_t count, cap; /* cap is a power of two, or 0 */
};

static inline uint64_t ferry_ids_key(struct ferry_id id)
{
    return (uint64_t)id.slot << 32 | id.gen;
}

/* NULL if it is not there. */
void *ferry_ids_get(const struct ferry_ids *, uint64_t key);
/* 0, FERRY_E_NOMEM, or FERRY_E_EXISTS. */
int ferry_ids_put(struct ferry_ids *, uint64_t key, void *value);
void ferry_ids_remove(struct ferry_ids *, uint64_t key);
/* Any value, or NULL when it is empty: for taking everything down. */
void *ferry_ids_any(const struct ferry_ids *);
void ferry_ids_free(struct ferry_ids *);

#endif
