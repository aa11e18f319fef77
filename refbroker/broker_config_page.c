/* SPDX-License-Identifier: BSD-2-Clause */
/* The reference page of the broker's settings, made from the tables. */
#include "config.h"

#include "refbroker/broker_config.h"

#include <inttypes.h>

static const char *type_name(const struct ferry_option *o, enum broker_config_type shown)
{
    switch (o->type) {
    case FERRY_OPT_INT32:
    case FERRY_OPT_INT64:
        return "integer";
    case FERRY_OPT_BOOL:
        return "boolean";
    case FERRY_OPT_DOUBLE:
        return "number";
    case FERRY_OPT_ENUM:
        return "choice";
    default:
        return shown == BROKER_CONFIG_LIST ? "list" : "string";
    }
}

/* "a=1 b=2" as "a, b". */
static void add_choices(struct ferry_text *page, const char *choices)
{
    const char *comma = "";
    while (*choices) {
        size_t n = strcspn(choices, "=");
        ferry_text_add(page, "%s%.*s", comma, (int)n, choices);
        comma = ", ";
        choices += strcspn(choices, " ");
        choices += *choices == ' ';
    }
}

static void add_range(struct ferry_text *page, const struct ferry_option *o)
{
    if (o->type == FERRY_OPT_ENUM)
        add_choices(page, o->choices);
    else if (o->type == FERRY_OPT_BOOL)
        ferry_text_add(page, "true, false");
    else if (o->type == FERRY_OPT_STRING)
        return;
    else if (o->high == INT64_MAX || (o->type == FERRY_OPT_INT32 && o->high == INT32_MAX))
        ferry_text_add(page, "from %" PRId64, o->low);
    else
        ferry_text_add(page, "%" PRId64 " to %" PRId64, o->low, o->high);
}

static void add_table(struct ferry_text *page, const struct ferry_option_table *t,
                      const struct broker_config_fact *facts)
{
    ferry_text_add(page, "| key | type | default | values | meaning |\n|-|-|-|-|-|\n");
    for (size_t i = 0; i < t->count; i++) {
        const struct ferry_option *o = &t->rows[i];
        if (facts[i].flags & BROKER_CONFIG_HIDDEN)
            continue;
        ferry_text_add(page, "| `%s` | %s%s%s | ", o->name, type_name(o, facts[i].type),
                       o->unit ? ", " : "", o->unit ? o->unit : "");
        if (!o->standard)
            ferry_text_add(page, "unset");
        else if (o->type == FERRY_OPT_INT64 && !strcmp(o->standard, "9223372036854775807"))
            ferry_text_add(page, "without end");
        else
            ferry_text_add(page, "`%s`", o->standard);
        ferry_text_add(page, " | ");
        add_range(page, o);
        ferry_text_add(
            page, " | %s%s |\n", o->meaning,
            facts[i].flags & BROKER_CONFIG_DYNAMIC ? " Can be altered while the broker runs." : "");
    }
}

void broker_config_page(struct ferry_text *page)
{
    ferry_text_add(page, "# Configuration of refbroker\n\n"
                         "Every key of the broker and of its topics, from the tables that the "
                         "broker itself reads. This page is\n"
                         "generated: change `refbroker/broker_config_table.c`, then run `make "
                         "docs-configuration-broker`.\n\n"
                         "Set the broker's keys in a file (`--config FILE`, lines KEY=VALUE) or "
                         "with `-X KEY=VALUE`, which wins. An\n"
                         "unknown key or a value out of range is an error; keys of Apache Kafka's "
                         "that a single plaintext node has\n"
                         "no use for are skipped with a line in the log. A topic's keys are set "
                         "when it is made, or later with\n"
                         "Kafka's own tools; where a topic does not say, the broker's key of the "
                         "same meaning counts.\n\n"
                         "## Broker\n\n");
    add_table(page, &broker_config_table, broker_config_facts);
    ferry_text_add(page, "\n## Topic\n\n"
                         "Accepted, stored and reported, and not yet done: compaction (a topic "
                         "with `compact` in its policy is\n"
                         "never cut by retention), `preallocate`, throttling and tiering. With one "
                         "replica `min.insync.replicas`\n"
                         "is always met.\n\n"
                         "Compressed batches are kept as they came, and only their header is "
                         "checked, unless the topic is\n"
                         "compacted, has a `compression.type` of its own, or "
                         "`refbroker.validate=deep`: then they are expanded,\n"
                         "and one that expands to more than 64 MiB is refused.\n\n");
    add_table(page, &topic_config_table, topic_config_facts);
}
