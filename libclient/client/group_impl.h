/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_GROUP_IMPL_H
#define CLIENT_GROUP_IMPL_H
/* Private to group_classic.c (states and questions) and group_join.c (requests and answers). */
#include "client/group.h"
#include "client/group_data.h"
#include "wire/messages.h"

enum ferry_group_state {
    GROUP_OUT,       /* no member, and not to become one */
    GROUP_WAITING,   /* wants to join: waits for an answer to a question, or for a backoff */
    GROUP_JOINING,   /* JoinGroup is in flight */
    GROUP_ASSIGNING, /* leads, and waits for metadata of the members' topics */
    GROUP_SYNCING,   /* SyncGroup is in flight */
    GROUP_STABLE,    /* has its assignment; questions about it may be open */
    GROUP_LEAVING,   /* LeaveGroup is in flight */
    GROUP_STALLED,   /* left because the application does not poll */
    GROUP_FAILED,    /* nothing but leaving helps */
    GROUP_STATES
};

/* A topic of the subscription, or (leader) of another member's. */
struct ferry_group_topic {
    struct ferry_topic_meta *meta; /* wanted */
    int32_t partitions;            /* when the leader assigned last; -1: it did not */
    bool own;                      /* of this member's subscription */
    bool used;                     /* of some member's in this round */
};

struct ferry_group {
    struct ferry_client *client;
    const struct ferry_group_owner *owner;
    void *cookie;
    enum ferry_group_state state;
    bool freed;      /* waits for its requests to come back */
    char *member_id; /* NULL: none yet */
    char **retired;  /* former member ids that requests under way may still name */
    size_t retired_count, retired_cap;
    int32_t generation;
    enum ferry_assignor assignors[FERRY_ASSIGNOR_COUNT];
    int assignor_count;
    bool cooperative;

    struct ferry_partition_list *topics;          /* subscribed, sorted */
    struct ferry_partition_list *previous;        /* last assignment */
    int32_t previous_generation;                  /* when it came; -1 */
    struct ferry_partition_list *revoked, *added; /* questions to come: NULL: none */
    bool question_open, prepared;                 /* prepared: asked before this join already */
    bool lost;                                    /* membership ended without our doing */
    bool rejoin;                                  /* a new round is needed */
    bool leads;
    bool leave_wanted;
    ferry_nsec leave_deadline;

    struct ferry_group_topic *wants;
    size_t want_count, want_cap;
    struct ferry_group_round round;
    struct ferry_observer observer;
    bool observing;
    ferry_nsec metadata_deadline;

    struct ferry_request join, beat, leave; /* join: JoinGroup and SyncGroup */
    struct ferry_writer metadata[FERRY_ASSIGNOR_COUNT];
    struct ferry_join_group_request join_message;
    struct ferry_join_group_request_protocol protocols[FERRY_ASSIGNOR_COUNT];
    struct ferry_sync_group_request sync_message;
    struct ferry_heartbeat_request beat_message;

    struct ferry_timer retry, heartbeat;
    unsigned tries;
    ferry_nsec beat_ok_at, polled_at;
    uint64_t polls;
};

/* group_classic.c */
void ferry_group_move(struct ferry_group *, enum ferry_group_state);
/* Does what can be done now. */
void ferry_group_go(struct ferry_group *);
/* Tries again after a backoff. */
void ferry_group_backoff(struct ferry_group *);
/* The broker does not know this member any more. keep_id: only its generation is wrong. */
void ferry_group_lose(struct ferry_group *, bool keep_id);
void ferry_group_fail(struct ferry_group *, int32_t code, const char *what);
/* The assignment came. Takes the list over. */
void ferry_group_assigned(struct ferry_group *, struct ferry_partition_list *);
/* Call it first in on_done: false if the group is gone. */
bool ferry_group_returned(struct ferry_group *);
/* Waits for metadata of everybody's topics, then assigns. */
void ferry_group_lead(struct ferry_group *);
int ferry_group_set_member_id(struct ferry_group *, struct ferry_str id);
/* There is no member id any more. */
void ferry_group_drop_member_id(struct ferry_group *);

/* group_join.c */
void ferry_group_send_join(struct ferry_group *);
void ferry_group_send_sync(struct ferry_group *);
void ferry_group_send_heartbeat(struct ferry_group *);
void ferry_group_send_leave(struct ferry_group *, const char *reason);

#endif
