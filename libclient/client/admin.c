/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/admin.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/core.h"
#include "ferry/kafka_errors.h"
#include "wire/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The machine that every kind of call runs on: rounds of parts, until each entry is settled or the time is over. */

enum { UNKNOWN_TOPIC_TRIES = 3 }; /* a topic made a moment ago is not known everywhere yet */

static void round_begin(struct ferry_admin *call);
static void part_done(struct ferry_client *, struct ferry_request *, const struct ferry_reply *);

static const struct ferry_admin_ops *phase_of(const struct ferry_admin *call)
{
    return call->ops->phases[call->phase];
}

/* -- Entries -------------------------------------------------------------------------------------------- */

struct ferry_admin_entry *ferry_admin_entry_new(struct ferry_admin *call, struct ferry_str name,
                                                int32_t partition)
{
    struct ferry_admin_entry *e = ferry_arena_alloc(&call->arena, sizeof *e);
    char *copy = e && name.data ? ferry_arena_strndup(&call->arena, name.data, name.len) : NULL;
    if (!e || (name.data && !copy) ||
        FERRY_GROW(call->entries, call->entry_cap, call->entry_count + 1)) {
        call->no_memory = true;
        return NULL;
    }
    *e = (struct ferry_admin_entry){
        .name = {copy, name.len}, .partition = partition, .pending = true, .leader = -1};
    e->configs_end = &e->configs;
    e->assignments_end = &e->assignments;
    call->entries[call->entry_count++] = e;
    return e;
}

static int compare_entries(const void *a, const void *b)
{
    const struct ferry_admin_entry *x = *(struct ferry_admin_entry *const *)a,
                                   *y = *(struct ferry_admin_entry *const *)b;
    int c = ferry_str_cmp(x->name, y->name);
    if (!c)
        c = (x->partition > y->partition) - (x->partition < y->partition);
    return c ? c : (x->type > y->type) - (x->type < y->type);
}

struct ferry_admin_entry *ferry_admin_find(const struct ferry_admin_part *part,
                                           struct ferry_str name, int32_t partition)
{
    size_t low = 0, high = part->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        struct ferry_admin_entry *e = part->entries[mid];
        int c = ferry_str_cmp(e->name, name);
        if (!c)
            c = (e->partition > partition) - (e->partition < partition);
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < part->count; low++) { /* resources of several types may share a name */
        struct ferry_admin_entry *e = part->entries[low];
        if (!ferry_str_eq(e->name, name) || e->partition != partition)
            return NULL;
        if (e->pending)
            return e;
    }
    return NULL;
}

size_t ferry_admin_same_name(const struct ferry_admin_part *part, size_t at)
{
    size_t n = 1;
    while (at + n < part->count &&
           ferry_str_eq(part->entries[at]->name, part->entries[at + n]->name))
        n++;
    return n;
}

/* -- Outcomes ------------------------------------------------------------------------------------------- */

void ferry_admin_fail(struct ferry_admin *call, int32_t code, const char *format, ...)
{
    if (call->status)
        return;
    call->status = code;
    va_list args;
    va_start(args, format);
    vsnprintf(call->text, sizeof call->text, format, args);
    va_end(args);
}

static void settle(struct ferry_admin *call, struct ferry_admin_entry *e, int32_t code,
                   struct ferry_str text)
{
    e->pending = false;
    if (!code)
        return;
    e->failed = true;
    struct ferry_str why = text.len ? text : ferry_str_of(ferry_error_name(code));
    if (!e->item && phase_of(call)->route == FERRY_ADMIN_TO_BROKERS && e->leader >= 0) {
        e->item = ferry_admin_item_new(call);
        ferry_admin_set_int(call, e->item, FERRY_FIELD_NODE, e->leader);
    }
    if (!e->item) {
        ferry_admin_fail(call, code, "%.*s", (int)(why.len < 200 ? why.len : 200), why.data);
        return;
    }
    ferry_admin_set_int(call, e->item, FERRY_FIELD_ERROR, code);
    ferry_admin_set_text(call, e->item, FERRY_FIELD_ERROR_TEXT, why);
}

static bool may_pass(const struct ferry_admin *call, int32_t code)
{
    switch (code) {
    case FERRY_E_TRANSPORT:
    case FERRY_E_TIMED_OUT:
    case FERRY_E_RESOLVE:
        return true;
    case FERRY_E_NOT_FOUND: /* a broker that metadata does not name now */
        return phase_of(call)->route != FERRY_ADMIN_TO_RESOURCES ||
               call->tries < UNKNOWN_TOPIC_TRIES;
    case FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
    case FERRY_KAFKA_UNKNOWN_TOPIC_ID:
        return phase_of(call)->route == FERRY_ADMIN_TO_LEADERS && call->tries < UNKNOWN_TOPIC_TRIES;
    case FERRY_KAFKA_REQUEST_TIMED_OUT: /* the controller began it: asking again would find it done */
        return phase_of(call)->route != FERRY_ADMIN_TO_CONTROLLER;
    default:
        return code > 0 &&
               (ferry_kafka_err_actions(code) &
                (FERRY_WIRE_RETRY | FERRY_WIRE_METADATA | FERRY_WIRE_COORDINATOR)) &&
               (ferry_kafka_err_flags(code) & FERRY_ERROR_RETRIABLE);
    }
}

/* What must be learnt anew before the next try. */
static void learn_from(struct ferry_admin *call, const struct ferry_admin_entry *e, int32_t code)
{
    unsigned actions = code > 0 ? ferry_kafka_err_actions(code) : 0;
    enum ferry_admin_route route = phase_of(call)->route;
    if (route == FERRY_ADMIN_TO_GROUP || route == FERRY_ADMIN_TO_EACH_GROUP) {
        if (actions & FERRY_WIRE_COORDINATOR)
            ferry_coordinator_forget(call->client, FERRY_COORDINATOR_GROUP,
                                     route == FERRY_ADMIN_TO_GROUP ? call->group : e->name, -1);
    } else if (route == FERRY_ADMIN_TO_CONTROLLER || code < 0) {
        ferry_cluster_refresh(call->client);
    }
}

void ferry_admin_outcome(struct ferry_admin *call, struct ferry_admin_entry *e, int32_t code,
                         struct ferry_str text)
{
    if (!e->pending)
        return;
    if (!code || !may_pass(call, code)) {
        settle(call, e, code, text);
        return;
    }
    learn_from(call, e, code);
    e->code = code;
    e->text = text.len ? ferry_arena_strndup(&call->arena, text.data, text.len) : NULL;
    e->leader = phase_of(call)->route == FERRY_ADMIN_TO_BROKERS ? e->leader : -1;
}

void ferry_admin_outcome_all(struct ferry_admin *call, struct ferry_admin_part *part, int32_t code,
                             struct ferry_str text)
{
    for (size_t i = 0; i < part->count; i++)
        ferry_admin_outcome(call, part->entries[i], code, text);
}

/* -- The end -------------------------------------------------------------------------------------------- */

static void detach_parts(struct ferry_admin *call)
{
    for (struct ferry_link *l; (l = ferry_list_pop_front(&call->parts));) {
        struct ferry_admin_part *part = FERRY_CONTAINER(l, struct ferry_admin_part, link);
        part->call = NULL;
        ferry_request_cancel(call->client, &part->request);
    }
}

static void finish(struct ferry_admin *call)
{
    struct ferry_client *client = call->client;
    detach_parts(call);
    ferry_client_timer_cancel(client, &call->timer);
    ferry_client_timer_cancel(client, &call->deadline_timer);
    ferry_client_unobserve(client, &call->observer);
    ferry_arena_free(&call->scratch);
    if (call->no_memory)
        ferry_admin_fail(call, FERRY_E_NOMEM, "no memory for the answer");
    void (*on_done)(struct ferry_admin *) = call->on_done;
    atomic_store(&call->state,
                 FERRY_ADMIN_DONE); /* from here on it may be freed by whoever waits */
    if (on_done)
        on_done(call);
}

/* Settles what is left with the reason why it is. */
static void give_up(struct ferry_admin *call, int32_t code, const char *text)
{
    for (size_t i = 0; i < call->entry_count; i++) {
        struct ferry_admin_entry *e = call->entries[i];
        char why[200];
        if (!e->pending)
            continue;
        if (e->code && code == FERRY_E_TIMED_OUT)
            snprintf(why, sizeof why, "%s; the last answer was %s%s%s", text,
                     ferry_error_name(e->code), e->text ? ": " : "", e->text ? e->text : "");
        else
            snprintf(why, sizeof why, "%s", text);
        settle(call, e, code, ferry_str_of(why));
    }
    finish(call);
}

static void time_over(struct ferry_timer *t, void *context)
{
    give_up(FERRY_CONTAINER(t, struct ferry_admin, deadline_timer), FERRY_E_TIMED_OUT,
            "not done in time");
}

static void client_closes(struct ferry_client *client, struct ferry_observer *o)
{
    give_up(o->cookie, FERRY_E_CLOSED, "the client is being closed");
}

/* -- Rounds --------------------------------------------------------------------------------------------- */

static bool any_pending(const struct ferry_admin *call)
{
    for (size_t i = 0; i < call->entry_count; i++)
        if (call->entries[i]->pending)
            return true;
    return false;
}

/* The next phase is about every entry that has an item and no error. */
static bool next_phase(struct ferry_admin *call)
{
    if (call->phase + 1 >= FERRY_ADMIN_PHASES || !call->ops->phases[call->phase + 1] ||
        call->status)
        return false;
    call->phase++;
    call->tries = 0;
    for (size_t i = 0; i < call->entry_count; i++) {
        struct ferry_admin_entry *e = call->entries[i];
        e->pending = e->item && !e->failed;
        e->code = 0;
    }
    return true;
}

static void fire_round(struct ferry_timer *t, void *context)
{
    round_begin(FERRY_CONTAINER(t, struct ferry_admin, timer));
}

/* All parts of the round are done. */
static void round_end(struct ferry_admin *call)
{
    const struct ferry_settings *s = call->client->settings;
    if (call->status || call->no_memory) {
        give_up(call, call->status ? call->status : FERRY_E_NOMEM, call->text);
        return;
    }
    if (any_pending(call)) {
        bool next_step = false; /* a lookup told who is to be asked: no need to wait */
        for (size_t i = 0; i < call->entry_count; i++)
            next_step = next_step || (call->entries[i]->pending && call->entries[i]->leader >= 0);
        if (next_step && call->looked_up) {
            round_begin(call);
            return;
        }
        call->timer.fire = fire_round;
        ferry_client_timer(call->client, &call->timer,
                           call->client->now +
                               ferry_client_backoff(call->client, s->retry_backoff_ms,
                                                    s->retry_backoff_max_ms, call->tries));
        call->tries++;
        return;
    }
    if (next_phase(call))
        round_begin(call);
    else
        finish(call);
}

int32_t ferry_admin_time_left(const struct ferry_admin *call)
{
    int64_t ms = (call->deadline - call->client->now) / FERRY_MS;
    int64_t most = call->client->settings->topic.request_timeout_ms;
    return (int32_t)(ms < 1 ? 1 : ms < most ? ms : most);
}

void *ferry_admin_scratch(struct ferry_admin *call, size_t count, size_t size)
{
    return ferry_arena_array(&call->scratch, count ? count : 1, size);
}

/* -- Parts ---------------------------------------------------------------------------------------------- */

static int encode_lookup(struct ferry_admin *, struct ferry_admin_part *, int16_t version,
                         struct ferry_writer *);
static void answer_lookup(struct ferry_admin *, struct ferry_admin_part *,
                          const struct ferry_reply *);

static int encode_part(struct ferry_client *client, struct ferry_request *r, int16_t version,
                       struct ferry_writer *w)
{
    struct ferry_admin_part *part = r->cookie;
    struct ferry_admin *call = part->call;
    if (!call)
        return FERRY_E_INTERRUPTED;
    ferry_arena_reset(&call->scratch);
    return part->lookup ? encode_lookup(call, part, version, w)
                        : phase_of(call)->encode(call, part, version, w);
}

static void part_done(struct ferry_client *client, struct ferry_request *r,
                      const struct ferry_reply *reply)
{
    struct ferry_admin_part *part = r->cookie;
    struct ferry_admin *call = part->call;
    if (!call) {
        ferry_free(part);
        return;
    }
    ferry_list_remove(&part->link);
    if (reply->status)
        ferry_admin_outcome_all(call, part, reply->status, ferry_str_of(reply->text));
    else if (part->lookup)
        answer_lookup(call, part, reply);
    else
        phase_of(call)->answer(call, part, reply);
    ferry_free(part);
    if (ferry_list_empty(&call->parts))
        round_end(call);
}

/* A part of `count` entries, to be filled, then sent. NULL without memory. */
static struct ferry_admin_part *new_part(struct ferry_admin *call, size_t count)
{
    struct ferry_admin_part *part = ferry_zalloc(sizeof *part + count * sizeof *part->entries);
    if (!part) {
        call->no_memory = true;
        return NULL;
    }
    const struct ferry_admin_ops *ops = phase_of(call);
    part->call = call;
    part->request = (struct ferry_request){.api_key = ops->api_key,
                                           .min_version = ops->min,
                                           .max_version = ops->max,
                                           .target = FERRY_TO_ANY,
                                           .conn_class = FERRY_CLASS_GENERAL,
                                           .encode = encode_part,
                                           .on_done = part_done,
                                           .cookie = part};
    ferry_list_push_back(&call->parts, &part->link);
    return part;
}

static void send_part(struct ferry_admin *call, struct ferry_admin_part *part)
{
    qsort(part->entries, part->count, sizeof *part->entries, compare_entries);
    part->request.timeout = ferry_admin_time_left(call) * FERRY_MS;
    ferry_request_submit(call->client, &part->request);
}

static size_t count_pending(const struct ferry_admin *call)
{
    size_t n = 0;
    for (size_t i = 0; i < call->entry_count; i++)
        n += call->entries[i]->pending;
    return n;
}

/* One part with every pending entry for which `leader` is the node (-2: every one). */
static void deal(struct ferry_admin *call, enum ferry_target target, int32_t node)
{
    struct ferry_admin_part *part = new_part(call, count_pending(call));
    if (!part)
        return;
    for (size_t i = 0; i < call->entry_count; i++)
        if (call->entries[i]->pending && (node == -2 || call->entries[i]->leader == node))
            part->entries[part->count++] = call->entries[i];
    part->request.target = target;
    part->request.node = node;
    part->request.coordinator_type = FERRY_COORDINATOR_GROUP;
    part->request.coordinator_key = call->group;
    send_part(call, part);
}

static void deal_each_group(struct ferry_admin *call)
{
    for (size_t i = 0; i < call->entry_count; i++) {
        struct ferry_admin_part *part = call->entries[i]->pending ? new_part(call, 1) : NULL;
        if (!part)
            continue;
        part->entries[part->count++] = call->entries[i];
        part->request.target = FERRY_TO_COORDINATOR;
        part->request.coordinator_type = FERRY_COORDINATOR_GROUP;
        part->request.coordinator_key = call->entries[i]->name;
        send_part(call, part);
    }
}

/* A part for each node that pending entries are dealt to. */
static void deal_by_leader(struct ferry_admin *call, int32_t no_leader_goes_to)
{
    for (size_t i = 0; i < call->entry_count && !call->no_memory; i++) {
        const struct ferry_admin_entry *e = call->entries[i];
        bool seen = !e->pending || (e->leader < 0 && no_leader_goes_to != FERRY_TO_ANY);
        for (size_t k = 0; k < i && !seen; k++)
            seen = call->entries[k]->pending && call->entries[k]->leader == e->leader;
        if (!seen)
            deal(call, e->leader < 0 ? FERRY_TO_ANY : FERRY_TO_NODE, e->leader);
    }
}

static int32_t node_number(struct ferry_str name)
{
    int64_t n = name.len ? 0 : -1;
    for (size_t i = 0; i < name.len; i++)
        n = name.data[i] >= '0' && name.data[i] <= '9' && n >= 0 && n < INT32_MAX
                ? n * 10 + (name.data[i] - '0')
                : -1;
    return n <= INT32_MAX ? (int32_t)n : -1;
}

/* False if a broker is named that is not known yet. */
static bool aim_at_brokers(struct ferry_admin *call)
{
    bool known = true;
    for (size_t i = 0; i < call->entry_count; i++) {
        struct ferry_admin_entry *e = call->entries[i];
        bool broker = e->type == FERRY_RESOURCE_BROKER || e->type == FERRY_RESOURCE_BROKER_LOGGER;
        e->leader = broker ? node_number(e->name) : -1;
        known =
            known && (!e->pending || e->leader < 0 || ferry_broker_find(call->client, e->leader));
    }
    return known;
}

/* -- Lookups: leaders of partitions, brokers of the cluster --------------------------------------------------- */

static void deal_lookup(struct ferry_admin *call)
{
    struct ferry_admin_part *part = new_part(call, count_pending(call));
    if (!part)
        return;
    for (size_t i = 0; i < call->entry_count; i++)
        if (call->entries[i]->pending)
            part->entries[part->count++] = call->entries[i];
    part->lookup = true;
    part->request.api_key = FERRY_API_METADATA;
    part->request.min_version = 1;
    part->request.max_version = 12;
    send_part(call, part);
}

static int encode_lookup(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                         struct ferry_writer *w)
{
    struct ferry_metadata_request m;
    ferry_metadata_request_init(&m);
    m.allow_auto_topic_creation = version < 4;
    struct ferry_metadata_request_topic *topics =
        ferry_admin_scratch(call, part->count, sizeof *topics);
    if (!topics)
        return FERRY_E_NOMEM;
    m.topics = topics;
    m.topics_count = 0;
    for (size_t i = 0; i < part->count; i += ferry_admin_same_name(part, i)) {
        if (phase_of(call)->route != FERRY_ADMIN_TO_LEADERS)
            break; /* only the brokers are asked for */
        ferry_metadata_request_topic_init(&topics[m.topics_count]);
        topics[m.topics_count++].name = part->entries[i]->name;
    }
    return ferry_msg_encode(&ferry_metadata_request_msg, version, &m, w, NULL);
}

static void learn_brokers(struct ferry_admin *call, const struct ferry_metadata_response *m)
{
    for (int32_t i = 0; i < m->brokers_count; i++)
        ferry_broker_learn(call->client, m->brokers[i].node_id, m->brokers[i].host,
                           m->brokers[i].port, m->brokers[i].rack);
}

static void take_brokers(struct ferry_admin *call, struct ferry_admin_part *part,
                         const struct ferry_metadata_response *m)
{
    for (size_t i = 0; i < part->count; i++)
        part->entries[i]->pending = false; /* "everything" is now the brokers */
    for (int32_t i = 0; i < m->brokers_count; i++) {
        struct ferry_admin_entry *e = ferry_admin_entry_new(call, (struct ferry_str){NULL, 0}, -1);
        if (e)
            e->leader = m->brokers[i].node_id;
    }
}

static void take_leaders(struct ferry_admin *call, struct ferry_admin_part *part,
                         const struct ferry_metadata_response_topic *t)
{
    for (int32_t i = 0; i < t->partitions_count; i++) {
        const struct ferry_metadata_response_partition *p = &t->partitions[i];
        struct ferry_admin_entry *e = ferry_admin_find(part, t->name, p->partition_index);
        if (e && p->leader_id >= 0)
            e->leader = p->leader_id;
        else if (e)
            ferry_admin_outcome(call, e, FERRY_KAFKA_LEADER_NOT_AVAILABLE,
                                (struct ferry_str){NULL, 0});
    }
    for (size_t i = 0; i < part->count; i++) {
        struct ferry_admin_entry *e = part->entries[i];
        if (e->pending && e->leader < 0 && ferry_str_eq(e->name, t->name))
            ferry_admin_outcome(
                call, e, t->error_code ? t->error_code : FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                (struct ferry_str){NULL, 0});
    }
}

static void answer_lookup(struct ferry_admin *call, struct ferry_admin_part *part,
                          const struct ferry_reply *reply)
{
    const struct ferry_metadata_response *m = reply->body;
    learn_brokers(call, m);
    call->looked_up = true;
    if (phase_of(call)->route == FERRY_ADMIN_TO_BROKERS)
        take_brokers(call, part, m);
    if (phase_of(call)->route != FERRY_ADMIN_TO_LEADERS)
        return;
    for (int32_t i = 0; i < m->topics_count; i++)
        if (m->topics[i].name.data)
            take_leaders(call, part, &m->topics[i]);
}

static bool leaders_known(const struct ferry_admin *call)
{
    for (size_t i = 0; i < call->entry_count; i++)
        if (call->entries[i]->pending && call->entries[i]->leader < 0)
            return false;
    return true;
}

static void round_begin(struct ferry_admin *call)
{
    switch (phase_of(call)->route) {
    case FERRY_ADMIN_TO_ANY:
        deal(call, FERRY_TO_ANY, -2);
        break;
    case FERRY_ADMIN_TO_CONTROLLER:
        deal(call, FERRY_TO_CONTROLLER, -2);
        break;
    case FERRY_ADMIN_TO_GROUP:
        deal(call, FERRY_TO_COORDINATOR, -2);
        break;
    case FERRY_ADMIN_TO_EACH_GROUP:
        deal_each_group(call);
        break;
    case FERRY_ADMIN_TO_RESOURCES:
        if (!aim_at_brokers(call) && !call->looked_up) {
            deal_lookup(call);
        } else {
            call->looked_up = false;
            deal_by_leader(call, FERRY_TO_ANY);
        }
        break;
    case FERRY_ADMIN_TO_LEADERS:
    case FERRY_ADMIN_TO_BROKERS:
        /* After a lookup those whose leader is known are asked; the others wait for the next lookup. */
        if (!call->looked_up && !leaders_known(call)) {
            deal_lookup(call);
        } else {
            call->looked_up = false;
            deal_by_leader(call, -1);
        }
        break;
    }
    if (ferry_list_empty(&call->parts))
        round_end(call);
}

/* -- The beginning -------------------------------------------------------------------------------------- */

/* Two entries of one name could not be told apart in the answer. */
static void refuse_duplicates(struct ferry_admin *call)
{
    size_t n = call->entry_count;
    struct ferry_admin_entry **sorted = ferry_memdup(call->entries, n * sizeof *sorted);
    if (!sorted && n) {
        call->no_memory = true;
        return;
    }
    qsort(sorted, n, sizeof *sorted, compare_entries);
    for (size_t i = 1; i < n; i++)
        if (!compare_entries(&sorted[i - 1], &sorted[i]))
            settle(call, sorted[i], FERRY_E_INVALID, FERRY_STR("named twice in one call"));
    ferry_free(sorted);
}

static void prepare(struct ferry_admin *call)
{
    bool asked = call->entry_count > 0;
    for (size_t i = 0; i < call->entry_count; i++) {
        struct ferry_admin_entry *e = call->entries[i];
        e->item = ferry_admin_item_new(call);
        if (call->ops->uses & FERRY_USES_PARTITION) {
            ferry_admin_set_text(call, e->item, FERRY_FIELD_TOPIC, e->name);
            ferry_admin_set_int(call, e->item, FERRY_FIELD_PARTITION, e->partition);
        } else {
            ferry_admin_set_text(call, e->item, FERRY_FIELD_NAME, e->name);
        }
        if (call->ops->uses & FERRY_USES_RESOURCE)
            ferry_admin_set_int(call, e->item, FERRY_FIELD_TYPE, e->type);
    }
    if (asked)
        refuse_duplicates(call);
    else if (call->ops->uses & FERRY_USES_ALL)
        ferry_admin_entry_new(call, (struct ferry_str){NULL, 0}, -1);
}

void ferry_admin_begin(struct ferry_client *client, struct ferry_command *command)
{
    struct ferry_admin *call = (struct ferry_admin *)command;
    ferry_nsec timeout =
        call->timeout ? call->timeout : client->settings->default_api_timeout_ms * FERRY_MS;
    call->client = client;
    call->deadline = timeout > FERRY_NEVER - client->now ? FERRY_NEVER : client->now + timeout;
    call->scratch.limit = (size_t)1 << 28;
    ferry_list_init(&call->parts);
    call->observer = (struct ferry_observer){.cookie = call, .on_close = client_closes};
    ferry_client_observe(client, &call->observer);
    call->deadline_timer.fire = time_over;
    ferry_client_timer(client, &call->deadline_timer, call->deadline);
    prepare(call);
    if (client->closing)
        give_up(call, FERRY_E_CLOSED, "the client is being closed");
    else
        round_begin(call);
}
