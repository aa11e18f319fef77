/* SPDX-License-Identifier: BSD-2-Clause */
/* What the settings of the broker and of its topics do, seen by a client. */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "ferry/kafka_errors.h"
#include "record/batch.h"
#include "record/build.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

static struct bb b;
static size_t c;

static void begin(const char *key, const char *value)
{
    bb_init(&b, 41);
    if (key)
        bb_set(&b, key, value);
    bb_start(&b);
    c = bb_connect(&b);
}

static void end(void)
{
    bb_free(&b);
}

static int create(const char *topic, int32_t partitions, const char *const *configs)
{
    struct ferry_create_topics_request in;
    struct ferry_create_topics_request_topic t;
    struct ferry_create_topics_request_config list[8];
    struct ferry_create_topics_response out;
    ferry_create_topics_request_init(&in);
    ferry_create_topics_request_topic_init(&t);
    t.name = ferry_str_of(topic);
    t.num_partitions = partitions;
    t.replication_factor = -1;
    t.configs = list;
    for (t.configs_count = 0; configs && configs[0]; configs += 2)
        list[t.configs_count++] = (struct ferry_create_topics_request_config){
            ferry_str_of(configs[0]), ferry_str_of(configs[1]), NULL};
    in.topics = &t;
    in.topics_count = 1;
    return bb_call(&b, c, 19, 7, &in, &out) ? out.topics[0].error_code : -1000;
}

static int64_t offset_at(const char *topic, int64_t time)
{
    struct ferry_list_offsets_request in;
    struct ferry_list_offsets_request_topic t = {.name = ferry_str_of(topic),
                                                 .partitions_count = 1};
    struct ferry_list_offsets_request_partition p;
    struct ferry_list_offsets_response out;
    ferry_list_offsets_request_init(&in);
    ferry_list_offsets_request_partition_init(&p);
    p.timestamp = time;
    t.partitions = &p;
    in.topics = &t;
    in.topics_count = 1;
    return bb_call(&b, c, 2, 7, &in, &out) ? out.topics[0].partitions[0].offset : -1000;
}

/* The topic's error code; partitions, where there are some, in *count. */
static int metadata(const char *topic, int version, bool create_it, int32_t *count)
{
    struct ferry_metadata_request in;
    struct ferry_metadata_request_topic t;
    struct ferry_metadata_response out;
    ferry_metadata_request_init(&in);
    ferry_metadata_request_topic_init(&t);
    t.name = ferry_str_of(topic);
    in.topics = &t;
    in.topics_count = 1;
    in.allow_auto_topic_creation = create_it;
    if (!bb_call(&b, c, 3, version, &in, &out) || out.topics_count != 1)
        return -1000;
    *count = out.topics[0].partitions_count;
    return out.topics[0].error_code;
}

/* ---- topics that come by themselves ---- */

static void topics_come_by_themselves_where_that_is_allowed(void)
{
    int32_t count;
    begin("num.partitions", "4");
    CHECK_INT(metadata("a", 4, false, &count), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(metadata("a", 4, true, &count), 0);
    CHECK_INT(count, 4);
    CHECK_INT(metadata("old", 3, true, &count), 0); /* before version 4 nobody is asked */
    CHECK_INT(metadata("no/name", 4, true, &count), FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    CHECK_INT(create("b", -1, NULL), 0);
    CHECK_INT(metadata("b", 4, false, &count), 0);
    CHECK_INT(count, 4);
    end();
    begin("auto.create.topics.enable", "false");
    CHECK_INT(metadata("a", 4, true, &count), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(metadata("a", 0, true, &count), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(create("a", 1, NULL), 0);
    CHECK_INT(metadata("a", 4, true, &count), 0);
    CHECK_INT(bb_produce(&b, c, "none", 0, 1, 0, NULL), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    end();
}

static void topics_go_where_that_is_allowed(void)
{
    struct ferry_delete_topics_request in;
    struct ferry_delete_topics_response out;
    struct ferry_str name = FERRY_STR("t");
    begin("delete.topic.enable", "false");
    CHECK_INT(create("t", 1, NULL), 0);
    ferry_delete_topics_request_init(&in);
    in.topic_names = &name;
    in.topic_names_count = 1;
    CHECK(bb_call(&b, c, 20, 4, &in, &out));
    CHECK_INT(out.responses[0].error_code, FERRY_KAFKA_TOPIC_DELETION_DISABLED);
    CHECK_INT(bb_produce(&b, c, "t", 0, 1, 0, NULL), 0);
    end();
}

/* ---- descriptions ---- */

static void add_words(struct ferry_text *line,
                      const struct ferry_describe_configs_response_config *o)
{
    static const char *const types[] = {"",      "BOOLEAN", "STRING", "INT",
                                        "SHORT", "LONG",    "DOUBLE", "LIST"};
    static const char *const sources[] = {"",
                                          "DYNAMIC_TOPIC_CONFIG",
                                          "DYNAMIC_BROKER_CONFIG",
                                          "DYNAMIC_DEFAULT_BROKER_CONFIG",
                                          "STATIC_BROKER_CONFIG",
                                          "DEFAULT_CONFIG"};
    ferry_text_add(line, "%.*s %s %s %.*s", (int)o->name.len, o->name.data, types[o->config_type],
                   sources[o->config_source], o->value.len ? (int)o->value.len : 1,
                   o->value.len ? o->value.data : "-");
    for (int32_t i = 0; i < o->synonyms_count; i++) {
        const struct ferry_describe_configs_response_synonym *s = &o->synonyms[i];
        ferry_text_add(line, " %s:%.*s=%.*s", sources[s->source], (int)s->name.len, s->name.data,
                       s->value.len ? (int)s->value.len : 1, s->value.len ? s->value.data : "-");
    }
    if (o->read_only || o->is_sensitive || !o->documentation.len)
        ferry_text_add(line, " odd");
    ferry_text_add(line, "\n");
}

/* tests/vectors/topic_configs.txt is what Apache Kafka 4.3.1 says of such a topic (tests/kafka/Configs.java). */
static void a_topic_is_described_as_kafka_does(void)
{
    static const char *const own[] = {"retention.ms",
                                      "5",
                                      "cleanup.policy",
                                      "compact",
                                      "compression.type",
                                      "lz4",
                                      "min.insync.replicas",
                                      "1",
                                      "flush.messages",
                                      "7",
                                      "min.cleanable.dirty.ratio",
                                      "0.25",
                                      NULL};
    const char *top = getenv("srcdir");
    char path[4096], line[512];
    struct ferry_describe_configs_request in;
    struct ferry_describe_configs_request_resource res;
    struct ferry_describe_configs_response out;
    begin(NULL, NULL);
    CHECK_INT(create("described", 1, own), 0);
    ferry_describe_configs_request_init(&in);
    ferry_describe_configs_request_resource_init(&res);
    res.resource_type = 2;
    res.resource_name = FERRY_STR("described");
    res.configuration_keys_count = -1;
    in.resources = &res;
    in.resources_count = 1;
    in.include_synonyms = in.include_documentation = true;
    CHECK(bb_call(&b, c, 32, 4, &in, &out));
    snprintf(path, sizeof path, "%s/tests/vectors/topic_configs.txt", top ? top : ".");
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    int lines = 0, same = 0;
    while (f && fgets(line, sizeof line, f)) {
        lines++;
        for (int32_t i = 0; i < out.results[0].configs_count; i++) {
            struct ferry_text ours = {0};
            add_words(&ours, &out.results[0].configs[i]);
            same += !strcmp(ours.data, line);
            ferry_text_free(&ours);
        }
        if (same < lines) {
            printf("# Kafka says: %s", line);
            same = lines;
            lines += 1000;
        }
    }
    if (f)
        fclose(f);
    CHECK_INT(lines, out.results[0].configs_count);
    end();
}

/* ---- records ---- */

/* A topic that asks for compaction, alone or beside deletion, is never cut by retention. */
static void compacted_topics_are_never_cut(void)
{
    static const char *const policies[] = {"delete", "compact", "compact,delete", ""};
    begin("log.retention.check.interval.ms", "1000");
    for (int i = 0; i < 4; i++) {
        char name[8];
        const char *configs[] = {
            "cleanup.policy", policies[i], "retention.ms", "1000", "retention.bytes", "1", NULL};
        snprintf(name, sizeof name, "p%d", i);
        CHECK_INT(create(name, 1, configs), 0);
        CHECK_INT(bb_produce(&b, c, name, 0, 5, 0, NULL), 0);
    }
    bb_advance(&b, 3600000);
    c = bb_connect(&b); /* that one was idle for too long */
    CHECK_INT(offset_at("p0", -2), 5);
    for (int i = 1; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%d", i);
        CHECK_INT(offset_at(name, -2), 0);
        CHECK_INT(offset_at(name, -1), 5);
    }
    end();
}

static int produce_slab(const char *topic, struct ferry_slab *s, struct ferry_produce_response *out)
{
    struct ferry_produce_request in;
    struct ferry_produce_request_topic_data t;
    struct ferry_produce_request_partition_data p;
    ferry_produce_request_init(&in);
    ferry_produce_request_topic_data_init(&t);
    ferry_produce_request_partition_data_init(&p);
    t.name = ferry_str_of(topic);
    p.records = (struct ferry_bytes){s->data, s->len};
    t.partition_data = &p;
    in.topic_data = &t;
    t.partition_data_count = in.topic_data_count = 1;
    in.acks = -1;
    bool ok = bb_call(&b, c, 0, 9, &in, out);
    ferry_slab_unref(s);
    return ok ? out->responses[0].partition_responses[0].error_code : -1000;
}

/* Three records, the second of which has no key. */
static struct ferry_slab *keyless(uint16_t attributes)
{
    struct ferry_slab *s = ferry_slab_new(1000);
    uint8_t *at = s->data + FERRY_BATCH_HEADER;
    for (int i = 0; i < 3; i++) {
        struct ferry_build_record r = {.value = {(const uint8_t *)"v", 1}};
        if (i != 1)
            r.key = (struct ferry_bytes){(const uint8_t *)"k", 1};
        at = ferry_build_record(at, &r, 0, i);
    }
    s->len = (size_t)(at - s->data);
    struct ferry_build_header h = {.base_timestamp = 1,
                                   .max_timestamp = 1,
                                   .producer_id = -1,
                                   .producer_epoch = -1,
                                   .base_sequence = -1,
                                   .leader_epoch = -1,
                                   .last_offset_delta = 2,
                                   .attributes = attributes,
                                   .count = 3};
    ferry_build_header(s->data, &h, s->len);
    ferry_build_crc(s->data, s->len);
    return s;
}

static void what_a_client_may_not_write_is_refused(void)
{
    static const char *const compact[] = {"cleanup.policy", "compact", NULL};
    struct ferry_find_coordinator_request find;
    struct ferry_find_coordinator_response found;
    struct ferry_produce_response out;
    begin("offsets.topic.num.partitions", "1");
    ferry_find_coordinator_request_init(&find);
    find.key = FERRY_STR("g");
    CHECK(bb_call(&b, c, 10, 2, &find, &found));
    CHECK_INT(create("c", 1, compact), 0);
    CHECK_INT(create("d", 1, NULL), 0);
    CHECK_INT(produce_slab("d", keyless(0), &out), 0);
    CHECK_INT(produce_slab("c", keyless(0), &out), FERRY_KAFKA_INVALID_RECORD);
    const struct ferry_produce_response_partition_response *got =
        &out.responses[0].partition_responses[0];
    CHECK_INT(got->record_errors_count, 1); /* and it says which */
    CHECK_INT(got->record_errors[0].batch_index, 1);
    CHECK(got->record_errors[0].batch_index_error_message.len > 0);
    CHECK_INT(produce_slab("d", keyless(FERRY_BATCH_CONTROL), &out), FERRY_KAFKA_INVALID_RECORD);
    CHECK_INT(produce_slab("d", keyless(FERRY_BATCH_TRANSACTIONAL), &out),
              FERRY_KAFKA_INVALID_TXN_STATE);
    CHECK_INT(produce_slab("d", keyless(5), &out), FERRY_KAFKA_INVALID_RECORD); /* no such codec */
    CHECK_INT(produce_slab("__consumer_offsets", bb_batch(1, 0, 0, 0), &out),
              FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    struct ferry_slab *one = bb_batch(1, 0, 0, 0), *two = ferry_slab_new(2 * one->len);
    memcpy(two->data, one->data, one->len);
    memcpy(two->data + one->len, one->data, one->len);
    two->len = 2 * one->len;
    ferry_slab_unref(one);
    CHECK_INT(produce_slab("d", two, &out), FERRY_KAFKA_INVALID_RECORD); /* one batch a partition */
    CHECK_INT(offset_at("d", -1), 3);
    CHECK_INT(offset_at("c", -1), 0);
    end();
}

static int produce_acks(const char *topic, int acks, struct ferry_produce_response *out)
{
    bb_produce_begin(&b, c, topic, 0, 1, 0, acks);
    bb_run(&b);
    return bb_take(&b, c, 0, 9, NULL, out) ? out->responses[0].partition_responses[0].error_code
                                           : -1000;
}

/* Kafka counts against the replicas that a partition has: one is enough where there is one. */
static void min_insync_replicas_counts_the_replicas_there_are(void)
{
    static const char *const two[] = {"min.insync.replicas", "2", NULL};
    struct ferry_produce_response out;
    begin(NULL, NULL);
    CHECK_INT(create("t", 1, two), 0);
    CHECK_INT(produce_acks("t", -1, &out), 0);
    CHECK_INT(produce_acks("t", 1, &out), 0);
    CHECK_INT(offset_at("t", -1), 2);
    end();
}

static void append_time_is_told(void)
{
    static const char *const stamped[] = {"message.timestamp.type", "LogAppendTime", NULL};
    struct ferry_produce_response out;
    begin(NULL, NULL);
    CHECK_INT(create("t", 1, stamped), 0);
    CHECK_INT(create("u", 1, NULL), 0);
    CHECK_INT(produce_acks("t", -1, &out), 0);
    CHECK_INT(out.responses[0].partition_responses[0].log_append_time_ms, b.wall);
    CHECK_INT(offset_at("t", b.wall), 0);
    CHECK_INT(offset_at("t", b.wall + 1), -1);
    CHECK_INT(produce_acks("u", -1, &out), 0);
    CHECK_INT(out.responses[0].partition_responses[0].log_append_time_ms, -1);
    end();
}

static void times_far_from_now_are_refused(void)
{
    static const char *const bounds[] = {"message.timestamp.before.max.ms", "1000",
                                         "message.timestamp.after.max.ms", "1000", NULL};
    struct ferry_produce_response out;
    begin(NULL, NULL);
    CHECK_INT(create("t", 1, bounds), 0);
    b.wall = INT64_C(1700000000000); /* the time that the bench's records carry */
    CHECK_INT(produce_acks("t", -1, &out), 0);
    b.wall += 1001;
    CHECK_INT(produce_acks("t", -1, &out), FERRY_KAFKA_INVALID_TIMESTAMP);
    CHECK(out.responses[0].partition_responses[0].error_message.len > 0);
    b.wall -= 2002;
    CHECK_INT(produce_acks("t", -1, &out), FERRY_KAFKA_INVALID_TIMESTAMP);
    CHECK_INT(offset_at("t", -1), 1);
    end();
}

/* flush.messages=1 of one topic, altered while it is in use, holds for it and for no other. */
static void a_topic_may_ask_for_its_own_flush(void)
{
    static const char *const flush[] = {"flush.messages", "1", NULL};
    struct ferry_produce_response out;
    begin(NULL, NULL);
    CHECK_INT(create("safe", 1, flush), 0);
    CHECK_INT(create("fast", 1, NULL), 0);
    b.hold_syncs = true;
    CHECK_INT(produce_acks("fast", -1, &out), 0);
    CHECK_INT(produce_acks("safe", 1, &out), -1000); /* not yet */
    CHECK_INT(offset_at("fast", -1), -1000);         /* the answer stands behind it */
    b.hold_syncs = false;
    bb_release_syncs(&b);
    CHECK(bb_take(&b, c, 0, 9, NULL, &out));
    CHECK_INT(out.responses[0].partition_responses[0].error_code, 0);
    bb_kill(&b, true);
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(offset_at("safe", -1), 1);
    end();
}

/* ---- limits of a fetch ---- */

static int64_t fetched[2];

static void fetch_two(int32_t max_bytes, int32_t partition_max)
{
    struct ferry_fetch_request in;
    struct ferry_fetch_request_topic t = {.topic = FERRY_STR("t"), .partitions_count = 2};
    struct ferry_fetch_request_partition p[2];
    struct ferry_fetch_response out;
    ferry_fetch_request_init(&in);
    for (int i = 0; i < 2; i++) {
        ferry_fetch_request_partition_init(&p[i]);
        p[i].partition = i;
        p[i].partition_max_bytes = partition_max;
    }
    t.partitions = p;
    in.topics = &t;
    in.topics_count = 1;
    in.max_bytes = max_bytes;
    in.min_bytes = 1;
    in.session_epoch = -1;
    fetched[0] = fetched[1] = -1;
    CHECK(bb_call(&b, c, 1, 11, &in, &out));
    for (int i = 0; i < 2; i++)
        fetched[i] = (int64_t)out.responses[0].partitions[i].records.len;
}

static void the_first_batch_is_whole_whatever_the_limits(void)
{
    begin(NULL, NULL);
    CHECK_INT(create("t", 2, NULL), 0);
    for (int i = 0; i < 6; i++)
        CHECK_INT(bb_produce(&b, c, "t", i % 2, 10, 0, NULL), 0);
    fetch_two(1 << 20, 1 << 20);
    int64_t all = fetched[0], one = all / 3;
    CHECK(all > 0 && all % 3 == 0 && fetched[1] == all);
    fetch_two(1, 1);
    CHECK_INT(fetched[0], one);
    CHECK_INT(fetched[1], 0);
    fetch_two(1 << 20, 1); /* the limit of a partition binds all but the first */
    CHECK_INT(fetched[0], one);
    CHECK(fetched[1] <= 1);
    fetch_two((int32_t)(all + one), 1 << 20); /* the second has what is left */
    CHECK_INT(fetched[0], all);
    CHECK_INT(fetched[1], one);
    fetch_two(0, 0);
    CHECK_INT(fetched[0], one);
    end();
    begin("fetch.max.bytes", "1024"); /* the broker's own limit is lower than the client's */
    CHECK_INT(create("t", 2, NULL), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(bb_produce(&b, c, "t", i % 2, 10, 0, NULL), 0);
    fetch_two(1 << 20, 1 << 20);
    CHECK(fetched[0] > 0 && fetched[0] <= 1024 && fetched[1] == 0);
    end();
}

/* ---- sessions by topic id ---- */

static bool session_fetch(int version, int32_t session, int32_t epoch,
                          const struct ferry_uuid *topics, int count,
                          struct ferry_fetch_response *out)
{
    struct ferry_fetch_request in;
    struct ferry_fetch_request_topic t[2] = {{.topic = FERRY_STR("t")}, {.topic = FERRY_STR("u")}};
    struct ferry_fetch_request_partition p;
    ferry_fetch_request_init(&in);
    ferry_fetch_request_partition_init(&p);
    p.partition_max_bytes = in.max_bytes = 1 << 20;
    for (int i = 0; i < count; i++) {
        t[i].topic_id = topics[i];
        t[i].partitions = &p;
        t[i].partitions_count = 1;
    }
    in.topics = t;
    in.topics_count = count;
    in.session_id = session;
    in.session_epoch = epoch;
    return bb_call(&b, c, 1, version, &in, out);
}

/* A session speaks of names or of ids, and a topic that was made again under its name is not the one it began with. */
static void a_session_keeps_to_its_topics(void)
{
    struct ferry_fetch_response out;
    struct ferry_delete_topics_request drop;
    struct ferry_delete_topics_response dropped;
    struct ferry_str name = FERRY_STR("u");
    begin(NULL, NULL);
    CHECK_INT(create("t", 1, NULL), 0);
    CHECK_INT(create("u", 1, NULL), 0);
    struct ferry_uuid ids[2] = {bb_topic_id(&b, c, "t"), bb_topic_id(&b, c, "u")};
    CHECK(session_fetch(12, 0, 0, ids, 2, &out));
    int32_t by_name = out.session_id;
    CHECK(by_name && session_fetch(13, by_name, 1, ids, 0, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_FETCH_SESSION_TOPIC_ID_ERROR);
    CHECK(session_fetch(17, 0, 0, ids, 2, &out));
    int32_t by_id = out.session_id;
    CHECK(by_id && session_fetch(12, by_id, 1, ids, 0, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_FETCH_SESSION_TOPIC_ID_ERROR);
    CHECK(session_fetch(17, by_id, 1, ids, 0, &out)); /* the session stands */
    CHECK_INT(out.error_code, 0);
    CHECK_INT(out.responses_count, 0);
    ferry_delete_topics_request_init(&drop);
    drop.topic_names = &name;
    drop.topic_names_count = 1;
    CHECK(bb_call(&b, c, 20, 4, &drop, &dropped));
    bb_advance(&b, 1000);
    CHECK_INT(create("u", 1, NULL), 0);
    CHECK_INT(bb_produce(&b, c, "u", 0, 1, 0, NULL), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 2, 0, NULL), 0);
    CHECK(session_fetch(17, by_id, 2, ids, 0, &out));
    CHECK_INT(out.error_code, 0);
    CHECK_INT(out.responses_count, 2);
    for (int i = 0; i < 2; i++) {
        bool lost = ferry_uuid_eq(&out.responses[i].topic_id, &ids[1]);
        CHECK_INT(out.responses[i].partitions[0].error_code,
                  lost ? FERRY_KAFKA_UNKNOWN_TOPIC_ID : 0);
        CHECK((out.responses[i].partitions[0].records.len > 0) == !lost);
    }
    end();
}

/* ---- limits of connections ---- */

static void connections_and_requests_are_bounded(void)
{
    begin("max.connections.per.ip", "3");
    size_t second = bb_connect(&b), third = bb_connect(&b), fourth = bb_connect(&b);
    CHECK(!b.conns[second].refused && !b.conns[third].refused && b.conns[fourth].refused);
    bb_disconnect(&b, second);
    CHECK(!b.conns[bb_connect(&b)].refused);
    end();
    begin("socket.request.max.bytes", "2000");
    CHECK_INT(create("t", 1, NULL), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 10, 0, NULL), 0);
    bb_produce_begin(&b, c, "t", 0, 100, 0, -1);
    bb_run(&b);
    CHECK(b.conns[c].closed);
    c = bb_connect(&b);
    CHECK_INT(offset_at("t", -1), 10);
    end();
}

/* ---- what is not there yet ---- */

/* Other codes would be retried for ever. */
static void transactions_are_refused_for_good(void)
{
    begin(NULL, NULL);
    for (int v = 1; v <= 6; v++) {
        struct ferry_find_coordinator_request in;
        struct ferry_find_coordinator_response out;
        struct ferry_str key = FERRY_STR("tx");
        ferry_find_coordinator_request_init(&in);
        in.key_type = 1;
        if (v < 4) {
            in.key = key;
        } else {
            in.coordinator_keys = &key;
            in.coordinator_keys_count = 1;
        }
        CHECK(bb_call(&b, c, 10, v, &in, &out));
        CHECK_INT(v < 4 ? out.error_code : out.coordinators[0].error_code,
                  FERRY_KAFKA_INVALID_REQUEST);
    }
    struct ferry_init_producer_id_request in;
    struct ferry_init_producer_id_response out;
    ferry_init_producer_id_request_init(&in);
    in.transactional_id = FERRY_STR("tx");
    for (int v = 0; v <= 5; v++) {
        CHECK(bb_call(&b, c, 22, v, &in, &out));
        CHECK_INT(out.error_code, FERRY_KAFKA_INVALID_REQUEST);
    }
    end();
}

int main(void)
{
    TAP_RUN(topics_come_by_themselves_where_that_is_allowed);
    TAP_RUN(topics_go_where_that_is_allowed);
    TAP_RUN(a_topic_is_described_as_kafka_does);
    TAP_RUN(compacted_topics_are_never_cut);
    TAP_RUN(what_a_client_may_not_write_is_refused);
    TAP_RUN(min_insync_replicas_counts_the_replicas_there_are);
    TAP_RUN(append_time_is_told);
    TAP_RUN(times_far_from_now_are_refused);
    TAP_RUN(a_topic_may_ask_for_its_own_flush);
    TAP_RUN(the_first_batch_is_whole_whatever_the_limits);
    TAP_RUN(a_session_keeps_to_its_topics);
    TAP_RUN(connections_and_requests_are_bounded);
    TAP_RUN(transactions_are_refused_for_good);
    return tap_done();
}
