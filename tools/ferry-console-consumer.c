/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Prints records as lines, in the manner of Kafka's console consumer. */

#include "tools/admin.h"
#include "tools/format.h"
#include "tools/pattern.h"

#include <ferry/ferry.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct opt opts[] = {
    {"--topic", "NAME", "the topic to read (this or --include is required)", "-t", 0},
    {"--include", "REGEX",
     "read every topic whose whole name matches; looked for again every metadata.max.age.ms",
     "--whitelist", 0},
    {"--group", "NAME", "the consumer group; default: one of its own, without commits", 0, 0},
    {"--from-beginning", 0, "start at the earliest record where nothing is committed", 0, 0},
    {"--partition", "NUMBER", "read this partition only, without a group", 0, 0},
    {"--offset", "OFFSET", "with --partition: a number, earliest, or latest (the default)", 0, 0},
    {"--max-messages", "N", "end after so many records (-1: never)", 0, 0},
    {"--timeout-ms", "MS", "end when no record came for so long (-1: never)", 0, 0},
    {"--property", "KEY=VALUE", "how records are printed (see below); may be repeated", 0, 1},
    {"--formatter-property", "KEY=VALUE", "the same, as Kafka 4.2 spells it; wins over --property",
     0, 1},
    {"--formatter-config", "FILE", "the same from a properties file; --property wins", 0, 0},
    {"--command-config", "FILE", "client settings from a properties file", "--consumer.config", 0},
    {"--command-property", "KEY=VALUE", "a client setting; may be repeated", "--consumer-property",
     1},
    {"--isolation-level", "LEVEL", "read_uncommitted (the default) or read_committed", 0, 0},
    {"--skip-message-on-error", 0, "go on behind a record or batch that cannot be read", 0, 0},
    {"--key-deserializer", "CLASS",
     "one of Kafka's own: String and other bytes (the default), Short, Integer, Long, UUID, "
     "Boolean, Void",
     0, 0},
    {"--value-deserializer", "CLASS", "the same for values", 0, 0},
    {"--formatter", "CLASS",
     "Kafka's DefaultMessageFormatter (which this is), LoggingMessageFormatter (the same) or "
     "NoOpMessageFormatter",
     0, 0},
    {"--enable-systest-events", 0, "print shutdown_complete at the end", 0, 0},
    {"--json", 0, "print each record as a JSON object on a line (see below)", 0, 0},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-console-consumer", "Prints each record of a topic on a line of standard output.", opts,
    "Properties: print.timestamp, print.partition, print.offset, print.delivery, print.epoch, "
    "print.headers, "
    "print.key (all false),\n"
    "print.value (true), key.separator (tab), line.separator (newline), headers.separator (,), "
    "null.literal (null),\n"
    "key.deserializer, value.deserializer, header.deserializer.\n"
    "JSON: topic, partition, offset, timestamp, timestampType, headers (a list of [name, value] "
    "pairs, if there are any), "
    "key, value.\n"
    "Bytes that are UTF-8 are a string, others {\"base64\": \"...\"}, null is null. "
    "ferry-console-producer --json reads "
    "it.\n"
    "Ctrl-C, --max-messages, --timeout-ms and a closed pipe end it with status 0; with --group "
    "what was printed is "
    "committed then.\n"
    "The number of records goes to standard error.\n"
    "Example: ferry-console-consumer --bootstrap-server localhost:9092 --topic t --from-beginning "
    "--property print.key=true"};

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

/* What --include names, and when to look for it again. */
struct included {
    struct pattern pattern;
    int64_t next_ms, every_ms;
    uint64_t names; /* a hash of what is subscribed */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Subscribes to the topics that match now, if they are others than before. */
static int32_t subscribe_included(struct ferry_consumer *c, struct included *in,
                                  struct ferry_error *err)
{
    if (now_ms() < in->next_ms)
        return 0;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    int32_t code =
        call ? ferry_admin_run(call, ferry_consumer_handle(c), 30000, err) : FERRY_E_NOMEM;
    int32_t count = code ? 0 : ferry_admin_count(call), n = 0;
    const char **names = calloc((size_t)count + 1, sizeof *names);
    for (int32_t i = 0; names && i < count; i++) {
        const struct ferry_admin_item *t = ferry_admin_item(call, i);
        const char *name = ferry_admin_text(t, FERRY_FIELD_NAME);
        if (name && !ferry_admin_int(t, FERRY_FIELD_INTERNAL, 0) &&
            pattern_matches(&in->pattern, name))
            names[n++] = name;
    }
    uint64_t hash = 14695981039346656037u;
    if (n)
        qsort(names, (size_t)n, sizeof *names, admin_compare_names);
    for (int32_t i = 0; i < n; i++)
        for (const char *at = names[i];; at++) {
            hash = (hash ^ (uint8_t)*at) * 1099511628211u;
            if (!*at)
                break;
        }
    if (n && hash != in->names)
        code = ferry_consumer_subscribe(c, names, n, err);
    if (!code)
        in->names = hash;
    in->next_ms = now_ms() + (n ? in->every_ms : 1000); /* while there is none, soon again */
    free(names);
    ferry_admin_free(call);
    return code;
}

static int32_t start(struct ferry_consumer *c, const char *topic, struct included *in,
                     struct ferry_error *err)
{
    const char *where = opt_get(&program, "--offset")->text;
    if (!topic)
        return subscribe_included(c, in, err);
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
    if (opt_given(&program, "--skip-message-on-error") && m->buffer)
        ferry_fetched_skip(m->buffer);
    return opt_given(&program, "--skip-message-on-error") || m->partition < 0;
}

/* Prints a record; false when it could not be read, and that should end the program. */
static bool print(const struct format *f, const struct ferry_message *m)
{
    const char *wrong = format_put(f, m);
    if (wrong)
        opt_say(&program, "%s-%" PRId32 " at offset %" PRId64 ": %s", m->topic, m->partition,
                m->offset, wrong);
    return !wrong || opt_given(&program, "--skip-message-on-error");
}

static int consume(struct ferry_consumer *c, const struct format *f, struct included *in,
                   int64_t *total)
{
    enum { MANY = 500, STEP_MS = 200 }; /* a step: how soon a signal is seen */
    struct ferry_message messages[MANY];
    struct ferry_error err;
    int64_t most = opt_number(&program, "--max-messages", -1, INT64_MAX, -1);
    int64_t quiet_ms = opt_number(&program, "--timeout-ms", -1, INT32_MAX, -1), last = now_ms();
    if (most < 0)
        most = INT64_MAX;
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
            if (!print(f, &messages[i]))
                return EXIT_FAILED;
            ++*total;
            last = now_ms();
        }
        if (n < MANY && fflush(stdout))
            return errno == EPIPE ? EXIT_DONE : EXIT_FAILED;
        if (quiet_ms >= 0 && now_ms() - last >= quiet_ms)
            break;
        if (in->every_ms && subscribe_included(c, in, &err))
            opt_say(&program, "looking for topics: %s", err.text);
    }
    return EXIT_DONE;
}

/* Exits 2 where options contradict each other, as Kafka's tool has it. */
static void check_options(void)
{
    static const char *const pairs[][2] = {{"--topic", "--include"},
                                           {"--group", "--partition"},
                                           {"--offset", "--from-beginning"},
                                           {"--include", "--partition"}};
    if (!opt_given(&program, "--bootstrap-server"))
        opt_usage(&program, "--bootstrap-server is required");
    if (!opt_given(&program, "--topic") && !opt_given(&program, "--include"))
        opt_usage(&program, "--topic or --include is required");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (opt_given(&program, pairs[i][0]) && opt_given(&program, pairs[i][1]))
            opt_usage(&program, "%s and %s do not go together", pairs[i][0], pairs[i][1]);
    if (opt_given(&program, "--offset") && !opt_given(&program, "--partition"))
        opt_usage(&program, "--offset needs --partition");
}

int main(int argc, char **argv)
{
    struct ferry_error err = {0};
    struct format format;
    struct included included = {0};
    char age[24] = "";
    int64_t total = 0;
    opt_parse(&program, argc, argv);
    check_options();
    format_init(&format, &program);
    pattern_init(&included.pattern, &program, "--include");
    const char *topic = opt_get(&program, "--topic")->text;
    struct ferry_config *config = opt_config(&program, "--command-config", "--command-property");
    configure(config);
    ferry_config_get(config, "metadata.max.age.ms", age, sizeof age);
    if (!topic)
        included.every_ms = strtoll(age, NULL, 10) > 1000 ? strtoll(age, NULL, 10) : 1000;
    opt_catch_signals();
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    ferry_config_free(config);
    int status = EXIT_FAILED;
    if (!c || start(c, topic, &included, &err))
        opt_say(&program, "%s", err.text);
    else
        status = consume(c, &format, &included, &total);
    if (c)
        ferry_consumer_close(c, 10000, NULL);
    ferry_consumer_free(c);
    pattern_free(&included.pattern);
    if (opt_given(&program, "--enable-systest-events"))
        puts("shutdown_complete");
    fprintf(stderr, "Processed a total of %" PRId64 " messages\n", total);
    return opt_finish(status);
}
