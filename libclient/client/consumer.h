/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_CONSUMER_H
#define CLIENT_CONSUMER_H
/*
 * The consumer, in two halves without a lock, a clock or a thread between them:
 *
 *   struct ferry_consumer_app   the application's half: the assignment, positions, buffers not yet
 * read, what counts as processed. Driven by the public calls (api/consumer.c, under its mutex) or a
 * simulation. struct ferry_consumer_core  the engine's half: fetcher, group membership, commits.
 * Lives in a struct ferry_client.
 *
 * They exchange commands (app to core) and deliveries (core to app), and share struct
 * ferry_consumer_part.
 *
 * Invariants:
 *  1. A partition's epoch goes up whenever what was fetched for it becomes stale: seek, pause,
 * revocation, loss. A buffer, or an event, that carries another epoch yields nothing.
 *  2. position and stored are written by the app half only; the core reads them for commits and
 * lag. start, low, high and stable are written by the core only.
 *  3. The assignment changes only by the app half: a rebalance is a question (struct
 * ferry_rebalance) that it answers. A loss alone is told after the fact: the core bumps the epochs
 * itself, then asks.
 *  4. stored never passes the first record that the application still has in hand.
 */
#include "client/client.h"
#include "client/consumer_list.h"
#include "client/fetcher.h"
#include "ferry/consumer.h"

#include <stdatomic.h>

/* One assigned partition. Counted: both halves, each buffer and each op hold references. */
struct ferry_consumer_part {
    _Atomic uint32_t refs;
    int32_t partition;
    struct ferry_str topic; /* NUL-terminated, interned in the app half: outlives every part */

    _Atomic uint32_t epoch;
    _Atomic int64_t position; /* offset of the next record for the application; FERRY_OFFSET_NONE:
                                 not yet known */
    _Atomic int64_t stored;   /* what a commit of everything commits; FERRY_OFFSET_NONE: nothing */
    _Atomic int32_t stored_leader_epoch;
    _Atomic int64_t start; /* where the fetcher began in epoch start_epoch */
    _Atomic uint32_t start_epoch;
    _Atomic int64_t low, high,
        stable;             /* log start, high watermark, last stable offset as last heard; -1 */
    _Atomic int64_t queued; /* bytes delivered and not yet taken by the app half */

    /* App half. */
    struct ferry_link outstanding; /* buffers in the application's hands, in order (app_link) */
    bool assigned, paused;
    size_t index; /* in the assignment */

    struct ferry_fetcher_part fetch; /* the fetcher's */
    bool in_core;                    /* the core has it assigned */
    int64_t committing;              /* offset of the commit under way, FERRY_OFFSET_NONE if none */
    int64_t committed;               /* last known, FERRY_OFFSET_NONE */
};

struct ferry_consumer_part *ferry_consumer_part_new(struct ferry_str topic, int32_t partition);
struct ferry_consumer_part *ferry_consumer_part_ref(struct ferry_consumer_part *);
void ferry_consumer_part_unref(struct ferry_consumer_part *);
/* The position as far as anybody knows: position, else start of the present epoch. */
int64_t ferry_consumer_part_position(const struct ferry_consumer_part *);

/* -- What passes between the halves
 * ----------------------------------------------------------------------- */

/* What a delivery of the consumer is (ferry_delivery.type; the numbers are the public event
 * kinds'). */
enum ferry_consumer_delivery {
    FERRY_CONSUMER_FETCHED = 16, /* struct ferry_fetched: records */
    FERRY_CONSUMER_NOTE,         /* struct ferry_consumer_note: end of partition, an error */
    FERRY_CONSUMER_QUESTION,     /* struct ferry_rebalance */
    FERRY_CONSUMER_DONE          /* struct ferry_consumer_call: an answered call */
};

/* Something that happened, at a partition or (part NULL) to the consumer as a whole. */
struct ferry_consumer_note {
    struct ferry_delivery delivery;
    struct ferry_consumer_part *part;
    uint32_t epoch;
    int32_t code; /* FERRY_E_PARTITION_EOF, enum ferry_err, or a broker's */
    int64_t offset;
    char text[];
};

/* One partition of a change, with where to go on. */
struct ferry_consumer_target {
    struct ferry_consumer_part *part; /* a reference */
    int64_t offset;                   /* an offset or enum ferry_offset */
    int32_t leader_epoch;
    uint32_t epoch; /* the part's after the change */
};

enum ferry_consumer_change_kind {
    FERRY_CHANGE_ASSIGN,   /* begin to fetch */
    FERRY_CHANGE_UNASSIGN, /* end; with auto commit its stored offset is committed first */
    FERRY_CHANGE_SEEK,     /* go on at offset */
    FERRY_CHANGE_PAUSE,
    FERRY_CHANGE_RESUME, /* go on at offset, the position at which it stopped */
    FERRY_CHANGE_QUEUE   /* deliver to `queue` from now on, going on at offset */
};

/* App to core: the assignment or positions changed. Freed by the core. */
struct ferry_consumer_change {
    struct ferry_command command;
    struct ferry_consumer_core *core;
    enum ferry_consumer_change_kind kind;
    void *queue;                        /* FERRY_CHANGE_QUEUE */
    struct ferry_consumer_change *then; /* applied right after, as one */
    uint64_t answers;                   /* rebalance question that this settles; 0: none */
    size_t count;
    struct ferry_consumer_target targets[];
};

enum ferry_consumer_call_kind {
    FERRY_CALL_SUBSCRIBE, /* list: topics; empty: leave the group. Done at once */
    FERRY_CALL_COMMIT, /* list, or all that is stored (list NULL: made, with what was committed) */
    FERRY_CALL_COMMITTED,  /* list: offsets filled in */
    FERRY_CALL_TIMES,      /* list: times replaced by offsets */
    FERRY_CALL_WATERMARKS, /* list of one: low and high filled in */
    FERRY_CALL_CLOSE       /* commit (auto commit), leave, end */
};

/* A question of the application to the core. It comes back as a delivery (done.type
   FERRY_CONSUMER_DONE) to done.queue, or to `on_done`, always exactly once. The asker frees it
   (ferry_consumer_call_free). */
struct ferry_consumer_call {
    struct ferry_command command;
    struct ferry_delivery done;
    struct ferry_consumer_core *core;
    struct ferry_link link; /* the core's */
    enum ferry_consumer_call_kind kind;
    struct ferry_partition_list *list; /* the call's own */
    ferry_nsec timeout;                /* 0: default.api.timeout.ms */
    int32_t status; /* 0; else what failed as a whole, or the first failed partition's error */
    char text[200];
    int64_t low, high;
    void *cookie, *cookie2; /* the asker's */
};

struct ferry_consumer_call *ferry_consumer_call_new(enum ferry_consumer_call_kind);
void ferry_consumer_call_free(struct ferry_consumer_call *);

/* A rebalance question. Core to app; answered by ferry_consumer_app_answer. */
struct ferry_rebalance {
    struct ferry_delivery delivery;
    struct ferry_consumer *consumer; /* api's */
    struct ferry_consumer_app *app;
    uint64_t number; /* names it to the core */
    enum ferry_rebalance_kind kind;
    bool incremental, kept;
    struct ferry_partition_list *list;
};

/* -- The core half
 * ---------------------------------------------------------------------------------------- */

struct ferry_group;

struct ferry_consumer_core {
    struct ferry_client *client;
    struct ferry_observer observer;
    struct ferry_consumer_app *app; /* what the halves share: see consumer_app.h `shared` */
    struct ferry_consumer_shared *shared;
    struct ferry_fetcher *fetcher;
    struct ferry_group *group;          /* NULL without group.id */
    struct ferry_consumer_part **parts; /* assigned, in order of assignment */
    size_t part_count, part_cap;
    struct ferry_link calls; /* under way */
    struct ferry_timer auto_commit;
    uint64_t question; /* number of the open one; 0: none */
    bool closing;
};

/* What both halves and every buffer may touch; counted, so that buffers outlive the consumer. */
struct ferry_consumer_shared {
    _Atomic uint32_t refs;
    _Atomic uint64_t polls; /* counts up with every poll; odd while one waits */
    _Atomic int64_t held;   /* bytes of fetched buffers not yet freed */
    _Atomic int64_t queued; /* bytes delivered and not yet taken */
    _Atomic bool starved;   /* the fetcher stopped at a bound: whoever takes next sends a nudge */
    _Atomic int32_t generation; /* of the group; -1 */
    char member_id[256];        /* written by the core; read under the engine's lock */
};

#endif
