/* SPDX-License-Identifier: BSD-2-Clause */
/* The classic group: joining, rebalances eager and cooperative, heartbeats, commits, leaving, and what goes wrong. */
#include "config.h"

#include "base/mem.h"
#include "client/group_impl.h"
#include "ferry/kafka_errors.h"
#include "tests/lib/feed.h"
#include "tests/lib/tap.h"
#include "wire/codec.h"

#include <stdio.h>
#include <stdlib.h>

static struct feed f;

#define EAGER "group.id=g\n"
#define COOP "group.id=g\npartition.assignment.strategy=cooperative-sticky\n"

static enum ferry_group_state state(void)
{
    return f.app->core->group->state;
}

static void joins_and_consumes_what_it_is_given(void)
{
    feed_init(&f, EAGER "auto.offset.reset=earliest", 3);
    f.need_member_id = true;
    f.assignment = "t:0,2";
    for (int p = 0; p < 3; p++)
        feed_append(&f, 0, p, 5, 0);
    f.logs[0][2].committed = 3;
    CHECK_INT(feed_subscribe(&f, "t"), 0);
    CHECK_INT(feed_poll(&f), 5 + 2);
    CHECK_INT(f.joins, 2); /* the second with the id that it was given */
    CHECK_INT(f.syncs, 1);
    CHECK_INT(f.offset_fetches, 1);
    CHECK_INT(f.assigned, 1);
    CHECK_INT(f.revoked, 0);
    CHECK_STR(f.question_list, "t:0 t:2");
    CHECK_INT(state(), GROUP_STABLE);
    feed_end(&f);
}

static void all_of_it_takes_no_waiting(void)
{
    feed_init(&f, EAGER "auto.offset.reset=earliest", 1);
    f.need_member_id = f.lead = true;
    feed_append(&f, 0, 0, 5, 0);
    ferry_nsec begin = f.p.now;
    feed_subscribe(&f, "t");
    CHECK_INT(feed_poll(&f), 5);
    CHECK(f.p.now == begin); /* no backoff, no timer on the way to the first record */
    feed_end(&f);
}

static void the_leader_assigns(void)
{
    feed_init(&f, EAGER, 4);
    f.lead = true;
    feed_subscribe(&f, "t");
    feed_poll(&f);
    CHECK_STR(f.question_list, "t:0 t:1 t:2 t:3");
    /* More partitions: the leader, and only it, begins a new round. */
    f.p.topics[0].partitions = 6;
    feed_pass(&f, 301 * FERRY_SECOND); /* metadata.max.age.ms */
    feed_poll(&f);
    CHECK_STR(f.question_list, "t:0 t:1 t:2 t:3 t:4 t:5");
    CHECK_INT(f.joins, 2);
    feed_end(&f);
}

static void heartbeats_go_on_while_the_application_is_busy(void)
{
    feed_init(&f, EAGER, 1);
    f.assignment = "t:0";
    f.auto_answer = false;
    feed_subscribe(&f, "t");
    CHECK(f.question && f.question->kind == FERRY_REBALANCE_ASSIGNED);
    feed_pass(&f, 31 * FERRY_SECOND);
    CHECK_INT(f.beats, 10);
    ferry_consumer_app_answer(f.app, f.question, NULL, NULL);
    f.question = NULL;
    feed_pump(&f);
    CHECK_INT(f.p.dead, 0);
    feed_end(&f);
}

/* The broker says so with a heartbeat: give up all, join again. */
static void eager_rebalances_give_up_everything_first(void)
{
    feed_init(&f, EAGER "auto.offset.reset=earliest", 2);
    f.assignment = "t:0,1";
    feed_append(&f, 0, 0, 5, 0);
    feed_append(&f, 0, 1, 5, 0);
    feed_subscribe(&f, "t");
    CHECK_INT(feed_poll(&f), 10);
    f.auto_answer = false;
    f.beat_error = FERRY_KAFKA_REBALANCE_IN_PROGRESS;
    f.assignment = "t:1";
    feed_pass(&f, 4 * FERRY_SECOND);
    CHECK(f.question && f.question->kind == FERRY_REBALANCE_REVOKED);
    CHECK_INT(f.joins, 1); /* not before it is answered */
    CHECK_STR(f.question_list, "t:0 t:1");
    f.auto_answer = true;
    ferry_consumer_app_answer(f.app, f.question, NULL, NULL);
    f.question = NULL;
    feed_pump(&f);
    CHECK_INT(f.joins, 2);
    CHECK_INT(f.commits, 1); /* what was processed, before the join */
    CHECK_INT(f.logs[0][0].committed, 5);
    CHECK_STR(f.question_list, "t:1");
    CHECK_INT(f.app->parts.live, 1);
    feed_append(&f, 0, 0, 1, 0);
    feed_append(&f, 0, 1, 1, 0);
    feed_pass(&f, FERRY_SECOND);
    CHECK_INT(feed_poll(&f), 1);
    CHECK_INT(f.got[f.got_count - 1].partition, 1);
    CHECK_INT(f.got[f.got_count - 1].offset, 5); /* from the commit on */
    feed_end(&f);
}

static void cooperative_rebalances_keep_what_stays(void)
{
    feed_init(&f, COOP "auto.offset.reset=earliest", 4);
    f.assignment = "t:0,1";
    for (int p = 0; p < 4; p++)
        feed_append(&f, 0, p, 5, 0);
    feed_subscribe(&f, "t");
    CHECK_INT(feed_poll(&f), 10);
    struct ferry_consumer_part *kept = ferry_consumer_app_find(f.app, FERRY_STR("t"), 1);
    f.beat_error = FERRY_KAFKA_REBALANCE_IN_PROGRESS;
    f.assignment = "t:1,2";
    feed_pass(&f, 4 * FERRY_SECOND);
    feed_poll(&f);
    CHECK_INT(f.joins, 3); /* the second time without partition 0: now others can have it */
    CHECK_INT(f.revoked, 1);
    CHECK_INT(f.assigned, 3);
    CHECK_INT(f.logs[0][0].committed, 5);
    CHECK(ferry_consumer_app_find(f.app, FERRY_STR("t"), 1) == kept);
    CHECK(!ferry_consumer_app_find(f.app, FERRY_STR("t"), 0));
    feed_append(&f, 0, 1, 2, 0);
    feed_pass(&f, FERRY_SECOND);
    feed_poll(&f);
    CHECK_INT(f.got_count, 10 + 5 + 2);
    feed_end(&f);
}

/* What the member says of itself in a cooperative round. */
static void the_subscription_names_what_is_owned(void)
{
    struct ferry_arena arena = {.limit = 1 << 20};
    struct ferry_consumer_protocol_subscription s;
    feed_init(&f, COOP "client.rack=r1", 4);
    f.assignment = "t:0,3";
    feed_subscribe(&f, "t u t");
    feed_poll(&f);
    f.beat_error = FERRY_KAFKA_REBALANCE_IN_PROGRESS;
    feed_pass(&f, 4 * FERRY_SECOND);
    CHECK_INT(ferry_get16(f.subscription.data), 3);
    struct ferry_bytes in = {f.subscription.data + 2, f.subscription.len - 2};
    CHECK_INT(ferry_msg_decode(&ferry_consumer_protocol_subscription_msg, 3, in, FERRY_DECODE_WHOLE,
                               &arena, &s, NULL),
              0);
    CHECK_INT(s.topics_count, 2);
    CHECK_INT(s.owned_partitions_count, 1);
    CHECK_INT(s.owned_partitions[0].partitions_count, 2);
    CHECK_INT(s.owned_partitions[0].partitions[1], 3);
    CHECK_INT(s.generation_id, f.generation - 1);
    CHECK(ferry_str_eq(s.rack_id, FERRY_STR("r1")));
    ferry_arena_free(&arena);
    feed_end(&f);
}

static void a_member_that_is_unknown_loses_everything(void)
{
    feed_init(&f, EAGER "auto.offset.reset=earliest", 2);
    f.assignment = "t:0";
    feed_append(&f, 0, 0, 5, 0);
    feed_subscribe(&f, "t");
    feed_pump(&f); /* fetched, not read */
    f.auto_answer = false;
    f.beat_error = FERRY_KAFKA_UNKNOWN_MEMBER_ID;
    feed_pass(&f, 4 * FERRY_SECOND);
    CHECK(f.question && f.question->kind == FERRY_REBALANCE_LOST);
    CHECK_INT(feed_poll(&f), 0); /* before the answer already */
    CHECK_INT(f.commits, 0);
    f.auto_answer = true;
    ferry_consumer_app_answer(f.app, f.question, NULL, NULL);
    f.question = NULL;
    feed_pass(&f, FERRY_SECOND);
    CHECK_INT(f.joins, 2);
    CHECK_STR(f.member, "member-2"); /* as somebody new */
    CHECK_INT(feed_poll(&f), 5);
    feed_end(&f);
}

static void an_illegal_generation_joins_again_with_its_id(void)
{
    feed_init(&f, EAGER, 1);
    f.assignment = "t:0";
    feed_subscribe(&f, "t");
    feed_poll(&f);
    f.beat_error = FERRY_KAFKA_ILLEGAL_GENERATION;
    feed_pass(&f, 4 * FERRY_SECOND);
    CHECK_INT(f.joins, 2);
    CHECK_STR(f.member, "member-1");
    CHECK_INT(f.lost, 1);
    CHECK_INT(state(), GROUP_STABLE);
    feed_end(&f);
}

static void coordinators_that_move_or_load_are_waited_for(void)
{
    static const int16_t errors[] = {FERRY_KAFKA_COORDINATOR_LOAD_IN_PROGRESS,
                                     FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE,
                                     FERRY_KAFKA_NOT_COORDINATOR};
    for (size_t i = 0; i < 3; i++)
        for (int where = 0; where < 5; where++) {
            feed_init(&f, EAGER "auto.offset.reset=earliest", 1);
            f.assignment = "t:0";
            feed_append(&f, 0, 0, 5, 0);
            if (where == 0)
                f.join_error = errors[i];
            if (where == 1)
                f.sync_error = errors[i];
            if (where == 2)
                f.fetch_offsets_error = errors[i];
            feed_subscribe(&f, "t");
            feed_pass(&f, FERRY_SECOND);
            CHECK_INT(feed_poll(&f), 5);
            if (where == 3)
                f.beat_error = errors[i];
            if (where == 4)
                f.commit_error = errors[i];
            feed_poll(&f);
            feed_pass(&f, 12 * FERRY_SECOND);
            CHECK_INT(f.logs[0][0].committed, 5);
            CHECK_INT(f.joins, where == 1 || where == 0 ? 2 : 1);
            CHECK_INT(f.lost, 0);
            feed_end(&f);
        }
}

static void errors_that_nothing_cures_end_the_membership(void)
{
    static const int16_t errors[] = {
        FERRY_KAFKA_GROUP_AUTHORIZATION_FAILED, FERRY_KAFKA_INCONSISTENT_GROUP_PROTOCOL,
        FERRY_KAFKA_INVALID_SESSION_TIMEOUT, FERRY_KAFKA_GROUP_MAX_SIZE_REACHED,
        FERRY_KAFKA_FENCED_INSTANCE_ID};
    for (size_t i = 0; i < 5; i++) {
        feed_init(&f, EAGER, 1);
        f.join_error = errors[i];
        feed_subscribe(&f, "t");
        feed_pass(&f, 5 * FERRY_SECOND);
        CHECK_INT(feed_poll(&f), 1);
        CHECK_INT(f.got[0].error, errors[i]);
        CHECK(strstr(f.got[0].value, "group g") != NULL);
        CHECK_INT(f.joins, 1);
        CHECK_INT(state(), GROUP_FAILED);
        /* Unsubscribing and subscribing again tries anew. */
        feed_subscribe(&f, "");
        feed_subscribe(&f, "t");
        CHECK_INT(f.joins, 2);
        CHECK_INT(state(), GROUP_STABLE);
        feed_end(&f);
    }
}

static void an_application_that_does_not_poll_is_out(void)
{
    feed_init(&f, EAGER "max.poll.interval.ms=10000\nauto.offset.reset=earliest", 1);
    f.assignment = "t:0";
    feed_append(&f, 0, 0, 5, 0);
    feed_subscribe(&f, "t");
    CHECK_INT(feed_poll(&f), 5);
    for (int i = 0; i < 5; i++) { /* polling, it stays */
        feed_pass(&f, 5 * FERRY_SECOND);
        feed_poll(&f);
    }
    CHECK_INT(f.leaves, 0);
    feed_pass(&f, 15 * FERRY_SECOND);
    CHECK_INT(f.leaves, 1);
    CHECK_INT(f.joins, 1);
    CHECK_INT(state(), GROUP_STALLED);
    CHECK_INT(f.app->parts.live, 0);
    feed_poll(&f);
    bool told = false;
    for (int i = 0; i < f.got_count; i++)
        told |= f.got[i].error == FERRY_E_MAX_POLL;
    CHECK(told);
    CHECK_INT(f.joins, 2); /* back with the first poll */
    CHECK_INT(f.lost, 1);
    CHECK_INT(state(), GROUP_STABLE);
    feed_end(&f);
}

static void a_waiting_poll_is_not_a_missing_one(void)
{
    feed_init(&f, EAGER "max.poll.interval.ms=10000", 1);
    f.assignment = "t:0";
    feed_subscribe(&f, "t");
    ferry_consumer_app_begin(f.app);
    feed_pass(&f, 60 * FERRY_SECOND);
    ferry_consumer_app_end(f.app);
    CHECK_INT(f.leaves, 0);
    CHECK_INT(state(), GROUP_STABLE);
    feed_end(&f);
}

static void commits_by_the_clock(void)
{
    feed_init(&f, EAGER "auto.offset.reset=earliest", 1);
    f.assignment = "t:0";
    f.max = 4;
    feed_append(&f, 0, 0, 10, 0);
    feed_subscribe(&f, "t");
    struct ferry_message m[4];
    feed_pump(&f);
    ferry_consumer_app_begin(f.app);
    CHECK_INT(ferry_consumer_app_take(f.app, m, 4), 4);
    ferry_consumer_app_end(f.app);
    feed_pass(&f, 6 * FERRY_SECOND);
    CHECK_INT(f.logs[0][0].committed, 0); /* the four are in hand, not processed */
    ferry_consumer_app_begin(f.app);
    CHECK_INT(ferry_consumer_app_take(f.app, m, 4), 4);
    ferry_consumer_app_end(f.app);
    feed_pass(&f, 6 * FERRY_SECOND);
    CHECK_INT(f.logs[0][0].committed, 4);
    int commits = f.commits;
    feed_pass(&f, 20 * FERRY_SECOND);
    CHECK_INT(f.commits, commits); /* nothing new, nothing sent */
    feed_end(&f);
}

static void commits_by_hand(void)
{
    feed_init(&f, EAGER "enable.auto.commit=false\nauto.offset.reset=earliest", 2);
    f.assignment = "t:0,1";
    feed_append(&f, 0, 0, 10, 0);
    feed_subscribe(&f, "t");
    CHECK_INT(feed_poll(&f), 10);
    feed_pass(&f, 20 * FERRY_SECOND);
    CHECK_INT(f.commits, 0);
    feed_call(&f, FERRY_CALL_COMMIT, NULL);
    CHECK(f.done && f.done->status == 0);
    CHECK_INT(f.logs[0][0].committed, 10);
    CHECK_INT(f.logs[0][1].committed, 0); /* its beginning */
    feed_call(&f, FERRY_CALL_COMMIT, "t:0@7");
    CHECK(f.done && f.done->status == 0);
    CHECK_INT(f.logs[0][0].committed, 7);
    feed_call(&f, FERRY_CALL_COMMITTED, "t:0,1");
    CHECK(f.done && f.done->status == 0);
    CHECK_INT(f.done->list->items[0].offset, 7);
    f.commit_error = FERRY_KAFKA_OFFSET_METADATA_TOO_LARGE;
    feed_call(&f, FERRY_CALL_COMMIT, "t:0@8");
    CHECK(f.done && f.done->status == FERRY_KAFKA_OFFSET_METADATA_TOO_LARGE);
    CHECK_INT(f.done->list->items[0].error, FERRY_KAFKA_OFFSET_METADATA_TOO_LARGE);
    feed_end(&f);
}

static void a_fenced_commit_fails_and_joins_again(void)
{
    feed_init(&f, EAGER "enable.auto.commit=false", 1);
    f.assignment = "t:0";
    feed_subscribe(&f, "t");
    feed_poll(&f);
    f.commit_error = FERRY_KAFKA_UNKNOWN_MEMBER_ID;
    feed_call(&f, FERRY_CALL_COMMIT, "t:0@1");
    CHECK(f.done && f.done->status == FERRY_KAFKA_UNKNOWN_MEMBER_ID);
    CHECK_INT(f.lost, 1);
    feed_pass(&f, FERRY_SECOND);
    CHECK_INT(f.joins, 2);
    f.commit_error = FERRY_KAFKA_REBALANCE_IN_PROGRESS;
    feed_call(&f, FERRY_CALL_COMMIT, "t:0@1");
    CHECK(f.done && f.done->status == FERRY_KAFKA_REBALANCE_IN_PROGRESS);
    CHECK_INT(f.joins, 3);
    feed_end(&f);
}

static void stored_offsets_alone_are_committed_if_asked_for(void)
{
    feed_init(&f, EAGER "enable.auto.offset.store=false\nauto.offset.reset=earliest", 1);
    f.assignment = "t:0";
    feed_append(&f, 0, 0, 10, 0);
    feed_subscribe(&f, "t");
    CHECK_INT(feed_poll(&f), 10);
    feed_pass(&f, 6 * FERRY_SECOND);
    CHECK_INT(f.commits, 0);
    struct ferry_partition_list *list = feed_list("t:0@6");
    CHECK_INT(ferry_consumer_app_store(f.app, list, NULL), 0);
    ferry_partition_list_free(list);
    feed_pass(&f, 6 * FERRY_SECOND);
    CHECK_INT(f.logs[0][0].committed, 6);
    feed_end(&f);
}

static void closing_commits_revokes_and_leaves(void)
{
    feed_init(&f, EAGER "auto.offset.reset=earliest", 1);
    f.assignment = "t:0";
    feed_append(&f, 0, 0, 10, 0);
    feed_subscribe(&f, "t");
    CHECK_INT(feed_poll(&f), 10);
    feed_call(&f, FERRY_CALL_CLOSE, NULL);
    CHECK(f.done && f.done->kind == FERRY_CALL_CLOSE && f.done->status == 0);
    CHECK_INT(f.revoked, 1);
    CHECK_INT(f.leaves, 1);
    CHECK_INT(f.logs[0][0].committed, 10);
    feed_end(&f);
}

static void closing_keeps_its_deadline(void)
{
    feed_init(&f, EAGER, 1);
    f.assignment = "t:0";
    feed_subscribe(&f, "t");
    feed_poll(&f);
    f.auto_answer = false; /* the application never answers */
    struct ferry_consumer_call *call = ferry_consumer_app_call_new(f.app, FERRY_CALL_CLOSE, NULL);
    call->timeout = 2 * FERRY_SECOND;
    ferry_consumer_app_post(f.app, call);
    feed_pass(&f, FERRY_SECOND);
    CHECK(!f.done);
    feed_pass(&f, 1100 * FERRY_MS);
    CHECK(f.done && f.done->status == FERRY_E_TIMED_OUT);
    feed_end(&f);
}

static void static_members_do_not_leave(void)
{
    feed_init(&f, EAGER "group.instance.id=i1", 1);
    f.assignment = "t:0";
    feed_subscribe(&f, "t");
    feed_poll(&f);
    feed_call(&f, FERRY_CALL_CLOSE, NULL);
    CHECK(f.done && f.done->status == 0);
    CHECK_INT(f.leaves, 0);
    feed_end(&f);
}

static void another_subscription_joins_again(void)
{
    feed_init(&f, COOP, 2);
    f.p.topics[f.p.topic_count++] =
        (struct puppet_topic){.name = "u", .partitions = 1, .id = {{9}}, .epoch = {1}};
    f.assignment = "t:0,1";
    feed_subscribe(&f, "t");
    feed_poll(&f);
    f.assignment = "u:0";
    feed_subscribe(&f, "u");
    feed_poll(&f);
    CHECK_INT(f.revoked, 1); /* before the join: nobody subscribes to it here any more */
    CHECK_INT(f.app->parts.live, 1);
    CHECK(ferry_consumer_app_find(f.app, FERRY_STR("u"), 0) != NULL);
    feed_subscribe(&f, "u");
    CHECK_INT(f.joins, 2); /* the same again changes nothing */
    feed_end(&f);
}

static void a_question_may_be_answered_with_any_list(void)
{
    feed_init(&f, EAGER, 4);
    f.assignment = "t:0,1";
    f.auto_answer = false;
    for (int p = 0; p < 4; p++)
        feed_append(&f, 0, p, 5, 0);
    feed_subscribe(&f, "t");
    CHECK(f.question != NULL);
    struct ferry_partition_list *list = feed_list("t:1,3@2");
    ferry_consumer_app_answer(f.app, f.question, list, NULL);
    f.question = NULL;
    ferry_partition_list_free(list);
    CHECK_INT(feed_poll(&f), 6);
    CHECK_INT(f.offset_fetches, 0);
    CHECK_INT(state(), GROUP_STABLE);
    f.auto_answer = true;
    feed_end(&f);
}

static void hostile_assignments_are_errors(void)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    struct ferry_error err;
    static const uint8_t cut[] = {0, 1, 0, 0, 0, 9},
                         negative[] = {0, 0, 0,    0,    0,    1,    0,    1,    't',  0,   0,
                                       0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    CHECK_INT(ferry_group_data_assigned((struct ferry_bytes){cut, 1}, list, &err),
              FERRY_E_PROTOCOL);
    CHECK_INT(ferry_group_data_assigned((struct ferry_bytes){cut, sizeof cut}, list, &err),
              FERRY_E_PROTOCOL);
    CHECK_INT(
        ferry_group_data_assigned((struct ferry_bytes){negative, sizeof negative}, list, &err),
        FERRY_E_PROTOCOL);
    CHECK_INT(ferry_group_data_assigned((struct ferry_bytes){NULL, 0}, list, &err), 0);
    CHECK_INT(list->count, 0);
    ferry_partition_list_free(list);
}

static void sticky_members_say_what_they_had(void)
{
    struct ferry_partition_list *topics = feed_list("t"), *had = feed_list("t:1,4 u:0");
    struct ferry_group_subscription s = {
        .topics = topics, .previous = had, .generation = -1, .previous_generation = 6};
    struct ferry_writer w = {0};
    struct ferry_group_round r = {
        .arena = {.limit = 1 << 20}, .assignor = FERRY_ASSIGNOR_STICKY, .member_count = 1};
    struct ferry_group_member member = {{0}};
    CHECK_INT(ferry_group_data_subscribe(FERRY_ASSIGNOR_STICKY, &s, &w), 0);
    member.metadata = (struct ferry_bytes){w.data, w.len};
    r.members = &member;
    CHECK_INT(ferry_group_data_read(&r), 0);
    CHECK_INT(member.generation, 6);
    CHECK_INT(member.owned.count, 3);
    CHECK_STR(member.owned.items[2].topic, "u");
    ferry_group_data_free(&r);
    ferry_writer_free(&w);
    ferry_partition_list_free(topics);
    ferry_partition_list_free(had);
}

/* Bytes that Java's StickyAssignor and CooperativeStickyAssignor (4.3.1) gave for the same. */
static void user_data_is_as_javas(void)
{
    static const struct {
        enum ferry_assignor assignor;
        const char *bytes;
        size_t len;
    } java[] = {{FERRY_ASSIGNOR_STICKY,
                 "\0\0\0\2\0\1t\0\0\0\2\0\0\0\1\0\0\0\4\0\1u\0\0\0\1\0\0\0\0\0\0\0\6", 34},
                {FERRY_ASSIGNOR_COOPERATIVE_STICKY, "\0\0\0\6", 4}};
    struct ferry_partition_list *topics = feed_list("t"), *had = feed_list("t:1,4 u:0");
    struct ferry_group_subscription s = {
        .topics = topics, .previous = had, .generation = -1, .previous_generation = 6};
    for (size_t i = 0; i < 2; i++) {
        struct ferry_writer w = {0};
        struct ferry_arena arena = {.limit = 1 << 20};
        struct ferry_consumer_protocol_subscription m;
        CHECK_INT(ferry_group_data_subscribe(java[i].assignor, &s, &w), 0);
        struct ferry_bytes in = {w.data + 2, w.len - 2};
        CHECK_INT(ferry_msg_decode(&ferry_consumer_protocol_subscription_msg, 3, in,
                                   FERRY_DECODE_WHOLE, &arena, &m, NULL),
                  0);
        CHECK_INT(m.user_data.len, java[i].len);
        CHECK(!memcmp(m.user_data.data, java[i].bytes, java[i].len));
        ferry_arena_free(&arena);
        ferry_writer_free(&w);
    }
    ferry_partition_list_free(topics);
    ferry_partition_list_free(had);
}

int main(void)
{
    TAP_RUN(joins_and_consumes_what_it_is_given);
    TAP_RUN(all_of_it_takes_no_waiting);
    TAP_RUN(the_leader_assigns);
    TAP_RUN(heartbeats_go_on_while_the_application_is_busy);
    TAP_RUN(eager_rebalances_give_up_everything_first);
    TAP_RUN(cooperative_rebalances_keep_what_stays);
    TAP_RUN(the_subscription_names_what_is_owned);
    TAP_RUN(a_member_that_is_unknown_loses_everything);
    TAP_RUN(an_illegal_generation_joins_again_with_its_id);
    TAP_RUN(coordinators_that_move_or_load_are_waited_for);
    TAP_RUN(errors_that_nothing_cures_end_the_membership);
    TAP_RUN(an_application_that_does_not_poll_is_out);
    TAP_RUN(a_waiting_poll_is_not_a_missing_one);
    TAP_RUN(commits_by_the_clock);
    TAP_RUN(commits_by_hand);
    TAP_RUN(a_fenced_commit_fails_and_joins_again);
    TAP_RUN(stored_offsets_alone_are_committed_if_asked_for);
    TAP_RUN(closing_commits_revokes_and_leaves);
    TAP_RUN(closing_keeps_its_deadline);
    TAP_RUN(static_members_do_not_leave);
    TAP_RUN(another_subscription_joins_again);
    TAP_RUN(a_question_may_be_answered_with_any_list);
    TAP_RUN(hostile_assignments_are_errors);
    TAP_RUN(sticky_members_say_what_they_had);
    TAP_RUN(user_data_is_as_javas);
    return tap_done();
}
