/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* A partition's log: what it promises in order, on a disk that does what it is told or fails when it is told. */

#include "tests/lib/tap.h"
#include "tests/unit/log_bench.h"

#include "base/check.h"
#include "base/mem.h"
#include "refbroker/log/producers.h"

#include <stdio.h>
#include <stdlib.h>

static struct bench bench;

static struct log_config small_config(void)
{
    struct log_config c;
    log_config_defaults(&c);
    c.segment_bytes = 16 << 10;
    c.index_interval_bytes = 512;
    return c;
}

static void expect_rising(const struct ferry_batch_record *r, void *cookie)
{
    uint64_t *next = cookie;
    FERRY_CHECK(bench_value(r) == *next);
    (*next)++;
}

/* n batches of 5 records with values and times that count up. */
static void fill(struct log *l, int n, size_t padding)
{
    for (int i = 0; i < n; i++) {
        struct bench_append x;
        struct batch_spec s = {.count = 5,
                               .timestamp = bench.wall + l->end,
                               .step = 1,
                               .value = (uint64_t)l->end,
                               .padding = padding};
        FERRY_CHECK(bench_append(&bench, l, &x, &s, 3) == 0);
    }
}

static bool reads_back(struct log *l, uint64_t max_bytes)
{
    uint64_t next = (uint64_t)l->start;
    return bench_read(&bench, l, l->start, l->end, max_bytes, expect_rising, &next) ==
           l->end - l->start;
}

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
    CHECK(reads_back(l, 1 << 20));
    CHECK(reads_back(l, 1));
    /* from within a batch */
    uint64_t next = 15;
    CHECK_INT(bench_read(&bench, l, 15, l->end, 1 << 20, expect_rising, &next), 5);
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

static void clean_restart(void)
{
    int error;
    struct log_config c = small_config();
    bench_init(&bench, 2);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    fill(l, 500, 40);
    int64_t end = l->end;
    CHECK(reads_back(l, 2000));
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
        CHECK(reads_back(l, 5000));
        fill(l, 7, 40);
        end = l->end;
        CHECK(reads_back(l, 700));
        CHECK_INT(bench.warnings, 0);
        CHECK_INT(bench_stop(&bench), 0);
    }
    bench_free(&bench);
}

static void killed(void)
{
    int error;
    struct log_config c = small_config();
    bench_init(&bench, 3);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    fill(l, 300, 40);
    int64_t end = l->end;
    bench_kill(&bench, false);
    bench_start(&bench);
    CHECK(!bench.dir.was_clean);
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(error, 0);
    CHECK_INT(l->end, end);
    CHECK(reads_back(l, 3000));
    CHECK_INT(bench.warnings, 0);
    bench_free(&bench);
}

static void flush_each_message(void)
{
    struct log_config c = small_config();
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

/* ---- producers ---- */

static int idempotent(struct log *l, struct bench_append *x, int32_t sequence, int16_t epoch)
{
    struct batch_spec s = {.count = 3,
                           .timestamp = bench.wall,
                           .producer_id = 77,
                           .producer_epoch = epoch,
                           .sequence = sequence};
    return bench_append(&bench, l, x, &s, 0);
}

static void deduplicates(void)
{
    struct log_config c = small_config();
    struct bench_append x;
    int error;
    bench_init(&bench, 5);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    for (int i = 0; i < 8; i++)
        CHECK_INT(idempotent(l, &x, 3 * i, 0), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 3; i < 8; i++) {
            CHECK_INT(idempotent(l, &x, 3 * i, 0), 0);
            CHECK(x.a.duplicate);
            CHECK_INT(x.a.base_offset, 3 * i);
            CHECK_INT(x.a.last_offset, 3 * i + 2);
        }
        CHECK_INT(idempotent(l, &x, 6, 0), LOG_OUT_OF_ORDER_SEQUENCE);  /* the sixth last */
        CHECK_INT(idempotent(l, &x, 27, 0), LOG_OUT_OF_ORDER_SEQUENCE); /* a gap */
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
    CHECK_INT(idempotent(l, &x, 3, 1), LOG_OUT_OF_ORDER_SEQUENCE); /* a new epoch begins at 0 */
    CHECK_INT(idempotent(l, &x, 0, 1), 0);
    CHECK_INT(idempotent(l, &x, 24, 0), LOG_INVALID_PRODUCER_EPOCH);
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
    struct log_config c = small_config();
    struct bench_append x;
    int error;
    c.producer_expiry_ms = 1000;
    bench_init(&bench, 6);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(idempotent(l, &x, 0, 0), 0);
    CHECK_INT(idempotent(l, &x, 30, 0), LOG_OUT_OF_ORDER_SEQUENCE);
    bench_advance(&bench, 400000);
    bench_run(&bench);
    CHECK_INT(idempotent(l, &x, 30, 0), 0);
    bench_free(&bench);
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
    struct log_config c = small_config();
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

static void append_time(void)
{
    struct log_config c = small_config();
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
    CHECK(reads_back(l, 1 << 20));
    bench.wall += 100;
    CHECK_INT(bench_append(&bench, l, &x, &s, 0), 0);
    CHECK(x.a.duplicate);
    CHECK_INT(x.a.append_time, bench.wall - 100);
    CHECK_INT(bench_lookup(&bench, l, bench.wall - 100, &offset, &timestamp), 0);
    CHECK_INT(offset, 0);
    CHECK_INT(timestamp, bench.wall - 100);
    bench_free(&bench);
}

/* ---- finding ---- */

static void lookups(void)
{
    struct log_config c = small_config();
    int64_t offset, timestamp, base = INT64_C(1700000000000);
    int error;
    bench_init(&bench, 9);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    for (int restart = 0; restart < 3; restart++) {
        fill(l, 200, 30);
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
            CHECK_INT(bench_read(&bench, l, at, upto, 200, expect_rising, &next), upto - at);
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
    fill(l, 2, 0);
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
    struct log_config c = small_config();
    int error;
    bench_init(&bench, 11);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    fill(l, 400, 100);
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

/* ---- taking away ---- */

static void truncates(void)
{
    struct log_config c = small_config();
    struct bench_append x;
    struct log_request r;
    int error;
    int32_t epoch;
    int64_t at;
    bench_init(&bench, 12);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    for (int i = 0; i < 300; i++) {
        struct batch_spec s = {.count = 5,
                               .timestamp = bench.wall,
                               .value = (uint64_t)l->end,
                               .padding = 50,
                               .producer_id = 5,
                               .sequence = (int32_t)l->end};
        CHECK_INT(bench_append(&bench, l, &x, &s, i / 100), 0);
    }
    log_end_offset_for_epoch(l, 1, &epoch, &at);
    CHECK_INT(epoch, 1);
    CHECK_INT(at, 1000);
    log_end_offset_for_epoch(l, 2, &epoch, &at);
    CHECK_INT(at, 1500);
    log_end_offset_for_epoch(l, 3, &epoch, &at);
    CHECK_INT(at, -1);
    for (int64_t to = 1499; to > 0; to -= 333) {
        CHECK_INT(BENCH_AWAIT(&bench, r, log_truncate_to(l, &r, to)), 0);
        CHECK_INT(l->end, to / 5 * 5);
        CHECK(reads_back(l, 4000));
        CHECK_INT(log_latest_epoch(l), (l->end - 1) / 500);
        /* the producer goes on from there, and what came after is no duplicate */
        struct batch_spec s = {.count = 5,
                               .timestamp = bench.wall,
                               .value = (uint64_t)l->end,
                               .padding = 50,
                               .producer_id = 5,
                               .sequence = (int32_t)l->end};
        CHECK_INT(bench_append(&bench, l, &x, &s, log_latest_epoch(l)), 0);
        CHECK(!x.a.duplicate);
        CHECK_INT(bench_append(&bench, l, &x, &s, log_latest_epoch(l)), 0);
        CHECK(x.a.duplicate);
        if (to == 833) {
            bench_kill(&bench, false);
            bench_start(&bench);
            l = bench_open(&bench, "t", &c, &error);
            CHECK_INT(error, 0);
            CHECK_INT(l->end, 835);
        }
    }
    CHECK_INT(BENCH_AWAIT(&bench, r, log_truncate_all(l, &r, 5000)), 0);
    CHECK_INT(l->start, 5000);
    CHECK_INT(l->end, 5000);
    struct batch_spec s = {
        .count = 2, .timestamp = bench.wall, .value = 5003, .base_offset = 5003, .leader_epoch = 9};
    CHECK_INT(bench_follow(&bench, l, &x, &s), 0);
    CHECK_INT(l->end, 5005);
    CHECK_INT(log_latest_epoch(l), 9);
    s.base_offset = 5004;
    CHECK_INT(bench_follow(&bench, l, &x, &s), LOG_OFFSET_OUT_OF_RANGE);
    CHECK_INT(bench_stop(&bench), 0);
    bench_start(&bench);
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(l->start, 5000);
    CHECK_INT(l->end, 5005);
    bench_free(&bench);
}

static void deletes_records(void)
{
    struct log_config c = small_config();
    struct log_request r, q;
    int error;
    bench_init(&bench, 13);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    fill(l, 400, 50);
    uint64_t size = l->size;
    CHECK_INT(BENCH_AWAIT(&bench, r, log_delete_before(l, &r, 2001)), LOG_OFFSET_OUT_OF_RANGE);
    r = q = (struct log_request){.done = bench_request_done};
    log_files_step(&bench.files, bench.now, bench.wall, &bench.out);
    log_delete_before(l, &r, 1003);
    log_delete_before(l, &q, 1200);
    CHECK_INT(bench_await(&bench, &r), 0);
    CHECK_INT(bench_await(&bench, &q), 0);
    CHECK_INT(l->start, 1200);
    bench_kill(&bench, true); /* durable the moment it was told */
    bench_start(&bench);
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(error, 0);
    CHECK_INT(l->start, 1200);
    CHECK_INT(bench_read(&bench, l, 1199, l->end, 100, NULL, NULL), -LOG_OFFSET_OUT_OF_RANGE);
    bench_run(&bench);
    CHECK(l->size < size);
    bench_free(&bench);
}

static void retention(void)
{
    struct log_config c = small_config();
    int error;
    int64_t offset, timestamp;
    bench_init(&bench, 14);
    bench_start(&bench);
    c.retention_bytes = 40000;
    struct log *l = bench_open(&bench, "t", &c, &error);
    struct log *compacted;
    fill(l, 500, 50);
    c.cleanup_delete = false;
    c.cleanup_compact = true;
    compacted = bench_open(&bench, "c", &c, &error);
    fill(compacted, 500, 50);
    bench_advance(&bench, 300001);
    bench_run(&bench);
    CHECK(l->size >= 40000 && l->size < 40000 + 17000);
    CHECK(l->start > 0);
    CHECK(reads_back(l, 9000));
    CHECK_INT(bench_lookup(&bench, l, 0, &offset, &timestamp), 0);
    CHECK_INT(offset, l->start);
    CHECK_INT(compacted->start, 0);
    /* by time everything goes, the active segment too; after a restart the times come from the index */
    CHECK_INT(bench_stop(&bench), 0);
    bench_start(&bench);
    compacted = bench_open(&bench, "c", &c, &error);
    c.cleanup_delete = true;
    c.cleanup_compact = false;
    c.retention_bytes = -1;
    c.retention_ms = 3600000;
    l = bench_open(&bench, "t", &c, &error);
    bench_advance(&bench, 300001);
    bench_run(&bench);
    CHECK(l->size > 30000);
    bench_advance(&bench, 4000000);
    bench_run(&bench);
    CHECK_INT(l->size, 0);
    CHECK_INT(l->start, l->end);
    CHECK_INT(compacted->start, 0);
    fill(l, 3, 0);
    CHECK(reads_back(l, 100));
    CHECK_INT(bench_stop(&bench), 0);
    bench_free(&bench);
}

static void pinned(void)
{
    struct log_config c = small_config();
    struct log_request r;
    int error;
    bench_init(&bench, 15);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    fill(l, 300, 50);
    struct log_read read = {.offset = 0, .upto = l->end, .max_bytes = 100000};
    log_files_step(&bench.files, bench.now, bench.wall, &bench.out);
    CHECK_INT(log_read(l, &read), 0);
    CHECK(read.length > 0);
    CHECK_INT(BENCH_AWAIT(&bench, r, log_delete_before(l, &r, l->high_watermark)), 0);
    bench_run(&bench);
    CHECK(sim_disk_peek(bench.disk, "t-0/00000000000000000000.log").data == NULL);
    uint8_t byte;
    CHECK(sim_disk_gather(bench.disk, read.file, read.position + read.length - 1, &byte, 1));
    CHECK_INT(BENCH_AWAIT(&bench, r, log_delete(l, &r)), 0);
    CHECK(sim_disk_gather(bench.disk, read.file, read.position, &byte, 1));
    log_unpin(read.segment);
    bench_settle(&bench);
    bench_run(&bench);
    CHECK(!sim_disk_gather(bench.disk, read.file, read.position, &byte, 1));
    struct ferry_text names = {0};
    sim_disk_names(bench.disk, &names);
    CHECK(!names.data || !strstr(names.data, "t-0"));
    ferry_text_free(&names);
    /* the same name again */
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(error, 0);
    CHECK_INT(l->end, 0);
    fill(l, 3, 0);
    CHECK_INT(bench_stop(&bench), 0);
    bench_free(&bench);
}

/* Deleted while it is being opened, and while appends are under way. */
static void deletes_early(void)
{
    static const struct log_owner nobody;
    static const struct ferry_uuid id = {{7}};
    struct log_config c = small_config();
    struct log_request r;
    struct bench_append x[3];
    int error;
    for (int early = 0; early < 8; early++) {
        bench_init(&bench, 40 + (uint64_t)early);
        bench_start(&bench);
        struct log *l;
        if (early < 6) {
            log_files_step(&bench.files, bench.now, bench.wall, &bench.out);
            l = log_open(&bench.dir, "t", 0, &id, &c, &nobody, NULL);
            bench_settle(&bench);
            for (int i = 0; i < early; i++)
                bench_step(&bench);
        } else {
            l = bench_open(&bench, "t", &c, &error);
        }
        for (int i = 0; i < 3; i++)
            bench_append_begin(&bench, l, &x[i],
                               &(struct batch_spec){.count = 1, .timestamp = bench.wall}, 0);
        if (early == 7)
            bench_step(&bench);
        CHECK_INT(BENCH_AWAIT(&bench, r, log_delete(l, &r)), 0);
        bench_run(&bench);
        for (int i = 0; i < 3; i++)
            CHECK(x[i].done);
        struct ferry_text names = {0};
        sim_disk_names(bench.disk, &names);
        CHECK(!names.data || !strstr(names.data, "t-0"));
        ferry_text_free(&names);
        CHECK_INT(bench_stop(&bench), 0);
        bench_free(&bench);
    }
}

static void stale_directory(void)
{
    int error;
    bench_init(&bench, 16);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", NULL, &error);
    fill(l, 3, 0);
    CHECK_INT(bench_stop(&bench), 0);
    sim_disk_put(bench.disk, "t-0/partition.metadata",
                 "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ", 43);
    bench_start(&bench);
    l = bench_open(&bench, "t", NULL, &error);
    CHECK_INT(error, 0);
    CHECK_INT(l->end, 0);
    CHECK_INT(bench.warnings, 1);
    bench_free(&bench);
}

/* What a write that failed leaves of partition.metadata names no other topic: the records stay. */
static void a_name_cut_short(void)
{
    int error;
    bench_init(&bench, 29);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", NULL, &error);
    fill(l, 3, 0);
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

static void looked_up(struct log_lookup *k, int error)
{
}

/* A directory that is freed while it closes its logs, with a read under way, leaves nothing behind (a leak shows under
 * ASan). */
static void torn_down_while_it_closes(void)
{
    struct log_config c = small_config();
    for (int steps = 0; steps < 40; steps++) {
        struct log_request closing = {.done = bench_request_done};
        struct log_lookup k = {.upto = INT64_MAX, .done = looked_up};
        int error;
        bench_init(&bench, 300 + (uint64_t)steps);
        bench_start(&bench);
        struct log *l = bench_open(&bench, "t", &c, &error);
        fill(l, 100, 60);
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

/* ---- a disk that fails ---- */

static void no_space(void)
{
    struct log_config c = small_config();
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
    CHECK(reads_back(l, 3000));
    CHECK_INT(bench_stop(&bench), 0);
    bench_start(&bench);
    l = bench_open(&bench, "t", &c, &error);
    CHECK_INT(l->end, sequence);
    CHECK(reads_back(l, 3000));
    bench_free(&bench);
}

static void failed_sync(void)
{
    struct log_config c = small_config();
    struct bench_append x;
    int error;
    c.flush_messages = 1;
    bench_init(&bench, 18);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    fill(l, 3, 0);
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
    struct log_config c = small_config();
    for (int i = 0; i < 8 * 5 * 4; i++) {
        int error;
        struct damage d = {.suffix = files[i % 8], .kind = i / 8 % 5};
        ferry_prng_seed(&d.prng, (uint64_t)i);
        bench_init(&bench, 100 + (uint64_t)i);
        bench_start(&bench);
        struct log *l = bench_open(&bench, "t", &c, &error);
        struct bench_append x;
        fill(l, 150, 60);
        CHECK_INT(idempotent(l, &x, 0, 0), 0);
        if (i / 40 % 2)
            CHECK_INT(bench_stop(&bench), 0);
        else
            bench_kill(&bench, false);
        sim_disk_each(bench.disk, damage, &d);
        bench_start(&bench);
        l = bench_open(&bench, "t", &c, &error);
        CHECK_INT(error, 0);
        if (strcmp(d.suffix, "partition.metadata") ||
            l->end) { /* another topic's id there would be believed */
            CHECK_INT(l->end, 753);
            if (strcmp(d.suffix, "log-start-offset-checkpoint") || l->start == 0) {
                uint64_t next = 0;
                int64_t offset, timestamp;
                CHECK_INT(bench_read(&bench, l, 0, 750, 3000, expect_rising, &next), 750);
                for (int64_t at = 0; at < 750; at += 31) {
                    next = (uint64_t)at;
                    CHECK_INT(bench_read(&bench, l, at, 750, 500, expect_rising, &next), 750 - at);
                    CHECK_INT(bench_lookup(&bench, l, bench.wall + at, &offset, &timestamp), 0);
                    CHECK_INT(offset, at);
                }
            }
            if (strcmp(d.suffix, ".snapshot") || d.kind != 2) {
                CHECK_INT(idempotent(l, &x, 0, 0), 0);
                CHECK(x.a.duplicate);
            }
            CHECK_INT(log_latest_epoch(l), 3);
        }
        bench_free(&bench);
    }
}

static void torn_tail(void)
{
    struct log_config c = small_config();
    for (int i = 0; i < 60; i++) {
        int error;
        bench_init(&bench, 300 + (uint64_t)i);
        bench_start(&bench);
        struct log *l = bench_open(&bench, "t", &c, &error);
        fill(l, 20, 60);
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
        CHECK(reads_back(l, 1000));
        fill(l, 5, 10);
        CHECK(reads_back(l, 1000));
        bench_free(&bench);
    }
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

static void flush_by_time(void)
{
    struct log_config c = small_config();
    int error;
    c.flush_ms = 2000;
    bench_init(&bench, 21);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    fill(l, 3, 0);
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
    fill(l, 1, 0);
    CHECK_INT(BENCH_AWAIT(&bench, r, log_flush(l, &r)), 0);
    CHECK_INT(l->flushed, 20);
    bench_free(&bench);
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

/* One allocation fails somewhere: an error, or nothing to see; never a crash, a leak, a lost record. */
static bool short_of_memory(uint64_t step, uint64_t nth)
{
    struct log_config c = small_config();
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
    FERRY_CHECK(reads_back(l, 1000));
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
    TAP_RUN(append_and_read);
    TAP_RUN(clean_restart);
    TAP_RUN(killed);
    TAP_RUN(flush_each_message);
    TAP_RUN(deduplicates);
    TAP_RUN(forgets_producers);
    TAP_RUN(refuses);
    TAP_RUN(append_time);
    TAP_RUN(lookups);
    TAP_RUN(out_of_range);
    TAP_RUN(scans);
    TAP_RUN(truncates);
    TAP_RUN(deletes_records);
    TAP_RUN(retention);
    TAP_RUN(pinned);
    TAP_RUN(deletes_early);
    TAP_RUN(stale_directory);
    TAP_RUN(a_name_cut_short);
    TAP_RUN(torn_down_while_it_closes);
    TAP_RUN(whoever_knows_more_of_a_producer);
    TAP_RUN(no_space);
    TAP_RUN(failed_sync);
    TAP_RUN(damaged_helpers);
    TAP_RUN(torn_tail);
    TAP_RUN(checkpoints_bound_the_scan);
    TAP_RUN(flush_by_time);
    TAP_RUN(hostile_checkpoints);
    TAP_RUN(out_of_memory);
    return tap_done();
}
