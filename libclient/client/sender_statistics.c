/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/sender_internal.h"
#include "client/statistics.h"

#include <inttypes.h>

/*
 * The producer's part of the statistics: `,"producer":{...}`. Counters always; windows (queue_us: from a batch's first record
 * to its first request; report_us: to its outcome; by topic batch_bytes and batch_records; by partition batch_bytes and
 * report_us) while an interval is set.
 */

/* A lot goes out for the first time. */
void ferry_sender_measure_sent(struct ferry_lot *lot)
{
    struct ferry_sender *s = lot->topic->sender;
    if (!ferry_statistics_on(s->client))
        return;
    ferry_window_add(&s->queue_us, (s->client->now - lot->batch.opened_at) / 1000);
    ferry_window_add(&lot->topic->batch_bytes, (int64_t)ferry_sealed_wire_size(&lot->batch));
    ferry_window_add(&lot->topic->batch_records, lot->batch.count);
    if (lot->lane)
        ferry_window_add(&lot->lane->batch_bytes, (int64_t)ferry_sealed_wire_size(&lot->batch));
}

void ferry_sender_measure_done(struct ferry_lot *lot)
{
    struct ferry_sender *s = lot->topic->sender;
    if (!ferry_statistics_on(s->client))
        return;
    ferry_window_add(&s->report_us, (s->client->now - lot->batch.opened_at) / 1000);
    if (lot->lane)
        ferry_window_add(&lot->lane->report_us, (s->client->now - lot->batch.opened_at) / 1000);
}

static void print_lane(struct ferry_lane *lane, struct ferry_text *out)
{
    struct ferry_sender *s = lane->topic->sender;
    const struct ferry_sender_node *node = atomic_load_explicit(&lane->node, memory_order_relaxed);
    s->hooks.lock(&lane->lock);
    int64_t open = ferry_sender_accum_records(&lane->accum);
    s->hooks.unlock(&lane->lock);
    int64_t queued = 0;
    for (const struct ferry_link *it = lane->queue.next; it != &lane->queue; it = it->next)
        queued += FERRY_CONTAINER(it, struct ferry_lot, batch.link)->batch.count;
    ferry_text_add(out,
                   "{\"partition\":%" PRId32 ",\"leader\":%" PRId32 ",\"open_records\":%" PRId64
                   ",\"queued_batches\":%u,\"queued_records\":%" PRId64 ",\"in_flight_batches\":%u",
                   lane->partition, node ? node->id : -1, open, lane->queue_count, queued,
                   lane->flight_count);
    ferry_text_add(out,
                   ",\"acked_records\":%" PRIu64 ",\"failed_records\":%" PRIu64
                   ",\"next_sequence\":%" PRId32,
                   lane->acked, lane->failed, lane->producer_id < 0 ? -1 : lane->next_sequence);
    ferry_text_add(out, ",\"batch_bytes\":");
    ferry_window_json(&lane->batch_bytes, out);
    ferry_text_add(out, ",\"report_us\":");
    ferry_window_json(&lane->report_us, out);
    ferry_text_add(out, "}");
}

static void print_topic(struct ferry_sender_topic *t, struct ferry_text *out)
{
    struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_relaxed);
    ferry_text_add(out, "{\"topic\":");
    ferry_text_add_json(out, (struct ferry_str){t->name, t->name_len});
    ferry_text_add(out, ",\"batch_bytes\":");
    ferry_window_json(&t->batch_bytes, out);
    ferry_text_add(out, ",\"batch_records\":");
    ferry_window_json(&t->batch_records, out);
    ferry_text_add(out, ",\"partitions\":[");
    for (int32_t i = 0; table && i < table->count; i++) {
        ferry_text_add(out, "%s", i ? "," : "");
        print_lane(table->lanes[i], out);
    }
    ferry_text_add(out, "]}");
}

static void print(struct ferry_sender *s, struct ferry_text *out)
{
    struct ferry_sender_counters *c = &s->counters;
    const struct {
        const char *name;
        int64_t value;
    } all[] = {{"records_sealed", atomic_load(&c->records_sealed)},
               {"records_acked", atomic_load(&c->records_acked)},
               {"records_failed", atomic_load(&c->records_failed)},
               {"batches_sent", atomic_load(&c->batches_sent)},
               {"bytes_sent", atomic_load(&c->bytes_sent)},
               {"retries", atomic_load(&c->retries)},
               {"splits", atomic_load(&c->splits)},
               {"epoch_bumps", atomic_load(&c->epoch_bumps)},
               {"records_held", atomic_load(&s->chunks.records)},
               {"memory_used", atomic_load(&s->chunks.used)},
               {"memory_limit", s->chunks.limit},
               {"producer_id", s->producer_id},
               {"producer_epoch", s->producer_epoch}};
    ferry_text_add(out, ",\"producer\":{");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ferry_text_add(out, "\"%s\":%" PRId64 ",", all[i].name, all[i].value);
    ferry_text_add(out, "\"queue_us\":");
    ferry_window_json(&s->queue_us, out);
    ferry_text_add(out, ",\"report_us\":");
    ferry_window_json(&s->report_us, out);
    ferry_text_add(out, ",\"topics\":[");
    const char *comma = "";
    for (struct ferry_link *it = s->topics.next; it != &s->topics; it = it->next) {
        ferry_text_add(out, "%s", comma);
        print_topic(FERRY_CONTAINER(it, struct ferry_sender_topic, link), out);
        comma = ",";
    }
    ferry_text_add(out, "]}");
}

void ferry_sender_on_statistics(struct ferry_client *c, struct ferry_observer *o,
                                struct ferry_text *out)
{
    struct ferry_sender *s = o->cookie;
    if (out) {
        print(s, out);
        return;
    }
    ferry_window_roll(&s->queue_us);
    ferry_window_roll(&s->report_us);
    for (struct ferry_link *it = s->topics.next; it != &s->topics; it = it->next) {
        struct ferry_sender_topic *t = FERRY_CONTAINER(it, struct ferry_sender_topic, link);
        ferry_window_roll(&t->batch_bytes);
        ferry_window_roll(&t->batch_records);
        struct ferry_lane_table *table = atomic_load_explicit(&t->table, memory_order_relaxed);
        for (int32_t i = 0; table && i < table->count; i++) {
            ferry_window_roll(&table->lanes[i]->batch_bytes);
            ferry_window_roll(&table->lanes[i]->report_us);
        }
    }
}
