/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "engine/conn.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"

#include <stdio.h>

enum {
    POOL_MAX = 16,         /* flights kept for reuse */
    POOL_BYTES_MAX = 4096, /* and the most that each may hold */
    REF_FROM = 1024, /* bytes and records of at least so many bytes are sent from where they are */
    PARTS_AT_ONCE = 16
};

/* -- Flights -------------------------------------------------------------------------------------------- */

void ferry_flight_pool_init(struct ferry_flight_pool *p)
{
    ferry_list_init(&p->free);
    p->count = 0;
}

static void free_flight(struct ferry_flight *f)
{
    ferry_slab_unref(f->early);
    ferry_writer_free(&f->writer);
    ferry_free(f);
}

void ferry_flight_pool_free(struct ferry_flight_pool *p)
{
    for (struct ferry_link *l; (l = ferry_list_pop_front(&p->free));)
        free_flight(FERRY_CONTAINER(l, struct ferry_flight, link));
    p->count = 0;
}

void ferry_conn_drop(struct ferry_conn *c, struct ferry_flight *f)
{
    if (c->pool->count >= POOL_MAX || f->writer.cap > POOL_BYTES_MAX) {
        free_flight(f);
        return;
    }
    ferry_slab_unref(f->early);
    struct ferry_writer writer = f->writer;
    ferry_writer_reset(&writer);
    writer.err = 0;
    *f = (struct ferry_flight){.writer = writer};
    ferry_list_push_front(&c->pool->free, &f->link);
    c->pool->count++;
}

struct ferry_flight *ferry_conn_begin(struct ferry_conn *c, const struct ferry_api *api,
                                      int version, struct ferry_str client_id)
{
    struct ferry_flight *f;
    struct ferry_link *l = ferry_list_pop_front(&c->pool->free);
    if (l) {
        f = FERRY_CONTAINER(l, struct ferry_flight, link);
        c->pool->count--;
    } else if (!(f = ferry_zalloc(sizeof *f))) {
        return NULL;
    }
    f->writer.ref_bytes_min = f->writer.ref_records_min = REF_FROM;
    f->api = api;
    f->version = (int16_t)version;
    f->correlation = c->next_correlation;
    ferry_frame_begin_request(&f->writer, api, version, f->correlation, client_id);
    return f;
}

/* -- Out ------------------------------------------------------------------------------------------------ */

static int add_parts(struct ferry_conn *c, struct ferry_flight *f, struct ferry_actions *out)
{
    struct ferry_bytes few[PARTS_AT_ONCE], *parts = few;
    size_t max = 2 * f->writer.ref_count + 1;
    if (max > PARTS_AT_ONCE && !(parts = ferry_alloc(max * sizeof *parts)))
        return FERRY_E_NOMEM;
    size_t n = ferry_writer_parts(&f->writer, parts, max);
    struct ferry_action *a = ferry_act(out, FERRY_DO_SEND, c->id);
    a->op = f->op;
    for (size_t i = 0; i < n; i++)
        ferry_act_part(out, parts[i].data, parts[i].len);
    if (parts != few)
        ferry_free(parts);
    return 0;
}

int ferry_conn_send(struct ferry_conn *c, struct ferry_flight *f, ferry_nsec now,
                    struct ferry_actions *out)
{
    FERRY_CHECK(c->state == FERRY_CONN_OPEN);
    int code = ferry_frame_end(&f->writer, (struct ferry_writer_mark){0});
    if (code)
        return code;
    f->op = ++c->next_op;
    if ((code = add_parts(c, f, out)))
        return code;
    f->sent_at = now;
    c->next_correlation = c->next_correlation == INT32_MAX ? 0 : c->next_correlation + 1;
    c->bytes_out += ferry_writer_size(&f->writer);
    ferry_list_push_back(&c->flights, &f->link);
    c->flight_count++;
    return 0;
}

static void unlink_flight(struct ferry_conn *c, struct ferry_flight *f)
{
    ferry_list_remove(&f->link);
    c->flight_count--;
}

/* -- In ------------------------------------------------------------------------------------------------- */

static int deliver(struct ferry_conn *c, struct ferry_flight *f, const struct ferry_frame *frame)
{
    unlink_flight(c, f);
    int code = c->ops->on_answer(c, f, frame);
    ferry_conn_drop(c, f);
    return code;
}

static int keep_early(struct ferry_flight *f, const struct ferry_frame *frame)
{
    if (frame->slab) {
        f->early = ferry_slab_ref(frame->slab);
        return 0;
    }
    if (!(f->early = ferry_slab_new(frame->bytes.len)))
        return FERRY_E_NOMEM;
    memcpy(f->early->data, frame->bytes.data, frame->bytes.len);
    f->early->len = frame->bytes.len;
    return 0;
}

static struct ferry_flight *oldest_unanswered(struct ferry_conn *c)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &c->flights)
    {
        struct ferry_flight *f = FERRY_CONTAINER(l, struct ferry_flight, link);
        if (!f->no_reply && !f->early)
            return f;
    }
    return NULL;
}

static int on_frame(void *cookie, const struct ferry_frame *frame)
{
    struct ferry_conn *c = cookie;
    int32_t correlation;
    if (c->state != FERRY_CONN_OPEN)
        return FERRY_E_CLOSED; /* closed by what an earlier frame led to */
    if (ferry_frame_parse_correlation(frame->bytes, &correlation)) {
        snprintf(c->close_text, sizeof c->close_text, "an answer of %zu bytes has no header",
                 frame->bytes.len);
        return FERRY_E_PROTOCOL;
    }
    struct ferry_flight *f = oldest_unanswered(c);
    if (!f || f->correlation != correlation) {
        snprintf(c->close_text, sizeof c->close_text,
                 "an answer to request %d came, %s %d was awaited", correlation,
                 f ? "that to" : "none after", f ? f->correlation : c->next_correlation - 1);
        return FERRY_E_PROTOCOL;
    }
    return f->drained ? deliver(c, f, frame) : keep_early(f, frame);
}

static void received(struct ferry_conn *c, const struct ferry_event *ev, struct ferry_actions *out)
{
    c->bytes_in += ev->data.len;
    if (c->state != FERRY_CONN_OPEN)
        return;
    c->close_text[0] = 0;
    int code = ferry_frames_feed(&c->in, ev, c->id, out, on_frame, c);
    if (!code || c->state != FERRY_CONN_OPEN)
        return;
    if (!c->close_text[0] && code == FERRY_E_TOO_LARGE)
        snprintf(c->close_text, sizeof c->close_text,
                 "an answer of %u bytes is above the limit of %u", c->in.need, c->in.limit);
    else if (!c->close_text[0])
        snprintf(c->close_text, sizeof c->close_text, "a malformed answer");
    char text[sizeof c->close_text];
    memcpy(text, c->close_text, sizeof text);
    ferry_conn_close(c, code, text, out);
}

/* Everything up to op is out. */
static void drained(struct ferry_conn *c, uint64_t op)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &c->flights)
    {
        struct ferry_flight *f = FERRY_CONTAINER(l, struct ferry_flight, link);
        if (f->op > op)
            return;
        if (f->drained)
            continue;
        f->drained = true;
        c->ops->on_drained(c, f);
        if (f->no_reply) {
            unlink_flight(c, f);
            ferry_conn_drop(c, f);
        }
    }
}

static struct ferry_flight *next_early(struct ferry_conn *c)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &c->flights)
    {
        struct ferry_flight *f = FERRY_CONTAINER(l, struct ferry_flight, link);
        if (f->drained && f->early)
            return f;
    }
    return NULL;
}

/* Answers that had waited for that. One at a time: callbacks may send, or close. */
static void deliver_early(struct ferry_conn *c, struct ferry_actions *out)
{
    for (struct ferry_flight *f; (f = next_early(c));) {
        struct ferry_frame frame = {{f->early->data, f->early->len}, f->early};
        int code = deliver(c, f, &frame);
        if (code)
            ferry_conn_close(c, code, "a malformed answer", out);
    }
}

static void closed(struct ferry_conn *c, const struct ferry_event *ev)
{
    bool ours = c->state == FERRY_CONN_CLOSING;
    int status = ours ? c->close_status : ev->status ? ev->status : FERRY_E_TRANSPORT;
    char text[sizeof c->close_text];
    snprintf(text, sizeof text, "%s",
             ours       ? c->close_text
             : ev->text ? ev->text
                        : "the broker closed the connection");
    c->state = FERRY_CONN_IDLE;
    c->id = (struct ferry_id){0, 0};
    ferry_frames_reset(&c->in);
    for (struct ferry_link *l; (l = ferry_list_pop_front(&c->flights));) {
        struct ferry_flight *f = FERRY_CONTAINER(l, struct ferry_flight, link);
        c->flight_count--;
        if (f->early) {
            struct ferry_frame frame = {{f->early->data, f->early->len}, f->early};
            c->ops->on_answer(c, f, &frame);
        } else {
            c->ops->on_lost(c, f, status, text);
        }
        ferry_conn_drop(c, f);
    }
    c->ops->on_closed(c, status, text);
}

/* -- The connection ------------------------------------------------------------------------------------- */

void ferry_conn_init(struct ferry_conn *c, const struct ferry_conn_ops *ops,
                     struct ferry_flight_pool *pool, uint32_t limit)
{
    *c = (struct ferry_conn){.ops = ops, .pool = pool, .in.limit = limit};
    ferry_list_init(&c->flights);
}

void ferry_conn_open(struct ferry_conn *c, struct ferry_id id, const struct ferry_addr *addr,
                     const char *host, struct ferry_actions *out)
{
    FERRY_CHECK(c->state == FERRY_CONN_IDLE && ferry_list_empty(&c->flights));
    c->state = FERRY_CONN_OPENING;
    c->id = id;
    c->next_correlation = 0;
    struct ferry_action *a = ferry_act(out, FERRY_DO_OPEN, id);
    a->addr = *addr;
    a->path = host;
}

void ferry_conn_close(struct ferry_conn *c, int status, const char *text, struct ferry_actions *out)
{
    if (c->state == FERRY_CONN_IDLE || c->state == FERRY_CONN_CLOSING)
        return;
    c->state = FERRY_CONN_CLOSING;
    c->close_status = status;
    snprintf(c->close_text, sizeof c->close_text, "%s", text);
    ferry_act(out, FERRY_DO_CLOSE, c->id);
}

void ferry_conn_event(struct ferry_conn *c, const struct ferry_event *ev, struct ferry_actions *out)
{
    switch (ev->type) {
    case FERRY_EV_OPENED:
        if (c->state == FERRY_CONN_OPENING) {
            c->state = FERRY_CONN_OPEN;
            c->ops->on_open(c, ev);
        }
        break;
    case FERRY_EV_RECEIVED:
        received(c, ev, out);
        break;
    case FERRY_EV_DRAINED:
        drained(c, ev->op);
        deliver_early(c, out);
        break;
    case FERRY_EV_CLOSED:
        closed(c, ev);
        break;
    default:
        FERRY_UNREACHABLE();
    }
}

void ferry_conn_free(struct ferry_conn *c)
{
    for (struct ferry_link *l; (l = ferry_list_pop_front(&c->flights));)
        free_flight(FERRY_CONTAINER(l, struct ferry_flight, link));
    c->flight_count = 0;
    ferry_frames_reset(&c->in);
}
