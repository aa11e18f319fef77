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

/* Less than this in so many seeds means that the simulation no longer tests what it says. */
static int below_floors(const struct scene_totals *t)
{
    const struct {
        const char *name;
        uint64_t value;
        double per_seed;
    } floors[] = {{"ops", t->ops, 1000},
                  {"acked", t->acked, 700},
                  {"crashes", t->crashes, 0.5},
                  {"torn", t->torn, 0.1},
                  {"dedup", t->dedup, 0.2}};
    int below = 0;
    if (t->seeds < 50) /* too few to say */
        return 0;
    for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++)
        if ((double)floors[i].value < floors[i].per_seed * (double)t->seeds) {
            printf("floor: %s=%" PRIu64 " is less than %g a seed\n", floors[i].name,
                   floors[i].value, floors[i].per_seed);
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
    int below = t.violations ? 0 : below_floors(&t);
    printf("floors for 50 seeds and more, each: ops 1000, acked 700, crashes 0.5, torn 0.1, dedup "
           "0.2\n");
    printf("failed=%" PRIu64 " expired=%" PRIu64 " cuts=%" PRIu64 " faults=%" PRIu64
           " stops=%" PRIu64 " consumed=%" PRIu64 " commits=%" PRIu64 " fenced=%" PRIu64 "\n",
           t.failed, t.expired, t.cuts, t.faults, t.stops, t.consumed, t.commits, t.fenced);
    printf("hash=%016" PRIx64 "\n", all);
    printf("seeds=%" PRIu64 " violations=%" PRIu64 " ops=%" PRIu64 " acked=%" PRIu64
           " crashes=%" PRIu64 " torn=%" PRIu64 " dedup=%" PRIu64 " rebalances=%" PRIu64 "\n",
           t.seeds, t.violations, t.ops, t.acked, t.crashes, t.torn, t.dedup, t.rebalances);
    return t.violations || below ? 1 : 0;
}
