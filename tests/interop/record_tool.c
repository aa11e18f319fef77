/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our side of the cross check with RecordTool.java.
 *
 *   record_tool read FILE.bin...        prints each one's records to FILE.ours
 *   record_tool write DIR SEED COUNT    random batches with every codec and many levels: NAME.bin
 */
#include "config.h"

#include "base/prng.h"
#include "record/build.h"
#include "tests/lib/record_text.h"

#include <stdlib.h>

enum { LIMIT = 64 << 20, BATCH_MAX = 4 << 20, PAYLOAD = 200000 };

static struct ferry_codecs *codecs;
static struct ferry_error err;
static uint8_t payload[PAYLOAD];

static int read_file(const char *path)
{
    static uint8_t bytes[BATCH_MAX];
    char name[1024];
    size_t stem = strlen(path) - 3;
    FILE *in = fopen(path, "rb");
    snprintf(name, sizeof name, "%.*sours", (int)stem, path);
    FILE *out = fopen(name, "w");
    if (!in || !out) {
        perror(path);
        return 1;
    }
    struct ferry_bytes set = {bytes, fread(bytes, 1, sizeof bytes, in)};
    int rc = record_text(out, codecs, set, LIMIT, &err);
    if (rc < 0)
        fprintf(out, "error %s\n", err.text);
    fclose(in);
    fclose(out);
    return 0;
}

static struct ferry_bytes field(struct ferry_prng *r, size_t max)
{
    if (ferry_prng_chance(r, 1, 8))
        return (struct ferry_bytes){NULL, 0};
    size_t n = ferry_prng_below(r, ferry_prng_chance(r, 1, 4) ? max : 60);
    return (struct ferry_bytes){payload + ferry_prng_below(r, PAYLOAD - n), n};
}

static uint8_t *add_record(struct ferry_prng *r, uint8_t *at, int index, size_t max)
{
    struct ferry_build_field fields[3];
    struct ferry_build_record rec = {
        .key = field(r, 200), .value = field(r, max), .fields = fields};
    rec.field_count = ferry_prng_chance(r, 1, 3) ? (int32_t)ferry_prng_below(r, 4) : 0;
    for (int i = 0; i < rec.field_count; i++) {
        static const char names[] = "trace-id-and-more";
        fields[i].key = (struct ferry_str){names, ferry_prng_below(r, sizeof names)};
        fields[i].value = field(r, 300);
    }
    int64_t delta = ferry_prng_chance(r, 1, 10) ? ferry_prng_between(r, -1600000000000, 1LL << 50)
                                                : ferry_prng_between(r, -100, 20000);
    return ferry_build_record(at, &rec, delta, index);
}

/* A random batch at `batch`, compressed in one or several parts; its size, or 0. */
static size_t make(struct ferry_prng *r, uint8_t *batch, int codec)
{
    static uint8_t plain[BATCH_MAX];
    int count = 1 + (int)ferry_prng_below(r, ferry_prng_chance(r, 1, 5) ? 400 : 20), level, low,
        high;
    size_t max = ferry_prng_chance(r, 1, 20) ? 80000 : 500;
    uint8_t *at = plain;
    int made = 0;
    while (made < count && at < plain + BATCH_MAX - 400000)
        at = add_record(r, at, made++, max);
    size_t len = (size_t)(at - plain), cut = ferry_prng_below(r, len + 1);
    struct ferry_bytes parts[2] = {{plain, cut}, {plain + cut, len - cut}};
    struct ferry_slab *out = NULL;
    level = FERRY_CODEC_LEVEL_DEFAULT;
    if (ferry_codec_levels(codec, &low, &high, &level))
        level = ferry_prng_chance(r, 1, 2) ? level
                                           : (int)ferry_prng_between(r, low < -7 ? -7 : low, high);
    int rc = ferry_compress(codecs, codec, level, parts, 2, &out, &err);
    if (rc < 0) {
        fprintf(stderr, "record_tool: %s\n", err.text);
        return 0;
    }
    memcpy(batch + FERRY_BATCH_HEADER, out->data, out->len);
    size_t size = FERRY_BATCH_HEADER + out->len;
    ferry_slab_unref(out);
    struct ferry_build_header h = {.base_offset = (int64_t)ferry_prng_below(r, 1LL << 40),
                                   .base_timestamp = 1700000000000,
                                   .max_timestamp = 1700000000000 + (1LL << 51),
                                   .producer_id = -1,
                                   .producer_epoch = -1,
                                   .base_sequence = -1,
                                   .leader_epoch = (int32_t)ferry_prng_below(r, 9),
                                   .last_offset_delta = made - 1,
                                   .count = made,
                                   .attributes = (uint16_t)codec};
    ferry_build_header(batch, &h, size);
    ferry_build_crc(batch, size);
    if (ferry_prng_chance(r, 1, 3))
        ferry_batch_patch_producer(batch, size, 77, 3, 1000, ferry_prng_chance(r, 1, 2));
    if (ferry_prng_chance(r, 1, 5))
        ferry_batch_patch_append_time(batch, size, 1700000012345);
    return size;
}

static int write_all(const char *dir, uint64_t seed, int count)
{
    static uint8_t batch[2 * BATCH_MAX];
    struct ferry_prng r;
    ferry_prng_seed(&r, seed);
    for (size_t i = 0; i < PAYLOAD; i++)
        payload[i] =
            i / 1000 % 3 ? (uint8_t) "the quick brown fox "[i % 20] : (uint8_t)ferry_prng_next(&r);
    for (int i = 0; i < count; i++) {
        int codec = i % FERRY_CODEC_COUNT;
        if (ferry_codec_available(codec, NULL) < 0)
            continue;
        size_t size = make(&r, batch, codec);
        char path[1024];
        snprintf(path, sizeof path, "%s/ours-%04d-%s.bin", dir, i, ferry_codec_name(codec));
        FILE *f = fopen(path, "wb");
        if (!size || !f || fwrite(batch, 1, size, f) != size || fclose(f)) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    int failed = argc < 3;
    codecs = ferry_codecs_new();
    if (argc >= 3 && !strcmp(argv[1], "read"))
        for (int i = 2; i < argc && !failed; i++)
            failed = read_file(argv[i]);
    else if (argc == 5 && !strcmp(argv[1], "write"))
        failed = write_all(argv[2], strtoull(argv[3], NULL, 10), atoi(argv[4]));
    else
        failed = 1;
    ferry_codecs_free(codecs);
    if (failed)
        fprintf(stderr, "usage: record_tool read FILE... | write DIR SEED COUNT\n");
    return failed;
}
