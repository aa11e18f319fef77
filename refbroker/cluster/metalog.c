/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "refbroker/cluster/metalog.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "record/build.h"
#include "refbroker/node_state.h"
#include "wire/apis.h"
#include "wire/codec.h"

/* Kafka's own id of the topic. */
static const struct ferry_uuid topic_id = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
enum { BATCH_MAX = 64 << 20 };

void broker_metalog_init(struct broker_metalog *m)
{
    *m = (struct broker_metalog){0};
    ferry_list_init(&m->ops);
}

void broker_metalog_free(struct broker_metalog *m)
{
    ferry_writer_free(&m->records);
    ferry_writer_free(&m->value);
    ferry_slab_unref(m->append.slab);
}

static void fail_load(struct broker_node *n, int error, const char *what)
{
    broker_node_say(n, LOG_ERROR, "__cluster_metadata-0: %s", what);
    n->metalog.loaded(n, error);
}

static int on_batch(struct log_scan *scan, const struct ferry_batch *b)
{
    struct broker_node *n = FERRY_CONTAINER(scan, struct broker_node, metalog.scan);
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    struct ferry_error err;
    if (ferry_batch_is_control(b))
        return 0;
    int code = ferry_batch_codec(b) ? FERRY_E_UNSUPPORTED
                                    : ferry_batch_iter_init(&it, b, b->records, 0, INT64_MAX, &err);
    while (!code && (code = ferry_batch_iter_next(&it, &r, &err)) > 0)
        code = broker_image_apply(&n->image, r.value, r.offset, &err);
    if (code)
        broker_node_say(n, LOG_ERROR, "__cluster_metadata-0 at offset %lld: %s",
                        (long long)b->base_offset,
                        code == FERRY_E_UNSUPPORTED ? "a compressed batch" : err.text);
    return code;
}

static void on_scanned(struct log_scan *scan, int error)
{
    struct broker_node *n = FERRY_CONTAINER(scan, struct broker_node, metalog.scan);
    n->metalog.loaded(n, error);
}

static void on_open(struct log *log, void *cookie, int error)
{
    struct broker_node *n = cookie;
    struct broker_metalog *m = &n->metalog;
    if (error) {
        fail_load(n, error, "the log does not open");
        return;
    }
    log_set_high_watermark(log, log_stable_end(log));
    m->epoch = log_latest_epoch(log);
    m->scan = (struct log_scan){
        .from = log->start, .upto = log->end, .on_batch = on_batch, .done = on_scanned};
    if (log->start == log->end)
        m->loaded(n, 0);
    else if (log_scan(log, &m->scan))
        fail_load(n, FERRY_E_NOMEM, "no memory to read it");
}

static void on_moved(struct log *log, void *cookie)
{
    log_set_high_watermark(log, log_stable_end(log));
}

static const struct log_owner owner = {on_open, on_moved};

void broker_metalog_open(struct broker_node *n, void (*loaded)(struct broker_node *, int))
{
    struct log_config c;
    log_config_defaults(&c);
    c.flush_messages = 1;
    c.retention_ms = c.retention_bytes = -1;
    c.cleanup_delete = false;
    c.max_message_bytes = BATCH_MAX;
    n->metalog.loaded = loaded;
    n->metalog.log = log_open(&n->dir, "__cluster_metadata", 0, &topic_id, &c, &owner, n);
    if (!n->metalog.log)
        fail_load(n, FERRY_E_NOMEM, "no memory to open it");
}

static void on_appended(struct log_append *a, int error)
{
    struct broker_node *n = FERRY_CONTAINER(a, struct broker_node, metalog.append);
    FERRY_CHECK(n->metalog.state == METALOG_WRITING);
    n->metalog.state = METALOG_WRITTEN;
    n->metalog.result = error;
}

/* Sends m->records, which hold room for the header and count records, on its way. */
static int write_batch(struct broker_node *n, uint16_t attributes)
{
    struct broker_metalog *m = &n->metalog;
    size_t size = m->records.len;
    ferry_slab_unref(m->append.slab);
    m->append = (struct log_append){.done = on_appended, .flags = LOG_APPEND_INTERNAL};
    if (m->records.err || !(m->append.slab = ferry_slab_new(size)))
        return FERRY_KAFKA_UNKNOWN_SERVER_ERROR;
    m->append.data = m->append.slab->data;
    m->append.len = m->append.slab->len = size;
    memcpy(m->append.data, m->records.data, size);
    struct ferry_build_header h = {.base_timestamp = n->wall,
                                   .max_timestamp = n->wall,
                                   .producer_id = -1,
                                   .producer_epoch = -1,
                                   .base_sequence = -1,
                                   .leader_epoch = m->epoch,
                                   .last_offset_delta = m->count - 1,
                                   .count = m->count,
                                   .attributes = attributes};
    ferry_build_header(m->append.data, &h, size);
    ferry_build_crc(m->append.data, size);
    m->state = METALOG_WRITING;
    log_append_as_leader(m->log, &m->append, m->epoch);
    return 0;
}

static void begin_batch(struct broker_metalog *m)
{
    ferry_writer_reset(&m->records);
    ferry_writer_room(&m->records, FERRY_BATCH_HEADER);
    m->count = 0;
}

static int add_record(struct broker_metalog *m, struct ferry_bytes key, struct ferry_bytes value)
{
    struct ferry_build_record r = {.key = key, .value = value};
    size_t max = ferry_build_record_max(&r), at = m->records.len;
    uint8_t *p = ferry_writer_room(&m->records, max);
    if (!p)
        return FERRY_E_NOMEM;
    m->records.len = at + (size_t)(ferry_build_record(p, &r, 0, m->count++) - p);
    return 0;
}

int broker_metalog_add(struct broker_node *n, int number, int version, const void *record)
{
    struct broker_metalog *m = &n->metalog;
    struct ferry_error err;
    ferry_writer_reset(&m->value);
    ferry_writer_uvarint(&m->value, 1);
    ferry_writer_uvarint(&m->value, (uint32_t)number);
    ferry_writer_uvarint(&m->value, (uint32_t)version);
    int code = ferry_msg_encode(ferry_metadata_type_find(number), version, record, &m->value, &err);
    if (code) {
        broker_node_say(n, LOG_ERROR, "metadata record %d cannot be written: %s", number, err.text);
        return code;
    }
    return m->value.err ? m->value.err
                        : add_record(m, (struct ferry_bytes){0},
                                     (struct ferry_bytes){m->value.data, m->value.len});
}

void broker_metalog_begin_epoch(struct broker_node *n)
{
    struct broker_metalog *m = &n->metalog;
    int32_t id = n->config.now.node_id;
    static const uint8_t key[4] = {0, 0, 0, FERRY_CONTROL_LEADER_CHANGE};
    struct ferry_leader_change_message_voter voter = {.voter_id = id};
    struct ferry_leader_change_message change;
    struct ferry_error err;
    FERRY_CHECK(m->state == METALOG_IDLE);
    m->epoch = m->epoch < 0 ? 1 : m->epoch + 1;
    ferry_leader_change_message_init(&change);
    change.leader_id = id;
    change.voters = change.granting_voters = &voter;
    change.voters_count = change.granting_voters_count = 1;
    begin_batch(m);
    ferry_writer_reset(&m->value);
    int code = ferry_msg_encode(&ferry_leader_change_message_msg, 0, &change, &m->value, &err);
    if (!code)
        code = add_record(m, (struct ferry_bytes){key, sizeof key},
                          (struct ferry_bytes){m->value.data, m->value.len});
    if (!code)
        code = write_batch(n, FERRY_BATCH_CONTROL);
    if (code)
        broker_node_fail(n, "__cluster_metadata-0: the epoch cannot be opened (%d)", code);
}

void broker_metalog_submit(struct broker_node *n, struct metalog_op *op)
{
    ferry_list_push_back(&n->metalog.ops, &op->link);
}

bool broker_metalog_withdraw(struct broker_node *n, struct metalog_op *op)
{
    if (n->metalog.current == op)
        return false;
    ferry_list_remove(&op->link);
    return true;
}

/* The batch is on disk: the image follows. What we wrote ourselves must apply. */
static void apply_written(struct broker_node *n)
{
    struct broker_metalog *m = &n->metalog;
    struct ferry_batch b;
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    struct ferry_error err;
    int code = ferry_batch_parse(m->append.data, m->append.len, &b, &err);
    if (!code && !ferry_batch_is_control(&b)) {
        code = ferry_batch_iter_init(&it, &b, b.records, 0, INT64_MAX, &err);
        while (!code && (code = ferry_batch_iter_next(&it, &r, &err)) > 0)
            code = broker_image_apply(&n->image, r.value, r.offset, &err);
    }
    if (code)
        broker_node_fail(n, "__cluster_metadata-0: what was written does not apply: %s", err.text);
    else
        broker_partition_reconcile(n);
}

static void end_op(struct broker_node *n, struct metalog_op *op, int error)
{
    n->metalog.current = NULL;
    n->metalog.state = METALOG_IDLE;
    if (op)
        op->done(n, op, error);
}

bool broker_metalog_settle(struct broker_node *n)
{
    struct broker_metalog *m = &n->metalog;
    if (m->state == METALOG_WRITTEN) {
        if (!m->result)
            apply_written(n);
        else if (!m->current)
            broker_node_fail(n, "__cluster_metadata-0: the epoch cannot be opened (%d)", m->result);
        end_op(n, m->current, m->result);
        return true;
    }
    if (m->state != METALOG_IDLE || ferry_list_empty(&m->ops) || n->deleting ||
        n->phase < PHASE_EPOCH || n->phase > PHASE_SERVING)
        return false;
    struct metalog_op *op = FERRY_CONTAINER(ferry_list_pop_front(&m->ops), struct metalog_op, link);
    m->current = op;
    begin_batch(m);
    int code = op->prepare(n, op);
    if (code || m->count == 0 || (code = write_batch(n, 0)))
        end_op(n, op, code);
    return true;
}
