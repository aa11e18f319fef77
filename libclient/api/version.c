/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "ferry/ferry.h"

#include "base/err.h"
#include "wire/errors.h"

const char *ferry_version(void)
{
    return PACKAGE_VERSION;
}

const char *ferry_error_name(int32_t code)
{
    const char *name = ferry_err_own_name(code);
    if (!name)
        name = ferry_kafka_err_name(code);
    return name ? name : "UNKNOWN";
}

uint32_t ferry_error_flags(int32_t code)
{
    switch (code) {
    case FERRY_OK:
        return 0;
    case FERRY_E_TIMED_OUT:
    case FERRY_E_QUEUE_FULL:
    case FERRY_E_TRANSPORT:
    case FERRY_E_RESOLVE:
    case FERRY_E_ALL_BROKERS_DOWN:
    case FERRY_E_AGAIN:
        return FERRY_ERROR_RETRIABLE;
    case FERRY_E_FATAL:
        return FERRY_ERROR_FATAL;
    default:
        return ferry_kafka_err_flags(code);
    }
}
