/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SIM_SCENE_H
#define SIM_SCENE_H
/*
 * One seeded run: a broker on its disk, producers, consumers and an observer, faults for a while, then quiet, then the
 * checks. Everything that is drawn comes from the seed (by way of the world's generator), and nothing else decides.
 *
 *   scene.c      the course of a run: start, faults, quiet, finish
 *   broker.c     the broker's process: starts, clean stops, kills, power losses
 *   clients.c    what every client process needs: configuration, commands, teardown
 *   producers.c  sends and their reports
 *   consumers.c  a group that is joined and left, and what its members are given
 *   observer.c   topics are made, high watermarks are watched
 *   faults.c     what goes wrong, and when
 *   ledger.c     every send and what became of it: the checkers
 */
#include "base/prng.h"
#include "client/client.h"
#include "refbroker/node.h"
#include "tests/sim/disk.h"
#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

enum { SCENE_PRODUCERS = 3, SCENE_CONSUMERS = 3, SCENE_SENDS = 420, SCENE_SETTINGS = 512 };

struct scene;

/* The sums of a run, or of many. */
struct scene_totals {
    uint64_t seeds, violations, ops, acked, failed, crashes, torn, dedup, rebalances, faults,
        expired;
    uint64_t consumed, commits, fenced, cuts, stops, watermarks;
    uint64_t acks_none, five_lost, stalled, offline, segments;
    uint64_t delays, drops, bytewise, slow, no_space, short_writes, failed_syncs;
    char violation[512]; /* the last one */
};

/* Drawn once for each run. */
struct scene_plan {
    int64_t flush_messages; /* 1, some, or INT64_MAX */
    int32_t segment_bytes;
    bool power_loss; /* crashes may be power losses */
    ferry_nsec faults_for;
};

struct scene_broker {
    struct scene *scene;
    struct sim_node *node;
    struct sim_disk *disk;
    struct broker_config config;
    struct broker_node *engine;
    uint64_t starts;
    bool ready, stopping;
    bool disk_fails;       /* errors are on, or were since it started */
    uint64_t failed_syncs; /* of the disk, when it last lost its power */
    ferry_nsec down;       /* how long it stays down after the stop under way */
    struct ferry_timer stop, start;
};

void scene_broker_init(struct scene *);
void scene_broker_free(struct scene *);
/* Ends it at once and starts it again `down` later; power: the machine fails, not the process alone. */
void scene_broker_crash(struct scene *, bool power, ferry_nsec down);
/* Writes fail, for want of space or at all, and perhaps syncs. If that took the broker's directory offline, the broker is
 * started anew when the disk heals, or the machine is, if a sync failed. */
void scene_broker_disk_fails(struct scene *);
void scene_broker_disk_heals(struct scene *, ferry_nsec down);
/* Asks it to stop; it is started again `down` after it has. */
void scene_broker_stop(struct scene *, ferry_nsec down);

/* A client process: its engine lives while the node runs. First member of producers, consumers and the observer. */
struct scene_client {
    struct scene *scene;
    struct sim_node *node;
    struct ferry_client *client;
    char settings[SCENE_SETTINGS];
    struct ferry_link commands; /* not handed in yet */
    struct ferry_timer timer;
    void (*started)(struct scene_client *); /* the engine is there, not stepped yet */
    void (*delivered)(struct scene_client *, void *);
    void (*stopped)(struct scene_client *); /* the engine is gone */
    void (*stepped)(struct scene_client *); /* may be NULL; before what it delivers */
};

/* Adds the node, not running. */
void scene_client_init(struct scene *, struct scene_client *, const char *name);
/* Hands a command to the engine soon: not inside this step. */
void scene_client_post(struct scene_client *, struct ferry_command *);
/* Hands in what was posted, now. */
void scene_client_flush(struct scene_client *);

struct scene_producer;
void scene_producers_init(struct scene *);
void scene_producers_free(struct scene *);
bool scene_producers_sent(const struct scene *); /* every quota is used up */
struct sim_node *scene_producer_node(struct scene *, int);
uint32_t scene_producer_in_flight(const struct scene *, int); /* Produce requests */
/* One of them and the broker do not hear of each other until then. */
void scene_stall_client(struct scene *, ferry_nsec until);

struct scene_group;
void scene_consumers_init(struct scene *);
void scene_consumers_free(struct scene *);
/* Each partition's last record is consumed; the ends are known by ledger_check. */
bool scene_consumers_at_end(const struct scene *);
/* All that run are members of the same generation, and between them they own every partition. */
bool scene_consumers_stable(const struct scene *);

struct scene_observer;
void scene_observer_init(struct scene *);
void scene_observer_free(struct scene *);
bool scene_observer_has_topics(const struct scene *);

void scene_faults_start(struct scene *);
/* Ends all faults and brings everything up again. */
void scene_faults_end(struct scene *);

struct scene {
    struct sim_world *world;
    struct ferry_prng *prng;
    uint64_t seed;
    void *trace;
    struct scene_plan plan;
    struct scene_totals totals;
    struct scene_broker broker;
    struct scene_producer *producers;
    struct scene_observer *observer;
    struct scene_group *group;
    struct ledger *ledger;
    struct ferry_timer fault, disk_fault, deaf;
    int deaf_producer;    /* while the timer runs */
    ferry_nsec disturbed; /* when something last happened that a group needs time to get over */
    bool with_group;
    bool quiet;  /* faults are over */
    bool ending; /* what is torn down now is not looked at */
};

/* Runs one seed, with a group of consumers or without. Adds to *sum, gives the hash of the trace; false with
 * sum->violation if a checker found something. */
bool scene_run(uint64_t seed, bool group, void *trace, struct scene_totals *sum, uint64_t *hash);

#endif
