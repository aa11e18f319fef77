/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_SINK_H
#define TESTS_SINK_H
/*
 * A puppet cluster that takes Produce requests as a broker does: checks each batch, knows the last five of every
 * producer and partition, keeps what was appended. The test decides what goes wrong, and when answers are given.
 * Beneath a sender without threads: locks are nothing, commands run when the test lets the puppet settle.
 */
#include "client/sender.h"
#include "tests/lib/puppet.h"

enum {
    SINK_PARTITIONS = 4,
    SINK_TOPICS = 3,
    SINK_RECORDS = 20000,
    SINK_PENDING = 64,
    SINK_PARTS = 16
};

/* Of one batch. Where a request's batches differ, the last of them in this order decides about the answer. */
enum sink_fate {
    SINK_SERVE,      /* append and answer */
    SINK_REFUSE,     /* answered with sink->code, nothing appended */
    SINK_HOLD,       /* append; the answer waits for sink_release or sink_lose */
    SINK_SILENT,     /* neither appended nor answered */
    SINK_LATE,       /* likewise, but kept: sink_arrive appends it */
    SINK_CUT_BEFORE, /* the connection ends, nothing was appended */
    SINK_CUT_AFTER   /* appended, then the connection ends */
};

struct sink_known {
    int32_t first, last;
    int64_t offset;
};

struct sink_partition {
    uint64_t cookies[SINK_RECORDS]; /* 8-byte values, in log order */
    int64_t timestamps[SINK_RECORDS];
    int64_t end;
    int64_t producer_id;
    int16_t epoch;
    struct sink_known known[5];
    int known_count;
    int batches, duplicates, gaps;
};

struct sink_part {
    int topic;
    int32_t index;
    int16_t code;
    int64_t offset;
};

struct sink_pending {
    struct ferry_id conn;
    struct ferry_request_head head;
    struct sink_part parts[SINK_PARTS];
    int count;
};

struct sink {
    struct puppet puppet; /* first */
    struct ferry_sender *sender;
    struct ferry_sender_topic *topics[SINK_TOPICS];
    int topic_count;
    struct sink_partition log[SINK_TOPICS][SINK_PARTITIONS];
    enum sink_fate (*fate)(struct sink *, int topic, int32_t partition, const struct ferry_batch *);
    int16_t code;        /* for SINK_REFUSE */
    size_t size_max;     /* larger batches: MESSAGE_TOO_LARGE; 0 = any */
    int32_t hint_leader; /* told with a refusal; -1 = not */
    int32_t hint_epoch;
    int32_t throttle_ms;     /* told with each answer */
    int64_t log_append_time; /* likewise, if not 0 */
    int16_t id_error;        /* of InitProducerId */
    int64_t next_id;
    int16_t next_epoch;
    struct sink_pending pending[SINK_PENDING];
    int pending_count, pending_max; /* now, at most ever */
    struct sink_late {
        struct sink_part part;
        uint8_t *data;
        size_t len;
    } late[SINK_PENDING];
    int late_count;
    int requests, id_requests, bad, acks_seen[3], parts_max, last_version;
    void *commands[64]; /* handed in by wake, in order */
    int command_count;
    /* reports, by cookie: how often, and with what */
    int reported[SINK_RECORDS];
    int32_t error[SINK_RECORDS];
    uint8_t outcome[SINK_RECORDS];
    int64_t offset[SINK_RECORDS];
    int64_t append_time; /* of the last report */
    int reports;
    struct ferry_prng prng;
    int chance; /* for sink_random: one of so many requests goes wrong */
};

/* `topics` topics t0, t1 .. of `partitions` partitions led by node 0; settings as puppet_init; flags of the sender. */
void sink_init(struct sink *, const char *settings, uint32_t flags, int topics, int32_t partitions);
/* As sink_init, but metadata knows no topic yet. */
void sink_reveal(struct sink *);
void sink_end(struct sink *);
/* Sends a record whose value and cookie are `cookie`; partition -1 lets the partitioner choose. */
int sink_send(struct sink *, int topic, int32_t partition, uint64_t cookie);
int sink_send_record(struct sink *, int topic, int32_t partition, struct ferry_accum_record *);
/* Runs commands until all is quiet. */
void sink_settle(struct sink *);
void sink_pass(struct sink *, ferry_nsec);
/* Gives the answers held back; cuts the connections instead. */
void sink_release(struct sink *);
void sink_lose(struct sink *);
/* What was sent by connections that have been given up reaches the broker after all, in order. */
void sink_arrive(struct sink *);
/* Lets time pass until the cookies [0, n) are all reported; false after a minute of puppet time. */
bool sink_all_reported(struct sink *, int n);
/* Every cookie of [0, n) is in the logs exactly once, and in rising order in each partition. */
bool sink_exactly_once(struct sink *, int n);
int sink_copies(struct sink *, uint64_t cookie);
/* A fate that goes wrong in every way, at random. */
enum sink_fate sink_random(struct sink *, int topic, int32_t partition, const struct ferry_batch *);
enum sink_fate sink_late(struct sink *, int topic, int32_t partition, const struct ferry_batch *);
enum sink_fate sink_hold(struct sink *, int topic, int32_t partition, const struct ferry_batch *);
enum sink_fate sink_refuse(struct sink *, int topic, int32_t partition, const struct ferry_batch *);
enum sink_fate sink_silent(struct sink *, int topic, int32_t partition, const struct ferry_batch *);

#endif
