/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "drive/thread.h"

#include "base/mem.h"
#include "ferry/error.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Thread_local bool is_ours; /* signals are blocked for the thread's whole life */
static _Thread_local bool ends_quietly;
static _Thread_local unsigned callbacks;

struct start {
    void (*run)(void *);
    void *arg;
    struct ferry_hooks hooks;
    char name[16];
};

static void *begin(void *arg)
{
    struct start s = *(struct start *)arg;
    ferry_free(arg);
    is_ours = true;
    pthread_setname_np(pthread_self(), s.name);
    callbacks++;
    if (s.hooks.thread_start)
        s.hooks.thread_start(s.hooks.cookie, s.name);
    callbacks--;
    s.run(s.arg);
    callbacks++;
    if (s.hooks.thread_exit && !ends_quietly)
        s.hooks.thread_exit(s.hooks.cookie, s.name);
    return NULL;
}

int ferry_thread_start(pthread_t *thread, const char *name, const struct ferry_hooks *hooks,
                       void (*run)(void *), void *arg)
{
    struct start *s = ferry_zalloc(sizeof *s);
    if (!s)
        return FERRY_E_NOMEM;
    s->run = run;
    s->arg = arg;
    if (hooks)
        s->hooks = *hooks;
    snprintf(s->name, sizeof s->name, "%s", name);
    /* The new thread inherits the mask, so that there is no moment at which it takes a signal. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(thread, NULL, begin, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) {
        ferry_free(s);
        return rc == ENOMEM ? FERRY_E_NOMEM : FERRY_E_IO;
    }
    return 0;
}

void ferry_thread_end_quietly(void)
{
    ends_quietly = true;
}

void ferry_thread_callback_begin(void)
{
    callbacks++;
}

void ferry_thread_callback_end(void)
{
    callbacks--;
}

bool ferry_thread_in_callback(void)
{
    return callbacks > 0;
}

void ferry_thread_wait(_Atomic uint32_t *word, uint32_t value, ferry_nsec deadline)
{
    struct timespec t = {.tv_sec = deadline / FERRY_SECOND, .tv_nsec = deadline % FERRY_SECOND};
    if (deadline < 0)
        return;
    /* WAIT_BITSET takes an absolute time of the monotonic clock. */
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value,
            deadline == FERRY_NEVER ? NULL : &t, NULL, FUTEX_BITSET_MATCH_ANY);
}

void ferry_thread_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX, NULL, NULL, 0);
}

void ferry_sigpipe_hold(struct ferry_sigpipe *s)
{
    s->ours = is_ours;
    if (s->ours)
        return;
    sigset_t set, pending;
    sigemptyset(&pending);
    sigpending(&pending);
    s->pending = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &s->old);
}

void ferry_sigpipe_release(struct ferry_sigpipe *s)
{
    if (s->ours)
        return;
    if (!s->pending) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        struct timespec none = {0};
        while (sigtimedwait(&set, NULL, &none) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &s->old, NULL);
}

void ferry_thread_signal_fd(int fd, const void *data, size_t len)
{
    /* A descriptor that is full has woken its reader already. */
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
        return;
    struct ferry_sigpipe s;
    ferry_sigpipe_hold(&s);
    ssize_t n = write(fd, data, len);
    (void)n;
    ferry_sigpipe_release(&s);
}
