/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_ERR_H
#define BASE_ERR_H
/* Filling a caller's struct ferry_error. Kafka's own codes, their names and flags are generated into wire/. */
#include "ferry/error.h"

/* Sets code and text (printf style) where err is not NULL, and returns code: `return ferry_fail(err, ...)`. */
int ferry_fail(struct ferry_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ferry_error_clear(struct ferry_error *err);
/* The name of one of our own codes (enum ferry_err), or NULL if it is not ours. */
const char *ferry_err_own_name(int code);

#endif
