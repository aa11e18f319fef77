/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_PARTITIONER_H
#define CLIENT_PARTITIONER_H
/*
 * Which partition a record goes to, as Kafka's own client and as librdkafka decide it. Plain
 * functions; whoever holds the topic's state brings the randomness, the load and the time.
 *
 *   kind             key                       no key (null)           empty key
 *   default          murmur2                   sticky by bytes         murmur2
 *   roundrobin       next available            next available          next available
 *   random           random                    sticky by time          random
 *   consistent       crc32                     crc32 of nothing        crc32
 *   consistent_random crc32                    sticky by time          sticky by time
 *   murmur2          murmur2                   murmur2 of nothing      murmur2
 *   murmur2_random   murmur2                   sticky by time          murmur2
 *   fnv1a            fnv1a                     fnv1a of nothing        fnv1a
 *   fnv1a_random     fnv1a                     sticky by time          fnv1a
 *   custom           the function              sticky by time          the function
 *
 * Sticky by time is librdkafka's: one random partition for sticky.partitioning.linger.ms; where
 * that is 0 each such record goes to a random partition (a custom function is then called for null
 * keys too). Sticky by bytes is KIP-794: one partition for batch.size bytes, the next one chosen
 * the likelier the shorter its queue. With partitioner.ignore.keys, default treats every key as
 * null.
 */
#include "base/bytes.h"
#include "client/settings.h"

/* Java's Utils.murmur2, as an unsigned number. */
uint32_t ferry_partitioner_murmur2(const void *key, size_t len);
/* 32-bit FNV-1a folded to a positive number as Sarama and librdkafka do. */
uint32_t ferry_partitioner_fnv1a(const void *key, size_t len);

/* What a record asks for. */
enum ferry_pick {
    FERRY_PICK_HASHED,      /* *partition is it */
    FERRY_PICK_STICKY,      /* the topic's sticky partition, by bytes */
    FERRY_PICK_STICKY_TIME, /* the topic's sticky partition, by time */
    FERRY_PICK_RANDOM,      /* any, an available one if there is one at the first try */
    FERRY_PICK_NEXT,        /* round robin over the available ones */
    FERRY_PICK_CUSTOM       /* ask the topic's function */
};

/* kind: enum ferry_partitioner_setting; custom: the topic has a function of its own, which comes
 * before kind. count >= 1. */
enum ferry_pick ferry_partitioner_pick(int32_t kind, bool custom, bool ignore_keys,
                                       bool sticky_time, struct ferry_bytes key, int32_t count,
                                       int32_t *partition);

/* KIP-794's choice among n partitions with these queue lengths: the index. With `all` (none of the
 * topic's partitions was left out) and equal lengths it is uniform. load is overwritten. random is
 * any number. n >= 1. */
int32_t ferry_partitioner_weighted(uint32_t random, int32_t *load, int32_t n, bool all);

/* Which partition a random pick gives: two tries at an available one, as librdkafka; any if none
 * is. */
int32_t ferry_partitioner_random(uint32_t first, uint32_t second, int32_t count,
                                 bool (*available)(void *cookie, int32_t partition), void *cookie);

#endif
