/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Index files (see index.h). */

#include "refbroker/log/index.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"

int log_index_init(struct log_index *x, struct log_files *f, const char *path, uint8_t entry,
                   uint32_t flags)
{
    memset(x, 0, sizeof *x);
    x->entry = entry;
    return log_file_init(&x->file, f, path, flags);
}

void log_index_free(struct log_index *x)
{
    log_file_free(&x->file);
    ferry_free(x->tail);
    ferry_free(x->flight);
    x->tail = x->flight = NULL;
    x->tail_len = x->tail_cap = x->flight_len = x->flight_cap = 0;
}

/* A write failed: its entries go back before the younger ones. */
static void put_back(struct log_index *x)
{
    if (FERRY_GROW(x->tail, x->tail_cap, x->tail_len + x->flight_len) == FERRY_OK) {
        memmove(x->tail + x->flight_len, x->tail, x->tail_len);
        memcpy(x->tail, x->flight, x->flight_len);
        x->tail_len += x->flight_len;
    }
    x->flight_len = 0;
}

static void written(struct log_op *op, int status, uint64_t count)
{
    struct log_index *x = FERRY_CONTAINER(op, struct log_index, op);
    x->writing = false;
    if (status == FERRY_OK) {
        x->size += x->flight_len;
        x->flight_len = 0;
    } else {
        put_back(x);
    }
    if (x->on_written)
        x->on_written(x);
}

void log_index_flush(struct log_index *x)
{
    if (x->writing || x->paused || x->tail_len == 0)
        return;
    uint8_t *data = x->flight;
    size_t cap = x->flight_cap;
    x->flight = x->tail;
    x->flight_len = x->tail_len;
    x->flight_cap = x->tail_cap;
    x->tail = data;
    x->tail_len = 0;
    x->tail_cap = cap;
    x->writing = true;
    x->op.done = written;
    log_file_write(&x->file, &x->op, x->size, x->flight, x->flight_len);
}

void log_index_add(struct log_index *x, const uint8_t *entry)
{
    if (FERRY_GROW(x->tail, x->tail_cap, x->tail_len + x->entry) != FERRY_OK)
        return;
    memcpy(x->tail + x->tail_len, entry, x->entry);
    x->tail_len += x->entry;
    memcpy(x->last, entry, x->entry);
    x->has_last = true;
    if (x->tail_len >= LOG_INDEX_WRITE)
        log_index_flush(x);
}

const uint8_t *log_index_recent(const struct log_index *x, uint64_t i)
{
    uint64_t at = i * x->entry;
    if (at < x->size)
        return NULL;
    at -= x->size;
    if (at < x->flight_len)
        return x->flight + at;
    at -= x->flight_len;
    FERRY_CHECK(at < x->tail_len);
    return x->tail + at;
}
