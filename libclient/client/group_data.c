/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/group_data.h"

#include "base/err.h"
#include "base/mem.h"
#include "client/broker.h"
#include "client/cluster.h"
#include "wire/codec.h"

#include <stdlib.h>

enum { SUBSCRIPTION_VERSION = 3, ASSIGNMENT_VERSION = 3 };

/* Runs of one topic in a list become one entry with an array of partitions. All three messages that hold such lists have
   structs of this shape. */
struct run {
    struct ferry_str topic;
    int32_t *partitions;
    int32_t partitions_count;
};

_Static_assert(sizeof(struct run) ==
                       sizeof(struct ferry_consumer_protocol_subscription_owned_partition) &&
                   sizeof(struct run) ==
                       sizeof(struct ferry_consumer_protocol_assignment_assigned_partition) &&
                   sizeof(struct run) == sizeof(struct ferry_sticky_user_data_previous_partition),
               "lists of partitions have one shape");

/* The runs of a sorted copy of the list; NULL without memory. */
static struct run *make_runs(const struct ferry_partition_list *list, struct ferry_arena *arena,
                             int32_t *count)
{
    size_t n = list ? list->count : 0;
    struct run *runs = ferry_arena_array(arena, n + 1, sizeof *runs);
    int32_t *partitions = ferry_arena_array(arena, n + 1, sizeof *partitions);
    *count = 0;
    if (!runs || !partitions)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        struct ferry_str topic = ferry_str_of(list->items[i].topic);
        if (*count == 0 || !ferry_str_eq(runs[*count - 1].topic, topic))
            runs[(*count)++] = (struct run){topic, &partitions[i], 0};
        partitions[i] = list->items[i].partition;
        runs[*count - 1].partitions_count++;
    }
    return runs;
}

/* ---- a member's own subscription ---- */

/* The assignor's user data; len 0: none. */
static int write_user_data(enum ferry_assignor assignor, const struct ferry_group_subscription *s,
                           struct ferry_arena *arena, struct ferry_writer *w)
{
    if (assignor == FERRY_ASSIGNOR_STICKY && s->previous && s->previous->count) {
        struct ferry_sticky_user_data m;
        ferry_sticky_user_data_init(&m);
        m.previous_assignment = (struct ferry_sticky_user_data_previous_partition *)make_runs(
            s->previous, arena, &m.previous_assignment_count);
        m.generation = s->previous_generation;
        return m.previous_assignment ? ferry_msg_encode(&ferry_sticky_user_data_msg, 1, &m, w, NULL)
                                     : FERRY_E_NOMEM;
    }
    if (assignor == FERRY_ASSIGNOR_COOPERATIVE_STICKY && s->previous_generation >= 0) {
        struct ferry_cooperative_sticky_user_data m = {.generation = s->previous_generation};
        return ferry_msg_encode(&ferry_cooperative_sticky_user_data_msg, 0, &m, w, NULL);
    }
    return FERRY_OK;
}

int ferry_group_data_subscribe(enum ferry_assignor assignor,
                               const struct ferry_group_subscription *s, struct ferry_writer *w)
{
    struct ferry_arena arena = {.limit = SIZE_MAX};
    struct ferry_writer user = {0};
    struct ferry_consumer_protocol_subscription m;
    ferry_consumer_protocol_subscription_init(&m);
    int rc = write_user_data(assignor, s, &arena, &user);
    m.topics = ferry_arena_array(&arena, s->topics->count + 1, sizeof *m.topics);
    m.owned_partitions = (struct ferry_consumer_protocol_subscription_owned_partition *)make_runs(
        s->owned, &arena, &m.owned_partitions_count);
    if (!m.topics || !m.owned_partitions)
        rc = FERRY_E_NOMEM;
    if (!rc) {
        for (size_t i = 0; i < s->topics->count; i++)
            m.topics[m.topics_count++] = ferry_str_of(s->topics->items[i].topic);
        if (user.len)
            m.user_data = (struct ferry_bytes){user.data, user.len};
        m.generation_id = s->generation;
        if (s->rack)
            m.rack_id = ferry_str_of(s->rack);
        ferry_writer_u16(w, SUBSCRIPTION_VERSION);
        rc = ferry_msg_encode(&ferry_consumer_protocol_subscription_msg, SUBSCRIPTION_VERSION, &m,
                              w, NULL);
    }
    ferry_writer_free(&user);
    ferry_arena_free(&arena);
    return rc;
}

/* The version in front, cut to the newest that is known, and the rest. False if it is not there. */
static bool take_version(struct ferry_bytes *in, int newest, int *version)
{
    if (in->len < 2)
        return false;
    *version = (int16_t)ferry_get16(in->data);
    if (*version < 0)
        return false;
    *version = *version > newest ? newest : *version;
    in->data += 2;
    in->len -= 2;
    return true;
}

int ferry_group_data_assigned(struct ferry_bytes in, struct ferry_partition_list *out,
                              struct ferry_error *err)
{
    struct ferry_arena arena = {.limit = 64 * in.len + 4096};
    struct ferry_consumer_protocol_assignment m;
    int version, rc = FERRY_OK;
    if (in.len == 0) /* a leader that gives a member nothing may send nothing */
        return FERRY_OK;
    if (!take_version(&in, ASSIGNMENT_VERSION, &version))
        return ferry_fail(err, FERRY_E_PROTOCOL, "an assignment of %zu bytes has no version",
                          in.len);
    rc = ferry_msg_decode(&ferry_consumer_protocol_assignment_msg, version, in, 0, &arena, &m, err);
    for (int32_t t = 0; !rc && t < m.assigned_partitions_count; t++)
        for (int32_t p = 0; !rc && p < m.assigned_partitions[t].partitions_count; p++) {
            int32_t partition = m.assigned_partitions[t].partitions[p];
            if (partition < 0 || m.assigned_partitions[t].topic.len == 0)
                rc = ferry_fail(err, FERRY_E_PROTOCOL, "an assignment holds partition %d",
                                (int)partition);
            else if (!ferry_consumer_list_has(out, m.assigned_partitions[t].topic, partition) &&
                     ferry_consumer_list_add(out, m.assigned_partitions[t].topic, partition,
                                             FERRY_OFFSET_NONE) < 0)
                rc = ferry_fail(err, FERRY_E_NOMEM, "no memory for an assignment");
        }
    ferry_arena_free(&arena);
    return rc;
}

/* ---- the leader's work ---- */

static int add_owned(struct ferry_group_member *m, struct ferry_str topic,
                     const int32_t *partitions, int32_t count)
{
    for (int32_t p = 0; p < count; p++)
        if (ferry_consumer_list_add(&m->owned, topic, partitions[p], FERRY_OFFSET_NONE) < 0)
            return FERRY_E_NOMEM;
    return FERRY_OK;
}

/* sticky looks at the user data alone: its members have given up what they owned when they join. */
static int read_sticky(struct ferry_group_round *r, struct ferry_group_member *m,
                       struct ferry_bytes user)
{
    struct ferry_sticky_user_data d;
    int rc = user.len == 0 ? FERRY_E_PROTOCOL : FERRY_OK;
    if (!rc &&
        (rc = ferry_msg_decode(&ferry_sticky_user_data_msg, 1, user, 0, &r->arena, &d, NULL)))
        rc = ferry_msg_decode(&ferry_sticky_user_data_msg, 0, user, 0, &r->arena, &d, NULL);
    if (rc)
        return FERRY_OK; /* it says nothing that can be read */
    m->generation = d.generation;
    for (int32_t t = 0; t < d.previous_assignment_count && !rc; t++)
        rc = add_owned(m, d.previous_assignment[t].topic, d.previous_assignment[t].partitions,
                       d.previous_assignment[t].partitions_count);
    return rc;
}

static int read_member(struct ferry_group_round *r, struct ferry_group_member *m)
{
    struct ferry_bytes in = m->metadata;
    struct ferry_consumer_protocol_subscription s;
    struct ferry_cooperative_sticky_user_data c;
    int version, rc = FERRY_OK;
    m->generation = -1;
    if (!take_version(&in, SUBSCRIPTION_VERSION, &version) ||
        ferry_msg_decode(&ferry_consumer_protocol_subscription_msg, version, in, 0, &r->arena, &s,
                         NULL))
        return FERRY_OK;
    m->topics = s.topics;
    m->topics_count = s.topics_count < 0 ? 0 : s.topics_count;
    m->rack = s.rack_id;
    if (r->assignor == FERRY_ASSIGNOR_STICKY)
        return read_sticky(r, m, s.user_data);
    m->generation = s.generation_id;
    if (m->generation < 0 && r->assignor == FERRY_ASSIGNOR_COOPERATIVE_STICKY && s.user_data.len &&
        !ferry_msg_decode(&ferry_cooperative_sticky_user_data_msg, 0, s.user_data, 0, &r->arena, &c,
                          NULL))
        m->generation = c.generation;
    for (int32_t t = 0; t < s.owned_partitions_count && !rc; t++)
        rc = add_owned(m, s.owned_partitions[t].topic, s.owned_partitions[t].partitions,
                       s.owned_partitions[t].partitions_count);
    return rc;
}

int ferry_group_data_read(struct ferry_group_round *r)
{
    int rc = FERRY_OK;
    for (int32_t i = 0; i < r->member_count && !rc; i++)
        rc = read_member(r, &r->members[i]);
    return rc;
}

void ferry_group_data_free(struct ferry_group_round *r)
{
    for (int32_t i = 0; i < r->member_count; i++) {
        ferry_consumer_list_clear(&r->members[i].owned);
        ferry_free(r->members[i].owned.items);
    }
    ferry_arena_free(&r->arena);
    *r = (struct ferry_group_round){.arena = {.limit = SIZE_MAX}};
}

/* Numbers for names: topics, racks. value is the number + 1. */
static int32_t number_of(struct ferry_map *map, struct ferry_str name, bool *failed)
{
    uintptr_t n = (uintptr_t)ferry_map_get(map, name.data, name.len);
    if (n)
        return (int32_t)(n - 1);
    n = map->live + 1;
    if (ferry_map_put(map, name.data, name.len, (void *)n, NULL))
        *failed = true;
    return (int32_t)(n - 1);
}

struct naming {
    struct ferry_map topics, racks;
    bool failed;
};

static void fill_topic(struct ferry_group_round *r, const struct ferry_client *client,
                       struct naming *n, struct ferry_assign_topic *t)
{
    const struct ferry_topic_meta *meta = ferry_cluster_topic(client, t->name);
    struct ferry_assign_racks *racks;
    t->partition_count = meta && !meta->error ? meta->partition_count : 0;
    t->owner = ferry_arena_array(&r->arena, (size_t)t->partition_count + 1, sizeof *t->owner);
    t->racks = racks =
        ferry_arena_array(&r->arena, (size_t)t->partition_count + 1, sizeof *t->racks);
    n->failed |= !t->owner || !racks;
    for (int32_t p = 0; p < t->partition_count && !n->failed; p++) {
        const struct ferry_partition_meta *part = &meta->partitions[p];
        int32_t *ids = ferry_arena_array(&r->arena, (size_t)part->replica_count + 1, sizeof *ids);
        if (!ids) {
            n->failed = true;
            return;
        }
        racks[p].ids = ids;
        for (int32_t k = 0; k < part->replica_count; k++) {
            struct ferry_str rack = ferry_broker_rack(client, part->replicas[k]);
            if (rack.data)
                ids[racks[p].count++] = number_of(&n->racks, rack, &n->failed);
        }
    }
}

static void fill_member(struct ferry_group_round *r, struct naming *n,
                        const struct ferry_group_member *from, struct ferry_assign_member *to)
{
    int32_t *topics = ferry_arena_array(&r->arena, (size_t)from->topics_count + 1, sizeof *topics);
    struct ferry_assign_partition *owned =
        ferry_arena_array(&r->arena, from->owned.count + 1, sizeof *owned);
    *to = (struct ferry_assign_member){.id = from->id,
                                       .instance_id = from->instance_id,
                                       .rack = -1,
                                       .topics = topics,
                                       .owned = owned,
                                       .generation = from->generation};
    if (!topics || !owned) {
        n->failed = true;
        return;
    }
    if (from->rack.len)
        to->rack = number_of(&n->racks, from->rack, &n->failed);
    for (int32_t i = 0; i < from->topics_count; i++) {
        int32_t t = number_of(&n->topics, from->topics[i], &n->failed);
        bool twice = false;
        for (int32_t k = 0; k < to->topic_count; k++)
            twice |= topics[k] == t;
        if (!twice)
            topics[to->topic_count++] = t;
    }
    for (size_t i = 0; i < from->owned.count; i++) {
        uintptr_t t = (uintptr_t)ferry_map_get_str(&n->topics, from->owned.items[i].topic);
        if (t) /* a topic that nobody before subscribed to is looked at in the second pass */
            owned[to->owned_count++] =
                (struct ferry_assign_partition){(int32_t)(t - 1), from->owned.items[i].partition};
    }
}

static int write_assignment(struct ferry_group_round *r, const struct ferry_assign_group *g,
                            int32_t member)
{
    struct ferry_consumer_protocol_assignment m;
    struct ferry_partition_list list = {0};
    struct ferry_writer w = {0};
    int rc = FERRY_OK;
    for (int32_t t = 0; t < g->topic_count; t++)
        for (int32_t p = 0; p < g->topics[t].partition_count && rc >= 0; p++)
            if (g->topics[t].owner[p] == member)
                rc = ferry_consumer_list_add(&list, g->topics[t].name, p, 0);
    ferry_consumer_protocol_assignment_init(&m);
    m.assigned_partitions =
        (struct ferry_consumer_protocol_assignment_assigned_partition *)make_runs(
            &list, &r->arena, &m.assigned_partitions_count);
    rc = rc < 0 || !m.assigned_partitions ? FERRY_E_NOMEM : FERRY_OK;
    if (!rc) {
        ferry_writer_u16(&w, ASSIGNMENT_VERSION);
        rc = ferry_msg_encode(&ferry_consumer_protocol_assignment_msg, ASSIGNMENT_VERSION, &m, &w,
                              NULL);
    }
    if (!rc) {
        uint8_t *bytes = ferry_arena_alloc(&r->arena, w.len);
        if (bytes)
            memcpy(bytes, w.data, w.len);
        r->members[member].assignment = (struct ferry_bytes){bytes, w.len};
        rc = bytes ? FERRY_OK : FERRY_E_NOMEM;
    }
    ferry_writer_free(&w);
    ferry_consumer_list_clear(&list);
    ferry_free(list.items);
    return rc;
}

int ferry_group_data_assign(struct ferry_group_round *r, const struct ferry_client *client)
{
    struct naming n = {0};
    struct ferry_assign_member *members =
        ferry_arena_array(&r->arena, (size_t)r->member_count + 1, sizeof *members);
    struct ferry_assign_group g = {.members = members, .member_count = r->member_count};
    int rc = members ? FERRY_OK : FERRY_E_NOMEM;
    /* Two passes: what a member owns may be of a topic that only a later member subscribes to. */
    for (int pass = 0; pass < 2 && !rc; pass++)
        for (int32_t i = 0; i < r->member_count; i++)
            fill_member(r, &n, &r->members[i], &members[i]);
    if (!rc) {
        g.topic_count = (int32_t)n.topics.live;
        g.topics = ferry_arena_array(&r->arena, n.topics.live + 1, sizeof *g.topics);
        rc = g.topics ? FERRY_OK : FERRY_E_NOMEM;
    }
    size_t at = 0;
    for (struct ferry_map_entry *e; !rc && (e = ferry_map_next(&n.topics, &at));) {
        struct ferry_assign_topic *t = &g.topics[(uintptr_t)e->value - 1];
        t->name = (struct ferry_str){(const char *)e->key.data, e->key.len};
        fill_topic(r, client, &n, t);
    }
    if (!rc)
        rc = n.failed ? FERRY_E_NOMEM : ferry_assign(r->assignor, &g);
    for (int32_t i = 0; i < r->member_count && !rc; i++)
        rc = write_assignment(r, &g, i);
    ferry_map_free(&n.topics);
    ferry_map_free(&n.racks);
    return rc;
}
