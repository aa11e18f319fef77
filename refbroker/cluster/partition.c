/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "refbroker/cluster/partition.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "ferry/kafka_errors.h"
#include "record/compress.h"
#include "refbroker/node_state.h"

#include <stdio.h>

static void fill_log_config(const struct broker_node *n, const struct topic_settings *s,
                            struct log_config *c)
{
    log_config_defaults(c);
    c->segment_bytes = s->segment_bytes;
    c->segment_ms = s->segment_ms;
    c->segment_jitter_ms = s->segment_jitter_ms;
    c->segment_index_bytes = s->segment_index_bytes;
    c->index_interval_bytes = s->index_interval_bytes;
    c->retention_ms = s->retention_ms;
    c->retention_bytes = s->retention_bytes;
    c->flush_messages = s->flush_messages;
    c->flush_ms = s->flush_ms;
    c->file_delete_delay_ms = s->file_delete_delay_ms;
    c->max_message_bytes = s->max_message_bytes;
    c->timestamp_before_max_ms = s->timestamp_before_ms;
    c->timestamp_after_max_ms = s->timestamp_after_ms;
    c->codec = s->compression_type == TOPIC_COMPRESSION_PRODUCER ? LOG_CODEC_PRODUCER
                                                                 : s->compression_type;
    c->codec_level = s->compression_type == TOPIC_COMPRESSION_GZIP   ? s->gzip_level
                     : s->compression_type == TOPIC_COMPRESSION_LZ4  ? s->lz4_level
                     : s->compression_type == TOPIC_COMPRESSION_ZSTD ? s->zstd_level
                                                                     : FERRY_CODEC_LEVEL_DEFAULT;
    if (s->compression_type == TOPIC_COMPRESSION_GZIP && s->gzip_level == -1)
        c->codec_level = FERRY_CODEC_LEVEL_DEFAULT;
    c->producer_expiry_ms = n->config.now.producer_id_expiration_ms;
    /* Compaction is not there yet: a topic that asks for it, alone or with delete, is never cut. */
    c->cleanup_delete = s->cleanup == TOPIC_CLEANUP_DELETE;
    c->cleanup_compact = (s->cleanup & TOPIC_CLEANUP_COMPACT) != 0;
    c->append_time = s->timestamp_type == TOPIC_LOG_APPEND_TIME;
    c->validate_deep = n->config.now.validate == BROKER_VALIDATE_DEEP;
}

static void wake_all(struct broker_partition *p)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &p->waiters)
    {
        struct broker_waiter *w = FERRY_CONTAINER(it, struct broker_waiter, link);
        w->wake(w);
    }
}

static void begin_delete(struct broker_partition *);

static int64_t readable_end(const struct log *log)
{
    return FERRY_PLANTED(WATERMARK_UNFLUSHED) ? log->end : log_stable_end(log);
}

static void opened(struct broker_partition *p, int error)
{
    struct broker_node *n = p->node;
    struct log *log = p->log;
    if (!p->topic) { /* deleted meanwhile */
        begin_delete(p);
        return;
    }
    if (error) {
        p->error = FERRY_KAFKA_KAFKA_STORAGE_ERROR;
        broker_node_say(
            n, LOG_ERROR,
            "%s-%d cannot be used: its log does not open (%d); the partition stays offline",
            p->topic->name, (int)p->index, error);
    } else {
        p->open = true;
        log_set_high_watermark(log, readable_end(log));
        broker_groups_log_opened(n, p);
    }
    broker_node_log_opened(n);
}

static void on_settled(struct log_request *r, int error)
{
    opened(FERRY_CONTAINER(r, struct broker_partition, settling), error);
}

/* Where nobody sees what is not on disk, a log that was found after a crash is flushed before it is served: else the high
 * watermark would stand below what was seen before. */
static void on_open(struct log *log, void *cookie, int error)
{
    struct broker_partition *p = cookie;
    if (error || !p->topic || readable_end(log) >= log->end) {
        opened(p, error);
        return;
    }
    p->settling.done = on_settled;
    log_flush(log, &p->settling);
}

static void on_moved(struct log *log, void *cookie)
{
    struct broker_partition *p = cookie;
    int64_t before = log->high_watermark;
    log_set_high_watermark(log, readable_end(log));
    if (log->high_watermark != before)
        wake_all(p);
}

static const struct log_owner owner = {on_open, on_moved};

int broker_partition_open(struct broker_node *n, struct image_topic *t, int32_t index)
{
    struct broker_partition *p = ferry_zalloc(sizeof *p);
    if (!p)
        return FERRY_E_NOMEM;
    p->node = n;
    p->topic = t;
    p->index = index;
    ferry_list_init(&p->waiters);
    struct log_config config;
    fill_log_config(n, &t->settings, &config);
    p->log = log_open(&n->dir, t->name, index, &t->id, &config, &owner, p);
    if (!p->log) {
        ferry_free(p);
        return FERRY_E_NOMEM;
    }
    t->partitions[index].local = p;
    return 0;
}

static void on_deleted(struct log_request *r, int error)
{
    struct broker_partition *p = FERRY_CONTAINER(r, struct broker_partition, closing);
    if (error)
        broker_node_say(p->node, LOG_ERROR, "a deleted partition's files stay behind (%d)", error);
    p->node->deleting--;
    ferry_list_remove(&p->gone);
    ferry_free(p);
}

static void begin_delete(struct broker_partition *p)
{
    struct log *log = p->log;
    p->log = NULL;
    p->closing.done = on_deleted;
    log_delete(log, &p->closing);
}

void broker_partition_delete(struct broker_partition *p)
{
    bool opening = !p->open && !p->error;
    p->topic = NULL;
    p->open = false;
    p->error = FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    p->node->deleting++;
    ferry_list_push_back(&p->node->gone, &p->gone);
    wake_all(p);
    FERRY_CHECK(ferry_list_empty(&p->waiters)); /* whoever is woken by a deletion leaves */
    if (!opening) /* else when it is open: a log is not pulled away from under its opening */
        begin_delete(p);
}

void broker_partition_free(struct broker_partition *p)
{
    ferry_free(p);
}

void broker_partition_configure(struct broker_partition *p)
{
    struct log_config config;
    fill_log_config(p->node, &p->topic->settings, &config);
    log_configure(p->log, &config);
}

int broker_partition_find(struct broker_node *n, struct ferry_str name, const struct ferry_uuid *id,
                          int32_t index, struct broker_partition **out)
{
    struct image_topic *t =
        name.data ? broker_image_topic(&n->image, name) : broker_image_topic_by_id(&n->image, id);
    if (!t)
        return name.data ? FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : FERRY_KAFKA_UNKNOWN_TOPIC_ID;
    struct image_partition *ip = broker_image_partition(t, index);
    if (!ip)
        return FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    struct broker_partition *p = ip->local;
    if (!p || (!p->open && !p->error))
        return FERRY_KAFKA_LEADER_NOT_AVAILABLE;
    *out = p;
    return n->dir.offline ? FERRY_KAFKA_KAFKA_STORAGE_ERROR : p->error;
}

int broker_partition_check_epoch(const struct broker_partition *p, int32_t epoch)
{
    int32_t ours = broker_partition_epoch(p);
    return epoch < 0 || epoch == ours ? 0
           : epoch < ours             ? FERRY_KAFKA_FENCED_LEADER_EPOCH
                                      : FERRY_KAFKA_UNKNOWN_LEADER_EPOCH;
}

static void reconcile_topic(struct broker_node *n, struct image_topic *t)
{
    struct topic_settings fresh = {0};
    const struct broker_overrides *o =
        broker_image_configs(&n->image, IMAGE_RESOURCE_TOPIC, ferry_str_of(t->name));
    if (topic_settings_init(&fresh, &n->config, o)) {
        broker_node_fail(n, "no memory for the settings of topic %s", t->name);
        return;
    }
    if (t->has_settings)
        topic_settings_free(&t->settings);
    t->settings = fresh;
    t->has_settings = true;
    for (int32_t i = 0; i < t->partition_count; i++) {
        struct image_partition *ip = &t->partitions[i];
        if (ip->local)
            broker_partition_configure(ip->local);
        else if (ip->exists && n->phase >= PHASE_LOGS) {
            n->opening += n->phase == PHASE_LOGS;
            if (broker_partition_open(n, t, i))
                broker_node_fail(n, "no memory for partition %s-%d", t->name, (int)i);
        }
    }
}

static void reconcile_brokers(struct broker_node *n)
{
    char id[16];
    snprintf(id, sizeof id, "%d", (int)n->config.now.node_id);
    const struct broker_overrides *of_all =
        broker_image_configs(&n->image, IMAGE_RESOURCE_BROKER, FERRY_STR(""));
    const struct broker_overrides *of_this =
        broker_image_configs(&n->image, IMAGE_RESOURCE_BROKER, ferry_str_of(id));
    broker_overrides_free(&n->config.cluster);
    broker_overrides_free(&n->config.own);
    if ((of_all && broker_overrides_copy(&n->config.cluster, of_all)) ||
        (of_this && broker_overrides_copy(&n->config.own, of_this)) ||
        broker_config_apply(&n->config)) {
        broker_node_fail(n, "no memory for the broker's settings");
        return;
    }
    struct ferry_map_entry *e;
    for (size_t at = 0; (e = ferry_map_next(&n->image.by_name, &at));) {
        struct image_topic *t = e->value;
        if (!ferry_link_linked(&t->changed))
            ferry_list_push_back(&n->image.changed, &t->changed);
    }
}

void broker_partition_reconcile(struct broker_node *n)
{
    if (n->image.brokers_changed) {
        n->image.brokers_changed = false;
        reconcile_brokers(n);
    }
    struct ferry_link *l;
    while ((l = ferry_list_pop_front(&n->image.removed))) {
        struct image_topic *t = FERRY_CONTAINER(l, struct image_topic, changed);
        for (int32_t i = 0; i < t->partition_count; i++)
            if (t->partitions[i].local)
                broker_partition_delete(t->partitions[i].local);
        broker_groups_topic_removed(n, t);
        broker_image_free_topic(t);
    }
    while ((l = ferry_list_pop_front(&n->image.changed)))
        reconcile_topic(n, FERRY_CONTAINER(l, struct image_topic, changed));
}
