/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef API_HANDLE_H
#define API_HANDLE_H
/*
 * A client handle's machinery: the engine, the loop that runs it, the seat that says who drives,
 * the mailbox that takes commands from any thread, and an optional I/O thread.
 *
 * Who drives. The seat is a flag, taken without waiting. Whoever has it may step the engine. It is
 * taken by
 *   - a thread that waits inside the API (ferry_queue_wait, ferry_handle_wait): it drives, sleeping
 * in epoll, until what it waits for is there. If the seat is taken it sleeps until its queue has
 * something or the seat is vacant;
 *   - a thread that posts a command, if the seat is vacant: it steps the command and writes the
 * socket itself;
 *   - the I/O thread, while none of these does. A leaving waiter does not wake it: the I/O thread
 * stands by with a lease of a few milliseconds for as long as waiters keep coming back, and takes
 * over when the seat stayed vacant; while one waiter stays for long it sleeps until it is called.
 *
 * Invariants:
 *  1. The engine and the loop are touched only by the thread that has the seat.
 *  2. A posted command is run by whoever has the seat next; a holder looks into the mailbox before
 * it sleeps and after it has left. So a command never waits for a thread that sleeps, unless its
 * sender said how long it may.
 *  3. No function of the application is called by a thread that has the seat, hooks and what the
 * engine calls inside steps (custom partitioner) aside; those run with ferry_in_callback true, and
 * what would wait refuses.
 *  4. While nothing happens nobody wakes: an idle handle sleeps in one epoll_wait until the
 * engine's deadline.
 *
 * A forked child must not use or close handles of its parent: the I/O thread is not there, and the
 * descriptors are shared. They are close-on-exec.
 */
#include "api/queue.h"
#include "drive/loop.h"

#include <pthread.h>

struct ferry_waiter;

/* What one handle's threads share; fields are for handle.c, seat.c and mailbox.c. Embedded in
 * struct ferry. */
struct ferry_handle {
    struct ferry_engine *engine;
    struct ferry_client *client; /* the same, where it is a client (ferry_handle_open); else NULL */
    struct ferry_loop *loop;
    struct ferry_queue
        *queue; /* deliveries that name no queue; made by start, a reference is the handle's */

    _Atomic(struct ferry_link *) mailbox; /* newest first, linked by `prev` */
    _Atomic int seat;                     /* enum in seat.c */
    _Atomic int wanted;           /* waiters that would rather have the seat than the I/O thread */
    _Atomic int64_t asleep_until; /* of the seat's holder in epoll, or of the standby; 0: awake */
    _Atomic int64_t vacant_deadline; /* the engine's deadline when the seat was left */
    _Atomic uint32_t visits;         /* waiters that left the seat: renews the lease */
    _Atomic int ended;               /* the code with which the engine ended; 0 while it lives */
    _Atomic bool stopping;

    pthread_mutex_t lock;        /* of `waiters`; held for a few instructions */
    struct ferry_link waiters;   /* threads inside ferry_handle_wait, oldest first */
    _Atomic uint32_t predicates; /* waiters among them that wait for a predicate */
    struct ferry_link calls;     /* wake callbacks to be run once the seat is left; under lock */
    _Atomic bool calls_pending;

    bool has_thread;
    pthread_t thread;
    _Atomic uint32_t thread_word; /* futex of the I/O thread's standby */
    _Atomic int thread_state;     /* enum in seat.c */
    char thread_name[16];
    struct ferry_hooks hooks;
};

struct ferry_handle_config {
    bool io_thread;        /* false: the application drives (ferry/loop.h), or whoever waits */
    uint32_t pool_threads; /* most helper threads (name lookup without c-ares, compression); 0 with
                              io_thread false */
    const struct ferry_hooks *hooks; /* copied; NULL: none */
    const char *name;                /* of the I/O thread, at most 15 bytes; NULL: "ferry:io" */
    int32_t send_buffer_bytes, receive_buffer_bytes;
};

/* Makes queue and loop and starts the I/O thread. `engine` stays the caller's. Fills a zeroed
 * struct. */
int ferry_handle_start(struct ferry_handle *, struct ferry_engine *engine,
                       const struct ferry_handle_config *, struct ferry_error *err);
/* Ends the thread, closes connections without telling the engine, runs no more commands. Afterwards
   the engine may be freed; then ferry_handle_free drops what is queued. No other thread may be
   inside the handle. */
void ferry_handle_stop(struct ferry_handle *);
void ferry_handle_free(struct ferry_handle *);

/* -- Commands. `command` begins with a struct ferry_link (struct ferry_command does), which is the
   mailbox's until the command runs. Any thread, callbacks included. -- */

/* Runs it soon: by this thread before it returns if the seat is vacant, else by whoever has the
 * seat. */
void ferry_handle_post(struct ferry_handle *, void *command);
/* The same, but never steps the engine in this thread. For callers under a lock that a step may
 * take. */
void ferry_handle_send(struct ferry_handle *, void *command);
/* For what may wait until need_by (monotonic ns), such as a batch that lingers: nobody is woken if
   a driver will look by then. Never steps in this thread. */
void ferry_handle_send_by(struct ferry_handle *, void *command, ferry_nsec need_by);

/* -- Waiting -- */

/* Waits until ready(cookie) is true, driving if no other thread does. ready is called by any
   thread, often, under no lock, and must be cheap and thread-safe; whoever makes it true outside of
   a step calls ferry_handle_notify. `queue` (may be NULL): also ends when it has something or is
   cancelled. 0, or FERRY_E_TIMED_OUT, FERRY_E_INTERRUPTED, FERRY_E_CLOSED, FERRY_E_STATE (inside a
   callback), or the code with which the engine ended. */
int ferry_handle_wait(struct ferry_handle *, struct ferry_queue *queue, bool (*ready)(void *cookie),
                      void *cookie, ferry_nsec deadline);
void ferry_handle_notify(struct ferry_handle *);

/* Takes the seat, waiting for it if needed, so that the caller may read (and between steps change)
   what the engine owns, for instance its counters. Keep it short. FERRY_E_STATE inside a callback.
 */
int ferry_handle_enter(struct ferry_handle *);
void ferry_handle_leave(struct ferry_handle *);

/* -- Without a thread (ferry/loop.h) -- */

int ferry_handle_fd(struct ferry_handle *);
ferry_nsec ferry_handle_deadline(struct ferry_handle *);
/* Does what is at hand, without waiting. Steps taken, 0 if another thread drives, or the code the
 * engine ended with. */
int ferry_handle_step(struct ferry_handle *);

/* True in a thread that is inside an application's function called by the library (callback or
 * hook). */
bool ferry_in_callback(void);
/* Brackets such a call. Nests. */
void ferry_callback_begin(void);
void ferry_callback_end(void);

/* -- The handle of a client: what ferry_producer_new and its like make -- */

/* A client engine with a copy of the configuration (NULL: defaults), started as its settings say.
 * NULL with err filled.
 */
struct ferry_handle *ferry_handle_open(const struct ferry_config *, const struct ferry_hooks *,
                                       struct ferry_error *err);
/* Ends the engine (ferry_client_close), driving until it holds nothing or the deadline has come,
   then stops and frees. 0, or FERRY_E_TIMED_OUT if connections had to be dropped. Not from a
   callback. */
int ferry_handle_close(struct ferry_handle *, ferry_nsec deadline);

#endif
