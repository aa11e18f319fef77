/* SPDX-License-Identifier: BSD-2-Clause */
/* CreateTopics, DeleteTopics, CreatePartitions. */
#include "config.h"

#include "ferry/kafka_errors.h"
#include "refbroker/cluster/creation.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"

#include <stdio.h>

/* ---- CreateTopics ---- */

struct create_topics {
    struct broker_creation creation;
    struct broker_request *request;
};

/* A manual assignment can only name this node, once, for partitions 0, 1, 2 ... */
static void check_assignment(struct broker_request *r,
                             const struct ferry_create_topics_request_topic *in,
                             struct broker_creation_topic *t)
{
    if (in->num_partitions != -1 || in->replication_factor != -1) {
        t->error = FERRY_KAFKA_INVALID_REQUEST;
        snprintf(t->text, sizeof t->text,
                 "A manual partition assignment was specified, but %s was not set to -1.",
                 in->num_partitions != -1 ? "numPartitions" : "replicationFactor");
        return;
    }
    bool *named = broker_request_alloc(r, (size_t)in->assignments_count, sizeof *named);
    bool gaps = !named, foreign = false;
    for (int32_t i = 0; !gaps && i < in->assignments_count; i++) {
        const struct ferry_create_topics_request_assignment *a = &in->assignments[i];
        int32_t index = a->partition_index;
        gaps = index < 0 || index >= in->assignments_count || named[index];
        if (!gaps)
            named[index] = true;
        foreign |= a->broker_ids_count != 1 || a->broker_ids[0] != r->node->config.now.node_id;
    }
    t->assignment_count = in->assignments_count;
    if (!gaps && !foreign)
        return;
    t->error = FERRY_KAFKA_INVALID_REPLICA_ASSIGNMENT;
    snprintf(t->text, sizeof t->text, "%s",
             gaps ? "The manual partition assignment does not number its partitions from 0 without "
                    "gaps."
                  : "The manual partition assignment names a replica that is not the one broker "
                    "here.");
}

static void want_topic(struct broker_request *r, int32_t index, struct broker_creation_topic *t,
                       struct broker_creation_config *configs, bool twice)
{
    const struct ferry_create_topics_request *in = r->input;
    const struct ferry_create_topics_request_topic *from = &in->topics[index];
    *t = (struct broker_creation_topic){.name = from->name,
                                        .partitions = from->num_partitions,
                                        .replication_factor = from->replication_factor,
                                        .configs = configs,
                                        .config_count = from->configs_count};
    for (int32_t i = 0; i < from->configs_count; i++)
        configs[i] = (struct broker_creation_config){from->configs[i].name, from->configs[i].value};
    if (twice) {
        t->error = FERRY_KAFKA_INVALID_REQUEST;
        snprintf(t->text, sizeof t->text, "Duplicate topic name.");
    }
    if (!t->error && from->assignments_count > 0)
        check_assignment(r, from, t);
}

static bool echo_configs(struct broker_request *r, const struct broker_creation_topic *t,
                         struct ferry_create_topics_response_topic *out)
{
    struct broker_overrides o = {0};
    out->configs = broker_request_alloc(r, topic_config_table.count, sizeof *out->configs);
    if (!out->configs)
        return false;
    for (int32_t i = 0; i < t->config_count; i++) {
        char *name =
            ferry_arena_strndup(&r->arena, t->configs[i].name.data, t->configs[i].name.len);
        char *value =
            ferry_arena_strndup(&r->arena, t->configs[i].value.data, t->configs[i].value.len);
        if (!name || !value || broker_overrides_set(&o, name, value)) {
            broker_overrides_free(&o);
            return false;
        }
    }
    for (size_t row = 0; row < topic_config_table.count; row++) {
        struct broker_config_value v;
        if (topic_config_facts[row].flags & BROKER_CONFIG_HIDDEN)
            continue;
        topic_config_values(&r->node->config, &o, row, &v, 1);
        struct ferry_create_topics_response_config *c = &out->configs[out->configs_count++];
        c->name = ferry_str_of(topic_config_table.rows[row].name);
        c->value = v.value ? broker_request_text(r, "%s", v.value) : (struct ferry_str){0};
        c->config_source = (int8_t)v.source;
    }
    broker_overrides_free(&o);
    return true;
}

static void on_created(struct broker_node *n, struct broker_creation *c)
{
    struct create_topics *ct = FERRY_CONTAINER(c, struct create_topics, creation);
    struct broker_request *r = ct->request;
    struct ferry_create_topics_response out;
    (void)n;
    ferry_create_topics_response_init(&out);
    out.topics =
        ferry_msg_array(&ferry_create_topics_response_topic_msg, &r->arena, (size_t)c->count);
    bool ok = out.topics || !c->count;
    for (int32_t i = 0; ok && i < c->count; i++) {
        const struct broker_creation_topic *t = &c->topics[i];
        struct ferry_create_topics_response_topic *to = &out.topics[out.topics_count++];
        to->name = t->name;
        to->error_code = t->error;
        if (t->error) {
            to->error_message = t->text[0] ? ferry_str_of(t->text) : (struct ferry_str){0};
            continue;
        }
        to->topic_id = t->id;
        if (r->version < 5)
            continue;
        to->num_partitions = t->partitions;
        to->replication_factor = t->replication_factor;
        ok = echo_configs(r, t, to);
    }
    if (ok)
        broker_reply(r, &out);
    else
        broker_finish(r, true);
}

void broker_topics_create(struct broker_request *r)
{
    const struct ferry_create_topics_request *in = r->input;
    int32_t count = in->topics_count > 0 ? in->topics_count : 0;
    struct create_topics *ct = broker_request_alloc(r, 1, sizeof *ct);
    struct broker_creation_topic *topics = broker_request_alloc(r, (size_t)count, sizeof *topics);
    const bool *twice = ct && count ? broker_request_doubles(r, &in->topics->name,
                                                             sizeof *in->topics, (size_t)count)
                                    : NULL;
    bool ok = ct && ((topics && twice) || !count);
    for (int32_t i = 0; ok && i < count; i++) {
        size_t n = in->topics[i].configs_count > 0 ? (size_t)in->topics[i].configs_count : 0;
        struct broker_creation_config *configs = broker_request_alloc(r, n, sizeof *configs);
        ok = configs || !n;
        if (ok)
            want_topic(r, i, &topics[i], configs, twice[i]);
    }
    if (!ok) {
        broker_finish(r, true);
        return;
    }
    ct->request = r;
    ct->creation = (struct broker_creation){
        .topics = topics, .count = count, .validate_only = in->validate_only, .done = on_created};
    broker_creation_submit(r->node, &ct->creation);
}

/* ---- DeleteTopics ---- */

struct delete_topics {
    struct metalog_op op;
    struct broker_request *request;
    const bool *twice; /* named more than once */
    struct ferry_delete_topics_response response;
};

static int16_t delete_one(struct broker_request *r,
                          struct ferry_delete_topics_response_response *row, bool by_id)
{
    struct broker_node *n = r->node;
    struct image_topic *t = by_id ? broker_image_topic_by_id(&n->image, &row->topic_id)
                                  : broker_image_topic(&n->image, row->name);
    if (!n->config.now.delete_topic)
        return FERRY_KAFKA_TOPIC_DELETION_DISABLED;
    if (!t)
        return by_id ? FERRY_KAFKA_UNKNOWN_TOPIC_ID : FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    struct ferry_remove_topic_record rec;
    ferry_remove_topic_record_init(&rec);
    rec.topic_id = t->id;
    if (broker_metalog_add(n, IMAGE_REMOVE_TOPIC, 0, &rec))
        return FERRY_KAFKA_UNKNOWN_SERVER_ERROR;
    row->name = broker_request_text(r, "%s", t->name);
    row->topic_id = t->id;
    return 0;
}

static int prepare_delete(struct broker_node *n, struct metalog_op *op)
{
    struct delete_topics *d = FERRY_CONTAINER(op, struct delete_topics, op);
    const struct ferry_delete_topics_request *in = d->request->input;
    (void)n;
    for (int32_t i = 0; i < d->response.responses_count; i++) {
        struct ferry_delete_topics_response_response *row = &d->response.responses[i];
        bool by_id = d->request->version >= 6 && !in->topics[i].name.data;
        row->error_code =
            d->twice[i] ? FERRY_KAFKA_INVALID_REQUEST : delete_one(d->request, row, by_id);
    }
    return 0;
}

static void on_deleted(struct broker_node *n, struct metalog_op *op, int error)
{
    struct delete_topics *d = FERRY_CONTAINER(op, struct delete_topics, op);
    (void)n;
    for (int32_t i = 0; error && i < d->response.responses_count; i++)
        if (!d->response.responses[i].error_code)
            d->response.responses[i].error_code = (int16_t)error;
    broker_reply(d->request, &d->response);
}

/* What a request names: topics by name, or (null) by id. */
static const bool *named_twice(struct broker_request *r, int32_t count)
{
    const struct ferry_delete_topics_request *in = r->input;
    struct ferry_str *keys = broker_request_alloc(r, (size_t)count + 1, sizeof *keys);
    for (int32_t i = 0; keys && i < count; i++) {
        if (r->version < 6) {
            keys[i] = in->topic_names[i];
            continue;
        }
        const struct ferry_delete_topics_request_topic *t = &in->topics[i];
        keys[i] = t->name.data
                      ? t->name
                      : (struct ferry_str){(const char *)t->topic_id.b, sizeof t->topic_id.b};
    }
    return keys ? broker_request_doubles(r, keys, sizeof *keys, (size_t)count) : NULL;
}

void broker_topics_delete(struct broker_request *r)
{
    const struct ferry_delete_topics_request *in = r->input;
    int32_t count = r->version >= 6 ? in->topics_count : in->topic_names_count;
    count = count > 0 ? count : 0;
    struct delete_topics *d = broker_request_alloc(r, 1, sizeof *d);
    if (d) {
        ferry_delete_topics_response_init(&d->response);
        d->response.responses =
            ferry_msg_array(&ferry_delete_topics_response_response_msg, &r->arena, (size_t)count);
        d->twice = named_twice(r, count);
    }
    if (!d || !d->twice || (!d->response.responses && count)) {
        broker_finish(r, true);
        return;
    }
    d->response.responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        d->response.responses[i].name = r->version >= 6 ? in->topics[i].name : in->topic_names[i];
        if (r->version >= 6)
            d->response.responses[i].topic_id = in->topics[i].topic_id;
    }
    d->request = r;
    d->op = (struct metalog_op){.prepare = prepare_delete, .done = on_deleted};
    broker_metalog_submit(r->node, &d->op);
}

/* ---- CreatePartitions ---- */

struct grow_topics {
    struct metalog_op op;
    struct broker_request *request;
    const bool *twice; /* named more than once */
    struct ferry_create_partitions_response response;
};

static int16_t grow_one(struct broker_request *r,
                        const struct ferry_create_partitions_request_topic *in,
                        struct ferry_str *text)
{
    struct broker_node *n = r->node;
    const struct ferry_create_partitions_request *all = r->input;
    struct image_topic *t = broker_image_topic(&n->image, in->name);
    if (!t)
        return FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    int32_t more = in->count - t->partition_count;
    if (more == 0)
        *text =
            broker_request_text(r, "Topic already has %d partition(s).", (int)t->partition_count);
    else if (more < 0)
        *text = broker_request_text(
            r, "The topic %s currently has %d partition(s); %d would not be an increase.", t->name,
            (int)t->partition_count, (int)in->count);
    else if (more > 10000)
        *text = broker_request_text(r, "The attempted topic size is too large.");
    if (more <= 0 || more > 10000)
        return FERRY_KAFKA_INVALID_PARTITIONS;
    if (in->assignments_count >= 0 && in->assignments_count != more) {
        *text = broker_request_text(
            r, "Attempted to add %d additional partition(s), but %d assignment(s) were given.",
            (int)more, (int)in->assignments_count);
        return FERRY_KAFKA_INVALID_REPLICA_ASSIGNMENT;
    }
    for (int32_t i = 0; i < in->assignments_count; i++)
        if (in->assignments[i].broker_ids_count != 1 ||
            in->assignments[i].broker_ids[0] != n->config.now.node_id) {
            *text = broker_request_text(
                r, "An assignment names a replica that is not the one broker here.");
            return FERRY_KAFKA_INVALID_REPLICA_ASSIGNMENT;
        }
    if (all->validate_only)
        return 0;
    return broker_creation_add_partitions(n, &t->id, t->partition_count, in->count)
               ? FERRY_KAFKA_UNKNOWN_SERVER_ERROR
               : 0;
}

static int prepare_grow(struct broker_node *n, struct metalog_op *op)
{
    struct grow_topics *g = FERRY_CONTAINER(op, struct grow_topics, op);
    const struct ferry_create_partitions_request *in = g->request->input;
    (void)n;
    for (int32_t i = 0; i < in->topics_count; i++) {
        struct ferry_create_partitions_response_result *row = &g->response.results[i];
        row->error_code = g->twice[i] ? FERRY_KAFKA_INVALID_REQUEST
                                      : grow_one(g->request, &in->topics[i], &row->error_message);
    }
    return 0;
}

static void on_grown(struct broker_node *n, struct metalog_op *op, int error)
{
    struct grow_topics *g = FERRY_CONTAINER(op, struct grow_topics, op);
    (void)n;
    for (int32_t i = 0; error && i < g->response.results_count; i++)
        if (!g->response.results[i].error_code)
            g->response.results[i].error_code = (int16_t)error;
    broker_reply(g->request, &g->response);
}

void broker_topics_grow(struct broker_request *r)
{
    const struct ferry_create_partitions_request *in = r->input;
    int32_t count = in->topics_count > 0 ? in->topics_count : 0;
    struct grow_topics *g = broker_request_alloc(r, 1, sizeof *g);
    if (g) {
        ferry_create_partitions_response_init(&g->response);
        g->response.results =
            ferry_msg_array(&ferry_create_partitions_response_result_msg, &r->arena, (size_t)count);
        g->twice = broker_request_doubles(r, count ? &in->topics->name : NULL, sizeof *in->topics,
                                          (size_t)count);
    }
    if (!g || !g->twice || (!g->response.results && count)) {
        broker_finish(r, true);
        return;
    }
    g->response.results_count = count;
    for (int32_t i = 0; i < count; i++)
        g->response.results[i].name = in->topics[i].name;
    g->request = r;
    g->op = (struct metalog_op){.prepare = prepare_grow, .done = on_grown};
    broker_metalog_submit(r->node, &g->op);
}
