/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_RECOVER_H
#define REFBROKER_LOG_RECOVER_H
/* An opening under way: recover.c finds out what there is, rescan.c reads what must be read.
 * Private to the log. */
#include "refbroker/log/internal.h"

struct log_found_segment {
    int64_t base;
    uint64_t size, offsets_size, times_size;
    bool has_log, has_offsets, has_times;
};

struct log_opening {
    struct log *log;
    void (*done)(struct log *, int error);
    struct log_op op;
    struct log_load load;
    struct log_file small; /* partition.metadata being written */
    char *text;            /* of it, or a path */
    char *path;

    /* the listing, ascending */
    struct log_found_segment *found;
    size_t found_count, found_cap;
    int64_t *snapshots;
    size_t snapshot_count, snapshot_cap, snapshot_at;
    bool has_metadata, has_epochs, clean, first;
    bool index_missing;

    /* what the log will be made of */
    struct log_segment **segments;
    size_t count, cap;
    struct log_epochs epochs;
    struct log_producers producers, behind;
    int64_t snapshot_offset; /* -1: none */
    int64_t snapshot_limit;  /* snapshots above it are not believed */
    bool use_behind, merged;

    /* the scan */
    size_t first_scanned, at;
    uint64_t position;  /* of what stands at data[0] */
    int64_t want;       /* offset from which on something is to be learned */
    int64_t check_from; /* offset from which on checksums are verified */
    int64_t expected;   /* least next offset */
    int64_t
        floor_last; /* last offset of the batch that an index entry promised; -1: none promised */
    uint64_t note_from; /* batches from this position on are noted in the indexes */
    uint8_t *data;
    size_t data_cap, data_len;
    uint64_t data_wanted;
    struct log_index *index; /* being loaded */
    uint64_t index_from;
    bool index_whole, epochs_grew;

    /* what must be put right on disk before the log is used */
    size_t fix_at;
    uint32_t fix_step;
    bool cut, restart;
};

void log_rescan_begin(struct log_opening *);
/* The log of `o` is ready (or not). Frees o. */
void log_recover_end(struct log_opening *, int error);
/* Begins anew with the same opening: what was learned is dropped. */
void log_recover_again(struct log_opening *);
void log_recover_install(struct log_opening *);

#endif
