/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* tests/sim/run: seeds FROM .. FROM + N - 1, each a run of its own (scene.h). Documented in docs/simulation.md. */

#include "tests/sim/scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    uint64_t seeds, from;
    bool trace, keep_going, alone;
};

static int usage(void)
{
    fputs("usage: tests/sim/run [--seeds N] [--from S] [--no-group] [--trace] [--keep-going]\n"
          "  --seeds N      how many (1), --from S the first (1)\n"
          "  --no-group     without consumers\n"
          "  --trace        print every event as it happens\n"
          "  --keep-going   do not end at the first seed with a violation\n",
          stderr);
    return 2;
}

static bool read_number(const char *name, int argc, char **argv, int *i, uint64_t *out)
{
    char *end;
    if (strcmp(argv[*i], name) || *i + 1 >= argc)
        return false;
    *out = strtoull(argv[++*i], &end, 10);
    return !*end;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--trace"))
            o->trace = true;
        else if (!strcmp(argv[i], "--no-group"))
            o->alone = true;
        else if (!strcmp(argv[i], "--keep-going"))
            o->keep_going = true;
        else if (!read_number("--seeds", argc, argv, &i, &o->seeds) &&
                 !read_number("--from", argc, argv, &i, &o->from))
            return false;
    }
    return true;
}

/* Less than this a seed means that the simulation no longer tests what it says. */
#define TOTALS(X)                                                                                  \
    X(ops, 1000)                                                                                   \
    X(acked, 600)                                                                                  \
    X(failed, 5)                                                                                   \
    X(expired, 5)                                                                                  \
    X(crashes, 0.5)                                                                                \
    X(stops, 0.3)                                                                                  \
    X(torn, 0.1)                                                                                   \
    X(dedup, 0.2)                                                                                  \
    X(faults, 5)                                                                                   \
    X(delays, 5)                                                                                   \
    X(drops, 1)                                                                                    \
    X(cuts, 5)                                                                                     \
    X(bytewise, 0.2)                                                                               \
    X(slow, 0.4)                                                                                   \
    X(no_space, 1)                                                                                 \
    X(short_writes, 1)                                                                             \
    X(failed_syncs, 0.02)                                                                          \
    X(offline, 0.02)                                                                               \
    X(segments, 12)                                                                                \
    X(acks_none, 0.1)                                                                              \
    X(five_lost, 0.05)                                                                             \
    X(watermarks, 100)
#define GROUP_TOTALS(X)                                                                            \
    X(rebalances, 1)                                                                               \
    X(consumed, 500)                                                                               \
    X(commits, 50)                                                                                 \
    X(fenced, 5)                                                                                   \
    X(stalled, 0.05)

struct total {
    const char *name;
    uint64_t value;
    double per_seed;
};

/* Prints what happened and what is owed; how many floors are not reached. */
static int show_totals(const struct scene_totals *t, bool group)
{
#define ENTRY(name, floor) {#name, t->name, floor},
    const struct total totals[] = {TOTALS(ENTRY) GROUP_TOTALS(ENTRY)};
    enum {
#define COUNT(name, floor) +1
        ALONE = 0 TOTALS(COUNT),
        ALL = 0 TOTALS(COUNT) GROUP_TOTALS(COUNT)
    };
    int below = 0, n = group ? ALL : ALONE;
    printf("floors per seed, owed by 50 seeds and more:");
    for (int i = 0; i < n; i++)
        printf(" %s %g", totals[i].name, totals[i].per_seed);
    printf("\n");
    for (int i = 0; i < n; i++)
        printf("%s%s=%" PRIu64, i ? " " : "", totals[i].name, totals[i].value);
    printf("\n");
    for (int i = 0; i < n; i++)
        if (t->seeds >= 50 && (double)totals[i].value < totals[i].per_seed * (double)t->seeds) {
            printf("floor: %s=%" PRIu64 " is less than %g a seed\n", totals[i].name,
                   totals[i].value, totals[i].per_seed);
            below++;
        }
    return below;
}

int main(int argc, char **argv)
{
    struct options o = {.seeds = 1, .from = 1};
    struct scene_totals t = {0};
    uint64_t all = 0xcbf29ce484222325u, done = 0;
    if (!read_options(argc, argv, &o))
        return usage();
    for (; done < o.seeds; done++) {
        uint64_t hash = 0;
        bool good = scene_run(o.from + done, !o.alone, o.trace ? stdout : NULL, &t, &hash);
        if (!good)
            printf("seed=%" PRIu64 " violation: %s\n", o.from + done, t.violation);
        all = (all ^ hash) * 0x100000001b3u;
        fflush(stdout);
        if (!good && !o.keep_going)
            break;
    }
    int below = show_totals(&t, !o.alone);
    printf("hash=%016" PRIx64 "\n", all);
    printf("seeds=%" PRIu64 " violations=%" PRIu64 " ops=%" PRIu64 " acked=%" PRIu64
           " crashes=%" PRIu64 " torn=%" PRIu64 " dedup=%" PRIu64 " rebalances=%" PRIu64 "\n",
           t.seeds, t.violations, t.ops, t.acked, t.crashes, t.torn, t.dedup, t.rebalances);
    return t.violations || below ? 1 : 0;
}
