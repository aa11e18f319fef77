/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names to addresses, never blocking the loop where there is a way not to:
 *   1. numeric addresses and "localhost" are answered at once;
 *   2. an application's hook, by a helper thread where there are any;
 *   3. c-ares, whose sockets are watched by the loop's epoll;
 *   4. without c-ares: getaddrinfo in a helper thread; without helper threads /etc/hosts alone.
 */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "drive/address.h"
#include "drive/clock.h"
#include "drive/internal.h"
#include "drive/thread.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/time.h>
#ifdef HAVE_CARES
#include <ares.h>
#endif

static void add(struct ferry_resolved *r, const struct ferry_addr *a)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->addrs[i].family == a->family && r->addrs[i].port == a->port &&
            !memcmp(r->addrs[i].ip, a->ip, sizeof a->ip))
            return;
    if (a->family && r->count < FERRY_RESOLVED_MAX)
        r->addrs[r->count++] = *a;
}

static void add_system(struct ferry_resolved *r, const struct sockaddr *from, socklen_t len,
                       uint16_t port)
{
    struct sockaddr_storage s = {0};
    memcpy(&s, from, len < sizeof s ? len : sizeof s);
    struct ferry_addr a = ferry_address_from_system(&s);
    if (port)
        a.port = port;
    add(r, &a);
}

/* Takes the result over. */
static void complete(struct ferry_loop *l, struct ferry_id who, uint64_t op, int32_t status,
                     struct ferry_resolved *r)
{
    if (!status && r && !r->count)
        status = FERRY_E_RESOLVE;
    ferry_loop_complete(l, &(struct ferry_completion){.type = FERRY_EV_RESOLVED,
                                                      .status = r ? status : FERRY_E_NOMEM,
                                                      .who = who,
                                                      .op = op,
                                                      .object = r,
                                                      .what = r ? NULL : "no memory"});
}

/* -- At once ------------------------------------------------------------------------------- */

static bool known_at_once(const char *host, uint16_t port, struct ferry_resolved *r)
{
    struct ferry_addr a;
    if (ferry_address_parse(host, port, &a)) {
        add(r, &a);
        return true;
    }
    if (strcasecmp(host, "localhost"))
        return false;
    ferry_address_parse("127.0.0.1", port, &a);
    add(r, &a);
    ferry_address_parse("::1", port, &a);
    add(r, &a);
    return true;
}

/* -- In a helper thread: the hook, or getaddrinfo ------------------------------------------ */

struct lookup_job {
    struct ferry_job job; /* first */
    int32_t (*hook)(void *, const char *, uint16_t, struct sockaddr_storage *, int32_t);
    void *hook_cookie; /* copied: the job may be left behind */
    struct ferry_resolved *result;
    struct ferry_id who;
    uint64_t op;
    int32_t status;
    uint16_t port;
    bool hosts_only; /* /etc/hosts, since nothing may block */
    char host[];
};

static void ask_hook(struct lookup_job *j)
{
    struct sockaddr_storage found[FERRY_RESOLVED_MAX];
    memset(found, 0, sizeof found);
    ferry_thread_callback_begin();
    int32_t n = j->hook(j->hook_cookie, j->host, j->port, found, FERRY_RESOLVED_MAX);
    ferry_thread_callback_end();
    for (int32_t i = 0; i < n && i < FERRY_RESOLVED_MAX; i++)
        add_system(j->result, (struct sockaddr *)&found[i], sizeof found[i], 0);
    if (n <= 0) {
        j->status = FERRY_E_RESOLVE;
        snprintf(j->result->text, sizeof j->result->text,
                 "the application's resolver has no address for %.100s", j->host);
    }
}

#ifndef HAVE_CARES
static void ask_system(struct lookup_job *j)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int rc = getaddrinfo(j->host, NULL, &hints, &list);
    for (struct addrinfo *i = list; i && !rc; i = i->ai_next)
        add_system(j->result, i->ai_addr, i->ai_addrlen, j->port);
    if (list)
        freeaddrinfo(list);
    if (rc) {
        j->status = FERRY_E_RESOLVE;
        snprintf(j->result->text, sizeof j->result->text, "%.90s: %.60s", j->host,
                 gai_strerror(rc));
    }
}

static void read_hosts_line(struct lookup_job *j, char *line)
{
    struct ferry_addr a;
    char *rest;
    line[strcspn(line, "#\n")] = 0;
    char *ip = strtok_r(line, " \t", &rest);
    if (!ip || !ferry_address_parse(ip, j->port, &a))
        return;
    for (char *name = strtok_r(NULL, " \t", &rest); name; name = strtok_r(NULL, " \t", &rest))
        if (!strcasecmp(name, j->host))
            add(j->result, &a);
}

static void read_hosts(struct lookup_job *j)
{
    char line[512];
    FILE *f = fopen("/etc/hosts", "re");
    while (f && fgets(line, sizeof line, f))
        read_hosts_line(j, line);
    if (f)
        fclose(f);
    if (j->result->count)
        return;
    j->status = FERRY_E_RESOLVE;
    snprintf(
        j->result->text, sizeof j->result->text,
        "%.60s is not in /etc/hosts; without c-ares and without a thread nothing else is asked",
        j->host);
}
#endif

static void lookup_run(struct ferry_job *job)
{
    struct lookup_job *j = (struct lookup_job *)job;
    if (j->hook)
        ask_hook(j);
#ifndef HAVE_CARES
    else if (j->hosts_only)
        read_hosts(j);
    else
        ask_system(j);
#endif
}

static void lookup_done(struct ferry_loop *l, struct ferry_job *job)
{
    struct lookup_job *j = (struct lookup_job *)job;
    complete(l, j->who, j->op, j->status, j->result);
    ferry_free(j);
}

static void lookup_abandon(struct ferry_job *job)
{
    struct lookup_job *j = (struct lookup_job *)job;
    ferry_free(j->result);
    ferry_free(j);
}

static void look_up_by_thread(struct ferry_loop *l, const struct ferry_action *a,
                              struct ferry_resolved *r)
{
    size_t len = strlen(a->path) + 1;
    struct lookup_job *j = ferry_zalloc(sizeof *j + len);
    if (!j) {
        ferry_free(r);
        complete(l, a->who, a->op, FERRY_E_NOMEM, NULL);
        return;
    }
    j->job = (struct ferry_job){.run = lookup_run, .done = lookup_done, .abandon = lookup_abandon};
    j->hook = l->hooks.resolve;
    j->hook_cookie = l->hooks.cookie;
    j->result = r;
    j->who = a->who;
    j->op = a->op;
    j->port = a->addr.port;
    j->hosts_only = !ferry_pool_threaded(l->pool);
    memcpy(j->host, a->path, len);
    ferry_pool_submit(l->pool, &j->job);
}

/* -- c-ares -------------------------------------------------------------------------------- */

#ifdef HAVE_CARES

struct resolver_watch {
    struct ferry_link link;
    int fd;
    uint32_t events; /* seen and not yet processed */
};

struct ferry_resolver {
    struct ferry_loop *loop;
    ares_channel channel;
    struct ferry_link watches;
    uint32_t pending; /* lookups under way */
    bool marked;
    bool failed; /* some lookup did: read the system's settings anew before the next */
    bool ending;
};

struct lookup {
    struct ferry_resolver *resolver;
    struct ferry_resolved *result;
    struct ferry_id who;
    uint64_t op;
    uint16_t port;
    char host[];
};

static struct resolver_watch *find_watch(struct ferry_resolver *r, int fd)
{
    struct ferry_link *n, *tmp;
    FERRY_LIST_EACH(n, tmp, &r->watches)
    {
        struct resolver_watch *w = FERRY_CONTAINER(n, struct resolver_watch, link);
        if (w->fd == fd)
            return w;
    }
    return NULL;
}

/* c-ares opened a socket, wants other readiness of it, or is about to close it. */
static void on_socket(void *cookie, ares_socket_t fd, int readable, int writable)
{
    struct ferry_resolver *r = cookie;
    struct resolver_watch *w = find_watch(r, fd);
    uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    if (!events) {
        if (!w)
            return;
        epoll_ctl(r->loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        ferry_list_remove(&w->link);
        ferry_free(w);
        return;
    }
    if (!w) {
        if (!(w = ferry_zalloc(sizeof *w)))
            return; /* the lookup ends by its time-out */
        w->fd = fd;
        ferry_list_push_back(&r->watches, &w->link);
    }
    ferry_loop_watch(r->loop, fd, (uint64_t)(fd + 1) << 32, events);
}

static void on_answer(void *cookie, int status, int timeouts, struct ares_addrinfo *info)
{
    struct lookup *k = cookie;
    struct ferry_resolver *r = k->resolver;
    r->pending--;
    for (struct ares_addrinfo_node *n = info ? info->nodes : NULL; n; n = n->ai_next)
        add_system(k->result, n->ai_addr, n->ai_addrlen, k->port);
    if (info)
        ares_freeaddrinfo(info);
    r->failed |= status != ARES_SUCCESS;
    if (status != ARES_SUCCESS)
        snprintf(k->result->text, sizeof k->result->text, "%.90s: %.60s", k->host,
                 ares_strerror(status));
    if (r->ending)
        ferry_free(k->result);
    else
        complete(r->loop, k->who, k->op, status == ARES_SUCCESS ? 0 : FERRY_E_RESOLVE, k->result);
    ferry_free(k);
}

static struct ferry_resolver *resolver_of(struct ferry_loop *l)
{
    /* The network may have come up, or changed, since resolv.conf was read. */
    if (l->resolver && l->resolver->failed && !l->resolver->pending)
        ferry_resolve_destroy(l);
    if (l->resolver)
        return l->resolver;
    struct ferry_resolver *r = ferry_zalloc(sizeof *r);
    if (!r)
        return NULL;
    r->loop = l;
    ferry_list_init(&r->watches);
    struct ares_options options = {
        .timeout = 2000, .tries = 4, .sock_state_cb = on_socket, .sock_state_cb_data = r};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (ares_library_init(ARES_LIB_INIT_ALL)) {
        ferry_free(r);
        return NULL;
    }
    if (ares_init_options(&r->channel, &options, mask) != ARES_SUCCESS) {
        ares_library_cleanup();
        ferry_free(r);
        return NULL;
    }
    return l->resolver = r;
}

static void look_up(struct ferry_loop *l, const struct ferry_action *a, struct ferry_resolved *res)
{
    struct ferry_resolver *r = resolver_of(l);
    size_t len = strlen(a->path) + 1;
    struct lookup *k = r ? ferry_zalloc(sizeof *k + len) : NULL;
    if (!k) {
        ferry_free(res);
        complete(l, a->who, a->op, FERRY_E_NOMEM, NULL);
        return;
    }
    *k = (struct lookup){
        .resolver = r, .result = res, .who = a->who, .op = a->op, .port = a->addr.port};
    memcpy(k->host, a->path, len);
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    r->pending++;
    ares_getaddrinfo(r->channel, k->host, NULL, &hints, on_answer, k);
}

void ferry_resolve_mark(struct ferry_loop *l, uint64_t key, uint32_t events)
{
    struct resolver_watch *w = l->resolver ? find_watch(l->resolver, (int)(key >> 32) - 1) : NULL;
    if (!w)
        return; /* closed since */
    w->events |= events;
    l->resolver->marked = true;
}

static void process_marked(struct ferry_resolver *r)
{
    /* Each call may add and remove watches, so the list is looked at from its beginning again. */
    bool found = true;
    while (found) {
        struct ferry_link *n, *tmp;
        found = false;
        FERRY_LIST_EACH(n, tmp, &r->watches)
        {
            struct resolver_watch *w = FERRY_CONTAINER(n, struct resolver_watch, link);
            uint32_t events = w->events;
            if (!events)
                continue;
            w->events = 0;
            bool in = events & (EPOLLIN | EPOLLERR | EPOLLHUP);
            ares_process_fd(r->channel, in ? w->fd : ARES_SOCKET_BAD,
                            events & EPOLLOUT ? w->fd : ARES_SOCKET_BAD);
            found = true;
            break;
        }
    }
}

void ferry_resolve_run(struct ferry_loop *l)
{
    struct ferry_resolver *r = l->resolver;
    if (!r || !r->pending)
        return;
    if (r->marked) {
        r->marked = false;
        process_marked(r);
    }
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* time-outs */
}

ferry_nsec ferry_resolve_deadline(const struct ferry_loop *l)
{
    struct timeval tv;
    if (!l->resolver || !l->resolver->pending || !ares_timeout(l->resolver->channel, NULL, &tv))
        return FERRY_NEVER;
    return ferry_clock_now() + (ferry_nsec)tv.tv_sec * FERRY_SECOND +
           ((ferry_nsec)tv.tv_usec + 1) * 1000;
}

void ferry_resolve_destroy(struct ferry_loop *l)
{
    struct ferry_resolver *r = l->resolver;
    if (!r)
        return;
    r->ending = true;
    ares_destroy(r->channel);
    while (!ferry_list_empty(&r->watches)) {
        struct ferry_link *n = ferry_list_pop_front(&r->watches);
        ferry_free(FERRY_CONTAINER(n, struct resolver_watch, link));
    }
    ares_library_cleanup();
    ferry_free(r);
    l->resolver = NULL;
}

#else

void ferry_resolve_mark(struct ferry_loop *l, uint64_t key, uint32_t events)
{
    FERRY_UNREACHABLE();
}

void ferry_resolve_run(struct ferry_loop *l)
{
}

ferry_nsec ferry_resolve_deadline(const struct ferry_loop *l)
{
    return FERRY_NEVER;
}

void ferry_resolve_destroy(struct ferry_loop *l)
{
}

#endif

void ferry_resolve_execute(struct ferry_loop *l, const struct ferry_action *a)
{
    struct ferry_resolved *r = ferry_zalloc(sizeof *r);
    if (!r || !a->path) {
        ferry_free(r);
        complete(l, a->who, a->op, FERRY_E_RESOLVE, NULL);
        return;
    }
    bool hooked = l->hooks.resolve;
    if (!hooked && known_at_once(a->path, a->addr.port, r)) {
        complete(l, a->who, a->op, 0, r);
        return;
    }
#ifdef HAVE_CARES
    if (!hooked) {
        look_up(l, a, r);
        return;
    }
#endif
    look_up_by_thread(l, a, r);
}
