/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "ferry/config.h"

#include "base/mem.h"
#include "client/settings.h"
#include "drive/slurp.h"
#include "ferry/hooks.h"

enum { FILE_LIMIT = 1 << 20 }; /* a properties file of more is not one */

struct ferry_config *ferry_config_new(void)
{
    return ferry_settings_new();
}

struct ferry_config *ferry_config_copy(const struct ferry_config *config)
{
    return ferry_settings_copy(config);
}

void ferry_config_free(struct ferry_config *config)
{
    ferry_settings_free(config);
}

int32_t ferry_config_set(struct ferry_config *config, const char *key, const char *value,
                         struct ferry_error *err)
{
    if (!key || !value)
        return ferry_fail(err, FERRY_E_INVALID, "a setting needs a key and a value");
    return ferry_settings_set(config, key, value, err);
}

int32_t ferry_config_set_topic(struct ferry_config *config, const char *topic, const char *key,
                               const char *value, struct ferry_error *err)
{
    if (!topic || !key || !value)
        return ferry_fail(err, FERRY_E_INVALID,
                          "a setting of a topic needs the topic's name, a key and a value");
    return ferry_settings_set_topic(config, topic, key, value, err);
}

int32_t ferry_config_set_hooks(struct ferry_config *config, const struct ferry_hooks *hooks,
                               struct ferry_error *err)
{
    ferry_error_clear(err);
    if (hooks && hooks->size < offsetof(struct ferry_hooks, resolve))
        return ferry_fail(err, FERRY_E_INVALID,
                          "size=%u in the hooks: set it to sizeof(struct ferry_hooks)",
                          (unsigned)hooks->size);
    if (ferry_settings_set_hooks(config, hooks, hooks ? hooks->size : 0))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for hooks");
    return 0;
}

int32_t ferry_config_set_pair(struct ferry_config *config, const char *pair,
                              struct ferry_error *err)
{
    const char *eq = pair ? strchr(pair, '=') : NULL;
    if (!eq || eq == pair)
        return ferry_fail(err, FERRY_E_CONFIG, "%.200s: expected key=value",
                          pair ? pair : "(null)");
    char *key = ferry_strndup(pair, (size_t)(eq - pair));
    if (!key)
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a setting");
    int32_t code = ferry_settings_set(config, key, eq + 1, err);
    ferry_free(key);
    return code;
}

int32_t ferry_config_load_text(struct ferry_config *config, const char *text, size_t length,
                               struct ferry_error *err)
{
    return ferry_settings_parse(config, text, length, err);
}

int32_t ferry_config_load_file(struct ferry_config *config, const char *path,
                               struct ferry_error *err)
{
    char *text;
    size_t length;
    int code = ferry_slurp(path, FILE_LIMIT, &text, &length, err);
    if (code)
        return code;
    struct ferry_error inner;
    code = ferry_settings_parse(config, text, length, &inner);
    ferry_free(text);
    return code ? ferry_fail(err, code, "%.200s: %.290s", path, inner.text) : 0;
}

int32_t ferry_config_get(const struct ferry_config *config, const char *key, char *buffer,
                         size_t size)
{
    const struct ferry_option *o = ferry_options_find(&ferry_settings_table, key);
    if (!o)
        return FERRY_E_NOT_FOUND;
    struct ferry_text value = {0};
    ferry_options_get(o, &config->settings, &value);
    int32_t len = value.failed ? FERRY_E_NOMEM : (int32_t)value.len;
    if (size && len >= 0) {
        size_t n = value.len < size ? value.len : size - 1;
        if (n)
            memcpy(buffer, value.data, n);
        buffer[n] = 0;
    }
    ferry_text_free(&value);
    return len;
}

int32_t ferry_config_check(const struct ferry_config *config, struct ferry_error *err)
{
    struct ferry_config *frozen = ferry_settings_freeze(config, err);
    if (!frozen)
        return err ? err->code : FERRY_E_CONFIG;
    int code = ferry_settings_check_producer(frozen, err);
    if (!code)
        code = ferry_settings_check_consumer(frozen, err);
    ferry_settings_free(frozen);
    return code;
}

int32_t ferry_config_key_count(void)
{
    return (int32_t)ferry_settings_table.count;
}

static const struct ferry_option *row(int32_t index)
{
    return index >= 0 && (size_t)index < ferry_settings_table.count
               ? &ferry_settings_table.rows[index]
               : NULL;
}

const char *ferry_config_key_name(int32_t index)
{
    return row(index) ? row(index)->name : NULL;
}

const char *ferry_config_key_default(int32_t index)
{
    return row(index) ? row(index)->standard : NULL;
}

const char *ferry_config_key_meaning(int32_t index)
{
    return row(index) ? row(index)->meaning : NULL;
}
