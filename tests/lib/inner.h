/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_INNER_H
#define TESTS_INNER_H
/* A refbroker in a thread of the test's own process, with its data in a directory that goes with it. */
#include <stdbool.h>
#include <stdint.h>

struct inner;

/* settings: "key=value" strings, NULL at the end; NULL: none. NULL if it could not start (said on stderr). */
struct inner *inner_start(const char *const *settings);
/* host:port */
const char *inner_address(const struct inner *);
/* Batches appended so far, copies that were told apart. */
uint64_t inner_batches(const struct inner *);
uint64_t inner_duplicates(const struct inner *);
/* While true it neither reads nor answers. */
void inner_freeze(struct inner *, bool frozen);
void inner_stop(struct inner *);

#endif
