/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking requests off a connection. Produce is parsed as it comes in: headers of batches are counted, their records dropped
 * in the kernel; any other request is answered once it is whole.
 */
#define _GNU_SOURCE
#include "sink.h"

#include <errno.h>
#include <sys/socket.h>

/* What a state says of the bytes at hand: r->p is where it stopped. */
enum {
    PARSED,
    TAKEN,
    MORE,
    WAIT,
    DROP
}; /* PARSED: [start, r->p) is consumed; TAKEN: it did that itself */

static void produce_begin(conn_t *c, size_t size)
{
    st.reqs++;
    st.produce++;
    st.wire += size + 4;
    c->rb.len = 0;
    w_i32(&c->rb, 0);
    w_i32(&c->rb, c->corr);
    w_tags(&c->rb, c->flex);
    w_arr(&c->rb, c->flex, c->nt);
    c->left = size + 4;
    c->state = S_TOPIC;
}

static int on_head(conn_t *c, rd_t *r, size_t have)
{
    int n;
    const uint8_t *p = r->p;
    if (have < 4)
        return WAIT;
    size_t size = be32(p);
    if (size > (100u << 20) || size < 8)
        return DROP;
    if (have > size + 4)
        have = size + 4;
    r->p = p + 4;
    r->e = p + have;
    c->api = r_i16(r);
    c->ver = r_i16(r);
    c->corr = r_i32(r);
    r_str(r, 0, &n);
    int fx = c->ver >= flex_from(c->api);
    r_tags(r, fx);
    if (c->api == 0) {
        c->flex = fx;
        r_str(r, fx, &n);
        c->acks = r_i16(r);
        r_i32(r);
        c->nt = r_arr(r, fx);
        if (r->bad)
            return have == size + 4 ? DROP : WAIT;
        produce_begin(c, size);
        return PARSED;
    }
    if (have < size + 4) {
        /* make sure it will fit */
        if (size + 4 > c->icap) {
            c->in = realloc(c->in, size + 4);
            c->icap = size + 4;
        }
        return WAIT;
    }
    if (r->bad)
        return DROP;
    n = small_request(c, r->p, (size_t)(r->e - r->p));
    if (n)
        return n < 0 ? DROP : WAIT; /* WAIT: a parked Fetch */
    st.reqs++;
    c->ih += size + 4;
    return TAKEN;
}

static int on_topic(conn_t *c, rd_t *r)
{
    int n;
    const char *s = r_str(r, c->flex, &n);
    c->np = r_arr(r, c->flex);
    if (r->bad)
        return MORE;
    c->t = topic_get(s ? s : "", n);
    w_str(&c->rb, c->flex, s, n);
    w_arr(&c->rb, c->flex, c->np);
    c->state = S_PART;
    return PARSED;
}

static int on_part(conn_t *c, rd_t *r)
{
    c->part = r_i32(r);
    int64_t l = c->flex ? (int64_t)r_uv(r) - 1 : r_i32(r);
    if (r->bad)
        return MORE;
    c->rleft = l < 0 ? 0 : (size_t)l;
    if (c->part < 0 || c->part >= o_parts)
        return DROP;
    c->base = c->t->next[c->part];
    c->state = c->rleft ? S_BATCH : S_PARTEND;
    return PARSED;
}

/* Of the batch only the header is looked at, unless it is verified or kept. */
static int on_batch(conn_t *c, const uint8_t *p, size_t have)
{
    if (c->rleft < 61)
        return DROP;
    if (have < 61)
        return MORE;
    size_t tot = 12 + (size_t)be32(p + 8);
    if (tot < 61 || tot > c->rleft || p[16] != 2)
        return DROP;
    if ((o_verify || o_relay) && have < tot) {
        if (tot + 65536 > c->icap) {
            c->icap = tot + 65536;
            c->in = realloc(c->in, c->icap);
        }
        return MORE;
    }
    if (o_verify && crc32c(p + 21, tot - 21) != be32(p + 17))
        st.badcrc++;
    if (o_relay) {
        log_keep(c->t, c->part, p, (uint32_t)tot, be32(p + 57));
        fresh = 1;
    }
    st.batches++;
    st.records += be32(p + 57);
    c->t->next[c->part] += be32(p + 57);
    c->rleft -= tot;
    c->skip = tot;
    c->state = S_SKIP;
    return TAKEN;
}

static int on_skip(conn_t *c, size_t have)
{
    size_t use = have < c->skip ? have : c->skip;
    c->ih += use;
    c->left -= use;
    c->skip -= use;
    while (c->skip) { /* drop the rest in the kernel */
        ssize_t k = recv(c->fd, NULL, c->skip, MSG_TRUNC | MSG_DONTWAIT);
        if (k <= 0)
            return k < 0 && (errno == EAGAIN || errno == EINTR) ? WAIT : DROP;
        c->skip -= (size_t)k;
        c->left -= (size_t)k;
    }
    c->state = c->rleft ? S_BATCH : S_PARTEND;
    return TAKEN;
}

static void produce_end(conn_t *c)
{
    buf_t *b = &c->rb;
    w_i32(b, 0); /* throttle */
    w_tags(b, c->flex);
    if (c->acks) {
        size_t at = c->ob.len;
        uint32_t n = htonl((uint32_t)b->len - 4);
        memcpy(b->p, &n, 4);
        w_raw(&c->ob, b->p, b->len);
        seg_add(c, at, NULL, b->len);
    }
    c->state = S_HEAD;
}

static int on_part_end(conn_t *c, rd_t *r)
{
    int fx = c->flex, v = c->ver;
    buf_t *b = &c->rb;
    r_tags(r, fx);
    if (c->np == 1)
        r_tags(r, fx);
    if (c->np == 1 && c->nt == 1)
        r_tags(r, fx);
    if (r->bad)
        return MORE;
    w_i32(b, c->part);
    w_i16(b, 0);
    w_i64(b, c->base);
    w_i64(b, -1);
    if (v >= 5)
        w_i64(b, 0);
    if (v >= 8) {
        w_arr(b, fx, 0);
        w_str(b, fx, NULL, 0);
    }
    w_tags(b, fx);
    c->state = S_PART;
    if (--c->np == 0) {
        w_tags(b, fx);
        c->state = S_TOPIC;
        if (--c->nt == 0)
            produce_end(c);
    }
    return PARSED;
}

static int on_state(conn_t *c, rd_t *r, size_t have)
{
    switch (c->state) {
    case S_HEAD:
        return on_head(c, r, have);
    case S_TOPIC:
        return on_topic(c, r);
    case S_PART:
        return on_part(c, r);
    case S_BATCH:
        return on_batch(c, r->p, have);
    case S_SKIP:
        return on_skip(c, have);
    default:
        return on_part_end(c, r);
    }
}

int process(conn_t *c)
{
    for (;;) {
        size_t have = c->it - c->ih;
        const uint8_t *p = c->in + c->ih;
        if (c->hold_until)
            return 0;
        if (c->state != S_HEAD && have > c->left)
            have = c->left;
        rd_t r = {p, p + have, 0};
        switch (on_state(c, &r, have)) {
        case PARSED:
            c->ih += (size_t)(r.p - p);
            c->left -= (size_t)(r.p - p);
            continue;
        case TAKEN:
            continue;
        case MORE: /* the whole request is here, yet malformed? */
            return have == c->left ? -1 : 0;
        case WAIT:
            return 0;
        default:
            return -1;
        }
    }
}
