/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_NODE_STATE_H
#define REFBROKER_NODE_STATE_H
/* The node's innards, for its own modules (handler/, coord/, cluster/). */
#include "base/heap.h"
#include "base/prng.h"
#include "refbroker/cluster/image.h"
#include "refbroker/cluster/metalog.h"
#include "refbroker/cluster/partition.h"
#include "refbroker/cluster/stray.h"
#include "refbroker/coord/groups.h"
#include "refbroker/handler/conn.h"
#include "refbroker/handler/session.h"
#include "refbroker/log/log.h"
#include "refbroker/node.h"

/*
 *  NEW -> META (meta.properties) -> DIR (checkpoints, marker) -> METALOG (image) -> LOGS (every partition)
 *      -> EPOCH (registration and new leader epochs on disk) -> SERVING -> STOPPING -> STOPPED
 *  FAILED from anywhere. broker_node_move (node.c) is the only writer of the phase.
 */
enum broker_phase {
    PHASE_NEW,
    PHASE_META,
    PHASE_DIR,
    PHASE_METALOG,
    PHASE_LOGS,
    PHASE_EPOCH,
    PHASE_SERVING,
    PHASE_STOPPING,
    PHASE_STOPPED,
    PHASE_FAILED
};

enum {
    BROKER_METADATA_VERSION = 25, /* 4.0-IV3: what a new log finalises */
    BROKER_METADATA_VERSION_MIN = 7,
    BROKER_PRODUCER_ID_BLOCK = 1000
};

struct broker_node {
    struct ferry_engine engine;
    enum broker_phase phase;
    struct ferry_actions *out; /* of this step */
    ferry_nsec now;
    ferry_msec wall;
    struct broker_config config;
    struct broker_node_options options;
    struct ferry_prng prng;
    struct ferry_timers timers;

    /* identity */
    char cluster_id[64];
    struct ferry_uuid directory_id;
    struct ferry_addr bound;
    char *host; /* advertised */
    uint16_t port;

    struct log_host log_host;
    struct log_files files;
    struct log_dir dir;
    struct broker_image image;
    struct broker_metalog metalog;
    struct broker_conns conns;
    struct broker_sessions sessions;
    struct broker_groups groups;

    int64_t producer_id_next, producer_id_end; /* of the block that this node holds */
    size_t
        parked_fetches; /* bytes of what fetches that wait hold, each one's first few KiB aside */
    struct ferry_link woken;     /* fetches that look again at the end of the step */
    struct ferry_link creations; /* of struct broker_creation: they wait for logs to open */
    struct ferry_link gone;      /* partitions that are being deleted */
    uint32_t deleting;           /* how many */
    uint32_t opening;            /* logs on their way during PHASE_LOGS */
    struct ferry_timer dir_timer;
    struct metalog_op start_op;
    struct log_request dir_request;
    struct log_load meta_load;
    struct log_save meta_save;
    struct broker_strays strays;
    struct broker_notice ready, stopped, failed;
    bool notified_failed;
    struct broker_node_counts counts;
};

/* Log lines; the level as enum log_level. */
void broker_node_say(struct broker_node *, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The node cannot go on: says so once, and does nothing more. */
void broker_node_fail(struct broker_node *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Kafka's text of a uuid. False if it is not one. */
bool broker_node_parse_uuid(struct ferry_str, struct ferry_uuid *);
/* A partition opened during the start has ended its opening. */
void broker_node_log_opened(struct broker_node *);

static inline int broker_timer_in(struct broker_node *n, struct ferry_timer *t, int64_t ms)
{
    int64_t limit = (INT64_MAX - n->now) / FERRY_MS - 1;
    return ferry_timer_set(&n->timers, t, ms > limit ? FERRY_NEVER - 1 : n->now + ms * FERRY_MS);
}

#endif
