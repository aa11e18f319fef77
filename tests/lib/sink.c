/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/lib/sink.h"

#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "record/batch.h"
#include "record/compress.h"
#include "wire/codec.h"
#include "wire/frame.h"

#include <stdio.h>
#include <stdlib.h>

/* -- The broker ----------------------------------------------------------------------------------- */

static bool keep_records(struct sink *s, struct sink_partition *log, const struct ferry_batch *b)
{
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    struct ferry_slab *out = NULL;
    struct ferry_bytes records = b->records;
    if (ferry_batch_codec(b)) {
        struct ferry_codecs *codecs = ferry_codecs_new();
        if (ferry_decompress(codecs, ferry_batch_codec(b), records, 1 << 24, &out, NULL))
            s->bad++;
        ferry_codecs_free(codecs);
        records = (struct ferry_bytes){out->data, out->len};
    }
    if (ferry_batch_iter_init(&it, b, records, 0, INT64_MAX, NULL))
        return false;
    while (ferry_batch_iter_next(&it, &r, NULL) > 0) {
        if (r.value.len < 8 || log->end >= SINK_RECORDS)
            return false;
        memcpy(&log->cookies[log->end], r.value.data, 8);
        log->timestamps[log->end++] = r.timestamp;
    }
    ferry_slab_unref(out);
    return true;
}

static int16_t check_sequence(struct sink_partition *log, const struct ferry_batch *b,
                              int64_t *offset)
{
    int32_t last = b->base_sequence + b->count - 1;
    if (b->producer_id < 0)
        return 0;
    if (b->producer_id !=
        log->producer_id) { /* as Kafka: of a producer it knows nothing of, any sequence may be the first */
        log->producer_id = b->producer_id;
        log->epoch = b->producer_epoch;
        log->known_count = 0;
        return 0;
    }
    if (b->producer_epoch < log->epoch)
        return FERRY_KAFKA_INVALID_PRODUCER_EPOCH;
    if (b->producer_epoch > log->epoch) {
        if (b->base_sequence != 0)
            return FERRY_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
        log->epoch = b->producer_epoch;
        log->known_count = 0;
        return 0;
    }
    for (int i = 0; i < log->known_count; i++)
        if (log->known[i].first == b->base_sequence && log->known[i].last == last) {
            *offset = log->known[i].offset;
            log->duplicates++;
            return 0;
        }
    if (log->known_count && b->base_sequence != log->known[log->known_count - 1].last + 1) {
        log->gaps++;
        return FERRY_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    return 0;
}

static void append(struct sink *s, struct sink_partition *log, const struct ferry_batch *b,
                   struct sink_part *part)
{
    part->offset = -1;
    part->code = check_sequence(log, b, &part->offset);
    if (part->code || part->offset >= 0)
        return;
    part->offset = log->end;
    log->batches++;
    if (!keep_records(s, log, b))
        s->bad++;
    if (b->producer_id < 0)
        return;
    if (log->known_count == 5)
        memmove(log->known, log->known + 1, 4 * sizeof log->known[0]);
    else
        log->known_count++;
    log->known[log->known_count - 1] =
        (struct sink_known){b->base_sequence, b->base_sequence + b->count - 1, part->offset};
}

static void answer(struct sink *s, struct sink_pending *a)
{
    struct ferry_produce_response m;
    struct ferry_produce_response_response topics[SINK_PARTS];
    struct ferry_produce_response_partition_response parts[SINK_PARTS];
    struct puppet_conn *c = NULL;
    for (int i = 0; i < PUPPET_CONNS; i++)
        if (ferry_id_eq(s->puppet.conns[i].id, a->conn))
            c = &s->puppet.conns[i];
    if (!c)
        return;
    ferry_produce_response_init(&m);
    m.responses = topics;
    m.responses_count = a->count;
    m.throttle_time_ms = s->throttle_ms;
    for (int i = 0; i < a->count; i++) {
        ferry_produce_response_response_init(&topics[i]);
        ferry_produce_response_partition_response_init(&parts[i]);
        if (a->head.version >= 13)
            topics[i].topic_id = s->puppet.topics[a->parts[i].topic].id;
        else
            topics[i].name = ferry_str_of(s->puppet.topics[a->parts[i].topic].name);
        topics[i].partition_responses = &parts[i];
        topics[i].partition_responses_count = 1;
        parts[i].index = a->parts[i].index;
        parts[i].error_code = a->parts[i].code;
        parts[i].base_offset = a->parts[i].code ? -1 : a->parts[i].offset;
        if (s->log_append_time)
            parts[i].log_append_time_ms = s->log_append_time;
        if (a->parts[i].code && s->hint_leader >= 0 && a->head.version >= 10) {
            parts[i].current_leader.leader_id = s->hint_leader;
            parts[i].current_leader.leader_epoch = s->hint_epoch;
        }
    }
    puppet_answer(&s->puppet, c, &a->head, &m);
}

static int topic_of(struct sink *s, const struct ferry_produce_request_topic_data *t, int version)
{
    for (int i = 0; i < s->puppet.topic_count; i++)
        if (version >= 13 ? ferry_uuid_eq(&t->topic_id, &s->puppet.topics[i].id)
                          : ferry_str_eq(t->name, ferry_str_of(s->puppet.topics[i].name)))
            return i;
    return -1;
}

static void keep_late(struct sink *s, const struct sink_part *part, struct ferry_bytes records)
{
    struct sink_late *l = &s->late[s->late_count];
    uint8_t *copy = s->late_count < SINK_PENDING ? ferry_alloc(records.len) : NULL;
    if (!copy) {
        s->bad++;
        return;
    }
    memcpy(copy, records.data, records.len);
    *l = (struct sink_late){*part, copy, records.len};
    s->late_count++;
}

void sink_arrive(struct sink *s)
{
    for (int i = 0; i < s->late_count; i++) {
        struct sink_late *l = &s->late[i];
        struct ferry_batch b;
        if (ferry_batch_check_produced((struct ferry_bytes){l->data, l->len}, &b, NULL))
            s->bad++;
        else
            append(s, &s->log[l->part.topic][l->part.index], &b, &l->part);
        ferry_free(l->data);
    }
    s->late_count = 0;
}

/* Does to one partition's batch what fate says; its fate. */
static enum sink_fate take(struct sink *s, struct sink_part *part, struct ferry_bytes records)
{
    struct ferry_batch b;
    struct ferry_error err;
    if (ferry_batch_check_produced(records, &b, &err)) {
        fprintf(stderr, "# sink: %s\n", err.text);
        s->bad++;
        part->code = FERRY_KAFKA_CORRUPT_MESSAGE;
        return SINK_SERVE;
    }
    enum sink_fate fate = s->fate ? s->fate(s, part->topic, part->index, &b) : SINK_SERVE;
    if (fate == SINK_SERVE || fate == SINK_HOLD || fate == SINK_CUT_AFTER) {
        if (s->size_max && b.size > s->size_max)
            part->code = FERRY_KAFKA_MESSAGE_TOO_LARGE;
        else
            append(s, &s->log[part->topic][part->index], &b, part);
    } else if (fate == SINK_REFUSE) {
        part->code = s->code;
    } else if (fate == SINK_LATE) {
        keep_late(s, part, records);
    }
    return fate;
}

static bool on_produce(struct sink *s, struct puppet_conn *c, const struct ferry_request_head *head)
{
    struct ferry_arena arena;
    struct ferry_produce_request q;
    struct sink_pending a = {.conn = c->id, .head = *head};
    enum sink_fate fate = SINK_SERVE;
    int parts = 0;
    ferry_arena_init(&arena, 1 << 22);
    s->requests++;
    s->last_version = head->version;
    if (ferry_msg_decode(ferry_api_request(head->api), head->version, head->body,
                         FERRY_DECODE_WHOLE, &arena, &q, NULL))
        s->bad++;
    s->acks_seen[q.acks + 1]++;
    for (int32_t i = 0; i < q.topic_data_count; i++)
        for (int32_t k = 0; k < q.topic_data[i].partition_data_count && a.count < SINK_PARTS; k++) {
            struct sink_part *part = &a.parts[a.count];
            part->topic = topic_of(s, &q.topic_data[i], head->version);
            part->index = q.topic_data[i].partition_data[k].index;
            part->code = 0;
            parts++;
            if (part->topic < 0 || part->index >= SINK_PARTITIONS) {
                s->bad++;
                continue;
            }
            enum sink_fate f = take(s, part, q.topic_data[i].partition_data[k].records);
            fate = f > fate ? f : fate;
            a.count++;
        }
    s->parts_max = parts > s->parts_max ? parts : s->parts_max;
    bool wants_answer = q.acks != 0;
    ferry_arena_free(&arena);
    if (fate == SINK_CUT_BEFORE || fate == SINK_CUT_AFTER) {
        puppet_cut(&s->puppet, c, FERRY_E_TRANSPORT);
    } else if (fate == SINK_HOLD && s->pending_count < SINK_PENDING) {
        s->pending[s->pending_count++] = a;
        if (s->pending_count > s->pending_max)
            s->pending_max = s->pending_count;
    } else if (fate != SINK_SILENT && fate != SINK_LATE && wants_answer) {
        if (s->pending_count) /* answers keep their order */
            s->pending[s->pending_count++] = a;
        else
            answer(s, &a);
    }
    return true;
}

static bool on_id(struct sink *s, struct puppet_conn *c, const struct ferry_request_head *head)
{
    struct ferry_init_producer_id_response m;
    ferry_init_producer_id_response_init(&m);
    s->id_requests++;
    m.error_code = s->id_error;
    m.producer_id = s->id_error ? -1 : s->next_id++;
    m.producer_epoch = s->id_error ? -1 : s->next_epoch;
    puppet_answer(&s->puppet, c, head, &m);
    return true;
}

static bool handler(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                    const struct ferry_request_head *head)
{
    struct sink *s = (struct sink *)p;
    if (head->key == FERRY_API_PRODUCE)
        return on_produce(s, c, head);
    if (head->key == FERRY_API_INIT_PRODUCER_ID)
        return on_id(s, c, head);
    return false;
}

/* -- Beneath the sender --------------------------------------------------------------------------- */

static void no_lock(_Atomic uint32_t *word)
{
    if (atomic_exchange(word, 1))
        abort(); /* one thread: a lock that is taken twice is a mistake */
}

static void no_unlock(_Atomic uint32_t *word)
{
    atomic_store(word, 0);
}

static int64_t now(void *cookie)
{
    return ((struct sink *)cookie)->puppet.now;
}

static void wake(void *cookie, struct ferry_command *command, int64_t need_by)
{
    struct sink *s = cookie;
    s->commands[s->command_count++] = command;
}

static void take_report(struct sink *s, struct ferry_delivery *d)
{
    struct ferry_lot *lot = ferry_lot_of_delivery(d);
    struct ferry_sealed_record r;
    uint32_t n = 0;
    s->reports++;
    s->append_time = lot->log_append_time;
    while (ferry_sealed_iter_next(&lot->iter, &r)) {
        n++;
        if (r.cookie >= SINK_RECORDS) {
            s->bad++;
            continue;
        }
        s->reported[r.cookie]++;
        s->error[r.cookie] = lot->error;
        s->outcome[r.cookie] = lot->outcome;
        s->offset[r.cookie] = lot->base_offset < 0 ? -1 : lot->base_offset + r.index;
    }
    if (n != d->weight)
        s->bad++;
    ferry_lot_release(lot);
}

static void deliver(struct puppet *p, void *delivery)
{
    take_report((struct sink *)p, delivery);
}

static void late(void *cookie, struct ferry_delivery *d)
{
    take_report(cookie, d);
}

void sink_settle(struct sink *s)
{
    puppet_settle(&s->puppet);
    while (s->command_count && !s->puppet.dead) {
        void *commands[64];
        int n = s->command_count;
        memcpy(commands, s->commands, sizeof commands);
        s->command_count = 0;
        for (int i = 0; i < n; i++)
            puppet_event(&s->puppet,
                         (struct ferry_event){.type = FERRY_EV_COMMAND, .command = commands[i]});
        puppet_settle(&s->puppet);
    }
}

void sink_pass(struct sink *s, ferry_nsec t)
{
    sink_settle(s);
    puppet_pass(&s->puppet, t);
    sink_settle(s);
}

void sink_reveal(struct sink *s)
{
    static const char *const names[SINK_TOPICS] = {"t0", "t1", "t2"};
    s->puppet.topic_count = s->topic_count;
    for (int i = 0; i < s->topic_count; i++) {
        struct puppet_topic *t = &s->puppet.topics[i];
        t->name = names[i];
        t->id.b[0] = (uint8_t)(i + 1);
    }
}

void sink_init(struct sink *s, const char *settings, uint32_t flags, int topics, int32_t partitions)
{
    memset(s, 0, sizeof *s);
    puppet_init(&s->puppet, settings);
    s->puppet.handler = handler;
    s->puppet.deliver = deliver;
    s->next_id = 1000;
    s->hint_leader = -1;
    s->topic_count = topics;
    for (int i = 0; i < SINK_TOPICS; i++) {
        s->puppet.topics[i].partitions = partitions;
        for (int32_t k = 0; k < SINK_PARTITIONS; k++)
            s->log[i][k].producer_id = -1;
    }
    if (s->puppet.dead)
        return;
    const struct ferry_sender_hooks hooks = {no_lock, no_unlock, now, wake, late, s};
    s->sender = ferry_sender_new(s->puppet.client->config, flags, &hooks, NULL, s, NULL);
    if (!s->sender) {
        s->puppet.dead = FERRY_E_NOMEM;
        return;
    }
    wake(s, ferry_sender_start(s->sender), 0);
    for (int i = 0; i < topics; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        s->topics[i] = ferry_sender_topic_new(s->sender, ferry_str_of(name), NULL, NULL);
        if (!s->topics[i]) {
            s->puppet.dead = FERRY_E_NOMEM;
            return;
        }
        wake(s, &s->topics[i]->add, 0);
    }
}

void sink_end(struct sink *s)
{
    sink_settle(s);
    for (int i = 0; i < s->late_count; i++)
        ferry_free(s->late[i].data);
    puppet_end(&s->puppet);
    ferry_sender_free(s->sender);
}

int sink_send_record(struct sink *s, int topic, int32_t partition, struct ferry_accum_record *r)
{
    struct ferry_sender_place place;
    int rc = ferry_sender_append(s->topics[topic], partition, r, &place);
    if (!rc && place.lane && place.lane->partition != partition && partition >= 0)
        s->bad++;
    return rc;
}

int sink_send(struct sink *s, int topic, int32_t partition, uint64_t cookie)
{
    struct ferry_accum_record r = {.record = {.value = {(const uint8_t *)&cookie, 8}},
                                   .timestamp = 1700000000000 + s->puppet.now / FERRY_MS,
                                   .cookie = cookie,
                                   .sent_at = s->puppet.now,
                                   .expires_at = INT64_MAX};
    return sink_send_record(s, topic, partition, &r);
}

void sink_release(struct sink *s)
{
    struct sink_pending held[SINK_PENDING];
    int n = s->pending_count;
    memcpy(held, s->pending, sizeof held);
    s->pending_count = 0;
    for (int i = 0; i < n; i++)
        answer(s, &held[i]);
    sink_settle(s);
}

void sink_lose(struct sink *s)
{
    int n = s->pending_count;
    s->pending_count = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < PUPPET_CONNS; k++)
            if (s->puppet.conns[k].id.gen && ferry_id_eq(s->puppet.conns[k].id, s->pending[i].conn))
                puppet_cut(&s->puppet, &s->puppet.conns[k], FERRY_E_TRANSPORT);
    sink_settle(s);
}

bool sink_all_reported(struct sink *s, int n)
{
    for (int round = 0; round < 6000; round++) {
        int missing = 0;
        for (int i = 0; i < n; i++)
            missing += s->reported[i] == 0;
        if (!missing)
            return true;
        sink_pass(s, 10 * FERRY_MS);
        if (s->pending_count && ferry_prng_chance(&s->prng, 1, 2)) {
            if (ferry_prng_chance(&s->prng, 1, 2))
                sink_release(s);
            else
                sink_lose(s);
        }
    }
    return false;
}

int sink_copies(struct sink *s, uint64_t cookie)
{
    int copies = 0;
    for (int t = 0; t < SINK_TOPICS; t++)
        for (int p = 0; p < SINK_PARTITIONS; p++)
            for (int64_t i = 0; i < s->log[t][p].end; i++)
                copies += s->log[t][p].cookies[i] == cookie;
    return copies;
}

bool sink_exactly_once(struct sink *s, int n)
{
    static int copies[SINK_RECORDS];
    memset(copies, 0, sizeof copies);
    for (int t = 0; t < SINK_TOPICS; t++)
        for (int p = 0; p < SINK_PARTITIONS; p++)
            for (int64_t i = 0; i < s->log[t][p].end; i++) {
                struct sink_partition *log = &s->log[t][p];
                if (log->cookies[i] >= SINK_RECORDS ||
                    (i && log->cookies[i] <= log->cookies[i - 1])) {
                    fprintf(stderr, "# t%d [%d] offset %lld: %llu after %llu\n", t, p, (long long)i,
                            (unsigned long long)log->cookies[i],
                            (unsigned long long)log->cookies[i ? i - 1 : 0]);
                    return false;
                }
                copies[log->cookies[i]]++;
            }
    for (int i = 0; i < n; i++)
        if (copies[i] != 1 || s->reported[i] != 1 || s->outcome[i] != 2) {
            fprintf(stderr, "# %d: %d copies, %d reports, outcome %d error %d\n", i, copies[i],
                    s->reported[i], s->outcome[i], s->error[i]);
            return false;
        }
    return true;
}

enum sink_fate sink_hold(struct sink *s, int topic, int32_t partition, const struct ferry_batch *b)
{
    return SINK_HOLD;
}

enum sink_fate sink_late(struct sink *s, int topic, int32_t partition, const struct ferry_batch *b)
{
    return SINK_LATE;
}

enum sink_fate sink_refuse(struct sink *s, int topic, int32_t partition,
                           const struct ferry_batch *b)
{
    return SINK_REFUSE;
}

enum sink_fate sink_silent(struct sink *s, int topic, int32_t partition,
                           const struct ferry_batch *b)
{
    return SINK_SILENT;
}

enum sink_fate sink_random(struct sink *s, int topic, int32_t partition,
                           const struct ferry_batch *b)
{
    static const int16_t codes[] = {FERRY_KAFKA_NOT_LEADER_OR_FOLLOWER,
                                    FERRY_KAFKA_NOT_ENOUGH_REPLICAS, FERRY_KAFKA_REQUEST_TIMED_OUT,
                                    FERRY_KAFKA_KAFKA_STORAGE_ERROR, FERRY_KAFKA_CORRUPT_MESSAGE};
    if (!ferry_prng_chance(&s->prng, 1, (uint64_t)s->chance))
        return ferry_prng_chance(&s->prng, 1, 3) ? SINK_HOLD : SINK_SERVE;
    s->code = codes[ferry_prng_below(&s->prng, 5)];
    switch (ferry_prng_below(&s->prng, 3)) {
    case 0:
        return SINK_CUT_BEFORE;
    case 1:
        return SINK_CUT_AFTER;
    default:
        return SINK_REFUSE;
    }
}
