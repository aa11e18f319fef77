/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/client.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/plant.h"
#include "client/core.h"
#include "client/statistics.h"

#include <stdarg.h>
#include <stdio.h>

/* The engine: one event in, what it leads to, actions out. What each part does stands in its own file. */

enum { CLIENT_MAGIC = 0x46436c69 };

/* -- Steps ---------------------------------------------------------------------------------------------- */

void ferry_core_fail(struct ferry_client *client)
{
    client->core->failed = true;
}

static struct ferry_line *line_of(const struct ferry_client *client, struct ferry_id id)
{
    const struct ferry_client_core *core = client->core;
    if (id.slot >= core->slot_count || !id.gen || core->slots[id.slot].gen != id.gen)
        return NULL;
    return core->slots[id.slot].line;
}

static void worked(struct ferry_client *client, uint64_t op)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->works)
    {
        struct ferry_work *w = FERRY_CONTAINER(l, struct ferry_work, link);
        if (w->op == op) {
            ferry_list_remove(l);
            w->on_done(client, w);
            return;
        }
    }
}

static void handle(struct ferry_client *client, const struct ferry_event *ev)
{
    struct ferry_line *line;
    switch (ev->type) {
    case FERRY_EV_OPENED:
    case FERRY_EV_RECEIVED:
    case FERRY_EV_DRAINED:
    case FERRY_EV_CLOSED:
        if ((line = line_of(client, ev->who)))
            ferry_conn_event(&line->conn, ev, client->out);
        break;
    case FERRY_EV_RESOLVED:
        ferry_broker_resolved(client, ev);
        break;
    case FERRY_EV_WORKED:
        worked(client, ev->op);
        break;
    case FERRY_EV_COMMAND: {
        struct ferry_command *command = ev->command;
        command->run(client, command);
        break;
    }
    case FERRY_EV_DEADLINE: /* the timers below */
    default:                /* a client has no listener and no file */
        break;
    }
}

static int step(struct ferry_engine *engine, const struct ferry_event *ev,
                struct ferry_actions *out)
{
    struct ferry_client *client = (struct ferry_client *)engine;
    FERRY_CHECK(client->magic == CLIENT_MAGIC && !client->out);
    client->now = ev->now;
    client->wall = ev->wall;
    client->out = out;
    ferry_broker_sweep(client);
    if (!client->core->stepped) {
        client->core->stepped = true;
        ferry_statistics_start(client);
    }
    handle(client, ev);
    ferry_timers_run(&client->timers, client->now, client);
    ferry_cluster_flush(client);
    ferry_request_run_done(client);
    client->out = NULL;
    return client->core->failed || out->failed ? FERRY_E_NOMEM : 0;
}

static ferry_nsec deadline(const struct ferry_engine *engine)
{
    const struct ferry_client *client = (const struct ferry_client *)engine;
    const struct ferry_client_core *core = client->core;
    if (!core->stepped && ferry_statistics_on(client))
        return 0; /* the timer needs to know what time it is */
    if (!ferry_list_empty(&core->done) || !ferry_list_empty(&core->changed))
        return client->now;
    return ferry_timers_next(&client->timers);
}

static const struct ferry_engine_ops engine_ops = {step, deadline};

/* -- Life ----------------------------------------------------------------------------------------------- */

static struct ferry_client_core *new_core(void)
{
    struct ferry_client_core *core = ferry_zalloc(sizeof *core);
    if (!core)
        return NULL;
    struct ferry_link *lists[] = {&core->brokers,   &core->any,   &core->controller_waiting,
                                  &core->done,      &core->works, &core->changed,
                                  &core->topic_list};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        ferry_list_init(lists[i]);
    ferry_flight_pool_init(&core->flights);
    core->controller = -1;
    core->features_epoch = -1;
    return core;
}

struct ferry_client *ferry_client_new(const struct ferry_config *config, uint64_t seed,
                                      const struct ferry_client_host *host, void *host_cookie,
                                      struct ferry_error *err)
{
    struct ferry_client *client = ferry_zalloc(sizeof *client);
    if (!client || !(client->core = new_core())) {
        ferry_free(client);
        ferry_fail(err, FERRY_E_NOMEM, "no memory for a client");
        return NULL;
    }
    client->engine.ops = &engine_ops;
    client->magic = CLIENT_MAGIC;
    client->host = host;
    client->host_cookie = host_cookie;
    ferry_list_init(&client->observers);
    ferry_prng_seed(&client->prng, seed);
    ferry_metadata_init(client);
    struct ferry_config *frozen = ferry_settings_freeze(config, err);
    if (frozen) {
        client->config = frozen;
        client->settings = &frozen->settings;
    }
    if (!frozen || ferry_cluster_init(client, err)) {
        ferry_client_free(client);
        return NULL;
    }
    return client;
}

static void tell_close(struct ferry_client *client)
{
    struct ferry_link *l;
    /* One at a time: an observer that closes may free others. */
    while ((l = ferry_list_pop_front(&client->observers))) {
        struct ferry_observer *o = FERRY_CONTAINER(l, struct ferry_observer, link);
        if (o->on_close)
            o->on_close(client, o);
    }
}

static void finish_everything(struct ferry_client *client)
{
    struct ferry_client_core *core = client->core;
    static const char text[] = "the client is being closed";
    ferry_request_finish_list(&core->any, FERRY_E_CLOSED, text);
    ferry_request_finish_list(&core->controller_waiting, FERRY_E_CLOSED, text);
    ferry_coordinator_finish_all(client, FERRY_E_CLOSED, text);
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        for (int c = 0; c < FERRY_CLASS_COUNT; c++) {
            if (!b->lines[c])
                continue;
            ferry_request_finish_list(&b->lines[c]->waiting, FERRY_E_CLOSED, text);
            ferry_line_close(b->lines[c], FERRY_E_CLOSED, text);
        }
    }
}

void ferry_client_close(struct ferry_client *client)
{
    if (client->closing)
        return;
    tell_close(client);
    client->closing = true;
    finish_everything(client);
    struct ferry_client_core *core = client->core;
    ferry_timer_cancel(&client->timers, &core->any_timer);
    ferry_timer_cancel(&client->timers, &core->metadata.timer);
    ferry_timer_cancel(&client->timers, &core->metadata.trigger);
    ferry_timer_cancel(&client->timers, &core->statistics_timer);
}

bool ferry_client_closed(const struct ferry_client *client)
{
    const struct ferry_client_core *core = client->core;
    return client->closing && !core->open_conns && ferry_list_empty(&core->works) &&
           ferry_list_empty(&core->done);
}

/* Requests that are still on a connection end here: nobody will answer them. */
static void lose_flights(struct ferry_client *client)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        for (int c = 0; c < FERRY_CLASS_COUNT; c++) {
            struct ferry_link *f, *next_flight;
            if (!b->lines[c])
                continue;
            FERRY_LIST_EACH(f, next_flight, &b->lines[c]->conn.flights)
            {
                struct ferry_flight *flight = FERRY_CONTAINER(f, struct ferry_flight, link);
                if (flight->owner)
                    ferry_request_lost(flight->owner, FERRY_E_CLOSED, "the client was closed");
                flight->owner = NULL;
            }
        }
    }
}

void ferry_client_free(struct ferry_client *client)
{
    if (!client)
        return;
    struct ferry_actions nowhere = {0};
    client->out = &nowhere;
    if (client->config)
        ferry_client_close(client);
    lose_flights(client);
    while (!ferry_list_empty(&client->core->done))
        ferry_request_run_done(client);
    for (size_t i = 0; i < nowhere.count; i++) { /* nobody will take what is delivered now */
        struct ferry_delivery *d = nowhere.items[i].deliver;
        if (nowhere.items[i].type == FERRY_DO_DELIVER && d->drop)
            d->drop(d);
    }
    ferry_actions_free(&nowhere);
    client->out = NULL;
    ferry_timers_free(&client->timers); /* disarms them all: what follows frees their owners */
    ferry_broker_free_all(client);
    ferry_coordinator_free_all(client);
    ferry_metadata_free(client);
    ferry_cluster_free_all(client);
    ferry_flight_pool_free(&client->core->flights);
    ferry_arena_free(&client->core->arena);
    ferry_free(client->core->slots);
    ferry_free(client->core);
    ferry_slab_pool_free(client->slabs);
    ferry_settings_free((struct ferry_config *)client->config);
    ferry_free(client);
}

/* -- Observers ------------------------------------------------------------------------------------------ */

void ferry_client_observe(struct ferry_client *client, struct ferry_observer *o)
{
    ferry_list_push_back(&client->observers, &o->link);
}

void ferry_client_unobserve(struct ferry_client *client, struct ferry_observer *o)
{
    ferry_list_remove(&o->link);
}

void ferry_core_tell_metadata(struct ferry_client *client, int32_t status)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->observers)
    {
        struct ferry_observer *o = FERRY_CONTAINER(l, struct ferry_observer, link);
        if (o->on_metadata)
            o->on_metadata(client, o, status);
    }
}

void ferry_core_tell_up(struct ferry_client *client, int32_t node, enum ferry_class conn_class)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->observers)
    {
        struct ferry_observer *o = FERRY_CONTAINER(l, struct ferry_observer, link);
        if (o->on_broker_up)
            o->on_broker_up(client, o, node, conn_class);
    }
}

void ferry_core_tell_down(struct ferry_client *client, int32_t node, enum ferry_class conn_class,
                          int32_t status)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->observers)
    {
        struct ferry_observer *o = FERRY_CONTAINER(l, struct ferry_observer, link);
        if (o->on_broker_down)
            o->on_broker_down(client, o, node, conn_class, status);
    }
}

/* -- What modules use ------------------------------------------------------------------------------------ */

void ferry_client_deliver(struct ferry_client *client, struct ferry_delivery *d)
{
    FERRY_CHECK(client->out);
    ferry_act(client->out, FERRY_DO_DELIVER, (struct ferry_id){0, 0})->deliver = d;
}

void ferry_client_timer(struct ferry_client *client, struct ferry_timer *t, ferry_nsec at)
{
    if (ferry_timer_set(&client->timers, t, at))
        ferry_core_fail(client);
}

void ferry_client_timer_cancel(struct ferry_client *client, struct ferry_timer *t)
{
    ferry_timer_cancel(&client->timers, t);
}

void ferry_client_work(struct ferry_client *client, struct ferry_work *w)
{
    w->op = ++client->core->last_op;
    ferry_list_push_back(&client->core->works, &w->link);
    struct ferry_action *a = ferry_act(client->out, FERRY_DO_WORK, (struct ferry_id){0, 0});
    a->op = w->op;
    a->work = w->work;
    a->arg = w->arg;
}

ferry_nsec ferry_client_backoff(struct ferry_client *client, int64_t min_ms, int64_t max_ms,
                                unsigned tries)
{
    int64_t ms = min_ms;
    for (unsigned i = 0; i < tries && ms < max_ms; i++)
        ms *= 2;
    if (ms > max_ms)
        ms = max_ms;
    ferry_nsec ns = ms * FERRY_MS;
    if (FERRY_PLANTED(ADDRESS_DECIDES))
        ns += (ferry_nsec)((uintptr_t)client >> 4 & 0xfffff);
    return ferry_prng_between(&client->prng, ns - ns / 5, ns + ns / 5);
}

bool ferry_client_logs(const struct ferry_client *client, int level, uint32_t context)
{
    if (!client->host || !client->host->log || !client->settings ||
        level > client->settings->log_level)
        return false;
    return level < FERRY_LOG_DEBUG || !context || (client->settings->debug_mask & context);
}

void ferry_client_log(struct ferry_client *client, int level, uint32_t context, const char *format,
                      ...)
{
    if (!ferry_client_logs(client, level, context))
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    client->host->log(client->host_cookie, level, context, text);
}

void ferry_client_error(struct ferry_client *client, int32_t code, uint32_t flags,
                        const char *format, ...)
{
    if (!client->host || !client->host->error)
        return;
    struct ferry_error err = {.code = code, .flags = flags};
    va_list args;
    va_start(args, format);
    vsnprintf(err.text, sizeof err.text, format, args);
    va_end(args);
    client->host->error(client->host_cookie, &err);
}
