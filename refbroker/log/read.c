/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Reads for Fetch: a range of one segment file.
 *
 * Where both ends are known (a consumer near the end, or one that goes on where its last read
 * ended) the answer is given at once; else a seek finds, in this order: the batch that holds the
 * offset, where `upto` is, a boundary within max_bytes, and the file open.
 */

#include "refbroker/log/seek.h"

static void read_next(struct log_seek *);

/* Where reading in segment i must end at the latest. False: to be searched. */
static bool known_limit(struct log *l, size_t i, int64_t upto, uint64_t *end)
{
    struct log_segment *g = l->private->segments[i];
    if (upto >= log_segment_end(l, i)) {
        *end = g->written;
        return true;
    }
    return log_near_get(l, g, upto, end);
}

static void give(struct log_read *r, struct log_segment *g, uint64_t start, uint64_t end)
{
    r->segment = g;
    r->file = g->file.id;
    r->position = start;
    r->length = end - start;
    log_segment_pin(g);
    log_file_pin(&g->file);
}

void log_unpin(struct log_segment *g)
{
    log_file_unpin(&g->file);
    log_segment_unpin(g);
}

static void read_finished(struct log_seek *s, int error)
{
    struct log_read *r = s->owner;
    r->seek = NULL;
    if (s->in_call) {
        s->result = error;
        return;
    }
    r->done(r, error);
}

static void read_found(struct log_seek *s)
{
    struct log_read *r = s->owner;
    if (s->end > s->start) {
        if (!s->segment->file.is_open) {
            log_seek_open(s, read_found);
            return;
        }
        give(r, s->segment, s->start, s->end);
    }
    log_seek_end(s, FERRY_OK);
}

/* From a boundary on, batch by batch, as far as max_bytes goes. */
static void step_batch(struct log_seek *s)
{
    struct log_read *r = s->owner;
    uint64_t next = s->position + s->header.size;
    bool fits = next - s->start <= r->max_bytes || (s->position == s->start && r->min_one);
    if (s->walk_found && s->position < s->end && fits && next <= s->end) {
        s->cut = next;
        if (!s->segment->doomed)
            log_near_put(s->log, s->segment, s->header.last_offset + 1, next);
        if (next - s->start < r->max_bytes && next < s->end) {
            log_seek_walk(s, next, true, INT64_MIN, INT64_MIN, step_batch);
            return;
        }
    }
    s->end = s->cut;
    read_found(s);
}

static void step_from_start(struct log_seek *s)
{
    s->cut = s->start;
    log_seek_walk(s, s->start, true, INT64_MIN, INT64_MIN, step_batch);
}

/* What stands at the boundary that the index told of? Its offset is where reading goes on next time. */
static void boundary_named(struct log_seek *s)
{
    if (!s->walk_found || s->position != s->boundary || s->header.last_offset != s->floor_offset) {
        log_seek_suspect(s);
        step_from_start(s);
        return;
    }
    s->end = s->boundary;
    if (!s->segment->doomed)
        log_near_put(s->log, s->segment, s->header.base_offset, s->position);
    read_found(s);
}

/* The index knows a boundary before start + max_bytes. */
static void boundary_found(struct log_seek *s)
{
    if (s->has_floor && s->floor_position > s->start && s->floor_position < s->end) {
        s->boundary = s->floor_position;
        log_seek_probe(s, s->boundary, boundary_named);
        return;
    }
    step_from_start(s);
}

static void start_found(struct log_seek *s)
{
    struct log *l = s->log;
    if (!s->walk_found) {
        /* No batch here reaches that far: compaction left a gap, the next segment begins with what
         * is wanted. */
        size_t i = log_segment_find(l, s->segment->base) + 1;
        if (i >= l->private->count || s->segment->doomed) {
            s->start = s->end = 0;
            log_seek_end(s, FERRY_OK);
            return;
        }
        log_seek_at(s, l->private->segments[i]);
        log_seek_locate(s, s->best, start_found);
        return;
    }
    if (s->header.base_offset >= s->upto) {
        log_seek_end(s, FERRY_OK);
        return;
    }
    s->start = s->position;
    s->have_start = true;
    read_next(s);
}

static void end_found(struct log_seek *s)
{
    s->end = s->position;
    s->have_end = true;
    read_next(s);
}

static void read_next(struct log_seek *s)
{
    struct log_read *r = s->owner;
    if (!s->have_start) {
        log_seek_locate(s, s->best, start_found);
        return;
    }
    if (!s->have_end && !s->segment->doomed)
        s->have_end =
            known_limit(s->log, log_segment_find(s->log, s->segment->base), s->upto, &s->end);
    if (!s->have_end) {
        log_seek_locate(s, s->upto, end_found);
        return;
    }
    if (s->end <= s->start)
        s->end = s->start;
    if (s->end - s->start <= r->max_bytes)
        read_found(s);
    else
        log_seek_floor(s, LOG_KEY_POSITION, (int64_t)(s->start + r->max_bytes), boundary_found);
}

static int read_slowly(struct log *l, struct log_read *r, size_t i)
{
    struct log_seek *s = log_seek_new(l);
    if (!s)
        return FERRY_E_NOMEM;
    s->owner = r;
    s->finish = read_finished;
    s->best = r->offset;
    s->upto = r->upto < l->end ? r->upto : l->end;
    r->seek = s;
    log_seek_at(s, l->private->segments[i]);
    s->have_start = log_near_get(l, s->segment, r->offset, &s->start);
    /* The offset may have been found to lie behind this segment's end. */
    if (s->have_start && s->start >= s->segment->written)
        s->have_start = false;
    return log_seek_run(s, read_next);
}

int log_read(struct log *l, struct log_read *r)
{
    uint64_t start, end;
    r->segment = NULL;
    r->file = (struct ferry_id){0, 0};
    r->position = r->length = 0;
    r->seek = NULL;
    r->log = l;
    if (l->dir->offline || l->private->broken || !l->is_open)
        return LOG_STORAGE_ERROR;
    if (r->offset < l->start || r->offset > l->end)
        return LOG_OFFSET_OUT_OF_RANGE;
    int64_t upto = r->upto < l->end ? r->upto : l->end;
    if (r->offset >= upto)
        return FERRY_OK;
    size_t i = log_segment_find(l, r->offset);
    struct log_segment *g = l->private->segments[i];
    if (g->file.is_open && log_near_get(l, g, r->offset, &start) && known_limit(l, i, upto, &end) &&
        start < end && end - start <= r->max_bytes) {
        give(r, g, start, end);
        return FERRY_OK;
    }
    return read_slowly(l, r, i);
}

void log_read_cancel(struct log_read *r)
{
    if (r->seek)
        log_seek_cancel(r->seek);
    r->seek = NULL;
}
