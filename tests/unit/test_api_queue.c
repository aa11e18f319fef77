/* SPDX-License-Identifier: BSD-2-Clause */
/* Event queues, alone and between threads. Built with TSan by tests/stages/40-tsan.sh. */
#include "config.h"

#include "api/handle.h"
#include "base/check.h"
#include "base/mem.h"
#include "drive/clock.h"
#include "tests/lib/tap.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

/* An engine that does nothing: queues need a handle to be waited on. */
static int idle_step(struct ferry_engine *e, const struct ferry_event *ev,
                     struct ferry_actions *out)
{
    return 0;
}
static ferry_nsec idle_deadline(const struct ferry_engine *e)
{
    return FERRY_NEVER;
}
static const struct ferry_engine_ops idle_ops = {idle_step, idle_deadline};
static struct ferry_engine idle_engine = {&idle_ops};

static _Atomic int dropped;

struct item {
    struct ferry_delivery d;
    int value;
};

static void drop_item(struct ferry_delivery *d)
{
    atomic_fetch_add(&dropped, 1);
    ferry_free(d);
}

static struct ferry_delivery *item(int value, uint32_t weight)
{
    struct item *i = ferry_zalloc(sizeof *i);
    i->value = value;
    i->d.weight = weight;
    i->d.drop = drop_item;
    return &i->d;
}

/* Its value; -1 for none. */
static int take(struct ferry_delivery *d)
{
    int value = d ? ((struct item *)d)->value : -1;
    ferry_free(d);
    return value;
}

static struct ferry_handle *handle_new(bool thread)
{
    struct ferry_handle *h = ferry_zalloc(sizeof *h);
    struct ferry_handle_config config = {.io_thread = thread};
    FERRY_CHECK(!ferry_handle_start(h, &idle_engine, &config, NULL));
    return h;
}

static void handle_free(struct ferry_handle *h)
{
    ferry_handle_stop(h);
    ferry_handle_fini(h);
    ferry_free(h);
}

static bool is_odd(const struct ferry_delivery *d, void *cookie)
{
    return ((const struct item *)d)->value & 1;
}

static void order_length_and_purge(void)
{
    struct ferry_handle *h = handle_new(false);
    struct ferry_queue *q = ferry_queue_create(h);
    atomic_store(&dropped, 0);
    CHECK(ferry_queue_empty(q) && !ferry_queue_pop(q));
    for (int i = 0; i < 10; i++)
        ferry_queue_push(q, item(i, 100));
    CHECK_INT(ferry_queue_length(q), 1000);
    struct ferry_delivery *first = ferry_queue_pop(q);
    first->weight = 40; /* 60 of its records were used */
    ferry_queue_push_front(q, first);
    CHECK_INT(ferry_queue_length(q), 940);
    CHECK_INT(take(ferry_queue_take(q, is_odd, NULL)), 1);
    CHECK_INT(ferry_queue_purge(q, is_odd, NULL), 400);
    CHECK_INT(atomic_load(&dropped), 4);
    for (int i = 0; i < 10; i += 2)
        CHECK_INT(take(ferry_queue_pop(q)), i);
    CHECK_INT(take(ferry_queue_pop(q)), -1);
    CHECK_INT(ferry_queue_length(q), 0);
    ferry_queue_push(q, item(1, 1));
    ferry_queue_unref(q);
    CHECK_INT(atomic_load(&dropped), 5);
    handle_free(h);
}

static void closing_drops_and_ends(void)
{
    struct ferry_handle *h = handle_new(false);
    struct ferry_queue *q = ferry_queue_create(h);
    int status;
    atomic_store(&dropped, 0);
    ferry_queue_push(q, item(1, 1));
    ferry_queue_close(q);
    ferry_queue_push(q, item(2, 1));
    CHECK_INT(atomic_load(&dropped), 2);
    CHECK(!ferry_queue_wait(q, FERRY_NEVER, &status));
    CHECK_INT(status, FERRY_E_CLOSED);
    ferry_queue_unref(q);
    handle_free(h);
}

static void forwards_move_and_follow(void)
{
    struct ferry_handle *h = handle_new(false);
    struct ferry_queue *a = ferry_queue_create(h), *b = ferry_queue_create(h),
                       *c = ferry_queue_create(h);
    ferry_queue_push(a, item(1, 5));
    CHECK_INT(ferry_queue_forward(a, b), 0);
    CHECK_INT(ferry_queue_forward(b, c), 0);
    CHECK_INT(ferry_queue_forward(c, a), FERRY_E_INVALID);
    CHECK_INT(ferry_queue_forward(a, a), FERRY_E_INVALID);
    ferry_queue_push(b, item(2, 5));
    ferry_queue_push(a, item(3, 5));
    CHECK_INT(ferry_queue_length(a), 15);
    CHECK_INT(take(ferry_queue_pop(c)), 1);
    CHECK_INT(take(ferry_queue_pop(a)), 2);
    CHECK_INT(ferry_queue_forward(a, NULL), 0);
    CHECK_INT(take(ferry_queue_pop(a)), -1);
    ferry_queue_push(a, item(4, 1));
    CHECK_INT(take(ferry_queue_pop(c)), 3);
    CHECK_INT(take(ferry_queue_pop(c)), -1);
    CHECK_INT(take(ferry_queue_pop(a)), 4);
    ferry_queue_unref(a);
    ferry_queue_unref(b);
    ferry_queue_unref(c);
    handle_free(h);
}

static void waits_end_in_time(void)
{
    for (int thread = 0; thread < 2; thread++) {
        struct ferry_handle *h = handle_new(thread);
        struct ferry_queue *q = ferry_queue_create(h);
        int status;
        ferry_nsec begin = ferry_clock_now();
        CHECK(!ferry_queue_wait(q, ferry_deadline_ms(30), &status));
        CHECK_INT(status, FERRY_E_TIMED_OUT);
        ferry_nsec took = ferry_clock_now() - begin;
        CHECK(took >= 30 * FERRY_MS && took < 10 * FERRY_SECOND);
        CHECK(!ferry_queue_wait(q, ferry_deadline_ms(0), &status));
        CHECK_INT(status, FERRY_E_TIMED_OUT);
        ferry_queue_cancel(q); /* beforehand: ends the next wait */
        CHECK(!ferry_queue_wait(q, FERRY_NEVER, &status));
        CHECK_INT(status, FERRY_E_INTERRUPTED);
        ferry_callback_begin();
        CHECK(!ferry_queue_wait(q, FERRY_NEVER, &status));
        CHECK_INT(status, FERRY_E_STATE);
        ferry_callback_end();
        ferry_queue_unref(q);
        handle_free(h);
    }
}

static void descriptors_are_woken_on_the_edge(void)
{
    struct ferry_handle *h = handle_new(false);
    struct ferry_queue *q = ferry_queue_create(h);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t one = 1, got = 0;
    CHECK_INT(ferry_queue_wake_fd(q, fd, &one, sizeof one), 0);
    CHECK_INT(ferry_queue_wake_fd(q, fd, "12345678901234567", 17), FERRY_E_INVALID);
    for (int i = 0; i < 3; i++)
        ferry_queue_push(q, item(i, 1));
    CHECK(read(fd, &got, 8) == 8 && got == 1);
    while (take(ferry_queue_pop(q)) >= 0)
        ;
    CHECK(read(fd, &got, 8) < 0);
    ferry_queue_push(q, item(1, 1));
    CHECK(read(fd, &got, 8) == 8 && got == 1);
    take(ferry_queue_pop(q));
    ferry_queue_wake_fd(q, -1, NULL, 0);
    ferry_queue_push(q, item(1, 1));
    CHECK(read(fd, &got, 8) < 0);
    /* A pipe whose reader is gone: no signal, no matter. */
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    close(pipes[0]);
    take(ferry_queue_pop(q));
    ferry_queue_wake_fd(q, pipes[1], "x", 1);
    ferry_queue_push(q, item(1, 1));
    close(pipes[1]);
    close(fd);
    ferry_queue_unref(q);
    handle_free(h);
}

/* -- Threads --------------------------------------------------------------------------------- */

enum { PUSHERS = 3, POPPERS = 3, EACH = 2000 };

struct exchange {
    struct ferry_handle *h;
    struct ferry_queue *q;
    _Atomic int pushed, popped, lost;
    _Atomic int last[PUSHERS][POPPERS]; /* order as each popper saw each pusher */
    _Atomic int disorder;
    int next_pusher, next_popper;
    pthread_mutex_t lock;
};

static void *push_many(void *arg)
{
    struct exchange *x = arg;
    pthread_mutex_lock(&x->lock);
    int me = x->next_pusher++;
    pthread_mutex_unlock(&x->lock);
    for (int i = 1; i <= EACH; i++) {
        ferry_queue_push(x->q, item(me * EACH * 2 + i, 1));
        atomic_fetch_add(&x->pushed, 1);
    }
    return NULL;
}

static void *pop_many(void *arg)
{
    struct exchange *x = arg;
    int status = 0;
    pthread_mutex_lock(&x->lock);
    int me = x->next_popper++;
    pthread_mutex_unlock(&x->lock);
    while (atomic_load(&x->popped) < PUSHERS * EACH) {
        struct ferry_delivery *d = ferry_queue_wait(x->q, ferry_deadline_ms(PATIENCE_MS), &status);
        if (!d && status == FERRY_E_INTERRUPTED)
            continue;
        if (!d) {
            atomic_fetch_add(&x->lost, 1);
            return NULL;
        }
        int value = take(d), from = value / (EACH * 2), n = value % (EACH * 2);
        if (atomic_exchange(&x->last[from][me], n) >= n)
            atomic_fetch_add(&x->disorder, 1);
        if (atomic_fetch_add(&x->popped, 1) + 1 == PUSHERS * EACH)
            for (int i = 0; i < POPPERS; i++)
                ferry_queue_close(x->q);
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void)
{
    for (int thread = 0; thread < 2; thread++) {
        struct exchange x = {.h = handle_new(thread), .lock = PTHREAD_MUTEX_INITIALIZER};
        pthread_t threads[PUSHERS + POPPERS];
        x.q = ferry_queue_create(x.h);
        for (int i = 0; i < PUSHERS + POPPERS; i++)
            CHECK(!pthread_create(&threads[i], NULL, i < PUSHERS ? push_many : pop_many, &x));
        for (int i = 0; i < PUSHERS + POPPERS; i++)
            pthread_join(threads[i], NULL);
        CHECK_INT(x.popped, PUSHERS * EACH);
        CHECK_INT(x.disorder, 0);
        ferry_queue_unref(x.q);
        handle_free(x.h);
    }
}

struct single {
    struct ferry_handle *h;
    struct ferry_queue *q, *to;
    int value, status;
};

static void *wait_for_one(void *arg)
{
    struct single *s = arg;
    s->value = take(ferry_queue_wait(s->q, ferry_deadline_ms(PATIENCE_MS), &s->status));
    return NULL;
}

/* Returns when the other thread is inside the wait. */
static void until_waiting(struct ferry_handle *h)
{
    ferry_nsec end = ferry_clock_now() + PATIENCE_MS * FERRY_MS;
    while (!atomic_load(&h->waiting) && ferry_clock_now() < end)
        sched_yield();
}

static void a_wait_is_cancelled(void)
{
    for (int thread = 0; thread < 2; thread++) {
        struct single s = {.h = handle_new(thread)};
        pthread_t t;
        s.q = ferry_queue_create(s.h);
        pthread_create(&t, NULL, wait_for_one, &s);
        until_waiting(s.h);
        ferry_queue_cancel(s.q);
        pthread_join(t, NULL);
        CHECK_INT(s.status, FERRY_E_INTERRUPTED);
        ferry_queue_unref(s.q);
        handle_free(s.h);
    }
}

static void a_waiter_follows_a_forward(void)
{
    struct single s = {.h = handle_new(true)};
    pthread_t t;
    s.q = ferry_queue_create(s.h);
    s.to = ferry_queue_create(s.h);
    pthread_create(&t, NULL, wait_for_one, &s);
    until_waiting(s.h);
    ferry_queue_forward(s.q, s.to);
    ferry_queue_push(s.to, item(77, 1));
    pthread_join(t, NULL);
    CHECK_INT(s.value, 77);
    ferry_queue_unref(s.q);
    ferry_queue_unref(s.to);
    handle_free(s.h);
}

/* -- Callbacks ------------------------------------------------------------------------------- */

struct called {
    struct ferry_queue *q;
    _Atomic int count, refused;
    int fd;
};

static void on_stir(void *cookie)
{
    struct called *c = cookie;
    int status = 0;
    /* Waiting is refused, everything else is allowed. */
    ferry_queue_push_front(c->q, ferry_queue_pop(c->q));
    struct ferry_queue *other = ferry_queue_create(NULL);
    ferry_queue_unref(other);
    if (ferry_in_callback())
        atomic_fetch_add(&c->refused, 1);
    (void)status;
    atomic_fetch_add(&c->count, 1);
    uint64_t one = 1;
    ssize_t n = write(c->fd, &one, 8);
    (void)n;
}

static void callbacks_come_from_the_driver(void)
{
    struct ferry_handle *h = handle_new(true);
    struct called c = {.q = ferry_queue_create(h), .fd = eventfd(0, EFD_CLOEXEC)};
    struct pollfd p = {.fd = c.fd, .events = POLLIN};
    uint64_t got;
    ferry_queue_wake_call(c.q, on_stir, &c);
    for (int i = 1; i <= 50; i++) {
        ferry_queue_push(c.q, item(i, 1));
        CHECK_INT(poll(&p, 1, PATIENCE_MS), 1); /* nobody waits in the API: the I/O thread calls */
        CHECK(read(c.fd, &got, 8) == 8);
        CHECK_INT(atomic_load(&c.count), i);
        CHECK_INT(take(ferry_queue_pop(c.q)), i);
    }
    CHECK_INT(atomic_load(&c.refused), 50);
    ferry_queue_wake_call(c.q, NULL, NULL);
    ferry_queue_push(c.q, item(1, 1));
    CHECK_INT(atomic_load(&c.count), 50);
    close(c.fd);
    ferry_queue_unref(c.q);
    handle_free(h);
}

static void callbacks_come_from_a_step(void)
{
    struct ferry_handle *h = handle_new(false);
    struct called c = {.q = ferry_queue_create(h), .fd = eventfd(0, EFD_CLOEXEC)};
    struct pollfd p = {.fd = ferry_handle_fd(h), .events = POLLIN};
    ferry_queue_wake_call(c.q, on_stir, &c);
    ferry_handle_step(h);
    ferry_handle_deadline(h);
    ferry_queue_push(c.q, item(1, 1));
    CHECK_INT(poll(&p, 1, 0), 1); /* the descriptor says that a step is due */
    CHECK_INT(atomic_load(&c.count), 0);
    ferry_handle_step(h);
    CHECK_INT(atomic_load(&c.count), 1);
    CHECK_INT(poll(&p, 1, 0), 0);
    close(c.fd);
    ferry_queue_unref(c.q);
    handle_free(h);
}

int main(void)
{
    TAP_RUN(order_length_and_purge);
    TAP_RUN(closing_drops_and_ends);
    TAP_RUN(forwards_move_and_follow);
    TAP_RUN(waits_end_in_time);
    TAP_RUN(descriptors_are_woken_on_the_edge);
    TAP_RUN(nothing_is_lost_between_threads);
    TAP_RUN(a_wait_is_cancelled);
    TAP_RUN(a_waiter_follows_a_forward);
    TAP_RUN(callbacks_come_from_the_driver);
    TAP_RUN(callbacks_come_from_a_step);
    return tap_done();
}
