/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_BROKER_BENCH_H
#define TESTS_BROKER_BENCH_H
/*
 * A bench for a broker node: the engine on a simulated disk, with connections that are buffers. Events are fed one by
 * one in order; time stands still unless the test moves it. File actions are executed at once and answered in order;
 * syncs can be held back. What the engine says goes to `lines`.
 */
#include "base/arena.h"
#include "base/prng.h"
#include "refbroker/node.h"
#include "tests/sim/disk.h"
#include "wire/apis.h"

enum { BB_CONNS = 256 };

struct bb_conn {
    struct ferry_id id; /* gen 0: not adopted */
    bool open, refused, closed, paused,
        slow;                /* slow: nothing it is sent is drained until bb_drain */
    struct ferry_slab *slab; /* lent */
    uint8_t *in;             /* bytes on their way to the engine */
    size_t in_len, in_cap;
    uint8_t *out; /* bytes that came from it */
    size_t out_len, out_cap, out_at;
    uint64_t undrained; /* op of the last send */
    int32_t correlation;
    size_t chunk; /* bytes per event; 0: all */
};

struct bb_event;
struct bb {
    struct sim_disk *disk;
    struct broker_config config;
    struct broker_node *node;
    struct ferry_actions out;
    ferry_nsec now;
    ferry_msec wall;
    uint64_t seed, steps;
    struct bb_event *events;
    size_t event_count, event_cap, event_at;
    struct bb_conn conns[BB_CONNS];
    size_t conn_count;
    bool hold_syncs;
    const char *hold_syncs_of; /* only of the file with this in its path, opened from now on */
    struct ferry_id holding;   /* it */
    bool dead;                 /* memory ran out while it gave actions: a driver would give it up */
    struct bb_event *held;
    size_t held_count, held_cap;
    int notices[3]; /* by enum broker_notice_type */
    char failure[512];
    int errors; /* lines of level error */
    char last_line[512];
    struct ferry_arena arena; /* of decoded answers; reset by bb_reset */
    bool trace;
    uint32_t
        lose_memory; /* chance in a thousand per step that one of its first allocations fails */
    struct ferry_prng prng;
    uint64_t lost;
};

void bb_init(struct bb *, uint64_t seed);
/* Sets a static key for the next start. */
void bb_set(struct bb *, const char *key, const char *value);
/* Starts the node and runs until it serves. */
void bb_start(struct bb *);
void bb_stop(struct bb *); /* cleanly */
void bb_kill(struct bb *, bool power_loss);
void bb_free(struct bb *);
/* Feeds events until there are none. */
void bb_run(struct bb *);
/* Moves time, stepping deadlines on the way, and runs. */
void bb_advance(struct bb *, int64_t ms);
void bb_release_syncs(struct bb *);

size_t bb_connect(struct bb *);
void bb_bytes(struct bb *, size_t conn, const void *data, size_t len);
void bb_disconnect(struct bb *, size_t conn);
void bb_drain(struct bb *, size_t conn);
/* Sends a request; its correlation id. */
int32_t bb_send(struct bb *, size_t conn, int key, int version, const void *body);
/* Is a whole answer there? Then it is taken: false if there is none or it does not decode. */
bool bb_take(struct bb *, size_t conn, int key, int version, int32_t *correlation, void *out);
/* Sends, runs and takes. */
bool bb_call(struct bb *, size_t conn, int key, int version, const void *body, void *out);
void bb_reset(struct bb *);

/* ---- shorthands ---- */
/* A broker with no setting of its own, that serves. */
void bb_begin(struct bb *);
/* The error code of CreateTopics. */
int bb_create(struct bb *, size_t conn, const char *topic, int32_t partitions);
/* The same, with one setting unless key is NULL. */
int bb_create_with(struct bb *, size_t conn, const char *topic, int32_t partitions, int factor,
                   const char *key, const char *value);
/* Zero if there is no such topic. */
struct ferry_uuid bb_topic_id(struct bb *, size_t conn, const char *topic);
/* One batch of `count` records with values numbered from `first`; a slab with one reference. */
struct ferry_slab *bb_batch(int count, int first, int64_t producer, int sequence);
int32_t bb_produce_begin(struct bb *, size_t conn, const char *topic, int32_t partition, int count,
                         int first, int acks);
/* The error code; *offset gets the base offset. */
int bb_produce(struct bb *, size_t conn, const char *topic, int32_t partition, int count, int first,
               int64_t *offset);
/* A fetch of one partition, version 12, no session. */
int32_t bb_fetch_begin(struct bb *, size_t conn, const char *topic, int64_t offset,
                       int32_t min_bytes, int32_t wait_ms);
/* The same of partition 0, answered at once: the number of records in its batches; the error code in *error (or NULL). */
int bb_fetch(struct bb *, size_t conn, const char *topic, int64_t offset, int *error);
/* Records in what was fetched; -1 if a CRC does not match. */
int bb_count_records(struct ferry_bytes set);

#endif
