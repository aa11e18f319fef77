/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "ferry/ferry.h"

#include "base/err.h"

const char *ferry_version(void)
{
    return PACKAGE_VERSION;
}

const char *ferry_error_name(int32_t code)
{
    const char *own = ferry_err_own_name(code);
    return own ? own : "UNKNOWN";
}
