/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H
/*
 * Assertions for our own mistakes. They stay on in release builds: a broken invariant must stop the process
 * before it loses or corrupts a record. What peers, disks and callers say is never asserted: it gets an error.
 */
#define FERRY_CHECK(cond) \
    (__builtin_expect(!!(cond), 1) ? (void)0 : ferry_check_failed(#cond, __FILE__, __LINE__))

#define FERRY_UNREACHABLE() ferry_check_failed("unreachable", __FILE__, __LINE__)

_Noreturn void ferry_check_failed(const char *what, const char *file, int line);

#endif
