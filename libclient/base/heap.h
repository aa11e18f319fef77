/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H
/*
 * Timers: an intrusive binary heap ordered by (deadline, insertion), so that equal deadlines fire in a
 * repeatable order. The world sees only the first deadline.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ferry_timer {
    int64_t at;      /* deadline, ns; meaningful while armed */
    uint64_t seq;    /* order among equals */
    size_t pos;      /* index + 1; 0 = not armed */
    void (*fire)(struct ferry_timer *, void *context);
};

struct ferry_timers {
    struct ferry_timer **heap;
    size_t count, cap;
    uint64_t seq;
};

/* Arms, or moves, a timer. 0 or FERRY_E_NOMEM (only when it was not armed). */
int ferry_timer_set(struct ferry_timers *, struct ferry_timer *, int64_t at);
/* Arms only if it is not armed or would fire later than `at`. */
int ferry_timer_set_earlier(struct ferry_timers *, struct ferry_timer *, int64_t at);
void ferry_timer_cancel(struct ferry_timers *, struct ferry_timer *);
static inline bool ferry_timer_armed(const struct ferry_timer *t)
{
    return t->pos != 0;
}
/* The first deadline, INT64_MAX if none. */
int64_t ferry_timers_next(const struct ferry_timers *);
/* Fires every timer due at `now`, disarming each before its function runs. */
void ferry_timers_run(struct ferry_timers *, int64_t now, void *context);
void ferry_timers_free(struct ferry_timers *);

#endif
