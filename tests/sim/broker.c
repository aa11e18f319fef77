/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* The broker's process: the node's engine is made anew at every start; the disk and the configuration stay. */

#include "base/check.h"
#include "base/mem.h"
#include "refbroker/node_state.h"
#include "tests/sim/scene.h"

#include <stdio.h>

static void log_line(void *cookie, int level, const char *text)
{
    struct scene *s = cookie;
    if (s->trace)
        fprintf(s->trace, "%12.6f broker: %s\n", (double)sim_world_now(s->world) / 1e9, text);
}

static struct ferry_engine *start(struct sim_node *n, void *cookie)
{
    struct scene *s = cookie;
    struct scene_broker *b = &s->broker;
    struct ferry_error err = {0};
    struct broker_node_options o = {.config = &b->config,
                                    .seed = s->seed * 1000003 + b->starts++,
                                    .listen = {FERRY_INET4, {10, 0, 0, 1}, 9092},
                                    .host = "broker",
                                    .advertised_port = 9092,
                                    .log = log_line,
                                    .cookie = s};
    b->ready = b->stopping = false;
    b->disk_fails = ferry_timer_armed(&s->disk_fault);
    if (broker_node_new(&b->engine, &o, &err)) {
        sim_world_fail(s->world, "the broker cannot be made: %s", err.text);
        return NULL;
    }
    return broker_node_engine(b->engine);
}

static void stop(struct sim_node *n, struct ferry_engine *engine, bool crashed, void *cookie)
{
    struct scene *s = cookie;
    struct scene_broker *b = &s->broker;
    struct broker_node_counts counts;
    broker_node_read_counts(b->engine, &counts);
    s->totals.dedup += counts.duplicates;
    s->totals.rebalances += counts.rebalances;
    broker_node_free(b->engine);
    b->engine = NULL;
    b->ready = false;
}

static void deliver(struct sim_node *n, void *delivery, void *cookie)
{
    struct scene *s = cookie;
    struct scene_broker *b = &s->broker;
    const struct broker_notice *notice = delivery;
    switch (notice->type) {
    case BROKER_READY:
        b->ready = true;
        sim_world_note(s->world, "the broker is ready");
        break;
    case BROKER_STOPPED:
        if (!b->stopping)
            sim_world_fail(s->world, "the broker stopped, and nobody asked it to");
        sim_world_at(s->world, &b->stop, sim_world_now(s->world)); /* not inside its step */
        break;
    case BROKER_FAILED:
        if (b->disk_fails) {
            b->stopping = true;
            sim_world_at(s->world, &b->stop, sim_world_now(s->world));
            break;
        }
        sim_world_fail(s->world, "the broker failed: %s", notice->text);
        break;
    }
}

static const struct sim_node_ops ops = {start, stop, deliver, NULL};

/* The disk has dropped what it was to sync: only a machine that starts anew knows what it has. */
static bool sync_failed(const struct scene_broker *b)
{
    return sim_disk_counts(b->disk)->failed_syncs > b->failed_syncs;
}

static void lose_power(struct scene_broker *b)
{
    b->scene->totals.crashes++;
    b->failed_syncs = sim_disk_counts(b->disk)->failed_syncs;
    ledger_power_loss(b->scene->ledger);
    sim_node_stop(b->node, true);
}

static void on_stopped(struct ferry_timer *t, void *world)
{
    struct scene_broker *b = FERRY_CONTAINER(t, struct scene_broker, stop);
    if (!sim_node_running(b->node) || !b->stopping)
        return; /* crashed meanwhile */
    if (sync_failed(b)) {
        lose_power(b);
    } else {
        if (!b->disk_fails)
            ledger_clean_stop(b->scene->ledger);
        b->scene->totals.stops++;
        sim_node_stop(b->node, false);
    }
    sim_world_at(b->scene->world, &b->start, sim_world_now(b->scene->world) + b->down);
}

static void on_start(struct ferry_timer *t, void *world)
{
    struct scene_broker *b = FERRY_CONTAINER(t, struct scene_broker, start);
    if (!sim_node_running(b->node))
        sim_node_start(b->node);
}

static void setting(struct scene *s, const char *name, const char *value)
{
    struct ferry_error err = {0};
    if (broker_config_set(&s->broker.config, name, value, &err))
        sim_world_fail(s->world, "the broker's %s: %s", name, err.text);
}

void scene_broker_init(struct scene *s)
{
    struct scene_broker *b = &s->broker;
    b->scene = s;
    b->stop.fire = on_stopped;
    b->start.fire = on_start;
    FERRY_CHECK(broker_config_init(&b->config) == 0);
    setting(s, "log.dirs", "data");
    setting(s, "auto.create.topics.enable", "false");
    setting(s, "group.initial.rebalance.delay.ms", "0");
    setting(s, "group.min.session.timeout.ms", "100");
    setting(s, "offsets.topic.num.partitions", "2");
    b->disk = sim_disk_new(ferry_prng_next(s->prng));
    b->node = sim_node_add(s->world, "broker", &ops, b->disk, s);
    sim_node_start(b->node);
}

void scene_broker_free(struct scene *s)
{
    sim_disk_free(s->broker.disk);
    broker_config_free(&s->broker.config);
}

void scene_broker_crash(struct scene *s, bool power, ferry_nsec down)
{
    struct scene_broker *b = &s->broker;
    if (!sim_node_running(b->node))
        return;
    if (power || sync_failed(b)) {
        lose_power(b);
    } else {
        s->totals.crashes++;
        sim_node_stop(b->node, false);
    }
    sim_world_at(s->world, &b->start, sim_world_now(s->world) + down);
}

void scene_broker_stop(struct scene *s, ferry_nsec down)
{
    struct scene_broker *b = &s->broker;
    struct broker_command command = {BROKER_STOP};
    if (!b->ready || b->stopping)
        return;
    b->stopping = true;
    b->down = down;
    sim_node_command(b->node, &command);
}

void scene_broker_disk_fails(struct scene *s)
{
    struct sim_disk_faults *f = sim_disk_faults(s->broker.disk);
    s->broker.disk_fails = true;
    f->no_space = (uint32_t)ferry_prng_below(s->prng, 300);
    f->write_error = (uint32_t)ferry_prng_below(s->prng, 100);
    if (s->plan.power_loss && ferry_prng_chance(s->prng, 1, 2))
        f->sync_error = (uint32_t)ferry_prng_between(s->prng, 10, 500);
}

void scene_broker_disk_heals(struct scene *s, ferry_nsec down)
{
    *sim_disk_faults(s->broker.disk) = (struct sim_disk_faults){0};
    if (s->broker.engine && s->broker.engine->dir.offline) {
        s->totals.offline++;
        scene_broker_crash(s, false, down);
    }
}
