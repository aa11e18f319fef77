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

/* The plainest encoder that there could be. */
static uint8_t *plain_varint(uint8_t *p, int64_t v)
{
    uint64_t z = (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
    for (; z >= 128; z >>= 7)
        *p++ = (uint8_t)(z | 128);
    *p++ = (uint8_t)z;
    return p;
}

static uint8_t *plain_field(uint8_t *p, struct ferry_bytes b)
{
    p = plain_varint(p, b.data ? (int64_t)b.len : -1);
    if (b.len)
        memcpy(p, b.data, b.len);
    return p + b.len;
}

static uint8_t *plain_record(uint8_t *at, const struct ferry_build_record *r, int64_t time,
                             int32_t offset)
{
    static uint8_t body[20000];
    uint8_t *p = body;
    *p++ = 0;
    p = plain_varint(p, time);
    p = plain_varint(p, offset);
    p = plain_field(p, r->key);
    p = plain_field(p, r->value);
    p = plain_varint(p, 0);
    at = plain_varint(at, p - body);
    memcpy(at, body, (size_t)(p - body));
    return at + (p - body);
}

/* Around each length at which a varint grows, the fast ways give the plain one's bytes, and write not a byte beyond. */
static void encoders_agree(void)
{
    static const size_t keys[] = {0,  1,  2,  3,  4,  7,  8,  9,  15, 16,
                                  17, 31, 32, 33, 48, 63, 64, 65, 200};
    static const int64_t times[] = {0,    63,    64,    -64,     -65,       8191,
                                    8192, -8192, -8193, 1 << 20, INT64_MAX, INT64_MIN};
    static const int32_t offsets[] = {0, 63, 64, 8191, 8192, (1 << 20) - 1, 1 << 20, INT32_MAX};
    static uint8_t payload[9000], fast[20000], plain[20000];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31 + 1);
    int n = 0;
    for (size_t k = 0; k <= sizeof keys / sizeof *keys; k++)
        for (size_t len = 0; len < 8300; len = len == 150 ? 7890 : len + 1) {
            struct ferry_build_record r = {.value = {payload, len}};
            if (k)
                r.key = (struct ferry_bytes){payload + 7, keys[k - 1]};
            int64_t time = times[n % 12];
            int32_t offset = offsets[n / 12 % 8];
            n++;
            memset(fast, 0xee, len + 400);
            uint8_t *end = ferry_build_record(fast, &r, time, offset);
            size_t size = (size_t)(plain_record(plain, &r, time, offset) - plain);
            CHECK_INT(end - fast, size);
            CHECK(!memcmp(fast, plain, size) && fast[size] == 0xee);
            CHECK(size <= ferry_build_record_max(&r));
            uint8_t *value_at;
            memset(fast, 0xee, len + 400);
            end = ferry_build_record_reserve(fast, &r, time, offset, &value_at);
            CHECK(value_at >= fast && value_at + len < end &&
                  (!len || (value_at[0] == 0xee && value_at[len - 1] == 0xee)));
            memcpy(value_at, payload, len);
            CHECK(end == fast + size && !memcmp(fast, plain, size) && fast[size] == 0xee);
        }
}

/* The window, against the same batch read whole; bytes behind upto are not even looked at. */
static void windows(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, 12);
    struct made m = make(&r, 40, false);
    uint8_t *bytes = exact(&m);
    ferry_batch_patch_offset(bytes, 500);
    struct ferry_batch b;
    CHECK_INT(ferry_batch_parse(bytes, m.size, &b, &err), 0);
    for (int64_t from = 495; from < 545; from++)
        for (int64_t upto = from; upto < 545; upto += 3) {
            struct ferry_batch_iter it;
            struct ferry_batch_record rec;
            int64_t expect = from < 500 ? 500 : from, end = upto > 540 ? 540 : upto;
            CHECK_INT(ferry_batch_iter_init(&it, &b, b.records, from, upto, &err), 0);
            for (; expect < end; expect++) {
                CHECK_INT(ferry_batch_iter_next(&it, &rec, &err), 1);
                CHECK_INT(rec.offset, expect);
            }
            CHECK_INT(ferry_batch_iter_next(&it, &rec, &err), 0);
            CHECK_INT(ferry_batch_iter_next(&it, &rec, &err), 0);
        }
    bytes[m.size - 1] = 0x80; /* in the last record */
    struct ferry_batch_iter it;
    struct ferry_batch_record rec;
    CHECK_INT(ferry_batch_iter_init(&it, &b, b.records, 0, 505, &err), 0);
    int n = 0, rc;
    while ((rc = ferry_batch_iter_next(&it, &rec, &err)) > 0)
        n++;
    CHECK_INT(rc, 0);
    CHECK_INT(n, 5);
    free(bytes);
    unmake(&m);
}

/* Every way that a header can lie. */
static void hostile_headers(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, 13);
    struct made m = make(&r, 5, false);
    static const struct {
        int at, width;
        uint64_t value;
        int rc;
    } lies[] = {{8, 4, 0, FERRY_E_PROTOCOL},
                {8, 4, 13, FERRY_E_PROTOCOL},
                {8, 4, 0xffffffff, FERRY_E_PROTOCOL},
                {8, 4, 0x80000000, FERRY_E_PROTOCOL},
                {8, 4, 48, FERRY_E_PROTOCOL},
                {8, 4, 0x7fffffff, FERRY_E_AGAIN},
                {16, 1, 3, FERRY_E_UNSUPPORTED},
                {16, 1, 255, FERRY_E_UNSUPPORTED},
                {0, 8, UINT64_MAX, FERRY_E_PROTOCOL},
                {0, 8, INT64_MAX, FERRY_E_PROTOCOL},
                {0, 8, INT64_MAX - 4, FERRY_E_PROTOCOL},
                {0, 8, INT64_MAX - 5, 0},
                {23, 4, 0xffffffff, FERRY_E_PROTOCOL},
                {23, 4, 3, FERRY_E_PROTOCOL},
                {57, 4, 0xffffffff, FERRY_E_PROTOCOL},
                {57, 4, 6, FERRY_E_PROTOCOL},
                {57, 4, 0x7fffffff, FERRY_E_PROTOCOL}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        uint8_t *bytes = exact(&m);
        struct ferry_batch b;
        uint8_t v[8];
        ferry_put64(v, lies[i].value);
        memcpy(bytes + lies[i].at, v + 8 - lies[i].width, (size_t)lies[i].width);
        err.text[0] = 0;
        CHECK_INT(ferry_batch_parse(bytes, m.size, &b, &err), lies[i].rc);
        CHECK(lies[i].rc == 0 || lies[i].rc == FERRY_E_AGAIN || strstr(err.text, "offset"));
        free(bytes);
    }
    unmake(&m);
}

/* One record whose body is given byte by byte; what the iterator and the broker's walk say. */
static int read_body(const char *body, size_t len, bool slack, struct ferry_batch_record *rec)
{
    static uint8_t bytes[512];
    size_t size = FERRY_BATCH_HEADER + len, tail = slack ? 80 : 0;
    struct ferry_build_header h = {.last_offset_delta = slack ? 1 : 0, .count = slack ? 2 : 1};
    memcpy(bytes + FERRY_BATCH_HEADER, body, len);
    struct ferry_build_record second = {.value = {(const uint8_t *)body, 0}};
    if (slack) { /* a second record behind it, so that the first is decoded the fast way */
        static const uint8_t filler[70];
        second.value = (struct ferry_bytes){filler, sizeof filler};
        tail = (size_t)(ferry_build_record(bytes + size, &second, 0, 1) - bytes) - size;
    }
    ferry_build_header(bytes, &h, size + tail);
    uint8_t *copy = memcpy(malloc(size + tail), bytes, size + tail);
    struct ferry_batch b;
    struct ferry_batch_iter it;
    err.text[0] = 0;
    int rc = ferry_batch_parse(copy, size + tail, &b, &err);
    if (rc == 0)
        rc = ferry_batch_iter_init(&it, &b, b.records, 0, INT64_MAX, &err);
    if (rc == 0)
        rc = ferry_batch_iter_next(&it, rec, &err);
    if (rc > 0 && !slack && ferry_batch_iter_next(&it, rec, &err) < 0)
        rc = FERRY_E_PROTOCOL;
    if (rc > 0) {
        struct ferry_batch_headers headers;
        struct ferry_batch_header header;
        int one;
        ferry_batch_headers_init(&headers, rec);
        while ((one = ferry_batch_headers_next(&headers, &header, &err)) > 0)
            continue;
        if (one < 0)
            rc = one;
    }
    free(copy);
    return rc;
}

static void hostile_records(void)
{
#define BODY(s) s, sizeof(s) - 1
    static const struct {
        const char *bytes;
        size_t len;
        int rc;
    } bodies[] = {
        {BODY("\x0c\0\0\0\1\1\0"), 1},   /* null, null: the smallest */
        {BODY("\x0c\0\0\0\0\0\0"), 1},   /* empty, empty */
        {BODY("\x0c\x7f\0\0\1\1\0"), 1}, /* attributes mean nothing */
        {BODY("\x8c\0\0\0\0\1\1\0"), 1}, /* a length longer than need be */
        {BODY("\x1e\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0\1\1\0"), 1}, /* time delta -2^63 */
        {BODY("\x1e\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\2\0\1\1\0"), FERRY_E_PROTOCOL},
        {BODY("\x20\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0\1\1\0"), FERRY_E_PROTOCOL},
        {BODY("\0"), FERRY_E_PROTOCOL},                               /* no body */
        {BODY("\1"), FERRY_E_PROTOCOL},                               /* length -1 */
        {BODY("\x0b\0\0\0\1\1\0"), FERRY_E_PROTOCOL},                 /* length -6 */
        {BODY("\xff\xff\xff\xff\x0f\0\0\0\1\1\0"), FERRY_E_PROTOCOL}, /* length -2^31 */
        {BODY("\xfe\xff\xff\xff\x0f\0\0\0\1\1\0"), FERRY_E_PROTOCOL}, /* length 2^31 - 1 */
        {BODY("\xfe\xff\xff\xff\x1f\0\0\0\1\1\0"), FERRY_E_PROTOCOL}, /* beyond 32 bits */
        {BODY("\xff\xff\xff\xff\xff\xff\0\0\1\1\0"), FERRY_E_PROTOCOL},
        {BODY("\x0a\0\0\0\1\1\0"), FERRY_E_PROTOCOL},   /* header count outside */
        {BODY("\x0e\0\0\0\1\1\0\0"), FERRY_E_PROTOCOL}, /* a byte left over */
        {BODY("\x0c\0\0\1\1\1\0"), FERRY_E_PROTOCOL},   /* offset delta -1 */
        {BODY("\x0c\0\0\4\1\1\0"), FERRY_E_PROTOCOL},   /* beyond the last */
        {BODY("\x0c\0\0\0\3\1\0"), FERRY_E_PROTOCOL},   /* key length -2 */
        {BODY("\x0c\0\0\0\x08\1\0"), FERRY_E_PROTOCOL}, /* key longer than the rest */
        {BODY("\x14\0\0\0\xfe\xff\xff\xff\x0f\1\0"), FERRY_E_PROTOCOL},
        {BODY("\x0c\0\0\0\1\2\0"), FERRY_E_PROTOCOL},       /* value eats the header count */
        {BODY("\x0c\0\0\0\1\3\0"), FERRY_E_PROTOCOL},       /* value length -2 */
        {BODY("\x0c\0\0\0\1\1\1"), FERRY_E_PROTOCOL},       /* header count -1 */
        {BODY("\x0c\0\0\0\1\1\2"), FERRY_E_PROTOCOL},       /* one header, no bytes */
        {BODY("\x10\0\0\0\1\1\2\0\0"), 1},                  /* one header, both empty */
        {BODY("\x10\0\0\0\1\1\2\0\1"), 1},                  /* its value null */
        {BODY("\x10\0\0\0\1\1\2\1\0"), FERRY_E_PROTOCOL},   /* its key null */
        {BODY("\x10\0\0\0\1\1\2\2\0"), FERRY_E_PROTOCOL},   /* its key too long */
        {BODY("\x10\0\0\0\1\1\2\0\2"), FERRY_E_PROTOCOL},   /* its value too long */
        {BODY("\x10\0\0\0\1\1\4\0\0"), FERRY_E_PROTOCOL},   /* two claimed, one there */
        {BODY("\x12\0\0\0\1\1\2\0\0\0"), FERRY_E_PROTOCOL}, /* a byte behind it */
        {BODY("\x14\0\0\0\1\1\xfe\xff\xff\xff\x0f"), FERRY_E_PROTOCOL}};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        for (int slack = 0; slack < 2; slack++) {
            struct ferry_batch_record rec;
            int rc = read_body(bodies[i].bytes, bodies[i].len, slack, &rec);
            /* With a record behind it, delta 4 / 2 = 2 is still beyond the last. */
            CHECK_INT(rc, bodies[i].rc);
            CHECK(rc > 0 || err.text[0]);
        }
}

/* The same records with the fast decoder and, told that no record ends early enough for it, with
 * the careful one. */
static bool decoders_agree(const uint8_t *bytes, size_t len, int32_t count, bool *good)
{
    struct ferry_batch b = {
        .magic = 2, .count = count, .last_offset = count - 1, .base_timestamp = 5};
    struct ferry_batch_iter fast, careful;
    struct ferry_batch_record x, y;
    int rc, rc2;
    ferry_batch_iter_init(&fast, &b, (struct ferry_bytes){bytes, len}, 0, INT64_MAX, &err);
    ferry_batch_iter_init(&careful, &b, (struct ferry_bytes){bytes, len}, 0, INT64_MAX, &err);
    careful.fast = careful.start;
    do {
        rc = ferry_batch_iter_next(&fast, &x, &err);
        rc2 = ferry_batch_iter_next(&careful, &y, &err);
        if (rc != rc2 || fast.at != careful.at || fast.left != careful.left)
            return false;
        if (rc > 0 &&
            (x.offset != y.offset || x.timestamp != y.timestamp || x.key.data != y.key.data ||
             x.key.len != y.key.len || x.value.data != y.value.data || x.value.len != y.value.len ||
             x.header_count != y.header_count || x.headers.data != y.headers.data ||
             x.headers.len != y.headers.len))
            return false;
    } while (rc > 0);
    *good = rc == 0;
    return true;
}

static void both_decoders_agree(void)
{
    static const uint8_t payload[9000];
    struct ferry_prng r;
    ferry_prng_seed(&r, 14);
    int good_ones = 0, rounds = 20000;
    for (int round = 0; round < rounds; round++) {
        static uint8_t bytes[70000];
        uint8_t *at = bytes;
        for (int i = 0; i < 6; i++) {
            struct ferry_build_record rec = {.key = {payload, ferry_prng_below(&r, 20)},
                                             .value = {payload, 30}};
            rec.value.len = ferry_prng_below(&r, round % 50 ? 90 : 9000);
            rec.key.data = ferry_prng_chance(&r, 1, 4) ? NULL : payload;
            rec.key.len = rec.key.data ? rec.key.len : 0;
            at = ferry_build_record(at, &rec, random_delta(&r), i);
        }
        size_t len = (size_t)(at - bytes);
        for (uint64_t n = ferry_prng_below(&r, 3); n; n--) {
            size_t where = ferry_prng_below(&r, n == 1 ? 12 : len);
            bytes[where] = (uint8_t)ferry_prng_next(&r);
            if (ferry_prng_chance(&r, 1, 2))
                bytes[where] = 0x80 | (bytes[where] & 1);
        }
        uint8_t *copy = memcpy(malloc(len), bytes, len);
        bool good = false, agree = decoders_agree(copy, len, 6, &good);
        good_ones += good;
        free(copy);
        CHECK(agree);
    }
    CHECK(good_ones > rounds / 4 && good_ones < rounds);
}

static void leftovers_and_counts(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, 15);
    struct made m = make(&r, 6, false);
    struct ferry_batch b;
    struct ferry_batch_walked walked;
    uint8_t *bytes = exact(&m);
    ferry_put32(bytes + 57, 5); /* one record more than the header says */
    CHECK_INT(ferry_batch_parse(bytes, m.size, &b, &err), 0);
    CHECK_INT(ferry_batch_walk(&b, b.records, 0, &walked, &err), FERRY_E_PROTOCOL);
    CHECK_INT(walked.bad_index, -1);
    ferry_put32(bytes + 57, 6);
    ferry_put32(bytes + 23, 9); /* gaps are for compacted logs, not for producers */
    CHECK_INT(ferry_batch_parse(bytes, m.size, &b, &err), 0);
    CHECK_INT(ferry_batch_walk(&b, b.records, FERRY_BATCH_WALK_DENSE, &walked, &err), 0);
    ferry_put32(bytes + 57, 7); /* one less */
    CHECK_INT(ferry_batch_parse(bytes, m.size, &b, &err), 0);
    CHECK_INT(ferry_batch_walk(&b, b.records, 0, &walked, &err), FERRY_E_PROTOCOL);
    CHECK_INT(walked.bad_index, 6);
    CHECK(strstr(err.text, "record 6 of 7"));
    free(bytes);
    unmake(&m);

    uint8_t gap[200], *at = gap + FERRY_BATCH_HEADER;
    struct ferry_build_record rec = {.value = {gap, 3}};
    struct ferry_build_header h = {.last_offset_delta = 4, .count = 2};
    at = ferry_build_record(at, &rec, 0, 1);
    at = ferry_build_record(at, &rec, 0, 4);
    ferry_build_header(gap, &h, (size_t)(at - gap));
    CHECK_INT(ferry_batch_parse(gap, (size_t)(at - gap), &b, &err), 0);
    CHECK_INT(ferry_batch_walk(&b, b.records, 0, &walked, &err), 0);
    CHECK_INT(ferry_batch_walk(&b, b.records, FERRY_BATCH_WALK_DENSE, &walked, &err),
              FERRY_E_INVALID);
    CHECK_INT(ferry_batch_walk(&b, b.records, FERRY_BATCH_WALK_KEYED, &walked, &err),
              FERRY_E_INVALID);
    CHECK_INT(walked.bad_index, 0);
}

static void patches_keep_the_checksum(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, 16);
    for (int round = 0; round < 50; round++) {
        struct made m = make(&r, 1 + round % 9, round % 10 == 0);
        struct ferry_batch b;
        ferry_batch_patch_offset(m.bytes, 1000 + round);
        ferry_batch_patch_epoch(m.bytes, round);
        CHECK_INT(ferry_batch_parse(m.bytes, m.size, &b, &err), 0);
        CHECK_INT(ferry_batch_check_crc(&b, &err), 0);
        ferry_batch_patch_producer(m.bytes, m.size, 1 << 20, 7, 99, round % 2);
        CHECK_INT(ferry_batch_parse(m.bytes, m.size, &b, &err), 0);
        CHECK_INT(ferry_batch_check_crc(&b, &err), 0);
        CHECK_INT(b.producer_id, 1 << 20);
        CHECK_INT(b.producer_epoch, 7);
        CHECK_INT(b.base_sequence, 99);
        CHECK_INT(ferry_batch_is_transactional(&b), round % 2);
        CHECK_INT(b.leader_epoch, round);
        ferry_batch_patch_max_timestamp(m.bytes, m.size, 42);
        CHECK_INT(ferry_batch_parse(m.bytes, m.size, &b, &err), 0);
        CHECK_INT(ferry_batch_check_crc(&b, &err), 0);
        CHECK_INT(b.max_timestamp, 42);
        ferry_batch_patch_append_time(m.bytes, m.size, base_time + 77);
        CHECK_INT(ferry_batch_parse(m.bytes, m.size, &b, &err), 0);
        CHECK_INT(ferry_batch_check_crc(&b, &err), 0);
        struct ferry_batch_walked walked;
        CHECK_INT(ferry_batch_walk(&b, b.records, 0, &walked, &err), 0);
        CHECK_INT(walked.max_timestamp, base_time + 77);
        CHECK_INT(walked.min_timestamp, base_time + 77);
        struct ferry_bytes parts[3] = {
            {m.bytes + 61, 3}, {m.bytes + 64, 0}, {m.bytes + 64, m.size - 64}};
        ferry_build_crc_parts(m.bytes, parts, 3);
        CHECK_INT(ferry_batch_parse(m.bytes, m.size, &b, &err), 0);
        CHECK_INT(ferry_batch_check_crc(&b, &err), 0);
        m.bytes[m.size - 1] ^= 1;
        CHECK_INT(ferry_batch_check_crc(&b, &err), FERRY_E_CRC);
        CHECK(strstr(err.text, "offset 10"));
        unmake(&m);
    }
}

static void what_may_be_produced(void)
{
    static const struct {
        int at, width;
        uint64_t value;
        int rc;
    } cases[] = {{0, 8, 0, 0},
                 {16, 1, 1, FERRY_E_UNSUPPORTED},
                 {21, 2, 4, 0},
                 {21, 2, 5, FERRY_E_INVALID},
                 {21, 2, 0x08, FERRY_E_INVALID},
                 {21, 2, 0x10, FERRY_E_INVALID}, /* a transaction without a producer id */
                 {21, 2, 0x20, FERRY_E_INVALID},
                 {23, 4, 3, FERRY_E_INVALID},
                 {57, 4, 0, FERRY_E_INVALID},
                 {57, 4, 2, FERRY_E_INVALID},
                 {43, 8, 5, FERRY_E_INVALID}, /* an id without epoch and sequence */
                 {43, 8, (uint64_t)-2, FERRY_E_INVALID},
                 {53, 4, 0, 0}, /* no id, yet a sequence: some clients send 0 */
                 {8, 4, 1000, FERRY_E_PROTOCOL},
                 {8, 4, 49, FERRY_E_INVALID}};
    struct ferry_prng r;
    ferry_prng_seed(&r, 17);
    struct made m = make(&r, 3, false);
    struct ferry_batch b;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *bytes = exact(&m), v[8];
        ferry_put64(v, cases[i].value);
        memcpy(bytes + cases[i].at, v + 8 - cases[i].width, (size_t)cases[i].width);
        ferry_build_crc(bytes, m.size);
        CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){bytes, m.size}, &b, &err),
                  cases[i].rc);
        if (cases[i].rc == 0) {
            bytes[m.size - 1] ^= 1;
            CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){bytes, m.size}, &b, &err),
                      FERRY_E_CRC);
        }
        free(bytes);
    }
    CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){NULL, 0}, &b, &err),
              FERRY_E_PROTOCOL);
    uint8_t *twice = malloc(2 * m.size);
    memcpy(twice, m.bytes, m.size);
    memcpy(twice + m.size, m.bytes, m.size);
    CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){twice, 2 * m.size}, &b, &err),
              FERRY_E_INVALID);
    for (size_t n = 0; n < m.size; n++)
        CHECK(ferry_batch_check_produced((struct ferry_bytes){twice, n}, &b, &err) < 0);
    free(twice);
    unmake(&m);
}

static void markers(void)
{
    uint8_t bytes[FERRY_BUILD_MARKER_SIZE];
    struct ferry_batch b;
    struct ferry_batch_iter it;
    struct ferry_batch_record rec;
    int32_t epoch;
    ferry_build_marker(bytes, FERRY_CONTROL_COMMIT, 4711, 3, 12, base_time);
    CHECK_INT(ferry_batch_parse(bytes, sizeof bytes, &b, &err), 0);
    CHECK_INT(ferry_batch_check_crc(&b, &err), 0);
    CHECK(ferry_batch_is_control(&b) && ferry_batch_is_transactional(&b));
    CHECK_INT(ferry_batch_iter_init(&it, &b, b.records, 0, INT64_MAX, &err), 0);
    CHECK_INT(ferry_batch_iter_next(&it, &rec, &err), 1);
    CHECK_INT(ferry_batch_control_type(&rec, &err), FERRY_CONTROL_COMMIT);
    CHECK_INT(ferry_batch_marker_epoch(&rec, &epoch, &err), 0);
    CHECK_INT(epoch, 12);
    CHECK_INT(ferry_batch_iter_next(&it, &rec, &err), 0);
    rec.key.len = 3;
    CHECK_INT(ferry_batch_control_type(&rec, &err), FERRY_E_PROTOCOL);
    rec.value.data = NULL;
    CHECK_INT(ferry_batch_marker_epoch(&rec, &epoch, &err), FERRY_E_PROTOCOL);
}

int main(void)
{
    TAP_RUN(records_round_trip);
    TAP_RUN(encoders_agree);
    TAP_RUN(windows);
    TAP_RUN(hostile_headers);
    TAP_RUN(hostile_records);
    TAP_RUN(both_decoders_agree);
    TAP_RUN(leftovers_and_counts);
    TAP_RUN(patches_keep_the_checksum);
    TAP_RUN(what_may_be_produced);
    TAP_RUN(markers);
    return tap_done();
}
