/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Range and round-robin, as Java 4.x computes them.
 *
 * Range gives each topic's partitions to its subscribers in contiguous blocks, subscribers in the order of their
 * instance ids, then member ids; the first (partitions mod subscribers) get one more. Where subscribers and replicas name
 * racks, and the replicas are not all on all racks, a first pass gives partitions to subscribers on a rack of
 * theirs: topics of equal partition count and subscribers together (so that co-partitioned topics stay
 * co-located), partition by partition; a topic alone, subscriber by subscriber. The second pass deals the rest.
 */
#include "config.h"

#include "client/assign.h"

#include "base/mem.h"
#include "ferry/error.h"

#include <stdlib.h>

static const char *const names[FERRY_ASSIGNOR_COUNT] = {
    [FERRY_ASSIGNOR_RANGE] = "range",
    [FERRY_ASSIGNOR_ROUNDROBIN] = "roundrobin",
    [FERRY_ASSIGNOR_STICKY] = "sticky",
    [FERRY_ASSIGNOR_COOPERATIVE_STICKY] = "cooperative-sticky",
};

const char *ferry_assignor_name(enum ferry_assignor a)
{
    return names[a];
}

int ferry_assignor_find(struct ferry_str name)
{
    for (int i = 0; i < FERRY_ASSIGNOR_COUNT; i++)
        if (ferry_str_eq(name, ferry_str_of(names[i])))
            return i;
    return -1;
}

/* UTF-16 puts what lies beyond U+FFFF (four bytes in UTF-8, 0xF0 and up) before U+E000 to U+FFFF (0xEE, 0xEF). */
static int java_rank(uint8_t c)
{
    return c >= 0xF0 ? c - 2 : c >= 0xEE ? c + 0x10 : c;
}

int ferry_assign_compare(struct ferry_str a, struct ferry_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < n; i++) {
        uint8_t x = (uint8_t)a.data[i], y = (uint8_t)b.data[i];
        if (x != y)
            return java_rank(x) - java_rank(y);
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* ---- orders: qsort has no context argument, so what is sorted carries what it is sorted by ---- */

struct member_order {
    const struct ferry_assign_member *member;
    int32_t index;
};

static int by_member(const void *a, const void *b)
{
    const struct ferry_assign_member *x = ((const struct member_order *)a)->member;
    const struct ferry_assign_member *y = ((const struct member_order *)b)->member;
    if (x->instance_id.data && y->instance_id.data)
        return ferry_assign_compare(x->instance_id, y->instance_id);
    if (x->instance_id.data || y->instance_id.data)
        return x->instance_id.data ? -1 : 1;
    return ferry_assign_compare(x->id, y->id);
}

/* All members in Java's order; the caller frees. */
static struct member_order *sorted_members(const struct ferry_assign_group *g)
{
    struct member_order *order = ferry_alloc(((size_t)g->member_count + 1) * sizeof *order);
    if (!order)
        return NULL;
    for (int32_t i = 0; i < g->member_count; i++)
        order[i] = (struct member_order){&g->members[i], i};
    qsort(order, (size_t)g->member_count, sizeof *order, by_member);
    return order;
}

struct topic_order {
    const struct ferry_assign_topic *topic;
    int32_t index;
};

static int by_topic(const void *a, const void *b)
{
    return ferry_assign_compare(((const struct topic_order *)a)->topic->name,
                                ((const struct topic_order *)b)->topic->name);
}

/* For each topic its subscribers, as places in the members' order, in that order. */
struct subscribers {
    int32_t *start; /* topic_count + 1 */
    int32_t *list;
};

static int subscribers_init(struct subscribers *s, const struct ferry_assign_group *g,
                            const struct member_order *order)
{
    size_t total = 0;
    for (int32_t i = 0; i < g->member_count; i++)
        total += (size_t)g->members[i].topic_count;
    s->start = ferry_zalloc(((size_t)g->topic_count + 2) * sizeof *s->start);
    s->list = ferry_alloc((total + 1) * sizeof *s->list);
    if (!s->start || !s->list)
        return FERRY_E_NOMEM;
    for (int32_t i = 0; i < g->member_count; i++)
        for (int32_t k = 0; k < g->members[i].topic_count; k++)
            s->start[g->members[i].topics[k] + 2]++;
    for (int32_t t = 0; t < g->topic_count; t++)
        s->start[t + 2] += s->start[t + 1];
    /* start[t + 1] is where the next of topic t goes; when all are in, that is where topic t + 1 begins. */
    for (int32_t i = 0; i < g->member_count; i++)
        for (int32_t k = 0; k < order[i].member->topic_count; k++)
            s->list[s->start[order[i].member->topics[k] + 1]++] = i;
    return FERRY_OK;
}

static void subscribers_free(struct subscribers *s)
{
    ferry_free(s->start);
    ferry_free(s->list);
}

/* ---- round-robin ---- */

/* Deals one topic, beginning with the first subscriber from place `at` on; returns the place after the last. */
static int32_t deal_in_turn(const struct ferry_assign_group *g, const struct member_order *order,
                            const struct subscribers *s, int32_t topic, int32_t at)
{
    const int32_t *list = s->list + s->start[topic];
    int32_t count = s->start[topic + 1] - s->start[topic], k = 0;
    if (count == 0)
        return at;
    while (k < count && list[k] < at)
        k++;
    for (int32_t p = 0; p < g->topics[topic].partition_count; p++, k++) {
        k = k < count ? k : 0;
        g->topics[topic].owner[p] = order[list[k]].index;
        at = list[k] + 1;
    }
    return at;
}

static int assign_roundrobin(const struct ferry_assign_group *g)
{
    int rc = FERRY_E_NOMEM;
    struct subscribers s = {0};
    struct member_order *order = sorted_members(g);
    struct topic_order *topics = ferry_alloc(((size_t)g->topic_count + 1) * sizeof *topics);
    if (!order || !topics || subscribers_init(&s, g, order))
        goto done;
    for (int32_t i = 0; i < g->topic_count; i++)
        topics[i] = (struct topic_order){&g->topics[i], i};
    qsort(topics, (size_t)g->topic_count, sizeof *topics, by_topic);
    int32_t at = 0;
    for (int32_t t = 0; t < g->topic_count; t++)
        at = deal_in_turn(g, order, &s, topics[t].index, at);
    rc = FERRY_OK;
done:
    subscribers_free(&s);
    ferry_free(order);
    ferry_free(topics);
    return rc;
}

/* ---- range ---- */

/* One topic while it is being dealt. */
struct range_topic {
    struct ferry_assign_topic *topic;
    int32_t *members;  /* subscribers, in order: indexes of the group */
    int32_t *assigned; /* how many each has been given */
    int32_t count;
    int32_t each, extra; /* partitions for everybody; how many may still have one more */
    int32_t unassigned;
    bool has_racks; /* some subscriber names a rack */
    bool by_rack;   /* worth matching */
    bool grouped;
};

static bool racks_have(const struct ferry_assign_racks *r, int32_t rack)
{
    for (int32_t i = 0; r && i < r->count; i++)
        if (r->ids[i] == rack)
            return true;
    return false;
}

static const struct ferry_assign_racks *racks_of(const struct ferry_assign_topic *t,
                                                 int32_t partition)
{
    return t->racks ? &t->racks[partition] : NULL;
}

static bool racks_match(const struct ferry_assign_group *g, const struct range_topic *r, int32_t i,
                        int32_t partition)
{
    int32_t rack = g->members[r->members[i]].rack;
    return rack < 0 || racks_have(racks_of(r->topic, partition), rack);
}

static int32_t room(const struct range_topic *r, int32_t i)
{
    int32_t most = r->each + (r->extra > 0) - r->assigned[i];
    return most > 0 ? most : 0;
}

static void give(struct range_topic *r, int32_t i, int32_t partition)
{
    r->topic->owner[partition] = r->members[i];
    r->assigned[i]++;
    r->unassigned--;
    if (r->assigned[i] == r->each + 1)
        r->extra--;
}

static void deal(const struct ferry_assign_group *g, struct range_topic *r, bool match)
{
    for (int32_t i = 0; i < r->count && r->unassigned; i++) {
        int32_t left = room(r, i);
        for (int32_t p = 0; p < r->topic->partition_count && left; p++)
            if (r->topic->owner[p] < 0 && (!match || racks_match(g, r, i, p))) {
                give(r, i, p);
                left--;
            }
    }
}

static bool same_racks(const struct ferry_assign_racks *a, const struct ferry_assign_racks *b)
{
    bool same = true;
    for (int32_t i = 0; i < a->count && same; i++)
        same = racks_have(b, a->ids[i]);
    for (int32_t i = 0; i < b->count && same; i++)
        same = racks_have(a, b->ids[i]);
    return same;
}

/* Racks are worth matching if subscribers' and replicas' have one in common and not every partition is on all of them. */
static bool worth_matching(const struct ferry_assign_group *g, const struct range_topic *r)
{
    const struct ferry_assign_topic *t = r->topic;
    bool common = false, uneven = false;
    if (!r->has_racks || !t->racks)
        return false;
    for (int32_t p = 0; p < t->partition_count && !uneven; p++)
        uneven = !same_racks(&t->racks[0], &t->racks[p]);
    for (int32_t p = 0; p < t->partition_count && uneven && !common; p++)
        for (int32_t i = 0; i < r->count && !common; i++)
            common = racks_have(&t->racks[p], g->members[r->members[i]].rack);
    return common && uneven;
}

static bool same_subscribers(const struct range_topic *a, const struct range_topic *b)
{
    return a->count == b->count &&
           (a->count == 0 ||
            memcmp(a->members, b->members, (size_t)a->count * sizeof *a->members) == 0);
}

/* Partition i of every topic of the group goes to one member that matches all of them and has room in all. */
static void deal_together(const struct ferry_assign_group *g, struct range_topic **set,
                          int32_t count)
{
    struct range_topic *first = set[0];
    for (int32_t p = 0; p < first->topic->partition_count; p++)
        for (int32_t i = 0; i < first->count; i++) {
            bool fits = true;
            for (int32_t k = 0; k < count && fits; k++)
                fits = room(set[k], i) > 0 && racks_match(g, set[k], i, p);
            if (!fits)
                continue;
            for (int32_t k = 0; k < count; k++)
                give(set[k], i, p);
            break;
        }
}

static void match_racks(const struct ferry_assign_group *g, struct range_topic *all, int32_t count,
                        struct range_topic **set)
{
    for (int32_t a = 0; a < count; a++) {
        int32_t n = 0;
        if (all[a].grouped)
            continue;
        for (int32_t b = a; b < count; b++) {
            if (all[b].grouped || !same_subscribers(&all[a], &all[b]))
                continue;
            /* Where no subscriber has a rack, nothing is to be matched and the partition count does not matter. */
            if (all[a].has_racks && all[a].topic->partition_count != all[b].topic->partition_count)
                continue;
            all[b].grouped = true;
            set[n++] = &all[b];
        }
        if (!all[a].has_racks)
            continue;
        if (n > 1)
            deal_together(g, set, n);
        else if (all[a].by_rack)
            deal(g, &all[a], true);
    }
}

/* Members and counts of one topic, carved from *space. */
static void range_begin(const struct ferry_assign_group *g, const struct member_order *order,
                        const struct subscribers *s, int32_t topic, struct range_topic *r,
                        int32_t **space)
{
    *r = (struct range_topic){.topic = &g->topics[topic], .members = *space};
    for (int32_t k = s->start[topic]; k < s->start[topic + 1]; k++) {
        r->members[r->count++] = order[s->list[k]].index;
        r->has_racks |= order[s->list[k]].member->rack >= 0;
    }
    r->assigned = r->members + r->count;
    memset(r->assigned, 0, (size_t)r->count * sizeof *r->assigned);
    *space = r->assigned + r->count;
    r->each = r->count ? r->topic->partition_count / r->count : 0;
    r->extra = r->count ? r->topic->partition_count % r->count : 0;
    r->unassigned = r->topic->partition_count;
    r->by_rack = worth_matching(g, r);
}

static int assign_range(const struct ferry_assign_group *g)
{
    int rc = FERRY_E_NOMEM;
    size_t topics = (size_t)g->topic_count;
    struct subscribers s = {0};
    int32_t *space = NULL, *at, count = 0;
    bool by_rack = false;
    struct member_order *order = sorted_members(g);
    struct range_topic *all = ferry_alloc((topics + 1) * sizeof *all);
    struct range_topic **set = ferry_alloc((topics + 1) * sizeof *set);
    if (!order || !all || !set || subscribers_init(&s, g, order))
        goto done;
    at = space = ferry_alloc((2 * (size_t)s.start[topics] + 1) * sizeof *space);
    if (!space)
        goto done;
    for (int32_t t = 0; t < g->topic_count; t++)
        if (g->topics[t].partition_count > 0) {
            range_begin(g, order, &s, t, &all[count], &at);
            by_rack |= all[count++].by_rack;
        }
    if (by_rack)
        match_racks(g, all, count, set);
    for (int32_t t = 0; t < count; t++)
        deal(g, &all[t], false);
    rc = FERRY_OK;
done:
    subscribers_free(&s);
    ferry_free(order);
    ferry_free(all);
    ferry_free(set);
    ferry_free(space);
    return rc;
}

int ferry_assign(enum ferry_assignor assignor, const struct ferry_assign_group *g)
{
    for (int32_t t = 0; t < g->topic_count; t++)
        for (int32_t p = 0; p < g->topics[t].partition_count; p++)
            g->topics[t].owner[p] = -1;
    if (g->member_count == 0)
        return FERRY_OK;
    switch (assignor) {
    case FERRY_ASSIGNOR_RANGE:
        return assign_range(g);
    case FERRY_ASSIGNOR_ROUNDROBIN:
        return assign_roundrobin(g);
    default:
        return ferry_assign_sticky(g, assignor == FERRY_ASSIGNOR_COOPERATIVE_STICKY);
    }
}
