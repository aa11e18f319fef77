/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "drive/pool.h"

#include "base/check.h"
#include "base/mem.h"
#include "drive/clock.h"
#include "drive/thread.h"

/* Long enough that a broker's syncs keep their thread; an idle process soon has none. */
static const ferry_nsec idle_max = 10 * FERRY_SECOND;

enum place_state { PLACE_FREE, PLACE_RUNNING, PLACE_ENDED /* to be joined */ };

struct place {
    struct ferry_pool *pool;
    pthread_t thread;
    enum place_state state;
    struct ferry_job *job; /* under way */
    bool left;             /* behind, with its job: nobody joins it */
};

struct ferry_pool {
    struct place *places; /* one for each thread there may be */
    uint32_t limit;
    struct ferry_hooks hooks;
    void (*wake)(void *);
    void *cookie;
    uint64_t jobs;

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t more;  /* a job was added, or the end has come */
    struct ferry_link todo, finished;
    uint32_t threads, idle, queued;
    uint32_t left; /* places left behind; the last of them frees the pool if `freed` */
    bool stop, freed;
    _Atomic bool any_finished;
};

static void finish(struct ferry_pool *p, struct ferry_job *j)
{
    bool first = ferry_list_empty(&p->finished);
    ferry_list_push_back(&p->finished, &j->link);
    atomic_store(&p->any_finished, true);
    if (first)
        p->wake(p->cookie);
}

/* With the lock held. false: time to end. */
static bool wait_for_job(struct ferry_pool *p)
{
    ferry_nsec until = ferry_clock_now() + idle_max;
    struct timespec t = {.tv_sec = until / FERRY_SECOND, .tv_nsec = until % FERRY_SECOND};
    p->idle++;
    int rc = 0;
    while (ferry_list_empty(&p->todo) && !p->stop && !rc)
        rc = pthread_cond_timedwait(&p->more, &p->lock, &t);
    p->idle--;
    return !p->stop && !ferry_list_empty(&p->todo);
}

static void destroy(struct ferry_pool *p)
{
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    ferry_free(p->places);
    ferry_free(p);
}

/* With the lock held. The loop is gone, or going. */
static void end_left_behind(struct ferry_pool *p, struct ferry_job *j)
{
    pthread_mutex_unlock(&p->lock);
    j->abandon(j);
    pthread_mutex_lock(&p->lock);
    bool last = --p->left == 0 && p->freed;
    pthread_mutex_unlock(&p->lock);
    if (last)
        destroy(p);
    ferry_thread_end_quietly();
}

static void work(void *arg)
{
    struct place *place = arg;
    struct ferry_pool *p = place->pool;
    pthread_mutex_lock(&p->lock);
    while (wait_for_job(p)) {
        struct ferry_job *j =
            FERRY_CONTAINER(ferry_list_pop_front(&p->todo), struct ferry_job, link);
        p->queued--;
        place->job = j;
        pthread_mutex_unlock(&p->lock);
        j->run(j);
        pthread_mutex_lock(&p->lock);
        place->job = NULL;
        if (place->left) {
            end_left_behind(p, j);
            return;
        }
        finish(p, j);
    }
    p->threads--;
    place->state = PLACE_ENDED;
    pthread_mutex_unlock(&p->lock);
}

struct ferry_pool *ferry_pool_create(uint32_t threads, const struct ferry_hooks *hooks,
                                     void (*wake)(void *), void *cookie)
{
    struct ferry_pool *p = ferry_zalloc(sizeof *p);
    if (!p)
        return NULL;
    p->limit = threads;
    p->places = threads ? ferry_zalloc(threads * sizeof *p->places) : NULL;
    if (threads && !p->places) {
        ferry_free(p);
        return NULL;
    }
    if (hooks)
        p->hooks = *hooks;
    p->wake = wake;
    p->cookie = cookie;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->more, &monotonic);
    pthread_condattr_destroy(&monotonic);
    ferry_list_init(&p->todo);
    ferry_list_init(&p->finished);
    return p;
}

void ferry_pool_stop(struct ferry_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->more);
    for (uint32_t i = 0; i < p->limit; i++) {
        struct place *place = &p->places[i];
        bool began = place->state != PLACE_FREE;
        place->left = place->job && place->job->abandon;
        if (place->left) {
            p->left++;
            pthread_detach(place->thread);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        if (began)
            pthread_join(place->thread, NULL);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    struct ferry_link *n;
    while ((n = ferry_list_pop_front(&p->todo)))
        finish(p, FERRY_CONTAINER(n, struct ferry_job, link));
    p->limit = 0;
}

void ferry_pool_free(struct ferry_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->freed = true;
    bool last = p->left == 0;
    pthread_mutex_unlock(&p->lock);
    if (last)
        destroy(p);
}

/* With the lock held, which the thread that is joined does not take again. */
static bool add_thread(struct ferry_pool *p)
{
    struct place *place = p->places;
    while (place->state == PLACE_RUNNING)
        place++;
    if (place->state == PLACE_ENDED)
        pthread_join(place->thread, NULL);
    *place = (struct place){.pool = p, .state = PLACE_FREE};
    if (ferry_thread_start(&place->thread, "ferry:pool", &p->hooks, work, place))
        return false; /* no failure as long as there is another, or the caller's own */
    place->state = PLACE_RUNNING;
    p->threads++;
    return true;
}

void ferry_pool_submit(struct ferry_pool *p, struct ferry_job *j)
{
    pthread_mutex_lock(&p->lock);
    p->jobs++;
    bool wanting = p->queued + 1 > p->idle && p->threads < p->limit;
    if ((wanting && add_thread(p)) || p->threads > 0) {
        ferry_list_push_back(&p->todo, &j->link);
        p->queued++;
        pthread_cond_signal(&p->more);
        pthread_mutex_unlock(&p->lock);
        return;
    }
    pthread_mutex_unlock(&p->lock);
    j->run(j);
    pthread_mutex_lock(&p->lock);
    ferry_list_push_back(&p->finished, &j->link);
    atomic_store(&p->any_finished, true);
    pthread_mutex_unlock(&p->lock);
}

bool ferry_pool_threaded(const struct ferry_pool *p)
{
    return p->limit > 0;
}

bool ferry_pool_finished(const struct ferry_pool *p)
{
    return atomic_load_explicit(&p->any_finished, memory_order_acquire);
}

struct ferry_job *ferry_pool_reap(struct ferry_pool *p)
{
    if (!ferry_pool_finished(p))
        return NULL;
    pthread_mutex_lock(&p->lock);
    struct ferry_link *n = ferry_list_pop_front(&p->finished);
    if (ferry_list_empty(&p->finished))
        atomic_store(&p->any_finished, false);
    pthread_mutex_unlock(&p->lock);
    return n ? FERRY_CONTAINER(n, struct ferry_job, link) : NULL;
}

uint64_t ferry_pool_jobs(const struct ferry_pool *p)
{
    return p->jobs;
}
