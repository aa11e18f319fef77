/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Taking away: after a failed write, for a follower, old records, a whole log.
 *
 * Cutting the end runs alone (a task): the recovery point is lowered durably first where it lies
 * beyond, then younger segments are unlinked, the file is truncated, all that is made durable, and
 * the log is opened again in place. Cutting the beginning only unlinks whole segments and needs no
 * rest.
 */

#include "refbroker/log/seek.h"

#include <stdio.h>

enum task_kind { TASK_REPAIR, TASK_TRUNCATE, TASK_TRUNCATE_ALL, TASK_DELETE };

struct log_cutting {
    struct log *log;
    struct log_op op;
    struct log_request mark;
    size_t keep; /* segments that stay; the last of them is truncated */
    uint64_t position;
    int64_t end;
    char path[LOG_PATH], path2[LOG_PATH];
    uint32_t step;
    bool truncated, synced, names_synced;
};

void log_cut_free(struct log *l)
{
    ferry_free(l->private->cutting);
}

/* ---- the beginning ---- */

static void unlink_segment(struct log *l, const struct log_segment *s)
{
    static const char *const suffixes[] = {".log", ".index", ".timeindex"};
    for (size_t i = 0; i < 3; i++) {
        char path[LOG_PATH];
        log_segment_path(l, s->base, suffixes[i], path);
        log_set_aside(l, path);
    }
}

void log_drop_old(struct log *l)
{
    struct log_private *p = l->private;
    size_t drop = 0;
    while (drop + 1 < p->count && p->segments[drop + 1]->base <= l->start)
        drop++;
    for (size_t i = 0; i < drop; i++) {
        l->size -= p->segments[i]->size;
        unlink_segment(l, p->segments[i]);
        log_segment_doom(p->segments[i]);
    }
    if (drop) {
        memmove(p->segments, p->segments + drop, (p->count - drop) * sizeof *p->segments);
        p->count -= drop;
    }
    p->epochs_dirty |= log_epochs_cut_start(&p->epochs, l->start);
    if (p->snapshot_count) {
        int64_t newest = p->snapshots[p->snapshot_count - 1], base = p->segments[0]->base;
        log_snapshots_drop(l, newest < base ? newest : base, INT64_MAX);
    }
    log_later(l);
}

static void move_start(struct log *l, int64_t start)
{
    if (start <= l->start)
        return;
    l->start = start;
    l->private->marks->start = start;
    if (l->high_watermark < start)
        log_set_high_watermark(l, start);
}

static void mark_start(struct log *l);

static void start_durable(struct log_request *r, int error)
{
    struct log_private *p = FERRY_CONTAINER(r, struct log_private, start_mark);
    struct log *l = p->log;
    struct ferry_link ready, *link;
    bool again = p->start_again;
    ferry_list_init(&ready);
    while ((link = ferry_list_pop_front(&p->start_marking)) != NULL)
        ferry_list_push_back(&ready, link);
    while ((link = ferry_list_pop_front(&p->start_waiting)) != NULL)
        ferry_list_push_back(&p->start_marking, link);
    p->start_marked = p->start_again = false;
    if (again)
        mark_start(l);
    else if (!p->gone && error == FERRY_OK)
        log_drop_old(l); /* only now: a crash must not bring back part of it */
    while ((link = ferry_list_pop_front(&ready)) != NULL) {
        struct log_request *waiting = FERRY_CONTAINER(link, struct log_request, link);
        waiting->done(waiting, error);
    }
    log_drop(l);
}

/* What lies below the start goes when the start is on disk. */
static void mark_start(struct log *l)
{
    struct log_private *p = l->private;
    if (p->start_marked) {
        p->start_again = true;
        return;
    }
    p->start_marked = true;
    p->start_mark.done = start_durable;
    log_hold(l);
    log_dir_mark(l->dir, LOG_MARK_START, &p->start_mark);
}

void log_delete_before(struct log *l, struct log_request *r, int64_t offset)
{
    struct log_private *p = l->private;
    int error = FERRY_OK;
    r->log = l;
    r->link.next = NULL;
    if (l->dir->offline || p->broken || !l->is_open)
        error = LOG_STORAGE_ERROR;
    else if (offset > l->high_watermark || offset < 0)
        error = LOG_OFFSET_OUT_OF_RANGE;
    if (error) {
        log_end_request_later(l, r, error);
        return;
    }
    move_start(l, offset);
    ferry_list_push_back(p->start_marked ? &p->start_waiting : &p->start_marking, &r->link);
    mark_start(l);
}

/* ---- retention ---- */

/* Is the oldest segment to go? FERRY_E_AGAIN: its times are being read. 0 no, 1 yes. */
static int too_old(struct log *l, struct log_segment *s)
{
    if (l->config.retention_ms < 0)
        return 0;
    if (!s->times_known)
        return log_segment_load_times(s) == FERRY_OK ? FERRY_E_AGAIN : 0;
    int64_t newest = s->max_timestamp >= 0 ? s->max_timestamp : s->touched_at;
    return l->dir->files->wall - newest > l->config.retention_ms;
}

void log_retain(struct log *l)
{
    struct log_private *p = l->private;
    uint64_t size = l->size;
    size_t i = 0;
    p->retain_wanted = false;
    if (!l->config.cleanup_delete || l->dir->offline || p->broken || p->closing || !l->is_open)
        return;
    while (i + 1 < p->count && p->segments[i + 1]->base <= l->start)
        size -= p->segments[i++]->size; /* on their way out */
    for (;; i++) {
        struct log_segment *s = p->segments[i];
        bool active = i + 1 == p->count;
        if (s->size == 0 || log_segment_end(l, i) > l->high_watermark ||
            (active && p->next != l->end))
            break;
        int old = too_old(l, s);
        if (old == FERRY_E_AGAIN) {
            p->retain_wanted = true;
            break;
        }
        size -= s->size;
        bool large = l->config.retention_bytes >= 0 && size >= (uint64_t)l->config.retention_bytes;
        if ((!old && !large) || (active && log_roll(l) != FERRY_OK))
            break;
        log_say(l, LOG_INFO, "the segment from offset %lld is removed by retention.%s",
                (long long)s->base, old ? "ms" : "bytes");
        move_start(l, p->segments[i + 1]->base);
    }
    if (p->segments[0]->base < l->start && p->count > 1 && p->segments[1]->base <= l->start)
        mark_start(l);
}

static struct log_cutting *cutting_new(struct log *l)
{
    struct log_cutting *c = ferry_zalloc(sizeof *c);
    if (c)
        c->log = l;
    l->private->cutting = c;
    return c;
}

static void cutting_free(struct log_cutting *c)
{
    c->log->private->cutting = NULL;
    ferry_free(c);
}

/* ---- the end ---- */

static void cut_step(struct log_cutting *c);

static void cut_done(struct log *l, int error)
{
    struct log_private *p = l->private;
    p->repairing = false;
    if (error != FERRY_OK) {
        p->broken = true;
        log_dir_go_offline(l->dir, "a log could not be cut back");
        error = LOG_STORAGE_ERROR;
    } else {
        for (size_t i = 0; i < p->expected_count; i++)
            log_producers_expect(&p->producers, p->expected[i].producer_id, p->expected[i].epoch,
                                 p->expected[i].sequence, l->dir->files->wall);
        p->expected_count = 0;
        log_dir_mark(l->dir, LOG_MARK_RECOVERY, NULL);
        log_append_fail_beyond(l);
        log_moved(l);
    }
    log_task_end(l, error);
}

static void cut_stepped(struct log_op *op, int status, uint64_t count)
{
    struct log_cutting *c = FERRY_CONTAINER(op, struct log_cutting, op);
    struct log *l = c->log;
    if (status == FERRY_OK || status == FERRY_E_NOT_FOUND) {
        cut_step(c);
        return;
    }
    cutting_free(c);
    cut_done(l, status);
}

/* One action after the other until the disk holds what is to be kept. */
static void cut_step(struct log_cutting *c)
{
    static const char *const suffixes[] = {".log", ".index", ".timeindex"};
    struct log *l = c->log;
    struct log_private *p = l->private;
    struct log_files *f = l->dir->files;
    c->op.done = cut_stepped;
    while (p->count > c->keep) {
        if (c->step == 3) { /* younger segments first */
            c->step = 0;
            log_segment_doom(p->segments[--p->count]);
            continue;
        }
        log_segment_path(l, log_active(l)->base, suffixes[c->step++], c->path);
        log_files_unlink(f, &c->op, c->path);
        return;
    }
    if (c->keep && !c->truncated) {
        c->truncated = true;
        log_file_truncate(&log_active(l)->file, &c->op, c->position);
        return;
    }
    if (c->keep && !c->synced) {
        c->synced = true;
        log_file_sync(&log_active(l)->file, &c->op);
        return;
    }
    if (!c->names_synced) {
        c->names_synced = true;
        log_files_sync_dir(f, &c->op, p->path);
        return;
    }
    int64_t end = c->end;
    if (c->keep) {
        log_epochs_cut_end(&p->epochs, end);
        if (end < l->start) { /* the batch that was cut off held the start */
            l->start = p->marks->start = end;
            log_dir_mark(l->dir, LOG_MARK_START, NULL);
        }
    } else {
        log_epochs_cut_end(&p->epochs, INT64_MIN);
        log_snapshots_drop(l, INT64_MAX, INT64_MAX);
        l->start = l->high_watermark = l->end = p->next = end;
        l->flushed = l->flushed < end ? l->flushed : end;
        p->marks->high_watermark = end;
    }
    cutting_free(c);
    p->epochs_dirty = true;
    log_recover(l, end, cut_done);
}

static void mark_lowered(struct log_request *r, int error)
{
    struct log_cutting *c = FERRY_CONTAINER(r, struct log_cutting, mark);
    struct log *l = c->log;
    if (error == FERRY_OK) {
        cut_step(c);
        return;
    }
    /* Nothing was cut yet. The marks in memory are lower than they need be: that costs a longer scan. */
    if (!c->keep)
        l->private->marks->start = l->start;
    cutting_free(c);
    log_task_end(l, error);
}

/* Lowers the recovery point durably, where it must be, then goes on to cut. */
static void cut_begin(struct log_cutting *c)
{
    struct log *l = c->log;
    struct log_private *p = l->private;
    bool lower = p->marks->recovery_point > c->end;
    log_checkpoint_cancel(l);
    if (!lower && c->keep) {
        cut_step(c);
        return;
    }
    if (lower)
        p->marks->recovery_point = p->recovery_point = c->end;
    c->mark.done = mark_lowered;
    log_dir_mark(l->dir, c->keep ? LOG_MARK_RECOVERY : LOG_MARK_START, &c->mark);
}

static void run_repair(struct log *l)
{
    struct log_private *p = l->private;
    struct log_cutting *c = cutting_new(l);
    size_t i = log_segment_find(l, l->end);
    if (!c) {
        cut_done(l, FERRY_E_NOMEM);
        return;
    }
    p->next = l->end;
    c->end = l->end;
    c->keep = i + 1;
    c->position = p->segments[i]->written;
    cut_begin(c);
}

void log_repair(struct log *l)
{
    struct log_private *p = l->private;
    if (p->repairing)
        return;
    p->repairing = true;
    p->repair = (struct log_request){.kind = TASK_REPAIR};
    log_enqueue_task(l, &p->repair);
}

static void cut_found(struct log_seek *s, int error)
{
    struct log *l = s->log;
    struct log_cutting *c = s->owner;
    if (error != FERRY_OK) {
        cutting_free(c);
        cut_done(l, error);
        return;
    }
    c->position = s->position;
    c->end = s->walk_found ? s->header.base_offset : log_segment_end(l, c->keep - 1);
    cut_begin(c);
}

static void cut_walked(struct log_seek *s)
{
    log_seek_end(s, FERRY_OK);
}

static void run_truncate(struct log *l, int64_t offset)
{
    struct log_private *p = l->private;
    if (offset >= l->end) {
        log_task_end(l, FERRY_OK);
        return;
    }
    struct log_cutting *c = cutting_new(l);
    struct log_seek *s = c ? log_seek_new(l) : NULL;
    if (!s) {
        if (c)
            cutting_free(c);
        log_task_end(l, FERRY_E_NOMEM);
        return;
    }
    size_t i = log_segment_find(l, offset);
    c->keep = i + 1;
    s->owner = c;
    s->finish = cut_found;
    log_seek_at(s, p->segments[i]);
    log_seek_locate(s, offset, cut_walked);
}

static void run_truncate_all(struct log *l, int64_t offset)
{
    struct log_cutting *c = cutting_new(l);
    if (!c) {
        log_task_end(l, FERRY_E_NOMEM);
        return;
    }
    c->end = offset;
    l->private->marks->start = offset;
    cut_begin(c);
}

/* ---- the whole ---- */

static void deleted(struct log_cutting *c, int error)
{
    struct log *l = c->log;
    struct log_private *p = l->private;
    struct log_dir *dir = l->dir;
    struct log_request *r = p->task;
    if (error == FERRY_OK) {
        log_dir_remove(dir, c->path2);
        log_dir_forget_marks(dir, p->marks);
        log_dir_mark(dir, LOG_MARK_RECOVERY, NULL);
    }
    cutting_free(c);
    p->gone = true;
    p->task = NULL;
    ferry_list_remove(&l->link);
    ferry_list_push_back(&dir->private->gone, &l->link);
    if (p->closer) { /* the whole directory is being closed */
        p->closer->done(p->closer, FERRY_OK);
        p->closer = NULL;
        log_dir_log_closed(dir);
    }
    if (r->done)
        r->done(r, error);
    log_drop(l);
}

static void delete_synced(struct log_op *op, int status, uint64_t count)
{
    struct log_cutting *c = FERRY_CONTAINER(op, struct log_cutting, op);
    deleted(c, status == FERRY_OK ? FERRY_OK : LOG_STORAGE_ERROR);
}

static void delete_renamed(struct log_op *op, int status, uint64_t count)
{
    struct log_cutting *c = FERRY_CONTAINER(op, struct log_cutting, op);
    if (status != FERRY_OK && status != FERRY_E_NOT_FOUND) {
        deleted(c, LOG_STORAGE_ERROR);
        return;
    }
    c->op.done = delete_synced;
    log_files_sync_dir(c->log->dir->files, &c->op, ".");
}

static void run_delete(struct log *l)
{
    struct log_private *p = l->private;
    struct log_cutting *c = cutting_new(l);
    FERRY_CHECK(c); /* small, and there is no way back: the topic is gone already */
    log_hold(l);
    log_fail_appends(l, LOG_STORAGE_ERROR);
    log_seek_end_all(l, LOG_STORAGE_ERROR);
    log_near_clear(l);
    while (p->count)
        log_segment_doom(p->segments[--p->count]);
    if (l->dir->offline) { /* it stays, and is found as a stray after the restart */
        deleted(c, LOG_STORAGE_ERROR);
        return;
    }
    /* Names end at 255 bytes. The time makes them different for topics that come and go under one
     * name. */
    snprintf(c->path, sizeof c->path, "%s", p->path);
    snprintf(c->path2, sizeof c->path2, "%.200s.%llx-delete", p->path,
             (unsigned long long)l->dir->files->wall);
    c->op.done = delete_renamed;
    log_files_rename(l->dir->files, &c->op, c->path, c->path2);
}

void log_delete(struct log *l, struct log_request *r)
{
    static const struct log_owner nobody;
    l->owner = &nobody;
    l->is_open = false;
    l->private->deleting = true;
    r->kind = TASK_DELETE;
    log_enqueue_task_later(l, r);
}

/* ---- tasks ---- */

void log_task_run(struct log *l)
{
    struct log_private *p = l->private;
    struct log_request *r = p->task;
    if (r->kind == TASK_DELETE) {
        run_delete(l);
        return;
    }
    if (l->dir->offline || p->broken || !l->is_open) {
        p->repairing = false;
        log_task_end(l, LOG_STORAGE_ERROR);
        return;
    }
    switch ((enum task_kind)r->kind) {
    case TASK_REPAIR:
        run_repair(l);
        break;
    case TASK_TRUNCATE:
        if (r->offset >= l->start)
            run_truncate(l, r->offset);
        else
            run_truncate_all(l, r->offset);
        break;
    default:
        run_truncate_all(l, r->offset);
        break;
    }
}

void log_truncate_to(struct log *l, struct log_request *r, int64_t offset)
{
    r->kind = TASK_TRUNCATE;
    r->offset = offset;
    log_enqueue_task_later(l, r);
}

void log_truncate_all(struct log *l, struct log_request *r, int64_t offset)
{
    r->kind = TASK_TRUNCATE_ALL;
    r->offset = offset;
    log_enqueue_task_later(l, r);
}
