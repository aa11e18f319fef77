/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_ASSIGN_H
#define CLIENT_ASSIGN_H
/*
 * The assignors that a group's leader runs: pure functions from (topics, members) to an owner for each partition.
 *
 * range and roundrobin give exactly what Java's classes give. sticky and cooperative-sticky give a balance at least
 * as even as Java's, and of all such keep as much as possible where it was.
 *
 * Names are looked at only for their order (Java's: by UTF-16 code units), so topics, members and racks are numbers
 * here: indexes into the arrays below, racks as the caller numbers them.
 */
#include "base/bytes.h"

enum ferry_assignor {
    FERRY_ASSIGNOR_RANGE,
    FERRY_ASSIGNOR_ROUNDROBIN,
    FERRY_ASSIGNOR_STICKY,
    FERRY_ASSIGNOR_COOPERATIVE_STICKY,
    FERRY_ASSIGNOR_COUNT
};

/* The racks of one partition's replicas. */
struct ferry_assign_racks {
    const int32_t *ids;
    int32_t count;
};

struct ferry_assign_topic {
    struct ferry_str name;
    int32_t partition_count;
    const struct ferry_assign_racks *racks; /* one for each partition; NULL: none known */
    int32_t *owner; /* out, partition_count long: index of the member, -1 = nobody */
};

struct ferry_assign_partition {
    int32_t topic; /* index */
    int32_t partition;
};

struct ferry_assign_member {
    struct ferry_str id;
    struct ferry_str instance_id; /* data NULL: none */
    int32_t rack;                 /* -1: none */
    const int32_t *topics;        /* indexes of the topics subscribed, no duplicates */
    int32_t topic_count;
    /* What it says it owned, for the sticky ones; entries that do not exist (any more) are ignored. */
    const struct ferry_assign_partition *owned;
    int32_t owned_count;
    int32_t
        generation; /* in which it owned them; -1 = not told. Of two claims the newer one counts, of two of one
                           generation neither */
};

struct ferry_assign_group {
    struct ferry_assign_topic *topics;
    const struct ferry_assign_member *members;
    int32_t topic_count, member_count;
};

/* Fills in the owners. cooperative-sticky leaves a partition that has to move without an owner as long as another member
   claims it: the next round, after its revocation, gives it away. 0 or FERRY_E_NOMEM. */
int ferry_assign(enum ferry_assignor, const struct ferry_assign_group *);

/* Kafka's name, such as "cooperative-sticky". */
const char *ferry_assignor_name(enum ferry_assignor);
/* The assignor of that name, or -1. */
int ferry_assignor_find(struct ferry_str name);

/* Java's order of strings, for UTF-8. */
int ferry_assign_compare(struct ferry_str a, struct ferry_str b);

/* assign_sticky.c: the two sticky assignors. */
int ferry_assign_sticky(const struct ferry_assign_group *, bool cooperative);

#endif
