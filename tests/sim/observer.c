/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * A client that makes the topics, then asks for every partition's high watermark again and again. It names the leader
 * epoch that it knows, so an answer without an error is about that epoch.
 */

#include "base/check.h"
#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "tests/sim/scene.h"
#include "wire/messages.h"
#include "wire/apis.h"

#include <stdio.h>

struct scene_observer {
    struct scene_client client; /* first */
    struct ferry_command command;
    struct ferry_request request;
    struct ferry_timer again;
    bool created;
    struct ferry_create_topics_request create;
    struct ferry_create_topics_request_topic topics[LEDGER_TOPICS];
    struct ferry_create_topics_request_config configs[2];
    char flush[32], segment[32];
    struct ferry_topic_meta *metas[LEDGER_TOPICS];
    struct ferry_list_offsets_request list;
    struct ferry_list_offsets_request_topic list_topics[LEDGER_TOPICS];
    struct ferry_list_offsets_request_partition list_parts[LEDGER_TOPICS][LEDGER_PARTITIONS];
};

static void ask_again(struct scene_observer *o, ferry_nsec after)
{
    sim_world_at(o->client.scene->world, &o->again, sim_world_now(o->client.scene->world) + after);
}

static void on_created(struct ferry_client *client, struct ferry_request *q,
                       const struct ferry_reply *reply)
{
    struct scene_observer *o = q->cookie;
    const struct ferry_create_topics_response *m = reply->body;
    o->created = !reply->status;
    for (int32_t i = 0; !reply->status && i < m->topics_count; i++)
        if (m->topics[i].error_code && m->topics[i].error_code != FERRY_KAFKA_TOPIC_ALREADY_EXISTS)
            sim_world_fail(o->client.scene->world, "topic %d is not made: %d", i,
                           m->topics[i].error_code);
    ask_again(o, 10 * FERRY_MS);
}

static void take_watermark(struct scene_observer *o, int topic,
                           const struct ferry_list_offsets_response_partition *p)
{
    int32_t epoch = o->list_parts[topic][p->partition_index].current_leader_epoch;
    if (p->error_code) {
        ferry_cluster_refresh(o->client.client);
    } else if (epoch >= 0) {
        ledger_watermark(o->client.scene->ledger, topic, p->partition_index, epoch, p->offset);
        o->client.scene->totals.watermarks++;
    }
}

static void on_listed(struct ferry_client *client, struct ferry_request *q,
                      const struct ferry_reply *reply)
{
    struct scene_observer *o = q->cookie;
    const struct ferry_list_offsets_response *m = reply->body;
    if (reply->status)
        sim_world_note(o->client.scene->world, "observer: no offsets: %d %s", reply->status,
                       reply->text ? reply->text : "");
    for (int32_t i = 0; !reply->status && i < m->topics_count; i++)
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct ferry_list_offsets_response_partition *p = &m->topics[i].partitions[k];
            char name[32];
            snprintf(name, sizeof name, "%.*s", (int)m->topics[i].name.len, m->topics[i].name.data);
            int topic = ledger_topic_named(name);
            if (topic < 0 || p->partition_index < 0 || p->partition_index >= LEDGER_PARTITIONS)
                sim_world_fail(o->client.scene->world, "offsets are told of what was not asked");
            else
                take_watermark(o, topic, p);
        }
    o->client.scene->totals.ops++;
    ask_again(o, 20 * FERRY_MS);
}

static void make_topics(struct scene_observer *o)
{
    const struct scene_plan *plan = &o->client.scene->plan;
    ferry_create_topics_request_init(&o->create);
    snprintf(o->flush, sizeof o->flush, "%lld", (long long)plan->flush_messages);
    snprintf(o->segment, sizeof o->segment, "%d", plan->segment_bytes);
    o->configs[0].name = ferry_str_of("flush.messages");
    o->configs[0].value = ferry_str_of(o->flush);
    o->configs[1].name = ferry_str_of("internal.segment.bytes");
    o->configs[1].value = ferry_str_of(o->segment);
    for (int t = 0; t < LEDGER_TOPICS; t++) {
        ferry_create_topics_request_topic_init(&o->topics[t]);
        o->topics[t].name = ferry_str_of(ledger_topic_name(t));
        o->topics[t].num_partitions = LEDGER_PARTITIONS;
        o->topics[t].replication_factor = 1;
        o->topics[t].configs = o->configs;
        o->topics[t].configs_count = 2;
    }
    o->create.topics = o->topics;
    o->create.topics_count = LEDGER_TOPICS;
    o->create.timeout_ms = 5000;
    o->request = (struct ferry_request){.api_key = FERRY_API_CREATE_TOPICS,
                                        .max_version = 7,
                                        .target = FERRY_TO_ANY,
                                        .message = &o->create,
                                        .on_done = on_created,
                                        .cookie = o};
}

static void ask_offsets(struct scene_observer *o)
{
    ferry_list_offsets_request_init(&o->list);
    o->list.replica_id = -1;
    o->list.topics = o->list_topics;
    o->list.topics_count = LEDGER_TOPICS;
    for (int t = 0; t < LEDGER_TOPICS; t++) {
        const struct ferry_topic_meta *meta = o->metas[t];
        ferry_list_offsets_request_topic_init(&o->list_topics[t]);
        o->list_topics[t].name = ferry_str_of(ledger_topic_name(t));
        o->list_topics[t].partitions = o->list_parts[t];
        o->list_topics[t].partitions_count = LEDGER_PARTITIONS;
        for (int32_t p = 0; p < LEDGER_PARTITIONS; p++) {
            ferry_list_offsets_request_partition_init(&o->list_parts[t][p]);
            o->list_parts[t][p].partition_index = p;
            o->list_parts[t][p].timestamp = -1;
            if (meta && p < meta->partition_count)
                o->list_parts[t][p].current_leader_epoch = meta->partitions[p].leader_epoch;
        }
    }
    o->request = (struct ferry_request){.api_key = FERRY_API_LIST_OFFSETS,
                                        .min_version = 4,
                                        .max_version = 6,
                                        .target = FERRY_TO_ANY,
                                        .message = &o->list,
                                        .on_done = on_listed,
                                        .cookie = o};
}

static void submit(struct ferry_client *client, struct ferry_command *command)
{
    struct scene_observer *o = FERRY_CONTAINER(command, struct scene_observer, command);
    for (int t = 0; o->created && t < LEDGER_TOPICS; t++)
        if (!o->metas[t])
            o->metas[t] = ferry_cluster_want(client, ferry_str_of(ledger_topic_name(t)), 0);
    if (o->created)
        ask_offsets(o);
    else
        make_topics(o);
    ferry_request_submit(client, &o->request);
}

static void on_time(struct ferry_timer *t, void *world)
{
    struct scene_observer *o = FERRY_CONTAINER(t, struct scene_observer, again);
    if (sim_node_running(o->client.node))
        scene_client_post(&o->client, &o->command);
}

static void nothing(struct scene_client *c)
{
}

static void delivered(struct scene_client *c, void *delivery)
{
    sim_world_fail(c->scene->world, "something is delivered to the observer");
}

void scene_observer_init(struct scene *s)
{
    struct scene_observer *o = s->observer = ferry_zalloc(sizeof *o);
    FERRY_CHECK(o);
    o->command.run = submit;
    o->again.fire = on_time;
    o->client.started = o->client.stopped = nothing;
    o->client.delivered = delivered;
    snprintf(o->client.settings, sizeof o->client.settings,
             "request.timeout.ms=1000\nretry.backoff.ms=20\nretry.backoff.max.ms=200\n"
             "reconnect.backoff.ms=20\nreconnect.backoff.max.ms=200\n");
    scene_client_init(s, &o->client, "observer");
    sim_node_start(o->client.node);
    ask_again(o, 0);
}

void scene_observer_free(struct scene *s)
{
    ferry_free(s->observer);
}

bool scene_observer_has_topics(const struct scene *s)
{
    return s->observer->created;
}
