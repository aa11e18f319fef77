/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_NODE_H
#define REFBROKER_NODE_H
/*
 * A broker node as an engine: what main.c drives by epoll, the simulator by virtual time, and an
 * embedding program on its own loop.
 *
 *   broker_node_new          -> an engine whose deadline is in the past: step it once with
 * FERRY_EV_DEADLINE to start FERRY_DO_DELIVER         -> struct broker_notice: ready (serves),
 * stopped (may be freed), failed (cannot go on) FERRY_EV_COMMAND         <- struct broker_command:
 * stop
 *
 * The node's files are relative to the driver's root directory; nobody else may write there (main.c
 * holds a lock). One thread at a time; nothing here blocks. Freed at any moment without a word, it
 * has crashed: what that loses is what the flush policy allowed.
 */
#include "engine/env.h"
#include "refbroker/broker_config.h"

struct broker_node;

struct broker_node_options {
    const struct broker_config *config; /* copied */
    uint64_t
        seed; /* of all randomness: ids of cluster, topics and members. Fresh at every start. */
    struct ferry_addr listen; /* port 0: a free one */
    const char
        *host; /* what clients are told to connect to; NULL: the address that was listened on */
    uint16_t advertised_port; /* likewise; 0: the bound one */
    /* Log lines without newline; level as enum log_level (0 error .. 3 debug). May be NULL. */
    void (*log)(void *cookie, int level, const char *text);
    void *cookie;
};

enum broker_notice_type {
    BROKER_READY,   /* serves on addr */
    BROKER_STOPPED, /* a clean stop is complete: every byte is on disk */
    BROKER_FAILED   /* could not start, or cannot go on: text says why */
};
/* Lives in the node until it is freed; one of each type at most. */
struct broker_notice {
    enum broker_notice_type type;
    struct ferry_addr addr;
    char text[512];
};

enum broker_command_type { BROKER_STOP };
/* The caller's, borrowed for the step. */
struct broker_command {
    enum broker_command_type type;
};

/* 0, FERRY_E_NOMEM, or FERRY_E_CONFIG with the text in err. */
int broker_node_new(struct broker_node **out, const struct broker_node_options *,
                    struct ferry_error *err);
struct ferry_engine *broker_node_engine(struct broker_node *);
void broker_node_free(struct broker_node *); /* NULL is fine */

/* Counters since the start; for tests and benchmarks. */
struct broker_node_counts {
    uint64_t connections, connections_total, requests, bytes_in, produced_batches, duplicates,
        fetches, rebalances;
    uint64_t queued_bytes; /* memory held for requests that are arriving or under way */
    uint64_t parked_bytes; /* and for those that wait for something else */
};
void broker_node_read_counts(const struct broker_node *, struct broker_node_counts *);

#endif
