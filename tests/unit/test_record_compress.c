/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"
#include "base/prng.h"
#include "record/compress.h"
#include "tests/lib/tap.h"

#include <stdlib.h>
#ifdef HAVE_LZ4
#include <lz4frame.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

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

static void names_and_ranges(void)
{
    int min, max, standard;
    for (int i = 0; i < FERRY_CODEC_COUNT; i++)
        CHECK_INT(ferry_codec_find(ferry_str_of(ferry_codec_name(i))), i);
    CHECK_INT(ferry_codec_find(FERRY_STR("brotli")), -1);
    CHECK_INT(ferry_codec_find((struct ferry_str){NULL, 0}), -1);
    CHECK_STR(ferry_codec_name(5), "unknown");
    CHECK_INT(ferry_codec_available(5, &err), FERRY_E_INVALID);
    CHECK_INT(ferry_codec_available(-1, &err), FERRY_E_INVALID);
    CHECK(!ferry_codec_levels(FERRY_CODEC_NONE, &min, &max, &standard));
    CHECK(!ferry_codec_levels(FERRY_CODEC_SNAPPY, &min, &max, &standard));
    for (int i = 1; i < FERRY_CODEC_COUNT; i++) {
        struct ferry_slab *out = NULL;
        struct ferry_bytes in = {data, 10};
        if (ferry_codec_available(i, &err) == 0)
            continue;
        CHECK_INT(err.code, FERRY_E_UNSUPPORTED);
        CHECK(strstr(err.text, ferry_codec_name(i)) && strstr(err.text, "--without-"));
        CHECK_INT(ferry_compress(codecs, i, 1, &in, 1, &out, &err), FERRY_E_UNSUPPORTED);
        CHECK_INT(ferry_decompress(codecs, i, in, 100, &out, &err), FERRY_E_UNSUPPORTED);
        CHECK(!out && !ferry_codec_levels(i, &min, &max, &standard));
    }
}

static bool expands_to(int codec, const void *from, size_t len, const void *to, size_t to_len)
{
    struct ferry_slab *out = NULL;
    void *exact = memcpy(malloc(len), from, len);
    bool good = ferry_decompress(codecs, codec, (struct ferry_bytes){exact, len}, to_len, &out,
                                 &err) == 0 &&
                out->len == to_len && !memcmp(out->data, to, to_len);
    free(exact);
    ferry_slab_unref(out);
    return good;
}

static bool fails_with(int codec, const void *from, size_t len, const char *why)
{
    struct ferry_slab *out = NULL;
    void *exact = memcpy(malloc(len ? len : 1), from, len);
    bool good = ferry_decompress(codecs, codec, (struct ferry_bytes){exact, len}, 1000, &out,
                                 &err) == FERRY_E_CODEC &&
                strstr(err.text, why) && strstr(err.text, ferry_codec_name(codec)) &&
                (!out || out->len == 0);
    free(exact);
    ferry_slab_unref(out);
    return good;
}

/* What one codec makes of the same data twice in a row is read as one: members, frames, streams. */
static void several_in_a_row(void)
{
    for (int codec = 1; codec < FERRY_CODEC_COUNT; codec++) {
        if (ferry_codec_available(codec, NULL) < 0)
            continue;
        struct ferry_slab *out = NULL;
        struct ferry_bytes halves[2] = {{data, 70000}, {data + 70000, 333}};
        CHECK_INT(
            ferry_compress(codecs, codec, FERRY_CODEC_LEVEL_DEFAULT, &halves[0], 1, &out, &err), 0);
        CHECK_INT(
            ferry_compress(codecs, codec, FERRY_CODEC_LEVEL_DEFAULT, &halves[1], 1, &out, &err), 0);
        bool good = expands_to(codec, out->data, out->len, data, 70333);
        ferry_slab_unref(out);
        CHECK(good);
    }
}

#define S(literal) literal, sizeof(literal) - 1

static void snappy_by_hand(void)
{
    if (ferry_codec_available(FERRY_CODEC_SNAPPY, &err) < 0) {
        tap_skip(err.text);
        return;
    }
#define XERIAL "\x82SNAPPY\0\0\0\0\1\0\0\0\1"
    /* Each kind of element; a copy that overlaps itself; a copy with a distance of 32 bits. */
    CHECK(expands_to(2, S("\x0c\x10\x61\x62\x63\x64\x65\x09\x05\0!"), S("abcdeabcdea!")));
    CHECK(expands_to(2, S("\x0a\0x\x22\1\0"), S("xxxxxxxxxx")));
    CHECK(expands_to(2, S("\x08\x0c\x61\x62\x63\x64\x0f\4\0\0\0"), S("abcdabcd")));
    CHECK(expands_to(2, S("\4\xf0\3\x61\x62\x63\x64"), S("abcd")));
    CHECK(expands_to(2, S("\4\xfc\3\0\0\0\x61\x62\x63\x64"), S("abcd")));
    CHECK(expands_to(2, S("\0"), S("")));
    CHECK(fails_with(2, S(""), "size"));
    CHECK(fails_with(2, S("\xff\xff\xff\xff\x0f"), "size")); /* claims 4 GB */
    CHECK(fails_with(2, S("\xff\xff\xff\xff\xff\x0f"), "size"));
    CHECK(fails_with(2, S("\5\x0c\x61\x62\x63\x64"), "malformed"));           /* one byte short */
    CHECK(fails_with(2, S("\3\x0c\x61\x62\x63\x64"), "malformed"));           /* one too many */
    CHECK(fails_with(2, S("\x08\x0c\x61\x62\x63\x64\x01\x05"), "malformed")); /* before the start */
    CHECK(fails_with(2, S("\x08\x0c\x61\x62\x63\x64\x01\0"), "malformed"));   /* distance 0 */
    CHECK(fails_with(2, S("\x08\x0c\x61\x62\x63\x64\x0e\4"), "malformed"));   /* cut off */
    CHECK(fails_with(2, S("\4\xf4\xff"), "malformed"));
    CHECK(expands_to(2, S(XERIAL), S("")));
    CHECK(fails_with(2, S(XERIAL "\0\0\0\5\4\x0c\x61\x62\x63"), "malformed"));
    CHECK(fails_with(2, S(XERIAL "\0\0\0\6\4\x0c\x61\x62\x63"), "ends inside"));
    CHECK(fails_with(2, S(XERIAL "\xff\xff\xff\xff"), "ends inside"));
    CHECK(fails_with(2, S(XERIAL "\0"), "ends inside"));
    CHECK(fails_with(2, S(XERIAL "\0\0"), "ends inside"));
    CHECK(fails_with(2, S(XERIAL "\0\0\0"), "ends inside"));
}

/* Frames of every shape, made by the lz4 library's own frame functions. */
static void lz4_frames(void)
{
#ifdef HAVE_LZ4
    size_t cap = LZ4F_compressFrameBound(DATA, NULL) + 100;
    char *frame = malloc(cap);
    for (unsigned shape = 0; shape < 64; shape++) {
        LZ4F_preferences_t p = {0};
        p.frameInfo.blockMode = shape & 1 ? LZ4F_blockLinked : LZ4F_blockIndependent;
        p.frameInfo.contentChecksumFlag = shape & 2 ? LZ4F_contentChecksumEnabled : 0;
        p.frameInfo.blockChecksumFlag = shape & 4 ? LZ4F_blockChecksumEnabled : 0;
        p.frameInfo.contentSize = shape & 8 ? DATA : 0;
        p.frameInfo.blockSizeID = (LZ4F_blockSizeID_t)(LZ4F_max64KB + (shape >> 4));
        size_t n = LZ4F_compressFrame(frame, cap, data, DATA, &p);
        bool good = !LZ4F_isError(n) && expands_to(FERRY_CODEC_LZ4, frame, n, data, DATA);
        /* Each checksum is looked at. */
        size_t header = shape & 8 ? 14 : 6;
        frame[header] ^= 1;
        good = good && fails_with(FERRY_CODEC_LZ4, frame, n, "header checksum");
        frame[header] ^= 1;
        if (good && shape & 2) {
            frame[n - 1] ^= 1;
            good = !expands_to(FERRY_CODEC_LZ4, frame, n, data, DATA) &&
                   strstr(err.text, "content checksum");
            frame[n - 1] ^= 1;
        }
        if (good && shape & 4) {
            frame[header + 1 + 4 + 50] ^= 1;
            good = !expands_to(FERRY_CODEC_LZ4, frame, n, data, DATA) &&
                   strstr(err.text, "block's checksum");
            frame[header + 1 + 4 + 50] ^= 1;
        }
        /* A skippable frame in front, and bytes of no frame behind. */
        if (good) {
            memmove(frame + 11, frame, n);
            memcpy(frame, "\x52\x2a\x4d\x18\3\0\0\0abc", 11);
            memcpy(frame + 11 + n, "zzzz", 4);
            good = expands_to(FERRY_CODEC_LZ4, frame, n + 15, data, DATA);
        }
        if (!good)
            tap_fail_int(__FILE__, __LINE__, err.text, shape, -1);
    }
    free(frame);
#define LZ4 "\x04\x22\x4d\x18\x60\x40\x82"
    CHECK(fails_with(3, "\x04\x22\x4d\x18\x60\x40", 6, "too soon"));
    CHECK(fails_with(3, S(LZ4), "too soon"));
    CHECK(fails_with(3, S(LZ4 "\1\0\0"), "too soon"));
    CHECK(fails_with(3, S(LZ4 "\5\0\0\0\0\0\0\0"), "too soon"));
    CHECK(fails_with(3, S(LZ4 "\xff\xff\xff\x7f"), "larger than"));
    CHECK(fails_with(3, S(LZ4 "\3\0\0\0\xf0\xff\xff\0\0\0\0"), "is malformed"));
    CHECK(fails_with(3, S("\x04\x22\x4d\x18\x20\x40\x82"), "version"));
    CHECK(fails_with(3, S("\x04\x22\x4d\x18\x61\x40\x82"), "dictionary"));
    CHECK(fails_with(3, S("\x04\x22\x4d\x18\x60\x30\x82"), "block size"));
    CHECK(fails_with(3, S("abcdefgh"), "not a frame"));
    CHECK(fails_with(3, S(""), "too soon"));
    CHECK(expands_to(3, S(LZ4 "\3\0\0\x80\x61\x62\x63\0\0\0\0"), S("abc")));
    /* The header checksum of Kafka before 0.10, which took in the magic. */
    CHECK(expands_to(3, S("\x04\x22\x4d\x18\x60\x40\x1a\3\0\0\x80\x61\x62\x63\0\0\0\0"), S("abc")));
#else
    tap_skip("built without lz4");
#endif
}

/* As a stream writer makes them: no size stated, a large window. */
static void zstd_frames(void)
{
#ifdef HAVE_ZSTD
    size_t cap = ZSTD_compressBound(DATA);
    void *frame = malloc(cap);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    for (int window = 10; window <= 27; window += 17)
        for (int sum = 0; sum < 2; sum++) {
            ZSTD_CCtx_reset(c, ZSTD_reset_session_and_parameters);
            ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
            ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window);
            ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, sum);
            size_t n = ZSTD_compress2(c, frame, cap, data, DATA);
            if (ZSTD_isError(n) || !expands_to(FERRY_CODEC_ZSTD, frame, n, data, DATA))
                tap_fail_int(__FILE__, __LINE__, err.text, window, sum);
            if (fails_with(FERRY_CODEC_ZSTD, frame, n - 1, "limit") == false)
                tap_fail(__FILE__, __LINE__, err.text);
        }
    ZSTD_freeCCtx(c);
    free(frame);
    CHECK(fails_with(FERRY_CODEC_ZSTD, "\x28\xb5\x2f\xfd\0", 5, "too soon"));
    CHECK(fails_with(FERRY_CODEC_ZSTD, "", 0, "too soon"));
    CHECK(fails_with(FERRY_CODEC_ZSTD, "abcdefgh", 8, ""));
#else
    tap_skip("built without zstd");
#endif
}

/* 200 MB of nothing, packed small, against a limit of 1 MB: an error, and no more memory than the limit. */
static void bombs(void)
{
    enum { PIECE = 1 << 20, PIECES = 200 };
    uint8_t *zeros = calloc(1, PIECE);
    struct ferry_bytes parts[PIECES];
    for (int i = 0; i < PIECES; i++)
        parts[i] = (struct ferry_bytes){zeros, PIECE};
    for (int codec = 1; codec < FERRY_CODEC_COUNT; codec++) {
        struct ferry_slab *packed = NULL, *out = NULL;
        if (ferry_codec_available(codec, NULL) < 0)
            continue;
        int level = codec == FERRY_CODEC_GZIP ? 1 : FERRY_CODEC_LEVEL_DEFAULT;
        CHECK_INT(ferry_compress(codecs, codec, level, parts,
                                 codec == FERRY_CODEC_GZIP ? 20 : PIECES, &packed, &err),
                  0);
        int rc = ferry_decompress(codecs, codec, (struct ferry_bytes){packed->data, packed->len},
                                  1 << 20, &out, &err);
        bool bounded = out->cap <= (1 << 20) + 1 && out->len == 0;
        ferry_slab_unref(packed);
        ferry_slab_unref(out);
        CHECK_INT(rc, FERRY_E_CODEC);
        CHECK(bounded && strstr(err.text, "limit of 1048576 bytes"));
    }
    free(zeros);
}

/* Every allocation fails once: an error each time, and the next try is as good as ever. */
static void lost_memory(void)
{
    for (int codec = 0; codec < FERRY_CODEC_COUNT; codec++) {
        if (ferry_codec_available(codec, NULL) < 0)
            continue;
        int failures = 0, rc = FERRY_E_NOMEM;
        for (uint64_t nth = 1; rc == FERRY_E_NOMEM && nth < 200; nth++) {
            struct ferry_slab *packed = NULL, *out = NULL;
            struct ferry_bytes in = {data, 100000};
            ferry_mem_fail_after(nth);
            struct ferry_codecs *own = ferry_codecs_new();
            rc = own ? ferry_compress(own, codec, FERRY_CODEC_LEVEL_DEFAULT, &in, 1, &packed, &err)
                     : FERRY_E_NOMEM;
            if (rc == 0)
                rc = ferry_decompress(own, codec, (struct ferry_bytes){packed->data, packed->len},
                                      100000, &out, &err);
            ferry_mem_fail_after(0);
            failures += rc == FERRY_E_NOMEM;
            if (own && rc == FERRY_E_NOMEM) {
                ferry_slab_unref(packed);
                packed = NULL;
                int again =
                    ferry_compress(own, codec, FERRY_CODEC_LEVEL_DEFAULT, &in, 1, &packed, &err);
                if (again == 0)
                    again = ferry_decompress(own, codec,
                                             (struct ferry_bytes){packed->data, packed->len},
                                             100000, &out, &err);
                if (again || out->len != 100000 || memcmp(out->data, data, 100000))
                    tap_fail_int(__FILE__, __LINE__, ferry_codec_name(codec), again, 0);
            }
            ferry_slab_unref(packed);
            ferry_slab_unref(out);
            ferry_codecs_free(own);
        }
        CHECK_INT(rc, 0);
        CHECK(failures >= 2);
    }
}

int main(void)
{
    codecs = ferry_codecs_new();
    TAP_RUN(round_trips_none);
    TAP_RUN(round_trips_gzip);
    TAP_RUN(round_trips_snappy);
    TAP_RUN(round_trips_lz4);
    TAP_RUN(round_trips_zstd);
    TAP_RUN(names_and_ranges);
    TAP_RUN(several_in_a_row);
    TAP_RUN(snappy_by_hand);
    TAP_RUN(lz4_frames);
    TAP_RUN(zstd_frames);
    TAP_RUN(bombs);
    TAP_RUN(lost_memory);
    ferry_codecs_free(codecs);
    return tap_done();
}
