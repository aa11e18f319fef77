/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SINK_SINK_H
#define SINK_SINK_H
/* What the parts of the sink share: options, counters, topics, connections. One process, one thread. */
#include "wire.h"

#include <stdint.h>

#define MAXBROKERS 256
#define MAXTOPICS 256
#define ENDLESS ((int64_t)1 << 40)

/* -- Options, set once by main -- */
extern int o_brokers, o_parts, o_size, o_key, o_batch, o_verify, o_quiet, o_relay;
extern int64_t o_log_end;
extern const char *o_codec;
extern int ports[MAXBROKERS];

struct sink_stats {
    uint64_t conns, reqs, produce, batches, records, wire, fetch, fetch_records, fetch_bytes,
        badcrc;
};
extern struct sink_stats st;

uint64_t now_ms(void);

/* -- Topics: topics.c -- */

typedef struct {
    int64_t base;
    uint32_t count, len;
    uint8_t *p;
} kept_t;
typedef struct { /* relay mode: the newest batches of one partition */
    kept_t *v;
    size_t head, n, cap, bytes;
} log_t;
typedef struct {
    char name[256];
    int nlen;
    uint8_t id[16];
    int64_t *next; /* per partition: offset for the next produced record */
    log_t *log;
} topic_t;
extern topic_t topics[MAXTOPICS];
extern int ntopics;

/* The topic of that name, invented if it is not there. */
topic_t *topic_get(const char *n, int l);
/* NULL if there is none. */
topic_t *topic_by_id(const uint8_t *id);
/* Relay mode: keeps a copy of a produced batch. */
void log_keep(topic_t *t, int part, const uint8_t *p, uint32_t len, uint32_t count);
/* Index of the first kept batch that reaches past off, or n. */
size_t log_find(log_t *l, int64_t off);

/* -- The batch that Fetch is answered with: served.c -- */

extern uint8_t *served;
extern size_t served_len;
void build_served(void);

/* -- Connections: conn.c -- */

enum { S_HEAD, S_TOPIC, S_PART, S_BATCH, S_SKIP, S_PARTEND };

typedef struct conn {
    int fd, node;
    uint8_t *in; /* ring-less input buffer: [ih, it) is unread */
    size_t ih, it, icap;
    /* request being parsed */
    int state, api, ver, flex;
    int32_t corr;
    size_t left; /* bytes of this request not yet consumed */
    int acks, nt, np;
    size_t rleft; /* bytes of this partition's records left */
    size_t skip;
    topic_t *t;
    int part;
    int64_t base;
    /* output */
    buf_t ob; /* small pieces live here */
    buf_t rb; /* the Produce response being built */
    struct seg {
        size_t off, len;
        const uint8_t *ext;
    } * seg;
    int nseg, cseg, hseg;
    size_t hoff;
    int want_out;
    uint64_t hold_until;
    uint64_t wait_end; /* relay: a Fetch is parked until then */
    int parked, final;
    struct conn *next;
} conn_t;

extern conn_t *conns;
extern int ep, fresh; /* fresh: relay mode got new records */

/* Adds a piece to what is to be sent: of c->ob, or ext. */
void seg_add(conn_t *c, size_t off, const uint8_t *ext, size_t len);
/* Starts a response in c->ob; returns its start offset. */
size_t rsp_begin(conn_t *c, int hdr_flex);
/* Ends it; `extra` bytes of it lie elsewhere, and then its pieces are added already. */
void rsp_end(conn_t *c, size_t at, size_t extra);
/* Writes what the socket takes. -1: the connection is broken. */
int flush_out(conn_t *c);
void conn_accept(int listener, int node);
/* Serves an event of epoll; may close. */
void on_conn(conn_t *c, unsigned ev);
void conn_close(conn_t *c);
/* Parked fetches whose time has come, or that new records may end. */
void conns_wake(void);
/* Milliseconds until conns_wake has something to do by the clock; at most 1,000. */
int conns_wait(int *held);

/* -- Requests -- */

/* request.c: takes what is buffered. 0: needs more input; -1: drop the connection. */
int process(conn_t *c);
/* answers.c: any request but Produce; body [p, p+n) is whole. -1: drop; 1: parked. */
int small_request(conn_t *c, const uint8_t *p, size_t n);
/* The first flexible version of a request. */
int flex_from(int api);
/* fetch.c: 1 if it is parked. */
int fetch(conn_t *c, rd_t *r);
void list_offsets(conn_t *c, rd_t *r);
/* group.c: a group of one member. */
void find_coordinator(conn_t *c);
void join_group(conn_t *c, rd_t *r);
void sync_group(conn_t *c, rd_t *r);
void offset_fetch(conn_t *c, rd_t *r);
void offset_commit(conn_t *c, rd_t *r);
/* Heartbeat and LeaveGroup. */
void simple_ok(conn_t *c, int throttle);

#endif
