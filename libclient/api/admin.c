/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "ferry/admin.h"

#include "api/handle.h"
#include "api/queue.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/admin.h"

/* Filling and running admin calls. Reading them is in client/admin_items.c. */

enum { ARENA_LIMIT = 1 << 29, NAME_MAX_LEN = 32767 };

static const struct ferry_admin_kind_ops *ops_of(int32_t kind)
{
    static const struct ferry_admin_kind_ops *const table[] = {
        [FERRY_ADMIN_CREATE_TOPICS] = &ferry_admin_create_topics,
        [FERRY_ADMIN_DELETE_TOPICS] = &ferry_admin_delete_topics,
        [FERRY_ADMIN_DESCRIBE_TOPICS] = &ferry_admin_describe_topics,
        [FERRY_ADMIN_CREATE_PARTITIONS] = &ferry_admin_create_partitions,
        [FERRY_ADMIN_DESCRIBE_CONFIGS] = &ferry_admin_describe_configs,
        [FERRY_ADMIN_ALTER_CONFIGS] = &ferry_admin_alter_configs,
        [FERRY_ADMIN_LIST_GROUPS] = &ferry_admin_list_groups,
        [FERRY_ADMIN_DESCRIBE_GROUPS] = &ferry_admin_describe_groups,
        [FERRY_ADMIN_DELETE_GROUPS] = &ferry_admin_delete_groups,
        [FERRY_ADMIN_LIST_GROUP_OFFSETS] = &ferry_admin_list_group_offsets,
        [FERRY_ADMIN_GROUP_LAG] = &ferry_admin_group_lag,
        [FERRY_ADMIN_ALTER_GROUP_OFFSETS] = &ferry_admin_alter_group_offsets,
        [FERRY_ADMIN_DELETE_GROUP_OFFSETS] = &ferry_admin_delete_group_offsets,
        [FERRY_ADMIN_DELETE_RECORDS] = &ferry_admin_delete_records,
        [FERRY_ADMIN_LIST_OFFSETS] = &ferry_admin_list_offsets,
        [FERRY_ADMIN_DESCRIBE_CLUSTER] = &ferry_admin_describe_cluster,
    };
    return kind > 0 && (size_t)kind < sizeof table / sizeof *table ? table[kind] : NULL;
}

struct ferry_admin *ferry_admin_new(int32_t kind)
{
    const struct ferry_admin_kind_ops *ops = ops_of(kind);
    struct ferry_admin *call = ops ? ferry_zalloc(sizeof *call) : NULL;
    if (!call)
        return NULL;
    call->command.run = ferry_admin_begin;
    call->kind = kind;
    call->ops = ops;
    ferry_arena_init(&call->arena, ARENA_LIMIT);
    return call;
}

void ferry_admin_free(struct ferry_admin *call)
{
    if (!call)
        return;
    ferry_arena_free(&call->arena);
    ferry_arena_free(&call->scratch);
    ferry_free(call->entries);
    ferry_free(call->items);
    ferry_free(call);
}

/* -- Filling -------------------------------------------------------------------------------------------- */

static bool may_fill(struct ferry_admin *call, uint32_t use, const char *name)
{
    return atomic_load(&call->state) == FERRY_ADMIN_NEW && (!use || (call->ops->uses & use)) &&
           name && strlen(name) <= NAME_MAX_LEN;
}

/* A copy in the call's arena; data NULL for NULL and without memory. */
static struct ferry_str copy(struct ferry_admin *call, const char *s)
{
    size_t len = s ? strlen(s) : 0;
    return (struct ferry_str){s ? ferry_arena_strndup(&call->arena, s, len) : NULL, len};
}

static struct ferry_admin_entry *last_entry(struct ferry_admin *call)
{
    return call->entry_count ? call->entries[call->entry_count - 1] : NULL;
}

int32_t ferry_admin_set_flags(struct ferry_admin *call, uint32_t flags)
{
    if (!may_fill(call, 0, ""))
        return FERRY_E_INVALID;
    call->flags = flags;
    return 0;
}

int32_t ferry_admin_set_group(struct ferry_admin *call, const char *group)
{
    if (!may_fill(call, FERRY_USES_GROUP, group))
        return FERRY_E_INVALID;
    call->group = copy(call, group);
    return call->group.data ? 0 : FERRY_E_NOMEM;
}

int32_t ferry_admin_add_name(struct ferry_admin *call, const char *name)
{
    if (!may_fill(call, FERRY_USES_NAME, name))
        return FERRY_E_INVALID;
    return ferry_admin_entry_new(call, ferry_str_of(name), -1) ? 0 : FERRY_E_NOMEM;
}

int32_t ferry_admin_add_topic(struct ferry_admin *call, const char *name, int32_t partitions,
                              int32_t replication)
{
    if (!may_fill(call, FERRY_USES_TOPIC, name) || replication > INT16_MAX || replication < -1 ||
        partitions < -1)
        return FERRY_E_INVALID;
    struct ferry_admin_entry *e = ferry_admin_entry_new(call, ferry_str_of(name), -1);
    if (!e)
        return FERRY_E_NOMEM;
    e->count = partitions;
    e->replication = replication;
    return 0;
}

int32_t ferry_admin_add_assignment(struct ferry_admin *call, int32_t partition,
                                   const int32_t *nodes, int32_t count)
{
    struct ferry_admin_entry *e = last_entry(call);
    if (!may_fill(call, FERRY_USES_ASSIGNMENT, "") || !e || count <= 0 || !nodes || partition < 0)
        return FERRY_E_INVALID;
    struct ferry_admin_assignment *a = ferry_arena_alloc(&call->arena, sizeof *a);
    int32_t *own = ferry_arena_array(&call->arena, (size_t)count, sizeof *own);
    if (!a || !own)
        return FERRY_E_NOMEM;
    memcpy(own, nodes, (size_t)count * sizeof *own);
    *a = (struct ferry_admin_assignment){.partition = partition, .count = count, .nodes = own};
    *e->assignments_end = a;
    e->assignments_end = &a->next;
    e->assignment_count++;
    return 0;
}

int32_t ferry_admin_add_resource(struct ferry_admin *call, int32_t type, const char *name)
{
    if (!may_fill(call, FERRY_USES_RESOURCE, name) || type < 0 || type > INT8_MAX)
        return FERRY_E_INVALID;
    struct ferry_admin_entry *e = ferry_admin_entry_new(call, ferry_str_of(name), -1);
    if (!e)
        return FERRY_E_NOMEM;
    e->type = type;
    return 0;
}

int32_t ferry_admin_add_config(struct ferry_admin *call, const char *key, const char *value,
                               int32_t op)
{
    struct ferry_admin_entry *e = last_entry(call);
    if (!may_fill(call, FERRY_USES_CONFIG, key) || !e || (value && strlen(value) > NAME_MAX_LEN) ||
        op < FERRY_CONFIG_SET || op > FERRY_CONFIG_SUBTRACT)
        return FERRY_E_INVALID;
    struct ferry_admin_config *c = ferry_arena_alloc(&call->arena, sizeof *c);
    if (!c)
        return FERRY_E_NOMEM;
    *c = (struct ferry_admin_config){.key = copy(call, key), .value = copy(call, value), .op = op};
    if (!c->key.data || (value && !c->value.data))
        return FERRY_E_NOMEM;
    *e->configs_end = c;
    e->configs_end = &c->next;
    e->config_count++;
    return 0;
}

int32_t ferry_admin_add_partition(struct ferry_admin *call, const char *topic, int32_t partition,
                                  int64_t offset)
{
    if (!may_fill(call, FERRY_USES_PARTITION, topic) || partition < 0)
        return FERRY_E_INVALID;
    struct ferry_admin_entry *e = ferry_admin_entry_new(call, ferry_str_of(topic), partition);
    if (!e)
        return FERRY_E_NOMEM;
    e->offset = offset;
    return 0;
}

int32_t ferry_admin_add_filter(struct ferry_admin *call, int32_t field, const char *value)
{
    if (!may_fill(call, FERRY_USES_FILTER, value) ||
        (field != FERRY_FIELD_STATE && field != FERRY_FIELD_VALUE_TYPE))
        return FERRY_E_INVALID;
    struct ferry_admin_filter *f = ferry_arena_alloc(&call->arena, sizeof *f);
    if (!f)
        return FERRY_E_NOMEM;
    *f = (struct ferry_admin_filter){
        .next = call->filters, .field = field, .value = copy(call, value)};
    if (!f->value.data)
        return FERRY_E_NOMEM;
    call->filters = f;
    return 0;
}

/* -- Running -------------------------------------------------------------------------------------------- */

static bool is_done(void *cookie)
{
    return atomic_load(&((struct ferry_admin *)cookie)->state) == FERRY_ADMIN_DONE;
}

/* What an item is about, for error texts. */
static void name_item(const struct ferry_admin_item *item, struct ferry_text *out)
{
    const char *name = ferry_admin_text(item, FERRY_FIELD_NAME),
               *topic = ferry_admin_text(item, FERRY_FIELD_TOPIC);
    if (topic)
        ferry_text_add(out, "%s [%d]", topic,
                       (int)ferry_admin_int(item, FERRY_FIELD_PARTITION, -1));
    else if (name)
        ferry_text_add(out, "%s", name);
    else
        ferry_text_add(out, "broker %d", (int)ferry_admin_int(item, FERRY_FIELD_NODE, -1));
}

static int32_t outcome(const struct ferry_admin *call, struct ferry_error *err)
{
    if (call->status)
        return ferry_fail(err, call->status, "%s", call->text);
    for (size_t i = 0; i < call->item_count; i++) {
        const struct ferry_admin_item *item = call->items[i];
        int32_t code = (int32_t)ferry_admin_int(item, FERRY_FIELD_ERROR, 0);
        if (!code)
            continue;
        struct ferry_text name = {0};
        name_item(item, &name);
        const char *text = ferry_admin_text(item, FERRY_FIELD_ERROR_TEXT);
        ferry_fail(err, code, "%.200s: %.280s", name.failed ? "" : name.data, text ? text : "");
        ferry_text_free(&name);
        return code;
    }
    return 0;
}

/* What cannot be run; 0 if it can, and *nothing says whether there is anything to do. */
static int32_t prepare(struct ferry_admin *call, int32_t timeout_ms, bool *nothing,
                       struct ferry_error *err)
{
    int expected = FERRY_ADMIN_NEW;
    if ((call->ops->uses & FERRY_USES_GROUP) && !call->group.data)
        return ferry_fail(err, FERRY_E_INVALID, "the call needs a group: ferry_admin_set_group");
    *nothing = !call->entry_count && !(call->ops->uses & FERRY_USES_ALL);
    if (!atomic_compare_exchange_strong(&call->state, &expected,
                                        *nothing ? FERRY_ADMIN_DONE : FERRY_ADMIN_RUNNING))
        return ferry_fail(err, FERRY_E_STATE, "a call runs once");
    call->timeout = timeout_ms < 0 ? 0 : timeout_ms ? timeout_ms * FERRY_MS : 1;
    return 0;
}

int32_t ferry_admin_run(struct ferry_admin *call, struct ferry_handle *handle, int32_t timeout_ms,
                        struct ferry_error *err)
{
    bool nothing;
    ferry_error_clear(err);
    if (ferry_in_callback())
        return ferry_fail(err, FERRY_E_STATE,
                          "an admin call cannot be waited for inside a callback");
    int32_t code = prepare(call, timeout_ms, &nothing, err);
    if (code || nothing)
        return code;
    ferry_handle_post(handle, &call->command);
    while (!is_done(call)) {
        code = ferry_handle_wait(handle, NULL, is_done, call, FERRY_NEVER);
        if (code && !is_done(call) && code != FERRY_E_TIMED_OUT && code != FERRY_E_INTERRUPTED)
            return ferry_fail(
                err, code,
                "the client has ended"); /* it runs no more steps: nobody touches the call */
    }
    return outcome(call, err);
}

/* -- Without waiting ------------------------------------------------------------------------------------ */

static void drop(struct ferry_delivery *d)
{
    ferry_admin_free(FERRY_CONTAINER(d, struct ferry_admin, done));
}

static void deliver(struct ferry_admin *call)
{
    struct ferry_queue *queue = call->queue;
    call->queue = NULL;
    call->done = (struct ferry_delivery){.type = FERRY_DELIVERY_ADMIN, .drop = drop};
    ferry_queue_push(queue, &call->done);
    ferry_queue_unref(queue);
}

int32_t ferry_admin_start(struct ferry_admin *call, struct ferry_handle *handle,
                          struct ferry_queue *queue, int32_t timeout_ms, uint64_t cookie,
                          struct ferry_error *err)
{
    bool nothing;
    ferry_error_clear(err);
    int32_t code = prepare(call, timeout_ms, &nothing, err);
    if (code)
        return code;
    call->cookie = cookie;
    call->queue = ferry_queue_ref(queue ? queue : ferry_handle_queue(handle));
    call->on_done = deliver;
    if (nothing)
        deliver(call);
    else
        ferry_handle_post(handle, &call->command);
    return 0;
}

struct ferry_admin *ferry_delivery_admin(struct ferry_delivery *d)
{
    return d && d->type == FERRY_DELIVERY_ADMIN ? FERRY_CONTAINER(d, struct ferry_admin, done)
                                                : NULL;
}

uint64_t ferry_admin_cookie(const struct ferry_admin *call)
{
    return call->cookie;
}

int32_t ferry_admin_result(const struct ferry_admin *call, struct ferry_error *err)
{
    ferry_error_clear(err);
    if (atomic_load(&call->state) != FERRY_ADMIN_DONE)
        return ferry_fail(err, FERRY_E_STATE, "the call is not done");
    return outcome(call, err);
}
