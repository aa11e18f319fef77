/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fetch answers: the session goes on or is reset; each partition's records become a buffer that points into the frame, or its
 * error is acted upon.
 *
 * Invariants:
 *  1. An answer for a partition counts only if the partition was asked for in this very request, and neither its epoch nor
 *     its offset has changed since.
 *  2. The offset moves on only by delivering a buffer that covers what was passed.
 */
#include "config.h"

#include "base/plant.h"
#include "client/fetcher_impl.h"

#include "client/fetcher_buffer.h"
#include "ferry/kafka_errors.h"
#include "record/batch.h"
#include "wire/errors.h"

struct answer {
    struct ferry_fetcher *fetcher;
    struct ferry_fetcher_node *node;
    const struct ferry_reply *reply;
    const struct ferry_fetch_response *m;
    bool refresh;
    uint32_t records; /* partitions that had some */
};

/* ---- records ---- */

struct extent {
    size_t len;     /* whole batches */
    int64_t upto;   /* offset after the last of them */
    size_t largest; /* of them */
    int32_t leader_epoch;
    uint64_t records;
};

/* Looks at the batch headers: how far do whole batches go? FERRY_E_PROTOCOL where one is malformed: what is in front of it
   counts. */
static int measure(struct ferry_bytes bytes, struct extent *x, struct ferry_error *err)
{
    struct ferry_batch_set set;
    struct ferry_batch b;
    int rc;
    *x = (struct extent){.upto = -1, .leader_epoch = -1};
    ferry_batch_set_init(&set, bytes);
    while ((rc = ferry_batch_set_next(&set, &b, err)) > 0) {
        x->len = (size_t)(set.at - bytes.data);
        x->upto = b.last_offset + 1;
        x->largest = b.size > x->largest ? b.size : x->largest;
        x->leader_epoch = b.leader_epoch;
        x->records += b.count > 0 ? (uint64_t)b.count : 1;
    }
    return rc;
}

static void set_aborted(struct ferry_fetched *b, const struct ferry_fetch_response_partition *p)
{
    for (size_t i = 0; i < b->aborted_count; i++) {
        b->aborted[i].producer_id = p->aborted_transactions[i].producer_id;
        b->aborted[i].first = p->aborted_transactions[i].first_offset;
    }
}

static void deliver(struct answer *a, struct ferry_consumer_part *part,
                    const struct ferry_fetch_response_partition *p, const struct extent *x)
{
    const struct ferry_settings *s = a->fetcher->client->settings;
    bool committed = s->isolation_level == 1;
    size_t aborted =
        committed && p->aborted_transactions_count > 0 ? (size_t)p->aborted_transactions_count : 0;
    struct ferry_bytes bytes = {p->records.data, x->len};
    struct ferry_fetched *b =
        ferry_fetcher_buffer_new(part, a->fetcher->core->shared, a->reply->frame, bytes, aborted);
    if (!b) {
        ferry_fetcher_backoff(a->fetcher, part);
        return;
    }
    b->epoch = part->fetch.epoch;
    b->from = b->next = part->fetch.offset;
    b->upto = x->upto;
    b->check_crc = s->check_crcs;
    b->expand_limit = (size_t)s->frame_max_bytes;
    set_aborted(b, p);
    b->delivery.queue = part->fetch.queue;
    b->delivery.weight = x->records < UINT32_MAX ? (uint32_t)x->records : UINT32_MAX;
    part->fetch.offset = x->upto + FERRY_PLANTED(POSITION_JUMPS);
    part->fetch.leader_epoch = x->leader_epoch;
    part->fetch.at_end = false;
    atomic_fetch_add(&part->queued, (int64_t)x->len);
    part->fetch.largest = x->largest < INT32_MAX / 4 ? (int32_t)x->largest : INT32_MAX / 4;
    part->fetch.starved = false;
    a->records++;
    ferry_consumer_measure_fetched(a->fetcher->core, part, x->records, x->len);
    ferry_consumer_deliver(a->fetcher->core, &b->delivery);
}

/* The end of what may be read was reached: told once, until there is more. In a session the broker does not mention a
   partition without news, so it has to be seen when its last records come. */
static void see_end(struct answer *a, struct ferry_consumer_part *part,
                    const struct ferry_fetch_response_partition *p)
{
    const struct ferry_settings *s = a->fetcher->client->settings;
    int64_t end = s->isolation_level == 1 ? p->last_stable_offset : p->high_watermark;
    if (part->fetch.offset < end || part->fetch.at_end)
        return;
    part->fetch.at_end = true;
    if (s->partition_eof)
        ferry_fetcher_note(a->fetcher, part, FERRY_E_PARTITION_EOF, false, "end of partition");
}

static void take_records(struct answer *a, struct ferry_consumer_part *part,
                         const struct ferry_fetch_response_partition *p)
{
    struct extent x;
    struct ferry_error err = {0};
    int rc = measure(p->records, &x, &err);
    if (x.len > 0 && x.upto > part->fetch.offset) {
        deliver(a, part, p,
                &x); /* something malformed behind it is found again by the next fetch */
        see_end(a, part, p);
        return;
    }
    if (rc < 0 || x.len > 0) {
        ferry_fetcher_note(a->fetcher, part, rc < 0 ? rc : FERRY_E_PROTOCOL, true,
                           rc < 0 ? err.text
                                  : "the broker sent records from before the offset asked for");
        ferry_fetcher_backoff(a->fetcher, part);
        return;
    }
    if (p->records.len > 0) { /* a part of one batch: the next request may bring it whole */
        part->fetch.starved = true;
        return;
    }
    see_end(a, part, p);
}

/* ---- errors ---- */

static void learn_leader(struct answer *a, struct ferry_consumer_part *part,
                         const struct ferry_fetch_response_partition *p)
{
    struct ferry_node_hint hint = {.node = p->current_leader.leader_id};
    if (p->current_leader.leader_id < 0)
        return;
    for (int32_t i = 0; i < a->m->node_endpoints_count; i++)
        if (a->m->node_endpoints[i].node_id == hint.node) {
            hint.host = a->m->node_endpoints[i].host;
            hint.port = a->m->node_endpoints[i].port;
            hint.rack = a->m->node_endpoints[i].rack;
        }
    if (ferry_cluster_hint(a->fetcher->client, part->fetch.topic, part->partition,
                           p->current_leader.leader_id, p->current_leader.leader_epoch,
                           hint.host.len ? &hint : NULL)) {
        part->fetch.retry_at = 0;
        ferry_fetcher_place(a->fetcher, part);
    }
}

static void reset_position(struct answer *a, struct ferry_consumer_part *part)
{
    int64_t reset = ferry_fetcher_reset_offset(a->fetcher, part);
    ferry_client_log(a->fetcher->client, FERRY_LOG_INFO, FERRY_DEBUG_FETCH,
                     "%.*s [%d]: offset %lld is out of range", (int)part->topic.len,
                     part->topic.data, (int)part->partition, (long long)part->fetch.offset);
    if (reset == FERRY_OFFSET_NONE) {
        ferry_fetcher_note(a->fetcher, part, FERRY_KAFKA_OFFSET_OUT_OF_RANGE, false,
                           "the offset is out of range, and auto.offset.reset=none");
        ferry_list_remove(&part->fetch.node_link);
        part->fetch.node = NULL;
        part->fetch.state = FERRY_FETCHER_FAILED;
        return;
    }
    ferry_fetcher_lookup(a->fetcher, part, reset);
}

static void take_error(struct answer *a, struct ferry_consumer_part *part,
                       const struct ferry_fetch_response_partition *p)
{
    struct ferry_fetcher *f = a->fetcher;
    unsigned actions = ferry_kafka_err_actions(p->error_code);
    bool follower = part->fetch.replica >= 0;
    part->fetch.replica = -1;
    if (p->error_code == FERRY_KAFKA_OFFSET_OUT_OF_RANGE && !follower) {
        reset_position(a, part);
        return;
    }
    ferry_fetcher_backoff(f, part);
    if (follower) { /* back to the leader, which alone can say what is really wrong */
        part->fetch.retry_at = 0;
        ferry_fetcher_place(f, part);
        return;
    }
    if (actions & FERRY_WIRE_METADATA)
        a->refresh = true;
    if (!(actions & FERRY_WIRE_RETRY))
        ferry_fetcher_note(f, part, p->error_code, true, ferry_error_name(p->error_code));
    learn_leader(a, part, p);
}

/* KIP-320: the log up to our offset is not what we read. Goes on where the two still agreed. */
static void take_truncation(struct answer *a, struct ferry_consumer_part *part,
                            const struct ferry_fetch_response_partition *p)
{
    int64_t end = p->diverging_epoch.end_offset;
    ferry_client_log(a->fetcher->client, FERRY_LOG_WARNING, FERRY_DEBUG_FETCH,
                     "%.*s [%d]: the log was truncated: position %lld, epoch %d ends at %lld",
                     (int)part->topic.len, part->topic.data, (int)part->partition,
                     (long long)part->fetch.offset, (int)p->diverging_epoch.epoch, (long long)end);
    if (ferry_fetcher_reset_offset(a->fetcher, part) == FERRY_OFFSET_NONE)
        reset_position(a, part);
    else
        part->fetch.offset = end < part->fetch.offset ? end : part->fetch.offset;
    part->fetch.leader_epoch = -1;
}

/* ---- the whole ---- */

static void take_part(struct answer *a, struct ferry_consumer_part *part,
                      const struct ferry_fetch_response_partition *p)
{
    struct ferry_fetcher_part *fetch = &part->fetch;
    if (fetch->state != FERRY_FETCHER_FETCHING || fetch->node != a->node ||
        fetch->asked_node != a->node || fetch->asked_serial != a->node->serial ||
        fetch->asked_epoch != fetch->epoch || fetch->asked_offset != fetch->offset)
        return;
    if (p->error_code) {
        take_error(a, part, p);
        return;
    }
    atomic_store(&part->high, p->high_watermark);
    atomic_store(&part->stable, p->last_stable_offset);
    if (p->log_start_offset >= 0)
        atomic_store(&part->low, p->log_start_offset);
    fetch->tries = 0;
    fetch->told = false;
    if (p->diverging_epoch.epoch >= 0) {
        take_truncation(a, part, p);
        return;
    }
    if (p->preferred_read_replica >= 0 && p->records.len == 0) {
        fetch->replica = p->preferred_read_replica;
        fetch->replica_until =
            a->fetcher->client->now + a->fetcher->client->settings->metadata_max_age_ms * FERRY_MS;
        ferry_fetcher_place(a->fetcher, part);
        return;
    }
    take_records(a, part, p);
}

static void take_parts(struct answer *a)
{
    struct ferry_client *client = a->fetcher->client;
    for (int32_t t = 0; t < a->m->responses_count; t++) {
        const struct ferry_fetch_response_response *r = &a->m->responses[t];
        const struct ferry_topic_meta *topic = a->reply->version > 12
                                                   ? ferry_cluster_topic_by_id(client, &r->topic_id)
                                                   : ferry_cluster_topic(client, r->topic);
        for (int32_t p = 0; p < r->partitions_count; p++) {
            struct ferry_consumer_part *part =
                ferry_fetcher_find(topic, r->partitions[p].partition_index);
            if (part)
                take_part(a, part, &r->partitions[p]);
        }
    }
}

/* Those that were asked for and got nothing, though there is something, ask for more next time. */
static void had_records(struct answer *a)
{
    struct ferry_link *it, *tmp;
    ferry_nsec took = a->fetcher->client->now - a->reply->sent_at;
    ferry_consumer_measure_answer(a->fetcher->core, took);
    ferry_fetcher_answered(a->node, took, a->records);
    FERRY_LIST_EACH(it, tmp, &a->node->parts)
    {
        struct ferry_consumer_part *part =
            FERRY_CONTAINER(it, struct ferry_consumer_part, fetch.node_link);
        if (part->fetch.asked_serial == a->node->serial && part->fetch.asked_node == a->node &&
            part->fetch.asked_offset == part->fetch.offset &&
            part->fetch.offset < atomic_load(&part->high))
            part->fetch.starved = true;
    }
}

static void fail_node(struct answer *a, int32_t code, const char *text)
{
    struct ferry_fetcher_node *node = a->node;
    const struct ferry_settings *s = a->fetcher->client->settings;
    bool session = code > 0 && (ferry_kafka_err_actions(code) & FERRY_WIRE_SESSION);
    ferry_client_log(a->fetcher->client, FERRY_LOG_DEBUG, FERRY_DEBUG_FETCH,
                     "fetch from node %d failed: %s: %s", (int)node->node, ferry_error_name(code),
                     text);
    ferry_fetcher_session_reset(node, code != FERRY_KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    if (session && node->tries == 0) { /* a new session at once */
        node->tries++;
        return;
    }
    node->retry_at =
        a->fetcher->client->now + ferry_client_backoff(a->fetcher->client, s->retry_backoff_ms,
                                                       s->retry_backoff_max_ms, node->tries++);
    ferry_cluster_refresh(a->fetcher->client);
}

static void session_on(struct answer *a)
{
    struct ferry_fetcher_node *node = a->node;
    if (node->session_epoch == 0) {
        node->session_id = a->m->session_id;
        node->session_epoch = a->m->session_id != 0;
        node->session_ids = a->reply->version > 12;
        if (node->session_id == 0)
            ferry_fetcher_session_reset(node, false);
    } else {
        node->session_epoch = node->session_epoch == INT32_MAX ? 1 : node->session_epoch + 1;
    }
    node->tries = 0;
    node->retry_at = 0;
}

void ferry_fetcher_on_reply(struct ferry_client *client, struct ferry_request *request,
                            const struct ferry_reply *reply)
{
    struct ferry_fetcher_node *node = request->cookie;
    struct answer a = {node->fetcher, node, reply, reply->body, false, 0};
    (void)client;
    node->in_flight = false;
    if (!a.fetcher) {
        ferry_fetcher_node_free(node);
        return;
    }
    if (reply->status || !a.m) {
        fail_node(&a, reply->status, reply->text ? reply->text : "");
    } else if (a.m->error_code) {
        fail_node(&a, a.m->error_code, ferry_error_name(a.m->error_code));
    } else {
        session_on(&a);
        take_parts(&a);
        if (reply->frame && reply->frame->on_free) /* a slab of the pool's */
            ferry_fetcher_busy(a.fetcher);
        if (a.records)
            had_records(&a);
        node->empties = a.records ? 0 : node->empties + (node->empties < 16);
        if (a.refresh)
            ferry_cluster_refresh(client);
    }
    ferry_fetcher_go(a.fetcher);
}
