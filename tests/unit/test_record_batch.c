/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"
#include "base/prng.h"
#include "record/batch.h"
#include "record/build.h"
#include "record/crc32c.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { BATCH_MAX = 1 << 20 };
static struct ferry_error err;

struct made { /* a batch of random records and what they were */
    uint8_t *bytes;
    size_t size;
    int count;
    struct ferry_build_record *records;
    int64_t *times;
    uint8_t *payload;
};

static int64_t base_time = 1700000000000;

static struct ferry_bytes random_field(struct ferry_prng *r, const uint8_t *payload, size_t max)
{
    static const size_t sizes[] = {0, 1, 40, 50, 57, 63, 64, 100, 127, 128, 200, 8100, 8192, 70000};
    if (ferry_prng_chance(r, 1, 6))
        return (struct ferry_bytes){NULL, 0};
    size_t n =
        ferry_prng_chance(r, 1, 2) ? ferry_prng_below(r, 150) : sizes[ferry_prng_below(r, 14)];
    n = n > max ? max : n;
    return (struct ferry_bytes){payload + ferry_prng_below(r, 1000), n};
}

static int64_t random_delta(struct ferry_prng *r)
{
    switch (ferry_prng_below(r, 5)) {
    case 0:
        return 0;
    case 1:
        return ferry_prng_between(r, -70, 70);
    case 2:
        return ferry_prng_between(r, -10000, 10000);
    case 3:
        return ferry_prng_between(r, 0, 3000);
    default:
        return (int64_t)ferry_prng_next(r) >> ferry_prng_between(r, 1, 60);
    }
}

static void make_fields(struct ferry_prng *r, struct made *m, struct ferry_build_record *rec)
{
    rec->field_count = ferry_prng_chance(r, 1, 3) ? (int32_t)ferry_prng_below(r, 5) : 0;
    struct ferry_build_field *f = calloc(5, sizeof *f);
    for (int i = 0; i < rec->field_count; i++) {
        f[i].key = (struct ferry_str){(const char *)m->payload + i, ferry_prng_below(r, 80)};
        f[i].value = random_field(r, m->payload, 300);
    }
    rec->fields = f;
}

static struct made make(struct ferry_prng *r, int count, bool big)
{
    struct made m = {.count = count};
    m.bytes = malloc(BATCH_MAX);
    m.payload = malloc(100000);
    m.records = calloc((size_t)count, sizeof *m.records);
    m.times = calloc((size_t)count, sizeof *m.times);
    for (size_t i = 0; i < 100000; i++)
        m.payload[i] = (uint8_t)ferry_prng_next(r);
    uint8_t *at = m.bytes + FERRY_BATCH_HEADER;
    int64_t max_time = INT64_MIN;
    for (int i = 0; i < count; i++) {
        struct ferry_build_record *rec = &m.records[i];
        rec->key = random_field(r, m.payload, 300);
        rec->value = random_field(r, m.payload, big ? 70000 : 200);
        make_fields(r, &m, rec);
        m.times[i] = base_time + random_delta(r);
        max_time = m.times[i] > max_time ? m.times[i] : max_time;
        size_t max = ferry_build_record_max(rec);
        if ((size_t)(m.bytes + BATCH_MAX - at) < max)
            abort();
        uint8_t *end = ferry_build_record(at, rec, m.times[i] - base_time, i);
        if (end > at + max)
            abort();
        at = end;
    }
    m.size = (size_t)(at - m.bytes);
    struct ferry_build_header h = {.base_timestamp = base_time,
                                   .max_timestamp = max_time,
                                   .producer_id = -1,
                                   .producer_epoch = -1,
                                   .base_sequence = -1,
                                   .leader_epoch = -1,
                                   .last_offset_delta = count - 1,
                                   .count = count};
    ferry_build_header(m.bytes, &h, m.size);
    ferry_build_crc(m.bytes, m.size);
    return m;
}

static void unmake(struct made *m)
{
    for (int i = 0; i < m->count; i++)
        free((void *)m->records[i].fields);
    free(m->records);
    free(m->times);
    free(m->payload);
    free(m->bytes);
}

static bool same_bytes(struct ferry_bytes a, struct ferry_bytes b)
{
    return !a.data == !b.data && a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

static bool same_record(const struct ferry_build_record *in, const struct ferry_batch_record *out)
{
    if (!same_bytes(in->key, out->key) || !same_bytes(in->value, out->value) ||
        in->field_count != out->header_count)
        return false;
    struct ferry_batch_headers headers;
    struct ferry_batch_header header;
    ferry_batch_headers_init(&headers, out);
    int i = 0;
    while (ferry_batch_headers_next(&headers, &header, &err) > 0) {
        if (!ferry_str_eq(header.key, in->fields[i].key) ||
            !same_bytes(header.value, in->fields[i].value))
            return false;
        i++;
    }
    return i == in->field_count;
}

/* An exact copy of the batch, so that a sanitizer sees the first byte read beyond it. */
static uint8_t *exact(const struct made *m)
{
    return memcpy(malloc(m->size), m->bytes, m->size);
}

static void records_round_trip(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, 11);
    for (int round = 0; round < 300; round++) {
        struct made m =
            make(&r, (int)ferry_prng_between(&r, 1, round % 10 ? 8 : 60), round % 20 == 0);
        uint8_t *bytes = exact(&m);
        int64_t base = ferry_prng_between(&r, 0, 1 << 30);
        ferry_batch_patch_offset(bytes, base);
        struct ferry_batch b;
        struct ferry_batch_iter it;
        struct ferry_batch_record rec;
        CHECK_INT(ferry_batch_parse(bytes, m.size, &b, &err), 0);
        CHECK_INT(ferry_batch_check_crc(&b, &err), 0);
        CHECK_INT(b.last_offset, base + m.count - 1);
        CHECK_INT(ferry_batch_iter_init(&it, &b, b.records, 0, INT64_MAX, &err), 0);
        for (int i = 0; i < m.count; i++) {
            CHECK_INT(ferry_batch_iter_next(&it, &rec, &err), 1);
            CHECK_INT(rec.offset, base + i);
            CHECK_INT(rec.timestamp, m.times[i]);
            CHECK(same_record(&m.records[i], &rec));
        }
        CHECK_INT(ferry_batch_iter_next(&it, &rec, &err), 0);
        CHECK_INT(ferry_batch_iter_next(&it, &rec, &err), 0);
        struct ferry_batch_walked walked;
        CHECK_INT(ferry_batch_walk(&b, b.records, FERRY_BATCH_WALK_DENSE, &walked, &err), 0);
        CHECK_INT(walked.count, m.count);
        CHECK_INT(walked.max_timestamp, b.max_timestamp);
        CHECK_INT(m.times[walked.max_timestamp_offset - base], b.max_timestamp);
        free(bytes);
        unmake(&m);
    }
}

int main(void)
{
    TAP_RUN(records_round_trip);
    return tap_done();
}
