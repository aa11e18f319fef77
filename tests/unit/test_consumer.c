/* SPDX-License-Identifier: BSD-2-Clause */
/* The public consumer without a broker: lists, wrong use, waits that end, closing. */
#include "config.h"

#include "base/mem.h"
#include "record/build.h"
#include "tests/lib/feed.h"
#include "tests/lib/tap.h"

#include <ferry/ferry.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct ferry_consumer *consumer(const char *settings)
{
    struct ferry_error err;
    struct ferry_config *config = ferry_config_new();
    ferry_config_load_text(config, settings, strlen(settings), NULL);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    if (!c)
        printf("# %s\n", err.text);
    ferry_config_free(config);
    return c;
}

static void lists_hold_what_was_put_in(void)
{
    struct ferry_topic_partition e;
    struct ferry_partition_list *list = ferry_partition_list_new();
    CHECK_INT(ferry_partition_list_add(list, "b", 2, 10), 0);
    CHECK_INT(ferry_partition_list_add(list, "a", 1, FERRY_OFFSET_NONE), 1);
    CHECK_INT(ferry_partition_list_add(list, "", 1, 0), FERRY_E_INVALID);
    CHECK_INT(ferry_partition_list_add(list, NULL, 1, 0), FERRY_E_INVALID);
    CHECK_INT(ferry_partition_list_set_metadata(list, 1, "x\0y", 3), 0);
    CHECK_INT(ferry_partition_list_set_offset(list, 1, 5, 7), 0);
    CHECK_INT(ferry_partition_list_get(list, 1, &e), 0);
    CHECK(e.offset == 5 && e.leader_epoch == 7 && e.metadata_len == 3 &&
          !memcmp(e.metadata, "x\0y", 3));
    struct ferry_partition_list *copy = ferry_consumer_list_copy(list);
    CHECK_INT(ferry_partition_list_remove(list, 0), 0);
    CHECK_INT(ferry_partition_list_find(list, "a", 1), 0);
    CHECK_INT(ferry_partition_list_find(list, "b", 2), FERRY_E_NOT_FOUND);
    CHECK_INT(ferry_partition_list_get(list, 1, &e), FERRY_E_INVALID);
    CHECK_INT(ferry_partition_list_count(copy), 2);
    CHECK_INT(ferry_partition_list_get(copy, 1, &e), 0);
    CHECK_INT(e.metadata_len, 3);
    ferry_partition_list_free(list);
    ferry_partition_list_free(copy);
}

static void headers_are_walked(void)
{
    uint8_t bytes[256];
    struct ferry_build_field fields[] = {{FERRY_STR("one"), {(const uint8_t *)"1", 1}},
                                         {FERRY_STR("null"), {NULL, 0}},
                                         {FERRY_STR(""), {(const uint8_t *)"", 0}}};
    struct ferry_build_record r = {.fields = fields, .field_count = 3};
    uint8_t *end = ferry_build_record(bytes, &r, 0, 0);
    /* length, attributes, two deltas, two lengths of -1, header count: seven bytes */
    struct ferry_message m = {
        .headers = bytes + 7, .headers_len = (int32_t)(end - bytes - 7), .header_count = 3};
    int32_t at = 0, name_len, value_len, n = 0;
    const char *name;
    const uint8_t *value;
    while (ferry_message_header(&m, &at, &name, &name_len, &value, &value_len) == 1) {
        CHECK(name_len == (int32_t)fields[n].key.len &&
              !memcmp(name, fields[n].key.data, (size_t)name_len));
        CHECK(n == 1 ? !value && value_len == -1 : value_len == (int32_t)fields[n].value.len);
        n++;
    }
    CHECK_INT(n, 3);
    m.headers_len--;
    at = 0;
    int rc;
    while ((rc = ferry_message_header(&m, &at, &name, &name_len, &value, &value_len)) == 1)
        ;
    CHECK_INT(rc, FERRY_E_PROTOCOL);
    m.headers_len = 0;
    at = 0;
    CHECK_INT(ferry_message_header(&m, &at, &name, &name_len, &value, &value_len), 0);
}

static void wrong_use_is_an_error_that_says_so(void)
{
    struct ferry_error err;
    struct ferry_message m;
    const char *topics[] = {"t"};
    CHECK(!consumer("group.id=g\nheartbeat.interval.ms=50000"));
    struct ferry_config *wrong = ferry_config_new();
    ferry_config_set(wrong, "partition.assignment.strategy", "range, fairest", NULL);
    CHECK(!ferry_consumer_new(wrong, &err) && err.code == FERRY_E_CONFIG);
    CHECK(strstr(err.text, "partition.assignment.strategy=range, fairest") &&
          strstr(err.text, "cooperative-sticky"));
    ferry_config_free(wrong);
    struct ferry_consumer *c = consumer("");
    CHECK(c != NULL);
    CHECK_INT(ferry_consumer_subscribe(c, topics, 1, &err), FERRY_E_STATE);
    CHECK(strstr(err.text, "group.id") != NULL);
    CHECK_INT(ferry_consumer_poll(c, &m, 0, 0, &err), FERRY_E_INVALID);
    struct ferry_partition_list *list = ferry_partition_list_new();
    ferry_partition_list_add(list, "t", 0, 5);
    CHECK_INT(ferry_consumer_seek(c, list, &err), FERRY_E_NOT_FOUND);
    CHECK_INT(ferry_consumer_pause(c, list), FERRY_E_NOT_FOUND);
    CHECK_INT(ferry_consumer_store(c, list, &err), FERRY_E_STATE);
    CHECK_INT(ferry_consumer_commit(c, list, 1000, &err), FERRY_E_STATE);
    CHECK_INT(ferry_consumer_committed(c, list, 1000, &err), FERRY_E_STATE);
    CHECK_INT(ferry_consumer_assign(c, list, &err), 0);
    CHECK_INT(ferry_consumer_assign_more(c, list, &err), FERRY_E_EXISTS);
    CHECK_INT(ferry_consumer_position(c, list), 0);
    CHECK_INT(ferry_consumer_lag(c, "t", 0), -1);
    CHECK_INT(ferry_consumer_assign(c, NULL, &err), 0);
    CHECK_INT(ferry_consumer_assign_fewer(c, list, &err), FERRY_E_NOT_FOUND);
    ferry_partition_list_free(list);
    CHECK_INT(ferry_consumer_close(c, 1000, &err), 0);
    CHECK_INT(ferry_consumer_poll(c, &m, 1, 0, &err), FERRY_E_CLOSED);
    CHECK_INT(ferry_consumer_close(c, 1000, &err), 0);
    ferry_consumer_free(c);
    ferry_consumer_free(NULL);
}

static void *wake_later(void *arg)
{
    ferry_consumer_wakeup(arg);
    return NULL;
}

static void waits_end(void)
{
    struct ferry_error err;
    struct ferry_message m;
    struct ferry_consumer *c = consumer("group.id=g");
    double begin = now();
    CHECK_INT(ferry_consumer_poll(c, &m, 1, 50, &err), 0);
    CHECK(now() - begin >= 0.049 && now() - begin < 5);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, wake_later, c), 0);
    CHECK_INT(ferry_consumer_poll(c, &m, 1, -1, &err), FERRY_E_INTERRUPTED);
    pthread_join(thread, NULL);
    begin = now();
    int64_t low, high;
    CHECK_INT(ferry_consumer_watermarks(c, "t", 0, &low, &high, 50, &err), FERRY_E_TIMED_OUT);
    CHECK(now() - begin < 5);
    ferry_consumer_free(c);
}

/* The broker's address answers nothing; closing is within its deadline all the same. */
static void closing_waits_for_nobody(void)
{
    struct ferry_error err;
    const char *topics[] = {"t"};
    for (int how = 0; how < 3; how++) {
        struct ferry_consumer *c = consumer("group.id=g\nbootstrap.servers=127.0.0.1:1");
        CHECK(c != NULL);
        CHECK_INT(ferry_consumer_subscribe(c, topics, 1, &err), 0);
        double begin = now();
        if (how < 2)
            ferry_consumer_close(c, how * 200, &err);
        CHECK(now() - begin < 3);
        ferry_consumer_free(c);
        CHECK(now() - begin < 3);
    }
}

struct poller {
    struct ferry_consumer *c;
    int32_t result;
};

static void *poll_forever(void *arg)
{
    struct poller *p = arg;
    struct ferry_message m;
    p->result = ferry_consumer_poll(p->c, &m, 1, -1, NULL);
    return NULL;
}

static void closing_sends_a_waiting_poll_away(void)
{
    struct poller p = {consumer("group.id=g"), 1};
    struct ferry_error err;
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, poll_forever, &p), 0);
    CHECK_INT(ferry_consumer_close(p.c, 1000, &err), 0);
    pthread_join(thread, NULL);
    CHECK(p.result < 0);
    ferry_consumer_free(p.c);
}

static void without_a_thread_it_is_the_same(void)
{
    struct ferry_error err;
    struct ferry_message m;
    struct ferry_consumer *c = consumer("ferry.io.thread=false\nbootstrap.servers=127.0.0.1:1");
    struct ferry_partition_list *list = ferry_partition_list_new();
    ferry_partition_list_add(list, "t", 0, 5);
    CHECK_INT(ferry_consumer_assign(c, list, &err), 0);
    ferry_partition_list_free(list);
    CHECK(ferry_consumer_poll(c, &m, 1, 20, &err) >= 0);
    CHECK(ferry_consumer_handle(c) != NULL);
    CHECK_INT(ferry_consumer_close(c, 1000, &err), 0);
    ferry_consumer_free(c);
}

/* Every allocation of a whole life fails once. */
static void lost_memory_is_survived(void)
{
    static struct feed f;
    int survived = 0;
    bool all = false;
    for (uint64_t n = 1; n < 5000 && !all; n += 1 + n / 50) {
        feed_init(&f, "group.id=g\nauto.offset.reset=earliest\nclient.rack=r", 2);
        f.lead = true;
        for (int i = 0; i < 3; i++)
            feed_append(&f, 0, i % 2, 5, i);
        ferry_mem_fail_after(n);
        feed_subscribe(&f, "t");
        feed_poll(&f);
        feed_pass(&f, 2 * FERRY_SECOND);
        feed_poll(&f);
        feed_call(&f, FERRY_CALL_COMMIT, NULL);
        feed_call(&f, FERRY_CALL_WATERMARKS, "t:0");
        feed_seek(&f, "t:0@1");
        feed_pass(&f, FERRY_SECOND);
        feed_poll(&f);
        all = ferry_mem_fail_left() > 0; /* there are not so many */
        ferry_mem_fail_after(0);
        if (!f.p.dead) { /* whatever was lost, it goes on */
            feed_call(&f, FERRY_CALL_CLOSE, NULL);
            feed_pass(&f, 61 * FERRY_SECOND);
            survived++;
        }
        feed_end(&f);
    }
    CHECK(all && survived > 20);
}

int main(void)
{
    TAP_RUN(lists_hold_what_was_put_in);
    TAP_RUN(headers_are_walked);
    TAP_RUN(wrong_use_is_an_error_that_says_so);
    TAP_RUN(waits_end);
    TAP_RUN(closing_waits_for_nobody);
    TAP_RUN(closing_sends_a_waiting_poll_away);
    TAP_RUN(without_a_thread_it_is_the_same);
    TAP_RUN(lost_memory_is_survived);
    return tap_done();
}
