/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the broker advertises is what Apache Kafka 4.4.0 advertises (tests/vectors/apis.txt, computed by Kafka's own
 * classes), and every version of it does its work: a request that asks for something, and an answer that shows it.
 * Every call is noted; a version that none was made with fails the test.
 */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "ferry/kafka_errors.h"
#include "record/batch.h"
#include "refbroker/handler/request.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

static struct bb b;
static size_t c;
static bool seen[128][32];

static bool call(int key, int version, const void *in, void *out)
{
    bool ok = bb_call(&b, c, key, version, in, out);
    seen[key][version] |= ok;
    if (!ok)
        printf("# key %d version %d: no answer, or none that decodes\n", key, version);
    return ok;
}

static int from(int key)
{
    return broker_api_find((int16_t)key)->min;
}

static int upto(int key)
{
    return broker_api_find((int16_t)key)->max;
}

/* ---- the table ---- */

static void what_is_shown_is_kafkas_table(void)
{
    const char *top = getenv("srcdir");
    char path[4096], name[64], line[128];
    int key, low, high, served, rows = 0;
    snprintf(path, sizeof path, "%s/tests/vectors/apis.txt", top ? top : ".");
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f)) {
        CHECK_INT(sscanf(line, "%d %63s %d %d %d", &key, name, &low, &high, &served), 5);
        const struct broker_api *a = broker_api_find((int16_t)key);
        if (!a)
            continue;
        rows++;
        bool commit = key == 8; /* from 1: librdkafka before 1.3, sarama before 1.41 */
        CHECK_STR(ferry_api_name(key), name);
        CHECK_INT(a->shown_min, commit ? 1 : low);
        CHECK_INT(a->min, commit ? 1 : served);
        CHECK_INT(a->max, high);
    }
    if (f)
        fclose(f);
    CHECK_INT(rows, broker_api_count); /* nothing that Kafka's brokers do not have */
    static const int16_t wanted[] = {0,  1,  2,  3,  8,  9,  10, 11, 12, 13, 14, 15, 16, 18,
                                     19, 20, 21, 22, 23, 32, 33, 35, 37, 42, 44, 47, 60, 75};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        CHECK(broker_api_find(wanted[i]) != NULL);
}

static void the_answer_shows_the_table(void)
{
    struct ferry_api_versions_request in;
    struct ferry_api_versions_response out;
    for (int v = from(18); v <= upto(18); v++) {
        ferry_api_versions_request_init(&in);
        in.client_software_name = in.client_software_version = FERRY_STR("a.b-1");
        CHECK(call(18, v, &in, &out));
        CHECK_INT(out.error_code, 0);
        CHECK_INT(out.api_keys_count, broker_api_count);
        for (int32_t i = 0; i < out.api_keys_count; i++) {
            CHECK_INT(out.api_keys[i].api_key, broker_apis[i].key);
            CHECK_INT(out.api_keys[i].min_version, broker_apis[i].shown_min);
            CHECK_INT(out.api_keys[i].max_version, broker_apis[i].max);
        }
    }
}

/* ---- topics ---- */

static char text[64];

static struct ferry_str numbered(const char *name, int n)
{
    snprintf(text, sizeof text, "%s-%d", name, n);
    return ferry_str_of(text);
}

static void topics_are_made(void)
{
    for (int v = from(19); v <= upto(19); v++) {
        struct ferry_create_topics_request in;
        struct ferry_create_topics_request_topic t;
        struct ferry_create_topics_request_config config = {FERRY_STR("retention.ms"),
                                                            FERRY_STR("777"), NULL};
        struct ferry_create_topics_response out;
        ferry_create_topics_request_init(&in);
        ferry_create_topics_request_topic_init(&t);
        t.name = numbered("made", v);
        t.num_partitions = v;
        t.replication_factor = 1;
        t.configs = &config;
        t.configs_count = 1;
        in.topics = &t;
        in.topics_count = 1;
        CHECK(call(19, v, &in, &out));
        CHECK_INT(out.topics[0].error_code, 0);
        if (v >= 5) {
            CHECK_INT(out.topics[0].num_partitions, v);
            CHECK(out.topics[0].configs_count > 20);
        }
        CHECK(v < 7 || !ferry_uuid_is_zero(&out.topics[0].topic_id));
    }
    for (int v = from(37); v <= upto(37); v++) {
        struct ferry_create_partitions_request in;
        struct ferry_create_partitions_request_topic t;
        struct ferry_create_partitions_response out;
        ferry_create_partitions_request_init(&in);
        ferry_create_partitions_request_topic_init(&t);
        t.name = FERRY_STR("made-2");
        t.count = 3 + v;
        t.assignments_count = -1;
        in.topics = &t;
        in.topics_count = 1;
        CHECK(call(37, v, &in, &out));
        CHECK_INT(out.results[0].error_code, 0);
    }
}

static void topics_are_described(void)
{
    struct ferry_uuid id = bb_topic_id(&b, c, "made-2");
    for (int v = from(3); v <= upto(3); v++) {
        struct ferry_metadata_request in;
        struct ferry_metadata_request_topic t;
        struct ferry_metadata_response out;
        ferry_metadata_request_init(&in);
        ferry_metadata_request_topic_init(&t);
        t.name = FERRY_STR("made-2");
        if (v >= 12) {
            t.name = (struct ferry_str){0};
            t.topic_id = id;
        }
        in.topics = &t;
        in.topics_count = 1;
        CHECK(call(3, v, &in, &out));
        CHECK_INT(out.brokers_count, 1);
        CHECK_INT(out.topics_count, 1);
        CHECK_INT(out.topics[0].error_code, 0);
        CHECK(ferry_str_eq(out.topics[0].name, FERRY_STR("made-2")));
        CHECK_INT(out.topics[0].partitions_count, 6);
        CHECK_INT(out.topics[0].partitions[5].leader_id, 1);
        CHECK(v < 2 || out.cluster_id.len == 22);
        CHECK(v < 7 || out.topics[0].partitions[0].leader_epoch == 0);
        CHECK(v < 10 || ferry_uuid_eq(&out.topics[0].topic_id, &id));
    }
    struct ferry_describe_topic_partitions_request in;
    struct ferry_describe_topic_partitions_request_topic t = {FERRY_STR("made-2"), NULL};
    struct ferry_describe_topic_partitions_response out;
    ferry_describe_topic_partitions_request_init(&in);
    in.topics = &t;
    in.topics_count = 1;
    in.response_partition_limit = 4; /* a page, and where the next begins */
    CHECK(call(75, 0, &in, &out));
    CHECK_INT(out.topics[0].partitions_count, 4);
    CHECK(out.next_cursor && out.next_cursor->partition_index == 4);
    struct ferry_describe_topic_partitions_request_cursor cursor = {FERRY_STR("made-2"), 4, NULL};
    in.cursor = &cursor;
    CHECK(call(75, 0, &in, &out));
    CHECK_INT(out.topics[0].partitions_count, 2);
    CHECK_INT(out.topics[0].partitions[0].partition_index, 4);
    CHECK(!out.next_cursor);
    for (int v = from(60); v <= upto(60); v++) {
        struct ferry_describe_cluster_request ask;
        struct ferry_describe_cluster_response told;
        ferry_describe_cluster_request_init(&ask);
        CHECK(call(60, v, &ask, &told));
        CHECK_INT(told.brokers_count, 1);
        CHECK_INT(told.controller_id, 1);
        CHECK(told.cluster_id.len == 22);
    }
}

/* ---- records ---- */

static void records_are_taken(void)
{
    struct ferry_uuid id = bb_topic_id(&b, c, "t");
    for (int v = from(0); v <= upto(0); v++) {
        struct ferry_produce_request in;
        struct ferry_produce_request_topic_data t;
        struct ferry_produce_request_partition_data p;
        struct ferry_produce_response out;
        struct ferry_slab *s = bb_batch(2, 0, 0, 0);
        ferry_produce_request_init(&in);
        ferry_produce_request_topic_data_init(&t);
        ferry_produce_request_partition_data_init(&p);
        p.records = (struct ferry_bytes){s->data, s->len};
        if (v >= 13)
            t.topic_id = id;
        else
            t.name = FERRY_STR("t");
        t.partition_data = &p;
        in.topic_data = &t;
        t.partition_data_count = in.topic_data_count = 1;
        in.acks = -1;
        CHECK(call(0, v, &in, &out));
        CHECK_INT(out.responses_count, 1);
        CHECK_INT(out.responses[0].partition_responses[0].error_code, 0);
        CHECK_INT(out.responses[0].partition_responses[0].base_offset, 2 * (v - from(0)));
        CHECK(v < 13 || ferry_uuid_eq(&out.responses[0].topic_id, &id));
        ferry_slab_unref(s);
        if (v < 13)
            continue;
        t.topic_id.b[3] ^= 1; /* another's id */
        p.records = (struct ferry_bytes){0};
        CHECK(call(0, v, &in, &out));
        CHECK_INT(out.responses[0].partition_responses[0].error_code, FERRY_KAFKA_UNKNOWN_TOPIC_ID);
    }
}

static int64_t records_end(void)
{
    return 2 * (upto(0) - from(0) + 1);
}

static void records_are_given(void)
{
    struct ferry_uuid id = bb_topic_id(&b, c, "t");
    for (int v = from(1); v <= upto(1); v++) {
        struct ferry_fetch_request in;
        struct ferry_fetch_request_topic t = {0};
        struct ferry_fetch_request_partition p;
        struct ferry_fetch_response out;
        ferry_fetch_request_init(&in);
        ferry_fetch_request_partition_init(&p);
        p.partition_max_bytes = 1 << 20;
        if (v >= 13)
            t.topic_id = id;
        else
            t.topic = FERRY_STR("t");
        t.partitions = &p;
        in.topics = &t;
        t.partitions_count = in.topics_count = 1;
        in.min_bytes = 1;
        in.max_bytes = 1 << 20;
        in.session_epoch = v >= 7 ? 0 : -1;
        CHECK(call(1, v, &in, &out));
        CHECK_INT(out.error_code, 0);
        CHECK_INT(out.responses_count, 1);
        CHECK((out.session_id != 0) == (v >= 7));
        const struct ferry_fetch_response_partition *got = &out.responses[0].partitions[0];
        CHECK_INT(got->error_code, 0);
        CHECK_INT(got->high_watermark, records_end());
        CHECK_INT(got->last_stable_offset, records_end());
        CHECK_INT(bb_count_records(got->records), records_end());
    }
}

static void offsets_are_found(void)
{
    static const struct {
        int64_t time, offset;
        int since;
    } asks[] = {{-1, 22, 0}, {-2, 0, 0}, {1, 0, 0},   {INT64_MAX, -1, 0},
                {-3, 0, 7},  {-4, 0, 8}, {-5, -1, 9}, {-6, -1, 11}};
    for (int v = from(2); v <= upto(2); v++)
        for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
            struct ferry_list_offsets_request in;
            struct ferry_list_offsets_request_topic t = {0};
            struct ferry_list_offsets_request_partition p;
            struct ferry_list_offsets_response out;
            ferry_list_offsets_request_init(&in);
            ferry_list_offsets_request_partition_init(&p);
            p.timestamp = asks[i].time;
            t.name = FERRY_STR("t");
            t.partitions = &p;
            in.topics = &t;
            in.replica_id = -1;
            t.partitions_count = in.topics_count = 1;
            CHECK(call(2, v, &in, &out));
            const struct ferry_list_offsets_response_partition *got = &out.topics[0].partitions[0];
            bool knows = v >= asks[i].since;
            CHECK_INT(got->error_code, knows ? 0 : FERRY_KAFKA_UNSUPPORTED_VERSION);
            CHECK_INT(got->offset, knows ? asks[i].offset : -1);
            CHECK_INT(got->leader_epoch, knows && v >= 4 && asks[i].offset >= 0 ? 0 : -1);
        }
    for (int v = from(23); v <= upto(23); v++) {
        struct ferry_offset_for_leader_epoch_request in;
        struct ferry_offset_for_leader_epoch_request_topic t = {0};
        struct ferry_offset_for_leader_epoch_request_partition p;
        struct ferry_offset_for_leader_epoch_response out;
        ferry_offset_for_leader_epoch_request_init(&in);
        ferry_offset_for_leader_epoch_request_partition_init(&p);
        t.topic = FERRY_STR("t");
        t.partitions = &p;
        in.topics = &t;
        t.partitions_count = in.topics_count = 1;
        CHECK(call(23, v, &in, &out));
        CHECK_INT(out.topics[0].partitions[0].error_code, 0);
        CHECK_INT(out.topics[0].partitions[0].end_offset, records_end());
        p.leader_epoch = 5; /* there was none */
        CHECK(call(23, v, &in, &out));
        CHECK_INT(out.topics[0].partitions[0].error_code, 0);
        CHECK_INT(out.topics[0].partitions[0].end_offset, -1);
    }
}

static void records_are_deleted(void)
{
    for (int v = from(21); v <= upto(21); v++) {
        struct ferry_delete_records_request in;
        struct ferry_delete_records_request_topic t = {0};
        struct ferry_delete_records_request_partition p;
        struct ferry_delete_records_response out;
        ferry_delete_records_request_init(&in);
        ferry_delete_records_request_partition_init(&p);
        p.offset = 3 + v;
        t.name = FERRY_STR("t");
        t.partitions = &p;
        in.topics = &t;
        t.partitions_count = in.topics_count = 1;
        CHECK(call(21, v, &in, &out));
        CHECK_INT(out.topics[0].partitions[0].error_code, 0);
        CHECK_INT(out.topics[0].partitions[0].low_watermark, 3 + v);
    }
    int64_t last = -1;
    for (int v = from(22); v <= upto(22); v++) {
        struct ferry_init_producer_id_request in;
        struct ferry_init_producer_id_response out;
        ferry_init_producer_id_request_init(&in);
        in.transactional_id = (struct ferry_str){0};
        CHECK(call(22, v, &in, &out));
        CHECK_INT(out.error_code, 0);
        CHECK(out.producer_id > last);
        last = out.producer_id;
    }
    for (int v = from(35); v <= upto(35); v++) {
        struct ferry_describe_log_dirs_request in;
        struct ferry_describe_log_dirs_response out;
        int32_t zero = 0;
        struct ferry_describe_log_dirs_request_topic t = {FERRY_STR("t"), &zero, 1, NULL};
        ferry_describe_log_dirs_request_init(&in);
        in.topics = &t;
        in.topics_count = 1;
        CHECK(call(35, v, &in, &out));
        CHECK_INT(out.results[0].topics_count, 1);
        CHECK(out.results[0].topics[0].partitions[0].partition_size > 1000);
    }
}

/* ---- groups ---- */

static struct {
    struct ferry_str group;
    char id[128];
    int32_t generation;
} me;

static int join(int v)
{
    struct ferry_join_group_request in;
    struct ferry_join_group_request_protocol p = {
        FERRY_STR("range"), {(const uint8_t *)"topics", 6}, NULL};
    struct ferry_join_group_response out;
    ferry_join_group_request_init(&in);
    in.group_id = me.group;
    in.session_timeout_ms = in.rebalance_timeout_ms = 10000;
    in.member_id = ferry_str_of(me.id);
    in.protocol_type = FERRY_STR("consumer");
    in.protocols = &p;
    in.protocols_count = 1;
    if (!call(11, v, &in, &out))
        return -1000;
    snprintf(me.id, sizeof me.id, "%.*s", (int)out.member_id.len, out.member_id.data);
    me.generation = out.generation_id;
    return out.error_code;
}

static int sync_group(int v)
{
    struct ferry_sync_group_request in;
    struct ferry_sync_group_request_assignment a = {
        ferry_str_of(me.id), {(const uint8_t *)"all", 3}, NULL};
    struct ferry_sync_group_response out;
    ferry_sync_group_request_init(&in);
    in.group_id = me.group;
    in.member_id = ferry_str_of(me.id);
    in.generation_id = me.generation;
    in.protocol_type = FERRY_STR("consumer");
    in.protocol_name = FERRY_STR("range");
    in.assignments = &a;
    in.assignments_count = 1;
    return call(14, v, &in, &out) && out.assignment.len == 3 ? out.error_code : -1000;
}

static int heartbeat(int v)
{
    struct ferry_heartbeat_request in;
    struct ferry_heartbeat_response out;
    ferry_heartbeat_request_init(&in);
    in.group_id = me.group;
    in.member_id = ferry_str_of(me.id);
    in.generation_id = me.generation;
    return call(12, v, &in, &out) ? out.error_code : -1000;
}

static int leave(int v)
{
    struct ferry_leave_group_request in;
    struct ferry_leave_group_request_member m;
    struct ferry_leave_group_response out;
    ferry_leave_group_request_init(&in);
    ferry_leave_group_request_member_init(&m);
    in.group_id = me.group;
    if (v >= 3) {
        m.member_id = ferry_str_of(me.id);
        in.members = &m;
        in.members_count = 1;
    } else {
        in.member_id = ferry_str_of(me.id);
    }
    if (!call(13, v, &in, &out))
        return -1000;
    return v >= 3 && out.members_count != 1 ? -1001
           : v >= 3 && !out.error_code      ? out.members[0].error_code
                                            : out.error_code;
}

static int least(int x, int y)
{
    return x < y ? x : y;
}

static void members_come_and_go(void)
{
    static char name[32];
    for (int v = from(10); v <= upto(10); v++) {
        struct ferry_find_coordinator_request in;
        struct ferry_find_coordinator_response out;
        struct ferry_str key = FERRY_STR("g");
        ferry_find_coordinator_request_init(&in);
        in.key = v < 4 ? key : FERRY_STR("");
        in.coordinator_keys = &key;
        in.coordinator_keys_count = v >= 4;
        CHECK(call(10, v, &in, &out));
        if (v >= 4) {
            CHECK_INT(out.coordinators_count, 1);
            CHECK_INT(out.coordinators[0].error_code, 0);
            CHECK_INT(out.coordinators[0].node_id, 1);
        } else {
            CHECK_INT(out.error_code, 0);
            CHECK_INT(out.node_id, 1);
        }
    }
    for (int v = from(11); v <= upto(11); v++) {
        snprintf(name, sizeof name, "group-%d", v);
        me.group = ferry_str_of(name);
        me.id[0] = 0;
        CHECK_INT(join(v), v >= 4 ? FERRY_KAFKA_MEMBER_ID_REQUIRED : 0);
        if (v >= 4)
            CHECK_INT(join(v), 0);
        CHECK_INT(me.generation, 1);
        CHECK_INT(sync_group(least(v, upto(14))), 0);
        CHECK_INT(heartbeat(least(v, upto(12))), 0);
        if (v == upto(11)) /* this one stays for what follows */
            break;
        CHECK_INT(leave(least(v, upto(13))), 0);
        CHECK_INT(heartbeat(0), FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    }
}

static void commit(int v)
{
    struct ferry_uuid id = bb_topic_id(&b, c, "t");
    struct ferry_offset_commit_request in;
    struct ferry_offset_commit_request_topic t = {0};
    struct ferry_offset_commit_request_partition p;
    struct ferry_offset_commit_response out;
    ferry_offset_commit_request_init(&in);
    ferry_offset_commit_request_partition_init(&p);
    in.group_id = me.group;
    in.member_id = ferry_str_of(me.id);
    in.generation_id_or_member_epoch = me.generation;
    if (v >= 10)
        t.topic_id = id;
    else
        t.name = FERRY_STR("t");
    p.committed_offset = 100 + v;
    p.committed_metadata = FERRY_STR("note");
    t.partitions = &p;
    in.topics = &t;
    t.partitions_count = in.topics_count = 1;
    CHECK(call(8, v, &in, &out));
    CHECK_INT(out.topics[0].partitions[0].error_code, 0);
}

static int64_t committed(int v)
{
    struct ferry_uuid id = bb_topic_id(&b, c, "t");
    struct ferry_offset_fetch_request in;
    struct ferry_offset_fetch_request_topic t = {0};
    struct ferry_offset_fetch_request_group g;
    struct ferry_offset_fetch_request_group_topic gt = {0};
    struct ferry_offset_fetch_response out;
    int32_t zero = 0;
    ferry_offset_fetch_request_init(&in);
    ferry_offset_fetch_request_group_init(&g);
    in.group_id = v < 8 ? me.group : FERRY_STR("");
    g.group_id = me.group;
    t.name = FERRY_STR("t");
    t.partition_indexes = gt.partition_indexes = &zero;
    t.partition_indexes_count = gt.partition_indexes_count = 1;
    in.topics = &t;
    g.topics = &gt;
    in.topics_count = v < 8;
    g.topics_count = 1;
    in.groups = &g;
    in.groups_count = v >= 8;
    if (v >= 10)
        gt.topic_id = id;
    else
        gt.name = FERRY_STR("t");
    if (!call(9, v, &in, &out))
        return -1000;
    struct ferry_str note = FERRY_STR("note");
    if (v < 8)
        return out.error_code || !ferry_str_eq(out.topics[0].partitions[0].metadata, note)
                   ? -1001
                   : out.topics[0].partitions[0].committed_offset;
    return out.groups[0].error_code ||
                   !ferry_str_eq(out.groups[0].topics[0].partitions[0].metadata, note)
               ? -1002
               : out.groups[0].topics[0].partitions[0].committed_offset;
}

static void offsets_are_kept(void)
{
    for (int v = from(8); v <= upto(8); v++) {
        commit(v);
        CHECK_INT(committed(least(v, upto(9))), 100 + v);
    }
}

static void groups_are_told_of(void)
{
    for (int v = from(15); v <= upto(15); v++) {
        struct ferry_describe_groups_request in;
        struct ferry_describe_groups_response out;
        ferry_describe_groups_request_init(&in);
        in.groups = &me.group;
        in.groups_count = 1;
        CHECK(call(15, v, &in, &out));
        CHECK_INT(out.groups[0].error_code, 0);
        CHECK(ferry_str_eq(out.groups[0].group_state, FERRY_STR("Stable")));
        CHECK_INT(out.groups[0].members_count, 1);
        CHECK(ferry_str_eq(out.groups[0].members[0].member_id, ferry_str_of(me.id)));
        CHECK_INT(out.groups[0].members[0].member_metadata.len, 6);
        CHECK_INT(out.groups[0].members[0].member_assignment.len, 3);
    }
    for (int v = from(16); v <= upto(16); v++) {
        struct ferry_list_groups_request in;
        struct ferry_list_groups_response out;
        struct ferry_str stable = FERRY_STR("Stable");
        ferry_list_groups_request_init(&in);
        in.states_filter = &stable;
        in.states_filter_count = v >= 4;
        CHECK(call(16, v, &in, &out));
        CHECK_INT(out.error_code, 0);
        bool found = false;
        for (int32_t i = 0; i < out.groups_count; i++)
            found |= ferry_str_eq(out.groups[i].group_id, me.group);
        CHECK(found);
        CHECK(v < 4 || out.groups_count == 1);
    }
}

static void offsets_and_groups_are_deleted(void)
{
    struct ferry_offset_delete_request in;
    struct ferry_offset_delete_request_partition p = {0};
    struct ferry_offset_delete_request_topic t = {FERRY_STR("t"), &p, 1};
    struct ferry_offset_delete_response out;
    ferry_offset_delete_request_init(&in);
    in.group_id = me.group;
    in.topics = &t;
    in.topics_count = 1;
    CHECK_INT(leave(upto(13)), 0);
    CHECK(call(47, 0, &in, &out));
    CHECK_INT(out.error_code, 0);
    CHECK_INT(out.topics[0].partitions[0].error_code, 0);
    for (int v = from(42); v <= upto(42); v++) {
        struct ferry_delete_groups_request drop;
        struct ferry_delete_groups_response dropped;
        struct ferry_str name = numbered("gone", v);
        ferry_delete_groups_request_init(&drop);
        drop.groups_names = &name;
        drop.groups_names_count = 1;
        me.group = name;
        me.id[0] = 0;
        CHECK_INT(join(3), 0);
        CHECK(call(42, v, &drop, &dropped));
        CHECK_INT(dropped.results[0].error_code, FERRY_KAFKA_NON_EMPTY_GROUP);
        CHECK_INT(leave(0), 0);
        me.generation = -1;
        me.id[0] = 0;
        commit(9); /* else the empty group is gone by itself */
        CHECK(call(42, v, &drop, &dropped));
        CHECK_INT(dropped.results[0].error_code, 0);
        CHECK(call(42, v, &drop, &dropped));
        CHECK_INT(dropped.results[0].error_code, FERRY_KAFKA_GROUP_ID_NOT_FOUND);
    }
}

/* ---- settings, and the rest ---- */

static void described_as(const char *value)
{
    for (int v = from(32); v <= upto(32); v++) {
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
        in.include_synonyms = true;
        CHECK(call(32, v, &in, &out));
        CHECK_INT(out.results[0].error_code, 0);
        CHECK_INT(out.results[0].configs_count, 1);
        CHECK(ferry_str_eq(out.results[0].configs[0].value, ferry_str_of(value)));
        CHECK_INT(out.results[0].configs[0].config_source, 1);
        CHECK_INT(out.results[0].configs[0].synonyms_count, 1);
        CHECK(v < 3 || out.results[0].configs[0].config_type == 5);
    }
}

static void settings_are_altered(void)
{
    for (int v = from(33); v <= upto(33); v++) {
        struct ferry_alter_configs_request in;
        struct ferry_alter_configs_request_config config = {FERRY_STR("retention.ms"),
                                                            numbered("1", v), NULL};
        struct ferry_alter_configs_request_resource res = {2, FERRY_STR("t"), &config, 1, NULL};
        struct ferry_alter_configs_response out;
        ferry_alter_configs_request_init(&in);
        in.resources = &res;
        in.resources_count = 1;
        CHECK(call(33, v, &in, &out));
        CHECK_INT(out.responses[0].error_code, FERRY_KAFKA_INVALID_CONFIG); /* "1-0" */
        snprintf(text, sizeof text, "33%d", v);
        config.value = ferry_str_of(text);
        CHECK(call(33, v, &in, &out));
        CHECK_INT(out.responses[0].error_code, 0);
        described_as(text);
    }
    for (int v = from(44); v <= upto(44); v++) {
        struct ferry_incremental_alter_configs_request in;
        struct ferry_incremental_alter_configs_request_config config;
        struct ferry_incremental_alter_configs_request_resource res = {2, FERRY_STR("t"), &config,
                                                                       1, NULL};
        struct ferry_incremental_alter_configs_response out;
        ferry_incremental_alter_configs_request_init(&in);
        ferry_incremental_alter_configs_request_config_init(&config);
        snprintf(text, sizeof text, "44%d", v);
        config.name = FERRY_STR("retention.ms");
        config.value = ferry_str_of(text);
        in.resources = &res;
        in.resources_count = 1;
        CHECK(call(44, v, &in, &out));
        CHECK_INT(out.responses[0].error_code, 0);
        described_as(text);
    }
}

static void there_is_no_authorizer(void)
{
    for (int v = from(29); v <= upto(29); v++) {
        struct ferry_describe_acls_request in;
        struct ferry_describe_acls_response out;
        ferry_describe_acls_request_init(&in);
        in.resource_type_filter = in.pattern_type_filter = in.operation = in.permission_type = 1;
        CHECK(call(29, v, &in, &out));
        CHECK_INT(out.error_code, FERRY_KAFKA_SECURITY_DISABLED);
    }
    for (int v = from(30); v <= upto(30); v++) {
        struct ferry_create_acls_request in;
        struct ferry_create_acls_request_creation one;
        struct ferry_create_acls_response out;
        ferry_create_acls_request_init(&in);
        ferry_create_acls_request_creation_init(&one);
        one.resource_name = one.principal = one.host = FERRY_STR("x");
        in.creations = &one;
        in.creations_count = 1;
        CHECK(call(30, v, &in, &out));
        CHECK_INT(out.results_count, 1);
        CHECK_INT(out.results[0].error_code, FERRY_KAFKA_SECURITY_DISABLED);
    }
    for (int v = from(31); v <= upto(31); v++) {
        struct ferry_delete_acls_request in;
        struct ferry_delete_acls_request_filter one;
        struct ferry_delete_acls_response out;
        ferry_delete_acls_request_init(&in);
        ferry_delete_acls_request_filter_init(&one);
        in.filters = &one;
        in.filters_count = 1;
        CHECK(call(31, v, &in, &out));
        CHECK_INT(out.filter_results[0].error_code, FERRY_KAFKA_SECURITY_DISABLED);
    }
}

static void topics_are_deleted(void)
{
    for (int v = from(20); v <= upto(20); v++) {
        struct ferry_delete_topics_request in;
        struct ferry_delete_topics_request_topic t;
        struct ferry_delete_topics_response out;
        struct ferry_str name = numbered("made", v + 1);
        ferry_delete_topics_request_init(&in);
        ferry_delete_topics_request_topic_init(&t);
        t.name = (struct ferry_str){0};
        t.topic_id = bb_topic_id(&b, c, text);
        CHECK(!ferry_uuid_is_zero(&t.topic_id));
        in.topics = &t;
        in.topics_count = v >= 6;
        in.topic_names = &name;
        in.topic_names_count = v < 6;
        CHECK(call(20, v, &in, &out));
        CHECK_INT(out.responses[0].error_code, 0);
        CHECK(ferry_str_eq(out.responses[0].name, name));
    }
}

static void every_version_does_its_work(void)
{
    bb_init(&b, 31);
    bb_set(&b, "offsets.topic.num.partitions", "2");
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    the_answer_shows_the_table();
    topics_are_made();
    topics_are_described();
    records_are_taken();
    records_are_given();
    offsets_are_found();
    records_are_deleted();
    members_come_and_go();
    offsets_are_kept();
    groups_are_told_of();
    offsets_and_groups_are_deleted();
    settings_are_altered();
    there_is_no_authorizer();
    topics_are_deleted();
    for (size_t i = 0; i < broker_api_count; i++)
        for (int v = broker_apis[i].min; v <= broker_apis[i].max; v++) {
            if (!seen[broker_apis[i].key][v])
                printf("# key %d version %d was not asked for\n", broker_apis[i].key, v);
            CHECK(seen[broker_apis[i].key][v]);
        }
    CHECK_INT(b.errors, 0);
    bb_free(&b);
}

int main(void)
{
    TAP_RUN(what_is_shown_is_kafkas_table);
    TAP_RUN(every_version_does_its_work);
    return tap_done();
}
