/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_FETCHER_BUFFER_H
#define CLIENT_FETCHER_BUFFER_H
/*
 * A fetched buffer: what one Fetch answer held for one partition, walked in place. Nothing is
 * copied; compressed batches are expanded into memory that belongs to the buffer, on the thread
 * that walks it.
 *
 * Made by the fetcher, handed to the application, freed with its last reference on any thread. Its
 * window [from, upto) and the aborted transactions say what of the bytes is seen.
 */
#include "client/client.h"
#include "record/batch.h"
#include "record/compress.h"
#include "ferry/consumer.h"

#include <stdatomic.h>

struct ferry_consumer_part;
struct ferry_consumer_shared;

/* A transaction that was aborted: records of the producer from `first` on, up to its abort marker,
 * are not seen. */
struct ferry_fetched_aborted {
    int64_t producer_id, first;
    bool active;
};

struct ferry_fetched {
    struct ferry_delivery delivery;
    _Atomic uint32_t refs;
    _Atomic uint32_t epoch;           /* the partition's when it was asked for */
    struct ferry_consumer_part *part; /* a reference */
    struct ferry_consumer_shared *shared;
    void *consumer; /* api's, for ferry_fetched_release */
    struct ferry_slab *frame;
    struct ferry_bytes bytes; /* whole batches */
    int64_t from, upto;
    bool check_crc, read_committed;
    size_t expand_limit; /* most bytes that one batch may expand to */

    /* The walk. */
    struct ferry_batch_set set;
    struct ferry_batch batch;
    struct ferry_batch_iter iter;
    bool have_batch, in_batch, ended;
    int64_t next; /* offset at which the walk goes on */
    int32_t next_leader_epoch;
    struct ferry_slab **expanded; /* of each compressed batch so far */
    size_t expanded_count, expanded_cap;
    size_t expanded_bytes;

    /* App half. */
    struct ferry_link app_link;   /* the part's outstanding buffers, in order */
    struct ferry_link spent_link; /* those that the last poll touched or used up */
    bool taken;                   /* counted as taken; in outstanding */
    bool handed;                  /* given out whole (ferry_consumer_fetch) */
    bool stuck;                   /* stands at an error that was told */
    bool used_up;                 /* nothing is left in it */
    bool released;                /* all of it is processed */
    _Atomic uint32_t users;       /* references that the application holds */
    int64_t processed;            /* offset up to which the application is done */

    size_t aborted_count;
    struct ferry_fetched_aborted aborted[];
};

/* Takes references of part, shared and frame (NULL: none, for a buffer that only moves the position). refs is 1; from, upto
   and the limits are the caller's to fill. NULL without memory. */
struct ferry_fetched *ferry_fetcher_buffer_new(struct ferry_consumer_part *,
                                               struct ferry_consumer_shared *,
                                               struct ferry_slab *frame, struct ferry_bytes bytes,
                                               size_t aborted_count);
void ferry_fetcher_buffer_unref(struct ferry_fetched *);

/* Fills at most max records; returns how many. 0: the end, `next` is then upto. Negative: the batch
   at `next` cannot be read; err says why and where, and the same error comes again until skip. Does not look
   at epochs. */
int32_t ferry_fetcher_buffer_next(struct ferry_fetched *, struct ferry_message *out, int32_t max,
                                  struct ferry_error *);
/* Goes on behind the batch at which an error stands. */
void ferry_fetcher_buffer_skip(struct ferry_fetched *);
/* Frees its bytes, if nobody but the caller holds the buffer; then it has no more records. */
void ferry_fetcher_buffer_empty(struct ferry_fetched *);
/* Ends it where the walk stands. */
void ferry_fetcher_buffer_cut(struct ferry_fetched *);
/* Frees what batches already walked were expanded to, if nobody but the caller holds the buffer. */
void ferry_fetcher_buffer_trim(struct ferry_fetched *);

#endif
