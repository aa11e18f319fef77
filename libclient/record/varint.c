/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "record/varint.h"

const uint8_t *ferry_varint_get64(const uint8_t *p, const uint8_t *end, int64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        uint8_t b = *p++;
        if (shift == 63 && b > 1)
            return NULL;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *out = ferry_varint_unzigzag64(v);
            return p;
        }
    }
    return NULL;
}

const uint8_t *ferry_varint_get32(const uint8_t *p, const uint8_t *end, int32_t *out)
{
    uint32_t v = 0;
    for (unsigned shift = 0; shift < 35 && p < end; shift += 7) {
        uint8_t b = *p++;
        if (shift == 28 && b > 0x0f)
            return NULL;
        v |= (uint32_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *out = ferry_varint_unzigzag32(v);
            return p;
        }
    }
    return NULL;
}
