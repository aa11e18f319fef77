/* SPDX-License-Identifier: BSD-2-Clause */
/* ListOffsets, OffsetForLeaderEpoch, DeleteRecords: questions to logs, some of which need the disk. */
#include "config.h"

#include "ferry/kafka_errors.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"

/* ---- ListOffsets ---- */

enum {
    LOOKUPS_AT_ONCE = 32
}; /* each holds a page of an index: the peer chooses how many it asks for */

struct lookups {
    struct broker_request *request;
    struct ferry_list_offsets_response response;
    struct lookup *rows;
    size_t count, next; /* the first that has not begun */
    uint32_t running;
};

struct lookup {
    struct log_lookup seek;
    struct lookups *all;
    struct ferry_str topic;
    const struct ferry_list_offsets_request_partition *in;
    struct ferry_list_offsets_response_partition *out;
};

static void lookup_put(struct lookup *l, int error)
{
    l->out->error_code = (int16_t)(error < -1 ? FERRY_KAFKA_KAFKA_STORAGE_ERROR : error);
    if (error)
        return;
    l->out->offset = l->seek.offset;
    l->out->timestamp = l->seek.timestamp;
    if (l->all->request->version >= 4)
        l->out->leader_epoch = l->seek.leader_epoch;
}

static void lookups_go_on(struct lookups *);

static void on_looked_up(struct log_lookup *seek, int error)
{
    struct lookup *l = FERRY_CONTAINER(seek, struct lookup, seek);
    lookup_put(l, error);
    l->all->running--;
    lookups_go_on(l->all);
}

/* The special times came one after another. */
static bool knows_time(int64_t timestamp, int16_t version)
{
    switch (timestamp) {
    case -3:
        return version >= 7;
    case -4:
        return version >= 8;
    case -5:
        return version >= 9;
    case -6:
        return version >= 11;
    default:
        return timestamp >= -2;
    }
}

static void look_up(struct lookup *l)
{
    const struct ferry_list_offsets_request_partition *in = l->in;
    struct broker_request *r = l->all->request;
    struct ferry_list_offsets_response_partition *out = l->out;
    struct broker_partition *bp;
    out->offset = out->timestamp = out->leader_epoch = -1;
    int error = broker_partition_find(r->node, l->topic, NULL, in->partition_index, &bp);
    if (!error)
        error = broker_partition_check_epoch(bp, in->current_leader_epoch);
    if (!error && !knows_time(in->timestamp, r->version))
        error = FERRY_KAFKA_UNSUPPORTED_VERSION;
    if (error || in->timestamp <= -5) { /* nothing is tiered here */
        out->error_code = (int16_t)error;
        return;
    }
    l->seek.target = in->timestamp;
    l->seek.upto = bp->log->high_watermark;
    l->seek.done = on_looked_up;
    error = log_lookup(bp->log, &l->seek);
    if (error == FERRY_E_AGAIN) {
        l->all->running++;
        return;
    }
    lookup_put(l, error);
    if (!error && in->timestamp == -1 && out->leader_epoch < 0 && r->version >= 4)
        out->leader_epoch = broker_partition_epoch(bp);
}

static void lookups_go_on(struct lookups *all)
{
    if (!all->request->conn) /* nobody listens any more */
        all->next = all->count;
    while (all->next < all->count && all->running < LOOKUPS_AT_ONCE)
        look_up(&all->rows[all->next++]);
    if (!all->running)
        broker_reply(all->request, &all->response);
}

/* The rows of one topic. */
static bool add_lookups(struct lookups *all, const struct ferry_list_offsets_request_topic *t,
                        struct ferry_list_offsets_response_topic *out)
{
    size_t n = t->partitions_count > 0 ? (size_t)t->partitions_count : 0;
    out->name = t->name;
    out->partitions =
        ferry_msg_array(&ferry_list_offsets_response_partition_msg, &all->request->arena, n);
    if (n && !out->partitions)
        return false;
    out->partitions_count = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        struct lookup *l = &all->rows[all->count++];
        l->all = all;
        l->topic = t->name;
        l->in = &t->partitions[i];
        l->out = &out->partitions[i];
        l->out->partition_index = l->in->partition_index;
    }
    return true;
}

void broker_offsets_list(struct broker_request *r)
{
    const struct ferry_list_offsets_request *in = r->input;
    size_t topics = in->topics_count > 0 ? (size_t)in->topics_count : 0, rows = 0;
    struct lookups *all = broker_request_alloc(r, 1, sizeof *all);
    struct ferry_list_offsets_response_topic *out =
        ferry_msg_array(&ferry_list_offsets_response_topic_msg, &r->arena, topics);
    for (size_t i = 0; i < topics; i++)
        rows += (size_t)(in->topics[i].partitions_count > 0 ? in->topics[i].partitions_count : 0);
    bool ok = all && (out || !topics);
    if (ok) {
        ferry_list_offsets_response_init(&all->response);
        all->request = r;
        all->response.topics = out;
        all->response.topics_count = (int32_t)topics;
        all->rows = broker_request_alloc(r, rows, sizeof *all->rows);
        ok = all->rows || !rows;
    }
    for (size_t i = 0; ok && i < topics; i++)
        ok = add_lookups(all, &in->topics[i], &out[i]);
    if (ok)
        lookups_go_on(all);
    else
        broker_finish(r, true);
}

/* ---- OffsetForLeaderEpoch ---- */

static void epoch_end(struct broker_request *r, struct ferry_str topic,
                      const struct ferry_offset_for_leader_epoch_request_partition *in,
                      struct ferry_offset_for_leader_epoch_response_partition *out)
{
    struct broker_partition *p;
    int error = broker_partition_find(r->node, topic, NULL, in->partition, &p);
    if (!error)
        error = broker_partition_check_epoch(p, in->current_leader_epoch);
    out->partition = in->partition;
    out->error_code = (int16_t)error;
    out->leader_epoch = -1;
    out->end_offset = -1;
    if (error)
        return;
    if (in->leader_epoch ==
        broker_partition_epoch(p)) { /* the epoch under way ends where the log does */
        out->leader_epoch = in->leader_epoch;
        out->end_offset = p->log->high_watermark;
        return;
    }
    log_end_offset_for_epoch(p->log, in->leader_epoch, &out->leader_epoch, &out->end_offset);
}

void broker_offsets_for_epoch(struct broker_request *r)
{
    const struct ferry_offset_for_leader_epoch_request *in = r->input;
    size_t topics = in->topics_count > 0 ? (size_t)in->topics_count : 0;
    struct ferry_offset_for_leader_epoch_response out;
    ferry_offset_for_leader_epoch_response_init(&out);
    out.topics =
        ferry_msg_array(&ferry_offset_for_leader_epoch_response_topic_msg, &r->arena, topics);
    bool ok = out.topics || !topics;
    for (size_t i = 0; ok && i < topics; i++) {
        const struct ferry_offset_for_leader_epoch_request_topic *t = &in->topics[i];
        size_t n = t->partitions_count > 0 ? (size_t)t->partitions_count : 0;
        struct ferry_offset_for_leader_epoch_response_topic *to = &out.topics[out.topics_count++];
        to->topic = t->topic;
        to->partitions =
            ferry_msg_array(&ferry_offset_for_leader_epoch_response_partition_msg, &r->arena, n);
        ok = to->partitions || !n;
        for (size_t j = 0; ok && j < n; j++)
            epoch_end(r, t->topic, &t->partitions[j], &to->partitions[to->partitions_count++]);
    }
    if (ok)
        broker_reply(r, &out);
    else
        broker_finish(r, true);
}

/* ---- DeleteRecords ---- */

struct deletions {
    struct broker_request *request;
    struct ferry_delete_records_response response;
    uint32_t pending;
};

struct deletion {
    struct log_request cut;
    struct deletions *all;
    struct broker_partition *partition;
    struct log *log;
    struct ferry_delete_records_response_partition *out;
};

static void deletions_end(struct deletions *all)
{
    if (--all->pending == 0)
        broker_reply(all->request, &all->response);
}

static void on_cut(struct log_request *cut, int error)
{
    struct deletion *d = FERRY_CONTAINER(cut, struct deletion, cut);
    if (d->partition->log != d->log)
        error = FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    d->out->error_code = (int16_t)(error < -1 ? FERRY_KAFKA_KAFKA_STORAGE_ERROR : error);
    if (!error)
        d->out->low_watermark = d->log->start;
    deletions_end(d->all);
}

static void cut(struct deletion *d, struct ferry_str topic,
                const struct ferry_delete_records_request_partition *in)
{
    struct broker_node *n = d->all->request->node;
    d->out->partition_index = in->partition_index;
    d->out->low_watermark = -1;
    int error = broker_partition_find(n, topic, NULL, in->partition_index, &d->partition);
    if (!error && d->partition->topic->internal)
        error = FERRY_KAFKA_INVALID_TOPIC_EXCEPTION;
    if (!error && !(d->partition->topic->settings.cleanup & TOPIC_CLEANUP_DELETE) &&
        d->partition->topic->settings.cleanup)
        error = FERRY_KAFKA_POLICY_VIOLATION; /* as Kafka: only topics whose policy holds delete */
    if (error) {
        d->out->error_code = (int16_t)error;
        return;
    }
    d->log = d->partition->log;
    d->cut.done = on_cut;
    d->all->pending++;
    log_delete_before(d->log, &d->cut, in->offset == -1 ? d->log->high_watermark : in->offset);
}

void broker_offsets_delete_records(struct broker_request *r)
{
    const struct ferry_delete_records_request *in = r->input;
    size_t topics = in->topics_count > 0 ? (size_t)in->topics_count : 0;
    struct deletions *all = broker_request_alloc(r, 1, sizeof *all);
    struct ferry_delete_records_response_topic *out =
        ferry_msg_array(&ferry_delete_records_response_topic_msg, &r->arena, topics);
    if (!all || (!out && topics)) {
        broker_finish(r, true);
        return;
    }
    ferry_delete_records_response_init(&all->response);
    all->request = r;
    all->pending = 1;
    all->response.topics = out;
    all->response.topics_count = (int32_t)topics;
    for (size_t i = 0; i < topics; i++) {
        const struct ferry_delete_records_request_topic *t = &in->topics[i];
        size_t n = t->partitions_count > 0 ? (size_t)t->partitions_count : 0;
        struct deletion *cuts = broker_request_alloc(r, n, sizeof *cuts);
        out[i].name = t->name;
        out[i].partitions =
            ferry_msg_array(&ferry_delete_records_response_partition_msg, &r->arena, n);
        if (n && (!cuts || !out[i].partitions)) {
            all->response.topics_count = (int32_t)i;
            r->close_after = true;
            break;
        }
        out[i].partitions_count = (int32_t)n;
        for (size_t j = 0; j < n; j++) {
            cuts[j].all = all;
            cuts[j].out = &out[i].partitions[j];
            cut(&cuts[j], t->name, &t->partitions[j]);
        }
    }
    deletions_end(all);
}
