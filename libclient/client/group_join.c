/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The classic group's requests, and what becomes of their answers. Join and sync have a connection of their own, since the
 * broker parks them; heartbeats and leaving go beside them.
 */
#include "config.h"

#include "client/group_impl.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/plant.h"
#include "ferry/kafka_errors.h"
#include "wire/codec.h"
#include "wire/errors.h"

#include <stdio.h>

static struct ferry_str group_id(const struct ferry_group *g)
{
    return ferry_str_of(g->client->settings->group_id);
}

static struct ferry_str member_id(const struct ferry_group *g)
{
    return g->member_id ? ferry_str_of(g->member_id) : FERRY_STR("");
}

static struct ferry_str instance_id(const struct ferry_group *g)
{
    return ferry_str_of(g->client->settings->group_instance_id);
}

static void address(struct ferry_group *g, struct ferry_request *r, int16_t api, int16_t min,
                    int16_t max, enum ferry_class class)
{
    *r = (struct ferry_request){.api_key = api,
                                .min_version = min,
                                .max_version = max,
                                .target = FERRY_TO_COORDINATOR,
                                .coordinator_type = FERRY_COORDINATOR_GROUP,
                                .coordinator_key = group_id(g),
                                .conn_class = class,
                                .cookie = g};
}

static void forget_coordinator(struct ferry_group *g, int32_t node)
{
    ferry_coordinator_forget(g->client, FERRY_COORDINATOR_GROUP, group_id(g), node);
}

/* What all answers have in common. True if the group is to go on with this code in its own way; else it is dealt with. */
static bool common(struct ferry_group *g, const struct ferry_reply *reply, int32_t code,
                   const char *what)
{
    unsigned actions = code > 0 ? ferry_kafka_err_actions(code) : 0;
    if (code == 0)
        return true;
    ferry_client_log(g->client, FERRY_LOG_INFO, FERRY_DEBUG_GROUP, "group %s: %s: %s%s%s",
                     g->client->settings->group_id, what, ferry_error_name(code),
                     reply->status && reply->text ? ": " : "",
                     reply->status && reply->text ? reply->text : "");
    if (code == FERRY_E_UNSUPPORTED || code == FERRY_E_NOMEM || code == FERRY_E_CLOSED ||
        (actions & FERRY_WIRE_FATAL)) {
        ferry_group_fail(g, code, what);
        return false;
    }
    switch (code) {
    case FERRY_KAFKA_UNKNOWN_MEMBER_ID:
        ferry_group_lose(g, false);
        return false;
    case FERRY_KAFKA_ILLEGAL_GENERATION:
        ferry_group_lose(g, true);
        return false;
    case FERRY_KAFKA_REBALANCE_IN_PROGRESS:
    case FERRY_KAFKA_MEMBER_ID_REQUIRED:
        return true;
    }
    if (code < 0 || (actions & FERRY_WIRE_COORDINATOR))
        forget_coordinator(g, reply->node);
    if (code < 0 || (actions & FERRY_WIRE_RETRY))
        return true;
    ferry_group_fail(g, code, what);
    return false;
}

/* ---- JoinGroup ---- */

static void keep_members(struct ferry_group *g, const struct ferry_join_group_response *m)
{
    struct ferry_group_round *r = &g->round;
    ferry_group_data_free(r);
    r->members = ferry_arena_array(&r->arena, (size_t)m->members_count + 1, sizeof *r->members);
    for (int32_t i = 0; r->members && i < m->members_count; i++) {
        const struct ferry_join_group_response_member *from = &m->members[i];
        struct ferry_group_member *to = &r->members[r->member_count];
        uint8_t *metadata = ferry_arena_alloc(&r->arena, from->metadata.len + 1);
        char *id = ferry_arena_strndup(&r->arena, from->member_id.data, from->member_id.len);
        char *instance = from->group_instance_id.data
                             ? ferry_arena_strndup(&r->arena, from->group_instance_id.data,
                                                   from->group_instance_id.len)
                             : NULL;
        if (!metadata || !id || (from->group_instance_id.data && !instance)) {
            r->members = NULL;
            break;
        }
        if (from->metadata.len)
            memcpy(metadata, from->metadata.data, from->metadata.len);
        to->id = (struct ferry_str){id, from->member_id.len};
        to->instance_id = (struct ferry_str){instance, from->group_instance_id.len};
        to->metadata = (struct ferry_bytes){metadata, from->metadata.len};
        r->member_count++;
    }
    if (!r->members)
        r->member_count = 0;
}

/* The assignor that the group chose: one of ours, or the group is broken. */
static int chosen(struct ferry_group *g, struct ferry_str name)
{
    int assignor = ferry_assignor_find(name);
    for (int i = 0; i < g->assignor_count; i++)
        if ((int)g->assignors[i] == assignor)
            return assignor;
    return -1;
}

static void joined(struct ferry_group *g, const struct ferry_join_group_response *m)
{
    int assignor = chosen(g, m->protocol_name);
    if (ferry_group_set_member_id(g, m->member_id)) {
        ferry_group_fail(g, FERRY_E_NOMEM, "joining");
        return;
    }
    if (assignor < 0 || m->generation_id < 0) {
        ferry_group_fail(g, FERRY_E_PROTOCOL,
                         "the coordinator chose an assignor that was not offered");
        return;
    }
    g->generation = m->generation_id;
    g->tries = 0;
    g->leads = ferry_str_eq(m->leader, m->member_id);
    ferry_client_log(g->client, FERRY_LOG_INFO, FERRY_DEBUG_GROUP,
                     "group %s: joined generation %d as %s%s, %d members, %s",
                     g->client->settings->group_id, (int)g->generation, g->member_id,
                     g->leads ? " (leader)" : "", (int)m->members_count,
                     ferry_assignor_name((enum ferry_assignor)assignor));
    if (!g->leads || m->skip_assignment) {
        ferry_group_data_free(&g->round);
        g->round.assignor = (enum ferry_assignor)assignor;
        ferry_group_send_sync(g);
        return;
    }
    keep_members(g, m);
    g->round.assignor = (enum ferry_assignor)assignor;
    if (!g->round.members || ferry_group_data_read(&g->round))
        ferry_group_fail(g, FERRY_E_NOMEM, "reading the members' subscriptions");
    else
        ferry_group_lead(g);
}

static void on_joined(struct ferry_client *client, struct ferry_request *request,
                      const struct ferry_reply *reply)
{
    struct ferry_group *g = request->cookie;
    const struct ferry_join_group_response *m = reply->body;
    int32_t code = reply->status ? reply->status : m->error_code;
    (void)client;
    if (!ferry_group_returned(g))
        return;
    if (g->state != GROUP_JOINING) {
        ferry_group_go(g); /* it was given up */
        return;
    }
    if (code == 0) {
        joined(g, m);
        return;
    }
    if (!common(g, reply, code, "JoinGroup"))
        return;
    ferry_group_move(g, GROUP_WAITING);
    if (code == FERRY_KAFKA_MEMBER_ID_REQUIRED && m->member_id.len &&
        ferry_group_set_member_id(g, m->member_id) == FERRY_OK)
        ferry_group_go(g);
    else
        ferry_group_backoff(g);
}

static int fill_protocols(struct ferry_group *g)
{
    struct ferry_partition_list owned = {0};
    struct ferry_group_subscription s = {.topics = g->topics,
                                         .owned = &owned,
                                         .previous = g->previous,
                                         .generation = g->generation,
                                         .previous_generation = g->previous_generation,
                                         .rack = g->client->settings->client_rack};
    int rc = g->cooperative ? g->owner->owned(g->cookie, &owned) : FERRY_OK;
    ferry_consumer_list_sort(&owned);
    for (int i = 0; i < g->assignor_count && !rc; i++) {
        struct ferry_writer *w = &g->metadata[i];
        ferry_writer_reset(w);
        rc = ferry_group_data_subscribe(g->assignors[i], &s, w);
        ferry_join_group_request_protocol_init(&g->protocols[i]);
        g->protocols[i].name = ferry_str_of(ferry_assignor_name(g->assignors[i]));
        g->protocols[i].metadata = (struct ferry_bytes){w->data, w->len};
    }
    ferry_consumer_list_clear(&owned);
    ferry_free(owned.items);
    return rc;
}

void ferry_group_send_join(struct ferry_group *g)
{
    const struct ferry_settings *s = g->client->settings;
    struct ferry_join_group_request *m = &g->join_message;
    if (fill_protocols(g)) {
        ferry_group_backoff(g);
        return;
    }
    ferry_join_group_request_init(m);
    m->group_id = group_id(g);
    m->session_timeout_ms = s->session_timeout_ms;
    m->rebalance_timeout_ms = s->max_poll_interval_ms;
    m->member_id = member_id(g);
    m->group_instance_id = instance_id(g);
    m->protocol_type = FERRY_STR("consumer");
    m->protocols = g->protocols;
    m->protocols_count = g->assignor_count;
    address(g, &g->join, FERRY_API_JOIN_GROUP, s->group_instance_id ? 5 : 0, 9, FERRY_CLASS_JOIN);
    /* The coordinator answers when all have come or the rebalance time-out is over. */
    g->join.timeout = ((ferry_nsec)s->max_poll_interval_ms + 5000) * FERRY_MS;
    g->join.message = m;
    g->join.on_done = on_joined;
    ferry_group_move(g, GROUP_JOINING);
    ferry_request_submit(g->client, &g->join);
}

/* ---- SyncGroup ---- */

static void on_synced(struct ferry_client *client, struct ferry_request *request,
                      const struct ferry_reply *reply)
{
    struct ferry_group *g = request->cookie;
    const struct ferry_sync_group_response *m = reply->body;
    int32_t code = reply->status ? reply->status : m->error_code;
    struct ferry_error err = {0};
    (void)client;
    if (!ferry_group_returned(g))
        return;
    if (g->state != GROUP_SYNCING) {
        ferry_group_go(g);
        return;
    }
    if (code == 0) {
        struct ferry_partition_list *list = ferry_partition_list_new();
        int rc = list ? ferry_group_data_assigned(m->assignment, list, &err) : FERRY_E_NOMEM;
        if (rc) {
            ferry_partition_list_free(list);
            ferry_group_fail(g, rc, list ? err.text : "SyncGroup");
            return;
        }
        ferry_consumer_list_sort(list);
        ferry_group_assigned(g, list);
        return;
    }
    if (!common(g, reply, code, "SyncGroup"))
        return;
    ferry_group_move(g, GROUP_WAITING);
    if (code == FERRY_KAFKA_REBALANCE_IN_PROGRESS)
        ferry_group_go(g);
    else
        ferry_group_backoff(g);
}

void ferry_group_send_sync(struct ferry_group *g)
{
    const struct ferry_settings *s = g->client->settings;
    struct ferry_sync_group_request *m = &g->sync_message;
    struct ferry_group_round *r = &g->round;
    ferry_sync_group_request_init(m);
    m->group_id = group_id(g);
    m->generation_id = g->generation;
    m->member_id = member_id(g);
    m->group_instance_id = instance_id(g);
    m->protocol_type = FERRY_STR("consumer");
    m->protocol_name = ferry_str_of(ferry_assignor_name(r->assignor));
    m->assignments =
        ferry_arena_array(&r->arena, (size_t)r->member_count + 1, sizeof *m->assignments);
    if (!m->assignments) {
        ferry_group_fail(g, FERRY_E_NOMEM, "SyncGroup");
        return;
    }
    for (int32_t i = 0; i < r->member_count; i++) {
        ferry_sync_group_request_assignment_init(&m->assignments[i]);
        m->assignments[i].member_id = r->members[i].id;
        m->assignments[i].assignment = r->members[i].assignment;
        m->assignments_count++;
    }
    address(g, &g->join, FERRY_API_SYNC_GROUP, s->group_instance_id ? 3 : 0, 5, FERRY_CLASS_JOIN);
    g->join.timeout = ((ferry_nsec)s->max_poll_interval_ms + 5000) * FERRY_MS;
    g->join.message = m;
    g->join.on_done = on_synced;
    ferry_group_move(g, GROUP_SYNCING);
    ferry_request_submit(g->client, &g->join);
}

/* ---- Heartbeat ---- */

static void on_beaten(struct ferry_client *client, struct ferry_request *request,
                      const struct ferry_reply *reply)
{
    struct ferry_group *g = request->cookie;
    const struct ferry_heartbeat_response *m = reply->body;
    int32_t code = reply->status ? reply->status : m->error_code;
    if (!ferry_group_returned(g))
        return;
    if ((g->state != GROUP_STABLE && g->state != GROUP_WAITING) || g->generation < 0 ||
        g->beat_message.generation_id != g->generation)
        return; /* about an earlier membership */
    if (code == 0)
        g->beat_ok_at = client->now;
    if (code == FERRY_E_TIMED_OUT &&
        client->now - g->beat_ok_at < (ferry_nsec)client->settings->session_timeout_ms * FERRY_MS)
        code = 0; /* the next one may be heard */
    if (code == 0 || !common(g, reply, code, "Heartbeat"))
        return;
    if (code == FERRY_KAFKA_REBALANCE_IN_PROGRESS) {
        g->beat_ok_at = client->now;
        g->rejoin = true;
        ferry_group_go(g);
    }
}

void ferry_group_send_heartbeat(struct ferry_group *g)
{
    const struct ferry_settings *s = g->client->settings;
    struct ferry_heartbeat_request *m = &g->beat_message;
    if (ferry_request_active(&g->beat) || FERRY_PLANTED(HEARTBEAT_MISSING))
        return;
    ferry_heartbeat_request_init(m);
    m->group_id = group_id(g);
    m->generation_id = g->generation;
    m->member_id = member_id(g);
    m->group_instance_id = instance_id(g);
    address(g, &g->beat, FERRY_API_HEARTBEAT, s->group_instance_id ? 3 : 0, 4,
            FERRY_CLASS_COORDINATOR);
    g->beat.timeout = (ferry_nsec)s->session_timeout_ms * FERRY_MS;
    g->beat.message = m;
    g->beat.on_done = on_beaten;
    ferry_request_submit(g->client, &g->beat);
}

/* ---- LeaveGroup ---- */

static int leave_encode(struct ferry_client *client, struct ferry_request *request, int16_t version,
                        struct ferry_writer *w)
{
    struct ferry_group *g = request->cookie;
    struct ferry_leave_group_request m;
    struct ferry_leave_group_request_member member;
    (void)client;
    ferry_leave_group_request_init(&m);
    ferry_leave_group_request_member_init(&member);
    m.group_id = group_id(g);
    if (version < 3) {
        m.member_id = member_id(g);
    } else {
        member.member_id = member_id(g);
        m.members = &member;
        m.members_count = 1;
    }
    return ferry_msg_encode(&ferry_leave_group_request_msg, version, &m, w, NULL);
}

static void on_left(struct ferry_client *client, struct ferry_request *request,
                    const struct ferry_reply *reply)
{
    struct ferry_group *g = request->cookie;
    (void)client;
    (void)reply; /* whatever was said: the session time-out does the rest */
    if (!ferry_group_returned(g))
        return;
    ferry_group_drop_member_id(g);
    ferry_group_go(g);
}

void ferry_group_send_leave(struct ferry_group *g, const char *reason)
{
    ferry_client_log(g->client, FERRY_LOG_INFO, FERRY_DEBUG_GROUP, "group %s: %s leaves: %s",
                     g->client->settings->group_id, g->member_id, reason);
    address(g, &g->leave, FERRY_API_LEAVE_GROUP, 0, 5, FERRY_CLASS_COORDINATOR);
    g->leave.encode = leave_encode;
    g->leave.on_done = on_left;
    ferry_request_submit(g->client, &g->leave);
}
