/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_CORE_H
#define CLIENT_CORE_H
/*
 * Private to client.c, request.c, broker.c, line.c, coordinator.c, cluster.c and metadata.c: what a client's core is
 * made of. Modules use client.h, request.h, broker.h and cluster.h.
 *
 *   request --> (any | controller | coordinator lookup | node) --> line of a broker --> flight on its connection
 *
 * Invariants:
 *  1. An active request is in exactly one place: a waiting list (core->any, core->controller_waiting, a coordinator's,
 *     a line's), a flight's owner, or core->done.
 *  2. A broker, and a host name it had, is freed at the beginning of a later step (ferry_broker_sweep): pointers stay good
 *     during callbacks, and names until the actions that name them have begun.
 *  3. Bootstrap brokers exist until metadata names real ones, and again after a rebootstrap. A bootstrap broker whose
 *     address a node turns out to have becomes that node, with its connections.
 */
#include "base/arena.h"
#include "client/client.h"
#include "client/window.h"
#include "engine/conn.h"

enum { CORE_KEYS = 96, CORE_FEATURES = 16 };

/* Versions that a broker offers, by API key; high -1: not at all. */
struct ferry_versions {
    int16_t low[CORE_KEYS], high[CORE_KEYS];
};

enum ferry_line_state {
    FERRY_LINE_DOWN,
    FERRY_LINE_WAITING,   /* until the broker's backoff ends */
    FERRY_LINE_RESOLVING, /* until the broker has addresses */
    FERRY_LINE_OPENING,
    FERRY_LINE_NEGOTIATING, /* ApiVersions; authentication will come between this and READY */
    FERRY_LINE_READY,
    FERRY_LINE_CLOSING
};

/* One class's connection to one broker. */
struct ferry_line {
    struct ferry_conn conn; /* first */
    struct ferry_client *client;
    struct ferry_broker *broker;
    enum ferry_class conn_class;
    enum ferry_line_state state;
    bool wanted;               /* ferry_broker_connect: try until it is up */
    bool wanted_once;          /* try until it is up or has failed */
    bool quiet;                /* its end is no failure: idle, or the broker is gone */
    bool was_ready;            /* when it began to close */
    uint8_t handshake_version; /* of the ApiVersions under way */
    uint32_t slot;             /* in core->slots, while its connection is not idle */
    size_t addr_index;
    struct ferry_link waiting;
    struct ferry_timer timer; /* of the state: setup time-out, backoff, idleness */
    struct ferry_timer throttle;
    ferry_nsec throttled_until, active_at, opened_at;
    struct ferry_versions versions;
    uint64_t requests, answers;
    struct ferry_window rtt, wait, throttled; /* filled while statistics are on; us, us, ms */
};

struct ferry_broker {
    struct ferry_link link;
    struct ferry_client *client;
    int32_t node; /* negative: bootstrap */
    char *host;
    int32_t port;
    char *rack; /* NULL: none */
    bool gone;
    bool failed_since; /* no connection since the last failure: counts for "all brokers down" */
    struct ferry_line *lines[FERRY_CLASS_COUNT];
    struct ferry_addr *addrs; /* as resolved; none while count is 0 */
    size_t addr_count, addr_at;
    uint64_t resolve_op; /* 0: none under way */
    unsigned failures;   /* in a row */
    ferry_nsec retry_at;
    bool negotiated;
    struct ferry_versions versions; /* of the last line that negotiated */
};

struct ferry_slot {
    struct ferry_line *line;
    uint32_t gen;
};

struct ferry_feature {
    char name[64];
    int16_t level;
};

/* The metadata cache's refreshing (metadata.c). */
struct ferry_metadata {
    struct ferry_request request;
    struct ferry_metadata_request message;
    struct ferry_arena arena; /* of the message */
    bool need;                /* a refresh is wanted */
    bool urgent;              /* and need not wait for the backoff */
    bool full;                /* the request under way asks for every topic */
    bool split;               /* the next one is for topics that must not be created */
    unsigned tries;           /* refreshes in a row that did not help */
    ferry_nsec asked_at, answered_at,
        missing_since; /* 0: never; missing_since: FERRY_NEVER while not missed */
    struct ferry_timer timer, trigger;
};

struct ferry_client_core {
    struct ferry_link brokers; /* bootstrap ones and nodes, in order of appearance */
    struct ferry_link any, controller_waiting, done;
    struct ferry_slot *slots;
    size_t slot_count, slot_cap;
    uint32_t open_conns;
    uint64_t last_op;
    struct ferry_arena arena; /* bodies of answers */
    struct ferry_flight_pool flights;
    struct ferry_timer any_timer, statistics_timer;
    bool stepped;     /* the first step has begun */
    bool failed;      /* memory ran out where nothing can be undone */
    bool sweep;       /* brokers wait to be freed */
    char **old_hosts; /* names that wait to be freed */
    size_t old_host_count, old_host_cap;
    bool all_down; /* told so */

    /* cluster */
    struct ferry_map topics; /* name -> struct ferry_topic_meta */
    struct ferry_link topic_list;
    struct ferry_link changed; /* struct topic_entry, see cluster.c */
    uint32_t want_all;
    char *cluster_id;
    int32_t controller;
    struct ferry_metadata metadata;
    char **bootstrap; /* "host:port" as configured or added */
    size_t bootstrap_count, bootstrap_cap;
    struct ferry_feature features[CORE_FEATURES];
    size_t feature_count;
    int64_t features_epoch;

    struct ferry_map coordinators[3]; /* by enum ferry_coordinator_type: key -> entry */
    struct ferry_link works;          /* given to the driver */
};

static inline bool ferry_core_closing(const struct ferry_client *client)
{
    return client->closing;
}

/* -- client.c -- */
/* Fails the engine: its step returns FERRY_E_NOMEM. */
void ferry_core_fail(struct ferry_client *);

/* -- request.c -- */
/* Ends a request; on_done comes at the end of the step. Takes it out of where it is, flights aside. */
void ferry_request_finish(struct ferry_request *, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends it now, with a reply: from an answer. */
void ferry_request_complete(struct ferry_request *, struct ferry_reply *);
/* Finds its way, anew. */
void ferry_request_route(struct ferry_client *, struct ferry_request *);
/* Calls on_done of what was finished. */
void ferry_request_run_done(struct ferry_client *);
/* Marks it as being on the wire. */
void ferry_request_on_wire(struct ferry_request *, struct ferry_line *, struct ferry_flight *);
/* Its flight ended without an answer. */
void ferry_request_lost(struct ferry_request *, int status, const char *text);
/* Its flight is drained: a cancelled one may end now. Returns true if the flight has no owner any more. */
bool ferry_request_drained(struct ferry_request *);
/* Ends all of a list. */
void ferry_request_finish_list(struct ferry_link *list, int status, const char *text);
/* Gives waiting requests for any broker to the least loaded one, or begins to connect to one. */
void ferry_request_dispatch_any(struct ferry_client *);
/* The controller became known. */
void ferry_request_dispatch_controller(struct ferry_client *);

/* -- broker.c -- */
struct ferry_broker *ferry_broker_find(const struct ferry_client *, int32_t node);
/* Learns a node's address: makes it, changes it, or turns a bootstrap broker into it. NULL without memory. */
struct ferry_broker *ferry_broker_learn(struct ferry_client *, int32_t node, struct ferry_str host,
                                        int32_t port, struct ferry_str rack);
/* Makes bootstrap brokers of core->bootstrap, in random order, those not there yet. */
void ferry_broker_bootstrap(struct ferry_client *);
/* Takes a broker out: what waits for it fails, its connections close, it is freed later. */
void ferry_broker_remove(struct ferry_broker *);
void ferry_broker_sweep(struct ferry_client *);
void ferry_broker_free_all(struct ferry_client *);
struct ferry_line *ferry_broker_line(struct ferry_broker *,
                                     enum ferry_class); /* made if need be; NULL without memory */
void ferry_broker_resolved(struct ferry_client *, const struct ferry_event *);
/* A line asks for addresses. */
void ferry_broker_resolve(struct ferry_broker *);
/* No address of it can be reached: backs off. */
void ferry_broker_failed(struct ferry_broker *);
/* One of its lines came up. */
void ferry_broker_up(struct ferry_broker *);
bool ferry_broker_has_ready_line(const struct ferry_broker *);
/* Whether a node or bootstrap broker could be tried now. */
bool ferry_broker_in_backoff(const struct ferry_broker *);

/* -- line.c -- */
struct ferry_line *ferry_line_new(struct ferry_broker *, enum ferry_class);
void ferry_line_free(struct ferry_line *);
/* Takes a request to be written. */
void ferry_line_submit(struct ferry_line *, struct ferry_request *);
/* Does what can be done now: connect, write. */
void ferry_line_kick(struct ferry_line *);
void ferry_line_close(struct ferry_line *, int status, const char *text);
/* Its broker's addresses came, or did not (status). */
void ferry_line_resolved(struct ferry_line *, int status, const char *text);
bool ferry_line_usable(const struct ferry_line *); /* ready and not throttled */

/* -- coordinator.c -- */
void ferry_coordinator_route(struct ferry_client *, struct ferry_request *);
/* A request that went to a coordinator failed in transport. */
void ferry_coordinator_suspect(struct ferry_client *, const struct ferry_request *);
void ferry_coordinator_finish_all(struct ferry_client *, int status, const char *text);
void ferry_coordinator_free_all(struct ferry_client *);

/* -- cluster.c -- */
int ferry_cluster_init(struct ferry_client *, struct ferry_error *err);
/* Applies an answer. full: it is about every topic. 0 or FERRY_E_NOMEM. Sets *missing if something is not usable yet,
   *changed if anything was new. */
int ferry_cluster_apply(struct ferry_client *, const struct ferry_metadata_response *, bool full,
                        bool *missing, bool *changed);
/* Forgets leaders and epochs: another cluster may answer next. */
void ferry_cluster_forget(struct ferry_client *);
/* Tells observers of topics that changed. */
void ferry_cluster_flush(struct ferry_client *);
void ferry_cluster_free_all(struct ferry_client *);

/* -- metadata.c -- */
void ferry_metadata_init(struct ferry_client *);
/* Asks for a refresh; urgent: not to wait for the backoff. */
void ferry_metadata_need(struct ferry_client *, bool urgent);
/* Forgets the cluster and begins again with the bootstrap servers. */
void ferry_metadata_rebootstrap(struct ferry_client *, const char *why);
/* Every known broker is in backoff: begins anew if the strategy says so and that can help; true if it did. */
bool ferry_metadata_all_unreachable(struct ferry_client *);
void ferry_metadata_free(struct ferry_client *);

/* -- observers (client.c) -- */
void ferry_core_tell_metadata(struct ferry_client *, int32_t status);
void ferry_core_tell_up(struct ferry_client *, int32_t node, enum ferry_class);
void ferry_core_tell_down(struct ferry_client *, int32_t node, enum ferry_class, int32_t status);

#endif
