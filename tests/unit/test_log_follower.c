/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Two logs that follow each other as replicas do: the leader appends, the follower takes its bytes; the leader falls, the
 * follower leads under a new epoch, and the old leader finds by that epoch where it has to be cut. Whatever happened, the
 * logs end up the same, byte for byte, and the one that leads knows what its producers sent.
 */

#include "tests/lib/tap.h"
#include "tests/unit/log_bench.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

enum { PRODUCERS = 3, SENT_MAX = 4000 };

static struct bench bench;
static struct log *logs[2];
static int leader;
static int32_t epoch;

/* What producers sent, and the offset that it got under the leader of that time. */
static struct sent {
    int producer, count;
    int32_t sequence;
} sent[SENT_MAX];
static int sent_count;
static int32_t next[PRODUCERS];

static uint64_t below(uint64_t n)
{
    return ferry_prng_below(&bench.prng, n);
}

static struct ferry_bytes file_of(int i)
{
    return sim_disk_peek(bench.disk,
                         i ? "b-0/00000000000000000000.log" : "a-0/00000000000000000000.log");
}

static void open_both(void)
{
    struct log_config c;
    int error;
    log_config_defaults(&c);
    c.index_interval_bytes = 512;
    for (int i = 0; i < 2; i++) {
        logs[i] = bench_open(&bench, i ? "b" : "a", &c, &error);
        FERRY_CHECK(error == 0);
    }
}

static int send(int producer, int count, int32_t sequence, struct bench_append *x)
{
    struct batch_spec s = {.count = count,
                           .timestamp = bench.wall,
                           .producer_id = 1 + producer,
                           .sequence = sequence,
                           .value = (uint64_t)(producer * 1000000 + sequence),
                           .padding = below(200)};
    return bench_append(&bench, logs[leader], x, &s, epoch);
}

static void lead(int n)
{
    struct bench_append x;
    for (int i = 0; i < n && sent_count < SENT_MAX; i++) {
        int p = (int)below(PRODUCERS), count = 1 + (int)below(5);
        FERRY_CHECK(send(p, count, next[p], &x) == 0 && !x.a.duplicate);
        sent[sent_count++] = (struct sent){p, count, next[p]};
        next[p] += count;
    }
}

struct taken {
    struct log_append a;
    bool done;
    int error;
};

static void took(struct log_append *a, int error)
{
    struct taken *t = FERRY_CONTAINER(a, struct taken, a);
    t->done = true;
    t->error = error;
}

/* The follower takes some of what it lacks: whole batches in a row. False: it lacks nothing. */
static bool follow_once(void)
{
    struct log *to = logs[!leader];
    struct ferry_bytes all = file_of(leader);
    struct ferry_batch_set set;
    struct ferry_batch b;
    size_t from = SIZE_MAX, upto = 0;
    int batches = 1 + (int)below(6);
    ferry_batch_set_init(&set, all);
    while (batches && ferry_batch_set_next(&set, &b, NULL) > 0) {
        if (b.base_offset < to->end)
            continue;
        if (from == SIZE_MAX)
            from = (size_t)(b.data - all.data);
        upto = (size_t)(b.data - all.data) + b.size;
        batches--;
    }
    if (from == SIZE_MAX)
        return false;
    struct taken t = {.a.done = took};
    t.a.slab = ferry_slab_new(upto - from);
    FERRY_CHECK(t.a.slab);
    memcpy(t.a.slab->data, all.data + from, upto - from);
    t.a.data = t.a.slab->data;
    t.a.len = t.a.slab->len = upto - from;
    log_append_as_follower(to, &t.a);
    ferry_slab_unref(t.a.slab);
    bench_settle(&bench);
    bench_run(&bench);
    FERRY_CHECK(t.done && t.error == 0);
    return true;
}

static bool same_files(void)
{
    struct ferry_bytes a = file_of(0), b = file_of(1);
    return logs[0]->end == logs[1]->end && a.len == b.len && !memcmp(a.data, b.data, a.len);
}

/* The follower leads from here; what it does not have is lost, and its producers begin again where it ends. */
static void fail_over(void)
{
    leader = !leader;
    epoch += 1 + (int)below(3);
    int kept = 0;
    for (int p = 0; p < PRODUCERS; p++)
        next[p] = 0;
    struct ferry_batch_set set;
    struct ferry_batch b;
    ferry_batch_set_init(&set, file_of(leader));
    while (ferry_batch_set_next(&set, &b, NULL) > 0) {
        int p = (int)b.producer_id - 1;
        sent[kept++] = (struct sent){p, b.count, b.base_sequence};
        next[p] = b.base_sequence + b.count;
    }
    sent_count = kept;
}

/* KIP-101: the old leader asks where the new one's idea of its last epoch ends, until both agree. */
static int64_t reconcile(void)
{
    struct log *to = logs[!leader], *from = logs[leader];
    struct log_request r;
    int64_t cut = 0;
    for (int rounds = 0;; rounds++) {
        int32_t mine = log_latest_epoch(to), found;
        int64_t end, own_end;
        int32_t own;
        FERRY_CHECK(rounds < 50);
        if (mine < 0)
            return cut;
        log_end_offset_for_epoch(from, mine, &found, &end);
        if (found < 0) { /* nothing of it is known there */
            end = from->start;
        } else if (found < mine) {
            log_end_offset_for_epoch(to, found, &own, &own_end);
            if (own >= 0 && own_end < end)
                end = own_end;
        }
        if (end >= to->end)
            return cut;
        cut += to->end - end;
        FERRY_CHECK(BENCH_AWAIT(&bench, r, log_truncate_to(to, &r, end)) == 0);
        FERRY_CHECK(to->end == end);
    }
}

/* The last batch of each producer is known as a repetition; one that leaves a gap is refused. */
static bool producers_are_known(void)
{
    struct bench_append x;
    int64_t end = logs[leader]->end;
    bool seen[PRODUCERS] = {false};
    for (int i = sent_count - 1; i >= 0; i--) {
        const struct sent *s = &sent[i];
        if (seen[s->producer])
            continue;
        seen[s->producer] = true;
        if (send(s->producer, s->count, s->sequence, &x) || !x.a.duplicate ||
            send(s->producer, 1, next[s->producer] + 1, &x) != LOG_OUT_OF_ORDER_SEQUENCE)
            return false;
    }
    return logs[leader]->end == end;
}

static void replicas_end_up_the_same(void)
{
    int64_t cut = 0, records = 0;
    int restarts = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        bench_init(&bench, seed);
        bench_start(&bench);
        open_both();
        leader = 0;
        epoch = 0;
        sent_count = 0;
        memset(next, 0, sizeof next);
        for (int round = 0; round < 12; round++) {
            lead(1 + (int)below(20));
            for (uint64_t n = below(4); n > 0 && follow_once(); n--)
                continue;
            if (below(4) == 0) { /* the broker is killed; the disk keeps what was written */
                bench_kill(&bench, false);
                bench_start(&bench);
                open_both();
                restarts++;
            }
            if (below(2) == 0) {
                fail_over();
                lead((int)below(10));
                cut += reconcile();
            }
            CHECK(producers_are_known());
        }
        while (follow_once())
            continue;
        CHECK(same_files());
        CHECK_INT(log_latest_epoch(logs[0]), log_latest_epoch(logs[1]));
        fail_over(); /* the other one knows the same of its producers */
        CHECK(producers_are_known());
        records += logs[0]->end;
        CHECK_INT(bench_stop(&bench), 0);
        bench_free(&bench);
    }
    printf("# %lld records, %lld cut off again, %d restarts\n", (long long)records, (long long)cut,
           restarts);
    CHECK(records > 5000 && cut > 500 && restarts > 20);
}

int main(void)
{
    TAP_RUN(replicas_end_up_the_same);
    return tap_done();
}
