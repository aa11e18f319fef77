/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/lib/gen.h"

#include "wire/value.h"

void gen_init(struct gen *g, uint64_t seed, struct ferry_arena *arena)
{
    *g = (struct gen){.arena = arena, .items_max = 4, .bytes_max = 40, .unknown_tags = true};
    ferry_prng_seed(&g->prng, seed);
}

bool gen_is_top(const struct ferry_msg *msg)
{
    char first = *ferry_msg_name(msg);
    return first >= 'A' && first <= 'Z'; /* nested structs have small names */
}

bool gen_is_kafka(const struct ferry_msg *msg)
{
    return gen_is_top(msg) && !strstr(ferry_msg_name(msg), "UserData");
}

static uint64_t below(struct gen *g, uint64_t n)
{
    return ferry_prng_below(&g->prng, n);
}

static uint64_t number(struct gen *g, unsigned size)
{
    static const uint64_t special[] = {0, 1, UINT64_MAX, INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX};
    uint64_t v = ferry_prng_next(&g->prng);
    switch (below(g, 6)) {
    case 0:
        return special[below(g, 7)];
    case 1:
        return (uint64_t)1 << (size * 8 - 1); /* the smallest negative one */
    case 2:
        return v & 0xff;
    default:
        return v;
    }
}

static bool random_bytes(struct gen *g, struct ferry_bytes *out)
{
    size_t n = below(g, 8) ? below(g, g->bytes_max + 1) : below(g, 300);
    uint8_t *p = ferry_arena_alloc(g->arena, n + 1);
    if (!p)
        return false;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)ferry_prng_next(&g->prng);
    *out = (struct ferry_bytes){p, n};
    return true;
}

/* Valid UTF-8 of one to four bytes a character. */
static bool random_string(struct gen *g, struct ferry_bytes *out)
{
    static const char *const chars[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xa2", "\"", "\\",
                                        "\n",       "\x7f"};
    size_t n = below(g, 10) ? below(g, g->bytes_max + 1) : below(g, 200), len = 0;
    char *p = ferry_arena_alloc(g->arena, n * 4 + 1);
    if (!p)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (below(g, 10) == 0) {
            const char *c = chars[below(g, 7)];
            memcpy(p + len, c, strlen(c));
            len += strlen(c);
        } else {
            p[len++] = (char)('a' + below(g, 26));
        }
    }
    *out = (struct ferry_bytes){(const uint8_t *)p, len};
    return true;
}

static bool fill_struct(struct gen *g, const struct ferry_msg *msg, int version, void *value);

static bool fill_value(struct gen *g, const struct ferry_field *f, int version, void *at)
{
    switch ((enum ferry_field_type)f->type) {
    case FERRY_T_STRUCT:
        return fill_struct(g, &ferry_msgs[f->sub], version, at);
    case FERRY_T_STRING:
        return random_string(g, at);
    case FERRY_T_BYTES:
    case FERRY_T_RECORDS:
        return random_bytes(g, at);
    case FERRY_T_UUID:
        *(struct ferry_uuid *)at = ferry_prng_uuid(&g->prng);
        return true;
    case FERRY_T_BOOL:
        *(bool *)at = below(g, 2);
        return true;
    case FERRY_T_FLOAT64:
        *(double *)at = (double)(int64_t)number(g, 8) / 1024;
        return true;
    default: {
        unsigned size = (unsigned)ferry_field_elem_size(f);
        uint64_t v = number(g, size);
        memcpy(at, &v, size);
        return true;
    }
    }
}

static bool fill_array(struct gen *g, const struct ferry_field *f, int version, void *at)
{
    size_t size = ferry_field_elem_size(f), count = below(g, g->items_max + 1);
    char *items = ferry_arena_array(g->arena, count ? count : 1, size);
    if (!items)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!fill_value(g, f, version, items + i * size))
            return false;
    }
    *(void **)at = count ? items : NULL;
    *ferry_field_count(at) = (int32_t)count;
    return true;
}

static bool fill_field(struct gen *g, const struct ferry_field *f, int version, void *at)
{
    ferry_field_init(f, at);
    if (!ferry_field_in(f, version))
        return true;
    bool may_be_null = version >= f->null_since;
    bool default_is_null = f->flags & FERRY_F_NULL_DEFAULT;
    if (may_be_null && below(g, 4) == 0) {
        *(void **)at = NULL;
        if (f->flags & FERRY_F_ARRAY)
            *ferry_field_count(at) = -1;
        else if (f->type != FERRY_T_STRUCT)
            *(struct ferry_bytes *)at = (struct ferry_bytes){NULL, 0};
        return true;
    }
    if (below(g, f->flags & FERRY_F_TAGGED ? 2 : 8) == 0 && (may_be_null || !default_is_null))
        return true;
    if (f->flags & FERRY_F_ARRAY)
        return fill_array(g, f, version, at);
    if (!(f->flags & FERRY_F_POINTER))
        return fill_value(g, f, version, at);
    void *p = ferry_arena_alloc(g->arena, ferry_msgs[f->sub].size);
    *(void **)at = p;
    return p && fill_value(g, f, version, p);
}

static bool add_unknown_tags(struct gen *g, const struct ferry_tags **out)
{
    uint32_t count = 1 + (uint32_t)below(g, 2), tag = 60 + (uint32_t)below(g, 200);
    struct ferry_tags *tags =
        ferry_arena_alloc(g->arena, sizeof *tags + count * sizeof tags->items[0]);
    if (!tags)
        return false;
    for (uint32_t i = 0; i < count; i++, tag += 1 + (uint32_t)below(g, 100)) {
        tags->items[i].tag = tag;
        if (!random_bytes(g, &tags->items[i].data))
            return false;
    }
    tags->count = count;
    *out = tags;
    return true;
}

static bool fill_struct(struct gen *g, const struct ferry_msg *msg, int version, void *value)
{
    const struct ferry_field *f = ferry_msg_fields(msg);
    for (unsigned i = 0; i < (unsigned)msg->plain + msg->tagged; i++) {
        if (!fill_field(g, &f[i], version, (char *)value + f[i].offset))
            return false;
    }
    const struct ferry_tags **tags = ferry_msg_unknown_tags(msg, value);
    if (!tags)
        return true;
    *tags = NULL;
    return !g->unknown_tags || version < msg->flexible || below(g, 12) || add_unknown_tags(g, tags);
}

bool gen_message(struct gen *g, const struct ferry_msg *msg, int version, void *value)
{
    return fill_struct(g, msg, version, value);
}

size_t gen_mutate(struct gen *g, const uint8_t *bytes, size_t n, uint8_t *buf)
{
    static const uint8_t lies[][5] = {
        {0xff, 0xff, 0xff, 0xff, 0xff}, {0x7f, 0xff, 0xff, 0xff, 0xff},
        {0x80, 0x00, 0x00, 0x00, 0x00}, {0xff, 0xff, 0xff, 0xff, 0x07},
        {0xff, 0xff, 0xff, 0xff, 0x0f}, {0x00, 0x00, 0x00, 0x00, 0x00},
        {0x00, 0x00, 0xff, 0xff, 0x03}, {0xfe, 0xff, 0xff, 0xff, 0xff}};
    size_t at = below(g, n), len = n;
    memcpy(buf, bytes, n);
    switch (below(g, 7)) {
    case 0: /* some bits */
        for (uint64_t i = 1 + below(g, 4); i; i--)
            buf[below(g, n)] ^= (uint8_t)(1u << below(g, 8));
        break;
    case 1: /* a byte */
        buf[at] = (uint8_t)ferry_prng_next(&g->prng);
        break;
    case 2: /* a length that lies, over what is there */
        memcpy(buf + at, lies[below(g, 8)], n - at < 5 ? n - at : 5);
        break;
    case 3: /* the same, pushed in between */
        memmove(buf + at + 5, buf + at, n - at);
        memcpy(buf + at, lies[below(g, 8)], 5);
        len += 5;
        break;
    case 4: /* the end is missing */
        len = at;
        break;
    case 5: /* a piece is missing */
        len -= 1 + below(g, n - at);
        memmove(buf + at, buf + at + (n - len), len - at);
        break;
    default: { /* a piece comes twice */
        size_t piece = 1 + below(g, n - at);
        memmove(buf + at + piece, buf + at, n - at);
        len += piece;
        break;
    }
    }
    return len;
}
