/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* What is done to groups: committed offsets moved or deleted, groups deleted. */

#include "tools/groups.h"
#include "tools/reset.h"
#include "tools/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int groups_delete(struct opt_program *program, struct ferry_handle *handle,
                  const struct admin_names *groups)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_GROUPS);
    int status = EXIT_DONE;
    const char *comma = "";
    for (size_t i = 0; i < groups->count; i++)
        ferry_admin_add_name(call, groups->names[i]);
    if (!admin_run(program, call, handle))
        return EXIT_FAILED;
    for (int32_t i = 0; i < ferry_admin_count(call); i++)
        if (groups_is_failed(ferry_admin_item(call, i)))
            status = admin_say(program, ferry_admin_item(call, i),
                               ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME));
    if (ferry_admin_error_count(call) < ferry_admin_count(call)) {
        printf(status ? "\nThese consumer groups were deleted successfully: "
                      : "Deletion of requested consumer groups (");
        for (int32_t i = 0; i < ferry_admin_count(call); i++) {
            if (groups_is_failed(ferry_admin_item(call, i)))
                continue;
            printf("%s'%s'", comma, ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME));
            comma = ", ";
        }
        printf(status ? "\n" : ") was successful.\n");
    }
    ferry_admin_free(call);
    return status;
}

static int delete_offsets_of(struct opt_program *program, struct ferry_handle *handle,
                             const char *group)
{
    struct table table = {0};
    struct reset_list parts = {0};
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DELETE_GROUP_OFFSETS);
    int status = EXIT_DONE;
    bool ran = reset_select(program, handle, group, &parts);
    ferry_admin_set_group(call, group);
    for (size_t k = 0; k < parts.count; k++)
        ferry_admin_add_partition(call, parts.items[k].topic, parts.items[k].partition, 0);
    reset_free(&parts);
    if (!ran) {
        ferry_admin_free(call);
        return EXIT_FAILED;
    }
    if (!admin_run(program, call, handle))
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
        table_text(&table, groups_is_failed(item) ? failure : "Successful");
        if (groups_is_failed(item))
            status = admin_say(program, item, ferry_admin_text(item, FERRY_FIELD_TOPIC));
    }
    if (status)
        printf("\n");
    else
        printf("Request succeeded for deleting offsets from group %s.\n\n", group);
    table_print(&table);
    ferry_admin_free(call);
    return status;
}

int groups_delete_offsets(struct opt_program *program, struct ferry_handle *handle,
                          const struct admin_names *groups)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < groups->count; i++)
        if (delete_offsets_of(program, handle, groups->names[i]))
            status = EXIT_FAILED;
    return status;
}

/* Only a group that nobody is in may be reset; false, said, for another. */
static bool is_inactive(struct opt_program *program, struct ferry_handle *handle, const char *group)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_GROUPS);
    ferry_admin_add_name(call, group);
    if (!admin_run(program, call, handle))
        return false;
    const struct ferry_admin_item *g = ferry_admin_item(call, 0);
    const char *state = ferry_admin_text(g, FERRY_FIELD_STATE);
    bool none = ferry_admin_int(g, FERRY_FIELD_ERROR, 0) == FERRY_KAFKA_GROUP_ID_NOT_FOUND;
    bool ok = none || (!groups_is_failed(g) && state &&
                       (!strcmp(state, "Empty") || !strcmp(state, "Dead")));
    if (!ok && groups_is_failed(g))
        admin_say(program, g, group);
    else if (!ok)
        opt_say(program,
                "Assignments can only be reset if the group '%s' is inactive, but the current "
                "state is %s.",
                group, groups_or_dash(state));
    ferry_admin_free(call);
    return ok;
}

static bool commit(struct opt_program *program, struct ferry_handle *handle, const char *group,
                   const struct reset_list *parts)
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
    if (!admin_run(program, call, handle))
        return false;
    for (int32_t k = 0; k < ferry_admin_count(call); k++)
        if (groups_is_failed(ferry_admin_item(call, k))) {
            admin_say(program, ferry_admin_item(call, k),
                      ferry_admin_text(ferry_admin_item(call, k), FERRY_FIELD_TOPIC));
            ok = false;
        }
    ferry_admin_free(call);
    return ok;
}

int groups_reset(struct opt_program *program, struct ferry_handle *handle,
                 const struct admin_names *groups)
{
    int status = EXIT_DONE;
    struct table table = {0};
    bool execute = opt_given(program, "--execute"), export = opt_given(program, "--export");
    table_column(&table, "GROUP", 15);
    table_column(&table, "TOPIC", 15);
    table_column(&table, "PARTITION", 10);
    table_column(&table, "NEW-OFFSET", 0);
    for (size_t i = 0; i < groups->count; i++) {
        struct reset_list parts = {0};
        const char *group = groups->names[i];
        bool ok = is_inactive(program, handle, group) &&
                  reset_choose(program, handle, group, groups->count > 1, &parts) &&
                  (!execute || commit(program, handle, group, &parts));
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
    if (!execute && !opt_given(program, "--dry-run"))
        opt_say(program, "nothing was changed: give --execute to do it");
    return status;
}
