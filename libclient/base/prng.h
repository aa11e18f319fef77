/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H
/* xoshiro256** seeded by splitmix64: repeatable randomness for jitter, ids and the simulator. Not for secrets. */
#include "base/bytes.h"

struct ferry_prng {
    uint64_t s[4];
};

void ferry_prng_seed(struct ferry_prng *, uint64_t seed);
uint64_t ferry_prng_next(struct ferry_prng *);
/* Uniform in [0, n); 0 for n == 0. */
uint64_t ferry_prng_below(struct ferry_prng *, uint64_t n);
/* Uniform in [low, high], both included. */
int64_t ferry_prng_between(struct ferry_prng *, int64_t low, int64_t high);
/* True with probability num / den. */
bool ferry_prng_chance(struct ferry_prng *, uint64_t num, uint64_t den);
/* A random (version 4) uuid. */
struct ferry_uuid ferry_prng_uuid(struct ferry_prng *);

#endif
