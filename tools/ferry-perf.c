/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Measures producing, consuming, and the time from send to receipt, through the public API. */

#include "tools/histogram.h"
#include "tools/opt.h"

#include <ferry/ferry.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct opt opts[] = {
    {"--mode", "MODE", "produce, consume, or latency (also as the first word of the command line)",
     0, 0},
    {"--topic", "NAME", "the topic (required)", "-t", 0},
    {"--num-records", "N", "how many records (default 1000000; latency: 10000)",
     "--messages --num-messages", 0},
    {"--record-size", "BYTES", "size of a value (default 100)", "--message-size", 0},
    {"--throughput", "N",
     "records a second at most; -1 for as fast as it goes (default; latency: 1000)", 0, 0},
    {"--group", "NAME", "consume in this group; default: every partition, without a group", 0, 0},
    {"--timeout-ms", "MS", "give up when nothing comes for so long (default 10000)", "--timeout",
     0},
    {"--command-config", "FILE", "client settings from a properties file",
     "--producer.config --consumer.config", 0},
    {"--command-property", "KEY=VALUE", "a client setting; may be repeated", "--producer-props", 1},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-perf", "Measures a cluster through this library.", opts,
    "Modes: produce sends records of one size and prints rate and latency to the report; consume "
    "reads a topic from its\n"
    "beginning and prints the rate; latency sends one record after the other and prints the time "
    "until a consumer has it.\n"
    "Ctrl-C ends it with what was measured until then, and status 1. On a terminal a line on "
    "standard error tells how far "
    "it is.\n"
    "Example: ferry-perf produce --bootstrap-server localhost:9092 --topic t --num-records 1000000 "
    "--record-size 100"};

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* One line on a terminal's stderr, rewritten twice a second. */
struct progress {
    int64_t next_us;
    bool shown;
};

static void progress(struct progress *p, const char *verb, int64_t done, int64_t total,
                     int64_t start_us)
{
    int64_t now = now_us();
    if (now < p->next_us || !isatty(STDERR_FILENO))
        return;
    double seconds = (double)(now - start_us) / 1e6;
    fprintf(stderr, "\r%s %" PRId64 " of %" PRId64 ", %.0f records/s ", verb, done, total,
            seconds > 0 ? (double)done / seconds : 0);
    p->next_us = now + 500000;
    p->shown = true;
}

static void progress_end(const struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
}

static void print_result(const char *verb, int64_t count, int64_t bytes, int64_t elapsed_us,
                         const struct histogram *h)
{
    double seconds = elapsed_us > 0 ? (double)elapsed_us / 1e6 : 1e-6;
    printf("%" PRId64 " records %s in %.3f s, %.0f records/s, %.2f MB/s", count, verb, seconds,
           (double)count / seconds, (double)bytes / 1e6 / seconds);
    if (h && h->total)
        printf("; latency in us: mean %.0f, p50 %" PRId64 ", p95 %" PRId64 ", p99 %" PRId64
               ", p99.9 %" PRId64 ", max %" PRId64,
               (double)h->sum / (double)h->total, histogram_percentile(h, 50),
               histogram_percentile(h, 95), histogram_percentile(h, 99),
               histogram_percentile(h, 99.9), h->max);
    printf("\n");
}

struct produced {
    struct histogram latency;
    int64_t acked, failed;
    char why[600];
};

static void take_reports(struct ferry_producer *p, struct produced *r, int32_t timeout_ms)
{
    enum { MANY = 256 };
    struct ferry_reported records[MANY];
    struct ferry_report *report;
    while ((report = ferry_producer_poll(p, timeout_ms))) {
        struct ferry_report_info info;
        int32_t n;
        ferry_report_info(report, &info);
        if (info.error) {
            if (!r->failed)
                snprintf(r->why, sizeof r->why, "%s: %s", ferry_error_name(info.error), info.text);
            r->failed += info.count;
        } else {
            r->acked += info.count;
            while ((n = ferry_report_next(report, records, MANY)) > 0)
                for (int32_t i = 0; i < n; i++)
                    histogram_add(&r->latency, records[i].latency_us);
        }
        ferry_report_release(report);
        timeout_ms = 0;
    }
}

/* Waits until record number `sent` is due. */
static void keep_pace(struct ferry_producer *p, struct produced *r, int64_t sent, int64_t rate,
                      int64_t start_us)
{
    int64_t due = start_us + sent * 1000000 / rate, left;
    while ((left = due - now_us()) > 0 && !opt_interrupted)
        take_reports(p, r, left > 1000 ? (int32_t)(left / 1000) : 0);
}

static int produce(const struct ferry_config *config, const char *name)
{
    struct ferry_error err;
    struct produced *r = calloc(1, sizeof *r);
    int64_t total = opt_number(&program, "--num-records", 1, INT64_MAX, 1000000);
    int32_t size = (int32_t)opt_number(&program, "--record-size", 0, 1 << 30, 100);
    int64_t rate = opt_number(&program, "--throughput", -1, INT32_MAX, -1), sent = 0,
            start = now_us();
    struct ferry_producer *p = ferry_producer_new(config, FERRY_REPORTS | FERRY_REPORT_TIMES, &err);
    struct ferry_topic *topic = p ? ferry_producer_topic(p, name, &err) : NULL;
    char *value = malloc((size_t)size + 1);
    struct progress shown = {0};
    if (!r || !topic || !value) {
        opt_say(&program, "%s", r && value ? err.text : "out of memory");
        return EXIT_FAILED;
    }
    for (int32_t i = 0; i < size; i++)
        value[i] = (char)('A' + (i * 7 + i / 26) % 26);
    for (; sent < total && !opt_interrupted; sent++) {
        if (rate > 0)
            keep_pace(p, r, sent, rate, start);
        int32_t code = ferry_send(topic, -1, NULL, 0, value, size, 0, 0);
        while (code == FERRY_E_QUEUE_FULL && !opt_interrupted) {
            take_reports(p, r, 100);
            code = ferry_send(topic, -1, NULL, 0, value, size, 0, 0);
        }
        if (code) {
            opt_say(&program, "record %" PRId64 ": %s", sent, ferry_error_name(code));
            break;
        }
        if (sent % 1024 == 0) {
            take_reports(p, r, 0);
            progress(&shown, "sent", sent, total, start);
        }
    }
    ferry_producer_flush(p, 0, NULL);
    int64_t quiet = now_us() + 1000 * opt_number(&program, "--timeout-ms", 0, INT32_MAX, 10000),
            done = -1;
    while (r->acked + r->failed < sent && now_us() < quiet && !opt_interrupted) {
        take_reports(p, r, 100);
        if (r->acked + r->failed != done)
            quiet = now_us() + 1000 * opt_number(&program, "--timeout-ms", 0, INT32_MAX, 10000);
        done = r->acked + r->failed;
    }
    progress_end(&shown);
    print_result("produced", r->acked, r->acked * size, now_us() - start, &r->latency);
    int status = r->acked == total ? EXIT_DONE : EXIT_FAILED;
    if (status)
        opt_say(&program, "%" PRId64 " of %" PRId64 " records were not delivered%s%s",
                total - r->acked, total, r->failed ? "; the first: " : "", r->why);
    ferry_producer_close(p, 1000, NULL);
    ferry_producer_free(p);
    free(value);
    free(r);
    return status;
}

/* Every partition of the topic, as metadata has them. */
static int32_t assign_all(struct ferry_consumer *c, const char *name, int64_t offset,
                          struct ferry_error *err)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    struct ferry_partition_list *list = ferry_partition_list_new();
    ferry_admin_add_name(call, name);
    int32_t code = ferry_admin_run(call, ferry_consumer_handle(c), 30000, err);
    const struct ferry_admin_item *topic = ferry_admin_item(call, 0);
    for (int32_t i = 0; i < ferry_admin_list_count(topic, FERRY_FIELD_PARTITIONS); i++) {
        const struct ferry_admin_item *p = ferry_admin_list_item(topic, FERRY_FIELD_PARTITIONS, i);
        ferry_partition_list_add(list, name, (int32_t)ferry_admin_int(p, FERRY_FIELD_PARTITION, -1),
                                 offset);
    }
    if (code == 0)
        code = ferry_consumer_assign(c, list, err);
    ferry_partition_list_free(list);
    ferry_admin_free(call);
    return code;
}

/* Every partition, or the group's share. */
static int32_t begin_consuming(struct ferry_consumer *c, const char *name, int64_t offset,
                               struct ferry_error *err)
{
    if (opt_given(&program, "--group"))
        return ferry_consumer_subscribe(c, &name, 1, err);
    return assign_all(c, name, offset, err);
}

static int consume(struct ferry_config *config, const char *name)
{
    enum { MANY = 1000, STEP_MS = 200 }; /* a step: how soon a signal is seen */
    static struct ferry_message messages[MANY];
    struct ferry_error err;
    int64_t total = opt_number(&program, "--num-records", 1, INT64_MAX, 1000000), count = 0,
            bytes = 0, start = now_us(), first = 0;
    int32_t timeout = (int32_t)opt_number(&program, "--timeout-ms", 0, INT32_MAX, 10000);
    struct progress shown = {0};
    ferry_config_set(config, "auto.offset.reset", "earliest", NULL);
    if (opt_given(&program, "--group"))
        ferry_config_set(config, "group.id", opt_get(&program, "--group")->text, NULL);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    if (!c || begin_consuming(c, name, FERRY_OFFSET_EARLIEST, &err)) {
        opt_say(&program, "%s", err.text);
        ferry_consumer_free(c);
        return EXIT_FAILED;
    }
    int64_t last = start;
    while (count < total && !opt_interrupted && now_us() - last <= 1000 * (int64_t)timeout) {
        int32_t n =
            ferry_consumer_poll(c, messages, MANY, timeout < STEP_MS ? timeout : STEP_MS, &err);
        if (n < 0)
            break;
        if (n == 0)
            continue;
        last = now_us();
        if (!first)
            first = now_us();
        for (int32_t i = 0; i < n; i++) {
            if (messages[i].error)
                continue;
            count++;
            bytes += (messages[i].value_len > 0 ? messages[i].value_len : 0) +
                     (messages[i].key_len > 0 ? messages[i].key_len : 0);
        }
        progress(&shown, "read", count, total, first);
    }
    int64_t end = now_us();
    progress_end(&shown);
    print_result("consumed", count, bytes, end - (first ? first : start), NULL);
    printf("first record after %.3f ms\n", first ? (double)(first - start) / 1000 : 0.0);
    ferry_consumer_close(c, 5000, NULL);
    ferry_consumer_free(c);
    return count >= total ? EXIT_DONE : EXIT_FAILED;
}

/* Waits for the record whose value begins with `stamp`; false at the time-out. */
static bool await_stamp(struct ferry_consumer *c, int64_t stamp, int32_t timeout_ms)
{
    struct ferry_message m;
    int64_t deadline = now_us() + 1000 * (int64_t)timeout_ms, left;
    while ((left = deadline - now_us()) > 0 && !opt_interrupted) {
        int64_t got = 0;
        int32_t n =
            ferry_consumer_poll(c, &m, 1, left < 200000 ? (int32_t)(left / 1000) + 1 : 200, NULL);
        if (n == 1 && !m.error && m.value_len >= (int32_t)sizeof got)
            memcpy(&got, m.value, sizeof got);
        if (got == stamp)
            return true;
    }
    return false;
}

static int latency(struct ferry_config *config, const char *name)
{
    struct ferry_error err;
    struct histogram *h = calloc(1, sizeof *h);
    int64_t total = opt_number(&program, "--num-records", 1, INT64_MAX, 10000), done = 0;
    int64_t rate = opt_number(&program, "--throughput", 1, 1000000, 1000);
    int32_t size = (int32_t)opt_number(&program, "--record-size", 8, 1 << 30, 100);
    int32_t timeout = (int32_t)opt_number(&program, "--timeout-ms", 0, INT32_MAX, 10000);
    char *value = calloc(1, (size_t)size);
    ferry_config_set(config, "linger.ms", "0", NULL);
    struct ferry_producer *p = ferry_producer_new(config, 0, &err);
    struct ferry_topic *topic = p ? ferry_producer_topic(p, name, &err) : NULL;
    struct ferry_consumer *c = topic ? ferry_consumer_new(config, &err) : NULL;
    struct progress shown = {0};
    if (!h || !value || !c || ferry_topic_wait(topic, 30000, &err) < 0 ||
        begin_consuming(c, name, FERRY_OFFSET_LATEST, &err)) {
        opt_say(&program, "%s", h && value ? err.text : "out of memory");
        return EXIT_FAILED;
    }
    /* The first record only shows that the consumer has found the end of the log. */
    ferry_consumer_poll(c, &(struct ferry_message){0}, 1, 500, NULL);
    int64_t start = now_us();
    for (; done < total && !opt_interrupted; done++) {
        for (int64_t left; (left = start + done * 1000000 / rate - now_us()) > 0;)
            nanosleep(&(struct timespec){left / 1000000, left % 1000000 * 1000}, NULL);
        int64_t stamp = now_us();
        memcpy(value, &stamp, sizeof stamp);
        if (ferry_send(topic, -1, NULL, 0, value, size, 0, FERRY_SEND_WAIT) ||
            !await_stamp(c, stamp, timeout))
            break;
        histogram_add(&h[0], now_us() - stamp);
        progress(&shown, "done", done, total, start);
    }
    progress_end(&shown);
    print_result("sent and received", done, done * size, now_us() - start, h);
    ferry_consumer_close(c, 5000, NULL);
    ferry_consumer_free(c);
    ferry_producer_close(p, 1000, NULL);
    ferry_producer_free(p);
    free(value);
    free(h);
    return done == total ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    static char mode_option[] = "--mode";
    char *words[argc + 2];
    int n = 0;
    words[n++] = argv[0];
    if (argc > 1 && argv[1][0] != '-')
        words[n++] = mode_option;
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    opt_parse(&program, n, words);
    const char *mode = opt_get(&program, "--mode")->text,
               *topic = opt_get(&program, "--topic")->text;
    if (!mode || !topic || !opt_given(&program, "--bootstrap-server"))
        opt_usage(&program, "a mode, --topic and --bootstrap-server are required");
    struct ferry_config *config = opt_config(&program, "--command-config", "--command-property");
    opt_catch_signals();
    int status;
    if (!strcmp(mode, "produce"))
        status = produce(config, topic);
    else if (!strcmp(mode, "consume"))
        status = consume(config, topic);
    else if (!strcmp(mode, "latency"))
        status = latency(config, topic);
    else
        opt_usage(&program, "%s is no mode: produce, consume or latency", mode);
    ferry_config_free(config);
    return opt_finish(status);
}
