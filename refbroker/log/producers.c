/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Producer state (see producers.h).
 *
 * Invariants:
 *  1. All batches of a ring belong to producer->epoch; a new epoch empties the ring.
 *  2. Sequences count records from 0 and wrap after 2^31 - 1 to 0; offset_delta of a batch is its
 * last offset delta, so its first sequence follows from its last.
 */

#include "refbroker/log/producers.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "record/crc32c.h"
#include "refbroker/log/log.h"

enum { SNAPSHOT_HEAD = 10, SNAPSHOT_ENTRY = 46 };

const struct log_producer_batch *log_producer_batch_at(const struct log_producer *p, unsigned n)
{
    if (n >= p->count)
        return NULL;
    return &p->batches[(p->newest + LOG_PRODUCER_BATCHES - n) % LOG_PRODUCER_BATCHES];
}

/* sequence + n, modulo 2^31. */
static int32_t sequence_add(int32_t sequence, int64_t n)
{
    return (int32_t)(((int64_t)sequence + n) & INT32_MAX);
}

int32_t log_producer_first_sequence(const struct log_producer_batch *b)
{
    return sequence_add(b->last_sequence, -(int64_t)b->offset_delta);
}

static struct log_producer *find(const struct log_producers *ps, int64_t id)
{
    return ferry_map_get(&ps->map, &id, sizeof id);
}

int log_producers_check(const struct log_producers *ps, const struct ferry_batch *b,
                        const struct log_producer_batch **seen)
{
    const struct log_producer *p = b->producer_id < 0 ? NULL : find(ps, b->producer_id);
    if (!p || p->epoch < 0 || FERRY_PLANTED(DUPLICATE_ACCEPTED))
        return FERRY_OK;
    if (b->producer_epoch < p->epoch)
        return LOG_INVALID_PRODUCER_EPOCH;
    if (b->producer_epoch > p->epoch)
        return b->base_sequence == 0 ? FERRY_OK : LOG_OUT_OF_ORDER_SEQUENCE;
    int32_t last = sequence_add(b->base_sequence, b->last_offset - b->base_offset);
    for (unsigned n = 0; n < p->count; n++) {
        const struct log_producer_batch *old = log_producer_batch_at(p, n);
        if (old->last_sequence == last && log_producer_first_sequence(old) == b->base_sequence) {
            *seen = old;
            return 1;
        }
    }
    const struct log_producer_batch *newest = log_producer_batch_at(p, 0);
    int32_t expected = newest ? sequence_add(newest->last_sequence, 1) : p->next;
    return b->base_sequence == expected ? FERRY_OK : LOG_OUT_OF_ORDER_SEQUENCE;
}

static struct log_producer *find_or_add(struct log_producers *ps, int64_t id)
{
    struct log_producer *p = find(ps, id);
    if (p)
        return p;
    p = ferry_zalloc(sizeof *p);
    if (!p)
        return NULL;
    p->id = id;
    p->epoch = -1;
    p->coordinator_epoch = -1;
    p->txn_first_offset = -1;
    if (ferry_map_put(&ps->map, &id, sizeof id, p, NULL) != FERRY_OK) {
        ferry_free(p);
        return NULL;
    }
    return p;
}

static void push(struct log_producer *p, const struct log_producer_batch *b)
{
    p->newest = (uint8_t)((p->newest + 1) % LOG_PRODUCER_BATCHES);
    p->batches[p->newest] = *b;
    if (p->count < LOG_PRODUCER_BATCHES)
        p->count++;
}

static void set_epoch(struct log_producer *p, int16_t epoch)
{
    if (p->epoch != epoch) {
        p->epoch = epoch;
        p->count = 0;
    }
    p->next = 0;
    p->expecting = false;
}

/* A transaction's end. */
static void add_marker(struct log_producer *p, const struct ferry_batch *b)
{
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    int32_t coordinator_epoch;
    if (ferry_batch_iter_init(&it, b, b->records, INT64_MIN, INT64_MAX, NULL) < 0 ||
        ferry_batch_iter_next(&it, &r, NULL) != 1)
        return;
    int type = ferry_batch_control_type(&r, NULL);
    if (type != FERRY_CONTROL_ABORT && type != FERRY_CONTROL_COMMIT)
        return;
    set_epoch(p, b->producer_epoch);
    if (ferry_batch_marker_epoch(&r, &coordinator_epoch, NULL) == FERRY_OK)
        p->coordinator_epoch = coordinator_epoch;
    p->txn_first_offset = -1;
}

int log_producers_add(struct log_producers *ps, const struct ferry_batch *b, int64_t base_offset,
                      int64_t wall)
{
    if (b->producer_id < 0 || b->magic < 2)
        return FERRY_OK;
    struct log_producer *p = find_or_add(ps, b->producer_id);
    if (!p)
        return FERRY_E_NOMEM;
    p->touched = wall;
    if (ferry_batch_is_control(b)) {
        add_marker(p, b);
        return FERRY_OK;
    }
    int64_t delta = b->last_offset - b->base_offset;
    set_epoch(p, b->producer_epoch);
    push(p, &(struct log_producer_batch){.last_offset = base_offset + delta,
                                         .timestamp = b->max_timestamp,
                                         .last_sequence = sequence_add(b->base_sequence, delta),
                                         .offset_delta = (int32_t)delta});
    if (ferry_batch_is_transactional(b) && p->txn_first_offset < 0)
        p->txn_first_offset = base_offset;
    return FERRY_OK;
}

void log_producers_expect(struct log_producers *ps, int64_t id, int16_t epoch, int32_t sequence,
                          int64_t wall)
{
    struct log_producer *p = find(ps, id);
    if (p || !(p = find_or_add(ps, id)))
        return;
    p->epoch = epoch;
    p->next = sequence;
    p->expecting = true;
    p->touched = wall;
}

void log_producers_expire(struct log_producers *ps, int64_t wall, int64_t expiry_ms)
{
    struct ferry_map_entry *e;
    for (size_t at = 0; (e = ferry_map_next(&ps->map, &at)) != NULL;) {
        struct log_producer *p = e->value;
        if (p->txn_first_offset >= 0 || wall - p->touched < expiry_ms)
            continue;
        int64_t id = p->id;
        ferry_map_remove(&ps->map, &id, sizeof id);
        ferry_free(p);
    }
}

void log_producers_clear(struct log_producers *ps)
{
    struct ferry_map_entry *e;
    for (size_t at = 0; (e = ferry_map_next(&ps->map, &at)) != NULL;)
        ferry_free(e->value);
    ferry_map_free(&ps->map);
    memset(ps, 0, sizeof *ps);
}

/* ---- snapshots ---- */

static uint8_t *put_entry(uint8_t *at, const struct log_producer *p,
                          const struct log_producer_batch *b)
{
    ferry_put64(at, (uint64_t)p->id);
    ferry_put16(at + 8, (uint16_t)p->epoch);
    ferry_put32(at + 10, (uint32_t)b->last_sequence);
    ferry_put64(at + 14, (uint64_t)b->last_offset);
    ferry_put32(at + 22, (uint32_t)b->offset_delta);
    ferry_put64(at + 26, (uint64_t)b->timestamp);
    ferry_put32(at + 34, (uint32_t)p->coordinator_epoch);
    ferry_put64(at + 38, (uint64_t)p->txn_first_offset);
    return at + SNAPSHOT_ENTRY;
}

uint8_t *log_producers_save(const struct log_producers *ps, size_t *len)
{
    static const struct log_producer_batch none = {-1, -1, -1, 0};
    struct ferry_map_entry *e;
    size_t count = 0;
    for (size_t at = 0; (e = ferry_map_next(&ps->map, &at)) != NULL;) {
        const struct log_producer *p = e->value;
        count += p->expecting ? 0 : p->count ? p->count : 1;
    }
    *len = SNAPSHOT_HEAD + count * SNAPSHOT_ENTRY;
    uint8_t *data = ferry_alloc(*len), *to = data + SNAPSHOT_HEAD;
    if (!data)
        return NULL;
    ferry_put16(data, 1);
    ferry_put32(data + 6, (uint32_t)count);
    for (size_t at = 0; (e = ferry_map_next(&ps->map, &at)) != NULL;) {
        const struct log_producer *p = e->value;
        if (p->count == 0 && !p->expecting)
            to = put_entry(to, p, &none);
        for (unsigned n = p->count; n-- > 0;)
            to = put_entry(to, p, log_producer_batch_at(p, n));
    }
    ferry_put32(data + 2, ferry_crc32c(0, data + 6, *len - 6));
    return data;
}

static int load_entry(struct log_producers *ps, const uint8_t *at, int64_t wall)
{
    struct log_producer_batch b = {.last_offset = (int64_t)ferry_get64(at + 14),
                                   .timestamp = (int64_t)ferry_get64(at + 26),
                                   .last_sequence = (int32_t)ferry_get32(at + 10),
                                   .offset_delta = (int32_t)ferry_get32(at + 22)};
    int64_t id = (int64_t)ferry_get64(at);
    int16_t epoch = (int16_t)ferry_get16(at + 8);
    if (id < 0 || epoch < -1 || b.last_sequence < -1 || b.offset_delta < 0 || b.last_offset < -1)
        return FERRY_E_PROTOCOL;
    struct log_producer *p = find_or_add(ps, id);
    if (!p)
        return FERRY_E_NOMEM;
    p->touched = wall;
    set_epoch(p, epoch);
    p->coordinator_epoch = (int32_t)ferry_get32(at + 34);
    p->txn_first_offset = (int64_t)ferry_get64(at + 38);
    if (b.last_sequence >= 0)
        push(p, &b);
    return FERRY_OK;
}

int log_producers_load(struct log_producers *ps, struct ferry_bytes bytes, int64_t wall)
{
    FERRY_CHECK(ps->map.live == 0);
    if (bytes.len < SNAPSHOT_HEAD || ferry_get16(bytes.data) != 1)
        return FERRY_E_PROTOCOL;
    if (ferry_get32(bytes.data + 2) != ferry_crc32c(0, bytes.data + 6, bytes.len - 6))
        return FERRY_E_CRC;
    size_t count = ferry_get32(bytes.data + 6);
    if (bytes.len - SNAPSHOT_HEAD != count * SNAPSHOT_ENTRY)
        return FERRY_E_PROTOCOL;
    for (size_t i = 0; i < count; i++) {
        int rc = load_entry(ps, bytes.data + SNAPSHOT_HEAD + i * SNAPSHOT_ENTRY, wall);
        if (rc != FERRY_OK) {
            log_producers_clear(ps);
            return rc;
        }
    }
    return FERRY_OK;
}

bool log_producers_complete(const struct log_producers *ps)
{
    struct ferry_map_entry *e;
    for (size_t at = 0; (e = ferry_map_next(&ps->map, &at)) != NULL;) {
        const struct log_producer *p = e->value;
        if (p->count > 0 && p->count < LOG_PRODUCER_BATCHES &&
            log_producer_first_sequence(log_producer_batch_at(p, p->count - 1u)) != 0)
            return false;
    }
    return true;
}

int log_producers_merge(struct log_producers *behind, struct log_producers *snapshot)
{
    struct ferry_map_entry *e;
    int rc = FERRY_OK;
    for (size_t at = 0; rc == FERRY_OK && (e = ferry_map_next(&snapshot->map, &at)) != NULL;) {
        struct log_producer *theirs = e->value, *ours = find(behind, theirs->id);
        const struct log_producer_batch *a = ours ? log_producer_batch_at(ours, 0) : NULL;
        const struct log_producer_batch *b = log_producer_batch_at(theirs, 0);
        if (a && b && ours->epoch == theirs->epoch && a->last_offset == b->last_offset &&
            ours->count >= theirs->count) { /* what was read may reach less far back */
            ours->coordinator_epoch = theirs->coordinator_epoch;
            ours->txn_first_offset = theirs->txn_first_offset;
            continue;
        }
        if (!ours)
            ours = find_or_add(behind, theirs->id);
        if (ours)
            *ours = *theirs;
        else
            rc = FERRY_E_NOMEM;
    }
    log_producers_clear(snapshot);
    return rc;
}
