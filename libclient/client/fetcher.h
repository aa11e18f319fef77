/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_FETCHER_H
#define CLIENT_FETCHER_H
/*
 * Fetching: for each broker that leads assigned partitions one Fetch in flight, in an incremental
 * session (KIP-227).
 *
 * A partition goes through: LOOKUP (where to begin: committed offset, log start or end) -> FETCHING
 * -> LOOKUP again when its offset is out of range. Paused and full ones stay in FETCHING but are
 * not asked for.
 *
 * Invariants:
 *  1. A partition is in at most one Fetch in flight, and its answer counts only if its epoch is
 * still the one asked with.
 *  2. Bytes held by the application or queued for it: less than ferry.queued.max.bytes before a
 * Fetch is sent, and per partition less queued than the last Fetch asked for; so memory is bounded
 * by that plus one answer per broker.
 *  3. What a session's broker believes is what struct fetcher_node says; any doubt resets the
 * session.
 */
#include "client/client.h"

struct ferry_consumer_core;
struct ferry_consumer_part;
struct ferry_fetcher;
struct ferry_fetcher_node;

enum ferry_fetcher_state {
    FERRY_FETCHER_IDLE,   /* not assigned, or its first offset is still asked of the group */
    FERRY_FETCHER_LOOKUP, /* waits for ListOffsets */
    FERRY_FETCHER_FETCHING,
    FERRY_FETCHER_FAILED /* stands until a seek: out of range with auto.offset.reset=none */
};

struct ferry_fetcher_entry; /* what a session's broker has of a partition */

/* The fetcher's part of a struct ferry_consumer_part. Zeroed, then idle. */
struct ferry_fetcher_part {
    enum ferry_fetcher_state state;
    struct ferry_topic_meta *topic; /* wanted while not idle */
    struct ferry_fetcher_node
        *node; /* whose `parts` node_link is in; NULL: another list, or none */
    struct ferry_link node_link;
    struct ferry_fetcher_entry *entry; /* in some node's session; NULL: none */
    void *queue;                       /* where its deliveries go; NULL: the main queue */
    int64_t offset;                    /* next to ask for; in LOOKUP an enum ferry_offset */
    int32_t leader_epoch;              /* of the last batch before offset; -1 */
    uint32_t epoch;                    /* the part's as of the last change heard of */
    bool paused, at_end, told;
    int32_t replica; /* KIP-392: the preferred one; -1 */
    ferry_nsec replica_until, retry_at;
    unsigned tries;
    int32_t want;    /* bytes asked for; at first max.partition.fetch.bytes */
    int32_t largest; /* batch of the last buffer */
    bool
        starved; /* the last answer had nothing of it though there is more: ask for as much as allowed */
    /* The request in flight that it is in. */
    struct ferry_fetcher_node *asked_node;
    uint32_t asked_epoch, asked_serial;
    int64_t asked_offset;
};

/* NULL without memory. */
struct ferry_fetcher *ferry_fetcher_new(struct ferry_consumer_core *);
/* Stops everything; requests in flight end by themselves. */
void ferry_fetcher_free(struct ferry_fetcher *);
/* Takes a partition up at `offset` (an offset or enum ferry_offset, not FERRY_OFFSET_NONE), or moves it there. epoch: the
   part's after the change that asks for it. 0 or FERRY_E_NOMEM. */
int ferry_fetcher_start(struct ferry_fetcher *, struct ferry_consumer_part *, int64_t offset,
                        int32_t leader_epoch, uint32_t epoch);
/* Takes a partition off. */
void ferry_fetcher_stop(struct ferry_fetcher *, struct ferry_consumer_part *);
void ferry_fetcher_pause(struct ferry_fetcher *, struct ferry_consumer_part *, bool pause);
/* Sends what can be sent: after changes, and when the application made room. */
void ferry_fetcher_go(struct ferry_fetcher *);
/* What auto.offset.reset says for the partition: EARLIEST, LATEST, or FERRY_OFFSET_NONE. */
int64_t ferry_fetcher_reset_offset(const struct ferry_fetcher *,
                                   const struct ferry_consumer_part *);
/* A topic's metadata changed. */
void ferry_fetcher_on_topic(struct ferry_fetcher *, struct ferry_topic_meta *);

#endif
