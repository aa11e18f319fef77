/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_GROUPS_H
#define TOOLS_GROUPS_H
/* What ferry-groups does, a function for each of its actions. Each returns the status to exit with; what could not be done
 * is said. */
#include "tools/admin.h"

/* groups: not used, every group is listed. */
int groups_list(struct opt_program *, struct ferry_handle *, const struct admin_names *groups);
int groups_describe(struct opt_program *, struct ferry_handle *, const struct admin_names *groups);
int groups_reset(struct opt_program *, struct ferry_handle *, const struct admin_names *groups);
int groups_delete(struct opt_program *, struct ferry_handle *, const struct admin_names *groups);
int groups_delete_offsets(struct opt_program *, struct ferry_handle *,
                          const struct admin_names *groups);

/* --all-groups, as a list of names. false: it failed, which is said. */
bool groups_name_all(struct opt_program *, struct ferry_handle *, struct admin_names *groups);
/* Exits 2 unless each word of an option's list is one of `known`, which ends with NULL. */
void groups_check_list(struct opt_program *, const char *option, const char *const *known);

static inline const char *groups_or_dash(const char *text)
{
    return text && *text ? text : "-";
}

static inline bool groups_is_failed(const struct ferry_admin_item *item)
{
    return ferry_admin_int(item, FERRY_FIELD_ERROR, 0) != 0;
}

#endif
