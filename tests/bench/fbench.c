/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fbench - the native API's counterpart of kbench: the same work, the same options, the same figures, through <ferry/...>
 * alone.
 *
 *   fbench -M produce -b HOST:PORT -n 2000000 -s 100 [-k 8] [-X key=value]... [-d cookies|records|batch|none]
 *   fbench -M latency -b HOST:PORT -n 5000 -R 1000          (from send to report; -w alone: without a second thread)
 *   fbench -M consume -b HOST:PORT -n 5000000 -P 4          (record by record, at most a thousand a call)
 *   fbench -M queue   -n 1000000 -s 10                      (memory per queued record; no broker needed)
 *   fbench -M startup -b HOST:PORT -w producer|group -r 7   (from creation to the first report, or record in a group)
 *   fbench -M mem     -b HOSTS -i 10 -P 50 [-S 2]           (threads and memory of idle clients, all brokers connected)
 *
 * -d says how outcomes are taken: `cookies` (the default) visits every record's cookie, `records` every record with key,
 * value and offset, `batch` only the batches. Prints a line of key=value pairs.
 */
#define _GNU_SOURCE
#include <ferry/ferry.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { VALUES = 1024, MANY = 512, POLLED = 1000 };

static const char *o_mode = "produce", *o_brokers = "127.0.0.1:9092", *o_topic = "bench",
                  *o_take = "cookies", *o_what = "producer", *o_label = "";
static long o_n = 1000000, o_rate = 1000;
static int o_size = 100, o_key = 0, o_part = -1, o_parts = 4, o_reps = 7, o_poll = 256,
           o_clients = 10;
static double o_max_seconds = 300, o_rest = 2;
static const char *settings[64];
static int setting_count;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "fbench: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct meter {
    double wall, user, sys;
    long switches;
};

static struct meter meter(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (struct meter){now_ns() / 1e9, r.ru_utime.tv_sec + r.ru_utime.tv_usec / 1e6,
                          r.ru_stime.tv_sec + r.ru_stime.tv_usec / 1e6, r.ru_nvcsw + r.ru_nivcsw};
}

static long rss_anon_kb(void)
{
    char line[200];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The same JSON-like text as kbench sends. */
static uint64_t random_state = 88172645463325252ull;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static char *values, *keys;

static void make_values(void)
{
    static const char *const words[] = {"\"user_id\":",
                                        "\"event\":\"page_view\",",
                                        "\"ts\":17",
                                        "\"path\":\"/index/item/",
                                        "\"status\":200,",
                                        "\"ms\":",
                                        "\"agent\":\"Mozilla/5.0 (X11)\","};
    size_t total = (size_t)VALUES * (size_t)(o_size ? o_size : 1);
    values = malloc(total + 100);
    keys = malloc((size_t)VALUES * (size_t)(o_key ? o_key : 1) + 100);
    if (!values || !keys)
        die("values", "no memory");
    for (size_t i = 0; i < total;) {
        char text[64];
        int n = snprintf(text, sizeof text, "%s%u,", words[next_random() % 7],
                         (unsigned)(next_random() % 1000000));
        memcpy(values + i, text, (size_t)n);
        i += (size_t)n;
    }
    for (int i = 0; i < VALUES; i++) {
        char text[65];
        snprintf(text, sizeof text, "%064llu", (unsigned long long)(next_random() % 100000000));
        int n = o_key > 64 ? 64 : o_key;
        memcpy(keys + (size_t)i * (size_t)o_key, text + 64 - n, (size_t)n);
    }
}

static struct ferry_config *make_config(void)
{
    struct ferry_error err;
    struct ferry_config *c = ferry_config_new();
    if (!c)
        die("config", "no memory");
    if (ferry_config_set(c, "bootstrap.servers", o_brokers, &err))
        die("config", err.text);
    for (int i = 0; i < setting_count; i++)
        if (ferry_config_set_pair(c, settings[i], &err))
            die("config", err.text);
    return c;
}

static uint32_t report_flags(void)
{
    if (!strcmp(o_take, "none"))
        return 0;
    return FERRY_REPORTS | (strcmp(o_take, "batch") ? FERRY_REPORT_COOKIES : 0);
}

static struct ferry_producer *make_producer(struct ferry_topic **topic)
{
    struct ferry_error err;
    struct ferry_config *c = make_config();
    struct ferry_producer *p = ferry_producer_new(c, report_flags(), &err);
    ferry_config_free(c);
    if (!p)
        die("producer", err.text);
    *topic = ferry_producer_topic(p, o_topic, &err);
    if (!*topic)
        die("topic", err.text);
    return p;
}

/* -- Taking reports -- */

static long reported, failed;
static uint64_t cookie_sum;
static int64_t *latencies;
static long latency_count;

static void take(struct ferry_report *r)
{
    struct ferry_report_info info;
    ferry_report_info(r, &info);
    if (info.error)
        failed += info.count;
    if (!strcmp(o_take, "records")) {
        struct ferry_reported records[MANY];
        int32_t n;
        while ((n = ferry_report_next(r, records, MANY)) > 0)
            for (int32_t i = 0; i < n; i++) {
                cookie_sum += records[i].cookie + (uint64_t)records[i].offset +
                              (uint64_t)records[i].value_len;
                reported++;
            }
    } else if (!strcmp(o_take, "cookies")) {
        uint64_t cookies[MANY];
        int32_t n;
        while ((n = ferry_report_cookies(r, cookies, MANY)) > 0) {
            for (int32_t i = 0; i < n; i++)
                cookie_sum += cookies[i];
            if (latencies)
                for (int32_t i = 0; i < n; i++)
                    if (cookies[i])
                        latencies[latency_count++] = now_ns() - (int64_t)cookies[i];
            reported += n;
        }
    } else {
        reported += info.count;
    }
    ferry_report_release(r);
}

static void take_all(struct ferry_producer *p, int32_t timeout_ms)
{
    struct ferry_report *r;
    while ((r = ferry_producer_poll(p, timeout_ms))) {
        take(r);
        timeout_ms = 0;
    }
}

/* -- Modes -- */

static void print_rate(const char *mode, struct meter a, struct meter b, long n, double bytes)
{
    double w = b.wall - a.wall, cpu = b.user + b.sys - a.user - a.sys;
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    printf("%s%s%s msgs=%ld wall_s=%.3f msgs_per_s=%.0f MB_per_s=%.1f cpu_us_per_msg=%.4f "
           "user_us=%.4f sys_us=%.4f "
           "ctxsw=%ld maxrss_mb=%.1f\n",
           o_label, *o_label ? " " : "", mode, n, w, (double)n / w, (double)n * bytes / w / 1e6,
           cpu / (double)n * 1e6, (b.user - a.user) / (double)n * 1e6,
           (b.sys - a.sys) / (double)n * 1e6, b.switches - a.switches, (double)r.ru_maxrss / 1024);
}

static void mode_produce(void)
{
    struct ferry_topic *t;
    struct ferry_error err;
    struct ferry_producer *p = make_producer(&t);
    long full = 0;
    bool counted = report_flags() != 0;
    make_values();
    if (ferry_topic_wait(t, 10000, &err) < 0)
        die("metadata", err.text);
    struct meter a = meter();
    double stop_at = a.wall + o_max_seconds;
    for (long i = 0; i < o_n; i++) {
        const char *v = values + (size_t)(i & (VALUES - 1)) * (size_t)o_size;
        const char *k = o_key ? keys + (size_t)(i & (VALUES - 1)) * (size_t)o_key : NULL;
        int32_t rc;
        while ((rc = ferry_send(t, o_part, k, o_key, v, o_size, (uint64_t)i, 0)) != 0) {
            if (rc != FERRY_E_QUEUE_FULL)
                die("send", ferry_error_name(rc));
            full++;
            take_all(p, 5);
            if (now_ns() / 1e9 > stop_at)
                die("send", "took too long");
        }
        if (o_poll && i % o_poll == 0)
            take_all(p, 0);
    }
    while (counted && reported < o_n && now_ns() / 1e9 < stop_at)
        take_all(p, 100);
    if (!counted)
        ferry_producer_flush(p, 60000, NULL);
    struct meter b = meter();
    print_rate("produce", a, b, o_n, o_size + o_key);
    printf("  dr=%ld dr_err=%ld queue_full=%ld sum=%llu\n", reported, failed, full,
           (unsigned long long)cookie_sum);
    if (ferry_producer_close(p, 10000, &err))
        die("close", err.text);
    ferry_producer_free(p);
}

static volatile int quit;

static void *poll_thread(void *p)
{
    while (!quit)
        take_all(p, 100);
    return NULL;
}

static void mode_latency(void)
{
    struct ferry_topic *t;
    pthread_t thread;
    char *v = calloc(1, (size_t)o_size + 8);
    int64_t *samples = calloc((size_t)o_n + 16, sizeof *samples);
    if (!v || !samples)
        die("latency", "no memory");
    struct ferry_producer *p = make_producer(&t);
    bool alone = !strcmp(o_what, "alone"); /* the thread that sends also takes the reports */
    if (!alone)
        pthread_create(&thread, NULL, poll_thread, p);
    long want = 0;
    for (int r = 0; r < 20; r++) { /* connections and metadata first */
        for (int i = 0; i < o_parts; i++)
            want += ferry_send(t, i, NULL, 0, v, o_size, 0, 0) == 0;
        usleep(50000);
    }
    for (int i = 0; i < 200 && __atomic_load_n(&reported, __ATOMIC_RELAXED) < want; i++)
        alone ? take_all(p, 20) : (void)usleep(20000);
    latencies = samples;
    struct meter a = meter();
    int64_t t0 = now_ns(), step = 1000000000 / o_rate;
    for (long i = 0; i < o_n; i++) {
        int64_t due = t0 + i * step;
        struct timespec ts = {due / 1000000000, due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        int64_t n = now_ns();
        memcpy(v, &n, 8);
        if (ferry_send(t, (int32_t)(i % o_parts), NULL, 0, v, o_size, (uint64_t)n, 0))
            die("send", "failed");
        while (alone && latency_count <= i)
            take_all(p, 100);
    }
    double rate = (double)o_n / ((double)(now_ns() - t0) / 1e9);
    for (int i = 0; i < 500 && __atomic_load_n(&latency_count, __ATOMIC_RELAXED) < o_n; i++)
        usleep(10000);
    struct meter b = meter();
    quit = 1;
    if (!alone)
        pthread_join(thread, NULL);
    long n = latency_count;
    if (!n)
        die("latency", "no samples");
    qsort(samples, (size_t)n, sizeof *samples, by_value);
    printf(
        "%s%slatency n=%ld rate=%.0f p50_us=%.1f p90_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f "
        "cpu_us_per_msg=%.1f ctxsw_per_msg=%.2f\n",
        o_label, *o_label ? " " : "", n, rate, samples[n / 2] / 1e3, samples[n * 9 / 10] / 1e3,
        samples[n * 99 / 100] / 1e3, samples[n * 999 / 1000] / 1e3, samples[n - 1] / 1e3,
        (b.user + b.sys - a.user - a.sys) / (double)n * 1e6,
        (double)(b.switches - a.switches) / (double)n);
    ferry_producer_close(p, 1000, NULL);
    ferry_producer_free(p);
    free(samples);
    free(v);
}

static void mode_queue(void)
{
    struct ferry_topic *t;
    settings[setting_count++] = "buffer.memory=2000000000";
    make_producer(&t);
    make_values();
    usleep(300000);
    long before = rss_anon_kb();
    struct meter a = meter();
    for (long i = 0; i < o_n; i++) {
        int32_t rc = ferry_send(
            t, o_part, o_key ? keys + (size_t)(i & (VALUES - 1)) * (size_t)o_key : NULL, o_key,
            values + (size_t)(i & (VALUES - 1)) * (size_t)o_size, o_size, (uint64_t)i, 0);
        if (rc)
            die("send", ferry_error_name(rc));
    }
    struct meter b = meter();
    long after = rss_anon_kb();
    double each = (double)(after - before) * 1024 / (double)o_n;
    printf("%s%squeue msgs=%ld size=%d rss_kb=%ld bytes_per_msg=%.1f overhead_per_msg=%.1f "
           "enqueue_ns_per_msg=%.1f\n",
           o_label, *o_label ? " " : "", o_n, o_size, after - before, each, each - o_size - o_key,
           (b.wall - a.wall) * 1e9 / (double)o_n);
    fflush(stdout);
    _exit(0);
}

/* -- Consuming -- */

static struct ferry_consumer *make_consumer(bool in_group)
{
    struct ferry_error err;
    struct ferry_config *config = make_config();
    struct ferry_partition_list *list = ferry_partition_list_new();
    if (ferry_config_set(config, "auto.offset.reset", "earliest", &err) ||
        (in_group && ferry_config_set(config, "group.id", "bench", &err)))
        die("config", err.text);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    ferry_config_free(config);
    if (!c || !list)
        die("consumer", c ? "no memory" : err.text);
    for (int i = 0; i < o_parts && !in_group; i++)
        ferry_partition_list_add(list, o_topic, i, 0);
    if (in_group ? ferry_consumer_subscribe(c, &o_topic, 1, &err)
                 : ferry_consumer_assign(c, list, &err))
        die("consumer", err.text);
    ferry_partition_list_free(list);
    return c;
}

/* Looks at every record of a poll: its value's first byte, its length and its offset. Returns how many. */
static long visit(struct ferry_consumer *c, uint64_t *sum)
{
    static struct ferry_message records[POLLED];
    struct ferry_error err;
    int32_t n = ferry_consumer_poll(c, records, POLLED, 1000, &err);
    if (n < 0)
        die("poll", err.text);
    for (int32_t i = 0; i < n; i++) {
        if (records[i].error)
            die("record", ferry_error_name(records[i].error));
        *sum += records[i].value[0] + (uint64_t)records[i].value_len + (uint64_t)records[i].offset;
    }
    return n;
}

/* The time from the first records on counts, as in kbench. */
static void mode_consume(void)
{
    struct ferry_consumer *c = make_consumer(!strcmp(o_what, "group"));
    uint64_t sum = 0;
    double stop_at = (double)now_ns() / 1e9 + o_max_seconds;
    long first = 0, got;
    while (!first && (double)now_ns() / 1e9 < stop_at)
        first = visit(c, &sum);
    struct meter a = meter();
    for (got = first; got < o_n; got += visit(c, &sum))
        if ((double)now_ns() / 1e9 > stop_at)
            die("consume", "took too long");
    struct meter b = meter();
    print_rate("consume", a, b, got - first, o_size);
    printf("  got=%ld sum=%llu\n", got, (unsigned long long)sum);
    if (ferry_consumer_close(c, 10000, NULL))
        die("close", "failed");
    ferry_consumer_free(c);
}

/* -- From creation to the first outcome -- */

static void start_producer(int64_t times[3])
{
    struct ferry_topic *t;
    int64_t t0 = now_ns();
    struct ferry_producer *p = make_producer(&t);
    times[0] = now_ns() - t0;
    if (ferry_send(t, o_part, NULL, 0, "x", 1, 1, 0))
        die("send", "failed");
    struct ferry_report *report = ferry_producer_poll(p, 10000);
    times[1] = now_ns() - t0;
    if (!report)
        die("startup", "no report");
    take(report);
    if (failed)
        die("startup", "the record failed");
    t0 = now_ns();
    ferry_producer_close(p, 1000, NULL);
    ferry_producer_free(p);
    times[2] = now_ns() - t0;
}

static void start_group(int64_t times[3])
{
    struct ferry_message record;
    struct ferry_error err;
    int64_t t0 = now_ns();
    struct ferry_consumer *c = make_consumer(true);
    times[0] = now_ns() - t0;
    int32_t n = ferry_consumer_poll(c, &record, 1, 60000, &err);
    times[1] = now_ns() - t0;
    if (n != 1 || record.error)
        die("startup", n ? "an error came first" : "no record");
    t0 = now_ns();
    ferry_consumer_close(c, 1000, NULL);
    ferry_consumer_free(c);
    times[2] = now_ns() - t0;
}

static void mode_startup(void)
{
    static int64_t times[3][64]; /* created, first outcome, closed */
    if (o_reps > 64)
        o_reps = 64;
    for (int r = 0; r < o_reps; r++) {
        int64_t one[3];
        if (!strcmp(o_what, "group"))
            start_group(one);
        else
            start_producer(one);
        for (int i = 0; i < 3; i++)
            times[i][r] = one[i];
    }
    for (int i = 0; i < 3; i++)
        qsort(times[i], (size_t)o_reps, sizeof times[i][0], by_value);
    int middle = o_reps / 2;
    printf("%s%sstartup what=%s reps=%d new_ms=%.3f first_msg_ms=%.3f (min %.3f max %.3f) "
           "close_ms=%.3f\n",
           o_label, *o_label ? " " : "", o_what, o_reps, times[0][middle] / 1e6,
           times[1][middle] / 1e6, times[1][0] / 1e6, times[1][o_reps - 1] / 1e6,
           times[2][middle] / 1e6);
}

static int thread_count(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* Each client sends one record to every partition and then rests; the first one is not counted, as it pays for all. */
static void mode_mem(void)
{
    int threads = thread_count();
    long first = 0, before = rss_anon_kb();
    for (int i = 0; i < o_clients; i++) {
        struct ferry_topic *t;
        struct ferry_producer *p = make_producer(&t);
        long want = reported + o_parts;
        for (int k = 0; k < o_parts; k++)
            if (ferry_send(t, k, NULL, 0, "x", 1, 1, 0))
                die("send", "failed");
        int64_t stop_at = now_ns() + 10000000000;
        while (reported < want && now_ns() < stop_at)
            take_all(p, 100);
        if (reported < want || failed)
            die("mem", "not every record was delivered");
        if (i == 0) {
            usleep((useconds_t)(o_rest * 1e6));
            first = rss_anon_kb();
        }
    }
    usleep((useconds_t)(o_rest * 1e6));
    printf("%s%smem instances=%d first_kb=%ld next_kb_each=%.1f threads_each=%.2f\n", o_label,
           *o_label ? " " : "", o_clients, first - before,
           o_clients > 1 ? (double)(rss_anon_kb() - first) / (o_clients - 1) : 0.0,
           (double)(thread_count() - threads) / o_clients);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "M:b:t:n:s:k:p:P:N:R:r:x:X:d:L:i:S:w:")) != -1)
        switch (o) {
        case 'M':
            o_mode = optarg;
            break;
        case 'b':
            o_brokers = optarg;
            break;
        case 't':
            o_topic = optarg;
            break;
        case 'n':
            o_n = atol(optarg);
            break;
        case 's':
            o_size = atoi(optarg);
            break;
        case 'k':
            o_key = atoi(optarg);
            break;
        case 'p':
            o_part = atoi(optarg);
            break;
        case 'P':
            o_parts = atoi(optarg);
            break;
        case 'N':
            o_poll = atoi(optarg);
            break;
        case 'R':
            o_rate = atol(optarg);
            break;
        case 'r':
            o_reps = atoi(optarg);
            break;
        case 'x':
            o_max_seconds = atof(optarg);
            break;
        case 'X':
            if (setting_count < 60)
                settings[setting_count++] = optarg;
            break;
        case 'd':
            o_take = optarg;
            break;
        case 'i':
            o_clients = atoi(optarg);
            break;
        case 'w':
            o_what = optarg;
            break;
        case 'S':
            o_rest = atof(optarg);
            break;
        case 'L':
            o_label = optarg;
            break;
        default:
            return 2;
        }
    if (!strcmp(o_mode, "produce"))
        mode_produce();
    else if (!strcmp(o_mode, "latency"))
        mode_latency();
    else if (!strcmp(o_mode, "consume"))
        mode_consume();
    else if (!strcmp(o_mode, "queue"))
        mode_queue();
    else if (!strcmp(o_mode, "startup"))
        mode_startup();
    else if (!strcmp(o_mode, "mem"))
        mode_mem();
    else
        die("mode", o_mode);
    return 0;
}
