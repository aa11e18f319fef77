/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who drives: an engine that sends what it is told to an echo and delivers what comes back, shared by many threads.
 * Every wait is bounded: a lost wake shows as a time-out. Built with TSan by tests/stages/40-tsan.sh.
 *
 * With an argument it prints the median round trip in the ways it can be driven, instead of testing.
 */
#include "config.h"

#include "api/handle.h"
#include "base/check.h"
#include "base/mem.h"
#include "drive/clock.h"
#include "tests/lib/tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

/* -- The echo: one connection, a plain blocking thread --------------------------------------- */

static int listen_fd;
static uint16_t echo_port;

static void *echo(void *arg)
{
    char buffer[4096];
    ssize_t n;
    int fd = accept(listen_fd, NULL, NULL), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
        if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    close(fd);
    return NULL;
}

static void echo_start(pthread_t *t)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FERRY_CHECK(!bind(listen_fd, (struct sockaddr *)&a, len) && !listen(listen_fd, 5));
    FERRY_CHECK(!getsockname(listen_fd, (struct sockaddr *)&a, &len));
    echo_port = ntohs(a.sin_port);
    pthread_create(t, NULL, echo, NULL);
}

/* -- The engine ------------------------------------------------------------------------------ */

struct call {
    struct ferry_link link; /* first: the mailbox's, then the engine's */
    struct ferry_delivery delivery;
    uint64_t token;
    bool by_deadline; /* answered by the engine's timer instead of the echo */
    ferry_nsec at;
    int *count;
};

struct engine {
    struct ferry_engine engine;
    struct ferry_link flying, timed;
    uint8_t partial[8];
    size_t partial_len;
    bool opened;
    ferry_nsec deadline;
    _Atomic int steps, inside, overlaps, answered;
    _Atomic int end_after; /* end the engine with this many answers */
};

static const struct ferry_id conn = {1, 1};

static void never_dropped(struct ferry_delivery *d)
{
}

static void answer(struct engine *e, struct ferry_link *n, struct ferry_actions *out)
{
    struct call *c = FERRY_CONTAINER(n, struct call, link);
    atomic_fetch_add(&e->answered, 1);
    ferry_act(out, FERRY_DO_DELIVER, conn)->deliver = &c->delivery;
}

static void take_bytes(struct engine *e, const uint8_t *data, size_t len, struct ferry_actions *out)
{
    while (len--) {
        e->partial[e->partial_len++] = *data++;
        if (e->partial_len < 8)
            continue;
        struct ferry_link *n = ferry_list_pop_front(&e->flying);
        FERRY_CHECK(n && !memcmp(&FERRY_CONTAINER(n, struct call, link)->token, e->partial, 8));
        answer(e, n, out);
        e->partial_len = 0;
    }
}

static void run_timed(struct engine *e, ferry_nsec now, struct ferry_actions *out)
{
    struct ferry_link *n, *tmp;
    e->deadline = FERRY_NEVER;
    FERRY_LIST_EACH(n, tmp, &e->timed)
    {
        struct call *c = FERRY_CONTAINER(n, struct call, link);
        if (c->at <= now) {
            ferry_list_remove(n);
            answer(e, n, out);
        } else if (c->at < e->deadline) {
            e->deadline = c->at;
        }
    }
}

static void begin_call(struct engine *e, struct call *c, const struct ferry_event *ev,
                       struct ferry_actions *out)
{
    if (c->by_deadline) {
        c->at += ev->now;
        ferry_list_push_back(&e->timed, &c->link);
        run_timed(e, ev->now, out);
        return;
    }
    ferry_list_push_back(&e->flying, &c->link);
    ferry_act(out, FERRY_DO_SEND, conn);
    ferry_act_part(out, &c->token, 8);
}

static int step(struct ferry_engine *engine, const struct ferry_event *ev,
                struct ferry_actions *out)
{
    struct engine *e = (struct engine *)engine;
    if (atomic_fetch_add(&e->inside, 1))
        atomic_fetch_add(&e->overlaps, 1);
    atomic_fetch_add(&e->steps, 1);
    if (ev->type == FERRY_EV_COMMAND && !ev->command)
        ferry_act(out, FERRY_DO_OPEN, conn)->addr =
            (struct ferry_addr){.family = FERRY_INET4, .ip = {127, 0, 0, 1}, .port = echo_port};
    else if (ev->type == FERRY_EV_COMMAND)
        begin_call(e, ev->command, ev, out);
    else if (ev->type == FERRY_EV_RECEIVED)
        take_bytes(e, ev->data.data, ev->data.len, out);
    else if (ev->type == FERRY_EV_DEADLINE)
        run_timed(e, ev->now, out);
    atomic_fetch_sub(&e->inside, 1);
    return atomic_load(&e->end_after) && atomic_load(&e->answered) >= atomic_load(&e->end_after)
               ? FERRY_E_PROTOCOL
               : 0;
}

static ferry_nsec deadline(const struct ferry_engine *e)
{
    return ((const struct engine *)e)->deadline;
}

static const struct ferry_engine_ops ops = {step, deadline};

struct rig {
    struct engine e;
    struct ferry_handle h;
    pthread_t echo;
};

static struct rig *rig_new(bool thread, const struct ferry_hooks *hooks)
{
    struct rig *r = ferry_zalloc(sizeof *r);
    struct ferry_handle_config config = {.io_thread = thread, .hooks = hooks};
    r->e.engine.ops = &ops;
    r->e.deadline = FERRY_NEVER;
    ferry_list_init(&r->e.flying);
    ferry_list_init(&r->e.timed);
    echo_start(&r->echo);
    FERRY_CHECK(!ferry_handle_start(&r->h, &r->e.engine, &config, NULL));
    FERRY_CHECK(!ferry_handle_enter(&r->h));
    FERRY_CHECK(!ferry_loop_command(r->h.loop, NULL)); /* opens */
    ferry_handle_leave(&r->h);
    return r;
}

static void rig_free(struct rig *r)
{
    ferry_handle_stop(&r->h);
    ferry_handle_fini(&r->h);
    pthread_join(r->echo, NULL);
    close(listen_fd);
    ferry_free(r);
}

static _Atomic uint64_t tokens;

static void prepare(struct call *c, struct ferry_queue *q)
{
    memset(c, 0, sizeof *c);
    c->token = atomic_fetch_add(&tokens, 1);
    c->delivery = (struct ferry_delivery){.queue = q, .weight = 1, .drop = never_dropped};
}

static struct call *wait_call(struct ferry_queue *q, int *status)
{
    struct ferry_delivery *d = ferry_queue_wait(q, ferry_deadline_ms(PATIENCE_MS), status);
    return d ? FERRY_CONTAINER(d, struct call, delivery) : NULL;
}

/* -- One thread ------------------------------------------------------------------------------ */

static void round_trips_are_answered(void)
{
    for (int thread = 0; thread < 2; thread++) {
        struct rig *r = rig_new(thread, NULL);
        struct call c;
        for (int i = 0; i < 300; i++) {
            int status = 0;
            prepare(&c, i & 1 ? r->h.queue : NULL);
            if (i % 3 == 0)
                ferry_handle_send(&r->h, &c);
            else
                ferry_handle_post(&r->h, &c);
            CHECK(wait_call(r->h.queue, &status) == &c);
        }
        CHECK_INT(atomic_load(&r->e.overlaps), 0);
        rig_free(r);
    }
}

static void timers_are_kept_by_whoever_is_there(void)
{
    for (int thread = 0; thread < 2; thread++) {
        struct rig *r = rig_new(thread, NULL);
        for (int i = 0; i < 10; i++) {
            struct call c;
            int status;
            ferry_nsec begin = ferry_clock_now();
            prepare(&c, NULL);
            c.by_deadline = true;
            c.at = (i % 5) * FERRY_MS;
            if (i & 1)
                ferry_handle_post(&r->h, &c);
            else
                ferry_handle_send_by(&r->h, &c, begin + FERRY_MS);
            CHECK(wait_call(r->h.queue, &status) == &c);
            CHECK(ferry_clock_now() - begin >= (i % 5) * FERRY_MS);
        }
        rig_free(r);
    }
}

/* Nobody waits in the API: the I/O thread has to take over from a waiter that went away. */
static void the_io_thread_takes_over(void)
{
    struct rig *r = rig_new(true, NULL);
    int fd = eventfd(0, EFD_CLOEXEC);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t one = 1, got;
    for (int i = 0; i < 30; i++) {
        struct call c;
        int status;
        prepare(&c, NULL);
        ferry_handle_post(&r->h, &c); /* this thread drives ... */
        CHECK(wait_call(r->h.queue, &status) == &c);
        ferry_queue_wake_fd(r->h.queue, fd, &one, sizeof one);
        prepare(&c, NULL);
        c.by_deadline = i % 3 == 0;
        c.at = (i % 5) * FERRY_MS;
        if (i % 2)
            ferry_handle_post(&r->h, &c); /* ... and then looks no more */
        else
            ferry_handle_send(&r->h, &c);
        CHECK_INT(poll(&p, 1, PATIENCE_MS), 1);
        CHECK(read(fd, &got, 8) == 8);
        CHECK(ferry_queue_pop(r->h.queue) == &c.delivery);
        ferry_queue_wake_fd(r->h.queue, -1, NULL, 0);
    }
    close(fd);
    rig_free(r);
}

static void an_idle_handle_sleeps(void)
{
    struct rig *r = rig_new(true, NULL);
    struct call c;
    int status;
    prepare(&c, NULL);
    ferry_handle_post(&r->h, &c);
    CHECK(wait_call(r->h.queue, &status) == &c);
    /* Let it settle into its sleep, then count rounds over a while in which nothing happens. */
    CHECK(!ferry_queue_wait(r->h.queue, ferry_deadline_ms(50), &status));
    CHECK_INT(poll(NULL, 0, 100), 0);
    CHECK_INT(ferry_handle_enter(&r->h), 0);
    uint64_t polls = ferry_loop_counters(r->h.loop)->polls;
    ferry_handle_leave(&r->h);
    CHECK_INT(poll(NULL, 0, 700), 0);
    CHECK_INT(ferry_handle_enter(&r->h), 0);
    polls = ferry_loop_counters(r->h.loop)->polls - polls;
    ferry_handle_leave(&r->h);
    CHECK(polls <= 1);
    rig_free(r);
}

static void an_engine_that_ends_ends_waits(void)
{
    for (int thread = 0; thread < 2; thread++) {
        struct rig *r = rig_new(thread, NULL);
        struct call c;
        int status;
        atomic_store(&r->e.end_after, 1);
        prepare(&c, NULL);
        ferry_handle_post(&r->h, &c);
        while (!ferry_queue_wait(r->h.queue, ferry_deadline_ms(PATIENCE_MS), &status) && !status)
            ;
        CHECK(!ferry_queue_wait(r->h.queue, ferry_deadline_ms(PATIENCE_MS), &status));
        CHECK_INT(status, FERRY_E_PROTOCOL);
        rig_free(r);
    }
}

/* -- Many threads ---------------------------------------------------------------------------- */

enum { THREADS = 4, CALLS = 400 };

struct crew {
    struct rig *r;
    _Atomic int failures, number, done;
};

static bool some_done(void *cookie)
{
    return atomic_load(&((struct crew *)cookie)->done) > 0;
}

static void *member(void *arg)
{
    struct crew *x = arg;
    int me = atomic_fetch_add(&x->number, 1), status = 0;
    struct ferry_handle *h = &x->r->h;
    struct ferry_queue *q = ferry_queue_create(h);
    struct call calls[4];
    for (int i = 0; i < CALLS; i++) {
        int n = 1 + (i + me) % 4;
        for (int k = 0; k < n; k++) {
            prepare(&calls[k], q);
            calls[k].by_deadline = (i + k) % 7 == 0;
            calls[k].at = (i % 3) * 100000;
            if ((i + k + me) % 3 == 0)
                ferry_handle_send_by(h, &calls[k], ferry_clock_now() + 200000);
            else
                ferry_handle_post(h, &calls[k]);
        }
        for (int k = 0; k < n; k++)
            if (!wait_call(q, &status)) {
                fprintf(stderr, "# thread %d, call %d: status %d\n", me, i, status);
                atomic_fetch_add(&x->failures, 1);
                return NULL;
            }
        if (i % 50 == 0 && !ferry_handle_enter(h)) {
            x->r->e.steps++;
            ferry_handle_leave(h);
        }
    }
    ferry_queue_unref(q);
    atomic_fetch_add(&x->done, 1);
    ferry_handle_notify(h);
    return NULL;
}

static void many_threads_share_one_engine(void)
{
    for (int thread = 0; thread < 2; thread++) {
        struct crew x = {.r = rig_new(thread, NULL)};
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, member, &x);
        CHECK_INT(ferry_handle_wait(&x.r->h, NULL, some_done, &x, ferry_deadline_ms(PATIENCE_MS)),
                  0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CHECK_INT(x.failures, 0);
        CHECK_INT(atomic_load(&x.r->e.overlaps), 0);
        rig_free(x.r);
    }
}

static _Atomic bool stop_posting;
static void *post_many(void *arg)
{
    struct crew *x = arg;
    enum { RING = 64 };
    struct call ring[RING];
    struct ferry_queue *q = ferry_queue_create(&x->r->h);
    int sent = 0, taken = 0;
    while (!atomic_load(&stop_posting) && sent < 20000) {
        if (sent - taken < RING) {
            prepare(&ring[sent++ % RING], q);
            ferry_handle_post(&x->r->h, &ring[(sent - 1) % RING]);
        }
        while (ferry_queue_pop(q))
            taken++;
        if (sent - taken == RING) {
            int status;
            if (!wait_call(q, &status)) {
                atomic_fetch_add(&x->failures, 1);
                return NULL;
            }
            taken++;
        }
    }
    while (taken < sent) {
        int status;
        if (!wait_call(q, &status)) {
            atomic_fetch_add(&x->failures, 1);
            return NULL;
        }
        taken++;
    }
    ferry_queue_unref(q);
    return NULL;
}

/* One thread sends as fast as it can while another waits on its own queue with short and long time-outs. */
static void a_busy_sender_starves_nobody(void)
{
    struct crew x = {.r = rig_new(true, NULL)};
    pthread_t t;
    int status;
    struct ferry_queue *q = ferry_queue_create(&x.r->h);
    atomic_store(&stop_posting, false);
    pthread_create(&t, NULL, post_many, &x);
    for (int i = 0; i < 50; i++) {
        struct call c;
        CHECK(!ferry_queue_wait(q, ferry_deadline_ms(i % 3), &status));
        CHECK_INT(status, FERRY_E_TIMED_OUT);
        prepare(&c, q);
        ferry_handle_post(&x.r->h, &c);
        CHECK(wait_call(q, &status) == &c);
    }
    atomic_store(&stop_posting, true);
    pthread_join(t, NULL);
    CHECK_INT(x.failures, 0);
    CHECK_INT(atomic_load(&x.r->e.overlaps), 0);
    ferry_queue_unref(q);
    rig_free(x.r);
}

/* -- No thread ------------------------------------------------------------------------------- */

static void an_application_drives_by_descriptor(void)
{
    struct rig *r = rig_new(false, NULL);
    struct pollfd p = {.fd = ferry_handle_fd(&r->h), .events = POLLIN};
    int got = 0, rounds = 0;
    struct call calls[20];
    for (int i = 0; i < 20; i++) {
        prepare(&calls[i], NULL);
        calls[i].by_deadline = i % 4 == 3;
        calls[i].at = i * 100000;
        ferry_handle_post(&r->h, &calls[i]);
    }
    while (got < 20 && rounds++ < 2000) {
        ferry_nsec at = ferry_handle_deadline(&r->h), now = ferry_clock_now();
        int wait = at <= now                           ? 0
                   : at - now > PATIENCE_MS * FERRY_MS ? PATIENCE_MS
                                                       : (int)((at - now) / FERRY_MS + 1);
        CHECK(poll(&p, 1, wait) >= 0);
        CHECK(ferry_handle_step(&r->h) >= 0);
        while (ferry_queue_pop(r->h.queue))
            got++;
    }
    CHECK_INT(got, 20);
    CHECK(rounds < 200); /* it did not spin */
    ferry_handle_step(&r->h);
    ferry_handle_deadline(&r->h);
    CHECK_INT(poll(&p, 1, 0), 0);
    rig_free(r);
}

/* -- The thread itself ----------------------------------------------------------------------- */

static _Atomic int started, exited, blocked;
static void on_thread_start(void *cookie, const char *name)
{
    sigset_t mask;
    char real[16] = "";
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    pthread_getname_np(pthread_self(), real, sizeof real);
    atomic_fetch_add(&started, !strcmp(name, "ferry:io") && !strcmp(real, name));
    atomic_fetch_add(&blocked, sigismember(&mask, SIGTERM) && sigismember(&mask, SIGPIPE) &&
                                   sigismember(&mask, SIGUSR1));
}
static void on_thread_exit(void *cookie, const char *name)
{
    atomic_fetch_add(&exited, 1);
}

static void the_thread_is_named_and_blocks_signals(void)
{
    struct ferry_hooks hooks = {
        .size = sizeof hooks, .thread_start = on_thread_start, .thread_exit = on_thread_exit};
    struct rig *r = rig_new(true, &hooks);
    rig_free(r);
    CHECK_INT(atomic_load(&started), 1);
    CHECK_INT(atomic_load(&blocked), 1);
    CHECK_INT(atomic_load(&exited), 1);
}

/* -- Measuring ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    ferry_nsec x = *(const ferry_nsec *)a, y = *(const ferry_nsec *)b;
    return (x > y) - (x < y);
}

enum { SAMPLES = 20000 };
static ferry_nsec samples[SAMPLES];

static void print_median(const char *name)
{
    qsort(samples, SAMPLES, sizeof *samples, compare);
    printf("%s: p50 %.1f us, p99 %.1f us\n", name, (double)samples[SAMPLES / 2] / 1000,
           (double)samples[SAMPLES * 99 / 100] / 1000);
}

static void measure_caller(struct rig *r, bool post, const char *name)
{
    for (int i = 0; i < SAMPLES; i++) {
        struct call c;
        int status;
        ferry_nsec begin = ferry_clock_now();
        prepare(&c, NULL);
        if (post)
            ferry_handle_post(&r->h, &c);
        else
            ferry_handle_send(&r->h, &c);
        FERRY_CHECK(wait_call(r->h.queue, &status) == &c);
        samples[i] = ferry_clock_now() - begin;
    }
    print_median(name);
}

static void measure_thread(struct rig *r, bool post, const char *name)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1, got;
    ferry_queue_wake_fd(r->h.queue, fd, &one, sizeof one);
    for (int i = 0; i < SAMPLES; i++) {
        struct call c;
        ferry_nsec begin = ferry_clock_now();
        prepare(&c, NULL);
        if (post)
            ferry_handle_post(&r->h, &c);
        else
            ferry_handle_send(&r->h, &c);
        FERRY_CHECK(read(fd, &got, 8) == 8);
        FERRY_CHECK(ferry_queue_pop(r->h.queue) == &c.delivery);
        samples[i] = ferry_clock_now() - begin;
    }
    ferry_queue_wake_fd(r->h.queue, -1, NULL, 0);
    close(fd);
    print_median(name);
}

static int measure(void)
{
    struct rig *r = rig_new(true, NULL);
    measure_caller(r, true, "the caller writes and reads");
    measure_caller(r, false, "the caller reads and writes while it waits");
    measure_thread(r, true, "the caller writes, the I/O thread reads");
    measure_thread(r, false, "the I/O thread writes and reads");
    rig_free(r);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return measure();
    TAP_RUN(round_trips_are_answered);
    TAP_RUN(timers_are_kept_by_whoever_is_there);
    TAP_RUN(the_io_thread_takes_over);
    TAP_RUN(an_idle_handle_sleeps);
    TAP_RUN(an_engine_that_ends_ends_waits);
    TAP_RUN(many_threads_share_one_engine);
    TAP_RUN(a_busy_sender_starves_nobody);
    TAP_RUN(an_application_drives_by_descriptor);
    TAP_RUN(the_thread_is_named_and_blocks_signals);
    return tap_done();
}
