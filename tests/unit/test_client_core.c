/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "client/statistics.h"
#include "tests/lib/puppet.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

/* A request of the test's own: ListGroups unless it says otherwise. */
struct probe {
    struct ferry_request request;
    struct ferry_list_groups_request message;
    int done, status;
    int16_t version;
    int32_t node, throttle_ms;
    bool sent, had_body;
    char text[128];
    struct ferry_slab *frame;
};

static void probe_done(struct ferry_client *client, struct ferry_request *r,
                       const struct ferry_reply *reply)
{
    struct probe *p = r->cookie;
    p->done++;
    p->status = reply->status;
    p->version = reply->version;
    p->node = reply->node;
    p->sent = reply->sent;
    p->had_body = reply->body != NULL;
    p->throttle_ms = reply->throttle_ms;
    snprintf(p->text, sizeof p->text, "%s", reply->text ? reply->text : "");
    if (reply->frame)
        p->frame = ferry_slab_ref(reply->frame);
}

static struct probe probe_to(enum ferry_target target, int32_t node)
{
    struct probe p = {.request = {.api_key = FERRY_API_LIST_GROUPS,
                                  .min_version = 0,
                                  .max_version = 5,
                                  .target = target,
                                  .node = node,
                                  .on_done = probe_done}};
    ferry_list_groups_request_init(&p.message);
    return p;
}

static void submit(struct ferry_client *client, void *arg)
{
    struct probe *p = arg;
    p->request.cookie = p;
    p->request.message = &p->message;
    ferry_request_submit(client, &p->request);
}

static void cancel(struct ferry_client *client, void *arg)
{
    ferry_request_cancel(client, &((struct probe *)arg)->request);
}

/* Answers ListGroups; cookie of the puppet: throttle time. */
static bool list_groups(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                        const struct ferry_request_head *head)
{
    if (head->key != FERRY_API_LIST_GROUPS)
        return false;
    struct ferry_list_groups_response m;
    ferry_list_groups_response_init(&m);
    if (p->cookie && head->version >= 1)
        m.throttle_time_ms = *(int *)p->cookie;
    puppet_answer(p, c, head, &m);
    return true;
}

static bool swallow(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                    const struct ferry_request_head *head)
{
    return head->key == FERRY_API_LIST_GROUPS;
}

static void want_topic(struct ferry_client *client, void *arg)
{
    ferry_cluster_want(client, ferry_str_of(arg), 0);
}

static void add_topic(struct puppet *p, const char *name, int32_t partitions, int32_t leader)
{
    struct puppet_topic *t = &p->topics[p->topic_count++];
    *t = (struct puppet_topic){
        .name = name, .partitions = partitions, .id = {{(uint8_t)p->topic_count}}};
    for (int32_t i = 0; i < partitions; i++) {
        t->leader[i] = leader;
        t->epoch[i] = 1;
    }
}

static struct ferry_topic_meta *topic(struct puppet *p, const char *name)
{
    return ferry_cluster_topic(p->client, ferry_str_of(name));
}

/* -- Requests ------------------------------------------------------------------------------------------- */

static void asks_and_is_answered(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    puppet_call(&p, submit, &a);
    CHECK(ferry_request_active(&a.request) && a.done == 0); /* nothing before the world's turn */
    puppet_do(&p, submit, &b);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    CHECK_INT(a.version, 5);
    CHECK_INT(a.node, -1); /* a bootstrap broker */
    CHECK(a.sent && a.had_body && !a.frame);
    CHECK_INT(b.done, 1);
    CHECK_INT(p.opens, 1); /* one connection for both */
    puppet_do(&p, submit, &a);
    CHECK_INT(a.done, 2); /* submitted anew */
    puppet_end(&p);
}

static void answers_in_pieces(void)
{
    for (int chunk = 1; chunk < 8; chunk++) {
        struct puppet p;
        puppet_init(&p, NULL);
        p.handler = list_groups;
        p.chunk = chunk;
        struct probe a = probe_to(FERRY_TO_ANY, 0);
        a.request.keep_frame = true;
        puppet_do(&p, submit, &a);
        CHECK_INT(a.done, 1);
        CHECK_INT(a.status, 0);
        CHECK(a.frame && a.frame->len > 4);
        ferry_slab_unref(a.frame);
        puppet_end(&p);
    }
}

static void names_resolve_to_several_addresses(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=many:9092");
    p.handler = list_groups;
    p.node_count = 4;
    p.nodes[1].down = p.nodes[2].down = true;
    p.name = "many";
    p.name_count = 3;
    p.name_addrs[0] = puppet_addr(1);
    p.name_addrs[1] = puppet_addr(2);
    p.name_addrs[2] = puppet_addr(3);
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    CHECK_INT(p.opens, 3); /* in turn, without a wait */
    CHECK_INT(p.opened[0].ip[3], 1);
    CHECK_INT(p.opened[1].ip[3], 2);
    CHECK_INT(p.opened[2].ip[3], 3);
    CHECK_INT(p.client->counters.connect_failures, 0);
    puppet_end(&p);
}

static void hanging_address_is_passed_over(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=many:9092\nsocket.connection.setup.timeout.ms=1000");
    p.handler = list_groups;
    p.node_count = 3;
    p.nodes[1].hangs = true;
    p.name = "many";
    p.name_count = 2;
    p.name_addrs[0] = puppet_addr(1);
    p.name_addrs[1] = puppet_addr(2);
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.done, 0);
    puppet_pass(&p, 1300 * FERRY_MS); /* 1 s, 20 % jitter */
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void bootstrap_goes_on_to_the_next_server(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=nowhere:1,node-1:9092,node-2:9092,node-3:9092");
    p.handler = list_groups;
    p.node_count = 4;
    p.nodes[1].down = true;
    p.nodes[2].hangs = true;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    puppet_pass(&p, 1600 * FERRY_MS); /* patience is half a second for each that hangs */
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void bootstrap_failure_is_told(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=nowhere:1,node-0:9092\nreconnect.backoff.ms=50\nreconnect."
                    "backoff.max.ms=1000");
    p.nodes[0].down = true;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    a.request.timeout = 5 * FERRY_SECOND;
    puppet_do(&p, submit, &a);
    CHECK_INT(p.errors, 1);
    CHECK_INT(p.last_error, FERRY_E_ALL_BROKERS_DOWN);
    puppet_pass(&p, 4 * FERRY_SECOND);
    CHECK_INT(a.done, 0);
    CHECK_INT(p.errors, 1);                     /* told once */
    CHECK(p.refusals >= 4 && p.refusals <= 12); /* 50, 100, 200, 400, 800, 1000 ... */
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, FERRY_E_TIMED_OUT);
    CHECK(!a.sent);
    p.nodes[0].down = false;
    p.handler = list_groups;
    puppet_do(&p, submit, &a);
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void backoff_grows_to_its_bound(void)
{
    struct puppet p;
    puppet_init(&p, "reconnect.backoff.ms=100\nreconnect.backoff.max.ms=1000");
    p.nodes[0].down = true;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    a.request.timeout = 60 * FERRY_SECOND;
    ferry_nsec last = p.now;
    puppet_do(&p, submit, &a);
    int64_t expected[] = {100, 200, 400, 800, 1000, 1000, 1000};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        int before = p.opens;
        while (p.opens == before)
            puppet_pass(&p, FERRY_MS);
        int64_t ms = (p.now - last) / FERRY_MS;
        CHECK(ms >= expected[i] * 8 / 10 && ms <= expected[i] * 12 / 10 + 1);
        last = p.now;
    }
    puppet_end(&p);
}

static void no_bootstrap_server_at_first(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=");
    p.handler = list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    puppet_pass(&p, FERRY_SECOND);
    CHECK_INT(p.opens, 0);
    struct ferry_error err;
    p.client->out = &p.out;
    CHECK_INT(ferry_cluster_add_bootstrap(p.client, "nonsense", &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "nonsense"));
    CHECK_INT(ferry_cluster_add_bootstrap(p.client, "a:0", &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_cluster_add_bootstrap(p.client, "a:65536", &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_cluster_add_bootstrap(p.client, "::1:9092", &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_cluster_add_bootstrap(p.client, ":9092", &err), FERRY_E_CONFIG);
    p.client->out = NULL;
    CHECK_INT(p.out.count, 0);
    ferry_actions_free(&p.out);
    puppet_end(&p);
}

static void add_server(struct ferry_client *client, void *arg)
{
    ferry_cluster_add_bootstrap(client, arg, NULL);
}

static void servers_added_at_run_time(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=");
    p.handler = list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.done, 0);
    puppet_do(&p, add_server, (char[]){"PLAINTEXT://node-0:9092, [::7]:1"});
    puppet_pass(&p, 600 * FERRY_MS);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void falls_back_to_older_api_versions(void)
{
    int expected[] = {0, 4, 3, 1}; /* what the broker knows below; attempts: 1, 2, 2, 2 */
    for (int i = 0; i < 4; i++) {
        struct puppet p;
        puppet_init(&p, NULL);
        p.handler = list_groups;
        p.nodes[0].api_versions_max = expected[i];
        struct probe a = probe_to(FERRY_TO_ANY, 0);
        puppet_do(&p, submit, &a);
        CHECK_INT(a.status, 0);
        CHECK_INT(a.done, 1);
        CHECK_INT(p.api_versions_requests, i ? 2 : 1);
        CHECK_INT(p.opens, 1);
        CHECK_INT(ferry_broker_feature(p.client, "metadata.version"), i == 2 || i == 3 ? -1 : 25);
        puppet_end(&p);
    }
}

static void no_common_version_is_an_error(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    a.request.min_version = 40;
    a.request.max_version = 50;
    puppet_do(&p, submit, &a);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, FERRY_E_UNSUPPORTED);
    CHECK(!a.sent && strstr(a.text, "ListGroups"));
    puppet_end(&p);
}

static void negotiation_that_is_not_answered(void)
{
    struct puppet p;
    puppet_init(
        &p, "socket.connection.setup.timeout.ms=1000\nsocket.connection.setup.timeout.max.ms=1000");
    p.nodes[0].mute = true;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    puppet_pass(&p, 5 * FERRY_SECOND);
    CHECK_INT(a.done, 0);
    CHECK(p.opens >= 3 && p.opens <= 7);
    p.nodes[0].mute = false;
    p.handler = list_groups;
    puppet_pass(&p, 3 * FERRY_SECOND);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

/* -- Time-outs, cancelling, cuts ------------------------------------------------------------------------- */

static void time_out_on_the_wire_closes(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = swallow;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    a.request.timeout = FERRY_SECOND;
    puppet_do(&p, submit, &a);
    puppet_do(&p, submit, &b);
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
    p.handler = swallow;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
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
    p.handler = list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a); /* connects */
    p.hold_drained = true;
    puppet_do(&p, submit, &b); /* answered before its bytes are reported written */
    CHECK_INT(b.done, 0);
    puppet_drain(&p);
    CHECK_INT(b.done, 1);
    CHECK_INT(b.status, 0);
    puppet_do(&p, submit, &a);
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
    p.handler = swallow;
    p.hold_resolves = true;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a); /* waits for a connection */
    puppet_do(&p, cancel, &a);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, FERRY_E_INTERRUPTED);
    CHECK(!a.sent);
    puppet_do(&p, cancel, &a); /* idle: nothing */
    CHECK_INT(a.done, 1);
    p.hold_resolves = false;
    puppet_do(&p, submit, &a); /* on the wire, drained */
    puppet_do(&p, cancel, &a);
    CHECK_INT(a.done, 2);
    CHECK(a.sent && a.status == FERRY_E_INTERRUPTED);
    p.hold_drained = true;
    puppet_do(&p, submit, &a); /* on the wire, not drained */
    puppet_do(&p, cancel, &a);
    CHECK_INT(a.done, 2);
    puppet_drain(&p);
    puppet_settle(&p);
    CHECK_INT(a.done, 3);
    puppet_do(&p, submit, &a); /* the connection ends before it is drained */
    puppet_do(&p, cancel, &a);
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
    p.handler = list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    p.hold_drained = true;
    puppet_call(&p, submit, &a);
    puppet_call(&p, submit, &b);
    puppet_drain(&p);
    puppet_call(&p, cancel, &a);
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
    p.handler = swallow;
    struct probe probes[5];
    for (int i = 0; i < 5; i++) {
        probes[i] = probe_to(FERRY_TO_ANY, 0);
        puppet_do(&p, submit, &probes[i]);
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
    p.handler = swallow;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    a.request.no_reply = true;
    puppet_do(&p, submit, &b); /* connects, unanswered */
    puppet_do(&p, submit, &a);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    CHECK(a.sent && !a.had_body);
    CHECK_INT(b.done, 0);
    puppet_end(&p);
    CHECK_INT(b.done, 1);
    CHECK_INT(b.status, FERRY_E_CLOSED);
}

static void classes_have_connections_of_their_own(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = list_groups;
    add_topic(&p, "t", 1, 0);
    puppet_do(&p, want_topic, (char[]){"t"});
    struct probe probes[FERRY_CLASS_COUNT];
    for (int i = 0; i < FERRY_CLASS_COUNT; i++) {
        probes[i] = probe_to(FERRY_TO_NODE, 0);
        probes[i].request.conn_class = (enum ferry_class)i;
        puppet_do(&p, submit, &probes[i]);
        CHECK_INT(probes[i].status, 0);
        CHECK_INT(puppet_open_conns(&p, 0),
                  i + 1); /* the bootstrap connection became the general one */
        CHECK(ferry_broker_ready(p.client, 0, (enum ferry_class)i));
    }
    CHECK_INT(ferry_broker_version(p.client, 0, FERRY_API_LIST_GROUPS, 0, 4), 4);
    CHECK_INT(ferry_broker_version(p.client, 0, FERRY_API_LIST_GROUPS, 9, 12), -1);
    CHECK_INT(ferry_broker_version(p.client, 5, FERRY_API_LIST_GROUPS, 0, 4), -1);
    puppet_end(&p);
}

static void idle_connections_are_closed(void)
{
    struct puppet p;
    puppet_init(&p, "connections.max.idle.ms=10000");
    p.handler = list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    puppet_pass(&p, 9 * FERRY_SECOND);
    puppet_do(&p, submit, &a);
    puppet_pass(&p, 9 * FERRY_SECOND);
    CHECK_INT(puppet_open_conns(&p, 0), 1);
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(puppet_open_conns(&p, 0), 0);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.done, 3);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void throttle_is_honoured(void)
{
    struct puppet p;
    int throttle = 700;
    puppet_init(&p, NULL);
    p.handler = list_groups;
    p.cookie = &throttle;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.throttle_ms, 700);
    throttle = 0;
    puppet_do(&p, submit, &b);
    puppet_pass(&p, 690 * FERRY_MS);
    CHECK_INT(b.done, 0);
    puppet_pass(&p, 20 * FERRY_MS);
    CHECK_INT(b.done, 1);
    CHECK_INT(b.status, 0);
    CHECK_INT(p.opens, 1);
    puppet_end(&p);
}

/* -- Hostile bytes --------------------------------------------------------------------------------------- */

struct bytes {
    const char *data;
    size_t len;
};

static bool say(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                const struct ferry_request_head *head)
{
    const struct bytes *b = p->cookie;
    if (head->key != FERRY_API_LIST_GROUPS)
        return false;
    uint8_t *copy = malloc(b->len);
    memcpy(copy, b->data, b->len);
    if (b->len >= 8 && copy[4] == 'C')
        ferry_put32(copy + 4, (uint32_t)head->correlation_id);
    puppet_bytes(p, c, copy, b->len);
    free(copy);
    return true;
}

static void hostile_frames_are_errors(void)
{
    static const struct bytes cases[] = {
        {"\xff\xff\xff\xff", 4},               /* negative length */
        {"\x7f\xff\xff\xff", 4},               /* 2 GiB */
        {"\x06\x40\x00\x01", 4},               /* above the limit */
        {"\0\0\0\0", 4},                       /* no header */
        {"\0\0\0\3abc", 7},                    /* half a header */
        {"\0\0\0\4\x7f\0\0\1", 8},             /* another correlation id */
        {"\0\0\0\4CCCC", 8},                   /* a body that is not there */
        {"\0\0\0\5CCCC\xff", 9},               /* tags that do not end */
        {"\0\0\0\13CCCC\0\0\0\0\0\0\xff", 15}, /* a truncated array */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct puppet p;
        puppet_init(&p, NULL);
        p.handler = say;
        p.cookie = (void *)&cases[i];
        struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_ANY, 0);
        a.request.timeout = b.request.timeout = FERRY_SECOND;
        puppet_call(&p, submit, &b);
        puppet_do(&p, submit, &a);
        CHECK_INT(b.done, 1);
        CHECK(b.status == FERRY_E_PROTOCOL || b.status == FERRY_E_TOO_LARGE);
        CHECK(b.text[0]);
        CHECK(a.done == 1 && a.status < 0); /* lost with it */
        puppet_end(&p);
    }
}

/* A frame that claims 100 MB and is never sent costs next to nothing. */
static void claims_cost_nothing(void)
{
    struct ferry_frames f = {.limit = 104857600};
    struct ferry_actions out = {0};
    uint8_t head[100] = {0x05, 0xf5, 0xe1, 0x00};
    struct ferry_event ev = {.type = FERRY_EV_RECEIVED, .data = {head, sizeof head}};
    CHECK_INT(ferry_frames_feed(&f, &ev, (struct ferry_id){1, 1}, &out, NULL, NULL), 0);
    CHECK(ferry_frames_held(&f) <= 4096);
    CHECK_INT(out.count, 1);
    CHECK_INT(out.items[0].type, FERRY_DO_RECEIVE_INTO);
    ferry_frames_reset(&f);
    ferry_actions_free(&out);
}

struct gathered {
    struct ferry_slab *slab;
    size_t len;
    int count;
};

static int gather(void *cookie, const struct ferry_frame *f)
{
    struct gathered *g = cookie;
    g->count++;
    g->len = f->bytes.len;
    if (f->slab)
        g->slab = ferry_slab_ref(f->slab);
    return 0;
}

/* A large frame is received in place: the slab is lent, grows as it fills, and is handed on as it is. */
static void large_frames_are_lent(void)
{
    enum { SIZE = 3000000 };
    struct ferry_frames f = {.limit = SIZE};
    struct ferry_actions out = {0};
    struct gathered g = {0};
    struct ferry_id who = {1, 1};
    uint8_t first[1000];
    ferry_put32(first, SIZE);
    memset(first + 4, 7, sizeof first - 4);
    struct ferry_event ev = {.type = FERRY_EV_RECEIVED, .data = {first, sizeof first}};
    CHECK_INT(ferry_frames_feed(&f, &ev, who, &out, gather, &g), 0);
    size_t given = sizeof first - 4;
    int lends = 0;
    while (!g.count) {
        CHECK_INT(out.count, 1);
        struct ferry_slab *slab = out.items[0].slab;
        CHECK(slab->len == given && slab->cap > given && slab->cap <= 4 * given + 4096 &&
              slab->cap <= SIZE);
        ferry_actions_reset(&out);
        lends++;
        while (slab && !g.count && !out.count) { /* two gulps for each lending */
            size_t n = (slab->cap - slab->len + 1) / 2;
            memset(slab->data + slab->len, 7, n);
            slab->len += n;
            given += n;
            ev.data = (struct ferry_bytes){NULL, n};
            CHECK_INT(ferry_frames_feed(&f, &ev, who, &out, gather, &g), 0);
        }
    }
    CHECK_INT(g.count, 1);
    CHECK_INT(g.len, SIZE);
    CHECK(lends > 2 && lends < 10);
    CHECK(g.slab && g.slab->data[SIZE - 1] == 7 && g.slab->data[0] == 7);
    CHECK_INT(ferry_frames_held(&f), 0);
    ferry_slab_unref(g.slab);
    ferry_actions_free(&out);
}

/* -- Metadata -------------------------------------------------------------------------------------------- */

struct watcher {
    struct ferry_observer observer;
    int topics, ids, answers, failures, ups, downs;
};

static void saw_topic(struct ferry_client *c, struct ferry_observer *o, struct ferry_topic_meta *t,
                      bool id_changed)
{
    struct watcher *w = (struct watcher *)o;
    w->topics++;
    w->ids += id_changed;
}

static void saw_metadata(struct ferry_client *c, struct ferry_observer *o, int32_t status)
{
    struct watcher *w = (struct watcher *)o;
    w->answers += status == 0;
    w->failures += status != 0;
}

static void saw_up(struct ferry_client *c, struct ferry_observer *o, int32_t node,
                   enum ferry_class conn_class)
{
    ((struct watcher *)o)->ups++;
}

static void saw_down(struct ferry_client *c, struct ferry_observer *o, int32_t node,
                     enum ferry_class conn_class, int32_t status)
{
    ((struct watcher *)o)->downs++;
}

static struct watcher watching(void)
{
    return (struct watcher){.observer = {.on_topic = saw_topic,
                                         .on_metadata = saw_metadata,
                                         .on_broker_up = saw_up,
                                         .on_broker_down = saw_down}};
}

static void watch(struct ferry_client *client, void *arg)
{
    ferry_client_observe(client, arg);
}

static void unwatch(struct ferry_client *client, void *arg)
{
    ferry_client_unobserve(client, arg);
}

static void refresh(struct ferry_client *client, void *arg)
{
    ferry_cluster_refresh(client);
}

static void knows_topics(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.node_count = 2;
    add_topic(&p, "t", 3, 1);
    struct watcher w = watching();
    puppet_do(&p, watch, &w);
    puppet_call(&p, want_topic, (char[]){"t"});
    puppet_do(&p, want_topic, (char[]){"t"});
    CHECK_INT(p.metadata_requests, 1); /* one for both */
    struct ferry_topic_meta *t = topic(&p, "t");
    CHECK(t && t->known && t->error == 0);
    CHECK_INT(t->partition_count, 3);
    CHECK_INT(t->wants, 2);
    CHECK_INT(t->partitions[2].leader, 1);
    CHECK_INT(t->partitions[2].leader_epoch, 1);
    CHECK_INT(t->partitions[2].replica_count, 2);
    CHECK_INT(t->partitions[2].isr_count, 2);
    CHECK_INT(t->partitions[2].replicas[1], 1);
    CHECK(ferry_cluster_topic_by_id(p.client, &p.topics[0].id) == t);
    CHECK_INT(w.topics, 1);
    CHECK_INT(w.answers, 1);
    CHECK(ferry_str_eq(ferry_cluster_id(p.client), FERRY_STR("puppets")));
    CHECK_INT(ferry_cluster_controller(p.client), 0);
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, refresh, NULL);
    CHECK_INT(p.metadata_requests, 2);
    CHECK_INT(w.topics, 1); /* the same again is no change */
    p.topics[0].partitions = 5;
    puppet_pass(&p, 301 * FERRY_SECOND); /* metadata.max.age.ms */
    CHECK_INT(p.metadata_requests, 3);
    CHECK_INT(t->partition_count, 5);
    CHECK_INT(w.topics, 2);
    puppet_do(&p, unwatch, &w);
    puppet_end(&p);
}

static void unknown_topics_are_asked_for_again(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    puppet_do(&p, want_topic, (char[]){"late"});
    struct ferry_topic_meta *t = topic(&p, "late");
    CHECK(t->known && t->error == FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    puppet_pass(&p, 10 * FERRY_SECOND);
    CHECK(p.metadata_requests >= 10 &&
          p.metadata_requests <= 16); /* 100, 200, 400, 800, 1000 ... */
    add_topic(&p, "late", 1, 0);
    puppet_pass(&p, 1100 * FERRY_MS);
    CHECK_INT(t->error, 0);
    CHECK_INT(t->partition_count, 1);
    int requests = p.metadata_requests;
    puppet_pass(&p, 10 * FERRY_SECOND);
    CHECK_INT(p.metadata_requests, requests); /* and then no more */
    puppet_end(&p);
}

static void epochs_do_not_go_back(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.node_count = 3;
    add_topic(&p, "t", 2, 1);
    p.topics[0].epoch[0] = 9;
    puppet_do(&p, want_topic, (char[]){"t"});
    struct ferry_topic_meta *t = topic(&p, "t");
    p.topics[0].epoch[0] = 8; /* a broker that is behind */
    p.topics[0].leader[0] = 2;
    p.topics[0].epoch[1] = 2;
    p.topics[0].leader[1] = 2;
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, refresh, NULL);
    CHECK_INT(t->partitions[0].leader, 1);
    CHECK_INT(t->partitions[0].leader_epoch, 9);
    CHECK_INT(t->partitions[1].leader, 2);
    struct watcher w = watching();
    puppet_do(&p, watch, &w);
    p.topics[0].id.b[0] = 77; /* made anew: its epochs count from the beginning */
    p.topics[0].partitions = 1;
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, refresh, NULL);
    CHECK_INT(w.ids, 1);
    CHECK_INT(t->partition_count, 1);
    CHECK_INT(t->partitions[0].leader, 2);
    CHECK_INT(t->partitions[0].leader_epoch, 8);
    puppet_do(&p, unwatch, &w);
    puppet_end(&p);
}

struct hint {
    struct puppet *p;
    int32_t leader, epoch;
    struct ferry_node_hint endpoint;
    bool with_endpoint, moved;
};

static void give_hint(struct ferry_client *client, void *arg)
{
    struct hint *h = arg;
    h->moved = ferry_cluster_hint(client, topic(h->p, "t"), 0, h->leader, h->epoch,
                                  h->with_endpoint ? &h->endpoint : NULL);
}

static void leader_hints(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.node_count = 2;
    p.handler = list_groups;
    add_topic(&p, "t", 1, 1);
    puppet_do(&p, want_topic, (char[]){"t"});
    struct ferry_topic_meta *t = topic(&p, "t");
    struct watcher w = watching();
    puppet_do(&p, watch, &w);
    struct hint h = {.p = &p, .leader = 0, .epoch = 1};
    puppet_do(&p, give_hint, &h); /* not newer */
    CHECK(!h.moved && t->partitions[0].leader == 1);
    h.epoch = 5;
    puppet_do(&p, give_hint, &h);
    CHECK(h.moved && t->partitions[0].leader == 0 && t->partitions[0].leader_epoch == 5);
    CHECK_INT(w.topics, 1);
    h = (struct hint){.p = &p, .leader = 2, .epoch = 6};
    puppet_do(&p, give_hint, &h); /* a node that nobody knows */
    CHECK(!h.moved && t->partitions[0].leader == 0);
    p.node_count = 3;
    h.with_endpoint = true;
    h.endpoint = (struct ferry_node_hint){2, FERRY_STR("node-2"), 9092, {NULL, 0}};
    puppet_do(&p, give_hint, &h);
    CHECK(h.moved && t->partitions[0].leader == 2);
    struct probe a = probe_to(FERRY_TO_NODE, 2);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.status, 0);
    CHECK_INT(a.node, 2);
    puppet_do(&p, unwatch, &w);
    puppet_end(&p);
}

static void want_all(struct ferry_client *client, void *arg)
{
    ferry_cluster_want_all(client);
}

static void unwant_all(struct ferry_client *client, void *arg)
{
    ferry_cluster_unwant_all(client);
}

static void every_topic(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    add_topic(&p, "a", 1, 0);
    add_topic(&p, "b", 1, 0);
    puppet_do(&p, want_topic, (char[]){"b"});
    puppet_do(&p, want_all, NULL);
    CHECK(topic(&p, "a") && topic(&p, "b"));
    add_topic(&p, "c", 1, 0);
    p.topics[0].name = "d"; /* a is gone */
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, refresh, NULL);
    CHECK(!topic(&p, "a") && topic(&p, "b") && topic(&p, "c") && topic(&p, "d"));
    puppet_do(&p, unwant_all, NULL);
    CHECK(!topic(&p, "c") && topic(&p, "b"));
    puppet_end(&p);
}

struct creation {
    int allowed, forbidden;
};

static bool note_creation(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                          const struct ferry_request_head *head)
{
    struct creation *made = p->cookie;
    struct ferry_metadata_request q;
    struct ferry_arena arena;
    if (head->key != FERRY_API_METADATA)
        return false;
    ferry_arena_init(&arena, 1 << 16);
    if (!ferry_msg_decode(ferry_api_request(head->api), head->version, head->body, 0, &arena, &q,
                          NULL))
        for (int32_t i = 0; i < q.topics_count; i++) {
            bool create = ferry_str_eq(q.topics[i].name, FERRY_STR("create"));
            made->allowed += create && q.allow_auto_topic_creation;
            made->forbidden += (create && !q.allow_auto_topic_creation) ||
                               (!create && q.allow_auto_topic_creation);
        }
    ferry_arena_free(&arena);
    return false;
}

static void want_created(struct ferry_client *client, void *arg)
{
    ferry_cluster_want(client, FERRY_STR("create"), FERRY_WANT_CREATE);
    ferry_cluster_want(client, FERRY_STR("leave"), 0);
}

static void creation_is_asked_for_only_where_allowed(void)
{
    struct puppet p;
    struct creation made = {0};
    puppet_init(&p, NULL);
    p.handler = note_creation;
    p.cookie = &made;
    puppet_do(&p, want_created, NULL);
    puppet_pass(&p, 3 * FERRY_SECOND);
    CHECK(made.allowed >= 1);
    CHECK_INT(made.forbidden, 0);
    CHECK(topic(&p, "create")->known && topic(&p, "leave")->known);
    puppet_end(&p);
}

static void brokers_come_and_go(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = list_groups;
    p.node_count = 2;
    add_topic(&p, "t", 1, 0);
    puppet_do(&p, want_topic, (char[]){"t"});
    struct probe a = probe_to(FERRY_TO_NODE, 1), b = probe_to(FERRY_TO_NODE, 7);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.status, 0);
    puppet_do(&p, submit, &b);
    CHECK_INT(b.status, FERRY_E_NOT_FOUND);
    p.handler = swallow;
    puppet_do(&p, submit, &a); /* in flight while its broker leaves */
    p.node_count = 1;
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, refresh, NULL);
    CHECK_INT(a.done, 2);
    CHECK_INT(a.status, FERRY_E_TRANSPORT);
    CHECK_INT(puppet_open_conns(&p, 1), 0);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.status, FERRY_E_NOT_FOUND);
    puppet_end(&p);
}

static void rebootstraps_when_all_are_gone(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=first:9092\nreconnect.backoff.max.ms=100");
    p.handler = list_groups;
    p.node_count = 2;
    p.name = "first";
    p.name_count = 1;
    p.name_addrs[0] = puppet_addr(0);
    add_topic(&p, "t", 1, 0);
    puppet_do(&p, want_topic, (char[]){"t"});
    CHECK_INT(p.client->counters.rebootstraps, 0);
    p.nodes[0].down = p.nodes[1].down = true;
    puppet_do(&p, refresh, NULL);
    puppet_pass(&p, FERRY_SECOND);
    CHECK(p.client->counters.rebootstraps >= 1);
    CHECK_INT(p.last_error, FERRY_E_ALL_BROKERS_DOWN);
    p.node_count = 4; /* another cluster, reached by the same name */
    p.nodes[2].down = p.nodes[3].down = false;
    p.name_addrs[0] = puppet_addr(3);
    p.topics[0].leader[0] = 3;
    p.topics[0].epoch[0] = 0; /* an older epoch counts after a rebootstrap */
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(topic(&p, "t")->partitions[0].leader, 3);
    struct probe a = probe_to(FERRY_TO_NODE, 3);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void rebootstraps_when_told(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    add_topic(&p, "t", 1, 0);
    p.metadata_error = FERRY_KAFKA_REBOOTSTRAP_REQUIRED;
    puppet_do(&p, want_topic, (char[]){"t"});
    puppet_pass(&p, FERRY_SECOND);
    CHECK(p.client->counters.rebootstraps >= 1 && p.client->counters.rebootstraps < 50);
    p.metadata_error = 0;
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(topic(&p, "t")->partition_count, 1);
    puppet_end(&p);
}

static void rebootstraps_when_metadata_is_missing(void)
{
    struct puppet p;
    puppet_init(&p, "metadata.recovery.rebootstrap.trigger.ms=20000\nrequest.timeout.ms=3000");
    p.nodes[0].silent = true;
    puppet_do(&p, want_topic, (char[]){"t"});
    puppet_pass(&p, 19 * FERRY_SECOND);
    CHECK_INT(p.client->counters.rebootstraps, 0);
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(p.client->counters.rebootstraps, 1);
    p.nodes[0].silent = false;
    puppet_pass(&p, 5 * FERRY_SECOND);
    CHECK(topic(&p, "t")->known);
    puppet_pass(&p, 30 * FERRY_SECOND);
    CHECK_INT(p.client->counters.rebootstraps, 1);
    puppet_end(&p);
}

static void old_metadata_versions(void)
{
    for (int version = 1; version <= 13; version++) {
        struct puppet p;
        puppet_init(&p, NULL);
        p.nodes[0].metadata_max = version;
        add_topic(&p, "t", 2, 0);
        puppet_do(&p, want_topic, (char[]){"t"});
        struct ferry_topic_meta *t = topic(&p, "t");
        CHECK_INT(t->partition_count, 2);
        CHECK_INT(t->partitions[0].leader_epoch, version >= 7 ? 1 : -1);
        CHECK(ferry_uuid_is_zero(&t->id) == (version < 10));
        puppet_end(&p);
    }
}

/* -- Controller and coordinators ------------------------------------------------------------------------- */

static void controller_requests_wait_for_metadata(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = list_groups;
    p.node_count = 3;
    p.controller = -1;
    struct probe a = probe_to(FERRY_TO_CONTROLLER, 0);
    puppet_do(&p, submit, &a);
    puppet_pass(&p, FERRY_SECOND);
    CHECK_INT(a.done, 0);
    p.controller = 2;
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.node, 2);
    puppet_end(&p);
}

static struct probe to_group(void)
{
    struct probe a = probe_to(FERRY_TO_COORDINATOR, 0);
    a.request.coordinator_type = FERRY_COORDINATOR_GROUP;
    a.request.coordinator_key = FERRY_STR("g");
    a.request.conn_class = FERRY_CLASS_COORDINATOR;
    return a;
}

static void forget(struct ferry_client *client, void *arg)
{
    ferry_coordinator_forget(client, FERRY_COORDINATOR_GROUP, FERRY_STR("g"), *(int32_t *)arg);
}

static void coordinators_are_found_and_move(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = list_groups;
    p.node_count = 3;
    p.coordinator = 1;
    p.coordinator_error = FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    struct probe a = to_group(), b = to_group();
    puppet_call(&p, submit, &a);
    puppet_do(&p, submit, &b);
    puppet_pass(&p, 500 * FERRY_MS);
    CHECK_INT(a.done, 0);
    CHECK(p.find_coordinator_requests >= 2 && p.find_coordinator_requests <= 5);
    p.coordinator_error = 0;
    puppet_pass(&p, FERRY_SECOND);
    CHECK(a.done == 1 && b.done == 1 && a.status == 0 && b.status == 0);
    CHECK_INT(a.node, 1);
    int lookups = p.find_coordinator_requests;
    puppet_do(&p, submit, &a);
    CHECK_INT(p.find_coordinator_requests, lookups); /* cached */
    CHECK_INT(ferry_coordinator_known(p.client, FERRY_COORDINATOR_GROUP, FERRY_STR("g")), 1);
    int32_t other = 2;
    puppet_do(&p, forget, &other); /* it is not that one: stays */
    CHECK_INT(ferry_coordinator_known(p.client, FERRY_COORDINATOR_GROUP, FERRY_STR("g")), 1);
    other = 1;
    p.coordinator = 2;
    puppet_do(&p, forget, &other);
    puppet_do(&p, submit, &a);
    CHECK_INT(a.node, 2);
    p.nodes[2].silent = true; /* its failure makes it suspect */
    p.handler = NULL;
    a.request.timeout = FERRY_SECOND;
    puppet_do(&p, submit, &a);
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
    struct probe a = to_group();
    puppet_do(&p, submit, &a);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, FERRY_KAFKA_GROUP_AUTHORIZATION_FAILED);
    p.coordinator_error = FERRY_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    a.request.timeout = 2 * FERRY_SECOND;
    puppet_do(&p, submit, &a);
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
    p.handler = list_groups;
    add_topic(&p, "t\"", 2, 0);
    puppet_do(&p, watch, &o);
    puppet_do(&p, want_topic, (char[]){"t\""});
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, submit, &a);
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
    puppet_do(&p, unwatch, &o);
    puppet_end(&p);
}

/* -- Ends ------------------------------------------------------------------------------------------------ */

static void closing_ends_everything(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = probe_to(FERRY_TO_CONTROLLER, 0),
                 c = to_group();
    p.nodes[0].silent = true;
    puppet_do(&p, submit, &a);
    puppet_do(&p, submit, &b);
    puppet_do(&p, submit, &c);
    puppet_end(&p);
    CHECK(a.done == 1 && b.done == 1 && c.done == 1);
    CHECK(a.status == FERRY_E_CLOSED && b.status == FERRY_E_CLOSED && c.status == FERRY_E_CLOSED);
}

static void freed_in_any_state(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = swallow;
    struct probe a = probe_to(FERRY_TO_ANY, 0), b = to_group();
    puppet_do(&p, submit, &a);
    puppet_call(&p, submit, &b);
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
        struct probe a = probe_to(FERRY_TO_ANY, 0), b = to_group();
        if (!p.dead) {
            p.handler = list_groups;
            p.node_count = 2;
            p.chunk = 20;
            add_topic(&p, "t", 3, 1);
            a.request.keep_frame = true;
            puppet_do(&p, want_topic, (char[]){"t"});
            puppet_do(&p, submit, &a);
            puppet_do(&p, submit, &b);
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
             ? to_group()
             : probe_to((enum ferry_target)ferry_prng_below(&c->prng, 3),
                        (int32_t)ferry_prng_below(&c->prng, 4));
    a->done = done;
    a->request.conn_class = (enum ferry_class)ferry_prng_below(&c->prng, FERRY_CLASS_COUNT);
    a->request.timeout = ferry_prng_between(&c->prng, 1, 20000) * FERRY_MS;
    a->request.no_reply = ferry_prng_chance(&c->prng, 1, 10);
    c->submits[i]++;
    puppet_call(&c->p, submit, a);
}

static void chaos_turn(struct chaos *c)
{
    struct puppet *p = &c->p;
    size_t i = ferry_prng_below(&c->prng, CHAOS_PROBES);
    struct puppet_node *n = &p->nodes[ferry_prng_below(&c->prng, 3)];
    struct puppet_conn *conn = puppet_conn_to(p, n->id);
    switch (ferry_prng_below(&c->prng, 12)) {
    case 0:
        puppet_call(p, cancel, &c->probes[i]);
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
        puppet_call(p, refresh, NULL);
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
        c.p.handler = list_groups;
        c.p.node_count = 3;
        if (seed % 2)
            c.p.spoil = &c.spoil;
        add_topic(&c.p, "t", 4, 1);
        puppet_call(&c.p, want_topic, (char[]){"t"});
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
    TAP_RUN(names_resolve_to_several_addresses);
    TAP_RUN(hanging_address_is_passed_over);
    TAP_RUN(bootstrap_goes_on_to_the_next_server);
    TAP_RUN(bootstrap_failure_is_told);
    TAP_RUN(backoff_grows_to_its_bound);
    TAP_RUN(no_bootstrap_server_at_first);
    TAP_RUN(servers_added_at_run_time);
    TAP_RUN(falls_back_to_older_api_versions);
    TAP_RUN(no_common_version_is_an_error);
    TAP_RUN(negotiation_that_is_not_answered);
    TAP_RUN(time_out_on_the_wire_closes);
    TAP_RUN(default_time_out_is_the_setting);
    TAP_RUN(memory_stays_until_drained);
    TAP_RUN(cancelled_in_each_state);
    TAP_RUN(late_answers_are_dropped);
    TAP_RUN(a_cut_fails_each_once);
    TAP_RUN(no_reply_ends_when_drained);
    TAP_RUN(classes_have_connections_of_their_own);
    TAP_RUN(idle_connections_are_closed);
    TAP_RUN(throttle_is_honoured);
    TAP_RUN(hostile_frames_are_errors);
    TAP_RUN(claims_cost_nothing);
    TAP_RUN(large_frames_are_lent);
    TAP_RUN(knows_topics);
    TAP_RUN(unknown_topics_are_asked_for_again);
    TAP_RUN(epochs_do_not_go_back);
    TAP_RUN(leader_hints);
    TAP_RUN(every_topic);
    TAP_RUN(creation_is_asked_for_only_where_allowed);
    TAP_RUN(brokers_come_and_go);
    TAP_RUN(rebootstraps_when_all_are_gone);
    TAP_RUN(rebootstraps_when_told);
    TAP_RUN(rebootstraps_when_metadata_is_missing);
    TAP_RUN(old_metadata_versions);
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
