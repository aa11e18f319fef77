/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetching, as the application sees it and as the broker does: sessions, positions, stale answers, errors. */
#include "config.h"

#include "base/mem.h"
#include "client/fetcher_buffer.h"
#include "ferry/kafka_errors.h"
#include "record/build.h"
#include "record/compress.h"
#include "tests/lib/feed.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

static struct feed f;

/* The records got since `from` are those of one partition from `first` on, without a gap. */
static bool in_order(int from, int32_t partition, int64_t first)
{
    for (int i = from; i < f.got_count; i++) {
        char value[32];
        if (f.got[i].partition != partition)
            continue;
        snprintf(value, sizeof value, "v%lld", (long long)first);
        if (f.got[i].error || f.got[i].offset != first++ || strcmp(f.got[i].value, value))
            return false;
    }
    return true;
}

static int64_t position(const char *spec)
{
    struct ferry_partition_list *list = feed_list(spec);
    ferry_consumer_app_position(f.app, list);
    int64_t at = list->items[0].offset;
    ferry_partition_list_free(list);
    return at;
}

static void records_come_in_order(void)
{
    feed_init(&f, NULL, 2);
    for (int i = 0; i < 5; i++)
        for (int p = 0; p < 2; p++)
            feed_append(&f, 0, p, 7, 0);
    CHECK_INT(feed_assign(&f, "t:0,1@3"), 0);
    CHECK_INT(feed_poll(&f), 64);
    CHECK(in_order(0, 0, 3) && in_order(0, 1, 3));
    CHECK_INT(position("t:0"), 35);
    feed_append(&f, 0, 1, 2, 0);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 2);
    CHECK(in_order(64, 1, 35));
    feed_end(&f);
}

static void every_codec_is_expanded(void)
{
    feed_init(&f, NULL, 1);
    for (int codec = 0; codec <= 4; codec++)
        feed_append(&f, 0, 0, 20, codec);
    feed_assign(&f, "t:0@0");
    CHECK_INT(feed_poll(&f), 100);
    CHECK(in_order(0, 0, 0));
    feed_end(&f);
}

static void small_polls_resume_inside_a_batch(void)
{
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 50, 0);
    feed_append(&f, 0, 0, 50, FERRY_CODEC_LZ4);
    f.max = 3;
    feed_assign(&f, "t:0@0");
    CHECK_INT(feed_poll(&f), 100);
    CHECK(in_order(0, 0, 0));
    feed_end(&f);
}

static void sessions_send_only_what_changed(void)
{
    feed_init(&f, NULL, 4);
    feed_append(&f, 0, 2, 5, 0);
    feed_assign(&f, "t:0,1,2,3@0");
    CHECK_INT(feed_poll(&f), 5);
    CHECK_INT(f.last_epoch, 1);
    CHECK_INT(f.last_asked, 1); /* only partition 2 moved */
    CHECK_INT(f.last_forgotten, 0);
    feed_append(&f, 0, 2, 1, 0);
    feed_append(&f, 0, 3, 1, 0);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 2);
    CHECK_INT(f.last_epoch, 2);
    CHECK_INT(f.last_asked, 2);
    struct ferry_partition_list *list = feed_list("t:0,1");
    ferry_consumer_app_assign_fewer(f.app, list, NULL);
    ferry_partition_list_free(list);
    feed_release(&f);
    CHECK_INT(f.last_forgotten, 2);
    CHECK_INT(f.last_asked, 0);
    feed_end(&f);
}

static void a_lost_session_is_begun_anew(void)
{
    static const int16_t errors[] = {FERRY_KAFKA_FETCH_SESSION_ID_NOT_FOUND,
                                     FERRY_KAFKA_INVALID_FETCH_SESSION_EPOCH,
                                     FERRY_KAFKA_FETCH_SESSION_TOPIC_ID_ERROR};
    for (size_t i = 0; i < 3; i++) {
        feed_init(&f, NULL, 2);
        feed_append(&f, 0, 0, 5, 0);
        feed_assign(&f, "t:0,1@0");
        CHECK_INT(feed_poll(&f), 5);
        f.fetch_error = errors[i];
        feed_release(&f);
        CHECK_INT(f.last_epoch, 0);
        CHECK_INT(f.last_asked, 2);
        feed_append(&f, 0, 1, 5, 0);
        feed_release(&f);
        CHECK_INT(feed_poll(&f), 5);
        CHECK(in_order(5, 1, 0));
        feed_end(&f);
    }
}

static void a_broker_may_decline_sessions(void)
{
    feed_init(&f, NULL, 2);
    f.no_sessions = true;
    feed_append(&f, 0, 0, 5, 0);
    feed_assign(&f, "t:0,1@0");
    CHECK_INT(feed_poll(&f), 5);
    CHECK_INT(f.last_asked, 2);
    CHECK_INT(f.last_epoch, 0);
    feed_end(&f);
}

static void a_seek_makes_what_was_fetched_stale(void)
{
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 10, 0);
    feed_append(&f, 0, 0, 10, 0);
    feed_assign(&f, "t:0@0");
    feed_pump(&f); /* queued, not read */
    CHECK_INT(feed_seek(&f, "t:0@15"), 0);
    CHECK_INT(position("t:0"), 15);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 5);
    CHECK(in_order(0, 0, 15));
    feed_end(&f);
}

static void a_seek_while_the_answer_is_under_way(void)
{
    feed_init(&f, NULL, 1);
    f.park_always = true;
    feed_append(&f, 0, 0, 20, 0);
    feed_assign(&f, "t:0@0");
    CHECK_INT(f.fetches, 1);
    feed_seek(&f, "t:0@12");
    f.park_always = false;
    feed_release(&f); /* the answer for offset 0 */
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 8);
    CHECK(in_order(0, 0, 12));
    feed_end(&f);
}

static void a_seek_between_two_polls_of_one_buffer(void)
{
    struct ferry_message m[4];
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 20, 0);
    feed_assign(&f, "t:0@0");
    feed_pump(&f);
    ferry_consumer_app_begin(f.app);
    CHECK_INT(ferry_consumer_app_take(f.app, m, 4), 4);
    CHECK(m[3].offset == 3 && !strncmp((const char *)m[3].value, "v3", 2));
    feed_seek(&f, "t:0@1");
    CHECK(!strncmp((const char *)m[3].value, "v3", 2)); /* still there until the next poll */
    ferry_consumer_app_end(f.app);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 19);
    CHECK(in_order(0, 0, 1));
    feed_end(&f);
}

static void offsets_out_of_range_are_reset(void)
{
    static const struct {
        const char *setting;
        int64_t at;
        int error;
    } cases[] = {{"auto.offset.reset=earliest", 5, 0},
                 {"auto.offset.reset=latest", 20, 0},
                 {"auto.offset.reset=none", -1, FERRY_KAFKA_OFFSET_OUT_OF_RANGE}};
    for (size_t i = 0; i < 3; i++) {
        feed_init(&f, cases[i].setting, 1);
        feed_append(&f, 0, 0, 20, 0);
        f.logs[0][0].start = 5;
        feed_assign(&f, "t:0@99");
        feed_poll(&f);
        if (cases[i].error) {
            CHECK_INT(f.got_count, 1);
            CHECK_INT(f.got[0].error, cases[i].error);
            CHECK_INT(f.got[0].offset, 99);
            int fetches = f.fetches;
            feed_pass(&f, 3 * FERRY_SECOND);
            CHECK_INT(f.fetches, fetches); /* it stands until a seek */
            feed_seek(&f, "t:0@18");
            CHECK_INT(feed_poll(&f), 2);
        } else {
            CHECK_INT(f.got_count, 20 - cases[i].at);
            CHECK(in_order(0, 0, cases[i].at));
            CHECK_INT(f.list_offsets, 1);
            CHECK_INT(position("t:0"), cases[i].at == 20 ? 99 : 20);
        }
        feed_end(&f);
    }
}

static void special_offsets_are_looked_up_in_one_request(void)
{
    feed_init(&f, NULL, 3);
    for (int p = 0; p < 3; p++)
        feed_append(&f, 0, p, 10, 0);
    f.logs[0][0].start = 2;
    struct ferry_partition_list *list = feed_list("t:0,1,2");
    list->items[0].offset = FERRY_OFFSET_EARLIEST;
    list->items[1].offset = FERRY_OFFSET_LATEST;
    list->items[2].offset = FERRY_OFFSET_TAIL_BASE - 3;
    ferry_consumer_app_assign(f.app, list, NULL);
    ferry_partition_list_free(list);
    CHECK_INT(feed_poll(&f), 8 + 0 + 3);
    CHECK(in_order(0, 0, 2) && in_order(0, 2, 7));
    CHECK_INT(f.list_offsets, 1);
    CHECK_INT(position("t:1"), 10);
    feed_end(&f);
}

static void the_end_is_told_once_each_time(void)
{
    feed_init(&f, "ferry.partition.eof=true", 2);
    feed_append(&f, 0, 0, 3, 0);
    feed_assign(&f, "t:0,1@0");
    feed_poll(&f);
    feed_release(&f);
    feed_poll(&f);
    int eofs = 0;
    for (int i = 0; i < f.got_count; i++)
        if (f.got[i].error) {
            CHECK_INT(f.got[i].error, FERRY_E_PARTITION_EOF);
            CHECK_INT(f.got[i].offset, f.got[i].partition == 0 ? 3 : 0);
            eofs++;
        }
    CHECK_INT(eofs, 2);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 0);
    feed_append(&f, 0, 0, 1, 0);
    feed_release(&f);
    feed_poll(&f);
    feed_release(&f);
    feed_poll(&f);
    CHECK_INT(f.got_count, 3 + 2 + 1 + 1);
    CHECK_INT(f.got[f.got_count - 1].error, FERRY_E_PARTITION_EOF);
    feed_end(&f);
}

static void transient_errors_are_retried(void)
{
    static const int16_t errors[] = {FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                                     FERRY_KAFKA_LEADER_NOT_AVAILABLE,
                                     FERRY_KAFKA_NOT_LEADER_OR_FOLLOWER,
                                     FERRY_KAFKA_REPLICA_NOT_AVAILABLE,
                                     FERRY_KAFKA_KAFKA_STORAGE_ERROR,
                                     FERRY_KAFKA_FENCED_LEADER_EPOCH,
                                     FERRY_KAFKA_UNKNOWN_LEADER_EPOCH,
                                     FERRY_KAFKA_OFFSET_NOT_AVAILABLE,
                                     FERRY_KAFKA_UNKNOWN_TOPIC_ID,
                                     FERRY_KAFKA_INCONSISTENT_TOPIC_ID,
                                     FERRY_KAFKA_CORRUPT_MESSAGE};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        feed_init(&f, NULL, 2);
        feed_append(&f, 0, 0, 5, 0);
        feed_append(&f, 0, 1, 5, 0);
        f.logs[0][0].error = errors[i];
        f.logs[0][0].errors = 2;
        feed_assign(&f, "t:0,1@0");
        feed_poll(&f);
        CHECK_INT(f.got_count, 5); /* the other one is not held up */
        feed_pass(&f, 2 * FERRY_SECOND);
        feed_poll(&f);
        CHECK_INT(f.got_count, 10);
        CHECK(in_order(0, 0, 0) && in_order(0, 1, 0));
        feed_end(&f);
    }
}

static void lasting_errors_are_told_once_and_retried(void)
{
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 5, 0);
    f.logs[0][0].error = FERRY_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    f.logs[0][0].errors = -1;
    feed_assign(&f, "t:0@0");
    feed_poll(&f);
    feed_pass(&f, 3 * FERRY_SECOND);
    feed_poll(&f);
    CHECK_INT(f.got_count, 1);
    CHECK_INT(f.got[0].error, FERRY_KAFKA_TOPIC_AUTHORIZATION_FAILED);
    f.logs[0][0].errors = 0;
    feed_pass(&f, 2 * FERRY_SECOND);
    CHECK_INT(feed_poll(&f), 5);
    feed_end(&f);
}

static void the_partition_follows_its_leader(void)
{
    feed_init(&f, NULL, 2);
    f.p.node_count = 2;
    feed_append(&f, 0, 0, 5, 0);
    feed_assign(&f, "t:0,1@0");
    CHECK_INT(feed_poll(&f), 5);
    f.p.topics[0].leader[0] = 1;
    f.p.topics[0].epoch[0] = 2;
    f.logs[0][0].error = FERRY_KAFKA_NOT_LEADER_OR_FOLLOWER;
    f.logs[0][0].errors = 1;
    feed_release(&f);
    feed_append(&f, 0, 0, 5, 0);
    feed_pass(&f, 2 * FERRY_SECOND);
    CHECK_INT(feed_poll(&f), 5);
    CHECK(in_order(0, 0, 0));
    CHECK(puppet_open_conns(&f.p, 1) > 0);
    CHECK(f.sessions[1].in[0][0]);
    feed_release(&f);
    feed_append(&f, 0, 1, 5, 0);
    feed_release(&f);
    CHECK(!f.sessions[0].in[0][0]); /* the old one was told */
    feed_end(&f);
}

static void a_preferred_replica_is_obeyed(void)
{
    feed_init(&f, "client.rack=a", 1);
    f.p.node_count = 2;
    f.logs[0][0].replica = 1;
    feed_append(&f, 0, 0, 5, 0);
    feed_assign(&f, "t:0@0");
    CHECK_INT(feed_poll(&f), 5);
    CHECK(f.sessions[1].in[0][0]);
    /* Out of range at the follower: the leader is asked first. */
    f.logs[0][0].error = FERRY_KAFKA_OFFSET_OUT_OF_RANGE;
    f.logs[0][0].errors = 1;
    feed_release(&f);
    feed_append(&f, 0, 0, 5, 0);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 5);
    CHECK_INT(f.list_offsets, 0);
    CHECK(in_order(0, 0, 0));
    feed_end(&f);
}

static void a_truncated_log_is_noticed(void)
{
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 10, 0);
    feed_assign(&f, "t:0@0");
    CHECK_INT(feed_poll(&f), 10);
    f.logs[0][0].diverged = 6;
    feed_release(&f);
    feed_pump(&f);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 4);
    CHECK(in_order(10, 0, 6));
    feed_end(&f);
}

static void aborted_transactions_are_not_seen(void)
{
    for (int committed = 0; committed < 2; committed++) {
        feed_init(&f, committed ? "isolation.level=read_committed" : NULL, 1);
        f.fetch_bytes = 1 << 20;
        feed_append(&f, 0, 0, 2, 0);      /* 0-1 */
        feed_append_txn(&f, 0, 0, 2, 77); /* 2-3, aborted */
        feed_append_txn(&f, 0, 0, 2, 88); /* 4-5, committed */
        feed_marker(&f, 0, 0, 77, false); /* 6 */
        feed_append_txn(&f, 0, 0, 2, 77); /* 7-8, committed */
        feed_marker(&f, 0, 0, 88, true);  /* 9 */
        feed_marker(&f, 0, 0, 77, true);  /* 10 */
        feed_append_txn(&f, 0, 0, 2, 77); /* 11-12, aborted */
        feed_marker(&f, 0, 0, 77, false); /* 13 */
        f.logs[0][0].aborted[0].producer_id = f.logs[0][0].aborted[1].producer_id = 77;
        f.logs[0][0].aborted[0].first = 2;
        f.logs[0][0].aborted[1].first = 11;
        f.logs[0][0].aborted_count = 2;
        feed_assign(&f, "t:0@0");
        CHECK_INT(feed_poll(&f), committed ? 6 : 10);
        static const int64_t seen[] = {0, 1, 4, 5, 7, 8};
        for (int i = 0; committed && i < 6; i++)
            CHECK_INT(f.got[i].offset, seen[i]);
        CHECK_INT(position("t:0"), 14); /* past the markers */
        feed_end(&f);
    }
}

/* Flips a bit in the records of the second batch. */
static void damage(int partition)
{
    f.logs[0][partition].bytes[f.logs[0][partition].len - 3] ^= 4;
}

static void a_damaged_batch_stops_its_partition_until_skipped(void)
{
    struct ferry_message m[16];
    feed_init(&f, NULL, 2);
    f.fetch_bytes = 1 << 20;
    feed_append(&f, 0, 0, 3, 0);
    feed_append(&f, 0, 0, 3, 0);
    damage(0);
    feed_append(&f, 0, 0, 3, 0);
    feed_append(&f, 0, 1, 3, 0);
    feed_assign(&f, "t:0,1@0");
    feed_pump(&f);
    ferry_consumer_app_begin(f.app);
    int n = ferry_consumer_app_take(f.app, m, 16), bad = -1;
    CHECK_INT(n, 3 + 1 + 3);
    for (int i = 0; i < n; i++)
        if (m[i].error)
            bad = i;
    CHECK(bad >= 0 && m[bad].error == FERRY_E_CRC && m[bad].offset == 3 && m[bad].buffer);
    CHECK_INT(ferry_consumer_app_take(f.app, m + 8, 8), 0); /* told once */
    CHECK_INT(position("t:0"), 3);
    ferry_fetcher_buffer_skip(m[bad].buffer);
    m[bad].buffer->stuck = false;
    CHECK_INT(ferry_consumer_app_take(f.app, m + 8, 8), 3);
    CHECK_INT(m[8].offset, 6);
    ferry_consumer_app_end(f.app);
    feed_end(&f);
}

static void without_check_crcs_a_damaged_value_passes(void)
{
    feed_init(&f, "check.crcs=false", 1);
    feed_append(&f, 0, 0, 3, 0);
    damage(0);
    feed_assign(&f, "t:0@0");
    CHECK_INT(feed_poll(&f), 3);
    feed_end(&f);
}

static void the_application_that_does_not_read_stops_the_fetching(void)
{
    feed_init(&f, "max.partition.fetch.bytes=2000", 2);
    f.fetch_bytes = 2000;
    for (int i = 0; i < 200; i++)
        feed_append(&f, 0, 0, 20, 0);
    feed_assign(&f, "t:0@0");
    feed_pass(&f, 5 * FERRY_SECOND);
    int fetches = f.fetches;
    CHECK(fetches >= 1 && fetches <= 4);
    CHECK(atomic_load(&f.app->shared->held) < 8000);
    feed_poll(&f);
    CHECK_INT(f.got_count, 4000);
    CHECK(in_order(0, 0, 0));
    feed_end(&f);
}

static void a_full_partition_lets_others_wait_only_shortly(void)
{
    feed_init(&f, "max.partition.fetch.bytes=500", 2);
    f.fetch_bytes = 2000;
    for (int i = 0; i < 20; i++)
        feed_append(&f, 0, 0, 20, 0);
    feed_assign(&f, "t:0,1@0");
    feed_pump(&f);
    CHECK(f.last_wait <= 10);
    CHECK_INT(f.last_forgotten, 1); /* the full one is not asked for */
    int before = f.last_wait;
    feed_release(&f);
    feed_release(&f);
    CHECK(f.last_wait > before && f.last_wait <= 500);
    for (int i = 0; i < 50 && f.got_count < 400; i++) {
        feed_poll(&f);
        feed_pass(&f, 10 * FERRY_MS); /* never more than the short wait until there is room again */
    }
    CHECK_INT(f.got_count, 400);
    CHECK(in_order(0, 0, 0));
    CHECK_INT(f.last_wait, 500);
    feed_end(&f);
}

static void pausing_keeps_the_position(void)
{
    struct ferry_message m[8];
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 20, 0);
    feed_assign(&f, "t:0@0");
    feed_pump(&f);
    ferry_consumer_app_begin(f.app);
    CHECK_INT(ferry_consumer_app_take(f.app, m, 8), 8);
    ferry_consumer_app_end(f.app);
    struct ferry_partition_list *list = feed_list("t:0");
    CHECK_INT(ferry_consumer_app_pause(f.app, list, true), 0);
    CHECK_INT(feed_poll(&f), 0);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 0);
    CHECK_INT(position("t:0"), 8);
    CHECK_INT(ferry_consumer_app_pause(f.app, list, false), 0);
    ferry_partition_list_free(list);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 12);
    CHECK(in_order(0, 0, 8));
    feed_end(&f);
}

static void a_broken_connection_begins_a_new_session(void)
{
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 5, 0);
    feed_assign(&f, "t:0@0");
    CHECK_INT(feed_poll(&f), 5);
    puppet_cut(&f.p, f.parked[0].conn, FERRY_E_TRANSPORT);
    f.parked[0].conn = NULL;
    feed_append(&f, 0, 0, 5, 0);
    feed_pass(&f, 2 * FERRY_SECOND);
    CHECK_INT(feed_poll(&f), 5);
    CHECK(in_order(0, 0, 0));
    feed_end(&f);
}

static void an_unknown_topic_is_told_and_found_when_it_comes(void)
{
    feed_init(&f, NULL, 1);
    feed_assign(&f, "u:0@0");
    feed_pass(&f, FERRY_SECOND);
    CHECK_INT(feed_poll(&f), 1);
    CHECK_INT(f.got[0].error, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    f.p.topics[f.p.topic_count++] =
        (struct puppet_topic){.name = "u", .partitions = 1, .id = {{9}}, .epoch = {1}};
    feed_append(&f, 1, 0, 5, 0);
    feed_pass(&f, 3 * FERRY_SECOND);
    CHECK_INT(feed_poll(&f), 5);
    feed_end(&f);
}

/* ---- the batch API's half ---- */

static void buffers_are_processed_in_order_whatever_their_release(void)
{
    struct ferry_consumer_note *note;
    struct ferry_fetched *b[3];
    feed_init(&f, "group.id=g", 1);
    for (int i = 0; i < 3; i++)
        feed_append(&f, 0, 0, 10, 0);
    feed_assign(&f, "t:0@0");
    for (int i = 0; i < 3; i++) {
        feed_pump(&f);
        b[i] = ferry_consumer_app_fetch(f.app, &note);
        CHECK(b[i] && b[i]->from == i * 10);
    }
    struct ferry_consumer_part *part = ferry_consumer_app_find(f.app, FERRY_STR("t"), 0);
    CHECK_INT(position("t:0"), 30);
    ferry_consumer_app_release(f.app, b[1]);
    CHECK_INT(atomic_load(&part->stored), FERRY_OFFSET_NONE);
    ferry_consumer_app_release(f.app, b[0]);
    CHECK_INT(atomic_load(&part->stored), 20);
    ferry_consumer_app_release(f.app, b[2]);
    CHECK_INT(atomic_load(&part->stored), 30);
    feed_end(&f);
}

static void what_a_buffer_did_not_give_can_be_returned(void)
{
    struct ferry_consumer_note *note;
    struct ferry_message m[4];
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 10, 0);
    feed_assign(&f, "t:0@0");
    feed_pump(&f);
    struct ferry_fetched *b = ferry_consumer_app_fetch(f.app, &note);
    CHECK(b != NULL);
    CHECK_INT(ferry_fetcher_buffer_next(b, m, 4, NULL), 4);
    CHECK_INT(ferry_consumer_app_return(f.app, b), 0);
    CHECK_INT(ferry_fetcher_buffer_next(b, m, 4, NULL), 0);
    ferry_consumer_app_release(f.app, b);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 6);
    CHECK(in_order(0, 0, 4));
    feed_end(&f);
}

static void a_buffer_outlives_its_consumer(void)
{
    struct ferry_consumer_note *note;
    struct ferry_message m[16];
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 10, FERRY_CODEC_ZSTD);
    feed_assign(&f, "t:0@0");
    feed_pump(&f);
    struct ferry_fetched *b = ferry_consumer_app_fetch(f.app, &note);
    CHECK(b != NULL);
    feed_end(&f);
    CHECK_INT(ferry_fetcher_buffer_next(b, m, 16, NULL), 10);
    CHECK(!strcmp(m[0].topic, "t") && !strncmp((const char *)m[9].value, "v9", 2));
    ferry_fetcher_buffer_unref(b);
}

static void a_bomb_is_an_error(void)
{
    if (ferry_codec_available(FERRY_CODEC_ZSTD, NULL)) {
        tap_skip("this build has no zstd");
        return;
    }
    struct ferry_consumer_note *note;
    struct ferry_error err = {0};
    struct ferry_message m[16];
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 1000, FERRY_CODEC_ZSTD);
    feed_assign(&f, "t:0@0");
    feed_pump(&f);
    struct ferry_fetched *b = ferry_consumer_app_fetch(f.app, &note);
    CHECK(b != NULL);
    b->expand_limit = 5000;
    CHECK_INT(ferry_fetcher_buffer_next(b, m, 16, &err), FERRY_E_CODEC);
    CHECK(strstr(err.text, "offset 0") != NULL);
    CHECK_INT(ferry_fetcher_buffer_next(b, m, 16, &err), FERRY_E_CODEC);
    ferry_fetcher_buffer_skip(b);
    CHECK_INT(ferry_fetcher_buffer_next(b, m, 16, &err), 0);
    CHECK_INT(b->next, 1000);
    ferry_consumer_app_release(f.app, b);
    feed_end(&f);
}

/* One that this build lacks, or (where it has them all) one that nobody knows: an error that names it and where it is. */
static void a_codec_that_is_missing_is_named(void)
{
    int codec = 1;
    char where[64];
    while (codec < 7 && !ferry_codec_available(codec, NULL))
        codec++;
    feed_init(&f, NULL, 1);
    feed_append(&f, 0, 0, 10, 0);
    struct feed_log *log = &f.logs[0][0];
    log->bytes[22] = (uint8_t)codec; /* the attributes' low byte */
    ferry_build_crc(log->bytes, log->len);
    feed_append(&f, 0, 0, 10, 0);
    feed_assign(&f, "t:0@0");
    CHECK_INT(feed_poll(&f), 1);
    CHECK(f.got[0].error == FERRY_E_UNSUPPORTED || f.got[0].error == FERRY_E_CODEC ||
          f.got[0].error == FERRY_E_INVALID);
    snprintf(where, sizeof where, codec <= 4 ? "%s" : "codec %.0s%d", ferry_codec_name(codec),
             codec);
    printf("# %s\n", f.got[0].value);
    CHECK(strstr(f.got[0].value, where));
    feed_end(&f);
}

/* How much is asked for: all that is allowed at first, then about a megabyte in all from a near broker, never less than
   batches need, and again all that is allowed where that brought nothing. */
static void asks_for_what_the_cache_holds(void)
{
    feed_init(&f, NULL, 2);
    for (int i = 0; i < 4; i++)
        for (int p = 0; p < 2; p++)
            feed_append(&f, 0, p, 100, 0);
    feed_assign(&f, "t:0,1@0");
    CHECK_INT(f.first_bytes, 1 << 20);
    CHECK_INT(feed_poll(&f), 800);
    CHECK_INT(f.last_bytes, 1 << 19);
    f.silent_once = true; /* an answer that leaves partition 1 out though it has something */
    feed_append(&f, 0, 0, 100, 0);
    feed_append(&f, 0, 1, 100, 0);
    feed_release(&f);
    CHECK_INT(feed_poll(&f), 200);
    CHECK(in_order(0, 0, 0) && in_order(0, 1, 0));
    feed_end(&f);
}

int main(void)
{
    TAP_RUN(records_come_in_order);
    TAP_RUN(every_codec_is_expanded);
    TAP_RUN(small_polls_resume_inside_a_batch);
    TAP_RUN(sessions_send_only_what_changed);
    TAP_RUN(a_lost_session_is_begun_anew);
    TAP_RUN(a_broker_may_decline_sessions);
    TAP_RUN(a_seek_makes_what_was_fetched_stale);
    TAP_RUN(a_seek_while_the_answer_is_under_way);
    TAP_RUN(a_seek_between_two_polls_of_one_buffer);
    TAP_RUN(offsets_out_of_range_are_reset);
    TAP_RUN(special_offsets_are_looked_up_in_one_request);
    TAP_RUN(the_end_is_told_once_each_time);
    TAP_RUN(transient_errors_are_retried);
    TAP_RUN(lasting_errors_are_told_once_and_retried);
    TAP_RUN(the_partition_follows_its_leader);
    TAP_RUN(a_preferred_replica_is_obeyed);
    TAP_RUN(a_truncated_log_is_noticed);
    TAP_RUN(aborted_transactions_are_not_seen);
    TAP_RUN(a_damaged_batch_stops_its_partition_until_skipped);
    TAP_RUN(without_check_crcs_a_damaged_value_passes);
    TAP_RUN(the_application_that_does_not_read_stops_the_fetching);
    TAP_RUN(a_full_partition_lets_others_wait_only_shortly);
    TAP_RUN(pausing_keeps_the_position);
    TAP_RUN(a_broken_connection_begins_a_new_session);
    TAP_RUN(an_unknown_topic_is_told_and_found_when_it_comes);
    TAP_RUN(buffers_are_processed_in_order_whatever_their_release);
    TAP_RUN(what_a_buffer_did_not_give_can_be_returned);
    TAP_RUN(a_buffer_outlives_its_consumer);
    TAP_RUN(a_bomb_is_an_error);
    TAP_RUN(a_codec_that_is_missing_is_named);
    TAP_RUN(asks_for_what_the_cache_holds);
    return tap_done();
}
