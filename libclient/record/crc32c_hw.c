/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * CRC-32C by the processor's instruction. On x86 one such instruction takes three cycles but a new
 * one starts every cycle, so three stretches of the input run side by side, and a carry-less
 * multiplication moves the first two behind the third.
 *
 * The instruction on 8 bytes of data D, starting from 0, gives D * x^32 mod P; a carry-less product
 * of two reflected 32-bit numbers A and B, taken as such data, stands for A * B * x. So A * x^(8n)
 * is the instruction applied to the product of A and x^(8n - 33).
 */
#include "record/crc32c.h"

#include "base/check.h"
#include "base/bytes.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <nmmintrin.h>
#include <wmmintrin.h>

enum { LONG_WORDS = 256, SHORT_WORDS = 32 }; /* words of 8 bytes in one stretch */

struct stretch_shift { /* x^(8n - 33) for n = the bytes of one stretch and of two */
    uint32_t one, two;
};
static const struct stretch_shift long_shift = {0xa51b6135, 0x82f89c77};
static const struct stretch_shift short_shift = {0xb9e02b86, 0xdd7e3b0c};

static inline uint64_t load(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

__attribute__((target("sse4.2,pclmul"))) static inline uint64_t shifted(uint32_t crc, uint32_t by)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc), _mm_cvtsi32_si128((int)by), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/* Three stretches of `words` words from p. */
__attribute__((target("sse4.2,pclmul"), always_inline)) static inline uint64_t
three(uint64_t c, const uint8_t *p, size_t words, struct stretch_shift by)
{
    const uint8_t *q = p + 8 * words, *r = q + 8 * words, *end = q;
    uint64_t d = 0, e = 0;
    for (; p < end; p += 16, q += 16, r += 16) {
        c = _mm_crc32_u64(c, load(p));
        d = _mm_crc32_u64(d, load(q));
        e = _mm_crc32_u64(e, load(r));
        c = _mm_crc32_u64(c, load(p + 8));
        d = _mm_crc32_u64(d, load(q + 8));
        e = _mm_crc32_u64(e, load(r + 8));
    }
    return e ^ _mm_crc32_u64(0, shifted((uint32_t)c, by.two) ^ shifted((uint32_t)d, by.one));
}

__attribute__((target("sse4.2,pclmul"))) uint32_t ferry_crc32c_hw(uint32_t crc, const void *data,
                                                                  size_t len)
{
    const uint8_t *p = data;
    uint64_t c = (uint32_t)~crc;
    for (; len >= 24 * LONG_WORDS; len -= 24 * LONG_WORDS, p += 24 * LONG_WORDS)
        c = three(c, p, LONG_WORDS, long_shift);
    for (; len >= 24 * SHORT_WORDS; len -= 24 * SHORT_WORDS, p += 24 * SHORT_WORDS)
        c = three(c, p, SHORT_WORDS, short_shift);
    for (; len >= 8; len -= 8, p += 8)
        c = _mm_crc32_u64(c, load(p));
    for (; len; len--, p++)
        c = _mm_crc32_u8((uint32_t)c, *p);
    return (uint32_t)~c;
}

bool ferry_crc32c_has_hw(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
/* Only where the compiler was told that every target has it: asking at run time needs the operating
 * system. */
#include <arm_acle.h>

uint32_t ferry_crc32c_hw(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t c = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        c = __crc32cd(c, v);
    }
    for (; len; len--, p++)
        c = __crc32cb(c, *p);
    return ~c;
}

bool ferry_crc32c_has_hw(void)
{
    return true;
}

#else

uint32_t ferry_crc32c_hw(uint32_t crc, const void *data, size_t len)
{
    (void)crc, (void)data, (void)len;
    FERRY_UNREACHABLE();
}

bool ferry_crc32c_has_hw(void)
{
    return false;
}
#endif
