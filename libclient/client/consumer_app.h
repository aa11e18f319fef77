/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_CONSUMER_APP_H
#define CLIENT_CONSUMER_APP_H
/*
 * The application's half of the consumer: see client/consumer.h. No lock: its owner has one. What it wants of the engine
 * it hands to `post`, in order, as commands.
 *
 *   app = ferry_consumer_app_new(config, &host, cookie, &err);  posts the command that makes the core half
 *   ferry_consumer_app_subscribe(app, topics, &err);
 *   for (;;) {
 *       ferry_consumer_app_begin(app);        what was returned before is processed now
 *       while (there is a delivery) {         all of them first: a question does not wait behind records
 *           q = ferry_consumer_app_receive(app, the delivery);
 *           if (q) ferry_consumer_app_answer(app, q, NULL, &err);
 *       }
 *       n = ferry_consumer_app_take(app, out, max);
 *       ferry_consumer_app_end(app);
 *   }
 *
 * Buffers that were received and not read wait in `ready`, in order of arrival. One that is being read, or whose records
 * the application may still look at, is in `spent` until the next begin.
 */
#include "client/consumer.h"

struct ferry_fetched;

struct ferry_consumer_host {
    void (*post)(void *cookie,
                 struct ferry_command *); /* hands a command to the engine, in order */
};

struct ferry_consumer_app {
    const struct ferry_consumer_host *host;
    void *cookie;
    struct ferry_consumer_shared *shared;
    struct ferry_consumer_core *core;
    struct ferry_map
        parts; /* of the assignment: key -> struct ferry_consumer_part * (a reference) */
    struct ferry_partition_list *topics; /* subscribed */
    struct ferry_link ready;             /* deliveries: buffers and notes, by delivery.link */
    struct ferry_link stuck;             /* buffers of partitions that stand at an error */
    struct ferry_link spent;             /* buffers, by spent_link */
    struct ferry_link told;              /* notes whose text the application may still look at */
    void *consumer;                      /* api's: put into questions and buffers */
    bool auto_store, has_group;
};

/* NULL with err filled. Reads the settings of a frozen configuration once. */
struct ferry_consumer_app *ferry_consumer_app_new(const struct ferry_settings *,
                                                  const struct ferry_consumer_host *, void *cookie,
                                                  struct ferry_error *err);
/* After the client is gone: frees the core too. Buffers in the application's hands live on. */
void ferry_consumer_app_free(struct ferry_consumer_app *);

/* Takes a delivery over. A rebalance question, or an answered call, is returned for its owner to deal with (and told apart
   by its type); all else gives NULL. */
struct ferry_delivery *ferry_consumer_app_receive(struct ferry_consumer_app *,
                                                  struct ferry_delivery *);
/* Answers as ferry_rebalance_answer does. Frees the question. */
int ferry_consumer_app_answer(struct ferry_consumer_app *, struct ferry_rebalance *,
                              const struct ferry_partition_list *, struct ferry_error *);

/* Everything that take returned so far is processed now; it may still be looked at. */
void ferry_consumer_app_processed(struct ferry_consumer_app *);
/* A poll begins: everything that take returned so far is processed now. And it ends. */
void ferry_consumer_app_begin(struct ferry_consumer_app *);
void ferry_consumer_app_end(struct ferry_consumer_app *);
/* The next records and events of what was received; 0: nothing there. */
int32_t ferry_consumer_app_take(struct ferry_consumer_app *, struct ferry_message *out,
                                int32_t max);
/* The next whole buffer, or NULL: then *note, if not NULL, is what happened, the caller's to drop. The buffer is the
   caller's until ferry_consumer_app_release. */
struct ferry_fetched *ferry_consumer_app_fetch(struct ferry_consumer_app *,
                                               struct ferry_consumer_note **note);
/* The same for a buffer that came past receive: NULL, and it is dropped, if it does not count any more. */
struct ferry_fetched *ferry_consumer_app_accept(struct ferry_consumer_app *,
                                                struct ferry_fetched *);
/* What a note says, as a message that points into it. */
void ferry_consumer_app_note(const struct ferry_consumer_note *, struct ferry_message *out);
/* The buffer of fetch is processed: stored moves on if all before it is. Gives the reference back. */
void ferry_consumer_app_release(struct ferry_consumer_app *, struct ferry_fetched *);
/* What it did not give yet is fetched again. */
int ferry_consumer_app_return(struct ferry_consumer_app *, struct ferry_fetched *);
/* Whether its records still count. Any thread. */
bool ferry_consumer_app_fresh(const struct ferry_fetched *);
/* Buffers of the partition are not waited for any more. */
void ferry_consumer_app_forget(struct ferry_consumer_part *);
/* To be called when buffers were freed elsewhere. */
void ferry_consumer_app_nudge(struct ferry_consumer_app *);

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
/* Deliveries of the partition go to `queue` (NULL: the main one) from now on. */
int ferry_consumer_app_queue(struct ferry_consumer_app *, const char *topic, int32_t partition,
                             void *queue);
/* An assigned partition, or NULL. Borrowed. */
struct ferry_consumer_part *ferry_consumer_app_find(struct ferry_consumer_app *,
                                                    struct ferry_str topic, int32_t partition);
/* A call with a copy of the list; NULL without memory. */
struct ferry_consumer_call *ferry_consumer_app_call_new(struct ferry_consumer_app *,
                                                        enum ferry_consumer_call_kind,
                                                        const struct ferry_partition_list *);
void ferry_consumer_app_post(struct ferry_consumer_app *, struct ferry_consumer_call *);

#endif
