/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* How the client comes to a connection and keeps it: names, addresses, bootstrap servers, back-off, negotiation,
 * classes, idleness; and the frames that come in on it. */

#include "tests/lib/probe.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

/* -- Connecting ------------------------------------------------------------------------------------------ */

static void names_resolve_to_several_addresses(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=many:9092");
    p.handler = probe_list_groups;
    p.node_count = 4;
    p.nodes[1].down = p.nodes[2].down = true;
    p.name = "many";
    p.name_count = 3;
    p.name_addrs[0] = puppet_addr(1);
    p.name_addrs[1] = puppet_addr(2);
    p.name_addrs[2] = puppet_addr(3);
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
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
    p.handler = probe_list_groups;
    p.node_count = 3;
    p.nodes[1].hangs = true;
    p.name = "many";
    p.name_count = 2;
    p.name_addrs[0] = puppet_addr(1);
    p.name_addrs[1] = puppet_addr(2);
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
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
    p.handler = probe_list_groups;
    p.node_count = 4;
    p.nodes[1].down = true;
    p.nodes[2].hangs = true;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
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
    puppet_do(&p, probe_submit, &a);
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
    p.handler = probe_list_groups;
    puppet_do(&p, probe_submit, &a);
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
    puppet_do(&p, probe_submit, &a);
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
    p.handler = probe_list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
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
    p.handler = probe_list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
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
        p.handler = probe_list_groups;
        p.nodes[0].api_versions_max = expected[i];
        struct probe a = probe_to(FERRY_TO_ANY, 0);
        puppet_do(&p, probe_submit, &a);
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
    puppet_do(&p, probe_submit, &a);
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
    puppet_do(&p, probe_submit, &a);
    puppet_pass(&p, 5 * FERRY_SECOND);
    CHECK_INT(a.done, 0);
    CHECK(p.opens >= 3 && p.opens <= 7);
    p.nodes[0].mute = false;
    p.handler = probe_list_groups;
    puppet_pass(&p, 3 * FERRY_SECOND);
    CHECK_INT(a.done, 1);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void classes_have_connections_of_their_own(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_list_groups;
    puppet_add_topic(&p, "t", 1, 0);
    puppet_do(&p, probe_want_topic, (char[]){"t"});
    struct probe probes[FERRY_CLASS_COUNT];
    for (int i = 0; i < FERRY_CLASS_COUNT; i++) {
        probes[i] = probe_to(FERRY_TO_NODE, 0);
        probes[i].request.conn_class = (enum ferry_class)i;
        puppet_do(&p, probe_submit, &probes[i]);
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
    p.handler = probe_list_groups;
    struct probe a = probe_to(FERRY_TO_ANY, 0);
    puppet_do(&p, probe_submit, &a);
    puppet_pass(&p, 9 * FERRY_SECOND);
    puppet_do(&p, probe_submit, &a);
    puppet_pass(&p, 9 * FERRY_SECOND);
    CHECK_INT(puppet_open_conns(&p, 0), 1);
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(puppet_open_conns(&p, 0), 0);
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.done, 3);
    CHECK_INT(a.status, 0);
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
        puppet_call(&p, probe_submit, &b);
        puppet_do(&p, probe_submit, &a);
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

int main(void)
{
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
    TAP_RUN(classes_have_connections_of_their_own);
    TAP_RUN(idle_connections_are_closed);
    TAP_RUN(hostile_frames_are_errors);
    TAP_RUN(claims_cost_nothing);
    TAP_RUN(large_frames_are_lent);
    return tap_done();
}
