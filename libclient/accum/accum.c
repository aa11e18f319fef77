/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "accum/accum.h"

#include "accum/sealed.h"
#include "base/check.h"
#include "base/mem.h"
#include "record/crc32c.h"

void ferry_accum_init(struct ferry_accum *a, const struct ferry_accum_config *config)
{
    memset(a, 0, sizeof *a);
    a->config = config;
    ferry_list_init(&a->full);
}

void ferry_accum_free(struct ferry_accum *a)
{
    struct ferry_accum_batch *b;
    ferry_accum_seal(a);
    while ((b = ferry_accum_take(a)))
        ferry_sealed_free(b);
    FERRY_CHECK(ferry_list_empty(&a->full));
}

static void put_side(uint8_t *at, uint32_t side, const struct ferry_accum_record *r)
{
    if (side & FERRY_SIDE_COOKIE) {
        memcpy(at, &r->cookie, 8);
        at += 8;
    }
    if (side & FERRY_SIDE_TIME) {
        memcpy(at, &r->sent_at, 8);
        at += 8;
    }
    if (side & FERRY_SIDE_EXPIRY) {
        memcpy(at, &r->expires_at, 8);
        at += 8;
    }
    if (side & FERRY_SIDE_RECEIPT)
        memcpy(at, &r->receipt, 8);
}

int ferry_accum_append(struct ferry_accum *a, const struct ferry_accum_record *r,
                       struct ferry_accum_place *place)
{
    size_t most = ferry_build_record_max(&r->record);
    uint8_t *at = a->at;
    /* With no open batch all three pointers are NULL and there is no room. */
    if (most > (size_t)(a->end - at) || most + a->side_size > (size_t)(a->side_at - at) ||
        a->count == a->count_max)
        return FERRY_E_AGAIN;
    uint32_t index = a->count++;
    if (__builtin_expect(r->timestamp > a->max_timestamp, 0)) { /* so is the first one's */
        a->max_timestamp = r->timestamp;
        if (index == 0)
            a->base_timestamp = r->timestamp;
    }
    place->batch = a->open;
    place->index = index;
    place->value_at = NULL;
    int64_t delta = r->timestamp - a->base_timestamp;
    if (__builtin_expect(a->defer && r->record.value.len >= a->defer, 0)) {
        a->at = ferry_build_record_reserve(at, &r->record, delta, (int32_t)index, &place->value_at);
        a->open->writers++;
        a->open->deferred = true;
    } else {
        a->at = ferry_build_record(at, &r->record, delta, (int32_t)index);
    }
    if (a->side_size) {
        a->side_at -= a->side_size;
        if (a->side == FERRY_SIDE_COOKIE)
            memcpy(a->side_at, &r->cookie, 8);
        else
            put_side(a->side_at, a->side, r);
        if ((a->side & FERRY_SIDE_EXPIRY) && r->expires_at < a->open->expires_at)
            a->open->expires_at = r->expires_at;
    }
    return 0;
}

/* What the open chunk holds is written down in it and in its batch. */
static void close_chunk(struct ferry_accum *a)
{
    struct ferry_accum_batch *b = a->open;
    struct ferry_chunk *k = b->last;
    uint32_t len = (uint32_t)(a->at - k->data);
    b->size += len - k->len;
    a->total += len - k->len;
    k->len = len;
    k->count = a->count - k->first;
    b->count = a->count;
    b->base_timestamp = a->base_timestamp;
    b->max_timestamp = a->max_timestamp;
}

/* The chunk just closed is full. All before it is summed, or it will not be here. */
static void sum_chunk(struct ferry_accum *a)
{
    struct ferry_accum_batch *b = a->open;
    size_t fresh = b->size - FERRY_BATCH_HEADER - b->summed;
    if (!a->sums || b->deferred)
        return;
    b->records_crc = ferry_crc32c(b->records_crc, b->last->data + b->last->len - fresh, fresh);
    b->summed += fresh;
}

/* Records go to chunk k from now on; the batch may grow by `budget` bytes more. */
static void open_chunk(struct ferry_accum *a, struct ferry_chunk *k, size_t budget)
{
    size_t room = k->cap - k->len;
    k->first = a->count;
    a->at = k->data + k->len;
    a->end = a->at + (budget < room ? budget : room);
    a->side_at = k->data + k->cap;
}

void ferry_accum_seal(struct ferry_accum *a)
{
    struct ferry_accum_batch *b = a->open;
    if (!b)
        return;
    close_chunk(a);
    b->sealed = true;
    a->hint = (uint32_t)(b->size + (size_t)b->count * a->side_size);
    if (a->hint > FERRY_CHUNK_LARGEST)
        a->hint = FERRY_CHUNK_LARGEST;
    a->open = NULL;
    a->at = a->end = a->side_at = NULL;
    a->count = 0;
    if (b->count == 0) { /* a batch was opened, and then no record came: out of memory in between */
        ferry_sealed_free(b);
        return;
    }
    ferry_list_push_back(&a->full, &b->link);
    a->full_count++;
}

static int open_batch(struct ferry_accum *a, size_t most, int64_t now, bool force)
{
    const struct ferry_accum_config *c = a->config;
    struct ferry_chunk *k;
    struct ferry_accum_batch *b = ferry_zalloc(c->object_size);
    if (!b)
        return FERRY_E_NOMEM;
    size_t need = FERRY_BATCH_HEADER + most + ferry_side_size(c->side);
    int rc = ferry_chunks_get(c->chunks, need, a->hint, force, &k);
    if (rc) {
        ferry_free(b);
        return rc;
    }
    k->len = FERRY_BATCH_HEADER;
    b->first = b->last = k;
    b->chunks = c->chunks;
    b->size = FERRY_BATCH_HEADER;
    b->side = c->side;
    b->opened_at = now;
    b->expires_at = INT64_MAX;
    b->id = c->ids ? atomic_fetch_add_explicit(c->ids, 1, memory_order_relaxed) + 1 : 0;
    a->open = b;
    a->count = 0;
    a->max_timestamp = INT64_MIN;
    a->count_max = c->batch_records ? c->batch_records : FERRY_ACCUM_RECORDS_MAX;
    a->side = c->side;
    a->side_size = ferry_side_size(c->side);
    a->defer = c->defer;
    size_t budget = c->batch_size > FERRY_BATCH_HEADER ? c->batch_size - FERRY_BATCH_HEADER : 0;
    if (budget < most) { /* larger than a batch: goes alone */
        budget = most;
        a->count_max = 1;
    }
    open_chunk(a, k, budget);
    return 0;
}

/* Another chunk for the open batch. FERRY_E_AGAIN if the batch is full. */
static int more_room(struct ferry_accum *a, size_t most, bool force)
{
    struct ferry_accum_batch *b = a->open;
    struct ferry_chunk *k;
    close_chunk(a);
    sum_chunk(a);
    if (b->size + most > a->config->batch_size || a->count == a->count_max)
        return FERRY_E_AGAIN;
    size_t budget = a->config->batch_size - b->size, want = 2 * (size_t)b->last->cap;
    /* As much as the rest of the batch can take, its side entries included at the rate so far. */
    size_t rest =
        budget + (size_t)((double)b->count * a->side_size * (double)budget / (double)b->size);
    int rc = ferry_chunks_get(a->config->chunks, most + a->side_size, want < rest ? want : rest,
                              force, &k);
    if (rc)
        return rc;
    b->last->next = k;
    b->last = k;
    open_chunk(a, k, budget);
    return 0;
}

int ferry_accum_make_room(struct ferry_accum *a, const struct ferry_accum_record *r, int64_t now,
                          bool force, unsigned *edges)
{
    size_t most = ferry_build_record_max(&r->record);
    *edges = 0;
    if (a->open) {
        int rc = more_room(a, most, force);
        if (rc != FERRY_E_AGAIN)
            return rc;
        ferry_accum_seal(a);
        *edges |= FERRY_ACCUM_FULL;
    }
    int rc = open_batch(a, most, now, force);
    if (!rc)
        *edges |= FERRY_ACCUM_OPENED;
    return rc;
}

bool ferry_accum_written(struct ferry_accum *a, struct ferry_accum_batch *b)
{
    FERRY_CHECK(b->writers > 0);
    return --b->writers == 0 && b->sealed;
}

struct ferry_accum_batch *ferry_accum_take(struct ferry_accum *a)
{
    if (ferry_list_empty(&a->full))
        return NULL;
    struct ferry_accum_batch *b = FERRY_CONTAINER(a->full.next, struct ferry_accum_batch, link);
    if (b->writers)
        return NULL;
    ferry_list_remove(&b->link);
    a->full_count--;
    return b;
}

int64_t ferry_accum_oldest(const struct ferry_accum *a)
{
    if (!ferry_list_empty(&a->full))
        return FERRY_CONTAINER(a->full.next, struct ferry_accum_batch, link)->opened_at;
    return a->open ? a->open->opened_at : INT64_MAX;
}
