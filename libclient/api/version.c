/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "ferry/ferry.h"

const char *ferry_version(void)
{
    return PACKAGE_VERSION;
}
