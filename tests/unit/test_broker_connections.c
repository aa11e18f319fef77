/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's connections, driven by events: requests answered or refused, frames in any form, peers that do harm. */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "base/mem.h"
#include "base/prng.h"
#include "ferry/kafka_errors.h"
#include "refbroker/handler/request.h"
#include "tests/lib/tap.h"
#include "wire/frame.h"

static struct bb b;

/* ---- every API ---- */

/* Requests that name nothing but are well formed: each must get an answer that decodes, in every version served. */
static void every_version_is_answered(void)
{
    bb_begin(&b);
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
    bb_free(&b);
}

static void unknown_requests_close(void)
{
    bb_begin(&b);
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
    bb_free(&b);
}

static void versions_are_shown_as_old_clients_need_them(void)
{
    bb_begin(&b);
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
    bb_free(&b);
}

static void answers_keep_the_order_of_requests(void)
{
    bb_begin(&b);
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
    bb_free(&b);
}

/* ---- bad peers ---- */

static void frames_arrive_in_any_pieces(void)
{
    bb_begin(&b);
    for (size_t chunk = 1; chunk < 100; chunk = chunk * 3 + 1) {
        size_t c = bb_connect(&b);
        b.conns[c].chunk = chunk;
        CHECK(bb_create(&b, c, "t", 1) == (chunk == 1 ? 0 : FERRY_KAFKA_TOPIC_ALREADY_EXISTS));
        CHECK_INT(bb_produce(&b, c, "t", 0, 200, 0, NULL), 0);
    }
    bb_free(&b);
}

static void large_frames_arrive_in_lent_memory(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b);
    struct broker_node_counts counts;
    CHECK_INT(bb_create_with(&b, c, "t", 1, 1, "max.message.bytes", "20000000"), 0);
    for (int i = 0; i < 3; i++) {
        b.conns[c].chunk = i == 1 ? 100000 : i == 2 ? 1000 : 0;
        CHECK_INT(bb_produce(&b, c, "t", 0, 100000, 0, NULL), 0);
    }
    broker_node_read_counts(b.node, &counts);
    CHECK_INT(counts.queued_bytes, 0); /* all memory is back */
    CHECK_INT(bb_fetch(&b, c, "t", 0, NULL), 100000);
    bb_free(&b);
}

static void claims_cost_nothing(void)
{
    bb_begin(&b);
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
    bb_free(&b);
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
    bb_free(&b);
}

static void a_slow_reader_is_not_read(void)
{
    bb_begin(&b);
    size_t c = bb_connect(&b), other = bb_connect(&b);
    struct broker_node_counts counts;
    CHECK_INT(bb_create_with(&b, c, "t", 1, 1, "max.message.bytes", "20000000"), 0);
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
    bb_free(&b);
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
    bb_free(&b);
}

/* Requests with bytes changed: an answer or a closed connection, and the broker goes on. */
static void mutated_requests_do_no_harm(void)
{
    bb_begin(&b);
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
    CHECK_INT(bb_fetch(&b, good, "t", 0, NULL), 5);
    CHECK_INT(b.errors, 0);
    bb_free(&b);
}

int main(void)
{
    TAP_RUN(every_version_is_answered);
    TAP_RUN(unknown_requests_close);
    TAP_RUN(versions_are_shown_as_old_clients_need_them);
    TAP_RUN(answers_keep_the_order_of_requests);
    TAP_RUN(frames_arrive_in_any_pieces);
    TAP_RUN(large_frames_arrive_in_lent_memory);
    TAP_RUN(claims_cost_nothing);
    TAP_RUN(memory_for_requests_is_bounded);
    TAP_RUN(a_slow_reader_is_not_read);
    TAP_RUN(idle_connections_are_closed_and_numbers_bounded);
    TAP_RUN(mutated_requests_do_no_harm);
    return tap_done();
}
