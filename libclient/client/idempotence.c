/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "client/sender_internal.h"
#include "wire/errors.h"
#include "wire/messages.h"

/*
 * Producer ids, epochs and sequences of a producer that is idempotent and not transactional.
 *
 *  1. A lane's sequences count from 0 under one producer id and epoch. `outstanding` counts the batches that have a
 *     sequence and no outcome, on the wire or queued to be sent again.
 *     A broker knows the last five batches it appended, so a new sequence begins only while the lowest outstanding one
 *     is among the last five that were given out: its copy would be known.
 *     And the first batch under a producer id and epoch goes alone: a broker that knows nothing of the producer takes
 *     any sequence as its first, so were that batch refused and the next one taken, their order could not be had.
 *  2. A sequence whose fate is not known, or that a broker refused for good, is never given to other records. The lane
 *     is then `unresolved`: it begins no new sequence until nothing is outstanding, while what is outstanding is
 *     sent again under its own sequences, so that a broker tells copies.
 *  3. A broker's OUT_OF_ORDER for the lowest outstanding sequence says that it, and therefore all behind it, is not
 *     in the log now, and one before it is missing. Then, once nothing of the lane is on the wire, all of them get new
 *     sequences under a new epoch. For a later one it says only that an earlier one is missing: it is sent again.
 *     But if what is missing was itself given up without being known (`doubt`), it may yet come by a connection that was
 *     given up too, and then an earlier try of ours behind it. So a batch of which some try may still be under way
 *     keeps its sequence while there is doubt: it is sent again until the log has it or it expires. What was never
 *     sent, or refused each time, waits for that, and begins anew.
 *  4. An epoch bump is local. Only the lane that caused it re-sequences; each other lane goes over to the new epoch
 *     when nothing of it is outstanding. After epoch 32767 a new producer id is asked for.
 */

enum { SEQUENCE_MASK = 0x7fffffff, KAFKA_OUT_OF_ORDER = 45, KAFKA_UNKNOWN_PRODUCER_ID = 59 };

struct id_request {
    struct ferry_request request; /* first */
    struct ferry_sender *sender;  /* NULL: the sender ended meanwhile */
    struct ferry_init_producer_id_request message;
};

static void ask(struct ferry_sender *s);

static void on_id_timer(struct ferry_timer *timer, void *client)
{
    struct ferry_sender *s = FERRY_CONTAINER(timer, struct ferry_sender, id_timer);
    ask(s);
}

static void ask_later(struct ferry_sender *s)
{
    ferry_nsec wait = ferry_client_backoff(s->client, s->settings->retry_backoff_ms,
                                           s->settings->retry_backoff_max_ms, s->id_tries++);
    ferry_client_timer(s->client, &s->id_timer, s->client->now + wait);
}

static void all_lanes(struct ferry_sender *s)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &s->topics)
    {
        struct ferry_sender_topic *t = FERRY_CONTAINER(it, struct ferry_sender_topic, link);
        struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_relaxed);
        for (int32_t i = 0; table && i < table->count; i++)
            ferry_lane_update(table->lanes[i]);
    }
    ferry_sender_drain_all(s);
}

static void on_id(struct ferry_client *c, struct ferry_request *request,
                  const struct ferry_reply *reply)
{
    struct id_request *r = FERRY_CONTAINER(request, struct id_request, request);
    struct ferry_sender *s = r->sender;
    const struct ferry_init_producer_id_response *body = reply->body;
    int code = reply->status ? reply->status : body->error_code;
    int64_t id = code ? -1 : body->producer_id;
    int16_t epoch = code ? -1 : body->producer_epoch;
    ferry_free(r);
    if (!s)
        return;
    s->id_request = NULL;
    if (!code && id >= 0 && epoch >= 0) {
        s->producer_id = id;
        s->producer_epoch = epoch;
        s->id_state = FERRY_SENDER_ID_READY;
        s->id_tries = 0;
        ferry_client_log(c, FERRY_LOG_DEBUG, FERRY_DEBUG_PRODUCER, "producer id %lld epoch %d",
                         (long long)id, epoch);
        all_lanes(s);
    } else if (code == FERRY_E_CLOSED) {
        s->id_state = FERRY_SENDER_ID_FATAL;
    } else if (code == FERRY_E_UNSUPPORTED ||
               (code > 0 && !(ferry_kafka_err_actions(code) & FERRY_WIRE_RETRY))) {
        s->id_state = FERRY_SENDER_ID_FATAL;
        ferry_sender_fail(s, code,
                          reply->status ? reply->text : "the cluster gives no producer id");
    } else {
        ask_later(s);
    }
}

static void ask(struct ferry_sender *s)
{
    struct id_request *r = ferry_zalloc(sizeof *r);
    s->id_state = FERRY_SENDER_ID_ASKING;
    if (!r) {
        ask_later(s);
        return;
    }
    ferry_init_producer_id_request_init(&r->message);
    r->message.transactional_id = (struct ferry_str){0}; /* null: the default, "", names one */
    r->message.transaction_timeout_ms = INT32_MAX;
    r->sender = s;
    r->request.api_key = 22;
    r->request.min_version = 0;
    r->request.max_version = 5;
    r->request.target = FERRY_TO_ANY;
    r->request.conn_class = FERRY_CLASS_GENERAL;
    r->request.message = &r->message;
    r->request.on_done = on_id;
    s->id_request = &r->request;
    ferry_request_submit(s->client, &r->request);
}

void ferry_idempotence_begin(struct ferry_sender *s)
{
    s->id_timer.fire = on_id_timer;
    if (s->idempotent && s->id_state == FERRY_SENDER_ID_NONE)
        ask(s);
}

void ferry_idempotence_end(struct ferry_sender *s)
{
    ferry_client_timer_cancel(s->client, &s->id_timer);
    if (s->id_request)
        FERRY_CONTAINER(s->id_request, struct id_request, request)->sender = NULL;
    s->id_request = NULL;
    s->id_state = FERRY_SENDER_ID_FATAL;
}

static bool is_current(const struct ferry_lane *lane)
{
    const struct ferry_sender *s = lane->topic->sender;
    return lane->producer_id == s->producer_id && lane->producer_epoch == s->producer_epoch;
}

/* No batch of the lane with an earlier sequence is without outcome. */
static bool is_lowest(const struct ferry_lane *lane, const struct ferry_lot *lot)
{
    const struct ferry_link *lists[2] = {&lane->flight, &lane->queue};
    for (int i = 0; i < 2; i++)
        for (const struct ferry_link *it = lists[i]->next; it != lists[i]; it = it->next) {
            const struct ferry_lot *other = FERRY_CONTAINER(it, struct ferry_lot, batch.link);
            if (other != lot && other->has_sequence &&
                (other->order < lot->order ||
                 (other->order == lot->order && other->first < lot->first)))
                return false;
        }
    return true;
}

enum { KNOWN_MAX = 5 };

/* A batch more would not drive one without outcome out of the broker's memory, nor go before the first. */
static bool within_window(const struct ferry_lane *lane)
{
    if (!lane->proven)
        return lane->outstanding == 0;
    for (const struct ferry_link *it = lane->flight.next; it != &lane->flight; it = it->next)
        if (lane->serial - FERRY_CONTAINER(it, struct ferry_lot, batch.link)->serial >= KNOWN_MAX)
            return false;
    return true;
}

bool ferry_idempotence_allows(const struct ferry_lane *lane, const struct ferry_lot *lot)
{
    const struct ferry_sender *s = lane->topic->sender;
    if (!s->idempotent)
        return true;
    if (lane->bump)
        return false;
    if (lot && lot->has_sequence)
        return is_lowest(lane, lot); /* sent again: one at a time */
    return !lane->unresolved && s->id_state == FERRY_SENDER_ID_READY &&
           (is_current(lane) ? within_window(lane) : lane->outstanding == 0);
}

void ferry_idempotence_assign(struct ferry_lane *lane, struct ferry_lot *lot)
{
    struct ferry_sender *s = lane->topic->sender;
    if (!s->idempotent || lot->has_sequence)
        return;
    if (!is_current(lane)) {
        FERRY_CHECK(lane->outstanding == 0);
        lane->producer_id = s->producer_id;
        lane->producer_epoch = s->producer_epoch;
        lane->next_sequence = lane->next_ack = 0;
        lane->proven = false;
    }
    lot->has_sequence = true;
    lot->producer_id = lane->producer_id;
    lot->producer_epoch = lane->producer_epoch;
    lot->sequence = lane->next_sequence;
    lot->serial = lane->serial++;
    lane->next_sequence =
        (int32_t)(((uint32_t)lane->next_sequence + lot->batch.count) & SEQUENCE_MASK);
    lane->outstanding++;
}

void ferry_idempotence_inherit(struct ferry_lane *lane, const struct ferry_lot *from,
                               struct ferry_lot *to, uint32_t records_before)
{
    if (!from->has_sequence)
        return;
    to->has_sequence = true;
    to->producer_id = from->producer_id;
    to->producer_epoch = from->producer_epoch;
    to->sequence = (int32_t)(((uint32_t)from->sequence + records_before) & SEQUENCE_MASK);
    to->serial = from->serial;
    lane->serial++;
    lane->outstanding++;
}

void ferry_idempotence_resolve(struct ferry_lane *lane, struct ferry_lot *lot, bool success)
{
    if (!lot->has_sequence)
        return;
    lot->has_sequence = false;
    FERRY_CHECK(lane->outstanding > 0);
    lane->outstanding--;
    lane->proven = lane->proven || success;
    if (success) {
        lane->next_ack = (int32_t)(((uint32_t)lot->sequence + lot->batch.count) & SEQUENCE_MASK);
        if ((int32_t)(lot->serial - lane->doubted) > 0)
            lane->doubt = false; /* what is before it must be there */
        return;
    }
    lane->unresolved = true;
    if (lot->maybe && (!lane->doubt || (int32_t)(lot->serial - lane->doubted) > 0)) {
        lane->doubt = true;
        lane->doubted = lot->serial;
    }
}

bool ferry_idempotence_complain(struct ferry_lane *lane, struct ferry_lot *lot, int32_t code)
{
    struct ferry_sender *s = lane->topic->sender;
    if (!is_lowest(lane, lot) || (lane->doubt && lot->maybe))
        return false;
    lane->bump = true;
    /* What is wrong with the id or its epoch itself, no epoch of ours mends. */
    if (code != KAFKA_OUT_OF_ORDER && code != KAFKA_UNKNOWN_PRODUCER_ID && is_current(lane) &&
        s->id_state == FERRY_SENDER_ID_READY)
        ask(s);
    return true;
}

static void bump(struct ferry_lane *lane)
{
    struct ferry_sender *s = lane->topic->sender;
    if (is_current(lane) && s->id_state == FERRY_SENDER_ID_READY) {
        atomic_fetch_add_explicit(&s->counters.epoch_bumps, 1, memory_order_relaxed);
        if (s->producer_epoch == INT16_MAX)
            ask(s);
        else
            s->producer_epoch++;
        ferry_client_log(s->client, FERRY_LOG_INFO, FERRY_DEBUG_PRODUCER,
                         "%s [%d]: sequences begin anew under producer id %lld epoch %d",
                         lane->topic->name, lane->partition, (long long)s->producer_id,
                         s->producer_epoch);
    }
    lane->producer_id = -1;
    lane->bump = lane->unresolved = lane->doubt = false;
}

void ferry_idempotence_settle(struct ferry_lane *lane)
{
    struct ferry_link *it, *tmp;
    if (lane->bump && lane->flight_count == 0) {
        FERRY_LIST_EACH(it, tmp, &lane->queue)
        {
            struct ferry_lot *lot = FERRY_CONTAINER(it, struct ferry_lot, batch.link);
            lot->has_sequence = false;
            lot->maybe = false; /* it is not there, and its number is out of use */
        }
        lane->outstanding = 0;
        bump(lane);
    } else if (lane->unresolved && !lane->bump && lane->outstanding == 0) {
        if (lane->next_sequence == lane->next_ack)
            lane->unresolved = lane->doubt = false;
        else
            bump(lane);
    }
}
