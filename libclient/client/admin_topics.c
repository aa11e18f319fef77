/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/admin.h"

#include <stdlib.h>

/* Topics and the cluster: create, delete, describe, more partitions. */

/* -- Create --------------------------------------------------------------------------------------------- */

static int fill_new_topic(struct ferry_admin *call, const struct ferry_admin_entry *e,
                          struct ferry_create_topics_request_topic *to)
{
    ferry_create_topics_request_topic_init(to);
    to->name = e->name;
    to->num_partitions = e->assignments ? -1 : e->count;
    to->replication_factor = e->assignments ? -1 : (int16_t)e->replication;
    to->assignments =
        ferry_admin_scratch(call, (size_t)e->assignment_count, sizeof *to->assignments);
    to->configs = ferry_admin_scratch(call, (size_t)e->config_count, sizeof *to->configs);
    if (!to->assignments || !to->configs)
        return FERRY_E_NOMEM;
    to->assignments_count = to->configs_count = 0;
    for (const struct ferry_admin_assignment *a = e->assignments; a; a = a->next)
        to->assignments[to->assignments_count++] = (struct ferry_create_topics_request_assignment){
            .partition_index = a->partition, .broker_ids = a->nodes, .broker_ids_count = a->count};
    for (const struct ferry_admin_config *c = e->configs; c; c = c->next)
        to->configs[to->configs_count++] =
            (struct ferry_create_topics_request_config){.name = c->key, .value = c->value};
    return 0;
}

static int encode_create(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                         struct ferry_writer *w)
{
    struct ferry_create_topics_request m;
    ferry_create_topics_request_init(&m);
    m.timeout_ms = ferry_admin_time_left(call);
    m.validate_only = call->flags & FERRY_ADMIN_VALIDATE_ONLY;
    m.topics = ferry_admin_scratch(call, part->count, sizeof *m.topics);
    if (!m.topics)
        return FERRY_E_NOMEM;
    for (m.topics_count = 0; m.topics_count < (int32_t)part->count; m.topics_count++)
        if (fill_new_topic(call, part->entries[m.topics_count], &m.topics[m.topics_count]))
            return FERRY_E_NOMEM;
    return ferry_msg_encode(&ferry_create_topics_request_msg, version, &m, w, NULL);
}

static void answer_create(struct ferry_admin *call, struct ferry_admin_part *part,
                          const struct ferry_reply *reply)
{
    const struct ferry_create_topics_response *m = reply->body;
    for (int32_t i = 0; i < m->topics_count; i++) {
        const struct ferry_create_topics_response_topic *t = &m->topics[i];
        struct ferry_admin_entry *e = ferry_admin_find(part, t->name, -1);
        if (!e)
            continue;
        ferry_admin_outcome(call, e, t->error_code, t->error_message);
        if (t->error_code)
            continue;
        ferry_admin_set_uuid(call, e->item, FERRY_FIELD_ID, &t->topic_id);
        if (reply->version >= 5) {
            ferry_admin_set_int(call, e->item, FERRY_FIELD_PARTITION_COUNT, t->num_partitions);
            ferry_admin_set_int(call, e->item, FERRY_FIELD_REPLICATION, t->replication_factor);
        }
        for (int32_t k = 0; k < t->configs_count; k++) {
            struct ferry_admin_item *c = ferry_admin_item_child(call, e->item, FERRY_FIELD_CONFIGS);
            ferry_admin_set_text(call, c, FERRY_FIELD_NAME, t->configs[k].name);
            ferry_admin_set_text(call, c, FERRY_FIELD_VALUE, t->configs[k].value);
            ferry_admin_set_int(call, c, FERRY_FIELD_READ_ONLY, t->configs[k].read_only);
            ferry_admin_set_int(call, c, FERRY_FIELD_SOURCE, t->configs[k].config_source);
            ferry_admin_set_int(call, c, FERRY_FIELD_SENSITIVE, t->configs[k].is_sensitive);
        }
    }
}

static const struct ferry_admin_ops create_ops = {
    FERRY_API_CREATE_TOPICS, 2, 7, FERRY_ADMIN_TO_CONTROLLER, encode_create, answer_create};
const struct ferry_admin_kind_ops ferry_admin_create_topics = {
    FERRY_USES_TOPIC | FERRY_USES_CONFIG | FERRY_USES_ASSIGNMENT, {&create_ops}};

/* -- Delete --------------------------------------------------------------------------------------------- */

static int encode_delete(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                         struct ferry_writer *w)
{
    struct ferry_delete_topics_request m;
    ferry_delete_topics_request_init(&m);
    m.timeout_ms = ferry_admin_time_left(call);
    if (version >= 6)
        m.topics = ferry_admin_scratch(call, part->count, sizeof *m.topics);
    else
        m.topic_names = ferry_admin_scratch(call, part->count, sizeof *m.topic_names);
    if (!m.topics && !m.topic_names)
        return FERRY_E_NOMEM;
    for (size_t i = 0; i < part->count; i++) {
        if (version >= 6) {
            ferry_delete_topics_request_topic_init(&m.topics[i]);
            m.topics[m.topics_count++].name = part->entries[i]->name;
        } else {
            m.topic_names[m.topic_names_count++] = part->entries[i]->name;
        }
    }
    return ferry_msg_encode(&ferry_delete_topics_request_msg, version, &m, w, NULL);
}

static void answer_delete(struct ferry_admin *call, struct ferry_admin_part *part,
                          const struct ferry_reply *reply)
{
    const struct ferry_delete_topics_response *m = reply->body;
    for (int32_t i = 0; i < m->responses_count; i++) {
        const struct ferry_delete_topics_response_response *t = &m->responses[i];
        struct ferry_admin_entry *e = t->name.data ? ferry_admin_find(part, t->name, -1) : NULL;
        if (!e)
            continue;
        ferry_admin_outcome(call, e, t->error_code, t->error_message);
        ferry_admin_set_uuid(call, e->item, FERRY_FIELD_ID, &t->topic_id);
    }
}

static const struct ferry_admin_ops delete_ops = {
    FERRY_API_DELETE_TOPICS, 1, 6, FERRY_ADMIN_TO_CONTROLLER, encode_delete, answer_delete};
const struct ferry_admin_kind_ops ferry_admin_delete_topics = {FERRY_USES_NAME, {&delete_ops}};

/* -- Describe ------------------------------------------------------------------------------------------- */

static int encode_describe(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                           struct ferry_writer *w)
{
    struct ferry_metadata_request m;
    ferry_metadata_request_init(&m);
    m.allow_auto_topic_creation = version < 4;
    m.topics = NULL;
    m.topics_count = -1;
    if (part->entries[0]->name.data) {
        m.topics = ferry_admin_scratch(call, part->count, sizeof *m.topics);
        if (!m.topics)
            return FERRY_E_NOMEM;
        for (m.topics_count = 0; m.topics_count < (int32_t)part->count; m.topics_count++) {
            ferry_metadata_request_topic_init(&m.topics[m.topics_count]);
            m.topics[m.topics_count].name = part->entries[m.topics_count]->name;
        }
    }
    return ferry_msg_encode(&ferry_metadata_request_msg, version, &m, w, NULL);
}

static int compare_partitions(const void *a, const void *b)
{
    int32_t x = ((const struct ferry_metadata_response_partition *)a)->partition_index;
    int32_t y = ((const struct ferry_metadata_response_partition *)b)->partition_index;
    return (x > y) - (x < y);
}

static void describe(struct ferry_admin *call, struct ferry_admin_item *item,
                     const struct ferry_metadata_response_topic *t)
{
    ferry_admin_set_uuid(call, item, FERRY_FIELD_ID, &t->topic_id);
    ferry_admin_set_int(call, item, FERRY_FIELD_INTERNAL, t->is_internal);
    ferry_admin_set_int(call, item, FERRY_FIELD_PARTITION_COUNT, t->partitions_count);
    if (t->partitions_count > 0)
        qsort(t->partitions, (size_t)t->partitions_count, sizeof *t->partitions,
              compare_partitions);
    for (int32_t i = 0; i < t->partitions_count; i++) {
        const struct ferry_metadata_response_partition *p = &t->partitions[i];
        struct ferry_admin_item *to = ferry_admin_item_child(call, item, FERRY_FIELD_PARTITIONS);
        ferry_admin_set_int(call, to, FERRY_FIELD_PARTITION, p->partition_index);
        ferry_admin_set_int(call, to, FERRY_FIELD_LEADER, p->leader_id);
        ferry_admin_set_int(call, to, FERRY_FIELD_LEADER_EPOCH, p->leader_epoch);
        ferry_admin_set_numbers(call, to, FERRY_FIELD_REPLICAS, p->replica_nodes,
                                p->replica_nodes_count);
        ferry_admin_set_numbers(call, to, FERRY_FIELD_ISR, p->isr_nodes, p->isr_nodes_count);
        ferry_admin_set_numbers(call, to, FERRY_FIELD_OFFLINE, p->offline_replicas,
                                p->offline_replicas_count);
        ferry_admin_set_int(call, to, FERRY_FIELD_ERROR, p->error_code);
        if (p->error_code)
            ferry_admin_set_text(call, to, FERRY_FIELD_ERROR_TEXT,
                                 ferry_str_of(ferry_error_name(p->error_code)));
    }
}

static int compare_topics(const void *a, const void *b)
{
    return ferry_str_cmp(((const struct ferry_metadata_response_topic *)a)->name,
                         ((const struct ferry_metadata_response_topic *)b)->name);
}

static void answer_describe(struct ferry_admin *call, struct ferry_admin_part *part,
                            const struct ferry_reply *reply)
{
    const struct ferry_metadata_response *m = reply->body;
    bool all = !part->entries[0]->name.data;
    if (all && m->topics_count > 0)
        qsort(m->topics, (size_t)m->topics_count, sizeof *m->topics, compare_topics);
    for (int32_t i = 0; i < m->topics_count; i++) {
        const struct ferry_metadata_response_topic *t = &m->topics[i];
        struct ferry_admin_entry *e =
            all || !t->name.data ? NULL : ferry_admin_find(part, t->name, -1);
        if (!t->name.data || (!all && !e))
            continue;
        struct ferry_admin_item *item = all ? ferry_admin_item_new(call) : e->item;
        if (all)
            ferry_admin_set_text(call, item, FERRY_FIELD_NAME, t->name);
        else
            ferry_admin_outcome(call, e, t->error_code, (struct ferry_str){NULL, 0});
        if (all && t->error_code) {
            ferry_admin_set_int(call, item, FERRY_FIELD_ERROR, t->error_code);
            ferry_admin_set_text(call, item, FERRY_FIELD_ERROR_TEXT,
                                 ferry_str_of(ferry_error_name(t->error_code)));
        }
        if (!t->error_code)
            describe(call, item, t);
    }
    if (all)
        ferry_admin_outcome_all(call, part, m->error_code, (struct ferry_str){NULL, 0});
}

static const struct ferry_admin_ops describe_ops = {
    FERRY_API_METADATA, 1, 12, FERRY_ADMIN_TO_ANY, encode_describe, answer_describe};
const struct ferry_admin_kind_ops ferry_admin_describe_topics = {FERRY_USES_NAME | FERRY_USES_ALL,
                                                                 {&describe_ops}};

/* -- More partitions ------------------------------------------------------------------------------------ */

static int encode_partitions(struct ferry_admin *call, struct ferry_admin_part *part,
                             int16_t version, struct ferry_writer *w)
{
    struct ferry_create_partitions_request m;
    ferry_create_partitions_request_init(&m);
    m.timeout_ms = ferry_admin_time_left(call);
    m.validate_only = call->flags & FERRY_ADMIN_VALIDATE_ONLY;
    m.topics = ferry_admin_scratch(call, part->count, sizeof *m.topics);
    if (!m.topics)
        return FERRY_E_NOMEM;
    for (m.topics_count = 0; m.topics_count < (int32_t)part->count; m.topics_count++) {
        const struct ferry_admin_entry *e = part->entries[m.topics_count];
        struct ferry_create_partitions_request_topic *t = &m.topics[m.topics_count];
        ferry_create_partitions_request_topic_init(t);
        t->name = e->name;
        t->count = e->count;
        t->assignments = NULL;
        t->assignments_count = -1;
        if (!e->assignments)
            continue;
        t->assignments_count = 0;
        if (!(t->assignments =
                  ferry_admin_scratch(call, (size_t)e->assignment_count, sizeof *t->assignments)))
            return FERRY_E_NOMEM;
        for (const struct ferry_admin_assignment *a = e->assignments; a; a = a->next)
            t->assignments[t->assignments_count++] =
                (struct ferry_create_partitions_request_assignment){.broker_ids = a->nodes,
                                                                    .broker_ids_count = a->count};
    }
    return ferry_msg_encode(&ferry_create_partitions_request_msg, version, &m, w, NULL);
}

static void answer_partitions(struct ferry_admin *call, struct ferry_admin_part *part,
                              const struct ferry_reply *reply)
{
    const struct ferry_create_partitions_response *m = reply->body;
    for (int32_t i = 0; i < m->results_count; i++) {
        struct ferry_admin_entry *e = ferry_admin_find(part, m->results[i].name, -1);
        if (e)
            ferry_admin_outcome(call, e, m->results[i].error_code, m->results[i].error_message);
    }
}

static const struct ferry_admin_ops partitions_ops = {FERRY_API_CREATE_PARTITIONS,
                                                      0,
                                                      3,
                                                      FERRY_ADMIN_TO_CONTROLLER,
                                                      encode_partitions,
                                                      answer_partitions};
const struct ferry_admin_kind_ops ferry_admin_create_partitions = {
    FERRY_USES_TOPIC | FERRY_USES_ASSIGNMENT, {&partitions_ops}};

/* -- The cluster ---------------------------------------------------------------------------------------- */

static int encode_cluster(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                          struct ferry_writer *w)
{
    struct ferry_metadata_request m;
    ferry_metadata_request_init(&m);
    m.allow_auto_topic_creation = version < 4;
    m.topics = ferry_admin_scratch(call, 1, sizeof *m.topics);
    m.topics_count = 0;
    return m.topics ? ferry_msg_encode(&ferry_metadata_request_msg, version, &m, w, NULL)
                    : FERRY_E_NOMEM;
}

static void answer_cluster(struct ferry_admin *call, struct ferry_admin_part *part,
                           const struct ferry_reply *reply)
{
    const struct ferry_metadata_response *m = reply->body;
    struct ferry_admin_item *item = ferry_admin_item_new(call);
    ferry_admin_set_text(call, item, FERRY_FIELD_ID, m->cluster_id);
    ferry_admin_set_int(call, item, FERRY_FIELD_NODE, m->controller_id);
    for (int32_t i = 0; i < m->brokers_count; i++) {
        struct ferry_admin_item *b = ferry_admin_item_child(call, item, FERRY_FIELD_BROKERS);
        ferry_admin_set_int(call, b, FERRY_FIELD_NODE, m->brokers[i].node_id);
        ferry_admin_set_text(call, b, FERRY_FIELD_HOST, m->brokers[i].host);
        ferry_admin_set_int(call, b, FERRY_FIELD_PORT, m->brokers[i].port);
        ferry_admin_set_text(call, b, FERRY_FIELD_RACK, m->brokers[i].rack);
    }
    ferry_admin_outcome_all(call, part, m->error_code, (struct ferry_str){NULL, 0});
}

static const struct ferry_admin_ops cluster_ops = {
    FERRY_API_METADATA, 1, 12, FERRY_ADMIN_TO_ANY, encode_cluster, answer_cluster};
const struct ferry_admin_kind_ops ferry_admin_describe_cluster = {FERRY_USES_ALL, {&cluster_ops}};
