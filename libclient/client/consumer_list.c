/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/consumer_list.h"

#include "base/mem.h"

#include <stdlib.h>

struct ferry_partition_list *ferry_partition_list_new(void)
{
    return ferry_zalloc(sizeof(struct ferry_partition_list));
}

static void item_free(struct ferry_topic_partition *item)
{
    ferry_free((char *)item->topic);
    ferry_free((char *)item->metadata);
}

void ferry_consumer_list_clear(struct ferry_partition_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        item_free(&list->items[i]);
    list->count = 0;
}

void ferry_partition_list_free(struct ferry_partition_list *list)
{
    if (!list)
        return;
    ferry_consumer_list_clear(list);
    ferry_free(list->items);
    ferry_free(list);
}

int32_t ferry_partition_list_count(const struct ferry_partition_list *list)
{
    return list ? (int32_t)list->count : 0;
}

int ferry_consumer_list_add(struct ferry_partition_list *list, struct ferry_str topic,
                            int32_t partition, int64_t offset)
{
    if (list->count >= INT32_MAX || FERRY_GROW(list->items, list->cap, list->count + 1))
        return FERRY_E_NOMEM;
    char *name = ferry_strndup(topic.data, topic.len);
    if (!name)
        return FERRY_E_NOMEM;
    list->items[list->count] = (struct ferry_topic_partition){.topic = name,
                                                              .partition = partition,
                                                              .offset = offset,
                                                              .timestamp = -1,
                                                              .leader_epoch = -1,
                                                              .metadata_len = -1};
    return (int)list->count++;
}

int32_t ferry_partition_list_add(struct ferry_partition_list *list, const char *topic,
                                 int32_t partition, int64_t offset)
{
    if (!list || !topic || !*topic || partition < -1)
        return FERRY_E_INVALID;
    return ferry_consumer_list_add(list, ferry_str_of(topic), partition, offset);
}

static struct ferry_topic_partition *item_at(const struct ferry_partition_list *list, int32_t index)
{
    return list && index >= 0 && (size_t)index < list->count ? &list->items[index] : NULL;
}

int32_t ferry_partition_list_get(const struct ferry_partition_list *list, int32_t index,
                                 struct ferry_topic_partition *out)
{
    struct ferry_topic_partition *item = item_at(list, index);
    if (!item || !out)
        return FERRY_E_INVALID;
    *out = *item;
    return FERRY_OK;
}

int ferry_consumer_list_find(const struct ferry_partition_list *list, struct ferry_str topic,
                             int32_t partition)
{
    for (size_t i = 0; list && i < list->count; i++)
        if (list->items[i].partition == partition &&
            ferry_str_eq(ferry_str_of(list->items[i].topic), topic))
            return (int)i;
    return FERRY_E_NOT_FOUND;
}

int32_t ferry_partition_list_find(const struct ferry_partition_list *list, const char *topic,
                                  int32_t partition)
{
    return list && topic ? ferry_consumer_list_find(list, ferry_str_of(topic), partition)
                         : FERRY_E_INVALID;
}

int32_t ferry_partition_list_set_offset(struct ferry_partition_list *list, int32_t index,
                                        int64_t offset, int32_t leader_epoch)
{
    struct ferry_topic_partition *item = item_at(list, index);
    if (!item)
        return FERRY_E_INVALID;
    item->offset = offset;
    item->leader_epoch = leader_epoch;
    return FERRY_OK;
}

int32_t ferry_partition_list_set_metadata(struct ferry_partition_list *list, int32_t index,
                                          const char *metadata, int32_t len)
{
    struct ferry_topic_partition *item = item_at(list, index);
    char *copy = NULL;
    if (!item || len < -1 || (len >= 0 && !metadata))
        return FERRY_E_INVALID;
    if (len >= 0 && !(copy = ferry_strndup(metadata, (size_t)len)))
        return FERRY_E_NOMEM;
    ferry_free((char *)item->metadata);
    item->metadata = copy;
    item->metadata_len = len;
    return FERRY_OK;
}

int32_t ferry_partition_list_remove(struct ferry_partition_list *list, int32_t index)
{
    struct ferry_topic_partition *item = item_at(list, index);
    if (!item)
        return FERRY_E_INVALID;
    item_free(item);
    list->count--;
    memmove(item, item + 1, (list->count - (size_t)index) * sizeof *item);
    return FERRY_OK;
}

struct ferry_partition_list *ferry_consumer_list_copy(const struct ferry_partition_list *from)
{
    struct ferry_partition_list *to = from ? ferry_partition_list_new() : NULL;
    for (size_t i = 0; to && i < from->count; i++) {
        const struct ferry_topic_partition *item = &from->items[i];
        int at =
            ferry_consumer_list_add(to, ferry_str_of(item->topic), item->partition, item->offset);
        if (at < 0 || ferry_partition_list_set_metadata(to, at, item->metadata,
                                                        item->metadata ? item->metadata_len : -1)) {
            ferry_partition_list_free(to);
            return NULL;
        }
        to->items[at].error = item->error;
        to->items[at].timestamp = item->timestamp;
        to->items[at].leader_epoch = item->leader_epoch;
    }
    return to;
}

static int by_name(const void *a, const void *b)
{
    const struct ferry_topic_partition *x = a, *y = b;
    int c = strcmp(x->topic, y->topic);
    return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

void ferry_consumer_list_sort(struct ferry_partition_list *list)
{
    if (list->count)
        qsort(list->items, list->count, sizeof *list->items, by_name);
}

bool ferry_consumer_list_has(const struct ferry_partition_list *list, struct ferry_str topic,
                             int32_t partition)
{
    return ferry_consumer_list_find(list, topic, partition) >= 0;
}
