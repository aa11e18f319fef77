/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire module by hand-made examples: frames, versions, defaults, tags, errors. */
#include "config.h"

#include "base/mem.h"
#include "ferry/ferry.h"
#include "tests/lib/gen.h"
#include "tests/lib/tap.h"
#include "wire/errors.h"
#include "wire/frame.h"
#include "wire/value.h"

static void request_frames(void)
{
    struct ferry_writer w = {0};
    struct ferry_api_versions_request body;
    ferry_api_versions_request_init(&body);
    body.client_software_name = FERRY_STR("ferry");
    body.client_software_version = FERRY_STR("1");
    const struct ferry_api *api = ferry_api_find(18);
    CHECK(api != NULL);
    CHECK_INT(ferry_frame_request(&w, api, 3, 7, FERRY_STR("c"), &body, NULL), 0);
    static const uint8_t want[] = {0, 0,   0, 21, 0,   18,  0,   3,   0,   0, 0,   7, 0,
                                   1, 'c', 0, 6,  'f', 'e', 'r', 'r', 'y', 2, '1', 0};
    CHECK_INT(w.len, sizeof want);
    CHECK(memcmp(w.data, want, sizeof want) == 0);
    struct ferry_request_head head;
    CHECK_INT(ferry_frame_parse_request((struct ferry_bytes){w.data + 4, w.len - 4}, &head, NULL),
              0);
    CHECK(head.known && head.api == api);
    CHECK_INT(head.version, 3);
    CHECK_INT(head.correlation_id, 7);
    CHECK(ferry_str_eq(head.client_id, FERRY_STR("c")));
    struct ferry_arena arena = {.limit = 4096};
    struct ferry_api_versions_request back;
    CHECK_INT(ferry_msg_decode(ferry_api_request(api), 3, head.body, FERRY_DECODE_WHOLE, &arena,
                               &back, NULL),
              0);
    CHECK(ferry_msg_equal(&ferry_api_versions_request_msg, &body, &back));
    ferry_arena_free(&arena);
    ferry_writer_free(&w);
}

static struct ferry_bytes view(const struct ferry_writer *w)
{
    return (struct ferry_bytes){w->data, w->len};
}

static void response_frames(void)
{
    struct ferry_writer w = {0};
    struct ferry_api_versions_response body;
    ferry_api_versions_response_init(&body);
    body.error_code = FERRY_KAFKA_UNSUPPORTED_VERSION;
    const struct ferry_api *versions = ferry_api_find(FERRY_API_API_VERSIONS),
                           *fetch = ferry_api_find(FERRY_API_FETCH);
    /* Two frames in one writer; ApiVersions answers with header 0 whatever its version, Fetch 12 with header 1. */
    CHECK_INT(ferry_frame_response(&w, versions, 4, 9, &body, NULL), 0);
    size_t first = w.len;
    struct ferry_fetch_response fetched;
    ferry_fetch_response_init(&fetched);
    CHECK_INT(ferry_frame_response(&w, fetch, 12, 10, &fetched, NULL), 0);
    CHECK_INT(ferry_frame_length(w.data, w.len, 1000), first - 4);
    CHECK_INT(ferry_frame_length(w.data + first, w.len - first, 1000), w.len - first - 4);
    int32_t id;
    struct ferry_bytes in;
    CHECK_INT(ferry_frame_parse_response((struct ferry_bytes){w.data + 4, first - 4}, versions, 4,
                                         &id, &in, NULL),
              0);
    CHECK_INT(id, 9);
    CHECK_INT(in.len, first - 8);
    CHECK_INT(ferry_frame_parse_correlation((struct ferry_bytes){w.data + first + 4, 4}, &id), 0);
    CHECK_INT(id, 10);
    CHECK_INT(
        ferry_frame_parse_response((struct ferry_bytes){w.data + first + 4, w.len - first - 4},
                                   fetch, 12, &id, &in, NULL),
        0);
    CHECK_INT(in.len, w.len - first - 4 - 5);
    CHECK_INT(
        ferry_frame_parse_response((struct ferry_bytes){w.data, 3}, fetch, 12, &id, &in, NULL),
        FERRY_E_PROTOCOL);
    ferry_writer_free(&w);
}

static void frame_lengths(void)
{
    static const uint8_t big[] = {0x06, 0x40, 0, 0}, negative[] = {0xff, 0xff, 0xff, 0xfe};
    CHECK_INT(ferry_frame_length(big, 3, 1 << 30), -1);
    CHECK_INT(ferry_frame_length(big, 4, 1 << 30), 104857600);
    CHECK_INT(ferry_frame_length(big, 4, 104857599), FERRY_E_TOO_LARGE);
    CHECK_INT(ferry_frame_length(negative, 4, SIZE_MAX), FERRY_E_PROTOCOL);
}

static void unknown_requests(void)
{
    static const uint8_t far_version[] = {0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff, 1, 2, 3};
    static const uint8_t far_key[] = {1, 0, 0, 0, 0, 0, 0, 6};
    struct ferry_request_head head;
    CHECK_INT(ferry_frame_parse_request((struct ferry_bytes){far_version, sizeof far_version},
                                        &head, NULL),
              0);
    CHECK(!head.known && head.api && head.version == 99 && head.correlation_id == 5);
    CHECK_INT(ferry_frame_parse_request((struct ferry_bytes){far_key, sizeof far_key}, &head, NULL),
              0);
    CHECK(!head.known && !head.api && head.key == 256);
    struct ferry_error err;
    CHECK_INT(ferry_frame_parse_request((struct ferry_bytes){far_key, 7}, &head, &err),
              FERRY_E_PROTOCOL);
    /* A known version whose client id is longer than the frame. */
    static const uint8_t cut[] = {0, 18, 0, 0, 0, 0, 0, 5, 0, 9, 'a'};
    CHECK_INT(ferry_frame_parse_request((struct ferry_bytes){cut, sizeof cut}, &head, &err),
              FERRY_E_PROTOCOL);
    CHECK(strstr(err.text, "client_id") != NULL);
}

/* Client ids keep their int16 length in header 2, where all else is flexible. */
static void client_ids(void)
{
    struct ferry_writer w = {0};
    struct ferry_metadata_request body;
    ferry_metadata_request_init(&body);
    CHECK_INT(
        ferry_frame_request(&w, ferry_api_find(3), 12, 1, (struct ferry_str){NULL, 0}, &body, NULL),
        0);
    static const uint8_t want[] = {0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0};
    CHECK(w.len > 15 && memcmp(w.data + 4, want, sizeof want) == 0);
    struct ferry_request_head head;
    CHECK_INT(ferry_frame_parse_request((struct ferry_bytes){w.data + 4, w.len - 4}, &head, NULL),
              0);
    CHECK(head.known && head.client_id.data == NULL);
    ferry_writer_free(&w);
}

static void defaults(void)
{
    struct ferry_fetch_request m;
    memset(&m, 0x55, sizeof m);
    ferry_fetch_request_init(&m);
    CHECK_INT(m.replica_id, -1);
    CHECK_INT(m.max_bytes, INT32_MAX);
    CHECK_INT(m.replica_state.replica_epoch, -1);
    CHECK(m.cluster_id.data == NULL && m.rack_id.data != NULL && m.rack_id.len == 0);
    CHECK_INT(m.topics_count, 0);
    struct ferry_partition_change_record r;
    ferry_partition_change_record_init(&r);
    CHECK_INT(r.isr_count, -1);
    CHECK_INT(r.leader, -2);
    struct ferry_consumer_group_member_metadata_value v;
    ferry_consumer_group_member_metadata_value_init(&v);
    CHECK(v.classic_member_metadata && v.classic_member_metadata->supported_protocols_count == 0);
    /* Absent fields get their defaults when decoding too. */
    struct ferry_arena arena = {.limit = 4096};
    struct ferry_writer w = {0};
    CHECK_INT(ferry_msg_encode(&ferry_fetch_request_msg, 2, &m, &w, NULL), 0);
    memset(&m, 0x55, sizeof m);
    CHECK_INT(ferry_msg_decode(&ferry_fetch_request_msg, 2, view(&w), 1, &arena, &m, NULL), 0);
    CHECK_INT(m.max_bytes, INT32_MAX);
    CHECK_INT(m.session_epoch, -1);
    CHECK(m.unknown_tags == NULL);
    ferry_writer_free(&w);
    ferry_arena_free(&arena);
}

/* A value that a version cannot carry is an error, unless the schema calls the field ignorable. */
static void versions_that_cannot_carry(void)
{
    struct ferry_writer w = {0};
    struct ferry_error err;
    struct ferry_fetch_request m;
    ferry_fetch_request_init(&m);
    m.max_bytes = 5;            /* 3+, ignorable */
    m.rack_id = FERRY_STR("a"); /* 11+, ignorable */
    CHECK_INT(ferry_msg_encode(&ferry_fetch_request_msg, 0, &m, &w, &err), 0);
    m.forgotten_topics_data_count = 1; /* 7+, not ignorable */
    m.forgotten_topics_data =
        &(struct ferry_fetch_request_forgotten_topic){.topic = FERRY_STR("t")};
    CHECK_INT(ferry_msg_encode(&ferry_fetch_request_msg, 6, &m, &w, &err), FERRY_E_UNSUPPORTED);
    CHECK_STR(
        err.text,
        "FetchRequest version 6, field forgotten_topics_data: this version cannot carry its value");
    CHECK_INT(ferry_msg_encode(&ferry_fetch_request_msg, 19, &m, &w, &err), FERRY_E_UNSUPPORTED);
    struct ferry_join_group_request j;
    ferry_join_group_request_init(&j);
    j.group_instance_id = FERRY_STR("static"); /* 5+, not ignorable */
    CHECK_INT(ferry_msg_encode(&ferry_join_group_request_msg, 4, &j, &w, &err),
              FERRY_E_UNSUPPORTED);
    CHECK_INT(ferry_msg_encode(&ferry_join_group_request_msg, 5, &j, &w, &err), 0);
    ferry_writer_free(&w);
}

static void values_that_no_version_carries(void)
{
    struct ferry_writer w = {0};
    struct ferry_error err;
    struct ferry_heartbeat_request m;
    ferry_heartbeat_request_init(&m);
    m.group_id.data = NULL;
    CHECK_INT(ferry_msg_encode(&ferry_heartbeat_request_msg, 0, &m, &w, &err), FERRY_E_INVALID);
    CHECK(strstr(err.text, "group_id") && strstr(err.text, "null"));
    static char longest[INT16_MAX + 1];
    m.group_id = (struct ferry_str){longest, INT16_MAX};
    CHECK_INT(ferry_msg_encode(&ferry_heartbeat_request_msg, 4, &m, &w, &err), 0);
    m.group_id.len++;
    CHECK_INT(ferry_msg_encode(&ferry_heartbeat_request_msg, 0, &m, &w, &err), FERRY_E_INVALID);
    CHECK_INT(ferry_msg_encode(&ferry_heartbeat_request_msg, 4, &m, &w, &err), FERRY_E_INVALID);
    struct ferry_metadata_request q;
    ferry_metadata_request_init(&q);
    q.topics_count = -1; /* null from 1 on only */
    CHECK_INT(ferry_msg_encode(&ferry_metadata_request_msg, 0, &q, &w, &err), FERRY_E_INVALID);
    CHECK_INT(ferry_msg_encode(&ferry_metadata_request_msg, 1, &q, &w, &err), 0);
    /* A frame that cannot be finished leaves nothing behind. */
    size_t before = w.len;
    CHECK_INT(ferry_frame_request(&w, ferry_api_find(3), 0, 1, FERRY_STR("c"), &q, &err),
              FERRY_E_INVALID);
    CHECK_INT(w.len, before);
    CHECK_INT(w.err, 0);
    CHECK_INT(ferry_frame_request(&w, ferry_api_find(3), 1, 1,
                                  (struct ferry_str){longest, INT16_MAX + 1}, &q, &err),
              FERRY_E_INVALID);
    CHECK_INT(w.len, before);
    w.err = FERRY_E_NOMEM; /* an error from before is not forgotten */
    CHECK_INT(ferry_frame_request(&w, ferry_api_find(3), 1, 1, FERRY_STR("c"), &q, &err),
              FERRY_E_NOMEM);
    CHECK_INT(w.err, FERRY_E_NOMEM);
    ferry_writer_free(&w);
}

static void referenced_records(void)
{
    static const uint8_t a[] = "first records", b[] = "second";
    struct ferry_produce_request_partition_data parts[2];
    struct ferry_produce_request_topic_data topic;
    struct ferry_produce_request m;
    ferry_produce_request_init(&m);
    ferry_produce_request_topic_data_init(&topic);
    for (int i = 0; i < 2; i++) {
        ferry_produce_request_partition_data_init(&parts[i]);
        parts[i].index = i;
        parts[i].records = i ? (struct ferry_bytes){b, 6} : (struct ferry_bytes){a, 13};
    }
    topic.name = FERRY_STR("t");
    topic.partition_data = parts;
    topic.partition_data_count = 2;
    m.topic_data = &topic;
    m.topic_data_count = 1;
    for (int version = 0; version <= 12; version++) {
        struct ferry_writer copied = {0}, referenced = {.ref_records_min = 1};
        const struct ferry_api *api = ferry_api_find(0);
        CHECK_INT(ferry_frame_request(&copied, api, version, 1, FERRY_STR("c"), &m, NULL), 0);
        CHECK_INT(ferry_frame_request(&referenced, api, version, 1, FERRY_STR("c"), &m, NULL), 0);
        CHECK_INT(ferry_writer_size(&referenced), copied.len);
        CHECK_INT(copied.len - referenced.len, 19);
        struct ferry_bytes out[8];
        size_t n = ferry_writer_parts(&referenced, out, 8), at = 0;
        CHECK_INT(n, version >= 9 ? 5 : 4);
        CHECK(out[1].data == a && out[3].data == b);
        for (size_t i = 0; i < n; at += out[i++].len)
            CHECK(memcmp(copied.data + at, out[i].data, out[i].len) == 0);
        CHECK_INT(at, copied.len);
        CHECK_INT(ferry_writer_parts(&referenced, out, 2), n);
        ferry_writer_free(&copied);
        ferry_writer_free(&referenced);
    }
}

/* A tag with a reference inside it: its length is inserted in front, the reference moves along. */
static void lengths_inserted_later(void)
{
    static uint8_t big[300];
    struct ferry_writer w = {0};
    ferry_writer_u8(&w, 7);
    struct ferry_writer_mark outer = ferry_writer_mark(&w);
    ferry_writer_ref(&w, (struct ferry_bytes){big, 300});
    struct ferry_writer_mark inner = ferry_writer_mark(&w);
    ferry_writer_u16(&w, 0x0102);
    ferry_writer_insert_length(&w, inner);
    ferry_writer_insert_length(&w, outer);
    struct ferry_bytes out[4];
    CHECK_INT(ferry_writer_parts(&w, out, 4), 3);
    static const uint8_t head[] = {7, 0xaf, 0x02}, tail[] = {2, 1, 2}; /* 303 and 2 */
    CHECK(out[0].len == sizeof head && memcmp(out[0].data, head, sizeof head) == 0);
    CHECK(out[1].data == big && out[1].len == 300);
    CHECK(out[2].len == sizeof tail && memcmp(out[2].data, tail, sizeof tail) == 0);
    ferry_writer_cut(&w, outer);
    CHECK_INT(ferry_writer_size(&w), 1);
    ferry_writer_free(&w);
}

static int decode(const struct ferry_msg *msg, int version, const void *bytes, size_t n,
                  size_t limit, struct ferry_error *err)
{
    _Alignas(16) uint8_t value[512];
    struct ferry_arena arena = {.limit = limit};
    int e = ferry_msg_decode(msg, version, (struct ferry_bytes){bytes, n}, FERRY_DECODE_WHOLE,
                             &arena, value, err);
    ferry_arena_free(&arena);
    return e;
}

static void hostile_bytes(void)
{
    struct ferry_error err;
    const struct ferry_msg *md = &ferry_metadata_request_msg, *hb = &ferry_heartbeat_response_msg;
    static const uint8_t many[] = {0x7f, 0xff, 0xff, 0xff, 0, 1, 'a'},
                         below_null[] = {0xff, 0xff, 0xff, 0xfe};
    CHECK_INT(decode(md, 1, many, sizeof many, SIZE_MAX, &err), FERRY_E_PROTOCOL);
    CHECK_STR(
        err.text,
        "MetadataRequest version 1, field topics: its count is beyond what the message can hold");
    CHECK_INT(decode(md, 1, below_null, 4, SIZE_MAX, &err), FERRY_E_PROTOCOL);
    CHECK_INT(decode(md, 0, "\xff\xff\xff\xff", 4, SIZE_MAX, &err), FERRY_E_PROTOCOL);
    CHECK(strstr(err.text, "null") != NULL);
    CHECK_INT(decode(md, 1, "\xff\xff\xff\xff", 4, SIZE_MAX, &err), 0);
    CHECK_INT(decode(md, 1, "\xff\xff\xff\xff\x00", 5, SIZE_MAX, &err),
              FERRY_E_PROTOCOL); /* a byte too many */
    /* Heartbeat's response: throttle time, error code, tags. */
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0\0", 7, 0, &err), 0);
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0", 6, 0, &err), FERRY_E_PROTOCOL);
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0\2\x09\0\x0a\1x", 12, 0, &err), 0); /* two unknown tags */
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0\2\x0a\0\x09\1x", 12, 0, &err),
              FERRY_E_PROTOCOL); /* descending */
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0\2\x09\0\x09\1x", 12, 0, &err),
              FERRY_E_PROTOCOL);                                                      /* twice */
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0\1\x09\2x", 10, 0, &err), FERRY_E_PROTOCOL); /* too long */
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0\xff\xff\xff\xff\x0f\0\0", 13, 0, &err),
              FERRY_E_PROTOCOL); /* too many */
    /* A varint with bits beyond the 32nd, and one that never ends. */
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0\x80\x80\x80\x80\x10", 11, 0, &err), FERRY_E_PROTOCOL);
    CHECK_INT(decode(hb, 4, "\0\0\0\0\0\0\x80\x80\x80\x80\x80\x80\0", 13, 0, &err),
              FERRY_E_PROTOCOL);
    CHECK_INT(decode(hb, 5, "", 0, 0, &err), FERRY_E_UNSUPPORTED);
}

/* Arrays cannot take more than the bytes could hold, nor more than the caller's limit. */
static void decoding_is_bounded(void)
{
    enum { N = 100000 };
    uint8_t *bytes = ferry_zalloc(4 + N * 2);
    CHECK(bytes != NULL);
    struct ferry_arena arena = {.limit = SIZE_MAX};
    struct ferry_metadata_request m;
    struct ferry_error err;
    ferry_put32(bytes, N + 1); /* each name takes two bytes at least */
    struct ferry_bytes in = {bytes, 4 + N * 2};
    CHECK_INT(ferry_msg_decode(&ferry_metadata_request_msg, 0, in, 0, &arena, &m, &err),
              FERRY_E_PROTOCOL);
    CHECK_INT(arena.used, 0);
    ferry_put32(bytes, N);
    CHECK_INT(ferry_msg_decode(&ferry_metadata_request_msg, 0, in, 0, &arena, &m, &err), 0);
    CHECK_INT(m.topics_count, N);
    size_t need = arena.used;
    ferry_arena_free(&arena);
    arena.limit = need - 1;
    CHECK_INT(ferry_msg_decode(&ferry_metadata_request_msg, 0, in, 0, &arena, &m, &err),
              FERRY_E_TOO_LARGE);
    CHECK_INT(arena.used, 0);
    ferry_arena_free(&arena);
    ferry_free(bytes);
}

static void unknown_tags(void)
{
    static const uint8_t bytes[] = {0, 0, 0, 1, 0, 2, 1, 0x80, 0x01, 3, 'a', 'b', 'c'};
    struct ferry_bytes in = {bytes, sizeof bytes};
    struct ferry_arena arena = {.limit = 4096};
    struct ferry_heartbeat_response m;
    struct ferry_writer w = {0};
    CHECK_INT(ferry_msg_decode(&ferry_heartbeat_response_msg, 4, in, FERRY_DECODE_KEEP_TAGS, &arena,
                               &m, NULL),
              0);
    CHECK(m.unknown_tags && m.unknown_tags->count == 1 && m.unknown_tags->items[0].tag == 128);
    CHECK_INT(ferry_msg_encode(&ferry_heartbeat_response_msg, 4, &m, &w, NULL), 0);
    CHECK(w.len == in.len && memcmp(w.data, bytes, w.len) == 0);
    ferry_writer_reset(&w);
    CHECK_INT(ferry_msg_decode(&ferry_heartbeat_response_msg, 4, in, 0, &arena, &m, NULL), 0);
    CHECK(m.unknown_tags == NULL);
    CHECK_INT(ferry_msg_encode(&ferry_heartbeat_response_msg, 4, &m, &w, NULL), 0);
    CHECK_INT(w.len, 7);
    ferry_writer_free(&w);
    ferry_arena_free(&arena);
}

static void lost_memory(void)
{
    struct ferry_arena arena = {.limit = 1 << 20}, scratch = {.limit = 1 << 20};
    struct gen g;
    _Alignas(16) uint8_t value[1024], back[1024];
    const struct ferry_msg *msg = &ferry_metadata_response_msg;
    struct ferry_writer whole = {0};
    gen_init(&g, 5, &arena);
    do
        CHECK(gen_message(&g, msg, 12, value));
    while (((struct ferry_metadata_response *)value)->topics_count < 1);
    CHECK_INT(ferry_msg_encode(msg, 12, value, &whole, NULL), 0);
    int failures = 0;
    for (uint64_t n = 1; n < 50; n++) {
        struct ferry_writer w = {0};
        struct ferry_error err;
        ferry_mem_fail_after(n);
        int e = ferry_msg_encode(msg, 12, value, &w, &err);
        if (!e)
            e = ferry_msg_decode(msg, 12, view(&whole), FERRY_DECODE_KEEP_TAGS, &scratch, back,
                                 &err);
        ferry_mem_fail_after(0);
        ferry_writer_free(&w);
        ferry_arena_free(&scratch);
        if (!e)
            break;
        CHECK_INT(e, FERRY_E_NOMEM);
        CHECK_INT(err.code, FERRY_E_NOMEM);
        failures++;
    }
    CHECK(failures >= 3 && failures < 49);
    ferry_writer_free(&whole);
    ferry_arena_free(&arena);
}

static void printing(void)
{
    struct ferry_text text = {0};
    struct ferry_fetch_request m;
    struct ferry_fetch_request_topic topic;
    ferry_fetch_request_init(&m);
    ferry_fetch_request_topic_init(&topic);
    topic.topic = FERRY_STR("a\"b");
    m.topics = &topic;
    m.topics_count = 1;
    ferry_msg_print(&ferry_fetch_request_msg, 3, &m, &text);
    CHECK_STR(text.data,
              "{\"replica_id\":-1,\"max_wait_ms\":0,\"min_bytes\":0,\"max_bytes\":2147483647,"
              "\"topics\":[{\"topic\":\"a\\\"b\",\"partitions\":[]}]}");
    ferry_text_free(&text);
    struct ferry_uuid id = {{0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 0x77, 0x66, 0x55, 0x44,
                             0x33, 0x22, 0x11, 0}};
    char name[23];
    ferry_uuid_text(&id, name);
    CHECK_STR(name, "_-7dzLuqmYh3ZlVEMyIRAA");
}

static void tables(void)
{
    CHECK_INT(FERRY_API_COUNT, 91);
    for (int i = 0; i < FERRY_API_COUNT; i++) {
        const struct ferry_api *api = &ferry_apis[i];
        CHECK(i == 0 || api->key > ferry_apis[i - 1].key);
        CHECK(ferry_api_find(api->key) == api);
        CHECK(api->min <= api->live_min && api->live_min <= api->live_max &&
              api->live_max <= api->max);
        CHECK_INT(ferry_api_request(api)->max, api->max);
        CHECK_INT(ferry_api_response(api)->flexible, api->flexible);
        CHECK(strncmp(ferry_msg_name(ferry_api_request(api)), ferry_api_name(api->key),
                      strlen(ferry_api_name(api->key))) == 0);
    }
    CHECK(ferry_api_find(4) == NULL && ferry_api_find(-1) == NULL && ferry_api_find(95) == NULL);
    CHECK_STR(ferry_api_name(5), "Unknown");
    const struct ferry_api *produce = ferry_api_find(FERRY_API_PRODUCE),
                           *pid = ferry_api_find(FERRY_API_INIT_PRODUCER_ID);
    CHECK(produce->min == 0 && produce->live_min == 3 && produce->max == 13);
    CHECK(pid->max == 6 && pid->live_max == 5); /* 6 is not stable yet */
    CHECK_INT(ferry_api_choose(produce, 0, 9, -1, -1), 9);
    CHECK_INT(ferry_api_choose(produce, 0, 99, -1, -1), 13);
    CHECK_INT(ferry_api_choose(produce, 3, 11, 7, 8), 8);
    CHECK_INT(ferry_api_choose(produce, 12, 13, 0, 11), -1);
    CHECK_INT(ferry_api_choose(produce, 14, 20, -1, -1), -1);
    const struct ferry_record_type *commit =
        ferry_record_type_find(FERRY_TOPIC_CONSUMER_OFFSETS, FERRY_RECORD_OFFSET_COMMIT);
    CHECK(commit && &ferry_msgs[commit->value_msg] == &ferry_offset_commit_value_msg);
    CHECK(ferry_record_type_find(FERRY_TOPIC_TRANSACTION_STATE, 1) == NULL);
    CHECK(ferry_metadata_type_find(FERRY_METADATA_TOPIC_RECORD) == &ferry_topic_record_msg);
    CHECK(ferry_metadata_type_find(99) == NULL);
}

static void error_names(void)
{
    CHECK_STR(ferry_error_name(FERRY_KAFKA_NOT_LEADER_OR_FOLLOWER), "NOT_LEADER_OR_FOLLOWER");
    CHECK_STR(ferry_error_name(FERRY_E_CONFIG), "FERRY_E_CONFIG");
    CHECK_STR(ferry_error_name(-1), "UNKNOWN_SERVER_ERROR");
    CHECK_STR(ferry_error_name(136), "CONTROLLER_ID_NOT_REGISTERED");
    CHECK_STR(ferry_error_name(137), "UNKNOWN");
    CHECK_INT(ferry_error_flags(FERRY_KAFKA_REQUEST_TIMED_OUT), FERRY_ERROR_RETRIABLE);
    CHECK_INT(ferry_error_flags(FERRY_KAFKA_PRODUCER_FENCED), FERRY_ERROR_FATAL);
    CHECK_INT(ferry_error_flags(FERRY_KAFKA_TRANSACTION_ABORTABLE), FERRY_ERROR_ABORTABLE);
    CHECK_INT(ferry_error_flags(0), 0);
    CHECK_INT(ferry_kafka_err_actions(16), FERRY_WIRE_RETRY | FERRY_WIRE_COORDINATOR);
}

int main(void)
{
    TAP_RUN(request_frames);
    TAP_RUN(response_frames);
    TAP_RUN(frame_lengths);
    TAP_RUN(unknown_requests);
    TAP_RUN(client_ids);
    TAP_RUN(defaults);
    TAP_RUN(versions_that_cannot_carry);
    TAP_RUN(values_that_no_version_carries);
    TAP_RUN(referenced_records);
    TAP_RUN(lengths_inserted_later);
    TAP_RUN(hostile_bytes);
    TAP_RUN(decoding_is_bounded);
    TAP_RUN(unknown_tags);
    TAP_RUN(lost_memory);
    TAP_RUN(printing);
    TAP_RUN(tables);
    TAP_RUN(error_names);
    return tap_done();
}
