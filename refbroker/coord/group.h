/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef COORD_GROUP_H
#define COORD_GROUP_H
/*
 * A classic consumer group.
 *
 *     EMPTY ---join---> PREPARING ---all joined, or time over---> COMPLETING ---leader's sync written---> STABLE
 *       ^                 |  ^  ^                                    |                                     |
 *       |<--nobody joined-+  |  +------ join, leave, time-out -------+                                     |
 *       |                    +---------- join, leave, time-out --------------------------------------------+
 *       +---deleted or expired---> DEAD
 *
 *  1. The state changes in coord_group_move alone.
 *  2. A member has at most one parked join and one parked sync. While it waits in one its session does not end.
 *  3. Members are kept in the order of their joining: what follows from iteration is repeatable.
 */
#include "base/arena.h"
#include "refbroker/coord/groups.h"

struct broker_request;

enum { COORD_PROTOCOLS_MAX = 100 }; /* that a member may state; clients state a handful */

enum coord_group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD };

struct coord_protocol {
    struct ferry_str name; /* owned by the member's block */
    struct ferry_bytes metadata;
};

struct coord_member {
    struct ferry_link link;
    struct coord_group *group;
    char *id, *instance, *client_id, *host; /* instance NULL: a dynamic member */
    int32_t session_ms, rebalance_ms;
    struct coord_protocol *protocols; /* one block of memory with what they name */
    int32_t protocol_count;
    uint8_t *assignment;
    size_t assignment_len;
    struct broker_request *join, *sync;
    struct ferry_timer session;
};

/* A member id that was given out and has not come back yet (MEMBER_ID_REQUIRED). */
struct coord_pending {
    struct ferry_link link;
    struct coord_group *group;
    char *id;
    struct ferry_timer timer;
};

struct coord_offset {
    int64_t offset, committed_at, expires_at; /* -1: by retention */
    int32_t epoch;
    char *metadata;
    size_t metadata_len;
};

struct coord_group {
    struct broker_node *node;
    const struct coord_shard *shard;
    char *name;
    enum coord_group_state state;
    int32_t generation;
    char *protocol_type, *protocol; /* NULL: none */
    char *leader;                   /* member id; NULL: none */
    int64_t state_since;            /* wall, ms */
    struct ferry_link members, pending;
    int32_t member_count, joined_count, pending_count;
    struct ferry_timer rebalance;
    bool delayed;             /* the rebalance timer is the first one's delay */
    bool grew;                /* a member came during it: it is waited for once more */
    int32_t delay_left;       /* ms that it may still be prolonged by */
    bool recorded;            /* the log has a record of it */
    uint32_t writes;          /* under way: it stays */
    struct ferry_map offsets; /* coord_offset by topic and partition */
};

/* The one of this name; NULL if there is none. */
struct coord_group *coord_group_find(const struct broker_node *, struct ferry_str name);
/* A new, empty one. NULL without memory. */
struct coord_group *coord_group_new(struct broker_node *, const struct coord_shard *,
                                    struct ferry_str name);
/* Forgets it, if nobody is in it, no record speaks of it and nothing is being written. */
void coord_group_drop_if_unused(struct coord_group *);
void coord_group_free(struct coord_group *);
const char *coord_group_state_name(enum coord_group_state);
void coord_group_move(struct coord_group *, enum coord_group_state to);

/* ---- members ---- */
struct coord_member *coord_group_member(const struct coord_group *, struct ferry_str id);
struct coord_member *coord_group_static_member(const struct coord_group *,
                                               struct ferry_str instance);
struct coord_pending *coord_group_pending(const struct coord_group *, struct ferry_str id);
/* Gives an id that must come back within `ms`. NULL without memory. */
struct coord_pending *coord_group_add_pending(struct coord_group *, struct ferry_str id,
                                              int32_t ms);
void coord_group_remove_pending(struct coord_pending *);
/* What a join says of its member. */
struct coord_joiner {
    struct ferry_str id, instance, client_id, host;
    int32_t session_ms, rebalance_ms;
    const struct ferry_join_group_request_protocol *protocols;
    int32_t protocol_count;
};
struct coord_member *coord_group_add_member(struct coord_group *, const struct coord_joiner *);
/* New protocols and time-outs of a member. 0 or FERRY_E_NOMEM. */
int coord_group_update_member(struct coord_member *, const struct coord_joiner *);
bool coord_group_same_protocols(const struct coord_member *, const struct coord_joiner *);
/* A static member comes back under a new id. 0 or FERRY_E_NOMEM. */
int coord_group_rename_member(struct coord_member *, struct ferry_str id);
/* Answers what it waits for with `error` and forgets it. The caller sees to the rebalance. */
void coord_group_remove_member(struct coord_member *, int error);
/* The member is alive: its session begins anew. */
void coord_group_touch(struct coord_member *);
int coord_group_set_assignment(struct coord_member *, struct ferry_bytes);
/* Does every other member know one of these protocols, and share the type? */
bool coord_group_accepts(const struct coord_group *, struct ferry_str type,
                         const struct coord_joiner *, const struct coord_member *except);
/* The metadata of a member under the group's protocol. */
struct ferry_bytes coord_group_metadata(const struct coord_member *);

/* ---- rebalancing ---- */
void coord_group_prepare(struct coord_group *, const char *why);
/* Ends the joining phase if everybody is there. */
void coord_group_try_complete(struct coord_group *);
/* After somebody left: on with the rebalance, or a new one. */
void coord_group_member_left(struct coord_group *, const char *why);
void coord_group_answer_join(struct coord_member *, int error);
void coord_group_answer_sync(struct coord_member *, int error);
/* The leader's assignments are written: everybody gets theirs. */
void coord_group_complete_sync(struct coord_group *);

/* The group as a record; arrays are taken from the arena. NULL arrays on lost memory: FERRY_E_NOMEM. Members have the
 * assignments given here (by member id), or their present ones where that is NULL. */
int coord_group_record(const struct coord_group *, struct ferry_arena *,
                       const struct ferry_sync_group_request *,
                       struct ferry_group_metadata_value *out);

#endif
