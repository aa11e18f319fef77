/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/admin.h"

#include "base/mem.h"
#include "wire/value.h"

/* Items: small lists of fields in the call's arena, found by number. An item has a dozen at most. */

enum value_kind { VALUE_INT, VALUE_BYTES, VALUE_NUMBERS, VALUE_LIST };

struct ferry_admin_value {
    struct ferry_admin_value *next;
    int32_t field;
    enum value_kind kind;
    int64_t number;                 /* VALUE_INT; else how many */
    size_t cap;                     /* VALUE_LIST */
    const void *data;               /* VALUE_BYTES (a NUL behind them), VALUE_NUMBERS */
    struct ferry_admin_item **list; /* VALUE_LIST */
};

static struct ferry_admin_value *find(const struct ferry_admin_item *item, int32_t field)
{
    for (struct ferry_admin_value *v = item ? item->values : NULL; v; v = v->next)
        if (v->field == field)
            return v;
    return NULL;
}

static struct ferry_admin_value *make(struct ferry_admin *call, struct ferry_admin_item *item,
                                      int32_t field, enum value_kind kind)
{
    struct ferry_admin_value *v = find(item, field);
    if (!item)
        return NULL;
    if (!v) {
        v = ferry_arena_alloc(&call->arena, sizeof *v);
        if (!v) {
            call->no_memory = true;
            return NULL;
        }
        v->field = field;
        v->next = item->values;
        item->values = v;
    }
    v->kind = kind;
    return v;
}

struct ferry_admin_item *ferry_admin_item_new(struct ferry_admin *call)
{
    struct ferry_admin_item *item = ferry_arena_alloc(&call->arena, sizeof *item);
    if (!item || FERRY_GROW(call->items, call->item_cap, call->item_count + 1)) {
        call->no_memory = true;
        return NULL;
    }
    call->items[call->item_count++] = item;
    return item;
}

struct ferry_admin_item *ferry_admin_item_child(struct ferry_admin *call,
                                                struct ferry_admin_item *parent, int32_t field)
{
    struct ferry_admin_value *v = make(call, parent, field, VALUE_LIST);
    struct ferry_admin_item *item = v ? ferry_arena_alloc(&call->arena, sizeof *item) : NULL;
    if (v && item && (size_t)v->number == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 4;
        struct ferry_admin_item **list = ferry_arena_array(&call->arena, cap, sizeof *list);
        if (!list)
            item = NULL;
        else if (v->number)
            memcpy(list, v->list, (size_t)v->number * sizeof *list);
        if (list) {
            v->list = list;
            v->cap = cap;
        }
    }
    if (!item) {
        call->no_memory = true;
        return NULL;
    }
    v->list[v->number++] = item;
    return item;
}

void ferry_admin_set_int(struct ferry_admin *call, struct ferry_admin_item *item, int32_t field,
                         int64_t number)
{
    struct ferry_admin_value *v = make(call, item, field, VALUE_INT);
    if (v)
        v->number = number;
}

void ferry_admin_set_bytes(struct ferry_admin *call, struct ferry_admin_item *item, int32_t field,
                           struct ferry_bytes bytes)
{
    if (!bytes.data)
        return;
    struct ferry_admin_value *v = make(call, item, field, VALUE_BYTES);
    char *copy = v ? ferry_arena_strndup(&call->arena, (const char *)bytes.data, bytes.len) : NULL;
    if (!copy) {
        call->no_memory = call->no_memory || item;
        return;
    }
    v->data = copy;
    v->number = (int64_t)bytes.len;
}

void ferry_admin_set_text(struct ferry_admin *call, struct ferry_admin_item *item, int32_t field,
                          struct ferry_str text)
{
    ferry_admin_set_bytes(call, item, field,
                          (struct ferry_bytes){(const uint8_t *)text.data, text.len});
}

void ferry_admin_set_numbers(struct ferry_admin *call, struct ferry_admin_item *item, int32_t field,
                             const int32_t *numbers, int32_t count)
{
    struct ferry_admin_value *v = make(call, item, field, VALUE_NUMBERS);
    size_t n = count > 0 ? (size_t)count : 0;
    int32_t *copy = v ? ferry_arena_array(&call->arena, n + 1, sizeof *copy) : NULL;
    if (!copy) {
        call->no_memory = call->no_memory || item;
        return;
    }
    if (n)
        memcpy(copy, numbers, n * sizeof *copy);
    v->data = copy;
    v->number = (int64_t)n;
}

void ferry_admin_set_uuid(struct ferry_admin *call, struct ferry_admin_item *item, int32_t field,
                          const struct ferry_uuid *id)
{
    char text[23];
    if (ferry_uuid_is_zero(id))
        return;
    ferry_uuid_text(id, text);
    ferry_admin_set_text(call, item, field, ferry_str_of(text));
}

/* -- Reading: public functions, which touch nothing but the item ---------------------------------------------- */

int32_t ferry_admin_count(const struct ferry_admin *call)
{
    return (int32_t)call->item_count;
}

const struct ferry_admin_item *ferry_admin_item(const struct ferry_admin *call, int32_t index)
{
    return index >= 0 && (size_t)index < call->item_count ? call->items[index] : NULL;
}

int32_t ferry_admin_error_count(const struct ferry_admin *call)
{
    int32_t errors = 0;
    for (size_t i = 0; i < call->item_count; i++)
        errors += ferry_admin_int(call->items[i], FERRY_FIELD_ERROR, 0) != 0;
    return errors;
}

int64_t ferry_admin_int(const struct ferry_admin_item *item, int32_t field, int64_t otherwise)
{
    const struct ferry_admin_value *v = find(item, field);
    return v && v->kind == VALUE_INT ? v->number : otherwise;
}

const void *ferry_admin_bytes(const struct ferry_admin_item *item, int32_t field, int32_t *length)
{
    const struct ferry_admin_value *v = find(item, field);
    bool there = v && v->kind == VALUE_BYTES;
    if (length)
        *length = there ? (int32_t)v->number : 0;
    return there ? v->data : NULL;
}

const char *ferry_admin_text(const struct ferry_admin_item *item, int32_t field)
{
    return ferry_admin_bytes(item, field, NULL);
}

const int32_t *ferry_admin_numbers(const struct ferry_admin_item *item, int32_t field,
                                   int32_t *count)
{
    const struct ferry_admin_value *v = find(item, field);
    bool there = v && v->kind == VALUE_NUMBERS;
    if (count)
        *count = there ? (int32_t)v->number : 0;
    return there ? v->data : NULL;
}

int32_t ferry_admin_list_count(const struct ferry_admin_item *item, int32_t field)
{
    const struct ferry_admin_value *v = find(item, field);
    return v && v->kind == VALUE_LIST ? (int32_t)v->number : 0;
}

const struct ferry_admin_item *ferry_admin_list_item(const struct ferry_admin_item *item,
                                                     int32_t field, int32_t index)
{
    const struct ferry_admin_value *v = find(item, field);
    return v && v->kind == VALUE_LIST && index >= 0 && index < v->number ? v->list[index] : NULL;
}
