/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event queues; queue.h has the invariants.
 *
 * Locks: a queue's own, then that of its forward target (hand over hand along the chain), then the handle's. `hint` lets
 * an empty queue be asked without a lock; it is written under the lock only.
 */
#include "config.h"

#include "api/queue.h"

#include "api/handle.h"
#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "drive/thread.h"

enum { PAYLOAD_MAX = 16 };

struct ferry_queue {
    _Atomic uint32_t refs;
    _Atomic bool hint; /* something is queued, cancelled, closed or forwarded */
    struct ferry_handle *handle;
    pthread_mutex_t lock;
    struct ferry_link items, waiters;
    uint64_t length;
    uint32_t cancels;
    bool closed;
    struct ferry_queue *target; /* a reference; NULL: not forwarded */

    int fd; /* -1: none */
    uint8_t payload[PAYLOAD_MAX];
    size_t payload_len;

    void (*call)(void *);
    void *call_cookie;
    struct ferry_deferred deferred; /* runs it */
    bool calling;                   /* the callback runs now, in `caller` */
    bool again;                     /* and is due once more */
    pthread_t caller;
    pthread_cond_t called;
};

static void run_call(struct ferry_deferred *);
static void forget_call(struct ferry_deferred *);

struct ferry_queue *ferry_queue_create(struct ferry_handle *h)
{
    struct ferry_queue *q = ferry_zalloc(sizeof *q);
    if (!q)
        return NULL;
    atomic_init(&q->refs, 1);
    q->handle = h;
    q->fd = -1;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->called, NULL);
    q->deferred = (struct ferry_deferred){.run = run_call, .forget = forget_call};
    ferry_list_init(&q->items);
    ferry_list_init(&q->waiters);
    return q;
}

struct ferry_queue *ferry_queue_ref(struct ferry_queue *q)
{
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    return q;
}

static void drop_all(struct ferry_link *items)
{
    struct ferry_link *n;
    while ((n = ferry_list_pop_front(items))) {
        struct ferry_delivery *d = FERRY_CONTAINER(n, struct ferry_delivery, link);
        d->drop(d);
    }
}

void ferry_queue_unref(struct ferry_queue *q)
{
    if (!q || atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) > 1)
        return;
    FERRY_CHECK(ferry_list_empty(&q->waiters));
    drop_all(&q->items);
    ferry_queue_unref(q->target);
    pthread_cond_destroy(&q->called);
    pthread_mutex_destroy(&q->lock);
    ferry_free(q);
}

/* The last of the chain, locked. */
static struct ferry_queue *lock_target(struct ferry_queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->target) {
        struct ferry_queue *next = q->target;
        pthread_mutex_lock(&next->lock);
        pthread_mutex_unlock(&q->lock);
        q = next;
    }
    return q;
}

static void set_hint(struct ferry_queue *q)
{
    atomic_store(&q->hint, q->closed || q->cancels || q->target || !ferry_list_empty(&q->items));
}

static void unlock(struct ferry_queue *q)
{
    set_hint(q);
    pthread_mutex_unlock(&q->lock);
}

static void signal_all(struct ferry_queue *q)
{
    struct ferry_link *n, *tmp;
    FERRY_LIST_EACH(n, tmp, &q->waiters)
    ferry_seat_signal(FERRY_CONTAINER(n, struct ferry_waiter, queue_link));
}

/* One delivery is for one waiter: in turn, and none if this thread waits on the queue itself. A waiter that leaves while
   more is queued signals the next. */
static void signal_one(struct ferry_queue *q)
{
    struct ferry_link *n, *tmp;
    FERRY_LIST_EACH(n, tmp, &q->waiters)
    if (ferry_seat_is_me(FERRY_CONTAINER(n, struct ferry_waiter, queue_link)))
        return;
    n = ferry_list_pop_front(&q->waiters);
    if (!n)
        return;
    ferry_list_push_back(&q->waiters, n);
    ferry_seat_signal(FERRY_CONTAINER(n, struct ferry_waiter, queue_link));
}

/* It was empty and is not any more. With the lock held, which is given up. */
static void stir(struct ferry_queue *q)
{
    if (q->fd >= 0)
        ferry_thread_signal_fd(q->fd, q->payload, q->payload_len);
    if (q->call) {
        ferry_queue_ref(q);
        if (!ferry_seat_defer(q->handle, &q->deferred))
            atomic_fetch_sub(&q->refs, 1); /* it is due already; not the last, the caller has one */
    }
    unlock(q);
}

/* -- In and out ---------------------------------------------------------------------------- */

void ferry_queue_push(struct ferry_queue *q, struct ferry_delivery *d)
{
    q = lock_target(q);
    if (q->closed) {
        unlock(q);
        d->drop(d);
        return;
    }
    bool was_empty = ferry_list_empty(&q->items);
    ferry_list_push_back(&q->items, &d->link);
    q->length += d->weight;
    /* Before the waiters hear of it: they look at the hint without the lock. */
    set_hint(q);
    signal_one(q);
    if (was_empty)
        stir(q);
    else
        unlock(q);
}

void ferry_queue_push_front(struct ferry_queue *q, struct ferry_delivery *d)
{
    q = lock_target(q);
    if (q->closed) {
        unlock(q);
        d->drop(d);
        return;
    }
    ferry_list_push_front(&q->items, &d->link);
    q->length += d->weight;
    unlock(q);
}

static struct ferry_delivery *take_out(struct ferry_queue *q, struct ferry_link *n)
{
    struct ferry_delivery *d = FERRY_CONTAINER(n, struct ferry_delivery, link);
    ferry_list_remove(n);
    q->length -= d->weight;
    return d;
}

struct ferry_delivery *ferry_queue_pop(struct ferry_queue *q)
{
    if (!atomic_load(&q->hint))
        return NULL;
    q = lock_target(q);
    struct ferry_delivery *d = NULL;
    if (!ferry_list_empty(&q->items))
        d = take_out(q, q->items.next);
    unlock(q);
    return d;
}

struct ferry_delivery *ferry_queue_take(struct ferry_queue *q,
                                        bool (*match)(const struct ferry_delivery *, void *),
                                        void *cookie)
{
    struct ferry_link *n, *tmp;
    struct ferry_delivery *found = NULL;
    q = lock_target(q);
    FERRY_LIST_EACH(n, tmp, &q->items)
    {
        if (match(FERRY_CONTAINER(n, struct ferry_delivery, link), cookie)) {
            found = take_out(q, n);
            break;
        }
    }
    unlock(q);
    return found;
}

struct ferry_delivery *ferry_queue_wait(struct ferry_queue *q, ferry_nsec deadline, int *status)
{
    struct ferry_delivery *d;
    int rc = 0;
    while (!(d = ferry_queue_pop(q)) && !rc)
        rc = ferry_handle_wait(q->handle, q, NULL, NULL, deadline);
    if (status)
        *status = d ? 0 : rc;
    return d;
}

uint64_t ferry_queue_purge(struct ferry_queue *q,
                           bool (*match)(const struct ferry_delivery *, void *), void *cookie)
{
    struct ferry_link *n, *tmp, purged;
    uint64_t weight = 0;
    ferry_list_init(&purged);
    q = lock_target(q);
    FERRY_LIST_EACH(n, tmp, &q->items)
    {
        if (match && !match(FERRY_CONTAINER(n, struct ferry_delivery, link), cookie))
            continue;
        struct ferry_delivery *d = take_out(q, n);
        weight += d->weight;
        ferry_list_push_back(&purged, &d->link);
    }
    unlock(q);
    drop_all(&purged);
    return weight;
}

void ferry_queue_cancel(struct ferry_queue *q)
{
    q = lock_target(q);
    q->cancels = 1;
    set_hint(q);
    signal_all(q);
    unlock(q);
}

void ferry_queue_close(struct ferry_queue *q)
{
    struct ferry_link dropped, *n;
    ferry_list_init(&dropped);
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    q->length = 0;
    q->fd = -1;
    while ((n = ferry_list_pop_front(&q->items)))
        ferry_list_push_back(&dropped, n);
    set_hint(q);
    signal_all(q);
    unlock(q);
    drop_all(&dropped);
}

uint64_t ferry_queue_length(struct ferry_queue *q)
{
    q = lock_target(q);
    uint64_t length = q->length;
    unlock(q);
    return length;
}

bool ferry_queue_empty(struct ferry_queue *q)
{
    if (!atomic_load(&q->hint))
        return true;
    q = lock_target(q);
    bool empty = ferry_list_empty(&q->items);
    unlock(q);
    return empty;
}

/* -- The public names ---------------------------------------------------------------------- */

struct ferry_queue *ferry_queue_new(struct ferry_handle *h)
{
    return ferry_queue_create(h);
}

void ferry_queue_free(struct ferry_queue *q)
{
    ferry_queue_unref(q);
}

struct ferry_queue *ferry_handle_queue(struct ferry_handle *h)
{
    return h->queue;
}

struct ferry_delivery *ferry_queue_poll(struct ferry_queue *q, int32_t timeout_ms,
                                        struct ferry_error *err)
{
    int status;
    ferry_error_clear(err);
    struct ferry_delivery *d = ferry_queue_wait(q, ferry_deadline_ms(timeout_ms), &status);
    if (!d)
        ferry_fail(err, status, "nothing is queued: %s", ferry_error_name(status));
    return d;
}

int32_t ferry_delivery_kind(const struct ferry_delivery *d)
{
    return (int32_t)d->type;
}

uint32_t ferry_delivery_records(const struct ferry_delivery *d)
{
    return d->weight;
}

void ferry_delivery_free(struct ferry_delivery *d)
{
    if (d)
        d->drop(d);
}

/* -- Forwarding ---------------------------------------------------------------------------- */

/* Forwards are set one at a time, so that no two of them close a circle together. */
static pthread_mutex_t forwarding = PTHREAD_MUTEX_INITIALIZER;

static bool leads_to(struct ferry_queue *from, const struct ferry_queue *to)
{
    while (from && from != to)
        from = from->target;
    return from;
}

/* What was queued goes to the target; the waiters look again where to wait. */
static void move_over(struct ferry_queue *q, struct ferry_link *items)
{
    struct ferry_link *n, *tmp;
    FERRY_LIST_EACH(n, tmp, &q->waiters)
    {
        struct ferry_waiter *w = FERRY_CONTAINER(n, struct ferry_waiter, queue_link);
        atomic_store(&w->moved, true);
        ferry_seat_signal(w);
    }
    while ((n = ferry_list_pop_front(&q->items)))
        ferry_list_push_back(items, n);
    q->length = 0;
}

int32_t ferry_queue_forward(struct ferry_queue *q, struct ferry_queue *target)
{
    struct ferry_link moved, *n;
    ferry_list_init(&moved);
    pthread_mutex_lock(&forwarding);
    if (leads_to(target, q)) {
        pthread_mutex_unlock(&forwarding);
        return FERRY_E_INVALID;
    }
    pthread_mutex_lock(&q->lock);
    struct ferry_queue *old = q->target;
    q->target = target ? ferry_queue_ref(target) : NULL;
    if (target)
        move_over(q, &moved);
    unlock(q);
    while ((n = ferry_list_pop_front(&moved)))
        ferry_queue_push(target, FERRY_CONTAINER(n, struct ferry_delivery, link));
    pthread_mutex_unlock(&forwarding);
    ferry_queue_unref(old);
    return 0;
}

/* -- Wakes --------------------------------------------------------------------------------- */

int32_t ferry_queue_wake_fd(struct ferry_queue *q, int32_t fd, const void *payload, size_t len)
{
    if (len > PAYLOAD_MAX || (fd >= 0 && !len))
        return FERRY_E_INVALID;
    pthread_mutex_lock(&q->lock);
    q->fd = fd;
    q->payload_len = len;
    if (len)
        memcpy(q->payload, payload, len);
    unlock(q);
    return 0;
}

void ferry_queue_wake_call(struct ferry_queue *q, void (*fn)(void *), void *cookie)
{
    pthread_mutex_lock(&q->lock);
    q->call = fn;
    q->call_cookie = cookie;
    while (q->calling && !pthread_equal(q->caller, pthread_self()))
        pthread_cond_wait(&q->called, &q->lock);
    unlock(q);
}

static void run_call(struct ferry_deferred *d)
{
    struct ferry_queue *q = FERRY_CONTAINER(d, struct ferry_queue, deferred);
    pthread_mutex_lock(&q->lock);
    q->again = true;
    while (q->again && !q->calling && q->call) {
        void (*fn)(void *) = q->call;
        void *cookie = q->call_cookie;
        q->again = false;
        q->calling = true;
        q->caller = pthread_self();
        pthread_mutex_unlock(&q->lock);
        fn(cookie);
        pthread_mutex_lock(&q->lock);
        q->calling = false;
        pthread_cond_broadcast(&q->called);
    }
    unlock(q);
    ferry_queue_unref(q);
}

static void forget_call(struct ferry_deferred *d)
{
    ferry_queue_unref(FERRY_CONTAINER(d, struct ferry_queue, deferred));
}

/* -- Waiters ------------------------------------------------------------------------------- */

void ferry_queue_join(struct ferry_queue *q, struct ferry_waiter *w)
{
    q = lock_target(q);
    w->queue = ferry_queue_ref(q);
    ferry_list_push_back(&q->waiters, &w->queue_link);
    unlock(q);
}

void ferry_queue_unjoin(struct ferry_waiter *w)
{
    struct ferry_queue *q = w->queue;
    pthread_mutex_lock(&q->lock);
    ferry_list_remove(&w->queue_link);
    if (!ferry_list_empty(&q->items))
        signal_one(q);
    unlock(q);
    w->queue = NULL;
    ferry_queue_unref(q);
}

bool ferry_queue_stirred(struct ferry_queue *q)
{
    return atomic_load(&q->hint);
}

bool ferry_queue_ends_wait(struct ferry_queue *q, int *rc)
{
    if (!atomic_load(&q->hint))
        return false;
    bool over = true;
    pthread_mutex_lock(&q->lock);
    if (!ferry_list_empty(&q->items)) {
        *rc = 0;
    } else if (q->cancels) {
        q->cancels = 0;
        *rc = FERRY_E_INTERRUPTED;
    } else if (q->closed) {
        *rc = FERRY_E_CLOSED;
    } else {
        over = false;
    }
    unlock(q);
    return over;
}
