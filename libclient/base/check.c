/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void ferry_check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "ferry: internal error: %s at %s:%d\n", what, file, line);
    abort();
}
