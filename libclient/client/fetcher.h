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
 *  2. Bytes queued for the application: less than ferry.queued.max.bytes before a Fetch is sent,
 * and per partition less than ferry.queued.partition.bytes; so memory is bounded by that plus one
 * answer per broker.
 *  3. What a session's broker believes is what struct fetcher_node says; any doubt resets the
 * session.
 */
#include "client/client.h"

struct ferry_consumer_core;
struct ferry_consumer_part;
struct ferry_fetcher;
struct ferry_fetcher_node;

enum ferry_fetcher_state {
    FERRY_FETCHER_IDLE,      /* not assigned in the core */
    FERRY_FETCHER_COMMITTED, /* waits for the committed offset (client/offsets) */
    FERRY_FETCHER_LOOKUP,    /* waits for ListOffsets */
    FERRY_FETCHER_FETCHING,
    FERRY_FETCHER_FAILED /* stands until a seek: auto.offset.reset=none, authorisation */
};

/* The fetcher's part of a struct ferry_consumer_part. */
struct ferry_fetcher_part {
    enum ferry_fetcher_state state;
    struct ferry_topic_meta *topic;  /* wanted */
    struct ferry_fetcher_node *node; /* whose list it is in; NULL: leader unknown */
    struct ferry_link node_link;
    void *queue;          /* where its deliveries go; NULL: the main queue */
    int64_t offset;       /* next to ask for; or enum ferry_offset while in LOOKUP */
    int32_t leader_epoch; /* of the last batch before offset; -1 */
    uint32_t epoch;       /* as of the last change heard of */
    uint32_t asked_epoch; /* that the request in flight carries */
    bool paused, in_flight, in_session, at_end;
    int64_t session_offset; /* what the session's broker has */
    int32_t session_leader_epoch;
    int32_t replica; /* KIP-392: preferred; -1 */
    ferry_nsec replica_until, retry_at;
    unsigned tries;
};

/* NULL without memory. */
struct ferry_fetcher *ferry_fetcher_new(struct ferry_consumer_core *);
void ferry_fetcher_free(struct ferry_fetcher *);
/* Takes a partition up at `offset` (an offset or enum ferry_offset, not FERRY_OFFSET_NONE), or
 * moves it there. */
void ferry_fetcher_start(struct ferry_fetcher *, struct ferry_consumer_part *, int64_t offset,
                         int32_t leader_epoch);
/* Takes a partition off. */
void ferry_fetcher_stop(struct ferry_fetcher *, struct ferry_consumer_part *);
void ferry_fetcher_pause(struct ferry_fetcher *, struct ferry_consumer_part *, bool pause);
/* Sends what can be sent: after changes, and when the application took what was queued. */
void ferry_fetcher_go(struct ferry_fetcher *);
/* Metadata changed. */
void ferry_fetcher_metadata(struct ferry_fetcher *);

#endif
