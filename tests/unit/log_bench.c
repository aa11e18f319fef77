/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/unit/log_bench.h"

#include "base/check.h"
#include "base/mem.h"
#include "record/build.h"
#include "record/compress.h"

#include <stdio.h>
#include <stdlib.h>

struct bench_pending {
    struct ferry_action action;
    struct ferry_part parts[4];
    char path[512], path2[512];
};

static void say(void *cookie, enum log_level level, const char *text)
{
    struct bench *b = cookie;
    if (b->trace)
        printf("# [%d] %s\n", level, text);
    b->warnings += level == LOG_WARN;
    b->errors += level == LOG_ERROR;
    snprintf(b->last_line, sizeof b->last_line, "%s", text);
}

void bench_init(struct bench *b, uint64_t seed)
{
    memset(b, 0, sizeof *b);
    b->disk = sim_disk_new(seed ^ 0x5eed);
    ferry_prng_seed(&b->prng, seed);
    b->now = 1000 * FERRY_SECOND;
    b->wall = INT64_C(1700000000000);
    b->trace = getenv("BENCH_TRACE") != NULL;
}

/* Takes the actions of the step over, with copies of what may go. */
static void collect(struct bench *b)
{
    FERRY_CHECK(!b->out.failed);
    for (size_t i = 0; i < b->out.count; i++) {
        const struct ferry_action *a = &b->out.items[i];
        FERRY_CHECK(FERRY_GROW(b->pending, b->pending_cap, b->pending_count + 1) == 0);
        struct bench_pending *p = &b->pending[b->pending_count++];
        memset(p, 0, sizeof *p);
        p->action = *a;
        FERRY_CHECK(a->part_count <= 4);
        if (a->part_count)
            memcpy(p->parts, b->out.parts + a->part_first, a->part_count * sizeof *p->parts);
        if (a->path)
            snprintf(p->path, sizeof p->path, "%s", a->path);
        if (a->path2)
            snprintf(p->path2, sizeof p->path2, "%s", a->path2);
    }
    ferry_actions_reset(&b->out);
}

void bench_settle(struct bench *b)
{
    while (log_files_settle(&b->files))
        ;
    collect(b);
}

static void begin(struct bench *b)
{
    /* without room for its actions an engine is dead; that is not what is tested */
    FERRY_CHECK(FERRY_GROW(b->out.items, b->out.cap, 64) == 0);
    FERRY_CHECK(FERRY_GROW(b->out.parts, b->out.part_cap, 64) == 0);
    log_files_step(&b->files, b->now, b->wall, &b->out);
}

/* May pending[i] be executed before those ahead of it? Not past one of the same file. */
static bool may_run(const struct bench *b, size_t i)
{
    struct ferry_id who = b->pending[i].action.who;
    for (size_t k = 0; k < i; k++)
        if (who.gen && ferry_id_eq(b->pending[k].action.who, who))
            return false;
    return true;
}

bool bench_step(struct bench *b)
{
    struct ferry_event ev;
    size_t i = 0;
    if (!b->pending_count)
        return false;
    if (b->shuffle)
        do
            i = ferry_prng_below(&b->prng, b->pending_count);
        while (!may_run(b, i));
    struct bench_pending p = b->pending[i];
    memmove(b->pending + i, b->pending + i + 1, (--b->pending_count - i) * sizeof *b->pending);
    p.action.path = p.path;
    p.action.path2 = p.path2;
    p.action.part_first = 0;
    b->executed++;
    bool any = sim_disk_execute(b->disk, &p.action, p.parts, &ev);
    if (b->trace)
        printf("# action %d file %u.%u %s at %llu: %d %llu\n", p.action.type, p.action.who.slot,
               p.action.who.gen, p.path, (unsigned long long)p.action.offset, any ? ev.status : 0,
               any ? (unsigned long long)ev.count : 0);
    if (!any)
        return true;
    b->now += 1000;
    ev.now = b->now;
    ev.wall = b->wall;
    begin(b);
    if (b->executed == b->fail_step)
        ferry_mem_fail_after(b->fail_nth);
    log_files_done(&b->files, &ev);
    while (log_files_settle(&b->files))
        ;
    ferry_mem_fail_after(0);
    bench_settle(b);
    return true;
}

void bench_run(struct bench *b)
{
    uint64_t guard = 0;
    while (bench_step(b))
        FERRY_CHECK(++guard < 10000000);
}

void bench_request_done(struct log_request *r, int error)
{
    r->done = NULL;
    r->offset = error;
}

int bench_await(struct bench *b, struct log_request *r)
{
    bench_settle(b);
    while (r->done && bench_step(b))
        ;
    FERRY_CHECK(!r->done);
    return (int)r->offset;
}

static void went_offline(struct log_dir *dir, const char *why)
{
    ((struct bench *)dir->cookie)->offline = true;
}

void bench_start(struct bench *b)
{
    struct log_request r;
    FERRY_CHECK(!b->running);
    b->host = (struct log_host){b, say};
    b->offline = false;
    FERRY_CHECK(log_files_init(&b->files, &b->host, 64) == 0);
    begin(b);
    FERRY_CHECK(log_dir_init(&b->dir, &b->files) == 0);
    b->dir.on_offline = went_offline;
    b->dir.cookie = b;
    b->running = true;
    FERRY_CHECK(BENCH_AWAIT(b, r, log_dir_open(&b->dir, &r)) == 0);
}

static void forget(struct bench *b)
{
    log_dir_free(&b->dir);
    log_files_free(&b->files);
    ferry_actions_free(&b->out);
    memset(&b->out, 0, sizeof b->out);
    b->pending_count = 0;
    b->running = false;
}

int bench_stop(struct bench *b)
{
    struct log_request r;
    int error = BENCH_AWAIT(b, r, log_dir_close(&b->dir, &r));
    bench_run(b);
    if (!error)
        FERRY_CHECK(sim_disk_open_files(b->disk) <= 64);
    forget(b);
    sim_disk_kill(b->disk);
    return error;
}

void bench_kill(struct bench *b, bool power_loss)
{
    forget(b);
    if (power_loss)
        sim_disk_power_loss(b->disk);
    else
        sim_disk_kill(b->disk);
}

void bench_free(struct bench *b)
{
    if (b->running)
        forget(b);
    ferry_free(b->pending);
    sim_disk_free(b->disk);
}

void bench_advance(struct bench *b, ferry_msec ms)
{
    b->now += ms * FERRY_MS;
    b->wall += ms;
    begin(b);
    log_dir_tick(&b->dir);
    bench_settle(b);
}

static void opened(struct log *l, void *cookie, int error)
{
    *(int *)cookie = error;
}

static void moved(struct log *l, void *cookie)
{
    log_set_high_watermark(l, log_stable_end(l));
}

struct log *bench_open_partition(struct bench *b, const char *topic, int32_t partition,
                                 const struct ferry_uuid *id, const struct log_config *config,
                                 int *error)
{
    static const struct log_owner owner = {opened, moved};
    struct log_config standard;
    log_config_defaults(&standard);
    *error = INT32_MAX;
    begin(b);
    struct log *l =
        log_open(&b->dir, topic, partition, id, config ? config : &standard, &owner, error);
    FERRY_CHECK(l);
    bench_settle(b);
    while (*error == INT32_MAX && bench_step(b))
        ;
    FERRY_CHECK(*error != INT32_MAX);
    if (*error == 0)
        log_set_high_watermark(l, log_stable_end(l));
    l->cookie = NULL;
    return l;
}

struct log *bench_open(struct bench *b, const char *topic, const struct log_config *config,
                       int *error)
{
    static const struct ferry_uuid id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    return bench_open_partition(b, topic, 0, &id, config, error);
}

/* ---- batches ---- */

struct ferry_slab *bench_batch(const struct batch_spec *s)
{
    static uint8_t scratch[1 << 20];
    uint8_t value[8 + 4096] = {0}, key[4] = "key";
    uint8_t *at = scratch;
    int64_t max = INT64_MIN;
    FERRY_CHECK(s->padding <= 4096);
    memset(value + 8, 0x5a, s->padding);
    for (int i = 0; i < s->count; i++) {
        ferry_put64(value, s->value + (uint64_t)i);
        struct ferry_build_record r = {.value = {value, 8 + s->padding}};
        if (!s->keyless)
            r.key = (struct ferry_bytes){key, 3};
        FERRY_CHECK(at + ferry_build_record_max(&r) < scratch + sizeof scratch);
        at = ferry_build_record(at, &r, s->step * i, i);
        if (s->timestamp + s->step * i > max)
            max = s->timestamp + s->step * i;
    }
    struct ferry_slab *slab = ferry_slab_new(FERRY_BATCH_HEADER + (size_t)(at - scratch) + 256);
    struct ferry_codecs *codecs = ferry_codecs_new();
    FERRY_CHECK(slab && codecs);
    slab->len = FERRY_BATCH_HEADER;
    struct ferry_bytes whole = {scratch, (size_t)(at - scratch)};
    int codec = ferry_codec_available(s->codec, NULL) ? FERRY_CODEC_NONE : s->codec;
    FERRY_CHECK(ferry_compress(codecs, codec, FERRY_CODEC_LEVEL_DEFAULT, &whole, 1, &slab, NULL) ==
                0);
    ferry_codecs_free(codecs);
    bool idempotent = s->producer_id > 0;
    struct ferry_build_header h = {.base_offset = s->base_offset,
                                   .base_timestamp = s->timestamp,
                                   .max_timestamp = max,
                                   .producer_id = idempotent ? s->producer_id : -1,
                                   .leader_epoch = s->leader_epoch,
                                   .last_offset_delta = s->count - 1,
                                   .base_sequence = idempotent ? s->sequence : -1,
                                   .count = s->count,
                                   .attributes = (uint16_t)codec,
                                   .producer_epoch = idempotent ? s->producer_epoch : -1};
    ferry_build_header(slab->data, &h, slab->len);
    ferry_build_crc(slab->data, slab->len);
    return slab;
}

static void append_done(struct log_append *a, int error)
{
    struct bench_append *x = FERRY_CONTAINER(a, struct bench_append, a);
    FERRY_CHECK(!x->done);
    x->done = true;
    x->error = error;
}

static void prepare(struct bench_append *x, const struct batch_spec *s)
{
    memset(x, 0, sizeof *x);
    x->a.done = append_done;
    x->a.slab = bench_batch(s);
    x->a.data = x->a.slab->data;
    x->a.len = x->a.slab->len;
}

void bench_append_begin(struct bench *b, struct log *l, struct bench_append *x,
                        const struct batch_spec *s, int32_t epoch)
{
    prepare(x, s);
    struct ferry_slab *slab = x->a.slab;
    begin(b);
    if (b->fail_step && b->executed == b->fail_step)
        ferry_mem_fail_after(b->fail_nth);
    log_append_as_leader(l, &x->a, epoch);
    ferry_mem_fail_after(0);
    ferry_slab_unref(slab);
    bench_settle(b);
}

static int append_end(struct bench *b, struct bench_append *x)
{
    while (!x->done && bench_step(b))
        ;
    FERRY_CHECK(x->done);
    return x->error;
}

int bench_append(struct bench *b, struct log *l, struct bench_append *x, const struct batch_spec *s,
                 int32_t epoch)
{
    bench_append_begin(b, l, x, s, epoch);
    return append_end(b, x);
}

int bench_follow(struct bench *b, struct log *l, struct bench_append *x, const struct batch_spec *s)
{
    prepare(x, s);
    struct ferry_slab *slab = x->a.slab;
    begin(b);
    log_append_as_follower(l, &x->a);
    ferry_slab_unref(slab);
    bench_settle(b);
    return append_end(b, x);
}

/* ---- reading ---- */

static void read_done(struct log_read *r, int error)
{
    r->done = NULL;
    r->upto = error;
}

static int read_once(struct bench *b, struct log *l, struct log_read *r)
{
    begin(b);
    r->done = read_done;
    int rc = log_read(l, r);
    bench_settle(b);
    if (rc != FERRY_E_AGAIN)
        return rc;
    while (r->done && bench_step(b))
        ;
    FERRY_CHECK(!r->done);
    return (int)r->upto;
}

int64_t bench_read(struct bench *b, struct log *l, int64_t from, int64_t upto, uint64_t max_bytes,
                   void (*fn)(const struct ferry_batch_record *, void *), void *cookie)
{
    struct ferry_codecs *codecs = ferry_codecs_new();
    int64_t records = 0;
    int rc = 0;
    while (from < upto) {
        struct log_read r = {.offset = from, .upto = upto, .max_bytes = max_bytes, .min_one = true};
        rc = read_once(b, l, &r);
        if (rc != FERRY_OK || r.length == 0)
            break;
        uint8_t *data = ferry_alloc(r.length);
        FERRY_CHECK(data && sim_disk_gather(b->disk, r.file, r.position, data, r.length));
        begin(b);
        log_unpin(r.segment);
        bench_settle(b);
        struct ferry_batch_set set;
        struct ferry_batch batch;
        int64_t before = from;
        bool first = true;
        ferry_batch_set_init(&set, (struct ferry_bytes){data, r.length});
        while ((rc = ferry_batch_set_next(&set, &batch, NULL)) > 0) {
            struct ferry_batch_iter it;
            struct ferry_batch_record rec;
            struct ferry_slab *plain = NULL;
            struct ferry_bytes bytes = batch.records;
            FERRY_CHECK(ferry_batch_check_crc(&batch, NULL) == 0);
            FERRY_CHECK(batch.last_offset >=
                        before); /* begins with the batch that holds the offset */
            if (b->trace)
                printf("# read %lld..%lld got %lld..%lld at %llu+%llu of %lld\n", (long long)from,
                       (long long)upto, (long long)batch.base_offset, (long long)batch.last_offset,
                       (unsigned long long)r.position, (unsigned long long)r.length,
                       (long long)l->end);
            FERRY_CHECK(!first || batch.base_offset <= before || batch.base_offset == from);
            first = false;
            if (ferry_batch_codec(&batch)) {
                FERRY_CHECK(ferry_decompress(codecs, ferry_batch_codec(&batch), batch.records,
                                             1 << 24, &plain, NULL) == 0);
                bytes = (struct ferry_bytes){plain->data, plain->len};
            }
            FERRY_CHECK(ferry_batch_iter_init(&it, &batch, bytes, before, upto, NULL) == 0);
            while (ferry_batch_iter_next(&it, &rec, NULL) > 0) {
                records++;
                if (fn)
                    fn(&rec, cookie);
            }
            ferry_slab_unref(plain);
            from = batch.last_offset + 1;
        }
        FERRY_CHECK(rc == 0 && set.truncated == 0 && from > before);
        ferry_free(data);
    }
    ferry_codecs_free(codecs);
    return rc ? (rc > 0 ? -rc : rc) : records;
}

static void lookup_done(struct log_lookup *k, int error)
{
    k->done = NULL;
    k->upto = error;
}

int bench_lookup(struct bench *b, struct log *l, int64_t target, int64_t *offset,
                 int64_t *timestamp)
{
    struct log_lookup k = {.target = target, .upto = l->end, .done = lookup_done};
    begin(b);
    int rc = log_lookup(l, &k);
    bench_settle(b);
    if (rc == FERRY_E_AGAIN) {
        while (k.done && bench_step(b))
            ;
        FERRY_CHECK(!k.done);
        rc = (int)k.upto;
    }
    *offset = k.offset;
    *timestamp = k.timestamp;
    return rc;
}

uint64_t bench_value(const struct ferry_batch_record *r)
{
    return r->value.len >= 8 ? ferry_get64(r->value.data) : UINT64_MAX;
}

/* ---- shorthands ---- */

struct log_config bench_small_config(void)
{
    struct log_config c;
    log_config_defaults(&c);
    c.segment_bytes = 16 << 10;
    c.index_interval_bytes = 512;
    return c;
}

void bench_fill(struct bench *b, struct log *l, int n, size_t padding)
{
    for (int i = 0; i < n; i++) {
        struct bench_append x;
        struct batch_spec s = {.count = 5,
                               .timestamp = b->wall + l->end,
                               .step = 1,
                               .value = (uint64_t)l->end,
                               .padding = padding};
        FERRY_CHECK(bench_append(b, l, &x, &s, 3) == 0);
    }
}

void bench_expect_rising(const struct ferry_batch_record *r, void *cookie)
{
    uint64_t *next = cookie;
    FERRY_CHECK(bench_value(r) == *next);
    (*next)++;
}

bool bench_reads_back(struct bench *b, struct log *l, uint64_t max_bytes)
{
    uint64_t next = (uint64_t)l->start;
    return bench_read(b, l, l->start, l->end, max_bytes, bench_expect_rising, &next) ==
           l->end - l->start;
}

int bench_idempotent(struct bench *b, struct log *l, struct bench_append *x, int32_t sequence,
                     int16_t epoch)
{
    struct batch_spec s = {.count = 3,
                           .timestamp = b->wall,
                           .producer_id = 77,
                           .producer_epoch = epoch,
                           .sequence = sequence};
    return bench_append(b, l, x, &s, 0);
}
