/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/sim/world.h"

#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/internal.h"

#include <stdarg.h>
#include <stdio.h>

enum { SPIN_LIMIT = 100000 };

struct sim_world *sim_world_new(uint64_t seed)
{
    struct sim_world *w = ferry_zalloc(sizeof *w);
    FERRY_CHECK(w);
    w->hash = 0xcbf29ce484222325u;
    w->now = FERRY_SECOND;
    w->wall_offset = 1700000000000;
    w->next_port = 20000;
    w->next_handle = 1;
    ferry_prng_seed(&w->prng, seed);
    ferry_list_init(&w->nodes);
    w->faults = (struct sim_faults){.latency_low = FERRY_MS / 20,
                                    .latency_high = FERRY_MS / 2,
                                    .disk_low = FERRY_MS / 100,
                                    .disk_high = FERRY_MS};
    return w;
}

void sim_world_free(struct sim_world *w)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &w->nodes)
    {
        sim_node_stop(FERRY_CONTAINER(it, struct sim_node, link), true);
    }
    FERRY_LIST_EACH(it, tmp, &w->nodes)
    {
        struct sim_node *n = FERRY_CONTAINER(it, struct sim_node, link);
        ferry_actions_free(&n->actions);
        ferry_free(n->name);
        ferry_free(n);
    }
    sim_calls_drop(w, NULL);
    ferry_timers_free(&w->timers);
    ferry_free(w);
}

struct ferry_prng *sim_world_prng(struct sim_world *w)
{
    return &w->prng;
}

struct sim_faults *sim_world_faults(struct sim_world *w)
{
    return &w->faults;
}

struct sim_counts *sim_world_counts(struct sim_world *w)
{
    return &w->counts;
}

ferry_nsec sim_world_now(const struct sim_world *w)
{
    return w->now;
}

ferry_msec sim_world_wall(const struct sim_world *w)
{
    return w->wall_offset + w->now / FERRY_MS;
}

uint64_t sim_world_hash(const struct sim_world *w)
{
    return w->hash;
}

void sim_world_trace(struct sim_world *w, void *file)
{
    w->trace = file;
}

void sim_hash(struct sim_world *w, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t h = w->hash;
    for (; len >= 8; p += 8, len -= 8)
        h = (h ^ ferry_get64(p)) * 0x100000001b3u, h ^= h >> 29;
    for (; len; p++, len--)
        h = (h ^ *p) * 0x100000001b3u;
    w->hash = h;
}

void sim_world_note(struct sim_world *w, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    sim_hash(w, line, len);
    if (w->trace)
        fprintf(w->trace, "%12.6f %s\n", (double)w->now / 1e9, line);
}

void sim_world_fail(struct sim_world *w, const char *format, ...)
{
    if (w->failure[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(w->failure, sizeof w->failure, format, args);
    va_end(args);
    if (w->trace)
        fprintf(w->trace, "%12.6f FAILURE %s\n", (double)w->now / 1e9, w->failure);
}

const char *sim_world_failure(const struct sim_world *w)
{
    return w->failure;
}

/* Nodes. */

struct sim_node *sim_node_add(struct sim_world *w, const char *name, const struct sim_node_ops *ops,
                              struct sim_disk *disk, void *cookie)
{
    struct sim_node *n = ferry_zalloc(sizeof *n);
    FERRY_CHECK(n);
    n->world = w;
    n->name = ferry_strdup(name);
    n->ops = ops;
    n->disk = disk;
    n->cookie = cookie;
    n->address = (uint8_t)++w->node_count;
    ferry_list_init(&n->ends);
    ferry_list_init(&n->listeners);
    ferry_list_push_back(&w->nodes, &n->link);
    return n;
}

bool sim_node_running(const struct sim_node *n)
{
    return n->engine != NULL;
}

struct ferry_engine *sim_node_engine(struct sim_node *n)
{
    return n->engine;
}

struct sim_world *sim_node_world(struct sim_node *n)
{
    return n->world;
}

const char *sim_node_name(const struct sim_node *n)
{
    return n->name;
}

void sim_node_start(struct sim_node *n)
{
    FERRY_CHECK(!n->engine);
    sim_world_note(n->world, "%s starts", n->name);
    n->engine = n->ops->start(n, n->cookie);
    FERRY_CHECK(n->engine);
    n->paused_until = 0;
    struct ferry_event ev = {.type = FERRY_EV_DEADLINE};
    sim_step(n, &ev);
}

void sim_node_stop(struct sim_node *n, bool crash)
{
    if (!n->engine)
        return;
    sim_world_note(n->world, "%s %s", n->name, crash ? "crashes" : "stops");
    struct ferry_engine *engine = n->engine;
    n->engine = NULL;
    sim_net_drop_node(n, crash);
    sim_calls_drop(n->world, n);
    if (n->disk)
        sim_files_drop(n, crash);
    n->ops->stop(n, engine, crash, n->cookie);
}

void sim_node_command(struct sim_node *n, void *command)
{
    struct ferry_event ev = {.type = FERRY_EV_COMMAND, .command = command};
    sim_step(n, &ev);
}

void sim_node_pause(struct sim_node *n, ferry_nsec until)
{
    sim_world_note(n->world, "%s pauses for %lld us", n->name,
                   (long long)(until - n->world->now) / 1000);
    n->paused_until = until;
}

/* Steps. An event for a paused node waits: see sim_call. */

static const char *const event_names[] = {"deadline", "resolved", "listening", "opened",
                                          "accepted", "received", "drained",   "closed",
                                          "done",     "worked",   "answered",  "command"};

void sim_step(struct sim_node *n, struct ferry_event *ev)
{
    struct sim_world *w = n->world;
    if (!n->engine || w->failure[0])
        return;
    ev->now = w->now;
    ev->wall = sim_world_wall(w);
    w->counts.events++;
    sim_world_note(w, "%s %s %u.%u op=%llu status=%d count=%llu len=%zu", n->name,
                   event_names[ev->type], ev->who.slot, ev->who.gen, (unsigned long long)ev->op,
                   ev->status, (unsigned long long)ev->count, ev->data.len);
    FERRY_CHECK(!n->stepping);
    n->stepping = true;
    int err = ferry_step(n->engine, ev, &n->actions);
    n->stepping = false;
    if (err || n->actions.failed) {
        sim_world_fail(w, "%s: its engine ended with %d", n->name, err);
        return;
    }
    if (n->ops->stepped)
        n->ops->stepped(n, n->cookie);
    /* An action may start steps of other nodes only through calls, so the list is stable while it
     * is walked. */
    for (size_t i = 0; i < n->actions.count && n->engine; i++) {
        struct ferry_action *a = &n->actions.items[i];
        sim_execute(n, a, a->part_count ? n->actions.parts + a->part_first : NULL);
    }
    ferry_actions_reset(&n->actions);
}

/* Calls: what will happen, in order of (time, sequence). */

static void sim_call_free(struct sim_call *c)
{
    sim_files_free(c);
    ferry_slab_unref(c->slab);
    ferry_free(c);
}

static void call_fire(struct ferry_timer *t, void *context)
{
    struct sim_call *c = FERRY_CONTAINER(t, struct sim_call, timer);
    struct sim_world *w = context;
    struct sim_node *n = c->node;
    if (n && n->engine && n->paused_until > w->now) {
        ferry_timer_set(&w->timers, t, n->paused_until);
        return;
    }
    ferry_list_remove(&c->link);
    c->run(w, c);
    sim_call_free(c);
}

struct sim_call *sim_call(struct sim_world *w, struct sim_node *n, ferry_nsec delay,
                          void (*run)(struct sim_world *, struct sim_call *))
{
    struct sim_call *c = ferry_zalloc(sizeof *c);
    FERRY_CHECK(c);
    if (!w->calls.next)
        ferry_list_init(&w->calls);
    c->node = n;
    c->run = run;
    c->timer.fire = call_fire;
    ferry_list_push_back(&w->calls, &c->link);
    FERRY_CHECK(ferry_timer_set(&w->timers, &c->timer, w->now + delay) == 0);
    return c;
}

void sim_calls_drop(struct sim_world *w, struct sim_node *n)
{
    struct ferry_link *it, *tmp;
    if (!w->calls.next)
        return;
    FERRY_LIST_EACH(it, tmp, &w->calls)
    {
        struct sim_call *c = FERRY_CONTAINER(it, struct sim_call, link);
        if (n && c->node != n)
            continue;
        ferry_timer_cancel(&w->timers, &c->timer);
        ferry_list_remove(&c->link);
        if (c->always)
            c->run(w, c);
        sim_call_free(c);
    }
}

void sim_world_at(struct sim_world *w, struct ferry_timer *t, ferry_nsec at)
{
    FERRY_CHECK(ferry_timer_set(&w->timers, t, at) == 0);
}

/* The node whose deadline is first; NULL if no engine waits for anything. */
static struct sim_node *first_deadline(struct sim_world *w, ferry_nsec *at)
{
    struct sim_node *first = NULL;
    struct ferry_link *it, *tmp;
    *at = FERRY_NEVER;
    FERRY_LIST_EACH(it, tmp, &w->nodes)
    {
        struct sim_node *n = FERRY_CONTAINER(it, struct sim_node, link);
        if (!n->engine)
            continue;
        ferry_nsec d = ferry_deadline(n->engine);
        if (d != FERRY_NEVER && d < n->paused_until)
            d = n->paused_until;
        if (d < *at) {
            *at = d;
            first = n;
        }
    }
    return first;
}

bool sim_world_run(struct sim_world *w, ferry_nsec until)
{
    uint64_t same = 0;
    while (!w->failure[0]) {
        ferry_nsec at, due = ferry_timers_next(&w->timers);
        struct sim_node *n = first_deadline(w, &at);
        ferry_nsec next = due < at ? due : at;
        if (next == FERRY_NEVER || next > until)
            break;
        same = next > w->now ? 0 : same + 1;
        if (same > SPIN_LIMIT) {
            sim_world_fail(w,
                           "time stands still: %s asks for a deadline in the past again and again",
                           n ? n->name : "a timer");
            break;
        }
        if (next > w->now)
            w->now = next;
        if (due <= at) {
            ferry_timers_run(&w->timers, w->now, w);
        } else {
            struct ferry_event ev = {.type = FERRY_EV_DEADLINE};
            sim_step(n, &ev);
        }
    }
    if (!w->failure[0] && w->now < until)
        w->now = until;
    return !w->failure[0];
}
