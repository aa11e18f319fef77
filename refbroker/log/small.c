/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Small files as a whole: reading one, replacing one so that a crash leaves the old or the new, and
 * the text of Kafka's checkpoints. */

#include "refbroker/log/files.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"

void log_load_drop(struct log_load *l)
{
    log_file_free(&l->file);
    ferry_free(l->buffer);
    l->buffer = NULL;
}

void log_save_drop(struct log_save *s)
{
    ferry_free(s->path);
    ferry_free(s->temporary);
    ferry_free(s->data);
    s->path = s->temporary = NULL;
    s->data = NULL;
    log_file_free(&s->file);
}

/* ---- load ---- */

static void load_end(struct log_load *l, int status, uint64_t len)
{
    uint8_t *buffer = l->buffer;
    l->buffer = NULL;
    log_file_free(&l->file);
    l->done(l, status, (struct ferry_bytes){status ? NULL : buffer, status ? 0 : len});
    ferry_free(buffer);
}

static void load_read(struct log_op *op, int status, uint64_t count)
{
    load_end(FERRY_CONTAINER(op, struct log_load, op), status, count);
}

static void load_opened(struct log_op *op, int status, uint64_t count)
{
    struct log_load *l = FERRY_CONTAINER(op, struct log_load, op);
    if (status == FERRY_OK && count > l->limit)
        status = FERRY_E_TOO_LARGE;
    if (status == FERRY_OK && !(l->buffer = ferry_alloc(count + 1)))
        status = FERRY_E_NOMEM;
    if (status != FERRY_OK) {
        load_end(l, status, 0);
        return;
    }
    op->done = load_read;
    log_file_read(&l->file, op, 0, l->buffer, count);
}

static void load_failed(struct log_op *op, int status, uint64_t count)
{
    load_end(FERRY_CONTAINER(op, struct log_load, op), FERRY_E_NOMEM, 0);
}

void log_files_load(struct log_files *f, struct log_load *l, const char *path, uint64_t limit)
{
    l->buffer = NULL;
    l->limit = limit;
    memset(&l->op, 0, sizeof l->op);
    l->op.done = load_opened;
    if (log_file_init(&l->file, f, path, FERRY_OPEN_READ) != FERRY_OK) {
        log_files_later(f, &l->op, load_failed);
        return;
    }
    log_file_open(&l->file, &l->op);
}

/* ---- save ---- */

static void save_end(struct log_save *s, int status)
{
    log_save_drop(s);
    s->done(s, status);
}

static void save_dir_synced(struct log_op *op, int status, uint64_t count)
{
    save_end(FERRY_CONTAINER(op, struct log_save, op), status);
}

static void save_renamed(struct log_op *op, int status, uint64_t count)
{
    struct log_save *s = FERRY_CONTAINER(op, struct log_save, op);
    if (status != FERRY_OK) {
        save_end(s, status);
        return;
    }
    /* The directory part of path; the temporary name is no longer needed, so its memory serves. */
    char *slash = strrchr(strcpy(s->temporary, s->path), '/');
    if (slash)
        *slash = '\0';
    else
        strcpy(s->temporary, ".");
    op->done = save_dir_synced;
    log_files_sync_dir(s->file.files, op, s->temporary);
}

static void save_synced(struct log_op *op, int status, uint64_t count)
{
    struct log_save *s = FERRY_CONTAINER(op, struct log_save, op);
    if (status != FERRY_OK) {
        save_end(s, status);
        return;
    }
    op->done = save_renamed;
    log_files_rename(s->file.files, op, s->temporary, s->path);
}

static void save_written(struct log_op *op, int status, uint64_t count)
{
    struct log_save *s = FERRY_CONTAINER(op, struct log_save, op);
    if (status != FERRY_OK) {
        save_end(s, status);
        return;
    }
    op->done = save_synced;
    log_file_sync(&s->file, op);
}

static void save_failed(struct log_op *op, int status, uint64_t count)
{
    save_end(FERRY_CONTAINER(op, struct log_save, op), FERRY_E_NOMEM);
}

void log_files_save(struct log_files *f, struct log_save *s, const char *path, void *data,
                    size_t len)
{
    struct ferry_text temporary = {0};
    memset(&s->op, 0, sizeof s->op);
    memset(&s->file, 0, sizeof s->file);
    s->data = data;
    s->len = len;
    ferry_text_add(&temporary, "%s.tmp", path);
    s->path = ferry_strdup(path);
    s->temporary = temporary.failed ? NULL : temporary.data;
    if (temporary.failed)
        ferry_text_free(&temporary);
    if (!s->path || !s->temporary ||
        log_file_init(&s->file, f, s->temporary,
                      FERRY_OPEN_WRITE | FERRY_OPEN_CREATE | FERRY_OPEN_TRUNCATE) != FERRY_OK) {
        log_files_later(f, &s->op, save_failed);
        return;
    }
    s->op.done = save_written;
    log_file_write(&s->file, &s->op, 0, data, len);
}

/* ---- checkpoints ---- */

/* The next line, without its end; false where there is none. */
static bool next_line(struct ferry_bytes data, size_t *at, struct ferry_str *line)
{
    if (*at >= data.len)
        return false;
    const char *p = (const char *)data.data + *at;
    const char *end = memchr(p, '\n', data.len - *at);
    line->data = p;
    line->len = end ? (size_t)(end - p) : data.len - *at;
    *at += line->len + (end != NULL);
    if (line->len && p[line->len - 1] == '\r')
        line->len--;
    return true;
}

static bool take_word(struct ferry_str *line, struct ferry_str *word)
{
    while (line->len && (*line->data == ' ' || *line->data == '\t'))
        line->data++, line->len--;
    word->data = line->data;
    while (line->len && *line->data != ' ' && *line->data != '\t')
        line->data++, line->len--;
    word->len = (size_t)(line->data - word->data);
    return word->len > 0;
}

static bool take_number(struct ferry_str *line, int64_t low, int64_t high, int64_t *out)
{
    struct ferry_str word;
    int64_t n = 0;
    bool negative;
    if (!take_word(line, &word))
        return false;
    negative = *word.data == '-';
    if (negative)
        word.data++, word.len--;
    if (word.len == 0 || word.len > 19)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (word.data[i] < '0' || word.data[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, word.data[i] - '0', &n))
            return false;
    *out = negative ? -n : n;
    return *out >= low && *out <= high;
}

int log_checkpoint_next(struct ferry_bytes data, size_t *at, bool with_topic,
                        struct log_checkpoint_line *out)
{
    struct ferry_str line;
    int64_t number, count = 0;
    size_t from = 0;
    if (!next_line(data, &from, &line) || !take_number(&line, 0, 0, &number) ||
        !next_line(data, &from, &line) || !take_number(&line, 0, INT32_MAX, &count))
        return FERRY_E_PROTOCOL;
    if (*at == 0) {
        /* A file cut short is told at once, so that nobody acts on half of it. */
        size_t lines = 0;
        for (size_t i = from; next_line(data, &i, &line);)
            lines += line.len > 0;
        if (lines != (size_t)count)
            return FERRY_E_PROTOCOL;
        *at = from;
    }
    do {
        if (!next_line(data, at, &line))
            return 0;
    } while (line.len == 0);
    out->topic = (struct ferry_str){NULL, 0};
    if ((with_topic && !take_word(&line, &out->topic)) ||
        !take_number(&line, 0, INT32_MAX, &number) ||
        !take_number(&line, INT64_MIN, INT64_MAX, &out->offset))
        return FERRY_E_PROTOCOL;
    out->number = (int32_t)number;
    return 1;
}

void log_checkpoint_begin(struct ferry_text *text, size_t count)
{
    ferry_text_add(text, "0\n%zu\n", count);
}

void log_checkpoint_add(struct ferry_text *text, const struct log_checkpoint_line *line)
{
    if (line->topic.data)
        ferry_text_add(text, "%.*s ", (int)line->topic.len, line->topic.data);
    ferry_text_add(text, "%d %lld\n", (int)line->number, (long long)line->offset);
}
