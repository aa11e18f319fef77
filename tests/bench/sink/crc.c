/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC-32C, by the processor's instruction where the compiler may use it. */
#include "wire.h"

static uint32_t crc_tab[8][256];
void crc_init(void)
{
    for (int n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
        crc_tab[0][n] = c;
    }
    for (int n = 0; n < 256; n++)
        for (int k = 1; k < 8; k++)
            crc_tab[k][n] = crc_tab[0][crc_tab[k - 1][n] & 0xff] ^ (crc_tab[k - 1][n] >> 8);
}
uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint64_t c = 0xffffffffu;
#ifdef __SSE4_2__
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        c = __builtin_ia32_crc32di(c, v);
    }
    for (; n; n--)
        c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
#else
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        v ^= c;
        c = crc_tab[7][v & 255] ^ crc_tab[6][(v >> 8) & 255] ^ crc_tab[5][(v >> 16) & 255] ^
            crc_tab[4][(v >> 24) & 255] ^ crc_tab[3][(v >> 32) & 255] ^
            crc_tab[2][(v >> 40) & 255] ^ crc_tab[1][(v >> 48) & 255] ^ crc_tab[0][v >> 56];
    }
    for (; n; n--)
        c = crc_tab[0][(c ^ *p++) & 255] ^ (c >> 8);
#endif
    return ~(uint32_t)c;
}
