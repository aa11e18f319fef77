/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_CONSUMER_APP_H
#define CLIENT_CONSUMER_APP_H
/*
 * The application's half of the consumer: see client/consumer.h. No lock: its owner has one. What
 * it wants of the engine it hands to `post`, in order, as commands.
 *
 *   app = ferry_consumer_app_new(settings, host, cookie);   posts the command that makes the core
 * half ferry_consumer_app_subscribe(app, list, &err); for (;;) { ferry_consumer_app_begin(app);
 * what was returned before is processed now while ((n = ferry_consumer_app_take(app, out, max,
 * &err)) == 0) ferry_consumer_app_receive(app, next delivery); questions come back as its return
 * value: answer them
 *   }
 */
#include "client/consumer.h"

struct ferry_consumer_host {
    void (*post)(void *cookie,
                 struct ferry_command *); /* hands a command to the engine, in order */
};

/* Reads the settings once. NULL without memory. */
struct ferry_consumer_app *ferry_consumer_app_new(const struct ferry_settings *,
                                                  const struct ferry_consumer_host *, void *cookie);
/* After the core is gone (FERRY_CALL_CLOSE done, or the client freed). Buffers may live on. */
void ferry_consumer_app_free(struct ferry_consumer_app *);

/* Takes a delivery over. A rebalance question is returned, for its owner to answer; all else gives
 * NULL. */
struct ferry_rebalance *ferry_consumer_app_receive(struct ferry_consumer_app *,
                                                   struct ferry_delivery *);
/* Answers as ferry_rebalance_answer does. Frees the question. */
int ferry_consumer_app_answer(struct ferry_consumer_app *, struct ferry_rebalance *,
                              const struct ferry_partition_list *, struct ferry_error *);

/* Records: everything that take returned so far is processed now. */
void ferry_consumer_app_begin(struct ferry_consumer_app *);
/* The next records and events of what was received; 0: nothing there. */
int32_t ferry_consumer_app_take(struct ferry_consumer_app *, struct ferry_message *out,
                                int32_t max);
/* The next whole buffer, or NULL. It is the caller's until ferry_consumer_app_release. */
struct ferry_fetched *ferry_consumer_app_fetch(struct ferry_consumer_app *);
/* Processed: stored moves on if all before it is processed too. */
void ferry_consumer_app_release(struct ferry_consumer_app *, struct ferry_fetched *);

/* The public calls of the same names; see ferry/consumer.h. */
int ferry_consumer_app_subscribe(struct ferry_consumer_app *,
                                 const struct ferry_partition_list *topics, struct ferry_error *);
int ferry_consumer_app_assign(struct ferry_consumer_app *, const struct ferry_partition_list *,
                              struct ferry_error *);
int ferry_consumer_app_assign_more(struct ferry_consumer_app *, const struct ferry_partition_list *,
                                   struct ferry_error *);
int ferry_consumer_app_assign_fewer(struct ferry_consumer_app *,
                                    const struct ferry_partition_list *, struct ferry_error *);
int ferry_consumer_app_assignment(struct ferry_consumer_app *, struct ferry_partition_list *out);
int ferry_consumer_app_seek(struct ferry_consumer_app *, const struct ferry_partition_list *,
                            struct ferry_error *);
int ferry_consumer_app_pause(struct ferry_consumer_app *, const struct ferry_partition_list *,
                             bool pause);
int ferry_consumer_app_store(struct ferry_consumer_app *, const struct ferry_partition_list *,
                             struct ferry_error *);
int ferry_consumer_app_position(struct ferry_consumer_app *, struct ferry_partition_list *);
/* An assigned partition, or NULL. Borrowed. */
struct ferry_consumer_part *ferry_consumer_app_find(struct ferry_consumer_app *, const char *topic,
                                                    int32_t partition);
/* Posts a call. Its answer comes as a delivery to call->done.queue, or to receive if that is NULL.
 */
void ferry_consumer_app_call(struct ferry_consumer_app *, struct ferry_consumer_call *);

#endif
