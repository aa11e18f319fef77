/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_CODEC_H
#define WIRE_CODEC_H
/*
 * Every message of the protocol, to bytes and back, from its descriptor.
 *
 * Decoding borrows strings, bytes and records from the input and takes arrays and nullable structs
 * from the caller's arena; the value is good as long as both are. It is safe on any input: it ends
 * with an error or a value, never reads beyond the input, and takes no memory for an array before
 * it has seen that the bytes left could hold so many elements. The arena's limit bounds the rest.
 */
#include "base/arena.h"
#include "ferry/error.h"
#include "wire/cursor.h"
#include "wire/messages.h"
#include "wire/writer.h"

enum ferry_decode_flag {
    FERRY_DECODE_WHOLE = 1, /* bytes behind the message are an error */
    FERRY_DECODE_KEEP_TAGS =
        2 /* unknown tagged fields go to unknown_tags (else they are skipped) */
};

/*
 * Decodes one message; `value` (of msg's type) is overwritten: fields that the version lacks get
 * their default. 0; FERRY_E_PROTOCOL for malformed bytes; FERRY_E_UNSUPPORTED for a version outside
 * the schema; FERRY_E_TOO_LARGE when the arena's limit is reached; FERRY_E_NOMEM. After an error
 * the value must not be read. err may be NULL.
 */
int ferry_msg_decode(const struct ferry_msg *msg, int version, struct ferry_bytes in,
                     unsigned flags, struct ferry_arena *arena, void *value,
                     struct ferry_error *err);
/* The same from a cursor that stays behind the message. */
int ferry_msg_read(const struct ferry_msg *msg, int version, struct ferry_cursor *in,
                   unsigned flags, struct ferry_arena *arena, void *value, struct ferry_error *err);

/*
 * Appends one message. 0; FERRY_E_UNSUPPORTED for a version outside the schema, or a field that is
 * not at its default, is not ignorable and is not in this version; FERRY_E_INVALID for a null where
 * none may be, or a string of more than 32767 bytes; FERRY_E_NOMEM. After an error the writer holds
 * a part of the message.
 */
int ferry_msg_encode(const struct ferry_msg *msg, int version, const void *value,
                     struct ferry_writer *w, struct ferry_error *err);

#endif
