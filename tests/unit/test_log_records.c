/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* A partition's log as its clients use it: what is appended, what is refused, and how it is found again. */

#include "tests/lib/tap.h"
#include "tests/unit/log_bench.h"

#include "base/check.h"
#include "refbroker/log/producers.h"

#include <stdio.h>

static struct bench bench;

/* ---- appending ---- */

static void append_and_read(void)
{
    struct bench_append x;
    int error;
    bench_init(&bench, 1);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", NULL, &error);
    CHECK_INT(error, 0);
    CHECK_INT(l->end, 0);
    struct batch_spec s = {.count = 10, .timestamp = bench.wall, .step = 1};
    CHECK_INT(bench_append(&bench, l, &x, &s, 7), 0);
    CHECK_INT(x.a.base_offset, 0);
    CHECK_INT(x.a.last_offset, 9);
    CHECK_INT(l->end, 10);
    CHECK_INT(log_latest_epoch(l), 7);
    s.value = 10;
    s.codec = 4;
    CHECK_INT(bench_append(&bench, l, &x, &s, 7), 0);
    CHECK_INT(x.a.base_offset, 10);
    CHECK(bench_reads_back(&bench, l, 1 << 20));
    CHECK(bench_reads_back(&bench, l, 1));
    /* from within a batch */
    uint64_t next = 15;
    CHECK_INT(bench_read(&bench, l, 15, l->end, 1 << 20, bench_expect_rising, &next), 5);
    /* epoch and offset stand in the file */
    struct ferry_bytes f = sim_disk_peek(bench.disk, "t-0/00000000000000000000.log");
    struct ferry_batch b;
    CHECK_INT(ferry_batch_parse(f.data, f.len, &b, NULL), 0);
    CHECK_INT(b.leader_epoch, 7);
    f = sim_disk_peek(bench.disk, "t-0/partition.metadata");
    CHECK(f.len == 43 && !memcmp(f.data, "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA", 43));
    CHECK_INT(bench_stop(&bench), 0);
    bench_free(&bench);
}

static void append_time(void)
{
    struct log_config c = bench_small_config();
    struct bench_append x;
    int64_t offset, timestamp;
    int error;
    c.append_time = true;
    bench_init(&bench, 8);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    struct batch_spec s = {.count = 3, .timestamp = 5, .producer_id = 9};
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    CHECK_INT(x.a.append_time, bench.wall);
    CHECK(bench_reads_back(&bench, l, 1 << 20));
    bench.wall += 100;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    CHECK(x.a.duplicate);
    CHECK_INT(x.a.append_time, bench.wall - 100);
    CHECK_INT(bench_lookup(&bench, l, bench.wall - 100, &offset, &timestamp), 0);
    CHECK_INT(offset, 0);
    CHECK_INT(timestamp, bench.wall - 100);
    bench_free(&bench);
}

static void flush_each_message(void)
{
    struct log_config c = bench_small_config();
    struct bench_append x[8];
    int error;
    c.flush_messages = 1;
    bench_init(&bench, 4);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    for (unsigned i = 0; i < 8; i++)
        bench_append_begin(&bench, l, &x[i],
                           &(struct batch_spec){.count = 1, .timestamp = bench.wall}, 0);
    uint64_t syncs = sim_disk_counts(bench.disk)->syncs;
    while (!x[7].done) {
        CHECK(l->high_watermark <= l->flushed);
        for (unsigned i = 0; i < 8; i++)
            CHECK(!x[i].done || l->flushed > x[i].a.last_offset);
        CHECK(bench_step(&bench));
    }
    CHECK(sim_disk_counts(bench.disk)->syncs - syncs <= 3); /* shared */
    for (unsigned i = 0; i < 8; i++)
        CHECK(x[i].done && !x[i].error);
    bench_kill(&bench, true);
    bench_start(&bench);
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(l->end, 8);
    bench_free(&bench);
}

static void flush_by_time(void)
{
    struct log_config c = bench_small_config();
    int error;
    c.flush_ms = 2000;
    bench_init(&bench, 21);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    bench_fill(&bench, l, 3, 0);
    bench_run(&bench);
    CHECK_INT(l->flushed, 0);
    CHECK(log_dir_deadline(&bench.dir) <= bench.now + 2000 * FERRY_MS);
    bench_advance(&bench, 1000);
    bench_run(&bench);
    CHECK_INT(l->flushed, 0);
    bench_advance(&bench, 1001);
    bench_run(&bench);
    CHECK_INT(l->flushed, 15);
    CHECK(log_dir_deadline(&bench.dir) > bench.now + 2000 * FERRY_MS);
    struct log_request r;
    bench_fill(&bench, l, 1, 0);
    CHECK_INT(BENCH_AWAIT(&bench, r, log_flush(l, &r)), 0);
    CHECK_INT(l->flushed, 20);
    bench_free(&bench);
}

/* ---- producers ---- */

static void deduplicates(void)
{
    struct log_config c = bench_small_config();
    struct bench_append x;
    int error;
    bench_init(&bench, 5);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    for (int i = 0; i < 8; i++)
        CHECK_INT(bench_idempotent(&bench, l, &x, 3 * i, 0), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 3; i < 8; i++) {
            CHECK_INT(bench_idempotent(&bench, l, &x, 3 * i, 0), 0);
            CHECK(x.a.duplicate);
            CHECK_INT(x.a.base_offset, 3 * i);
            CHECK_INT(x.a.last_offset, 3 * i + 2);
        }
        CHECK_INT(bench_idempotent(&bench, l, &x, 6, 0),
                  LOG_OUT_OF_ORDER_SEQUENCE); /* the sixth last */
        CHECK_INT(bench_idempotent(&bench, l, &x, 27, 0), LOG_OUT_OF_ORDER_SEQUENCE); /* a gap */
        CHECK_INT(l->end, 24);
        /* all five are known after a clean stop, and after a crash */
        if (round == 0)
            CHECK_INT(bench_stop(&bench), 0);
        else
            bench_kill(&bench, false);
        bench_start(&bench);
        l = bench_open(&bench, "t", &c, &error);
        CHECK_INT(error, 0);
    }
    CHECK_INT(bench_idempotent(&bench, l, &x, 3, 1),
              LOG_OUT_OF_ORDER_SEQUENCE); /* a new epoch begins at 0 */
    CHECK_INT(bench_idempotent(&bench, l, &x, 0, 1), 0);
    CHECK_INT(bench_idempotent(&bench, l, &x, 24, 0), LOG_INVALID_PRODUCER_EPOCH);
    /* a producer that nobody knows may begin anywhere, and wraps */
    struct batch_spec s = {
        .count = 3, .timestamp = bench.wall, .producer_id = 78, .sequence = INT32_MAX - 1};
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    CHECK(x.a.duplicate);
    s.sequence = 1;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    CHECK(!x.a.duplicate);
    bench_free(&bench);
}

static void forgets_producers(void)
{
    struct log_config c = bench_small_config();
    struct bench_append x;
    int error;
    c.producer_expiry_ms = 1000;
    bench_init(&bench, 6);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(bench_idempotent(&bench, l, &x, 0, 0), 0);
    CHECK_INT(bench_idempotent(&bench, l, &x, 30, 0), LOG_OUT_OF_ORDER_SEQUENCE);
    bench_advance(&bench, 400000);
    bench_run(&bench);
    CHECK_INT(bench_idempotent(&bench, l, &x, 30, 0), 0);
    bench_free(&bench);
}

/* What is read behind a snapshot may hold more of a producer's batches than the snapshot, or fewer. */
static void whoever_knows_more_of_a_producer(void)
{
    for (int read = 1; read <= 5; read++)
        for (int kept = 1; kept <= 5; kept++) {
            struct log_producers snapshot = {0}, behind = {0};
            const struct log_producer_batch *seen = NULL;
            struct ferry_batch b = {.magic = 2, .producer_id = 4};
            for (int i = 1; i <= 5; i++) {
                b.base_offset = b.last_offset = b.base_sequence = i;
                if (i > 5 - kept)
                    CHECK_INT(log_producers_add(&snapshot, &b, i, 0), 0);
                if (i > 5 - read)
                    CHECK_INT(log_producers_add(&behind, &b, i, 0), 0);
            }
            CHECK_INT(log_producers_merge(&behind, &snapshot), 0);
            b.base_offset = b.last_offset = b.base_sequence = 6 - (read > kept ? read : kept);
            CHECK_INT(log_producers_check(&behind, &b, &seen), 1);
            log_producers_clear(&behind);
        }
}

/* ---- refusals ---- */

static int append_raw(struct log *l, struct bench_append *x, struct ferry_slab *slab)
{
    struct batch_spec s = {.count = 1, .timestamp = bench.wall};
    bench_append_begin(&bench, l, x, &s, 0); /* prepares x; its own record goes in too */
    bench_run(&bench);
    x->done = false;
    x->a.slab = slab;
    x->a.data = slab->data;
    x->a.len = slab->len;
    log_files_step(&bench.files, bench.now, bench.wall, &bench.out);
    log_append_as_leader(l, &x->a, 0);
    ferry_slab_unref(slab);
    bench_settle(&bench);
    bench_run(&bench);
    return x->error;
}

static void refuses(void)
{
    struct log_config c = bench_small_config();
    struct bench_append x;
    int error;
    c.max_message_bytes = 2000;
    bench_init(&bench, 7);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    struct batch_spec s = {.count = 150, .timestamp = bench.wall};
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), LOG_MESSAGE_TOO_LARGE);
    c.max_message_bytes = 1 << 20;
    log_configure(l, &c);
    s.count = 1000;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), LOG_RECORD_LIST_TOO_LARGE);
    s.count = 3;
    s.timestamp = bench.wall + 3600001;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), LOG_INVALID_TIMESTAMP);
    CHECK_INT(x.a.bad_index, 0);
    s.timestamp = bench.wall + 3599999;
    s.step = 1;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), LOG_INVALID_TIMESTAMP);
    CHECK_INT(x.a.bad_index, 2);
    s = (struct batch_spec){.count = 3, .timestamp = bench.wall, .keyless = true};
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    c.cleanup_compact = true;
    log_configure(l, &c);
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), LOG_INVALID_RECORD);
    CHECK_INT(x.a.bad_index, 0);
    s.codec = 2;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), LOG_INVALID_RECORD);
    s.keyless = false;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    /* broken bytes */
    s.codec = 0;
    struct ferry_slab *slab = bench_batch(&s);
    slab->data[70] ^= 1;
    CHECK_INT(append_raw(l, &x, slab), LOG_CORRUPT_MESSAGE);
    slab = bench_batch(&s);
    slab->len -= 3;
    CHECK_INT(append_raw(l, &x, slab), LOG_CORRUPT_MESSAGE);
    CHECK(x.a.text[0]);
    bench_free(&bench);
}

/* ---- finding ---- */

static void lookups(void)
{
    struct log_config c = bench_small_config();
    int64_t offset, timestamp, base = INT64_C(1700000000000);
    int error;
    bench_init(&bench, 9);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    for (int restart = 0; restart < 3; restart++) {
        bench_fill(&bench, l, 200, 30);
        CHECK(l->end == 1000 * (restart + 1));
        for (int64_t t = 0; t < l->end; t += 37) {
            CHECK_INT(bench_lookup(&bench, l, base + t, &offset, &timestamp), 0);
            CHECK_INT(offset, t);
            CHECK_INT(timestamp, base + t);
        }
        CHECK_INT(bench_lookup(&bench, l, base + l->end, &offset, &timestamp), 0);
        CHECK_INT(offset, -1);
        CHECK_INT(bench_lookup(&bench, l, 0, &offset, &timestamp), 0);
        CHECK_INT(offset, 0);
        CHECK_INT(bench_lookup(&bench, l, LOG_LATEST, &offset, &timestamp), 0);
        CHECK_INT(offset, l->end);
        CHECK_INT(bench_lookup(&bench, l, LOG_EARLIEST, &offset, &timestamp), 0);
        CHECK_INT(offset, 0);
        CHECK_INT(bench_lookup(&bench, l, LOG_MAX_TIMESTAMP, &offset, &timestamp), 0);
        CHECK_INT(offset, l->end - 1);
        for (int64_t at = 0; at < l->end; at += 13) {
            uint64_t next = (uint64_t)at;
            int64_t upto = at + 29 < l->end ? (at + 29) / 5 * 5 : l->end;
            CHECK_INT(bench_read(&bench, l, at, upto, 200, bench_expect_rising, &next), upto - at);
        }
        if (restart == 0)
            CHECK_INT(bench_stop(&bench), 0);
        else
            bench_kill(&bench, false);
        bench_start(&bench);
        l = bench_open(&bench, "t", &c, &error);
        CHECK_INT(error, 0);
    }
    CHECK_INT(bench.errors, 0);
    bench_free(&bench);
}

static void out_of_range(void)
{
    int error;
    bench_init(&bench, 10);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", NULL, &error);
    bench_fill(&bench, l, 2, 0);
    CHECK_INT(bench_read(&bench, l, 11, 12, 100, NULL, NULL), -LOG_OFFSET_OUT_OF_RANGE);
    CHECK_INT(bench_read(&bench, l, 10, 12, 100, NULL, NULL), 0);
    CHECK_INT(bench_read(&bench, l, 5, 5, 100, NULL, NULL), 0);
    /* a first batch that does not fit is given only where one must be */
    struct log_read r = {.offset = 0, .upto = 10, .max_bytes = 10};
    log_files_step(&bench.files, bench.now, bench.wall, &bench.out);
    r.done = NULL;
    int rc = log_read(l, &r);
    if (rc == FERRY_OK)
        CHECK_INT(r.length, 0);
    else
        log_read_cancel(&r);
    bench_settle(&bench);
    bench_run(&bench);
    bench_free(&bench);
}

static int64_t scan_next;
static int scan_batch(struct log_scan *s, const struct ferry_batch *b)
{
    FERRY_CHECK(b->base_offset <= scan_next && b->last_offset >= scan_next);
    scan_next = b->last_offset + 1;
    return 0;
}

static int scan_error;
static void scan_done(struct log_scan *s, int error)
{
    scan_error = error;
}

static void scans(void)
{
    struct log_config c = bench_small_config();
    int error;
    bench_init(&bench, 11);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    bench_fill(&bench, l, 400, 100);
    for (int64_t from = 0; from <= l->end; from += 333) {
        struct log_scan s = {
            .from = from, .upto = INT64_MAX, .on_batch = scan_batch, .done = scan_done};
        scan_next = from;
        scan_error = 1;
        log_files_step(&bench.files, bench.now, bench.wall, &bench.out);
        CHECK_INT(log_scan(l, &s), 0);
        CHECK_INT(scan_error, 1);
        bench_settle(&bench);
        bench_run(&bench);
        CHECK_INT(scan_error, 0);
        CHECK_INT(scan_next, l->end);
    }
    bench_free(&bench);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    TAP_RUN(append_and_read);
    TAP_RUN(append_time);
    TAP_RUN(flush_each_message);
    TAP_RUN(flush_by_time);
    TAP_RUN(deduplicates);
    TAP_RUN(forgets_producers);
    TAP_RUN(whoever_knows_more_of_a_producer);
    TAP_RUN(refuses);
    TAP_RUN(lookups);
    TAP_RUN(out_of_range);
    TAP_RUN(scans);
    return tap_done();
}
