/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/lib/feed.h"

#include "base/mem.h"
#include "client/fetcher_buffer.h"
#include "client/group_data.h"
#include "ferry/kafka_errors.h"
#include "record/build.h"
#include "record/compress.h"
#include "wire/codec.h"

#include <stdio.h>
#include <stdlib.h>

static struct feed *feed_of(struct puppet *p)
{
    return (struct feed *)p;
}

static int topic_named(const struct feed *f, struct ferry_str name)
{
    for (int t = 0; t < f->p.topic_count; t++)
        if (ferry_str_eq(name, ferry_str_of(f->p.topics[t].name)))
            return t;
    return -1;
}

static int topic_by_id(const struct feed *f, const struct ferry_uuid *id)
{
    for (int t = 0; t < f->p.topic_count; t++)
        if (ferry_uuid_eq(id, &f->p.topics[t].id))
            return t;
    return -1;
}

/* ---- logs ---- */

static void append_bytes(struct feed_log *log, const void *bytes, size_t len, int64_t end)
{
    log->bytes = realloc(log->bytes, log->len + len);
    if (!log->bytes)
        abort();
    memcpy(log->bytes + log->len, bytes, len);
    log->len += len;
    log->end = end;
}

static void append(struct feed *f, int t, int p, int count, int codec, int64_t producer_id)
{
    struct feed_log *log = &f->logs[t][p];
    uint8_t *batch = malloc(FERRY_BATCH_HEADER + (size_t)count * 128),
            *at = batch + FERRY_BATCH_HEADER;
    struct ferry_slab *packed = NULL;
    if (!batch)
        abort();
    if (ferry_codec_available(codec, NULL))
        codec = FERRY_CODEC_NONE;
    for (int i = 0; i < count; i++) {
        char value[32];
        int n = snprintf(value, sizeof value, "v%lld", (long long)(log->end + i));
        struct ferry_build_record r = {.key = {(const uint8_t *)"k", 1},
                                       .value = {(const uint8_t *)value, (size_t)n}};
        at = ferry_build_record(at, &r, i, i);
    }
    size_t size = (size_t)(at - batch);
    if (codec) {
        struct ferry_codecs *codecs = ferry_codecs_new();
        struct ferry_bytes records = {batch + FERRY_BATCH_HEADER, size - FERRY_BATCH_HEADER};
        if (ferry_compress(codecs, codec, FERRY_CODEC_LEVEL_DEFAULT, &records, 1, &packed, NULL))
            abort();
        ferry_codecs_free(codecs);
        size = FERRY_BATCH_HEADER + packed->len;
        batch = realloc(batch, size);
        if (!batch)
            abort();
        memcpy(batch + FERRY_BATCH_HEADER, packed->data, packed->len);
        ferry_slab_unref(packed);
    }
    struct ferry_build_header h = {
        .base_offset = log->end,
        .base_timestamp = 1000,
        .max_timestamp = 1000 + count - 1,
        .producer_id = producer_id,
        .producer_epoch = producer_id < 0 ? -1 : 0,
        .base_sequence = producer_id < 0 ? -1 : 0,
        .leader_epoch = 1,
        .last_offset_delta = count - 1,
        .count = count,
        .attributes = (uint16_t)(codec | (producer_id < 0 ? 0 : FERRY_BATCH_TRANSACTIONAL))};
    ferry_build_header(batch, &h, size);
    ferry_build_crc(batch, size);
    append_bytes(log, batch, size, log->end + count);
    free(batch);
}

void feed_append(struct feed *f, int t, int p, int count, int codec)
{
    append(f, t, p, count, codec, -1);
}

void feed_append_txn(struct feed *f, int t, int p, int count, int64_t producer_id)
{
    append(f, t, p, count, 0, producer_id);
}

void feed_marker(struct feed *f, int t, int p, int64_t producer_id, bool commit)
{
    struct feed_log *log = &f->logs[t][p];
    uint8_t batch[FERRY_BUILD_MARKER_SIZE];
    ferry_build_marker(batch, commit ? FERRY_CONTROL_COMMIT : FERRY_CONTROL_ABORT, producer_id, 0,
                       0, 1000);
    ferry_batch_patch_offset(batch, log->end);
    append_bytes(log, batch, sizeof batch, log->end + 1);
}

/* The batches from the one that has `offset` on. */
static struct ferry_bytes read_log(const struct feed *f, const struct feed_log *log, int64_t offset)
{
    struct ferry_batch_set set;
    struct ferry_batch b;
    const uint8_t *from = NULL, *to = NULL;
    ferry_batch_set_init(&set, (struct ferry_bytes){log->bytes, log->len});
    while (ferry_batch_set_next(&set, &b, NULL) > 0) {
        if (b.last_offset < offset)
            continue;
        if (from && (size_t)(b.data + b.size - from) > f->fetch_bytes)
            break;
        from = from ? from : b.data;
        to = b.data + b.size;
    }
    return (struct ferry_bytes){from, (size_t)(to - from)};
}

/* ---- Fetch ---- */

static int node_index(const struct feed *f, const struct puppet_conn *c)
{
    for (int n = 0; n < f->p.node_count; n++)
        if (!memcmp(c->addr.ip, puppet_addr(n).ip, 4))
            return n;
    return 0;
}

static void merge_session(struct feed *f, struct feed_session *s,
                          const struct ferry_fetch_request *q, int version)
{
    f->last_asked = f->last_forgotten = 0;
    if (q->session_epoch <= 0)
        memset(s->in, 0, sizeof s->in);
    for (int32_t i = 0; i < q->topics_count; i++) {
        int t = version > 12 ? topic_by_id(f, &q->topics[i].topic_id)
                             : topic_named(f, q->topics[i].topic);
        for (int32_t k = 0; t >= 0 && k < q->topics[i].partitions_count; k++) {
            s->in[t][q->topics[i].partitions[k].partition] = true;
            s->offset[t][q->topics[i].partitions[k].partition] =
                q->topics[i].partitions[k].fetch_offset;
            f->last_bytes = q->topics[i].partitions[k].partition_max_bytes;
            f->first_bytes = f->first_bytes ? f->first_bytes : f->last_bytes;
            f->last_asked++;
        }
    }
    for (int32_t i = 0; i < q->forgotten_topics_data_count; i++) {
        const struct ferry_fetch_request_forgotten_topic *x = &q->forgotten_topics_data[i];
        int t = version > 12 ? topic_by_id(f, &x->topic_id) : topic_named(f, x->topic);
        for (int32_t k = 0; t >= 0 && k < x->partitions_count; k++) {
            s->in[t][x->partitions[k]] = false;
            f->last_forgotten++;
        }
    }
}

static void fill_part(struct feed *f, int t, int p, int64_t offset,
                      struct ferry_fetch_response_partition *r,
                      struct ferry_fetch_response_aborted_transaction *aborted)
{
    struct feed_log *log = &f->logs[t][p];
    ferry_fetch_response_partition_init(r);
    r->partition_index = p;
    r->high_watermark = log->end;
    r->last_stable_offset = log->stable >= 0 ? log->stable : log->end;
    r->log_start_offset = log->start;
    r->records = (struct ferry_bytes){(const uint8_t *)"", 0};
    if (log->errors) {
        log->errors -= log->errors > 0;
        r->error_code = log->error;
    } else if (offset < log->start || offset > log->end) {
        r->error_code = FERRY_KAFKA_OFFSET_OUT_OF_RANGE;
    } else if (log->diverged >= 0) {
        r->diverging_epoch.epoch = 1;
        r->diverging_epoch.end_offset = log->diverged;
        log->diverged = -1;
    } else if (log->replica >= 0) {
        r->preferred_read_replica = log->replica;
        log->replica = -1;
    } else {
        struct ferry_bytes b = read_log(f, log, offset);
        r->records = b.data ? b : r->records;
        for (int i = 0; i < log->aborted_count; i++)
            aborted[i] = (struct ferry_fetch_response_aborted_transaction){
                .producer_id = log->aborted[i].producer_id, .first_offset = log->aborted[i].first};
        r->aborted_transactions = aborted;
        r->aborted_transactions_count = log->aborted_count;
    }
}

/* True if a partition of the session has something to say. */
static bool has_news(const struct feed *f, const struct feed_session *s, int t, int p)
{
    const struct feed_log *log = &f->logs[t][p];
    return s->in[t][p] && (log->errors || log->diverged >= 0 || log->replica >= 0 ||
                           s->offset[t][p] < log->start || s->offset[t][p] != log->end);
}

static void answer_fetch(struct feed *f, int node, struct puppet_conn *c,
                         const struct ferry_request_head *head)
{
    static struct ferry_fetch_response_partition parts[PUPPET_TOPICS][FEED_PARTS];
    static struct ferry_fetch_response_aborted_transaction aborted[PUPPET_TOPICS][FEED_PARTS]
                                                                  [FEED_ABORTED];
    struct ferry_fetch_response_response topics[PUPPET_TOPICS];
    struct feed_session *s = &f->sessions[node];
    struct ferry_fetch_response m;
    bool all = s->epoch <= 0 || s->id == 0;
    ferry_fetch_response_init(&m);
    m.session_id = s->id;
    m.responses = topics;
    m.responses_count = 0;
    for (int t = 0; t < f->p.topic_count; t++) {
        struct ferry_fetch_response_response *r = &topics[m.responses_count];
        ferry_fetch_response_response_init(r);
        r->topic = ferry_str_of(f->p.topics[t].name);
        r->topic_id = f->p.topics[t].id;
        if (head->version > 12)
            r->topic = (struct ferry_str){"", 0};
        r->partitions = parts[t];
        r->partitions_count = 0;
        for (int p = 0; p < FEED_PARTS; p++)
            if (s->in[t][p] && (all || has_news(f, s, t, p)) && !(f->silent_once && p == 1))
                fill_part(f, t, p, s->offset[t][p], &parts[t][r->partitions_count++],
                          aborted[t][p]);
        m.responses_count += r->partitions_count > 0;
    }
    f->silent_once = false;
    if (f->fetch_error) {
        m.error_code = f->fetch_error;
        m.responses_count = 0;
        m.session_id = 0;
        f->fetch_error = 0;
        s->id = 0;
    }
    puppet_answer(&f->p, c, head, &m);
}

static bool on_fetch(struct feed *f, struct puppet_conn *c, const struct ferry_request_head *head)
{
    struct ferry_arena arena = {.limit = 1 << 20};
    struct ferry_fetch_request q;
    int node = node_index(f, c);
    struct feed_session *s = &f->sessions[node];
    bool news = f->fetch_error != 0;
    if (ferry_msg_decode(ferry_api_request(head->api), head->version, head->body, 0, &arena, &q,
                         NULL))
        abort();
    f->fetches++;
    if (getenv("PUPPET_LOG"))
        printf("# fetch at %lld epoch %d topics %d forgotten %d wait %d\n",
               (long long)(f->p.now / FERRY_MS), q.session_epoch, q.topics_count,
               q.forgotten_topics_data_count, q.max_wait_ms);
    f->last_version = head->version;
    f->last_epoch = q.session_epoch;
    f->last_wait = q.max_wait_ms;
    f->last_min = q.min_bytes;
    f->last_max = q.max_bytes;
    f->last_isolation = q.isolation_level;
    snprintf(f->last_rack, sizeof f->last_rack, "%.*s", (int)q.rack_id.len,
             q.rack_id.data ? q.rack_id.data : "");
    if (head->version < 7)
        q.session_epoch = -1;
    if (q.session_epoch == 0 && !f->no_sessions)
        s->id = 100 + f->fetches;
    else if (q.session_epoch <= 0)
        s->id = 0;
    else if (q.session_id != s->id || q.session_epoch != s->epoch + 1) {
        f->fetch_error = q.session_id != s->id ? FERRY_KAFKA_FETCH_SESSION_ID_NOT_FOUND
                                               : FERRY_KAFKA_INVALID_FETCH_SESSION_EPOCH;
        news = true;
    }
    s->epoch = q.session_epoch;
    merge_session(f, s, &q, head->version);
    ferry_arena_free(&arena);
    for (int t = 0; t < f->p.topic_count; t++)
        for (int p = 0; p < FEED_PARTS; p++)
            news |= has_news(f, s, t, p);
    if (news && !f->park_always) {
        answer_fetch(f, node, c, head);
        return true;
    }
    f->parked[node].conn = c;
    f->parked[node].head = *head;
    f->parked[node].until = f->park_always ? FERRY_NEVER : f->p.now + f->last_wait * FERRY_MS;
    return true;
}

static void release(struct feed *f, ferry_nsec now)
{
    for (int n = 0; n < f->p.node_count; n++) {
        struct puppet_conn *c = f->parked[n].conn;
        if (f->parked[n].until > now)
            continue;
        f->parked[n].conn = NULL;
        if (c && c->open)
            answer_fetch(f, n, c, &f->parked[n].head);
    }
    feed_pump(f);
}

void feed_release(struct feed *f)
{
    release(f, FERRY_NEVER);
}

/* ---- offsets ---- */

static bool on_list_offsets(struct feed *f, struct puppet_conn *c,
                            const struct ferry_request_head *head)
{
    struct ferry_arena arena = {.limit = 1 << 20};
    struct ferry_list_offsets_request q;
    struct ferry_list_offsets_response m;
    if (ferry_msg_decode(ferry_api_request(head->api), head->version, head->body, 0, &arena, &q,
                         NULL))
        abort();
    f->list_offsets++;
    ferry_list_offsets_response_init(&m);
    m.topics = ferry_arena_array(&arena, (size_t)q.topics_count, sizeof *m.topics);
    for (int32_t i = 0; i < q.topics_count; i++) {
        struct ferry_list_offsets_response_topic *to = &m.topics[m.topics_count++];
        int t = topic_named(f, q.topics[i].name);
        ferry_list_offsets_response_topic_init(to);
        to->name = q.topics[i].name;
        to->partitions =
            ferry_arena_array(&arena, (size_t)q.topics[i].partitions_count, sizeof *to->partitions);
        for (int32_t k = 0; k < q.topics[i].partitions_count; k++) {
            const struct ferry_list_offsets_request_partition *p = &q.topics[i].partitions[k];
            struct ferry_list_offsets_response_partition *r =
                &to->partitions[to->partitions_count++];
            struct feed_log *log = &f->logs[t][p->partition_index];
            ferry_list_offsets_response_partition_init(r);
            r->partition_index = p->partition_index;
            r->timestamp = p->timestamp >= 0 ? p->timestamp : -1;
            r->offset = p->timestamp == -2         ? log->start
                        : p->timestamp == -1       ? log->end
                        : p->timestamp >= log->end ? -1
                                                   : p->timestamp;
        }
    }
    puppet_answer(&f->p, c, head, &m);
    ferry_arena_free(&arena);
    return true;
}

static bool on_offset_fetch(struct feed *f, struct puppet_conn *c,
                            const struct ferry_request_head *head)
{
    struct ferry_arena arena = {.limit = 1 << 20};
    struct ferry_offset_fetch_request q;
    struct ferry_offset_fetch_response m;
    struct ferry_offset_fetch_response_group g;
    if (ferry_msg_decode(ferry_api_request(head->api), head->version, head->body, 0, &arena, &q,
                         NULL))
        abort();
    f->offset_fetches++;
    ferry_offset_fetch_response_init(&m);
    ferry_offset_fetch_response_group_init(&g);
    bool old = head->version < 8;
    int32_t topics = old ? q.topics_count : q.groups[0].topics_count;
    m.topics = ferry_arena_array(&arena, (size_t)topics + 1, sizeof *m.topics);
    g.topics = ferry_arena_array(&arena, (size_t)topics + 1, sizeof *g.topics);
    for (int32_t i = 0; i < topics; i++) {
        struct ferry_str name = old ? q.topics[i].name : q.groups[0].topics[i].name;
        int32_t n = old ? q.topics[i].partition_indexes_count
                        : q.groups[0].topics[i].partition_indexes_count;
        const int32_t *parts =
            old ? q.topics[i].partition_indexes : q.groups[0].topics[i].partition_indexes;
        int t = topic_named(f, name);
        ferry_offset_fetch_response_topic_init(&m.topics[i]);
        ferry_offset_fetch_response_group_topic_init(&g.topics[i]);
        m.topics[i].name = g.topics[i].name = name;
        m.topics[i].partitions =
            ferry_arena_array(&arena, (size_t)n + 1, sizeof *m.topics[i].partitions);
        g.topics[i].partitions =
            ferry_arena_array(&arena, (size_t)n + 1, sizeof *g.topics[i].partitions);
        for (int32_t k = 0; k < n; k++) {
            ferry_offset_fetch_response_partition_init(&m.topics[i].partitions[k]);
            ferry_offset_fetch_response_group_topic_partition_init(&g.topics[i].partitions[k]);
            m.topics[i].partitions[k].partition_index = g.topics[i].partitions[k].partition_index =
                parts[k];
            m.topics[i].partitions[k].committed_offset =
                g.topics[i].partitions[k].committed_offset = f->logs[t][parts[k]].committed;
            m.topics[i].partitions[k].metadata = g.topics[i].partitions[k].metadata = FERRY_STR("");
        }
        m.topics[i].partitions_count = g.topics[i].partitions_count = n;
    }
    if (old) {
        m.topics_count = topics;
        m.error_code = head->version >= 2 ? f->fetch_offsets_error : 0;
    } else {
        g.group_id = q.groups[0].group_id;
        g.topics_count = topics;
        g.error_code = f->fetch_offsets_error;
        m.groups = &g;
        m.groups_count = 1;
    }
    f->fetch_offsets_error = 0;
    puppet_answer(&f->p, c, head, &m);
    ferry_arena_free(&arena);
    return true;
}

static bool on_commit(struct feed *f, struct puppet_conn *c, const struct ferry_request_head *head)
{
    struct ferry_arena arena = {.limit = 1 << 20};
    struct ferry_offset_commit_request q;
    struct ferry_offset_commit_response m;
    if (ferry_msg_decode(ferry_api_request(head->api), head->version, head->body, 0, &arena, &q,
                         NULL))
        abort();
    f->commits++;
    ferry_offset_commit_response_init(&m);
    m.topics = ferry_arena_array(&arena, (size_t)q.topics_count + 1, sizeof *m.topics);
    int16_t error = f->commit_error;
    f->commit_error = 0;
    if (!error && q.generation_id_or_member_epoch >= 0 &&
        q.generation_id_or_member_epoch != f->generation)
        error = FERRY_KAFKA_ILLEGAL_GENERATION;
    for (int32_t i = 0; i < q.topics_count; i++) {
        struct ferry_offset_commit_response_topic *to = &m.topics[m.topics_count++];
        int t = topic_named(f, q.topics[i].name);
        ferry_offset_commit_response_topic_init(to);
        to->name = q.topics[i].name;
        to->partitions = ferry_arena_array(&arena, (size_t)q.topics[i].partitions_count + 1,
                                           sizeof *to->partitions);
        for (int32_t k = 0; k < q.topics[i].partitions_count; k++) {
            const struct ferry_offset_commit_request_partition *p = &q.topics[i].partitions[k];
            ferry_offset_commit_response_partition_init(&to->partitions[k]);
            to->partitions[k].partition_index = p->partition_index;
            to->partitions[k].error_code = error;
            if (!error) {
                f->logs[t][p->partition_index].committed = p->committed_offset;
                f->commit_seen[f->commit_count++ % 64] = p->committed_offset;
            }
        }
        to->partitions_count = q.topics[i].partitions_count;
    }
    puppet_answer(&f->p, c, head, &m);
    ferry_arena_free(&arena);
    return true;
}

/* ---- the group ---- */

static void answer_join(struct feed *f, struct puppet_conn *c,
                        const struct ferry_request_head *head)
{
    struct ferry_join_group_response m;
    struct ferry_join_group_response_member member;
    ferry_join_group_response_init(&m);
    ferry_join_group_response_member_init(&member);
    m.member_id = ferry_str_of(f->member);
    m.leader = f->lead ? m.member_id : FERRY_STR("other");
    m.protocol_name = ferry_str_of(f->protocol);
    if (head->version >= 7)
        m.protocol_type = FERRY_STR("consumer");
    m.generation_id = ++f->generation;
    if (f->lead) {
        member.member_id = m.member_id;
        member.metadata = f->subscription;
        m.members = &member;
        m.members_count = 1;
    }
    puppet_answer(&f->p, c, head, &m);
}

static bool on_join(struct feed *f, struct puppet_conn *c, const struct ferry_request_head *head)
{
    struct ferry_arena arena = {.limit = 1 << 20};
    struct ferry_join_group_request q;
    struct ferry_join_group_response m;
    if (ferry_msg_decode(ferry_api_request(head->api), head->version, head->body, 0, &arena, &q,
                         NULL))
        abort();
    f->joins++;
    ferry_join_group_response_init(&m);
    m.leader = m.member_id = m.protocol_name = FERRY_STR("");
    free((void *)f->subscription.data);
    f->subscription.data = malloc(q.protocols[0].metadata.len + 1);
    f->subscription.len = q.protocols[0].metadata.len;
    memcpy((void *)f->subscription.data, q.protocols[0].metadata.data, f->subscription.len);
    snprintf(f->protocol, sizeof f->protocol, "%.*s", (int)q.protocols[0].name.len,
             q.protocols[0].name.data);
    bool first = q.member_id.len == 0;
    if (first)
        snprintf(f->member, sizeof f->member, "member-%d", f->joins);
    ferry_arena_free(&arena);
    if (f->join_error) {
        m.error_code = f->join_error;
        f->join_error = 0;
        puppet_answer(&f->p, c, head, &m);
    } else if (first && f->need_member_id && head->version >= 4) {
        m.error_code = FERRY_KAFKA_MEMBER_ID_REQUIRED;
        m.member_id = ferry_str_of(f->member);
        puppet_answer(&f->p, c, head, &m);
    } else if (f->hold_join) {
        f->held_join.conn = c;
        f->held_join.head = *head;
    } else {
        answer_join(f, c, head);
    }
    return true;
}

/* The scripted assignment as bytes; or the one that the leader sent. */
static bool on_sync(struct feed *f, struct puppet_conn *c, const struct ferry_request_head *head)
{
    struct ferry_arena arena = {.limit = 1 << 20};
    struct ferry_sync_group_request q;
    struct ferry_sync_group_response m;
    struct ferry_writer w = {0};
    if (ferry_msg_decode(ferry_api_request(head->api), head->version, head->body, 0, &arena, &q,
                         NULL))
        abort();
    f->syncs++;
    ferry_sync_group_response_init(&m);
    m.error_code = f->sync_error;
    f->sync_error = 0;
    if (f->lead && q.assignments_count > 0 && !f->assignment) {
        m.assignment = q.assignments[0].assignment;
    } else {
        struct ferry_partition_list *list = feed_list(f->assignment ? f->assignment : "");
        struct ferry_consumer_protocol_assignment a;
        ferry_consumer_protocol_assignment_init(&a);
        a.assigned_partitions =
            ferry_arena_array(&arena, list->count + 1, sizeof *a.assigned_partitions);
        for (size_t i = 0; i < list->count; i++) {
            struct ferry_consumer_protocol_assignment_assigned_partition *x =
                &a.assigned_partitions[a.assigned_partitions_count++];
            x->topic = ferry_str_of(list->items[i].topic);
            x->partitions = &list->items[i].partition;
            x->partitions_count = 1;
        }
        ferry_writer_u16(&w, 1);
        if (ferry_msg_encode(&ferry_consumer_protocol_assignment_msg, 1, &a, &w, NULL))
            abort();
        m.assignment = (struct ferry_bytes){w.data, w.len};
        if (m.error_code)
            m.assignment.len = 0;
        ferry_partition_list_free(list);
        puppet_answer(&f->p, c, head, &m);
        ferry_writer_free(&w);
        ferry_arena_free(&arena);
        return true;
    }
    puppet_answer(&f->p, c, head, &m);
    ferry_arena_free(&arena);
    return true;
}

static bool on_beat(struct feed *f, struct puppet_conn *c, const struct ferry_request_head *head)
{
    struct ferry_heartbeat_response m;
    ferry_heartbeat_response_init(&m);
    f->beats++;
    m.error_code = f->beat_error;
    f->beat_error = 0;
    puppet_answer(&f->p, c, head, &m);
    return true;
}

static bool on_leave(struct feed *f, struct puppet_conn *c, const struct ferry_request_head *head)
{
    struct ferry_leave_group_response m;
    ferry_leave_group_response_init(&m);
    f->leaves++;
    puppet_answer(&f->p, c, head, &m);
    return true;
}

static bool serve(struct feed *f, struct puppet_conn *c, const struct ferry_request_head *head)
{
    switch (head->key) {
    case FERRY_API_FETCH:
        return on_fetch(f, c, head);
    case FERRY_API_LIST_OFFSETS:
        return on_list_offsets(f, c, head);
    case FERRY_API_OFFSET_FETCH:
        return on_offset_fetch(f, c, head);
    case FERRY_API_OFFSET_COMMIT:
        return on_commit(f, c, head);
    case FERRY_API_JOIN_GROUP:
        return on_join(f, c, head);
    case FERRY_API_SYNC_GROUP:
        return on_sync(f, c, head);
    case FERRY_API_HEARTBEAT:
        return on_beat(f, c, head);
    case FERRY_API_LEAVE_GROUP:
        return on_leave(f, c, head);
    default:
        return false;
    }
}

/* The cluster does not run out of memory when the test makes the client do so. */
static bool handle(struct puppet *p, struct puppet_conn *c, struct puppet_node *n,
                   const struct ferry_request_head *head)
{
    uint64_t left = ferry_mem_fail_left();
    (void)n;
    ferry_mem_fail_after(0);
    bool served = serve(feed_of(p), c, head);
    ferry_mem_fail_after(left);
    return served;
}

/* ---- the consumer ---- */

static void post(void *cookie, struct ferry_command *command)
{
    struct feed *f = cookie;
    if (f->p.dead) { /* an engine without memory runs nothing any more */
        ferry_consumer_command_drop(command);
        return;
    }
    puppet_event(&f->p, (struct ferry_event){.type = FERRY_EV_COMMAND, .command = command});
}

static const struct ferry_consumer_host host = {post};

void feed_init(struct feed *f, const char *settings, int32_t partitions)
{
    memset(f, 0, sizeof *f);
    puppet_init(&f->p, settings);
    f->p.handler = handle;
    f->p.topics[f->p.topic_count++] =
        (struct puppet_topic){.name = "t", .partitions = partitions, .id = {{7}}};
    for (int p = 0; p < FEED_PARTS; p++)
        f->p.topics[0].epoch[p] = 1;
    for (int t = 0; t < PUPPET_TOPICS; t++)
        for (int p = 0; p < FEED_PARTS; p++)
            f->logs[t][p].stable = f->logs[t][p].committed = f->logs[t][p].replica =
                f->logs[t][p].diverged = -1;
    f->max = 100;
    f->auto_answer = true;
    if (!f->p.dead)
        f->app = ferry_consumer_app_new(f->p.client->settings, &host, f, NULL);
}

static void close_client(struct ferry_client *client, void *arg)
{
    (void)arg;
    ferry_client_close(client);
}

void feed_end(struct feed *f)
{
    if (f->question)
        f->question->delivery.drop(&f->question->delivery);
    ferry_consumer_call_free(f->done);
    f->done = NULL;
    if (f->p.client)
        puppet_do(&f->p, close_client, NULL);
    for (int i = 0; i < f->p.delivery_count; i++)
        ((struct ferry_delivery *)f->p.deliveries[i])->drop(f->p.deliveries[i]);
    f->p.delivery_count = 0;
    struct ferry_consumer_app *app = f->app;
    puppet_end(&f->p);
    ferry_consumer_app_free(app);
    for (int t = 0; t < PUPPET_TOPICS; t++)
        for (int p = 0; p < FEED_PARTS; p++)
            free(f->logs[t][p].bytes);
    free((void *)f->subscription.data);
}

static void note_question(struct feed *f, struct ferry_rebalance *r)
{
    f->questions++;
    f->assigned += r->kind == FERRY_REBALANCE_ASSIGNED;
    f->revoked += r->kind == FERRY_REBALANCE_REVOKED;
    f->lost += r->kind == FERRY_REBALANCE_LOST;
    f->question_list[0] = 0;
    for (size_t i = 0; i < r->list->count; i++)
        snprintf(f->question_list + strlen(f->question_list),
                 sizeof f->question_list - strlen(f->question_list), "%s%s:%d", i ? " " : "",
                 r->list->items[i].topic, (int)r->list->items[i].partition);
}

void feed_pump(struct feed *f)
{
    puppet_settle(&f->p);
    while (f->p.delivery_count > 0) {
        struct ferry_delivery *d = f->p.deliveries[0];
        f->p.delivery_count--;
        memmove(f->p.deliveries, f->p.deliveries + 1,
                (size_t)f->p.delivery_count * sizeof f->p.deliveries[0]);
        d = ferry_consumer_app_receive(f->app, d);
        if (d && d->type == FERRY_CONSUMER_QUESTION) {
            struct ferry_rebalance *r = FERRY_CONTAINER(d, struct ferry_rebalance, delivery);
            note_question(f, r);
            if (f->auto_answer)
                ferry_consumer_app_answer(f->app, r, NULL, NULL);
            else
                f->question = r;
        } else if (d) {
            ferry_consumer_call_free(f->done);
            f->done = FERRY_CONTAINER(d, struct ferry_consumer_call, done);
        }
        puppet_settle(&f->p);
    }
}

void feed_pass(struct feed *f, ferry_nsec by)
{
    ferry_nsec end = f->p.now + by;
    while (f->p.now < end && !f->p.dead) {
        ferry_nsec left = end - f->p.now;
        puppet_pass(&f->p, left < 10 * FERRY_MS ? left : 10 * FERRY_MS);
        release(f, f->p.now);
    }
}

int feed_poll(struct feed *f)
{
    struct ferry_message m[256];
    int before = f->got_count, n;
    do {
        feed_pump(f);
        ferry_consumer_app_begin(f->app);
        n = ferry_consumer_app_take(f->app, m, f->max < 256 ? f->max : 256);
        ferry_consumer_app_end(f->app);
        for (int i = 0; i < n && f->got_count < FEED_GOT; i++) {
            struct feed_got *g = &f->got[f->got_count++];
            g->offset = m[i].offset;
            g->partition = m[i].partition;
            g->error = m[i].error;
            snprintf(g->topic, sizeof g->topic, "%s", m[i].topic ? m[i].topic : "");
            snprintf(g->value, sizeof g->value, "%.*s", m[i].value_len, (const char *)m[i].value);
        }
        feed_pump(f);
    } while (n > 0);
    return f->got_count - before;
}

struct ferry_partition_list *feed_list(const char *spec)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    char copy[512], *save, *save2;
    snprintf(copy, sizeof copy, "%s", spec);
    for (char *one = strtok_r(copy, " ", &save); list && one; one = strtok_r(NULL, " ", &save)) {
        char *parts = strchr(one, ':'), *offset = strchr(one, '@');
        if (offset)
            *offset++ = 0;
        if (!parts) {
            ferry_partition_list_add(list, one, -1, FERRY_OFFSET_NONE);
            continue;
        }
        *parts++ = 0;
        for (char *p = strtok_r(parts, ",", &save2); p; p = strtok_r(NULL, ",", &save2))
            ferry_partition_list_add(list, one, atoi(p),
                                     offset ? atoll(offset) : FERRY_OFFSET_NONE);
    }
    return list;
}

int feed_assign(struct feed *f, const char *spec)
{
    struct ferry_partition_list *list = feed_list(spec);
    int rc = list ? ferry_consumer_app_assign(f->app, list, NULL) : FERRY_E_NOMEM;
    ferry_partition_list_free(list);
    feed_pump(f);
    return rc;
}

int feed_seek(struct feed *f, const char *spec)
{
    struct ferry_partition_list *list = feed_list(spec);
    int rc = list ? ferry_consumer_app_seek(f->app, list, NULL) : FERRY_E_NOMEM;
    ferry_partition_list_free(list);
    feed_pump(f);
    return rc;
}

int feed_subscribe(struct feed *f, const char *topics)
{
    struct ferry_partition_list *list = feed_list(topics);
    int rc = list ? ferry_consumer_app_subscribe(f->app, list, NULL) : FERRY_E_NOMEM;
    ferry_partition_list_free(list);
    feed_pump(f);
    return rc;
}

void feed_call(struct feed *f, enum ferry_consumer_call_kind kind, const char *spec)
{
    struct ferry_partition_list *list = spec ? feed_list(spec) : NULL;
    struct ferry_consumer_call *call = ferry_consumer_app_call_new(f->app, kind, list);
    ferry_partition_list_free(list);
    ferry_consumer_call_free(f->done);
    f->done = NULL;
    if (!call)
        return;
    ferry_consumer_app_post(f->app, call);
    feed_pump(f);
}
