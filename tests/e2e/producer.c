/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A producer whose every record is looked for afterwards.
 *
 *   producer send ADDRESS TOPIC FIRST COUNT SECONDS [KEY=VALUE...]   COUNT records numbered from FIRST, spread over SECONDS
 *   producer check ADDRESS TOPIC COUNT [once|most|acked]              all of [0, COUNT) are there, in order by key; `once`: no
 *                                                                     copies; `most`: some may be missing (acks=0);
 *                                                                     `acked`: those that were not acknowledged may be
 *
 * The file that the environment names by ACKED has a byte for each record: `send` sets those of acknowledged ones to 1.
 * `send` ends with 0 if every record was reported persisted, and prints how many were, and how often batches were sent again.
 * Time stamps end in the number modulo 1000. Values are the number, a space and filling of a length that depends on it; keys are the number modulo 16.
 */
#include <ferry/ferry.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEYS = 16, VALUE_MAX = 1200 };

static struct ferry_error err;

static int fail(const char *what)
{
    fprintf(stderr, "producer: %s: %s\n", what, err.text);
    return 1;
}

static int value_of(int64_t n, char *value)
{
    int len = snprintf(value, VALUE_MAX, "%lld ", (long long)n),
        want = len + (int)(n * 7919 % 1000);
    if (n % 50)
        want = len + (int)(n % 60);
    memset(value + len, 'a' + (int)(n % 26), (size_t)(want - len));
    return want;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int64_t acked, failed;
static FILE *marks;

static void mark(struct ferry_report *r)
{
    struct ferry_reported records[100];
    int32_t n;
    while (marks && (n = ferry_report_next(r, records, 100)) > 0)
        for (int32_t i = 0; i < n; i++)
            if (fseek(marks, (long)records[i].cookie, SEEK_SET) || fputc(1, marks) == EOF)
                perror("ACKED");
}

static FILE *open_marks(void)
{
    const char *name = getenv("ACKED");
    FILE *f = name ? fopen(name, "r+b") : NULL;
    return f || !name ? f : fopen(name, "w+b");
}

static bool take(struct ferry_producer *p, int32_t timeout_ms)
{
    struct ferry_report_info info;
    struct ferry_report *r = ferry_producer_poll(p, timeout_ms);
    if (!r)
        return false;
    ferry_report_info(r, &info);
    if (info.error) {
        fprintf(stderr, "producer: %d records failed: %s\n", info.count, info.text);
        failed += info.count;
    } else {
        acked += info.count;
        mark(r);
    }
    ferry_report_release(r);
    return true;
}

static int send_all(struct ferry_topic *t, struct ferry_producer *p, int64_t first, int64_t count,
                    double spread)
{
    static const struct ferry_header header = {"kind", "test", -1, 4, 0};
    char key[16], value[VALUE_MAX];
    double begin = seconds();
    for (int64_t i = 0; i < count; i++) {
        struct ferry_outgoing o = {
            .partition = -1, .key = key, .value = value, .flags = FERRY_SEND_TIMESTAMP};
        o.key_len = snprintf(key, sizeof key, "key-%d", (int)((first + i) % KEYS));
        o.value_len = value_of(first + i, value);
        o.cookie = (uint64_t)(first + i);
        o.timestamp = (int64_t)time(NULL) * 1000 + (first + i) % 1000;
        o.headers = (first + i) % 3 ? NULL : &header;
        o.header_count = (first + i) % 3 ? 0 : 1;
        while (ferry_send_record(t, &o, NULL, &err)) {
            if (err.code != FERRY_E_QUEUE_FULL)
                return fail("send");
            take(p, 100);
        }
        while (take(p, 0))
            ;
        while (seconds() - begin < spread * (double)i / (double)count)
            take(p, 10);
    }
    while (acked + failed < count)
        if (!take(p, 60000))
            return fail("no report in a minute");
    return failed ? 1 : 0;
}

static int send_main(int argc, char **argv)
{
    struct ferry_config *c = ferry_config_new();
    ferry_config_set(c, "bootstrap.servers", argv[2], &err);
    for (int i = 7; i < argc; i++)
        if (ferry_config_set_pair(c, argv[i], &err))
            return fail("setting");
    marks = open_marks();
    struct ferry_producer *p =
        ferry_producer_new(c, FERRY_REPORTS | (marks ? FERRY_REPORT_COOKIES : 0), &err);
    ferry_config_free(c);
    struct ferry_topic *t = p ? ferry_producer_topic(p, argv[3], &err) : NULL;
    if (!t)
        return fail("producer");
    int rc = send_all(t, p, atoll(argv[4]), atoll(argv[5]), atof(argv[6]));
    struct ferry_producer_counters counters;
    ferry_producer_counters(p, &counters);
    printf("acked=%lld failed=%lld retries=%lld bumps=%lld splits=%lld\n", (long long)acked,
           (long long)failed, (long long)counters.retries, (long long)counters.epoch_bumps,
           (long long)counters.splits);
    if (ferry_producer_close(p, 30000, &err))
        rc = fail("close");
    ferry_producer_free(p);
    if (marks && fclose(marks))
        rc = fail("ACKED");
    return rc;
}

/* -- Check -- */

/* Every third record has one header, the others none. */
static bool has_its_headers(const struct ferry_message *m, int64_t n)
{
    const char *name;
    const uint8_t *value;
    int32_t at = 0, name_len, value_len;
    if (m->header_count != (n % 3 ? 0 : 1))
        return false;
    return n % 3 || (ferry_message_header(m, &at, &name, &name_len, &value, &value_len) == 1 &&
                     name_len == 4 && !memcmp(name, "kind", 4) && value_len == 4 &&
                     !memcmp(value, "test", 4) &&
                     ferry_message_header(m, &at, &name, &name_len, &value, &value_len) == 0);
}

static bool is_right(const struct ferry_message *m, int64_t n)
{
    char value[VALUE_MAX], key[16];
    int len = value_of(n, value), key_len = snprintf(key, sizeof key, "key-%d", (int)(n % KEYS));
    return m->value_len == len && !memcmp(m->value, value, (size_t)len) && m->key_len == key_len &&
           !memcmp(m->key, key, (size_t)key_len) && m->timestamp % 1000 == n % 1000 &&
           has_its_headers(m, n);
}

static int judge(const int *copies, int64_t count, const char *how)
{
    int64_t missing = 0, doubled = 0, lost = 0;
    FILE *f = strcmp(how, "acked") ? NULL : open_marks();
    for (int64_t i = 0; i < count; i++) {
        missing += copies[i] == 0;
        doubled += copies[i] > 1;
        lost += f && fgetc(f) == 1 && !copies[i];
    }
    if (f)
        fclose(f);
    printf("records=%lld missing=%lld doubled=%lld lost=%lld\n", (long long)count,
           (long long)missing, (long long)doubled, (long long)lost);
    if (!strcmp(how, "once"))
        lost = missing;
    return lost || missing == count || doubled ? 1 : 0;
}

static struct ferry_consumer *open_consumer(const char *address, const char *topic,
                                            int32_t *partitions)
{
    struct ferry_config *c = ferry_config_new();
    struct ferry_partition_list *list = ferry_partition_list_new();
    ferry_config_set(c, "bootstrap.servers", address, &err);
    ferry_config_set(c, "ferry.partition.eof", "true", &err);
    struct ferry_producer *p =
        ferry_producer_new(c, 0, &err); /* to ask for the number of partitions */
    struct ferry_topic *t = p ? ferry_producer_topic(p, topic, &err) : NULL;
    *partitions = t ? ferry_topic_wait(t, 30000, &err) : -1;
    for (int32_t i = 0; i < *partitions; i++)
        ferry_partition_list_add(list, topic, i, FERRY_OFFSET_EARLIEST);
    ferry_producer_free(p);
    struct ferry_consumer *consumer = ferry_consumer_new(c, &err);
    ferry_config_free(c);
    if (consumer && ferry_consumer_assign(consumer, list, &err)) {
        ferry_consumer_free(consumer);
        consumer = NULL;
    }
    ferry_partition_list_free(list);
    return *partitions > 0 ? consumer : NULL;
}

static int check_main(int argc, char **argv)
{
    int64_t count = atoll(argv[4]), last[KEYS];
    int *copies = calloc((size_t)count, sizeof *copies);
    int32_t partitions, ended = 0;
    struct ferry_message m[500];
    struct ferry_consumer *c = open_consumer(argv[2], argv[3], &partitions);
    if (!c || !copies)
        return fail("consumer");
    memset(last, -1, sizeof last);
    while (ended < partitions) {
        int32_t n = ferry_consumer_poll(c, m, 500, 30000, &err);
        if (n <= 0)
            return fail("nothing came in 30 s");
        for (int32_t i = 0; i < n; i++) {
            if (m[i].error == FERRY_E_PARTITION_EOF) {
                ended++;
                continue;
            }
            int64_t id = m[i].value_len > 0 ? atoll((const char *)m[i].value) : -1;
            if (m[i].error || id < 0 || id >= count || !is_right(&m[i], id) ||
                id <= last[id % KEYS]) {
                fprintf(stderr,
                        "producer: [%d] offset %lld: record %lld is wrong, or comes after %lld\n",
                        m[i].partition, (long long)m[i].offset, (long long)id,
                        (long long)last[id >= 0 ? id % KEYS : 0]);
                return 1;
            }
            last[id % KEYS] = id;
            copies[id]++;
        }
    }
    ferry_consumer_free(c);
    int rc = judge(copies, count, argc > 5 ? argv[5] : "once");
    free(copies);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc >= 7 && !strcmp(argv[1], "send"))
        return send_main(argc, argv);
    if (argc >= 5 && !strcmp(argv[1], "check"))
        return check_main(argc, argv);
    fprintf(stderr, "usage: producer send ADDRESS TOPIC FIRST COUNT SECONDS [KEY=VALUE...] | check "
                    "ADDRESS TOPIC COUNT "
                    "[once|most|acked]\n");
    return 2;
}
