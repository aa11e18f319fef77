/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_BATCH_NEXT_H
#define RECORD_BATCH_NEXT_H
/*
 * The fast decoder of ferry_batch_iter_next, for a caller that wants it inlined into its own loop over records; others
 * call the function. What it may do and why is written at the head of batch_iter.c.
 */
#include "record/batch.h"
#include "record/varint.h"

#define FERRY_BATCH_INLINE inline __attribute__((always_inline))

#define FERRY_BATCH_LIKELY(cond) __builtin_expect(!!(cond), 1)

/* The careful decoder: any record, checked at each step. Returns what ferry_batch_iter_next returns. */
int ferry_batch_iter_next_careful(struct ferry_batch_iter *it, struct ferry_batch_record *r,
                                  struct ferry_error *err);

/* After a record was yielded. The last one, or the last in the window, ends the fast way. */
static inline void ferry_batch_iter_advance(struct ferry_batch_iter *it, uint32_t delta)
{
    it->low = delta + 1;
    it->left--;
    if (__builtin_expect(it->left == 0, 0) || __builtin_expect(it->low == it->high, 0))
        it->fast = it->start;
}

/* A varint at *p of up to four bytes, still zigzagged, without a bound; false if it is longer. `usual` is how many bytes
 * it mostly has: it only decides which way runs straight. */
static FERRY_BATCH_INLINE bool ferry_batch_take(const uint8_t **p, uint32_t *v, int usual)
{
    const uint8_t *at = *p;
    uint32_t n = at[0], next;
    *p = at + 1;
    *v = n;
    if (__builtin_expect(n < 0x80, usual == 1))
        return true;
    next = at[1];
    n = n - 0x80 + (next << 7);
    *p = at + 2;
    *v = n;
    if (FERRY_BATCH_LIKELY(next < 0x80))
        return true;
    next = at[2];
    n = n - (0x80 << 7) + (next << 14);
    *p = at + 3;
    *v = n;
    if (next < 0x80)
        return true;
    next = at[3];
    *p = at + 4;
    *v = n - (0x80 << 14) + (next << 21);
    return next < 0x80;
}

/* A varint that must not be negative: an odd one (negative) turns into a huge one. */
static FERRY_BATCH_INLINE uint32_t ferry_batch_natural(uint32_t zigzagged)
{
    return zigzagged >> 1 | zigzagged << 31;
}

/* Key or value at *p; false: leave it to the careful decoder. */
static FERRY_BATCH_INLINE bool ferry_batch_take_field(const uint8_t **p, const uint8_t *stop,
                                                      struct ferry_bytes *out, int usual)
{
    uint32_t n;
    if (!ferry_batch_take(p, &n, usual))
        return false;
    if (FERRY_BATCH_LIKELY((int64_t)ferry_batch_natural(n) <= stop - *p)) {
        out->data = *p;
        out->len = ferry_batch_natural(n);
        *p += ferry_batch_natural(n);
        return true;
    }
    out->data = NULL;
    out->len = 0;
    return n == 1;
}

static FERRY_BATCH_INLINE int ferry_batch_iter_next_inline(struct ferry_batch_iter *it,
                                                           struct ferry_batch_record *r,
                                                           struct ferry_error *err)
{
    const uint8_t *p = it->at, *stop;
    uint32_t n, time, delta;
    if (p >= it->fast || !ferry_batch_take(&p, &n, 2) ||
        (int64_t)ferry_batch_natural(n) > it->fast - p)
        return ferry_batch_iter_next_careful(it, r, err);
    stop = p + ferry_batch_natural(n);
    p++;
    if (!ferry_batch_take(&p, &time, 1) || !ferry_batch_take(&p, &delta, 2))
        return ferry_batch_iter_next_careful(it, r, err);
    delta = ferry_batch_natural(delta);
    if (!FERRY_BATCH_LIKELY(delta == it->low) && delta - it->low >= it->high - it->low)
        return ferry_batch_iter_next_careful(it, r, err);
    if (FERRY_BATCH_LIKELY(*p == 1)) {
        r->key.data = NULL;
        r->key.len = 0;
        p++;
    } else if (!ferry_batch_take_field(&p, stop, &r->key, 1)) {
        return ferry_batch_iter_next_careful(it, r, err);
    }
    if (!ferry_batch_take_field(&p, stop, &r->value, 2) || !ferry_batch_take(&p, &n, 1))
        return ferry_batch_iter_next_careful(it, r, err);
    r->header_count = (int32_t)ferry_batch_natural(n);
    r->headers = (struct ferry_bytes){NULL, 0};
    if (FERRY_BATCH_LIKELY(n == 0)) {
        if (p != stop)
            return ferry_batch_iter_next_careful(it, r, err);
    } else {
        if ((int64_t)ferry_batch_natural(n) > (stop - p) / 2)
            return ferry_batch_iter_next_careful(it, r, err);
        r->headers = (struct ferry_bytes){p, (size_t)(stop - p)};
    }
    it->at = stop;
    r->offset = it->base_offset + delta;
    r->timestamp = (int64_t)((uint64_t)it->base_timestamp +
                             (uint64_t)(ferry_varint_unzigzag64(time) & it->timestamp_mask));
    ferry_batch_iter_advance(it, delta);
    return 1;
}

#endif
