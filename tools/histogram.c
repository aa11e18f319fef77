/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/histogram.h"

/* Values below HISTOGRAM_SUB have a bucket each; above, each power of two has HISTOGRAM_SUB buckets. */
static unsigned bucket(int64_t value)
{
    if (value < HISTOGRAM_SUB)
        return value < 0 ? 0 : (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll((unsigned long long)value) -
                     6u; /* value >> shift is 64..127 */
    unsigned b = (shift + 1) * HISTOGRAM_SUB + (unsigned)((value >> shift) - HISTOGRAM_SUB);
    return b < HISTOGRAM_BUCKETS ? b : HISTOGRAM_BUCKETS - 1;
}

static int64_t highest(unsigned b)
{
    if (b < HISTOGRAM_SUB)
        return b;
    unsigned shift = b / HISTOGRAM_SUB - 1;
    return ((int64_t)(HISTOGRAM_SUB + b % HISTOGRAM_SUB + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, int64_t value)
{
    h->counts[bucket(value)]++;
    h->total++;
    h->sum += value > 0 ? (uint64_t)value : 0;
    if (value > h->max)
        h->max = value;
}

int64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t want = (uint64_t)((double)h->total * percent / 100 + 0.5), seen = 0;
    if (want < 1)
        want = 1;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        seen += h->counts[b];
        if (h->total && seen >= want)
            return highest(b) < h->max ? highest(b) : h->max;
    }
    return h->max;
}
