/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANDLER_SESSION_H
#define HANDLER_SESSION_H
/*
 * Incremental fetch sessions (KIP-227): the broker remembers what a client fetches, and both sides speak only of what
 * changed.
 *
 *  1. Sessions and their partitions are bounded in number. When there is no room, a session that was not used for two
 *     minutes makes place, else the client gets none and goes on without.
 *  2. A session that a fetch works with (busy) stays in memory until that is answered, whatever else happens to it;
 *     the same goes for its partitions.
 */
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "engine/env.h"

/* What a client fetches of one partition. */
struct broker_fetch_want {
    struct ferry_str topic; /* of a session by names */
    struct ferry_uuid id;   /* of one by ids */
    int32_t index, epoch, last_epoch, max_bytes;
    int64_t offset;
};

struct broker_session_part {
    struct ferry_link link;             /* in the session's order; then among its dead */
    struct broker_fetch_want want;      /* topic points behind this struct */
    int64_t sent_watermark, sent_start; /* what the client knows; -1: nothing */
    bool fresh;                         /* not answered for yet */
    bool forgotten;                     /* among the dead */
};

struct broker_session {
    int32_t id, epoch; /* epoch: of the next request */
    bool by_id, closed;
    uint32_t busy;
    struct ferry_map parts;
    struct ferry_link order, dead;
    struct ferry_link lru;
    ferry_nsec used_at;
};

struct broker_sessions {
    struct ferry_map by_id;
    struct ferry_link lru;    /* least recently used first */
    struct ferry_link closed; /* still busy */
    size_t part_count;
};

void broker_sessions_init(struct broker_sessions *);
void broker_sessions_free(struct broker_sessions *);
/* NULL when there is no room for `parts` more, or no memory. */
struct broker_session *broker_session_new(struct broker_sessions *, struct ferry_prng *,
                                          ferry_nsec now, int32_t slots, bool by_id, size_t parts);
struct broker_session *broker_session_find(struct broker_sessions *, int32_t id);
void broker_session_close(struct broker_sessions *, struct broker_session *);
/* The session was used: it is the last to make place. */
void broker_session_touch(struct broker_sessions *, struct broker_session *, ferry_nsec now);
/* Adds or updates. 0, FERRY_E_NOMEM, or FERRY_E_QUEUE_FULL when there are too many. */
int broker_session_put(struct broker_sessions *, struct broker_session *,
                       const struct broker_fetch_want *);
void broker_session_forget(struct broker_sessions *, struct broker_session *,
                           const struct broker_fetch_want *);
void broker_session_hold(struct broker_session *);
void broker_session_release(struct broker_sessions *, struct broker_session *);

#endif
