/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/core.h"

#include "base/check.h"
#include "base/mem.h"

#include "ferry/kafka_errors.h"

#include <stdio.h>

/*
 * Who coordinates a group or a transactional id: looked up by FindCoordinator when a request needs it, cached until
 * somebody says that it is wrong.
 *
 * Invariants:
 *  1. While requests wait in an entry, a lookup is under way or its retry timer is armed.
 *  2. A lookup's failure that may pass is tried again for as long as requests wait; each ends by its own time-out.
 */

enum { ENTRIES_MAX = 1000 }; /* cached; an idle one is dropped for a new one */

struct entry {
    struct ferry_request request; /* FindCoordinator */
    struct ferry_client *client;
    struct ferry_link waiting;
    struct ferry_timer retry;
    unsigned tries;
    int8_t type;
    int32_t node; /* -1: not known */
    size_t key_len;
    char key[];
};

static void look_up(struct entry *e);

/* -- The cache ------------------------------------------------------------------------------------------ */

static struct ferry_map *map_of(const struct ferry_client *client, int8_t type)
{
    FERRY_CHECK(type >= FERRY_COORDINATOR_GROUP && type <= FERRY_COORDINATOR_SHARE);
    return &client->core->coordinators[type];
}

static struct entry *find(const struct ferry_client *client, int8_t type, struct ferry_str key)
{
    return ferry_map_get(map_of(client, type), key.data, key.len);
}

static void free_entry(struct entry *e)
{
    ferry_timer_cancel(&e->client->timers, &e->retry);
    ferry_free(e);
}

static bool is_idle(const struct entry *e)
{
    return ferry_list_empty(&e->waiting) && !ferry_request_active(&e->request);
}

static void drop_idle_entry(struct ferry_map *map)
{
    size_t at = 0;
    for (struct ferry_map_entry *m; (m = ferry_map_next(map, &at));) {
        struct entry *e = m->value;
        if (!is_idle(e))
            continue;
        ferry_map_remove(map, m->key.data, m->key.len);
        free_entry(e);
        return;
    }
}

static struct entry *make(struct ferry_client *client, int8_t type, struct ferry_str key)
{
    struct ferry_map *map = map_of(client, type);
    if (map->live >= ENTRIES_MAX)
        drop_idle_entry(map);
    struct entry *e = ferry_zalloc(sizeof *e + key.len + 1);
    if (!e)
        return NULL;
    e->client = client;
    e->type = type;
    e->node = -1;
    e->key_len = key.len;
    if (key.len)
        memcpy(e->key, key.data, key.len);
    ferry_list_init(&e->waiting);
    if (ferry_map_put(map, key.data, key.len, e, NULL)) {
        ferry_free(e);
        return NULL;
    }
    return e;
}

int32_t ferry_coordinator_known(const struct ferry_client *client, int8_t type,
                                struct ferry_str key)
{
    const struct entry *e = find(client, type, key);
    return e ? e->node : -1;
}

void ferry_coordinator_forget(struct ferry_client *client, int8_t type, struct ferry_str key,
                              int32_t node)
{
    struct entry *e = find(client, type, key);
    if (e && (node < 0 || e->node == node))
        e->node = -1;
}

void ferry_coordinator_suspect(struct ferry_client *client, const struct ferry_request *r)
{
    if (r->given_to >= 0 && (r->status == FERRY_E_TRANSPORT || r->status == FERRY_E_TIMED_OUT))
        ferry_coordinator_forget(client, r->coordinator_type, r->coordinator_key, r->given_to);
}

/* -- The lookup ----------------------------------------------------------------------------------------- */

static int encode(struct ferry_client *client, struct ferry_request *r, int16_t version,
                  struct ferry_writer *w)
{
    struct entry *e = r->cookie;
    struct ferry_str key = {e->key, e->key_len};
    struct ferry_find_coordinator_request m;
    ferry_find_coordinator_request_init(&m);
    m.key_type = e->type;
    if (version >= 4) {
        m.coordinator_keys = &key;
        m.coordinator_keys_count = 1;
    } else {
        m.key = key;
    }
    return ferry_msg_encode(&ferry_find_coordinator_request_msg, version, &m, w, NULL);
}

static void fire_retry(struct ferry_timer *t, void *context)
{
    look_up(FERRY_CONTAINER(t, struct entry, retry));
}

static void try_later(struct entry *e)
{
    const struct ferry_settings *s = e->client->settings;
    e->retry.fire = fire_retry;
    if (ferry_list_empty(&e->waiting) || ferry_timer_armed(&e->retry))
        return;
    ferry_client_timer(e->client, &e->retry,
                       e->client->now + ferry_client_backoff(e->client, s->retry_backoff_ms,
                                                             s->retry_backoff_max_ms, e->tries++));
}

static void send_on(struct entry *e)
{
    struct ferry_link batch, *l;
    ferry_list_init(&batch);
    while ((l = ferry_list_pop_front(&e->waiting)))
        ferry_list_push_back(&batch, l);
    while ((l = ferry_list_pop_front(&batch)))
        ferry_coordinator_route(e->client, FERRY_CONTAINER(l, struct ferry_request, link));
}

static bool may_pass(int16_t error)
{
    return error == FERRY_KAFKA_COORDINATOR_LOAD_IN_PROGRESS ||
           error == FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE || error == FERRY_KAFKA_NOT_COORDINATOR;
}

static void found(struct entry *e, int16_t error, int32_t node, struct ferry_str host, int32_t port,
                  struct ferry_str text)
{
    if (may_pass(error)) {
        try_later(e);
        return;
    }
    if (error) {
        char why[100];
        snprintf(why, sizeof why, "no coordinator of %.*s: %.*s",
                 (int)(e->key_len < 30 ? e->key_len : 30), e->key,
                 (int)(text.len < 50 ? text.len : 50), text.len ? text.data : "");
        ferry_request_finish_list(&e->waiting, error, why);
        return;
    }
    if (!ferry_broker_learn(e->client, node, host, port, (struct ferry_str){NULL, 0})) {
        try_later(e);
        return;
    }
    ferry_client_log(e->client, FERRY_LOG_DEBUG, FERRY_DEBUG_GROUP,
                     "coordinator of %.*s is broker %d", (int)e->key_len, e->key, node);
    e->node = node;
    e->tries = 0;
    send_on(e);
}

static void on_done(struct ferry_client *client, struct ferry_request *r,
                    const struct ferry_reply *reply)
{
    struct entry *e = r->cookie;
    const struct ferry_find_coordinator_response *m = reply->body;
    if (client->closing)
        return;
    if (reply->status == FERRY_E_UNSUPPORTED) {
        ferry_request_finish_list(&e->waiting, reply->status, reply->text);
    } else if (reply->status) {
        try_later(e);
    } else if (reply->version < 4) {
        found(e, m->error_code, m->node_id, m->host, m->port, m->error_message);
    } else if (m->coordinators_count != 1) {
        try_later(e);
    } else {
        const struct ferry_find_coordinator_response_coordinator *c = &m->coordinators[0];
        found(e, c->error_code, c->node_id, c->host, c->port, c->error_message);
    }
}

static void look_up(struct entry *e)
{
    if (ferry_request_active(&e->request) || ferry_list_empty(&e->waiting) || e->client->closing)
        return;
    ferry_timer_cancel(&e->client->timers, &e->retry);
    e->request = (struct ferry_request){.api_key = FERRY_API_FIND_COORDINATOR,
                                        .min_version = e->type == FERRY_COORDINATOR_GROUP ? 0
                                                       : e->type == FERRY_COORDINATOR_TXN ? 1
                                                                                          : 6,
                                        .max_version = 6,
                                        .target = FERRY_TO_ANY,
                                        .conn_class = FERRY_CLASS_GENERAL,
                                        .encode = encode,
                                        .on_done = on_done,
                                        .cookie = e};
    ferry_request_submit(e->client, &e->request);
}

void ferry_coordinator_route(struct ferry_client *client, struct ferry_request *r)
{
    struct entry *e = find(client, r->coordinator_type, r->coordinator_key);
    if (!e)
        e = make(client, r->coordinator_type, r->coordinator_key);
    if (!e) {
        ferry_request_finish(r, FERRY_E_NOMEM, "no memory for a coordinator");
        return;
    }
    struct ferry_broker *b = e->node >= 0 ? ferry_broker_find(client, e->node) : NULL;
    struct ferry_line *line = b ? ferry_broker_line(b, r->conn_class) : NULL;
    if (line) {
        ferry_line_submit(line, r);
        return;
    }
    e->node = -1;
    ferry_list_push_back(&e->waiting, &r->link);
    if (!ferry_timer_armed(&e->retry))
        look_up(e);
}

void ferry_coordinator_finish_all(struct ferry_client *client, int status, const char *text)
{
    for (int type = 0; type < 3; type++) {
        size_t at = 0;
        for (struct ferry_map_entry *m; (m = ferry_map_next(map_of(client, (int8_t)type), &at));) {
            struct entry *e = m->value;
            ferry_timer_cancel(&client->timers, &e->retry);
            ferry_request_finish_list(&e->waiting, status, text);
        }
    }
}

void ferry_coordinator_free_all(struct ferry_client *client)
{
    for (int type = 0; type < 3; type++) {
        size_t at = 0;
        struct ferry_map *map = map_of(client, (int8_t)type);
        for (struct ferry_map_entry *m; (m = ferry_map_next(map, &at));)
            free_entry(m->value);
        ferry_map_free(map);
    }
}
