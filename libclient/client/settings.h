/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_SETTINGS_H
#define CLIENT_SETTINGS_H
/*
 * The client's settings: one table of Kafka's keys (settings.c), one struct that its rows fill. The
 * public, opaque struct ferry_config (ferry/config.h) is a struct ferry_settings, what was set
 * explicitly, and overrides per topic.
 *
 * An engine works on a frozen deep copy (ferry_settings_freeze), in which defaults that depend on
 * each other are resolved: enable.idempotence is already off where acks, retries or the requests in
 * flight forbid it.
 */
#include "base/map.h"
#include "base/options.h"
#include "base/text.h"
#include "ferry/config.h"

enum ferry_acks { FERRY_ACKS_ALL = -1, FERRY_ACKS_NONE = 0, FERRY_ACKS_LEADER = 1 };

enum ferry_offset_reset {
    FERRY_RESET_LATEST = -1,
    FERRY_RESET_EARLIEST = -2,
    FERRY_RESET_NONE = 0
};

/* compression.type; the numbers are those of a batch's attributes. */
enum ferry_codec_setting {
    FERRY_USE_NONE,
    FERRY_USE_GZIP,
    FERRY_USE_SNAPPY,
    FERRY_USE_LZ4,
    FERRY_USE_ZSTD
};

/* partitioner */
enum ferry_partitioner_setting {
    FERRY_PARTITIONER_DEFAULT, /* murmur2 of the key as Java's; without a key sticky, adaptive
                                  (KIP-794) */
    FERRY_PARTITIONER_ROUND_ROBIN,
    FERRY_PARTITIONER_RANDOM,
    FERRY_PARTITIONER_CONSISTENT, /* librdkafka's names from here on */
    FERRY_PARTITIONER_CONSISTENT_RANDOM,
    FERRY_PARTITIONER_MURMUR2,
    FERRY_PARTITIONER_MURMUR2_RANDOM,
    FERRY_PARTITIONER_FNV1A,
    FERRY_PARTITIONER_FNV1A_RANDOM
};

enum ferry_recovery { FERRY_RECOVERY_NONE, FERRY_RECOVERY_REBOOTSTRAP };

/* Bits of ferry.debug: what is logged at debug level. */
enum ferry_debug {
    FERRY_DEBUG_BROKER = 1,
    FERRY_DEBUG_REQUEST = 2,
    FERRY_DEBUG_METADATA = 4,
    FERRY_DEBUG_PRODUCER = 8,
    FERRY_DEBUG_FETCH = 16,
    FERRY_DEBUG_GROUP = 32,
    FERRY_DEBUG_ADMIN = 64,
    FERRY_DEBUG_CONFIG = 128,
    FERRY_DEBUG_ALL = 255
};

/* What may differ by topic. */
struct ferry_topic_settings {
    int32_t acks; /* enum ferry_acks */
    int32_t request_timeout_ms;
    int64_t delivery_timeout_ms;
    int32_t compression_type; /* enum ferry_codec_setting */
    int32_t compression_gzip_level, compression_lz4_level, compression_zstd_level;
    int32_t partitioner; /* enum ferry_partitioner_setting */
    bool partitioner_ignore_keys;
    bool partitioner_adaptive;
    int64_t partitioner_availability_timeout_ms;
    int32_t auto_offset_reset; /* enum ferry_offset_reset */
};

struct ferry_settings {
    /* client */
    char *bootstrap_servers; /* NULL or "host:port,..." */
    char *client_id;
    char *client_rack; /* NULL = none */
    int32_t client_dns_lookup;
    int32_t security_protocol;
    int64_t metadata_max_age_ms;
    int32_t metadata_recovery_strategy; /* enum ferry_recovery */
    int64_t metadata_recovery_rebootstrap_trigger_ms;
    int64_t connections_max_idle_ms;
    int64_t reconnect_backoff_ms, reconnect_backoff_max_ms;
    int64_t retry_backoff_ms, retry_backoff_max_ms;
    int64_t socket_connection_setup_timeout_ms, socket_connection_setup_timeout_max_ms;
    int32_t send_buffer_bytes, receive_buffer_bytes; /* -1: the system's own choice */
    int32_t default_api_timeout_ms;
    int32_t frame_max_bytes;
    int32_t log_level;
    char *debug;         /* as written; debug_mask is what it means */
    uint32_t debug_mask; /* enum ferry_debug; filled by freeze */
    int64_t statistics_interval_ms;
    bool io_thread;
    /* producer */
    bool enable_idempotence;
    int32_t max_in_flight;
    int64_t linger_ms;
    int32_t batch_size;
    int64_t buffer_memory;
    int64_t max_block_ms;
    int32_t retries;
    int32_t max_request_size;
    int64_t buffer_records; /* 0: bytes alone limit */
    int32_t batch_records;  /* 0: bytes alone limit */
    int64_t sticky_linger_ms;
    /* consumer */
    char *group_id;          /* NULL = none */
    char *group_instance_id; /* NULL = dynamic member */
    int32_t group_protocol;
    int32_t session_timeout_ms;
    int32_t heartbeat_interval_ms;
    int32_t max_poll_interval_ms;
    int32_t max_poll_records;
    bool enable_auto_commit;
    int32_t auto_commit_interval_ms;
    bool auto_offset_store;
    char
        *partition_assignment_strategy; /* "range,cooperative-sticky": parsed by the group module */
    int32_t fetch_min_bytes;
    int32_t fetch_max_wait_ms;
    int32_t fetch_max_bytes;
    int32_t max_partition_fetch_bytes;
    bool check_crcs;
    int32_t isolation_level; /* 0 read_uncommitted, 1 read_committed: as on the wire */
    bool allow_auto_create_topics;
    bool partition_eof;
    int64_t queued_max_bytes;
    /* the default of every topic */
    struct ferry_topic_settings topic;
};

enum { FERRY_SETTINGS_SET_WORDS = 2 }; /* a bit for each row of the table */

struct ferry_config {
    struct ferry_settings settings;
    uint64_t set[FERRY_SETTINGS_SET_WORDS];
    struct ferry_map topics; /* name -> struct ferry_config: only its topic rows count */
    bool frozen;
    void *
        hooks; /* a copy of the application's struct ferry_hooks, which only a driver knows; NULL: none */
    size_t hooks_size;
};

/* The table, of struct ferry_settings; its rows from ferry_settings_first_topic_row on may be set
 * by topic. */
extern const struct ferry_option_table ferry_settings_table;
size_t ferry_settings_first_topic_row(void);

struct ferry_config *ferry_settings_new(void); /* defaults; NULL without memory */
struct ferry_config *ferry_settings_copy(const struct ferry_config *);
void ferry_settings_free(struct ferry_config *);
/* As ferry_config_set and ferry_config_set_topic. */
int ferry_settings_set(struct ferry_config *, const char *key, const char *value,
                       struct ferry_error *err);
int ferry_settings_set_topic(struct ferry_config *, const char *topic, const char *key,
                             const char *value, struct ferry_error *err);

/* Puts a copy of `size` bytes in place of the hooks; NULL: none. 0 or FERRY_E_NOMEM. */
int ferry_settings_set_hooks(struct ferry_config *, const void *hooks, size_t size);

/* Checks the whole and copies it deeply, with dependent defaults resolved. NULL with err filled. */
struct ferry_config *ferry_settings_freeze(const struct ferry_config *, struct ferry_error *err);
/* A topic's settings in a frozen configuration; never NULL; lives as long as the configuration. */
const struct ferry_topic_settings *ferry_settings_topic(const struct ferry_config *,
                                                        struct ferry_str topic);
/* Whether somebody set the key explicitly. */
bool ferry_settings_was_set(const struct ferry_config *, const char *key);
/* What holds of a producer or a consumer only, on a frozen configuration: 0, or FERRY_E_CONFIG
 * naming keys and values. */
int ferry_settings_check_producer(const struct ferry_config *, struct ferry_error *err);
int ferry_settings_check_consumer(const struct ferry_config *, struct ferry_error *err);

/* "key=value" lines as Java's properties files have them: comments, continued lines, escapes. */
int ferry_settings_parse(struct ferry_config *, const char *text, size_t len,
                         struct ferry_error *err);
/* The reference page (docs/configuration.md). */
void ferry_settings_page(struct ferry_text *out);

#endif
