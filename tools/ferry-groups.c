/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Lists and describes consumer groups, resets and deletes their offsets, deletes them: as Kafka's consumer group tool. */

#include "tools/admin.h"
#include "tools/reset.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct opt opts[] = {
    {"--list", 0, "print the names of all groups (with --state: their states too)", 0, 0},
    {"--describe", 0, "print committed offsets and lag; or --members, or --state", 0, 0},
    {"--reset-offsets", 0, "move committed offsets of groups without members", 0, 0},
    {"--delete", 0, "delete groups", 0, 0},
    {"--delete-offsets", 0, "delete committed offsets of topics", 0, 0},
    {"--group", "NAME,...", "which groups; may be repeated", 0, 1},
    {"--all-groups", 0, "every group", 0, 0},
    {"--topic", "NAME[:N,...]",
     "reset, delete offsets: of these topics, or only of these partitions; may be repeated", 0, 1},
    {"--all-topics", 0, "reset: every topic that has a committed offset", 0, 0},
    {"--offsets", 0, "describe: offsets and lag (the default)", 0, 0},
    {"--members", 0, "describe: the members", 0, 0},
    {"--state", 0, "describe: coordinator and state; list: the state too", 0, 0},
    {"--to-earliest", 0, "reset: to the beginning of each log", 0, 0},
    {"--to-latest", 0, "reset: to the end of each log", 0, 0},
    {"--to-current", 0, "reset: to what is committed now", 0, 0},
    {"--to-offset", "N", "reset: to this offset, kept within the log", 0, 0},
    {"--shift-by", "N", "reset: so many records forward, or back if negative", 0, 0},
    {"--to-datetime", "TIME",
     "reset: to the first record at or after YYYY-MM-DDTHH:mm:SS[.sss] (UTC)", 0, 0},
    {"--by-duration", "PnDTnHnMnS", "reset: to the first record not older than this", 0, 0},
    {"--execute", 0, "reset: do it; without, only show what would be done", 0, 0},
    {"--dry-run", 0, "reset: only show what would be done (the default)", 0, 0},
    {"--command-config", "FILE", "client settings from a properties file", 0, 0},
    {"--timeout-ms", "MS", "how long a call may take (default 30000)", "--timeout", 0},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-groups",
    "Lists and describes consumer groups, moves or deletes their offsets, deletes them.", opts,
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

static int list(struct ferry_handle *handle, const struct admin_names *groups)
{
    (void)groups;
    struct ferry_admin *call = all_groups(handle);
    int status = EXIT_DONE;
    if (!call)
        return EXIT_FAILED;
    bool state = opt_given(&program, "--state");
    if (state)
        printf("%-40s %s\n", "GROUP", "STATE");
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *g = ferry_admin_item(call, i);
        const char *name = ferry_admin_text(g, FERRY_FIELD_NAME);
        if (is_failed(g))
            status = admin_say(&program, g, name);
        else if (state)
            printf("%-40s %s\n", name, or_dash(ferry_admin_text(g, FERRY_FIELD_STATE)));
        else
            printf("%s\n", name);
    }
    ferry_admin_free(call);
    return status;
}

static void put_members(const struct ferry_admin_item *g, const char *group)
{
    printf("\n%-24s %-60s %-16s %-24s %s\n", "GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID",
           "#PARTITIONS");
    for (int32_t i = 0; i < ferry_admin_list_count(g, FERRY_FIELD_MEMBERS); i++) {
        const struct ferry_admin_item *m = ferry_admin_list_item(g, FERRY_FIELD_MEMBERS, i);
        printf("%-24s %-60s %-16s %-24s %" PRId32 "\n", group,
               or_dash(ferry_admin_text(m, FERRY_FIELD_NAME)),
               or_dash(ferry_admin_text(m, FERRY_FIELD_HOST)),
               or_dash(ferry_admin_text(m, FERRY_FIELD_CLIENT_ID)),
               ferry_admin_list_count(m, FERRY_FIELD_PARTITIONS));
    }
}

static void put_state(const struct ferry_admin_item *g, const char *group)
{
    printf("\n%-24s %-16s %-24s %-20s %s\n", "GROUP", "COORDINATOR", "ASSIGNMENT-STRATEGY", "STATE",
           "#MEMBERS");
    printf("%-24s %-16" PRId64 " %-24s %-20s %" PRId32 "\n", group,
           ferry_admin_int(g, FERRY_FIELD_NODE, -1),
           or_dash(ferry_admin_text(g, FERRY_FIELD_PROTOCOL)),
           or_dash(ferry_admin_text(g, FERRY_FIELD_STATE)),
           ferry_admin_list_count(g, FERRY_FIELD_MEMBERS));
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

static void put_number(const struct ferry_admin_item *item, int32_t field)
{
    int64_t n = ferry_admin_int(item, field, -1);
    if (n < 0)
        printf("%-16s ", "-");
    else
        printf("%-16" PRId64 " ", n);
}

static int put_offsets(struct ferry_handle *handle, const struct ferry_admin_item *g,
                       const char *group)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_GROUP_LAG);
    ferry_admin_set_group(call, group);
    if (!admin_run(&program, call, handle))
        return EXIT_FAILED;
    int status = EXIT_DONE;
    printf("\n%-24s %-24s %-10s %-16s %-16s %-16s %-60s %-16s %s\n", "GROUP", "TOPIC", "PARTITION",
           "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID");
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *o = ferry_admin_item(call, i);
        const char *topic = ferry_admin_text(o, FERRY_FIELD_TOPIC);
        int64_t partition = ferry_admin_int(o, FERRY_FIELD_PARTITION, -1);
        if (is_failed(o)) {
            status = admin_say(&program, o, topic);
            continue;
        }
        const struct ferry_admin_item *m = owner_of(g, topic, partition);
        printf("%-24s %-24s %-10" PRId64 " ", group, topic, partition);
        put_number(o, FERRY_FIELD_OFFSET);
        put_number(o, FERRY_FIELD_END_OFFSET);
        put_number(o, FERRY_FIELD_LAG);
        printf("%-60s %-16s %s\n", or_dash(ferry_admin_text(m, FERRY_FIELD_NAME)),
               or_dash(ferry_admin_text(m, FERRY_FIELD_HOST)),
               or_dash(ferry_admin_text(m, FERRY_FIELD_CLIENT_ID)));
    }
    ferry_admin_free(call);
    return status;
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
            opt_say(&program, "consumer group '%s' does not exist", name);
            status = EXIT_FAILED;
            continue;
        }
        if (!ferry_admin_list_count(g, FERRY_FIELD_MEMBERS))
            opt_say(&program, "consumer group '%s' has no active members", name);
        if (opt_given(&program, "--members"))
            put_members(g, name);
        else if (opt_given(&program, "--state"))
            put_state(g, name);
        else if (put_offsets(handle, g, name))
            status = EXIT_FAILED;
    }
    ferry_admin_free(call);
    return status;
}

static int finish(struct ferry_admin *call, int32_t name_field, const char *done)
{
    int status = EXIT_DONE;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *item = ferry_admin_item(call, i);
        const char *name = ferry_admin_text(item, name_field);
        if (is_failed(item))
            status = admin_say(&program, item, name);
        else if (name_field == FERRY_FIELD_TOPIC)
            printf("%s %s-%" PRId64 ".\n", done, name,
                   ferry_admin_int(item, FERRY_FIELD_PARTITION, -1));
        else
            printf("%s group '%s'.\n", done, name);
    }
    ferry_admin_free(call);
    return status;
}

static int delete (struct ferry_handle *handle, const struct admin_names *groups)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_GROUPS);
    for (size_t i = 0; i < groups->count; i++)
        ferry_admin_add_name(call, groups->names[i]);
    return admin_run(&program, call, handle) ? finish(call, FERRY_FIELD_NAME, "Deleted")
                                             : EXIT_FAILED;
}

static int delete_offsets(struct ferry_handle *handle, const struct admin_names *groups)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < groups->count; i++) {
        struct reset_list parts = {0};
        if (!reset_select(&program, handle, groups->names[i], &parts))
            return EXIT_FAILED;
        struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_GROUP_OFFSETS);
        ferry_admin_set_group(call, groups->names[i]);
        for (size_t k = 0; k < parts.count; k++)
            ferry_admin_add_partition(call, parts.items[k].topic, parts.items[k].partition, 0);
        reset_free(&parts);
        if (!admin_run(&program, call, handle) ||
            finish(call, FERRY_FIELD_TOPIC, "Deleted the offset of"))
            status = EXIT_FAILED;
    }
    return status;
}

static int reset(struct ferry_handle *handle, const struct admin_names *groups)
{
    int status = EXIT_DONE;
    bool execute = opt_given(&program, "--execute");
    printf("%-24s %-24s %-10s %s\n", "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    for (size_t i = 0; i < groups->count; i++) {
        struct reset_list parts = {0};
        if (!reset_select(&program, handle, groups->names[i], &parts) ||
            !reset_target(&program, handle, groups->names[i], &parts)) {
            reset_free(&parts);
            return EXIT_FAILED;
        }
        struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_ALTER_GROUP_OFFSETS);
        ferry_admin_set_group(call, groups->names[i]);
        for (size_t k = 0; k < parts.count; k++)
            if (parts.items[k].offset >= 0)
                ferry_admin_add_partition(call, parts.items[k].topic, parts.items[k].partition,
                                          parts.items[k].offset);
        bool ran = !execute || (parts.count > 0 && admin_run(&program, call, handle));
        for (int32_t k = 0; execute && ran && k < ferry_admin_count(call); k++)
            if (is_failed(ferry_admin_item(call, k))) {
                status = admin_say(&program, ferry_admin_item(call, k),
                                   ferry_admin_text(ferry_admin_item(call, k), FERRY_FIELD_TOPIC));
                ran = false;
            }
        for (size_t k = 0; ran && k < parts.count; k++)
            printf("%-24s %-24s %-10" PRId32 " %" PRId64 "\n", groups->names[i],
                   parts.items[k].topic, parts.items[k].partition, parts.items[k].offset);
        if (!ran)
            status = EXIT_FAILED;
        else
            ferry_admin_free(call);
        reset_free(&parts);
    }
    if (!execute)
        opt_say(&program, "nothing was changed: give --execute to do it");
    return status;
}

/* --all-groups, as a list of names. */
static bool name_all(struct ferry_handle *handle, struct admin_names *groups)
{
    struct ferry_admin *call = all_groups(handle);
    if (!call)
        return false;
    groups->names = calloc((size_t)ferry_admin_count(call) + 1, sizeof *groups->names);
    for (int32_t i = 0; groups->names && i < ferry_admin_count(call); i++)
        if (!is_failed(ferry_admin_item(call, i)))
            groups->names[groups->count++] =
                strdup(ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME));
    ferry_admin_free(call);
    return groups->names != NULL;
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
    struct admin_names groups = admin_names(&program, "--group");
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
