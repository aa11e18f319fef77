/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_CLUSTER_H
#define CLIENT_CLUSTER_H
/*
 * What the client knows of the cluster: topics that somebody wants, their partitions and leaders;
 * brokers; the controller. Refreshed on demand, by age and on errors, all demands of a moment in
 * one request.
 *
 * Invariants:
 *  1. A partition's leader epoch never goes back while the topic keeps its id: an answer or hint
 * with an older epoch changes nothing of that partition.
 *  2. struct ferry_topic_meta of a wanted topic stays at its address until the last unwant. Its
 * partitions array may move when metadata arrives: keep (topic, index), not pointers into it.
 *  3. Partition counts never shrink while the topic keeps its id.
 */
#include "base/map.h"
#include "base/text.h"
#include "client/request.h"
#include "ferry/error.h"

struct ferry_partition_meta {
    int32_t leader;       /* node id; -1 = none now */
    int32_t leader_epoch; /* -1 = not told */
    int16_t error;        /* Kafka's code of the partition in the last answer */
    uint16_t replica_count, isr_count, offline_count;
    int32_t *replicas; /* replicas, then isr, then offline, in one array; the cluster's */
};

struct ferry_topic_meta {
    struct ferry_link link; /* of all topics, in the order in which they were first wanted */
    char *name;
    size_t name_len;
    struct ferry_uuid id; /* zero when brokers are too old to tell */
    int16_t
        error;  /* 0, or Kafka's code: UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED ... */
    bool known; /* some answer was about it: until then partition_count 0 means "not asked yet" */
    bool internal;
    int32_t partition_count;
    struct ferry_partition_meta *partitions;
    uint32_t changes;          /* counts up at every change of any field above */
    uint32_t wants;            /* interest: want calls less unwant calls */
    uint32_t auto_create;      /* those of them with FERRY_WANT_CREATE */
    ferry_nsec answered_at;    /* when the last answer about it came */
    void *producer, *consumer; /* free for the modules: their own state of the topic; NULL at first.
                                  A module clears its pointer before it unwants */
};

enum ferry_want { FERRY_WANT_CREATE = 1 /* the broker may create the topic */ };

/* Puts a topic under watch (counted) and asks for its metadata soon if it is not known. NULL
 * without memory. */
struct ferry_topic_meta *ferry_cluster_want(struct ferry_client *, struct ferry_str name,
                                            unsigned flags);
void ferry_cluster_unwant(struct ferry_client *, struct ferry_topic_meta *, unsigned flags);
/* Watch every topic of the cluster (pattern subscriptions); counted. */
void ferry_cluster_want_all(struct ferry_client *);
void ferry_cluster_unwant_all(struct ferry_client *);
/* Cached topics, wanted or seen by want_all; NULL if there is none. */
struct ferry_topic_meta *ferry_cluster_topic(const struct ferry_client *, struct ferry_str name);
struct ferry_topic_meta *ferry_cluster_topic_by_id(const struct ferry_client *,
                                                   const struct ferry_uuid *id);
/* Iteration in a repeatable order: start with NULL. */
struct ferry_topic_meta *ferry_cluster_next(const struct ferry_client *,
                                            struct ferry_topic_meta *after);

/* Asks for fresh metadata: after an error that says M in the error table. Coalesced; at most one
 * request per backoff. */
void ferry_cluster_refresh(struct ferry_client *);

/* A leader that a Produce or Fetch answer told (KIP-951). Applied only if `epoch` is newer than the
   cached one; the endpoint, if any (host.len > 0), is learnt first. Returns true if it changed the
   leader: retry at once. */
struct ferry_node_hint {
    int32_t node;
    struct ferry_str host;
    int32_t port;
    struct ferry_str rack;
};
bool ferry_cluster_hint(struct ferry_client *, struct ferry_topic_meta *, int32_t partition,
                        int32_t leader, int32_t epoch, const struct ferry_node_hint *endpoint);

/* Adds bootstrap servers ("host:port,host:port") at run time. FERRY_E_CONFIG names the part that is
 * wrong. */
int ferry_cluster_add_bootstrap(struct ferry_client *, const char *list, struct ferry_error *err);

/* The cluster's id; data NULL until known. The controller's node id; -1 until known. */
struct ferry_str ferry_cluster_id(const struct ferry_client *);
int32_t ferry_cluster_controller(const struct ferry_client *);

/* -- Observers
 * ------------------------------------------------------------------------------------------ */

/* Embedded in a module. Any function may be NULL. Called from inside steps, in order of
   registration. They may submit and cancel requests, want topics, and add or remove observers other
   than themselves. */
struct ferry_observer {
    struct ferry_link link;
    void *cookie;
    /* A wanted topic's metadata changed (also its error); `id_changed`: it was deleted and made
     * anew. */
    void (*on_topic)(struct ferry_client *, struct ferry_observer *, struct ferry_topic_meta *,
                     bool id_changed);
    /* An answer to a metadata request was applied whole; after the on_topic calls. status: 0, or
       why the last try failed (enum ferry_err), so that waits for unknown topics can be bounded. */
    void (*on_metadata)(struct ferry_client *, struct ferry_observer *, int32_t status);
    /* A connection of a class came up (or may be written again after a throttle), or went down (status: why; its requests are done before or
     * right after). */
    void (*on_broker_up)(struct ferry_client *, struct ferry_observer *, int32_t node,
                         enum ferry_class);
    void (*on_broker_down)(struct ferry_client *, struct ferry_observer *, int32_t node,
                           enum ferry_class, int32_t status);
    /* Statistics (client/statistics.h): adds `,"name":{...}` to out, which may be called at any time; with out NULL an
       interval ended: rolls the windows. */
    void (*on_statistics)(struct ferry_client *, struct ferry_observer *, struct ferry_text *out);
    /* The client closes: end everything; requests still active are cancelled by the core
     * afterwards. */
    void (*on_close)(struct ferry_client *, struct ferry_observer *);
};

void ferry_client_observe(struct ferry_client *, struct ferry_observer *);
void ferry_client_unobserve(struct ferry_client *, struct ferry_observer *);

#endif
