/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_SENDER_INTERNAL_H
#define CLIENT_SENDER_INTERNAL_H
/* What the files of the sender share: sender.c (life, topics, commands), sender_append.c (the appenders' side),
 * sender_lane.c (lanes and lots), sender_split.c (cutting lots), sender_statistics.c, sender_request.c (requests), idempotence.c. */
#include "client/sender.h"

/* -- sender_append.c -- */
int32_t ferry_sender_pick_slow(struct ferry_sender_topic *, struct ferry_lane_table *,
                               enum ferry_pick, struct ferry_bytes key);

/* -- sender.c -- */
/* The name of an error code, ours or Kafka's. */
const char *ferry_sender_code_name(int code);
struct ferry_sender_node *ferry_sender_node_of(struct ferry_sender *, int32_t id);
/* Everything fails with this code from now on. */
void ferry_sender_fail(struct ferry_sender *, int32_t code, const char *text);
/* Takes the lane's leader from the metadata cache. */
void ferry_sender_lead(struct ferry_lane *);
/* A lane may have settled what a flush waits for. */
void ferry_sender_settled(struct ferry_lane *);
/* Records that left the appenders' side. */
void ferry_sender_count_sealed(struct ferry_sender *, uint32_t count);
int64_t ferry_sender_accum_records(const struct ferry_accum *);

/* -- sender_lane.c -- */
struct ferry_lane *ferry_lane_new(struct ferry_sender_topic *, int32_t partition);
void ferry_lane_free(struct ferry_lane *);
/* Looks at the lane again after anything about it changed: takes what is sealed, puts it on its node's ready list or
 * off it, sets its timer. Sends nothing: the caller drains nodes afterwards. */
void ferry_lane_update(struct ferry_lane *);
/* Whether its first batch can be sent now; *when: the time from which it can, if time alone is missing. */
bool ferry_lane_sendable(struct ferry_lane *, ferry_nsec *when);
/* The batch to be sent now: taken off the queue, sealing the open one if need be. NULL if a writer holds it up. */
struct ferry_lot *ferry_lane_pop(struct ferry_lane *);
bool ferry_lane_idle(const struct ferry_lane *);
/* Seals and takes all there is, the open batch too. */
void ferry_lane_pull_all(struct ferry_lane *);

void ferry_lot_init(struct ferry_lot *, struct ferry_sender_topic *, struct ferry_lane *);
/* Off the lane's lists. */
void ferry_lot_unlink(struct ferry_lot *);
/* Into the lane's queue, at its place. */
void ferry_lot_queue(struct ferry_lot *);
/* The same for one that was made just now: counted as waiting, compressed. */
void ferry_lot_adopt(struct ferry_lot *);
/* The outcome: taken out of whatever list, counted, delivered. outcome: enum ferry_outcome. text is copied. */
void ferry_lot_succeed(struct ferry_lot *, int64_t base_offset, int64_t log_append_time,
                       int32_t node);
void ferry_lot_fail(struct ferry_lot *, int32_t code, const char *text);
/* Fails it, or sends it again after a backoff (`at_once`: without). It is off the flight list. */
void ferry_lot_retry(struct ferry_lot *, int32_t code, const char *text, bool at_once);
/* Fails the queued lot: at once, or when the worker gives it back. */
void ferry_lot_doom(struct ferry_lot *, int32_t code, const char *text);

/* -- sender_split.c -- */
/* Cuts a lot that a broker found too large; its parts take its place in the lane. 0, or an error (nothing changed). */
int ferry_lot_split(struct ferry_lot *);
/* Takes out the records that have expired; they are failed. */
void ferry_lot_expire_records(struct ferry_lot *, ferry_nsec now);
/* Staged records, now that partitions are known, go to the lanes of `table`. Under the topic's lock. */
void ferry_sender_unstage(struct ferry_sender_topic *, struct ferry_lane_table *);
/* Fails everything staged. */
void ferry_sender_fail_staged(struct ferry_sender_topic *, int32_t code, const char *text);

/* -- sender_request.c -- */
/* Sends what is ready, as far as in-flight limits allow. */
void ferry_sender_drain(struct ferry_sender_node *);
void ferry_sender_drain_all(struct ferry_sender *);
/* Cancels what is on the wire; its lots fail with this code. */
void ferry_sender_cancel_requests(struct ferry_sender *, int32_t code);

/* -- sender_statistics.c -- */
void ferry_sender_measure_sent(struct ferry_lot *);
void ferry_sender_measure_done(struct ferry_lot *);
void ferry_sender_on_statistics(struct ferry_client *, struct ferry_observer *,
                                struct ferry_text *out);

/* -- idempotence.c -- */
void ferry_idempotence_begin(struct ferry_sender *);
void ferry_idempotence_end(struct ferry_sender *);
/* Whether the lane may send this lot (NULL: a new one) as far as sequences are concerned. */
bool ferry_idempotence_allows(const struct ferry_lane *, const struct ferry_lot *);
/* Gives the lot its sequence if it has none. */
void ferry_idempotence_assign(struct ferry_lane *, struct ferry_lot *);
/* Its fate is known (success) or given up. */
void ferry_idempotence_resolve(struct ferry_lane *, struct ferry_lot *, bool success);
/* A part of a lot that was cut takes over a share of its sequence. */
void ferry_idempotence_inherit(struct ferry_lane *, const struct ferry_lot *from,
                               struct ferry_lot *to, uint32_t records_before);
/* A broker's complaint about sequences or ids: the lot is to be sent again. true if that need not wait. */
bool ferry_idempotence_complain(struct ferry_lane *, struct ferry_lot *, int32_t code);
/* Bumps and re-sequences if that is due now. */
void ferry_idempotence_settle(struct ferry_lane *);

#endif
