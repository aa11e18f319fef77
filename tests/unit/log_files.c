/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Partition logs between the simulated disk and a real directory, so that Kafka's tools can look at ours and ours at
 * Kafka's.
 *
 *   log_files write DIR     writes logs of every kind into DIR (empty); prints per log: name, records, end
 *   log_files extend DIR TO TOPIC
 *                           appends to partition 0 of TOPIC in a copy of DIR, written to TO; prints the new end
 *   log_files read DIR      opens every log found in DIR (a copy in memory) and reads it whole; prints per log: name,
 *                           start, end, records, and the lookups by time that went wrong (0)
 */

#include "tests/unit/log_bench.h"

#include "base/check.h"
#include "base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct bench bench;

static void out(const char *path, struct ferry_bytes bytes, void *cookie)
{
    char name[1024];
    snprintf(name, sizeof name, "%s/%s", (const char *)cookie, path);
    for (char *s = name + strlen(cookie) + 1; (s = strchr(s, '/')) != NULL; *s++ = '/') {
        *s = '\0';
        mkdir(name, 0777);
    }
    FILE *f = fopen(name, "wb");
    FERRY_CHECK(f && fwrite(bytes.data ? bytes.data : (const uint8_t *)"", 1, bytes.len, f) ==
                         bytes.len);
    FERRY_CHECK(fclose(f) == 0);
}

static void in(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    FERRY_CHECK(d);
    while ((e = readdir(d)) != NULL) {
        char path[1024], name[1024];
        struct stat st;
        if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.'))
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "/" : "", e->d_name);
        FERRY_CHECK(stat(path, &st) == 0);
        if (S_ISDIR(st.st_mode)) {
            in(path, name);
            continue;
        }
        uint8_t *data = malloc((size_t)st.st_size + 1);
        FILE *f = fopen(path, "rb");
        FERRY_CHECK(data && f && fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size);
        fclose(f);
        sim_disk_put(bench.disk, name, data, (size_t)st.st_size);
        free(data);
    }
    closedir(d);
}

/* Batches of every codec and size; idempotent ones from several producers; a new leader epoch now and then. */
static void fill(struct log *l, int batches, bool append_time)
{
    int32_t sequence[3] = {0};
    for (int i = 0; i < batches; i++) {
        struct bench_append x;
        int producer = i % 4;
        struct batch_spec s = {.count = 1 + (i * 7) % 40,
                               .timestamp = bench.wall + i * 10 - (i % 5) * 37,
                               .step = append_time ? 0 : (i % 3) - 1,
                               .value = (uint64_t)l->end,
                               .padding = (size_t)(i * 13 % 200),
                               .codec = i % 5,
                               .keyless = i % 3 == 0};
        if (producer < 3) {
            s.producer_id = 100 + producer;
            s.sequence = sequence[producer];
            sequence[producer] += s.count;
        }
        FERRY_CHECK(bench_append(&bench, l, &x, &s, i / 100) == 0 && !x.a.duplicate);
    }
}

static int write_logs(char *dir)
{
    struct log_config c;
    struct log_request r;
    struct log *l;
    int error;
    log_config_defaults(&c);
    c.segment_bytes = 100 << 10;
    bench_init(&bench, 1);
    bench_start(&bench);
    for (int kind = 0; kind < 4; kind++) {
        static const char *const names[] = {"restarted", "plain", "truncated", "stamped"};
        c.append_time = kind == 3;
        l = bench_open(&bench, names[kind], &c, &error);
        FERRY_CHECK(error == 0);
        fill(l, 400, kind == 3);
        if (kind == 2)
            FERRY_CHECK(BENCH_AWAIT(&bench, r, log_truncate_to(l, &r, l->end * 2 / 3)) == 0);
        if (kind == 0) {
            int64_t end = l->end;
            bench_kill(&bench, false);
            bench_start(&bench);
            l = bench_open(&bench, names[kind], &c, &error);
            FERRY_CHECK(error == 0);
            FERRY_CHECK(l->end == end);
        }
    }
    for (struct ferry_link *it = bench.dir.logs.next; it != &bench.dir.logs; it = it->next) {
        l = FERRY_CONTAINER(it, struct log, link);
        int64_t n = bench_read(&bench, l, l->start, l->end, 1 << 20, NULL, NULL);
        FERRY_CHECK(n == l->end - l->start);
        printf("%s-%d %lld %lld\n", l->topic, (int)l->partition, (long long)n, (long long)l->end);
    }
    FERRY_CHECK(bench_stop(&bench) == 0);
    sim_disk_each(bench.disk, out, dir);
    bench_free(&bench);
    return 0;
}

struct seen {
    int64_t *offsets, *times;
    size_t count, cap, cap2;
};

static void remember(const struct ferry_batch_record *r, void *cookie)
{
    struct seen *s = cookie;
    FERRY_CHECK(FERRY_GROW(s->offsets, s->cap, s->count + 1) == 0);
    FERRY_CHECK(FERRY_GROW(s->times, s->cap2, s->count + 1) == 0);
    s->offsets[s->count] = r->offset;
    s->times[s->count++] = r->timestamp;
}

static int wrong_lookups(struct log *l, const struct seen *s)
{
    int wrong = 0;
    for (size_t i = 0; i < s->count; i += s->count / 50 + 1) {
        int64_t offset, time, want = -1;
        for (size_t k = 0; k < s->count && want < 0; k++)
            if (s->times[k] >= s->times[i])
                want = s->offsets[k];
        if (bench_lookup(&bench, l, s->times[i], &offset, &time) != 0 || offset != want)
            wrong++;
    }
    return wrong;
}

static int read_logs(const char *dir)
{
    int failed = 0;
    bench_init(&bench, 1);
    in(dir, "");
    bench_start(&bench);
    printf("clean %d\n", bench.dir.was_clean);
    struct log_found f;
    for (size_t at = 0; log_dir_next_found(&bench.dir, &at, &f);) {
        char topic[256];
        int error;
        snprintf(topic, sizeof topic, "%.*s", (int)f.topic.len, f.topic.data);
        struct log *l = bench_open_partition(&bench, topic, f.partition, NULL, NULL, &error);
        if (error) {
            printf("%s-%d error %d\n", topic, (int)f.partition, error);
            failed = 1;
            continue;
        }
        struct seen s = {0};
        int64_t n = bench_read(&bench, l, l->start, l->end, 50000, remember, &s);
        printf("%s-%d start %lld end %lld records %lld wrong %d\n", topic, (int)f.partition,
               (long long)l->start, (long long)l->end, (long long)n, wrong_lookups(l, &s));
        ferry_free(s.offsets);
        ferry_free(s.times);
    }
    printf("warnings %d errors %d\n", bench.warnings, bench.errors);
    failed |= bench_stop(&bench) != 0;
    bench_free(&bench);
    return failed;
}

static int extend_log(const char *from, char *to, const char *topic)
{
    int error;
    bench_init(&bench, 1);
    in(from, "");
    bench_start(&bench);
    struct log_config c;
    log_config_defaults(&c);
    c.segment_bytes = 1 << 20;
    struct log *l = bench_open_partition(&bench, topic, 0, NULL, &c, &error);
    FERRY_CHECK(error == 0);
    int32_t epoch = log_latest_epoch(l);
    for (int i = 0; i < 6000; i++) {
        struct bench_append x;
        struct batch_spec s = {.count = 10,
                               .timestamp = bench.wall + i,
                               .producer_id = 100000 + i % 3,
                               .padding = 30,
                               .sequence = 10 * (i / 3),
                               .value = (uint64_t)l->end,
                               .codec = i % 5};
        FERRY_CHECK(bench_append(&bench, l, &x, &s, epoch) == 0);
    }
    printf("%lld\n", (long long)l->end);
    FERRY_CHECK(bench_stop(&bench) == 0);
    sim_disk_each(bench.disk, out, to);
    bench_free(&bench);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "write"))
        return write_logs(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "read"))
        return read_logs(argv[2]);
    if (argc == 5 && !strcmp(argv[1], "extend"))
        return extend_log(argv[2], argv[3], argv[4]);
    fprintf(stderr, "usage: log_files write|read DIR, or extend DIR TO TOPIC\n");
    return 2;
}
