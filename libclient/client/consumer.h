/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_CONSUMER_H
#define CLIENT_CONSUMER_H
/*
 * The consumer, in two halves without a lock, a clock or a thread between them:
 *
 *   struct ferry_consumer_app   the application's half (consumer_app.h): the assignment, positions, buffers not yet read,
 *                               what counts as processed. Driven by the public calls (api/consumer.c, under its mutex) or by
 *                               a simulation.
 *   struct ferry_consumer_core  the engine's half: fetcher, group membership, commits. Lives in a struct ferry_client.
 *
 * They exchange commands (app to core) and deliveries (core to app), and share struct ferry_consumer_part and struct
 * ferry_consumer_shared.
 *
 * Invariants:
 *  1. A partition's epoch goes up whenever what was fetched for it becomes stale: seek, pause, revocation, loss. A
 *     buffer, or a note, that carries another epoch yields nothing.
 *  2. position and stored are written by the app half only; the core reads them for commits. start, low, high and stable are
 *     written by the core only.
 *  3. The assignment changes only by the app half: a rebalance is a question (struct ferry_rebalance) that it answers. A
 *     loss alone is told after the fact: the core bumps the epochs itself, then asks.
 *  4. stored never passes the first record that the application still has in hand.
 */
#include "client/client.h"
#include "client/consumer_list.h"
#include "client/fetcher.h"
#include "client/group.h"
#include "client/offsets.h"
#include "client/window.h"
#include "ferry/consumer.h"

#include <stdatomic.h>

struct ferry_codecs;
struct ferry_consumer_app;

/* What the core waits to be told: bits of shared.attention. Whoever does it clears the bit and sends a nudge. */
enum ferry_consumer_attention {
    FERRY_CONSUMER_STARVED = 1, /* fetched bytes were taken or freed */
    FERRY_CONSUMER_STALLED = 2  /* there was a poll */
};

/* What both halves and every buffer may touch; counted, so that buffers outlive the consumer. */
struct ferry_consumer_shared {
    _Atomic uint32_t refs;
    _Atomic uint64_t polls;    /* begun so far */
    _Atomic uint32_t in_polls; /* threads that sit in one */
    _Atomic int64_t held;      /* bytes of fetched buffers not yet freed */
    _Atomic uint32_t attention;
    _Atomic(struct ferry_codecs *) codecs; /* a spare, for whoever walks a compressed batch */
    struct ferry_map topics; /* interned names: name -> char *. The app half's to write */
    void *owner;             /* api's; told when this is freed */
    void (*on_free)(void *owner);
};

struct ferry_consumer_shared *ferry_consumer_shared_new(void);
struct ferry_consumer_shared *ferry_consumer_shared_ref(struct ferry_consumer_shared *);
void ferry_consumer_shared_unref(struct ferry_consumer_shared *);

/* One assigned partition. Counted: both halves, each buffer and each op hold references. */
struct ferry_consumer_part {
    _Atomic uint32_t refs;
    int32_t partition;
    struct ferry_str topic; /* NUL-terminated, interned: lives as long as shared */
    struct ferry_consumer_shared *shared;

    _Atomic uint32_t epoch;
    _Atomic int64_t
        position; /* offset of the next record for the application; FERRY_OFFSET_NONE: not yet known */
    _Atomic int64_t stored; /* what a commit of everything commits; FERRY_OFFSET_NONE: nothing */
    _Atomic int32_t stored_leader_epoch;
    _Atomic int64_t start; /* where the fetcher began in epoch start_epoch */
    _Atomic uint32_t start_epoch;
    _Atomic int64_t low, high,
        stable;             /* log start, high watermark, last stable offset as last heard; -1 */
    _Atomic int64_t queued; /* bytes delivered and not yet taken by the app half */

    /* App half. */
    struct ferry_link outstanding; /* buffers in the application's hands, in order (app_link) */
    void *queue;                   /* its own, where it has one */
    bool assigned, paused;

    /* Core half. */
    struct ferry_fetcher_part fetch;
    bool in_core;            /* it is in core->parts */
    int64_t committed;       /* last known; FERRY_OFFSET_NONE */
    uint64_t records, bytes; /* fetched: what batches say, and as compressed */
    struct ferry_window fetch_records, fetch_bytes; /* of one answer; filled with statistics on */
};

/* NULL without memory. `topic` is copied into shared->topics at first use. */
struct ferry_consumer_part *ferry_consumer_part_new(struct ferry_consumer_shared *,
                                                    struct ferry_str topic, int32_t partition);
struct ferry_consumer_part *ferry_consumer_part_ref(struct ferry_consumer_part *);
void ferry_consumer_part_unref(struct ferry_consumer_part *);
/* The position as far as anybody knows: position, else start of the present epoch. */
int64_t ferry_consumer_part_position(const struct ferry_consumer_part *);

/* -- What passes between the halves ----------------------------------------------------------------------- */

/* What a delivery of the consumer is (ferry_delivery.type): enum ferry_delivery_kind of ferry/queue.h. */
enum ferry_consumer_delivery {
    FERRY_CONSUMER_FETCHED = 16, /* struct ferry_fetched: records */
    FERRY_CONSUMER_NOTE,         /* struct ferry_consumer_note: end of partition, an error */
    FERRY_CONSUMER_QUESTION,     /* struct ferry_rebalance */
    FERRY_CONSUMER_DONE          /* struct ferry_consumer_call: an answered call */
};

/* Something that happened, at a partition or (part NULL) to the consumer as a whole. */
struct ferry_consumer_note {
    struct ferry_delivery delivery;
    struct ferry_consumer_part *part; /* a reference */
    uint32_t epoch;
    int32_t code; /* FERRY_E_PARTITION_EOF, enum ferry_err, or a broker's */
    int64_t offset;
    char text[];
};

/* NULL without memory. */
struct ferry_consumer_note *ferry_consumer_note_new(struct ferry_consumer_part *, int32_t code,
                                                    const char *text);

/* One partition of a change. */
struct ferry_consumer_target {
    struct ferry_consumer_part *part; /* a reference */
    int64_t offset; /* where to go on: an offset or enum ferry_offset; NONE: see the kinds */
    int32_t leader_epoch;
    uint32_t epoch; /* the part's after the change */
};

enum ferry_consumer_change_kind {
    FERRY_CHANGE_ASSIGN,   /* begin to fetch; NONE: at the committed offset */
    FERRY_CHANGE_UNASSIGN, /* end; with auto commit its stored offset is committed */
    FERRY_CHANGE_SEEK,     /* go on at offset; NONE: at the committed one */
    FERRY_CHANGE_PAUSE,  /* stop; NONE: the position is not known yet, whatever finds it goes on */
    FERRY_CHANGE_RESUME, /* the same, other way round */
    FERRY_CHANGE_QUEUE   /* deliver to `queue` from now on, as with PAUSE going on at offset */
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

/* NULL without memory. Room for `room` targets; none yet. */
struct ferry_consumer_change *ferry_consumer_change_new(struct ferry_consumer_core *,
                                                        enum ferry_consumer_change_kind,
                                                        size_t room);
/* With what is chained behind. */
void ferry_consumer_change_free(struct ferry_consumer_change *);

enum ferry_consumer_call_kind {
    FERRY_CALL_SUBSCRIBE,  /* list: topics; empty: leave the group */
    FERRY_CALL_COMMIT,     /* list, or (NULL) all that is stored: made by the core */
    FERRY_CALL_COMMITTED,  /* list: offsets filled in */
    FERRY_CALL_TIMES,      /* list: times replaced by offsets */
    FERRY_CALL_WATERMARKS, /* list of one: low and high filled in */
    FERRY_CALL_CLOSE       /* leave the group (asks to revoke), commit (auto commit), end */
};

/* A question of the application to the core. It comes back as a delivery to done.queue, always exactly once, unless
   `nobody` waits: then the core frees it. */
struct ferry_consumer_call {
    struct ferry_command command;
    struct ferry_delivery done;
    struct ferry_consumer_core *core;
    enum ferry_consumer_call_kind kind;
    bool nobody;
    struct ferry_partition_list *list; /* the call's own */
    ferry_nsec timeout;                /* 0: default.api.timeout.ms */
    int32_t status; /* 0; else what failed as a whole, or the first failed partition's error */
    char text[200];
    int64_t low, high;
    void *cookie, *cookie2; /* the asker's */
    void *function;

    struct ferry_link link; /* the core's, while it is under way */
    struct ferry_partition_list *list2;
    struct ferry_offsets_job *job, *job2;
    unsigned jobs;
    struct ferry_timer timer;
};

struct ferry_consumer_call *ferry_consumer_call_new(struct ferry_consumer_core *,
                                                    enum ferry_consumer_call_kind);
void ferry_consumer_call_free(struct ferry_consumer_call *);

/* A rebalance question. Core to app; answered by ferry_consumer_app_answer. */
struct ferry_rebalance {
    struct ferry_delivery delivery;
    void *consumer;  /* api's */
    uint64_t number; /* names it to the core */
    enum ferry_rebalance_kind kind;
    bool incremental, kept;
    struct ferry_partition_list *list;
};

void ferry_consumer_question_free(struct ferry_rebalance *);

/* -- The core half ---------------------------------------------------------------------------------------- */

struct ferry_consumer_core {
    struct ferry_client *client; /* NULL until attach has run */
    struct ferry_observer observer;
    struct ferry_consumer_shared *shared;
    void *queue; /* where deliveries go that name no other; NULL: the handle's */
    struct ferry_fetcher *fetcher;
    struct ferry_group *group;          /* NULL without group.id */
    struct ferry_consumer_part **parts; /* assigned, in order of assignment; references */
    size_t part_count, part_cap;
    struct ferry_link calls;   /* under way */
    struct ferry_link commits; /* waiting and under way: one at a time, in order */
    struct ferry_link begins;  /* questions for committed offsets under way */
    struct ferry_timer auto_commit;
    struct ferry_timer
        ending; /* after CLOSE: whatever is still asked is answered, and all is freed */
    uint64_t question, last_question; /* number of the open one (0: none), of the last */
    unsigned settling;                /* commits that the answered question still waits for */
    bool subscribed, answered, closed;
    struct ferry_consumer_call
        *leaving;   /* CLOSE, or SUBSCRIBE to nothing, while the group is being left */
    int32_t failed; /* code with which everything is answered: no memory at attach */
    /* For statistics. */
    uint64_t records, bytes, answers; /* fetched; answers: those with records */
    uint64_t rebalances, commit_count, commit_failures;
    struct ferry_window fetch_us, commit_us;
};

/* Both made by the app half, which attaches with the command and frees the core when the client is gone. */
struct ferry_consumer_core *ferry_consumer_core_new(struct ferry_consumer_shared *);
void ferry_consumer_core_free(struct ferry_consumer_core *);

struct ferry_consumer_attach {
    struct ferry_command command;
    struct ferry_consumer_core *core;
};

/* The commands' run functions. */
void ferry_consumer_attach_run(struct ferry_client *, struct ferry_command *);
void ferry_consumer_change_run(struct ferry_client *, struct ferry_command *);
void ferry_consumer_call_run(struct ferry_client *, struct ferry_command *);
/* A nudge: frees itself. */
struct ferry_consumer_nudge {
    struct ferry_command command;
    struct ferry_consumer_core *core;
};
void ferry_consumer_nudge_run(struct ferry_client *, struct ferry_command *);
/* Frees a command of the consumer's that no engine will run. */
void ferry_consumer_command_drop(struct ferry_command *);

/* -- Within the core: consumer.c (assignment, questions), consumer_calls.c (calls), consumer_commit.c -- */

/* Commits `list` (taken over) after what is already under way. done may be NULL. `group`: as a member of it. */
int ferry_consumer_commit_list(struct ferry_consumer_core *, struct ferry_partition_list *list,
                               ferry_nsec deadline,
                               void (*done)(struct ferry_consumer_core *, void *cookie,
                                            int32_t status, const char *text),
                               void *cookie);
/* What is stored and not yet committed, of all parts (targets NULL) or of some; NULL with *rc 0 if there is nothing. */
struct ferry_partition_list *ferry_consumer_stored(struct ferry_consumer_core *,
                                                   const struct ferry_consumer_change *of, int *rc);
void ferry_consumer_auto_commit_start(struct ferry_consumer_core *);
void ferry_consumer_commits_free(struct ferry_consumer_core *);
/* Answers a call: delivers or frees it. */
void ferry_consumer_call_done(struct ferry_consumer_core *, struct ferry_consumer_call *,
                              int32_t status, const char *text);
/* The group was left, or there is none. */
void ferry_consumer_on_left(struct ferry_consumer_core *);
/* Gives up all that is assigned, telling nobody. */
void ferry_consumer_drop_all(struct ferry_consumer_core *);
/* Tells the application of what is about no partition. */
void ferry_consumer_tell(struct ferry_consumer_core *, int32_t code, const char *text);
/* consumer_statistics.c: the consumer's part of the statistics, and what it is made of. */
void ferry_consumer_on_statistics(struct ferry_client *, struct ferry_observer *,
                                  struct ferry_text *out);
/* Records of a partition came. */
void ferry_consumer_measure_fetched(struct ferry_consumer_core *, struct ferry_consumer_part *,
                                    uint64_t records, size_t bytes);
/* An answer with records, or to a commit, so long after it was asked for. */
void ferry_consumer_measure_answer(struct ferry_consumer_core *, ferry_nsec took);
void ferry_consumer_measure_commit(struct ferry_consumer_core *, ferry_nsec took, int32_t status);
void ferry_consumer_measures_free(struct ferry_consumer_core *);
/* ferry_client_deliver, to the consumer's queue if it names none. */
void ferry_consumer_deliver(struct ferry_consumer_core *, struct ferry_delivery *);

#endif
