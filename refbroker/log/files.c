/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * The broker's file layer (see files.h).
 *
 * Invariants:
 *  1. An op is registered (token != 0) from its action until its DONE; ops waiting for a file to
 * open have token 0 and are linked in file->waiting; ops that need no action are linked in
 * files->ready.
 *  2. file->users counts registered and waiting ops and pins; a file is closed only with users ==
 * 0, so a slot is never reused while something begun under its old generation is under way.
 *  3. idle holds exactly the open files with users == 0.
 */

#include "refbroker/log/files.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"

#include <stdarg.h>
#include <stdio.h>

int log_files_init(struct log_files *f, const struct log_host *host, uint32_t open_max)
{
    memset(f, 0, sizeof *f);
    f->host = host;
    f->open_max = open_max ? open_max : 1;
    f->failure = "";
    ferry_list_init(&f->idle);
    ferry_list_init(&f->ready);
    return FERRY_OK;
}

void log_files_free(struct log_files *f)
{
    ferry_free(f->ops);
    ferry_free(f->op_gens);
    ferry_free(f->free_ops);
    ferry_free(f->free_slots);
    memset(f, 0, sizeof *f);
}

void log_files_step(struct log_files *f, ferry_nsec now, ferry_msec wall, struct ferry_actions *out)
{
    f->now = now;
    f->wall = wall;
    f->out = out;
}

void log_files_say(struct log_files *f, enum log_level level, const char *format, ...)
{
    char text[512];
    va_list args;
    if (!f->host || !f->host->log)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    f->host->log(f->host->cookie, level, text);
}

/* ---- ops ---- */

/* Gives op a token; false without memory. */
static bool op_register(struct log_files *f, struct log_op *op)
{
    uint32_t slot;
    FERRY_CHECK(op->token == 0 && op->done);
    if (f->free_count > 0) {
        slot = f->free_ops[--f->free_count];
    } else {
        if (FERRY_GROW(f->ops, f->op_cap, f->op_count + 1) ||
            FERRY_GROW(f->op_gens, f->gen_cap, f->op_count + 1) ||
            FERRY_GROW(f->free_ops, f->free_cap, f->op_count + 1))
            return false;
        slot = (uint32_t)f->op_count++;
        f->op_gens[slot] = 0;
    }
    f->op_gens[slot]++;
    if (f->op_gens[slot] == 0)
        f->op_gens[slot] = 1;
    f->ops[slot] = op;
    op->token = (uint64_t)f->op_gens[slot] << 32 | slot;
    return true;
}

static void op_ready(struct log_files *f, struct log_op *op, int status, uint64_t count)
{
    op->type = (uint32_t)status;
    op->length = count;
    ferry_list_push_back(&f->ready, &op->link);
}

/* Registers op and appends its action; without memory the op fails instead, and NULL is returned.
 */
static struct ferry_action *op_begin(struct log_files *f, struct log_op *op,
                                     enum ferry_action_type type, struct ferry_id who)
{
    if (!op_register(f, op)) {
        op_ready(f, op, FERRY_E_NOMEM, 0);
        return NULL;
    }
    struct ferry_action *a = ferry_act(f->out, type, who);
    a->op = op->token;
    return a;
}

static void file_unused(struct log_file *);

/* An op is over: gives up its file, tells its owner. */
static void op_end(struct log_files *f, struct log_op *op, int status, uint64_t count,
                   const char *text)
{
    struct log_file *file = op->file;
    op->file = NULL;
    op->token = 0;
    if (file)
        file_unused(file);
    f->failure = text ? text : "";
    op->done(op, status, count);
    f->failure = "";
}

void log_files_done(struct log_files *f, const struct ferry_event *ev)
{
    uint32_t slot = (uint32_t)ev->op, gen = (uint32_t)(ev->op >> 32);
    if (slot >= f->op_count || f->op_gens[slot] != gen || !f->ops[slot])
        return;
    struct log_op *op = f->ops[slot];
    f->ops[slot] = NULL;
    f->free_ops[f->free_count++] = slot;
    f->listing = ev->data;
    op_end(f, op, ev->status, ev->count, ev->text);
    f->listing = (struct ferry_bytes){NULL, 0};
}

bool log_files_settle(struct log_files *f)
{
    struct ferry_link *l;
    bool any = false;
    while ((l = ferry_list_pop_front(&f->ready)) != NULL) {
        struct log_op *op = FERRY_CONTAINER(l, struct log_op, link);
        any = true;
        op_end(f, op, (int)op->type, op->length, "");
    }
    return any;
}

void log_files_later(struct log_files *f, struct log_op *op,
                     void (*done)(struct log_op *, int status, uint64_t count))
{
    FERRY_CHECK(op->token == 0);
    op->done = done;
    op->file = NULL;
    op_ready(f, op, FERRY_OK, 0);
}

/* ---- whole names ---- */

static void name_op(struct log_files *f, struct log_op *op, enum ferry_action_type type,
                    const char *path, const char *path2)
{
    op->file = NULL;
    struct ferry_action *a = op_begin(f, op, type, (struct ferry_id){0, 0});
    if (a) {
        a->path = path;
        a->path2 = path2;
    }
}

void log_files_list(struct log_files *f, struct log_op *op, const char *path)
{
    name_op(f, op, FERRY_DO_LIST, path, NULL);
}

void log_files_create_dir(struct log_files *f, struct log_op *op, const char *path)
{
    name_op(f, op, FERRY_DO_CREATE, path, NULL);
}

void log_files_rename(struct log_files *f, struct log_op *op, const char *from, const char *to)
{
    name_op(f, op, FERRY_DO_RENAME, from, to);
}

void log_files_unlink(struct log_files *f, struct log_op *op, const char *path)
{
    name_op(f, op, FERRY_DO_UNLINK, path, NULL);
}

void log_files_sync_dir(struct log_files *f, struct log_op *op, const char *path)
{
    name_op(f, op, FERRY_DO_SYNC_DIR, path, NULL);
}

bool log_files_next_name(const struct log_files *f, size_t *at, struct log_name *out)
{
    while (f->listing.data && *at + 9 < f->listing.len) {
        const uint8_t *p = f->listing.data + *at;
        const uint8_t *end = memchr(p + 9, 0, f->listing.len - *at - 9);
        if (!end)
            return false;
        out->is_dir = p[0] == 'd';
        memcpy(&out->size, p + 1, 8);
        out->name = (const char *)p + 9;
        *at += (size_t)(end - p) + 1;
        if (strcmp(out->name, ".") && strcmp(out->name, ".."))
            return true;
    }
    return false;
}

/* ---- open files ---- */

int log_file_init(struct log_file *file, struct log_files *f, const char *path, uint32_t flags)
{
    memset(file, 0, sizeof *file);
    file->files = f;
    file->flags = flags;
    file->path = ferry_strdup(path);
    ferry_list_init(&file->waiting);
    return file->path ? FERRY_OK : FERRY_E_NOMEM;
}

static void file_close(struct log_file *file)
{
    struct log_files *f = file->files;
    FERRY_CHECK(file->is_open && file->users == 0);
    ferry_list_remove(&file->link);
    ferry_act(f->out, FERRY_DO_CLOSE_FILE, file->id);
    if (FERRY_GROW(f->free_slots, f->slot_free_cap, f->slot_free_count + 1) == FERRY_OK)
        f->free_slots[f->slot_free_count++] = file->id.slot; /* else the number stays unused */
    file->id = (struct ferry_id){0, 0};
    file->is_open = false;
    f->open_count--;
}

void log_file_free(struct log_file *file)
{
    if (!file->files)
        return;
    if (file->files->out) {
        FERRY_CHECK(file->users == 0);
        if (file->is_open)
            file_close(file);
    }
    ferry_list_remove(&file->link);
    ferry_free(file->path);
    memset(file, 0, sizeof *file);
}

static void file_used(struct log_file *file)
{
    if (file->users++ == 0 && file->is_open)
        ferry_list_remove(&file->link);
}

static void file_unused(struct log_file *file)
{
    FERRY_CHECK(file->users > 0);
    if (--file->users == 0 && file->is_open)
        ferry_list_push_back(&file->files->idle, &file->link);
}

void log_file_pin(struct log_file *file)
{
    FERRY_CHECK(file->is_open);
    file_used(file);
}

void log_file_unpin(struct log_file *file)
{
    file_unused(file);
}

/* Appends the action that op describes; its file is open. */
static void file_begin(struct log_file *file, struct log_op *op)
{
    struct log_files *f = file->files;
    if (op->type == FERRY_DO_OPEN_FILE) {
        op_ready(f, op, FERRY_OK, file->size);
        return;
    }
    struct ferry_action *a = op_begin(f, op, (enum ferry_action_type)op->type, file->id);
    if (!a)
        return;
    a->offset = op->offset;
    if (op->type == FERRY_DO_READ) {
        a->buffer = op->buffer;
        a->length = op->length;
    } else if (op->type == FERRY_DO_WRITE) {
        ferry_act_part(f->out, op->buffer, op->length);
    }
}

static void file_opened(struct log_op *opening, int status, uint64_t count)
{
    struct log_file *file = FERRY_CONTAINER(opening, struct log_file, opening);
    struct log_files *f = file->files;
    struct ferry_link *l;
    if (status == FERRY_OK) {
        file->is_open = true;
        file->size = count;
        file->flags &= ~(uint32_t)(FERRY_OPEN_CREATE | FERRY_OPEN_TRUNCATE);
        f->open_count++;
        while ((l = ferry_list_pop_front(&file->waiting)) != NULL)
            file_begin(file, FERRY_CONTAINER(l, struct log_op, link));
        if (file->users == 0)
            ferry_list_push_back(&f->idle, &file->link);
        return;
    }
    if (FERRY_GROW(f->free_slots, f->slot_free_cap, f->slot_free_count + 1) == FERRY_OK)
        f->free_slots[f->slot_free_count++] = file->id.slot;
    file->id = (struct ferry_id){0, 0};
    while ((l = ferry_list_pop_front(&file->waiting)) != NULL)
        op_ready(f, FERRY_CONTAINER(l, struct log_op, link), status, 0);
}

static void file_begin_open(struct log_file *file)
{
    struct log_files *f = file->files;
    while (f->open_count >= f->open_max && !ferry_list_empty(&f->idle))
        file_close(FERRY_CONTAINER(f->idle.next, struct log_file, link));
    file->id.slot = f->slot_free_count ? f->free_slots[--f->slot_free_count] : f->slot_next++;
    file->id.gen = ++f->gen_next;
    if (file->id.gen == 0)
        file->id.gen = ++f->gen_next;
    file->opening.done = file_opened;
    file->opening.file = NULL;
    struct ferry_action *a = op_begin(f, &file->opening, FERRY_DO_OPEN_FILE, file->id);
    if (a) {
        a->path = file->path;
        a->flags = file->flags;
    }
}

static void file_submit(struct log_file *file, struct log_op *op)
{
    op->file = file;
    file_used(file);
    if (file->is_open) {
        file_begin(file, op);
        return;
    }
    ferry_list_push_back(&file->waiting, &op->link);
    if (file->id.gen == 0)
        file_begin_open(file);
}

void log_file_open(struct log_file *file, struct log_op *op)
{
    op->type = FERRY_DO_OPEN_FILE;
    file_submit(file, op);
}

void log_file_read(struct log_file *file, struct log_op *op, uint64_t offset, void *buffer,
                   uint64_t length)
{
    op->type = FERRY_DO_READ;
    op->offset = offset;
    op->buffer = buffer;
    op->length = length;
    file_submit(file, op);
}

void log_file_write(struct log_file *file, struct log_op *op, uint64_t offset, const void *data,
                    uint64_t length)
{
    op->type = FERRY_DO_WRITE;
    op->offset = offset;
    op->buffer = (void *)(uintptr_t)data;
    op->length = length;
    file_submit(file, op);
}

void log_file_sync(struct log_file *file, struct log_op *op)
{
    op->type = FERRY_DO_SYNC;
    file_submit(file, op);
}

void log_file_truncate(struct log_file *file, struct log_op *op, uint64_t size)
{
    op->type = FERRY_DO_TRUNCATE;
    op->offset = size;
    file_submit(file, op);
}
