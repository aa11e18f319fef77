/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups and their members as things in memory; rebalance.c moves them. */
#include "config.h"

#include "refbroker/coord/group.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "refbroker/coord/rebalance.h"
#include "refbroker/node_state.h"

/* ---- groups ---- */

const char *coord_group_state_name(enum coord_group_state s)
{
    static const char *const names[] = {"Empty", "PreparingRebalance", "CompletingRebalance",
                                        "Stable", "Dead"};
    return names[s];
}

void coord_group_move(struct coord_group *g, enum coord_group_state to)
{
    static const uint8_t may[] = {
        [GROUP_EMPTY] =
            1 << GROUP_PREPARING | 1 << GROUP_STABLE | 1 << GROUP_DEAD, /* STABLE: from the log */
        [GROUP_PREPARING] = 1 << GROUP_COMPLETING | 1 << GROUP_EMPTY | 1 << GROUP_DEAD,
        [GROUP_COMPLETING] = 1 << GROUP_STABLE | 1 << GROUP_PREPARING | 1 << GROUP_DEAD,
        [GROUP_STABLE] = 1 << GROUP_PREPARING | 1 << GROUP_EMPTY | 1 << GROUP_DEAD,
        [GROUP_DEAD] = 0,
    };
    FERRY_CHECK(may[g->state] & 1 << to);
    broker_node_say(g->node, LOG_DEBUG, "group %s: %s -> %s, generation %d, %d members", g->name,
                    coord_group_state_name(g->state), coord_group_state_name(to),
                    (int)g->generation, (int)g->member_count);
    g->state = to;
    g->state_since = g->node->wall;
}

struct coord_group *coord_group_find(const struct broker_node *n, struct ferry_str name)
{
    return name.data ? ferry_map_get(&n->groups.by_name, name.data, name.len) : NULL;
}

struct coord_group *coord_group_new(struct broker_node *n, const struct coord_shard *shard,
                                    struct ferry_str name)
{
    struct coord_group *g = ferry_zalloc(sizeof *g);
    if (!g || !(g->name = ferry_strndup(name.data, name.len)) ||
        ferry_map_put(&n->groups.by_name, name.data, name.len, g, NULL)) {
        if (g)
            ferry_free(g->name);
        ferry_free(g);
        return NULL;
    }
    g->node = n;
    g->shard = shard;
    g->state_since = n->wall;
    ferry_list_init(&g->members);
    ferry_list_init(&g->pending);
    g->rebalance.fire = coord_rebalance_on_timer;
    return g;
}

static void free_member(struct coord_member *m)
{
    ferry_timer_cancel(&m->group->node->timers, &m->session);
    ferry_free(m->id);
    ferry_free(m->instance);
    ferry_free(m->client_id);
    ferry_free(m->host);
    ferry_free(m->protocols);
    ferry_free(m->assignment);
    ferry_free(m);
}

void coord_group_free(struct coord_group *g)
{
    struct ferry_link *l;
    struct ferry_map_entry *e;
    ferry_map_remove(&g->node->groups.by_name, g->name, strlen(g->name));
    ferry_timer_cancel(&g->node->timers, &g->rebalance);
    while ((l = ferry_list_pop_front(&g->members)))
        free_member(FERRY_CONTAINER(l, struct coord_member, link));
    while (!ferry_list_empty(&g->pending))
        coord_group_remove_pending(FERRY_CONTAINER(g->pending.next, struct coord_pending, link));
    for (size_t at = 0; (e = ferry_map_next(&g->offsets, &at));) {
        struct coord_offset *o = e->value;
        ferry_free(o->metadata);
        ferry_free(o);
    }
    ferry_map_free(&g->offsets);
    ferry_free(g->name);
    ferry_free(g->protocol_type);
    ferry_free(g->protocol);
    ferry_free(g->leader);
    ferry_free(g);
}

void coord_group_drop_if_unused(struct coord_group *g)
{
    if (g->member_count || g->pending_count || g->recorded || g->offsets.live || g->writes)
        return;
    if (g->state != GROUP_EMPTY && g->state != GROUP_DEAD)
        return;
    coord_group_free(g);
}

/* ---- members ---- */

struct coord_member *coord_group_member(const struct coord_group *g, struct ferry_str id)
{
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
        struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        if (ferry_str_eq(ferry_str_of(m->id), id))
            return m;
    }
    return NULL;
}

struct coord_member *coord_group_static_member(const struct coord_group *g,
                                               struct ferry_str instance)
{
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
        struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        if (m->instance && ferry_str_eq(ferry_str_of(m->instance), instance))
            return m;
    }
    return NULL;
}

struct coord_pending *coord_group_pending(const struct coord_group *g, struct ferry_str id)
{
    for (struct ferry_link *l = g->pending.next; l != &g->pending; l = l->next) {
        struct coord_pending *p = FERRY_CONTAINER(l, struct coord_pending, link);
        if (ferry_str_eq(ferry_str_of(p->id), id))
            return p;
    }
    return NULL;
}

struct coord_pending *coord_group_add_pending(struct coord_group *g, struct ferry_str id,
                                              int32_t ms)
{
    struct coord_pending *p = ferry_zalloc(sizeof *p);
    if (!p || !(p->id = ferry_strndup(id.data, id.len))) {
        ferry_free(p);
        return NULL;
    }
    p->group = g;
    p->timer.fire = coord_rebalance_on_pending_timer;
    ferry_list_push_back(&g->pending, &p->link);
    g->pending_count++;
    if (broker_timer_in(g->node, &p->timer, ms)) {
        coord_group_remove_pending(p);
        return NULL;
    }
    return p;
}

void coord_group_remove_pending(struct coord_pending *p)
{
    ferry_timer_cancel(&p->group->node->timers, &p->timer);
    ferry_list_remove(&p->link);
    p->group->pending_count--;
    ferry_free(p->id);
    ferry_free(p);
}

/* Copies the protocols into one block. */
static int take_protocols(struct coord_member *m, const struct coord_joiner *j)
{
    size_t size = (size_t)j->protocol_count * sizeof *m->protocols;
    for (int32_t i = 0; i < j->protocol_count; i++)
        size += j->protocols[i].name.len + j->protocols[i].metadata.len;
    struct coord_protocol *block = ferry_alloc(size ? size : 1);
    if (!block)
        return FERRY_E_NOMEM;
    char *at = (char *)(block + j->protocol_count);
    for (int32_t i = 0; i < j->protocol_count; i++) {
        struct ferry_str name = j->protocols[i].name;
        struct ferry_bytes metadata = j->protocols[i].metadata;
        memcpy(at, name.data, name.len);
        block[i].name = (struct ferry_str){at, name.len};
        at += name.len;
        if (metadata.len)
            memcpy(at, metadata.data, metadata.len);
        block[i].metadata = (struct ferry_bytes){(uint8_t *)at, metadata.len};
        at += metadata.len;
    }
    ferry_free(m->protocols);
    m->protocols = block;
    m->protocol_count = j->protocol_count;
    return 0;
}

int coord_group_update_member(struct coord_member *m, const struct coord_joiner *j)
{
    m->session_ms = j->session_ms;
    m->rebalance_ms = j->rebalance_ms;
    return take_protocols(m, j);
}

static char *dup_str(struct ferry_str s)
{
    return s.data ? ferry_strndup(s.data, s.len) : NULL;
}

struct coord_member *coord_group_add_member(struct coord_group *g, const struct coord_joiner *j)
{
    struct coord_member *m = ferry_zalloc(sizeof *m);
    if (!m)
        return NULL;
    m->group = g;
    m->session.fire = coord_rebalance_on_session_timer;
    m->id = dup_str(j->id);
    m->instance = dup_str(j->instance);
    m->client_id = dup_str(j->client_id.data ? j->client_id : FERRY_STR(""));
    m->host = dup_str(j->host);
    if (!m->id || (j->instance.data && !m->instance) || !m->client_id || !m->host ||
        coord_group_update_member(m, j)) {
        free_member(m);
        return NULL;
    }
    ferry_list_push_back(&g->members, &m->link);
    g->member_count++;
    return m;
}

int coord_group_rename_member(struct coord_member *m, struct ferry_str id)
{
    struct coord_group *g = m->group;
    bool leads = g->leader && !strcmp(g->leader, m->id);
    char *one = dup_str(id), *two = leads ? dup_str(id) : NULL;
    if (!one || (leads && !two)) {
        ferry_free(one);
        ferry_free(two);
        return FERRY_E_NOMEM;
    }
    ferry_free(m->id);
    m->id = one;
    if (leads) {
        ferry_free(g->leader);
        g->leader = two;
    }
    return 0;
}

bool coord_group_same_protocols(const struct coord_member *m, const struct coord_joiner *j)
{
    if (m->protocol_count != j->protocol_count)
        return false;
    for (int32_t i = 0; i < j->protocol_count; i++)
        if (!ferry_str_eq(m->protocols[i].name, j->protocols[i].name) ||
            m->protocols[i].metadata.len != j->protocols[i].metadata.len ||
            memcmp(m->protocols[i].metadata.data, j->protocols[i].metadata.data,
                   j->protocols[i].metadata.len))
            return false;
    return true;
}

void coord_group_remove_member(struct coord_member *m, int error)
{
    struct coord_group *g = m->group;
    if (m->join)
        coord_group_answer_join(m, error);
    if (m->sync)
        coord_group_answer_sync(m, error);
    if (g->leader && !strcmp(g->leader, m->id)) {
        ferry_free(g->leader);
        g->leader = NULL;
    }
    ferry_list_remove(&m->link);
    g->member_count--;
    free_member(m);
}

void coord_group_touch(struct coord_member *m)
{
    struct broker_node *n = m->group->node;
    if (m->join || m->sync) {
        ferry_timer_cancel(&n->timers, &m->session);
        return;
    }
    if (broker_timer_in(n, &m->session, m->session_ms))
        broker_node_say(n, LOG_ERROR, "no memory for the session of a member of group %s",
                        m->group->name);
}

int coord_group_set_assignment(struct coord_member *m, struct ferry_bytes b)
{
    uint8_t *copy = ferry_memdup(b.len ? b.data : (const uint8_t *)"", b.len ? b.len : 1);
    if (!copy)
        return FERRY_E_NOMEM;
    ferry_free(m->assignment);
    m->assignment = copy;
    m->assignment_len = b.len;
    return 0;
}

static bool knows(const struct coord_member *m, struct ferry_str protocol)
{
    for (int32_t i = 0; i < m->protocol_count; i++)
        if (ferry_str_eq(m->protocols[i].name, protocol))
            return true;
    return false;
}

bool coord_group_accepts(const struct coord_group *g, struct ferry_str type,
                         const struct coord_joiner *j, const struct coord_member *except)
{
    bool others = false;
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next)
        others |= FERRY_CONTAINER(l, struct coord_member, link) != except;
    if (!others)
        return true;
    if (!g->protocol_type || !ferry_str_eq(ferry_str_of(g->protocol_type), type))
        return false;
    for (int32_t i = 0; i < j->protocol_count; i++) {
        bool all = true;
        for (struct ferry_link *l = g->members.next; all && l != &g->members; l = l->next) {
            const struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
            all = m == except || knows(m, j->protocols[i].name);
        }
        if (all)
            return true;
    }
    return false;
}

struct ferry_bytes coord_group_metadata(const struct coord_member *m)
{
    for (int32_t i = 0; m->group->protocol && i < m->protocol_count; i++)
        if (ferry_str_eq(m->protocols[i].name, ferry_str_of(m->group->protocol)))
            return m->protocols[i].metadata;
    return (struct ferry_bytes){(const uint8_t *)"", 0};
}

int coord_group_record(const struct coord_group *g, struct ferry_arena *arena,
                       const struct ferry_sync_group_request *sync,
                       struct ferry_group_metadata_value *out)
{
    ferry_group_metadata_value_init(out);
    out->protocol_type = g->protocol_type ? ferry_str_of(g->protocol_type) : FERRY_STR("");
    out->generation = g->generation;
    out->protocol = ferry_str_of(g->protocol);
    out->leader = ferry_str_of(g->leader);
    out->current_state_timestamp = g->node->wall;
    out->members = ferry_arena_array(arena, (size_t)g->member_count, sizeof *out->members);
    if (!out->members && g->member_count)
        return FERRY_E_NOMEM;
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
        const struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        struct ferry_group_metadata_value_member_metadata *to = &out->members[out->members_count++];
        to->member_id = ferry_str_of(m->id);
        to->group_instance_id = ferry_str_of(m->instance);
        to->client_id = ferry_str_of(m->client_id);
        to->client_host = ferry_str_of(m->host);
        to->rebalance_timeout = m->rebalance_ms;
        to->session_timeout = m->session_ms;
        to->subscription = coord_group_metadata(m);
        to->assignment = (struct ferry_bytes){m->assignment ? m->assignment : (const uint8_t *)"",
                                              m->assignment_len};
        if (!sync)
            continue;
        to->assignment = (struct ferry_bytes){(const uint8_t *)"", 0};
        for (int32_t i = 0; i < sync->assignments_count; i++)
            if (ferry_str_eq(sync->assignments[i].member_id, to->member_id))
                to->assignment = sync->assignments[i].assignment;
    }
    return 0;
}
