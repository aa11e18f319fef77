/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Which groups there are: the list of them, and --all-groups. */

#include "tools/groups.h"
#include "tools/table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Every group's name and state; NULL when that failed. */
static struct ferry_admin *all_groups(struct opt_program *program, struct ferry_handle *handle)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_GROUPS);
    return admin_run(program, call, handle) ? call : NULL;
}

/* Not those of other protocols, such as Kafka Connect's. */
static bool is_consumer_group(const struct ferry_admin_item *g)
{
    const char *type = ferry_admin_text(g, FERRY_FIELD_PROTOCOL_TYPE);
    return !type || !*type || !strcmp(type, "consumer");
}

/* Is `word` in an option's list? A list that was not given has every word. */
static bool is_listed(struct opt_program *program, const char *option, const char *word)
{
    const char *list = opt_get(program, option)->text;
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
void groups_check_list(struct opt_program *program, const char *option, const char *const *known)
{
    const char *list = opt_get(program, option)->text;
    for (const char *at = list ? list : ""; *at; at += *at == ',') {
        size_t n, k = 0;
        at += strspn(at, " ");
        n = strcspn(at, ", ");
        while (known[k] && (strlen(known[k]) != n || strncasecmp(known[k], at, n)))
            k++;
        if (!known[k])
            opt_usage(program, "%s %s: there is no %.*s", option, list, (int)n, at);
        at += strcspn(at, ",");
    }
}

int groups_list(struct opt_program *program, struct ferry_handle *handle,
                const struct admin_names *groups)
{
    (void)groups;
    struct table table = {0};
    struct ferry_admin *call = all_groups(program, handle);
    bool state = opt_given(program, "--state"), type = opt_given(program, "--type");
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
        if (groups_is_failed(g)) {
            status = admin_say(program, g, name ? name : "a broker");
            continue;
        }
        kind = kind && !strcasecmp(kind, "consumer")          ? "Consumer"
               : kind && *kind && strcasecmp(kind, "classic") ? kind
                                                              : "Classic";
        if (!is_consumer_group(g) || !is_listed(program, "--state", groups_or_dash(is)) ||
            !is_listed(program, "--type", kind))
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

/* --all-groups, as a list of names. */
bool groups_name_all(struct opt_program *program, struct ferry_handle *handle,
                     struct admin_names *groups)
{
    struct ferry_admin *call = all_groups(program, handle);
    if (!call)
        return false;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const char *name = ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME);
        if (name && !groups_is_failed(ferry_admin_item(call, i)) &&
            is_consumer_group(ferry_admin_item(call, i)))
            admin_names_add(groups, name, strlen(name));
    }
    ferry_admin_free(call);
    return true;
}
