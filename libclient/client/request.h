/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H
/*
 * One request to the cluster, whoever asks: producer, consumer, admin, metadata.
 *
 * The owner embeds struct ferry_request in its own struct, fills the first part, and submits it. It
 * chooses where the request goes, how long it may take and how its body is written; the core finds
 * the broker, connects, negotiates the version, correlates, and calls on_done.
 *
 * Invariants:
 *  1. on_done is called exactly once for each submit, never from inside submit or cancel, always
 * from a step of the same client. After it the request belongs to its owner again, who may free or
 * submit it anew.
 *  2. on_done is called only when the driver holds no reference to memory that the request's body
 * named: after DRAINED of its bytes, or after CLOSED of its connection. What encode referenced must
 * live until on_done.
 *  3. Requests of one class to one broker are written in the order of their submission, and (a
 * broker answers in order) done in that order, cancelled and timed-out ones aside.
 *  4. A time-out of a request that is on the wire closes its connection: answers come in order, so
 * nothing behind it could be answered either. It is done with FERRY_E_TIMED_OUT, the others in
 * flight with FERRY_E_TRANSPORT.
 */
#include "base/heap.h"
#include "base/list.h"
#include "engine/env.h"

struct ferry_client;
struct ferry_writer; /* wire/cursor.h */
struct ferry_arena;

/* Connections to one broker, opened lazily, so that a parked Fetch or JoinGroup holds up nothing
 * else. */
enum ferry_class {
    FERRY_CLASS_GENERAL, /* metadata, admin, offsets by time, producer ids */
    FERRY_CLASS_PRODUCE,
    FERRY_CLASS_FETCH,
    FERRY_CLASS_JOIN,        /* JoinGroup and SyncGroup, which the broker parks */
    FERRY_CLASS_COORDINATOR, /* heartbeat, commit, leave, transactions */
    FERRY_CLASS_COUNT
};

enum ferry_target {
    FERRY_TO_ANY,        /* the least loaded broker; bootstrap ones too */
    FERRY_TO_NODE,       /* `node`; FERRY_E_NOT_FOUND if metadata does not know it */
    FERRY_TO_CONTROLLER, /* as metadata names it; waits for metadata */
    FERRY_TO_COORDINATOR /* of (coordinator_type, coordinator_key); looked up, cached, waited for */
};

enum ferry_coordinator_type {
    FERRY_COORDINATOR_GROUP = 0,
    FERRY_COORDINATOR_TXN = 1,
    FERRY_COORDINATOR_SHARE = 2
};

/* What became of a request. Borrowed: gone when on_done returns, except what is said to be kept. */
struct ferry_reply {
    int32_t
        status; /* 0: the body is there; else enum ferry_err. A broker's own error code stands in
                   the body. A failed coordinator lookup gives the broker's code (positive) here */
    const char *text; /* why, when status is not 0; never NULL */
    int16_t version;  /* at which it was written; -1 if it never was */
    int32_t node;     /* the broker it was given to; -1 if none */
    bool sent;  /* some of it may have reached the broker. false: it certainly had no effect */
    void *body; /* struct ferry_<api>_response in `arena`; NULL on failure and for no_reply */
    struct ferry_arena *arena; /* the client's scratch arena, reset after on_done */
    struct ferry_slab
        *frame; /* keep_frame only: what strings and bytes of the body point into; take a reference
                   (ferry_slab_ref) to keep records beyond on_done, from any thread */
    int32_t throttle_ms; /* as the broker said; already honoured by the connection */
    ferry_nsec sent_at;  /* when it was given to the driver, for latencies */
};

struct ferry_request {
    /* The owner's part: zero it all, then fill. Not to be changed between submit and on_done. */
    int16_t api_key;
    int16_t min_version,
        max_version; /* the owner's usable range; max 0 and min 0 mean version 0 only */
    enum ferry_target target;
    enum ferry_class conn_class;
    int32_t node;            /* FERRY_TO_NODE */
    int8_t coordinator_type; /* FERRY_TO_COORDINATOR */
    struct ferry_str coordinator_key;
    ferry_nsec timeout; /* from submit to done; 0 means request.timeout.ms */
    bool no_reply;      /* Produce with acks=0: done with body NULL when its bytes are drained */
    bool keep_frame;    /* the reply's frame comes as a slab however small it is (Fetch) */
    size_t arena_limit; /* of the decoded body; 0 means in proportion to the frame */
    /* Writes the body at `version`. Large bytes by reference (see wire). Called once per submit,
       when the bytes are given to the driver: later than submit if the connection was not ready.
       Not 0: the request fails with it. */
    int (*encode)(struct ferry_client *, struct ferry_request *, int16_t version,
                  struct ferry_writer *);
    const void
        *message; /* instead of encode: struct ferry_<api>_request, written by its descriptor */
    void (*on_done)(struct ferry_client *, struct ferry_request *, const struct ferry_reply *);
    void *cookie;

    /* The core's part. */
    struct ferry_link link;
    struct ferry_timer timer;
    struct ferry_client *client;
    uint8_t state; /* enum request_state in request.c */
    bool was_sent;
    int16_t version;
    int32_t status, given_to;
    ferry_nsec submitted_at, sent_at;
    struct ferry_line *line; /* and the connection it is on, while it is on the wire */
    struct ferry_flight *flight;
    char text[120];
};

/* Takes the request on. Never fails: a failure comes as on_done. Inside a step only. */
void ferry_request_submit(struct ferry_client *, struct ferry_request *);

/* Makes on_done come with FERRY_E_INTERRUPTED as soon as invariant 2 allows; an answer that comes
   later is dropped. A request that is already done or was never submitted is left alone. Inside a
   step only. */
void ferry_request_cancel(struct ferry_client *, struct ferry_request *);

/* True from submit until on_done begins. */
bool ferry_request_active(const struct ferry_request *);

/* -- Coordinators (client/coordinator.c)
 * ------------------------------------------------------------------ */

/* The cached coordinator's node id, or -1. */
int32_t ferry_coordinator_known(const struct ferry_client *, int8_t type, struct ferry_str key);
/* Drops the cached one if it is still `node` (-1: whoever it is): call it on NOT_COORDINATOR,
   COORDINATOR_NOT_AVAILABLE and when the connection to it fails. The next request looks it up
   again. */
void ferry_coordinator_forget(struct ferry_client *, int8_t type, struct ferry_str key,
                              int32_t node);

#endif
