/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Creates, lists, describes, alters and deletes topics, in the manner of Kafka's topic tool. */

#include "tools/admin.h"
#include "tools/pattern.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SOURCE = 5 }; /* of FERRY_FIELD_SOURCE */

static struct opt opts[] = {
    {"--create", 0, "create topics", 0, 0},
    {"--list", 0, "print the names of all topics", 0, 0},
    {"--describe", 0, "print partitions, leaders and settings", 0, 0},
    {"--alter", 0, "add partitions (--partitions) or change settings (--config, --delete-config)",
     0, 0},
    {"--delete", 0, "delete topics", 0, 0},
    {"--topic", "NAME,...",
     "which topics; may be repeated; but with --create also a regular expression (see below)", "-t",
     1},
    {"--topic-id", "ID", "with --describe: the topic of this id", 0, 0},
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
    {"--topics-with-overrides", 0,
     "with --describe: only topics with settings of their own, without partitions", 0, 0},
    {"--under-replicated-partitions", 0,
     "with --describe: only partitions with fewer replicas in sync than there are", 0, 0},
    {"--under-min-isr-partitions", 0,
     "with --describe: only partitions with fewer than min.insync.replicas in sync", 0, 0},
    {"--at-min-isr-partitions", 0,
     "with --describe: only partitions with just min.insync.replicas in sync", 0, 0},
    {"--unavailable-partitions", 0, "with --describe: only partitions whose leader is not there", 0,
     0},
    {"--partition-size-limit-per-response", "N", "accepted; a description comes in one piece", 0,
     0},
    {"--command-config", "FILE", "client settings from a properties file", 0, 0},
    {"--timeout-ms", "MS", "how long a call may take (default 30000)", 0, 0},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-topics", "Creates, lists, describes, alters and deletes topics.", opts,
    "--topic is a name if it has only the characters of names (with a dot that is a dot: for "
    "Kafka's tool it matches any\n"
    "character). Anything else is a POSIX extended regular expression, with Java's \\d and (?:), "
    "that must match the whole\n"
    "name: 'events-.*'.\n"
    "--describe prints what Kafka's tool prints; Elr and LastKnownElr are N/A, as there from a "
    "broker that does not tell.\n"
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

/* "1:2,2:3": the nodes of partition 0, 1, ...; those before `first` are there already. Returns how many partitions. */
static int32_t add_assignment(struct ferry_admin *call, const char *text, int32_t first)
{
    int32_t nodes[64], count = 0, partition = 0;
    for (const char *p = text;; p++) {
        char *end;
        nodes[count++] = (int32_t)strtol(p, &end, 10);
        if (end == p || (*end && *end != ':' && *end != ',') || count == 64)
            opt_usage(&program, "--replica-assignment %s: expected node ids such as 1:2,2:3", text);
        p = end;
        if (*p != ':') {
            if (call && partition >= first)
                ferry_admin_add_assignment(call, partition, nodes, count);
            partition++;
            count = 0;
        }
        if (!*p)
            return partition;
    }
}

/* Says an item's error; EXIT_FAILED. */
static int say(const struct ferry_admin_item *item)
{
    const char *name = ferry_admin_text(item, FERRY_FIELD_NAME);
    if (ferry_admin_int(item, FERRY_FIELD_ERROR, 0) != FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION)
        return admin_say(&program, item, name);
    opt_say(&program, "topic '%s' does not exist", name ? name : "?");
    return EXIT_FAILED;
}

/* With --if-exists, that a topic is gone meanwhile is no error. */
static int32_t forgiven(void)
{
    return opt_given(&program, "--if-exists") ? FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : 0;
}

/* Says each item's error but the code `let`; the exit code. */
static int finish(struct ferry_admin *call, int32_t let, const char *done)
{
    int status = EXIT_DONE;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *item = ferry_admin_item(call, i);
        int32_t code = (int32_t)ferry_admin_int(item, FERRY_FIELD_ERROR, 0);
        const char *name = ferry_admin_text(item, FERRY_FIELD_NAME);
        if (!code && done)
            printf("%s topic %s.\n", done, name);
        else if (code && code != let)
            status = say(item);
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
            add_assignment(call, assignment, 0);
        add_configs(call);
    }
    if (!admin_run(&program, call, handle))
        return EXIT_FAILED;
    return finish(call,
                  opt_given(&program, "--if-not-exists") ? FERRY_KAFKA_TOPIC_ALREADY_EXISTS : 0,
                  "Created");
}

static struct ferry_admin *describe_topics(struct ferry_handle *handle,
                                           const struct admin_names *topics)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    for (size_t i = 0; i < topics->count; i++)
        ferry_admin_add_name(call, topics->names[i]);
    return admin_run(&program, call, handle) ? call : NULL;
}

static int add_partitions(struct ferry_handle *handle, const struct admin_names *topics)
{
    const char *assignment = opt_get(&program, "--replica-assignment")->text;
    int32_t wanted = (int32_t)opt_number(&program, "--partitions", 1, INT32_MAX, 1);
    struct ferry_admin *now = assignment ? describe_topics(handle, topics) : NULL;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_PARTITIONS);
    if (assignment && !now) {
        ferry_admin_free(call);
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < topics->count; i++) {
        ferry_admin_add_topic(call, topics->names[i], wanted, -1);
        if (assignment)
            add_assignment(
                call, assignment,
                ferry_admin_list_count(ferry_admin_item(now, (int32_t)i), FERRY_FIELD_PARTITIONS));
    }
    ferry_admin_free(now);
    return admin_run(&program, call, handle) ? finish(call, forgiven(), NULL) : EXIT_FAILED;
}

static int alter(struct ferry_handle *handle, const struct admin_names *topics)
{
    int status = opt_given(&program, "--partitions") ? add_partitions(handle, topics) : EXIT_DONE;
    if (status == EXIT_DONE &&
        (opt_given(&program, "--config") || opt_given(&program, "--delete-config"))) {
        struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_ALTER_CONFIGS);
        for (size_t i = 0; i < topics->count; i++) {
            ferry_admin_add_resource(call, FERRY_RESOURCE_TOPIC, topics->names[i]);
            add_configs(call);
        }
        status = admin_run(&program, call, handle) ? finish(call, forgiven(), NULL) : EXIT_FAILED;
    }
    return status;
}

static int delete (struct ferry_handle *handle, const struct admin_names *topics)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_TOPICS);
    for (size_t i = 0; i < topics->count; i++)
        ferry_admin_add_name(call, topics->names[i]);
    return admin_run(&program, call, handle) ? finish(call, forgiven(), NULL) : EXIT_FAILED;
}

static int list(struct ferry_handle *handle, const struct admin_names *topics)
{
    (void)handle;
    for (size_t i = 0; i < topics->count; i++)
        printf("%s\n", topics->names[i]);
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

/* Settings that are not the built-in defaults, as "a=b,c=d": the topic's own and those that the broker was given.
 * Returns how many; prints them only if `print`. */
static int32_t put_configs(const struct ferry_admin_item *resource, bool print)
{
    const char *comma = "";
    int32_t count = 0;
    for (int32_t i = 0; i < ferry_admin_list_count(resource, FERRY_FIELD_CONFIGS); i++) {
        const struct ferry_admin_item *c = ferry_admin_list_item(resource, FERRY_FIELD_CONFIGS, i);
        const char *value = ferry_admin_text(c, FERRY_FIELD_VALUE);
        if (ferry_admin_int(c, FERRY_FIELD_SOURCE, DEFAULT_SOURCE) == DEFAULT_SOURCE)
            continue;
        count++;
        if (print)
            printf("%s%s=%s", comma, ferry_admin_text(c, FERRY_FIELD_NAME), value ? value : "");
        comma = ",";
    }
    return count;
}

/* min.insync.replicas of a topic. */
static int32_t least_in_sync(const struct ferry_admin_item *resource)
{
    for (int32_t i = 0; i < ferry_admin_list_count(resource, FERRY_FIELD_CONFIGS); i++) {
        const struct ferry_admin_item *c = ferry_admin_list_item(resource, FERRY_FIELD_CONFIGS, i);
        const char *name = ferry_admin_text(c, FERRY_FIELD_NAME),
                   *value = ferry_admin_text(c, FERRY_FIELD_VALUE);
        if (name && value && !strcmp(name, "min.insync.replicas"))
            return (int32_t)strtol(value, NULL, 10);
    }
    return 1;
}

static const char *const filters[] = {"--under-replicated-partitions", "--under-min-isr-partitions",
                                      "--at-min-isr-partitions", "--unavailable-partitions"};

static bool is_filtered(void)
{
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (opt_given(&program, filters[i]))
            return true;
    return false;
}

/* Is this partition one that the filters ask for? Without filters, every one is. */
static bool is_wanted(const struct ferry_admin_item *partition, int32_t least)
{
    int32_t replicas = 0, isr = 0;
    ferry_admin_numbers(partition, FERRY_FIELD_REPLICAS, &replicas);
    ferry_admin_numbers(partition, FERRY_FIELD_ISR, &isr);
    const bool holds[] = {isr < replicas, isr < least, isr == least,
                          ferry_admin_int(partition, FERRY_FIELD_LEADER, -1) < 0};
    if (!is_filtered())
        return true;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (holds[i] && opt_given(&program, filters[i]))
            return true;
    return false;
}

static void put_partition(const char *name, const struct ferry_admin_item *p)
{
    int64_t leader = ferry_admin_int(p, FERRY_FIELD_LEADER, -1);
    printf("\tTopic: %s\tPartition: %" PRId64 "\tLeader: ", name,
           ferry_admin_int(p, FERRY_FIELD_PARTITION, -1));
    if (leader >= 0)
        printf("%" PRId64, leader);
    else
        printf("none");
    put_nodes("Replicas", p, FERRY_FIELD_REPLICAS);
    put_nodes("Isr", p, FERRY_FIELD_ISR);
    printf("\tElr: N/A\tLastKnownElr: N/A\n");
}

static void put_topic(const struct ferry_admin_item *t, const struct ferry_admin_item *configs)
{
    const char *name = ferry_admin_text(t, FERRY_FIELD_NAME),
               *id = ferry_admin_text(t, FERRY_FIELD_ID);
    int32_t count = ferry_admin_list_count(t, FERRY_FIELD_PARTITIONS), replicas = 0;
    bool overrides = opt_given(&program, "--topics-with-overrides");
    ferry_admin_numbers(ferry_admin_list_item(t, FERRY_FIELD_PARTITIONS, 0), FERRY_FIELD_REPLICAS,
                        &replicas);
    if (!is_filtered() && (!overrides || put_configs(configs, false))) {
        printf("Topic: %s\tTopicId: %s\tPartitionCount: %" PRId32 "\tReplicationFactor: %" PRId32
               "\tConfigs: ",
               name, id ? id : "", count, replicas);
        put_configs(configs, true);
        printf("\n");
    }
    for (int32_t i = 0; i < count && !overrides; i++)
        if (is_wanted(ferry_admin_list_item(t, FERRY_FIELD_PARTITIONS, i), least_in_sync(configs)))
            put_partition(name, ferry_admin_list_item(t, FERRY_FIELD_PARTITIONS, i));
}

static int describe(struct ferry_handle *handle, const struct admin_names *topics)
{
    struct ferry_admin *call = topics->count ? describe_topics(handle, topics) : NULL,
                       *configs = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CONFIGS);
    int status = call || !topics->count ? EXIT_DONE : EXIT_FAILED;
    for (int32_t i = 0; i < ferry_admin_count(call); i++)
        if (!ferry_admin_int(ferry_admin_item(call, i), FERRY_FIELD_ERROR, 0))
            ferry_admin_add_resource(configs, FERRY_RESOURCE_TOPIC,
                                     ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME));
    if (call && ferry_admin_error_count(call) < ferry_admin_count(call) &&
        !admin_run(&program, configs, handle)) {
        ferry_admin_free(call);
        return EXIT_FAILED;
    }
    for (int32_t i = 0, shown = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *t = ferry_admin_item(call, i);
        int32_t code = (int32_t)ferry_admin_int(t, FERRY_FIELD_ERROR, 0);
        if (code && code != forgiven())
            status = say(t);
        else if (!code)
            put_topic(t, ferry_admin_item(configs, shown++));
    }
    ferry_admin_free(call);
    ferry_admin_free(configs);
    return status;
}

/* Takes every part of --topic between commas. */
static void each_part(void (*take)(struct admin_names *, const char *, size_t),
                      struct admin_names *names)
{
    struct opt *o = opt_get(&program, "--topic");
    for (size_t i = 0; i < o->count; i++)
        for (const char *at = o->all[i]; *at; at += *at == ',') {
            size_t n = strcspn(at, ",");
            if (n)
                take(names, at, n);
            at += n;
        }
}

/* A name, not an expression, that is not among the topics there are: the broker may be behind the controller, so the call
 * itself shall tell. */
static void take_missing(struct admin_names *names, const char *name, size_t len)
{
    if (!pattern_is_name(name, len) || opt_given(&program, "--if-exists") ||
        opt_given(&program, "--exclude-internal"))
        return;
    for (size_t i = 0; i < names->count; i++)
        if (strlen(names->names[i]) == len && !memcmp(names->names[i], name, len))
            return;
    admin_names_add(names, name, len);
}

/* The topics that --topic and --topic-id mean, by name; neither given: all there are. EXIT_FAILED, said, if there is none
 * and should be. */
static int find_names(struct ferry_handle *handle, const struct pattern *pattern,
                      struct admin_names *names)
{
    struct ferry_admin *call = describe_topics(handle, names);
    const char *id = opt_get(&program, "--topic-id")->text;
    if (!call)
        return EXIT_FAILED;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *t = ferry_admin_item(call, i);
        const char *name = ferry_admin_text(t, FERRY_FIELD_NAME),
                   *is = ferry_admin_text(t, FERRY_FIELD_ID);
        bool internal = ferry_admin_int(t, FERRY_FIELD_INTERNAL, 0) &&
                        opt_given(&program, "--exclude-internal");
        if (name && !internal && !ferry_admin_int(t, FERRY_FIELD_ERROR, 0) &&
            (id ? is && !strcmp(id, is) : pattern_matches(pattern, name)))
            admin_names_add(names, name, strlen(name));
    }
    if (names->count)
        qsort(names->names, names->count, sizeof *names->names, admin_compare_names);
    ferry_admin_free(call);
    if (opt_given(&program, "--list"))
        return EXIT_DONE;
    if (!id)
        each_part(take_missing, names);
    if (names->count || opt_given(&program, "--if-exists"))
        return EXIT_DONE;
    if (id)
        opt_say(&program, "there is no topic with the id '%s'", id);
    else if (pattern->given)
        opt_say(&program, "no topic matches '%s'", opt_get(&program, "--topic")->text);
    return id || pattern->given ? EXIT_FAILED : EXIT_DONE;
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
    struct admin_names topics = {0};
    if (actions[chosen].needs_topic && !opt_given(&program, "--topic"))
        opt_usage(&program, "%s needs --topic", actions[chosen].option);
    if (opt_given(&program, "--alter") && !opt_given(&program, "--partitions") &&
        !opt_given(&program, "--config") && !opt_given(&program, "--delete-config"))
        opt_usage(&program, "--alter needs --partitions, --config or --delete-config");
    if (opt_given(&program, "--replica-assignment"))
        add_assignment(NULL, opt_get(&program, "--replica-assignment")->text, 0);
    struct pattern pattern = {0};
    if (!opt_given(&program, "--create"))
        pattern_init(&pattern, &program, "--topic");
    struct ferry_handle *handle = admin_open(&program);
    int status = handle ? EXIT_DONE : EXIT_FAILED;
    if (handle && !opt_given(&program, "--create"))
        status = find_names(handle, &pattern, &topics);
    else
        each_part(admin_names_add, &topics);
    if (handle && topics.count && actions[chosen].run(handle, &topics))
        status = EXIT_FAILED;
    ferry_close(handle, 1000);
    pattern_free(&pattern);
    admin_names_free(&topics);
    return opt_finish(status);
}
