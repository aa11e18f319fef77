/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "refbroker/cluster/image.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/plant.h"
#include "wire/apis.h"
#include "wire/codec.h"

#include <stdio.h>

enum { PARTITION_MAX = 1000000, RECORD_ARENA_MAX = 1 << 20, KEY_MAX = 300 };

int broker_image_init(struct broker_image *im)
{
    *im = (struct broker_image){0};
    ferry_list_init(&im->changed);
    ferry_list_init(&im->removed);
    im->scratch = ferry_zalloc(sizeof *im->scratch);
    if (!im->scratch)
        return FERRY_E_NOMEM;
    ferry_arena_init(im->scratch, RECORD_ARENA_MAX);
    return 0;
}

void broker_image_free_topic(struct image_topic *t)
{
    ferry_list_remove(&t->changed);
    for (int32_t i = 0; i < t->partition_count; i++)
        ferry_free(t->partitions[i].replicas);
    ferry_free(t->partitions);
    ferry_free(t->name);
    if (t->has_settings)
        topic_settings_free(&t->settings);
    ferry_free(t);
}

void broker_image_free(struct broker_image *im)
{
    struct ferry_map_entry *e;
    if (!im->scratch)
        return;
    for (size_t at = 0; (e = ferry_map_next(&im->by_name, &at));)
        broker_image_free_topic(e->value);
    while (!ferry_list_empty(&im->removed))
        broker_image_free_topic(FERRY_CONTAINER(im->removed.next, struct image_topic, changed));
    for (size_t at = 0; (e = ferry_map_next(&im->configs, &at));) {
        broker_overrides_free(e->value);
        ferry_free(e->value);
    }
    ferry_map_free(&im->by_name);
    ferry_map_free(&im->by_id);
    ferry_map_free(&im->removed_ids);
    ferry_map_free(&im->configs);
    ferry_arena_free(im->scratch);
    ferry_free(im->scratch);
    im->scratch = NULL;
}

struct image_topic *broker_image_topic(const struct broker_image *im, struct ferry_str name)
{
    return name.data ? ferry_map_get(&im->by_name, name.data, name.len) : NULL;
}

struct image_topic *broker_image_topic_by_id(const struct broker_image *im,
                                             const struct ferry_uuid *id)
{
    return ferry_map_get(&im->by_id, id, sizeof *id);
}

bool broker_image_was_removed(const struct broker_image *im, const struct ferry_uuid *id)
{
    return ferry_map_get(&im->removed_ids, id, sizeof *id) != NULL;
}

static void mark(struct broker_image *im, struct image_topic *t)
{
    if (!ferry_link_linked(&t->changed))
        ferry_list_push_back(&im->changed, &t->changed);
}

static bool is_internal(const char *name)
{
    return !strcmp(name, "__consumer_offsets") || !strcmp(name, "__transaction_state") ||
           !strcmp(name, "__share_group_state");
}

static int apply_topic(struct broker_image *im, const struct ferry_topic_record *r,
                       struct ferry_error *err)
{
    if (broker_image_topic(im, r->name) || broker_image_topic_by_id(im, &r->topic_id) ||
        !r->name.len)
        return ferry_fail(err, FERRY_E_PROTOCOL, "topic %.*s is made a second time",
                          (int)r->name.len, r->name.data);
    struct image_topic *t = ferry_zalloc(sizeof *t);
    if (!t || !(t->name = ferry_strndup(r->name.data, r->name.len))) {
        ferry_free(t);
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a topic");
    }
    t->id = r->topic_id;
    t->internal = is_internal(t->name);
    if (ferry_map_put(&im->by_name, r->name.data, r->name.len, t, NULL)) {
        broker_image_free_topic(t);
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a topic");
    }
    if (ferry_map_put(&im->by_id, &t->id, sizeof t->id, t, NULL)) {
        ferry_map_remove(&im->by_name, r->name.data, r->name.len);
        broker_image_free_topic(t);
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a topic");
    }
    mark(im, t);
    return 0;
}

static int set_replicas(struct image_partition *p, const int32_t *replicas, int32_t count)
{
    int32_t *copy = NULL;
    if (count > 0 && !(copy = ferry_memdup(replicas, (size_t)count * sizeof *copy)))
        return FERRY_E_NOMEM;
    ferry_free(p->replicas);
    p->replicas = copy;
    p->replica_count = count > 0 ? count : 0;
    return 0;
}

static int apply_partition(struct broker_image *im, const struct ferry_partition_record *r,
                           struct ferry_error *err)
{
    struct image_topic *t = broker_image_topic_by_id(im, &r->topic_id);
    if (!t || r->partition_id < 0 || r->partition_id >= PARTITION_MAX)
        return ferry_fail(err, FERRY_E_PROTOCOL, "partition %d of a topic that is not there",
                          (int)r->partition_id);
    if (FERRY_GROW(t->partitions, t->partition_cap, (size_t)r->partition_id + 1))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for partitions of %s", t->name);
    for (; t->partition_count <= r->partition_id; t->partition_count++)
        t->partitions[t->partition_count] = (struct image_partition){.leader = -1};
    struct image_partition *p = &t->partitions[r->partition_id];
    if (set_replicas(p, r->replicas, r->replicas_count))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for partitions of %s", t->name);
    im->partition_total += !p->exists;
    p->exists = true;
    p->leader = r->leader;
    p->leader_epoch = r->leader_epoch;
    p->partition_epoch = r->partition_epoch;
    mark(im, t);
    return 0;
}

static int apply_partition_change(struct broker_image *im,
                                  const struct ferry_partition_change_record *r,
                                  struct ferry_error *err)
{
    struct image_topic *t = broker_image_topic_by_id(im, &r->topic_id);
    struct image_partition *p = t ? broker_image_partition(t, r->partition_id) : NULL;
    if (!p)
        return ferry_fail(err, FERRY_E_PROTOCOL, "a change of partition %d, which is not there",
                          (int)r->partition_id);
    if (r->replicas_count >= 0 && set_replicas(p, r->replicas, r->replicas_count))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for partitions of %s", t->name);
    if (r->leader != -2) { /* a leader that is named, even the same one, opens an epoch */
        p->leader = r->leader;
        p->leader_epoch += !FERRY_PLANTED(EPOCH_KEPT);
    }
    p->partition_epoch++;
    mark(im, t);
    return 0;
}

static size_t config_key(char *key, int resource, struct ferry_str name)
{
    int n = snprintf(key, KEY_MAX, "%d:%.*s", resource, (int)name.len, name.data ? name.data : "");
    return n > 0 && n < KEY_MAX ? (size_t)n : 0;
}

const struct broker_overrides *broker_image_configs(const struct broker_image *im,
                                                    enum image_resource resource,
                                                    struct ferry_str name)
{
    char key[KEY_MAX];
    size_t n = config_key(key, resource, name);
    return n ? ferry_map_get(&im->configs, key, n) : NULL;
}

static int apply_config(struct broker_image *im, const struct ferry_config_record *r,
                        struct ferry_error *err)
{
    char key[KEY_MAX];
    size_t n = config_key(key, r->resource_type, r->resource_name);
    if (!n || !r->name.data)
        return ferry_fail(err, FERRY_E_PROTOCOL, "a setting of a resource without a name");
    struct broker_overrides *o = ferry_map_get(&im->configs, key, n);
    if (!o) {
        o = ferry_zalloc(sizeof *o);
        if (!o || ferry_map_put(&im->configs, key, n, o, NULL)) {
            ferry_free(o);
            return ferry_fail(err, FERRY_E_NOMEM, "no memory for a setting");
        }
    }
    char *name = ferry_arena_strndup(im->scratch, r->name.data, r->name.len);
    char *value =
        r->value.data ? ferry_arena_strndup(im->scratch, r->value.data, r->value.len) : NULL;
    if (!name || (r->value.data && !value) || broker_overrides_set(o, name, value))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a setting");
    if (r->resource_type == IMAGE_RESOURCE_TOPIC) {
        struct image_topic *t = broker_image_topic(im, r->resource_name);
        if (t)
            mark(im, t);
    } else {
        im->brokers_changed = true;
    }
    return 0;
}

static int apply_remove_topic(struct broker_image *im, const struct ferry_remove_topic_record *r,
                              struct ferry_error *err)
{
    struct image_topic *t = broker_image_topic_by_id(im, &r->topic_id);
    if (!t)
        return ferry_fail(err, FERRY_E_PROTOCOL, "a topic that is not there is removed");
    if (ferry_map_put(&im->removed_ids, &t->id, sizeof t->id, im, NULL))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory to remember a deleted topic");
    char key[KEY_MAX];
    size_t n = config_key(key, IMAGE_RESOURCE_TOPIC, ferry_str_of(t->name));
    struct broker_overrides *o = n ? ferry_map_remove(&im->configs, key, n) : NULL;
    if (o)
        broker_overrides_free(o);
    ferry_free(o);
    ferry_map_remove(&im->by_name, t->name, strlen(t->name));
    ferry_map_remove(&im->by_id, &t->id, sizeof t->id);
    for (int32_t i = 0; i < t->partition_count; i++)
        im->partition_total -= t->partitions[i].exists;
    ferry_list_remove(&t->changed);
    t->removed = true;
    ferry_list_push_back(&im->removed, &t->changed);
    return 0;
}

static int apply_decoded(struct broker_image *im, uint32_t number, const void *r, int64_t offset,
                         struct ferry_error *err)
{
    switch (number) {
    case IMAGE_TOPIC:
        return apply_topic(im, r, err);
    case IMAGE_PARTITION:
        return apply_partition(im, r, err);
    case IMAGE_PARTITION_CHANGE:
        return apply_partition_change(im, r, err);
    case IMAGE_CONFIG:
        return apply_config(im, r, err);
    case IMAGE_REMOVE_TOPIC:
        return apply_remove_topic(im, r, err);
    case IMAGE_FEATURE_LEVEL: {
        const struct ferry_feature_level_record *f = r;
        if (ferry_str_eq(f->name, FERRY_STR("metadata.version")))
            im->metadata_version = f->feature_level;
        return 0;
    }
    case IMAGE_PRODUCER_IDS: {
        const struct ferry_producer_ids_record *p = r;
        if (p->next_producer_id > im->next_producer_id)
            im->next_producer_id = p->next_producer_id;
        return 0;
    }
    case IMAGE_REGISTER_BROKER:
        im->broker_epoch = offset;
        return 0;
    default:
        return 0;
    }
}

int broker_image_apply(struct broker_image *im, struct ferry_bytes value, int64_t offset,
                       struct ferry_error *err)
{
    struct ferry_cursor c = ferry_cursor_of(value);
    uint32_t frame = ferry_cursor_uvarint(&c), number = ferry_cursor_uvarint(&c),
             version = ferry_cursor_uvarint(&c);
    if (c.err || frame != 1 || version > 127)
        return ferry_fail(err, FERRY_E_PROTOCOL,
                          "the record at offset %lld is not one of a metadata log",
                          (long long)offset);
    const struct ferry_msg *msg =
        number <= INT16_MAX ? ferry_metadata_type_find((int)number) : NULL;
    if (!msg)
        return ferry_fail(err, FERRY_E_PROTOCOL, "record type %u at offset %lld is unknown", number,
                          (long long)offset);
    ferry_arena_reset(im->scratch);
    im->scratch->limit = RECORD_ARENA_MAX + value.len * 16;
    void *r = ferry_arena_alloc(im->scratch, msg->size);
    int code = r ? ferry_msg_read(msg, (int)version, &c, 0, im->scratch, r, err)
                 : ferry_fail(err, FERRY_E_NOMEM, "no memory to read a metadata record");
    return code ? code : apply_decoded(im, number, r, offset, err);
}
