/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANDLER_REQUEST_H
#define HANDLER_REQUEST_H
/*
 * One request, from the frame to the moment its answer has left.
 *
 *   WAITING --start--> RUNNING --broker_reply / broker_finish--> DONE --conn sends--> SENT --drained--> free
 *
 *  1. A handler is called once, with `input` decoded. It answers now or later; until then it owns the request.
 *  2. `input`, the frame and everything in `arena` live until the request is freed, that is until the answer has left.
 *  3. A connection may go while a handler waits: conn becomes NULL and, if `cancel` is set, that is called: it must
 *     undo what the request waits for and call broker_finish, at once or later. Without `cancel` the handler goes on
 *     and answers into the void.
 *  4. Handlers never run inside one another: answers and starts are carried out at the end of the step.
 */
#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "engine/env.h"
#include "wire/apis.h"
#include "wire/value.h"
#include "wire/writer.h"

struct broker_node;
struct broker_conn;
struct broker_request;

enum broker_request_state { REQUEST_WAITING, REQUEST_RUNNING, REQUEST_DONE, REQUEST_SENT };

enum broker_api_flag {
    API_PIPELINED = 1 /* may start while earlier ones of its kind are under way (Produce) */
};

/* What the broker serves; the table is in handler/table.c. */
struct broker_api {
    int16_t key;
    int16_t shown_min; /* what ApiVersions says, lower than min where old clients look at it */
    int16_t min, max;  /* what is served */
    uint32_t flags;
    void (*start)(struct broker_request *);
};

/* NULL: not served. */
const struct broker_api *broker_api_find(int16_t key);
extern const struct broker_api broker_apis[];
extern const size_t broker_api_count;

struct broker_request {
    struct ferry_link link; /* conn->requests or conn->sent; then the spare ones */
    struct ferry_link live; /* all that are not spare */
    struct broker_conn *conn;
    struct broker_node *node;
    const struct broker_api *api;
    const struct ferry_api *wire;
    int16_t version;
    int32_t correlation;
    struct ferry_str client_id;
    enum broker_request_state state;
    bool silent;             /* no answer goes out (acks=0) */
    bool close_after;        /* the connection is closed instead of answered */
    struct ferry_slab *slab; /* holds the frame */
    struct ferry_bytes body; /* of the frame, behind the header */
    struct ferry_arena arena;
    struct ferry_writer out; /* the answer, length prefix included */
    uint64_t op;             /* of the send */
    void *input;             /* decoded body */
    void *park;              /* the handler's own */
    void (*cancel)(struct broker_request *);
    /* Called when the answer has left or never will: unpin what its parts name. */
    void (*release)(struct broker_request *);
    /* Turns a reference in the answer into a file range; NULL: references are memory. */
    void (*add_part)(struct broker_request *, struct ferry_bytes ref, struct ferry_actions *);
};

struct broker_requests {
    struct ferry_link live, spare;
    uint32_t spare_count;
};

void broker_requests_init(struct broker_requests *);
/* The living ones too, without calling release: what they pinned is gone. */
void broker_requests_free(struct broker_requests *);
/* NULL without memory. */
struct broker_request *broker_request_new(struct broker_node *);
/* Back to the spare ones; the handler is done with it and nothing of it is in the driver's hands. */
void broker_request_free(struct broker_request *);

/* Encodes `response` (the struct of this api) and marks the request done. What cannot be encoded closes the
 * connection: it is our own mistake or lost memory, and is logged. */
void broker_reply(struct broker_request *, const void *response);
/* Marks it done without an answer; close: the connection goes. */
void broker_finish(struct broker_request *, bool close);

/* The request waits for something that may take long: its memory no longer keeps others from being received. */
void broker_request_park(struct broker_request *);

/* The request waits, and its handler has copied what it needs of it: the frame and all that was decoded or allocated for
 * it are given back. The answer may allocate anew. */
void broker_request_shed(struct broker_request *);

/* Zeroed memory that lives as long as the request. NULL: no memory, or more than a request may take; the caller then
 * calls broker_finish(request, true) and gives up. */
void *broker_request_alloc(struct broker_request *, size_t count, size_t size);
/* Which of `count` names come more than once: a bool for each that lives as long as the request; NULL without memory. The
 * first name is at `first`, the next `stride` bytes on. A peer chooses the count, so it is sorted, not compared in pairs. */
const bool *broker_request_doubles(struct broker_request *, const struct ferry_str *first,
                                   size_t stride, size_t count);
/* A text that lives as long as the request; null without memory, which every such field may be. */
struct ferry_str broker_request_text(struct broker_request *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
