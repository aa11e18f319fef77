/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings reach what they govern: keys that no other test is about. */
#include "config.h"

#include "ferry/kafka_errors.h"
#include "ferry/observe.h"
#include "tests/lib/feed.h"
#include "tests/lib/tap.h"

static struct feed f;

static void a_fetch_asks_as_it_is_set(void)
{
    feed_init(&f,
              "fetch.min.bytes=7\nfetch.max.bytes=123456\nfetch.max.wait.ms=321\n"
              "max.partition.fetch.bytes=23456\nisolation.level=read_committed\nclient.rack=r1",
              1);
    feed_assign(&f, "t:0@0");
    feed_pump(&f);
    CHECK(f.last_min == 7 && f.last_max == 123456 && f.last_wait == 321);
    CHECK(f.last_isolation == 1 && f.first_bytes == 23456);
    CHECK_STR(f.last_rack, "r1");
    feed_end(&f);
    feed_init(&f, NULL, 1);
    feed_assign(&f, "t:0@0");
    feed_pump(&f);
    CHECK(f.last_min == 1 && f.last_max == 52428800 && f.last_wait == 500);
    CHECK(f.last_isolation == 0 && f.first_bytes == 1048576);
    CHECK_STR(f.last_rack, "");
    feed_end(&f);
}

/* While as much as that is fetched and not consumed no broker is asked for more. */
static void queued_bytes_are_bounded(void)
{
    int fetches[2];
    for (int bounded = 0; bounded < 2; bounded++) {
        feed_init(&f, bounded ? "ferry.queued.max.bytes=1" : NULL, 2);
        feed_append(&f, 0, 0, 5, 0);
        feed_assign(&f, "t:0,1@0");
        feed_pump(&f);
        feed_pass(&f, 3 * FERRY_SECOND);
        fetches[bounded] = f.fetches;
        feed_append(&f, 0, 1, 5, 0);
        feed_release(&f);
        CHECK_INT(feed_poll(&f), bounded ? 5 : 10);
        feed_pass(&f, FERRY_SECOND); /* what was polled is given back by the next poll */
        feed_poll(&f);
        CHECK_INT(f.got_count, 10);
        feed_end(&f);
    }
    CHECK_INT(fetches[1], 1);
    CHECK(fetches[0] > 3);
}

static void calls_without_a_timeout_end(void)
{
    feed_init(&f, "default.api.timeout.ms=700\ngroup.id=g", 1);
    f.p.nodes[0].silent = true;
    feed_call(&f, FERRY_CALL_COMMITTED, "t:0");
    feed_pass(&f, 690 * FERRY_MS);
    CHECK(!f.done);
    feed_pass(&f, 20 * FERRY_MS);
    CHECK(f.done);
    CHECK_INT(f.done->status, FERRY_E_TIMED_OUT);
    feed_end(&f);
}

/* Creation is asked for by subscriptions, and only where it is allowed. */
static void topics_are_created_only_where_allowed(void)
{
    static const char *const settings[] = {"group.id=g",
                                           "group.id=g\nallow.auto.create.topics=true",
                                           "group.id=g\nallow.auto.create.topics=false"};
    for (int i = 0; i < 3; i++) {
        feed_init(&f, settings[i], 1);
        f.auto_answer = f.lead = true;
        feed_subscribe(&f, "not-there");
        feed_pass(&f, FERRY_SECOND);
        CHECK_INT(f.p.creation_allowed, i < 2);
        feed_end(&f);
    }
}

static void lose_all(const char *settings)
{
    feed_init(&f, settings, 1);
    f.p.node_count = 2;
    feed_assign(&f, "t:0@0");
    feed_pump(&f);
    f.p.nodes[0].down = f.p.nodes[1].down = true;
    for (int i = 0; i < PUPPET_CONNS; i++)
        if (f.p.conns[i].open)
            puppet_cut(&f.p, &f.p.conns[i], FERRY_E_TRANSPORT);
    feed_pass(&f, 10 * FERRY_SECOND);
}

static void a_lost_cluster_is_looked_for_as_it_is_set(void)
{
    lose_all("reconnect.backoff.max.ms=100");
    CHECK(f.p.client->counters.rebootstraps > 0);
    feed_end(&f);
    lose_all("reconnect.backoff.max.ms=100\nmetadata.recovery.strategy=none");
    CHECK_INT(f.p.client->counters.rebootstraps, 0);
    f.p.nodes[0].down = false; /* it goes on trying those that it knows */
    feed_append(&f, 0, 0, 5, 0);
    feed_pass(&f, 2 * FERRY_SECOND);
    CHECK_INT(feed_poll(&f), 5);
    feed_end(&f);
}

/* A frame that announces one byte more than is accepted ends its connection; one of just that size is waited for. */
static void frames_are_accepted_up_to_the_setting(void)
{
    for (int more = 0; more < 2; more++) {
        uint8_t head[4] = {0, 1, 0x11, (uint8_t)(0x70 + more)}; /* 70,000 = 0x11170 */
        feed_init(&f, "fetch.max.bytes=1000\nferry.frame.max.bytes=70000", 1);
        f.park_always = true;
        feed_assign(&f, "t:0@0");
        feed_pump(&f);
        struct puppet_conn *c = f.parked[0].conn;
        CHECK(c && c->open);
        struct ferry_id id = c->id;
        puppet_bytes(&f.p, c, head, sizeof head);
        puppet_settle(&f.p);
        CHECK_INT(c->open && c->id.gen == id.gen && !c->closing, !more);
        feed_end(&f);
    }
}

static const char *refused(const char *pair)
{
    static struct ferry_error err;
    struct ferry_config *config = ferry_config_new();
    err.text[0] = 0;
    if (!ferry_config_set_pair(config, pair, &err)) {
        struct ferry_config *frozen = ferry_settings_freeze(config, &err);
        if (frozen && !ferry_settings_check_consumer(frozen, &err))
            err.text[0] = 0;
        ferry_settings_free(frozen);
    }
    ferry_config_free(config);
    return err.text;
}

static void what_is_not_supported_is_refused(void)
{
    CHECK(strstr(refused("client.dns.lookup=resolve_canonical_bootstrap_servers_only"),
                 "client.dns.lookup"));
    CHECK(strstr(refused("security.protocol=SASL_SSL"), "security.protocol"));
    CHECK(strstr(refused("group.protocol=consumer"), "group.protocol=consumer"));
    CHECK_STR(refused("client.dns.lookup=use_all_dns_ips"), "");
    CHECK_STR(refused("group.protocol=classic"), "");
    CHECK_STR(refused("security.protocol=PLAINTEXT"), "");
}

static void no_line(void *cookie, int level, uint32_t context, const char *text)
{
    (void)cookie, (void)level, (void)context, (void)text;
}

static void no_error(void *cookie, const struct ferry_error *err)
{
    (void)cookie, (void)err;
}

static void logs_are_chosen_by_level_and_context(void)
{
    static const struct ferry_client_host host = {.log = no_line, .error = no_error};
    static const struct {
        const char *settings;
        int level;
        uint32_t debug;
    } cases[] = {
        {"", FERRY_LOG_WARNING, 0},
        {"ferry.log.level=error", FERRY_LOG_ERROR, 0},
        {"ferry.log.level=info", FERRY_LOG_INFO, 0},
        {"ferry.log.level=debug", FERRY_LOG_DEBUG, 0},
        {"ferry.debug=group, fetch", FERRY_LOG_DEBUG, FERRY_DEBUG_GROUP | FERRY_DEBUG_FETCH},
        {"ferry.debug=all", FERRY_LOG_DEBUG, FERRY_DEBUG_ALL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ferry_config *config = ferry_config_new();
        ferry_config_load_text(config, cases[i].settings, strlen(cases[i].settings), NULL);
        struct ferry_client *client = ferry_client_new(config, 1, &host, NULL, NULL);
        ferry_config_free(config);
        CHECK(client);
        for (int level = FERRY_LOG_ERROR; level < FERRY_LOG_DEBUG; level++)
            CHECK_INT(ferry_client_logs(client, level, FERRY_DEBUG_GROUP), level <= cases[i].level);
        for (uint32_t context = 1; context <= FERRY_DEBUG_CONFIG; context *= 2)
            CHECK_INT(ferry_client_logs(client, FERRY_LOG_DEBUG, context),
                      (cases[i].debug & context) != 0);
        ferry_client_free(client);
    }
    CHECK(strstr(refused("ferry.debug=group,nonsense"), "nonsense"));
}

int main(void)
{
    TAP_RUN(a_fetch_asks_as_it_is_set);
    TAP_RUN(queued_bytes_are_bounded);
    TAP_RUN(calls_without_a_timeout_end);
    TAP_RUN(topics_are_created_only_where_allowed);
    TAP_RUN(a_lost_cluster_is_looked_for_as_it_is_set);
    TAP_RUN(frames_are_accepted_up_to_the_setting);
    TAP_RUN(what_is_not_supported_is_refused);
    TAP_RUN(logs_are_chosen_by_level_and_context);
    return tap_done();
}
