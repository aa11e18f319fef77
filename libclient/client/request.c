/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/request.h"

#include "base/check.h"
#include "client/core.h"

#include <stdarg.h>
#include <stdio.h>

/*
 * The life of a request:
 *
 *   IDLE --submit--> WAITING --written--> ON_WIRE --answer--------------------------> IDLE (on_done)
 *                       \                    \--lost, drained without reply--> DONE --> IDLE (on_done, end of step)
 *                        \--time-out, cancel, no way ------------------------/
 *
 * A request on the wire that times out or is cancelled keeps its flight until its bytes are the engine's again: its
 * status is set at once, and it ends when the flight is drained (cancelled) or lost (timed out).
 */
enum request_state { REQUEST_IDLE, REQUEST_WAITING, REQUEST_ON_WIRE, REQUEST_DONE };

enum {
    ANY_PATIENCE_MS = 500
}; /* before another broker is tried beside one that does not come up */

bool ferry_request_active(const struct ferry_request *r)
{
    return r->state != REQUEST_IDLE;
}

/* -- Ends ----------------------------------------------------------------------------------------------- */

void ferry_request_finish(struct ferry_request *r, int status, const char *format, ...)
{
    if (r->state == REQUEST_DONE)
        return;
    FERRY_CHECK(r->state == REQUEST_WAITING);
    va_list args;
    va_start(args, format);
    vsnprintf(r->text, sizeof r->text, format, args);
    va_end(args);
    r->status = status;
    r->state = REQUEST_DONE;
    ferry_list_remove(&r->link);
    ferry_timer_cancel(&r->client->timers, &r->timer);
    ferry_list_push_back(&r->client->core->done, &r->link);
}

void ferry_request_finish_list(struct ferry_link *list, int status, const char *text)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, list)
    ferry_request_finish(FERRY_CONTAINER(l, struct ferry_request, link), status, "%s", text);
}

static void done(struct ferry_client *client, struct ferry_request *r, struct ferry_reply *reply)
{
    r->state = REQUEST_IDLE;
    r->flight = NULL;
    r->line = NULL;
    ferry_timer_cancel(&client->timers, &r->timer);
    client->counters.replies += reply->status == 0;
    client->counters.request_failures += reply->status != 0;
    client->counters.request_timeouts += reply->status == FERRY_E_TIMED_OUT;
    r->on_done(client, r, reply);
}

void ferry_request_complete(struct ferry_request *r, struct ferry_reply *reply)
{
    FERRY_CHECK(r->state == REQUEST_ON_WIRE);
    done(r->client, r, reply);
}

void ferry_request_run_done(struct ferry_client *client)
{
    /* Only what is there now: a request that fails at once each time it is submitted must not keep the step. */
    struct ferry_link batch, *l;
    ferry_list_init(&batch);
    while ((l = ferry_list_pop_front(&client->core->done)))
        ferry_list_push_back(&batch, l);
    while ((l = ferry_list_pop_front(&batch))) {
        struct ferry_request *r = FERRY_CONTAINER(l, struct ferry_request, link);
        char text[sizeof r->text];
        memcpy(text, r->text, sizeof text);
        struct ferry_reply reply = {.status = r->status,
                                    .text = text,
                                    .version = r->version,
                                    .node = r->given_to,
                                    .sent = r->was_sent,
                                    .sent_at = r->sent_at};
        if (r->status && r->target == FERRY_TO_COORDINATOR)
            ferry_coordinator_suspect(client, r);
        done(client, r, &reply);
    }
}

/* -- On the wire ---------------------------------------------------------------------------------------- */

void ferry_request_on_wire(struct ferry_request *r, struct ferry_line *line,
                           struct ferry_flight *flight)
{
    ferry_list_remove(&r->link);
    r->state = REQUEST_ON_WIRE;
    r->line = line;
    r->flight = flight;
    r->version = flight->version;
    r->given_to = line->broker->node;
    r->was_sent = true;
    r->sent_at = r->client->now;
}

/* From the wire to the list of what is done. A status of its own (time-out, cancelled) counts before the flight's. */
static void end_flight(struct ferry_request *r, int status, const char *text)
{
    char why[sizeof r->text];
    snprintf(why, sizeof why, "%s", r->status ? r->text : text);
    r->flight = NULL;
    r->line = NULL;
    r->state = REQUEST_WAITING;
    ferry_request_finish(r, r->status ? r->status : status, "%s", why);
}

void ferry_request_lost(struct ferry_request *r, int status, const char *text)
{
    /* A peer's orderly close is no success for who waits for an answer. */
    end_flight(r, status ? status : FERRY_E_TRANSPORT, text);
}

bool ferry_request_drained(struct ferry_request *r)
{
    if (r->status != FERRY_E_INTERRUPTED && !r->no_reply)
        return false;
    end_flight(r, 0, "");
    return true;
}

static void timed_out(struct ferry_timer *t, void *context)
{
    struct ferry_client *client = context;
    struct ferry_request *r = FERRY_CONTAINER(t, struct ferry_request, timer);
    const char *name = ferry_api_name(r->api_key);
    if (r->state == REQUEST_WAITING) {
        ferry_request_finish(r, FERRY_E_TIMED_OUT,
                             "%s could not be sent in time: no connection to %s", name,
                             r->target == FERRY_TO_COORDINATOR ? "a coordinator"
                             : r->target == FERRY_TO_NODE      ? "the broker"
                                                               : "any broker");
        return;
    }
    FERRY_CHECK(r->state == REQUEST_ON_WIRE);
    if (!r->status) {
        r->status = FERRY_E_TIMED_OUT;
        snprintf(r->text, sizeof r->text, "%s was not answered in time by broker %d", name,
                 r->given_to);
    }
    ferry_client_log(client, FERRY_LOG_WARNING, FERRY_DEBUG_REQUEST, "%s", r->text);
    ferry_line_close(r->line, FERRY_E_TRANSPORT,
                     "another request on the connection was not answered in time");
}

/* -- Submit and cancel ----------------------------------------------------------------------------------- */

void ferry_request_submit(struct ferry_client *client, struct ferry_request *r)
{
    FERRY_CHECK(r->state == REQUEST_IDLE && client->out && r->on_done);
    r->client = client;
    r->state = REQUEST_WAITING;
    r->status = 0;
    r->text[0] = 0;
    r->version = -1;
    r->given_to = -1;
    r->was_sent = false;
    r->flight = NULL;
    r->line = NULL;
    r->submitted_at = client->now;
    r->sent_at = 0;
    client->counters.requests++;
    if (client->closing) {
        ferry_request_finish(r, FERRY_E_CLOSED, "the client is being closed");
        return;
    }
    ferry_nsec timeout =
        r->timeout ? r->timeout : client->settings->topic.request_timeout_ms * FERRY_MS;
    r->timer.fire = timed_out;
    ferry_client_timer(client, &r->timer,
                       timeout > FERRY_NEVER - client->now ? FERRY_NEVER : client->now + timeout);
    ferry_request_route(client, r);
}

void ferry_request_cancel(struct ferry_client *client, struct ferry_request *r)
{
    FERRY_CHECK(client->out);
    switch ((enum request_state)r->state) {
    case REQUEST_WAITING:
        ferry_request_finish(r, FERRY_E_INTERRUPTED, "cancelled");
        break;
    case REQUEST_ON_WIRE:
        r->status = FERRY_E_INTERRUPTED;
        snprintf(r->text, sizeof r->text, "cancelled");
        if (r->flight->drained) {
            r->flight->owner = NULL;
            end_flight(r, FERRY_E_INTERRUPTED, "cancelled");
        }
        break;
    case REQUEST_IDLE:
    case REQUEST_DONE:
        break;
    }
}

/* -- Routes --------------------------------------------------------------------------------------------- */

static void to_node(struct ferry_client *client, struct ferry_request *r, int32_t node)
{
    struct ferry_broker *b = ferry_broker_find(client, node);
    if (!b) {
        ferry_request_finish(r, FERRY_E_NOT_FOUND, "no broker %d in the cluster's metadata", node);
        return;
    }
    struct ferry_line *line = ferry_broker_line(b, r->conn_class);
    if (line)
        ferry_line_submit(line, r);
    else
        ferry_request_finish(r, FERRY_E_NOMEM, "no memory for a connection to broker %d", node);
}

void ferry_request_route(struct ferry_client *client, struct ferry_request *r)
{
    struct ferry_client_core *core = client->core;
    switch (r->target) {
    case FERRY_TO_ANY:
        ferry_list_push_back(&core->any, &r->link);
        ferry_request_dispatch_any(client);
        break;
    case FERRY_TO_NODE:
        to_node(client, r, r->node);
        break;
    case FERRY_TO_CONTROLLER:
        if (core->controller >= 0 && ferry_broker_find(client, core->controller)) {
            to_node(client, r, core->controller);
            break;
        }
        ferry_list_push_back(&core->controller_waiting, &r->link);
        ferry_metadata_need(client, true);
        break;
    case FERRY_TO_COORDINATOR:
        ferry_coordinator_route(client, r);
        break;
    }
}

void ferry_request_dispatch_controller(struct ferry_client *client)
{
    struct ferry_client_core *core = client->core;
    if (core->controller < 0 || !ferry_broker_find(client, core->controller))
        return;
    struct ferry_link batch, *l;
    ferry_list_init(&batch);
    while ((l = ferry_list_pop_front(&core->controller_waiting)))
        ferry_list_push_back(&batch, l);
    while ((l = ferry_list_pop_front(&batch)))
        to_node(client, FERRY_CONTAINER(l, struct ferry_request, link), core->controller);
}

/* -- Any broker ----------------------------------------------------------------------------------------- */

/* The usable general line with the least in flight. */
static struct ferry_line *least_loaded(struct ferry_client *client)
{
    struct ferry_line *best = NULL;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        struct ferry_line *line = b->gone ? NULL : b->lines[FERRY_CLASS_GENERAL];
        if (line && ferry_line_usable(line) &&
            (!best || line->conn.flight_count < best->conn.flight_count))
            best = line;
    }
    return best;
}

/* One to connect to: not in backoff, nothing under way yet; the one with the fewest failures, and among those the one
   tried longest ago stands first because of the list's order. */
static struct ferry_broker *candidate(struct ferry_client *client, bool *coming)
{
    struct ferry_broker *best = NULL;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        struct ferry_line *line = b->lines[FERRY_CLASS_GENERAL];
        if (b->gone)
            continue;
        if (line && line->state >= FERRY_LINE_RESOLVING && line->state <= FERRY_LINE_READY)
            *coming = true; /* READY: throttled, or it would have been used */
        else if (!ferry_broker_in_backoff(b) && (!best || b->failures < best->failures))
            best = b;
    }
    return best;
}

static void connect_to(struct ferry_broker *b)
{
    struct ferry_line *line = ferry_broker_line(b, FERRY_CLASS_GENERAL);
    if (!line)
        return;
    line->wanted_once = true;
    ferry_line_kick(line);
}

static void patience(struct ferry_timer *t, void *context)
{
    struct ferry_client *client = context;
    bool coming = false;
    struct ferry_broker *b =
        ferry_list_empty(&client->core->any) ? NULL : candidate(client, &coming);
    if (b)
        connect_to(b);
    ferry_request_dispatch_any(client);
}

/* When the first broker leaves its backoff. */
static ferry_nsec earliest_retry(struct ferry_client *client)
{
    ferry_nsec at = FERRY_NEVER;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (!b->gone && b->retry_at < at)
            at = b->retry_at;
    }
    return at;
}

/* Requests wait and no usable connection is there: sees to it that one comes. */
static void seek_broker(struct ferry_client *client)
{
    bool coming = false;
    struct ferry_broker *b = candidate(client, &coming);
    if (b && !coming) {
        connect_to(b);
        coming = true;
    }
    if (!coming && ferry_metadata_all_unreachable(client))
        return; /* began anew from the bootstrap list, which leads here again */
    ferry_nsec at = coming ? client->now + ANY_PATIENCE_MS * FERRY_MS : earliest_retry(client);
    struct ferry_timer *t = &client->core->any_timer;
    t->fire = patience;
    if (at < FERRY_NEVER && (!ferry_timer_armed(t) || t->at > at))
        ferry_client_timer(client, t, at > client->now ? at : client->now);
}

void ferry_request_dispatch_any(struct ferry_client *client)
{
    struct ferry_client_core *core = client->core;
    struct ferry_line *line;
    if (client->closing)
        return;
    while (!ferry_list_empty(&core->any) && (line = least_loaded(client))) {
        struct ferry_link *l = ferry_list_pop_front(&core->any);
        struct ferry_request *r = FERRY_CONTAINER(l, struct ferry_request, link);
        if (r->conn_class != FERRY_CLASS_GENERAL)
            line = ferry_broker_line(line->broker, r->conn_class);
        if (line)
            ferry_line_submit(line, r);
        else
            ferry_request_finish(r, FERRY_E_NOMEM, "no memory for a connection");
    }
    if (!ferry_list_empty(&core->any))
        seek_broker(client);
}
