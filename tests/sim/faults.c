/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* What goes wrong: one fault after another at drawn times, until the faults are over. A new one is a new case here. */

#include "tests/sim/scene.h"

static ferry_nsec soon(struct scene *s, ferry_nsec most)
{
    return sim_world_now(s->world) + ferry_prng_between(s->prng, FERRY_MS, most);
}

static void links_get_worse(struct scene *s)
{
    struct sim_faults *f = sim_world_faults(s->world);
    f->spike = (uint32_t)ferry_prng_below(s->prng, 100);
    f->spike_max = ferry_prng_between(s->prng, FERRY_MS, 800 * FERRY_MS);
    f->cut = (uint32_t)ferry_prng_below(s->prng, 25);
    f->tiny = ferry_prng_chance(s->prng, 1, 4) ? 150 : 0;
    f->refuse = (uint32_t)ferry_prng_below(s->prng, 200);
}

static void disk_gets_worse(struct scene *s)
{
    struct sim_faults *f = sim_world_faults(s->world);
    ferry_nsec most = ferry_prng_chance(s->prng, 1, 3) ? 120 * FERRY_MS : 8 * FERRY_MS;
    f->disk_high = ferry_prng_between(s->prng, FERRY_MS / 10, most);
    f->disk_stall = (uint32_t)ferry_prng_below(s->prng, 10);
}

static void calm(struct scene *s)
{
    struct sim_faults *f = sim_world_faults(s->world);
    f->spike = f->cut = f->tiny = f->refuse = f->disk_stall = 0;
    f->disk_high = FERRY_MS / 2;
}

static void heal(struct ferry_timer *t, void *world)
{
    struct scene *s = FERRY_CONTAINER(t, struct scene, disk_fault);
    scene_broker_disk_heals(s, ferry_prng_between(s->prng, FERRY_MS, 300 * FERRY_MS));
}

static void disk_fails(struct scene *s)
{
    if (!s->broker.ready || s->broker.stopping || ferry_timer_armed(&s->disk_fault))
        return;
    scene_broker_disk_fails(s);
    sim_world_at(s->world, &s->disk_fault, soon(s, 400 * FERRY_MS));
}

/* The connections go, and with them every answer that was lost. */
static void hear_again(struct ferry_timer *t, void *world)
{
    struct scene *s = FERRY_CONTAINER(t, struct scene, deaf);
    s->totals.five_lost += scene_producer_in_flight(s, s->deaf_producer) >= 5;
    sim_node_deafen(scene_producer_node(s, s->deaf_producer), NULL);
}

static void lose_answers(struct scene *s)
{
    if (ferry_timer_armed(&s->deaf))
        return;
    s->deaf_producer = (int)ferry_prng_below(s->prng, SCENE_PRODUCERS);
    sim_node_deafen(scene_producer_node(s, s->deaf_producer), s->broker.node);
    sim_world_at(s->world, &s->deaf, soon(s, 400 * FERRY_MS));
}

static void next_fault(struct ferry_timer *t, void *world)
{
    struct scene *s = FERRY_CONTAINER(t, struct scene, fault);
    if (s->quiet)
        return;
    ferry_nsec down = ferry_prng_between(s->prng, FERRY_MS, 600 * FERRY_MS);
    s->totals.faults++;
    switch (ferry_prng_below(s->prng, 12)) {
    case 0:
    case 1:
        scene_broker_crash(s, s->plan.power_loss && ferry_prng_chance(s->prng, 2, 3), down);
        break;
    case 2:
        scene_broker_stop(s, down);
        break;
    case 3:
        sim_node_cut(s->broker.node);
        break;
    case 4:
        if (sim_node_running(s->broker.node))
            sim_node_pause(s->broker.node, soon(s, 700 * FERRY_MS));
        break;
    case 5:
        scene_stall_client(s, soon(s, 1500 * FERRY_MS));
        break;
    case 6:
        disk_gets_worse(s);
        break;
    case 7:
        links_get_worse(s);
        break;
    case 8:
        disk_fails(s);
        break;
    case 9:
    case 10:
        lose_answers(s);
        break;
    default:
        calm(s);
    }
    sim_world_at(s->world, t, soon(s, 500 * FERRY_MS));
}

void scene_faults_start(struct scene *s)
{
    s->fault.fire = next_fault;
    s->disk_fault.fire = heal;
    s->deaf.fire = hear_again;
    links_get_worse(s);
    sim_world_at(s->world, &s->fault, soon(s, 300 * FERRY_MS));
}

void scene_faults_end(struct scene *s)
{
    s->quiet = true;
    s->disturbed = sim_world_now(s->world);
    calm(s);
    if (ferry_timer_armed(&s->disk_fault))
        sim_world_at(s->world, &s->disk_fault, sim_world_now(s->world));
    if (ferry_timer_armed(&s->deaf))
        sim_world_at(s->world, &s->deaf, sim_world_now(s->world));
    sim_node_pause(s->broker.node, 0);
    sim_world_note(s->world, "faults are over");
}
