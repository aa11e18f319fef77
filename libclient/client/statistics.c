/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/statistics.h"

#include "base/mem.h"
#include "client/core.h"

#include <inttypes.h>

bool ferry_statistics_on(const struct ferry_client *client)
{
    return client->settings->statistics_interval_ms > 0;
}

/* -- Printing ------------------------------------------------------------------------------------------- */

static void print_counters(const struct ferry_client *client, struct ferry_text *out)
{
    const struct ferry_client_counters *c = &client->counters;
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"requests", c->requests},
               {"replies", c->replies},
               {"request_timeouts", c->request_timeouts},
               {"request_failures", c->request_failures},
               {"connects", c->connects},
               {"connect_failures", c->connect_failures},
               {"disconnects", c->disconnects},
               {"metadata_requests", c->metadata_requests},
               {"rebootstraps", c->rebootstraps},
               {"throttles", c->throttles}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ferry_text_add(out, "%s\"%s\":%" PRIu64, i ? "," : "{", all[i].name, all[i].value);
    ferry_text_add(out, "}");
}

static void print_line(const struct ferry_line *line, struct ferry_text *out)
{
    static const char *const states[] = {"down",        "waiting", "resolving", "connecting",
                                         "negotiating", "up",      "closing"};
    uint32_t waiting = 0;
    for (const struct ferry_link *l = line->waiting.next; l != &line->waiting; l = l->next)
        waiting++;
    ferry_text_add(out,
                   "{\"state\":\"%s\",\"in_flight\":%u,\"waiting\":%u,\"requests\":%" PRIu64
                   ",\"answers\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"bytes_in\":%" PRIu64,
                   states[line->state], line->conn.flight_count, waiting, line->requests,
                   line->answers, line->conn.bytes_out, line->conn.bytes_in);
    ferry_text_add(out, ",\"rtt_us\":");
    ferry_window_json(&line->rtt, out);
    ferry_text_add(out, ",\"wait_us\":");
    ferry_window_json(&line->wait, out);
    ferry_text_add(out, ",\"throttle_ms\":");
    ferry_window_json(&line->throttled, out);
    ferry_text_add(out, "}");
}

static void print_broker(const struct ferry_broker *b, struct ferry_text *out)
{
    static const char *const classes[] = {"general", "produce", "fetch", "join", "coordinator"};
    const char *comma = "";
    ferry_text_add(out, "{\"node\":%" PRId32 ",\"host\":", b->node);
    ferry_text_add_json(out, ferry_str_of(b->host));
    ferry_text_add(out, ",\"port\":%" PRId32 ",\"bootstrap\":%s,\"failures\":%u,\"connections\":{",
                   b->port, b->node < 0 ? "true" : "false", b->failures);
    for (int c = 0; c < FERRY_CLASS_COUNT; c++) {
        if (!b->lines[c])
            continue;
        ferry_text_add(out, "%s\"%s\":", comma, classes[c]);
        print_line(b->lines[c], out);
        comma = ",";
    }
    ferry_text_add(out, "}}");
}

static void print_topic(const struct ferry_client *client, const struct ferry_topic_meta *t,
                        struct ferry_text *out)
{
    ferry_text_add(out, "{\"name\":");
    ferry_text_add_json(out, (struct ferry_str){t->name, t->name_len});
    ferry_text_add(out, ",\"error\":%d,\"age_ms\":%" PRId64 ",\"partitions\":[", t->error,
                   t->known ? (client->now - t->answered_at) / FERRY_MS : -1);
    for (int32_t i = 0; i < t->partition_count; i++)
        ferry_text_add(out,
                       "%s{\"partition\":%" PRId32 ",\"leader\":%" PRId32
                       ",\"leader_epoch\":%" PRId32 ",\"error\":%d}",
                       i ? "," : "", i, t->partitions[i].leader, t->partitions[i].leader_epoch,
                       t->partitions[i].error);
    ferry_text_add(out, "]}");
}

void ferry_statistics_print(const struct ferry_client *client, struct ferry_text *out)
{
    const char *comma = "";
    ferry_text_add(out, "{\"client_id\":");
    ferry_text_add_json(out, ferry_str_of(client->settings->client_id));
    ferry_text_add(out, ",\"time_ms\":%" PRId64 ",\"interval_ms\":%" PRId64 ",\"counters\":",
                   client->wall, client->settings->statistics_interval_ms);
    print_counters(client, out);
    ferry_text_add(out, ",\"brokers\":[");
    for (const struct ferry_link *l = client->core->brokers.next; l != &client->core->brokers;
         l = l->next) {
        const struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        if (b->gone)
            continue;
        ferry_text_add(out, "%s", comma);
        print_broker(b, out);
        comma = ",";
    }
    ferry_text_add(out, "],\"topics\":[");
    comma = "";
    for (struct ferry_topic_meta *t = NULL; (t = ferry_cluster_next(client, t));) {
        ferry_text_add(out, "%s", comma);
        print_topic(client, t, out);
        comma = ",";
    }
    ferry_text_add(out, "]");
    for (const struct ferry_link *l = client->observers.next; l != &client->observers;
         l = l->next) {
        struct ferry_observer *o = FERRY_CONTAINER(l, struct ferry_observer, link);
        if (o->on_statistics)
            o->on_statistics((struct ferry_client *)client, o, out);
    }
    ferry_text_add(out, "}");
}

/* -- Intervals ------------------------------------------------------------------------------------------ */

static void roll(struct ferry_client *client)
{
    struct ferry_link *l, *next;
    FERRY_LIST_EACH(l, next, &client->core->brokers)
    {
        struct ferry_broker *b = FERRY_CONTAINER(l, struct ferry_broker, link);
        for (int c = 0; c < FERRY_CLASS_COUNT; c++) {
            if (!b->lines[c])
                continue;
            ferry_window_roll(&b->lines[c]->rtt);
            ferry_window_roll(&b->lines[c]->wait);
            ferry_window_roll(&b->lines[c]->throttled);
        }
    }
    FERRY_LIST_EACH(l, next, &client->observers)
    {
        struct ferry_observer *o = FERRY_CONTAINER(l, struct ferry_observer, link);
        if (o->on_statistics)
            o->on_statistics(client, o, NULL);
    }
}

static void drop(struct ferry_delivery *d)
{
    ferry_free(d);
}

static void deliver(struct ferry_client *client)
{
    struct ferry_text text = {0};
    ferry_statistics_print(client, &text);
    struct ferry_statistics *s = text.failed ? NULL : ferry_alloc(sizeof *s + text.len + 1);
    if (s) { /* without memory an interval goes untold */
        s->delivery = (struct ferry_delivery){.type = FERRY_DELIVERY_STATISTICS, .drop = drop};
        s->len = text.len;
        memcpy(s->json, text.data, text.len + 1);
        ferry_client_deliver(client, &s->delivery);
    }
    ferry_text_free(&text);
}

static void tick(struct ferry_timer *t, void *context)
{
    struct ferry_client *client = context;
    if (client->closing)
        return;
    roll(client);
    deliver(client);
    ferry_client_timer(client, t,
                       client->now + client->settings->statistics_interval_ms * FERRY_MS);
}

void ferry_statistics_start(struct ferry_client *client)
{
    struct ferry_timer *t = &client->core->statistics_timer;
    t->fire = tick;
    if (ferry_statistics_on(client))
        ferry_client_timer(client, t,
                           client->now + client->settings->statistics_interval_ms * FERRY_MS);
}
