/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "wire/value.h"

#include "ferry/error.h"
#include "wire/messages.h"

#include <inttypes.h>

/* What a nullable struct points to when its default is not null but empty; the generator checks
   that all its fields are zero by default and that it fits. */
static const _Alignas(16) uint8_t empty_struct[FERRY_EMPTY_STRUCT_MAX];

static const uint8_t type_size[] = {
    [FERRY_T_BOOL] = sizeof(bool),
    [FERRY_T_INT8] = 1,
    [FERRY_T_INT16] = 2,
    [FERRY_T_UINT16] = 2,
    [FERRY_T_INT32] = 4,
    [FERRY_T_UINT32] = 4,
    [FERRY_T_INT64] = 8,
    [FERRY_T_FLOAT64] = 8,
    [FERRY_T_UUID] = sizeof(struct ferry_uuid),
    [FERRY_T_STRING] = sizeof(struct ferry_str),
    [FERRY_T_BYTES] = sizeof(struct ferry_bytes),
    [FERRY_T_RECORDS] = sizeof(struct ferry_bytes),
};

static bool is_view(const struct ferry_field *f)
{
    return f->type == FERRY_T_STRING || f->type == FERRY_T_BYTES || f->type == FERRY_T_RECORDS;
}

size_t ferry_field_elem_size(const struct ferry_field *f)
{
    return f->type == FERRY_T_STRUCT ? ferry_msgs[f->sub].size : type_size[f->type];
}

/* ---- defaults ---- */

static void set_number(const struct ferry_field *f, void *at, int64_t v)
{
    switch (type_size[f->type]) {
    case 1:
        *(uint8_t *)at = (uint8_t)v;
        break;
    case 2:
        *(uint16_t *)at = (uint16_t)v;
        break;
    case 4:
        *(uint32_t *)at = (uint32_t)v;
        break;
    default:
        memcpy(at, &v, 8); /* int64; a double's default is always 0 */
        break;
    }
}

void ferry_field_init(const struct ferry_field *f, void *at)
{
    bool null = f->flags & FERRY_F_NULL_DEFAULT;
    if (f->flags & FERRY_F_ARRAY) {
        *(void **)at = NULL;
        *ferry_field_count(at) = null ? -1 : 0;
    } else if (f->flags & FERRY_F_POINTER) {
        *(const void **)at = null ? NULL : empty_struct;
    } else if (f->type == FERRY_T_STRUCT) {
        ferry_msg_init(&ferry_msgs[f->sub], at);
    } else if (is_view(f)) {
        *(struct ferry_bytes *)at = (struct ferry_bytes){null ? NULL : (const uint8_t *)"", 0};
    } else if (f->type == FERRY_T_UUID) {
        memset(at, 0, sizeof(struct ferry_uuid));
    } else {
        set_number(f, at, ferry_field_defaults[f->preset]);
    }
}

void ferry_msg_init(const struct ferry_msg *msg, void *value)
{
    const struct ferry_field *f = ferry_msg_fields(msg);
    for (unsigned i = 0; i < (unsigned)msg->plain + msg->tagged; i++)
        ferry_field_init(&f[i], (char *)value + f[i].offset);
    const struct ferry_tags **tags = ferry_msg_unknown_tags(msg, value);
    if (tags)
        *tags = NULL;
}

/* A struct that came with unknown tags is not at its default: it must be written for them to
 * survive. */
static bool struct_is_default(const struct ferry_msg *msg, const void *value)
{
    const struct ferry_field *f = ferry_msg_fields(msg);
    const struct ferry_tags *const *tags = ferry_msg_unknown_tags_of(msg, value);
    if (tags && *tags)
        return false;
    for (unsigned i = 0; i < (unsigned)msg->plain + msg->tagged; i++) {
        if (!ferry_field_is_default(&f[i], (const char *)value + f[i].offset))
            return false;
    }
    return true;
}

bool ferry_field_is_default(const struct ferry_field *f, const void *at)
{
    static const struct ferry_uuid zero;
    bool null = f->flags & FERRY_F_NULL_DEFAULT;
    if (f->flags & FERRY_F_ARRAY)
        return *ferry_field_count_of(at) == (null ? -1 : 0);
    if (f->flags & FERRY_F_POINTER) {
        const void *p = *(const void *const *)at;
        return null ? !p : p && struct_is_default(&ferry_msgs[f->sub], p);
    }
    if (f->type == FERRY_T_STRUCT)
        return struct_is_default(&ferry_msgs[f->sub], at);
    if (is_view(f)) {
        const struct ferry_bytes *view = at;
        /* Where null is not allowed at all, a null that nobody set counts as the empty default. */
        return null ? !view->data : view->len == 0 && (view->data || f->null_since == INT8_MAX);
    }
    if (f->type == FERRY_T_UUID)
        return memcmp(at, &zero, sizeof zero) == 0;
    uint64_t preset;
    set_number(f, &preset, ferry_field_defaults[f->preset]);
    return memcmp(at, &preset, type_size[f->type]) == 0;
}

void *ferry_msg_array(const struct ferry_msg *msg, struct ferry_arena *arena, size_t count)
{
    char *items = ferry_arena_array(arena, count, msg->size);
    for (size_t i = 0; items && i < count; i++)
        ferry_msg_init(msg, items + i * msg->size);
    return items;
}

/* ---- sizes ---- */

size_t ferry_type_wire_min(enum ferry_field_type type, bool flexible)
{
    switch (type) {
    case FERRY_T_STRING:
        return flexible ? 1 : 2;
    case FERRY_T_BYTES:
    case FERRY_T_RECORDS:
        return flexible ? 1 : 4;
    case FERRY_T_STRUCT:
        return 1;
    default:
        return type_size[type];
    }
}

size_t ferry_msg_wire_min(const struct ferry_msg *msg, int version, bool flexible)
{
    size_t size = flexible;
    const struct ferry_field *f = ferry_msg_fields(msg);
    for (unsigned i = 0; i < msg->plain; i++, f++) {
        if (!ferry_field_in(f, version))
            continue;
        if (f->flags & FERRY_F_ARRAY)
            size += flexible ? 1 : 4;
        else if (f->type == FERRY_T_STRUCT && !(f->flags & FERRY_F_POINTER))
            size += ferry_msg_wire_min(&ferry_msgs[f->sub], version, flexible);
        else
            size += ferry_type_wire_min(f->type, flexible);
    }
    return size;
}

/* ---- comparing ---- */

static bool value_equal(const struct ferry_field *f, const void *a, const void *b)
{
    if (f->type == FERRY_T_STRUCT)
        return ferry_msg_equal(&ferry_msgs[f->sub], a, b);
    if (!is_view(f))
        return memcmp(a, b, type_size[f->type]) == 0;
    const struct ferry_bytes *x = a, *y = b;
    return !x->data == !y->data && x->len == y->len &&
           (x->len == 0 || memcmp(x->data, y->data, x->len) == 0);
}

static bool field_equal(const struct ferry_field *f, const void *a, const void *b)
{
    if (f->flags & FERRY_F_ARRAY) {
        int32_t count = *ferry_field_count_of(a);
        if (count != *ferry_field_count_of(b))
            return false;
        const char *x = *(const char *const *)a, *y = *(const char *const *)b;
        size_t size = ferry_field_elem_size(f);
        for (int32_t i = 0; i < count; i++) {
            if (!value_equal(f, x + (size_t)i * size, y + (size_t)i * size))
                return false;
        }
        return true;
    }
    if (!(f->flags & FERRY_F_POINTER))
        return value_equal(f, a, b);
    const void *x = *(const void *const *)a, *y = *(const void *const *)b;
    return x && y ? value_equal(f, x, y) : x == y;
}

bool ferry_msg_equal(const struct ferry_msg *msg, const void *a, const void *b)
{
    const struct ferry_field *f = ferry_msg_fields(msg);
    for (unsigned i = 0; i < (unsigned)msg->plain + msg->tagged; i++) {
        if (!field_equal(&f[i], (const char *)a + f[i].offset, (const char *)b + f[i].offset))
            return false;
    }
    return true;
}

/* ---- copying ---- */

static int copy_value(const struct ferry_field *f, const void *from, struct ferry_arena *arena,
                      void *to)
{
    if (f->type == FERRY_T_STRUCT)
        return ferry_msg_copy(&ferry_msgs[f->sub], from, arena, to);
    memcpy(to, from, type_size[f->type]);
    struct ferry_bytes *view = to;
    if (!is_view(f) || !view->data)
        return 0;
    const void *data = ferry_arena_strndup(arena, (const char *)view->data, view->len);
    view->data = data;
    return data ? 0 : FERRY_E_NOMEM;
}

static int copy_field(const struct ferry_field *f, const void *from, struct ferry_arena *arena,
                      void *to)
{
    if (!(f->flags & (FERRY_F_ARRAY | FERRY_F_POINTER)))
        return copy_value(f, from, arena, to);
    const char *items = *(const char *const *)from;
    int32_t count = f->flags & FERRY_F_ARRAY ? *ferry_field_count_of(from) : items != NULL;
    size_t size = ferry_field_elem_size(f);
    char *copies = NULL;
    if (count > 0) {
        copies = ferry_arena_array(arena, (size_t)count, size);
        if (!copies)
            return FERRY_E_NOMEM;
    }
    for (int32_t i = 0; i < count; i++) {
        int e = copy_value(f, items + (size_t)i * size, arena, copies + (size_t)i * size);
        if (e)
            return e;
    }
    *(void **)to = copies;
    if (f->flags & FERRY_F_ARRAY)
        *ferry_field_count(to) = count;
    return 0;
}

int ferry_msg_copy(const struct ferry_msg *msg, const void *from, struct ferry_arena *arena,
                   void *to)
{
    const struct ferry_field *f = ferry_msg_fields(msg);
    for (unsigned i = 0; i < (unsigned)msg->plain + msg->tagged; i++) {
        int e =
            copy_field(&f[i], (const char *)from + f[i].offset, arena, (char *)to + f[i].offset);
        if (e)
            return e;
    }
    const struct ferry_tags **tags = ferry_msg_unknown_tags(msg, to);
    if (tags)
        *tags = NULL;
    return 0;
}

/* ---- printing ---- */

void ferry_uuid_text(const struct ferry_uuid *u, char out[23])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned have = 0, n = 0;
    for (unsigned i = 0; i < sizeof u->b; i++) {
        bits = bits << 8 | u->b[i];
        for (have += 8; have >= 6; have -= 6)
            out[n++] = digits[bits >> (have - 6) & 63];
    }
    out[n++] = digits[bits << (6 - have) & 63];
    out[n] = 0;
}

static void print_number(const struct ferry_field *f, const void *at, struct ferry_text *out)
{
    switch ((enum ferry_field_type)f->type) {
    case FERRY_T_BOOL:
        ferry_text_add(out, "%s", *(const bool *)at ? "true" : "false");
        break;
    case FERRY_T_INT8:
        ferry_text_add(out, "%d", *(const int8_t *)at);
        break;
    case FERRY_T_INT16:
        ferry_text_add(out, "%d", *(const int16_t *)at);
        break;
    case FERRY_T_UINT16:
        ferry_text_add(out, "%u", *(const uint16_t *)at);
        break;
    case FERRY_T_INT32:
        ferry_text_add(out, "%" PRId32, *(const int32_t *)at);
        break;
    case FERRY_T_UINT32:
        ferry_text_add(out, "%" PRIu32, *(const uint32_t *)at);
        break;
    case FERRY_T_FLOAT64: {
        double v = *(const double *)at;
        if (v - v == 0)
            ferry_text_add(out, "%.17g", v);
        else /* JSON has no NaN and no infinity */
            ferry_text_add(out, "\"%g\"", v);
        break;
    }
    default:
        ferry_text_add(out, "%" PRId64, *(const int64_t *)at);
        break;
    }
}

static void print_value(const struct ferry_field *f, int version, const void *at,
                        struct ferry_text *out)
{
    const struct ferry_bytes *view = at;
    if (f->type == FERRY_T_STRUCT) {
        ferry_msg_print(&ferry_msgs[f->sub], version, at, out);
    } else if (f->type == FERRY_T_UUID) {
        char text[23];
        ferry_uuid_text(at, text);
        ferry_text_add(out, "\"%s\"", text);
    } else if (!is_view(f)) {
        print_number(f, at, out);
    } else if (!view->data) {
        ferry_text_add(out, "null");
    } else if (f->type == FERRY_T_STRING) {
        ferry_text_add_json(out, *(const struct ferry_str *)at);
    } else if (f->type == FERRY_T_RECORDS) {
        ferry_text_add(out, "{\"bytes\":%zu}", view->len);
    } else {
        ferry_text_add(out, "\"");
        for (size_t i = 0; i < view->len; i++)
            ferry_text_add(out, "%02x", view->data[i]);
        ferry_text_add(out, "\"");
    }
}

static void print_array(const struct ferry_field *f, int version, const void *at,
                        struct ferry_text *out)
{
    const char *items = *(const char *const *)at;
    int32_t count = *ferry_field_count_of(at);
    size_t size = ferry_field_elem_size(f);
    if (count < 0) {
        ferry_text_add(out, "null");
        return;
    }
    ferry_text_add(out, "[");
    for (int32_t i = 0; i < count; i++) {
        if (i)
            ferry_text_add(out, ",");
        print_value(f, version, items + (size_t)i * size, out);
    }
    ferry_text_add(out, "]");
}

static void print_field(const struct ferry_field *f, int version, const void *at,
                        struct ferry_text *out)
{
    if (f->flags & FERRY_F_ARRAY) {
        print_array(f, version, at, out);
    } else if (f->flags & FERRY_F_POINTER) {
        const void *value = *(const void *const *)at;
        if (value)
            print_value(f, version, value, out);
        else
            ferry_text_add(out, "null");
    } else {
        print_value(f, version, at, out);
    }
}

void ferry_msg_print(const struct ferry_msg *msg, int version, const void *value,
                     struct ferry_text *out)
{
    const struct ferry_field *f = ferry_msg_fields(msg);
    const char *comma = "";
    ferry_text_add(out, "{");
    for (unsigned i = 0; i < (unsigned)msg->plain + msg->tagged; i++, f++) {
        const void *at = (const char *)value + f->offset;
        if (!ferry_field_in(f, version) ||
            (f->flags & FERRY_F_TAGGED && ferry_field_is_default(f, at)))
            continue;
        ferry_text_add(out, "%s\"%s\":", comma, ferry_field_name(f));
        print_field(f, version, at, out);
        comma = ",";
    }
    ferry_text_add(out, "}");
}
