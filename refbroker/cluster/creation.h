/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLUSTER_CREATION_H
#define CLUSTER_CREATION_H
/*
 * Making topics: checked against the image, written as one batch of metadata records, and waited for until every
 * partition's log is open, so that whoever asked can use the topic at once. For CreateTopics, for auto-creation and
 * for the broker's own topics.
 */
#include "refbroker/cluster/metalog.h"

struct broker_creation_config {
    struct ferry_str name, value;
};

/* One topic that is wanted. Everything it names is borrowed until done. */
struct broker_creation_topic {
    struct ferry_str name;
    int32_t partitions;         /* -1: the default */
    int16_t replication_factor; /* -1: the default */
    int32_t assignment_count; /* > 0: as many partitions, checked by the caller; partitions is -1 */
    const struct broker_creation_config *configs;
    int32_t config_count;

    /* Results. error: a Kafka code; text "" where the code says it all. */
    int16_t error;
    char text[160];
    struct ferry_uuid id;
};

struct broker_creation {
    /* Set by the owner. The names are distinct, or the later ones have an error. */
    struct broker_creation_topic *topics;
    int32_t count;
    bool validate_only;
    bool
        existing_is_fine; /* a topic that exists is waited for like one that was made; error is 0 */
    void (*done)(struct broker_node *, struct broker_creation *);

    /* private */
    struct metalog_op op;
    struct ferry_link waiting;
};

/* Why the name cannot be a topic's, or NULL. */
const char *broker_creation_bad_name(struct ferry_str name);
/* done follows, never within this call. */
void broker_creation_submit(struct broker_node *, struct broker_creation *);
/* A partition has been opened, or cannot be: creations that wait for its topic look again. */
void broker_creation_opened(struct broker_node *);
/* Is every partition of the topic open, or known to be unusable? */
bool broker_creation_is_open(const struct image_topic *);
/* Adds the records of partitions [from, to) of a topic, led by this node. Within prepare. */
int broker_creation_add_partitions(struct broker_node *, const struct ferry_uuid *id, int32_t from,
                                   int32_t to);

/* __consumer_offsets as the settings say. */
void broker_creation_want_offsets(struct broker_node *, struct broker_creation_topic *,
                                  struct broker_creation_config configs[3], char text[16]);

#endif
