/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking a fetched buffer. The hot path of consuming: one call of ferry_batch_iter_next and one filled struct for a
 * record; everything else happens once a batch.
 *
 * Invariants:
 *  1. `next` is the offset at which the walk goes on: never below `from`, and never past a record that was not given.
 *  2. have_batch: `batch` is the one under way. in_batch: and `iter` walks its records.
 *  3. An error changes nothing: asked again, the walk gives the same error, until skip.
 */
#include "config.h"

#include "client/fetcher_buffer.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/consumer.h"
#include "record/batch_next.h"

static void drop(struct ferry_delivery *d)
{
    ferry_fetcher_buffer_unref(FERRY_CONTAINER(d, struct ferry_fetched, delivery));
}

struct ferry_fetched *ferry_fetcher_buffer_new(struct ferry_consumer_part *part,
                                               struct ferry_consumer_shared *shared,
                                               struct ferry_slab *frame, struct ferry_bytes bytes,
                                               size_t aborted_count)
{
    struct ferry_fetched *f = ferry_zalloc(sizeof *f + aborted_count * sizeof f->aborted[0]);
    if (!f)
        return NULL;
    f->delivery.type = FERRY_CONSUMER_FETCHED;
    f->delivery.drop = drop;
    atomic_init(&f->refs, 1);
    f->part = ferry_consumer_part_ref(part);
    f->shared = ferry_consumer_shared_ref(shared);
    f->frame = frame ? ferry_slab_ref(frame) : NULL;
    f->bytes = bytes;
    f->aborted_count = aborted_count;
    f->next_leader_epoch = -1;
    ferry_batch_set_init(&f->set, bytes);
    atomic_fetch_add(&shared->held, (int64_t)bytes.len);
    return f;
}

static void free_expanded(struct ferry_fetched *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        f->expanded_bytes -= f->expanded[i]->len;
        ferry_slab_unref(f->expanded[i]);
    }
    f->expanded_count -= count;
    if (f->expanded_count)
        memmove(f->expanded, f->expanded + count, f->expanded_count * sizeof *f->expanded);
}

static void free_bytes(struct ferry_fetched *f)
{
    free_expanded(f, f->expanded_count);
    ferry_slab_unref(f->frame);
    f->frame = NULL;
    atomic_fetch_sub(&f->shared->held, (int64_t)f->bytes.len);
    f->bytes = (struct ferry_bytes){NULL, 0};
}

void ferry_fetcher_buffer_empty(struct ferry_fetched *f)
{
    if (atomic_load_explicit(&f->refs, memory_order_acquire) > 1)
        return;
    free_bytes(f);
    f->have_batch = f->in_batch = false;
    f->ended = true;
}

void ferry_fetcher_buffer_unref(struct ferry_fetched *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
        return;
    free_bytes(f);
    ferry_free(f->expanded);
    ferry_consumer_shared_unref(f->shared);
    ferry_consumer_part_unref(f->part);
    ferry_free(f);
}

void ferry_fetcher_buffer_trim(struct ferry_fetched *f)
{
    size_t keep = f->in_batch && ferry_batch_codec(&f->batch) ? 1 : 0;
    if (f->expanded_count > keep && atomic_load_explicit(&f->refs, memory_order_acquire) == 1)
        free_expanded(f, f->expanded_count - keep);
}

/* ---- batches ---- */

/* Aborted transactions that begin at or before `offset` are in force now. */
static void activate(struct ferry_fetched *f, int64_t offset)
{
    for (size_t i = 0; i < f->aborted_count; i++)
        if (f->aborted[i].first <= offset) {
            f->aborted[i].active = true;
            f->aborted[i].first = INT64_MAX;
        }
}

static bool is_aborted(const struct ferry_fetched *f, int64_t producer_id)
{
    for (size_t i = 0; i < f->aborted_count; i++)
        if (f->aborted[i].active && f->aborted[i].producer_id == producer_id)
            return true;
    return false;
}

/* A control batch: an abort marker ends its producer's aborted transaction. */
static void see_control(struct ferry_fetched *f)
{
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    if (!f->aborted_count || ferry_batch_codec(&f->batch) ||
        ferry_batch_iter_init(&it, &f->batch, f->batch.records, 0, INT64_MAX, NULL) ||
        ferry_batch_iter_next(&it, &r, NULL) != 1 ||
        ferry_batch_control_type(&r, NULL) != FERRY_CONTROL_ABORT)
        return;
    for (size_t i = 0; i < f->aborted_count; i++)
        if (f->aborted[i].active && f->aborted[i].producer_id == f->batch.producer_id)
            f->aborted[i].active = false;
}

/* Expands the batch's records into a slab of the buffer's own. */
static int expand(struct ferry_fetched *f, struct ferry_bytes *records, struct ferry_error *err)
{
    struct ferry_slab *out = NULL;
    size_t limit = f->expand_limit > f->expanded_bytes ? f->expand_limit - f->expanded_bytes : 0;
    if (FERRY_GROW(f->expanded, f->expanded_cap, f->expanded_count + 1))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory to expand a batch");
    struct ferry_codecs *codecs = atomic_exchange(&f->shared->codecs, NULL);
    if (!codecs && !(codecs = ferry_codecs_new()))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory to expand a batch");
    int rc =
        ferry_decompress(codecs, ferry_batch_codec(&f->batch), f->batch.records, limit, &out, err);
    ferry_codecs_free(atomic_exchange(&f->shared->codecs, codecs));
    if (rc) {
        ferry_slab_unref(out);
        return rc;
    }
    if (!out && !(out = ferry_slab_new(1)))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory to expand a batch");
    f->expanded[f->expanded_count++] = out;
    f->expanded_bytes += out->len;
    *records = (struct ferry_bytes){out->data, out->len};
    return FERRY_OK;
}

static void end_batch(struct ferry_fetched *f)
{
    f->have_batch = f->in_batch = false;
    if (f->batch.last_offset >= f->next) {
        f->next = f->batch.last_offset + 1;
        f->next_leader_epoch = f->batch.leader_epoch;
    }
}

/* Words an error with where it is. */
static int fail_at(const struct ferry_fetched *f, int code, const struct ferry_error *why,
                   struct ferry_error *err)
{
    return ferry_fail(err, code, "%.*s [%d] at offset %lld: %.300s", (int)f->part->topic.len,
                      f->part->topic.data, (int)f->part->partition, (long long)f->next, why->text);
}

/* Begins with the batch under way, or passes over it. 1: in_batch, 0: passed over, or an error. */
static int enter_batch(struct ferry_fetched *f, struct ferry_error *err)
{
    const struct ferry_batch *b = &f->batch;
    struct ferry_bytes records = b->records;
    if (b->last_offset < f->next) {
        end_batch(f);
        return 0;
    }
    int rc = f->check_crc ? ferry_batch_check_crc(b, err) : 0;
    if (rc)
        return rc;
    if (f->aborted_count)
        activate(f, b->last_offset);
    if (ferry_batch_is_control(b)) {
        see_control(f);
        end_batch(f);
        return 0;
    }
    if (f->aborted_count && ferry_batch_is_transactional(b) && is_aborted(f, b->producer_id)) {
        end_batch(f);
        return 0;
    }
    if (ferry_batch_codec(b) && (rc = expand(f, &records, err)))
        return rc;
    if ((rc = ferry_batch_iter_init(&f->iter, b, records, f->next, f->upto, err)))
        return rc;
    f->in_batch = true;
    return 1;
}

/* 1: in_batch; 0: the end of the buffer; or an error. */
static int find_batch(struct ferry_fetched *f, struct ferry_error *err)
{
    struct ferry_error why;
    int rc = 0;
    why.text[0] = 0;
    while (!f->in_batch && !f->ended) {
        if (!f->have_batch) {
            rc = ferry_batch_set_next(&f->set, &f->batch, &why);
            f->have_batch = rc > 0;
            f->ended = rc == 0;
        }
        if (rc >= 0 && f->have_batch)
            rc = enter_batch(f, &why);
        if (rc < 0)
            return fail_at(f, rc, &why, err);
    }
    if (f->ended && f->next < f->upto)
        f->next = f->upto;
    return f->in_batch;
}

/* ---- records ---- */

/* Records of the batch under way, decoded straight into the caller's structs. Ends the batch if they are its last. */
static int32_t walk(struct ferry_fetched *f, struct ferry_message *out, int32_t max, int *rc,
                    struct ferry_error *why)
{
    const char *topic = f->part->topic.data;
    const int32_t partition = f->part->partition, leader_epoch = f->batch.leader_epoch;
    const int8_t time_type = (f->batch.attributes & FERRY_BATCH_LOG_APPEND_TIME) != 0;
    struct ferry_batch_iter it = f->iter;
    struct ferry_message *m = out, *const end = out + max;
    *rc = 1;
    for (; m < end; m++) {
        struct ferry_batch_record r;
        if ((*rc = ferry_batch_iter_next_inline(&it, &r, why)) <= 0)
            break;
        m->offset = r.offset;
        m->timestamp = r.timestamp;
        m->key = r.key.data;
        m->value = r.value.data;
        m->headers = r.headers.data;
        m->key_len = r.key.data ? (int32_t)r.key.len : -1;
        m->value_len = r.value.data ? (int32_t)r.value.len : -1;
        m->headers_len = (int32_t)r.headers.len;
        m->header_count = r.header_count;
        m->topic = topic;
        m->buffer = f;
        m->partition = partition;
        m->error = 0;
        m->leader_epoch = leader_epoch;
        m->timestamp_type = time_type;
        memset(m->reserved, 0, sizeof m->reserved);
    }
    f->iter = it;
    if (m > out) {
        f->next = m[-1].offset + 1;
        f->next_leader_epoch = leader_epoch;
    }
    if (*rc == 0)
        end_batch(f);
    return (int32_t)(m - out);
}

int32_t ferry_fetcher_buffer_next(struct ferry_fetched *f, struct ferry_message *out, int32_t max,
                                  struct ferry_error *err)
{
    int32_t n = 0;
    while (n < max) {
        struct ferry_error why;
        why.text[0] = 0;
        int rc = find_batch(f, n ? NULL : err);
        if (rc <= 0)
            return n ? n : rc;
        n += walk(f, out + n, max - n, &rc, &why);
        if (rc < 0)
            return n ? n : fail_at(f, rc, &why, err);
    }
    return n;
}

void ferry_fetcher_buffer_skip(struct ferry_fetched *f)
{
    if (f->have_batch) {
        end_batch(f);
        return;
    }
    f->ended = true;
    if (f->next < f->upto)
        f->next = f->upto;
}

void ferry_fetcher_buffer_cut(struct ferry_fetched *f)
{
    f->have_batch = f->in_batch = f->stuck = false;
    f->ended = true;
    f->upto = f->next;
}

int32_t ferry_message_header(const struct ferry_message *message, int32_t *at, const char **name,
                             int32_t *name_len, const uint8_t **value, int32_t *value_len)
{
    /* *at is the byte at which the next header begins; how many are left follows from the bytes left. */
    if (!message || !at || *at < 0 || *at > message->headers_len)
        return FERRY_E_INVALID;
    if (*at == message->headers_len)
        return 0;
    struct ferry_batch_headers h = {message->headers + *at, message->headers + message->headers_len,
                                    2};
    struct ferry_batch_header header;
    int rc = ferry_batch_headers_next(&h, &header, NULL);
    if (rc <= 0)
        return rc ? rc : FERRY_E_PROTOCOL;
    *at = (int32_t)(h.at - message->headers);
    *name = header.key.data;
    *name_len = (int32_t)header.key.len;
    *value = header.value.data;
    *value_len = header.value.data ? (int32_t)header.value.len : -1;
    return 1;
}
