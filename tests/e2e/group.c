/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A member of a group that writes down what it gets.
 *
 *   group ADDRESS TOPIC GROUP FILE [KEY=VALUE...]
 *
 * FILE gets a line "PARTITION OFFSET NUMBER" for each record, NUMBER being what its value begins with, before the next
 * poll: so no commit covers what is not written down. Rebalances are lines too: "+", "-" or "lost", and the
 * partitions. SIGTERM makes it leave the group; it ends with 0 if that went well.
 */
#include <ferry/ferry.h>

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { POLL_MAX = 200, LINE_MAX_BYTES = 80 };

static volatile sig_atomic_t stopped;
static struct ferry_error err;
static int file;
static char buffer[POLL_MAX * LINE_MAX_BYTES];
static size_t used;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(buffer + used, LINE_MAX_BYTES, format, args);
    va_end(args);
    used += (size_t)n;
}

static void write_down(void)
{
    if (used && write(file, buffer, used) != (ssize_t)used) {
        perror("group: write");
        exit(1);
    }
    used = 0;
}

static void on_rebalance(struct ferry_consumer *c, struct ferry_rebalance *r, void *opaque)
{
    static const char *const names[] = {"?", "+", "-", "lost"};
    struct ferry_partition_list *list = ferry_rebalance_list(r);
    struct ferry_topic_partition p;
    (void)c;
    (void)opaque;
    add("%s", names[ferry_rebalance_kind(r)]);
    for (int32_t i = 0; i < ferry_partition_list_count(list) && i < POLL_MAX / 2; i++)
        if (!ferry_partition_list_get(list, i, &p))
            add(" %d", p.partition);
    add("\n");
    write_down();
}

static int run(struct ferry_consumer *c)
{
    struct ferry_message m[POLL_MAX];
    while (!stopped) {
        int32_t n = ferry_consumer_poll(c, m, POLL_MAX, 100, &err);
        if (n < 0 && !stopped) {
            fprintf(stderr, "group: %s\n", err.text);
            return 1;
        }
        for (int32_t i = 0; i < n; i++) {
            if (m[i].error)
                fprintf(stderr, "group: error %d: %.*s\n", m[i].error, (int)m[i].value_len,
                        (const char *)m[i].value);
            else
                add("%d %lld %lld\n", m[i].partition, (long long)m[i].offset,
                    strtoll((const char *)m[i].value, NULL, 10));
        }
        write_down();
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct sigaction on_term = {.sa_handler = stop};
    struct ferry_config *config = ferry_config_new();
    if (argc < 5)
        return fprintf(stderr, "usage: group ADDRESS TOPIC GROUP FILE [KEY=VALUE...]\n"), 2;
    file = open(argv[4], O_WRONLY | O_CREAT | O_APPEND, 0666);
    ferry_config_set(config, "bootstrap.servers", argv[1], &err);
    ferry_config_set(config, "group.id", argv[3], &err);
    ferry_config_set(config, "auto.offset.reset", "earliest", &err);
    for (int i = 5; i < argc; i++)
        if (ferry_config_set_pair(config, argv[i], &err))
            return fprintf(stderr, "group: %s\n", err.text), 2;
    sigaction(SIGTERM, &on_term, NULL);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    ferry_config_free(config);
    const char *topics[] = {argv[2]};
    if (file < 0 || !c)
        return fprintf(stderr, "group: %s\n", err.text), 1;
    ferry_consumer_on_rebalance(c, on_rebalance, NULL);
    if (ferry_consumer_subscribe(c, topics, 1, &err))
        return fprintf(stderr, "group: %s\n", err.text), 1;
    int rc = run(c);
    if (ferry_consumer_close(c, 20000, &err)) {
        fprintf(stderr, "group: close: %s\n", err.text);
        rc = 1;
    }
    ferry_consumer_free(c);
    return rc;
}
