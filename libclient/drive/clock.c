/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "drive/clock.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

ferry_nsec ferry_clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (ferry_nsec)t.tv_sec * FERRY_SECOND + t.tv_nsec;
}

ferry_msec ferry_clock_wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (ferry_msec)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t ferry_clock_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        return seed;
    /* Only in a kernel that has just booted: different between processes and calls, which is all a
     * seed needs. */
    return (uint64_t)ferry_clock_now() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 40;
}
