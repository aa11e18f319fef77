/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* What every client process needs, whatever it does. */

#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/scene.h"

#include <stdio.h>

static void log_line(void *cookie, int level, uint32_t context, const char *text)
{
    struct scene_client *c = cookie;
    if (c->scene->trace)
        fprintf(c->scene->trace, "%12.6f %s: %s\n", (double)sim_world_now(c->scene->world) / 1e9,
                sim_node_name(c->node), text);
}

static void on_error(void *cookie, const struct ferry_error *err)
{
    struct scene_client *c = cookie;
    sim_world_note(c->scene->world, "%s: error %d %s", sim_node_name(c->node), err->code,
                   err->text);
}

static const struct ferry_client_host host = {log_line, on_error};

static struct ferry_engine *start(struct sim_node *n, void *cookie)
{
    struct scene_client *c = cookie;
    struct ferry_error err = {0};
    struct ferry_config *config = ferry_config_new();
    FERRY_CHECK(config);
    if (ferry_config_set(config, "bootstrap.servers", "broker:9092", &err) ||
        ferry_config_load_text(config, c->settings, strlen(c->settings), &err) ||
        (c->scene->trace && ferry_config_set(config, "ferry.debug", "all", &err)) ||
        !(c->client = ferry_client_new(config, ferry_prng_next(c->scene->prng), &host, c, &err))) {
        fprintf(stderr, "sim: the client %s cannot be made: %s\n", sim_node_name(n), err.text);
        FERRY_CHECK(c->client);
    }
    ferry_config_free(config);
    c->started(c);
    return &c->client->engine;
}

static void stop(struct sim_node *n, struct ferry_engine *engine, bool crashed, void *cookie)
{
    struct scene_client *c = cookie;
    ferry_list_init(&c->commands);
    ferry_client_free(c->client);
    c->client = NULL;
    c->stopped(c);
}

static void deliver(struct sim_node *n, void *delivery, void *cookie)
{
    struct scene_client *c = cookie;
    c->delivered(c, delivery);
}

static void stepped(struct sim_node *n, void *cookie)
{
    struct scene_client *c = cookie;
    if (c->stepped)
        c->stepped(c);
}

static const struct sim_node_ops ops = {start, stop, deliver, stepped};

void scene_client_flush(struct scene_client *c)
{
    struct ferry_link *it;
    while (c->client && (it = ferry_list_pop_front(&c->commands)))
        sim_node_command(c->node, FERRY_CONTAINER(it, struct ferry_command, link));
}

static void hand_in(struct ferry_timer *t, void *world)
{
    scene_client_flush(FERRY_CONTAINER(t, struct scene_client, timer));
}

void scene_client_post(struct scene_client *c, struct ferry_command *command)
{
    ferry_list_push_back(&c->commands, &command->link);
    if (!ferry_timer_armed(&c->timer))
        sim_world_at(c->scene->world, &c->timer, sim_world_now(c->scene->world));
}

void scene_client_init(struct scene *s, struct scene_client *c, const char *name)
{
    c->scene = s;
    c->timer.fire = hand_in;
    ferry_list_init(&c->commands);
    c->node = sim_node_add(s->world, name, &ops, NULL, c);
}
