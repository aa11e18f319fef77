/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLUSTER_STRAY_H
#define CLUSTER_STRAY_H
/*
 * Partition directories that the metadata log does not know. One whose topic id was deleted there lost its broker in the
 * middle of the deletion: it goes. Any other is somebody's data: it is renamed to NAME-stray, which no broker reads,
 * and a log line tells.
 */
#include "refbroker/log/log.h"

struct broker_node;

struct broker_strays {
    struct log_op op;
    struct log_load load;
    size_t at; /* in the directory's list */
    char path[300], to[320];
    void (*done)(struct broker_node *);
};

/* Goes through what was found; done follows, perhaps from within. Before any log of a topic is opened. */
void broker_strays_clear(struct broker_node *, void (*done)(struct broker_node *));

#endif
