/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the record module costs: ns per record to encode and to iterate, GB/s of checksum and codecs.
 *
 *   record_bench                    everything
 *   record_bench encode|iterate|walk RECORDS [VALUE]    one of them over RECORDS records, for a profiler that counts
 *                                   instructions (tests/bench/record_instr.sh takes the difference of two counts)
 */
#include "config.h"

#include "base/prng.h"
#include "record/build.h"
#include "record/compress.h"
#include "record/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 1 << 20, ROUNDS = 7 };
static uint8_t batch[BATCH + 4096], payload[65536];
static uint64_t sink; /* keeps results alive */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Fills the batch; how many records it took. */
static int encode_batch(size_t value_len, size_t key_len, size_t *size)
{
    struct ferry_build_record r = {.value = {payload, value_len},
                                   .key = {key_len ? payload : NULL, key_len}};
    size_t max = ferry_build_record_max(&r);
    uint8_t *at = batch + FERRY_BATCH_HEADER;
    int count = 0;
    while ((size_t)(batch + BATCH - at) >= max) {
        r.value.data = payload + (count & 1023);
        at = ferry_build_record(at, &r, count >> 8, count);
        count++;
    }
    *size = (size_t)(at - batch);
    struct ferry_build_header h = {
        .last_offset_delta = count - 1, .count = count, .producer_id = -1};
    ferry_build_header(batch, &h, *size);
    return count;
}

static int iterate_batch(size_t size)
{
    struct ferry_batch b;
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    int count = 0;
    if (ferry_batch_parse(batch, size, &b, NULL) < 0 ||
        ferry_batch_iter_init(&it, &b, b.records, 0, INT64_MAX, NULL) < 0)
        abort();
    while (ferry_batch_iter_next(&it, &r, NULL) > 0) {
        sink += r.value.len + (uint64_t)r.offset;
        count++;
    }
    return count;
}

static int walk_batch(size_t size)
{
    struct ferry_batch b;
    struct ferry_batch_walked walked;
    if (ferry_batch_parse(batch, size, &b, NULL) < 0 ||
        ferry_batch_walk(&b, b.records, FERRY_BATCH_WALK_DENSE, &walked, NULL) < 0)
        abort();
    return walked.count;
}

static void records(size_t value_len, size_t key_len)
{
    double best[4] = {1e18, 1e18, 1e18, 1e18};
    int count = 0;
    size_t size = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double t[5];
        t[0] = now_ns();
        for (int i = 0; i < 8; i++)
            count = encode_batch(value_len, key_len, &size);
        t[1] = now_ns();
        for (int i = 0; i < 8; i++)
            iterate_batch(size);
        t[2] = now_ns();
        for (int i = 0; i < 8; i++)
            walk_batch(size);
        t[3] = now_ns();
        for (int i = 0; i < 8; i++)
            ferry_build_crc(batch, size);
        t[4] = now_ns();
        for (int k = 0; k < 4; k++)
            best[k] = t[k + 1] - t[k] < best[k] ? t[k + 1] - t[k] : best[k];
    }
    printf("value %5zu key %2zu: encode %6.2f ns, iterate %5.2f ns, walk %5.2f ns, crc %5.2f ns a "
           "record\n",
           value_len, key_len, best[0] / 8 / count, best[1] / 8 / count, best[2] / 8 / count,
           best[3] / 8 / count);
}

static void checksums(void)
{
    static const size_t sizes[] = {64, 1024, 16384, BATCH};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i], times = (64u << 20) / n;
        double best[3] = {1e18, 1e18, 1e18};
        for (int round = 0; round < ROUNDS; round++) {
            double t[4];
            t[0] = now_ns();
            for (size_t k = 0; k < times; k++)
                sink += ferry_crc32c((uint32_t)sink, batch, n);
            t[1] = now_ns();
            for (size_t k = 0; k < times / 8 + 1; k++)
                sink += ferry_crc32c_portable((uint32_t)sink, batch, n);
            t[2] = now_ns();
            for (size_t k = 0; k < 1000; k++)
                sink += ferry_crc32c_shift((uint32_t)sink, n);
            t[3] = now_ns();
            for (int k = 0; k < 3; k++)
                best[k] = t[k + 1] - t[k] < best[k] ? t[k + 1] - t[k] : best[k];
        }
        printf("crc32c of %7zu bytes: %6.2f GB/s, portable %5.2f GB/s; shift %4.0f ns\n", n,
               (double)(times * n) / best[0], (double)((times / 8 + 1) * n) / best[1],
               best[2] / 1000);
    }
}

/* Records as programs send them: JSON whose numbers change. */
static size_t fill_json(void)
{
    struct ferry_prng r;
    uint8_t *at = batch + FERRY_BATCH_HEADER;
    ferry_prng_seed(&r, 1);
    for (int i = 0; at < batch + BATCH - 300; i++) {
        char text[256];
        int n = snprintf(
            text, sizeof text,
            "{\"id\":%d,\"user\":\"user-%llu\",\"event\":\"page_view\",\"at\":%llu,\"price\":%llu}",
            i, (unsigned long long)ferry_prng_below(&r, 10000), 1700000000000ull + (unsigned)i * 7,
            (unsigned long long)ferry_prng_below(&r, 100000));
        struct ferry_build_record rec = {.value = {(uint8_t *)text, (size_t)n}};
        at = ferry_build_record(at, &rec, i * 7, i);
    }
    return (size_t)(at - batch);
}

static void codecs(void)
{
    size_t size = fill_json();
    struct ferry_bytes in = {batch + FERRY_BATCH_HEADER, size - FERRY_BATCH_HEADER};
    struct ferry_codecs *c = ferry_codecs_new();
    for (int codec = 1; codec < FERRY_CODEC_COUNT; codec++) {
        struct ferry_slab *packed = NULL, *plain = NULL;
        double pack = 1e18, unpack = 1e18;
        if (ferry_codec_available(codec, NULL) < 0)
            continue;
        for (int round = 0; round < ROUNDS; round++) {
            if (packed)
                packed->len = plain->len = 0;
            double a = now_ns();
            int rc = ferry_compress(c, codec, FERRY_CODEC_LEVEL_DEFAULT, &in, 1, &packed, NULL);
            double b = now_ns();
            rc |= ferry_decompress(c, codec, (struct ferry_bytes){packed->data, packed->len}, BATCH,
                                   &plain, NULL);
            double d = now_ns();
            if (rc || plain->len != in.len)
                abort();
            pack = b - a < pack ? b - a : pack;
            unpack = d - b < unpack ? d - b : unpack;
        }
        printf("%-6s compress %5.0f MB/s to %4.1f%%, decompress %5.0f MB/s\n",
               ferry_codec_name(codec), (double)in.len * 1e3 / pack,
               100.0 * (double)packed->len / (double)in.len, (double)in.len * 1e3 / unpack);
        ferry_slab_unref(packed);
        ferry_slab_unref(plain);
    }
    ferry_codecs_free(c);
}

/* One thing, for a profiler. */
static int one(const char *what, long wanted, size_t value_len)
{
    size_t size;
    int (*run)(size_t) = !strcmp(what, "iterate") ? iterate_batch
                         : !strcmp(what, "walk")  ? walk_batch
                                                  : NULL;
    if (!run && strcmp(what, "encode"))
        return 1;
    int count = encode_batch(value_len, 0, &size);
    for (long done = 0; done < wanted; done += count)
        count = run ? run(size) : encode_batch(value_len, 0, &size);
    printf("%ld\n", (wanted + count - 1) / count * count);
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7919 >> 5);
    if (argc >= 3)
        return one(argv[1], atol(argv[2]), argc > 3 ? (size_t)atol(argv[3]) : 100);
    records(10, 0);
    records(100, 0);
    records(100, 8);
    records(1024, 0);
    records(16384, 0);
    checksums();
    codecs();
    return (int)(sink & 0);
}
