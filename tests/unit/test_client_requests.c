/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Requests from submission to their one end: answers, time-outs, cancelling, cuts, throttling, controller and
 * coordinators, the statistics of it, closing, lost memory and chaos. */

#include "base/mem.h"
#include "client/statistics.h"
#include "ferry/kafka_errors.h"
#include "tests/lib/probe.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

/* -- Answers --------------------------------------------------------------------------------------------- */

static void asks_and_is_answered(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    puppet_call(&p, probe_submit, &a);
    CHECK(ferry_request_active(&a.request) && a.done == 0); /* nothing before the world's turn */
    puppet_do(&p, probe_submit, &b);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    CHECK_INT(a.version, 5);
    CHECK_INT(a.node, -1); /* a bootstrap broker */
    CHECK(a.sent && a.had_body && !a.frame);
    CHECK_INT(b.done, 1);
    CHECK_INT(p.opens, 1); /* one connection for both */
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.done, 2); /* submitted anew */
    puppet_end(&p);
}

static void answers_in_pieces(void)
{
    for (int chunk = 1; chunk < 8; chunk++) {
        struct puppet p;
        puppet_init(&p, NULL);
        p.handler = probe_list_groups;
        p.chunk = chunk;
        struct probe a = probe_to(FERRY_TO_ANY, 0);
        a.request.keep_frame = true;
        puppet_do(&p, probe_submit, &a);
        CHECK_INT(a.done, 1);
        CHECK_INT(a.status, 0);
        CHECK(a.frame && a.frame->len > 4);
        ferry_slab_unref(a.frame);
        puppet_end(&p);
    }
}

/* -- Time-outs, cancelling, cuts ------------------------------------------------------------------------- */

static void time_out_on_the_wire_closes(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_swallow;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    a.request.timeout = FERRY_SECOND;
    puppet_do(&p, probe_submit, &a);
    puppet_do(&p, probe_submit, &b);
    CHECK_INT(puppet_open_conns(&p, 0), 1);
    puppet_pass(&p, 999 * FERRY_MS);
    CHECK_INT(a.done, 0);
    puppet_pass(&p, 2 * FERRY_MS);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, FERRY_E_TIMED_OUT);
    CHECK(a.sent);
    CHECK_INT(b.done, 1);
    CHECK_INT(b.status, FERRY_E_TRANSPORT);
    CHECK_INT(puppet_open_conns(&p, 0), 0);
    CHECK_INT(p.client->counters.request_timeouts, 1);
    puppet_end(&p);
}

static void default_time_out_is_the_setting(void)
{
    struct puppet p;
    puppet_init(&p, "request.timeout.ms=300");
    p.handler = probe_swallow;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
    puppet_pass(&p, 299 * FERRY_MS);
    CHECK_INT(a.done, 0);
    puppet_pass(&p, FERRY_MS);
    CHECK_INT(a.status, FERRY_E_TIMED_OUT);
    puppet_end(&p);
}

static void memory_stays_until_drained(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a); /* connects */
    p.hold_drained = true;
    puppet_do(&p, probe_submit, &b); /* answered before its bytes are reported written */
    CHECK_INT(b.done, 0);
    puppet_drain(&p);
    CHECK_INT(b.done, 1);
    CHECK_INT(b.status, 0);
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.done, 1);
    puppet_cut(&p, puppet_conn_to(&p, 0), FERRY_E_TRANSPORT); /* the answer is there: it counts */
    puppet_settle(&p);
    CHECK_INT(a.done, 2);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void cancelled_in_each_state(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_swallow;
    p.hold_resolves = true;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a); /* waits for a connection */
    puppet_do(&p, probe_cancel, &a);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, FERRY_E_INTERRUPTED);
    CHECK(!a.sent);
    puppet_do(&p, probe_cancel, &a); /* idle: nothing */
    CHECK_INT(a.done, 1);
    p.hold_resolves = false;
    puppet_do(&p, probe_submit, &a); /* on the wire, drained */
    puppet_do(&p, probe_cancel, &a);
    CHECK_INT(a.done, 2);
    CHECK(a.sent && a.status == FERRY_E_INTERRUPTED);
    p.hold_drained = true;
    puppet_do(&p, probe_submit, &a); /* on the wire, not drained */
    puppet_do(&p, probe_cancel, &a);
    CHECK_INT(a.done, 2);
    puppet_drain(&p);
    puppet_settle(&p);
    CHECK_INT(a.done, 3);
    puppet_do(&p, probe_submit, &a); /* the connection ends before it is drained */
    puppet_do(&p, probe_cancel, &a);
    puppet_cut(&p, puppet_conn_to(&p, 0), FERRY_E_TRANSPORT);
    CHECK_INT(a.done, 4);
    CHECK_INT(a.status, FERRY_E_INTERRUPTED);
    puppet_end(&p);
}

/* Answers to cancelled requests come and are dropped; the one behind them gets its own. */
static void late_answers_are_dropped(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
    p.hold_drained = true;
    puppet_call(&p, probe_submit, &a);
    puppet_call(&p, probe_submit, &b);
    puppet_drain(&p);
    puppet_call(&p, probe_cancel, &a);
    CHECK_INT(a.done, 2);
    p.hold_drained = false;
    puppet_settle(&p);
    CHECK_INT(a.done, 2);
    CHECK_INT(b.done, 1);
    CHECK_INT(b.status, 0);
    CHECK_INT(p.opens, 1);
    puppet_end(&p);
}

static void a_cut_fails_each_once(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_swallow;
    struct probe probes[5];
    for (int i = 0; i < 5; i++) {
        probes[i] = probe_to(FERRY_TO_ANY, 0);
        puppet_do(&p, probe_submit, &probes[i]);
    }
    puppet_cut(&p, puppet_conn_to(&p, 0), FERRY_OK); /* an orderly close is a failure too */
    puppet_settle(&p);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(probes[i].done, 1);
        CHECK_INT(probes[i].status, FERRY_E_TRANSPORT);
    }
    puppet_end(&p);
}

static void no_reply_ends_when_drained(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_swallow;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    a.request.no_reply = true;
    puppet_do(&p, probe_submit, &b); /* connects, unanswered */
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    CHECK(a.sent && !a.had_body);
    CHECK_INT(b.done, 0);
    puppet_end(&p);
    CHECK_INT(b.done, 1);
    CHECK_INT(b.status, FERRY_E_CLOSED);
}

static void throttle_is_honoured(void)
{
    struct puppet p;
    int throttle = 700;
    puppet_init(&p, NULL);
    p.handler = probe_list_groups;
    p.cookie = &throttle;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.throttle_ms, 700);
    throttle = 0;
    puppet_do(&p, probe_submit, &b);
    puppet_pass(&p, 690 * FERRY_MS);
    CHECK_INT(b.done, 0);
    puppet_pass(&p, 20 * FERRY_MS);
    CHECK_INT(b.done, 1);
    CHECK_INT(b.status, 0);
    CHECK_INT(p.opens, 1);
    puppet_end(&p);
}

/* -- Controller and coordinators ------------------------------------------------------------------------- */

static void controller_requests_wait_for_metadata(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_list_groups;
    p.node_count = 3;
    p.controller = -1;
    struct probe a = probe_to(FERRY_TO_CONTROLLER, 0);
    puppet_do(&p, probe_submit, &a);
    puppet_pass(&p, FERRY_SECOND);
    CHECK_INT(a.done, 0);
    p.controller = 2;
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.node, 2);
    puppet_end(&p);
}

static void forget(struct ferry_client *client, void *arg)
{
    ferry_coordinator_forget(client, FERRY_COORDINATOR_GROUP, FERRY_STR("g"), *(int32_t *)arg);
}

static void coordinators_are_found_and_move(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_list_groups;
    p.node_count = 3;
    p.coordinator = 1;
    p.coordinator_error = FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    struct probe a = probe_to_group(), b = probe_to_group();
    puppet_call(&p, probe_submit, &a);
    puppet_do(&p, probe_submit, &b);
    puppet_pass(&p, 500 * FERRY_MS);
    CHECK_INT(a.done, 0);
    CHECK(p.find_coordinator_requests >= 2 && p.find_coordinator_requests <= 5);
    p.coordinator_error = 0;
    puppet_pass(&p, FERRY_SECOND);
    CHECK(a.done == 1 && b.done == 1 && a.status == 0 && b.status == 0);
    CHECK_INT(a.node, 1);
    int lookups = p.find_coordinator_requests;
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(p.find_coordinator_requests, lookups); /* cached */
    CHECK_INT(ferry_coordinator_known(p.client, FERRY_COORDINATOR_GROUP, FERRY_STR("g")), 1);
    int32_t other = 2;
    puppet_do(&p, forget, &other); /* it is not that one: stays */
    CHECK_INT(ferry_coordinator_known(p.client, FERRY_COORDINATOR_GROUP, FERRY_STR("g")), 1);
    other = 1;
    p.coordinator = 2;
    puppet_do(&p, forget, &other);
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.node, 2);
    p.nodes[2].silent = true; /* its failure makes it suspect */
    p.handler = NULL;
    a.request.timeout = FERRY_SECOND;
    puppet_do(&p, probe_submit, &a);
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(a.status, FERRY_E_TIMED_OUT);
    CHECK_INT(ferry_coordinator_known(p.client, FERRY_COORDINATOR_GROUP, FERRY_STR("g")), -1);
    puppet_end(&p);
}

static void a_refused_lookup_ends_what_waits(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.coordinator_error = FERRY_KAFKA_GROUP_AUTHORIZATION_FAILED;
    struct probe a = probe_to_group();
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, FERRY_KAFKA_GROUP_AUTHORIZATION_FAILED);
    p.coordinator_error = FERRY_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    a.request.timeout = 2 * FERRY_SECOND;
    puppet_do(&p, probe_submit, &a);
    puppet_pass(&p, 3 * FERRY_SECOND);
    CHECK_INT(a.done, 2);
    CHECK_INT(a.status, FERRY_E_TIMED_OUT);
    int lookups = p.find_coordinator_requests;
    puppet_pass(&p, 10 * FERRY_SECOND);
    CHECK_INT(p.find_coordinator_requests, lookups); /* nobody waits: nobody asks */
    puppet_end(&p);
}

/* -- Statistics ------------------------------------------------------------------------------------------ */

static void windows_measure(void)
{
    struct ferry_window w = {0};
    CHECK_INT(ferry_window_percentile(&w, 5000), 0);
    for (int64_t i = 1; i <= 100000; i++)
        ferry_window_add(&w, i);
    ferry_window_add(&w, -5);
    ferry_window_roll(&w);
    CHECK_INT(w.last.count, 100001);
    CHECK_INT(w.last.min, 0);
    CHECK_INT(w.last.max, 100000);
    unsigned parts[] = {5000, 7500, 9000, 9900, 9999, 10000};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int64_t truth = 10 * parts[i], told = ferry_window_percentile(&w, parts[i]);
        CHECK(told >= truth * 96 / 100 && told <= truth * 104 / 100);
    }
    ferry_window_add(&w, INT64_MAX / 2); /* beyond the last bucket */
    ferry_window_roll(&w);
    CHECK_INT(ferry_window_percentile(&w, 5000), INT64_MAX / 2);
    ferry_window_roll(&w);
    ferry_window_roll(&w);
    CHECK(!w.now.buckets && !w.last.buckets);
    for (int64_t v = 0; v < 32; v++) { /* small values are exact */
        ferry_window_add(&w, v);
        ferry_window_roll(&w);
        CHECK_INT(ferry_window_percentile(&w, 5000), v);
    }
    ferry_window_free(&w);
}

static void module_statistics(struct ferry_client *client, struct ferry_observer *o,
                              struct ferry_text *out)
{
    if (out)
        ferry_text_add(out, ",\"module\":{\"x\":1}");
    else
        (*(int *)o->cookie)++;
}

static void statistics_at_intervals(void)
{
    struct puppet p;
    int rolls = 0;
    struct ferry_observer o = {.cookie = &rolls, .on_statistics = module_statistics};
    puppet_init(&p, "ferry.statistics.interval.ms=1000");
    p.handler = probe_list_groups;
    puppet_add_topic(&p, "t\"", 2, 0);
    puppet_do(&p, probe_watch, &o);
    puppet_do(&p, probe_want_topic, (char[]){"t\""});
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
    puppet_pass(&p, 1500 * FERRY_MS);
    CHECK_INT(p.delivery_count, 1);
    CHECK_INT(rolls, 1);
    struct ferry_statistics *s = p.deliveries[0];
    CHECK_INT(s->delivery.type, FERRY_DELIVERY_STATISTICS);
    CHECK_INT(strlen(s->json), s->len);
    CHECK(strstr(s->json, "\"brokers\":[{\"node\":0,\"host\":\"node-0\""));
    CHECK(strstr(s->json, "\"name\":\"t\\\"\""));
    CHECK(strstr(s->json, "\"rtt_us\":{\"count\":3,")); /* ApiVersions, Metadata, ListGroups */
    CHECK(strstr(s->json, "],\"module\":{\"x\":1}}"));
    s->delivery.drop(&s->delivery);
    puppet_pass(&p, FERRY_SECOND);
    CHECK_INT(p.delivery_count, 2);
    s = p.deliveries[1];
    CHECK(strstr(s->json, "\"rtt_us\":{\"count\":0,"));
    s->delivery.drop(&s->delivery);
    puppet_do(&p, probe_unwatch, &o);
    puppet_end(&p);
}

/* -- Ends ------------------------------------------------------------------------------------------------ */

static void closing_ends_everything(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_CONTROLLER, 0),
                 c = probe_to_group();
    p.nodes[0].silent = true;
    puppet_do(&p, probe_submit, &a);
    puppet_do(&p, probe_submit, &b);
    puppet_do(&p, probe_submit, &c);
    puppet_end(&p);
    CHECK(a.done == 1 && b.done == 1 && c.done == 1);
    CHECK(a.status == FERRY_E_CLOSED && b.status == FERRY_E_CLOSED && c.status == FERRY_E_CLOSED);
}

static void freed_in_any_state(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_swallow;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to_group();
    puppet_do(&p, probe_submit, &a);
    puppet_call(&p, probe_submit, &b);
    ferry_client_free(p.client);
    p.client = NULL;
    CHECK(a.done == 1 && b.done == 1);
    puppet_end(&p);
}

/* The whole of it with the nth allocation failing: an error or an answer, each request done exactly once, no leak. */
static void survives_lost_memory(void)
{
    int failed = 0, fine = 0;
    for (uint64_t n = 1; n < 400 && fine < 30; n++) {
        struct puppet p;
        ferry_mem_fail_after(n);
        puppet_init(&p, "reconnect.backoff.ms=10");
        struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to_group();
        if (!p.dead) {
            p.handler = probe_list_groups;
            p.node_count = 2;
            p.chunk = 20;
            puppet_add_topic(&p, "t", 3, 1);
            a.request.keep_frame = true;
            puppet_do(&p, probe_want_topic, (char[]){"t"});
            puppet_do(&p, probe_submit, &a);
            puppet_do(&p, probe_submit, &b);
            puppet_pass(&p, FERRY_SECOND);
        }
        ferry_mem_fail_after(0);
        bool submitted = p.client != NULL, dead = p.dead != 0;
        puppet_end(&p);
        ferry_slab_unref(a.frame);
        CHECK(a.done <= 1 && b.done <= 1);
        CHECK(!submitted || dead || (a.done == 1 && b.done == 1));
        bool good = a.done && b.done && !a.status && !b.status;
        failed += !good;
        fine = good ? fine + 1 : 0;
    }
    CHECK(failed > 20);
    CHECK_INT(fine, 30);
}

/* -- Chaos ----------------------------------------------------------------------------------------------- */

enum { CHAOS_PROBES = 12 };

struct chaos {
    struct puppet p;
    struct ferry_prng prng, spoil;
    struct probe probes[CHAOS_PROBES];
    int submits[CHAOS_PROBES];
};

static void chaos_submit(struct chaos *c, size_t i)
{
    struct probe *a = &c->probes[i];
    if (ferry_request_active(&a->request))
        return;
    int done = a->done;
    *a = ferry_prng_chance(&c->prng, 1, 3)
             ? probe_to_group()
             : probe_to((enum ferry_target)ferry_prng_below(&c->prng, 3),
                        (int32_t)ferry_prng_below(&c->prng, 4));
    a->done = done;
    a->request.conn_class = (enum ferry_class)ferry_prng_below(&c->prng, FERRY_CLASS_COUNT);
    a->request.timeout = ferry_prng_between(&c->prng, 1, 20000) * FERRY_MS;
    a->request.no_reply = ferry_prng_chance(&c->prng, 1, 10);
    c->submits[i]++;
    puppet_call(&c->p, probe_submit, a);
}

static void chaos_turn(struct chaos *c)
{
    struct puppet *p = &c->p;
    size_t i = ferry_prng_below(&c->prng, CHAOS_PROBES);
    struct puppet_node *n = &p->nodes[ferry_prng_below(&c->prng, 3)];
    struct puppet_conn *conn = puppet_conn_to(p, n->id);
    switch (ferry_prng_below(&c->prng, 12)) {
    case 0:
        puppet_call(p, probe_cancel, &c->probes[i]);
        break;
    case 1:
        if (conn)
            puppet_cut(p, conn, ferry_prng_chance(&c->prng, 1, 2) ? FERRY_E_TRANSPORT : FERRY_OK);
        break;
    case 2:
        n->down = !n->down;
        break;
    case 3:
        n->hangs = !n->hangs;
        break;
    case 4:
        n->silent = !n->silent;
        break;
    case 5:
        p->hold_drained = !p->hold_drained;
        break;
    case 6:
        p->coordinator = (int32_t)ferry_prng_below(&c->prng, 4);
        p->controller = (int32_t)ferry_prng_below(&c->prng, 4) - 1;
        break;
    case 7:
        p->chunk = (int)ferry_prng_below(&c->prng, 30);
        p->node_count = (int)ferry_prng_between(&c->prng, 1, 3);
        break;
    case 8:
        puppet_call(p, probe_refresh, NULL);
        break;
    default:
        chaos_submit(c, i);
        break;
    }
    puppet_pass(
        p, ferry_prng_below(&c->prng, 3) ? 0 : ferry_prng_between(&c->prng, 1, 5000) * FERRY_MS);
}

/* Whatever the world does, each request is done exactly once and the client can be closed. */
static void chaos_ends_well(void)
{
    for (uint64_t seed = 1;
         seed <= (getenv("CHAOS_SEEDS") ? strtoull(getenv("CHAOS_SEEDS"), NULL, 10) : 300);
         seed++) {
        struct chaos c = {.submits = {0}};
        ferry_prng_seed(&c.prng, seed);
        ferry_prng_seed(&c.spoil, seed + 1000000);
        puppet_init(&c.p,
                    "bootstrap.servers=node-0:9092,node-2:9092\nconnections.max.idle.ms=30000\n"
                    "metadata.recovery.rebootstrap.trigger.ms=20000");
        c.p.handler = probe_list_groups;
        c.p.node_count = 3;
        if (seed % 2)
            c.p.spoil = &c.spoil;
        puppet_add_topic(&c.p, "t", 4, 1);
        puppet_call(&c.p, probe_want_topic, (char[]){"t"});
        for (int turn = 0; turn < 60; turn++)
            chaos_turn(&c);
        c.p.hold_drained = false;
        puppet_pass(&c.p, 30 * FERRY_SECOND);
        CHECK_INT(c.p.dead, 0);
        for (int i = 0; i < CHAOS_PROBES; i++) {
            CHECK(!ferry_request_active(&c.probes[i].request));
            CHECK_INT(c.probes[i].done, c.submits[i]);
        }
        puppet_end(&c.p);
    }
}

int main(void)
{
    TAP_RUN(asks_and_is_answered);
    TAP_RUN(answers_in_pieces);
    TAP_RUN(time_out_on_the_wire_closes);
    TAP_RUN(default_time_out_is_the_setting);
    TAP_RUN(memory_stays_until_drained);
    TAP_RUN(cancelled_in_each_state);
    TAP_RUN(late_answers_are_dropped);
    TAP_RUN(a_cut_fails_each_once);
    TAP_RUN(no_reply_ends_when_drained);
    TAP_RUN(throttle_is_honoured);
    TAP_RUN(controller_requests_wait_for_metadata);
    TAP_RUN(coordinators_are_found_and_move);
    TAP_RUN(a_refused_lookup_ends_what_waits);
    TAP_RUN(windows_measure);
    TAP_RUN(statistics_at_intervals);
    TAP_RUN(closing_ends_everything);
    TAP_RUN(freed_in_any_state);
    TAP_RUN(survives_lost_memory);
    TAP_RUN(chaos_ends_well);
    return tap_done();
}
