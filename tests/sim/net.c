/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"
#include "tests/sim/internal.h"

static ferry_nsec latency(struct sim_world *w)
{
    struct sim_faults *f = &w->faults;
    ferry_nsec t = ferry_prng_between(&w->prng, f->latency_low, f->latency_high);
    if (f->spike && ferry_prng_chance(&w->prng, f->spike, 1000)) {
        t += ferry_prng_between(&w->prng, 0, f->spike_max);
        w->counts.spikes++;
    }
    return t;
}

static struct sim_end *find_end(struct sim_node *n, struct ferry_id id)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &n->ends)
    {
        struct sim_end *e = FERRY_CONTAINER(it, struct sim_end, link);
        if (e->id.gen && ferry_id_eq(e->id, id))
            return e;
    }
    return NULL;
}

static struct sim_end *new_end(struct sim_node *n)
{
    struct sim_end *e = ferry_zalloc(sizeof *e);
    FERRY_CHECK(e);
    e->node = n;
    e->tiny =
        n->world->faults.tiny && ferry_prng_chance(&n->world->prng, n->world->faults.tiny, 1000);
    n->world->counts.bytewise += e->tiny;
    ferry_list_init(&e->inbox);
    ferry_list_push_back(&n->ends, &e->link);
    return e;
}

static void drop_inbox(struct sim_end *e)
{
    for (struct ferry_link *l; (l = ferry_list_pop_front(&e->inbox));)
        ferry_free(FERRY_CONTAINER(l, struct sim_chunk, link));
}

/* Takes an end out of the world. Calls that name it find e->node NULL; the memory goes with the
 * last of them, which is why ends are freed by a call of their own. */
static void free_end(struct sim_world *w, struct sim_call *c)
{
    (void)w;
    drop_inbox(c->end);
    ferry_free(c->end);
}

static void end_gone(struct sim_end *e)
{
    struct sim_world *w = e->node->world;
    if (e->peer)
        e->peer->peer = NULL;
    e->peer = NULL;
    ferry_list_remove(&e->link);
    e->node = NULL;
    e->slab = NULL;
    /* An hour is longer than any call that may still name it. */
    struct sim_call *c = sim_call(w, NULL, 3600 * FERRY_SECOND, free_end);
    c->end = e;
    c->always = true;
}

static void bring_closed(struct sim_world *w, struct sim_call *c)
{
    struct sim_end *e = c->end;
    struct sim_node *n = e->node;
    if (!n || e->id.gen == 0)
        return;
    struct ferry_event ev = {
        .type = FERRY_EV_CLOSED, .who = e->id, .status = c->event.status, .text = c->event.text};
    end_gone(e);
    sim_step(n, &ev);
}

/* The end hears CLOSED after `delay`. */
static void close_end(struct sim_end *e, ferry_nsec delay, int32_t status, const char *text)
{
    if (e->closing)
        return;
    e->closing = true;
    if (e->id.gen == 0) { /* never adopted: nobody to tell */
        end_gone(e);
        return;
    }
    struct sim_call *c = sim_call(e->node->world, e->node, delay, bring_closed);
    c->end = e;
    c->event.status = status;
    c->event.text = text;
}

/* Both sides see a reset; what is under way is lost. */
static void reset(struct sim_end *e, ferry_nsec delay)
{
    struct sim_end *peer = e->peer;
    if (peer) {
        drop_inbox(peer);
        close_end(peer, delay, FERRY_E_TRANSPORT, "connection reset (simulated)");
    }
    drop_inbox(e);
    close_end(e, delay, FERRY_E_TRANSPORT, "connection reset (simulated)");
}

static void give(struct sim_end *e, const uint8_t *data, size_t len)
{
    struct ferry_event ev = {.type = FERRY_EV_RECEIVED, .who = e->id, .data = {data, len}};
    struct ferry_slab *s = e->slab;
    sim_hash(e->node->world, data, len);
    if (s) {
        FERRY_CHECK(len <= s->cap - s->len);
        memcpy(s->data + s->len, data, len);
        s->len += len;
        ev.data.data = NULL;
        if (s->len == s->cap)
            e->slab = NULL;
    }
    sim_step(e->node, &ev);
}

static void deliver_inbox(struct sim_world *w, struct sim_call *c)
{
    struct sim_end *e = c->end;
    while (e->node && e->node->engine && e->connected && !e->paused && !e->closing && e->id.gen &&
           !ferry_list_empty(&e->inbox)) {
        struct sim_chunk *k = FERRY_CONTAINER(e->inbox.next, struct sim_chunk, link);
        if (k->at > w->now)
            break;
        size_t n = k->len - k->taken;
        if (e->slab && n > e->slab->cap - e->slab->len)
            n = e->slab->cap - e->slab->len;
        if (e->tiny && n > 1)
            n = 1 + ferry_prng_below(&w->prng, 3) / 2;
        if (n > k->len - k->taken)
            n = k->len - k->taken;
        /* The chunk leaves the list before the step, which may close the connection under us. */
        const uint8_t *from = k->data + k->taken;
        k->taken += n;
        bool finished = k->taken == k->len, at_end = k->end;
        if (finished)
            ferry_list_remove(&k->link);
        if (n)
            give(e, from, n);
        if (finished)
            ferry_free(k);
        if (finished && at_end && e->node)
            close_end(e, 0, FERRY_OK, "closed by the peer");
    }
}

static void schedule_inbox(struct sim_end *e, ferry_nsec at)
{
    struct sim_world *w = e->node->world;
    sim_call(w, e->node, at > w->now ? at - w->now : 0, deliver_inbox)->end = e;
}

static ferry_nsec stalled_until(const struct sim_node *a, const struct sim_node *b)
{
    if (a->stalled_with == b)
        return a->stalled_until;
    return b->stalled_with == a ? b->stalled_until : 0;
}

static void put_chunk(struct sim_end *to, struct sim_node *from, const uint8_t *data, size_t len,
                      bool at_end)
{
    struct sim_world *w = to->node->world;
    struct sim_chunk *k = ferry_alloc(sizeof *k + len);
    FERRY_CHECK(k);
    if (to->node->deaf_to == from) {
        w->counts.drops++;
        ferry_free(k);
        return;
    }
    ferry_nsec at = w->now + latency(w), stall = stalled_until(to->node, from);
    if (at < stall)
        at = stall;
    if (at < to->last_arrival)
        at = to->last_arrival;
    *k = (struct sim_chunk){.at = at, .from = from, .end = at_end, .len = len};
    if (len)
        memcpy(k->data, data, len);
    to->last_arrival = at;
    ferry_list_push_back(&to->inbox, &k->link);
    w->counts.chunks++;
    schedule_inbox(to, at);
}

void sim_net_send(struct sim_node *n, const struct ferry_action *a, struct ferry_bytes whole)
{
    struct sim_world *w = n->world;
    struct sim_end *e = find_end(n, a->who);
    if (!e) /* gone already: an action about an id that is gone is ignored */
        return;
    sim_hash(w, whole.data, whole.len);
    struct sim_call *done =
        sim_call(w, n, ferry_prng_between(&w->prng, 0, FERRY_MS / 10), sim_bring);
    done->event = (struct ferry_event){.type = FERRY_EV_DRAINED, .who = a->who, .op = a->op};
    size_t at = 0;
    while (at < whole.len && e->peer && !e->closing) {
        size_t left = whole.len - at, n_bytes = left;
        if (left > 1 && ferry_prng_chance(&w->prng, 1, 3))
            n_bytes = 1 + ferry_prng_below(&w->prng, left);
        if (w->faults.cut && ferry_prng_chance(&w->prng, w->faults.cut, 1000)) {
            w->counts.cuts++;
            reset(e, latency(w));
            return;
        }
        put_chunk(e->peer, n, whole.data + at, n_bytes, false);
        at += n_bytes;
    }
}

/* Opening. */

static struct sim_node *node_at(struct sim_world *w, const struct ferry_addr *addr)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &w->nodes)
    {
        struct sim_node *n = FERRY_CONTAINER(it, struct sim_node, link);
        if (n->address == addr->ip[3])
            return n;
    }
    return NULL;
}

static struct sim_listener *listener_at(struct sim_node *n, uint16_t port)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &n->listeners)
    {
        struct sim_listener *l = FERRY_CONTAINER(it, struct sim_listener, link);
        if (l->port == port)
            return l;
    }
    return NULL;
}

static void bring_opened(struct sim_world *w, struct sim_call *c)
{
    struct sim_end *e = c->end;
    if (!e->node || e->closing)
        return;
    e->connected = true;
    struct ferry_event ev = {
        .type = FERRY_EV_OPENED, .who = e->id, .addrs = &e->peer_addr, .addr_count = 1};
    sim_step(e->node, &ev);
    if (e->node)
        deliver_inbox(w, c);
}

static void arrive(struct sim_world *w, struct sim_call *c)
{
    struct sim_end *e = c->end;
    if (!e->node || e->closing)
        return;
    struct sim_node *to = node_at(w, &c->addr);
    struct sim_listener *l = to && to->engine ? listener_at(to, c->addr.port) : NULL;
    if (!l || (w->faults.refuse && ferry_prng_chance(&w->prng, w->faults.refuse, 1000))) {
        w->counts.refused++;
        close_end(e, latency(w), FERRY_E_TRANSPORT, "connection refused (simulated)");
        return;
    }
    struct sim_end *far = new_end(to);
    far->handle = w->next_handle++;
    far->peer = e;
    far->connected = true;
    far->peer_addr = (struct ferry_addr){
        FERRY_INET4, {10, 0, 0, e->node->address}, (uint16_t)(30000 + far->handle % 30000)};
    e->peer = far;
    sim_call(w, e->node, latency(w), bring_opened)->end = e;
    struct ferry_event ev = {.type = FERRY_EV_ACCEPTED,
                             .who = l->id,
                             .handle = far->handle,
                             .addrs = &far->peer_addr,
                             .addr_count = 1};
    sim_step(to, &ev);
}

void sim_net_open(struct sim_node *n, const struct ferry_action *a)
{
    struct sim_end *e = new_end(n);
    e->id = a->who;
    e->peer_addr = a->addr;
    struct sim_node *to = node_at(n->world, &a->addr);
    ferry_nsec stall = to ? stalled_until(n, to) : 0, delay = latency(n->world);
    if (n->world->now + delay < stall)
        delay = stall - n->world->now;
    struct sim_call *c = sim_call(n->world, n, delay, arrive);
    c->end = e;
    c->addr = a->addr;
}

void sim_net_listen(struct sim_node *n, const struct ferry_action *a)
{
    struct sim_listener *l = ferry_zalloc(sizeof *l);
    FERRY_CHECK(l);
    l->id = a->who;
    l->port = a->addr.port ? a->addr.port : n->world->next_port++;
    ferry_list_push_back(&n->listeners, &l->link);
    struct sim_call *c = sim_call(n->world, n, 0, sim_bring);
    c->addr = (struct ferry_addr){FERRY_INET4, {10, 0, 0, n->address}, l->port};
    c->event = (struct ferry_event){
        .type = FERRY_EV_LISTENING, .who = a->who, .addrs = &c->addr, .addr_count = 1};
}

static struct sim_end *end_of_handle(struct sim_node *n, uint64_t handle)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &n->ends)
    {
        struct sim_end *e = FERRY_CONTAINER(it, struct sim_end, link);
        if (e->handle == handle && e->id.gen == 0)
            return e;
    }
    return NULL;
}

void sim_net_adopt(struct sim_node *n, const struct ferry_action *a)
{
    struct sim_end *e = end_of_handle(n, a->handle);
    if (!e) { /* reset in between: it is open and closed at once */
        struct sim_call *c = sim_call(n->world, n, 0, sim_bring);
        c->event = (struct ferry_event){
            .type = FERRY_EV_CLOSED, .who = a->who, .status = FERRY_E_TRANSPORT};
        return;
    }
    e->id = a->who;
    schedule_inbox(e, n->world->now);
}

void sim_net_refuse(struct sim_node *n, uint64_t handle)
{
    struct sim_end *e = end_of_handle(n, handle);
    if (!e)
        return;
    if (e->peer)
        close_end(e->peer, latency(n->world), FERRY_OK, "closed by the peer");
    close_end(e, 0, FERRY_OK, NULL);
}

static void close_by_owner(struct sim_node *n, struct sim_end *e)
{
    if (e->peer && !e->closing)
        put_chunk(e->peer, n, NULL, 0, true);
    drop_inbox(e);
    close_end(e, ferry_prng_between(&n->world->prng, 0, FERRY_MS / 10), FERRY_OK, NULL);
}

void sim_net_control(struct sim_node *n, const struct ferry_action *a)
{
    struct sim_end *e = find_end(n, a->who);
    if (!e) {
        struct ferry_link *it, *tmp;
        FERRY_LIST_EACH(it, tmp, &n->listeners)
        {
            struct sim_listener *l = FERRY_CONTAINER(it, struct sim_listener, link);
            if (a->type != FERRY_DO_CLOSE || !ferry_id_eq(l->id, a->who))
                continue;
            ferry_list_remove(&l->link);
            ferry_free(l);
            sim_call(n->world, n, 0, sim_bring)->event =
                (struct ferry_event){.type = FERRY_EV_CLOSED, .who = a->who};
        }
        return;
    }
    switch (a->type) {
    case FERRY_DO_RECEIVE_INTO:
        e->slab = a->slab;
        break;
    case FERRY_DO_PAUSE:
        e->paused = true;
        break;
    case FERRY_DO_RESUME:
        e->paused = false;
        schedule_inbox(e, n->world->now);
        break;
    default:
        close_by_owner(n, e);
    }
}

/* What the node had sent on connections that it closed itself. */
static void drop_sent(struct sim_node *n)
{
    struct ferry_link *it, *tmp, *at, *next;
    FERRY_LIST_EACH(it, tmp, &n->world->nodes)
    {
        struct sim_node *to = FERRY_CONTAINER(it, struct sim_node, link);
        FERRY_LIST_EACH(at, next, &to->ends)
        {
            struct sim_end *e = FERRY_CONTAINER(at, struct sim_end, link);
            if (ferry_list_empty(&e->inbox) ||
                FERRY_CONTAINER(e->inbox.next, struct sim_chunk, link)->from != n)
                continue;
            drop_inbox(e);
            close_end(e, latency(n->world), FERRY_E_TRANSPORT, "the peer is gone (simulated)");
        }
    }
}

void sim_net_drop_node(struct sim_node *n, bool crash)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &n->ends)
    {
        struct sim_end *e = FERRY_CONTAINER(it, struct sim_end, link);
        if (e->peer) {
            drop_inbox(e->peer);
            close_end(e->peer, latency(n->world), FERRY_E_TRANSPORT,
                      "the peer's process ended (simulated)");
        }
        end_gone(e);
    }
    if (crash)
        drop_sent(n);
    for (struct ferry_link *l; (l = ferry_list_pop_front(&n->listeners));)
        ferry_free(FERRY_CONTAINER(l, struct sim_listener, link));
}

void sim_node_cut(struct sim_node *n)
{
    struct ferry_link *it, *tmp;
    sim_world_note(n->world, "%s loses its connections", n->name);
    FERRY_LIST_EACH(it, tmp, &n->ends)
    {
        struct sim_end *e = FERRY_CONTAINER(it, struct sim_end, link);
        if (e->closing)
            continue;
        n->world->counts.cuts++;
        reset(e, 0);
    }
}

void sim_node_deafen(struct sim_node *n, struct sim_node *from)
{
    if (from)
        sim_world_note(n->world, "%s does not hear %s", n->name, from->name);
    else
        sim_node_cut(n);
    n->deaf_to = from;
}

void sim_pair_stall(struct sim_node *a, struct sim_node *b, ferry_nsec until)
{
    sim_world_note(a->world, "%s and %s hear nothing of each other for %lld us", a->name, b->name,
                   (long long)(until - a->world->now) / 1000);
    a->stalled_with = b;
    a->stalled_until = until;
}
