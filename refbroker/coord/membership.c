/* SPDX-License-Identifier: BSD-2-Clause */
/* JoinGroup, SyncGroup, Heartbeat, LeaveGroup. */
#include "config.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "refbroker/coord/group.h"
#include "refbroker/coord/handlers.h"
#include "refbroker/handler/request.h"
#include "refbroker/node_state.h"
#include "wire/value.h"

#include <stdio.h>

/* ---- JoinGroup ---- */

static void refuse_join(struct broker_request *r, int error, struct ferry_str member_id)
{
    struct ferry_join_group_response out;
    ferry_join_group_response_init(&out);
    out.error_code = (int16_t)error;
    out.generation_id = -1;
    out.protocol_name = r->version >= 7 ? (struct ferry_str){0} : FERRY_STR("");
    out.leader = FERRY_STR("");
    out.member_id = member_id.data ? member_id : FERRY_STR("");
    broker_reply(r, &out);
}

static struct ferry_str peer_text(struct broker_request *r)
{
    const struct ferry_addr *a = r->conn ? &r->conn->peer : NULL;
    if (!a || a->family != FERRY_INET4) {
        if (!a || a->family != FERRY_INET6)
            return FERRY_STR("/");
        return broker_request_text(
            r, "/%x:%x:%x:%x:%x:%x:%x:%x", a->ip[0] << 8 | a->ip[1], a->ip[2] << 8 | a->ip[3],
            a->ip[4] << 8 | a->ip[5], a->ip[6] << 8 | a->ip[7], a->ip[8] << 8 | a->ip[9],
            a->ip[10] << 8 | a->ip[11], a->ip[12] << 8 | a->ip[13], a->ip[14] << 8 | a->ip[15]);
    }
    return broker_request_text(r, "/%u.%u.%u.%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3]);
}

/* As Kafka makes them: the client's or the instance's name, a dash, a uuid. */
static struct ferry_str new_member_id(struct broker_request *r, struct ferry_str instance)
{
    struct ferry_uuid u = ferry_prng_uuid(&r->node->prng);
    struct ferry_str from = instance.data       ? instance
                            : r->client_id.data ? r->client_id
                                                : FERRY_STR("");
    char hex[33];
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", u.b[i]);
    return broker_request_text(r, "%.*s-%.8s-%.4s-%.4s-%.4s-%.12s",
                               (int)(from.len < 300 ? from.len : 300), from.data, hex, hex + 8,
                               hex + 12, hex + 16, hex + 20);
}

static void cancel_join(struct broker_request *r)
{
    struct coord_member *m = r->park;
    /* The member stays until its session ends: the client may come back on another connection. */
    if (m) {
        m->join = NULL;
        m->group->joined_count--;
        coord_group_touch(m);
    }
    broker_finish(r, false);
}

static void park_join(struct broker_request *r, struct coord_member *m)
{
    if (m->join) /* the client asks again: the older request is done with */
        coord_group_answer_join(m, FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    m->join = r;
    m->group->joined_count++;
    r->park = m;
    r->cancel = cancel_join;
    coord_group_touch(m);
    broker_request_park(r);
}

static int set_protocol_type(struct coord_group *g, struct ferry_str type)
{
    if (g->protocol_type && ferry_str_eq(ferry_str_of(g->protocol_type), type))
        return 0;
    char *copy = ferry_strndup(type.data, type.len);
    if (!copy)
        return FERRY_E_NOMEM;
    ferry_free(g->protocol_type);
    g->protocol_type = copy;
    return 0;
}

static void add_and_rebalance(struct broker_request *r, struct coord_group *g,
                              const struct coord_joiner *j)
{
    const struct ferry_join_group_request *in = r->input;
    struct coord_member *m = NULL;
    if (g->member_count == 0 && set_protocol_type(g, in->protocol_type) == 0)
        m = coord_group_add_member(g, j);
    else if (g->member_count > 0)
        m = coord_group_add_member(g, j);
    if (!m) {
        refuse_join(r, FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE, in->member_id);
        coord_group_drop_if_unused(g);
        return;
    }
    park_join(r, m);
    broker_request_shed(r);
    g->grew = true;
    if (g->state == GROUP_PREPARING)
        coord_group_try_complete(g);
    else
        coord_group_prepare(g, "a member joined");
}

/* The present generation, as it is. A member that led does not assign again: it is told so, or not told that it leads. */
static void answer_present(struct broker_request *r, struct coord_member *m, bool keep_leader)
{
    const struct coord_group *g = m->group;
    struct ferry_join_group_response out;
    bool leads = g->leader && !strcmp(g->leader, m->id);
    ferry_join_group_response_init(&out);
    out.generation_id = g->generation;
    out.protocol_type = ferry_str_of(g->protocol_type);
    out.protocol_name = ferry_str_of(g->protocol);
    out.leader = g->leader ? ferry_str_of(g->leader) : FERRY_STR("");
    out.member_id = ferry_str_of(m->id);
    if (leads && keep_leader) {
        out.members = ferry_msg_array(&ferry_join_group_response_member_msg, &r->arena,
                                      (size_t)g->member_count);
        if (!out.members) {
            broker_finish(r, true);
            return;
        }
        for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
            const struct coord_member *other = FERRY_CONTAINER(l, struct coord_member, link);
            struct ferry_join_group_response_member *to = &out.members[out.members_count++];
            to->member_id = ferry_str_of(other->id);
            to->group_instance_id = ferry_str_of(other->instance);
            to->metadata = coord_group_metadata(other);
        }
        out.skip_assignment = g->state == GROUP_STABLE && r->version >= 9;
    }
    coord_group_touch(m);
    broker_reply(r, &out);
}

struct static_return {
    struct coord_write write;
    struct broker_request *request;
    struct coord_group *group;
    struct ferry_str id;
    struct ferry_str former_leader;
};

/* The new id of a static member is written: it goes on in the present generation. */
static void on_static_written(struct coord_write *w, int error)
{
    struct static_return *s = FERRY_CONTAINER(w, struct static_return, write);
    struct coord_group *g = s->group;
    struct coord_member *m = coord_group_member(g, s->id);
    g->writes--;
    if (error || !m || !s->request->conn) {
        refuse_join(s->request, error ? error : FERRY_KAFKA_UNKNOWN_MEMBER_ID, s->id);
    } else if (g->state != GROUP_STABLE) { /* a rebalance began meanwhile: it takes part */
        park_join(s->request, m);
        coord_group_try_complete(g);
    } else if (s->request->version >= 9 || !g->leader || strcmp(g->leader, m->id)) {
        answer_present(s->request, m, true);
    } else { /* an older client would assign anew if it heard that it leads: it hears of its former self */
        struct ferry_join_group_response out;
        ferry_join_group_response_init(&out);
        out.generation_id = g->generation;
        out.protocol_type = ferry_str_of(g->protocol_type);
        out.protocol_name = ferry_str_of(g->protocol);
        out.leader = s->former_leader;
        out.member_id = ferry_str_of(m->id);
        coord_group_touch(m);
        broker_reply(s->request, &out);
    }
    coord_group_drop_if_unused(g);
}

static void return_static(struct broker_request *r, struct coord_member *m,
                          const struct coord_joiner *j)
{
    struct coord_group *g = m->group;
    struct broker_node *n = r->node;
    struct static_return *s = broker_request_alloc(r, 1, sizeof *s);
    struct ferry_group_metadata_value value;
    struct ferry_str former = broker_request_text(r, "%s", m->id),
                     fresh = new_member_id(r, j->instance);
    if (!s || !fresh.data || !former.data) {
        broker_finish(r, true);
        return;
    }
    if (m->join)
        coord_group_answer_join(m, FERRY_KAFKA_FENCED_INSTANCE_ID);
    if (m->sync)
        coord_group_answer_sync(m, FERRY_KAFKA_FENCED_INSTANCE_ID);
    struct ferry_bytes old = coord_group_metadata(m);
    bool same = g->state == GROUP_STABLE && g->protocol;
    if (same) { /* no rebalance if what it says under the chosen protocol is what it said before */
        same = false;
        for (int32_t i = 0; i < j->protocol_count; i++)
            if (ferry_str_eq(j->protocols[i].name, ferry_str_of(g->protocol)))
                same = old.len == j->protocols[i].metadata.len &&
                       !memcmp(old.data, j->protocols[i].metadata.data, old.len);
    }
    if (coord_group_rename_member(m, fresh) || coord_group_update_member(m, j)) {
        refuse_join(r, FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE, fresh);
        return;
    }
    if (!same) {
        park_join(r, m);
        broker_request_shed(r);
        if (g->state == GROUP_PREPARING)
            coord_group_try_complete(g);
        else
            coord_group_prepare(g, "a static member came back with other protocols");
        return;
    }
    *s = (struct static_return){.request = r, .group = g, .id = fresh, .former_leader = former};
    s->write.done = on_static_written;
    broker_groups_begin(n);
    g->writes++;
    int code = coord_group_record(g, &r->arena, NULL, &value);
    if (!code)
        code = broker_groups_add_group(n, ferry_str_of(g->name), &value);
    if (code || (code = broker_groups_submit(n, g->shard, &s->write))) {
        g->writes--;
        refuse_join(r, FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE, fresh);
    }
}

/* A member without an id. */
static void join_unknown(struct broker_request *r, struct coord_group *g, struct coord_joiner *j)
{
    struct coord_member *m = j->instance.data ? coord_group_static_member(g, j->instance) : NULL;
    if (m) {
        return_static(r, m, j);
        return;
    }
    j->id = new_member_id(r, j->instance);
    if (!j->id.data) {
        broker_finish(r, true);
        return;
    }
    if (j->instance.data || r->version < 4) {
        add_and_rebalance(r, g, j);
        return;
    }
    if (!coord_group_add_pending(g, j->id, j->session_ms)) {
        refuse_join(r, FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE, FERRY_STR(""));
        coord_group_drop_if_unused(g);
        return;
    }
    refuse_join(r, FERRY_KAFKA_MEMBER_ID_REQUIRED, j->id);
}

static void join_again(struct broker_request *r, struct coord_member *m,
                       const struct coord_joiner *j)
{
    struct coord_group *g = m->group;
    bool same = coord_group_same_protocols(m, j);
    bool leads = g->leader && !strcmp(g->leader, m->id);
    if (same && (g->state == GROUP_COMPLETING || (g->state == GROUP_STABLE && !leads))) {
        answer_present(r, m, true);
        return;
    }
    if (coord_group_update_member(m, j)) {
        refuse_join(r, FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE, j->id);
        return;
    }
    park_join(r, m);
    broker_request_shed(r);
    if (g->state == GROUP_PREPARING)
        coord_group_try_complete(g);
    else
        coord_group_prepare(g,
                            leads ? "the leader joined again" : "a member's subscription changed");
}

static void join_known(struct broker_request *r, struct coord_group *g,
                       const struct coord_joiner *j)
{
    struct coord_pending *p = coord_group_pending(g, j->id);
    struct coord_member *m = coord_group_member(g, j->id);
    struct coord_member *named =
        j->instance.data ? coord_group_static_member(g, j->instance) : NULL;
    if (p && !j->instance.data) {
        coord_group_remove_pending(p);
        add_and_rebalance(r, g, j);
    } else if (j->instance.data && !named) {
        refuse_join(r, FERRY_KAFKA_UNKNOWN_MEMBER_ID, j->id);
    } else if (named && named != m) {
        refuse_join(r, FERRY_KAFKA_FENCED_INSTANCE_ID, j->id);
    } else if (!m) {
        refuse_join(r, FERRY_KAFKA_UNKNOWN_MEMBER_ID, j->id);
    } else {
        join_again(r, m, j);
    }
}

/* What a member says is kept as long as it is there; in the end it must fit one batch with what the others say. */
static bool says_too_much(const struct broker_request *r)
{
    const struct ferry_join_group_request *in = r->input;
    size_t all = 0;
    for (int32_t i = 0; i < in->protocols_count; i++)
        all += in->protocols[i].name.len + in->protocols[i].metadata.len;
    return all / 4 > (size_t)r->node->config.now.message_max_bytes;
}

static int check_join(struct broker_request *r, struct coord_shard **shard)
{
    const struct ferry_join_group_request *in = r->input;
    const struct broker_settings *s = &r->node->config.now;
    if (!in->group_id.len)
        return FERRY_KAFKA_INVALID_GROUP_ID;
    int code = broker_groups_shard(r->node, in->group_id, shard);
    if (code)
        return code;
    if (in->session_timeout_ms < s->group_min_session_ms ||
        in->session_timeout_ms > s->group_max_session_ms)
        return FERRY_KAFKA_INVALID_SESSION_TIMEOUT;
    if (in->protocols_count <= 0 || in->protocols_count > COORD_PROTOCOLS_MAX ||
        !in->protocol_type.len)
        return FERRY_KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    return says_too_much(r) ? FERRY_KAFKA_INVALID_REQUEST : 0;
}

void coord_join(struct broker_request *r)
{
    const struct ferry_join_group_request *in = r->input;
    struct broker_node *n = r->node;
    struct coord_shard *shard;
    int code = check_join(r, &shard);
    struct coord_group *g = code ? NULL : coord_group_find(n, in->group_id);
    struct coord_joiner j = {in->member_id,
                             in->group_instance_id,
                             r->client_id,
                             peer_text(r),
                             in->session_timeout_ms,
                             r->version >= 1 && in->rebalance_timeout_ms >= 0
                                 ? in->rebalance_timeout_ms
                                 : in->session_timeout_ms,
                             in->protocols,
                             in->protocols_count};
    bool known = in->member_id.len > 0;
    if (!code && !g && known)
        code = FERRY_KAFKA_UNKNOWN_MEMBER_ID;
    if (!code && !g && !(g = coord_group_new(n, shard, in->group_id)))
        code = FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    struct coord_member *self = g && known ? coord_group_member(g, in->member_id)
                                : g && in->group_instance_id.data
                                    ? coord_group_static_member(g, in->group_instance_id)
                                    : NULL;
    if (!code && !self && g->member_count + g->pending_count >= n->config.now.group_max_size &&
        !(known && coord_group_pending(g, in->member_id)))
        code = FERRY_KAFKA_GROUP_MAX_SIZE_REACHED;
    if (!code && !coord_group_accepts(g, in->protocol_type, &j, self))
        code = FERRY_KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (code)
        refuse_join(r, code, in->member_id);
    else if (known)
        join_known(r, g, &j);
    else
        join_unknown(r, g, &j);
}

/* ---- SyncGroup ---- */

static void refuse_sync(struct broker_request *r, int error)
{
    struct ferry_sync_group_response out;
    ferry_sync_group_response_init(&out);
    out.error_code = (int16_t)error;
    out.assignment = (struct ferry_bytes){(const uint8_t *)"", 0};
    broker_reply(r, &out);
}

/* A member, by id and instance, in this generation. */
static int find_member(struct broker_node *n, struct ferry_str group, struct ferry_str id,
                       struct ferry_str instance, struct coord_member **out)
{
    struct coord_shard *shard;
    int code = group.len ? broker_groups_shard(n, group, &shard) : FERRY_KAFKA_INVALID_GROUP_ID;
    if (code)
        return code;
    struct coord_group *g = coord_group_find(n, group);
    if (!g)
        return FERRY_KAFKA_UNKNOWN_MEMBER_ID;
    if (instance.data) {
        struct coord_member *m = coord_group_static_member(g, instance);
        if (!m)
            return FERRY_KAFKA_UNKNOWN_MEMBER_ID;
        if (!ferry_str_eq(ferry_str_of(m->id), id))
            return FERRY_KAFKA_FENCED_INSTANCE_ID;
        *out = m;
        return 0;
    }
    *out = coord_group_member(g, id);
    return *out ? 0 : FERRY_KAFKA_UNKNOWN_MEMBER_ID;
}

/* The leader's assignments on their way to the log. It lives on its own: the leader may go meanwhile. */
struct leader_sync {
    struct coord_write write;
    struct coord_group *group;
    int32_t generation;
    struct ferry_arena arena;
    struct ferry_group_metadata_value value;
};

static void destroy_sync(struct coord_write *w)
{
    struct leader_sync *s = FERRY_CONTAINER(w, struct leader_sync, write);
    ferry_arena_free(&s->arena);
    ferry_free(s);
}

static void take_assignments(struct coord_group *g, const struct ferry_group_metadata_value *v)
{
    for (int32_t i = 0; i < v->members_count; i++) {
        struct coord_member *m = coord_group_member(g, v->members[i].member_id);
        if (m && coord_group_set_assignment(m, v->members[i].assignment))
            broker_node_say(g->node, LOG_ERROR, "group %s: no memory for an assignment", g->name);
    }
}

static void fail_syncs(struct coord_group *g, int error)
{
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
        struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        if (m->sync)
            coord_group_answer_sync(m, error);
    }
    coord_group_prepare(g, "the assignments could not be written");
}

static void on_assigned(struct coord_write *w, int error)
{
    struct leader_sync *s = FERRY_CONTAINER(w, struct leader_sync, write);
    struct coord_group *g = s->group;
    g->writes--;
    if (g->state == GROUP_COMPLETING &&
        g->generation == s->generation) { /* else a rebalance overtook it */
        if (error) {
            fail_syncs(g, error);
        } else {
            take_assignments(g, &s->value);
            coord_group_complete_sync(g);
        }
    }
    destroy_sync(w);
    coord_group_drop_if_unused(g);
}

static int write_assignments(struct broker_node *n, struct coord_group *g,
                             const struct ferry_sync_group_request *in)
{
    struct ferry_group_metadata_value value;
    struct leader_sync *s = ferry_zalloc(sizeof *s);
    if (!s)
        return FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    ferry_arena_init(&s->arena, SIZE_MAX);
    s->group = g;
    s->generation = g->generation;
    s->write.done = on_assigned;
    s->write.destroy = destroy_sync;
    broker_groups_begin(n);
    g->writes++;
    int code = coord_group_record(g, &s->arena, in, &value);
    if (!code)
        code = ferry_msg_copy(&ferry_group_metadata_value_msg, &value, &s->arena, &s->value);
    if (!code)
        code = broker_groups_add_group(n, ferry_str_of(g->name), &value);
    bool too_large = !code && broker_groups_too_large(n);
    if (code || too_large || broker_groups_submit(n, g->shard, &s->write)) {
        g->writes--;
        destroy_sync(&s->write);
        return too_large ? FERRY_KAFKA_UNKNOWN_SERVER_ERROR : FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    return 0;
}

static void cancel_sync(struct broker_request *r)
{
    struct coord_member *m = r->park;
    if (m) {
        m->sync = NULL;
        coord_group_touch(m);
    }
    broker_finish(r, false);
}

static void park_sync(struct broker_request *r, struct coord_member *m)
{
    if (m->sync)
        coord_group_answer_sync(m, FERRY_KAFKA_REBALANCE_IN_PROGRESS);
    m->sync = r;
    r->park = m;
    r->cancel = cancel_sync;
    broker_request_park(r);
}

static bool is_leader(const struct coord_member *m)
{
    return m->group->leader && !strcmp(m->group->leader, m->id);
}

static int check_sync(struct broker_request *r, struct coord_member **m)
{
    const struct ferry_sync_group_request *in = r->input;
    int code = find_member(r->node, in->group_id, in->member_id, in->group_instance_id, m);
    if (code)
        return code;
    const struct coord_group *g = (*m)->group;
    if (r->version >= 5 && in->protocol_type.data && g->protocol_type &&
        !ferry_str_eq(in->protocol_type, ferry_str_of(g->protocol_type)))
        return FERRY_KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (r->version >= 5 && in->protocol_name.data && g->protocol &&
        !ferry_str_eq(in->protocol_name, ferry_str_of(g->protocol)))
        return FERRY_KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (in->generation_id != g->generation)
        return FERRY_KAFKA_ILLEGAL_GENERATION;
    if (g->state == GROUP_PREPARING)
        return FERRY_KAFKA_REBALANCE_IN_PROGRESS;
    return g->state == GROUP_EMPTY || g->state == GROUP_DEAD ? FERRY_KAFKA_UNKNOWN_MEMBER_ID : 0;
}

void coord_sync(struct broker_request *r)
{
    const struct ferry_sync_group_request *in = r->input;
    struct coord_member *m;
    int code = check_sync(r, &m);
    if (code) {
        refuse_sync(r, code);
        return;
    }
    struct coord_group *g = m->group;
    park_sync(r, m);
    coord_group_touch(m);
    if (g->state == GROUP_STABLE) {
        coord_group_answer_sync(m, 0);
    } else if (!is_leader(m)) {
        broker_request_shed(r);
    } else if ((code = write_assignments(r->node, g, in))) {
        fail_syncs(g, code);
    }
}

/* ---- Heartbeat ---- */

void coord_heartbeat(struct broker_request *r)
{
    const struct ferry_heartbeat_request *in = r->input;
    struct ferry_heartbeat_response out;
    struct coord_member *m;
    ferry_heartbeat_response_init(&out);
    int code = find_member(r->node, in->group_id, in->member_id, in->group_instance_id, &m);
    if (!code && in->generation_id != m->group->generation)
        code = FERRY_KAFKA_ILLEGAL_GENERATION;
    if (!code) {
        coord_group_touch(m);
        if (m->group->state == GROUP_PREPARING)
            code = FERRY_KAFKA_REBALANCE_IN_PROGRESS;
        else if (m->group->state != GROUP_STABLE && m->group->state != GROUP_COMPLETING)
            code = FERRY_KAFKA_UNKNOWN_MEMBER_ID;
    }
    out.error_code = (int16_t)code;
    broker_reply(r, &out);
}

/* ---- LeaveGroup ---- */

static int leave_one(struct coord_group *g, struct ferry_str id, struct ferry_str instance)
{
    if (instance.data) {
        struct coord_member *m = coord_group_static_member(g, instance);
        if (!m)
            return FERRY_KAFKA_UNKNOWN_MEMBER_ID;
        if (id.len &&
            !ferry_str_eq(ferry_str_of(m->id), id)) /* an admin names the instance alone */
            return FERRY_KAFKA_FENCED_INSTANCE_ID;
        coord_group_remove_member(m, FERRY_KAFKA_UNKNOWN_MEMBER_ID);
        return 0;
    }
    struct coord_pending *p = coord_group_pending(g, id);
    struct coord_member *m = coord_group_member(g, id);
    if (p)
        coord_group_remove_pending(p);
    else if (m)
        coord_group_remove_member(m, FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    return p || m ? 0 : FERRY_KAFKA_UNKNOWN_MEMBER_ID;
}

static bool leave_all(struct broker_request *r, struct coord_group *g,
                      struct ferry_leave_group_response *out)
{
    const struct ferry_leave_group_request *in = r->input;
    size_t count = in->members_count > 0 ? (size_t)in->members_count : 0;
    out->members = ferry_msg_array(&ferry_leave_group_response_member_msg, &r->arena, count);
    if (!out->members && count)
        return false;
    out->members_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        out->members[i].member_id = in->members[i].member_id;
        out->members[i].group_instance_id = in->members[i].group_instance_id;
        out->members[i].error_code =
            (int16_t)(g ? leave_one(g, in->members[i].member_id, in->members[i].group_instance_id)
                        : FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    }
    return true;
}

void coord_leave(struct broker_request *r)
{
    const struct ferry_leave_group_request *in = r->input;
    struct ferry_leave_group_response out;
    struct coord_shard *shard;
    ferry_leave_group_response_init(&out);
    int code = in->group_id.len ? broker_groups_shard(r->node, in->group_id, &shard)
                                : FERRY_KAFKA_INVALID_GROUP_ID;
    struct coord_group *g = code ? NULL : coord_group_find(r->node, in->group_id);
    int32_t before = g ? g->member_count + g->pending_count : 0;
    if (!code && r->version < 3)
        code =
            g ? leave_one(g, in->member_id, (struct ferry_str){0}) : FERRY_KAFKA_UNKNOWN_MEMBER_ID;
    else if (!code && !leave_all(r, g, &out)) {
        broker_finish(r, true);
        return;
    }
    if (g && g->member_count + g->pending_count < before) {
        coord_group_member_left(g, "a member left");
        coord_group_drop_if_unused(g);
    }
    out.error_code = (int16_t)code;
    broker_reply(r, &out);
}
