/* SPDX-License-Identifier: BSD-2-Clause */
/* The requests that name no records: versions, metadata, producer ids; and who answers which. */
#include "sink.h"

#include <stdio.h>

static void api_versions(conn_t *c)
{
    static const struct {
        int16_t key, min, max;
    } av[] = {{0, 3, 11}, {1, 4, 16}, {2, 1, 7},  {3, 0, 12}, {8, 2, 8},  {9, 1, 7}, {10, 0, 3},
              {11, 0, 5}, {12, 0, 3}, {13, 0, 3}, {14, 0, 3}, {18, 0, 3}, {22, 0, 4}};
    int n = sizeof av / sizeof *av;
    int v = c->ver > 3 ? 0 : c->ver;
    int fx = v >= 3;
    size_t at = rsp_begin(c, 0);
    w_i16(&c->ob, c->ver > 3 ? 35 : 0);
    w_arr(&c->ob, fx, n);
    for (int i = 0; i < n; i++) {
        w_i16(&c->ob, av[i].key);
        w_i16(&c->ob, av[i].min);
        w_i16(&c->ob, av[i].max);
        w_tags(&c->ob, fx);
    }
    if (v >= 1)
        w_i32(&c->ob, 0);
    w_tags(&c->ob, fx);
    rsp_end(c, at, 0);
}

static void metadata(conn_t *c, rd_t *r)
{
    int v = c->ver, fx = v >= 9;
    buf_t *b = &c->ob;
    topic_t *want[MAXTOPICS];
    int nw = 0, n = r_arr(r, fx);
    int all = v == 0 ? n == 0 : n < 0;
    for (int i = 0; i < n && !r->bad; i++) {
        const uint8_t *id = v >= 10 ? r_raw(r, 16) : NULL;
        int l;
        const char *s = r_str(r, fx, &l);
        r_tags(r, fx);
        topic_t *t = s ? topic_get(s, l) : id ? topic_by_id(id) : NULL;
        if (t && nw < MAXTOPICS)
            want[nw++] = t;
    }
    if (all)
        for (nw = 0; nw < ntopics; nw++)
            want[nw] = &topics[nw];
    size_t at = rsp_begin(c, fx);
    if (v >= 3)
        w_i32(b, 0);
    w_arr(b, fx, o_brokers);
    for (int i = 0; i < o_brokers; i++) {
        w_i32(b, i + 1);
        w_str(b, fx, "127.0.0.1", 9);
        w_i32(b, ports[i]);
        if (v >= 1)
            w_str(b, fx, NULL, 0);
        w_tags(b, fx);
    }
    if (v >= 2)
        w_str(b, fx, "sinkcluster", 11);
    if (v >= 1)
        w_i32(b, 1);
    w_arr(b, fx, nw);
    for (int i = 0; i < nw; i++) {
        topic_t *t = want[i];
        w_i16(b, 0);
        w_str(b, fx, t->name, t->nlen);
        if (v >= 10)
            w_raw(b, t->id, 16);
        if (v >= 1)
            w_i8(b, 0);
        w_arr(b, fx, o_parts);
        for (int p = 0; p < o_parts; p++) {
            int ldr = p % o_brokers + 1;
            w_i16(b, 0);
            w_i32(b, p);
            w_i32(b, ldr);
            if (v >= 7)
                w_i32(b, 0);
            w_arr(b, fx, 1);
            w_i32(b, ldr);
            w_arr(b, fx, 1);
            w_i32(b, ldr);
            if (v >= 5)
                w_arr(b, fx, 0);
            w_tags(b, fx);
        }
        if (v >= 8)
            w_i32(b, INT32_MIN);
        w_tags(b, fx);
    }
    if (v >= 8 && v <= 10)
        w_i32(b, INT32_MIN);
    w_tags(b, fx);
    rsp_end(c, at, 0);
}

static void init_pid(conn_t *c)
{
    static int64_t pid = 1000;
    int fx = c->ver >= 2;
    size_t at = rsp_begin(c, fx);
    w_i32(&c->ob, 0);
    w_i16(&c->ob, 0);
    w_i64(&c->ob, pid++);
    w_i16(&c->ob, 0);
    w_tags(&c->ob, fx);
    rsp_end(c, at, 0);
}

int small_request(conn_t *c, const uint8_t *p, size_t n)
{
    rd_t r = {p, p + n, 0};
    switch (c->api) {
    case 1:
        if (fetch(c, &r))
            return 1;
        break;
    case 2:
        list_offsets(c, &r);
        break;
    case 3:
        metadata(c, &r);
        break;
    case 8:
        offset_commit(c, &r);
        break;
    case 9:
        offset_fetch(c, &r);
        break;
    case 10:
        find_coordinator(c);
        break;
    case 11:
        join_group(c, &r);
        break;
    case 12:
        simple_ok(c, c->ver >= 1);
        break;
    case 13:
        simple_ok(c, c->ver >= 1);
        break;
    case 14:
        sync_group(c, &r);
        break;
    case 18:
        api_versions(c);
        return 0;
    case 22:
        init_pid(c);
        break;
    default:
        fprintf(stderr, "sink: unsupported api %d v%d\n", c->api, c->ver);
        return -1;
    }
    if (r.bad)
        fprintf(stderr, "sink: malformed request api %d v%d\n", c->api, c->ver);
    return r.bad ? -1 : 0;
}

int flex_from(int api)
{
    switch (api) {
    case 0:
        return 9;
    case 1:
        return 12;
    case 2:
        return 6;
    case 3:
        return 9;
    case 8:
        return 8;
    case 9:
        return 6;
    case 10:
        return 3;
    case 18:
        return 3;
    case 22:
        return 2;
    }
    return 99;
}
