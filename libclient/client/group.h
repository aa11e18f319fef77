/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_GROUP_H
#define CLIENT_GROUP_H
/*
 * Membership of a group, whatever its protocol: classic (group_classic.c) now, KIP-848 beside it later.
 *
 * A group tells its owner (the consumer core) what to take up and give up, and goes on when the owner says it is done. It
 * knows topics and partition numbers, no positions and no records.
 *
 * Invariants:
 *  1. At most one question is open: on_question is called again only after ferry_group_answered.
 *  2. Heartbeats go on while a question is open.
 *  3. The identity is what a commit has to carry; generation is -1 while there is none.
 */
#include "client/assign.h"
#include "client/client.h"
#include "client/consumer_list.h"
#include "ferry/consumer.h"

struct ferry_group;

/* All are called inside steps. */
struct ferry_group_owner {
    /* What is asked; the list is borrowed. incremental: only the difference. */
    void (*on_question)(void *cookie, enum ferry_rebalance_kind, bool incremental,
                        const struct ferry_partition_list *);
    /* Adds what is owned now, for the subscription's metadata. 0 or FERRY_E_NOMEM. */
    int (*owned)(void *cookie, struct ferry_partition_list *out);
    /* Counts up whenever the application polls; odd while it sits in a poll. */
    uint64_t (*polls)(void *cookie);
    /* max.poll.interval.ms has passed: the group is left. The owner calls ferry_group_polled at the next poll. */
    void (*on_stalled)(void *cookie);
    /* Something that the application must hear of. flags: FERRY_ERROR_FATAL if membership is over. */
    void (*on_error)(void *cookie, int32_t code, uint32_t flags, const char *text);
    /* ferry_group_leave is done. */
    void (*on_left)(void *cookie);
};

struct ferry_group_identity {
    struct ferry_str group_id, member_id, instance_id; /* instance_id.data NULL: none */
    int32_t generation;                                /* or member epoch; -1: none */
};

/* Reads partition.assignment.strategy: how many assignors it names, or FERRY_E_CONFIG. cooperative: all of them are. */
int ferry_group_assignors(const char *list, enum ferry_assignor out[FERRY_ASSIGNOR_COUNT],
                          bool *cooperative, struct ferry_error *err);
/* NULL with err filled: no memory, or an assignor that does not exist. The owner and its cookie outlive the group. */
struct ferry_group *ferry_group_new(struct ferry_client *, const struct ferry_group_owner *,
                                    void *cookie, struct ferry_error *err);
void ferry_group_free(struct ferry_group *);
/* The topics to be a member for; copied. Joins, or rejoins if they changed. 0 or FERRY_E_NOMEM. */
int ferry_group_subscribe(struct ferry_group *, const struct ferry_partition_list *topics);
/* Gives up the membership: asks to revoke what is owned, leaves, then on_left, at the deadline at the latest. */
void ferry_group_leave(struct ferry_group *, ferry_nsec deadline);
/* The open question is settled: what was revoked is committed and given up, what was assigned is taken up. */
void ferry_group_answered(struct ferry_group *);
/* The application polls again after on_stalled. */
void ferry_group_polled(struct ferry_group *);
/* A commit that was sent for `generation` was refused with this code: fenced, rebalance under way. True: only because a
 * round is under way, or over since, in which nothing that was owned can have got another owner yet: it may be tried
 * again for the generation that is current then, as long as that is this one or the next. */
bool ferry_group_refused(struct ferry_group *, int16_t code, int32_t generation);
struct ferry_group_identity ferry_group_identity(const struct ferry_group *);
/* A word for where it stands: "stable", "joining" ... Static memory. */
const char *ferry_group_state_name(const struct ferry_group *);
/* True while it has a generation: commits are accepted. */
bool ferry_group_is_member(const struct ferry_group *);

#endif
