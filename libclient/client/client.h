/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H
/*
 * The client engine: connections, requests, metadata, and what the producer, the consumer and the
 * admin calls share. It is a state machine (engine/env.h): one thread at a time steps it, whoever
 * holds the handle's lock (api/handle).
 *
 * A module (producer, consumer, admin call) is created by a command, registers a struct
 * ferry_observer, submits requests and arms timers; the core never calls it by name, so it knows no
 * module.
 *
 * Invariants:
 *  1. `now`, `wall` and `out` are of the step under way; `out` is NULL between steps.
 *  2. Callbacks of timers, requests, observers and commands run inside a step, one after another,
 * never nested in an API function's caller.
 */
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "client/broker.h"
#include "client/cluster.h"
#include "client/settings.h"
#include "client/request.h"
#include "engine/env.h"
#include "ferry/error.h"
#include "ferry/observe.h"

#include <stdatomic.h>

/* What an application's thread wants of the engine: embedded in a bigger struct, handed in as
   FERRY_EV_COMMAND. `run` is called once, inside a step; from then on the command is the engine's
   or whoever's run makes it. */
struct ferry_command {
    struct ferry_link link; /* the mailbox's, until it is run */
    void (*run)(struct ferry_client *, struct ferry_command *);
};

/* What the engine hands to the application (FERRY_DO_DELIVER): embedded in a bigger struct. */
struct ferry_delivery {
    struct ferry_link link; /* the queue's */
    void *queue; /* destination, a struct ferry_queue of api/queue.h; the engine never looks inside.
                    NULL: the handle's main queue */
    uint32_t type;                         /* enum ferry_event_kind of the public headers */
    uint32_t weight;                       /* records it stands for: what queue lengths count */
    void (*drop)(struct ferry_delivery *); /* frees it; for what nobody will take */
};

/* What the engine's owner gives it. All are called inside steps; they must not call back into the
 * engine. */
struct ferry_client_host {
    /* context: a bit of enum ferry_debug (client/settings.h), 0 for general. NULL: no logs. The
     * text is borrowed. */
    void (*log)(void *cookie, int level, uint32_t context, const char *text);
    /* A condition that no single call reports: all brokers down, a fatal error. NULL: none. */
    void (*error)(void *cookie, const struct ferry_error *);
};

/* Counters since creation; plain sums, read by api under the engine lock. */
struct ferry_client_counters {
    uint64_t requests, replies, request_timeouts, request_failures;
    uint64_t bytes_out, bytes_in;
    uint64_t connects, connect_failures, disconnects;
    uint64_t metadata_requests, rebootstraps, throttles;
};

struct ferry_conn_table;
struct ferry_broker;

struct ferry_client {
    struct ferry_engine engine;
    uint32_t magic;
    ferry_nsec now;
    ferry_msec wall;
    struct ferry_actions *out;
    struct ferry_timers timers;
    struct ferry_prng prng;
    const struct ferry_config *config;     /* frozen copy; see client/settings.h */
    const struct ferry_settings *settings; /* of it */
    const struct ferry_client_host *host;
    void *host_cookie;
    struct ferry_link observers;
    struct ferry_client_counters counters;
    bool closing;
    struct ferry_slab_pool *slabs; /* of large fetch answers; NULL until somebody fetches. Freed with the client */
    struct ferry_client_core *core; /* brokers, connections, requests, metadata: private to
                                       client/{client,broker, request,coordinator,cluster}.c */
};

/* Takes a deep copy of the configuration. seed: of all randomness. NULL with err filled if the
   configuration as a whole is wrong (ferry_settings_freeze), or without memory. */
struct ferry_client *ferry_client_new(const struct ferry_config *, uint64_t seed,
                                      const struct ferry_client_host *, void *host_cookie,
                                      struct ferry_error *err);

/* Begins to close, inside a step (as a command): observers end, requests are done with
   FERRY_E_CLOSED, connections close. ferry_client_closed is true when the driver holds nothing of
   it any more; then free it. */
void ferry_client_close(struct ferry_client *);
bool ferry_client_closed(const struct ferry_client *);
/* Frees it in any state in which no driver holds memory of it. Requests still active are done with
 * FERRY_E_CLOSED. */
void ferry_client_free(struct ferry_client *);

/* Hands a delivery out: FERRY_DO_DELIVER. Inside a step only. */
void ferry_client_deliver(struct ferry_client *, struct ferry_delivery *);

/* Timers: embed struct ferry_timer; its fire function's context is the struct ferry_client. Without
   memory the engine is marked failed and its step returns FERRY_E_NOMEM. */
void ferry_client_timer(struct ferry_client *, struct ferry_timer *, ferry_nsec at);
void ferry_client_timer_cancel(struct ferry_client *, struct ferry_timer *);

/* CPU work elsewhere (FERRY_DO_WORK): `work(arg)` may run on another thread and must touch nothing but arg's memory;
   on_done follows in a later step, also while the client closes. The struct is the owner's, and in use until then. */
struct ferry_work {
    struct ferry_link link;
    uint64_t op;
    void (*work)(void *arg);
    void *arg;
    void (*on_done)(struct ferry_client *, struct ferry_work *);
};
void ferry_client_work(struct ferry_client *, struct ferry_work *);

/* Exponential backoff with 20 % jitter: min * 2^tries, at most max, in ms; as ns. tries counts from
 * 0. */
ferry_nsec ferry_client_backoff(struct ferry_client *, int64_t min_ms, int64_t max_ms,
                                unsigned tries);

/* Logs if the level and context are on. Texts are built only then. */
bool ferry_client_logs(const struct ferry_client *, int level, uint32_t context);
void ferry_client_log(struct ferry_client *, int level, uint32_t context, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Tells the application through host->error. */
void ferry_client_error(struct ferry_client *, int32_t code, uint32_t flags, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

#endif
