/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Lists and describes consumer groups, resets and deletes their offsets, deletes them: as Kafka's consumer group tool. */

#include "tools/admin.h"
#include "tools/reset.h"
#include "tools/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct opt opts[] = {
    {"--list", 0, "print the names of all groups (with --state, --type: those too)", 0, 0},
    {"--describe", 0, "print committed offsets and lag; or --members, or --state", 0, 0},
    {"--reset-offsets", 0, "move committed offsets of groups without members", 0, 0},
    {"--delete", 0, "delete groups", 0, 0},
    {"--delete-offsets", 0, "delete committed offsets of topics", 0, 0},
    {"--group", "NAME", "which group; may be repeated", 0, 1},
    {"--all-groups", 0, "every group", 0, 0},
    {"--topic", "NAME[:N,...]",
     "reset, delete offsets: of these topics, or only of these partitions; may be repeated", 0, 1},
    {"--all-topics", 0, "reset: every topic that has a committed offset", 0, 0},
    {"--offsets", 0, "describe: offsets and lag (the default)", 0, 0},
    {"--members", 0, "describe: the members", 0, 0},
    {"--state", "[STATE,...]",
     "describe: coordinator and state; list: the state too, or only groups in these states", 0, 0},
    {"--type", "[TYPE,...]", "list: the type too, or only groups of these types: classic, consumer",
     0, 0},
    {"--verbose", 0, "describe: leader epochs; members' assignments", 0, 0},
    {"--to-earliest", 0, "reset: to the beginning of each log", 0, 0},
    {"--to-latest", 0, "reset: to the end of each log", 0, 0},
    {"--to-current", 0, "reset: to what is committed now", 0, 0},
    {"--to-offset", "N", "reset: to this offset, kept within the log", 0, 0},
    {"--shift-by", "N", "reset: so many records forward, or back if negative", 0, 0},
    {"--to-datetime", "TIME",
     "reset: to the first record at or after YYYY-MM-DDTHH:mm:SS[.sss], in UTC or with a zone such "
     "as +02:00",
     0, 0},
    {"--by-duration", "PnDTnHnMnS", "reset: to the first record not older than this", 0, 0},
    {"--from-file", "FILE", "reset: to the offsets of a file that --export wrote", 0, 0},
    {"--execute", 0, "reset: do it; without, only show what would be done", 0, 0},
    {"--dry-run", 0, "reset: only show what would be done (the default)", 0, 0},
    {"--export", 0,
     "reset: show it as [GROUP,]TOPIC,PARTITION,OFFSET lines; with the group if several are given",
     0, 0},
    {"--validate-regex", "REGEX",
     "not supported: it is for RE2, the expressions of brokers, which is not built in", 0, 0},
    {"--command-config", "FILE", "client settings from a properties file", 0, 0},
    {"--timeout-ms", "MS", "how long a call may take (default 30000)", "--timeout", 0},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-groups",
    "Lists and describes consumer groups, moves or deletes their offsets, deletes them.", opts,
    "Tables have the columns of Kafka's tool; what could not be done is said on standard error, "
    "and makes the status 1 "
    "(Kafka's: 0).\n"
    "Example: ferry-groups --bootstrap-server localhost:9092 --group g --topic t --reset-offsets "
    "--to-earliest --execute"};

static const char *or_dash(const char *text)
{
    return text && *text ? text : "-";
}

static bool is_failed(const struct ferry_admin_item *item)
{
    return ferry_admin_int(item, FERRY_FIELD_ERROR, 0) != 0;
}

/* Every group's name and state; NULL when that failed. */
static struct ferry_admin *all_groups(struct ferry_handle *handle)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_GROUPS);
    return admin_run(&program, call, handle) ? call : NULL;
}

/* Not those of other protocols, such as Kafka Connect's. */
static bool is_consumer_group(const struct ferry_admin_item *g)
{
    const char *type = ferry_admin_text(g, FERRY_FIELD_PROTOCOL_TYPE);
    return !type || !*type || !strcmp(type, "consumer");
}

/* Is `word` in an option's list? A list that was not given has every word. */
static bool is_listed(const char *option, const char *word)
{
    const char *list = opt_get(&program, option)->text;
    if (!list || !*list)
        return true;
    for (const char *at = list; *at; at += *at == ',') {
        size_t n;
        at += strspn(at, " ");
        n = strcspn(at, ", ");
        if (strlen(word) == n && !strncasecmp(at, word, n))
            return true;
        at += strcspn(at, ",");
    }
    return false;
}

/* Exits 2 for a state or type that there is not: it would only ever give an empty list. */
static void check_list(const char *option, const char *const *known)
{
    const char *list = opt_get(&program, option)->text;
    for (const char *at = list ? list : ""; *at; at += *at == ',') {
        size_t n, k = 0;
        at += strspn(at, " ");
        n = strcspn(at, ", ");
        while (known[k] && (strlen(known[k]) != n || strncasecmp(known[k], at, n)))
            k++;
        if (!known[k])
            opt_usage(&program, "%s %s: there is no %.*s", option, list, (int)n, at);
        at += strcspn(at, ",");
    }
}

static int list(struct ferry_handle *handle, const struct admin_names *groups)
{
    (void)groups;
    struct table table = {0};
    struct ferry_admin *call = all_groups(handle);
    bool state = opt_given(&program, "--state"), type = opt_given(&program, "--type");
    int status = call ? EXIT_DONE : EXIT_FAILED;
    table_column(&table, "GROUP", state || type ? 25 : 0);
    if (type)
        table_column(&table, "TYPE", 20);
    if (state)
        table_column(&table, "STATE", 20);
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *g = ferry_admin_item(call, i);
        const char *name = ferry_admin_text(g, FERRY_FIELD_NAME),
                   *is = ferry_admin_text(g, FERRY_FIELD_STATE);
        const char *kind = ferry_admin_text(g, FERRY_FIELD_VALUE_TYPE);
        if (is_failed(g)) {
            status = admin_say(&program, g, name ? name : "a broker");
            continue;
        }
        kind = kind && !strcasecmp(kind, "consumer")          ? "Consumer"
               : kind && *kind && strcasecmp(kind, "classic") ? kind
                                                              : "Classic";
        if (!is_consumer_group(g) || !is_listed("--state", or_dash(is)) ||
            !is_listed("--type", kind))
            continue;
        if (!state && !type) {
            printf("%s\n", name);
            continue;
        }
        table_text(&table, name);
        if (type)
            table_text(&table, kind);
        if (state)
            table_text(&table, is);
    }
    if (call && (state || type))
        table_print(&table);
    ferry_admin_free(call);
    return status;
}

/* "t:0,1;u:2", which the caller frees. */
static char *assignment_text(const struct ferry_admin_item *m)
{
    char *text = NULL;
    size_t size = 0;
    const char *before = NULL;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return NULL;
    for (int32_t i = 0; i < ferry_admin_list_count(m, FERRY_FIELD_PARTITIONS); i++) {
        const struct ferry_admin_item *p = ferry_admin_list_item(m, FERRY_FIELD_PARTITIONS, i);
        const char *topic = or_dash(ferry_admin_text(p, FERRY_FIELD_TOPIC));
        int64_t partition = ferry_admin_int(p, FERRY_FIELD_PARTITION, -1);
        if (before && !strcmp(before, topic))
            fprintf(to, ",%" PRId64, partition);
        else
            fprintf(to, "%s%s:%" PRId64, before ? ";" : "", topic, partition);
        before = topic;
    }
    fclose(to);
    return text;
}

static void put_members(const struct ferry_admin_item *g, const char *group)
{
    struct table table = {0};
    bool verbose = opt_given(&program, "--verbose"), instances = false;
    int32_t count = ferry_admin_list_count(g, FERRY_FIELD_MEMBERS);
    for (int32_t i = 0; i < count; i++) {
        const char *id = ferry_admin_text(ferry_admin_list_item(g, FERRY_FIELD_MEMBERS, i),
                                          FERRY_FIELD_INSTANCE_ID);
        instances = instances || (id && *id);
    }
    table_column(&table, "GROUP", 15);
    table_column(&table, "CONSUMER-ID", 15);
    if (instances)
        table_column(&table, "GROUP-INSTANCE-ID", 17);
    table_column(&table, "HOST", 15);
    table_column(&table, "CLIENT-ID", 15);
    table_column(&table, "#PARTITIONS", verbose ? 15 : 16);
    if (verbose) {
        table_column(&table, "CURRENT-EPOCH", 15);
        table_column(&table, "CURRENT-ASSIGNMENT", 20);
        table_column(&table, "TARGET-EPOCH", 15);
        table_column(&table, "TARGET-ASSIGNMENT", 20);
    }
    for (int32_t i = 0; i < count; i++) {
        const struct ferry_admin_item *m = ferry_admin_list_item(g, FERRY_FIELD_MEMBERS, i);
        table_text(&table, group);
        table_text(&table, ferry_admin_text(m, FERRY_FIELD_NAME));
        const char *instance = ferry_admin_text(m, FERRY_FIELD_INSTANCE_ID);
        if (instances && instance && *instance)
            table_text(&table, instance);
        else if (instances)
            table_blank(&table);
        table_text(&table, ferry_admin_text(m, FERRY_FIELD_HOST));
        table_text(&table, ferry_admin_text(m, FERRY_FIELD_CLIENT_ID));
        table_number(&table, ferry_admin_list_count(m, FERRY_FIELD_PARTITIONS));
        if (verbose) { /* epochs and targets are the newer group protocol's */
            char *text = assignment_text(m);
            table_text(&table, NULL);
            table_text(&table, text);
            table_text(&table, NULL);
            table_text(&table, NULL);
            free(text);
        }
    }
    printf("\n");
    table_print(&table);
}

/* "HOST:PORT  (ID)" of a node. */
static void coordinator_text(struct ferry_handle *handle, int64_t node, char *out, size_t size)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER);
    snprintf(out, size, "-  (%" PRId64 ")", node);
    if (!admin_run(&program, call, handle))
        return;
    const struct ferry_admin_item *cluster = ferry_admin_item(call, 0);
    for (int32_t i = 0; i < ferry_admin_list_count(cluster, FERRY_FIELD_BROKERS); i++) {
        const struct ferry_admin_item *b = ferry_admin_list_item(cluster, FERRY_FIELD_BROKERS, i);
        if (ferry_admin_int(b, FERRY_FIELD_NODE, -1) == node)
            snprintf(out, size, "%s:%" PRId64 "  (%" PRId64 ")",
                     or_dash(ferry_admin_text(b, FERRY_FIELD_HOST)),
                     ferry_admin_int(b, FERRY_FIELD_PORT, -1), node);
    }
    ferry_admin_free(call);
}

static void put_state(struct ferry_handle *handle, const struct ferry_admin_item *g,
                      const char *group)
{
    struct table table = {0};
    char coordinator[320];
    bool verbose = opt_given(&program, "--verbose");
    coordinator_text(handle, ferry_admin_int(g, FERRY_FIELD_NODE, -1), coordinator,
                     sizeof coordinator);
    table_column(&table, "GROUP", 15);
    table_column(&table, "COORDINATOR (ID)", 25);
    table_column(&table, "ASSIGNMENT-STRATEGY", 20);
    table_column(&table, "STATE", 20);
    if (verbose) {
        table_column(&table, "GROUP-EPOCH", 15);
        table_column(&table, "TARGET-ASSIGNMENT-EPOCH", 25);
    }
    table_column(&table, "#MEMBERS", 0);
    table_text(&table, group);
    table_text(&table, coordinator);
    table_text(&table, ferry_admin_text(g, FERRY_FIELD_PROTOCOL));
    table_text(&table, ferry_admin_text(g, FERRY_FIELD_STATE));
    if (verbose) {
        table_text(&table, NULL);
        table_text(&table, NULL);
    }
    table_number(&table, ferry_admin_list_count(g, FERRY_FIELD_MEMBERS));
    printf("\n");
    table_print(&table);
}

/* The member that consumes a partition; NULL if none does. */
static const struct ferry_admin_item *owner_of(const struct ferry_admin_item *g, const char *topic,
                                               int64_t partition)
{
    for (int32_t i = 0; i < ferry_admin_list_count(g, FERRY_FIELD_MEMBERS); i++) {
        const struct ferry_admin_item *m = ferry_admin_list_item(g, FERRY_FIELD_MEMBERS, i);
        for (int32_t j = 0; j < ferry_admin_list_count(m, FERRY_FIELD_PARTITIONS); j++) {
            const struct ferry_admin_item *p = ferry_admin_list_item(m, FERRY_FIELD_PARTITIONS, j);
            if (ferry_admin_int(p, FERRY_FIELD_PARTITION, -1) == partition &&
                !strcmp(or_dash(ferry_admin_text(p, FERRY_FIELD_TOPIC)), topic))
                return m;
        }
    }
    return NULL;
}

/* A line of the table of offsets. */
struct row {
    const char *topic;
    int64_t partition, epoch, offset, end, lag;
};

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static bool has_row(const struct row *rows, size_t count, const char *topic, int64_t partition)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].partition == partition && !strcmp(rows[i].topic, topic))
            return true;
    return false;
}

/* Partitions that members consume and for which nothing is committed; *ends is what their rows point into, for the
 * caller to free. Returns how many, or -1, said. */
static int32_t add_uncommitted(struct ferry_handle *handle, const struct ferry_admin_item *g,
                               struct row *rows, size_t count, struct ferry_admin **ends)
{
    int32_t more = 0;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_OFFSETS);
    for (int32_t i = 0; i < ferry_admin_list_count(g, FERRY_FIELD_MEMBERS); i++) {
        const struct ferry_admin_item *m = ferry_admin_list_item(g, FERRY_FIELD_MEMBERS, i);
        for (int32_t j = 0; j < ferry_admin_list_count(m, FERRY_FIELD_PARTITIONS); j++) {
            const struct ferry_admin_item *p = ferry_admin_list_item(m, FERRY_FIELD_PARTITIONS, j);
            const char *topic = or_dash(ferry_admin_text(p, FERRY_FIELD_TOPIC));
            int64_t partition = ferry_admin_int(p, FERRY_FIELD_PARTITION, -1);
            if (has_row(rows, count, topic, partition))
                continue;
            ferry_admin_add_partition(call, topic, (int32_t)partition, FERRY_ADMIN_LATEST);
            more++;
        }
    }
    *ends = call;
    if (!more)
        return 0;
    if (!admin_run(&program, call, handle)) {
        *ends = NULL;
        return -1;
    }
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *o = ferry_admin_item(call, i);
        rows[count++] = (struct row){.topic = or_dash(ferry_admin_text(o, FERRY_FIELD_TOPIC)),
                                     .partition = ferry_admin_int(o, FERRY_FIELD_PARTITION, -1),
                                     .epoch = -1,
                                     .offset = -1,
                                     .end = ferry_admin_int(o, FERRY_FIELD_OFFSET, -1),
                                     .lag = -1};
    }
    return ferry_admin_count(call);
}

static void put_rows(const struct ferry_admin_item *g, const char *group, const struct row *rows,
                     size_t count)
{
    struct table table = {0};
    bool verbose = opt_given(&program, "--verbose");
    table_column(&table, "GROUP", 15);
    table_column(&table, "TOPIC", 15);
    table_column(&table, "PARTITION", 10);
    if (verbose)
        table_column(&table, "LEADER-EPOCH", 15);
    table_column(&table, "CURRENT-OFFSET", 15);
    table_column(&table, "LOG-END-OFFSET", 15);
    table_column(&table, "LAG", 15);
    table_column(&table, "CONSUMER-ID", 15);
    table_column(&table, "HOST", 15);
    table_column(&table, "CLIENT-ID", 0);
    for (size_t i = 0; i < count; i++) {
        const struct ferry_admin_item *m = owner_of(g, rows[i].topic, rows[i].partition);
        table_text(&table, group);
        table_text(&table, rows[i].topic);
        table_number(&table, rows[i].partition);
        if (verbose)
            table_number(&table, rows[i].epoch);
        table_number(&table, rows[i].offset);
        table_number(&table, rows[i].end);
        table_number(&table, rows[i].lag);
        table_text(&table, ferry_admin_text(m, FERRY_FIELD_NAME));
        table_text(&table, ferry_admin_text(m, FERRY_FIELD_HOST));
        table_text(&table, ferry_admin_text(m, FERRY_FIELD_CLIENT_ID));
    }
    printf("\n");
    table_print(&table);
}

static int put_offsets(struct ferry_handle *handle, const struct ferry_admin_item *g,
                       const char *group)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_GROUP_LAG), *ends = NULL;
    ferry_admin_set_group(call, group);
    if (!admin_run(&program, call, handle))
        return EXIT_FAILED;
    int status = EXIT_DONE;
    size_t count = 0, room = (size_t)ferry_admin_count(call) + 1;
    for (int32_t i = 0; i < ferry_admin_list_count(g, FERRY_FIELD_MEMBERS); i++)
        room += (size_t)ferry_admin_list_count(ferry_admin_list_item(g, FERRY_FIELD_MEMBERS, i),
                                               FERRY_FIELD_PARTITIONS);
    struct row *rows = calloc(room, sizeof *rows);
    for (int32_t i = 0; rows && i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *o = ferry_admin_item(call, i);
        const char *topic = or_dash(ferry_admin_text(o, FERRY_FIELD_TOPIC));
        if (is_failed(o))
            status = admin_say(&program, o, topic);
        else
            rows[count++] = (struct row){topic,
                                         ferry_admin_int(o, FERRY_FIELD_PARTITION, -1),
                                         ferry_admin_int(o, FERRY_FIELD_LEADER_EPOCH, -1),
                                         ferry_admin_int(o, FERRY_FIELD_OFFSET, -1),
                                         ferry_admin_int(o, FERRY_FIELD_END_OFFSET, -1),
                                         ferry_admin_int(o, FERRY_FIELD_LAG, -1)};
    }
    int32_t more = rows ? add_uncommitted(handle, g, rows, count, &ends) : -1;
    if (more >= 0) {
        count += (size_t)more;
        qsort(rows, count, sizeof *rows, compare_rows);
        put_rows(g, group, rows, count);
    }
    free(rows);
    ferry_admin_free(ends);
    ferry_admin_free(call);
    return more < 0 ? EXIT_FAILED : status;
}

static int describe(struct ferry_handle *handle, const struct admin_names *groups)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_GROUPS);
    int status = EXIT_DONE;
    for (size_t i = 0; i < groups->count; i++)
        ferry_admin_add_name(call, groups->names[i]);
    if (!admin_run(&program, call, handle))
        return EXIT_FAILED;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *g = ferry_admin_item(call, i);
        const char *name = ferry_admin_text(g, FERRY_FIELD_NAME),
                   *state = ferry_admin_text(g, FERRY_FIELD_STATE);
        if (is_failed(g)) {
            status = admin_say(&program, g, name);
            continue;
        }
        if (state && !strcmp(state, "Dead")) {
            opt_say(&program, "Consumer group '%s' does not exist.", name);
            status = EXIT_FAILED;
            continue;
        }
        if (!ferry_admin_list_count(g, FERRY_FIELD_MEMBERS))
            opt_say(&program, "Consumer group '%s' has no active members.", name);
        if (opt_given(&program, "--members"))
            put_members(g, name);
        else if (opt_given(&program, "--state"))
            put_state(handle, g, name);
        else if (put_offsets(handle, g, name))
            status = EXIT_FAILED;
    }
    ferry_admin_free(call);
    return status;
}

static int delete (struct ferry_handle *handle, const struct admin_names *groups)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_GROUPS);
    int status = EXIT_DONE;
    const char *comma = "";
    for (size_t i = 0; i < groups->count; i++)
        ferry_admin_add_name(call, groups->names[i]);
    if (!admin_run(&program, call, handle))
        return EXIT_FAILED;
    for (int32_t i = 0; i < ferry_admin_count(call); i++)
        if (is_failed(ferry_admin_item(call, i)))
            status = admin_say(&program, ferry_admin_item(call, i),
                               ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME));
    if (ferry_admin_error_count(call) < ferry_admin_count(call)) {
        printf(status ? "\nThese consumer groups were deleted successfully: "
                      : "Deletion of requested consumer groups (");
        for (int32_t i = 0; i < ferry_admin_count(call); i++) {
            if (is_failed(ferry_admin_item(call, i)))
                continue;
            printf("%s'%s'", comma, ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME));
            comma = ", ";
        }
        printf(status ? "\n" : ") was successful.\n");
    }
    ferry_admin_free(call);
    return status;
}

static int delete_offsets_of(struct ferry_handle *handle, const char *group)
{
    struct table table = {0};
    struct reset_list parts = {0};
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_GROUP_OFFSETS);
    int status = EXIT_DONE;
    bool ran = reset_select(&program, handle, group, &parts);
    ferry_admin_set_group(call, group);
    for (size_t k = 0; k < parts.count; k++)
        ferry_admin_add_partition(call, parts.items[k].topic, parts.items[k].partition, 0);
    reset_free(&parts);
    if (!ran) {
        ferry_admin_free(call);
        return EXIT_FAILED;
    }
    if (!admin_run(&program, call, handle))
        return EXIT_FAILED;
    table_column(&table, "TOPIC", 15);
    table_column(&table, "PARTITION", 10);
    table_column(&table, "STATUS", 15);
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *item = ferry_admin_item(call, i);
        char failure[80];
        snprintf(failure, sizeof failure, "Error: %s",
                 ferry_error_name((int32_t)ferry_admin_int(item, FERRY_FIELD_ERROR, 0)));
        table_text(&table, ferry_admin_text(item, FERRY_FIELD_TOPIC));
        table_number(&table, ferry_admin_int(item, FERRY_FIELD_PARTITION, -1));
        table_text(&table, is_failed(item) ? failure : "Successful");
        if (is_failed(item))
            status = admin_say(&program, item, ferry_admin_text(item, FERRY_FIELD_TOPIC));
    }
    if (status)
        printf("\n");
    else
        printf("Request succeeded for deleting offsets from group %s.\n\n", group);
    table_print(&table);
    ferry_admin_free(call);
    return status;
}

static int delete_offsets(struct ferry_handle *handle, const struct admin_names *groups)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < groups->count; i++)
        if (delete_offsets_of(handle, groups->names[i]))
            status = EXIT_FAILED;
    return status;
}

/* Only a group that nobody is in may be reset; false, said, for another. */
static bool is_inactive(struct ferry_handle *handle, const char *group)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_GROUPS);
    ferry_admin_add_name(call, group);
    if (!admin_run(&program, call, handle))
        return false;
    const struct ferry_admin_item *g = ferry_admin_item(call, 0);
    const char *state = ferry_admin_text(g, FERRY_FIELD_STATE);
    bool none = ferry_admin_int(g, FERRY_FIELD_ERROR, 0) == FERRY_KAFKA_GROUP_ID_NOT_FOUND;
    bool ok =
        none || (!is_failed(g) && state && (!strcmp(state, "Empty") || !strcmp(state, "Dead")));
    if (!ok && is_failed(g))
        admin_say(&program, g, group);
    else if (!ok)
        opt_say(&program,
                "Assignments can only be reset if the group '%s' is inactive, but the current "
                "state is %s.",
                group, or_dash(state));
    ferry_admin_free(call);
    return ok;
}

static bool commit(struct ferry_handle *handle, const char *group, const struct reset_list *parts)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_ALTER_GROUP_OFFSETS);
    bool ok = true;
    ferry_admin_set_group(call, group);
    for (size_t k = 0; k < parts->count; k++)
        ferry_admin_add_partition(call, parts->items[k].topic, parts->items[k].partition,
                                  parts->items[k].offset);
    if (!parts->count) {
        ferry_admin_free(call);
        return true;
    }
    if (!admin_run(&program, call, handle))
        return false;
    for (int32_t k = 0; k < ferry_admin_count(call); k++)
        if (is_failed(ferry_admin_item(call, k))) {
            admin_say(&program, ferry_admin_item(call, k),
                      ferry_admin_text(ferry_admin_item(call, k), FERRY_FIELD_TOPIC));
            ok = false;
        }
    ferry_admin_free(call);
    return ok;
}

static int reset(struct ferry_handle *handle, const struct admin_names *groups)
{
    int status = EXIT_DONE;
    struct table table = {0};
    bool execute = opt_given(&program, "--execute"), export = opt_given(&program, "--export");
    table_column(&table, "GROUP", 15);
    table_column(&table, "TOPIC", 15);
    table_column(&table, "PARTITION", 10);
    table_column(&table, "NEW-OFFSET", 0);
    for (size_t i = 0; i < groups->count; i++) {
        struct reset_list parts = {0};
        const char *group = groups->names[i];
        bool ok = is_inactive(handle, group) &&
                  reset_choose(&program, handle, group, groups->count > 1, &parts) &&
                  (!execute || commit(handle, group, &parts));
        if (!ok)
            status = EXIT_FAILED;
        for (size_t k = 0; ok && k < parts.count; k++) {
            if (export) {
                printf("%s%s%s,%" PRId32 ",%" PRId64 "\n", groups->count > 1 ? group : "",
                       groups->count > 1 ? "," : "", parts.items[k].topic, parts.items[k].partition,
                       parts.items[k].offset);
                continue;
            }
            table_text(&table, group);
            table_text(&table, parts.items[k].topic);
            table_number(&table, parts.items[k].partition);
            table_number(&table, parts.items[k].offset);
        }
        reset_free(&parts);
    }
    if (!export) {
        printf("\n");
        table_print(&table);
    }
    if (!execute && !opt_given(&program, "--dry-run"))
        opt_say(&program, "nothing was changed: give --execute to do it");
    return status;
}

/* --all-groups, as a list of names. */
static bool name_all(struct ferry_handle *handle, struct admin_names *groups)
{
    struct ferry_admin *call = all_groups(handle);
    if (!call)
        return false;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const char *name = ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME);
        if (name && !is_failed(ferry_admin_item(call, i)) &&
            is_consumer_group(ferry_admin_item(call, i)))
            admin_names_add(groups, name, strlen(name));
    }
    ferry_admin_free(call);
    return true;
}

/* Exits 2 where options contradict each other. */
static void check_options(bool resets)
{
    static const char *const states[] = {
        "PreparingRebalance", "CompletingRebalance", "Stable",   "Dead",    "Empty",
        "Assigning",          "Reconciling",         "NotReady", "Unknown", NULL};
    static const char *const types[] = {"Classic", "Consumer", NULL};
    int views = opt_given(&program, "--offsets") + opt_given(&program, "--members") +
                opt_given(&program, "--state");
    if (opt_given(&program, "--list")) {
        check_list("--state", states);
        check_list("--type", types);
    }
    if (opt_given(&program, "--describe") && views > 1)
        opt_usage(&program, "give one of --offsets, --members, --state");
    if (opt_given(&program, "--group") && opt_given(&program, "--all-groups"))
        opt_usage(&program, "--group and --all-groups do not go together");
    if (resets && opt_given(&program, "--execute") && opt_given(&program, "--dry-run"))
        opt_usage(&program, "--execute and --dry-run do not go together");
    if (opt_given(&program, "--delete-offsets") && !opt_given(&program, "--topic"))
        opt_usage(&program, "--delete-offsets needs --topic");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *option;
        int (*run)(struct ferry_handle *, const struct admin_names *);
    } actions[] = {{"--list", list},
                   {"--describe", describe},
                   {"--reset-offsets", reset},
                   {"--delete", delete},
                   {"--delete-offsets", delete_offsets}};
    size_t chosen = 5, given = 0;
    opt_parse(&program, argc, argv);
    for (size_t i = 0; i < 5; i++)
        if (opt_given(&program, actions[i].option)) {
            chosen = i;
            given++;
        }
    if (given != 1)
        opt_usage(&program,
                  "give one of --list, --describe, --reset-offsets, --delete, --delete-offsets");
    struct admin_names groups = {0};
    for (size_t i = 0; i < opt_get(&program, "--group")->count; i++)
        admin_names_add(&groups, opt_get(&program, "--group")->all[i],
                        strlen(opt_get(&program, "--group")->all[i]));
    check_options(chosen == 2);
    if (chosen != 0 && !groups.count && !opt_given(&program, "--all-groups"))
        opt_usage(&program, "%s needs --group or --all-groups", actions[chosen].option);
    if (chosen == 2)
        reset_check(&program);
    struct ferry_handle *handle = admin_open(&program);
    int status = EXIT_FAILED;
    if (handle &&
        (!opt_given(&program, "--all-groups") || groups.count || name_all(handle, &groups)))
        status = actions[chosen].run(handle, &groups);
    ferry_close(handle, 1000);
    admin_names_free(&groups);
    return opt_finish(status);
}
