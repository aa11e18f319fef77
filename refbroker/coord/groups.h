/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef COORD_GROUPS_H
#define COORD_GROUPS_H
/*
 * The group coordinator's store: groups and offsets as records of __consumer_offsets.
 *
 *  1. A group belongs to the partition |Java hash of its name| mod the number of partitions (its shard).
 *  2. What is committed is what broker_groups_apply made of the log's records, at start and live alike. A handler
 *     gives records; they are applied, and it answers, when the log says that they are written (where the flush
 *     policy is 1: on disk).
 *  3. A shard that is being read answers COORDINATOR_LOAD_IN_PROGRESS. Shards are read one at a time.
 */
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "refbroker/log/log.h"
#include "wire/messages.h"
#include "wire/writer.h"

struct broker_node;
struct broker_partition;
struct image_topic;
struct coord_group;

enum coord_shard_state { SHARD_CLOSED, SHARD_WAITING, SHARD_LOADING, SHARD_READY, SHARD_FAILED };

struct coord_shard {
    struct broker_node *node;
    int32_t index;
    enum coord_shard_state state;
    struct broker_partition *partition;
    struct log_scan scan;
};

struct broker_groups {
    struct ferry_map by_name; /* of struct coord_group */
    struct coord_shard *shards;
    int32_t shard_count;
    bool loading; /* a shard is being read */
    struct ferry_timer expiry;
    struct ferry_link writes; /* of struct coord_write, under way */
    /* the batch being made */
    struct ferry_writer records, key, value;
    int32_t count;
    uint64_t rebalances;
    struct ferry_codecs *codecs; /* for batches that others compressed */
    struct ferry_slab *expanded;
};

void broker_groups_init(struct broker_groups *);
void broker_groups_free(struct broker_node *);
/* The node serves: what is in the logs is read in the background. */
void broker_groups_load(struct broker_node *);
/* A partition's log is open. */
void broker_groups_log_opened(struct broker_node *, struct broker_partition *);
/* The topic is deleted: so are its offsets. */
void broker_groups_topic_removed(struct broker_node *, const struct image_topic *);
/* Part of the end of a step. */
bool broker_groups_settle(struct broker_node *);

/* The shard of a group. 0, or the Kafka code that says why not. */
int broker_groups_shard(struct broker_node *, struct ferry_str group, struct coord_shard **out);
/* abs(String.hashCode()) as Java computes it. */
uint32_t broker_groups_hash(struct ferry_str);

/* ---- writing: begin, add records, submit ---- */

/* Lives until done has run. */
struct coord_write {
    /* error: 0, or a Kafka code fit for a group API. The records are applied already. */
    void (*done)(struct coord_write *, int error);
    /* Set by the owner where the write is memory of its own: frees it when the node goes first. */
    void (*destroy)(struct coord_write *);
    /* private */
    struct ferry_link link;
    struct broker_node *node;
    const struct coord_shard *shard;
    struct log_append append;
};

void broker_groups_begin(struct broker_node *);
/* Each: 0, FERRY_E_NOMEM or an encoding error. value NULL: a tombstone. */
int broker_groups_add_offset(struct broker_node *, struct ferry_str group, struct ferry_str topic,
                             int32_t partition, const struct ferry_offset_commit_value *value);
int broker_groups_add_group(struct broker_node *, struct ferry_str group,
                            const struct ferry_group_metadata_value *);
/* Is what was added larger than message.max.bytes? As in Kafka, such a commit or group is refused. */
bool broker_groups_too_large(const struct broker_node *);
/* Writes what was added. A Kafka code when it cannot begin (done is not called then); else done follows, perhaps
 * from within. */
int broker_groups_submit(struct broker_node *, const struct coord_shard *, struct coord_write *);
/* The same where nobody waits for the outcome; a failure is logged. */
void broker_groups_submit_detached(struct broker_node *, struct coord_group *, const char *what);

#endif
