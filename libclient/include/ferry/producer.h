/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_PRODUCER_H
#define FERRY_PRODUCER_H
/*
 * Producing.
 *
 *   struct ferry_producer *p = ferry_producer_new(config, FERRY_REPORTS, &err);
 *   struct ferry_topic *t = ferry_producer_topic(p, "events", &err);
 *   ferry_send(t, -1, key, key_len, value, value_len, 0, FERRY_SEND_WAIT);
 *   while ((report = ferry_producer_poll(p, 100))) {
 *       ... ferry_report_info(report, &info): which records, at which offsets, or why not ...
 *       ferry_report_release(report);
 *   }
 *   ferry_producer_close(p, 10000, &err);
 *
 * A record is encoded by the calling thread straight into its partition's open batch; key, value and headers may be
 * changed or freed when the call returns. What becomes of it is told by a report, one for a batch: records of one
 * partition that were sent together and share one outcome. Every record that a send call accepted is in exactly one
 * report, also those that are purged, expire, or are left when the producer closes.
 *
 * A record takes its room (buffer.memory, ferry.buffer.records) until its report is released, or, without
 * FERRY_REPORTS, until its outcome is known. Whoever sends must therefore also see to it that reports are taken.
 *
 * Every function may be called from any thread, unless it says otherwise; those that wait give FERRY_E_STATE (or no
 * report) when they are called from a callback of this library. A report belongs to the one thread that took it. Errors
 * are 0 or enum ferry_err, below 0; where brokers decide, also their codes, above 0 (<ferry/kafka_errors.h>). `err` may
 * always be NULL; strings and settings passed in are copied.
 *
 * What governs it is in docs/configuration.md, by Kafka's keys. Where it is of the protocol: idempotence is KIP-98 with the
 * local epoch bump of KIP-360, delivery.timeout.ms KIP-91, the default partitioner KIP-794, too-large batches KIP-126,
 * headers KIP-82, leaders told in answers KIP-951, topic ids in requests KIP-516.
 *
 * With idempotence (the default) no record is in the log twice, and those of a partition keep their order. If a batch's
 * delivery.timeout.ms passes while nobody knows whether a broker has it, batches behind it that were already sent are sent
 * again under their own sequence numbers until a broker has them or their own time is over; later ones wait for that.
 */
#include <ferry/config.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ferry_handle;
struct ferry_queue;
struct ferry_delivery;

/** A producer, a topic as it sees it, and a report; all opaque. */
struct ferry_producer;
struct ferry_topic;
struct ferry_report;

/** What a producer keeps for its reports. Each costs memory for each record queued, so each is asked for. */
enum ferry_producer_flag {
    FERRY_REPORTS = 1,              /**< make reports; without it outcomes are only counted */
    FERRY_REPORT_COOKIES = 2,       /**< keep each record's cookie: 8 bytes */
    FERRY_REPORT_TIMES = 4,         /**< keep each record's send time, for latencies in µs: 8 bytes */
    FERRY_REPORT_RECORDS = 8,       /**< keep key, value and headers until the report is released even if the batch is
                                         compressed (uncompressed ones are kept anyway) */
    FERRY_REPORT_FAILURES_ONLY = 16,/**< no reports of batches that were persisted */
    FERRY_RECORD_EXPIRY = 32        /**< records may have an expiry of their own (struct ferry_outgoing): 8 bytes */
};

/* -- Life ------------------------------------------------------------------------------------------------- */

/** A producer with a copy of the configuration (NULL: defaults). flags: enum ferry_producer_flag. Does not wait for a
 *  broker. NULL with err filled if a setting is wrong (FERRY_E_CONFIG, FERRY_E_UNSUPPORTED), memory is short, or the
 *  system refuses a thread or a descriptor. To be freed with ferry_producer_free. */
FERRY_API struct ferry_producer *ferry_producer_new(const struct ferry_config *config, uint32_t flags,
                                                    struct ferry_error *err);
/** Sends what is queued and waits for the outcomes, at most timeout_ms (-1: as delivery.timeout.ms bounds them); then
 *  fails the rest with FERRY_E_CLOSED (possibly persisted where it was on the wire) and ends.
 *  Returns by the deadline whatever brokers do. 0, or FERRY_E_TIMED_OUT if records were failed so; reports can still
 *  be taken with ferry_producer_poll(p, 0). Sending is FERRY_E_CLOSED from the beginning of this call on. Closing what is
 *  closed is 0. */
FERRY_API int32_t ferry_producer_close(struct ferry_producer *producer, int32_t timeout_ms,
                                       struct ferry_error *err);
/** Frees it, its topics, and the reports not taken; those taken stay valid until released. Without a close before,
 *  what is queued is dropped. NULL is fine. No other thread may use the producer or its topics any more. */
FERRY_API void ferry_producer_free(struct ferry_producer *producer);
/** The client beneath: queues, statistics, logs, the loop without a thread. It is the producer's, and ends when that is
 *  closed: NULL from then on. */
FERRY_API struct ferry_handle *ferry_producer_handle(struct ferry_producer *producer);

/** A topic, with the settings that the configuration has for it (ferry_config_set_topic). The same name gives the same
 *  topic. It lives as long as the producer. Begins to ask for its metadata; does not wait. NULL with err filled:
 *  FERRY_E_INVALID (a name that is none), FERRY_E_CLOSED, FERRY_E_NOMEM. */
FERRY_API struct ferry_topic *ferry_producer_topic(struct ferry_producer *producer, const char *name,
                                                   struct ferry_error *err);
/** The same with other settings than the configuration's own: `settings` (copied) holds them in its defaults.
 *  FERRY_E_EXISTS if the topic is there already. Batches are grouped into requests by acks and request.timeout.ms. */
FERRY_API struct ferry_topic *ferry_producer_topic_with(struct ferry_producer *producer, const char *name,
                                                        const struct ferry_config *settings,
                                                        struct ferry_error *err);
/** Its name; lives as long as it. */
FERRY_API const char *ferry_topic_name(const struct ferry_topic *topic);
/** Its partitions; 0 while that is not known. */
FERRY_API int32_t ferry_topic_partition_count(const struct ferry_topic *topic);
/** 1 if the partition has a leader now, else 0. What a custom partitioner may ask. */
FERRY_API int32_t ferry_topic_available(const struct ferry_topic *topic, int32_t partition);
/** Waits until the partition count is known, at most timeout_ms (-1: without end): it, or FERRY_E_TIMED_OUT,
 *  FERRY_E_CLOSED, or FERRY_E_NOT_FOUND if brokers refuse the topic; err->code is then their code. */
FERRY_API int32_t ferry_topic_wait(struct ferry_topic *topic, int32_t timeout_ms, struct ferry_error *err);

/** Chooses a partition in [0, partition_count), or says -1: then the record is failed with FERRY_E_INVALID. Runs on the
 *  thread that sends, or, if the topic was not known at that time, on the thread that drives the client; it must be
 *  quick and may call nothing of this library but ferry_topic_available. key NULL is null. */
typedef int32_t (*ferry_partitioner)(void *opaque, const struct ferry_topic *topic, const void *key, int32_t key_len,
                                     int32_t partition_count);
/** Sets a topic's own partitioner; NULL takes it away. Before the first record is sent to it; FERRY_E_STATE afterwards.
 *  opaque stays the caller's, and must live as long as the producer. */
FERRY_API int32_t ferry_topic_set_partitioner(struct ferry_topic *topic, ferry_partitioner function, void *opaque,
                                              struct ferry_error *err);

/* -- Sending ---------------------------------------------------------------------------------------------- */

/** How a record is sent. */
enum ferry_send_flag {
    FERRY_SEND_WAIT = 1,     /**< when there is no room, wait for it, at most max.block.ms, then FERRY_E_QUEUE_FULL.
                                  Without it, and always where no thread runs the client, an error at once */
    FERRY_SEND_TIMESTAMP = 2 /**< the record has its own timestamp; without it the present time is used */
};

/** A header. 32 bytes. */
struct ferry_header {
    const char *name;
    const void *value; /**< NULL = null */
    int32_t name_len;  /**< -1: name is NUL-terminated */
    int32_t value_len; /**< -1 = null */
    int64_t reserved;  /**< 0 */
};

/** A record to be sent. Zero it first, then set what it has. 72 bytes. */
struct ferry_outgoing {
    const void *key;   /**< NULL = null */
    const void *value; /**< NULL = null */
    const struct ferry_header *headers;
    int32_t key_len;
    int32_t value_len;
    int32_t header_count;
    int32_t partition;  /**< -1: the partitioner chooses. (0 is partition 0.) */
    int64_t timestamp;  /**< ms since 1970; used with FERRY_SEND_TIMESTAMP */
    uint64_t cookie;    /**< comes back in the report, with FERRY_REPORT_COOKIES */
    int64_t expires_in; /**< ms from now until it must have been sent for the first time, else it fails with
                             FERRY_E_EXPIRED; beside delivery.timeout.ms; needs FERRY_RECORD_EXPIRY; 0 = none */
    uint32_t flags;     /**< enum ferry_send_flag */
    int32_t error;      /**< set by ferry_send_many: 0, or why this one was not accepted */
};

/** Which record of which batch: the report's own batch and index say the same. 16 bytes. */
struct ferry_receipt {
    uint64_t batch; /**< 0 where it is not known: the topic's partitions were not known yet */
    uint32_t index;
    int32_t partition; /**< as chosen; -1 if batch is 0 */
};

/** Sends one record. 0: accepted, and a report will tell. Errors, after which the record is not accepted:
 *  FERRY_E_QUEUE_FULL (no room), FERRY_E_TOO_LARGE (above max.request.size), FERRY_E_INVALID (no such partition, a
 *  negative length), FERRY_E_CLOSED, FERRY_E_FATAL, FERRY_E_NOMEM, or, above 0, a broker's code that refuses the topic.
 *  key or value NULL is null. Without FERRY_SEND_WAIT it never waits. */
FERRY_API int32_t ferry_send(struct ferry_topic *topic, int32_t partition, const void *key, int32_t key_len,
                             const void *value, int32_t value_len, uint64_t cookie, uint32_t flags);
/** The same with all that a record can have. receipt may be NULL. */
FERRY_API int32_t ferry_send_record(struct ferry_topic *topic, const struct ferry_outgoing *record,
                                    struct ferry_receipt *receipt, struct ferry_error *err);
/** Sends many in order, sets each one's error, and returns how many were accepted. */
FERRY_API int32_t ferry_send_many(struct ferry_topic *topic, struct ferry_outgoing *records, int32_t count);

/** Sends what is queued without waiting for linger.ms and waits until the outcome of every record sent before the call is
 *  known, at most timeout_ms (-1: without end). Reports are not taken by it. 0 (also if the producer is closed),
 *  FERRY_E_TIMED_OUT, FERRY_E_NOMEM. */
FERRY_API int32_t ferry_producer_flush(struct ferry_producer *producer, int32_t timeout_ms, struct ferry_error *err);

enum ferry_purge { FERRY_PURGE_QUEUE = 1, FERRY_PURGE_IN_FLIGHT = 2 };
/** Fails records with FERRY_E_PURGED: those still queued, those on the wire (possibly persisted), or both. what: of enum
 *  ferry_purge. Does not wait; their reports tell. 0, FERRY_E_INVALID, FERRY_E_NOMEM. */
FERRY_API int32_t ferry_producer_purge(struct ferry_producer *producer, uint32_t what, struct ferry_error *err);

/** What a producer holds and did; all since it was made, unless said otherwise. */
struct ferry_producer_counters {
    int64_t records_queued;  /**< now: accepted, outcome not known */
    int64_t records_held;    /**< now: accepted, report not released */
    int64_t memory_used;     /**< now: bytes of buffer.memory */
    int64_t records_sent;    /**< accepted */
    int64_t records_acked;   /**< persisted */
    int64_t records_failed;
    int64_t batches_sent;    /**< tries included */
    int64_t bytes_sent;      /**< of batches, as they went out */
    int64_t retries;         /**< batches sent again */
    int64_t splits;          /**< batches cut because they were too large */
    int64_t epoch_bumps;
};
/** Fills *out. Any thread. */
/** Fills out. A look at each partition: not for every record. Not after the producer is freed. */
FERRY_API void ferry_producer_counters(const struct ferry_producer *producer, struct ferry_producer_counters *out);

/* -- Reports ---------------------------------------------------------------------------------------------- */

/** What is known of a batch's fate. */
enum ferry_outcome {
    FERRY_NOT_PERSISTED = 0,     /**< certainly not in the log */
    FERRY_POSSIBLY_PERSISTED = 1,/**< it may be, or may yet come to be, once */
    FERRY_PERSISTED = 2          /**< it is, as acks asked */
};

/** A report's batch. */
struct ferry_report_info {
    const char *topic;       /**< lives as long as the producer */
    const char *text;        /**< why it failed; "" if it did not. Lives as long as the report */
    int64_t base_offset;     /**< of its first record; -1 if not known (acks=0, a duplicate, a failure) */
    int64_t log_append_time; /**< ms; -1 unless the topic stamps with LogAppendTime */
    int64_t latency_us;      /**< from the batch's first record to its outcome */
    uint64_t batch;          /**< as in struct ferry_receipt */
    int32_t partition;       /**< -1: the topic's partitions never became known */
    int32_t count;           /**< records */
    int32_t error;           /**< 0, or enum ferry_err, or a broker's code */
    int32_t outcome;         /**< enum ferry_outcome */
    int32_t broker;          /**< node that answered; -1 */
    int32_t tries;           /**< how often it was sent */
};

/** A report's record. Pointers live until the report is released; records of a compressed batch have keys, values and
 *  headers only with FERRY_REPORT_RECORDS (else NULL with length -1). */
struct ferry_reported {
    const void *key;      /**< NULL = null */
    const void *value;    /**< NULL = null */
    const void *headers;  /**< encoded: read with ferry_reported_header */
    int32_t key_len;      /**< -1 = null */
    int32_t value_len;    /**< -1 = null */
    int32_t headers_len;
    int32_t header_count;
    int64_t offset;       /**< -1 if not known */
    int64_t timestamp;    /**< ms */
    uint64_t cookie;      /**< 0 without FERRY_REPORT_COOKIES */
    int64_t latency_us;   /**< from its send to its outcome; -1 without FERRY_REPORT_TIMES */
    struct ferry_receipt receipt;
};

/** The next report, waiting for one up to timeout_ms (0: not at all, -1: without end). NULL if there is none. A thread
 *  that waits here drives the client itself. */
FERRY_API struct ferry_report *ferry_producer_poll(struct ferry_producer *producer, int32_t timeout_ms);
/** The queue that reports wait in, for programs with an event loop (see <ferry/queue.h>): it can be forwarded, measured in
 *  records, and can wake a descriptor. It is the producer's own, and lives as long. */
FERRY_API struct ferry_queue *ferry_producer_queue(struct ferry_producer *producer);
/** The report of a FERRY_DELIVERY_REPORT that was taken from a queue; to be released as one from ferry_producer_poll. NULL
 *  for another kind. */
FERRY_API struct ferry_report *ferry_delivery_report(struct ferry_delivery *delivery);
/** Fills in what the report says; out->text lives as long as the report. */
FERRY_API void ferry_report_info(const struct ferry_report *report, struct ferry_report_info *out);
/** Its next records, at most max, so that a report can be read in parts. Returns how many; 0 at the end. What they point to
 *  lives as long as the report. */
FERRY_API int32_t ferry_report_next(struct ferry_report *report, struct ferry_reported *out, int32_t max);
/** The cookies of its next records, at most max: quicker where nothing else is wanted. 0 at the end. */
FERRY_API int32_t ferry_report_cookies(struct ferry_report *report, uint64_t *out, int32_t max);
/** Begins again with its first record. */
FERRY_API void ferry_report_rewind(struct ferry_report *report);
/** The next header of a record. *at starts as 0 and is moved on. 1, 0 after the last, FERRY_E_INVALID. */
FERRY_API int32_t ferry_reported_header(const struct ferry_reported *record, int32_t *at, struct ferry_header *out);
/** Frees the report and gives its room back. NULL is fine. Any thread. */
FERRY_API void ferry_report_release(struct ferry_report *report);

#ifdef __cplusplus
}
#endif
#endif
