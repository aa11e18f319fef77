/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_OFFSETS_JOB_H
#define CLIENT_OFFSETS_JOB_H
/* Private to offsets.c and offsets_group.c: one job of client/offsets.h. */
#include "base/arena.h"
#include "client/offsets.h"

enum ferry_offsets_state {
    FERRY_OFFSETS_WAITING, /* to be asked, when its leader or coordinator is known and the backoff is over */
    FERRY_OFFSETS_ASKED, /* in a request in flight */
    FERRY_OFFSETS_DONE
};

struct ferry_offsets_item {
    struct ferry_topic_partition *entry; /* in the asker's list */
    struct ferry_topic_meta *topic;      /* wanted; list jobs only */
    enum ferry_offsets_state state;
    unsigned missing; /* metadata answers in which the partition was not there */
};

struct ferry_offsets_job {
    struct ferry_client *client;
    struct ferry_offsets_ask ask;
    struct ferry_offsets_item *items;            /* by topic, then partition */
    size_t count, open;                          /* items; those not done */
    void (*advance)(struct ferry_offsets_job *); /* sends what can be sent */
    struct ferry_observer observer;              /* list jobs */
    bool observing, cancelled, in_call;
    struct ferry_timer retry, deadline;
    unsigned tries;
    int32_t generation;         /* commits of a group's member: of the first try; -1 before it */
    struct ferry_link requests; /* in flight */
    int32_t status;             /* what failed as a whole */
    char text[200];
};

/* One request of a job; freed when it is done. */
struct ferry_offsets_request {
    struct ferry_request request;
    struct ferry_link link;
    struct ferry_offsets_job *job;
    struct ferry_arena arena; /* what the message is made of */
    void *message;
};

/* The common part of a new job, or NULL without memory. */
struct ferry_offsets_job *ferry_offsets_job_new(struct ferry_client *,
                                                const struct ferry_offsets_ask *,
                                                void (*advance)(struct ferry_offsets_job *));
/* First call of advance. */
struct ferry_offsets_job *ferry_offsets_job_begin(struct ferry_offsets_job *);
/* A request of the job, linked in; NULL without memory (then everything open has failed). */
struct ferry_offsets_request *ferry_offsets_job_request(struct ferry_offsets_job *, int16_t api_key,
                                                        int16_t min, int16_t max);
/* Call it first in on_done: unlinks. False if the job was cancelled: then all is freed. */
bool ferry_offsets_job_returned(struct ferry_offsets_request *);
void ferry_offsets_request_free(struct ferry_offsets_request *);
/* Item of a partition; NULL if it is not the job's. Equal ones follow it. */
struct ferry_offsets_item *ferry_offsets_job_find(struct ferry_offsets_job *,
                                                  struct ferry_str topic, int32_t partition);
bool ferry_offsets_job_same(const struct ferry_offsets_job *, const struct ferry_offsets_item *a,
                            const struct ferry_offsets_item *b);
/* The item's outcome. */
void ferry_offsets_job_done(struct ferry_offsets_job *, struct ferry_offsets_item *, int32_t error);
/* Everything open ends with this. */
void ferry_offsets_job_fail(struct ferry_offsets_job *, int32_t status, const char *text);
/* Calls advance again after a backoff. */
void ferry_offsets_job_again(struct ferry_offsets_job *);
/* To be called last whenever something happened: tells the owner when nothing is open. */
void ferry_offsets_job_settle(struct ferry_offsets_job *);

#endif
