/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/lib/probe.h"

#include <stdio.h>

static void probe_done(struct ferry_client *client, struct ferry_request *r,
                       const struct ferry_reply *reply)
{
    struct probe *p = r->cookie;
    p->done++;
    p->status = reply->status;
    p->version = reply->version;
    p->node = reply->node;
    p->sent = reply->sent;
    p->had_body = reply->body != NULL;
    p->throttle_ms = reply->throttle_ms;
    snprintf(p->text, sizeof p->text, "%s", reply->text ? reply->text : "");
    if (reply->frame)
        p->frame = ferry_slab_ref(reply->frame);
}

struct probe probe_to(enum ferry_target target, int32_t node)
{
    struct probe p = {.request = {.api_key = FERRY_API_LIST_GROUPS,
                                  .min_version = 0,
                                  .max_version = 5,
                                  .target = target,
                                  .node = node,
                                  .on_done = probe_done}};
    ferry_list_groups_request_init(&p.message);
    return p;
}

struct probe probe_to_group(void)
{
    struct probe a = probe_to(FERRY_TO_COORDINATOR, 0);
    a.request.coordinator_type = FERRY_COORDINATOR_GROUP;
    a.request.coordinator_key = FERRY_STR("g");
    a.request.conn_class = FERRY_CLASS_COORDINATOR;
    return a;
}

void probe_submit(struct ferry_client *client, void *arg)
{
    struct probe *p = arg;
    p->request.cookie = p;
    p->request.message = &p->message;
    ferry_request_submit(client, &p->request);
}

void probe_cancel(struct ferry_client *client, void *arg)
{
    ferry_request_cancel(client, &((struct probe *)arg)->request);
}

bool probe_list_groups(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                       const struct ferry_request_head *head)
{
    if (head->key != FERRY_API_LIST_GROUPS)
        return false;
    struct ferry_list_groups_response m;
    ferry_list_groups_response_init(&m);
    if (p->cookie && head->version >= 1)
        m.throttle_time_ms = *(int *)p->cookie;
    puppet_answer(p, c, head, &m);
    return true;
}

bool probe_swallow(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                   const struct ferry_request_head *head)
{
    return head->key == FERRY_API_LIST_GROUPS;
}

void probe_want_topic(struct ferry_client *client, void *arg)
{
    ferry_cluster_want(client, ferry_str_of(arg), 0);
}

void probe_refresh(struct ferry_client *client, void *arg)
{
    ferry_cluster_refresh(client);
}

void probe_watch(struct ferry_client *client, void *arg)
{
    ferry_client_observe(client, arg);
}

void probe_unwatch(struct ferry_client *client, void *arg)
{
    ferry_client_unobserve(client, arg);
}
