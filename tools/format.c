/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/format.h"

#include "tools/json.h"

#include <inttypes.h>
#include <string.h>

static const char *property(struct opt_program *p, const char *key, const char *otherwise)
{
    const char *v = opt_property2(p, "--property", "--formatter-property", key);
    return v ? v : otherwise;
}

static bool truth(struct opt_program *p, const char *key, bool otherwise)
{
    return opt_truth(p, key, property(p, key, NULL), otherwise);
}

/* The name of a class without its package. */
static const char *short_name(const char *class)
{
    const char *end = strrchr(class, '.'), *inner = strrchr(class, '$');
    if (inner && (!end || inner > end))
        end = inner;
    return end ? end + 1 : class;
}

static enum decoding decoding(struct opt_program *p, const char *option, const char *key)
{
    static const struct {
        const char *class;
        enum decoding as;
    } known[] = {{"StringDeserializer", DECODE_BYTES},    {"ByteArrayDeserializer", DECODE_BYTES},
                 {"BytesDeserializer", DECODE_BYTES},     {"ByteBufferDeserializer", DECODE_BYTES},
                 {"ShortDeserializer", DECODE_SHORT},     {"IntegerDeserializer", DECODE_INTEGER},
                 {"LongDeserializer", DECODE_LONG},       {"UUIDDeserializer", DECODE_UUID},
                 {"BooleanDeserializer", DECODE_BOOLEAN}, {"VoidDeserializer", DECODE_VOID}};
    const char *class = property(p, key, NULL);
    if (!class && option)
        class = opt_get(p, option)->text;
    if (!class)
        return DECODE_BYTES;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(short_name(class), known[i].class))
            return known[i].as;
    opt_usage(p,
              "%s %s: Java classes cannot be loaded; known are Kafka's own String, ByteArray, "
              "Bytes, ByteBuffer, "
              "Short, Integer, Long, UUID, Boolean and Void deserializers",
              key, class);
}

/* The formatters that this is. */
static bool is_silent(struct opt_program *p)
{
    const char *class = opt_get(p, "--formatter")->text;
    const char *name = class ? short_name(class) : "DefaultMessageFormatter";
    if (!strcmp(name, "NoOpMessageFormatter"))
        return true;
    if (strcmp(name, "DefaultMessageFormatter") && strcmp(name, "LoggingMessageFormatter"))
        opt_usage(p,
                  "--formatter %s: Java classes cannot be loaded; known are Kafka's own "
                  "DefaultMessageFormatter, "
                  "LoggingMessageFormatter and NoOpMessageFormatter",
                  class);
    return false;
}

void format_init(struct format *f, struct opt_program *p)
{
    static const char *const known[] = {"print.timestamp",
                                        "print.partition",
                                        "print.offset",
                                        "print.delivery",
                                        "print.epoch",
                                        "print.headers",
                                        "print.key",
                                        "print.value",
                                        "key.separator",
                                        "line.separator",
                                        "headers.separator",
                                        "null.literal",
                                        "key.deserializer",
                                        "value.deserializer",
                                        "header.deserializer",
                                        "headers.deserializer",
                                        "key.deserializer.",
                                        "value.deserializer.",
                                        "headers.deserializer.",
                                        NULL};
    opt_load_properties(p, "--formatter-config", "--property");
    opt_known_properties(p, "--property", known);
    opt_known_properties(p, "--formatter-property", known);
    f->silent = is_silent(p);
    f->timestamp = truth(p, "print.timestamp", false);
    f->partition = truth(p, "print.partition", false);
    f->offset = truth(p, "print.offset", false);
    f->delivery = truth(p, "print.delivery", false);
    f->epoch = truth(p, "print.epoch", false);
    f->headers = truth(p, "print.headers", false);
    f->key = truth(p, "print.key", false);
    f->value = truth(p, "print.value", true);
    f->key_separator = property(p, "key.separator", "\t");
    f->line_separator = property(p, "line.separator", "\n");
    f->headers_separator = property(p, "headers.separator", ",");
    f->null_literal = property(p, "null.literal", "null");
    f->key_as = decoding(p, "--key-deserializer", "key.deserializer");
    f->value_as = decoding(p, "--value-deserializer", "value.deserializer");
    f->header_as = decoding(p, NULL,
                            property(p, "headers.deserializer", NULL) ? "headers.deserializer"
                                                                      : "header.deserializer");
    f->json = opt_given(p, "--json");
    if (f->json && !json_supported)
        opt_usage(p, "--json: built without jansson or OpenSSL");
}

/* NULL if such bytes can be what `as` names. */
static const char *check(enum decoding as, const void *data, int32_t len)
{
    static const struct {
        int32_t len;
        const char *wrong;
    } shapes[] = {[DECODE_BYTES] = {-1, NULL},
                  [DECODE_SHORT] = {2, "a Short has 2 bytes"},
                  [DECODE_INTEGER] = {4, "an Integer has 4 bytes"},
                  [DECODE_LONG] = {8, "a Long has 8 bytes"},
                  [DECODE_UUID] = {36, "a UUID has 36 characters"},
                  [DECODE_BOOLEAN] = {1, "a Boolean is one byte, 0 or 1"},
                  [DECODE_VOID] = {0, "a Void is null"}};
    if (!data || len < 0 || as == DECODE_BYTES)
        return NULL;
    bool odd =
        as == DECODE_VOID || (as == DECODE_BOOLEAN && len == 1 && *(const uint8_t *)data > 1);
    return odd || len != shapes[as].len ? shapes[as].wrong : NULL;
}

static void put(const struct format *f, enum decoding as, const void *data, int32_t len)
{
    const uint8_t *bytes = data;
    uint64_t n = 0;
    if (!data || len < 0) {
        fputs(f->null_literal, stdout);
        return;
    }
    if (as == DECODE_BYTES || as == DECODE_UUID) {
        fwrite_unlocked(data, 1, (size_t)len, stdout);
        return;
    }
    for (int32_t i = 0; i < len; i++)
        n = n << 8 | bytes[i];
    if (as == DECODE_BOOLEAN)
        fputs(n ? "true" : "false", stdout);
    else
        printf("%" PRId64, as == DECODE_SHORT     ? (int16_t)n
                           : as == DECODE_INTEGER ? (int32_t)n
                                                  : (int64_t)n);
}

static const char *check_headers(const struct format *f, const struct ferry_message *m)
{
    const char *name, *wrong = NULL;
    const uint8_t *value;
    int32_t at = 0, name_len, value_len;
    while (!wrong && ferry_message_header(m, &at, &name, &name_len, &value, &value_len) == 1)
        wrong = check(f->header_as, value, value_len);
    return wrong;
}

static void put_headers(const struct format *f, const struct ferry_message *m)
{
    const char *name;
    const uint8_t *value;
    int32_t at = 0, name_len, value_len;
    bool first = true;
    while (ferry_message_header(m, &at, &name, &name_len, &value, &value_len) == 1) {
        if (!first)
            fputs(f->headers_separator, stdout);
        fwrite_unlocked(name, 1, (size_t)name_len, stdout);
        putc_unlocked(':', stdout);
        put(f, f->header_as, value, value_len);
        first = false;
    }
    if (first)
        fputs("NO_HEADERS", stdout);
}

/* Begins a field: a separator before all but the first. */
static void begin(const struct format *f, int *fields)
{
    if ((*fields)++)
        fputs(f->key_separator, stdout);
}

static void put_position(const struct format *f, const struct ferry_message *m, int *fields)
{
    if (f->timestamp) {
        begin(f, fields);
        if (m->timestamp < 0)
            fputs("NO_TIMESTAMP", stdout);
        else
            printf("%s:%" PRId64, m->timestamp_type == 1 ? "LogAppendTime" : "CreateTime",
                   m->timestamp);
    }
    if (f->partition) {
        begin(f, fields);
        printf("Partition:%" PRId32, m->partition);
    }
    if (f->offset) {
        begin(f, fields);
        printf("Offset:%" PRId64, m->offset);
    }
    if (f->delivery) { /* counted by share groups only */
        begin(f, fields);
        fputs("Delivery:NOT_PRESENT", stdout);
    }
    if (f->epoch) {
        begin(f, fields);
        printf("Epoch:%" PRId32, m->leader_epoch);
    }
}

const char *format_put(const struct format *f, const struct ferry_message *m)
{
    int fields = 0;
    const char *wrong = f->headers && f->header_as ? check_headers(f, m) : NULL;
    if (f->silent)
        return NULL;
    if (f->json)
        return json_write_message(stdout, m) ? NULL : "it cannot be written as JSON";
    if (!wrong && f->key)
        wrong = check(f->key_as, m->key, m->key_len);
    if (!wrong && f->value)
        wrong = check(f->value_as, m->value, m->value_len);
    if (wrong)
        return wrong;
    put_position(f, m, &fields);
    if (f->headers) {
        begin(f, &fields);
        put_headers(f, m);
    }
    if (f->key) {
        begin(f, &fields);
        put(f, f->key_as, m->key, m->key_len);
    }
    if (f->value) {
        begin(f, &fields);
        put(f, f->value_as, m->value, m->value_len);
    }
    fputs(f->line_separator, stdout);
    return NULL;
}
