/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections: their lives, what is sent, and the end of the step. Frames are received in receive.c. */
#include "config.h"

#include "refbroker/handler/conn.h"

#include "base/check.h"
#include "base/mem.h"
#include "refbroker/handler/receive.h"
#include "refbroker/node_state.h"
#include "wire/codec.h"

enum { UNSENT_MAX = 1 << 20, SPARE_SLABS_MAX = 4 << 20, STALL_CROWDED_MS = 1000 };

static void on_timer(struct ferry_timer *, void *);

void broker_conns_init(struct broker_conns *cs)
{
    *cs = (struct broker_conns){.gen = 1};
    ferry_list_init(&cs->idle);
    ferry_list_init(&cs->stall);
    ferry_list_init(&cs->ready);
    ferry_list_init(&cs->hungry);
    broker_pool_init(&cs->pool, SPARE_SLABS_MAX);
    broker_requests_init(&cs->requests);
    cs->timer.fire = on_timer;
}

/* ---- coming and going ---- */

static int take_slot(struct broker_conns *cs, struct broker_conn *c)
{
    if (!cs->free_count) {
        if (!cs->slot_count)
            cs->slot_count = CONN_SLOT_FIRST;
        if (FERRY_GROW(cs->slots, cs->slot_cap, cs->slot_count + 1) ||
            FERRY_GROW(cs->free_slots, cs->free_cap, cs->slot_count + 1))
            return FERRY_E_NOMEM;
        cs->slots[cs->slot_count] = NULL;
        cs->free_slots[cs->free_count++] = (uint32_t)cs->slot_count++;
    }
    c->id.slot = cs->free_slots[--cs->free_count];
    c->id.gen = ++cs->gen ? cs->gen : ++cs->gen;
    cs->slots[c->id.slot] = c;
    cs->open++;
    return 0;
}

static struct broker_conn *find(const struct broker_conns *cs, struct ferry_id id)
{
    struct broker_conn *c =
        id.slot >= CONN_SLOT_FIRST && id.slot < cs->slot_count ? cs->slots[id.slot] : NULL;
    return c && c->id.gen == id.gen ? c : NULL;
}

static bool too_many(const struct broker_node *n, const struct ferry_addr *peer)
{
    const struct broker_settings *s = &n->config.now;
    if (n->conns.open >= (uint32_t)s->max_connections)
        return true;
    if (s->max_connections_per_ip == INT32_MAX || !peer)
        return false;
    int32_t same = 0;
    for (size_t i = CONN_SLOT_FIRST; i < n->conns.slot_count; i++)
        same += n->conns.slots[i] && !memcmp(n->conns.slots[i]->peer.ip, peer->ip, sizeof peer->ip);
    return same >= s->max_connections_per_ip;
}

/* Do requests wait for memory, or are they turned away for the want of it? */
static bool is_crowded(const struct broker_node *n)
{
    return n->conns.pool.held > (size_t)n->config.now.queued_max_request_bytes ||
           !ferry_list_empty(&n->conns.hungry);
}

/* How long a request may stop arriving: not long while others want the memory that it holds. */
static ferry_nsec stall_limit(const struct broker_node *n)
{
    ferry_nsec limit = n->config.now.request_stall_ms * FERRY_MS;
    return limit > STALL_CROWDED_MS * FERRY_MS && is_crowded(n) ? STALL_CROWDED_MS * FERRY_MS
                                                                : limit;
}

static void arm_timer(struct broker_node *n)
{
    struct broker_conns *cs = &n->conns;
    ferry_nsec at = FERRY_NEVER;
    if (!ferry_list_empty(&cs->idle)) {
        const struct broker_conn *c = FERRY_CONTAINER(cs->idle.next, struct broker_conn, idle);
        at = c->active_at + n->config.now.connections_max_idle_ms * FERRY_MS;
    }
    if (!ferry_list_empty(&cs->stall)) {
        const struct broker_conn *c = FERRY_CONTAINER(cs->stall.next, struct broker_conn, stall);
        ferry_nsec stalled = c->bytes_at + stall_limit(n);
        at = stalled < at ? stalled : at;
    }
    if (at == FERRY_NEVER)
        ferry_timer_cancel(&n->timers, &cs->timer);
    else if (!ferry_timer_armed(&cs->timer)) /* it may be early: then it looks again */
        ferry_timer_set(&n->timers, &cs->timer, at);
    else
        ferry_timer_set_earlier(&n->timers, &cs->timer, at);
}

void broker_conns_accept(struct broker_node *n, const struct ferry_event *ev)
{
    const struct ferry_addr *peer = ev->addr_count ? ev->addrs : NULL;
    struct broker_conn *c =
        n->phase == PHASE_SERVING && !too_many(n, peer) ? ferry_zalloc(sizeof *c) : NULL;
    if (c && take_slot(&n->conns, c)) {
        ferry_free(c);
        c = NULL;
    }
    struct ferry_action *a;
    if (!c) {
        a = ferry_act(n->out, FERRY_DO_CLOSE_HANDLE, ev->who);
        a->handle = ev->handle;
        return;
    }
    c->node = n;
    if (peer)
        c->peer = *peer;
    ferry_list_init(&c->requests);
    ferry_list_init(&c->sent);
    c->active_at = c->bytes_at = n->now;
    ferry_list_push_back(&n->conns.idle, &c->idle);
    n->conns.total++;
    a = ferry_act(n->out, FERRY_DO_ADOPT, c->id);
    a->handle = ev->handle;
    arm_timer(n);
}

void broker_conn_wake(struct broker_conn *c)
{
    if (!ferry_link_linked(&c->ready))
        ferry_list_push_back(&c->node->conns.ready, &c->ready);
}

void broker_conn_close(struct broker_conn *c, const char *why)
{
    if (c->closing)
        return;
    c->closing = true;
    broker_node_say(c->node, LOG_DEBUG, "connection %u is closed: %s", c->id.slot, why);
    ferry_act(c->node->out, FERRY_DO_CLOSE, c->id);
}

void broker_conns_close_all(struct broker_node *n)
{
    for (size_t i = CONN_SLOT_FIRST; i < n->conns.slot_count; i++)
        if (n->conns.slots[i])
            broker_conn_close(n->conns.slots[i], "the broker stops");
}

/* The requests of a connection that is gone: those that run find out by conn == NULL. */
static void drop_requests(struct broker_conn *c)
{
    struct ferry_link *l;
    while ((l = ferry_list_pop_front(&c->sent)))
        broker_request_free(FERRY_CONTAINER(l, struct broker_request, link));
    while ((l = ferry_list_pop_front(&c->requests))) {
        struct broker_request *r = FERRY_CONTAINER(l, struct broker_request, link);
        r->conn = NULL;
        if (r->state != REQUEST_RUNNING)
            broker_request_free(r);
        else if (r->cancel)
            r->cancel(r);
    }
}

static void destroy(struct broker_conn *c)
{
    struct broker_conns *cs = &c->node->conns;
    if (cs->privileged == c)
        cs->privileged = NULL;
    ferry_list_remove(&c->idle);
    ferry_list_remove(&c->stall);
    ferry_list_remove(&c->ready);
    ferry_list_remove(&c->hungry);
    ferry_slab_unref(c->frame);
    ferry_slab_unref(c->held);
    cs->slots[c->id.slot] = NULL;
    cs->free_slots[cs->free_count++] = c->id.slot;
    cs->open--;
    ferry_free(c);
}

void broker_conns_free(struct broker_node *n)
{
    struct broker_conns *cs = &n->conns;
    for (size_t i = CONN_SLOT_FIRST; i < cs->slot_count; i++) {
        struct broker_conn *c = cs->slots[i];
        if (c)
            destroy(c);
    }
    ferry_free(cs->slots);
    ferry_free(cs->free_slots);
    broker_requests_free(&cs->requests);
    broker_pool_free(&cs->pool);
}

static void on_timer(struct ferry_timer *t, void *context)
{
    struct broker_node *n = context;
    struct broker_conns *cs = FERRY_CONTAINER(t, struct broker_conns, timer);
    while (!ferry_list_empty(&cs->idle)) {
        struct broker_conn *c = FERRY_CONTAINER(cs->idle.next, struct broker_conn, idle);
        if (n->now - c->active_at < n->config.now.connections_max_idle_ms * FERRY_MS)
            break;
        ferry_list_remove(&c->idle);
        if (c->request_count || !ferry_list_empty(&c->sent) ||
            c->frame) { /* busy for long is not idle */
            c->active_at = n->now;
            ferry_list_push_back(&cs->idle, &c->idle);
        } else {
            broker_conn_close(c, "it was idle for connections.max.idle.ms");
        }
    }
    while (!ferry_list_empty(&cs->stall)) {
        struct broker_conn *c = FERRY_CONTAINER(cs->stall.next, struct broker_conn, stall);
        if (n->now - c->bytes_at < stall_limit(n))
            break;
        ferry_list_remove(&c->stall);
        broker_conn_close(c, "a request stopped arriving for refbroker.request.stall.ms");
    }
    arm_timer(n);
}

/* ---- answers ---- */

static void add_parts(struct broker_request *r, struct ferry_actions *out)
{
    const struct ferry_writer *w = &r->out;
    size_t at = 0;
    for (size_t i = 0; i < w->ref_count; i++) {
        if (w->refs[i].at > at)
            ferry_act_part(out, w->data + at, w->refs[i].at - at);
        at = w->refs[i].at;
        if (r->add_part)
            r->add_part(r, w->refs[i].bytes, out);
        else
            ferry_act_part(out, w->refs[i].bytes.data, w->refs[i].bytes.len);
    }
    if (w->len > at)
        ferry_act_part(out, w->data + at, w->len - at);
}

/* Sends every answer that is due, in one go. */
static void send_done(struct broker_conn *c)
{
    struct broker_node *n = c->node;
    bool begun = false;
    while (!ferry_list_empty(&c->requests) && !c->closing) {
        struct broker_request *r = FERRY_CONTAINER(c->requests.next, struct broker_request, link);
        if (r->state != REQUEST_DONE)
            break;
        ferry_list_remove(&r->link);
        c->request_count--;
        if (r->close_after) {
            broker_request_free(r);
            broker_conn_close(c, "its request cannot be answered");
            return;
        }
        if (r->silent) {
            broker_request_free(r);
            continue;
        }
        if (!begun) {
            begun = true;
            ferry_act(n->out, FERRY_DO_SEND, c->id)->op = ++n->conns.op;
        }
        add_parts(r, n->out);
        r->op = n->conns.op;
        r->state = REQUEST_SENT;
        c->unsent += ferry_writer_size(&r->out);
        ferry_list_push_back(&c->sent, &r->link);
    }
}

static void on_drained(struct broker_conn *c, uint64_t op)
{
    while (!ferry_list_empty(&c->sent)) {
        struct broker_request *r = FERRY_CONTAINER(c->sent.next, struct broker_request, link);
        if (r->op > op)
            break;
        ferry_list_remove(&r->link);
        c->unsent -= ferry_writer_size(&r->out);
        broker_request_free(r);
    }
    broker_conn_wake(c);
}

void broker_conns_event(struct broker_node *n, const struct ferry_event *ev)
{
    struct broker_conn *c = find(&n->conns, ev->who);
    if (!c)
        return;
    switch (ev->type) {
    case FERRY_EV_RECEIVED:
        broker_receive(c, ev);
        break;
    case FERRY_EV_DRAINED:
        on_drained(c, ev->op);
        break;
    case FERRY_EV_CLOSED:
        c->closing = true;
        drop_requests(c);
        destroy(c);
        break;
    default:
        break;
    }
}

/* ---- the end of the step ---- */

static bool may_start(const struct broker_conn *c, const struct broker_request *r)
{
    if (c->unsent >= UNSENT_MAX)
        return false;
    return c->running == 0 ||
           ((r->api->flags & API_PIPELINED) && c->running == c->running_pipelined);
}

static void start(struct broker_request *r)
{
    struct broker_conn *c = r->conn;
    struct broker_node *n = r->node;
    const struct ferry_msg *msg = ferry_api_request(r->wire);
    struct ferry_error err;
    r->state = REQUEST_RUNNING;
    c->running++;
    c->running_pipelined += (r->api->flags & API_PIPELINED) != 0;
    n->conns.request_total++;
    if (r->body.data) { /* none: an ApiVersions of a version from the future */
        r->input = ferry_arena_alloc(&r->arena, msg->size);
        int code = r->input
                       ? ferry_msg_decode(msg, r->version, r->body, 0, &r->arena, r->input, &err)
                       : FERRY_E_NOMEM;
        if (code) {
            broker_node_say(n, LOG_WARN, "a %s %d request cannot be read: %s",
                            ferry_api_name(r->api->key), r->version,
                            code == FERRY_E_NOMEM ? "no memory" : err.text);
            broker_finish(r, true);
            return;
        }
    }
    r->api->start(r);
}

/* An answer may come at once: then the connection is ready again, and its next request gets its turn behind others. */
static void start_more(struct broker_conn *c)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &c->requests)
    {
        struct broker_request *r = FERRY_CONTAINER(it, struct broker_request, link);
        if (r->state != REQUEST_WAITING)
            continue;
        if (!may_start(c, r))
            break;
        start(r);
    }
}

bool broker_conns_settle(struct broker_node *n)
{
    struct broker_conns *cs = &n->conns;
    bool any = broker_receive_feed(n);
    struct ferry_link *l;
    while ((l = ferry_list_pop_front(&cs->ready))) {
        struct broker_conn *c = FERRY_CONTAINER(l, struct broker_conn, ready);
        any = true;
        if (c->closing)
            continue;
        send_done(c);
        if (!c->closing)
            start_more(c);
        if (!c->closing)
            broker_receive_more(c);
    }
    if (any || is_crowded(n))
        arm_timer(n);
    return any;
}
