/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_CONSUMER_LIST_H
#define CLIENT_CONSUMER_LIST_H
/* struct ferry_partition_list of ferry/consumer.h, seen from inside. */
#include "base/bytes.h"
#include "ferry/consumer.h"

struct ferry_partition_list {
    struct ferry_topic_partition *items; /* topic and metadata are the list's own */
    size_t count, cap;
};

/* A deep copy; NULL without memory, and for NULL. */
struct ferry_partition_list *ferry_consumer_list_copy(const struct ferry_partition_list *);
/* Adds by view; the index, or FERRY_E_NOMEM. */
int ferry_consumer_list_add(struct ferry_partition_list *, struct ferry_str topic,
                            int32_t partition, int64_t offset);
/* By topic, then partition. */
void ferry_consumer_list_sort(struct ferry_partition_list *);
void ferry_consumer_list_clear(struct ferry_partition_list *);
/* The index, or FERRY_E_NOT_FOUND. */
int ferry_consumer_list_find(const struct ferry_partition_list *, struct ferry_str topic,
                             int32_t partition);
bool ferry_consumer_list_has(const struct ferry_partition_list *, struct ferry_str topic,
                             int32_t partition);

#endif
