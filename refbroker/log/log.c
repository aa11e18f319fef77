/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* The life of a partition's log, and the pump that decides what runs next. */

#include "refbroker/log/internal.h"

#include <stdarg.h>
#include <stdio.h>

void log_config_defaults(struct log_config *c)
{
    *c = (struct log_config){.segment_bytes = 1 << 30,
                             .segment_ms = INT64_C(604800000),
                             .segment_index_bytes = 10 << 20,
                             .index_interval_bytes = 4096,
                             .retention_ms = INT64_C(604800000),
                             .retention_bytes = -1,
                             .flush_messages = INT64_MAX,
                             .flush_ms = INT64_MAX,
                             .file_delete_delay_ms = 60000,
                             .max_message_bytes = 1048588,
                             .timestamp_before_max_ms = INT64_MAX,
                             .timestamp_after_max_ms = 3600000,
                             .codec = LOG_CODEC_PRODUCER,
                             .codec_level = FERRY_CODEC_LEVEL_DEFAULT,
                             .producer_expiry_ms = 86400000,
                             .cleanup_delete = true};
}

void log_say(struct log *l, enum log_level level, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_files_say(l->dir->files, level, "%s: %s", l->private->path, text);
}

/* ---- life ---- */

static void opened(struct log *l, int error)
{
    if (error != FERRY_OK) {
        l->private->broken = true;
        log_say(l, LOG_ERROR, "cannot be opened (%d)", error);
    } else {
        l->is_open = !l->private->deleting;
        log_note_due(l);
    }
    if (!l->private->gone && l->owner->on_open)
        l->owner->on_open(l, l->cookie, error);
    log_pump(l);
}

/* Appends that are never answered: their memory is their owner's, the reference of the slab ours. */
static void drop_appends(struct ferry_link *head)
{
    struct ferry_link *link;
    while (head->next && (link = ferry_list_pop_front(head)) != NULL) {
        struct log_append *a = FERRY_CONTAINER(link, struct log_append, private.link);
        ferry_slab_unref(a->private.slab);
        a->private.slab = NULL;
    }
}

static void log_free(struct log *l)
{
    struct log_private *p = l->private;
    if (p) {
        for (size_t i = 0; i < p->count; i++)
            log_segment_destroy(p->segments[i]);
        drop_appends(&p->inflight);
        drop_appends(&p->queued);
        drop_appends(&p->waiting);
        log_recover_free(l);
        log_seek_drop_all(l);
        log_cut_free(l);
        log_unlink_free(l);
        log_producers_clear(&p->producers);
        log_epochs_free(&p->epochs);
        log_near_clear(l);
        ferry_free(p->expected);
        ferry_free(p->segments);
        ferry_free(p->snapshots);
        ferry_free(p->checkpoint_data);
        log_save_drop(&p->checkpoint_save);
        log_save_drop(&p->epochs_save);
        ferry_free(p->path);
        ferry_free(p);
    }
    ferry_list_remove(&l->link);
    ferry_free(l->topic);
    ferry_free(l);
}

static bool make(struct log *l, const char *topic, int32_t partition)
{
    struct log_private *p = l->private = ferry_zalloc(sizeof *l->private);
    struct ferry_text path = {0};
    if (!p)
        return false;
    ferry_list_init(&p->inflight);
    ferry_list_init(&p->queued);
    ferry_list_init(&p->waiting);
    ferry_list_init(&p->flushes);
    ferry_list_init(&p->tasks);
    ferry_list_init(&p->seeks);
    ferry_list_init(&p->ended);
    ferry_list_init(&p->unlinking);
    ferry_list_init(&p->set_aside);
    ferry_list_init(&p->start_marking);
    ferry_list_init(&p->start_waiting);
    p->dirty_since = FERRY_NEVER;
    p->log = l;
    ferry_text_add(&path, "%s-%d", topic, (int)partition);
    if (path.failed) {
        ferry_text_free(&path);
        return false;
    }
    p->path = path.data;
    l->topic = ferry_strdup(topic);
    p->marks = log_dir_marks(l->dir, topic, partition, true);
    return l->topic && p->marks;
}

struct log *log_open(struct log_dir *dir, const char *topic, int32_t partition,
                     const struct ferry_uuid *topic_id, const struct log_config *config,
                     const struct log_owner *owner, void *cookie)
{
    struct log *l = ferry_zalloc(sizeof *l);
    if (!l)
        return NULL;
    l->dir = dir;
    l->partition = partition;
    if (topic_id)
        l->topic_id = *topic_id;
    l->owner = owner;
    l->cookie = cookie;
    l->config = *config;
    ferry_list_push_back(&dir->logs, &l->link);
    if (!make(l, topic, partition)) {
        log_free(l);
        return NULL;
    }
    log_recover(l, INT64_MAX, opened);
    return l;
}

void log_configure(struct log *l, const struct log_config *config)
{
    l->config = *config;
    if (l->is_open) {
        log_note_due(l);
        log_moved(l); /* the flush policy decides what is stable */
        log_pump(l);
    }
}

void log_set_high_watermark(struct log *l, int64_t offset)
{
    if (offset > l->end)
        offset = l->end;
    if (offset < l->start)
        offset = l->start;
    if (offset <= l->high_watermark && l->high_watermark <= l->end)
        return;
    l->high_watermark = offset;
    l->private->marks->high_watermark = offset;
    l->dir->private->watermarks_dirty = true;
}

void log_hold(struct log *l)
{
    l->private->refs++;
}

void log_drop(struct log *l)
{
    FERRY_CHECK(l->private->refs > 0);
    if (--l->private->refs == 0 && l->private->gone)
        log_free(l);
}

void log_teardown(struct log *l)
{
    log_free(l);
}

/* ---- the pump ---- */

bool log_is_quiet(const struct log *l)
{
    const struct log_private *p = l->private;
    if (!ferry_list_empty(&p->inflight) || p->flush_stage != LOG_FLUSH_IDLE || p->epochs_saving ||
        p->checkpoint_state == LOG_CHECKPOINT_SAVING || p->opening ||
        !ferry_list_empty(&p->unlinking))
        return false;
    for (size_t i = 0; i < p->count; i++)
        if (p->segments[i]->offsets.writing || p->segments[i]->times.writing)
            return false;
    return true;
}

void log_enqueue_task(struct log *l, struct log_request *r)
{
    r->log = l;
    r->link.next = NULL;
    ferry_list_push_back(&l->private->tasks, &r->link);
    log_pump(l);
}

void log_enqueue_task_later(struct log *l, struct log_request *r)
{
    r->log = l;
    r->link.next = NULL;
    ferry_list_push_back(&l->private->tasks, &r->link);
    log_later(l);
}

void log_end_request_later(struct log *l, struct log_request *r, int error)
{
    r->log = l;
    r->offset = error;
    r->link.next = NULL;
    ferry_list_push_back(&l->private->ended, &r->link);
    log_later(l);
}

void log_task_end(struct log *l, int error)
{
    struct log_request *r = l->private->task;
    l->private->task = NULL;
    log_hold(l);
    if (r->done)
        r->done(r, error);
    log_pump(l);
    log_drop(l);
}

static void fail_list(struct ferry_link *head, int error)
{
    struct ferry_link *link;
    while ((link = ferry_list_pop_front(head)) != NULL)
        log_append_finish(FERRY_CONTAINER(link, struct log_append, private.link), error);
}

void log_fail_appends(struct log *l, int error)
{
    fail_list(&l->private->waiting, error);
    fail_list(&l->private->queued, error);
}

void log_moved(struct log *l)
{
    if (l->high_watermark > l->end)
        log_set_high_watermark(l, l->end);
    log_hold(l);
    if (!l->private->gone && l->owner->on_moved)
        l->owner->on_moved(l, l->cookie);
    log_append_release(l);
    log_drop(l);
}

static void finish_close(struct log *l)
{
    struct log_private *p = l->private;
    struct log_request *r = p->closer;
    int error = l->dir->offline ? LOG_STORAGE_ERROR : FERRY_OK;
    p->closer = NULL;
    p->gone = true;
    l->is_open = false;
    log_fail_appends(l, LOG_STORAGE_ERROR);
    log_seek_end_all(l, LOG_STORAGE_ERROR);
    while (p->count)
        log_segment_doom(p->segments[--p->count]);
    struct log_dir *dir = l->dir;
    ferry_list_remove(&l->link);
    ferry_list_push_back(&dir->private->gone, &l->link);
    if (r->done)
        r->done(r, error);
    log_dir_log_closed(dir);
}

/* True when nothing is left to do before a closing log may go. */
static bool may_close(struct log *l)
{
    struct log_private *p = l->private;
    if (!log_is_quiet(l))
        return false;
    if (l->dir->offline || p->broken || !l->is_open)
        return true;
    if (p->checkpoint_state == LOG_CHECKPOINT_IDLE && p->recovery_point < l->end) {
        log_flush_for_close(l); /* a save was under way, or the end has moved back */
        p->pump_again = true;   /* all may be flushed already: nothing else would begin the save */
    }
    return p->checkpoint_state == LOG_CHECKPOINT_IDLE && !p->epochs_dirty;
}

static void pump_once(struct log *l)
{
    struct log_private *p = l->private;
    if (p->task)
        return;
    if (!ferry_list_empty(&p->tasks)) {
        if (log_is_quiet(l)) {
            p->task = FERRY_CONTAINER(ferry_list_pop_front(&p->tasks), struct log_request, link);
            log_task_run(l);
        }
        return;
    }
    log_append_run_queue(l);
    if (l->is_open && !p->task && ferry_list_empty(&p->tasks))
        log_flush_pump(l);
    if (p->retain_wanted && !p->task && ferry_list_empty(&p->tasks))
        log_retain(l);
    if (p->closer && ferry_list_empty(&p->tasks) && may_close(l))
        finish_close(l);
}

void log_pump(struct log *l)
{
    struct log_private *p = l->private;
    p->pump_again = true;
    if (p->pumping)
        return;
    p->pumping = true;
    log_hold(l);
    while (p->pump_again && !p->gone) {
        p->pump_again = false;
        pump_once(l);
    }
    p->pumping = false;
    log_drop(l);
}

void log_tick(struct log *l, bool retain)
{
    struct log_private *p = l->private;
    struct log_files *f = l->dir->files;
    if (!l->is_open || p->gone)
        return;
    if (p->dirty_since != FERRY_NEVER && l->config.flush_ms < INT64_MAX / FERRY_MS &&
        f->now - p->dirty_since >= l->config.flush_ms * FERRY_MS && p->flush_goal < l->end)
        p->flush_goal = l->end;
    log_unlink_due(l);
    if (retain) {
        log_producers_expire(&p->producers, f->wall, l->config.producer_expiry_ms);
        p->retain_wanted = true;
    }
    log_pump(l);
}

static ferry_nsec log_due(const struct log *l)
{
    const struct log_private *p = l->private;
    ferry_nsec due = FERRY_NEVER;
    if (!l->is_open || l->dir->offline || p->broken)
        return due;
    if (p->dirty_since != FERRY_NEVER && l->config.flush_ms < INT64_MAX / FERRY_MS / 2 &&
        p->flush_goal < l->end)
        due = p->dirty_since + l->config.flush_ms * FERRY_MS;
    /* Only a retry waits for time: else what is under way pumps the log when it is done. */
    if (p->epochs_dirty && !p->epochs_saving && p->epochs_retry > l->dir->files->now &&
        p->epochs_retry < due)
        due = p->epochs_retry;
    ferry_nsec unlink = log_unlink_deadline(l);
    return unlink < due ? unlink : due;
}

void log_note_due(struct log *l)
{
    ferry_nsec due = log_due(l);
    if (due < l->dir->private->logs_due)
        l->dir->private->logs_due = due;
}

static void later(struct log_op *op, int status, uint64_t count)
{
    struct log *l = FERRY_CONTAINER(op, struct log_private, later)->log;
    struct ferry_link *link;
    l->private->later_set = false;
    while ((link = ferry_list_pop_front(&l->private->ended)) != NULL) {
        struct log_request *r = FERRY_CONTAINER(link, struct log_request, link);
        r->done(r, (int)r->offset);
    }
    log_pump(l);
    log_drop(l);
}

void log_later(struct log *l)
{
    if (l->private->later_set)
        return;
    l->private->later_set = true;
    log_hold(l);
    log_files_later(l->dir->files, &l->private->later, later);
}

void log_close(struct log *l, struct log_request *r)
{
    struct log_private *p = l->private;
    FERRY_CHECK(!p->closer);
    r->log = l;
    p->closer = r;
    p->closing = true;
    log_hold(l);
    log_fail_appends(l, LOG_STORAGE_ERROR);
    if (l->is_open && !p->broken)
        log_flush_for_close(l);
    log_later(l);
    log_drop(l);
}

int32_t log_latest_epoch(const struct log *l)
{
    return log_epochs_latest(&l->private->epochs);
}

int32_t log_epoch_at(const struct log *l, int64_t offset)
{
    return log_epochs_at(&l->private->epochs, offset);
}

void log_end_offset_for_epoch(const struct log *l, int32_t epoch, int32_t *found,
                              int64_t *end_offset)
{
    log_epochs_end_offset(&l->private->epochs, epoch, l->private->next, found, end_offset);
}
