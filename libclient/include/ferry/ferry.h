/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_FERRY_H
#define FERRY_FERRY_H
/*
 * Ferry: a client library for the Apache Kafka protocol.
 *
 * This header gathers the whole native API. Rules that hold for every function:
 *   - handles are opaque; integers have fixed widths; no function is a macro, inline or variadic;
 *   - a function that can fail returns int32_t: 0, or an enum ferry_err value (negative: found by this
 *     library; positive: a broker's answer), and fills the caller's struct ferry_error where one is given;
 *   - times are milliseconds unless the name ends in _ns or _us; -1 as a time-out means without end;
 *   - strings are UTF-8, NUL-terminated, and copied unless the function says otherwise.
 */
#include <ferry/admin.h>
#include <ferry/client.h>
#include <ferry/config.h>
#include <ferry/error.h>
#include <ferry/hooks.h>
#include <ferry/kafka_errors.h>
#include <ferry/loop.h>
#include <ferry/observe.h>
#include <ferry/queue.h>
#include <ferry/producer.h>
#include <ferry/consumer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The library's version, such as "0.1.0". Static memory; any thread. */
FERRY_API const char *ferry_version(void);

#ifdef __cplusplus
}
#endif
#endif
