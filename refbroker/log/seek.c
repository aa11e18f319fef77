/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Finding things in segments that are not in memory: the index entry below an offset or a position,
 * the batch that holds an offset, a time. Shared by reads (read.c), lookups by time (lookup.c) and
 * scans (scan.c).
 *
 * A seek is a small state machine of reads. Each step sets s->then, which runs when the step has
 * its answer; a step that needs no read runs it at once. The buffer holds whatever was read last.
 *
 * Invariants:
 *  1. From its beginning to its end a seek pins its segment's struct and holds the log.
 *  2. Index entries are only believed as far as the batch they lead to confirms them.
 */

#include "refbroker/log/seek.h"

struct log_seek *log_seek_new(struct log *l)
{
    struct log_dir_private *d = l->dir->private;
    struct log_seek *s = d->spare_seek;
    d->spare_seek = NULL;
    if (!s)
        s = ferry_alloc(sizeof *s);
    if (!s)
        return NULL;
    memset(s, 0, offsetof(struct log_seek, buffer));
    s->log = l;
    log_hold(l);
    ferry_list_push_back(&l->private->seeks, &s->link);
    return s;
}

void log_seek_at(struct log_seek *s, struct log_segment *segment)
{
    if (segment)
        log_segment_pin(segment);
    if (s->segment)
        log_segment_unpin(s->segment);
    s->segment = segment;
}

static void seek_dispose(struct log_dir *dir, struct log_seek *s)
{
    ferry_free(s->big);
    s->big = NULL;
    if (dir && !dir->private->spare_seek)
        dir->private->spare_seek = s;
    else
        ferry_free(s);
}

void log_seek_free(struct log_seek *s)
{
    struct log *l = s->log;
    struct log_dir *dir = l->dir;
    log_seek_at(s, NULL);
    ferry_list_remove(&s->link);
    seek_dispose(dir, s);
    log_drop(l);
}

/* The seek is over: tells its owner, if it still has one. */
void log_seek_end(struct log_seek *s, int error)
{
    void (*finish)(struct log_seek *, int) = s->finish;
    struct log *l = s->log;
    log_hold(l);
    s->finish = NULL;
    if (finish)
        finish(s, error);
    if (!s->keep)
        log_seek_free(s);
    log_drop(l);
}

int log_seek_run(struct log_seek *s, void (*begin)(struct log_seek *))
{
    struct log *l = s->log;
    int result;
    log_hold(l);
    s->in_call = true;
    s->result = FERRY_E_AGAIN;
    s->keep = true; /* it must be there to be asked after */
    begin(s);
    s->in_call = false;
    s->keep = false;
    result = s->result;
    if (result != FERRY_E_AGAIN)
        log_seek_free(s);
    log_drop(l);
    return result;
}

static void end_later(struct log_op *op, int status, uint64_t count)
{
    struct log_seek *s = FERRY_CONTAINER(op, struct log_seek, op);
    log_seek_end(s, s->result);
}

void log_seek_end_later(struct log_seek *s, int error)
{
    s->result = error;
    log_files_later(s->log->dir->files, &s->op, end_later);
}

void log_seek_cancel(struct log_seek *s)
{
    s->finish = NULL;
}

void log_seek_end_all(struct log *l, int error)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &l->private->seeks)
    {
        struct log_seek *s = FERRY_CONTAINER(it, struct log_seek, link);
        void (*finish)(struct log_seek *, int) = s->finish;
        s->finish = NULL;
        if (finish)
            finish(s, error);
    }
}

void log_seek_drop_all(struct log *l)
{
    struct ferry_link *link;
    while ((link = ferry_list_pop_front(&l->private->seeks)) != NULL) {
        struct log_seek *s = FERRY_CONTAINER(link, struct log_seek, link);
        ferry_free(s->big);
        ferry_free(s);
    }
}

/* ---- reading ---- */

static void read_done(struct log_op *op, int status, uint64_t count)
{
    struct log_seek *s = FERRY_CONTAINER(op, struct log_seek, op);
    s->count = status == FERRY_OK ? count : 0;
    if (!s->finish) /* cancelled */
        log_seek_free(s);
    else if (status != FERRY_OK && status != FERRY_E_NOT_FOUND)
        log_seek_end(s, LOG_STORAGE_ERROR);
    else
        s->on_read(s);
}

void log_seek_read(struct log_seek *s, struct log_file *file, uint64_t offset, void *buffer,
                   uint64_t length, void (*on_read)(struct log_seek *))
{
    memset(&s->op, 0, sizeof s->op);
    s->op.done = read_done;
    s->on_read = on_read;
    log_file_read(file, &s->op, offset, buffer, length);
}

static void opened(struct log_seek *s)
{
    s->then(s);
}

void log_seek_open(struct log_seek *s, void (*then)(struct log_seek *))
{
    s->then = then;
    memset(&s->op, 0, sizeof s->op);
    s->op.done = read_done;
    s->on_read = opened;
    log_file_open(&s->segment->file, &s->op);
}

/* ---- index entries ---- */

static int64_t entry_key(enum log_seek_key kind, const uint8_t *entry)
{
    switch (kind) {
    case LOG_KEY_OFFSET:
        return (int32_t)ferry_get32(entry);
    case LOG_KEY_POSITION:
        return (int32_t)ferry_get32(entry + 4);
    default:
        return (int64_t)ferry_get64(entry);
    }
}

static void take(struct log_seek *s, const uint8_t *entry)
{
    s->has_floor = true;
    s->floor_key = entry_key(s->kind, entry);
    s->floor_offset =
        s->segment->base + (int32_t)ferry_get32(s->kind == LOG_KEY_TIME ? entry + 8 : entry);
    s->floor_position = s->kind == LOG_KEY_TIME ? 0 : (uint32_t)ferry_get32(entry + 4);
}

/* The last of n entries with a key <= wanted; n if there is none. */
static size_t bisect(const struct log_seek *s, const uint8_t *entries, size_t n)
{
    size_t low = 0, high = n, size = s->index->entry;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (entry_key(s->kind, entries + mid * size) <= s->key)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? low - 1 : n;
}

/* Entries that are not in the file yet. */
static bool search_recent(struct log_seek *s)
{
    const struct log_index *x = s->index;
    size_t n = bisect(s, x->tail, x->tail_len / x->entry);
    if (n < x->tail_len / x->entry) {
        take(s, x->tail + n * x->entry);
        return true;
    }
    n = bisect(s, x->flight, x->flight_len / x->entry);
    if (n < x->flight_len / x->entry) {
        take(s, x->flight + n * x->entry);
        return true;
    }
    return false;
}

/* The page of the offset index that was read last may do. */
static bool search_page(struct log_seek *s)
{
    const struct log_private *p = s->log->private;
    const uint8_t *data = p->page.data;
    size_t size = s->index->entry, n = p->page.count;
    if (s->kind == LOG_KEY_TIME || !n || p->page.segment != s->segment ||
        entry_key(s->kind, data) > s->key)
        return false;
    size_t i = bisect(s, data, n);
    /* The last entry may have a better one behind it, unless the file ends there. */
    if (i == n - 1 && (p->page.first + n) * size < s->index->size)
        return false;
    take(s, data + i * size);
    return true;
}

static void keep_page(struct log_seek *s, uint64_t first, size_t n)
{
    struct log_private *p = s->log->private;
    if (s->kind == LOG_KEY_TIME || s->segment->doomed || n == 0)
        return;
    if (!p->page.data && !(p->page.data = ferry_alloc(LOG_INDEX_PAGE)))
        return;
    memcpy(p->page.data, s->buffer, n * s->index->entry);
    p->page.segment = s->segment;
    p->page.first = first;
    p->page.count = (uint32_t)n;
}

static size_t page_entries(const struct log_seek *s)
{
    return LOG_INDEX_PAGE / s->index->entry;
}

static void page_read(struct log_seek *s);

static void read_page(struct log_seek *s, uint64_t entry)
{
    s->page = entry / page_entries(s) * page_entries(s);
    uint64_t n =
        s->high_entry - s->page < page_entries(s) ? s->high_entry - s->page : page_entries(s);
    uint64_t in_file = s->index->size / s->index->entry - s->page;
    n = in_file < page_entries(s) ? in_file : page_entries(s);
    log_seek_read(s, &s->index->file, s->page * s->index->entry, s->buffer, n * s->index->entry,
                  page_read);
}

static void page_read(struct log_seek *s)
{
    size_t n = s->count / s->index->entry, i = bisect(s, s->buffer, n);
    keep_page(s, s->page, n);
    if (n == 0) { /* the file is shorter than we thought */
        s->high_entry = s->page;
    } else if (i == n) {
        s->high_entry = s->page;
    } else {
        take(s, s->buffer + i * s->index->entry);
        s->low_entry = s->page + n;
        if (i + 1 < n)
            s->high_entry = s->low_entry; /* the next one is known to be too high */
    }
    if (s->low_entry >= s->high_entry) {
        s->then(s);
        return;
    }
    /* A guess by interpolation is off by a page at most, as a rule. */
    uint64_t next = s->guesses++ > 1 ? (s->low_entry + s->high_entry) / 2
                    : i == n         ? s->high_entry - 1
                                     : s->low_entry;
    read_page(s, next);
}

static uint64_t guess(const struct log_seek *s, uint64_t n)
{
    const struct log_segment *g = s->segment;
    double share = 0.5;
    if (s->kind == LOG_KEY_POSITION && g->size)
        share = (double)s->key / (double)g->size;
    else if (s->kind == LOG_KEY_OFFSET && s->index->has_last)
        share = (double)s->key / ((double)entry_key(s->kind, s->index->last) + 1);
    if (share >= 1)
        return n - 1;
    return share <= 0 ? 0 : (uint64_t)(share * (double)n);
}

void log_seek_floor(struct log_seek *s, enum log_seek_key kind, int64_t key,
                    void (*then)(struct log_seek *))
{
    s->kind = kind;
    s->key = key;
    s->then = then;
    s->index = kind == LOG_KEY_TIME ? &s->segment->times : &s->segment->offsets;
    s->has_floor = false;
    s->floor_offset = s->segment->base;
    s->floor_position = 0;
    s->low_entry = 0;
    s->high_entry = s->index->size / s->index->entry;
    s->guesses = 0;
    if (s->index->suspect || search_recent(s) || search_page(s) || s->high_entry == 0)
        then(s);
    else
        read_page(s, guess(s, s->high_entry));
}

/* ---- batches ---- */

bool log_seek_peek(const uint8_t *data, size_t len, struct log_seek_header *h)
{
    int64_t size = ferry_batch_claimed_size(data, len);
    if (len < FERRY_BATCH_PEEK || size <= 0)
        return false;
    h->size = (uint64_t)size;
    h->base_offset = h->last_offset = (int64_t)ferry_get64(data);
    h->max_timestamp = -1;
    h->leader_epoch = -1;
    if (data[16] == 2) {
        if (len < FERRY_BATCH_HEADER)
            return false;
        int32_t delta = (int32_t)ferry_get32(data + 23);
        h->leader_epoch = (int32_t)ferry_get32(data + 12);
        h->max_timestamp = (int64_t)ferry_get64(data + 35);
        if (delta < 0 || h->base_offset < 0 || h->base_offset > INT64_MAX - 1 - delta)
            return false;
        h->last_offset = h->base_offset + delta;
        return true;
    }
    if (data[16] == 1 && len >= 26)
        h->max_timestamp = (int64_t)ferry_get64(data + 18);
    return data[16] < 2;
}

static bool matches(const struct log_seek *s)
{
    return s->header.last_offset >= s->target && s->header.max_timestamp >= s->target_time;
}

static void walk_read(struct log_seek *s);

static void walk_on(struct log_seek *s)
{
    uint64_t left = s->segment->written > s->position ? s->segment->written - s->position : 0;
    if (left == 0) {
        s->walk_found = false;
        s->then(s);
        return;
    }
    log_seek_read(s, &s->segment->file, s->position, s->buffer,
                  left < LOG_SEEK_BUFFER ? left : LOG_SEEK_BUFFER, walk_read);
}

void log_seek_suspect(struct log_seek *s)
{
    if (!s->segment->offsets.suspect)
        log_say(s->log, LOG_WARN,
                "the index of the segment from offset %lld is wrong; searching without it",
                (long long)s->segment->base);
    s->segment->offsets.suspect = true;
}

/* What stands at s->position is no batch, or not the one the index promised. */
static void walk_lost(struct log_seek *s)
{
    if (s->probing) {
        s->walk_found = false;
        s->then(s);
        return;
    }
    if (s->trusted || s->position == 0) {
        log_say(s->log, LOG_ERROR, "no batch at position %llu of the segment from offset %lld",
                (unsigned long long)s->position, (long long)s->segment->base);
        log_seek_end(s, LOG_CORRUPT_MESSAGE);
        return;
    }
    log_seek_suspect(s);
    s->position = 0;
    walk_on(s);
}

static void walk_read(struct log_seek *s)
{
    const struct log_segment *g = s->segment;
    uint64_t at = 0;
    while (at < s->count) {
        if (!log_seek_peek(s->buffer + at, s->count - at, &s->header)) {
            if (s->count - at < FERRY_BATCH_HEADER && at > 0)
                break; /* read on from here */
            s->position += at;
            walk_lost(s);
            return;
        }
        if (s->header.base_offset < g->base || s->header.size > g->written - (s->position + at) ||
            (!s->trusted && s->position > 0 && s->header.base_offset > s->target)) {
            s->position += at;
            walk_lost(s);
            return;
        }
        s->trusted = true;
        if (matches(s)) {
            s->position += at;
            s->walk_found = true;
            s->walk_at = at;
            s->then(s);
            return;
        }
        at += s->header.size;
    }
    if (s->count == 0) { /* the file ended early: it was truncated under us */
        s->walk_found = false;
        s->then(s);
        return;
    }
    s->position += at;
    walk_on(s);
}

void log_seek_walk(struct log_seek *s, uint64_t position, bool trusted, int64_t target,
                   int64_t target_time, void (*then)(struct log_seek *))
{
    s->position = position;
    s->trusted = trusted;
    s->probing = false;
    s->target = target;
    s->target_time = target_time;
    s->then = then;
    if (!trusted && position > 0 && position >= s->segment->written)
        walk_lost(s);
    else
        walk_on(s);
}

void log_seek_probe(struct log_seek *s, uint64_t position, void (*then)(struct log_seek *))
{
    s->position = position;
    s->trusted = true;
    s->probing = true;
    s->target = s->target_time = INT64_MIN;
    s->then = then;
    walk_on(s);
}

static void floor_found(struct log_seek *s)
{
    log_seek_walk(s, s->floor_position, false, s->target, INT64_MIN, s->after_locate);
}

void log_seek_locate(struct log_seek *s, int64_t target, void (*then)(struct log_seek *))
{
    uint64_t position;
    s->target = target;
    s->after_locate = then;
    if (log_near_get(s->log, s->segment, target, &position))
        log_seek_walk(s, position, true, target, INT64_MIN, then);
    else
        log_seek_floor(s, LOG_KEY_OFFSET, target - s->segment->base, floor_found);
}
