/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "ferry/ferry.h"
#include "ferry/kafka_errors.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Every kind of admin call through the public API, against a running broker: admin HOST:PORT. Topics get names of their
 * own, so that it can run twice against one broker.
 */
static struct ferry_handle *handle;
static char topic[64], other[64], group[64];

static int64_t number(const struct ferry_admin *call, int32_t i, int32_t field)
{
    return ferry_admin_int(ferry_admin_item(call, i), field, -99);
}

/* Runs, and prints why if it was not as expected. */
static bool run(struct ferry_admin *call, int32_t expected)
{
    struct ferry_error err = {0};
    int32_t code = ferry_admin_run(call, handle, 20000, &err);
    if (code != expected)
        printf("# %s (%d): %s\n", ferry_error_name(code), code, err.text);
    return code == expected;
}

static void creates(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
    ferry_admin_add_topic(call, topic, 3, 1);
    ferry_admin_add_config(call, "retention.ms", "3600000", FERRY_CONFIG_SET);
    ferry_admin_add_topic(call, other, -1, -1);
    CHECK(run(call, 0));
    CHECK_INT(number(call, 0, FERRY_FIELD_PARTITION_COUNT), 3);
    CHECK(ferry_admin_text(ferry_admin_item(call, 0), FERRY_FIELD_ID) != NULL);
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
    ferry_admin_add_topic(call, topic, 1, 1);
    CHECK(run(call, FERRY_KAFKA_TOPIC_ALREADY_EXISTS));
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
    ferry_admin_add_topic(call, "no such/name", 1, 1);
    ferry_admin_set_flags(call, FERRY_ADMIN_VALIDATE_ONLY);
    CHECK(run(call, FERRY_KAFKA_INVALID_TOPIC_EXCEPTION));
    ferry_admin_free(call);
}

static void describes_topics(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    ferry_admin_add_name(call, topic);
    ferry_admin_add_name(call, "never-made");
    CHECK(run(call, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION));
    CHECK_INT(ferry_admin_error_count(call), 1);
    CHECK_INT(ferry_admin_list_count(ferry_admin_item(call, 0), FERRY_FIELD_PARTITIONS), 3);
    for (int32_t i = 0; i < 3; i++) {
        const struct ferry_admin_item *p =
            ferry_admin_list_item(ferry_admin_item(call, 0), FERRY_FIELD_PARTITIONS, i);
        int32_t replicas = 0;
        CHECK_INT(ferry_admin_int(p, FERRY_FIELD_PARTITION, -1), i);
        CHECK(ferry_admin_int(p, FERRY_FIELD_LEADER, -1) >= 0);
        CHECK(ferry_admin_numbers(p, FERRY_FIELD_REPLICAS, &replicas) && replicas == 1);
    }
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    CHECK(run(call, 0));
    int found = 0;
    for (int32_t i = 0; i < ferry_admin_count(call); i++)
        found += !strcmp(ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME), topic);
    CHECK_INT(found, 1);
    ferry_admin_free(call);
}

static void adds_partitions(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_PARTITIONS);
    ferry_admin_add_topic(call, topic, 5, -1);
    CHECK(run(call, 0));
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_CREATE_PARTITIONS);
    ferry_admin_add_topic(call, topic, 2, -1);
    CHECK(run(call, FERRY_KAFKA_INVALID_PARTITIONS));
    ferry_admin_free(call);
}

static const char *config_of(const struct ferry_admin *call, const char *key, int64_t *source)
{
    const struct ferry_admin_item *item = ferry_admin_item(call, 0);
    for (int32_t i = 0; i < ferry_admin_list_count(item, FERRY_FIELD_CONFIGS); i++) {
        const struct ferry_admin_item *c = ferry_admin_list_item(item, FERRY_FIELD_CONFIGS, i);
        if (!strcmp(ferry_admin_text(c, FERRY_FIELD_NAME), key)) {
            *source = ferry_admin_int(c, FERRY_FIELD_SOURCE, -1);
            return ferry_admin_text(c, FERRY_FIELD_VALUE);
        }
    }
    return "(none)";
}

static void changes_configs(void)
{
    int64_t source = 0;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_ALTER_CONFIGS);
    ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, topic);
    ferry_admin_add_config(call, "segment.bytes", "2097152", FERRY_CONFIG_SET);
    ferry_admin_add_config(call, "retention.ms", NULL, FERRY_CONFIG_DELETE);
    CHECK(run(call, 0));
    ferry_admin_free(call);
    /* A broker learns of a change a moment after the controller has answered. */
    for (int tries = 0; tries < 200; tries++) {
        call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CONFIGS);
        ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, topic);
        ferry_admin_set_flags(call, FERRY_ADMIN_SYNONYMS);
        CHECK(run(call, 0));
        if (!strcmp(config_of(call, "segment.bytes", &source), "2097152") || tries == 199)
            break;
        ferry_admin_free(call);
        usleep(10000);
    }
    CHECK_STR(config_of(call, "segment.bytes", &source), "2097152");
    CHECK_INT(source, 1);
    CHECK_STR(config_of(call, "retention.ms", &source), "604800000");
    CHECK(source != 1);
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_ALTER_CONFIGS);
    ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, topic);
    ferry_admin_add_config(call, "segment.bytes", "nonsense", FERRY_CONFIG_SET);
    CHECK(run(call, FERRY_KAFKA_INVALID_CONFIG));
    ferry_admin_free(call);
}

static void describes_the_cluster_and_a_broker(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER);
    CHECK(run(call, 0));
    const struct ferry_admin_item *b =
        ferry_admin_list_item(ferry_admin_item(call, 0), FERRY_FIELD_BROKERS, 0);
    CHECK(ferry_admin_text(ferry_admin_item(call, 0), FERRY_FIELD_ID) && b);
    char node[16];
    snprintf(node, sizeof node, "%d", (int)ferry_admin_int(b, FERRY_FIELD_NODE, -1));
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CONFIGS);
    ferry_admin_add_resource(call, FERRY_RESOURCE_BROKER, node);
    CHECK(run(call, 0));
    CHECK(ferry_admin_list_count(ferry_admin_item(call, 0), FERRY_FIELD_CONFIGS) > 3);
    ferry_admin_free(call);
}

static void offsets_of_an_empty_log(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_OFFSETS);
    ferry_admin_add_partition(call, topic, 0, FERRY_ADMIN_LATEST);
    ferry_admin_add_partition(call, topic, 1, FERRY_ADMIN_EARLIEST);
    ferry_admin_add_partition(call, topic, 2, 1);
    ferry_admin_add_partition(call, topic, 99, FERRY_ADMIN_EARLIEST);
    CHECK(run(call, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION));
    CHECK_INT(number(call, 0, FERRY_FIELD_OFFSET), 0);
    CHECK_INT(number(call, 1, FERRY_FIELD_OFFSET), 0);
    CHECK_INT(number(call, 2, FERRY_FIELD_OFFSET), -1);
    CHECK_INT(ferry_admin_error_count(call), 1);
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_DELETE_RECORDS);
    ferry_admin_add_partition(call, topic, 0, 0);
    ferry_admin_add_partition(call, topic, 1, 5);
    CHECK(run(call, FERRY_KAFKA_OFFSET_OUT_OF_RANGE));
    CHECK_INT(number(call, 0, FERRY_FIELD_OFFSET), 0);
    ferry_admin_free(call);
}

static bool knows_group(bool expected)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_GROUPS);
    bool ran = run(call, 0), found = false;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const char *name = ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME);
        found = found || (name && !strcmp(name, group));
    }
    ferry_admin_free(call);
    return ran && found == expected;
}

static void group_offsets(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_ALTER_GROUP_OFFSETS);
    ferry_admin_set_group(call, group);
    for (int32_t i = 0; i < 3; i++)
        ferry_admin_add_partition(call, topic, i, 10 * i);
    CHECK(run(call, 0));
    ferry_admin_free(call);
    CHECK(knows_group(true));
    call = ferry_admin_new(FERRY_ADMIN_GROUP_LAG);
    ferry_admin_set_group(call, group);
    CHECK(run(call, 0));
    CHECK_INT(ferry_admin_count(call), 3);
    for (int32_t i = 0; i < 3; i++) {
        CHECK_INT(number(call, i, FERRY_FIELD_OFFSET), 10 * number(call, i, FERRY_FIELD_PARTITION));
        CHECK_INT(number(call, i, FERRY_FIELD_END_OFFSET), 0);
        CHECK_INT(number(call, i, FERRY_FIELD_LAG), 0);
    }
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_DELETE_GROUP_OFFSETS);
    ferry_admin_set_group(call, group);
    ferry_admin_add_partition(call, topic, 1, 0);
    CHECK(run(call, 0));
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_LIST_GROUP_OFFSETS);
    ferry_admin_set_group(call, group);
    ferry_admin_add_partition(call, topic, 1, 0);
    ferry_admin_add_partition(call, topic, 2, 0);
    CHECK(run(call, 0));
    CHECK_INT(number(call, 0, FERRY_FIELD_OFFSET), -1);
    CHECK_INT(number(call, 1, FERRY_FIELD_OFFSET), 20);
    ferry_admin_free(call);
}

static void describes_and_deletes_groups(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_GROUPS);
    ferry_admin_add_name(call, group);
    CHECK(run(call, 0));
    CHECK_STR(ferry_admin_text(ferry_admin_item(call, 0), FERRY_FIELD_STATE), "Empty");
    ferry_admin_free(call);
    call = ferry_admin_new(FERRY_ADMIN_DELETE_GROUPS);
    ferry_admin_add_name(call, group);
    ferry_admin_add_name(call, "never-was");
    CHECK(run(call, FERRY_KAFKA_GROUP_ID_NOT_FOUND));
    CHECK_INT(ferry_admin_error_count(call), 1);
    ferry_admin_free(call);
    CHECK(knows_group(false));
}

/* Two items, of which the second fails with `code` and says why. */
static bool one_of_two_fails(struct ferry_admin *call, int32_t code)
{
    bool ok = run(call, code);
    const struct ferry_admin_item *good = ferry_admin_item(call, 0),
                                  *bad = ferry_admin_item(call, 1);
    ok = ok && ferry_admin_count(call) == 2 && ferry_admin_error_count(call) == 1 &&
         ferry_admin_int(good, FERRY_FIELD_ERROR, 0) == 0 &&
         !ferry_admin_text(good, FERRY_FIELD_ERROR_TEXT) &&
         ferry_admin_int(bad, FERRY_FIELD_ERROR, 0) == code &&
         ferry_admin_text(bad, FERRY_FIELD_ERROR_TEXT) &&
         *ferry_admin_text(bad, FERRY_FIELD_ERROR_TEXT);
    ferry_admin_free(call);
    return ok;
}

static struct ferry_admin *call_of(int32_t kind)
{
    struct ferry_admin *call = ferry_admin_new(kind);
    ferry_admin_set_group(call, group);
    return call;
}

static void each_item_has_its_own_error(void)
{
    char third[80];
    snprintf(third, sizeof third, "%s-c", topic);
    struct ferry_admin *call = call_of(FERRY_ADMIN_CREATE_TOPICS);
    ferry_admin_add_topic(call, third, 2, 1);
    ferry_admin_add_topic(call, topic, 2, 1);
    CHECK(one_of_two_fails(call, FERRY_KAFKA_TOPIC_ALREADY_EXISTS));
    call = call_of(FERRY_ADMIN_DESCRIBE_TOPICS);
    ferry_admin_add_name(call, third);
    ferry_admin_add_name(call, "never-made");
    CHECK(one_of_two_fails(call, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION));
    call = call_of(FERRY_ADMIN_CREATE_PARTITIONS);
    ferry_admin_add_topic(call, third, 3, -1);
    ferry_admin_add_topic(call, topic, 1, -1);
    CHECK(one_of_two_fails(call, FERRY_KAFKA_INVALID_PARTITIONS));
    call = call_of(FERRY_ADMIN_ALTER_CONFIGS);
    ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, third);
    ferry_admin_add_config(call, "segment.bytes", "3145728", FERRY_CONFIG_SET);
    ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, topic);
    ferry_admin_add_config(call, "segment.bytes", "many", FERRY_CONFIG_SET);
    CHECK(one_of_two_fails(call, FERRY_KAFKA_INVALID_CONFIG));
    call = call_of(FERRY_ADMIN_DESCRIBE_CONFIGS);
    ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, third);
    ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, "never-made");
    CHECK(one_of_two_fails(call, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION));
    call = call_of(FERRY_ADMIN_LIST_OFFSETS);
    ferry_admin_add_partition(call, third, 0, FERRY_ADMIN_LATEST);
    ferry_admin_add_partition(call, third, 7, FERRY_ADMIN_LATEST);
    CHECK(one_of_two_fails(call, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION));
    call = call_of(FERRY_ADMIN_DELETE_RECORDS);
    ferry_admin_add_partition(call, third, 0, -1);
    ferry_admin_add_partition(call, third, 1, 1);
    CHECK(one_of_two_fails(call, FERRY_KAFKA_OFFSET_OUT_OF_RANGE));
    call = call_of(FERRY_ADMIN_ALTER_GROUP_OFFSETS);
    ferry_admin_add_partition(call, third, 0, 0);
    ferry_admin_add_partition(call, "never-made", 0, 0);
    CHECK(one_of_two_fails(call, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION));
    call = call_of(
        FERRY_ADMIN_DESCRIBE_GROUPS); /* here a group that is not there need not be an error */
    ferry_admin_add_name(call, group);
    ferry_admin_add_name(call, "never-was");
    struct ferry_error err = {0};
    int32_t code = ferry_admin_run(call, handle, 20000, &err);
    CHECK(code == 0 || code == FERRY_KAFKA_GROUP_ID_NOT_FOUND);
    CHECK_STR(ferry_admin_text(ferry_admin_item(call, 0), FERRY_FIELD_STATE), "Empty");
    CHECK(number(call, 1, FERRY_FIELD_ERROR) == FERRY_KAFKA_GROUP_ID_NOT_FOUND ||
          !strcmp(ferry_admin_text(ferry_admin_item(call, 1), FERRY_FIELD_STATE), "Dead"));
    ferry_admin_free(call);
    call = call_of(FERRY_ADMIN_DELETE_GROUPS);
    ferry_admin_add_name(call, group);
    ferry_admin_add_name(call, "never-was");
    CHECK(one_of_two_fails(call, FERRY_KAFKA_GROUP_ID_NOT_FOUND));
    call = call_of(FERRY_ADMIN_DELETE_TOPICS);
    ferry_admin_add_name(call, third);
    ferry_admin_add_name(call, "never-made");
    CHECK(one_of_two_fails(call, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION));
}

static void deletes_topics(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_TOPICS);
    ferry_admin_add_name(call, topic);
    ferry_admin_add_name(call, other);
    ferry_admin_add_name(call, "never-made");
    CHECK(run(call, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION));
    CHECK_INT(ferry_admin_error_count(call), 1);
    ferry_admin_free(call);
}

static void refuses_what_makes_no_sense(void)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_GROUP_OFFSETS);
    CHECK(run(call, FERRY_E_INVALID)); /* which group? */
    ferry_admin_free(call);
    CHECK(ferry_admin_new(0) == NULL && ferry_admin_new(1000) == NULL);
    call = ferry_admin_new(FERRY_ADMIN_DELETE_TOPICS);
    CHECK(run(call, 0)); /* nothing to do */
    ferry_admin_free(call);
}

static void started_calls_come_to_a_queue(void)
{
    struct ferry_error err = {0};
    struct ferry_queue *queue = ferry_queue_new(handle);
    CHECK(queue != NULL);
    for (uint64_t i = 1; i <= 5; i++) {
        struct ferry_admin *call =
            ferry_admin_new(i % 2 ? FERRY_ADMIN_DESCRIBE_CLUSTER : FERRY_ADMIN_LIST_GROUPS);
        CHECK_INT(ferry_admin_start(call, handle, i == 5 ? NULL : queue, 10000, i, &err), 0);
    }
    uint64_t seen = 0;
    for (int i = 0; i < 5; i++) {
        struct ferry_delivery *d =
            ferry_queue_poll(i == 4 ? ferry_handle_queue(handle) : queue, 10000, &err);
        CHECK(d != NULL);
        CHECK_INT(ferry_delivery_kind(d), FERRY_DELIVERY_ADMIN);
        struct ferry_admin *call = ferry_delivery_admin(d);
        CHECK_INT(ferry_admin_result(call, &err), 0);
        CHECK(i != 4 || ferry_admin_cookie(call) == 5);
        seen |= UINT64_C(1) << ferry_admin_cookie(call);
        ferry_admin_free(call);
    }
    CHECK_INT(seen, 0x3e);
    struct ferry_admin *left =
        ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER); /* nobody takes this one */
    CHECK_INT(ferry_admin_start(left, handle, queue, 10000, 0, &err), 0);
    ferry_queue_free(queue);
    char json[100];
    CHECK(ferry_handle_statistics_json(handle, json, sizeof json) > 300);
    CHECK(!strncmp(json, "{\"client_id\":\"ferry\"", 20));
}

static void a_broker_that_is_not_there(void)
{
    struct ferry_config *config = ferry_config_new();
    struct ferry_error err = {0};
    ferry_config_set(config, "bootstrap.servers", "127.0.0.1:1", NULL);
    struct ferry_handle *h = ferry_open(config, NULL, &err);
    ferry_config_free(config);
    CHECK(h != NULL);
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER);
    CHECK_INT(ferry_admin_run(call, h, 300, &err), FERRY_E_TIMED_OUT);
    ferry_admin_free(call);
    CHECK_INT(ferry_add_brokers(h, "nonsense", &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_close(h, 5000), 0);
}

int main(int argc, char **argv)
{
    struct ferry_error err;
    struct ferry_config *config = ferry_config_new();
    if (argc != 2 || !config || ferry_config_set(config, "bootstrap.servers", argv[1], &err))
        return 2;
    snprintf(topic, sizeof topic, "admin-%d-a", (int)getpid());
    snprintf(other, sizeof other, "admin-%d-b", (int)getpid());
    snprintf(group, sizeof group, "admin-%d-g", (int)getpid());
    handle = ferry_open(config, NULL, &err);
    ferry_config_free(config);
    if (!handle) {
        printf("# %s\n", err.text);
        return 1;
    }
    TAP_RUN(creates);
    TAP_RUN(describes_topics);
    TAP_RUN(adds_partitions);
    TAP_RUN(changes_configs);
    TAP_RUN(describes_the_cluster_and_a_broker);
    TAP_RUN(offsets_of_an_empty_log);
    TAP_RUN(group_offsets);
    TAP_RUN(describes_and_deletes_groups);
    TAP_RUN(each_item_has_its_own_error);
    TAP_RUN(deletes_topics);
    TAP_RUN(refuses_what_makes_no_sense);
    TAP_RUN(started_calls_come_to_a_queue);
    TAP_RUN(a_broker_that_is_not_there);
    if (ferry_close(handle, 5000))
        printf("# closing left something behind\n");
    return tap_done();
}
