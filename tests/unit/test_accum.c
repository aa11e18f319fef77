/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "accum/sealed.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/slab.h"
#include "record/compress.h"
#include "record/varint.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

/* A batch as its owner would embed it. */
struct own_batch {
    struct ferry_accum_batch batch;
    int mark;
};

static struct ferry_chunks chunks;
static struct ferry_accum_config config;
static struct ferry_accum accum;
static _Atomic uint64_t ids;

static void setup(size_t batch_size, uint32_t side, int64_t limit)
{
    ferry_chunks_init(&chunks, limit, 0);
    atomic_store(&ids, 0);
    config = (struct ferry_accum_config){.chunks = &chunks,
                                         .object_size = sizeof(struct own_batch),
                                         .batch_size = batch_size,
                                         .side = side,
                                         .ids = &ids};
    ferry_accum_init(&accum, &config);
}

static void teardown(void)
{
    ferry_accum_free(&accum);
    ferry_chunks_trim(&chunks);
}

static int append(const struct ferry_accum_record *r, int64_t now, unsigned *edges,
                  struct ferry_accum_place *place)
{
    *edges = 0;
    int rc = ferry_accum_append(&accum, r, place);
    if (rc != FERRY_E_AGAIN)
        return rc;
    rc = ferry_accum_make_room(&accum, r, now, false, edges);
    return rc ? rc : ferry_accum_append(&accum, r, place);
}

static int append_value(const void *value, size_t len, uint64_t cookie)
{
    struct ferry_accum_record r = {
        .record = {.value = {value, len}}, .timestamp = 1000, .cookie = cookie};
    struct ferry_accum_place place;
    unsigned edges;
    return append(&r, 7, &edges, &place);
}

struct flat {
    uint8_t *data;
    size_t len;
};

static void add_part(void *cookie, const void *data, size_t len)
{
    struct flat *f = cookie;
    f->data = realloc(f->data, f->len + len);
    memcpy(f->data + f->len, data, len);
    f->len += len;
}

/* The batch as it would go out, stamped. Free data. */
static struct flat flatten(struct ferry_accum_batch *b, int64_t id, int16_t epoch, int32_t sequence)
{
    struct flat f = {0};
    struct ferry_sealed_stamp s = {id, epoch, sequence, false};
    ferry_sealed_stamp(b, &s);
    ferry_sealed_parts(b, add_part, &f);
    return f;
}

/* -- a model: what was appended, to be found again in order -- */
enum { MODEL = 4000 };
static struct {
    uint8_t *key, *value;
    size_t key_len, value_len;
    int fields;
    int64_t timestamp;
    uint64_t cookie;
} model[MODEL];
static int model_count, model_next;

static uint8_t *random_bytes(struct ferry_prng *p, size_t *len)
{
    static const uint64_t ranges[] = {1, 20, 200, 3000, 40000};
    if (ferry_prng_chance(p, 1, 8)) {
        *len = 0;
        return NULL;
    }
    *len = ferry_prng_below(p, ranges[ferry_prng_below(p, ferry_prng_chance(p, 1, 10) ? 5 : 3)]);
    uint8_t *d = malloc(*len + 1);
    for (size_t i = 0; i < *len; i++)
        d[i] = (uint8_t)ferry_prng_next(p);
    return d;
}

static void model_free(void)
{
    for (int i = 0; i < model_count; i++) {
        free(model[i].key);
        free(model[i].value);
    }
    model_count = model_next = 0;
}

static const struct ferry_build_field fields[3] = {{{"trace", 5}, {(const uint8_t *)"abc", 3}},
                                                   {{"", 0}, {NULL, 0}},
                                                   {{"n", 1}, {(const uint8_t *)"", 0}}};

static bool same(struct ferry_bytes b, const uint8_t *data, size_t len)
{
    return (b.data == NULL) == (data == NULL) && b.len == len &&
           (!len || !memcmp(b.data, data, len));
}

static void check_sealed_walk(struct ferry_accum_batch *b, int from)
{
    struct ferry_sealed_iter it;
    struct ferry_sealed_record r;
    ferry_sealed_iter_init(&it, b);
    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t cookie;
        int m = from + (int)i;
        if (i % 7 == 3) { /* both walks may be mixed */
            CHECK_INT(ferry_sealed_iter_cookies(&it, &cookie, 1), 1);
            CHECK(cookie == model[m].cookie);
            continue;
        }
        CHECK(ferry_sealed_iter_next(&it, &r));
        CHECK_INT(r.index, i);
        CHECK(r.cookie == model[m].cookie && r.timestamp == model[m].timestamp);
        CHECK(same(r.key, model[m].key, model[m].key_len));
        CHECK(same(r.value, model[m].value, model[m].value_len));
        CHECK_INT(r.header_count, model[m].fields);
    }
    CHECK(!ferry_sealed_iter_next(&it, &r));
}

/* What a broker sees is what was appended. */
static void check_batch(struct ferry_accum_batch *b)
{
    struct ferry_batch parsed;
    struct ferry_batch_walked walked;
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    struct ferry_error err;
    struct flat f = flatten(b, 77, 3, 1000);
    CHECK(f.len == ferry_sealed_wire_size(b));
    CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){f.data, f.len}, &parsed, &err), 0);
    CHECK(parsed.producer_id == 77 && parsed.producer_epoch == 3 && parsed.base_sequence == 1000);
    CHECK_INT(parsed.count, b->count);
    CHECK_INT(ferry_batch_walk(&parsed, parsed.records, FERRY_BATCH_WALK_DENSE, &walked, &err), 0);
    CHECK(walked.max_timestamp == parsed.max_timestamp);
    CHECK_INT(ferry_batch_iter_init(&it, &parsed, parsed.records, 0, INT64_MAX, &err), 0);
    int from = model_next;
    while (ferry_batch_iter_next(&it, &r, &err) > 0) {
        CHECK(model_next < model_count);
        CHECK(same(r.key, model[model_next].key, model[model_next].key_len));
        CHECK(same(r.value, model[model_next].value, model[model_next].value_len));
        CHECK(r.timestamp == model[model_next].timestamp);
        CHECK_INT(r.header_count, model[model_next].fields);
        struct ferry_batch_headers h;
        struct ferry_batch_header header;
        ferry_batch_headers_init(&h, &r);
        for (int i = 0; i < model[model_next].fields; i++) {
            CHECK_INT(ferry_batch_headers_next(&h, &header, &err), 1);
            CHECK(ferry_str_eq(header.key, fields[i].key));
            CHECK(same(header.value, fields[i].value.data, fields[i].value.len));
        }
        model_next++;
    }
    CHECK_INT(model_next - from, b->count);
    free(f.data);
    check_sealed_walk(b, from);
}

static void everything_comes_out_as_it_went_in(void)
{
    static const size_t sizes[] = {1, 200, 1024, 16384, 1000000};
    struct ferry_prng p;
    for (int round = 0; round < 40; round++) {
        ferry_prng_seed(&p, 100 + (uint64_t)round);
        setup(sizes[round % 5], FERRY_SIDE_COOKIE | (round % 2 ? FERRY_SIDE_TIME : 0), 0);
        config.batch_records = round % 3 == 0 ? 10 : 0;
        config.defer = round % 4 == 0 ? 1000 : 0;
        accum.sums = round / 5 % 2 == 0;
        int64_t now = 0;
        bool summed = false;
        for (model_count = 0; model_count < 1000; model_count++) {
            struct ferry_accum_record r = {.sent_at = ++now};
            int m = model_count;
            model[m].key = random_bytes(&p, &model[m].key_len);
            model[m].value = random_bytes(&p, &model[m].value_len);
            model[m].fields = ferry_prng_chance(&p, 1, 4) ? (int)ferry_prng_below(&p, 4) : 0;
            r.timestamp = model[m].timestamp =
                1600000000000 + ferry_prng_between(&p, -70000, 70000);
            r.cookie = model[m].cookie = ferry_prng_next(&p);
            r.record = (struct ferry_build_record){{model[m].key, model[m].key_len},
                                                   {model[m].value, model[m].value_len},
                                                   fields,
                                                   model[m].fields};
            struct ferry_accum_place place;
            unsigned edges;
            CHECK_INT(append(&r, now, &edges, &place), 0);
            if (place.value_at) {
                CHECK(config.defer && r.record.value.len >= config.defer);
                memcpy(place.value_at, r.record.value.data, r.record.value.len);
                CHECK(!ferry_accum_written(&accum, place.batch));
            }
        }
        ferry_accum_seal(&accum);
        struct ferry_accum_batch *b;
        int64_t last = -1;
        while ((b = ferry_accum_take(&accum))) {
            CHECK(b->size <= config.batch_size || b->count == 1);
            CHECK(!config.batch_records || b->count <= config.batch_records);
            CHECK(b->opened_at > last);
            last = b->opened_at;
            summed = summed || b->summed;
            check_batch(b);
            ferry_sealed_free(b);
        }
        CHECK_INT(summed, accum.sums);
        CHECK_INT(model_next, model_count);
        CHECK(ferry_accum_empty(&accum));
        CHECK_INT(atomic_load(&chunks.used), 0);
        model_free();
        teardown();
    }
}

static void edges_are_told(void)
{
    char value[100] = {0};
    struct ferry_accum_record r = {.record = {.value = {(uint8_t *)value, 100}}};
    struct ferry_accum_place place;
    unsigned edges;
    setup(1024, 0, 0);
    CHECK_INT(append(&r, 50, &edges, &place), 0);
    CHECK_INT(edges, FERRY_ACCUM_OPENED);
    CHECK(place.batch->id == 1 && place.index == 0);
    CHECK_INT(ferry_accum_oldest(&accum), 50);
    int opened = 1, full = 0;
    for (int i = 0; i < 100; i++) {
        CHECK_INT(append(&r, 60, &edges, &place), 0);
        opened += (edges & FERRY_ACCUM_OPENED) != 0;
        full += (edges & FERRY_ACCUM_FULL) != 0;
    }
    CHECK_INT(opened, full + 1);
    CHECK_INT(full, accum.full_count);
    CHECK_INT(ferry_accum_oldest(&accum), 50);
    struct ferry_accum_batch *b = ferry_accum_take(&accum);
    CHECK(b && b->size <= 1024 && b->count >= 8);
    ferry_sealed_free(b);
    CHECK_INT(ferry_accum_oldest(&accum), 60);
    teardown();
}

static void a_batch_waits_for_its_writers(void)
{
    static uint8_t big[5000];
    struct ferry_accum_record r = {.record = {.value = {big, sizeof big}}};
    struct ferry_accum_place first, second;
    unsigned edges;
    setup(100000, 0, 0);
    config.defer = 4096;
    memset(big, 'x', sizeof big);
    CHECK_INT(append(&r, 1, &edges, &first), 0);
    CHECK_INT(append(&r, 1, &edges, &second), 0);
    CHECK(first.value_at && second.value_at && first.batch == second.batch);
    ferry_accum_seal(&accum);
    CHECK(!ferry_accum_take(&accum));
    memcpy(second.value_at, big, sizeof big);
    CHECK(!ferry_accum_written(&accum, second.batch));
    CHECK(!ferry_accum_take(&accum));
    CHECK_INT(append_value("later", 5, 0), 0); /* goes to the next batch */
    ferry_accum_seal(&accum);
    CHECK(!ferry_accum_take(&accum)); /* order: it stays behind the first */
    memcpy(first.value_at, big, sizeof big);
    CHECK(ferry_accum_written(&accum, first.batch));
    struct ferry_accum_batch *b = ferry_accum_take(&accum);
    CHECK(b == first.batch && b->count == 2);
    struct flat f = flatten(b, -1, -1, -1);
    struct ferry_batch parsed;
    CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){f.data, f.len}, &parsed, NULL), 0);
    free(f.data);
    ferry_sealed_free(b);
    b = ferry_accum_take(&accum);
    CHECK(b && b->count == 1);
    ferry_sealed_free(b);
    teardown();
}

static void memory_is_limited_and_counted(void)
{
    static uint8_t value[900];
    int accepted = 0, rc;
    setup(4096, FERRY_SIDE_COOKIE, 64 * 1024);
    while ((rc = append_value(value, sizeof value, 1)) == 0)
        CHECK(++accepted < 100);
    CHECK_INT(rc, FERRY_E_QUEUE_FULL);
    CHECK(accepted > 50);
    CHECK(atomic_load(&chunks.used) <= 64 * 1024);
    ferry_sealed_free(ferry_accum_take(&accum));
    CHECK_INT(append_value(value, sizeof value, 1), 0); /* room came back */
    teardown();
    CHECK_INT(atomic_load(&chunks.used), 0);
}

/* A chunk whose batch finds no room for another one is looked at again and again. */
static void a_full_buffer_spoils_no_sum(void)
{
    static uint8_t value[900];
    struct ferry_batch parsed;
    struct ferry_chunk *other;
    setup(1000000, 0, 64 * 1024);
    accum.sums = true;
    CHECK_INT(ferry_chunks_get(&chunks, 20000, 0, false, &other), 0);
    for (int round = 0; round < 2; round++) {
        for (uint8_t i = 0; append_value(value, sizeof value, 1) == 0; i++)
            memset(value, i, sizeof value);
        CHECK_INT(append_value(value, sizeof value, 1), FERRY_E_QUEUE_FULL);
        (void)append_value(value, 30,
                           1); /* where the chunk has a little room left, after it was summed */
        ferry_chunks_put(&chunks, other);
        other = NULL;
    }
    ferry_accum_seal(&accum);
    struct ferry_accum_batch *b = ferry_accum_take(&accum);
    CHECK(b->summed > 10000 && b->count > 40);
    struct flat f = flatten(b, -1, -1, -1);
    CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){f.data, f.len}, &parsed, NULL), 0);
    free(f.data);
    ferry_sealed_free(b);
    teardown();
}

static void small_records_cost_little(void)
{
    enum { N = 200000 };
    setup(16384, FERRY_SIDE_COOKIE, 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(append_value("0123456789", 10, (uint64_t)i), 0);
    int64_t overhead = atomic_load(&chunks.used) / N - 10;
    CHECK(overhead <= 20);
    teardown();
    setup(1000000, FERRY_SIDE_COOKIE, 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(append_value("0123456789", 10, (uint64_t)i), 0);
    overhead = atomic_load(&chunks.used) / N - 10;
    CHECK(overhead <= 20);
    teardown();
}

static void a_batch_is_stamped_again(void)
{
    struct ferry_batch parsed;
    setup(16384, 0, 0);
    for (int i = 0; i < 500; i++)
        CHECK_INT(append_value("some value", 10, 0), 0);
    ferry_accum_seal(&accum);
    struct ferry_accum_batch *b = ferry_accum_take(&accum);
    for (int i = 0; i < 3; i++) {
        struct flat f = flatten(b, 10 + i, (int16_t)i, 5 * i);
        CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){f.data, f.len}, &parsed, NULL),
                  0);
        CHECK(parsed.producer_id == 10 + i && parsed.producer_epoch == i &&
              parsed.base_sequence == 5 * i);
        free(f.data);
    }
    ferry_sealed_free(b);
    teardown();
}

static void records_move_to_smaller_batches(void)
{
    struct ferry_accum small;
    struct ferry_accum_config small_config;
    struct ferry_sealed_iter it;
    struct ferry_sealed_record r;
    setup(1000000, FERRY_SIDE_COOKIE | FERRY_SIDE_EXPIRY, 0);
    for (uint32_t i = 0; i < 300; i++) {
        struct ferry_accum_record a = {
            .record = {.key = {(uint8_t *)&i, 4}, .field_count = i % 3, .fields = fields},
            .timestamp = 5000 + i,
            .cookie = i,
            .expires_at = 100 + i};
        struct ferry_accum_place place;
        unsigned edges;
        CHECK_INT(append(&a, 9, &edges, &place), 0);
    }
    ferry_accum_seal(&accum);
    struct ferry_accum_batch *b = ferry_accum_take(&accum), *part;
    CHECK_INT(b->expires_at, 100);
    small_config = config;
    small_config.batch_size = 1000;
    small_config.side |= FERRY_SIDE_RECEIPT;
    ferry_accum_init(&small, &small_config);
    CHECK_INT(ferry_sealed_move(b, 100, 150, &small), 0);
    ferry_accum_seal(&small);
    uint32_t next = 100, batches = 0;
    while ((part = ferry_accum_take(&small))) {
        batches++;
        CHECK(part->opened_at == 9 && part->size <= 1000 && part->expires_at == 100 + next);
        ferry_sealed_iter_init(&it, part);
        while (ferry_sealed_iter_next(&it, &r)) {
            CHECK(r.cookie == next && r.timestamp == 5000 + next && r.expires_at == 100 + next);
            CHECK(r.receipt == ferry_receipt_pack(b->id, next));
            CHECK(r.key.len == 4 && !memcmp(r.key.data, &next, 4) && !r.value.data);
            CHECK_INT(r.header_count, next % 3);
            next++;
        }
        ferry_sealed_free(part);
    }
    CHECK_INT(next, 250);
    CHECK(batches > 3);
    ferry_sealed_free(b);
    ferry_accum_free(&small);
    teardown();
}

static void packed_batches_expand_to_the_same(void)
{
    struct ferry_codecs *codecs = ferry_codecs_new();
    for (int codec = 1; codec < FERRY_CODEC_COUNT; codec++) {
        if (ferry_codec_available(codec, NULL))
            continue;
        for (int bare = 0; bare < 2; bare++) {
            setup(200000, FERRY_SIDE_COOKIE, 0);
            for (uint64_t i = 0; i < 2000; i++)
                CHECK_INT(append_value("a value that repeats and repeats", 32, i), 0);
            ferry_accum_seal(&accum);
            struct ferry_accum_batch *b = ferry_accum_take(&accum);
            size_t before = b->size;
            CHECK_INT(ferry_sealed_pack(b, codecs, codec, FERRY_CODEC_LEVEL_DEFAULT, NULL), 0);
            CHECK(b->packed && ferry_sealed_wire_size(b) < before / 2);
            if (bare)
                ferry_sealed_drop_records(b);
            struct flat f = flatten(b, 1, 0, 0);
            struct ferry_batch parsed;
            struct ferry_batch_walked walked;
            struct ferry_slab *out = NULL;
            CHECK_INT(
                ferry_batch_check_produced((struct ferry_bytes){f.data, f.len}, &parsed, NULL), 0);
            CHECK_INT(ferry_batch_codec(&parsed), codec);
            CHECK_INT(ferry_decompress(codecs, codec, parsed.records, before, &out, NULL), 0);
            struct ferry_bytes records = {out->data, out->len};
            CHECK_INT(ferry_batch_walk(&parsed, records, FERRY_BATCH_WALK_DENSE, &walked, NULL), 0);
            CHECK_INT(walked.count, 2000);
            ferry_slab_unref(out);
            free(f.data);
            struct ferry_sealed_iter it;
            struct ferry_sealed_record r;
            ferry_sealed_iter_init(&it, b);
            for (uint64_t i = 0; i < 2000; i++) {
                CHECK(ferry_sealed_iter_next(&it, &r) && r.cookie == i);
                CHECK((r.value.data == NULL) == bare);
            }
            CHECK(!ferry_sealed_iter_next(&it, &r));
            ferry_sealed_free(b);
            teardown();
            CHECK_INT(atomic_load(&chunks.used), 0);
        }
    }
    ferry_codecs_free(codecs);
}

static void lost_memory_is_survived(void)
{
    static uint8_t value[700];
    for (uint64_t n = 1; n < 40; n++) {
        int accepted = 0;
        setup(4096, FERRY_SIDE_COOKIE, 0);
        ferry_mem_fail_after(n);
        for (int i = 0; i < 60; i++) {
            int rc = append_value(value, sizeof value, (uint64_t)accepted);
            CHECK(rc == 0 || rc == FERRY_E_NOMEM);
            accepted += rc == 0;
        }
        ferry_mem_fail_after(0);
        CHECK(accepted >= 59);
        ferry_accum_seal(&accum);
        struct ferry_accum_batch *b;
        uint64_t next = 0;
        while ((b = ferry_accum_take(&accum))) {
            struct ferry_sealed_iter it;
            struct ferry_sealed_record r;
            ferry_sealed_iter_init(&it, b);
            while (ferry_sealed_iter_next(&it, &r))
                CHECK(r.cookie == next++);
            ferry_sealed_free(b);
        }
        CHECK_INT(next, accepted);
        CHECK_INT(atomic_load(&chunks.used), 0);
        teardown();
    }
}

int main(void)
{
    TAP_RUN(everything_comes_out_as_it_went_in);
    TAP_RUN(edges_are_told);
    TAP_RUN(a_batch_waits_for_its_writers);
    TAP_RUN(memory_is_limited_and_counted);
    TAP_RUN(a_full_buffer_spoils_no_sum);
    TAP_RUN(small_records_cost_little);
    TAP_RUN(a_batch_is_stamped_again);
    TAP_RUN(records_move_to_smaller_batches);
    TAP_RUN(packed_batches_expand_to_the_same);
    TAP_RUN(lost_memory_is_survived);
    return tap_done();
}
