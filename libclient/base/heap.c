/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/heap.h"

#include "base/check.h"
#include "base/mem.h"

static bool before(const struct ferry_timer *a, const struct ferry_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void place(struct ferry_timers *h, size_t i, struct ferry_timer *t)
{
    h->heap[i] = t;
    t->pos = i + 1;
}

static void sift_up(struct ferry_timers *h, size_t i, struct ferry_timer *t)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!before(t, h->heap[parent]))
            break;
        place(h, i, h->heap[parent]);
        i = parent;
    }
    place(h, i, t);
}

static void sift_down(struct ferry_timers *h, size_t i, struct ferry_timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && before(h->heap[child + 1], h->heap[child]))
            child++;
        if (!before(h->heap[child], t))
            break;
        place(h, i, h->heap[child]);
        i = child;
    }
    place(h, i, t);
}

static void remove_at(struct ferry_timers *h, size_t i)
{
    h->heap[i]->pos = 0;
    struct ferry_timer *last = h->heap[--h->count];
    if (i == h->count)
        return;
    if (i > 0 && before(last, h->heap[(i - 1) / 2]))
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

int ferry_timer_set(struct ferry_timers *h, struct ferry_timer *t, int64_t at)
{
    if (t->pos)
        remove_at(h, t->pos - 1);
    int err = FERRY_GROW(h->heap, h->cap, h->count + 1);
    if (err)
        return err;
    t->at = at;
    t->seq = h->seq++;
    sift_up(h, h->count++, t);
    return 0;
}

int ferry_timer_set_earlier(struct ferry_timers *h, struct ferry_timer *t, int64_t at)
{
    return t->pos && t->at <= at ? 0 : ferry_timer_set(h, t, at);
}

void ferry_timer_cancel(struct ferry_timers *h, struct ferry_timer *t)
{
    if (t->pos)
        remove_at(h, t->pos - 1);
}

int64_t ferry_timers_next(const struct ferry_timers *h)
{
    return h->count ? h->heap[0]->at : INT64_MAX;
}

void ferry_timers_run(struct ferry_timers *h, int64_t now, void *context)
{
    /* A timer set again by its own function for a time already due waits for the next run: the bound on seq
     * keeps one call from spinning. */
    uint64_t bound = h->seq;
    while (h->count && h->heap[0]->at <= now && h->heap[0]->seq < bound) {
        struct ferry_timer *t = h->heap[0];
        remove_at(h, 0);
        FERRY_CHECK(t->fire);
        t->fire(t, context);
    }
}

void ferry_timers_free(struct ferry_timers *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->heap[i]->pos = 0;
    ferry_free(h->heap);
    *h = (struct ferry_timers){0};
}
