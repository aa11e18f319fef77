/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/mem.h"
#include "client/settings.h"
#include "drive/slurp.h"
#include "record/compress.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *value_of(const struct ferry_config *c, const char *key)
{
    static char buffer[200];
    return ferry_config_get(c, key, buffer, sizeof buffer) < 0 ? "?" : buffer;
}

static void sets_and_gets(void)
{
    struct ferry_config *c = ferry_config_new();
    struct ferry_error err;
    CHECK_STR(value_of(c, "linger.ms"), "5");
    CHECK_STR(value_of(c, "acks"), "all");
    CHECK_STR(value_of(c, "bootstrap.servers"), "");
    CHECK_INT(ferry_config_set(c, "linger.ms", "17", &err), 0);
    CHECK_STR(value_of(c, "linger.ms"), "17");
    CHECK(ferry_settings_was_set(c, "linger.ms") && !ferry_settings_was_set(c, "acks"));
    CHECK_INT(ferry_config_set_pair(c, "bootstrap.servers=a:1,b=2", &err), 0);
    CHECK_STR(value_of(c, "bootstrap.servers"), "a:1,b=2");
    char small[4];
    CHECK_INT(ferry_config_get(c, "bootstrap.servers", small, sizeof small), 7);
    CHECK_STR(small, "a:1");
    CHECK_INT(ferry_config_get(c, "no.such.key", NULL, 0), FERRY_E_NOT_FOUND);
    struct ferry_config *copy = ferry_config_copy(c);
    ferry_config_set(c, "linger.ms", "18", NULL);
    CHECK_STR(value_of(copy, "linger.ms"), "17");
    CHECK(ferry_settings_was_set(copy, "linger.ms"));
    ferry_config_free(copy);
    ferry_config_free(c);
}

static void names_what_is_wrong(void)
{
    struct ferry_config *c = ferry_config_new();
    struct ferry_error err;
    CHECK_INT(ferry_config_set(c, "linger_ms", "5", &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "linger_ms") && strstr(err.text, "linger.ms"));
    CHECK_INT(ferry_config_set(c, "fetch.max.bytes", "-5", &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "fetch.max.bytes=-5") && strstr(err.text, "2147483647"));
    CHECK_INT(ferry_config_set(c, "compression.type", "brotli", &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "brotli") && strstr(err.text, "zstd"));
    CHECK_INT(ferry_config_set(c, "acks", NULL, &err), FERRY_E_INVALID);
    CHECK_INT(ferry_config_set_pair(c, "acks", &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_config_set_topic(c, "t", "bootstrap.servers", "x", &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "one topic"));
    CHECK_INT(ferry_config_set_topic(c, "", "acks", "1", &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_config_set_topic(c, "t", "nonsense", "1", &err), FERRY_E_CONFIG);
    ferry_config_free(c);
}

/* Of every row: a misspelt key names the right one, a value out of range names key, value and range. */
static void names_what_is_wrong_of_every_row(void)
{
    struct ferry_config *c = ferry_config_new();
    for (size_t i = 0; i < ferry_settings_table.count; i++) {
        const struct ferry_option *o = &ferry_settings_table.rows[i];
        struct ferry_error err = {0};
        char wrong[100], range[3][64];
        snprintf(wrong, sizeof wrong, "%.*sx", (int)strlen(o->name) - 1, o->name);
        CHECK_INT(ferry_config_set(c, wrong, "1", &err), FERRY_E_CONFIG);
        CHECK(strstr(err.text, wrong) && strstr(err.text, o->name));
        if (o->type == FERRY_OPT_STRING)
            continue;
        bool number = o->type == FERRY_OPT_INT32 || o->type == FERRY_OPT_INT64;
        snprintf(range[0], sizeof range[0], "%s=%s", o->name,
                 number ? "99999999999999999999" : "perhaps");
        snprintf(range[1], sizeof range[1], "%lld", (long long)o->low);
        snprintf(range[2], sizeof range[2], "%lld", (long long)o->high);
        CHECK_INT(ferry_config_set(c, o->name, strchr(range[0], '=') + 1, &err), FERRY_E_CONFIG);
        CHECK(strstr(err.text, range[0]));
        CHECK(!number || (strstr(err.text, range[1]) && strstr(err.text, range[2])));
        CHECK(o->type != FERRY_OPT_BOOL || (strstr(err.text, "true") && strstr(err.text, "false")));
        for (const char *p = o->choices; p && *p; p += strcspn(p, " "), p += strspn(p, " ")) {
            snprintf(wrong, sizeof wrong, "%.*s", (int)strcspn(p, "="), p);
            CHECK(strstr(err.text, wrong));
        }
        if (number && o->low > INT32_MIN) {
            snprintf(wrong, sizeof wrong, "%lld", (long long)o->low - 1);
            CHECK_INT(ferry_config_set(c, o->name, wrong, &err), FERRY_E_CONFIG);
            CHECK(strstr(err.text, wrong) && strstr(err.text, range[1]));
        }
    }
    ferry_config_free(c);
}

static void overrides_by_topic(void)
{
    struct ferry_config *c = ferry_config_new();
    CHECK_INT(ferry_config_set_topic(c, "a", "acks", "1", NULL), 0);
    CHECK_INT(ferry_config_set_topic(c, "a", "partitioner", "fnv1a", NULL), 0);
    CHECK_INT(ferry_config_set(c, "auto.offset.reset", "earliest", NULL),
              0); /* after the override, still its default */
    CHECK_INT(ferry_config_set(c, "acks", "0", NULL), 0);
    struct ferry_config *f = ferry_settings_freeze(c, NULL);
    const struct ferry_topic_settings *a = ferry_settings_topic(f, FERRY_STR("a")),
                                      *b = ferry_settings_topic(f, FERRY_STR("b"));
    CHECK_INT(a->acks, FERRY_ACKS_LEADER);
    CHECK_INT(a->partitioner, FERRY_PARTITIONER_FNV1A);
    CHECK_INT(a->auto_offset_reset, FERRY_RESET_EARLIEST);
    CHECK_INT(b->acks, FERRY_ACKS_NONE);
    CHECK_INT(b->partitioner, FERRY_PARTITIONER_DEFAULT);
    ferry_settings_free(f);
    ferry_config_free(c);
}

/* Freezes after setting up to three pairs; the result of the producer's check, or of freezing. */
static int producer_check(const char *a, const char *b, bool *idempotent)
{
    struct ferry_config *c = ferry_config_new();
    struct ferry_error err = {0};
    if (a)
        ferry_config_set_pair(c, a, &err);
    if (b)
        ferry_config_set_pair(c, b, &err);
    struct ferry_config *f = ferry_settings_freeze(c, &err);
    int code = f ? ferry_settings_check_producer(f, &err) : err.code;
    *idempotent = f && f->settings.enable_idempotence;
    ferry_settings_free(f);
    ferry_config_free(c);
    return code;
}

static void resolves_idempotence(void)
{
    bool on;
    CHECK_INT(producer_check(NULL, NULL, &on), 0);
    CHECK(on);
    static const char *const against[] = {"acks=1", "acks=0", "retries=0",
                                          "max.in.flight.requests.per.connection=6"};
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(producer_check(against[i], NULL, &on), 0);
        CHECK(!on);
        CHECK_INT(producer_check(against[i], "enable.idempotence=true", &on), FERRY_E_CONFIG);
    }
    CHECK_INT(producer_check("acks=all", "enable.idempotence=false", &on), 0);
    CHECK(!on);
}

static void checks_the_whole(void)
{
    bool on;
    struct ferry_error err;
    CHECK_INT(producer_check("delivery.timeout.ms=30004", NULL, &on), FERRY_E_CONFIG);
    CHECK_INT(producer_check("delivery.timeout.ms=30005", NULL, &on), 0);
    CHECK_INT(producer_check("request.timeout.ms=200000", NULL, &on),
              0); /* the default gives way */
    CHECK_INT(producer_check("security.protocol=SSL", NULL, &on), FERRY_E_UNSUPPORTED);
    CHECK_INT(producer_check("ferry.debug=broker,nonsense", NULL, &on), FERRY_E_CONFIG);
    CHECK_INT(producer_check("ferry.debug=broker, fetch", NULL, &on), 0);
    struct ferry_config *c = ferry_config_new();
    CHECK_INT(ferry_config_check(c, &err), 0);
    ferry_config_set(c, "heartbeat.interval.ms", "45000", NULL);
    CHECK_INT(ferry_config_check(c, &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "heartbeat.interval.ms=45000"));
    ferry_config_free(c);
}

/* A codec that the build lacks is refused when a client is made, for all topics or for one. */
static void knows_the_codecs_of_the_build(void)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (int codec = 0; codec <= 4; codec++)
        for (int topic = 0; topic < 2; topic++) {
            struct ferry_error err = {0};
            struct ferry_config *c = ferry_settings_new();
            CHECK_INT(topic ? ferry_settings_set_topic(c, "orders", "compression.type",
                                                       names[codec], &err)
                            : ferry_settings_set(c, "compression.type", names[codec], &err),
                      0);
            struct ferry_config *frozen = ferry_settings_freeze(c, &err);
            CHECK_INT(frozen != NULL, !ferry_codec_available(codec, NULL));
            if (!frozen)
                CHECK(err.code == FERRY_E_UNSUPPORTED && strstr(err.text, "compression.type") &&
                      strstr(err.text, names[codec]) && strstr(err.text, "--without-") &&
                      (!topic || strstr(err.text, "orders")));
            ferry_settings_free(frozen);
            ferry_settings_free(c);
        }
}

static void reads_properties(void)
{
    static const char text[] = "# a comment\n"
                               "   ! another\r\n"
                               "\n"
                               "client.id = one\\\n   two  \n"
                               "group.id:g\\u00e9\\tx\n"
                               "linger.ms 7\r\n"
                               "client.rack=a\\=b\\\\c";
    struct ferry_config *c = ferry_config_new();
    struct ferry_error err = {0};
    CHECK_INT(ferry_config_load_text(c, text, sizeof text - 1, &err), 0);
    CHECK_STR(value_of(c, "client.id"), "onetwo");
    CHECK_STR(value_of(c, "group.id"), "g\xc3\xa9\tx");
    CHECK_STR(value_of(c, "linger.ms"), "7");
    CHECK_STR(value_of(c, "client.rack"), "a=b\\c");
    CHECK_INT(ferry_config_load_text(c, "\n\nacks=2", 8, &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "line 3") && strstr(err.text, "acks=2"));
    CHECK_INT(ferry_config_load_text(c, "a\\u12", 5, &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_config_load_text(c, "=x", 2, &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_config_load_text(c, "client.id=a\0b", 13, &err), FERRY_E_CONFIG);
    CHECK_INT(ferry_config_load_text(c, "client.id=\\", 11, &err), 0);
    CHECK_STR(value_of(c, "client.id"), "");
    ferry_config_free(c);
}

static void reads_a_file(void)
{
    char path[] = "/tmp/ferry-settings-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK(write(fd, "linger.ms=9\nbad\n", 16) == 16);
    close(fd);
    struct ferry_config *c = ferry_config_new();
    struct ferry_error err;
    CHECK_INT(ferry_config_load_file(c, path, &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, path) && strstr(err.text, "line 2"));
    CHECK_STR(value_of(c, "linger.ms"), "9");
    unlink(path);
    CHECK_INT(ferry_config_load_file(c, path, &err), FERRY_E_NOT_FOUND);
    ferry_config_free(c);
}

static void survives_lost_memory(void)
{
    int failures = 0, last = 0;
    for (uint64_t n = 1; n <= 400;
         n++) { /* more than there are allocations; a failed one may be harmless */
        struct ferry_error err = {0};
        ferry_mem_fail_after(n);
        struct ferry_config *c = ferry_config_new(), *f = NULL;
        int code = c ? ferry_config_set_topic(c, "t", "acks", "1", &err) : FERRY_E_NOMEM;
        if (!code)
            code = ferry_config_load_text(c, "client.id=x\ngroup.id=y", 22, &err);
        if (!code && !(f = ferry_settings_freeze(c, &err)))
            code = err.code;
        ferry_mem_fail_after(0);
        ferry_settings_free(f);
        ferry_config_free(c);
        failures += code != 0;
        last = code;
        CHECK(code == 0 || code == FERRY_E_NOMEM);
    }
    CHECK(failures > 10);
    CHECK_INT(last, 0);
}

static void page_is_current(void)
{
    const char *top = getenv("srcdir");
    char path[4096], *text;
    size_t len;
    snprintf(path, sizeof path, "%s/docs/configuration.md", top ? top : ".");
    CHECK_INT(ferry_slurp(path, 1 << 20, &text, &len, NULL), 0);
    struct ferry_text page = {0};
    ferry_settings_page(&page);
    bool same = page.len == len && !memcmp(page.data, text, len);
    ferry_free(text);
    ferry_text_free(&page);
    CHECK(same); /* else: make docs-configuration */
}

int main(void)
{
    TAP_RUN(sets_and_gets);
    TAP_RUN(names_what_is_wrong);
    TAP_RUN(names_what_is_wrong_of_every_row);
    TAP_RUN(overrides_by_topic);
    TAP_RUN(resolves_idempotence);
    TAP_RUN(checks_the_whole);
    TAP_RUN(knows_the_codecs_of_the_build);
    TAP_RUN(reads_properties);
    TAP_RUN(reads_a_file);
    TAP_RUN(survives_lost_memory);
    TAP_RUN(page_is_current);
    return tap_done();
}
