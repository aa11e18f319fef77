/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of the broker and of topics: layers, units, checks, the properties file. */
#include "config.h"

#include "refbroker/broker_config.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

static size_t topic_row(const char *name)
{
    return (size_t)(ferry_options_find(&topic_config_table, name) - topic_config_table.rows);
}

static void defaults_are_kafkas(void)
{
    struct broker_config c;
    CHECK_INT(broker_config_init(&c), 0);
    struct topic_settings t = {0};
    CHECK_INT(topic_settings_init(&t, &c, NULL), 0);
    CHECK_INT(t.retention_ms, 604800000);
    CHECK_INT(t.segment_bytes, 1073741824);
    CHECK_INT(t.max_message_bytes, 1048588);
    CHECK_INT(t.cleanup, TOPIC_CLEANUP_DELETE);
    CHECK_INT(t.compression_type, TOPIC_COMPRESSION_PRODUCER);
    CHECK_INT(t.flush_messages, INT64_MAX);
    CHECK_INT(c.now.group_initial_delay_ms, 0);
    topic_settings_free(&t);
    broker_config_free(&c);
}

static void a_topic_inherits_in_order(void)
{
    struct broker_config c;
    struct broker_overrides o = {0};
    struct topic_settings t = {0};
    struct ferry_error err;
    CHECK_INT(broker_config_init(&c), 0);
    CHECK_INT(broker_config_set(&c, "log.retention.hours", "2", &err), 0);
    CHECK_INT(topic_settings_init(&t, &c, &o), 0);
    CHECK_INT(t.retention_ms, 7200000);
    topic_settings_free(&t);
    CHECK_INT(broker_config_set(&c, "log.retention.minutes", "-1", &err), 0);
    CHECK_INT(topic_settings_init(&t, &c, &o), 0);
    CHECK_INT(t.retention_ms, -1);
    topic_settings_free(&t);
    CHECK_INT(broker_overrides_set(&o, "retention.ms", "5"), 0);
    CHECK_INT(topic_settings_init(&t, &c, &o), 0);
    CHECK_INT(t.retention_ms, 5);
    topic_settings_free(&t);

    struct broker_config_value v[8];
    size_t n = topic_config_values(&c, &o, topic_row("retention.ms"), v, 8);
    CHECK_INT(n, 3);
    CHECK_INT(v[0].source, BROKER_SOURCE_TOPIC);
    CHECK_STR(v[1].name, "log.retention.minutes");
    CHECK_STR(v[2].value, "7200000");
    CHECK_INT(v[2].source, BROKER_SOURCE_STATIC);
    n = topic_config_values(&c, &o, topic_row("segment.bytes"), v, 8);
    CHECK_INT(n, 1);
    CHECK_STR(v[0].name, "log.segment.bytes");
    CHECK_INT(v[0].source, BROKER_SOURCE_DEFAULT);
    n = topic_config_values(&c, NULL, topic_row("segment.ms"), v, 8);
    CHECK_INT(n, 1);
    CHECK_STR(v[0].value, "604800000");
    broker_overrides_free(&o);
    broker_config_free(&c);
}

static void dynamic_layers_win_over_static_ones(void)
{
    struct broker_config c;
    struct ferry_error err;
    CHECK_INT(broker_config_init(&c), 0);
    CHECK_INT(broker_config_set(&c, "message.max.bytes", "1000", &err), 0);
    CHECK_INT(broker_overrides_set(&c.cluster, "message.max.bytes", "2000"), 0);
    CHECK_INT(broker_config_apply(&c), 0);
    CHECK_INT(c.now.message_max_bytes, 2000);
    CHECK_INT(broker_overrides_set(&c.own, "message.max.bytes", "3000"), 0);
    CHECK_INT(broker_config_apply(&c), 0);
    struct broker_config copy;
    CHECK_INT(broker_config_copy(&copy, &c), 0);
    CHECK_INT(copy.now.message_max_bytes, 3000);
    CHECK_INT(broker_overrides_set(&copy.own, "message.max.bytes", NULL), 0);
    CHECK_INT(broker_config_apply(&copy), 0);
    CHECK_INT(copy.now.message_max_bytes, 2000);
    broker_config_free(&copy);
    broker_config_free(&c);
}

static void wrong_values_are_named(void)
{
    struct ferry_error err;
    CHECK_INT(topic_config_check("cleanup.policy", "compact,delete", &err), 0);
    CHECK_INT(topic_config_check("cleanup.policy", "", &err), 0);
    CHECK_INT(topic_config_check("cleanup.policy", "compost", &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "compost") != NULL);
    CHECK_INT(topic_config_check("segment.bytes", "14", &err), FERRY_E_CONFIG);
    CHECK_INT(topic_config_check("retention.mss", "1", &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "retention.ms") != NULL);
    CHECK_INT(topic_config_check("compression.type", "brotli", &err), FERRY_E_CONFIG);
    CHECK_INT(topic_config_check("compression.gzip.level", "0", &err), FERRY_E_CONFIG);
    CHECK_INT(broker_config_check("node.id", "-1", &err), FERRY_E_CONFIG);
}

static int skipped_count;
static void count_skipped(void *cookie, const char *name)
{
    (void)cookie;
    (void)name;
    skipped_count++;
}

static void properties_are_read_as_java_does(void)
{
    struct broker_config c;
    struct ferry_error err;
    CHECK_INT(broker_config_init(&c), 0);
    const char *text =
        "# a comment\n\n  node.id = 7 \r\n! another\nlog.cleanup.policy: compact,\\\n    delete\n"
        "num.io.threads=8\nnum.partitions 3";
    CHECK_INT(broker_config_parse(&c, ferry_str_of(text), count_skipped, NULL, &err), 0);
    CHECK_INT(c.now.node_id, 7);
    CHECK_STR(c.now.cleanup_policy, "compact,delete");
    CHECK_INT(c.now.num_partitions, 3);
    CHECK_INT(skipped_count, 1);
    CHECK_INT(broker_config_parse(&c, FERRY_STR("a=b\n"), count_skipped, NULL, &err),
              FERRY_E_CONFIG);
    CHECK(strstr(err.text, "line 1") != NULL);
    broker_config_free(&c);
}

static void the_page_is_current(void)
{
    const char *top = getenv("srcdir");
    char path[4096];
    struct ferry_text page = {0};
    snprintf(path, sizeof path, "%s/docs/configuration-broker.md", top ? top : ".");
    broker_config_page(&page);
    char *text = calloc(1, page.len + 2);
    FILE *f = fopen(path, "r");
    bool same = text && f && fread(text, 1, page.len + 1, f) == page.len &&
                !memcmp(text, page.data, page.len);
    if (f)
        fclose(f);
    free(text);
    ferry_text_free(&page);
    CHECK(same); /* else: make docs-configuration-broker */
}

int main(void)
{
    TAP_RUN(defaults_are_kafkas);
    TAP_RUN(a_topic_inherits_in_order);
    TAP_RUN(dynamic_layers_win_over_static_ones);
    TAP_RUN(wrong_values_are_named);
    TAP_RUN(properties_are_read_as_java_does);
    TAP_RUN(the_page_is_current);
    return tap_done();
}
