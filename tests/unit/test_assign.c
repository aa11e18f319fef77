/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The assignors against tables that Kafka's own classes computed (tests/assign/AssignTables.java): range and round-robin
 * must agree partition by partition. The sticky ones must be as even as Java's at every rebalance and, where they are not
 * more even, move no more, both starting from where Java's stood; and over sequences of their own move no more in all.
 *
 * The tables are tests/assign/golden.txt, or the file that FERRY_ASSIGN_TABLES names.
 */
#include "config.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/prng.h"
#include "client/assign.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_TOPICS = 24, MAX_MEMBERS = 40, MAX_PARTITIONS = 200, MAX_RACKS = 16 };

struct layout {
    struct ferry_assign_topic topics[MAX_TOPICS];
    struct ferry_assign_member members[MAX_MEMBERS];
    struct ferry_assign_group group;
    int32_t owner[MAX_TOPICS][MAX_PARTITIONS];
    struct ferry_assign_racks racks[MAX_TOPICS][MAX_PARTITIONS];
    int32_t rack_ids[MAX_TOPICS][MAX_PARTITIONS][MAX_RACKS];
    int32_t subscribed[MAX_MEMBERS][MAX_TOPICS];
    struct ferry_assign_partition owned[MAX_MEMBERS][MAX_TOPICS * MAX_PARTITIONS];
    char names[MAX_TOPICS + 2 * MAX_MEMBERS][64];
    int name_count;
};

/* Owners of a state by name, so that it survives a change of layout. */
struct state {
    struct {
        char topic[64];
        int32_t partition;
        char owner[64];
    } entries[MAX_TOPICS * MAX_PARTITIONS];
    int count;
};

static struct layout layout, layout2;

static struct ferry_str keep(struct layout *l, const char *s)
{
    char *to = l->names[l->name_count++];
    snprintf(to, sizeof l->names[0], "%s", s);
    return ferry_str_of(to);
}

static void layout_reset(struct layout *l)
{
    l->name_count = 0;
    l->group = (struct ferry_assign_group){l->topics, l->members, 0, 0};
}

static int32_t find_topic(const struct layout *l, const char *name)
{
    for (int32_t i = 0; i < l->group.topic_count; i++)
        if (ferry_str_eq(l->topics[i].name, ferry_str_of(name)))
            return i;
    return -1;
}

static int32_t find_member(const struct layout *l, const char *id)
{
    for (int32_t i = 0; i < l->group.member_count; i++)
        if (ferry_str_eq(l->members[i].id, ferry_str_of(id)))
            return i;
    return -1;
}

static int32_t rack_number(const char *name)
{
    return strcmp(name, "-") ? atoi(name + 1) : -1;
}

static void add_topic(struct layout *l, const char *name, int count, char *racks)
{
    int32_t t = l->group.topic_count++, p = 0;
    l->topics[t] = (struct ferry_assign_topic){keep(l, name), count, NULL, l->owner[t]};
    if (!racks)
        return;
    l->topics[t].racks = l->racks[t];
    char *save, *save2;
    for (char *part = strtok_r(racks, ";", &save); part; part = strtok_r(NULL, ";", &save), p++) {
        struct ferry_assign_racks *r = &l->racks[t][p];
        *r = (struct ferry_assign_racks){l->rack_ids[t][p], 0};
        for (char *one = strtok_r(part, ",", &save2); one; one = strtok_r(NULL, ",", &save2))
            if (rack_number(one) >= 0)
                l->rack_ids[t][p][r->count++] = rack_number(one);
    }
}

static void add_member(struct layout *l, const char *id, const char *instance, const char *rack,
                       char *topics)
{
    int32_t m = l->group.member_count++;
    struct ferry_assign_member *member = &l->members[m];
    *member = (struct ferry_assign_member){.id = keep(l, id),
                                           .rack = rack_number(rack),
                                           .topics = l->subscribed[m],
                                           .owned = l->owned[m],
                                           .generation = -1};
    if (strcmp(instance, "-"))
        member->instance_id = keep(l, instance);
    char *save;
    for (char *one = strtok_r(topics, ",", &save); one; one = strtok_r(NULL, ",", &save))
        if (find_topic(l, one) >= 0)
            l->subscribed[m][member->topic_count++] = find_topic(l, one);
}

/* A "topic" or "member" line; false if it is another. */
static bool layout_line(struct layout *l, char *line)
{
    char a[64], b[64], c[64], rest[4096] = "";
    int n;
    if (sscanf(line, "topic %63s %d %4095s", a, &n, rest) >= 2)
        add_topic(l, a, n, *rest ? rest : NULL);
    else if (sscanf(line, "member %63s %63s %63s %4095s", a, b, c, rest) == 4)
        add_member(l, a, b, c, rest);
    else
        return false;
    return true;
}

/* Compares, or (state) takes up, a list of owners of one topic. */
static bool owners_agree(const struct layout *l, int32_t t, char *owners, struct state *state)
{
    char *save;
    int32_t p = 0;
    for (char *one = strtok_r(owners, ",", &save); one; one = strtok_r(NULL, ",", &save), p++) {
        if (state && strcmp(one, "-")) {
            snprintf(state->entries[state->count].topic, 64, "%.*s", (int)l->topics[t].name.len,
                     l->topics[t].name.data);
            state->entries[state->count].partition = p;
            snprintf(state->entries[state->count++].owner, 64, "%s", one);
        }
        if (!state && l->topics[t].owner[p] != find_member(l, one))
            return false;
    }
    return p == l->topics[t].partition_count;
}

static FILE *tables(void)
{
    const char *path = getenv("FERRY_ASSIGN_TABLES"), *dir = getenv("srcdir");
    char golden[1024];
    snprintf(golden, sizeof golden, "%s/tests/assign/golden.txt", dir ? dir : ".");
    return fopen(path ? path : golden, "r");
}

static void range_and_roundrobin_agree_with_java(void)
{
    static char line[65536], owners[65536];
    char name[32], topic[64];
    int layouts = 0, compared = 0, current = -1;
    FILE *f = tables();
    CHECK(f != NULL);
    while (fgets(line, sizeof line, f) && strncmp(line, "sequence", 8)) {
        if (!strncmp(line, "layout ", 7)) {
            layout_reset(&layout);
            layouts++;
            current = -1;
        } else if (!layout_line(&layout, line) &&
                   sscanf(line, "%31s %63s %65535s", name, topic, owners) == 3) {
            int assignor = ferry_assignor_find(ferry_str_of(name));
            CHECK(assignor == FERRY_ASSIGNOR_RANGE || assignor == FERRY_ASSIGNOR_ROUNDROBIN);
            if (assignor != current)
                CHECK_INT(ferry_assign((enum ferry_assignor)assignor, &layout.group), 0);
            current = assignor;
            if (!owners_agree(&layout, find_topic(&layout, topic), owners, NULL))
                printf("# layout %d, %s of %s differs\n", layouts - 1, name, topic);
            CHECK(!strncmp(line, name, strlen(name)));
            snprintf(owners, sizeof owners, "%s", strrchr(line, ' ') + 1);
            owners[strcspn(owners, "\n")] = 0;
            CHECK(owners_agree(&layout, find_topic(&layout, topic), owners, NULL));
            compared++;
        }
    }
    fclose(f);
    printf("# %d layouts, %d topics compared\n", layouts, compared);
    CHECK(layouts >= 40 && compared >= 100);
}

/* ---- sticky ---- */

static bool subscribed(const struct layout *l, int32_t m, int32_t t)
{
    for (int32_t k = 0; k < l->members[m].topic_count; k++)
        if (l->members[m].topics[k] == t)
            return true;
    return false;
}

/* Sets what members own, as of one generation. */
static void own(struct layout *l, const struct state *s, bool foreign_topics)
{
    for (int32_t m = 0; m < l->group.member_count; m++) {
        l->members[m].owned_count = 0;
        l->members[m].generation = 5;
    }
    for (int i = 0; i < s->count; i++) {
        int32_t m = find_member(l, s->entries[i].owner), t = find_topic(l, s->entries[i].topic);
        if (m >= 0 && t >= 0 && (foreign_topics || subscribed(l, m, t)))
            l->owned[m][l->members[m].owned_count++] =
                (struct ferry_assign_partition){t, s->entries[i].partition};
    }
}

static void remember(const struct layout *l, struct state *s)
{
    s->count = 0;
    for (int32_t t = 0; t < l->group.topic_count; t++)
        for (int32_t p = 0; p < l->topics[t].partition_count; p++)
            if (l->topics[t].owner[p] >= 0) {
                struct ferry_str id = l->members[l->topics[t].owner[p]].id,
                                 topic = l->topics[t].name;
                snprintf(s->entries[s->count].topic, 64, "%.*s", (int)topic.len, topic.data);
                s->entries[s->count].partition = p;
                snprintf(s->entries[s->count++].owner, 64, "%.*s", (int)id.len, id.data);
            }
}

/* Sum of the differences of all pairs of loads; -1 if the assignment is not valid and whole. */
static long score(const struct layout *l)
{
    int32_t load[MAX_MEMBERS] = {0};
    long sum = 0;
    for (int32_t t = 0; t < l->group.topic_count; t++)
        for (int32_t p = 0; p < l->topics[t].partition_count; p++) {
            int32_t m = l->topics[t].owner[p];
            bool wanted = false;
            for (int32_t k = 0; k < l->group.member_count; k++)
                wanted |= subscribed(l, k, t);
            if (wanted != (m >= 0) || (m >= 0 && !subscribed(l, m, t)))
                return -1;
            if (m >= 0)
                load[m]++;
        }
    for (int32_t a = 0; a < l->group.member_count; a++)
        for (int32_t b = a + 1; b < l->group.member_count; b++)
            sum += labs((long)load[a] - load[b]);
    return sum;
}

static int moves(const struct layout *l, const struct state *before)
{
    int n = 0;
    for (int i = 0; i < before->count; i++) {
        int32_t m = find_member(l, before->entries[i].owner),
                t = find_topic(l, before->entries[i].topic);
        if (m >= 0 && t >= 0 && subscribed(l, m, t) &&
            l->topics[t].owner[before->entries[i].partition] != m)
            n++;
    }
    return n;
}

/* One rebalance from a state; cooperative ones go on until nothing is withheld. */
static bool rebalance(struct layout *l, bool cooperative, const struct state *from)
{
    static struct state now;
    now = *from;
    for (int round = 0; round < 3; round++) {
        own(l, &now, cooperative);
        if (ferry_assign(cooperative ? FERRY_ASSIGNOR_COOPERATIVE_STICKY : FERRY_ASSIGNOR_STICKY,
                         &l->group))
            return false;
        if (!cooperative || score(l) >= 0)
            return true;
        remember(l, &now);
    }
    return false;
}

struct totals {
    long steps, moves, java_moves, evener;
};

/* One table line "sticky SCORE MOVES": from Java's state before it, and from our own. */
static bool compare_step(struct layout *l, bool cooperative, long java_score, int java_moves,
                         const struct state *java, struct state *ours, struct totals *total)
{
    if (!rebalance(l, cooperative, java))
        return false;
    long s = score(l);
    int m = moves(l, java);
    if (s < 0 || s > java_score || (s == java_score && m > java_moves)) {
        printf("# cooperative=%d score %ld (Java %ld), moves %d (Java %d)\n", cooperative, s,
               java_score, m, java_moves);
        return false;
    }
    if (!rebalance(l, cooperative, ours))
        return false;
    s = score(l);
    if (s < 0 || s > java_score)
        return false;
    total->steps++;
    total->moves += moves(l, ours);
    total->java_moves += java_moves;
    total->evener += s < java_score;
    remember(l, ours);
    return true;
}

static void sticky_is_as_even_as_java_and_moves_no_more(void)
{
    static char line[65536], owners[65536];
    static struct state java[2], next[2], ours[2];
    struct totals all = {0};
    bool in_sequence = false;
    int sequences = 0;
    char topic[64], name[32];
    FILE *f = tables();
    CHECK(f != NULL);
    for (bool more = true; more;) {
        long java_score;
        int java_moves;
        more = fgets(line, sizeof line, f) != NULL;
        if (!more || !strncmp(line, "sequence", 8)) {
            for (int k = 0; k < 2; k++)
                java[k].count = next[k].count = ours[k].count = 0;
            in_sequence = more;
            sequences += more;
        } else if (in_sequence && !strncmp(line, "step", 4)) {
            layout_reset(&layout);
            for (int k = 0; k < 2; k++) {
                java[k] = next[k];
                next[k].count = 0;
            }
        } else if (in_sequence &&
                   sscanf(line, "owners %31s %63s %65535s", name, topic, owners) == 3) {
            CHECK(owners_agree(&layout, find_topic(&layout, topic), owners,
                               &next[!strcmp(name, "cooperative")]));
        } else if (in_sequence && !layout_line(&layout, line) &&
                   sscanf(line, "%31s %ld %d", name, &java_score, &java_moves) == 3) {
            int k = !strcmp(name, "cooperative");
            bool good = compare_step(&layout, k, java_score, java_moves, &java[k], &ours[k], &all);
            if (!good)
                printf("# in sequence %d\n", sequences - 1);
            CHECK(good);
        }
    }
    fclose(f);
    printf("# %d sequences, %ld rebalances, %ld moves (Java %ld), %ld times more even\n", sequences,
           all.steps, all.moves, all.java_moves, all.evener);
    CHECK(sequences >= 10 && all.steps >= 100);
    CHECK(all.moves <= all.java_moves);
}

/* ---- properties of our own ---- */

static void random_layout(struct ferry_prng *r, struct layout *l)
{
    char name[64], list[1024];
    layout_reset(l);
    int topics = 1 + (int)ferry_prng_below(r, 8), members = 1 + (int)ferry_prng_below(r, 10);
    for (int t = 0; t < topics; t++) {
        snprintf(name, sizeof name, "topic%d", t);
        add_topic(l, name, (int)ferry_prng_below(r, 20), NULL);
    }
    for (int m = 0; m < members; m++) {
        list[0] = 0;
        for (int t = 0; t < topics; t++)
            if (ferry_prng_chance(r, 2, 3))
                snprintf(list + strlen(list), sizeof list - strlen(list), "topic%d,", t);
        snprintf(name, sizeof name, "m%03d", (int)ferry_prng_below(r, 900) * 10 + m);
        add_member(l, name, "-", "-", list);
    }
}

static void a_repeated_sticky_rebalance_moves_nothing(void)
{
    static struct state before;
    struct ferry_prng r;
    ferry_prng_seed(&r, 11);
    for (int i = 0; i < 300; i++) {
        random_layout(&r, &layout);
        before.count = 0;
        CHECK(rebalance(&layout, false, &before));
        CHECK(score(&layout) >= 0);
        remember(&layout, &before);
        for (int k = 0; k < 2; k++) {
            CHECK(rebalance(&layout, k, &before));
            CHECK_INT(moves(&layout, &before), 0);
        }
    }
}

static void cooperative_never_gives_away_what_another_claims(void)
{
    static struct state before;
    struct ferry_prng r;
    ferry_prng_seed(&r, 12);
    for (int i = 0; i < 300; i++) {
        random_layout(&r, &layout);
        before.count = 0;
        CHECK(rebalance(&layout, false, &before));
        remember(&layout, &before);
        random_layout(&r, &layout2); /* other members, other subscriptions; some names recur */
        own(&layout2, &before, true);
        CHECK_INT(ferry_assign(FERRY_ASSIGNOR_COOPERATIVE_STICKY, &layout2.group), 0);
        for (int32_t m = 0; m < layout2.group.member_count; m++)
            for (int32_t k = 0; k < layout2.members[m].owned_count; k++) {
                struct ferry_assign_partition o = layout2.owned[m][k];
                if (o.partition >= layout2.topics[o.topic].partition_count)
                    continue;
                int32_t owner = layout2.topics[o.topic].owner[o.partition];
                CHECK(owner == -1 || owner == m);
            }
    }
}

static void the_newer_claim_counts_and_equal_ones_do_not(void)
{
    char one[] = "t", two[] = "t";
    layout_reset(&layout);
    add_topic(&layout, "t", 2, NULL);
    add_member(&layout, "a", "-", "-", one);
    add_member(&layout, "b", "-", "-", two);
    for (int m = 0; m < 2; m++) {
        layout.members[m].owned_count = 1;
        layout.members[m].generation = m == 0 ? 7 : 6;
        layout.owned[m][0] = (struct ferry_assign_partition){0, 1};
    }
    CHECK_INT(ferry_assign(FERRY_ASSIGNOR_STICKY, &layout.group), 0);
    CHECK_INT(layout.owner[0][1], 0);
    CHECK_INT(layout.owner[0][0], 1);
    /* Claims about what does not exist are ignored. */
    layout.owned[0][0] = (struct ferry_assign_partition){3, 1};
    layout.owned[1][0] = (struct ferry_assign_partition){0, -4};
    CHECK_INT(ferry_assign(FERRY_ASSIGNOR_COOPERATIVE_STICKY, &layout.group), 0);
    CHECK(layout.owner[0][0] != layout.owner[0][1]);
}

static void lost_memory_is_an_error_everywhere(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, 13);
    random_layout(&r, &layout);
    for (int a = 0; a < FERRY_ASSIGNOR_COUNT; a++) {
        int failed = 0;
        for (uint64_t n = 1; n < 40; n++) {
            ferry_mem_fail_after(n);
            int rc = ferry_assign((enum ferry_assignor)a, &layout.group);
            ferry_mem_fail_after(0);
            CHECK(rc == 0 || rc == FERRY_E_NOMEM);
            failed += rc != 0;
        }
        CHECK(failed >= 3);
    }
}

static void strings_are_ordered_as_java_orders_them(void)
{
    CHECK(ferry_assign_compare(FERRY_STR("a"), FERRY_STR("ab")) < 0);
    CHECK(ferry_assign_compare(FERRY_STR("B"), FERRY_STR("a")) < 0);
    CHECK(ferry_assign_compare(FERRY_STR("z"), FERRY_STR("\xc3\xa4")) < 0);
    /* U+1F600 is a surrogate pair (D83D ...) and comes before U+FF01. */
    CHECK(ferry_assign_compare(FERRY_STR("\xf0\x9f\x98\x80"), FERRY_STR("\xef\xbc\x81")) < 0);
    CHECK(ferry_assign_compare(FERRY_STR("\xed\x9f\xbf"), FERRY_STR("\xf0\x9f\x98\x80")) < 0);
    CHECK(ferry_assign_compare(FERRY_STR("x"), FERRY_STR("x")) == 0);
}

static void a_thousand_members_are_assigned_in_reasonable_time(void)
{
    enum { MEMBERS = 1000, TOPICS = 20, EACH = 250 };
    static struct ferry_assign_topic topics[TOPICS];
    static struct ferry_assign_member members[MEMBERS];
    static int32_t owner[TOPICS][EACH], subs[MEMBERS][TOPICS];
    static char names[MEMBERS + TOPICS][16];
    struct ferry_assign_group g = {topics, members, TOPICS, MEMBERS};
    for (int t = 0; t < TOPICS; t++) {
        snprintf(names[t], 16, "t%d", t);
        topics[t] = (struct ferry_assign_topic){ferry_str_of(names[t]), EACH, NULL, owner[t]};
    }
    for (int m = 0; m < MEMBERS; m++) {
        snprintf(names[TOPICS + m], 16, "m%d", m);
        members[m] = (struct ferry_assign_member){
            .id = ferry_str_of(names[TOPICS + m]), .rack = -1, .topics = subs[m], .generation = -1};
        for (int t = 0; t < TOPICS; t++)
            if (m % 3 || t != 5)
                subs[m][members[m].topic_count++] = t;
    }
    for (int a = 0; a < FERRY_ASSIGNOR_COUNT; a++) {
        int32_t load[MEMBERS] = {0};
        CHECK_INT(ferry_assign((enum ferry_assignor)a, &g), 0);
        for (int t = 0; t < TOPICS; t++)
            for (int p = 0; p < EACH; p++) {
                CHECK(owner[t][p] >= 0);
                load[owner[t][p]]++;
            }
        for (int m = 0; m < MEMBERS && a >= FERRY_ASSIGNOR_STICKY; m++)
            CHECK_INT(load[m], TOPICS * EACH / MEMBERS);
    }
}

int main(void)
{
    TAP_RUN(range_and_roundrobin_agree_with_java);
    TAP_RUN(sticky_is_as_even_as_java_and_moves_no_more);
    TAP_RUN(a_repeated_sticky_rebalance_moves_nothing);
    TAP_RUN(cooperative_never_gives_away_what_another_claims);
    TAP_RUN(the_newer_claim_counts_and_equal_ones_do_not);
    TAP_RUN(lost_memory_is_an_error_everywhere);
    TAP_RUN(strings_are_ordered_as_java_orders_them);
    TAP_RUN(a_thousand_members_are_assigned_in_reasonable_time);
    return tap_done();
}
