/* SPDX-License-Identifier: BSD-2-Clause */
/* The producer's public API on a broker in the same process, with threads. Built with TSan by tests/stages/40-tsan.sh. */
#include "config.h"

#include "drive/clock.h"
#include "ferry/ferry.h"
#include "record/compress.h"
#include "tests/lib/inner.h"
#include "tests/lib/tap.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct inner *broker;
static struct ferry_error err;

enum { PATIENCE_MS = 20000, RECORDS_MAX = 100000 };

static struct ferry_producer *producer_at(const char *address, const char *settings, uint32_t flags)
{
    struct ferry_config *c = ferry_config_new();
    struct ferry_producer *p = NULL;
    if (!ferry_config_set(c, "bootstrap.servers", address, &err) &&
        !ferry_config_load_text(c, settings, strlen(settings), &err))
        p = ferry_producer_new(c, flags, &err);
    ferry_config_free(c);
    if (!p)
        fprintf(stderr, "# %s\n", err.text);
    return p;
}

static struct ferry_producer *make(const char *settings, uint32_t flags)
{
    return producer_at(inner_address(broker), settings, flags);
}

/* Takes reports until `want` records are in them; how many failed, or -1. */
static int take(struct ferry_producer *p, int want, struct ferry_report_info *last)
{
    struct ferry_report_info info;
    int failed = 0;
    while (want > 0) {
        struct ferry_report *r = ferry_producer_poll(p, PATIENCE_MS);
        if (!r)
            return -1;
        ferry_report_info(r, last ? last : &info);
        info = last ? *last : info;
        want -= info.count;
        failed += info.error ? info.count : 0;
        ferry_report_release(r);
    }
    return want == 0 ? failed : -1;
}

static void end(struct ferry_producer *p)
{
    CHECK_INT(ferry_producer_close(p, PATIENCE_MS, &err), 0);
    ferry_producer_free(p);
}

static void a_record_comes_back_in_its_report(void)
{
    static const struct ferry_header headers[2] = {{"trace", "abc", 5, 3, 0},
                                                   {"none", NULL, -1, -1, 0}};
    struct ferry_producer *p =
        make("linger.ms=50\n", FERRY_REPORTS | FERRY_REPORT_COOKIES | FERRY_REPORT_TIMES);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "whole", &err);
    CHECK(t && ferry_producer_topic(p, "whole", &err) == t);
    CHECK(ferry_topic_wait(t, PATIENCE_MS, &err) > 0);
    struct ferry_outgoing o = {.key = "k",
                               .key_len = 1,
                               .value = "value",
                               .value_len = 5,
                               .headers = headers,
                               .header_count = 2,
                               .partition = 0,
                               .timestamp = 1234567890123,
                               .cookie = 42,
                               .flags = FERRY_SEND_TIMESTAMP};
    struct ferry_receipt receipt;
    CHECK_INT(ferry_send_record(t, &o, &receipt, &err), 0);
    CHECK_INT(ferry_send(t, 0, NULL, 0, NULL, 0, 43, 0), 0);
    struct ferry_report *r = ferry_producer_poll(p, PATIENCE_MS);
    CHECK(r);
    struct ferry_report_info info;
    struct ferry_reported got[4];
    ferry_report_info(r, &info);
    CHECK_STR(info.topic, "whole");
    CHECK(info.count == 2 && info.error == 0 && info.outcome == FERRY_PERSISTED &&
          info.partition == 0);
    CHECK(info.tries == 1 && info.base_offset == 0 && info.batch == receipt.batch &&
          info.latency_us > 0);
    CHECK_STR(info.text, "");
    CHECK_INT(ferry_report_next(r, got, 4), 2);
    CHECK_INT(ferry_report_next(r, got + 2, 2), 0);
    CHECK(got[0].key_len == 1 && !memcmp(got[0].key, "k", 1) && got[0].value_len == 5);
    CHECK(!memcmp(got[0].value, "value", 5) && got[0].cookie == 42 && got[0].offset == 0);
    CHECK(got[0].timestamp == 1234567890123 && got[0].latency_us >= 0 &&
          got[0].latency_us < 60000000);
    CHECK(got[0].receipt.batch == receipt.batch && got[0].receipt.index == receipt.index);
    CHECK(got[1].key_len == -1 && got[1].value_len == -1 && got[1].cookie == 43 &&
          got[1].offset == 1);
    struct ferry_header h;
    int32_t at = 0;
    CHECK_INT(ferry_reported_header(&got[0], &at, &h), 1);
    CHECK(h.name_len == 5 && !memcmp(h.name, "trace", 5) && h.value_len == 3);
    CHECK_INT(ferry_reported_header(&got[0], &at, &h), 1);
    CHECK(h.name_len == 4 && h.value_len == -1 && !h.value);
    CHECK_INT(ferry_reported_header(&got[0], &at, &h), 0);
    ferry_report_rewind(r);
    uint64_t cookies[4];
    CHECK_INT(ferry_report_cookies(r, cookies, 1), 1);
    CHECK_INT(ferry_report_next(r, got, 4), 1);
    CHECK(cookies[0] == 42 && got[0].cookie == 43);
    struct ferry_producer_counters c;
    ferry_producer_counters(p, &c);
    CHECK(c.records_sent == 2 && c.records_acked == 2 && c.records_queued == 0 &&
          c.records_held == 2);
    CHECK(c.memory_used > 0);
    CHECK_INT(ferry_producer_close(p, PATIENCE_MS, &err), 0);
    ferry_producer_free(p);
    ferry_report_info(r, &info); /* it outlives its producer, the topic's name aside */
    CHECK_INT(info.count, 2);
    ferry_report_release(r);
}

/* -- What else a record can have -- */

static void many_are_sent_at_once_and_each_has_its_error(void)
{
    struct ferry_producer *p = make("linger.ms=1\n", FERRY_REPORTS | FERRY_REPORT_COOKIES);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "many", &err);
    CHECK(ferry_topic_wait(t, PATIENCE_MS, &err) > 0);
    struct ferry_outgoing o[10] = {{0}};
    for (int i = 0; i < 10; i++) {
        o[i].value = "v";
        o[i].value_len = i == 3 ? -2 : 1;
        o[i].partition = i == 7 ? 99 : 0;
        o[i].cookie = (uint64_t)i;
    }
    CHECK_INT(ferry_send_many(t, o, 10), 8);
    for (int i = 0; i < 10; i++)
        CHECK_INT(o[i].error, i == 3 || i == 7 ? FERRY_E_INVALID : 0);
    CHECK_INT(take(p, 8, NULL), 0);
    end(p);
}

static void a_topic_can_have_settings_of_its_own(void)
{
    struct ferry_report_info info;
    struct ferry_producer *p = make("linger.ms=0\n", FERRY_REPORTS);
    struct ferry_config *c = ferry_config_new();
    CHECK(p && c);
    CHECK_INT(ferry_config_set(c, "acks", "0", &err), 0);
    CHECK_INT(ferry_config_set(c, "compression.type",
                               ferry_codec_available(FERRY_CODEC_GZIP, NULL) ? "none" : "gzip",
                               &err),
              0);
    struct ferry_topic *t = ferry_producer_topic_with(p, "special", c, &err);
    CHECK(t && ferry_producer_topic(p, "special", &err) == t);
    CHECK(!ferry_producer_topic_with(p, "special", c, &err) && err.code == FERRY_E_EXISTS);
    ferry_config_free(c);
    struct ferry_topic *usual = ferry_producer_topic(p, "usual", &err);
    CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
    CHECK_INT(take(p, 1, &info), 0);
    CHECK(info.base_offset == -1 && info.outcome == FERRY_PERSISTED); /* nobody answered */
    CHECK_INT(ferry_send(usual, 0, NULL, 0, "x", 1, 0, 0), 0);
    CHECK_INT(take(p, 1, &info), 0);
    CHECK_INT(info.base_offset, 0);
    end(p);
}

static void packed_records_are_kept_for_the_report_if_asked(void)
{
    if (ferry_codec_available(FERRY_CODEC_LZ4, NULL)) {
        tap_skip("this build has no lz4");
        return;
    }
    char value[2000];
    memset(value, 'z', sizeof value);
    for (int keep = 0; keep < 2; keep++) {
        struct ferry_producer *p =
            make("linger.ms=5\ncompression.type=lz4\n",
                 FERRY_REPORTS | FERRY_REPORT_COOKIES | (keep ? FERRY_REPORT_RECORDS : 0));
        CHECK(p);
        struct ferry_topic *t = ferry_producer_topic(p, "packed", &err);
        CHECK(ferry_topic_wait(t, PATIENCE_MS, &err) > 0);
        for (uint64_t i = 0; i < 5; i++)
            CHECK_INT(ferry_send(t, 0, "key", 3, value, sizeof value, i, 0), 0);
        for (uint64_t i = 0; i < 5;) {
            struct ferry_reported got;
            struct ferry_report *r = ferry_producer_poll(p, PATIENCE_MS);
            CHECK(r);
            for (; ferry_report_next(r, &got, 1) == 1; i++) {
                CHECK_INT(got.cookie, i);
                CHECK_INT(got.value_len, keep ? (int)sizeof value : -1);
                CHECK_INT(got.key_len, keep ? 3 : -1);
                CHECK(!keep || !memcmp(got.value, value, sizeof value));
                CHECK(keep || (!got.value && !got.key));
            }
            ferry_report_release(r);
        }
        end(p);
    }
}

static void a_record_expires_by_its_own_time(void)
{
    struct ferry_report_info info;
    struct ferry_producer *p =
        make("linger.ms=60000\ndelivery.timeout.ms=200000\n", FERRY_REPORTS | FERRY_RECORD_EXPIRY);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "brief", &err);
    CHECK(ferry_topic_wait(t, PATIENCE_MS, &err) > 0);
    struct ferry_outgoing o = {.value = "x", .value_len = 1};
    CHECK_INT(ferry_send_record(t, &o, NULL, &err), 0);
    o.expires_in = 50;
    int64_t before = ferry_clock_now();
    CHECK_INT(ferry_send_record(t, &o, NULL, &err), 0);
    CHECK_INT(take(p, 1, &info), 1);
    CHECK(info.error == FERRY_E_EXPIRED && info.outcome == FERRY_NOT_PERSISTED);
    CHECK(ferry_clock_now() - before >= 50 * FERRY_MS);
    CHECK_INT(ferry_producer_flush(p, PATIENCE_MS, &err), 0); /* the other one lives */
    CHECK_INT(take(p, 1, &info), 0);
    end(p);
}

static void a_cluster_that_is_not_there_is_waited_for_and_told(void)
{
    struct ferry_report_info info;
    struct ferry_producer *p = producer_at("127.0.0.1:1",
                                           "delivery.timeout.ms=400\nlinger.ms=0\n"
                                           "request.timeout.ms=300\n",
                                           FERRY_REPORTS);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "nowhere", &err);
    CHECK(t && ferry_topic_partition_count(t) == 0 && ferry_topic_available(t, 0) == 0);
    CHECK_INT(ferry_topic_wait(t, 50, &err), FERRY_E_TIMED_OUT);
    CHECK(strstr(err.text, "nowhere"));
    CHECK_INT(ferry_send(t, -1, NULL, 0, "x", 1, 0, 0), 0);
    CHECK_INT(ferry_producer_flush(p, 10, &err), FERRY_E_TIMED_OUT);
    struct ferry_report *r = ferry_producer_poll(p, PATIENCE_MS);
    CHECK(r);
    ferry_report_info(r, &info);
    CHECK(info.error == FERRY_E_EXPIRED && info.partition == -1);
    CHECK(strstr(info.text, "delivery.timeout.ms=400"));
    ferry_report_release(r);
    CHECK_INT(ferry_send(t, -1, NULL, 0, "x", 1, 0, 0), 0);
    ferry_producer_free(p); /* without a close: what is left is dropped */
}

static void a_topic_that_brokers_refuse_is_told(void)
{
    struct ferry_report_info info;
    struct ferry_producer *p = make("linger.ms=0\n", FERRY_REPORTS);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "no/name", &err);
    int32_t first = ferry_send(t, -1, NULL, 0, "x", 1, 0, 0);
    CHECK(first == 0 || first == FERRY_KAFKA_INVALID_TOPIC_EXCEPTION); /* it may be known already */
    CHECK_INT(ferry_topic_wait(t, PATIENCE_MS, &err), FERRY_E_NOT_FOUND);
    CHECK_INT(err.code, FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    CHECK(strstr(err.text, "no/name") && strstr(err.text, "INVALID_TOPIC"));
    if (first == 0) {
        CHECK_INT(take(p, 1, &info), 1);
        CHECK_INT(info.error, FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    }
    CHECK_INT(ferry_send(t, -1, NULL, 0, "x", 1, 0, 0), FERRY_KAFKA_INVALID_TOPIC_EXCEPTION);
    end(p);
}

/* -- Many threads -- */
enum { SENDERS = 4, EACH = 4000 };
static struct ferry_topic *shared_topic;
static atomic_int refused;

static void *send_many(void *arg)
{
    uint64_t me = (uint64_t)(uintptr_t)arg;
    char key[16], big[20000];
    memset(big, 'b', sizeof big);
    int n = snprintf(key, sizeof key, "key-%d", (int)me);
    for (uint64_t i = 0; i < EACH; i++) {
        bool large = i % 500 == 7; /* copied outside of the lock */
        int rc = ferry_send(shared_topic, -1, i % 3 ? key : NULL, n, large ? big : "some value",
                            large ? (int32_t)sizeof big : 10, me << 32 | i, FERRY_SEND_WAIT);
        if (rc)
            atomic_fetch_add(&refused, 1);
    }
    return NULL;
}

static int64_t offset_of[SENDERS][EACH];
static int partition_of[SENDERS][EACH];

static bool note_report(struct ferry_report *r, int *left)
{
    struct ferry_report_info info;
    struct ferry_reported got[100];
    int32_t n;
    ferry_report_info(r, &info);
    while ((n = ferry_report_next(r, got, 100)) > 0)
        for (int i = 0; i < n; i++) {
            uint64_t me = got[i].cookie >> 32, k = got[i].cookie & 0xffffffff;
            if (info.error || me >= SENDERS || k >= EACH || offset_of[me][k] >= 0)
                return false;
            offset_of[me][k] = got[i].offset;
            partition_of[me][k] = info.partition;
            (*left)--;
        }
    ferry_report_release(r);
    return true;
}

static void threads_send_side_by_side(void)
{
    pthread_t threads[SENDERS];
    struct ferry_producer *p = make("linger.ms=1\nbatch.size=4096\nbuffer.memory=300000\n",
                                    FERRY_REPORTS | FERRY_REPORT_COOKIES);
    CHECK(p);
    shared_topic = ferry_producer_topic(p, "shared", &err);
    memset(offset_of, -1, sizeof offset_of);
    for (uintptr_t i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, send_many, (void *)i);
    int left = SENDERS * EACH;
    while (left > 0) {
        struct ferry_report *r = ferry_producer_poll(p, PATIENCE_MS);
        CHECK(r);
        CHECK(note_report(r, &left));
        if (left % 1000 == 3)
            ferry_producer_flush(p, 0, NULL);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(atomic_load(&refused), 0);
    for (int s = 0; s < SENDERS; s++) {
        int64_t last = -1;
        int partition = -1;
        for (int i = 0; i < EACH;
             i++) { /* a key's records lie in one partition, in the order they were sent in */
            CHECK(offset_of[s][i] >= 0);
            if (i % 3 == 0)
                continue;
            CHECK(partition < 0 || partition == partition_of[s][i]);
            CHECK(offset_of[s][i] > last);
            last = offset_of[s][i];
            partition = partition_of[s][i];
        }
    }
    struct ferry_producer_counters c;
    ferry_producer_counters(p, &c);
    CHECK_INT(c.records_acked, SENDERS * EACH);
    CHECK(c.memory_used == 0 && c.records_held == 0);
    end(p);
}

/* -- Back-pressure -- */

static void *release_later(void *arg)
{
    usleep(50000);
    ferry_report_release(ferry_producer_poll(arg, PATIENCE_MS));
    return NULL;
}

static void a_full_buffer_is_an_error_or_a_wait(void)
{
    char value[1000] = {0};
    struct ferry_producer *p = make(
        "buffer.memory=65536\nbatch.size=8192\nlinger.ms=0\nmax.block.ms=100\n", FERRY_REPORTS);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "full", &err);
    CHECK(ferry_topic_wait(t, PATIENCE_MS, &err) > 0);
    struct ferry_outgoing o = {.value = value, .value_len = sizeof value};
    int sent = 0, rc;
    while ((rc = ferry_send_record(t, &o, NULL, &err)) == 0)
        CHECK(++sent < 100);
    CHECK_INT(rc, FERRY_E_QUEUE_FULL);
    CHECK(strstr(err.text, "buffer.memory"));
    CHECK_INT(ferry_producer_flush(p, PATIENCE_MS, &err), 0);
    int64_t before = ferry_clock_now();
    CHECK_INT(ferry_send(t, 0, NULL, 0, value, sizeof value, 0, FERRY_SEND_WAIT),
              FERRY_E_QUEUE_FULL);
    CHECK(ferry_clock_now() - before >= 99 * FERRY_MS);
    pthread_t thread; /* room comes while the sender waits */
    ferry_producer_free(p);
    p = make("buffer.memory=65536\nbatch.size=8192\nlinger.ms=0\nmax.block.ms=20000\n",
             FERRY_REPORTS);
    t = ferry_producer_topic(p, "full", &err);
    for (sent = 0; ferry_send(t, 0, NULL, 0, value, sizeof value, 0, 0) == 0; sent++)
        CHECK(sent < 100);
    pthread_create(&thread, NULL, release_later, p);
    CHECK_INT(ferry_send(t, 0, NULL, 0, value, sizeof value, 0, FERRY_SEND_WAIT), 0);
    pthread_join(thread, NULL);
    ferry_producer_free(p);
}

static void the_number_of_records_can_be_limited(void)
{
    struct ferry_producer *p = make("ferry.buffer.records=10\nlinger.ms=0\n", FERRY_REPORTS);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "counted", &err);
    for (int i = 0; i < 10; i++)
        CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
    CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), FERRY_E_QUEUE_FULL);
    CHECK_INT(ferry_producer_flush(p, PATIENCE_MS, &err), 0);
    CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0),
              FERRY_E_QUEUE_FULL); /* counted until the release */
    CHECK_INT(take(p, 10, NULL), 0);
    CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
    end(p);
}

static void wrong_arguments_are_told(void)
{
    struct ferry_producer *p = make("max.request.size=10000\n", FERRY_REPORTS);
    CHECK(p);
    char value[20000] = {0};
    struct ferry_topic *t = ferry_producer_topic(p, "wrong", &err);
    int32_t count = ferry_topic_wait(t, PATIENCE_MS, &err);
    CHECK(count > 0);
    CHECK_INT(ferry_send(t, count, NULL, 0, "x", 1, 0, 0), FERRY_E_INVALID);
    CHECK_INT(ferry_send(t, -2, NULL, 0, "x", 1, 0, 0), FERRY_E_INVALID);
    CHECK_INT(ferry_send(t, 0, "k", -1, "x", 1, 0, 0), FERRY_E_INVALID);
    CHECK_INT(ferry_send(t, 0, NULL, 0, "x", -1, 0, 0), FERRY_E_INVALID);
    CHECK_INT(ferry_send(t, 0, NULL, 0, value, sizeof value, 0, 0), FERRY_E_TOO_LARGE);
    struct ferry_outgoing o = {.value = value, .value_len = sizeof value};
    CHECK_INT(ferry_send_record(t, &o, NULL, &err), FERRY_E_TOO_LARGE);
    CHECK(strstr(err.text, "max.request.size"));
    o.value_len = 1;
    o.expires_in = 5;
    CHECK_INT(ferry_send_record(t, &o, NULL, &err),
              FERRY_E_INVALID); /* FERRY_RECORD_EXPIRY was not asked for */
    CHECK(!ferry_producer_topic(p, NULL, &err) && err.code == FERRY_E_INVALID);
    CHECK(!ferry_producer_topic(p, "", &err) && err.code == FERRY_E_INVALID);
    CHECK(!make("linger.ms=0\nacks=1\nenable.idempotence=true\n", 0));
    CHECK_INT(err.code, FERRY_E_CONFIG);
    CHECK_INT(ferry_producer_purge(p, 0, &err), FERRY_E_INVALID);
    end(p);
}

static int32_t last_partition(void *opaque, const struct ferry_topic *t, const void *key,
                              int32_t key_len, int32_t count)
{
    if (key_len == 3)
        return -1; /* refuses */
    *(int *)opaque += ferry_topic_available(t, count - 1);
    return count - 1;
}

static void a_partitioner_of_ones_own_decides(void)
{
    int available = 0;
    struct ferry_report_info info;
    struct ferry_producer *p = make("linger.ms=0\n", FERRY_REPORTS);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "own", &err);
    CHECK_INT(ferry_topic_set_partitioner(t, last_partition, &available, &err), 0);
    int32_t count = ferry_topic_wait(t, PATIENCE_MS, &err);
    CHECK(count > 1);
    CHECK_INT(ferry_send(t, -1, "k", 1, "x", 1, 0, 0), 0);
    CHECK_INT(take(p, 1, &info), 0);
    CHECK(info.partition == count - 1 && available == 1);
    CHECK_INT(ferry_send(t, -1, "kkk", 3, "x", 1, 0, 0), FERRY_E_INVALID);
    CHECK_INT(ferry_topic_set_partitioner(t, NULL, NULL, &err), FERRY_E_STATE);
    end(p);
}

/* -- Without a thread -- */

static void no_thread_is_needed(void)
{
    struct ferry_producer *p = make("ferry.io.thread=false\nlinger.ms=5\n", FERRY_REPORTS);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "alone", &err);
    for (int i = 0; i < 100; i++)
        CHECK_INT(ferry_send(t, -1, NULL, 0, "x", 1, 0, FERRY_SEND_WAIT), 0);
    CHECK_INT(ferry_producer_flush(p, PATIENCE_MS, &err), 0);
    CHECK_INT(take(p, 100, NULL), 0);
    CHECK_INT(ferry_send(t, -1, NULL, 0, "x", 1, 0, 0), 0);
    struct ferry_report *r = NULL;
    for (int64_t until = ferry_clock_now() + PATIENCE_MS * FERRY_MS;
         !r && ferry_clock_now() < until;)
        r = ferry_producer_poll(p, 0); /* each poll steps */
    CHECK(r);
    ferry_report_release(r);
    end(p);
}

/* -- Queues -- */

static void reports_can_be_forwarded(void)
{
    int fds[2];
    struct ferry_producer *p = make("linger.ms=0\n", FERRY_REPORTS);
    CHECK(p && pipe(fds) == 0);
    struct ferry_queue *q = ferry_queue_new(ferry_producer_handle(p));
    CHECK_INT(ferry_queue_forward(ferry_producer_queue(p), q), 0);
    CHECK_INT(ferry_queue_wake_fd(q, fds[1], "!", 1), 0);
    struct ferry_topic *t = ferry_producer_topic(p, "forwarded", &err);
    for (int i = 0; i < 5; i++)
        CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
    struct pollfd readable = {.fd = fds[0], .events = POLLIN};
    CHECK_INT(poll(&readable, 1, PATIENCE_MS), 1);
    int got = 0;
    while (got < 5) {
        struct ferry_delivery *d = ferry_queue_poll(q, PATIENCE_MS, &err);
        CHECK(d && ferry_delivery_kind(d) == FERRY_DELIVERY_REPORT);
        got += (int)ferry_delivery_records(d);
        ferry_report_release(ferry_delivery_report(d));
    }
    CHECK_INT(ferry_queue_forward(ferry_producer_queue(p), NULL), 0);
    ferry_queue_free(q);
    close(fds[0]);
    close(fds[1]);
    end(p);
}

/* -- The end -- */

static void a_deadline_of_close_is_kept(void)
{
    struct ferry_producer *p = make("linger.ms=0\n", FERRY_REPORTS);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "closing", &err);
    CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
    CHECK_INT(take(p, 1, NULL), 0);
    inner_freeze(broker, true);
    for (int i = 0; i < 100; i++)
        CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
    int64_t before = ferry_clock_now();
    CHECK_INT(ferry_producer_close(p, 200, &err), FERRY_E_TIMED_OUT);
    int64_t took = (ferry_clock_now() - before) / FERRY_MS;
    inner_freeze(broker, false);
    CHECK(took >= 199 && took < 2000);
    CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), FERRY_E_CLOSED);
    struct ferry_report_info info = {0};
    CHECK_INT(take(p, 100, &info), 100);
    CHECK_INT(info.error, FERRY_E_CLOSED);
    CHECK(!ferry_producer_poll(p, PATIENCE_MS));
    ferry_producer_free(p);
}

static atomic_int after_close;

static void *send_until_closed(void *arg)
{
    uint64_t n = 0;
    for (;; n++) {
        int rc = ferry_send(shared_topic, -1, NULL, 0, "x", 1, n, n % 2 ? FERRY_SEND_WAIT : 0);
        if (rc == FERRY_E_CLOSED)
            break;
        if (rc && rc != FERRY_E_QUEUE_FULL)
            atomic_fetch_add(&after_close, 1);
        if (n % 64 == 0)
            ferry_report_release(ferry_producer_poll(arg, 0));
    }
    return NULL;
}

static void closing_beside_senders_is_safe(void)
{
    for (int round = 0; round < 5; round++) {
        pthread_t threads[3];
        struct ferry_producer *p =
            make(round % 2 ? "linger.ms=0\n" : "linger.ms=2\nbuffer.memory=200000\n",
                 FERRY_REPORTS | FERRY_REPORT_COOKIES);
        CHECK(p);
        shared_topic = ferry_producer_topic(p, "closed", &err);
        for (int i = 0; i < 3; i++)
            pthread_create(&threads[i], NULL, send_until_closed, p);
        usleep(20000);
        ferry_producer_close(p, PATIENCE_MS, &err);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        struct ferry_report *r;
        while ((r = ferry_producer_poll(p, 0)))
            ferry_report_release(r);
        struct ferry_producer_counters c;
        ferry_producer_counters(p, &c);
        CHECK_INT(c.records_sent, c.records_acked + c.records_failed + c.records_queued);
        CHECK_INT(atomic_load(&after_close), 0);
        ferry_producer_free(p);
    }
}

static void purging_fails_what_waits(void)
{
    struct ferry_report_info info;
    struct ferry_producer *p = make("linger.ms=60000\ndelivery.timeout.ms=200000\n", FERRY_REPORTS);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "purged", &err);
    CHECK(ferry_topic_wait(t, PATIENCE_MS, &err) > 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
    CHECK_INT(ferry_producer_purge(p, FERRY_PURGE_QUEUE, &err), 0);
    CHECK_INT(take(p, 10, &info), 10);
    CHECK(info.error == FERRY_E_PURGED && info.outcome == FERRY_NOT_PERSISTED);
    CHECK_STR(info.text, "FERRY_E_PURGED");
    end(p);
}

static void only_failures_are_reported_if_asked(void)
{
    struct ferry_producer *p = make("linger.ms=0\n", FERRY_REPORTS | FERRY_REPORT_FAILURES_ONLY);
    CHECK(p);
    struct ferry_topic *t = ferry_producer_topic(p, "quiet", &err);
    for (int i = 0; i < 50; i++)
        CHECK_INT(ferry_send(t, -1, NULL, 0, "x", 1, 0, 0), 0);
    CHECK_INT(ferry_producer_flush(p, PATIENCE_MS, &err), 0);
    CHECK(!ferry_producer_poll(p, 0));
    struct ferry_producer_counters c;
    ferry_producer_counters(p, &c);
    CHECK(c.records_acked == 50 && c.memory_used == 0);
    end(p);
}

int main(void)
{
    static const char *const settings[] = {"num.partitions=4", NULL};
    broker = inner_start(settings);
    if (!broker)
        return 1;
    TAP_RUN(a_record_comes_back_in_its_report);
    TAP_RUN(many_are_sent_at_once_and_each_has_its_error);
    TAP_RUN(a_topic_can_have_settings_of_its_own);
    TAP_RUN(packed_records_are_kept_for_the_report_if_asked);
    TAP_RUN(a_record_expires_by_its_own_time);
    TAP_RUN(a_cluster_that_is_not_there_is_waited_for_and_told);
    TAP_RUN(a_topic_that_brokers_refuse_is_told);
    TAP_RUN(threads_send_side_by_side);
    TAP_RUN(a_full_buffer_is_an_error_or_a_wait);
    TAP_RUN(the_number_of_records_can_be_limited);
    TAP_RUN(wrong_arguments_are_told);
    TAP_RUN(a_partitioner_of_ones_own_decides);
    TAP_RUN(no_thread_is_needed);
    TAP_RUN(reports_can_be_forwarded);
    TAP_RUN(a_deadline_of_close_is_kept);
    TAP_RUN(closing_beside_senders_is_safe);
    TAP_RUN(purging_fails_what_waits);
    TAP_RUN(only_failures_are_reported_if_asked);
    inner_stop(broker);
    return tap_done();
}
