/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * File actions on the simulated disk. An action takes effect when its time is up, in order within one file (or among
 * the actions on paths), in any order between files; a process that ends before has not done it.
 */

#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/disk.h"
#include "tests/sim/internal.h"

/* What an action names must outlive the step: paths and the list of parts are copied, memory is the engine's until
 * DONE. */
struct file_work {
    struct ferry_action action;
    struct ferry_part *parts;
    char *path, *path2;
};

static void run(struct sim_world *w, struct sim_call *c)
{
    struct file_work *work = c->work;
    struct sim_node *n = c->node;
    struct ferry_event ev = {0};
    bool answers = sim_disk_execute(n->disk, &work->action, work->parts, &ev);
    if (answers && ev.status)
        w->counts.disk_errors++;
    if (answers)
        sim_step(n, &ev);
}

void sim_files_free(struct sim_call *c)
{
    struct file_work *work = c->work;
    if (!work)
        return;
    ferry_free(work->parts);
    ferry_free(work->path);
    ferry_free(work->path2);
    ferry_free(work);
}

static ferry_nsec duration(struct sim_world *w)
{
    struct sim_faults *f = &w->faults;
    ferry_nsec t = ferry_prng_between(&w->prng, f->disk_low, f->disk_high);
    if (!f->disk_stall || !ferry_prng_chance(&w->prng, f->disk_stall, 1000))
        return t;
    w->counts.stalls++;
    return 100 * t < FERRY_SECOND ? 100 * t : FERRY_SECOND;
}

void sim_files_execute(struct sim_node *n, const struct ferry_action *a,
                       const struct ferry_part *parts)
{
    struct sim_world *w = n->world;
    if (!n->disk) {
        sim_world_fail(w, "%s touches files, and has no disk", n->name);
        return;
    }
    struct file_work *work = ferry_zalloc(sizeof *work);
    FERRY_CHECK(work);
    work->action = *a;
    work->parts = ferry_memdup(parts, a->part_count * sizeof *parts);
    work->action.part_first = 0; /* the copy holds this action's parts alone */
    work->action.path = work->path = a->path ? ferry_strdup(a->path) : NULL;
    work->action.path2 = work->path2 = a->path2 ? ferry_strdup(a->path2) : NULL;
    ferry_nsec *busy = &n->file_busy[a->path && a->type != FERRY_DO_OPEN_FILE
                                         ? 0
                                         : 1 + a->who.slot % (SIM_FILE_LANES - 1)];
    ferry_nsec at = w->now + duration(w);
    if (at < *busy)
        at = *busy;
    *busy = at;
    sim_call(w, n, at - w->now, run)->work = work;
}

void sim_files_gather(struct sim_node *n, struct ferry_id file, uint64_t offset, uint8_t *to,
                      uint64_t len)
{
    if (!n->disk || !sim_disk_gather(n->disk, file, offset, to, len))
        sim_world_fail(n->world, "%s sends %llu bytes at %llu of file %u.%u, which are not there",
                       n->name, (unsigned long long)len, (unsigned long long)offset, file.slot,
                       file.gen);
}

void sim_files_drop(struct sim_node *n, bool crash)
{
    if (crash)
        sim_disk_power_loss(n->disk);
    else
        sim_disk_kill(n->disk);
    memset(n->file_busy, 0, sizeof n->file_busy);
}
