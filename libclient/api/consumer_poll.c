/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "api/consumer.h"

#include "base/err.h"
#include "base/mem.h"
#include "client/fetcher_buffer.h"
#include "drive/clock.h"
#include "ferry/queue.h"

/* Records to the application: by poll, by whole buffers, from queues; and what is asked and told on the way. */

/* -- Deliveries ------------------------------------------------------------------------------------------- */

/* The consumer of whose callback this thread is in the middle; NULL: of none. */
static _Thread_local const struct ferry_consumer *calling;

bool ferry_consumer_calls(const struct ferry_consumer *c)
{
    return calling == c;
}

static void ask(struct ferry_consumer *c, struct ferry_rebalance *r)
{
    if (c->on_rebalance) {
        ferry_rebalance_callback call = c->on_rebalance;
        void *cookie = c->on_rebalance_cookie;
        const struct ferry_consumer *outer = calling;
        c->asked = r;
        ferry_consumer_unlock(c);
        calling = c;
        call(c, r, cookie);
        calling = outer;
        ferry_consumer_lock(c);
        if (c->asked != r)
            return; /* answered or kept */
        c->asked = NULL;
    }
    ferry_consumer_app_answer(c->app, r, NULL, NULL);
}

static void tell_result(struct ferry_consumer *c, struct ferry_consumer_call *call)
{
    ferry_commit_callback function = (ferry_commit_callback)call->function;
    if (function) {
        const struct ferry_consumer *outer = calling;
        ferry_consumer_unlock(c);
        calling = c;
        function(c, call->status, call->list, call->cookie);
        calling = outer;
        ferry_consumer_lock(c);
    }
    ferry_consumer_call_free(call);
}

/* An error of the handle becomes a note of no partition. */
static struct ferry_delivery *note_of_error(struct ferry_delivery *d)
{
    struct ferry_error err;
    struct ferry_consumer_note *n = NULL;
    if (ferry_delivery_error(d, &err) == 0)
        n = ferry_consumer_note_new(NULL, err.code, err.text);
    ferry_delivery_free(d);
    return n ? &n->delivery : NULL;
}

bool ferry_consumer_take_delivery(struct ferry_consumer *c, struct ferry_delivery *d,
                                  struct ferry_consumer_call *until)
{
    switch (d->type) {
    case FERRY_CONSUMER_FETCHED:
    case FERRY_CONSUMER_NOTE:
    case FERRY_CONSUMER_QUESTION:
    case FERRY_CONSUMER_DONE:
        break;
    case FERRY_DELIVERY_ERROR:
        if ((d = note_of_error(d)))
            break;
        return false;
    default: /* of another queue that was forwarded here: nothing that poll could return */
        ferry_delivery_free(d);
        return false;
    }
    if (!(d = ferry_consumer_app_receive(c->app, d)))
        return false;
    if (d->type == FERRY_CONSUMER_QUESTION) {
        ask(c, FERRY_CONTAINER(d, struct ferry_rebalance, delivery));
        return false;
    }
    struct ferry_consumer_call *call = FERRY_CONTAINER(d, struct ferry_consumer_call, done);
    if (call == until)
        return true;
    tell_result(c, call);
    return false;
}

/* Everything that is there already. */
static void take_all(struct ferry_consumer *c)
{
    struct ferry_delivery *d;
    while (ferry_list_empty(&c->app->ready) && (d = ferry_queue_pop(c->queue)))
        ferry_consumer_take_delivery(c, d, NULL);
}

/* The next delivery, waited for. The lock is held before and after. 0, or why there is none. */
static int wait_one(struct ferry_consumer *c, ferry_nsec deadline)
{
    int status = 0;
    ferry_consumer_unlock(c);
    struct ferry_delivery *d = ferry_queue_wait(c->queue, deadline, &status);
    ferry_consumer_lock(c);
    if (!d)
        return status;
    ferry_consumer_take_delivery(c, d, NULL);
    return 0;
}

/* -- Polling ---------------------------------------------------------------------------------------------- */

static int32_t poll_locked(struct ferry_consumer *c, struct ferry_message *out, int32_t max,
                           int32_t timeout_ms)
{
    ferry_nsec deadline = timeout_ms > 0 ? ferry_deadline_ms(timeout_ms) : 0;
    for (;;) {
        take_all(c);
        int32_t n = ferry_consumer_app_take(c->app, out, max);
        if (n)
            return n;
        if (!ferry_list_empty(&c->app->ready))
            continue; /* they came while the application was called */
        int status = wait_one(c, timeout_ms < 0 ? FERRY_NEVER : deadline);
        if (status)
            return status == FERRY_E_TIMED_OUT ? 0 : status;
    }
}

int32_t ferry_consumer_poll(struct ferry_consumer *c, struct ferry_message *out, int32_t max,
                            int32_t timeout_ms, struct ferry_error *err)
{
    if (max <= 0)
        return ferry_fail(err, FERRY_E_INVALID, "room for %d records: at least 1 is needed",
                          (int)max);
    if (!ferry_consumer_enter(c))
        return ferry_fail(err, FERRY_E_CLOSED, "the consumer is closed");
    int32_t n = FERRY_E_STATE;
    ferry_error_clear(err);
    ferry_consumer_lock(c);
    if (!c->polling && !ferry_consumer_calls(c)) {
        c->polling = true;
        c->waiters++;
        ferry_consumer_app_begin(c->app);
        n = poll_locked(c, out, max < c->max_records ? max : c->max_records, timeout_ms);
        ferry_consumer_app_end(c->app);
        c->waiters--;
        c->polling = false;
    }
    ferry_consumer_unlock(c);
    ferry_consumer_leave(c);
    if (n < 0 && err)
        ferry_fail(err, n, "poll: %s%s", ferry_error_name(n),
                   n == FERRY_E_STATE
                       ? ": another poll of the consumer is under way, or this is a callback"
                       : "");
    return n;
}

void ferry_consumer_wakeup(struct ferry_consumer *c)
{
    if (!ferry_consumer_enter(c))
        return;
    ferry_queue_cancel(c->queue);
    ferry_consumer_leave(c);
}

/* -- Whole buffers ---------------------------------------------------------------------------------------- */

/* What is not a record is an error of the call. */
static int note_error(struct ferry_consumer_note *n, struct ferry_error *err)
{
    int code = n->code;
    ferry_fail(err, code, "%s", n->text);
    n->delivery.drop(&n->delivery);
    return code;
}

struct ferry_fetched *ferry_consumer_fetch(struct ferry_consumer *c, int32_t timeout_ms,
                                           struct ferry_error *err)
{
    ferry_nsec deadline = timeout_ms > 0 ? ferry_deadline_ms(timeout_ms) : 0;
    struct ferry_consumer_note *note = NULL;
    struct ferry_fetched *f = NULL;
    int status = 0;
    ferry_error_clear(err);
    if (ferry_in_callback() || ferry_consumer_calls(c)) {
        ferry_fail(err, FERRY_E_STATE, "records cannot be fetched inside a callback");
        return NULL;
    }
    if (!ferry_consumer_enter(c)) {
        ferry_fail(err, FERRY_E_CLOSED, "the consumer is closed");
        return NULL;
    }
    ferry_consumer_lock(c);
    c->waiters++;
    atomic_fetch_add(&c->app->shared->polls, 1);
    atomic_fetch_add(&c->app->shared->in_polls, 1);
    while (!f && !note && !status) {
        take_all(c);
        f = ferry_consumer_app_fetch(c->app, &note);
        if (!f && !note && ferry_list_empty(&c->app->ready))
            status = wait_one(c, timeout_ms < 0 ? FERRY_NEVER : deadline);
    }
    ferry_consumer_app_end(c->app);
    c->waiters--;
    ferry_consumer_unlock(c);
    ferry_consumer_leave(c);
    if (note)
        note_error(note, err);
    else if (status && status != FERRY_E_TIMED_OUT)
        ferry_fail(err, status, "fetch: %s", ferry_error_name(status));
    return f;
}

const char *ferry_fetched_topic(const struct ferry_fetched *f)
{
    return f->part->topic.data;
}

int32_t ferry_fetched_partition(const struct ferry_fetched *f)
{
    return f->part->partition;
}

int32_t ferry_fetched_next(struct ferry_fetched *f, struct ferry_message *out, int32_t max,
                           struct ferry_error *err)
{
    if (max <= 0)
        return ferry_fail(err, FERRY_E_INVALID, "room for %d records: at least 1 is needed",
                          (int)max);
    return ferry_consumer_app_fresh(f) ? ferry_fetcher_buffer_next(f, out, max, err) : 0;
}

static struct ferry_consumer *lock_owner(struct ferry_fetched *f)
{
    struct consumer_anchor *a = f->shared->owner;
    pthread_mutex_lock(&a->lock);
    if (a->consumer)
        return a->consumer;
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

int64_t ferry_fetched_skip(struct ferry_fetched *f)
{
    ferry_fetcher_buffer_skip(f);
    int64_t next = f->next;
    struct ferry_consumer *c = f->handed ? NULL : lock_owner(f);
    if (c) {
        f->stuck = false;
        ferry_consumer_unlock(c);
    }
    return next;
}

void ferry_fetched_return(struct ferry_fetched *f)
{
    struct ferry_consumer *c = lock_owner(f);
    if (!c)
        return;
    ferry_consumer_app_return(c->app, f);
    ferry_consumer_unlock(c);
}

struct ferry_fetched *ferry_fetched_ref(struct ferry_fetched *f)
{
    atomic_fetch_add(&f->refs, 1);
    atomic_fetch_add(&f->users, 1);
    return f;
}

void ferry_fetched_release(struct ferry_fetched *f)
{
    struct ferry_consumer *c;
    if (!f)
        return;
    bool last = atomic_fetch_sub(&f->users, 1) == 1;
    if (!last || !(c = lock_owner(f))) {
        ferry_fetcher_buffer_unref(f);
        return;
    }
    if (f->handed) {
        ferry_consumer_app_release(c->app, f);
    } else {
        ferry_fetcher_buffer_unref(f);
        ferry_consumer_app_nudge(c->app);
    }
    ferry_consumer_unlock(c);
}

/* -- Rebalances ------------------------------------------------------------------------------------------- */

void ferry_consumer_on_rebalance(struct ferry_consumer *c, ferry_rebalance_callback callback,
                                 void *opaque)
{
    ferry_consumer_lock(c);
    c->on_rebalance = callback;
    c->on_rebalance_cookie = opaque;
    ferry_consumer_unlock(c);
}

int32_t ferry_rebalance_kind(const struct ferry_rebalance *r)
{
    return r->kind;
}

int32_t ferry_rebalance_incremental(const struct ferry_rebalance *r)
{
    return r->incremental;
}

struct ferry_partition_list *ferry_rebalance_list(struct ferry_rebalance *r)
{
    return r->list;
}

void ferry_rebalance_keep(struct ferry_rebalance *r)
{
    struct ferry_consumer *c = r->consumer;
    ferry_consumer_lock(c);
    c->kept = r;
    if (c->asked == r)
        c->asked = NULL;
    ferry_consumer_unlock(c);
}

int32_t ferry_rebalance_answer(struct ferry_rebalance *r, const struct ferry_partition_list *list,
                               struct ferry_error *err)
{
    struct ferry_consumer *c = r->consumer;
    ferry_error_clear(err);
    ferry_consumer_lock(c);
    if (c->asked == r)
        c->asked = NULL;
    if (c->kept == r)
        c->kept = NULL;
    int rc = ferry_consumer_app_answer(c->app, r, list, err);
    ferry_consumer_unlock(c);
    return rc;
}

/* -- Queues ----------------------------------------------------------------------------------------------- */

struct ferry_queue *ferry_consumer_queue(struct ferry_consumer *c)
{
    return c->queue;
}

struct ferry_queue *ferry_consumer_partition_queue(struct ferry_consumer *c, const char *topic,
                                                   int32_t partition)
{
    char key[300];
    size_t len = strlen(topic);
    if (len > sizeof key - sizeof partition || !ferry_consumer_enter(c))
        return NULL;
    memcpy(key, &partition, sizeof partition);
    memcpy(key + sizeof partition, topic, len);
    len += sizeof partition;
    ferry_consumer_lock(c);
    struct ferry_queue *q = ferry_map_get(&c->queues, key, len);
    if (!q && (q = ferry_queue_create(c->handle)) &&
        (ferry_queue_forward(q, c->queue) || ferry_map_put(&c->queues, key, len, q, NULL))) {
        ferry_queue_unref(q);
        q = NULL;
    }
    if (q && ferry_consumer_app_queue(c->app, topic, partition, q))
        q = NULL; /* not assigned */
    ferry_consumer_unlock(c);
    ferry_consumer_leave(c);
    return q;
}

struct ferry_fetched *ferry_delivery_fetched(struct ferry_delivery *d)
{
    if (!d || d->type != FERRY_CONSUMER_FETCHED)
        return NULL;
    struct ferry_fetched *f = FERRY_CONTAINER(d, struct ferry_fetched, delivery);
    struct ferry_consumer *c = lock_owner(f);
    if (!c) {
        d->drop(d);
        return NULL;
    }
    atomic_fetch_add(&c->app->shared->polls, 1);
    f = ferry_consumer_app_accept(c->app, f);
    ferry_consumer_unlock(c);
    return f;
}

struct ferry_rebalance *ferry_delivery_rebalance(struct ferry_consumer *c, struct ferry_delivery *d)
{
    if (!d || d->type != FERRY_CONSUMER_QUESTION)
        return NULL;
    struct ferry_rebalance *r = FERRY_CONTAINER(d, struct ferry_rebalance, delivery);
    ferry_consumer_lock(c);
    ferry_consumer_app_receive(c->app, d);
    c->kept = r;
    ferry_consumer_unlock(c);
    return r;
}

int32_t ferry_delivery_note(const struct ferry_delivery *d, struct ferry_message *out)
{
    if (!d || d->type != FERRY_CONSUMER_NOTE)
        return FERRY_E_INVALID;
    ferry_consumer_app_note(FERRY_CONTAINER(d, struct ferry_consumer_note, delivery), out);
    return 0;
}

int32_t ferry_consumer_dispatch(struct ferry_consumer *c, struct ferry_delivery *d)
{
    if (!d || d->type != FERRY_CONSUMER_DONE)
        return FERRY_E_INVALID;
    ferry_consumer_lock(c);
    tell_result(c, FERRY_CONTAINER(d, struct ferry_consumer_call, done));
    ferry_consumer_unlock(c);
    return 0;
}
