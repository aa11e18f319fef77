/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* File actions on the simulated disk. */

#include "tests/sim/internal.h"

void sim_files_execute(struct sim_node *n, const struct ferry_action *a,
                       const struct ferry_part *parts)
{
    (void)a, (void)parts;
    sim_world_fail(n->world, "%s touches files, and has no disk", n->name);
}

void sim_files_gather(struct sim_node *n, struct ferry_id file, uint64_t offset, uint8_t *to,
                      uint64_t len)
{
    (void)file, (void)offset, (void)to, (void)len;
    sim_world_fail(n->world, "%s sends from a file, and has no disk", n->name);
}

void sim_files_drop(struct sim_node *n, bool crash)
{
    (void)n, (void)crash;
}
