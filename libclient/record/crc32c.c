/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "record/crc32c.h"

#include "base/bytes.h"
#include "record/crc32c_table.h"

/*
 * A CRC here is a polynomial in reflected order: bit 31 is the coefficient of x^0. Appending n
 * bytes multiplies it by x^(8n) modulo the polynomial, which is what combine and shift do without
 * looking at the bytes.
 */

enum { CRC32C_POLYNOMIAL = (int)0x82f63b78 };

uint32_t ferry_crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t c = (uint32_t)~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        v ^= c;
        c = crc32c_table[7][v & 0xff] ^ crc32c_table[6][v >> 8 & 0xff] ^
            crc32c_table[5][v >> 16 & 0xff] ^ crc32c_table[4][v >> 24 & 0xff] ^
            crc32c_table[3][v >> 32 & 0xff] ^ crc32c_table[2][v >> 40 & 0xff] ^
            crc32c_table[1][v >> 48 & 0xff] ^ crc32c_table[0][v >> 56];
    }
    for (; len; len--, p++)
        c = c >> 8 ^ crc32c_table[0][(c ^ *p) & 0xff];
    return (uint32_t)~c;
}

uint32_t ferry_crc32c(uint32_t crc, const void *data, size_t len)
{
    return ferry_crc32c_has_hw() ? ferry_crc32c_hw(crc, data, len)
                                 : ferry_crc32c_portable(crc, data, len);
}

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a; a <<= 1) {
        product ^= b & -(a >> 31);
        b = b >> 1 ^ ((uint32_t)CRC32C_POLYNOMIAL & -(b & 1));
    }
    return product;
}

uint32_t ferry_crc32c_shift(uint32_t d, uint64_t len)
{
    for (unsigned k = 0; len; k++, len >>= 1)
        if (len & 1)
            d = multiply(crc32c_power[k], d);
    return d;
}

uint32_t ferry_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    return ferry_crc32c_shift(crc_a, len_b) ^ crc_b;
}

uint32_t ferry_crc32(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    crc = ~crc;
    for (; len; len--, p++)
        crc = crc >> 8 ^ crc32_table[(crc ^ *p) & 0xff];
    return ~crc;
}
