/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANDLER_RECEIVE_H
#define HANDLER_RECEIVE_H
/* From bytes to requests: the receiving half of handler/conn.h, whose rules 1 to 3 are kept here. */
#include "refbroker/handler/conn.h"

/* FERRY_EV_RECEIVED. */
void broker_receive(struct broker_conn *, const struct ferry_event *);
/* Something was answered: looks at the bytes kept back, and reads on if there is room. */
void broker_receive_more(struct broker_conn *);
/* Memory may have been given back: connections that wait for some go on. False if none did. */
bool broker_receive_feed(struct broker_node *);

#endif
