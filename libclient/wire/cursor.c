/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "wire/cursor.h"

#include "ferry/error.h"

uint64_t ferry_cursor_fail(struct ferry_cursor *c)
{
    c->err = FERRY_E_PROTOCOL;
    c->at = c->end;
    return 0;
}

/* Seven bits a byte, low ones first; the last byte may not hold bits beyond `bits`. */
static uint64_t uvarint(struct ferry_cursor *c, unsigned bits)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < bits; shift += 7) {
        const uint8_t *p = ferry_cursor_take(c, 1);
        if (!p)
            return 0;
        uint64_t part = *p & 0x7f;
        if (bits - shift < 7 && part >> (bits - shift))
            return ferry_cursor_fail(c);
        value |= part << shift;
        if (!(*p & 0x80))
            return value;
    }
    return ferry_cursor_fail(c);
}

uint32_t ferry_cursor_uvarint(struct ferry_cursor *c)
{
    if (c->at < c->end && *c->at < 0x80)
        return *c->at++;
    return (uint32_t)uvarint(c, 32);
}

int32_t ferry_cursor_varint(struct ferry_cursor *c)
{
    uint32_t v = ferry_cursor_uvarint(c);
    return (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
}

int64_t ferry_cursor_varlong(struct ferry_cursor *c)
{
    uint64_t v = uvarint(c, 64);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
