/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_HISTOGRAM_H
#define TOOLS_HISTOGRAM_H
/* Counts of values in log-linear buckets: percentiles within 1 % of any value up to 2^40, in 18 KiB. */
#include <stdint.h>

enum { HISTOGRAM_SUB = 64, HISTOGRAM_BUCKETS = 35 * HISTOGRAM_SUB };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS], total, sum;
    int64_t max;
};

void histogram_add(struct histogram *, int64_t value);
/* The value below which `percent` of all are; 0 of an empty one. */
int64_t histogram_percentile(const struct histogram *, double percent);

#endif
