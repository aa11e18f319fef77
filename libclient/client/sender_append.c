/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "accum/plain.h"
#include "client/sender_internal.h"

/*
 * The appenders' side: which lane, then into its open batch. Runs on any thread; shares with the engine only what
 * the lock words guard and the atomic fields.
 */

/* -- Which partition -------------------------------------------------------------------------- */

static bool lane_available(void *cookie, int32_t partition)
{
    struct ferry_lane_table *table = cookie;
    return atomic_load_explicit(&table->lanes[partition]->available, memory_order_relaxed);
}

/* Whether KIP-794 may choose the lane: it has a leader, which is not stuck. */
static bool lane_eligible(struct ferry_sender_topic *t, struct ferry_lane *lane, int64_t now)
{
    int64_t patience = t->settings.partitioner_availability_timeout_ms;
    struct ferry_sender_node *node = atomic_load_explicit(&lane->node, memory_order_acquire);
    if (!atomic_load_explicit(&lane->available, memory_order_relaxed))
        return false;
    if (patience <= 0 || !node)
        return true;
    int64_t since = atomic_load_explicit(&node->stalled_since, memory_order_relaxed);
    return since == 0 || now - since <= patience * FERRY_MS;
}

/* Over so many partitions the weights are taken of a window of them, so that a choice costs a bounded time. */
enum { WEIGHED_MAX = 256 };

static struct ferry_lane *choose_sticky(struct ferry_sender_topic *t,
                                        struct ferry_lane_table *table)
{
    int32_t load[WEIGHED_MAX], index[WEIGHED_MAX], n = 0;
    int32_t seen = table->count < WEIGHED_MAX ? table->count : WEIGHED_MAX;
    uint32_t random = (uint32_t)ferry_prng_next(&t->prng);
    int32_t from =
        seen < table->count ? (int32_t)ferry_prng_below(&t->prng, (uint64_t)table->count) : 0;
    int64_t now = t->sender->hooks.now(t->sender->hooks.cookie);
    for (int32_t i = 0; i < seen; i++) {
        int32_t p = (from + i) % table->count;
        if (!lane_eligible(t, table->lanes[p], now))
            continue;
        index[n] = p;
        load[n++] =
            t->settings.partitioner_adaptive
                ? (int32_t)atomic_load_explicit(&table->lanes[p]->waiting, memory_order_relaxed)
                : 0;
    }
    if (n == 0)
        return table->lanes[random % (uint32_t)table->count];
    /* Without adaptive choice all lengths are 0: uniform over those that may be chosen. */
    return table->lanes[index[ferry_partitioner_weighted(random, load, n, n == table->count)]];
}

/* Under the topic's lock: the lane's share begins. */
static void begin_sticky(struct ferry_sender_topic *t, struct ferry_lane *lane)
{
    struct ferry_sender *s = t->sender;
    s->hooks.lock(&lane->lock);
    lane->sticky_from = lane->accum.total;
    s->hooks.unlock(&lane->lock);
    atomic_store_explicit(&t->sticky, lane, memory_order_release);
}

/* Under the topic's lock. The choice of a record that is not hashed; -1 if a custom partitioner's is none. */
int32_t ferry_sender_pick_slow(struct ferry_sender_topic *t, struct ferry_lane_table *table,
                               enum ferry_pick pick, struct ferry_bytes key)
{
    struct ferry_lane *sticky;
    int64_t now;
    int32_t p;
    switch (pick) {
    case FERRY_PICK_STICKY:
        sticky = atomic_load_explicit(&t->sticky, memory_order_relaxed);
        if (!sticky) {
            sticky = choose_sticky(t, table);
            begin_sticky(t, sticky);
        }
        return sticky->partition;
    case FERRY_PICK_STICKY_TIME:
        now = t->sender->hooks.now(t->sender->hooks.cookie);
        if (t->sticky_time < 0 || t->sticky_time >= table->count || now >= t->sticky_until ||
            !lane_available(table, t->sticky_time)) {
            t->sticky_time = ferry_partitioner_random((uint32_t)ferry_prng_next(&t->prng),
                                                      (uint32_t)ferry_prng_next(&t->prng),
                                                      table->count, lane_available, table);
            t->sticky_until = now + t->sender->settings->sticky_linger_ms * FERRY_MS;
        }
        return t->sticky_time;
    case FERRY_PICK_RANDOM:
        return ferry_partitioner_random((uint32_t)ferry_prng_next(&t->prng),
                                        (uint32_t)ferry_prng_next(&t->prng), table->count,
                                        lane_available, table);
    case FERRY_PICK_NEXT:
        for (int32_t i = 0; i < table->count; i++) {
            p = (int32_t)(t->next++ % (uint32_t)table->count);
            if (lane_available(table, p))
                return p;
        }
        return (int32_t)(t->next++ % (uint32_t)table->count);
    case FERRY_PICK_CUSTOM:
        p = t->partitioner(t->partitioner_cookie, t, key, table->count);
        return p >= 0 && p < table->count ? p : -1;
    default:
        return -1;
    }
}

enum ferry_pick ferry_sender_pick(struct ferry_sender_topic *t, struct ferry_bytes key,
                                  int32_t count, int32_t *partition)
{
    return ferry_partitioner_pick(t->settings.partitioner, t->partitioner != NULL,
                                  t->settings.partitioner_ignore_keys,
                                  t->sender->settings->sticky_linger_ms > 0, key, count, partition);
}

/* The lane of a record, or NULL with *rc. */
static struct ferry_lane *find_lane(struct ferry_sender_topic *t, struct ferry_lane_table *table,
                                    int32_t partition, struct ferry_bytes key, int *rc)
{
    if (partition < 0) {
        enum ferry_pick pick = ferry_sender_pick(t, key, table->count, &partition);
        if (pick == FERRY_PICK_STICKY) {
            struct ferry_lane *lane = atomic_load_explicit(&t->sticky, memory_order_acquire);
            if (lane)
                return lane;
        }
        if (pick != FERRY_PICK_HASHED) {
            t->sender->hooks.lock(&t->lock);
            partition = ferry_sender_pick_slow(t, table, pick, key);
            t->sender->hooks.unlock(&t->lock);
        }
    }
    if (partition < 0 || partition >= table->count) {
        *rc = FERRY_E_INVALID;
        return NULL;
    }
    return table->lanes[partition];
}

/* -- Into the lane ---------------------------------------------------------------------------- */

/* Puts the lane on the list that the engine's command looks through. */
static void signal_lane(struct ferry_sender *s, struct ferry_lane *lane)
{
    if (atomic_exchange(&lane->signalled, true))
        return;
    struct ferry_lane *head = atomic_load(&s->signals);
    do
        lane->signal_next = head;
    while (!atomic_compare_exchange_weak(&s->signals, &head, lane));
}

/* need_by 0: at once. What may wait rides on a command that is on its way: each looks at every signalled lane. */
static void wake_engine(struct ferry_sender *s, int64_t need_by)
{
    if (need_by == 0) {
        if (!atomic_exchange(&s->urgent_woken, true))
            s->hooks.wake(s->hooks.cookie, &s->urgent, 0);
    } else if (!atomic_load(&s->urgent_woken) && !atomic_exchange(&s->lazy_woken, true)) {
        s->hooks.wake(s->hooks.cookie, &s->lazy, need_by);
    }
}

void ferry_sender_poke(struct ferry_sender *s)
{
    wake_engine(s, 0);
}

void ferry_sender_press(struct ferry_sender *s)
{
    if (!atomic_exchange(&s->pressure, true))
        wake_engine(s, 0);
}

/* Whether the topic's sticky lane has had its share (under the lane's lock). Asked only where a chunk or a batch begins: that
 * is often enough, and costs the usual record nothing. */
static bool sticky_is_full(struct ferry_lane *lane, bool batch_ended)
{
    uint64_t size = lane->topic->sender->accum_config.batch_size;
    uint64_t bytes = lane->accum.total - lane->sticky_from;
    return bytes >= size - size / 16 && (batch_ended || bytes >= 2 * size);
}

void ferry_sender_change_sticky(struct ferry_lane *from)
{
    struct ferry_sender_topic *t = from->topic;
    struct ferry_sender *s = t->sender;
    s->hooks.lock(&t->lock);
    if (atomic_load_explicit(&t->sticky, memory_order_relaxed) == from)
        begin_sticky(t, choose_sticky(t, atomic_load_explicit(&t->table, memory_order_acquire)));
    s->hooks.unlock(&t->lock);
}

/* A value too large to be copied under the lock. */
static void copy_value(struct ferry_sender *s, struct ferry_lane *lane,
                       const struct ferry_accum_place *place, const struct ferry_bytes *value)
{
    memcpy(place->value_at, value->data, value->len);
    s->hooks.lock(&lane->lock);
    bool last = ferry_accum_written(&lane->accum, place->batch);
    s->hooks.unlock(&lane->lock);
    if (last) {
        signal_lane(s, lane);
        wake_engine(s, 0);
    }
}

/* When the engine must have looked at a lane whose open batch was just begun. */
static int64_t need_by(struct ferry_sender *s, unsigned edges, int64_t now)
{
    if ((edges & FERRY_ACCUM_FULL) || s->settings->linger_ms <= 0)
        return 0;
    return now + s->settings->linger_ms * FERRY_MS;
}

static int append_lane(struct ferry_lane *lane, struct ferry_accum_record *r,
                       struct ferry_sender_place *out)
{
    struct ferry_sender *s = lane->topic->sender;
    struct ferry_accum *a = &lane->accum;
    struct ferry_accum_place place;
    unsigned edges = 0;
    int64_t now = 0;
    bool turn = false;
    s->hooks.lock(&lane->lock);
    int rc = ferry_accum_append(a, r, &place);
    if (__builtin_expect(rc != 0, 0)) {
        now = s->hooks.now(s->hooks.cookie);
        rc = ferry_accum_make_room(a, r, now, false, &edges);
        if (!rc)
            rc = ferry_accum_append(a, r, &place);
        if (!rc && (edges & FERRY_ACCUM_OPENED))
            atomic_fetch_add_explicit(&lane->waiting, 1, memory_order_relaxed);
        if (lane == atomic_load_explicit(&lane->topic->sticky, memory_order_relaxed))
            turn = sticky_is_full(lane, (edges & FERRY_ACCUM_FULL) != 0);
    }
    bool sooner = false;
    if (__builtin_expect(rc == 0, 1)) {
        out->lane = lane;
        out->batch = place.batch->id;
        out->index = place.index;
        /* The engine knows when the batch expires as of its first record. */
        sooner = (a->side & FERRY_SIDE_EXPIRY) && place.index > 0 &&
                 place.batch->expires_at == r->expires_at && r->expires_at != INT64_MAX;
    }
    s->hooks.unlock(&lane->lock);
    if (__builtin_expect(rc == 0 && place.value_at != NULL, 0))
        copy_value(s, lane, &place, &r->record.value);
    if (__builtin_expect(edges || sooner, 0)) {
        signal_lane(s, lane);
        wake_engine(s, sooner ? 0 : need_by(s, edges, now));
    }
    if (__builtin_expect(turn, 0))
        ferry_sender_change_sticky(lane);
    return rc;
}

/* -- Staging ---------------------------------------------------------------------------------- */

/* A record whose partition the caller chose carries it where a receipt would be: see ferry_sender_unstage. */
static void stage_partition(struct ferry_sender_topic *t, struct ferry_accum_record *r,
                            int32_t partition)
{
    r->receipt = partition < 0 ? 0 : (uint64_t)partition + 1;
    if (partition >= 0 && !(t->staging_config.side & FERRY_SIDE_RECEIPT)) {
        ferry_accum_seal(&t->staging);
        t->staging_config.side |= FERRY_SIDE_RECEIPT;
    }
}

/* FERRY_E_AGAIN if the partitions have become known meanwhile. */
static int stage(struct ferry_sender_topic *t, int32_t partition, struct ferry_accum_record *r,
                 struct ferry_sender_place *out)
{
    struct ferry_sender *s = t->sender;
    struct ferry_accum_place place;
    unsigned edges = 0;
    int rc;
    s->hooks.lock(&t->lock);
    if (atomic_load_explicit(&t->table, memory_order_acquire)) {
        s->hooks.unlock(&t->lock);
        return FERRY_E_AGAIN;
    }
    bool was_empty = ferry_accum_empty(&t->staging);
    stage_partition(t, r, partition);
    rc = ferry_accum_append(&t->staging, r, &place);
    if (rc == FERRY_E_AGAIN) {
        rc = ferry_accum_make_room(&t->staging, r, s->hooks.now(s->hooks.cookie), false, &edges);
        if (!rc)
            rc = ferry_accum_append(&t->staging, r, &place);
    }
    r->receipt = 0;
    if (!rc && was_empty)
        atomic_store(&t->staged, true);
    s->hooks.unlock(&t->lock);
    *out = (struct ferry_sender_place){0};
    if (!rc && was_empty)
        wake_engine(s, 0); /* it has to watch over the staged records' expiry */
    return rc;
}

void ferry_sender_set_plain(struct ferry_sender_topic *t)
{
    struct ferry_sender *s = t->sender;
    s->hooks.lock(&t->lock);
    bool plain = atomic_load(&t->used) && atomic_load(&t->table) && !t->partitioner &&
                 s->chunks.record_limit <= 0 && ferry_plain_fits(&s->accum_config) &&
                 s->settings->max_request_size >= FERRY_PLAIN_MAX + FERRY_BUILD_OVERHEAD_MAX;
    bool sticks = t->settings.partitioner == FERRY_PARTITIONER_DEFAULT;
    atomic_store(&t->plain, plain ? FERRY_SENDER_PLAIN | (sticks ? FERRY_SENDER_STICKS : 0) : 0);
    /* Whoever sets one of these calls this afterwards: one of both sees the other. */
    if (atomic_load(&s->refusing) || atomic_load(&s->fatal))
        atomic_store(&t->plain, 0);
    s->hooks.unlock(&t->lock);
}

/* Counts one record more, where their number is limited. */
static bool reserve_record(struct ferry_chunks *c)
{
    if (atomic_fetch_add_explicit(&c->records, 1, memory_order_relaxed) < c->record_limit)
        return true;
    atomic_fetch_sub_explicit(&c->records, 1, memory_order_relaxed);
    return false;
}

static inline int append(struct ferry_sender_topic *t, int32_t partition,
                         struct ferry_accum_record *r, struct ferry_sender_place *out)
{
    struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_acquire);
    int rc;
    if (__builtin_expect(!table, 0)) {
        rc = atomic_load_explicit(&t->error, memory_order_relaxed);
        if (rc)
            return rc;
        rc = stage(t, partition, r, out);
        if (rc != FERRY_E_AGAIN)
            return rc;
        table = atomic_load_explicit(&t->table, memory_order_acquire);
    }
    struct ferry_lane *lane = find_lane(t, table, partition, r->record.key, &rc);
    return lane ? append_lane(lane, r, out) : rc;
}

int ferry_sender_append(struct ferry_sender_topic *t, int32_t partition,
                        struct ferry_accum_record *r, struct ferry_sender_place *out)
{
    struct ferry_sender *s = t->sender;
    if (__builtin_expect(atomic_load_explicit(&s->fatal, memory_order_relaxed) != 0, 0))
        return FERRY_E_FATAL;
    if (__builtin_expect(!atomic_load_explicit(&t->used, memory_order_relaxed), 0)) {
        atomic_store(&t->used, true);
        ferry_sender_set_plain(t);
    }
    if (__builtin_expect(s->chunks.record_limit <= 0, 1))
        return append(t, partition, r, out);
    if (!reserve_record(&s->chunks))
        return FERRY_E_QUEUE_FULL;
    int rc = append(t, partition, r, out);
    if (rc)
        atomic_fetch_sub_explicit(&s->chunks.records, 1, memory_order_relaxed);
    return rc;
}

int64_t ferry_sender_open_records(struct ferry_sender_topic *t)
{
    struct ferry_sender *s = t->sender;
    int64_t n = 0;
    s->hooks.lock(&t->lock);
    struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_acquire);
    n += ferry_sender_accum_records(&t->staging);
    s->hooks.unlock(&t->lock);
    for (int32_t i = 0; table && i < table->count; i++) {
        struct ferry_lane *lane = table->lanes[i];
        s->hooks.lock(&lane->lock);
        n += ferry_sender_accum_records(&lane->accum);
        s->hooks.unlock(&lane->lock);
    }
    return n;
}
