/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"
#include "client/admin.h"
#include "ferry/kafka_errors.h"
#include "tests/lib/puppet.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

static void start(struct ferry_client *client, void *arg)
{
    struct ferry_admin *call = arg;
    atomic_store(&call->state, FERRY_ADMIN_RUNNING);
    ferry_admin_begin(client, &call->command);
}

static bool done(const struct ferry_admin *call)
{
    return atomic_load(&call->state) == FERRY_ADMIN_DONE;
}

static int64_t item_int(const struct ferry_admin *call, int32_t i, int32_t field)
{
    return ferry_admin_int(ferry_admin_item(call, i), field, -99);
}

static int64_t item_error(const struct ferry_admin *call, int32_t i)
{
    return ferry_admin_int(ferry_admin_item(call, i), FERRY_FIELD_ERROR, 0);
}

static const char *item_text(const struct ferry_admin *call, int32_t i, int32_t field)
{
    const char *text = ferry_admin_text(ferry_admin_item(call, i), field);
    return text ? text : "(none)";
}

/* What the scripted brokers do; the puppet's cookie. */
struct script {
    struct ferry_arena arena;
    int32_t controller;    /* the one that accepts */
    int asked[200];        /* requests by API key */
    int refuse;            /* so many NOT_LEADER answers first */
    int coordinator_moves; /* so many NOT_COORDINATOR answers first */
    bool forget_item;      /* answers leave one out */
    int32_t list_node_down;
    const char *missing_topic;
};

static void *decode(struct puppet *p, const struct ferry_request_head *head)
{
    struct script *s = p->cookie;
    const struct ferry_msg *msg = ferry_api_request(head->api);
    ferry_arena_reset(&s->arena);
    void *m = ferry_arena_alloc(&s->arena, msg->size);
    return m && !ferry_msg_decode(msg, head->version, head->body, FERRY_DECODE_WHOLE, &s->arena, m,
                                  NULL)
               ? m
               : NULL;
}

static void answer_create(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                          const struct ferry_request_head *head)
{
    struct script *s = p->cookie;
    const struct ferry_create_topics_request *q = decode(p, head);
    struct ferry_create_topics_response m;
    struct ferry_create_topics_response_topic topics[8];
    if (!q)
        return; /* lost memory */
    ferry_create_topics_response_init(&m);
    m.topics = topics;
    for (int32_t i = 0; i < q->topics_count; i++) {
        struct ferry_create_topics_response_topic *t = &topics[m.topics_count];
        if (s->forget_item && ferry_str_eq(q->topics[i].name, FERRY_STR("b")))
            continue;
        ferry_create_topics_response_topic_init(t);
        t->name = q->topics[i].name;
        if (n->id != s->controller) {
            t->error_code = FERRY_KAFKA_NOT_CONTROLLER;
        } else if (ferry_str_eq(t->name, FERRY_STR("there"))) {
            t->error_code = FERRY_KAFKA_TOPIC_ALREADY_EXISTS;
            t->error_message = FERRY_STR("it is there");
        } else if (head->version >= 5) {
            t->num_partitions = q->topics[i].num_partitions;
            t->replication_factor = q->topics[i].replication_factor;
            if (head->version >= 7)
                t->topic_id.b[15] = 9;
        }
        m.topics_count++;
    }
    puppet_answer(p, c, head, &m);
}

static void answer_offsets(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                           const struct ferry_request_head *head)
{
    struct script *s = p->cookie;
    const struct ferry_list_offsets_request *q = decode(p, head);
    struct ferry_list_offsets_response m;
    struct ferry_list_offsets_response_topic topics[8];
    struct ferry_list_offsets_response_partition parts[8][8];
    if (!q)
        return; /* lost memory */
    ferry_list_offsets_response_init(&m);
    m.topics = topics;
    m.topics_count = q->topics_count;
    for (int32_t i = 0; i < q->topics_count; i++) {
        topics[i] = (struct ferry_list_offsets_response_topic){.name = q->topics[i].name,
                                                               .partitions = parts[i],
                                                               .partitions_count =
                                                                   q->topics[i].partitions_count};
        for (int32_t k = 0; k < q->topics[i].partitions_count; k++) {
            const struct ferry_list_offsets_request_partition *from = &q->topics[i].partitions[k];
            struct ferry_list_offsets_response_partition *to = &parts[i][k];
            ferry_list_offsets_response_partition_init(to);
            to->partition_index = from->partition_index;
            if (s->refuse > 0) {
                s->refuse--;
                to->error_code = FERRY_KAFKA_NOT_LEADER_OR_FOLLOWER;
                continue;
            }
            to->offset = from->timestamp == -1   ? 1000 + from->partition_index
                         : from->timestamp == -2 ? 10
                                                 : 500;
            if (head->version >= 1)
                to->timestamp = from->timestamp > 0 ? from->timestamp + 1 : -1;
            if (head->version >= 4)
                to->leader_epoch = n->id;
        }
    }
    puppet_answer(p, c, head, &m);
}

static bool coordinator_moved(struct puppet *p, int16_t *error)
{
    struct script *s = p->cookie;
    *error = s->coordinator_moves > 0 ? FERRY_KAFKA_NOT_COORDINATOR : 0;
    if (s->coordinator_moves > 0 && --s->coordinator_moves == 0)
        p->coordinator = 1;
    return *error;
}

static void answer_committed(struct puppet *p, struct puppet_conn *c,
                             const struct ferry_request_head *head)
{
    struct ferry_offset_fetch_response m;
    struct ferry_offset_fetch_response_group g;
    struct ferry_offset_fetch_response_group_topic t;
    struct ferry_offset_fetch_response_group_topic_partition parts[2];
    struct ferry_offset_fetch_response_topic old;
    struct ferry_offset_fetch_response_partition old_parts[2];
    int16_t error;
    ferry_offset_fetch_response_init(&m);
    ferry_offset_fetch_response_group_init(&g);
    ferry_offset_fetch_response_group_topic_init(&t);
    coordinator_moved(p, &error);
    for (int i = 0; i < 2; i++) {
        ferry_offset_fetch_response_group_topic_partition_init(&parts[i]);
        ferry_offset_fetch_response_partition_init(&old_parts[i]);
        parts[i].partition_index = old_parts[i].partition_index = i;
        parts[i].committed_offset = old_parts[i].committed_offset = i ? -1 : 900;
        parts[i].metadata = old_parts[i].metadata = FERRY_STR("note");
    }
    old = (struct ferry_offset_fetch_response_topic){
        .name = FERRY_STR("t"), .partitions = old_parts, .partitions_count = 2};
    g.group_id = FERRY_STR("g");
    g.error_code = error;
    g.topics = &t;
    g.topics_count = 1;
    t.name = FERRY_STR("t");
    t.partitions = parts;
    t.partitions_count = 2;
    if (head->version >= 8) {
        m.groups = &g;
        m.groups_count = 1;
    } else {
        m.error_code = error;
        m.topics = &old;
        m.topics_count = 1;
    }
    puppet_answer(p, c, head, &m);
}

static void answer_describe(struct puppet *p, struct puppet_conn *c,
                            const struct ferry_request_head *head)
{
    const struct ferry_describe_groups_request *q = decode(p, head);
    static const char assignment[] = "\0\1\0\0\0\1\0\1t\0\0\0\2\0\0\0\0\0\0\0\1\xff\xff\xff\xff";
    struct ferry_describe_groups_response m;
    struct ferry_describe_groups_response_group g;
    struct ferry_describe_groups_response_member member = {
        .member_id = FERRY_STR("m-1"),
        .client_id = FERRY_STR("c"),
        .client_host = FERRY_STR("/10.1.1.1"),
        .member_metadata = {(const uint8_t *)"meta", 4},
        .member_assignment = {(const uint8_t *)assignment, sizeof assignment - 1}};
    if (!q)
        return; /* lost memory */
    ferry_describe_groups_response_init(&m);
    ferry_describe_groups_response_group_init(&g);
    g.group_id = q->groups[0];
    coordinator_moved(p, &g.error_code);
    g.group_state = FERRY_STR("Stable");
    g.protocol_type = FERRY_STR("consumer");
    g.protocol_data = FERRY_STR("range");
    g.members = &member;
    g.members_count = 1;
    m.groups = &g;
    m.groups_count = 1;
    puppet_answer(p, c, head, &m);
}

static void answer_groups(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                          const struct ferry_request_head *head)
{
    struct ferry_list_groups_response m;
    struct ferry_list_groups_response_group g;
    char name[16];
    snprintf(name, sizeof name, "g%d", n->id);
    ferry_list_groups_response_init(&m);
    ferry_list_groups_response_group_init(&g);
    g.group_id = ferry_str_of(name);
    g.protocol_type = FERRY_STR("consumer");
    if (head->version >= 4)
        g.group_state = FERRY_STR("Empty");
    m.groups = &g;
    m.groups_count = 1;
    puppet_answer(p, c, head, &m);
}

static void answer_configs(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                           const struct ferry_request_head *head)
{
    const struct ferry_describe_configs_request *q = decode(p, head);
    struct ferry_describe_configs_response m;
    struct ferry_describe_configs_response_result results[4];
    struct ferry_describe_configs_response_config config;
    if (!q)
        return; /* lost memory */
    ferry_describe_configs_response_init(&m);
    ferry_describe_configs_response_config_init(&config);
    config.name = FERRY_STR("retention.ms");
    config.value = FERRY_STR("7");
    config.config_source = 5;
    m.results = results;
    for (m.results_count = 0; m.results_count < q->resources_count; m.results_count++) {
        struct ferry_describe_configs_response_result *r = &results[m.results_count];
        ferry_describe_configs_response_result_init(r);
        r->resource_type = q->resources[m.results_count].resource_type;
        r->resource_name = q->resources[m.results_count].resource_name;
        if (r->resource_type == FERRY_RESOURCE_BROKER && n->id != r->resource_name.data[0] - '0')
            r->error_code = FERRY_KAFKA_INVALID_REQUEST;
        r->configs = &config;
        r->configs_count = r->error_code ? 0 : 1;
    }
    puppet_answer(p, c, head, &m);
}

static bool act(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                const struct ferry_request_head *head)
{
    struct script *s = p->cookie;
    s->asked[head->key]++;
    switch (head->key) {
    case FERRY_API_CREATE_TOPICS:
        answer_create(p, c, n, head);
        return true;
    case FERRY_API_LIST_OFFSETS:
        answer_offsets(p, c, n, head);
        return true;
    case FERRY_API_OFFSET_FETCH:
        answer_committed(p, c, head);
        return true;
    case FERRY_API_DESCRIBE_GROUPS:
        answer_describe(p, c, head);
        return true;
    case FERRY_API_LIST_GROUPS:
        if (n->id != s->list_node_down)
            answer_groups(p, c, n, head);
        return true;
    case FERRY_API_DESCRIBE_CONFIGS:
        answer_configs(p, c, n, head);
        return true;
    default:
        return false;
    }
}

static void begin(struct puppet *p, struct script *s, const char *settings)
{
    puppet_init(p, settings);
    *s = (struct script){.controller = 0, .list_node_down = -1};
    ferry_arena_init(&s->arena, 1 << 20);
    p->handler = act;
    p->cookie = s;
}

static void end(struct puppet *p, struct script *s)
{
    puppet_end(p);
    ferry_arena_free(&s->arena);
}

static void creates_with_errors_by_item(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
    int32_t nodes[] = {0};
    CHECK_INT(ferry_admin_add_config(call, "a", "b", FERRY_CONFIG_SET),
              FERRY_E_INVALID); /* to what? */
    CHECK_INT(ferry_admin_add_topic(call, "new", 3, 1), 0);
    CHECK_INT(ferry_admin_add_config(call, "retention.ms", "5", FERRY_CONFIG_SET), 0);
    CHECK_INT(ferry_admin_add_topic(call, "there", 1, 1), 0);
    CHECK_INT(ferry_admin_add_topic(call, "placed", -1, -1), 0);
    CHECK_INT(ferry_admin_add_assignment(call, 0, nodes, 1), 0);
    CHECK_INT(ferry_admin_add_topic(call, "new", 1, 1), 0); /* twice */
    CHECK_INT(ferry_admin_add_name(call, "x"), FERRY_E_INVALID);
    CHECK_INT(ferry_admin_add_partition(call, "x", 0, 0), FERRY_E_INVALID);
    CHECK_INT(ferry_admin_set_group(call, "x"), FERRY_E_INVALID);
    puppet_do(&p, start, call);
    CHECK(done(call));
    CHECK_INT(ferry_admin_count(call), 4);
    CHECK_STR(item_text(call, 0, FERRY_FIELD_NAME), "new");
    CHECK_INT(item_error(call, 0), 0);
    CHECK_INT(item_int(call, 0, FERRY_FIELD_PARTITION_COUNT), 3);
    CHECK_INT(strlen(item_text(call, 0, FERRY_FIELD_ID)), 22);
    CHECK_INT(item_error(call, 1), FERRY_KAFKA_TOPIC_ALREADY_EXISTS);
    CHECK_STR(item_text(call, 1, FERRY_FIELD_ERROR_TEXT), "it is there");
    CHECK_INT(item_error(call, 2), 0);
    CHECK_INT(item_error(call, 3), FERRY_E_INVALID);
    CHECK_INT(ferry_admin_error_count(call), 2);
    CHECK(ferry_admin_item(call, 4) == NULL && ferry_admin_item(call, -1) == NULL);
    CHECK_INT(ferry_admin_add_topic(call, "late", 1, 1), FERRY_E_INVALID);
    ferry_admin_free(call);
    end(&p, &s);
}

static void follows_the_controller(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.node_count = 3;
    p.controller = 1;
    s.controller = 2; /* metadata is behind */
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
    ferry_admin_add_topic(call, "a", 1, 1);
    puppet_do(&p, start, call);
    CHECK(!done(call));
    p.controller = 2;
    puppet_pass(&p, FERRY_SECOND);
    CHECK(done(call));
    CHECK_INT(item_error(call, 0), 0);
    CHECK(s.asked[FERRY_API_CREATE_TOPICS] >= 2 && s.asked[FERRY_API_CREATE_TOPICS] < 6);
    ferry_admin_free(call);
    end(&p, &s);
}

static void ends_at_its_deadline(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.node_count = 2;
    s.controller = 1; /* never found: metadata says 0 */
    s.forget_item = true;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
    ferry_admin_add_topic(call, "a", 1, 1);
    ferry_admin_add_topic(call, "b", 1, 1);
    call->timeout = 3 * FERRY_SECOND;
    puppet_do(&p, start, call);
    puppet_pass(&p, 2990 * FERRY_MS);
    CHECK(!done(call));
    puppet_pass(&p, 20 * FERRY_MS);
    CHECK(done(call));
    CHECK_INT(item_error(call, 0), FERRY_E_TIMED_OUT);
    CHECK(strstr(item_text(call, 0, FERRY_FIELD_ERROR_TEXT), "NOT_CONTROLLER"));
    CHECK_INT(item_error(call, 1), FERRY_E_TIMED_OUT);
    ferry_admin_free(call); /* though a request may be on its way */
    end(&p, &s);
}

static void silent_broker_does_not_hold_the_caller(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.nodes[0].silent = true;
    p.hold_drained = true;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER);
    call->timeout = FERRY_SECOND;
    puppet_do(&p, start, call);
    puppet_pass(&p, 1001 * FERRY_MS);
    CHECK(done(call));
    CHECK_INT(call->status, FERRY_E_TIMED_OUT);
    ferry_admin_free(call);
    p.hold_drained = false;
    puppet_pass(&p, FERRY_SECOND); /* what was orphaned ends without it */
    end(&p, &s);
}

static void describes_topics_and_cluster(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.node_count = 2;
    puppet_add_topic(&p, "t", 3, 1);
    puppet_add_topic(&p, "a", 1, 0);
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    ferry_admin_add_name(call, "t");
    ferry_admin_add_name(call, "missing");
    puppet_do(&p, start, call);
    CHECK(done(call));
    CHECK_INT(ferry_admin_list_count(ferry_admin_item(call, 0), FERRY_FIELD_PARTITIONS), 3);
    const struct ferry_admin_item *part =
        ferry_admin_list_item(ferry_admin_item(call, 0), FERRY_FIELD_PARTITIONS, 2);
    CHECK_INT(ferry_admin_int(part, FERRY_FIELD_PARTITION, -1), 2);
    CHECK_INT(ferry_admin_int(part, FERRY_FIELD_LEADER, -1), 1);
    int32_t count = 0;
    const int32_t *isr = ferry_admin_numbers(part, FERRY_FIELD_ISR, &count);
    CHECK(count == 2 && isr[0] == 0 && isr[1] == 1);
    CHECK(ferry_admin_list_item(ferry_admin_item(call, 0), FERRY_FIELD_PARTITIONS, 3) == NULL);
    CHECK_INT(item_error(call, 1),
              FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION); /* at once: nobody waits for it */
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    puppet_do(&p, start, call);
    CHECK_INT(ferry_admin_count(call), 2);
    CHECK_STR(item_text(call, 0, FERRY_FIELD_NAME), "a"); /* all, by name */
    CHECK_STR(item_text(call, 1, FERRY_FIELD_NAME), "t");
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER);
    puppet_do(&p, start, call);
    CHECK_INT(ferry_admin_count(call), 1);
    CHECK_STR(item_text(call, 0, FERRY_FIELD_ID), "puppets");
    CHECK_INT(ferry_admin_list_count(ferry_admin_item(call, 0), FERRY_FIELD_BROKERS), 2);
    ferry_admin_free(call);
    end(&p, &s);
}

static void asks_leaders_for_offsets(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.node_count = 3;
    puppet_add_topic(&p, "t", 2, 1);
    p.topics[0].leader[1] = 2;
    s.refuse = 1;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_OFFSETS);
    ferry_admin_add_partition(call, "t", 1, FERRY_ADMIN_LATEST);
    ferry_admin_add_partition(call, "t", 0, 123456);
    ferry_admin_add_partition(call, "t", 7, FERRY_ADMIN_EARLIEST);
    ferry_admin_add_partition(call, "gone", 0, FERRY_ADMIN_EARLIEST);
    puppet_do(&p, start, call);
    puppet_pass(&p, 3 * FERRY_SECOND);
    CHECK(done(call));
    CHECK_INT(item_error(call, 0), 0);
    CHECK_INT(item_int(call, 0, FERRY_FIELD_OFFSET), 1001);
    CHECK_INT(item_int(call, 0, FERRY_FIELD_LEADER_EPOCH),
              2); /* the scripted broker tells its own number */
    CHECK_INT(item_int(call, 1, FERRY_FIELD_OFFSET), 500);
    CHECK_INT(item_int(call, 1, FERRY_FIELD_TIMESTAMP), 123457);
    CHECK_INT(item_error(call, 2), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(item_error(call, 3), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    ferry_admin_free(call);
    end(&p, &s);
}

static void tells_a_groups_lag(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.node_count = 2;
    p.coordinator = 0;
    s.coordinator_moves = 2;
    puppet_add_topic(&p, "t", 2, 1);
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_GROUP_LAG);
    ferry_admin_set_group(call, "g");
    puppet_do(&p, start, call);
    puppet_pass(&p, 2 * FERRY_SECOND);
    CHECK(done(call));
    CHECK_INT(call->status, 0);
    CHECK_INT(ferry_admin_count(call), 2);
    CHECK_STR(item_text(call, 0, FERRY_FIELD_TOPIC), "t");
    CHECK_STR(item_text(call, 0, FERRY_FIELD_METADATA), "note");
    CHECK_INT(item_int(call, 0, FERRY_FIELD_OFFSET), 900);
    CHECK_INT(item_int(call, 0, FERRY_FIELD_END_OFFSET), 1000);
    CHECK_INT(item_int(call, 0, FERRY_FIELD_BEGIN_OFFSET), 10);
    CHECK_INT(item_int(call, 0, FERRY_FIELD_LAG), 100);
    CHECK_INT(item_int(call, 1, FERRY_FIELD_OFFSET), -1);
    CHECK_INT(item_int(call, 1, FERRY_FIELD_LAG), -99); /* not set */
    ferry_admin_free(call);
    end(&p, &s);
}

static void lists_groups_of_all_brokers(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, "request.timeout.ms=500");
    p.node_count = 3;
    s.list_node_down = 2;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_GROUPS);
    call->timeout = 2 * FERRY_SECOND;
    puppet_do(&p, start, call);
    puppet_pass(&p, 3 * FERRY_SECOND);
    CHECK(done(call));
    CHECK_INT(call->status, 0);
    CHECK_INT(ferry_admin_count(call), 3);
    CHECK_STR(item_text(call, 0, FERRY_FIELD_NAME), "g0");
    CHECK_STR(item_text(call, 1, FERRY_FIELD_NAME), "g1");
    CHECK_STR(item_text(call, 1, FERRY_FIELD_STATE), "Empty");
    CHECK_INT(item_int(call, 2, FERRY_FIELD_NODE), 2);
    CHECK_INT(item_error(call, 2), FERRY_E_TIMED_OUT);
    CHECK_STR(item_text(call, 2, FERRY_FIELD_NAME), "(none)");
    ferry_admin_free(call);
    end(&p, &s);
}

static void describes_groups(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.node_count = 2;
    p.coordinator = 0;
    s.coordinator_moves = 1;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_GROUPS);
    ferry_admin_add_name(call, "g");
    puppet_do(&p, start, call);
    puppet_pass(&p, FERRY_SECOND);
    CHECK(done(call));
    CHECK_INT(item_error(call, 0), 0);
    CHECK_STR(item_text(call, 0, FERRY_FIELD_STATE), "Stable");
    CHECK_INT(item_int(call, 0, FERRY_FIELD_NODE), 1);
    const struct ferry_admin_item *m =
        ferry_admin_list_item(ferry_admin_item(call, 0), FERRY_FIELD_MEMBERS, 0);
    CHECK(m != NULL);
    CHECK_INT(ferry_admin_list_count(m, FERRY_FIELD_PARTITIONS), 2);
    CHECK_INT(ferry_admin_int(ferry_admin_list_item(m, FERRY_FIELD_PARTITIONS, 1),
                              FERRY_FIELD_PARTITION, -1),
              1);
    int32_t len;
    CHECK(ferry_admin_bytes(m, FERRY_FIELD_METADATA, &len) && len == 4);
    ferry_admin_free(call);
    end(&p, &s);
}

static void asks_brokers_for_their_own_settings(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.node_count = 3;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CONFIGS);
    ferry_admin_add_resource(call, FERRY_RESOURCE_BROKER, "2");
    ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, "2");
    ferry_admin_add_config(call, "retention.ms", NULL, 0);
    ferry_admin_add_resource(call, FERRY_RESOURCE_BROKER, "1");
    ferry_admin_add_resource(call, FERRY_RESOURCE_BROKER, "7"); /* no such */
    puppet_do(&p, start, call);
    puppet_pass(&p, 3 * FERRY_SECOND);
    CHECK(done(call));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(item_error(call, i), 0);
        CHECK_INT(ferry_admin_list_count(ferry_admin_item(call, i), FERRY_FIELD_CONFIGS), 1);
    }
    CHECK_INT(item_error(call, 3), FERRY_E_NOT_FOUND);
    ferry_admin_free(call);
    end(&p, &s);
}

static void closing_ends_a_call(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    p.nodes[0].silent = true;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER);
    puppet_do(&p, start, call);
    end(&p, &s);
    CHECK(done(call));
    CHECK_INT(call->status, FERRY_E_CLOSED);
    ferry_admin_free(call);
}

static void freeing_ends_a_call(void)
{
    struct puppet p;
    struct script s;
    begin(&p, &s, NULL);
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER);
    puppet_call(&p, start, call);
    ferry_client_free(p.client); /* without a close before */
    p.client = NULL;
    CHECK(done(call));
    CHECK_INT(call->status, FERRY_E_CLOSED);
    ferry_admin_free(call);
    end(&p, &s);
}

static void survives_lost_memory(void)
{
    int failed = 0, fine = 0;
    for (uint64_t n = 1; n < 600 && fine < 30; n++) {
        struct puppet p;
        struct script s;
        struct ferry_admin *call = NULL;
        puppet_init(&p, NULL);
        s = (struct script){.list_node_down = -1};
        ferry_arena_init(&s.arena, 1 << 20);
        p.handler = act;
        p.cookie = &s;
        p.node_count = 2;
        puppet_add_topic(&p, "t", 2, 1);
        call = ferry_admin_new(FERRY_ADMIN_GROUP_LAG);
        ferry_admin_set_group(call, "g");
        ferry_mem_fail_after(n);
        puppet_do(&p, start, call);
        puppet_pass(&p, 70 * FERRY_SECOND);
        ferry_mem_fail_after(0);
        bool good = done(call) && !call->status && ferry_admin_count(call) == 2 &&
                    !ferry_admin_error_count(call);
        CHECK(done(call) || p.dead);
        end(&p, &s);
        ferry_admin_free(call);
        failed += !good;
        fine = good ? fine + 1 : 0;
    }
    CHECK(failed > 10);
    CHECK_INT(fine, 30);
}

int main(void)
{
    TAP_RUN(creates_with_errors_by_item);
    TAP_RUN(follows_the_controller);
    TAP_RUN(ends_at_its_deadline);
    TAP_RUN(silent_broker_does_not_hold_the_caller);
    TAP_RUN(describes_topics_and_cluster);
    TAP_RUN(asks_leaders_for_offsets);
    TAP_RUN(tells_a_groups_lag);
    TAP_RUN(lists_groups_of_all_brokers);
    TAP_RUN(describes_groups);
    TAP_RUN(asks_brokers_for_their_own_settings);
    TAP_RUN(closing_ends_a_call);
    TAP_RUN(freeing_ends_a_call);
    TAP_RUN(survives_lost_memory);
    return tap_done();
}
