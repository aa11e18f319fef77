/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Batches made by Kafka's own classes (tests/interop/RecordTool.java), of every magic and codec:
 * each reads as Kafka reads it, cut off anywhere it is no error, and changed anywhere it is
 * noticed.
 */
#include "base/prng.h"
#include "record/crc32c.h"
#include "tests/lib/record_text.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

static const char *const names[] = {
    "v0-none",         "v0-gzip",          "v0-snappy", "v0-lz4",  "v1-none",
    "v1-gzip",         "v1-snappy",        "v1-lz4",    "v2-none", "v2-gzip",
    "v2-snappy",       "v2-snappy-bare",   "v2-lz4",    "v2-zstd", "append-time-none",
    "append-time-lz4", "control-and-empty"};
enum { NAMES = sizeof names / sizeof *names, LIMIT = 1 << 20 };

static struct ferry_codecs *codecs;
static struct ferry_error err;

static struct vector {
    uint8_t *bytes;
    size_t len;
    char *text;
} vectors[NAMES];

static char *load(const char *name, const char *kind, size_t *len)
{
    char path[1024];
    const char *top = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/vectors/record/%s.%s", top ? top : "..", name, kind);
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *data = malloc(1 << 16);
    *len = fread(data, 1, (1 << 16) - 1, f);
    data[*len] = 0;
    fclose(f);
    return data;
}

/* A copy of just that size, for the sanitizers. */
static uint8_t *exact(const uint8_t *p, size_t len)
{
    return memcpy(malloc(len ? len : 1), p, len);
}

static bool readable(const struct vector *v)
{
    struct ferry_batch b;
    return ferry_batch_parse(v->bytes, v->len, &b, &err) == 0 &&
           ferry_codec_available(ferry_batch_codec(&b), &err) == 0;
}

static void vectors_are_there(void)
{
    for (int i = 0; i < NAMES; i++) {
        size_t text_len;
        vectors[i].bytes = (uint8_t *)load(names[i], "bin", &vectors[i].len);
        vectors[i].text = load(names[i], "txt", &text_len);
        CHECK(vectors[i].bytes && vectors[i].text && vectors[i].len > 100 && text_len > 100);
    }
}

static void each_reads_as_kafka_reads_it(void)
{
    for (int i = 0; i < NAMES; i++) {
        struct vector *v = &vectors[i];
        if (!readable(v))
            continue;
        char *text = NULL;
        size_t len;
        uint8_t *copy = exact(v->bytes, v->len);
        FILE *out = open_memstream(&text, &len);
        int rc = record_text(out, codecs, (struct ferry_bytes){copy, v->len}, LIMIT, &err);
        fclose(out);
        if (rc < 0)
            tap_fail(__FILE__, __LINE__, err.text);
        CHECK(rc > 0);
        CHECK_STR(text, v->text);
        free(text);
        free(copy);
    }
}

static void cut_off_is_the_end(void)
{
    for (int i = 0; i < NAMES; i++) {
        struct vector *v = &vectors[i];
        for (size_t len = 0; len < v->len && readable(v); len++) {
            uint8_t *copy = exact(v->bytes, len);
            struct ferry_batch_set set;
            struct ferry_batch b;
            size_t whole = 0;
            int rc;
            ferry_batch_set_init(&set, (struct ferry_bytes){copy, len});
            while ((rc = ferry_batch_set_next(&set, &b, &err)) > 0)
                whole += b.size;
            bool good = rc == 0 && whole + set.truncated == len &&
                        (set.truncated < FERRY_BATCH_PREFIX) == (set.wanted == 0) &&
                        (set.wanted == 0 || set.wanted > set.truncated);
            free(copy);
            CHECK(good);
        }
    }
}

static void every_changed_bit_is_noticed(void)
{
    /* All bits but of base offset, length and leader epoch, which no checksum covers. */
    for (int i = 0; i < NAMES; i++) {
        struct vector *v = &vectors[i];
        struct ferry_batch b;
        CHECK_INT(ferry_batch_parse(v->bytes, v->len, &b, &err), 0);
        uint8_t *copy = exact(v->bytes, b.size);
        size_t covered = b.magic == 2 ? 17 : 12;
        for (size_t bit = 8 * covered; bit < 8 * b.size; bit++) {
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct ferry_batch c;
            int rc = ferry_batch_parse(copy, b.size, &c, &err);
            if (rc == 0)
                rc = ferry_batch_check_crc(&c, &err);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(rc < 0);
        }
        free(copy);
    }
}

/* Makes the checksum of a changed batch right again, so that what is behind it meets the change. */
static void fix_crc(uint8_t *p, size_t len)
{
    if (len < 61)
        return;
    if (p[16] == 2)
        ferry_put32(p + 17, ferry_crc32c(0, p + 21, len - 21));
    else
        ferry_put32(p + 12, ferry_crc32(0, p + 16, len - 16));
}

static void mutations_are_errors_or_values(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, 5);
    int rounds = 0, errors = 0;
    for (int i = 0; i < NAMES; i++) {
        struct vector *v = &vectors[i];
        struct ferry_batch b;
        CHECK_INT(ferry_batch_parse(v->bytes, v->len, &b, &err), 0);
        for (int round = 0; round < 1000 && readable(v); round++) {
            uint8_t *copy = exact(v->bytes, b.size);
            for (uint64_t n = 1 + ferry_prng_below(&r, 4); n; n--) {
                size_t at = 12 + ferry_prng_below(&r, b.size - 12);
                static const uint8_t edges[] = {0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff};
                copy[at] = ferry_prng_chance(&r, 1, 2) ? edges[ferry_prng_below(&r, 8)]
                                                       : (uint8_t)ferry_prng_next(&r);
            }
            fix_crc(copy, b.size);
            struct ferry_bytes bytes = {copy, b.size};
            err.text[0] = 0;
            int rc = record_text(NULL, codecs, bytes, 100000, &err);
            errors += rc < 0;
            rounds++;
            bool good = rc >= 0 || (err.text[0] && err.code == rc);
            free(copy);
            CHECK(good);
        }
    }
    CHECK(errors > rounds / 4 && errors < rounds);
}

int main(void)
{
    codecs = ferry_codecs_new();
    TAP_RUN(vectors_are_there);
    TAP_RUN(each_reads_as_kafka_reads_it);
    TAP_RUN(cut_off_is_the_end);
    TAP_RUN(every_changed_bit_is_noticed);
    TAP_RUN(mutations_are_errors_or_values);
    ferry_codecs_free(codecs);
    for (int i = 0; i < NAMES; i++) {
        free(vectors[i].bytes);
        free(vectors[i].text);
    }
    return tap_done();
}
