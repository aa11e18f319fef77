/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_LOG_H
#define REFBROKER_LOG_LOG_H
/*
 * A partition's log in Kafka's on-disk format, as a pure state machine over file actions; and the
 * data directory that holds the logs.
 *
 * Three ends, from the first landing on:
 *   end             offset after the last record that is written (readable by a replica)
 *   flushed         offset up to which everything is on disk: survives a power loss
 *   high_watermark  set by the node; clients see only what is below it
 * start <= high_watermark <= end, flushed <= end. log_stable_end() is what this replica contributes
 * to the high watermark: flushed where the flush policy is 1, else end.
 *
 * Everything runs on the engine's thread. Functions named on_ and done are called from
 * log_files_done or log_files_settle, never from within the call they belong to, except where that
 * is said. They may call anything here.
 *
 * Errors are Kafka's positive codes where a client is to see them (ferry/kafka_errors numbers),
 * else enum ferry_err.
 */
#include "base/map.h"
#include "refbroker/log/settings.h"
#include "refbroker/log/files.h"
#include "record/batch.h"

struct log;
struct log_segment;

/* The protocol's error codes that a log gives. */
enum log_error {
    LOG_UNKNOWN_SERVER_ERROR = -1,
    LOG_OFFSET_OUT_OF_RANGE = 1,
    LOG_CORRUPT_MESSAGE = 2,
    LOG_MESSAGE_TOO_LARGE = 10,
    LOG_RECORD_LIST_TOO_LARGE = 18,
    LOG_INVALID_TIMESTAMP = 32,
    LOG_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43,
    LOG_OUT_OF_ORDER_SEQUENCE = 45,
    LOG_INVALID_PRODUCER_EPOCH = 47,
    LOG_STORAGE_ERROR = 56,
    LOG_UNSUPPORTED_COMPRESSION_TYPE = 76,
    LOG_INVALID_RECORD = 87
};

/* ---- the data directory ---- */

struct log_dir {
    struct log_files *files;
    struct ferry_link logs; /* of struct log */
    bool was_clean;         /* the last stop was clean: nothing is scanned */
    bool offline;           /* a sync failed: nothing is written any more until restart */
    /* After a failed sync, once. The node stops leading every partition here; appends answer
     * LOG_STORAGE_ERROR. */
    void (*on_offline)(struct log_dir *, const char *why);
    void *cookie;
    struct log_dir_private *private;
};

/* A request that ends once: done(request, error). Embedded in the caller's struct. */
struct log_request {
    void (*done)(struct log_request *, int error);
    struct ferry_link link; /* private */
    struct log *log;
    int64_t offset;
    uint32_t kind;
};

/* files outlives dir. 0 or FERRY_E_NOMEM. */
int log_dir_init(struct log_dir *, struct log_files *);
/* Reads the checkpoints and the clean-shutdown marker, removes that durably, removes directories
 * named "-delete". */
void log_dir_open(struct log_dir *, struct log_request *);
/* The partitions found by log_dir_open: start with *at = 0; false at the end. A log may be opened
 * that is not listed. */
struct log_found {
    struct ferry_str topic; /* borrowed from dir */
    int32_t partition;
};
bool log_dir_next_found(const struct log_dir *, size_t *at, struct log_found *);
/* When log_dir_tick wants to run next: retention, flush by time, checkpoints. Never sooner than a
 * second without need. */
ferry_nsec log_dir_deadline(const struct log_dir *);
void log_dir_tick(struct log_dir *);
/* log.retention.check.interval.ms and replica.high.watermark.checkpoint.interval.ms; else five
 * minutes, five seconds. */
void log_dir_schedule(struct log_dir *, ferry_msec retention_check_ms, ferry_msec watermark_ms);
/* A clean stop: every log is flushed and its producer state saved, checkpoints and the marker are
 * written. Appends made after this call fail. */
void log_dir_close(struct log_dir *, struct log_request *);
/* Frees all memory, logs included, without a further action. Appends under way are not answered; they must still be
 * there. */
void log_dir_free(struct log_dir *);

/* ---- a partition ---- */

struct log_owner {
    /* The log is ready, or (error) cannot be used; only log_free may follow then. */
    void (*on_open)(struct log *, void *cookie, int error);
    /* end or flushed moved, forward or (truncation, a failed write) back. Called before the done
     * functions of the appends it concerns, so that a high watermark set here is seen by them. */
    void (*on_moved)(struct log *, void *cookie);
};

struct log {
    struct ferry_link link;
    struct log_dir *dir;
    char *topic;
    int32_t partition;
    struct ferry_uuid topic_id;
    const struct log_owner *owner;
    void *cookie;
    struct log_config config; /* change it with log_configure */
    bool is_open;
    int64_t start, end, flushed, high_watermark; /* read only */
    uint64_t size;                               /* bytes of all segments' .log files */
    struct log_private *private;
};

/*
 * Opens <topic>-<partition>, making it where it is missing (partition.metadata gets topic_id). The
 * struct is there at once, usable after on_open(0). NULL without memory. config is copied.
 */
struct log *log_open(struct log_dir *, const char *topic, int32_t partition,
                     const struct ferry_uuid *topic_id, const struct log_config *config,
                     const struct log_owner *owner, void *cookie);
void log_configure(struct log *, const struct log_config *);
/* Flushes, saves and closes one log; the struct is freed when done has run. */
void log_close(struct log *, struct log_request *);
/* Renames the directory out of the way durably (done is called then), then removes it in the
 * background, pinned segments last. The struct is gone for the caller at once; what it had in
 * flight ends with LOG_STORAGE_ERROR. */
void log_delete(struct log *, struct log_request *);

static inline int64_t log_stable_end(const struct log *l)
{
    return l->config.flush_messages == 1 ? l->flushed : l->end;
}
/* Clamped to [start, end]; goes back only where the end did. Persisted to replication-offset-checkpoint now and then;
 * after log_open it is the persisted one. */
void log_set_high_watermark(struct log *, int64_t offset);

/* ---- append ---- */

enum log_append_flag {
    LOG_APPEND_INTERNAL = 1 /* the broker's own batch: control batches allowed, no client checks */
};

/*
 * An append, embedded in the caller's struct. The log keeps one reference of slab from the call
 * until done. done runs once: with 0 when a client may be told so as far as this replica is
 * concerned (written; where the flush policy is 1, flushed), and with the error otherwise, in which
 * case nothing of it is in the log. A duplicate of one of the producer's last five batches is
 * answered like its original (`duplicate`). It may be called from within the append call for what
 * fails or is answered at once.
 */
struct log_append {
    void (*done)(struct log_append *, int error);
    struct ferry_slab *slab;
    uint8_t *
        data; /* in slab: as leader one batch, offset and epoch get patched in, or (compression.type) another
                      batch takes its place; as follower whole batches */
    size_t len;
    uint32_t flags;

    /* Results; offsets are known to the caller when done runs. */
    int64_t base_offset, last_offset;
    int64_t append_time; /* where the topic stamps LogAppendTime, else -1 */
    bool duplicate;
    int32_t
        bad_index;  /* record index behind LOG_INVALID_RECORD or LOG_INVALID_TIMESTAMP, else -1 */
    char text[120]; /* the reason behind an error, for the response and the log; "" */

    struct log_append_private {
        struct ferry_link link;
        struct log *log;
        struct log_op op;
        struct log_segment *segment;
        struct ferry_slab *slab;
        uint64_t position;
        int64_t upto;
        int32_t epoch;
        int status;
        uint8_t state;
        bool as_leader;
    } private;
};

/* Assigns offsets and the leader epoch, and the time for LogAppendTime. */
void log_append_as_leader(struct log *, struct log_append *, int32_t leader_epoch);
/* Keeps offsets and epochs; offsets must follow the log's end. */
void log_append_as_follower(struct log *, struct log_append *);

/* ---- read ---- */

/*
 * A read for Fetch: a range of one segment file, beginning with the batch that holds `offset`, of
 * whole batches as far as max_bytes allows (at least one batch if min_one; else up to max_bytes,
 * the last batch possibly cut short), all below `upto`.
 */
struct log_read {
    int64_t offset, upto;
    uint64_t max_bytes;
    bool min_one;
    void (*done)(struct log_read *, int error);

    /* Results. length 0: nothing below upto, no segment is pinned. */
    struct log_segment *segment; /* pinned: log_unpin when the send is over (DRAINED or CLOSED) */
    struct ferry_id file;        /* for ferry_act_file_part */
    uint64_t position, length;

    struct log_seek *seek; /* private */
    struct log *log;
};
/* FERRY_OK or LOG_OFFSET_OUT_OF_RANGE at once, or FERRY_E_AGAIN: done follows. */
int log_read(struct log *, struct log_read *);
/* done will not be called. Only while it is waiting. */
void log_read_cancel(struct log_read *);
void log_unpin(struct log_segment *);

/* ListOffsets. */
enum { LOG_LATEST = -1, LOG_EARLIEST = -2, LOG_MAX_TIMESTAMP = -3, LOG_EARLIEST_LOCAL = -4 };
struct log_lookup {
    int64_t target; /* a time in ms, or one of the above */
    int64_t upto;   /* records at or after it do not count: high watermark or last stable offset */
    void (*done)(struct log_lookup *, int error);

    /* Results; offset -1: no such record. */
    int64_t offset, timestamp;
    int32_t leader_epoch; /* -1: unknown */

    struct log_seek *seek; /* private */
    struct log *log;
};
/* As log_read. */
int log_lookup(struct log *, struct log_lookup *);
void log_lookup_cancel(struct log_lookup *);

/*
 * Reads batches into memory, for coordinators and the metadata log: every batch from the one that
 * holds `from` to `upto`, in order. Memory is one chunk of 1 MiB, or a batch if that is larger.
 */
struct log_scan {
    int64_t from, upto;
    /* b is borrowed. Nonzero ends the scan with that error. */
    int (*on_batch)(struct log_scan *, const struct ferry_batch *b);
    void (*done)(struct log_scan *, int error);
    struct log_seek *seek; /* private */
    struct log *log;
};
/* done follows always. 0 or FERRY_E_NOMEM (then it does not). */
int log_scan(struct log *, struct log_scan *);
void log_scan_cancel(struct log_scan *);

/* ---- the rest: each ends with request->done ---- */

/* Everything that is written at this moment is on disk. */
void log_flush(struct log *, struct log_request *);
/* Follower: cuts the log so that it ends at `offset` or before, rolls back producer state and
 * epochs. */
void log_truncate_to(struct log *, struct log_request *, int64_t offset);
/* Follower: throws everything away and starts anew at `offset`. */
void log_truncate_all(struct log *, struct log_request *, int64_t offset);
/* DeleteRecords: start moves to `offset` (<= high_watermark, else LOG_OFFSET_OUT_OF_RANGE), durably
 * when done says so. */
void log_delete_before(struct log *, struct log_request *, int64_t offset);

/* OffsetForLeaderEpoch: the largest epoch <= `epoch` that is known, and where it ends; -1, -1 if
 * there is none. */
void log_end_offset_for_epoch(const struct log *, int32_t epoch, int32_t *found,
                              int64_t *end_offset);
/* Epoch of the last batch, -1 in a log without one. */
int32_t log_latest_epoch(const struct log *);
/* Epoch of the record at offset, -1 if unknown. */
int32_t log_epoch_at(const struct log *, int64_t offset);

#endif
