/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "api/producer.h"

#include "base/check.h"
#include "base/mem.h"
#include "drive/clock.h"

#include <sched.h>

/* For requests on the wire to be given up and connections to be closed in order. */
enum { CLOSE_GRACE_MS = 100 };

_Static_assert((int)FERRY_SENDER_REPORTS == (int)FERRY_REPORTS &&
                   (int)FERRY_SENDER_COOKIES == (int)FERRY_REPORT_COOKIES &&
                   (int)FERRY_SENDER_TIMES == (int)FERRY_REPORT_TIMES &&
                   (int)FERRY_SENDER_RECORDS == (int)FERRY_REPORT_RECORDS &&
                   (int)FERRY_SENDER_FAILURES_ONLY == (int)FERRY_REPORT_FAILURES_ONLY &&
                   (int)FERRY_SENDER_EXPIRY == (int)FERRY_RECORD_EXPIRY &&
                   (int)FERRY_SENDER_PURGE_QUEUE == (int)FERRY_PURGE_QUEUE &&
                   (int)FERRY_SENDER_PURGE_FLIGHT == (int)FERRY_PURGE_IN_FLIGHT,
               "the sender's flags are the public ones");

/* A producer's life: made, flushed, purged, closed, freed; and its topics. */

/* -- What the sender borrows ------------------------------------------------------------------ */

static int64_t now_hook(void *cookie)
{
    return ferry_clock_now();
}

/* A linger of 0 means that the sending thread itself writes the socket if nobody else drives. Otherwise sending is left
 * to whoever drives, so that encoding and sending go on beside each other. */
static void wake_hook(void *cookie, struct ferry_command *command, int64_t need_by)
{
    struct ferry_producer *p = cookie;
    struct ferry_handle *h = ferry_producer_enter(p);
    if (!h)
        return; /* closed meanwhile: the engine looked at everything there is */
    if (need_by)
        ferry_handle_send_by(h, command, need_by);
    else if (p->sender->settings->linger_ms <= 0)
        ferry_handle_post(h, command);
    else
        ferry_handle_send(h, command);
    ferry_producer_leave(p);
}

static void chunks_lock(void *cookie)
{
    ferry_lockword_lock(&((struct ferry_producer *)cookie)->chunk_lock);
}

static void chunks_unlock(void *cookie)
{
    ferry_lockword_unlock(&((struct ferry_producer *)cookie)->chunk_lock);
}

static void chunks_freed(void *cookie)
{
    struct ferry_producer *p = cookie;
    if (atomic_load(&p->room_waiters) == 0)
        return;
    atomic_fetch_add(&p->room_freed, 1);
    struct ferry_handle *h = ferry_producer_enter(p);
    if (h) {
        ferry_handle_notify(h);
        ferry_producer_leave(p);
    }
}

/* A lot that ends when no step is under way: while the client is freed. */
static void late_hook(void *cookie, struct ferry_delivery *d)
{
    ferry_queue_push(((struct ferry_producer *)cookie)->queue, d);
}

struct ferry_handle *ferry_producer_enter(struct ferry_producer *p)
{
    atomic_fetch_add(&p->users, 1);
    if (atomic_load(&p->open))
        return p->handle;
    atomic_fetch_sub(&p->users, 1);
    return NULL;
}

void ferry_producer_leave(struct ferry_producer *p)
{
    atomic_fetch_sub(&p->users, 1);
}

/* -- Life ------------------------------------------------------------------------------------- */

void ferry_producer_unref(struct ferry_producer *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    ferry_sender_free(p->sender);
    ferry_settings_free(p->config);
    pthread_mutex_destroy(&p->lock);
    ferry_free(p);
}

static struct ferry_sender *make_sender(struct ferry_producer *p, uint32_t flags,
                                        struct ferry_error *err)
{
    const struct ferry_sender_hooks hooks = {.lock = ferry_lockword_lock,
                                             .unlock = ferry_lockword_unlock,
                                             .now = now_hook,
                                             .wake = wake_hook,
                                             .late = late_hook,
                                             .cookie = p};
    struct ferry_sender *s = ferry_sender_new(p->config, flags, &hooks, p->queue, p, err);
    if (!s)
        return NULL;
    s->chunks.lock = chunks_lock;
    s->chunks.unlock = chunks_unlock;
    s->chunks.freed = chunks_freed;
    s->chunks.cookie = p;
    return s;
}

static int start(struct ferry_producer *p, const struct ferry_config *config, uint32_t flags,
                 struct ferry_error *err)
{
    p->config = ferry_settings_freeze(config, err);
    if (!p->config || ferry_settings_check_producer(p->config, err))
        return -1;
    p->handle = ferry_handle_open(config, NULL, err);
    if (!p->handle)
        return -1;
    p->queue = ferry_queue_create(p->handle);
    p->sender = p->queue ? make_sender(p, flags, err) : NULL;
    if (!p->sender)
        return p->queue ? -1 : ferry_fail(err, FERRY_E_NOMEM, "no memory for a producer");
    p->threaded = p->config->settings.io_thread;
    p->record_max = (size_t)p->config->settings.max_request_size;
    p->timed = (flags & FERRY_REPORT_TIMES) != 0;
    p->expiring = (flags & FERRY_RECORD_EXPIRY) != 0;
    atomic_store(&p->open, true);
    ferry_handle_post(p->handle, ferry_sender_start(p->sender));
    return 0;
}

struct ferry_producer *ferry_producer_new(const struct ferry_config *config, uint32_t flags,
                                          struct ferry_error *err)
{
    struct ferry_config *defaults = config ? NULL : ferry_config_new();
    struct ferry_producer *p = ferry_zalloc(sizeof *p);
    ferry_error_clear(err);
    if (!p || (!config && !defaults)) {
        ferry_free(p);
        ferry_config_free(defaults);
        ferry_fail(err, FERRY_E_NOMEM, "no memory for a producer");
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    atomic_init(&p->refs, 1);
    int rc = start(p, config ? config : defaults, flags, err);
    ferry_config_free(defaults);
    if (rc) {
        if (p->handle)
            ferry_handle_close(p->handle, 0);
        p->handle = NULL;
        ferry_queue_unref(p->queue);
        ferry_producer_unref(p);
        return NULL;
    }
    return p;
}

static bool flush_ready(void *cookie)
{
    return atomic_load(&((struct ferry_sender_flush *)cookie)->done);
}

static int flush_until(struct ferry_producer *p, ferry_nsec deadline)
{
    if (ferry_in_callback())
        return FERRY_E_STATE;
    struct ferry_handle *h = ferry_producer_enter(p);
    struct ferry_sender_flush *f = h ? ferry_sender_flush_new(p->sender) : NULL;
    int rc = !h ? 0 : FERRY_E_NOMEM;
    if (f) {
        ferry_handle_post(h, &f->command);
        rc = ferry_handle_wait(h, NULL, flush_ready, f, deadline);
        if (rc && atomic_load(&f->done))
            rc = 0;
        ferry_sender_flush_unref(f);
    }
    if (h)
        ferry_producer_leave(p);
    return rc;
}

int32_t ferry_producer_flush(struct ferry_producer *p, int32_t timeout_ms, struct ferry_error *err)
{
    ferry_error_clear(err);
    int rc = flush_until(p, ferry_deadline_ms(timeout_ms));
    if (rc == FERRY_E_TIMED_OUT)
        return ferry_fail(err, rc, "records are still without outcome after %d ms", timeout_ms);
    return rc ? ferry_fail(err, rc, "flush: %s", ferry_error_name(rc)) : 0;
}

struct purge_command {
    struct ferry_command command;
    struct ferry_sender *sender;
    uint32_t what;
};

static void run_purge(struct ferry_client *c, struct ferry_command *command)
{
    struct purge_command *p = FERRY_CONTAINER(command, struct purge_command, command);
    if (!c->closing)
        ferry_sender_purge(p->sender, p->what, FERRY_E_PURGED);
    ferry_free(p);
}

int32_t ferry_producer_purge(struct ferry_producer *p, uint32_t what, struct ferry_error *err)
{
    ferry_error_clear(err);
    if (!what || (what & ~(uint32_t)(FERRY_PURGE_QUEUE | FERRY_PURGE_IN_FLIGHT)))
        return ferry_fail(err, FERRY_E_INVALID, "purge: what=%u is not a set of enum ferry_purge",
                          what);
    struct purge_command *c = ferry_zalloc(sizeof *c);
    if (!c)
        return ferry_fail(err, FERRY_E_NOMEM, "no memory to purge");
    c->command.run = run_purge;
    c->sender = p->sender;
    c->what = what;
    struct ferry_handle *h = ferry_producer_enter(p);
    if (h) {
        ferry_handle_post(h, &c->command);
        ferry_producer_leave(p);
    } else {
        ferry_free(c);
    }
    return 0;
}

/* Ends the handle, within so many ms. Whoever uses it is sent away first: nobody stays once closing is set. */
static void shut(struct ferry_producer *p, int32_t grace_ms)
{
    if (!atomic_exchange(&p->open, false))
        return;
    while (atomic_load(&p->users)) {
        ferry_handle_notify(p->handle);
        ferry_queue_cancel(p->queue);
        sched_yield();
    }
    ferry_handle_close(p->handle, ferry_deadline_ms(grace_ms));
    p->handle = NULL;
}

/* From now on nothing is accepted. */
static void refuse(struct ferry_producer *p)
{
    size_t at = 0;
    struct ferry_map_entry *e;
    atomic_store(&p->closing, true);
    atomic_store(&p->sender->refusing, true);
    pthread_mutex_lock(&p->lock);
    while ((e = ferry_map_next(&p->topics, &at)))
        ferry_sender_set_plain(((struct ferry_topic *)e->value)->sender_topic);
    pthread_mutex_unlock(&p->lock);
}

int32_t ferry_producer_close(struct ferry_producer *p, int32_t timeout_ms, struct ferry_error *err)
{
    ferry_error_clear(err);
    if (!atomic_load(&p->open))
        return 0;
    if (ferry_in_callback())
        return ferry_fail(err, FERRY_E_STATE, "a producer cannot be closed from a callback");
    ferry_nsec deadline = ferry_deadline_ms(timeout_ms);
    refuse(p);
    int rc = flush_until(p, deadline);
    shut(p, CLOSE_GRACE_MS);
    if (rc)
        return ferry_fail(err, rc, "closed with records whose outcome was not known after %d ms",
                          timeout_ms);
    return 0;
}

void ferry_producer_free(struct ferry_producer *p)
{
    if (!p)
        return;
    refuse(p);
    shut(p, 0);
    ferry_queue_close(p->queue);
    ferry_queue_unref(p->queue);
    size_t at = 0;
    struct ferry_map_entry *e;
    while ((e = ferry_map_next(&p->topics, &at)))
        ferry_free(e->value);
    ferry_map_free(&p->topics);
    ferry_producer_unref(p);
}

struct ferry_handle *ferry_producer_handle(struct ferry_producer *p)
{
    return p->handle;
}

/* -- Topics ----------------------------------------------------------------------------------- */

static struct ferry_topic *add_topic(struct ferry_producer *p, const char *name,
                                     const struct ferry_topic_settings *settings,
                                     struct ferry_error *err)
{
    struct ferry_topic *t = ferry_zalloc(sizeof *t);
    if (t) {
        t->producer = p;
        t->sender_topic = ferry_sender_topic_new(p->sender, ferry_str_of(name), settings, err);
        if (!t->sender_topic) {
            ferry_free(t);
            return NULL;
        }
    }
    if (!t || ferry_map_put(&p->topics, name, strlen(name), t, NULL)) {
        if (t)
            ferry_sender_topic_free(t->sender_topic);
        ferry_free(t);
        ferry_fail(err, FERRY_E_NOMEM, "no memory for topic %s", name);
        return NULL;
    }
    return t;
}

static struct ferry_topic *find_topic(struct ferry_producer *p, const char *name,
                                      const struct ferry_topic_settings *settings,
                                      struct ferry_error *err)
{
    ferry_error_clear(err);
    if (!name || atomic_load(&p->closing)) {
        ferry_fail(err, name ? FERRY_E_CLOSED : FERRY_E_INVALID,
                   name ? "the producer is closed" : "a topic needs a name");
        return NULL;
    }
    pthread_mutex_lock(&p->lock);
    struct ferry_topic *t = ferry_map_get_str(&p->topics, name);
    bool is_new = !t;
    if (t && settings) {
        ferry_fail(err, FERRY_E_EXISTS, "topic %s has settings already", name);
        t = NULL;
        is_new = false;
    } else if (!t) {
        t = add_topic(p, name, settings, err);
    }
    pthread_mutex_unlock(&p->lock);
    struct ferry_handle *h = t && is_new ? ferry_producer_enter(p) : NULL;
    if (h) {
        ferry_handle_post(h, &t->sender_topic->add);
        ferry_producer_leave(p);
    }
    return t;
}

struct ferry_topic *ferry_producer_topic(struct ferry_producer *p, const char *name,
                                         struct ferry_error *err)
{
    return find_topic(p, name, NULL, err);
}

struct ferry_topic *ferry_producer_topic_with(struct ferry_producer *p, const char *name,
                                              const struct ferry_config *settings,
                                              struct ferry_error *err)
{
    struct ferry_config *frozen = ferry_settings_freeze(settings, err);
    if (!frozen)
        return NULL;
    struct ferry_topic *t = find_topic(p, name, &frozen->settings.topic, err);
    ferry_settings_free(frozen);
    return t;
}

const char *ferry_topic_name(const struct ferry_topic *t)
{
    return t->sender_topic->name;
}

int32_t ferry_topic_partition_count(const struct ferry_topic *t)
{
    struct ferry_lane_table *table = atomic_load(&t->sender_topic->table);
    return table ? table->count : 0;
}

int32_t ferry_topic_available(const struct ferry_topic *t, int32_t partition)
{
    struct ferry_lane_table *table = atomic_load(&t->sender_topic->table);
    return table && partition >= 0 && partition < table->count &&
           atomic_load(&table->lanes[partition]->available);
}

static bool topic_ready(void *cookie)
{
    struct ferry_topic *t = cookie;
    return atomic_load(&t->sender_topic->table) || atomic_load(&t->sender_topic->error) ||
           atomic_load(&t->producer->closing);
}

int32_t ferry_topic_wait(struct ferry_topic *t, int32_t timeout_ms, struct ferry_error *err)
{
    struct ferry_sender_topic *st = t->sender_topic;
    ferry_error_clear(err);
    struct ferry_handle *h = ferry_producer_enter(t->producer);
    int rc = FERRY_E_CLOSED;
    if (h) {
        atomic_fetch_add(&st->waiters, 1);
        ferry_sender_poke(t->producer->sender);
        rc = ferry_handle_wait(h, NULL, topic_ready, t, ferry_deadline_ms(timeout_ms));
        atomic_fetch_sub(&st->waiters, 1);
        ferry_producer_leave(t->producer);
        rc = rc ? rc : FERRY_E_CLOSED;
    }
    if (atomic_load(&st->table))
        return ferry_topic_partition_count(t);
    int refusal = atomic_load(&st->error);
    rc = refusal ? refusal : rc;
    ferry_fail(err, rc, "the partitions of topic %s are not known: %s", st->name,
               ferry_error_name(rc));
    return refusal ? FERRY_E_NOT_FOUND : rc; /* a broker's code would be taken for a count */
}

static int32_t call_partitioner(void *cookie, struct ferry_sender_topic *st, struct ferry_bytes key,
                                int32_t count)
{
    struct ferry_topic *t = cookie;
    ferry_callback_begin();
    int32_t p = t->partitioner(t->partitioner_cookie, t, key.data, (int32_t)key.len, count);
    ferry_callback_end();
    return p;
}

int32_t ferry_topic_set_partitioner(struct ferry_topic *t, ferry_partitioner function, void *opaque,
                                    struct ferry_error *err)
{
    struct ferry_sender_topic *st = t->sender_topic;
    ferry_error_clear(err);
    if (atomic_load(&st->used))
        return ferry_fail(err, FERRY_E_STATE, "topic %s: records were sent to it already",
                          st->name);
    t->partitioner = function;
    t->partitioner_cookie = opaque;
    ferry_lockword_lock(&st->lock);
    st->partitioner_cookie = t;
    st->partitioner = function ? call_partitioner : NULL;
    ferry_lockword_unlock(&st->lock);
    ferry_sender_set_plain(st);
    return 0;
}

/* -- Counters --------------------------------------------------------------------------------- */

void ferry_producer_counters(const struct ferry_producer *producer,
                             struct ferry_producer_counters *out)
{
    struct ferry_producer *p = (struct ferry_producer *)(uintptr_t)producer;
    struct ferry_sender *s = p->sender;
    struct ferry_sender_counters *c = &s->counters;
    int64_t open = 0;
    size_t at = 0;
    struct ferry_map_entry *e;
    pthread_mutex_lock(&p->lock);
    while ((e = ferry_map_next(&p->topics, &at)))
        open += ferry_sender_open_records(((struct ferry_topic *)e->value)->sender_topic);
    pthread_mutex_unlock(&p->lock);
    int64_t sealed = atomic_load(&c->records_sealed);
    out->records_sent = open + sealed;
    out->records_acked = atomic_load(&c->records_acked);
    out->records_failed = atomic_load(&c->records_failed);
    out->records_queued = out->records_sent - out->records_acked - out->records_failed;
    out->records_held = atomic_load(&s->chunks.records) + (s->chunks.record_limit > 0 ? 0 : open);
    out->memory_used = atomic_load(&s->chunks.used);
    out->batches_sent = atomic_load(&c->batches_sent);
    out->bytes_sent = atomic_load(&c->bytes_sent);
    out->retries = atomic_load(&c->retries);
    out->splits = atomic_load(&c->splits);
    out->epoch_bumps = atomic_load(&c->epoch_bumps);
}
