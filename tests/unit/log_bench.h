/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LOG_BENCH_H
#define TESTS_LOG_BENCH_H
/*
 * A bench for partition logs: a simulated disk, the file layer and one data directory, with no node. Actions are
 * executed one at a time: in order, or (shuffle) in any order that engine/env.h allows, with a crash possible between
 * any two.
 */
#include "refbroker/log/log.h"
#include "tests/sim/disk.h"

struct bench {
    struct sim_disk *disk;
    struct ferry_prng prng;
    bool shuffle, trace;
    ferry_nsec now;
    ferry_msec wall;

    bool running;
    struct log_host host;
    struct log_files files;
    struct log_dir dir;
    struct ferry_actions out;
    struct bench_pending *pending;
    size_t pending_count, pending_cap;
    uint64_t executed;
    int warnings, errors; /* lines in the log */
    char last_line[512];
    bool offline;
    uint64_t fail_step; /* in this step .. */
    uint64_t fail_nth;  /* .. the nth allocation fails */
};

void bench_init(struct bench *, uint64_t seed);
/* Opens the data directory. */
void bench_start(struct bench *);
/* Executes one action. False: there is none. */
bool bench_step(struct bench *);
void bench_run(struct bench *);
/* Ends a call into the log: what is to be told without action is told, actions are taken over. After every call. */
void bench_settle(struct bench *);
/* A clean stop; the result of log_dir_close. */
int bench_stop(struct bench *);
void bench_kill(struct bench *, bool power_loss);
void bench_free(struct bench *);
/* Time passes; the directory's tick runs. */
void bench_advance(struct bench *, ferry_msec ms);

/* A log with an owner that moves the high watermark to the stable end. *error gets the result of the opening. */
struct log *bench_open(struct bench *, const char *topic, const struct log_config *, int *error);
struct log *bench_open_partition(struct bench *, const char *topic, int32_t partition,
                                 const struct ferry_uuid *id, const struct log_config *,
                                 int *error);
/* Runs until the request has ended, and returns its result. */
#define BENCH_AWAIT(bench, request, call)                                                          \
    ((request) = (struct log_request){.done = bench_request_done}, (call),                         \
     bench_await(bench, &(request)))
void bench_request_done(struct log_request *, int error);
int bench_await(struct bench *, struct log_request *);

struct batch_spec {
    int count;
    int64_t timestamp, step; /* of the first record; added per record */
    int64_t producer_id;     /* 0: none */
    int16_t producer_epoch;
    int32_t sequence;
    uint64_t value; /* value of the first record, counted up */
    size_t padding; /* more bytes per value */
    bool keyless;
    int codec;
    int64_t base_offset; /* for a follower */
    int32_t leader_epoch;
};
/* One reference. */
struct ferry_slab *bench_batch(const struct batch_spec *);

/* An append that ends somewhere. */
struct bench_append {
    struct log_append a;
    bool done;
    int error;
};
void bench_append_begin(struct bench *, struct log *, struct bench_append *,
                        const struct batch_spec *, int32_t epoch);
/* Begin and run. Returns the error. */
int bench_append(struct bench *, struct log *, struct bench_append *, const struct batch_spec *,
                 int32_t epoch);
int bench_follow(struct bench *, struct log *, struct bench_append *, const struct batch_spec *);

/* Reads [from, upto) in Fetches of max_bytes and calls fn per record below upto, from `from`. Returns the number of records,
 * negative on error. */
int64_t bench_read(struct bench *, struct log *, int64_t from, int64_t upto, uint64_t max_bytes,
                   void (*fn)(const struct ferry_batch_record *, void *), void *cookie);
int bench_lookup(struct bench *, struct log *, int64_t target, int64_t *offset, int64_t *timestamp);
/* Decodes the value that bench_batch put into a record. */
uint64_t bench_value(const struct ferry_batch_record *);

/* ---- shorthands ---- */
/* The defaults, but small segments and a dense index. */
struct log_config bench_small_config(void);
/* n batches of 5 records with values and times that count up, under leader epoch 3. */
void bench_fill(struct bench *, struct log *, int n, size_t padding);
/* For bench_read: the values count up from *cookie, a uint64_t. */
void bench_expect_rising(const struct ferry_batch_record *, void *cookie);
/* Is every record of the log there, each with its offset as its value? */
bool bench_reads_back(struct bench *, struct log *, uint64_t max_bytes);
/* Three records of producer 77. Returns the error. */
int bench_idempotent(struct bench *, struct log *, struct bench_append *, int32_t sequence,
                     int16_t epoch);

#endif
