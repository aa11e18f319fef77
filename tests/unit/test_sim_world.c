/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* The simulator itself: two engines that talk, the same seed twice, cuts, and a spin that is
 * caught. */

#include "base/mem.h"
#include "ferry/error.h"
#include "tests/lib/tap.h"
#include "tests/sim/world.h"

/* Sends the numbers 0.. as bytes, a few at a time, to an echoing peer, and checks what comes back.
 */
struct talker {
    struct ferry_engine engine;
    bool server, spins;
    struct ferry_id conn;
    uint32_t next_gen;
    uint64_t op;
    uint8_t out[64];
    size_t echoed;
    uint8_t sent, expected;
    int closed, opened, wrong;
    ferry_nsec retry;
};

static void open_conn(struct talker *t, struct ferry_actions *out)
{
    t->conn = (struct ferry_id){1, ++t->next_gen};
    struct ferry_action *a = ferry_act(out, FERRY_DO_OPEN, t->conn);
    a->addr = (struct ferry_addr){FERRY_INET4, {10, 0, 0, 1}, 9092};
    t->expected = t->sent = 0;
}

static void say(struct talker *t, struct ferry_actions *out)
{
    for (size_t i = 0; i < sizeof t->out; i++)
        t->out[i] = t->sent++;
    ferry_act(out, FERRY_DO_SEND, t->conn)->op = ++t->op;
    ferry_act_part(out, t->out, sizeof t->out);
}

static void on_received(struct talker *t, const struct ferry_event *ev, struct ferry_actions *out)
{
    for (size_t i = 0; i < ev->data.len; i++) {
        t->wrong += ev->data.data[i] != t->expected++;
        t->echoed++;
    }
    if (t->server) { /* the world copies when it begins the action, right after this step */
        memcpy(t->out, ev->data.data, ev->data.len);
        ferry_act(out, FERRY_DO_SEND, ev->who)->op = ++t->op;
        ferry_act_part(out, t->out, ev->data.len);
    } else if (t->expected == t->sent) {
        say(t, out);
    }
}

static int talker_step(struct ferry_engine *e, const struct ferry_event *ev,
                       struct ferry_actions *out)
{
    struct talker *t = (struct talker *)e;
    switch (ev->type) {
    case FERRY_EV_DEADLINE:
        if (t->server && !t->next_gen++)
            ferry_act(out, FERRY_DO_LISTEN, (struct ferry_id){1000, 1})->addr.port = 9092;
        else if (!t->server && !t->conn.gen)
            open_conn(t, out);
        t->retry = FERRY_NEVER;
        break;
    case FERRY_EV_ACCEPTED:
        t->expected = 0;
        ferry_act(out, FERRY_DO_ADOPT, (struct ferry_id){2, ++t->next_gen})->handle = ev->handle;
        break;
    case FERRY_EV_OPENED:
        t->opened++;
        say(t, out);
        break;
    case FERRY_EV_RECEIVED:
        on_received(t, ev, out);
        break;
    case FERRY_EV_CLOSED:
        t->closed++;
        t->conn.gen = 0;
        t->retry = ev->now + 10 * FERRY_MS;
        break;
    default:
        break;
    }
    return 0;
}

static ferry_nsec talker_deadline(const struct ferry_engine *e)
{
    const struct talker *t = (const struct talker *)e;
    return t->spins ? 0 : t->server || t->conn.gen ? FERRY_NEVER : t->retry;
}

static const struct ferry_engine_ops talker_ops = {talker_step, talker_deadline};

static struct ferry_engine *start(struct sim_node *n, void *cookie)
{
    (void)n;
    struct talker *t = cookie;
    t->engine.ops = &talker_ops;
    t->conn.gen = 0;
    t->retry = FERRY_NEVER;
    if (t->server)
        t->next_gen = 0;
    return &t->engine;
}

static void stop(struct sim_node *n, struct ferry_engine *e, bool crashed, void *cookie)
{
    (void)n, (void)e, (void)crashed, (void)cookie;
}

static void deliver(struct sim_node *n, void *d, void *cookie)
{
    (void)n, (void)d, (void)cookie;
}

static const struct sim_node_ops node_ops = {start, stop, deliver};

static uint64_t run_once(uint64_t seed, uint32_t cut, struct talker *server, struct talker *client,
                         bool *ok)
{
    *server = (struct talker){.server = true};
    *client = (struct talker){0};
    struct sim_world *w = sim_world_new(seed);
    sim_world_faults(w)->cut = cut;
    sim_world_faults(w)->tiny = 300;
    struct sim_node *s = sim_node_add(w, "server", &node_ops, NULL, server);
    struct sim_node *c = sim_node_add(w, "client", &node_ops, NULL, client);
    sim_node_start(s);
    sim_node_start(c);
    *ok = sim_world_run(w, 2 * FERRY_SECOND);
    uint64_t hash = sim_world_hash(w);
    sim_world_free(w);
    return hash;
}

static void the_same_seed_gives_the_same_trace(void)
{
    struct talker server, client;
    bool ok;
    uint64_t first = run_once(5, 0, &server, &client, &ok);
    CHECK(ok);
    CHECK_INT(server.wrong + client.wrong, 0);
    CHECK(client.echoed > 10000);
    CHECK_INT(client.closed, 0);
    CHECK(run_once(5, 0, &server, &client, &ok) == first);
    CHECK(run_once(6, 0, &server, &client, &ok) != first);
}

static void cuts_close_both_ends_once(void)
{
    struct talker server, client;
    bool ok;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_once(seed, 5, &server, &client, &ok);
        CHECK(ok);
        CHECK(client.closed > 0);
        CHECK(client.closed - client.opened <= 0);
        CHECK_INT(server.wrong + client.wrong, 0);
    }
}

static void a_spin_is_caught(void)
{
    struct talker t = {.spins = true};
    struct sim_world *w = sim_world_new(1);
    sim_node_start(sim_node_add(w, "spinner", &node_ops, NULL, &t));
    CHECK(!sim_world_run(w, FERRY_SECOND));
    CHECK(strstr(sim_world_failure(w), "time stands still"));
    sim_world_free(w);
}

int main(void)
{
    TAP_RUN(the_same_seed_gives_the_same_trace);
    TAP_RUN(cuts_close_both_ends_once);
    TAP_RUN(a_spin_is_caught);
    return tap_done();
}
