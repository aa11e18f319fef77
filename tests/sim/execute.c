/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* The simulated driver: what each action of an engine does in the world. */

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"
#include "tests/sim/internal.h"

#include <stdio.h>

void sim_bring(struct sim_world *w, struct sim_call *c)
{
    (void)w;
    if (c->node)
        sim_step(c->node, &c->event);
}

/* A host name is a node's name, "localhost" nothing, and "a.b.c.d" itself. */
static struct sim_node *node_named(struct sim_world *w, const char *name)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &w->nodes)
    {
        struct sim_node *n = FERRY_CONTAINER(it, struct sim_node, link);
        char dotted[32];
        snprintf(dotted, sizeof dotted, "10.0.0.%u", n->address);
        if (!strcmp(n->name, name) || !strcmp(dotted, name))
            return n;
    }
    return NULL;
}

static void resolve(struct sim_node *n, const struct ferry_action *a)
{
    struct sim_world *w = n->world;
    struct sim_node *to = node_named(w, a->path);
    struct sim_call *c = sim_call(w, n, ferry_prng_between(&w->prng, 0, 2 * FERRY_MS), sim_bring);
    c->event = (struct ferry_event){.type = FERRY_EV_RESOLVED, .who = a->who, .op = a->op};
    if (!to) {
        c->event.status = FERRY_E_RESOLVE;
        c->event.text = "no such host (simulated)";
        return;
    }
    c->addr = (struct ferry_addr){FERRY_INET4, {10, 0, 0, to->address}, a->addr.port};
    c->event.addrs = &c->addr;
    c->event.addr_count = 1;
}

static void run_work(struct sim_world *w, struct sim_call *c)
{
    c->action.work(c->action.arg);
    sim_bring(w, c);
}

static void work(struct sim_node *n, const struct ferry_action *a)
{
    struct sim_world *w = n->world;
    struct sim_call *c =
        sim_call(w, n, ferry_prng_between(&w->prng, 0, w->faults.work_high), run_work);
    c->action = *a;
    c->event = (struct ferry_event){.type = FERRY_EV_WORKED, .who = a->who, .op = a->op};
}

/* A send's bytes are gathered at once. */
static void send(struct sim_node *n, const struct ferry_action *a, const struct ferry_part *parts)
{
    size_t len = 0;
    for (uint32_t i = 0; i < a->part_count; i++)
        len += parts[i].len;
    uint8_t *whole = ferry_alloc(len);
    FERRY_CHECK(whole);
    size_t at = 0;
    for (uint32_t i = 0; i < a->part_count; i++) {
        if (parts[i].data)
            memcpy(whole + at, parts[i].data, parts[i].len);
        else
            sim_files_gather(n, parts[i].file, parts[i].offset, whole + at, parts[i].len);
        at += parts[i].len;
    }
    sim_net_send(n, a, (struct ferry_bytes){whole, len});
    ferry_free(whole);
}

void sim_execute(struct sim_node *n, struct ferry_action *a, const struct ferry_part *parts)
{
    switch (a->type) {
    case FERRY_DO_RESOLVE:
        resolve(n, a);
        break;
    case FERRY_DO_OPEN:
        sim_net_open(n, a);
        break;
    case FERRY_DO_LISTEN:
        sim_net_listen(n, a);
        break;
    case FERRY_DO_ADOPT:
        sim_net_adopt(n, a);
        break;
    case FERRY_DO_CLOSE_HANDLE:
        sim_net_refuse(n, a->handle);
        break;
    case FERRY_DO_SEND:
        send(n, a, parts);
        break;
    case FERRY_DO_RECEIVE_INTO:
    case FERRY_DO_PAUSE:
    case FERRY_DO_RESUME:
    case FERRY_DO_CLOSE:
        sim_net_control(n, a);
        break;
    case FERRY_DO_WORK:
        work(n, a);
        break;
    case FERRY_DO_ASK:
        sim_world_fail(n->world, "%s asks for an outside answer, which this world has not",
                       n->name);
        break;
    case FERRY_DO_DELIVER:
        n->ops->deliver(n, a->deliver, n->cookie);
        break;
    default:
        sim_files_execute(n, a, parts);
    }
}
