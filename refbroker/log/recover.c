/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Opening a log: what is in its directory, its leader epochs, its newest usable producer snapshot;
 * then rescan.c reads what may be torn or must be replayed; then the log is put together. The same
 * is done in place after a failed write or a truncation.
 *
 *   list -> (make the directory | metadata -> epochs -> snapshot -> rescan -> put right) -> install
 *
 * What is missing or broken beside the batches themselves costs a longer scan and a line in the
 * log, never an error.
 */

#include "refbroker/log/recover.h"

#include <stdio.h>

enum { SMALL_FILE = 16 << 20 };

static void list(struct log_opening *);
static void load_epochs(struct log_opening *);
static void load_snapshot(struct log_opening *);

/* ---- beginning and end ---- */

static void drop_segments(struct log_opening *o)
{
    while (o->count)
        log_segment_destroy(o->segments[--o->count]);
}

static void opening_clear(struct log_opening *o)
{
    ferry_free(o->found);
    ferry_free(o->snapshots);
    ferry_free(o->text);
    ferry_free(o->path);
    ferry_free(o->data);
    ferry_free(o->segments);
    log_epochs_free(&o->epochs);
    log_producers_clear(&o->producers);
    log_producers_clear(&o->behind);
}

void log_recover_free(struct log *l)
{
    struct log_opening *o = l->private->opening;
    if (!o)
        return;
    drop_segments(o);
    log_file_free(&o->small);
    log_load_drop(&o->load);
    opening_clear(o);
    ferry_free(o);
    l->private->opening = NULL;
}

void log_recover_end(struct log_opening *o, int error)
{
    struct log *l = o->log;
    void (*done)(struct log *, int) = o->done;
    drop_segments(o);
    opening_clear(o);
    l->private->opening = NULL;
    ferry_free(o);
    done(l, error);
    log_drop(l);
}

void log_recover(struct log *l, int64_t snapshot_limit, void (*done)(struct log *, int error))
{
    struct log_opening *o = ferry_zalloc(sizeof *o);
    FERRY_CHECK(!l->private->opening);
    log_hold(l);
    if (!o) {
        done(l, FERRY_E_NOMEM);
        log_drop(l);
        return;
    }
    l->private->opening = o;
    o->log = l;
    o->done = done;
    o->first = !l->is_open;
    o->clean = o->first && l->dir->was_clean;
    o->snapshot_limit = snapshot_limit;
    list(o);
}

void log_recover_again(struct log_opening *o)
{
    struct log_opening next = {
        .log = o->log, .done = o->done, .first = o->first, .snapshot_limit = o->snapshot_limit};
    drop_segments(o);
    opening_clear(o);
    *o = next;
    list(o);
}

/* ---- a new directory ---- */

static void made_metadata(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    log_file_free(&o->small);
    if (status != FERRY_OK)
        log_say(o->log, LOG_WARN, "partition.metadata could not be written (%d)", status);
    load_epochs(o);
}

/* Kafka writes ids in URL-safe base64 without padding. */
static void id_text(const struct ferry_uuid *id, char out[23])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (unsigned i = 0; i < 22; i++) {
        unsigned bit = i * 6, byte = bit / 8, shift = bit % 8;
        unsigned two = (unsigned)id->b[byte] << 8 | (byte + 1 < 16 ? id->b[byte + 1] : 0u);
        out[i] = digits[two >> (10 - shift) & 63];
    }
    out[22] = '\0';
}

/* Its name becomes durable with the first flush, as the directory's own. */
static void make_metadata(struct log_opening *o)
{
    struct log *l = o->log;
    struct ferry_text text = {0};
    char id[23], path[LOG_PATH];
    if (ferry_uuid_is_zero(&l->topic_id) || o->has_metadata) {
        load_epochs(o);
        return;
    }
    id_text(&l->topic_id, id);
    ferry_text_add(&text, "version: 0\ntopic_id: %s", id);
    snprintf(path, sizeof path, "%s/partition.metadata", l->private->path);
    ferry_free(o->text);
    o->text = text.data;
    if (text.failed || log_file_init(&o->small, l->dir->files, path,
                                     FERRY_OPEN_WRITE | FERRY_OPEN_CREATE | FERRY_OPEN_TRUNCATE)) {
        log_recover_end(o, FERRY_E_NOMEM);
        return;
    }
    o->op.done = made_metadata;
    log_file_write(&o->small, &o->op, 0, text.data, text.len);
}

static void made_dir(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    if (status != FERRY_OK)
        log_recover_end(o, LOG_STORAGE_ERROR);
    else
        make_metadata(o);
}

static void make_dir(struct log_opening *o)
{
    o->op.done = made_dir;
    o->clean = false;
    log_files_create_dir(o->log->dir->files, &o->op, o->log->private->path);
}

/* ---- the listing ---- */

static struct log_found_segment *found_segment(struct log_opening *o, int64_t base)
{
    size_t i = o->found_count;
    while (i > 0 && o->found[i - 1].base > base)
        i--;
    if (i > 0 && o->found[i - 1].base == base)
        return &o->found[i - 1];
    if (FERRY_GROW(o->found, o->found_cap, o->found_count + 1) != FERRY_OK)
        return NULL;
    memmove(o->found + i + 1, o->found + i, (o->found_count - i) * sizeof *o->found);
    o->found_count++;
    o->found[i] = (struct log_found_segment){.base = base};
    return &o->found[i];
}

static int found_snapshot(struct log_opening *o, int64_t offset)
{
    size_t i = o->snapshot_count;
    if (FERRY_GROW(o->snapshots, o->snapshot_cap, o->snapshot_count + 1) != FERRY_OK)
        return FERRY_E_NOMEM;
    while (i > 0 && o->snapshots[i - 1] > offset) {
        o->snapshots[i] = o->snapshots[i - 1];
        i--;
    }
    o->snapshots[i] = offset;
    o->snapshot_count++;
    return FERRY_OK;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

/* The 20 digits of a segment's name; false for another name. */
static bool base_of(const char *name, int64_t *base, const char **suffix)
{
    *base = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(*base, 10, base) ||
            __builtin_add_overflow(*base, name[i] - '0', base))
            return false;
    }
    *suffix = name + 20;
    return true;
}

static void unlink_name(struct log *l, const char *name)
{
    char path[LOG_PATH];
    snprintf(path, sizeof path, "%s/%s", l->private->path, name);
    log_unlink(l, path);
}

/* Sorts one name into what was found. */
static int take_name(struct log_opening *o, const struct log_name *n)
{
    struct log_found_segment *f;
    const char *suffix;
    int64_t base;
    if (n->is_dir)
        return FERRY_OK;
    o->has_metadata |= !strcmp(n->name, "partition.metadata");
    o->has_epochs |= !strcmp(n->name, "leader-epoch-checkpoint");
    if (ends_with(n->name, ".tmp") || ends_with(n->name, ".deleted") ||
        ends_with(n->name, ".cleaned")) {
        unlink_name(o->log, n->name);
        return FERRY_OK;
    }
    if (!base_of(n->name, &base, &suffix))
        return FERRY_OK;
    if (!strcmp(suffix, ".snapshot"))
        return found_snapshot(o, base);
    if (strcmp(suffix, ".log") && strcmp(suffix, ".index") && strcmp(suffix, ".timeindex"))
        return FERRY_OK;
    if (!(f = found_segment(o, base)))
        return FERRY_E_NOMEM;
    if (!strcmp(suffix, ".log")) {
        f->has_log = true;
        f->size = n->size;
    } else if (!strcmp(suffix, ".index")) {
        f->has_offsets = true;
        f->offsets_size = n->size;
    } else {
        f->has_times = true;
        f->times_size = n->size;
    }
    return FERRY_OK;
}

/* Index files without their segment go. */
static void drop_orphans(struct log_opening *o)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->found_count; i++) {
        char path[LOG_PATH];
        struct log_found_segment f = o->found[i];
        if (f.has_log) {
            o->found[kept++] = f;
            continue;
        }
        if (f.has_offsets) {
            log_segment_path(o->log, f.base, ".index", path);
            log_unlink(o->log, path);
        }
        if (f.has_times) {
            log_segment_path(o->log, f.base, ".timeindex", path);
            log_unlink(o->log, path);
        }
    }
    o->found_count = kept;
}

static bool name_exists(const struct log_files *f, const char *name, size_t len)
{
    struct log_name n;
    for (size_t at = 0; log_files_next_name(f, &at, &n);)
        if (strlen(n.name) == len && !memcmp(n.name, name, len))
            return true;
    return false;
}

static void renamed(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    if (status != FERRY_OK)
        log_recover_end(o, LOG_STORAGE_ERROR);
    else
        log_recover_again(o);
}

/* A compaction of Kafka's that was caught between two names: its result takes the place that is
 * empty. True: under way. */
static bool finish_swap(struct log_opening *o)
{
    struct log_files *f = o->log->dir->files;
    struct log_name n;
    for (size_t at = 0; log_files_next_name(f, &at, &n);) {
        if (!ends_with(n.name, ".swap"))
            continue;
        size_t len = strlen(n.name) - 5;
        if (name_exists(f, n.name, len)) {
            unlink_name(o->log, n.name);
            continue;
        }
        struct ferry_text from = {0}, to = {0};
        ferry_text_add(&from, "%s/%s", o->log->private->path, n.name);
        ferry_text_add(&to, "%s/%.*s", o->log->private->path, (int)len, n.name);
        o->path = from.data;
        o->text = to.data;
        o->op.done = renamed;
        if (from.failed || to.failed)
            log_recover_end(o, FERRY_E_NOMEM);
        else
            log_files_rename(f, &o->op, o->path, o->text);
        return true;
    }
    return false;
}

/* ---- partition.metadata ---- */

static void moved_away(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    if (status != FERRY_OK) {
        log_recover_end(o, LOG_STORAGE_ERROR);
        return;
    }
    o->log->private->marks->recovery_point = -1;
    o->log->private->marks->high_watermark = -1;
    o->log->private->marks->start = -1;
    log_recover_again(o);
}

/* The topic id that it names, if that is whole: 22 characters. What a failed write left of ours is not, and is no reason to
 * put records aside. */
static const uint8_t *named_topic(struct ferry_bytes data)
{
    static const char key[] = "topic_id: ";
    const uint8_t *at = memmem(data.data, data.len, key, sizeof key - 1);
    if (!at)
        return NULL;
    at += sizeof key - 1;
    const uint8_t *end = data.data + data.len;
    size_t n = 0;
    while (at + n < end && ((at[n] >= '0' && at[n] <= '9') || (at[n] >= 'A' && at[n] <= 'Z') ||
                            (at[n] >= 'a' && at[n] <= 'z') || at[n] == '-' || at[n] == '_'))
        n++;
    return n == 22 ? at : NULL;
}

static void metadata_loaded(struct log_load *load, int status, struct ferry_bytes data)
{
    struct log_opening *o = FERRY_CONTAINER(load, struct log_opening, load);
    struct log *l = o->log;
    struct ferry_text path = {0};
    char id[23];
    id_text(&l->topic_id, id);
    bool ours = status == FERRY_OK && data.len >= 22 && memmem(data.data, data.len, id, 22);
    const uint8_t *other = status == FERRY_OK ? named_topic(data) : NULL;
    if (ours || !other) {
        o->has_metadata = ours;
        make_metadata(o);
        return;
    }
    /* A deleted topic of the same name, as a rule, whose records are not this topic's; or its only fault is that this file
     * was damaged. So nothing is removed. */
    ferry_text_add(&path, "%s.%.22s-stray", l->private->path, (const char *)other);
    log_say(l, LOG_WARN,
            "its partition.metadata names topic id %.22s, not %s: the directory is kept as %s; "
            "remove it, or "
            "mend that file and move it back while the broker is stopped",
            (const char *)other, id, path.failed ? "?" : path.data);
    o->path = path.data;
    o->op.done = moved_away;
    if (path.failed)
        log_recover_end(o, FERRY_E_NOMEM);
    else
        log_files_rename(l->dir->files, &o->op, l->private->path, o->path);
}

static void check_metadata(struct log_opening *o)
{
    char path[LOG_PATH];
    if (!o->has_metadata || !o->first || ferry_uuid_is_zero(&o->log->topic_id)) {
        make_metadata(o);
        return;
    }
    snprintf(path, sizeof path, "%s/partition.metadata", o->log->private->path);
    o->load.done = metadata_loaded;
    log_files_load(o->log->dir->files, &o->load, path, SMALL_FILE);
}

static void listed(struct log_op *op, int status, uint64_t count)
{
    struct log_opening *o = FERRY_CONTAINER(op, struct log_opening, op);
    struct log_files *f = o->log->dir->files;
    struct log_name n;
    int rc = FERRY_OK;
    if (status == FERRY_E_NOT_FOUND) {
        make_dir(o);
        return;
    }
    if (status == FERRY_OK && finish_swap(o))
        return;
    for (size_t at = 0; status == FERRY_OK && rc == FERRY_OK && log_files_next_name(f, &at, &n);)
        rc = take_name(o, &n);
    if (status != FERRY_OK || rc != FERRY_OK) {
        log_recover_end(o, rc ? rc : LOG_STORAGE_ERROR);
        return;
    }
    drop_orphans(o);
    check_metadata(o);
}

static void list(struct log_opening *o)
{
    memset(&o->op, 0, sizeof o->op);
    o->op.done = listed;
    log_files_list(o->log->dir->files, &o->op, o->log->private->path);
}

/* ---- epochs and producers ---- */

static void epochs_loaded(struct log_load *load, int status, struct ferry_bytes data)
{
    struct log_opening *o = FERRY_CONTAINER(load, struct log_opening, load);
    if (status != FERRY_OK || log_epochs_load(&o->epochs, data) != FERRY_OK) {
        log_say(o->log, LOG_WARN, "leader-epoch-checkpoint cannot be read; it is built anew");
        o->has_epochs = false;
    }
    load_snapshot(o);
}

static void load_epochs(struct log_opening *o)
{
    char path[LOG_PATH];
    struct log *l = o->log;
    o->snapshot_at = o->snapshot_count;
    if (!o->first) { /* memory knows better: the file may not be written yet */
        struct log_epochs *e = &l->private->epochs;
        bool added;
        for (size_t i = 0; i < e->count; i++)
            if (log_epochs_note(&o->epochs, e->items[i].epoch, e->items[i].start, &added)) {
                log_recover_end(o, FERRY_E_NOMEM);
                return;
            }
        o->has_epochs = true;
        load_snapshot(o);
        return;
    }
    if (!o->has_epochs) {
        load_snapshot(o);
        return;
    }
    snprintf(path, sizeof path, "%s/leader-epoch-checkpoint", l->private->path);
    o->load.done = epochs_loaded;
    log_files_load(l->dir->files, &o->load, path, SMALL_FILE);
}

static void snapshot_loaded(struct log_load *load, int status, struct ferry_bytes data)
{
    struct log_opening *o = FERRY_CONTAINER(load, struct log_opening, load);
    struct log *l = o->log;
    int64_t offset = o->snapshots[o->snapshot_at];
    if (status == FERRY_OK)
        status = log_producers_load(&o->producers, data, l->dir->files->wall);
    if (status == FERRY_OK) {
        o->snapshot_offset = offset;
        o->use_behind = !log_producers_complete(&o->producers);
        log_rescan_begin(o);
        return;
    }
    log_say(l, LOG_WARN, "producer snapshot at %lld cannot be used (%d)", (long long)offset,
            status);
    load_snapshot(o);
}

/* The newest snapshot that can be read. */
static void load_snapshot(struct log_opening *o)
{
    char path[LOG_PATH];
    o->snapshot_offset = -1;
    while (o->snapshot_at > 0 && o->snapshots[o->snapshot_at - 1] > o->snapshot_limit)
        o->snapshot_at--;
    if (o->snapshot_at == 0 || o->found_count == 0) {
        log_rescan_begin(o);
        return;
    }
    log_segment_path(o->log, o->snapshots[--o->snapshot_at], ".snapshot", path);
    o->load.done = snapshot_loaded;
    log_files_load(o->log->dir->files, &o->load, path, SMALL_FILE);
}

/* ---- putting the log together ---- */

static int install_snapshots(struct log_opening *o)
{
    struct log *l = o->log;
    struct log_private *p = l->private;
    p->snapshot_count = 0;
    for (size_t i = 0; i < o->snapshot_count; i++)
        if (log_snapshot_note(l, o->snapshots[i]) != FERRY_OK)
            return FERRY_E_NOMEM;
    /* Those behind the one that was used could not be read, or are beyond the end. */
    int64_t last = o->snapshot_offset < o->expected ? o->snapshot_offset : o->expected;
    log_snapshots_drop(l, o->segments[0]->base, last);
    return FERRY_OK;
}

static void install_ends(struct log_opening *o)
{
    struct log *l = o->log;
    struct log_private *p = l->private;
    struct log_marks *m = p->marks;
    int64_t first = p->segments[0]->base, old_flushed = l->flushed;
    l->end = p->next = o->expected;
    l->start = m->start > first ? m->start : first;
    if (l->start > l->end)
        l->start = l->end;
    if (o->clean || m->recovery_point > l->end)
        m->recovery_point = l->end;
    p->recovery_point = m->recovery_point < first ? first : m->recovery_point;
    l->flushed = p->recovery_point;
    if (!o->first && old_flushed > l->flushed)
        l->flushed = old_flushed < l->end ? old_flushed : l->end;
    l->high_watermark = o->first ? m->high_watermark : l->high_watermark;
    if (l->high_watermark < l->start)
        l->high_watermark = l->start;
    if (l->high_watermark > l->end)
        l->high_watermark = l->end;
    m->high_watermark = l->high_watermark;
    p->flush_goal = l->config.flush_messages == 1 ? l->end : l->flushed;
    p->unflushed_records = l->end - l->flushed;
    p->dirty_since = l->end > l->flushed ? l->dir->files->now : FERRY_NEVER;
}

void log_recover_install(struct log_opening *o)
{
    struct log *l = o->log;
    struct log_private *p = l->private;
    bool cut;
    if (install_snapshots(o) != FERRY_OK) {
        log_recover_end(o, FERRY_E_NOMEM);
        return;
    }
    log_near_clear(l);
    log_checkpoint_cancel(l);
    while (p->count)
        log_segment_doom(p->segments[--p->count]);
    ferry_free(p->segments);
    p->segments = o->segments;
    p->count = o->count;
    p->cap = o->cap;
    o->segments = NULL;
    o->count = o->cap = 0;
    l->size = 0;
    for (size_t i = 0; i < p->count; i++)
        l->size += p->segments[i]->size;
    install_ends(o);
    log_producers_clear(&p->producers);
    p->producers = o->producers;
    memset(&o->producers, 0, sizeof o->producers);
    cut = log_epochs_cut_end(&o->epochs, l->end);
    cut |= log_epochs_cut_start(&o->epochs, l->start);
    log_epochs_free(&p->epochs);
    p->epochs = o->epochs;
    memset(&o->epochs, 0, sizeof o->epochs);
    p->epochs_dirty |= cut || o->epochs_grew;
    p->root_named = o->clean;
    p->checkpoint_bytes = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct log_segment *s = p->segments[i];
        s->offsets.paused = s->times.paused = false;
        if (i + 1 < p->count && !s->indexes_synced)
            log_segment_seal(s);
    }
    if (o->first && !o->clean && l->end > p->recovery_point)
        log_checkpoint_take(l); /* so that a second crash has less to read */
    log_recover_end(o, FERRY_OK);
}
