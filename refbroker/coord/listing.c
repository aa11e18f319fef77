/* SPDX-License-Identifier: BSD-2-Clause */
/* DescribeGroups, ListGroups, DeleteGroups. */
#include "config.h"

#include "ferry/kafka_errors.h"
#include "refbroker/coord/group.h"
#include "refbroker/coord/handlers.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"
#include "wire/value.h"

#include <strings.h>

/* ---- DescribeGroups ---- */

static bool describe_members(struct broker_request *r, const struct coord_group *g,
                             struct ferry_describe_groups_response_group *out)
{
    out->members = ferry_msg_array(&ferry_describe_groups_response_member_msg, &r->arena,
                                   (size_t)g->member_count);
    if (!out->members && g->member_count)
        return false;
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
        const struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        struct ferry_describe_groups_response_member *to = &out->members[out->members_count++];
        to->member_id = ferry_str_of(m->id);
        to->group_instance_id = ferry_str_of(m->instance);
        to->client_id = ferry_str_of(m->client_id);
        to->client_host = ferry_str_of(m->host);
        to->member_metadata = to->member_assignment = (struct ferry_bytes){(const uint8_t *)"", 0};
        if (g->state != GROUP_STABLE)
            continue;
        to->member_metadata = coord_group_metadata(m);
        if (m->assignment)
            to->member_assignment = (struct ferry_bytes){m->assignment, m->assignment_len};
    }
    return true;
}

static bool describe(struct broker_request *r, struct ferry_str name,
                     struct ferry_describe_groups_response_group *out)
{
    const struct ferry_describe_groups_request *in = r->input;
    struct coord_shard *shard;
    int code = name.len ? broker_groups_shard(r->node, name, &shard) : FERRY_KAFKA_INVALID_GROUP_ID;
    const struct coord_group *g = code ? NULL : coord_group_find(r->node, name);
    out->group_id = name;
    out->group_state = out->protocol_type = out->protocol_data = FERRY_STR("");
    out->error_code = (int16_t)code;
    if (in->include_authorized_operations && !code)
        out->authorized_operations = BROKER_GROUP_OPERATIONS;
    if (code == FERRY_KAFKA_NOT_COORDINATOR && !r->node->groups.shard_count)
        code = out->error_code =
            0; /* no group was ever made: nobody coordinates, and none is there */
    if (code)
        return true;
    if (!g) {
        out->group_state = FERRY_STR("Dead");
        if (r->version >= 6) {
            out->error_code = FERRY_KAFKA_GROUP_ID_NOT_FOUND;
            out->error_message =
                broker_request_text(r, "Group %.*s not found.", (int)name.len, name.data);
        }
        return true;
    }
    out->group_state = ferry_str_of(coord_group_state_name(g->state));
    out->protocol_type = g->protocol_type ? ferry_str_of(g->protocol_type) : FERRY_STR("");
    if (g->state == GROUP_STABLE && g->protocol)
        out->protocol_data = ferry_str_of(g->protocol);
    return describe_members(r, g, out);
}

void coord_describe(struct broker_request *r)
{
    const struct ferry_describe_groups_request *in = r->input;
    struct ferry_describe_groups_response out;
    size_t count = in->groups_count > 0 ? (size_t)in->groups_count : 0;
    ferry_describe_groups_response_init(&out);
    out.groups = ferry_msg_array(&ferry_describe_groups_response_group_msg, &r->arena, count);
    bool ok = out.groups || !count;
    for (size_t i = 0; ok && i < count; i++)
        ok = describe(r, in->groups[i], &out.groups[out.groups_count++]);
    if (ok)
        broker_reply(r, &out);
    else
        broker_finish(r, true);
}

/* ---- ListGroups ---- */

static bool named(const struct ferry_str *list, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (list[i].len == strlen(name) && !strncasecmp(list[i].data, name, list[i].len))
            return true;
    return count <= 0;
}

void coord_list(struct broker_request *r)
{
    const struct ferry_list_groups_request *in = r->input;
    const struct ferry_map *all = &r->node->groups.by_name;
    struct ferry_list_groups_response out;
    struct ferry_map_entry *e;
    ferry_list_groups_response_init(&out);
    for (int32_t i = 0; i < r->node->groups.shard_count; i++)
        if (r->node->groups.shards[i].state == SHARD_WAITING ||
            r->node->groups.shards[i].state == SHARD_LOADING)
            out.error_code = FERRY_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    out.groups = ferry_msg_array(&ferry_list_groups_response_group_msg, &r->arena, all->live);
    if (!out.groups && all->live) {
        broker_finish(r, true);
        return;
    }
    for (size_t at = 0; !out.error_code && (e = ferry_map_next(all, &at));) {
        const struct coord_group *g = e->value;
        const char *state = coord_group_state_name(g->state);
        if (!named(in->states_filter, in->states_filter_count, state) ||
            !named(in->types_filter, in->types_filter_count, "classic"))
            continue;
        struct ferry_list_groups_response_group *to = &out.groups[out.groups_count++];
        to->group_id = ferry_str_of(g->name);
        to->protocol_type = g->protocol_type ? ferry_str_of(g->protocol_type) : FERRY_STR("");
        to->group_state = ferry_str_of(state);
        to->group_type = FERRY_STR("classic");
    }
    broker_reply(r, &out);
}

/* ---- DeleteGroups ---- */

struct group_delete {
    struct coord_write write;
    struct delete_groups *all;
    struct coord_group *group;
    struct ferry_delete_groups_response_result *out;
};

struct delete_groups {
    struct broker_request *request;
    struct ferry_delete_groups_response response;
    uint32_t pending;
};

static void deletes_end(struct delete_groups *all)
{
    if (--all->pending == 0)
        broker_reply(all->request, &all->response);
}

static void on_deleted(struct coord_write *w, int error)
{
    struct group_delete *d = FERRY_CONTAINER(w, struct group_delete, write);
    d->out->error_code = (int16_t)error;
    d->group->writes--;
    coord_group_drop_if_unused(d->group);
    deletes_end(d->all);
}

static int add_tombstones(struct broker_node *n, const struct coord_group *g)
{
    struct ferry_map_entry *e;
    struct ferry_str name = ferry_str_of(g->name);
    int code = 0;
    broker_groups_begin(n);
    for (size_t at = 0; !code && (e = ferry_map_next(&g->offsets, &at));)
        code = broker_groups_add_offset(
            n, name, (struct ferry_str){(const char *)e->key.data, e->key.len - 4},
            (int32_t)ferry_get32(e->key.data + e->key.len - 4), NULL);
    return code ? code : broker_groups_add_group(n, name, NULL);
}

static int delete_one(struct broker_request *r, struct ferry_str name, struct group_delete *d)
{
    struct broker_node *n = r->node;
    struct coord_shard *shard;
    int code = name.len ? broker_groups_shard(n, name, &shard) : FERRY_KAFKA_INVALID_GROUP_ID;
    if (code)
        return code == FERRY_KAFKA_NOT_COORDINATOR && !n->groups.shard_count
                   ? FERRY_KAFKA_GROUP_ID_NOT_FOUND
                   : code;
    struct coord_group *g = coord_group_find(n, name);
    if (!g || g->state == GROUP_DEAD)
        return FERRY_KAFKA_GROUP_ID_NOT_FOUND;
    if (g->state != GROUP_EMPTY || g->pending_count)
        return FERRY_KAFKA_NON_EMPTY_GROUP;
    if (add_tombstones(n, g))
        return FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    d->group = g;
    d->write.done = on_deleted;
    d->all->pending++;
    g->writes++;
    code = broker_groups_submit(n, shard, &d->write);
    if (code) {
        g->writes--;
        d->all->pending--;
    }
    return code;
}

void coord_delete(struct broker_request *r)
{
    const struct ferry_delete_groups_request *in = r->input;
    size_t count = in->groups_names_count > 0 ? (size_t)in->groups_names_count : 0;
    struct delete_groups *all = broker_request_alloc(r, 1, sizeof *all);
    struct group_delete *deletes = broker_request_alloc(r, count, sizeof *deletes);
    if (all) {
        ferry_delete_groups_response_init(&all->response);
        all->response.results =
            ferry_msg_array(&ferry_delete_groups_response_result_msg, &r->arena, count);
    }
    if (!all || (count && (!deletes || !all->response.results))) {
        broker_finish(r, true);
        return;
    }
    all->request = r;
    all->pending = 1;
    all->response.results_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        deletes[i].all = all;
        deletes[i].out = &all->response.results[i];
        deletes[i].out->group_id = in->groups_names[i];
        int code = delete_one(r, in->groups_names[i], &deletes[i]);
        if (code)
            deletes[i].out->error_code = (int16_t)code;
    }
    deletes_end(all);
}
