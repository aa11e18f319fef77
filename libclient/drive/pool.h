/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVE_POOL_H
#define DRIVE_POOL_H
/*
 * Helper threads for what would block the loop: syncs, cold reads, name lookup, CPU work.
 *
 * Threads are started when there is more to do than idle threads, up to the limit, and end when
 * they had nothing to do for a while. Without threads a job runs inside submit.
 *
 * A job is the pool's from submit until its `done` runs, in the thread that drives the loop. What may block for long and
 * touches nothing but its own memory can be left behind: such a job, if it is under way when the pool stops, is not
 * waited for; its thread calls `abandon` when it has run, long after the loop is gone.
 */
#include "base/list.h"
#include "ferry/hooks.h"

#include <stdbool.h>
#include <stdint.h>

struct ferry_loop;
struct ferry_pool;

struct ferry_job {
    struct ferry_link link;
    void (*run)(struct ferry_job *); /* in a helper thread; touches what the job alone owns */
    void (*done)(struct ferry_loop *, struct ferry_job *); /* frees the job, or gives it away */
    void (*abandon)(struct ferry_job *); /* frees the job; NULL: it must be waited for */
};

/* wake(cookie) is called by helper threads when finished jobs begin to wait. NULL without memory.
 */
struct ferry_pool *ferry_pool_create(uint32_t threads, const struct ferry_hooks *hooks,
                                     void (*wake)(void *), void *cookie);
/* Waits for jobs under way and ends the threads. Jobs that none has begun count as finished, though
   they have not run: reap all, then free. */
void ferry_pool_stop(struct ferry_pool *);
void ferry_pool_free(struct ferry_pool *); /* NULL is fine */
void ferry_pool_submit(struct ferry_pool *, struct ferry_job *);
/* True where submit returns before the job has run. */
bool ferry_pool_threaded(const struct ferry_pool *);
/* Whether reap would give something. Cheap. */
bool ferry_pool_finished(const struct ferry_pool *);
/* A finished job, or NULL. */
struct ferry_job *ferry_pool_reap(struct ferry_pool *);
uint64_t ferry_pool_jobs(const struct ferry_pool *);

#endif
