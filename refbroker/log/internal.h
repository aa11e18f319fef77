/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_INTERNAL_H
#define REFBROKER_LOG_INTERNAL_H
/*
 * What the files of a partition's log share. Where what lives:
 *
 *   log.c      life of a log, the pump that decides what runs next
 *   append.c   checks, offsets, writes, what a failed write leads to
 *   flush.c    syncs, recovery points, snapshots, epoch checkpoint
 *   recover.c  opening: listing, scan, rebuilding; also after truncation
 *   seek.c     finding a batch by offset, position or time; reads and lookups
 *   scan.c     batches into memory
 *   cut.c      truncation, DeleteRecords, retention, deletion
 *   unlink.c   names on their way out
 *   recode.c   batches under the topic's compression.type
 *   segment.c  segments and their entries in the indexes
 *   dir.c      the data directory and its checkpoints
 *
 * Invariants of struct log_private:
 *  1. segments is never empty once the log was opened, ascending in base; the last one is active.
 * Only it grows.
 *  2. next (assigned) >= end (written) >= flushed >= recovery_point. Appends between end and next
 * are in `inflight`, in order. end moves only along inflight, so what is below it is in the files
 * without gap.
 *  3. producers and epochs describe everything below next. A failed write makes them wrong: the log
 * is then cut back and opened again in place (recover.c) before anything else is appended.
 *  4. At most one task runs, alone: no append, sync, save or index write is under way while it
 * does. Appends that come while a task runs or waits stand in `queued`.
 *  5. A segment that is not in segments any more lives on, `doomed`, as long as something pins it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "record/compress.h"
#include "refbroker/log/epochs.h"
#include "refbroker/log/index.h"
#include "refbroker/log/log.h"
#include "refbroker/log/producers.h"

enum {
    LOG_CHECKPOINT_BYTES =
        16 << 20, /* appended between two recovery points: bounds the scan after a crash */
    LOG_SCAN_CHUNK = 256 << 10,
    LOG_NEAR = 64,          /* batch boundaries whose position is remembered */
    LOG_SEEK_BUFFER = 8192, /* enough to pass one index interval of usual batches */
    LOG_BEHIND_SNAPSHOT =
        16 << 20, /* read behind a snapshot that holds less than five batches of a producer */
    LOG_PATH = 400
};

/* What the data directory's checkpoints say of one partition. */
struct log_marks {
    char *topic;
    int32_t partition;
    bool found;                                    /* its directory was listed at the start */
    int64_t recovery_point, high_watermark, start; /* -1: not stated */
};

struct log_segment {
    struct log *log; /* NULL once doomed */
    struct log_dir *dir;
    struct ferry_link link; /* in dir->private->doomed */
    int64_t base;
    uint64_t size;    /* assigned bytes */
    uint64_t written; /* readable bytes */
    struct log_file file;
    struct log_index offsets, times;
    int64_t max_timestamp,
        max_timestamp_last;  /* largest, and the last offset of the first batch that has it */
    int64_t first_timestamp; /* of its first batch; -1: none, or not known */
    /* Wall time when it was made, or found at the start, and when it was last appended to: its age where its records
     * have no timestamps. */
    int64_t made_at, touched_at;
    uint64_t since_index; /* bytes appended after the newest index entry */
    uint32_t pins;
    bool times_known;  /* max_timestamp is right; else it is to be read from the time index */
    bool times_wanted; /* a seek is reading it for retention; one is enough */
    bool held;         /* file is pinned open: the active segment, until it is flushed */
    bool named;        /* its names survive a crash */
    bool indexes_synced, index_named, doomed;
};

struct log_near {
    struct log_segment *segment;
    int64_t offset;
    uint64_t position;
};

enum log_flush_stage {
    LOG_FLUSH_IDLE,
    LOG_FLUSH_DATA,
    LOG_FLUSH_NAMES,
    LOG_FLUSH_ROOT,
    LOG_FLUSH_OFFSETS,
    LOG_FLUSH_TIMES,
    LOG_FLUSH_INDEX_NAMES
};
enum log_checkpoint_state { LOG_CHECKPOINT_IDLE, LOG_CHECKPOINT_WAITING, LOG_CHECKPOINT_SAVING };

struct log_private {
    char *path; /* topic-partition */
    struct log_marks *marks;
    struct log_segment **segments;
    size_t count, cap;
    int64_t next, recovery_point;
    struct ferry_link inflight, queued, waiting; /* of struct log_append */
    struct ferry_link flushes;                   /* of struct log_request */
    struct ferry_link tasks;                     /* of struct log_request, waiting to run alone */
    struct ferry_link ended; /* of struct log_request, told by the next settle */
    struct log_request *task, *closer;
    struct log_opening *opening;
    struct ferry_link seeks;
    struct log *log;
    struct log_op later;
    uint32_t refs; /* things under way that name the log; it is freed at 0 once it is gone */
    bool gone, closing, broken, repairing, pumping, pump_again, later_set;

    struct log_producers producers;
    struct log_epochs epochs;
    bool epochs_dirty, epochs_saving;
    ferry_nsec epochs_retry;
    struct log_save epochs_save;

    enum log_flush_stage flush_stage;
    struct log_op flush_op;
    struct log_segment *flush_segment;
    int64_t flush_target, flush_goal;
    int64_t unflushed_records;
    ferry_nsec dirty_since; /* FERRY_NEVER: nothing is unflushed */
    bool root_named;

    bool flush_by_mark;  /* the index files are synced for a checkpoint, not as a whole */
    uint64_t flush_size; /* of the index file being synced */

    enum log_checkpoint_state checkpoint_state;
    struct log_segment
        *mark_segment; /* active when the checkpoint was taken, with so much in its index files */
    uint64_t mark_offsets, mark_times;
    bool index_tried;
    uint64_t checkpoint_bytes; /* appended since the last one */
    int64_t checkpoint_offset;
    uint8_t *checkpoint_data;
    size_t checkpoint_len;
    struct log_save checkpoint_save;
    int64_t *snapshots; /* offsets of .snapshot files, ascending */
    size_t snapshot_count, snapshot_cap;

    struct log_near *near; /* LOG_NEAR of them, made with the first */
    struct {
        struct log_segment *segment;
        uint64_t first; /* entry */
        uint32_t count;
        uint8_t *data;
    } page; /* the offset index page used last */
    struct log_request repair;
    struct log_expected {
        int64_t producer_id;
        int32_t sequence;
        int16_t epoch;
    } * expected; /* batches whose write failed, until the repair is done */
    size_t expected_count, expected_cap;
    struct log_request
        start_mark; /* log start being made durable for start_marking; start_waiting come after */
    struct ferry_link start_marking, start_waiting;
    bool start_marked, start_again, retain_wanted, deleting;
    struct ferry_link unlinking; /* names on their way out */
    struct ferry_link set_aside; /* files renamed to .deleted, until they are due */
    struct log_cutting *cutting;
    struct log_request dir_close;
};

struct log_dir_private {
    struct log_dir *dir;
    struct ferry_map marks;   /* "topic-partition" -> struct log_marks */
    struct ferry_link doomed; /* segments */
    struct ferry_link gone; /* logs that are closed or deleted, and named by something under way */
    struct ferry_link removals;
    struct ferry_codecs *codecs; /* made when first needed */
    size_t recoded_bytes;        /* of batches compressed anew that are not written yet */
    struct log_seek *spare_seek;
    struct log_dir_checkpoint *checkpoints; /* LOG_MARK_COUNT of them */
    struct log_dir_opening *opening;
    ferry_nsec next_retention, next_watermarks, retention_every, watermarks_every;
    ferry_nsec logs_due; /* no log wants a tick before */
    bool watermarks_dirty;

    /* a clean stop */
    struct log_request *closer;
    struct log_request mark;
    struct log_save marker;
    struct log_op later;
    int closing_mark;
    bool closing, unclean, logs_closed;
};

/* ---- log.c ---- */
void log_pump(struct log *);
/* The pump, from the next settle. */
void log_later(struct log *);
void log_hold(struct log *);
/* May free the log. */
void log_drop(struct log *);
/* No append, sync, save or index write is under way. */
bool log_is_quiet(const struct log *);
void log_enqueue_task(struct log *, struct log_request *);
/* The same, begun by the next settle. */
void log_enqueue_task_later(struct log *, struct log_request *);
/* done(request, error) from the next settle. */
void log_end_request_later(struct log *, struct log_request *, int error);
/* The running task is over; its done is called. */
void log_task_end(struct log *, int error);
/* end or flushed changed: owner first, then appends that wait for it. */
void log_moved(struct log *);
void log_fail_appends(struct log *, int error);
/* Time passes: flush.ms, retries, producers to forget, retention where asked for. */
void log_tick(struct log *, bool retain);
/* What the log waits for has changed: the directory's deadline may come sooner. */
void log_note_due(struct log *);
/* Frees it with all that is under way. */
void log_teardown(struct log *);
void log_say(struct log *, enum log_level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- append.c ---- */
/* A new active segment; the old one's producer state becomes a checkpoint. 0 or FERRY_E_NOMEM. */
int log_roll(struct log *);
void log_append_run_queue(struct log *);
void log_append_finish(struct log_append *, int error);
/* Appends that wait for an end that is gone fail. */
void log_append_fail_beyond(struct log *);
/* Appends that wait for a stable end get their answer. */
void log_append_release(struct log *);

/* Records of b as plain bytes; *expanded is to be unreferenced where it was set. */
int log_plain_records(struct log *, const struct ferry_batch *b, struct ferry_bytes *records,
                      struct ferry_slab **expanded, struct ferry_error *err);

/* ---- recode.c ---- */
/* Did it come under another codec than the topic's? */
bool log_recode_wanted(const struct log *, const struct ferry_batch *);
/* Compresses a checked batch anew; the append then holds the new bytes, *b is what they say. 0, or the error with its text
 * in the append. */
int log_recode(struct log *, struct log_append *, struct ferry_batch *b);

/* ---- segment.c ---- */
struct log_segment *log_segment_new(struct log *, int64_t base, bool create);
/* Takes it out of use; freed when nothing pins it. */
void log_segment_doom(struct log_segment *);
/* At once, whatever pins it: teardown only. */
void log_segment_destroy(struct log_segment *);
/* Keeps the struct, not the open file: while a read inside the log looks around in it. */
void log_segment_pin(struct log_segment *);
void log_segment_unpin(struct log_segment *);
static inline struct log_segment *log_active(const struct log *l)
{
    return l->private->segments[l->private->count - 1];
}
/* Index of the segment that holds offset: the last with base <= offset; 0 below the first. */
size_t log_segment_find(const struct log *, int64_t offset);
/* Offset after the segment's last possible record. */
int64_t log_segment_end(const struct log *, size_t i);
int log_segment_push(struct log *, struct log_segment *);
/* A batch of `size` bytes begins at `position`: index entries, timestamps. */
void log_segment_note(struct log_segment *, const struct ferry_batch *, uint64_t position);
/* The closing entry of the time index. */
void log_segment_seal(struct log_segment *);
/* True if a batch with this last offset and size must go to a new segment. */
bool log_segment_full(const struct log_segment *, int64_t last_offset, size_t size,
                      int64_t timestamp, int64_t now);
void log_segment_path(const struct log *, int64_t base, const char *suffix, char out[LOG_PATH]);

void log_near_put(struct log *, struct log_segment *, int64_t offset, uint64_t position);
bool log_near_get(const struct log *, const struct log_segment *, int64_t offset,
                  uint64_t *position);
void log_near_clear(struct log *);

/* ---- flush.c ---- */
void log_flush_pump(struct log *);
/* Takes the producer state of this moment: it becomes a snapshot and a recovery point once flushed.
 */
void log_checkpoint_take(struct log *);
void log_checkpoint_cancel(struct log *);
void log_snapshots_drop(struct log *, int64_t below, int64_t above);
int log_snapshot_note(struct log *, int64_t offset);
/* The log is closing: everything is flushed, a last checkpoint taken. */
void log_flush_for_close(struct log *);

/* ---- recover.c ---- */
/* Opens (again). done(l, error) when segments, producers, epochs and ends are set. */
void log_recover(struct log *, int64_t snapshot_limit, void (*done)(struct log *, int error));
void log_recover_free(struct log *); /* teardown */

/* ---- cut.c ---- */
void log_task_run(struct log *);
/* Cuts back to the first append that failed. */
void log_repair(struct log *);
/* Retention, one segment after the other. */
void log_retain(struct log *);
/* Removes segments below start. */
void log_drop_old(struct log *);
/* Teardown: what is under way here. */
void log_cut_free(struct log *);

/* ---- unlink.c ---- */
/* Unlinks a name of this log in the background. */
void log_unlink(struct log *, const char *path);
/* The same after file.delete.delay.ms; until then it is called .deleted. */
void log_set_aside(struct log *, const char *path);
/* Files whose time is over go; when the next one is due. */
void log_unlink_due(struct log *);
ferry_nsec log_unlink_deadline(const struct log *);
void log_unlink_free(struct log *); /* teardown */

/* ---- seek.c ---- */
struct log_seek_header {
    int64_t base_offset, last_offset, max_timestamp;
    uint64_t size;
    int32_t leader_epoch;
};
/* What the first bytes of a batch say. False: fewer than 61 (or the legacy 34) bytes, or nonsense.
 */
bool log_seek_peek(const uint8_t *data, size_t len, struct log_seek_header *out);
void log_seek_drop_all(struct log *);           /* teardown */
void log_seek_end_all(struct log *, int error); /* every read, lookup and scan ends */
/* Reads the largest timestamp of a segment that was not appended to since the start; the pump runs
 * then. */
int log_segment_load_times(struct log_segment *);

/* ---- dir.c ---- */
struct log_marks *log_dir_marks(struct log_dir *, const char *topic, int32_t partition, bool make);
void log_dir_forget_marks(struct log_dir *, struct log_marks *);
enum log_mark { LOG_MARK_RECOVERY, LOG_MARK_WATERMARK, LOG_MARK_START, LOG_MARK_COUNT };
/* The checkpoint is to be written; request (may be NULL) ends when what it says now is on disk. */
void log_dir_mark(struct log_dir *, enum log_mark, struct log_request *);
void log_dir_go_offline(struct log_dir *, const char *why);
struct ferry_codecs *log_dir_codecs(struct log_dir *); /* NULL without memory */
void log_dir_log_closed(struct log_dir *);
/* Removes a directory and the files in it in the background. */
void log_dir_remove(struct log_dir *, const char *path);

#endif
