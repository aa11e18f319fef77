/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/json.h"

#include <stdlib.h>
#include <string.h>

#if defined(HAVE_JANSSON) && defined(HAVE_OPENSSL)

#include <jansson.h>
#include <openssl/evp.h>

const bool json_supported = true;

/* A UTF-8 string where the bytes are one, else {"base64": ...}. */
static json_t *from_bytes(const void *data, int32_t len)
{
    if (!data || len < 0)
        return json_null();
    json_t *text = json_stringn(data, (size_t)len);
    if (text)
        return text;
    char *coded = malloc((size_t)len / 3 * 4 + 5);
    if (!coded)
        return NULL;
    int n = EVP_EncodeBlock((unsigned char *)coded, data, len);
    text = json_pack("{s:s#}", "base64", coded, n);
    free(coded);
    return text;
}

static json_t *from_headers(const struct ferry_message *m)
{
    json_t *all = json_array();
    const char *name;
    const uint8_t *value;
    int32_t at = 0, name_len, value_len;
    while (ferry_message_header(m, &at, &name, &name_len, &value, &value_len) == 1)
        json_array_append_new(
            all, json_pack("[o,o]", from_bytes(name, name_len), from_bytes(value, value_len)));
    return all;
}

bool json_write_message(FILE *to, const struct ferry_message *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "topic", json_string(m->topic));
    json_object_set_new(o, "partition", json_integer(m->partition));
    json_object_set_new(o, "offset", json_integer(m->offset));
    json_object_set_new(o, "timestamp", json_integer(m->timestamp));
    json_object_set_new(o, "timestampType",
                        json_string(m->timestamp_type == 1 ? "LogAppendTime" : "CreateTime"));
    if (m->header_count > 0)
        json_object_set_new(o, "headers", from_headers(m));
    json_object_set_new(o, "key", from_bytes(m->key, m->key_len));
    json_object_set_new(o, "value", from_bytes(m->value, m->value_len));
    bool ok = json_dumpf(o, to, JSON_COMPACT) == 0 && fputc('\n', to) != EOF;
    json_decref(o);
    return ok;
}

/* What a parsed record owns: the tree, decoded base64, headers. */
struct owned {
    json_t *tree;
    struct ferry_header *headers;
    void **buffers;
    size_t count;
};

static const void *decode_base64(struct owned *w, const char *text, size_t text_len, int32_t *len)
{
    void **grown = realloc(w->buffers, (w->count + 1) * sizeof *grown);
    unsigned char *out = malloc(text_len / 4 * 3 + 1);
    if (grown)
        w->buffers = grown;
    int n = grown && out && text_len % 4 == 0
                ? EVP_DecodeBlock(out, (const unsigned char *)text, (int)text_len)
                : -1;
    if (n < 0) {
        free(out);
        return NULL;
    }
    for (size_t i = text_len; i > 0 && i > text_len - 2 && text[i - 1] == '='; i--)
        n--;
    w->buffers[w->count++] = out;
    *len = n;
    return out;
}

/* false if v is none of null, a string, {"base64": string}. */
static bool to_bytes(struct owned *w, json_t *v, const void **data, int32_t *len)
{
    *data = NULL;
    *len = -1;
    if (!v || json_is_null(v))
        return true;
    if (json_is_string(v)) {
        *data = json_string_value(v);
        *len = (int32_t)json_string_length(v);
        return true;
    }
    json_t *coded = json_object_get(v, "base64");
    if (!json_is_string(coded))
        return false;
    *data = decode_base64(w, json_string_value(coded), json_string_length(coded), len);
    return *data != NULL;
}

static bool to_headers(struct owned *w, json_t *list, struct ferry_outgoing *r)
{
    size_t n = json_array_size(list);
    if (!list)
        return true;
    if (!json_is_array(list) || n > 100000 || !(w->headers = calloc(n + 1, sizeof *w->headers)))
        return false;
    for (size_t i = 0; i < n; i++) {
        json_t *pair = json_array_get(list, i);
        const void *name;
        struct ferry_header *h = &w->headers[i];
        if (json_array_size(pair) != 2 ||
            !to_bytes(w, json_array_get(pair, 0), &name, &h->name_len) || !name ||
            !to_bytes(w, json_array_get(pair, 1), &h->value, &h->value_len))
            return false;
        h->name = name;
    }
    r->headers = w->headers;
    r->header_count = (int32_t)n;
    return true;
}

static bool to_number(json_t *v, int64_t low, int64_t high, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (!v || json_is_null(v))
        return true;
    *out = json_integer_value(v);
    return json_is_integer(v) && *out >= low && *out <= high;
}

/* A key of an object that means nothing is likely a wrong word for one that does. */
static bool is_known(const char *key)
{
    static const char *const known[] = {"key",       "value", "headers", "partition",
                                        "timestamp", "topic", "offset",  "timestampType"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i], key))
            return true;
    return false;
}

static const char *fill(struct owned *w, struct ferry_outgoing *r)
{
    int64_t partition;
    if (!json_is_object(w->tree))
        return "expected an object";
    for (void *at = json_object_iter(w->tree); at; at = json_object_iter_next(w->tree, at))
        if (!is_known(json_object_iter_key(at)))
            return "a key is none of key, value, headers, partition, timestamp, topic, offset, "
                   "timestampType";
    if (!to_bytes(w, json_object_get(w->tree, "key"), &r->key, &r->key_len))
        return "\"key\" is neither null, a string nor {\"base64\": ...}";
    if (!to_bytes(w, json_object_get(w->tree, "value"), &r->value, &r->value_len))
        return "\"value\" is neither null, a string nor {\"base64\": ...}";
    if (!to_headers(w, json_object_get(w->tree, "headers"), r))
        return "\"headers\" is no list of [name, value] pairs";
    if (!to_number(json_object_get(w->tree, "partition"), -1, INT32_MAX, -1, &partition))
        return "\"partition\" is no partition number";
    if (!to_number(json_object_get(w->tree, "timestamp"), -1, INT64_MAX, -1, &r->timestamp))
        return "\"timestamp\" is no time in ms";
    r->partition = (int32_t)partition;
    if (r->timestamp >= 0)
        r->flags |= FERRY_SEND_TIMESTAMP;
    return NULL;
}

bool json_read_record(const char *line, size_t len, struct json_record *out, char *why,
                      size_t why_size)
{
    json_error_t err;
    struct owned *w = calloc(1, sizeof *w);
    *out = (struct json_record){.owned = w};
    if (!w) {
        snprintf(why, why_size, "out of memory");
        return false;
    }
    w->tree = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &err);
    if (!w->tree) {
        snprintf(why, why_size, "no JSON: %s at column %d", err.text, err.column);
        return false;
    }
    const char *wrong = fill(w, &out->record);
    if (wrong)
        snprintf(why, why_size, "%s", wrong);
    return !wrong;
}

void json_free_record(struct json_record *record)
{
    struct owned *w = record->owned;
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++)
        free(w->buffers[i]);
    free(w->buffers);
    free(w->headers);
    json_decref(w->tree);
    free(w);
    record->owned = NULL;
}

#else

const bool json_supported = false;

bool json_write_message(FILE *to, const struct ferry_message *message)
{
    (void)to, (void)message;
    return false;
}

bool json_read_record(const char *line, size_t len, struct json_record *out, char *why,
                      size_t why_size)
{
    (void)line, (void)len, (void)out;
    snprintf(why, why_size, "built without jansson or OpenSSL");
    return false;
}

void json_free_record(struct json_record *record)
{
    (void)record;
}

#endif
