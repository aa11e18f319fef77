/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commits of the consumer: one under way at a time, in the order in which they were asked for, so that a retried one never
 * overtakes a later one.
 */
#include "config.h"

#include "client/consumer.h"

#include "base/check.h"
#include "base/mem.h"

struct commit {
    struct ferry_link link;
    struct ferry_consumer_core *core;
    struct ferry_offsets_job *job; /* NULL while it waits */
    struct ferry_partition_list *list;
    ferry_nsec deadline, asked_at;
    void (*done)(struct ferry_consumer_core *, void *cookie, int32_t status, const char *text);
    void *cookie;
};

static struct commit *first(struct ferry_consumer_core *core)
{
    return ferry_list_empty(&core->commits)
               ? NULL
               : FERRY_CONTAINER(core->commits.next, struct commit, link);
}

static struct ferry_consumer_part *find(struct ferry_consumer_core *core,
                                        const struct ferry_topic_partition *e)
{
    for (size_t i = 0; i < core->part_count; i++)
        if (core->parts[i]->partition == e->partition &&
            ferry_str_eq(core->parts[i]->topic, ferry_str_of(e->topic)))
            return core->parts[i];
    return NULL;
}

static void commit_free(struct commit *c)
{
    ferry_list_remove(&c->link);
    ferry_partition_list_free(c->list);
    ferry_free(c);
}

static void send_first(struct ferry_consumer_core *core);

static void on_committed(void *cookie, int32_t status, const char *text)
{
    struct commit *c = cookie;
    struct ferry_consumer_core *core = c->core;
    ferry_consumer_measure_commit(core, core->client->now - c->asked_at, status);
    for (size_t i = 0; i < c->list->count; i++) {
        struct ferry_consumer_part *part =
            c->list->items[i].error ? NULL : find(core, &c->list->items[i]);
        if (part)
            part->committed = c->list->items[i].offset;
    }
    ferry_list_remove(&c->link);
    if (c->done)
        c->done(core, c->cookie, status, text);
    commit_free(c);
    send_first(core);
}

static void send_first(struct ferry_consumer_core *core)
{
    struct commit *c;
    while ((c = first(core)) && !c->job) {
        struct ferry_offsets_ask ask = {.list = c->list,
                                        .deadline = c->deadline,
                                        .group_id = ferry_str_of(core->client->settings->group_id),
                                        .group = core->subscribed ? core->group : NULL,
                                        .on_done = on_committed,
                                        .cookie = c};
        c->job = ferry_offsets_commit(core->client, &ask);
        if (c->job)
            return;
        ferry_list_remove(&c->link);
        if (c->done)
            c->done(core, c->cookie, FERRY_E_NOMEM, "no memory for a commit");
        commit_free(c);
    }
}

int ferry_consumer_commit_list(struct ferry_consumer_core *core, struct ferry_partition_list *list,
                               ferry_nsec deadline,
                               void (*done)(struct ferry_consumer_core *, void *cookie,
                                            int32_t status, const char *text),
                               void *cookie)
{
    struct commit *c = ferry_zalloc(sizeof *c);
    if (!c) {
        ferry_partition_list_free(list);
        return FERRY_E_NOMEM;
    }
    c->core = core;
    c->list = list;
    c->deadline = deadline;
    c->asked_at = core->client->now;
    c->done = done;
    c->cookie = cookie;
    bool idle = !first(core);
    ferry_list_push_back(&core->commits, &c->link);
    if (!idle)
        return FERRY_OK;
    send_first(core);
    return FERRY_OK;
}

void ferry_consumer_commits_free(struct ferry_consumer_core *core)
{
    struct commit *c;
    while ((c = first(core))) {
        if (c->job)
            ferry_offsets_cancel(c->job);
        ferry_list_remove(&c->link);
        if (c->done)
            c->done(core, c->cookie, FERRY_E_CLOSED, "the consumer is closed");
        commit_free(c);
    }
}

/* ---- what is stored ---- */

/* A partition of which nothing was processed yet stands where its fetching began: committing that lets the next member
   begin there too, wherever the log's end has moved meanwhile. */
static int add_stored(const struct ferry_consumer_core *core, struct ferry_partition_list *list,
                      const struct ferry_consumer_part *part)
{
    int64_t stored = atomic_load(&part->stored);
    if (stored == FERRY_OFFSET_NONE && core->client->settings->auto_offset_store &&
        atomic_load(&part->start_epoch) == atomic_load(&part->epoch))
        stored = atomic_load(&part->start);
    if (stored == FERRY_OFFSET_NONE || stored == part->committed)
        return FERRY_OK;
    int at = ferry_consumer_list_add(list, part->topic, part->partition, stored);
    if (at < 0)
        return at;
    list->items[at].leader_epoch = atomic_load(&part->stored_leader_epoch);
    return FERRY_OK;
}

struct ferry_partition_list *ferry_consumer_stored(struct ferry_consumer_core *core,
                                                   const struct ferry_consumer_change *of, int *rc)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    size_t count = of ? of->count : core->part_count;
    *rc = list ? FERRY_OK : FERRY_E_NOMEM;
    for (size_t i = 0; i < count && !*rc; i++)
        *rc = add_stored(core, list, of ? of->targets[i].part : core->parts[i]);
    if (list && (*rc || list->count == 0)) {
        ferry_partition_list_free(list);
        list = NULL;
    }
    return list;
}

/* ---- by the clock ---- */

static void on_auto_done(struct ferry_consumer_core *core, void *cookie, int32_t status,
                         const char *text)
{
    (void)cookie;
    if (status)
        ferry_client_log(core->client, FERRY_LOG_WARNING, FERRY_DEBUG_GROUP,
                         "auto commit of group %s: %s", core->client->settings->group_id, text);
}

/* 0 is as often as makes sense, not without a pause. */
static ferry_nsec auto_commit_interval(const struct ferry_settings *s)
{
    return (s->auto_commit_interval_ms > 0 ? s->auto_commit_interval_ms : 1) * FERRY_MS;
}

static void on_auto_commit(struct ferry_timer *t, void *context)
{
    struct ferry_consumer_core *core = FERRY_CONTAINER(t, struct ferry_consumer_core, auto_commit);
    const struct ferry_settings *s = core->client->settings;
    int rc;
    (void)context;
    if (core->part_count == 0)
        return;
    ferry_client_timer(core->client, t, core->client->now + auto_commit_interval(s));
    if (first(core) || (core->subscribed && !ferry_group_is_member(core->group)))
        return;
    struct ferry_partition_list *list = ferry_consumer_stored(core, NULL, &rc);
    if (list)
        ferry_consumer_commit_list(
            core, list, core->client->now + (ferry_nsec)s->default_api_timeout_ms * FERRY_MS,
            on_auto_done, NULL);
}

void ferry_consumer_auto_commit_start(struct ferry_consumer_core *core)
{
    const struct ferry_settings *s = core->client->settings;
    core->auto_commit.fire = on_auto_commit;
    if (s->group_id && s->enable_auto_commit && core->part_count &&
        !ferry_timer_armed(&core->auto_commit))
        ferry_client_timer(core->client, &core->auto_commit,
                           core->client->now + auto_commit_interval(s));
}
