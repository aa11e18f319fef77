/* SPDX-License-Identifier: BSD-2-Clause */
/* Who writes and reads the sockets: a client with an I/O thread on a broker in the same process. Built with TSan by
   tests/stages/40-tsan.sh. */
#include "config.h"

#include "ferry/ferry.h"
#include "tests/lib/inner.h"
#include "tests/lib/tap.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct inner *broker;
static struct ferry_error err;

enum { PATIENCE_MS = 20000, ROUNDS = 50 };

static struct ferry_producer *make(const char *settings)
{
    struct ferry_config *c = ferry_config_new();
    struct ferry_producer *p = NULL;
    if (!ferry_config_set(c, "bootstrap.servers", inner_address(broker), &err) &&
        !ferry_config_load_text(c, settings, strlen(settings), &err))
        p = ferry_producer_new(c, FERRY_REPORTS, &err);
    ferry_config_free(c);
    if (!p)
        fprintf(stderr, "# %s\n", err.text);
    return p;
}

/* One record there and its report back. */
static bool round_trip(struct ferry_producer *p, struct ferry_topic *t)
{
    if (ferry_send(t, 0, NULL, 0, "x", 1, 0, FERRY_SEND_WAIT))
        return false;
    struct ferry_report *r = ferry_producer_poll(p, PATIENCE_MS);
    struct ferry_report_info info;
    if (!r)
        return false;
    ferry_report_info(r, &info);
    ferry_report_release(r);
    return info.error == 0;
}

/* On a connection with nothing unsent the sender itself has written the request when ferry_send returns; the I/O thread
   is not woken for it. */
static void a_sender_writes_the_socket_itself(void)
{
    struct ferry_producer *p = make("linger.ms=0\n");
    CHECK(p);
    struct ferry_handle *h = ferry_producer_handle(p);
    struct ferry_topic *t = ferry_producer_topic(p, "direct", &err);
    CHECK(t);
    for (int i = 0; i < 5; i++)
        CHECK(round_trip(p, t)); /* connected, and the producer has its id */
    int written = 0, quiet = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct ferry_counters before, after;
        CHECK_INT(ferry_handle_counters(h, &before, sizeof before), 0);
        CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
        CHECK_INT(ferry_handle_counters(h, &after, sizeof after), 0);
        written +=
            after.requests == before.requests + 1 && after.send_calls == before.send_calls + 1;
        quiet += after.wakes == before.wakes;
        struct ferry_report *r = ferry_producer_poll(p, PATIENCE_MS);
        CHECK(r);
        ferry_report_release(r);
    }
    printf("# %d of %d written by the sender, %d without waking anybody\n", written, ROUNDS, quiet);
    CHECK(written >= ROUNDS * 9 / 10); /* the I/O thread may just be there by itself */
    CHECK(quiet >= ROUNDS * 9 / 10);
    CHECK_INT(ferry_producer_close(p, PATIENCE_MS, &err), 0);
    ferry_producer_free(p);
}

/* A thread that waits for its report reads the socket itself: it takes no wake of one thread by another. */
static void a_waiting_thread_reads_the_socket_itself(void)
{
    struct ferry_producer *p = make("linger.ms=0\n");
    CHECK(p);
    struct ferry_handle *h = ferry_producer_handle(p);
    struct ferry_topic *t = ferry_producer_topic(p, "direct", &err);
    CHECK(t);
    for (int i = 0; i < 5; i++)
        CHECK(round_trip(p, t));
    struct ferry_counters before, after;
    CHECK_INT(ferry_handle_counters(h, &before, sizeof before), 0);
    for (int i = 0; i < ROUNDS; i++)
        CHECK(round_trip(p, t));
    CHECK_INT(ferry_handle_counters(h, &after, sizeof after), 0);
    printf("# %d wakes in %d round trips\n", (int)(after.wakes - before.wakes), ROUNDS);
    CHECK(after.replies - before.replies >= ROUNDS);
    CHECK(after.wakes - before.wakes <= ROUNDS / 5);
    CHECK_INT(ferry_producer_close(p, PATIENCE_MS, &err), 0);
    ferry_producer_free(p);
}

static int tasks(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void a_client_has_one_thread_or_none(void)
{
    int before = tasks();
    for (int thread = 0; thread < 2; thread++) {
        struct ferry_producer *p =
            make(thread ? "linger.ms=0\n" : "linger.ms=0\nferry.io.thread=false\n");
        CHECK(p);
        struct ferry_topic *t = ferry_producer_topic(p, "direct", &err);
        CHECK(t && ferry_topic_wait(t, PATIENCE_MS, &err) > 0);
        for (int i = 0; i < 5; i++) {
            CHECK_INT(ferry_send(t, 0, NULL, 0, "x", 1, 0, 0), 0);
            struct ferry_report *r = ferry_producer_poll(p, PATIENCE_MS);
            CHECK(r);
            ferry_report_release(r);
        }
        CHECK_INT(tasks(), before + thread);
        CHECK_INT(ferry_producer_close(p, PATIENCE_MS, &err), 0);
        ferry_producer_free(p);
    }
    CHECK_INT(tasks(), before);
}

int main(void)
{
    broker = inner_start(NULL);
    if (!broker)
        return 1;
    TAP_RUN(a_sender_writes_the_socket_itself);
    TAP_RUN(a_waiting_thread_reads_the_socket_itself);
    TAP_RUN(a_client_has_one_thread_or_none);
    inner_stop(broker);
    return tap_done();
}
