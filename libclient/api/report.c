/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "api/producer.h"

#include "base/check.h"
#include "ferry/queue.h"

_Static_assert((int)FERRY_SENDER_DELIVERY == (int)FERRY_DELIVERY_REPORT,
               "what the sender delivers is a report");

/* Reports: a view over a batch whose outcome is known. struct ferry_report is the sender's struct ferry_lot. */

static struct ferry_lot *lot_of(const struct ferry_report *r)
{
    return (struct ferry_lot *)(uintptr_t)r;
}

static struct ferry_delivery *wait_for(struct ferry_producer *p, int32_t timeout_ms)
{
    struct ferry_delivery *d = ferry_queue_pop(p->queue);
    if (d || (timeout_ms == 0 && p->threaded))
        return d;
    struct ferry_handle *h = ferry_producer_enter(p);
    if (!h)
        return NULL;
    if (timeout_ms != 0) {
        d = ferry_queue_wait(p->queue, ferry_deadline_ms(timeout_ms), NULL);
    } else {
        ferry_handle_step(h); /* nobody else does */
        d = ferry_queue_pop(p->queue);
    }
    ferry_producer_leave(p);
    return d;
}

struct ferry_report *ferry_delivery_report(struct ferry_delivery *d)
{
    if (!d || d->type != FERRY_DELIVERY_REPORT)
        return NULL;
    struct ferry_lot *lot = ferry_lot_of_delivery(d);
    struct ferry_producer *p = lot->owner;
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return (struct ferry_report *)(void *)lot;
}

struct ferry_report *ferry_producer_poll(struct ferry_producer *p, int32_t timeout_ms)
{
    return ferry_delivery_report(wait_for(p, timeout_ms));
}

struct ferry_queue *ferry_producer_queue(struct ferry_producer *p)
{
    return p->queue;
}

void ferry_report_release(struct ferry_report *report)
{
    if (!report)
        return;
    struct ferry_producer *p = lot_of(report)->owner;
    ferry_lot_release(lot_of(report));
    ferry_producer_unref(p);
}

void ferry_report_info(const struct ferry_report *report, struct ferry_report_info *out)
{
    const struct ferry_lot *lot = lot_of(report);
    out->topic = lot->topic->name;
    out->text = lot->text ? lot->text : lot->error ? ferry_error_name(lot->error) : "";
    out->base_offset = lot->base_offset;
    out->log_append_time = lot->log_append_time;
    out->latency_us = (lot->done_at - lot->batch.opened_at) / 1000;
    out->batch = lot->batch.id;
    out->partition = lot->lane ? lot->lane->partition : -1;
    out->count = (int32_t)(lot->batch.count - lot->skip);
    out->error = lot->error;
    out->outcome = lot->outcome;
    out->broker = lot->node;
    out->tries = (int32_t)lot->tries;
}

static int32_t length_of(struct ferry_bytes b)
{
    return b.data ? (int32_t)b.len : -1;
}

static void fill(const struct ferry_lot *lot, const struct ferry_sealed_record *r,
                 struct ferry_reported *out)
{
    out->key = r->key.data;
    out->key_len = length_of(r->key);
    out->value = r->value.data;
    out->value_len = length_of(r->value);
    out->headers = r->headers.data;
    out->headers_len = (int32_t)r->headers.len;
    out->header_count = r->header_count;
    out->offset = lot->base_offset < 0 ? -1 : lot->base_offset + r->index;
    out->timestamp = r->timestamp;
    out->cookie = r->cookie;
    out->latency_us = r->sent_at < 0 ? -1 : (lot->done_at - r->sent_at) / 1000;
    out->receipt.batch = r->receipt ? r->receipt >> FERRY_ACCUM_INDEX_BITS : lot->batch.id;
    out->receipt.index = r->receipt ? (uint32_t)r->receipt & FERRY_ACCUM_RECORDS_MAX : r->index;
    out->receipt.partition = lot->lane ? lot->lane->partition : -1;
}

int32_t ferry_report_next(struct ferry_report *report, struct ferry_reported *out, int32_t max)
{
    struct ferry_lot *lot = lot_of(report);
    struct ferry_sealed_record r;
    int32_t n = 0;
    while (n < max && ferry_sealed_iter_next(&lot->iter, &r))
        fill(lot, &r, &out[n++]);
    return n;
}

int32_t ferry_report_cookies(struct ferry_report *report, uint64_t *out, int32_t max)
{
    return max <= 0 ? 0
                    : (int32_t)ferry_sealed_iter_cookies(&lot_of(report)->iter, out, (uint32_t)max);
}

void ferry_report_rewind(struct ferry_report *report)
{
    struct ferry_lot *lot = lot_of(report);
    struct ferry_sealed_record r;
    ferry_sealed_iter_init(&lot->iter, &lot->batch);
    for (uint32_t i = 0; i < lot->skip; i++)
        ferry_sealed_iter_next(&lot->iter, &r);
}

int32_t ferry_reported_header(const struct ferry_reported *record, int32_t *at,
                              struct ferry_header *out)
{
    struct ferry_bytes name, value;
    const uint8_t *p = record->headers;
    if (!p || !at || *at < 0 || *at > record->headers_len)
        return FERRY_E_INVALID;
    if (*at == record->headers_len)
        return 0;
    const uint8_t *next = ferry_sealed_header(p + *at, &name, &value);
    *out = (struct ferry_header){(const char *)name.data, value.data, (int32_t)name.len,
                                 length_of(value), 0};
    *at = (int32_t)(next - p);
    return 1;
}
