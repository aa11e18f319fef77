/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one interpreter of descriptors, decoding and encoding.
 *
 * Invariants:
 *  1. A count or length from the input is compared with the bytes left before anything is allocated
 * for it.
 *  2. Recursion follows the schema's nesting, never the input: the generator refuses a struct that
 * contains itself.
 *  3. The decoder stops at the first error: `err` of the cursor is seen before a value read from it
 * is used as a size, and after each field.
 *  4. A tagged field is written exactly when it differs from its default, known and unknown ones in
 * ascending order.
 */
#include "config.h"

#include "wire/codec.h"

#include "base/err.h"
#include "wire/value.h"

enum { STRING_MAX = INT16_MAX, BIG_ARRAY = 64 * 1024 };

/* ---- decoding ---- */

struct decoder {
    struct ferry_cursor *in;
    struct ferry_arena *arena;
    const struct ferry_msg *top;
    struct ferry_error *err;
    int version;
    unsigned flags;
    bool flexible;
};

static int read_struct(struct decoder *d, const struct ferry_msg *msg, void *value);

static int bad(struct decoder *d, const struct ferry_field *f, const char *what)
{
    ferry_cursor_fail(d->in);
    return ferry_fail(d->err, FERRY_E_PROTOCOL, "%s version %d, field %s: %s",
                      ferry_msg_name(d->top), d->version, f ? ferry_field_name(f) : "(tags)", what);
}

static int no_room(struct decoder *d, const struct ferry_field *f, size_t size)
{
    bool limited = size > d->arena->limit - d->arena->used;
    return ferry_fail(d->err, limited ? FERRY_E_TOO_LARGE : FERRY_E_NOMEM,
                      "%s version %d, field %s: %zu bytes for it are %s", ferry_msg_name(d->top),
                      d->version, f ? ferry_field_name(f) : "(tags)", size,
                      limited ? "beyond the limit of decoding" : "not to be had");
}

/* The length of a string, byte field or array: -1 = null. Below -1, or unreadable, is an error of
 * the cursor. */
static int64_t read_length(struct decoder *d, const struct ferry_field *f, bool is_short)
{
    int64_t n;
    if (d->flexible && !(f->flags & FERRY_F_INFLEXIBLE))
        n = (int64_t)ferry_cursor_uvarint(d->in) - 1;
    else
        n = is_short ? (int16_t)ferry_cursor_u16(d->in) : (int32_t)ferry_cursor_u32(d->in);
    if (n < -1)
        ferry_cursor_fail(d->in);
    return n;
}

static int read_view(struct decoder *d, const struct ferry_field *f, void *at)
{
    bool is_string = f->type == FERRY_T_STRING;
    int64_t n = read_length(d, f, is_string);
    if (d->in->err)
        return bad(d, f, "its length cannot be read");
    /* struct ferry_str and struct ferry_bytes differ in the pointer's type only. */
    struct ferry_bytes *out = at;
    if (n == -1) {
        if (d->version < f->null_since)
            return bad(d, f, "it is null where it may not be");
        *out = (struct ferry_bytes){NULL, 0};
        return 0;
    }
    if (is_string && n > STRING_MAX)
        return bad(d, f, "the string is longer than 32767 bytes");
    if ((uint64_t)n > ferry_cursor_left(d->in))
        return bad(d, f, "its length is beyond the end of the message");
    *out = (struct ferry_bytes){ferry_cursor_take(d->in, (size_t)n), (size_t)n};
    return 0;
}

/* One value that is no array and no nullable struct. */
static int read_value(struct decoder *d, const struct ferry_field *f, void *at)
{
    switch ((enum ferry_field_type)f->type) {
    case FERRY_T_BOOL:
        *(bool *)at = ferry_cursor_u8(d->in) != 0;
        break;
    case FERRY_T_INT8:
        *(uint8_t *)at = ferry_cursor_u8(d->in);
        break;
    case FERRY_T_INT16:
    case FERRY_T_UINT16:
        *(uint16_t *)at = ferry_cursor_u16(d->in);
        break;
    case FERRY_T_INT32:
    case FERRY_T_UINT32:
        *(uint32_t *)at = ferry_cursor_u32(d->in);
        break;
    case FERRY_T_INT64:
    case FERRY_T_FLOAT64: { /* of a double these are the bits */
        uint64_t v = ferry_cursor_u64(d->in);
        memcpy(at, &v, sizeof v);
        break;
    }
    case FERRY_T_UUID: {
        const uint8_t *p = ferry_cursor_take(d->in, sizeof(struct ferry_uuid));
        if (p)
            memcpy(at, p, sizeof(struct ferry_uuid));
        break;
    }
    case FERRY_T_STRING:
    case FERRY_T_BYTES:
    case FERRY_T_RECORDS:
        return read_view(d, f, at);
    case FERRY_T_STRUCT:
        return read_struct(d, &ferry_msgs[f->sub], at);
    }
    return d->in->err ? bad(d, f, "the message ends within it") : 0;
}

/* Whether `count` elements could lie in the bytes left. Big arrays get the exact bound of this
 * version. */
static bool could_hold(struct decoder *d, const struct ferry_field *f, int64_t count, size_t size)
{
    size_t each = f->type == FERRY_T_STRUCT ? ferry_msgs[f->sub].wire_min
                                            : ferry_type_wire_min(f->type, d->flexible);
    if (f->type == FERRY_T_STRUCT && (uint64_t)count * size > BIG_ARRAY)
        each = ferry_msg_wire_min(&ferry_msgs[f->sub], d->version, d->flexible);
    return (uint64_t)count <= ferry_cursor_left(d->in) / (each ? each : 1);
}

static int read_array(struct decoder *d, const struct ferry_field *f, void *at)
{
    int64_t count = read_length(d, f, false);
    if (d->in->err)
        return bad(d, f, "its count cannot be read");
    if (count == -1 && d->version < f->null_since)
        return bad(d, f, "it is null where it may not be");
    *(void **)at = NULL;
    *ferry_field_count(at) = (int32_t)count;
    if (count <= 0)
        return 0;
    size_t size = ferry_field_elem_size(f);
    if (!could_hold(d, f, count, size))
        return bad(d, f, "its count is beyond what the message can hold");
    char *items = ferry_arena_array(d->arena, (size_t)count, size);
    if (!items)
        return no_room(d, f, (size_t)count * size);
    *(void **)at = items;
    for (int64_t i = 0; i < count; i++) {
        int e = read_value(d, f, items + (size_t)i * size);
        if (e)
            return e;
    }
    return 0;
}

static int read_pointer(struct decoder *d, const struct ferry_field *f, void *at)
{
    *(void **)at = NULL;
    if (d->version >= f->null_since) {
        /* A tagged one has an unsigned varint in front, 0 for null; any other an int8, below 0 for
         * null. */
        bool null = f->flags & FERRY_F_TAGGED ? ferry_cursor_uvarint(d->in) == 0
                                              : (int8_t)ferry_cursor_u8(d->in) < 0;
        if (d->in->err)
            return bad(d, f, "the message ends within it");
        if (null)
            return 0;
    }
    const struct ferry_msg *sub = &ferry_msgs[f->sub];
    void *value = ferry_arena_alloc(d->arena, sub->size);
    if (!value)
        return no_room(d, f, sub->size);
    *(void **)at = value;
    return read_struct(d, sub, value);
}

static int read_field(struct decoder *d, const struct ferry_field *f, void *at)
{
    if (f->flags & FERRY_F_ARRAY)
        return read_array(d, f, at);
    if (f->flags & FERRY_F_POINTER)
        return read_pointer(d, f, at);
    return read_value(d, f, at);
}

static const struct ferry_field *find_tag(const struct ferry_msg *msg, uint32_t tag, int version)
{
    const struct ferry_field *f = ferry_msg_fields(msg) + msg->plain;
    for (unsigned i = 0; i < msg->tagged; i++, f++) {
        if (f->tag == tag && ferry_field_in(f, version))
            return f;
    }
    return NULL;
}

/* Copies the tags that the schema does not know from the section that begins at `from`. */
static int keep_tags(struct decoder *d, const struct ferry_msg *msg, struct ferry_cursor from,
                     uint32_t all, uint32_t unknown, void *value)
{
    size_t size = sizeof(struct ferry_tags) + unknown * sizeof(struct ferry_tag);
    struct ferry_tags *kept = ferry_arena_alloc(d->arena, size);
    if (!kept)
        return no_room(d, NULL, size);
    for (uint32_t i = 0; i < all; i++) {
        uint32_t tag = ferry_cursor_uvarint(&from), len = ferry_cursor_uvarint(&from);
        const uint8_t *data = ferry_cursor_take(&from, len);
        if (!find_tag(msg, tag, d->version))
            kept->items[kept->count++] = (struct ferry_tag){tag, {data, len}};
    }
    *ferry_msg_unknown_tags(msg, value) = kept;
    return 0;
}

static int read_tags(struct decoder *d, const struct ferry_msg *msg, void *value)
{
    struct ferry_cursor *in = d->in;
    uint32_t count = ferry_cursor_uvarint(in), unknown = 0;
    if (in->err || count > ferry_cursor_left(in) / 2)
        return bad(d, NULL, "the count of tagged fields is beyond what the message can hold");
    struct ferry_cursor section = *in;
    int64_t last = -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tag = ferry_cursor_uvarint(in), len = ferry_cursor_uvarint(in);
        if (in->err || len > ferry_cursor_left(in))
            return bad(d, NULL, "a tagged field is longer than the message");
        if ((int64_t)tag <= last)
            return bad(d, NULL, "tags do not ascend");
        last = tag;
        const struct ferry_field *f = find_tag(msg, tag, d->version);
        if (!f) {
            unknown++;
            ferry_cursor_take(in, len);
            continue;
        }
        const uint8_t *end = in->end;
        in->end = in->at + len;
        int e = read_field(d, f, (char *)value + f->offset);
        if (e)
            return e;
        if (in->at != in->end)
            return bad(d, f, "its tag is longer than its value");
        in->end = end;
    }
    return unknown && d->flags & FERRY_DECODE_KEEP_TAGS
               ? keep_tags(d, msg, section, count, unknown, value)
               : 0;
}

static int read_struct(struct decoder *d, const struct ferry_msg *msg, void *value)
{
    const struct ferry_field *f = ferry_msg_fields(msg);
    for (unsigned i = 0; i < msg->plain; i++, f++) {
        void *at = (char *)value + f->offset;
        if (!ferry_field_in(f, d->version)) {
            ferry_field_init(f, at);
            continue;
        }
        int e = read_field(d, f, at);
        if (e)
            return e;
    }
    for (unsigned i = 0; i < msg->tagged; i++, f++)
        ferry_field_init(f, (char *)value + f->offset);
    const struct ferry_tags **kept = ferry_msg_unknown_tags(msg, value);
    if (kept)
        *kept = NULL;
    return d->flexible ? read_tags(d, msg, value) : 0;
}

static int check_version(const struct ferry_msg *msg, int version, struct ferry_error *err)
{
    if (version >= msg->min && version <= msg->max)
        return 0;
    return ferry_fail(err, FERRY_E_UNSUPPORTED, "%s has no version %d, only %d to %d",
                      ferry_msg_name(msg), version, msg->min, msg->max);
}

int ferry_msg_read(const struct ferry_msg *msg, int version, struct ferry_cursor *in,
                   unsigned flags, struct ferry_arena *arena, void *value, struct ferry_error *err)
{
    int e = check_version(msg, version, err);
    if (e)
        return e;
    struct decoder d = {in, arena, msg, err, version, flags, version >= msg->flexible};
    e = read_struct(&d, msg, value);
    if (e)
        return e;
    if (flags & FERRY_DECODE_WHOLE && ferry_cursor_left(in)) {
        ferry_fail(err, FERRY_E_PROTOCOL, "%s version %d: %zu bytes are left behind it",
                   ferry_msg_name(msg), version, ferry_cursor_left(in));
        ferry_cursor_fail(in);
        return FERRY_E_PROTOCOL;
    }
    return 0;
}

int ferry_msg_decode(const struct ferry_msg *msg, int version, struct ferry_bytes in,
                     unsigned flags, struct ferry_arena *arena, void *value,
                     struct ferry_error *err)
{
    struct ferry_cursor cursor = ferry_cursor_of(in);
    return ferry_msg_read(msg, version, &cursor, flags, arena, value, err);
}

/* ---- encoding ---- */

struct encoder {
    struct ferry_writer *w;
    const struct ferry_msg *top;
    struct ferry_error *err;
    int version;
    bool flexible;
};

static int write_struct(struct encoder *e, const struct ferry_msg *msg, const void *value);

static int refuse(struct encoder *e, const struct ferry_field *f, int code, const char *what)
{
    return ferry_fail(e->err, code, "%s version %d, field %s: %s", ferry_msg_name(e->top),
                      e->version, ferry_field_name(f), what);
}

static void write_length(struct encoder *e, const struct ferry_field *f, int64_t n, bool is_short)
{
    if (e->flexible && !(f->flags & FERRY_F_INFLEXIBLE))
        ferry_writer_uvarint(e->w, (uint32_t)(n + 1));
    else if (is_short)
        ferry_writer_u16(e->w, (uint16_t)n);
    else
        ferry_writer_u32(e->w, (uint32_t)n);
}

static int write_view(struct encoder *e, const struct ferry_field *f, const void *at)
{
    bool is_string = f->type == FERRY_T_STRING;
    const struct ferry_bytes *view = at;
    if (!view->data) {
        if (e->version < f->null_since)
            return refuse(e, f, FERRY_E_INVALID, "it is null where it may not be");
        write_length(e, f, -1, is_string);
        return 0;
    }
    if (view->len > (is_string ? STRING_MAX : INT32_MAX - 1))
        return refuse(e, f, FERRY_E_INVALID,
                      is_string ? "the string is longer than 32767 bytes"
                                : "it is longer than 2147483646 bytes");
    write_length(e, f, (int64_t)view->len, is_string);
    size_t ref_min = f->type == FERRY_T_RECORDS ? e->w->ref_records_min
                     : f->type == FERRY_T_BYTES ? e->w->ref_bytes_min
                                                : 0;
    if (ref_min && view->len >= ref_min)
        ferry_writer_ref(e->w, *view);
    else
        ferry_writer_bytes(e->w, view->data, view->len);
    return 0;
}

static int write_value(struct encoder *e, const struct ferry_field *f, const void *at)
{
    switch ((enum ferry_field_type)f->type) {
    case FERRY_T_BOOL:
        ferry_writer_u8(e->w, *(const bool *)at);
        break;
    case FERRY_T_INT8:
        ferry_writer_u8(e->w, *(const uint8_t *)at);
        break;
    case FERRY_T_INT16:
    case FERRY_T_UINT16:
        ferry_writer_u16(e->w, *(const uint16_t *)at);
        break;
    case FERRY_T_INT32:
    case FERRY_T_UINT32:
        ferry_writer_u32(e->w, *(const uint32_t *)at);
        break;
    case FERRY_T_INT64:
    case FERRY_T_FLOAT64: {
        uint64_t v;
        memcpy(&v, at, sizeof v);
        ferry_writer_u64(e->w, v);
        break;
    }
    case FERRY_T_UUID:
        ferry_writer_bytes(e->w, at, sizeof(struct ferry_uuid));
        break;
    case FERRY_T_STRING:
    case FERRY_T_BYTES:
    case FERRY_T_RECORDS:
        return write_view(e, f, at);
    case FERRY_T_STRUCT:
        return write_struct(e, &ferry_msgs[f->sub], at);
    }
    return 0;
}

static int write_array(struct encoder *e, const struct ferry_field *f, const void *at)
{
    int32_t count = *ferry_field_count_of(at);
    const char *items = *(const char *const *)at;
    if (count < 0) {
        if (e->version < f->null_since)
            return refuse(e, f, FERRY_E_INVALID, "it is null where it may not be");
        write_length(e, f, -1, false);
        return 0;
    }
    write_length(e, f, count, false);
    size_t size = ferry_field_elem_size(f);
    for (int32_t i = 0; i < count; i++) {
        int err = write_value(e, f, items + (size_t)i * size);
        if (err)
            return err;
    }
    return 0;
}

static int write_field(struct encoder *e, const struct ferry_field *f, const void *at)
{
    if (f->flags & FERRY_F_ARRAY)
        return write_array(e, f, at);
    if (!(f->flags & FERRY_F_POINTER))
        return write_value(e, f, at);
    const void *value = *(const void *const *)at;
    if (!value && e->version < f->null_since)
        return refuse(e, f, FERRY_E_INVALID, "it is null where it may not be");
    if (e->version >= f->null_since)
        ferry_writer_u8(e->w, value ? 1 : f->flags & FERRY_F_TAGGED ? 0 : 0xff);
    return value ? write_struct(e, &ferry_msgs[f->sub], value) : 0;
}

static int check_absent(struct encoder *e, const struct ferry_field *f, const void *at)
{
    if (f->flags & FERRY_F_IGNORABLE || ferry_field_is_default(f, at))
        return 0;
    return refuse(e, f, FERRY_E_UNSUPPORTED, "this version cannot carry its value");
}

static void write_unknown_tag(struct encoder *e, const struct ferry_tag *t)
{
    ferry_writer_uvarint(e->w, t->tag);
    ferry_writer_uvarint(e->w, (uint32_t)t->data.len);
    ferry_writer_bytes(e->w, t->data.data, t->data.len);
}

static int write_tags(struct encoder *e, const struct ferry_msg *msg, const void *value)
{
    static const struct ferry_tags none;
    const struct ferry_tags *unknown = *ferry_msg_unknown_tags_of(msg, value);
    const struct ferry_field *fields = ferry_msg_fields(msg) + msg->plain;
    uint32_t count = 0, next = 0;
    if (!unknown)
        unknown = &none;
    for (unsigned i = 0; i < msg->tagged; i++) {
        const void *at = (const char *)value + fields[i].offset;
        count += ferry_field_in(&fields[i], e->version) && !ferry_field_is_default(&fields[i], at);
    }
    ferry_writer_uvarint(e->w, count + unknown->count);
    for (unsigned i = 0; i < msg->tagged && count; i++) {
        const struct ferry_field *f = &fields[i];
        const void *at = (const char *)value + f->offset;
        if (!ferry_field_in(f, e->version) || ferry_field_is_default(f, at))
            continue;
        while (next < unknown->count && unknown->items[next].tag < f->tag)
            write_unknown_tag(e, &unknown->items[next++]);
        ferry_writer_uvarint(e->w, f->tag);
        struct ferry_writer_mark mark = ferry_writer_mark(e->w);
        int err = write_field(e, f, at);
        if (err)
            return err;
        ferry_writer_insert_length(e->w, mark);
    }
    while (next < unknown->count)
        write_unknown_tag(e, &unknown->items[next++]);
    return 0;
}

static int write_struct(struct encoder *e, const struct ferry_msg *msg, const void *value)
{
    const struct ferry_field *f = ferry_msg_fields(msg);
    for (unsigned i = 0; i < (unsigned)msg->plain + msg->tagged; i++, f++) {
        const void *at = (const char *)value + f->offset;
        int err = !ferry_field_in(f, e->version) ? check_absent(e, f, at)
                  : i < msg->plain               ? write_field(e, f, at)
                                                 : 0;
        if (err)
            return err;
    }
    return e->flexible ? write_tags(e, msg, value) : 0;
}

int ferry_msg_encode(const struct ferry_msg *msg, int version, const void *value,
                     struct ferry_writer *w, struct ferry_error *err)
{
    int code = check_version(msg, version, err);
    if (code)
        return code;
    struct encoder e = {w, msg, err, version, version >= msg->flexible};
    code = write_struct(&e, msg, value);
    if (!code && w->err)
        code = ferry_fail(err, w->err, "%s version %d: no memory to encode it", ferry_msg_name(msg),
                          version);
    return code;
}
