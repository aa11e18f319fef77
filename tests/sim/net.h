/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SIM_NET_H
#define SIM_NET_H
/*
 * The simulated network: listeners, connections as two streams, chunks in flight. Used by world.c
 * alone. A stream keeps its order, as TCP does: a chunk never arrives before the one sent ahead of
 * it. What a step sends is cut into chunks at drawn places; each takes its own latency. A cut drops
 * what is under way in both directions.
 */
#include "base/list.h"
#include "tests/sim/world.h"

/* One end of a connection. */
struct sim_end {
    struct ferry_link link; /* in its node's ends */
    struct sim_node *node;  /* NULL: not adopted yet */
    struct ferry_id id;
    struct sim_end *peer;    /* NULL once the other side is gone */
    struct ferry_slab *slab; /* lent by RECEIVE_INTO */
    struct ferry_link inbox; /* of struct sim_chunk, arrived or under way, in order */
    ferry_nsec last_arrival; /* of the newest chunk towards this end: the next one is not earlier */
    uint64_t handle;         /* while waiting for ADOPT */
    struct ferry_addr peer_addr;
    bool paused, tiny, closing, connected;
};

struct sim_chunk {
    struct ferry_link link;
    ferry_nsec at;
    struct sim_node *from;
    bool end; /* orderly close behind the bytes */
    size_t len, taken;
    uint8_t data[];
};

struct sim_listener {
    struct ferry_link link; /* in its node's listeners */
    struct ferry_id id;
    uint16_t port;
};

#endif
