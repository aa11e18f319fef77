/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Prints records as lines, in the manner of Kafka's console consumer. */

#include "tools/json.h"
#include "tools/opt.h"

#include <ferry/ferry.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct opt opts[] = {
    {"--topic", "NAME", "the topic to read (required)", "-t", 0},
    {"--group", "NAME", "the consumer group; default: one of its own, without commits", 0, 0},
    {"--from-beginning", 0, "start at the earliest record where nothing is committed", 0, 0},
    {"--partition", "NUMBER", "read this partition only, without a group", 0, 0},
    {"--offset", "OFFSET", "with --partition: a number, earliest, or latest (the default)", 0, 0},
    {"--max-messages", "N", "end after so many records", 0, 0},
    {"--timeout-ms", "MS", "end when no record came for so long", 0, 0},
    {"--property", "KEY=VALUE", "how records are printed (see below); may be repeated", 0, 1},
    {"--formatter-property", "KEY=VALUE", "the same, as Kafka 4.2 spells it; wins over --property",
     0, 1},
    {"--command-config", "FILE", "client settings from a properties file", "--consumer.config", 0},
    {"--command-property", "KEY=VALUE", "a client setting; may be repeated", "--consumer-property",
     1},
    {"--isolation-level", "LEVEL", "read_uncommitted (the default) or read_committed", 0, 0},
    {"--skip-message-on-error", 0, "go on behind a batch that cannot be read", 0, 0},
    {"--key-deserializer", "CLASS",
     "only Kafka's String and ByteArray ones, which print bytes as they are", 0, 0},
    {"--value-deserializer", "CLASS", "the same for values", 0, 0},
    {"--formatter", "CLASS", "accepted only as Kafka's default formatter, which this is", 0, 0},
    {"--json", 0, "print each record as a JSON object on a line", 0, 0},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-console-consumer", "Prints each record of a topic on a line of standard output.", opts,
    "Properties: print.timestamp, print.partition, print.offset, print.epoch, print.headers, "
    "print.key (all false),\n"
    "print.value (true), key.separator (tab), line.separator (newline), headers.separator (,), "
    "null.literal (null).\n"
    "Ctrl-C, --max-messages, --timeout-ms and a closed pipe end it with status 0.\n"
    "Example: ferry-console-consumer --bootstrap-server localhost:9092 --topic t --from-beginning "
    "--property print.key=true"};

struct format {
    bool timestamp, partition, offset, epoch, headers, key, value, json;
    const char *key_separator, *line_separator, *headers_separator, *null_literal;
};

static const char *property(const char *key, const char *otherwise)
{
    const char *v = opt_property2(&program, "--property", "--formatter-property", key);
    return v ? v : otherwise;
}

static bool truth(const char *key, bool otherwise)
{
    return opt_truth(&program, key, property(key, NULL), otherwise);
}

static void format_init(struct format *f)
{
    f->timestamp = truth("print.timestamp", false);
    f->partition = truth("print.partition", false);
    f->offset = truth("print.offset", false);
    f->epoch = truth("print.epoch", false);
    f->headers = truth("print.headers", false);
    f->key = truth("print.key", false);
    f->value = truth("print.value", true);
    f->key_separator = property("key.separator", "\t");
    f->line_separator = property("line.separator", "\n");
    f->headers_separator = property("headers.separator", ",");
    f->null_literal = property("null.literal", "null");
    f->json = opt_given(&program, "--json");
    if (f->json && !json_supported)
        opt_usage(&program, "--json: built without jansson or OpenSSL");
}

static void put_bytes(const struct format *f, const void *data, int32_t len)
{
    if (!data || len < 0)
        fputs(f->null_literal, stdout);
    else
        fwrite_unlocked(data, 1, (size_t)len, stdout);
}

static void put_headers(const struct format *f, const struct ferry_message *m)
{
    const char *name;
    const uint8_t *value;
    int32_t at = 0, name_len, value_len;
    bool first = true;
    while (ferry_message_header(m, &at, &name, &name_len, &value, &value_len) == 1) {
        if (!first)
            fputs(f->headers_separator, stdout);
        fwrite_unlocked(name, 1, (size_t)name_len, stdout);
        putc_unlocked(':', stdout);
        put_bytes(f, value, value_len);
        first = false;
    }
    if (first)
        fputs("NO_HEADERS", stdout);
}

/* Begins a field: a separator before all but the first. */
static void begin(const struct format *f, int *fields)
{
    if ((*fields)++)
        fputs(f->key_separator, stdout);
}

static void put_message(const struct format *f, const struct ferry_message *m)
{
    int fields = 0;
    if (f->timestamp) {
        begin(f, &fields);
        if (m->timestamp < 0)
            fputs("NO_TIMESTAMP", stdout);
        else
            printf("%s:%" PRId64, m->timestamp_type == 1 ? "LogAppendTime" : "CreateTime",
                   m->timestamp);
    }
    if (f->partition) {
        begin(f, &fields);
        printf("Partition:%" PRId32, m->partition);
    }
    if (f->offset) {
        begin(f, &fields);
        printf("Offset:%" PRId64, m->offset);
    }
    if (f->epoch) {
        begin(f, &fields);
        printf("Epoch:%" PRId32, m->leader_epoch);
    }
    if (f->headers) {
        begin(f, &fields);
        put_headers(f, m);
    }
    if (f->key) {
        begin(f, &fields);
        put_bytes(f, m->key, m->key_len);
    }
    if (f->value) {
        begin(f, &fields);
        put_bytes(f, m->value, m->value_len);
    }
    fputs(f->line_separator, stdout);
}

static void must_set(struct ferry_config *config, const char *key, const char *value)
{
    struct ferry_error err;
    if (ferry_config_set(config, key, value, &err))
        opt_usage(&program, "%s", err.text);
}

static void configure(struct ferry_config *config)
{
    char group[64];
    const char *isolation = opt_get(&program, "--isolation-level")->text;
    if (opt_given(&program, "--from-beginning"))
        must_set(config, "auto.offset.reset", "earliest");
    if (isolation)
        must_set(config, "isolation.level", isolation);
    if (opt_given(&program, "--group")) {
        must_set(config, "group.id", opt_get(&program, "--group")->text);
    } else if (ferry_config_get(config, "group.id", group, sizeof group) <= 0 &&
               !opt_given(&program, "--partition")) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        snprintf(group, sizeof group, "console-consumer-%ld",
                 (t.tv_nsec ^ (long)getpid()) % 100000);
        must_set(config, "group.id", group);
        must_set(config, "enable.auto.commit", "false");
    }
}

static int32_t start(struct ferry_consumer *c, const char *topic, struct ferry_error *err)
{
    const char *where = opt_get(&program, "--offset")->text;
    if (!opt_given(&program, "--partition"))
        return ferry_consumer_subscribe(c, &topic, 1, err);
    int32_t partition = (int32_t)opt_number(&program, "--partition", 0, INT32_MAX, 0);
    int64_t offset =
        opt_given(&program, "--from-beginning") ? FERRY_OFFSET_EARLIEST : FERRY_OFFSET_LATEST;
    if (where && !strcmp(where, "earliest"))
        offset = FERRY_OFFSET_EARLIEST;
    else if (where && !strcmp(where, "latest"))
        offset = FERRY_OFFSET_LATEST;
    else if (where)
        offset = opt_number(&program, "--offset", 0, INT64_MAX, 0);
    struct ferry_partition_list *list = ferry_partition_list_new();
    ferry_partition_list_add(list, topic, partition, offset);
    int32_t code = ferry_consumer_assign(c, list, err);
    ferry_partition_list_free(list);
    return code;
}

/* A message that is an error, not a record: says it; false when it should end the program. */
static bool pass_error(const struct ferry_message *m)
{
    if (m->error == FERRY_E_PARTITION_EOF)
        return true;
    opt_say(&program, "%s-%" PRId32 " at offset %" PRId64 ": %s: %.*s", m->topic ? m->topic : "",
            m->partition, m->offset, ferry_error_name(m->error),
            m->value_len > 0 ? m->value_len : 0, m->value ? (const char *)m->value : "");
    return opt_given(&program, "--skip-message-on-error") || m->partition < 0;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int consume(struct ferry_consumer *c, const struct format *f, int64_t *total)
{
    enum { MANY = 500, STEP_MS = 200 }; /* a step: how soon a signal is seen */
    struct ferry_message messages[MANY];
    struct ferry_error err;
    int64_t most = opt_number(&program, "--max-messages", 0, INT64_MAX, INT64_MAX);
    int64_t quiet_ms = opt_number(&program, "--timeout-ms", 0, INT32_MAX, -1), last = now_ms();
    while (!opt_interrupted && *total < most) {
        int32_t want = most - *total < MANY ? (int32_t)(most - *total) : MANY;
        int32_t n = ferry_consumer_poll(
            c, messages, want, quiet_ms >= 0 && quiet_ms < STEP_MS ? (int32_t)quiet_ms : STEP_MS,
            &err);
        if (n < 0 && n != FERRY_E_INTERRUPTED) {
            opt_say(&program, "%s: %s", ferry_error_name(n), err.text);
            return EXIT_FAILED;
        }
        for (int32_t i = 0; i < n; i++) {
            if (messages[i].error) {
                if (!pass_error(&messages[i]))
                    return EXIT_FAILED;
                continue;
            }
            if (f->json)
                json_write_message(stdout, &messages[i]);
            else
                put_message(f, &messages[i]);
            ++*total;
            last = now_ms();
        }
        if (n < MANY && fflush(stdout))
            return errno == EPIPE ? EXIT_DONE : EXIT_FAILED;
        if (quiet_ms >= 0 && now_ms() - last >= quiet_ms)
            break;
    }
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct ferry_error err = {0};
    struct format format;
    int64_t total = 0;
    opt_parse(&program, argc, argv);
    const char *topic = opt_get(&program, "--topic")->text;
    if (!topic || !opt_given(&program, "--bootstrap-server"))
        opt_usage(&program, "--topic and --bootstrap-server are required");
    if (opt_given(&program, "--offset") && !opt_given(&program, "--partition"))
        opt_usage(&program, "--offset needs --partition");
    format_init(&format);
    struct ferry_config *config = opt_config(&program, "--command-config", "--command-property");
    configure(config);
    opt_catch_signals();
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    ferry_config_free(config);
    int status = EXIT_FAILED;
    if (!c || start(c, topic, &err))
        opt_say(&program, "%s", err.text);
    else
        status = consume(c, &format, &total);
    if (fflush(stdout) && errno != EPIPE) {
        opt_say(&program, "standard output: %s", strerror(errno));
        status = EXIT_FAILED;
    }
    if (c)
        ferry_consumer_close(c, 10000, NULL);
    ferry_consumer_free(c);
    fprintf(stderr, "Processed a total of %" PRId64 " messages\n", total);
    return status;
}
