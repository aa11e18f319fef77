/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/fetcher_impl.h"
#include "client/statistics.h"

#include <inttypes.h>

/*
 * The consumer's part of the statistics: `,"consumer":{...}`. Counters always; windows (fetch_us: a Fetch with records, from
 * its sending to its answer; commit_us: a commit, with its wait for earlier ones; by partition fetch_records and fetch_bytes of
 * one answer) while an interval is set.
 */

void ferry_consumer_measure_fetched(struct ferry_consumer_core *core,
                                    struct ferry_consumer_part *part, uint64_t records,
                                    size_t bytes)
{
    core->records += records;
    core->bytes += bytes;
    part->records += records;
    part->bytes += bytes;
    if (!ferry_statistics_on(core->client))
        return;
    ferry_window_add(&part->fetch_records, (int64_t)records);
    ferry_window_add(&part->fetch_bytes, (int64_t)bytes);
}

void ferry_consumer_measure_answer(struct ferry_consumer_core *core, ferry_nsec took)
{
    core->answers++;
    if (ferry_statistics_on(core->client))
        ferry_window_add(&core->fetch_us, took / 1000);
}

void ferry_consumer_measure_commit(struct ferry_consumer_core *core, ferry_nsec took,
                                   int32_t status)
{
    core->commit_count++;
    core->commit_failures += status != 0;
    if (ferry_statistics_on(core->client))
        ferry_window_add(&core->commit_us, took / 1000);
}

void ferry_consumer_measures_free(struct ferry_consumer_core *core)
{
    ferry_window_free(&core->fetch_us);
    ferry_window_free(&core->commit_us);
}

static void print_number(struct ferry_text *out, const char *name, int64_t value)
{
    ferry_text_add(out, ",\"%s\":%" PRId64, name, value);
}

/* Offsets that are none are null. */
static void print_offset(struct ferry_text *out, const char *name, int64_t offset)
{
    if (offset >= 0)
        print_number(out, name, offset);
    else
        ferry_text_add(out, ",\"%s\":null", name);
}

static void print_part(const struct ferry_consumer_core *core,
                       const struct ferry_consumer_part *part, struct ferry_text *out)
{
    static const char *const states[] = {"idle", "lookup", "fetching", "failed"};
    const struct ferry_fetcher_part *f = &part->fetch;
    bool committed = core->client->settings->isolation_level == 1;
    int64_t position = ferry_consumer_part_position(part);
    int64_t end = atomic_load(committed ? &part->stable : &part->high);
    ferry_text_add(out, "{\"topic\":");
    ferry_text_add_json(out, part->topic);
    ferry_text_add(out,
                   ",\"partition\":%" PRId32 ",\"state\":\"%s\",\"paused\":%s,\"node\":%" PRId32,
                   part->partition, states[f->state], f->paused ? "true" : "false",
                   f->node ? f->node->node : -1);
    print_offset(out, "position", position);
    print_offset(out, "fetch_offset", f->state == FERRY_FETCHER_FETCHING ? f->offset : -1);
    print_offset(out, "stored", atomic_load(&part->stored));
    print_offset(out, "committed", part->committed);
    print_offset(out, "log_start", atomic_load(&part->low));
    print_offset(out, "high_watermark", atomic_load(&part->high));
    print_offset(out, "last_stable", atomic_load(&part->stable));
    print_offset(out, "lag", position < 0 || end < 0 ? -1 : end > position ? end - position : 0);
    print_number(out, "queued_bytes", atomic_load(&part->queued));
    print_number(out, "records", (int64_t)part->records);
    print_number(out, "bytes", (int64_t)part->bytes);
    ferry_text_add(out, ",\"fetch_records\":");
    ferry_window_json(&part->fetch_records, out);
    ferry_text_add(out, ",\"fetch_bytes\":");
    ferry_window_json(&part->fetch_bytes, out);
    ferry_text_add(out, "}");
}

static void print_group(const struct ferry_group *g, struct ferry_text *out)
{
    struct ferry_group_identity who = ferry_group_identity(g);
    ferry_text_add(out, "{\"id\":");
    ferry_text_add_json(out, who.group_id);
    ferry_text_add(out, ",\"state\":\"%s\",\"generation\":%" PRId32 ",\"member\":",
                   ferry_group_state_name(g), who.generation);
    ferry_text_add_json(out, who.member_id);
    ferry_text_add(out, "}");
}

static void print(const struct ferry_consumer_core *core, struct ferry_text *out)
{
    ferry_text_add(out, ",\"consumer\":{\"group\":");
    if (core->group)
        print_group(core->group, out);
    else
        ferry_text_add(out, "null");
    print_number(out, "rebalances", (int64_t)core->rebalances);
    print_number(out, "commits", (int64_t)core->commit_count);
    print_number(out, "commit_failures", (int64_t)core->commit_failures);
    print_number(out, "records", (int64_t)core->records);
    print_number(out, "bytes", (int64_t)core->bytes);
    print_number(out, "answers", (int64_t)core->answers);
    print_number(out, "held_bytes", atomic_load(&core->shared->held));
    ferry_text_add(out, ",\"fetch_us\":");
    ferry_window_json(&core->fetch_us, out);
    ferry_text_add(out, ",\"commit_us\":");
    ferry_window_json(&core->commit_us, out);
    ferry_text_add(out, ",\"partitions\":[");
    for (size_t i = 0; i < core->part_count; i++) {
        ferry_text_add(out, "%s", i ? "," : "");
        print_part(core, core->parts[i], out);
    }
    ferry_text_add(out, "]}");
}

void ferry_consumer_on_statistics(struct ferry_client *client, struct ferry_observer *o,
                                  struct ferry_text *out)
{
    struct ferry_consumer_core *core = o->cookie;
    (void)client;
    if (out) {
        print(core, out);
        return;
    }
    ferry_window_roll(&core->fetch_us);
    ferry_window_roll(&core->commit_us);
    for (size_t i = 0; i < core->part_count; i++) {
        ferry_window_roll(&core->parts[i]->fetch_records);
        ferry_window_roll(&core->parts[i]->fetch_bytes);
    }
}
