/* SPDX-License-Identifier: BSD-2-Clause */
/* How a group moves from one generation to the next: coord/group.h has the diagram. */
#include "config.h"

#include "refbroker/coord/rebalance.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "ferry/kafka_errors.h"
#include "refbroker/coord/group.h"
#include "refbroker/node_state.h"

#define EACH_MEMBER(g, l)                                                                          \
    for (struct ferry_link *l = (g)->members.next, *l##_next = l->next; l != &(g)->members;        \
         l = l##_next, l##_next = l->next)

static struct coord_member *member_of(struct ferry_link *l)
{
    return FERRY_CONTAINER(l, struct coord_member, link);
}

/* ---- answers ---- */

/* Only the leader hears who else is in the group. */
static bool list_members(struct coord_group *g, struct broker_request *r,
                         struct ferry_join_group_response *out)
{
    out->members =
        ferry_msg_array(&ferry_join_group_response_member_msg, &r->arena, (size_t)g->member_count);
    if (!out->members)
        return false;
    EACH_MEMBER(g, l)
    {
        struct coord_member *m = member_of(l);
        struct ferry_join_group_response_member *to = &out->members[out->members_count++];
        to->member_id = ferry_str_of(m->id);
        to->group_instance_id = ferry_str_of(m->instance);
        to->metadata = coord_group_metadata(m);
    }
    return true;
}

void coord_group_answer_join(struct coord_member *m, int error)
{
    struct coord_group *g = m->group;
    struct broker_request *r = m->join;
    struct ferry_join_group_response out;
    FERRY_CHECK(r);
    m->join = NULL;
    g->joined_count--;
    ferry_join_group_response_init(&out);
    out.error_code = (int16_t)error;
    out.member_id = ferry_str_of(m->id);
    out.generation_id = -1;
    out.leader = FERRY_STR("");
    out.protocol_name = r->version >= 7 ? (struct ferry_str){0} : FERRY_STR("");
    bool ok = true;
    if (!error) {
        out.generation_id = g->generation;
        out.protocol_type = ferry_str_of(g->protocol_type);
        out.protocol_name = ferry_str_of(g->protocol);
        out.leader = ferry_str_of(g->leader);
        if (g->leader && !strcmp(g->leader, m->id))
            ok = list_members(g, r, &out);
    }
    r->park = NULL;
    coord_group_touch(m);
    if (ok)
        broker_reply(r, &out);
    else
        broker_finish(r, true);
}

void coord_group_answer_sync(struct coord_member *m, int error)
{
    struct coord_group *g = m->group;
    struct broker_request *r = m->sync;
    struct ferry_sync_group_response out;
    FERRY_CHECK(r);
    m->sync = NULL;
    ferry_sync_group_response_init(&out);
    out.error_code = (int16_t)error;
    out.assignment = (struct ferry_bytes){(const uint8_t *)"", 0};
    if (!error) {
        out.protocol_type = ferry_str_of(g->protocol_type);
        out.protocol_name = ferry_str_of(g->protocol);
        if (FERRY_PLANTED(OWNERS_TWO) && g->leader)
            m = coord_group_member(g, ferry_str_of(g->leader));
        if (m->assignment)
            out.assignment = (struct ferry_bytes){m->assignment, m->assignment_len};
    }
    r->park = NULL;
    coord_group_touch(m);
    broker_reply(r, &out);
}

void coord_group_complete_sync(struct coord_group *g)
{
    ferry_timer_cancel(&g->node->timers, &g->rebalance);
    coord_group_move(g, GROUP_STABLE);
    EACH_MEMBER(g, l)
    if (member_of(l)->sync)
        coord_group_answer_sync(member_of(l), 0);
}

/* ---- choosing ---- */

static bool all_know(const struct coord_group *g, struct ferry_str protocol)
{
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
        const struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        int32_t i = 0;
        while (i < m->protocol_count && !ferry_str_eq(m->protocols[i].name, protocol))
            i++;
        if (i == m->protocol_count)
            return false;
    }
    return true;
}

struct candidate {
    struct ferry_str name;
    int32_t votes, since; /* since: how many had voted when it got its first */
};

static struct candidate *candidate(struct candidate *all, int count, struct ferry_str name)
{
    for (int i = 0; i < count; i++)
        if (ferry_str_eq(all[i].name, name))
            return &all[i];
    return NULL;
}

/* Each member votes for the first of its protocols that all know; most votes win, the first voted for at a tie. */
static struct ferry_str vote(const struct coord_group *g)
{
    struct candidate all[COORD_PROTOCOLS_MAX];
    const struct coord_member *first = FERRY_CONTAINER(g->members.next, struct coord_member, link);
    const struct candidate *best = NULL;
    int32_t count = 0, voted = 0;
    for (int32_t i = 0; i < first->protocol_count && count < COORD_PROTOCOLS_MAX; i++)
        if (all_know(g, first->protocols[i].name))
            all[count++] = (struct candidate){first->protocols[i].name, 0, 0};
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next, voted++) {
        const struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        struct candidate *its = NULL;
        for (int32_t i = 0; !its && i < m->protocol_count; i++)
            its = candidate(all, count, m->protocols[i].name);
        if (its && its->votes++ == 0)
            its->since = voted;
    }
    for (int32_t i = 0; i < count; i++)
        if (all[i].votes && (!best || all[i].votes > best->votes ||
                             (all[i].votes == best->votes && all[i].since < best->since)))
            best = &all[i];
    return best ? best->name : (struct ferry_str){0};
}

static bool set_text(char **to, struct ferry_str s)
{
    char *copy = s.data ? ferry_strndup(s.data, s.len) : NULL;
    if (s.data && !copy)
        return false;
    ferry_free(*to);
    *to = copy;
    return true;
}

/* The leader stays if it has joined; else the first that has. */
static bool elect(struct coord_group *g)
{
    struct coord_member *leader = g->leader ? coord_group_member(g, ferry_str_of(g->leader)) : NULL;
    if (leader && leader->join)
        return true;
    EACH_MEMBER(g, l)
    if (member_of(l)->join)
        return set_text(&g->leader, ferry_str_of(member_of(l)->id));
    return false;
}

static int32_t longest_rebalance(const struct coord_group *g)
{
    int32_t ms = 0;
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
        const struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        ms = m->rebalance_ms > ms ? m->rebalance_ms : ms;
    }
    return ms;
}

/* ---- the phases ---- */

static void arm(struct coord_group *g, int32_t ms)
{
    if (broker_timer_in(g->node, &g->rebalance, ms))
        broker_node_say(g->node, LOG_ERROR, "no memory for the rebalance of group %s", g->name);
}

/* A group that became empty says so in the log, so that its generation goes on from there. */
static void record_empty(struct coord_group *g)
{
    struct ferry_group_metadata_value value;
    struct ferry_arena none;
    ferry_arena_init(&none, 1);
    broker_groups_begin(g->node);
    if (!coord_group_record(g, &none, NULL, &value) &&
        !broker_groups_add_group(g->node, ferry_str_of(g->name), &value))
        broker_groups_submit_detached(g->node, g, "that it is empty");
    ferry_arena_free(&none);
}

static void became_empty(struct coord_group *g)
{
    g->generation++;
    ferry_free(g->protocol);
    ferry_free(g->leader);
    g->protocol = g->leader = NULL;
    ferry_timer_cancel(&g->node->timers, &g->rebalance);
    coord_group_move(g, GROUP_EMPTY);
    record_empty(g);
}

static void complete(struct coord_group *g)
{
    ferry_timer_cancel(&g->node->timers, &g->rebalance);
    g->delayed = false;
    if (!g->member_count) {
        became_empty(g);
        return;
    }
    struct ferry_str protocol = vote(g);
    if (!protocol.data || !set_text(&g->protocol, protocol) || !elect(g)) {
        arm(g, longest_rebalance(g)); /* only static members, none of them back yet: wait on */
        return;
    }
    g->generation++;
    g->node->groups.rebalances++;
    coord_group_move(g, GROUP_COMPLETING);
    EACH_MEMBER(g, l)
    {
        if (member_of(l)->join)
            coord_group_answer_join(member_of(l), 0);
        else
            coord_group_touch(member_of(l)); /* a static member that is away */
    }
    arm(g, longest_rebalance(g)); /* who does not sync in time is out */
}

void coord_group_try_complete(struct coord_group *g)
{
    if (g->state == GROUP_PREPARING && !g->delayed && g->joined_count == g->member_count &&
        !g->pending_count)
        complete(g);
}

void coord_group_prepare(struct coord_group *g, const char *why)
{
    bool first = g->state == GROUP_EMPTY;
    broker_node_say(g->node, LOG_INFO, "group %s rebalances from generation %d: %s", g->name,
                    (int)g->generation, why);
    if (g->state == GROUP_COMPLETING)
        EACH_MEMBER(g, l)
    if (member_of(l)->sync)
        coord_group_answer_sync(member_of(l), FERRY_KAFKA_REBALANCE_IN_PROGRESS);
    coord_group_move(g, GROUP_PREPARING);
    int32_t delay = g->node->config.now.group_initial_delay_ms;
    int32_t longest = longest_rebalance(g);
    g->delayed = first && delay > 0;
    g->grew = false;
    g->delay_left = longest > delay ? longest - delay : 0;
    arm(g, g->delayed ? delay : longest);
    coord_group_try_complete(g);
}

void coord_group_member_left(struct coord_group *g, const char *why)
{
    if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
        coord_group_prepare(g, why);
    else if (g->state == GROUP_PREPARING)
        coord_group_try_complete(g);
}

/* ---- timers ---- */

void coord_rebalance_on_timer(struct ferry_timer *t, void *context)
{
    struct coord_group *g = FERRY_CONTAINER(t, struct coord_group, rebalance);
    (void)context;
    if (g->state == GROUP_PREPARING && g->delayed) {
        int32_t delay = g->node->config.now.group_initial_delay_ms;
        if (g->grew &&
            g->delay_left >
                0) { /* as Kafka: as long as members come, up to the rebalance time-out */
            delay = delay < g->delay_left ? delay : g->delay_left;
            g->delay_left -= delay;
            g->grew = false;
            arm(g, delay);
            return;
        }
        g->delayed = false;
        if (g->joined_count == g->member_count && !g->pending_count)
            complete(g);
        else
            arm(g, longest_rebalance(g));
        return;
    }
    bool joining = g->state == GROUP_PREPARING;
    if (!joining && g->state != GROUP_COMPLETING)
        return;
    EACH_MEMBER(g, l)
    {
        struct coord_member *m = member_of(l);
        if (joining ? !m->join && !m->instance : !m->sync)
            coord_group_remove_member(m, FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    }
    if (joining)
        complete(g);
    else
        coord_group_prepare(g, "a member did not sync in time");
}

void coord_rebalance_on_session_timer(struct ferry_timer *t, void *context)
{
    struct coord_member *m = FERRY_CONTAINER(t, struct coord_member, session);
    struct coord_group *g = m->group;
    (void)context;
    if (m->join || m->sync || FERRY_PLANTED(SESSION_ENDLESS))
        return;
    broker_node_say(g->node, LOG_INFO, "group %s: the session of member %s has ended", g->name,
                    m->id);
    coord_group_remove_member(m, FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    coord_group_member_left(g, "a member's session ended");
}

void coord_rebalance_on_pending_timer(struct ferry_timer *t, void *context)
{
    struct coord_pending *p = FERRY_CONTAINER(t, struct coord_pending, timer);
    struct coord_group *g = p->group;
    (void)context;
    coord_group_remove_pending(p);
    coord_group_try_complete(g);
    coord_group_drop_if_unused(g);
}
