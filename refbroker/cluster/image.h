/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLUSTER_IMAGE_H
#define CLUSTER_IMAGE_H
/*
 * What the metadata log says: topics, partitions, settings, producer ids. It changes only by applying the log's
 * records, at start and live alike; nothing else in the broker decides what exists.
 *
 *  1. A topic is in by_name and by_id, or it is on `removed`.
 *  2. Whatever records did to a topic puts it on `changed`; the node takes both lists after each batch, brings its
 *     partitions in line, and frees what was removed.
 */
#include "base/list.h"
#include "base/map.h"
#include "refbroker/broker_config.h"
#include "record/batch.h"
#include "wire/messages.h"

struct broker_partition;

/* Numbers of the metadata records that the image knows. */
enum image_record {
    IMAGE_REGISTER_BROKER = 0,
    IMAGE_TOPIC = 2,
    IMAGE_PARTITION = 3,
    IMAGE_CONFIG = 4,
    IMAGE_PARTITION_CHANGE = 5,
    IMAGE_REMOVE_TOPIC = 9,
    IMAGE_FEATURE_LEVEL = 12,
    IMAGE_PRODUCER_IDS = 15,
    IMAGE_BROKER_CHANGE = 17,
    IMAGE_NO_OP = 20
};

enum image_resource { IMAGE_RESOURCE_TOPIC = 2, IMAGE_RESOURCE_BROKER = 4 };

struct image_partition {
    bool exists;
    int32_t leader, leader_epoch, partition_epoch;
    int32_t *replicas;
    int32_t replica_count;
    struct broker_partition *local; /* the node's own part; NULL until it made one */
};

struct image_topic {
    char *name;
    struct ferry_uuid id;
    struct image_partition *partitions;
    size_t partition_cap;
    int32_t partition_count; /* highest number + 1 */
    bool internal;
    struct ferry_link changed; /* in image.changed or image.removed */
    bool removed;
    struct topic_settings settings; /* effective; kept by the node */
    bool has_settings;
};

struct broker_image {
    struct ferry_map by_name, by_id; /* of struct image_topic */
    struct ferry_map removed_ids;    /* of topics that were deleted, as long as the log remembers */
    struct ferry_map configs;        /* "2:name" or "4:id" to struct broker_overrides */
    struct ferry_link changed, removed;
    bool brokers_changed; /* settings of brokers */
    int64_t next_producer_id;
    int16_t metadata_version; /* finalised level; 0: none */
    int64_t broker_epoch;     /* offset of the newest registration */
    int64_t partition_total;
    struct ferry_arena *scratch; /* for decoding; private */
};

int broker_image_init(struct broker_image *);
/* The node has taken its own parts out. */
void broker_image_free(struct broker_image *);
void broker_image_free_topic(struct image_topic *);

/* Applies the record at `offset`. Records that mean nothing to a single node are skipped. FERRY_E_PROTOCOL for one
 * that cannot be read or contradicts what is there; FERRY_E_NOMEM. */
int broker_image_apply(struct broker_image *, struct ferry_bytes value, int64_t offset,
                       struct ferry_error *err);

struct image_topic *broker_image_topic(const struct broker_image *, struct ferry_str name);
struct image_topic *broker_image_topic_by_id(const struct broker_image *,
                                             const struct ferry_uuid *id);
bool broker_image_was_removed(const struct broker_image *, const struct ferry_uuid *id);
/* NULL if there is none. */
static inline struct image_partition *broker_image_partition(const struct image_topic *t,
                                                             int32_t partition)
{
    return partition >= 0 && partition < t->partition_count && t->partitions[partition].exists
               ? &t->partitions[partition]
               : NULL;
}
/* A resource's overrides; NULL if it has none. */
const struct broker_overrides *broker_image_configs(const struct broker_image *,
                                                    enum image_resource, struct ferry_str name);

#endif
