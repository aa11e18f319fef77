/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ENGINE_FRAMES_H
#define ENGINE_FRAMES_H
/*
 * Bytes of one connection into frames (int32 length, then so many bytes), for clients and brokers.
 *
 * A frame that lies whole in the driver's buffer is handed on borrowed. One that does not gets a slab of its own, which
 * grows with the bytes received, never with the claimed length; when much of it is missing the slab is lent to the
 * driver, so that the rest is received in place. An idle connection owns no memory.
 *
 * Invariants:
 *  1. While `lent`, slab->len is the driver's to advance, and the slab moves only together with a new RECEIVE_INTO.
 *  2. The slab never has more room than the frame needs, so a lent slab is full exactly when its frame is whole or when
 *     it has to grow.
 */
#include "engine/env.h"

struct ferry_frames {
    uint32_t limit; /* longer frames are an error; set by the owner */
    uint32_t need;  /* length of the frame in progress, once its head is there */
    uint8_t head[4];
    uint8_t head_len; /* 4 while a frame is in progress */
    bool lent;
    struct ferry_slab *slab; /* of the frame in progress */
    struct ferry_slab_pool
        *pool; /* where large slabs come from and go back to, whatever they claim: that memory is
                                     there already; NULL: none. The owner's */
};

struct ferry_frame {
    struct ferry_bytes bytes; /* without the length; borrowed until the callback returns */
    struct ferry_slab *slab;  /* what bytes point into, or NULL: take a reference to keep them */
};

/* Takes RECEIVED of connection `who`, calls on_frame for each whole frame, in order, until it returns other than 0.
   Returns that, or 0, FERRY_E_PROTOCOL (negative length), FERRY_E_TOO_LARGE, FERRY_E_NOMEM: then close the connection and
   feed nothing more. */
int ferry_frames_feed(struct ferry_frames *, const struct ferry_event *, struct ferry_id who,
                      struct ferry_actions *out,
                      int (*on_frame)(void *cookie, const struct ferry_frame *), void *cookie);

/* Bytes held for a frame in progress. */
size_t ferry_frames_held(const struct ferry_frames *);
/* Frees what is held: only when the driver holds nothing (after CLOSED). Ready for another connection, limit and pool kept. */
void ferry_frames_reset(struct ferry_frames *);

#endif
