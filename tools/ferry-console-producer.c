/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Sends lines of standard input as records, in the manner of Kafka's console producer.
 *
 * Only failures are reported by the library, so nothing is kept of what was delivered; the count of failed records
 * decides the exit code.
 */

#include "tools/json.h"
#include "tools/lines.h"
#include "tools/opt.h"

#include <ferry/ferry.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct opt opts[] = {
    {"--topic", "NAME", "the topic to send to (required)", "-t", 0},
    {"--property", "KEY=VALUE", "how lines are read (see below); may be repeated", 0, 1},
    {"--reader-property", "KEY=VALUE", "the same, as Kafka 4.2 spells it; wins over --property", 0,
     1},
    {"--command-config", "FILE", "client settings from a properties file", "--producer.config", 0},
    {"--command-property", "KEY=VALUE", "a client setting; may be repeated", "--producer-property",
     1},
    {"--reader-config", "FILE", "how lines are read, from a properties file; --property wins", 0,
     0},
    {"--json", 0, "each line is a JSON object (see below)", 0, 0},
    {"--partition", "NUMBER", "send to this partition whatever the key", 0, 0},
    {"--sync", 0, "wait for each record's outcome before the next", 0, 0},
    {"--compression-codec", "[NAME]", "none, gzip (if no name is given), snappy, lz4 or zstd",
     "--compression-type", 0},
    {"--request-required-acks", "N", "acks: 0, 1 or all (-1)", "--acks", 0},
    {"--request-timeout-ms", "MS", "request.timeout.ms", 0, 0},
    {"--timeout", "MS", "linger.ms: how long a batch waits for more records", "--linger-ms", 0},
    {"--batch-size", "BYTES", "batch.size", 0, 0},
    {"--max-partition-memory-bytes", "BYTES", "batch.size too; wins over --batch-size", 0, 0},
    {"--max-memory-bytes", "BYTES", "buffer.memory", 0, 0},
    {"--max-block-ms", "MS", "max.block.ms: how long to wait for room in the buffer", 0, 0},
    {"--message-send-max-retries", "N", "retries", 0, 0},
    {"--retry-backoff-ms", "MS", "retry.backoff.ms", 0, 0},
    {"--metadata-expiry-ms", "MS", "metadata.max.age.ms", 0, 0},
    {"--socket-buffer-size", "BYTES", "send.buffer.bytes", 0, 0},
    {"--line-reader", "CLASS", "accepted only as Kafka's own line reader, which this is", 0, 0},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-console-producer", "Sends each line of standard input as a record.", opts,
    "Properties: parse.key (false), key.separator (tab), parse.headers (false), headers.delimiter "
    "(tab),\n"
    "headers.separator (,), headers.key.separator (:), null.marker (none), ignore.error (false).\n"
    "A line is [headers DELIMITER][key SEPARATOR]value. With ignore.error what is missing is left "
    "out, not an error.\n"
    "JSON: {\"key\": K, \"value\": V, \"headers\": [[NAME, V], ...], \"partition\": N, "
    "\"timestamp\": MS}; each may be "
    "left out. K, V and NAME\n"
    "are a string, {\"base64\": \"...\"} for any bytes, or null (not NAME). topic, offset and "
    "timestampType are passed "
    "over, so that what\n"
    "ferry-console-consumer --json prints can be sent again.\n"
    "Records that could not be delivered are counted on standard error, and make the status 1. "
    "Ctrl-C ends the input; what "
    "was read\n"
    "is still delivered, unless there is a second Ctrl-C.\n"
    "Example: printf 'k\\tv\\n' | ferry-console-producer --bootstrap-server localhost:9092 --topic "
    "t --property parse.key=true"};

/* Tool options that are client settings under another name. */
static const struct {
    const char *option, *key;
} settings[] = {{"--compression-codec", "compression.type"},
                {"--request-required-acks", "acks"},
                {"--request-timeout-ms", "request.timeout.ms"},
                {"--timeout", "linger.ms"},
                {"--batch-size", "batch.size"},
                {"--max-partition-memory-bytes", "batch.size"},
                {"--max-memory-bytes", "buffer.memory"},
                {"--max-block-ms", "max.block.ms"},
                {"--message-send-max-retries", "retries"},
                {"--retry-backoff-ms", "retry.backoff.ms"},
                {"--metadata-expiry-ms", "metadata.max.age.ms"},
                {"--socket-buffer-size", "send.buffer.bytes"}};

struct reader {
    bool parse_key, parse_headers, ignore_error, json;
    const char *key_separator, *headers_delimiter, *headers_separator, *headers_key_separator,
        *null_marker;
    struct ferry_header *headers;
    int32_t header_cap;
    long line;
};

struct failures {
    int64_t count;
    char first[600];
};

static const char *property(const char *key, const char *otherwise)
{
    const char *v = opt_property2(&program, "--property", "--reader-property", key);
    return v ? v : otherwise;
}

static void reader_init(struct reader *r)
{
    static const char *const known[] = {
        "parse.key",         "key.separator",     "parse.headers",
        "headers.delimiter", "headers.separator", "headers.key.separator",
        "null.marker",       "ignore.error",      NULL};
    opt_load_properties(&program, "--reader-config", "--property");
    opt_known_properties(&program, "--property", known);
    opt_known_properties(&program, "--reader-property", known);
    r->parse_key = opt_truth(&program, "parse.key", property("parse.key", NULL), false);
    r->parse_headers = opt_truth(&program, "parse.headers", property("parse.headers", NULL), false);
    r->ignore_error = opt_truth(&program, "ignore.error", property("ignore.error", NULL), false);
    r->key_separator = property("key.separator", "\t");
    r->headers_delimiter = property("headers.delimiter", "\t");
    r->headers_separator = property("headers.separator", ",");
    r->headers_key_separator = property("headers.key.separator", ":");
    r->null_marker = property("null.marker", NULL);
    r->json = opt_given(&program, "--json");
    if (r->json && !json_supported)
        opt_usage(&program, "--json: built without jansson or OpenSSL");
    if (!*r->key_separator || !*r->headers_delimiter || !*r->headers_separator ||
        !*r->headers_key_separator)
        opt_usage(&program, "a separator must not be empty");
}

/* Splits off what stands before `separator`. false: it is not there. */
static bool split(const char **line, size_t *len, const char *separator, const char **part,
                  size_t *part_len)
{
    size_t n = strlen(separator);
    const char *at = memmem(*line, *len, separator, n);
    if (!at)
        return false;
    *part = *line;
    *part_len = (size_t)(at - *line);
    *len -= *part_len + n;
    *line = at + n;
    return true;
}

static const void *null_or(const struct reader *r, const char *text, size_t len, int32_t *out_len)
{
    bool null =
        r->null_marker && strlen(r->null_marker) == len && !memcmp(text, r->null_marker, len);
    *out_len = null ? -1 : (int32_t)len;
    return null ? NULL : text;
}

/* One "name:value" of the header text. */
static bool add_header(struct reader *r, struct ferry_outgoing *record, const char *text,
                       size_t len)
{
    const char *name = text;
    size_t name_len = len;
    bool bare = !split(&text, &len, r->headers_key_separator, &name, &name_len);
    if (bare && !r->ignore_error)
        return false;
    if (record->header_count == r->header_cap) {
        int32_t cap = r->header_cap ? 2 * r->header_cap : 8;
        struct ferry_header *grown = realloc(r->headers, (size_t)cap * sizeof *grown);
        if (!grown)
            return false;
        r->headers = grown;
        r->header_cap = cap;
    }
    struct ferry_header *h = &r->headers[record->header_count++];
    *h = (struct ferry_header){.name = name, .name_len = (int32_t)name_len, .value_len = -1};
    if (!bare)
        h->value = null_or(r, text, len, &h->value_len);
    return true;
}

static const char *parse_headers(struct reader *r, const char **line, size_t *len,
                                 struct ferry_outgoing *record)
{
    const char *all, *one;
    size_t all_len, one_len;
    if (!split(line, len, r->headers_delimiter, &all, &all_len))
        return "no headers delimiter";
    if (r->null_marker && strlen(r->null_marker) == all_len &&
        !memcmp(all, r->null_marker, all_len))
        return NULL;
    while (all_len) {
        if (!split(&all, &all_len, r->headers_separator, &one, &one_len)) {
            one = all;
            one_len = all_len;
            all_len = 0;
        }
        if (!add_header(r, record, one, one_len))
            return "no separator in a header";
    }
    record->headers = r->headers;
    return NULL;
}

/* NULL, or what is wrong with the line. With ignore.error what is missing is absent, as for Kafka's reader. */
static const char *parse(struct reader *r, const char *line, size_t len,
                         struct ferry_outgoing *record)
{
    const char *key, *wrong = NULL;
    size_t key_len;
    record->key_len = -1;
    if (r->parse_headers)
        wrong = parse_headers(r, &line, &len, record);
    if (wrong && !r->ignore_error)
        return wrong;
    if (r->parse_key) {
        if (split(&line, &len, r->key_separator, &key, &key_len))
            record->key = null_or(r, key, key_len, &record->key_len);
        else if (!r->ignore_error)
            return "no key separator";
    }
    record->value = null_or(r, line, len, &record->value_len);
    return NULL;
}

/* The first failure: a code's name, and what is said of it beyond that. */
static void note(struct failures *f, int32_t code, const char *text)
{
    const char *name = ferry_error_name(code);
    bool more = text && *text && strcmp(text, name) != 0;
    snprintf(f->first, sizeof f->first, "%s%s%s", name, more ? ": " : "", more ? text : "");
}

static void take_reports(struct ferry_producer *p, struct failures *f, int32_t timeout_ms)
{
    struct ferry_report *report;
    while ((report = ferry_producer_poll(p, timeout_ms))) {
        struct ferry_report_info info;
        ferry_report_info(report, &info);
        if (info.error) {
            if (!f->count)
                note(f, info.error, info.text);
            f->count += info.count;
        }
        ferry_report_release(report);
        timeout_ms = 0;
    }
}

static int send_line(struct reader *r, struct ferry_topic *topic, int32_t partition,
                     const char *line, size_t len, struct failures *f)
{
    struct json_record json = {0};
    struct ferry_outgoing plain = {.partition = partition},
                          *record = r->json ? &json.record : &plain;
    struct ferry_error err = {0};
    char why[256] = "";
    const char *wrong = NULL;
    if (!r->json)
        wrong = parse(r, line, len, record);
    else if (!json_read_record(line, len, &json, why, sizeof why))
        wrong = why;
    else if (partition >= 0)
        record->partition = partition;
    if (wrong) {
        opt_say(&program, "line %ld: %s", r->line, wrong);
        json_free_record(&json);
        return EXIT_FAILED;
    }
    record->flags |= FERRY_SEND_WAIT;
    int32_t code = ferry_send_record(topic, record, NULL, &err);
    json_free_record(&json);
    if (code == 0)
        return EXIT_DONE;
    if (!f->count++)
        snprintf(f->first, sizeof f->first, "line %ld: %s: %s", r->line, ferry_error_name(code),
                 err.text);
    return code == FERRY_E_FATAL || code == FERRY_E_CLOSED ? EXIT_FAILED : EXIT_DONE;
}

static int send_all(struct ferry_producer *p, struct ferry_topic *topic, struct reader *r,
                    struct failures *f)
{
    struct lines in = {.fd = STDIN_FILENO};
    bool prompt = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
         sync = opt_given(&program, "--sync");
    int32_t partition = (int32_t)opt_number(&program, "--partition", 0, INT32_MAX, -1);
    int status = EXIT_DONE, got = 0;
    const char *line;
    size_t len;
    while (status == EXIT_DONE && !opt_interrupted) {
        if (prompt) {
            fputc('>', stdout);
            fflush(stdout);
        }
        got = lines_next(&in, &line, &len);
        if (got <= 0)
            break;
        r->line++;
        status = send_line(r, topic, partition, line, len, f);
        if (sync)
            ferry_producer_flush(p, -1, NULL);
        if (sync || r->line % 4096 == 0 || prompt)
            take_reports(p, f, 0);
    }
    if (got < 0 && errno != EINTR) {
        opt_say(&program, "standard input: %s", strerror(errno));
        status = EXIT_FAILED;
    }
    free(in.buffer);
    return status;
}

static void configure(struct ferry_config *config)
{
    struct ferry_error err;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *text = opt_get(&program, settings[i].option)->text;
        if (text && !*text && !strcmp(settings[i].option, "--compression-codec"))
            text = "gzip";
        if (text && ferry_config_set(config, settings[i].key, text, &err))
            opt_usage(&program, "%s: %s", settings[i].option, err.text);
    }
}

int main(int argc, char **argv)
{
    struct ferry_error err;
    struct reader reader = {0};
    struct failures failures = {0};
    opt_parse(&program, argc, argv);
    const char *name = opt_get(&program, "--topic")->text;
    if (!name || !opt_given(&program, "--bootstrap-server"))
        opt_usage(&program, "--topic and --bootstrap-server are required");
    const char *class = opt_get(&program, "--line-reader")->text;
    if (class && !strstr(class, "LineMessageReader"))
        opt_usage(&program, "--line-reader %s: Java classes cannot be loaded", class);
    reader_init(&reader);
    struct ferry_config *config = opt_config(&program, "--command-config", "--command-property");
    configure(config);
    opt_catch_signals();
    struct ferry_producer *p =
        ferry_producer_new(config, FERRY_REPORTS | FERRY_REPORT_FAILURES_ONLY, &err);
    struct ferry_topic *topic = p ? ferry_producer_topic(p, name, &err) : NULL;
    ferry_config_free(config);
    if (!topic) {
        opt_say(&program, "%s", err.text);
        ferry_producer_free(p);
        return EXIT_FAILED;
    }
    int status = send_all(p, topic, &reader, &failures);
    ferry_producer_close(p, -1, NULL);
    take_reports(p, &failures, 0);
    ferry_producer_free(p);
    free(reader.headers);
    if (failures.count) {
        opt_say(&program, "%lld of %ld records were not delivered; the first: %s",
                (long long)failures.count, reader.line, failures.first);
        status = EXIT_FAILED;
    }
    return status;
}
