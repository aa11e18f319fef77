/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_WINDOW_H
#define CLIENT_WINDOW_H
/*
 * A window of measurements, for statistics: how many, their sum, least, greatest, and percentiles within 3 % of the
 * truth. One is being filled, the one before it stands still and is what is reported. No memory before the first value.
 */
#include "base/text.h"

struct ferry_window_half {
    uint64_t count;
    int64_t sum, min, max;
    uint32_t *buckets; /* NULL until the first value; without memory percentiles are 0 */
};

struct ferry_window {
    struct ferry_window_half now, last;
};

/* Negative values count as 0. */
void ferry_window_add(struct ferry_window *, int64_t value);
/* What was filled becomes what is reported; filling begins anew. */
void ferry_window_roll(struct ferry_window *);
/* The value below which `parts` of 10,000 lie in the last window; 0 if it is empty. */
int64_t ferry_window_percentile(const struct ferry_window *, unsigned parts);
/* The last window as a JSON object: count, min, max, avg, sum, p50, p75, p90, p95, p99, p99_99. */
void ferry_window_json(const struct ferry_window *, struct ferry_text *out);
void ferry_window_free(struct ferry_window *);

#endif
