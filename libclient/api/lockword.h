/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef API_LOCKWORD_H
#define API_LOCKWORD_H
/* A lock in 32 bits: 0 free, 1 taken, 2 taken and somebody may sleep on it. Not recursive, not fair. */
#include <stdatomic.h>
#include <stdint.h>

void ferry_lockword_wait(_Atomic uint32_t *word);
void ferry_lockword_wake(_Atomic uint32_t *word);

static inline void ferry_lockword_take(_Atomic uint32_t *word)
{
    uint32_t free = 0;
    if (__builtin_expect(!atomic_compare_exchange_strong_explicit(
                             word, &free, 1, memory_order_acquire, memory_order_relaxed),
                         0))
        ferry_lockword_wait(word);
}

static inline void ferry_lockword_give(_Atomic uint32_t *word)
{
    if (__builtin_expect(atomic_exchange_explicit(word, 0, memory_order_release) == 2, 0))
        ferry_lockword_wake(word);
}

/* The same as functions, for hooks. */
void ferry_lockword_lock(_Atomic uint32_t *word);
void ferry_lockword_unlock(_Atomic uint32_t *word);

#endif
