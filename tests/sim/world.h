/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H
/*
 * A world for engines: virtual time, one thread, one seed.
 *
 * Nodes hold engines (clients and brokers alike); the world executes their actions and feeds them
 * events in the order of (time, sequence). Links delay, cut and re-chunk their streams; disks are
 * tests/sim/disk; processes stop, crash and start again. Everything random is drawn from the seed,
 * so the same seed gives the same trace, byte for byte.
 *
 * Invariants: those of engine/env.h, of which the world checks what a driver cannot: that an engine
 * sends only on connections it owns, and that virtual time advances (an engine that asks for a
 * deadline in the past without end is caught as a spin).
 */
#include "base/heap.h"
#include "base/prng.h"
#include "engine/env.h"

struct sim_world;
struct sim_node;
struct sim_disk;

/* What one node is made of. start makes a fresh engine (after a crash too: all its memory is gone).
 */
struct sim_node_ops {
    struct ferry_engine *(*start)(struct sim_node *, void *cookie);
    /* The engine is dead: free it. crashed: it had no chance to say goodbye. */
    void (*stop)(struct sim_node *, struct ferry_engine *, bool crashed, void *cookie);
    void (*deliver)(struct sim_node *, void *delivery, void *cookie); /* FERRY_DO_DELIVER */
    /* May be NULL: the engine has stepped; its actions are not executed yet. */
    void (*stepped)(struct sim_node *, void *cookie);
};

/* Chances are in a thousand per occasion; delays in virtual ns. */
struct sim_faults {
    ferry_nsec latency_low, latency_high; /* one way, per chunk */
    uint32_t spike;                       /* chance that a chunk takes up to spike_max more */
    ferry_nsec spike_max;
    uint32_t cut;                   /* chance per chunk that the connection is reset instead */
    uint32_t tiny;                  /* chance per connection that it delivers byte by byte */
    uint32_t refuse;                /* chance that a connect fails */
    ferry_nsec disk_low, disk_high; /* time of one file action */
    uint32_t
        disk_stall; /* chance that a file action takes a hundred times as long, at most a second */
    ferry_nsec work_high; /* WORK takes up to this */
};

struct sim_counts {
    uint64_t events, chunks, cuts, spikes, refused, crashes, restarts, torn, disk_errors, stalls,
        drops, bytewise;
};

struct sim_world *sim_world_new(uint64_t seed);
void sim_world_free(struct sim_world *);
struct ferry_prng *sim_world_prng(struct sim_world *);
struct sim_faults *sim_world_faults(struct sim_world *); /* change it at any time */
struct sim_counts *sim_world_counts(struct sim_world *);
ferry_nsec sim_world_now(const struct sim_world *);
ferry_msec sim_world_wall(const struct sim_world *);
/* The hash of everything that happened so far. */
uint64_t sim_world_hash(const struct sim_world *);
/* Prints every event to a stream as it happens. NULL: off. */
void sim_world_trace(struct sim_world *, void *file);
/* Adds a line to the trace (and its hash): what a workload or checker saw. */
void sim_world_note(struct sim_world *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A node, not yet running. disk may be NULL for one without files; it is the caller's. Host names
 * resolve to nodes. */
struct sim_node *sim_node_add(struct sim_world *, const char *name, const struct sim_node_ops *,
                              struct sim_disk *, void *cookie);
void sim_node_start(struct sim_node *);
/* Stops a running node: its connections reset at their peers; crash: its disk loses what was not
 * synced. */
void sim_node_stop(struct sim_node *, bool crash);
bool sim_node_running(const struct sim_node *);
struct ferry_engine *sim_node_engine(struct sim_node *);
struct sim_world *sim_node_world(struct sim_node *);
const char *sim_node_name(const struct sim_node *);
/* Steps the engine with a command now. */
void sim_node_command(struct sim_node *, void *command);
/* No byte moves between the two until `until`; nothing is lost. */
void sim_pair_stall(struct sim_node *, struct sim_node *, ferry_nsec until);
/* What `from` sends to the node is lost, and so are the node's connections in the end: from NULL ends it and resets
 * them. */
void sim_node_deafen(struct sim_node *, struct sim_node *from);
/* A stalled process: it gets no event until `until`. */
void sim_node_pause(struct sim_node *, ferry_nsec until);
/* Resets every open connection of the node. */
void sim_node_cut(struct sim_node *);

/* A call in virtual time, outside any engine. timer.fire gets the world as context. */
void sim_world_at(struct sim_world *, struct ferry_timer *, ferry_nsec at);
/* Runs until `until` or nothing is left to happen; false if a step failed or an engine spins (text
 * says which). */
bool sim_world_run(struct sim_world *, ferry_nsec until);
const char *sim_world_failure(const struct sim_world *);
/* Reports a failure of a checker: ends the run. */
void sim_world_fail(struct sim_world *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
