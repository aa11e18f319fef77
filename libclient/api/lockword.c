/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "api/lockword.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
    syscall(SYS_futex, (uint32_t *)(void *)word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

void ferry_lockword_wait(_Atomic uint32_t *word)
{
    /* The lock is held for some hundred nanoseconds: a short look again is cheaper than sleep. */
    for (int i = 0; i < 50; i++) {
        uint32_t free = 0;
        if (atomic_load_explicit(word, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_weak_explicit(word, &free, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
    while (atomic_exchange_explicit(word, 2, memory_order_acquire) != 0)
        futex(word, FUTEX_WAIT, 2);
}

void ferry_lockword_wake(_Atomic uint32_t *word)
{
    futex(word, FUTEX_WAKE, 1);
}

void ferry_lockword_lock(_Atomic uint32_t *word)
{
    ferry_lockword_take(word);
}

void ferry_lockword_unlock(_Atomic uint32_t *word)
{
    ferry_lockword_give(word);
}
