/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ACCUM_ACCUM_H
#define ACCUM_ACCUM_H
/*
 * Open batches: records are appended at one end of a partition, sealed batches are taken at the
 * other. Plain functions: no lock, no clock. Whoever appends serialises the calls for one struct
 * ferry_accum (api/ with the partition's lock, tests and the simulator by being one thread), and
 * passes the time in.
 *
 *   rc = ferry_accum_append(a, &r, &place);              the fast path: there is room in the open
 * chunk if (rc == FERRY_E_AGAIN) {                           else rc = ferry_accum_make_room(a, &r,
 * now, &edges);  another chunk, or the next batch rc = ferry_accum_append(a, &r, &place); now there
 * is
 *   }
 *
 * Invariants:
 *  1. Records of a partition leave in the order in which they were appended: `full` is first in,
 * first out, and the open batch comes after all of it.
 *  2. A record lies in one chunk, whole. A batch holds batch_size bytes at most, or one record.
 *  3. A batch is given out only when no writer still copies into it; then nobody appends to it any
 * more.
 *  4. The batch header's 61 bytes are free at the front of its first chunk until accum/sealed
 * writes them.
 *  5. With `sums`, the CRC of a chunk's records is taken as soon as it is full, while the processor still has them at
 * hand; what is left is summed when the batch is stamped.
 */
#include "accum/chunks.h"
#include "base/list.h"
#include "record/build.h"

struct ferry_slab;

/* What is kept for each record beside its encoding, 8 bytes each, in this order. */
enum ferry_side {
    FERRY_SIDE_COOKIE = 1,
    FERRY_SIDE_TIME = 2,   /* monotonic ns of its send */
    FERRY_SIDE_EXPIRY = 4, /* monotonic ns; INT64_MAX = none */
    FERRY_SIDE_RECEIPT =
        8, /* batch and index under which the sender knows it, where those differ */
    FERRY_SIDE_ALL = 15
};

static inline uint32_t ferry_side_size(uint32_t side)
{
    return 8 * (uint32_t)__builtin_popcount(side & FERRY_SIDE_ALL);
}

/* A receipt in 64 bits: batch and index. */
enum { FERRY_ACCUM_INDEX_BITS = 24, FERRY_ACCUM_RECORDS_MAX = (1 << FERRY_ACCUM_INDEX_BITS) - 1 };
static inline uint64_t ferry_receipt_pack(uint64_t batch, uint32_t index)
{
    return batch << FERRY_ACCUM_INDEX_BITS | index;
}

struct ferry_accum_batch {
    struct ferry_link link; /* of the owner's queue, whoever that is */
    struct ferry_chunk *first, *last;
    struct ferry_chunks *chunks; /* where they go back to */
    uint64_t id;                 /* of this batch, unique in a producer; 0 for a staging batch */
    size_t size;                 /* bytes of header and encoded records, uncompressed */
    uint32_t count;              /* records */
    uint32_t side;               /* enum ferry_side */
    uint32_t writers; /* threads still copying a large value into it; guarded as the accum is */
    bool sealed;
    bool deferred; /* some value was copied, or is being copied, without the lock */
    bool stamped;  /* its header is written */
    bool bare;     /* its records were dropped: the chunks hold side entries alone */
    uint32_t
        records_crc; /* of what follows the header: of `summed` bytes; of all once it was stamped */
    size_t summed;
    uint8_t codec; /* of packed */
    int64_t base_timestamp, max_timestamp;
    int64_t opened_at;  /* monotonic ns of its first record */
    int64_t expires_at; /* earliest expiry of a record; INT64_MAX = none */
    int64_t counted;    /* bytes of packed, as counted */
    struct ferry_slab
        *packed; /* the whole batch compressed, header included; NULL = not compressed */
};

struct ferry_accum_config {
    struct ferry_chunks *chunks;
    size_t object_size;     /* of what embeds struct ferry_accum_batch as its first member */
    size_t batch_size;      /* bytes of a batch at most, header included */
    uint32_t batch_records; /* records of a batch at most; 0 = as many as fit */
    uint32_t side;          /* enum ferry_side */
    size_t defer; /* values of so many bytes or more are copied by the caller later; 0 = never */
    _Atomic uint64_t *ids; /* counter from which batches take their ids; NULL: id 0 */
};

struct ferry_accum {
    /* the fast path's */
    uint8_t *at;                    /* where the next record goes */
    uint8_t *end;                   /* no record reaches beyond this (batch_size) */
    uint8_t *side_at;               /* side entries so far lie from here to the chunk's end */
    struct ferry_accum_batch *open; /* NULL: none */
    int64_t base_timestamp, max_timestamp;
    uint32_t count, count_max;
    uint32_t side, side_size;
    size_t defer;
    /* the rest */
    const struct ferry_accum_config *config;
    struct ferry_link full; /* of struct ferry_accum_batch, oldest first */
    uint32_t full_count;
    bool
        sums; /* chunks are summed as they fill; set by the owner where batches go out as they are */
    uint64_t total; /* bytes of records ever appended, but those of the open chunk */
    uint32_t hint;  /* size of the last batch sealed: how large the next one's first chunk is */
};

struct ferry_accum_record {
    struct ferry_build_record record;
    int64_t timestamp; /* ms */
    uint64_t cookie;
    int64_t sent_at;    /* monotonic ns; used with FERRY_SIDE_TIME */
    int64_t expires_at; /* monotonic ns, INT64_MAX = none; used with FERRY_SIDE_EXPIRY */
    uint64_t receipt;   /* used with FERRY_SIDE_RECEIPT; 0 = its own batch and index */
};

/* Where a record came to lie. */
struct ferry_accum_place {
    struct ferry_accum_batch *batch;
    uint32_t index;
    uint8_t
        *value_at; /* not NULL: the caller copies the value there, then calls ferry_accum_written */
};

enum ferry_accum_edge {
    FERRY_ACCUM_OPENED = 1, /* there was no open batch, now there is: its linger begins */
    FERRY_ACCUM_FULL = 2    /* a batch was sealed because it is full */
};

void ferry_accum_init(struct ferry_accum *, const struct ferry_accum_config *);
/* Frees what is in it, whatever its state; no writers may be left. */
void ferry_accum_free(struct ferry_accum *);

/* Appends to the open chunk. 0, or FERRY_E_AGAIN if there is no room (nothing is changed then). The
 * record's sizes were checked against FERRY_BUILD_RECORD_LIMIT. */
int ferry_accum_append(struct ferry_accum *, const struct ferry_accum_record *,
                       struct ferry_accum_place *);
/* Makes room for this record: with another chunk, or by sealing the open batch and opening the
 * next. `now`: monotonic ns. *edges: enum ferry_accum_edge, also on failure (the old batch may have
 * been sealed). 0, FERRY_E_QUEUE_FULL or FERRY_E_NOMEM; `force` ignores limits. */
int ferry_accum_make_room(struct ferry_accum *, const struct ferry_accum_record *, int64_t now,
                          bool force, unsigned *edges);
/* A deferred value is in place. true: this was the last writer of a sealed batch, which can be
 * taken now. */
bool ferry_accum_written(struct ferry_accum *, struct ferry_accum_batch *);

/* Seals the open batch, if there is one; it joins `full`. */
void ferry_accum_seal(struct ferry_accum *);
/* The oldest batch of `full`, which is the caller's from then on; NULL if there is none or it still
 * has writers. */
struct ferry_accum_batch *ferry_accum_take(struct ferry_accum *);
/* Monotonic ns at which the oldest batch, open ones included, was begun; INT64_MAX if all is empty.
 */
int64_t ferry_accum_oldest(const struct ferry_accum *);
static inline bool ferry_accum_empty(const struct ferry_accum *a)
{
    return !a->open && ferry_list_empty(&a->full);
}

#endif
