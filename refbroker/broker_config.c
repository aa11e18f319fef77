/* SPDX-License-Identifier: BSD-2-Clause */
/* Layers of settings: reading them, checking them, and saying which layer gave a value. */
#include "config.h"

#include "refbroker/broker_config.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

int broker_overrides_set(struct broker_overrides *o, const char *name, const char *value)
{
    size_t i = 0;
    while (i < o->count && strcmp(o->items[i].name, name))
        i++;
    if (!value) {
        if (i == o->count)
            return 0;
        ferry_free(o->items[i].name);
        ferry_free(o->items[i].value);
        memmove(&o->items[i], &o->items[i + 1], (o->count - i - 1) * sizeof *o->items);
        o->count--;
        return 0;
    }
    char *text = ferry_strdup(value);
    if (!text)
        return FERRY_E_NOMEM;
    if (i < o->count) {
        ferry_free(o->items[i].value);
        o->items[i].value = text;
        return 0;
    }
    char *key = ferry_strdup(name);
    if (!key || FERRY_GROW(o->items, o->cap, o->count + 1)) {
        ferry_free(key);
        ferry_free(text);
        return FERRY_E_NOMEM;
    }
    o->items[o->count++] = (struct broker_override){key, text};
    return 0;
}

const char *broker_overrides_get(const struct broker_overrides *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++)
        if (!strcmp(o->items[i].name, name))
            return o->items[i].value;
    return NULL;
}

int broker_overrides_copy(struct broker_overrides *to, const struct broker_overrides *from)
{
    for (size_t i = 0; i < from->count; i++) {
        int err = broker_overrides_set(to, from->items[i].name, from->items[i].value);
        if (err)
            return err;
    }
    return 0;
}

void broker_overrides_free(struct broker_overrides *o)
{
    for (size_t i = 0; i < o->count; i++) {
        ferry_free(o->items[i].name);
        ferry_free(o->items[i].value);
    }
    ferry_free(o->items);
    *o = (struct broker_overrides){0};
}

int broker_config_init(struct broker_config *c)
{
    *c = (struct broker_config){0};
    return broker_config_apply(c);
}

int broker_config_copy(struct broker_config *to, const struct broker_config *from)
{
    *to = (struct broker_config){0};
    int err = broker_overrides_copy(&to->fixed, &from->fixed);
    if (!err)
        err = broker_overrides_copy(&to->cluster, &from->cluster);
    if (!err)
        err = broker_overrides_copy(&to->own, &from->own);
    return err ? err : broker_config_apply(to);
}

void broker_config_free(struct broker_config *c)
{
    ferry_options_free(&broker_config_table, &c->now);
    broker_overrides_free(&c->fixed);
    broker_overrides_free(&c->cluster);
    broker_overrides_free(&c->own);
}

int broker_config_apply(struct broker_config *c)
{
    struct broker_settings fresh = {0};
    int err = ferry_options_init(&broker_config_table, &fresh);
    const struct broker_overrides *layers[] = {&c->fixed, &c->cluster, &c->own};
    for (size_t l = 0; !err && l < 3; l++)
        for (size_t i = 0; !err && i < layers[l]->count; i++) {
            const struct broker_override *o = &layers[l]->items[i];
            err = ferry_options_set(&broker_config_table, &fresh, o->name, o->value, NULL);
            if (err ==
                FERRY_E_CONFIG) /* written by a version that knew the key or took the value */
                err = 0;
        }
    if (err) {
        ferry_options_free(&broker_config_table, &fresh);
        return err;
    }
    ferry_options_free(&broker_config_table, &c->now);
    c->now = fresh;
    return 0;
}

/* cleanup.policy: a comma-separated list, possibly empty. -1 if it is not one. */
static int cleanup_bits(const char *value)
{
    int bits = 0;
    while (*value) {
        size_t n = strcspn(value, ",");
        struct ferry_str item = {value, n};
        while (item.len && item.data[0] == ' ')
            item = (struct ferry_str){item.data + 1, item.len - 1};
        while (item.len && item.data[item.len - 1] == ' ')
            item.len--;
        if (ferry_str_eq(item, FERRY_STR("delete")))
            bits |= TOPIC_CLEANUP_DELETE;
        else if (ferry_str_eq(item, FERRY_STR("compact")))
            bits |= TOPIC_CLEANUP_COMPACT;
        else
            return -1;
        value += n + (value[n] == ',');
    }
    return bits;
}

static int check_more(const char *name, const char *value, struct ferry_error *err)
{
    size_t n = strlen(name);
    if (n >= 14 && !strcmp(name + n - 14, "cleanup.policy") && cleanup_bits(value) < 0)
        return ferry_fail(err, FERRY_E_CONFIG, "%s=%s: expected a list of compact and delete", name,
                          value);
    if (strstr(name, "gzip.level") && !strcmp(value, "0"))
        return ferry_fail(err, FERRY_E_CONFIG, "%s=0: expected -1 or a level from 1 to 9", name);
    return 0;
}

int broker_config_check(const char *name, const char *value, struct ferry_error *err)
{
    struct broker_settings scratch = {0};
    int code = ferry_options_set(&broker_config_table, &scratch, name, value, err);
    ferry_options_free(&broker_config_table, &scratch);
    return code ? code : check_more(name, value, err);
}

int topic_config_check(const char *name, const char *value, struct ferry_error *err)
{
    struct topic_settings scratch = {0};
    int code = ferry_options_set(&topic_config_table, &scratch, name, value, err);
    ferry_options_free(&topic_config_table, &scratch);
    return code ? code : check_more(name, value, err);
}

int broker_config_set(struct broker_config *c, const char *name, const char *value,
                      struct ferry_error *err)
{
    int code = broker_config_check(name, value, err);
    if (!code)
        code = broker_overrides_set(&c->fixed, name, value);
    return code ? code : broker_config_apply(c);
}

/* Keys of Apache Kafka's that a single plaintext node has no use for. A trailing dot means every key
 * that starts so. */
static bool means_nothing_here(const char *name)
{
    static const char keys[] =
        "process.roles controller. num.network.threads num.io.threads num.replica.fetchers "
        "num.recovery.threads.per.data.dir socket.send.buffer.bytes "
        "socket.receive.buffer.bytes socket.listen.backlog.size background.threads "
        "queued.max.requests request.timeout.ms zookeeper. listener. inter.broker. "
        "log.cleaner. log.dir log.dirs log.flush.scheduler.interval.ms "
        "log.flush.start.offset.checkpoint.interval.ms metadata. broker. replica. leader. "
        "auto.leader. transaction. share. group. offsets. ssl. sasl. security. super.users "
        "authorizer. principal. quota. client.quota. connection. connections.max.reauth.ms "
        "password. delegation. metric. metrics. kafka. telemetry. remote. compression. "
        "create.topic.policy.class.name alter.config.policy.class.name early.start.listeners "
        "unstable. initial.broker.registration.timeout.ms sink. errors. "
        "max.connection.creation.rate max.request.partition.size.limit delete.records. "
        "producer.purgatory.purge.interval.requests fetch.purgatory.purge.interval.requests "
        "server.max.startup.time.ms reserved.broker.max.id log.message.downconversion.enable "
        "log.message.format.version log.message.timestamp.difference.max.ms "
        "log.initial.task.delay.ms log.segment. log.local. log.dir.failure.timeout.ms "
        "follower. alter.log.dirs. eligible. ";
    for (const char *p = keys; *p;) {
        size_t n = strcspn(p, " ");
        if (p[n - 1] == '.' ? !strncmp(name, p, n) : strlen(name) == n && !memcmp(name, p, n))
            return true;
        p += n + 1;
    }
    return false;
}

/* Takes one logical line (continuations joined) into `out`, NUL-terminated, leading blanks dropped.
 * False at the end. */
static bool next_line(struct ferry_str *text, struct ferry_text *out, int *number)
{
    out->len = 0;
    if (!text->len)
        return false;
    ferry_text_add(out, "%s", "");
    for (bool more = true; more && text->len;) {
        const char *end = memchr(text->data, '\n', text->len);
        size_t n = end ? (size_t)(end - text->data) : text->len, take = n;
        ++*number;
        while (take && (text->data[take - 1] == '\r'))
            take--;
        size_t skip = 0;
        while (skip < take && (text->data[skip] == ' ' || text->data[skip] == '\t'))
            skip++;
        bool comment =
            !out->len && skip < take && (text->data[skip] == '#' || text->data[skip] == '!');
        more = !comment && take > skip && text->data[take - 1] == '\\';
        ferry_text_add_bytes(out, text->data + skip, take - skip - more);
        text->data += n + (end != NULL);
        text->len -= n + (end != NULL);
    }
    return true;
}

/* Splits at the first '=', ':' or blank and trims; the line is changed in place. */
static char *split_line(char *line)
{
    char *p = line + strcspn(line, "=: \t");
    char *value = p + strspn(p, " \t");
    if (*value == '=' || *value == ':')
        value++;
    value += strspn(value, " \t");
    *p = 0;
    size_t n = strlen(value);
    while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        value[--n] = 0;
    return value;
}

int broker_config_parse(struct broker_config *c, struct ferry_str text,
                        void (*skipped)(void *cookie, const char *name), void *cookie,
                        struct ferry_error *err)
{
    struct ferry_text line = {0};
    int number = 0, code = 0;
    while (!code && next_line(&text, &line, &number)) {
        if (line.failed) {
            code = ferry_fail(err, FERRY_E_NOMEM, "no memory for line %d of the configuration",
                              number);
            break;
        }
        if (!line.len || line.data[0] == '#' || line.data[0] == '!' ||
            memchr(line.data, 0, line.len))
            continue;
        char *value = split_line(line.data);
        struct ferry_error why;
        if (!ferry_options_find(&broker_config_table, line.data) && means_nothing_here(line.data)) {
            skipped(cookie, line.data);
            continue;
        }
        code = broker_config_set(c, line.data, value, &why);
        if (code)
            ferry_fail(err, code, "line %d: %s", number, why.text);
    }
    ferry_text_free(&line);
    return code;
}

static bool ends_with(const char *s, size_t n, const char *tail)
{
    size_t m = strlen(tail);
    return n >= m && !memcmp(s + n - m, tail, m);
}

/* How many ms one of the key's unit is, where that is its name's last word; else 1. */
static int64_t unit_of(const char *name)
{
    size_t len = strlen(name);
    return ends_with(name, len, ".hours") ? 3600000 : ends_with(name, len, ".minutes") ? 60000 : 1;
}

static void put_value(struct broker_config_value *v, enum broker_config_source source,
                      const char *name, const char *value)
{
    *v = (struct broker_config_value){source, name, "", value};
    int64_t factor = unit_of(name);
    if (factor == 1)
        return;
    long long n = strtoll(value, NULL, 10);
    snprintf(v->text, sizeof v->text, "%lld", n < 0 ? n : n * factor);
    v->value = v->text;
}

static const struct broker_overrides *layer(const struct broker_config *c, int i)
{
    return i == 0 ? &c->own : i == 1 ? &c->cluster : &c->fixed;
}

size_t broker_config_values(const struct broker_config *c, size_t row,
                            struct broker_config_value *out, size_t max)
{
    static const enum broker_config_source sources[] = {
        BROKER_SOURCE_DYNAMIC, BROKER_SOURCE_DYNAMIC_DEFAULT, BROKER_SOURCE_STATIC};
    const struct ferry_option *o = &broker_config_table.rows[row];
    size_t n = 0;
    for (int i = 0; i < 3 && n < max; i++) {
        const char *value = broker_overrides_get(layer(c, i), o->name);
        if (value)
            out[n++] = (struct broker_config_value){sources[i], o->name, "", value};
    }
    if (n < max && o->standard)
        out[n++] = (struct broker_config_value){BROKER_SOURCE_DEFAULT, o->name, "", o->standard};
    return n;
}

/*
 * What the broker keys behind a topic key say: what was set, then the default of the first. A
 * default in hours or minutes is left to the topic's own row, as Kafka does.
 */
static size_t inherited_values(const struct broker_config *c, const char *synonyms,
                               struct broker_config_value *out, size_t max)
{
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) /* what was set, then the default */
        for (const char *p = synonyms; *p && n < max;) {
            size_t len = strcspn(p, " ");
            size_t row = 0;
            while (strncmp(broker_config_table.rows[row].name, p, len) ||
                   broker_config_table.rows[row].name[len])
                FERRY_CHECK(++row < broker_config_table.count);
            struct broker_config_value values[4];
            size_t found = broker_config_values(c, row, values, 4);
            const char *name = broker_config_table.rows[row].name;
            for (size_t i = 0; i < found && n < max; i++)
                if ((values[i].source == BROKER_SOURCE_DEFAULT) == pass &&
                    !(pass && unit_of(name) > 1))
                    put_value(&out[n++], values[i].source, name, values[i].value);
            p += len + (p[len] == ' ');
        }
    return n;
}

size_t topic_config_values(const struct broker_config *c, const struct broker_overrides *topic,
                           size_t row, struct broker_config_value *out, size_t max)
{
    const struct ferry_option *o = &topic_config_table.rows[row];
    const char *synonyms = topic_config_facts[row].synonyms;
    size_t n = 0;
    const char *value = topic ? broker_overrides_get(topic, o->name) : NULL;
    if (value && n < max)
        out[n++] = (struct broker_config_value){BROKER_SOURCE_TOPIC, o->name, "", value};
    if (synonyms && n < max)
        n += inherited_values(c, synonyms, out + n, max - n);
    else if (!synonyms && n < max)
        out[n++] = (struct broker_config_value){BROKER_SOURCE_DEFAULT, o->name, "", o->standard};
    if (n == 0 && max) /* no broker key with a default that can be shown */
        out[n++] = (struct broker_config_value){BROKER_SOURCE_DEFAULT, o->name, "", o->standard};
    return n;
}

bool broker_config_inherits(const struct broker_config_fact *fact, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = fact->synonyms; p && *p;) {
        size_t len = strcspn(p, " ");
        if (len == n && !memcmp(p, name, n))
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

int topic_settings_init(struct topic_settings *t, const struct broker_config *c,
                        const struct broker_overrides *topic)
{
    int err = ferry_options_init(&topic_config_table, t);
    for (size_t row = 0; !err && row < topic_config_table.count; row++) {
        struct broker_config_value v;
        topic_config_values(c, topic, row, &v, 1);
        err = ferry_options_set(&topic_config_table, t, topic_config_table.rows[row].name,
                                v.value ? v.value : "", NULL);
        if (err == FERRY_E_CONFIG) /* as in broker_config_apply: keep the default */
            err = 0;
    }
    if (err) {
        topic_settings_free(t);
        return err;
    }
    int bits = cleanup_bits(t->cleanup_policy);
    t->cleanup = bits < 0 ? TOPIC_CLEANUP_DELETE : bits;
    if (t->internal_segment_bytes)
        t->segment_bytes = t->internal_segment_bytes;
    return 0;
}

void topic_settings_free(struct topic_settings *t)
{
    ferry_options_free(&topic_config_table, t);
}
