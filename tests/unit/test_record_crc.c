/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"
#include "base/prng.h"
#include "record/crc32c.h"
#include "tests/lib/tap.h"

/* One bit at a time, from the definition. */
static uint32_t bitwise(uint32_t polynomial, uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    while (len--) {
        crc ^= *p++;
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
    }
    return ~crc;
}

static void known_vectors(void)
{
    /* RFC 3720, appendix B.4, and the check value of the catalogue of CRCs. */
    uint8_t b[32];
    memset(b, 0, sizeof b);
    CHECK_INT(ferry_crc32c(0, b, 32), 0x8a9136aa);
    memset(b, 0xff, sizeof b);
    CHECK_INT(ferry_crc32c(0, b, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        b[i] = (uint8_t)i;
    CHECK_INT(ferry_crc32c(0, b, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        b[i] = (uint8_t)(31 - i);
    CHECK_INT(ferry_crc32c(0, b, 32), 0x113fdb5c);
    CHECK_INT(ferry_crc32c(0, "123456789", 9), 0xe3069283);
    CHECK_INT(ferry_crc32c_portable(0, "123456789", 9), 0xe3069283);
    CHECK_INT(ferry_crc32(0, "123456789", 9), 0xcbf43926);
    CHECK_INT(ferry_crc32c(0, "", 0), 0);
}

static void tables_match_the_definition(void)
{
    struct ferry_prng r;
    ferry_prng_seed(&r, 1);
    uint8_t b[300];
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (uint8_t)ferry_prng_next(&r);
    for (size_t len = 0; len <= sizeof b; len++) {
        CHECK_INT(ferry_crc32c_portable(0, b, len), bitwise(0x82f63b78, 0, b, len));
        CHECK_INT(ferry_crc32(0, b, len), bitwise(0xedb88320, 0, b, len));
    }
    /* Each byte value in each place of an eight-byte step. */
    for (int i = 0; i < 8 * 256; i++) {
        uint8_t w[8] = {0};
        w[i % 8] = (uint8_t)(i / 8);
        CHECK_INT(ferry_crc32c_portable(7, w, 8), bitwise(0x82f63b78, 7, w, 8));
        CHECK_INT(ferry_crc32(7, w, 8), bitwise(0xedb88320, 7, w, 8));
    }
}

/* Every length and alignment around the borders of the stretches that the hardware way works in. */
static void hardware_matches_portable(void)
{
    if (!ferry_crc32c_has_hw()) {
        tap_skip("the processor has no CRC-32C instruction");
        return;
    }
    enum { SIZE = 20000 };
    uint8_t *b = ferry_alloc(SIZE + 16);
    CHECK(b);
    struct ferry_prng r;
    ferry_prng_seed(&r, 2);
    for (size_t i = 0; i < SIZE + 16; i++)
        b[i] = (uint8_t)ferry_prng_next(&r);
    static const size_t borders[] = {0, 768, 1536, 6144, 6912, 12288, 18432};
    bool same = true;
    for (size_t k = 0; k < sizeof borders / sizeof *borders; k++)
        for (size_t d = 0; d < 64; d++)
            for (size_t align = 0; align < 9; align++) {
                size_t len = borders[k] + d < 32 ? d : borders[k] + d - 32;
                same &= ferry_crc32c_hw((uint32_t)d, b + align, len) ==
                        ferry_crc32c_portable((uint32_t)d, b + align, len);
            }
    for (size_t len = 0; len < 2500; len++)
        same &= ferry_crc32c_hw(0, b + len % 7, len) == ferry_crc32c_portable(0, b + len % 7, len);
    ferry_free(b);
    CHECK(same);
}

static void parts_and_combinations(void)
{
    enum { SIZE = 5000 };
    static uint8_t b[SIZE];
    struct ferry_prng r;
    ferry_prng_seed(&r, 3);
    for (size_t i = 0; i < SIZE; i++)
        b[i] = (uint8_t)ferry_prng_next(&r);
    uint32_t whole = ferry_crc32c(0, b, SIZE);
    for (int i = 0; i < 300; i++) {
        size_t cut = ferry_prng_below(&r, SIZE + 1);
        uint32_t first = ferry_crc32c(0, b, cut), second = ferry_crc32c(0, b + cut, SIZE - cut);
        CHECK_INT(ferry_crc32c(first, b + cut, SIZE - cut), whole);
        CHECK_INT(ferry_crc32c_combine(first, second, SIZE - cut), whole);
    }
    /* Lengths no buffer has: shifting by a + b is shifting by a, then by b. */
    for (int i = 0; i < 100; i++) {
        uint64_t n = ferry_prng_next(&r) >> 2, m = ferry_prng_next(&r) >> 2;
        uint32_t d = (uint32_t)ferry_prng_next(&r);
        CHECK_INT(ferry_crc32c_shift(d, n + m), ferry_crc32c_shift(ferry_crc32c_shift(d, n), m));
    }
}

int main(void)
{
    TAP_RUN(known_vectors);
    TAP_RUN(tables_match_the_definition);
    TAP_RUN(hardware_matches_portable);
    TAP_RUN(parts_and_combinations);
    return tap_done();
}
