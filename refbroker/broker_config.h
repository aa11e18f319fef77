/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_BROKER_CONFIG_H
#define REFBROKER_BROKER_CONFIG_H
/*
 * The broker's settings and a topic's, each from one table under Kafka's own keys, and where a
 * value comes from.
 *
 * A value is looked for in layers: a topic's own overrides, the dynamic settings of this broker,
 * the dynamic settings of all brokers, the static ones (configuration file, -X), the default.
 * Overrides are kept as text, so that DescribeConfigs shows what was given; the effective structs
 * are computed from them whenever a layer changes. Everything here belongs to the thread of the
 * node.
 */
#include "base/options.h"

/* What the broker itself reads. Rows of broker_config_table point in here. */
struct broker_settings {
    int32_t node_id;
    char *listeners, *advertised_listeners, *log_dirs;
    int32_t num_partitions, default_replication_factor;
    bool auto_create_topics, delete_topic;
    /* limits */
    int32_t message_max_bytes, socket_request_max_bytes, max_connections, max_connections_per_ip;
    int64_t queued_max_request_bytes, connections_max_idle_ms, request_stall_ms;
    int32_t fetch_max_bytes, fetch_session_slots;
    /* groups */
    int32_t group_min_session_ms, group_max_session_ms, group_initial_delay_ms, group_max_size;
    int32_t offsets_partitions, offsets_replication, offsets_segment_bytes,
        offset_metadata_max_bytes;
    int64_t offsets_retention_minutes, offsets_check_ms;
    /* what topics inherit; the effective values are in struct topic_settings */
    int64_t retention_ms, retention_bytes, roll_ms, roll_jitter_ms, flush_messages, flush_ms,
        delete_delay_ms, local_retention_ms, local_retention_bytes;
    int64_t cleaner_delete_ms, cleaner_min_lag_ms, cleaner_max_lag_ms, timestamp_before_ms,
        timestamp_after_ms;
    int32_t retention_hours, retention_minutes, roll_hours, roll_jitter_hours;
    int32_t segment_bytes, index_bytes, index_interval_bytes, min_insync;
    int32_t gzip_level, lz4_level, zstd_level;
    int32_t timestamp_type, compression_type;
    double cleaner_dirty_ratio;
    bool preallocate, unclean_election;
    char *cleanup_policy;
    /* housekeeping */
    int64_t retention_check_ms, producer_id_expiration_ms, watermark_checkpoint_ms;
    int32_t validate; /* enum broker_validate */
};

enum broker_validate { BROKER_VALIDATE_HEADER, BROKER_VALIDATE_DEEP };
enum topic_timestamp_type { TOPIC_CREATE_TIME, TOPIC_LOG_APPEND_TIME };
/* compression.type: the wire's codec numbers, and what only a broker knows. */
enum topic_compression {
    TOPIC_COMPRESSION_NONE,
    TOPIC_COMPRESSION_GZIP,
    TOPIC_COMPRESSION_SNAPPY,
    TOPIC_COMPRESSION_LZ4,
    TOPIC_COMPRESSION_ZSTD,
    TOPIC_COMPRESSION_PRODUCER
};
enum topic_cleanup { TOPIC_CLEANUP_DELETE = 1, TOPIC_CLEANUP_COMPACT = 2 };

/* A topic's effective settings. Rows of topic_config_table point in here. */
struct topic_settings {
    char *cleanup_policy;
    int32_t cleanup; /* bits of enum topic_cleanup, computed from cleanup_policy */
    int32_t compression_type, gzip_level, lz4_level, zstd_level;
    int64_t delete_retention_ms, file_delete_delay_ms, flush_messages, flush_ms;
    char *follower_throttled, *leader_throttled;
    int32_t index_interval_bytes, segment_index_bytes, segment_bytes, max_message_bytes, min_insync;
    int64_t local_retention_bytes, local_retention_ms, max_compaction_lag_ms, min_compaction_lag_ms;
    int64_t timestamp_after_ms, timestamp_before_ms;
    int32_t timestamp_type; /* enum topic_timestamp_type */
    double min_cleanable_ratio;
    bool preallocate, remote_copy_disable, remote_delete_on_disable, remote_enable,
        unclean_election;
    int64_t retention_bytes, retention_ms, segment_jitter_ms, segment_ms;
    int32_t internal_segment_bytes; /* 0, or smaller segments than segment.bytes allows: for tests;
                                       not shown */
};

/* Kafka's own numbers in DescribeConfigs. */
enum broker_config_type {
    BROKER_CONFIG_BOOLEAN = 1,
    BROKER_CONFIG_STRING = 2,
    BROKER_CONFIG_INT = 3,
    BROKER_CONFIG_SHORT = 4,
    BROKER_CONFIG_LONG = 5,
    BROKER_CONFIG_DOUBLE = 6,
    BROKER_CONFIG_LIST = 7
};
enum broker_config_source {
    BROKER_SOURCE_TOPIC = 1,
    BROKER_SOURCE_DYNAMIC = 2,
    BROKER_SOURCE_DYNAMIC_DEFAULT = 3,
    BROKER_SOURCE_STATIC = 4,
    BROKER_SOURCE_DEFAULT = 5
};
enum broker_config_flag {
    BROKER_CONFIG_DYNAMIC = 1, /* may be altered at run time */
    BROKER_CONFIG_HIDDEN = 2   /* DescribeConfigs leaves it out */
};

/* What stands beside a row of either table, under the same index. */
struct broker_config_fact {
    enum broker_config_type type;
    uint32_t flags;
    const char *synonyms; /* of a topic key: the broker keys behind it, space-separated, first wins;
                             NULL for none */
};

extern const struct ferry_option_table broker_config_table, topic_config_table;
extern const struct broker_config_fact broker_config_facts[], topic_config_facts[];

/* One layer of overrides: name and value as given, in the order given. Zeroed is empty. */
struct broker_override {
    char *name, *value;
};
struct broker_overrides {
    struct broker_override *items;
    size_t count, cap;
};
/* Sets or replaces; value NULL removes. 0 or FERRY_E_NOMEM. */
int broker_overrides_set(struct broker_overrides *, const char *name, const char *value);
const char *broker_overrides_get(const struct broker_overrides *,
                                 const char *name); /* NULL if there is none */
int broker_overrides_copy(struct broker_overrides *to,
                          const struct broker_overrides *from); /* into a zeroed one */
void broker_overrides_free(struct broker_overrides *);

/* The layers below a topic. */
struct broker_config {
    struct broker_overrides fixed, cluster,
        own;                    /* static, dynamic for all brokers, dynamic for this one */
    struct broker_settings now; /* the effective settings */
};

int broker_config_init(struct broker_config *); /* the defaults; 0 or FERRY_E_NOMEM */
int broker_config_copy(struct broker_config *to, const struct broker_config *from);
void broker_config_free(struct broker_config *);
/* Checks and sets one static value, then computes `now` again. FERRY_E_CONFIG names what is wrong.
 */
int broker_config_set(struct broker_config *, const char *name, const char *value,
                      struct ferry_error *err);
/* The text of a properties file (key=value lines, # and ! comments, line continuation). Keys of
 * Kafka's that mean nothing to this broker are skipped and reported through `skipped`; any other
 * unknown key is an error naming its line. */
int broker_config_parse(struct broker_config *, struct ferry_str text,
                        void (*skipped)(void *cookie, const char *name), void *cookie,
                        struct ferry_error *err);
/* Computes `now` from the layers. */
int broker_config_apply(struct broker_config *);

/* Is the value right for this key? Checks what the row's range cannot say (lists, lower bounds
 * shared by two keys). */
int broker_config_check(const char *name, const char *value, struct ferry_error *err);
int topic_config_check(const char *name, const char *value, struct ferry_error *err);

/* The value of a key in effect, as text, and where it comes from. `topic` may be NULL (broker keys
 * only). */
struct broker_config_value {
    enum broker_config_source source;
    const char *name;  /* the key of the layer that gave it, e.g. log.retention.hours */
    char text[64];     /* the value when it had to be computed, such as hours as ms */
    const char *value; /* NULL is unset; points into a layer, a table or `text` */
};
/* All layers that have something to say about a key, the winner first. Returns how many were filled
 * in, at most max. */
size_t broker_config_values(const struct broker_config *, size_t row,
                            struct broker_config_value *out, size_t max);
size_t topic_config_values(const struct broker_config *, const struct broker_overrides *topic,
                           size_t row, struct broker_config_value *out, size_t max);

/* Is `name` one of the broker keys that stand behind a topic key? It may be spelt like the topic key itself. */
bool broker_config_inherits(const struct broker_config_fact *, const char *name);

/* Adds the reference page of both tables, in Markdown. */
void broker_config_page(struct ferry_text *page);

/* A topic's effective settings into a zeroed struct. 0 or FERRY_E_NOMEM. */
int topic_settings_init(struct topic_settings *, const struct broker_config *,
                        const struct broker_overrides *topic);
void topic_settings_free(struct topic_settings *);

#endif
