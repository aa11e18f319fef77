/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_FETCHER_IMPL_H
#define CLIENT_FETCHER_IMPL_H
/* Private to the fetcher: fetcher.c (partitions and where they are), fetcher_send.c (requests and sessions), fetcher_reply.c
   (answers). */
#include "base/arena.h"
#include "client/consumer.h"
#include "client/offsets.h"
#include "wire/messages.h"

struct ferry_fetcher {
    struct ferry_consumer_core *core;
    struct ferry_client *client;
    struct ferry_link nodes;
    struct ferry_link homeless; /* FETCHING, leader unknown */
    struct ferry_link lookups;  /* LOOKUP, not yet asked */
    struct ferry_link jobs;     /* struct fetcher_lookup under way */
    struct ferry_timer retry;
    struct ferry_timer idle; /* a second after large answers: nothing is kept for more of them */
    bool busy;               /* one came since */
    bool going;
};

/* One broker that is fetched from. */
struct ferry_fetcher_node {
    struct ferry_link link;
    struct ferry_fetcher
        *fetcher; /* NULL: it is gone, and so will be this when the request is done */
    int32_t node;
    struct ferry_link parts; /* those of one topic stand together */
    struct ferry_request request;
    struct ferry_fetch_request message;
    struct ferry_arena arena; /* of the message */
    bool in_flight;
    uint32_t serial; /* of the request in flight */
    /* The session. */
    int32_t session_id, session_epoch;
    bool session_ids;          /* by topic id (version 13 and later) */
    struct ferry_link entries; /* what the broker has */
    ferry_nsec retry_at;
    /* Of answers with records the shortest time and the most partitions: of the last full window, and of this one. */
    ferry_nsec answer_time, window_time;
    uint32_t active, window_active;
    unsigned window;
    unsigned tries, empties; /* failures, and short waits without a record, in a row */
};

struct ferry_fetcher_entry {
    struct ferry_link link;
    struct ferry_fetcher_node *node;
    struct ferry_consumer_part *part; /* a reference */
    struct ferry_uuid id;             /* its topic's at the time */
    int64_t offset;
    int32_t leader_epoch, last_epoch, want;
};

/* A topic's assigned partitions, at struct ferry_topic_meta.consumer. */
struct fetcher_topic {
    uint32_t users;
    size_t cap;
    struct ferry_consumer_part **parts; /* by partition; NULL: not assigned */
};

/* fetcher.c */
struct ferry_consumer_part *ferry_fetcher_find(const struct ferry_topic_meta *, int32_t partition);
/* Puts a FETCHING partition where its leader (or preferred replica) is. */
void ferry_fetcher_place(struct ferry_fetcher *, struct ferry_consumer_part *);
/* Asks again where the log begins or ends: `offset` is an enum ferry_offset. */
void ferry_fetcher_lookup(struct ferry_fetcher *, struct ferry_consumer_part *, int64_t offset);
/* Not again before a backoff. */
void ferry_fetcher_backoff(struct ferry_fetcher *, struct ferry_consumer_part *);
/* Wakes the fetcher at a time. */
void ferry_fetcher_wake_at(struct ferry_fetcher *, ferry_nsec at);
/* Tells the application; `once`: only if nothing was told since the last success. */
void ferry_fetcher_note(struct ferry_fetcher *, struct ferry_consumer_part *, int32_t code,
                        bool once, const char *text);

/* A large answer came: room for the next ones is worth keeping. */
void ferry_fetcher_busy(struct ferry_fetcher *);

/* fetcher_send.c */
struct ferry_fetcher_node *ferry_fetcher_node_of(struct ferry_fetcher *, int32_t node);
void ferry_fetcher_send(struct ferry_fetcher_node *);
/* The session is in doubt: the next request opens a new one; keep_id: and closes the old one. */
/* Notes how long an answer with records took, and how many partitions had some. */
void ferry_fetcher_answered(struct ferry_fetcher_node *, ferry_nsec took, uint32_t parts);
void ferry_fetcher_session_reset(struct ferry_fetcher_node *, bool keep_id);
void ferry_fetcher_node_free(struct ferry_fetcher_node *);

/* fetcher_reply.c */
void ferry_fetcher_on_reply(struct ferry_client *, struct ferry_request *,
                            const struct ferry_reply *);

#endif
