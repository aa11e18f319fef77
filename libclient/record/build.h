/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_BUILD_H
#define RECORD_BUILD_H
/*
 * Writing record batches of version 2: a record at a pointer, then the header once the batch is
 * closed. Plain functions over the caller's memory: no allocation, no state.
 *
 *   room for FERRY_BATCH_HEADER, then for each record ferry_build_record_max() bytes at least;
 *   at = ferry_build_record(at, &r, timestamp - base_timestamp, index);      once per record
 *   ferry_build_header(batch, &h, size);                                     once, after sealing
 *   ferry_build_crc(batch, size);                                            after everything it
 * covers is written
 *
 * To stamp a finished batch anew, see ferry_batch_patch_producer.
 */
#include "base/bytes.h"
#include "ferry/error.h"
#include "record/batch.h"

struct ferry_build_field { /* a record's header: key never null, value may be */
    struct ferry_str key;
    struct ferry_bytes value;
};

struct ferry_build_record {
    struct ferry_bytes key, value; /* data NULL: null */
    const struct ferry_build_field *fields;
    int32_t field_count;
};

enum {
    /* Bytes a record takes beside key, value and headers, at most: length 5, attributes 1,
     * timestamp delta 10, offset delta 5, lengths of key and value 5 each, header count 5. */
    FERRY_BUILD_OVERHEAD_MAX = 36,
    FERRY_BUILD_FIELD_MAX = 10, /* per header, beside its key and value */
    /* Largest key + value + headers, overhead included, that one record can carry (lengths are
       int32). */
    FERRY_BUILD_RECORD_LIMIT = INT32_MAX - 128
};

/* Bytes of headers at most, overhead included. */
size_t ferry_build_fields_max(const struct ferry_build_field *fields, int32_t count);

/* Upper bound of what ferry_build_record writes. The caller has checked it against
 * FERRY_BUILD_RECORD_LIMIT before building. */
static inline size_t ferry_build_record_max(const struct ferry_build_record *r)
{
    size_t n = FERRY_BUILD_OVERHEAD_MAX + r->key.len + r->value.len;
    return r->field_count > 0 ? n + ferry_build_fields_max(r->fields, r->field_count) : n;
}

/* Writes one record at `at` and returns its end. offset_delta is not negative. */
uint8_t *ferry_build_record(uint8_t *at, const struct ferry_build_record *r,
                            int64_t timestamp_delta, int32_t offset_delta);

/*
 * The same, but the value's bytes are left out: *value_at is where exactly r->value.len of them
 * belong, to be copied by the caller when it likes (after giving back a lock) and before the
 * batch's CRC is taken.
 */
uint8_t *ferry_build_record_reserve(uint8_t *at, const struct ferry_build_record *r,
                                    int64_t timestamp_delta, int32_t offset_delta,
                                    uint8_t **value_at);

/* Everything in a header but length, magic and CRC. */
struct ferry_build_header {
    int64_t base_offset; /* 0 from a producer */
    int64_t base_timestamp, max_timestamp;
    int64_t producer_id;  /* -1 with producer_epoch and base_sequence -1: none */
    int32_t leader_epoch; /* -1 from a producer */
    int32_t last_offset_delta;
    int32_t base_sequence;
    int32_t count;
    uint16_t attributes; /* enum ferry_batch_attribute, codec included */
    int16_t producer_epoch;
};

/* Writes the 61 bytes at batch, whose whole size (records as they will be sent) is `size`; the CRC
 * is left 0. */
void ferry_build_header(uint8_t *batch, const struct ferry_build_header *h, size_t size);
/* Takes the CRC over a whole batch in one piece and writes it. */
void ferry_build_crc(uint8_t *batch, size_t size);
/* The same where the records are not behind the header but in these parts (their sizes sum to size
 * - 61). */
void ferry_build_crc_parts(uint8_t *batch, const struct ferry_bytes *parts, size_t count);
/* A transaction marker: a control batch of one record, ready to append but for offset and leader
 * epoch. */
enum { FERRY_BUILD_MARKER_SIZE = 78 };
void ferry_build_marker(uint8_t batch[FERRY_BUILD_MARKER_SIZE], enum ferry_batch_control type,
                        int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
                        int64_t wall);

#endif
