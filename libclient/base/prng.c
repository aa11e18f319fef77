/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/prng.h"

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void ferry_prng_seed(struct ferry_prng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

uint64_t ferry_prng_next(struct ferry_prng *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

uint64_t ferry_prng_below(struct ferry_prng *r, uint64_t n)
{
    return n ? (uint64_t)(((unsigned __int128)ferry_prng_next(r) * n) >> 64) : 0;
}

int64_t ferry_prng_between(struct ferry_prng *r, int64_t low, int64_t high)
{
    return low + (int64_t)ferry_prng_below(r, (uint64_t)(high - low) + 1);
}

bool ferry_prng_chance(struct ferry_prng *r, uint64_t num, uint64_t den)
{
    return ferry_prng_below(r, den) < num;
}

struct ferry_uuid ferry_prng_uuid(struct ferry_prng *r)
{
    struct ferry_uuid u;
    ferry_put64(u.b, ferry_prng_next(r));
    ferry_put64(u.b + 8, ferry_prng_next(r));
    u.b[6] = (u.b[6] & 0x0f) | 0x40;
    u.b[8] = (u.b[8] & 0x3f) | 0x80;
    return u;
}
