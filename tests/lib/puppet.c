/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/lib/puppet.h"

#include "base/mem.h"
#include "ferry/config.h"
#include "ferry/kafka_errors.h"
#include "wire/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ferry_addr puppet_addr(int32_t node)
{
    return (struct ferry_addr){
        .family = FERRY_INET4, .ip = {10, 0, 0, (uint8_t)node}, .port = 9092};
}

static struct puppet_node *node_at(struct puppet *p, const struct ferry_addr *a)
{
    return a->ip[0] == 10 && a->ip[3] < p->node_count && a->port == 9092 ? &p->nodes[a->ip[3]]
                                                                         : NULL;
}

static struct puppet_conn *conn_of(struct puppet *p, struct ferry_id id)
{
    for (int i = 0; i < PUPPET_CONNS; i++)
        if (id.gen && ferry_id_eq(p->conns[i].id, id))
            return &p->conns[i];
    return NULL;
}

struct puppet_conn *puppet_conn_to(struct puppet *p, int32_t node)
{
    for (int i = 0; i < PUPPET_CONNS; i++)
        if (p->conns[i].id.gen && p->conns[i].open && p->conns[i].addr.ip[3] == node)
            return &p->conns[i];
    return NULL;
}

int puppet_open_conns(struct puppet *p, int32_t node)
{
    int count = 0;
    for (int i = 0; i < PUPPET_CONNS; i++)
        count += p->conns[i].id.gen && p->conns[i].open && p->conns[i].addr.ip[3] == node;
    return count;
}

/* -- Actions -------------------------------------------------------------------------------------------- */

static void act_open(struct puppet *p, const struct ferry_action *a)
{
    int i = 0;
    while (p->conns[i].id.gen)
        i++;
    p->conns[i] = (struct puppet_conn){.id = a->who, .addr = a->addr};
    if (p->opens < 64)
        p->opened[p->opens] = a->addr;
    p->opens++;
}

static void act_send(struct puppet *p, const struct ferry_action *a, const struct ferry_part *parts)
{
    struct puppet_conn *c = conn_of(p, a->who);
    if (!c)
        return;
    for (uint32_t i = 0; i < a->part_count; i++) {
        if (c->sent_len + parts[i].len > c->sent_cap) {
            c->sent_cap = (c->sent_len + parts[i].len) * 2;
            c->sent = realloc(c->sent, c->sent_cap);
        }
        memcpy(c->sent + c->sent_len, parts[i].data, parts[i].len);
        c->sent_len += parts[i].len;
    }
    c->undrained = a->op;
}

static void execute(struct puppet *p, struct ferry_actions *acts)
{
    for (size_t i = 0; i < acts->count; i++) {
        const struct ferry_action *a = &acts->items[i];
        struct puppet_conn *c;
        switch (a->type) {
        case FERRY_DO_RESOLVE:
            p->resolves[p->resolve_count] = a->op;
            p->resolve_ports[p->resolve_count] = a->addr.port;
            snprintf(p->resolve_names[p->resolve_count++], 64, "%s", a->path);
            break;
        case FERRY_DO_OPEN:
            act_open(p, a);
            break;
        case FERRY_DO_SEND:
            act_send(p, a, acts->parts + a->part_first);
            break;
        case FERRY_DO_CLOSE:
            if ((c = conn_of(p, a->who)))
                c->closing = true;
            break;
        case FERRY_DO_DELIVER:
            if (p->deliver)
                p->deliver(p, a->deliver);
            else if (p->delivery_count < 64)
                p->deliveries[p->delivery_count++] = a->deliver;
            break;
        case FERRY_DO_WORK:
            a->work(a->arg);
            p->works[p->work_count++] = a->op;
            break;
        default:
            break; /* RECEIVE_INTO: this world may refuse to lend */
        }
    }
}

void puppet_event(struct puppet *p, struct ferry_event ev)
{
    if (p->dead)
        return;
    ev.now = p->now;
    ev.wall = 1700000000000 + p->now / FERRY_MS;
    struct ferry_actions acts = {0};
    p->dead = ferry_step(&p->client->engine, &ev, &acts);
    if (!acts.failed)
        execute(p, &acts);
    ferry_actions_free(&acts);
}

/* -- Answers -------------------------------------------------------------------------------------------- */

void puppet_bytes(struct puppet *p, struct puppet_conn *c, const void *data, size_t len)
{
    struct ferry_id id = c->id;
    const uint8_t *at = data;
    while (len) {
        size_t n = p->chunk && (size_t)p->chunk < len ? (size_t)p->chunk : len;
        uint8_t *copy = malloc(n); /* exactly so long: reading beyond it shows */
        memcpy(copy, at, n);
        puppet_event(p,
                     (struct ferry_event){.type = FERRY_EV_RECEIVED, .who = id, .data = {copy, n}});
        free(copy);
        at += n;
        len -= n;
    }
}

/* Changes an answer in place; its length may become less. The frame's own length usually stays right. */
static size_t spoil(struct ferry_prng *prng, uint8_t *data, size_t len)
{
    if (!ferry_prng_chance(prng, 1, 3))
        return len;
    for (uint64_t n = ferry_prng_below(prng, 4); n; n--)
        data[4 + ferry_prng_below(prng, len - 4)] = (uint8_t)ferry_prng_next(prng);
    if (ferry_prng_chance(prng, 1, 4)) {
        len = 4 + ferry_prng_below(prng, len - 4);
        ferry_put32(data, (uint32_t)(len - 4));
    }
    if (ferry_prng_chance(prng, 1, 20))
        data[ferry_prng_below(prng, 4)] ^= (uint8_t)ferry_prng_next(prng);
    return len;
}

void puppet_answer(struct puppet *p, struct puppet_conn *c, const struct ferry_request_head *head,
                   const void *body)
{
    struct ferry_writer w = {0};
    struct ferry_error err = {0};
    int code = ferry_frame_response(&w, head->api, head->version, head->correlation_id, body, &err);
    if (code && code != FERRY_E_NOMEM) {
        fprintf(stderr, "puppet: %s\n", err.text);
        abort();
    }
    if (!code)
        puppet_bytes(p, c, w.data, p->spoil ? spoil(p->spoil, w.data, w.len) : w.len);
    ferry_writer_free(&w);
}

static void answer_api_versions(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                                const struct ferry_request_head *head)
{
    struct ferry_api_versions_response m;
    struct ferry_api_versions_response_api_key keys[FERRY_API_COUNT];
    ferry_api_versions_response_init(&m);
    p->api_versions_requests++;
    for (int i = 0; i < FERRY_API_COUNT; i++) {
        keys[i] = (struct ferry_api_versions_response_api_key){.api_key = ferry_apis[i].key,
                                                               .min_version = ferry_apis[i].min,
                                                               .max_version = ferry_apis[i].max};
        if (ferry_apis[i].key == FERRY_API_API_VERSIONS && n->api_versions_max)
            keys[i].max_version = (int16_t)(n->api_versions_max - 1);
        if (ferry_apis[i].key == FERRY_API_METADATA && n->metadata_max >= 0)
            keys[i].max_version = (int16_t)n->metadata_max;
    }
    m.api_keys = keys;
    m.api_keys_count = FERRY_API_COUNT;
    struct ferry_api_versions_response_finalized_feature feature = {
        .name = FERRY_STR("metadata.version"), .max_version_level = 25, .min_version_level = 1};
    struct ferry_request_head as = *head;
    if (n->api_versions_max && head->version >= n->api_versions_max) {
        m.error_code = FERRY_KAFKA_UNSUPPORTED_VERSION;
        as.version = 0;
    } else if (head->version >= 3) {
        m.finalized_features = &feature;
        m.finalized_features_count = 1;
        m.finalized_features_epoch = 7;
    }
    puppet_answer(p, c, &as, &m);
}

static void fill_topic(struct puppet *p, struct puppet_topic *t, int version,
                       struct ferry_metadata_response_topic *to,
                       struct ferry_metadata_response_partition *parts, int32_t *nodes)
{
    ferry_metadata_response_topic_init(to);
    to->name = ferry_str_of(t->name);
    to->error_code = t->error;
    if (version >= 10)
        to->topic_id = t->id;
    for (int32_t k = 0; k < t->partitions; k++) {
        ferry_metadata_response_partition_init(&parts[k]);
        parts[k].partition_index = k;
        parts[k].leader_id = t->leader[k];
        parts[k].error_code = t->leader[k] < 0 ? FERRY_KAFKA_LEADER_NOT_AVAILABLE : 0;
        if (version >= 7)
            parts[k].leader_epoch = t->epoch[k];
        parts[k].replica_nodes = parts[k].isr_nodes = nodes;
        parts[k].replica_nodes_count = parts[k].isr_nodes_count = p->node_count;
    }
    to->partitions = parts;
    to->partitions_count = t->error ? 0 : t->partitions;
}

static void answer_metadata(struct puppet *p, struct puppet_conn *c,
                            const struct ferry_request_head *head)
{
    struct ferry_arena arena;
    ferry_arena_init(&arena, 1 << 20);
    struct ferry_metadata_request q;
    struct ferry_metadata_response m;
    struct ferry_metadata_response_broker brokers[PUPPET_NODES];
    struct ferry_metadata_response_topic topics[PUPPET_TOPICS];
    struct ferry_metadata_response_partition parts[PUPPET_TOPICS][PUPPET_PARTITIONS];
    int32_t nodes[PUPPET_NODES];
    char names[PUPPET_NODES][16];
    ferry_metadata_response_init(&m);
    p->metadata_requests++;
    for (int i = 0; i < p->node_count; i++) {
        snprintf(names[i], sizeof names[i], "node-%d", i);
        nodes[i] = p->nodes[i].id;
        brokers[i] = (struct ferry_metadata_response_broker){
            .node_id = p->nodes[i].id, .host = ferry_str_of(names[i]), .port = 9092};
    }
    m.brokers = brokers;
    m.brokers_count = p->node_count;
    m.controller_id = p->controller;
    if (head->version >= 2)
        m.cluster_id = FERRY_STR("puppets");
    m.topics = topics;
    m.error_code = head->version >= 13 ? p->metadata_error : 0;
    if (ferry_msg_decode(ferry_api_request(head->api), head->version, head->body, 0, &arena, &q,
                         NULL) == 0) {
        p->creation_allowed |= q.allow_auto_topic_creation;
        for (int i = 0; q.topics_count < 0 && i < p->topic_count; i++)
            fill_topic(p, &p->topics[i], head->version, &topics[m.topics_count++], parts[i], nodes);
        for (int32_t k = 0; k < q.topics_count && k < PUPPET_TOPICS; k++) {
            struct ferry_metadata_response_topic *to = &topics[m.topics_count];
            int i = 0;
            while (i < p->topic_count &&
                   !ferry_str_eq(ferry_str_of(p->topics[i].name), q.topics[k].name))
                i++;
            if (i < p->topic_count) {
                fill_topic(p, &p->topics[i], head->version, to, parts[i], nodes);
            } else {
                ferry_metadata_response_topic_init(to);
                to->name = q.topics[k].name;
                to->error_code = FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            }
            m.topics_count++;
        }
    }
    puppet_answer(p, c, head, &m);
    ferry_arena_free(&arena);
}

static void answer_coordinator(struct puppet *p, struct puppet_conn *c,
                               const struct ferry_request_head *head)
{
    struct ferry_find_coordinator_response m;
    struct ferry_find_coordinator_response_coordinator one = {.key = FERRY_STR("g"),
                                                              .error_message = {NULL, 0}};
    char host[16];
    ferry_find_coordinator_response_init(&m);
    p->find_coordinator_requests++;
    snprintf(host, sizeof host, "node-%d", p->coordinator);
    if (head->version >= 4) {
        one.node_id = p->coordinator;
        one.host = ferry_str_of(host);
        one.port = 9092;
        one.error_code = p->coordinator_error;
        m.coordinators = &one;
        m.coordinators_count = 1;
    } else {
        m.node_id = p->coordinator;
        m.host = ferry_str_of(host);
        m.port = 9092;
        m.error_code = p->coordinator_error;
    }
    puppet_answer(p, c, head, &m);
}

static void serve(struct puppet *p, struct puppet_conn *c, struct ferry_bytes frame)
{
    struct ferry_request_head head;
    struct puppet_node *n = node_at(p, &c->addr);
    p->requests++;
    if (ferry_frame_parse_request(frame, &head, NULL) || !n || n->mute)
        return;
    if (head.key == FERRY_API_API_VERSIONS && !(p->handler && p->handler(p, c, n, &head)))
        answer_api_versions(p, c, n, &head);
    else if (head.key == FERRY_API_API_VERSIONS || n->silent ||
             (p->handler && p->handler(p, c, n, &head)))
        return;
    else if (head.key == FERRY_API_METADATA)
        answer_metadata(p, c, &head);
    else if (head.key == FERRY_API_FIND_COORDINATOR)
        answer_coordinator(p, c, &head);
}

/* -- The world's turn ----------------------------------------------------------------------------------- */

static void resolve_one(struct puppet *p)
{
    struct ferry_addr addrs[8];
    struct ferry_event ev = {.type = FERRY_EV_RESOLVED, .op = p->resolves[0], .addrs = addrs};
    uint16_t port = p->resolve_ports[0];
    char name[64];
    memcpy(name, p->resolve_names[0], 64);
    p->resolve_count--;
    memmove(p->resolves, p->resolves + 1, sizeof p->resolves - sizeof *p->resolves);
    memmove(p->resolve_names, p->resolve_names + 1, sizeof p->resolve_names - 64);
    memmove(p->resolve_ports, p->resolve_ports + 1,
            sizeof p->resolve_ports - sizeof *p->resolve_ports);
    if (p->name && !strcmp(name, p->name)) {
        memcpy(addrs, p->name_addrs, sizeof addrs);
        ev.addr_count = p->name_count;
    } else if (!strncmp(name, "node-", 5)) {
        addrs[0] = puppet_addr(atoi(name + 5));
        ev.addr_count = 1;
    }
    for (size_t i = 0; i < ev.addr_count; i++)
        addrs[i].port = port;
    if (!ev.addr_count) {
        ev.status = FERRY_E_RESOLVE;
        ev.text = "no such host";
    }
    puppet_event(p, ev);
}

static void end_conn(struct puppet *p, struct puppet_conn *c, int status, const char *text)
{
    struct ferry_id id = c->id;
    free(c->sent);
    *c = (struct puppet_conn){0};
    puppet_event(p, (struct ferry_event){
                        .type = FERRY_EV_CLOSED, .who = id, .status = status, .text = text});
}

void puppet_cut(struct puppet *p, struct puppet_conn *c, int status)
{
    end_conn(p, c, status, "cut by the test");
}

static void drain(struct puppet *p, struct puppet_conn *c)
{
    uint64_t op = c->undrained;
    c->undrained = 0;
    puppet_event(p, (struct ferry_event){.type = FERRY_EV_DRAINED, .who = c->id, .op = op});
}

void puppet_drain(struct puppet *p)
{
    for (int i = 0; i < PUPPET_CONNS; i++)
        if (p->conns[i].id.gen && p->conns[i].undrained)
            drain(p, &p->conns[i]);
}

/* Takes one frame out of what the client sent. */
static bool serve_one(struct puppet *p, struct puppet_conn *c)
{
    if (c->sent_len < 4)
        return false;
    size_t len = ferry_get32(c->sent);
    if (c->sent_len < 4 + len)
        return false;
    uint8_t *frame = malloc(len + 1);
    memcpy(frame, c->sent + 4, len);
    c->sent_len -= 4 + len;
    memmove(c->sent, c->sent + 4 + len, c->sent_len);
    serve(p, c, (struct ferry_bytes){frame, len});
    free(frame);
    return true;
}

/* One thing of one connection; false if there is none. */
static bool turn(struct puppet *p, struct puppet_conn *c)
{
    if (!c->id.gen)
        return false;
    if (c->closing) {
        end_conn(p, c, 0, NULL);
        return true;
    }
    struct puppet_node *n = node_at(p, &c->addr);
    if (!c->open) {
        if (n && n->hangs)
            return false;
        if (!n || n->down) {
            p->refusals++;
            end_conn(p, c, FERRY_E_TRANSPORT, "refused");
            return true;
        }
        c->open = true;
        puppet_event(
            p, (struct ferry_event){
                   .type = FERRY_EV_OPENED, .who = c->id, .addrs = &c->addr, .addr_count = 1});
        return true;
    }
    if (c->undrained && !p->hold_drained) {
        drain(p, c);
        return true;
    }
    return serve_one(p, c);
}

void puppet_settle(struct puppet *p)
{
    for (int quiet = 0, rounds = 0; !quiet && !p->dead; rounds++) {
        quiet = 1;
        if (p->work_count) {
            puppet_event(
                p, (struct ferry_event){.type = FERRY_EV_WORKED, .op = p->works[--p->work_count]});
            quiet = 0;
        }
        if (rounds > 100000) {
            fprintf(stderr, "puppet: the client never rests\n");
            abort();
        }
        if (p->resolve_count && !p->hold_resolves) {
            resolve_one(p);
            quiet = 0;
        }
        for (int i = 0; i < PUPPET_CONNS; i++)
            if (turn(p, &p->conns[i]))
                quiet = 0;
        if (!p->dead && ferry_deadline(&p->client->engine) <= p->now) {
            puppet_event(p, (struct ferry_event){.type = FERRY_EV_DEADLINE});
            quiet = 0;
        }
    }
}

void puppet_pass(struct puppet *p, ferry_nsec time)
{
    ferry_nsec end = p->now + time;
    puppet_settle(p);
    while (!p->dead) {
        ferry_nsec next = ferry_deadline(&p->client->engine);
        if (next > end)
            break;
        p->now = next;
        puppet_settle(p);
    }
    p->now = end;
    puppet_event(p, (struct ferry_event){.type = FERRY_EV_DEADLINE});
    puppet_settle(p);
}

struct call {
    struct ferry_command command;
    void (*fn)(struct ferry_client *, void *);
    void *arg;
};

static void run_call(struct ferry_client *client, struct ferry_command *command)
{
    struct call *c = (struct call *)command;
    c->fn(client, c->arg);
}

void puppet_call(struct puppet *p, void (*fn)(struct ferry_client *, void *), void *arg)
{
    struct call c = {.command.run = run_call, .fn = fn, .arg = arg};
    puppet_event(p, (struct ferry_event){.type = FERRY_EV_COMMAND, .command = &c.command});
}

void puppet_do(struct puppet *p, void (*fn)(struct ferry_client *, void *), void *arg)
{
    puppet_call(p, fn, arg);
    puppet_settle(p);
}

/* -- Life ----------------------------------------------------------------------------------------------- */

static void on_log(void *cookie, int level, uint32_t context, const char *text)
{
    if (getenv("PUPPET_LOG"))
        fprintf(stderr, "# %.3f ms %d: %s\n", (double)((struct puppet *)cookie)->now / 1e6, level,
                text);
}

static void on_error(void *cookie, const struct ferry_error *err)
{
    struct puppet *p = cookie;
    p->errors++;
    p->last_error = err->code;
}

static const struct ferry_client_host host = {on_log, on_error};

void puppet_init(struct puppet *p, const char *settings)
{
    *p = (struct puppet){.now = 1000 * FERRY_SECOND, .node_count = 1};
    for (int i = 0; i < PUPPET_NODES; i++)
        p->nodes[i] = (struct puppet_node){.id = i, .metadata_max = -1};
    struct ferry_error err = {0};
    p->config = ferry_config_new();
    if (!p->config) {
        p->dead = FERRY_E_NOMEM;
        return;
    }
    p->dead = ferry_config_set(p->config, "bootstrap.servers", "node-0:9092", &err);
    if (!p->dead)
        p->dead =
            ferry_config_set(p->config, "ferry.debug", getenv("PUPPET_LOG") ? "all" : "", &err);
    if (settings && !p->dead)
        p->dead = ferry_config_load_text(p->config, settings, strlen(settings), &err);
    if (p->dead)
        return;
    p->client = ferry_client_new(p->config, 42, &host, p, &err);
    if (!p->client)
        p->dead = err.code;
}

static void close_client(struct ferry_client *client, void *arg)
{
    ferry_client_close(client);
}

void puppet_end(struct puppet *p)
{
    if (p->client && !p->dead)
        puppet_do(p, close_client, NULL);
    if (p->client && !p->dead && !ferry_client_closed(p->client)) {
        fprintf(stderr, "puppet: the client does not end\n");
        abort();
    }
    ferry_client_free(p->client);
    ferry_config_free(p->config);
    for (int i = 0; i < PUPPET_CONNS; i++)
        free(p->conns[i].sent);
}

void puppet_add_topic(struct puppet *p, const char *name, int32_t partitions, int32_t leader)
{
    struct puppet_topic *t = &p->topics[p->topic_count++];
    *t = (struct puppet_topic){
        .name = name, .partitions = partitions, .id = {{(uint8_t)p->topic_count}}};
    for (int32_t i = 0; i < partitions; i++) {
        t->leader[i] = leader;
        t->epoch[i] = 1;
    }
}

struct ferry_topic_meta *puppet_topic_meta(struct puppet *p, const char *name)
{
    return ferry_cluster_topic(p->client, ferry_str_of(name));
}
