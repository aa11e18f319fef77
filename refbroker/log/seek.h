/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_SEEK_H
#define REFBROKER_LOG_SEEK_H
/* A search in a log's files (see seek.c). Private to the log. */
#include "refbroker/log/internal.h"

enum log_seek_key { LOG_KEY_OFFSET, LOG_KEY_POSITION, LOG_KEY_TIME };

struct log_seek {
    struct ferry_link link;
    struct log *log;
    struct log_segment *segment;
    struct log_op op;
    void *owner;
    void (*finish)(struct log_seek *, int error); /* NULL once ended or cancelled */
    void (*on_read)(struct log_seek *);
    void (*then)(struct log_seek *), (*after_locate)(struct log_seek *);
    uint64_t count; /* bytes that the last read gave */

    /* log_seek_floor */
    struct log_index *index;
    enum log_seek_key kind;
    int64_t key, floor_key, floor_offset;
    uint64_t floor_position, low_entry, high_entry, page;
    uint32_t guesses;
    bool has_floor;

    /* log_seek_walk */
    uint64_t position; /* of the batch found, or where the segment ends */
    uint64_t walk_at;  /* its place in buffer */
    int64_t target, target_time;
    struct log_seek_header header;
    bool trusted, walk_found, probing;

    /* the owner's own */
    size_t segment_index;
    int64_t best, upto, wanted, key_time;
    uint64_t start, end, cut, boundary, wanted_bytes;
    void (*after_times)(struct log_seek *);
    bool have_start, have_end, in_call, keep;
    int result;
    uint8_t *big;
    size_t big_cap, big_len;

    uint8_t buffer[LOG_SEEK_BUFFER]; /* last: not zeroed */
};

/* Holds the log. NULL without memory. */
struct log_seek *log_seek_new(struct log *);
/* Moves on to another segment, which is pinned instead of the last one. */
void log_seek_at(struct log_seek *, struct log_segment *);
/* Begins; FERRY_E_AGAIN unless it ended at once: then its result, and finish only noted it
 * (in_call). */
int log_seek_run(struct log_seek *, void (*begin)(struct log_seek *));
/* Ends from the next settle. */
void log_seek_end_later(struct log_seek *, int error);
/* Tells the owner (finish) and frees the seek. */
void log_seek_end(struct log_seek *, int error);
/* The owner is not told; the seek frees itself when its read is done. */
void log_seek_cancel(struct log_seek *);
void log_seek_free(struct log_seek *);

void log_seek_read(struct log_seek *, struct log_file *, uint64_t offset, void *buffer,
                   uint64_t length, void (*on_read)(struct log_seek *));
/* The segment's file is open when then runs. */
void log_seek_open(struct log_seek *, void (*then)(struct log_seek *));
/* The last index entry with key or less: has_floor, floor_offset, floor_position. then may run at
 * once. */
void log_seek_floor(struct log_seek *, enum log_seek_key, int64_t key,
                    void (*then)(struct log_seek *));
/* From a batch at position on: the first with last offset >= target and time >= target_time;
 * walk_found. position untrusted: an index said so. */
void log_seek_walk(struct log_seek *, uint64_t position, bool trusted, int64_t target,
                   int64_t target_time, void (*then)(struct log_seek *));
/* The batch at position, where an index said that there is one; walk_found says whether there is. */
void log_seek_probe(struct log_seek *, uint64_t position, void (*then)(struct log_seek *));
/* The offset index of the segment was wrong: it is not used any more. */
void log_seek_suspect(struct log_seek *);
/* The first batch with last offset >= target, from the index. */
void log_seek_locate(struct log_seek *, int64_t target, void (*then)(struct log_seek *));

#endif
