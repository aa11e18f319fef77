/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Appending: a batch is checked, gets its offset, epoch and perhaps time in place, is noted in
 * indexes and producer state, and written as it stands in the slab it was received in.
 *
 *   append -> (queued while a task runs) -> refused
 *                                        -> duplicate -> waiting for its original -> done
 *                                        -> inflight -> written -> (waiting for the flush) -> done
 *                                                    -> failed  -> every append from here on fails,
 * log_repair
 */

#include "base/plant.h"
#include "refbroker/log/internal.h"

#include <stdio.h>

enum append_state { APPEND_BEGUN, APPEND_WRITTEN, APPEND_FAILED };
enum {
    EXPAND_LIMIT = 64 << 20
}; /* bytes that a compressed batch may expand to when it is looked into */

void log_append_finish(struct log_append *a, int error)
{
    struct ferry_slab *slab = a->private.slab;
    a->private.log = NULL;
    a->private.slab = NULL;
    a->done(a, error);
    ferry_slab_unref(slab);
}

static int refuse(struct log_append *a, int error, const char *why)
{
    snprintf(a->text, sizeof a->text, "%.*s", (int)sizeof a->text - 1, why);
    return error;
}

/* ---- checks of what a client sent ---- */

static int header_error(int rc)
{
    switch (rc) {
    case FERRY_E_INVALID:
        return LOG_INVALID_RECORD;
    case FERRY_E_UNSUPPORTED:
        return LOG_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    default:
        return LOG_CORRUPT_MESSAGE;
    }
}

int log_plain_records(struct log *l, const struct ferry_batch *b, struct ferry_bytes *records,
                      struct ferry_slab **expanded, struct ferry_error *err)
{
    *records = b->records;
    if (ferry_batch_codec(b) == FERRY_CODEC_NONE)
        return FERRY_OK;
    struct ferry_codecs *codecs = log_dir_codecs(l->dir);
    if (!codecs)
        return FERRY_E_NOMEM;
    int rc =
        ferry_decompress(codecs, ferry_batch_codec(b), b->records, EXPAND_LIMIT, expanded, err);
    if (rc == FERRY_OK)
        *records = (struct ferry_bytes){*expanded ? (*expanded)->data : NULL,
                                        *expanded ? (*expanded)->len : 0};
    return rc;
}

static bool time_is_wrong(const struct log *l, int64_t t, int64_t wall)
{
    const struct log_config *c = &l->config;
    if (t < 0)
        return false;
    return (t < wall && wall - t > c->timestamp_before_max_ms) ||
           (t > wall && t - wall > c->timestamp_after_max_ms);
}

static int check_times(struct log *l, struct log_append *a, int64_t low, int64_t high)
{
    int64_t wall = l->dir->files->wall;
    if (l->config.append_time)
        return FERRY_OK;
    if (time_is_wrong(l, high, wall) || time_is_wrong(l, low, wall))
        return refuse(a, LOG_INVALID_TIMESTAMP,
                      "a record's timestamp is outside what message.timestamp.before.max.ms and "
                      "message.timestamp.after.max.ms allow");
    return FERRY_OK;
}

static int check_records(struct log *l, struct log_append *a, struct ferry_batch *b)
{
    const struct log_config *c = &l->config;
    struct ferry_slab *expanded = NULL;
    struct ferry_bytes records;
    struct ferry_batch_walked w = {.bad_index = -1};
    struct ferry_error err = {0};
    bool plain = ferry_batch_codec(b) == FERRY_CODEC_NONE;
    if (!plain && !c->cleanup_compact && !c->validate_deep && !log_recode_wanted(l, b))
        return check_times(l, a, b->base_timestamp, b->max_timestamp);
    int rc = log_plain_records(l, b, &records, &expanded, &err);
    if (rc == FERRY_OK) {
        unsigned flags =
            FERRY_BATCH_WALK_DENSE | (c->cleanup_compact ? FERRY_BATCH_WALK_KEYED : 0u);
        rc = ferry_batch_walk(b, records, flags, &w, &err);
    }
    ferry_slab_unref(expanded);
    if (rc == FERRY_E_NOMEM)
        return refuse(a, LOG_UNKNOWN_SERVER_ERROR, "out of memory");
    if (rc == FERRY_E_UNSUPPORTED)
        return refuse(a, LOG_UNSUPPORTED_COMPRESSION_TYPE, err.text);
    if (rc != FERRY_OK) {
        a->bad_index = w.bad_index;
        return refuse(a, LOG_INVALID_RECORD, err.text);
    }
    if (plain && w.max_timestamp != b->max_timestamp && !c->append_time) {
        ferry_batch_patch_max_timestamp(a->data, b->size, w.max_timestamp);
        b->max_timestamp = w.max_timestamp;
    }
    rc = check_times(l, a, w.min_timestamp, w.max_timestamp);
    if (rc != FERRY_OK && time_is_wrong(l, w.max_timestamp, l->dir->files->wall))
        a->bad_index = (int32_t)(w.max_timestamp_offset - b->base_offset);
    return rc;
}

static int check_leader(struct log *l, struct log_append *a, struct ferry_batch *b)
{
    struct ferry_error err = {0};
    if (a->len > (uint64_t)l->config.segment_bytes)
        return refuse(a, LOG_RECORD_LIST_TOO_LARGE, "the batch is larger than segment.bytes");
    if (a->flags & LOG_APPEND_INTERNAL) {
        int rc = ferry_batch_parse(a->data, a->len, b, &err);
        FERRY_CHECK(rc == FERRY_OK && b->size == a->len && b->magic == 2);
        return FERRY_OK;
    }
    if (a->len > (uint64_t)l->config.max_message_bytes)
        return refuse(a, LOG_MESSAGE_TOO_LARGE, "the batch is larger than max.message.bytes");
    int rc = ferry_batch_check_produced((struct ferry_bytes){a->data, a->len}, b, &err);
    if (rc != FERRY_OK)
        return refuse(a, header_error(rc), err.text);
    return check_records(l, a, b);
}

/* ---- writing ---- */

int log_roll(struct log *l)
{
    struct log_segment *old = log_active(l);
    struct log_segment *s = log_segment_new(l, l->private->next, true);
    if (!s)
        return FERRY_E_NOMEM;
    if (log_segment_push(l, s) != FERRY_OK) {
        log_segment_destroy(s);
        return FERRY_E_NOMEM;
    }
    log_segment_seal(old);
    log_checkpoint_take(l);
    return FERRY_OK;
}

static void written(struct log_op *op, int status, uint64_t count);

/* The bytes at data begin `position` in the active segment; everything is noted. */
static void begin_write(struct log *l, struct log_append *a)
{
    struct log_private *p = l->private;
    struct log_segment *s = log_active(l);
    a->private.segment = s;
    a->private.position = s->size;
    a->private.upto = p->next;
    a->private.state = APPEND_BEGUN;
    a->private.op.done = written;
    s->size += a->len;
    l->size += a->len;
    p->checkpoint_bytes += a->len;
    ferry_list_push_back(&p->inflight, &a->private.link);
    log_file_write(&s->file, &a->private.op, a->private.position, a->data, a->len);
    if (p->checkpoint_bytes >= LOG_CHECKPOINT_BYTES)
        log_checkpoint_take(l);
}

/* Notes one batch that is about to be written. FERRY_E_NOMEM leaves the log to be repaired. */
static int note_batch(struct log *l, const struct ferry_batch *b, uint64_t position)
{
    struct log_private *p = l->private;
    bool added;
    if (log_producers_add(&p->producers, b, b->base_offset, l->dir->files->wall) != FERRY_OK ||
        log_epochs_note(&p->epochs, b->leader_epoch, b->base_offset, &added) != FERRY_OK)
        return FERRY_E_NOMEM;
    p->epochs_dirty |= added;
    log_segment_note(log_active(l), b, position);
    log_near_put(l, log_active(l), b->base_offset, position);
    p->next = b->last_offset + 1;
    p->unflushed_records += b->last_offset - b->base_offset + 1;
    return FERRY_OK;
}

/* What is below it may be acknowledged. */
static int64_t answerable_end(const struct log *l)
{
    return FERRY_PLANTED(ACK_UNFLUSHED) ? l->end : log_stable_end(l);
}

/* Answered when the batch it repeats is as safe as it must be. */
static void wait_for_original(struct log *l, struct log_append *a,
                              const struct log_producer_batch *seen)
{
    a->duplicate = true;
    a->last_offset = seen->last_offset;
    a->base_offset = seen->last_offset - seen->offset_delta + FERRY_PLANTED(DUPLICATE_MISPLACED);
    if (l->config.append_time)
        a->append_time = seen->timestamp;
    a->private.upto = seen->last_offset + 1;
    if (answerable_end(l) >= a->private.upto)
        log_append_finish(a, FERRY_OK);
    else
        ferry_list_push_back(&l->private->waiting, &a->private.link);
}

static int lead(struct log *l, struct log_append *a)
{
    struct log_private *p = l->private;
    const struct log_producer_batch *seen;
    struct ferry_batch b;
    int rc = check_leader(l, a, &b);
    if (rc != FERRY_OK)
        return rc;
    if (!ferry_batch_is_control(&b)) {
        rc = log_producers_check(&p->producers, &b, &seen);
        if (rc == 1) {
            wait_for_original(l, a, seen);
            return FERRY_OK;
        }
        if (rc != FERRY_OK)
            return refuse(a, rc,
                          rc == LOG_INVALID_PRODUCER_EPOCH ? "a newer producer epoch was seen"
                                                           : "the sequence number does not follow");
    }
    if (!(a->flags & LOG_APPEND_INTERNAL) && log_recode_wanted(l, &b) &&
        (rc = log_recode(l, a, &b)) != FERRY_OK)
        return rc;
    int64_t delta = b.last_offset - b.base_offset;
    b.base_offset = p->next;
    b.last_offset = p->next + delta;
    b.leader_epoch = a->private.epoch;
    if (l->config.append_time && !(a->flags & LOG_APPEND_INTERNAL)) {
        a->append_time = l->dir->files->wall;
        ferry_batch_patch_append_time(a->data, b.size, a->append_time);
        b.max_timestamp = a->append_time;
    }
    ferry_batch_patch_offset(a->data, b.base_offset);
    ferry_batch_patch_epoch(a->data, b.leader_epoch);
    a->base_offset = b.base_offset;
    a->last_offset = b.last_offset;
    if (log_segment_full(log_active(l), b.last_offset, b.size, b.max_timestamp,
                         l->dir->files->wall) &&
        log_roll(l) != FERRY_OK)
        return refuse(a, LOG_UNKNOWN_SERVER_ERROR, "out of memory");
    if (note_batch(l, &b, log_active(l)->size) != FERRY_OK) {
        log_repair(l);
        return refuse(a, LOG_UNKNOWN_SERVER_ERROR, "out of memory");
    }
    begin_write(l, a);
    return FERRY_OK;
}

static int follow(struct log *l, struct log_append *a)
{
    struct log_private *p = l->private;
    struct ferry_batch_set set;
    struct ferry_batch b, first = {0};
    struct ferry_error err = {0};
    int64_t expected = p->next;
    int rc;
    ferry_batch_set_init(&set, (struct ferry_bytes){a->data, a->len});
    while ((rc = ferry_batch_set_next(&set, &b, &err)) > 0) {
        if ((rc = ferry_batch_check_crc(&b, &err)) != FERRY_OK)
            break;
        if (b.base_offset < expected)
            return refuse(a, LOG_OFFSET_OUT_OF_RANGE, "the leader's batch begins before our end");
        if (!first.size)
            first = b;
        expected = b.last_offset + 1;
    }
    if (rc < 0 || !first.size || set.truncated)
        return refuse(a, LOG_CORRUPT_MESSAGE, rc < 0 ? err.text : "no whole batch");
    a->base_offset = first.base_offset;
    a->last_offset = expected - 1;
    if (log_segment_full(log_active(l), a->last_offset, a->len, first.max_timestamp,
                         l->dir->files->wall)) {
        if (log_roll(l) != FERRY_OK)
            return refuse(a, LOG_UNKNOWN_SERVER_ERROR, "out of memory");
    }
    ferry_batch_set_init(&set, (struct ferry_bytes){a->data, a->len});
    uint64_t start = log_active(l)->size;
    while (ferry_batch_set_next(&set, &b, NULL) > 0) {
        if (note_batch(l, &b, start + (uint64_t)(b.data - a->data)) != FERRY_OK) {
            log_repair(l);
            return refuse(a, LOG_UNKNOWN_SERVER_ERROR, "out of memory");
        }
    }
    begin_write(l, a);
    return FERRY_OK;
}

static void append_now(struct log *l, struct log_append *a)
{
    int rc;
    if (l->private->broken || l->private->closing || l->dir->offline)
        rc = refuse(a, LOG_STORAGE_ERROR, "the log cannot be written");
    else
        rc = a->private.as_leader ? lead(l, a) : follow(l, a);
    if (rc != FERRY_OK)
        log_append_finish(a, rc);
}

/* The active segment's file is being made: what would come behind it waits, lest a crash keeps a later segment and not
 * this one. */
static bool is_making_file(const struct log *l)
{
    return !ferry_list_empty(&l->private->inflight) && !log_active(l)->file.is_open;
}

static void append(struct log *l, struct log_append *a)
{
    struct log_private *p = l->private;
    a->base_offset = a->last_offset = a->append_time = -1;
    a->bad_index = -1;
    a->duplicate = false;
    a->text[0] = '\0';
    memset(&a->private.op, 0, sizeof a->private.op);
    a->private.link.next = NULL;
    a->private.log = l;
    a->private.slab = ferry_slab_ref(a->slab);
    if (p->gone) {
        log_append_finish(a, LOG_STORAGE_ERROR);
        return;
    }
    if (!l->is_open || p->task || p->repairing || !ferry_list_empty(&p->tasks) ||
        !ferry_list_empty(&p->queued) || is_making_file(l))
        ferry_list_push_back(&p->queued, &a->private.link);
    else
        append_now(l, a);
}

void log_append_as_leader(struct log *l, struct log_append *a, int32_t leader_epoch)
{
    a->private.as_leader = true;
    a->private.epoch = leader_epoch;
    append(l, a);
}

void log_append_as_follower(struct log *l, struct log_append *a)
{
    a->private.as_leader = false;
    append(l, a);
}

void log_append_run_queue(struct log *l)
{
    struct log_private *p = l->private;
    struct ferry_link *link;
    while (l->is_open && !p->task && !p->repairing && ferry_list_empty(&p->tasks) &&
           !is_making_file(l) && (link = ferry_list_pop_front(&p->queued)) != NULL)
        append_now(l, FERRY_CONTAINER(link, struct log_append, private.link));
}

/* ---- completion ---- */

/* The producer of a batch that failed must begin with it again. */
static void expect_again(struct log *l, const struct log_append *a)
{
    struct log_private *p = l->private;
    struct ferry_batch b;
    if (!a->private.as_leader || ferry_batch_parse(a->data, a->len, &b, NULL) != FERRY_OK ||
        b.producer_id < 0 || ferry_batch_is_control(&b) ||
        FERRY_GROW(p->expected, p->expected_cap, p->expected_count + 1) != FERRY_OK)
        return;
    p->expected[p->expected_count++] =
        (struct log_expected){b.producer_id, b.base_sequence, b.producer_epoch};
}

/* Everything in flight has ended, and the first of it failed. */
static void fail_inflight(struct log *l)
{
    struct ferry_link failed, *link;
    ferry_list_init(&failed);
    while ((link = ferry_list_pop_front(&l->private->inflight)) != NULL)
        ferry_list_push_back(&failed, link);
    log_repair(l);
    log_append_fail_beyond(l);
    while ((link = ferry_list_pop_front(&failed)) != NULL) {
        struct log_append *a = FERRY_CONTAINER(link, struct log_append, private.link);
        expect_again(l, a);
        const char *why = a->private.status == FERRY_E_NO_SPACE ? "no space left on the disk"
                                                                : "the write failed";
        log_append_finish(a, refuse(a, LOG_STORAGE_ERROR, why));
    }
}

static bool all_ended(const struct log_private *p)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &p->inflight)
    {
        if (FERRY_CONTAINER(it, struct log_append, private.link)->private.state == APPEND_BEGUN)
            return false;
    }
    return true;
}

static void written(struct log_op *op, int status, uint64_t count)
{
    struct log_append *a = FERRY_CONTAINER(op, struct log_append, private.op);
    struct log *l = a->private.log;
    struct log_private *p = l->private;
    struct ferry_link ready, *link;
    if (status == FERRY_OK && count != a->len)
        status = FERRY_E_IO;
    if (FERRY_PLANTED(SHORT_WRITE_KEPT))
        status = FERRY_OK;
    a->private.state = status == FERRY_OK ? APPEND_WRITTEN : APPEND_FAILED;
    a->private.status = status;
    log_hold(l);
    ferry_list_init(&ready);
    while (!ferry_list_empty(&p->inflight)) {
        a = FERRY_CONTAINER(p->inflight.next, struct log_append, private.link);
        if (a->private.state != APPEND_WRITTEN)
            break;
        ferry_list_remove(&a->private.link);
        ferry_list_push_back(&ready, &a->private.link);
        a->private.segment->written = a->private.position + a->len;
        l->end = a->private.upto;
        if (!a->private.segment->held) {
            log_file_pin(&a->private.segment->file);
            a->private.segment->held = true;
        }
    }
    while ((link = ferry_list_pop_front(&ready)) != NULL)
        ferry_list_push_back(&p->waiting, link);
    if (p->dirty_since == FERRY_NEVER && l->end > l->flushed)
        p->dirty_since = l->dir->files->now, log_note_due(l);
    if (l->dir->offline) /* nobody vouches for what is written now */
        log_fail_appends(l, LOG_STORAGE_ERROR);
    log_moved(l);
    if (!ferry_list_empty(&p->inflight) && all_ended(p))
        fail_inflight(l);
    log_pump(l);
    log_drop(l);
}

void log_append_fail_beyond(struct log *l)
{
    struct ferry_link *it, *tmp, gone;
    ferry_list_init(&gone);
    FERRY_LIST_EACH(it, tmp, &l->private->waiting)
    {
        if (FERRY_CONTAINER(it, struct log_append, private.link)->private.upto > l->end) {
            ferry_list_remove(it);
            ferry_list_push_back(&gone, it);
        }
    }
    while ((it = ferry_list_pop_front(&gone)) != NULL) {
        struct log_append *a = FERRY_CONTAINER(it, struct log_append, private.link);
        log_append_finish(a, refuse(a, LOG_STORAGE_ERROR, "the batch is not in the log any more"));
    }
}

void log_append_release(struct log *l)
{
    struct log_private *p = l->private;
    struct ferry_link *it, *tmp, ready;
    int64_t stable = answerable_end(l);
    ferry_list_init(&ready);
    FERRY_LIST_EACH(it, tmp, &p->waiting)
    {
        if (FERRY_CONTAINER(it, struct log_append, private.link)->private.upto <= stable) {
            ferry_list_remove(it);
            ferry_list_push_back(&ready, it);
        }
    }
    while ((it = ferry_list_pop_front(&ready)) != NULL)
        log_append_finish(FERRY_CONTAINER(it, struct log_append, private.link), FERRY_OK);
}
