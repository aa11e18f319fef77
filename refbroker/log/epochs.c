/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Leader epochs of a log (see epochs.h). */

#include "refbroker/log/epochs.h"

#include "base/mem.h"
#include "ferry/error.h"
#include "refbroker/log/files.h"

int log_epochs_note(struct log_epochs *e, int32_t epoch, int64_t start, bool *added)
{
    *added = false;
    if (epoch < 0 || epoch <= log_epochs_latest(e))
        return FERRY_OK;
    if (FERRY_GROW(e->items, e->cap, e->count + 1) != FERRY_OK)
        return FERRY_E_NOMEM;
    e->items[e->count++] = (struct log_epoch){epoch, start};
    *added = true;
    return FERRY_OK;
}

bool log_epochs_cut_end(struct log_epochs *e, int64_t end)
{
    size_t before = e->count;
    while (e->count && e->items[e->count - 1].start >= end)
        e->count--;
    return e->count != before;
}

bool log_epochs_cut_start(struct log_epochs *e, int64_t start)
{
    size_t drop = 0;
    while (drop + 1 < e->count && e->items[drop + 1].start <= start)
        drop++;
    if (drop) {
        memmove(e->items, e->items + drop, (e->count - drop) * sizeof *e->items);
        e->count -= drop;
    }
    if (e->count && e->items[0].start < start) {
        e->items[0].start = start;
        return true;
    }
    return drop != 0;
}

void log_epochs_end_offset(const struct log_epochs *e, int32_t epoch, int64_t end, int32_t *found,
                           int64_t *end_offset)
{
    size_t i = e->count;
    *found = -1;
    *end_offset = -1;
    if (epoch < 0 || e->count == 0 || epoch > log_epochs_latest(e))
        return;
    while (i > 0 && e->items[i - 1].epoch > epoch)
        i--;
    /* Before the first epoch: what was asked for ended where the first one begins. */
    *found = i ? e->items[i - 1].epoch : epoch;
    *end_offset = i < e->count ? e->items[i].start : end;
}

int32_t log_epochs_at(const struct log_epochs *e, int64_t offset)
{
    size_t i = e->count;
    while (i > 0 && e->items[i - 1].start > offset)
        i--;
    return i ? e->items[i - 1].epoch : -1;
}

int32_t log_epochs_latest(const struct log_epochs *e)
{
    return e->count ? e->items[e->count - 1].epoch : -1;
}

void log_epochs_save(const struct log_epochs *e, struct ferry_text *text)
{
    log_checkpoint_begin(text, e->count);
    for (size_t i = 0; i < e->count; i++)
        log_checkpoint_add(
            text, &(struct log_checkpoint_line){{NULL, 0}, e->items[i].epoch, e->items[i].start});
}

int log_epochs_load(struct log_epochs *e, struct ferry_bytes data)
{
    struct log_checkpoint_line line;
    size_t at = 0;
    int rc;
    while ((rc = log_checkpoint_next(data, &at, false, &line)) > 0) {
        bool added;
        if (e->count && line.offset < e->items[e->count - 1].start)
            rc = FERRY_E_PROTOCOL;
        else
            rc = log_epochs_note(e, line.number, line.offset, &added);
        if (rc == FERRY_OK && !added)
            rc = FERRY_E_PROTOCOL;
        if (rc != FERRY_OK)
            break;
    }
    if (rc < 0)
        e->count = 0;
    return rc < 0 ? rc : FERRY_OK;
}

void log_epochs_free(struct log_epochs *e)
{
    ferry_free(e->items);
    memset(e, 0, sizeof *e);
}
