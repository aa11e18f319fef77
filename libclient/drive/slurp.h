/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVE_SLURP_H
#define DRIVE_SLURP_H
/* A small file read whole: configuration, never data. */
#include "base/err.h"

#include <stddef.h>

/* *text (ferry_free it) gets the bytes and a NUL after them. FERRY_E_NOT_FOUND, FERRY_E_IO with the
   system's reason, FERRY_E_TOO_LARGE above limit, FERRY_E_NOMEM. */
int ferry_slurp(const char *path, size_t limit, char **text, size_t *len, struct ferry_error *err);

#endif
