/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLUSTER_PARTITION_H
#define CLUSTER_PARTITION_H
/*
 * What the node adds to a partition of the image that it leads: the log, the high watermark and who waits for it.
 * With one replica the high watermark is the log's stable end.
 */
#include "refbroker/cluster/image.h"
#include "refbroker/log/log.h"

struct broker_node;

/* Somebody who wants to know when records become visible or the partition goes. wake may remove it, not add. */
struct broker_waiter {
    struct ferry_link link;
    void (*wake)(struct broker_waiter *);
};

struct broker_partition {
    struct broker_node *node;
    struct image_topic *topic; /* NULL once the topic is deleted */
    int32_t index;
    struct log *log;
    bool open; /* the log can be used */
    int error; /* or why not: a Kafka code; 0 while it is being opened */
    struct ferry_link waiters;
    struct log_request closing, settling; /* settling: what was found is made durable */
    struct ferry_link gone; /* among those that are being deleted */
};

/* Makes the node's part and opens the log. FERRY_E_NOMEM leaves nothing. */
int broker_partition_open(struct broker_node *, struct image_topic *, int32_t index);
/* The topic is deleted: everybody is woken, the log goes. Frees the part when the log is gone; until then nothing new
 * comes into being (metalog.h), so that a topic of the same name does not meet the old one's files. */
void broker_partition_delete(struct broker_partition *);
/* The topic's settings have changed. */
void broker_partition_configure(struct broker_partition *);
/* Frees it without a further action; the log is freed with its directory. */
void broker_partition_free(struct broker_partition *);

/* The leader epoch under which this node leads it. */
static inline int32_t broker_partition_epoch(const struct broker_partition *p)
{
    return p->topic->partitions[p->index].leader_epoch;
}

/*
 * Finds the partition that a client names, by name or (where the name is null) by id. 0 with *out set, or the Kafka
 * code: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, LEADER_NOT_AVAILABLE while it is being opened,
 * KAFKA_STORAGE_ERROR when its log cannot be used.
 */
int broker_partition_find(struct broker_node *, struct ferry_str name, const struct ferry_uuid *id,
                          int32_t index, struct broker_partition **out);
/* current_leader_epoch of a request (-1: not stated): 0, FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH. */
int broker_partition_check_epoch(const struct broker_partition *, int32_t epoch);

/* Brings the node's partitions in line with image->changed and ->removed, and its settings with the image's. */
void broker_partition_reconcile(struct broker_node *);

#endif
