/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "client/sender_internal.h"

/*
 * Cutting: records of one batch go to other batches. Of a lot that a broker found too large, of one in which some
 * records have expired, and of what was staged while a topic's partitions were unknown.
 */

/* An accumulator of its own, in which batches of at most `size` bytes are made of records that exist already. */
static void scratch_init(struct ferry_sender *s, struct ferry_accum *a,
                         struct ferry_accum_config *config, size_t size, uint32_t side)
{
    *config = s->accum_config;
    config->batch_size = size;
    config->batch_records = 0;
    config->side = side;
    config->defer = 0;
    ferry_accum_init(a, config);
}

static struct ferry_lot *take_lot(struct ferry_accum *a, const struct ferry_lot *like)
{
    struct ferry_accum_batch *b = ferry_accum_take(a);
    if (!b)
        return NULL;
    struct ferry_lot *lot = FERRY_CONTAINER(b, struct ferry_lot, batch);
    lot->topic = like->topic;
    lot->lane = like->lane;
    lot->owner = like->owner;
    lot->order = like->order;
    lot->node = -1;
    lot->base_offset = lot->log_append_time = -1;
    lot->delivery = like->delivery;
    lot->delivery.link = (struct ferry_link){0};
    lot->maybe = like->maybe;
    lot->tries = like->tries;
    lot->error = like->error;
    return lot;
}

/* The lot's records have gone to others. */
static void drop_shell(struct ferry_lot *lot)
{
    ferry_free(lot->text);
    ferry_sealed_free(&lot->batch);
}

int ferry_lot_split(struct ferry_lot *lot)
{
    struct ferry_sender *s = lot->topic->sender;
    struct ferry_lane *lane = lot->lane;
    struct ferry_accum a;
    struct ferry_accum_config config;
    size_t half = lot->batch.size / 2;
    uint32_t done = 0;
    if (lot->batch.count - lot->skip < 2)
        return FERRY_E_TOO_LARGE;
    scratch_init(s, &a, &config,
                 half > s->accum_config.batch_size ? s->accum_config.batch_size : half,
                 lot->batch.side | FERRY_SIDE_RECEIPT);
    int rc = ferry_sealed_move(&lot->batch, 0, lot->batch.count, &a);
    ferry_accum_seal(&a);
    if (rc) {
        ferry_accum_free(&a);
        return rc;
    }
    ferry_lot_unlink(lot);
    struct ferry_lot *part;
    while ((part = take_lot(&a, lot))) {
        part->first = lot->first + done;
        ferry_idempotence_inherit(lane, lot, part, done);
        done += part->batch.count;
        ferry_lot_adopt(part);
    }
    FERRY_CHECK(done == lot->batch.count);
    if (lot->has_sequence)
        lane->outstanding--;
    atomic_fetch_add_explicit(&s->counters.splits, 1, memory_order_relaxed);
    drop_shell(lot);
    return 0;
}

void ferry_lot_expire_records(struct ferry_lot *lot, ferry_nsec now)
{
    static const char text[] = "the record's own expiry passed before it was sent";
    struct ferry_sender *s = lot->topic->sender;
    struct ferry_accum live, dead;
    struct ferry_accum_config live_config, dead_config;
    struct ferry_sealed_iter it;
    struct ferry_sealed_record r;
    uint32_t expired = 0;
    ferry_sealed_iter_init(&it, &lot->batch);
    while (ferry_sealed_iter_next(&it, &r))
        expired += r.expires_at <= now;
    if (expired == lot->batch.count) {
        ferry_lot_fail(lot, FERRY_E_EXPIRED, text);
        return;
    }
    uint32_t side = lot->batch.side | FERRY_SIDE_RECEIPT;
    scratch_init(s, &live, &live_config, s->accum_config.batch_size, side);
    scratch_init(s, &dead, &dead_config, s->accum_config.batch_size, side);
    int rc = 0;
    unsigned edges;
    ferry_sealed_iter_init(&it, &lot->batch);
    while (!rc && ferry_sealed_iter_next(&it, &r)) {
        if (!r.receipt)
            r.receipt = ferry_receipt_pack(lot->batch.id, r.index);
        rc = ferry_sealed_move_one(&lot->batch, &r, r.expires_at <= now ? &dead : &live, &edges);
    }
    ferry_accum_seal(&live);
    ferry_accum_seal(&dead);
    if (rc) { /* they go out all the same, or expire at the next look */
        ferry_accum_free(&live);
        ferry_accum_free(&dead);
        lot->batch.expires_at = now + FERRY_SECOND;
        return;
    }
    ferry_lot_unlink(lot);
    struct ferry_lot *part;
    for (uint32_t n = 0; (part = take_lot(&live, lot)); n += part->batch.count) {
        part->first = lot->first + n;
        ferry_lot_adopt(part);
    }
    while ((part = take_lot(&dead, lot)))
        ferry_lot_fail(part, FERRY_E_EXPIRED, text);
    drop_shell(lot);
}

/* -- Staging ---------------------------------------------------------------------------------- */

/* Where a staged record goes: index of a lane, or -1. */
static int32_t place_of(struct ferry_sender_topic *t, struct ferry_lane_table *table,
                        const struct ferry_sealed_record *r)
{
    int32_t partition;
    if (r->receipt) { /* the caller chose: see sender_append.c */
        partition = (int32_t)(r->receipt - 1);
        return partition < table->count ? partition : -1;
    }
    enum ferry_pick pick = ferry_sender_pick(t, r->key, table->count, &partition);
    return pick == FERRY_PICK_HASHED ? partition : ferry_sender_pick_slow(t, table, pick, r->key);
}

static int move_staged(struct ferry_sender_topic *t, struct ferry_lane_table *table,
                       const struct ferry_accum_batch *b, struct ferry_sealed_record *r,
                       struct ferry_accum *refused)
{
    struct ferry_sender *s = t->sender;
    unsigned edges;
    int32_t p = place_of(t, table, r);
    r->receipt = 0;
    if (p < 0)
        return ferry_sealed_move_one(b, r, refused, &edges);
    struct ferry_lane *lane = table->lanes[p];
    s->hooks.lock(&lane->lock);
    int rc = ferry_sealed_move_one(b, r, &lane->accum, &edges);
    if (!rc && (edges & FERRY_ACCUM_OPENED))
        atomic_fetch_add_explicit(&lane->waiting, 1, memory_order_relaxed);
    if (lane == atomic_load_explicit(&t->sticky, memory_order_relaxed)) {
        if ((edges & FERRY_ACCUM_FULL) &&
            lane->accum.total - lane->sticky_from >= s->accum_config.batch_size / 16 * 15)
            atomic_store_explicit(&t->sticky, NULL, memory_order_relaxed);
    }
    s->hooks.unlock(&lane->lock);
    return rc;
}

static void fail_refused(struct ferry_sender_topic *t, struct ferry_accum *refused)
{
    struct ferry_accum_batch *b;
    ferry_accum_seal(refused);
    while ((b = ferry_accum_take(refused))) {
        struct ferry_lot *lot = FERRY_CONTAINER(b, struct ferry_lot, batch);
        ferry_lot_init(lot, t, NULL);
        ferry_lot_fail(lot, FERRY_E_INVALID, "the topic has no such partition");
    }
}

void ferry_sender_unstage(struct ferry_sender_topic *t, struct ferry_lane_table *table)
{
    struct ferry_accum refused;
    struct ferry_accum_config config;
    struct ferry_accum_batch *b;
    scratch_init(t->sender, &refused, &config, t->sender->accum_config.batch_size,
                 t->sender->accum_config.side);
    ferry_accum_seal(&t->staging);
    while ((b = ferry_accum_take(&t->staging))) {
        struct ferry_lot *lot = FERRY_CONTAINER(b, struct ferry_lot, batch);
        struct ferry_sealed_iter it;
        struct ferry_sealed_record r;
        int rc = 0;
        ferry_sealed_iter_init(&it, b);
        while (ferry_sealed_iter_next(&it, &r)) {
            rc = move_staged(t, table, b, &r, &refused);
            if (rc)
                break;
        }
        if (rc) { /* no memory: this record and those behind it are lost to their report */
            lot->skip = r.index;
            ferry_lot_init(lot, t, NULL);
            ferry_lot_fail(lot, rc, NULL);
        } else {
            ferry_sealed_free(b);
        }
    }
    fail_refused(t, &refused);
    ferry_accum_free(&refused);
}

void ferry_sender_fail_staged(struct ferry_sender_topic *t, int32_t code, const char *text)
{
    struct ferry_sender *s = t->sender;
    struct ferry_link taken, *link;
    struct ferry_accum_batch *b;
    ferry_list_init(&taken);
    s->hooks.lock(&t->lock);
    ferry_accum_seal(&t->staging);
    while ((b = ferry_accum_take(&t->staging)))
        ferry_list_push_back(&taken, &b->link);
    s->hooks.unlock(&t->lock);
    while ((link = ferry_list_pop_front(&taken))) {
        struct ferry_lot *lot = FERRY_CONTAINER(link, struct ferry_lot, batch.link);
        ferry_lot_init(lot, t, NULL);
        ferry_lot_fail(lot, code, text);
    }
}
