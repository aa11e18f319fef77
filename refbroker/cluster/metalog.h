/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLUSTER_METALOG_H
#define CLUSTER_METALOG_H
/*
 * The single writer of __cluster_metadata-0, and its reader at start.
 *
 *  1. Operations run one at a time: prepare sees an image in which every earlier one is applied or has failed.
 *  2. An operation's records are one batch: all of them are there after a crash, or none.
 *  3. They are applied to the image, and `done` is called, only when they are on disk.
 *  4. None begins while partitions are being deleted: their names may come again.
 *  5. Every start of the node is an epoch, opened by a LeaderChange control record.
 */
#include "refbroker/cluster/image.h"
#include "refbroker/log/log.h"
#include "wire/writer.h"

struct broker_node;

struct metalog_op {
    struct ferry_link link;
    /* Adds records by broker_metalog_add. Nonzero ends the operation at once: done gets it, nothing is written. */
    int (*prepare)(struct broker_node *, struct metalog_op *);
    /* error: 0 (also when nothing was added), what prepare gave, or a Kafka code. */
    void (*done)(struct broker_node *, struct metalog_op *, int error);
};

enum metalog_state { METALOG_IDLE, METALOG_WRITING, METALOG_WRITTEN };

struct broker_metalog {
    struct log *log;
    int32_t epoch;
    enum metalog_state state;
    struct ferry_link ops;
    struct metalog_op *current;
    int result;
    struct ferry_writer records; /* of the batch being made, behind room for its header */
    struct ferry_writer value;   /* one record's */
    int32_t count;
    struct log_append append;
    struct log_scan scan;
    void (*loaded)(struct broker_node *, int error);
};

void broker_metalog_init(struct broker_metalog *);
void broker_metalog_free(struct broker_metalog *);
/* Opens the log and applies it to the image; loaded(0 or an error) follows. */
void broker_metalog_open(struct broker_node *, void (*loaded)(struct broker_node *, int error));
/* Appends the LeaderChange record of a new epoch; the operations submitted later come behind it. */
void broker_metalog_begin_epoch(struct broker_node *);
void broker_metalog_submit(struct broker_node *, struct metalog_op *);
/* Takes an operation back that has not begun; false if it has (done follows then). */
bool broker_metalog_withdraw(struct broker_node *, struct metalog_op *);
/* Only within prepare. 0, FERRY_E_NOMEM, or an encoding error (our mistake). */
int broker_metalog_add(struct broker_node *, int number, int version, const void *record);
/* Part of the end of a step; false when there was nothing to do. */
bool broker_metalog_settle(struct broker_node *);

#endif
