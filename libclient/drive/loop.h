/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVE_LOOP_H
#define DRIVE_LOOP_H
/*
 * Runs any engine (engine/env.h) on Linux: executes its actions, makes its events.
 *
 * One thread at a time is inside a loop (the broker's only thread; for clients whoever has the
 * handle's seat, api/handle.h), and it need not be the same thread each time. Only ferry_loop_wake,
 * ferry_loop_poll and ferry_loop_fd may be called beside it.
 *
 * Typical use without a foreign loop:
 *     while (!stop)
 *         if (ferry_loop_run(loop, FERRY_NEVER) < 0) break;
 *
 * Inside a foreign loop: wait until ferry_loop_fd is readable or ferry_loop_deadline has come, then
 * ferry_loop_run(loop, 0).
 */
#include "engine/env.h"
#include "ferry/error.h"
#include "ferry/hooks.h"

#include <sys/epoll.h>

struct ferry_loop;

struct ferry_loop_config {
    /* Takes what FERRY_DO_DELIVER names. Called inside run and command; must not call the loop.
       NULL: an engine that delivers is a mistake of ours. */
    void (*deliver)(void *cookie, void *delivery);
    void *cookie;
    int root_fd; /* directory of file paths, borrowed until destroy; -1: file actions fail */
    uint32_t pool_threads; /* most helper threads, started when first needed and ended when long
                              idle. 0: none, and what would block (syncs, cold reads, name lookup)
                              blocks the loop */
    const struct ferry_hooks *hooks; /* copied; NULL: none */
    int32_t send_buffer_bytes,
        receive_buffer_bytes; /* of sockets; 0 or less: the system's own choice */
};

/* Plain sums since creation. Read them from the thread that is inside the loop, or from none. */
struct ferry_loop_counters {
    uint64_t polls, wakes;    /* batches served; kicks by ferry_loop_wake that arrived */
    uint64_t steps;           /* events fed */
    uint64_t sends, receives; /* system calls */
    uint64_t bytes_out, bytes_in;
    uint64_t opened, accepted, closed, accept_pauses;
    uint64_t file_reads, file_writes, file_syncs, file_bytes_in, file_bytes_out;
    uint64_t jobs; /* given to helper threads */
};

/* The engine is stepped by nobody else from now until destroy. `engine` may be given a first step
   (a command) at any time after. 0, or a negative ferry_err with err filled. */
int ferry_loop_create(struct ferry_loop **, struct ferry_engine *, const struct ferry_loop_config *,
                      struct ferry_error *err);

/* Closes every connection, listener and file without telling the engine, and waits for helper
   threads. Afterwards the driver holds no memory of the engine: free the engine next. NULL is fine.
 */
void ferry_loop_destroy(struct ferry_loop *);

/* A descriptor that polls readable when there is something to do. */
int ferry_loop_fd(const struct ferry_loop *);

/* When run must be called at the latest, monotonic ns; FERRY_NEVER; in the past if there is work
 * already. */
ferry_nsec ferry_loop_deadline(const struct ferry_loop *);

/* Waits up to max_wait ns (0: not at all; FERRY_NEVER: as long as the engine's deadline allows) for
   something to happen, then feeds events and executes actions until nothing is left to do, or until
   a bounded share of the work is done (the rest is done by the next call, which then does not
   wait). Returns the number of steps taken (0: time-out, kick or signal), or the negative ferry_err
   with which the engine ended: from then on always that. */
int ferry_loop_run(struct ferry_loop *, ferry_nsec max_wait);

/* The two halves of run, for a handle whose threads share the engine: poll sleeps and needs no lock, so that meanwhile
   others may step; serve does the rest, and must follow each poll, since what a poll has told is not told again. The wait
   of a poll is the caller's to compute (ferry_loop_deadline). */
enum { FERRY_LOOP_EVENTS_MAX = 64 };
struct ferry_loop_batch {
    uint32_t count;
    struct epoll_event events[FERRY_LOOP_EVENTS_MAX];
};
void ferry_loop_poll(const struct ferry_loop *, struct ferry_loop_batch *, ferry_nsec wait);
int ferry_loop_serve(struct ferry_loop *, const struct ferry_loop_batch *);

/* Steps FERRY_EV_COMMAND now, executes what it gives and the completions of that (a send that the
   socket takes at once is on its way on return). 0, or the negative ferry_err as of run. Not from
   inside a step. */
int ferry_loop_command(struct ferry_loop *, void *command);

/* Makes a run that waits, now or next, return. Any thread, and signal handlers. */
void ferry_loop_wake(struct ferry_loop *);

/* 0, or the negative ferry_err with which the engine ended. */
int ferry_loop_status(const struct ferry_loop *);

/* Whether run may sleep: no completion, readable socket or past deadline is at hand. */
bool ferry_loop_quiet(const struct ferry_loop *);

const struct ferry_loop_counters *ferry_loop_counters(struct ferry_loop *);

#endif
