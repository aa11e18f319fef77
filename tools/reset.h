/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_RESET_H
#define TOOLS_RESET_H
/* Where committed offsets are to go: which partitions, and to which offsets. For ferry-groups. */
#include "tools/admin.h"

struct reset_part {
    char *topic;
    int32_t partition;
    int64_t offset; /* committed now (-1: none); after reset_choose the new one */
};
struct reset_list {
    struct reset_part *items;
    size_t count;
};

/* Exits 2 unless exactly one target option is given, with a sound value. */
void reset_check(struct opt_program *);
/* The partitions of a group and their new offsets, kept within the log: from --from-file, or from --topic, --all-topics and
 * a target. with_group: lines of the file begin with a group. false: it failed, which is said. */
bool reset_choose(struct opt_program *, struct ferry_handle *, const char *group, bool with_group,
                  struct reset_list *);
/* --topic NAME[:N,...] and --all-topics as a list of partitions. false: it failed, which is said. */
bool reset_select(struct opt_program *, struct ferry_handle *, const char *group,
                  struct reset_list *);
void reset_free(struct reset_list *);

#endif
