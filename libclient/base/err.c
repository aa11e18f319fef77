/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int ferry_fail(struct ferry_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    err->code = code;
    err->flags = code == FERRY_E_FATAL ? FERRY_ERROR_FATAL : 0;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

void ferry_error_clear(struct ferry_error *err)
{
    if (err) {
        err->code = 0;
        err->flags = 0;
        err->text[0] = 0;
    }
}

#define NAME(code) \
    case code: \
        return #code

const char *ferry_err_own_name(int code)
{
    switch ((enum ferry_err)code) {
        NAME(FERRY_OK);
        NAME(FERRY_E_NOMEM);
        NAME(FERRY_E_INVALID);
        NAME(FERRY_E_CONFIG);
        NAME(FERRY_E_STATE);
        NAME(FERRY_E_TIMED_OUT);
        NAME(FERRY_E_QUEUE_FULL);
        NAME(FERRY_E_TOO_LARGE);
        NAME(FERRY_E_CLOSED);
        NAME(FERRY_E_TRANSPORT);
        NAME(FERRY_E_RESOLVE);
        NAME(FERRY_E_PROTOCOL);
        NAME(FERRY_E_UNSUPPORTED);
        NAME(FERRY_E_CRC);
        NAME(FERRY_E_CODEC);
        NAME(FERRY_E_IO);
        NAME(FERRY_E_NO_SPACE);
        NAME(FERRY_E_NOT_FOUND);
        NAME(FERRY_E_EXISTS);
        NAME(FERRY_E_PURGED);
        NAME(FERRY_E_EXPIRED);
        NAME(FERRY_E_ALL_BROKERS_DOWN);
        NAME(FERRY_E_PARTITION_EOF);
        NAME(FERRY_E_MAX_POLL);
        NAME(FERRY_E_NO_OFFSET);
        NAME(FERRY_E_FATAL);
        NAME(FERRY_E_AGAIN);
        NAME(FERRY_E_INTERRUPTED);
    }
    return NULL;
}
