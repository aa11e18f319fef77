/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_RESET_H
#define TOOLS_RESET_H
/* Where committed offsets are to go: which partitions, and to which offsets. For ferry-groups. */
#include "tools/admin.h"

struct reset_part {
    char *topic;
    int32_t partition;
    int64_t offset; /* committed now (-1: none); after reset_target the new one (-1: leave it) */
};
struct reset_list {
    struct reset_part *items;
    size_t count;
};

/* Exits 2 unless exactly one target option is given, with a sound value. */
void reset_check(struct opt_program *);
/* --topic NAME[:N,...] and --all-topics as a list of partitions. false: it failed, which is said. */
bool reset_select(struct opt_program *, struct ferry_handle *, const char *group,
                  struct reset_list *);
/* Turns each offset into the new one, kept within the log. */
bool reset_target(struct opt_program *, struct ferry_handle *, const char *group,
                  struct reset_list *);
void reset_free(struct reset_list *);

#endif
