/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* A topic's settings that say how its batches are kept and for how long. */

#include "tests/lib/tap.h"
#include "tests/unit/log_bench.h"

#include "base/check.h"
#include "base/mem.h"
#include "record/compress.h"
#include "record/build.h"
#include "record/crc32c.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static struct bench bench;

static int append(struct log *l, struct bench_append *x, int codec, size_t padding)
{
    struct batch_spec s = {.count = 5,
                           .timestamp = bench.wall,
                           .step = 1,
                           .value = (uint64_t)l->end,
                           .padding = padding,
                           .codec = codec};
    return bench_append(&bench, l, x, &s, 3);
}

/* The codec, CRC and count of the batch at offset, as the file has it. -1: not what it should be. */
static int codec_at(struct log *l, int64_t offset, int count)
{
    struct sim_disk *d = bench.disk;
    struct ferry_bytes file = sim_disk_peek(d, "t-0/00000000000000000000.log");
    struct ferry_batch_set set;
    struct ferry_batch b;
    (void)l;
    ferry_batch_set_init(&set, file);
    while (ferry_batch_set_next(&set, &b, NULL) > 0)
        if (b.base_offset == offset)
            return ferry_batch_check_crc(&b, NULL) || b.count != count || b.leader_epoch != 3
                       ? -1
                       : ferry_batch_codec(&b);
    return -1;
}

/* ---- compression.type ---- */

static void batches_are_kept_under_the_topics_codec(void)
{
    struct log_config c;
    struct bench_append x;
    int error;
    for (int codec = LOG_CODEC_PRODUCER; codec < FERRY_CODEC_COUNT; codec++) {
        if (codec > 0 && ferry_codec_available(codec, NULL))
            continue;
        bench_init(&bench, 31);
        bench_start(&bench);
        log_config_defaults(&c);
        c.codec = codec;
        struct log *l = bench_open(&bench, "t", &c, &error);
        for (int came = 0; came < FERRY_CODEC_COUNT; came++) {
            if (came > 0 && ferry_codec_available(came, NULL))
                continue;
            int64_t at = l->end;
            CHECK_INT(append(l, &x, came, 300), 0);
            CHECK_INT(x.a.base_offset, at);
            CHECK_INT(codec_at(l, at, 5), codec == LOG_CODEC_PRODUCER ? came : codec);
        }
        CHECK(bench_reads_back(&bench, l, 100000));
        int64_t end = l->end;
        bench_kill(&bench, false); /* the scan takes what was written for whole */
        bench_start(&bench);
        l = bench_open(&bench, "t", &c, &error);
        CHECK_INT(error, 0);
        CHECK_INT(l->end, end);
        CHECK(bench_reads_back(&bench, l, 100000));
        CHECK_INT(bench_stop(&bench), 0);
        bench_free(&bench);
    }
}

/* A batch sent twice is there once, under whatever codec it was kept; LogAppendTime goes with it. */
static void what_is_compressed_anew_is_still_deduplicated(void)
{
    struct log_config c;
    struct bench_append x;
    int error;
    bench_init(&bench, 32);
    bench_start(&bench);
    log_config_defaults(&c);
    c.codec = FERRY_CODEC_NONE;
    c.append_time = true;
    struct log *l = bench_open(&bench, "t", &c, &error);
    struct batch_spec s = {.count = 5, .timestamp = 1, .producer_id = 77, .codec = 2};
    for (int i = 0; i < 2; i++) {
        CHECK_INT(bench_append(&bench, l, &x, &s, 3), 0);
        CHECK_INT(x.a.base_offset, 0);
        CHECK_INT(x.a.duplicate, i);
        CHECK_INT(x.a.append_time, bench.wall);
    }
    CHECK_INT(codec_at(l, 0, 5), 0);
    CHECK_INT(l->end, 5);
    CHECK(bench_reads_back(&bench, l, 100000));
    bench_free(&bench);
}

static int slab_error;

static void slab_done(struct log_append *a, int error)
{
    (void)a;
    slab_error = error;
}

static int append_slab(struct log *l, struct ferry_slab *s)
{
    struct log_append a = {.done = slab_done, .slab = s, .data = s->data, .len = s->len};
    slab_error = -1000;
    log_append_as_leader(l, &a, 3);
    bench_settle(&bench);
    bench_run(&bench);
    return slab_error;
}

static void limits_hold_for_what_is_kept(void)
{
    if (ferry_codec_available(FERRY_CODEC_SNAPPY, NULL)) {
        tap_skip("this build has no snappy");
        return;
    }
    struct log_config c;
    struct bench_append x;
    int error;
    bench_init(&bench, 33);
    bench_start(&bench);
    log_config_defaults(&c);
    c.codec = FERRY_CODEC_NONE;
    c.max_message_bytes = 4000;
    struct log *l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(append(l, &x, 2, 4000), LOG_MESSAGE_TOO_LARGE); /* small as it came */
    CHECK_INT(append(l, &x, 2, 500), 0);
    struct ferry_slab *bad = bench_batch(&(struct batch_spec){.count = 5, .timestamp = 1});
    ferry_put16(bad->data + 21, 2); /* says snappy, and is not */
    ferry_put32(bad->data + 17, ferry_crc32c(0, bad->data + 21, bad->len - 21));
    CHECK_INT(append_slab(l, bad), LOG_INVALID_RECORD);
    ferry_slab_unref(bad);
    CHECK_INT(l->end, 5);
    bench_free(&bench);
}

/* ---- batches that expand ---- */

enum { BOMB_PARTS = 300 }; /* MiB that come out of it */

/* One batch of a megabyte at most whose records are, it says, hundreds of megabytes. */
static struct ferry_slab *bomb(int codec)
{
    static uint8_t zeros[1 << 20];
    struct ferry_bytes parts[BOMB_PARTS];
    struct ferry_codecs *codecs = ferry_codecs_new();
    struct ferry_slab *s = ferry_slab_new(1 << 16);
    FERRY_CHECK(s && codecs);
    for (int i = 0; i < BOMB_PARTS; i++)
        parts[i] = (struct ferry_bytes){zeros, sizeof zeros};
    s->len = FERRY_BATCH_HEADER;
    FERRY_CHECK(!ferry_compress(codecs, codec, 1, parts, BOMB_PARTS, &s, NULL));
    ferry_codecs_free(codecs);
    struct ferry_build_header h = {.base_timestamp = 1,
                                   .max_timestamp = 1,
                                   .producer_id = -1,
                                   .producer_epoch = -1,
                                   .base_sequence = -1,
                                   .leader_epoch = -1,
                                   .count = 1,
                                   .attributes = (uint16_t)codec};
    ferry_build_header(s->data, &h, s->len);
    ferry_build_crc(s->data, s->len);
    return s;
}

static long peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Where batches are looked into, a bomb is refused with memory for 64 MiB of it; elsewhere it is not touched. */
static void bombs_take_bounded_memory(void)
{
    struct log_config c[3];
    int error;
    struct log *l[3];
    bench_init(&bench, 37);
    bench_start(&bench);
    for (int i = 0; i < 3; i++) {
        log_config_defaults(&c[i]);
        c[i].max_message_bytes = 100 << 20;
    }
    c[0].cleanup_compact = true;
    c[1].validate_deep = true;
    c[2].codec = FERRY_CODEC_NONE;
    l[0] = bench_open(&bench, "c", &c[0], &error);
    l[1] = bench_open(&bench, "d", &c[1], &error);
    l[2] = bench_open(&bench, "r", &c[2], &error);
    for (int codec = 1; codec < FERRY_CODEC_COUNT; codec++) {
        if (ferry_codec_available(codec, NULL))
            continue;
        struct ferry_slab *s = bomb(codec);
        long before = peak_kib();
        for (int i = 0; i < 3; i++) {
            clock_t start = clock();
            CHECK_INT(append_slab(l[i], s), LOG_INVALID_RECORD);
            CHECK((clock() - start) / CLOCKS_PER_SEC < 5);
            CHECK_INT(l[i]->end, 0);
        }
#ifndef FERRY_SANITIZED
        CHECK(peak_kib() - before < 110 * 1024);
#endif
        (void)before;
        ferry_slab_unref(s);
    }
    bench_free(&bench);
}

/* ---- age without timestamps ---- */

static int append_untimed(struct log *l)
{
    struct bench_append x;
    struct batch_spec s = {.count = 5, .timestamp = -1, .value = (uint64_t)l->end, .padding = 100};
    return bench_append(&bench, l, &x, &s, 3);
}

static void records_without_time_grow_old_by_their_appending(void)
{
    struct log_config c;
    int error;
    bench_init(&bench, 34);
    bench_start(&bench);
    log_config_defaults(&c);
    c.retention_ms = 3600000;
    struct log *l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(append_untimed(l), 0);
    bench_advance(&bench, 1800000);
    CHECK_INT(append_untimed(l), 0); /* the segment's age counts from its newest record */
    bench_advance(&bench, 3000000);
    bench_run(&bench);
    CHECK_INT(l->start, 0);
    bench_advance(&bench, 1200000);
    bench_run(&bench);
    CHECK_INT(l->start, 10);
    CHECK_INT(l->end, 10);
    CHECK_INT(append_untimed(l), 0);
    CHECK(bench_reads_back(&bench, l, 100000));
    bench_free(&bench);
}

static int segments(void)
{
    struct ferry_text names = {0};
    int n = 0;
    sim_disk_names(bench.disk, &names);
    for (const char *p = names.data; p && (p = strstr(p, ".log")); p++)
        n++;
    ferry_text_free(&names);
    return n;
}

static void segments_without_time_roll_by_their_making(void)
{
    struct log_config c;
    int error;
    bench_init(&bench, 35);
    bench_start(&bench);
    log_config_defaults(&c);
    c.segment_ms = 60000;
    struct log *l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(append_untimed(l), 0);
    bench_advance(&bench, 59000);
    CHECK_INT(append_untimed(l), 0);
    CHECK_INT(segments(), 1);
    bench_advance(&bench, 2000);
    CHECK_INT(append_untimed(l), 0);
    CHECK_INT(segments(), 2);
    CHECK(bench_reads_back(&bench, l, 100000));
    bench_free(&bench);
}

/* ---- file.delete.delay.ms ---- */

static int names_with(const char *what)
{
    struct ferry_text names = {0};
    int n = 0;
    sim_disk_names(bench.disk, &names);
    for (const char *p = names.data; p && (p = strstr(p, what)); p++)
        n++;
    ferry_text_free(&names);
    return n;
}

static void files_stay_for_a_while(void)
{
    struct log_config c;
    struct bench_append x;
    struct log_request r;
    int error;
    bench_init(&bench, 38);
    bench_start(&bench);
    log_config_defaults(&c);
    c.segment_bytes = 5000;
    c.file_delete_delay_ms = 30000;
    struct log *l = bench_open(&bench, "t", &c, &error);
    for (int i = 0; i < 10; i++)
        CHECK_INT(append(l, &x, 0, 500), 0);
    int before = names_with(".log");
    CHECK(before >= 5);
    CHECK_INT(BENCH_AWAIT(&bench, r, log_delete_before(l, &r, l->end)), 0);
    bench_run(&bench);
    CHECK_INT(names_with(".log ") + names_with(".log.deleted"), before);
    CHECK(names_with(".log.deleted") >= 4);
    bench_advance(&bench, 29000);
    bench_run(&bench);
    CHECK(names_with(".log.deleted") >= 4);
    bench_advance(&bench, 2000);
    bench_run(&bench);
    CHECK_INT(names_with(".deleted"), 0);
    CHECK_INT(names_with(".log"), 1);
    /* what is left when the broker stops goes when it starts */
    for (int i = 0; i < 10; i++)
        CHECK_INT(append(l, &x, 0, 500), 0);
    CHECK_INT(BENCH_AWAIT(&bench, r, log_delete_before(l, &r, l->end - 5)), 0);
    bench_run(&bench);
    CHECK(names_with(".log.deleted") >= 4);
    CHECK_INT(bench_stop(&bench), 0);
    CHECK(names_with(".log.deleted") >= 4);
    bench_start(&bench);
    l = bench_open(&bench, "t", &c, &error);
    bench_run(&bench);
    CHECK_INT(names_with(".deleted"), 0);
    CHECK_INT(l->start, 95);
    CHECK(bench_reads_back(&bench, l, 100000));
    c.file_delete_delay_ms = 0; /* at once */
    log_configure(l, &c);
    for (int i = 0; i < 10; i++)
        CHECK_INT(append(l, &x, 0, 500), 0);
    CHECK_INT(BENCH_AWAIT(&bench, r, log_delete_before(l, &r, l->end)), 0);
    bench_run(&bench);
    CHECK_INT(names_with(".deleted"), 0);
    CHECK_INT(names_with(".log"), 1);
    bench_free(&bench);
}

/* segment.jitter.ms: partitions that were made together do not roll together, and none rolls late. */
static void jitter_spreads_the_rolling(void)
{
    struct log_config c;
    int error, rolled[10];
    struct log *l[20];
    bench_init(&bench, 36);
    bench_start(&bench);
    log_config_defaults(&c);
    c.segment_ms = 100000;
    c.segment_jitter_ms = 50000;
    for (int i = 0; i < 20; i++) {
        l[i] = bench_open_partition(&bench, "t", i, NULL, &c, &error);
        CHECK_INT(append_untimed(l[i]), 0);
    }
    bench_advance(&bench, 49000);
    for (int step = 0; step < 6; step++) {
        for (int i = 0; i < 20; i++)
            CHECK_INT(append_untimed(l[i]), 0);
        rolled[step] = segments() - 20;
        bench_advance(&bench, 10400);
    }
    CHECK_INT(rolled[0], 0);
    CHECK(rolled[2] > 0 && rolled[2] < rolled[4] && rolled[4] < 20);
    CHECK_INT(rolled[5], 20);
    bench_free(&bench);
}

int main(void)
{
    TAP_RUN(batches_are_kept_under_the_topics_codec);
    TAP_RUN(what_is_compressed_anew_is_still_deduplicated);
    TAP_RUN(limits_hold_for_what_is_kept);
    TAP_RUN(bombs_take_bounded_memory);
    TAP_RUN(records_without_time_grow_old_by_their_appending);
    TAP_RUN(segments_without_time_roll_by_their_making);
    TAP_RUN(files_stay_for_a_while);
    TAP_RUN(jitter_spreads_the_rolling);
    return tap_done();
}
