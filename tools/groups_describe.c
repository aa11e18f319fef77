/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* What a group is like: its offsets and lag, its members, its state. */

#include "tools/groups.h"
#include "tools/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        const char *topic = groups_or_dash(ferry_admin_text(p, FERRY_FIELD_TOPIC));
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

static void put_members(struct opt_program *program, const struct ferry_admin_item *g,
                        const char *group)
{
    struct table table = {0};
    bool verbose = opt_given(program, "--verbose"), instances = false;
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
static void coordinator_text(struct opt_program *program, struct ferry_handle *handle, int64_t node,
                             char *out, size_t size)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_CLUSTER);
    snprintf(out, size, "-  (%" PRId64 ")", node);
    if (!admin_run(program, call, handle))
        return;
    const struct ferry_admin_item *cluster = ferry_admin_item(call, 0);
    for (int32_t i = 0; i < ferry_admin_list_count(cluster, FERRY_FIELD_BROKERS); i++) {
        const struct ferry_admin_item *b = ferry_admin_list_item(cluster, FERRY_FIELD_BROKERS, i);
        if (ferry_admin_int(b, FERRY_FIELD_NODE, -1) == node)
            snprintf(out, size, "%s:%" PRId64 "  (%" PRId64 ")",
                     groups_or_dash(ferry_admin_text(b, FERRY_FIELD_HOST)),
                     ferry_admin_int(b, FERRY_FIELD_PORT, -1), node);
    }
    ferry_admin_free(call);
}

static void put_state(struct opt_program *program, struct ferry_handle *handle,
                      const struct ferry_admin_item *g, const char *group)
{
    struct table table = {0};
    char coordinator[320];
    bool verbose = opt_given(program, "--verbose");
    coordinator_text(program, handle, ferry_admin_int(g, FERRY_FIELD_NODE, -1), coordinator,
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
                !strcmp(groups_or_dash(ferry_admin_text(p, FERRY_FIELD_TOPIC)), topic))
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
static int32_t add_uncommitted(struct opt_program *program, struct ferry_handle *handle,
                               const struct ferry_admin_item *g, struct row *rows, size_t count,
                               struct ferry_admin **ends)
{
    int32_t more = 0;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_OFFSETS);
    for (int32_t i = 0; i < ferry_admin_list_count(g, FERRY_FIELD_MEMBERS); i++) {
        const struct ferry_admin_item *m = ferry_admin_list_item(g, FERRY_FIELD_MEMBERS, i);
        for (int32_t j = 0; j < ferry_admin_list_count(m, FERRY_FIELD_PARTITIONS); j++) {
            const struct ferry_admin_item *p = ferry_admin_list_item(m, FERRY_FIELD_PARTITIONS, j);
            const char *topic = groups_or_dash(ferry_admin_text(p, FERRY_FIELD_TOPIC));
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
    if (!admin_run(program, call, handle)) {
        *ends = NULL;
        return -1;
    }
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *o = ferry_admin_item(call, i);
        rows[count++] =
            (struct row){.topic = groups_or_dash(ferry_admin_text(o, FERRY_FIELD_TOPIC)),
                         .partition = ferry_admin_int(o, FERRY_FIELD_PARTITION, -1),
                         .epoch = -1,
                         .offset = -1,
                         .end = ferry_admin_int(o, FERRY_FIELD_OFFSET, -1),
                         .lag = -1};
    }
    return ferry_admin_count(call);
}

static void put_rows(struct opt_program *program, const struct ferry_admin_item *g,
                     const char *group, const struct row *rows, size_t count)
{
    struct table table = {0};
    bool verbose = opt_given(program, "--verbose");
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

static int put_offsets(struct opt_program *program, struct ferry_handle *handle,
                       const struct ferry_admin_item *g, const char *group)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_GROUP_LAG), *ends = NULL;
    ferry_admin_set_group(call, group);
    if (!admin_run(program, call, handle))
        return EXIT_FAILED;
    int status = EXIT_DONE;
    size_t count = 0, room = (size_t)ferry_admin_count(call) + 1;
    for (int32_t i = 0; i < ferry_admin_list_count(g, FERRY_FIELD_MEMBERS); i++)
        room += (size_t)ferry_admin_list_count(ferry_admin_list_item(g, FERRY_FIELD_MEMBERS, i),
                                               FERRY_FIELD_PARTITIONS);
    struct row *rows = calloc(room, sizeof *rows);
    for (int32_t i = 0; rows && i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *o = ferry_admin_item(call, i);
        const char *topic = groups_or_dash(ferry_admin_text(o, FERRY_FIELD_TOPIC));
        if (groups_is_failed(o))
            status = admin_say(program, o, topic);
        else
            rows[count++] = (struct row){topic,
                                         ferry_admin_int(o, FERRY_FIELD_PARTITION, -1),
                                         ferry_admin_int(o, FERRY_FIELD_LEADER_EPOCH, -1),
                                         ferry_admin_int(o, FERRY_FIELD_OFFSET, -1),
                                         ferry_admin_int(o, FERRY_FIELD_END_OFFSET, -1),
                                         ferry_admin_int(o, FERRY_FIELD_LAG, -1)};
    }
    int32_t more = rows ? add_uncommitted(program, handle, g, rows, count, &ends) : -1;
    if (more >= 0) {
        count += (size_t)more;
        qsort(rows, count, sizeof *rows, compare_rows);
        put_rows(program, g, group, rows, count);
    }
    free(rows);
    ferry_admin_free(ends);
    ferry_admin_free(call);
    return more < 0 ? EXIT_FAILED : status;
}

int groups_describe(struct opt_program *program, struct ferry_handle *handle,
                    const struct admin_names *groups)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_GROUPS);
    int status = EXIT_DONE;
    for (size_t i = 0; i < groups->count; i++)
        ferry_admin_add_name(call, groups->names[i]);
    if (!admin_run(program, call, handle))
        return EXIT_FAILED;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *g = ferry_admin_item(call, i);
        const char *name = ferry_admin_text(g, FERRY_FIELD_NAME),
                   *state = ferry_admin_text(g, FERRY_FIELD_STATE);
        if (groups_is_failed(g)) {
            status = admin_say(program, g, name);
            continue;
        }
        if (state && !strcmp(state, "Dead")) {
            opt_say(program, "Consumer group '%s' does not exist.", name);
            status = EXIT_FAILED;
            continue;
        }
        if (!ferry_admin_list_count(g, FERRY_FIELD_MEMBERS))
            opt_say(program, "Consumer group '%s' has no active members.", name);
        if (opt_given(program, "--members"))
            put_members(program, g, name);
        else if (opt_given(program, "--state"))
            put_state(program, handle, g, name);
        else if (put_offsets(program, handle, g, name))
            status = EXIT_FAILED;
    }
    ferry_admin_free(call);
    return status;
}
