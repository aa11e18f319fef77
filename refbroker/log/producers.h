/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_PRODUCERS_H
#define REFBROKER_LOG_PRODUCERS_H
/*
 * What a partition remembers of its idempotent producers: the last five batches of each, so that a
 * batch sent twice is told its first offset and a gap in the sequence is refused. Pure; owned by
 * one log.
 *
 * Snapshots are Kafka's .snapshot files. Kafka writes one entry per producer, its last batch; we
 * write one per batch that we remember, oldest first. Kafka reads such a file as it reads its own
 * (a later entry of a producer replaces an earlier one), and we know all five batches again without
 * reading the log behind the snapshot.
 */
#include "base/map.h"
#include "record/batch.h"

enum { LOG_PRODUCER_BATCHES = 5 };

struct log_producer_batch {
    int64_t last_offset, timestamp;
    int32_t last_sequence, offset_delta;
};

struct log_producer {
    int64_t id;
    int64_t touched;          /* wall time of the last append or load: for expiry */
    int64_t txn_first_offset; /* of an open transaction, else -1 */
    int32_t coordinator_epoch;
    int16_t epoch; /* -1: none yet */
    uint8_t count, newest;
    bool expecting; /* nothing of it is in the log; its first batch failed and must come again */
    int32_t next;   /* sequence expected of one without batches */
    struct log_producer_batch batches[LOG_PRODUCER_BATCHES]; /* a ring */
};

struct log_producers {
    struct ferry_map map; /* 8 bytes of id -> struct log_producer */
};

/* The nth newest batch, 0 = the last one; NULL beyond what is known. */
const struct log_producer_batch *log_producer_batch_at(const struct log_producer *, unsigned n);
int32_t log_producer_first_sequence(const struct log_producer_batch *);

/*
 * May this batch be appended? 0: yes. 1: it is a duplicate of *seen. LOG_OUT_OF_ORDER_SEQUENCE or
 * LOG_INVALID_PRODUCER_EPOCH. A producer that is not known may begin with any sequence.
 */
int log_producers_check(const struct log_producers *, const struct ferry_batch *,
                        const struct log_producer_batch **seen);
/* Remembers the batch, which is in the log at base_offset; batches without producer id are fine. 0
 * or FERRY_E_NOMEM. */
int log_producers_add(struct log_producers *, const struct ferry_batch *, int64_t base_offset,
                      int64_t wall);
/* A batch of it could not be written. If it is not known otherwise, it may not go on behind that batch: those that it has
 * under way already must not find a place before it. Not saved. */
void log_producers_expect(struct log_producers *, int64_t id, int16_t epoch, int32_t sequence,
                          int64_t wall);
/* Forgets producers without an open transaction that were silent for longer than expiry_ms. */
void log_producers_expire(struct log_producers *, int64_t wall, int64_t expiry_ms);
void log_producers_clear(struct log_producers *);

/* A new block of a snapshot's bytes, NULL without memory. */
uint8_t *log_producers_save(const struct log_producers *, size_t *len);
/* Into an empty state. FERRY_E_PROTOCOL, FERRY_E_CRC, FERRY_E_NOMEM: the state is empty again. */
int log_producers_load(struct log_producers *, struct ferry_bytes, int64_t wall);
/* True if every producer has five batches, or all that its epoch ever had: nothing behind the
 * snapshot can matter. */
bool log_producers_complete(const struct log_producers *);
/* After `behind` was built from the log before a snapshot: what it lacks is taken from the
 * snapshot's state, which is cleared. 0 or FERRY_E_NOMEM. */
int log_producers_merge(struct log_producers *behind, struct log_producers *snapshot);

#endif
