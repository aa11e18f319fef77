/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"
#include "client/statistics.h"
#include "ferry/kafka_errors.h"
#include "record/compress.h"
#include "tests/lib/sink.h"
#include "tests/lib/tap.h"

#include <stdio.h>

static struct sink s;

enum { REPORTS = FERRY_SENDER_REPORTS | FERRY_SENDER_COOKIES };

static void records_are_staged_then_sent_in_order(void)
{
    sink_init(&s, "", REPORTS, 1, 4);
    for (uint64_t i = 0; i < 1000; i++)
        CHECK_INT(sink_send(&s, 0, i % 3 == 0 ? (int32_t)(i % 4) : -1, i), 0);
    CHECK_INT(s.requests, 0);
    sink_pass(&s, 5 * FERRY_SECOND);
    CHECK_INT(s.requests, 0);
    sink_reveal(&s);
    CHECK(sink_all_reported(&s, 1000));
    CHECK(sink_exactly_once(&s, 1000));
    for (uint64_t i = 0; i < 1000; i += 3) /* where the caller chose, there they are */
        CHECK_INT(s.log[0][i % 4].cookies[s.offset[i]], i);
    CHECK_INT(atomic_load(&s.sender->chunks.used), 0);
    CHECK_INT(atomic_load(&s.sender->chunks.records), 0);
    CHECK_INT(s.bad, 0);
    sink_end(&s);
}

static void staged_records_expire_or_are_refused(void)
{
    sink_init(&s, "delivery.timeout.ms=5000\nrequest.timeout.ms=1000\n", REPORTS, 1, 2);
    CHECK_INT(sink_send(&s, 0, -1, 0), 0);
    sink_pass(&s, 4900 * FERRY_MS);
    CHECK_INT(s.reported[0], 0);
    sink_pass(&s, 200 * FERRY_MS);
    CHECK_INT(s.reported[0], 1);
    CHECK_INT(s.error[0], FERRY_E_EXPIRED);
    CHECK_INT(s.outcome[0], 0);
    CHECK_INT(sink_send(&s, 0, 7, 1), 0); /* there is no partition 7, as will be seen */
    CHECK_INT(sink_send(&s, 0, 1, 2), 0);
    sink_reveal(&s);
    CHECK(sink_all_reported(&s, 3));
    CHECK_INT(s.error[1], FERRY_E_INVALID);
    CHECK_INT(s.error[2], 0);
    CHECK_INT(sink_send(&s, 0, 7, 3), FERRY_E_INVALID);
    sink_end(&s);
    sink_init(&s, "", REPORTS, 1, 2);
    CHECK_INT(sink_send(&s, 0, -1, 0), 0);
    sink_reveal(&s);
    s.puppet.topics[0].error = FERRY_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    CHECK(sink_all_reported(&s, 1));
    CHECK_INT(s.error[0], FERRY_KAFKA_TOPIC_AUTHORIZATION_FAILED);
    CHECK_INT(sink_send(&s, 0, -1, 1), FERRY_KAFKA_TOPIC_AUTHORIZATION_FAILED);
    CHECK_INT(s.bad, 0);
    sink_end(&s);
}

/* Fills several batches of one partition at once, so that many are on the wire together. */
static void burst(int topic, int32_t partition, uint64_t *next, int n)
{
    for (int i = 0; i < n; i++)
        if (sink_send(&s, topic, partition, (*next)++))
            s.bad++;
}

static void five_in_flight_and_no_more(void)
{
    uint64_t next = 0;
    sink_init(&s, "batch.size=200\nlinger.ms=0\n", REPORTS, 1, 1);
    sink_reveal(&s);
    sink_settle(&s);
    s.fate = sink_hold;
    burst(0, 0, &next, 300);
    sink_settle(&s);
    CHECK_INT(s.pending_count, 1); /* the first goes alone */
    sink_release(&s);
    CHECK_INT(s.pending_count, 5);
    sink_release(&s);
    CHECK_INT(s.pending_max, 5);
    s.fate = NULL;
    sink_release(&s);
    CHECK(sink_all_reported(&s, 300));
    CHECK(sink_exactly_once(&s, 300));
    CHECK_INT(s.log[0][0].duplicates + s.log[0][0].gaps + s.bad, 0);
    sink_end(&s);
}

static void lost_answers_make_no_copies(void)
{
    uint64_t next = 0;
    sink_init(&s, "batch.size=200\nlinger.ms=0\n", REPORTS, 1, 1);
    sink_reveal(&s);
    sink_settle(&s);
    burst(0, 0, &next, 1);
    CHECK(sink_all_reported(&s, 1));
    s.fate = sink_hold;
    burst(0, 0, &next, 300);
    sink_settle(&s);
    CHECK_INT(s.pending_count, 5);
    sink_lose(&s); /* all five were appended */
    s.fate = NULL;
    CHECK(sink_all_reported(&s, 301));
    CHECK(sink_exactly_once(&s, 301));
    CHECK_INT(s.log[0][0].duplicates, 5);
    CHECK_INT(atomic_load(&s.sender->counters.epoch_bumps), 0);
    sink_end(&s);
}

/* Everything that can go wrong, at random: with idempotence each record is there once, in order. */
static void faults_cost_neither_order_nor_copies(void)
{
    int duplicates = 0, gaps = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uint64_t next = 0;
        sink_init(&s, "batch.size=150\nlinger.ms=5\nretry.backoff.ms=20\n", REPORTS, 2, 3);
        ferry_prng_seed(&s.prng, seed);
        s.chance = 1 + (int)ferry_prng_below(&s.prng, 12) + 1;
        s.fate = sink_random;
        sink_reveal(&s);
        for (int round = 0; round < 20; round++) {
            for (int i = 0; i < 10; i++)
                burst((int)ferry_prng_below(&s.prng, 2), (int32_t)ferry_prng_below(&s.prng, 3),
                      &next, (int)ferry_prng_below(&s.prng, 12));
            sink_pass(&s, (ferry_nsec)ferry_prng_below(&s.prng, 20) * FERRY_MS);
            if (ferry_prng_chance(&s.prng, 1, 3))
                sink_release(&s);
            else if (ferry_prng_chance(&s.prng, 1, 4))
                sink_lose(&s);
        }
        CHECK(sink_all_reported(&s, (int)next));
        CHECK(sink_exactly_once(&s, (int)next));
        CHECK_INT(s.bad, 0);
        for (int p = 0; p < 3; p++) {
            duplicates += s.log[0][p].duplicates;
            gaps += s.log[0][p].gaps;
        }
        CHECK_INT(atomic_load(&s.sender->chunks.used), 0);
        sink_end(&s);
    }
    CHECK(duplicates > 100 && gaps > 100);
}

/* Some records expire between; what is reported must be true: persisted ones are there, failed ones at most once. */
static void reports_are_true_when_records_expire(void)
{
    int expired = 0, bumps = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uint64_t next = 0;
        sink_init(&s,
                  "batch.size=150\nlinger.ms=2\nretry.backoff.ms=100\ndelivery.timeout.ms=1000\n"
                  "request.timeout.ms=300\n",
                  REPORTS, 1, 3);
        ferry_prng_seed(&s.prng, seed * 7);
        s.chance = 2 + (int)ferry_prng_below(&s.prng, 3);
        s.fate = sink_random;
        sink_reveal(&s);
        for (int round = 0; round < 30; round++) {
            burst(0, (int32_t)ferry_prng_below(&s.prng, 3), &next,
                  (int)ferry_prng_below(&s.prng, 60));
            if (ferry_prng_chance(&s.prng, 1, 10))
                s.fate = s.fate == sink_silent ? sink_random : sink_silent;
            sink_pass(&s, (ferry_nsec)ferry_prng_below(&s.prng, 200) * FERRY_MS);
            if (ferry_prng_chance(&s.prng, 1, 3))
                sink_release(&s);
        }
        s.fate = NULL;
        CHECK(sink_all_reported(&s, (int)next));
        for (uint64_t i = 0; i < next; i++) {
            int copies = sink_copies(&s, i);
            CHECK_INT(s.reported[i], 1);
            CHECK(copies <= 1);
            CHECK(s.outcome[i] != 2 || copies == 1);
            CHECK(s.outcome[i] != 0 || copies == 0);
            expired += s.error[i] == FERRY_E_EXPIRED;
        }
        bumps += (int)atomic_load(&s.sender->counters.epoch_bumps);
        CHECK_INT(s.bad, 0);
        sink_end(&s);
    }
    CHECK(expired > 100 && bumps > 20);
}

/* An answer that does not say whether the records are in the log does not make them certainly lost. */
static void what_a_refusal_leaves_open(void)
{
    static const struct {
        int16_t code;
        uint8_t outcome;
    } codes[] = {{FERRY_KAFKA_KAFKA_STORAGE_ERROR, 1},
                 {FERRY_KAFKA_REQUEST_TIMED_OUT, 1},
                 {FERRY_KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND, 1},
                 {FERRY_KAFKA_NOT_ENOUGH_REPLICAS, 0},
                 {FERRY_KAFKA_NOT_LEADER_OR_FOLLOWER, 0}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        sink_init(&s, "linger.ms=0\ndelivery.timeout.ms=2000\nrequest.timeout.ms=500\n", REPORTS, 1,
                  1);
        sink_reveal(&s);
        s.hint_leader = -1;
        s.code = codes[i].code;
        s.fate = sink_refuse;
        CHECK_INT(sink_send(&s, 0, 0, 0), 0);
        CHECK(sink_all_reported(&s, 1));
        CHECK_INT(s.error[0], FERRY_E_EXPIRED);
        CHECK_INT(s.outcome[0], codes[i].outcome);
        sink_end(&s);
    }
}

static enum sink_fate silent_on_0(struct sink *k, int topic, int32_t partition,
                                  const struct ferry_batch *b)
{
    return partition == 0 ? SINK_SILENT : SINK_SERVE;
}

static void only_the_cause_of_a_bump_renumbers(void)
{
    uint64_t next = 0;
    sink_init(&s, "linger.ms=0\ndelivery.timeout.ms=2000\nrequest.timeout.ms=500\n", REPORTS, 1, 2);
    sink_reveal(&s);
    burst(0, 0, &next, 1);
    burst(0, 1, &next, 1);
    CHECK(sink_all_reported(&s, 2));
    s.fate = silent_on_0;
    burst(0, 0, &next, 1); /* cookie 2: lost for good */
    CHECK(sink_all_reported(&s, 3));
    CHECK_INT(s.error[2], FERRY_E_EXPIRED);
    CHECK_INT(s.outcome[2], 1);
    s.fate = NULL;
    burst(0, 0, &next, 1);
    burst(0, 1, &next, 1);
    CHECK(sink_all_reported(&s, 5));
    CHECK_INT(s.outcome[3], 2);
    CHECK_INT(s.outcome[4], 2);
    CHECK_INT(atomic_load(&s.sender->counters.epoch_bumps), 1);
    CHECK_INT(s.log[0][0].epoch, 1);
    CHECK_INT(s.id_requests, 1); /* the bump was local */
    sink_end(&s);
}

static void the_last_epoch_asks_for_a_new_id(void)
{
    uint64_t next = 0;
    sink_init(&s, "linger.ms=0\ndelivery.timeout.ms=2000\nrequest.timeout.ms=500\n", REPORTS, 1, 1);
    s.next_epoch = INT16_MAX;
    sink_reveal(&s);
    burst(0, 0, &next, 1);
    CHECK(sink_all_reported(&s, 1));
    CHECK_INT(s.log[0][0].producer_id, 1000);
    s.fate = sink_silent;
    burst(0, 0, &next, 1);
    CHECK(sink_all_reported(&s, 2));
    s.fate = NULL;
    s.next_epoch = 0;
    burst(0, 0, &next, 1);
    CHECK(sink_all_reported(&s, 3));
    CHECK_INT(s.outcome[2], 2);
    CHECK_INT(s.log[0][0].producer_id, 1001);
    CHECK_INT(s.id_requests, 2);
    sink_end(&s);
}

/* -- What was sent by a connection that has been given up -- */

/* Two batches behind one that is given up, all three by a connection whose data is still under way. Cookies 1, 2, 3;
 * cookie 4 is not sent before the other two are known. */
static void three_are_late(uint64_t *next)
{
    sink_init(&s,
              "linger.ms=0\nbatch.size=100\ndelivery.timeout.ms=2000\nrequest.timeout.ms=500\n"
              "retry.backoff.ms=10\nretry.backoff.max.ms=20\n",
              REPORTS, 1, 1);
    sink_reveal(&s);
    burst(0, 0, next, 1);
    CHECK(sink_all_reported(&s, 1));
    s.fate = sink_late;
    burst(0, 0, next, 1);
    for (int i = 0; i < 2; i++) {
        sink_pass(&s, 200 * FERRY_MS);
        burst(0, 0, next, 1);
    }
    sink_settle(&s);
    CHECK_INT(s.late_count, 3);
    s.fate = sink_silent; /* the first is tried again and again */
    sink_pass(&s, 1590 * FERRY_MS);
    CHECK_INT(s.reported[1], 0);
    burst(0, 0, next, 1);
    s.fate = NULL;
    for (int i = 0; i < 100 && !s.reported[1]; i++)
        sink_pass(&s, FERRY_MS);
    CHECK_INT(s.error[1], FERRY_E_EXPIRED);
    CHECK_INT(s.outcome[1], 1);
    CHECK_INT(s.reported[2] + s.reported[3], 0);
}

static void what_may_still_come_keeps_its_number(void)
{
    uint64_t next = 0;
    three_are_late(&next);
    for (int i = 0; i < 100 && s.log[0][0].gaps < 3; i++)
        sink_pass(&s, FERRY_MS);
    CHECK(s.log[0][0].gaps >= 3);
    CHECK_INT(s.log[0][0].epoch, 0);
    CHECK_INT(s.log[0][0].end, 1);
    sink_arrive(&s);
    CHECK_INT(s.log[0][0].end, 4);
    CHECK(sink_all_reported(&s, 5));
    for (uint64_t i = 0; i < 5; i++) {
        CHECK_INT(s.outcome[i], i == 1 ? 1 : 2);
        CHECK_INT(sink_copies(&s, i), 1);
        CHECK_INT(s.log[0][0].cookies[i], i);
    }
    CHECK_INT(atomic_load(&s.sender->counters.epoch_bumps), 0);
    CHECK_INT(s.bad, 0);
    sink_end(&s);
}

static enum sink_fate late_before_epoch_1(struct sink *k, int topic, int32_t partition,
                                          const struct ferry_batch *b)
{
    if (b->producer_epoch > 0)
        sink_arrive(k);
    return SINK_SERVE;
}

/* The worst moment: the old tries arrive just before the first batch under the new epoch. */
static void what_may_still_come_is_not_sent_under_another_number(void)
{
    uint64_t next = 0;
    three_are_late(&next);
    s.fate = late_before_epoch_1;
    CHECK(sink_all_reported(&s, 5));
    for (uint64_t i = 0; i < 5; i++) {
        CHECK_INT(sink_copies(&s, i), 1);
        CHECK_INT(s.outcome[i], i >= 1 && i <= 3 ? 1 : 2);
        CHECK(i < 1 || i > 3 || s.error[i] == FERRY_E_EXPIRED);
    }
    CHECK_INT(atomic_load(&s.sender->counters.epoch_bumps), 1);
    CHECK_INT(s.log[0][0].epoch, 1);
    CHECK_INT(s.bad, 0);
    sink_end(&s);
}

/* Refuses the first batch of a burst for good, so that those behind it have no place. */
static enum sink_fate refuse_cookie_1(struct sink *k, int topic, int32_t partition,
                                      const struct ferry_batch *b)
{
    return b->producer_epoch == 0 && b->base_sequence == 1 ? SINK_REFUSE : SINK_SERVE;
}

static void what_is_known_to_be_absent_begins_anew_at_once(void)
{
    uint64_t next = 0;
    sink_init(&s, "linger.ms=0\nbatch.size=100\nretry.backoff.ms=10\n", REPORTS, 1, 1);
    sink_reveal(&s);
    burst(0, 0, &next, 1);
    CHECK(sink_all_reported(&s, 1));
    s.fate = refuse_cookie_1;
    s.code = FERRY_KAFKA_INVALID_RECORD;
    burst(0, 0, &next, 20);
    sink_pass(&s, 100 * FERRY_MS);
    CHECK_INT(s.error[1], FERRY_KAFKA_INVALID_RECORD);
    CHECK_INT(s.outcome[1], 0);
    int refused = 0;
    for (uint64_t i = 1; i < next; i++) {
        CHECK_INT(s.reported[i], 1);
        refused += s.outcome[i] == 0;
        CHECK_INT(sink_copies(&s, i), s.outcome[i] == 2);
    }
    CHECK(refused < 10); /* its own batch alone */
    CHECK(s.log[0][0].gaps > 0);
    CHECK_INT(atomic_load(&s.sender->counters.epoch_bumps), 1);
    CHECK_INT(s.bad, 0);
    sink_end(&s);
}

static void too_large_batches_are_split(void)
{
    int codecs = ferry_codec_available(FERRY_CODEC_LZ4, NULL) ? 1 : 2;
    for (int codec = 0; codec < codecs; codec++) {
        sink_init(&s, codec ? "compression.type=lz4\nlinger.ms=10\n" : "linger.ms=10\n", REPORTS, 1,
                  1);
        sink_reveal(&s);
        sink_settle(&s);
        for (uint64_t i = 0; i < 500; i++)
            CHECK_INT(sink_send(&s, 0, 0, i), 0);
        s.size_max = 1000;
        CHECK(sink_all_reported(&s, 500));
        CHECK(sink_exactly_once(&s, 500));
        CHECK(atomic_load(&s.sender->counters.splits) > 2);
        CHECK_INT(atomic_load(&s.sender->counters.records_failed), 0);
        uint8_t big[2000];
        ferry_prng_seed(&s.prng, 1);
        for (int i = 0; i < 2000; i++)
            big[i] = (uint8_t)ferry_prng_next(&s.prng);
        struct ferry_accum_record r = {.record = {.value = {big, sizeof big}}, .cookie = 500};
        CHECK_INT(sink_send_record(&s, 0, 0, &r), 0);
        CHECK(sink_all_reported(&s, 501));
        CHECK_INT(s.error[500], FERRY_KAFKA_MESSAGE_TOO_LARGE);
        CHECK_INT(s.outcome[500], 0);
        s.size_max = 0;
        CHECK_INT(sink_send(&s, 0, 0, 501), 0); /* and life goes on */
        CHECK(sink_all_reported(&s, 502));
        CHECK_INT(s.outcome[501], 2);
        CHECK_INT(s.bad, 0);
        sink_end(&s);
    }
}

static void codecs_go_through(void)
{
    static const char *const settings[] = {"compression.type=gzip\n", "compression.type=snappy\n",
                                           "compression.type=lz4\n", "compression.type=zstd\n"};
    for (int i = 0; i < 4; i++) {
        if (ferry_codec_available(i + 1, NULL))
            continue; /* not in this build */
        sink_init(&s, settings[i], REPORTS | (i % 2 ? FERRY_SENDER_RECORDS : 0), 1, 2);
        sink_reveal(&s);
        for (uint64_t k = 0; k < 3000; k++)
            CHECK_INT(sink_send(&s, 0, (int32_t)(k & 1), k), 0);
        CHECK(sink_all_reported(&s, 3000));
        CHECK(sink_exactly_once(&s, 3000));
        CHECK_INT(s.bad, 0);
        CHECK_INT(atomic_load(&s.sender->chunks.used), 0);
        sink_end(&s);
    }
}

static void requests_are_grouped_by_acks_and_timeout(void)
{
    sink_init(&s, "linger.ms=5\n", REPORTS, 3, 2);
    s.topics[1]->settings.acks =
        1; /* idempotence does not ask: per topic it is the caller's choice */
    s.topics[2]->settings.acks = 0;
    sink_reveal(&s);
    sink_settle(&s);
    for (uint64_t i = 0; i < 60; i++)
        CHECK_INT(sink_send(&s, (int)(i % 3), (int32_t)(i / 3 % 2), i), 0);
    CHECK(sink_all_reported(&s, 60));
    CHECK_INT(s.requests, 3);
    CHECK_INT(s.parts_max, 2);
    CHECK(s.acks_seen[0] == 1 && s.acks_seen[1] == 1 && s.acks_seen[2] == 1);
    for (uint64_t i = 0; i < 60; i++)
        CHECK_INT(s.offset[i] >= 0, i % 3 != 2);
    sink_end(&s);
}

static void linger_is_kept_and_flush_cuts_it_short(void)
{
    sink_init(&s, "linger.ms=100\n", REPORTS, 1, 2);
    sink_reveal(&s);
    sink_settle(&s);
    CHECK_INT(sink_send(&s, 0, 0, 0), 0);
    sink_pass(&s, 99 * FERRY_MS);
    CHECK_INT(s.requests, 0);
    sink_pass(&s, 2 * FERRY_MS);
    CHECK_INT(s.requests, 1);
    CHECK_INT(s.reported[0], 1);
    CHECK_INT(sink_send(&s, 0, 0, 1), 0);
    CHECK_INT(sink_send(&s, 0, 1, 2), 0);
    struct ferry_sender_flush *f = ferry_sender_flush_new(s.sender);
    s.fate = sink_hold;
    s.commands[s.command_count++] = &f->command;
    sink_settle(&s);
    CHECK_INT(s.pending_count, 1);
    CHECK(!atomic_load(&f->done));
    CHECK_INT(sink_send(&s, 0, 1, 3), 0); /* later than the flush: not its business */
    s.fate = NULL;
    sink_release(&s);
    CHECK(atomic_load(&f->done));
    CHECK_INT(s.reported[3], 0);
    ferry_sender_flush_unref(f);
    sink_end(&s);
    CHECK_INT(s.reported[3], 1);
    CHECK_INT(s.error[3], FERRY_E_CLOSED);
}

static void flush_waits_for_what_is_staged(void)
{
    sink_init(&s, "linger.ms=1000\n", REPORTS, 1, 2);
    CHECK_INT(sink_send(&s, 0, -1, 0), 0);
    struct ferry_sender_flush *f = ferry_sender_flush_new(s.sender);
    s.commands[s.command_count++] = &f->command;
    sink_pass(&s, FERRY_SECOND);
    CHECK(!atomic_load(&f->done));
    s.fate = sink_hold;
    sink_reveal(&s);
    sink_pass(&s, 2 * FERRY_SECOND);
    CHECK(!atomic_load(&f->done) && s.pending_count == 1);
    sink_release(&s);
    CHECK(atomic_load(&f->done));
    ferry_sender_flush_unref(f);
    f = ferry_sender_flush_new(s.sender); /* of nothing */
    s.commands[s.command_count++] = &f->command;
    sink_settle(&s);
    CHECK(atomic_load(&f->done));
    ferry_sender_flush_unref(f);
    sink_end(&s);
}

/* Several flushes at once, while their lanes fail and retry. */
static void flushes_end_one_after_the_other(void)
{
    uint64_t next = 0;
    struct ferry_sender_flush *f[8];
    sink_init(&s, "linger.ms=5\nbatch.size=150\ndelivery.timeout.ms=1000\nrequest.timeout.ms=300\n",
              REPORTS, 2, 3);
    ferry_prng_seed(&s.prng, 5);
    s.chance = 3;
    s.fate = sink_random;
    sink_reveal(&s);
    for (int i = 0; i < 8; i++) {
        for (int p = 0; p < 3; p++)
            burst(i & 1, p, &next, 20);
        f[i] = ferry_sender_flush_new(s.sender);
        s.commands[s.command_count++] = &f[i]->command;
        sink_pass(&s, i % 3 * 100 * FERRY_MS);
    }
    s.fate = sink_silent; /* what is left expires */
    sink_release(&s);
    sink_pass(&s, 3 * FERRY_SECOND);
    for (int i = 0; i < 8; i++) {
        CHECK(atomic_load(&f[i]->done));
        ferry_sender_flush_unref(f[i]);
    }
    for (uint64_t i = 0; i < next; i++)
        CHECK_INT(s.reported[i], 1);
    sink_end(&s);
}

static void purge_both(struct ferry_client *c, void *what)
{
    ferry_sender_purge(s.sender, *(unsigned *)what, FERRY_E_PURGED);
}

static void purge_tells_what_may_have_been_sent(void)
{
    unsigned what = FERRY_SENDER_PURGE_QUEUE;
    uint64_t next = 0;
    sink_init(&s, "batch.size=200\nlinger.ms=0\n", REPORTS, 1, 1);
    sink_reveal(&s);
    sink_settle(&s);
    burst(0, 0, &next, 1);
    CHECK(sink_all_reported(&s, 1));
    next = 0;
    s.reported[0] = 0;
    s.fate = sink_hold;
    burst(0, 0, &next, 200);
    sink_settle(&s);
    puppet_do(&s.puppet, purge_both, &what);
    int purged = 0, waiting = 0;
    for (int i = 0; i < 200; i++) {
        purged += s.reported[i] && s.error[i] == FERRY_E_PURGED && s.outcome[i] == 0;
        waiting += s.reported[i] == 0;
    }
    CHECK(purged > 100 && waiting > 10 && purged + waiting == 200);
    what = FERRY_SENDER_PURGE_FLIGHT;
    puppet_do(&s.puppet, purge_both, &what);
    sink_settle(&s);
    for (int i = 0; i < 200; i++)
        CHECK(s.reported[i] == 1 && s.error[i] == FERRY_E_PURGED);
    CHECK_INT(s.outcome[0], 1);
    s.fate = NULL;
    sink_release(&s);
    burst(0, 0, &next, 10); /* under a new epoch */
    CHECK(sink_all_reported(&s, 210));
    CHECK_INT(s.outcome[205], 2);
    CHECK_INT(s.bad, 0);
    sink_end(&s);
}

static enum sink_fate refuse_once(struct sink *k, int topic, int32_t partition,
                                  const struct ferry_batch *b)
{
    k->fate = NULL;
    return SINK_REFUSE;
}

static void leaders_told_in_answers_are_used_at_once(void)
{
    sink_init(&s, "linger.ms=0\nretry.backoff.ms=500\nretry.backoff.max.ms=1000\n", REPORTS, 1, 1);
    s.puppet.node_count = 2;
    sink_reveal(&s);
    CHECK_INT(sink_send(&s, 0, 0, 0), 0);
    CHECK(sink_all_reported(&s, 1));
    s.fate = refuse_once;
    s.code = FERRY_KAFKA_NOT_LEADER_OR_FOLLOWER;
    s.hint_leader = 1;
    s.hint_epoch = 5;
    CHECK_INT(sink_send(&s, 0, 0, 1), 0);
    sink_pass(&s, 10 * FERRY_MS); /* far less than the backoff */
    CHECK_INT(s.reported[1], 1);
    CHECK_INT(s.error[1], 0);
    CHECK(puppet_open_conns(&s.puppet, 1) >= 1);
    sink_end(&s);
}

static void records_expire_on_their_own(void)
{
    sink_init(&s, "linger.ms=10\n", REPORTS | FERRY_SENDER_EXPIRY, 1, 1);
    s.puppet.topics[0].leader[0] = -1;
    sink_reveal(&s);
    sink_settle(&s);
    for (uint64_t i = 0; i < 30; i++) {
        struct ferry_accum_record r = {.record = {.value = {(const uint8_t *)&i, 8}},
                                       .cookie = i,
                                       .expires_at =
                                           i % 3 ? INT64_MAX : s.puppet.now + 50 * FERRY_MS};
        CHECK_INT(sink_send_record(&s, 0, 0, &r), 0);
    }
    sink_pass(&s, 49 * FERRY_MS);
    CHECK_INT(s.reported[0], 0);
    sink_pass(&s, 10 * FERRY_MS);
    for (int i = 0; i < 30; i++) {
        CHECK_INT(s.reported[i], i % 3 == 0);
        CHECK(i % 3 || (s.error[i] == FERRY_E_EXPIRED && s.outcome[i] == 0));
    }
    s.puppet.topics[0].leader[0] = 0;
    s.puppet.topics[0].epoch[0] = 1;
    CHECK(sink_all_reported(&s, 30));
    for (int i = 0; i < 30; i++)
        CHECK_INT(s.outcome[i], i % 3 ? 2 : 0);
    CHECK_INT(s.log[0][0].end, 20);
    CHECK_INT(s.bad, 0);
    sink_end(&s);
}

static void a_cluster_without_ids_ends_the_producer(void)
{
    sink_init(&s, "linger.ms=0\n", REPORTS, 1, 1);
    s.id_error = FERRY_KAFKA_CLUSTER_AUTHORIZATION_FAILED;
    sink_reveal(&s);
    CHECK_INT(sink_send(&s, 0, 0, 0), 0);
    CHECK(sink_all_reported(&s, 1));
    CHECK_INT(s.error[0], FERRY_KAFKA_CLUSTER_AUTHORIZATION_FAILED);
    CHECK_INT(sink_send(&s, 0, 0, 1), FERRY_E_FATAL);
    CHECK(s.puppet.errors > 0);
    sink_end(&s);
    sink_init(&s, "linger.ms=0\nenable.idempotence=false\n", REPORTS, 1, 1);
    s.id_error = FERRY_KAFKA_CLUSTER_AUTHORIZATION_FAILED;
    sink_reveal(&s);
    CHECK_INT(sink_send(&s, 0, 0, 0), 0);
    CHECK(sink_all_reported(&s, 1));
    CHECK_INT(s.error[0], 0);
    CHECK_INT(s.id_requests, 0);
    sink_end(&s);
}

static void closing_leaves_nothing_without_report(void)
{
    uint64_t next = 0;
    sink_init(&s, "batch.size=200\nlinger.ms=0\n", REPORTS, 1, 2);
    sink_reveal(&s);
    sink_settle(&s);
    s.fate = sink_hold;
    burst(0, 0, &next, 100);
    burst(0, 1, &next, 100);
    sink_settle(&s);
    burst(0, 1, &next, 50);
    sink_end(&s);
    int maybe = 0;
    for (int i = 0; i < 250; i++) {
        CHECK_INT(s.reported[i], 1);
        CHECK(s.error[i] == FERRY_E_CLOSED);
        maybe += s.outcome[i] == 1;
    }
    CHECK(maybe > 0 && maybe < 200);
}

static void without_reports_memory_comes_back_at_once(void)
{
    uint64_t next = 0;
    sink_init(&s, "buffer.memory=65536\nbatch.size=2000\nlinger.ms=0\n", 0, 1, 1);
    sink_reveal(&s);
    sink_settle(&s);
    s.fate = sink_hold;
    while (sink_send(&s, 0, 0, next) == 0)
        CHECK(++next < 10000);
    CHECK(next > 1000);
    CHECK_INT(sink_send(&s, 0, 0, next), FERRY_E_QUEUE_FULL);
    s.fate = NULL;
    sink_settle(&s);
    sink_release(&s);
    sink_pass(&s, FERRY_SECOND);
    CHECK_INT(s.log[0][0].end, next);
    CHECK_INT(s.reports, 0);
    CHECK_INT(atomic_load(&s.sender->chunks.used), 0);
    CHECK_INT(sink_send(&s, 0, 0, next), 0);
    sink_end(&s);
}

/* Sends some records while the nth allocation fails. No crash, no leak; unless the engine itself had to end, each record
 * accepted is reported once. */
static void lost_memory_is_survived(void)
{
    int survived = 0;
    for (uint64_t n = 1; n < 700; n += n < 200 ? 1 : 7) {
        bool ok[40] = {false};
        sink_init(&s,
                  ferry_codec_available(FERRY_CODEC_LZ4, NULL)
                      ? "batch.size=300\nlinger.ms=1\n"
                      : "batch.size=300\nlinger.ms=1\ncompression.type=lz4\n",
                  REPORTS, 1, 2);
        if (!s.puppet.dead) {
            ferry_mem_fail_after(n);
            for (uint64_t i = 0; i < 40 && !s.puppet.dead; i++) {
                ok[i] = sink_send(&s, 0, (int32_t)(i & 1), i) == 0;
                if (i == 10)
                    sink_reveal(&s);
                if (i % 7 == 6)
                    sink_pass(&s, 10 * FERRY_MS);
            }
            ferry_mem_fail_after(0);
            sink_pass(&s, 200 * FERRY_SECOND);
        }
        if (!s.puppet.dead) {
            survived++;
            for (int i = 0; i < 40; i++) {
                CHECK_INT(s.reported[i], ok[i]);
                CHECK_INT(s.error[i], 0); /* one allocation that failed costs no record */
                CHECK_INT(sink_copies(&s, (uint64_t)i), ok[i]);
            }
        }
        sink_end(&s);
    }
    CHECK(survived > 50);
}

static void keyless_records_stick_and_spread(void)
{
    uint64_t next = 0;
    sink_init(&s, "batch.size=500\nlinger.ms=5\n", REPORTS, 1, 4);
    sink_reveal(&s);
    sink_settle(&s);
    burst(0, -1, &next, 20);
    sink_pass(&s, 10 * FERRY_MS);
    int used = 0;
    for (int p = 0; p < 4; p++)
        used += s.log[0][p].end > 0;
    CHECK_INT(used, 1); /* less than a batch: one partition */
    burst(0, -1, &next, 5000);
    CHECK(sink_all_reported(&s, (int)next));
    for (int p = 0; p < 4; p++) {
        CHECK(s.log[0][p].end > 300); /* about 210 choices among four */
        CHECK(s.log[0][p].batches <= s.log[0][p].end / 10);
    }
    sink_end(&s);
}

static void print_statistics(struct ferry_client *c, void *out)
{
    ferry_statistics_print(c, out);
}

static void statistics_tell_of_topics_and_partitions(void)
{
    struct ferry_text text = {0};
    sink_init(&s, "linger.ms=10\nferry.statistics.interval.ms=1000\n", REPORTS, 1, 2);
    sink_reveal(&s);
    sink_settle(&s);
    for (uint64_t i = 0; i < 40; i++)
        CHECK_INT(sink_send(&s, 0, (int32_t)(i & 1), i), 0);
    s.puppet.deliver = NULL; /* what comes now is not only reports */
    sink_pass(&s, 1100 * FERRY_MS);
    puppet_do(&s.puppet, print_statistics, &text);
    CHECK(strstr(text.data, "\"producer\":{\"records_sealed\":40,\"records_acked\":40"));
    CHECK(strstr(text.data, "\"topic\":\"t0\""));
    CHECK(strstr(text.data, "\"batch_records\":{\"count\":2,\"min\":20"));
    CHECK(strstr(text.data, "\"partition\":1,\"leader\":0,\"open_records\":0"));
    CHECK(strstr(text.data, "\"acked_records\":20"));
    const char *second = strstr(text.data, "\"partition\":1,\"leader\":0,\"open_records\":0");
    CHECK(strstr(second, "\"batch_bytes\":{\"count\":1,"));
    CHECK(strstr(second, "\"report_us\":{\"count\":1,\"min\":10"));
    ferry_text_free(&text);
    for (int i = 0; i < s.puppet.delivery_count; i++) {
        struct ferry_delivery *d = s.puppet.deliveries[i];
        d->drop(d);
    }
    sink_end(&s);
}

int main(void)
{
    TAP_RUN(statistics_tell_of_topics_and_partitions);
    TAP_RUN(records_are_staged_then_sent_in_order);
    TAP_RUN(staged_records_expire_or_are_refused);
    TAP_RUN(five_in_flight_and_no_more);
    TAP_RUN(lost_answers_make_no_copies);
    TAP_RUN(faults_cost_neither_order_nor_copies);
    TAP_RUN(reports_are_true_when_records_expire);
    TAP_RUN(what_a_refusal_leaves_open);
    TAP_RUN(only_the_cause_of_a_bump_renumbers);
    TAP_RUN(what_may_still_come_keeps_its_number);
    TAP_RUN(what_may_still_come_is_not_sent_under_another_number);
    TAP_RUN(what_is_known_to_be_absent_begins_anew_at_once);
    TAP_RUN(the_last_epoch_asks_for_a_new_id);
    TAP_RUN(too_large_batches_are_split);
    TAP_RUN(codecs_go_through);
    TAP_RUN(requests_are_grouped_by_acks_and_timeout);
    TAP_RUN(linger_is_kept_and_flush_cuts_it_short);
    TAP_RUN(flush_waits_for_what_is_staged);
    TAP_RUN(flushes_end_one_after_the_other);
    TAP_RUN(purge_tells_what_may_have_been_sent);
    TAP_RUN(leaders_told_in_answers_are_used_at_once);
    TAP_RUN(records_expire_on_their_own);
    TAP_RUN(a_cluster_without_ids_ends_the_producer);
    TAP_RUN(closing_leaves_nothing_without_report);
    TAP_RUN(without_reports_memory_comes_back_at_once);
    TAP_RUN(lost_memory_is_survived);
    TAP_RUN(keyless_records_stick_and_spread);
    return tap_done();
}
