/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef API_CONSUMER_H
#define API_CONSUMER_H
/*
 * A consumer's handle: a client handle, the application's half of a consumer (client/consumer_app.h) under a mutex, and a
 * queue that both halves' deliveries go through.
 *
 *  1. The mutex is never held while anything waits, while a command is posted, or while the application is called:
 *     commands are collected in `outbox` and posted after it is given back (ferry_consumer_unlock).
 *  2. A buffer in the application's hands finds its consumer through the anchor, which says whether it still lives.
 */
#include "api/handle.h"
#include "api/queue.h"
#include "client/consumer_app.h"
#include "ferry/consumer.h"

/* What buffers keep of their consumer; lives as long as the last of them. */
struct consumer_anchor {
    pthread_mutex_t lock;
    struct ferry_consumer *consumer; /* NULL once it is freed */
};

struct ferry_consumer {
    struct ferry_handle *handle;
    struct ferry_config *config; /* frozen */
    struct ferry_queue *queue;   /* the main one */
    struct consumer_anchor *anchor;
    struct ferry_consumer_app *app; /* under anchor->lock, as all below */
    struct ferry_link outbox;       /* commands to be posted */
    bool posting;                   /* some thread posts the outbox, in order */
    bool polling;                   /* a poll is under way */
    uint32_t waiters;               /* polls and fetches under way */
    int32_t max_records;
    ferry_rebalance_callback on_rebalance;
    void *on_rebalance_cookie;
    struct ferry_rebalance *asked; /* the question that the callback under way is about */
    struct ferry_rebalance *kept;  /* the open question, to be answered by the application */
    struct ferry_map queues;       /* of partitions: struct ferry_queue * */
    _Atomic bool open;             /* the handle may be used, by those counted in users */
    _Atomic uint32_t users;
    _Atomic bool closing;
};

void ferry_consumer_lock(struct ferry_consumer *);
/* Gives the lock back, then posts what was collected. */
void ferry_consumer_unlock(struct ferry_consumer *);
/* True if the handle may be used until leave; false once the consumer is closing, unless this is a callback of it. */
bool ferry_consumer_enter(struct ferry_consumer *);
/* The same, true while it is closing too: whoever answers a rebalance question then must be able to commit first. */
bool ferry_consumer_enter_closing(struct ferry_consumer *);
void ferry_consumer_leave(struct ferry_consumer *);

/* consumer_poll.c: deals with a delivery of the main queue: takes records over, answers questions or has them answered,
   calls what is to be called. The lock is held, given back around calls of the application, and held again. `until`: a call
   whose answer is awaited; true when this was it (then it is the caller's). */
bool ferry_consumer_take_delivery(struct ferry_consumer *, struct ferry_delivery *,
                                  struct ferry_consumer_call *until);
/* Whether this thread is inside a callback of this consumer. */
bool ferry_consumer_calls(const struct ferry_consumer *);

#endif
