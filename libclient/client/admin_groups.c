/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/admin.h"

/* Groups: list, describe, delete. Their offsets are in admin_offsets.c. */

static struct ferry_str none(void)
{
    return (struct ferry_str){NULL, 0};
}

/* -- List ----------------------------------------------------------------------------------------------- */

static int encode_list(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                       struct ferry_writer *w)
{
    struct ferry_list_groups_request m;
    ferry_list_groups_request_init(&m);
    int32_t states = 0, types = 0;
    for (const struct ferry_admin_filter *f = call->filters; f; f = f->next) {
        states += f->field == FERRY_FIELD_STATE;
        types += f->field == FERRY_FIELD_VALUE_TYPE;
    }
    m.states_filter = ferry_admin_scratch(call, (size_t)states, sizeof *m.states_filter);
    m.types_filter = ferry_admin_scratch(call, (size_t)types, sizeof *m.types_filter);
    if (!m.states_filter || !m.types_filter)
        return FERRY_E_NOMEM;
    m.states_filter_count = m.types_filter_count = 0;
    for (const struct ferry_admin_filter *f = call->filters; f; f = f->next) {
        if (f->field == FERRY_FIELD_STATE)
            m.states_filter[m.states_filter_count++] = f->value;
        else
            m.types_filter[m.types_filter_count++] = f->value;
    }
    return ferry_msg_encode(&ferry_list_groups_request_msg, version, &m, w, NULL);
}

static void answer_list(struct ferry_admin *call, struct ferry_admin_part *part,
                        const struct ferry_reply *reply)
{
    const struct ferry_list_groups_response *m = reply->body;
    for (int32_t i = 0; !m->error_code && i < m->groups_count; i++) {
        struct ferry_admin_item *g = ferry_admin_item_new(call);
        ferry_admin_set_text(call, g, FERRY_FIELD_NAME, m->groups[i].group_id);
        ferry_admin_set_text(call, g, FERRY_FIELD_PROTOCOL_TYPE, m->groups[i].protocol_type);
        ferry_admin_set_int(call, g, FERRY_FIELD_NODE, reply->node);
        if (reply->version >= 4)
            ferry_admin_set_text(call, g, FERRY_FIELD_STATE, m->groups[i].group_state);
        if (reply->version >= 5)
            ferry_admin_set_text(call, g, FERRY_FIELD_VALUE_TYPE, m->groups[i].group_type);
    }
    ferry_admin_outcome_all(call, part, m->error_code, none());
}

static const struct ferry_admin_ops list_ops = {FERRY_API_LIST_GROUPS,  0,           5,
                                                FERRY_ADMIN_TO_BROKERS, encode_list, answer_list};
const struct ferry_admin_kind_ops ferry_admin_list_groups = {FERRY_USES_FILTER | FERRY_USES_ALL,
                                                             {&list_ops}};

/* -- Describe ------------------------------------------------------------------------------------------- */

static int encode_describe(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                           struct ferry_writer *w)
{
    struct ferry_describe_groups_request m;
    ferry_describe_groups_request_init(&m);
    m.groups = &part->entries[0]->name;
    m.groups_count = 1;
    return ferry_msg_encode(&ferry_describe_groups_request_msg, version, &m, w, NULL);
}

/* The partitions of a consumer's assignment: version, topics with partitions, user data we leave. */
static void take_assignment(struct ferry_admin *call, struct ferry_admin_item *member,
                            struct ferry_bytes assignment)
{
    struct ferry_cursor c = ferry_cursor_of(assignment);
    if (!assignment.data || (int16_t)ferry_cursor_u16(&c) < 0)
        return;
    int32_t topics = (int32_t)ferry_cursor_u32(&c);
    for (int32_t i = 0; i < topics && !c.err; i++) {
        size_t len = ferry_cursor_u16(&c);
        struct ferry_str name = {(const char *)ferry_cursor_take(&c, len), len};
        int32_t count = (int32_t)ferry_cursor_u32(&c);
        for (int32_t k = 0; k < count && !c.err; k++) {
            int32_t partition = (int32_t)ferry_cursor_u32(&c);
            struct ferry_admin_item *p =
                c.err ? NULL : ferry_admin_item_child(call, member, FERRY_FIELD_PARTITIONS);
            ferry_admin_set_text(call, p, FERRY_FIELD_TOPIC, name);
            ferry_admin_set_int(call, p, FERRY_FIELD_PARTITION, partition);
        }
    }
}

static void take_member(struct ferry_admin *call, struct ferry_admin_item *group, bool consumer,
                        const struct ferry_describe_groups_response_member *m)
{
    struct ferry_admin_item *to = ferry_admin_item_child(call, group, FERRY_FIELD_MEMBERS);
    ferry_admin_set_text(call, to, FERRY_FIELD_NAME, m->member_id);
    ferry_admin_set_text(call, to, FERRY_FIELD_INSTANCE_ID, m->group_instance_id);
    ferry_admin_set_text(call, to, FERRY_FIELD_CLIENT_ID, m->client_id);
    ferry_admin_set_text(call, to, FERRY_FIELD_HOST, m->client_host);
    ferry_admin_set_bytes(call, to, FERRY_FIELD_METADATA, m->member_metadata);
    ferry_admin_set_bytes(call, to, FERRY_FIELD_ASSIGNMENT, m->member_assignment);
    if (consumer)
        take_assignment(call, to, m->member_assignment);
}

static void answer_describe(struct ferry_admin *call, struct ferry_admin_part *part,
                            const struct ferry_reply *reply)
{
    const struct ferry_describe_groups_response *m = reply->body;
    for (int32_t i = 0; i < m->groups_count; i++) {
        const struct ferry_describe_groups_response_group *g = &m->groups[i];
        struct ferry_admin_entry *e = ferry_admin_find(part, g->group_id, -1);
        if (!e)
            continue;
        ferry_admin_outcome(call, e, g->error_code, g->error_message);
        if (g->error_code)
            continue;
        ferry_admin_set_text(call, e->item, FERRY_FIELD_STATE, g->group_state);
        ferry_admin_set_text(call, e->item, FERRY_FIELD_PROTOCOL_TYPE, g->protocol_type);
        ferry_admin_set_text(call, e->item, FERRY_FIELD_PROTOCOL, g->protocol_data);
        ferry_admin_set_int(call, e->item, FERRY_FIELD_NODE, reply->node);
        for (int32_t k = 0; k < g->members_count; k++)
            take_member(call, e->item, ferry_str_eq(g->protocol_type, FERRY_STR("consumer")),
                        &g->members[k]);
    }
}

static const struct ferry_admin_ops describe_ops = {
    FERRY_API_DESCRIBE_GROUPS, 0, 6, FERRY_ADMIN_TO_EACH_GROUP, encode_describe, answer_describe};
const struct ferry_admin_kind_ops ferry_admin_describe_groups = {FERRY_USES_NAME, {&describe_ops}};

/* -- Delete --------------------------------------------------------------------------------------------- */

static int encode_delete(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                         struct ferry_writer *w)
{
    struct ferry_delete_groups_request m;
    ferry_delete_groups_request_init(&m);
    m.groups_names = &part->entries[0]->name;
    m.groups_names_count = 1;
    return ferry_msg_encode(&ferry_delete_groups_request_msg, version, &m, w, NULL);
}

static void answer_delete(struct ferry_admin *call, struct ferry_admin_part *part,
                          const struct ferry_reply *reply)
{
    const struct ferry_delete_groups_response *m = reply->body;
    for (int32_t i = 0; i < m->results_count; i++) {
        struct ferry_admin_entry *e = ferry_admin_find(part, m->results[i].group_id, -1);
        if (e)
            ferry_admin_outcome(call, e, m->results[i].error_code, m->results[i].error_message);
    }
}

static const struct ferry_admin_ops delete_ops = {
    FERRY_API_DELETE_GROUPS, 0, 2, FERRY_ADMIN_TO_EACH_GROUP, encode_delete, answer_delete};
const struct ferry_admin_kind_ops ferry_admin_delete_groups = {FERRY_USES_NAME, {&delete_ops}};
