/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: polls, feeds events, begins actions.
 *
 * Invariants:
 *  1. The engine is stepped only by ferry_loop_feed, never from within a step or while its actions
 * are being begun.
 *  2. What finishes while actions are begun is noted (ferry_loop_complete) and fed afterwards, in
 * that order.
 *  3. One run takes about STEPS_MAX steps and one epoll call; what is left makes ferry_loop_quiet
 * false, so the next run does not sleep.
 *  4. What steps gave to send leaves when nothing that has finished is left to be fed, or after FLUSH_STEPS steps: the
 * answers to several requests that came together, or whose writes ended together, leave in one call and wake the peer once.
 *  5. The kick's eventfd is edge-triggered and never read; `kicked` keeps it at one write until
 * somebody has woken.
 */
#include "config.h"

#include "drive/loop.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "drive/clock.h"
#include "drive/internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MAX = 1024, FLUSH_STEPS = 32 };

/* -- Feeding ------------------------------------------------------------------------------- */

void ferry_loop_end(struct ferry_loop *l, int status)
{
    if (!l->ended)
        l->ended = status;
}

void ferry_loop_complete(struct ferry_loop *l, const struct ferry_completion *c)
{
    if (l->done_count == l->done_cap) {
        size_t cap = l->done_cap ? l->done_cap * 2 : 64;
        struct ferry_completion *wide = ferry_alloc(cap * sizeof *wide);
        if (!wide) {
            ferry_loop_end(l, FERRY_E_NOMEM);
            return;
        }
        for (size_t i = 0; i < l->done_count; i++)
            wide[i] = l->done[(l->done_first + i) & (l->done_cap - 1)];
        ferry_free(l->done);
        l->done = wide;
        l->done_cap = cap;
        l->done_first = 0;
    }
    l->done[(l->done_first + l->done_count++) & (l->done_cap - 1)] = *c;
}

static void run_work(struct ferry_loop *, const struct ferry_action *);

static void execute(struct ferry_loop *l, const struct ferry_action *a)
{
    switch (a->type) {
    case FERRY_DO_RESOLVE:
        ferry_resolve_execute(l, a);
        break;
    case FERRY_DO_OPEN:
    case FERRY_DO_LISTEN:
    case FERRY_DO_ADOPT:
    case FERRY_DO_CLOSE_HANDLE:
    case FERRY_DO_SEND:
    case FERRY_DO_RECEIVE_INTO:
    case FERRY_DO_PAUSE:
    case FERRY_DO_RESUME:
    case FERRY_DO_CLOSE:
        ferry_tcp_execute(l, a);
        break;
    case FERRY_DO_WORK:
        run_work(l, a);
        break;
    case FERRY_DO_ASK:
        ferry_loop_complete(l, &(struct ferry_completion){.type = FERRY_EV_ANSWERED,
                                                          .status = FERRY_E_UNSUPPORTED,
                                                          .who = a->who,
                                                          .op = a->op,
                                                          .what = "nobody here can be asked"});
        break;
    case FERRY_DO_DELIVER:
        FERRY_CHECK(l->config.deliver);
        l->config.deliver(l->config.cookie, a->deliver);
        break;
    default:
        ferry_disk_execute(l, a);
        break;
    }
}

void ferry_loop_feed(struct ferry_loop *l, struct ferry_event *ev)
{
    FERRY_CHECK(!l->stepping);
    if (l->ended)
        return;
    ev->now = l->now = ferry_clock_now();
    ev->wall = ferry_clock_wall();
    if (!ev->text)
        ev->text = "";
    l->stepping = true;
    int rc = ferry_step(l->engine, ev, &l->actions);
    l->counters.steps++;
    l->budget--;
    if (rc < 0 || l->actions.failed)
        ferry_loop_end(l, rc < 0 ? rc : FERRY_E_NOMEM);
    for (size_t i = 0; i < l->actions.count && !l->ended; i++)
        execute(l, &l->actions.items[i]);
    ferry_actions_reset(&l->actions);
    l->stepping = false;
}

/* -- Completions --------------------------------------------------------------------------- */

static void drop_object(struct ferry_loop *l, const struct ferry_completion *c)
{
    if (!c->object)
        return;
    if (c->type == FERRY_EV_CLOSED) {
        ferry_tcp_free(l, c->object);
    } else if (c->type == FERRY_EV_DONE) {
        ferry_text_free(c->object);
        ferry_free(c->object);
    } else {
        ferry_free(c->object);
    }
}

static void describe(const struct ferry_completion *c, char *text, size_t size)
{
    char system[96];
    if (c->os_error)
        snprintf(text, size, "%s: %s", c->what ? c->what : "",
                 strerror_r(c->os_error, system, sizeof system));
    else
        snprintf(text, size, "%s", c->what ? c->what : "");
}

/* Fills in what the type has. false: it concerns nobody any more. */
static bool complete_event(struct ferry_loop *l, const struct ferry_completion *c,
                           struct ferry_event *ev, struct ferry_addr *addr, char *text, size_t size)
{
    describe(c, text, size);
    if (c->type == FERRY_EV_DRAINED)
        return ferry_tcp_drained(l, c->who, &ev->op);
    if (c->type == FERRY_EV_CLOSED)
        ferry_tcp_closed_event(c->object, ev, text, size);
    if (c->type == FERRY_EV_LISTENING) {
        *addr = ferry_tcp_bound(l, c->who);
        ev->addrs = addr;
        ev->addr_count = 1;
        return addr->family != 0;
    }
    if (c->type == FERRY_EV_RESOLVED && c->object) {
        const struct ferry_resolved *r = c->object;
        ev->addrs = r->addrs;
        ev->addr_count = r->count;
        ev->text = r->text;
    }
    if (c->type == FERRY_EV_DONE && c->object) {
        const struct ferry_text *t = c->object;
        ev->data = (struct ferry_bytes){(const uint8_t *)t->data, t->len};
    }
    return true;
}

static void feed_completion(struct ferry_loop *l, const struct ferry_completion *c)
{
    char text[256];
    struct ferry_addr addr;
    struct ferry_event ev = {.type = c->type,
                             .status = c->status,
                             .who = c->who,
                             .op = c->op,
                             .count = c->count,
                             .text = text};
    if (complete_event(l, c, &ev, &addr, text, sizeof text))
        ferry_loop_feed(l, &ev);
    drop_object(l, c);
}

/* Feeds what has finished, and sends what that gave. To be called after everything else that feeds. */
static void settle(struct ferry_loop *l)
{
    struct ferry_job *j;
    for (uint32_t fed = 0;; fed++) {
        while ((j = ferry_pool_reap(l->pool)))
            j->done(l, j);
        /* A job's end may have let a connection go on, which is in the ready list then, or have
         * noted completions. */
        bool more = l->done_count && l->budget > 0 && !l->ended;
        if ((!more || fed % FLUSH_STEPS == FLUSH_STEPS - 1) && !ferry_list_empty(&l->unsent)) {
            ferry_tcp_flush(l); /* may note completions */
            continue;
        }
        if (!more)
            return;
        struct ferry_completion c = l->done[l->done_first];
        l->done_first = (l->done_first + 1) & (l->done_cap - 1);
        l->done_count--;
        feed_completion(l, &c);
    }
}

/* -- Work ---------------------------------------------------------------------------------- */

struct work_job {
    struct ferry_job job; /* first */
    struct ferry_id who;
    uint64_t op;
    void (*work)(void *);
    void *arg;
};

static void work_run(struct ferry_job *j)
{
    struct work_job *w = (struct work_job *)j;
    w->work(w->arg);
}

static void work_done(struct ferry_loop *l, struct ferry_job *j)
{
    struct work_job *w = (struct work_job *)j;
    ferry_loop_complete(
        l, &(struct ferry_completion){.type = FERRY_EV_WORKED, .who = w->who, .op = w->op});
    ferry_free(w);
}

static void run_work(struct ferry_loop *l, const struct ferry_action *a)
{
    struct work_job *w = ferry_pool_threaded(l->pool) ? ferry_zalloc(sizeof *w) : NULL;
    if (!w) { /* no threads, or no memory: here */
        a->work(a->arg);
        ferry_loop_complete(
            l, &(struct ferry_completion){.type = FERRY_EV_WORKED, .who = a->who, .op = a->op});
        return;
    }
    *w = (struct work_job){.job = {.run = work_run, .done = work_done},
                           .who = a->who,
                           .op = a->op,
                           .work = a->work,
                           .arg = a->arg};
    ferry_pool_submit(l->pool, &w->job);
}

/* -- Polling ------------------------------------------------------------------------------- */

int ferry_loop_watch(struct ferry_loop *l, int fd, uint64_t key, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.u64 = key};
    if (!epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e))
        return 0;
    return errno == EEXIST ? epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &e) : -1;
}

static int wait_events(int epoll_fd, struct epoll_event *events, ferry_nsec wait)
{
#ifdef SYS_epoll_pwait2
    static _Atomic bool refused; /* by an older kernel: milliseconds then, rounded up */
    if (wait > 0 && wait != FERRY_NEVER && !atomic_load_explicit(&refused, memory_order_relaxed)) {
        struct timespec t = {.tv_sec = wait / FERRY_SECOND, .tv_nsec = wait % FERRY_SECOND};
        int n =
            (int)syscall(SYS_epoll_pwait2, epoll_fd, events, FERRY_LOOP_EVENTS_MAX, &t, NULL, 0);
        if (n >= 0 || errno != ENOSYS)
            return n;
        atomic_store(&refused, true);
    }
#endif
    ferry_nsec ms = wait / FERRY_MS + (wait % FERRY_MS != 0);
    if (wait == FERRY_NEVER)
        ms = -1;
    else if (ms > INT32_MAX)
        ms = INT32_MAX;
    return epoll_wait(epoll_fd, events, FERRY_LOOP_EVENTS_MAX, (int)ms);
}

void ferry_loop_poll(const struct ferry_loop *l, struct ferry_loop_batch *b, ferry_nsec wait)
{
    int n = wait_events(l->epoll_fd, b->events, wait < 0 ? 0 : wait);
    b->count = n < 0 ? 0 : (uint32_t)n;
}

static void mark(struct ferry_loop *l, const struct epoll_event *e)
{
    if (e->data.u64 == FERRY_WATCH_KICK) {
        if (atomic_exchange(&l->kicked, false))
            l->counters.wakes++;
    } else if ((uint32_t)e->data.u64 == 0) {
        ferry_resolve_mark(l, e->data.u64, e->events);
    } else {
        ferry_tcp_mark(l, e->data.u64, e->events);
    }
}

bool ferry_loop_quiet(const struct ferry_loop *l)
{
    return !l->done_count && ferry_list_empty(&l->ready) && !ferry_pool_finished(l->pool);
}

static ferry_nsec earliest(ferry_nsec a, ferry_nsec b)
{
    return a < b ? a : b;
}

ferry_nsec ferry_loop_deadline(const struct ferry_loop *l)
{
    if (l->ended)
        return FERRY_NEVER;
    if (!ferry_loop_quiet(l))
        return 0;
    ferry_nsec at = earliest(ferry_deadline(l->engine), ferry_resolve_deadline(l));
    return ferry_list_empty(&l->starved) ? at : earliest(at, l->accept_again);
}

static ferry_nsec wait_of(struct ferry_loop *l, ferry_nsec max_wait)
{
    if (max_wait <= 0)
        return 0;
    ferry_nsec at = ferry_loop_deadline(l);
    if (at == FERRY_NEVER)
        return max_wait;
    ferry_nsec now = ferry_clock_now();
    return at <= now ? 0 : earliest(at - now, max_wait);
}

static void serve_ready(struct ferry_loop *l)
{
    while (l->budget > 0 && !l->ended && !ferry_list_empty(&l->ready)) {
        ferry_tcp_serve(l);
        settle(l);
    }
}

int ferry_loop_serve(struct ferry_loop *l, const struct ferry_loop_batch *b)
{
    if (l->ended)
        return l->ended;
    uint64_t before = l->counters.steps;
    l->counters.polls++;
    for (uint32_t i = 0; i < b->count; i++)
        mark(l, &b->events[i]);
    l->now = ferry_clock_now();
    l->budget = STEPS_MAX;
    ferry_resolve_run(l);
    ferry_tcp_unstarve(l);
    settle(l);
    if (ferry_deadline(l->engine) <= l->now)
        ferry_loop_feed(l, &(struct ferry_event){.type = FERRY_EV_DEADLINE});
    settle(l);
    serve_ready(l);
    return l->ended ? l->ended : (int)(l->counters.steps - before);
}

int ferry_loop_run(struct ferry_loop *l, ferry_nsec max_wait)
{
    struct ferry_loop_batch batch;
    if (l->ended)
        return l->ended;
    ferry_loop_poll(l, &batch, wait_of(l, max_wait));
    return ferry_loop_serve(l, &batch);
}

int ferry_loop_command(struct ferry_loop *l, void *command)
{
    l->budget = STEPS_MAX;
    ferry_loop_feed(l, &(struct ferry_event){.type = FERRY_EV_COMMAND, .command = command});
    settle(l);
    return l->ended;
}

void ferry_loop_wake(struct ferry_loop *l)
{
    if (atomic_exchange(&l->kicked, true))
        return;
    int saved = errno; /* a signal handler's caller must not notice */
    ssize_t n = write(l->kick_fd, &(uint64_t){1}, 8);
    (void)n;
    errno = saved;
}

static void wake(void *cookie)
{
    ferry_loop_wake(cookie);
}

/* -- Life ---------------------------------------------------------------------------------- */

int ferry_loop_status(const struct ferry_loop *l)
{
    return l->ended;
}

int ferry_loop_fd(const struct ferry_loop *l)
{
    return l->epoll_fd;
}

const struct ferry_loop_counters *ferry_loop_counters(struct ferry_loop *l)
{
    l->counters.jobs = ferry_pool_jobs(l->pool);
    return &l->counters;
}

static int open_descriptors(struct ferry_loop *l, struct ferry_error *err)
{
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll_fd < 0 || l->kick_fd < 0 ||
        ferry_loop_watch(l, l->kick_fd, FERRY_WATCH_KICK, EPOLLIN | EPOLLET)) {
        char text[96];
        return ferry_fail(err, FERRY_E_IO, "cannot make an epoll and an event descriptor: %s",
                          strerror_r(errno, text, sizeof text));
    }
    return 0;
}

int ferry_loop_create(struct ferry_loop **out, struct ferry_engine *engine,
                      const struct ferry_loop_config *config, struct ferry_error *err)
{
    *out = NULL;
    struct ferry_loop *l = ferry_zalloc(sizeof *l);
    if (!l)
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for an event loop");
    l->engine = engine;
    l->config = *config;
    if (config->hooks) {
        size_t known = config->hooks->size;
        memcpy(&l->hooks, config->hooks, known < sizeof l->hooks ? known : sizeof l->hooks);
    }
    l->config.hooks = &l->hooks;
    l->epoll_fd = -1;
    l->kick_fd = -1;
    ferry_list_init(&l->ready);
    ferry_list_init(&l->unsent);
    ferry_list_init(&l->starved);
    l->now = ferry_clock_now();
    int rc = open_descriptors(l, err);
    if (!rc && (!(l->pool = ferry_pool_create(config->pool_threads, &l->hooks, wake, l)) ||
                ferry_disk_create(l)))
        rc = ferry_fail(err, FERRY_E_NOMEM, "no memory for an event loop");
    if (rc) {
        ferry_loop_destroy(l);
        return rc;
    }
    *out = l;
    return 0;
}

void ferry_loop_destroy(struct ferry_loop *l)
{
    if (!l)
        return;
    FERRY_CHECK(!l->stepping);
    ferry_loop_end(l, FERRY_E_CLOSED);
    if (l->pool) {
        struct ferry_job *j;
        ferry_pool_stop(l->pool);
        while ((j = ferry_pool_reap(l->pool)))
            j->done(l, j); /* only frees: nothing is fed or begun any more */
    }
    ferry_tcp_destroy(l);
    ferry_resolve_destroy(l);
    for (size_t i = 0; i < l->done_count; i++)
        drop_object(l, &l->done[(l->done_first + i) & (l->done_cap - 1)]);
    ferry_free(l->done);
    ferry_disk_destroy(l);
    ferry_pool_free(l->pool);
    ferry_actions_free(&l->actions);
    if (l->kick_fd >= 0)
        close(l->kick_fd);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    ferry_free(l);
}
