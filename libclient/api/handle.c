/* SPDX-License-Identifier: BSD-2-Clause */
/* A handle's life: parts made and taken down in order. */
#include "config.h"

#include "api/handle.h"

#include "base/check.h"
#include "base/err.h"

#include <string.h>

/* Statistics that nobody takes: so many of the newest are kept. */
enum { STATISTICS_MAX = 16 };

static bool is_statistics(const struct ferry_delivery *d, void *count)
{
    if (d->type == FERRY_DELIVERY_STATISTICS)
        ++*(int *)count;
    return false;
}

static bool is_too_old(const struct ferry_delivery *d, void *surplus)
{
    return d->type == FERRY_DELIVERY_STATISTICS && --*(int *)surplus >= 0;
}

static void make_room(struct ferry_queue *q)
{
    int count = 1 - STATISTICS_MAX;
    ferry_queue_purge(q, is_statistics, &count);
    if (count > 0)
        ferry_queue_purge(q, is_too_old, &count);
}

static void deliver(void *cookie, void *delivery)
{
    struct ferry_handle *h = cookie;
    struct ferry_delivery *d = delivery;
    if (d->type == FERRY_DELIVERY_STATISTICS)
        make_room(h->queue);
    ferry_queue_push(d->queue ? d->queue : h->queue, d);
}

int ferry_handle_start(struct ferry_handle *h, struct ferry_engine *engine,
                       const struct ferry_handle_config *config, struct ferry_error *err)
{
    h->engine = engine;
    if (config->hooks) {
        size_t known = config->hooks->size;
        memcpy(&h->hooks, config->hooks, known < sizeof h->hooks ? known : sizeof h->hooks);
        h->hooks.size = sizeof h->hooks;
    }
    ferry_seat_init(h);
    struct ferry_loop_config loop = {.deliver = deliver,
                                     .cookie = h,
                                     .root_fd = -1,
                                     .pool_threads = config->pool_threads,
                                     .hooks = &h->hooks,
                                     .send_buffer_bytes = config->send_buffer_bytes,
                                     .receive_buffer_bytes = config->receive_buffer_bytes};
    int rc = ferry_loop_create(&h->loop, engine, &loop, err);
    if (!rc && !(h->queue = ferry_queue_create(h)))
        rc = ferry_fail(err, FERRY_E_NOMEM, "no memory for an event queue");
    if (!rc && config->io_thread)
        rc = ferry_seat_start_thread(h, err);
    if (rc) {
        ferry_handle_stop(h);
        ferry_handle_fini(h);
    }
    return rc;
}

void ferry_handle_stop(struct ferry_handle *h)
{
    ferry_seat_stop_thread(h);
    FERRY_CHECK(!atomic_load(&h->waiting));
    ferry_loop_destroy(h->loop);
    h->loop = NULL;
}

void ferry_handle_fini(struct ferry_handle *h)
{
    struct ferry_link *n;
    while ((n = ferry_list_pop_front(&h->calls)))
        FERRY_CONTAINER(n, struct ferry_deferred, link)
            ->forget(FERRY_CONTAINER(n, struct ferry_deferred, link));
    if (h->queue)
        ferry_queue_close(h->queue);
    ferry_queue_unref(h->queue);
    h->queue = NULL;
    pthread_mutex_destroy(&h->lock);
}
