/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * The data directory: three checkpoints with a line per partition, the marker of a clean stop,
 * directories on their way out.
 *
 * Invariants:
 *  1. marks holds what the next writing of a checkpoint says, also of partitions that are not open:
 * a checkpoint is always written whole.
 *  2. A checkpoint has one writing under way; requests that came before it began end with it, later
 * ones with the next.
 *  3. The marker is removed durably before any log can be appended to, and written last at a clean
 * stop.
 */

#include "refbroker/log/internal.h"

#include <stdio.h>

#define CLEAN_MARKER ".kafka_cleanshutdown"

enum { CHECKPOINT_LIMIT = 64 << 20 };

static const char *const checkpoint_names[LOG_MARK_COUNT] = {"recovery-point-offset-checkpoint",
                                                             "replication-offset-checkpoint",
                                                             "log-start-offset-checkpoint"};

struct log_dir_checkpoint {
    struct log_dir *dir;
    struct log_save save;
    struct ferry_link waiting, riding; /* of struct log_request */
    void (*later)(struct log_op *, int, uint64_t);
    bool saving, dirty;
};

struct log_dir_opening {
    struct log_dir *dir;
    struct log_request *request;
    struct log_op op;
    struct log_load load;
    int next;
};

/* A directory being removed: its names first, one at a time. */
struct removal {
    struct ferry_link link;
    struct log_dir *dir;
    struct log_op op;
    char *names; /* NUL-terminated names in a row, "" at the end */
    char *at;
    char *path;      /* directory/name */
    size_t path_len; /* of the directory */
};

static void save_checkpoint(struct log_dir *dir, enum log_mark which);

/* ---- marks ---- */

struct log_marks *log_dir_marks(struct log_dir *dir, const char *topic, int32_t partition,
                                bool make)
{
    struct ferry_text key = {0};
    struct log_marks *m = NULL;
    ferry_text_add(&key, "%s-%d", topic, (int)partition);
    if (key.failed)
        goto out;
    m = ferry_map_get(&dir->private->marks, key.data, key.len);
    if (m || !make)
        goto out;
    m = ferry_zalloc(sizeof *m);
    if (!m)
        goto out;
    m->partition = partition;
    m->recovery_point = m->high_watermark = m->start = -1;
    m->topic = ferry_strdup(topic);
    if (!m->topic || ferry_map_put(&dir->private->marks, key.data, key.len, m, NULL) != FERRY_OK) {
        ferry_free(m->topic);
        ferry_free(m);
        m = NULL;
    }
out:
    ferry_text_free(&key);
    return m;
}

void log_dir_forget_marks(struct log_dir *dir, struct log_marks *m)
{
    struct ferry_text key = {0};
    ferry_text_add(&key, "%s-%d", m->topic, (int)m->partition);
    if (key.failed || ferry_map_remove(&dir->private->marks, key.data, key.len) != m) {
        m->recovery_point = m->high_watermark = m->start = -1; /* it stays, and says nothing */
        ferry_text_free(&key);
        return;
    }
    ferry_text_free(&key);
    ferry_free(m->topic);
    ferry_free(m);
}

static int64_t *mark_of(struct log_marks *m, enum log_mark which)
{
    return which == LOG_MARK_RECOVERY    ? &m->recovery_point
           : which == LOG_MARK_WATERMARK ? &m->high_watermark
                                         : &m->start;
}

static void end_list(struct ferry_link *head, int error)
{
    struct ferry_link *link;
    while ((link = ferry_list_pop_front(head)) != NULL) {
        struct log_request *r = FERRY_CONTAINER(link, struct log_request, link);
        r->done(r, error);
    }
}

static void checkpoint_saved(struct log_save *save, int status)
{
    struct log_dir_checkpoint *c = FERRY_CONTAINER(save, struct log_dir_checkpoint, save);
    struct log_dir *dir = c->dir;
    enum log_mark which = (enum log_mark)(c - dir->private->checkpoints);
    struct ferry_link riding, *link;
    ferry_list_init(&riding);
    while ((link = ferry_list_pop_front(&c->riding)) != NULL)
        ferry_list_push_back(&riding, link);
    c->saving = false;
    if (status == FERRY_E_IO)
        log_dir_go_offline(dir, "a checkpoint could not be synced");
    else if (status != FERRY_OK)
        log_files_say(dir->files, LOG_WARN, "%s not written (%d)", checkpoint_names[which], status);
    if (c->dirty)
        save_checkpoint(dir, which);
    end_list(&riding, status == FERRY_OK ? FERRY_OK : LOG_STORAGE_ERROR);
}

static void save_checkpoint(struct log_dir *dir, enum log_mark which)
{
    struct log_dir_checkpoint *c = &dir->private->checkpoints[which];
    struct ferry_map_entry *e;
    struct ferry_text text = {0};
    struct ferry_link *link;
    size_t count = 0;
    if (c->saving)
        return;
    c->dirty = false;
    c->saving = true;
    while ((link = ferry_list_pop_front(&c->waiting)) != NULL)
        ferry_list_push_back(&c->riding, link);
    for (size_t at = 0; (e = ferry_map_next(&dir->private->marks, &at)) != NULL;)
        count += *mark_of(e->value, which) >= 0;
    log_checkpoint_begin(&text, count);
    for (size_t at = 0; (e = ferry_map_next(&dir->private->marks, &at)) != NULL;) {
        struct log_marks *m = e->value;
        if (*mark_of(m, which) >= 0)
            log_checkpoint_add(&text,
                               &(struct log_checkpoint_line){ferry_str_of(m->topic), m->partition,
                                                             *mark_of(m, which)});
    }
    c->save.done = checkpoint_saved;
    if (text.failed || dir->offline) {
        ferry_text_free(&text);
        log_files_later(dir->files, &c->save.op, c->later);
        return;
    }
    log_files_save(dir->files, &c->save, checkpoint_names[which], text.data, text.len);
}

static void checkpoint_refused(struct log_op *op, int status, uint64_t count)
{
    struct log_save *s = FERRY_CONTAINER(op, struct log_save, op);
    checkpoint_saved(s, FERRY_E_NOMEM);
}

void log_dir_mark(struct log_dir *dir, enum log_mark which, struct log_request *r)
{
    struct log_dir_checkpoint *c = &dir->private->checkpoints[which];
    c->dirty = true;
    if (r) {
        r->link.next = NULL;
        ferry_list_push_back(&c->waiting, &r->link);
    }
    save_checkpoint(dir, which);
}

/* ---- removal ---- */

static void removal_end(struct removal *r)
{
    ferry_list_remove(&r->link);
    ferry_free(r->names);
    ferry_free(r->path);
    ferry_free(r);
}

static void removed(struct log_op *op, int status, uint64_t count)
{
    removal_end(FERRY_CONTAINER(op, struct removal, op));
}

static void remove_next(struct log_op *op, int status, uint64_t count)
{
    struct removal *r = FERRY_CONTAINER(op, struct removal, op);
    if (*r->at) {
        r->path[r->path_len] = '/';
        strcpy(r->path + r->path_len + 1, r->at);
        r->at += strlen(r->at) + 1;
        log_files_unlink(r->dir->files, op, r->path);
        return;
    }
    r->path[r->path_len] = '\0';
    op->done = removed;
    log_files_unlink(r->dir->files, op, r->path);
}

static void removal_listed(struct log_op *op, int status, uint64_t count)
{
    struct removal *r = FERRY_CONTAINER(op, struct removal, op);
    struct log_files *f = r->dir->files;
    struct ferry_text names = {0};
    struct log_name n;
    size_t longest = 0;
    for (size_t at = 0; log_files_next_name(f, &at, &n);) {
        size_t len = strlen(n.name) + 1;
        ferry_text_add_bytes(&names, n.name, len);
        longest = len > longest ? len : longest;
    }
    ferry_text_add_bytes(&names, "", 1);
    char *path = ferry_realloc(r->path, r->path_len + longest + 2);
    if (path)
        r->path = path;
    if (names.failed || !path) {
        ferry_text_free(&names);
        removal_end(r);
        return;
    }
    r->names = r->at = names.data;
    op->done = remove_next;
    remove_next(op, FERRY_OK, 0);
}

void log_dir_remove(struct log_dir *dir, const char *path)
{
    struct removal *r = ferry_zalloc(sizeof *r);
    if (!r || !(r->path = ferry_strdup(path))) {
        ferry_free(r); /* the next start removes it */
        return;
    }
    r->dir = dir;
    r->path_len = strlen(path);
    r->op.done = removal_listed;
    ferry_list_push_back(&dir->private->removals, &r->link);
    log_files_list(dir->files, &r->op, r->path);
}

/* ---- opening ---- */

int log_dir_init(struct log_dir *dir, struct log_files *files)
{
    struct log_dir_private *p;
    memset(dir, 0, sizeof *dir);
    dir->files = files;
    ferry_list_init(&dir->logs);
    p = dir->private = ferry_zalloc(sizeof *p);
    if (!p || !(p->checkpoints = ferry_zalloc(LOG_MARK_COUNT * sizeof *p->checkpoints))) {
        ferry_free(p);
        dir->private = NULL;
        return FERRY_E_NOMEM;
    }
    p->dir = dir;
    p->retention_every = 300 * FERRY_SECOND;
    p->watermarks_every = 5 * FERRY_SECOND;
    p->next_retention = files->now + p->retention_every;
    p->logs_due = FERRY_NEVER;
    ferry_list_init(&p->doomed);
    ferry_list_init(&p->gone);
    ferry_list_init(&p->removals);
    for (int i = 0; i < LOG_MARK_COUNT; i++) {
        struct log_dir_checkpoint *c = &p->checkpoints[i];
        c->dir = dir;
        c->later = checkpoint_refused;
        ferry_list_init(&c->waiting);
        ferry_list_init(&c->riding);
    }
    return FERRY_OK;
}

static void opening_end(struct log_dir_opening *o, int error)
{
    struct log_dir *dir = o->dir;
    struct log_request *r = o->request;
    dir->private->opening = NULL;
    ferry_free(o);
    r->done(r, error);
}

static void marker_synced(struct log_op *op, int status, uint64_t count)
{
    struct log_dir_opening *o = FERRY_CONTAINER(op, struct log_dir_opening, op);
    opening_end(o, status == FERRY_OK ? FERRY_OK : LOG_STORAGE_ERROR);
}

static void marker_unlinked(struct log_op *op, int status, uint64_t count)
{
    struct log_dir_opening *o = FERRY_CONTAINER(op, struct log_dir_opening, op);
    if (status != FERRY_OK) {
        opening_end(o, LOG_STORAGE_ERROR);
        return;
    }
    op->done = marker_synced;
    log_files_sync_dir(o->dir->files, op, ".");
}

static void checkpoints_loaded(struct log_dir_opening *o)
{
    if (!o->dir->was_clean) {
        opening_end(o, FERRY_OK);
        return;
    }
    memset(&o->op, 0, sizeof o->op);
    o->op.done = marker_unlinked;
    log_files_unlink(o->dir->files, &o->op, CLEAN_MARKER);
}

static int take_checkpoint(struct log_dir *dir, enum log_mark which, struct ferry_bytes data)
{
    struct log_checkpoint_line line;
    size_t at = 0;
    int rc;
    while ((rc = log_checkpoint_next(data, &at, true, &line)) > 0) {
        char topic[256];
        if (line.topic.len >= sizeof topic)
            continue;
        memcpy(topic, line.topic.data, line.topic.len);
        topic[line.topic.len] = '\0';
        struct log_marks *m = log_dir_marks(dir, topic, line.number, false);
        if (m)
            *mark_of(m, which) = line.offset;
    }
    return rc;
}

static void load_next(struct log_dir_opening *o);

static void checkpoint_loaded(struct log_load *load, int status, struct ferry_bytes data)
{
    struct log_dir_opening *o = FERRY_CONTAINER(load, struct log_dir_opening, load);
    if (status == FERRY_OK && data.len > 0)
        status = take_checkpoint(o->dir, (enum log_mark)o->next, data);
    if (status != FERRY_OK && status != FERRY_E_NOT_FOUND)
        log_files_say(o->dir->files, LOG_WARN, "%s cannot be read (%d); it is built anew",
                      checkpoint_names[o->next], status);
    o->next++;
    load_next(o);
}

static void load_next(struct log_dir_opening *o)
{
    if (o->next == LOG_MARK_COUNT) {
        checkpoints_loaded(o);
        return;
    }
    o->load.done = checkpoint_loaded;
    log_files_load(o->dir->files, &o->load, checkpoint_names[o->next], CHECKPOINT_LIMIT);
}

/* topic-partition; false for other names. */
static bool split_name(const char *name, char topic[256], int32_t *partition)
{
    const char *dash = strrchr(name, '-');
    int64_t n = 0;
    if (!dash || dash == name || !dash[1] || (size_t)(dash - name) > 249 || strlen(dash) > 11 ||
        (dash[1] == '0' && dash[2]))
        return false;
    for (const char *p = dash + 1; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        n = n * 10 + (*p - '0');
    }
    if (n > INT32_MAX)
        return false;
    memcpy(topic, name, (size_t)(dash - name));
    topic[dash - name] = '\0';
    *partition = (int32_t)n;
    return true;
}

static void listed(struct log_op *op, int status, uint64_t count)
{
    struct log_dir_opening *o = FERRY_CONTAINER(op, struct log_dir_opening, op);
    struct log_dir *dir = o->dir;
    struct log_name n;
    for (size_t at = 0; status == FERRY_OK && log_files_next_name(dir->files, &at, &n);) {
        size_t len = strlen(n.name);
        char topic[256];
        int32_t partition;
        if (!n.is_dir) {
            dir->was_clean |= !strcmp(n.name, CLEAN_MARKER);
        } else if (len > 7 && !strcmp(n.name + len - 7, "-delete")) {
            log_dir_remove(dir, n.name);
        } else if (split_name(n.name, topic, &partition)) {
            struct log_marks *m = log_dir_marks(dir, topic, partition, true);
            if (m)
                m->found = true;
            else
                status = FERRY_E_NOMEM;
        }
    }
    if (status != FERRY_OK) {
        opening_end(o, status == FERRY_E_NOMEM ? status : LOG_STORAGE_ERROR);
        return;
    }
    load_next(o);
}

void log_dir_open(struct log_dir *dir, struct log_request *r)
{
    struct log_dir_opening *o = ferry_zalloc(sizeof *o);
    FERRY_CHECK(
        o &&
        !dir->private->opening); /* at the start of a process; there is nothing to go on with */
    dir->private->opening = o;
    o->dir = dir;
    o->request = r;
    o->op.done = listed;
    log_files_list(dir->files, &o->op, ".");
}

bool log_dir_next_found(const struct log_dir *dir, size_t *at, struct log_found *out)
{
    struct ferry_map_entry *e;
    while ((e = ferry_map_next(&dir->private->marks, at)) != NULL) {
        const struct log_marks *m = e->value;
        if (!m->found)
            continue;
        out->topic = ferry_str_of(m->topic);
        out->partition = m->partition;
        return true;
    }
    return false;
}

/* ---- running ---- */

struct ferry_codecs *log_dir_codecs(struct log_dir *dir)
{
    if (!dir->private->codecs)
        dir->private->codecs = ferry_codecs_new();
    return dir->private->codecs;
}

void log_dir_go_offline(struct log_dir *dir, const char *why)
{
    struct ferry_link *it, *tmp;
    if (dir->offline)
        return;
    dir->offline = true;
    log_files_say(dir->files, LOG_ERROR, "the data directory is offline until restart: %s", why);
    FERRY_LIST_EACH(it, tmp, &dir->logs)
    {
        struct log *l = FERRY_CONTAINER(it, struct log, link);
        log_hold(l);
        log_fail_appends(l, LOG_STORAGE_ERROR);
        log_later(l);
        log_drop(l);
    }
    if (dir->on_offline)
        dir->on_offline(dir, why);
}

ferry_nsec log_dir_deadline(const struct log_dir *dir)
{
    const struct log_dir_private *p = dir->private;
    ferry_nsec at = p->next_retention;
    if (p->watermarks_dirty && p->next_watermarks < at)
        at = p->next_watermarks;
    if (p->logs_due < at)
        at = p->logs_due;
    return at;
}

void log_dir_tick(struct log_dir *dir)
{
    struct log_dir_private *p = dir->private;
    ferry_nsec now = dir->files->now;
    struct ferry_link *it, *tmp;
    bool retain = now >= p->next_retention;
    if (retain)
        p->next_retention = now + p->retention_every;
    if (p->watermarks_dirty && now >= p->next_watermarks) {
        p->watermarks_dirty = false;
        p->next_watermarks = now + p->watermarks_every;
        log_dir_mark(dir, LOG_MARK_WATERMARK, NULL);
    }
    if (!retain && now < p->logs_due)
        return;
    p->logs_due = FERRY_NEVER;
    FERRY_LIST_EACH(it, tmp, &dir->logs)
    {
        struct log *l = FERRY_CONTAINER(it, struct log, link);
        log_hold(l);
        log_tick(l, retain);
        log_note_due(l);
        log_drop(l);
    }
}

void log_dir_schedule(struct log_dir *dir, ferry_msec retention_check_ms, ferry_msec watermark_ms)
{
    struct log_dir_private *p = dir->private;
    p->retention_every = retention_check_ms * FERRY_MS;
    p->watermarks_every = watermark_ms * FERRY_MS;
    p->next_retention = dir->files->now + p->retention_every;
    p->next_watermarks = dir->files->now + p->watermarks_every;
}

/* ---- closing ---- */

static void closing_done(struct log_dir *dir, int error)
{
    struct log_request *r = dir->private->closer;
    dir->private->closer = NULL;
    if (r)
        r->done(r, error);
}

static void marker_saved(struct log_save *s, int status)
{
    closing_done(FERRY_CONTAINER(s, struct log_dir_private, marker)->dir,
                 status == FERRY_OK ? FERRY_OK : LOG_STORAGE_ERROR);
}

static void close_next(struct log_dir *dir);

static void closing_marked(struct log_request *r, int error)
{
    struct log_dir_private *p = FERRY_CONTAINER(r, struct log_dir_private, mark);
    if (error != FERRY_OK) {
        closing_done(p->dir, LOG_STORAGE_ERROR);
        return;
    }
    p->closing_mark++;
    close_next(p->dir);
}

/* The logs are closed: three checkpoints, then the marker. */
static void close_next(struct log_dir *dir)
{
    struct log_dir_private *p = dir->private;
    static const char text[] = "{\"version\":0,\"brokerEpoch\":-1}";
    if (dir->offline || p->unclean) {
        closing_done(dir, LOG_STORAGE_ERROR);
        return;
    }
    if (p->closing_mark < LOG_MARK_COUNT) {
        p->mark.done = closing_marked;
        log_dir_mark(dir, (enum log_mark)p->closing_mark, &p->mark);
        return;
    }
    p->marker.done = marker_saved;
    void *data = ferry_memdup(text, sizeof text - 1);
    log_files_save(dir->files, &p->marker, CLEAN_MARKER, data, data ? sizeof text - 1 : 0);
}

void log_dir_log_closed(struct log_dir *dir)
{
    struct log_dir_private *p = dir->private;
    if (!p->closing || p->logs_closed || !ferry_list_empty(&dir->logs))
        return;
    p->logs_closed = true;
    close_next(dir);
}

static void one_closed(struct log_request *r, int error)
{
    if (error != FERRY_OK)
        r->log->dir->private->unclean = true;
}

static void close_empty(struct log_op *op, int status, uint64_t count)
{
    log_dir_log_closed(FERRY_CONTAINER(op, struct log_dir_private, later)->dir);
}

void log_dir_close(struct log_dir *dir, struct log_request *r)
{
    struct log_dir_private *p = dir->private;
    struct ferry_link *it, *tmp;
    FERRY_CHECK(!p->closing);
    p->closing = true;
    p->closer = r;
    FERRY_LIST_EACH(it, tmp, &dir->logs)
    {
        struct log *l = FERRY_CONTAINER(it, struct log, link);
        if (l->private->closer)
            continue;
        l->private->dir_close.done = one_closed;
        log_close(l, &l->private->dir_close);
    }
    log_files_later(dir->files, &p->later, close_empty);
}

void log_dir_free(struct log_dir *dir)
{
    struct log_dir_private *p = dir->private;
    struct ferry_map_entry *e;
    struct ferry_link *link;
    if (!p)
        return;
    dir->files->out = NULL; /* nothing acts any more */
    while ((link = dir->logs.next) != &dir->logs)
        log_teardown(FERRY_CONTAINER(link, struct log, link));
    while ((link = p->gone.next) != &p->gone)
        log_teardown(FERRY_CONTAINER(link, struct log, link));
    while ((link = p->doomed.next) != &p->doomed)
        log_segment_destroy(FERRY_CONTAINER(link, struct log_segment, link));
    while ((link = p->removals.next) != &p->removals)
        removal_end(FERRY_CONTAINER(link, struct removal, link));
    for (size_t at = 0; (e = ferry_map_next(&p->marks, &at)) != NULL;) {
        struct log_marks *m = e->value;
        ferry_free(m->topic);
        ferry_free(m);
    }
    ferry_map_free(&p->marks);
    for (int i = 0; i < LOG_MARK_COUNT; i++)
        log_save_drop(&p->checkpoints[i].save);
    log_save_drop(&p->marker);
    if (p->opening)
        log_load_drop(&p->opening->load);
    ferry_free(p->opening);
    ferry_free(p->checkpoints);
    ferry_codecs_free(p->codecs);
    ferry_free(p->spare_seek);
    ferry_free(p);
    dir->private = NULL;
}
