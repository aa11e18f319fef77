/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/sim/ledger.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/producer.h"
#include "record/batch.h"
#include "record/compress.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUE_HEAD = 12, VALUE_MAX = 240, MAX_EPOCHS = 64 };
#define VALUE_MAGIC 0x46455252u

struct send {
    struct ledger_promise promise;
    int producer, topic;
    int32_t partition; /* -1: not known */
    int error, outcome;
    uint32_t reports, copies;
    int64_t offset;      /* as reported */
    uint32_t losses;     /* power losses before it was acknowledged */
    bool acked, durable; /* durable: a clean stop came after the acknowledgement */
};

/* A partition as read from the disk in the end, and as consumers saw it. */
struct log_view {
    int64_t *ids; /* by offset */
    int64_t end, cap;
    int64_t *seen; /* by offset: the id that a consumer was given, -1: none */
    int64_t seen_cap;
    int64_t watermark[MAX_EPOCHS]; /* by leader epoch */
    int64_t told;                  /* the last one, and power losses before it */
    uint32_t told_losses;
};

struct ledger {
    struct sim_world *world;
    struct send *sends;
    uint64_t count, cap, acked, failed, reported, segments;
    bool flush_each;
    uint32_t losses;
    struct log_view logs[LEDGER_TOPICS][LEDGER_PARTITIONS];
};

struct ledger *ledger_new(struct sim_world *w, bool flush_each)
{
    struct ledger *l = ferry_zalloc(sizeof *l);
    FERRY_CHECK(l);
    l->world = w;
    l->flush_each = flush_each;
    return l;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    for (int t = 0; t < LEDGER_TOPICS; t++)
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            ferry_free(l->logs[t][p].ids);
            ferry_free(l->logs[t][p].seen);
        }
    ferry_free(l->sends);
    ferry_free(l);
}

static const char *const topic_names[LEDGER_TOPICS] = {"red", "blue"};

const char *ledger_topic_name(int topic)
{
    return topic_names[topic];
}

int ledger_topic_named(const char *name)
{
    for (int t = 0; t < LEDGER_TOPICS; t++)
        if (!strcmp(name, topic_names[t]))
            return t;
    return -1;
}

/* ---- sends ---- */

uint64_t ledger_send(struct ledger *l, int producer, struct ledger_promise promise, int topic,
                     int32_t partition)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 1024;
        l->sends = ferry_realloc(l->sends, l->cap * sizeof *l->sends);
        FERRY_CHECK(l->sends);
    }
    l->sends[l->count] = (struct send){.promise = promise,
                                       .producer = producer,
                                       .topic = topic,
                                       .partition = partition,
                                       .offset = -1};
    return l->count++;
}

void ledger_refused(struct ledger *l, uint64_t id)
{
    struct send *s = &l->sends[id];
    s->reports = 1;
    s->outcome = FERRY_NOT_PERSISTED;
    s->error = -1;
    l->reported++;
    l->failed++;
}

size_t ledger_value(uint64_t id, uint8_t *out, size_t room)
{
    size_t len = VALUE_HEAD + id * 2654435761u % (VALUE_MAX - VALUE_HEAD);
    uint32_t magic = VALUE_MAGIC;
    FERRY_CHECK(len <= room);
    memcpy(out, &magic, 4);
    memcpy(out + 4, &id, 8);
    for (size_t i = VALUE_HEAD; i < len; i++)
        out[i] = (uint8_t)(id * 31 + i * i);
    return len;
}

int64_t ledger_id_of(const uint8_t *value, size_t len)
{
    uint8_t want[VALUE_MAX];
    uint64_t id;
    uint32_t magic;
    if (len < VALUE_HEAD || len > VALUE_MAX)
        return -1;
    memcpy(&magic, value, 4);
    memcpy(&id, value + 4, 8);
    if (magic != VALUE_MAGIC || id > INT32_MAX || ledger_value(id, want, sizeof want) != len)
        return -1;
    return memcmp(want, value, len) ? -1 : (int64_t)id;
}

void ledger_report(struct ledger *l, uint64_t id, int32_t partition, int error, int outcome,
                   int64_t offset)
{
    if (id >= l->count) {
        sim_world_fail(l->world, "a report names send %" PRIu64 ", which there never was", id);
        return;
    }
    struct send *s = &l->sends[id];
    sim_world_note(l->world, "report of %" PRIu64 ": error %d outcome %d at %d/%" PRId64, id, error,
                   outcome, partition, offset);
    if (s->reports++)
        sim_world_fail(l->world, "send %" PRIu64 " is reported twice", id);
    if (s->partition >= 0 && partition >= 0 && s->partition != partition)
        sim_world_fail(l->world, "send %" PRIu64 " to partition %d is reported in %d", id,
                       s->partition, partition);
    if ((outcome == FERRY_PERSISTED) != (error == 0))
        sim_world_fail(l->world, "send %" PRIu64 " is reported with outcome %d and error %d", id,
                       outcome, error);
    if (partition >= 0)
        s->partition = partition;
    s->error = error;
    s->outcome = outcome;
    s->offset = offset;
    s->losses = l->losses;
    s->acked = outcome == FERRY_PERSISTED && s->promise.acked;
    l->reported++;
    l->acked += s->acked;
    l->failed += outcome != FERRY_PERSISTED;
}

void ledger_power_loss(struct ledger *l)
{
    l->losses++;
}

void ledger_clean_stop(struct ledger *l)
{
    for (uint64_t i = 0; i < l->count; i++)
        if (l->sends[i].losses == l->losses) /* else an earlier power loss may have taken it */
            l->sends[i].durable |= l->sends[i].acked;
}

uint32_t ledger_losses(const struct ledger *l)
{
    return l->losses;
}

bool ledger_flushes_each(const struct ledger *l)
{
    return l->flush_each;
}

uint64_t ledger_sent(const struct ledger *l)
{
    return l->count;
}

uint64_t ledger_acked(const struct ledger *l)
{
    return l->acked;
}

uint64_t ledger_failed(const struct ledger *l)
{
    return l->failed;
}

uint64_t ledger_segments(const struct ledger *l)
{
    return l->segments;
}

uint64_t ledger_open(const struct ledger *l)
{
    return l->count - l->reported;
}

int64_t ledger_end(const struct ledger *l, int topic, int32_t partition)
{
    return l->logs[topic][partition].end;
}

/* ---- what is read on the way ---- */

static void see(struct ledger *l, struct log_view *v, int64_t offset, int64_t id)
{
    while (offset >= v->seen_cap) {
        int64_t cap = v->seen_cap ? 2 * v->seen_cap : 1024;
        v->seen = ferry_realloc(v->seen, (size_t)cap * sizeof *v->seen);
        FERRY_CHECK(v->seen);
        for (int64_t i = v->seen_cap; i < cap; i++)
            v->seen[i] = -1;
        v->seen_cap = cap;
    }
    v->seen[offset] = id;
}

void ledger_consumed(struct ledger *l, const char *who, int topic, int32_t partition,
                     int64_t offset, const uint8_t *value, size_t len)
{
    int64_t id = ledger_id_of(value, len);
    struct log_view *v = &l->logs[topic][partition];
    sim_world_note(l->world, "%s has %s-%d@%" PRId64 ": %" PRId64, who, topic_names[topic],
                   partition, offset, id);
    if (id < 0 || id >= (int64_t)l->count || offset < 0) {
        sim_world_fail(l->world, "%s is given a record that nobody sent, at %s-%d@%" PRId64, who,
                       topic_names[topic], partition, offset);
        return;
    }
    if (offset < v->seen_cap && v->seen[offset] >= 0 && v->seen[offset] != id &&
        (l->flush_each || l->losses == 0))
        sim_world_fail(l->world,
                       "%s is given send %" PRId64 " at %s-%d@%" PRId64 ", where send %" PRId64
                       " was seen before",
                       who, id, topic_names[topic], partition, offset, v->seen[offset]);
    see(l, v, offset, id);
}

/* What is below a high watermark survives, a power loss too where the flush policy is 1. */
static bool watermark_holds(const struct ledger *l, const struct log_view *v)
{
    return l->flush_each || v->told_losses == l->losses;
}

void ledger_watermark(struct ledger *l, int topic, int32_t partition, int32_t leader_epoch,
                      int64_t offset)
{
    if (leader_epoch < 0 || leader_epoch >= MAX_EPOCHS)
        return;
    struct log_view *v = &l->logs[topic][partition];
    int64_t *known = &v->watermark[leader_epoch];
    sim_world_note(l->world, "high watermark of %s-%d: %" PRId64 " in epoch %d", topic_names[topic],
                   partition, offset, leader_epoch);
    if (offset < *known)
        sim_world_fail(l->world,
                       "the high watermark of %s-%d went back from %" PRId64 " to %" PRId64
                       " within leader epoch %d",
                       topic_names[topic], partition, *known, offset, leader_epoch);
    *known = offset;
    if (offset < v->told && watermark_holds(l, v))
        sim_world_fail(l->world,
                       "the high watermark of %s-%d went back from %" PRId64 " to %" PRId64
                       ", and nothing below it may be lost",
                       topic_names[topic], partition, v->told, offset);
    v->told = offset;
    v->told_losses = l->losses;
}

/* ---- the logs in the end ---- */

struct reading {
    struct ledger *ledger;
    struct log_view *view;
    const char *directory;
    size_t prefix;
    struct {
        char path[96];
        struct ferry_bytes bytes;
    } files[512];
    int count;
};

static void collect(const char *path, struct ferry_bytes bytes, void *cookie)
{
    struct reading *r = cookie;
    size_t len = strlen(path);
    if (strncmp(path, r->directory, r->prefix) || len < 4 || strcmp(path + len - 4, ".log"))
        return;
    FERRY_CHECK(r->count < 512 && len < sizeof r->files[0].path);
    int at = r->count++;
    while (at > 0 && strcmp(r->files[at - 1].path, path) > 0) {
        r->files[at] = r->files[at - 1];
        at--;
    }
    snprintf(r->files[at].path, sizeof r->files[at].path, "%s", path);
    r->files[at].bytes = bytes;
}

static void read_record(struct reading *r, const struct ferry_batch_record *record)
{
    struct log_view *v = r->view;
    if (record->offset != v->end) {
        sim_world_fail(r->ledger->world, "%s has offset %" PRId64 " where %" PRId64 " is expected",
                       r->directory, record->offset, v->end);
        return;
    }
    if (v->end == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 1024;
        v->ids = ferry_realloc(v->ids, (size_t)v->cap * sizeof *v->ids);
        FERRY_CHECK(v->ids);
    }
    int64_t id = ledger_id_of(record->value.data, record->value.len);
    if (id < 0 || id >= (int64_t)r->ledger->count)
        sim_world_fail(r->ledger->world, "%s@%" PRId64 " holds what nobody sent", r->directory,
                       v->end);
    v->ids[v->end++] = id;
}

static void read_batch(struct reading *r, const struct ferry_batch *b)
{
    struct ferry_batch_iter it;
    struct ferry_batch_record record;
    struct ferry_error err = {0};
    struct ferry_slab *plain = NULL;
    struct ferry_bytes records = b->records;
    int rc = ferry_batch_check_crc(b, &err);
    if (!rc && ferry_batch_codec(b)) {
        struct ferry_codecs *codecs = ferry_codecs_new();
        rc = ferry_decompress(codecs, ferry_batch_codec(b), records, 1 << 24, &plain, &err);
        ferry_codecs_free(codecs);
        if (!rc)
            records = (struct ferry_bytes){plain->data, plain->len};
    }
    if (!rc)
        rc = ferry_batch_iter_init(&it, b, records, b->base_offset, INT64_MAX, &err);
    while (!rc && ferry_batch_iter_next(&it, &record, &err) > 0)
        read_record(r, &record);
    if (rc)
        sim_world_fail(r->ledger->world, "%s@%" PRId64 ": %s", r->directory, b->base_offset,
                       err.text);
    ferry_slab_unref(plain);
}

static void read_log(struct ledger *l, struct sim_disk *disk, int topic, int32_t partition)
{
    char directory[64];
    struct reading r = {.ledger = l, .view = &l->logs[topic][partition], .directory = directory};
    struct ferry_error err = {0};
    r.prefix =
        (size_t)snprintf(directory, sizeof directory, "%s-%d/", topic_names[topic], partition);
    r.view->end = 0;
    sim_disk_each(disk, collect, &r);
    l->segments += (uint64_t)r.count;
    for (int i = 0; i < r.count; i++) {
        struct ferry_batch_set set;
        struct ferry_batch b;
        int rc;
        ferry_batch_set_init(&set, r.files[i].bytes);
        while ((rc = ferry_batch_set_next(&set, &b, &err)) > 0)
            read_batch(&r, &b);
        if (rc < 0 || set.truncated)
            sim_world_fail(l->world, "%s cannot be read to its end: %s (%zu bytes left)",
                           r.files[i].path, err.text, set.truncated);
    }
}

/* Copies, places and order of what one log holds. */
static void check_log(struct ledger *l, int topic, int32_t partition)
{
    struct log_view *v = &l->logs[topic][partition];
    int64_t last[64];
    for (int i = 0; i < 64; i++)
        last[i] = -1;
    for (int64_t o = 0; o < v->end; o++) {
        struct send *s = &l->sends[v->ids[o]];
        if (s->topic != topic || (s->partition >= 0 && s->partition != partition))
            sim_world_fail(l->world, "send %" PRId64 " for %s-%d is in %s-%d@%" PRId64, v->ids[o],
                           topic_names[s->topic], s->partition, topic_names[topic], partition, o);
        bool again = s->copies++ > 0;
        if (again && s->promise.idempotent)
            sim_world_fail(l->world,
                           "send %" PRId64 " is there twice, the second time at %s-%d@%" PRId64,
                           v->ids[o], topic_names[topic], partition, o);
        /* Without idempotence a send that was given up may still arrive, by a connection given up too. */
        if (again || !s->promise.ordered || (!s->promise.idempotent && !s->acked))
            continue;
        if (v->ids[o] < last[s->producer])
            sim_world_fail(l->world,
                           "send %" PRId64 " at %s-%d@%" PRId64 " comes behind send %" PRId64
                           " of the same producer",
                           v->ids[o], topic_names[topic], partition, o, last[s->producer]);
        last[s->producer] = v->ids[o];
    }
}

static bool is_there(const struct ledger *l, uint64_t id)
{
    const struct send *s = &l->sends[id];
    const struct log_view *v = &l->logs[s->topic][s->partition];
    return s->offset < v->end && v->ids[s->offset] == (int64_t)id;
}

/* Was `id`, which is missing, lost as part of a suffix? */
static void check_suffix(struct ledger *l, uint64_t id)
{
    const struct send *lost = &l->sends[id];
    for (uint64_t i = 0; i < l->count; i++) {
        const struct send *s = &l->sends[i];
        if (!s->acked || s->topic != lost->topic || s->partition != lost->partition ||
            s->offset <= lost->offset || s->losses > lost->losses || !is_there(l, i))
            continue;
        sim_world_fail(l->world,
                       "a power loss took send %" PRIu64 " at %s-%d@%" PRId64
                       " and left send %" PRIu64 " at @%" PRId64 " behind it",
                       id, topic_names[s->topic], s->partition, lost->offset, i, s->offset);
        return;
    }
}

static void check_send(struct ledger *l, uint64_t id)
{
    const struct send *s = &l->sends[id];
    if (s->reports != 1)
        sim_world_fail(l->world, "send %" PRIu64 " has %u reports", id, s->reports);
    if (s->outcome == FERRY_NOT_PERSISTED && s->copies)
        sim_world_fail(l->world,
                       "send %" PRIu64 " was reported as not persisted, and is in the log", id);
    if (!s->acked)
        return;
    if (s->offset < 0 || s->partition < 0) {
        sim_world_fail(l->world, "send %" PRIu64 " was acknowledged without a place", id);
        return;
    }
    if (is_there(l, id))
        return;
    if (s->losses == l->losses || l->flush_each || s->durable)
        sim_world_fail(l->world,
                       "send %" PRIu64 " was acknowledged at %s-%d@%" PRId64
                       " and is not there (%u copies elsewhere)",
                       id, topic_names[s->topic], s->partition, s->offset, s->copies);
    else
        check_suffix(l, id);
}

void ledger_check(struct ledger *l, struct sim_disk *disk)
{
    for (int t = 0; t < LEDGER_TOPICS; t++)
        for (int32_t p = 0; p < LEDGER_PARTITIONS; p++) {
            read_log(l, disk, t, p);
            check_log(l, t, p);
            struct log_view *v = &l->logs[t][p];
            if (v->end < v->told && watermark_holds(l, v))
                sim_world_fail(l->world,
                               "%s-%d ends at %" PRId64 ", below its high watermark %" PRId64,
                               topic_names[t], p, v->end, v->told);
        }
    if (sim_world_failure(l->world)[0])
        return;
    for (uint64_t id = 0; id < l->count; id++)
        check_send(l, id);
}

void ledger_check_seen(struct ledger *l)
{
    for (int t = 0; t < LEDGER_TOPICS; t++)
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            struct log_view *v = &l->logs[t][p];
            for (int64_t o = 0; o < v->seen_cap; o++)
                if (v->seen[o] >= 0 && (o >= v->end || v->ids[o] != v->seen[o]) &&
                    (l->flush_each || l->losses == 0))
                    sim_world_fail(l->world,
                                   "a consumer was given send %" PRId64 " at %s-%d@%" PRId64
                                   ", and the log does not hold it",
                                   v->seen[o], topic_names[t], p, o);
        }
}
