/* SPDX-License-Identifier: BSD-2-Clause */
/* The group coordinator, driven through the broker's engine: membership, rebalances, offsets, restarts. */
#include "config.h"

#include "tests/unit/broker_bench.h"

#include "ferry/kafka_errors.h"
#include "refbroker/coord/groups.h"
#include "tests/lib/tap.h"

#include <stdio.h>

static struct bb b;

static void begin(void)
{
    bb_init(&b, 21);
    bb_set(&b, "offsets.topic.num.partitions", "3");
    bb_start(&b);
}

static void end(void)
{
    bb_free(&b);
}

/* FindCoordinator makes __consumer_offsets. */
static int find_coordinator(size_t c)
{
    struct ferry_find_coordinator_request in;
    struct ferry_find_coordinator_response out;
    ferry_find_coordinator_request_init(&in);
    in.key = FERRY_STR("g");
    return bb_call(&b, c, 10, 2, &in, &out) ? out.error_code : -1000;
}

/* A member: its connection and what it knows. */
struct member {
    size_t c;
    char id[128];
    const char *instance;
    int32_t generation;
    char leader[128], assignment[32];
    int32_t members;
    bool skip;
};

static void join_version(struct member *m, const char *group, const char *metadata, int version)
{
    struct ferry_join_group_request in;
    struct ferry_join_group_request_protocol p = {
        FERRY_STR("range"), {(const uint8_t *)metadata, strlen(metadata)}, NULL};
    ferry_join_group_request_init(&in);
    in.group_id = ferry_str_of(group);
    in.session_timeout_ms = 10000;
    in.rebalance_timeout_ms = 30000;
    in.member_id = ferry_str_of(m->id);
    in.group_instance_id = ferry_str_of(m->instance);
    in.protocol_type = FERRY_STR("consumer");
    in.protocols = &p;
    in.protocols_count = 1;
    bb_send(&b, m->c, 11, version, &in);
    bb_run(&b);
}

static void join(struct member *m, const char *metadata)
{
    join_version(m, "g", metadata, 5 + 2 * (m->instance != NULL));
}

static void copy_text(char *to, size_t room, struct ferry_str s)
{
    snprintf(to, room, "%.*s", (int)s.len, s.data ? s.data : "");
}

static int joined_version(struct member *m, int version)
{
    struct ferry_join_group_response out;
    if (!bb_take(&b, m->c, 11, version, NULL, &out))
        return -1000;
    copy_text(m->id, sizeof m->id, out.member_id);
    copy_text(m->leader, sizeof m->leader, out.leader);
    m->generation = out.generation_id;
    m->members = out.members_count;
    m->skip = out.skip_assignment;
    return out.error_code;
}

static int joined(struct member *m)
{
    return joined_version(m, 5 + 2 * (m->instance != NULL));
}

static bool leads(const struct member *m)
{
    return m->leader[0] && !strcmp(m->leader, m->id);
}

static void sync_group(struct member *m, const struct member *const *all, int count)
{
    struct ferry_sync_group_request in;
    struct ferry_sync_group_request_assignment a[8];
    char text[8][32];
    ferry_sync_group_request_init(&in);
    in.group_id = FERRY_STR("g");
    in.member_id = ferry_str_of(m->id);
    in.group_instance_id = ferry_str_of(m->instance);
    in.generation_id = m->generation;
    for (int i = 0; i < count; i++) {
        snprintf(text[i], sizeof text[i], "share %d of %d", i, m->generation);
        a[i] = (struct ferry_sync_group_request_assignment){
            ferry_str_of(all[i]->id), {(const uint8_t *)text[i], strlen(text[i])}, NULL};
    }
    in.assignments = a;
    in.assignments_count = count;
    bb_send(&b, m->c, 14, 3, &in);
    bb_run(&b);
}

static int synced(struct member *m)
{
    struct ferry_sync_group_response out;
    if (!bb_take(&b, m->c, 14, 3, NULL, &out))
        return -1000;
    snprintf(m->assignment, sizeof m->assignment, "%.*s", (int)out.assignment.len,
             (const char *)out.assignment.data);
    return out.error_code;
}

static int heartbeat(struct member *m)
{
    struct ferry_heartbeat_request in;
    struct ferry_heartbeat_response out;
    ferry_heartbeat_request_init(&in);
    in.group_id = FERRY_STR("g");
    in.member_id = ferry_str_of(m->id);
    in.group_instance_id = ferry_str_of(m->instance);
    in.generation_id = m->generation;
    return bb_call(&b, m->c, 12, 3, &in, &out) ? out.error_code : -1000;
}

static int leave(struct member *m)
{
    struct ferry_leave_group_request in;
    struct ferry_leave_group_response out;
    struct ferry_leave_group_request_member who;
    ferry_leave_group_request_init(&in);
    ferry_leave_group_request_member_init(&who);
    in.group_id = FERRY_STR("g");
    who.member_id = ferry_str_of(m->id);
    who.group_instance_id = ferry_str_of(m->instance);
    in.members = &who;
    in.members_count = 1;
    return bb_call(&b, m->c, 13, 3, &in, &out) && !out.error_code ? out.members[0].error_code
                                                                  : -1000;
}

static int commit(struct member *m, int32_t generation, const char *topic, int64_t offset,
                  const char *metadata)
{
    struct ferry_offset_commit_request in;
    struct ferry_offset_commit_request_topic t;
    struct ferry_offset_commit_request_partition p;
    struct ferry_offset_commit_response out;
    ferry_offset_commit_request_init(&in);
    ferry_offset_commit_request_topic_init(&t);
    ferry_offset_commit_request_partition_init(&p);
    in.group_id = FERRY_STR("g");
    in.member_id = ferry_str_of(m->id);
    in.group_instance_id = ferry_str_of(m->instance);
    in.generation_id_or_member_epoch = generation;
    t.name = ferry_str_of(topic);
    p.committed_offset = offset;
    p.committed_leader_epoch = 3;
    p.committed_metadata = ferry_str_of(metadata);
    t.partitions = &p;
    in.topics = &t;
    t.partitions_count = in.topics_count = 1;
    return bb_call(&b, m->c, 8, 7, &in, &out) ? out.topics[0].partitions[0].error_code : -1000;
}

/* The committed offset; -1 for none. */
static int64_t committed(size_t c, const char *topic, char metadata[64])
{
    struct ferry_offset_fetch_request in;
    struct ferry_offset_fetch_request_topic t;
    struct ferry_offset_fetch_response out;
    int32_t zero = 0;
    ferry_offset_fetch_request_init(&in);
    ferry_offset_fetch_request_topic_init(&t);
    in.group_id = FERRY_STR("g");
    t.name = ferry_str_of(topic);
    t.partition_indexes = &zero;
    in.topics = &t;
    t.partition_indexes_count = in.topics_count = 1;
    if (!bb_call(&b, c, 9, 5, &in, &out) || out.error_code)
        return -1000;
    if (metadata)
        copy_text(metadata, 64, out.topics[0].partitions[0].metadata);
    return out.topics[0].partitions[0].committed_offset;
}

/* The state's name. */
static void state_of(size_t c, char text[32])
{
    struct ferry_describe_groups_request in;
    struct ferry_describe_groups_response out;
    struct ferry_str name = FERRY_STR("g");
    ferry_describe_groups_request_init(&in);
    in.groups = &name;
    in.groups_count = 1;
    snprintf(text, 32, "?");
    if (bb_call(&b, c, 15, 5, &in, &out))
        copy_text(text, 32, out.groups[0].group_state);
}

/* Two members, joined and synced. */
static bool pair(struct member *one, struct member *two)
{
    if (find_coordinator(one->c))
        return false;
    join(one, "m1");
    if (!one->instance) {
        if (joined(one) != FERRY_KAFKA_MEMBER_ID_REQUIRED)
            return false;
        join(one, "m1");
    }
    if (joined(one) != 0 || !leads(one))
        return false;
    sync_group(one, (const struct member *[]){one}, 1);
    if (synced(one) != 0)
        return false;
    join(two, "m2");
    if (!two->instance) {
        if (joined(two) != FERRY_KAFKA_MEMBER_ID_REQUIRED)
            return false;
        join(two, "m2");
    }
    if (heartbeat(one) != FERRY_KAFKA_REBALANCE_IN_PROGRESS)
        return false;
    join(one, "m1");
    if (joined(one) != 0 || joined(two) != 0 || one->members != 2 || two->members != 0)
        return false;
    sync_group(two, NULL, 0);
    if (synced(two) != -1000) /* it waits for the leader */
        return false;
    sync_group(one, (const struct member *[]){one, two}, 2);
    return synced(one) == 0 && synced(two) == 0;
}

static void two_members_share(void)
{
    begin();
    size_t c = bb_connect(&b);
    CHECK_INT(bb_create(&b, c, "t", 1), 0);
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)};
    char state[32];
    CHECK(pair(&one, &two));
    CHECK_STR(one.assignment, "share 0 of 2");
    CHECK_STR(two.assignment, "share 1 of 2");
    CHECK_INT(heartbeat(&one), 0);
    CHECK_INT(heartbeat(&two), 0);
    state_of(c, state);
    CHECK_STR(state, "Stable");
    CHECK_INT(leave(&two), 0);
    CHECK_INT(heartbeat(&one), FERRY_KAFKA_REBALANCE_IN_PROGRESS);
    CHECK_INT(heartbeat(&two), FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    join(&one, "m1");
    CHECK_INT(joined(&one), 0);
    CHECK_INT(one.generation, 3);
    CHECK_INT(leave(&one), 0);
    state_of(c, state);
    CHECK_STR(state, "Empty");
    CHECK_INT(b.errors, 0);
    end();
}

/* group.initial.rebalance.delay.ms: a new group waits for more members, once more after each that comes, and not beyond
 * the rebalance time-out. */
static void a_new_group_waits_for_more_members(void)
{
    bb_init(&b, 22);
    bb_set(&b, "offsets.topic.num.partitions", "1");
    bb_set(&b, "group.initial.rebalance.delay.ms", "3000");
    bb_start(&b);
    struct member m[14] = {0};
    for (int i = 0; i < 14; i++)
        m[i].c = bb_connect(&b);
    CHECK_INT(find_coordinator(m[0].c), 0);
    join_version(&m[0], "g", "m", 3);
    bb_advance(&b, 2900);
    CHECK_INT(joined_version(&m[0], 3), -1000);
    bb_advance(&b, 200); /* alone: the delay is over */
    CHECK_INT(joined_version(&m[0], 3), 0);
    CHECK_INT(m[0].members, 1);
    for (int i = 1; i < 14; i++) { /* another group, of which one comes every 2.4 s */
        join_version(&m[i], "other", "m", 3);
        bb_advance(&b, 2400);
        CHECK_INT(joined_version(&m[1], 3), i == 13 ? 0 : -1000);
    }
    CHECK_INT(m[1].members, 13); /* at 30 s, the rebalance time-out, with all that had come */
    end();
}

static void who_is_silent_goes(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)};
    CHECK(pair(&one, &two));
    for (int i = 0; i < 3; i++) { /* one is heard of, two is not */
        bb_advance(&b, 4000);
        heartbeat(&one);
    }
    CHECK_INT(heartbeat(&two), FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    CHECK_INT(heartbeat(&one), FERRY_KAFKA_REBALANCE_IN_PROGRESS);
    join(&one, "m1");
    CHECK_INT(joined(&one), 0); /* alone: nobody is waited for */
    CHECK_INT(one.members, 1);
    end();
}

static void a_rebalance_waits_as_long_as_it_says(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)};
    CHECK(pair(&one, &two));
    join(&one, "changed"); /* the leader asks for a rebalance, two does not come but is alive */
    for (int i = 0; i < 7; i++) {
        bb_advance(&b, 4000);
        CHECK_INT(heartbeat(&two), FERRY_KAFKA_REBALANCE_IN_PROGRESS);
        CHECK_INT(joined(&one), -1000);
    }
    bb_advance(&b, 2000);
    CHECK_INT(joined(&one), 0);
    CHECK_INT(one.members, 1);
    CHECK_INT(heartbeat(&two), FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    end();
}

static void who_does_not_sync_goes(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)};
    CHECK(pair(&one, &two));
    join(&one, "changed");
    join(&two, "m2");
    CHECK_INT(joined(&one), 0);
    CHECK_INT(joined(&two), 0);
    sync_group(&two, NULL, 0);
    for (int i = 0; i < 7; i++) { /* the leader beats, but never syncs */
        bb_advance(&b, 4000);
        heartbeat(&one);
    }
    CHECK_INT(synced(&two), -1000);
    bb_advance(&b, 3000);
    CHECK_INT(synced(&two), FERRY_KAFKA_REBALANCE_IN_PROGRESS);
    CHECK_INT(heartbeat(&one), FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    end();
}

static void a_joiner_that_hangs_up_holds_up_nobody_for_ever(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)};
    CHECK(pair(&one, &two));
    join(&two, "changed"); /* parked: one has to come */
    CHECK_INT(joined(&two), -1000);
    bb_disconnect(&b, two.c);
    join(&one, "m1");
    CHECK_INT(joined(&one), -1000);
    bb_advance(&b, 11000); /* two's session ends */
    CHECK_INT(joined(&one), 0);
    CHECK_INT(one.members, 1);
    end();
}

static void static_members_come_back_without_a_rebalance(void)
{
    begin();
    struct member one = {.c = bb_connect(&b), .instance = "i1"},
                  two = {.c = bb_connect(&b), .instance = "i2"};
    CHECK(pair(&one, &two));
    int32_t generation = two.generation;
    struct member again = {.c = bb_connect(&b), .instance = "i2"};
    join(&again, "m2");
    CHECK_INT(joined(&again), 0);
    CHECK_INT(again.generation, generation);
    CHECK(strcmp(again.id, two.id) != 0);
    CHECK_INT(heartbeat(&one), 0); /* nobody noticed */
    CHECK_INT(heartbeat(&two), FERRY_KAFKA_FENCED_INSTANCE_ID);
    CHECK_INT(heartbeat(&again), 0);
    sync_group(&again, NULL, 0);
    CHECK_INT(synced(&again), 0);
    CHECK_STR(again.assignment, "share 1 of 2");
    struct member leader = {.c = bb_connect(&b), .instance = "i1"};
    join_version(&leader, "g", "m1", 9); /* the leader too; told not to assign */
    CHECK_INT(joined_version(&leader, 9), 0);
    CHECK(leader.skip && leads(&leader));
    CHECK_INT(leader.generation, generation);
    struct member other = {.c = bb_connect(&b), .instance = "i2"};
    join(&other, "something else"); /* a changed subscription does rebalance */
    CHECK_INT(joined(&other), -1000);
    CHECK_INT(heartbeat(&leader), FERRY_KAFKA_REBALANCE_IN_PROGRESS);
    end();
}

static void protocols_must_agree(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)};
    CHECK(pair(&one, &two));
    size_t c = bb_connect(&b);
    struct ferry_join_group_request in;
    struct ferry_join_group_request_protocol p = {
        FERRY_STR("sticky"), {(const uint8_t *)"", 0}, NULL};
    struct ferry_join_group_response out;
    ferry_join_group_request_init(&in);
    in.group_id = FERRY_STR("g");
    in.session_timeout_ms = 10000;
    in.rebalance_timeout_ms = 10000;
    in.protocol_type = FERRY_STR("consumer");
    in.protocols = &p;
    in.protocols_count = 1;
    CHECK(bb_call(&b, c, 11, 5, &in, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    in.session_timeout_ms = 10;
    CHECK(bb_call(&b, c, 11, 5, &in, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_INVALID_SESSION_TIMEOUT);
    in.group_id = FERRY_STR("");
    CHECK(bb_call(&b, c, 11, 5, &in, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_INVALID_GROUP_ID);
    in.group_id = FERRY_STR("new");
    in.session_timeout_ms = 10000;
    in.member_id = FERRY_STR("made up");
    CHECK(bb_call(&b, c, 11, 5, &in, &out));
    CHECK_INT(out.error_code, FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    end();
}

static void only_members_of_the_generation_commit(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)},
                  nobody = {.c = bb_connect(&b)};
    char metadata[64];
    CHECK_INT(bb_create(&b, one.c, "t", 1), 0);
    CHECK_INT(find_coordinator(one.c), 0);
    CHECK_INT(commit(&nobody, -1, "t", 5, "by hand"), 0); /* an empty group takes it */
    CHECK_INT(committed(one.c, "t", metadata), 5);
    CHECK_STR(metadata, "by hand");
    CHECK_INT(commit(&nobody, 4, "t", 5, ""), FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    CHECK(pair(&one, &two));
    CHECK_INT(commit(&nobody, -1, "t", 6, ""), FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    CHECK_INT(commit(&one, one.generation, "t", 7, "x"), 0);
    CHECK_INT(commit(&one, one.generation - 1, "t", 8, ""), FERRY_KAFKA_ILLEGAL_GENERATION);
    CHECK_INT(commit(&one, one.generation, "nowhere", 8, ""),
              FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    join(&two, "changed");
    CHECK_INT(commit(&one, one.generation, "t", 9, ""), 0); /* while the group prepares it may */
    join(&one, "m1");
    CHECK_INT(joined(&one), 0);
    CHECK_INT(joined(&two), 0);
    CHECK_INT(commit(&one, one.generation, "t", 10, ""), FERRY_KAFKA_REBALANCE_IN_PROGRESS);
    CHECK_INT(committed(one.c, "t", NULL), 9);
    char big[5000];
    memset(big, 'x', sizeof big);
    big[4999] = 0;
    sync_group(&two, NULL, 0);
    sync_group(&one, (const struct member *[]){&one, &two}, 2);
    CHECK_INT(synced(&one), 0);
    CHECK_INT(commit(&one, one.generation, "t", 11, big), FERRY_KAFKA_OFFSET_METADATA_TOO_LARGE);
    CHECK_INT(committed(one.c, "t", NULL), 9);
    end();
}

static void groups_and_offsets_survive(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)};
    char state[32], metadata[64];
    CHECK_INT(bb_create(&b, one.c, "t", 1), 0);
    CHECK(pair(&one, &two));
    CHECK_INT(commit(&one, one.generation, "t", 42, "meta"), 0);
    for (int kind = 0; kind < 2; kind++) {
        if (kind)
            bb_kill(&b, false);
        else
            bb_stop(&b);
        bb_start(&b);
        one.c = bb_connect(&b);
        two.c = bb_connect(&b);
        CHECK_INT(committed(one.c, "t", metadata), 42);
        CHECK_STR(metadata, "meta");
        state_of(one.c, state);
        CHECK_STR(state, "Stable");
        CHECK_INT(heartbeat(&one), 0); /* the members go on as if nothing had happened */
        CHECK_INT(heartbeat(&two), 0);
        CHECK_INT(commit(&two, two.generation, "t", 42, "meta"), 0);
    }
    bb_advance(&b, 11000);
    state_of(one.c, state);
    CHECK_STR(state, "Empty");
    end();
}

static void an_acknowledged_commit_survives_a_power_loss_with_flush_1(void)
{
    bb_init(&b, 77);
    bb_set(&b, "offsets.topic.num.partitions", "3");
    bb_set(&b, "log.flush.interval.messages", "1");
    bb_start(&b);
    struct member one = {.c = bb_connect(&b)};
    CHECK_INT(bb_create(&b, one.c, "t", 1), 0);
    CHECK_INT(find_coordinator(one.c), 0);
    for (int i = 1; i <= 5; i++) {
        CHECK_INT(commit(&one, -1, "t", i, ""), 0);
        bb_kill(&b, true);
        bb_start(&b);
        one.c = bb_connect(&b);
        CHECK_INT(committed(one.c, "t", NULL), i);
    }
    end();
}

static int delete_group(size_t c)
{
    struct ferry_delete_groups_request in;
    struct ferry_delete_groups_response out;
    struct ferry_str name = FERRY_STR("g");
    ferry_delete_groups_request_init(&in);
    in.groups_names = &name;
    in.groups_names_count = 1;
    return bb_call(&b, c, 42, 2, &in, &out) ? out.results[0].error_code : -1000;
}

static void groups_are_listed_and_deleted(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)}, two = {.c = bb_connect(&b)};
    char state[32];
    CHECK_INT(bb_create(&b, one.c, "t", 1), 0);
    CHECK_INT(delete_group(one.c), FERRY_KAFKA_GROUP_ID_NOT_FOUND);
    CHECK(pair(&one, &two));
    CHECK_INT(commit(&one, one.generation, "t", 1, ""), 0);
    CHECK_INT(delete_group(one.c), FERRY_KAFKA_NON_EMPTY_GROUP);
    struct ferry_list_groups_request in;
    struct ferry_list_groups_response out;
    struct ferry_str stable = FERRY_STR("stable"), empty = FERRY_STR("Empty"),
                     type = FERRY_STR("consumer");
    ferry_list_groups_request_init(&in);
    in.states_filter = &stable;
    in.states_filter_count = 1;
    CHECK(bb_call(&b, one.c, 16, 5, &in, &out));
    CHECK_INT(out.groups_count, 1);
    CHECK(ferry_str_eq(out.groups[0].group_type, FERRY_STR("classic")));
    in.states_filter = &empty;
    CHECK(bb_call(&b, one.c, 16, 5, &in, &out));
    CHECK_INT(out.groups_count, 0);
    in.states_filter_count = 0;
    in.types_filter = &type;
    in.types_filter_count = 1;
    CHECK(bb_call(&b, one.c, 16, 5, &in, &out));
    CHECK_INT(out.groups_count, 0);
    CHECK_INT(leave(&one), 0);
    CHECK_INT(leave(&two), 0);
    CHECK_INT(delete_group(one.c), 0);
    state_of(one.c, state);
    CHECK_STR(state, "Dead");
    CHECK_INT(committed(one.c, "t", NULL), -1);
    bb_kill(&b, false);
    bb_start(&b);
    one.c = bb_connect(&b);
    CHECK_INT(committed(one.c, "t", NULL), -1); /* the tombstones were written */
    CHECK_INT(delete_group(one.c), FERRY_KAFKA_GROUP_ID_NOT_FOUND);
    end();
}

static void offsets_grow_old(void)
{
    bb_init(&b, 31);
    bb_set(&b, "offsets.topic.num.partitions", "3");
    bb_set(&b, "offsets.retention.minutes", "60");
    bb_start(&b);
    struct member one = {.c = bb_connect(&b)};
    CHECK_INT(bb_create(&b, one.c, "t", 1), 0);
    CHECK_INT(bb_create(&b, one.c, "u", 1), 0);
    CHECK_INT(find_coordinator(one.c), 0);
    CHECK_INT(commit(&one, -1, "t", 1, ""), 0);
    bb_advance(&b, 40 * 60000);
    one.c = bb_connect(&b); /* idle ones are closed */
    CHECK_INT(commit(&one, -1, "u", 2, ""), 0);
    bb_advance(&b, 31 * 60000);
    one.c = bb_connect(&b);
    CHECK_INT(committed(one.c, "t", NULL), -1);
    CHECK_INT(committed(one.c, "u", NULL), 2);
    end();
}

static void offsets_go_with_their_topic(void)
{
    begin();
    struct member one = {.c = bb_connect(&b)};
    CHECK_INT(bb_create(&b, one.c, "t", 1), 0);
    CHECK_INT(find_coordinator(one.c), 0);
    CHECK_INT(commit(&one, -1, "t", 1, ""), 0);
    struct ferry_delete_topics_request in;
    struct ferry_delete_topics_response out;
    struct ferry_str name = FERRY_STR("t");
    ferry_delete_topics_request_init(&in);
    in.topic_names = &name;
    in.topic_names_count = 1;
    CHECK(bb_call(&b, one.c, 20, 5, &in, &out));
    CHECK_INT(out.responses[0].error_code, 0);
    CHECK_INT(bb_create(&b, one.c, "t", 1), 0);
    CHECK_INT(committed(one.c, "t", NULL), -1);
    end();
}

static void hashes_are_javas(void)
{
    CHECK_INT(broker_groups_hash(FERRY_STR("")), 0);
    CHECK_INT(broker_groups_hash(FERRY_STR("hello")), 99162322);
    CHECK_INT(broker_groups_hash(FERRY_STR("console-consumer-12345")), 158455506);
    CHECK_INT(broker_groups_hash(FERRY_STR("gr\xc3\xbc\xc3\x9f")), 3186062);
    CHECK_INT(broker_groups_hash(FERRY_STR("\xf0\x9f\x98\x80")), 1772899);
}

int main(void)
{
    TAP_RUN(two_members_share);
    TAP_RUN(a_new_group_waits_for_more_members);
    TAP_RUN(who_is_silent_goes);
    TAP_RUN(a_rebalance_waits_as_long_as_it_says);
    TAP_RUN(who_does_not_sync_goes);
    TAP_RUN(a_joiner_that_hangs_up_holds_up_nobody_for_ever);
    TAP_RUN(static_members_come_back_without_a_rebalance);
    TAP_RUN(protocols_must_agree);
    TAP_RUN(only_members_of_the_generation_commit);
    TAP_RUN(groups_and_offsets_survive);
    TAP_RUN(an_acknowledged_commit_survives_a_power_loss_with_flush_1);
    TAP_RUN(groups_are_listed_and_deleted);
    TAP_RUN(offsets_grow_old);
    TAP_RUN(offsets_go_with_their_topic);
    TAP_RUN(hashes_are_javas);
    return tap_done();
}
