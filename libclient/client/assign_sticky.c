/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sticky and cooperative-sticky: as even as the subscriptions allow, with as much as possible where it was.
 *
 * Where all subscribe to the same topics, members have quotas that differ by at most one; the larger ones go to those
 * that own most; everybody keeps what it owns up to its quota, and the rest is dealt. That is both the evenest
 * assignment and the one with the fewest moves.
 *
 * Else it is a matching of partitions to members with a cost that is convex in each member's load:
 *   A  every partition stays at its home (its last owner, if that still subscribes); one without a home goes to the
 *      least loaded member that can be reached, where a member on the way may hand on one partition for it;
 *   B  while a member can, directly or over others, pass a partition to one that has at least two fewer, it does.
 *      When nobody can, no assignment is more even (a cost-reducing path would exist);
 *   C  partitions away from home go back in cycles of hand-overs that leave the loads as even, while there is one.
 * After B nothing is more even, after C nothing as even keeps more at home. Paths of A and B are searched for with few moves
 * of partitions that are at home (0-1 breadth first search), so that C finds little to do.
 *
 * Invariants:
 *  1. owner[t][p] is -1 or a member that subscribes to t.
 *  2. load[m] is the number of partitions that m owns; home_held and loose_held count the same by subscription.
 */
#include "config.h"

#include "client/assign.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"

#include <stdlib.h>

enum { NOBODY = -1, CONTESTED = -2 };

/* A way found by the search: how a member was reached. */
struct step {
    int32_t from;  /* member; NOBODY: reached by the partition itself */
    int32_t topic; /* of what `from` hands on */
    int32_t moves; /* partitions moved away from home up to here; -1 = not reached */
};

struct sticky {
    const struct ferry_assign_group *g;
    int32_t n;                   /* members */
    int32_t **home;              /* per topic and partition: NOBODY, CONTESTED, or a member */
    int32_t *home_space, *claim; /* all homes in one; generations that claimed them */
    int32_t *load;
    int32_t *sub_start; /* per member: first of its subscriptions in the next two */
    int32_t *home_held, *loose_held;
    int32_t *topic_start, *topic_subs; /* per topic: its subscribers */
    struct step *steps;
    int32_t *
        reached; /* per topic: fewest moves at which its subscribers were looked at; -1 = not yet */
    int32_t *queue, *later;
};

static void *ints(size_t count)
{
    return ferry_zalloc((count + 1) * sizeof(int32_t));
}

static void sticky_free(struct sticky *s)
{
    ferry_free(s->home);
    ferry_free(s->home_space);
    ferry_free(s->claim);
    ferry_free(s->load);
    ferry_free(s->sub_start);
    ferry_free(s->home_held);
    ferry_free(s->loose_held);
    ferry_free(s->topic_start);
    ferry_free(s->topic_subs);
    ferry_free(s->steps);
    ferry_free(s->reached);
    ferry_free(s->queue);
    ferry_free(s->later);
}

static int sticky_alloc(struct sticky *s, size_t partitions, size_t subscriptions)
{
    size_t n = (size_t)s->n, topics = (size_t)s->g->topic_count;
    s->home = ferry_zalloc((topics + 1) * sizeof *s->home);
    s->home_space = ints(partitions);
    s->claim = ints(partitions);
    s->load = ints(n);
    s->sub_start = ints(n + 1);
    s->home_held = ints(subscriptions);
    s->loose_held = ints(subscriptions);
    s->topic_start = ints(topics + 1);
    s->topic_subs = ints(subscriptions);
    s->steps = ferry_zalloc((n + 1) * sizeof *s->steps);
    s->reached = ints(topics);
    s->queue = ints(n + 1);
    s->later = ints(n + 1);
    return s->home && s->home_space && s->claim && s->load && s->sub_start && s->home_held &&
                   s->loose_held && s->topic_start && s->topic_subs && s->steps && s->reached &&
                   s->queue && s->later
               ? FERRY_OK
               : FERRY_E_NOMEM;
}

static int sticky_init(struct sticky *s, const struct ferry_assign_group *g)
{
    size_t partitions = 0, subscriptions = 0;
    *s = (struct sticky){.g = g, .n = g->member_count};
    for (int32_t t = 0; t < g->topic_count; t++)
        partitions += (size_t)g->topics[t].partition_count;
    for (int32_t m = 0; m < s->n; m++)
        subscriptions += (size_t)g->members[m].topic_count;
    if (sticky_alloc(s, partitions, subscriptions))
        return FERRY_E_NOMEM;
    int32_t *at = s->home_space;
    for (int32_t t = 0; t < g->topic_count; t++) {
        s->home[t] = at;
        at += g->topics[t].partition_count;
    }
    for (size_t i = 0; i < partitions; i++)
        s->home_space[i] = NOBODY;
    for (int32_t m = 0; m < s->n; m++) {
        s->sub_start[m + 1] = s->sub_start[m] + g->members[m].topic_count;
        for (int32_t k = 0; k < g->members[m].topic_count; k++)
            s->topic_start[g->members[m].topics[k] + 1]++;
    }
    for (int32_t t = 0; t < g->topic_count; t++)
        s->topic_start[t + 1] += s->topic_start[t];
    for (int32_t m = 0; m < s->n; m++)
        for (int32_t k = 0; k < g->members[m].topic_count; k++) {
            int32_t t = g->members[m].topics[k];
            s->topic_subs[s->topic_start[t] + s->reached[t]++] = m;
        }
    return FERRY_OK;
}

/* Place of a subscription in home_held and loose_held; -1 if m does not subscribe to it. */
static int32_t subscription(const struct sticky *s, int32_t m, int32_t topic)
{
    const struct ferry_assign_member *member = &s->g->members[m];
    for (int32_t k = 0; k < member->topic_count; k++)
        if (member->topics[k] == topic)
            return s->sub_start[m] + k;
    return -1;
}

/* Moves a partition to a member, or (NOBODY) takes it from its owner. */
static void move(struct sticky *s, int32_t topic, int32_t p, int32_t to)
{
    int32_t *owner = &s->g->topics[topic].owner[p];
    for (int taking = 1; taking >= 0; taking--) {
        int32_t m = taking ? *owner : to;
        if (m < 0)
            continue;
        int32_t at = subscription(s, m, topic), by = taking ? -1 : 1;
        FERRY_CHECK(at >= 0);
        s->load[m] += by;
        if (s->home[topic][p] == m)
            s->home_held[at] += by;
        else
            s->loose_held[at] += by;
    }
    *owner = to;
}

/* Who owned what: the newer claim counts; of two of one generation neither. */
static void find_homes(struct sticky *s)
{
    for (int32_t m = 0; m < s->n; m++) {
        const struct ferry_assign_member *member = &s->g->members[m];
        for (int32_t i = 0; i < member->owned_count; i++) {
            int32_t t = member->owned[i].topic, p = member->owned[i].partition;
            if (t < 0 || t >= s->g->topic_count || p < 0 || p >= s->g->topics[t].partition_count)
                continue;
            int32_t *home = &s->home[t][p], *claim = &s->claim[home - s->home_space];
            if (*home == m)
                continue;
            if (*home == NOBODY || member->generation > *claim) {
                *home = m;
                *claim = member->generation;
            } else if (member->generation == *claim) {
                *home = CONTESTED;
            }
        }
    }
    for (int32_t t = 0; t < s->g->topic_count; t++)
        for (int32_t p = 0; p < s->g->topics[t].partition_count; p++) {
            int32_t home = s->home[t][p];
            if (home < 0 || subscription(s, home, t) < 0)
                s->home[t][p] = NOBODY;
            else
                move(s, t, p, home);
        }
}

static bool rack_matches(const struct sticky *s, int32_t m, int32_t topic, int32_t p)
{
    const struct ferry_assign_racks *racks = s->g->topics[topic].racks;
    for (int32_t i = 0; racks && i < racks[p].count; i++)
        if (racks[p].ids[i] == s->g->members[m].rack)
            return true;
    return false;
}

/* ---- all subscribe to the same ---- */

static bool uniform(const struct sticky *s)
{
    for (int32_t t = 0; t < s->g->topic_count; t++) {
        int32_t subscribers = s->topic_start[t + 1] - s->topic_start[t];
        if (subscribers != 0 && subscribers != s->n)
            return false;
    }
    return true;
}

struct quota {
    int32_t member, owned, quota;
};

static int by_owned(const void *a, const void *b)
{
    const struct quota *x = a, *y = b;
    return x->owned != y->owned ? (x->owned < y->owned) - (x->owned > y->owned)
                                : (x->member > y->member) - (x->member < y->member);
}

/* Gives what nobody has to those below their quota, in turn; with `match`, only to members on one of its racks. */
static void deal_quotas(struct sticky *s, const struct quota *q, bool match)
{
    int32_t at = 0;
    for (int32_t t = 0; t < s->g->topic_count; t++) {
        if (s->topic_start[t] == s->topic_start[t + 1])
            continue;
        for (int32_t p = 0; p < s->g->topics[t].partition_count; p++) {
            if (s->g->topics[t].owner[p] != NOBODY)
                continue;
            for (int32_t tried = 0; tried < s->n; tried++) {
                const struct quota *c = &q[(at + tried) % s->n];
                if (s->load[c->member] >= c->quota || (match && !rack_matches(s, c->member, t, p)))
                    continue;
                move(s, t, p, c->member);
                at = (at + tried + 1) % s->n;
                break;
            }
        }
    }
}

static int assign_uniform(struct sticky *s)
{
    int32_t total = 0;
    bool racks = false;
    struct quota *q = ferry_alloc(((size_t)s->n + 1) * sizeof *q);
    int32_t *quota = ints((size_t)s->n);
    if (!q || !quota) {
        ferry_free(q);
        ferry_free(quota);
        return FERRY_E_NOMEM;
    }
    for (int32_t t = 0; t < s->g->topic_count; t++)
        if (s->topic_start[t] != s->topic_start[t + 1])
            total += s->g->topics[t].partition_count;
    for (int32_t m = 0; m < s->n; m++) {
        q[m] = (struct quota){m, s->load[m], 0};
        racks |= s->g->members[m].rack >= 0;
    }
    qsort(q, (size_t)s->n, sizeof *q, by_owned);
    for (int32_t i = 0; i < s->n; i++)
        quota[q[i].member] = q[i].quota = total / s->n + (i < total % s->n);
    for (int32_t t = s->g->topic_count - 1; t >= 0; t--)
        for (int32_t p = s->g->topics[t].partition_count - 1; p >= 0; p--) {
            int32_t m = s->g->topics[t].owner[p];
            if (m >= 0 && s->load[m] > quota[m])
                move(s, t, p, NOBODY);
        }
    if (racks)
        deal_quotas(s, q, true);
    deal_quotas(s, q, false);
    ferry_free(q);
    ferry_free(quota);
    return FERRY_OK;
}

/* ---- subscriptions differ ---- */

static void search_begin(struct sticky *s)
{
    for (int32_t m = 0; m < s->n; m++)
        s->steps[m].moves = -1;
    for (int32_t t = 0; t < s->g->topic_count; t++)
        s->reached[t] = -1;
}

/* Notes that every subscriber of a topic is reached with so many moves; those new to it go to the queue. */
static void reach(struct sticky *s, int32_t from, int32_t topic, int32_t moves, int32_t *queue,
                  int32_t *count)
{
    if (s->reached[topic] >= 0 && s->reached[topic] <= moves)
        return;
    s->reached[topic] = moves;
    for (int32_t k = s->topic_start[topic]; k < s->topic_start[topic + 1]; k++) {
        int32_t m = s->topic_subs[k];
        if (s->steps[m].moves >= 0 && s->steps[m].moves <= moves)
            continue;
        s->steps[m] = (struct step){from, topic, moves};
        queue[(*count)++] = m;
    }
}

/* Spreads out from what is queued (all with 0 moves). A member is queued at most twice: when first reached, and when
   reached with fewer moves. */
static void search(struct sticky *s, int32_t count)
{
    int32_t *now = s->queue, *next = s->later;
    for (int32_t level = 0; count > 0; level++) {
        int32_t later = 0;
        for (int32_t i = 0; i < count; i++) {
            int32_t m = now[i];
            if (s->steps[m].moves != level)
                continue; /* reached with fewer by now */
            for (int32_t k = 0; k < s->g->members[m].topic_count; k++) {
                int32_t at = s->sub_start[m] + k, topic = s->g->members[m].topics[k];
                if (s->loose_held[at])
                    reach(s, m, topic, level, now, &count);
                else if (s->home_held[at])
                    reach(s, m, topic, level + 1, next, &later);
            }
        }
        int32_t *swap = now;
        now = next;
        next = swap;
        count = later;
    }
}

/* The partition of a topic that `from` had best hand to `to`: one whose home that is, else one away from home. */
static int32_t pick(const struct sticky *s, int32_t topic, int32_t from, int32_t to)
{
    int32_t best = -1, best_score = -1;
    const struct ferry_assign_topic *t = &s->g->topics[topic];
    for (int32_t p = 0; p < t->partition_count; p++) {
        if (t->owner[p] != from)
            continue;
        int32_t home = s->home[topic][p], score = home == to ? 2 : home != from;
        if (score > best_score) {
            best = p;
            best_score = score;
        }
    }
    return best;
}

/* Hands on one partition along the way that leads to `to`. Returns the first member of it. */
static int32_t hand_on(struct sticky *s, int32_t to)
{
    while (s->steps[to].from >= 0) {
        const struct step *step = &s->steps[to];
        int32_t p = pick(s, step->topic, step->from, to);
        FERRY_CHECK(p >= 0);
        move(s, step->topic, p, to);
        to = step->from;
    }
    return to;
}

/* Of the members reached, the one with the least load below `limit`, then with the fewest moves; -1 if there is none. */
static int32_t lightest(const struct sticky *s, int32_t limit)
{
    int32_t best = -1;
    for (int32_t m = 0; m < s->n; m++) {
        if (s->steps[m].moves < 0 || s->load[m] >= limit)
            continue;
        if (best < 0 || s->load[m] < s->load[best] ||
            (s->load[m] == s->load[best] && s->steps[m].moves < s->steps[best].moves))
            best = m;
    }
    return best;
}

/* A: a partition without a home. */
static void place(struct sticky *s, int32_t topic, int32_t p)
{
    int32_t best = -1, least = INT32_MAX, first = s->topic_start[topic],
            end = s->topic_start[topic + 1];
    bool best_matches = false;
    for (int32_t m = 0; m < s->n; m++)
        least = s->load[m] < least ? s->load[m] : least;
    for (int32_t k = first; k < end; k++) {
        int32_t m = s->topic_subs[k];
        bool matches = rack_matches(s, m, topic, p);
        if (best < 0 || s->load[m] < s->load[best] ||
            (s->load[m] == s->load[best] && matches && !best_matches)) {
            best = m;
            best_matches = matches;
        }
    }
    if (best < 0)
        return;
    if (s->load[best] > least) {
        int32_t count = 0;
        search_begin(s);
        reach(s, NOBODY, topic, 0, s->queue, &count);
        search(s, count);
        int32_t to = lightest(s, s->load[best]);
        if (to >= 0)
            best = hand_on(s, to);
    }
    move(s, topic, p, best);
}

static void place_all(struct sticky *s)
{
    /* Topics with the fewest subscribers first: their partitions have the least choice. */
    for (int32_t width = 1; width <= s->n;) {
        int32_t next = INT32_MAX;
        for (int32_t t = 0; t < s->g->topic_count; t++) {
            int32_t subscribers = s->topic_start[t + 1] - s->topic_start[t];
            if (subscribers > width && subscribers < next)
                next = subscribers;
            if (subscribers != width)
                continue;
            for (int32_t p = 0; p < s->g->topics[t].partition_count; p++)
                if (s->g->topics[t].owner[p] == NOBODY)
                    place(s, t, p);
        }
        width = next;
    }
}

static void search_from(struct sticky *s, int32_t m)
{
    search_begin(s);
    s->steps[m] = (struct step){NOBODY, -1, 0};
    s->queue[0] = m;
    search(s, 1);
}

/* B: until nobody can pass a partition to one that has at least two fewer. The fullest first. */
static void even_out(struct sticky *s)
{
    for (bool changed = true; changed;) {
        int32_t most = 0, below = INT32_MAX;
        changed = false;
        for (;;) { /* every load that occurs, falling */
            most = -1;
            for (int32_t m = 0; m < s->n; m++)
                if (s->load[m] < below && s->load[m] > most)
                    most = s->load[m];
            if (most < 2)
                break;
            for (int32_t m = 0; m < s->n; m++) {
                if (s->load[m] != most)
                    continue;
                search_from(s, m);
                int32_t to = lightest(s, most - 1);
                if (to < 0)
                    continue;
                hand_on(s, to);
                changed = true;
            }
            below = most;
        }
    }
}

/*
 * C: a cycle of hand-overs that, all in all, brings partitions home. Nodes are the members, the topics (a member hands one
 * of its partitions to the topic, which costs 1 if all it has of it are at home; any subscriber takes it), and the
 * loads (a member with load v stands for one with v + 1: giving the one a partition and the other one less leaves the
 * loads as even). Bringing a partition home gains 1. So a cycle below 0 is an improvement, and without one there
 * is none (Bellman and Ford).
 */
struct cycles {
    int32_t topic_node, load_node, count;
    int32_t *cost, *pred, *seen;
};

static bool relax(struct cycles *c, int32_t from, int32_t to, int32_t weight)
{
    if (c->cost[from] + weight >= c->cost[to])
        return false;
    c->cost[to] = c->cost[from] + weight;
    c->pred[to] = from;
    return true;
}

static bool relax_all(const struct sticky *s, struct cycles *c)
{
    bool changed = false;
    for (int32_t m = 0; m < s->n; m++) {
        for (int32_t k = 0; k < s->g->members[m].topic_count; k++) {
            int32_t at = s->sub_start[m] + k;
            if (s->loose_held[at] || s->home_held[at])
                changed |=
                    relax(c, m, c->topic_node + s->g->members[m].topics[k], !s->loose_held[at]);
        }
        changed |= relax(c, m, c->load_node + s->load[m], 0);
        if (s->load[m] > 0)
            changed |= relax(c, c->load_node + s->load[m] - 1, m, 0);
    }
    for (int32_t t = 0; t < s->g->topic_count; t++) {
        for (int32_t k = s->topic_start[t]; k < s->topic_start[t + 1]; k++)
            changed |= relax(c, c->topic_node + t, s->topic_subs[k], 0);
        for (int32_t p = 0; p < s->g->topics[t].partition_count; p++) {
            int32_t owner = s->g->topics[t].owner[p], home = s->home[t][p];
            if (home >= 0 && owner != home)
                changed |= relax(c, owner, home, -1);
        }
    }
    return changed;
}

/* A node on a cycle of predecessors; -1 if there is none. */
static int32_t find_cycle(struct cycles *c)
{
    memset(c->seen, 0, (size_t)c->count * sizeof *c->seen);
    for (int32_t v = 0; v < c->count; v++) {
        int32_t u = v;
        for (; u >= 0 && c->seen[u] == 0; u = c->pred[u])
            c->seen[u] = v + 1;
        if (u >= 0 && c->seen[u] == v + 1)
            return u;
    }
    return -1;
}

/* A partition of `from` whose home is `to`: moved there. */
static void send_home(struct sticky *s, int32_t from, int32_t to)
{
    for (int32_t t = 0; t < s->g->topic_count; t++)
        for (int32_t p = 0; p < s->g->topics[t].partition_count; p++)
            if (s->g->topics[t].owner[p] == from && s->home[t][p] == to) {
                move(s, t, p, to);
                return;
            }
    FERRY_UNREACHABLE();
}

/* Carries out the hand-overs of the cycle that `v` is on. */
static void turn_cycle(struct sticky *s, const struct cycles *c, int32_t v)
{
    int32_t to = v;
    while (to >= s->n) /* begin at a member */
        to = c->pred[to];
    int32_t first = to;
    do {
        int32_t via = c->pred[to], from = via < s->n ? via : c->pred[via];
        if (via < s->n) {
            send_home(s, from, to);
        } else if (via < c->load_node && from != to) {
            int32_t p = pick(s, via - c->topic_node, from, to);
            FERRY_CHECK(p >= 0);
            move(s, via - c->topic_node, p, to);
        }
        to = from;
    } while (to != first);
}

static int bring_home(struct sticky *s)
{
    int32_t most = 0;
    bool away = false;
    for (int32_t m = 0; m < s->n; m++)
        most = s->load[m] > most ? s->load[m] : most;
    for (int32_t t = 0; t < s->g->topic_count; t++)
        for (int32_t p = 0; p < s->g->topics[t].partition_count; p++)
            away |= s->home[t][p] >= 0 && s->g->topics[t].owner[p] != s->home[t][p];
    if (!away)
        return FERRY_OK;
    struct cycles c = {.topic_node = s->n, .load_node = s->n + s->g->topic_count};
    c.count = c.load_node + most + 1;
    c.cost = ints(3 * (size_t)c.count);
    if (!c.cost)
        return FERRY_E_NOMEM;
    c.pred = c.cost + c.count;
    c.seen = c.pred + c.count;
    for (bool found = true; found;) {
        int32_t at = -1;
        for (int32_t v = 0; v < c.count; v++) {
            c.cost[v] = 0;
            c.pred[v] = -1;
        }
        while (at < 0 && relax_all(s, &c))
            at = find_cycle(&c);
        found = at >= 0;
        if (found)
            turn_cycle(s, &c, at);
    }
    ferry_free(c.cost);
    return FERRY_OK;
}

/* What another member claims must be given up by it first. */
static void withhold(struct sticky *s)
{
    for (int32_t m = 0; m < s->n; m++) {
        const struct ferry_assign_member *member = &s->g->members[m];
        for (int32_t i = 0; i < member->owned_count; i++) {
            int32_t t = member->owned[i].topic, p = member->owned[i].partition;
            if (t >= 0 && t < s->g->topic_count && p >= 0 && p < s->g->topics[t].partition_count &&
                s->g->topics[t].owner[p] != m)
                s->g->topics[t].owner[p] = NOBODY;
        }
    }
}

int ferry_assign_sticky(const struct ferry_assign_group *g, bool cooperative)
{
    struct sticky s;
    int rc = sticky_init(&s, g);
    if (!rc) {
        find_homes(&s);
        if (uniform(&s)) {
            rc = assign_uniform(&s);
        } else {
            place_all(&s);
            even_out(&s);
            rc = bring_home(&s);
        }
        if (!rc && cooperative)
            withhold(&s);
    }
    sticky_free(&s);
    return rc;
}
