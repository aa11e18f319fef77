/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* What the client knows of the cluster: topics, leaders, brokers; and how it begins anew when it has lost them. */

#include "ferry/kafka_errors.h"
#include "tests/lib/probe.h"
#include "tests/lib/tap.h"

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

static void knows_topics(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.node_count = 2;
    puppet_add_topic(&p, "t", 3, 1);
    struct watcher w = watching();
    puppet_do(&p, probe_watch, &w);
    puppet_call(&p, probe_want_topic, (char[]){"t"});
    puppet_do(&p, probe_want_topic, (char[]){"t"});
    CHECK_INT(p.metadata_requests, 1); /* one for both */
    struct ferry_topic_meta *t = puppet_topic_meta(&p, "t");
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
    puppet_do(&p, probe_refresh, NULL);
    CHECK_INT(p.metadata_requests, 2);
    CHECK_INT(w.topics, 1); /* the same again is no change */
    p.topics[0].partitions = 5;
    puppet_pass(&p, 301 * FERRY_SECOND); /* metadata.max.age.ms */
    CHECK_INT(p.metadata_requests, 3);
    CHECK_INT(t->partition_count, 5);
    CHECK_INT(w.topics, 2);
    puppet_do(&p, probe_unwatch, &w);
    puppet_end(&p);
}

static void unknown_topics_are_asked_for_again(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    puppet_do(&p, probe_want_topic, (char[]){"late"});
    struct ferry_topic_meta *t = puppet_topic_meta(&p, "late");
    CHECK(t->known && t->error == FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    puppet_pass(&p, 10 * FERRY_SECOND);
    CHECK(p.metadata_requests >= 10 &&
          p.metadata_requests <= 16); /* 100, 200, 400, 800, 1000 ... */
    puppet_add_topic(&p, "late", 1, 0);
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
    puppet_add_topic(&p, "t", 2, 1);
    p.topics[0].epoch[0] = 9;
    puppet_do(&p, probe_want_topic, (char[]){"t"});
    struct ferry_topic_meta *t = puppet_topic_meta(&p, "t");
    p.topics[0].epoch[0] = 8; /* a broker that is behind */
    p.topics[0].leader[0] = 2;
    p.topics[0].epoch[1] = 2;
    p.topics[0].leader[1] = 2;
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, probe_refresh, NULL);
    CHECK_INT(t->partitions[0].leader, 1);
    CHECK_INT(t->partitions[0].leader_epoch, 9);
    CHECK_INT(t->partitions[1].leader, 2);
    struct watcher w = watching();
    puppet_do(&p, probe_watch, &w);
    p.topics[0].id.b[0] = 77; /* made anew: its epochs count from the beginning */
    p.topics[0].partitions = 1;
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, probe_refresh, NULL);
    CHECK_INT(w.ids, 1);
    CHECK_INT(t->partition_count, 1);
    CHECK_INT(t->partitions[0].leader, 2);
    CHECK_INT(t->partitions[0].leader_epoch, 8);
    puppet_do(&p, probe_unwatch, &w);
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
    h->moved = ferry_cluster_hint(client, puppet_topic_meta(h->p, "t"), 0, h->leader, h->epoch,
                                  h->with_endpoint ? &h->endpoint : NULL);
}

static void leader_hints(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.node_count = 2;
    p.handler = probe_list_groups;
    puppet_add_topic(&p, "t", 1, 1);
    puppet_do(&p, probe_want_topic, (char[]){"t"});
    struct ferry_topic_meta *t = puppet_topic_meta(&p, "t");
    struct watcher w = watching();
    puppet_do(&p, probe_watch, &w);
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
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.status, 0);
    CHECK_INT(a.node, 2);
    puppet_do(&p, probe_unwatch, &w);
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
    puppet_add_topic(&p, "a", 1, 0);
    puppet_add_topic(&p, "b", 1, 0);
    puppet_do(&p, probe_want_topic, (char[]){"b"});
    puppet_do(&p, want_all, NULL);
    CHECK(puppet_topic_meta(&p, "a") && puppet_topic_meta(&p, "b"));
    puppet_add_topic(&p, "c", 1, 0);
    p.topics[0].name = "d"; /* a is gone */
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, probe_refresh, NULL);
    CHECK(!puppet_topic_meta(&p, "a") && puppet_topic_meta(&p, "b") && puppet_topic_meta(&p, "c") &&
          puppet_topic_meta(&p, "d"));
    puppet_do(&p, unwant_all, NULL);
    CHECK(!puppet_topic_meta(&p, "c") && puppet_topic_meta(&p, "b"));
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
    CHECK(puppet_topic_meta(&p, "create")->known && puppet_topic_meta(&p, "leave")->known);
    puppet_end(&p);
}

static void brokers_come_and_go(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    p.handler = probe_list_groups;
    p.node_count = 2;
    puppet_add_topic(&p, "t", 1, 0);
    puppet_do(&p, probe_want_topic, (char[]){"t"});
    struct probe a = probe_to(FERRY_TO_NODE, 1), b = probe_to(FERRY_TO_NODE, 7);
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.status, 0);
    puppet_do(&p, probe_submit, &b);
    CHECK_INT(b.status, FERRY_E_NOT_FOUND);
    p.handler = probe_swallow;
    puppet_do(&p, probe_submit, &a); /* in flight while its broker leaves */
    p.node_count = 1;
    puppet_pass(&p, FERRY_SECOND);
    puppet_do(&p, probe_refresh, NULL);
    CHECK_INT(a.done, 2);
    CHECK_INT(a.status, FERRY_E_TRANSPORT);
    CHECK_INT(puppet_open_conns(&p, 1), 0);
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.status, FERRY_E_NOT_FOUND);
    puppet_end(&p);
}

static void rebootstraps_when_all_are_gone(void)
{
    struct puppet p;
    puppet_init(&p, "bootstrap.servers=first:9092\nreconnect.backoff.max.ms=100");
    p.handler = probe_list_groups;
    p.node_count = 2;
    p.name = "first";
    p.name_count = 1;
    p.name_addrs[0] = puppet_addr(0);
    puppet_add_topic(&p, "t", 1, 0);
    puppet_do(&p, probe_want_topic, (char[]){"t"});
    CHECK_INT(p.client->counters.rebootstraps, 0);
    p.nodes[0].down = p.nodes[1].down = true;
    puppet_do(&p, probe_refresh, NULL);
    puppet_pass(&p, FERRY_SECOND);
    CHECK(p.client->counters.rebootstraps >= 1);
    CHECK_INT(p.last_error, FERRY_E_ALL_BROKERS_DOWN);
    p.node_count = 4; /* another cluster, reached by the same name */
    p.nodes[2].down = p.nodes[3].down = false;
    p.name_addrs[0] = puppet_addr(3);
    p.topics[0].leader[0] = 3;
    p.topics[0].epoch[0] = 0; /* an older epoch counts after a rebootstrap */
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(puppet_topic_meta(&p, "t")->partitions[0].leader, 3);
    struct probe a = probe_to(FERRY_TO_NODE, 3);
    puppet_do(&p, probe_submit, &a);
    CHECK_INT(a.status, 0);
    puppet_end(&p);
}

static void rebootstraps_when_told(void)
{
    struct puppet p;
    puppet_init(&p, NULL);
    puppet_add_topic(&p, "t", 1, 0);
    p.metadata_error = FERRY_KAFKA_REBOOTSTRAP_REQUIRED;
    puppet_do(&p, probe_want_topic, (char[]){"t"});
    puppet_pass(&p, FERRY_SECOND);
    CHECK(p.client->counters.rebootstraps >= 1 && p.client->counters.rebootstraps < 50);
    p.metadata_error = 0;
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(puppet_topic_meta(&p, "t")->partition_count, 1);
    puppet_end(&p);
}

static void rebootstraps_when_metadata_is_missing(void)
{
    struct puppet p;
    puppet_init(&p, "metadata.recovery.rebootstrap.trigger.ms=20000\nrequest.timeout.ms=3000");
    p.nodes[0].silent = true;
    puppet_do(&p, probe_want_topic, (char[]){"t"});
    puppet_pass(&p, 19 * FERRY_SECOND);
    CHECK_INT(p.client->counters.rebootstraps, 0);
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK_INT(p.client->counters.rebootstraps, 1);
    p.nodes[0].silent = false;
    puppet_pass(&p, 5 * FERRY_SECOND);
    CHECK(puppet_topic_meta(&p, "t")->known);
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
        puppet_add_topic(&p, "t", 2, 0);
        puppet_do(&p, probe_want_topic, (char[]){"t"});
        struct ferry_topic_meta *t = puppet_topic_meta(&p, "t");
        CHECK_INT(t->partition_count, 2);
        CHECK_INT(t->partitions[0].leader_epoch, version >= 7 ? 1 : -1);
        CHECK(ferry_uuid_is_zero(&t->id) == (version < 10));
        puppet_end(&p);
    }
}

int main(void)
{
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
    return tap_done();
}
