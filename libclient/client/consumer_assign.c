/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The application's half: the assignment and positions. Every change bumps epochs here, at once, and goes to the core as a
 * command, so that what was fetched before yields nothing from the moment on at which the call returns.
 */
#include "config.h"

#include "client/consumer_app.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/fetcher_buffer.h"

enum { KEY_MAX = 300 };

/* The map's key: the topic's name and the number. Names have at most 249 bytes; a longer one is nobody's. */
static size_t make_key(char *key, struct ferry_str topic, int32_t partition)
{
    if (topic.len > KEY_MAX - sizeof partition)
        return 0;
    memcpy(key, &partition, sizeof partition);
    memcpy(key + sizeof partition, topic.data, topic.len);
    return sizeof partition + topic.len;
}

struct ferry_consumer_part *ferry_consumer_app_find(struct ferry_consumer_app *app,
                                                    struct ferry_str topic, int32_t partition)
{
    char key[KEY_MAX];
    size_t len = make_key(key, topic, partition);
    return len ? ferry_map_get(&app->parts, key, len) : NULL;
}

static struct ferry_consumer_part *find_entry(struct ferry_consumer_app *app,
                                              const struct ferry_topic_partition *e)
{
    return ferry_consumer_app_find(app, ferry_str_of(e->topic), e->partition);
}

static void add_target(struct ferry_consumer_change *c, struct ferry_consumer_part *part,
                       int64_t offset, int32_t leader_epoch)
{
    c->targets[c->count++] = (struct ferry_consumer_target){
        ferry_consumer_part_ref(part), offset, leader_epoch, atomic_fetch_add(&part->epoch, 1) + 1};
}

static void post(struct ferry_consumer_app *app, struct ferry_consumer_change *c)
{
    app->host->post(app->cookie, &c->command);
}

static int no_memory(struct ferry_error *err)
{
    return ferry_fail(err, FERRY_E_NOMEM, "no memory to change the assignment");
}

/* ---- taking up and giving up ---- */

static int take_up(struct ferry_consumer_app *app, struct ferry_consumer_change *c,
                   const struct ferry_topic_partition *e)
{
    char key[KEY_MAX];
    struct ferry_str topic = ferry_str_of(e->topic);
    size_t len = make_key(key, topic, e->partition);
    if (len == 0 || e->partition < 0)
        return FERRY_E_INVALID;
    struct ferry_consumer_part *part = ferry_consumer_part_new(app->shared, topic, e->partition);
    if (!part)
        return FERRY_E_NOMEM;
    if (ferry_map_put(&app->parts, key, len, part, NULL)) {
        ferry_consumer_part_unref(part);
        return FERRY_E_NOMEM;
    }
    part->assigned = true;
    if (e->offset >= 0)
        atomic_store(&part->position, e->offset);
    add_target(c, part, e->offset, e->leader_epoch);
    return FERRY_OK;
}

static void give_up(struct ferry_consumer_app *app, struct ferry_consumer_change *c,
                    struct ferry_consumer_part *part)
{
    char key[KEY_MAX];
    size_t len = make_key(key, part->topic, part->partition);
    part->assigned = false;
    add_target(c, part, FERRY_OFFSET_NONE, -1);
    ferry_map_remove(&app->parts, key, len);
    ferry_consumer_app_forget(part);
    ferry_consumer_part_unref(part);
}

/* An assigned partition goes on elsewhere, as after a seek. */
static void move(struct ferry_consumer_change *c, struct ferry_consumer_part *part, int64_t offset,
                 int32_t leader_epoch)
{
    atomic_store(&part->position, offset >= 0 ? offset : FERRY_OFFSET_NONE);
    atomic_store(&part->stored, FERRY_OFFSET_NONE);
    add_target(c, part, offset, leader_epoch);
}

static size_t count_of(const struct ferry_partition_list *list)
{
    return list ? list->count : 0;
}

static int check_list(const struct ferry_partition_list *list, struct ferry_error *err)
{
    for (size_t i = 0; i < count_of(list); i++)
        if (list->items[i].partition < 0 || strlen(list->items[i].topic) > 249)
            return ferry_fail(err, FERRY_E_INVALID,
                              "%.249s [%d] is no partition: a topic's name has at most 249 bytes, "
                              "partitions count "
                              "from 0",
                              list->items[i].topic, (int)list->items[i].partition);
    return FERRY_OK;
}

/* The assignment becomes the list. Those that are in both stay as they are unless the list names an offset. */
static int assign_whole(struct ferry_consumer_app *app, const struct ferry_partition_list *list,
                        uint64_t answers, struct ferry_error *err)
{
    size_t at = 0;
    struct ferry_consumer_change *fewer =
        ferry_consumer_change_new(app->core, FERRY_CHANGE_UNASSIGN, app->parts.live);
    struct ferry_consumer_change *more =
        ferry_consumer_change_new(app->core, FERRY_CHANGE_ASSIGN, count_of(list));
    struct ferry_consumer_change *moved =
        ferry_consumer_change_new(app->core, FERRY_CHANGE_SEEK, count_of(list));
    int rc = fewer && more && moved ? check_list(list, err) : no_memory(err);
    if (rc) {
        ferry_consumer_change_free(fewer);
        ferry_consumer_change_free(more);
        ferry_consumer_change_free(moved);
        return rc;
    }
    fewer->then = moved;
    moved->then = more;
    fewer->answers = answers;
    for (struct ferry_map_entry *e; (e = ferry_map_next(&app->parts, &at));) {
        struct ferry_consumer_part *part = e->value;
        if (!ferry_consumer_list_has(list, part->topic, part->partition))
            give_up(app, fewer, part);
    }
    for (size_t i = 0; i < count_of(list); i++) {
        const struct ferry_topic_partition *e = &list->items[i];
        struct ferry_consumer_part *part = find_entry(app, e);
        if (!part)
            rc = take_up(app, more, e);
        else if (e->offset != FERRY_OFFSET_NONE)
            move(moved, part, e->offset, e->leader_epoch);
        if (rc) {
            no_memory(err);
            break;
        }
    }
    post(app, fewer);
    return rc;
}

int ferry_consumer_app_assign(struct ferry_consumer_app *app,
                              const struct ferry_partition_list *list, struct ferry_error *err)
{
    return assign_whole(app, list, 0, err);
}

/* lenient: what is there already is passed over, as an answer to the group may say anything. */
static int assign_more(struct ferry_consumer_app *app, const struct ferry_partition_list *list,
                       uint64_t answers, bool lenient, struct ferry_error *err)
{
    struct ferry_consumer_change *c;
    int rc = check_list(list, err);
    for (size_t i = 0; i < count_of(list) && !rc && !lenient; i++)
        if (find_entry(app, &list->items[i]))
            rc = ferry_fail(err, FERRY_E_EXISTS, "%s [%d] is assigned already",
                            list->items[i].topic, (int)list->items[i].partition);
    if (rc)
        return rc;
    if (!(c = ferry_consumer_change_new(app->core, FERRY_CHANGE_ASSIGN, count_of(list))))
        return no_memory(err);
    c->answers = answers;
    for (size_t i = 0; i < count_of(list) && !rc; i++)
        if (!find_entry(app, &list->items[i]) && (rc = take_up(app, c, &list->items[i])))
            no_memory(err);
    post(app, c);
    return rc;
}

int ferry_consumer_app_assign_more(struct ferry_consumer_app *app,
                                   const struct ferry_partition_list *list, struct ferry_error *err)
{
    return assign_more(app, list, 0, false, err);
}

static int assign_fewer(struct ferry_consumer_app *app, const struct ferry_partition_list *list,
                        uint64_t answers, bool lenient, struct ferry_error *err)
{
    struct ferry_consumer_change *c;
    for (size_t i = 0; i < count_of(list) && !lenient; i++)
        if (!find_entry(app, &list->items[i]))
            return ferry_fail(err, FERRY_E_NOT_FOUND, "%s [%d] is not assigned",
                              list->items[i].topic, (int)list->items[i].partition);
    if (!(c = ferry_consumer_change_new(app->core, FERRY_CHANGE_UNASSIGN, count_of(list))))
        return no_memory(err);
    c->answers = answers;
    for (size_t i = 0; i < count_of(list); i++) {
        struct ferry_consumer_part *part = find_entry(app, &list->items[i]);
        if (part)
            give_up(app, c, part);
    }
    post(app, c);
    return FERRY_OK;
}

int ferry_consumer_app_assign_fewer(struct ferry_consumer_app *app,
                                    const struct ferry_partition_list *list,
                                    struct ferry_error *err)
{
    return assign_fewer(app, list, 0, false, err);
}

int ferry_consumer_app_answer(struct ferry_consumer_app *app, struct ferry_rebalance *r,
                              const struct ferry_partition_list *list, struct ferry_error *err)
{
    bool gain = r->kind == FERRY_REBALANCE_ASSIGNED;
    int rc;
    if (r->incremental)
        rc = gain ? assign_more(app, list ? list : r->list, r->number, true, err)
                  : assign_fewer(app, list ? list : r->list, r->number, true, err);
    else
        rc = assign_whole(app, list || !gain ? list : r->list, r->number, err);
    ferry_consumer_question_free(r);
    return rc;
}

/* ---- positions ---- */

int ferry_consumer_app_seek(struct ferry_consumer_app *app, const struct ferry_partition_list *list,
                            struct ferry_error *err)
{
    struct ferry_consumer_change *c;
    for (size_t i = 0; i < count_of(list); i++)
        if (!find_entry(app, &list->items[i]))
            return ferry_fail(err, FERRY_E_NOT_FOUND,
                              "%s [%d] is not assigned: it cannot be sought", list->items[i].topic,
                              (int)list->items[i].partition);
    if (!(c = ferry_consumer_change_new(app->core, FERRY_CHANGE_SEEK, count_of(list))))
        return no_memory(err);
    for (size_t i = 0; i < count_of(list); i++)
        move(c, find_entry(app, &list->items[i]), list->items[i].offset,
             list->items[i].leader_epoch);
    post(app, c);
    return FERRY_OK;
}

/* What is queued is dropped, to be fetched again from the position. Buffers in the application's hands up to `last` (NULL:
   all) still count: what was read of them is before the position, and the one that poll is in the middle of ends there. */
static void restart(struct ferry_consumer_change *c, struct ferry_consumer_part *part,
                    const struct ferry_fetched *last)
{
    uint32_t before = atomic_load(&part->epoch);
    struct ferry_link *it, *tmp;
    add_target(c, part, ferry_consumer_part_position(part), -1);
    FERRY_LIST_EACH(it, tmp, &part->outstanding)
    {
        struct ferry_fetched *f = FERRY_CONTAINER(it, struct ferry_fetched, app_link);
        if (atomic_load(&f->epoch) != before)
            continue;
        atomic_store(&f->epoch, before + 1);
        if (!f->handed)
            ferry_fetcher_buffer_cut(f);
        if (f == last)
            break;
    }
}

int ferry_consumer_app_pause(struct ferry_consumer_app *app,
                             const struct ferry_partition_list *list, bool pause)
{
    struct ferry_consumer_change *c = ferry_consumer_change_new(
        app->core, pause ? FERRY_CHANGE_PAUSE : FERRY_CHANGE_RESUME, count_of(list));
    int rc = FERRY_OK;
    if (!c)
        return FERRY_E_NOMEM;
    for (size_t i = 0; i < count_of(list); i++) {
        struct ferry_consumer_part *part = find_entry(app, &list->items[i]);
        if (!part) {
            rc = FERRY_E_NOT_FOUND;
        } else if (part->paused != pause) {
            part->paused = pause;
            restart(c, part, NULL);
        }
    }
    post(app, c);
    return rc;
}

int ferry_consumer_app_queue(struct ferry_consumer_app *app, const char *topic, int32_t partition,
                             void *queue)
{
    struct ferry_consumer_part *part = ferry_consumer_app_find(app, ferry_str_of(topic), partition);
    struct ferry_consumer_change *c;
    if (!part)
        return FERRY_E_NOT_FOUND;
    if (!(c = ferry_consumer_change_new(app->core, FERRY_CHANGE_QUEUE, 1)))
        return FERRY_E_NOMEM;
    part->queue = c->queue = queue;
    restart(c, part, NULL);
    post(app, c);
    return FERRY_OK;
}

int ferry_consumer_app_return(struct ferry_consumer_app *app, struct ferry_fetched *f)
{
    struct ferry_consumer_part *part = f->part;
    struct ferry_consumer_change *c;
    if (!ferry_consumer_app_fresh(f) || !part->assigned)
        return FERRY_OK;
    if (!(c = ferry_consumer_change_new(app->core, FERRY_CHANGE_SEEK, 1)))
        return FERRY_E_NOMEM;
    f->processed = f->next;
    ferry_fetcher_buffer_cut(f);
    atomic_store(&part->position, f->next);
    restart(c, part, f);
    post(app, c);
    return FERRY_OK;
}

int ferry_consumer_app_store(struct ferry_consumer_app *app,
                             const struct ferry_partition_list *list, struct ferry_error *err)
{
    if (app->auto_store)
        return ferry_fail(err, FERRY_E_STATE,
                          "offsets are stored by themselves: set enable.auto.offset.store=false");
    for (size_t i = 0; i < count_of(list); i++) {
        struct ferry_consumer_part *part = find_entry(app, &list->items[i]);
        if (!part)
            return ferry_fail(err, FERRY_E_NOT_FOUND, "%s [%d] is not assigned",
                              list->items[i].topic, (int)list->items[i].partition);
        atomic_store(&part->stored_leader_epoch, list->items[i].leader_epoch);
        atomic_store(&part->stored, list->items[i].offset);
    }
    return FERRY_OK;
}

int ferry_consumer_app_position(struct ferry_consumer_app *app, struct ferry_partition_list *list)
{
    int rc = FERRY_OK;
    for (size_t i = 0; i < count_of(list); i++) {
        struct ferry_consumer_part *part = find_entry(app, &list->items[i]);
        list->items[i].error = part ? 0 : FERRY_E_NOT_FOUND;
        list->items[i].offset = part ? ferry_consumer_part_position(part) : FERRY_OFFSET_NONE;
        rc = part ? rc : FERRY_E_NOT_FOUND;
    }
    return rc;
}

int ferry_consumer_app_assignment(struct ferry_consumer_app *app, struct ferry_partition_list *out)
{
    size_t at = 0;
    for (struct ferry_map_entry *e; (e = ferry_map_next(&app->parts, &at));) {
        const struct ferry_consumer_part *part = e->value;
        if (ferry_consumer_list_add(out, part->topic, part->partition,
                                    ferry_consumer_part_position(part)) < 0)
            return FERRY_E_NOMEM;
    }
    return FERRY_OK;
}

/* ---- calls ---- */

struct ferry_consumer_call *ferry_consumer_app_call_new(struct ferry_consumer_app *app,
                                                        enum ferry_consumer_call_kind kind,
                                                        const struct ferry_partition_list *list)
{
    struct ferry_consumer_call *call = ferry_consumer_call_new(app->core, kind);
    if (call && list && !(call->list = ferry_consumer_list_copy(list))) {
        ferry_consumer_call_free(call);
        return NULL;
    }
    return call;
}

void ferry_consumer_app_post(struct ferry_consumer_app *app, struct ferry_consumer_call *call)
{
    app->host->post(app->cookie, &call->command);
}

int ferry_consumer_app_subscribe(struct ferry_consumer_app *app,
                                 const struct ferry_partition_list *topics, struct ferry_error *err)
{
    struct ferry_consumer_call *call;
    struct ferry_partition_list *copy;
    if (!app->has_group)
        return ferry_fail(err, FERRY_E_STATE,
                          "subscribe needs group.id; without a group use assign");
    for (size_t i = 0; i < topics->count; i++)
        if (!topics->items[i].topic[0] || strlen(topics->items[i].topic) > 249)
            return ferry_fail(err, FERRY_E_INVALID, "a topic's name has 1 to 249 bytes");
    copy = ferry_consumer_list_copy(topics);
    call = copy ? ferry_consumer_app_call_new(app, FERRY_CALL_SUBSCRIBE, topics) : NULL;
    if (!call) {
        ferry_partition_list_free(copy);
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a subscription");
    }
    ferry_partition_list_free(app->topics);
    app->topics = copy;
    call->nobody = true;
    ferry_consumer_app_post(app, call);
    return FERRY_OK;
}
