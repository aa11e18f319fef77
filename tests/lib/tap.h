/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H
/* TAP output. A test program is a list of TAP_RUN(fn) in main; a failed CHECK ends that function only. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TAP_RUN(fn) tap_run(#fn, fn)
#define CHECK(cond) \
    do { \
        if (!(cond)) { \
            tap_fail(__FILE__, __LINE__, #cond); \
            return; \
        } \
    } while (0)
#define CHECK_INT(a, b) \
    do { \
        long long tap_a = (long long)(a), tap_b = (long long)(b); \
        if (tap_a != tap_b) { \
            tap_fail_int(__FILE__, __LINE__, #a " == " #b, tap_a, tap_b); \
            return; \
        } \
    } while (0)
#define CHECK_STR(a, b) \
    do { \
        const char *tap_a = (a), *tap_b = (b); \
        if (strcmp(tap_a, tap_b)) { \
            tap_fail_str(__FILE__, __LINE__, #a " == " #b, tap_a, tap_b); \
            return; \
        } \
    } while (0)

void tap_run(const char *name, void (*fn)(void));
void tap_fail(const char *file, int line, const char *what);
void tap_fail_int(const char *file, int line, const char *what, long long a, long long b);
void tap_fail_str(const char *file, int line, const char *what, const char *a, const char *b);
/* Marks the running test as skipped; the reason is printed. */
void tap_skip(const char *reason);
/* Prints the plan; the value to return from main. */
int tap_done(void);

#endif
