/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* What a partition's log is after a stop, a kill or a loss of power, and where its disk or its memory fails. */

#include "tests/lib/tap.h"
#include "tests/unit/log_bench.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

static struct bench bench;

/* ---- stops and kills ---- */

static void clean_restart(void)
{
    int error;
    struct log_config c = bench_small_config();
    bench_init(&bench, 2);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    bench_fill(&bench, l, 500, 40);
    int64_t end = l->end;
    CHECK(bench_reads_back(&bench, l, 2000));
    CHECK_INT(bench_stop(&bench), 0);
    CHECK(sim_disk_peek(bench.disk, ".kafka_cleanshutdown").data != NULL);
    for (int i = 0; i < 3; i++) {
        bench_start(&bench);
        CHECK(bench.dir.was_clean);
        CHECK(sim_disk_peek(bench.disk, ".kafka_cleanshutdown").data == NULL);
        uint64_t before = bench.executed;
        l = bench_open(&bench, "t", &c, &error);
        CHECK_INT(error, 0);
        CHECK(bench.executed - before < 40); /* nothing is scanned */
        CHECK_INT(l->end, end);
        CHECK_INT(l->flushed, end);
        CHECK_INT(log_latest_epoch(l), 3);
        CHECK(bench_reads_back(&bench, l, 5000));
        bench_fill(&bench, l, 7, 40);
        end = l->end;
        CHECK(bench_reads_back(&bench, l, 700));
        CHECK_INT(bench.warnings, 0);
        CHECK_INT(bench_stop(&bench), 0);
    }
    bench_free(&bench);
}

static void killed(void)
{
    int error;
    struct log_config c = bench_small_config();
    bench_init(&bench, 3);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    bench_fill(&bench, l, 300, 40);
    int64_t end = l->end;
    bench_kill(&bench, false);
    bench_start(&bench);
    CHECK(!bench.dir.was_clean);
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(error, 0);
    CHECK_INT(l->end, end);
    CHECK(bench_reads_back(&bench, l, 3000));
    CHECK_INT(bench.warnings, 0);
    bench_free(&bench);
}

static void checkpoints_bound_the_scan(void)
{
    struct log_config c;
    int error;
    log_config_defaults(&c);
    bench_init(&bench, 20);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    while (l->size < 40 << 20) {
        struct bench_append x;
        struct batch_spec s = {
            .count = 200, .timestamp = bench.wall, .value = (uint64_t)l->end, .padding = 4000};
        CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    }
    bench_run(&bench);
    CHECK(l->flushed > 0);
    int64_t end = l->end;
    bench_kill(&bench, false);
    bench_start(&bench);
    uint64_t before = bench.executed;
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(l->end, end);
    CHECK(bench.executed - before <
          60); /* two reads for each of the last batches, at most 16 MiB of them */
    bench_free(&bench);
}

static void looked_up(struct log_lookup *k, int error)
{
}

/* A directory that is freed while it closes its logs, with a read under way, leaves nothing behind (a leak shows under
 * ASan). */
static void torn_down_while_it_closes(void)
{
    struct log_config c = bench_small_config();
    for (int steps = 0; steps < 40; steps++) {
        struct log_request closing = {.done = bench_request_done};
        struct log_lookup k = {.upto = INT64_MAX, .done = looked_up};
        int error;
        bench_init(&bench, 300 + (uint64_t)steps);
        bench_start(&bench);
        struct log *l = bench_open(&bench, "t", &c, &error);
        bench_fill(&bench, l, 100, 60);
        CHECK_INT(bench_stop(&bench), 0);
        bench_start(&bench); /* nothing of it is in memory */
        l = bench_open(&bench, "t", &c, &error);
        bench.shuffle = true;
        k.target = bench.wall + 250;
        bench_settle(&bench);
        CHECK_INT(log_lookup(l, &k), FERRY_E_AGAIN);
        log_dir_close(&bench.dir, &closing);
        bench_settle(&bench);
        for (int i = 0; i < steps && bench_step(&bench); i++)
            ;
        bench_free(&bench);
    }
}

/* ---- a disk that fails ---- */

static void no_space(void)
{
    struct log_config c = bench_small_config();
    struct bench_append x, y;
    int error;
    bench_init(&bench, 17);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    int64_t sequence = 0;
    for (int i = 0; i < 200; i++) {
        struct batch_spec s = {.count = 5,
                               .timestamp = bench.wall,
                               .value = (uint64_t)l->end,
                               .padding = 60,
                               .producer_id = 3,
                               .sequence = (int32_t)sequence};
        bool fails = i % 7 == 3;
        sim_disk_faults(bench.disk)->no_space = fails ? 1000 : 0;
        if (fails) {
            bench_append_begin(&bench, l, &x, &s, 0);
            s.sequence += 5;
            bench_append_begin(&bench, l, &y, &s, 0); /* fails with it */
            while (!x.done || !y.done)
                CHECK(bench_step(&bench));
            CHECK_INT(x.error, LOG_STORAGE_ERROR);
            CHECK_INT(y.error, LOG_STORAGE_ERROR);
            CHECK_INT(l->end, sequence);
            continue;
        }
        CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
        CHECK(!x.a.duplicate);
        CHECK_INT(x.a.base_offset, sequence);
        sequence += 5;
    }
    sim_disk_faults(bench.disk)->no_space = 0;
    CHECK(!bench.offline);
    CHECK(bench_reads_back(&bench, l, 3000));
    CHECK_INT(bench_stop(&bench), 0);
    bench_start(&bench);
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(l->end, sequence);
    CHECK(bench_reads_back(&bench, l, 3000));
    bench_free(&bench);
}

static void failed_sync(void)
{
    struct log_config c = bench_small_config();
    struct bench_append x;
    int error;
    c.flush_messages = 1;
    bench_init(&bench, 18);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    bench_fill(&bench, l, 3, 0);
    sim_disk_faults(bench.disk)->sync_error = 1000;
    struct batch_spec s = {.count = 5, .timestamp = bench.wall, .value = 15};
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), LOG_STORAGE_ERROR);
    CHECK(bench.offline);
    CHECK_INT(l->flushed, 15);
    CHECK_INT(l->high_watermark, 15);
    sim_disk_faults(bench.disk)->sync_error = 0;
    uint64_t syncs = sim_disk_counts(bench.disk)->syncs;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), LOG_STORAGE_ERROR);
    bench_advance(&bench, 10000);
    bench_run(&bench);
    CHECK_INT(sim_disk_counts(bench.disk)->syncs, syncs); /* never again */
    CHECK_INT(bench_stop(&bench), LOG_STORAGE_ERROR);
    CHECK(sim_disk_peek(bench.disk, ".kafka_cleanshutdown").data == NULL);
    sim_disk_power_loss(bench.disk);
    bench_start(&bench);
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(error, 0);
    CHECK(l->end >= 15);
    bench_free(&bench);
}

/* ---- files that are not as they were left ---- */

static void stale_directory(void)
{
    int error;
    bench_init(&bench, 16);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", NULL, &error);
    bench_fill(&bench, l, 3, 0);
    CHECK_INT(bench_stop(&bench), 0);
    sim_disk_put(bench.disk, "t-0/partition.metadata",
                 "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ", 43);
    bench_start(&bench);
    l = bench_open(&bench, "t", NULL, &error);
    CHECK_INT(error, 0);
    CHECK_INT(l->end, 0);
    CHECK_INT(bench.warnings, 1);
    /* Put aside, not thrown away: it may be that file that is wrong. */
    CHECK(
        sim_disk_peek(bench.disk, "t-0.AAAAAAAAAAAAAAAAAAAAAQ-stray/00000000000000000000.log").len >
        0);
    bench_free(&bench);
}

/* What a write that failed leaves of partition.metadata names no other topic: the records stay. */
static void a_name_cut_short(void)
{
    int error;
    bench_init(&bench, 29);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", NULL, &error);
    bench_fill(&bench, l, 3, 0);
    int64_t end = l->end;
    struct ferry_bytes whole = sim_disk_peek(bench.disk, "t-0/partition.metadata");
    uint8_t *name = ferry_memdup(whole.data, whole.len);
    CHECK_INT(whole.len, 43);
    for (size_t len = 0; len <= 43; len++) {
        bench_kill(&bench, false);
        sim_disk_put(bench.disk, "t-0/partition.metadata", name, len);
        bench_start(&bench);
        l = bench_open(&bench, "t", NULL, &error);
        CHECK_INT(error, 0);
        CHECK_INT(l->end, end);
        struct ferry_bytes now = sim_disk_peek(bench.disk, "t-0/partition.metadata");
        CHECK(now.len == 43 && !memcmp(now.data, name, 43));
    }
    ferry_free(name);
    bench_free(&bench);
}

struct damage {
    struct ferry_prng prng;
    const char *suffix;
    int kind;
};

static void damage(const char *path, struct ferry_bytes bytes, void *cookie)
{
    struct damage *d = cookie;
    size_t n = strlen(path), m = strlen(d->suffix);
    if (n < m || strcmp(path + n - m, d->suffix) || bytes.len == 0)
        return;
    uint8_t *copy = ferry_memdup(bytes.data, bytes.len);
    size_t len = bytes.len;
    switch (d->kind) {
    case 0: /* cut off */
        len = ferry_prng_below(&d->prng, len);
        break;
    case 1: /* noise */
        for (size_t i = 0; i < len; i++)
            copy[i] = (uint8_t)ferry_prng_next(&d->prng);
        break;
    case 2: /* a few bytes */
        for (int i = 0; i < 5; i++)
            copy[ferry_prng_below(&d->prng, len)] ^= 0x41;
        break;
    case 3: /* zeros */
        memset(copy, 0, len);
        break;
    default: /* gone */
        sim_disk_remove(bench.disk, path);
        ferry_free(copy);
        return;
    }
    sim_disk_put(bench.disk, path, copy, len);
    ferry_free(copy);
}

/* Everything but the batches themselves may be damaged: nothing is lost, nothing crashes. */
static void damaged_helpers(void)
{
    static const char *const files[] = {".index",
                                        ".timeindex",
                                        ".snapshot",
                                        "leader-epoch-checkpoint",
                                        "recovery-point-offset-checkpoint",
                                        "partition.metadata",
                                        "replication-offset-checkpoint",
                                        "log-start-offset-checkpoint"};
    struct log_config c = bench_small_config();
    for (int i = 0; i < 8 * 5 * 4; i++) {
        int error;
        struct damage d = {.suffix = files[i % 8], .kind = i / 8 % 5};
        ferry_prng_seed(&d.prng, (uint64_t)i);
        bench_init(&bench, 100 + (uint64_t)i);
        bench_start(&bench);
        struct log *l = bench_open(&bench, "t", &c, &error);
        struct bench_append x;
        bench_fill(&bench, l, 150, 60);
        CHECK_INT(bench_idempotent(&bench, l, &x, 0, 0), 0);
        if (i / 40 % 2)
            CHECK_INT(bench_stop(&bench), 0);
        else
            bench_kill(&bench, false);
        sim_disk_each(bench.disk, damage, &d);
        bench_start(&bench);
        l = bench_open(&bench, "t", &c, &error);
        CHECK_INT(error, 0);
        if (strcmp(d.suffix, "partition.metadata") ||
            l->end) { /* another topic's id there is believed; the records are put aside then */
            CHECK_INT(l->end, 753);
            if (strcmp(d.suffix, "log-start-offset-checkpoint") || l->start == 0) {
                uint64_t next = 0;
                int64_t offset, timestamp;
                CHECK_INT(bench_read(&bench, l, 0, 750, 3000, bench_expect_rising, &next), 750);
                for (int64_t at = 0; at < 750; at += 31) {
                    next = (uint64_t)at;
                    CHECK_INT(bench_read(&bench, l, at, 750, 500, bench_expect_rising, &next),
                              750 - at);
                    CHECK_INT(bench_lookup(&bench, l, bench.wall + at, &offset, &timestamp), 0);
                    CHECK_INT(offset, at);
                }
            }
            if (strcmp(d.suffix, ".snapshot") || d.kind != 2) {
                CHECK_INT(bench_idempotent(&bench, l, &x, 0, 0), 0);
                CHECK(x.a.duplicate);
            }
            CHECK_INT(log_latest_epoch(l), 3);
        }
        bench_free(&bench);
    }
}

static void torn_tail(void)
{
    struct log_config c = bench_small_config();
    for (int i = 0; i < 60; i++) {
        int error;
        bench_init(&bench, 300 + (uint64_t)i);
        bench_start(&bench);
        struct log *l = bench_open(&bench, "t", &c, &error);
        bench_fill(&bench, l, 20, 60);
        bench_kill(&bench, false);
        const char *path = "t-0/00000000000000000000.log";
        struct ferry_bytes f = sim_disk_peek(bench.disk, path);
        size_t batch = f.len / 20, at = batch * 12 + (size_t)i * batch / 60;
        uint8_t *copy = ferry_memdup(f.data, f.len);
        int64_t kept = 60;
        if (i % 3 == 0) {
            f.len = at; /* cut off inside the 13th */
        } else if (i % 3 == 1) {
            copy[at + 1] ^= 0x10; /* noise in it */
            if (at + 1 - batch * 12 >= 12 && at + 1 - batch * 12 < 16)
                kept = 100; /* the leader epoch is not covered by the checksum */
        } else {
            memset(copy + at, 0, f.len - at);
        }
        sim_disk_put(bench.disk, path, copy, f.len);
        ferry_free(copy);
        bench_start(&bench);
        l = bench_open(&bench, "t", &c, &error);
        CHECK_INT(error, 0);
        if (l->end != kept && !(kept == 100 && l->end == 60))
            CHECK_INT(l->end, kept);
        CHECK(bench_reads_back(&bench, l, 1000));
        bench_fill(&bench, l, 5, 10);
        CHECK(bench_reads_back(&bench, l, 1000));
        bench_free(&bench);
    }
}

/* What is read of a checkpoint whatever it holds. */
static void hostile_checkpoints(void)
{
    struct log_checkpoint_line line;
    size_t at = 0;
    static const char good[] = "0\n2\ntopic-with-dash 7 123\nother 0 9223372036854775807\n";
    struct ferry_bytes bytes = {(const uint8_t *)good, sizeof good - 1};
    CHECK_INT(log_checkpoint_next(bytes, &at, true, &line), 1);
    CHECK(line.topic.len == 15 && line.number == 7 && line.offset == 123);
    CHECK_INT(log_checkpoint_next(bytes, &at, true, &line), 1);
    CHECK(line.offset == INT64_MAX);
    CHECK_INT(log_checkpoint_next(bytes, &at, true, &line), 0);
    static const char *const bad[] = {"",
                                      "0",
                                      "1\n0\n",
                                      "0\n1\n",
                                      "0\n2\na 1 1\n",
                                      "0\n1\na 1\n",
                                      "0\n1\na b 1\n",
                                      "0\n1\na -1 1\n",
                                      "0\n1\na 1 9223372036854775808\n",
                                      "0\n99999999999\n",
                                      "x\n1\na 1 1\n",
                                      "0\n-1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        at = 0;
        CHECK_INT(log_checkpoint_next((struct ferry_bytes){(const uint8_t *)bad[i], strlen(bad[i])},
                                      &at, true, &line),
                  FERRY_E_PROTOCOL);
    }
    struct ferry_prng prng;
    ferry_prng_seed(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        uint8_t copy[sizeof good];
        memcpy(copy, good, sizeof good);
        for (int k = 0; k < 3; k++)
            copy[ferry_prng_below(&prng, sizeof good - 1)] =
                (uint8_t)(" \n0129-\0a"[ferry_prng_below(&prng, 9)]);
        size_t lines = 0;
        at = 0;
        while (log_checkpoint_next((struct ferry_bytes){copy, sizeof good - 1}, &at, true, &line) >
               0)
            lines++;
        CHECK(lines <= sizeof good);
    }
}

/* ---- memory that fails ---- */

/* One allocation fails somewhere: an error, or nothing to see; never a crash, a leak, a lost record. */
static bool short_of_memory(uint64_t step, uint64_t nth)
{
    struct log_config c = bench_small_config();
    struct log_request r;
    struct bench_append x;
    int64_t acked = 0, offset, timestamp, cut = INT64_MAX;
    int error;
    c.segment_bytes = 2000;
    bench_init(&bench, 22);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    FERRY_CHECK(!error);
    for (int i = 0; i < 5; i++)
        FERRY_CHECK(bench_append(&bench, l, &x,
                                 &(struct batch_spec){.count = 5,
                                                      .timestamp = bench.wall + l->end,
                                                      .step = 1,
                                                      .value = (uint64_t)l->end,
                                                      .producer_id = 1,
                                                      .sequence = (int32_t)l->end},
                                 0) == 0);
    FERRY_CHECK(bench_stop(&bench) == 0);
    bench_start(&bench);
    bench.fail_step = bench.executed + step;
    bench.fail_nth = nth;
    l = bench_open(&bench, "t", &c, &error);
    acked = 25;
    for (int i = 0; i < 20 && !error; i++) {
        struct batch_spec s = {.count = 5,
                               .timestamp = bench.wall + l->end,
                               .step = 1,
                               .value = (uint64_t)l->end,
                               .padding = 30,
                               .producer_id = 1,
                               .sequence = (int32_t)l->end};
        if (bench_append(&bench, l, &x, &s, i / 5) == 0)
            acked = l->end;
    }
    if (!error) {
        bench_lookup(&bench, l, bench.wall + 3, &offset, &timestamp);
        bench_read(&bench, l, 7, l->end, 300, NULL, NULL);
        BENCH_AWAIT(&bench, r, log_delete_before(l, &r, 6));
        cut = 60;
        BENCH_AWAIT(&bench, r, log_truncate_to(l, &r, cut));
        bench_advance(&bench, 400000);
        bench_run(&bench);
    }
    bool reached = bench.executed >= bench.fail_step;
    if (bench_stop(&bench) != 0)
        sim_disk_kill(bench.disk);
    bench.fail_step = 0;
    bench_start(&bench);
    l = bench_open(&bench, "t", &c, &error);
    FERRY_CHECK(!error);
    FERRY_CHECK(l->end >= (acked < cut ? acked : cut));
    FERRY_CHECK(bench_reads_back(&bench, l, 1000));
    bench_free(&bench);
    return reached;
}

static void out_of_memory(void)
{
    for (uint64_t nth = 1; nth <= 4; nth++)
        for (uint64_t step = 1; short_of_memory(step, nth); step++)
            ;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    TAP_RUN(clean_restart);
    TAP_RUN(killed);
    TAP_RUN(checkpoints_bound_the_scan);
    TAP_RUN(torn_down_while_it_closes);
    TAP_RUN(no_space);
    TAP_RUN(failed_sync);
    TAP_RUN(stale_directory);
    TAP_RUN(a_name_cut_short);
    TAP_RUN(damaged_helpers);
    TAP_RUN(torn_tail);
    TAP_RUN(hostile_checkpoints);
    TAP_RUN(out_of_memory);
    return tap_done();
}
