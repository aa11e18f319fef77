/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef API_PRODUCER_H
#define API_PRODUCER_H
/*
 * A producer's handle: a client handle with a sender on its engine, a queue of reports, and the locks that the
 * appenders' side of the sender needs.
 *
 *  1. A record's way from ferry_send to its batch takes one lock, the lane's, and no system call.
 *  2. The sender and its memory live until the last report that the application took is released: `refs` counts
 *     those reports, and one for the handle itself.
 */
#include "api/handle.h"
#include "api/lockword.h"
#include "api/queue.h"
#include "client/sender.h"
#include "ferry/producer.h"

struct ferry_topic {
    struct ferry_producer *producer;
    struct ferry_sender_topic *sender_topic;
    ferry_partitioner partitioner;
    void *partitioner_cookie;
};

struct ferry_producer {
    struct ferry_handle *handle;
    _Atomic bool open; /* handle may be used, by those counted in users */
    _Atomic uint32_t users;
    struct ferry_queue *queue;
    struct ferry_sender *sender;
    struct ferry_config *config; /* frozen; the sender's settings */
    size_t record_max;           /* largest key + value + headers */
    bool timed;                  /* FERRY_REPORT_TIMES */
    bool expiring;               /* FERRY_RECORD_EXPIRY */
    bool threaded;
    _Atomic bool closing;
    _Atomic uint32_t refs;
    _Atomic uint32_t room_waiters;
    _Atomic uint64_t room_freed; /* counts up whenever room came back while someone waited */
    _Atomic uint32_t chunk_lock;
    pthread_mutex_t lock;    /* of topics */
    struct ferry_map topics; /* name -> struct ferry_topic */
};

void ferry_producer_unref(struct ferry_producer *);
/* The handle, which stays until leave; NULL (nothing to leave) once the producer is closed. For calls that may run
 * beside ferry_producer_close. */
struct ferry_handle *ferry_producer_enter(struct ferry_producer *);
void ferry_producer_leave(struct ferry_producer *);

#endif
