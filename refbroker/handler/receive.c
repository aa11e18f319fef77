/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 1. Bytes are looked at in order: while `held` has some, what comes goes behind them.
 * 2. A frame's slab is lent to the driver (RECEIVE_INTO) only with its cap set so that the frame's last byte is the
 *    last that fits; a frame that is nearly whole or small is copied from what the driver read.
 * 3. A connection is paused exactly while it has held bytes or waits for memory.
 */
#include "config.h"

#include "refbroker/handler/receive.h"

#include "base/check.h"
#include "refbroker/node_state.h"
#include "wire/frame.h"

enum {
    REQUESTS_MAX = 32,  /* per connection, not yet answered */
    FRAME_MIN = 8,      /* key, version, correlation id */
    SMALL_FRAME = 4096, /* never has to wait for memory */
    HINT_MAX =
        1
        << 20, /* a connection that sent such frames is trusted so far before its bytes are there */
    LEND_MIN = 32 * 1024 /* fewer missing bytes are not worth lending for */
};

static void pause(struct broker_conn *c)
{
    if (c->paused || c->closing)
        return;
    c->paused = true;
    ferry_act(c->node->out, FERRY_DO_PAUSE, c->id);
}

static void resume(struct broker_conn *c)
{
    if (!c->paused || c->closing)
        return;
    c->paused = false;
    ferry_act(c->node->out, FERRY_DO_RESUME, c->id);
}

/* May the connection take `extra` bytes more? If not, it waits in line. */
static bool may_take(struct broker_conn *c, size_t extra)
{
    struct broker_conns *cs = &c->node->conns;
    size_t bound = (size_t)c->node->config.now.queued_max_request_bytes;
    if (c->frame_size <= SMALL_FRAME || cs->privileged == c || cs->pool.held + extra <= bound)
        return true;
    if (!cs->privileged && ferry_list_empty(&cs->hungry) && cs->pool.held < 2 * bound) {
        cs->privileged = c;
        return true;
    }
    c->wants = extra;
    if (!ferry_link_linked(&c->hungry))
        ferry_list_push_back(&cs->hungry, &c->hungry);
    ferry_list_remove(&c->stall); /* it is not the peer that stalls */
    return false;
}

/* Makes room in the frame's slab for at least `need` bytes of it. */
static bool grow_frame(struct broker_conn *c, size_t need)
{
    struct broker_pool *pool = &c->node->conns.pool;
    size_t room = c->frame ? broker_pool_room(c->frame) : 0;
    if (need <= room)
        return true;
    size_t want = need > 2 * room ? need : 2 * room;
    if (want < c->frame_hint)
        want = c->frame_hint;
    if (want > c->frame_size)
        want = c->frame_size;
    if (!may_take(c, want - room))
        return false;
    struct ferry_slab *s =
        c->frame ? broker_pool_grow(pool, c->frame, want) : broker_pool_get(pool, want);
    if (!s) {
        broker_conn_close(c, "no memory for its request");
        return false;
    }
    c->frame = s;
    return true;
}

static void end_frame(struct broker_conn *c)
{
    struct broker_node *n = c->node;
    struct ferry_slab *s = c->frame;
    struct ferry_request_head head;
    struct ferry_error err;
    if (c->frame_size > c->frame_hint)
        c->frame_hint = c->frame_size < HINT_MAX ? c->frame_size : HINT_MAX;
    if (n->conns.privileged == c)
        n->conns.privileged = NULL;
    s->cap = broker_pool_room(s);
    c->frame = NULL;
    c->head_len = 0;
    ferry_list_remove(&c->stall);
    c->active_at = n->now;
    ferry_list_remove(&c->idle);
    ferry_list_push_back(&n->conns.idle, &c->idle);

    int code = ferry_frame_parse_request((struct ferry_bytes){s->data, s->len}, &head, &err);
    const struct broker_api *api = code ? NULL : broker_api_find(head.key);
    bool served = api && head.known && head.version >= api->min && head.version <= api->max;
    bool versions = api && head.key == 18; /* ApiVersions answers whatever version is asked for */
    struct broker_request *r = served || versions ? broker_request_new(n) : NULL;
    if (!r) {
        ferry_slab_unref(s);
        if (!code && !served)
            broker_node_say(
                n, LOG_INFO,
                "a request with key %d version %d is not served; its connection is closed",
                head.key, head.version);
        broker_conn_close(c, code ? "its bytes are not a request" : "its request is not served");
        return;
    }
    r->conn = c;
    r->api = api;
    r->wire = ferry_api_find(head.key);
    r->version = served ? head.version : 0;
    r->correlation = head.correlation_id;
    r->slab = s;
    if (served) {
        r->client_id = head.client_id;
        r->body = head.body.data ? head.body : (struct ferry_bytes){s->data, 0};
    }
    ferry_list_push_back(&c->requests, &r->link);
    c->request_count++;
    broker_conn_wake(c);
}

/* The four bytes in front of a frame are there. */
static bool begin_frame(struct broker_conn *c)
{
    int64_t size =
        ferry_frame_length(c->head, 4, (size_t)c->node->config.now.socket_request_max_bytes);
    if (size < FRAME_MIN) {
        broker_conn_close(c, size == FERRY_E_TOO_LARGE
                                 ? "a request is larger than socket.request.max.bytes"
                                 : "its bytes are not a request");
        return false;
    }
    c->frame_size = (uint32_t)size;
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes what it can; returns how many bytes that was. Less than all of them: the connection is closing, has as many
 * requests as it may, or waits for memory. */
static size_t take(struct broker_conn *c, const uint8_t *data, size_t len)
{
    size_t at = 0;
    while (at < len && !c->closing && c->request_count < REQUESTS_MAX) {
        if (c->head_len < 4) {
            c->head[c->head_len++] = data[at++];
            if (c->head_len == 4 && !begin_frame(c))
                break;
            continue;
        }
        size_t have = c->frame ? c->frame->len : 0, some = least(c->frame_size - have, len - at);
        if (!grow_frame(c, have + some))
            break;
        memcpy(c->frame->data + have, data + at, some);
        c->frame->len += some;
        at += some;
        if (c->frame->len == c->frame_size)
            end_frame(c);
    }
    return at;
}

static void hold(struct broker_conn *c, const uint8_t *data, size_t len)
{
    struct broker_pool *pool = &c->node->conns.pool;
    size_t bound = (size_t)c->node->config.now.queued_max_request_bytes;
    if (pool->held + len > 2 * bound + SMALL_FRAME && len > SMALL_FRAME) {
        broker_conn_close(c, "queued.max.request.bytes is used up");
        return;
    }
    struct ferry_slab *s = c->held;
    if (s && s->len + len > broker_pool_room(s))
        s = broker_pool_grow(pool, s, s->len + len);
    else if (!s)
        s = broker_pool_get(pool, len);
    if (!s) {
        broker_conn_close(c, "no memory for its requests");
        return;
    }
    if (!c->held)
        c->held_at = 0;
    c->held = s;
    memcpy(s->data + s->len, data, len);
    s->len += len;
}

/* After bytes were taken: the driver gets the slab, or the connection its pause. */
static void go_on(struct broker_conn *c)
{
    struct broker_node *n = c->node;
    if (c->closing)
        return;
    if (c->held || ferry_link_linked(&c->hungry)) {
        pause(c);
        return;
    }
    if (c->frame || c->head_len) {
        c->bytes_at = n->now;
        ferry_list_remove(&c->stall);
        ferry_list_push_back(&n->conns.stall, &c->stall);
    }
    if (c->frame && c->frame_size - c->frame->len >= LEND_MIN) {
        if (c->frame->len == broker_pool_room(c->frame) && !grow_frame(c, c->frame->len + 1)) {
            pause(c);
            return;
        }
        c->frame->cap = least(broker_pool_room(c->frame), c->frame_size);
        c->lent = true;
        ferry_act(n->out, FERRY_DO_RECEIVE_INTO, c->id)->slab = c->frame;
    }
    resume(c);
}

void broker_receive(struct broker_conn *c, const struct ferry_event *ev)
{
    if (c->closing)
        return;
    c->node->conns.bytes_in += ev->data.data ? ev->data.len : ev->count;
    if (!ev->data.data) { /* into the slab that was lent */
        c->bytes_at = c->node->now;
        if (c->frame->len < c->frame->cap) {
            ferry_list_remove(&c->stall);
            ferry_list_push_back(&c->node->conns.stall, &c->stall);
            return;
        }
        c->lent = false;
        if (c->frame->len == c->frame_size)
            end_frame(c);
        go_on(c);
        return;
    }
    size_t taken =
        c->held || ferry_link_linked(&c->hungry) ? 0 : take(c, ev->data.data, ev->data.len);
    if (taken < ev->data.len && !c->closing)
        hold(c, ev->data.data + taken, ev->data.len - taken);
    go_on(c);
}

void broker_receive_more(struct broker_conn *c)
{
    if (!c->held || ferry_link_linked(&c->hungry))
        return;
    c->held_at += take(c, c->held->data + c->held_at, c->held->len - c->held_at);
    if (c->held_at == c->held->len) {
        ferry_slab_unref(c->held);
        c->held = NULL;
    }
    go_on(c);
}

bool broker_receive_feed(struct broker_node *n)
{
    struct broker_conns *cs = &n->conns;
    size_t bound = (size_t)n->config.now.queued_max_request_bytes;
    bool any = false;
    while (!ferry_list_empty(&cs->hungry)) {
        struct broker_conn *c = FERRY_CONTAINER(cs->hungry.next, struct broker_conn, hungry);
        if (cs->pool.held + c->wants > bound) {
            if (cs->privileged || cs->pool.held >= 2 * bound)
                break;
            cs->privileged = c;
        }
        ferry_list_remove(&c->hungry);
        any = true;
        if (c->held)
            broker_receive_more(c);
        else
            go_on(c);
        if (ferry_link_linked(&c->hungry)) /* still not enough */
            break;
    }
    return any;
}
