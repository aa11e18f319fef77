/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_PUPPET_H
#define TESTS_PUPPET_H
/*
 * A client engine driven by hand: the test plays the world. Names resolve to what the test says, connections are
 * accepted, refused or left hanging by address, and a scripted cluster answers requests, or the test does. No time
 * passes but what the test lets pass.
 */
#include "client/client.h"
#include "base/prng.h"
#include "engine/conn.h"

#include <stdbool.h>

enum { PUPPET_CONNS = 64, PUPPET_NODES = 8, PUPPET_TOPICS = 8, PUPPET_PARTITIONS = 8 };

struct puppet_conn {
    struct ferry_id id; /* gen 0: free */
    struct ferry_addr addr;
    bool open, closing;
    uint8_t *sent; /* bytes from the client not yet looked at */
    size_t sent_len, sent_cap;
    uint64_t undrained; /* op not yet reported drained; 0: none */
};

struct puppet_node {
    int32_t id;
    bool down;   /* refuses */
    bool hangs;  /* neither accepts nor refuses */
    bool silent; /* accepts, negotiates, answers nothing else */
    bool mute;   /* answers nothing at all */
    int api_versions_max; /* 0: all that there are; else ApiVersions itself is known up to so many, less one */
    int metadata_max; /* -1: all */
};

struct puppet_topic {
    const char *name;
    struct ferry_uuid id;
    int16_t error;
    int32_t partitions;
    int32_t leader[PUPPET_PARTITIONS], epoch[PUPPET_PARTITIONS];
};

struct puppet;

/* A request that reached a node. Answer it with puppet_answer, or return false to have the puppet do it (ApiVersions,
   Metadata, FindCoordinator) or leave it unanswered. */
typedef bool puppet_handler(struct puppet *, struct puppet_conn *, struct puppet_node *,
                            const struct ferry_request_head *);

/* Node n listens on 10.0.0.n, port 9092, and is known to metadata as "node-n". */
struct puppet {
    struct ferry_client *client;
    struct ferry_config *config;
    struct ferry_actions out;
    ferry_nsec now;
    int dead; /* what step returned, if not 0 */
    struct puppet_conn conns[PUPPET_CONNS];
    struct puppet_node nodes[PUPPET_NODES];
    int node_count;
    struct puppet_topic topics[PUPPET_TOPICS];
    int topic_count;
    int32_t controller, coordinator;
    int16_t coordinator_error;
    int16_t metadata_error;
    puppet_handler *handler;
    bool hold_drained;        /* DRAINED only when the test says so */
    struct ferry_prng *spoil; /* some answers are spoilt: bytes changed, cut off, added */
    int chunk;                /* answers arrive in pieces of so many bytes; 0: whole */
    /* Names: name -> addresses. Others resolve to nothing. "node-n" is known. */
    const char *name;
    struct ferry_addr name_addrs[8];
    size_t name_count;
    uint64_t resolves[16];
    char resolve_names[16][64];
    uint16_t resolve_ports[16];
    size_t resolve_count;
    bool hold_resolves;
    /* What was seen. */
    bool creation_allowed; /* by some Metadata request */
    int opens, refusals, requests, metadata_requests, api_versions_requests,
        find_coordinator_requests, errors;
    int last_error;
    struct ferry_addr opened[64]; /* in order */
    void *deliveries[64];         /* the first of them, unless deliver is set */
    int delivery_count;
    void (*deliver)(struct puppet *, void *delivery); /* takes them instead */
    uint64_t works[64]; /* ops of work that was done at once; the client does not know yet */
    int work_count;
    void *cookie;
};

/* One node, up. settings: "key=value" lines, or NULL; bootstrap.servers is node-0 unless they say otherwise. */
void puppet_init(struct puppet *, const char *settings);
void puppet_end(struct puppet *);
/* Steps one event, and does what the actions ask. */
void puppet_event(struct puppet *, struct ferry_event);
/* Runs until nothing is left to do at this time. */
void puppet_settle(struct puppet *);
/* Lets time pass, stepping every deadline on the way, settling after each. */
void puppet_pass(struct puppet *, ferry_nsec);
/* Runs fn inside a step, then settles. */
void puppet_do(struct puppet *, void (*fn)(struct ferry_client *, void *), void *arg);
/* The same, without settling. */
void puppet_call(struct puppet *, void (*fn)(struct ferry_client *, void *), void *arg);
/* Answers a request; body as a struct of its API's response. */
void puppet_answer(struct puppet *, struct puppet_conn *, const struct ferry_request_head *,
                   const void *body);
/* Sends raw bytes to the client. */
void puppet_bytes(struct puppet *, struct puppet_conn *, const void *data, size_t len);
/* The world ends a connection. */
void puppet_cut(struct puppet *, struct puppet_conn *, int status);
void puppet_drain(struct puppet *);
/* Open connections of a node. */
int puppet_open_conns(struct puppet *, int32_t node);
struct puppet_conn *puppet_conn_to(struct puppet *, int32_t node);
struct ferry_addr puppet_addr(int32_t node);
/* One more topic, every partition led by `leader` in epoch 1. name is borrowed. */
void puppet_add_topic(struct puppet *, const char *name, int32_t partitions, int32_t leader);
/* What the client knows of a topic; NULL: nothing. */
struct ferry_topic_meta *puppet_topic_meta(struct puppet *, const char *name);

#endif
