/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fetcher's partitions: taking them up, finding where the log begins or ends, putting each with its leader.
 *
 * Invariants:
 *  1. A partition that is not idle is in its topic's table and wants the topic's metadata.
 *  2. node_link is in the list that belongs to the state: a node's parts or homeless (FETCHING), lookups or nothing while
 *     the question is under way (LOOKUP), nothing (IDLE, FAILED).
 */
#include "config.h"

#include "client/fetcher_impl.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "wire/errors.h"

#include <stdio.h>

/* ---- topics ---- */

struct ferry_consumer_part *ferry_fetcher_find(const struct ferry_topic_meta *t, int32_t partition)
{
    const struct fetcher_topic *mine = t ? t->consumer : NULL;
    return mine && partition >= 0 && (size_t)partition < mine->cap ? mine->parts[partition] : NULL;
}

static void leave_topic(struct ferry_fetcher *f, struct ferry_consumer_part *part)
{
    struct ferry_topic_meta *t = part->fetch.topic;
    struct fetcher_topic *mine = t->consumer;
    if (mine && ferry_fetcher_find(t, part->partition) == part) {
        mine->parts[part->partition] = NULL;
        mine->users--;
    }
    if (mine && mine->users == 0) {
        ferry_free(mine->parts);
        ferry_free(mine);
        t->consumer = NULL;
    }
    part->fetch.topic = NULL;
    ferry_cluster_unwant(f->client, t, 0);
}

static int enter_topic(struct ferry_fetcher *f, struct ferry_consumer_part *part)
{
    struct ferry_topic_meta *t = ferry_cluster_want(f->client, part->topic, 0);
    size_t need = (size_t)part->partition + 1;
    if (!t)
        return FERRY_E_NOMEM;
    part->fetch.topic = t;
    struct fetcher_topic *mine = t->consumer;
    if (!mine && !(mine = t->consumer = ferry_zalloc(sizeof *mine)))
        goto fail;
    size_t old = mine->cap;
    if (need > old) {
        if (FERRY_GROW(mine->parts, mine->cap, need))
            goto fail;
        memset(mine->parts + old, 0, (mine->cap - old) * sizeof *mine->parts);
    }
    FERRY_CHECK(!mine->parts[part->partition]);
    mine->parts[part->partition] = part;
    mine->users++;
    return FERRY_OK;
fail:
    leave_topic(f, part);
    return FERRY_E_NOMEM;
}

/* ---- telling the application ---- */

static void drop_note(struct ferry_delivery *d)
{
    struct ferry_consumer_note *n = FERRY_CONTAINER(d, struct ferry_consumer_note, delivery);
    if (n->part)
        ferry_consumer_part_unref(n->part);
    ferry_free(n);
}

struct ferry_consumer_note *ferry_consumer_note_new(struct ferry_consumer_part *part, int32_t code,
                                                    const char *text)
{
    size_t len = strlen(text);
    struct ferry_consumer_note *n = ferry_zalloc(sizeof *n + len + 1);
    if (!n)
        return NULL;
    n->delivery.type = FERRY_CONSUMER_NOTE;
    n->delivery.weight = 1;
    n->delivery.drop = drop_note;
    n->code = code;
    n->offset = -1;
    n->part = part ? ferry_consumer_part_ref(part) : NULL;
    memcpy(n->text, text, len + 1);
    return n;
}

void ferry_fetcher_note(struct ferry_fetcher *f, struct ferry_consumer_part *part, int32_t code,
                        bool once, const char *text)
{
    struct ferry_consumer_note *n;
    char whole[300];
    if (once && part->fetch.told)
        return;
    part->fetch.told |= once;
    snprintf(whole, sizeof whole, "%.*s [%d] at offset %lld: %s", (int)part->topic.len,
             part->topic.data, (int)part->partition, (long long)part->fetch.offset, text);
    if (!(n = ferry_consumer_note_new(part, code, whole)))
        return; /* out of memory: the next one will be told */
    n->epoch = part->fetch.epoch;
    n->offset = part->fetch.offset;
    n->delivery.queue = part->fetch.queue;
    ferry_consumer_deliver(f->core, &n->delivery);
}

/* ---- retries ---- */

static void on_retry(struct ferry_timer *t, void *context)
{
    (void)context;
    ferry_fetcher_go(FERRY_CONTAINER(t, struct ferry_fetcher, retry));
}

void ferry_fetcher_wake_at(struct ferry_fetcher *f, ferry_nsec at)
{
    if (!ferry_timer_armed(&f->retry) || f->retry.at > at)
        ferry_client_timer(f->client, &f->retry, at);
}

void ferry_fetcher_backoff(struct ferry_fetcher *f, struct ferry_consumer_part *part)
{
    const struct ferry_settings *s = f->client->settings;
    part->fetch.retry_at =
        f->client->now + ferry_client_backoff(f->client, s->retry_backoff_ms,
                                              s->retry_backoff_max_ms, part->fetch.tries++);
    ferry_fetcher_wake_at(f, part->fetch.retry_at);
}

/* ---- where a partition is ---- */

static void detach(struct ferry_consumer_part *part)
{
    ferry_list_remove(&part->fetch.node_link);
    part->fetch.node = NULL;
}

static void attach(struct ferry_fetcher_node *node, struct ferry_consumer_part *part)
{
    struct ferry_link *it, *tmp, *after = node->parts.prev;
    FERRY_LIST_EACH(it, tmp, &node->parts)
    if (FERRY_CONTAINER(it, struct ferry_consumer_part, fetch.node_link)->fetch.topic ==
        part->fetch.topic)
        after = it;
    ferry_list_insert_after(after, &part->fetch.node_link);
    part->fetch.node = node;
}

/* The node to fetch from, or -1. */
static int32_t home_of(struct ferry_fetcher *f, struct ferry_consumer_part *part)
{
    const struct ferry_topic_meta *t = part->fetch.topic;
    struct ferry_fetcher_part *fetch = &part->fetch;
    if (fetch->replica >= 0 && fetch->replica_until <= f->client->now)
        fetch->replica = -1;
    if (!t->known)
        return -1;
    if (t->error || part->partition >= t->partition_count) {
        int32_t code = t->error ? t->error : FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        ferry_fetcher_note(f, part, code, true, ferry_error_name(code));
        return -1;
    }
    return fetch->replica >= 0 ? fetch->replica : t->partitions[part->partition].leader;
}

void ferry_fetcher_place(struct ferry_fetcher *f, struct ferry_consumer_part *part)
{
    struct ferry_fetcher_node *node = NULL;
    int32_t home = home_of(f, part);
    FERRY_CHECK(part->fetch.state == FERRY_FETCHER_FETCHING);
    if (part->fetch.node && part->fetch.node->node == home)
        return;
    detach(part);
    if (home >= 0 && (node = ferry_fetcher_node_of(f, home))) {
        attach(node, part);
        part->fetch.retry_at = 0; /* a backoff was for where it came from */
        return;
    }
    ferry_list_push_back(&f->homeless, &part->fetch.node_link);
    ferry_cluster_refresh(f->client);
    ferry_fetcher_backoff(f, part);
}

/* ---- where the log begins or ends ---- */

/* One ListOffsets job. */
struct fetcher_lookup {
    struct ferry_link link;
    struct ferry_fetcher *fetcher;
    struct ferry_offsets_job *job;
    struct ferry_partition_list *list;
    struct ferry_consumer_part **parts; /* references, in the list's order */
    uint32_t *epochs;
    int64_t *asked;
};

static void lookup_free(struct fetcher_lookup *l)
{
    ferry_list_remove(&l->link);
    for (size_t i = 0; l->list && l->parts && i < l->list->count; i++)
        ferry_consumer_part_unref(l->parts[i]);
    ferry_partition_list_free(l->list);
    ferry_free(l->parts);
    ferry_free(l->epochs);
    ferry_free(l->asked);
    ferry_free(l);
}

void ferry_fetcher_lookup(struct ferry_fetcher *f, struct ferry_consumer_part *part, int64_t offset)
{
    detach(part);
    part->fetch.state = FERRY_FETCHER_LOOKUP;
    part->fetch.offset = offset;
    part->fetch.leader_epoch = -1;
    ferry_list_push_back(&f->lookups, &part->fetch.node_link);
}

static void begin_fetching(struct ferry_fetcher *f, struct ferry_consumer_part *part,
                           int64_t offset, int32_t leader_epoch)
{
    part->fetch.state = FERRY_FETCHER_FETCHING;
    part->fetch.offset = offset;
    part->fetch.leader_epoch = leader_epoch;
    part->fetch.at_end = part->fetch.starved = false;
    part->fetch.want = f->client->settings->max_partition_fetch_bytes;
    part->fetch.retry_at = 0;
    part->fetch.tries = 0;
    atomic_store(&part->start, offset);
    atomic_store(&part->start_epoch, part->fetch.epoch);
    ferry_fetcher_place(f, part);
}

static void take_found(struct ferry_fetcher *f, struct ferry_consumer_part *part, int64_t asked,
                       const struct ferry_topic_partition *e)
{
    int64_t offset = e->offset;
    if (e->error) {
        ferry_fetcher_note(f, part, e->error, true, ferry_error_name(e->error));
        ferry_fetcher_lookup(f, part, asked);
        ferry_fetcher_backoff(f, part);
        return;
    }
    if (asked == FERRY_OFFSET_EARLIEST)
        atomic_store(&part->low, offset);
    else
        atomic_store(&part->high, offset);
    if (asked <= FERRY_OFFSET_TAIL_BASE)
        offset =
            offset > FERRY_OFFSET_TAIL_BASE - asked ? offset - (FERRY_OFFSET_TAIL_BASE - asked) : 0;
    begin_fetching(f, part, offset, -1);
}

static void on_found(void *cookie, int32_t status, const char *text)
{
    struct fetcher_lookup *l = cookie;
    struct ferry_fetcher *f = l->fetcher;
    (void)status;
    (void)text;
    for (size_t i = 0; i < l->list->count; i++) {
        struct ferry_consumer_part *part = l->parts[i];
        if (part->fetch.state == FERRY_FETCHER_LOOKUP && part->fetch.epoch == l->epochs[i] &&
            part->fetch.offset == l->asked[i] && !ferry_link_linked(&part->fetch.node_link))
            take_found(f, part, l->asked[i], &l->list->items[i]);
    }
    lookup_free(l);
    ferry_fetcher_go(f);
}

static int lookup_fill(struct fetcher_lookup *l, struct ferry_fetcher *f, size_t count)
{
    struct ferry_link *it, *tmp;
    l->list = ferry_partition_list_new();
    l->parts = ferry_zalloc(count * sizeof *l->parts);
    l->epochs = ferry_zalloc(count * sizeof *l->epochs);
    l->asked = ferry_zalloc(count * sizeof *l->asked);
    if (!l->list || !l->parts || !l->epochs || !l->asked)
        return FERRY_E_NOMEM;
    FERRY_LIST_EACH(it, tmp, &f->lookups)
    {
        struct ferry_consumer_part *part =
            FERRY_CONTAINER(it, struct ferry_consumer_part, fetch.node_link);
        int64_t asked = part->fetch.offset;
        if (part->fetch.retry_at > f->client->now)
            continue;
        int at =
            ferry_consumer_list_add(l->list, part->topic, part->partition,
                                    asked <= FERRY_OFFSET_TAIL_BASE ? FERRY_OFFSET_LATEST : asked);
        if (at < 0)
            return at;
        l->parts[at] = ferry_consumer_part_ref(part);
        l->epochs[at] = part->fetch.epoch;
        l->asked[at] = asked;
    }
    return FERRY_OK;
}

static void start_lookups(struct ferry_fetcher *f)
{
    struct ferry_link *it, *tmp;
    size_t count = 0;
    FERRY_LIST_EACH(it, tmp, &f->lookups)
    {
        const struct ferry_consumer_part *part =
            FERRY_CONTAINER(it, struct ferry_consumer_part, fetch.node_link);
        if (part->fetch.retry_at > f->client->now)
            ferry_fetcher_wake_at(f, part->fetch.retry_at);
        else
            count++;
    }
    if (count == 0)
        return;
    struct fetcher_lookup *l = ferry_zalloc(sizeof *l);
    if (!l || lookup_fill(l, f, count))
        goto fail;
    l->fetcher = f;
    struct ferry_offsets_ask ask = {.list = l->list,
                                    .deadline = FERRY_NEVER,
                                    .isolation = (int8_t)f->client->settings->isolation_level,
                                    .on_done = on_found,
                                    .cookie = l};
    l->job = ferry_offsets_list(f->client, &ask);
    if (!l->job)
        goto fail;
    ferry_list_push_back(&f->jobs, &l->link);
    for (size_t i = 0; i < l->list->count; i++)
        ferry_list_remove(&l->parts[i]->fetch.node_link);
    return;
fail:
    if (l)
        lookup_free(l);
    ferry_fetcher_wake_at(f, f->client->now + FERRY_SECOND);
}

/* ---- the rest of the interface ---- */

int64_t ferry_fetcher_reset_offset(const struct ferry_fetcher *f,
                                   const struct ferry_consumer_part *part)
{
    switch (ferry_settings_topic(f->client->config, part->topic)->auto_offset_reset) {
    case FERRY_RESET_EARLIEST:
        return FERRY_OFFSET_EARLIEST;
    case FERRY_RESET_LATEST:
        return FERRY_OFFSET_LATEST;
    default:
        return FERRY_OFFSET_NONE;
    }
}

static void on_idle(struct ferry_timer *t, void *context)
{
    struct ferry_fetcher *f = FERRY_CONTAINER(t, struct ferry_fetcher, idle);
    (void)context;
    if (f->busy)
        ferry_client_timer(f->client, t, f->client->now + FERRY_SECOND);
    else if (f->client->slabs)
        ferry_slab_pool_trim(f->client->slabs);
    f->busy = false;
}

void ferry_fetcher_busy(struct ferry_fetcher *f)
{
    f->busy = true;
    if (!ferry_timer_armed(&f->idle))
        ferry_client_timer(f->client, &f->idle, f->client->now + FERRY_SECOND);
}

struct ferry_fetcher *ferry_fetcher_new(struct ferry_consumer_core *core)
{
    struct ferry_fetcher *f = ferry_zalloc(sizeof *f);
    if (!f)
        return NULL;
    f->core = core;
    f->client = core->client;
    f->retry.fire = on_retry;
    f->idle.fire = on_idle;
    if (!f->client->slabs)
        f->client->slabs = ferry_slab_pool_new(); /* without it large answers only cost more */
    ferry_list_init(&f->nodes);
    ferry_list_init(&f->homeless);
    ferry_list_init(&f->lookups);
    ferry_list_init(&f->jobs);
    return f;
}

void ferry_fetcher_free(struct ferry_fetcher *f)
{
    struct ferry_link *it, *tmp;
    if (!f)
        return;
    ferry_client_timer_cancel(f->client, &f->retry);
    ferry_client_timer_cancel(f->client, &f->idle);
    FERRY_LIST_EACH(it, tmp, &f->jobs)
    {
        struct fetcher_lookup *l = FERRY_CONTAINER(it, struct fetcher_lookup, link);
        ferry_offsets_cancel(l->job);
        lookup_free(l);
    }
    FERRY_LIST_EACH(it, tmp, &f->nodes)
    ferry_fetcher_node_free(FERRY_CONTAINER(it, struct ferry_fetcher_node, link));
    ferry_free(f);
}

int ferry_fetcher_start(struct ferry_fetcher *f, struct ferry_consumer_part *part, int64_t offset,
                        int32_t leader_epoch, uint32_t epoch)
{
    if (part->fetch.state == FERRY_FETCHER_IDLE) {
        int rc = enter_topic(f, part);
        if (rc)
            return rc;
        part->fetch.replica = -1;
    }
    detach(part);
    part->fetch.epoch = epoch;
    part->fetch.told = false;
    part->fetch.retry_at = 0;
    part->fetch.tries = 0;
    if (offset >= 0) {
        begin_fetching(f, part, offset, leader_epoch);
    } else if (offset == FERRY_OFFSET_NONE) {
        part->fetch.state = FERRY_FETCHER_FAILED;
        ferry_fetcher_note(f, part, FERRY_E_NO_OFFSET, false,
                           "no offset is committed, and auto.offset.reset=none");
    } else {
        ferry_fetcher_lookup(f, part, offset);
    }
    return FERRY_OK;
}

void ferry_fetcher_stop(struct ferry_fetcher *f, struct ferry_consumer_part *part)
{
    if (part->fetch.state == FERRY_FETCHER_IDLE)
        return;
    detach(part);
    part->fetch.state = FERRY_FETCHER_IDLE;
    leave_topic(f, part);
}

void ferry_fetcher_pause(struct ferry_fetcher *f, struct ferry_consumer_part *part, bool pause)
{
    (void)f;
    part->fetch.paused = pause;
}

void ferry_fetcher_on_topic(struct ferry_fetcher *f, struct ferry_topic_meta *t)
{
    struct fetcher_topic *mine = t->consumer;
    for (size_t i = 0; mine && i < mine->cap; i++)
        if (mine->parts[i] && mine->parts[i]->fetch.state == FERRY_FETCHER_FETCHING)
            ferry_fetcher_place(f, mine->parts[i]);
    ferry_fetcher_go(f);
}

/* Those whose leader was not known: look again, and ask for metadata while there are any. */
static void find_homes(struct ferry_fetcher *f)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &f->homeless)
    {
        struct ferry_consumer_part *part =
            FERRY_CONTAINER(it, struct ferry_consumer_part, fetch.node_link);
        if (part->fetch.retry_at <= f->client->now)
            ferry_fetcher_place(f, part);
        else
            ferry_fetcher_wake_at(f, part->fetch.retry_at);
    }
}

void ferry_fetcher_go(struct ferry_fetcher *f)
{
    struct ferry_link *it, *tmp;
    if (f->going || f->client->closing)
        return;
    f->going = true;
    find_homes(f);
    start_lookups(f);
    FERRY_LIST_EACH(it, tmp, &f->nodes)
    ferry_fetcher_send(FERRY_CONTAINER(it, struct ferry_fetcher_node, link));
    f->going = false;
}
