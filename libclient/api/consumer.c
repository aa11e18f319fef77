/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "api/consumer.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/settings.h"
#include "drive/clock.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>

/* A consumer's life, and what it consumes. */

/* For requests on the wire to be given up and connections to be closed in order. */
enum { CLOSE_GRACE_MS = 100 };

/* -- Lock and outbox -------------------------------------------------------------------------------------- */

void ferry_consumer_lock(struct ferry_consumer *c)
{
    pthread_mutex_lock(&c->anchor->lock);
}

static bool enter(struct ferry_consumer *c)
{
    atomic_fetch_add(&c->users, 1);
    if (atomic_load(&c->open))
        return true;
    atomic_fetch_sub(&c->users, 1);
    return false;
}

/* Commands must reach the engine in the order in which they were made, so one thread at a time posts; what others add
   meanwhile it posts too. What comes when there is no engine any more is dropped by free. */
void ferry_consumer_unlock(struct ferry_consumer *c)
{
    struct ferry_link *it;
    if (!c->posting && !ferry_list_empty(&c->outbox) && enter(c)) {
        c->posting = true;
        while ((it = ferry_list_pop_front(&c->outbox))) {
            pthread_mutex_unlock(&c->anchor->lock);
            ferry_handle_post(c->handle, FERRY_CONTAINER(it, struct ferry_command, link));
            pthread_mutex_lock(&c->anchor->lock);
        }
        c->posting = false;
        ferry_consumer_leave(c);
    }
    pthread_mutex_unlock(&c->anchor->lock);
}

static void collect(void *cookie, struct ferry_command *command)
{
    ferry_list_push_back(&((struct ferry_consumer *)cookie)->outbox, &command->link);
}

static const struct ferry_consumer_host host = {collect};

bool ferry_consumer_enter(struct ferry_consumer *c)
{
    return (!atomic_load(&c->closing) || ferry_consumer_calls(c)) && enter(c);
}

bool ferry_consumer_enter_closing(struct ferry_consumer *c)
{
    return enter(c);
}

void ferry_consumer_leave(struct ferry_consumer *c)
{
    atomic_fetch_sub(&c->users, 1);
}

/* -- Life ------------------------------------------------------------------------------------------------- */

static void free_anchor(void *owner)
{
    struct consumer_anchor *a = owner;
    pthread_mutex_destroy(&a->lock);
    ferry_free(a);
}

static int start(struct ferry_consumer *c, const struct ferry_config *config,
                 struct ferry_error *err)
{
    c->config = ferry_settings_freeze(config, err);
    if (!c->config || ferry_settings_check_consumer(c->config, err))
        return -1;
    enum ferry_assignor assignors[FERRY_ASSIGNOR_COUNT];
    bool cooperative;
    if (ferry_group_assignors(c->config->settings.partition_assignment_strategy, assignors,
                              &cooperative, err) < 0)
        return -1;
    c->max_records = c->config->settings.max_poll_records;
    c->handle = ferry_handle_open(config, NULL, err);
    c->queue = c->handle ? ferry_queue_create(c->handle) : NULL;
    c->anchor = c->queue ? ferry_zalloc(sizeof *c->anchor) : NULL;
    if (!c->handle)
        return -1;
    if (!c->anchor)
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a consumer");
    pthread_mutex_init(&c->anchor->lock, NULL);
    c->anchor->consumer = c;
    c->app = ferry_consumer_app_new(&c->config->settings, &host, c, err);
    if (!c->app) {
        free_anchor(c->anchor);
        c->anchor = NULL;
        return -1;
    }
    c->app->consumer = c;
    c->app->core->queue = c->queue;
    c->app->shared->owner = c->anchor;
    c->app->shared->on_free = free_anchor;
    if (!ferry_handle_enter(c->handle)) { /* errors that no call reports come through poll too */
        c->handle->errors = c->queue;
        ferry_handle_leave(c->handle);
    }
    atomic_store(&c->open, true);
    ferry_consumer_lock(c);
    ferry_consumer_unlock(c);
    return 0;
}

struct ferry_consumer *ferry_consumer_new(const struct ferry_config *config,
                                          struct ferry_error *err)
{
    struct ferry_config *defaults = config ? NULL : ferry_config_new();
    struct ferry_consumer *c = ferry_zalloc(sizeof *c);
    ferry_error_clear(err);
    if (!c || (!config && !defaults)) {
        ferry_free(c);
        ferry_config_free(defaults);
        ferry_fail(err, FERRY_E_NOMEM, "no memory for a consumer");
        return NULL;
    }
    ferry_list_init(&c->outbox);
    int rc = start(c, config ? config : defaults, err);
    ferry_config_free(defaults);
    if (rc) {
        if (c->handle)
            ferry_handle_close(c->handle, 0);
        ferry_queue_unref(c->queue);
        ferry_settings_free(c->config);
        ferry_free(c);
        return NULL;
    }
    return c;
}

/* Whoever is to leave does so at once, unless the application keeps him in a callback of its own. */
static void let_others(unsigned *rounds)
{
    static const struct timespec ms = {.tv_nsec = 1000000};
    if (++*rounds < 1000)
        sched_yield();
    else
        nanosleep(&ms, NULL);
}

/* Ends the handle. Whoever is inside is sent away first: nobody stays, or comes, once `open` is false. */
static void shut(struct ferry_consumer *c, int32_t grace_ms)
{
    unsigned rounds = 0;
    if (!atomic_exchange(&c->open, false))
        return;
    while (atomic_load(&c->users)) {
        ferry_handle_notify(c->handle);
        ferry_queue_cancel(c->queue);
        let_others(&rounds);
    }
    ferry_handle_close(c->handle, ferry_deadline_ms(grace_ms));
    c->handle = NULL;
}

static int leave_group(struct ferry_consumer *c, int32_t timeout_ms)
{
    int status = 0;
    unsigned rounds = 0;
    bool done = false;
    ferry_consumer_lock(c);
    while (c->waiters) { /* what comes from the queue now is for this thread */
        ferry_queue_cancel(c->queue);
        ferry_consumer_unlock(c);
        ferry_handle_notify(c->handle);
        let_others(&rounds);
        ferry_consumer_lock(c);
    }
    ferry_consumer_app_processed(c->app);
    struct ferry_consumer_call *call = ferry_consumer_app_call_new(c->app, FERRY_CALL_CLOSE, NULL);
    if (call) {
        call->timeout = timeout_ms < 0 ? FERRY_NEVER
                        : timeout_ms   ? (ferry_nsec)timeout_ms * FERRY_MS
                                       : 1;
        ferry_consumer_app_post(c->app, call);
    }
    while (call && !done && status != FERRY_E_CLOSED) {
        ferry_consumer_unlock(c);
        struct ferry_delivery *d = ferry_queue_wait(c->queue, FERRY_NEVER, &status);
        ferry_consumer_lock(c);
        if (d)
            done = ferry_consumer_take_delivery(c, d, call);
        else if (status != FERRY_E_INTERRUPTED)
            break; /* the engine has ended */
    }
    if (done) {
        status = call->status;
        ferry_consumer_call_free(call);
    }
    ferry_consumer_unlock(c);
    return call ? status : FERRY_E_NOMEM;
}

int32_t ferry_consumer_close(struct ferry_consumer *c, int32_t timeout_ms, struct ferry_error *err)
{
    ferry_error_clear(err);
    if (atomic_load(&c->closing) || !atomic_load(&c->open))
        return 0;
    if (ferry_in_callback() || ferry_consumer_calls(c))
        return ferry_fail(err, FERRY_E_STATE, "a consumer cannot be closed from a callback");
    if (atomic_exchange(&c->closing, true))
        return 0;
    int status = leave_group(c, timeout_ms);
    shut(c, CLOSE_GRACE_MS);
    if (status == FERRY_E_TIMED_OUT)
        return ferry_fail(err, status, "the group could not be left in order within %d ms%s",
                          timeout_ms, c->kept ? ": a rebalance was kept and is not answered" : "");
    return status ? ferry_fail(err, status, "closed, but the last commit failed: %s",
                               ferry_error_name(status))
                  : 0;
}

void ferry_consumer_free(struct ferry_consumer *c)
{
    size_t at = 0;
    struct ferry_link *it;
    if (!c || ferry_in_callback() || ferry_consumer_calls(c))
        return;
    ferry_consumer_close(c, 0, NULL);
    shut(c, 0);
    ferry_queue_close(c->queue);
    ferry_queue_unref(c->queue);
    for (struct ferry_map_entry *e; (e = ferry_map_next(&c->queues, &at));) {
        ferry_queue_close(e->value);
        ferry_queue_unref(e->value);
    }
    ferry_map_free(&c->queues);
    pthread_mutex_lock(&c->anchor->lock);
    c->anchor->consumer = NULL;
    while ((it = ferry_list_pop_front(
                &c->outbox))) /* made since the handle ended: nudges and changes */
        ferry_consumer_command_drop(FERRY_CONTAINER(it, struct ferry_command, link));
    pthread_mutex_unlock(&c->anchor->lock);
    if (c->kept)
        ferry_consumer_question_free(c->kept);
    ferry_consumer_app_free(c->app); /* the anchor goes with its last buffer */
    ferry_settings_free(c->config);
    ferry_free(c);
}

struct ferry_handle *ferry_consumer_handle(struct ferry_consumer *c)
{
    return c->handle;
}

/* -- What to consume -------------------------------------------------------------------------------------- */

static int closed(struct ferry_error *err)
{
    return ferry_fail(err, FERRY_E_CLOSED, "the consumer is closed");
}

int32_t ferry_consumer_subscribe(struct ferry_consumer *c, const char *const *topics, int32_t count,
                                 struct ferry_error *err)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    int rc = list ? 0 : FERRY_E_NOMEM;
    ferry_error_clear(err);
    for (int32_t i = 0; i < count && rc >= 0; i++)
        rc = ferry_partition_list_add(list, topics[i], -1, FERRY_OFFSET_NONE);
    if (rc == FERRY_E_INVALID)
        ferry_fail(err, rc, "a topic without a name");
    else if (rc < 0)
        ferry_fail(err, rc, "no memory for a subscription");
    else if (!ferry_consumer_enter(c))
        rc = closed(err);
    else {
        ferry_consumer_lock(c);
        rc = ferry_consumer_app_subscribe(c->app, list, err);
        ferry_consumer_unlock(c);
        ferry_consumer_leave(c);
    }
    ferry_partition_list_free(list);
    return rc < 0 ? rc : 0;
}

int32_t ferry_consumer_unsubscribe(struct ferry_consumer *c, struct ferry_error *err)
{
    return ferry_consumer_subscribe(c, NULL, 0, err);
}

int32_t ferry_consumer_subscription(struct ferry_consumer *c, struct ferry_partition_list *out)
{
    int rc = 0;
    ferry_consumer_lock(c);
    for (size_t i = 0; i < c->app->topics->count && rc >= 0; i++)
        rc = ferry_partition_list_add(out, c->app->topics->items[i].topic, -1, FERRY_OFFSET_NONE);
    ferry_consumer_unlock(c);
    return rc < 0 ? rc : 0;
}

/* One of the app half's calls that take a list. */
static int32_t change(struct ferry_consumer *c, const struct ferry_partition_list *list,
                      struct ferry_error *err,
                      int (*function)(struct ferry_consumer_app *,
                                      const struct ferry_partition_list *, struct ferry_error *))
{
    ferry_error_clear(err);
    if (!ferry_consumer_enter(c))
        return closed(err);
    ferry_consumer_lock(c);
    int rc = function(c->app, list, err);
    ferry_consumer_unlock(c);
    ferry_consumer_leave(c);
    return rc;
}

int32_t ferry_consumer_assign(struct ferry_consumer *c, const struct ferry_partition_list *list,
                              struct ferry_error *err)
{
    return change(c, list, err, ferry_consumer_app_assign);
}

int32_t ferry_consumer_assign_more(struct ferry_consumer *c,
                                   const struct ferry_partition_list *list, struct ferry_error *err)
{
    return change(c, list, err, ferry_consumer_app_assign_more);
}

int32_t ferry_consumer_assign_fewer(struct ferry_consumer *c,
                                    const struct ferry_partition_list *list,
                                    struct ferry_error *err)
{
    return change(c, list, err, ferry_consumer_app_assign_fewer);
}

int32_t ferry_consumer_seek(struct ferry_consumer *c, const struct ferry_partition_list *list,
                            struct ferry_error *err)
{
    return change(c, list, err, ferry_consumer_app_seek);
}

int32_t ferry_consumer_store(struct ferry_consumer *c, const struct ferry_partition_list *list,
                             struct ferry_error *err)
{
    return change(c, list, err, ferry_consumer_app_store);
}

static int pause_them(struct ferry_consumer_app *app, const struct ferry_partition_list *list,
                      struct ferry_error *err)
{
    (void)err;
    return ferry_consumer_app_pause(app, list, true);
}

static int resume_them(struct ferry_consumer_app *app, const struct ferry_partition_list *list,
                       struct ferry_error *err)
{
    (void)err;
    return ferry_consumer_app_pause(app, list, false);
}

int32_t ferry_consumer_pause(struct ferry_consumer *c, const struct ferry_partition_list *list)
{
    return change(c, list, NULL, pause_them);
}

int32_t ferry_consumer_resume(struct ferry_consumer *c, const struct ferry_partition_list *list)
{
    return change(c, list, NULL, resume_them);
}

/* -- Reading what is known -------------------------------------------------------------------------------- */

int32_t ferry_consumer_assignment(struct ferry_consumer *c, struct ferry_partition_list *out)
{
    ferry_consumer_lock(c);
    int rc = ferry_consumer_app_assignment(c->app, out);
    ferry_consumer_unlock(c);
    return rc;
}

int32_t ferry_consumer_position(struct ferry_consumer *c, struct ferry_partition_list *list)
{
    ferry_consumer_lock(c);
    int rc = ferry_consumer_app_position(c->app, list);
    ferry_consumer_unlock(c);
    return rc;
}

int64_t ferry_consumer_lag(struct ferry_consumer *c, const char *topic, int32_t partition)
{
    int64_t lag = -1;
    ferry_consumer_lock(c);
    const struct ferry_consumer_part *part =
        ferry_consumer_app_find(c->app, ferry_str_of(topic), partition);
    if (part) {
        bool committed = c->config->settings.isolation_level == 1;
        int64_t end = atomic_load(committed ? &part->stable : &part->high);
        int64_t at = ferry_consumer_part_position(part);
        lag = end < 0 || at == FERRY_OFFSET_NONE ? -1 : end > at ? end - at : 0;
    }
    ferry_consumer_unlock(c);
    return lag;
}

int32_t ferry_consumer_watermarks_cached(struct ferry_consumer *c, const char *topic,
                                         int32_t partition, int64_t *low, int64_t *high)
{
    int rc = FERRY_E_NOT_FOUND;
    ferry_consumer_lock(c);
    const struct ferry_consumer_part *part =
        ferry_consumer_app_find(c->app, ferry_str_of(topic), partition);
    if (part) {
        *low = atomic_load(&part->low);
        *high = atomic_load(&part->high);
        rc = *high < 0 ? FERRY_E_AGAIN : 0;
    }
    ferry_consumer_unlock(c);
    return rc;
}

int32_t ferry_consumer_member(struct ferry_consumer *c, char *id, int32_t size, int32_t *generation)
{
    if (!ferry_consumer_enter(c))
        return FERRY_E_CLOSED;
    int rc = ferry_handle_enter(c->handle);
    if (!rc) {
        const struct ferry_group *g = c->app->core->group;
        struct ferry_group_identity who = {.generation = -1};
        if (g)
            who = ferry_group_identity(g);
        if (size > 0)
            snprintf(id, (size_t)size, "%.*s", (int)who.member_id.len,
                     who.member_id.data ? who.member_id.data : "");
        *generation = who.generation;
        ferry_handle_leave(c->handle);
    }
    ferry_consumer_leave(c);
    return rc;
}
