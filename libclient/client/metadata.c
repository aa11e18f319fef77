/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/core.h"

#include "base/err.h"
#include "ferry/kafka_errors.h"

/*
 * When metadata is asked for, and of what.
 *
 * Invariants:
 *  1. At most one request is under way; demands meanwhile lead to one more after it.
 *  2. Refreshes that do not help (topics still missing, the request failed) are spaced by retry.backoff.ms, doubling up to
 *     retry.backoff.max.ms; the first one, and those that a new topic needs, go at once.
 *  3. While metadata is missed (asked for, and no answer came), the rebootstrap trigger is armed.
 */

static void schedule(struct ferry_client *client);

static bool anything_wanted(const struct ferry_client *client)
{
    return client->core->want_all || !ferry_list_empty(&client->core->topic_list) ||
           client->core->metadata.need;
}

/* -- The request ---------------------------------------------------------------------------------------- */

/* Whether topics differ in what may be done when they do not exist. */
static bool mixed_creation(const struct ferry_client *client)
{
    bool may = false, may_not = false;
    for (struct ferry_topic_meta *t = NULL; (t = ferry_cluster_next(client, t));) {
        may = may || t->auto_create;
        may_not = may_not || !t->auto_create;
    }
    return may && may_not;
}

/* The names of the topics to ask for, borrowed. With mixed wishes two requests are made, one after the other. */
static int fill_topics(struct ferry_client *client, bool mixed, bool create)
{
    struct ferry_metadata *md = &client->core->metadata;
    size_t count = 0;
    md->arena.limit = SIZE_MAX;
    struct ferry_metadata_request_topic *topics =
        ferry_arena_array(&md->arena, client->core->topics.live + 1, sizeof *topics);
    if (!topics)
        return FERRY_E_NOMEM;
    for (struct ferry_topic_meta *t = NULL; (t = ferry_cluster_next(client, t));) {
        if (!t->wants || (mixed && create != (t->auto_create > 0)))
            continue;
        ferry_metadata_request_topic_init(&topics[count]);
        topics[count].name.data = ferry_arena_strndup(&md->arena, t->name, t->name_len);
        topics[count].name.len = t->name_len;
        if (!topics[count++].name.data)
            return FERRY_E_NOMEM;
    }
    md->message.topics = topics;
    md->message.topics_count = (int32_t)count;
    md->message.allow_auto_topic_creation = create && count;
    return 0;
}

static int build(struct ferry_client *client)
{
    struct ferry_metadata *md = &client->core->metadata;
    ferry_arena_reset(&md->arena);
    ferry_metadata_request_init(&md->message);
    md->message.allow_auto_topic_creation = false;
    md->full = client->core->want_all > 0;
    if (md->full) {
        md->message.topics = NULL;
        md->message.topics_count = -1;
        return 0;
    }
    bool mixed = mixed_creation(client), create = false;
    for (struct ferry_topic_meta *t = NULL; (t = ferry_cluster_next(client, t));)
        create = create || t->auto_create;
    if (mixed)
        create = md->split = !md->split;
    else
        md->split = false;
    return fill_topics(client, mixed, create);
}

static int encode(struct ferry_client *client, struct ferry_request *r, int16_t version,
                  struct ferry_writer *w)
{
    /* Built when it is written, not when it is submitted: it may have waited for a connection. */
    struct ferry_metadata *md = &client->core->metadata;
    md->need = md->urgent = false;
    md->asked_at = client->now;
    int code = build(client);
    if (code)
        return code;
    if (version < 4) /* brokers of that age create what their own setting allows */
        md->message.allow_auto_topic_creation = true;
    return ferry_msg_encode(&ferry_metadata_request_msg, version, &md->message, w, NULL);
}

/* -- The answer ----------------------------------------------------------------------------------------- */

static void failed(struct ferry_client *client, int status, const char *text)
{
    struct ferry_metadata *md = &client->core->metadata;
    ferry_client_log(client, FERRY_LOG_INFO, FERRY_DEBUG_METADATA, "metadata could not be had: %s",
                     text);
    md->need = true;
    md->urgent = false; /* it was tried */
    md->tries++;
    ferry_core_tell_metadata(client, status);
}

static void answered(struct ferry_client *client, const struct ferry_metadata_response *m)
{
    struct ferry_metadata *md = &client->core->metadata;
    bool missing, changed;
    if (m->error_code == FERRY_KAFKA_REBOOTSTRAP_REQUIRED) {
        ferry_metadata_rebootstrap(client, "the broker asks for it");
        return;
    }
    if (m->error_code) {
        failed(client, FERRY_E_PROTOCOL, "the broker answered with an error");
        return;
    }
    if (ferry_cluster_apply(client, m, md->full, &missing, &changed)) {
        failed(client, FERRY_E_NOMEM, "no memory");
        return;
    }
    md->answered_at = client->now;
    md->missing_since = FERRY_NEVER;
    ferry_timer_cancel(&client->timers, &md->trigger);
    md->tries = missing && !changed ? md->tries + 1 : 0;
    md->need = md->need || missing || md->split;
    md->urgent = md->urgent || md->split;
    ferry_client_log(client, FERRY_LOG_DEBUG, FERRY_DEBUG_METADATA,
                     "metadata: %d brokers, %d topics%s", m->brokers_count, m->topics_count,
                     missing ? ", some without a leader" : "");
    ferry_request_dispatch_controller(client);
    md->need = md->need || !ferry_list_empty(&client->core->controller_waiting);
    ferry_core_tell_metadata(client, 0);
}

static void on_done(struct ferry_client *client, struct ferry_request *r,
                    const struct ferry_reply *reply)
{
    if (client->closing)
        return;
    if (reply->status)
        failed(client, reply->status, reply->text);
    else
        answered(client, reply->body);
    schedule(client);
}

static void send_request(struct ferry_client *client)
{
    struct ferry_metadata *md = &client->core->metadata;
    md->asked_at = client->now;
    client->counters.metadata_requests++;
    md->request = (struct ferry_request){.api_key = FERRY_API_METADATA,
                                         .min_version = 1,
                                         .max_version = 13,
                                         .target = FERRY_TO_ANY,
                                         .conn_class = FERRY_CLASS_GENERAL,
                                         .encode = encode,
                                         .on_done = on_done};
    ferry_request_submit(client, &md->request);
}

/* -- When ----------------------------------------------------------------------------------------------- */

static void fire(struct ferry_timer *t, void *context)
{
    struct ferry_client *client = context;
    if (!client->closing && !ferry_request_active(&client->core->metadata.request) &&
        anything_wanted(client))
        send_request(client);
}

static void fire_trigger(struct ferry_timer *t, void *context)
{
    struct ferry_client *client = context;
    struct ferry_metadata *md = &client->core->metadata;
    if (md->missing_since == FERRY_NEVER || client->closing)
        return;
    md->missing_since = client->now;
    ferry_metadata_rebootstrap(client, "no metadata for metadata.recovery.rebootstrap.trigger.ms");
    schedule(client);
}

static void watch_missing(struct ferry_client *client)
{
    struct ferry_metadata *md = &client->core->metadata;
    const struct ferry_settings *s = client->settings;
    if (md->missing_since == FERRY_NEVER)
        md->missing_since = client->now;
    if (s->metadata_recovery_strategy != FERRY_RECOVERY_REBOOTSTRAP ||
        ferry_timer_armed(&md->trigger))
        return;
    md->trigger.fire = fire_trigger;
    ferry_client_timer(client, &md->trigger,
                       md->missing_since + s->metadata_recovery_rebootstrap_trigger_ms * FERRY_MS);
}

static void schedule(struct ferry_client *client)
{
    struct ferry_metadata *md = &client->core->metadata;
    const struct ferry_settings *s = client->settings;
    if (client->closing || ferry_request_active(&md->request) || !anything_wanted(client))
        return;
    ferry_nsec at = md->answered_at + s->metadata_max_age_ms * FERRY_MS;
    if (md->need) {
        watch_missing(client);
        at = client->now;
        if (!md->urgent && md->asked_at) {
            /* No jitter: a demand that comes again must not move the time. */
            int64_t wait = s->retry_backoff_ms;
            for (unsigned i = 1; i < md->tries && wait < s->retry_backoff_max_ms; i++)
                wait *= 2;
            at = md->asked_at +
                 (wait < s->retry_backoff_max_ms ? wait : s->retry_backoff_max_ms) * FERRY_MS;
        }
    }
    md->timer.fire = fire;
    ferry_client_timer(client, &md->timer, at > client->now ? at : client->now);
}

void ferry_metadata_need(struct ferry_client *client, bool urgent)
{
    struct ferry_metadata *md = &client->core->metadata;
    if (client->closing)
        return;
    md->need = true;
    md->urgent = md->urgent || urgent;
    schedule(client);
}

/* -- Beginning anew -------------------------------------------------------------------------------------- */

void ferry_metadata_rebootstrap(struct ferry_client *client, const char *why)
{
    struct ferry_client_core *core = client->core;
    if (!core->bootstrap_count)
        return;
    ferry_client_log(client, FERRY_LOG_WARNING, FERRY_DEBUG_METADATA,
                     "beginning again from bootstrap.servers: %s", why);
    client->counters.rebootstraps++;
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &core->brokers)
    ferry_broker_remove(FERRY_CONTAINER(l, struct ferry_broker, link));
    ferry_cluster_forget(client);
    core->features_epoch = -1;
    ferry_broker_bootstrap(client);
    core->metadata.tries++; /* a cluster that asks for it again and again must not make us spin */
    ferry_metadata_need(client, false);
    ferry_request_dispatch_any(client);
}

bool ferry_metadata_all_unreachable(struct ferry_client *client)
{
    bool nodes = false;
    struct ferry_link *l, *next;
    if (client->settings->metadata_recovery_strategy != FERRY_RECOVERY_REBOOTSTRAP ||
        !client->core->bootstrap_count)
        return false;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (!b->gone && !b->failed_since)
            return false; /* lost a moment ago, or never tried: it may well be there */
        nodes = nodes || (!b->gone && b->node >= 0);
    }
    if (!nodes)
        return false;
    ferry_metadata_rebootstrap(client, "no known broker can be reached");
    return true;
}

void ferry_metadata_init(struct ferry_client *client)
{
    struct ferry_metadata *md = &client->core->metadata;
    md->missing_since = FERRY_NEVER;
    ferry_arena_init(&md->arena, SIZE_MAX);
}

void ferry_metadata_free(struct ferry_client *client)
{
    ferry_arena_free(&client->core->metadata.arena);
}
