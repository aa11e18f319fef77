/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ENGINE_CONN_H
#define ENGINE_CONN_H
/*
 * A client's side of one protocol connection: requests out, answers in, told apart by order and correlation id. It
 * knows nothing of brokers, versions or time-outs; its owner does.
 *
 *   IDLE --open--> OPENING --OPENED--> OPEN --close, bad bytes--> CLOSING --CLOSED--> IDLE
 *                     \________________ CLOSED (refused, reset) _________________________/
 *
 * Invariants:
 *  1. Answers come in the order of their requests; another correlation id than the oldest unanswered one's ends the
 *     connection with FERRY_E_PROTOCOL.
 *  2. A flight's bytes are the driver's until it is drained. No callback gives a flight back before that, except after
 *     CLOSED. An answer that is there earlier waits.
 *  3. Each flight ends in exactly one of on_answer, on_drained (no_reply), on_lost, and is freed right after it.
 */
#include "base/list.h"
#include "engine/frames.h"
#include "wire/frame.h"

struct ferry_conn;

/* One request on the wire. */
struct ferry_flight {
    struct ferry_link link;
    const struct ferry_api *api;
    int16_t version;
    bool no_reply; /* ends when drained */
    bool drained;
    int32_t correlation;
    uint64_t op;
    ferry_nsec sent_at;
    void *owner; /* the owner's; NULL when it lost interest: the answer is dropped */
    struct ferry_writer writer;
    struct ferry_slab *early; /* an answer that came before DRAINED */
};

struct ferry_conn_ops {
    void (*on_open)(struct ferry_conn *, const struct ferry_event *);
    /* The frame of its answer, header included. Not 0: the connection is closed with it. */
    int (*on_answer)(struct ferry_conn *, struct ferry_flight *, const struct ferry_frame *);
    /* Its bytes are drained; a no_reply flight ends with this. Must not send or close. */
    void (*on_drained)(struct ferry_conn *, struct ferry_flight *);
    /* The connection ended before its answer came. */
    void (*on_lost)(struct ferry_conn *, struct ferry_flight *, int status, const char *text);
    /* Last, after all on_lost: the driver holds nothing. The connection may be opened again, or freed, inside. */
    void (*on_closed)(struct ferry_conn *, int status, const char *text);
};

/* Flights kept for reuse, shared by the connections of one engine. */
struct ferry_flight_pool {
    struct ferry_link free;
    unsigned count;
};

enum ferry_conn_state { FERRY_CONN_IDLE, FERRY_CONN_OPENING, FERRY_CONN_OPEN, FERRY_CONN_CLOSING };

struct ferry_conn {
    enum ferry_conn_state state;
    struct ferry_id id;
    const struct ferry_conn_ops *ops;
    struct ferry_flight_pool *pool;
    struct ferry_frames in;
    struct ferry_link flights; /* oldest first */
    uint32_t flight_count;
    int32_t next_correlation;
    uint64_t next_op;
    int close_status;
    char close_text[120];
    uint64_t bytes_in, bytes_out;
};

void ferry_conn_init(struct ferry_conn *, const struct ferry_conn_ops *, struct ferry_flight_pool *,
                     uint32_t limit);
/* id: new for each opening. host: for the driver's security filter. */
void ferry_conn_open(struct ferry_conn *, struct ferry_id id, const struct ferry_addr *,
                     const char *host, struct ferry_actions *out);
/* Gives one of its events to it. */
void ferry_conn_event(struct ferry_conn *, const struct ferry_event *, struct ferry_actions *out);
/* Begins to close; harmless when it is closing or idle. CLOSED, with all that is lost, follows. */
void ferry_conn_close(struct ferry_conn *, int status, const char *text, struct ferry_actions *out);
/* Frees what it holds, in any state in which no driver holds anything. Flights are lost silently. */
void ferry_conn_free(struct ferry_conn *);

/* Begins a request: a flight with its header written into its writer, the body to be appended by the caller. NULL
   without memory. Then ferry_conn_send, or ferry_conn_drop. */
struct ferry_flight *ferry_conn_begin(struct ferry_conn *, const struct ferry_api *, int version,
                                      struct ferry_str client_id);
/* 0; or the writer's error or FERRY_E_NOMEM, after which the flight is still the caller's. State OPEN only. */
int ferry_conn_send(struct ferry_conn *, struct ferry_flight *, ferry_nsec now,
                    struct ferry_actions *out);
void ferry_conn_drop(struct ferry_conn *, struct ferry_flight *);

void ferry_flight_pool_init(struct ferry_flight_pool *);
void ferry_flight_pool_free(struct ferry_flight_pool *);

#endif
