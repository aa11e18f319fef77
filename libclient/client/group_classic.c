/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A member of a classic consumer group: its states, and what it asks its owner.
 *
 *              subscribe                 79: come back with this id
 *        OUT ------------> WAITING ---------------> JOINING ----------+----------------> SYNCING ---> STABLE
 *         ^                 ^  ^ ^                     |   leader: ASSIGNING --------^      |            |
 *         |                 |  | +---------------------+--- errors --------------------------+           |
 *         |                 |  +------------------ a new round is needed -------------------------------+
 *         |              STALLED <------- max.poll.interval.ms passed -----------------------------------+
 *         +---- LEAVING <----- leave, from anywhere;   FAILED <---- errors that nothing cures
 *
 * Eager members give up everything before they join. Cooperative ones keep what they have, are told after the round what
 * to give up, and join again once they have.
 *
 * Invariants:
 *  1. state changes in ferry_group_move alone, along `moves`.
 *  2. While question_open nothing is sent but heartbeats (and the answer to what was sent before is taken).
 *  3. At most one JoinGroup or SyncGroup is in flight: `join` is submitted only while it is not active.
 */
#include "config.h"

#include "client/group_impl.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "wire/errors.h"

#include <stdio.h>

#define TO(s) (1u << (s))

static const unsigned moves[GROUP_STATES] = {
    [GROUP_OUT] = TO(GROUP_WAITING),
    [GROUP_WAITING] = TO(GROUP_JOINING) | TO(GROUP_LEAVING) | TO(GROUP_OUT) | TO(GROUP_STALLED) |
                      TO(GROUP_FAILED),
    [GROUP_JOINING] = TO(GROUP_WAITING) | TO(GROUP_ASSIGNING) | TO(GROUP_SYNCING) |
                      TO(GROUP_LEAVING) | TO(GROUP_OUT) | TO(GROUP_FAILED),
    [GROUP_ASSIGNING] = TO(GROUP_WAITING) | TO(GROUP_SYNCING) | TO(GROUP_LEAVING) | TO(GROUP_OUT) |
                        TO(GROUP_FAILED),
    [GROUP_SYNCING] =
        TO(GROUP_WAITING) | TO(GROUP_STABLE) | TO(GROUP_LEAVING) | TO(GROUP_OUT) | TO(GROUP_FAILED),
    [GROUP_STABLE] = TO(GROUP_WAITING) | TO(GROUP_LEAVING) | TO(GROUP_OUT) | TO(GROUP_STALLED) |
                     TO(GROUP_FAILED),
    [GROUP_LEAVING] = TO(GROUP_OUT),
    [GROUP_STALLED] = TO(GROUP_WAITING) | TO(GROUP_LEAVING) | TO(GROUP_OUT),
    [GROUP_FAILED] = TO(GROUP_LEAVING) | TO(GROUP_OUT),
};

static const char *const names[GROUP_STATES] = {
    "out", "waiting", "joining", "assigning", "syncing", "stable", "leaving", "stalled", "failed"};

const char *ferry_group_state_name(const struct ferry_group *g)
{
    return names[g->state];
}

void ferry_group_move(struct ferry_group *g, enum ferry_group_state to)
{
    if (g->state == to)
        return;
    FERRY_CHECK(moves[g->state] & TO(to));
    ferry_client_log(g->client, FERRY_LOG_DEBUG, FERRY_DEBUG_GROUP, "group %s: %s -> %s",
                     g->client->settings->group_id, names[g->state], names[to]);
    g->state = to;
    if (to == GROUP_WAITING)
        g->prepared = false;
}

/* ---- questions ---- */

static struct ferry_partition_list *owned(struct ferry_group *g)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    if (list && g->owner->owned(g->cookie, list)) {
        ferry_partition_list_free(list);
        return NULL;
    }
    if (list)
        ferry_consumer_list_sort(list);
    return list;
}

static void ask(struct ferry_group *g, enum ferry_rebalance_kind kind, bool incremental,
                const struct ferry_partition_list *list)
{
    FERRY_CHECK(!g->question_open);
    g->question_open = true;
    g->owner->on_question(g->cookie, kind, incremental, list);
}

/* What `a` has and `b` has not. NULL without memory. Both sorted. */
static struct ferry_partition_list *difference(const struct ferry_partition_list *a,
                                               const struct ferry_partition_list *b)
{
    struct ferry_partition_list *d = ferry_partition_list_new();
    for (size_t i = 0, k = 0; d && i < a->count; i++) {
        int c = -1;
        while (k < b->count) {
            c = strcmp(b->items[k].topic, a->items[i].topic);
            c = c ? c
                  : (b->items[k].partition > a->items[i].partition) -
                        (b->items[k].partition < a->items[i].partition);
            if (c >= 0)
                break;
            k++;
        }
        if (k < b->count && c == 0)
            continue;
        if (ferry_consumer_list_add(d, ferry_str_of(a->items[i].topic), a->items[i].partition,
                                    FERRY_OFFSET_NONE) < 0) {
            ferry_partition_list_free(d);
            return NULL;
        }
    }
    return d;
}

/* Cooperative: of what is owned, the topics that are not subscribed to any more. */
static void keep_unsubscribed(const struct ferry_group *g, struct ferry_partition_list *list)
{
    for (int32_t i = (int32_t)list->count - 1; i >= 0; i--)
        if (g->topics && ferry_consumer_list_has(g->topics, ferry_str_of(list->items[i].topic), -1))
            ferry_partition_list_remove(list, i);
}

/* Asks what has to be asked before a join, or before leaving (all). True if something was. */
static bool ask_before(struct ferry_group *g, bool all)
{
    struct ferry_partition_list *list;
    bool incremental = g->cooperative && !all && !g->lost;
    if (g->prepared)
        return false;
    g->prepared = true;
    if (!(list = owned(g)))
        return false; /* out of memory: it will be found out after the join */
    if (incremental)
        keep_unsubscribed(g, list);
    bool some = list->count > 0;
    if (some)
        ask(g, g->lost ? FERRY_REBALANCE_LOST : FERRY_REBALANCE_REVOKED, incremental, list);
    g->lost = false;
    ferry_partition_list_free(list);
    return some;
}

/* Asks what the last assignment has brought: first what goes, then what comes. True if something was. */
static bool ask_after(struct ferry_group *g)
{
    struct ferry_partition_list *list = g->revoked ? g->revoked : g->added;
    enum ferry_rebalance_kind kind =
        g->revoked ? FERRY_REBALANCE_REVOKED : FERRY_REBALANCE_ASSIGNED;
    if (!list)
        return false;
    if (g->revoked)
        g->revoked = NULL;
    else
        g->added = NULL;
    ask(g, kind, g->cooperative, list);
    ferry_partition_list_free(list);
    return true;
}

void ferry_group_assigned(struct ferry_group *g, struct ferry_partition_list *list)
{
    struct ferry_partition_list *have = g->cooperative ? owned(g) : NULL;
    ferry_partition_list_free(g->previous);
    ferry_partition_list_free(g->revoked);
    ferry_partition_list_free(g->added);
    g->previous = list;
    g->previous_generation = g->generation;
    g->revoked = g->added = NULL;
    if (!g->cooperative) {
        g->added = ferry_consumer_list_copy(list);
    } else if (have) {
        g->revoked = difference(have, list);
        g->added = difference(list, have);
        if (g->revoked && g->revoked->count == 0) {
            ferry_partition_list_free(g->revoked);
            g->revoked = NULL;
        } else {
            g->rejoin = true; /* once it is given up somebody else can have it */
        }
    }
    ferry_partition_list_free(have);
    if (!g->added) {
        ferry_group_fail(g, FERRY_E_NOMEM, "taking up the assignment");
        return;
    }
    ferry_group_move(g, GROUP_STABLE);
    g->beat_ok_at = g->client->now;
    ferry_client_timer(g->client, &g->heartbeat,
                       g->client->now +
                           (ferry_nsec)g->client->settings->heartbeat_interval_ms * FERRY_MS);
    ferry_group_go(g);
}

/* ---- the leader ---- */

static struct ferry_group_topic *want(struct ferry_group *g, struct ferry_str name)
{
    for (size_t i = 0; i < g->want_count; i++)
        if (ferry_str_eq(name,
                         (struct ferry_str){g->wants[i].meta->name, g->wants[i].meta->name_len})) {
            g->wants[i].used = true;
            return &g->wants[i];
        }
    struct ferry_topic_meta *meta;
    unsigned flags = g->client->settings->allow_auto_create_topics ? FERRY_WANT_CREATE : 0;
    if (FERRY_GROW(g->wants, g->want_cap, g->want_count + 1) ||
        !(meta = ferry_cluster_want(g->client, name, flags)))
        return NULL;
    g->wants[g->want_count] = (struct ferry_group_topic){meta, -1, false, true};
    return &g->wants[g->want_count++];
}

/* Those that nobody subscribes to any more, or all. */
static void unwant(struct ferry_group *g, bool all)
{
    unsigned flags = g->client->settings->allow_auto_create_topics ? FERRY_WANT_CREATE : 0;
    size_t kept = 0;
    for (size_t i = 0; i < g->want_count; i++) {
        if ((g->wants[i].own || g->wants[i].used) && !all)
            g->wants[kept++] = g->wants[i];
        else
            ferry_cluster_unwant(g->client, g->wants[i].meta, flags);
    }
    g->want_count = kept;
}

static bool metadata_known(const struct ferry_group *g)
{
    for (size_t i = 0; i < g->want_count; i++)
        if (!g->wants[i].meta->known)
            return false;
    return true;
}

static void assign_now(struct ferry_group *g)
{
    if (ferry_group_data_assign(&g->round, g->client)) {
        ferry_group_fail(g, FERRY_E_NOMEM, "assigning");
        return;
    }
    for (size_t i = 0; i < g->want_count; i++)
        g->wants[i].partitions = g->wants[i].meta->error ? 0 : g->wants[i].meta->partition_count;
    ferry_group_send_sync(g);
}

void ferry_group_lead(struct ferry_group *g)
{
    for (size_t i = 0; i < g->want_count; i++)
        g->wants[i].used = false;
    for (int32_t i = 0; i < g->round.member_count; i++)
        for (int32_t t = 0; t < g->round.members[i].topics_count; t++)
            if (g->round.members[i].topics[t].len && !want(g, g->round.members[i].topics[t])) {
                ferry_group_fail(g, FERRY_E_NOMEM, "assigning");
                return;
            }
    unwant(g, false);
    if (metadata_known(g)) {
        assign_now(g);
        return;
    }
    ferry_group_move(g, GROUP_ASSIGNING);
    ferry_cluster_refresh(g->client);
    /* The others wait for this; what is not known by then has no partitions. */
    ferry_client_timer(g->client, &g->retry,
                       g->client->now +
                           (ferry_nsec)g->client->settings->session_timeout_ms / 3 * FERRY_MS);
}

static void on_metadata(struct ferry_client *client, struct ferry_observer *o, int32_t status)
{
    struct ferry_group *g = o->cookie;
    (void)client;
    (void)status;
    if (g->state == GROUP_ASSIGNING && metadata_known(g)) {
        ferry_client_timer_cancel(g->client, &g->retry);
        assign_now(g);
        return;
    }
    for (size_t i = 0; i < g->want_count && g->leads && g->state == GROUP_STABLE; i++) {
        const struct ferry_topic_meta *meta = g->wants[i].meta;
        int32_t count = meta->error ? 0 : meta->partition_count;
        /* A leader that is not known now is no reason; partitions that came, or a topic that went or came, is. */
        if (g->wants[i].partitions < 0 || count == g->wants[i].partitions ||
            (meta->error && (ferry_kafka_err_actions(meta->error) & FERRY_WIRE_RETRY) &&
             meta->partition_count == g->wants[i].partitions))
            continue;
        g->rejoin = true;
    }
    if (g->rejoin)
        ferry_group_go(g);
}

/* ---- going on ---- */

static void free_retired(struct ferry_group *g)
{
    while (g->retired_count)
        ferry_free(g->retired[--g->retired_count]);
}

bool ferry_group_returned(struct ferry_group *g)
{
    if (!g->freed)
        return true;
    if (!ferry_request_active(&g->join) && !ferry_request_active(&g->beat) &&
        !ferry_request_active(&g->leave)) {
        for (int i = 0; i < FERRY_ASSIGNOR_COUNT; i++)
            ferry_writer_free(&g->metadata[i]);
        ferry_group_data_free(&g->round);
        ferry_group_drop_member_id(g);
        free_retired(g);
        ferry_free(g->retired);
        ferry_free(g);
    }
    return false;
}

int ferry_group_set_member_id(struct ferry_group *g, struct ferry_str id)
{
    if (g->member_id && ferry_str_eq(ferry_str_of(g->member_id), id))
        return FERRY_OK;
    char *copy = ferry_strndup(id.data, id.len);
    if (!copy)
        return FERRY_E_NOMEM;
    ferry_group_drop_member_id(g);
    g->member_id = copy;
    return FERRY_OK;
}

/* A join, heartbeat or leave names the id by reference until it is done, and may wait for its connection until then:
 * while one is under way the old id is kept. Without memory to remember it by, it is leaked rather than freed. */
void ferry_group_drop_member_id(struct ferry_group *g)
{
    char *old = g->member_id;
    g->member_id = NULL;
    if (!ferry_request_active(&g->join) && !ferry_request_active(&g->beat) &&
        !ferry_request_active(&g->leave)) {
        free_retired(g);
        ferry_free(old);
    } else if (old && !FERRY_GROW(g->retired, g->retired_cap, g->retired_count + 1)) {
        g->retired[g->retired_count++] = old;
    }
}

void ferry_group_backoff(struct ferry_group *g)
{
    const struct ferry_settings *s = g->client->settings;
    ferry_nsec wait =
        ferry_client_backoff(g->client, s->retry_backoff_ms, s->retry_backoff_max_ms, g->tries++);
    ferry_client_timer(g->client, &g->retry, g->client->now + wait);
}

void ferry_group_lose(struct ferry_group *g, bool keep_id)
{
    g->lost = true;
    g->generation = -1;
    if (!keep_id)
        ferry_group_drop_member_id(g);
    ferry_client_timer_cancel(g->client, &g->heartbeat);
    ferry_client_timer_cancel(g->client, &g->retry);
    ferry_partition_list_free(g->revoked);
    ferry_partition_list_free(g->added);
    g->revoked = g->added = NULL;
    g->rejoin = false;
    if (g->state == GROUP_LEAVING || g->state == GROUP_OUT)
        return;
    if (g->state == GROUP_JOINING || g->state == GROUP_SYNCING)
        ferry_group_backoff(g); /* a coordinator that says so again and again */
    ferry_group_move(g, GROUP_WAITING);
    g->prepared = false;
    ferry_group_go(g);
}

void ferry_group_fail(struct ferry_group *g, int32_t code, const char *what)
{
    char text[300];
    if (g->state == GROUP_OUT || g->state == GROUP_LEAVING || g->state == GROUP_FAILED)
        return;
    snprintf(text, sizeof text, "group %s: %s: %s; the consumer is no member any more",
             g->client->settings->group_id, what, ferry_error_name(code));
    ferry_client_timer_cancel(g->client, &g->heartbeat);
    g->generation = -1;
    g->lost = true;
    ferry_group_move(g, GROUP_FAILED);
    if (!g->client->closing)
        g->owner->on_error(g->cookie, code, FERRY_ERROR_FATAL, text);
    g->prepared = false;
    if (!g->question_open)
        ask_before(g, true);
}

static void finish_leaving(struct ferry_group *g)
{
    g->leave_wanted = false;
    g->generation = -1;
    ferry_client_timer_cancel(g->client, &g->retry);
    ferry_client_timer_cancel(g->client, &g->heartbeat);
    ferry_group_move(g, GROUP_OUT);
    unwant(g, true);
    ferry_consumer_list_clear(g->topics);
    g->owner->on_left(g->cookie);
}

/* Leaving: what is owned is given up first, then the coordinator is told, unless it will time out anyway. */
static void go_leaving(struct ferry_group *g)
{
    bool told = !g->member_id || g->client->settings->group_instance_id != NULL ||
                g->client->now >= g->leave_deadline;
    if (g->state == GROUP_LEAVING) {
        if (!ferry_request_active(&g->leave))
            finish_leaving(g);
        return;
    }
    if (ask_before(g, true))
        return;
    if (ferry_request_active(&g->join))
        ferry_request_cancel(g->client, &g->join);
    if (told || g->state == GROUP_FAILED) {
        finish_leaving(g);
        return;
    }
    ferry_group_move(g, GROUP_LEAVING);
    g->generation = -1;
    if (!ferry_request_active(&g->leave))
        ferry_group_send_leave(g, "the application unsubscribed or closes");
}

void ferry_group_go(struct ferry_group *g)
{
    if (g->question_open || g->client->closing)
        return;
    if (g->leave_wanted) {
        go_leaving(g);
        return;
    }
    if (g->state == GROUP_STABLE && !ask_after(g) && g->rejoin)
        ferry_group_move(g, GROUP_WAITING);
    if (g->state != GROUP_WAITING || g->question_open || ferry_timer_armed(&g->retry) ||
        ferry_request_active(&g->join) || ferry_request_active(&g->leave))
        return;
    if (ask_before(g, false))
        return;
    g->rejoin = false;
    ferry_group_send_join(g);
}

static void on_retry(struct ferry_timer *t, void *context)
{
    struct ferry_group *g = FERRY_CONTAINER(t, struct ferry_group, retry);
    (void)context;
    if (g->state == GROUP_ASSIGNING)
        assign_now(g);
    else
        ferry_group_go(g);
}

/* ---- heartbeats ---- */

static void stall(struct ferry_group *g)
{
    char text[200];
    snprintf(text, sizeof text,
             "group %s: the application did not poll for max.poll.interval.ms=%d: it leaves, and "
             "joins again at the "
             "next poll",
             g->client->settings->group_id, (int)g->client->settings->max_poll_interval_ms);
    g->lost = true;
    g->prepared = false;
    g->generation = -1;
    ferry_client_timer_cancel(g->client, &g->retry);
    ferry_group_move(g, GROUP_STALLED);
    g->owner->on_error(g->cookie, FERRY_E_MAX_POLL, FERRY_ERROR_RETRIABLE, text);
    if (g->member_id && !g->client->settings->group_instance_id && !ferry_request_active(&g->leave))
        ferry_group_send_leave(g, "max.poll.interval.ms passed");
    g->owner->on_stalled(g->cookie);
    if (!g->question_open)
        ask_before(g, true);
}

static void on_heartbeat(struct ferry_timer *t, void *context)
{
    struct ferry_group *g = FERRY_CONTAINER(t, struct ferry_group, heartbeat);
    const struct ferry_settings *s = g->client->settings;
    ferry_nsec now = g->client->now, limit = (ferry_nsec)s->max_poll_interval_ms * FERRY_MS;
    uint64_t polls = g->owner->polls(g->cookie);
    (void)context;
    if (polls != g->polls || (polls & 1)) {
        g->polls = polls;
        g->polled_at = now;
    }
    if (g->generation < 0 || (g->state != GROUP_STABLE && g->state != GROUP_WAITING)) {
        /* Joining, or nothing to keep alive: the coordinator waits for the join. */
        if (g->state == GROUP_OUT || g->state == GROUP_FAILED || g->state == GROUP_STALLED)
            return;
    } else if (now - g->polled_at >= limit) {
        stall(g);
        return;
    } else {
        ferry_group_send_heartbeat(g);
    }
    ferry_nsec next = now + (ferry_nsec)s->heartbeat_interval_ms * FERRY_MS;
    ferry_client_timer(g->client, t,
                       next < g->polled_at + limit  ? next
                       : g->polled_at + limit > now ? g->polled_at + limit
                                                    : next);
}

/* ---- the interface ---- */

/* The name as we write it, or that of Java's class. -1: neither. */
static int find_assignor(struct ferry_str name)
{
    static const char *const java[FERRY_ASSIGNOR_COUNT] = {
        "RangeAssignor", "RoundRobinAssignor", "StickyAssignor", "CooperativeStickyAssignor"};
    static const char package[] = "org.apache.kafka.clients.consumer.";
    size_t prefix = sizeof package - 1;
    int found = ferry_assignor_find(name);
    for (int i = 0; i < FERRY_ASSIGNOR_COUNT && found < 0; i++)
        if (name.len > prefix && !memcmp(name.data, package, prefix) &&
            ferry_str_eq(ferry_str_of(java[i]),
                         (struct ferry_str){name.data + prefix, name.len - prefix}))
            found = i;
    return found;
}

int ferry_group_assignors(const char *list, enum ferry_assignor out[FERRY_ASSIGNOR_COUNT],
                          bool *cooperative, struct ferry_error *err)
{
    int count = 0;
    *cooperative = true;
    for (const char *p = list; p && *p; p += strspn(p, ", ")) {
        size_t len = strcspn(p, ", ");
        int found = len ? find_assignor((struct ferry_str){p, len}) : 0;
        bool twice = false;
        if (found < 0)
            return ferry_fail(
                err, FERRY_E_CONFIG,
                "partition.assignment.strategy=%.200s: %.*s is none of range, roundrobin, sticky, "
                "cooperative-sticky",
                list, len < 100 ? (int)len : 100, p);
        for (int i = 0; i < count; i++)
            twice |= (int)out[i] == found;
        if (len && !twice) {
            out[count++] = (enum ferry_assignor)found;
            *cooperative &= found == FERRY_ASSIGNOR_COOPERATIVE_STICKY;
        }
        p += len;
    }
    return count ? count
                 : ferry_fail(err, FERRY_E_CONFIG,
                              "partition.assignment.strategy is empty; range is Kafka's own first "
                              "choice");
}

struct ferry_group *ferry_group_new(struct ferry_client *client,
                                    const struct ferry_group_owner *owner, void *cookie,
                                    struct ferry_error *err)
{
    struct ferry_group *g = ferry_zalloc(sizeof *g);
    if (!g || !(g->topics = ferry_partition_list_new())) {
        ferry_free(g);
        ferry_fail(err, FERRY_E_NOMEM, "no memory for a group");
        return NULL;
    }
    g->client = client;
    g->owner = owner;
    g->cookie = cookie;
    g->generation = g->previous_generation = -1;
    g->retry.fire = on_retry;
    g->heartbeat.fire = on_heartbeat;
    ferry_arena_init(&g->round.arena, SIZE_MAX);
    g->assignor_count = ferry_group_assignors(client->settings->partition_assignment_strategy,
                                              g->assignors, &g->cooperative, err);
    if (g->assignor_count < 0) {
        ferry_partition_list_free(g->topics);
        ferry_free(g);
        return NULL;
    }
    g->observer = (struct ferry_observer){.cookie = g, .on_metadata = on_metadata};
    ferry_client_observe(client, &g->observer);
    return g;
}

void ferry_group_free(struct ferry_group *g)
{
    if (!g)
        return;
    ferry_client_timer_cancel(g->client, &g->retry);
    ferry_client_timer_cancel(g->client, &g->heartbeat);
    ferry_client_unobserve(g->client, &g->observer);
    unwant(g, true);
    ferry_free(g->wants);
    ferry_partition_list_free(g->topics);
    ferry_partition_list_free(g->previous);
    ferry_partition_list_free(g->revoked);
    ferry_partition_list_free(g->added);
    g->freed = true;
    ferry_request_cancel(g->client, &g->join);
    ferry_request_cancel(g->client, &g->beat);
    ferry_request_cancel(g->client, &g->leave);
    ferry_group_returned(g);
}

static bool same_topics(const struct ferry_partition_list *a, const struct ferry_partition_list *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++)
        same = !strcmp(a->items[i].topic, b->items[i].topic);
    return same;
}

int ferry_group_subscribe(struct ferry_group *g, const struct ferry_partition_list *topics)
{
    struct ferry_partition_list *copy = ferry_partition_list_new();
    int rc = copy ? 0 : FERRY_E_NOMEM;
    for (size_t i = 0; i < topics->count && rc >= 0; i++)
        if (!ferry_consumer_list_has(copy, ferry_str_of(topics->items[i].topic), -1))
            rc = ferry_consumer_list_add(copy, ferry_str_of(topics->items[i].topic), -1,
                                         FERRY_OFFSET_NONE);
    if (rc < 0) {
        ferry_partition_list_free(copy);
        return rc;
    }
    ferry_consumer_list_sort(copy);
    bool same = same_topics(g->topics, copy) && g->state != GROUP_OUT && !g->leave_wanted;
    ferry_partition_list_free(g->topics);
    g->topics = copy;
    if (same)
        return FERRY_OK;
    for (size_t i = 0; i < g->want_count; i++)
        g->wants[i].own = false;
    for (size_t i = 0; i < copy->count; i++) {
        struct ferry_group_topic *t = want(g, ferry_str_of(copy->items[i].topic));
        if (!t)
            return FERRY_E_NOMEM;
        t->own = true;
    }
    if (g->state == GROUP_OUT) {
        ferry_group_move(g, GROUP_WAITING);
        g->polls = g->owner->polls(g->cookie);
        g->polled_at = g->client->now;
        g->lost = false;
    } else {
        g->rejoin = true;
    }
    ferry_group_go(g);
    return FERRY_OK;
}

void ferry_group_leave(struct ferry_group *g, ferry_nsec deadline)
{
    g->leave_wanted = true;
    g->leave_deadline = deadline;
    g->prepared = false;
    ferry_partition_list_free(g->revoked);
    ferry_partition_list_free(g->added);
    g->revoked = g->added = NULL;
    ferry_group_go(g);
}

void ferry_group_answered(struct ferry_group *g)
{
    g->question_open = false;
    if ((g->state == GROUP_FAILED || g->state == GROUP_STALLED) && !g->leave_wanted)
        ask_before(g, true); /* what an earlier question was in the way of */
    ferry_group_go(g);
}

void ferry_group_polled(struct ferry_group *g)
{
    uint64_t polls = g->owner->polls(g->cookie);
    if (polls == g->polls)
        return;
    g->polls = polls;
    g->polled_at = g->client->now;
    if (g->state != GROUP_STALLED)
        return;
    ferry_group_move(g, GROUP_WAITING);
    g->prepared = true; /* what was lost was told when it stalled */
    ferry_group_go(g);
}

bool ferry_group_refused(struct ferry_group *g, int16_t code, int32_t generation)
{
    unsigned actions = ferry_kafka_err_actions(code);
    bool round =
        g->state == GROUP_JOINING || g->state == GROUP_ASSIGNING || g->state == GROUP_SYNCING;
    if (g->generation < 0 || g->state == GROUP_OUT || g->state == GROUP_LEAVING)
        return false;
    /* The coordinator is a generation ahead of us, or was: the answers of the round itself say whether we belong to it. */
    if ((round || generation < g->generation) &&
        (code == FERRY_KAFKA_ILLEGAL_GENERATION || code == FERRY_KAFKA_REBALANCE_IN_PROGRESS))
        return g->cooperative && generation + 1 >= g->generation;
    if (actions & FERRY_WIRE_FATAL) {
        ferry_group_fail(g, code, "a commit was refused");
    } else if (code == FERRY_KAFKA_REBALANCE_IN_PROGRESS) {
        g->rejoin = true;
        ferry_group_go(g);
    } else {
        ferry_group_lose(g, code == FERRY_KAFKA_ILLEGAL_GENERATION);
    }
    return false;
}

struct ferry_group_identity ferry_group_identity(const struct ferry_group *g)
{
    return (struct ferry_group_identity){
        ferry_str_of(g->client->settings->group_id), ferry_str_of(g->member_id),
        ferry_str_of(g->client->settings->group_instance_id), g->generation};
}

bool ferry_group_is_member(const struct ferry_group *g)
{
    return g->generation >= 0;
}
