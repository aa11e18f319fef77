/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/broker.h"

#include "base/check.h"
#include "base/mem.h"
#include "client/core.h"

/*
 * Brokers: their addresses, their backoff, their lines.
 *
 * Addresses are resolved when a line wants to connect and no other line of the broker is up; all are tried in turn, and
 * only when none took a connection the broker has failed: then it backs off, exponentially, and resolves anew.
 */

/* -- Finding -------------------------------------------------------------------------------------------- */

struct ferry_broker *ferry_broker_find(const struct ferry_client *client, int32_t node)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (b->node == node && !b->gone)
            return b;
    }
    return NULL;
}

static const struct ferry_line *find_line(const struct ferry_client *client, int32_t node,
                                          enum ferry_class conn_class)
{
    const struct ferry_broker *b = ferry_broker_find(client, node);
    return b ? b->lines[conn_class] : NULL;
}

bool ferry_broker_ready(const struct ferry_client *client, int32_t node,
                        enum ferry_class conn_class)
{
    const struct ferry_line *line = find_line(client, node, conn_class);
    return line && ferry_line_usable(line);
}

void ferry_broker_connect(struct ferry_client *client, int32_t node, enum ferry_class conn_class)
{
    struct ferry_broker *b = ferry_broker_find(client, node);
    struct ferry_line *line = b && !client->closing ? ferry_broker_line(b, conn_class) : NULL;
    if (!line || line->state == FERRY_LINE_READY)
        return;
    line->wanted = true;
    ferry_line_kick(line);
}

int16_t ferry_broker_version(const struct ferry_client *client, int32_t node, int16_t api_key,
                             int16_t low, int16_t high)
{
    const struct ferry_broker *b = ferry_broker_find(client, node);
    const struct ferry_api *api = ferry_api_find(api_key);
    if (!b || !b->negotiated || !api || api_key >= CORE_KEYS || b->versions.high[api_key] < 0)
        return -1;
    return (int16_t)ferry_api_choose(api, b->versions.low[api_key], b->versions.high[api_key], low,
                                     high);
}

uint32_t ferry_broker_in_flight(const struct ferry_client *client, int32_t node,
                                enum ferry_class conn_class)
{
    const struct ferry_line *line = find_line(client, node, conn_class);
    if (!line)
        return 0;
    uint32_t count = line->conn.flight_count;
    for (const struct ferry_link *l = line->waiting.next; l != &line->waiting; l = l->next)
        count++;
    return count;
}

ferry_nsec ferry_broker_throttled_until(const struct ferry_client *client, int32_t node,
                                        enum ferry_class conn_class)
{
    const struct ferry_line *line = find_line(client, node, conn_class);
    return line && line->throttled_until > client->now ? line->throttled_until : 0;
}

int16_t ferry_broker_feature(const struct ferry_client *client, const char *feature)
{
    const struct ferry_client_core *core = client->core;
    for (size_t i = 0; i < core->feature_count; i++)
        if (!strcmp(core->features[i].name, feature))
            return core->features[i].level;
    return -1;
}

bool ferry_broker_has_ready_line(const struct ferry_broker *b)
{
    for (int c = 0; c < FERRY_CLASS_COUNT; c++)
        if (b->lines[c] && b->lines[c]->state == FERRY_LINE_READY)
            return true;
    return false;
}

bool ferry_broker_in_backoff(const struct ferry_broker *b)
{
    return b->retry_at > b->client->now;
}

struct ferry_line *ferry_broker_line(struct ferry_broker *b, enum ferry_class conn_class)
{
    if (!b->lines[conn_class])
        b->lines[conn_class] = ferry_line_new(b, conn_class);
    return b->lines[conn_class];
}

/* -- Learning ------------------------------------------------------------------------------------------- */

static void free_broker(struct ferry_broker *b)
{
    for (int c = 0; c < FERRY_CLASS_COUNT; c++)
        ferry_line_free(b->lines[c]);
    ferry_list_remove(&b->link);
    ferry_free(b->host);
    ferry_free(b->rack);
    ferry_free(b->addrs);
    ferry_free(b);
}

static struct ferry_broker *new_broker(struct ferry_client *client, int32_t node,
                                       struct ferry_str host, int32_t port, struct ferry_str rack)
{
    struct ferry_broker *b = ferry_zalloc(sizeof *b);
    if (!b)
        return NULL;
    b->client = client;
    b->node = node;
    b->port = port;
    b->host = ferry_strndup(host.data, host.len);
    b->rack = rack.data ? ferry_strndup(rack.data, rack.len) : NULL;
    if (!b->host || (rack.data && !b->rack)) {
        free_broker(b);
        return NULL;
    }
    ferry_list_push_back(&client->core->brokers, &b->link);
    return b;
}

static bool is_at(const struct ferry_broker *b, struct ferry_str host, int32_t port)
{
    return b->port == port && ferry_str_eq(ferry_str_of(b->host), host);
}

static void drop_addresses(struct ferry_broker *b)
{
    ferry_free(b->addrs);
    b->addrs = NULL;
    b->addr_count = b->addr_at = 0;
}

/* A name that an action of this step may still name. */
static int retire_host(struct ferry_client_core *core, char *host)
{
    if (FERRY_GROW(core->old_hosts, core->old_host_cap, core->old_host_count + 1))
        return FERRY_E_NOMEM;
    core->old_hosts[core->old_host_count++] = host;
    return 0;
}

static void free_old_hosts(struct ferry_client_core *core)
{
    while (core->old_host_count)
        ferry_free(core->old_hosts[--core->old_host_count]);
}

/* The node moved. What is connected is connected to the wrong place. */
static int move_broker(struct ferry_broker *b, struct ferry_str host, int32_t port)
{
    char *copy = ferry_strndup(host.data, host.len);
    if (!copy || retire_host(b->client->core, b->host)) {
        ferry_free(copy);
        return FERRY_E_NOMEM;
    }
    ferry_client_log(b->client, FERRY_LOG_INFO, FERRY_DEBUG_BROKER,
                     "broker %d moved from %s:%d to %s:%d", b->node, b->host, b->port, copy, port);
    b->host = copy;
    b->port = port;
    b->failures = 0;
    b->retry_at = 0;
    b->resolve_op = 0;
    drop_addresses(b);
    for (int c = 0; c < FERRY_CLASS_COUNT; c++) {
        struct ferry_line *line = b->lines[c];
        if (!line)
            continue;
        if (line->state == FERRY_LINE_RESOLVING || line->state == FERRY_LINE_WAITING) {
            line->state = FERRY_LINE_DOWN;
            ferry_timer_cancel(&b->client->timers, &line->timer);
            ferry_line_kick(line);
        } else {
            ferry_line_close(line, FERRY_E_TRANSPORT, "the broker has another address now");
        }
    }
    return 0;
}

/* A bootstrap broker at this address, to become the node. */
static struct ferry_broker *adopt(struct ferry_client *client, int32_t node, struct ferry_str host,
                                  int32_t port)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (b->gone || b->node >= 0 || !is_at(b, host, port))
            continue;
        b->node = node;
        for (int c = 0; c < FERRY_CLASS_COUNT; c++)
            if (b->lines[c] && b->lines[c]->state == FERRY_LINE_READY)
                ferry_core_tell_up(client, node, (enum ferry_class)c);
        return b;
    }
    return NULL;
}

struct ferry_broker *ferry_broker_learn(struct ferry_client *client, int32_t node,
                                        struct ferry_str host, int32_t port, struct ferry_str rack)
{
    if (node < 0 || !host.len || port <= 0 || port > UINT16_MAX)
        return NULL;
    struct ferry_broker *b = ferry_broker_find(client, node);
    if (!b)
        b = adopt(client, node, host, port);
    if (!b)
        return new_broker(client, node, host, port, rack);
    if (!is_at(b, host, port) && move_broker(b, host, port))
        return NULL;
    if (rack.data && !ferry_str_eq(ferry_str_of(b->rack), rack)) {
        ferry_free(b->rack);
        b->rack = ferry_strndup(rack.data, rack.len);
    }
    return b;
}

struct ferry_str ferry_broker_rack(const struct ferry_client *client, int32_t node)
{
    const struct ferry_broker *b = ferry_broker_find(client, node);
    return ferry_str_of(b ? b->rack : NULL);
}

static bool have_bootstrap(const struct ferry_client *client, struct ferry_str host, int32_t port)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (!b->gone && is_at(b, host, port))
            return true;
    }
    return false;
}

void ferry_broker_bootstrap(struct ferry_client *client)
{
    struct ferry_client_core *core = client->core;
    size_t n = core->bootstrap_count;
    /* A random one first, so that many clients with one list do not all ask the same broker. */
    size_t first = (size_t)ferry_prng_below(&client->prng, n);
    for (size_t i = 0; i < n; i++) {
        size_t k = (first + i) % n;
        const char *text = core->bootstrap[k], *colon = strrchr(text, ':');
        struct ferry_str host = {text, (size_t)(colon - text)};
        int32_t port = 0;
        for (const char *p = colon + 1; *p; p++)
            port = port * 10 + (*p - '0');
        if (host.len > 1 && *host.data == '[')
            host = (struct ferry_str){host.data + 1, host.len - 2};
        if (!have_bootstrap(client, host, port) &&
            !new_broker(client, -1 - (int32_t)k, host, port, (struct ferry_str){NULL, 0}))
            ferry_core_fail(client);
    }
}

/* -- Removing ------------------------------------------------------------------------------------------- */

void ferry_broker_remove(struct ferry_broker *b)
{
    if (b->gone)
        return;
    b->gone = true;
    b->resolve_op = 0;
    b->client->core->sweep = true;
    for (int c = 0; c < FERRY_CLASS_COUNT; c++) {
        struct ferry_line *line = b->lines[c];
        if (!line)
            continue;
        line->wanted = line->wanted_once = false;
        line->quiet = true;
        ferry_request_finish_list(&line->waiting, FERRY_E_NOT_FOUND,
                                  "the broker is not part of the cluster any more");
        ferry_line_close(line, FERRY_E_TRANSPORT, "the broker is not part of the cluster any more");
    }
}

void ferry_broker_sweep(struct ferry_client *client)
{
    free_old_hosts(client->core);
    if (!client->core->sweep)
        return;
    bool left = false;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (!b->gone)
            continue;
        bool busy = false;
        for (int c = 0; c < FERRY_CLASS_COUNT; c++)
            busy = busy || (b->lines[c] && b->lines[c]->conn.state != FERRY_CONN_IDLE);
        if (busy)
            left = true;
        else
            free_broker(b);
    }
    client->core->sweep = left;
}

void ferry_broker_free_all(struct ferry_client *client)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    free_broker(FERRY_CONTAINER(l, struct ferry_broker, link));
    free_old_hosts(client->core);
    ferry_free(client->core->old_hosts);
}

/* -- Addresses ------------------------------------------------------------------------------------------ */

void ferry_broker_resolve(struct ferry_broker *b)
{
    if (b->resolve_op)
        return;
    b->resolve_op = ++b->client->core->last_op;
    struct ferry_action *a = ferry_act(b->client->out, FERRY_DO_RESOLVE, (struct ferry_id){0, 0});
    a->op = b->resolve_op;
    a->path = b->host;
    a->addr.port = (uint16_t)b->port;
}

static void take_addresses(struct ferry_broker *b, const struct ferry_event *ev)
{
    struct ferry_addr *addrs = ferry_memdup(ev->addrs, ev->addr_count * sizeof *addrs);
    if (!addrs) {
        ferry_core_fail(b->client);
        return;
    }
    drop_addresses(b);
    b->addrs = addrs;
    b->addr_count = ev->addr_count;
}

void ferry_broker_resolved(struct ferry_client *client, const struct ferry_event *ev)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (b->resolve_op != ev->op)
            continue;
        b->resolve_op = 0;
        int status = ev->status ? ev->status : ev->addr_count ? 0 : FERRY_E_RESOLVE;
        if (status)
            ferry_broker_failed(b);
        else
            take_addresses(b, ev);
        for (int c = 0; c < FERRY_CLASS_COUNT; c++)
            if (b->lines[c] && b->lines[c]->state == FERRY_LINE_RESOLVING)
                ferry_line_resolved(b->lines[c], status,
                                    ev->text ? ev->text : "the host name has no address");
        return;
    }
}

/* -- Up and down ---------------------------------------------------------------------------------------- */

/* Every broker has failed since it was last up: told once, until one comes up. */
static void check_all_down(struct ferry_client *client)
{
    struct ferry_client_core *core = client->core;
    size_t count = 0;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (b->gone)
            continue;
        if (!b->failed_since)
            return;
        count++;
    }
    if (!count || core->all_down)
        return;
    core->all_down = true;
    ferry_client_error(client, FERRY_E_ALL_BROKERS_DOWN, FERRY_ERROR_RETRIABLE,
                       "%zu of %zu brokers are down: none can be reached", count, count);
}

void ferry_broker_failed(struct ferry_broker *b)
{
    const struct ferry_settings *s = b->client->settings;
    drop_addresses(b);
    b->retry_at = b->client->now + ferry_client_backoff(b->client, s->reconnect_backoff_ms,
                                                        s->reconnect_backoff_max_ms, b->failures);
    b->failures++;
    if (b->gone || b->client->closing)
        return;
    b->failed_since = true;
    check_all_down(b->client);
}

void ferry_broker_up(struct ferry_broker *b)
{
    b->failures = 0;
    b->retry_at = 0;
    b->failed_since = false;
    b->client->core->all_down = false;
}
