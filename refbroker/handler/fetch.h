/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANDLER_FETCH_H
#define HANDLER_FETCH_H
#include "base/list.h"

struct broker_node;

/* Fetches that were woken look again; part of the end of a step. False when there was none. */
bool broker_fetch_settle(struct broker_node *);

#endif
