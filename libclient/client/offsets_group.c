/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a group has committed, and committing: one request to the coordinator. Retried whole while the coordinator moves or
 * loads; a membership that is no longer valid ends a commit at once, and the group is told.
 */
#include "config.h"

#include "client/offsets_job.h"

#include "base/mem.h"
#include "base/plant.h"
#include "ferry/kafka_errors.h"
#include "wire/codec.h"
#include "wire/errors.h"
#include "wire/messages.h"

#include <stdio.h>

enum { UNKNOWN_MAX = 3 /* answers in which the coordinator does not know a topic */ };

/* How many distinct topics; items of one stand together. */
static size_t topics_of(const struct ferry_offsets_job *job)
{
    size_t n = 0;
    for (size_t i = 0; i < job->count; i++)
        n += i == 0 || strcmp(job->items[i - 1].entry->topic, job->items[i].entry->topic) != 0;
    return n;
}

static bool new_topic(const struct ferry_offsets_job *job, size_t i)
{
    return i == 0 || strcmp(job->items[i - 1].entry->topic, job->items[i].entry->topic) != 0;
}

/* A failure of the coordinator as a whole, or of one partition, that asking again may cure. */
static bool retriable(struct ferry_offsets_job *job, int32_t code, int32_t node)
{
    unsigned actions = ferry_kafka_err_actions(code);
    if (code > 0 && (actions & FERRY_WIRE_COORDINATOR))
        ferry_coordinator_forget(job->client, FERRY_COORDINATOR_GROUP, job->ask.group_id, node);
    return code > 0 ? (actions & FERRY_WIRE_RETRY) != 0
                    : code == FERRY_E_TRANSPORT || code == FERRY_E_TIMED_OUT ||
                          code == FERRY_E_RESOLVE || code == FERRY_E_NOT_FOUND ||
                          code == FERRY_E_ALL_BROKERS_DOWN;
}

static void wait_again(struct ferry_offsets_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        if (job->items[i].state == FERRY_OFFSETS_ASKED)
            job->items[i].state = FERRY_OFFSETS_WAITING;
    if (job->open)
        ferry_offsets_job_again(job);
}

/* The reply as a whole. True if its body is to be looked at. */
static bool whole(struct ferry_offsets_job *job, const struct ferry_reply *reply)
{
    char text[160];
    if (reply->status == 0 && reply->body)
        return true;
    if (retriable(job, reply->status, reply->node)) {
        if (reply->status < 0)
            ferry_coordinator_forget(job->client, FERRY_COORDINATOR_GROUP, job->ask.group_id,
                                     reply->node);
        wait_again(job);
        return false;
    }
    snprintf(text, sizeof text, "the group's coordinator: %.130s",
             reply->text ? reply->text : ferry_error_name(reply->status));
    ferry_offsets_job_fail(job, reply->status, text);
    return false;
}

static void
submit(struct ferry_offsets_job *job, int16_t api, int16_t min, int16_t max,
       int (*encode)(struct ferry_client *, struct ferry_request *, int16_t, struct ferry_writer *),
       void (*on_done)(struct ferry_client *, struct ferry_request *, const struct ferry_reply *))
{
    if (!ferry_list_empty(&job->requests))
        return;
    struct ferry_offsets_request *r = ferry_offsets_job_request(job, api, min, max);
    if (!r)
        return;
    r->request.target = FERRY_TO_COORDINATOR;
    r->request.coordinator_type = FERRY_COORDINATOR_GROUP;
    r->request.coordinator_key = job->ask.group_id;
    r->request.conn_class = FERRY_CLASS_COORDINATOR;
    r->request.encode = encode;
    r->request.on_done = on_done;
    for (size_t i = 0; i < job->count; i++)
        if (job->items[i].state == FERRY_OFFSETS_WAITING)
            job->items[i].state = FERRY_OFFSETS_ASKED;
    ferry_request_submit(job->client, &r->request);
}

/* ---- OffsetFetch ---- */

/* Versions up to 7: one group, topics at the top. Later ones: a list of groups, of which there is one. */
static int fetch_encode(struct ferry_client *client, struct ferry_request *request, int16_t version,
                        struct ferry_writer *w)
{
    struct ferry_offsets_request *r = request->cookie;
    struct ferry_offsets_job *job = r->job;
    struct ferry_offset_fetch_request m;
    struct ferry_offset_fetch_request_group g;
    size_t topics = topics_of(job);
    (void)client;
    ferry_offset_fetch_request_init(&m);
    ferry_offset_fetch_request_group_init(&g);
    struct ferry_offset_fetch_request_topic *old =
        ferry_arena_array(&r->arena, topics + 1, sizeof *old);
    g.topics = ferry_arena_array(&r->arena, topics + 1, sizeof *g.topics);
    int32_t *indexes = ferry_arena_array(&r->arena, job->count + 1, sizeof *indexes);
    if (!old || !g.topics || !indexes)
        return FERRY_E_NOMEM;
    int32_t t = -1;
    for (size_t i = 0; i < job->count; i++) {
        struct ferry_str name = ferry_str_of(job->items[i].entry->topic);
        if (new_topic(job, i)) {
            ferry_offset_fetch_request_topic_init(&old[++t]);
            ferry_offset_fetch_request_group_topic_init(&g.topics[t]);
            old[t].name = g.topics[t].name = name;
            old[t].partition_indexes = g.topics[t].partition_indexes = &indexes[i];
        }
        indexes[i] = job->items[i].entry->partition;
        g.topics[t].partition_indexes_count = ++old[t].partition_indexes_count;
    }
    g.topics_count = t + 1;
    g.group_id = job->ask.group_id;
    if (version >= 8) {
        m.groups = &g;
        m.groups_count = 1;
    } else {
        m.group_id = job->ask.group_id;
        m.topics = old;
        m.topics_count = t + 1;
    }
    m.require_stable = version >= 7;
    return ferry_msg_encode(&ferry_offset_fetch_request_msg, version, &m, w, NULL);
}

struct committed {
    struct ferry_str topic, metadata;
    int32_t partition, leader_epoch;
    int64_t offset;
    int16_t error;
};

static void take_committed(struct ferry_offsets_job *job, const struct committed *c, int32_t node)
{
    struct ferry_offsets_item *item = ferry_offsets_job_find(job, c->topic, c->partition);
    if (!item || (c->error && retriable(job, c->error, node)))
        return;
    for (struct ferry_offsets_item *i = item; ferry_offsets_job_same(job, item, i); i++) {
        struct ferry_topic_partition *e = i->entry;
        if (i->state != FERRY_OFFSETS_ASKED)
            continue;
        if (!c->error) {
            char *metadata =
                c->metadata.data ? ferry_strndup(c->metadata.data, c->metadata.len) : NULL;
            ferry_free((char *)e->metadata);
            e->offset =
                c->offset < 0 ? FERRY_OFFSET_NONE : c->offset + FERRY_PLANTED(POSITION_SKIPS);
            e->leader_epoch = c->leader_epoch;
            e->metadata = metadata;
            e->metadata_len = metadata ? (int32_t)c->metadata.len : -1;
        }
        ferry_offsets_job_done(job, i, c->error);
    }
}

static void take_old(struct ferry_offsets_job *job, const struct ferry_offset_fetch_response *m,
                     int32_t node)
{
    for (int32_t t = 0; t < m->topics_count; t++)
        for (int32_t p = 0; p < m->topics[t].partitions_count; p++) {
            const struct ferry_offset_fetch_response_partition *x = &m->topics[t].partitions[p];
            struct committed c = {m->topics[t].name,   x->metadata,
                                  x->partition_index,  x->committed_leader_epoch,
                                  x->committed_offset, x->error_code};
            take_committed(job, &c, node);
        }
}

static void take_group(struct ferry_offsets_job *job,
                       const struct ferry_offset_fetch_response_group *g, int32_t node)
{
    for (int32_t t = 0; t < g->topics_count; t++)
        for (int32_t p = 0; p < g->topics[t].partitions_count; p++) {
            const struct ferry_offset_fetch_response_group_topic_partition *x =
                &g->topics[t].partitions[p];
            struct committed c = {g->topics[t].name,   x->metadata,
                                  x->partition_index,  x->committed_leader_epoch,
                                  x->committed_offset, x->error_code};
            take_committed(job, &c, node);
        }
}

static void on_fetched(struct ferry_client *client, struct ferry_request *request,
                       const struct ferry_reply *reply)
{
    struct ferry_offsets_request *r = request->cookie;
    struct ferry_offsets_job *job = r->job;
    const struct ferry_offset_fetch_response *m = reply->body;
    (void)client;
    if (!ferry_offsets_job_returned(r))
        return;
    if (whole(job, reply)) {
        const struct ferry_offset_fetch_response_group *g = m->groups_count > 0 ? m->groups : NULL;
        int16_t error = m->error_code ? m->error_code : g ? g->error_code : 0;
        if (error && !retriable(job, error, reply->node))
            ferry_offsets_job_fail(job, error, ferry_error_name(error));
        if (!error && g)
            take_group(job, g, reply->node);
        else if (!error)
            take_old(job, m, reply->node);
        wait_again(job);
    }
    ferry_offsets_request_free(r);
    ferry_offsets_job_settle(job);
}

static void fetch_advance(struct ferry_offsets_job *job)
{
    submit(job, FERRY_API_OFFSET_FETCH, 1, 9, fetch_encode, on_fetched);
}

struct ferry_offsets_job *ferry_offsets_fetch(struct ferry_client *client,
                                              const struct ferry_offsets_ask *ask)
{
    struct ferry_offsets_job *job = ferry_offsets_job_new(client, ask, fetch_advance);
    return job ? ferry_offsets_job_begin(job) : NULL;
}

/* ---- OffsetCommit ---- */

static int commit_encode(struct ferry_client *client, struct ferry_request *request,
                         int16_t version, struct ferry_writer *w)
{
    struct ferry_offsets_request *r = request->cookie;
    struct ferry_offsets_job *job = r->job;
    struct ferry_offset_commit_request m;
    (void)client;
    ferry_offset_commit_request_init(&m);
    m.topics = ferry_arena_array(&r->arena, topics_of(job) + 1, sizeof *m.topics);
    struct ferry_offset_commit_request_partition *at =
        ferry_arena_array(&r->arena, job->count + 1, sizeof *at);
    if (!m.topics || !at)
        return FERRY_E_NOMEM;
    m.group_id = job->ask.group_id;
    m.generation_id_or_member_epoch = -1;
    m.member_id = FERRY_STR("");
    if (job->ask.group) {
        struct ferry_group_identity who = ferry_group_identity(job->ask.group);
        m.generation_id_or_member_epoch = who.generation;
        if (job->generation < 0)
            job->generation = who.generation;
        if (who.member_id.data)
            m.member_id = who.member_id;
        if (version >= 7)
            m.group_instance_id = who.instance_id;
    }
    for (size_t i = 0; i < job->count; i++) {
        const struct ferry_topic_partition *e = job->items[i].entry;
        if (new_topic(job, i)) {
            struct ferry_offset_commit_request_topic *t = &m.topics[m.topics_count++];
            ferry_offset_commit_request_topic_init(t);
            t->name = ferry_str_of(e->topic);
            t->partitions = at;
        }
        if (job->items[i].state != FERRY_OFFSETS_ASKED)
            continue;
        ferry_offset_commit_request_partition_init(at);
        at->partition_index = e->partition;
        at->committed_offset = e->offset;
        at->committed_leader_epoch = version >= 6 ? e->leader_epoch : -1;
        at->committed_metadata =
            e->metadata ? (struct ferry_str){e->metadata, (size_t)e->metadata_len} : FERRY_STR("");
        m.topics[m.topics_count - 1].partitions_count++;
        at++;
    }
    return ferry_msg_encode(&ferry_offset_commit_request_msg, version, &m, w, NULL);
}

static void take_outcome(struct ferry_offsets_job *job, struct ferry_str topic, int32_t partition,
                         int16_t error, int32_t node)
{
    struct ferry_offsets_item *item = ferry_offsets_job_find(job, topic, partition);
    unsigned actions = ferry_kafka_err_actions(error);
    if (!item)
        return;
    if (error && (actions & (FERRY_WIRE_REJOIN | FERRY_WIRE_FATAL)) && job->ask.group &&
        ferry_group_refused(job->ask.group, error, job->generation))
        return;
    if (error && (actions & FERRY_WIRE_REJOIN)) {
        ferry_offsets_job_fail(job, error, ferry_error_name(error));
        return;
    }
    if (error && retriable(job, error, node) &&
        !(error == FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION && ++item->missing >= UNKNOWN_MAX))
        return;
    for (struct ferry_offsets_item *i = item; ferry_offsets_job_same(job, item, i); i++)
        if (i->state == FERRY_OFFSETS_ASKED)
            ferry_offsets_job_done(job, i, error);
}

static void on_committed(struct ferry_client *client, struct ferry_request *request,
                         const struct ferry_reply *reply)
{
    struct ferry_offsets_request *r = request->cookie;
    struct ferry_offsets_job *job = r->job;
    const struct ferry_offset_commit_response *m = reply->body;
    (void)client;
    if (!ferry_offsets_job_returned(r))
        return;
    if (whole(job, reply)) {
        for (int32_t t = 0; t < m->topics_count; t++)
            for (int32_t p = 0; p < m->topics[t].partitions_count; p++)
                take_outcome(job, m->topics[t].name, m->topics[t].partitions[p].partition_index,
                             m->topics[t].partitions[p].error_code, reply->node);
        wait_again(job);
    }
    ferry_offsets_request_free(r);
    ferry_offsets_job_settle(job);
}

static void commit_advance(struct ferry_offsets_job *job)
{
    if (job->ask.group && job->generation >= 0) {
        int32_t now = ferry_group_identity(job->ask.group).generation;
        if (now != job->generation &&
            now != job->generation + 1) { /* its partitions may be another member's */
            ferry_offsets_job_fail(job, FERRY_KAFKA_ILLEGAL_GENERATION,
                                   ferry_error_name(FERRY_KAFKA_ILLEGAL_GENERATION));
            return;
        }
    }
    submit(job, FERRY_API_OFFSET_COMMIT, 2, 9, commit_encode, on_committed);
}

struct ferry_offsets_job *ferry_offsets_commit(struct ferry_client *client,
                                               const struct ferry_offsets_ask *ask)
{
    struct ferry_offsets_job *job = ferry_offsets_job_new(client, ask, commit_advance);
    return job ? ferry_offsets_job_begin(job) : NULL;
}
