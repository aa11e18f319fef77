/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the batch target without a fuzzer: mutations of the vectors, and of what each codec makes.
 *
 *   batch [COUNT [SEED]]    COUNT mutations of each input (default 1000; a tenth with sanitizers)
 *   batch --files FILE...   inputs that a fuzzer kept
 */
#include "config.h"

#include "base/prng.h"
#include "tests/fuzz/batch.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_MAX = 1 << 16 };
static unsigned long count = 1000, seed = 1;
static struct ferry_codecs *codecs;

static size_t load(const char *name, uint8_t *into)
{
    char path[1024];
    const char *top = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/vectors/record/%s.bin", top ? top : "..", name);
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(into, 1, INPUT_MAX, f) : 0;
    if (f)
        fclose(f);
    return n;
}

/* A changed copy, in memory of just its size. */
static uint8_t *mutate(struct ferry_prng *r, const uint8_t *from, size_t *len)
{
    static const uint8_t edges[] = {0, 1, 2, 0x3f, 0x7f, 0x80, 0x81, 0xfe, 0xff};
    size_t n = *len;
    if (ferry_prng_chance(r, 1, 8))
        n = ferry_prng_below(r, n + 1);
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, from, n);
    for (uint64_t k = n ? ferry_prng_below(r, 5) : 0; k; k--) {
        size_t at = ferry_prng_below(r, ferry_prng_chance(r, 1, 3) && n > 100 ? 100 : n);
        switch (ferry_prng_below(r, 4)) {
        case 0:
            copy[at] ^= (uint8_t)(1 << ferry_prng_below(r, 8));
            break;
        case 1:
            copy[at] = edges[ferry_prng_below(r, sizeof edges)];
            break;
        case 2:
            copy[at] = (uint8_t)ferry_prng_next(r);
            break;
        default:
            memmove(copy + at, copy + ferry_prng_below(r, at + 1), (n - at) / 2);
        }
    }
    *len = n;
    return copy;
}

static const char *const names[] = {
    "v0-none",          "v0-gzip",          "v0-snappy", "v0-lz4",          "v1-none",
    "v1-gzip",          "v1-snappy",        "v1-lz4",    "v2-none",         "v2-gzip",
    "v2-snappy",        "v2-lz4",           "v2-zstd",   "append-time-lz4", "v2-snappy-bare",
    "append-time-none", "control-and-empty"};

static void mutated_batches(void)
{
    static uint8_t input[INPUT_MAX];
    struct ferry_prng r;
    unsigned long records = 0, rounds = 0;
    ferry_prng_seed(&r, seed);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t whole = load(names[i], input);
        CHECK(whole > 100);
        for (unsigned long n = 0; n < count; n++, rounds++) {
            size_t len = whole;
            uint8_t *copy = mutate(&r, input, &len);
            const char *bad =
                fuzz_batch_set(codecs, (struct ferry_bytes){copy, len}, n % 8, &records);
            free(copy);
            if (bad) {
                tap_fail(__FILE__, __LINE__, bad);
                printf("# %s, mutation %lu, seed %lu\n", names[i], n, seed);
                return;
            }
        }
    }
    printf("# %lu mutations, %lu records read in them\n", rounds, records);
    CHECK(records > rounds);
}

static void mutated_compression(void)
{
    static uint8_t plain[100000];
    struct ferry_prng r;
    ferry_prng_seed(&r, seed);
    for (int codec = 1; codec < FERRY_CODEC_COUNT; codec++) {
        unsigned long expanded = 0;
        for (unsigned long n = 0; n < count; n++) {
            struct ferry_slab *made = NULL;
            struct ferry_bytes part = {plain, ferry_prng_below(&r, n % 50 ? 300 : sizeof plain)};
            for (size_t i = 0; i < part.len; i++)
                plain[i] = (uint8_t)(i % 7 ? plain[i ? i - 1 : 0] : ferry_prng_next(&r));
            if (ferry_compress(codecs, codec, FERRY_CODEC_LEVEL_DEFAULT, &part, 1, &made, NULL) ==
                FERRY_E_UNSUPPORTED)
                break;
            CHECK(made);
            size_t len = made->len;
            uint8_t *copy = mutate(&r, made->data, &len);
            const char *bad =
                fuzz_batch_expand(codecs, codec, (struct ferry_bytes){copy, len}, &expanded);
            free(copy);
            ferry_slab_unref(made);
            if (bad) {
                tap_fail(__FILE__, __LINE__, bad);
                printf("# %s, mutation %lu, seed %lu\n", ferry_codec_name(codec), n, seed);
                return;
            }
        }
        printf("# %s: %lu of %lu mutations still expand\n", ferry_codec_name(codec), expanded,
               count);
        CHECK(expanded < count);
    }
}

/* Noise as each thing in turn, through the entry that a fuzzer uses. */
static void noise(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, seed);
    for (unsigned long n = 0; n < count * 10; n++) {
        size_t len = ferry_prng_below(&r, 200);
        uint8_t *bytes = malloc(len + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(ferry_prng_next(&r) >> ferry_prng_below(&r, 60));
        if (len > 17)
            bytes[17] = (uint8_t)ferry_prng_below(&r, 4);
        LLVMFuzzerTestOneInput(bytes, len);
        free(bytes);
    }
}

static int run_files(int argc, char **argv)
{
    static uint8_t buf[1 << 20];
    for (int i = 0; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            perror(argv[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput(buf, fread(buf, 1, sizeof buf, f));
        fclose(f);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--files"))
        return run_files(argc - 2, argv + 2);
    if (argc > 1)
        count = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoul(argv[2], NULL, 10);
#ifdef FERRY_SANITIZED
    count = (count + 9) / 10;
#endif
    codecs = ferry_codecs_new();
    TAP_RUN(mutated_batches);
    TAP_RUN(mutated_compression);
    TAP_RUN(noise);
    ferry_codecs_free(codecs);
    return tap_done();
}
