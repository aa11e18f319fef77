/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef API_HANDLE_H
#define API_HANDLE_H
/*
 * A client handle's machinery: the engine, the loop that runs it, and how the threads that use it share it.
 *
 * Two things are held by one thread at a time:
 *   - the seat: the right to step the engine. Held for single rounds, never while a thread sleeps in epoll. Whoever
 *     has it runs what lies in the mailbox;
 *   - the role of the driver: who sleeps in epoll and serves what comes. An application's thread that waits inside the API
 *     takes it, and so reads its own answer; the I/O thread has it only while none does.
 *
 *             +------------ a thread waits (ferry_handle_wait), or the lease ended ------------+
 *             v                                                                               |
 *   I/O thread drives --- a thread begins to wait: kicked, yields --> that thread drives --- it leaves --> nobody drives
 *                                                                                       next waiter, else the lease
 *
 * A leaving waiter does not wake the I/O thread, which stands by with a lease of a few milliseconds for as long as waiters
 * keep coming back, and drives again when none came within a lease. While one waiter drives for long the I/O
 * thread sleeps for good, and that waiter wakes it when it leaves.
 *
 * Invariants:
 *  1. The engine, and the loop but for its poll and wake, are touched only by the thread that has the seat.
 *  2. A thread that leaves the seat looks into the mailbox afterwards, and a thread that failed to take the seat has put
 *     its command there before: no command is left behind.
 *  3. A thread that is about to sleep says until when (polled_until, standby_until), then looks whether there is something
 *     to do; a thread that makes something to do looks afterwards who sleeps beyond it. So no wake is lost, and none
 *     is sent to those who will look in time by themselves.
 *  4. No function of the application runs under the seat, hooks and custom partitioners aside. Inside any of them, waiting
 *     for a handle is refused (ferry_in_callback).
 *  5. While nothing happens nobody wakes: an idle handle's driver sleeps until the engine's deadline.
 *
 * A forked child must not use or close handles of its parent: the I/O thread is not there, and connections and
 * epoll are shared with the parent. All descriptors are close-on-exec.
 */
#include "api/queue.h"
#include "drive/loop.h"
#include "ferry/loop.h"
#include "ferry/observe.h"

#include <pthread.h>

/* A thread inside ferry_handle_wait; on its stack. */
struct ferry_waiter {
    struct ferry_link link;       /* of handle->waiters, under handle->lock */
    struct ferry_link queue_link; /* of its queue's waiters, under that queue's lock */
    struct ferry_handle *handle;
    struct ferry_queue *queue; /* what it waits on, forwards followed; a reference; NULL */
    bool (*ready)(void *cookie);
    void *cookie;
    _Atomic uint32_t word; /* futex: counts signals */
    _Atomic bool driving;
    _Atomic bool moved; /* the queue was forwarded meanwhile: look again where to wait */
};

/* A function of the application that is due: run by a driver outside the seat, or forgotten when the handle ends. */
struct ferry_deferred {
    struct ferry_link link; /* of handle->calls, under handle->lock */
    void (*run)(struct ferry_deferred *);
    void (*forget)(struct ferry_deferred *);
};

struct ferry_observing; /* observe.c: logs and errors */

/* Opaque in the public headers. The fields are for handle.c, seat.c and queue.c. */
struct ferry_handle {
    struct ferry_engine *engine;
    struct ferry_client *client;                   /* the same, where it is a client; else NULL */
    bool (*finished)(const struct ferry_engine *); /* set under the seat while the engine closes */
    _Atomic bool has_finished;                     /* it said so */
    struct ferry_loop *loop;
    struct ferry_queue *queue;  /* deliveries that name no queue */
    struct ferry_queue *errors; /* errors that no call reports; set under the seat. NULL: `queue` */

    _Atomic uint32_t seat;                /* 0 vacant, 1 taken, 2 taken and waited for */
    _Atomic(struct ferry_link *) mailbox; /* newest first, linked by `prev` */
    _Atomic int driver;                   /* enum in seat.c */
    _Atomic int64_t next_deadline;        /* of the loop, when the seat was left last */
    _Atomic int64_t polled_until;         /* when the driver looks by itself; 0: it is awake */
    _Atomic int64_t standby_until;        /* the same of an I/O thread that does not drive */
    _Atomic int64_t reported;    /* without a thread: the deadline the application was told last */
    _Atomic uint32_t visits;     /* waiters that drove and left: they renew the lease */
    _Atomic uint32_t waiting;    /* threads in `waiters` */
    _Atomic uint32_t predicates; /* those of them with `ready` */
    _Atomic int ended;           /* the code with which the engine ended; 0 while it lives */
    _Atomic bool stopping;
    bool active; /* the driver's: the last round had something to do */

    pthread_mutex_t lock;      /* of the two lists; held for a few instructions */
    struct ferry_link waiters; /* oldest first */
    struct ferry_link calls;   /* of struct ferry_deferred */
    _Atomic uint32_t calls_due;

    bool has_thread;
    pthread_t thread;
    _Atomic uint32_t thread_word;      /* futex of the I/O thread's standby */
    struct ferry_hooks hooks;          /* the application's own */
    struct ferry_observing *observing; /* NULL where there is no client */
};

struct ferry_handle_config {
    bool io_thread;        /* false: the application drives (ferry/loop.h), or whoever waits */
    uint32_t pool_threads; /* most helper threads (name lookup without c-ares, compression) */
    const struct ferry_hooks *hooks; /* copied; NULL: none */
    int32_t send_buffer_bytes,
        receive_buffer_bytes; /* of sockets; 0 or less: the system's choice */
};

/* Makes queue and loop and starts the I/O thread. `engine` stays the caller's. Fills a zeroed struct. */
int ferry_handle_start(struct ferry_handle *, struct ferry_engine *engine,
                       const struct ferry_handle_config *, struct ferry_error *err);
/* Ends the thread, closes connections without telling the engine. Commands that were not run are forgotten. Afterwards
   the engine may be freed; then ferry_handle_fini closes the main queue. No other thread may be inside the handle. */
void ferry_handle_stop(struct ferry_handle *);
void ferry_handle_fini(struct ferry_handle *);

/* -- Commands. `command` begins with a struct ferry_link (struct ferry_command does), which is the mailbox's until the
   command runs. Any thread, callbacks and steps included. They run in the order in which one thread gave them. -- */

/* Runs it now, in this thread, which also writes the sockets, if the seat is vacant; else whoever has the seat runs it
   before leaving. */
void ferry_handle_post(struct ferry_handle *, void *command);
/* The same, but this thread never steps the engine: for callers under a lock that a step may take. */
void ferry_handle_send(struct ferry_handle *, void *command);
/* For what may wait until need_by (monotonic ns), such as a batch that lingers: nobody is woken who will look by then.
   Never steps in this thread. */
void ferry_handle_send_by(struct ferry_handle *, void *command, ferry_nsec need_by);

/* -- Waiting -- */

/* Waits until ready(cookie) is true, driving if no other thread does. ready is called by any thread, often, under a lock of
   the handle: it must be cheap and thread-safe and call nothing of the handle. Whoever makes it true outside of a step calls
   ferry_handle_notify. `queue` (may be NULL): also ends when it has something or is cancelled. A deadline in the
   past does not sleep. 0, or FERRY_E_TIMED_OUT, FERRY_E_INTERRUPTED, FERRY_E_CLOSED, FERRY_E_STATE (inside a
   callback), or the code with which the engine ended. */
int ferry_handle_wait(struct ferry_handle *, struct ferry_queue *queue, bool (*ready)(void *cookie),
                      void *cookie, ferry_nsec deadline);
void ferry_handle_notify(struct ferry_handle *);

/* Takes the seat, waiting for it if needed, so that the caller may read what the engine owns, for instance its counters.
   Keep it short. FERRY_E_STATE inside a callback. */
int ferry_handle_enter(struct ferry_handle *);
void ferry_handle_leave(struct ferry_handle *);

/* -- Callbacks -- */

/* True in a thread that is inside a function of the application which the library has called. */
bool ferry_in_callback(void);
/* Brackets such a call outside of the loop. Nests. */
void ferry_callback_begin(void);
void ferry_callback_end(void);

/* A deadline from a time-out in ms as the public functions take it: -1 is without end, 0 the past. */
ferry_nsec ferry_deadline_ms(int32_t timeout_ms);

/* -- The handle of a client engine: what ferry_producer_new and its like make (open.c) -- */

struct ferry_config;

/* A client with a copy of the configuration (NULL: defaults), started as its settings say. NULL with err filled. */
struct ferry_handle *ferry_handle_open(const struct ferry_config *, const struct ferry_hooks *,
                                       struct ferry_error *err);
/* Ends the engine (ferry_client_close), driving until it holds nothing or the deadline has come, then stops and frees
   all. 0, or FERRY_E_TIMED_OUT if connections had to be dropped; FERRY_E_STATE inside a callback: then the handle lives on.
   No other thread may be inside the handle. */
int ferry_handle_close(struct ferry_handle *, ferry_nsec deadline);

/* -- Between the files of the handle -- */

void ferry_seat_init(struct ferry_handle *);
int ferry_seat_start_thread(struct ferry_handle *, struct ferry_error *err);
void ferry_seat_stop_thread(struct ferry_handle *);
/* Has a driver run it soon; false if it is due already. */
bool ferry_seat_defer(struct ferry_handle *, struct ferry_deferred *);
/* Wakes a waiter, of whose list the caller holds the lock. */
void ferry_seat_signal(struct ferry_waiter *);
/* Whether the waiter is this thread. */
bool ferry_seat_is_me(const struct ferry_waiter *);

/* What the engine's logs and errors become. NULL without memory. The host's cookie is the struct ferry_observing. */
struct ferry_observing *ferry_observe_new(struct ferry_handle *);
extern const struct ferry_client_host ferry_observe_host;
/* After the engine is gone. NULL is fine. */
void ferry_observe_free(struct ferry_observing *);

#endif
