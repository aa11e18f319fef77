/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_CLIENT_H
#define FERRY_CLIENT_H
/*
 * A handle: one client engine with its connections, on which producers, consumers and admin calls
 * live. It has one I/O thread whatever the number of brokers, or none (ferry.io.thread=false: the
 * application steps it, see <ferry/loop.h>). Every function may be called from any thread unless it
 * says otherwise.
 */
#include <ferry/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One client of one cluster; opaque. */
struct ferry_handle;

#ifdef __cplusplus
}
#endif
#endif
