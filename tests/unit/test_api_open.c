/* SPDX-License-Identifier: BSD-2-Clause */
/* A client's handle from its configuration to its end. Built with TSan by tests/stages/40-tsan.sh. */
#include "config.h"

#include "api/handle.h"
#include "drive/clock.h"
#include "ferry/config.h"
#include "tests/lib/tap.h"

#include <dirent.h>

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

int main(void)
{
    TAP_RUN(handles_open_and_close);
    TAP_RUN(a_null_configuration_is_the_defaults);
    return tap_done();
}
