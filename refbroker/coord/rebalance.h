/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef COORD_REBALANCE_H
#define COORD_REBALANCE_H
#include "base/heap.h"

/* The timers of groups, members and pending members. */
void coord_rebalance_on_timer(struct ferry_timer *, void *node);
void coord_rebalance_on_session_timer(struct ferry_timer *, void *node);
void coord_rebalance_on_pending_timer(struct ferry_timer *, void *node);

#endif
