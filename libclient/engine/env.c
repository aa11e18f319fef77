/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "engine/env.h"

#include "base/mem.h"

static struct ferry_action scratch; /* takes the writes of a caller that could get no memory */

struct ferry_action *ferry_act(struct ferry_actions *a, enum ferry_action_type type, struct ferry_id who)
{
    if (FERRY_GROW(a->items, a->cap, a->count + 1)) {
        a->failed = true;
        return &scratch;
    }
    struct ferry_action *act = &a->items[a->count++];
    *act = (struct ferry_action){.type = type, .who = who, .part_first = (uint32_t)a->part_count};
    return act;
}

static struct ferry_part *add_part(struct ferry_actions *a)
{
    if (a->failed || FERRY_GROW(a->parts, a->part_cap, a->part_count + 1)) {
        a->failed = true;
        return NULL;
    }
    a->items[a->count - 1].part_count++;
    return &a->parts[a->part_count++];
}

void ferry_act_part(struct ferry_actions *a, const void *data, size_t len)
{
    struct ferry_part *p = add_part(a);
    if (p)
        *p = (struct ferry_part){.data = data, .len = len};
}

void ferry_act_file_part(struct ferry_actions *a, struct ferry_id file, uint64_t offset, uint64_t len)
{
    struct ferry_part *p = add_part(a);
    if (p)
        *p = (struct ferry_part){.file = file, .offset = offset, .len = len};
}

void ferry_actions_reset(struct ferry_actions *a)
{
    a->count = a->part_count = 0;
}

void ferry_actions_free(struct ferry_actions *a)
{
    ferry_free(a->items);
    ferry_free(a->parts);
    *a = (struct ferry_actions){0};
}
