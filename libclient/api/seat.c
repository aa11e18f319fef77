/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who steps the engine, who drives, who sleeps until when: handle.h has the rules and the invariants.
 *
 * Everything here is sequentially consistent on purpose: invariants 2 and 3 are store-then-load on both sides.
 */
#include "config.h"

#include "api/handle.h"
#include "base/check.h"
#include "base/err.h"
#include "drive/clock.h"
#include "drive/thread.h"

enum driver { DRIVER_NONE, DRIVER_IO, DRIVER_APP };

/* A waiter that returns usually comes back within this time. */
static const ferry_nsec lease = 3 * FERRY_MS;
/* While there was something to do, the driver looks again after this time, so that a poster's request time-outs, which
   are all later, need no kick. */
static const ferry_nsec attentive = FERRY_SECOND;
enum { UNLOCK_ROUNDS_MAX = 16 };

static _Thread_local struct ferry_handle *seated; /* whose seat this thread has */
static _Thread_local struct ferry_waiter *waiter_here;

bool ferry_in_callback(void)
{
    return seated || ferry_thread_in_callback();
}

void ferry_callback_begin(void)
{
    ferry_thread_callback_begin();
}

void ferry_callback_end(void)
{
    ferry_thread_callback_end();
}

ferry_nsec ferry_deadline_ms(int32_t timeout_ms)
{
    if (timeout_ms < 0)
        return FERRY_NEVER;
    return timeout_ms ? ferry_clock_now() + timeout_ms * FERRY_MS : 0;
}

static ferry_nsec earliest(ferry_nsec a, ferry_nsec b)
{
    return a < b ? a : b;
}

/* -- Waking whoever should look ------------------------------------------------------------ */

static void wake_thread(struct ferry_handle *h)
{
    atomic_fetch_add(&h->thread_word, 1);
    ferry_thread_wake(&h->thread_word);
}

/* There is something to do at `by`: wakes the one who is to do it, if he sleeps beyond that. */
static void attention(struct ferry_handle *h, ferry_nsec by)
{
    if (atomic_load(&h->driver) != DRIVER_NONE || !h->has_thread) {
        if (atomic_load(&h->polled_until) > by)
            ferry_loop_wake(h->loop);
    } else if (atomic_load(&h->standby_until) > by) {
        wake_thread(h);
    }
}

/* When there is something to do, as far as anybody without the seat can know. */
static ferry_nsec due(struct ferry_handle *h)
{
    if (atomic_load(&h->mailbox) || atomic_load(&h->calls_due))
        return 0;
    return atomic_load(&h->next_deadline);
}

bool ferry_seat_is_me(const struct ferry_waiter *w)
{
    return w == waiter_here;
}

void ferry_seat_signal(struct ferry_waiter *w)
{
    atomic_fetch_add(&w->word, 1);
    if (w == waiter_here)
        return;
    if (atomic_load(&w->driving))
        ferry_loop_wake(w->handle->loop);
    else
        ferry_thread_wake(&w->word);
}

void ferry_handle_notify(struct ferry_handle *h)
{
    bool ended = atomic_load(&h->ended);
    if (!atomic_load(&h->predicates) && !ended)
        return;
    struct ferry_link *n, *tmp;
    pthread_mutex_lock(&h->lock);
    FERRY_LIST_EACH(n, tmp, &h->waiters)
    {
        struct ferry_waiter *w = FERRY_CONTAINER(n, struct ferry_waiter, link);
        if (ended || (w->ready && w->ready(w->cookie)))
            ferry_seat_signal(w);
    }
    pthread_mutex_unlock(&h->lock);
}

/* -- The seat ------------------------------------------------------------------------------ */

static bool try_seat(struct ferry_handle *h)
{
    uint32_t vacant = 0;
    if (!atomic_compare_exchange_strong(&h->seat, &vacant, 1))
        return false;
    seated = h;
    return true;
}

static void take_seat(struct ferry_handle *h)
{
    FERRY_CHECK(seated != h);
    if (try_seat(h))
        return;
    while (atomic_exchange(&h->seat, 2))
        ferry_thread_wait(&h->seat, 2, FERRY_NEVER);
    seated = h;
}

static void run_mailbox(struct ferry_handle *h)
{
    struct ferry_link *newest = atomic_exchange(&h->mailbox, NULL), *oldest = NULL;
    while (newest) { /* turn it round */
        struct ferry_link *n = newest;
        newest = n->prev;
        n->prev = oldest;
        oldest = n;
    }
    while (oldest) {
        struct ferry_link *n = oldest;
        oldest = n->prev;
        n->prev = n->next = NULL;
        ferry_loop_command(h->loop, n);
    }
}

static void vacate(struct ferry_handle *h)
{
    atomic_store(&h->next_deadline, ferry_loop_deadline(h->loop));
    atomic_store(&h->ended, ferry_loop_status(h->loop));
    if (h->finished && h->finished(h->engine))
        atomic_store(&h->has_finished, true);
    seated = NULL;
    if (atomic_exchange(&h->seat, 0) == 2)
        ferry_thread_wake(&h->seat);
}

static void leave_seat(struct ferry_handle *h)
{
    for (int i = 0; i < UNLOCK_ROUNDS_MAX; i++) {
        vacate(h);
        if (!atomic_load(&h->mailbox) || !try_seat(h))
            break;
        run_mailbox(h);
        if (i == UNLOCK_ROUNDS_MAX - 1)
            vacate(h); /* others keep posting: the driver's turn */
    }
    ferry_handle_notify(h);
}

int ferry_handle_enter(struct ferry_handle *h)
{
    if (ferry_in_callback())
        return FERRY_E_STATE;
    take_seat(h);
    return 0;
}

void ferry_handle_leave(struct ferry_handle *h)
{
    leave_seat(h);
    attention(h, due(h));
}

/* -- Commands ------------------------------------------------------------------------------ */

static void put(struct ferry_handle *h, void *command)
{
    struct ferry_link *n = command;
    n->next = NULL;
    n->prev = atomic_load(&h->mailbox);
    while (!atomic_compare_exchange_weak(&h->mailbox, &n->prev, n))
        ;
}

void ferry_handle_post(struct ferry_handle *h, void *command)
{
    put(h, command);
    if (!try_seat(h))
        return; /* who has it looks into the mailbox when he leaves */
    run_mailbox(h);
    leave_seat(h);
    attention(h, due(h));
}

void ferry_handle_send(struct ferry_handle *h, void *command)
{
    ferry_handle_send_by(h, command, 0);
}

void ferry_handle_send_by(struct ferry_handle *h, void *command, ferry_nsec need_by)
{
    put(h, command);
    attention(h, need_by);
}

/* -- Callbacks of the application, outside the seat ---------------------------------------- */

bool ferry_seat_defer(struct ferry_handle *h, struct ferry_deferred *d)
{
    pthread_mutex_lock(&h->lock);
    bool added = !ferry_link_linked(&d->link);
    if (added) {
        ferry_list_push_back(&h->calls, &d->link);
        atomic_fetch_add(&h->calls_due, 1);
    }
    pthread_mutex_unlock(&h->lock);
    if (added && seated != h)
        attention(h, 0);
    return added;
}

static void run_calls(struct ferry_handle *h)
{
    while (atomic_load(&h->calls_due)) {
        pthread_mutex_lock(&h->lock);
        struct ferry_link *n = ferry_list_pop_front(&h->calls);
        if (n)
            atomic_fetch_sub(&h->calls_due, 1);
        pthread_mutex_unlock(&h->lock);
        if (!n)
            return;
        struct ferry_deferred *d = FERRY_CONTAINER(n, struct ferry_deferred, link);
        ferry_callback_begin();
        d->run(d);
        ferry_callback_end();
    }
}

/* -- Driving ------------------------------------------------------------------------------- */

static bool take_role(struct ferry_handle *h, enum driver who)
{
    int none = DRIVER_NONE;
    if (!atomic_compare_exchange_strong(&h->driver, &none, (int)who))
        return false;
    atomic_store(&h->polled_until, 0);
    return true;
}

/* Nobody drives: somebody should. */
static void pass_on(struct ferry_handle *h)
{
    if (atomic_load(&h->waiting)) {
        pthread_mutex_lock(&h->lock);
        bool any = !ferry_list_empty(&h->waiters);
        if (any)
            ferry_seat_signal(FERRY_CONTAINER(h->waiters.next, struct ferry_waiter, link));
        pthread_mutex_unlock(&h->lock);
        if (any)
            return;
    }
    ferry_nsec standby = atomic_load(&h->standby_until);
    if (!h->has_thread)
        attention(h, due(h));
    else if (standby == FERRY_NEVER || standby > due(h))
        wake_thread(h);
}

static void leave_role(struct ferry_handle *h, enum driver who)
{
    if (who == DRIVER_APP)
        atomic_fetch_add(&h->visits, 1);
    if (!h->has_thread)
        atomic_store(&h->polled_until, atomic_load(&h->reported));
    atomic_store(&h->driver, DRIVER_NONE);
    pass_on(h);
}

static bool satisfied(struct ferry_waiter *w)
{
    return (w->queue && ferry_queue_stirred(w->queue)) || (w->ready && w->ready(w->cookie)) ||
           atomic_load(&w->moved);
}

static bool must_not_sleep(struct ferry_handle *h, struct ferry_waiter *w)
{
    if (atomic_load(&h->mailbox) || atomic_load(&h->calls_due) || atomic_load(&h->stopping))
        return true;
    return w ? satisfied(w) : atomic_load(&h->waiting) > 0;
}

/* One round of the driver: sleeps until something happens, `until` at most, and serves it. w: the waiter that drives, NULL
   for the I/O thread. Returns the steps taken, or the code with which the engine ended. */
static int drive(struct ferry_handle *h, ferry_nsec until, struct ferry_waiter *w)
{
    struct ferry_loop_batch batch;
    ferry_nsec now = ferry_clock_now();
    ferry_nsec look = earliest(until, atomic_load(&h->next_deadline));
    if (h->active)
        look = earliest(look, now + attentive);
    if (look > now) {
        atomic_store(&h->polled_until, look);
        /* Invariant 3: now look whether all is still as it was. */
        look = earliest(look, atomic_load(&h->next_deadline));
    }
    bool sleep = look > now && !must_not_sleep(h, w);
    ferry_loop_poll(h->loop, &batch, !sleep ? 0 : look == FERRY_NEVER ? look : look - now);
    atomic_store(&h->polled_until, 0);

    take_seat(h);
    run_mailbox(h);
    int rc = ferry_loop_serve(h->loop, &batch);
    h->active = rc > 0;
    leave_seat(h);
    run_calls(h);
    return rc;
}

/* -- Waiting ------------------------------------------------------------------------------- */

static void enlist(struct ferry_waiter *w)
{
    struct ferry_handle *h = w->handle;
    pthread_mutex_lock(&h->lock);
    ferry_list_push_back(&h->waiters, &w->link);
    pthread_mutex_unlock(&h->lock);
    if (w->ready)
        atomic_fetch_add(&h->predicates, 1);
    atomic_fetch_add(&h->waiting, 1);
}

static void delist(struct ferry_waiter *w)
{
    struct ferry_handle *h = w->handle;
    atomic_fetch_sub(&h->waiting, 1);
    if (w->ready)
        atomic_fetch_sub(&h->predicates, 1);
    pthread_mutex_lock(&h->lock);
    ferry_list_remove(&w->link);
    pthread_mutex_unlock(&h->lock);
}

/* Whether the wait is over, and with what. */
static bool over(struct ferry_waiter *w, int *rc)
{
    struct ferry_handle *h = w->handle;
    *rc = 0;
    if (w->ready && w->ready(w->cookie))
        return true;
    if (w->queue && ferry_queue_ends_wait(w->queue, rc))
        return true;
    *rc = atomic_load(&h->ended);
    if (!*rc && atomic_load(&h->stopping))
        *rc = FERRY_E_CLOSED;
    return *rc != 0;
}

/* Sleeps without driving, unless the role has become vacant. */
static void stand_in_line(struct ferry_waiter *w, uint32_t word, ferry_nsec deadline)
{
    struct ferry_handle *h = w->handle;
    int driver = atomic_load(&h->driver);
    if (driver == DRIVER_NONE)
        return;
    if (driver == DRIVER_IO && atomic_load(&h->polled_until))
        ferry_loop_wake(h->loop); /* it sees that somebody waits, and yields */
    ferry_thread_wait(&w->word, word, deadline);
}

static int wait_until(struct ferry_waiter *w, struct ferry_queue *queue, ferry_nsec deadline)
{
    struct ferry_handle *h = w->handle;
    bool looked = h->has_thread; /* without a thread, even a wait of no length looks once */
    int rc;
    for (;;) {
        uint32_t word = atomic_load(&w->word);
        if (atomic_exchange(&w->moved, false)) {
            ferry_queue_unjoin(w);
            ferry_queue_join(queue, w);
        }
        if (over(w, &rc)) {
            /* Who cancels each of his own waits would otherwise never look. */
            if (!looked && rc == FERRY_E_INTERRUPTED && take_role(h, DRIVER_APP)) {
                atomic_store(&w->driving, true);
                drive(h, 0, w);
            }
            return rc;
        }
        if (looked && deadline <= ferry_clock_now())
            return FERRY_E_TIMED_OUT;
        if (atomic_load(&w->driving) || take_role(h, DRIVER_APP)) {
            atomic_store(&w->driving, true);
            drive(h, deadline, w);
            looked = true;
        } else {
            stand_in_line(w, word, deadline);
            looked = true;
        }
    }
}

int ferry_handle_wait(struct ferry_handle *h, struct ferry_queue *queue, bool (*ready)(void *),
                      void *cookie, ferry_nsec deadline)
{
    if (ferry_in_callback())
        return FERRY_E_STATE;
    struct ferry_waiter w = {.handle = h, .ready = ready, .cookie = cookie};
    waiter_here = &w;
    enlist(&w);
    if (queue)
        ferry_queue_join(queue, &w);
    int rc = wait_until(&w, queue, deadline);
    if (w.queue)
        ferry_queue_unjoin(&w);
    delist(&w);
    waiter_here = NULL;
    if (atomic_load(&w.driving))
        leave_role(h, DRIVER_APP);
    else if (atomic_load(&h->driver) == DRIVER_NONE)
        pass_on(h); /* the signal that I got may have been meant to make me drive */
    return rc;
}

/* -- The I/O thread ------------------------------------------------------------------------ */

static bool may_drive(struct ferry_handle *h)
{
    return atomic_load(&h->driver) == DRIVER_NONE && !atomic_load(&h->waiting) &&
           !atomic_load(&h->ended);
}

static void nap(struct ferry_handle *h, ferry_nsec until)
{
    uint32_t word = atomic_load(&h->thread_word);
    atomic_store(&h->standby_until, until);
    if (atomic_load(&h->driver) == DRIVER_NONE && !atomic_load(&h->ended)) {
        if (until == FERRY_NEVER) /* who drove has left, and did not know that he had to wake us */
            until = ferry_clock_now() + lease;
        if (!atomic_load(&h->waiting))
            until = earliest(until, due(h));
    }
    if (!atomic_load(&h->stopping))
        ferry_thread_wait(&h->thread_word, word, until);
    atomic_store(&h->standby_until, 0);
}

/* Returns when it is the I/O thread's turn, or the end. */
static void stand_by(struct ferry_handle *h)
{
    bool deep = false;
    while (!atomic_load(&h->stopping)) {
        uint32_t visits = atomic_load(&h->visits);
        bool app = atomic_load(&h->driver) == DRIVER_APP;
        deep |= atomic_load(&h->ended) != 0;
        ferry_nsec expires = ferry_clock_now() + lease;
        nap(h, deep ? FERRY_NEVER : expires);
        ferry_nsec now = ferry_clock_now();
        bool same = atomic_load(&h->visits) == visits;
        if (may_drive(h) && ((same && !app && now >= expires) || due(h) <= now))
            return;
        deep = same && app && atomic_load(&h->driver) == DRIVER_APP;
    }
}

static void io_thread(void *arg)
{
    struct ferry_handle *h = arg;
    while (!atomic_load(&h->stopping)) {
        if (may_drive(h) && take_role(h, DRIVER_IO)) {
            while (!atomic_load(&h->stopping) && !atomic_load(&h->waiting))
                if (drive(h, FERRY_NEVER, NULL) < 0)
                    break;
            leave_role(h, DRIVER_IO);
        }
        stand_by(h);
    }
}

int ferry_seat_start_thread(struct ferry_handle *h, struct ferry_error *err)
{
    h->has_thread = true;
    int rc = ferry_thread_start(&h->thread, "ferry:io", &h->hooks, io_thread, h);
    if (rc) {
        h->has_thread = false;
        return ferry_fail(err, rc, "the system refuses a thread (ulimit -u, or memory)");
    }
    return 0;
}

void ferry_seat_stop_thread(struct ferry_handle *h)
{
    atomic_store(&h->stopping, true);
    if (!h->has_thread)
        return;
    wake_thread(h);
    ferry_loop_wake(h->loop);
    pthread_join(h->thread, NULL);
    h->has_thread = false;
}

void ferry_seat_init(struct ferry_handle *h)
{
    pthread_mutex_init(&h->lock, NULL);
    ferry_list_init(&h->waiters);
    ferry_list_init(&h->calls);
    atomic_store(&h->next_deadline, FERRY_NEVER);
    atomic_store(&h->reported, FERRY_NEVER);
    atomic_store(&h->polled_until, FERRY_NEVER);
}

/* -- The application's own loop (ferry/loop.h) ---------------------------------------------------------------------- */

int32_t ferry_handle_fd(struct ferry_handle *h)
{
    return ferry_loop_fd(h->loop);
}

int64_t ferry_handle_deadline(struct ferry_handle *h)
{
    ferry_nsec at = atomic_load(&h->next_deadline);
    atomic_store(&h->reported, at);
    if (atomic_load(&h->driver) == DRIVER_NONE && !h->has_thread)
        atomic_store(&h->polled_until, at);
    return due(h);
}

int32_t ferry_handle_timeout_ms(struct ferry_handle *h)
{
    ferry_nsec at = ferry_handle_deadline(h), now = ferry_clock_now();
    if (at == FERRY_NEVER)
        return -1;
    if (at <= now)
        return 0;
    ferry_nsec ms = (at - now + FERRY_MS - 1) / FERRY_MS;
    return ms < INT32_MAX ? (int32_t)ms : INT32_MAX;
}

int32_t ferry_handle_step(struct ferry_handle *h)
{
    if (ferry_in_callback())
        return FERRY_E_STATE;
    if (atomic_load(&h->ended))
        return atomic_load(&h->ended);
    if (!take_role(h, DRIVER_APP))
        return 0;
    int rc = drive(h, 0, NULL);
    /* The application asks for the deadline next; if it does not, it must not be woken for ever. */
    atomic_store(&h->reported, atomic_load(&h->next_deadline));
    leave_role(h, DRIVER_APP);
    return rc;
}
