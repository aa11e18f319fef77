/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fetch requests and their sessions.
 *
 * A session's broker remembers the partitions of the last request; only what changed is sent. What it has is in `entries`:
 * an entry whose partition is gone from the node, or is not asked for this time, goes into the forget list.
 *
 * While some partition of a node is full (its records wait for the application), the others must not park for long at the
 * broker: the full one would have to wait for that answer when there is room again. So the wait is short then, and
 * doubles as long as nothing comes.
 */
#include "config.h"

#include "client/fetcher_impl.h"

#include "base/mem.h"
#include "client/broker.h"

enum { SHORT_WAIT_MS = 10, FETCH_MIN = 4, FETCH_NO_IDS = 12, FETCH_MAX = 18 };

struct ferry_fetcher_node *ferry_fetcher_node_of(struct ferry_fetcher *f, int32_t id)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &f->nodes)
    {
        struct ferry_fetcher_node *node = FERRY_CONTAINER(it, struct ferry_fetcher_node, link);
        if (node->node == id)
            return node;
    }
    struct ferry_fetcher_node *node = ferry_zalloc(sizeof *node);
    if (!node)
        return NULL;
    node->fetcher = f;
    node->node = id;
    ferry_arena_init(&node->arena, SIZE_MAX);
    ferry_list_init(&node->parts);
    ferry_list_init(&node->entries);
    ferry_list_push_back(&f->nodes, &node->link);
    ferry_broker_connect(f->client, id, FERRY_CLASS_FETCH);
    return node;
}

static void entry_free(struct ferry_fetcher_entry *e)
{
    ferry_list_remove(&e->link);
    if (e->part->fetch.entry == e)
        e->part->fetch.entry = NULL;
    ferry_consumer_part_unref(e->part);
    ferry_free(e);
}

static void entries_free(struct ferry_fetcher_node *node)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &node->entries)
    entry_free(FERRY_CONTAINER(it, struct ferry_fetcher_entry, link));
}

/* What this node's session has of the partition; NULL: nothing. */
static struct ferry_fetcher_entry *entry_of(const struct ferry_fetcher_node *node,
                                            const struct ferry_consumer_part *part)
{
    struct ferry_fetcher_entry *e = part->fetch.entry;
    return e && e->node == node ? e : NULL;
}

void ferry_fetcher_session_reset(struct ferry_fetcher_node *node, bool keep_id)
{
    entries_free(node);
    node->session_epoch = 0;
    if (!keep_id)
        node->session_id = 0;
}

void ferry_fetcher_node_free(struct ferry_fetcher_node *node)
{
    struct ferry_link *it;
    if (node->fetcher) {
        ferry_list_remove(&node->link);
        while ((it = ferry_list_pop_front(&node->parts)))
            FERRY_CONTAINER(it, struct ferry_consumer_part, fetch.node_link)->fetch.node = NULL;
        entries_free(node);
    }
    if (node->in_flight) {
        struct ferry_client *client = node->fetcher->client;
        node->fetcher = NULL; /* on_reply frees it */
        ferry_request_cancel(client, &node->request);
        return;
    }
    ferry_arena_free(&node->arena);
    ferry_free(node);
}

/* ---- how much to ask for ---- */

/*
 * What is asked for at once should still be in the processor's cache when the application reads it: a near broker is asked
 * for about a megabyte at a time, which on one core halves the cost of a record against four. A far one is asked for
 * more, so that the way there and back does not limit the rate: a byte for each nanosecond of it. An answer to a busy
 * application is fetched late, so the shortest of some tens counts.
 */
enum { NEAR_BYTES = 1 << 20, PART_BYTES_MIN = 64 << 10, WINDOW = 32 };

void ferry_fetcher_answered(struct ferry_fetcher_node *node, ferry_nsec took, uint32_t parts)
{
    if (node->window == 0 || took < node->window_time)
        node->window_time = took;
    if (node->window == 0 || parts > node->window_active)
        node->window_active = parts;
    if (node->active == 0 || took < node->answer_time)
        node->answer_time = took;
    if (parts > node->active)
        node->active = parts;
    if (++node->window < WINDOW)
        return;
    node->answer_time = node->window_time;
    node->active = node->window_active;
    node->window = 0;
}

/* Bytes to ask of a partition when so many are asked for. A partition whose batches are large, or that got nothing though
   there is something, is asked for enough to get it. */
static int32_t want_of(const struct ferry_fetcher_node *node,
                       const struct ferry_consumer_part *part)
{
    int64_t most = node->fetcher->client->settings->max_partition_fetch_bytes;
    int64_t all = node->answer_time > NEAR_BYTES ? node->answer_time : NEAR_BYTES;
    if (node->active == 0 || part->fetch.largest == 0 || part->fetch.starved)
        return (int32_t)most;
    int64_t want = all / node->active;
    want = want > PART_BYTES_MIN ? want : PART_BYTES_MIN;
    want = want > 2 * (int64_t)part->fetch.largest ? want : 2 * (int64_t)part->fetch.largest;
    return (int32_t)(want < most ? want : most);
}

/* ---- what can be asked for ---- */

static bool has_room(const struct ferry_consumer_part *part)
{
    return atomic_load(&part->queued) < (part->fetch.want > 0 ? part->fetch.want : 1);
}

static bool fetchable(const struct ferry_fetcher *f, const struct ferry_consumer_part *part)
{
    return !part->fetch.paused && part->fetch.retry_at <= f->client->now && has_room(part);
}

struct census {
    size_t all, fetchable, full;
    bool no_ids; /* some topic has no id: names have to do */
};

static struct census count_parts(struct ferry_fetcher_node *node)
{
    struct census c = {0};
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &node->parts)
    {
        const struct ferry_consumer_part *part =
            FERRY_CONTAINER(it, struct ferry_consumer_part, fetch.node_link);
        if (part->fetch.retry_at > node->fetcher->client->now)
            ferry_fetcher_wake_at(node->fetcher, part->fetch.retry_at);
        c.all++;
        c.no_ids |= ferry_uuid_is_zero(&part->fetch.topic->id);
        if (fetchable(node->fetcher, part)) {
            c.fetchable++;
        } else if (!part->fetch.paused && !has_room(part)) {
            c.full++;
        }
    }
    return c;
}

/* ---- the message ---- */

struct builder {
    struct ferry_fetcher_node *node;
    struct ferry_fetch_request *m;
    struct ferry_fetch_request_partition *part_at;
    struct ferry_topic_meta *topic; /* of the last request topic */
    int32_t *forget_at;
    struct ferry_fetcher_entry *forgot;
};

/* What is wanted at once is told along with another change, or where it was too little. */
static bool entry_changed(const struct ferry_fetcher_entry *e,
                          const struct ferry_consumer_part *part, int32_t leader_epoch,
                          int32_t want)
{
    return e->offset != part->fetch.offset || e->leader_epoch != leader_epoch ||
           e->last_epoch != part->fetch.leader_epoch || (part->fetch.starved && want > e->want);
}

/* The partition was here before (perhaps assigned another time), and the broker has not been told yet that it went. */
static struct ferry_fetcher_entry *take_back(const struct ferry_fetcher_node *node,
                                             struct ferry_consumer_part *part)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &node->entries)
    {
        struct ferry_fetcher_entry *e = FERRY_CONTAINER(it, struct ferry_fetcher_entry, link);
        if (e->part->partition != part->partition || e->part->topic.data != part->topic.data ||
            !ferry_uuid_eq(&e->id, &part->fetch.topic->id))
            continue;
        ferry_consumer_part_ref(part);
        ferry_consumer_part_unref(e->part);
        e->part = part;
        part->fetch.entry = e;
        return e;
    }
    return NULL;
}

/* Brings a partition's entry up to date. 1: it has to be sent; 0: the broker has it so; or FERRY_E_NOMEM. */
static int update_entry(struct ferry_fetcher_node *node, struct ferry_consumer_part *part,
                        int32_t leader_epoch)
{
    int32_t want = want_of(node, part);
    struct ferry_fetcher_entry *e = entry_of(node, part);
    if (!e && node->session_epoch > 0)
        e = take_back(node, part);
    if (e && !entry_changed(e, part, leader_epoch, want))
        return 0;
    if (!e) {
        if (!(e = ferry_zalloc(sizeof *e)))
            return FERRY_E_NOMEM;
        e->node = node;
        e->part = ferry_consumer_part_ref(part);
        e->id = part->fetch.topic->id;
        part->fetch.entry = e;
        ferry_list_push_back(&node->entries, &e->link);
    }
    e->offset = part->fetch.offset;
    e->leader_epoch = leader_epoch;
    e->last_epoch = part->fetch.leader_epoch;
    e->want = part->fetch.want = want;
    return 1;
}

static void add_part(struct builder *b, struct ferry_consumer_part *part, int32_t leader_epoch)
{
    struct ferry_topic_meta *t = part->fetch.topic;
    struct ferry_fetch_request_topic *topic;
    if (b->topic != t) {
        topic = &b->m->topics[b->m->topics_count++];
        ferry_fetch_request_topic_init(topic);
        topic->topic = part->topic;
        topic->topic_id = t->id;
        topic->partitions = b->part_at;
        b->topic = t;
    }
    topic = &b->m->topics[b->m->topics_count - 1];
    ferry_fetch_request_partition_init(b->part_at);
    b->part_at->partition = part->partition;
    b->part_at->current_leader_epoch = leader_epoch;
    b->part_at->fetch_offset = part->fetch.offset;
    b->part_at->last_fetched_epoch = part->fetch.leader_epoch;
    b->part_at->partition_max_bytes = part->fetch.want;
    b->part_at++;
    topic->partitions_count++;
}

static void add_forgotten(struct builder *b, struct ferry_fetcher_entry *e)
{
    struct ferry_fetch_request_forgotten_topic *t;
    if (!b->forgot || !ferry_uuid_eq(&b->forgot->id, &e->id) ||
        !ferry_str_eq(b->forgot->part->topic, e->part->topic)) {
        t = &b->m->forgotten_topics_data[b->m->forgotten_topics_data_count++];
        ferry_fetch_request_forgotten_topic_init(t);
        t->topic = e->part->topic;
        t->topic_id = e->id;
        t->partitions = b->forget_at;
        b->forgot = e;
    }
    t = &b->m->forgotten_topics_data[b->m->forgotten_topics_data_count - 1];
    *b->forget_at++ = e->part->partition;
    t->partitions_count++;
}

static bool is_asked(const struct ferry_fetcher_node *node, const struct ferry_fetcher_entry *e)
{
    return e->part->fetch.entry == e && e->part->fetch.asked_node == node &&
           e->part->fetch.asked_serial == node->serial;
}

/* Entries that are not asked for this time. The message points to their topics' names, which are interned. */
static void forget_rest(struct builder *b)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &b->node->entries)
    {
        struct ferry_fetcher_entry *e = FERRY_CONTAINER(it, struct ferry_fetcher_entry, link);
        if (!is_asked(b->node, e))
            add_forgotten(b, e);
    }
    FERRY_LIST_EACH(it, tmp, &b->node->entries)
    {
        struct ferry_fetcher_entry *e = FERRY_CONTAINER(it, struct ferry_fetcher_entry, link);
        if (!is_asked(b->node, e))
            entry_free(e);
    }
}

static size_t entry_count(const struct ferry_fetcher_node *node)
{
    size_t n = 0;
    for (const struct ferry_link *it = node->entries.next; it != &node->entries; it = it->next)
        n++;
    return n;
}

static int build(struct ferry_fetcher_node *node, const struct census *c)
{
    struct builder b = {.node = node, .m = &node->message};
    struct ferry_link *it, *tmp;
    size_t entries = entry_count(node);
    bool full = node->session_epoch == 0;
    ferry_arena_reset(&node->arena);
    ferry_fetch_request_init(b.m);
    /* Room for all: the application may take records, and so make more of them fetchable, at any time. */
    b.m->topics = ferry_arena_array(&node->arena, c->all, sizeof *b.m->topics);
    b.part_at = ferry_arena_array(&node->arena, c->all, sizeof *b.part_at);
    b.m->forgotten_topics_data =
        ferry_arena_array(&node->arena, entries + 1, sizeof *b.m->forgotten_topics_data);
    b.forget_at = ferry_arena_array(&node->arena, entries + 1, sizeof *b.forget_at);
    if (!b.m->topics || !b.part_at || !b.m->forgotten_topics_data || !b.forget_at)
        return FERRY_E_NOMEM;
    FERRY_LIST_EACH(it, tmp, &node->parts)
    {
        struct ferry_consumer_part *part =
            FERRY_CONTAINER(it, struct ferry_consumer_part, fetch.node_link);
        const struct ferry_topic_meta *t = part->fetch.topic;
        if (!fetchable(node->fetcher, part))
            continue;
        int32_t leader_epoch =
            part->partition < t->partition_count ? t->partitions[part->partition].leader_epoch : -1;
        if (entry_of(node, part) && !ferry_uuid_eq(&part->fetch.entry->id, &t->id))
            part->fetch.entry = NULL; /* the topic was made anew: the old one's is forgotten */
        int changed = update_entry(node, part, leader_epoch);
        if (changed < 0)
            return changed;
        part->fetch.asked_node = node;
        part->fetch.asked_serial = node->serial;
        part->fetch.asked_epoch = part->fetch.epoch;
        part->fetch.asked_offset = part->fetch.offset;
        if (changed || full)
            add_part(&b, part, leader_epoch);
    }
    forget_rest(&b);
    return FERRY_OK;
}

static int32_t wait_ms(const struct ferry_fetcher_node *node, const struct census *c)
{
    int32_t most = node->fetcher->client->settings->fetch_max_wait_ms;
    if (c->full == 0)
        return most;
    int64_t wait = (int64_t)SHORT_WAIT_MS << (node->empties < 16 ? node->empties : 16);
    return wait < most ? (int32_t)wait : most;
}

static void submit(struct ferry_fetcher_node *node, const struct census *c)
{
    const struct ferry_settings *s = node->fetcher->client->settings;
    struct ferry_fetch_request *m = &node->message;
    struct ferry_request *r = &node->request;
    m->max_wait_ms = wait_ms(node, c);
    m->min_bytes = s->fetch_min_bytes;
    m->max_bytes = s->fetch_max_bytes;
    m->isolation_level = (int8_t)s->isolation_level;
    m->session_id = node->session_id;
    m->session_epoch = node->session_epoch;
    m->rack_id = s->client_rack ? ferry_str_of(s->client_rack) : FERRY_STR("");
    *r = (struct ferry_request){
        .api_key = FERRY_API_FETCH,
        .min_version = FETCH_MIN,
        .max_version = c->no_ids ? FETCH_NO_IDS : FETCH_MAX,
        .target = FERRY_TO_NODE,
        .node = node->node,
        .conn_class = FERRY_CLASS_FETCH,
        .timeout = ((ferry_nsec)m->max_wait_ms + s->topic.request_timeout_ms) * FERRY_MS,
        .keep_frame = true,
        .message = m,
        .on_done = ferry_fetcher_on_reply,
        .cookie = node};
    node->in_flight = true;
    ferry_request_submit(node->fetcher->client, r);
}

/* Notes that the application must say when there is room. Whether there is some by now is looked at after, else a release
   between the two would be missed. */
static bool wait_for_room(struct ferry_fetcher_node *node, struct census *c)
{
    struct ferry_fetcher *f = node->fetcher;
    struct ferry_consumer_shared *shared = f->core->shared;
    atomic_fetch_or(&shared->attention, FERRY_CONSUMER_STARVED);
    *c = count_parts(node);
    return c->fetchable == 0 || atomic_load(&shared->held) >= f->client->settings->queued_max_bytes;
}

void ferry_fetcher_send(struct ferry_fetcher_node *node)
{
    struct ferry_fetcher *f = node->fetcher;
    if (node->in_flight || ferry_list_empty(&node->parts))
        return;
    if (node->retry_at > f->client->now) {
        ferry_fetcher_wake_at(f, node->retry_at);
        return;
    }
    struct census c = count_parts(node);
    bool too_much = atomic_load(&f->core->shared->held) >= f->client->settings->queued_max_bytes;
    if (c.full > 0 || too_much) {
        if (wait_for_room(node, &c))
            return;
    }
    if (c.fetchable == 0)
        return;
    int16_t version = ferry_broker_version(f->client, node->node, FERRY_API_FETCH, FETCH_MIN,
                                           c.no_ids ? FETCH_NO_IDS : FETCH_MAX);
    if (node->session_epoch > 0 && (version < 0 || (version > FETCH_NO_IDS) != node->session_ids))
        ferry_fetcher_session_reset(node, true);
    node->serial++;
    if (build(node, &c)) {
        ferry_fetcher_session_reset(node, true);
        node->retry_at = f->client->now + FERRY_SECOND;
        ferry_fetcher_wake_at(f, node->retry_at);
        return;
    }
    submit(node, &c);
}
