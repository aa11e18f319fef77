/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/partitioner.h"

#include "record/crc32c.h"

uint32_t ferry_partitioner_murmur2(const void *key, size_t len)
{
    enum { SHIFT = 24 };
    static const uint32_t m = 0x5bd1e995;
    const uint8_t *p = key;
    uint32_t h = 0x9747b28c ^ (uint32_t)len;
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t k =
            (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> SHIFT;
        h = h * m ^ k * m;
    }
    if (len >= 3)
        h ^= (uint32_t)p[2] << 16;
    if (len >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (len >= 1)
        h = (h ^ p[0]) * m;
    h = (h ^ h >> 13) * m;
    return h ^ h >> 15;
}

uint32_t ferry_partitioner_fnv1a(const void *key, size_t len)
{
    const uint8_t *p = key;
    uint32_t h = 0x811c9dc5;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x01000193;
    return h >> 31 ? 0 - h : h;
}

static int32_t hashed(int32_t kind, struct ferry_bytes key, int32_t count)
{
    uint32_t n = (uint32_t)count;
    switch (kind) {
    case FERRY_PARTITIONER_CONSISTENT:
    case FERRY_PARTITIONER_CONSISTENT_RANDOM:
        return (int32_t)(ferry_crc32(0, key.data, key.len) % n);
    case FERRY_PARTITIONER_FNV1A:
    case FERRY_PARTITIONER_FNV1A_RANDOM:
        return (int32_t)(ferry_partitioner_fnv1a(key.data, key.len) % n);
    default:
        return (int32_t)((ferry_partitioner_murmur2(key.data, key.len) & 0x7fffffff) % n);
    }
}

enum ferry_pick ferry_partitioner_pick(int32_t kind, bool custom, bool ignore_keys,
                                       bool sticky_time, struct ferry_bytes key, int32_t count,
                                       int32_t *partition)
{
    enum ferry_pick keyless = sticky_time ? FERRY_PICK_STICKY_TIME : FERRY_PICK_RANDOM;
    if (custom)
        return !key.data && sticky_time ? FERRY_PICK_STICKY_TIME : FERRY_PICK_CUSTOM;
    switch (kind) {
    case FERRY_PARTITIONER_DEFAULT:
        if (!key.data || ignore_keys)
            return FERRY_PICK_STICKY;
        break;
    case FERRY_PARTITIONER_ROUND_ROBIN:
        return FERRY_PICK_NEXT;
    case FERRY_PARTITIONER_RANDOM:
        return key.data ? FERRY_PICK_RANDOM : keyless;
    case FERRY_PARTITIONER_CONSISTENT_RANDOM:
        if (key.len == 0)
            return keyless;
        break;
    case FERRY_PARTITIONER_MURMUR2_RANDOM:
    case FERRY_PARTITIONER_FNV1A_RANDOM:
        if (!key.data)
            return keyless;
        break;
    default:
        break;
    }
    *partition = hashed(kind, key, count);
    return FERRY_PICK_HASHED;
}

int32_t ferry_partitioner_weighted(uint32_t random, int32_t *load, int32_t n, bool all)
{
    uint32_t positive = random & 0x7fffffff;
    int32_t longest = load[0];
    bool equal = true;
    for (int32_t i = 1; i < n; i++) {
        equal = equal && load[i] == load[0];
        longest = load[i] > longest ? load[i] : longest;
    }
    if (equal && all)
        return (int32_t)(positive % (uint32_t)n);
    /* Each partition's share is how much shorter its queue is than one more than the longest. */
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += longest + 1 - load[i];
        load[i] = sum;
    }
    int32_t point = (int32_t)(positive % (uint32_t)sum), low = 0, high = n - 1;
    while (low < high) { /* the first share that ends beyond the point */
        int32_t middle = low + (high - low) / 2;
        if (load[middle] > point)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int32_t ferry_partitioner_random(uint32_t first, uint32_t second, int32_t count,
                                 bool (*available)(void *cookie, int32_t partition), void *cookie)
{
    int32_t p = (int32_t)(first % (uint32_t)count);
    return available(cookie, p) ? p : (int32_t)(second % (uint32_t)count);
}
