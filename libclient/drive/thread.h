/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVE_THREAD_H
#define DRIVE_THREAD_H
/* Our own threads, sleeping on a word, and writing where a signal may be the answer. */
#include "engine/env.h"
#include "ferry/hooks.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* A thread that blocks all signals, carries the name (at most 15 bytes), and tells the hooks
 * (copied; NULL: none). */
int ferry_thread_start(pthread_t *, const char *name, const struct ferry_hooks *,
                       void (*run)(void *), void *arg);

/* In a thread of ours that outlives who started it: the hooks do not hear of its end. */
void ferry_thread_end_quietly(void);

/* Depth of functions of the application that this thread is inside of, called by the library: what would wait for the
   library refuses there. */
void ferry_thread_callback_begin(void);
void ferry_thread_callback_end(void);
bool ferry_thread_in_callback(void);

/* Sleeps while *word is `value`, until `deadline` (monotonic; FERRY_NEVER) or a wake. May return
 * early. */
void ferry_thread_wait(_Atomic uint32_t *word, uint32_t value, ferry_nsec deadline);
/* Wakes everyone who sleeps on the word. Change it first. */
void ferry_thread_wake(_Atomic uint32_t *word);

/* Around calls that could raise SIGPIPE in a thread of the application: nothing is raised, and the
   application's mask and its own pending signals are as before. Almost free in threads of ours. */
struct ferry_sigpipe {
    bool ours;    /* blocked for good: nothing to do */
    bool pending; /* one was pending before */
    sigset_t old;
};
void ferry_sigpipe_hold(struct ferry_sigpipe *);
void ferry_sigpipe_release(struct ferry_sigpipe *);

/* Writes a few bytes to somebody else's descriptor (eventfd, pipe, socket): one try, no SIGPIPE,
 * result ignored. */
void ferry_thread_signal_fd(int fd, const void *data, size_t len);

#endif
