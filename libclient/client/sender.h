/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_SENDER_H
#define CLIENT_SENDER_H
/*
 * The producer within a client engine: from appended records to reports.
 *
 *   appenders (any thread)                           the engine (whoever steps it)
 *   ferry_sender_append -> lane's open batch          lane -> node -> Produce request -> answer -> delivery
 *            edges to ready -> one coalesced command -^
 *
 * A lane is a partition as the producer sees it. Two sides use it: appenders, under the lane's lock word; the engine,
 * which takes that lock only to seal and take batches, and owns everything behind.
 *
 * Invariants:
 *  1. Every record accepted ends in exactly one delivered (or, without reports, counted) batch.
 *  2. Batches of a lane go out in the order in which they were opened, one per request, and all that are on the wire
 *     at a time are on one node's connection.
 *  3. A batch is stamped only when no request names it. Once it has a sequence, producer id, epoch, sequence and
 *     records stay the same for every try, until the lane is re-sequenced (client/idempotence.c).
 *  4. A topic without known partitions stages its records, encoded; they are moved once, in order, under the topic's
 *     lock, before the table of lanes is published.
 *  5. Lock order: topic, then lane, then the chunks' own. The engine calls no application code under a lane's lock;
 *     custom partitioners run under the topic's.
 */
#include "accum/sealed.h"
#include "base/prng.h"
#include "client/client.h"
#include "client/partitioner.h"
#include "client/window.h"

struct ferry_sender;
struct ferry_sender_topic;
struct ferry_sender_node;
struct ferry_lane;

enum ferry_sender_flag { /* as enum ferry_producer_flag of ferry/producer.h */
                         FERRY_SENDER_REPORTS = 1,
                         FERRY_SENDER_COOKIES = 2,
                         FERRY_SENDER_TIMES = 4,
                         FERRY_SENDER_RECORDS = 8,
                         FERRY_SENDER_FAILURES_ONLY = 16,
                         FERRY_SENDER_EXPIRY = 32
};

/* What the appenders' side lends. Called by appenders, lock and unlock by the engine too. */
struct ferry_sender_hooks {
    void (*lock)(_Atomic uint32_t *word);
    void (*unlock)(_Atomic uint32_t *word);
    int64_t (*now)(void *cookie); /* monotonic ns */
    /* Hands the command to the engine, to be run by need_by (0: at once). Under no lock. */
    void (*wake)(void *cookie, struct ferry_command *command, int64_t need_by);
    /* Takes a delivery that comes up outside of any step, while the client is freed. NULL: it is dropped. */
    void (*late)(void *cookie, struct ferry_delivery *);
    void *cookie;
};

/* struct ferry_delivery.type of a report. */
enum { FERRY_SENDER_DELIVERY = 1 };

enum ferry_lot_state {
    FERRY_LOT_QUEUED,  /* in its lane's queue */
    FERRY_LOT_PACKING, /* likewise, while a worker compresses it */
    FERRY_LOT_FLIGHT,  /* a request names it */
    FERRY_LOT_DONE     /* its outcome is known */
};

/* A sealed batch on its way, and afterwards the report. */
struct ferry_lot {
    struct ferry_accum_batch batch; /* first; its link is the lane's queue's or flight's */
    struct ferry_delivery delivery;
    struct ferry_sender_topic *topic;
    struct ferry_lane *lane; /* NULL: its partition never became known */
    struct ferry_work work;
    struct ferry_codecs *codecs; /* while it is packed */
    uint64_t order;              /* id of the batch it was opened as: place in the lane */
    uint32_t first;              /* index in that batch of its first record */
    uint32_t skip;               /* records at its begin that are not its own any more */
    enum ferry_lot_state state;
    bool maybe; /* some try may have reached the log */
    bool has_sequence;
    int32_t doomed; /* fails with this code when the worker is done with it; 0 */
    int32_t sequence;
    uint32_t serial; /* of the batches of its lane that got sequences */
    int64_t producer_id;
    int16_t producer_epoch;
    uint32_t tries;      /* given to a connection */
    uint32_t backoffs;   /* retries in a row, for the length of the backoff */
    ferry_nsec retry_at; /* not before */
    /* the outcome */
    int32_t error;
    int32_t node;
    uint8_t outcome; /* enum ferry_outcome of ferry/producer.h */
    int64_t base_offset, log_append_time;
    ferry_nsec done_at;
    char *text;                    /* NULL or the broker's or our own words */
    struct ferry_sealed_iter iter; /* the report's */
    void *owner;                   /* api's producer; set when the sender was made */
};

struct ferry_lane {
    struct ferry_sender_topic *topic;
    int32_t partition;
    /* appenders' */
    _Atomic uint32_t lock;
    struct ferry_accum accum; /* under lock */
    uint64_t sticky_from; /* under lock: accum.total when it became the topic's sticky partition */
    _Atomic uint32_t waiting;                 /* batches not on the wire, the open one included */
    _Atomic bool available;                   /* has a leader */
    _Atomic(struct ferry_sender_node *) node; /* of the leader; NULL while it has none */
    _Atomic bool signalled;
    struct ferry_lane *signal_next;
    /* the engine's */
    struct ferry_link ready;  /* in its node's list */
    struct ferry_link queue;  /* of struct ferry_lot, in order */
    struct ferry_link flight; /* likewise, on the wire */
    uint32_t queue_count, flight_count;
    ferry_nsec begun;        /* of the oldest batch still with the appenders, as last seen; NEVER */
    ferry_nsec open_expires; /* the first expiry of a record in the open one; NEVER */
    bool open;               /* there is an open one */
    ferry_nsec records_expire; /* no record in the queue expires before; NEVER */
    struct ferry_sender_node *flight_node;
    struct ferry_timer timer;
    uint64_t acked, failed; /* records, since the start */
    uint64_t flush_upto;    /* a flush waits for batches up to this id; 0 = none */
    /* idempotence */
    int64_t producer_id; /* under which next_sequence counts; -1 = none yet */
    int16_t producer_epoch;
    bool proven;     /* a broker has appended something under this id and epoch */
    bool unresolved; /* some sequence's fate is not known, or was given up: no new ones */
    bool doubt;      /* one of them may yet reach the log; none behind `doubted` has */
    bool bump;       /* re-sequence as soon as nothing is on the wire */
    int32_t next_sequence, next_ack;
    uint32_t serial, doubted; /* of the next batch; of the last that is in doubt */
    uint32_t outstanding;     /* batches that have a sequence and no outcome */
    struct ferry_window batch_bytes, report_us; /* filled with statistics on */
};

struct ferry_lane_table {
    struct ferry_lane_table *older; /* freed with the topic: appenders may still look into them */
    int32_t count;
    struct ferry_lane *lanes[];
};

/* Records can go straight to a lane (accum/plain.h): the table is there, nothing is kept beside them but cookies, nothing is
 * counted by the record, no function of the application is asked, and the producer neither ends nor has failed. */
enum ferry_sender_plain {
    FERRY_SENDER_PLAIN = 1,
    FERRY_SENDER_STICKS = 2 /* and those without key go to the sticky partition by bytes */
};

typedef int32_t (*ferry_sender_partitioner)(void *cookie, struct ferry_sender_topic *,
                                            struct ferry_bytes key, int32_t count);

struct ferry_sender_topic {
    struct ferry_link link; /* of the sender's topics */
    struct ferry_sender *sender;
    char *name;
    size_t name_len;
    struct ferry_topic_settings settings;
    /* appenders' */
    _Atomic(struct ferry_lane_table *) table; /* NULL until the partitions are known */
    _Atomic uint8_t plain;                    /* enum ferry_sender_plain */
    _Atomic(struct ferry_lane *) sticky;      /* of KIP-794; NULL: to be chosen */
    _Atomic int error;                        /* brokers refuse the topic with this code; 0 */
    _Atomic uint32_t lock;                    /* of what follows */
    struct ferry_accum staging;
    struct ferry_accum_config staging_config;
    int32_t sticky_time;  /* the sticky partition by time; -1 none */
    int64_t sticky_until; /* ns */
    uint32_t next;        /* of round robin */
    struct ferry_prng prng;
    ferry_sender_partitioner partitioner;
    void *partitioner_cookie;
    _Atomic bool used; /* a record was sent */
    /* the engine's */
    _Atomic uint32_t waiters; /* threads that wait for the partitions; see ferry_sender_poke */
    _Atomic bool staged;      /* something was staged: it must be watched */
    struct ferry_topic_meta *meta;
    struct ferry_timer timer; /* expiry of what is staged */
    struct ferry_window batch_bytes, batch_records;
    bool flush_staged;        /* a flush waits for what is staged */
    struct ferry_command add; /* ferry_sender_topic_new's */
};

/* One broker as the sender sees it; lives as long as the sender. */
struct ferry_sender_node {
    struct ferry_link link;
    struct ferry_sender *sender;
    int32_t id;
    uint32_t in_flight;            /* Produce requests */
    struct ferry_link ready;       /* lanes that can send now */
    struct ferry_timer timer;      /* end of a throttle */
    _Atomic int64_t stalled_since; /* has ready lanes and cannot send; 0 = not */
};

struct ferry_sender_counters {
    _Atomic int64_t records_sealed; /* accepted and no longer in an open batch */
    _Atomic int64_t records_acked, records_failed;
    _Atomic int64_t batches_sent, bytes_sent, retries, splits, epoch_bumps;
};

enum ferry_sender_id {
    FERRY_SENDER_ID_NONE,
    FERRY_SENDER_ID_ASKING,
    FERRY_SENDER_ID_READY,
    FERRY_SENDER_ID_FATAL
};

struct ferry_sender {
    struct ferry_client *client; /* set when it starts */
    const struct ferry_settings *settings;
    const struct ferry_config *config;
    struct ferry_sender_hooks hooks;
    uint32_t flags;
    void *owner;
    void *queue; /* destination of deliveries: a struct ferry_queue; NULL: the main one */
    /* appenders' */
    struct ferry_chunks chunks;
    struct ferry_accum_config accum_config;
    _Atomic uint64_t ids;
    _Atomic(struct ferry_lane *) signals;
    _Atomic bool urgent_woken, lazy_woken; /* the commands are on their way */
    _Atomic bool pressure;                 /* what is open is to be sent: someone found no room */
    _Atomic bool refusing;                 /* it is about to be closed */
    _Atomic int fatal;                     /* code with which everything ends; 0 */
    struct ferry_command urgent, lazy; /* both look at the signalled lanes: at once, by some time */
    struct ferry_sender_counters counters;
    /* the engine's */
    struct ferry_observer observer;
    struct ferry_link topics, nodes;
    struct ferry_link requests;    /* on the wire */
    struct ferry_timer meta_timer; /* asks for a topic's metadata again after memory was short */
    bool started, closed;
    struct ferry_codecs **idle_codecs; /* contexts not in use */
    size_t idle_codec_count, idle_codec_cap;
    struct ferry_lot **taken; /* scratch of a request being built */
    size_t taken_cap;
    struct ferry_link flushes, flushing; /* waiting for the next flush; for the present one */
    struct ferry_timer flush_timer;
    int64_t trim_seen;
    ferry_nsec pressed_at;                   /* when pressure last had its way */
    struct ferry_window queue_us, report_us; /* sender_statistics.c */
    uint32_t flush_pending;                  /* lanes and topics that the present flush waits for */
    struct ferry_command start;
    struct ferry_timer trim_timer;
    /* idempotence */
    bool idempotent;
    enum ferry_sender_id id_state;
    int64_t producer_id;
    int16_t producer_epoch;
    struct ferry_request *id_request;
    struct ferry_timer id_timer;
    uint32_t id_tries;
};

/* -- Life. The sender must outlive the client's steps; free it after the client. -- */

/* queue: of the deliveries. NULL with err filled. config is the client's frozen one. */
struct ferry_sender *ferry_sender_new(const struct ferry_config *config, uint32_t flags,
                                      const struct ferry_sender_hooks *, void *queue, void *owner,
                                      struct ferry_error *err);
/* Attaches it to the client: a command to be handed in first (or, inside a step, to be run). */
struct ferry_command *ferry_sender_start(struct ferry_sender *);
/* Frees it with everything in it. No thread may use it, and the client is gone or closed. */
void ferry_sender_free(struct ferry_sender *);

/* A topic; NULL with err filled. settings NULL: as the configuration says. Hand topic->add to the engine. Any thread. */
struct ferry_sender_topic *ferry_sender_topic_new(struct ferry_sender *, struct ferry_str name,
                                                  const struct ferry_topic_settings *settings,
                                                  struct ferry_error *err);
/* Frees one that was never handed to the engine. */
void ferry_sender_topic_free(struct ferry_sender_topic *);

/* -- Appending: any thread -- */

struct ferry_sender_place {
    struct ferry_lane *lane; /* NULL: staged */
    uint64_t batch;          /* id; 0 if staged */
    uint32_t index;
};

/* Appends one record; partition -1 lets the partitioner choose. record->timestamp is set; sent_at and expires_at where
 * the flags ask for them. 0, or an error after which nothing was taken: FERRY_E_QUEUE_FULL, FERRY_E_INVALID (no such
 * partition), FERRY_E_FATAL, a broker's refusal of the topic, FERRY_E_NOMEM. */
int ferry_sender_append(struct ferry_sender_topic *, int32_t partition, struct ferry_accum_record *,
                        struct ferry_sender_place *);
/* The sticky lane has had its share of keyless records: another is chosen. Under no lock. */
void ferry_sender_change_sticky(struct ferry_lane *);
/* Looks again whether records may go the plain way. Under no lock. */
void ferry_sender_set_plain(struct ferry_sender_topic *);
/* What a key asks for; see client/partitioner.h. */
enum ferry_pick ferry_sender_pick(struct ferry_sender_topic *, struct ferry_bytes key,
                                  int32_t count, int32_t *partition);
/* Has the engine look soon, for instance at a topic for which somebody began to wait. Any thread. */
void ferry_sender_poke(struct ferry_sender *);
/* There was no room: what is open is sent now. Any thread. */
void ferry_sender_press(struct ferry_sender *);

/* -- Commands -- */

/* Waits for everything appended before it ran. */
struct ferry_sender_flush {
    struct ferry_command command; /* made by ferry_sender_flush_init */
    struct ferry_link link;
    struct ferry_sender *sender;
    _Atomic bool done;
    _Atomic uint32_t refs; /* engine's and caller's */
};
struct ferry_sender_flush *ferry_sender_flush_new(struct ferry_sender *);
void ferry_sender_flush_unref(struct ferry_sender_flush *);

enum { FERRY_SENDER_PURGE_QUEUE = 1, FERRY_SENDER_PURGE_FLIGHT = 2 };
/* Inside a step: fails what is queued, on the wire, or both, with this code. */
void ferry_sender_purge(struct ferry_sender *, unsigned what, int32_t code);

/* Records of the topic that lie in open batches or are staged: accepted, and in no counter yet. Any thread. */
int64_t ferry_sender_open_records(struct ferry_sender_topic *);

/* Frees a delivered lot: gives its room back. Any thread. */
void ferry_lot_release(struct ferry_lot *);

static inline struct ferry_lot *ferry_lot_of_delivery(struct ferry_delivery *d)
{
    return FERRY_CONTAINER(d, struct ferry_lot, delivery);
}

#endif
