/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Produce: the received bytes go to the log as they are.
 *
 *  1. Each partition's batch is handed over as a view of the frame's slab, of which the log keeps a reference. The log
 *     says when it may be acknowledged: written, or where the flush policy is 1 on disk. With one replica that is also
 *     what acks=all waits for, for the high watermark moves before the log says so.
 *  2. The answer goes out when the last partition is decided. With acks=0 nothing goes out, and an error closes the
 *     connection.
 */
#include "config.h"

#include "base/check.h"
#include "ferry/kafka_errors.h"
#include "record/batch.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"

struct produce_part {
    struct log_append append;
    struct produce *produce;
    struct broker_partition *partition; /* NULL: refused */
    struct log *log;
    struct ferry_produce_response_partition_response *out;
};

struct produce {
    struct broker_request *request;
    struct ferry_produce_response response;
    uint32_t pending;
    bool failed;
};

static void end(struct produce *p)
{
    const struct ferry_produce_request *in = p->request->input;
    if (--p->pending)
        return;
    if (in->acks != 0)
        broker_reply(p->request, &p->response);
    else
        broker_finish(p->request, p->failed);
}

static void refuse(struct produce *p, struct ferry_produce_response_partition_response *out,
                   int error, const char *text)
{
    out->error_code = (int16_t)error;
    out->base_offset = -1;
    if (*text)
        out->error_message = ferry_str_of(text);
    p->failed = true;
}

static void on_appended(struct log_append *a, int error)
{
    struct produce_part *part = FERRY_CONTAINER(a, struct produce_part, append);
    struct produce *p = part->produce;
    struct ferry_produce_response_partition_response *out = part->out;
    bool deleted = part->partition->log != part->log;
    if (error) {
        if (deleted)
            error = FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        else if (error < -1)
            error = FERRY_KAFKA_KAFKA_STORAGE_ERROR;
        refuse(p, out, error, a->text);
        struct ferry_produce_response_record_error *bad;
        if (a->bad_index >= 0 && (bad = broker_request_alloc(p->request, 1, sizeof *bad))) {
            bad->batch_index = a->bad_index;
            bad->batch_index_error_message = ferry_str_of(a->text);
            out->record_errors = bad;
            out->record_errors_count = 1;
        }
    } else {
        struct broker_node *n = p->request->node;
        n->counts.produced_batches++;
        n->counts.duplicates += a->duplicate;
        out->base_offset = a->base_offset;
        out->log_append_time_ms = a->append_time;
        out->log_start_offset = deleted ? -1 : part->log->start;
    }
    end(p);
}

/* What the log does not check, for it depends on the request. */
static int check(const struct broker_request *r, const struct broker_partition *bp,
                 struct ferry_bytes records, const char **text)
{
    const struct ferry_produce_request *in = r->input;
    if (bp->topic->internal) {
        *text = "Internal topics are written by the broker alone.";
        return FERRY_KAFKA_INVALID_TOPIC_EXCEPTION;
    }
    if (in->acks < -1 || in->acks > 1)
        return FERRY_KAFKA_INVALID_REQUIRED_ACKS;
    if (records.len < FERRY_BATCH_CRC_FROM + 2)
        return 0;
    uint16_t attributes = ferry_get16(records.data + FERRY_BATCH_CRC_FROM);
    if ((attributes & FERRY_BATCH_CODEC_MASK) == 4 && r->version < 7) {
        *text = "zstd needs Produce version 7.";
        return FERRY_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    }
    if (attributes & FERRY_BATCH_TRANSACTIONAL) {
        *text = "This broker has no transactions.";
        return FERRY_KAFKA_INVALID_TXN_STATE;
    }
    return 0;
}

static void append(struct produce *p, struct produce_part *part, struct ferry_str topic,
                   const struct ferry_uuid *id,
                   const struct ferry_produce_request_partition_data *in)
{
    static const uint8_t nothing[1];
    struct broker_request *r = p->request;
    const char *text = "";
    int error = broker_partition_find(r->node, topic, id, in->index, &part->partition);
    if (!error)
        error = check(r, part->partition, in->records, &text);
    if (error) {
        refuse(p, part->out, error, text);
        return;
    }
    part->log = part->partition->log;
    part->append.done = on_appended;
    part->append.slab = r->slab;
    part->append.data = (uint8_t *)(uintptr_t)(in->records.data ? in->records.data : nothing);
    part->append.len = in->records.len;
    part->append.bad_index = -1;
    p->pending++;
    log_append_as_leader(part->log, &part->append, broker_partition_epoch(part->partition));
}

static size_t count_parts(const struct ferry_produce_request *in)
{
    size_t n = 0;
    for (int32_t i = 0; i < in->topic_data_count; i++)
        n += (size_t)(in->topic_data[i].partition_data_count > 0
                          ? in->topic_data[i].partition_data_count
                          : 0);
    return n;
}

static bool make_room(struct broker_request *r, struct produce *p, struct produce_part **parts)
{
    const struct ferry_produce_request *in = r->input;
    size_t topics = in->topic_data_count > 0 ? (size_t)in->topic_data_count : 0;
    *parts = broker_request_alloc(r, count_parts(in), sizeof **parts);
    p->response.responses =
        ferry_msg_array(&ferry_produce_response_response_msg, &r->arena, topics);
    if ((!*parts && count_parts(in)) || (!p->response.responses && topics))
        return false;
    for (size_t i = 0; i < topics; i++) {
        const struct ferry_produce_request_topic_data *t = &in->topic_data[i];
        struct ferry_produce_response_response *out = &p->response.responses[i];
        int32_t n = t->partition_data_count > 0 ? t->partition_data_count : 0;
        out->name = t->name;
        out->topic_id = t->topic_id;
        out->partition_responses =
            ferry_msg_array(&ferry_produce_response_partition_response_msg, &r->arena, (size_t)n);
        if (!out->partition_responses && n)
            return false;
        out->partition_responses_count = n;
    }
    p->response.responses_count = (int32_t)topics;
    return true;
}

void broker_produce_start(struct broker_request *r)
{
    const struct ferry_produce_request *in = r->input;
    struct produce *p = broker_request_alloc(r, 1, sizeof *p);
    struct produce_part *parts;
    if (p)
        ferry_produce_response_init(&p->response);
    if (!p || !make_room(r, p, &parts)) {
        broker_finish(r, true);
        return;
    }
    p->request = r;
    p->pending = 1; /* ours, until all are handed over */
    for (int32_t i = 0; i < in->topic_data_count; i++) {
        const struct ferry_produce_request_topic_data *t = &in->topic_data[i];
        for (int32_t j = 0; j < t->partition_data_count; j++, parts++) {
            parts->produce = p;
            parts->out = &p->response.responses[i].partition_responses[j];
            parts->out->index = t->partition_data[j].index;
            append(p, parts, r->version >= 13 ? (struct ferry_str){0} : t->name, &t->topic_id,
                   &t->partition_data[j]);
        }
    }
    end(p);
}
