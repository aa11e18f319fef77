/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's topics: made, altered, deleted, and found again in the data directory after a restart. */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "ferry/kafka_errors.h"
#include "tests/lib/tap.h"

#include <stdio.h>

static struct bb b;

/* ---- made and deleted ---- */

static void topics_are_checked(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create_with(&b, c, "good", -1, -1, NULL, NULL), 0);
    CHECK_INT(bb_create_with(&b, c, "good", 1, 1, NULL, NULL), FERRY_KAFKA_TOPIC_ALREADY_EXISTS);
    CHECK_INT(bb_create_with(&b, c, "a b", 1, 1, NULL, NULL), FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    CHECK_INT(bb_create_with(&b, c, "", 1, 1, NULL, NULL), FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    CHECK_INT(bb_create_with(&b, c, "..", 1, 1, NULL, NULL), FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    CHECK_INT(bb_create_with(&b, c, "n", 0, 1, NULL, NULL), FERRY_KAFKA_INVALID_PARTITIONS);
    CHECK_INT(bb_create_with(&b, c, "n", 1000000, 1, NULL, NULL), FERRY_KAFKA_POLICY_VIOLATION);
    CHECK_INT(bb_create_with(&b, c, "n", 1, 2, NULL, NULL), FERRY_KAFKA_INVALID_REPLICATION_FACTOR);
    CHECK_INT(bb_create_with(&b, c, "n", 1, 1, "no.such.key", "1"), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(bb_create_with(&b, c, "n", 1, 1, "segment.bytes", "1"), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(bb_create_with(&b, c, "n", 1, 1, "cleanup.policy", NULL), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(bb_create_with(&b, c, "d.t", 1, 1, "cleanup.policy", "compact,delete"), 0);
    CHECK_INT(bb_create_with(&b, c, "d_t", 1, 1, NULL, NULL),
              FERRY_KAFKA_INVALID_TOPIC_EXCEPTION); /* collides */
    CHECK_INT(b.errors, 0);
    bb_free(&b);
}

static int delete_topic(size_t c, const char *topic)
{
    struct ferry_delete_topics_request in;
    struct ferry_delete_topics_response out;
    struct ferry_str name = ferry_str_of(topic);
    ferry_delete_topics_request_init(&in);
    in.topic_names = &name;
    in.topic_names_count = 1;
    return bb_call(&b, c, 20, 5, &in, &out) ? out.responses[0].error_code : -1000;
}

static void a_topic_made_again_is_another(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b), p = bb_connect(&b);
    struct ferry_fetch_response out;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    struct ferry_uuid old = bb_topic_id(&b, c, "t");
    CHECK(!ferry_uuid_is_zero(&old));
    CHECK_INT(bb_produce(&b, c, "t", 0, 3, 0, NULL), 0);
    bb_fetch_begin(&b, p, "t", 3, 1, 60000);
    bb_run(&b);
    CHECK_INT(delete_topic(c, "t"), 0);
    CHECK(bb_take(&b, p, 1, 12, NULL, &out)); /* who waits for its records is told */
    CHECK_INT(out.responses[0].partitions[0].error_code, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(delete_topic(c, "t"), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(bb_produce(&b, c, "t", 0, 1, 0, NULL), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    struct ferry_uuid fresh = bb_topic_id(&b, c, "t");
    CHECK(!ferry_uuid_is_zero(&fresh) && !ferry_uuid_eq(&old, &fresh));
    CHECK_INT(bb_fetch(&b, c, "t", 0, NULL), 0);
    bb_advance(&b, 120000); /* the old files go */
    bb_kill(&b, true);
    bb_start(&b);
    CHECK_INT(b.notices[BROKER_READY], 1);
    c = bb_connect(&b);
    struct ferry_uuid again = bb_topic_id(&b, c, "t");
    CHECK(ferry_uuid_eq(&again, &fresh));
    bb_free(&b);
}

static void metadata_makes_topics_if_allowed(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    struct ferry_metadata_request in;
    struct ferry_metadata_request_topic t;
    struct ferry_metadata_response out;
    ferry_metadata_request_init(&in);
    ferry_metadata_request_topic_init(&t);
    t.name = FERRY_STR("auto");
    in.topics = &t;
    in.topics_count = 1;
    in.allow_auto_topic_creation = false;
    CHECK(bb_call(&b, c, 3, 9, &in, &out));
    CHECK_INT(out.topics[0].error_code, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    in.allow_auto_topic_creation = true;
    CHECK(bb_call(&b, c, 3, 9, &in, &out));
    CHECK_INT(out.topics[0].error_code, 0); /* usable at once */
    CHECK_INT(out.topics[0].partitions_count, 1);
    CHECK_INT(out.topics[0].partitions[0].leader_id, 1);
    CHECK_INT(out.topics[0].partitions[0].leader_epoch, 0);
    t.name = FERRY_STR("not a name");
    CHECK(bb_call(&b, c, 3, 9, &in, &out));
    CHECK_INT(out.topics[0].error_code, FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    in.topics_count = 0; /* none, but all in version 0 */
    CHECK(bb_call(&b, c, 3, 9, &in, &out));
    CHECK_INT(out.topics_count, 0);
    CHECK(bb_call(&b, c, 3, 0, &in, &out));
    CHECK_INT(out.topics_count, 1);
    bb_free(&b);
}

/* Both are on their way before the first partition's log is open. */
static void a_topic_may_go_while_it_comes(void)
{
    bb_begin(&b);
    size_t c[3];
    for (int i = 0; i < 3; i++)
        c[i] = bb_connect(&b);
    for (int round = 0; round < 5; round++) {
        struct ferry_create_topics_request make;
        struct ferry_create_topics_request_topic t;
        struct ferry_create_topics_response made;
        struct ferry_delete_topics_request drop;
        struct ferry_delete_topics_response dropped;
        struct ferry_str name = FERRY_STR("t");
        ferry_create_topics_request_init(&make);
        ferry_create_topics_request_topic_init(&t);
        ferry_delete_topics_request_init(&drop);
        t.name = name;
        t.num_partitions = 20;
        t.replication_factor = -1;
        make.topics = &t;
        drop.topic_names = &name;
        make.topics_count = drop.topic_names_count = 1;
        bb_send(&b, c[0], 19, 7, &make);
        bb_send(&b, c[1], 20, 5, &drop);
        bb_send(&b, c[2], 19, 7, &make);
        bb_run(&b);
        CHECK(bb_take(&b, c[0], 19, 7, NULL, &made));
        CHECK_INT(made.topics[0].error_code, 0);
        CHECK(bb_take(&b, c[1], 20, 5, NULL, &dropped));
        CHECK_INT(dropped.responses[0].error_code, 0);
        CHECK(bb_take(&b, c[2], 19, 7, NULL, &made));
        CHECK_INT(made.topics[0].error_code, 0);
        CHECK_INT(bb_produce(&b, c[0], "t", 19, 3, 0, NULL), 0);
        CHECK_INT(delete_topic(c[0], "t"), 0);
        bb_reset(&b);
    }
    CHECK_INT(b.errors, 0);
    bb_free(&b);
}

/* ---- settings ---- */

static int alter(size_t c, int type, const char *resource, const char *key, int op,
                 const char *value)
{
    struct ferry_incremental_alter_configs_request in;
    struct ferry_incremental_alter_configs_request_resource res;
    struct ferry_incremental_alter_configs_request_config change;
    struct ferry_incremental_alter_configs_response out;
    ferry_incremental_alter_configs_request_init(&in);
    ferry_incremental_alter_configs_request_resource_init(&res);
    ferry_incremental_alter_configs_request_config_init(&change);
    res.resource_type = (int8_t)type;
    res.resource_name = ferry_str_of(resource);
    change.name = ferry_str_of(key);
    change.config_operation = (int8_t)op;
    change.value = ferry_str_of(value);
    res.configs = &change;
    in.resources = &res;
    res.configs_count = in.resources_count = 1;
    return bb_call(&b, c, 44, 1, &in, &out) ? out.responses[0].error_code : -1000;
}

/* The value and source of a setting. */
static int describe(size_t c, int type, const char *resource, const char *name, char value[64])
{
    struct ferry_describe_configs_request in;
    struct ferry_describe_configs_request_resource res;
    struct ferry_describe_configs_response out;
    struct ferry_str key = ferry_str_of(name);
    ferry_describe_configs_request_init(&in);
    ferry_describe_configs_request_resource_init(&res);
    res.resource_type = (int8_t)type;
    res.resource_name = ferry_str_of(resource);
    res.configuration_keys = &key;
    res.configuration_keys_count = 1;
    in.resources = &res;
    in.resources_count = 1;
    in.include_synonyms = in.include_documentation = true;
    if (!bb_call(&b, c, 32, 4, &in, &out) || out.results[0].configs_count != 1)
        return -1000;
    const struct ferry_describe_configs_response_config *config = &out.results[0].configs[0];
    snprintf(value, 64, "%.*s", (int)config->value.len, config->value.data);
    return config->documentation.len ? config->config_source : -1001;
}

static void settings_are_altered_and_kept(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    char value[64];
    enum { TOPIC = 2, BROKER = 4, SET = 0, DELETE = 1, APPEND = 2, SUBTRACT = 3 };
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    CHECK_INT(describe(c, TOPIC, "t", "max.message.bytes", value), 5);
    CHECK_INT(alter(c, TOPIC, "t", "max.message.bytes", SET, "100"), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 10, 0, NULL),
              FERRY_KAFKA_MESSAGE_TOO_LARGE); /* in force at once */
    CHECK_INT(alter(c, TOPIC, "t", "cleanup.policy", APPEND, "compact"), 0);
    CHECK_INT(describe(c, TOPIC, "t", "cleanup.policy", value), 1);
    CHECK_STR(value, "delete,compact");
    CHECK_INT(alter(c, TOPIC, "t", "cleanup.policy", SUBTRACT, "delete"), 0);
    CHECK_INT(describe(c, TOPIC, "t", "cleanup.policy", value), 1);
    CHECK_STR(value, "compact");
    CHECK_INT(alter(c, TOPIC, "t", "retention.ms", APPEND, "1"), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(alter(c, TOPIC, "t", "retention.ms", SET, "-7"), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(alter(c, TOPIC, "t", "retention.mss", SET, "7"), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(alter(c, TOPIC, "no", "retention.ms", SET, "7"),
              FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(alter(c, BROKER, "1", "node.id", SET, "7"),
              FERRY_KAFKA_INVALID_REQUEST); /* read-only */
    CHECK_INT(alter(c, BROKER, "2", "message.max.bytes", SET, "7"), FERRY_KAFKA_INVALID_REQUEST);
    CHECK_INT(alter(c, BROKER, "", "log.retention.ms", SET, "5000"), 0);
    CHECK_INT(describe(c, TOPIC, "t", "retention.ms", value), 3);
    CHECK_STR(value, "5000");
    CHECK_INT(alter(c, BROKER, "1", "log.retention.ms", SET, "6000"), 0);
    bb_kill(&b, true);
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(describe(c, TOPIC, "t", "retention.ms", value), 2);
    CHECK_STR(value, "6000");
    CHECK_INT(alter(c, BROKER, "1", "log.retention.ms", DELETE, NULL), 0);
    CHECK_INT(alter(c, BROKER, "", "log.retention.ms", DELETE, NULL), 0);
    CHECK_INT(describe(c, TOPIC, "t", "retention.ms", value), 5);
    CHECK_STR(value, "604800000");
    CHECK_INT(alter(c, TOPIC, "t", "max.message.bytes", DELETE, NULL), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 10, 0, NULL), 0);
    bb_free(&b);
}

/* ---- restarts ---- */

static int32_t leader_epoch(size_t c, const char *topic)
{
    struct ferry_metadata_request in;
    struct ferry_metadata_request_topic t;
    struct ferry_metadata_response out;
    ferry_metadata_request_init(&in);
    ferry_metadata_request_topic_init(&t);
    t.name = ferry_str_of(topic);
    in.topics = &t;
    in.topics_count = 1;
    return bb_call(&b, c, 3, 9, &in, &out) ? out.topics[0].partitions[0].leader_epoch : -1000;
}

static void an_unclean_start_opens_new_leader_epochs(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create_with(&b, c, "t", 2, 1, "retention.ms", "12345"), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 3, 0, NULL), 0);
    CHECK_INT(leader_epoch(c, "t"), 0);
    bb_stop(&b);
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(leader_epoch(c, "t"), 0); /* a clean stop keeps it */
    CHECK_INT(bb_fetch(&b, c, "t", 0, NULL), 3);
    bb_kill(&b, false);
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(leader_epoch(c, "t"), 1);
    CHECK_INT(bb_fetch(&b, c, "t", 0, NULL), 3);
    bb_kill(&b, true);
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(leader_epoch(c, "t"), 2);
    struct ferry_describe_configs_request in;
    struct ferry_describe_configs_request_resource res;
    struct ferry_describe_configs_response out;
    struct ferry_str key = FERRY_STR("retention.ms");
    ferry_describe_configs_request_init(&in);
    ferry_describe_configs_request_resource_init(&res);
    res.resource_type = 2;
    res.resource_name = FERRY_STR("t");
    res.configuration_keys = &key;
    res.configuration_keys_count = 1;
    in.resources = &res;
    in.resources_count = 1;
    CHECK(bb_call(&b, c, 32, 4, &in, &out));
    CHECK_INT(out.results[0].configs_count, 1);
    CHECK(ferry_str_eq(out.results[0].configs[0].value, FERRY_STR("12345")));
    CHECK_INT(out.results[0].configs[0].config_source, 1);
    CHECK_INT(b.errors, 0);
    bb_free(&b);
}

static bool has_file(const char *path)
{
    return sim_disk_peek(b.disk, path).data != NULL;
}

static void strays_are_told_apart(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    struct ferry_bytes id = sim_disk_peek(b.disk, "t-0/partition.metadata");
    char text[128];
    CHECK(id.data && id.len < sizeof text);
    memcpy(text, id.data, id.len);
    size_t len = id.len;
    CHECK_INT(delete_topic(c, "t"), 0);
    bb_stop(&b);
    sim_disk_put(b.disk, "t-0/partition.metadata", text,
                 len); /* as if the deletion had been cut short */
    sim_disk_put(b.disk, "t-0/00000000000000000000.log", "", 0);
    sim_disk_put(b.disk, "mine-3/00000000000000000000.log", "data", 4); /* not the broker's doing */
    bb_start(&b);
    CHECK_INT(b.notices[BROKER_READY], 1);
    CHECK(has_file("mine-3-stray/00000000000000000000.log"));
    CHECK(!has_file("t-0/00000000000000000000.log"));
    CHECK(!has_file("t-0-stray/00000000000000000000.log"));
    bb_stop(&b);
    bb_start(&b);
    CHECK(has_file("mine-3-stray/00000000000000000000.log"));
    struct ferry_text names = {0};
    sim_disk_names(b.disk, &names);
    CHECK(!strstr(names.data, "left-delete"));
    ferry_text_free(&names);
    bb_free(&b);
}

static void a_foreign_directory_is_refused(void)
{
    bb_begin(&b);
    bb_stop(&b);
    bb_set(&b, "node.id", "9");
    bb_start(&b);
    CHECK_INT(b.notices[BROKER_FAILED], 1);
    CHECK(strstr(b.failure, "node.id") != NULL);
    bb_free(&b);
}

int main(void)
{
    TAP_RUN(topics_are_checked);
    TAP_RUN(a_topic_made_again_is_another);
    TAP_RUN(metadata_makes_topics_if_allowed);
    TAP_RUN(a_topic_may_go_while_it_comes);
    TAP_RUN(settings_are_altered_and_kept);
    TAP_RUN(an_unclean_start_opens_new_leader_epochs);
    TAP_RUN(strays_are_told_apart);
    TAP_RUN(a_foreign_directory_is_refused);
    return tap_done();
}
