/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* The course of one run. */

#include "tests/sim/scene.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

#define START_LIMIT (10 * FERRY_SECOND) /* until the broker serves and the topics are there */
#define FINISH_LIMIT                                                                               \
    (90 * FERRY_SECOND) /* from the last fault until everything has come to its end */
/* session.timeout.ms, max.poll.interval.ms, two of heartbeat.interval.ms: as consumers.c sets them */
#define SCENE_GROUP_LIMIT ((1500 + 3000 + 2 * 300) * FERRY_MS)
#define STRIDE (10 * FERRY_MS)

static void draw_plan(struct scene *s)
{
    static const int64_t flush[] = {1, 1, 7, INT64_MAX};
    s->plan.flush_messages = flush[ferry_prng_below(s->prng, 4)];
    s->plan.segment_bytes = (int32_t)ferry_prng_between(s->prng, 3000, 40000);
    s->plan.power_loss = ferry_prng_chance(s->prng, 3, 4);
    s->plan.faults_for = ferry_prng_between(s->prng, FERRY_SECOND, 6 * FERRY_SECOND);
}

/* A group is stable within session time-out, rebalance time-out and two heartbeats after the last fault. */
static void check_group(struct scene *s)
{
    if (!s->broker.ready || s->broker.stopping)
        s->disturbed = sim_world_now(s->world);
    if (s->with_group && s->quiet && sim_world_now(s->world) > s->disturbed + SCENE_GROUP_LIMIT &&
        !scene_consumers_stable(s))
        sim_world_fail(s->world, "the group is not stable %lld ms after the last disturbance",
                       (long long)((sim_world_now(s->world) - s->disturbed) / FERRY_MS));
}

/* Runs until `done`, at most `limit`. */
static bool run_until(struct scene *s, bool (*done)(const struct scene *), ferry_nsec limit,
                      const char *what)
{
    ferry_nsec until = sim_world_now(s->world) + limit;
    while (!done(s)) {
        if (sim_world_now(s->world) >= until) {
            sim_world_fail(s->world, "%s is not reached within %lld ms", what,
                           (long long)(limit / FERRY_MS));
            return false;
        }
        if (!sim_world_run(s->world, sim_world_now(s->world) + STRIDE))
            return false;
        check_group(s);
    }
    return true;
}

static bool is_ready(const struct scene *s)
{
    return s->broker.ready;
}

static bool is_over(const struct scene *s)
{
    return is_ready(s) && scene_producers_sent(s) && ledger_open(s->ledger) == 0;
}

static bool group_had_its_time(const struct scene *s)
{
    return sim_world_now(s->world) > s->disturbed + SCENE_GROUP_LIMIT + 2 * STRIDE;
}

static void play(struct scene *s)
{
    scene_broker_init(s);
    if (!run_until(s, is_ready, START_LIMIT, "a broker that serves"))
        return;
    scene_observer_init(s);
    if (!run_until(s, scene_observer_has_topics, START_LIMIT, "a topic"))
        return;
    scene_producers_init(s);
    if (s->with_group)
        scene_consumers_init(s);
    scene_faults_start(s);
    if (!sim_world_run(s->world, sim_world_now(s->world) + s->plan.faults_for))
        return;
    scene_faults_end(s);
    if (!run_until(s, is_over, FINISH_LIMIT, "a report for every send"))
        return;
    /* What was sent with acks=0 may still be on a link that hears nothing for a while. */
    ferry_nsec rest = s->totals.acks_none ? 4 * FERRY_SECOND : FERRY_SECOND;
    if (sim_world_run(s->world, sim_world_now(s->world) + rest))
        ledger_check(s->ledger, s->broker.disk);
    if (s->with_group &&
        run_until(s, scene_consumers_at_end, FINISH_LIMIT,
                  "the end of every partition by the group") &&
        run_until(s, group_had_its_time, FINISH_LIMIT, "a group that nothing disturbs"))
        ledger_check_seen(s->ledger);
}

static void sum_up(struct scene *s, struct scene_totals *sum)
{
    struct scene_totals *t = &s->totals;
    const struct sim_disk_counts *disk = sim_disk_counts(s->broker.disk);
    const struct sim_counts *net = sim_world_counts(s->world);
    sum->seeds++;
    sum->ops += t->ops;
    sum->acked += ledger_acked(s->ledger);
    sum->failed += ledger_failed(s->ledger);
    sum->crashes += t->crashes;
    sum->stops += t->stops;
    sum->torn += disk->torn_writes + disk->lost_sectors;
    sum->dedup += t->dedup;
    sum->rebalances += t->rebalances;
    sum->faults += t->faults;
    sum->expired += t->expired;
    sum->cuts += net->cuts;
    sum->consumed += t->consumed;
    sum->commits += t->commits;
    sum->fenced += t->fenced;
    sum->watermarks += t->watermarks;
    sum->acks_none += t->acks_none;
    sum->five_lost += t->five_lost;
    sum->stalled += t->stalled;
    sum->offline += t->offline;
    sum->segments += ledger_segments(s->ledger);
    sum->delays += net->spikes;
    sum->drops += net->drops;
    sum->bytewise += net->bytewise;
    sum->slow += net->stalls;
    sum->no_space += disk->no_space;
    sum->short_writes += disk->short_writes;
    sum->failed_syncs += disk->failed_syncs;
}

/* What each seed owes. */
static void check_floors(struct scene *s)
{
    const struct sim_counts *net = sim_world_counts(s->world);
    if (s->totals.ops < 1000)
        sim_world_fail(s->world, "only %" PRIu64 " client operations", s->totals.ops);
    if (s->totals.watermarks < 100)
        sim_world_fail(s->world, "only %" PRIu64 " high watermarks", s->totals.watermarks);
    if (!(s->totals.crashes + s->totals.stops + net->cuts + net->spikes + net->refused))
        sim_world_fail(s->world, "no fault took effect");
}

bool scene_run(uint64_t seed, bool group, void *trace, struct scene_totals *sum, uint64_t *hash)
{
    struct scene *s = ferry_zalloc(sizeof *s);
    FERRY_CHECK(s);
    s->seed = seed;
    s->with_group = group;
    s->trace = trace;
    s->world = sim_world_new(seed);
    s->prng = sim_world_prng(s->world);
    sim_world_trace(s->world, trace);
    draw_plan(s);
    sim_world_note(s->world, "flush.messages %lld, segments of %d bytes",
                   (long long)s->plan.flush_messages, s->plan.segment_bytes);
    s->ledger = ledger_new(s->world, s->plan.flush_messages == 1);
    play(s);
    s->ending = true;
    if (trace) {
        struct ferry_text names = {0};
        sim_disk_names(s->broker.disk, &names);
        fprintf(trace, "files at the end:\n%s", names.data ? names.data : "");
        ferry_text_free(&names);
    }
    if (sim_node_running(s->broker.node))
        sim_node_stop(s->broker.node, false);
    check_floors(s);
    bool good = !sim_world_failure(s->world)[0];
    *hash = sim_world_hash(s->world);
    if (!good)
        snprintf(sum->violation, sizeof sum->violation, "%s", sim_world_failure(s->world));
    sum_up(s, sum);
    sum->violations += !good;
    sim_world_free(s->world);
    scene_broker_free(s);
    scene_producers_free(s);
    scene_observer_free(s);
    scene_consumers_free(s);
    ledger_free(s->ledger);
    ferry_free(s);
    return good;
}
