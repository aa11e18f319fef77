/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_INDEX_H
#define REFBROKER_LOG_INDEX_H
/*
 * One index file of a segment: .index (relative offset, position; 8 bytes an entry) or .timeindex
 * (time, relative offset; 12 bytes). Entries are collected in memory and written some dozens at a
 * time; what is not written yet is found in `flight` and `tail`. An index is a help only: an entry
 * that is lost costs a longer scan, so a failed write is put back and tried again later.
 */
#include "refbroker/log/files.h"

enum {
    LOG_INDEX_OFFSET_ENTRY = 8,
    LOG_INDEX_TIME_ENTRY = 12,
    LOG_INDEX_WRITE = 512,
    LOG_INDEX_PAGE = 4096
};

struct log_segment;

struct log_index {
    struct log_file file;
    uint64_t synced;        /* bytes that are on disk */
    uint64_t size;          /* bytes in the file that are known to be good */
    uint8_t *tail, *flight; /* entries not written yet; being written */
    size_t tail_len, tail_cap, flight_len, flight_cap;
    uint8_t last[LOG_INDEX_TIME_ENTRY]; /* newest entry, if has_last */
    uint8_t entry;                      /* bytes of one */
    bool has_last, writing;
    bool paused;  /* nothing is written for now */
    bool suspect; /* an entry led nowhere: not used any more, built anew at the next opening */
    struct log_op op;
    struct log_segment *segment;            /* its owner's */
    void (*on_written)(struct log_index *); /* after each write that ends, well or not */
};

static inline uint64_t log_index_count(const struct log_index *x)
{
    return (x->size + x->flight_len + x->tail_len) / x->entry;
}

static inline int32_t log_index_first32(const uint8_t *entry)
{
    return (int32_t)ferry_get32(entry);
}

int log_index_init(struct log_index *, struct log_files *, const char *path, uint8_t entry,
                   uint32_t flags);
/* No write may be under way, except when the engine is torn down. */
void log_index_free(struct log_index *);
/* Appends an entry; writes begin by themselves. Lost memory loses the entry, no more. */
void log_index_add(struct log_index *, const uint8_t *entry);
/* Begins to write what is collected. */
void log_index_flush(struct log_index *);
static inline bool log_index_flushed(const struct log_index *x)
{
    return !x->writing && x->tail_len == 0;
}
/* Entry i of the collected part (i counts from the file's beginning); NULL if it is in the file. */
const uint8_t *log_index_recent(const struct log_index *, uint64_t i);

#endif
