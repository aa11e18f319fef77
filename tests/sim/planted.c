/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * tests/sim/planted: do the checkers bite? Each bug of the table is planted (base/plant.h), seeds are run until a checker
 * finds it, and the checker must be the one that is named. It prints TAP.
 *
 *   tests/sim/planted             all of them
 *   tests/sim/planted NAME...     these
 *   tests/sim/planted --list      their names
 *   tests/sim/planted --hash NAME of three seeds; none: no bug at all
 */

#include "base/plant.h"
#include "tests/sim/scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum ferry_plant ferry_planted;

static const struct plant {
    const char *name;
    enum ferry_plant plant;
    uint64_t seeds; /* it is found within so many */
    bool group;
    const char *found; /* in what the checker says; NULL: by comparing two processes' traces */
} plants[] = {
    {"ack-unflushed", FERRY_PLANT_ACK_UNFLUSHED, 500, false, "and is not there"},
    {"watermark-unflushed", FERRY_PLANT_WATERMARK_UNFLUSHED, 2000, false,
     "below its high watermark|nothing below it may be lost"},
    {"crc-unchecked", FERRY_PLANT_CRC_UNCHECKED, 100, false, "checksum is"},
    {"hole-kept", FERRY_PLANT_HOLE_KEPT, 2000, false, "is expected|behind it"},
    {"dedup-forgotten", FERRY_PLANT_DEDUP_FORGOTTEN, 100, false, "is there twice"},
    {"duplicate-accepted", FERRY_PLANT_DUPLICATE_ACCEPTED, 100, false, "is there twice"},
    {"duplicate-misplaced", FERRY_PLANT_DUPLICATE_MISPLACED, 100, false, "and is not there"},
    {"epoch-kept", FERRY_PLANT_EPOCH_KEPT, 300, false, "within leader epoch"},
    {"sync-retried", FERRY_PLANT_SYNC_RETRIED, 500, false,
     "and is not there|nothing below it may be lost|below its high watermark"},
    {"short-write-kept", FERRY_PLANT_SHORT_WRITE_KEPT, 300, false,
     "and is not there|cannot be read|is expected"},
    {"commit-lost", FERRY_PLANT_COMMIT_LOST, 100, true, "starts elsewhere"},
    {"commit-stale", FERRY_PLANT_COMMIT_STALE, 100, true, "is accepted in a later one"},
    {"owners-two", FERRY_PLANT_OWNERS_TWO, 100, true, "has two owners"},
    {"session-endless", FERRY_PLANT_SESSION_ENDLESS, 300, true, "the group is not stable"},
    {"retry-reordered", FERRY_PLANT_RETRY_REORDERED, 100, false, "comes behind"},
    {"report-lost", FERRY_PLANT_REPORT_LOST, 100, false, "a report for every send"},
    {"failure-acked", FERRY_PLANT_FAILURE_ACKED, 100, false, "and is not there"},
    {"maybe-denied", FERRY_PLANT_MAYBE_DENIED, 100, false, "was reported as not persisted"},
    {"position-skips", FERRY_PLANT_POSITION_SKIPS, 100, true, "starts elsewhere"},
    {"position-jumps", FERRY_PLANT_POSITION_JUMPS, 100, true, "a gap"},
    {"heartbeat-missing", FERRY_PLANT_HEARTBEAT_MISSING, 100, true, "the group is not stable"},
    {"deadline-past", FERRY_PLANT_DEADLINE_PAST, 100, false, "time stands still"},
    {"address-decides", FERRY_PLANT_ADDRESS_DECIDES, 3, false, NULL},
};
enum { PLANTS = sizeof plants / sizeof plants[0] };

static const struct plant *plant_named(const char *name)
{
    for (int i = 0; i < PLANTS; i++)
        if (!strcmp(plants[i].name, name))
            return &plants[i];
    return NULL;
}

/* One of several texts, separated by bars. */
static bool says(const char *violation, const char *any)
{
    char part[64];
    for (const char *from = any; *from; from += strspn(from, "|")) {
        size_t n = strcspn(from, "|");
        snprintf(part, sizeof part, "%.*s", (int)n, from);
        if (strstr(violation, part))
            return true;
        from += n;
    }
    return false;
}

/* True if it was found as it must be. */
static bool show(const struct plant *p)
{
    struct scene_totals t = {0};
    uint64_t seed = 0, others = 0, hash;
    bool found = false;
    ferry_planted = p->plant;
    while (!found && seed < p->seeds) {
        if (scene_run(++seed, p->group, NULL, &t, &hash))
            continue;
        found = says(t.violation, p->found);
        if (!found && others++ == 0)
            printf("# %s, seed %" PRIu64 ": %s\n", p->name, seed, t.violation);
    }
    ferry_planted = FERRY_PLANT_NONE;
    if (found)
        printf("ok - %s is found in %" PRIu64 " seeds of %" PRIu64 ": %s\n", p->name, seed,
               p->seeds, t.violation);
    else
        printf("not ok - %s is found: %" PRIu64 " seeds, none says \"%s\", %" PRIu64
               " something else\n",
               p->name, seed, p->found, others);
    fflush(stdout);
    return found;
}

static int print_hash(const char *name)
{
    const struct plant *p = plant_named(name);
    uint64_t all = 0xcbf29ce484222325u, hash;
    struct scene_totals t = {0};
    if (!p && strcmp(name, "none"))
        return 2;
    ferry_planted = p ? p->plant : FERRY_PLANT_NONE;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        scene_run(seed, true, NULL, &t, &hash);
        all = (all ^ hash) * 0x100000001b3u;
    }
    printf("hash=%016" PRIx64 "\n", all);
    return 0;
}

int main(int argc, char **argv)
{
    int missed = 0;
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (int i = 0; i < PLANTS; i++)
            puts(plants[i].name);
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "--hash"))
        return print_hash(argv[2]);
    for (int i = 1; i < argc; i++)
        if (!plant_named(argv[i])) {
            fprintf(stderr, "no such plant: %s\n", argv[i]);
            return 2;
        }
    for (int i = 0; argc == 1 && i < PLANTS; i++)
        missed += plants[i].found && !show(&plants[i]);
    for (int i = 1; i < argc; i++) {
        const struct plant *p = plant_named(argv[i]);
        missed += p->found && !show(p);
    }
    return missed ? 1 : 0;
}
