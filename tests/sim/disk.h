/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SIM_DISK_H
#define SIM_DISK_H
/*
 * A disk in memory that forgets as a real one may.
 *
 * Every file has the bytes that a reader sees and the writes since its last sync; every directory
 * its names and their changes since its last sync. A power loss keeps, of each file's unsynced
 * writes, a random choice of 512-byte sectors (what is lost reads as before, or as zeros beyond the
 * old end), and of each directory's changes a random first part. A kill loses nothing that was
 * executed. The caller decides when an action is executed and when its event arrives.
 */
#include "base/prng.h"
#include "base/text.h"
#include "engine/env.h"

struct sim_disk;

/* Chances in a thousand per action. A failing write writes a random part first. */
struct sim_disk_faults {
    uint32_t no_space, write_error, sync_error, read_error;
    uint64_t capacity; /* bytes of all files; more is FERRY_E_NO_SPACE. 0: no limit */
};

struct sim_disk_counts {
    uint64_t writes, syncs, failed, lost_sectors, torn_writes, lost_names;
    uint64_t no_space, short_writes, failed_syncs;
};

struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *);
struct sim_disk_faults *sim_disk_faults(struct sim_disk *); /* change it at any time */
const struct sim_disk_counts *sim_disk_counts(const struct sim_disk *);

/* Executes a file action now. parts: those of the step's struct ferry_actions. Fills the DONE event
 * (type, who, op, status, count, data; data lives until the next call) and returns true; false for
 * CLOSE_FILE, which has none. */
bool sim_disk_execute(struct sim_disk *, const struct ferry_action *,
                      const struct ferry_part *parts, struct ferry_event *out);
/* Bytes of a file part of a SEND. False: not an open file, or the range is not all there. */
bool sim_disk_gather(struct sim_disk *, struct ferry_id file, uint64_t offset, void *to,
                     uint64_t len);

/* The process is gone: its open files are closed, nothing else changes. */
void sim_disk_kill(struct sim_disk *);
/* The machine is gone: as above, and what was volatile is kept or lost at random. */
void sim_disk_power_loss(struct sim_disk *);
/* Everything is on disk as a reader sees it. */
void sim_disk_sync_all(struct sim_disk *);
/* Files open now, to find leaks. */
size_t sim_disk_open_files(const struct sim_disk *);

/* ---- for tests: no faults, synced at once ---- */
/* The bytes as a reader sees them; data NULL if there is no such file. Borrowed until the next
 * change. */
struct ferry_bytes sim_disk_peek(struct sim_disk *, const char *path);
/* Makes or replaces a file and the directories on its way. */
void sim_disk_put(struct sim_disk *, const char *path, const void *data, size_t len);
bool sim_disk_remove(struct sim_disk *, const char *path);
/* Every file as "path size\n", in order of creation. */
void sim_disk_names(struct sim_disk *, struct ferry_text *out);
/* Calls fn for every file. */
void sim_disk_each(struct sim_disk *, void (*fn)(const char *path, struct ferry_bytes, void *),
                   void *cookie);

#endif
