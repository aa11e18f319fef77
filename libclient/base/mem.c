/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"

#include "ferry/error.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t fail_countdown;

static int fails_now(void)
{
    return fail_countdown && --fail_countdown == 0;
}

void ferry_mem_fail_after(uint64_t n)
{
    fail_countdown = n;
}

uint64_t ferry_mem_fail_left(void)
{
    return fail_countdown;
}

void *ferry_alloc(size_t size)
{
    return fails_now() ? NULL : malloc(size ? size : 1);
}

void *ferry_zalloc(size_t size)
{
    return fails_now() ? NULL : calloc(1, size ? size : 1);
}

void *ferry_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : realloc(p, size ? size : 1);
}

void ferry_free(void *p)
{
    free(p);
}

char *ferry_strndup(const char *s, size_t n)
{
    char *copy = ferry_alloc(n + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

char *ferry_strdup(const char *s)
{
    return ferry_strndup(s, strlen(s));
}

void *ferry_memdup(const void *p, size_t n)
{
    void *copy = ferry_alloc(n);
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

int ferry_grow(void **items, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return 0;
    size_t want = *cap ? *cap * 2 : 8;
    if (want < need)
        want = need;
    if (want > SIZE_MAX / size)
        return FERRY_E_NOMEM;
    void *grown = ferry_realloc(*items, want * size);
    if (!grown)
        return FERRY_E_NOMEM;
    *items = grown;
    *cap = want;
    return 0;
}
