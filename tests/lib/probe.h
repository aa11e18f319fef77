/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H
/*
 * Requests of a test's own, and what became of them; and the small things that tests have a puppet's client do.
 * Functions of (client, arg) are for puppet_do and puppet_call, handlers for the puppet's handler.
 */
#include "tests/lib/puppet.h"

/* ListGroups unless the test says otherwise. frame: the test's own, to be released. */
struct probe {
    struct ferry_request request;
    struct ferry_list_groups_request message;
    int done, status;
    int16_t version;
    int32_t node, throttle_ms;
    bool sent, had_body;
    char text[128];
    struct ferry_slab *frame;
};

struct probe probe_to(enum ferry_target, int32_t node);
/* To the coordinator of group "g", by a coordinator's connection. */
struct probe probe_to_group(void);

/* arg: a probe. It must stay where it is until it is done. */
void probe_submit(struct ferry_client *, void *arg);
void probe_cancel(struct ferry_client *, void *arg);
/* arg: a topic's name. */
void probe_want_topic(struct ferry_client *, void *arg);
/* arg: nothing. */
void probe_refresh(struct ferry_client *, void *arg);
/* arg: an observer. */
void probe_watch(struct ferry_client *, void *arg);
void probe_unwatch(struct ferry_client *, void *arg);

/* Answers ListGroups; cookie of the puppet: NULL, or the throttle time, an int. */
puppet_handler probe_list_groups;
/* Leaves ListGroups unanswered. */
puppet_handler probe_swallow;

#endif
