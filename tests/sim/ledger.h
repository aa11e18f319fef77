/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H
/*
 * Every send, what its report said, and what the logs hold in the end.
 *
 * What is checked (a violation ends the run by sim_world_fail):
 *  1. Every send is reported exactly once.
 *  2. An acknowledged record is at the offset that was reported, in the partition that was reported. Only a power loss
 *     after its acknowledgement may take it, only where the flush policy is not 1 and no clean stop came in between,
 *     and only as part of a suffix: all that was acknowledged behind it before that power loss is gone too.
 *  3. With idempotence a send is in the logs at most once, and a producer's records are in the order of their sends.
 *     Without, but with one request in flight, the first copies of those acknowledged are.
 *  4. A send that was reported as certainly not persisted is not there.
 *  5. Logs hold nothing but sends, whole, at offsets without gaps.
 *  6. A high watermark never goes back within a leader epoch, and at all only where a power loss may take what is below.
 *  7. Whoever reads an offset sees what the log holds there in the end, or what a power loss took.
 */
#include "engine/env.h"
#include "tests/sim/disk.h"

enum { LEDGER_TOPICS = 2, LEDGER_PARTITIONS = 3 };

struct sim_world;
struct ledger;

/* What one producer promises. */
struct ledger_promise {
    bool idempotent, ordered, acked; /* acked: acks is not 0 */
};

struct ledger *ledger_new(struct sim_world *, bool flush_each);
void ledger_free(struct ledger *);
const char *ledger_topic_name(int topic);
int ledger_topic_named(const char *name); /* -1: none */

/* A send begins: its id. partition -1: the partitioner's choice. */
uint64_t ledger_send(struct ledger *, int producer, struct ledger_promise, int topic,
                     int32_t partition);
/* The producer refused it at once. */
void ledger_refused(struct ledger *, uint64_t id);
/* Writes the value that stands for the id; its length. */
size_t ledger_value(uint64_t id, uint8_t *out, size_t room);
/* The id that a value stands for; -1 if it is none of ours. */
int64_t ledger_id_of(const uint8_t *value, size_t len);

/* outcome: enum ferry_outcome of ferry/producer.h. offset -1: not known. */
void ledger_report(struct ledger *, uint64_t id, int32_t partition, int error, int outcome,
                   int64_t offset);
/* The broker lost its power; stopped cleanly. */
void ledger_power_loss(struct ledger *);
void ledger_clean_stop(struct ledger *);
uint32_t ledger_losses(const struct ledger *); /* power losses so far */
bool ledger_flushes_each(const struct ledger *);
/* A consumer was given this record. */
void ledger_consumed(struct ledger *, const char *who, int topic, int32_t partition, int64_t offset,
                     const uint8_t *value, size_t len);
/* A high watermark was told. */
void ledger_watermark(struct ledger *, int topic, int32_t partition, int32_t leader_epoch,
                      int64_t offset);

uint64_t ledger_sent(const struct ledger *);
uint64_t ledger_acked(const struct ledger *);
uint64_t ledger_failed(const struct ledger *);
uint64_t ledger_segments(const struct ledger *); /* files that ledger_check read */
uint64_t ledger_open(const struct ledger *);     /* not reported yet */
/* Reads the logs from the disk and checks all of the above; the ends of the logs are known from then on. */
void ledger_check(struct ledger *, struct sim_disk *);
/* Then, when consumers have come to the end: what they were given is what the logs hold. */
void ledger_check_seen(struct ledger *);
int64_t ledger_end(const struct ledger *, int topic, int32_t partition);

#endif
