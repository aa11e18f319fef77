/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_ADMIN_H
#define CLIENT_ADMIN_H
/*
 * Admin calls: questions to the cluster about many things at once, each with its own answer.
 *
 * A call has entries (what was asked for) and items (the answers). It goes in rounds: the pending entries are dealt to parts,
 * one request each, by route; an answer settles entries or leaves them pending; while some are pending and there is time,
 * another round follows after a backoff. Some kinds have several phases (committed offsets, then log ends).
 *
 * Invariants:
 *  1. An entry is settled at most once in each phase: pending goes from true to false.
 *  2. A part names no memory of its call once it is detached: the call ends at its deadline, its requests later.
 *  3. Everything that an item holds is in the call's arena.
 */
#include "base/arena.h"
#include "client/client.h"
#include "ferry/admin.h"
#include "wire/codec.h"

struct ferry_admin_part;

/* Who is asked. */
enum ferry_admin_route {
    FERRY_ADMIN_TO_ANY,
    FERRY_ADMIN_TO_CONTROLLER,
    FERRY_ADMIN_TO_GROUP,      /* the coordinator of the call's group */
    FERRY_ADMIN_TO_EACH_GROUP, /* a part for each entry, to the coordinator of its name */
    FERRY_ADMIN_TO_RESOURCES,  /* brokers' settings to the broker itself, all others to any */
    FERRY_ADMIN_TO_LEADERS,    /* a lookup, then a part for each leader */
    FERRY_ADMIN_TO_BROKERS     /* a lookup, then a part for each broker; entries are made of them */
};

/* Which add functions a kind has a use for. */
enum ferry_admin_use {
    FERRY_USES_NAME = 1,
    FERRY_USES_TOPIC = 2,
    FERRY_USES_CONFIG = 4,
    FERRY_USES_ASSIGNMENT = 8,
    FERRY_USES_RESOURCE = 16,
    FERRY_USES_PARTITION = 32,
    FERRY_USES_GROUP = 64,
    FERRY_USES_FILTER = 128,
    FERRY_USES_ALL = 256 /* no entry means everything */
};

/* One phase of a kind of call. */
struct ferry_admin_ops {
    int16_t api_key, min, max;
    enum ferry_admin_route route;
    /* Appends the body for the part's entries. */
    int (*encode)(struct ferry_admin *, struct ferry_admin_part *, int16_t version,
                  struct ferry_writer *);
    /* Settles the part's entries, or says of each why it must be tried again. */
    void (*answer)(struct ferry_admin *, struct ferry_admin_part *, const struct ferry_reply *);
};

enum { FERRY_ADMIN_PHASES = 3 };

struct ferry_admin_kind_ops {
    uint32_t uses;
    const struct ferry_admin_ops *phases[FERRY_ADMIN_PHASES];
};

struct ferry_admin_config {
    struct ferry_admin_config *next;
    struct ferry_str key, value; /* value.data NULL: null */
    int32_t op;
};

struct ferry_admin_assignment {
    struct ferry_admin_assignment *next;
    int32_t partition, count;
    int32_t *nodes;
};

struct ferry_admin_entry {
    struct ferry_str name; /* topic, group, resource; data NULL: the entry that means everything */
    int32_t type;          /* resource */
    int32_t partition;     /* -1 where it means nothing */
    int32_t count, replication;
    int64_t offset;
    struct ferry_admin_config *configs, **configs_end;
    struct ferry_admin_assignment *assignments, **assignments_end;
    int32_t config_count, assignment_count;
    struct ferry_admin_item *item; /* NULL: of "everything", and of a broker */
    bool pending, failed;
    int32_t leader; /* node it is dealt to; -1: to be looked up */
    int32_t code;   /* why it was not settled yet */
    const char *text;
};

struct ferry_admin_item {
    struct ferry_admin_value *values;
};

struct ferry_admin_filter {
    struct ferry_admin_filter *next;
    int32_t field;
    struct ferry_str value;
};

enum ferry_admin_state { FERRY_ADMIN_NEW, FERRY_ADMIN_RUNNING, FERRY_ADMIN_DONE };

struct ferry_admin {
    struct ferry_command command; /* first; run = ferry_admin_begin */
    int32_t kind;
    uint32_t flags;
    const struct ferry_admin_kind_ops *ops;
    struct ferry_arena arena;
    bool no_memory; /* something could not be added */
    struct ferry_str group;
    struct ferry_admin_filter *filters;
    struct ferry_admin_entry **entries;
    size_t entry_count, entry_cap;
    struct ferry_admin_item **items;
    size_t item_count, item_cap;
    ferry_nsec timeout; /* set before it is started; 0: default.api.timeout.ms */

    struct ferry_client *client;
    struct ferry_observer observer;
    struct ferry_timer timer, deadline_timer;
    ferry_nsec deadline;
    struct ferry_arena scratch; /* of one encoding */
    struct ferry_link parts;
    unsigned phase, tries;
    bool looked_up; /* leaders, or brokers, are known in this round */
    int32_t status; /* of the call as a whole */
    char text[256];
    _Atomic int state;
    void (*on_done)(struct ferry_admin *); /* inside a step; NULL: somebody looks at state */
    uint64_t cookie;
    void *queue; /* api's: where it goes when it is done */
    struct ferry_delivery done;
};

/* One request of a round. */
struct ferry_admin_part {
    struct ferry_link link;
    struct ferry_request request;
    struct ferry_admin *call; /* NULL: detached */
    bool lookup;
    size_t count;
    struct ferry_admin_entry *entries[]; /* by name, then partition */
};

/* The kinds (admin_topics.c, admin_configs.c, admin_groups.c, admin_offsets.c). */
extern const struct ferry_admin_kind_ops ferry_admin_create_topics, ferry_admin_delete_topics,
    ferry_admin_describe_topics, ferry_admin_create_partitions, ferry_admin_describe_cluster,
    ferry_admin_describe_configs, ferry_admin_alter_configs, ferry_admin_list_groups,
    ferry_admin_describe_groups, ferry_admin_delete_groups, ferry_admin_list_group_offsets,
    ferry_admin_group_lag, ferry_admin_alter_group_offsets, ferry_admin_delete_group_offsets,
    ferry_admin_delete_records, ferry_admin_list_offsets;

/* -- The machine (admin.c) -- */

/* Runs a call: its command. state becomes DONE, and on_done is called, within its time-out. */
void ferry_admin_begin(struct ferry_client *, struct ferry_command *);

/* What the broker said of an entry: settles it, or keeps it pending if it may pass. text may be null. */
void ferry_admin_outcome(struct ferry_admin *, struct ferry_admin_entry *, int32_t code,
                         struct ferry_str text);
/* The same for all of a part. */
void ferry_admin_outcome_all(struct ferry_admin *, struct ferry_admin_part *, int32_t code,
                             struct ferry_str text);
/* The pending entry of a row, or NULL. partition -1 where entries have none. */
struct ferry_admin_entry *ferry_admin_find(const struct ferry_admin_part *, struct ferry_str name,
                                           int32_t partition);
/* What is left of the call's time, for time-outs in requests. */
int32_t ferry_admin_time_left(const struct ferry_admin *);
/* Makes an entry; NULL without memory (then no_memory is set). */
struct ferry_admin_entry *ferry_admin_entry_new(struct ferry_admin *, struct ferry_str name,
                                                int32_t partition);
/* Fails the call as a whole. */
void ferry_admin_fail(struct ferry_admin *, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Scratch memory of one encoding, zeroed; NULL without memory. */
void *ferry_admin_scratch(struct ferry_admin *, size_t count, size_t size);
/* How many entries from `at` on have the same name. */
size_t ferry_admin_same_name(const struct ferry_admin_part *, size_t at);

/* -- Items (admin_items.c). Setting into NULL does nothing; lost memory sets no_memory. -- */
struct ferry_admin_item *ferry_admin_item_new(struct ferry_admin *);
struct ferry_admin_item *ferry_admin_item_child(struct ferry_admin *, struct ferry_admin_item *,
                                                int32_t list);
void ferry_admin_set_int(struct ferry_admin *, struct ferry_admin_item *, int32_t field, int64_t);
void ferry_admin_set_text(struct ferry_admin *, struct ferry_admin_item *, int32_t field,
                          struct ferry_str);
void ferry_admin_set_bytes(struct ferry_admin *, struct ferry_admin_item *, int32_t field,
                           struct ferry_bytes);
void ferry_admin_set_numbers(struct ferry_admin *, struct ferry_admin_item *, int32_t field,
                             const int32_t *, int32_t count);
void ferry_admin_set_uuid(struct ferry_admin *, struct ferry_admin_item *, int32_t field,
                          const struct ferry_uuid *);

#endif
