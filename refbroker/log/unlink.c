/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Names on their way out, in the background: unlinked at once, or renamed to .deleted and unlinked after
 * file.delete.delay.ms. What a crash or a stop leaves of either goes when the log is opened again. A recovery point is
 * not written while a name is under way (the list `unlinking`): what it speaks of may be among them.
 */

#include "refbroker/log/internal.h"

#include <stdio.h>

/* ---- at once ---- */

/* A name on its way out: unlinked, or first renamed to `to`. */
struct unlinking {
    struct ferry_link link;
    struct log_op op;
    struct log *log;
    char *to;
    char path[];
};

static void unlinked(struct log_op *op, int status, uint64_t count)
{
    struct unlinking *u = FERRY_CONTAINER(op, struct unlinking, op);
    struct log *l = u->log;
    if (status != FERRY_OK && status != FERRY_E_NOT_FOUND)
        log_say(l, LOG_WARN, "%s cannot be removed (%d)", u->path, status);
    ferry_list_remove(&u->link);
    ferry_free(u);
    log_pump(l);
    log_drop(l);
}

void log_unlink(struct log *l, const char *path)
{
    size_t len = strlen(path) + 1;
    struct unlinking *u = ferry_zalloc(sizeof *u + len);
    if (!u || l->dir->offline) {
        ferry_free(u); /* the next start finds it again */
        return;
    }
    memcpy(u->path, path, len);
    u->log = l;
    u->op.done = unlinked;
    ferry_list_push_back(&l->private->unlinking, &u->link);
    log_hold(l);
    log_files_unlink(l->dir->files, &u->op, u->path);
}

/* ---- after a while ---- */

struct set_aside {
    struct ferry_link link;
    ferry_nsec due;
    char path[];
};

static void wait_to_unlink(struct log *l, const char *path)
{
    size_t len = strlen(path) + 1;
    struct set_aside *a = ferry_alloc(sizeof *a + len);
    if (!a) {
        log_unlink(l, path);
        return;
    }
    int64_t ms = l->config.file_delete_delay_ms, most = INT64_MAX / FERRY_MS / 2;
    memcpy(a->path, path, len);
    a->due = l->dir->files->now + (ms < most ? ms : most) * FERRY_MS;
    a->link.next = NULL;
    ferry_list_push_back(&l->private->set_aside, &a->link);
    log_note_due(l);
}

static void renamed(struct log_op *op, int status, uint64_t count)
{
    struct unlinking *r = FERRY_CONTAINER(op, struct unlinking, op);
    struct log *l = r->log;
    if (status == FERRY_OK && !l->private->gone)
        wait_to_unlink(l, r->to);
    else if (status != FERRY_OK && status != FERRY_E_NOT_FOUND)
        log_say(l, LOG_WARN, "%s cannot be renamed (%d)", r->path, status);
    ferry_list_remove(&r->link);
    ferry_free(r);
    log_pump(l);
    log_drop(l);
}

void log_set_aside(struct log *l, const char *path)
{
    size_t len = strlen(path) + 1, more = len + strlen(".deleted");
    struct unlinking *r =
        l->config.file_delete_delay_ms > 0 ? ferry_zalloc(sizeof *r + len + more) : NULL;
    if (!r || l->dir->offline) {
        ferry_free(r);
        log_unlink(l, path);
        return;
    }
    memcpy(r->path, path, len);
    r->to = r->path + len;
    snprintf(r->to, more, "%s.deleted", path);
    r->log = l;
    r->op.done = renamed;
    ferry_list_push_back(&l->private->unlinking, &r->link);
    log_hold(l);
    log_files_rename(l->dir->files, &r->op, r->path, r->to);
}

void log_unlink_due(struct log *l)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &l->private->set_aside)
    {
        struct set_aside *a = FERRY_CONTAINER(it, struct set_aside, link);
        if (a->due > l->dir->files->now)
            continue;
        ferry_list_remove(&a->link);
        log_unlink(l, a->path);
        ferry_free(a);
    }
}

ferry_nsec log_unlink_deadline(const struct log *l)
{
    ferry_nsec due = FERRY_NEVER;
    const struct ferry_link *head = &l->private->set_aside;
    for (const struct ferry_link *it = head->next; it != head; it = it->next) {
        const struct set_aside *a = FERRY_CONTAINER(it, const struct set_aside, link);
        due = a->due < due ? a->due : due;
    }
    return due;
}

void log_unlink_free(struct log *l)
{
    struct ferry_link *link;
    while ((link = ferry_list_pop_front(&l->private->set_aside)) != NULL)
        ferry_free(FERRY_CONTAINER(link, struct set_aside, link));
    while ((link = ferry_list_pop_front(&l->private->unlinking)) != NULL)
        ferry_free(FERRY_CONTAINER(link, struct unlinking, link));
}
