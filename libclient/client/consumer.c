/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consumer's core: what is assigned, where each partition begins, and rebalance questions.
 *
 * A question goes to the application as a delivery. Its answer is a change that carries the question's number: the core
 * applies it, waits for the commits of what was given up, and tells the group.
 */
#include "config.h"

#include "client/consumer.h"

#include "base/check.h"
#include "base/mem.h"

/* ---- where a partition begins: the committed offsets of some ---- */

struct begin {
    struct ferry_link link;
    struct ferry_consumer_core *core;
    struct ferry_offsets_job *job;
    struct ferry_partition_list *list;
    struct ferry_consumer_part **parts; /* references, in the list's order */
    uint32_t *epochs;
    size_t cap;
    struct ferry_timer retry;
    bool told;
};

static void begin_free(struct begin *b)
{
    ferry_list_remove(&b->link);
    if (b->core->client)
        ferry_client_timer_cancel(b->core->client, &b->retry);
    for (size_t i = 0; b->list && i < b->list->count; i++)
        ferry_consumer_part_unref(b->parts[i]);
    ferry_partition_list_free(b->list);
    ferry_free(b->parts);
    ferry_free(b->epochs);
    ferry_free(b);
}

static bool still_wanted(const struct begin *b, size_t i)
{
    const struct ferry_consumer_part *part = b->parts[i];
    return part->in_core && part->fetch.epoch == b->epochs[i];
}

static void start(struct ferry_consumer_core *core, struct ferry_consumer_part *part,
                  int64_t offset, int32_t leader_epoch)
{
    if (ferry_fetcher_start(core->fetcher, part, offset, leader_epoch, part->fetch.epoch))
        ferry_consumer_tell(core, FERRY_E_NOMEM, "no memory to fetch a partition");
}

static void ask_committed(struct begin *b);

static void on_begin_retry(struct ferry_timer *t, void *context)
{
    (void)context;
    ask_committed(FERRY_CONTAINER(t, struct begin, retry));
}

static void begin_again(struct begin *b)
{
    ferry_client_timer(b->core->client, &b->retry, b->core->client->now + FERRY_SECOND);
}

static void on_begin(void *cookie, int32_t status, const char *text)
{
    struct begin *b = cookie;
    struct ferry_consumer_core *core = b->core;
    bool again = false;
    b->job = NULL;
    for (size_t i = 0; i < b->list->count; i++) {
        const struct ferry_topic_partition *e = &b->list->items[i];
        struct ferry_consumer_part *part = b->parts[i];
        if (!still_wanted(b, i))
            continue;
        if (e->error) {
            again = true;
            continue;
        }
        b->epochs[i] = part->fetch.epoch - 1; /* done with this one, should others be asked again */
        part->committed = e->offset;
        start(core, part,
              e->offset >= 0 ? e->offset : ferry_fetcher_reset_offset(core->fetcher, part),
              e->offset >= 0 ? e->leader_epoch : -1);
    }
    if (again && !b->told)
        ferry_consumer_tell(core, status, text);
    b->told |= again;
    if (again)
        begin_again(b);
    else
        begin_free(b);
    ferry_fetcher_go(core->fetcher);
}

static void ask_committed(struct begin *b)
{
    const struct ferry_settings *s = b->core->client->settings;
    struct ferry_offsets_ask ask = {.list = b->list,
                                    .deadline = FERRY_NEVER,
                                    .group_id = ferry_str_of(s->group_id),
                                    .on_done = on_begin,
                                    .cookie = b};
    b->job = ferry_offsets_fetch(b->core->client, &ask);
    if (!b->job)
        begin_again(b);
}

static struct begin *begin_new(struct ferry_consumer_core *core)
{
    struct begin *b = ferry_zalloc(sizeof *b);
    if (b && !(b->list = ferry_partition_list_new())) {
        ferry_free(b);
        b = NULL;
    }
    if (b) {
        b->core = core;
        b->retry.fire = on_begin_retry;
        ferry_list_push_back(&core->begins, &b->link);
    }
    return b;
}

static int begin_add(struct begin *b, struct ferry_consumer_part *part)
{
    size_t cap = b->cap;
    if (FERRY_GROW(b->parts, cap, b->list->count + 1) ||
        FERRY_GROW(b->epochs, b->cap, b->list->count + 1))
        return FERRY_E_NOMEM;
    int at = ferry_consumer_list_add(b->list, part->topic, part->partition, FERRY_OFFSET_NONE);
    if (at < 0)
        return at;
    b->parts[at] = ferry_consumer_part_ref(part);
    b->epochs[at] = part->fetch.epoch;
    return FERRY_OK;
}

/* ---- changes ---- */

struct ferry_consumer_change *ferry_consumer_change_new(struct ferry_consumer_core *core,
                                                        enum ferry_consumer_change_kind kind,
                                                        size_t room)
{
    struct ferry_consumer_change *c = ferry_zalloc(sizeof *c + room * sizeof c->targets[0]);
    if (!c)
        return NULL;
    c->command.run = ferry_consumer_change_run;
    c->core = core;
    c->kind = kind;
    return c;
}

void ferry_consumer_change_free(struct ferry_consumer_change *c)
{
    while (c) {
        struct ferry_consumer_change *then = c->then;
        for (size_t i = 0; i < c->count; i++)
            ferry_consumer_part_unref(c->targets[i].part);
        ferry_free(c);
        c = then;
    }
}

static int add_part(struct ferry_consumer_core *core, struct ferry_consumer_part *part)
{
    if (part->in_core)
        return FERRY_OK;
    if (FERRY_GROW(core->parts, core->part_cap, core->part_count + 1))
        return FERRY_E_NOMEM;
    core->parts[core->part_count++] = ferry_consumer_part_ref(part);
    part->in_core = true;
    part->committed = FERRY_OFFSET_NONE;
    return FERRY_OK;
}

static void remove_part(struct ferry_consumer_core *core, struct ferry_consumer_part *part)
{
    size_t i = 0;
    if (!part->in_core)
        return;
    ferry_fetcher_stop(core->fetcher, part);
    while (core->parts[i] != part)
        i++;
    core->part_count--;
    memmove(core->parts + i, core->parts + i + 1, (core->part_count - i) * sizeof *core->parts);
    part->in_core = false;
    ferry_consumer_part_unref(part);
}

/* Goes on at the target's offset. Where that is NONE and the change does not mean the committed offset, the search for the
   first offset that is under way, if any, begins anew with the new epoch. */
static int move_part(struct ferry_consumer_core *core, const struct ferry_consumer_target *t,
                     bool to_committed, struct begin **committed)
{
    struct ferry_consumer_part *part = t->part;
    int64_t offset = t->offset;
    part->fetch.epoch = t->epoch;
    if (offset == FERRY_OFFSET_NONE && !to_committed) {
        if (part->fetch.state == FERRY_FETCHER_FAILED)
            return FERRY_OK;
        if (part->fetch.state == FERRY_FETCHER_LOOKUP)
            offset = part->fetch.offset;
        else if (part->fetch.state == FERRY_FETCHER_FETCHING)
            offset = atomic_load(&part->start);
    }
    if (offset != FERRY_OFFSET_NONE)
        return ferry_fetcher_start(core->fetcher, part, offset, t->leader_epoch, t->epoch);
    if (!core->client->settings->group_id)
        return ferry_fetcher_start(core->fetcher, part,
                                   ferry_fetcher_reset_offset(core->fetcher, part), -1, t->epoch);
    ferry_fetcher_stop(core->fetcher, part);
    if (!*committed && !(*committed = begin_new(core)))
        return FERRY_E_NOMEM;
    return begin_add(*committed, part);
}

static int apply_target(struct ferry_consumer_core *core, const struct ferry_consumer_change *c,
                        const struct ferry_consumer_target *t, struct begin **committed)
{
    struct ferry_consumer_part *part = t->part;
    int rc = FERRY_OK;
    if (c->kind == FERRY_CHANGE_UNASSIGN) {
        remove_part(core, part);
        return FERRY_OK;
    }
    if (c->kind == FERRY_CHANGE_ASSIGN) {
        rc = add_part(core, part);
        part->fetch.queue = part->queue;
    }
    if (rc || !part->in_core)
        return rc;
    if (c->kind == FERRY_CHANGE_PAUSE || c->kind == FERRY_CHANGE_RESUME)
        ferry_fetcher_pause(core->fetcher, part, c->kind == FERRY_CHANGE_PAUSE);
    if (c->kind == FERRY_CHANGE_QUEUE)
        part->fetch.queue = c->queue;
    return move_part(core, t, c->kind == FERRY_CHANGE_ASSIGN || c->kind == FERRY_CHANGE_SEEK,
                     committed);
}

static void on_given_up(struct ferry_consumer_core *core, void *cookie, int32_t status,
                        const char *text)
{
    (void)cookie;
    if (status)
        ferry_consumer_tell(core, status, text);
    core->settling--;
    if (core->settling == 0 && core->answered) {
        core->answered = false;
        ferry_group_answered(core->group);
    }
}

/* Commits what is stored of the partitions that are given up. It must be over before the group hears of the answer, but it
   must not hold the group up for long. */
static void commit_given_up(struct ferry_consumer_core *core, const struct ferry_consumer_change *c)
{
    const struct ferry_settings *s = core->client->settings;
    int rc;
    if (!s->group_id || !s->enable_auto_commit ||
        (core->subscribed && !ferry_group_is_member(core->group)))
        return;
    struct ferry_partition_list *list = ferry_consumer_stored(core, c, &rc);
    ferry_nsec deadline = core->client->now + (ferry_nsec)s->session_timeout_ms / 2 * FERRY_MS;
    if (!list)
        return;
    if (ferry_consumer_commit_list(core, list, deadline, on_given_up, NULL) == FERRY_OK)
        core->settling++;
}

void ferry_consumer_change_run(struct ferry_client *client, struct ferry_command *command)
{
    struct ferry_consumer_change *all =
        FERRY_CONTAINER(command, struct ferry_consumer_change, command);
    struct ferry_consumer_core *core = all->core;
    struct begin *committed = NULL;
    bool answers = false;
    (void)client;
    if (core->failed || core->closed) {
        ferry_consumer_change_free(all);
        return;
    }
    for (const struct ferry_consumer_change *c = all; c; c = c->then) {
        if (c->kind == FERRY_CHANGE_UNASSIGN)
            commit_given_up(core, c);
        for (size_t i = 0; i < c->count; i++)
            if (apply_target(core, c, &c->targets[i], &committed))
                ferry_consumer_tell(core, FERRY_E_NOMEM, "no memory to take up a partition");
        answers |= c->answers && c->answers == core->question;
    }
    ferry_consumer_change_free(all);
    if (committed)
        ask_committed(committed);
    ferry_consumer_auto_commit_start(core);
    if (answers) {
        core->question = 0;
        core->answered = core->settling > 0;
        if (!core->answered)
            ferry_group_answered(core->group);
    }
    ferry_fetcher_go(core->fetcher);
}

void ferry_consumer_drop_all(struct ferry_consumer_core *core)
{
    while (core->part_count)
        remove_part(core, core->parts[core->part_count - 1]);
}

void ferry_consumer_nudge_run(struct ferry_client *client, struct ferry_command *command)
{
    struct ferry_consumer_nudge *n = FERRY_CONTAINER(command, struct ferry_consumer_nudge, command);
    struct ferry_consumer_core *core = n->core;
    (void)client;
    ferry_free(n);
    if (core->failed || core->closed)
        return;
    if (core->group)
        ferry_group_polled(core->group);
    ferry_fetcher_go(core->fetcher);
}

void ferry_consumer_command_drop(struct ferry_command *c)
{
    if (c->run == ferry_consumer_change_run)
        ferry_consumer_change_free(FERRY_CONTAINER(c, struct ferry_consumer_change, command));
    else if (c->run == ferry_consumer_nudge_run)
        ferry_free(FERRY_CONTAINER(c, struct ferry_consumer_nudge, command));
    else if (c->run == ferry_consumer_attach_run)
        ferry_free(FERRY_CONTAINER(c, struct ferry_consumer_attach, command));
    else if (c->run == ferry_consumer_call_run)
        ferry_consumer_call_free(FERRY_CONTAINER(c, struct ferry_consumer_call, command));
}

/* ---- the group's owner ---- */

void ferry_consumer_deliver(struct ferry_consumer_core *core, struct ferry_delivery *d)
{
    if (!d->queue)
        d->queue = core->queue;
    ferry_client_deliver(core->client, d);
}

void ferry_consumer_tell(struct ferry_consumer_core *core, int32_t code, const char *text)
{
    struct ferry_consumer_note *n = ferry_consumer_note_new(NULL, code, text);
    if (n)
        ferry_consumer_deliver(core, &n->delivery);
}

static void drop_question(struct ferry_delivery *d)
{
    ferry_consumer_question_free(FERRY_CONTAINER(d, struct ferry_rebalance, delivery));
}

void ferry_consumer_question_free(struct ferry_rebalance *r)
{
    ferry_partition_list_free(r->list);
    ferry_free(r);
}

static void on_question(void *cookie, enum ferry_rebalance_kind kind, bool incremental,
                        const struct ferry_partition_list *list)
{
    struct ferry_consumer_core *core = cookie;
    struct ferry_rebalance *r = ferry_zalloc(sizeof *r);
    FERRY_CHECK(core->question == 0);
    if (kind == FERRY_REBALANCE_LOST)
        for (size_t i = 0; i < core->part_count; i++)
            if (ferry_consumer_list_has(list, core->parts[i]->topic, core->parts[i]->partition)) {
                core->parts[i]->fetch.epoch = atomic_fetch_add(&core->parts[i]->epoch, 1) + 1;
                ferry_fetcher_stop(core->fetcher, core->parts[i]);
            }
    if (!r || !(r->list = ferry_consumer_list_copy(list))) {
        ferry_free(r);
        ferry_client_error(core->client, FERRY_E_NOMEM, FERRY_ERROR_FATAL,
                           "no memory for a rebalance of group %s",
                           core->client->settings->group_id);
        return;
    }
    r->delivery.type = FERRY_CONSUMER_QUESTION;
    r->delivery.weight = 1;
    r->delivery.drop = drop_question;
    core->rebalances++;
    r->number = core->question = ++core->last_question;
    r->kind = kind;
    r->incremental = incremental;
    ferry_consumer_deliver(core, &r->delivery);
}

static int owned(void *cookie, struct ferry_partition_list *out)
{
    struct ferry_consumer_core *core = cookie;
    for (size_t i = 0; i < core->part_count; i++)
        if (ferry_consumer_list_add(out, core->parts[i]->topic, core->parts[i]->partition,
                                    FERRY_OFFSET_NONE) < 0)
            return FERRY_E_NOMEM;
    return FERRY_OK;
}

static uint64_t polls(void *cookie)
{
    struct ferry_consumer_shared *shared = ((struct ferry_consumer_core *)cookie)->shared;
    return atomic_load(&shared->polls) * 2 + (atomic_load(&shared->in_polls) > 0);
}

static void on_stalled(void *cookie)
{
    struct ferry_consumer_core *core = cookie;
    atomic_fetch_or(&core->shared->attention, FERRY_CONSUMER_STALLED);
}

static void on_error(void *cookie, int32_t code, uint32_t flags, const char *text)
{
    (void)flags;
    ferry_consumer_tell(cookie, code, text);
}

static void on_left(void *cookie)
{
    ferry_consumer_on_left(cookie);
}

/* ---- life ---- */

static void on_topic(struct ferry_client *client, struct ferry_observer *o,
                     struct ferry_topic_meta *t, bool id_changed)
{
    struct ferry_consumer_core *core = o->cookie;
    (void)client;
    (void)id_changed;
    if (t->consumer)
        ferry_fetcher_on_topic(core->fetcher, t);
}

static void on_broker_up(struct ferry_client *client, struct ferry_observer *o, int32_t node,
                         enum ferry_class class)
{
    struct ferry_consumer_core *core = o->cookie;
    (void)client;
    (void)node;
    if (class == FERRY_CLASS_FETCH)
        ferry_fetcher_go(core->fetcher);
}

static void shut(struct ferry_consumer_core *core)
{
    struct ferry_link *it, *tmp;
    if (core->closed)
        return;
    core->closed = true;
    ferry_client_timer_cancel(core->client, &core->auto_commit);
    ferry_client_timer_cancel(core->client, &core->ending);
    FERRY_LIST_EACH(it, tmp, &core->begins)
    {
        struct begin *b = FERRY_CONTAINER(it, struct begin, link);
        if (b->job)
            ferry_offsets_cancel(b->job);
        begin_free(b);
    }
    core->answered = false; /* the group is not to go on */
    ferry_consumer_commits_free(core);
    ferry_consumer_drop_all(core);
    ferry_fetcher_free(core->fetcher);
    ferry_group_free(core->group);
    core->fetcher = NULL;
    core->group = NULL;
    FERRY_LIST_EACH(it, tmp, &core->calls)
    ferry_consumer_call_done(core, FERRY_CONTAINER(it, struct ferry_consumer_call, link),
                             FERRY_E_CLOSED, "the consumer is closed");
}

static void on_ending(struct ferry_timer *t, void *context)
{
    struct ferry_consumer_core *core = FERRY_CONTAINER(t, struct ferry_consumer_core, ending);
    (void)context;
    ferry_client_unobserve(core->client, &core->observer);
    shut(core);
}

static void on_close(struct ferry_client *client, struct ferry_observer *o)
{
    (void)client;
    shut(o->cookie);
}

void ferry_consumer_attach_run(struct ferry_client *client, struct ferry_command *command)
{
    static const struct ferry_group_owner owner = {on_question, owned,    polls,
                                                   on_stalled,  on_error, on_left};
    struct ferry_consumer_attach *a =
        FERRY_CONTAINER(command, struct ferry_consumer_attach, command);
    struct ferry_consumer_core *core = a->core;
    struct ferry_error err = {0};
    ferry_free(a);
    core->client = client;
    core->ending.fire = on_ending;
    core->fetcher = ferry_fetcher_new(core);
    if (core->fetcher && client->settings->group_id)
        core->group = ferry_group_new(client, &owner, core, &err);
    if (!core->fetcher || (client->settings->group_id && !core->group)) {
        core->failed = core->fetcher ? err.code : FERRY_E_NOMEM;
        ferry_client_error(client, core->failed, FERRY_ERROR_FATAL, "the consumer cannot begin: %s",
                           err.text);
        return;
    }
    core->observer = (struct ferry_observer){.cookie = core,
                                             .on_topic = on_topic,
                                             .on_broker_up = on_broker_up,
                                             .on_statistics = ferry_consumer_on_statistics,
                                             .on_close = on_close};
    ferry_client_observe(client, &core->observer);
}

struct ferry_consumer_core *ferry_consumer_core_new(struct ferry_consumer_shared *shared)
{
    struct ferry_consumer_core *core = ferry_zalloc(sizeof *core);
    if (!core)
        return NULL;
    core->shared = ferry_consumer_shared_ref(shared);
    ferry_list_init(&core->calls);
    ferry_list_init(&core->commits);
    ferry_list_init(&core->begins);
    return core;
}

void ferry_consumer_core_free(struct ferry_consumer_core *core)
{
    if (!core)
        return;
    FERRY_CHECK(!core->client || core->closed || core->failed);
    ferry_free(core->parts);
    ferry_consumer_measures_free(core);
    ferry_consumer_shared_unref(core->shared);
    ferry_free(core);
}
