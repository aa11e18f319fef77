/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVE_CLOCK_H
#define DRIVE_CLOCK_H
/* The only clocks and the only source of randomness. Any thread. */
#include "engine/env.h"

ferry_nsec ferry_clock_now(void);  /* monotonic */
ferry_msec ferry_clock_wall(void); /* since the Unix epoch */
/* From the kernel's generator: seeds of engines. */
uint64_t ferry_clock_seed(void);

#endif
