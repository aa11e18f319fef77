/* SPDX-License-Identifier: BSD-2-Clause */
/* What both halves of the consumer and every buffer share, and partitions. */
#include "config.h"

#include "client/consumer.h"

#include "base/mem.h"
#include "record/compress.h"

struct ferry_consumer_shared *ferry_consumer_shared_new(void)
{
    struct ferry_consumer_shared *s = ferry_zalloc(sizeof *s);
    if (s)
        atomic_init(&s->refs, 1);
    return s;
}

struct ferry_consumer_shared *ferry_consumer_shared_ref(struct ferry_consumer_shared *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void ferry_consumer_shared_unref(struct ferry_consumer_shared *s)
{
    size_t at = 0;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (struct ferry_map_entry *e; (e = ferry_map_next(&s->topics, &at));)
        ferry_free(e->value);
    ferry_map_free(&s->topics);
    ferry_codecs_free(atomic_load(&s->codecs));
    if (s->on_free)
        s->on_free(s->owner);
    ferry_free(s);
}

static const char *intern(struct ferry_consumer_shared *s, struct ferry_str topic)
{
    char *name = ferry_map_get(&s->topics, topic.data, topic.len);
    if (name)
        return name;
    if (!(name = ferry_strndup(topic.data, topic.len)))
        return NULL;
    if (ferry_map_put(&s->topics, topic.data, topic.len, name, NULL)) {
        ferry_free(name);
        return NULL;
    }
    return name;
}

struct ferry_consumer_part *ferry_consumer_part_new(struct ferry_consumer_shared *shared,
                                                    struct ferry_str topic, int32_t partition)
{
    struct ferry_consumer_part *part;
    const char *name = intern(shared, topic);
    if (!name || !(part = ferry_zalloc(sizeof *part)))
        return NULL;
    atomic_init(&part->refs, 1);
    part->topic = (struct ferry_str){name, topic.len};
    part->partition = partition;
    part->shared = ferry_consumer_shared_ref(shared);
    atomic_init(&part->epoch, 1);
    atomic_init(&part->position, FERRY_OFFSET_NONE);
    atomic_init(&part->stored, FERRY_OFFSET_NONE);
    atomic_init(&part->stored_leader_epoch, -1);
    atomic_init(&part->low, -1);
    atomic_init(&part->high, -1);
    atomic_init(&part->stable, -1);
    ferry_list_init(&part->outstanding);
    part->committed = FERRY_OFFSET_NONE;
    part->fetch.replica = -1;
    return part;
}

struct ferry_consumer_part *ferry_consumer_part_ref(struct ferry_consumer_part *part)
{
    atomic_fetch_add_explicit(&part->refs, 1, memory_order_relaxed);
    return part;
}

void ferry_consumer_part_unref(struct ferry_consumer_part *part)
{
    if (!part || atomic_fetch_sub_explicit(&part->refs, 1, memory_order_acq_rel) > 1)
        return;
    ferry_window_free(&part->fetch_records);
    ferry_window_free(&part->fetch_bytes);
    ferry_consumer_shared_unref(part->shared);
    ferry_free(part);
}

int64_t ferry_consumer_part_position(const struct ferry_consumer_part *part)
{
    int64_t position = atomic_load(&part->position);
    if (position != FERRY_OFFSET_NONE)
        return position;
    /* start is written before start_epoch: if the epoch is the present one, so is (at least) the offset. */
    if (atomic_load(&part->start_epoch) != atomic_load(&part->epoch))
        return FERRY_OFFSET_NONE;
    return atomic_load(&part->start);
}
