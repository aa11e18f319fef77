/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fetch.
 *
 *   start -> gather --enough, an error, or time over--> answer
 *              ^  \--not enough--> parked --records or the end of the wait--> gather
 *
 *  1. gather asks each partition's log in turn for a range of its file; a log may have to read its index first, then
 *     gathering goes on from there.
 *  2. What is found stays pinned until the answer has left; a fetch that parks pins nothing.
 *  3. The first range holds a whole batch whatever the limits, so that a consumer never starves behind a large one.
 *  4. Nothing is kept of a partition between gathering and parking but numbers: it may be deleted at any moment.
 */
#include "config.h"

#include "refbroker/handler/fetch.h"

#include "base/check.h"
#include "ferry/kafka_errors.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"

/* Memory of a parked fetch, and what all of them together may take beside the first few KiB of each; beyond, a fetch is
 * answered at once. */
enum { PARK_MAX = 4 << 20, PARKED_MAX = 32 << 20, PARK_FREE = 16 << 10 };

struct fetch_part {
    struct log_read read;
    struct broker_waiter waiter;
    struct fetch *fetch;
    struct broker_session_part *remembered; /* NULL outside a session */
    struct broker_fetch_want want;
    int error;
    bool diverged;
    int32_t diverging_epoch;
    int64_t diverging_end, watermark, start;
};

enum fetch_state { FETCH_GATHERING, FETCH_READING, FETCH_PARKED, FETCH_WOKEN };

struct fetch {
    struct broker_request *request;
    struct ferry_link woken;
    struct ferry_timer timer;
    struct broker_session *session;
    bool full;   /* every partition is answered for */
    bool urgent; /* an error or a divergence: no waiting */
    enum fetch_state state;
    struct fetch_part *parts;
    size_t count, at;
    uint64_t got, max_bytes;
    int64_t min_bytes;
    ferry_nsec until;
    size_t parked; /* its share of PARKED_MAX */
    int32_t session_id;
};

static void gather(struct fetch *);

static int find(struct fetch_part *p, struct broker_partition **out)
{
    struct broker_request *r = p->fetch->request;
    bool by_id = r->version >= 13;
    return broker_partition_find(r->node, by_id ? (struct ferry_str){0} : p->want.topic,
                                 &p->want.id, p->want.index, out);
}

static void unpin(struct fetch *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->parts[i].read.segment)
            log_unpin(f->parts[i].read.segment);
        f->parts[i].read.segment = NULL;
        f->parts[i].read.length = 0;
    }
}

static void release(struct broker_request *r)
{
    struct fetch *f = r->park;
    unpin(f);
    if (f->session)
        broker_session_release(&r->node->sessions, f->session);
    f->session = NULL;
}

static void add_part(struct broker_request *r, struct ferry_bytes ref, struct ferry_actions *out)
{
    const struct log_read *read = (const struct log_read *)(const void *)ref.data;
    (void)r;
    ferry_act_file_part(out, read->file, read->position, read->length);
}

/* ---- the answer ---- */

/* Does the client have to hear of this partition? Remembers what it will know then. */
static bool worth_telling(struct fetch *f, struct fetch_part *p)
{
    struct broker_session_part *m = p->remembered;
    if (!m)
        return true;
    bool tell = f->full || m->fresh || p->error || p->diverged || p->read.length ||
                m->sent_watermark != p->watermark || m->sent_start != p->start;
    m->fresh = p->error != 0;
    m->sent_watermark = p->error ? -1 : p->watermark;
    m->sent_start = p->error ? -1 : p->start;
    if (p->read.length && !m->forgotten) { /* others go first next time */
        ferry_list_remove(&m->link);
        ferry_list_push_back(&f->session->order, &m->link);
    }
    return tell;
}

static void fill_part(const struct fetch *f, const struct fetch_part *p,
                      struct ferry_fetch_response_partition *out)
{
    const struct ferry_fetch_request *in = f->request->input;
    ferry_fetch_response_partition_init(out);
    out->partition_index = p->want.index;
    out->error_code = (int16_t)p->error;
    out->high_watermark = p->error ? -1 : p->watermark;
    out->last_stable_offset = out->high_watermark;
    out->log_start_offset = p->error ? -1 : p->start;
    out->aborted_transactions_count = in->isolation_level == 1 ? 0 : -1;
    if (p->diverged) {
        out->diverging_epoch.epoch = p->diverging_epoch;
        out->diverging_epoch.end_offset = p->diverging_end;
    }
    out->records = (struct ferry_bytes){(const uint8_t *)&p->read, p->read.length};
}

/* KIP-951: whoever lags behind a new leader epoch hears of it at once, and where the leader is. */
static bool name_leader(const struct fetch *f, const struct fetch_part *p,
                        struct ferry_fetch_response_partition *out)
{
    struct broker_request *r = f->request;
    struct broker_partition *bp;
    if (r->version < 16 || p->error != FERRY_KAFKA_FENCED_LEADER_EPOCH ||
        broker_partition_find(r->node, (struct ferry_str){0}, &p->want.id, p->want.index, &bp))
        return false;
    out->current_leader.leader_id = r->node->config.now.node_id;
    out->current_leader.leader_epoch = broker_partition_epoch(bp);
    return true;
}

static bool same_topic(const struct fetch *f, const struct fetch_part *a,
                       const struct fetch_part *b)
{
    return f->request->version >= 13 ? ferry_uuid_eq(&a->want.id, &b->want.id)
                                     : ferry_str_eq(a->want.topic, b->want.topic);
}

static void answer(struct fetch *f)
{
    struct broker_request *r = f->request;
    struct ferry_fetch_response out;
    ferry_fetch_response_init(&out);
    out.session_id = f->session_id;
    out.responses = broker_request_alloc(r, f->count, sizeof *out.responses);
    struct ferry_fetch_response_partition *rows = broker_request_alloc(r, f->count, sizeof *rows);
    if (f->count && (!out.responses || !rows)) {
        broker_finish(r, true);
        return;
    }
    const struct fetch_part *before = NULL;
    bool leader_named = false;
    for (size_t i = 0; i < f->count; i++) {
        struct fetch_part *p = &f->parts[i];
        if (!worth_telling(f, p))
            continue;
        if (!before || !same_topic(f, before, p)) {
            struct ferry_fetch_response_response *t = &out.responses[out.responses_count++];
            t->topic = p->want.topic;
            t->topic_id = p->want.id;
            t->partitions = rows;
        }
        out.responses[out.responses_count - 1].partitions_count++;
        fill_part(f, p, rows);
        leader_named |= name_leader(f, p, rows++);
        before = p;
    }
    struct ferry_fetch_response_node_endpoint self;
    ferry_fetch_response_node_endpoint_init(&self);
    self.node_id = r->node->config.now.node_id;
    self.host = ferry_str_of(r->node->host);
    self.port = r->node->port;
    out.node_endpoints = &self;
    out.node_endpoints_count = leader_named;
    r->node->counts.fetches++;
    r->out.ref_records_min = 1;
    r->add_part = add_part;
    broker_reply(r, &out);
}

/* ---- waiting ---- */

static void unpark(struct fetch *f)
{
    f->request->node->parked_fetches -= f->parked;
    f->parked = 0;
    ferry_timer_cancel(&f->request->node->timers, &f->timer);
    ferry_list_remove(&f->woken);
    for (size_t i = 0; i < f->count; i++)
        ferry_list_remove(&f->parts[i].waiter.link);
}

static void wake(struct fetch *f)
{
    if (f->state != FETCH_PARKED)
        return;
    f->state = FETCH_WOKEN;
    ferry_list_push_back(&f->request->node->woken, &f->woken);
}

static void on_records(struct broker_waiter *w)
{
    struct fetch_part *p = FERRY_CONTAINER(w, struct fetch_part, waiter);
    ferry_list_remove(&w->link);
    wake(p->fetch);
}

static void on_time(struct ferry_timer *t, void *context)
{
    (void)context;
    wake(FERRY_CONTAINER(t, struct fetch, timer));
}

static void cancel(struct broker_request *r)
{
    struct fetch *f = r->park;
    if (f->state == FETCH_READING)
        log_read_cancel(&f->parts[f->at].read);
    unpark(f);
    broker_finish(r, false);
}

/* False: it cannot wait, for memory or because a partition went meanwhile. */
static bool park(struct fetch *f)
{
    struct broker_request *r = f->request;
    size_t used = r->arena.used + (r->slab ? broker_pool_room(r->slab) : 0);
    size_t share = used > PARK_FREE ? used - PARK_FREE : 0;
    if (used > PARK_MAX || r->node->parked_fetches + share > PARKED_MAX)
        return false;
    unpin(f);
    r->node->parked_fetches += f->parked = share;
    for (size_t i = 0; i < f->count; i++) {
        struct fetch_part *p = &f->parts[i];
        struct broker_partition *bp;
        p->error = find(p, &bp);
        if (p->error) {
            unpark(f);
            return false;
        }
        p->waiter.wake = on_records;
        ferry_list_push_back(&bp->waiters, &p->waiter.link);
    }
    if (ferry_timer_set(&r->node->timers, &f->timer, f->until)) {
        unpark(f);
        return false;
    }
    f->state = FETCH_PARKED;
    broker_request_park(r);
    return true;
}

static void decide(struct fetch *f)
{
    f->state = FETCH_GATHERING;
    bool enough = f->urgent || !f->count || (int64_t)f->got >= f->min_bytes ||
                  f->request->node->now >= f->until;
    if (enough || !park(f))
        answer(f);
}

bool broker_fetch_settle(struct broker_node *n)
{
    struct ferry_link *l;
    bool any = false;
    while ((l = ferry_list_pop_front(&n->woken))) {
        struct fetch *f = FERRY_CONTAINER(l, struct fetch, woken);
        any = true;
        unpark(f);
        f->at = 0;
        f->got = 0;
        gather(f);
    }
    return any;
}

/* ---- gathering ---- */

static void took(struct fetch *f, struct fetch_part *p, int error)
{
    if (error) {
        p->read.segment = NULL;
        p->read.length = 0;
        p->error = error < -1 ? FERRY_KAFKA_KAFKA_STORAGE_ERROR : error;
        f->urgent = true;
        return;
    }
    f->got += p->read.length;
}

static void on_read(struct log_read *read, int error)
{
    struct fetch_part *p = FERRY_CONTAINER(read, struct fetch_part, read);
    struct fetch *f = p->fetch;
    took(f, p, error);
    f->at++;
    gather(f);
}

/* KIP-320: has the log that the client followed been cut? */
static int check_divergence(struct fetch_part *p, const struct log *log)
{
    if (p->want.last_epoch < 0)
        return 0;
    log_end_offset_for_epoch(log, p->want.last_epoch, &p->diverging_epoch, &p->diverging_end);
    if (p->diverging_epoch < 0)
        return FERRY_KAFKA_OFFSET_OUT_OF_RANGE;
    p->diverged = p->diverging_epoch < p->want.last_epoch || p->diverging_end < p->want.offset;
    return 0;
}

/* Looks at one partition. True: a read is under way and goes on from there. */
static bool look(struct fetch *f, struct fetch_part *p)
{
    struct broker_partition *bp;
    p->read.length = 0;
    p->error = find(p, &bp);
    if (!p->error)
        p->error = broker_partition_check_epoch(bp, p->want.epoch);
    if (!p->error && f->request->version < 10 &&
        bp->topic->settings.compression_type == TOPIC_COMPRESSION_ZSTD)
        p->error = FERRY_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    if (!p->error && (p->want.offset < bp->log->start || p->want.offset > bp->log->end))
        p->error = FERRY_KAFKA_OFFSET_OUT_OF_RANGE;
    if (!p->error)
        p->error = check_divergence(p, bp->log);
    if (p->error || p->diverged) {
        f->urgent = true;
        if (!p->error) {
            p->watermark = bp->log->high_watermark;
            p->start = bp->log->start;
        }
        return false;
    }
    p->watermark = bp->log->high_watermark;
    p->start = bp->log->start;
    if (p->want.offset >= p->watermark || (f->got && f->got >= f->max_bytes))
        return false;
    uint64_t left = f->max_bytes > f->got ? f->max_bytes - f->got : 0;
    uint64_t most = p->want.max_bytes > 0 ? (uint64_t)p->want.max_bytes : 0;
    p->read.offset = p->want.offset;
    p->read.upto = p->watermark;
    p->read.max_bytes = most < left ? most : left;
    p->read.min_one = f->got == 0;
    p->read.done = on_read;
    int rc = log_read(bp->log, &p->read);
    if (rc == FERRY_E_AGAIN)
        return true;
    took(f, p, rc);
    return false;
}

static void gather(struct fetch *f)
{
    f->state = FETCH_GATHERING;
    for (; f->at < f->count; f->at++)
        if (look(f, &f->parts[f->at])) {
            f->state = FETCH_READING;
            return;
        }
    decide(f);
}

/* ---- what is wanted ---- */

static struct broker_fetch_want want_of(const struct ferry_fetch_request_topic *t,
                                        const struct ferry_fetch_request_partition *p)
{
    return (struct broker_fetch_want){.topic = t->topic,
                                      .id = t->topic_id,
                                      .index = p->partition,
                                      .epoch = p->current_leader_epoch,
                                      .last_epoch = p->last_fetched_epoch,
                                      .max_bytes = p->partition_max_bytes,
                                      .offset = p->fetch_offset};
}

static size_t count_wants(const struct ferry_fetch_request *in)
{
    size_t n = 0;
    for (int32_t i = 0; i < in->topics_count; i++)
        n += (size_t)(in->topics[i].partitions_count > 0 ? in->topics[i].partitions_count : 0);
    return n;
}

static void put_part(struct fetch *f, const struct broker_fetch_want *w,
                     struct broker_session_part *remembered)
{
    struct fetch_part *p = &f->parts[f->count++];
    p->fetch = f;
    p->want = *w;
    p->remembered = remembered;
}

/* The partitions of the request alone. */
static int take_request(struct fetch *f)
{
    const struct ferry_fetch_request *in = f->request->input;
    size_t n = count_wants(in);
    f->parts = broker_request_alloc(f->request, n, sizeof *f->parts);
    if (n && !f->parts)
        return FERRY_E_NOMEM;
    for (int32_t i = 0; i < in->topics_count; i++)
        for (int32_t j = 0; j < in->topics[i].partitions_count; j++) {
            struct broker_fetch_want w = want_of(&in->topics[i], &in->topics[i].partitions[j]);
            put_part(f, &w, NULL);
        }
    f->full = true;
    return 0;
}

/* The partitions of the session, in its order. */
static int take_session(struct fetch *f)
{
    struct ferry_link *it, *tmp;
    size_t n = f->session->parts.live;
    f->parts = broker_request_alloc(f->request, n, sizeof *f->parts);
    if (n && !f->parts)
        return FERRY_E_NOMEM;
    FERRY_LIST_EACH(it, tmp, &f->session->order)
    {
        struct broker_session_part *m = FERRY_CONTAINER(it, struct broker_session_part, link);
        put_part(f, &m->want, m);
    }
    return 0;
}

static int put_all(struct fetch *f, struct broker_session *s)
{
    const struct ferry_fetch_request *in = f->request->input;
    struct broker_sessions *ss = &f->request->node->sessions;
    int code = 0;
    for (int32_t i = 0; !code && i < in->topics_count; i++)
        for (int32_t j = 0; !code && j < in->topics[i].partitions_count; j++) {
            struct broker_fetch_want w = want_of(&in->topics[i], &in->topics[i].partitions[j]);
            code = broker_session_put(ss, s, &w);
        }
    return code;
}

static void adopt(struct fetch *f, struct broker_session *s)
{
    f->session = s;
    f->session_id = s->id;
    broker_session_hold(s);
}

/* A full fetch that would like a session (epoch 0), or wants none (-1). */
static int begin_full(struct fetch *f)
{
    const struct ferry_fetch_request *in = f->request->input;
    struct broker_node *n = f->request->node;
    struct broker_session *s =
        in->session_id ? broker_session_find(&n->sessions, in->session_id) : NULL;
    if (s)
        broker_session_close(&n->sessions, s);
    s = in->session_epoch == 0 && f->request->version >= 7
            ? broker_session_new(&n->sessions, &n->prng, n->now, n->config.now.fetch_session_slots,
                                 f->request->version >= 13, count_wants(in))
            : NULL;
    if (s && put_all(f, s)) {
        broker_session_close(&n->sessions, s);
        s = NULL;
    }
    if (!s)
        return take_request(f);
    adopt(f, s);
    f->full = true;
    return take_session(f);
}

/* The next fetch of a session; a Kafka code above 0 when it cannot be. */
static int go_on(struct fetch *f)
{
    const struct ferry_fetch_request *in = f->request->input;
    struct broker_node *n = f->request->node;
    struct broker_session *s = broker_session_find(&n->sessions, in->session_id);
    if (!s)
        return FERRY_KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    if (s->epoch != in->session_epoch)
        return FERRY_KAFKA_INVALID_FETCH_SESSION_EPOCH;
    if (s->by_id != (f->request->version >= 13))
        return FERRY_KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
    s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
    broker_session_touch(&n->sessions, s, n->now);
    adopt(f, s);
    for (int32_t i = 0; i < in->forgotten_topics_data_count; i++) {
        const struct ferry_fetch_request_forgotten_topic *t = &in->forgotten_topics_data[i];
        for (int32_t j = 0; j < t->partitions_count; j++) {
            struct broker_fetch_want w = {
                .topic = t->topic, .id = t->topic_id, .index = t->partitions[j]};
            broker_session_forget(&n->sessions, s, &w);
        }
    }
    int code = put_all(f, s);
    if (code) { /* no room: the client starts over with a full fetch */
        broker_session_close(&n->sessions, s);
        return FERRY_KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    }
    return take_session(f);
}

static void refuse(struct fetch *f, int error)
{
    struct ferry_fetch_response out;
    ferry_fetch_response_init(&out);
    out.error_code = (int16_t)error;
    broker_reply(f->request, &out);
}

void broker_fetch_start(struct broker_request *r)
{
    const struct ferry_fetch_request *in = r->input;
    struct broker_node *n = r->node;
    struct fetch *f = broker_request_alloc(r, 1, sizeof *f);
    if (!f) {
        broker_finish(r, true);
        return;
    }
    int32_t most = n->config.now.fetch_max_bytes;
    f->request = r;
    f->timer.fire = on_time;
    f->min_bytes = in->min_bytes;
    f->max_bytes = (uint64_t)(in->max_bytes < 0 ? 0 : in->max_bytes < most ? in->max_bytes : most);
    f->until = n->now + (in->max_wait_ms > 0 ? in->max_wait_ms : 0) * FERRY_MS;
    r->park = f;
    r->release = release;
    r->cancel = cancel;
    bool incremental = r->version >= 7 && in->session_epoch > 0;
    int code = incremental ? go_on(f) : begin_full(f);
    if (code > 0)
        refuse(f, code);
    else if (code)
        broker_finish(r, true);
    else
        gather(f);
}
