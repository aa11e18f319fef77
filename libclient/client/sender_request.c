/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "client/sender_internal.h"
#include "wire/codec.h"
#include "wire/errors.h"

#include <stdio.h>

/*
 * Produce requests: built of the first batches of a node's ready lanes, at most one per lane, all with the same acks and
 * time-out; and what their answers mean.
 *
 * A request's time-out never reaches beyond the expiry of a batch in it, so that a batch whose delivery.timeout.ms has
 * passed is never still on the wire.
 */

struct produce {
    struct ferry_request request; /* first */
    struct ferry_link link;       /* of all that are active: only for cancelling */
    struct ferry_sender *sender;
    struct ferry_sender_node *node;
    int16_t acks;
    int32_t timeout_ms;
    uint32_t count;
    int32_t purged; /* code with which its lots fail, whatever comes; 0 */
    struct ferry_produce_request message;
    struct ferry_produce_request_topic_data *topics;
    struct ferry_produce_request_partition_data *partitions;
    struct ferry_lane **lanes; /* of lots, which may be gone before their lanes are looked at */
    struct ferry_lot *lots[];
};

enum { API_PRODUCE = 0, VERSION_MIN = 3, VERSION_ZSTD = 7, VERSION_NAMES = 12, VERSION_IDS = 13 };
enum { KAFKA_MESSAGE_TOO_LARGE = 10, KAFKA_DUPLICATE_SEQUENCE = 46 };

/* -- Building --------------------------------------------------------------------------------- */

/* Topics of neighbouring lots are one entry where they are the same. */
static void fill_message(struct produce *p)
{
    struct ferry_produce_request *m = &p->message;
    struct ferry_produce_request_topic_data *topic = NULL;
    ferry_produce_request_init(m);
    m->acks = p->acks;
    m->timeout_ms = p->timeout_ms;
    m->topic_data = p->topics;
    m->topic_data_count = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        struct ferry_lot *lot = p->lots[i];
        struct ferry_accum_batch *b = &lot->batch;
        if (i == 0 || p->lots[i - 1]->topic != lot->topic) {
            topic = &p->topics[m->topic_data_count++];
            ferry_produce_request_topic_data_init(topic);
            topic->name = (struct ferry_str){lot->topic->name, lot->topic->name_len};
            topic->topic_id = lot->topic->meta->id;
            topic->partition_data = &p->partitions[i];
            topic->partition_data_count = 0;
        }
        struct ferry_produce_request_partition_data *part = &p->partitions[i];
        ferry_produce_request_partition_data_init(part);
        part->index = lot->lane->partition;
        part->records.data = b->packed ? b->packed->data : b->first->data;
        part->records.len = ferry_sealed_wire_size(b);
        topic->partition_data_count++;
    }
}

struct expansion {
    struct ferry_writer_ref *refs;
    size_t count, at;
};

static void add_ref(void *cookie, const void *data, size_t len)
{
    struct expansion *e = cookie;
    e->refs[e->count++] = (struct ferry_writer_ref){e->at, {data, len}};
}

/* The codec knows each batch as one reference; here it becomes one for each of its pieces. */
static int expand_refs(struct produce *p, struct ferry_writer *w)
{
    size_t first = w->ref_count - p->count, pieces = 0;
    for (uint32_t i = 0; i < p->count; i++)
        pieces += ferry_sealed_part_count(&p->lots[i]->batch);
    if (pieces == p->count)
        return 0;
    struct expansion e = {ferry_alloc(pieces * sizeof *e.refs), 0, 0};
    if (!e.refs)
        return FERRY_E_NOMEM;
    for (uint32_t i = 0; i < p->count; i++) {
        e.at = w->refs[first + i].at;
        ferry_sealed_parts(&p->lots[i]->batch, add_ref, &e);
    }
    int rc = FERRY_GROW(w->refs, w->ref_cap, first + e.count);
    if (!rc) {
        memcpy(&w->refs[first], e.refs, e.count * sizeof *e.refs);
        w->ref_count = first + e.count;
    }
    ferry_free(e.refs);
    return rc;
}

static int encode(struct ferry_client *c, struct ferry_request *request, int16_t version,
                  struct ferry_writer *w)
{
    struct produce *p = FERRY_CONTAINER(request, struct produce, request);
    size_t refs = w->ref_count, kept = w->ref_records_min;
    fill_message(p);
    w->ref_records_min = 1;
    int rc = ferry_msg_encode(&ferry_produce_request_msg, version, &p->message, w, NULL);
    w->ref_records_min = kept;
    if (rc)
        return rc;
    FERRY_CHECK(w->ref_count == refs + p->count);
    return expand_refs(p, w);
}

/* Same acks and time-out as the first? */
static bool fits(const struct ferry_topic_settings *a, const struct ferry_topic_settings *b)
{
    return a->acks == b->acks && a->request_timeout_ms == b->request_timeout_ms;
}

/* Takes the first lots of ready lanes. How many. */
static uint32_t collect(struct ferry_sender_node *node)
{
    struct ferry_sender *s = node->sender;
    uint32_t n = 0;
    size_t bytes = 0;
    struct ferry_link skipped, *link;
    ferry_list_init(&skipped);
    while (!ferry_list_empty(&node->ready)) {
        struct ferry_lane *lane = FERRY_CONTAINER(node->ready.next, struct ferry_lane, ready);
        ferry_nsec when;
        if (n && !fits(&lane->topic->settings, &s->taken[0]->topic->settings)) {
            ferry_list_remove(&lane->ready);
            ferry_list_push_back(&skipped, &lane->ready);
            continue;
        }
        if (FERRY_GROW(s->taken, s->taken_cap, n + 1))
            break;
        ferry_list_remove(&lane->ready);
        struct ferry_lot *lot = ferry_lane_sendable(lane, &when) ? ferry_lane_pop(lane) : NULL;
        if (!lot)
            continue;
        size_t size = ferry_sealed_wire_size(&lot->batch) + 64;
        if (n && bytes + size > (size_t)s->settings->max_request_size) {
            ferry_lot_queue(lot);
            atomic_fetch_add_explicit(&lane->waiting, 1, memory_order_relaxed);
            ferry_list_push_front(&node->ready, &lane->ready);
            break;
        }
        bytes += size;
        s->taken[n++] = lot;
    }
    while ((link = ferry_list_pop_front(&skipped)))
        ferry_list_push_back(&node->ready, link);
    return n;
}

static ferry_nsec timeout_of(const struct produce *p)
{
    ferry_nsec now = p->sender->client->now, timeout = p->timeout_ms * FERRY_MS;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct ferry_lot *lot = p->lots[i];
        int64_t patience = lot->topic->settings.delivery_timeout_ms;
        if (patience <= 0 || patience > INT64_MAX / FERRY_MS / 2)
            continue;
        ferry_nsec left = lot->batch.opened_at + patience * FERRY_MS - now;
        timeout = left < timeout ? left : timeout;
    }
    return timeout > FERRY_MS ? timeout : FERRY_MS;
}

static void on_done(struct ferry_client *, struct ferry_request *, const struct ferry_reply *);

static struct produce *new_request(struct ferry_sender_node *node, uint32_t n)
{
    struct ferry_sender *s = node->sender;
    size_t lots = n * sizeof(struct ferry_lot *), lanes = n * sizeof(struct ferry_lane *);
    size_t topics = n * sizeof(struct ferry_produce_request_topic_data);
    size_t partitions = n * sizeof(struct ferry_produce_request_partition_data);
    struct produce *p = ferry_zalloc(sizeof *p + lots + lanes + topics + partitions);
    if (!p)
        return NULL;
    p->lanes = (void *)((char *)p->lots + lots);
    p->topics = (void *)((char *)p->lanes + lanes);
    p->partitions = (void *)((char *)p->topics + topics);
    p->sender = s;
    p->node = node;
    p->count = n;
    p->acks = (int16_t)s->taken[0]->topic->settings.acks;
    p->timeout_ms = s->taken[0]->topic->settings.request_timeout_ms;
    p->request.api_key = API_PRODUCE;
    p->request.min_version = VERSION_MIN;
    p->request.max_version = VERSION_IDS;
    p->request.target = FERRY_TO_NODE;
    p->request.node = node->id;
    p->request.conn_class = FERRY_CLASS_PRODUCE;
    p->request.no_reply = p->acks == 0;
    p->request.encode = encode;
    p->request.on_done = on_done;
    return p;
}

static bool send_one(struct ferry_sender_node *node)
{
    struct ferry_sender *s = node->sender;
    uint32_t n = collect(node);
    if (n == 0)
        return false;
    struct produce *p = new_request(node, n);
    if (!p) { /* no memory: tried again at the lanes' next look */
        for (uint32_t i = 0; i < n; i++) {
            struct ferry_lane *lane = s->taken[i]->lane;
            ferry_lot_retry(s->taken[i], FERRY_E_NOMEM, NULL, false);
            ferry_lane_update(lane);
        }
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct ferry_lot *lot = p->lots[i] = s->taken[i];
        struct ferry_lane *lane = p->lanes[i] = lot->lane;
        ferry_idempotence_assign(lane, lot);
        struct ferry_sealed_stamp stamp = {-1, -1, -1, false};
        if (lot->has_sequence)
            stamp = (struct ferry_sealed_stamp){lot->producer_id, lot->producer_epoch,
                                                lot->sequence, false};
        ferry_sealed_stamp(&lot->batch, &stamp);
        if (lot->batch.packed && lot->topic->settings.compression_type == FERRY_USE_ZSTD)
            p->request.min_version = VERSION_ZSTD;
        if (ferry_uuid_is_zero(&lot->topic->meta->id))
            p->request.max_version = VERSION_NAMES;
        ferry_list_push_back(&lane->flight, &lot->batch.link);
        lane->flight_count++;
        lane->flight_node = node;
        lot->state = FERRY_LOT_FLIGHT;
        if (lot->tries++)
            atomic_fetch_add_explicit(&s->counters.retries, 1, memory_order_relaxed);
        else
            ferry_sender_measure_sent(lot);
        atomic_fetch_add_explicit(&s->counters.bytes_sent,
                                  (int64_t)ferry_sealed_wire_size(&lot->batch),
                                  memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&s->counters.batches_sent, n, memory_order_relaxed);
    p->request.timeout = timeout_of(p);
    node->in_flight++;
    ferry_list_push_back(&s->requests, &p->link);
    ferry_request_submit(s->client, &p->request);
    for (uint32_t i = 0; i < n; i++) /* more may be ready behind */
        ferry_lane_update(p->lanes[i]);
    return true;
}

void ferry_sender_drain(struct ferry_sender_node *node)
{
    struct ferry_sender *s = node->sender;
    struct ferry_client *c = s->client;
    bool ready = false;
    while (!ferry_list_empty(&node->ready) &&
           node->in_flight < (uint32_t)s->settings->max_in_flight &&
           (ready = ferry_broker_ready(c, node->id, FERRY_CLASS_PRODUCE)) && send_one(node))
        ;
    bool stalled = !ferry_list_empty(&node->ready);
    int64_t since = atomic_load_explicit(&node->stalled_since, memory_order_relaxed);
    if (stalled != (since != 0))
        atomic_store_explicit(&node->stalled_since, stalled ? c->now : 0, memory_order_relaxed);
    if (!stalled || ready || node->in_flight >= (uint32_t)s->settings->max_in_flight)
        return;
    ferry_nsec until = ferry_broker_throttled_until(c, node->id, FERRY_CLASS_PRODUCE);
    if (until > c->now)
        ferry_client_timer(c, &node->timer, until);
    else
        ferry_broker_connect(c, node->id, FERRY_CLASS_PRODUCE);
}

void ferry_sender_drain_all(struct ferry_sender *s)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &s->nodes)
    ferry_sender_drain(FERRY_CONTAINER(it, struct ferry_sender_node, link));
}

void ferry_sender_cancel_requests(struct ferry_sender *s, int32_t code)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &s->requests)
    {
        struct produce *p = FERRY_CONTAINER(it, struct produce, link);
        p->purged = code;
        ferry_request_cancel(s->client, &p->request);
    }
}

/* -- Answers ---------------------------------------------------------------------------------- */

struct answers {
    const struct ferry_produce_response *body;
    int version;
    int32_t topic,
        partition; /* where the next one probably is: brokers answer in the order of the request */
};

static bool is_topic(const struct answers *a, int32_t i, const struct ferry_sender_topic *t)
{
    const struct ferry_produce_response_response *r = &a->body->responses[i];
    return a->version >= VERSION_IDS
               ? ferry_uuid_eq(&r->topic_id, &t->meta->id)
               : ferry_str_eq(r->name, (struct ferry_str){t->name, t->name_len});
}

static const struct ferry_produce_response_partition_response *
find_answer(struct answers *a, const struct ferry_lot *lot)
{
    int32_t topics = a->body->responses_count;
    for (int32_t n = 0; n < topics; n++) {
        int32_t i = (a->topic + n) % topics;
        if (!is_topic(a, i, lot->topic))
            continue;
        const struct ferry_produce_response_response *r = &a->body->responses[i];
        int32_t from = n == 0 ? a->partition : 0;
        for (int32_t m = 0; m < r->partition_responses_count; m++) {
            int32_t k = (from + m) % r->partition_responses_count;
            if (r->partition_responses[k].index != lot->lane->partition)
                continue;
            a->topic = i;
            a->partition = k + 1;
            return &r->partition_responses[k];
        }
    }
    return NULL;
}

/* A leader told in the answer: true if it is news, and the lot may go there at once. */
static bool take_hint(struct ferry_sender *s, const struct ferry_lot *lot,
                      const struct ferry_produce_response *body,
                      const struct ferry_produce_response_partition_response *a)
{
    struct ferry_node_hint hint = {.node = a->current_leader.leader_id}, *endpoint = NULL;
    if (a->current_leader.leader_id < 0)
        return false;
    for (int32_t i = 0; i < body->node_endpoints_count; i++) {
        const struct ferry_produce_response_node_endpoint *e = &body->node_endpoints[i];
        if (e->node_id == hint.node) {
            hint.host = e->host;
            hint.port = e->port;
            hint.rack = e->rack;
            endpoint = &hint;
        }
    }
    return ferry_cluster_hint(s->client, lot->topic->meta, lot->lane->partition,
                              a->current_leader.leader_id, a->current_leader.leader_epoch,
                              endpoint);
}

/* Codes after which the records may be in the log all the same. */
static bool may_be_appended(int code)
{
    /* REQUEST_TIMED_OUT, .._AFTER_APPEND, UNKNOWN, STORAGE_ERROR: the disk failed, perhaps behind the append */
    return code == 7 || code == 20 || code == -1 || code == 56;
}

static bool about_sequences(int code)
{
    /* OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, UNKNOWN_PRODUCER_ID */
    return code == 45 || code == 47 || code == 49 || code == 59;
}

static void on_answer(struct ferry_lot *lot, const struct ferry_produce_response *body,
                      const struct ferry_produce_response_partition_response *a, int32_t node)
{
    struct ferry_sender *s = lot->topic->sender;
    struct ferry_lane *lane = lot->lane;
    int code = a->error_code;
    char text[200];
    if (code == 0 || code == KAFKA_DUPLICATE_SEQUENCE) {
        ferry_lot_succeed(lot, code ? -1 : a->base_offset, code ? -1 : a->log_append_time_ms, node);
        return;
    }
    snprintf(text, sizeof text, "%.*s", (int)a->error_message.len,
             a->error_message.data ? a->error_message.data : "");
    lot->maybe = lot->maybe || may_be_appended(code);
    if (code == KAFKA_MESSAGE_TOO_LARGE && ferry_lot_split(lot) == 0)
        return;
    if (lot->has_sequence && about_sequences(code)) {
        ferry_lot_retry(lot, code, text, ferry_idempotence_complain(lane, lot, code));
        return;
    }
    unsigned actions = ferry_kafka_err_actions(code);
    bool at_once = false;
    if (actions & FERRY_WIRE_METADATA) {
        at_once = take_hint(s, lot, body, a);
        if (at_once)
            ferry_sender_lead(lane);
        else
            ferry_cluster_refresh(s->client);
    }
    if (actions & FERRY_WIRE_RETRY)
        ferry_lot_retry(lot, code, text, at_once);
    else
        ferry_lot_fail(lot, code, text);
}

static void on_failure(struct produce *p, struct ferry_lot *lot, const struct ferry_reply *reply)
{
    lot->maybe = lot->maybe || (reply->sent && !FERRY_PLANTED(MAYBE_DENIED));
    if (FERRY_PLANTED(FAILURE_ACKED) && lot->tries > 1)
        ferry_lot_succeed(lot, 0, -1, p->node->id);
    else if (p->purged)
        ferry_lot_fail(lot, p->purged, NULL);
    else if (reply->status == FERRY_E_CLOSED)
        ferry_lot_fail(lot, FERRY_E_CLOSED, reply->text);
    else if (reply->status == FERRY_E_UNSUPPORTED || reply->status == FERRY_E_INVALID)
        ferry_lot_fail(lot, reply->status, reply->text);
    else
        ferry_lot_retry(lot, reply->status, reply->text, false);
}

static void on_done(struct ferry_client *c, struct ferry_request *request,
                    const struct ferry_reply *reply)
{
    struct produce *p = FERRY_CONTAINER(request, struct produce, request);
    struct ferry_sender_node *node = p->node;
    struct answers answers = {.body = reply->body, .version = reply->version};
    node->in_flight--;
    ferry_list_remove(&p->link);
    if (reply->status && reply->status != FERRY_E_CLOSED && !p->purged)
        ferry_cluster_refresh(c);
    for (uint32_t i = 0; i < p->count; i++) {
        struct ferry_lot *lot = p->lots[i];
        const struct ferry_produce_response_partition_response *a;
        ferry_lot_unlink(lot);
        if (reply->status) {
            on_failure(p, lot, reply);
        } else if (!answers.body) {
            ferry_lot_succeed(lot, -1, -1, reply->node);
        } else if ((a = find_answer(&answers, lot))) {
            on_answer(lot, answers.body, a, reply->node);
        } else {
            lot->maybe = true;
            ferry_lot_retry(lot, FERRY_E_PROTOCOL, "the answer names no such partition", false);
        }
    }
    for (uint32_t i = 0; i < p->count; i++)
        ferry_lane_update(p->lanes[i]);
    ferry_free(p);
    ferry_sender_drain_all(node->sender);
}
