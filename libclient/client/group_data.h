/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_GROUP_DATA_H
#define CLIENT_GROUP_DATA_H
/*
 * The opaque bytes that members of a classic consumer group exchange (subscription, assignment), and the leader's work:
 * from all subscriptions to all assignments. Private to group_classic.c and its tests.
 */
#include "base/arena.h"
#include "client/assign.h"
#include "client/client.h"
#include "client/consumer_list.h"
#include "wire/writer.h"

/* What a member says of itself. */
struct ferry_group_subscription {
    const struct ferry_partition_list *topics;   /* their names count */
    const struct ferry_partition_list *owned;    /* now, for cooperative rebalances; may be NULL */
    const struct ferry_partition_list *previous; /* last assignment, for sticky; may be NULL */
    int32_t generation, previous_generation;     /* in which it had the two; -1 */
    const char *rack;                            /* may be NULL */
};

/* Appends the metadata for one assignor. 0 or FERRY_E_NOMEM. */
int ferry_group_data_subscribe(enum ferry_assignor, const struct ferry_group_subscription *,
                               struct ferry_writer *);
/* Adds what an assignment holds. FERRY_E_PROTOCOL if it cannot be read. */
int ferry_group_data_assigned(struct ferry_bytes, struct ferry_partition_list *out,
                              struct ferry_error *);

struct ferry_group_member {
    struct ferry_str id, instance_id; /* instance_id.data NULL: none */
    struct ferry_bytes metadata;
    struct ferry_bytes assignment; /* out, in the arena */
    /* Filled by read. */
    struct ferry_str *topics;
    int32_t topics_count;
    struct ferry_str rack;
    struct ferry_partition_list owned;
    int32_t generation;
};

/* The leader's work; everything lives in the arena, owned lists aside. */
struct ferry_group_round {
    struct ferry_arena arena;
    enum ferry_assignor assignor;
    struct ferry_group_member *members;
    int32_t member_count;
};

/* Reads the members' metadata. A member whose metadata is malformed subscribes to nothing. 0 or FERRY_E_NOMEM. */
int ferry_group_data_read(struct ferry_group_round *);
/* Assigns by the cluster's metadata as it is now and writes each member's assignment. 0 or FERRY_E_NOMEM. */
int ferry_group_data_assign(struct ferry_group_round *, const struct ferry_client *);
void ferry_group_data_free(struct ferry_group_round *);

#endif
