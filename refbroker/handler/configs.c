/* SPDX-License-Identifier: BSD-2-Clause */
/* DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: of topics, of this broker ("1"), of all brokers (""). */
#include "config.h"

#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"

#include <stdio.h>

enum { VALUES_MAX = 12, OP_SET = 0, OP_DELETE = 1, OP_APPEND = 2, OP_SUBTRACT = 3 };

/* ---- describing ---- */

struct described {
    const struct ferry_option_table *table;
    const struct broker_config_fact *facts;
    const struct broker_overrides *topic; /* a topic's own; NULL if it has none */
    bool is_topic;
    bool cluster_only; /* what is set for all brokers, nothing else */
};

static bool asked_for(const struct ferry_describe_configs_request_resource *in, const char *name)
{
    if (in->configuration_keys_count < 0)
        return true;
    for (int32_t i = 0; i < in->configuration_keys_count; i++)
        if (ferry_str_eq(in->configuration_keys[i], ferry_str_of(name)))
            return true;
    return false;
}

static bool add_synonyms(struct broker_request *r, const struct described *d,
                         const struct broker_config_fact *fact,
                         const struct broker_config_value *values, size_t count,
                         struct ferry_describe_configs_response_config *out)
{
    out->synonyms = ferry_msg_array(&ferry_describe_configs_response_synonym_msg, &r->arena, count);
    if (!out->synonyms)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (d->is_topic && values[i].source == BROKER_SOURCE_DEFAULT &&
            !broker_config_inherits(fact, values[i].name))
            continue; /* a topic's own default is nobody's synonym */
        struct ferry_describe_configs_response_synonym *s = &out->synonyms[out->synonyms_count++];
        s->name = ferry_str_of(values[i].name);
        s->value = broker_request_text(r, "%s", values[i].value);
        s->source = (int8_t)values[i].source;
    }
    return true;
}

static bool describe_row(struct broker_request *r, const struct described *d, size_t row,
                         struct ferry_describe_configs_response_config *out)
{
    const struct ferry_describe_configs_request *in = r->input;
    const struct ferry_option *o = &d->table->rows[row];
    struct broker_config_value values[VALUES_MAX];
    size_t count = d->is_topic
                       ? topic_config_values(&r->node->config, d->topic, row, values, VALUES_MAX)
                       : broker_config_values(&r->node->config, row, values, VALUES_MAX);
    out->name = ferry_str_of(o->name);
    out->value = count ? broker_request_text(r, "%s", values[0].value) : (struct ferry_str){0};
    out->config_source = (int8_t)(count ? values[0].source : BROKER_SOURCE_DEFAULT);
    out->read_only = !d->is_topic && !(d->facts[row].flags & BROKER_CONFIG_DYNAMIC);
    out->config_type = (int8_t)d->facts[row].type;
    if (in->include_documentation)
        out->documentation = ferry_str_of(o->meaning);
    return !in->include_synonyms || add_synonyms(r, d, &d->facts[row], values, count, out);
}

static bool describe_rows(struct broker_request *r,
                          const struct ferry_describe_configs_request_resource *in,
                          const struct described *d,
                          struct ferry_describe_configs_response_result *out)
{
    out->configs =
        ferry_msg_array(&ferry_describe_configs_response_config_msg, &r->arena, d->table->count);
    if (!out->configs)
        return false;
    for (size_t row = 0; row < d->table->count; row++) {
        const char *name = d->table->rows[row].name;
        if ((d->facts[row].flags & BROKER_CONFIG_HIDDEN) || !asked_for(in, name) ||
            (d->cluster_only && !broker_overrides_get(&r->node->config.cluster, name)))
            continue;
        if (!describe_row(r, d, row, &out->configs[out->configs_count++]))
            return false;
    }
    return true;
}

/* Is it this broker? The name of a resource is its id as text. */
static bool is_self(const struct broker_node *n, struct ferry_str name)
{
    char id[16];
    snprintf(id, sizeof id, "%d", (int)n->config.now.node_id);
    return ferry_str_eq(name, ferry_str_of(id));
}

static bool describe(struct broker_request *r,
                     const struct ferry_describe_configs_request_resource *in,
                     struct ferry_describe_configs_response_result *out)
{
    struct broker_node *n = r->node;
    struct described d = {&topic_config_table, topic_config_facts, NULL, true, false};
    out->resource_type = in->resource_type;
    out->resource_name = in->resource_name;
    if (in->resource_type == IMAGE_RESOURCE_TOPIC) {
        if (!broker_image_topic(&n->image, in->resource_name)) {
            out->error_code = FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            out->error_message = FERRY_STR("This server does not host this topic-partition.");
            return true;
        }
        d.topic = broker_image_configs(&n->image, IMAGE_RESOURCE_TOPIC, in->resource_name);
        return describe_rows(r, in, &d, out);
    }
    bool all = in->resource_name.len == 0;
    if (in->resource_type != IMAGE_RESOURCE_BROKER || (!all && !is_self(n, in->resource_name))) {
        out->error_code = FERRY_KAFKA_INVALID_REQUEST;
        out->error_message =
            in->resource_type != IMAGE_RESOURCE_BROKER
                ? broker_request_text(r, "Settings of resource type %d are not kept here.",
                                      in->resource_type)
                : broker_request_text(r, "Unexpected broker id, expected %d or empty string.",
                                      (int)n->config.now.node_id);
        return true;
    }
    d = (struct described){&broker_config_table, broker_config_facts, NULL, false, all};
    return describe_rows(r, in, &d, out);
}

void broker_configs_describe(struct broker_request *r)
{
    const struct ferry_describe_configs_request *in = r->input;
    struct ferry_describe_configs_response out;
    ferry_describe_configs_response_init(&out);
    size_t count = in->resources_count > 0 ? (size_t)in->resources_count : 0;
    out.results = ferry_msg_array(&ferry_describe_configs_response_result_msg, &r->arena, count);
    bool ok = out.results || !count;
    for (size_t i = 0; ok && i < count; i++)
        ok = describe(r, &in->resources[i], &out.results[out.results_count++]);
    if (ok)
        broker_reply(r, &out);
    else
        broker_finish(r, true);
}

/* ---- altering: both requests become a list of changes ---- */

struct change {
    struct ferry_str name, value;
    int op;
};

struct change_resource {
    int8_t type;
    struct ferry_str name;
    struct change *changes;
    int32_t count;
    bool whole; /* AlterConfigs: what is not named is removed */
    bool twice; /* another resource of the request is the same */
    int16_t error;
    struct ferry_str text;
};

struct alteration {
    struct metalog_op op;
    struct broker_request *request;
    struct change_resource *resources;
    int32_t count;
    bool validate_only;
};

static char *copy(struct broker_request *r, struct ferry_str s)
{
    return s.data ? ferry_arena_strndup(&r->arena, s.data, s.len) : NULL;
}

static int refuse(struct broker_request *r, struct change_resource *res, int error,
                  const char *format, const char *name)
{
    res->error = (int16_t)error;
    res->text = broker_request_text(r, format, name);
    return error;
}

/* A list with items added that it lacks, or taken out. */
static struct ferry_str edit_list(const char *old, const char *items, bool add,
                                  struct ferry_text *out)
{
    const char *lists[2] = {old, items};
    for (int pass = 0; pass < (add ? 2 : 1); pass++)
        for (const char *p = lists[pass]; *p;) {
            size_t n = strcspn(p, ",");
            const char *against = add ? (pass ? old : "") : items;
            bool there = false;
            for (const char *q = against; *q && !there;) {
                size_t m = strcspn(q, ",");
                there = m == n && !memcmp(p, q, n);
                q += m + (q[m] == ',');
            }
            if (n && !there)
                ferry_text_add(out, "%s%.*s", out->len ? "," : "", (int)n, p);
            p += n + (p[n] == ',');
        }
    return (struct ferry_str){out->data ? out->data : "", out->len};
}

/* The value that a list has now, its default included. */
static const char *list_now(struct broker_request *r, const struct change_resource *res, size_t row)
{
    struct broker_config_value v;
    const struct broker_node *n = r->node;
    if (res->type == IMAGE_RESOURCE_TOPIC)
        topic_config_values(&n->config,
                            broker_image_configs(&n->image, IMAGE_RESOURCE_TOPIC, res->name), row,
                            &v, 1);
    else if (!broker_config_values(&n->config, row, &v, 1))
        return "";
    return broker_request_text(r, "%s", v.value ? v.value : "").data;
}

static int add_record(struct broker_request *r, const struct change_resource *res,
                      struct ferry_str name, struct ferry_str value)
{
    struct ferry_config_record c;
    ferry_config_record_init(&c);
    c.resource_type = res->type;
    c.resource_name = res->name;
    c.name = name;
    c.value = value;
    return broker_metalog_add(r->node, IMAGE_CONFIG, 0, &c) ? FERRY_KAFKA_UNKNOWN_SERVER_ERROR : 0;
}

/* Checks one change, and where `write` adds its record. */
static int apply_change(struct broker_request *r, struct change_resource *res,
                        const struct change *c, bool write)
{
    bool topic = res->type == IMAGE_RESOURCE_TOPIC;
    const struct ferry_option_table *table = topic ? &topic_config_table : &broker_config_table;
    const struct broker_config_fact *facts = topic ? topic_config_facts : broker_config_facts;
    const char *name = copy(r, c->name), *value = copy(r, c->value);
    const struct ferry_option *o = name ? ferry_options_find(table, name) : NULL;
    struct ferry_text list = {0};
    struct ferry_error err;
    if (!o && c->op != OP_DELETE)
        return refuse(r, res, FERRY_KAFKA_INVALID_CONFIG, "Unknown configuration %s",
                      name ? name : "");
    if (o && !topic && !(facts[o - table->rows].flags & BROKER_CONFIG_DYNAMIC))
        return refuse(r, res, FERRY_KAFKA_INVALID_REQUEST,
                      "Cannot update read-only broker configuration %s", name);
    if (c->op == OP_DELETE)
        return write ? add_record(r, res, c->name, (struct ferry_str){0}) : 0;
    if (!value)
        return refuse(r, res, FERRY_KAFKA_INVALID_REQUEST, "Null value not supported for %s", name);
    if (c->op == OP_APPEND || c->op == OP_SUBTRACT) {
        if (facts[o - table->rows].type != BROKER_CONFIG_LIST)
            return refuse(r, res, FERRY_KAFKA_INVALID_CONFIG,
                          "Can't append to or subtract from key %s because its type "
                          "is not LIST.",
                          name);
        const char *now = list_now(r, res, (size_t)(o - table->rows));
        edit_list(now ? now : "", value, c->op == OP_APPEND, &list);
        value = list.failed ? NULL
                            : ferry_arena_strndup(&r->arena, list.data ? list.data : "", list.len);
        ferry_text_free(&list);
    } else if (c->op != OP_SET) {
        return refuse(r, res, FERRY_KAFKA_INVALID_REQUEST, "Unknown operation on %s", name);
    }
    if (!value)
        return refuse(r, res, FERRY_KAFKA_UNKNOWN_SERVER_ERROR, "No memory for %s", name);
    if (topic ? topic_config_check(name, value, &err) : broker_config_check(name, value, &err))
        return refuse(r, res, FERRY_KAFKA_INVALID_CONFIG, "%s", err.text);
    return write ? add_record(r, res, c->name, ferry_str_of(value)) : 0;
}

static int check_resource(struct broker_request *r, struct change_resource *res)
{
    struct broker_node *n = r->node;
    if (res->type == IMAGE_RESOURCE_TOPIC && !broker_image_topic(&n->image, res->name))
        return refuse(r, res, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "%s",
                      "The topic does not exist.");
    if (res->type != IMAGE_RESOURCE_TOPIC &&
        (res->type != IMAGE_RESOURCE_BROKER || (res->name.len && !is_self(n, res->name))))
        return refuse(r, res, FERRY_KAFKA_INVALID_REQUEST, "%s",
                      "Only topics and this broker have settings here.");
    const bool *twice = broker_request_doubles(r, res->count ? &res->changes->name : NULL,
                                               sizeof *res->changes, (size_t)res->count);
    if (!twice)
        return refuse(r, res, FERRY_KAFKA_UNKNOWN_SERVER_ERROR, "%s", "no memory");
    for (int32_t i = 0; i < res->count; i++)
        if (twice[i])
            return refuse(r, res, FERRY_KAFKA_INVALID_REQUEST, "%s",
                          "Error due to duplicate config keys");
    for (int32_t i = 0; i < res->count; i++)
        if (apply_change(r, res, &res->changes[i], false))
            return res->error;
    return 0;
}

/* AlterConfigs states all that is to be: what else is set goes. */
static int remove_others(struct broker_request *r, struct change_resource *res)
{
    const struct broker_overrides *o =
        broker_image_configs(&r->node->image, (enum image_resource)res->type, res->name);
    int code = 0;
    for (size_t i = 0; o && !code && i < o->count; i++) {
        bool named = false;
        for (int32_t j = 0; j < res->count; j++)
            named |= ferry_str_eq(res->changes[j].name, ferry_str_of(o->items[i].name));
        if (!named)
            code = add_record(r, res, ferry_str_of(o->items[i].name), (struct ferry_str){0});
    }
    return code;
}

static int prepare(struct broker_node *n, struct metalog_op *op)
{
    struct alteration *a = FERRY_CONTAINER(op, struct alteration, op);
    struct broker_request *r = a->request;
    (void)n;
    for (int32_t i = 0; i < a->count; i++) {
        struct change_resource *res = &a->resources[i];
        if (res->twice)
            refuse(r, res, FERRY_KAFKA_INVALID_REQUEST, "%s",
                   "Each resource must appear at most once.");
        if (res->error || check_resource(r, res) || a->validate_only)
            continue;
        int code = res->whole ? remove_others(r, res) : 0;
        for (int32_t j = 0; !code && j < res->count; j++)
            code = apply_change(r, res, &res->changes[j], true);
        if (code)
            return code;
    }
    return 0;
}

static void on_altered(struct broker_node *n, struct metalog_op *op, int error)
{
    struct alteration *a = FERRY_CONTAINER(op, struct alteration, op);
    struct broker_request *r = a->request;
    /* Both answers have the same shape under two names. */
    struct ferry_incremental_alter_configs_response out;
    struct ferry_alter_configs_response old;
    (void)n;
    ferry_incremental_alter_configs_response_init(&out);
    ferry_alter_configs_response_init(&old);
    out.responses = ferry_msg_array(&ferry_incremental_alter_configs_response_response_msg,
                                    &r->arena, (size_t)a->count);
    old.responses =
        ferry_msg_array(&ferry_alter_configs_response_response_msg, &r->arena, (size_t)a->count);
    if (a->count && (!out.responses || !old.responses)) {
        broker_finish(r, true);
        return;
    }
    out.responses_count = old.responses_count = a->count;
    for (int32_t i = 0; i < a->count; i++) {
        const struct change_resource *res = &a->resources[i];
        int16_t code = res->error ? res->error : (int16_t)error;
        out.responses[i].error_code = old.responses[i].error_code = code;
        out.responses[i].error_message = old.responses[i].error_message = res->text;
        out.responses[i].resource_type = old.responses[i].resource_type = res->type;
        out.responses[i].resource_name = old.responses[i].resource_name = res->name;
    }
    broker_reply(r, r->api->key == 44 ? (const void *)&out : (const void *)&old);
}

/* Marks resources that are named more than once; their type is part of what is compared. */
static bool mark_doubles(struct broker_request *r, struct alteration *a)
{
    struct ferry_str *keys = broker_request_alloc(r, (size_t)a->count + 1, sizeof *keys);
    const bool *twice = NULL;
    for (int32_t i = 0; keys && i < a->count; i++) {
        const struct change_resource *res = &a->resources[i];
        char *key = broker_request_alloc(r, res->name.len + 1, 1);
        if (!key)
            return false;
        key[0] = (char)res->type;
        memcpy(key + 1, res->name.len ? res->name.data : "", res->name.len);
        keys[i] = (struct ferry_str){key, res->name.len + 1};
    }
    if (keys)
        twice = broker_request_doubles(r, keys, sizeof *keys, (size_t)a->count);
    for (int32_t i = 0; twice && i < a->count; i++)
        a->resources[i].twice = twice[i];
    return twice != NULL;
}

static struct alteration *make(struct broker_request *r, int32_t count, bool validate_only)
{
    struct alteration *a = broker_request_alloc(r, 1, sizeof *a);
    if (!a)
        return NULL;
    a->request = r;
    a->validate_only = validate_only;
    a->count = count > 0 ? count : 0;
    a->resources = broker_request_alloc(r, (size_t)a->count, sizeof *a->resources);
    a->op = (struct metalog_op){.prepare = prepare, .done = on_altered};
    return a->resources || !a->count ? a : NULL;
}

static bool begin_resource(struct broker_request *r, struct change_resource *res, int8_t type,
                           struct ferry_str name, int32_t count)
{
    res->type = type;
    res->name = name;
    res->count = count > 0 ? count : 0;
    res->changes = broker_request_alloc(r, (size_t)res->count, sizeof *res->changes);
    return res->changes || !res->count;
}

void broker_configs_alter(struct broker_request *r)
{
    const struct ferry_alter_configs_request *in = r->input;
    struct alteration *a = make(r, in->resources_count, in->validate_only);
    bool ok = a != NULL;
    for (int32_t i = 0; ok && i < a->count; i++) {
        const struct ferry_alter_configs_request_resource *from = &in->resources[i];
        struct change_resource *res = &a->resources[i];
        res->whole = true;
        ok = begin_resource(r, res, from->resource_type, from->resource_name, from->configs_count);
        for (int32_t j = 0; ok && j < res->count; j++)
            res->changes[j] =
                (struct change){from->configs[j].name, from->configs[j].value, OP_SET};
    }
    if (ok && mark_doubles(r, a))
        broker_metalog_submit(r->node, &a->op);
    else
        broker_finish(r, true);
}

void broker_configs_alter_incrementally(struct broker_request *r)
{
    const struct ferry_incremental_alter_configs_request *in = r->input;
    struct alteration *a = make(r, in->resources_count, in->validate_only);
    bool ok = a != NULL;
    for (int32_t i = 0; ok && i < a->count; i++) {
        const struct ferry_incremental_alter_configs_request_resource *from = &in->resources[i];
        struct change_resource *res = &a->resources[i];
        ok = begin_resource(r, res, from->resource_type, from->resource_name, from->configs_count);
        for (int32_t j = 0; ok && j < res->count; j++)
            res->changes[j] = (struct change){from->configs[j].name, from->configs[j].value,
                                              from->configs[j].config_operation};
    }
    if (ok && mark_doubles(r, a))
        broker_metalog_submit(r->node, &a->op);
    else
        broker_finish(r, true);
}
