/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/cluster.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/core.h"
#include "ferry/kafka_errors.h"

#include <stdio.h>

/*
 * The cache of topics, and how an answer changes it. A topic's partitions stand in one block: the array, then all node
 * lists. An answer makes a new block; if it says the same as the old one it is dropped and nobody hears of it.
 */

enum {
    UNKNOWN_TOPIC = FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
    LEADER_NOT_AVAILABLE = FERRY_KAFKA_LEADER_NOT_AVAILABLE
};

enum {
    SPARE_PARTITIONS = 1000
}; /* how far above its count of partitions an answer may number them */

struct topic_entry {
    struct ferry_topic_meta meta; /* first */
    struct ferry_link changed;    /* in core->changed, until observers were told */
    bool id_changed;
    bool seen; /* in the full answer that is being applied */
};

static struct topic_entry *entry_of(struct ferry_topic_meta *t)
{
    return (struct topic_entry *)t;
}

/* -- Topics --------------------------------------------------------------------------------------------- */

static void free_topic(struct ferry_client *client, struct topic_entry *e)
{
    ferry_list_remove(&e->changed);
    ferry_list_remove(&e->meta.link);
    ferry_map_remove(&client->core->topics, e->meta.name, e->meta.name_len);
    ferry_free(e->meta.partitions);
    ferry_free(e->meta.name);
    ferry_free(e);
}

static struct topic_entry *new_topic(struct ferry_client *client, struct ferry_str name)
{
    struct topic_entry *e = ferry_zalloc(sizeof *e);
    if (!e)
        return NULL;
    e->meta.name = ferry_strndup(name.data, name.len);
    e->meta.name_len = name.len;
    if (!e->meta.name || ferry_map_put(&client->core->topics, name.data, name.len, e, NULL)) {
        ferry_free(e->meta.name);
        ferry_free(e);
        return NULL;
    }
    ferry_list_push_back(&client->core->topic_list, &e->meta.link);
    return e;
}

static void mark_changed(struct ferry_client *client, struct topic_entry *e)
{
    e->meta.changes++;
    if (!ferry_link_linked(&e->changed))
        ferry_list_push_back(&client->core->changed, &e->changed);
}

struct ferry_topic_meta *ferry_cluster_topic(const struct ferry_client *client,
                                             struct ferry_str name)
{
    return ferry_map_get(&client->core->topics, name.data, name.len);
}

struct ferry_topic_meta *ferry_cluster_topic_by_id(const struct ferry_client *client,
                                                   const struct ferry_uuid *id)
{
    for (struct ferry_topic_meta *t = NULL; (t = ferry_cluster_next(client, t));)
        if (ferry_uuid_eq(&t->id, id) && !ferry_uuid_is_zero(id))
            return t;
    return NULL;
}

struct ferry_topic_meta *ferry_cluster_next(const struct ferry_client *client,
                                            struct ferry_topic_meta *after)
{
    const struct ferry_link *head = &client->core->topic_list,
                            *l = after ? after->link.next : head->next;
    return l == head ? NULL : FERRY_CONTAINER(l, struct ferry_topic_meta, link);
}

struct ferry_topic_meta *ferry_cluster_want(struct ferry_client *client, struct ferry_str name,
                                            unsigned flags)
{
    struct ferry_topic_meta *t = ferry_cluster_topic(client, name);
    if (!t) {
        struct topic_entry *e = new_topic(client, name);
        if (!e)
            return NULL;
        t = &e->meta;
    }
    t->wants++;
    t->auto_create += (flags & FERRY_WANT_CREATE) != 0;
    if (!t->known || (t->error == UNKNOWN_TOPIC && t->auto_create == 1))
        ferry_metadata_need(client, true);
    return t;
}

void ferry_cluster_unwant(struct ferry_client *client, struct ferry_topic_meta *t, unsigned flags)
{
    FERRY_CHECK(t->wants > 0);
    t->wants--;
    t->auto_create -= (flags & FERRY_WANT_CREATE) != 0;
    if (!t->wants && !client->core->want_all)
        free_topic(client, entry_of(t));
}

void ferry_cluster_want_all(struct ferry_client *client)
{
    client->core->want_all++;
    ferry_metadata_need(client, true);
}

void ferry_cluster_unwant_all(struct ferry_client *client)
{
    FERRY_CHECK(client->core->want_all > 0);
    if (--client->core->want_all)
        return;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->topic_list)
    {
        struct ferry_topic_meta *t = FERRY_CONTAINER(l, struct ferry_topic_meta, link);
        if (!t->wants)
            free_topic(client, entry_of(t));
    }
}

void ferry_cluster_flush(struct ferry_client *client)
{
    for (struct ferry_link *c; (c = ferry_list_pop_front(&client->core->changed));) {
        struct topic_entry *e = FERRY_CONTAINER(c, struct topic_entry, changed);
        bool id_changed = e->id_changed;
        e->id_changed = false;
        e->meta.wants++; /* it stays while observers hear of it, even if one of them unwants it */
        struct ferry_link *l, *next;
        FERRY_LIST_EACH(l, next, &client->observers)
        {
            struct ferry_observer *o = FERRY_CONTAINER(l, struct ferry_observer, link);
            if (o->on_topic)
                o->on_topic(client, o, &e->meta, id_changed);
        }
        ferry_cluster_unwant(client, &e->meta, 0);
    }
}

/* -- Applying an answer ---------------------------------------------------------------------------------- */

/* Partitions that an answer numbers: one more than the highest, and no more than the answer could mean. */
static int32_t count_partitions(const struct ferry_metadata_response_topic *from)
{
    int32_t count = 0;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        int32_t n = from->partitions[i].partition_index;
        if (n >= count && n < INT32_MAX && n < from->partitions_count + SPARE_PARTITIONS)
            count = n + 1;
    }
    return count;
}

static size_t count_nodes(const struct ferry_metadata_response_topic *from)
{
    size_t nodes = 0;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        const struct ferry_metadata_response_partition *p = &from->partitions[i];
        nodes += (size_t)(p->replica_nodes_count > 0 ? p->replica_nodes_count : 0);
        nodes += (size_t)(p->isr_nodes_count > 0 ? p->isr_nodes_count : 0);
        nodes += (size_t)(p->offline_replicas_count > 0 ? p->offline_replicas_count : 0);
    }
    return nodes;
}

static size_t nodes_of(const struct ferry_partition_meta *p)
{
    return (size_t)p->replica_count + p->isr_count + p->offline_count;
}

static uint16_t add_nodes(int32_t **to, const int32_t *nodes, int32_t count)
{
    if (count <= 0)
        return 0;
    uint16_t n = count > UINT16_MAX ? UINT16_MAX : (uint16_t)count;
    memcpy(*to, nodes, n * sizeof *nodes);
    *to += n;
    return n;
}

static void take_partition(struct ferry_partition_meta *to,
                           const struct ferry_metadata_response_partition *from, int32_t **pool)
{
    to->leader = from->leader_id;
    to->leader_epoch = from->leader_epoch;
    to->error = from->error_code;
    to->replicas = *pool;
    to->replica_count = add_nodes(pool, from->replica_nodes, from->replica_nodes_count);
    to->isr_count = add_nodes(pool, from->isr_nodes, from->isr_nodes_count);
    to->offline_count = add_nodes(pool, from->offline_replicas, from->offline_replicas_count);
}

static void keep_partition(struct ferry_partition_meta *to, const struct ferry_partition_meta *from,
                           int32_t **pool)
{
    *to = *from;
    to->replicas = *pool;
    size_t n = nodes_of(from);
    if (n)
        memcpy(*pool, from->replicas, n * sizeof(int32_t));
    *pool += n;
}

/* The topic's next partitions: the answer's, but the old ones where those are newer or not in the answer. */
static struct ferry_partition_meta *merge(const struct ferry_topic_meta *old, bool same_topic,
                                          const struct ferry_metadata_response_topic *from,
                                          int32_t *count)
{
    int32_t old_count = same_topic ? old->partition_count : 0;
    *count = count_partitions(from);
    if (*count < old_count)
        *count = old_count;
    size_t nodes = count_nodes(from);
    for (int32_t i = 0; i < old_count; i++)
        nodes += nodes_of(&old->partitions[i]);
    struct ferry_partition_meta *block =
        ferry_zalloc((size_t)*count * sizeof *block + nodes * sizeof(int32_t) + 1);
    if (!block)
        return NULL;
    int32_t *pool = (int32_t *)(block + *count);
    for (int32_t i = 0; i < *count; i++)
        block[i] = (struct ferry_partition_meta){
            .leader = -1, .leader_epoch = -1, .error = LEADER_NOT_AVAILABLE};
    for (int32_t i = 0; i < from->partitions_count; i++) {
        int32_t n = from->partitions[i].partition_index;
        if (n < 0 || n >= *count || block[n].replicas)
            continue;
        bool stale =
            n < old_count && from->partitions[i].leader_epoch < old->partitions[n].leader_epoch;
        if (stale)
            keep_partition(&block[n], &old->partitions[n], &pool);
        else
            take_partition(&block[n], &from->partitions[i], &pool);
    }
    for (int32_t n = 0; n < old_count; n++)
        if (!block[n].replicas)
            keep_partition(&block[n], &old->partitions[n], &pool);
    return block;
}

static bool same_partitions(const struct ferry_topic_meta *t,
                            const struct ferry_partition_meta *other, int32_t count)
{
    if (t->partition_count != count)
        return false;
    for (int32_t i = 0; i < count; i++) {
        const struct ferry_partition_meta *a = &t->partitions[i], *b = &other[i];
        if (a->leader != b->leader || a->leader_epoch != b->leader_epoch || a->error != b->error ||
            a->replica_count != b->replica_count || a->isr_count != b->isr_count ||
            a->offline_count != b->offline_count ||
            (nodes_of(a) && memcmp(a->replicas, b->replicas, nodes_of(a) * sizeof(int32_t))))
            return false;
    }
    return true;
}

static void lose_leaders(struct ferry_topic_meta *t)
{
    for (int32_t i = 0; i < t->partition_count; i++)
        t->partitions[i].leader = -1;
}

static void set_error(struct ferry_client *client, struct topic_entry *e, int16_t error)
{
    struct ferry_topic_meta *t = &e->meta;
    if (t->known && t->error == error)
        return;
    t->error = error;
    t->known = true;
    if (error == UNKNOWN_TOPIC)
        lose_leaders(t);
    mark_changed(client, e);
}

static int apply_topic(struct ferry_client *client, struct topic_entry *e,
                       const struct ferry_metadata_response_topic *from)
{
    struct ferry_topic_meta *t = &e->meta;
    t->answered_at = client->now;
    if (from->error_code && !from->partitions_count) {
        set_error(client, e, from->error_code);
        return 0;
    }
    bool same_topic = ferry_uuid_eq(&t->id, &from->topic_id) || ferry_uuid_is_zero(&t->id) ||
                      ferry_uuid_is_zero(&from->topic_id);
    int32_t count;
    struct ferry_partition_meta *partitions = merge(t, same_topic, from, &count);
    if (!partitions)
        return FERRY_E_NOMEM;
    if (t->known && t->error == from->error_code && t->internal == from->is_internal &&
        ferry_uuid_eq(&t->id, &from->topic_id) && same_partitions(t, partitions, count)) {
        ferry_free(partitions);
        return 0;
    }
    ferry_free(t->partitions);
    t->partitions = partitions;
    t->partition_count = count;
    t->error = from->error_code;
    t->internal = from->is_internal;
    if (!ferry_uuid_is_zero(&from->topic_id))
        t->id = from->topic_id;
    t->known = true;
    e->id_changed = e->id_changed || !same_topic;
    mark_changed(client, e);
    return 0;
}

/* Brokers that the answer lists become known, others go; a cluster without brokers says nothing. */
static void apply_brokers(struct ferry_client *client, const struct ferry_metadata_response *m)
{
    bool any = false;
    for (int32_t i = 0; i < m->brokers_count; i++) {
        const struct ferry_metadata_response_broker *b = &m->brokers[i];
        any = ferry_broker_learn(client, b->node_id, b->host, b->port, b->rack) || any;
    }
    if (!any)
        return;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        bool listed = false;
        for (int32_t i = 0; i < m->brokers_count && !listed; i++)
            listed = m->brokers[i].node_id == b->node;
        if (!listed)
            ferry_broker_remove(b);
    }
}

static int apply_head(struct ferry_client *client, const struct ferry_metadata_response *m)
{
    struct ferry_client_core *core = client->core;
    apply_brokers(client, m);
    core->controller = m->controller_id;
    if (!m->cluster_id.data ||
        (core->cluster_id && ferry_str_eq(ferry_str_of(core->cluster_id), m->cluster_id)))
        return 0;
    char *id = ferry_strndup(m->cluster_id.data, m->cluster_id.len);
    if (!id)
        return FERRY_E_NOMEM;
    ferry_free(core->cluster_id);
    core->cluster_id = id;
    return 0;
}

/* After a full answer: what it did not name is not there. */
static void drop_unseen(struct ferry_client *client)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->topic_list)
    {
        struct topic_entry *e = entry_of(FERRY_CONTAINER(l, struct ferry_topic_meta, link));
        if (e->seen)
            continue;
        e->meta.answered_at = client->now;
        set_error(client, e, UNKNOWN_TOPIC);
    }
}

static void free_unseen(struct ferry_client *client)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->topic_list)
    {
        struct topic_entry *e = entry_of(FERRY_CONTAINER(l, struct ferry_topic_meta, link));
        if (!e->seen && !e->meta.wants)
            free_topic(client, e);
    }
}

static bool is_missing(const struct ferry_topic_meta *t)
{
    if (!t->wants)
        return false;
    if (!t->known || t->error == UNKNOWN_TOPIC || t->error == LEADER_NOT_AVAILABLE)
        return true;
    for (int32_t i = 0; i < t->partition_count; i++)
        if (t->partitions[i].leader < 0)
            return true;
    return false;
}

int ferry_cluster_apply(struct ferry_client *client, const struct ferry_metadata_response *m,
                        bool full, bool *missing, bool *changed)
{
    struct ferry_client_core *core = client->core;
    if (apply_head(client, m))
        return FERRY_E_NOMEM;
    for (struct ferry_topic_meta *t = NULL; (t = ferry_cluster_next(client, t));)
        entry_of(t)->seen = false;
    for (int32_t i = 0; i < m->topics_count; i++) {
        const struct ferry_metadata_response_topic *from = &m->topics[i];
        if (!from->name.data)
            continue;
        struct topic_entry *e = ferry_map_get(&core->topics, from->name.data, from->name.len);
        if (!e && !core->want_all)
            continue;
        if ((!e && !(e = new_topic(client, from->name))) || apply_topic(client, e, from))
            return FERRY_E_NOMEM;
        e->seen = true;
    }
    if (full)
        drop_unseen(client);
    *changed = !ferry_list_empty(&core->changed);
    *missing = false;
    for (struct ferry_topic_meta *t = NULL; !*missing && (t = ferry_cluster_next(client, t));)
        *missing = is_missing(t);
    ferry_cluster_flush(client);
    if (full)
        free_unseen(client);
    return 0;
}

void ferry_cluster_forget(struct ferry_client *client)
{
    client->core->controller = -1;
    for (struct ferry_topic_meta *t = NULL; (t = ferry_cluster_next(client, t));) {
        for (int32_t i = 0; i < t->partition_count; i++)
            t->partitions[i].leader = t->partitions[i].leader_epoch = -1;
        mark_changed(client, entry_of(t));
    }
}

/* -- Hints ---------------------------------------------------------------------------------------------- */

bool ferry_cluster_hint(struct ferry_client *client, struct ferry_topic_meta *t, int32_t partition,
                        int32_t leader, int32_t epoch, const struct ferry_node_hint *endpoint)
{
    if (partition < 0 || partition >= t->partition_count || leader < 0)
        return false;
    struct ferry_partition_meta *p = &t->partitions[partition];
    if (epoch <= p->leader_epoch)
        return false;
    if (endpoint && endpoint->host.len && endpoint->node == leader)
        ferry_broker_learn(client, endpoint->node, endpoint->host, endpoint->port, endpoint->rack);
    if (!ferry_broker_find(client, leader))
        return false; /* only metadata can tell where it is */
    bool moved = p->leader != leader;
    p->leader = leader;
    p->leader_epoch = epoch;
    p->error = 0;
    mark_changed(client, entry_of(t));
    return moved;
}

/* -- The rest ------------------------------------------------------------------------------------------- */

struct ferry_str ferry_cluster_id(const struct ferry_client *client)
{
    return ferry_str_of(client->core->cluster_id);
}

int32_t ferry_cluster_controller(const struct ferry_client *client)
{
    return client->core->controller;
}

void ferry_cluster_refresh(struct ferry_client *client)
{
    ferry_metadata_need(client, false);
}

/* Takes "host:port", "[v6]:port", with an optional "PLAINTEXT://" before it, into "host:port". */
static int parse_server(const char *at, size_t len, char **out, struct ferry_error *err)
{
    static const char scheme[] = "PLAINTEXT://";
    const char *p = at;
    size_t n = len;
    if (n > sizeof scheme - 1 && !memcmp(p, scheme, sizeof scheme - 1)) {
        p += sizeof scheme - 1;
        n -= sizeof scheme - 1;
    }
    const char *colon = NULL;
    for (size_t i = 0; i < n; i++)
        if (p[i] == ':')
            colon = p + i;
    bool bracketed = n && *p == '[';
    size_t host = colon ? (size_t)(colon - p) : 0;
    unsigned long port = 0;
    for (const char *d = colon ? colon + 1 : p; colon && d < p + n; d++)
        port = *d >= '0' && *d <= '9' && port <= UINT16_MAX ? port * 10 + (unsigned long)(*d - '0')
                                                            : UINT16_MAX + 1ul;
    bool good = colon && host && host < 256 && port > 0 && port <= UINT16_MAX &&
                (bracketed ? p[host - 1] == ']' && host > 2 : !memchr(p, ':', host));
    if (!good)
        return ferry_fail(err, FERRY_E_CONFIG, "bootstrap.servers: %.*s: expected host:port",
                          (int)len, at);
    *out = ferry_strndup(p, n);
    return *out ? 0 : ferry_fail(err, FERRY_E_NOMEM, "no memory for a bootstrap server");
}

static int keep_server(struct ferry_client_core *core, char *server, struct ferry_error *err)
{
    for (size_t i = 0; i < core->bootstrap_count; i++)
        if (!strcmp(core->bootstrap[i], server)) {
            ferry_free(server);
            return 0;
        }
    if (FERRY_GROW(core->bootstrap, core->bootstrap_cap, core->bootstrap_count + 1)) {
        ferry_free(server);
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a bootstrap server");
    }
    core->bootstrap[core->bootstrap_count++] = server;
    return 0;
}

/* Adds to the list; the brokers are made by the caller. */
static int parse_list(struct ferry_client *client, const char *list, struct ferry_error *err)
{
    static const char separators[] = ", \t";
    for (const char *p = list + strspn(list, separators); *p;) {
        size_t len = strcspn(p, separators);
        char *server;
        int code = parse_server(p, len, &server, err);
        if (!code)
            code = keep_server(client->core, server, err);
        if (code)
            return code;
        p += len;
        p += strspn(p, separators);
    }
    return 0;
}

int ferry_cluster_add_bootstrap(struct ferry_client *client, const char *list,
                                struct ferry_error *err)
{
    bool know_nodes = false;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    know_nodes = know_nodes || FERRY_CONTAINER(l, struct ferry_broker, link)->node >= 0;
    int code = parse_list(client, list, err);
    if (code || know_nodes)
        return code; /* what was added counts from the next rebootstrap on */
    ferry_broker_bootstrap(client);
    ferry_request_dispatch_any(client);
    return 0;
}

int ferry_cluster_init(struct ferry_client *client, struct ferry_error *err)
{
    const char *list = client->settings->bootstrap_servers;
    int code = list ? parse_list(client, list, err) : 0;
    if (code)
        return code;
    ferry_broker_bootstrap(client);
    return client->core->failed ? ferry_fail(err, FERRY_E_NOMEM, "no memory for bootstrap servers")
                                : 0;
}

void ferry_cluster_free_all(struct ferry_client *client)
{
    struct ferry_client_core *core = client->core;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &core->topic_list)
    free_topic(client, entry_of(FERRY_CONTAINER(l, struct ferry_topic_meta, link)));
    ferry_map_free(&core->topics);
    for (size_t i = 0; i < core->bootstrap_count; i++)
        ferry_free(core->bootstrap[i]);
    ferry_free(core->bootstrap);
    ferry_free(core->cluster_id);
}
