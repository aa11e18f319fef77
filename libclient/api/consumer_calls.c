/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "api/consumer.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>

/* Calls that ask the cluster and wait for the answer; and asynchronous commits. */

static ferry_nsec timeout_of(int32_t timeout_ms)
{
    return timeout_ms < 0 ? FERRY_NEVER : timeout_ms == 0 ? 1 : (ferry_nsec)timeout_ms * FERRY_MS;
}

/* Posts the call and waits for its answer in a queue of its own. The engine answers by the call's own time-out, so
   the wait has no end of its own. 0 with the call answered; else it is not the caller's any more. */
static int run(struct ferry_consumer *c, struct ferry_consumer_call *call)
{
    struct ferry_queue *queue = ferry_queue_create(c->handle);
    struct ferry_delivery *d = NULL;
    int status = 0;
    if (!queue) {
        ferry_consumer_call_free(call);
        return FERRY_E_NOMEM;
    }
    call->done.queue = queue;
    ferry_consumer_lock(c);
    ferry_consumer_app_post(c->app, call);
    ferry_consumer_unlock(c);
    do
        d = ferry_queue_wait(queue, FERRY_NEVER, &status);
    while (!d && status == FERRY_E_INTERRUPTED);
    if (d)
        ferry_queue_unref(queue);
    /* Without an answer the engine has ended; the queue stays, since the call may still name it. */
    return d ? 0 : status;
}

static void bring_back(struct ferry_partition_list *to, const struct ferry_partition_list *from)
{
    for (size_t i = 0; i < to->count && i < from->count; i++) {
        const struct ferry_topic_partition *e = &from->items[i];
        to->items[i].offset = e->offset;
        to->items[i].error = e->error;
        to->items[i].timestamp = e->timestamp;
        to->items[i].leader_epoch = e->leader_epoch;
        ferry_partition_list_set_metadata(to, (int32_t)i, e->metadata,
                                          e->metadata ? e->metadata_len : -1);
    }
}

static int fail(struct ferry_error *err, int code, const char *text)
{
    return ferry_fail(err, code, "%s", *text ? text : ferry_error_name(code));
}

/* The whole of a call with a list that takes its answers; low and high may be NULL. */
static int ask(struct ferry_consumer *c, enum ferry_consumer_call_kind kind,
               struct ferry_partition_list *list, int32_t timeout_ms, int64_t *low, int64_t *high,
               struct ferry_error *err)
{
    ferry_error_clear(err);
    if (ferry_in_callback())
        return ferry_fail(err, FERRY_E_STATE, "a callback must not wait");
    if (!ferry_consumer_enter_closing(c))
        return ferry_fail(err, FERRY_E_CLOSED, "the consumer is closed");
    ferry_consumer_lock(c);
    if (kind == FERRY_CALL_COMMIT && !list)
        ferry_consumer_app_processed(c->app);
    struct ferry_consumer_call *call = ferry_consumer_app_call_new(c->app, kind, list);
    ferry_consumer_unlock(c);
    int rc = FERRY_E_NOMEM;
    if (call) {
        call->timeout = timeout_of(timeout_ms);
        rc = run(c, call);
        if (rc == 0) {
            rc = call->status;
            if (list && kind != FERRY_CALL_WATERMARKS)
                bring_back(list, call->list);
            if (low) {
                *low = call->low;
                *high = call->high;
            }
            if (rc)
                fail(err, rc, call->text);
            ferry_consumer_call_free(call);
            ferry_consumer_leave(c);
            return rc;
        }
    }
    ferry_consumer_leave(c);
    return fail(err, rc, "");
}

int32_t ferry_consumer_commit(struct ferry_consumer *c, struct ferry_partition_list *list,
                              int32_t timeout_ms, struct ferry_error *err)
{
    return ask(c, FERRY_CALL_COMMIT, list, timeout_ms, NULL, NULL, err);
}

int32_t ferry_consumer_committed(struct ferry_consumer *c, struct ferry_partition_list *list,
                                 int32_t timeout_ms, struct ferry_error *err)
{
    return ask(c, FERRY_CALL_COMMITTED, list, timeout_ms, NULL, NULL, err);
}

int32_t ferry_consumer_offsets_for_times(struct ferry_consumer *c,
                                         struct ferry_partition_list *list, int32_t timeout_ms,
                                         struct ferry_error *err)
{
    return ask(c, FERRY_CALL_TIMES, list, timeout_ms, NULL, NULL, err);
}

int32_t ferry_consumer_watermarks(struct ferry_consumer *c, const char *topic, int32_t partition,
                                  int64_t *low, int64_t *high, int32_t timeout_ms,
                                  struct ferry_error *err)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    int rc =
        list ? ferry_partition_list_add(list, topic, partition, FERRY_OFFSET_NONE) : FERRY_E_NOMEM;
    rc = rc < 0 ? fail(err, rc, "")
                : ask(c, FERRY_CALL_WATERMARKS, list, timeout_ms, low, high, err);
    ferry_partition_list_free(list);
    return rc;
}

int32_t ferry_consumer_commit_async(struct ferry_consumer *c,
                                    const struct ferry_partition_list *list,
                                    ferry_commit_callback callback, void *opaque,
                                    struct ferry_error *err)
{
    ferry_error_clear(err);
    if (!ferry_consumer_enter_closing(c))
        return ferry_fail(err, FERRY_E_CLOSED, "the consumer is closed");
    ferry_consumer_lock(c);
    if (!list)
        ferry_consumer_app_processed(c->app);
    struct ferry_consumer_call *call = ferry_consumer_app_call_new(c->app, FERRY_CALL_COMMIT, list);
    if (call) {
        call->function = (void *)callback;
        call->cookie = opaque;
        call->nobody = callback == NULL;
        ferry_consumer_app_post(c->app, call);
    }
    ferry_consumer_unlock(c);
    ferry_consumer_leave(c);
    return call ? 0 : ferry_fail(err, FERRY_E_NOMEM, "no memory for a commit");
}
