/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/settings.h"

#include <limits.h>

/*
 * The table. Sections in order: client, producer, consumer, topic; the reference page and
 * FIRST_TOPIC_KEY depend on it. Keys, ranges and defaults are Kafka's own; what Kafka has no key
 * for begins with "ferry.".
 */
#define AT(field) offsetof(struct ferry_settings, field)
#define ROW_INT32(key, field, low, high, standard, unit, meaning)                                  \
    {                                                                                              \
        key, FERRY_OPT_INT32, AT(field), low, high, standard, NULL, unit, meaning                  \
    }
#define ROW_INT64(key, field, low, high, standard, unit, meaning)                                  \
    {                                                                                              \
        key, FERRY_OPT_INT64, AT(field), low, high, standard, NULL, unit, meaning                  \
    }
#define ROW_BOOL(key, field, standard, meaning)                                                    \
    {                                                                                              \
        key, FERRY_OPT_BOOL, AT(field), 0, 1, standard, NULL, NULL, meaning                        \
    }
#define ROW_STRING(key, field, standard, meaning)                                                  \
    {                                                                                              \
        key, FERRY_OPT_STRING, AT(field), 0, 0, standard, NULL, NULL, meaning                      \
    }
#define ROW_ENUM(key, field, choices, standard, meaning)                                           \
    {                                                                                              \
        key, FERRY_OPT_ENUM, AT(field), 0, 0, standard, choices, NULL, meaning                     \
    }

#define FIRST_PRODUCER_KEY "enable.idempotence"
#define FIRST_CONSUMER_KEY "group.id"
#define FIRST_TOPIC_KEY "acks"

static const struct ferry_option rows[] = {
    /* -- client -- */
    ROW_STRING("bootstrap.servers", bootstrap_servers, NULL,
               "Where to find the cluster first: host:port,host:port. One reachable server is "
               "enough; it may be "
               "unset if brokers are added later."),
    ROW_STRING("client.id", client_id, "ferry",
               "Sent with every request; brokers log it and apply quotas to it."),
    ROW_STRING("client.rack", client_rack, NULL,
               "Where this client is, for reading from the nearest replica."),
    ROW_ENUM("client.dns.lookup", client_dns_lookup,
             "use_all_dns_ips=0 resolve_canonical_bootstrap_servers_only=1", "use_all_dns_ips",
             "How a host name with several addresses is used: all are tried in turn. The canonical "
             "form is not "
             "supported."),
    ROW_ENUM("security.protocol", security_protocol,
             "PLAINTEXT=0 SSL=1 SASL_PLAINTEXT=2 SASL_SSL=3", "PLAINTEXT",
             "How connections are secured. Only PLAINTEXT is supported."),
    ROW_INT64("metadata.max.age.ms", metadata_max_age_ms, 0, INT64_MAX / 1000000, "300000", "ms",
              "Metadata older than this is refreshed without any other reason."),
    ROW_ENUM("metadata.recovery.strategy", metadata_recovery_strategy, "none=0 rebootstrap=1",
             "rebootstrap",
             "What to do when no known broker can be reached: begin again from bootstrap.servers, "
             "or only go on "
             "trying."),
    ROW_INT64("metadata.recovery.rebootstrap.trigger.ms", metadata_recovery_rebootstrap_trigger_ms,
              0, INT64_MAX / 1000000, "300000", "ms",
              "Without fresh metadata for this long after it was asked for, begin again from "
              "bootstrap.servers."),
    ROW_INT64("connections.max.idle.ms", connections_max_idle_ms, -1, INT64_MAX / 1000000, "540000",
              "ms", "A connection with nothing to do for this long is closed; -1 never."),
    ROW_INT64("reconnect.backoff.ms", reconnect_backoff_ms, 0, 3600000, "50", "ms",
              "First wait before connecting again to a broker that could not be reached; doubled "
              "at each failure."),
    ROW_INT64("reconnect.backoff.max.ms", reconnect_backoff_max_ms, 0, 3600000, "1000", "ms",
              "The longest such wait. A jitter of 20 % is applied."),
    ROW_INT64("retry.backoff.ms", retry_backoff_ms, 0, 3600000, "100", "ms",
              "First wait before a failed request is tried again; doubled at each failure."),
    ROW_INT64("retry.backoff.max.ms", retry_backoff_max_ms, 0, 3600000, "1000", "ms",
              "The longest such wait. A jitter of 20 % is applied."),
    ROW_INT64("socket.connection.setup.timeout.ms", socket_connection_setup_timeout_ms, 1, 3600000,
              "10000", "ms",
              "How long one attempt to connect and negotiate may take at first; doubled at each "
              "failure."),
    ROW_INT64("socket.connection.setup.timeout.max.ms", socket_connection_setup_timeout_max_ms, 1,
              3600000, "30000", "ms", "The longest such time."),
    ROW_INT32("send.buffer.bytes", send_buffer_bytes, -1, INT32_MAX, "-1", "bytes",
              "The socket's send buffer (SO_SNDBUF); -1 leaves it to the system, which adapts it."),
    ROW_INT32(
        "receive.buffer.bytes", receive_buffer_bytes, -1, INT32_MAX, "-1", "bytes",
        "The socket's receive buffer (SO_RCVBUF); -1 leaves it to the system, which adapts it."),
    ROW_INT32("default.api.timeout.ms", default_api_timeout_ms, 0, INT32_MAX, "60000", "ms",
              "How long a call may take that is given no time-out of its own."),
    ROW_INT32("ferry.frame.max.bytes", frame_max_bytes, 1000, 1 << 30, "104857600", "bytes",
              "The largest answer that is accepted from a broker, fetch.max.bytes and 64 KiB at "
              "least. A broker that "
              "announces more is cut off."),
    ROW_BOOL("ferry.io.thread", io_thread, "true",
             "Whether the handle has an I/O thread. Without one the application steps the handle "
             "from its own loop."),
    ROW_ENUM("ferry.log.level", log_level, "error=3 warning=4 info=6 debug=7", "warning",
             "The least serious messages that reach the log callback. ferry.debug implies debug."),
    ROW_STRING("ferry.debug", debug, NULL,
               "Parts of the client to log in detail: a comma-separated list of broker, request, "
               "metadata, producer, "
               "fetch, group, admin, config, or all."),
    ROW_INT64(
        "ferry.statistics.interval.ms", statistics_interval_ms, 0, 86400000, "0", "ms",
        "How often statistics are delivered as an event; 0 never. They can be read at any time."),

    /* -- producer -- */
    ROW_BOOL(FIRST_PRODUCER_KEY, enable_idempotence, "true",
             "Brokers drop what a retry sends twice. Switched off silently by acks other than all, "
             "retries=0 or more "
             "than 5 requests in flight; an error with those if it was set explicitly."),
    ROW_INT32("max.in.flight.requests.per.connection", max_in_flight, 1, INT32_MAX, "5", NULL,
              "Produce requests that one connection may have unanswered."),
    ROW_INT64("linger.ms", linger_ms, 0, INT32_MAX, "5", "ms",
              "How long a record may wait for others to share its batch."),
    ROW_INT32("batch.size", batch_size, 0, INT32_MAX, "16384", "bytes",
              "A batch that has reached this size is sent. 0 sends each record by itself."),
    ROW_INT64("buffer.memory", buffer_memory, 0, INT64_MAX, "33554432", "bytes",
              "What records that wait to be sent, or whose reports wait to be taken, may hold."),
    ROW_INT64("max.block.ms", max_block_ms, 0, INT64_MAX / 1000000, "60000", "ms",
              "How long send may wait for room in the buffer."),
    ROW_INT32("retries", retries, 0, INT32_MAX, "2147483647", NULL,
              "How often a batch is sent again after a failure that may pass; delivery.timeout.ms "
              "ends it too."),
    ROW_INT32("max.request.size", max_request_size, 0, INT32_MAX, "1048576", "bytes",
              "The largest record, and the largest Produce request."),
    ROW_INT64("ferry.buffer.records", buffer_records, 0, INT64_MAX, "0", NULL,
              "How many records may wait to be sent or for their reports to be taken; 0: "
              "buffer.memory alone limits."),
    ROW_INT32("ferry.batch.records", batch_records, 0, INT32_MAX, "0", NULL,
              "How many records a batch may hold; 0: batch.size alone limits."),
    ROW_INT64("ferry.sticky.linger.ms", sticky_linger_ms, 0, 900000, "10", "ms",
              "How long the random partitioners keep one partition for records without a key; 0 "
              "draws for each."),

    /* -- consumer -- */
    ROW_STRING(FIRST_CONSUMER_KEY, group_id, NULL,
               "The consumer group; needed for subscribe and for committed offsets."),
    ROW_STRING(
        "group.instance.id", group_instance_id, NULL,
        "A name that stays the same over restarts: the group then waits for this member instead of "
        "rebalancing."),
    ROW_ENUM("group.protocol", group_protocol, "classic=0 consumer=1", "classic",
             "The rebalance protocol. Only classic is supported."),
    ROW_INT32(
        "session.timeout.ms", session_timeout_ms, 1, INT32_MAX, "45000", "ms",
        "Without a heartbeat for this long the coordinator takes a member's partitions away."),
    ROW_INT32("heartbeat.interval.ms", heartbeat_interval_ms, 1, INT32_MAX, "3000", "ms",
              "How often a member says that it is alive; less than session.timeout.ms."),
    ROW_INT32("max.poll.interval.ms", max_poll_interval_ms, 1, INT32_MAX, "300000", "ms",
              "An application that does not poll for this long leaves the group."),
    ROW_INT32(
        "max.poll.records", max_poll_records, 1, INT32_MAX, "2147483647", NULL,
        "The most records that one poll returns, whatever the caller has room for. (Kafka's own "
        "client has 500; "
        "here the caller says how many it wants, and this is a bound above that.)"),
    ROW_BOOL("enable.auto.commit", enable_auto_commit, "true",
             "Whether consumed positions are committed in the background."),
    ROW_INT32("auto.commit.interval.ms", auto_commit_interval_ms, 0, INT32_MAX, "5000", "ms",
              "How often that happens."),
    ROW_BOOL("enable.auto.offset.store", auto_offset_store, "true",
             "Whether what the application has processed is stored for the next commit by itself; "
             "else only what ferry_consumer_store says is."),
    ROW_STRING("partition.assignment.strategy", partition_assignment_strategy,
               "range,cooperative-sticky",
               "Assignors in order of preference: range, roundrobin, sticky, cooperative-sticky, "
               "or the names of "
               "Java's classes."),
    ROW_INT32("fetch.min.bytes", fetch_min_bytes, 0, INT32_MAX, "1", "bytes",
              "A broker answers a fetch when it has this much, or after fetch.max.wait.ms."),
    ROW_INT32("fetch.max.wait.ms", fetch_max_wait_ms, 0, INT32_MAX, "500", "ms",
              "The longest that a broker holds a fetch."),
    ROW_INT32("fetch.max.bytes", fetch_max_bytes, 0, INT32_MAX, "52428800", "bytes",
              "The most that one fetch returns; a first batch that is larger is returned whole."),
    ROW_INT32("max.partition.fetch.bytes", max_partition_fetch_bytes, 0, INT32_MAX, "1048576",
              "bytes",
              "The most that one fetch returns of one partition; a first batch that is larger is "
              "returned whole."),
    ROW_BOOL("check.crcs", check_crcs, "true",
             "Whether the checksums of fetched batches are checked."),
    ROW_ENUM("isolation.level", isolation_level, "read_uncommitted=0 read_committed=1",
             "read_uncommitted", "Whether records of open and aborted transactions are read."),
    ROW_BOOL(
        "allow.auto.create.topics", allow_auto_create_topics, "true",
        "Whether subscribing to an unknown topic may make the broker create it. Producers always "
        "allow it."),
    ROW_BOOL("ferry.partition.eof", partition_eof, "false",
             "Whether reaching the end of a partition is an event."),
    ROW_INT64(
        "ferry.queued.max.bytes", queued_max_bytes, 1, INT64_MAX, "67108864", "bytes",
        "Fetched bytes that may wait to be consumed; a fetch is sent only while there are less."),

    /* -- topic: these may be set for one topic -- */
    ROW_ENUM(FIRST_TOPIC_KEY, topic.acks, "all=-1 -1=-1 0=0 1=1", "all",
             "Who must have a batch before it counts as written: all replicas in sync, the leader "
             "(1), or nobody (0: "
             "no answer is sent)."),
    ROW_INT32(
        "request.timeout.ms", topic.request_timeout_ms, 1, INT32_MAX, "30000", "ms",
        "How long an answer may take before the request has failed and the connection is closed."),
    ROW_INT64("delivery.timeout.ms", topic.delivery_timeout_ms, 0, INT32_MAX, "120000", "ms",
              "How long a record may take from send to its report, retries included; at least "
              "linger.ms + "
              "request.timeout.ms."),
    ROW_ENUM("compression.type", topic.compression_type, "none=0 gzip=1 snappy=2 lz4=3 zstd=4",
             "none", "The codec of batches."),
    ROW_INT32("compression.gzip.level", topic.compression_gzip_level, -1, 9, "-1", NULL,
              "1 is fastest, 9 smallest; -1 and 0 are the codec's own default."),
    ROW_INT32("compression.lz4.level", topic.compression_lz4_level, 1, 17, "9", NULL,
              "1 is fastest, 17 smallest."),
    ROW_INT32("compression.zstd.level", topic.compression_zstd_level, -131072, 22, "3", NULL,
              "Negative ones are fastest, 22 smallest."),
    ROW_ENUM("partitioner", topic.partitioner,
             "default=0 round_robin=1 random=2 consistent=3 consistent_random=4 murmur2=5 "
             "murmur2_random=6 fnv1a=7 "
             "fnv1a_random=8",
             "default",
             "How a record without an explicit partition gets one. default: Java's hash of the "
             "key, and without a key "
             "one partition for a batch's worth of records. The others are librdkafka's."),
    ROW_BOOL("partitioner.ignore.keys", topic.partitioner_ignore_keys, "false",
             "Whether the default partitioner treats every record as one without a key."),
    ROW_BOOL(
        "partitioner.adaptive.partitioning.enable", topic.partitioner_adaptive, "true",
        "Whether the default partitioner gives fewer records to partitions with longer queues."),
    ROW_INT64(
        "partitioner.availability.timeout.ms", topic.partitioner_availability_timeout_ms, 0,
        INT64_MAX / 1000000, "0", "ms",
        "A broker that took nothing for this long gets no records without a key; 0: no such rule."),
    ROW_ENUM("auto.offset.reset", topic.auto_offset_reset, "latest=-1 earliest=-2 none=0", "latest",
             "Where to begin without a committed offset, or when the offset is out of range; none: "
             "an error."),
};

const struct ferry_option_table ferry_settings_table = {"client", rows, sizeof rows / sizeof *rows};

_Static_assert(sizeof rows / sizeof *rows <= 64 * FERRY_SETTINGS_SET_WORDS, "a bit for each row");

size_t ferry_settings_first_topic_row(void)
{
    return (size_t)(ferry_options_find(&ferry_settings_table, FIRST_TOPIC_KEY) - rows);
}

static const struct {
    const char *key, *title, *text;
} sections[] = {
    {"bootstrap.servers", "Client", "Of every handle: connections, metadata, logs."},
    {FIRST_PRODUCER_KEY, "Producer", "Of producers."},
    {FIRST_CONSUMER_KEY, "Consumer", "Of consumers and their groups."},
    {FIRST_TOPIC_KEY, "Topic",
     "These may be set for one topic (`ferry_config_set_topic`); set without a topic they hold for "
     "all others."},
};

static void page_type(const struct ferry_option *o, struct ferry_text *out)
{
    static const char *const names[] = {
        [FERRY_OPT_INT32] = "integer", [FERRY_OPT_INT64] = "integer", [FERRY_OPT_BOOL] = "boolean",
        [FERRY_OPT_DOUBLE] = "number", [FERRY_OPT_STRING] = "string", [FERRY_OPT_ENUM] = "choice"};
    ferry_text_add(out, "%s", names[o->type]);
    if (o->unit)
        ferry_text_add(out, ", %s", o->unit);
}

static void page_range(const struct ferry_option *o, struct ferry_text *out)
{
    switch (o->type) {
    case FERRY_OPT_INT32:
    case FERRY_OPT_INT64:
    case FERRY_OPT_DOUBLE:
        ferry_text_add(out, "%lld to ", (long long)o->low);
        if (o->high >= INT64_MAX / 1000000)
            ferry_text_add(out, "without end");
        else
            ferry_text_add(out, "%lld", (long long)o->high);
        break;
    case FERRY_OPT_BOOL:
        ferry_text_add(out, "true, false");
        break;
    case FERRY_OPT_STRING:
        break;
    case FERRY_OPT_ENUM:
        for (const char *p = o->choices; *p;) {
            size_t name = strcspn(p, "="), all = strcspn(p, " ");
            ferry_text_add(out, "%s%.*s", p == o->choices ? "" : ", ", (int)name, p);
            p += all;
            p += strspn(p, " ");
        }
        break;
    }
}

void ferry_settings_page(struct ferry_text *out)
{
    ferry_text_add(out, "# Configuration\n\n"
                        "Every key of a client's configuration, from the table that the library "
                        "itself reads. This page "
                        "is generated:\nchange `libclient/client/settings.c`, then run `make "
                        "docs-configuration`.\n\n"
                        "Set keys with `ferry_config_set`, from a properties file with "
                        "`ferry_config_load_file`, and in "
                        "the tools with\n`--command-config FILE` or `-X key=value`. An unknown key "
                        "or a value out of "
                        "range is an error.\n");
    for (size_t i = 0, section = 0; i < ferry_settings_table.count; i++) {
        const struct ferry_option *o = &rows[i];
        if (section < sizeof sections / sizeof *sections &&
            !strcmp(o->name, sections[section].key)) {
            ferry_text_add(
                out, "\n## %s\n\n%s\n\n| key | type | default | values | meaning |\n|-|-|-|-|-|\n",
                sections[section].title, sections[section].text);
            section++;
        }
        ferry_text_add(out, "| `%s` | ", o->name);
        page_type(o, out);
        ferry_text_add(out, o->standard ? " | `%s` | " : " | %s | ",
                       o->standard ? o->standard : "unset");
        page_range(o, out);
        ferry_text_add(out, " | %s |\n", o->meaning);
    }
}
