/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_STATISTICS_H
#define CLIENT_STATISTICS_H
/*
 * Statistics: what a client's connections, topics and modules did and do, as one JSON object. With
 * ferry.statistics.interval.ms set, times are measured in windows of that length, and the object is delivered at the end of
 * each; without it there are counters only, and nothing is measured or held for them.
 */
#include "client/client.h"
#include "client/window.h"
#include "ferry/queue.h"

/* Delivered to the main queue at each interval. */
struct ferry_statistics {
    struct ferry_delivery delivery; /* first; type FERRY_DELIVERY_STATISTICS */
    size_t len;
    char json[]; /* NUL-terminated */
};

/* Whether windows are filled. */
bool ferry_statistics_on(const struct ferry_client *);
/* The object as of now, windows as of the last interval. Inside a step, or by whoever holds the engine. */
void ferry_statistics_print(const struct ferry_client *, struct ferry_text *out);
/* Arms the timer; in the first step. */
void ferry_statistics_start(struct ferry_client *);

#endif
