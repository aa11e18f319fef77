/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Segments of a log: their files, their index entries, and the positions of batches that are likely
 * to be asked for. */

#include "refbroker/log/internal.h"

#include <stdio.h>

void log_segment_path(const struct log *l, int64_t base, const char *suffix, char out[LOG_PATH])
{
    snprintf(out, LOG_PATH, "%s/%020lld%s", l->private->path, (long long)base, suffix);
}

static void segment_release(struct log_segment *s)
{
    if (s->doomed && s->pins == 0 && !s->offsets.writing && !s->times.writing)
        log_segment_destroy(s);
}

static void index_written(struct log_index *x)
{
    struct log_segment *s = x->segment;
    if (s->log)
        log_pump(s->log);
    else
        segment_release(s);
}

struct log_segment *log_segment_new(struct log *l, int64_t base, bool create)
{
    struct log_segment *s = ferry_zalloc(sizeof *s);
    struct log_files *f = l->dir->files;
    uint32_t flags = FERRY_OPEN_READ | FERRY_OPEN_WRITE;
    uint32_t fresh = flags | FERRY_OPEN_CREATE | (create ? FERRY_OPEN_TRUNCATE : 0u);
    char path[LOG_PATH], offsets[LOG_PATH], times[LOG_PATH];
    if (!s)
        return NULL;
    s->log = l;
    s->dir = l->dir;
    s->base = base;
    s->max_timestamp = s->max_timestamp_last = s->first_timestamp = -1;
    s->made_at = s->touched_at = f->wall;
    log_segment_path(l, base, ".log", path);
    log_segment_path(l, base, ".index", offsets);
    log_segment_path(l, base, ".timeindex", times);
    if (log_file_init(&s->file, f, path, create ? fresh : flags) ||
        log_index_init(&s->offsets, f, offsets, LOG_INDEX_OFFSET_ENTRY, fresh) ||
        log_index_init(&s->times, f, times, LOG_INDEX_TIME_ENTRY, fresh)) {
        log_segment_destroy(s);
        return NULL;
    }
    s->offsets.segment = s->times.segment = s;
    s->offsets.on_written = s->times.on_written = index_written;
    s->times_known = create;
    return s;
}

void log_segment_destroy(struct log_segment *s)
{
    ferry_list_remove(&s->link);
    if (s->held)
        log_file_unpin(&s->file);
    log_file_free(&s->file);
    log_index_free(&s->offsets);
    log_index_free(&s->times);
    ferry_free(s);
}

void log_segment_pin(struct log_segment *s)
{
    s->pins++;
}

void log_segment_unpin(struct log_segment *s)
{
    FERRY_CHECK(s->pins > 0);
    s->pins--;
    segment_release(s);
}

/* A freed segment's address may come back. */
static void near_forget(struct log *l, const struct log_segment *s)
{
    struct log_private *p = l->private;
    for (size_t i = 0; p->near && i < LOG_NEAR; i++)
        if (p->near[i].segment == s)
            p->near[i].segment = NULL;
    if (p->mark_segment == s)
        p->mark_segment = NULL;
    if (p->page.segment == s)
        p->page.segment = NULL;
}

void log_segment_doom(struct log_segment *s)
{
    FERRY_CHECK(!s->doomed);
    s->doomed = true;
    near_forget(s->log, s);
    s->log = NULL;
    ferry_list_push_back(&s->dir->private->doomed, &s->link);
    segment_release(s);
}

size_t log_segment_find(const struct log *l, int64_t offset)
{
    size_t low = 0, high = l->private->count;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (l->private->segments[mid]->base <= offset)
            low = mid;
        else
            high = mid;
    }
    return low;
}

int64_t log_segment_end(const struct log *l, size_t i)
{
    return i + 1 < l->private->count ? l->private->segments[i + 1]->base : l->end;
}

int log_segment_push(struct log *l, struct log_segment *s)
{
    struct log_private *p = l->private;
    if (FERRY_GROW(p->segments, p->cap, p->count + 1) != FERRY_OK)
        return FERRY_E_NOMEM;
    FERRY_CHECK(p->count == 0 || log_active(l)->base <= s->base);
    p->segments[p->count++] = s;
    return FERRY_OK;
}

static void add_time_entry(struct log_segment *s)
{
    uint8_t entry[LOG_INDEX_TIME_ENTRY];
    if (s->max_timestamp < 0 ||
        (s->times.has_last && (int64_t)ferry_get64(s->times.last) >= s->max_timestamp))
        return;
    ferry_put64(entry, (uint64_t)s->max_timestamp);
    ferry_put32(entry + 8, (uint32_t)(s->max_timestamp_last - s->base));
    log_index_add(&s->times, entry);
}

void log_segment_note(struct log_segment *s, const struct ferry_batch *b, uint64_t position)
{
    uint8_t entry[LOG_INDEX_OFFSET_ENTRY];
    s->touched_at = s->dir->files->wall;
    if (position == 0)
        s->first_timestamp = b->max_timestamp;
    if (b->max_timestamp > s->max_timestamp) {
        s->max_timestamp = b->max_timestamp;
        s->max_timestamp_last = b->last_offset;
    }
    if (s->since_index > (uint64_t)s->log->config.index_interval_bytes && position <= INT32_MAX) {
        ferry_put32(entry, (uint32_t)(b->last_offset - s->base));
        ferry_put32(entry + 4, (uint32_t)position);
        log_index_add(&s->offsets, entry);
        add_time_entry(s);
        s->since_index = 0;
    }
    s->since_index += b->size;
}

void log_segment_seal(struct log_segment *s)
{
    if (s->times_known)
        add_time_entry(s);
    log_index_flush(&s->offsets);
    log_index_flush(&s->times);
}

/* segment.jitter.ms: so much sooner it is full by age, lest all partitions roll at one time. Always the same for a
 * segment. */
static int64_t jitter(const struct log_segment *s)
{
    const struct log_config *c = &s->log->config;
    int64_t most = c->segment_jitter_ms < c->segment_ms ? c->segment_jitter_ms : c->segment_ms;
    if (most <= 0)
        return 0;
    uint64_t h = (uint64_t)s->base;
    for (const char *p = s->log->private->path; *p; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return (int64_t)((h ^ h >> 32) % (uint64_t)most);
}

bool log_segment_full(const struct log_segment *s, int64_t last_offset, size_t size,
                      int64_t timestamp, int64_t now)
{
    const struct log_config *c = &s->log->config;
    /* An index is full when another entry would not fit; Kafka sizes both files alike. */
    uint64_t index_max = (uint64_t)c->segment_index_bytes;
    if (last_offset - s->base > INT32_MAX)
        return true;
    if (s->size == 0)
        return false;
    if (s->size + size > (uint64_t)c->segment_bytes)
        return true;
    if ((log_index_count(&s->offsets) + 1) * LOG_INDEX_OFFSET_ENTRY > index_max ||
        (log_index_count(&s->times) + 2) * LOG_INDEX_TIME_ENTRY > index_max)
        return true;
    /* Age counts from the first record's time to the newcomer's; without times, from its making. */
    bool timed = s->first_timestamp >= 0;
    int64_t since = timed ? s->first_timestamp : s->made_at;
    int64_t until = timed && timestamp >= 0 ? timestamp : now;
    return until > since && until - since > c->segment_ms - jitter(s);
}

/* ---- positions of batches ---- */

static struct log_near *near_slot(const struct log *l, int64_t offset)
{
    uint64_t h = (uint64_t)offset * 0x9e3779b97f4a7c15u;
    return &l->private->near[h >> 58];
}

void log_near_put(struct log *l, struct log_segment *s, int64_t offset, uint64_t position)
{
    _Static_assert(LOG_NEAR == 1 << (64 - 58), "the hash gives six bits");
    if (!l->private->near &&
        !(l->private->near = ferry_zalloc(LOG_NEAR * sizeof *l->private->near)))
        return;
    *near_slot(l, offset) = (struct log_near){s, offset, position};
}

bool log_near_get(const struct log *l, const struct log_segment *s, int64_t offset,
                  uint64_t *position)
{
    if (offset == s->base) {
        *position = 0;
        return true;
    }
    if (!l->private->near)
        return false;
    const struct log_near *n = near_slot(l, offset);
    if (n->segment != s || n->offset != offset)
        return false;
    *position = n->position;
    return true;
}

void log_near_clear(struct log *l)
{
    ferry_free(l->private->near);
    l->private->near = NULL;
    ferry_free(l->private->page.data);
    memset(&l->private->page, 0, sizeof l->private->page);
}
