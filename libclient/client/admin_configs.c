/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/admin.h"

/* Configurations of topics, brokers and groups. */

static struct ferry_admin_entry *find_resource(struct ferry_admin_part *part, int8_t type,
                                               struct ferry_str name)
{
    for (size_t i = 0; i < part->count; i++) {
        struct ferry_admin_entry *e = part->entries[i];
        if (e->pending && e->type == type && ferry_str_eq(e->name, name))
            return e;
    }
    return NULL;
}

/* -- Describe ------------------------------------------------------------------------------------------- */

static int encode_describe(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                           struct ferry_writer *w)
{
    struct ferry_describe_configs_request m;
    ferry_describe_configs_request_init(&m);
    m.include_synonyms = call->flags & FERRY_ADMIN_SYNONYMS;
    if (version >= 3)
        m.include_documentation = call->flags & FERRY_ADMIN_DOCUMENTATION;
    m.resources = ferry_admin_scratch(call, part->count, sizeof *m.resources);
    if (!m.resources)
        return FERRY_E_NOMEM;
    for (m.resources_count = 0; m.resources_count < (int32_t)part->count; m.resources_count++) {
        const struct ferry_admin_entry *e = part->entries[m.resources_count];
        struct ferry_describe_configs_request_resource *r = &m.resources[m.resources_count];
        ferry_describe_configs_request_resource_init(r);
        r->resource_type = (int8_t)e->type;
        r->resource_name = e->name;
        r->configuration_keys = NULL;
        r->configuration_keys_count = -1;
        if (!e->configs)
            continue;
        r->configuration_keys_count = 0;
        if (!(r->configuration_keys = ferry_admin_scratch(call, (size_t)e->config_count,
                                                          sizeof *r->configuration_keys)))
            return FERRY_E_NOMEM;
        for (const struct ferry_admin_config *c = e->configs; c; c = c->next)
            r->configuration_keys[r->configuration_keys_count++] = c->key;
    }
    return ferry_msg_encode(&ferry_describe_configs_request_msg, version, &m, w, NULL);
}

static void take_config(struct ferry_admin *call, struct ferry_admin_item *item,
                        const struct ferry_describe_configs_response_config *c)
{
    struct ferry_admin_item *to = ferry_admin_item_child(call, item, FERRY_FIELD_CONFIGS);
    ferry_admin_set_text(call, to, FERRY_FIELD_NAME, c->name);
    ferry_admin_set_text(call, to, FERRY_FIELD_VALUE, c->value);
    ferry_admin_set_int(call, to, FERRY_FIELD_READ_ONLY, c->read_only);
    ferry_admin_set_int(call, to, FERRY_FIELD_SENSITIVE, c->is_sensitive);
    ferry_admin_set_int(call, to, FERRY_FIELD_SOURCE, c->config_source);
    ferry_admin_set_int(call, to, FERRY_FIELD_VALUE_TYPE, c->config_type);
    ferry_admin_set_text(call, to, FERRY_FIELD_TEXT, c->documentation);
    for (int32_t i = 0; i < c->synonyms_count; i++) {
        struct ferry_admin_item *s = ferry_admin_item_child(call, to, FERRY_FIELD_SYNONYMS);
        ferry_admin_set_text(call, s, FERRY_FIELD_NAME, c->synonyms[i].name);
        ferry_admin_set_text(call, s, FERRY_FIELD_VALUE, c->synonyms[i].value);
        ferry_admin_set_int(call, s, FERRY_FIELD_SOURCE, c->synonyms[i].source);
    }
}

static void answer_describe(struct ferry_admin *call, struct ferry_admin_part *part,
                            const struct ferry_reply *reply)
{
    const struct ferry_describe_configs_response *m = reply->body;
    for (int32_t i = 0; i < m->results_count; i++) {
        const struct ferry_describe_configs_response_result *r = &m->results[i];
        struct ferry_admin_entry *e = find_resource(part, r->resource_type, r->resource_name);
        if (!e)
            continue;
        ferry_admin_outcome(call, e, r->error_code, r->error_message);
        for (int32_t k = 0; !r->error_code && k < r->configs_count; k++)
            take_config(call, e->item, &r->configs[k]);
    }
}

static const struct ferry_admin_ops describe_ops = {
    FERRY_API_DESCRIBE_CONFIGS, 1, 4, FERRY_ADMIN_TO_RESOURCES, encode_describe, answer_describe};
const struct ferry_admin_kind_ops ferry_admin_describe_configs = {
    FERRY_USES_RESOURCE | FERRY_USES_CONFIG, {&describe_ops}};

/* -- Alter ---------------------------------------------------------------------------------------------- */

static int encode_alter(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                        struct ferry_writer *w)
{
    struct ferry_incremental_alter_configs_request m;
    ferry_incremental_alter_configs_request_init(&m);
    m.validate_only = call->flags & FERRY_ADMIN_VALIDATE_ONLY;
    m.resources = ferry_admin_scratch(call, part->count, sizeof *m.resources);
    if (!m.resources)
        return FERRY_E_NOMEM;
    for (m.resources_count = 0; m.resources_count < (int32_t)part->count; m.resources_count++) {
        const struct ferry_admin_entry *e = part->entries[m.resources_count];
        struct ferry_incremental_alter_configs_request_resource *r =
            &m.resources[m.resources_count];
        ferry_incremental_alter_configs_request_resource_init(r);
        r->resource_type = (int8_t)e->type;
        r->resource_name = e->name;
        r->configs_count = 0;
        if (!(r->configs = ferry_admin_scratch(call, (size_t)e->config_count, sizeof *r->configs)))
            return FERRY_E_NOMEM;
        for (const struct ferry_admin_config *c = e->configs; c; c = c->next)
            r->configs[r->configs_count++] =
                (struct ferry_incremental_alter_configs_request_config){
                    .name = c->key, .config_operation = (int8_t)c->op, .value = c->value};
    }
    return ferry_msg_encode(&ferry_incremental_alter_configs_request_msg, version, &m, w, NULL);
}

static void answer_alter(struct ferry_admin *call, struct ferry_admin_part *part,
                         const struct ferry_reply *reply)
{
    const struct ferry_incremental_alter_configs_response *m = reply->body;
    for (int32_t i = 0; i < m->responses_count; i++) {
        const struct ferry_incremental_alter_configs_response_response *r = &m->responses[i];
        struct ferry_admin_entry *e = find_resource(part, r->resource_type, r->resource_name);
        if (e)
            ferry_admin_outcome(call, e, r->error_code, r->error_message);
    }
}

static const struct ferry_admin_ops alter_ops = {FERRY_API_INCREMENTAL_ALTER_CONFIGS,
                                                 0,
                                                 1,
                                                 FERRY_ADMIN_TO_RESOURCES,
                                                 encode_alter,
                                                 answer_alter};
const struct ferry_admin_kind_ops ferry_admin_alter_configs = {
    FERRY_USES_RESOURCE | FERRY_USES_CONFIG, {&alter_ops}};
