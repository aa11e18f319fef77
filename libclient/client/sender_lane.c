/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "client/sender_internal.h"
#include "ferry/producer.h"
#include "record/compress.h"
#include "wire/errors.h"

#include <stdio.h>

/*
 * Lanes and lots: from the appenders' sealed batches to a queue in order, and from an outcome to the report.
 *
 *   accum.full / open --pull--> queue --pop--> flight --answer--> done
 *                                 ^------- retry -----'
 *
 * A lane's timer stands at the first of: the end of the open batch's linger, the end of its first lot's backoff, and
 * the next expiry of anything it holds that is not on the wire.
 */

static struct ferry_lot *lot_of(struct ferry_link *link)
{
    return FERRY_CONTAINER(link, struct ferry_lot, batch.link);
}

static ferry_nsec earlier(ferry_nsec a, ferry_nsec b)
{
    return a < b ? a : b;
}

static struct ferry_lot *first_of(const struct ferry_link *list)
{
    return ferry_list_empty(list) ? NULL : lot_of(list->next);
}

static void on_timer(struct ferry_timer *timer, void *client)
{
    struct ferry_lane *lane = FERRY_CONTAINER(timer, struct ferry_lane, timer);
    struct ferry_sender_node *node = atomic_load_explicit(&lane->node, memory_order_relaxed);
    ferry_lane_update(lane);
    if (node)
        ferry_sender_drain(node);
}

struct ferry_lane *ferry_lane_new(struct ferry_sender_topic *t, int32_t partition)
{
    struct ferry_lane *lane = ferry_zalloc(sizeof *lane);
    if (!lane)
        return NULL;
    lane->topic = t;
    lane->partition = partition;
    ferry_accum_init(&lane->accum, &t->sender->accum_config);
    lane->accum.sums = t->settings.compression_type == FERRY_USE_NONE;
    ferry_list_init(&lane->queue);
    ferry_list_init(&lane->flight);
    lane->timer.fire = on_timer;
    lane->producer_id = -1;
    lane->producer_epoch = -1;
    lane->begun = lane->open_expires = lane->records_expire = FERRY_NEVER;
    return lane;
}

void ferry_lane_free(struct ferry_lane *lane)
{
    /* What a worker had when the client was torn down is still here. */
    struct ferry_link *link;
    FERRY_CHECK(ferry_list_empty(&lane->flight));
    while ((link = ferry_list_pop_front(&lane->queue))) {
        struct ferry_lot *lot = lot_of(link);
        ferry_codecs_free(lot->codecs);
        ferry_lot_release(lot);
    }
    ferry_accum_free(&lane->accum);
    ferry_window_free(&lane->batch_bytes);
    ferry_window_free(&lane->report_us);
    ferry_free(lane);
}

bool ferry_lane_idle(const struct ferry_lane *lane)
{
    return lane->queue_count == 0 && lane->flight_count == 0;
}

/* -- Lots ------------------------------------------------------------------------------------- */

static void drop(struct ferry_delivery *d)
{
    ferry_lot_release(ferry_lot_of_delivery(d));
}

void ferry_lot_init(struct ferry_lot *lot, struct ferry_sender_topic *t, struct ferry_lane *lane)
{
    ferry_sender_count_sealed(t->sender, lot->batch.count - lot->skip);
    lot->topic = t;
    lot->lane = lane;
    lot->owner = t->sender->owner;
    lot->order = lot->batch.id;
    lot->node = -1;
    lot->base_offset = lot->log_append_time = -1;
    lot->delivery.queue = t->sender->queue;
    lot->delivery.type = FERRY_SENDER_DELIVERY;
    lot->delivery.drop = drop;
}

static void worked(struct ferry_client *c, struct ferry_work *work);

static void work(void *arg)
{
    struct ferry_lot *lot = arg;
    const struct ferry_topic_settings *set = &lot->topic->settings;
    int level = FERRY_CODEC_LEVEL_DEFAULT;
    if (set->compression_type == FERRY_USE_GZIP)
        level = set->compression_gzip_level;
    else if (set->compression_type == FERRY_USE_LZ4)
        level = set->compression_lz4_level;
    else if (set->compression_type == FERRY_USE_ZSTD)
        level = set->compression_zstd_level;
    /* A batch that cannot be compressed goes out as it is. */
    (void)ferry_sealed_pack(&lot->batch, lot->codecs, set->compression_type, level, NULL);
}

static void begin_packing(struct ferry_lot *lot)
{
    struct ferry_sender *s = lot->topic->sender;
    if (lot->topic->settings.compression_type == FERRY_USE_NONE || lot->batch.packed ||
        lot->batch.stamped)
        return;
    lot->codecs = s->idle_codec_count ? s->idle_codecs[--s->idle_codec_count] : ferry_codecs_new();
    if (!lot->codecs)
        return;
    lot->state = FERRY_LOT_PACKING;
    lot->work.work = work;
    lot->work.arg = lot;
    lot->work.on_done = worked;
    ferry_client_work(s->client, &lot->work);
}

static void worked(struct ferry_client *c, struct ferry_work *w)
{
    struct ferry_lot *lot = FERRY_CONTAINER(w, struct ferry_lot, work);
    struct ferry_sender *s = lot->topic->sender;
    struct ferry_lane *lane = lot->lane;
    if (FERRY_GROW(s->idle_codecs, s->idle_codec_cap, s->idle_codec_count + 1))
        ferry_codecs_free(lot->codecs);
    else
        s->idle_codecs[s->idle_codec_count++] = lot->codecs;
    lot->codecs = NULL;
    lot->state = FERRY_LOT_QUEUED;
    if (lot->doomed)
        ferry_lot_fail(lot, lot->doomed, NULL);
    ferry_lane_update(lane);
    struct ferry_sender_node *node = atomic_load_explicit(&lane->node, memory_order_relaxed);
    if (node)
        ferry_sender_drain(node);
}

static bool before(const struct ferry_lot *a, const struct ferry_lot *b)
{
    return a->order != b->order ? a->order < b->order : a->first < b->first;
}

void ferry_lot_queue(struct ferry_lot *lot)
{
    struct ferry_lane *lane = lot->lane;
    struct ferry_link *at = lane->queue.prev;
    while (at != &lane->queue && before(lot, lot_of(at)) && !FERRY_PLANTED(RETRY_REORDERED))
        at = at->prev;
    ferry_list_insert_after(at, &lot->batch.link);
    lane->queue_count++;
    lane->records_expire = earlier(lane->records_expire, lot->batch.expires_at);
    lot->state = FERRY_LOT_QUEUED;
}

void ferry_lot_adopt(struct ferry_lot *lot)
{
    ferry_lot_queue(lot);
    atomic_fetch_add_explicit(&lot->lane->waiting, 1, memory_order_relaxed);
    begin_packing(lot);
}

void ferry_lot_unlink(struct ferry_lot *lot)
{
    struct ferry_lane *lane = lot->lane;
    if (!lane || !ferry_link_linked(&lot->batch.link))
        return;
    ferry_list_remove(&lot->batch.link);
    if (lot->state == FERRY_LOT_FLIGHT) {
        lane->flight_count--;
    } else {
        lane->queue_count--;
        atomic_fetch_sub_explicit(&lane->waiting, 1, memory_order_relaxed);
    }
}

static void deliver(struct ferry_sender *s, struct ferry_lot *lot)
{
    if (s->client->out)
        ferry_client_deliver(s->client, &lot->delivery);
    else if (s->hooks.late)
        s->hooks.late(s->hooks.cookie, &lot->delivery);
    else
        ferry_lot_release(lot);
}

static void finish(struct ferry_lot *lot)
{
    struct ferry_sender_topic *t = lot->topic;
    struct ferry_sender *s = t->sender;
    struct ferry_lane *lane = lot->lane;
    uint32_t count = lot->batch.count - lot->skip;
    bool ok = lot->outcome == FERRY_PERSISTED;
    ferry_lot_unlink(lot);
    lot->state = FERRY_LOT_DONE;
    lot->done_at = s->client->now;
    ferry_sender_measure_done(lot);
    if (lane) {
        ferry_idempotence_resolve(lane, lot, ok);
        *(ok ? &lane->acked : &lane->failed) += count;
    }
    atomic_fetch_add_explicit(ok ? &s->counters.records_acked : &s->counters.records_failed, count,
                              memory_order_relaxed);
    if (!(s->flags & FERRY_SENDER_RECORDS) && (s->flags & FERRY_SENDER_REPORTS))
        ferry_sealed_drop_records(&lot->batch);
    struct ferry_sealed_record r;
    ferry_sealed_iter_init(&lot->iter, &lot->batch);
    for (uint32_t i = 0; i < lot->skip; i++)
        ferry_sealed_iter_next(&lot->iter, &r);
    lot->delivery.weight = count;
    if (lane)
        ferry_sender_settled(lane);
    if (FERRY_PLANTED(REPORT_LOST) && lot->tries > 2)
        ferry_lot_release(lot);
    else if ((s->flags & FERRY_SENDER_REPORTS) && !(ok && (s->flags & FERRY_SENDER_FAILURES_ONLY)))
        deliver(s, lot);
    else
        ferry_lot_release(lot);
}

void ferry_lot_succeed(struct ferry_lot *lot, int64_t base_offset, int64_t log_append_time,
                       int32_t node)
{
    lot->error = 0;
    lot->outcome = FERRY_PERSISTED;
    lot->base_offset = base_offset;
    lot->log_append_time = log_append_time;
    lot->node = node;
    ferry_free(lot->text); /* of a try that failed */
    lot->text = NULL;
    finish(lot);
}

void ferry_lot_fail(struct ferry_lot *lot, int32_t code, const char *text)
{
    lot->error = code;
    lot->outcome = lot->maybe ? FERRY_POSSIBLY_PERSISTED : FERRY_NOT_PERSISTED;
    if (text && *text) {
        ferry_free(lot->text);
        lot->text = ferry_strdup(text);
    }
    finish(lot);
}

void ferry_lot_doom(struct ferry_lot *lot, int32_t code, const char *text)
{
    if (lot->state == FERRY_LOT_PACKING) {
        lot->doomed = code;
        if (text && !lot->text)
            lot->text = ferry_strdup(text);
    } else {
        ferry_lot_fail(lot, code, text);
    }
}

static ferry_nsec expiry_of(const struct ferry_lot *lot)
{
    int64_t patience = lot->topic->settings.delivery_timeout_ms;
    if (patience <= 0 || patience > INT64_MAX / FERRY_MS - lot->batch.opened_at / FERRY_MS)
        return FERRY_NEVER;
    return lot->batch.opened_at + patience * FERRY_MS;
}

static void fail_expired(struct ferry_lot *lot)
{
    char text[160];
    if (lot->error)
        snprintf(text, sizeof text,
                 "delivery.timeout.ms=%lld passed; the last of %u tries ended with %s",
                 (long long)lot->topic->settings.delivery_timeout_ms, lot->tries,
                 ferry_sender_code_name(lot->error));
    else
        snprintf(text, sizeof text,
                 "delivery.timeout.ms=%lld passed before the records could be sent",
                 (long long)lot->topic->settings.delivery_timeout_ms);
    ferry_lot_doom(lot, FERRY_E_EXPIRED, text);
}

void ferry_lot_retry(struct ferry_lot *lot, int32_t code, const char *text, bool at_once)
{
    struct ferry_sender *s = lot->topic->sender;
    ferry_nsec now = s->client->now;
    lot->error = code;
    if (s->client->closing) {
        ferry_lot_fail(lot, FERRY_E_CLOSED, text);
        return;
    }
    if (lot->tries > (uint32_t)s->settings->retries) {
        ferry_lot_fail(lot, code, text);
        return;
    }
    if (expiry_of(lot) <= now) {
        fail_expired(lot);
        return;
    }
    lot->retry_at = now;
    if (!at_once)
        lot->retry_at += ferry_client_backoff(s->client, s->settings->retry_backoff_ms,
                                              s->settings->retry_backoff_max_ms, lot->backoffs++);
    ferry_lot_queue(lot);
    atomic_fetch_add_explicit(&lot->lane->waiting, 1, memory_order_relaxed);
}

void ferry_lot_release(struct ferry_lot *lot)
{
    struct ferry_chunks *chunks = lot->batch.chunks;
    uint32_t count = lot->batch.count - lot->skip;
    ferry_free(lot->text);
    ferry_sealed_free(&lot->batch);
    ferry_chunks_forget(chunks, count);
}

/* -- Taking from the appenders ---------------------------------------------------------------- */

/* Takes the full batches, and with open_too the open one; notes what is left with the appenders. One look under the lock for
 * all that an update needs to know: what comes later is signalled. */
static void take_all(struct ferry_lane *lane, bool open_too)
{
    struct ferry_sender *s = lane->topic->sender;
    struct ferry_accum *a = &lane->accum;
    struct ferry_link taken;
    struct ferry_accum_batch *b;
    ferry_list_init(&taken);
    s->hooks.lock(&lane->lock);
    if (open_too)
        ferry_accum_seal(a);
    while ((b = ferry_accum_take(a)))
        ferry_list_push_back(&taken, &b->link);
    lane->begun = ferry_accum_oldest(a);
    lane->open = a->open != NULL;
    lane->open_expires =
        lane->open && (s->flags & FERRY_SENDER_EXPIRY) ? a->open->expires_at : FERRY_NEVER;
    s->hooks.unlock(&lane->lock);
    struct ferry_link *link;
    while ((link = ferry_list_pop_front(&taken))) {
        struct ferry_lot *lot = lot_of(link);
        ferry_lot_init(lot, lane->topic, lane);
        ferry_lot_queue(lot);
        begin_packing(lot);
    }
}

void ferry_lane_pull_all(struct ferry_lane *lane)
{
    take_all(lane, true);
}

bool ferry_lane_sendable(struct ferry_lane *lane, ferry_nsec *when)
{
    struct ferry_sender *s = lane->topic->sender;
    struct ferry_sender_node *node = atomic_load_explicit(&lane->node, memory_order_relaxed);
    struct ferry_lot *lot = first_of(&lane->queue);
    *when = FERRY_NEVER;
    if (!node || s->client->closing || lane->flight_count >= (uint32_t)s->settings->max_in_flight ||
        (lane->flight_count && lane->flight_node != node))
        return false;
    if (lot) {
        if (lot->state == FERRY_LOT_PACKING || !ferry_idempotence_allows(lane, lot))
            return false;
        if (lot->retry_at > s->client->now) {
            *when = lot->retry_at;
            return false;
        }
        return true;
    }
    if (!lane->open || !ferry_idempotence_allows(lane, NULL))
        return false;
    ferry_nsec due = lane->begun + s->settings->linger_ms * FERRY_MS;
    if (due <= s->client->now)
        return true;
    *when = due;
    return false;
}

struct ferry_lot *ferry_lane_pop(struct ferry_lane *lane)
{
    if (lane->queue_count == 0)
        take_all(lane, true);
    struct ferry_lot *lot = first_of(&lane->queue);
    if (!lot || lot->state == FERRY_LOT_PACKING)
        return NULL;
    ferry_lot_unlink(lot);
    return lot;
}

/* -- Time ------------------------------------------------------------------------------------- */

/* The time-out of batches; the queue is in the order of their age. */
static void expire_lots(struct ferry_lane *lane)
{
    ferry_nsec now = lane->topic->sender->client->now;
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &lane->queue)
    {
        struct ferry_lot *lot = lot_of(it);
        if (expiry_of(lot) > now)
            return;
        if (!lot->doomed)
            fail_expired(lot);
    }
}

/* The expiry of single records, of batches that no broker has seen. */
static void expire_records(struct ferry_lane *lane)
{
    ferry_nsec now = lane->topic->sender->client->now;
    struct ferry_link *it, *tmp;
    lane->records_expire = FERRY_NEVER;
    FERRY_LIST_EACH(it, tmp, &lane->queue)
    {
        struct ferry_lot *lot = lot_of(it);
        if (lot->tries || lot->doomed)
            continue;
        if (lot->batch.expires_at > now || lot->state != FERRY_LOT_QUEUED)
            lane->records_expire =
                earlier(lane->records_expire,
                        lot->batch.expires_at > now ? lot->batch.expires_at : now + FERRY_MS);
        else
            ferry_lot_expire_records(lot, now); /* what lives on notes its own expiry */
    }
}

static void expire(struct ferry_lane *lane)
{
    ferry_nsec now = lane->topic->sender->client->now;
    int64_t patience = lane->topic->settings.delivery_timeout_ms;
    if (lane->begun != FERRY_NEVER &&
        ((patience > 0 && now - lane->begun >= patience * FERRY_MS) || lane->open_expires <= now))
        take_all(lane, true);
    expire_lots(lane);
    if (lane->records_expire <= now)
        expire_records(lane);
}

static ferry_nsec next_expiry(struct ferry_lane *lane)
{
    int64_t patience = lane->topic->settings.delivery_timeout_ms;
    ferry_nsec next = earlier(lane->open_expires, lane->records_expire);
    if (lane->begun != FERRY_NEVER && patience > 0 && patience < INT64_MAX / FERRY_MS / 2)
        next = earlier(next, lane->begun + patience * FERRY_MS);
    struct ferry_lot *first = first_of(&lane->queue);
    return first && !first->doomed ? earlier(next, expiry_of(first)) : next;
}

void ferry_lane_update(struct ferry_lane *lane)
{
    struct ferry_sender *s = lane->topic->sender;
    struct ferry_client *c = s->client;
    struct ferry_sender_node *node = atomic_load_explicit(&lane->node, memory_order_relaxed);
    ferry_nsec when;
    take_all(lane, false);
    int fatal = atomic_load_explicit(&s->fatal, memory_order_relaxed);
    if (fatal) {
        take_all(lane, true);
        while (!ferry_list_empty(&lane->queue) &&
               first_of(&lane->queue)->state != FERRY_LOT_PACKING)
            ferry_lot_fail(first_of(&lane->queue), fatal, NULL);
    }
    expire(lane);
    ferry_idempotence_settle(lane);
    bool sendable = ferry_lane_sendable(lane, &when);
    if (!sendable) {
        ferry_list_remove(&lane->ready);
    } else if (!ferry_link_linked(&lane->ready)) {
        ferry_list_push_back(&node->ready, &lane->ready);
    }
    ferry_nsec at = earlier(when, next_expiry(lane));
    if (FERRY_PLANTED(DEADLINE_PAST) && lane->flight_count > 2)
        at = c->now;
    if (at == FERRY_NEVER)
        ferry_client_timer_cancel(c, &lane->timer);
    else
        ferry_client_timer(c, &lane->timer, at);
    if (!node && atomic_load_explicit(&lane->waiting, memory_order_relaxed))
        ferry_cluster_refresh(c);
}
