/* SPDX-License-Identifier: BSD-2-Clause */
/* What the producer's settings promise, on a cluster that is the test. */
#include "config.h"

#include "ferry/kafka_errors.h"
#include "tests/lib/sink.h"
#include "tests/lib/tap.h"

#include <stdio.h>

static struct sink s;

enum { REPORTS = FERRY_SENDER_REPORTS | FERRY_SENDER_COOKIES };

static void burst(int32_t partition, uint64_t *next, int n)
{
    for (int i = 0; i < n; i++)
        if (sink_send(&s, 0, partition, (*next)++))
            s.bad++;
}

/* -- Tries -- */

enum { TRIES = 9 };
static ferry_nsec tried_at[TRIES + 1];
static int tried;

static enum sink_fate refuse_and_note(struct sink *k, int topic, int32_t partition,
                                      const struct ferry_batch *b)
{
    if (tried <= TRIES)
        tried_at[tried++] = k->puppet.now;
    return SINK_REFUSE;
}

static void tries_are_spaced_more_and_more_and_end(void)
{
    ferry_nsec first_gap = 0;
    bool jitter = false;
    for (int round = 0; round < 4; round++) {
        sink_init(&s,
                  "linger.ms=0\nretries=8\nretry.backoff.ms=100\nretry.backoff.max.ms=1000\n"
                  "delivery.timeout.ms=3600000\n",
                  REPORTS, 1, 1);
        ferry_prng_seed(&s.puppet.client->prng, (uint64_t)round + 5);
        sink_reveal(&s);
        tried = 0;
        s.fate = refuse_and_note;
        s.code = FERRY_KAFKA_NOT_ENOUGH_REPLICAS;
        CHECK_INT(sink_send(&s, 0, 0, 0), 0);
        CHECK(sink_all_reported(&s, 1));
        CHECK_INT(s.error[0], FERRY_KAFKA_NOT_ENOUGH_REPLICAS);
        CHECK_INT(s.outcome[0], 0);
        CHECK_INT(tried, TRIES); /* the first and 8 more */
        for (int i = 0; i + 1 < TRIES; i++) {
            ferry_nsec gap = tried_at[i + 1] - tried_at[i];
            ferry_nsec want = (i < 4 ? 100 << i : 1000) * FERRY_MS;
            CHECK(gap >= want - want / 5 && gap <= want + want / 5 + FERRY_MS);
        }
        jitter = jitter || (round && tried_at[1] - tried_at[0] != first_gap);
        first_gap = tried_at[1] - tried_at[0];
        sink_end(&s);
    }
    CHECK(jitter);
}

static void a_topic_has_its_own_patience(void)
{
    sink_init(&s, "linger.ms=0\nrequest.timeout.ms=300\ndelivery.timeout.ms=1000\n", REPORTS, 2, 1);
    s.topics[1]->settings.delivery_timeout_ms = 5000;
    sink_reveal(&s);
    sink_settle(&s);
    s.fate = sink_silent;
    CHECK_INT(sink_send(&s, 0, 0, 0), 0);
    CHECK_INT(sink_send(&s, 1, 0, 1), 0);
    sink_pass(&s, 990 * FERRY_MS);
    CHECK_INT(s.reported[0] + s.reported[1], 0);
    sink_pass(&s, 20 * FERRY_MS);
    CHECK(s.reported[0] && s.error[0] == FERRY_E_EXPIRED && s.outcome[0] == 1);
    sink_pass(&s, 3900 * FERRY_MS);
    CHECK_INT(s.reported[1], 0);
    sink_pass(&s, 100 * FERRY_MS);
    CHECK(s.reported[1] && s.error[1] == FERRY_E_EXPIRED);
    sink_end(&s);
}

/* -- Batches and requests -- */

static void a_full_batch_does_not_linger(void)
{
    uint64_t next = 0;
    sink_init(&s, "batch.size=500\nlinger.ms=10000\n", REPORTS, 1, 1);
    sink_reveal(&s);
    sink_settle(&s);
    burst(0, &next, 100);
    sink_pass(&s, FERRY_MS);
    int reported = 0;
    for (uint64_t i = 0; i < next; i++)
        reported += s.reported[i];
    CHECK(reported > 50 && reported < 100); /* all but the last batch, which is not full */
    sink_pass(&s, 10 * FERRY_SECOND);
    CHECK(sink_exactly_once(&s, 100));
    sink_end(&s);
}

static void no_batch_size_is_a_batch_for_each(void)
{
    uint64_t next = 0;
    sink_init(&s, "batch.size=0\nlinger.ms=10\n", REPORTS, 1, 1);
    sink_reveal(&s);
    sink_settle(&s);
    burst(0, &next, 20);
    CHECK(sink_all_reported(&s, 20));
    CHECK(sink_exactly_once(&s, 20));
    CHECK_INT(s.log[0][0].batches, 20);
    sink_end(&s);
}

static void requests_keep_to_their_size(void)
{
    uint64_t next = 0;
    sink_init(&s, "batch.size=1000\nlinger.ms=5\nmax.request.size=1700\n", REPORTS, 1, 4);
    sink_reveal(&s);
    sink_settle(&s);
    for (int32_t p = 0; p < 4; p++)
        burst(p, &next, 40); /* nearly a batch each */
    CHECK(sink_all_reported(&s, 160));
    CHECK(sink_exactly_once(&s, 160));
    CHECK_INT(s.parts_max, 2);
    CHECK_INT(s.requests, 2);
    sink_end(&s);
}

static void requests_are_grouped_by_their_timeout_too(void)
{
    sink_init(&s, "linger.ms=5\n", REPORTS, 3, 2);
    s.topics[1]->settings.request_timeout_ms = 5000;
    sink_reveal(&s);
    sink_settle(&s);
    for (uint64_t i = 0; i < 60; i++)
        CHECK_INT(sink_send(&s, (int)(i % 3), (int32_t)(i / 3 % 2), i), 0);
    CHECK(sink_all_reported(&s, 60));
    CHECK_INT(s.requests, 2);
    CHECK_INT(s.parts_max, 4);
    sink_end(&s);
}

static void a_throttle_is_kept(void)
{
    sink_init(&s, "linger.ms=0\n", REPORTS, 1, 1);
    sink_reveal(&s);
    sink_settle(&s);
    s.throttle_ms = 700;
    CHECK_INT(sink_send(&s, 0, 0, 0), 0);
    CHECK(sink_all_reported(&s, 1));
    s.throttle_ms = 0;
    ferry_nsec until = s.puppet.now + 680 * FERRY_MS; /* all_reported looks every 10 ms */
    CHECK_INT(sink_send(&s, 0, 0, 1), 0);
    while (s.puppet.now < until) {
        CHECK_INT(s.reported[1], 0);
        sink_pass(&s, 10 * FERRY_MS);
    }
    sink_pass(&s, 40 * FERRY_MS);
    CHECK_INT(s.reported[1], 1);
    CHECK_INT(s.error[1], 0);
    sink_end(&s);
}

static void the_time_of_the_log_is_reported(void)
{
    sink_init(&s, "linger.ms=0\n", REPORTS, 1, 1);
    sink_reveal(&s);
    CHECK_INT(sink_send(&s, 0, 0, 0), 0);
    CHECK(sink_all_reported(&s, 1));
    CHECK_INT(s.append_time, -1);
    s.log_append_time = 1712345678901;
    CHECK_INT(sink_send(&s, 0, 0, 1), 0);
    CHECK(sink_all_reported(&s, 2));
    CHECK(s.append_time == 1712345678901);
    sink_end(&s);
}

/* -- Held for an unknown topic -- */

static void what_was_held_keeps_key_cookie_and_time(void)
{
    static const char *const keys[] = {"a", "bb", "ccc", "dddd", "eeeee", "f"};
    sink_init(&s, "linger.ms=0\n", REPORTS | FERRY_SENDER_TIMES, 1, 4);
    for (uint64_t i = 0; i < 24; i++) {
        const char *key = keys[i % 6];
        struct ferry_accum_record r = {.record = {.key = {(const uint8_t *)key, strlen(key)},
                                                  .value = {(const uint8_t *)&i, 8}},
                                       .timestamp = 1600000000000 + (int64_t)i * 1000,
                                       .cookie = i,
                                       .sent_at = s.puppet.now,
                                       .expires_at = INT64_MAX};
        if (i == 12) { /* half of them before the topic is known */
            sink_pass(&s, FERRY_SECOND);
            sink_reveal(&s);
            CHECK(sink_all_reported(&s, 12));
        }
        CHECK_INT(sink_send_record(&s, 0, -1, &r), 0);
    }
    CHECK(sink_all_reported(&s, 24));
    CHECK(sink_exactly_once(&s, 24));
    int used = 0;
    for (int p = 0; p < 4; p++) {
        used += s.log[0][p].end > 0;
        CHECK_INT(s.log[0][p].end % 4, 0); /* a key's four lie together */
        for (int64_t i = 0; i < s.log[0][p].end; i++)
            CHECK(s.log[0][p].timestamps[i] ==
                  1600000000000 + (int64_t)s.log[0][p].cookies[i] * 1000);
    }
    CHECK(used > 1);
    sink_end(&s);
}

/* -- Partitioners -- */

static int count_in(int32_t partition)
{
    return (int)s.log[0][partition].end;
}

static void begin_with(int32_t partitioner, const char *settings)
{
    sink_init(&s, settings, REPORTS, 1, 4);
    s.topics[0]->settings.partitioner = partitioner;
    s.puppet.topics[0].leader[2] = -1; /* partition 2 has no leader */
    sink_reveal(&s);
    sink_settle(&s);
}

static void round_robin_goes_round_what_is_there(void)
{
    uint64_t next = 0;
    begin_with(FERRY_PARTITIONER_ROUND_ROBIN, "linger.ms=1\n");
    burst(-1, &next, 300);
    CHECK(sink_all_reported(&s, 300));
    for (int32_t p = 0; p < 4; p++)
        CHECK_INT(count_in(p), p == 2 ? 0 : 100);
    sink_end(&s);
}

static void random_spreads_and_sticks_for_a_time(void)
{
    uint64_t next = 0;
    begin_with(FERRY_PARTITIONER_CONSISTENT_RANDOM, "linger.ms=1\nferry.sticky.linger.ms=0\n");
    s.puppet.topics[0].leader[2] = 0;
    s.puppet.topics[0].epoch[2] = 1;
    burst(-1, &next, 1000);
    sink_pass(&s, 5 * FERRY_SECOND);
    CHECK(sink_all_reported(&s, 1000));
    for (int32_t p = 0; p < 4; p++)
        CHECK(count_in(p) > (p == 2 ? 20 : 200)); /* two tries at an available one */
    sink_end(&s);
    next = 0;
    begin_with(FERRY_PARTITIONER_RANDOM, "linger.ms=1\nferry.sticky.linger.ms=50\n");
    int changes = 0, last = -1;
    for (int i = 0; i < 100; i++) {
        int before[4], at = -1;
        for (int p = 0; p < 4; p++)
            before[p] = count_in(p);
        burst(-1, &next, 1);
        sink_pass(&s, 10 * FERRY_MS);
        for (int p = 0; p < 4; p++)
            at = count_in(p) > before[p] ? p : at;
        CHECK(at >= 0 && at != 2);
        changes += last >= 0 && at != last;
        last = at;
    }
    CHECK(changes >= 3 && changes <= 20); /* 1 s is 20 turns, some stay where they are */
    sink_end(&s);
}

/* KIP-794: partitions whose broker does not keep up get less; those whose broker is stuck get nothing. */
static void the_sticky_choice_heeds_queues_and_stuck_brokers(void)
{
    uint64_t next = 0;
    sink_init(&s, "batch.size=300\nlinger.ms=1\npartitioner.availability.timeout.ms=2000\n",
              REPORTS, 1, 2);
    s.puppet.node_count = 2;
    s.puppet.topics[0].leader[1] = 1;
    sink_reveal(&s);
    sink_settle(&s);
    burst(0, &next, 1);
    burst(1, &next, 1);
    CHECK(sink_all_reported(&s, 2));
    s.puppet.nodes[1].silent = true;
    for (struct puppet_conn *c; (c = puppet_conn_to(&s.puppet, 1));)
        puppet_cut(&s.puppet, c, FERRY_E_TRANSPORT);
    s.puppet.nodes[1].down = true;
    int64_t before = count_in(0);
    burst(-1, &next, 4000);
    sink_pass(&s, FERRY_SECOND);
    uint32_t waiting = atomic_load(&atomic_load(&s.topics[0]->table)->lanes[1]->waiting);
    CHECK(count_in(0) - before > 2000); /* the shorter queue is preferred */
    CHECK(waiting > 0);
    sink_pass(&s, 5 * FERRY_SECOND);
    burst(1, &next, 1);
    sink_pass(&s, 3 * FERRY_SECOND);
    waiting = atomic_load(&atomic_load(&s.topics[0]->table)->lanes[1]->waiting);
    before = count_in(0);
    atomic_store(&s.topics[0]->sticky, NULL);
    burst(-1, &next, 1000);
    sink_pass(&s, FERRY_SECOND);
    CHECK_INT(count_in(0) - before, 1000);
    CHECK_INT(atomic_load(&atomic_load(&s.topics[0]->table)->lanes[1]->waiting), waiting);
    sink_end(&s);
}

static int32_t first_available(void *cookie, struct ferry_sender_topic *t, struct ferry_bytes key,
                               int32_t count)
{
    struct ferry_lane_table *table = atomic_load(&t->table);
    ++*(int *)cookie;
    for (int32_t p = 0; p < count; p++)
        if (atomic_load(&table->lanes[p]->available))
            return p;
    return -1;
}

static void a_function_of_ones_own_sees_what_is_available(void)
{
    int calls = 0;
    sink_init(&s, "linger.ms=1\nferry.sticky.linger.ms=0\n", REPORTS, 1, 4);
    s.topics[0]->partitioner = first_available;
    s.topics[0]->partitioner_cookie = &calls;
    s.puppet.topics[0].leader[0] = s.puppet.topics[0].leader[1] = -1;
    sink_reveal(&s);
    sink_settle(&s);
    uint64_t next = 0;
    burst(-1, &next, 10);
    CHECK(sink_all_reported(&s, 10));
    CHECK_INT(calls, 10);
    CHECK_INT(count_in(2), 10);
    sink_end(&s);
}

int main(void)
{
    TAP_RUN(tries_are_spaced_more_and_more_and_end);
    TAP_RUN(a_topic_has_its_own_patience);
    TAP_RUN(a_full_batch_does_not_linger);
    TAP_RUN(no_batch_size_is_a_batch_for_each);
    TAP_RUN(requests_keep_to_their_size);
    TAP_RUN(requests_are_grouped_by_their_timeout_too);
    TAP_RUN(a_throttle_is_kept);
    TAP_RUN(the_time_of_the_log_is_reported);
    TAP_RUN(what_was_held_keeps_key_cookie_and_time);
    TAP_RUN(round_robin_goes_round_what_is_there);
    TAP_RUN(random_spreads_and_sticks_for_a_time);
    TAP_RUN(the_sticky_choice_heeds_queues_and_stuck_brokers);
    TAP_RUN(a_function_of_ones_own_sees_what_is_available);
    return tap_done();
}
