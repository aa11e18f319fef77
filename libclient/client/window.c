/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/window.h"

#include "base/mem.h"

#include <inttypes.h>

/*
 * Buckets: one for each value below 2 * STEPS, then STEPS for each doubling, up to 2^LAST_BIT; greater values share the
 * last bucket. A bucket is 1 / STEPS of its value wide, and its middle is reported.
 */
enum {
    STEP_BITS = 4,
    STEPS = 1 << STEP_BITS,
    LAST_BIT = 36,
    BUCKETS = (LAST_BIT - STEP_BITS + 1) * STEPS
};

static unsigned bucket_of(int64_t value)
{
    if (value < STEPS)
        return (unsigned)value;
    int bit = 63 - __builtin_clzll((unsigned long long)value);
    if (bit >= LAST_BIT)
        return BUCKETS - 1;
    return (unsigned)((bit - STEP_BITS + 1) * STEPS + ((value >> (bit - STEP_BITS)) & (STEPS - 1)));
}

static int64_t middle_of(unsigned bucket)
{
    if (bucket < 2 * STEPS)
        return bucket;
    unsigned bit = bucket / STEPS + STEP_BITS - 1;
    int64_t low = (int64_t)(STEPS + bucket % STEPS) << (bit - STEP_BITS);
    return low + ((int64_t)1 << (bit - STEP_BITS)) / 2;
}

void ferry_window_add(struct ferry_window *w, int64_t value)
{
    struct ferry_window_half *h = &w->now;
    if (value < 0)
        value = 0;
    if (!h->buckets)
        h->buckets = ferry_zalloc(BUCKETS * sizeof *h->buckets);
    if (h->buckets)
        h->buckets[bucket_of(value)]++;
    if (!h->count || value < h->min)
        h->min = value;
    if (!h->count || value > h->max)
        h->max = value;
    h->count++;
    h->sum += value;
}

void ferry_window_roll(struct ferry_window *w)
{
    uint32_t *buckets = w->last.buckets;
    if (!w->now.count && buckets) { /* nothing is measured any more: own no memory */
        ferry_free(buckets);
        buckets = NULL;
    }
    w->last = w->now;
    w->now = (struct ferry_window_half){.buckets = buckets};
    if (buckets)
        memset(buckets, 0, BUCKETS * sizeof *buckets);
}

int64_t ferry_window_percentile(const struct ferry_window *w, unsigned parts)
{
    const struct ferry_window_half *h = &w->last;
    if (!h->count || !h->buckets)
        return 0;
    uint64_t rank = (h->count * parts + 9999) / 10000, seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen) {
            int64_t value = i == BUCKETS - 1 ? h->max : middle_of(i);
            return value < h->min ? h->min : value > h->max ? h->max : value;
        }
    }
    return h->max;
}

void ferry_window_json(const struct ferry_window *w, struct ferry_text *out)
{
    static const struct {
        const char *name;
        unsigned parts;
    } percentiles[] = {{"p50", 5000}, {"p75", 7500}, {"p90", 9000},
                       {"p95", 9500}, {"p99", 9900}, {"p99_99", 9999}};
    const struct ferry_window_half *h = &w->last;
    ferry_text_add(out,
                   "{\"count\":%" PRIu64 ",\"min\":%" PRId64 ",\"max\":%" PRId64 ",\"avg\":%" PRId64
                   ",\"sum\":%" PRId64,
                   h->count, h->min, h->max, h->count ? h->sum / (int64_t)h->count : 0, h->sum);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++)
        ferry_text_add(out, ",\"%s\":%" PRId64, percentiles[i].name,
                       ferry_window_percentile(w, percentiles[i].parts));
    ferry_text_add(out, "}");
}

void ferry_window_free(struct ferry_window *w)
{
    ferry_free(w->now.buckets);
    ferry_free(w->last.buckets);
    *w = (struct ferry_window){{0}, {0}};
}
