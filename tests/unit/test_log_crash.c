/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Seeded runs of one partition log against a model: appends by an idempotent producer with five batches in flight, reads,
 * lookups, truncation, DeleteRecords, retention, disks that fill up or fail, processes that are killed and machines that
 * lose power between any two file actions, in any order of completion that the seam allows.
 *
 * What must hold: an append that was acknowledged survives a kill; a power loss where the flush policy is 1, else what
 * was flushed; what is read is what was appended, at its offset; nothing is there twice; what was reported failed is not
 * there; lookups by time are exact; deleted records stay deleted once that was told.
 *
 *   test_log_crash [SEEDS [FIRST]]
 */

#include "tests/lib/tap.h"
#include "tests/unit/log_bench.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { IN_FLIGHT = 5, MODEL_MAX = 200000 };

struct sent {
    struct bench_append x;
    struct batch_spec spec;
    bool under_way, accepted;
};

struct model {
    uint64_t *values;
    int64_t *times;
    int64_t count; /* records known by offset, from 0 */
    int64_t acked; /* end of what was acknowledged */
    int64_t durable_start, asked_start;
};

struct run {
    struct bench bench;
    struct log *log;
    struct log_config config;
    struct model m;
    struct sent sent[IN_FLIGHT]; /* unanswered, oldest first */
    int sent_count;
    uint64_t next_value;
    int64_t producer_id;
    int16_t epoch;
    int32_t sequence;
    int32_t leader_epoch;
    bool failing_syncs, half_cut;
    uint64_t seed;
};

static struct {
    uint64_t runs, appends, acked, failed, crashes, power_losses, stops, lost_records, duplicates,
        reads, lookups, truncations, offline, deletions;
} total;

static struct run run;

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("# seed %llu: %s fails at line %d (%s)\n", (unsigned long long)run.seed, #cond, \
                   __LINE__, run.bench.last_line);                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static uint64_t below(uint64_t n)
{
    return ferry_prng_below(&run.bench.prng, n);
}

/* ---- appending ---- */

static void model_put(int64_t offset, uint64_t value, int64_t time)
{
    MUST(offset <= run.m.count && offset < MODEL_MAX);
    run.m.values[offset] = value;
    run.m.times[offset] = time;
    if (offset == run.m.count)
        run.m.count++;
}

static void accept(const struct sent *s)
{
    MUST(s->x.a.base_offset <= run.m.acked || s->x.a.duplicate);
    for (int i = 0; i < s->spec.count; i++) {
        int64_t at = s->x.a.base_offset + i, time = s->spec.timestamp + s->spec.step * i;
        if (s->x.a.duplicate && at < run.m.count) {
            MUST(run.m.values[at] == s->spec.value + (uint64_t)i);
            continue;
        }
        run.m.count = at < run.m.count ? at : run.m.count; /* what stood there never was */
        model_put(at, s->spec.value + (uint64_t)i, time);
    }
    if (s->x.a.last_offset + 1 > run.m.acked)
        run.m.acked = s->x.a.last_offset + 1;
    total.acked++;
    total.duplicates += s->x.a.duplicate;
}

static void send(struct sent *s)
{
    total.appends++;
    if (run.bench.trace)
        printf("# send %d from sequence %d epoch %d producer %d at end %d\n", s->spec.count,
               s->spec.sequence, s->spec.producer_epoch, (int)s->spec.producer_id,
               (int)run.log->end);
    s->under_way = true;
    bench_append_begin(&run.bench, run.log, &s->x, &s->spec, run.leader_epoch);
}

/* Takes the answers, in order; what failed stays in the list to be sent again. */
static void harvest(void)
{
    int kept = 0;
    for (int i = 0; i < run.sent_count; i++) {
        struct sent *s = &run.sent[i];
        if (s->accepted)
            continue;
        if (s->under_way && s->x.done) {
            s->under_way = false;
            if (s->x.error == 0) {
                /* batches of one partition are answered in order */
                MUST(kept == 0 || s->x.a.duplicate);
                accept(s);
                s->accepted = true;
                continue;
            }
            total.failed++;
            if (run.bench.trace)
                printf("# sequence %d: error %d %s\n", s->spec.sequence, s->x.error, s->x.a.text);
            MUST(s->x.error == LOG_STORAGE_ERROR || s->x.error == LOG_OUT_OF_ORDER_SEQUENCE);
        }
        kept++;
    }
    /* only a prefix may have gone: struct log_append must not move while it is under way */
    int gone = run.sent_count - kept;
    if (gone) {
        for (int i = 0; i < run.sent_count; i++)
            if (run.sent[i].under_way)
                return;
        struct sent left[IN_FLIGHT];
        int n = 0;
        for (int i = 0; i < run.sent_count; i++)
            if (!run.sent[i].accepted)
                left[n++] = run.sent[i];
        memcpy(run.sent, left, sizeof left[0] * (size_t)n);
        run.sent_count = n;
    }
}

static void settle(void)
{
    bench_run(&run.bench);
    harvest();
}

/* Everything that failed or was lost under way is sent again, in order. */
static void resend(void)
{
    for (int round = 0; run.sent_count && round < 50; round++) {
        if (run.bench.dir.offline)
            return;
        sim_disk_faults(run.bench.disk)->no_space = 0;
        for (int i = 0; i < run.sent_count; i++) {
            struct batch_spec spec = run.sent[i].spec;
            memset(&run.sent[i], 0, sizeof run.sent[i]);
            run.sent[i].spec = spec;
            send(&run.sent[i]);
        }
        settle();
    }
    MUST(run.sent_count == 0 || run.bench.dir.offline);
}

static void op_append(void)
{
    if (run.sent_count == IN_FLIGHT || run.m.count > MODEL_MAX - 1000) {
        settle();
        resend();
        return;
    }
    for (int i = 0; i < run.sent_count; i++)
        if (!run.sent[i].under_way) /* an idempotent producer does not go on past a failure */
            return;
    struct sent *s = &run.sent[run.sent_count++];
    memset(s, 0, sizeof *s);
    s->spec = (struct batch_spec){.count = 1 + (int)below(12),
                                  .timestamp = run.bench.wall - 20000 + (int64_t)below(40000),
                                  .step = (int64_t)below(5) - 2,
                                  .producer_id = run.producer_id,
                                  .producer_epoch = run.epoch,
                                  .sequence = run.sequence,
                                  .value = run.next_value,
                                  .padding = below(4) ? below(60) : below(250),
                                  .codec = below(5) == 0 ? 2 : 0};
    run.sequence = (int32_t)(((int64_t)run.sequence + s->spec.count) & INT32_MAX);
    run.next_value += (uint64_t)s->spec.count;
    send(s);
}

/* ---- reading ---- */

static int64_t expected_offset;

static void check_record(const struct ferry_batch_record *r, void *cookie)
{
    MUST(r->offset == expected_offset);
    MUST(r->offset >= run.m.count ||
         (bench_value(r) == run.m.values[r->offset] && r->timestamp == run.m.times[r->offset]));
    if (r->offset >= run.m.count)
        model_put(r->offset, bench_value(r), r->timestamp);
    expected_offset++;
}

static void read_range(int64_t from, int64_t upto, uint64_t max)
{
    expected_offset = from;
    int64_t n = bench_read(&run.bench, run.log, from, upto, max, check_record, NULL);
    MUST(n >= 0 && (upto != run.log->end || expected_offset == upto));
    total.reads++;
}

static void op_read(void)
{
    struct log *l = run.log;
    settle();
    if (run.sent_count || run.bench.dir.offline || l->end <= l->start)
        return;
    int64_t from = l->start + (int64_t)below((uint64_t)(l->end - l->start));
    read_range(from, l->end, 1 + below(3) * below(20000));
}

static void op_lookup(void)
{
    struct log *l = run.log;
    int64_t offset, time, want = -1, target = run.bench.wall - 30000 + (int64_t)below(60000);
    settle();
    if (run.sent_count || run.bench.dir.offline || l->end != run.m.count)
        return;
    bool max = below(4) == 0;
    for (int64_t i = l->start; i < l->end; i++)
        if (max ? want < 0 || run.m.times[i] > run.m.times[want]
                : want < 0 && run.m.times[i] >= target)
            want = i;
    MUST(bench_lookup(&run.bench, l, max ? LOG_MAX_TIMESTAMP : target, &offset, &time) == 0);
    /* the largest time may belong to a batch that begins before the log's start; then what is left of it counts */
    if (run.bench.trace)
        printf("# looked for %lld: %d at %lld, should be %d at %lld\n",
               max ? -3ll : (long long)target, (int)offset, (long long)time, (int)want,
               want < 0 ? -1ll : (long long)run.m.times[want]);
    if (!max || l->start == 0) {
        MUST(offset == want);
        MUST(want < 0 || time == run.m.times[want]);
    }
    total.lookups++;
}

/* ---- taking away ---- */

static void forget_producer(void)
{
    run.epoch++;
    run.sequence = 0;
}

static void op_truncate(void)
{
    struct log_request r;
    struct log *l = run.log;
    settle();
    if (run.sent_count || run.bench.dir.offline || l->end <= l->start)
        return;
    int64_t to = l->end - (int64_t)below(below(5) ? 40 : (uint64_t)(l->end - l->start) + 1);
    if (to < l->start)
        to = l->start;
    int error = BENCH_AWAIT(&run.bench, r, log_truncate_to(l, &r, to));
    bench_run(&run.bench);
    if (error) {
        MUST(run.bench.dir.offline || sim_disk_faults(run.bench.disk)->no_space);
        if (run.bench.dir.offline) /* it may have got half way */
            run.m.acked = to / 2, run.half_cut = true;
        return;
    }
    MUST(l->end <= to || to < l->start);
    run.m.count = run.m.acked = l->end;
    if (run.m.durable_start > l->end)
        run.m.durable_start = l->end;
    run.leader_epoch++;
    forget_producer();
    total.truncations++;
}

static void op_delete(void)
{
    struct log_request r;
    struct log *l = run.log;
    settle();
    if (run.sent_count || run.bench.dir.offline || l->high_watermark <= l->start)
        return;
    int64_t to = l->start + (int64_t)below((uint64_t)(l->high_watermark - l->start) / 2 + 1);
    run.m.asked_start = to > run.m.asked_start ? to : run.m.asked_start;
    int error = BENCH_AWAIT(&run.bench, r, log_delete_before(l, &r, to));
    if (error == 0)
        run.m.durable_start = to > run.m.durable_start ? to : run.m.durable_start;
    else
        MUST(run.bench.dir.offline || sim_disk_faults(run.bench.disk)->no_space);
    total.deletions++;
}

/* ---- starting and ending ---- */

static void open_log(void)
{
    int error;
    bench_start(&run.bench);
    run.log = bench_open(&run.bench, "topic", &run.config, &error);
    MUST(error == 0);
}

/* The log is open again: is it what it may be? */
static void check_reopened(int64_t least_end)
{
    struct log *l = run.log;
    MUST(l->end >= least_end);
    MUST(l->start >= run.m.durable_start);
    MUST(l->high_watermark <= l->end && l->flushed <= l->end);
    int64_t known = run.m.count;
    if (run.bench.trace)
        printf("# reopened: start %d end %d, at least %d, known %d\n", (int)l->start, (int)l->end,
               (int)least_end, (int)known);
    if (l->end < known) {
        total.lost_records += (uint64_t)(known - l->end);
        known = l->end;
    }
    /* Beyond what was acknowledged may stand what was under way, whole and in order. */
    int64_t at = known;
    run.m.count = known;
    while (run.m.count < l->start) /* lost and deleted: whatever it was, nobody sees it */
        model_put(run.m.count, 0, 0);
    at = run.m.count;
    for (int i = 0; i < run.sent_count && at < l->end; i++) {
        struct sent *s = &run.sent[i];
        for (int k = 0; k < s->spec.count; k++, at++)
            model_put(at, s->spec.value + (uint64_t)k, s->spec.timestamp + s->spec.step * k);
    }
    MUST(at == l->end);
    run.m.acked = l->end;
    if (l->end > l->start)
        read_range(l->start, l->end, 1 << 20);
}

static void drop_accepted(void)
{
    int kept = 0;
    for (int i = 0; i < run.sent_count; i++)
        if (!run.sent[i].accepted)
            run.sent[kept++] = run.sent[i];
    run.sent_count = kept;
}

static void op_crash(bool power_loss)
{
    struct log *l = run.log;
    int64_t least;
    for (uint64_t i = below(12); i > 0 && bench_step(&run.bench); i--)
        ;
    for (int i = 0, open = 0; i < run.sent_count; i++) {
        struct sent *s = &run.sent[i];
        if (s->under_way && s->x.done && s->x.error == 0) {
            MUST(open == 0 || s->x.a.duplicate);
            accept(s);
            s->accepted = true;
        }
        open += !s->accepted;
    }
    least = power_loss
                ? run.config.flush_messages == 1 && !run.failing_syncs ? run.m.acked : l->flushed
                : run.m.acked;
    if (run.half_cut)
        least = 0;
    else if (run.bench.dir.offline)
        least = l->flushed < run.m.acked ? l->flushed : run.m.acked;
    bool told_all = least >= run.m.acked;
    bool offline = run.bench.dir.offline;
    bench_kill(&run.bench, power_loss);
    if (offline) /* what a failed sync leaves is the operator's affair before the restart; here nothing more is lost */
        sim_disk_sync_all(run.bench.disk);
    drop_accepted();
    *sim_disk_faults(run.bench.disk) = (struct sim_disk_faults){0};
    int64_t acked = run.m.acked;
    open_log();
    check_reopened(least);
    if (run.log->end < acked || run.half_cut) {
        /* Acknowledged records are gone: the producer cannot go on where it was. */
        MUST(!told_all || run.half_cut);
        forget_producer();
        run.sent_count = 0;
        run.producer_id++;
        run.epoch = 0;
        run.sequence = 0;
        run.half_cut = false;
    }
    total.crashes++;
    total.power_losses += power_loss;
    run.leader_epoch++;
    resend();
}

static void op_stop(void)
{
    settle();
    resend();
    int64_t end = run.log->end;
    int error = bench_stop(&run.bench);
    bool offline = error != 0;
    drop_accepted();
    if (offline)
        sim_disk_sync_all(run.bench.disk);
    *sim_disk_faults(run.bench.disk) = (struct sim_disk_faults){0};
    open_log();
    if (!offline) {
        MUST(run.bench.dir.was_clean);
        MUST(run.log->end == end && run.log->flushed == end);
    }
    check_reopened(offline ? 0 : end);
    total.stops++;
    resend();
}

/* ---- a run ---- */

static void begin_run(uint64_t seed)
{
    struct model m = run.m;
    memset(&run, 0, sizeof run);
    run.seed = seed;
    run.m = m;
    run.m.count = run.m.acked = run.m.durable_start = run.m.asked_start = 0;
    bench_init(&run.bench, seed);
    run.bench.shuffle = below(4) != 0;
    log_config_defaults(&run.config);
    run.config.segment_bytes = 4096 << below(4);
    run.config.index_interval_bytes = 128 << below(5);
    run.config.segment_index_bytes = 1 << (8 + below(8));
    run.config.flush_messages = below(3) == 0 ? 1 : below(2) ? 50 : INT64_MAX;
    if (below(3) == 0)
        run.config.retention_bytes = 20000;
    run.producer_id = 1000;
    open_log();
}

static void op_trouble(void)
{
    struct sim_disk_faults *f = sim_disk_faults(run.bench.disk);
    if (run.bench.dir.offline) {
        total.offline++;
        op_crash(below(2));
        return;
    }
    f->no_space = below(3) == 0 ? 100 : 0;
    f->sync_error = below(12) == 0 ? 200 : 0;
    run.failing_syncs = f->sync_error != 0;
}

static void one_run(uint64_t seed)
{
    begin_run(seed);
    int ops = 60 + (int)below(200);
    for (int i = 0; i < ops; i++) {
        uint64_t dice = below(100);
        if (run.bench.dir.offline)
            op_trouble();
        else if (dice < 60)
            op_append();
        else if (dice < 70)
            for (uint64_t k = below(20); k > 0 && bench_step(&run.bench); k--)
                ;
        else if (dice < 76)
            op_read();
        else if (dice < 82)
            op_lookup();
        else if (dice < 85)
            op_truncate();
        else if (dice < 87)
            op_delete();
        else if (dice < 89)
            op_stop();
        else if (dice < 94)
            op_crash(below(2));
        else if (dice < 97)
            op_trouble();
        else
            bench_advance(&run.bench, 1000 + (ferry_msec)below(400000));
    }
    *sim_disk_faults(run.bench.disk) = (struct sim_disk_faults){0};
    settle();
    if (run.bench.dir.offline)
        op_crash(false);
    resend();
    op_stop();
    bench_free(&run.bench);
    total.runs++;
}

static uint64_t seeds = 600, first = 1;

static void survives(void)
{
    run.m.values = ferry_alloc(MODEL_MAX * sizeof *run.m.values);
    run.m.times = ferry_alloc(MODEL_MAX * sizeof *run.m.times);
    for (uint64_t seed = first; seed < first + seeds; seed++)
        one_run(seed);
    ferry_free(run.m.values);
    ferry_free(run.m.times);
    printf("# runs=%llu appends=%llu acked=%llu failed=%llu crashes=%llu power_losses=%llu "
           "stops=%llu lost=%llu "
           "duplicates=%llu reads=%llu lookups=%llu truncations=%llu deletions=%llu offline=%llu\n",
           (unsigned long long)total.runs, (unsigned long long)total.appends,
           (unsigned long long)total.acked, (unsigned long long)total.failed,
           (unsigned long long)total.crashes, (unsigned long long)total.power_losses,
           (unsigned long long)total.stops, (unsigned long long)total.lost_records,
           (unsigned long long)total.duplicates, (unsigned long long)total.reads,
           (unsigned long long)total.lookups, (unsigned long long)total.truncations,
           (unsigned long long)total.deletions, (unsigned long long)total.offline);
    if (seeds < 100)
        return;
    /* a run that met nothing proves nothing */
    CHECK(total.crashes > seeds * 2 && total.power_losses > seeds / 2 && total.stops > seeds);
    CHECK(total.failed > seeds && total.duplicates > seeds / 4 && total.lost_records > 0);
    CHECK(total.truncations > seeds / 2 && total.deletions > seeds / 4 &&
          total.offline > seeds / 50);
    CHECK(total.reads > seeds && total.lookups > seeds);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        seeds = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        first = strtoull(argv[2], NULL, 10);
    TAP_RUN(survives);
    return tap_done();
}
