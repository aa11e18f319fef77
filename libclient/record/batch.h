/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_BATCH_H
#define RECORD_BATCH_H
/*
 * Record batches, read in place: the version 2 header (61 bytes), its patching by a broker, a walk
 * over the batches of a buffer, and an iterator over the records of one batch. Message sets of
 * version 0 and 1 (before Kafka 0.11) come through the same three types; they are read, never
 * written.
 *
 * Nothing here allocates, and every pointer handed out borrows from the bytes that were handed in.
 * What peers and files say is never trusted: every size and count is checked, and an error's text
 * names the offset. Errors are FERRY_E_PROTOCOL (malformed), FERRY_E_CRC, FERRY_E_UNSUPPORTED (a
 * magic from the future), FERRY_E_INVALID (well formed, but not what the check asked for allows).
 *
 *   struct ferry_batch_set set; struct ferry_batch b; struct ferry_batch_iter it; struct
 * ferry_batch_record r; ferry_batch_set_init(&set, fetched); while ((rc =
 * ferry_batch_set_next(&set, &b, err)) > 0) { if (b.last_offset < position ||
 * ferry_batch_is_control(&b)) continue; bytes = b.records, or where ferry_batch_codec(&b) != 0 what
 * ferry_decompress() made of it; if ((rc = ferry_batch_iter_init(&it, &b, bytes, position,
 * INT64_MAX, err)) < 0) ... while ((rc = ferry_batch_iter_next(&it, &r, err)) > 0) ...
 *   }
 */
#include "base/bytes.h"
#include "ferry/error.h"

enum {
    FERRY_BATCH_HEADER = 61,   /* bytes before the records of a version 2 batch */
    FERRY_BATCH_PREFIX = 12,   /* base offset and length: what the length field does not count */
    FERRY_BATCH_CRC_FROM = 21, /* the CRC covers this byte to the end */
    FERRY_BATCH_PEEK = 17      /* bytes from which size and magic of any version can be told */
};

enum ferry_batch_attribute {
    FERRY_BATCH_CODEC_MASK = 0x07,
    FERRY_BATCH_LOG_APPEND_TIME = 0x08,
    FERRY_BATCH_TRANSACTIONAL = 0x10,
    FERRY_BATCH_CONTROL = 0x20,
    FERRY_BATCH_DELETE_HORIZON = 0x40
};

/* A parsed header. Versions 0 and 1: one message (or wrapper) is one batch; what they lack is -1.
 */
struct ferry_batch {
    const uint8_t *data;        /* the batch, borrowed */
    size_t size;                /* all of it, prefix included */
    struct ferry_bytes records; /* its records, compressed if ferry_batch_codec() is not 0 */
    int64_t base_offset;    /* versions 0, 1: same as last_offset (a wrapper's first is known once
                               expanded) */
    int64_t last_offset;    /* versions 0, 1: the message's own offset */
    int64_t base_timestamp; /* with DELETE_HORIZON: that time; record times still count from it */
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none */
    int32_t leader_epoch;
    int32_t base_sequence;
    int32_t count; /* records; may be less than last_offset - base_offset + 1, even 0, after
                      compaction. Versions 0, 1: 1 for a plain message, -1 for a wrapper */
    uint32_t crc;
    int16_t producer_epoch;
    uint16_t attributes;
    uint8_t magic;
};

static inline int ferry_batch_codec(const struct ferry_batch *b)
{
    return b->attributes & FERRY_BATCH_CODEC_MASK;
}

static inline bool ferry_batch_is_control(const struct ferry_batch *b)
{
    return (b->attributes & FERRY_BATCH_CONTROL) != 0;
}

static inline bool ferry_batch_is_transactional(const struct ferry_batch *b)
{
    return (b->attributes & FERRY_BATCH_TRANSACTIONAL) != 0;
}

/* Whole size that the batch at data claims (any version); 0 if fewer than 12 bytes are there, -1 if
 * the claim is below the smallest batch. The size is a claim: bound it before use. */
int64_t ferry_batch_claimed_size(const void *data, size_t len);

/*
 * Parses the batch at data. Returns its size in *b, which is <= len: FERRY_E_AGAIN if len ends
 * inside the batch (b->size is then the claimed size, or 0 if even that is not known yet), negative
 * on error, else 0. Checks sizes, offsets and counts of the header; not the CRC, not the records.
 */
int ferry_batch_parse(const void *data, size_t len, struct ferry_batch *b, struct ferry_error *err);

/* FERRY_E_CRC if the checksum does not match (CRC-32C; CRC-32 in versions 0 and 1). Reads the whole
 * batch. */
int ferry_batch_check_crc(const struct ferry_batch *b, struct ferry_error *err);

/* ---- the batches of a buffer ---- */
struct ferry_batch_set {
    const uint8_t *start, *at, *end;
    /* After the walk: bytes at the end of a batch cut off (0: none), and the size that batch claims (0: unknown). */
    size_t truncated, wanted;
};

void ferry_batch_set_init(struct ferry_batch_set *set, struct ferry_bytes bytes);
/* 1: *b is the next batch; 0: the end, where a batch cut off is normal in a fetch (see truncated);
 * negative: error, and set->at stays on the bad batch (its place is set->at - set->start). */
int ferry_batch_set_next(struct ferry_batch_set *set, struct ferry_batch *b,
                         struct ferry_error *err);

/* ---- the records of a batch ---- */
struct ferry_batch_record {
    int64_t offset;
    int64_t timestamp;             /* ms; -1 in version 0 */
    struct ferry_bytes key, value; /* data NULL: null */
    int32_t header_count;
    struct ferry_bytes headers; /* encoded; NULL, 0 where header_count is 0 */
};

/* Private to the iterator. The first three lines are all that the common record needs. */
struct ferry_batch_iter {
    const uint8_t *at;   /* next record */
    const uint8_t *fast; /* a record that ends here or before is decoded with one bounds check */
    uint32_t low, high,
        left; /* offset deltas [low, high) are still to yield; records not yet seen */
    uint8_t magic;
    int64_t base_offset;
    int64_t base_timestamp;
    int64_t timestamp_mask; /* -1, or 0 where every record has base_timestamp (LogAppendTime) */
    const uint8_t *start, *end;
    int64_t from, upto;
    uint32_t first;                 /* what low was at first */
    uint32_t next_delta, max_delta; /* where deltas must lie */
    int32_t count;
};

/*
 * Iterates over the records of b with from <= offset < upto. `records` is b->records, or that
 * expanded where the batch is compressed; it must outlive the records yielded. Reading stops at
 * upto without looking at the rest. Negative on error (a version 1 wrapper is scanned for its last
 * relative offset), else 0.
 */
int ferry_batch_iter_init(struct ferry_batch_iter *it, const struct ferry_batch *b,
                          struct ferry_bytes records, int64_t from, int64_t upto,
                          struct ferry_error *err);
/* 1: *r is the next record; 0: no more; negative: malformed, and the iterator stays there: what was
 * yielded before is good, the rest of the batch cannot be read. */
int ferry_batch_iter_next(struct ferry_batch_iter *it, struct ferry_batch_record *r,
                          struct ferry_error *err);

struct ferry_batch_headers {
    const uint8_t *at, *end;
    int32_t left;
};

struct ferry_batch_header {
    struct ferry_str key; /* never null */
    struct ferry_bytes value;
};

static inline void ferry_batch_headers_init(struct ferry_batch_headers *h,
                                            const struct ferry_batch_record *r)
{
    h->left = r->header_count;
    h->at = h->end = NULL;
    if (h->left > 0) {
        h->at = r->headers.data;
        h->end = h->at + r->headers.len;
    }
}

/* 1, 0 or FERRY_E_PROTOCOL, as above. The iterator of records checks where headers begin and end,
 * this one what is in between. */
int ferry_batch_headers_next(struct ferry_batch_headers *h, struct ferry_batch_header *out,
                             struct ferry_error *err);

/* ---- control batches ---- */
enum ferry_batch_control {
    FERRY_CONTROL_ABORT = 0,
    FERRY_CONTROL_COMMIT = 1,
    FERRY_CONTROL_LEADER_CHANGE = 2,
    FERRY_CONTROL_SNAPSHOT_HEADER = 3,
    FERRY_CONTROL_SNAPSHOT_FOOTER = 4,
    FERRY_CONTROL_KRAFT_VERSION = 5,
    FERRY_CONTROL_KRAFT_VOTERS = 6
};

/* The type in a control record's key (enum ferry_batch_control, or a higher one that is not known
 * yet), or FERRY_E_PROTOCOL. */
int ferry_batch_control_type(const struct ferry_batch_record *r, struct ferry_error *err);
/* The coordinator epoch in the value of an ABORT or COMMIT marker; 0 or FERRY_E_PROTOCOL. */
int ferry_batch_marker_epoch(const struct ferry_batch_record *r, int32_t *epoch,
                             struct ferry_error *err);

/* ---- a broker's checks ---- */

/*
 * Header only: may a client produce this? `set` is everything one partition of a Produce request
 * carried. Exactly one whole batch of version 2, at least one record, last delta = count - 1, not a
 * control batch, a known codec, CreateTime, producer id, epoch and sequence all there or all
 * absent, and the CRC. Sets *b. FERRY_E_PROTOCOL and FERRY_E_CRC are Kafka's CORRUPT_MESSAGE;
 * FERRY_E_INVALID its INVALID_RECORD; FERRY_E_UNSUPPORTED its UNSUPPORTED_FOR_MESSAGE_FORMAT.
 */
int ferry_batch_check_produced(struct ferry_bytes set, struct ferry_batch *b,
                               struct ferry_error *err);

struct ferry_batch_walked {
    int64_t max_timestamp;        /* largest of all records; -1 with none */
    int64_t max_timestamp_offset; /* offset of the first record that has it */
    int64_t min_timestamp;
    int32_t count;
    int32_t bad_index; /* after an error: index of the record, -1 if it is about the whole batch */
};

enum ferry_batch_walk_flag {
    FERRY_BATCH_WALK_DENSE = 1, /* offset deltas must be 0, 1 .. count - 1 */
    FERRY_BATCH_WALK_KEYED = 2  /* a record without key is FERRY_E_INVALID (compacted topics) */
};

/* Walks every record and header: count, lengths, deltas, nothing left over. `records` as for
 * ferry_batch_iter_init. */
int ferry_batch_walk(const struct ferry_batch *b, struct ferry_bytes records, unsigned flags,
                     struct ferry_batch_walked *out, struct ferry_error *err);

/* ---- patching a version 2 batch in place: only after ferry_batch_parse said it is one ---- */

/* What the CRC does not cover. */
static inline void ferry_batch_patch_offset(uint8_t *batch, int64_t base_offset)
{
    ferry_put64(batch, (uint64_t)base_offset);
}

static inline void ferry_batch_patch_epoch(uint8_t *batch, int32_t leader_epoch)
{
    ferry_put32(batch + 12, (uint32_t)leader_epoch);
}

/*
 * What it covers. The new CRC is computed from the old one and the header alone (some hundred ns
 * whatever the size), so the old CRC must have been checked before.
 */
/* Every record's time becomes `wall` (LogAppendTime). */
void ferry_batch_patch_append_time(uint8_t *batch, size_t size, int64_t wall);
/* Corrects the header's largest timestamp to what the walk found. */
void ferry_batch_patch_max_timestamp(uint8_t *batch, size_t size, int64_t max_timestamp);
/* Stamps producer id, epoch, sequence and the transactional bit (a producer's second try after a
 * new id). */
void ferry_batch_patch_producer(uint8_t *batch, size_t size, int64_t id, int16_t epoch,
                                int32_t sequence, bool transactional);

#endif
