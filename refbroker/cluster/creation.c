/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "refbroker/cluster/creation.h"

#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "refbroker/node_state.h"

#include <stdarg.h>
#include <stdio.h>

enum { NAME_MAX_LEN = 249, PARTITIONS_MAX = 10000 };

const char *broker_creation_bad_name(struct ferry_str name)
{
    if (!name.data || !name.len)
        return "Topic name is invalid: it is empty";
    if (ferry_str_eq(name, FERRY_STR(".")) || ferry_str_eq(name, FERRY_STR("..")))
        return "Topic name is invalid: it cannot be '.' or '..'";
    if (name.len > NAME_MAX_LEN)
        return "Topic name is invalid: it is longer than 249 characters";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return "Topic name is invalid: only letters, digits, '.', '_' and '-' may be in it";
    }
    return NULL;
}

static void refuse(struct broker_creation_topic *t, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(struct broker_creation_topic *t, int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(t->text, sizeof t->text, format, args);
    va_end(args);
    t->error = (int16_t)error;
}

/* Names that differ only in '.' and '_' would share a name in metrics: Kafka refuses the second. */
static const char *colliding(const struct broker_node *n, struct ferry_str name)
{
    struct ferry_map_entry *e;
    if (!memchr(name.data, '.', name.len) && !memchr(name.data, '_', name.len))
        return NULL;
    for (size_t at = 0; (e = ferry_map_next(&n->image.by_name, &at));) {
        const char *other = ((struct image_topic *)e->value)->name;
        size_t i = 0;
        if (e->key.len != name.len)
            continue;
        while (i < name.len &&
               (other[i] == '.' ? '_' : other[i]) == (name.data[i] == '.' ? '_' : name.data[i]))
            i++;
        if (i == name.len)
            return other;
    }
    return NULL;
}

static bool check_configs(struct broker_creation_topic *t)
{
    for (int32_t i = 0; i < t->config_count; i++) {
        const struct broker_creation_config *c = &t->configs[i];
        char *name = c->name.data ? ferry_strndup(c->name.data, c->name.len) : NULL;
        char *value = c->value.data ? ferry_strndup(c->value.data, c->value.len) : NULL;
        struct ferry_error err;
        if (name && !c->value.data)
            refuse(t, FERRY_KAFKA_INVALID_CONFIG,
                   "Null value not supported for topic configs: %.80s", name);
        else if (!name || !value)
            refuse(t, FERRY_KAFKA_UNKNOWN_SERVER_ERROR, "no memory");
        else if (topic_config_check(name, value, &err))
            refuse(t, FERRY_KAFKA_INVALID_CONFIG, "%.150s", err.text);
        ferry_free(name);
        ferry_free(value);
        if (t->error)
            return false;
    }
    return true;
}

static bool check_sizes(const struct broker_node *n, struct broker_creation_topic *t)
{
    if (t->replication_factor == -1)
        t->replication_factor = (int16_t)n->config.now.default_replication_factor;
    if (t->assignment_count > 0)
        t->partitions = t->assignment_count;
    else if (t->partitions == -1)
        t->partitions = n->config.now.num_partitions;
    if (t->partitions <= 0)
        refuse(t, FERRY_KAFKA_INVALID_PARTITIONS,
               "Number of partitions was set to an invalid non-positive value.");
    else if (t->partitions > PARTITIONS_MAX)
        refuse(t, FERRY_KAFKA_POLICY_VIOLATION, "Excessively large number of partitions.");
    else if (t->replication_factor <= 0)
        refuse(t, FERRY_KAFKA_INVALID_REPLICATION_FACTOR,
               "Replication factor must be larger than 0, or -1 to use the default value.");
    else if (t->replication_factor > 1)
        refuse(t, FERRY_KAFKA_INVALID_REPLICATION_FACTOR,
               "Unable to replicate the partition %d time(s): only 1 broker(s) are registered.",
               (int)t->replication_factor);
    return !t->error;
}

static int add_topic(struct broker_node *n, struct broker_creation_topic *t)
{
    struct ferry_topic_record r;
    ferry_topic_record_init(&r);
    r.name = t->name;
    r.topic_id = t->id;
    int code = broker_metalog_add(n, IMAGE_TOPIC, 0, &r);
    for (int32_t i = 0; !code && i < t->config_count; i++) {
        struct ferry_config_record c;
        ferry_config_record_init(&c);
        c.resource_type = IMAGE_RESOURCE_TOPIC;
        c.resource_name = t->name;
        c.name = t->configs[i].name;
        c.value = t->configs[i].value;
        code = broker_metalog_add(n, IMAGE_CONFIG, 0, &c);
    }
    return code ? code : broker_creation_add_partitions(n, &t->id, 0, t->partitions);
}

int broker_creation_add_partitions(struct broker_node *n, const struct ferry_uuid *id, int32_t from,
                                   int32_t to)
{
    int32_t node = n->config.now.node_id;
    int code = 0;
    for (int32_t i = from; !code && i < to; i++) {
        struct ferry_partition_record p;
        ferry_partition_record_init(&p);
        p.partition_id = i;
        p.topic_id = *id;
        p.replicas = p.isr = &node;
        p.replicas_count = p.isr_count = 1;
        p.leader = node;
        p.leader_epoch = p.partition_epoch = 0;
        p.directories = &n->directory_id;
        p.directories_count = 1;
        code = broker_metalog_add(n, IMAGE_PARTITION, 1, &p);
    }
    return code;
}

/* Everything but what would be said of a name that is taken. */
static bool check(struct broker_node *n, struct broker_creation *c, struct broker_creation_topic *t)
{
    const char *why = broker_creation_bad_name(t->name), *other;
    struct image_topic *old = why ? NULL : broker_image_topic(&n->image, t->name);
    if (t->error) /* the caller knew better */
        return false;
    if (why) {
        refuse(t, FERRY_KAFKA_INVALID_TOPIC_EXCEPTION, "%s", why);
    } else if (old && c->existing_is_fine) {
        t->id = old->id;
    } else if (old) {
        refuse(t, FERRY_KAFKA_TOPIC_ALREADY_EXISTS, "Topic '%.100s' already exists.", old->name);
    } else if ((other = colliding(n, t->name))) {
        refuse(t, FERRY_KAFKA_INVALID_TOPIC_EXCEPTION,
               "Topic collides with existing topics: %.100s", other);
    } else {
        return check_sizes(n, t) && check_configs(t);
    }
    return false;
}

/* Kafka's bound on what one request makes. */
static bool too_many(const struct broker_node *n, const struct broker_creation *c)
{
    int64_t total = 0;
    for (int32_t i = 0; i < c->count; i++) {
        const struct broker_creation_topic *t = &c->topics[i];
        int64_t more = t->assignment_count > 0 ? t->assignment_count
                       : t->partitions == -1   ? n->config.now.num_partitions
                                               : t->partitions;
        total += more > 0 ? more : 0;
    }
    return total > PARTITIONS_MAX;
}

static int prepare(struct broker_node *n, struct metalog_op *op)
{
    struct broker_creation *c = FERRY_CONTAINER(op, struct broker_creation, op);
    bool refused = !c->existing_is_fine && too_many(n, c);
    for (int32_t i = 0; i < c->count; i++) {
        struct broker_creation_topic *t = &c->topics[i];
        if (refused)
            refuse(t, FERRY_KAFKA_POLICY_VIOLATION,
                   "Excessively large number of partitions per request.");
        if (refused || !check(n, c, t))
            continue;
        if (t->error || !ferry_uuid_is_zero(&t->id) || c->validate_only)
            continue;
        t->id = ferry_prng_uuid(&n->prng);
        int code = add_topic(n, t);
        if (code)
            return FERRY_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    return 0;
}

bool broker_creation_is_open(const struct image_topic *t)
{
    for (int32_t i = 0; i < t->partition_count; i++) {
        const struct broker_partition *p = t->partitions[i].local;
        if (t->partitions[i].exists && (!p || (!p->open && !p->error)))
            return false;
    }
    return true;
}

static bool all_open(const struct broker_node *n, const struct broker_creation *c)
{
    for (int32_t i = 0; i < c->count; i++) {
        const struct broker_creation_topic *t = &c->topics[i];
        struct image_topic *it = t->error ? NULL : broker_image_topic_by_id(&n->image, &t->id);
        if (it && !broker_creation_is_open(it))
            return false;
    }
    return true;
}

static void on_written(struct broker_node *n, struct metalog_op *op, int error)
{
    struct broker_creation *c = FERRY_CONTAINER(op, struct broker_creation, op);
    for (int32_t i = 0; error && i < c->count; i++)
        if (!c->topics[i].error)
            refuse(&c->topics[i], error, "The metadata log could not be written.");
    if (all_open(n, c))
        c->done(n, c);
    else
        ferry_list_push_back(&n->creations, &c->waiting);
}

void broker_creation_submit(struct broker_node *n, struct broker_creation *c)
{
    c->op.prepare = prepare;
    c->op.done = on_written;
    broker_metalog_submit(n, &c->op);
}

void broker_creation_opened(struct broker_node *n)
{
    struct ferry_link *it, *tmp;
    FERRY_LIST_EACH(it, tmp, &n->creations)
    {
        struct broker_creation *c = FERRY_CONTAINER(it, struct broker_creation, waiting);
        if (!all_open(n, c))
            continue;
        ferry_list_remove(&c->waiting);
        c->done(n, c);
    }
}

void broker_creation_want_offsets(struct broker_node *n, struct broker_creation_topic *t,
                                  struct broker_creation_config configs[3], char text[16])
{
    snprintf(text, 16, "%d", (int)n->config.now.offsets_segment_bytes);
    configs[0] =
        (struct broker_creation_config){FERRY_STR("compression.type"), FERRY_STR("producer")};
    configs[1] = (struct broker_creation_config){FERRY_STR("cleanup.policy"), FERRY_STR("compact")};
    configs[2] = (struct broker_creation_config){FERRY_STR("segment.bytes"), ferry_str_of(text)};
    *t = (struct broker_creation_topic){.name = FERRY_STR("__consumer_offsets"),
                                        .partitions = n->config.now.offsets_partitions,
                                        .replication_factor =
                                            (int16_t)n->config.now.offsets_replication,
                                        .configs = configs,
                                        .config_count = 3};
}
