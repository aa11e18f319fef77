/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Message sets of version 0 and 1 made by hand, plain and wrapped, right and wrong. */
#include "record/batch.h"
#include "record/crc32c.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

static struct ferry_error err;

/* Appends a message; wrapped messages are "compressed" by codec 1 in name only: the test hands their expanded bytes over
 * itself. */
static uint8_t *add(uint8_t *at, int magic, int attributes, int64_t offset, int64_t time,
                    struct ferry_bytes key, struct ferry_bytes value)
{
    uint8_t *p = at + 12 + 4;
    *p++ = (uint8_t)magic;
    *p++ = (uint8_t)attributes;
    if (magic == 1) {
        ferry_put64(p, (uint64_t)time);
        p += 8;
    }
    struct ferry_bytes fields[2] = {key, value};
    for (int i = 0; i < 2; i++) {
        ferry_put32(p, fields[i].data ? (uint32_t)fields[i].len : UINT32_MAX);
        p += 4;
        if (fields[i].len)
            memcpy(p, fields[i].data, fields[i].len);
        p += fields[i].len;
    }
    ferry_put64(at, (uint64_t)offset);
    ferry_put32(at + 8, (uint32_t)(p - at - 12));
    ferry_put32(at + 12, ferry_crc32(0, at + 16, (size_t)(p - at - 16)));
    return p;
}

static struct ferry_bytes text(const char *s)
{
    return (struct ferry_bytes){(const uint8_t *)s, s ? strlen(s) : 0};
}

/* Parses the one message in [at, end) and begins to iterate over `records` (its own if NULL). */
static int begin(struct ferry_batch_iter *it, struct ferry_batch *b, const uint8_t *at,
                 const uint8_t *end, struct ferry_bytes records, int64_t from, int64_t upto)
{
    int rc = ferry_batch_parse(at, (size_t)(end - at), b, &err);
    if (rc < 0 || (rc = ferry_batch_check_crc(b, &err)) < 0)
        return rc;
    return ferry_batch_iter_init(it, b, records.data ? records : b->records, from, upto, &err);
}

static void plain_messages(void)
{
    for (int magic = 0; magic < 2; magic++) {
        uint8_t set[500], *at = set;
        for (int i = 0; i < 3; i++)
            at = add(at, magic, 0, 100 + 5 * i, 7000 + i, i == 1 ? text(NULL) : text("k"),
                     i == 2 ? text(NULL) : text("value"));
        struct ferry_batch_set walker;
        struct ferry_batch b;
        struct ferry_batch_iter it;
        struct ferry_batch_record r;
        int n = 0;
        ferry_batch_set_init(&walker, (struct ferry_bytes){set, (size_t)(at - set)});
        while (ferry_batch_set_next(&walker, &b, &err) > 0) {
            CHECK_INT(b.magic, magic);
            CHECK_INT(b.count, 1);
            CHECK_INT(b.producer_id, -1);
            CHECK_INT(b.base_offset, 100 + 5 * n);
            CHECK_INT(ferry_batch_check_crc(&b, &err), 0);
            CHECK_INT(ferry_batch_iter_init(&it, &b, b.records, 0, INT64_MAX, &err), 0);
            CHECK_INT(ferry_batch_iter_next(&it, &r, &err), 1);
            CHECK_INT(r.offset, 100 + 5 * n);
            CHECK_INT(r.timestamp, magic ? 7000 + n : -1);
            CHECK_INT(r.header_count, 0);
            CHECK(!r.key.data == (n == 1) && !r.value.data == (n == 2));
            CHECK_INT(ferry_batch_iter_next(&it, &r, &err), 0);
            CHECK_INT(ferry_batch_iter_next(&it, &r, &err), 0);
            n++;
        }
        CHECK_INT(n, 3);
        set[20] ^= 1;
        CHECK_INT(ferry_batch_parse(set, sizeof set, &b, &err) || ferry_batch_check_crc(&b, &err),
                  1);
    }
}

/* Three inner messages; the wrapper says 1002. Version 0 has the offsets inside, version 1 relative ones. */
static void wrappers(void)
{
    for (int magic = 0; magic < 2; magic++)
        for (int append_time = 0; append_time <= magic; append_time++) {
            uint8_t inner[500], outer[500], *at = inner, *end;
            for (int i = 0; i < 3; i++)
                at = add(at, magic, 0, magic ? i : 1000 + i, 50 + i, text("k"), text("v"));
            struct ferry_bytes expanded = {inner, (size_t)(at - inner)};
            end = add(outer, magic, 1 | append_time << 3, 1002, 99, text(NULL), text("packed"));
            for (int64_t from = 998; from < 1005; from++)
                for (int64_t upto = from; upto < 1005; upto++) {
                    struct ferry_batch b;
                    struct ferry_batch_iter it;
                    struct ferry_batch_record r;
                    int rc;
                    CHECK_INT(begin(&it, &b, outer, end, expanded, from, upto), 0);
                    CHECK_INT(b.count, -1);
                    CHECK_INT(ferry_batch_codec(&b), 1);
                    CHECK_INT(b.records.len, 6);
                    int64_t expect = from < 1000 ? 1000 : from;
                    while ((rc = ferry_batch_iter_next(&it, &r, &err)) > 0) {
                        CHECK_INT(r.offset, expect++);
                        CHECK_INT(r.timestamp, !magic        ? -1
                                               : append_time ? 99
                                                             : 50 + r.offset - 1000);
                    }
                    CHECK_INT(rc, 0);
                    CHECK_INT(expect, upto < 1000 || from > 1002 ? (from < 1000 ? 1000 : from)
                                      : upto > 1003              ? 1003
                                                                 : upto);
                }
        }
}

/* What the iterator says of a wrapper of version 1 at offset 10 with these inner messages. */
static int read_wrapped(const uint8_t *inner, const uint8_t *inner_end, int *count)
{
    uint8_t outer[500], *end = add(outer, 1, 2, 10, 99, text(NULL), text("packed"));
    size_t len = (size_t)(inner_end - inner);
    uint8_t *copy = memcpy(malloc(len ? len : 1), inner, len);
    struct ferry_batch b;
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    *count = 0;
    err.text[0] = 0;
    int rc = begin(&it, &b, outer, end, (struct ferry_bytes){copy, len}, 0, INT64_MAX);
    while (rc >= 0 && (rc = ferry_batch_iter_next(&it, &r, &err)) > 0)
        ++*count;
    free(copy);
    return rc;
}

static void hostile_wrappers(void)
{
    uint8_t set[500], *at;
    int n;
    at = add(set, 1, 0, 11, 0, text("k"), text("v")); /* beyond the wrapper's own */
    CHECK_INT(read_wrapped(set, at, &n), FERRY_E_PROTOCOL);
    CHECK(strstr(err.text, "relative offset 11"));
    at = add(set, 1, 0, -1, 0, text("k"), text("v"));
    CHECK_INT(read_wrapped(set, at, &n), FERRY_E_PROTOCOL);
    at = add(set, 0, 0, 0, 0, text("k"), text("v"));
    CHECK_INT(read_wrapped(set, at, &n), FERRY_E_PROTOCOL);
    CHECK(strstr(err.text, "differs from its wrapper"));
    at = add(set, 1, 3, 0, 0, text("k"), text("v"));
    CHECK_INT(read_wrapped(set, at, &n), FERRY_E_PROTOCOL);
    CHECK(strstr(err.text, "inside a compressed message"));
    at = add(set, 1, 0, 0, 0, text("k"), text("v"));
    CHECK_INT(read_wrapped(set, at - 1, &n), FERRY_E_PROTOCOL);
    CHECK_INT(read_wrapped(set, set + 17, &n), FERRY_E_PROTOCOL);
    CHECK_INT(read_wrapped(set, set, &n), 0); /* nothing inside */
    CHECK_INT(n, 0);
    ferry_put32(set + 8, 0x7fffffff);
    CHECK_INT(read_wrapped(set, at, &n), FERRY_E_PROTOCOL);
    ferry_put32(set + 8, 0xffffffff);
    CHECK_INT(read_wrapped(set, at, &n), FERRY_E_PROTOCOL);
    ferry_put32(set + 8, 0);
    CHECK_INT(read_wrapped(set, at, &n), FERRY_E_PROTOCOL);
    /* Out of order: what would go back is left out. */
    at = add(set, 1, 0, 0, 0, text("k"), text("v"));
    at = add(at, 1, 0, 5, 0, text("k"), text("v"));
    at = add(at, 1, 0, 3, 0, text("k"), text("v"));
    at = add(at, 1, 0, 6, 0, text("k"), text("v"));
    CHECK_INT(read_wrapped(set, at, &n), 0);
    CHECK_INT(n, 3);
}

static void hostile_messages(void)
{
    static const struct {
        int at, width;
        uint64_t value;
    } lies[] = {{0, 8, UINT64_MAX},  {0, 8, INT64_MAX},   {8, 4, 13},          {8, 4, 21},
                {8, 4, 23},          {26, 4, 100},        {26, 4, 5},          {26, 4, 0},
                {26, 4, 0x80000000}, {26, 4, 0xfffffffe}, {31, 4, 0x7fffffff}, {31, 4, 0},
                {31, 4, 2}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        uint8_t set[100] = {0}, v[8], *end = add(set, 1, 0, 10, 99, text("k"), text("v"));
        struct ferry_batch b;
        ferry_put64(v, lies[i].value);
        memcpy(set + lies[i].at, v + 8 - lies[i].width, (size_t)lies[i].width);
        err.text[0] = 0;
        if (ferry_batch_parse(set, (size_t)(end - set), &b, &err) != FERRY_E_PROTOCOL ||
            !err.text[0])
            tap_fail_int(__FILE__, __LINE__, "a lie is believed", (long long)i, -1);
    }
    uint8_t set[100], *end = add(set, 1, 1, 10, 99, text("k"), text(NULL));
    struct ferry_batch b;
    CHECK_INT(ferry_batch_parse(set, (size_t)(end - set), &b, &err), FERRY_E_PROTOCOL);
    CHECK(strstr(err.text, "no value"));
    CHECK_INT(ferry_batch_check_produced((struct ferry_bytes){set, (size_t)(end - set)}, &b, &err),
              FERRY_E_UNSUPPORTED);
}

int main(void)
{
    TAP_RUN(plain_messages);
    TAP_RUN(wrappers);
    TAP_RUN(hostile_wrappers);
    TAP_RUN(hostile_messages);
    return tap_done();
}
