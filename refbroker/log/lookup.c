/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * ListOffsets by time: the first record, in offset order, whose time is not before the target. The
 * first segment whose largest time reaches it, the time index, the offset index, then batch by
 * batch; the batch is read whole and its records looked through, expanded where it is compressed.
 */

#include "refbroker/log/seek.h"

enum { BATCH_LIMIT = 128 << 20, EXPAND_LIMIT = 64 << 20 };

static void next_segment(struct log_seek *);

static void lookup_finished(struct log_seek *s, int error)
{
    struct log_lookup *k = s->owner;
    k->seek = NULL;
    if (s->in_call) {
        s->result = error;
        return;
    }
    k->done(k, error);
}

static void answer(struct log_seek *s, int64_t offset, int64_t timestamp, int32_t epoch)
{
    struct log_lookup *k = s->owner;
    if (offset < s->upto) {
        k->offset = offset;
        k->timestamp = timestamp;
        k->leader_epoch = epoch;
    }
    log_seek_end(s, FERRY_OK);
}

static void walk_time(struct log_seek *, uint64_t position, bool trusted, int64_t offset);

/* Looks through the whole batch in s->big. True: answered. */
static bool look_into(struct log_seek *s)
{
    struct ferry_batch b;
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    struct ferry_slab *expanded = NULL;
    struct ferry_error err = {0};
    struct ferry_codecs *codecs;
    bool found = false;
    int rc = ferry_batch_parse(s->big, s->big_len, &b, &err);
    if (rc != FERRY_OK)
        return false;
    struct ferry_bytes records = b.records;
    if (ferry_batch_codec(&b) != FERRY_CODEC_NONE) {
        codecs = log_dir_codecs(s->log->dir);
        rc = codecs ? ferry_decompress(codecs, ferry_batch_codec(&b), b.records, EXPAND_LIMIT,
                                       &expanded, &err)
                    : FERRY_E_NOMEM;
        if (rc == FERRY_OK)
            records = (struct ferry_bytes){expanded ? expanded->data : NULL,
                                           expanded ? expanded->len : 0};
    }
    int64_t from = s->log->start;
    if (rc == FERRY_OK &&
        ferry_batch_iter_init(&it, &b, records, from, INT64_MAX, &err) == FERRY_OK) {
        while (!found && ferry_batch_iter_next(&it, &r, &err) > 0)
            if (r.timestamp >= s->target_time) {
                found = true;
                s->best = r.offset;
                s->key = r.timestamp;
            }
    } else {
        /* It cannot be looked into: the batch as a whole is the best that can be said. */
        found = true;
        s->best = b.base_offset > from ? b.base_offset : from;
        s->key = b.max_timestamp;
    }
    ferry_slab_unref(expanded);
    if (found)
        answer(s, s->best, s->key, b.leader_epoch);
    return found;
}

static void batch_read(struct log_seek *s)
{
    if (s->count < s->big_len) {
        log_seek_end(s, LOG_CORRUPT_MESSAGE);
        return;
    }
    if (!look_into(s))
        walk_time(s, s->position + s->header.size, true, INT64_MIN);
}

static void batch_found(struct log_seek *s)
{
    if (!s->walk_found) {
        s->segment_index++;
        next_segment(s);
        return;
    }
    if (s->header.base_offset >= s->upto) {
        log_seek_end(s, FERRY_OK);
        return;
    }
    s->big_len = s->header.size;
    if (s->big_len > BATCH_LIMIT ||
        ferry_grow((void **)&s->big, &s->big_cap, s->big_len, 1) != FERRY_OK) {
        log_seek_end(s, LOG_UNKNOWN_SERVER_ERROR);
        return;
    }
    log_seek_read(s, &s->segment->file, s->position, s->big, s->big_len, batch_read);
}

static void walk_time(struct log_seek *s, uint64_t position, bool trusted, int64_t offset)
{
    if (offset < s->log->start)
        offset = s->log->start;
    log_seek_walk(s, position, trusted, offset, s->wanted, batch_found);
}

/* The batch that the time index named is the first one that reaches its time, or the index is wrong. */
static void time_checked(struct log_seek *s)
{
    if (s->walk_found && s->header.last_offset == s->best &&
        s->header.max_timestamp == s->key_time) {
        walk_time(s, s->position, true, INT64_MIN);
        return;
    }
    log_say(s->log, LOG_WARN,
            "the time index of the segment from offset %lld is wrong; searching without it",
            (long long)s->segment->base);
    s->segment->times.suspect = true;
    walk_time(s, 0, true, INT64_MIN);
}

static void time_found(struct log_seek *s)
{
    if (!s->has_floor) {
        walk_time(s, 0, true, INT64_MIN);
        return;
    }
    s->best = s->floor_offset;
    s->key_time = s->floor_key;
    log_seek_locate(s, s->best, time_checked);
}

/*
 * A segment's largest time. The last entry of its time index says it, if the batch that it names agrees; batches behind
 * that one are looked at too (after a crash, or a file cut short, the index may lack some). Without such an entry every
 * header of the segment is read.
 */
static void times_walk(struct log_seek *s, uint64_t position);

static void times_step(struct log_seek *s)
{
    struct log_segment *g = s->segment;
    if (!s->walk_found) {
        g->times_known = true;
        s->after_times(s);
        return;
    }
    g->max_timestamp = s->header.max_timestamp;
    g->max_timestamp_last = s->header.last_offset;
    times_walk(s, s->position + s->header.size);
}

static void times_walk(struct log_seek *s, uint64_t position)
{
    log_seek_walk(s, position, true, INT64_MIN, s->segment->max_timestamp + 1, times_step);
}

static void times_checked(struct log_seek *s)
{
    struct log_segment *g = s->segment;
    if (s->walk_found && s->header.last_offset == s->best &&
        s->header.max_timestamp == s->key_time) {
        if (s->key_time > g->max_timestamp) {
            g->max_timestamp = s->key_time;
            g->max_timestamp_last = s->best;
        }
        times_walk(s, s->position + s->header.size);
        return;
    }
    log_say(s->log, LOG_WARN,
            "the time index of the segment from offset %lld is wrong; its batches are read instead",
            (long long)g->base);
    g->times.suspect = true;
    g->max_timestamp = g->max_timestamp_last = -1;
    times_walk(s, 0);
}

static void times_entry(struct log_seek *s, const uint8_t *entry)
{
    s->key_time = (int64_t)ferry_get64(entry);
    s->best = s->segment->base + (int32_t)ferry_get32(entry + 8);
    log_seek_locate(s, s->best, times_checked);
}

static void times_read(struct log_seek *s)
{
    if (s->count == LOG_INDEX_TIME_ENTRY) {
        times_entry(s, s->buffer);
        return;
    }
    times_walk(s, 0);
}

static void times_opened(struct log_seek *s)
{
    struct log_index *x = &s->segment->times;
    uint64_t size = x->file.is_open ? x->file.size : 0;
    if (size < x->size)
        x->size = size / x->entry * x->entry;
    if (x->size == 0)
        times_walk(s, 0);
    else
        log_seek_read(s, &x->file, x->size - x->entry, s->buffer, x->entry, times_read);
}

/* then runs with times_known. */
static void know_times(struct log_seek *s, void (*then)(struct log_seek *))
{
    struct log_index *x = &s->segment->times;
    s->after_times = then;
    if (s->segment->times_known)
        then(s);
    else if (x->suspect)
        times_walk(s, 0);
    else if (x->has_last)
        times_entry(s, x->last);
    else
        log_seek_read(s, &x->file, 0, s->buffer, 0, times_opened);
}

static void segment_known(struct log_seek *s)
{
    struct log_segment *g = s->segment;
    struct log_lookup *k = s->owner;
    if (k && k->target == LOG_MAX_TIMESTAMP && !s->have_end) {
        /* First round: which segment has the largest time? */
        if (g->max_timestamp > s->wanted && g->written) {
            s->wanted = g->max_timestamp;
            s->start = s->segment_index;
        }
        s->segment_index++;
        next_segment(s);
        return;
    }
    if (g->max_timestamp < s->wanted) {
        s->segment_index++;
        next_segment(s);
        return;
    }
    log_seek_floor(s, LOG_KEY_TIME, s->wanted, time_found);
}

static void next_segment(struct log_seek *s)
{
    struct log_private *p = s->log->private;
    struct log_lookup *k = s->owner;
    if (s->segment_index >= p->count && k && k->target == LOG_MAX_TIMESTAMP && !s->have_end &&
        s->wanted >= 0) {
        s->have_end = true;
        s->segment_index = s->start;
    }
    if (s->segment_index >= p->count) {
        log_seek_end(s, FERRY_OK);
        return;
    }
    log_seek_at(s, p->segments[s->segment_index]);
    know_times(s, segment_known);
}

int log_lookup(struct log *l, struct log_lookup *k)
{
    k->offset = k->timestamp = -1;
    k->leader_epoch = -1;
    k->seek = NULL;
    k->log = l;
    if (l->dir->offline || l->private->broken || !l->is_open)
        return LOG_STORAGE_ERROR;
    int64_t upto = k->upto < l->end ? k->upto : l->end;
    if (k->target == LOG_LATEST || k->target == LOG_EARLIEST || k->target == LOG_EARLIEST_LOCAL) {
        k->offset = k->target == LOG_LATEST ? upto : l->start;
        k->leader_epoch = k->target == LOG_LATEST ? log_epochs_latest(&l->private->epochs)
                                                  : log_epochs_at(&l->private->epochs, k->offset);
        return FERRY_OK;
    }
    if (k->target < LOG_MAX_TIMESTAMP || upto <= l->start)
        return FERRY_OK;
    struct log_seek *s = log_seek_new(l);
    if (!s)
        return FERRY_E_NOMEM;
    s->owner = k;
    s->finish = lookup_finished;
    s->upto = upto;
    s->wanted = k->target == LOG_MAX_TIMESTAMP ? -1 : k->target;
    s->segment_index = log_segment_find(l, l->start);
    k->seek = s;
    return log_seek_run(s, next_segment);
}

void log_lookup_cancel(struct log_lookup *k)
{
    if (k->seek)
        log_seek_cancel(k->seek);
    k->seek = NULL;
}

/* ---- for retention ---- */

static void times_finished(struct log_seek *s, int error)
{
    s->segment->times_wanted = false;
    log_later(s->log);
}

static void times_done(struct log_seek *s)
{
    log_seek_end(s, FERRY_OK);
}

int log_segment_load_times(struct log_segment *g)
{
    if (g->times_wanted)
        return FERRY_OK;
    struct log_seek *s = log_seek_new(g->log);
    if (!s)
        return FERRY_E_NOMEM;
    g->times_wanted = true;
    s->finish = times_finished;
    log_seek_at(s, g);
    know_times(s, times_done);
    return FERRY_OK;
}
