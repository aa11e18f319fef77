/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_SETTINGS_H
#define REFBROKER_LOG_SETTINGS_H
/* What a log reads of its topic's settings; names as Kafka's keys. The node fills it from its
 * tables. */
#include <stdbool.h>
#include <stdint.h>

enum { LOG_CODEC_PRODUCER = -1 }; /* batches are kept as they came */

struct log_config {
    int64_t segment_bytes;       /* segment.bytes */
    int64_t segment_ms;          /* segment.ms */
    int64_t segment_jitter_ms;   /* segment.jitter.ms */
    int64_t segment_index_bytes; /* segment.index.bytes */
    int64_t index_interval_bytes;
    int64_t retention_ms;    /* -1: no limit */
    int64_t retention_bytes; /* -1: no limit */
    int64_t flush_messages;  /* flush.messages: 1 = nobody sees what is not on disk */
    int64_t flush_ms;
    int64_t file_delete_delay_ms; /* how long a segment's files stay, as .deleted */
    int64_t max_message_bytes;
    int64_t timestamp_before_max_ms; /* message.timestamp.before.max.ms */
    int64_t timestamp_after_max_ms;
    int codec;                  /* compression.type: enum ferry_codec, or LOG_CODEC_PRODUCER */
    int codec_level;            /* compression.X.level of that codec */
    int64_t producer_expiry_ms; /* producer.id.expiration.ms */
    bool cleanup_delete;        /* cleanup.policy holds delete: retention may cut */
    bool cleanup_compact;       /* .. holds compact: records need keys */
    bool append_time;           /* message.timestamp.type=LogAppendTime */
    bool validate_deep;         /* refbroker.validate=deep: compressed batches are walked too */
};

/* Kafka's defaults. */
void log_config_defaults(struct log_config *);

#endif
