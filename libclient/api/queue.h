/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef API_QUEUE_H
#define API_QUEUE_H
/*
 * Event queues: what the engine hands to the application (struct ferry_delivery) waits here until a
 * thread of the application takes it.
 *
 * Forwarding, lengths, cancelling and wakes are declared in the public header. Any thread may call any function. A queue is reference-counted; each delivery names its queue,
 * and whoever keeps such a pointer (an engine object, a forward) holds a reference.
 *
 * Invariants:
 *  1. A delivery is in at most one queue, and in the order in which it was pushed.
 *  2. A forwarded queue is empty: what it had moved to its target, and every operation on it acts
 * on the target. Chains are followed; a circle is refused.
 *  3. `length` is the sum of the weights of what is queued: records, where a delivery stands for
 * records.
 *  4. A wake (descriptor or callback) happens once for each change from empty to non-empty, after
 * the delivery is there, and never under a lock.
 */
#include "ferry/error.h"
#include "ferry/queue.h"

#include "client/client.h"

struct ferry_handle;
struct ferry_queue;

/* handle: the one that must be driven while a thread waits on the queue. One reference. NULL
 * without memory. */
struct ferry_queue *ferry_queue_create(struct ferry_handle *handle);
struct ferry_queue *ferry_queue_ref(struct ferry_queue *);
/* The last reference drops what is queued (delivery->drop). NULL is fine. */
void ferry_queue_unref(struct ferry_queue *);

/* The delivery is the queue's until it is popped. A closed queue drops it at once. */
void ferry_queue_push(struct ferry_queue *, struct ferry_delivery *);
/* Puts back in front what was popped and not used up; its weight may have changed. No wake. */
void ferry_queue_push_front(struct ferry_queue *, struct ferry_delivery *);

/* The oldest delivery, or NULL. Never waits. It is the caller's: use it, then delivery->drop or its
 * own release. */
struct ferry_delivery *ferry_queue_pop(struct ferry_queue *);
/* Waits until `deadline` (monotonic ns; FERRY_NEVER), driving the handle meanwhile if no other
   thread does. NULL with *status (may be NULL) FERRY_E_TIMED_OUT, FERRY_E_INTERRUPTED
   (ferry_queue_cancel), FERRY_E_CLOSED, FERRY_E_STATE (from inside a callback), or the code with
   which the engine ended. */
struct ferry_delivery *ferry_queue_wait(struct ferry_queue *, ferry_nsec deadline, int *status);
/* The first delivery for which match is true. For answers of one call on a shared queue. NULL if
 * there is none. */
struct ferry_delivery *ferry_queue_take(struct ferry_queue *,
                                        bool (*match)(const struct ferry_delivery *, void *),
                                        void *cookie);

/* Everything queued is dropped, waits end, later pushes are dropped. */
void ferry_queue_close(struct ferry_queue *);
/* Drops what is queued and matches (NULL: all). Returns the weight dropped. */
uint64_t ferry_queue_purge(struct ferry_queue *,
                           bool (*match)(const struct ferry_delivery *, void *), void *cookie);

bool ferry_queue_empty(struct ferry_queue *);

/* -- For seat.c -- */

struct ferry_waiter;

/* Registers a waiter with the queue or where it is forwarded to (waiter->queue gets a reference). */
void ferry_queue_join(struct ferry_queue *, struct ferry_waiter *);
void ferry_queue_unjoin(struct ferry_waiter *);
/* Whether a wait on exactly this queue has something to look at. Cheap, changes nothing. */
bool ferry_queue_stirred(struct ferry_queue *);
/* Whether the wait is over: *rc 0 if there is a delivery, FERRY_E_INTERRUPTED (which uses a cancel up), FERRY_E_CLOSED. */
bool ferry_queue_ends_wait(struct ferry_queue *, int *rc);

#endif
