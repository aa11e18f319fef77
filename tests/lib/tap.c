/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/lib/tap.h"

#include <stdio.h>

static int count, failures, failed_now;
static const char *skip_reason;

void tap_run(const char *name, void (*fn)(void))
{
    failed_now = 0;
    skip_reason = NULL;
    fn();
    count++;
    failures += failed_now;
    printf("%sok %d - %s%s%s\n", failed_now ? "not " : "", count, name, skip_reason ? " # SKIP " : "",
           skip_reason ? skip_reason : "");
    fflush(stdout);
}

void tap_fail(const char *file, int line, const char *what)
{
    failed_now = 1;
    printf("# %s:%d: %s\n", file, line, what);
}

void tap_fail_int(const char *file, int line, const char *what, long long a, long long b)
{
    failed_now = 1;
    printf("# %s:%d: %s: %lld, %lld\n", file, line, what, a, b);
}

void tap_fail_str(const char *file, int line, const char *what, const char *a, const char *b)
{
    failed_now = 1;
    printf("# %s:%d: %s: \"%s\", \"%s\"\n", file, line, what, a, b);
}

void tap_skip(const char *reason)
{
    skip_reason = reason;
}

int tap_done(void)
{
    printf("1..%d\n", count);
    return failures ? 1 : 0;
}
