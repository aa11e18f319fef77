/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's engine, driven by events: connections, requests, records, topics, restarts. */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "base/mem.h"
#include "base/prng.h"
#include "ferry/kafka_errors.h"
#include "record/batch.h"
#include "refbroker/handler/request.h"
#include "tests/lib/tap.h"
#include "wire/frame.h"

#include <stdio.h>

static struct bb b;

static void begin(void)
{
    bb_init(&b, 7);
    bb_start(&b);
}

static void end(void)
{
    bb_free(&b);
}

/* ---- every API ---- */

/* Requests that name nothing but are well formed: each must get an answer that decodes, in every version served. */
static void every_version_is_answered(void)
{
    begin();
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    struct ferry_api_versions_request in;
    struct ferry_api_versions_response out;
    ferry_api_versions_request_init(&in);
    in.client_software_name = in.client_software_version = FERRY_STR("a.b-1");
    CHECK(bb_call(&b, c, 18, 4, &in, &out));
    CHECK(out.api_keys_count > 30);
    CHECK_INT(out.finalized_features_count, 1);
    int answered = 0;
    for (size_t i = 0; i < broker_api_count; i++) {
        const struct broker_api *a = &broker_apis[i];
        const struct ferry_api *wire = ferry_api_find(a->key);
        for (int v = a->min; v <= a->max; v++) {
            const struct ferry_msg *msg = ferry_api_request(wire);
            void *request = ferry_arena_alloc(&b.arena, msg->size);
            void *response = ferry_arena_alloc(&b.arena, ferry_api_response(wire)->size);
            ferry_msg_init(msg, request);
            if (a->key == 0)
                ((struct ferry_produce_request *)request)->acks = 1; /* 0 would not be answered */
            if (a->key == 18)
                *(struct ferry_api_versions_request *)request = in;
            size_t one = bb_connect(&b);
            CHECK(bb_call(&b, one, a->key, v, request, response));
            CHECK(!b.conns[one].closed);
            bb_disconnect(&b, one);
            answered++;
        }
        bb_reset(&b);
        for (size_t k = 1; k < b.conn_count; k++) { /* places for the next */
            ferry_free(b.conns[k].in);
            ferry_free(b.conns[k].out);
        }
        b.conn_count = 1;
    }
    CHECK(answered > 150);
    CHECK_INT(b.errors, 0);
    end();
}

static void unknown_requests_close(void)
{
    begin();
    uint8_t frame[14];
    struct {
        int key, version;
    } const bad[] = {{999, 0}, {4, 0}, {0, 2}, {1, 3}, {3, 14}, {24, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t c = bb_connect(&b);
        ferry_put32(frame, 10);
        ferry_put16(frame + 4, (uint16_t)bad[i].key);
        ferry_put16(frame + 6, (uint16_t)bad[i].version);
        ferry_put32(frame + 8, 1);
        ferry_put16(frame + 12, 0xffff);
        bb_bytes(&b, c, frame, sizeof frame);
        bb_run(&b);
        CHECK(b.conns[c].closed);
    }
    size_t c = bb_connect(&b);
    struct ferry_api_versions_response out;
    ferry_put16(frame + 4, 18);
    ferry_put16(frame + 6, 99);
    bb_bytes(&b, c, frame, sizeof frame);
    bb_run(&b);
    CHECK(bb_take(&b, c, 18, 0, NULL, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_UNSUPPORTED_VERSION);
    CHECK(out.api_keys_count > 30);
    end();
}

static void versions_are_shown_as_old_clients_need_them(void)
{
    begin();
    size_t c = bb_connect(&b);
    struct ferry_api_versions_request in;
    struct ferry_api_versions_response out;
    ferry_api_versions_request_init(&in);
    CHECK(bb_call(&b, c, 18, 0, &in, &out));
    for (int32_t i = 0; i < out.api_keys_count; i++) {
        if (out.api_keys[i].api_key == 0) {
            CHECK_INT(out.api_keys[i].min_version, 0);
            CHECK_INT(out.api_keys[i].max_version, 13);
        }
        CHECK(out.api_keys[i].api_key != 24 &&
              out.api_keys[i].api_key != 17); /* what does not work is not shown */
    }
    in.client_software_name = FERRY_STR("-bad");
    in.client_software_version = FERRY_STR("1");
    CHECK(bb_call(&b, c, 18, 3, &in, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_INVALID_REQUEST);
    in.client_software_name = FERRY_STR("good");
    in.cluster_id = FERRY_STR("another");
    CHECK(bb_call(&b, c, 18, 5, &in, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_REBOOTSTRAP_REQUIRED);
    end();
}

/* ---- produce and fetch ---- */

/* The first offset and number of records in what was fetched. */
static int count_records(struct ferry_bytes set, int64_t *first)
{
    struct ferry_batch_set s;
    struct ferry_batch batch;
    int n = 0;
    ferry_batch_set_init(&s, set);
    while (ferry_batch_set_next(&s, &batch, NULL) > 0) {
        if (!n && first)
            *first = batch.base_offset;
        n += batch.count;
        if (ferry_batch_check_crc(&batch, NULL))
            return -1;
    }
    return n;
}

static int fetch_now(size_t c, const char *topic, int64_t offset, int *error)
{
    struct ferry_fetch_response out;
    bb_fetch_begin(&b, c, topic, offset, 1, 0);
    bb_run(&b);
    if (!bb_take(&b, c, 1, 12, NULL, &out) || out.responses_count != 1)
        return -1000;
    if (error)
        *error = out.responses[0].partitions[0].error_code;
    return count_records(out.responses[0].partitions[0].records, NULL);
}

static void records_come_back(void)
{
    begin();
    size_t c = bb_connect(&b);
    int64_t at = -1;
    int error = 0;
    CHECK_INT(bb_create(&b, c, "t", 2), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 10, 0, &at), 0);
    CHECK_INT(at, 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 5, 10, &at), 0);
    CHECK_INT(at, 10);
    CHECK_INT(fetch_now(c, "t", 0, &error), 15);
    CHECK_INT(fetch_now(c, "t", 12, &error), 5); /* the whole batch that holds the offset */
    CHECK_INT(error, 0);
    CHECK_INT(fetch_now(c, "t", 15, &error), 0);
    CHECK_INT(error, 0);
    CHECK_INT(fetch_now(c, "t", 16, &error), 0);
    CHECK_INT(error, FERRY_KAFKA_OFFSET_OUT_OF_RANGE);
    CHECK_INT(fetch_now(c, "nowhere", 0, &error), 0);
    CHECK_INT(error, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(bb_produce(&b, c, "nowhere", 0, 1, 0, NULL), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(bb_produce(&b, c, "t", 2, 1, 0, NULL), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    end();
}

static void acks_0_is_not_answered_and_1_is(void)
{
    begin();
    size_t c = bb_connect(&b);
    struct ferry_produce_response out;
    int32_t id;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    bb_produce_begin(&b, c, "t", 0, 1, 0, 0);
    int32_t second = bb_produce_begin(&b, c, "t", 0, 1, 1, 1);
    bb_run(&b);
    CHECK(bb_take(&b, c, 0, 9, &id, &out));
    CHECK_INT(id, second);
    CHECK_INT(out.responses[0].partition_responses[0].base_offset, 1);
    bb_produce_begin(&b, c, "t", 0, 1, 0, 7);
    bb_run(&b);
    CHECK(bb_take(&b, c, 0, 9, &id, &out));
    CHECK_INT(out.responses[0].partition_responses[0].error_code,
              FERRY_KAFKA_INVALID_REQUIRED_ACKS);
    bb_produce_begin(&b, c, "nowhere", 0, 1, 0, 0); /* an error that cannot be told closes */
    bb_run(&b);
    CHECK(b.conns[c].closed);
    end();
}

static void bad_batches_are_refused(void)
{
    begin();
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    struct ferry_produce_request in;
    struct ferry_produce_request_topic_data t;
    struct ferry_produce_request_partition_data p;
    struct ferry_produce_response out;
    ferry_produce_request_init(&in);
    ferry_produce_request_topic_data_init(&t);
    ferry_produce_request_partition_data_init(&p);
    t.name = FERRY_STR("t");
    t.partition_data = &p;
    in.topic_data = &t;
    t.partition_data_count = in.topic_data_count = 1;
    in.acks = -1;
    for (size_t cut = 0; cut < 4; cut++) {
        struct ferry_slab *s = bb_batch(3, 0, 0, 0);
        p.records = (struct ferry_bytes){s->data, s->len};
        if (cut == 0)
            s->data[s->len - 1] ^= 1; /* the CRC does not match */
        else if (cut == 1)
            p.records.len--; /* torn */
        else if (cut == 2)
            p.records.len = 0;
        else
            ferry_put32(s->data + 57, 4),
                ferry_put32(s->data + 23, 3); /* a count that is not there */
        CHECK(bb_call(&b, c, 0, 9, &in, &out));
        CHECK(out.responses[0].partition_responses[0].error_code != 0);
        CHECK_INT(out.responses[0].partition_responses[0].base_offset, -1);
        ferry_slab_unref(s);
    }
    t.name = FERRY_STR("__consumer_offsets");
    CHECK_INT(fetch_now(c, "t", 0, NULL), 0);
    CHECK(!b.conns[c].closed);
    end();
}

static void an_idempotent_batch_sent_twice_is_there_once(void)
{
    begin();
    size_t c = bb_connect(&b);
    struct ferry_init_producer_id_request ask;
    struct ferry_init_producer_id_response id;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    ferry_init_producer_id_request_init(&ask);
    ask.transactional_id = (struct ferry_str){0};
    CHECK(bb_call(&b, c, 22, 4, &ask, &id));
    CHECK_INT(id.error_code, 0);
    CHECK_INT(id.producer_epoch, 0);
    struct ferry_slab *s = bb_batch(4, 0, id.producer_id ? id.producer_id : 1, 0);
    struct ferry_produce_request in;
    struct ferry_produce_request_topic_data t;
    struct ferry_produce_request_partition_data p;
    struct ferry_produce_response out;
    ferry_produce_request_init(&in);
    ferry_produce_request_topic_data_init(&t);
    ferry_produce_request_partition_data_init(&p);
    t.name = FERRY_STR("t");
    t.partition_data = &p;
    in.topic_data = &t;
    t.partition_data_count = in.topic_data_count = 1;
    in.acks = -1;
    p.records = (struct ferry_bytes){s->data, s->len};
    for (int i = 0; i < 3; i++) {
        CHECK(bb_call(&b, c, 0, 9, &in, &out));
        CHECK_INT(out.responses[0].partition_responses[0].error_code, 0);
        CHECK_INT(out.responses[0].partition_responses[0].base_offset, 0);
    }
    CHECK_INT(fetch_now(c, "t", 0, NULL), 4);
    ferry_slab_unref(s);
    ask.transactional_id = FERRY_STR("x");
    CHECK(bb_call(&b, c, 22, 4, &ask, &id));
    CHECK_INT(id.error_code, FERRY_KAFKA_INVALID_REQUEST);
    CHECK_INT(id.producer_id, -1);
    end();
}

static void producer_ids_never_repeat(void)
{
    begin();
    struct ferry_init_producer_id_request ask;
    struct ferry_init_producer_id_response id;
    int64_t last = -1;
    ferry_init_producer_id_request_init(&ask);
    ask.transactional_id = (struct ferry_str){0};
    for (int round = 0; round < 3; round++) {
        size_t c = bb_connect(&b);
        for (int i = 0; i < 1100; i++) { /* more than a block */
            CHECK(bb_call(&b, c, 22, 4, &ask, &id));
            CHECK(id.error_code == 0 && id.producer_id > last);
            last = id.producer_id;
        }
        bb_reset(&b);
        bb_kill(&b, round % 2);
        bb_start(&b);
    }
    end();
}

static void a_fetch_waits_for_bytes_or_time(void)
{
    begin();
    size_t c = bb_connect(&b), p = bb_connect(&b);
    struct ferry_fetch_response out;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    bb_fetch_begin(&b, c, "t", 0, 1, 500);
    bb_advance(&b, 499);
    CHECK(!bb_take(&b, c, 1, 12, NULL, &out));
    bb_advance(&b, 1);
    CHECK(bb_take(&b, c, 1, 12, NULL, &out)); /* the wait is over: empty */
    CHECK_INT(out.responses[0].partitions[0].records.len, 0);

    bb_fetch_begin(&b, c, "t", 0, 1, 500);
    bb_advance(&b, 100);
    CHECK_INT(bb_produce(&b, p, "t", 0, 3, 0, NULL), 0);
    CHECK(bb_take(&b, c, 1, 12, NULL, &out)); /* at once */
    CHECK_INT(count_records(out.responses[0].partitions[0].records, NULL), 3);

    size_t one = out.responses[0].partitions[0].records.len;
    bb_fetch_begin(&b, c, "t", 0, (int32_t)(2 * one), 500); /* more than is there */
    bb_advance(&b, 100);
    CHECK(!bb_take(&b, c, 1, 12, NULL, &out));
    CHECK_INT(bb_produce(&b, p, "t", 0, 3, 3, NULL), 0);
    CHECK(bb_take(&b, c, 1, 12, NULL, &out));
    CHECK_INT(count_records(out.responses[0].partitions[0].records, NULL), 6);

    bb_fetch_begin(&b, c, "t", 6, 1, 60000); /* who hangs up leaves nothing behind */
    bb_run(&b);
    bb_disconnect(&b, c);
    CHECK_INT(bb_produce(&b, p, "t", 0, 1, 6, NULL), 0);
    end();
}

static void answers_keep_the_order_of_requests(void)
{
    begin();
    size_t c = bb_connect(&b), p = bb_connect(&b);
    struct ferry_fetch_response fetched;
    struct ferry_metadata_request ask;
    struct ferry_metadata_response metadata;
    int32_t id;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    ferry_metadata_request_init(&ask);
    ask.topics_count = -1;
    int32_t first = bb_fetch_begin(&b, c, "t", 0, 1, 1000);
    int32_t second = bb_send(&b, c, 3, 9, &ask);
    bb_advance(&b, 10);
    CHECK_INT(b.conns[c].out_len - b.conns[c].out_at,
              0); /* a parked fetch holds back what is behind it */
    CHECK_INT(bb_produce(&b, p, "t", 0, 1, 0, NULL), 0);
    CHECK(bb_take(&b, c, 1, 12, &id, &fetched));
    CHECK_INT(id, first);
    CHECK(bb_take(&b, c, 3, 9, &id, &metadata));
    CHECK_INT(id, second);
    CHECK_INT(metadata.topics_count, 1);
    CHECK_INT(metadata.brokers_count, 1);
    CHECK(metadata.cluster_id.len == 22);
    CHECK_INT(metadata.topics[0].topic_authorized_operations, INT32_MIN);
    end();
}

static void with_flush_1_nobody_sees_what_is_not_on_disk(void)
{
    bb_init(&b, 9);
    bb_set(&b, "log.flush.interval.messages", "1");
    bb_start(&b);
    size_t c = bb_connect(&b), p = bb_connect(&b);
    struct ferry_produce_response out;
    int error;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    b.hold_syncs = true;
    for (int i = 0; i < 5; i++) /* five in flight, on one connection */
        bb_produce_begin(&b, p, "t", 0, 2, 2 * i, i % 2 ? 1 : -1);
    bb_run(&b);
    CHECK(!bb_take(&b, p, 0, 9, NULL, &out));
    CHECK_INT(fetch_now(c, "t", 0, &error), 0);
    CHECK_INT(error, 0);
    b.hold_syncs = false;
    bb_release_syncs(&b);
    for (int i = 0; i < 5; i++) {
        CHECK(bb_take(&b, p, 0, 9, NULL, &out));
        CHECK_INT(out.responses[0].partition_responses[0].base_offset, 2 * i);
    }
    CHECK_INT(fetch_now(c, "t", 0, &error), 10);
    bb_kill(&b, true); /* power loss */
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(fetch_now(c, "t", 0, &error), 10);
    /* What was found after a crash is made durable before it is served, not some time later. */
    CHECK_INT(bb_produce(&b, c, "t", 0, 2, 10, NULL), 0);
    bb_kill(&b, false);
    b.hold_syncs = true;
    b.hold_syncs_of = "t-0/00000000000000000000.log";
    bb_start(&b);
    CHECK_INT(b.notices[BROKER_READY], 0);
    bb_release_syncs(&b);
    CHECK_INT(b.notices[BROKER_READY], 1);
    c = bb_connect(&b);
    CHECK_INT(fetch_now(c, "t", 0, &error), 12);
    b.hold_syncs_of = NULL;
    b.hold_syncs = false;
    end();
}

/* ---- sessions ---- */

struct session_fetch {
    struct ferry_fetch_request in;
    struct ferry_fetch_request_topic topic;
    struct ferry_fetch_request_partition parts[3];
    struct ferry_fetch_request_forgotten_topic forgotten;
};

static bool session_call(struct session_fetch *f, size_t c, int32_t id, int32_t epoch,
                         int32_t parts, struct ferry_fetch_response *out)
{
    f->in.session_id = id;
    f->in.session_epoch = epoch;
    f->topic.partitions_count = parts;
    f->in.topics_count = parts > 0;
    return bb_call(&b, c, 1, 12, &f->in, out);
}

static void fetch_sessions_speak_of_changes_only(void)
{
    begin();
    size_t c = bb_connect(&b);
    struct session_fetch f = {0};
    struct ferry_fetch_response out;
    CHECK_INT(bb_create(&b, c, "t", 3), 0);
    ferry_fetch_request_init(&f.in);
    f.in.topics = &f.topic;
    f.in.max_bytes = 1 << 20;
    f.topic.topic = FERRY_STR("t");
    f.topic.partitions = f.parts;
    for (int i = 0; i < 3; i++) {
        ferry_fetch_request_partition_init(&f.parts[i]);
        f.parts[i].partition = i;
        f.parts[i].partition_max_bytes = 1 << 20;
    }
    CHECK(session_call(&f, c, 0, 0, 3, &out));
    CHECK_INT(out.error_code, 0);
    CHECK(out.session_id != 0);
    CHECK_INT(out.responses[0].partitions_count, 3); /* a full fetch hears of all */
    int32_t id = out.session_id;
    CHECK(session_call(&f, c, id, 1, 0, &out));
    CHECK_INT(out.session_id, id);
    CHECK_INT(out.responses_count, 0); /* nothing changed */
    CHECK_INT(bb_produce(&b, c, "t", 1, 2, 0, NULL), 0);
    CHECK(session_call(&f, c, id, 2, 0, &out));
    CHECK_INT(out.responses_count, 1);
    CHECK_INT(out.responses[0].partitions_count, 1);
    CHECK_INT(out.responses[0].partitions[0].partition_index, 1);
    CHECK(session_call(&f, c, id, 2, 0, &out)); /* the same epoch again */
    CHECK_INT(out.error_code, FERRY_KAFKA_INVALID_FETCH_SESSION_EPOCH);
    f.in.forgotten_topics_data = &f.forgotten;
    f.in.forgotten_topics_data_count = 1;
    int32_t one = 1;
    f.forgotten = (struct ferry_fetch_request_forgotten_topic){
        .topic = FERRY_STR("t"), .partitions = &one, .partitions_count = 1};
    CHECK(session_call(&f, c, id, 3, 0, &out));
    CHECK_INT(out.responses_count, 0);
    f.in.forgotten_topics_data_count = 0;
    f.parts[0].partition = 1;
    f.parts[0].fetch_offset = 2;
    CHECK(session_call(&f, c, id, 4, 1, &out)); /* back again, at the end */
    CHECK_INT(out.responses_count, 1);
    CHECK(session_call(&f, c, id, 5, 0, &out));
    CHECK_INT(out.responses_count, 0);
    CHECK(session_call(&f, c, id, -1, 0, &out)); /* closed */
    CHECK_INT(out.error_code, 0);
    CHECK_INT(out.session_id, 0);
    CHECK(session_call(&f, c, id, 6, 0, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    end();
}

static void sessions_are_bounded(void)
{
    bb_init(&b, 3);
    bb_set(&b, "max.incremental.fetch.session.cache.slots", "2");
    bb_start(&b);
    size_t c = bb_connect(&b);
    struct session_fetch f = {0};
    struct ferry_fetch_response out;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    ferry_fetch_request_init(&f.in);
    ferry_fetch_request_partition_init(&f.parts[0]);
    f.in.topics = &f.topic;
    f.topic.topic = FERRY_STR("t");
    f.topic.partitions = f.parts;
    for (int i = 0; i < 3; i++) {
        CHECK(session_call(&f, c, 0, 0, 1, &out));
        CHECK((out.session_id != 0) == (i < 2)); /* the third goes on without */
        CHECK_INT(out.responses_count, 1);
    }
    bb_advance(&b, 121000);
    CHECK(session_call(&f, c, 0, 0, 1, &out)); /* one that nobody used makes place */
    CHECK(out.session_id != 0);
    end();
}

/* ---- topics ---- */

static int create_with(size_t c, const char *topic, int32_t partitions, int factor, const char *key,
                       const char *value)
{
    struct ferry_create_topics_request in;
    struct ferry_create_topics_request_topic t;
    struct ferry_create_topics_request_config config = {ferry_str_of(key), ferry_str_of(value),
                                                        NULL};
    struct ferry_create_topics_response out;
    ferry_create_topics_request_init(&in);
    ferry_create_topics_request_topic_init(&t);
    t.name = ferry_str_of(topic);
    t.num_partitions = partitions;
    t.replication_factor = (int16_t)factor;
    t.configs = &config;
    t.configs_count = key != NULL;
    in.topics = &t;
    in.topics_count = 1;
    return bb_call(&b, c, 19, 7, &in, &out) ? out.topics[0].error_code : -1000;
}

static void topics_are_checked(void)
{
    begin();
    size_t c = bb_connect(&b);
    CHECK_INT(create_with(c, "good", -1, -1, NULL, NULL), 0);
    CHECK_INT(create_with(c, "good", 1, 1, NULL, NULL), FERRY_KAFKA_TOPIC_ALREADY_EXISTS);
    CHECK_INT(create_with(c, "a b", 1, 1, NULL, NULL), FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    CHECK_INT(create_with(c, "", 1, 1, NULL, NULL), FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    CHECK_INT(create_with(c, "..", 1, 1, NULL, NULL), FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    CHECK_INT(create_with(c, "n", 0, 1, NULL, NULL), FERRY_KAFKA_INVALID_PARTITIONS);
    CHECK_INT(create_with(c, "n", 1000000, 1, NULL, NULL), FERRY_KAFKA_POLICY_VIOLATION);
    CHECK_INT(create_with(c, "n", 1, 2, NULL, NULL), FERRY_KAFKA_INVALID_REPLICATION_FACTOR);
    CHECK_INT(create_with(c, "n", 1, 1, "no.such.key", "1"), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(create_with(c, "n", 1, 1, "segment.bytes", "1"), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(create_with(c, "n", 1, 1, "cleanup.policy", NULL), FERRY_KAFKA_INVALID_CONFIG);
    CHECK_INT(create_with(c, "d.t", 1, 1, "cleanup.policy", "compact,delete"), 0);
    CHECK_INT(create_with(c, "d_t", 1, 1, NULL, NULL),
              FERRY_KAFKA_INVALID_TOPIC_EXCEPTION); /* collides */
    CHECK_INT(b.errors, 0);
    end();
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

static struct ferry_uuid topic_id(size_t c, const char *topic)
{
    struct ferry_metadata_request in;
    struct ferry_metadata_request_topic t;
    struct ferry_metadata_response out;
    ferry_metadata_request_init(&in);
    ferry_metadata_request_topic_init(&t);
    t.name = ferry_str_of(topic);
    in.topics = &t;
    in.topics_count = 1;
    in.allow_auto_topic_creation = false;
    return bb_call(&b, c, 3, 12, &in, &out) && !out.topics[0].error_code ? out.topics[0].topic_id
                                                                         : (struct ferry_uuid){{0}};
}

static void a_topic_made_again_is_another(void)
{
    begin();
    size_t c = bb_connect(&b), p = bb_connect(&b);
    struct ferry_fetch_response out;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    struct ferry_uuid old = topic_id(c, "t");
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
    struct ferry_uuid fresh = topic_id(c, "t");
    CHECK(!ferry_uuid_is_zero(&fresh) && !ferry_uuid_eq(&old, &fresh));
    CHECK_INT(fetch_now(c, "t", 0, NULL), 0);
    bb_advance(&b, 120000); /* the old files go */
    bb_kill(&b, true);
    bb_start(&b);
    CHECK_INT(b.notices[BROKER_READY], 1);
    c = bb_connect(&b);
    struct ferry_uuid again = topic_id(c, "t");
    CHECK(ferry_uuid_eq(&again, &fresh));
    end();
}

static void metadata_makes_topics_if_allowed(void)
{
    begin();
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
    end();
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
    begin();
    size_t c = bb_connect(&b);
    CHECK_INT(create_with(c, "t", 2, 1, "retention.ms", "12345"), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 3, 0, NULL), 0);
    CHECK_INT(leader_epoch(c, "t"), 0);
    bb_stop(&b);
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(leader_epoch(c, "t"), 0); /* a clean stop keeps it */
    CHECK_INT(fetch_now(c, "t", 0, NULL), 3);
    bb_kill(&b, false);
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(leader_epoch(c, "t"), 1);
    CHECK_INT(fetch_now(c, "t", 0, NULL), 3);
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
    end();
}

/* KIP-951: who fetches with an old leader epoch is told the new one, and where the leader is. */
static void a_fenced_fetch_names_the_leader(void)
{
    begin();
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 3, 0, NULL), 0);
    bb_kill(&b, false);
    bb_start(&b);
    c = bb_connect(&b);
    struct ferry_uuid id = topic_id(c, "t");
    for (int v = 13; v <= 18; v++)
        for (int epoch = 0; epoch <= 2; epoch++) {
            struct ferry_fetch_request in;
            struct ferry_fetch_request_topic t = {.topic_id = id, .partitions_count = 1};
            struct ferry_fetch_request_partition p;
            struct ferry_fetch_response out;
            ferry_fetch_request_init(&in);
            ferry_fetch_request_partition_init(&p);
            p.current_leader_epoch = epoch;
            p.partition_max_bytes = in.max_bytes = 1 << 20;
            t.partitions = &p;
            in.topics = &t;
            in.topics_count = 1;
            CHECK(bb_call(&b, c, 1, v, &in, &out));
            const struct ferry_fetch_response_partition *got = &out.responses[0].partitions[0];
            CHECK_INT(got->error_code, epoch == 0   ? FERRY_KAFKA_FENCED_LEADER_EPOCH
                                       : epoch == 1 ? 0
                                                    : FERRY_KAFKA_UNKNOWN_LEADER_EPOCH);
            bool told = epoch == 0 && v >= 16;
            CHECK_INT(got->current_leader.leader_id, told ? 1 : -1);
            CHECK_INT(got->current_leader.leader_epoch, told ? 1 : -1);
            CHECK_INT(out.node_endpoints_count, told);
            CHECK(!told || (out.node_endpoints[0].node_id == 1 && out.node_endpoints[0].port > 0));
        }
    end();
}

static bool has_file(const char *path)
{
    return sim_disk_peek(b.disk, path).data != NULL;
}

static void strays_are_told_apart(void)
{
    begin();
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
    end();
}

static int code_of_produce(size_t c)
{
    return bb_produce(&b, c, "t", 0, 1, 0, NULL);
}

static void a_full_disk_is_answered_and_the_partition_lives(void)
{
    begin();
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    CHECK_INT(code_of_produce(c), 0);
    sim_disk_faults(b.disk)->no_space = 1000;
    CHECK_INT(code_of_produce(c), FERRY_KAFKA_KAFKA_STORAGE_ERROR);
    CHECK(bb_create(&b, c, "other", 1) != 0);
    CHECK_INT(fetch_now(c, "t", 0, NULL), 1);
    sim_disk_faults(b.disk)->no_space = 0;
    CHECK_INT(code_of_produce(c), 0);
    CHECK_INT(bb_create(&b, c, "other", 1), 0);
    CHECK_INT(fetch_now(c, "t", 0, NULL), 2);
    end();
}

static void a_failed_sync_takes_the_directory_offline(void)
{
    bb_init(&b, 12);
    bb_set(&b, "log.flush.interval.messages", "1");
    bb_start(&b);
    size_t c = bb_connect(&b);
    int error;
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    CHECK_INT(code_of_produce(c), 0);
    sim_disk_faults(b.disk)->sync_error = 1000;
    CHECK_INT(code_of_produce(c), FERRY_KAFKA_KAFKA_STORAGE_ERROR);
    sim_disk_faults(b.disk)->sync_error = 0;
    CHECK_INT(code_of_produce(c), FERRY_KAFKA_KAFKA_STORAGE_ERROR); /* never tried again */
    fetch_now(c, "t", 0, &error);
    CHECK_INT(error, FERRY_KAFKA_KAFKA_STORAGE_ERROR);
    CHECK(bb_create(&b, c, "other", 1) != 0);
    struct ferry_metadata_request in;
    struct ferry_metadata_response out;
    ferry_metadata_request_init(&in);
    in.topics_count = -1;
    CHECK(bb_call(&b, c, 3, 9, &in, &out));
    CHECK_INT(out.topics[0].partitions[0].leader_id, -1);
    bb_kill(&b, true);
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(fetch_now(c, "t", 0, &error), 1); /* what was acknowledged */
    CHECK_INT(error, 0);
    CHECK_INT(code_of_produce(c), 0);
    end();
}

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

/* Both are on their way before the first partition's log is open. */
static void a_topic_may_go_while_it_comes(void)
{
    begin();
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
    end();
}

/* One allocation of a step fails now and then: requests may fail, nothing else may. */
static void lost_memory_loses_nothing_acknowledged(void)
{
    int deaths = 0, acked_all = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        bb_init(&b, seed);
        bb_start(&b);
        size_t c = bb_connect(&b);
        CHECK_INT(bb_create(&b, c, "t", 1), 0);
        int64_t acked = -1;
        b.lose_memory = 60;
        for (int i = 0; i < 60 && !b.dead; i++) {
            struct ferry_produce_response out;
            char name[32];
            if (!b.conns[c].open) {
                c = bb_connect(&b);
                continue;
            }
            snprintf(name, sizeof name, "more-%d", i);
            bb_produce_begin(&b, c, "t", 0, 2, 2 * i, -1);
            bb_fetch_begin(&b, c, "t", 0, 1, 0);
            bb_run(&b);
            if (bb_take(&b, c, 0, 9, NULL, &out) &&
                !out.responses[0].partition_responses[0].error_code)
                acked = out.responses[0].partition_responses[0].base_offset + 1;
            b.conns[c].out_at = b.conns[c].out_len;
            if (i % 7 == 0 && b.conns[c].open && !b.dead)
                bb_create(&b, c, name, 1);
            b.conns[c].out_at = b.conns[c].out_len;
        }
        deaths += b.dead || b.notices[BROKER_FAILED];
        b.lose_memory = 0;
        bb_kill(&b, false);
        bb_start(&b);
        CHECK_INT(b.notices[BROKER_READY], 1);
        c = bb_connect(&b);
        int error = 0, there = fetch_now(c, "t", 0, &error);
        CHECK_INT(error, 0);
        CHECK(there >= acked + 1);
        acked_all += (int)acked + 1;
        bb_free(&b);
    }
    CHECK(acked_all > 500);
    CHECK(deaths < 30);
}

static void settings_are_altered_and_kept(void)
{
    begin();
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
    end();
}

static void a_foreign_directory_is_refused(void)
{
    begin();
    bb_stop(&b);
    bb_set(&b, "node.id", "9");
    bb_start(&b);
    CHECK_INT(b.notices[BROKER_FAILED], 1);
    CHECK(strstr(b.failure, "node.id") != NULL);
    end();
}

/* ---- bad peers ---- */

static void frames_arrive_in_any_pieces(void)
{
    begin();
    for (size_t chunk = 1; chunk < 100; chunk = chunk * 3 + 1) {
        size_t c = bb_connect(&b);
        b.conns[c].chunk = chunk;
        CHECK(bb_create(&b, c, "t", 1) == (chunk == 1 ? 0 : FERRY_KAFKA_TOPIC_ALREADY_EXISTS));
        CHECK_INT(bb_produce(&b, c, "t", 0, 200, 0, NULL), 0);
    }
    end();
}

static void large_frames_arrive_in_lent_memory(void)
{
    begin();
    size_t c = bb_connect(&b);
    struct broker_node_counts counts;
    CHECK_INT(create_with(c, "t", 1, 1, "max.message.bytes", "20000000"), 0);
    for (int i = 0; i < 3; i++) {
        b.conns[c].chunk = i == 1 ? 100000 : i == 2 ? 1000 : 0;
        CHECK_INT(bb_produce(&b, c, "t", 0, 100000, 0, NULL), 0);
    }
    broker_node_read_counts(b.node, &counts);
    CHECK_INT(counts.queued_bytes, 0); /* all memory is back */
    CHECK_INT(fetch_now(c, "t", 0, NULL), 100000);
    end();
}

static void claims_cost_nothing(void)
{
    begin();
    struct broker_node_counts counts;
    uint8_t head[1000] = {0};
    ferry_put32(head, 100000000);
    for (int i = 0; i < 100; i++)
        bb_bytes(&b, bb_connect(&b), head, sizeof head);
    bb_run(&b);
    broker_node_read_counts(b.node, &counts);
    CHECK(counts.queued_bytes < 100 * 4096);
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    bb_advance(&b, 30001); /* a request that does not go on closes its connection */
    broker_node_read_counts(b.node, &counts);
    CHECK_INT(counts.connections, 1);
    CHECK_INT(counts.queued_bytes, 0);
    end();
}

static void memory_for_requests_is_bounded(void)
{
    bb_init(&b, 5);
    bb_set(&b, "queued.max.request.bytes", "1000000");
    bb_start(&b);
    struct broker_node_counts counts;
    uint64_t most = 0;
    uint8_t *bytes = ferry_zalloc(3000000);
    size_t conns[20];
    for (int i = 0; i < 20; i++) {
        conns[i] = bb_connect(&b);
        uint8_t head[4];
        ferry_put32(head, 3000000);
        bb_bytes(&b, conns[i], head, 4);
    }
    bytes[1] = 3; /* Metadata 0 of all topics, with much behind it */
    for (int round = 0; round < 30; round++)
        for (int i = 0; i < 20; i++) {
            if (b.conns[conns[i]].open)
                bb_bytes(&b, conns[i], bytes, 100000);
            bb_run(&b);
            broker_node_read_counts(b.node, &counts);
            most = counts.queued_bytes > most ? counts.queued_bytes : most;
        }
    ferry_free(bytes);
    CHECK(most <= 2 * 1000000 + 3000000 + 70000 * 2);
    int through = 0; /* one after the other, each got its turn */
    for (int i = 0; i < 20; i++)
        through += b.conns[conns[i]].out_len > 0;
    CHECK_INT(through, 20);
    broker_node_read_counts(b.node, &counts);
    CHECK_INT(counts.queued_bytes, 0);
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    end();
}

static void a_slow_reader_is_not_read(void)
{
    begin();
    size_t c = bb_connect(&b), other = bb_connect(&b);
    struct broker_node_counts counts;
    CHECK_INT(create_with(c, "t", 1, 1, "max.message.bytes", "20000000"), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 100000, 0, NULL), 0);
    b.conns[c].slow = true;
    for (int i = 0; i < 200; i++)
        bb_fetch_begin(&b, c, "t", 0, 1, 0);
    bb_run(&b);
    broker_node_read_counts(b.node, &counts);
    CHECK(counts.fetches < 5); /* what it does not take is not made */
    CHECK(b.conns[c].paused);
    CHECK_INT(bb_produce(&b, other, "t", 0, 1, 0, NULL), 0);
    bb_drain(&b, c);
    struct ferry_fetch_response out;
    for (int i = 0; i < 200; i++) {
        CHECK(bb_take(&b, c, 1, 12, NULL, &out));
        bb_reset(&b);
    }
    end();
}

static void idle_connections_are_closed_and_numbers_bounded(void)
{
    bb_init(&b, 6);
    bb_set(&b, "max.connections", "5");
    bb_set(&b, "connections.max.idle.ms", "10000");
    bb_start(&b);
    size_t c[6];
    for (int i = 0; i < 6; i++)
        c[i] = bb_connect(&b);
    CHECK(b.conns[c[5]].refused);
    bb_advance(&b, 9000);
    CHECK_INT(bb_create(&b, c[0], "t", 1), 0);
    bb_advance(&b, 2000);
    CHECK(!b.conns[c[0]].closed);
    CHECK(b.conns[c[1]].closed && b.conns[c[4]].closed);
    CHECK(!b.conns[bb_connect(&b)].refused);
    end();
}

/* Requests with bytes changed: an answer or a closed connection, and the broker goes on. */
static void mutated_requests_do_no_harm(void)
{
    begin();
    struct ferry_prng prng;
    ferry_prng_seed(&prng, 11);
    size_t good = bb_connect(&b);
    CHECK_INT(bb_create(&b, good, "t", 2), 0);
    CHECK_INT(bb_produce(&b, good, "t", 0, 5, 0, NULL), 0);
    int rounds =
#ifdef FERRY_SANITIZED
        400;
#else
        4000;
#endif
    for (int i = 0; i < rounds; i++) {
        const struct broker_api *a = &broker_apis[ferry_prng_below(&prng, broker_api_count)];
        int v = (int)ferry_prng_between(&prng, a->min, a->max);
        struct ferry_writer w = {0};
        void *request =
            ferry_arena_alloc(&b.arena, ferry_api_request(ferry_api_find(a->key))->size);
        ferry_msg_init(ferry_api_request(ferry_api_find(a->key)), request);
        ferry_frame_request(&w, ferry_api_find(a->key), v, 1, FERRY_STR("x"), request, NULL);
        size_t c = bb_connect(&b);
        for (uint64_t k = ferry_prng_below(&prng, 6); k > 0; k--)
            w.data[4 + ferry_prng_below(&prng, w.len - 4)] = (uint8_t)ferry_prng_next(&prng);
        bb_bytes(&b, c, w.data, w.len);
        ferry_writer_free(&w);
        bb_run(&b);
        bb_disconnect(&b, c);
        ferry_free(b.conns[c].in);
        ferry_free(b.conns[c].out);
        b.conn_count--;
        bb_reset(&b);
    }
    bb_advance(&b, 1000);
    CHECK_INT(fetch_now(good, "t", 0, NULL), 5);
    CHECK_INT(b.errors, 0);
    end();
}

int main(void)
{
    TAP_RUN(every_version_is_answered);
    TAP_RUN(unknown_requests_close);
    TAP_RUN(versions_are_shown_as_old_clients_need_them);
    TAP_RUN(records_come_back);
    TAP_RUN(acks_0_is_not_answered_and_1_is);
    TAP_RUN(bad_batches_are_refused);
    TAP_RUN(an_idempotent_batch_sent_twice_is_there_once);
    TAP_RUN(producer_ids_never_repeat);
    TAP_RUN(a_fetch_waits_for_bytes_or_time);
    TAP_RUN(answers_keep_the_order_of_requests);
    TAP_RUN(with_flush_1_nobody_sees_what_is_not_on_disk);
    TAP_RUN(fetch_sessions_speak_of_changes_only);
    TAP_RUN(sessions_are_bounded);
    TAP_RUN(topics_are_checked);
    TAP_RUN(a_topic_made_again_is_another);
    TAP_RUN(metadata_makes_topics_if_allowed);
    TAP_RUN(an_unclean_start_opens_new_leader_epochs);
    TAP_RUN(a_fenced_fetch_names_the_leader);
    TAP_RUN(strays_are_told_apart);
    TAP_RUN(a_full_disk_is_answered_and_the_partition_lives);
    TAP_RUN(a_failed_sync_takes_the_directory_offline);
    TAP_RUN(settings_are_altered_and_kept);
    TAP_RUN(a_topic_may_go_while_it_comes);
    TAP_RUN(lost_memory_loses_nothing_acknowledged);
    TAP_RUN(a_foreign_directory_is_refused);
    TAP_RUN(frames_arrive_in_any_pieces);
    TAP_RUN(large_frames_arrive_in_lent_memory);
    TAP_RUN(claims_cost_nothing);
    TAP_RUN(memory_for_requests_is_bounded);
    TAP_RUN(a_slow_reader_is_not_read);
    TAP_RUN(idle_connections_are_closed_and_numbers_bounded);
    TAP_RUN(mutated_requests_do_no_harm);
    return tap_done();
}
