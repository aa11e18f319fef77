/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * What makes a log durable. One sync is under way at a time; all that wait share it.
 *
 *   idle -> data -> names (only once per segment) -> idle      flushed moves to what was written
 * when the sync began idle -> offsets -> times -> index names -> idle            the index files of
 * a segment that is full
 *
 * A checkpoint is the producer state as of one offset. It waits until everything below that offset,
 * index files and epochs included, is on disk; then it is saved as .snapshot and the offset becomes
 * the recovery point: a start after a crash scans from there.
 *
 * A sync that fails is never tried again: the system may have dropped the pages and would say that
 * all is well.
 */

#include "base/plant.h"
#include "refbroker/log/internal.h"

#include <stdio.h>

static void flush_done(struct log_op *op, int status, uint64_t count);

static void flush_failed(struct log *l, const char *what)
{
    char why[LOG_PATH + 80];
    snprintf(why, sizeof why, "%s of %s could not be synced", what, l->private->path);
    log_dir_go_offline(l->dir, why);
}

/* ---- checkpoints ---- */

void log_checkpoint_cancel(struct log *l)
{
    struct log_private *p = l->private;
    if (p->checkpoint_state != LOG_CHECKPOINT_WAITING)
        return;
    ferry_free(p->checkpoint_data);
    p->checkpoint_data = NULL;
    p->checkpoint_state = LOG_CHECKPOINT_IDLE;
}

void log_checkpoint_take(struct log *l)
{
    struct log_private *p = l->private;
    if (p->checkpoint_state != LOG_CHECKPOINT_IDLE || l->dir->offline)
        return;
    p->checkpoint_data = log_producers_save(&p->producers, &p->checkpoint_len);
    if (!p->checkpoint_data)
        return; /* the next one may find memory */
    p->checkpoint_offset = p->next;
    p->checkpoint_bytes = 0;
    p->checkpoint_state = LOG_CHECKPOINT_WAITING;
    /* The scan after a crash begins at an index entry below the recovery point and believes the times up to there, so
     * both index files are to be on disk as far as they go now. */
    struct log_segment *s = log_active(l);
    p->mark_segment = s;
    p->mark_offsets = log_index_count(&s->offsets) * s->offsets.entry;
    p->mark_times = log_index_count(&s->times) * s->times.entry;
    p->index_tried = false;
    log_index_flush(&s->offsets);
    log_index_flush(&s->times);
    if (p->flush_goal < p->next)
        p->flush_goal = p->next;
}

int log_snapshot_note(struct log *l, int64_t offset)
{
    struct log_private *p = l->private;
    if (p->snapshot_count && p->snapshots[p->snapshot_count - 1] >= offset)
        return FERRY_OK;
    if (FERRY_GROW(p->snapshots, p->snapshot_cap, p->snapshot_count + 1) != FERRY_OK)
        return FERRY_E_NOMEM;
    p->snapshots[p->snapshot_count++] = offset;
    return FERRY_OK;
}

void log_snapshots_drop(struct log *l, int64_t below, int64_t above)
{
    struct log_private *p = l->private;
    size_t kept = 0;
    for (size_t i = 0; i < p->snapshot_count; i++) {
        char path[LOG_PATH];
        if (p->snapshots[i] >= below && p->snapshots[i] <= above) {
            p->snapshots[kept++] = p->snapshots[i];
            continue;
        }
        log_segment_path(l, p->snapshots[i], ".snapshot", path);
        log_unlink(l, path);
    }
    p->snapshot_count = kept;
}

/* Keeps the newest two, and those at the beginning of a segment as Kafka does. */
static void prune_snapshots(struct log *l)
{
    struct log_private *p = l->private;
    size_t kept = 0, count = p->snapshot_count;
    for (size_t i = 0; i < count; i++) {
        char path[LOG_PATH];
        int64_t at = p->snapshots[i];
        if (i + 2 >= count || p->segments[log_segment_find(l, at)]->base == at) {
            p->snapshots[kept++] = at;
            continue;
        }
        log_segment_path(l, at, ".snapshot", path);
        log_unlink(l, path);
    }
    p->snapshot_count = kept;
}

static void set_recovery_point(struct log *l, int64_t offset)
{
    l->private->recovery_point = offset;
    l->private->marks->recovery_point = offset;
    log_dir_mark(l->dir, LOG_MARK_RECOVERY, NULL);
}

static void checkpoint_saved(struct log_save *s, int status)
{
    struct log_private *p = FERRY_CONTAINER(s, struct log_private, checkpoint_save);
    struct log *l = p->log;
    p->checkpoint_state = LOG_CHECKPOINT_IDLE;
    if (status == FERRY_OK) {
        set_recovery_point(l, p->checkpoint_offset);
        if (log_snapshot_note(l, p->checkpoint_offset) == FERRY_OK)
            prune_snapshots(l);
    } else if (status == FERRY_E_IO) {
        flush_failed(l, "a producer snapshot");
    } else {
        log_say(l, LOG_WARN, "producer snapshot at %lld not saved (%d)",
                (long long)p->checkpoint_offset, status);
        if (p->closing) /* without it the next start scans; that is all */
            p->broken = true;
    }
    log_pump(l);
    log_drop(l);
}

static void save_checkpoint(struct log *l)
{
    struct log_private *p = l->private;
    char path[LOG_PATH];
    uint8_t *data = p->checkpoint_data;
    p->checkpoint_data = NULL;
    if (p->snapshot_count && p->snapshots[p->snapshot_count - 1] == p->checkpoint_offset) {
        ferry_free(data);
        p->checkpoint_state = LOG_CHECKPOINT_IDLE;
        set_recovery_point(l, p->checkpoint_offset);
        log_later(l);
        return;
    }
    log_segment_path(l, p->checkpoint_offset, ".snapshot", path);
    p->checkpoint_state = LOG_CHECKPOINT_SAVING;
    p->checkpoint_save.done = checkpoint_saved;
    log_hold(l);
    log_files_save(l->dir->files, &p->checkpoint_save, path, data, p->checkpoint_len);
}

/* ---- epochs ---- */

static void epochs_saved(struct log_save *s, int status)
{
    struct log_private *p = FERRY_CONTAINER(s, struct log_private, epochs_save);
    struct log *l = p->log;
    p->epochs_saving = false;
    if (status == FERRY_E_IO)
        flush_failed(l, "the leader epochs");
    else if (status != FERRY_OK) {
        log_say(l, LOG_WARN, "leader epochs not saved (%d)", status);
        p->epochs_dirty = true;
        p->epochs_retry = l->dir->files->now + FERRY_SECOND;
        log_note_due(l);
        p->broken |= p->closing;
    }
    log_pump(l);
    log_drop(l);
}

static void save_epochs(struct log *l)
{
    struct log_private *p = l->private;
    struct ferry_text text = {0};
    char path[LOG_PATH];
    if (p->epochs_saving || !p->epochs_dirty || l->dir->files->now < p->epochs_retry)
        return;
    log_epochs_save(&p->epochs, &text);
    if (text.failed) {
        ferry_text_free(&text);
        return;
    }
    snprintf(path, sizeof path, "%s/leader-epoch-checkpoint", p->path);
    p->epochs_dirty = false;
    p->epochs_saving = true;
    p->epochs_save.done = epochs_saved;
    log_hold(l);
    log_files_save(l->dir->files, &p->epochs_save, path, text.data, text.len);
}

/* ---- syncs ---- */

static void begin(struct log *l, enum log_flush_stage stage)
{
    struct log_private *p = l->private;
    struct log_segment *s = p->flush_segment;
    struct log_files *f = l->dir->files;
    p->flush_stage = stage;
    p->flush_op.done = flush_done;
    log_segment_pin(s); /* it may be retired meanwhile */
    log_hold(l);
    switch (stage) {
    case LOG_FLUSH_DATA:
        log_file_sync(&s->file, &p->flush_op);
        break;
    case LOG_FLUSH_NAMES:
    case LOG_FLUSH_INDEX_NAMES:
        log_files_sync_dir(f, &p->flush_op, p->path);
        break;
    case LOG_FLUSH_ROOT:
        log_files_sync_dir(f, &p->flush_op, ".");
        break;
    case LOG_FLUSH_OFFSETS:
        p->flush_size = s->offsets.size;
        log_file_sync(&s->offsets.file, &p->flush_op);
        break;
    case LOG_FLUSH_TIMES:
        p->flush_size = s->times.size;
        log_file_sync(&s->times.file, &p->flush_op);
        break;
    default:
        FERRY_UNREACHABLE();
    }
}

/* Flush requests that are met, or that never will be. */
static void release_requests(struct log *l)
{
    struct log_private *p = l->private;
    struct ferry_link *it, *tmp, ready;
    bool never = l->dir->offline || p->broken;
    ferry_list_init(&ready);
    FERRY_LIST_EACH(it, tmp, &p->flushes)
    {
        if (never || FERRY_CONTAINER(it, struct log_request, link)->offset <= l->flushed) {
            ferry_list_remove(it);
            ferry_list_push_back(&ready, it);
        }
    }
    while ((it = ferry_list_pop_front(&ready)) != NULL) {
        struct log_request *r = FERRY_CONTAINER(it, struct log_request, link);
        r->done(r, r->offset <= l->flushed ? FERRY_OK : LOG_STORAGE_ERROR);
    }
}

/* Data and names of flush_segment are on disk up to flush_target. */
static void advance(struct log *l)
{
    struct log_private *p = l->private;
    struct log_segment *s = p->flush_segment;
    if (p->flush_target > l->flushed)
        l->flushed = p->flush_target;
    if (l->flushed >= l->end) {
        p->dirty_since = FERRY_NEVER;
        p->unflushed_records = p->next - l->end;
    }
    if (s->held && s != p->segments[log_segment_find(l, l->flushed)]) {
        s->held = false;
        log_file_unpin(&s->file);
    }
    log_moved(l);
}

/* What follows a stage that went well; IDLE: nothing. */
static enum log_flush_stage next_stage(struct log *l, enum log_flush_stage stage)
{
    struct log_private *p = l->private;
    struct log_segment *s = p->flush_segment;
    switch (stage) {
    case LOG_FLUSH_DATA:
        if (!s->named)
            return LOG_FLUSH_NAMES;
        return LOG_FLUSH_IDLE;
    case LOG_FLUSH_NAMES:
        for (size_t i = 0; i < p->count; i++)
            p->segments[i]->named |= p->segments[i]->file.is_open;
        s->named = true;
        return p->root_named ? LOG_FLUSH_IDLE : LOG_FLUSH_ROOT;
    case LOG_FLUSH_ROOT:
        p->root_named = true;
        return LOG_FLUSH_IDLE;
    case LOG_FLUSH_OFFSETS:
        s->offsets.synced = p->flush_size;
        return LOG_FLUSH_TIMES;
    case LOG_FLUSH_TIMES:
        s->times.synced = p->flush_size;
        if (!s->index_named)
            return LOG_FLUSH_INDEX_NAMES;
        s->indexes_synced = !p->flush_by_mark;
        return LOG_FLUSH_IDLE;
    case LOG_FLUSH_INDEX_NAMES:
        s->index_named = true;
        s->indexes_synced = !p->flush_by_mark;
        return LOG_FLUSH_IDLE;
    default:
        FERRY_UNREACHABLE();
    }
}

static void flush_done(struct log_op *op, int status, uint64_t count)
{
    struct log_private *p = FERRY_CONTAINER(op, struct log_private, flush_op);
    struct log *l = p->log;
    enum log_flush_stage stage = p->flush_stage, next;
    struct log_segment *s = p->flush_segment;
    bool index = stage >= LOG_FLUSH_OFFSETS;
    p->flush_stage = LOG_FLUSH_IDLE;
    if (status != FERRY_OK && FERRY_PLANTED(SYNC_RETRIED)) {
        log_later(l);
    } else if (status != FERRY_OK) {
        flush_failed(l, stage == LOG_FLUSH_DATA ? "data" : index ? "an index" : "a directory");
    } else if ((next = next_stage(l, stage)) != LOG_FLUSH_IDLE) {
        begin(l, next);
    } else if (!index) {
        advance(l);
    }
    log_segment_unpin(s);
    log_pump(l);
    log_drop(l);
}

/* A full segment below `offset` whose index files are not on disk yet. */
static struct log_segment *unsynced_indexes(const struct log *l, int64_t offset)
{
    const struct log_private *p = l->private;
    for (size_t i = p->count - 1; i-- > 0;) {
        if (p->segments[i]->indexes_synced)
            break; /* they are synced in order */
        if ((i == 0 || p->segments[i - 1]->indexes_synced) && p->segments[i]->base < offset)
            return p->segments[i];
    }
    return NULL;
}

/* The index files cannot be written: so be it, a start after a crash scans from the last recovery point. */
static void give_up_checkpoint(struct log *l)
{
    struct log_private *p = l->private;
    log_say(l, LOG_WARN, "index files cannot be written; no recovery point at %lld",
            (long long)p->checkpoint_offset);
    p->broken |= p->closing;
    log_checkpoint_cancel(l);
    log_later(l);
}

/* True: a sync has begun. */
static bool pump_checkpoint(struct log *l)
{
    struct log_private *p = l->private;
    if (p->checkpoint_state != LOG_CHECKPOINT_WAITING || l->flushed < p->checkpoint_offset ||
        p->epochs_dirty || p->epochs_saving || !ferry_list_empty(&p->unlinking))
        return false;
    struct log_segment *s = unsynced_indexes(l, p->checkpoint_offset);
    bool ready = s && log_index_flushed(&s->offsets) && log_index_flushed(&s->times);
    p->flush_by_mark = !s;
    if (!s && (s = p->mark_segment) != NULL) {
        ready = s->offsets.size >= p->mark_offsets && s->times.size >= p->mark_times;
        if (s->offsets.synced >= p->mark_offsets && s->times.synced >= p->mark_times)
            s = NULL;
    }
    if (!s) {
        save_checkpoint(l);
        return false;
    }
    if (ready) {
        p->flush_segment = s;
        begin(l, LOG_FLUSH_OFFSETS);
        return true;
    }
    if (s->offsets.writing || s->times.writing)
        return false;
    if (p->index_tried) {
        give_up_checkpoint(l);
        return false;
    }
    p->index_tried = true;
    log_index_flush(&s->offsets);
    log_index_flush(&s->times);
    return false;
}

void log_flush_pump(struct log *l)
{
    struct log_private *p = l->private;
    release_requests(l);
    if (l->dir->offline || p->flush_stage != LOG_FLUSH_IDLE || p->broken)
        return;
    save_epochs(l);
    if (p->unflushed_records >= l->config.flush_messages && p->flush_goal < l->end)
        p->flush_goal = l->end;
    int64_t goal = p->flush_goal < l->end ? p->flush_goal : l->end;
    if (pump_checkpoint(l))
        return;
    if (l->flushed < goal) {
        size_t i = log_segment_find(l, l->flushed);
        p->flush_segment = p->segments[i];
        p->flush_target = log_segment_end(l, i);
        if (p->flush_target > l->end)
            p->flush_target = l->end;
        if (p->flush_segment->written == 0) { /* nothing there to sync: records were deleted away */
            advance(l);
            log_later(l);
            return;
        }
        begin(l, LOG_FLUSH_DATA);
    }
}

void log_flush(struct log *l, struct log_request *r)
{
    struct log_private *p = l->private;
    r->log = l;
    r->offset = l->end;
    r->link.next = NULL;
    ferry_list_push_back(&p->flushes, &r->link);
    if (p->flush_goal < l->end)
        p->flush_goal = l->end;
    log_later(l);
}

void log_flush_for_close(struct log *l)
{
    struct log_private *p = l->private;
    log_segment_seal(log_active(l));
    p->flush_goal = p->next;
    p->epochs_retry = 0;
    log_checkpoint_cancel(l);
    bool saved = p->snapshot_count && p->snapshots[p->snapshot_count - 1] >= p->next;
    if (p->recovery_point < p->next || (!saved && (l->size || p->producers.map.live)))
        log_checkpoint_take(l);
}
