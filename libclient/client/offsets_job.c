/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all jobs about offsets share: items in order, retries, the deadline, the one call of on_done.
 *
 * Invariants:
 *  1. on_done is called exactly once, unless the job is cancelled, and only when no request is in flight.
 *  2. A job without open items and without requests is freed by settle.
 */
#include "config.h"

#include "client/offsets_job.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static int by_partition(const void *a, const void *b)
{
    const struct ferry_topic_partition *x = ((const struct ferry_offsets_item *)a)->entry;
    const struct ferry_topic_partition *y = ((const struct ferry_offsets_item *)b)->entry;
    int c = strcmp(x->topic, y->topic);
    return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

static void job_free(struct ferry_offsets_job *job)
{
    ferry_client_timer_cancel(job->client, &job->retry);
    ferry_client_timer_cancel(job->client, &job->deadline);
    for (size_t i = 0; i < job->count; i++)
        if (job->items[i].topic)
            ferry_cluster_unwant(job->client, job->items[i].topic, 0);
    if (job->observing)
        ferry_client_unobserve(job->client, &job->observer);
    ferry_free(job->items);
    ferry_free(job);
}

void ferry_offsets_job_settle(struct ferry_offsets_job *job)
{
    if (job->open || !ferry_list_empty(&job->requests))
        return;
    if (job->in_call) { /* the owner does not know the job yet */
        ferry_client_timer(job->client, &job->retry, job->client->now);
        return;
    }
    if (job->cancelled) { /* the list is gone already */
        job_free(job);
        return;
    }
    struct ferry_offsets_ask ask = job->ask;
    int32_t status = job->status;
    char text[sizeof job->text];
    snprintf(text, sizeof text, "%s", job->text);
    for (size_t i = 0; i < ask.list->count && !status; i++)
        status = ask.list->items[i].error;
    if (status && !*text)
        snprintf(text, sizeof text, "%s", ferry_error_name(status));
    job_free(job);
    ask.on_done(ask.cookie, status, text);
}

static void on_retry(struct ferry_timer *t, void *context)
{
    (void)context;
    struct ferry_offsets_job *job = FERRY_CONTAINER(t, struct ferry_offsets_job, retry);
    if (job->open)
        job->advance(job);
    ferry_offsets_job_settle(job);
}

static void on_deadline(struct ferry_timer *t, void *context)
{
    (void)context;
    struct ferry_offsets_job *job = FERRY_CONTAINER(t, struct ferry_offsets_job, deadline);
    ferry_offsets_job_fail(job, FERRY_E_TIMED_OUT, "no answer in time");
    ferry_offsets_job_settle(job);
}

struct ferry_offsets_job *ferry_offsets_job_new(struct ferry_client *client,
                                                const struct ferry_offsets_ask *ask,
                                                void (*advance)(struct ferry_offsets_job *))
{
    struct ferry_offsets_job *job = ferry_zalloc(sizeof *job);
    size_t n = ask->list->count;
    if (!job || !(job->items = ferry_zalloc((n + 1) * sizeof *job->items))) {
        ferry_free(job);
        return NULL;
    }
    job->client = client;
    job->ask = *ask;
    job->advance = advance;
    job->generation = -1;
    job->count = job->open = n;
    job->retry.fire = on_retry;
    job->deadline.fire = on_deadline;
    ferry_list_init(&job->requests);
    for (size_t i = 0; i < n; i++) {
        job->items[i].entry = &ask->list->items[i];
        ask->list->items[i].error = 0;
    }
    if (n)
        qsort(job->items, n, sizeof *job->items, by_partition);
    return job;
}

struct ferry_offsets_job *ferry_offsets_job_begin(struct ferry_offsets_job *job)
{
    job->in_call = true;
    if (job->ask.deadline != FERRY_NEVER)
        ferry_client_timer(job->client, &job->deadline, job->ask.deadline);
    if (job->open)
        job->advance(job);
    ferry_offsets_job_settle(job);
    job->in_call = false;
    return job;
}

struct ferry_offsets_request *ferry_offsets_job_request(struct ferry_offsets_job *job,
                                                        int16_t api_key, int16_t min, int16_t max)
{
    struct ferry_offsets_request *r = ferry_zalloc(sizeof *r);
    if (!r) {
        ferry_offsets_job_fail(job, FERRY_E_NOMEM, "no memory for a request");
        return NULL;
    }
    r->job = job;
    ferry_arena_init(&r->arena, SIZE_MAX);
    r->request.api_key = api_key;
    r->request.min_version = min;
    r->request.max_version = max;
    r->request.cookie = r;
    ferry_list_push_back(&job->requests, &r->link);
    return r;
}

void ferry_offsets_request_free(struct ferry_offsets_request *r)
{
    ferry_list_remove(&r->link);
    ferry_arena_free(&r->arena);
    ferry_free(r);
}

bool ferry_offsets_job_returned(struct ferry_offsets_request *r)
{
    struct ferry_offsets_job *job = r->job;
    ferry_list_remove(&r->link);
    if (!job->cancelled)
        return true;
    ferry_offsets_request_free(r);
    ferry_offsets_job_settle(job);
    return false;
}

struct ferry_offsets_item *ferry_offsets_job_find(struct ferry_offsets_job *job,
                                                  struct ferry_str topic, int32_t partition)
{
    size_t low = 0, high = job->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct ferry_topic_partition *e = job->items[mid].entry;
        int c = ferry_str_cmp(ferry_str_of(e->topic), topic);
        if (c < 0 || (c == 0 && e->partition < partition))
            low = mid + 1;
        else
            high = mid;
    }
    if (low == job->count || job->items[low].entry->partition != partition ||
        !ferry_str_eq(ferry_str_of(job->items[low].entry->topic), topic))
        return NULL;
    return &job->items[low];
}

bool ferry_offsets_job_same(const struct ferry_offsets_job *job, const struct ferry_offsets_item *a,
                            const struct ferry_offsets_item *b)
{
    return b < job->items + job->count && by_partition(a, b) == 0;
}

void ferry_offsets_job_done(struct ferry_offsets_job *job, struct ferry_offsets_item *item,
                            int32_t error)
{
    if (item->state == FERRY_OFFSETS_DONE)
        return;
    item->state = FERRY_OFFSETS_DONE;
    item->entry->error = error;
    job->open--;
}

void ferry_offsets_job_fail(struct ferry_offsets_job *job, int32_t status, const char *text)
{
    struct ferry_link *it, *tmp;
    if (!job->status && job->open) {
        job->status = status;
        snprintf(job->text, sizeof job->text, "%s", text);
    }
    for (size_t i = 0; i < job->count; i++)
        ferry_offsets_job_done(job, &job->items[i], status);
    FERRY_LIST_EACH(it, tmp, &job->requests)
    ferry_request_cancel(job->client,
                         &FERRY_CONTAINER(it, struct ferry_offsets_request, link)->request);
}

void ferry_offsets_job_again(struct ferry_offsets_job *job)
{
    const struct ferry_settings *s = job->client->settings;
    if (ferry_timer_armed(&job->retry))
        return;
    ferry_nsec wait = ferry_client_backoff(job->client, s->retry_backoff_ms,
                                           s->retry_backoff_max_ms, job->tries++);
    ferry_client_timer(job->client, &job->retry, job->client->now + wait);
}

void ferry_offsets_cancel(struct ferry_offsets_job *job)
{
    job->cancelled = true;
    ferry_offsets_job_fail(job, FERRY_E_INTERRUPTED, "cancelled");
    ferry_offsets_job_settle(job);
}
