/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ACCUM_SEALED_H
#define ACCUM_SEALED_H
/*
 * A batch after it was sealed: its records walked, its header written, compressed, cut into smaller
 * ones, freed. One owner at a time. The records are our own encoding: they are walked without
 * distrust.
 */
#include "accum/accum.h"
#include "ferry/error.h"

struct ferry_codecs;

/* -- Walking -- */
struct ferry_sealed_iter {
    const struct ferry_accum_batch *batch;
    const struct ferry_chunk *chunk;
    const uint8_t *at;
    uint32_t index; /* of the record that comes next */
    uint32_t left;  /* records left in the chunk */
};

struct ferry_sealed_record {
    struct ferry_bytes key, value; /* data NULL: null */
    struct ferry_bytes headers;    /* encoded, their count not included */
    int32_t header_count;
    uint32_t index;
    int64_t timestamp;
    uint64_t cookie;    /* 0 where the side array has none */
    int64_t sent_at;    /* -1 likewise */
    int64_t expires_at; /* INT64_MAX likewise */
    uint64_t receipt;   /* 0 likewise */
};

void ferry_sealed_iter_init(struct ferry_sealed_iter *, const struct ferry_accum_batch *);
/* false at the end. A batch whose records were dropped (ferry_sealed_drop_records) gives side
 * entries alone. */
bool ferry_sealed_iter_next(struct ferry_sealed_iter *, struct ferry_sealed_record *out);
/* Copies up to max cookies and moves on; how many. Needs FERRY_SIDE_COOKIE. */
uint32_t ferry_sealed_iter_cookies(struct ferry_sealed_iter *, uint64_t *out, uint32_t max);

/* One header of a record's: fills in name and value (borrowed) and returns where the next one begins. */
const uint8_t *ferry_sealed_header(const uint8_t *at, struct ferry_bytes *name,
                                   struct ferry_bytes *value);

/* -- Sending -- */
struct ferry_sealed_stamp {
    int64_t producer_id; /* -1 with the two below -1: not idempotent */
    int16_t producer_epoch;
    int32_t base_sequence;
    bool transactional;
};

/* Writes header and CRC. Call it again to stamp anew, when no send names the batch; that is quick.
 */
void ferry_sealed_stamp(struct ferry_accum_batch *, const struct ferry_sealed_stamp *);
/* Compresses into `packed` (before the first stamp); where that does not make it smaller, the batch
 * stays as it is. Touches nothing but the batch and `codecs`, so it may run on a worker. 0,
 * FERRY_E_NOMEM, FERRY_E_CODEC ... */
int ferry_sealed_pack(struct ferry_accum_batch *, struct ferry_codecs *, int codec, int level,
                      struct ferry_error *err);
/* Bytes as they go out. */
size_t ferry_sealed_wire_size(const struct ferry_accum_batch *);
/* How many pieces it goes out in. */
size_t ferry_sealed_part_count(const struct ferry_accum_batch *);
/* Its pieces in order: calls add for each. */
void ferry_sealed_parts(const struct ferry_accum_batch *,
                        void (*add)(void *cookie, const void *data, size_t len), void *cookie);

/* -- Cutting -- */
/* Appends the records first .. first + count - 1 to `to`, with all that their side entries hold,
 * ignoring limits. The receipts of records that have none become this batch and their index. 0 or
 * FERRY_E_NOMEM (some are appended). */
int ferry_sealed_move(const struct ferry_accum_batch *, uint32_t first, uint32_t count,
                      struct ferry_accum *to);

/* The same for one record, as ferry_sealed_iter_next gave it; *edges as of ferry_accum_make_room. `to` keeps the time at
 * which b was opened. Its receipt is as in r. */
int ferry_sealed_move_one(const struct ferry_accum_batch *b, const struct ferry_sealed_record *r,
                          struct ferry_accum *to, unsigned *edges);

/* -- Ending -- */
/* Frees the encoded records of a packed batch but keeps the side array: for reports that need no
 * more. Does nothing to one that is not packed. */
void ferry_sealed_drop_records(struct ferry_accum_batch *);
/* Frees it and gives its memory back. It may be in no list. */
void ferry_sealed_free(struct ferry_accum_batch *);

#endif
