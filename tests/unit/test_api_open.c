/* SPDX-License-Identifier: BSD-2-Clause */
/* A client's handle from its configuration to its end. Built with TSan by tests/stages/40-tsan.sh. */
#include "config.h"

#include "api/handle.h"
#include "base/mem.h"
#include "client/settings.h"
#include "drive/clock.h"
#include "ferry/config.h"
#include "tests/lib/tap.h"

#include <dirent.h>
#include <stdio.h>

enum { PATIENCE_MS = 20000 };

static int count_entries(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static void handles_open_and_close(void)
{
    struct ferry_error err;
    /* Once before counting: a sanitizer starts a thread of its own with the first one. */
    CHECK_INT(ferry_handle_close(ferry_handle_open(NULL, NULL, NULL), 0), 0);
    int before = count_entries("/proc/self/fd"), threads = count_entries("/proc/self/task");
    for (int i = 0; i < 20; i++) {
        struct ferry_config *config = ferry_config_new();
        if (i % 2)
            CHECK_INT(ferry_config_set(config, "bootstrap.servers", "127.0.0.1:1", &err), 0);
        if (i % 4 < 2)
            CHECK_INT(ferry_config_set(config, "ferry.io.thread", "false", &err), 0);
        struct ferry_handle *h = ferry_handle_open(config, NULL, &err);
        ferry_config_free(config);
        CHECK(h);
        CHECK(h->has_thread == (i % 4 >= 2));
        CHECK_INT(ferry_handle_close(h, ferry_deadline_ms(PATIENCE_MS)), 0);
    }
    CHECK_INT(count_entries("/proc/self/fd"), before);
    CHECK_INT(count_entries("/proc/self/task"), threads);
}

static void a_null_configuration_is_the_defaults(void)
{
    struct ferry_handle *h = ferry_handle_open(NULL, NULL, NULL);
    CHECK(h);
    ferry_callback_begin();
    CHECK_INT(ferry_handle_close(h, FERRY_NEVER), FERRY_E_STATE);
    ferry_callback_end();
    CHECK_INT(ferry_handle_close(h, ferry_deadline_ms(PATIENCE_MS)), 0);
}

/* -- What a client says and counts ------------------------------------------------------------ */

static struct ferry_handle *unreachable(bool thread)
{
    struct ferry_error err;
    struct ferry_config *config = ferry_config_new();
    ferry_config_set(config, "bootstrap.servers", "127.0.0.1:1", &err);
    ferry_config_set(config, "client.id", "tester", &err);
    ferry_config_set(config, "ferry.debug", "all", &err);
    ferry_config_set(config, "ferry.io.thread", thread ? "true" : "false", &err);
    struct ferry_handle *h = ferry_handle_open(config, NULL, &err);
    ferry_config_free(config);
    return h;
}

static void run_log(struct ferry_client *client, struct ferry_command *command)
{
    ferry_client_log(client, FERRY_LOG_WARNING, FERRY_DEBUG_BROKER, "number %d", 7);
    ferry_client_error(client, FERRY_E_ALL_BROKERS_DOWN, 0, "nobody is there");
    ferry_free(command);
}

static void say_something(struct ferry_handle *h)
{
    struct ferry_command *c = ferry_zalloc(sizeof *c);
    c->run = run_log;
    ferry_handle_post(h, c);
}

struct heard {
    _Atomic int lines, right, in_callback;
    int fd;
};

static void on_line(void *cookie, const struct ferry_log_line *line)
{
    struct heard *x = cookie;
    if (!strcmp(line->text, "number 7"))
        x->right += !strcmp(line->context, "broker") && !strcmp(line->client, "tester") &&
                    line->level == FERRY_LOG_WARNING && line->time_ms > 0;
    x->in_callback += ferry_in_callback();
    x->lines++;
}

static bool heard_two(void *cookie)
{
    return atomic_load(&((struct heard *)cookie)->lines) >= 2;
}

static void lines_and_errors_arrive(void)
{
    for (int thread = 0; thread < 2; thread++) {
        struct ferry_handle *h = unreachable(thread);
        struct heard x = {0};
        struct ferry_error err;
        ferry_log_call(h, on_line, &x);
        say_something(h);
        CHECK_INT(ferry_handle_wait(h, NULL, heard_two, &x, ferry_deadline_ms(PATIENCE_MS)), 0);
        CHECK_INT(x.right, 1);
        CHECK_INT(x.in_callback, x.lines);
        ferry_log_call(h, NULL, NULL);
        int before = x.lines;
        say_something(h);
        struct ferry_delivery *d = ferry_queue_poll(ferry_handle_queue(h), PATIENCE_MS, &err);
        CHECK(d && ferry_delivery_kind(d) == FERRY_DELIVERY_ERROR);
        CHECK_INT(ferry_delivery_error(d, &err), 0);
        CHECK_INT(err.code, FERRY_E_ALL_BROKERS_DOWN);
        CHECK_STR(err.text, "nobody is there");
        CHECK_INT(x.lines, before);
        /* A delivery may outlive its handle. */
        CHECK_INT(ferry_handle_fatal_error(h, NULL), 0);
        CHECK_INT(ferry_handle_close(h, ferry_deadline_ms(PATIENCE_MS)), 0);
        ferry_delivery_free(d);
    }
}

static void lines_go_to_a_queue_up_to_a_limit(void)
{
    struct ferry_handle *h = unreachable(false);
    struct ferry_queue *q = ferry_queue_new(h);
    struct ferry_log_line line;
    struct ferry_counters counters;
    ferry_log_queue(h, q);
    for (int i = 0; i < 6000; i++)
        say_something(h); /* two lines each: the warning and the error */
    struct ferry_delivery *d = ferry_queue_poll(q, 0, NULL);
    CHECK_INT(ferry_delivery_log(d, &line), 0);
    CHECK_STR(line.text, "number 7");
    CHECK_INT(ferry_delivery_error(d, NULL), FERRY_E_INVALID);
    ferry_delivery_free(d);
    CHECK_INT(ferry_handle_counters(h, &counters, sizeof counters), 0);
    CHECK(counters.log_lines >= 12000);
    CHECK_INT(counters.log_lines - counters.log_lines_dropped, 10000);
    ferry_log_queue(h, NULL);
    ferry_queue_free(q);
    CHECK_INT(ferry_handle_close(h, ferry_deadline_ms(PATIENCE_MS)), 0);
}

static void counters_are_told(void)
{
    struct ferry_handle *h = unreachable(false);
    struct ferry_counters counters;
    char json[2000], cut[10];
    say_something(h);
    CHECK_INT(ferry_handle_counters(h, &counters, sizeof counters), 0);
    CHECK(counters.steps >= 1);
    memset(&counters, 0xff, sizeof counters);
    CHECK_INT(ferry_handle_counters(h, &counters, 16), 0); /* an older program's struct */
    CHECK(counters.requests == 0 && counters.request_timeouts == UINT64_MAX);
    int len = ferry_handle_counters_json(h, json, sizeof json);
    CHECK_INT(len, strlen(json));
    CHECK(json[0] == '{' && json[len - 1] == '}' && strstr(json, "\"steps\":"));
    CHECK_INT(ferry_handle_counters_json(h, cut, sizeof cut), len);
    CHECK_INT(strlen(cut), 9);
    CHECK_INT(ferry_handle_counters_json(h, NULL, 0), len);
    CHECK(ferry_handle_fd(h) >= 0);
    CHECK(ferry_handle_timeout_ms(h) >= -1);
    CHECK(ferry_handle_step(h) >= 0);
    CHECK_INT(ferry_handle_close(h, ferry_deadline_ms(PATIENCE_MS)), 0);
}

int main(void)
{
    if (!freopen("/dev/null", "w", stderr)) /* handles log there until they are told otherwise */
        return 1;
    TAP_RUN(lines_and_errors_arrive);
    TAP_RUN(lines_go_to_a_queue_up_to_a_limit);
    TAP_RUN(counters_are_told);
    TAP_RUN(handles_open_and_close);
    TAP_RUN(a_null_configuration_is_the_defaults);
    return tap_done();
}
