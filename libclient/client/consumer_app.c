/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The application's half: reading what was fetched, and what counts as processed.
 *
 * Invariants:
 *  1. A buffer is in exactly one of ready, stuck, spent or the application's hands (handed), and from its first record on
 *     in its partition's outstanding, until it is released.
 *  2. stored = the end of the leading released buffers of outstanding, and of the part of the next that is processed.
 *  3. Buffers of one partition are read in the order in which they came: while one is stuck the later ones join it.
 */
#include "config.h"

#include "client/consumer_app.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/fetcher_buffer.h"

void ferry_consumer_app_nudge(struct ferry_consumer_app *app)
{
    struct ferry_consumer_nudge *n;
    if (atomic_load_explicit(&app->shared->attention, memory_order_relaxed) == 0)
        return;
    uint32_t attention = atomic_exchange(&app->shared->attention, 0);
    if (attention == 0)
        return;
    if (!(n = ferry_zalloc(sizeof *n))) { /* the next one will be told */
        atomic_fetch_or(&app->shared->attention, attention);
        return;
    }
    n->command.run = ferry_consumer_nudge_run;
    n->core = app->core;
    app->host->post(app->cookie, &n->command);
}

bool ferry_consumer_app_fresh(const struct ferry_fetched *f)
{
    return atomic_load_explicit(&f->epoch, memory_order_relaxed) ==
           atomic_load_explicit(&f->part->epoch, memory_order_acquire);
}

/* ---- what is processed ---- */

static void advance_stored(struct ferry_consumer_app *app, struct ferry_consumer_part *part)
{
    int64_t stored = FERRY_OFFSET_NONE;
    int32_t leader_epoch = -1;
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &part->outstanding)
    {
        struct ferry_fetched *f = FERRY_CONTAINER(it, struct ferry_fetched, app_link);
        bool released = f->released;
        if (ferry_consumer_app_fresh(f) && f->processed > f->from) {
            stored = f->processed;
            leader_epoch = f->next_leader_epoch;
        }
        if (!released && f->processed < f->upto)
            break;
        if (released) {
            ferry_list_remove(&f->app_link);
            ferry_fetcher_buffer_unref(f);
        }
    }
    if (stored != FERRY_OFFSET_NONE && app->auto_store) {
        atomic_store(&part->stored_leader_epoch, leader_epoch);
        atomic_store(&part->stored, stored);
    }
}

/* All of it is processed, or it does not count any more. Gives up the app half's reference, once all before it in its
   partition is processed too; until then only its memory. */
static void let_go(struct ferry_consumer_app *app, struct ferry_fetched *f)
{
    struct ferry_consumer_part *part = f->part;
    ferry_list_remove(&f->spent_link);
    f->released = true;
    if (!ferry_link_linked(&f->app_link)) {
        ferry_fetcher_buffer_unref(f);
        return;
    }
    ferry_fetcher_buffer_empty(f);
    ferry_consumer_part_ref(part);
    advance_stored(app, part);
    ferry_consumer_part_unref(part);
}

void ferry_consumer_app_forget(struct ferry_consumer_part *part)
{
    struct ferry_link *it;
    while ((it = ferry_list_pop_front(&part->outstanding))) {
        struct ferry_fetched *f = FERRY_CONTAINER(it, struct ferry_fetched, app_link);
        if (f->released)
            ferry_fetcher_buffer_unref(f);
    }
}

void ferry_consumer_app_processed(struct ferry_consumer_app *app)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &app->spent)
    {
        struct ferry_fetched *f = FERRY_CONTAINER(it, struct ferry_fetched, spent_link);
        f->processed = f->next;
        advance_stored(app, f->part);
    }
}

void ferry_consumer_app_begin(struct ferry_consumer_app *app)
{
    struct ferry_link *it;
    atomic_fetch_add(&app->shared->polls, 1);
    atomic_fetch_add(&app->shared->in_polls, 1);
    while ((it = ferry_list_pop_front(&app->spent))) {
        struct ferry_fetched *f = FERRY_CONTAINER(it, struct ferry_fetched, spent_link);
        f->processed = f->next;
        if (f->used_up) {
            let_go(app, f);
        } else {
            advance_stored(app, f->part);
            ferry_fetcher_buffer_trim(f);
        }
    }
    while ((it = ferry_list_pop_front(&app->told))) {
        struct ferry_delivery *d = FERRY_CONTAINER(it, struct ferry_delivery, link);
        d->drop(d);
    }
    ferry_consumer_app_nudge(app);
}

void ferry_consumer_app_end(struct ferry_consumer_app *app)
{
    atomic_fetch_sub(&app->shared->in_polls, 1);
}

/* ---- receiving ---- */

struct ferry_delivery *ferry_consumer_app_receive(struct ferry_consumer_app *app,
                                                  struct ferry_delivery *d)
{
    switch (d->type) {
    case FERRY_CONSUMER_FETCHED:
    case FERRY_CONSUMER_NOTE:
        ferry_list_push_back(&app->ready, &d->link);
        return NULL;
    case FERRY_CONSUMER_QUESTION:
        FERRY_CONTAINER(d, struct ferry_rebalance, delivery)->consumer = app->consumer;
        return d;
    default:
        return d;
    }
}

static struct ferry_fetched *fetched_of(struct ferry_link *it)
{
    struct ferry_delivery *d = FERRY_CONTAINER(it, struct ferry_delivery, link);
    return d->type == FERRY_CONSUMER_FETCHED ? FERRY_CONTAINER(d, struct ferry_fetched, delivery)
                                             : NULL;
}

/* A buffer leaves `ready` for the application: its bytes are not queued any more. */
static void begin_buffer(struct ferry_consumer_app *app, struct ferry_fetched *f)
{
    if (f->taken)
        return;
    f->taken = true;
    f->processed = f->from;
    f->consumer = app->consumer;
    atomic_fetch_sub(&f->part->queued, (int64_t)f->bytes.len);
    ferry_list_push_back(&f->part->outstanding, &f->app_link);
}

/* Drops a buffer that is in ready or stuck and does not count any more. */
static void drop_stale(struct ferry_consumer_app *app, struct ferry_fetched *f)
{
    ferry_list_remove(&f->delivery.link);
    if (!f->taken)
        atomic_fetch_sub(&f->part->queued, (int64_t)f->bytes.len);
    f->used_up = true;
    if (!ferry_link_linked(
            &f->spent_link)) /* else let go with the next begin: its records may be looked at */
        let_go(app, f);
}

/* Takes up what is not stuck any more, in order and in front of everything else. */
static void unstick(struct ferry_consumer_app *app)
{
    struct ferry_link *it, *tmp, *at = &app->ready;
    FERRY_LIST_EACH(it, tmp, &app->stuck)
    {
        struct ferry_fetched *f = fetched_of(it), *first = NULL;
        for (struct ferry_link *k = app->stuck.next; k != it && !first; k = k->next)
            if (fetched_of(k)->part == f->part)
                first = fetched_of(k); /* an earlier one of the partition stays stuck */
        if (!ferry_consumer_app_fresh(f)) {
            drop_stale(app, f);
        } else if (!f->stuck && !first) {
            ferry_list_remove(it);
            ferry_list_insert_after(at, it);
            at = it;
        }
    }
}

static bool behind_stuck(struct ferry_consumer_app *app, const struct ferry_fetched *f)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &app->stuck)
    if (fetched_of(it)->part == f->part)
        return true;
    return false;
}

/* The first of ready that counts, stale ones dropped and those behind a stuck one put aside; NULL if there is none. */
static struct ferry_delivery *front(struct ferry_consumer_app *app)
{
    if (!ferry_list_empty(&app->stuck))
        unstick(app);
    while (!ferry_list_empty(&app->ready)) {
        struct ferry_delivery *d = FERRY_CONTAINER(app->ready.next, struct ferry_delivery, link);
        struct ferry_fetched *f = fetched_of(&d->link);
        if (f) {
            if (!ferry_consumer_app_fresh(f)) {
                drop_stale(app, f);
                continue;
            }
            if (!ferry_list_empty(&app->stuck) && behind_stuck(app, f)) {
                ferry_list_remove(&d->link);
                ferry_list_push_back(&app->stuck, &d->link);
                continue;
            }
            return d;
        }
        struct ferry_consumer_note *n = FERRY_CONTAINER(d, struct ferry_consumer_note, delivery);
        if (!n->part || n->epoch == atomic_load(&n->part->epoch))
            return d;
        ferry_list_remove(&d->link);
        d->drop(d);
    }
    return NULL;
}

/* ---- reading ---- */

void ferry_consumer_app_note(const struct ferry_consumer_note *n, struct ferry_message *out)
{
    *out = (struct ferry_message){.offset = n->offset,
                                  .timestamp = -1,
                                  .value = (const uint8_t *)n->text,
                                  .value_len = (int32_t)strlen(n->text),
                                  .key_len = -1,
                                  .topic = n->part ? n->part->topic.data : NULL,
                                  .partition = n->part ? n->part->partition : -1,
                                  .error = n->code,
                                  .leader_epoch = -1};
}

static void note_message(struct ferry_consumer_app *app, struct ferry_consumer_note *n,
                         struct ferry_message *out)
{
    ferry_list_remove(&n->delivery.link);
    ferry_list_push_back(&app->told, &n->delivery.link);
    ferry_consumer_app_note(n, out);
}

/* The buffer cannot be read further: told once, then it waits for a skip or a seek. */
static int32_t stick(struct ferry_consumer_app *app, struct ferry_fetched *f,
                     const struct ferry_error *err, struct ferry_message *out)
{
    struct ferry_consumer_note *n = ferry_consumer_note_new(f->part, err->code, err->text);
    if (!n)
        return 0; /* told by the next poll */
    n->offset = f->next;
    f->stuck = true;
    ferry_list_remove(&f->delivery.link);
    ferry_list_push_back(&app->stuck, &f->delivery.link);
    note_message(app, n, out);
    out->buffer = f;
    return 1;
}

/* Records of the buffer in front. 0 with it gone or stuck: look at the next. */
static int32_t read_front(struct ferry_consumer_app *app, struct ferry_fetched *f,
                          struct ferry_message *out, int32_t max, bool *again)
{
    struct ferry_error err;
    begin_buffer(app, f);
    err.code = 0;
    int32_t n = ferry_fetcher_buffer_next(f, out, max, &err);
    *again = true;
    if (!ferry_link_linked(&f->spent_link))
        ferry_list_push_back(&app->spent, &f->spent_link);
    if (n < 0) {
        n = stick(app, f, &err, out);
        *again = n > 0;
        return n;
    }
    atomic_store_explicit(&f->part->position, f->next, memory_order_release);
    if (n < max) { /* used up, or an error stands behind it */
        f->used_up = f->ended && !f->in_batch;
        if (f->used_up)
            ferry_list_remove(&f->delivery.link);
    }
    return n;
}

int32_t ferry_consumer_app_take(struct ferry_consumer_app *app, struct ferry_message *out,
                                int32_t max)
{
    struct ferry_delivery *d;
    int32_t n = 0;
    bool again = true;
    while (n < max && again && (d = front(app))) {
        struct ferry_fetched *f = fetched_of(&d->link);
        if (f)
            n += read_front(app, f, out + n, max - n, &again);
        else
            note_message(app, FERRY_CONTAINER(d, struct ferry_consumer_note, delivery), &out[n++]);
    }
    ferry_consumer_app_nudge(app);
    return n;
}

static struct ferry_fetched *hand_out(struct ferry_consumer_app *app, struct ferry_fetched *f)
{
    begin_buffer(app, f);
    ferry_list_remove(&f->spent_link);
    f->handed = true;
    atomic_store(&f->users, 1);
    atomic_store(&f->part->position, f->upto);
    ferry_consumer_app_nudge(app);
    return f;
}

struct ferry_fetched *ferry_consumer_app_fetch(struct ferry_consumer_app *app,
                                               struct ferry_consumer_note **note)
{
    struct ferry_delivery *d = front(app);
    struct ferry_fetched *f = d ? fetched_of(&d->link) : NULL;
    *note = NULL;
    if (!d)
        return NULL;
    ferry_list_remove(&d->link);
    if (!f) {
        *note = FERRY_CONTAINER(d, struct ferry_consumer_note, delivery);
        return NULL;
    }
    return hand_out(app, f);
}

struct ferry_fetched *ferry_consumer_app_accept(struct ferry_consumer_app *app,
                                                struct ferry_fetched *f)
{
    if (ferry_consumer_app_fresh(f))
        return hand_out(app, f);
    drop_stale(app, f);
    return NULL;
}

void ferry_consumer_app_release(struct ferry_consumer_app *app, struct ferry_fetched *f)
{
    f->processed = f->upto;
    let_go(app, f);
    ferry_consumer_app_nudge(app);
}

/* ---- life ---- */

struct ferry_consumer_app *ferry_consumer_app_new(const struct ferry_settings *settings,
                                                  const struct ferry_consumer_host *host,
                                                  void *cookie, struct ferry_error *err)
{
    struct ferry_consumer_app *app = ferry_zalloc(sizeof *app);
    struct ferry_consumer_attach *attach = ferry_zalloc(sizeof *attach);
    if (app) {
        app->shared = ferry_consumer_shared_new();
        app->core = app->shared ? ferry_consumer_core_new(app->shared) : NULL;
        app->topics = ferry_partition_list_new();
        ferry_list_init(&app->ready);
        ferry_list_init(&app->stuck);
        ferry_list_init(&app->spent);
        ferry_list_init(&app->told);
    }
    if (!app || !attach || !app->core || !app->topics) {
        if (app)
            ferry_consumer_app_free(app);
        ferry_free(attach);
        ferry_fail(err, FERRY_E_NOMEM, "no memory for a consumer");
        return NULL;
    }
    app->host = host;
    app->cookie = cookie;
    app->auto_store = settings->auto_offset_store;
    app->has_group = settings->group_id != NULL;
    attach->command.run = ferry_consumer_attach_run;
    attach->core = app->core;
    host->post(cookie, &attach->command);
    return app;
}

static void drop_all(struct ferry_link *list)
{
    struct ferry_link *it;
    while ((it = ferry_list_pop_front(list))) {
        struct ferry_delivery *d = FERRY_CONTAINER(it, struct ferry_delivery, link);
        d->drop(d);
    }
}

void ferry_consumer_app_free(struct ferry_consumer_app *app)
{
    struct ferry_link *it, *tmp;
    size_t at = 0;
    if (!app)
        return;
    FERRY_LIST_EACH(it, tmp, &app->spent)
    {
        struct ferry_fetched *f = FERRY_CONTAINER(it, struct ferry_fetched, spent_link);
        ferry_list_remove(it);
        ferry_list_remove(&f->app_link);
        if (!ferry_link_linked(&f->delivery.link))
            ferry_fetcher_buffer_unref(f);
    }
    for (struct ferry_map_entry *e; (e = ferry_map_next(&app->parts, &at));) {
        struct ferry_consumer_part *part = e->value;
        ferry_consumer_app_forget(part);
        ferry_consumer_part_unref(part);
    }
    drop_all(&app->ready);
    drop_all(&app->stuck);
    drop_all(&app->told);
    ferry_map_free(&app->parts);
    ferry_partition_list_free(app->topics);
    ferry_consumer_core_free(app->core);
    ferry_consumer_shared_unref(app->shared);
    ferry_free(app);
}
