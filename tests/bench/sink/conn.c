/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections: what is read, what is to be sent, who waits. */
#define _GNU_SOURCE
#include "sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

conn_t *conns;
int ep, fresh;

void seg_add(conn_t *c, size_t off, const uint8_t *ext, size_t len)
{
    if (!len)
        return;
    if (c->nseg == c->cseg) {
        c->cseg = c->cseg ? c->cseg * 2 : 64;
        c->seg = realloc(c->seg, c->cseg * sizeof *c->seg);
    }
    c->seg[c->nseg++] = (struct seg){off, len, ext};
}

size_t rsp_begin(conn_t *c, int hdr_flex)
{
    size_t at = c->ob.len;
    w_i32(&c->ob, 0);
    w_i32(&c->ob, c->corr);
    w_tags(&c->ob, hdr_flex);
    return at;
}
void rsp_end(conn_t *c, size_t at, size_t extra)
{
    uint32_t n = htonl((uint32_t)(c->ob.len - at - 4 + extra));
    memcpy(c->ob.p + at, &n, 4);
    if (!extra)
        seg_add(c, at, NULL, c->ob.len - at);
}

int flush_out(conn_t *c)
{
    while (c->hseg < c->nseg) {
        struct iovec v[512];
        int n = 0;
        for (int i = c->hseg; i < c->nseg && n < 512; i++, n++) {
            struct seg *s = &c->seg[i];
            size_t o = i == c->hseg ? c->hoff : 0;
            v[n].iov_base = (void *)((s->ext ? s->ext : c->ob.p + s->off) + o);
            v[n].iov_len = s->len - o;
        }
        ssize_t w = writev(c->fd, v, n);
        if (w < 0) {
            if (errno == EAGAIN || errno == EINTR)
                break;
            return -1;
        }
        c->hoff += w;
        while (c->hseg < c->nseg && c->hoff >= c->seg[c->hseg].len)
            c->hoff -= c->seg[c->hseg++].len;
    }
    if (c->hseg == c->nseg) {
        c->hseg = c->nseg = 0;
        c->hoff = 0;
        c->ob.len = 0;
    }
    int want = c->hseg < c->nseg;
    if (want != c->want_out) {
        struct epoll_event ev = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
        c->want_out = want;
    }
    return 0;
}

void conn_close(conn_t *c)
{
    close(c->fd);
    for (conn_t **pp = &conns; *pp; pp = &(*pp)->next)
        if (*pp == c) {
            *pp = c->next;
            break;
        }
    free(c->in);
    free(c->ob.p);
    free(c->rb.p);
    free(c->seg);
    free(c);
}

/* Reads once and takes what came. 0: there may be more; 1: not now; -1: closed. */
static int read_some(conn_t *c)
{
    ssize_t n = 0;
    if (c->ih == c->it)
        c->ih = c->it = 0;
    else if (c->ih && c->icap - c->it < 4096) {
        memmove(c->in, c->in + c->ih, c->it - c->ih);
        c->it -= c->ih;
        c->ih = 0;
    }
    if (c->state == S_SKIP && c->ih == c->it && c->skip) {
        n = -2; /* process() drains the socket */
    } else {
        /* While a big payload is expected read little, so that most of it is dropped unread. */
        size_t room = c->icap - c->it;
        if (!o_verify && !o_relay && room > 4096)
            room = 4096;
        if (room == 0)
            return 1;
        n = read(c->fd, c->in + c->it, room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 1;
        if (n <= 0) {
            conn_close(c);
            return -1;
        }
        c->it += (size_t)n;
    }
    if (process(c) < 0) {
        conn_close(c);
        return -1;
    }
    return n == -2 && c->state == S_SKIP;
}

void on_conn(conn_t *c, unsigned ev)
{
    if ((ev & EPOLLOUT) && flush_out(c) < 0) {
        conn_close(c);
        return;
    }
    if (!(ev & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    for (int round = 0; round < 16; round++) {
        int end = read_some(c);
        if (end < 0)
            return;
        if (end)
            break;
        if (c->hold_until)
            return;
    }
    if (c->nseg > c->hseg && !c->want_out && flush_out(c) < 0)
        conn_close(c);
}

void conn_accept(int listener, int node)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn_t *c = calloc(1, sizeof *c);
    if (!c)
        die("out of memory");
    c->fd = fd;
    c->node = node;
    c->icap = 65536;
    c->in = malloc(c->icap);
    c->next = conns;
    conns = c;
    st.conns++;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

int conns_wait(int *held)
{
    int timeout = 1000;
    uint64_t now = 0;
    for (conn_t *c = conns; c; c = c->next)
        if (c->hold_until || c->parked) {
            uint64_t due = c->parked ? c->wait_end : c->hold_until;
            if (!now)
                now = now_ms();
            int d = due > now ? (int)(due - now) : 0;
            if (d < timeout)
                timeout = d;
        }
    *held = now != 0;
    return timeout;
}

void conns_wake(void)
{
    uint64_t now = now_ms();
    for (conn_t *c = conns, *nx; c; c = nx) {
        nx = c->next;
        if (c->parked && (fresh || c->wait_end <= now)) {
            c->final = c->wait_end <= now;
            if (process(c) < 0 || (c->nseg > c->hseg && flush_out(c) < 0))
                conn_close(c);
            continue;
        }
        if (c->hold_until && c->hold_until <= now) {
            c->hold_until = 0;
            if (flush_out(c) < 0 || process(c) < 0)
                conn_close(c);
            else if (c->nseg > c->hseg)
                flush_out(c);
        }
    }
    fresh = 0;
}
