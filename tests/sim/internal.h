/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H
/* What world.c, net.c and execute.c share. */
#include "tests/sim/net.h"

struct sim_world {
    struct ferry_prng prng;
    struct ferry_timers timers;
    struct ferry_link nodes, calls;
    ferry_nsec now;
    ferry_msec wall_offset;
    uint64_t hash, next_handle;
    uint32_t node_count;
    uint16_t next_port;
    struct sim_faults faults;
    struct sim_counts counts;
    void *trace;
    char failure[512];
};

enum { SIM_FILE_LANES = 64 };

struct sim_node {
    struct ferry_link link;
    struct sim_world *world;
    char *name;
    const struct sim_node_ops *ops;
    void *cookie;
    struct sim_disk *disk;
    struct ferry_engine *engine; /* NULL: not running */
    struct ferry_actions actions;
    struct ferry_link ends, listeners;
    ferry_nsec paused_until;
    ferry_nsec file_busy[SIM_FILE_LANES]; /* lane 0: paths; the others: files by slot */
    uint8_t address;                      /* 10.0.0.address */
    bool stepping;
    struct sim_node *stalled_with; /* and until when */
    ferry_nsec stalled_until;
    struct sim_node *deaf_to; /* until sim_node_deafen ends it */
};

/* Something that will happen: dropped with its node. */
struct sim_call {
    struct ferry_link link;
    struct ferry_timer timer;
    struct sim_node *node;
    void (*run)(struct sim_world *, struct sim_call *);
    struct ferry_event event; /* what most calls bring */
    struct sim_end *end;
    struct ferry_slab *slab; /* memory of the event, released with the call */
    struct ferry_addr addr;
    struct ferry_action action;
    struct file_work *work; /* of a file action, see files.c */
    bool always;            /* run even if the world ends before its time: it frees something */
};

struct sim_call *sim_call(struct sim_world *, struct sim_node *, ferry_nsec delay,
                          void (*run)(struct sim_world *, struct sim_call *));
void sim_calls_drop(struct sim_world *, struct sim_node *); /* NULL: all */
void sim_step(struct sim_node *, struct ferry_event *);
void sim_execute(struct sim_node *, struct ferry_action *, const struct ferry_part *);
void sim_hash(struct sim_world *, const void *, size_t);
/* A call that steps the node with c->event. */
void sim_bring(struct sim_world *, struct sim_call *);

void sim_net_open(struct sim_node *, const struct ferry_action *);
void sim_net_listen(struct sim_node *, const struct ferry_action *);
void sim_net_adopt(struct sim_node *, const struct ferry_action *);
void sim_net_refuse(struct sim_node *, uint64_t handle);
void sim_net_send(struct sim_node *, const struct ferry_action *, struct ferry_bytes whole);
void sim_net_control(struct sim_node *,
                     const struct ferry_action *); /* RECEIVE_INTO, PAUSE, RESUME, CLOSE */
/* crash: nothing that it sent arrives any more. */
void sim_net_drop_node(struct sim_node *, bool crash);

void sim_files_execute(struct sim_node *, const struct ferry_action *, const struct ferry_part *);
/* Bytes of a file part of a SEND; a range beyond the file is our own mistake. */
void sim_files_gather(struct sim_node *, struct ferry_id file, uint64_t offset, uint8_t *to,
                      uint64_t len);
void sim_files_drop(struct sim_node *, bool crash);
void sim_files_free(struct sim_call *);

#endif
