/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop over real sockets: an engine that echoes and an engine that talks to it, each in its own
 * loop, both driven by this thread. What is sent is a pattern that depends on the place in the
 * stream, so that lost, doubled or swapped bytes are seen.
 */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "drive/clock.h"
#include "drive/loop.h"
#include "tests/lib/tap.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS_MAX = 2048, WAIT_MAX_MS = 20000 };

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

/* -- An engine that does what the test's functions say ------------------------------------ */

struct peer {
    struct ferry_id id;
    uint64_t sent, received, wrong, drained_op, last_op;
    int opened, closed, drained;
    int32_t status;
    char text[256];
    struct ferry_slab *slab;
    uint8_t *echo; /* what is being sent back */
};

struct node {
    struct ferry_engine engine;
    struct ferry_loop *loop;
    uint16_t port;
    int listening, listener_closed, accepted, steps, deadlines, commands, worked;
    int32_t listen_status;
    ferry_nsec deadline, last_now;
    bool slab_mode, refuse, hold;
    size_t chunk; /* of a client's sends */
    uint64_t total;
    uint32_t peer_count;
    struct peer *peers;
    uint8_t *bytes; /* the pattern */
    int resolved;
    int32_t resolve_status;
    struct ferry_addr addrs[16];
    size_t addr_count;
    void (*on_event)(struct node *, const struct ferry_event *, struct ferry_actions *);
    bool backwards;
};

static struct peer *peer_of(struct node *n, struct ferry_id id)
{
    FERRY_CHECK(id.slot < PEERS_MAX);
    return &n->peers[id.slot];
}

static ferry_nsec node_deadline(const struct ferry_engine *e)
{
    return ((const struct node *)e)->deadline;
}

static void note_closed(struct node *n, const struct ferry_event *ev)
{
    struct peer *p = peer_of(n, ev->who);
    p->closed++;
    p->status = ev->status;
    snprintf(p->text, sizeof p->text, "%s", ev->text);
}

static int node_step(struct ferry_engine *e, const struct ferry_event *ev,
                     struct ferry_actions *out)
{
    struct node *n = (struct node *)e;
    n->steps++;
    n->backwards |= ev->now < n->last_now;
    n->last_now = ev->now;
    if (ev->type == FERRY_EV_DEADLINE) {
        n->deadlines++;
        n->deadline = FERRY_NEVER;
    } else if (ev->type == FERRY_EV_WORKED) {
        n->worked++;
    } else if (ev->type == FERRY_EV_RESOLVED) {
        n->resolved++;
        n->resolve_status = ev->status;
        n->addr_count = ev->addr_count;
        memcpy(n->addrs, ev->addrs, ev->addr_count * sizeof *ev->addrs);
    } else if (ev->type == FERRY_EV_DRAINED) {
        peer_of(n, ev->who)->drained++;
        peer_of(n, ev->who)->drained_op = ev->op;
    }
    n->on_event(n, ev, out);
    return 0;
}

static const struct ferry_engine_ops ops = {node_step, node_deadline};

typedef void event_function(struct node *, const struct ferry_event *, struct ferry_actions *);

static void node_start_with(struct node *n, event_function *on_event,
                            const struct ferry_hooks *hooks, uint32_t threads)
{
    memset(n, 0, sizeof *n);
    n->engine.ops = &ops;
    n->deadline = FERRY_NEVER;
    n->on_event = on_event;
    n->peers = ferry_zalloc(PEERS_MAX * sizeof *n->peers);
    struct ferry_loop_config config = {.root_fd = -1, .hooks = hooks, .pool_threads = threads};
    FERRY_CHECK(!ferry_loop_create(&n->loop, &n->engine, &config, NULL));
}

static void node_start(struct node *n, event_function *on_event, const struct ferry_hooks *hooks)
{
    node_start_with(n, on_event, hooks, 0);
}

static void node_stop(struct node *n)
{
    ferry_loop_destroy(n->loop);
    for (int i = 0; i < PEERS_MAX; i++) {
        ferry_slab_unref(n->peers[i].slab);
        ferry_free(n->peers[i].echo);
    }
    ferry_free(n->peers);
    ferry_free(n->bytes);
}

/* A command is what to do with the actions of its step. */
struct order {
    void (*run)(struct node *, struct ferry_actions *, void *);
    void *arg;
};

static void run_order(struct node *n, const struct ferry_event *ev, struct ferry_actions *out)
{
    struct order *o = ev->command;
    n->commands++;
    o->run(n, out, o->arg);
}

static void give(struct node *n, void (*run)(struct node *, struct ferry_actions *, void *),
                 void *arg)
{
    struct order o = {run, arg};
    FERRY_CHECK(!ferry_loop_command(n->loop, &o));
}

/* Runs both until the condition holds. false: it never did. */
#define UNTIL(a, b, cond)                                                                          \
    ({                                                                                             \
        ferry_nsec until_end = ferry_clock_now() + WAIT_MAX_MS * FERRY_MS;                         \
        while (!(cond) && ferry_clock_now() < until_end) {                                         \
            ferry_loop_run((a)->loop, 0);                                                          \
            ferry_loop_run((b)->loop, FERRY_MS);                                                   \
        }                                                                                          \
        (cond);                                                                                    \
    })

/* -- The echo -------------------------------------------------------------------------------- */

static struct ferry_addr loopback(uint16_t port)
{
    return (struct ferry_addr){.family = FERRY_INET4, .ip = {127, 0, 0, 1}, .port = port};
}

static void do_listen(struct node *n, struct ferry_actions *out, void *arg)
{
    struct ferry_action *a = ferry_act(out, FERRY_DO_LISTEN, (struct ferry_id){0, 1});
    a->addr = loopback(arg ? *(uint16_t *)arg : 0);
}

static void echo_back(struct node *n, const struct ferry_event *ev, struct ferry_actions *out)
{
    struct peer *p = peer_of(n, ev->who);
    p->received += ev->count;
    FERRY_CHECK(!p->echo); /* paused until it was sent */
    p->echo = ferry_memdup(ev->data.data, ev->data.len);
    struct ferry_action *a = ferry_act(out, FERRY_DO_SEND, ev->who);
    a->op = ++p->last_op;
    /* In two parts, one of them empty at times, and then nothing more until it is written. */
    ferry_act_part(out, p->echo, ev->data.len / 3);
    ferry_act_part(out, p->echo + ev->data.len / 3, ev->data.len - ev->data.len / 3);
    ferry_act(out, FERRY_DO_PAUSE, ev->who);
}

static void echo_event(struct node *n, const struct ferry_event *ev, struct ferry_actions *out)
{
    struct peer *p;
    switch (ev->type) {
    case FERRY_EV_COMMAND:
        run_order(n, ev, out);
        break;
    case FERRY_EV_LISTENING:
        n->listening++;
        n->listen_status = ev->status;
        n->port = ev->addrs[0].port;
        break;
    case FERRY_EV_ACCEPTED:
        n->accepted++;
        if (n->refuse) {
            ferry_act(out, FERRY_DO_CLOSE_HANDLE, ev->who)->handle = ev->handle;
            break;
        }
        p = &n->peers[++n->peer_count];
        p->id = (struct ferry_id){n->peer_count, 1};
        ferry_act(out, FERRY_DO_ADOPT, p->id)->handle = ev->handle;
        if (n->hold)
            ferry_act(out, FERRY_DO_PAUSE, p->id);
        break;
    case FERRY_EV_RECEIVED:
        echo_back(n, ev, out);
        break;
    case FERRY_EV_DRAINED:
        p = peer_of(n, ev->who);
        ferry_free(p->echo);
        p->echo = NULL;
        ferry_act(out, FERRY_DO_RESUME, ev->who);
        break;
    case FERRY_EV_CLOSED:
        if (ev->who.slot == 0)
            n->listener_closed++;
        note_closed(n, ev);
        break;
    default:
        break;
    }
}

/* -- The talker ------------------------------------------------------------------------------ */

static void send_more(struct node *n, struct peer *p, struct ferry_actions *out)
{
    uint64_t left = n->total - p->sent;
    size_t len = left < n->chunk ? (size_t)left : n->chunk;
    if (!len)
        return;
    struct ferry_action *a = ferry_act(out, FERRY_DO_SEND, p->id);
    a->op = ++p->last_op;
    ferry_act_part(out, n->bytes + p->sent, len);
    p->sent += len;
}

static void lend_slab(struct node *n, struct peer *p, struct ferry_actions *out)
{
    if (!n->slab_mode)
        return;
    if (!p->slab)
        p->slab = ferry_slab_new(1000 + p->id.slot);
    p->slab->len = 0;
    ferry_act(out, FERRY_DO_RECEIVE_INTO, p->id)->slab = p->slab;
}

static void check_bytes(struct peer *p, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p->wrong += data[i] != pattern(p->received + i);
    p->received += len;
}

static void talk_event(struct node *n, const struct ferry_event *ev, struct ferry_actions *out)
{
    struct peer *p =
        ev->type == FERRY_EV_COMMAND || ev->type == FERRY_EV_DEADLINE ? NULL : peer_of(n, ev->who);
    switch (ev->type) {
    case FERRY_EV_COMMAND:
        run_order(n, ev, out);
        break;
    case FERRY_EV_OPENED:
        p->opened++;
        p->wrong += ev->addrs[0].port == 0;
        lend_slab(n, p, out);
        send_more(n, p, out);
        break;
    case FERRY_EV_DRAINED:
        p->wrong += ev->op != p->last_op;
        send_more(n, p, out);
        break;
    case FERRY_EV_WORKED:
        send_more(n, p, out);
        break;
    case FERRY_EV_RECEIVED:
        if (ev->data.data) {
            check_bytes(p, ev->data.data, ev->data.len);
        } else {
            check_bytes(p, p->slab->data + p->slab->len - ev->count, ev->count);
            if (p->slab->len == p->slab->cap)
                lend_slab(n, p, out);
        }
        break;
    case FERRY_EV_CLOSED:
        note_closed(n, ev);
        break;
    default:
        break;
    }
}

static void do_open(struct node *n, struct ferry_actions *out, void *arg)
{
    uint32_t count = *(uint32_t *)arg;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = n->peer_count++;
        n->peers[slot].id = (struct ferry_id){slot, 7};
        ferry_act(out, FERRY_DO_OPEN, n->peers[slot].id)->addr = loopback(n->port);
    }
}

static void do_close(struct node *n, struct ferry_actions *out, void *arg)
{
    ferry_act(out, FERRY_DO_CLOSE, ((struct peer *)arg)->id);
}

static void talker_start(struct node *n, uint16_t port, uint64_t total, size_t chunk)
{
    node_start(n, talk_event, NULL);
    n->port = port;
    n->total = total;
    n->chunk = chunk;
    n->bytes = ferry_alloc(total ? total : 1);
    for (uint64_t i = 0; i < total; i++)
        n->bytes[i] = pattern(i);
}

static uint32_t finished(const struct node *n)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < n->peer_count; i++)
        done += n->peers[i].received == n->total && !n->peers[i].wrong;
    return done;
}

static bool start_echo(struct node *echo)
{
    node_start(echo, echo_event, NULL);
    give(echo, do_listen, NULL);
    return echo->listening == 1 && echo->listen_status == 0 && echo->port != 0;
}

static void round_trips(uint32_t count, uint64_t total, size_t chunk, bool slabs)
{
    struct node echo, talker;
    CHECK(start_echo(&echo));
    talker_start(&talker, echo.port, total, chunk);
    talker.slab_mode = slabs;
    give(&talker, do_open, &count);
    CHECK(UNTIL(&echo, &talker, finished(&talker) == count));
    CHECK_INT(echo.accepted, count);
    CHECK(!echo.backwards && !talker.backwards);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_INT(talker.peers[i].opened, 1);
        CHECK_INT(talker.peers[i].closed, 0);
        give(&talker, do_close, &talker.peers[i]);
        CHECK_INT(talker.peers[i].closed, 1);
        CHECK_INT(talker.peers[i].status, 0);
    }
    bool all_closed;
    CHECK(UNTIL(&echo, &talker, ({
        all_closed = true;
        for (uint32_t i = 1; i <= count; i++)
            all_closed &= echo.peers[i].closed == 1;
        all_closed;
    })));
    CHECK_INT(ferry_loop_counters(talker.loop)->bytes_in, (uint64_t)count * total);
    CHECK_INT(ferry_loop_counters(talker.loop)->bytes_out, (uint64_t)count * total);
    node_stop(&talker);
    node_stop(&echo);
}

static void echoes_byte_by_byte(void)
{
    round_trips(1, 2000, 1, false);
}

static void echoes_byte_by_byte_into_slabs(void)
{
    round_trips(1, 2500, 1, true);
}

static void echoes_much(void)
{
    round_trips(2, 24 << 20, 24 << 20, false);
}

static void echoes_much_into_slabs(void)
{
    round_trips(3, 5000011, 1 << 20, true);
}

static void echoes_on_many_connections(void)
{
    round_trips(400, 3000, 700, false);
}

/* -- Closing --------------------------------------------------------------------------------- */

static void connect_refused_is_closed_alone(void)
{
    struct node echo, talker;
    uint32_t one = 1;
    CHECK(start_echo(&echo));
    talker_start(&talker, echo.port, 10, 10);
    struct peer listener = {.id = {0, 1}};
    give(&echo, do_close, &listener);
    CHECK_INT(echo.listener_closed, 1);
    give(&talker, do_open, &one);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].closed));
    CHECK_INT(talker.peers[0].opened, 0);
    CHECK_INT(talker.peers[0].closed, 1);
    CHECK_INT(talker.peers[0].status, FERRY_E_TRANSPORT);
    CHECK(strstr(talker.peers[0].text, "127.0.0.1:") &&
          strstr(talker.peers[0].text, "Connection refused"));
    node_stop(&talker);
    node_stop(&echo);
}

static void a_taken_port_is_told(void)
{
    struct node one, two;
    CHECK(start_echo(&one));
    node_start(&two, echo_event, NULL);
    give(&two, do_listen, &one.port);
    CHECK_INT(two.listening, 0);
    CHECK_INT(two.listener_closed, 1);
    CHECK_INT(two.peers[0].status, FERRY_E_TRANSPORT);
    CHECK(strstr(two.peers[0].text, "in use"));
    node_stop(&two);
    node_stop(&one);
}

static void a_refused_handle_closes_the_peer(void)
{
    struct node echo, talker;
    uint32_t one = 1;
    CHECK(start_echo(&echo));
    echo.refuse = true;
    talker_start(&talker, echo.port, 10, 10);
    give(&talker, do_open, &one);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].closed));
    CHECK_INT(talker.peers[0].closed, 1);
    node_stop(&talker);
    node_stop(&echo);
}

static void do_open_then_close(struct node *n, struct ferry_actions *out, void *arg)
{
    uint32_t one = 1;
    do_open(n, out, &one);
    ferry_act(out, FERRY_DO_CLOSE, n->peers[0].id);
    ferry_act(out, FERRY_DO_CLOSE, n->peers[0].id);
    ferry_act(out, FERRY_DO_SEND, n->peers[0].id);
    ferry_act_part(out, "x", 1);
}

static void closing_while_connecting_is_told_once(void)
{
    struct node echo, talker;
    CHECK(start_echo(&echo));
    talker_start(&talker, echo.port, 10, 10);
    give(&talker, do_open_then_close, NULL);
    for (int i = 0; i < 20; i++) {
        ferry_loop_run(echo.loop, 0);
        ferry_loop_run(talker.loop, FERRY_MS);
    }
    CHECK_INT(talker.peers[0].closed, 1);
    CHECK_INT(talker.peers[0].opened, 0);
    CHECK_INT(talker.peers[0].drained, 0);
    node_stop(&talker);
    node_stop(&echo);
}

static void unsent_bytes_are_given_back_with_closed(void)
{
    struct node echo, talker;
    uint32_t one = 1;
    CHECK(start_echo(&echo));
    echo.hold = true; /* reads nothing: the sockets fill */
    talker_start(&talker, echo.port, 64 << 20, 64 << 20);
    give(&talker, do_open, &one);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].opened && echo.accepted));
    for (int i = 0; i < 20; i++) {
        ferry_loop_run(echo.loop, 0);
        ferry_loop_run(talker.loop, FERRY_MS);
    }
    CHECK_INT(talker.peers[0].drained, 0);
    uint64_t runs = ferry_loop_counters(talker.loop)->sends;
    ferry_loop_run(talker.loop, FERRY_MS);
    CHECK_INT(ferry_loop_counters(talker.loop)->sends, runs); /* a full socket is not tried again */
    give(&talker, do_close, &talker.peers[0]);
    CHECK_INT(talker.peers[0].closed, 1);
    CHECK_INT(talker.peers[0].drained, 0);
    node_stop(&talker);
    node_stop(&echo);
}

static void a_reset_is_told_even_while_paused(void)
{
    struct node echo, talker;
    CHECK(start_echo(&echo));
    echo.hold = true;
    talker_start(&talker, echo.port, 1, 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(echo.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(UNTIL(&echo, &talker, echo.accepted == 1));
    CHECK(send(fd, "abc", 3, MSG_NOSIGNAL) == 3);
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    CHECK(UNTIL(&echo, &talker, echo.peers[1].closed));
    CHECK_INT(echo.peers[1].closed, 1);
    CHECK_INT(echo.peers[1].status, FERRY_E_TRANSPORT);
    CHECK_INT(echo.peers[1].received, 0);
    node_stop(&talker);
    node_stop(&echo);
}

/* -- DRAINED, order, SIGPIPE ------------------------------------------------------------------ */

static void do_send_many(struct node *n, struct ferry_actions *out, void *arg)
{
    for (uint64_t op = 1; op <= 100; op++) {
        struct ferry_action *a = ferry_act(out, FERRY_DO_SEND, n->peers[0].id);
        a->op = op;
        n->peers[0].last_op = op;
        for (int i = 0; i < 5; i++)
            ferry_act_part(out, n->bytes + (op - 1) * 10 + (size_t)i * 2, 2);
    }
    ferry_act(out, FERRY_DO_SEND, n->peers[0].id)->op = n->peers[0].last_op = 101; /* of nothing */
}

static void many_sends_of_a_step_drain_as_one(void)
{
    struct node echo, talker;
    uint32_t one = 1;
    CHECK(start_echo(&echo));
    talker_start(&talker, echo.port, 1000, 0);
    give(&talker, do_open, &one);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].opened && echo.accepted));
    uint64_t sends = ferry_loop_counters(talker.loop)->sends;
    give(&talker, do_send_many, NULL);
    CHECK_INT(talker.peers[0].drained, 1); /* in the same call */
    CHECK_INT(talker.peers[0].drained_op, 101);
    CHECK(ferry_loop_counters(talker.loop)->sends - sends <= 9);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].received == 1000));
    CHECK_INT(talker.peers[0].wrong, 0);
    node_stop(&talker);
    node_stop(&echo);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void do_work_of_a_peer(struct node *n, struct ferry_actions *out, void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        ferry_act(out, FERRY_DO_WORK, n->peers[0].id)->work = nothing;
}

static void sends_for_work(int works, uint64_t least, uint64_t most)
{
    struct node echo, talker;
    uint32_t one = 1;
    FERRY_CHECK(start_echo(&echo));
    talker_start(&talker, echo.port, (uint64_t)works * 10, 0);
    give(&talker, do_open, &one);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].opened && echo.accepted));
    talker.chunk = 10;
    uint64_t sends = ferry_loop_counters(talker.loop)->sends;
    give(&talker, do_work_of_a_peer, &works);
    CHECK_INT(talker.worked, works);
    CHECK_INT(talker.peers[0].drained_op, works); /* on their way in the same call */
    sends = ferry_loop_counters(talker.loop)->sends - sends;
    CHECK(sends >= least && sends <= most);
    talker.peers[0].wrong = 0; /* DRAINED told of some while others were given already */
    CHECK(UNTIL(&echo, &talker, talker.peers[0].received == (uint64_t)works * 10));
    CHECK_INT(talker.peers[0].wrong, 0);
    node_stop(&talker);
    node_stop(&echo);
}

/* Ten things end together and each lets the engine send: one call for all; but what is ready does not wait for long rows. */
static void sends_of_several_completions_leave_together(void)
{
    sends_for_work(10, 1, 1);
    sends_for_work(320, 5, 20);
}

static volatile sig_atomic_t pipes;
static void on_pipe(int sig)
{
    pipes++;
}

static void do_push(struct node *n, struct ferry_actions *out, void *arg)
{
    ferry_act(out, FERRY_DO_SEND, n->peers[0].id)->op = ++n->peers[0].last_op;
    ferry_act_part(out, n->bytes, 10);
}

static void writing_to_the_dead_raises_no_signal(void)
{
    struct sigaction act = {.sa_handler = on_pipe}, old;
    sigaction(SIGPIPE, &act, &old);
    struct node echo, talker;
    uint32_t one = 1;
    CHECK(start_echo(&echo));
    talker_start(&talker, echo.port, 10, 10);
    give(&talker, do_open, &one);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].received == 10));
    struct peer other = {.id = {1, 1}};
    give(&echo, do_close, &other);
    /* The talker's loop does not look, so it writes into the closed connection, and again into the
     * reset. */
    for (int i = 0; i < 5; i++)
        give(&talker, do_push, NULL);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].closed));
    CHECK_INT(talker.peers[0].closed, 1);
    CHECK_INT(pipes, 0);
    sigaction(SIGPIPE, &old, NULL);
    node_stop(&talker);
    node_stop(&echo);
}

/* -- Out of descriptors ------------------------------------------------------------------------ */

static void no_descriptors_is_a_pause(void)
{
    struct node echo, talker;
    CHECK(start_echo(&echo));
    talker_start(&talker, echo.port, 1, 1);
    enum { CLIENTS = 8 };
    int fds[CLIENTS];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(echo.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(connect(fds[i], (struct sockaddr *)&to, sizeof to) == 0);
    }
    struct rlimit was, tight;
    getrlimit(RLIMIT_NOFILE, &was);
    tight = was;
    tight.rlim_cur = (rlim_t)fds[CLIENTS - 1] + 1;
    setrlimit(RLIMIT_NOFILE, &tight);
    for (int i = 0; i < 20; i++)
        ferry_loop_run(echo.loop, FERRY_MS);
    uint64_t pauses = ferry_loop_counters(echo.loop)->accept_pauses;
    int accepted = echo.accepted;
    setrlimit(RLIMIT_NOFILE, &was);
    CHECK_INT(accepted, 0);
    CHECK(pauses >= 1 && pauses <= 3); /* not one for each run */
    CHECK(UNTIL(&echo, &talker, echo.accepted == CLIENTS));
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    node_stop(&talker);
    node_stop(&echo);
}

/* -- Time, wakes, work, names ------------------------------------------------------------------ */

static void deadlines_are_kept(void)
{
    struct node n;
    node_start(&n, talk_event, NULL);
    CHECK(ferry_loop_deadline(n.loop) == FERRY_NEVER);
    ferry_nsec begin = ferry_clock_now();
    n.deadline = begin + 30 * FERRY_MS;
    while (!n.deadlines && ferry_clock_now() < begin + 5 * FERRY_SECOND)
        ferry_loop_run(n.loop, FERRY_SECOND);
    CHECK_INT(n.deadlines, 1);
    CHECK(ferry_clock_now() >= begin + 30 * FERRY_MS);
    /* A deadline is waited for in one sleep, give or take a stray wake. */
    CHECK(ferry_loop_counters(n.loop)->polls <= 3);
    node_stop(&n);
}

static void a_wake_ends_the_wait(void)
{
    struct node n;
    node_start(&n, talk_event, NULL);
    ferry_loop_wake(n.loop);
    ferry_loop_wake(n.loop);
    struct pollfd p = {.fd = ferry_loop_fd(n.loop), .events = POLLIN};
    CHECK_INT(poll(&p, 1, 0), 1);
    ferry_nsec begin = ferry_clock_now();
    CHECK_INT(ferry_loop_run(n.loop, 10 * FERRY_SECOND), 0);
    CHECK(ferry_clock_now() - begin < 5 * FERRY_SECOND);
    CHECK_INT(ferry_loop_counters(n.loop)->wakes, 1);
    CHECK_INT(poll(&p, 1, 0), 0);
    ferry_loop_wake(n.loop);
    CHECK_INT(poll(&p, 1, 0), 1);
    node_stop(&n);
}

static void add_one(void *arg)
{
    ++*(int *)arg;
}

static void do_work(struct node *n, struct ferry_actions *out, void *arg)
{
    for (int i = 0; i < 10; i++) {
        struct ferry_action *a = ferry_act(out, FERRY_DO_WORK, (struct ferry_id){1, 1});
        a->work = add_one;
        a->arg = (int *)arg + i;
    }
}

static void work_is_done(void)
{
    struct node n;
    int counts[10] = {0};
    node_start(&n, talk_event, NULL);
    give(&n, do_work, counts);
    CHECK_INT(n.worked, 10);
    for (int i = 0; i < 10; i++)
        CHECK_INT(counts[i], 1);
    node_stop(&n);
}

static void do_resolve(struct node *n, struct ferry_actions *out, void *arg)
{
    struct ferry_action *a = ferry_act(out, FERRY_DO_RESOLVE, (struct ferry_id){1, 1});
    a->path = arg;
    a->addr.port = 99;
}

static void resolve(struct node *n, const char *name)
{
    give(n, do_resolve, (void *)(uintptr_t)name);
}

static void names_known_at_once(void)
{
    struct node n;
    node_start(&n, talk_event, NULL);
    resolve(&n, "10.1.2.3");
    CHECK_INT(n.resolved, 1);
    CHECK_INT(n.resolve_status, 0);
    CHECK_INT(n.addr_count, 1);
    CHECK(n.addrs[0].family == FERRY_INET4 && n.addrs[0].ip[3] == 3 && n.addrs[0].port == 99);
    resolve(&n, "::1");
    CHECK(n.resolved == 2 && n.addrs[0].family == FERRY_INET6 && n.addrs[0].ip[15] == 1);
    resolve(&n, "localhost");
    CHECK(n.resolved == 3 && n.addr_count == 2 && n.addrs[0].ip[0] == 127);
    node_stop(&n);
}

static void a_name_that_is_none_fails(void)
{
    struct node n, idle;
    node_start(&n, talk_event, NULL);
    node_start(&idle, talk_event, NULL);
    resolve(&n, "no_such_host..invalid");
    CHECK(UNTIL(&idle, &n, n.resolved == 1));
    CHECK(n.resolve_status < 0);
    node_stop(&idle);
    node_stop(&n);
}

static int hooked[4];
static int32_t hook_resolve(void *cookie, const char *host, uint16_t port,
                            struct sockaddr_storage *out, int32_t max)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&out[0];
    hooked[0]++;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(port);
    return 1;
}
static int hook_socket(void *cookie, int domain, int type, int protocol)
{
    hooked[1]++;
    return socket(domain, type, protocol);
}
static int hook_connect(void *cookie, int fd, const struct sockaddr *to, uint32_t len,
                        const char *host)
{
    hooked[2] += fcntl(fd, F_GETFL) & O_NONBLOCK ? 1 : 100;
    return connect(fd, to, len);
}
static int hook_close(void *cookie, int fd)
{
    hooked[3]++;
    return close(fd);
}

static int gate[2];
static _Atomic bool entered;
static int32_t hook_blocks(void *cookie, const char *host, uint16_t port,
                           struct sockaddr_storage *out, int32_t max)
{
    char byte;
    atomic_store(&entered, true);
    return read(gate[0], &byte, 1) == 1 ? FERRY_E_RESOLVE : 0;
}

static int threads_of_process(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    while (d && readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A lookup that blocks is left behind: the loop ends without waiting for it. */
static void a_blocking_lookup_holds_up_nothing(void)
{
    struct ferry_hooks hooks = {.size = sizeof hooks, .resolve = hook_blocks};
    struct node n;
    CHECK(pipe(gate) == 0);
    node_start_with(&n, talk_event, &hooks, 1);
    give(&n, do_work, (int[10]){0}); /* the helper thread exists, and a sanitizer's own too */
    CHECK(UNTIL(&n, &n, n.worked == 10));
    int threads = threads_of_process();
    resolve(&n, "somewhere");
    CHECK(UNTIL(&n, &n, atomic_load(&entered)));
    ferry_nsec begin = ferry_clock_now();
    node_stop(&n);
    CHECK(ferry_clock_now() - begin < 5 * FERRY_SECOND);
    CHECK_INT(n.resolved, 0);
    CHECK(write(gate[1], "x", 1) == 1);
    while (threads_of_process() >= threads && ferry_clock_now() < begin + WAIT_MAX_MS * FERRY_MS)
        sched_yield();
    CHECK(threads_of_process() < threads);
}

static void hooks_are_asked(void)
{
    struct ferry_hooks hooks = {.size = sizeof hooks,
                                .resolve = hook_resolve,
                                .socket = hook_socket,
                                .connect = hook_connect,
                                .close = hook_close};
    struct node echo, talker;
    uint32_t one = 1;
    CHECK(start_echo(&echo));
    node_start(&talker, talk_event, &hooks);
    talker.port = echo.port;
    resolve(&talker, "somewhere");
    CHECK(UNTIL(&echo, &talker, talker.resolved == 1));
    CHECK(talker.addr_count == 1 && talker.addrs[0].ip[0] == 127 && talker.addrs[0].port == 99);
    give(&talker, do_open, &one);
    CHECK(UNTIL(&echo, &talker, talker.peers[0].opened));
    give(&talker, do_close, &talker.peers[0]);
    for (int i = 0; i < 4; i++)
        CHECK_INT(hooked[i], 1);
    node_stop(&talker);
    node_stop(&echo);
}

int main(void)
{
    TAP_RUN(echoes_byte_by_byte);
    TAP_RUN(echoes_byte_by_byte_into_slabs);
    TAP_RUN(echoes_much);
    TAP_RUN(echoes_much_into_slabs);
    TAP_RUN(echoes_on_many_connections);
    TAP_RUN(connect_refused_is_closed_alone);
    TAP_RUN(a_taken_port_is_told);
    TAP_RUN(a_refused_handle_closes_the_peer);
    TAP_RUN(closing_while_connecting_is_told_once);
    TAP_RUN(unsent_bytes_are_given_back_with_closed);
    TAP_RUN(a_reset_is_told_even_while_paused);
    TAP_RUN(many_sends_of_a_step_drain_as_one);
    TAP_RUN(sends_of_several_completions_leave_together);
    TAP_RUN(writing_to_the_dead_raises_no_signal);
    TAP_RUN(no_descriptors_is_a_pause);
    TAP_RUN(deadlines_are_kept);
    TAP_RUN(a_wake_ends_the_wait);
    TAP_RUN(work_is_done);
    TAP_RUN(names_known_at_once);
    TAP_RUN(a_name_that_is_none_fails);
    TAP_RUN(hooks_are_asked);
    TAP_RUN(a_blocking_lookup_holds_up_nothing);
    return tap_done();
}
