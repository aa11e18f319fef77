/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "refbroker/handler/request.h"

#include "base/check.h"
#include "base/mem.h"
#include "refbroker/node_state.h"
#include "wire/frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SPARE_MAX = 256,                /* requests kept for reuse */
    KEEP_MAX = 64 * 1024,           /* a writer or arena larger than this is given back */
    ARENA_LIMIT = 32 * 1024 * 1024, /* decoded arrays, and what the answer needs */
    TEXT_MAX = 512
};

void broker_requests_init(struct broker_requests *rs)
{
    ferry_list_init(&rs->live);
    ferry_list_init(&rs->spare);
    rs->spare_count = 0;
}

static void destroy(struct broker_request *r)
{
    ferry_arena_free(&r->arena);
    ferry_writer_free(&r->out);
    ferry_free(r);
}

void broker_requests_free(struct broker_requests *rs)
{
    struct ferry_link *l;
    while ((l = ferry_list_pop_front(&rs->live))) {
        struct broker_request *r = FERRY_CONTAINER(l, struct broker_request, live);
        ferry_slab_unref(r->slab);
        destroy(r);
    }
    while ((l = ferry_list_pop_front(&rs->spare)))
        destroy(FERRY_CONTAINER(l, struct broker_request, link));
    rs->spare_count = 0;
}

struct broker_request *broker_request_new(struct broker_node *n)
{
    struct broker_requests *rs = &n->conns.requests;
    struct ferry_link *l = ferry_list_pop_front(&rs->spare);
    struct broker_request *r;
    if (l) {
        r = FERRY_CONTAINER(l, struct broker_request, link);
        rs->spare_count--;
    } else {
        r = ferry_zalloc(sizeof *r);
        if (!r)
            return NULL;
        ferry_arena_init(&r->arena, ARENA_LIMIT);
    }
    r->node = n;
    ferry_list_push_back(&rs->live, &r->live);
    return r;
}

void broker_request_free(struct broker_request *r)
{
    struct broker_requests *rs = &r->node->conns.requests;
    if (r->release)
        r->release(r);
    ferry_slab_unref(r->slab);
    ferry_list_remove(&r->live);
    bool keep = rs->spare_count < SPARE_MAX && r->out.cap <= KEEP_MAX && r->arena.used <= KEEP_MAX;
    struct ferry_arena arena = r->arena;
    struct ferry_writer out = r->out;
    if (!keep) {
        destroy(r);
        return;
    }
    ferry_arena_reset(&arena);
    ferry_writer_reset(&out);
    out.ref_records_min = out.ref_bytes_min = 0;
    memset(r, 0, sizeof *r);
    r->arena = arena;
    r->out = out;
    ferry_list_push_front(&rs->spare, &r->link);
    rs->spare_count++;
}

void broker_request_park(struct broker_request *r)
{
    broker_pool_park(&r->node->conns.pool, r->slab);
}

void broker_request_shed(struct broker_request *r)
{
    ferry_slab_unref(r->slab);
    r->slab = NULL;
    r->body = (struct ferry_bytes){0};
    r->client_id = (struct ferry_str){0};
    r->input = NULL;
    ferry_arena_free(&r->arena);
    ferry_arena_init(&r->arena, ARENA_LIMIT);
}

static void ended(struct broker_request *r)
{
    FERRY_CHECK(r->state == REQUEST_RUNNING);
    r->state = REQUEST_DONE;
    r->cancel = NULL;
    if (!r->conn) { /* gone meanwhile */
        broker_request_free(r);
        return;
    }
    r->conn->running--;
    r->conn->running_pipelined -= (r->api->flags & API_PIPELINED) != 0;
    broker_conn_wake(r->conn);
}

void broker_reply(struct broker_request *r, const void *response)
{
    struct ferry_error err;
    if (r->conn &&
        ferry_frame_response(&r->out, r->wire, r->version, r->correlation, response, &err)) {
        broker_node_say(r->node, LOG_ERROR, "the answer to %s %d cannot be encoded: %s",
                        ferry_api_name(r->api->key), r->version, err.text);
        r->close_after = true;
    }
    ended(r);
}

void broker_finish(struct broker_request *r, bool close)
{
    r->silent = true;
    r->close_after = close;
    ended(r);
}

void *broker_request_alloc(struct broker_request *r, size_t count, size_t size)
{
    return ferry_arena_array(&r->arena, count, size);
}

struct named {
    struct ferry_str name;
    size_t index;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    return ferry_str_cmp(x->name, y->name);
}

const bool *broker_request_doubles(struct broker_request *r, const struct ferry_str *first,
                                   size_t stride, size_t count)
{
    bool *twice = broker_request_alloc(r, count + 1, sizeof *twice);
    struct named *all = broker_request_alloc(r, count + 1, sizeof *all);
    if (!twice || !all)
        return NULL;
    for (size_t i = 0; i < count; i++)
        all[i] = (struct named){
            *(const struct ferry_str *)(const void *)((const char *)first + i * stride), i};
    qsort(all, count, sizeof *all, by_name);
    for (size_t i = 1; i < count; i++)
        if (ferry_str_eq(all[i].name, all[i - 1].name))
            twice[all[i].index] = twice[all[i - 1].index] = true;
    return twice;
}

struct ferry_str broker_request_text(struct broker_request *r, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : n >= TEXT_MAX ? TEXT_MAX - 1 : (size_t)n;
    char *copy = ferry_arena_strndup(&r->arena, text, len);
    return (struct ferry_str){copy, copy ? len : 0};
}
