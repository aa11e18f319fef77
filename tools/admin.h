/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_ADMIN_H
#define TOOLS_ADMIN_H
/* What the administrating tools share: a handle, a call run with its time-out, lists of names, an item's error. */
#include "tools/opt.h"

#include <ferry/ferry.h>

/* From --bootstrap-server, --command-config and -X. NULL when it failed, which is said. */
struct ferry_handle *admin_open(struct opt_program *);
/* Runs a call, at most --timeout-ms. Items may have errors. false: the call as a whole failed, which is said, and it is
 * freed. */
bool admin_run(struct opt_program *, struct ferry_admin *, struct ferry_handle *);
/* Says an item's error; EXIT_FAILED. */
int admin_say(struct opt_program *, const struct ferry_admin_item *, const char *what);

/* Names of topics or groups; each is the list's own. */
struct admin_names {
    char **names;
    size_t count;
};
void admin_names_add(struct admin_names *, const char *name, size_t len);
void admin_names_free(struct admin_names *);
int admin_compare_names(const void *, const void *); /* for qsort of const char * */

#endif
