/* SPDX-License-Identifier: BSD-2-Clause */
/* What one request may cost: lists whose length a peer chose take time in proportion, and make a bounded number of
 * things. */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

/* In pairs, so many names would take a minute; what is sorted takes a tenth of a second. */
enum { MANY = 60000, SECONDS_MAX = 5 };

static struct bb b;
static size_t c;
static struct ferry_str names[MANY];
static char text[MANY][24];

static void begin(const char *auto_create)
{
    for (int i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], "one-of-many-%06d", i);
        names[i] = ferry_str_of(text[i]);
    }
    bb_init(&b, 5);
    bb_set(&b, "auto.create.topics.enable", auto_create);
    bb_start(&b);
    c = bb_connect(&b);
}

static double seconds_since(clock_t start)
{
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

static void many_topics_are_not_made(void)
{
    struct ferry_create_topics_request in;
    struct ferry_create_topics_response out;
    begin("true");
    ferry_create_topics_request_init(&in);
    in.topics = ferry_zalloc(MANY * sizeof *in.topics);
    in.topics_count = MANY;
    for (int i = 0; i < MANY; i++) {
        ferry_create_topics_request_topic_init(&in.topics[i]);
        in.topics[i].name = names[i];
        in.topics[i].num_partitions = in.topics[i].replication_factor = -1;
    }
    clock_t start = clock();
    CHECK(bb_call(&b, c, 19, 4, &in, &out));
    CHECK(seconds_since(start) < SECONDS_MAX);
    CHECK_INT(out.topics[0].error_code, FERRY_KAFKA_POLICY_VIOLATION);
    CHECK_INT(out.topics[MANY - 1].error_code, FERRY_KAFKA_POLICY_VIOLATION);
    in.topics_count = 3;
    in.topics[2].name = in.topics[0].name;
    CHECK(bb_call(&b, c, 19, 4, &in, &out));
    CHECK_INT(out.topics[0].error_code, FERRY_KAFKA_INVALID_REQUEST);
    CHECK_INT(out.topics[1].error_code, 0);
    CHECK_INT(out.topics[2].error_code, FERRY_KAFKA_INVALID_REQUEST);
    ferry_free(in.topics);
    bb_free(&b);
}

static void many_names_are_sorted(void)
{
    struct ferry_delete_topics_request drop;
    struct ferry_delete_topics_response dropped;
    struct ferry_create_partitions_request grow;
    struct ferry_create_partitions_response grown;
    begin("false");
    clock_t start = clock();
    ferry_delete_topics_request_init(&drop);
    drop.topic_names = names;
    drop.topic_names_count = MANY;
    CHECK(bb_call(&b, c, 20, 5, &drop, &dropped));
    CHECK_INT(dropped.responses[0].error_code, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    bb_reset(&b);
    ferry_create_partitions_request_init(&grow);
    grow.topics = ferry_zalloc(MANY * sizeof *grow.topics);
    grow.topics_count = MANY;
    for (int i = 0; i < MANY; i++) {
        ferry_create_partitions_request_topic_init(&grow.topics[i]);
        grow.topics[i].name = names[i];
        grow.topics[i].assignments_count = -1;
    }
    CHECK(bb_call(&b, c, 37, 3, &grow, &grown));
    CHECK_INT(grown.results[1].error_code, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK(seconds_since(start) < SECONDS_MAX);
    ferry_free(grow.topics);
    bb_free(&b);
}

static void many_settings_are_sorted(void)
{
    struct ferry_incremental_alter_configs_request in;
    struct ferry_incremental_alter_configs_response out;
    begin("false");
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    clock_t start = clock();
    ferry_incremental_alter_configs_request_init(&in);
    in.resources = ferry_zalloc(MANY * sizeof *in.resources);
    in.resources_count = MANY;
    for (int i = 0; i < MANY; i++) {
        ferry_incremental_alter_configs_request_resource_init(&in.resources[i]);
        in.resources[i].resource_type = 2;
        in.resources[i].resource_name = names[i];
    }
    CHECK(bb_call(&b, c, 44, 1, &in, &out));
    CHECK_INT(out.responses[0].error_code, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    bb_reset(&b);
    in.resources_count = 3; /* a broker may be named as a topic is */
    in.resources[0].resource_name = in.resources[1].resource_name = in.resources[2].resource_name =
        FERRY_STR("1");
    in.resources[1].resource_type = 4;
    in.resources[2].resource_type = 4;
    CHECK(bb_call(&b, c, 44, 1, &in, &out));
    CHECK_INT(out.responses[0].error_code, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(out.responses[1].error_code, FERRY_KAFKA_INVALID_REQUEST);
    CHECK_INT(out.responses[2].error_code, FERRY_KAFKA_INVALID_REQUEST);
    in.resources_count = 1;
    in.resources[0].resource_name = FERRY_STR("t");
    in.resources[0].configs = ferry_zalloc(MANY * sizeof *in.resources[0].configs);
    in.resources[0].configs_count = MANY;
    for (int i = 0; i < MANY; i++) {
        ferry_incremental_alter_configs_request_config_init(&in.resources[0].configs[i]);
        in.resources[0].configs[i].name = names[i];
        in.resources[0].configs[i].value = FERRY_STR("1");
    }
    CHECK(bb_call(&b, c, 44, 1, &in, &out));
    CHECK_INT(out.responses[0].error_code, FERRY_KAFKA_INVALID_CONFIG);
    CHECK(seconds_since(start) < SECONDS_MAX);
    ferry_free(in.resources[0].configs);
    ferry_free(in.resources);
    bb_free(&b);
}

static void metadata_makes_a_bounded_number_of_topics(void)
{
    struct ferry_metadata_request in;
    struct ferry_metadata_response out;
    begin("true");
    ferry_metadata_request_init(&in);
    in.topics = ferry_zalloc(MANY * sizeof *in.topics);
    in.topics_count = 3000;
    in.allow_auto_topic_creation = true;
    for (int i = 0; i < MANY; i++) {
        ferry_metadata_request_topic_init(&in.topics[i]);
        in.topics[i].name = names[i / 2]; /* each twice */
    }
    CHECK(bb_call(&b, c, 3, 9, &in, &out));
    int made = 0;
    for (int32_t i = 0; i < out.topics_count; i++)
        made += out.topics[i].error_code == 0;
    CHECK_INT(made, 1000); /* 500 topics, named twice, of the first 1000 names */
    bb_reset(&b);
    CHECK(bb_call(&b, c, 3, 9, &in, &out)); /* asked for again, the others come */
    made = 0;
    for (int32_t i = 0; i < out.topics_count; i++)
        made += out.topics[i].error_code == 0;
    CHECK_INT(made, 2000);
    bb_free(&b);
    begin("false");
    in.topics_count = MANY;
    clock_t start = clock();
    CHECK(bb_call(&b, c, 3, 9, &in, &out));
    CHECK_INT(out.topics_count, MANY);
    CHECK(seconds_since(start) < SECONDS_MAX);
    ferry_free(in.topics);
    bb_free(&b);
}

static void a_member_states_a_hundred_protocols_at_most(void)
{
    struct ferry_find_coordinator_request find;
    struct ferry_find_coordinator_response found;
    struct ferry_join_group_request in;
    struct ferry_join_group_request_protocol p[101];
    struct ferry_join_group_response out;
    begin("true");
    ferry_find_coordinator_request_init(&find);
    find.key = FERRY_STR("g");
    CHECK(bb_call(&b, c, 10, 2, &find, &found));
    ferry_join_group_request_init(&in);
    in.group_id = FERRY_STR("g");
    in.session_timeout_ms = in.rebalance_timeout_ms = 10000;
    in.member_id = FERRY_STR("");
    in.protocol_type = FERRY_STR("consumer");
    in.protocols = p;
    for (int i = 0; i < 101; i++)
        p[i] =
            (struct ferry_join_group_request_protocol){names[i], {(const uint8_t *)"x", 1}, NULL};
    in.protocols_count = 101;
    CHECK(bb_call(&b, c, 11, 3, &in, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    in.protocols_count = 100;
    CHECK(bb_call(&b, c, 11, 3, &in, &out));
    CHECK_INT(out.error_code, 0);
    CHECK(ferry_str_eq(out.protocol_name, names[0]));
    bb_free(&b);
}

static int join_with(size_t conn, const char *id, size_t bytes, bool wait)
{
    static uint8_t metadata[5 << 20];
    struct ferry_join_group_request in;
    struct ferry_join_group_request_protocol p = {FERRY_STR("range"), {metadata, bytes}, NULL};
    struct ferry_join_group_response out;
    ferry_join_group_request_init(&in);
    in.group_id = FERRY_STR("g");
    in.session_timeout_ms = in.rebalance_timeout_ms = 10000;
    in.member_id = ferry_str_of(id);
    in.protocol_type = FERRY_STR("consumer");
    in.protocols = &p;
    in.protocols_count = 1;
    bb_send(&b, conn, 11, 3, &in);
    bb_run(&b);
    bool taken = bb_take(&b, conn, 11, 3, NULL, &out);
    return taken == wait ? -1000 : taken ? out.error_code : 0;
}

/* A member that waits for others keeps what it said, not the request that it said it in. */
static void who_waits_holds_no_request(void)
{
    struct ferry_find_coordinator_request find;
    struct ferry_find_coordinator_response found;
    struct broker_node_counts counts;
    begin("true");
    ferry_find_coordinator_request_init(&find);
    find.key = FERRY_STR("g");
    CHECK(bb_call(&b, c, 10, 2, &find, &found));
    CHECK_INT(join_with(c, "", 5 << 20, false), FERRY_KAFKA_INVALID_REQUEST);
    CHECK_INT(join_with(c, "", 100, false), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(join_with(bb_connect(&b), "", 200000, true), 0);
    broker_node_read_counts(b.node, &counts);
    CHECK(counts.queued_bytes + counts.parked_bytes < 100000);
    bb_advance(&b, 11000); /* the first one does not come back: the others go on */
    struct ferry_join_group_response out;
    CHECK(bb_take(&b, 1, 11, 3, NULL, &out));
    CHECK_INT(out.error_code, 0);
    CHECK_INT(out.members_count, 20);
    CHECK_INT(out.members[19].metadata.len, 200000);
    /* all of it together is more than one batch may be */
    struct ferry_sync_group_request in;
    struct ferry_sync_group_response synced;
    ferry_sync_group_request_init(&in);
    in.group_id = FERRY_STR("g");
    in.member_id = out.member_id;
    in.generation_id = out.generation_id;
    CHECK(bb_call(&b, 1, 14, 1, &in, &synced));
    CHECK_INT(synced.error_code, FERRY_KAFKA_UNKNOWN_SERVER_ERROR);
    bb_free(&b);
}

static void a_commit_has_a_largest_size(void)
{
    static char note[4096];
    struct ferry_find_coordinator_request find;
    struct ferry_find_coordinator_response found;
    struct ferry_offset_commit_request in;
    struct ferry_offset_commit_request_topic t = {.name = FERRY_STR("t")};
    static struct ferry_offset_commit_request_partition p[300];
    struct ferry_offset_commit_response out;
    begin("true");
    memset(note, 'n', sizeof note);
    ferry_find_coordinator_request_init(&find);
    find.key = FERRY_STR("g");
    CHECK(bb_call(&b, c, 10, 2, &find, &found));
    CHECK_INT(bb_create(&b, c, "t", 300), 0);
    ferry_offset_commit_request_init(&in);
    in.group_id = FERRY_STR("g");
    for (int i = 0; i < 300; i++) {
        ferry_offset_commit_request_partition_init(&p[i]);
        p[i].partition_index = i;
        p[i].committed_metadata = (struct ferry_str){note, sizeof note};
    }
    t.partitions = p;
    in.topics = &t;
    in.topics_count = 1;
    t.partitions_count = 300;
    CHECK(bb_call(&b, c, 8, 7, &in, &out));
    CHECK_INT(out.topics[0].partitions[299].error_code, FERRY_KAFKA_INVALID_COMMIT_OFFSET_SIZE);
    t.partitions_count = 200;
    CHECK(bb_call(&b, c, 8, 7, &in, &out));
    CHECK_INT(out.topics[0].partitions[199].error_code, 0);
    bb_free(&b);
}

static long peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Each search holds a page of an index: few run at a time, however many one request asks for. */
static void many_offsets_by_time_are_searched_one_after_another(void)
{
    enum { ROWS = 40000 };
    struct ferry_list_offsets_request in;
    struct ferry_list_offsets_request_topic t = {.name = FERRY_STR("t"), .partitions_count = ROWS};
    struct ferry_list_offsets_response out;
    begin("true");
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(bb_produce(&b, c, "t", 0, 10, 10 * i, NULL), 0);
    bb_stop(&b);
    bb_start(&b); /* nothing is remembered of where batches are */
    c = bb_connect(&b);
    t.partitions = ferry_zalloc(ROWS * sizeof *t.partitions);
    for (int i = 0; i < ROWS; i++) {
        ferry_list_offsets_request_partition_init(&t.partitions[i]);
        t.partitions[i].timestamp = i % 2 ? 1 : INT64_C(1700000000000);
    }
    ferry_list_offsets_request_init(&in);
    in.topics = &t;
    in.topics_count = 1;
    long before = peak_kib();
    CHECK(bb_call(&b, c, 2, 7, &in, &out));
    for (int i = 0; i < ROWS; i++) {
        CHECK_INT(out.topics[0].partitions[i].error_code, 0);
        CHECK_INT(out.topics[0].partitions[i].offset, 0);
    }
    printf("# %ld KiB more\n", peak_kib() - before);
#ifndef FERRY_SANITIZED
    CHECK(peak_kib() - before < 60000);
#endif
    bb_send(&b, c, 2, 7, &in); /* who hangs up meanwhile leaves nothing behind */
    bb_disconnect(&b, c);
    c = bb_connect(&b);
    t.partitions_count = 1;
    CHECK(bb_call(&b, c, 2, 7, &in, &out));
    CHECK_INT(b.errors, 0);
    ferry_free(t.partitions);
    bb_free(&b);
}

int main(void)
{
    TAP_RUN(many_topics_are_not_made);
    TAP_RUN(many_names_are_sorted);
    TAP_RUN(many_settings_are_sorted);
    TAP_RUN(metadata_makes_a_bounded_number_of_topics);
    TAP_RUN(a_member_states_a_hundred_protocols_at_most);
    TAP_RUN(who_waits_holds_no_request);
    TAP_RUN(a_commit_has_a_largest_size);
    TAP_RUN(many_offsets_by_time_are_searched_one_after_another);
    return tap_done();
}
