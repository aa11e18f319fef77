/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two tables of settings. One row states a key's field, type, range, default and meaning; the
 * parser, the error texts, DescribeConfigs and the reference page read nothing else.
 *
 * 1. A broker key has one row, and the fact beside it (its type in DescribeConfigs) has the same
 * index.
 * 2. A topic key names the broker keys that it inherits from, first wins; keys in other units end
 * in hours or minutes.
 */
#include "config.h"

#include "refbroker/broker_config.h"

#define MAX32 INT32_MAX
#define MAX64 INT64_MAX

/* clang-format off */
/* kind, key, field, low, high, default, unit, flags, meaning. kind: B bool, I int, L long, D double, S string, T list */
#define BROKER_ROWS(X)                                                                                                 \
    X(I, "node.id", node_id, 0, MAX32, "1", NULL, 0, "The id under which clients know this broker.")                   \
    X(T, "listeners", listeners, 0, 0, "PLAINTEXT://127.0.0.1:9092", NULL, 0,                                          \
      "Where to listen: PLAINTEXT://HOST:PORT, port 0 for a free one.")                                                \
    X(T, "advertised.listeners", advertised_listeners, 0, 0, NULL, NULL, 0,                                            \
      "The address that clients are told to connect to; unset, the one listened on.")                                  \
    X(T, "log.dirs", log_dirs, 0, 0, NULL, NULL, 0, "The data directory; --data sets it.")                             \
    X(I, "num.partitions", num_partitions, 1, 100000, "1", NULL, 0,                                                    \
      "Partitions of a topic whose creator does not say.")                                                             \
    X(I, "default.replication.factor", default_replication_factor, 1, 1, "1", NULL, 0,                                 \
      "Replicas of a topic whose creator does not say. One node holds one replica.")                                   \
    X(B, "auto.create.topics.enable", auto_create_topics, 0, 0, "true", NULL, 0,                                       \
      "Create a topic when a client asks for its metadata and allows it.")                                             \
    X(B, "delete.topic.enable", delete_topic, 0, 0, "true", NULL, 0, "Whether topics may be deleted.")                 \
    X(I, "message.max.bytes", message_max_bytes, 0, MAX32, "1048588", "bytes", 1,                                      \
      "The largest record batch, compressed, with its header.")                                                        \
    X(I, "socket.request.max.bytes", socket_request_max_bytes, 1024, 1 << 30, "104857600", "bytes", 0,                 \
      "The largest request; a larger one closes the connection.")                                                      \
    X(L, "queued.max.request.bytes", queued_max_request_bytes, 65536, MAX64, "16777216", "bytes", 0,                   \
      "Memory for requests that are being received, all connections together. One that is larger may still finish.")   \
    X(I, "max.connections", max_connections, 1, MAX32, "2147483647", NULL, 1,                                          \
      "Connections at one time; more are closed at once.")                                                             \
    X(I, "max.connections.per.ip", max_connections_per_ip, 0, MAX32, "2147483647", NULL, 1,                            \
      "Connections at one time from one address.")                                                                     \
    X(L, "connections.max.idle.ms", connections_max_idle_ms, 1, MAX64, "600000", "ms", 0,                              \
      "A connection without a request for so long is closed.")                                                         \
    X(L, "refbroker.request.stall.ms", request_stall_ms, 1, MAX64, "30000", "ms", 0,                                   \
      "A request that stops arriving for so long closes its connection; a second is enough while others wait for memory.")                                              \
    X(I, "fetch.max.bytes", fetch_max_bytes, 1024, MAX32, "57671680", "bytes", 0,                                      \
      "The most that one Fetch answers with, a first batch that is larger aside.")                                     \
    X(I, "max.incremental.fetch.session.cache.slots", fetch_session_slots, 0, 1000000, "1000", NULL, 0,                \
      "Incremental fetch sessions at one time; 0 for none.")                                                           \
    X(I, "group.min.session.timeout.ms", group_min_session_ms, 1, MAX32, "6000", "ms", 0,                              \
      "The shortest session time-out that a group member may ask for.")                                                \
    X(I, "group.max.session.timeout.ms", group_max_session_ms, 1, MAX32, "1800000", "ms", 0,                           \
      "The longest session time-out that a group member may ask for.")                                                 \
    X(I, "group.initial.rebalance.delay.ms", group_initial_delay_ms, 0, MAX32, "0", "ms", 0,                           \
      "How long the first rebalance of an empty group waits for more members.")                                        \
    X(I, "group.max.size", group_max_size, 1, MAX32, "2147483647", NULL, 0, "Members of one group.")                   \
    X(I, "offsets.topic.num.partitions", offsets_partitions, 1, 1000, "50", NULL, 0,                                   \
      "Partitions of __consumer_offsets, when it is created.")                                                         \
    X(I, "offsets.topic.replication.factor", offsets_replication, 1, 1, "1", NULL, 0,                                  \
      "Replicas of __consumer_offsets.")                                                                               \
    X(I, "offsets.topic.segment.bytes", offsets_segment_bytes, 1048576, MAX32, "104857600", "bytes", 0,                \
      "segment.bytes of __consumer_offsets, when it is created.")                                                      \
    X(I, "offset.metadata.max.bytes", offset_metadata_max_bytes, 0, MAX32, "4096", "bytes", 0,                         \
      "The longest metadata text beside a committed offset.")                                                          \
    X(L, "offsets.retention.minutes", offsets_retention_minutes, 1, MAX64 / 60000, "10080", "minutes", 0,              \
      "Offsets of a group without members are dropped after so long.")                                                 \
    X(L, "offsets.retention.check.interval.ms", offsets_check_ms, 1, MAX64 / 1000000, "600000", "ms", 0,               \
      "How often to look for offsets to drop.")                                                                        \
    X(L, "log.retention.ms", retention_ms, -1, MAX64, NULL, "ms", 1, "retention.ms of topics that do not say.")        \
    X(I, "log.retention.minutes", retention_minutes, -1, MAX32, NULL, "minutes", 1, "The same in minutes.")            \
    X(I, "log.retention.hours", retention_hours, -1, MAX32, "168", "hours", 0, "The same in hours.")                   \
    X(L, "log.retention.bytes", retention_bytes, -1, MAX64, "-1", "bytes", 1,                                          \
      "retention.bytes of topics that do not say.")                                                                    \
    X(L, "log.local.retention.ms", local_retention_ms, -2, MAX64, "-2", "ms", 1,                                       \
      "local.retention.ms of topics; nothing is tiered here.")                                                         \
    X(L, "log.local.retention.bytes", local_retention_bytes, -2, MAX64, "-2", "bytes", 1,                              \
      "local.retention.bytes of topics; nothing is tiered here.")                                                      \
    X(L, "log.roll.ms", roll_ms, 1, MAX64, NULL, "ms", 1, "segment.ms of topics that do not say.")                     \
    X(I, "log.roll.hours", roll_hours, 1, MAX32, "168", "hours", 0, "The same in hours.")                              \
    X(L, "log.roll.jitter.ms", roll_jitter_ms, 0, MAX64, NULL, "ms", 1, "segment.jitter.ms of topics.")                \
    X(I, "log.roll.jitter.hours", roll_jitter_hours, 0, MAX32, "0", "hours", 0, "The same in hours.")                  \
    X(I, "log.segment.bytes", segment_bytes, 1048576, MAX32, "1073741824", "bytes", 1,                                 \
      "segment.bytes of topics that do not say.")                                                                      \
    X(I, "log.index.size.max.bytes", index_bytes, 4, MAX32, "10485760", "bytes", 1,                                    \
      "segment.index.bytes of topics that do not say.")                                                                \
    X(I, "log.index.interval.bytes", index_interval_bytes, 0, MAX32, "4096", "bytes", 1,                               \
      "index.interval.bytes of topics that do not say.")                                                               \
    X(L, "log.flush.interval.messages", flush_messages, 1, MAX64, "9223372036854775807", NULL, 1,                      \
      "Flush after so many records; 1 means that nothing is read or acknowledged before it is on disk.")               \
    X(L, "log.flush.interval.ms", flush_ms, 0, MAX64, NULL, "ms", 1, "Flush after so long.")                           \
    X(L, "log.segment.delete.delay.ms", delete_delay_ms, 0, MAX64, "60000", "ms", 1,                                   \
      "file.delete.delay.ms of topics that do not say.")                                                               \
    X(T, "log.cleanup.policy", cleanup_policy, 0, 0, "delete", NULL, 1, "cleanup.policy of topics that do not say.")   \
    X(L, "log.cleaner.delete.retention.ms", cleaner_delete_ms, 0, MAX64, "86400000", "ms", 1,                          \
      "delete.retention.ms of topics that do not say.")                                                                \
    X(L, "log.cleaner.min.compaction.lag.ms", cleaner_min_lag_ms, 0, MAX64, "0", "ms", 1,                              \
      "min.compaction.lag.ms of topics that do not say.")                                                              \
    X(L, "log.cleaner.max.compaction.lag.ms", cleaner_max_lag_ms, 1, MAX64, "9223372036854775807", "ms", 1,            \
      "max.compaction.lag.ms of topics that do not say.")                                                              \
    X(D, "log.cleaner.min.cleanable.ratio", cleaner_dirty_ratio, 0, 1, "0.5", NULL, 1,                                 \
      "min.cleanable.dirty.ratio of topics that do not say.")                                                          \
    X(TS, "log.message.timestamp.type", timestamp_type, 0, 0, "CreateTime", NULL, 1,                                   \
      "message.timestamp.type of topics that do not say.")                                                             \
    X(L, "log.message.timestamp.before.max.ms", timestamp_before_ms, 0, MAX64, "9223372036854775807", "ms", 1,         \
      "message.timestamp.before.max.ms of topics that do not say.")                                                    \
    X(L, "log.message.timestamp.after.max.ms", timestamp_after_ms, 0, MAX64, "3600000", "ms", 1,                       \
      "message.timestamp.after.max.ms of topics that do not say.")                                                     \
    X(B, "log.preallocate", preallocate, 0, 0, "false", NULL, 1, "preallocate of topics that do not say.")             \
    X(CO, "compression.type", compression_type, 0, 0, "producer", NULL, 1,                                             \
      "compression.type of topics that do not say.")                                                                   \
    X(I, "compression.gzip.level", gzip_level, -1, 9, "-1", NULL, 1, "Of topics that do not say.")                     \
    X(I, "compression.lz4.level", lz4_level, 1, 17, "9", NULL, 1, "Of topics that do not say.")                        \
    X(I, "compression.zstd.level", zstd_level, -131072, 22, "3", NULL, 1, "Of topics that do not say.")                \
    X(I, "min.insync.replicas", min_insync, 1, MAX32, "1", NULL, 1, "min.insync.replicas of topics.")                  \
    X(B, "unclean.leader.election.enable", unclean_election, 0, 0, "false", NULL, 1,                                   \
      "unclean.leader.election.enable of topics that do not say.")                                                     \
    X(L, "log.retention.check.interval.ms", retention_check_ms, 1, MAX64 / 1000000, "300000", "ms", 0,                 \
      "How often to look for segments to delete.")                                                                     \
    X(L, "replica.high.watermark.checkpoint.interval.ms", watermark_checkpoint_ms, 1, MAX64 / 1000000, "5000", "ms", 0,   \
      "How often high watermarks are noted down.")                                                                     \
    X(L, "producer.id.expiration.ms", producer_id_expiration_ms, 1, MAX64, "86400000", "ms", 1,                        \
      "An idempotent producer that is silent for so long is forgotten.")                                               \
    X(VA, "refbroker.validate", validate, 0, 0, "header", NULL, 0,                                                     \
      "How far to look into a compressed batch before it is appended: its header, or (deep) every record.")

#define TOPIC_ROWS(X)                                                                                                  \
    X(T, "cleanup.policy", cleanup_policy, 0, 0, "delete", NULL, 0, "log.cleanup.policy",                              \
      "delete: cut the log by retention; compact: keep the last record of each key.")                                  \
    X(I, "compression.gzip.level", gzip_level, -1, 9, "-1", NULL, 0, "compression.gzip.level", "gzip level.")          \
    X(I, "compression.lz4.level", lz4_level, 1, 17, "9", NULL, 0, "compression.lz4.level", "lz4 level.")               \
    X(CO, "compression.type", compression_type, 0, 0, "producer", NULL, 0, "compression.type",                         \
      "producer: batches are kept as they came; else those that come under another codec are compressed anew.")                                                                      \
    X(I, "compression.zstd.level", zstd_level, -131072, 22, "3", NULL, 0, "compression.zstd.level", "zstd level.")     \
    X(L, "delete.retention.ms", delete_retention_ms, 0, MAX64, "86400000", "ms", 0,                                    \
      "log.cleaner.delete.retention.ms", "How long a tombstone stays in a compacted topic.")                           \
    X(L, "file.delete.delay.ms", file_delete_delay_ms, 0, MAX64, "60000", "ms", 0, "log.segment.delete.delay.ms",      \
      "How long the files of a segment stay, as .deleted, when retention or DeleteRecords took it. Those of a deleted topic go at once.")                                                              \
    X(L, "flush.messages", flush_messages, 1, MAX64, "9223372036854775807", NULL, 0, "log.flush.interval.messages",    \
      "Flush after so many records.")                                                                                  \
    X(L, "flush.ms", flush_ms, 0, MAX64, "9223372036854775807", "ms", 0, "log.flush.interval.ms",                      \
      "Flush after so long.")                                                                                          \
    X(T, "follower.replication.throttled.replicas", follower_throttled, 0, 0, "", NULL, 0, NULL,                       \
      "Replicas whose following is throttled.")                                                                        \
    X(I, "index.interval.bytes", index_interval_bytes, 0, MAX32, "4096", "bytes", 0, "log.index.interval.bytes",       \
      "Bytes of log between two index entries.")                                                                       \
    X(T, "leader.replication.throttled.replicas", leader_throttled, 0, 0, "", NULL, 0, NULL,                           \
      "Replicas whose leading is throttled.")                                                                          \
    X(L, "local.retention.bytes", local_retention_bytes, -2, MAX64, "-2", "bytes", 0, "log.local.retention.bytes", \
      "Bytes kept locally of a tiered topic.")                                                                         \
    X(L, "local.retention.ms", local_retention_ms, -2, MAX64, "-2", "ms", 0, "log.local.retention.ms", \
      "Time kept locally of a tiered topic.")                                                                          \
    X(L, "max.compaction.lag.ms", max_compaction_lag_ms, 1, MAX64, "9223372036854775807", "ms", 0,                     \
      "log.cleaner.max.compaction.lag.ms", "The longest a record may stay uncompacted.")                               \
    X(I, "max.message.bytes", max_message_bytes, 0, MAX32, "1048588", "bytes", 0, "message.max.bytes",                 \
      "The largest record batch, compressed, with its header.")                                                        \
    X(L, "message.timestamp.after.max.ms", timestamp_after_ms, 0, MAX64, "3600000", "ms", 0,                           \
      "log.message.timestamp.after.max.ms", "How far a timestamp may be ahead.")                                       \
    X(L, "message.timestamp.before.max.ms", timestamp_before_ms, 0, MAX64, "9223372036854775807", "ms", 0,             \
      "log.message.timestamp.before.max.ms", "How far a timestamp may be behind.")                                     \
    X(TS, "message.timestamp.type", timestamp_type, 0, 0, "CreateTime", NULL, 0, "log.message.timestamp.type",         \
      "Whose time a record carries: its producer's, or that of the append.")                                           \
    X(D, "min.cleanable.dirty.ratio", min_cleanable_ratio, 0, 1, "0.5", NULL, 0, "log.cleaner.min.cleanable.ratio",    \
      "Share of uncompacted bytes from which compaction runs.")                                                        \
    X(L, "min.compaction.lag.ms", min_compaction_lag_ms, 0, MAX64, "0", "ms", 0, "log.cleaner.min.compaction.lag.ms",  \
      "How long a record is safe from compaction.")                                                                    \
    X(I, "min.insync.replicas", min_insync, 1, MAX32, "1", NULL, 0, "min.insync.replicas",                             \
      "In-sync replicas that acks=all asks for.")                                                                      \
    X(B, "preallocate", preallocate, 0, 0, "false", NULL, 0, "log.preallocate", "Allocate a segment's file at once.")  \
    X(B, "remote.log.copy.disable", remote_copy_disable, 0, 0, "false", NULL, 0, NULL, "Of tiered topics.")            \
    X(B, "remote.log.delete.on.disable", remote_delete_on_disable, 0, 0, "false", NULL, 0, NULL, "Of tiered topics.")  \
    X(B, "remote.storage.enable", remote_enable, 0, 0, "false", NULL, 0, NULL, "Whether the topic is tiered.")         \
    X(L, "retention.bytes", retention_bytes, -1, MAX64, "-1", "bytes", 0, "log.retention.bytes",                       \
      "Bytes of a partition to keep; -1 for no limit.")                                                                \
    X(L, "retention.ms", retention_ms, -1, MAX64, "604800000", "ms", 0,                                                \
      "log.retention.ms log.retention.minutes log.retention.hours", "How long to keep records; -1 for ever.")          \
    X(I, "segment.bytes", segment_bytes, 1048576, MAX32, "1073741824", "bytes", 0, "log.segment.bytes",                \
      "The largest segment file.")                                                                                     \
    X(I, "segment.index.bytes", segment_index_bytes, 4, MAX32, "10485760", "bytes", 0, "log.index.size.max.bytes",     \
      "The largest index file.")                                                                                       \
    X(L, "segment.jitter.ms", segment_jitter_ms, 0, MAX64, "0", "ms", 0,                                               \
      "log.roll.jitter.ms log.roll.jitter.hours", "Spread of segment.ms.")                                             \
    X(L, "segment.ms", segment_ms, 1, MAX64, "604800000", "ms", 0, "log.roll.ms log.roll.hours",                       \
      "A segment is closed after so long even if it is not full.")                                                     \
    X(B, "unclean.leader.election.enable", unclean_election, 0, 0, "false", NULL, 0, "unclean.leader.election.enable", \
      "Whether a replica that may lack records may lead.")                                                             \
    X(I, "internal.segment.bytes", internal_segment_bytes, 0, MAX32, "0", "bytes", 2, NULL,                            \
      "For tests: a segment size below the least that segment.bytes allows.")

/* clang-format on */

#define CHOICES_TS "CreateTime=0 LogAppendTime=1"
#define CHOICES_CO "uncompressed=0 gzip=1 snappy=2 lz4=3 zstd=4 producer=5"
#define CHOICES_VA "header=0 deep=1"

#define ROW_I(t, k, f, lo, hi, d, u, m)                                                            \
    {k, FERRY_OPT_INT32, offsetof(struct t, f), lo, hi, d, NULL, u, m},
#define ROW_L(t, k, f, lo, hi, d, u, m)                                                            \
    {k, FERRY_OPT_INT64, offsetof(struct t, f), lo, hi, d, NULL, u, m},
#define ROW_D(t, k, f, lo, hi, d, u, m)                                                            \
    {k, FERRY_OPT_DOUBLE, offsetof(struct t, f), lo, hi, d, NULL, u, m},
#define ROW_B(t, k, f, lo, hi, d, u, m)                                                            \
    {k, FERRY_OPT_BOOL, offsetof(struct t, f), lo, hi, d, NULL, u, m},
#define ROW_S(t, k, f, lo, hi, d, u, m)                                                            \
    {k, FERRY_OPT_STRING, offsetof(struct t, f), lo, hi, d, NULL, u, m},
#define ROW_T(t, k, f, lo, hi, d, u, m)                                                            \
    {k, FERRY_OPT_STRING, offsetof(struct t, f), lo, hi, d, NULL, u, m},
#define ROW_TS(t, k, f, lo, hi, d, u, m)                                                           \
    {k, FERRY_OPT_ENUM, offsetof(struct t, f), lo, hi, d, CHOICES_TS, u, m},
#define ROW_CO(t, k, f, lo, hi, d, u, m)                                                           \
    {k, FERRY_OPT_ENUM, offsetof(struct t, f), lo, hi, d, CHOICES_CO, u, m},
#define ROW_VA(t, k, f, lo, hi, d, u, m)                                                           \
    {k, FERRY_OPT_ENUM, offsetof(struct t, f), lo, hi, d, CHOICES_VA, u, m},

#define SHOWN_I BROKER_CONFIG_INT
#define SHOWN_L BROKER_CONFIG_LONG
#define SHOWN_D BROKER_CONFIG_DOUBLE
#define SHOWN_B BROKER_CONFIG_BOOLEAN
#define SHOWN_S BROKER_CONFIG_STRING
#define SHOWN_T BROKER_CONFIG_LIST
#define SHOWN_TS BROKER_CONFIG_STRING
#define SHOWN_CO BROKER_CONFIG_STRING
#define SHOWN_VA BROKER_CONFIG_STRING

#define BROKER_ROW(kind, k, f, lo, hi, d, u, flags, m)                                             \
    ROW_##kind(broker_settings, k, f, lo, hi, d, u, m)
#define BROKER_FACT(kind, k, f, lo, hi, d, u, flags, m) {SHOWN_##kind, flags, NULL},
#define TOPIC_ROW(kind, k, f, lo, hi, d, u, flags, syn, m)                                         \
    ROW_##kind(topic_settings, k, f, lo, hi, d, u, m)
#define TOPIC_FACT(kind, k, f, lo, hi, d, u, flags, syn, m) {SHOWN_##kind, flags, syn},

static const struct ferry_option broker_rows[] = {BROKER_ROWS(BROKER_ROW)};
const struct broker_config_fact broker_config_facts[] = {BROKER_ROWS(BROKER_FACT)};
const struct ferry_option_table broker_config_table = {"broker", broker_rows,
                                                       sizeof broker_rows / sizeof *broker_rows};

static const struct ferry_option topic_rows[] = {TOPIC_ROWS(TOPIC_ROW)};
const struct broker_config_fact topic_config_facts[] = {TOPIC_ROWS(TOPIC_FACT)};
const struct ferry_option_table topic_config_table = {"topic", topic_rows,
                                                      sizeof topic_rows / sizeof *topic_rows};
