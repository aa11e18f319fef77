/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/admin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ferry_handle *admin_open(struct opt_program *p)
{
    struct ferry_error err;
    if (!opt_given(p, "--bootstrap-server"))
        opt_usage(p, "--bootstrap-server is required");
    signal(SIGPIPE, SIG_IGN); /* opt_finish tells a closed pipe from a failure */
    struct ferry_config *config = opt_config(p, "--command-config", NULL);
    struct ferry_handle *handle = ferry_open(config, NULL, &err);
    ferry_config_free(config);
    if (!handle)
        opt_say(p, "%s", err.text);
    return handle;
}

bool admin_run(struct opt_program *p, struct ferry_admin *call, struct ferry_handle *handle)
{
    struct ferry_error err = {0};
    int32_t timeout = (int32_t)opt_number(p, "--timeout-ms", 1, INT32_MAX, 30000);
    int32_t code = call ? ferry_admin_run(call, handle, timeout, &err) : FERRY_E_NOMEM;
    if (code == 0 || ferry_admin_count(call) > 0)
        return true;
    opt_say(p, "%s: %s", ferry_error_name(code), err.text);
    ferry_admin_free(call);
    return false;
}

int admin_say(struct opt_program *p, const struct ferry_admin_item *item, const char *what)
{
    const char *text = ferry_admin_text(item, FERRY_FIELD_ERROR_TEXT);
    const char *name = ferry_error_name((int32_t)ferry_admin_int(item, FERRY_FIELD_ERROR, 0));
    bool more = text && *text && strcmp(text, name) != 0;
    opt_say(p, "%s: %s%s%s", what ? what : "?", name, more ? ": " : "", more ? text : "");
    return EXIT_FAILED;
}

void admin_names_add(struct admin_names *list, const char *name, size_t len)
{
    char **grown = realloc(list->names, (list->count + 1) * sizeof *grown);
    char *copy = strndup(name, len);
    if (!grown || !copy)
        exit(EXIT_FAILED);
    list->names = grown;
    list->names[list->count++] = copy;
}

void admin_names_free(struct admin_names *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct admin_names){0};
}

int admin_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}
