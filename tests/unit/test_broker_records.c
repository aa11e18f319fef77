/* SPDX-License-Identifier: BSD-2-Clause */
/* Records through the broker's engine: produced, fetched, and kept on disks and in memory that fail. */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "ferry/kafka_errors.h"
#include "tests/lib/tap.h"

#include <stdio.h>

static struct bb b;

/* ---- produce and fetch ---- */

static void records_come_back(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    int64_t at = -1;
    int error = 0;
    CHECK_INT(bb_create(&b, c, "t", 2), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 10, 0, &at), 0);
    CHECK_INT(at, 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 5, 10, &at), 0);
    CHECK_INT(at, 10);
    CHECK_INT(bb_fetch(&b, c, "t", 0, &error), 15);
    CHECK_INT(bb_fetch(&b, c, "t", 12, &error), 5); /* the whole batch that holds the offset */
    CHECK_INT(error, 0);
    CHECK_INT(bb_fetch(&b, c, "t", 15, &error), 0);
    CHECK_INT(error, 0);
    CHECK_INT(bb_fetch(&b, c, "t", 16, &error), 0);
    CHECK_INT(error, FERRY_KAFKA_OFFSET_OUT_OF_RANGE);
    CHECK_INT(bb_fetch(&b, c, "nowhere", 0, &error), 0);
    CHECK_INT(error, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(bb_produce(&b, c, "nowhere", 0, 1, 0, NULL), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_INT(bb_produce(&b, c, "t", 2, 1, 0, NULL), FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    bb_free(&b);
}

static void acks_0_is_not_answered_and_1_is(void)
{
    bb_begin(&b);
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
    bb_free(&b);
}

static void bad_batches_are_refused(void)
{
    bb_begin(&b);
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
    CHECK_INT(bb_fetch(&b, c, "t", 0, NULL), 0);
    CHECK(!b.conns[c].closed);
    bb_free(&b);
}

static void an_idempotent_batch_sent_twice_is_there_once(void)
{
    bb_begin(&b);
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
    CHECK_INT(bb_fetch(&b, c, "t", 0, NULL), 4);
    ferry_slab_unref(s);
    ask.transactional_id = FERRY_STR("x");
    CHECK(bb_call(&b, c, 22, 4, &ask, &id));
    CHECK_INT(id.error_code, FERRY_KAFKA_INVALID_REQUEST);
    CHECK_INT(id.producer_id, -1);
    bb_free(&b);
}

static void producer_ids_never_repeat(void)
{
    bb_begin(&b);
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
    bb_free(&b);
}

static void a_fetch_waits_for_bytes_or_time(void)
{
    bb_begin(&b);
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
    CHECK_INT(bb_count_records(out.responses[0].partitions[0].records), 3);

    size_t one = out.responses[0].partitions[0].records.len;
    bb_fetch_begin(&b, c, "t", 0, (int32_t)(2 * one), 500); /* more than is there */
    bb_advance(&b, 100);
    CHECK(!bb_take(&b, c, 1, 12, NULL, &out));
    CHECK_INT(bb_produce(&b, p, "t", 0, 3, 3, NULL), 0);
    CHECK(bb_take(&b, c, 1, 12, NULL, &out));
    CHECK_INT(bb_count_records(out.responses[0].partitions[0].records), 6);

    bb_fetch_begin(&b, c, "t", 6, 1, 60000); /* who hangs up leaves nothing behind */
    bb_run(&b);
    bb_disconnect(&b, c);
    CHECK_INT(bb_produce(&b, p, "t", 0, 1, 6, NULL), 0);
    bb_free(&b);
}

/* KIP-951: who fetches with an old leader epoch is told the new one, and where the leader is. */
static void a_fenced_fetch_names_the_leader(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    CHECK_INT(bb_produce(&b, c, "t", 0, 3, 0, NULL), 0);
    bb_kill(&b, false);
    bb_start(&b);
    c = bb_connect(&b);
    struct ferry_uuid id = bb_topic_id(&b, c, "t");
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
    bb_free(&b);
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
    bb_begin(&b);
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
    bb_free(&b);
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
    bb_free(&b);
}

/* ---- what was acknowledged is kept ---- */

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
    CHECK_INT(bb_fetch(&b, c, "t", 0, &error), 0);
    CHECK_INT(error, 0);
    b.hold_syncs = false;
    bb_release_syncs(&b);
    for (int i = 0; i < 5; i++) {
        CHECK(bb_take(&b, p, 0, 9, NULL, &out));
        CHECK_INT(out.responses[0].partition_responses[0].base_offset, 2 * i);
    }
    CHECK_INT(bb_fetch(&b, c, "t", 0, &error), 10);
    bb_kill(&b, true); /* power loss */
    bb_start(&b);
    c = bb_connect(&b);
    CHECK_INT(bb_fetch(&b, c, "t", 0, &error), 10);
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
    CHECK_INT(bb_fetch(&b, c, "t", 0, &error), 12);
    b.hold_syncs_of = NULL;
    b.hold_syncs = false;
    bb_free(&b);
}

static int code_of_produce(size_t c)
{
    return bb_produce(&b, c, "t", 0, 1, 0, NULL);
}

static void a_full_disk_is_answered_and_the_partition_lives(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    CHECK_INT(code_of_produce(c), 0);
    sim_disk_faults(b.disk)->no_space = 1000;
    CHECK_INT(code_of_produce(c), FERRY_KAFKA_KAFKA_STORAGE_ERROR);
    CHECK(bb_create(&b, c, "other", 1) != 0);
    CHECK_INT(bb_fetch(&b, c, "t", 0, NULL), 1);
    sim_disk_faults(b.disk)->no_space = 0;
    CHECK_INT(code_of_produce(c), 0);
    CHECK_INT(bb_create(&b, c, "other", 1), 0);
    CHECK_INT(bb_fetch(&b, c, "t", 0, NULL), 2);
    bb_free(&b);
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
    bb_fetch(&b, c, "t", 0, &error);
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
    CHECK_INT(bb_fetch(&b, c, "t", 0, &error), 1); /* what was acknowledged */
    CHECK_INT(error, 0);
    CHECK_INT(code_of_produce(c), 0);
    bb_free(&b);
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
        int error = 0, there = bb_fetch(&b, c, "t", 0, &error);
        CHECK_INT(error, 0);
        CHECK(there >= acked + 1);
        acked_all += (int)acked + 1;
        bb_free(&b);
    }
    CHECK(acked_all > 500);
    CHECK(deaths < 30);
}

int main(void)
{
    TAP_RUN(records_come_back);
    TAP_RUN(acks_0_is_not_answered_and_1_is);
    TAP_RUN(bad_batches_are_refused);
    TAP_RUN(an_idempotent_batch_sent_twice_is_there_once);
    TAP_RUN(producer_ids_never_repeat);
    TAP_RUN(a_fetch_waits_for_bytes_or_time);
    TAP_RUN(a_fenced_fetch_names_the_leader);
    TAP_RUN(fetch_sessions_speak_of_changes_only);
    TAP_RUN(sessions_are_bounded);
    TAP_RUN(with_flush_1_nobody_sees_what_is_not_on_disk);
    TAP_RUN(a_full_disk_is_answered_and_the_partition_lives);
    TAP_RUN(a_failed_sync_takes_the_directory_offline);
    TAP_RUN(lost_memory_loses_nothing_acknowledged);
    return tap_done();
}
