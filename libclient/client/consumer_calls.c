/* SPDX-License-Identifier: BSD-2-Clause */
/* The application's calls to the consumer's core: each is answered once, by its deadline. */
#include "config.h"

#include "client/consumer.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

static void drop_call(struct ferry_delivery *d)
{
    ferry_consumer_call_free(FERRY_CONTAINER(d, struct ferry_consumer_call, done));
}

struct ferry_consumer_call *ferry_consumer_call_new(struct ferry_consumer_core *core,
                                                    enum ferry_consumer_call_kind kind)
{
    struct ferry_consumer_call *call = ferry_zalloc(sizeof *call);
    if (!call)
        return NULL;
    call->command.run = ferry_consumer_call_run;
    call->done.type = FERRY_CONSUMER_DONE;
    call->done.drop = drop_call;
    call->core = core;
    call->kind = kind;
    call->low = call->high = -1;
    return call;
}

void ferry_consumer_call_free(struct ferry_consumer_call *call)
{
    if (!call)
        return;
    ferry_partition_list_free(call->list);
    ferry_partition_list_free(call->list2);
    ferry_free(call);
}

void ferry_consumer_call_done(struct ferry_consumer_core *core, struct ferry_consumer_call *call,
                              int32_t status, const char *text)
{
    ferry_list_remove(&call->link);
    if (core->leaving == call)
        core->leaving = NULL;
    if (core->client) {
        ferry_client_timer_cancel(core->client, &call->timer);
        if (call->job)
            ferry_offsets_cancel(call->job);
        if (call->job2)
            ferry_offsets_cancel(call->job2);
    }
    call->job = call->job2 = NULL;
    call->status = status;
    snprintf(call->text, sizeof call->text, "%s", text);
    if (call->nobody || !core->client)
        ferry_consumer_call_free(call);
    else
        ferry_consumer_deliver(core, &call->done);
}

static ferry_nsec deadline_of(const struct ferry_consumer_core *core,
                              const struct ferry_consumer_call *call)
{
    ferry_nsec timeout =
        call->timeout ? call->timeout
                      : (ferry_nsec)core->client->settings->default_api_timeout_ms * FERRY_MS;
    return timeout < FERRY_NEVER - core->client->now ? core->client->now + timeout : FERRY_NEVER;
}

/* ---- commit ---- */

static void on_commit(struct ferry_consumer_core *core, void *cookie, int32_t status,
                      const char *text)
{
    ferry_consumer_call_done(core, cookie, status, text);
}

/* The list that goes to the broker is a copy; its errors are brought back. */
struct commit_back {
    struct ferry_consumer_call *call;
    struct ferry_partition_list *sent;
};

static void on_commit_list(struct ferry_consumer_core *core, void *cookie, int32_t status,
                           const char *text)
{
    struct commit_back *back = cookie;
    struct ferry_consumer_call *call = back->call;
    for (size_t i = 0; i < call->list->count; i++)
        call->list->items[i].error = back->sent->items[i].error;
    ferry_free(back);
    ferry_consumer_call_done(core, call, status, text);
}

static void commit(struct ferry_consumer_core *core, struct ferry_consumer_call *call)
{
    int rc = FERRY_OK;
    if (!core->client->settings->group_id) {
        ferry_consumer_call_done(core, call, FERRY_E_STATE, "a commit needs group.id");
        return;
    }
    if (!call->list) {
        call->list = ferry_consumer_stored(core, NULL, &rc);
        if (!call->list) {
            ferry_consumer_call_done(core, call, rc, rc ? "no memory for a commit" : "");
            return;
        }
    }
    if (call->list->count == 0) {
        ferry_consumer_call_done(core, call, FERRY_OK, "");
        return;
    }
    struct commit_back *back = ferry_zalloc(sizeof *back);
    struct ferry_partition_list *copy = back ? ferry_consumer_list_copy(call->list) : NULL;
    if (!copy) {
        ferry_free(back);
        ferry_consumer_call_done(core, call, FERRY_E_NOMEM, "no memory for a commit");
        return;
    }
    *back = (struct commit_back){call, copy};
    if (ferry_consumer_commit_list(core, copy, deadline_of(core, call), on_commit_list, back)) {
        ferry_free(back);
        on_commit(core, call, FERRY_E_NOMEM, "no memory for a commit");
    }
}

/* ---- questions about offsets ---- */

static void on_asked(void *cookie, int32_t status, const char *text)
{
    struct ferry_consumer_call *call = cookie;
    call->job = NULL;
    ferry_consumer_call_done(call->core, call, status, text);
}

static void ask(struct ferry_consumer_core *core, struct ferry_consumer_call *call)
{
    const struct ferry_settings *s = core->client->settings;
    struct ferry_offsets_ask a = {.list = call->list,
                                  .deadline = deadline_of(core, call),
                                  .isolation = (int8_t)s->isolation_level,
                                  .on_done = on_asked,
                                  .cookie = call};
    if (call->kind == FERRY_CALL_COMMITTED && !s->group_id) {
        ferry_consumer_call_done(core, call, FERRY_E_STATE, "committed offsets need group.id");
        return;
    }
    a.group_id = ferry_str_of(s->group_id);
    call->job = call->kind == FERRY_CALL_COMMITTED ? ferry_offsets_fetch(core->client, &a)
                                                   : ferry_offsets_list(core->client, &a);
    if (!call->job)
        ferry_consumer_call_done(core, call, FERRY_E_NOMEM, "no memory for a request");
}

static void one_watermark(struct ferry_consumer_call *call, int32_t status, const char *text)
{
    if (status || --call->jobs == 0) {
        if (!status) {
            call->low = call->list->items[0].offset;
            call->high = call->list2->items[0].offset;
        }
        ferry_consumer_call_done(call->core, call, status, text);
    }
}

static void on_low(void *cookie, int32_t status, const char *text)
{
    ((struct ferry_consumer_call *)cookie)->job = NULL;
    one_watermark(cookie, status, text);
}

static void on_high(void *cookie, int32_t status, const char *text)
{
    ((struct ferry_consumer_call *)cookie)->job2 = NULL;
    one_watermark(cookie, status, text);
}

static void watermarks(struct ferry_consumer_core *core, struct ferry_consumer_call *call)
{
    struct ferry_offsets_ask a = {.list = call->list,
                                  .deadline = deadline_of(core, call),
                                  .isolation = (int8_t)core->client->settings->isolation_level,
                                  .on_done = on_low,
                                  .cookie = call};
    call->list2 = ferry_consumer_list_copy(call->list);
    if (!call->list2 || call->list->count != 1) {
        ferry_consumer_call_done(core, call, FERRY_E_NOMEM, "no memory for a request");
        return;
    }
    call->list->items[0].offset = FERRY_OFFSET_EARLIEST;
    call->list2->items[0].offset = FERRY_OFFSET_LATEST;
    call->jobs = 2;
    call->job = ferry_offsets_list(core->client, &a);
    a.list = call->list2;
    a.on_done = on_high;
    call->job2 = ferry_offsets_list(core->client, &a);
    if (!call->job || !call->job2)
        ferry_consumer_call_done(core, call, FERRY_E_NOMEM, "no memory for a request");
}

/* ---- joining and leaving ---- */

static void finish_leaving(struct ferry_consumer_core *core, int32_t status, const char *text)
{
    struct ferry_consumer_call *call = core->leaving;
    if (!call)
        return;
    bool ends = call->kind == FERRY_CALL_CLOSE;
    ferry_consumer_drop_all(core);
    ferry_consumer_call_done(core, call, status, text);
    if (ends && !ferry_timer_armed(&core->ending))
        ferry_client_timer(core->client, &core->ending, core->client->now);
}

static void on_last_commit(struct ferry_consumer_core *core, void *cookie, int32_t status,
                           const char *text)
{
    if (core->leaving == cookie)
        finish_leaving(core, status, text);
}

void ferry_consumer_on_left(struct ferry_consumer_core *core)
{
    core->subscribed = false;
    core->question = 0;
    finish_leaving(core, FERRY_OK, "");
}

static void on_leave_deadline(struct ferry_timer *t, void *context)
{
    struct ferry_consumer_call *call = FERRY_CONTAINER(t, struct ferry_consumer_call, timer);
    (void)context;
    if (call->core->leaving == call)
        finish_leaving(call->core, FERRY_E_TIMED_OUT, "the group could not be left in time");
}

static void leave(struct ferry_consumer_core *core, struct ferry_consumer_call *call)
{
    const struct ferry_settings *s = core->client->settings;
    ferry_nsec deadline = deadline_of(core, call);
    int rc = FERRY_OK;
    if (core->leaving) { /* close while an unsubscribe is under way: that one is done with it */
        struct ferry_consumer_call *earlier = core->leaving;
        core->leaving = call;
        ferry_consumer_call_done(core, earlier, FERRY_OK, "");
    }
    core->leaving = call;
    call->timer.fire = on_leave_deadline;
    ferry_client_timer(core->client, &call->timer, deadline);
    if (core->subscribed) {
        ferry_group_leave(core->group, deadline);
        return;
    }
    struct ferry_partition_list *list = NULL;
    if (call->kind == FERRY_CALL_CLOSE && s->group_id && s->enable_auto_commit)
        list = ferry_consumer_stored(core, NULL, &rc);
    if (list)
        rc = ferry_consumer_commit_list(core, list, deadline, on_last_commit, call);
    if (!list || rc)
        finish_leaving(core, rc, rc ? "no memory for the last commit" : "");
}

static void subscribe(struct ferry_consumer_core *core, struct ferry_consumer_call *call)
{
    if (!core->group) {
        ferry_consumer_call_done(core, call, FERRY_E_STATE, "a subscription needs group.id");
        return;
    }
    if (call->list->count == 0) {
        leave(core, call);
        return;
    }
    core->subscribed = true;
    int rc = ferry_group_subscribe(core->group, call->list);
    ferry_consumer_call_done(core, call, rc, rc ? "no memory for a subscription" : "");
}

void ferry_consumer_call_run(struct ferry_client *client, struct ferry_command *command)
{
    struct ferry_consumer_call *call =
        FERRY_CONTAINER(command, struct ferry_consumer_call, command);
    struct ferry_consumer_core *core = call->core;
    ferry_list_push_back(&core->calls, &call->link);
    if (core->failed || core->closed) {
        core->client = client;
        ferry_consumer_call_done(core, call, core->failed ? core->failed : FERRY_E_CLOSED,
                                 core->failed ? "the consumer could not begin"
                                              : "the consumer is closed");
        return;
    }
    switch (call->kind) {
    case FERRY_CALL_SUBSCRIBE:
        subscribe(core, call);
        break;
    case FERRY_CALL_COMMIT:
        commit(core, call);
        break;
    case FERRY_CALL_WATERMARKS:
        watermarks(core, call);
        break;
    case FERRY_CALL_CLOSE:
        leave(core, call);
        break;
    default:
        ask(core, call);
    }
}
