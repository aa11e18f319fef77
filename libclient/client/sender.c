/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/sender_internal.h"
#include "record/compress.h"
#include "wire/errors.h"

#include <stdio.h>

/* The sender's life: topics and what metadata says of them, nodes, commands, flush and purge. */

enum { DEFER_BYTES = 16384 }; /* values from this size on are copied outside of the lane's lock */
#define TRIM_AFTER (5 * FERRY_SECOND)
#define PRESS_PAUSE FERRY_MS

/* -- Small things ----------------------------------------------------------------------------- */

const char *ferry_sender_code_name(int code)
{
    const char *name = ferry_err_own_name(code);
    if (!name)
        name = ferry_kafka_err_name(code);
    return name ? name : "an unknown error";
}

void ferry_sender_count_sealed(struct ferry_sender *s, uint32_t count)
{
    atomic_fetch_add_explicit(&s->counters.records_sealed, count, memory_order_relaxed);
    if (s->chunks.record_limit <= 0) /* else whoever appended has counted them */
        atomic_fetch_add_explicit(&s->chunks.records, count, memory_order_relaxed);
}

int64_t ferry_sender_accum_records(const struct ferry_accum *a)
{
    int64_t n = a->open ? a->count : 0;
    for (const struct ferry_link *it = a->full.next; it != &a->full; it = it->next)
        n += FERRY_CONTAINER(it, struct ferry_accum_batch, link)->count;
    return n;
}

static void on_node_timer(struct ferry_timer *timer, void *client)
{
    ferry_sender_drain(FERRY_CONTAINER(timer, struct ferry_sender_node, timer));
}

struct ferry_sender_node *ferry_sender_node_of(struct ferry_sender *s, int32_t id)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &s->nodes)
    {
        struct ferry_sender_node *n = FERRY_CONTAINER(it, struct ferry_sender_node, link);
        if (n->id == id)
            return n;
    }
    struct ferry_sender_node *n = ferry_zalloc(sizeof *n);
    if (!n)
        return NULL;
    n->sender = s;
    n->id = id;
    n->timer.fire = on_node_timer;
    ferry_list_init(&n->ready);
    ferry_list_push_back(&s->nodes, &n->link);
    return n;
}

/* Calls fn for every lane of every topic. */
static void each_lane(struct ferry_sender *s, void (*fn)(struct ferry_lane *))
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &s->topics)
    {
        struct ferry_sender_topic *t = FERRY_CONTAINER(it, struct ferry_sender_topic, link);
        struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_relaxed);
        for (int32_t i = 0; table && i < table->count; i++)
            fn(table->lanes[i]);
    }
}

static void each_topic(struct ferry_sender *s, void (*fn)(struct ferry_sender_topic *))
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &s->topics)
    fn(FERRY_CONTAINER(it, struct ferry_sender_topic, link));
}

/* -- Flush ------------------------------------------------------------------------------------ */

/* The id of the oldest batch of the lane that has no outcome; UINT64_MAX if there is none. */
static uint64_t oldest_order(struct ferry_lane *lane)
{
    struct ferry_sender *s = lane->topic->sender;
    uint64_t oldest = UINT64_MAX;
    const struct ferry_link *lists[2] = {&lane->flight, &lane->queue};
    for (int i = 0; i < 2; i++)
        if (!ferry_list_empty(lists[i])) {
            uint64_t o = FERRY_CONTAINER(lists[i]->next, struct ferry_lot, batch.link)->order;
            oldest = o < oldest ? o : oldest;
        }
    s->hooks.lock(&lane->lock);
    if (!ferry_list_empty(&lane->accum.full)) {
        uint64_t o = FERRY_CONTAINER(lane->accum.full.next, struct ferry_accum_batch, link)->id;
        oldest = o < oldest ? o : oldest;
    }
    s->hooks.unlock(&lane->lock);
    return oldest;
}

static void flush_less(struct ferry_sender *s)
{
    FERRY_CHECK(s->flush_pending > 0);
    if (--s->flush_pending)
        return;
    struct ferry_link *link;
    while ((link = ferry_list_pop_front(&s->flushing))) {
        struct ferry_sender_flush *f = FERRY_CONTAINER(link, struct ferry_sender_flush, link);
        atomic_store(&f->done, true);
        ferry_sender_flush_unref(f);
    }
    /* Not from here: whoever settled something may be in the middle of a lane's lists. */
    if (!ferry_list_empty(&s->flushes))
        ferry_client_timer(s->client, &s->flush_timer, s->client->now);
}

void ferry_sender_settled(struct ferry_lane *lane)
{
    if (!lane->flush_upto || oldest_order(lane) <= lane->flush_upto)
        return;
    lane->flush_upto = 0;
    flush_less(lane->topic->sender);
}

static void flush_lane(struct ferry_lane *lane)
{
    struct ferry_sender *s = lane->topic->sender;
    ferry_lane_pull_all(lane);
    if (lane->flush_upto)
        return;
    uint64_t last = atomic_load(&s->ids);
    if (oldest_order(lane) <= last) {
        lane->flush_upto = last;
        s->flush_pending++;
    }
}

static void flush_topic(struct ferry_sender_topic *t)
{
    struct ferry_sender *s = t->sender;
    s->hooks.lock(&t->lock);
    bool empty = ferry_accum_empty(&t->staging);
    s->hooks.unlock(&t->lock);
    if (empty || t->flush_staged)
        return;
    t->flush_staged = true;
    s->flush_pending++;
}

/* Begins the flush that all waiting callers share; one at a time, so that each ends. */
static void flush_next(struct ferry_sender *s)
{
    struct ferry_link *link;
    if (ferry_list_empty(&s->flushes))
        return;
    while ((link = ferry_list_pop_front(&s->flushes)))
        ferry_list_push_back(&s->flushing, link);
    s->flush_pending = 1; /* ours, so that it cannot end before all are counted */
    each_lane(s, flush_lane);
    each_topic(s, flush_topic);
    each_lane(s, ferry_lane_update);
    ferry_sender_drain_all(s);
    flush_less(s);
}

static void on_flush_timer(struct ferry_timer *timer, void *client)
{
    struct ferry_sender *s = FERRY_CONTAINER(timer, struct ferry_sender, flush_timer);
    if (s->flush_pending == 0)
        flush_next(s);
}

static void run_flush(struct ferry_client *c, struct ferry_command *command)
{
    struct ferry_sender_flush *f = FERRY_CONTAINER(command, struct ferry_sender_flush, command);
    struct ferry_sender *s = f->sender;
    ferry_list_push_back(&s->flushes, &f->link);
    /* What is open goes out now even if the flush itself has to wait for its turn. */
    each_lane(s, ferry_lane_pull_all);
    if (s->flush_pending == 0) {
        flush_next(s);
    } else {
        each_lane(s, ferry_lane_update);
        ferry_sender_drain_all(s);
    }
}

struct ferry_sender_flush *ferry_sender_flush_new(struct ferry_sender *s)
{
    struct ferry_sender_flush *f = ferry_zalloc(sizeof *f);
    if (!f)
        return NULL;
    f->command.run = run_flush;
    f->sender = s;
    atomic_init(&f->refs, 2);
    return f;
}

void ferry_sender_flush_unref(struct ferry_sender_flush *f)
{
    if (f && atomic_fetch_sub(&f->refs, 1) == 1)
        ferry_free(f);
}

/* -- Topics and metadata ---------------------------------------------------------------------- */

/* Errors of a topic that waiting does not mend. */
static bool refuses(int16_t code)
{
    return code && !(ferry_kafka_err_actions(code) & (FERRY_WIRE_RETRY | FERRY_WIRE_METADATA));
}

static void unflush_staged(struct ferry_sender_topic *t)
{
    if (!t->flush_staged)
        return;
    t->flush_staged = false;
    flush_less(t->sender);
}

static void watch_staged(struct ferry_sender_topic *t)
{
    struct ferry_sender *s = t->sender;
    int64_t patience = t->settings.delivery_timeout_ms;
    s->hooks.lock(&t->lock);
    ferry_nsec oldest = ferry_accum_oldest(&t->staging);
    s->hooks.unlock(&t->lock);
    if (oldest == FERRY_NEVER)
        atomic_store(&t->staged, false);
    else if (patience > 0 && patience < INT64_MAX / FERRY_MS / 2)
        ferry_client_timer(s->client, &t->timer, oldest + patience * FERRY_MS);
}

static void on_staged_timer(struct ferry_timer *timer, void *client)
{
    struct ferry_sender_topic *t = FERRY_CONTAINER(timer, struct ferry_sender_topic, timer);
    char text[160];
    snprintf(text, sizeof text,
             "delivery.timeout.ms=%lld passed before the partitions of the topic became known%s%s",
             (long long)t->settings.delivery_timeout_ms, t->meta && t->meta->error ? ": " : "",
             t->meta && t->meta->error ? ferry_sender_code_name(t->meta->error) : "");
    ferry_sender_fail_staged(t, FERRY_E_EXPIRED, text);
    watch_staged(t);
    unflush_staged(t);
}

void ferry_sender_lead(struct ferry_lane *lane)
{
    struct ferry_sender_topic *t = lane->topic;
    int32_t leader = lane->partition < t->meta->partition_count
                         ? t->meta->partitions[lane->partition].leader
                         : -1;
    struct ferry_sender_node *was = atomic_load_explicit(&lane->node, memory_order_relaxed);
    if (was ? was->id == leader : leader < 0)
        return;
    struct ferry_sender_node *node = leader >= 0 ? ferry_sender_node_of(t->sender, leader) : NULL;
    ferry_list_remove(&lane->ready);
    atomic_store_explicit(&lane->node, node, memory_order_release);
    atomic_store_explicit(&lane->available, node != NULL, memory_order_relaxed);
    for (struct ferry_link *it = lane->queue.next; it != &lane->queue; it = it->next)
        FERRY_CONTAINER(it, struct ferry_lot, batch.link)->retry_at = 0; /* news: no need to wait */
}

/* The table with all the lanes of now; NULL without memory. */
static struct ferry_lane_table *grow_table(struct ferry_sender_topic *t,
                                           struct ferry_lane_table *old, int32_t count)
{
    struct ferry_lane_table *table =
        ferry_zalloc(sizeof *table + (size_t)count * sizeof table->lanes[0]);
    int32_t have = old ? old->count : 0;
    if (!table)
        return NULL;
    table->older = old;
    table->count = count;
    for (int32_t i = 0; i < count; i++) {
        table->lanes[i] = i < have ? old->lanes[i] : ferry_lane_new(t, i);
        if (!table->lanes[i]) {
            while (i-- > have)
                ferry_lane_free(table->lanes[i]);
            ferry_free(table);
            return NULL;
        }
    }
    return table;
}

static void learn_partitions(struct ferry_sender_topic *t)
{
    struct ferry_sender *s = t->sender;
    struct ferry_lane_table *old = atomic_load_explicit(&t->table, memory_order_relaxed);
    if (old && old->count >= t->meta->partition_count)
        return;
    struct ferry_lane_table *table = grow_table(t, old, t->meta->partition_count);
    if (!table) {
        ferry_client_timer(s->client, &s->meta_timer, s->client->now + FERRY_SECOND);
        return;
    }
    for (int32_t i = old ? old->count : 0; i < table->count; i++)
        ferry_sender_lead(table->lanes[i]);
    s->hooks.lock(&t->lock);
    if (!old)
        ferry_sender_unstage(t, table);
    atomic_store_explicit(&t->table, table, memory_order_release);
    s->hooks.unlock(&t->lock);
    ferry_sender_set_plain(t);
    atomic_store(&t->staged, false);
    ferry_client_timer_cancel(s->client, &t->timer);
}

static void learn(struct ferry_sender_topic *t)
{
    int16_t error = t->meta->error;
    atomic_store_explicit(&t->error, refuses(error) ? error : 0, memory_order_relaxed);
    if (refuses(error)) {
        ferry_sender_fail_staged(t, error, "the brokers refuse the topic");
        unflush_staged(t);
    }
    if (t->meta->partition_count > 0)
        learn_partitions(t);
    struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_relaxed);
    for (int32_t i = 0; table && i < table->count; i++) {
        ferry_sender_lead(table->lanes[i]);
        if (t->flush_staged)
            flush_lane(table->lanes[i]);
        ferry_lane_update(table->lanes[i]);
    }
    if (table)
        unflush_staged(t);
}

static void learn_if_known(struct ferry_sender_topic *t)
{
    if (t->meta && t->meta->known)
        learn(t);
}

/* Puts the topic under watch; without memory, somewhat later. */
static void want_topic(struct ferry_sender_topic *t)
{
    struct ferry_sender *s = t->sender;
    if (!t->meta) {
        struct ferry_str name = {t->name, t->name_len};
        t->meta = ferry_cluster_want(s->client, name, FERRY_WANT_CREATE);
    }
    if (t->meta)
        t->meta->producer = t;
    else
        ferry_client_timer(s->client, &s->meta_timer, s->client->now + FERRY_SECOND);
}

static void on_meta_timer(struct ferry_timer *timer, void *client)
{
    struct ferry_sender *s = FERRY_CONTAINER(timer, struct ferry_sender, meta_timer);
    each_topic(s, want_topic);
    each_topic(s, learn_if_known);
    ferry_sender_drain_all(s);
}

static void on_topic(struct ferry_client *c, struct ferry_observer *o,
                     struct ferry_topic_meta *meta, bool id_changed)
{
    struct ferry_sender *s = o->cookie;
    if (!meta->producer)
        return;
    learn(meta->producer);
    ferry_sender_drain_all(s);
}

/* A lane without a leader that holds records asks again (the cluster spaces the requests out). */
static void ask_for_leader(struct ferry_lane *lane)
{
    if (!atomic_load_explicit(&lane->node, memory_order_relaxed) &&
        atomic_load_explicit(&lane->waiting, memory_order_relaxed))
        ferry_cluster_refresh(lane->topic->sender->client);
}

/* Whether somebody waits for the topic's partitions. */
static bool is_missed(struct ferry_sender_topic *t)
{
    return atomic_load(&t->staged) || atomic_load(&t->waiters);
}

static void ask_for_partitions(struct ferry_sender_topic *t)
{
    if (t->meta && is_missed(t) && !atomic_load_explicit(&t->table, memory_order_relaxed) &&
        !refuses(t->meta->error))
        ferry_cluster_refresh(t->sender->client);
}

static void on_metadata(struct ferry_client *c, struct ferry_observer *o, int32_t status)
{
    struct ferry_sender *s = o->cookie;
    each_lane(s, ask_for_leader);
    each_topic(s, ask_for_partitions);
}

static void on_broker_up(struct ferry_client *c, struct ferry_observer *o, int32_t node,
                         enum ferry_class class)
{
    struct ferry_sender *s = o->cookie;
    struct ferry_link *it, *tmp;
    if (class != FERRY_CLASS_PRODUCE)
        return;
    FERRY_LIST_EACH(it, tmp, &s->nodes)
    {
        struct ferry_sender_node *n = FERRY_CONTAINER(it, struct ferry_sender_node, link);
        if (n->id == node)
            ferry_sender_drain(n);
    }
}

static void on_broker_down(struct ferry_client *c, struct ferry_observer *o, int32_t node,
                           enum ferry_class class, int32_t status)
{
    struct ferry_sender *s = o->cookie;
    struct ferry_link *it, *tmp;
    if (class != FERRY_CLASS_PRODUCE || c->closing)
        return;
    FERRY_LIST_EACH(it, tmp, &s->nodes)
    {
        struct ferry_sender_node *n = FERRY_CONTAINER(it, struct ferry_sender_node, link);
        if (n->id == node && !ferry_list_empty(&n->ready)) {
            ferry_cluster_refresh(c);
            ferry_broker_connect(c, node, FERRY_CLASS_PRODUCE);
        }
    }
}

static void run_add_topic(struct ferry_client *c, struct ferry_command *command)
{
    struct ferry_sender_topic *t = FERRY_CONTAINER(command, struct ferry_sender_topic, add);
    struct ferry_sender *s = t->sender;
    ferry_list_push_back(&s->topics, &t->link);
    ferry_prng_seed(&t->prng, ferry_prng_next(&c->prng));
    want_topic(t);
    ferry_idempotence_begin(s);
    if (atomic_load(&t->staged))
        watch_staged(t);
    learn_if_known(t);
    ferry_sender_drain_all(s);
}

struct ferry_sender_topic *ferry_sender_topic_new(struct ferry_sender *s, struct ferry_str name,
                                                  const struct ferry_topic_settings *settings,
                                                  struct ferry_error *err)
{
    struct ferry_sender_topic *t = NULL;
    if (name.len < 1 || name.len > 249) {
        ferry_fail(err, FERRY_E_INVALID, "a topic's name has 1 to 249 characters, not %zu",
                   name.len);
        return NULL;
    }
    t = ferry_zalloc(sizeof *t);
    if (!t || !(t->name = ferry_strndup(name.data, name.len))) {
        ferry_free(t);
        ferry_fail(err, FERRY_E_NOMEM, "no memory for topic %.*s", (int)name.len, name.data);
        return NULL;
    }
    t->sender = s;
    t->name_len = name.len;
    t->settings = settings ? *settings : *ferry_settings_topic(s->config, name);
    t->staging_config = s->accum_config;
    t->staging_config.ids = NULL;
    t->staging_config.defer = 0;
    ferry_accum_init(&t->staging, &t->staging_config);
    t->sticky_time = -1;
    t->timer.fire = on_staged_timer;
    t->add.run = run_add_topic;
    ferry_prng_seed(&t->prng, name.len);
    return t;
}

static void free_topic(struct ferry_sender_topic *t)
{
    struct ferry_lane_table *table = atomic_load(&t->table);
    for (int32_t i = 0; table && i < table->count; i++)
        ferry_lane_free(table->lanes[i]);
    while (table) {
        struct ferry_lane_table *older = table->older;
        ferry_free(table);
        table = older;
    }
    ferry_accum_free(&t->staging);
    ferry_window_free(&t->batch_bytes);
    ferry_window_free(&t->batch_records);
    ferry_list_remove(&t->link);
    ferry_free(t->name);
    ferry_free(t);
}

void ferry_sender_topic_free(struct ferry_sender_topic *t)
{
    free_topic(t);
}

/* -- Commands --------------------------------------------------------------------------------- */

static void watch_topic(struct ferry_sender_topic *t)
{
    if (atomic_load(&t->staged))
        watch_staged(t);
    ask_for_partitions(t);
}

static void look(struct ferry_sender *s)
{
    struct ferry_lane *lane = atomic_exchange(&s->signals, NULL), *order = NULL;
    while (lane) { /* newest first: turn it round */
        struct ferry_lane *next = lane->signal_next;
        lane->signal_next = order;
        order = lane;
        lane = next;
    }
    while (order) {
        lane = order;
        order = lane->signal_next;
        atomic_store(&lane->signalled, false);
        ferry_lane_update(lane);
    }
    /* Somebody who asks again and again must not make every batch a small one. */
    if (atomic_exchange(&s->pressure, false) && s->client->now >= s->pressed_at + PRESS_PAUSE) {
        s->pressed_at = s->client->now;
        each_lane(s, ferry_lane_pull_all);
        each_lane(s, ferry_lane_update);
    }
    each_topic(s, watch_topic);
    if (!ferry_timer_armed(&s->trim_timer))
        ferry_client_timer(s->client, &s->trim_timer, s->client->now + TRIM_AFTER);
    ferry_sender_drain_all(s);
}

static void run_urgent(struct ferry_client *c, struct ferry_command *command)
{
    struct ferry_sender *s = FERRY_CONTAINER(command, struct ferry_sender, urgent);
    atomic_store(&s->urgent_woken, false);
    look(s);
}

static void run_lazy(struct ferry_client *c, struct ferry_command *command)
{
    struct ferry_sender *s = FERRY_CONTAINER(command, struct ferry_sender, lazy);
    atomic_store(&s->lazy_woken, false);
    look(s);
}

/* Gives free chunks back once the producer has been quiet for a while. */
static void on_trim(struct ferry_timer *timer, void *client)
{
    struct ferry_sender *s = FERRY_CONTAINER(timer, struct ferry_sender, trim_timer);
    int64_t sealed = atomic_load_explicit(&s->counters.records_sealed, memory_order_relaxed);
    if (sealed == s->trim_seen) {
        ferry_chunks_trim(&s->chunks);
        return;
    }
    s->trim_seen = sealed;
    ferry_client_timer(s->client, timer, s->client->now + TRIM_AFTER);
}

static void fail_lane(struct ferry_lane *lane, int32_t code)
{
    struct ferry_link *it, *tmp;
    ferry_lane_pull_all(lane);
    FERRY_LIST_EACH(it, tmp, &lane->queue)
    {
        struct ferry_lot *lot = FERRY_CONTAINER(it, struct ferry_lot, batch.link);
        if (!lot->doomed)
            ferry_lot_doom(lot, code, NULL);
    }
}

void ferry_sender_purge(struct ferry_sender *s, unsigned what, int32_t code)
{
    struct ferry_link *it, *tmp;
    if (what & FERRY_SENDER_PURGE_FLIGHT)
        ferry_sender_cancel_requests(s, code);
    if (!(what & FERRY_SENDER_PURGE_QUEUE))
        return;
    FERRY_LIST_EACH(it, tmp, &s->topics)
    {
        struct ferry_sender_topic *t = FERRY_CONTAINER(it, struct ferry_sender_topic, link);
        struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_relaxed);
        for (int32_t i = 0; table && i < table->count; i++)
            fail_lane(table->lanes[i], code);
        ferry_sender_fail_staged(t, code, NULL);
        unflush_staged(t);
    }
    each_lane(s, ferry_lane_update);
}

void ferry_sender_fail(struct ferry_sender *s, int32_t code, const char *text)
{
    int none = 0;
    if (!atomic_compare_exchange_strong(&s->fatal, &none, code))
        return;
    ferry_client_error(s->client, code, FERRY_ERROR_FATAL, "%s", text);
    each_topic(s, ferry_sender_set_plain);
    ferry_sender_purge(s, FERRY_SENDER_PURGE_QUEUE, code);
}

/* -- Life ------------------------------------------------------------------------------------- */

static void on_close(struct ferry_client *c, struct ferry_observer *o)
{
    struct ferry_sender *s = o->cookie;
    struct ferry_link *it, *tmp;
    if (s->closed)
        return;
    s->closed = true;
    int none = 0;
    atomic_compare_exchange_strong(&s->fatal, &none, FERRY_E_CLOSED);
    each_topic(s, ferry_sender_set_plain);
    ferry_idempotence_end(s);
    ferry_sender_purge(s, FERRY_SENDER_PURGE_QUEUE | FERRY_SENDER_PURGE_FLIGHT, FERRY_E_CLOSED);
    FERRY_LIST_EACH(it, tmp, &s->topics)
    {
        struct ferry_sender_topic *t = FERRY_CONTAINER(it, struct ferry_sender_topic, link);
        ferry_client_timer_cancel(c, &t->timer);
        if (t->meta) {
            t->meta->producer = NULL;
            ferry_cluster_unwant(c, t->meta, FERRY_WANT_CREATE);
        }
    }
    ferry_client_timer_cancel(c, &s->trim_timer);
    ferry_client_timer_cancel(c, &s->meta_timer);
    ferry_client_timer_cancel(c, &s->flush_timer);
}

static void run_start(struct ferry_client *c, struct ferry_command *command)
{
    struct ferry_sender *s = FERRY_CONTAINER(command, struct ferry_sender, start);
    s->client = c;
    s->started = true;
    s->observer = (struct ferry_observer){.cookie = s,
                                          .on_topic = on_topic,
                                          .on_metadata = on_metadata,
                                          .on_broker_up = on_broker_up,
                                          .on_broker_down = on_broker_down,
                                          .on_statistics = ferry_sender_on_statistics,
                                          .on_close = on_close};
    ferry_client_observe(c, &s->observer);
}

static uint32_t side_of_flags(uint32_t flags)
{
    return (flags & FERRY_SENDER_COOKIES ? FERRY_SIDE_COOKIE : 0) |
           (flags & FERRY_SENDER_TIMES ? FERRY_SIDE_TIME : 0) |
           (flags & FERRY_SENDER_EXPIRY ? FERRY_SIDE_EXPIRY : 0);
}

struct ferry_sender *ferry_sender_new(const struct ferry_config *config, uint32_t flags,
                                      const struct ferry_sender_hooks *hooks, void *queue,
                                      void *owner, struct ferry_error *err)
{
    const struct ferry_settings *set = &config->settings;
    if (ferry_settings_check_producer(config, err))
        return NULL;
    struct ferry_sender *s = ferry_zalloc(sizeof *s);
    if (!s) {
        ferry_fail(err, FERRY_E_NOMEM, "no memory for a producer");
        return NULL;
    }
    s->config = config;
    s->settings = set;
    s->hooks = *hooks;
    s->flags = flags;
    s->queue = queue;
    s->owner = owner;
    ferry_chunks_init(&s->chunks, set->buffer_memory, set->buffer_records);
    s->accum_config = (struct ferry_accum_config){
        .chunks = &s->chunks,
        .object_size = sizeof(struct ferry_lot),
        .batch_size = set->batch_size > 0 ? (size_t)set->batch_size : 1,
        .batch_records = (uint32_t)set->batch_records,
        .side = side_of_flags(flags),
        .defer = DEFER_BYTES,
        .ids = &s->ids,
    };
    s->urgent.run = run_urgent;
    s->lazy.run = run_lazy;
    s->start.run = run_start;
    s->trim_timer.fire = on_trim;
    s->meta_timer.fire = on_meta_timer;
    s->flush_timer.fire = on_flush_timer;
    ferry_list_init(&s->topics);
    ferry_list_init(&s->nodes);
    ferry_list_init(&s->requests);
    ferry_list_init(&s->flushes);
    ferry_list_init(&s->flushing);
    s->idempotent = set->enable_idempotence;
    s->producer_id = -1;
    s->producer_epoch = -1;
    return s;
}

struct ferry_command *ferry_sender_start(struct ferry_sender *s)
{
    return &s->start;
}

void ferry_sender_free(struct ferry_sender *s)
{
    struct ferry_link *link;
    if (!s)
        return;
    while ((link = ferry_list_pop_front(&s->flushes)) ||
           (link = ferry_list_pop_front(&s->flushing)))
        ferry_sender_flush_unref(FERRY_CONTAINER(link, struct ferry_sender_flush, link));
    while (!ferry_list_empty(&s->topics))
        free_topic(FERRY_CONTAINER(s->topics.next, struct ferry_sender_topic, link));
    while ((link = ferry_list_pop_front(&s->nodes)))
        ferry_free(FERRY_CONTAINER(link, struct ferry_sender_node, link));
    for (size_t i = 0; i < s->idle_codec_count; i++)
        ferry_codecs_free(s->idle_codecs[i]);
    ferry_window_free(&s->queue_us);
    ferry_window_free(&s->report_us);
    ferry_free(s->idle_codecs);
    ferry_free(s->taken);
    ferry_chunks_trim(&s->chunks);
    ferry_free(s);
}
