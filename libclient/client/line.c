/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/core.h"
#include "client/statistics.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/kafka_errors.h"

#include <stdio.h>

/*
 * A line: one class's connection to one broker, from "somebody wants it" to idle.
 *
 *   DOWN --kick--> WAITING (backoff) --> RESOLVING --> OPENING --> NEGOTIATING --> READY
 *     ^                ^                     |             |  \        |             |
 *     |                +---- nobody reached -+-------------+   next address          |
 *     +--------------------------- CLOSING <-------------------------+---------------+
 *
 * Invariants:
 *  1. Requests wait in `waiting` in the order of submission and are written in it, only in READY and not throttled.
 *  2. When no address can be reached, what waits fails; it does not wait for a better time.
 *  3. `wanted` stays until the line is up: a line that somebody asked to connect goes on trying. `wanted_once` ends
 *     with the first failure.
 */

enum {
    API_VERSIONS_FIRST = 4
}; /* the version of ApiVersions that is tried first; older brokers tell theirs */

static const struct ferry_conn_ops conn_ops;

struct ferry_line *ferry_line_new(struct ferry_broker *b, enum ferry_class conn_class)
{
    struct ferry_line *line = ferry_zalloc(sizeof *line);
    if (!line)
        return NULL;
    line->client = b->client;
    line->broker = b;
    line->conn_class = conn_class;
    ferry_list_init(&line->waiting);
    ferry_conn_init(&line->conn, &conn_ops, &b->client->core->flights,
                    (uint32_t)b->client->settings->frame_max_bytes);
    return line;
}

void ferry_line_free(struct ferry_line *line)
{
    if (!line)
        return;
    ferry_timer_cancel(&line->client->timers, &line->timer);
    ferry_timer_cancel(&line->client->timers, &line->throttle);
    if (line->conn.state != FERRY_CONN_IDLE)
        line->client->core->slots[line->slot].line = NULL;
    ferry_conn_free(&line->conn);
    ferry_window_free(&line->rtt);
    ferry_window_free(&line->wait);
    ferry_window_free(&line->throttled);
    ferry_free(line);
}

bool ferry_line_usable(const struct ferry_line *line)
{
    return line->state == FERRY_LINE_READY && line->conn.state == FERRY_CONN_OPEN &&
           line->throttled_until <= line->client->now;
}

static void log_line(const struct ferry_line *line, int level, const char *what, const char *why)
{
    static const char *const names[] = {"general", "produce", "fetch", "join", "coordinator"};
    ferry_client_log(line->client, level, FERRY_DEBUG_BROKER,
                     "%s:%d (broker %d, %s connection): %s%s%s", line->broker->host,
                     line->broker->port, line->broker->node, names[line->conn_class], what,
                     *why ? ": " : "", why);
}

static void arm(struct ferry_line *line, ferry_nsec at, void (*fire)(struct ferry_timer *, void *))
{
    line->timer.fire = fire;
    ferry_client_timer(line->client, &line->timer, at);
}

/* -- Writing -------------------------------------------------------------------------------------------- */

static int encode(struct ferry_line *line, struct ferry_request *r, struct ferry_flight *flight,
                  struct ferry_error *err)
{
    if (r->encode)
        return r->encode(line->client, r, flight->version, &flight->writer);
    return ferry_msg_encode(ferry_api_request(flight->api), flight->version, r->message,
                            &flight->writer, err);
}

static void write_one(struct ferry_line *line, struct ferry_request *r)
{
    struct ferry_client *client = line->client;
    const struct ferry_api *api = ferry_api_find(r->api_key);
    const struct ferry_versions *v = &line->versions;
    int version = -1;
    if (api && r->api_key < CORE_KEYS && v->high[r->api_key] >= 0)
        version = ferry_api_choose(api, v->low[r->api_key], v->high[r->api_key], r->min_version,
                                   r->max_version);
    if (version < 0) {
        ferry_request_finish(
            r, FERRY_E_UNSUPPORTED, "broker %d offers no version of %s that fits (%d to %d)",
            line->broker->node, ferry_api_name(r->api_key), r->min_version, r->max_version);
        return;
    }
    struct ferry_flight *flight =
        ferry_conn_begin(&line->conn, api, version, ferry_str_of(client->settings->client_id));
    struct ferry_error err = {.text = "its body cannot be encoded"};
    int code = flight ? encode(line, r, flight, &err) : FERRY_E_NOMEM;
    if (!code) {
        flight->owner = r;
        flight->no_reply = r->no_reply;
        code = ferry_conn_send(&line->conn, flight, client->now, client->out);
    }
    if (code) {
        if (flight)
            ferry_conn_drop(&line->conn, flight);
        ferry_request_finish(r, code, "%s cannot be written: %s", ferry_api_name(r->api_key),
                             err.text);
        return;
    }
    line->active_at = client->now;
    line->requests++;
    if (ferry_statistics_on(client))
        ferry_window_add(&line->wait, (client->now - r->submitted_at) / 1000);
    ferry_request_on_wire(r, line, flight);
}

static void flush(struct ferry_line *line)
{
    while (ferry_line_usable(line) && !ferry_list_empty(&line->waiting))
        write_one(line, FERRY_CONTAINER(line->waiting.next, struct ferry_request, link));
}

void ferry_line_submit(struct ferry_line *line, struct ferry_request *r)
{
    ferry_list_push_back(&line->waiting, &r->link);
    ferry_line_kick(line);
}

/* -- Connecting ----------------------------------------------------------------------------------------- */

static bool is_wanted(const struct ferry_line *line)
{
    return !line->client->closing && !line->broker->gone &&
           (line->wanted || line->wanted_once || !ferry_list_empty(&line->waiting));
}

static void backoff_over(struct ferry_timer *t, void *context)
{
    struct ferry_line *line = FERRY_CONTAINER(t, struct ferry_line, timer);
    line->state = FERRY_LINE_DOWN;
    ferry_line_kick(line);
}

static void setup_timed_out(struct ferry_timer *t, void *context)
{
    struct ferry_line *line = FERRY_CONTAINER(t, struct ferry_line, timer);
    ferry_line_close(line, FERRY_E_TIMED_OUT, "connecting took too long");
}

static struct ferry_id take_slot(struct ferry_line *line)
{
    struct ferry_client_core *core = line->client->core;
    size_t i = 0;
    while (i < core->slot_count && core->slots[i].line)
        i++;
    if (i == core->slot_count) {
        if (FERRY_GROW(core->slots, core->slot_cap, core->slot_count + 1))
            return (struct ferry_id){0, 0};
        core->slots[core->slot_count++] = (struct ferry_slot){NULL, 0};
    }
    core->slots[i].line = line;
    if (!++core->slots[i].gen)
        core->slots[i].gen = 1;
    line->slot = (uint32_t)i;
    return (struct ferry_id){(uint32_t)i, core->slots[i].gen};
}

static void open_next(struct ferry_line *line)
{
    struct ferry_client *client = line->client;
    struct ferry_broker *b = line->broker;
    const struct ferry_settings *s = client->settings;
    struct ferry_id id = take_slot(line);
    if (!id.gen) {
        ferry_core_fail(client);
        return;
    }
    line->state = FERRY_LINE_OPENING;
    line->addr_index = b->addr_at;
    line->opened_at = client->now;
    client->core->open_conns++;
    client->counters.connects++;
    line->conn.in.pool = line->conn_class == FERRY_CLASS_FETCH ? client->slabs : NULL;
    ferry_conn_open(&line->conn, id, &b->addrs[b->addr_at], b->host, client->out);
    arm(line,
        client->now + ferry_client_backoff(client, s->socket_connection_setup_timeout_ms,
                                           s->socket_connection_setup_timeout_max_ms, b->failures),
        setup_timed_out);
}

void ferry_line_kick(struct ferry_line *line)
{
    struct ferry_broker *b = line->broker;
    if (line->state == FERRY_LINE_READY) {
        flush(line);
        return;
    }
    if (line->state != FERRY_LINE_DOWN || !is_wanted(line))
        return;
    if (ferry_broker_in_backoff(b)) {
        line->state = FERRY_LINE_WAITING;
        arm(line, b->retry_at, backoff_over);
    } else if (b->addr_count) {
        open_next(line);
    } else {
        line->state = FERRY_LINE_RESOLVING;
        ferry_broker_resolve(b);
    }
}

/* Nothing more can be tried now. The broker is in backoff. */
static void give_up(struct ferry_line *line, int status, const char *text)
{
    struct ferry_client *client = line->client;
    line->state = FERRY_LINE_DOWN;
    line->wanted_once = false;
    client->counters.connect_failures++;
    log_line(line, FERRY_LOG_WARNING, "cannot connect", text);
    char why[sizeof((struct ferry_request *)0)->text];
    snprintf(why, sizeof why, "%s:%d: %s", line->broker->host, line->broker->port, text);
    ferry_request_finish_list(&line->waiting,
                              status == FERRY_E_RESOLVE ? status : FERRY_E_TRANSPORT, why);
    ferry_core_tell_down(client, line->broker->node, line->conn_class, status);
    ferry_line_kick(line);
    ferry_metadata_need(client, false);
    ferry_request_dispatch_any(client);
}

void ferry_line_resolved(struct ferry_line *line, int status, const char *text)
{
    FERRY_CHECK(line->state == FERRY_LINE_RESOLVING);
    line->state = FERRY_LINE_DOWN;
    if (status)
        give_up(line, status, text);
    else
        ferry_line_kick(line);
}

/* -- Negotiating ---------------------------------------------------------------------------------------- */

static int send_api_versions(struct ferry_line *line, int version)
{
    struct ferry_client *client = line->client;
    const struct ferry_api *api = ferry_api_find(FERRY_API_API_VERSIONS);
    struct ferry_api_versions_request m;
    ferry_api_versions_request_init(&m);
    m.client_software_name = FERRY_STR("libferry");
    m.client_software_version = FERRY_STR(PACKAGE_VERSION);
    struct ferry_flight *f =
        ferry_conn_begin(&line->conn, api, version, ferry_str_of(client->settings->client_id));
    if (!f)
        return FERRY_E_NOMEM;
    int code = ferry_msg_encode(ferry_api_request(api), version, &m, &f->writer, NULL);
    if (!code)
        code = ferry_conn_send(&line->conn, f, client->now, client->out);
    if (code)
        ferry_conn_drop(&line->conn, f);
    else
        line->handshake_version = (uint8_t)version;
    return code;
}

static void on_open(struct ferry_conn *c, const struct ferry_event *ev)
{
    struct ferry_line *line = (struct ferry_line *)c;
    if (line->state != FERRY_LINE_OPENING)
        return;
    line->state = FERRY_LINE_NEGOTIATING;
    int code = send_api_versions(line, API_VERSIONS_FIRST);
    if (code)
        ferry_line_close(line, code, "no memory for the first request");
}

static void take_versions(struct ferry_line *line, const struct ferry_api_versions_response *m)
{
    struct ferry_versions *v = &line->versions;
    for (int i = 0; i < CORE_KEYS; i++)
        v->low[i] = v->high[i] = -1;
    for (int32_t i = 0; i < m->api_keys_count; i++) {
        const struct ferry_api_versions_response_api_key *k = &m->api_keys[i];
        if (k->api_key >= 0 && k->api_key < CORE_KEYS && k->min_version >= 0 &&
            k->max_version >= k->min_version) {
            v->low[k->api_key] = k->min_version;
            v->high[k->api_key] = k->max_version;
        }
    }
}

static void take_features(struct ferry_client *client, const struct ferry_api_versions_response *m)
{
    struct ferry_client_core *core = client->core;
    if (m->finalized_features_epoch < core->features_epoch)
        return; /* a broker that is behind */
    core->features_epoch = m->finalized_features_epoch;
    core->feature_count = 0;
    for (int32_t i = 0; i < m->finalized_features_count && core->feature_count < CORE_FEATURES;
         i++) {
        const struct ferry_api_versions_response_finalized_feature *f = &m->finalized_features[i];
        struct ferry_feature *to = &core->features[core->feature_count];
        if (f->name.len >= sizeof to->name)
            continue;
        memcpy(to->name, f->name.data, f->name.len);
        to->name[f->name.len] = 0;
        to->level = f->max_version_level;
        core->feature_count++;
    }
}

static void idle_check(struct ferry_timer *t, void *context)
{
    struct ferry_line *line = FERRY_CONTAINER(t, struct ferry_line, timer);
    ferry_nsec idle = line->client->settings->connections_max_idle_ms * FERRY_MS,
               end = line->active_at + idle;
    if (line->conn.flight_count || !ferry_list_empty(&line->waiting))
        end = line->client->now + idle;
    if (end > line->client->now) {
        arm(line, end, idle_check);
        return;
    }
    line->quiet = true;
    ferry_line_close(line, FERRY_OK, "idle");
}

static void up(struct ferry_line *line)
{
    struct ferry_client *client = line->client;
    line->state = FERRY_LINE_READY;
    line->wanted = line->wanted_once = false;
    line->active_at = client->now;
    line->throttled_until = 0;
    ferry_broker_up(line->broker);
    ferry_timer_cancel(&client->timers, &line->timer);
    if (client->settings->connections_max_idle_ms >= 0)
        arm(line, client->now + client->settings->connections_max_idle_ms * FERRY_MS, idle_check);
    log_line(line, FERRY_LOG_DEBUG, "connected", "");
    flush(line);
    ferry_core_tell_up(client, line->broker->node, line->conn_class);
    ferry_request_dispatch_any(client);
}

static int16_t offered_versions(const struct ferry_api_versions_response *m)
{
    for (int32_t i = 0; i < m->api_keys_count; i++)
        if (m->api_keys[i].api_key == FERRY_API_API_VERSIONS)
            return m->api_keys[i].max_version;
    return 0;
}

/* An answer with an error has the body of version 0, whatever was asked. */
static int on_api_versions(struct ferry_line *line, const struct ferry_frame *frame,
                           struct ferry_arena *arena)
{
    const struct ferry_api *api = ferry_api_find(FERRY_API_API_VERSIONS);
    struct ferry_api_versions_response m;
    struct ferry_bytes body;
    int32_t correlation;
    int version = line->handshake_version;
    int code = ferry_frame_parse_response(frame->bytes, api, version, &correlation, &body, NULL);
    if (code || body.len < 2)
        return FERRY_E_PROTOCOL;
    bool failed = ferry_get16(body.data) != 0;
    code =
        ferry_msg_decode(ferry_api_response(api), failed ? 0 : version, body, 0, arena, &m, NULL);
    if (code)
        return code;
    if (m.error_code == FERRY_KAFKA_UNSUPPORTED_VERSION &&
        version > 0) { /* down to what it offers, else to 0 */
        int16_t next = offered_versions(&m);
        next = next < version && next >= 0 ? next : 0;
        return send_api_versions(line, next);
    }
    if (m.error_code) {
        char text[80];
        snprintf(text, sizeof text, "the broker refused ApiVersions with error %d", m.error_code);
        ferry_line_close(line, FERRY_E_UNSUPPORTED, text);
        return 0;
    }
    take_versions(line, &m);
    const struct ferry_versions *v = &line->versions;
    if (v->high[FERRY_API_METADATA] <
        1) { /* too old, or no broker at all: nothing could be learnt from it */
        ferry_line_close(line, FERRY_E_UNSUPPORTED,
                         "the broker offers no version of Metadata above 0");
        return 0;
    }
    line->broker->versions = *v;
    line->broker->negotiated = true;
    take_features(line->client, &m);
    up(line);
    return 0;
}

/* -- Answers -------------------------------------------------------------------------------------------- */

static int32_t throttle_of(const struct ferry_msg *msg, int version, const void *body)
{
    const struct ferry_field *fields = ferry_msg_fields(msg);
    for (int i = 0; i < msg->plain; i++)
        if (fields[i].type == FERRY_T_INT32 && ferry_field_in(&fields[i], version) &&
            !strcmp(ferry_field_name(&fields[i]), "throttle_time_ms"))
            return *(const int32_t *)((const char *)body + fields[i].offset);
    return 0;
}

static void throttle_over(struct ferry_timer *t, void *context)
{
    struct ferry_line *line = FERRY_CONTAINER(t, struct ferry_line, throttle);
    flush(line);
    if (line->state == FERRY_LINE_READY)
        ferry_core_tell_up(line->client, line->broker->node, line->conn_class);
    ferry_request_dispatch_any(line->client);
}

static void throttle(struct ferry_line *line, int32_t ms)
{
    if (ferry_statistics_on(line->client))
        ferry_window_add(&line->throttled, ms);
    if (ms <= 0)
        return;
    ferry_nsec until = line->client->now + ms * FERRY_MS;
    if (until <= line->throttled_until)
        return;
    line->client->counters.throttles++;
    line->throttled_until = until;
    line->throttle.fire = throttle_over;
    ferry_client_timer(line->client, &line->throttle, until);
}

static size_t arena_limit(const struct ferry_request *r, size_t frame)
{
    /* The widest structs hold some 60 bytes in memory for each byte on the wire: empty arrays of arrays. */
    return r->arena_limit ? r->arena_limit : 65536 + frame * 64;
}

/* Decodes the body; its own memory is the core's arena. */
static int decode(struct ferry_flight *f, const struct ferry_frame *frame,
                  struct ferry_arena *arena, void **body, struct ferry_error *err)
{
    const struct ferry_msg *msg = ferry_api_response(f->api);
    struct ferry_bytes in;
    int32_t correlation;
    int code = ferry_frame_parse_response(frame->bytes, f->api, f->version, &correlation, &in, err);
    if (code)
        return code;
    if (!(*body = ferry_arena_alloc(arena, msg->size)))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for an answer");
    return ferry_msg_decode(msg, f->version, in, 0, arena, *body, err);
}

static int answer(struct ferry_line *line, struct ferry_flight *f, const struct ferry_frame *frame)
{
    struct ferry_client *client = line->client;
    struct ferry_request *r = f->owner;
    struct ferry_arena *arena = &client->core->arena;
    struct ferry_frame kept = *frame;
    struct ferry_slab *copy = NULL;
    struct ferry_error err = {0};
    if (r->keep_frame && !frame->slab && (copy = ferry_slab_new(frame->bytes.len))) {
        memcpy(copy->data, frame->bytes.data, frame->bytes.len);
        copy->len = frame->bytes.len;
        kept = (struct ferry_frame){{copy->data, copy->len}, copy};
    }
    arena->limit = arena_limit(r, frame->bytes.len);
    struct ferry_reply reply = {.version = f->version,
                                .node = line->broker->node,
                                .sent = true,
                                .sent_at = f->sent_at,
                                .arena = arena,
                                .frame = r->keep_frame ? kept.slab : NULL,
                                .text = err.text};
    reply.status = r->keep_frame && !kept.slab
                       ? ferry_fail(&err, FERRY_E_NOMEM, "no memory for an answer")
                       : decode(f, &kept, arena, &reply.body, &err);
    if (reply.status)
        reply.body = NULL;
    else
        reply.throttle_ms = throttle_of(ferry_api_response(f->api), f->version, reply.body);
    throttle(line, reply.throttle_ms);
    int status =
        reply.status; /* what cannot be decoded ends the connection; lost memory does not */
    ferry_request_complete(r, &reply);
    ferry_slab_unref(copy);
    return status == FERRY_E_NOMEM || status == FERRY_E_TOO_LARGE ? 0 : status;
}

static int on_answer(struct ferry_conn *c, struct ferry_flight *f, const struct ferry_frame *frame)
{
    struct ferry_line *line = (struct ferry_line *)c;
    struct ferry_arena *arena = &line->client->core->arena;
    int code = 0;
    line->active_at = line->client->now;
    line->answers++;
    if (ferry_statistics_on(line->client))
        ferry_window_add(&line->rtt, (line->client->now - f->sent_at) / 1000);
    if (line->state == FERRY_LINE_NEGOTIATING) {
        arena->limit = 65536 + frame->bytes.len * 64;
        code = on_api_versions(line, frame, arena);
    } else if (f->owner) {
        code = answer(line, f, frame);
    }
    if (arena->used > 1 << 18)
        ferry_arena_free(arena); /* one large answer must not stay in memory */
    else
        ferry_arena_reset(arena);
    return code;
}

static void on_drained(struct ferry_conn *c, struct ferry_flight *f)
{
    if (f->owner && ferry_request_drained(f->owner))
        f->owner = NULL;
}

static void on_lost(struct ferry_conn *c, struct ferry_flight *f, int status, const char *text)
{
    if (f->owner)
        ferry_request_lost(f->owner, status, text);
}

/* -- Closing -------------------------------------------------------------------------------------------- */

void ferry_line_close(struct ferry_line *line, int status, const char *text)
{
    switch (line->state) {
    case FERRY_LINE_DOWN:
    case FERRY_LINE_CLOSING:
        return;
    case FERRY_LINE_WAITING:
    case FERRY_LINE_RESOLVING:
        ferry_timer_cancel(&line->client->timers, &line->timer);
        line->state = FERRY_LINE_DOWN;
        return;
    case FERRY_LINE_OPENING:
    case FERRY_LINE_NEGOTIATING:
    case FERRY_LINE_READY:
        break;
    }
    ferry_timer_cancel(&line->client->timers, &line->timer);
    ferry_timer_cancel(&line->client->timers, &line->throttle);
    line->was_ready = line->state == FERRY_LINE_READY;
    line->state = FERRY_LINE_CLOSING;
    ferry_conn_close(&line->conn, status, text, line->client->out);
}

/* A connection that had been up ended. */
static void down(struct ferry_line *line, int status, const char *text)
{
    struct ferry_client *client = line->client;
    struct ferry_broker *b = line->broker;
    const struct ferry_settings *s = client->settings;
    client->counters.disconnects++;
    log_line(line, line->quiet ? FERRY_LOG_DEBUG : FERRY_LOG_INFO, "disconnected", text);
    if (!ferry_broker_has_ready_line(b)) {
        b->addr_count = b->addr_at = 0; /* it may come back elsewhere */
        if (!line->quiet)
            b->retry_at = client->now + ferry_client_backoff(client, s->reconnect_backoff_ms,
                                                             s->reconnect_backoff_max_ms, 0);
    }
    ferry_core_tell_down(client, b->node, line->conn_class,
                         line->quiet ? FERRY_OK
                         : status    ? status
                                     : FERRY_E_TRANSPORT);
    if (!line->quiet)
        ferry_metadata_need(client, false);
}

static void on_closed(struct ferry_conn *c, int status, const char *text)
{
    struct ferry_line *line = (struct ferry_line *)c;
    struct ferry_client *client = line->client;
    struct ferry_broker *b = line->broker;
    bool was_ready =
        line->state == FERRY_LINE_READY || (line->state == FERRY_LINE_CLOSING && line->was_ready);
    ferry_timer_cancel(&client->timers, &line->timer);
    ferry_timer_cancel(&client->timers, &line->throttle);
    client->core->slots[line->slot].line = NULL;
    client->core->open_conns--;
    line->state = FERRY_LINE_DOWN;
    line->throttled_until = 0;
    if (client->closing || b->gone) {
        client->core->sweep = true;
        if (was_ready && !client->closing)
            ferry_core_tell_down(client, b->node, line->conn_class, status);
        return;
    }
    if (was_ready) {
        down(line, status, text);
        line->quiet = false;
        ferry_line_kick(line);
        ferry_request_dispatch_any(client);
        return;
    }
    line->quiet = false;
    if (b->addr_at == line->addr_index)
        b->addr_at++;
    if (b->addr_at < b->addr_count) {
        log_line(line, FERRY_LOG_INFO, "an address failed, the next is tried", text);
        ferry_line_kick(line);
        return;
    }
    ferry_broker_failed(b);
    give_up(line, status ? status : FERRY_E_TRANSPORT, text);
}

static const struct ferry_conn_ops conn_ops = {on_open, on_answer, on_drained, on_lost, on_closed};
