/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_SCHEMA_H
#define WIRE_SCHEMA_H
/*
 * Descriptors: what the generator knows about each struct of messages.h, as flat tables without
 * pointers. The codec (codec.h) and everything in value.h work from them, so no message has code of
 * its own.
 *
 * A struct from messages.h:
 *  - an array `x` is a pointer `x` with an int32_t `x_count` right behind it; count -1 is null, 0
 * is empty;
 *  - a nullable struct is a pointer, any other struct is held by value;
 *  - string, bytes and records are views; data == NULL is null. The empty string has data != NULL
 * and len 0;
 *  - unknown_tags, present where some version is flexible, is NULL unless decoding was asked to
 * keep them.
 */
#include "base/bytes.h"

enum ferry_field_type {
    FERRY_T_BOOL,
    FERRY_T_INT8,
    FERRY_T_INT16,
    FERRY_T_UINT16,
    FERRY_T_INT32,
    FERRY_T_UINT32,
    FERRY_T_INT64,
    FERRY_T_FLOAT64,
    FERRY_T_UUID,
    FERRY_T_STRING,
    FERRY_T_BYTES,
    FERRY_T_RECORDS,
    FERRY_T_STRUCT
};

enum ferry_field_flag {
    FERRY_F_ARRAY = 1,
    FERRY_F_POINTER = 2, /* a struct that may be null */
    FERRY_F_TAGGED = 4,
    FERRY_F_IGNORABLE = 8,     /* silently left out of versions that cannot carry it */
    FERRY_F_NULL_DEFAULT = 16, /* the default is null; else empty, or the number */
    FERRY_F_INFLEXIBLE = 32    /* keeps its old lengths in flexible versions */
};

struct ferry_field {
    uint16_t name;   /* offset into ferry_msg_names */
    uint16_t offset; /* in the C struct */
    uint16_t sub;    /* of a struct: its place in ferry_msgs */
    uint8_t type;    /* enum ferry_field_type, of the element if it is an array */
    uint8_t flags;   /* enum ferry_field_flag */
    int8_t since, until;
    int8_t null_since; /* the first version in which it may be null; 127 = never */
    uint8_t tag;
    uint8_t preset; /* place of the default in ferry_field_defaults */
};

#define FERRY_NO_TAGS UINT16_MAX

/* A struct: a message, or one inside a message. */
struct ferry_msg {
    uint16_t name;  /* offset into ferry_msg_names */
    uint16_t first; /* its fields in ferry_fields: `plain` in order of the wire, then `tagged` in
                       order of their tags */
    uint16_t size;  /* of the C struct */
    uint16_t unknown_tags; /* offset of that member, FERRY_NO_TAGS where no version is flexible */
    uint16_t wire_min;     /* no version has fewer bytes */
    uint8_t plain, tagged;
    int8_t min, max;
    int8_t flexible; /* the first flexible version; 127 = never */
};

/* One tagged field that the schema does not know, as it came. */
struct ferry_tag {
    uint32_t tag;
    struct ferry_bytes data;
};

struct ferry_tags {
    uint32_t count;
    struct ferry_tag items[]; /* ascending */
};

extern const struct ferry_msg ferry_msgs[];
extern const struct ferry_field ferry_fields[];
extern const int64_t ferry_field_defaults[];
extern const char ferry_msg_names[];

/* The place of unknown_tags in a value, or NULL. */
static inline const struct ferry_tags **ferry_msg_unknown_tags(const struct ferry_msg *m,
                                                               void *value)
{
    return m->unknown_tags == FERRY_NO_TAGS
               ? NULL
               : (const struct ferry_tags **)((char *)value + m->unknown_tags);
}

static inline const struct ferry_tags *const *ferry_msg_unknown_tags_of(const struct ferry_msg *m,
                                                                        const void *value)
{
    return (const struct ferry_tags *const *)ferry_msg_unknown_tags(m, (void *)(uintptr_t)value);
}

static inline const char *ferry_msg_name(const struct ferry_msg *m)
{
    return ferry_msg_names + m->name;
}

static inline const char *ferry_field_name(const struct ferry_field *f)
{
    return ferry_msg_names + f->name;
}

static inline const struct ferry_field *ferry_msg_fields(const struct ferry_msg *m)
{
    return ferry_fields + m->first;
}

static inline bool ferry_field_in(const struct ferry_field *f, int version)
{
    return f->since <= version && version <= f->until;
}

/* Sets every field to its default. For each struct ferry_X of messages.h there is also
 * ferry_X_init(). */
void ferry_msg_init(const struct ferry_msg *msg, void *value);

#endif
