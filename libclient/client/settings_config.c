/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/settings.h"

#include "base/mem.h"
#include "record/compress.h"

#include <inttypes.h>

/*
 * A configuration as a whole: what was set, overrides by topic, the frozen copy and what it checks.
 *
 * Invariants:
 *  1. An override holds only rows that were set for its topic (its `set` bits); freeze fills in the
 * others from the defaults of all topics, so the order of set and set_topic does not matter.
 *  2. After freeze, settings.enable_idempotence says what a producer does, not what was asked for.
 */

static size_t row_of(const char *key)
{
    const struct ferry_option *o = ferry_options_find(&ferry_settings_table, key);
    return o ? (size_t)(o - ferry_settings_table.rows) : SIZE_MAX;
}

static bool is_set(const struct ferry_config *c, size_t row)
{
    return c->set[row / 64] >> (row % 64) & 1;
}

struct ferry_config *ferry_settings_new(void)
{
    struct ferry_config *c = ferry_zalloc(sizeof *c);
    if (c && ferry_options_init(&ferry_settings_table, &c->settings)) {
        ferry_settings_free(c);
        return NULL;
    }
    return c;
}

void ferry_settings_free(struct ferry_config *c)
{
    if (!c)
        return;
    size_t at = 0;
    for (struct ferry_map_entry *e; (e = ferry_map_next(&c->topics, &at));)
        ferry_settings_free(e->value);
    ferry_map_free(&c->topics);
    ferry_options_free(&ferry_settings_table, &c->settings);
    ferry_free(c->hooks);
    ferry_free(c);
}

int ferry_settings_set_hooks(struct ferry_config *c, const void *hooks, size_t size)
{
    void *copy = hooks ? ferry_alloc(size) : NULL;
    if (hooks && !copy)
        return FERRY_E_NOMEM;
    if (hooks)
        memcpy(copy, hooks, size);
    ferry_free(c->hooks);
    c->hooks = copy;
    c->hooks_size = hooks ? size : 0;
    return FERRY_OK;
}

struct ferry_config *ferry_settings_copy(const struct ferry_config *from)
{
    struct ferry_config *c = ferry_zalloc(sizeof *c);
    if (!c)
        return NULL;
    memcpy(c->set, from->set, sizeof c->set);
    if (ferry_options_copy(&ferry_settings_table, &c->settings, &from->settings) ||
        ferry_settings_set_hooks(c, from->hooks, from->hooks_size))
        goto fail;
    size_t at = 0;
    for (struct ferry_map_entry *e; (e = ferry_map_next(&from->topics, &at));) {
        struct ferry_config *topic = ferry_settings_copy(e->value);
        if (!topic || ferry_map_put(&c->topics, e->key.data, e->key.len, topic, NULL)) {
            ferry_settings_free(topic);
            goto fail;
        }
    }
    return c;
fail:
    ferry_settings_free(c);
    return NULL;
}

int ferry_settings_set(struct ferry_config *c, const char *key, const char *value,
                       struct ferry_error *err)
{
    int code = ferry_options_set(&ferry_settings_table, &c->settings, key, value, err);
    if (code)
        return code;
    size_t row = row_of(key);
    c->set[row / 64] |= UINT64_C(1) << (row % 64);
    return 0;
}

int ferry_settings_set_topic(struct ferry_config *c, const char *topic, const char *key,
                             const char *value, struct ferry_error *err)
{
    size_t row = row_of(key);
    if (!*topic)
        return ferry_fail(err, FERRY_E_CONFIG, "%s=%s: a setting of a topic needs the topic's name",
                          key, value);
    if (row != SIZE_MAX && row < ferry_settings_first_topic_row())
        return ferry_fail(err, FERRY_E_CONFIG,
                          "%s=%s: cannot be set for one topic (%s), only for the whole client", key,
                          value, topic);
    struct ferry_config *own = ferry_map_get_str(&c->topics, topic);
    if (own)
        return ferry_settings_set(own, key, value, err);
    if (!(own = ferry_settings_new()))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for the settings of topic %s", topic);
    int code = ferry_settings_set(own, key, value, err);
    if (!code && ferry_map_put(&c->topics, topic, strlen(topic), own, NULL))
        code = ferry_fail(err, FERRY_E_NOMEM, "no memory for the settings of topic %s", topic);
    if (code)
        ferry_settings_free(own);
    return code;
}

bool ferry_settings_was_set(const struct ferry_config *c, const char *key)
{
    size_t row = row_of(key);
    return row != SIZE_MAX && is_set(c, row);
}

const struct ferry_topic_settings *ferry_settings_topic(const struct ferry_config *c,
                                                        struct ferry_str topic)
{
    const struct ferry_config *own = ferry_map_get(&c->topics, topic.data, topic.len);
    return own ? &own->settings.topic : &c->settings.topic;
}

/* -- Freezing
 * ------------------------------------------------------------------------------------------- */

static int read_debug(struct ferry_settings *s, struct ferry_error *err)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } parts[] = {{"broker", FERRY_DEBUG_BROKER},
                 {"request", FERRY_DEBUG_REQUEST},
                 {"metadata", FERRY_DEBUG_METADATA},
                 {"producer", FERRY_DEBUG_PRODUCER},
                 {"fetch", FERRY_DEBUG_FETCH},
                 {"group", FERRY_DEBUG_GROUP},
                 {"admin", FERRY_DEBUG_ADMIN},
                 {"config", FERRY_DEBUG_CONFIG},
                 {"all", FERRY_DEBUG_ALL}};
    s->debug_mask = 0;
    for (const char *p = s->debug; p && *p;) {
        size_t len = strcspn(p, ", ");
        uint32_t bit = 0;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            if (strlen(parts[i].name) == len && !memcmp(parts[i].name, p, len))
                bit = parts[i].bit;
        if (len && !bit)
            return ferry_fail(err, FERRY_E_CONFIG,
                              "ferry.debug=%s: %.*s is none of broker, request, metadata, "
                              "producer, fetch, group, admin, config, all",
                              s->debug, (int)len, p);
        s->debug_mask |= bit;
        p += len;
        p += strspn(p, ", ");
    }
    return 0;
}

/* Judges a topic's settings beside those of the client. topic "": the default of all. */
typedef int topic_check(const struct ferry_settings *, const struct ferry_topic_settings *,
                        const char *topic, struct ferry_error *);

/* The default of all topics, then each that has settings of its own; stops at the first error. */
static int check_topics(const struct ferry_config *c, topic_check *check, struct ferry_error *err)
{
    int code = check(&c->settings, &c->settings.topic, "", err);
    size_t at = 0;
    for (struct ferry_map_entry *e; !code && (e = ferry_map_next(&c->topics, &at));) {
        const struct ferry_config *topic = e->value;
        char name[250];
        size_t len = e->key.len < sizeof name ? e->key.len : sizeof name - 1;
        memcpy(name, e->key.data, len);
        name[len] = 0;
        code = check(&c->settings, &topic->settings.topic, name, err);
    }
    return code;
}

static int check_codec(const struct ferry_settings *s, const struct ferry_topic_settings *t,
                       const char *topic, struct ferry_error *err)
{
    (void)s;
    struct ferry_error why;
    if (!ferry_codec_available(t->compression_type, &why))
        return 0;
    return ferry_fail(err, FERRY_E_UNSUPPORTED, "compression.type=%s%s%.250s: %.200s",
                      ferry_codec_name(t->compression_type), *topic ? " of topic " : "", topic,
                      why.text);
}

/* What no one setting shows and holds of every handle. */
static int check_whole(const struct ferry_config *c, struct ferry_error *err)
{
    const struct ferry_settings *s = &c->settings;
    if (s->security_protocol != 0)
        return ferry_fail(err, FERRY_E_UNSUPPORTED,
                          "security.protocol: only PLAINTEXT is supported by this version");
    if (s->client_dns_lookup != 0)
        return ferry_fail(err, FERRY_E_UNSUPPORTED,
                          "client.dns.lookup: only use_all_dns_ips is supported");
    if (s->reconnect_backoff_max_ms < s->reconnect_backoff_ms &&
        ferry_settings_was_set(c, "reconnect.backoff.max.ms"))
        return ferry_fail(err, FERRY_E_CONFIG,
                          "reconnect.backoff.max.ms=%" PRId64
                          " is less than reconnect.backoff.ms=%" PRId64,
                          s->reconnect_backoff_max_ms, s->reconnect_backoff_ms);
    if (check_topics(c, check_codec, err))
        return FERRY_E_UNSUPPORTED;
    if (s->retry_backoff_max_ms < s->retry_backoff_ms &&
        ferry_settings_was_set(c, "retry.backoff.max.ms"))
        return ferry_fail(err, FERRY_E_CONFIG,
                          "retry.backoff.max.ms=%" PRId64 " is less than retry.backoff.ms=%" PRId64,
                          s->retry_backoff_max_ms, s->retry_backoff_ms);
    return 0;
}

static bool all_acks(const struct ferry_config *c)
{
    bool all = c->settings.topic.acks == FERRY_ACKS_ALL;
    size_t at = 0;
    for (struct ferry_map_entry *e; (e = ferry_map_next(&c->topics, &at));)
        all = all && ((struct ferry_config *)e->value)->settings.topic.acks == FERRY_ACKS_ALL;
    return all;
}

/* Dependent defaults: a default gives way silently to what was set, a setting never does. */
static void resolve(struct ferry_config *c)
{
    struct ferry_settings *s = &c->settings;
    if (s->reconnect_backoff_max_ms < s->reconnect_backoff_ms)
        s->reconnect_backoff_max_ms = s->reconnect_backoff_ms;
    if (s->retry_backoff_max_ms < s->retry_backoff_ms)
        s->retry_backoff_max_ms = s->retry_backoff_ms;
    if (s->socket_connection_setup_timeout_max_ms < s->socket_connection_setup_timeout_ms)
        s->socket_connection_setup_timeout_max_ms = s->socket_connection_setup_timeout_ms;
    if (!ferry_settings_was_set(c, "enable.idempotence") &&
        (!all_acks(c) || !s->retries || s->max_in_flight > 5))
        s->enable_idempotence = false;
    if (!ferry_settings_was_set(c, "delivery.timeout.ms") &&
        s->topic.delivery_timeout_ms < s->linger_ms + s->topic.request_timeout_ms)
        s->topic.delivery_timeout_ms = s->linger_ms + s->topic.request_timeout_ms;
    if (s->debug_mask)
        s->log_level = 7;
    if (s->frame_max_bytes < s->fetch_max_bytes)
        s->frame_max_bytes = s->fetch_max_bytes < (1 << 30) ? s->fetch_max_bytes : 1 << 30;
    if (s->frame_max_bytes < 65536)
        s->frame_max_bytes = 65536;
}

/* Gives an override the defaults of all topics where it sets nothing itself. */
static int fill_override(const struct ferry_config *whole, struct ferry_config *own)
{
    for (size_t row = ferry_settings_first_topic_row(); row < ferry_settings_table.count; row++) {
        if (is_set(own, row))
            continue;
        struct ferry_text value = {0};
        const struct ferry_option *o = &ferry_settings_table.rows[row];
        ferry_options_get(o, &whole->settings, &value);
        int code = value.failed ? FERRY_E_NOMEM
                                : ferry_options_set(&ferry_settings_table, &own->settings, o->name,
                                                    value.data, NULL);
        ferry_text_free(&value);
        if (code)
            return code;
    }
    return 0;
}

struct ferry_config *ferry_settings_freeze(const struct ferry_config *from, struct ferry_error *err)
{
    struct ferry_config *c = ferry_settings_copy(from);
    if (!c) {
        ferry_fail(err, FERRY_E_NOMEM, "no memory for a copy of the configuration");
        return NULL;
    }
    if (read_debug(&c->settings, err) || check_whole(c, err))
        goto fail;
    size_t at = 0;
    for (struct ferry_map_entry *e; (e = ferry_map_next(&c->topics, &at));)
        if (fill_override(c, e->value)) {
            ferry_fail(err, FERRY_E_NOMEM, "no memory for the settings of a topic");
            goto fail;
        }
    resolve(c);
    c->frozen = true;
    return c;
fail:
    ferry_settings_free(c);
    return NULL;
}

/* -- Checks of a producer's and a consumer's part
 * -------------------------------------------------------- */

static int check_delivery(const struct ferry_settings *s, const struct ferry_topic_settings *t,
                          const char *topic, struct ferry_error *err)
{
    if (t->delivery_timeout_ms >= s->linger_ms + t->request_timeout_ms)
        return 0;
    return ferry_fail(err, FERRY_E_CONFIG,
                      "delivery.timeout.ms=%" PRId64
                      "%s%s is less than linger.ms + request.timeout.ms = %" PRId64 " + %" PRId32,
                      t->delivery_timeout_ms, *topic ? " of topic " : "", topic, s->linger_ms,
                      t->request_timeout_ms);
}

static int check_idempotence(const struct ferry_config *c, struct ferry_error *err)
{
    const struct ferry_settings *s = &c->settings;
    if (!s->enable_idempotence)
        return 0;
    if (!all_acks(c))
        return ferry_fail(err, FERRY_E_CONFIG,
                          "enable.idempotence=true needs acks=all for every topic");
    if (!s->retries)
        return ferry_fail(err, FERRY_E_CONFIG, "enable.idempotence=true needs retries above 0");
    if (s->max_in_flight > 5)
        return ferry_fail(err, FERRY_E_CONFIG,
                          "enable.idempotence=true allows "
                          "max.in.flight.requests.per.connection up to 5, not %" PRId32,
                          s->max_in_flight);
    return 0;
}

int ferry_settings_check_producer(const struct ferry_config *c, struct ferry_error *err)
{
    int code = check_idempotence(c, err);
    return code ? code : check_topics(c, check_delivery, err);
}

int ferry_settings_check_consumer(const struct ferry_config *c, struct ferry_error *err)
{
    const struct ferry_settings *s = &c->settings;
    if (s->group_protocol != 0)
        return ferry_fail(err, FERRY_E_UNSUPPORTED,
                          "group.protocol=consumer: only classic is supported");
    if (s->heartbeat_interval_ms >= s->session_timeout_ms)
        return ferry_fail(err, FERRY_E_CONFIG,
                          "heartbeat.interval.ms=%" PRId32
                          " is not less than session.timeout.ms=%" PRId32,
                          s->heartbeat_interval_ms, s->session_timeout_ms);
    if (s->group_instance_id && !s->group_id)
        return ferry_fail(err, FERRY_E_CONFIG, "group.instance.id=%s needs group.id",
                          s->group_instance_id);
    if (s->fetch_max_wait_ms >= s->topic.request_timeout_ms &&
        ferry_settings_was_set(c, "fetch.max.wait.ms"))
        return ferry_fail(err, FERRY_E_CONFIG,
                          "fetch.max.wait.ms=%" PRId32
                          " is not less than request.timeout.ms=%" PRId32,
                          s->fetch_max_wait_ms, s->topic.request_timeout_ms);
    return 0;
}
