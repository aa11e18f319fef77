/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_MEM_H
#define BASE_MEM_H
/*
 * Memory for every module. Tests make the nth allocation fail (ferry_mem_fail_after) to walk the error paths.
 * All functions may return NULL except the _must forms, which abort: they are for small fixed objects at
 * creation time of a tool or test, never for sizes that a peer or a file states.
 */
#include <stddef.h>
#include <stdint.h>

void *ferry_alloc(size_t size) __attribute__((malloc));
void *ferry_zalloc(size_t size) __attribute__((malloc));
void *ferry_realloc(void *p, size_t size);
void ferry_free(void *p);
char *ferry_strdup(const char *s);
char *ferry_strndup(const char *s, size_t n);
void *ferry_memdup(const void *p, size_t n);

/* Grows *items (element size `size`, capacity *cap) to hold at least `need`; 0 or FERRY_E_NOMEM. */
int ferry_grow(void **items, size_t *cap, size_t need, size_t size);
#define FERRY_GROW(items, cap, need) ferry_grow((void **)&(items), &(cap), (need), sizeof *(items))

/* Test hook: the nth allocation from now (1 = the next) fails, once; 0 switches it off. Per thread. */
void ferry_mem_fail_after(uint64_t n);
/* How many are left until then; 0 = it is off. For test harnesses that must not fail themselves. */
uint64_t ferry_mem_fail_left(void);

#endif
