/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "api/producer.h"

#include "accum/plain.h"
#include "base/mem.h"
#include "drive/clock.h"

#include <time.h>

/* Sending: from the caller's pointers to an encoded record. The hot path of the library. */

enum { FEW_FIELDS = 16 };

/* The kernel's clock as of its last tick: a fifth of the price of the exact one, and a record's time is in ms. */
static int64_t wall_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return (int64_t)t.tv_sec * 1000 + (uint32_t)t.tv_nsec / 1000000;
}

struct room {
    struct ferry_producer *producer;
    uint64_t seen;
};

static bool room_came(void *cookie)
{
    struct room *r = cookie;
    return atomic_load(&r->producer->room_freed) != r->seen || atomic_load(&r->producer->closing);
}

/* Waits for room, at most max.block.ms, and tries again. */
static int __attribute__((noinline))
append_waiting(struct ferry_topic *t, int32_t partition, struct ferry_accum_record *r,
               struct ferry_sender_place *place)
{
    struct ferry_producer *p = t->producer;
    ferry_nsec deadline = ferry_clock_now() + p->config->settings.max_block_ms * FERRY_MS;
    int rc;
    struct ferry_handle *h = ferry_producer_enter(p);
    if (!h)
        return FERRY_E_CLOSED;
    atomic_fetch_add(&p->room_waiters, 1);
    for (;;) {
        struct room room = {p, atomic_load(&p->room_freed)};
        rc = ferry_sender_append(t->sender_topic, partition, r, place);
        if (atomic_load(&p->closing) && rc == FERRY_E_QUEUE_FULL)
            rc = FERRY_E_CLOSED;
        if (rc != FERRY_E_QUEUE_FULL)
            break;
        ferry_sender_press(p->sender);
        rc = ferry_handle_wait(h, NULL, room_came, &room, deadline);
        if (rc) {
            rc = rc == FERRY_E_TIMED_OUT || rc == FERRY_E_STATE ? FERRY_E_QUEUE_FULL : rc;
            break;
        }
    }
    atomic_fetch_sub(&p->room_waiters, 1);
    ferry_producer_leave(p);
    return rc;
}

static int __attribute__((noinline))
append_full(struct ferry_topic *t, int32_t partition, struct ferry_accum_record *r,
            struct ferry_sender_place *place, uint32_t flags)
{
    if ((flags & FERRY_SEND_WAIT) && t->producer->threaded && !ferry_in_callback())
        return append_waiting(t, partition, r, place);
    ferry_sender_press(t->producer->sender);
    return FERRY_E_QUEUE_FULL;
}

static inline int append(struct ferry_topic *t, int32_t partition, struct ferry_accum_record *r,
                         struct ferry_sender_place *place, uint32_t flags)
{
    struct ferry_producer *p = t->producer;
    if (__builtin_expect(atomic_load_explicit(&p->closing, memory_order_relaxed), 0))
        return FERRY_E_CLOSED;
    if (__builtin_expect(ferry_build_record_max(&r->record) > p->record_max, 0))
        return FERRY_E_TOO_LARGE;
    if (__builtin_expect(p->timed, 0))
        r->sent_at = ferry_clock_now();
    int rc = ferry_sender_append(t->sender_topic, partition, r, place);
    if (__builtin_expect(rc == FERRY_E_QUEUE_FULL, 0))
        return append_full(t, partition, r, place, flags);
    return rc;
}

/* All but the plain way. */
static int __attribute__((noinline))
send_slowly(struct ferry_topic *topic, int32_t partition, struct ferry_bytes key,
            struct ferry_bytes value, uint64_t cookie, uint32_t flags)
{
    struct ferry_sender_place place;
    struct ferry_accum_record r = {.record = {.key = key, .value = value},
                                   .timestamp = wall_now(),
                                   .cookie = cookie,
                                   .expires_at = INT64_MAX};
    if (key.len > INT32_MAX || value.len > INT32_MAX || partition < -1)
        return FERRY_E_INVALID;
    return append(topic, partition, &r, &place, flags);
}

/* The lane of a record that goes the plain way but not to the sticky partition; NULL if it does not after all. */
static struct ferry_lane *plain_lane(struct ferry_sender_topic *t, int32_t partition,
                                     struct ferry_bytes key)
{
    struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_acquire);
    if (partition == -1 && ferry_sender_pick(t, key, table->count, &partition) != FERRY_PICK_HASHED)
        return NULL;
    return partition >= 0 && partition < table->count ? table->lanes[partition] : NULL;
}

/* Anything else that may go the plain way. */
static int32_t __attribute__((noinline))
send_keyed(struct ferry_topic *topic, int32_t partition, const void *key, int32_t key_len,
           const void *value, int32_t value_len, uint64_t cookie, uint32_t flags)
{
    struct ferry_sender_topic *t = topic->sender_topic;
    struct ferry_bytes k = {key, key ? (uint32_t)key_len : 0},
                       v = {value, value ? (uint32_t)value_len : 0};
    struct ferry_lane *lane = NULL;
    /* A negative size is a very large one here. */
    if (atomic_load_explicit(&t->plain, memory_order_acquire) && k.len <= FERRY_PLAIN_MAX / 2 &&
        v.len <= FERRY_PLAIN_MAX / 2)
        lane = plain_lane(t, partition, k);
    if (lane) {
        int64_t wall = wall_now();
        ferry_lockword_take(&lane->lock);
        bool done = ferry_plain_append(&lane->accum, key, (uint32_t)k.len, value, (uint32_t)v.len,
                                       wall, cookie);
        ferry_lockword_give(&lane->lock);
        if (done)
            return 0;
    }
    return send_slowly(topic, partition, k, v, cookie, flags);
}

/* The hottest function there is: a keyless record to the sticky partition goes through it alone. */
int32_t ferry_send(struct ferry_topic *topic, int32_t partition, const void *key, int32_t key_len,
                   const void *value, int32_t value_len, uint64_t cookie, uint32_t flags)
{
    struct ferry_sender_topic *t = topic->sender_topic;
    struct ferry_lane *lane = atomic_load_explicit(&t->sticky, memory_order_acquire);
    if (__builtin_expect(
            key || partition != -1 || !value || (uint32_t)value_len > FERRY_PLAIN_MAX / 2 ||
                !lane ||
                !(atomic_load_explicit(&t->plain, memory_order_acquire) & FERRY_SENDER_STICKS),
            0))
        return send_keyed(topic, partition, key, key_len, value, value_len, cookie, flags);
    int64_t wall = wall_now();
    ferry_lockword_take(&lane->lock);
    bool done = ferry_plain_append(&lane->accum, NULL, 0, value, (uint32_t)value_len, wall, cookie);
    ferry_lockword_give(&lane->lock);
    if (__builtin_expect(done, 1))
        return 0;
    return send_slowly(topic, -1, (struct ferry_bytes){NULL, 0},
                       (struct ferry_bytes){value, (uint32_t)value_len}, cookie, flags);
}

/* Fills the fields of a record's headers; below 0 if one of them is wrong. */
static int fill_fields(const struct ferry_outgoing *o, struct ferry_build_field *fields)
{
    for (int32_t i = 0; i < o->header_count; i++) {
        const struct ferry_header *h = &o->headers[i];
        if (!h->name || h->name_len < -1 || (h->value && h->value_len < 0))
            return FERRY_E_INVALID;
        fields[i].key.data = h->name;
        fields[i].key.len = h->name_len < 0 ? strlen(h->name) : (size_t)h->name_len;
        fields[i].value.data = h->value;
        fields[i].value.len = h->value ? (size_t)h->value_len : 0;
    }
    return 0;
}

static int send_record(struct ferry_topic *topic, const struct ferry_outgoing *o,
                       struct ferry_sender_place *place)
{
    struct ferry_producer *p = topic->producer;
    struct ferry_build_field few[FEW_FIELDS], *fields = few;
    if ((o->key && o->key_len < 0) || (o->value && o->value_len < 0) || o->header_count < 0 ||
        (o->header_count > 0 && !o->headers) || o->partition < -1 || o->expires_in < 0)
        return FERRY_E_INVALID;
    if (o->expires_in > 0 && !p->expiring)
        return FERRY_E_INVALID;
    if (o->header_count > FEW_FIELDS &&
        !(fields = ferry_alloc((size_t)o->header_count * sizeof *fields)))
        return FERRY_E_NOMEM;
    struct ferry_accum_record r = {
        .record = {.key = {o->key, o->key ? (size_t)o->key_len : 0},
                   .value = {o->value, o->value ? (size_t)o->value_len : 0},
                   .fields = fields,
                   .field_count = o->header_count},
        .timestamp = o->flags & FERRY_SEND_TIMESTAMP ? o->timestamp : wall_now(),
        .cookie = o->cookie,
        .expires_at = INT64_MAX,
    };
    if (o->expires_in > 0 && o->expires_in < INT64_MAX / FERRY_MS / 2)
        r.expires_at = ferry_clock_now() + o->expires_in * FERRY_MS;
    int rc = fill_fields(o, fields);
    if (!rc)
        rc = append(topic, o->partition, &r, place, o->flags);
    if (fields != few)
        ferry_free(fields);
    return rc;
}

static int explain(const struct ferry_topic *t, const struct ferry_outgoing *o, int rc,
                   struct ferry_error *err)
{
    const struct ferry_settings *set = &t->producer->config->settings;
    const char *name = ferry_topic_name(t);
    switch (rc) {
    case FERRY_E_QUEUE_FULL:
        return ferry_fail(
            err, rc,
            "no room for a record to %s: buffer.memory=%lld; take and release reports, or wait",
            name, (long long)set->buffer_memory);
    case FERRY_E_TOO_LARGE:
        return ferry_fail(err, rc, "a record to %s of %lld bytes is above max.request.size=%d",
                          name, (long long)o->key_len + o->value_len, set->max_request_size);
    case FERRY_E_INVALID:
        return ferry_fail(err, rc,
                          "a record to %s cannot be sent: partition %d (of %d), a length, a header "
                          "or an expiry is out "
                          "of range",
                          name, o->partition, ferry_topic_partition_count(t));
    default:
        return ferry_fail(err, rc, "a record to %s was not accepted: %s", name,
                          ferry_error_name(rc));
    }
}

int32_t ferry_send_record(struct ferry_topic *topic, const struct ferry_outgoing *record,
                          struct ferry_receipt *receipt, struct ferry_error *err)
{
    struct ferry_sender_place place;
    int rc = send_record(topic, record, &place);
    if (rc)
        return explain(topic, record, rc, err);
    if (receipt)
        *receipt = (struct ferry_receipt){place.batch, place.index,
                                          place.lane ? place.lane->partition : -1};
    return 0;
}

int32_t ferry_send_many(struct ferry_topic *topic, struct ferry_outgoing *records, int32_t count)
{
    struct ferry_sender_place place;
    int32_t accepted = 0;
    for (int32_t i = 0; i < count; i++) {
        records[i].error = send_record(topic, &records[i], &place);
        accepted += records[i].error == 0;
    }
    return accepted;
}
