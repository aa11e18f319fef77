/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client says and counts: log lines to a function or a queue, errors to the handle's queue, counters.
 *
 * Lines and errors come from inside steps. A line for a function is deferred, so that the function runs outside the seat;
 * both kinds are bounded where nobody takes them.
 */
#include "config.h"

#include "api/handle.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "client/settings.h"
#include "drive/clock.h"

#include <stddef.h>
#include <stdio.h>

enum { LINES_MAX = 10000, ERRORS_MAX = 100 };

struct ferry_observing {
    _Atomic uint32_t refs; /* the handle's, and one for each line and error not yet freed */
    struct ferry_handle *handle;
    pthread_mutex_t lock; /* of what follows, up to the counts */
    pthread_cond_t idle;  /* calling has become 0 */
    ferry_log_function function;
    void *cookie;
    struct ferry_queue *queue; /* a reference; NULL: lines go to the function */
    uint32_t calling;          /* threads inside the function */
    struct ferry_error fatal;

    _Atomic uint32_t lines_waiting, errors_waiting; /* in queues, not yet freed */
    _Atomic uint64_t lines, lines_dropped;
};

static _Thread_local bool inside; /* this thread is in the log function */

struct line {
    struct ferry_delivery delivery;
    struct ferry_deferred deferred;
    struct ferry_observing *observing;
    struct ferry_log_line line;
    char text[];
};

struct error {
    struct ferry_delivery delivery;
    struct ferry_observing *observing;
    struct ferry_error error;
};

static void unref(struct ferry_observing *o)
{
    if (atomic_fetch_sub(&o->refs, 1) > 1)
        return;
    pthread_cond_destroy(&o->idle);
    pthread_mutex_destroy(&o->lock);
    ferry_free(o);
}

static const char *context_name(uint32_t context)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{FERRY_DEBUG_BROKER, "broker"},     {FERRY_DEBUG_REQUEST, "request"},
                 {FERRY_DEBUG_METADATA, "metadata"}, {FERRY_DEBUG_PRODUCER, "producer"},
                 {FERRY_DEBUG_FETCH, "fetch"},       {FERRY_DEBUG_GROUP, "group"},
                 {FERRY_DEBUG_ADMIN, "admin"},       {FERRY_DEBUG_CONFIG, "config"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (context & names[i].bit)
            return names[i].name;
    return "";
}

static const char *level_name(int32_t level)
{
    return level <= FERRY_LOG_ERROR     ? "error"
           : level <= FERRY_LOG_WARNING ? "warning"
           : level <= FERRY_LOG_INFO    ? "info"
                                        : "debug";
}

void ferry_log_stderr(void *cookie, const struct ferry_log_line *line)
{
    fprintf(stderr, "%s%s%s%s%s: %s\n", level_name(line->level), *line->context ? " " : "",
            line->context, line->client && *line->client ? " " : "",
            line->client ? line->client : "", line->text);
}

/* -- Lines --------------------------------------------------------------------------------- */

static void run_line(struct ferry_deferred *d)
{
    struct line *l = FERRY_CONTAINER(d, struct line, deferred);
    struct ferry_observing *o = l->observing;
    pthread_mutex_lock(&o->lock);
    ferry_log_function function = o->function;
    void *cookie = o->cookie;
    o->calling++;
    pthread_mutex_unlock(&o->lock);
    inside = true;
    if (function)
        function(cookie, &l->line);
    inside = false;
    pthread_mutex_lock(&o->lock);
    if (--o->calling == 0)
        pthread_cond_broadcast(&o->idle);
    pthread_mutex_unlock(&o->lock);
    unref(o);
    ferry_free(l);
}

static void forget_line(struct ferry_deferred *d)
{
    struct line *l = FERRY_CONTAINER(d, struct line, deferred);
    unref(l->observing);
    ferry_free(l);
}

static void drop_line(struct ferry_delivery *d)
{
    struct line *l = FERRY_CONTAINER(d, struct line, delivery);
    atomic_fetch_sub(&l->observing->lines_waiting, 1);
    unref(l->observing);
    ferry_free(l);
}

static struct line *make_line(struct ferry_observing *o, int level, uint32_t context,
                              const char *text)
{
    const char *client = o->handle->client ? o->handle->client->settings->client_id : "";
    size_t text_size = strlen(text) + 1, client_size = client ? strlen(client) + 1 : 0;
    struct line *l = ferry_zalloc(sizeof *l + text_size + client_size);
    if (!l)
        return NULL;
    memcpy(l->text, text, text_size);
    if (client)
        memcpy(l->text + text_size, client, client_size);
    l->observing = o;
    atomic_fetch_add(&o->refs, 1);
    l->deferred = (struct ferry_deferred){.run = run_line, .forget = forget_line};
    l->delivery = (struct ferry_delivery){.type = FERRY_DELIVERY_LOG, .drop = drop_line};
    l->line = (struct ferry_log_line){.context = context_name(context),
                                      .text = l->text,
                                      .time_ms = ferry_clock_wall(),
                                      .level = level,
                                      .client = client ? l->text + text_size : ""};
    return l;
}

static void log_line(void *cookie, int level, uint32_t context, const char *text)
{
    struct ferry_observing *o = cookie;
    pthread_mutex_lock(&o->lock);
    struct ferry_queue *q = o->queue ? ferry_queue_ref(o->queue) : NULL;
    bool wanted = q || o->function;
    pthread_mutex_unlock(&o->lock);
    if (!wanted)
        return;
    atomic_fetch_add(&o->lines, 1);
    struct line *l = q && atomic_load(&o->lines_waiting) >= LINES_MAX
                         ? NULL
                         : make_line(o, level, context, text);
    if (!l) {
        atomic_fetch_add(&o->lines_dropped, 1);
    } else if (q) {
        atomic_fetch_add(&o->lines_waiting, 1);
        ferry_queue_push(q, &l->delivery);
    } else {
        ferry_seat_defer(o->handle, &l->deferred);
    }
    ferry_queue_unref(q);
}

/* Waits until no other thread is inside the former function. */
static void redirect(struct ferry_handle *h, ferry_log_function function, void *cookie,
                     struct ferry_queue *q)
{
    struct ferry_observing *o = h->observing;
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    struct ferry_queue *old = o->queue;
    o->function = function;
    o->cookie = cookie;
    o->queue = q ? ferry_queue_ref(q) : NULL;
    while (o->calling && !inside)
        pthread_cond_wait(&o->idle, &o->lock);
    pthread_mutex_unlock(&o->lock);
    ferry_queue_unref(old);
}

void ferry_log_call(struct ferry_handle *h, ferry_log_function function, void *cookie)
{
    redirect(h, function, cookie, NULL);
}

void ferry_log_queue(struct ferry_handle *h, struct ferry_queue *q)
{
    redirect(h, NULL, NULL, q);
}

int32_t ferry_delivery_log(const struct ferry_delivery *d, struct ferry_log_line *out)
{
    if (!d || d->type != FERRY_DELIVERY_LOG)
        return FERRY_E_INVALID;
    *out = ((const struct line *)d)->line;
    return 0;
}

/* -- Errors -------------------------------------------------------------------------------- */

static void drop_error(struct ferry_delivery *d)
{
    struct error *e = FERRY_CONTAINER(d, struct error, delivery);
    atomic_fetch_sub(&e->observing->errors_waiting, 1);
    unref(e->observing);
    ferry_free(e);
}

static void note_error(void *cookie, const struct ferry_error *err)
{
    struct ferry_observing *o = cookie;
    if (err->flags & FERRY_ERROR_FATAL) {
        pthread_mutex_lock(&o->lock);
        if (!o->fatal.code)
            o->fatal = *err;
        pthread_mutex_unlock(&o->lock);
    }
    if (o->handle->client && ferry_client_logs(o->handle->client, FERRY_LOG_ERROR, 0))
        log_line(o, FERRY_LOG_ERROR, 0, err->text);
    struct ferry_queue *queue = o->handle->errors ? o->handle->errors : o->handle->queue;
    if (atomic_load(&o->errors_waiting) >= ERRORS_MAX || !queue)
        return; /* nobody looks; the log has it */
    struct error *e = ferry_zalloc(sizeof *e);
    if (!e)
        return;
    e->observing = o;
    atomic_fetch_add(&o->refs, 1);
    e->error = *err;
    e->delivery = (struct ferry_delivery){.type = FERRY_DELIVERY_ERROR, .drop = drop_error};
    atomic_fetch_add(&o->errors_waiting, 1);
    ferry_queue_push(queue, &e->delivery);
}

int32_t ferry_delivery_error(const struct ferry_delivery *d, struct ferry_error *out)
{
    if (!d || d->type != FERRY_DELIVERY_ERROR)
        return FERRY_E_INVALID;
    *out = ((const struct error *)d)->error;
    return 0;
}

int32_t ferry_handle_fatal_error(struct ferry_handle *h, struct ferry_error *err)
{
    struct ferry_observing *o = h->observing;
    struct ferry_error fatal = {0};
    ferry_error_clear(err);
    if (o) {
        pthread_mutex_lock(&o->lock);
        fatal = o->fatal;
        pthread_mutex_unlock(&o->lock);
    }
    int ended = atomic_load(&h->ended);
    if (!fatal.code && ended)
        return ferry_fail(err, ended, "the client has ended: %s", ferry_error_name(ended));
    if (fatal.code && err)
        *err = fatal;
    return fatal.code;
}

/* -- Counters ------------------------------------------------------------------------------ */

/* Every counter: where it is, and from where it comes. */
#define COUNTERS(X)                                                                                \
    X(requests, c->requests)                                                                       \
    X(replies, c->replies)                                                                         \
    X(request_timeouts, c->request_timeouts)                                                       \
    X(request_failures, c->request_failures)                                                       \
    X(connects, c->connects)                                                                       \
    X(connect_failures, c->connect_failures)                                                       \
    X(disconnects, c->disconnects)                                                                 \
    X(metadata_requests, c->metadata_requests)                                                     \
    X(rebootstraps, c->rebootstraps)                                                               \
    X(throttles, c->throttles)                                                                     \
    X(bytes_sent, l->bytes_out)                                                                    \
    X(bytes_received, l->bytes_in)                                                                 \
    X(send_calls, l->sends)                                                                        \
    X(receive_calls, l->receives)                                                                  \
    X(polls, l->polls)                                                                             \
    X(wakes, l->wakes)                                                                             \
    X(steps, l->steps)                                                                             \
    X(helper_jobs, l->jobs)                                                                        \
    X(log_lines, atomic_load(&o->lines))                                                           \
    X(log_lines_dropped, atomic_load(&o->lines_dropped))

static int gather(struct ferry_handle *h, struct ferry_counters *out)
{
    static const struct ferry_client_counters no_client;
    struct ferry_observing nothing = {0}, *o = h->observing ? h->observing : &nothing;
    int rc = ferry_handle_enter(h);
    if (rc)
        return rc;
    const struct ferry_client_counters *c = h->client ? &h->client->counters : &no_client;
    const struct ferry_loop_counters *l = ferry_loop_counters(h->loop);
#define TAKE(name, from) out->name = (from);
    COUNTERS(TAKE)
#undef TAKE
    ferry_handle_leave(h);
    return 0;
}

int32_t ferry_handle_counters(struct ferry_handle *h, struct ferry_counters *out, size_t size)
{
    struct ferry_counters all;
    int rc = gather(h, &all);
    if (!rc)
        memcpy(out, &all, size < sizeof all ? size : sizeof all);
    return rc;
}

int32_t ferry_handle_counters_json(struct ferry_handle *h, char *buffer, size_t size)
{
    struct ferry_counters all;
    struct ferry_text text = {0};
    int rc = gather(h, &all);
    if (rc)
        return rc;
    const char *separator = "{";
#define PRINT(name, from)                                                                          \
    ferry_text_add(&text, "%s\"" #name "\":%llu", separator, (unsigned long long)all.name);        \
    separator = ",";
    COUNTERS(PRINT)
#undef PRINT
    ferry_text_add(&text, "}");
    if (text.failed) {
        ferry_text_free(&text);
        return FERRY_E_NOMEM;
    }
    if (size)
        snprintf(buffer, size, "%s", text.data);
    rc = (int32_t)text.len;
    ferry_text_free(&text);
    return rc;
}

/* -- Life ---------------------------------------------------------------------------------- */

const struct ferry_client_host ferry_observe_host = {.log = log_line, .error = note_error};

struct ferry_observing *ferry_observe_new(struct ferry_handle *h)
{
    struct ferry_observing *o = ferry_zalloc(sizeof *o);
    if (!o)
        return NULL;
    atomic_init(&o->refs, 1);
    o->handle = h;
    o->function = ferry_log_stderr;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->idle, NULL);
    return o;
}

void ferry_observe_free(struct ferry_observing *o)
{
    if (!o)
        return;
    ferry_queue_unref(o->queue);
    o->queue = NULL;
    unref(o);
}
