/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes, as any message of any version, decode to an error or to a value. A value encodes
 * again, and what that gives decodes to an equal value and encodes to the same bytes. Memory stays
 * in proportion to the input.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined over this file and libcommon. Bytes 0
 * and 1 of the input choose the message, byte 2 version and flags.
 */
#include "config.h"

#include "tests/fuzz/decode.h"

#include "base/mem.h"
#include "tests/lib/gen.h"
#include "wire/codec.h"
#include "wire/value.h"

#include <stdio.h>
#include <stdlib.h>

/* One byte may stand for one string view or struct in memory; the widest struct of one byte
 * decides. */
enum { MEMORY_PER_BYTE = 256, MEMORY_FREE = 4096, VALUE_MAX = 2048 };

static double worst;

double fuzz_decode_worst(void)
{
    return worst;
}

static const char *check_value(const struct ferry_msg *msg, int version, unsigned flags,
                               const void *value, struct ferry_arena *arena)
{
    const char *bad = NULL;
    _Alignas(16) uint8_t again[VALUE_MAX];
    struct ferry_writer a = {0}, b = {0};
    arena->limit *= 4;
    if (ferry_msg_encode(msg, version, value, &a, NULL)) {
        bad = "a decoded message does not encode";
    } else if (ferry_msg_decode(msg, version, (struct ferry_bytes){a.data, a.len},
                                flags | FERRY_DECODE_WHOLE, arena, again, NULL)) {
        bad = "an encoded message does not decode";
    } else if (!ferry_msg_equal(msg, value, again)) {
        bad = "a message comes back changed";
    } else if (ferry_msg_encode(msg, version, again, &b, NULL) || a.len != b.len ||
               (a.len && memcmp(a.data, b.data, a.len))) {
        bad = "encoding twice gives different bytes";
    }
    ferry_writer_free(&a);
    ferry_writer_free(&b);
    return bad;
}

const char *fuzz_decode(const struct ferry_msg *msg, int version, unsigned flags,
                        struct ferry_bytes in, bool *decoded)
{
    _Alignas(16) uint8_t value[VALUE_MAX];
    struct ferry_arena arena = {.limit = MEMORY_FREE + in.len * MEMORY_PER_BYTE};
    /* A copy of its own, so that the sanitizer sees a read behind the end. */
    uint8_t *copy = malloc(in.len ? in.len : 1);
    if (!copy)
        abort();
    if (in.len)
        memcpy(copy, in.data, in.len);
    *decoded = false;
    if (msg->size > sizeof value)
        return "VALUE_MAX is too small";
    struct ferry_error err = {0};
    int e = ferry_msg_decode(msg, version, (struct ferry_bytes){copy, in.len}, flags, &arena, value,
                             &err);
    const char *bad = NULL;
    if (in.len > 64 && (double)arena.used / (double)in.len > worst)
        worst = (double)arena.used / (double)in.len;
    if (e == FERRY_E_TOO_LARGE)
        bad = "decoding takes more memory than the bytes justify";
    else if (e && (e != FERRY_E_PROTOCOL || err.code != e || !err.text[0]))
        bad = "an error of another kind, or without its text";
    else if (!e)
        bad = check_value(msg, version, flags, value, &arena);
    *decoded = !e;
    ferry_arena_free(&arena);
    free(copy);
    return bad;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 3)
        return 0;
    const struct ferry_msg *msg = &ferry_msgs[ferry_get16(data) % FERRY_MSG_COUNT];
    int version = msg->min + (data[2] & 0x3f) % (msg->max - msg->min + 1);
    bool decoded;
    const char *bad =
        fuzz_decode(msg, version, data[2] >> 6, (struct ferry_bytes){data + 3, len - 3}, &decoded);
    if (bad) {
        fprintf(stderr, "%s version %d: %s\n", ferry_msg_name(msg), version, bad);
        abort();
    }
    return 0;
}
