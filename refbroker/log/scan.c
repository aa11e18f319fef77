/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Batches into memory, in order, for those who replay a log. */

#include "refbroker/log/seek.h"

static void read_chunk(struct log_seek *);

static void scan_finished(struct log_seek *s, int error)
{
    struct log_scan *c = s->owner;
    c->seek = NULL;
    c->done(c, error);
}

/* Gives the whole batches in s->big; what is left of the last one moves to the front. False: the
 * scan is over. */
static bool give_batches(struct log_seek *s)
{
    struct log_scan *c = s->owner;
    struct ferry_batch b;
    struct ferry_error err = {0};
    size_t at = 0;
    int rc = FERRY_OK;
    while (at < s->big_len && s->finish) {
        rc = ferry_batch_parse(s->big + at, s->big_len - at, &b, &err);
        if (rc != FERRY_OK)
            break;
        if (b.base_offset >= s->upto) {
            log_seek_end(s, FERRY_OK);
            return false;
        }
        at += b.size;
        if (b.last_offset >= s->best && (rc = c->on_batch(c, &b)) != FERRY_OK)
            break;
    }
    if (!s->finish) { /* cancelled by on_batch */
        log_seek_free(s);
        return false;
    }
    if (rc != FERRY_OK && rc != FERRY_E_AGAIN) {
        if (err.code)
            log_say(s->log, LOG_ERROR, "%s", err.text);
        log_seek_end(s, rc);
        return false;
    }
    s->position += at;
    s->wanted_bytes = rc == FERRY_E_AGAIN ? b.size : 0;
    return true;
}

static void chunk_read(struct log_seek *s)
{
    s->big_len = s->count;
    if (s->count == 0) {
        log_seek_end(s, LOG_CORRUPT_MESSAGE);
        return;
    }
    uint64_t before = s->position;
    if (!give_batches(s))
        return;
    if (s->position == before && s->wanted_bytes <= s->big_len) {
        log_seek_end(s, LOG_CORRUPT_MESSAGE); /* the file ends inside a batch */
        return;
    }
    read_chunk(s);
}

static void read_chunk(struct log_seek *s)
{
    struct log *l = s->log;
    struct log_private *p = l->private;
    while (s->position >= s->segment->written) {
        size_t i = s->segment->doomed ? p->count : log_segment_find(l, s->segment->base) + 1;
        if (i >= p->count || p->segments[i]->base >= s->upto) {
            log_seek_end(s, FERRY_OK);
            return;
        }
        log_seek_at(s, p->segments[i]);
        s->position = 0;
        s->wanted_bytes = 0;
    }
    uint64_t left = s->segment->written - s->position;
    uint64_t want = s->wanted_bytes > LOG_SCAN_CHUNK ? s->wanted_bytes : LOG_SCAN_CHUNK;
    if (want > left)
        want = left;
    if (s->wanted_bytes > left) {
        log_seek_end(s, LOG_CORRUPT_MESSAGE);
        return;
    }
    if (ferry_grow((void **)&s->big, &s->big_cap, want, 1) != FERRY_OK) {
        log_seek_end(s, FERRY_E_NOMEM);
        return;
    }
    log_seek_read(s, &s->segment->file, s->position, s->big, want, chunk_read);
}

static void scan_found(struct log_seek *s)
{
    if (!s->walk_found)
        s->position = s->segment->written;
    read_chunk(s);
}

int log_scan(struct log *l, struct log_scan *c)
{
    c->log = l;
    c->seek = NULL;
    struct log_seek *s = log_seek_new(l);
    if (!s)
        return FERRY_E_NOMEM;
    s->owner = c;
    s->finish = scan_finished;
    s->upto = c->upto < l->end ? c->upto : l->end;
    s->best = c->from > l->start ? c->from : l->start;
    c->seek = s;
    if (!l->is_open || s->best >= s->upto) {
        log_seek_end_later(s, l->is_open ? FERRY_OK : LOG_STORAGE_ERROR);
        return FERRY_OK;
    }
    log_seek_at(s, l->private->segments[log_segment_find(l, s->best)]);
    log_seek_locate(s, s->best, scan_found);
    return FERRY_OK;
}

void log_scan_cancel(struct log_scan *c)
{
    if (c->seek)
        log_seek_cancel(c->seek);
    c->seek = NULL;
}
