/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_BROKER_H
#define CLIENT_BROKER_H
/*
 * Brokers as the modules see them: is a connection ready, which version would be spoken, what is in
 * flight. A broker is named by its node id; -1 - n are the bootstrap servers, known only by
 * address.
 */
#include "client/request.h"

/* True when a request of this class would be written at once: connected, negotiated, not throttled.
 */
bool ferry_broker_ready(const struct ferry_client *, int32_t node, enum ferry_class);
/* Begins to connect (or, in backoff, notes that it is wanted). Observers hear of broker_up, or
   broker_down and then again when it comes up. Harmless if it is ready or under way. */
void ferry_broker_connect(struct ferry_client *, int32_t node, enum ferry_class);
/* The highest version of api_key that the owner's range [low, high], this library and the broker
   share, as last negotiated with any of its connections; -1 if there is none, or nothing was
   negotiated with it yet. */
int16_t ferry_broker_version(const struct ferry_client *, int32_t node, int16_t api_key,
                             int16_t low, int16_t high);
/* Requests of the class given to the broker and not done. */
uint32_t ferry_broker_in_flight(const struct ferry_client *, int32_t node, enum ferry_class);
/* When a throttled connection of the class may be written again; 0 if it may now. */
ferry_nsec ferry_broker_throttled_until(const struct ferry_client *, int32_t node,
                                        enum ferry_class);
/* The finalised level of a feature such as "transaction.version", as the broker last said; -1 if it
 * did not. */
int16_t ferry_broker_feature(const struct ferry_client *, const char *feature);
/* The rack that metadata told of a node; data NULL: none, or no such node. Borrowed for the step. */
struct ferry_str ferry_broker_rack(const struct ferry_client *, int32_t node);

#endif
