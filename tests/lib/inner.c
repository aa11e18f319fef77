/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/lib/inner.h"

#include "drive/clock.h"
#include "drive/loop.h"
#include "refbroker/node.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct inner {
    struct broker_config config;
    struct broker_node *node;
    struct ferry_loop *loop;
    char dir[64], address[64];
    int root_fd;
    pthread_t thread;
    bool has_thread;
    atomic_bool ready, done, stop, frozen, is_frozen;
    atomic_uint_fast64_t batches, duplicates;
};

static void deliver(void *cookie, void *delivery)
{
    struct inner *b = cookie;
    const struct broker_notice *n = delivery;
    if (n->type == BROKER_READY) {
        snprintf(b->address, sizeof b->address, "127.0.0.1:%u", n->addr.port);
        atomic_store(&b->ready, true);
    } else {
        if (n->type == BROKER_FAILED)
            fprintf(stderr, "# inner broker: %s\n", n->text);
        atomic_store(&b->done, true);
    }
}

static void *serve(void *arg)
{
    struct inner *b = arg;
    bool stopping = false;
    while (!atomic_load(&b->done)) {
        struct broker_node_counts counts;
        struct broker_command stop = {BROKER_STOP};
        if (atomic_load(&b->stop) && !stopping) {
            stopping = true;
            if (ferry_loop_command(b->loop, &stop))
                break;
            continue;
        }
        atomic_store(&b->is_frozen, atomic_load(&b->frozen));
        if (atomic_load(&b->is_frozen)) {
            usleep(1000);
            continue;
        }
        if (ferry_loop_run(b->loop, FERRY_SECOND) < 0)
            break;
        broker_node_read_counts(b->node, &counts);
        atomic_store(&b->batches, counts.produced_batches);
        atomic_store(&b->duplicates, counts.duplicates);
    }
    atomic_store(&b->done, true);
    return NULL;
}

static bool prepare(struct inner *b, const char *const *settings)
{
    struct ferry_error err;
    if (broker_config_init(&b->config))
        return false;
    for (; settings && *settings; settings++) {
        char key[100];
        const char *eq = strchr(*settings, '=');
        snprintf(key, sizeof key, "%.*s", (int)(eq - *settings), *settings);
        if (broker_config_set(&b->config, key, eq + 1, &err)) {
            fprintf(stderr, "# inner broker: %s\n", err.text);
            return false;
        }
    }
    snprintf(b->dir, sizeof b->dir, "/tmp/ferry-inner-XXXXXX");
    if (!mkdtemp(b->dir))
        return false;
    b->root_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct broker_node_options o = {.config = &b->config,
                                    .seed = ferry_clock_seed(),
                                    .listen = {.family = FERRY_INET4, .ip = {127, 0, 0, 1}},
                                    .host = "127.0.0.1"};
    struct ferry_loop_config c = {
        .deliver = deliver, .cookie = b, .root_fd = b->root_fd, .pool_threads = 2};
    return b->root_fd >= 0 && !broker_node_new(&b->node, &o, &err) &&
           !ferry_loop_create(&b->loop, broker_node_engine(b->node), &c, &err) &&
           !pthread_create(&b->thread, NULL, serve, b);
}

struct inner *inner_start(const char *const *settings)
{
    struct inner *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->root_fd = -1;
    b->has_thread = prepare(b, settings);
    for (int i = 0; b->has_thread && i < 10000 && !atomic_load(&b->ready) && !atomic_load(&b->done);
         i++)
        usleep(1000);
    if (!atomic_load(&b->ready)) {
        inner_stop(b);
        return NULL;
    }
    return b;
}

const char *inner_address(const struct inner *b)
{
    return b->address;
}

uint64_t inner_batches(const struct inner *b)
{
    return atomic_load(&b->batches);
}

uint64_t inner_duplicates(const struct inner *b)
{
    return atomic_load(&b->duplicates);
}

void inner_freeze(struct inner *b, bool frozen)
{
    atomic_store(&b->frozen, frozen);
    ferry_loop_wake(b->loop);
    while (atomic_load(&b->is_frozen) != frozen && !atomic_load(&b->done))
        usleep(100);
}

void inner_stop(struct inner *b)
{
    char command[100];
    if (!b)
        return;
    if (b->has_thread) {
        atomic_store(&b->frozen, false);
        atomic_store(&b->stop, true);
        ferry_loop_wake(b->loop);
        pthread_join(b->thread, NULL);
    }
    ferry_loop_destroy(b->loop);
    broker_node_free(b->node);
    broker_config_free(&b->config);
    if (b->root_fd >= 0)
        close(b->root_fd);
    snprintf(command, sizeof command, "rm -rf %s", b->dir);
    if (!strncmp(b->dir, "/tmp/ferry-inner-", 17) && system(command))
        fprintf(stderr, "# inner broker: %s is left behind\n", b->dir);
    free(b);
}
