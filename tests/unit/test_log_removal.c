/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* What a partition's log takes away: the tail that is cut, records deleted or too old, the log itself. */

#include "tests/lib/tap.h"
#include "tests/unit/log_bench.h"

#include <stdio.h>

static struct bench bench;

static void truncates(void)
{
    struct log_config c = bench_small_config();
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
        CHECK(bench_reads_back(&bench, l, 4000));
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
    struct log_config c = bench_small_config();
    struct log_request r, q;
    int error;
    bench_init(&bench, 13);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    bench_fill(&bench, l, 400, 50);
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
    struct log_config c = bench_small_config();
    int error;
    int64_t offset, timestamp;
    bench_init(&bench, 14);
    bench_start(&bench);
    c.retention_bytes = 40000;
    struct log *l = bench_open(&bench, "t", &c, &error);
    struct log *compacted;
    bench_fill(&bench, l, 500, 50);
    c.cleanup_delete = false;
    c.cleanup_compact = true;
    compacted = bench_open(&bench, "c", &c, &error);
    bench_fill(&bench, compacted, 500, 50);
    bench_advance(&bench, 300001);
    bench_run(&bench);
    CHECK(l->size >= 40000 && l->size < 40000 + 17000);
    CHECK(l->start > 0);
    CHECK(bench_reads_back(&bench, l, 9000));
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
    bench_fill(&bench, l, 3, 0);
    CHECK(bench_reads_back(&bench, l, 100));
    CHECK_INT(bench_stop(&bench), 0);
    bench_free(&bench);
}

static void pinned(void)
{
    struct log_config c = bench_small_config();
    struct log_request r;
    int error;
    bench_init(&bench, 15);
    bench_start(&bench);
    struct log *l = bench_open(&bench, "t", &c, &error);
    bench_fill(&bench, l, 300, 50);
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
    bench_fill(&bench, l, 3, 0);
    CHECK_INT(bench_stop(&bench), 0);
    bench_free(&bench);
}

/* Deleted while it is being opened, and while appends are under way. */
static void deletes_early(void)
{
    static const struct log_owner nobody;
    static const struct ferry_uuid id = {{7}};
    struct log_config c = bench_small_config();
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

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    TAP_RUN(truncates);
    TAP_RUN(deletes_records);
    TAP_RUN(retention);
    TAP_RUN(pinned);
    TAP_RUN(deletes_early);
    return tap_done();
}
