/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * A group of consumers that come, go and stall. Each takes what its engine delivers as an application would: poll,
 * process, commit; now and then it leaves with or without a word, or does not poll for longer than it may. Once it knows
 * its generation it also tries to commit under the one before, which must be refused.
 *
 * What is checked here, beside the ledger: positions of one assignment have no gap and never go back; a new assignment
 * starts neither behind what was consumed nor before what was committed; no partition has two owners in a generation.
 */

#include "base/check.h"
#include "base/mem.h"
#include "client/consumer_app.h"
#include "client/group_impl.h"
#include "tests/sim/scene.h"
#include "wire/apis.h"
#include "wire/messages.h"

#include <inttypes.h>
#include <stdio.h>

enum { GENERATIONS = 256, POLL_MAX = 64 };

struct position {
    bool owned, begun;
    int64_t next, least; /* the next offset; the committed one when the assignment came */
    uint32_t losses;
};

struct stale_commit {
    struct ferry_command command;
    struct ferry_request request;
    struct ferry_offset_commit_request body;
    struct ferry_offset_commit_request_topic topic;
    struct ferry_offset_commit_request_partition partition;
    char member[128];
    bool busy;
    uint32_t losses; /* when the member came into its generation */
};

struct scene_consumer {
    struct scene_client client; /* first */
    struct ferry_consumer_app *app;
    struct ferry_link inbox; /* of struct ferry_delivery */
    struct ferry_timer poll, life;
    ferry_nsec polled; /* when last */
    struct position positions[LEDGER_TOPICS][LEDGER_PARTITIONS];
    struct stale_commit stale;
    bool committing, leaving;
    int32_t generation;           /* of the question that waits in the inbox */
    enum ferry_group_state state; /* after the last step */
    uint32_t synced;              /* power losses before the last SyncGroup was answered */
    uint32_t learned;             /* and before the one that the question comes from */
    uint32_t answered;            /* power losses before the commit was answered that waits there */
};

struct owner {
    int32_t generation, member;
    uint32_t losses;
};

/* What the group as a whole has seen. */
struct scene_group {
    struct scene_consumer consumers[SCENE_CONSUMERS];
    struct {
        int64_t consumed, committed; /* furthest ever; last acknowledged */
        struct owner owners[GENERATIONS];
    } parts[LEDGER_TOPICS][LEDGER_PARTITIONS];
    uint32_t losses;
};

static void fail_at(struct scene_consumer *c, int t, int32_t p, const char *what, int64_t a,
                    int64_t b)
{
    sim_world_fail(c->client.scene->world, "%s, %s-%d: %s (%" PRId64 ", %" PRId64 ")",
                   sim_node_name(c->client.node), ledger_topic_name(t), p, what, a, b);
}

/* A power loss takes commits too, and the records behind them where the flush policy allows. */
static void notice_losses(struct scene *s)
{
    struct scene_group *g = s->group;
    if (g->losses == ledger_losses(s->ledger))
        return;
    g->losses = ledger_losses(s->ledger);
    for (int t = 0; t < LEDGER_TOPICS; t++)
        for (int p = 0; p < LEDGER_PARTITIONS; p++)
            g->parts[t][p].committed = 0;
}

/* ---- assignments ---- */

static void claim(struct scene_consumer *c, int t, int32_t p)
{
    struct scene_group *g = c->client.scene->group;
    int me = (int)(c - g->consumers);
    int at = c->generation % GENERATIONS;
    if (c->generation < 0)
        return;
    struct owner *o = &g->parts[t][p].owners[at];
    if (o->generation == c->generation && o->losses > c->learned)
        return; /* a power loss took the generation that this member knows */
    if (o->generation == c->generation && o->losses == c->learned && o->member != me)
        fail_at(c, t, p, "has two owners in one generation", c->generation, me);
    *o = (struct owner){c->generation, me, c->learned};
}

static void take_question(struct scene_consumer *c, struct ferry_rebalance *r)
{
    struct scene *s = c->client.scene;
    struct ferry_error err = {0};
    bool gain = r->kind == FERRY_REBALANCE_ASSIGNED;
    notice_losses(s);
    sim_world_note(s->world, "%s: %s of %zu partitions in generation %d",
                   sim_node_name(c->client.node), gain ? "assignment" : "revocation",
                   r->list->count, c->generation);
    if (!r->incremental)
        memset(c->positions, 0, sizeof c->positions);
    for (size_t i = 0; i < r->list->count; i++) {
        int t = ledger_topic_named(r->list->items[i].topic);
        int32_t p = r->list->items[i].partition;
        FERRY_CHECK(t >= 0 && p >= 0 && p < LEDGER_PARTITIONS);
        c->positions[t][p] = (struct position){
            .owned = gain, .losses = s->group->losses, .least = s->group->parts[t][p].committed};
    }
    for (int t = 0; gain && t < LEDGER_TOPICS; t++)
        for (int32_t p = 0; p < LEDGER_PARTITIONS; p++)
            if (c->positions[t][p].owned)
                claim(c, t, p);
    if (ferry_consumer_app_answer(c->app, r, NULL, &err))
        sim_world_fail(s->world, "%s cannot answer: %s", sim_node_name(c->client.node), err.text);
}

/* ---- records ---- */

static void take_message(struct scene_consumer *c, const struct ferry_message *m)
{
    struct scene *s = c->client.scene;
    int t = m->topic ? ledger_topic_named(m->topic) : -1;
    int32_t p = m->partition;
    if (m->error) {
        sim_world_note(s->world, "%s: error %d", sim_node_name(c->client.node), m->error);
        return;
    }
    FERRY_CHECK(t >= 0 && p >= 0 && p < LEDGER_PARTITIONS);
    struct position *at = &c->positions[t][p];
    /* What was fetched before a power loss may be read after it. */
    bool excused = !ledger_flushes_each(s->ledger) && ledger_losses(s->ledger);
    if (!at->owned)
        fail_at(c, t, p, "a record of a partition that is not assigned", m->offset, c->generation);
    else if (at->begun && m->offset != at->next && !excused)
        fail_at(c, t, p, "a gap, or a step back", at->next, m->offset);
    else if (!at->begun && !excused && at->losses == ledger_losses(s->ledger) &&
             (m->offset < at->least ||
              (ledger_losses(s->ledger) == 0 && m->offset > s->group->parts[t][p].consumed)))
        fail_at(c, t, p, "starts elsewhere than where the group was", m->offset, at->least);
    ledger_consumed(s->ledger, sim_node_name(c->client.node), t, p, m->offset, m->value,
                    (size_t)m->value_len);
    at->begun = true;
    at->next = m->offset + 1;
    at->losses = ledger_losses(s->ledger);
    if (at->next > s->group->parts[t][p].consumed)
        s->group->parts[t][p].consumed = at->next;
    s->totals.consumed++;
}

/* ---- commits ---- */

static void commit(struct scene_consumer *c)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    FERRY_CHECK(list);
    for (int t = 0; t < LEDGER_TOPICS; t++)
        for (int32_t p = 0; p < LEDGER_PARTITIONS; p++)
            if (c->positions[t][p].owned && c->positions[t][p].begun)
                ferry_partition_list_add(list, ledger_topic_name(t), p, c->positions[t][p].next);
    if (list->count) {
        struct ferry_consumer_call *call =
            ferry_consumer_app_call_new(c->app, FERRY_CALL_COMMIT, list);
        FERRY_CHECK(call);
        call->timeout = 2 * FERRY_SECOND;
        c->committing = true;
        c->client.scene->totals.ops++;
        ferry_consumer_app_post(c->app, call);
    }
    ferry_partition_list_free(list);
}

static void committed(struct scene_consumer *c, const struct ferry_consumer_call *call)
{
    struct scene *s = c->client.scene;
    c->committing = false;
    notice_losses(s);
    for (size_t i = 0; call->list && !call->status && i < call->list->count; i++) {
        const struct ferry_topic_partition *e = &call->list->items[i];
        int t = ledger_topic_named(e->topic);
        struct position *at = &c->positions[t][e->partition];
        if (e->error || !at->owned || c->answered != s->group->losses)
            continue; /* said before a power loss, or about an assignment that is over */
        sim_world_note(s->world, "committed %s-%d@%" PRId64, e->topic, e->partition, e->offset);
        s->group->parts[t][e->partition].committed = e->offset;
        s->totals.commits++;
    }
}

static void on_stale_done(struct ferry_client *client, struct ferry_request *q,
                          const struct ferry_reply *reply)
{
    struct scene_consumer *c = q->cookie;
    const struct ferry_offset_commit_response *m = reply->body;
    c->stale.busy = false;
    if (reply->status || m->topics_count != 1 || m->topics[0].partitions_count != 1)
        return;
    if (c->stale.losses != ledger_losses(c->client.scene->ledger))
        return; /* a power loss may have taken the later generation */
    if (m->topics[0].partitions[0].error_code)
        c->client.scene->totals.fenced++;
    else
        sim_world_fail(c->client.scene->world,
                       "%s: a commit of generation %d is accepted in a later one",
                       sim_node_name(c->client.node), c->stale.body.generation_id_or_member_epoch);
}

static void submit_stale(struct ferry_client *client, struct ferry_command *command)
{
    struct stale_commit *s = FERRY_CONTAINER(command, struct stale_commit, command);
    ferry_request_submit(client, &s->request);
}

/* As this member, one generation late. */
static void commit_stale(struct scene_consumer *c)
{
    struct stale_commit *s = &c->stale;
    struct ferry_group_identity me = ferry_group_identity(c->app->core->group);
    if (s->busy || me.generation < 2 || me.generation != c->generation || !me.member_id.len ||
        me.member_id.len >= sizeof s->member)
        return;
    memcpy(s->member, me.member_id.data, me.member_id.len);
    ferry_offset_commit_request_init(&s->body);
    ferry_offset_commit_request_topic_init(&s->topic);
    ferry_offset_commit_request_partition_init(&s->partition);
    s->body.group_id = ferry_str_of("group");
    s->body.generation_id_or_member_epoch = me.generation - 1;
    s->body.member_id = (struct ferry_str){s->member, me.member_id.len};
    s->body.topics = &s->topic;
    s->body.topics_count = 1;
    s->topic.name = ferry_str_of(ledger_topic_name(0));
    s->topic.partitions = &s->partition;
    s->topic.partitions_count = 1;
    s->partition.committed_offset = 0;
    s->request = (struct ferry_request){.api_key = FERRY_API_OFFSET_COMMIT,
                                        .min_version = 7,
                                        .max_version = 8,
                                        .target = FERRY_TO_COORDINATOR,
                                        .conn_class = FERRY_CLASS_COORDINATOR,
                                        .coordinator_key = ferry_str_of("group"),
                                        .message = &s->body,
                                        .on_done = on_stale_done,
                                        .cookie = c};
    s->command.run = submit_stale;
    s->busy = true;
    s->losses = c->learned;
    c->client.scene->totals.ops++;
    scene_client_post(&c->client, &s->command);
}

/* ---- the application ---- */

static void poll_later(struct scene_consumer *c, ferry_nsec most)
{
    struct scene *s = c->client.scene;
    sim_world_at(s->world, &c->poll,
                 sim_world_now(s->world) + ferry_prng_between(s->prng, 0, most));
}

static void end_life(struct scene_consumer *c)
{
    sim_world_at(c->client.scene->world, &c->life, sim_world_now(c->client.scene->world));
}

static void take_delivery(struct scene_consumer *c, struct ferry_delivery *d)
{
    d = ferry_consumer_app_receive(c->app, d);
    if (d && d->type == FERRY_CONSUMER_QUESTION) {
        take_question(c, FERRY_CONTAINER(d, struct ferry_rebalance, delivery));
    } else if (d) {
        struct ferry_consumer_call *call = FERRY_CONTAINER(d, struct ferry_consumer_call, done);
        if (call->kind == FERRY_CALL_COMMIT)
            committed(c, call);
        else if (call->kind == FERRY_CALL_CLOSE)
            end_life(c);
        ferry_consumer_call_free(call);
    }
}

static void on_poll(struct ferry_timer *t, void *world)
{
    struct scene_consumer *c = FERRY_CONTAINER(t, struct scene_consumer, poll);
    struct scene *s = c->client.scene;
    struct ferry_message out[POLL_MAX];
    struct ferry_link *it;
    int32_t n, max = (int32_t)ferry_prng_between(s->prng, 1, POLL_MAX);
    if (!c->app)
        return;
    if (sim_world_now(s->world) - c->polled > FERRY_SECOND)
        s->disturbed = sim_world_now(s->world); /* it may have to join again */
    s->totals.stalled += c->polled && sim_world_now(s->world) - c->polled > 3 * FERRY_SECOND;
    c->polled = sim_world_now(s->world);
    ferry_consumer_app_begin(c->app);
    while ((it = ferry_list_pop_front(&c->inbox))) /* questions do not wait behind records */
        take_delivery(c, FERRY_CONTAINER(it, struct ferry_delivery, link));
    n = ferry_consumer_app_take(c->app, out, max);
    for (int32_t i = 0; i < n; i++)
        take_message(c, &out[i]);
    ferry_consumer_app_end(c->app);
    s->totals.ops++;
    if (!c->committing && !c->leaving && ferry_prng_chance(s->prng, 1, 3))
        commit(c);
    if (!c->leaving && ferry_prng_chance(s->prng, 1, 20))
        commit_stale(c);
    poll_later(c,
               !s->quiet && ferry_prng_chance(s->prng, 1, 100) ? 4 * FERRY_SECOND : 30 * FERRY_MS);
}

/* Without a word: the others take over what it had when its session ends. */
static void die(struct scene_consumer *c)
{
    c->client.scene->disturbed = sim_world_now(c->client.scene->world);
    scene_client_flush(&c->client);
    sim_node_stop(c->client.node, true);
}

/* Comes, or goes: with a word, or without. */
static void on_life(struct ferry_timer *t, void *world)
{
    struct scene_consumer *c = FERRY_CONTAINER(t, struct scene_consumer, life);
    struct scene *s = c->client.scene;
    ferry_nsec next = ferry_prng_between(s->prng, 200 * FERRY_MS, 4 * FERRY_SECOND);
    if (s->ending)
        return;
    if (!s->quiet || !sim_node_running(c->client.node) || c->leaving)
        s->disturbed = sim_world_now(s->world);
    if (!sim_node_running(c->client.node)) {
        sim_node_start(c->client.node);
    } else if (c->leaving) {
        scene_client_flush(&c->client);
        sim_node_stop(c->client.node, false);
        next = s->quiet ? FERRY_MS : next / 4;
    } else if (s->quiet) {
        if (c == &s->group->consumers[SCENE_CONSUMERS - 1] && ferry_prng_chance(s->prng, 1, 3))
            die(c);
        return; /* stays, or never comes back */
    } else if (ferry_prng_chance(s->prng, 1, 2)) {
        struct ferry_consumer_call *call =
            ferry_consumer_app_call_new(c->app, FERRY_CALL_CLOSE, NULL);
        FERRY_CHECK(call);
        call->timeout = 3 * FERRY_SECOND;
        c->leaving = true;
        ferry_consumer_app_post(c->app, call);
        next = 5 * FERRY_SECOND;
    } else {
        die(c);
        next = next / 4;
    }
    sim_world_at(world, t, sim_world_now(s->world) + next);
}

static void post(void *cookie, struct ferry_command *command)
{
    scene_client_post(cookie, command);
}

static const struct ferry_consumer_host consumer_host = {post};

static void started(struct scene_client *client)
{
    struct scene_consumer *c = (struct scene_consumer *)client;
    struct ferry_partition_list *topics = ferry_partition_list_new();
    struct ferry_error err = {0};
    c->app = ferry_consumer_app_new(client->client->settings, &consumer_host, c, &err);
    FERRY_CHECK(c->app && topics);
    for (int t = 0; t < LEDGER_TOPICS; t++)
        ferry_partition_list_add(topics, ledger_topic_name(t), -1, FERRY_OFFSET_NONE);
    FERRY_CHECK(ferry_consumer_app_subscribe(c->app, topics, &err) == 0);
    ferry_partition_list_free(topics);
    memset(c->positions, 0, sizeof c->positions);
    c->committing = c->leaving = c->stale.busy = false;
    c->polled = 0;
    poll_later(c, 10 * FERRY_MS);
}

static void drop_inbox(struct scene_consumer *c)
{
    struct ferry_link *it;
    while ((it = ferry_list_pop_front(&c->inbox))) {
        struct ferry_delivery *d = FERRY_CONTAINER(it, struct ferry_delivery, link);
        d->drop(d);
    }
}

static void stopped(struct scene_client *client)
{
    struct scene_consumer *c = (struct scene_consumer *)client;
    drop_inbox(c);
    ferry_consumer_app_free(c->app);
    c->app = NULL;
}

/* The application hears of an assignment when it polls, long after it was made perhaps. */
static void stepped(struct scene_client *client)
{
    struct scene_consumer *c = (struct scene_consumer *)client;
    enum ferry_group_state before = c->state;
    const struct ferry_group *group = c->app && c->app->core ? c->app->core->group : NULL;
    c->state = group ? group->state : GROUP_OUT;
    if (c->state == GROUP_STABLE && before == GROUP_SYNCING)
        c->synced = ledger_losses(client->scene->ledger);
}

static void delivered(struct scene_client *client, void *delivery)
{
    struct scene_consumer *c = (struct scene_consumer *)client;
    struct ferry_delivery *d = delivery;
    if (d->type == FERRY_CONSUMER_QUESTION) {
        c->generation = ferry_group_identity(c->app->core->group).generation;
        c->learned = c->synced;
    }
    if (d->type == FERRY_CONSUMER_DONE &&
        FERRY_CONTAINER(d, struct ferry_consumer_call, done)->kind == FERRY_CALL_COMMIT)
        c->answered = ledger_losses(client->scene->ledger);
    ferry_list_push_back(&c->inbox, &d->link);
}

void scene_consumers_init(struct scene *s)
{
    static const char *const strategies[] = {"range", "roundrobin", "cooperative-sticky"};
    const char *strategy = strategies[ferry_prng_below(s->prng, 3)];
    struct scene_group *g = s->group = ferry_zalloc(sizeof *g);
    FERRY_CHECK(g);
    for (int i = 0; i < SCENE_CONSUMERS; i++) {
        struct scene_consumer *c = &g->consumers[i];
        char name[16];
        snprintf(name, sizeof name, "consumer-%d", i);
        ferry_list_init(&c->inbox);
        c->poll.fire = on_poll;
        c->life.fire = on_life;
        c->client.started = started;
        c->client.stopped = stopped;
        c->client.delivered = delivered;
        c->client.stepped = stepped;
        snprintf(
            c->client.settings, sizeof c->client.settings,
            "group.id=group\nauto.offset.reset=earliest\nenable.auto.commit=false\n"
            "partition.assignment.strategy=%s\nsession.timeout.ms=1500\nheartbeat.interval.ms=300\n"
            "max.poll.interval.ms=3000\nrequest.timeout.ms=2000\nfetch.max.wait.ms=100\n"
            "retry.backoff.ms=20\nretry.backoff.max.ms=200\nreconnect.backoff.ms=20\n"
            "reconnect.backoff.max.ms=200\n",
            strategy);
        scene_client_init(s, &c->client, name);
        sim_world_at(s->world, &c->life,
                     sim_world_now(s->world) + ferry_prng_between(s->prng, 0, FERRY_SECOND));
    }
}

void scene_consumers_free(struct scene *s)
{
    ferry_free(s->group);
}

/* Has some member come to the end of the partition? */
static bool at_end(const struct scene *s, int t, int32_t p)
{
    for (int i = 0; i < SCENE_CONSUMERS; i++) {
        struct scene_consumer *c = &s->group->consumers[i];
        struct ferry_consumer_part *part =
            c->app ? ferry_consumer_app_find(c->app, ferry_str_of(ledger_topic_name(t)), p) : NULL;
        if (part && c->positions[t][p].owned &&
            ferry_consumer_part_position(part) >= ledger_end(s->ledger, t, p))
            return true;
    }
    return false;
}

bool scene_consumers_at_end(const struct scene *s)
{
    for (int t = 0; t < LEDGER_TOPICS; t++)
        for (int32_t p = 0; p < LEDGER_PARTITIONS; p++)
            if (!at_end(s, t, p))
                return false;
    return true;
}

bool scene_consumers_stable(const struct scene *s)
{
    const struct ferry_group *first = NULL;
    int owned = 0;
    for (int i = 0; i < SCENE_CONSUMERS; i++) {
        struct scene_consumer *c = &s->group->consumers[i];
        const struct ferry_group *g = c->app && c->app->core ? c->app->core->group : NULL;
        if (!c->app)
            continue; /* gone for good */
        if (!g || g->state != GROUP_STABLE || (first && first->generation != g->generation))
            return false;
        first = g;
        for (int t = 0; t < LEDGER_TOPICS; t++)
            for (int32_t p = 0; p < LEDGER_PARTITIONS; p++)
                owned += c->positions[t][p].owned;
    }
    return owned == LEDGER_TOPICS * LEDGER_PARTITIONS;
}
