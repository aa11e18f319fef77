/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * The reading part of an opening. Batches are read from the oldest offset at which something is to
 * be learned (the recovery point, the producer snapshot) to the end; their checksums are verified
 * from the recovery point on; the log is cut at the first one that is not whole. Index entries
 * behind the place where reading began are kept, the rest is made anew. After a clean stop that is
 * a page of each index and the last few batches.
 *
 * Invariants:
 *  1. Nothing is cut on the word of an index: if the batch that an entry leads to is not what it
 * promised, the segment is read from its beginning.
 *  2. What is cut is gone from the disk (truncated and synced, names removed and the directory
 * synced) before the log is used, so that a later crash cannot bring it back between younger
 * batches.
 */

#include "base/plant.h"
#include "refbroker/log/recover.h"

enum { INDEX_LIMIT = 128 << 20 };

static void read_index(struct log_opening *, struct log_index *, uint64_t size);
static void scan_segment(struct log_opening *);
static void read_on(struct log_opening *);
static void fix_next(struct log_opening *);

/* ---- what to read ---- */

/* Segments exist from here on; 0 or FERRY_E_NOMEM. */
static int make_segments(struct log_opening *o)
{
    struct log *l = o->log;
    if (o->found_count == 0) {
        int64_t base = l->private->marks->start > 0 ? l->private->marks->start : 0;
        struct log_segment *s =
            FERRY_GROW(o->segments, o->cap, 1) ? NULL : log_segment_new(l, base, true);
        if (!s)
            return FERRY_E_NOMEM;
        o->segments[o->count++] = s;
        o->expected = base;
        return FERRY_OK;
    }
    if (FERRY_GROW(o->segments, o->cap, o->found_count) != FERRY_OK)
        return FERRY_E_NOMEM;
    for (size_t i = 0; i < o->found_count; i++) {
        struct log_found_segment *f = &o->found[i];
        if (i + 1 < o->found_count && o->found[i + 1].base <= l->private->marks->start)
            continue; /* deleted: what a crash has brought back of it goes again, and may have holes */
        struct log_segment *s = log_segment_new(l, f->base, false);
        if (!s)
            return FERRY_E_NOMEM;
        s->size = s->written = f->size;
        s->offsets.size = f->offsets_size / LOG_INDEX_OFFSET_ENTRY * LOG_INDEX_OFFSET_ENTRY;
        s->times.size = f->times_size / LOG_INDEX_TIME_ENTRY * LOG_INDEX_TIME_ENTRY;
        s->named = s->indexes_synced = true;
        s->offsets.paused = s->times.paused = true; /* what is on disk is put right first */
        o->segments[o->count++] = s;
    }
    return FERRY_OK;
}

static size_t segment_of(const struct log_opening *o, int64_t offset)
{
    size_t i = o->count - 1;
    while (i > 0 && o->segments[i]->base > offset)
        i--;
    return i;
}

/* What was found of a segment; NULL for a new one. */
static struct log_found_segment *found_of(struct log_opening *o, const struct log_segment *s)
{
    for (size_t i = 0; i < o->found_count; i++)
        if (o->found[i].base == s->base)
            return &o->found[i];
    return NULL;
}

static void plan(struct log_opening *o)
{
    const struct log_marks *m = o->log->private->marks;
    int64_t first = o->segments[0]->base;
    int64_t replay = o->snapshot_offset >= 0 ? o->snapshot_offset : first;
    o->check_from = o->clean ? INT64_MAX : m->recovery_point > first ? m->recovery_point : first;
    o->want = replay < o->check_from ? replay : o->check_from;
    bool has_data = o->count > 1 || o->segments[0]->size > 0;
    if (!o->has_epochs && has_data)
        o->want = first;
    size_t i = segment_of(o, o->want);
    for (size_t k = 0; k < i; k++) {
        const struct log_found_segment *f = found_of(o, o->segments[k]);
        if (f->size && (!f->has_offsets || !f->has_times)) {
            log_say(o->log, LOG_WARN,
                    "an index of the segment from offset %lld is missing; it is built anew",
                    (long long)o->segments[k]->base);
            o->want = o->segments[k]->base;
            i = k;
        }
    }
    o->first_scanned = o->at = i;
}

/* Everything from o->at on is read from the beginning of that segment. */
static void from_the_beginning(struct log_opening *o)
{
    struct log_segment *s = o->segments[o->at];
    s->offsets.size = s->times.size = 0;
    s->offsets.has_last = s->times.has_last = false;
    s->max_timestamp = s->max_timestamp_last = -1;
    o->position = 0;
    o->note_from = 0;
    o->floor_last = -1;
}

void log_rescan_begin(struct log_opening *o)
{
    if (make_segments(o) != FERRY_OK) {
        log_recover_end(o, FERRY_E_NOMEM);
        return;
    }
    if (o->found_count == 0) {
        log_recover_install(o);
        return;
    }
    plan(o);
    struct log_segment *s = o->segments[o->at];
    o->expected = s->base;
    if (o->use_behind && o->at > 0 && o->want <= s->base) {
        /* Behind a snapshot of Kafka's there may be batches to learn of in the segment before. */
        o->first_scanned = --o->at;
        o->want = s->base - 1;
        s = o->segments[o->at];
        o->expected = s->base;
    }
    o->index_whole = !o->clean || o->use_behind;
    if (s->offsets.size == 0 || o->want <= s->base) {
        from_the_beginning(o);
        scan_segment(o);
        return;
    }
    read_index(o, &s->offsets, s->offsets.size);
}

/* ---- the index of the first segment that is read ---- */

static void index_failed(struct log_opening *o)
{
    from_the_beginning(o);
    scan_segment(o);
}

static int32_t entry_offset(const struct log_index *x, const uint8_t *e)
{
    return (int32_t)ferry_get32(x->entry == LOG_INDEX_TIME_ENTRY ? e + 8 : e);
}

/* Entries from the front that ascend as they must; `behind` the one before them, or NULL. */
static size_t good_entries(const struct log_segment *s, const struct log_index *x,
                           const uint8_t *data, size_t n)
{
    size_t size = x->entry;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *e = data + i * size, *last = i ? e - size : NULL;
        if (entry_offset(x, e) < (last ? entry_offset(x, last) : 0))
            return i;
        if (size == LOG_INDEX_TIME_ENTRY) {
            int64_t t = (int64_t)ferry_get64(e);
            if (t < 0 || (last && t <= (int64_t)ferry_get64(last)))
                return i;
            continue;
        }
        int32_t position = (int32_t)ferry_get32(e + 4);
        if (position <= (last ? (int32_t)ferry_get32(last + 4) : 0) ||
            (uint64_t)position >= s->size)
            return i;
    }
    return n;
}

static void keep_entries(struct log_opening *o, struct log_index *x, size_t n)
{
    x->size = o->index_from + n * x->entry;
    x->has_last = n > 0;
    if (n)
        memcpy(x->last, o->data + (n - 1) * x->entry, x->entry);
}

static void times_known(struct log_opening *o, size_t n)
{
    struct log_segment *s = o->segments[o->at];
    struct log_index *x = &s->times;
    /* Entries of batches that are read again are made again. */
    while (n > 0 && !o->clean &&
           entry_offset(x, o->data + (n - 1) * x->entry) > o->floor_last - s->base)
        n--;
    keep_entries(o, x, n);
    if (n) {
        s->max_timestamp = (int64_t)ferry_get64(x->last);
        s->max_timestamp_last = s->base + entry_offset(x, x->last);
    }
    scan_segment(o);
}

/* The last entry whose batch begins below what is wanted. */
static void offsets_known(struct log_opening *o, size_t n)
{
    struct log_segment *s = o->segments[o->at];
    struct log_index *x = &s->offsets;
    uint64_t behind = 0;
    while (n > 0 && s->base + entry_offset(x, o->data + (n - 1) * x->entry) > o->want)
        n--;
    if (o->use_behind && n > 0) {
        behind = ferry_get32(o->data + (n - 1) * x->entry + 4);
        behind = behind > LOG_BEHIND_SNAPSHOT ? behind - LOG_BEHIND_SNAPSHOT : 0;
        while (n > 0 && ferry_get32(o->data + (n - 1) * x->entry + 4) > behind)
            n--;
    }
    if (n == 0) {
        index_failed(o);
        return;
    }
    keep_entries(o, x, n);
    o->position = o->note_from = ferry_get32(x->last + 4);
    o->floor_last = s->base + entry_offset(x, x->last);
    o->expected = s->base;
    if (s->times.size)
        read_index(o, &s->times, s->times.size);
    else
        times_known(o, 0);
}

static void index_loaded(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    struct log_segment *s = o->segments[o->at];
    struct log_index *x = o->index;
    size_t n = status == FERRY_OK ? count / x->entry : 0;
    size_t good = good_entries(s, x, o->data, n);
    bool early = n > 0 && x == &s->offsets && s->base + entry_offset(x, o->data) > o->want;
    if ((good < n || early) && o->index_from > 0) { /* the last page is not enough */
        o->index_whole = true;
        read_index(o, x, o->index_from + n * x->entry);
        return;
    }
    if (good < n && o->clean)
        log_say(o->log, LOG_WARN,
                "an index of the segment from offset %lld has bad entries; they are made anew",
                (long long)s->base);
    if (x == &s->offsets)
        offsets_known(o, good);
    else
        times_known(o, good);
}

static void read_index(struct log_opening *o, struct log_index *x, uint64_t size)
{
    uint64_t page = LOG_INDEX_PAGE / x->entry * x->entry;
    o->index = x;
    o->index_from = !o->index_whole && size > page ? size - page : 0;
    uint64_t len = size - o->index_from;
    if (len > INDEX_LIMIT || ferry_grow((void **)&o->data, &o->data_cap, len, 1) != FERRY_OK) {
        index_failed(o);
        return;
    }
    o->op.done = index_loaded;
    log_file_read(&x->file, &o->op, o->index_from, o->data, len);
}

/* ---- the scan ---- */

static void bad_batch(struct log_opening *o, const char *why);
static void cut_here(struct log_opening *o, const char *why);

static void scan_segment(struct log_opening *o)
{
    struct log_segment *s = o->segments[o->at];
    if (o->expected < s->base)
        o->expected = s->base;
    s->since_index = 0;
    s->times_known = o->position == 0;
    s->named = o->clean;
    s->indexes_synced = o->clean;
    o->data_len = 0;
    o->data_wanted = 0;
    read_on(o);
}

/* The log start was moved durably, the records before it were lost: offsets below it are not given out again. */
static int begin_at_start(struct log_opening *o, int64_t start)
{
    struct log_segment *s = log_segment_new(o->log, start, true);
    if (!s)
        return FERRY_E_NOMEM;
    log_say(o->log, LOG_WARN, "ends at %lld, before its start %lld: it begins anew there",
            (long long)o->expected, (long long)start);
    while (o->count)
        log_segment_destroy(o->segments[--o->count]);
    o->segments[o->count++] = s;
    o->expected = start;
    o->first_scanned = 0;
    o->cut = true;
    return FERRY_OK;
}

static void scan_ended(struct log_opening *o)
{
    int64_t start = o->log->private->marks->start;
    if (start > o->expected && begin_at_start(o, start) != FERRY_OK) {
        log_recover_end(o, FERRY_E_NOMEM);
        return;
    }
    if (o->use_behind && o->snapshot_offset >= 0 && !o->merged &&
        log_producers_merge(&o->behind, &o->producers) != FERRY_OK) {
        log_recover_end(o, FERRY_E_NOMEM);
        return;
    }
    if (o->use_behind && !o->merged) {
        struct log_producers empty = o->producers;
        o->producers = o->behind;
        o->behind = empty;
    }
    o->restart = o->snapshot_offset > o->expected;
    o->fix_at = o->first_scanned;
    o->fix_step = 0;
    fix_next(o);
}

/* A segment's last bytes may be gone while those of the next one are there. Cleaning leaves the same holes, but only in
 * what is behind the recovery point. */
static bool lost_its_end(const struct log_opening *o)
{
    return o->expected >= o->check_from && o->expected < o->segments[o->at + 1]->base &&
           !FERRY_PLANTED(HOLE_KEPT);
}

static void next_segment(struct log_opening *o)
{
    if (o->at + 1 >= o->count) {
        scan_ended(o);
        return;
    }
    if (lost_its_end(o)) {
        cut_here(o, "the records up to the next segment are missing");
        return;
    }
    log_segment_seal(o->segments[o->at]);
    o->at++;
    from_the_beginning(o);
    scan_segment(o);
}

/* The log ends at o->position of this segment. */
static void cut_here(struct log_opening *o, const char *why)
{
    struct log_segment *s = o->segments[o->at];
    log_say(o->log, LOG_WARN,
            "cut at offset %lld: %s; %llu bytes and %zu later segments are dropped",
            (long long)o->expected, why, (unsigned long long)(s->size - o->position),
            o->count - o->at - 1);
    s->size = s->written = o->position;
    while (o->count > o->at + 1)
        log_segment_destroy(o->segments[--o->count]);
    o->cut = true;
    scan_ended(o);
}

static void bad_batch(struct log_opening *o, const char *why)
{
    if (o->floor_last >= 0) {
        log_say(o->log, LOG_WARN,
                "the index of the segment from offset %lld is wrong; it is built anew",
                (long long)o->segments[o->at]->base);
        from_the_beginning(o);
        scan_segment(o);
        return;
    }
    cut_here(o, why);
}

/* Is this batch, read from o->position, part of the log? */
static const char *batch_error(struct log_opening *o, const struct ferry_batch *b,
                               struct ferry_error *err)
{
    const struct log_segment *s = o->segments[o->at];
    if (o->floor_last >= 0 && b->last_offset != o->floor_last)
        return "the index promised another batch";
    if (b->base_offset < o->expected)
        return "a batch whose offsets do not follow";
    if (b->last_offset - s->base > INT32_MAX ||
        (o->at + 1 < o->count && b->last_offset >= o->segments[o->at + 1]->base))
        return "a batch whose offsets belong to another segment";
    if (b->last_offset >= o->check_from && !FERRY_PLANTED(CRC_UNCHECKED) &&
        ferry_batch_check_crc(b, err) != FERRY_OK)
        return err->text;
    return NULL;
}

/* Producer state: behind the snapshot into a state of its own, from it on into the one that counts.
 */
static int learn_producer(struct log_opening *o, const struct ferry_batch *b)
{
    int64_t wall = o->log->dir->files->wall;
    if (FERRY_PLANTED(DEDUP_FORGOTTEN))
        return FERRY_OK;
    if (o->use_behind && !o->merged) {
        if (b->base_offset < o->snapshot_offset)
            return log_producers_add(&o->behind, b, b->base_offset, wall);
        if (log_producers_merge(&o->behind, &o->producers) != FERRY_OK)
            return FERRY_E_NOMEM;
        o->producers = o->behind;
        memset(&o->behind, 0, sizeof o->behind);
        o->merged = true;
    }
    if (b->base_offset < o->snapshot_offset)
        return FERRY_OK;
    return log_producers_add(&o->producers, b, b->base_offset, wall);
}

static int learn(struct log_opening *o, const struct ferry_batch *b)
{
    struct log_segment *s = o->segments[o->at];
    bool added;
    if (learn_producer(o, b) != FERRY_OK ||
        log_epochs_note(&o->epochs, b->leader_epoch, b->base_offset, &added) != FERRY_OK)
        return FERRY_E_NOMEM;
    o->epochs_grew |= added;
    if (o->position == o->note_from && o->floor_last >= 0)
        s->since_index = 0; /* it has its entry */
    log_segment_note(s, b, o->position);
    o->expected = b->last_offset + 1;
    o->floor_last = -1;
    return FERRY_OK;
}

/* Takes whole batches from data; 0: more is needed, negative: it has ended otherwise. */
static int take_batches(struct log_opening *o)
{
    struct log_segment *s = o->segments[o->at];
    size_t at = 0;
    while (at < o->data_len) {
        struct ferry_batch b;
        struct ferry_error err = {0};
        const char *why = NULL;
        int rc = ferry_batch_parse(o->data + at, o->data_len - at, &b, &err);
        if (rc == FERRY_E_AGAIN && b.size <= s->size - o->position &&
            s->size - o->position >= FERRY_BATCH_PEEK) {
            o->data_wanted = b.size;
            break;
        }
        if (rc == FERRY_E_AGAIN)
            why = "a batch that is not all there";
        else
            why = rc != FERRY_OK ? err.text : batch_error(o, &b, &err);
        if (why) {
            bad_batch(o, why);
            return -1;
        }
        if (learn(o, &b) != FERRY_OK) {
            log_recover_end(o, FERRY_E_NOMEM);
            return -1;
        }
        at += b.size;
        o->position += b.size;
    }
    return 0;
}

static void data_read(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    struct log_segment *s = o->segments[o->at];
    if (status != FERRY_OK) {
        log_recover_end(o, LOG_STORAGE_ERROR);
        return;
    }
    if (count < o->data_len) /* the file is shorter than the listing said */
        s->size = s->written = o->position + count;
    o->data_len = count;
    o->data_wanted = 0;
    if (take_batches(o) == 0)
        read_on(o);
}

static void read_on(struct log_opening *o)
{
    struct log_segment *s = o->segments[o->at];
    uint64_t left = s->size - o->position;
    uint64_t want = o->data_wanted > LOG_SCAN_CHUNK ? o->data_wanted : LOG_SCAN_CHUNK;
    if (left == 0) {
        next_segment(o);
        return;
    }
    if (want > left)
        want = left;
    if (ferry_grow((void **)&o->data, &o->data_cap, want, 1) != FERRY_OK) {
        log_recover_end(o, FERRY_E_NOMEM);
        return;
    }
    o->data_len = want;
    o->op.done = data_read;
    log_file_read(&s->file, &o->op, o->position, o->data, want);
}

/* ---- putting right what is on disk ---- */

static void fixed(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    if (status != FERRY_OK && status != FERRY_E_NOT_FOUND) {
        log_say(o->log, LOG_ERROR, "what was cut cannot be removed (%d)", status);
        log_recover_end(o, LOG_STORAGE_ERROR);
        return;
    }
    fix_next(o);
}

/* Steps of one segment: truncate and sync the data, truncate both indexes. True: one has begun. */
static bool fix_segment(struct log_opening *o, struct log_segment *s,
                        const struct log_found_segment *f)
{
    while (o->fix_step < 4) {
        switch (o->fix_step++) {
        case 0:
            if (f->size > s->size) {
                log_file_truncate(&s->file, &o->op, s->size);
                return true;
            }
            break;
        case 1:
            if (f->size > s->size) {
                log_file_sync(&s->file, &o->op);
                return true;
            }
            break;
        case 2:
            if (f->offsets_size > s->offsets.size) {
                log_file_truncate(&s->offsets.file, &o->op, s->offsets.size);
                return true;
            }
            break;
        default:
            if (f->times_size > s->times.size) {
                log_file_truncate(&s->times.file, &o->op, s->times.size);
                return true;
            }
            break;
        }
    }
    return false;
}

static bool is_kept(const struct log_opening *o, int64_t base)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->segments[i]->base == base)
            return true;
    return false;
}

/* Unlinks the files of segments that are no longer part of the log, youngest first, one each call. True: one has
 * begun. */
static bool fix_names(struct log_opening *o)
{
    static const char *const suffixes[] = {".log", ".index", ".timeindex", ".txnindex"};
    while (o->found_count > 0) {
        struct log_found_segment *f = &o->found[o->found_count - 1];
        if (o->fix_step >= 4 || is_kept(o, f->base)) {
            o->fix_step = 0;
            o->found_count--;
            continue;
        }
        char path[LOG_PATH];
        log_segment_path(o->log, f->base, suffixes[o->fix_step++], path);
        ferry_free(o->path);
        if (!(o->path = ferry_strdup(path)))
            continue;
        o->op.done = fixed;
        log_files_unlink(o->log->dir->files, &o->op, o->path);
        return true;
    }
    return false;
}

/* Producer state of what was cut off must not come back after a crash, when other records stand there. */
static bool fix_snapshots(struct log_opening *o)
{
    char path[LOG_PATH];
    if (o->snapshot_count == 0 || o->snapshots[o->snapshot_count - 1] <= o->expected)
        return false;
    log_segment_path(o->log, o->snapshots[o->snapshot_count - 1], ".snapshot", path);
    ferry_free(o->path);
    if (!(o->path = ferry_strdup(path)))
        return false;
    o->snapshot_count--;
    o->cut = true;
    o->op.done = fixed;
    log_files_unlink(o->log->dir->files, &o->op, o->path);
    return true;
}

static void peeked(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    struct log_seek_header h;
    if (status == FERRY_OK && log_seek_peek(o->data, count, &h))
        o->segments[o->count - 1]->first_timestamp = h.max_timestamp;
    log_recover_install(o);
}

static void fix_next(struct log_opening *o)
{
    struct log *l = o->log;
    o->op.done = fixed;
    for (; o->fix_at < o->count; o->fix_at++, o->fix_step = 0) {
        struct log_found_segment *f = found_of(o, o->segments[o->fix_at]);
        if (f && fix_segment(o, o->segments[o->fix_at], f))
            return;
    }
    if (fix_names(o) || fix_snapshots(o))
        return;
    if (o->cut) {
        o->cut = false;
        log_files_sync_dir(l->dir->files, &o->op, l->private->path);
        return;
    }
    if (o->restart) {
        log_say(l, LOG_WARN,
                "the producer snapshot at %lld is beyond the end %lld; an older one is used",
                (long long)o->snapshot_offset, (long long)o->expected);
        o->snapshot_limit = o->expected;
        log_recover_again(o);
        return;
    }
    struct log_segment *s = o->segments[o->count - 1];
    if (s->first_timestamp >= 0 || s->size < FERRY_BATCH_HEADER) {
        log_recover_install(o);
        return;
    }
    /* The age of the active segment counts from its first batch. */
    if (ferry_grow((void **)&o->data, &o->data_cap, FERRY_BATCH_HEADER, 1) != FERRY_OK) {
        log_recover_end(o, FERRY_E_NOMEM);
        return;
    }
    o->op.done = peeked;
    log_file_read(&s->file, &o->op, 0, o->data, FERRY_BATCH_HEADER);
}
