/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ListOffsets for any partitions: each goes to its leader, all of one leader in one request. What fails for a reason that
 * metadata can cure is asked again; a partition that several metadata answers did not have does not exist.
 */
#include "config.h"

#include "client/offsets_job.h"

#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "wire/errors.h"
#include "wire/messages.h"

enum { MISSING_MAX = 5 /* metadata answers without the partition */ };

/* The leader to ask for an item: its id, or -1 with the item failed or to be waited for. */
static int32_t leader_of(struct ferry_offsets_job *job, struct ferry_offsets_item *item, bool *wait)
{
    const struct ferry_topic_meta *t = item->topic;
    int32_t p = item->entry->partition;
    if (t->known && t->error && !(ferry_kafka_err_actions(t->error) & FERRY_WIRE_RETRY)) {
        ferry_offsets_job_done(job, item, t->error);
        return -1;
    }
    if (t->known && !t->error && p < t->partition_count && t->partitions[p].leader >= 0)
        return t->partitions[p].leader;
    if (item->missing >= MISSING_MAX) {
        ferry_offsets_job_done(job, item,
                               t->error                  ? t->error
                               : p >= t->partition_count ? FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                                         : FERRY_KAFKA_LEADER_NOT_AVAILABLE);
        return -1;
    }
    *wait = true;
    return -1;
}

static int64_t timestamp_asked(const struct ferry_offsets_item *item)
{
    return item->entry->offset;
}

/* The message to one leader, of all waiting items that it leads. */
static int fill(struct ferry_offsets_job *job, struct ferry_offsets_request *r, int32_t leader)
{
    struct ferry_list_offsets_request *m = ferry_arena_alloc(&r->arena, sizeof *m);
    struct ferry_list_offsets_request_topic *topic = NULL;
    if (!m)
        return FERRY_E_NOMEM;
    ferry_list_offsets_request_init(m);
    m->isolation_level = job->ask.isolation;
    m->timeout_ms = job->client->settings->topic.request_timeout_ms;
    m->topics = ferry_arena_array(&r->arena, job->count, sizeof *m->topics);
    struct ferry_list_offsets_request_partition *at =
        ferry_arena_array(&r->arena, job->count, sizeof *at);
    if (!m->topics || !at)
        return FERRY_E_NOMEM;
    for (size_t i = 0; i < job->count; i++) {
        struct ferry_offsets_item *item = &job->items[i];
        const struct ferry_partition_meta *p = &item->topic->partitions[item->entry->partition];
        bool unused = false;
        if (item->state != FERRY_OFFSETS_WAITING || leader_of(job, item, &unused) != leader)
            continue;
        item->state = FERRY_OFFSETS_ASKED;
        if (i > 0 && ferry_offsets_job_same(job, &job->items[i - 1], item))
            continue; /* asked twice: one answer does for both */
        if (!topic || strcmp(topic->name.data, item->entry->topic)) {
            topic = &m->topics[m->topics_count++];
            ferry_list_offsets_request_topic_init(topic);
            topic->name = ferry_str_of(item->entry->topic);
            topic->partitions = at;
        }
        ferry_list_offsets_request_partition_init(at);
        at->partition_index = item->entry->partition;
        at->current_leader_epoch = p->leader_epoch;
        at->timestamp = timestamp_asked(item);
        if (at->timestamp <=
            -3) /* special ones that came later: -3 with version 7, one more each */
            r->request.min_version = (int16_t)(4 - at->timestamp) > r->request.min_version
                                         ? (int16_t)(4 - at->timestamp)
                                         : r->request.min_version;
        topic->partitions_count++;
        at++;
    }
    r->message = m;
    r->request.message = m;
    return FERRY_OK;
}

/* Everything that was asked in this request and got no answer waits again. */
static void ask_again(struct ferry_offsets_request *r)
{
    const struct ferry_list_offsets_request *m = r->message;
    for (int32_t t = 0; t < m->topics_count; t++)
        for (int32_t p = 0; p < m->topics[t].partitions_count; p++) {
            struct ferry_offsets_item *item = ferry_offsets_job_find(
                r->job, m->topics[t].name, m->topics[t].partitions[p].partition_index);
            for (struct ferry_offsets_item *i = item; ferry_offsets_job_same(r->job, item, i); i++)
                if (i->state == FERRY_OFFSETS_ASKED) {
                    i->state = FERRY_OFFSETS_WAITING;
                    ferry_cluster_refresh(r->job->client);
                    ferry_offsets_job_again(r->job);
                }
        }
}

static void take_answer(struct ferry_offsets_job *job, struct ferry_str topic,
                        const struct ferry_list_offsets_response_partition *p)
{
    struct ferry_offsets_item *item = ferry_offsets_job_find(job, topic, p->partition_index);
    if (!item || (p->error_code && (ferry_kafka_err_actions(p->error_code) & FERRY_WIRE_RETRY)))
        return; /* asked again */
    for (struct ferry_offsets_item *i = item; ferry_offsets_job_same(job, item, i); i++) {
        if (i->state != FERRY_OFFSETS_ASKED)
            continue;
        if (!p->error_code) {
            i->entry->offset = p->offset;
            i->entry->timestamp = p->timestamp;
            i->entry->leader_epoch = p->leader_epoch;
        }
        ferry_offsets_job_done(job, i, p->error_code);
    }
}

static void on_listed(struct ferry_client *client, struct ferry_request *request,
                      const struct ferry_reply *reply)
{
    struct ferry_offsets_request *r = request->cookie;
    struct ferry_offsets_job *job = r->job;
    const struct ferry_list_offsets_response *m = reply->body;
    (void)client;
    if (!ferry_offsets_job_returned(r))
        return;
    if (reply->status == FERRY_E_UNSUPPORTED || reply->status == FERRY_E_NOMEM ||
        reply->status == FERRY_E_CLOSED)
        ferry_offsets_job_fail(job, reply->status, reply->text);
    for (int32_t t = 0; m && t < m->topics_count; t++)
        for (int32_t p = 0; p < m->topics[t].partitions_count; p++)
            take_answer(job, m->topics[t].name, &m->topics[t].partitions[p]);
    ask_again(r);
    ferry_offsets_request_free(r);
    ferry_offsets_job_settle(job);
}

static void advance(struct ferry_offsets_job *job)
{
    bool wait = false;
    for (size_t i = 0; i < job->count; i++) {
        struct ferry_offsets_item *item = &job->items[i];
        if (item->state != FERRY_OFFSETS_WAITING)
            continue;
        int32_t leader = leader_of(job, item, &wait);
        if (leader < 0)
            continue;
        struct ferry_offsets_request *r =
            ferry_offsets_job_request(job, FERRY_API_LIST_OFFSETS, 1, 11);
        if (!r)
            return;
        r->request.target = FERRY_TO_NODE;
        r->request.node = leader;
        r->request.conn_class = FERRY_CLASS_GENERAL;
        r->request.on_done = on_listed;
        if (fill(job, r, leader)) {
            ferry_offsets_request_free(r);
            ferry_offsets_job_fail(job, FERRY_E_NOMEM, "no memory for a request");
            return;
        }
        ferry_request_submit(job->client, &r->request);
    }
    if (wait) {
        ferry_cluster_refresh(job->client);
        ferry_offsets_job_again(job);
    }
}

static void on_metadata(struct ferry_client *client, struct ferry_observer *o, int32_t status)
{
    struct ferry_offsets_job *job = FERRY_CONTAINER(o, struct ferry_offsets_job, observer);
    (void)client;
    if (status)
        return;
    for (size_t i = 0; i < job->count; i++) {
        struct ferry_offsets_item *item = &job->items[i];
        if (item->state == FERRY_OFFSETS_WAITING && item->topic->known &&
            (item->topic->error || item->entry->partition >= item->topic->partition_count))
            item->missing++;
    }
    /* A timer, not advance: the job may end with it, and the observers are being walked. */
    ferry_client_timer(client, &job->retry, client->now);
}

struct ferry_offsets_job *ferry_offsets_list(struct ferry_client *client,
                                             const struct ferry_offsets_ask *ask)
{
    struct ferry_offsets_job *job = ferry_offsets_job_new(client, ask, advance);
    if (!job)
        return NULL;
    job->observer.on_metadata = on_metadata;
    ferry_client_observe(client, &job->observer);
    job->observing = true;
    for (size_t i = 0; i < job->count; i++) {
        job->items[i].topic =
            ferry_cluster_want(client, ferry_str_of(job->items[i].entry->topic), 0);
        if (!job->items[i].topic) {
            job->cancelled = true;
            ferry_offsets_job_fail(job, FERRY_E_NOMEM, "no memory");
            ferry_offsets_job_settle(job);
            return NULL;
        }
    }
    return ferry_offsets_job_begin(job);
}
