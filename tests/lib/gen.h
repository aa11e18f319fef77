/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_GEN_H
#define TESTS_GEN_H
/* Random messages from their descriptors: every value that a field may have in a version, extremes
   and defaults more often than chance. The same seed gives the same message. */
#include "base/arena.h"
#include "base/prng.h"
#include "wire/messages.h"

struct gen {
    struct ferry_prng prng;
    struct ferry_arena *arena; /* everything comes from it */
    unsigned items_max;        /* elements of an array, at most */
    unsigned bytes_max;        /* bytes of a string or of bytes, at most */
    bool unknown_tags;         /* put tagged fields there that no schema knows */
};

void gen_init(struct gen *g, uint64_t seed, struct ferry_arena *arena);
/* Fills a message; false when the arena is exhausted. */
bool gen_message(struct gen *g, const struct ferry_msg *msg, int version, void *value);
/* Changes a copy of n > 0 bytes in one of the ways that bytes go wrong: flips, cuts, doubles,
   overwrites with lengths that lie. `buf` has room for 2 * n + 16; returns the new length. */
size_t gen_mutate(struct gen *g, const uint8_t *bytes, size_t n, uint8_t *buf);
/* A top-level message: one that stands in an API, a record type or by itself; FERRY_MSG_COUNT has
 * nested ones too. */
bool gen_is_top(const struct ferry_msg *msg);
/* One that Kafka has a generated class for: all top-level ones but the sticky assignors' user data, which
   tests/unit/test_group.c compares with what the assignors write. */
bool gen_is_kafka(const struct ferry_msg *msg);

#endif
