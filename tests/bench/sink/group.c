/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups of the classic protocol with exactly one member: everything is answered at once. */
#include "sink.h"

void find_coordinator(conn_t *c)
{
    int v = c->ver, fx = v >= 3;
    buf_t *b = &c->ob;
    size_t at = rsp_begin(c, fx);
    if (v >= 1)
        w_i32(b, 0);
    w_i16(b, 0);
    if (v >= 1)
        w_str(b, fx, NULL, 0);
    w_i32(b, 1);
    w_str(b, fx, "127.0.0.1", 9);
    w_i32(b, ports[0]);
    w_tags(b, fx);
    rsp_end(c, at, 0);
}

void join_group(conn_t *c, rd_t *r)
{
    int v = c->ver, n, ml, gl = 0, pl, bl;
    buf_t *b = &c->ob;
    r_str(r, 0, &n);
    r_i32(r);
    if (v >= 1)
        r_i32(r);
    const char *m = r_str(r, 0, &ml), *gi = NULL;
    if (v >= 5)
        gi = r_str(r, 0, &gl);
    r_str(r, 0, &n);
    int np = r_i32(r);
    const char *pn = r_str(r, 0, &pl), *md = r_bytes(r, 0, &bl);
    (void)np;
    if (!m || !ml) {
        m = "sink-member-1";
        ml = 13;
    }
    if (r->bad || !pn)
        return;
    size_t at = rsp_begin(c, 0);
    if (v >= 2)
        w_i32(b, 0);
    w_i16(b, 0);
    w_i32(b, 1); /* generation */
    w_str(b, 0, pn, pl);
    w_str(b, 0, m, ml); /* leader: the one member */
    w_str(b, 0, m, ml);
    w_i32(b, 1);
    w_str(b, 0, m, ml);
    if (v >= 5)
        w_str(b, 0, gi, gl);
    w_i32(b, bl);
    w_raw(b, md, bl);
    rsp_end(c, at, 0);
}

void sync_group(conn_t *c, rd_t *r)
{
    int v = c->ver, n, bl = 0;
    buf_t *b = &c->ob;
    r_str(r, 0, &n);
    r_i32(r);
    r_str(r, 0, &n);
    if (v >= 3)
        r_str(r, 0, &n);
    const char *as = NULL;
    if (r_i32(r) > 0) {
        r_str(r, 0, &n);
        as = r_bytes(r, 0, &bl);
    }
    size_t at = rsp_begin(c, 0);
    if (v >= 1)
        w_i32(b, 0);
    w_i16(b, 0);
    w_i32(b, as ? bl : 0);
    if (as)
        w_raw(b, as, bl);
    rsp_end(c, at, 0);
}

void simple_ok(conn_t *c, int throttle)
{
    size_t at = rsp_begin(c, 0);
    if (throttle)
        w_i32(&c->ob, 0);
    w_i16(&c->ob, 0);
    if (c->api == 13 && c->ver >= 3)
        w_i32(&c->ob, 0);
    rsp_end(c, at, 0);
}

void offset_fetch(conn_t *c, rd_t *r)
{
    int v = c->ver, fx = v >= 6, n;
    buf_t *b = &c->ob;
    r_str(r, fx, &n);
    size_t at = rsp_begin(c, fx);
    if (v >= 3)
        w_i32(b, 0);
    int nt = r_arr(r, fx);
    w_arr(b, fx, nt < 0 ? 0 : nt);
    for (int i = 0; i < nt && !r->bad; i++) {
        const char *s = r_str(r, fx, &n);
        w_str(b, fx, s, n);
        int np = r_arr(r, fx);
        w_arr(b, fx, np);
        for (int j = 0; j < np && !r->bad; j++) {
            w_i32(b, r_i32(r));
            w_i64(b, -1);
            if (v >= 5)
                w_i32(b, -1);
            w_str(b, fx, "", 0);
            w_i16(b, 0);
            w_tags(b, fx);
        }
        r_tags(r, fx);
        w_tags(b, fx);
    }
    if (v >= 2)
        w_i16(b, 0);
    w_tags(b, fx);
    rsp_end(c, at, 0);
}

void offset_commit(conn_t *c, rd_t *r)
{
    int v = c->ver, fx = v >= 8, n;
    buf_t *b = &c->ob;
    r_str(r, fx, &n);
    r_i32(r);
    r_str(r, fx, &n);
    if (v >= 7)
        r_str(r, fx, &n);
    if (v >= 2 && v <= 4)
        r_i64(r);
    size_t at = rsp_begin(c, fx);
    if (v >= 3)
        w_i32(b, 0);
    int nt = r_arr(r, fx);
    w_arr(b, fx, nt);
    for (int i = 0; i < nt && !r->bad; i++) {
        const char *s = r_str(r, fx, &n);
        w_str(b, fx, s, n);
        int np = r_arr(r, fx);
        w_arr(b, fx, np);
        for (int j = 0; j < np && !r->bad; j++) {
            w_i32(b, r_i32(r));
            r_i64(r);
            if (v >= 6)
                r_i32(r);
            r_str(r, fx, &n);
            r_tags(r, fx);
            w_i16(b, 0);
            w_tags(b, fx);
        }
        r_tags(r, fx);
        w_tags(b, fx);
    }
    w_tags(b, fx);
    rsp_end(c, at, 0);
}
