/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_VALUE_H
#define WIRE_VALUE_H
/* Decoded messages as values: defaults, comparing, copying, printing, all from their descriptors.
 */
#include "base/arena.h"
#include "base/text.h"
#include "wire/schema.h"

/* The count of the array whose pointer is at `at`. */
static inline int32_t *ferry_field_count(void *at)
{
    return (int32_t *)((char *)at + sizeof(void *));
}

static inline const int32_t *ferry_field_count_of(const void *at)
{
    return (const int32_t *)((const char *)at + sizeof(void *));
}

/* Bytes that one element of an array, or the field itself, takes in memory. */
size_t ferry_field_elem_size(const struct ferry_field *f);
/* Sets one field to its default; `at` is its place in the struct. */
void ferry_field_init(const struct ferry_field *f, void *at);
bool ferry_field_is_default(const struct ferry_field *f, const void *at);

/* The fewest bytes that a value of this type, or struct, can have on the wire. */
size_t ferry_type_wire_min(enum ferry_field_type type, bool flexible);
size_t ferry_msg_wire_min(const struct ferry_msg *msg, int version, bool flexible);

/* `count` structs with every field at its default; NULL when the arena is exhausted. */
void *ferry_msg_array(const struct ferry_msg *msg, struct ferry_arena *arena, size_t count);
/* Whether all fields are equal (unknown tags apart). Floats are compared by their bits. */
bool ferry_msg_equal(const struct ferry_msg *msg, const void *a, const void *b);
/* A deep copy that borrows nothing, unknown tags apart (they are dropped). 0 or FERRY_E_NOMEM. */
int ferry_msg_copy(const struct ferry_msg *msg, const void *from, struct ferry_arena *arena,
                   void *to);
/*
 * Adds the fields of this version as one JSON object, tagged fields at their default left out.
 * Uuids are in Kafka's base64 form, bytes in hexadecimal, of records only the length is told.
 */
void ferry_msg_print(const struct ferry_msg *msg, int version, const void *value,
                     struct ferry_text *out);
/* Kafka's text of a uuid: 22 characters of URL-safe base64, and a NUL. */
void ferry_uuid_text(const struct ferry_uuid *u, char out[23]);

#endif
