/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetch and ListOffsets: every partition is a log of o_log_end records (or without end), or in relay mode what was produced. */
#include "sink.h"

/* A Fetch being answered. */
struct answer {
    conn_t *c;
    int v, fx;
    int64_t room;                /* bytes that the client still takes */
    size_t mark;                 /* of c->ob, what lies before is in pieces already */
    size_t extra, relayed, errs; /* bytes outside c->ob; bytes relayed; partitions in error */
};

/* What is to be sent of one partition: batches kept, or the served one so many times. */
struct share {
    int err;
    int64_t end, base, times;
    size_t bytes, first, count;
    log_t *log;
};

static struct share share_of(struct answer *a, const topic_t *t, int part, int64_t off,
                             int64_t most)
{
    struct share s = {.end = o_log_end ? o_log_end : ENDLESS, .base = off - off % o_batch};
    int64_t limit = most < a->room ? most : a->room;
    if (o_relay && t && part >= 0 && part < o_parts) {
        s.end = t->next[part];
        s.log = &t->log[part];
    }
    s.err = off < 0 || off > s.end || (o_relay && !s.log);
    a->errs += (size_t)s.err;
    if (s.log && !s.err) {
        s.first = log_find(s.log, off);
        while (s.first + s.count < s.log->n) {
            const kept_t *k = &s.log->v[s.log->head + s.first + s.count];
            if (s.count && s.bytes + k->len > (size_t)limit)
                break;
            s.count++;
            s.bytes += k->len;
            st.fetch_records += k->count;
        }
        a->relayed += s.bytes;
    } else if (!o_relay && !s.err && off < s.end) {
        int64_t available = (s.end - s.base + o_batch - 1) / o_batch;
        s.times = limit / (int64_t)served_len;
        if (!s.times && !a->extra)
            s.times = 1;
        if (s.times > available)
            s.times = available;
    }
    s.bytes += (size_t)s.times * served_len;
    return s;
}

static void write_share(struct answer *a, int part, const struct share *s)
{
    buf_t *b = &a->c->ob;
    w_i32(b, part);
    w_i16(b, s->err ? 1 : 0);
    w_i64(b, s->end);
    w_i64(b, s->end);
    if (a->v >= 5)
        w_i64(b, 0);
    w_arr(b, a->fx, 0); /* aborted transactions */
    if (a->v >= 11)
        w_i32(b, -1);
    if (a->fx)
        w_uv(b, s->bytes + 1);
    else
        w_i32(b, (int64_t)s->bytes);
    for (int64_t q = 0; q < s->times; q++) {
        w_i64(b, s->base + q * o_batch);
        seg_add(a->c, a->mark, NULL, b->len - a->mark);
        a->mark = b->len;
        seg_add(a->c, 0, served + 8, served_len - 8);
        a->extra += served_len - 8;
    }
    for (size_t q = 0; q < s->count; q++)
        w_raw(b, s->log->v[s->log->head + s->first + q].p,
              s->log->v[s->log->head + s->first + q].len);
    st.fetch_records += (uint64_t)(s->times * o_batch);
    st.fetch_bytes += s->bytes;
    w_tags(b, a->fx);
}

static void fetch_partition(struct answer *a, rd_t *r, const topic_t *t)
{
    int part = r_i32(r);
    if (a->v >= 9)
        r_i32(r);
    int64_t off = r_i64(r);
    if (a->v >= 12)
        r_i32(r);
    if (a->v >= 5)
        r_i64(r);
    int64_t most = r_i32(r);
    r_tags(r, a->fx);
    struct share s = share_of(a, t, part, off, most);
    a->room -= (int64_t)s.bytes;
    write_share(a, part, &s);
}

static void fetch_topic(struct answer *a, rd_t *r)
{
    buf_t *b = &a->c->ob;
    topic_t *t = NULL;
    if (a->v >= 13) {
        const uint8_t *id = r_raw(r, 16);
        if (id) {
            w_raw(b, id, 16);
            t = topic_by_id(id);
        }
    } else {
        int n;
        const char *s = r_str(r, a->fx, &n);
        if (s)
            t = topic_get(s, n);
        w_str(b, a->fx, s, n);
    }
    int np = r_arr(r, a->fx);
    w_arr(b, a->fx, np);
    for (int j = 0; j < np && !r->bad; j++)
        fetch_partition(a, r, t);
    r_tags(r, a->fx);
    w_tags(b, a->fx);
}

/* Sends the answer, now or (nothing to send) when a broker would. */
static void fetch_end(struct answer *a, size_t at, int wait)
{
    conn_t *c = a->c;
    c->parked = c->final = 0;
    st.fetch++;
    if (a->extra) {
        seg_add(c, a->mark, NULL, c->ob.len - a->mark);
        rsp_end(c, at, a->extra);
        return;
    }
    rsp_end(c, at, 0);
    if (!o_relay && wait > 0)
        c->hold_until = now_ms() + (uint64_t)(wait > 2000 ? 2000 : wait);
}

int fetch(conn_t *c, rd_t *r)
{
    struct answer a = {.c = c, .v = c->ver, .fx = c->ver >= 12};
    buf_t *b = &c->ob;
    size_t start = b->len;
    if (a.v <= 14)
        r_i32(r);
    int wait = r_i32(r);
    r_i32(r); /* min bytes */
    a.room = r_i32(r);
    r_i8(r);
    if (a.v >= 7) {
        r_i32(r);
        r_i32(r);
    }
    size_t at = a.mark = rsp_begin(c, a.fx);
    w_i32(b, 0);
    if (a.v >= 7) {
        w_i16(b, 0);
        w_i32(b, 0); /* session id 0: sessions not used */
    }
    int nt = r_arr(r, a.fx);
    w_arr(b, a.fx, nt);
    for (int i = 0; i < nt && !r->bad; i++)
        fetch_topic(&a, r);
    w_tags(b, a.fx);
    if (o_relay && !a.relayed && !a.errs && wait > 0 && !c->final && !r->bad) {
        b->len = start; /* parked: parsed again later */
        if (!c->parked)
            c->wait_end = now_ms() + (uint64_t)wait;
        c->parked = 1;
        return 1;
    }
    fetch_end(&a, at, wait);
    return 0;
}

void list_offsets(conn_t *c, rd_t *r)
{
    int v = c->ver, fx = v >= 6, n;
    buf_t *b = &c->ob;
    int64_t end = o_log_end ? o_log_end : ENDLESS;
    r_i32(r);
    if (v >= 2)
        r_i8(r);
    size_t at = rsp_begin(c, fx);
    if (v >= 2)
        w_i32(b, 0);
    int nt = r_arr(r, fx);
    w_arr(b, fx, nt);
    for (int i = 0; i < nt && !r->bad; i++) {
        const char *s = r_str(r, fx, &n);
        topic_t *t = s ? topic_get(s, n) : NULL;
        w_str(b, fx, s, n);
        int np = r_arr(r, fx);
        w_arr(b, fx, np);
        for (int j = 0; j < np && !r->bad; j++) {
            int part = r_i32(r);
            if (v >= 4)
                r_i32(r);
            int64_t ts = r_i64(r);
            if (o_relay && t && part >= 0 && part < o_parts)
                end = t->next[part];
            r_tags(r, fx);
            w_i32(b, part);
            w_i16(b, 0);
            w_i64(b, -1);
            w_i64(b, ts == -1 ? end : 0);
            if (v >= 4)
                w_i32(b, 0);
            w_tags(b, fx);
        }
        r_tags(r, fx);
        w_tags(b, fx);
    }
    w_tags(b, fx);
    rsp_end(c, at, 0);
}
