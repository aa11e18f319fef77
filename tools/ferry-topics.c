/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Creates, lists, describes, alters and deletes topics, in the manner of Kafka's topic tool. */

#include "tools/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct opt opts[] = {
    {"--create", 0, "create topics", 0, 0},
    {"--list", 0, "print the names of all topics", 0, 0},
    {"--describe", 0, "print partitions, leaders and settings", 0, 0},
    {"--alter", 0, "add partitions (--partitions) or change settings (--config, --delete-config)",
     0, 0},
    {"--delete", 0, "delete topics", 0, 0},
    {"--topic", "NAME,...", "which topics; may be repeated", "-t", 1},
    {"--partitions", "N", "how many partitions; default: the broker's", 0, 0},
    {"--replication-factor", "N", "replicas of each partition; default: the broker's", 0, 0},
    {"--replica-assignment", "LIST",
     "nodes of each partition: \"1:2,2:3\" is two partitions on two nodes each", 0, 0},
    {"--config", "KEY=VALUE", "a setting of the topic; may be repeated", 0, 1},
    {"--delete-config", "KEY", "back to the default; may be repeated", 0, 1},
    {"--if-not-exists", 0, "with --create: a topic that is there already is no failure", 0, 0},
    {"--if-exists", 0,
     "with --alter, --delete, --describe: a topic that is not there is no failure", 0, 0},
    {"--exclude-internal", 0, "leave out the brokers' own topics", 0, 0},
    {"--command-config", "FILE", "client settings from a properties file", 0, 0},
    {"--timeout-ms", "MS", "how long a call may take (default 30000)", 0, 0},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-topics", "Creates, lists, describes, alters and deletes topics.", opts,
    "Example: ferry-topics --bootstrap-server localhost:9092 --create --topic events --partitions "
    "6 --config retention.ms=3600000"};

static void add_configs(struct ferry_admin *call)
{
    struct opt *o = opt_get(&program, "--config");
    for (size_t i = 0; i < o->count; i++) {
        char key[256];
        size_t n = strcspn(o->all[i], "=");
        if (!o->all[i][n] || n >= sizeof key)
            opt_usage(&program, "--config %s: expected KEY=VALUE", o->all[i]);
        snprintf(key, sizeof key, "%.*s", (int)n, o->all[i]);
        ferry_admin_add_config(call, key, o->all[i] + n + 1, FERRY_CONFIG_SET);
    }
    o = opt_get(&program, "--delete-config");
    for (size_t i = 0; i < o->count; i++)
        ferry_admin_add_config(call, o->all[i], NULL, FERRY_CONFIG_DELETE);
}

/* "1:2,2:3": the nodes of partition 0, 1, ... Returns how many partitions. */
static int32_t add_assignment(struct ferry_admin *call, const char *text)
{
    int32_t nodes[64], count = 0, partition = 0;
    for (const char *p = text;; p++) {
        char *end;
        nodes[count++] = (int32_t)strtol(p, &end, 10);
        if (end == p || (*end && *end != ':' && *end != ',') || count == 64)
            opt_usage(&program, "--replica-assignment %s: expected node ids such as 1:2,2:3", text);
        p = end;
        if (*p != ':') {
            if (call)
                ferry_admin_add_assignment(call, partition, nodes, count);
            partition++;
            count = 0;
        }
        if (!*p)
            return partition;
    }
}

/* Says each item's error but the forgiven one; the exit code. */
static int finish(struct ferry_admin *call, int32_t forgiven, const char *done)
{
    int status = EXIT_DONE;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *item = ferry_admin_item(call, i);
        int32_t code = (int32_t)ferry_admin_int(item, FERRY_FIELD_ERROR, 0);
        const char *name = ferry_admin_text(item, FERRY_FIELD_NAME);
        if (!code && done)
            printf("%s topic %s.\n", done, name);
        else if (code && code != forgiven)
            status = admin_say(&program, item, name);
    }
    ferry_admin_free(call);
    return status;
}

static int create(struct ferry_handle *handle, const struct admin_names *topics)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
    const char *assignment = opt_get(&program, "--replica-assignment")->text;
    int32_t partitions = (int32_t)opt_number(&program, "--partitions", 1, INT32_MAX, -1);
    int32_t replicas = (int32_t)opt_number(&program, "--replication-factor", 1, INT16_MAX, -1);
    for (size_t i = 0; i < topics->count; i++) {
        ferry_admin_add_topic(call, topics->names[i], assignment ? -1 : partitions,
                              assignment ? -1 : replicas);
        if (assignment)
            add_assignment(call, assignment);
        add_configs(call);
    }
    if (!admin_run(&program, call, handle))
        return EXIT_FAILED;
    return finish(call,
                  opt_given(&program, "--if-not-exists") ? FERRY_KAFKA_TOPIC_ALREADY_EXISTS : 0,
                  "Created");
}

static int alter(struct ferry_handle *handle, const struct admin_names *topics)
{
    int32_t forgiven =
        opt_given(&program, "--if-exists") ? FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : 0;
    int status = EXIT_DONE;
    if (opt_given(&program, "--partitions")) {
        struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_PARTITIONS);
        for (size_t i = 0; i < topics->count; i++)
            ferry_admin_add_topic(call, topics->names[i],
                                  (int32_t)opt_number(&program, "--partitions", 1, INT32_MAX, 1),
                                  -1);
        status =
            admin_run(&program, call, handle) ? finish(call, forgiven, "Altered") : EXIT_FAILED;
    }
    if (status == EXIT_DONE &&
        (opt_given(&program, "--config") || opt_given(&program, "--delete-config"))) {
        struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_ALTER_CONFIGS);
        for (size_t i = 0; i < topics->count; i++) {
            ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, topics->names[i]);
            add_configs(call);
        }
        status =
            admin_run(&program, call, handle) ? finish(call, forgiven, "Altered") : EXIT_FAILED;
    }
    return status;
}

static int delete (struct ferry_handle *handle, const struct admin_names *topics)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_TOPICS);
    for (size_t i = 0; i < topics->count; i++)
        ferry_admin_add_name(call, topics->names[i]);
    if (!admin_run(&program, call, handle))
        return EXIT_FAILED;
    return finish(call,
                  opt_given(&program, "--if-exists") ? FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : 0,
                  NULL);
}

static struct ferry_admin *describe_topics(struct ferry_handle *handle,
                                           const struct admin_names *topics)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    for (size_t i = 0; i < topics->count; i++)
        ferry_admin_add_name(call, topics->names[i]);
    return admin_run(&program, call, handle) ? call : NULL;
}

static bool left_out(const struct ferry_admin_item *topic)
{
    return opt_given(&program, "--exclude-internal") &&
           ferry_admin_int(topic, FERRY_FIELD_INTERNAL, 0);
}

static int list(struct ferry_handle *handle, const struct admin_names *topics)
{
    struct ferry_admin *call = describe_topics(handle, topics);
    if (!call)
        return EXIT_FAILED;
    size_t n = 0;
    const char **names = calloc((size_t)ferry_admin_count(call) + 1, sizeof *names);
    for (int32_t i = 0; names && i < ferry_admin_count(call); i++)
        if (!ferry_admin_int(ferry_admin_item(call, i), FERRY_FIELD_ERROR, 0) &&
            !left_out(ferry_admin_item(call, i)))
            names[n++] = ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME);
    qsort(names, n, sizeof *names, admin_compare_names);
    for (size_t i = 0; i < n; i++)
        printf("%s\n", names[i]);
    free(names);
    ferry_admin_free(call);
    return EXIT_DONE;
}

static void put_nodes(const char *label, const struct ferry_admin_item *item, int32_t field)
{
    int32_t n = 0;
    const int32_t *nodes = ferry_admin_numbers(item, field, &n);
    printf("\t%s: ", label);
    for (int32_t i = 0; i < n; i++)
        printf("%s%" PRId32, i ? "," : "", nodes[i]);
}

/* Settings that were made for the topic itself, as "a=b,c=d". */
static void put_configs(const struct ferry_admin_item *resource)
{
    const char *comma = "";
    for (int32_t i = 0; i < ferry_admin_list_count(resource, FERRY_FIELD_CONFIGS); i++) {
        const struct ferry_admin_item *c = ferry_admin_list_item(resource, FERRY_FIELD_CONFIGS, i);
        const char *value = ferry_admin_text(c, FERRY_FIELD_VALUE);
        if (ferry_admin_int(c, FERRY_FIELD_SOURCE, 0) != 1)
            continue;
        printf("%s%s=%s", comma, ferry_admin_text(c, FERRY_FIELD_NAME), value ? value : "");
        comma = ",";
    }
}

static void put_topic(const struct ferry_admin_item *t, const struct ferry_admin_item *configs)
{
    const char *name = ferry_admin_text(t, FERRY_FIELD_NAME),
               *id = ferry_admin_text(t, FERRY_FIELD_ID);
    int32_t count = ferry_admin_list_count(t, FERRY_FIELD_PARTITIONS), replicas = 0;
    ferry_admin_numbers(ferry_admin_list_item(t, FERRY_FIELD_PARTITIONS, 0), FERRY_FIELD_REPLICAS,
                        &replicas);
    printf("Topic: %s\tTopicId: %s\tPartitionCount: %" PRId32 "\tReplicationFactor: %" PRId32
           "\tConfigs: ",
           name, id ? id : "", count, replicas);
    put_configs(configs);
    printf("\n");
    for (int32_t i = 0; i < count; i++) {
        const struct ferry_admin_item *p = ferry_admin_list_item(t, FERRY_FIELD_PARTITIONS, i);
        int64_t leader = ferry_admin_int(p, FERRY_FIELD_LEADER, -1);
        printf("\tTopic: %s\tPartition: %" PRId64 "\tLeader: ", name,
               ferry_admin_int(p, FERRY_FIELD_PARTITION, -1));
        if (leader >= 0)
            printf("%" PRId64, leader);
        else
            printf("none");
        put_nodes("Replicas", p, FERRY_FIELD_REPLICAS);
        put_nodes("Isr", p, FERRY_FIELD_ISR);
        printf("\n");
    }
}

static int describe(struct ferry_handle *handle, const struct admin_names *topics)
{
    struct ferry_admin *call = describe_topics(handle, topics),
                       *configs = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CONFIGS);
    int32_t forgiven =
        opt_given(&program, "--if-exists") ? FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : 0;
    int status = EXIT_DONE;
    if (!call)
        return EXIT_FAILED;
    for (int32_t i = 0; i < ferry_admin_count(call); i++)
        if (!ferry_admin_int(ferry_admin_item(call, i), FERRY_FIELD_ERROR, 0))
            ferry_admin_add_resource(configs, FERRY_RESOURCE_TOPIC,
                                     ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME));
    if (ferry_admin_error_count(call) < ferry_admin_count(call) &&
        !admin_run(&program, configs, handle)) {
        ferry_admin_free(call);
        return EXIT_FAILED;
    }
    for (int32_t i = 0, shown = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *t = ferry_admin_item(call, i);
        int32_t code = (int32_t)ferry_admin_int(t, FERRY_FIELD_ERROR, 0);
        if (code && code != forgiven)
            status = admin_say(&program, t, ferry_admin_text(t, FERRY_FIELD_NAME));
        if (code)
            continue;
        const struct ferry_admin_item *c = ferry_admin_item(configs, shown++);
        if (!left_out(t))
            put_topic(t, c);
    }
    ferry_admin_free(call);
    ferry_admin_free(configs);
    return status;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *option;
        int (*run)(struct ferry_handle *, const struct admin_names *);
        bool needs_topic;
    } actions[] = {{"--create", create, true},
                   {"--list", list, false},
                   {"--describe", describe, false},
                   {"--alter", alter, true},
                   {"--delete", delete, true}};
    opt_parse(&program, argc, argv);
    size_t chosen = 5, given = 0;
    for (size_t i = 0; i < 5; i++)
        if (opt_given(&program, actions[i].option)) {
            chosen = i;
            given++;
        }
    if (given != 1)
        opt_usage(&program, "give one of --create, --list, --describe, --alter, --delete");
    struct admin_names topics = admin_names(&program, "--topic");
    if (actions[chosen].needs_topic && !topics.count)
        opt_usage(&program, "%s needs --topic", actions[chosen].option);
    if (opt_given(&program, "--alter") && !opt_given(&program, "--partitions") &&
        !opt_given(&program, "--config") && !opt_given(&program, "--delete-config"))
        opt_usage(&program, "--alter needs --partitions, --config or --delete-config");
    if (opt_given(&program, "--replica-assignment"))
        add_assignment(NULL, opt_get(&program, "--replica-assignment")->text);
    struct ferry_handle *handle = admin_open(&program);
    int status = handle ? actions[chosen].run(handle, &topics) : EXIT_FAILED;
    ferry_close(handle, 1000);
    admin_names_free(&topics);
    return opt_finish(status);
}
