/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "base/check.h"
#include "base/mem.h"
#include "record/batch.h"
#include "record/build.h"
#include "wire/frame.h"

#include <stdio.h>
#include <stdlib.h>

struct bb_event {
    struct ferry_event ev;
    size_t conn; /* of RECEIVED */
    uint8_t *data;
};

static void say(void *cookie, int level, const char *text)
{
    struct bb *b = cookie;
    if (b->trace)
        printf("# [%d] %s\n", level, text);
    b->errors += level == 0;
    snprintf(b->last_line, sizeof b->last_line, "%s", text);
}

void bb_init(struct bb *b, uint64_t seed)
{
    memset(b, 0, sizeof *b);
    b->disk = sim_disk_new(seed ^ 0x5eed);
    b->now = 1000 * FERRY_SECOND;
    b->wall = INT64_C(1700000000000);
    b->seed = seed;
    ferry_prng_seed(&b->prng, seed);
    b->trace = getenv("BENCH_TRACE") != NULL;
    ferry_arena_init(&b->arena, SIZE_MAX);
    FERRY_CHECK(broker_config_init(&b->config) == 0);
}

void bb_set(struct bb *b, const char *key, const char *value)
{
    struct ferry_error err;
    FERRY_CHECK(broker_config_set(&b->config, key, value, &err) == 0);
}

void bb_reset(struct bb *b)
{
    ferry_arena_reset(&b->arena);
}

static struct bb_event *add_event(struct bb *b, enum ferry_event_type type, struct ferry_id who)
{
    FERRY_CHECK(FERRY_GROW(b->events, b->event_cap, b->event_count + 1) == 0);
    struct bb_event *e = &b->events[b->event_count++];
    *e = (struct bb_event){.ev = {.type = type, .who = who}, .conn = SIZE_MAX};
    return e;
}

static struct bb_conn *find(struct bb *b, struct ferry_id id)
{
    for (size_t i = 0; i < b->conn_count; i++)
        if (b->conns[i].open && ferry_id_eq(b->conns[i].id, id))
            return &b->conns[i];
    return NULL;
}

static void append(uint8_t **to, size_t *len, size_t *cap, const void *data, size_t n)
{
    FERRY_CHECK(ferry_grow((void **)to, cap, *len + n, 1) == 0);
    if (n)
        memcpy(*to + *len, data, n);
    *len += n;
}

/* Bytes waiting for a connection that reads go to the engine. */
static void offer(struct bb *b, struct bb_conn *c)
{
    if (!c->open || c->paused || !c->in_len)
        return;
    add_event(b, FERRY_EV_RECEIVED, c->id)->conn = (size_t)(c - b->conns);
}

static void on_send(struct bb *b, const struct ferry_action *a)
{
    struct bb_conn *c = find(b, a->who);
    if (!c)
        return;
    for (uint32_t i = 0; i < a->part_count; i++) {
        const struct ferry_part *p = &b->out.parts[a->part_first + i];
        if (p->data) {
            append(&c->out, &c->out_len, &c->out_cap, p->data, p->len);
            continue;
        }
        FERRY_CHECK(ferry_grow((void **)&c->out, &c->out_cap, c->out_len + p->len, 1) == 0);
        FERRY_CHECK(sim_disk_gather(b->disk, p->file, p->offset, c->out + c->out_len, p->len));
        c->out_len += p->len;
    }
    c->undrained = a->op;
    if (!c->slow)
        add_event(b, FERRY_EV_DRAINED, c->id)->ev.op = a->op;
}

static void close_conn(struct bb *b, struct bb_conn *c)
{
    c->closed = true;
    c->open = false;
    c->slab = NULL;
    add_event(b, FERRY_EV_CLOSED, c->id);
}

static void on_control(struct bb *b, const struct ferry_action *a)
{
    struct bb_conn *c = find(b, a->who);
    if (!c)
        return;
    switch (a->type) {
    case FERRY_DO_PAUSE:
        c->paused = true;
        break;
    case FERRY_DO_RESUME:
        c->paused = false;
        offer(b, c);
        break;
    case FERRY_DO_RECEIVE_INTO:
        c->slab = a->slab;
        offer(b, c);
        break;
    default:
        close_conn(b, c);
    }
}

static void on_adopt(struct bb *b, const struct ferry_action *a)
{
    struct bb_conn *c = &b->conns[a->handle];
    c->refused = a->type == FERRY_DO_CLOSE_HANDLE;
    c->closed = c->refused;
    if (c->refused)
        return;
    c->id = a->who;
    c->open = true;
    offer(b, c);
}

static void on_file(struct bb *b, const struct ferry_action *a)
{
    struct ferry_event done = {0};
    if (!sim_disk_execute(b->disk, a, b->out.parts, &done))
        return;
    uint8_t *copy = NULL;
    if (done.data.len) {
        copy = ferry_memdup(done.data.data, done.data.len);
        FERRY_CHECK(copy);
        done.data.data = copy;
    }
    struct bb_event e = {.ev = done, .conn = SIZE_MAX, .data = copy};
    if (b->hold_syncs_of && a->type == FERRY_DO_OPEN_FILE && strstr(a->path, b->hold_syncs_of))
        b->holding = a->who;
    if (b->hold_syncs && a->type == FERRY_DO_SYNC &&
        (!b->hold_syncs_of || ferry_id_eq(a->who, b->holding))) {
        FERRY_CHECK(FERRY_GROW(b->held, b->held_cap, b->held_count + 1) == 0);
        b->held[b->held_count++] = e;
        return;
    }
    *add_event(b, done.type, done.who) = e;
}

static void on_action(struct bb *b, const struct ferry_action *a)
{
    const struct broker_notice *notice;
    switch (a->type) {
    case FERRY_DO_LISTEN: {
        static struct ferry_addr bound = {
            .family = FERRY_INET4, .ip = {127, 0, 0, 1}, .port = 9092};
        struct bb_event *e = add_event(b, FERRY_EV_LISTENING, a->who);
        e->ev.addrs = &bound;
        e->ev.addr_count = 1;
        break;
    }
    case FERRY_DO_ADOPT:
    case FERRY_DO_CLOSE_HANDLE:
        on_adopt(b, a);
        break;
    case FERRY_DO_SEND:
        on_send(b, a);
        break;
    case FERRY_DO_RECEIVE_INTO:
    case FERRY_DO_PAUSE:
    case FERRY_DO_RESUME:
    case FERRY_DO_CLOSE:
        on_control(b, a);
        break;
    case FERRY_DO_DELIVER:
        notice = a->deliver;
        b->notices[notice->type]++;
        snprintf(b->failure, sizeof b->failure, "%s", notice->text);
        break;
    default:
        on_file(b, a);
    }
}

static void step(struct bb *b, struct ferry_event *ev)
{
    ev->now = b->now;
    ev->wall = b->wall;
    b->steps++;
    bool lose = b->lose_memory && ferry_prng_chance(&b->prng, b->lose_memory, 1000);
    if (b->dead)
        return;
    if (lose)
        ferry_mem_fail_after(1 + ferry_prng_below(&b->prng, 12));
    int rc = ferry_step(broker_node_engine(b->node), ev, &b->out);
    ferry_mem_fail_after(0);
    b->lost += lose;
    b->dead = b->out.failed;
    FERRY_CHECK(rc == 0 && (lose || !b->dead));
    if (b->dead) {
        ferry_actions_reset(&b->out);
        return;
    }
    for (size_t i = 0; i < b->out.count; i++) /* executing adds events, never actions */
        on_action(b, &b->out.items[i]);
    ferry_actions_reset(&b->out);
}

/* Gives a connection's waiting bytes to the engine, through the lent slab or as borrowed ones. */
static void receive(struct bb *b, struct bb_conn *c)
{
    if (!c->open || c->paused || !c->in_len)
        return;
    size_t n = c->chunk && c->chunk < c->in_len ? c->chunk : c->in_len;
    struct ferry_event ev = {.type = FERRY_EV_RECEIVED, .who = c->id};
    uint8_t *data = NULL;
    if (c->slab) {
        size_t room = c->slab->cap - c->slab->len;
        n = n < room ? n : room;
        memcpy(c->slab->data + c->slab->len, c->in, n);
        c->slab->len += n;
        ev.count = n;
        if (c->slab->len == c->slab->cap)
            c->slab = NULL;
    } else {
        n = n < 65536 ? n : 65536;
        data = ferry_memdup(c->in, n); /* of its own, so that a later read is seen by a sanitizer */
        FERRY_CHECK(data);
        ev.data = (struct ferry_bytes){data, n};
        ev.count = n;
    }
    memmove(c->in, c->in + n, c->in_len - n);
    c->in_len -= n;
    step(b, &ev);
    ferry_free(data);
    offer(b, c);
}

void bb_run(struct bb *b)
{
    uint64_t begun = b->steps;
    while (b->event_at < b->event_count) {
        struct bb_event e = b->events[b->event_at++];
        FERRY_CHECK(b->steps - begun < 1000000);
        if (e.conn != SIZE_MAX) {
            receive(b, &b->conns[e.conn]);
            continue;
        }
        step(b, &e.ev);
        ferry_free(e.data);
    }
    b->event_at = b->event_count = 0;
}

static void on_deadlines(struct bb *b, ferry_nsec upto)
{
    int spins = 0;
    for (;;) {
        ferry_nsec at = ferry_deadline(broker_node_engine(b->node));
        if (at > upto || b->dead)
            break;
        FERRY_CHECK(at > b->now || ++spins < 1000);
        if (at > b->now) {
            b->wall += (at - b->now) / FERRY_MS;
            b->now = at;
        }
        struct ferry_event ev = {.type = FERRY_EV_DEADLINE};
        step(b, &ev);
        bb_run(b);
    }
}

void bb_advance(struct bb *b, int64_t ms)
{
    ferry_nsec upto = b->now + ms * FERRY_MS;
    bb_run(b);
    on_deadlines(b, upto);
    if (upto > b->now)
        b->wall += (upto - b->now) / FERRY_MS;
    b->now = upto;
}

void bb_release_syncs(struct bb *b)
{
    for (size_t i = 0; i < b->held_count; i++)
        *add_event(b, b->held[i].ev.type, b->held[i].ev.who) = b->held[i];
    b->held_count = 0;
    bb_run(b);
}

void bb_start(struct bb *b)
{
    struct broker_node_options o = {.config = &b->config,
                                    .seed = ++b->seed,
                                    .log = say,
                                    .cookie = b,
                                    .listen = {.family = FERRY_INET4, .ip = {127, 0, 0, 1}}};
    struct ferry_error err;
    FERRY_CHECK(broker_node_new(&b->node, &o, &err) == 0);
    memset(b->notices, 0, sizeof b->notices);
    b->dead = false;
    struct ferry_event ev = {.type = FERRY_EV_DEADLINE};
    step(b, &ev);
    bb_run(b);
}

static void drop_node(struct bb *b)
{
    for (; b->event_at < b->event_count; b->event_at++)
        ferry_free(b->events[b->event_at].data);
    for (size_t i = 0; i < b->held_count; i++)
        ferry_free(b->held[i].data);
    b->event_at = b->event_count = b->held_count = 0;
    for (size_t i = 0; i < b->conn_count; i++) {
        struct bb_conn *c = &b->conns[i];
        ferry_free(c->in);
        ferry_free(c->out);
        *c = (struct bb_conn){.closed = true};
    }
    b->conn_count = 0;
    broker_node_free(b->node);
    b->node = NULL;
    ferry_actions_reset(&b->out);
}

void bb_stop(struct bb *b)
{
    struct broker_command stop = {BROKER_STOP};
    struct ferry_event ev = {.type = FERRY_EV_COMMAND, .command = &stop};
    step(b, &ev);
    bb_run(b);
    FERRY_CHECK(b->notices[BROKER_STOPPED] == 1);
    drop_node(b);
    sim_disk_kill(b->disk);
}

void bb_kill(struct bb *b, bool power_loss)
{
    drop_node(b);
    if (power_loss)
        sim_disk_power_loss(b->disk);
    else
        sim_disk_kill(b->disk);
}

void bb_free(struct bb *b)
{
    if (b->node)
        drop_node(b);
    ferry_free(b->events);
    ferry_free(b->held);
    ferry_actions_free(&b->out);
    ferry_arena_free(&b->arena);
    broker_config_free(&b->config);
    sim_disk_free(b->disk);
}

/* ---- connections ---- */

size_t bb_connect(struct bb *b)
{
    static struct ferry_addr peer = {.family = FERRY_INET4, .ip = {10, 0, 0, 7}, .port = 4242};
    FERRY_CHECK(b->conn_count < BB_CONNS);
    size_t i = b->conn_count++;
    b->conns[i] = (struct bb_conn){0};
    struct bb_event *e = add_event(b, FERRY_EV_ACCEPTED, (struct ferry_id){0, 1});
    e->ev.handle = i;
    e->ev.addrs = &peer;
    e->ev.addr_count = 1;
    bb_run(b);
    return i;
}

void bb_bytes(struct bb *b, size_t conn, const void *data, size_t len)
{
    struct bb_conn *c = &b->conns[conn];
    bool idle = c->in_len == 0;
    append(&c->in, &c->in_len, &c->in_cap, data, len);
    if (idle)
        offer(b, c);
}

void bb_disconnect(struct bb *b, size_t conn)
{
    if (b->conns[conn].open)
        close_conn(b, &b->conns[conn]);
    bb_run(b);
}

void bb_drain(struct bb *b, size_t conn)
{
    struct bb_conn *c = &b->conns[conn];
    c->slow = false;
    if (c->undrained)
        add_event(b, FERRY_EV_DRAINED, c->id)->ev.op = c->undrained;
    bb_run(b);
}

int32_t bb_send(struct bb *b, size_t conn, int key, int version, const void *body)
{
    struct ferry_writer w = {0};
    struct ferry_error err = {0};
    int32_t id = ++b->conns[conn].correlation;
    int rc =
        ferry_frame_request(&w, ferry_api_find(key), version, id, FERRY_STR("bench"), body, &err);
    if (rc)
        printf("# %s %d: %s\n", ferry_api_name(key), version, err.text);
    FERRY_CHECK(rc == 0);
    bb_bytes(b, conn, w.data, w.len);
    ferry_writer_free(&w);
    return id;
}

bool bb_take(struct bb *b, size_t conn, int key, int version, int32_t *correlation, void *out)
{
    struct bb_conn *c = &b->conns[conn];
    struct ferry_bytes body;
    struct ferry_error err = {0};
    int32_t id;
    if (c->out_len - c->out_at < 4)
        return false;
    size_t len = ferry_get32(c->out + c->out_at);
    if (c->out_len - c->out_at - 4 < len)
        return false;
    /* a copy that lives as long as what is decoded from it */
    uint8_t *copy = ferry_arena_alloc(&b->arena, len);
    FERRY_CHECK(copy);
    memcpy(copy, c->out + c->out_at + 4, len);
    c->out_at += 4 + len;
    const struct ferry_api *api = ferry_api_find(key);
    int rc =
        ferry_frame_parse_response((struct ferry_bytes){copy, len}, api, version, &id, &body, &err);
    if (!rc)
        rc = ferry_msg_decode(ferry_api_response(api), version, body, FERRY_DECODE_WHOLE, &b->arena,
                              out, &err);
    if (rc)
        printf("# the answer to %s %d does not decode: %s\n", ferry_api_name(key), version,
               err.text);
    if (correlation)
        *correlation = id;
    return rc == 0;
}

bool bb_call(struct bb *b, size_t conn, int key, int version, const void *body, void *out)
{
    int32_t got = -1, id = bb_send(b, conn, key, version, body);
    bb_run(b);
    return bb_take(b, conn, key, version, &got, out) && got == id;
}

/* ---- shorthands ---- */

void bb_begin(struct bb *b)
{
    bb_init(b, 7);
    bb_start(b);
}

int bb_create_with(struct bb *b, size_t conn, const char *topic, int32_t partitions, int factor,
                   const char *key, const char *value)
{
    struct ferry_create_topics_request in;
    struct ferry_create_topics_request_topic t;
    struct ferry_create_topics_request_config config = {ferry_str_of(key), ferry_str_of(value),
                                                        NULL};
    struct ferry_create_topics_response out;
    ferry_create_topics_request_init(&in);
    ferry_create_topics_request_topic_init(&t);
    t.name = ferry_str_of(topic);
    t.num_partitions = partitions;
    t.replication_factor = (int16_t)factor;
    t.configs = &config;
    t.configs_count = key != NULL;
    in.topics = &t;
    in.topics_count = 1;
    return bb_call(b, conn, 19, 7, &in, &out) && out.topics_count == 1 ? out.topics[0].error_code
                                                                       : -1000;
}

int bb_create(struct bb *b, size_t conn, const char *topic, int32_t partitions)
{
    return bb_create_with(b, conn, topic, partitions, -1, NULL, NULL);
}

struct ferry_uuid bb_topic_id(struct bb *b, size_t conn, const char *topic)
{
    struct ferry_metadata_request in;
    struct ferry_metadata_request_topic t;
    struct ferry_metadata_response out;
    ferry_metadata_request_init(&in);
    ferry_metadata_request_topic_init(&t);
    t.name = ferry_str_of(topic);
    in.topics = &t;
    in.topics_count = 1;
    in.allow_auto_topic_creation = false;
    return bb_call(b, conn, 3, 12, &in, &out) && !out.topics[0].error_code
               ? out.topics[0].topic_id
               : (struct ferry_uuid){{0}};
}

struct ferry_slab *bb_batch(int count, int first, int64_t producer, int sequence)
{
    char value[32];
    struct ferry_slab *s = ferry_slab_new(FERRY_BATCH_HEADER + (size_t)count * 80);
    FERRY_CHECK(s);
    uint8_t *at = s->data + FERRY_BATCH_HEADER;
    for (int i = 0; i < count; i++) {
        int n = snprintf(value, sizeof value, "value-%d", first + i);
        struct ferry_build_record r = {.key = {(const uint8_t *)value, (size_t)n},
                                       .value = {(const uint8_t *)value, (size_t)n}};
        at = ferry_build_record(at, &r, 0, i);
    }
    s->len = (size_t)(at - s->data);
    struct ferry_build_header h = {.base_timestamp = INT64_C(1700000000000),
                                   .max_timestamp = INT64_C(1700000000000),
                                   .producer_id = producer ? producer : -1,
                                   .producer_epoch = producer ? 0 : -1,
                                   .base_sequence = producer ? sequence : -1,
                                   .leader_epoch = -1,
                                   .last_offset_delta = count - 1,
                                   .count = count};
    ferry_build_header(s->data, &h, s->len);
    ferry_build_crc(s->data, s->len);
    return s;
}

int32_t bb_produce_begin(struct bb *b, size_t conn, const char *topic, int32_t partition, int count,
                         int first, int acks)
{
    struct ferry_produce_request in;
    struct ferry_produce_request_topic_data t;
    struct ferry_produce_request_partition_data p;
    struct ferry_slab *s = bb_batch(count, first, 0, 0);
    ferry_produce_request_init(&in);
    ferry_produce_request_topic_data_init(&t);
    ferry_produce_request_partition_data_init(&p);
    p.index = partition;
    p.records = (struct ferry_bytes){s->data, s->len};
    t.name = ferry_str_of(topic);
    t.partition_data = &p;
    in.topic_data = &t;
    t.partition_data_count = in.topic_data_count = 1;
    in.acks = (int16_t)acks;
    in.timeout_ms = 1000;
    int32_t id = bb_send(b, conn, 0, 9, &in);
    ferry_slab_unref(s);
    return id;
}

int bb_produce(struct bb *b, size_t conn, const char *topic, int32_t partition, int count,
               int first, int64_t *offset)
{
    struct ferry_produce_response out;
    bb_produce_begin(b, conn, topic, partition, count, first, -1);
    bb_run(b);
    if (!bb_take(b, conn, 0, 9, NULL, &out) || out.responses_count != 1)
        return -1000;
    if (offset)
        *offset = out.responses[0].partition_responses[0].base_offset;
    return out.responses[0].partition_responses[0].error_code;
}

int32_t bb_fetch_begin(struct bb *b, size_t conn, const char *topic, int64_t offset,
                       int32_t min_bytes, int32_t wait_ms)
{
    struct ferry_fetch_request in;
    struct ferry_fetch_request_topic t;
    struct ferry_fetch_request_partition p;
    ferry_fetch_request_init(&in);
    ferry_fetch_request_topic_init(&t);
    ferry_fetch_request_partition_init(&p);
    p.fetch_offset = offset;
    p.partition_max_bytes = 1 << 20;
    t.topic = ferry_str_of(topic);
    t.partitions = &p;
    in.topics = &t;
    t.partitions_count = in.topics_count = 1;
    in.min_bytes = min_bytes;
    in.max_wait_ms = wait_ms;
    in.max_bytes = 1 << 24;
    return bb_send(b, conn, 1, 12, &in);
}

int bb_fetch(struct bb *b, size_t conn, const char *topic, int64_t offset, int *error)
{
    struct ferry_fetch_response out;
    bb_fetch_begin(b, conn, topic, offset, 1, 0);
    bb_run(b);
    if (!bb_take(b, conn, 1, 12, NULL, &out) || out.responses_count != 1)
        return -1000;
    if (error)
        *error = out.responses[0].partitions[0].error_code;
    return bb_count_records(out.responses[0].partitions[0].records);
}

int bb_count_records(struct ferry_bytes set)
{
    struct ferry_batch_set s;
    struct ferry_batch batch;
    int n = 0;
    ferry_batch_set_init(&s, set);
    while (ferry_batch_set_next(&s, &batch, NULL) > 0) {
        n += batch.count;
        if (ferry_batch_check_crc(&batch, NULL))
            return -1;
    }
    return n;
}
