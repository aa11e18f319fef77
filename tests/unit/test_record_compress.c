/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"
#include "base/prng.h"
#include "record/compress.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

static struct ferry_error err;
static struct ferry_codecs *codecs;

enum { DATA = 400 * 1000 };
static uint8_t data[DATA];

/* Text-like, runs, and noise in turn, so that literals, near and far copies and stored blocks all
 * occur. */
static void fill(struct ferry_prng *r)
{
    static const char *const words[] = {"partition", "offset", " ",     "leader epoch", "{\"id\":",
                                        "0000",      "\n",     "batch", "acknowledged", ","};
    for (size_t at = 0; at < DATA;) {
        unsigned kind = (unsigned)ferry_prng_below(r, 12);
        size_t n = ferry_prng_below(r, kind < 8 ? 400 : 9000);
        for (size_t i = 0; i < n && at < DATA;) {
            if (kind < 8) {
                const char *w = words[ferry_prng_below(r, 10)];
                while (*w && at < DATA)
                    data[at++] = (uint8_t)*w++;
                i += 6;
            } else if (kind < 10) {
                data[at++] = (uint8_t)ferry_prng_next(r);
                i++;
            } else {
                data[at] = at > 20 ? data[at - (kind == 10 ? 1 : 7)] : 'x';
                at++;
                i++;
            }
        }
    }
}

static bool round_trip(int codec, int level, size_t len, struct ferry_prng *r)
{
    size_t from = ferry_prng_below(r, DATA - len + 1);
    struct ferry_bytes parts[6];
    size_t count = 1 + ferry_prng_below(r, 6), left = len, at = from;
    for (size_t i = 0; i < count; i++) {
        size_t n = i + 1 == count ? left : ferry_prng_below(r, left + 1);
        parts[i] = (struct ferry_bytes){data + at, n};
        at += n;
        left -= n;
    }
    struct ferry_slab *packed = NULL, *out = NULL;
    bool good = ferry_compress(codecs, codec, level, parts, count, &packed, &err) == 0;
    uint8_t *exact = malloc(packed ? packed->len : 1);
    if (good) {
        memcpy(exact, packed->data, packed->len);
        struct ferry_bytes in = {exact, packed->len};
        /* The limit is exact: one byte less must fail, and leave what was there. */
        good = ferry_decompress(codecs, codec, in, len, &out, &err) == 0 && out->len == len &&
               !memcmp(out->data, data + from, len);
        if (good && len) {
            good = ferry_decompress(codecs, codec, in, len - 1, &out, &err) == FERRY_E_CODEC &&
                   strstr(err.text, "limit") && out->len == len;
            good = good && ferry_decompress(codecs, codec, in, len, &out, &err) == 0 &&
                   out->len == 2 * len && !memcmp(out->data + len, data + from, len);
        }
    }
    free(exact);
    ferry_slab_unref(packed);
    ferry_slab_unref(out);
    return good;
}

static void round_trips(int codec)
{
    if (ferry_codec_available(codec, &err) < 0) {
        tap_skip(err.text);
        return;
    }
    static const size_t sizes[] = {0,     1,     2,     15,    16,    17,    100,    4095,  32767,
                                   32768, 32769, 65535, 65536, 65537, 98304, 131072, 300000};
    struct ferry_prng r;
    ferry_prng_seed(&r, 77);
    fill(&r);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        CHECK(round_trip(codec, FERRY_CODEC_LEVEL_DEFAULT, sizes[i], &r));
    int min = 0, max = 0, standard = 0;
    bool levels = ferry_codec_levels(codec, &min, &max, &standard);
    for (int i = 0; i < 100; i++) {
        int level = levels && i % 4 == 0 ? (int)ferry_prng_between(&r, min < -5 ? -5 : min, max)
                                         : FERRY_CODEC_LEVEL_DEFAULT;
        CHECK(round_trip(codec, level, ferry_prng_below(&r, i % 10 ? 3000 : 150000), &r));
    }
    CHECK(round_trip(codec, INT32_MAX, 1000, &r));
    CHECK(round_trip(codec, INT32_MIN + 1, 1000, &r));
}

static void round_trips_none(void)
{
    round_trips(FERRY_CODEC_NONE);
}
static void round_trips_gzip(void)
{
    round_trips(FERRY_CODEC_GZIP);
}
static void round_trips_snappy(void)
{
    round_trips(FERRY_CODEC_SNAPPY);
}
static void round_trips_lz4(void)
{
    round_trips(FERRY_CODEC_LZ4);
}
static void round_trips_zstd(void)
{
    round_trips(FERRY_CODEC_ZSTD);
}

int main(void)
{
    codecs = ferry_codecs_new();
    TAP_RUN(round_trips_none);
    TAP_RUN(round_trips_gzip);
    TAP_RUN(round_trips_snappy);
    TAP_RUN(round_trips_lz4);
    TAP_RUN(round_trips_zstd);
    ferry_codecs_free(codecs);
    return tap_done();
}
