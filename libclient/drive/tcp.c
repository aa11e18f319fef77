/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections and listeners.
 *
 *   OPEN -> CONNECTING -> OPEN           LISTEN -> LISTENING           accept -> HANDED -> (ADOPT)
 * OPEN any of them -> CLOSED, where the object only waits for its CLOSED event to be fed
 *
 * Invariants:
 *  1. Readiness is edge-triggered: `readable` and `writable` stay true until a call said that there
 * is no more. So a pause, a resume and a full socket cost no epoll call.
 *  2. An object that is readable and not paused, or writable with something unsent, is in
 * loop->ready, or was served in this turn to the point where that is no longer so.
 *  3. A connection holds no buffer while nothing is unsent and nothing was lent.
 *  4. CLOSED is noted exactly once for each connection and listener that has an id, by shut(),
 * after the descriptor is closed and the references to files are given back.
 */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "drive/address.h"
#include "drive/clock.h"
#include "drive/internal.h"
#include "drive/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum tcp_state { TCP_CONNECTING, TCP_OPEN, TCP_LISTENING, TCP_HANDED, TCP_CLOSED };

enum {
    BOX_PARTS = 24,
    BOX_SPARES_MAX = 64,
    SEND_PARTS_MAX = 64,          /* of one system call */
    SEND_SHARE_MAX = 1024 * 1024, /* of one turn */
    FILE_SHARE_MAX = 256 * 1024,  /* of one sendfile */
    RECEIVE_SHARE_MAX = 512 * 1024,
    ACCEPT_SHARE_MAX = 64,
    BACKLOG = 4096
};
static const ferry_nsec accept_backoff = 100 * FERRY_MS;

struct out_part {
    const uint8_t *data;
    uint64_t len, offset, op;
    struct ferry_file *file; /* a reference; NULL for memory */
    bool last;               /* of its SEND */
};

struct ferry_outbox {
    struct ferry_outbox *next;
    uint32_t first, count;
    struct out_part parts[BOX_PARTS];
};

struct ferry_tcp {
    int fd;
    enum tcp_state state;
    bool readable, writable, paused;
    bool hung;    /* the peer will send no more, or the connection is broken: read on to the end */
    bool broken;  /* reset: close it even while paused */
    bool warming; /* a helper thread reads the file part that is next */
    bool warmed;
    bool drained_noted;
    struct ferry_id who;
    uint64_t handle;
    uint64_t drained_op;
    struct ferry_link ready, unsent;
    struct ferry_slab *slab; /* lent by the engine */
    struct ferry_outbox *out_first, *out_last;
    struct ferry_addr addr; /* the peer, or what is listened on */
    int32_t status;         /* why it was closed */
    int os_error;
    const char *reason;
};

static struct ferry_tcp *find(struct ferry_loop *l, struct ferry_id who)
{
    return ferry_ids_get(&l->streams, ferry_ids_key(who));
}

static int watch(struct ferry_loop *l, struct ferry_tcp *t, uint32_t events)
{
    return ferry_loop_watch(l, t->fd, ferry_ids_key(t->who), events);
}

static void make_ready(struct ferry_loop *l, struct ferry_tcp *t)
{
    if (!ferry_link_linked(&t->ready))
        ferry_list_push_back(&l->ready, &t->ready);
}

/* -- What is unsent ------------------------------------------------------------------------ */

static struct out_part *add_part(struct ferry_loop *l, struct ferry_tcp *t)
{
    struct ferry_outbox *b = t->out_last;
    if (!b || b->first + b->count == BOX_PARTS) {
        b = l->spare_boxes;
        if (b) {
            l->spare_boxes = b->next;
            l->spare_count--;
        } else if (!(b = ferry_alloc(sizeof *b))) {
            return NULL;
        }
        b->next = NULL;
        b->first = b->count = 0;
        if (t->out_last)
            t->out_last->next = b;
        else
            t->out_first = b;
        t->out_last = b;
    }
    struct out_part *p = &b->parts[b->first + b->count++];
    memset(p, 0, sizeof *p);
    return p;
}

static void drop_box(struct ferry_loop *l, struct ferry_tcp *t)
{
    struct ferry_outbox *b = t->out_first;
    t->out_first = b->next;
    if (!t->out_first)
        t->out_last = NULL;
    if (l->spare_count < BOX_SPARES_MAX) {
        b->next = l->spare_boxes;
        l->spare_boxes = b;
        l->spare_count++;
    } else {
        ferry_free(b);
    }
}

/* The first part is written out, or given up. */
static void drop_part(struct ferry_loop *l, struct ferry_tcp *t)
{
    struct ferry_outbox *b = t->out_first;
    struct out_part *p = &b->parts[b->first];
    if (p->file)
        ferry_disk_return(l, p->file);
    b->first++;
    if (--b->count == 0)
        drop_box(l, t);
}

/* `n` bytes of the first parts are written out. Returns whether a SEND ended. */
static bool consume(struct ferry_loop *l, struct ferry_tcp *t, uint64_t n)
{
    bool ended = false;
    l->counters.bytes_out += n;
    while (t->out_first) {
        struct out_part *p = &t->out_first->parts[t->out_first->first];
        if (p->len > n) {
            p->len -= n;
            if (p->file)
                p->offset += n;
            else
                p->data += n;
            return ended;
        }
        n -= p->len;
        if (p->last) {
            t->drained_op = p->op;
            ended = true;
        }
        drop_part(l, t);
    }
    FERRY_CHECK(n == 0);
    return ended;
}

/* -- The end ------------------------------------------------------------------------------- */

static void close_fd(struct ferry_loop *l, struct ferry_tcp *t)
{
    if (t->fd < 0)
        return;
    /* By hand: a forked child may hold the descriptor too, and then close alone would leave it
     * watched. */
    if (t->state != TCP_HANDED)
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, t->fd, NULL);
    if (l->hooks.close && t->state != TCP_LISTENING)
        l->hooks.close(l->hooks.cookie, t->fd);
    else
        close(t->fd);
    t->fd = -1;
}

static void release(struct ferry_loop *l, struct ferry_tcp *t)
{
    close_fd(l, t);
    while (t->out_first)
        drop_part(l, t);
    t->slab = NULL;
    ferry_list_remove(&t->ready);
    ferry_list_remove(&t->unsent);
}

static void shut(struct ferry_loop *l, struct ferry_tcp *t, int32_t status, int os_error,
                 const char *reason)
{
    FERRY_CHECK(t->state != TCP_CLOSED && t->state != TCP_HANDED);
    release(l, t);
    ferry_ids_remove(&l->streams, ferry_ids_key(t->who));
    t->state = TCP_CLOSED;
    t->status = status;
    t->os_error = os_error;
    t->reason = reason;
    l->counters.closed++;
    ferry_loop_complete(
        l, &(struct ferry_completion){.type = FERRY_EV_CLOSED, .who = t->who, .object = t});
}

static void shut_errno(struct ferry_loop *l, struct ferry_tcp *t, const char *reason)
{
    shut(l, t, errno == ENOMEM ? FERRY_E_NOMEM : FERRY_E_TRANSPORT, errno, reason);
}

void ferry_tcp_closed_event(struct ferry_tcp *t, struct ferry_event *ev, char *text, size_t size)
{
    char address[FERRY_ADDRESS_TEXT], system[96];
    ev->status = t->status;
    ev->text = text;
    if (t->os_error)
        snprintf(text, size, "%s %s: %s", t->reason, ferry_address_format(&t->addr, address),
                 strerror_r(t->os_error, system, sizeof system));
    else
        snprintf(text, size, "%s %s", t->reason, ferry_address_format(&t->addr, address));
}

void ferry_tcp_free(struct ferry_loop *l, struct ferry_tcp *t)
{
    if (l->serving == t)
        l->serving = NULL;
    ferry_free(t);
}

bool ferry_tcp_drained(struct ferry_loop *l, struct ferry_id who, uint64_t *op)
{
    struct ferry_tcp *t = find(l, who);
    if (!t)
        return false;
    t->drained_noted = false;
    *op = t->drained_op;
    return true;
}

/* -- Sending ------------------------------------------------------------------------------- */

/* Gathers memory parts up to a file part. *more: something follows them. */
static int gather(const struct ferry_tcp *t, struct iovec *iov, size_t *total, bool *more)
{
    int n = 0;
    *total = 0;
    *more = false;
    for (struct ferry_outbox *b = t->out_first; b; b = b->next)
        for (uint32_t i = b->first; i < b->first + b->count; i++) {
            const struct out_part *p = &b->parts[i];
            if (p->file || n == SEND_PARTS_MAX || *total >= SEND_SHARE_MAX) {
                *more = true;
                return n;
            }
            if (!p->len)
                continue;
            iov[n++] = (struct iovec){(void *)(uintptr_t)p->data, p->len};
            *total += p->len;
        }
    return n;
}

static ssize_t send_memory(struct ferry_loop *l, struct ferry_tcp *t, bool *short_write)
{
    struct iovec iov[SEND_PARTS_MAX];
    size_t total;
    bool more;
    int count = gather(t, iov, &total, &more);
    if (!count)
        return 0;
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    l->counters.sends++;
    ssize_t n = sendmsg(t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    *short_write = n >= 0 && (size_t)n < total;
    return n;
}

static ssize_t send_file(struct ferry_loop *l, struct ferry_tcp *t, const struct out_part *p)
{
    size_t len = p->len < FILE_SHARE_MAX ? p->len : FILE_SHARE_MAX;
    off_t at = (off_t)p->offset;
    struct ferry_sigpipe s;
    l->counters.sends++;
    ferry_sigpipe_hold(&s);
    ssize_t n = sendfile(t->fd, ferry_disk_fd(p->file), &at, len);
    int e = errno;
    ferry_sigpipe_release(&s);
    errno = e;
    if (n == 0) {
        errno = EIO; /* the file is shorter than the part said: the header is gone already, so
                        nothing else helps */
        return -1;
    }
    return n;
}

/* The peer takes no more, but what it sent before is still read: it may be the answers to what it
 * did take. */
static void fail_sending(struct ferry_loop *l, struct ferry_tcp *t)
{
    while (t->out_first)
        drop_part(l, t);
    t->writable = false;
    t->broken = t->hung = t->readable = true;
    make_ready(l, t);
}

/* false: nothing can be sent now. */
static bool send_some(struct ferry_loop *l, struct ferry_tcp *t, size_t *share, bool *ended)
{
    const struct out_part *p = &t->out_first->parts[t->out_first->first];
    bool short_write = false;
    ssize_t n;
    if (p->file) {
        uint64_t len = p->len < FILE_SHARE_MAX ? p->len : FILE_SHARE_MAX;
        if (!t->warmed && !ferry_disk_warm(l, p->file, p->offset, len, t->who)) {
            t->warming = true;
            return false;
        }
        t->warmed = false;
        n = send_file(l, t, p);
    } else {
        n = send_memory(l, t, &short_write);
    }
    if (n < 0) {
        if (errno == EINTR)
            return true;
        if (errno == EAGAIN)
            t->writable = false;
        else if (errno == EPIPE || errno == ECONNRESET)
            fail_sending(l, t);
        else
            shut_errno(l, t, p->file ? "send file to" : "send to");
        return false;
    }
    *share += (size_t)n;
    *ended |= consume(l, t, (uint64_t)n);
    if (short_write)
        t->writable = false;
    return true;
}

static void flush(struct ferry_loop *l, struct ferry_tcp *t)
{
    size_t share = 0;
    bool ended = false;
    while (t->state == TCP_OPEN && t->out_first && t->writable && !t->warming &&
           share < SEND_SHARE_MAX)
        if (!send_some(l, t, &share, &ended))
            break;
    if (t->state != TCP_OPEN)
        return;
    if (ended && !t->drained_noted) {
        t->drained_noted = true;
        ferry_loop_complete(l, &(struct ferry_completion){.type = FERRY_EV_DRAINED, .who = t->who});
    }
    if (t->out_first && t->writable && !t->warming)
        make_ready(l, t);
}

void ferry_tcp_flush(struct ferry_loop *l)
{
    struct ferry_link *n;
    while ((n = ferry_list_pop_front(&l->unsent)))
        flush(l, FERRY_CONTAINER(n, struct ferry_tcp, unsent));
}

void ferry_tcp_warmed(struct ferry_loop *l, struct ferry_id who)
{
    struct ferry_tcp *t = find(l, who);
    if (!t)
        return;
    t->warming = false;
    t->warmed = true;
    make_ready(l, t);
}

static void enqueue(struct ferry_loop *l, const struct ferry_action *a)
{
    struct ferry_tcp *t = find(l, a->who);
    if (!t || t->state == TCP_LISTENING)
        return;
    const struct ferry_part *parts = l->actions.parts + a->part_first;
    struct out_part *o = NULL;
    for (uint32_t i = 0; i < a->part_count || !o; i++) {
        if (!(o = add_part(l, t))) {
            shut(l, t, FERRY_E_NOMEM, ENOMEM, "send to");
            return;
        }
        o->op = a->op;
        if (i >= a->part_count)
            break; /* a SEND of nothing drains like any other */
        o->data = parts[i].data;
        o->len = parts[i].len;
        o->offset = parts[i].offset;
        if (!parts[i].file.gen)
            continue;
        o->file = ferry_disk_borrow(l, parts[i].file);
        if (!o->file) {
            o->len = 0;
            shut(l, t, FERRY_E_IO, EBADF, "send file to");
            return;
        }
    }
    o->last = true;
    if (!ferry_link_linked(&t->unsent))
        ferry_list_push_back(&l->unsent, &t->unsent);
}

/* -- Receiving ----------------------------------------------------------------------------- */

static ssize_t receive(struct ferry_loop *l, struct ferry_tcp *t, size_t *room)
{
    uint8_t *to;
    if (t->slab) {
        to = t->slab->data + t->slab->len;
        *room = t->slab->cap - t->slab->len;
    } else {
        if (!l->scratch && !(l->scratch = ferry_alloc(FERRY_SCRATCH_BYTES))) {
            errno = ENOMEM;
            return -1;
        }
        to = l->scratch;
        *room = FERRY_SCRATCH_BYTES;
    }
    ssize_t n;
    do {
        l->counters.receives++;
        n = recv(t->fd, to, *room, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n;
}

static void feed_received(struct ferry_loop *l, struct ferry_tcp *t, size_t n)
{
    struct ferry_event ev = {
        .type = FERRY_EV_RECEIVED, .who = t->who, .data = {l->scratch, n}, .count = n};
    l->counters.bytes_in += n;
    if (t->slab) {
        ev.data.data = NULL;
        t->slab->len += n;
        if (t->slab->len == t->slab->cap)
            t->slab = NULL;
    }
    ferry_loop_feed(l, &ev);
}

/* Reads a bounded share. The object may be gone afterwards: l->serving says. */
static void serve_reading(struct ferry_loop *l, struct ferry_tcp *t)
{
    size_t share = 0, room;
    while (l->serving == t && t->state == TCP_OPEN && t->readable && !t->paused) {
        if (share >= RECEIVE_SHARE_MAX || l->budget <= 0 || l->ended) {
            make_ready(l, t);
            return;
        }
        ssize_t n = receive(l, t, &room);
        if (n < 0) {
            if (errno == EAGAIN)
                t->readable = false;
            else
                shut_errno(l, t, "receive from");
        } else if (n == 0) {
            shut(l, t, FERRY_OK, 0, "closed by");
        } else {
            /* Fewer bytes than asked: there are no more, and what comes is a new edge. */
            if ((size_t)n < room && !t->hung)
                t->readable = false;
            share += (size_t)n;
            feed_received(l, t, (size_t)n);
        }
    }
}

static void lend(struct ferry_loop *l, const struct ferry_action *a)
{
    struct ferry_tcp *t = find(l, a->who);
    if (!t || t->state == TCP_LISTENING)
        return;
    t->slab = a->slab && a->slab->len < a->slab->cap ? a->slab : NULL;
}

/* -- Opening ------------------------------------------------------------------------------- */

static struct ferry_tcp *new_stream(struct ferry_loop *l, enum tcp_state state,
                                    const struct ferry_addr *addr)
{
    struct ferry_tcp *t = ferry_zalloc(sizeof *t);
    if (!t)
        return NULL;
    t->fd = -1;
    t->state = state;
    t->addr = *addr;
    return t;
}

/* An object under the engine's id, whatever becomes of it, so that CLOSED can be told. NULL ends
 * the loop. */
static struct ferry_tcp *begin(struct ferry_loop *l, const struct ferry_action *a,
                               enum tcp_state state)
{
    struct ferry_tcp *t = new_stream(l, state, &a->addr);
    if (!t || ferry_ids_put(&l->streams, ferry_ids_key(a->who), t)) {
        ferry_free(t);
        ferry_loop_end(l, FERRY_E_NOMEM);
        return NULL;
    }
    t->who = a->who;
    return t;
}

static void tune(struct ferry_loop *l, int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (l->config.send_buffer_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &l->config.send_buffer_bytes, sizeof(int32_t));
    if (l->config.receive_buffer_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &l->config.receive_buffer_bytes, sizeof(int32_t));
}

static int make_socket(struct ferry_loop *l, int family, bool hooked)
{
    if (!hooked || !l->hooks.socket)
        return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    int fd = l->hooks.socket(l->hooks.cookie, family, SOCK_STREAM, IPPROTO_TCP);
    if (fd < 0)
        return fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

static int call_connect(struct ferry_loop *l, int fd, const struct sockaddr_storage *s,
                        socklen_t len, const char *host)
{
    const struct sockaddr *to = (const struct sockaddr *)s;
    if (!l->hooks.connect)
        return connect(fd, to, len);
    return l->hooks.connect(l->hooks.cookie, fd, to, len, host ? host : "");
}

static void open_stream(struct ferry_loop *l, const struct ferry_action *a)
{
    struct sockaddr_storage s;
    socklen_t len = ferry_address_to_system(&a->addr, &s);
    struct ferry_tcp *t = begin(l, a, TCP_CONNECTING);
    if (!t)
        return;
    if (!len || a->profile) {
        shut(l, t, len ? FERRY_E_UNSUPPORTED : FERRY_E_INVALID, 0,
             len ? "no such security profile for" : "not an address:");
        return;
    }
    t->fd = make_socket(l, s.ss_family, true);
    if (t->fd < 0) {
        shut_errno(l, t, "make a socket for");
        return;
    }
    tune(l, t->fd);
    /* EINTR too leaves the connection under way. */
    if (call_connect(l, t->fd, &s, len, a->path) && errno != EINPROGRESS && errno != EINTR) {
        shut_errno(l, t, "connect to");
        return;
    }
    if (watch(l, t, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
        shut_errno(l, t, "watch the connection to");
}

static void serve_connecting(struct ferry_loop *l, struct ferry_tcp *t)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (!t->writable && !t->broken)
        return;
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        errno = error ? error : errno;
        shut_errno(l, t, "connect to");
        return;
    }
    t->state = TCP_OPEN;
    t->writable = true;
    l->counters.opened++;
    struct ferry_event ev = {
        .type = FERRY_EV_OPENED, .who = t->who, .addrs = &t->addr, .addr_count = 1, .text = ""};
    ferry_loop_feed(l, &ev);
}

/* -- Listening ----------------------------------------------------------------------------- */

static int bind_listener(struct ferry_loop *l, struct ferry_tcp *t)
{
    struct sockaddr_storage s;
    socklen_t len = ferry_address_to_system(&t->addr, &s);
    int on = 1, off = 0;
    if (!len) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    int fd = t->fd = make_socket(l, s.ss_family, false);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    tune(l, fd); /* accepted sockets inherit it */
    if (bind(fd, (struct sockaddr *)&s, len) || listen(fd, BACKLOG))
        return -1;
    len = sizeof s;
    if (getsockname(fd, (struct sockaddr *)&s, &len))
        return -1;
    if (t->addr.family == FERRY_INET4)
        t->addr = ferry_address_from_system(&s);
    else
        t->addr.port = ntohs(((struct sockaddr_in6 *)&s)->sin6_port);
    return watch(l, t, EPOLLIN | EPOLLET);
}

static void listen_at(struct ferry_loop *l, const struct ferry_action *a)
{
    struct ferry_tcp *t = begin(l, a, TCP_LISTENING);
    if (!t)
        return;
    if (a->profile) {
        shut(l, t, FERRY_E_UNSUPPORTED, 0, "no such security profile for");
        return;
    }
    if (bind_listener(l, t))
        shut_errno(l, t, "listen on");
    else
        ferry_loop_complete(l,
                            &(struct ferry_completion){.type = FERRY_EV_LISTENING, .who = t->who});
}

struct ferry_addr ferry_tcp_bound(struct ferry_loop *l, struct ferry_id who)
{
    struct ferry_tcp *t = find(l, who);
    return t ? t->addr : (struct ferry_addr){0};
}

/* Out of descriptors or memory: the edge is lost, so the listener is looked at again after a while.
 */
static void starve(struct ferry_loop *l, struct ferry_tcp *t)
{
    l->counters.accept_pauses++;
    if (ferry_list_empty(&l->starved))
        l->accept_again = l->now + accept_backoff;
    ferry_list_remove(&t->ready);
    ferry_list_push_back(&l->starved, &t->ready);
}

void ferry_tcp_unstarve(struct ferry_loop *l)
{
    struct ferry_link *n;
    if (ferry_list_empty(&l->starved) || l->now < l->accept_again)
        return;
    while ((n = ferry_list_pop_front(&l->starved)))
        ferry_list_push_back(&l->ready, n);
}

static void hand_over(struct ferry_loop *l, struct ferry_tcp *listener, int fd,
                      const struct sockaddr_storage *peer)
{
    struct ferry_addr addr = ferry_address_from_system(peer);
    struct ferry_tcp *t = new_stream(l, TCP_HANDED, &addr);
    uint64_t handle = ++l->last_handle;
    if (!t || ferry_ids_put(&l->handed, handle, t)) {
        ferry_free(t);
        close(fd);
        return;
    }
    t->fd = fd;
    t->handle = handle;
    l->counters.accepted++;
    struct ferry_event ev = {.type = FERRY_EV_ACCEPTED,
                             .who = listener->who,
                             .handle = handle,
                             .addrs = &addr,
                             .addr_count = 1};
    ferry_loop_feed(l, &ev);
}

static void serve_listening(struct ferry_loop *l, struct ferry_tcp *t)
{
    for (int i = 0; l->serving == t && t->state == TCP_LISTENING; i++) {
        if (i == ACCEPT_SHARE_MAX || l->budget <= 0 || l->ended) {
            make_ready(l, t);
            return;
        }
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        memset(&peer, 0, sizeof peer);
        int fd = accept4(t->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            hand_over(l, t, fd, &peer);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            starve(l, t);
            return;
        } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
            shut_errno(l, t, "accept on");
        } /* else that one connection failed before it was taken */
    }
}

static struct ferry_tcp *take_handed(struct ferry_loop *l, uint64_t handle)
{
    struct ferry_tcp *t = ferry_ids_get(&l->handed, handle);
    ferry_ids_remove(&l->handed, handle);
    return t;
}

static void adopt(struct ferry_loop *l, const struct ferry_action *a)
{
    struct ferry_tcp *t = take_handed(l, a->handle);
    if (!t)
        return;
    t->who = a->who;
    if (ferry_ids_put(&l->streams, ferry_ids_key(a->who), t)) {
        release(l, t);
        ferry_free(t);
        ferry_loop_end(l, FERRY_E_NOMEM);
        return;
    }
    t->state = TCP_OPEN;
    t->writable = true;
    if (watch(l, t, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
        shut_errno(l, t, "watch the connection from");
}

static void refuse(struct ferry_loop *l, uint64_t handle)
{
    struct ferry_tcp *t = take_handed(l, handle);
    if (t) {
        release(l, t);
        ferry_free(t);
    }
}

/* -- The loop's side ----------------------------------------------------------------------- */

static void pause_or_resume(struct ferry_loop *l, const struct ferry_action *a)
{
    struct ferry_tcp *t = find(l, a->who);
    if (!t || t->state == TCP_LISTENING)
        return;
    t->paused = a->type == FERRY_DO_PAUSE;
    if (!t->paused && (t->readable || t->hung))
        make_ready(l, t);
}

static void close_stream(struct ferry_loop *l, const struct ferry_action *a)
{
    struct ferry_tcp *t = find(l, a->who);
    if (!t)
        return;
    /* An answer given in the same step, such as a refusal, still gets its one try. */
    if (ferry_link_linked(&t->unsent)) {
        ferry_list_remove(&t->unsent);
        flush(l, t);
    }
    if (t->state != TCP_CLOSED)
        shut(l, t, FERRY_OK, 0, "closed by us:");
}

void ferry_tcp_execute(struct ferry_loop *l, const struct ferry_action *a)
{
    switch (a->type) {
    case FERRY_DO_OPEN:
        open_stream(l, a);
        break;
    case FERRY_DO_LISTEN:
        listen_at(l, a);
        break;
    case FERRY_DO_ADOPT:
        adopt(l, a);
        break;
    case FERRY_DO_CLOSE_HANDLE:
        refuse(l, a->handle);
        break;
    case FERRY_DO_SEND:
        enqueue(l, a);
        break;
    case FERRY_DO_RECEIVE_INTO:
        lend(l, a);
        break;
    case FERRY_DO_PAUSE:
    case FERRY_DO_RESUME:
        pause_or_resume(l, a);
        break;
    case FERRY_DO_CLOSE:
        close_stream(l, a);
        break;
    default:
        FERRY_UNREACHABLE();
    }
}

void ferry_tcp_mark(struct ferry_loop *l, uint64_t key, uint32_t events)
{
    struct ferry_tcp *t = ferry_ids_get(&l->streams, key);
    if (!t)
        return; /* closed since */
    if (events & (EPOLLIN | EPOLLRDHUP))
        t->readable = true;
    if (events & EPOLLOUT)
        t->writable = true;
    if (events & EPOLLRDHUP)
        t->hung = true;
    if (events & (EPOLLERR | EPOLLHUP))
        t->broken = t->hung = t->readable = true;
    make_ready(l, t);
}

void ferry_tcp_serve(struct ferry_loop *l)
{
    struct ferry_tcp *t = FERRY_CONTAINER(ferry_list_pop_front(&l->ready), struct ferry_tcp, ready);
    l->serving = t;
    if (t->state == TCP_CONNECTING)
        serve_connecting(l, t);
    if (l->serving == t && t->state == TCP_LISTENING)
        serve_listening(l, t);
    if (l->serving == t && t->state == TCP_OPEN && t->out_first)
        flush(l, t);
    if (l->serving == t && t->state == TCP_OPEN && t->broken && t->paused)
        shut(l, t, FERRY_E_TRANSPORT, ECONNRESET, "receive from");
    if (l->serving == t)
        serve_reading(l, t);
    l->serving = NULL;
}

void ferry_tcp_destroy(struct ferry_loop *l)
{
    struct ferry_tcp *t;
    while ((t = ferry_ids_any(&l->streams))) {
        ferry_ids_remove(&l->streams, ferry_ids_key(t->who));
        release(l, t);
        ferry_free(t);
    }
    while ((t = ferry_ids_any(&l->handed)))
        refuse(l, t->handle);
    while (l->spare_boxes) {
        struct ferry_outbox *b = l->spare_boxes;
        l->spare_boxes = b->next;
        ferry_free(b);
    }
    ferry_ids_free(&l->streams);
    ferry_ids_free(&l->handed);
    ferry_free(l->scratch);
}
