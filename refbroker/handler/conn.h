/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANDLER_CONN_H
#define HANDLER_CONN_H
/*
 * Connections: frames in, answers out in the order of their requests.
 *
 *  1. An idle connection owns no buffer. A frame's slab grows with the bytes that came, never with the size it claims.
 *  2. All slabs together stay below queued.max.request.bytes, but for one frame at a time (the one that has waited
 *     longest), which may grow on up to socket.request.max.bytes so that somebody always gets through. What cannot be
 *     stored is not read: the connection is paused; bytes that are there already are kept up to twice the bound, and
 *     beyond it their connection is closed.
 *  3. A connection has a bounded number of requests and a bounded number of unsent bytes; beyond, it is not read.
 *  4. Requests start one at a time in order; only Produce may follow Produce that is still under way.
 *  5. Nothing starts or is sent outside broker_conns_settle, the end of the step.
 */
#include "refbroker/handler/pool.h"
#include "refbroker/handler/request.h"

struct broker_conn {
    struct broker_node *node;
    struct ferry_id id;
    struct ferry_addr peer;
    struct ferry_link idle;     /* in node order of last request */
    struct ferry_link stall;    /* mid-frame, in order of last bytes */
    struct ferry_link ready;    /* has something to do at the end of the step */
    struct ferry_link hungry;   /* waits for memory */
    struct ferry_link requests; /* unanswered, in order */
    struct ferry_link sent;     /* answers in the driver's hands, in order */
    ferry_nsec active_at, bytes_at;
    struct ferry_slab *frame; /* being received; what follows the length */
    struct ferry_slab *held;  /* bytes that came but may not be looked at yet, from held_at */
    size_t held_at;
    size_t wants;        /* memory that it waits for while hungry */
    uint64_t unsent;     /* bytes of answers in the driver's hands */
    uint32_t frame_size; /* claimed */
    uint32_t frame_hint; /* the largest frame that really came */
    uint32_t request_count, running, running_pipelined;
    uint8_t head[4], head_len;
    bool lent, paused, closing;
};

struct broker_conns {
    struct broker_conn **slots;
    size_t slot_count, slot_cap;
    uint32_t *free_slots;
    size_t free_count, free_cap;
    uint32_t gen;
    uint32_t open;
    struct ferry_link idle, stall, ready, hungry;
    struct broker_conn *privileged; /* may grow beyond the bound */
    struct ferry_timer timer;       /* idle and stalled ones */
    struct broker_pool pool;
    struct broker_requests requests;
    uint64_t op, total, request_total, bytes_in;
};

/* Slot 0 is the listener's. */
enum { CONN_SLOT_FIRST = 1 };

void broker_conns_init(struct broker_conns *);
/* Frees everything without a further action. */
void broker_conns_free(struct broker_node *);
void broker_conns_accept(struct broker_node *, const struct ferry_event *);
/* RECEIVED, DRAINED, CLOSED. */
void broker_conns_event(struct broker_node *, const struct ferry_event *);
/* Starts what may start and sends what is done. False when there was nothing to do. */
bool broker_conns_settle(struct broker_node *);
/* A request of this connection is done, or what it waited for has changed. */
void broker_conn_wake(struct broker_conn *);
void broker_conn_close(struct broker_conn *, const char *why);
/* All of them, for a stop. */
void broker_conns_close_all(struct broker_node *);

#endif
