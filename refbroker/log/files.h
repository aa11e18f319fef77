/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_FILES_H
#define REFBROKER_LOG_FILES_H
/*
 * Files for a broker engine: hands out ids and ops, routes each completion to the function that
 * waits for it, and keeps the number of open files bounded. Partition logs, checkpoints and the
 * node's own small files share one struct log_files.
 *
 * The node calls log_files_step at the beginning of every step and log_files_done for every
 * FERRY_EV_DONE. All file ids are made here, a space of their own beside connection ids (no action
 * takes both kinds).
 *
 * Rules:
 *  1. A struct log_op is embedded in its owner's struct. From the call that submits it until its
 * done function runs, it and the memory it names (buffer, data) stay where they are; then it may be
 * submitted again, from within done too.
 *  2. done runs inside log_files_done, or inside the submitting call's own step, but never inside
 * the submitting call.
 *  3. Ops of one file begin in the order in which they were submitted.
 *  4. A struct log_file is a name that is opened when an op needs it and may be closed when none
 * does; who uses it never sees that. One that is pinned stays open and keeps its id.
 *  5. Nothing here allocates per op once tables have grown.
 */
#include "base/list.h"
#include "base/text.h"
#include "engine/env.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Who owns the files: where log lines go. text ends without newline. */
struct log_host {
    void *cookie;
    void (*log)(void *cookie, enum log_level level, const char *text);
};

struct log_op {
    /* Set by the owner. status: FERRY_OK, FERRY_E_NOT_FOUND, FERRY_E_NO_SPACE, FERRY_E_IO ..;
     * count: bytes read or written, or a size. For log_files_list files->listing holds the names
     * while done runs. */
    void (*done)(struct log_op *, int status, uint64_t count);

    /* private */
    struct ferry_link link;
    struct log_file *file;
    void *buffer;
    uint64_t offset, length, token; /* token 0: not submitted */
    uint32_t type, flags;
};

struct log_files {
    const struct log_host *host;
    struct ferry_actions *out; /* this step's */
    ferry_nsec now;
    ferry_msec wall;
    struct ferry_bytes listing; /* of log_files_list: see log_files_next_name */
    const char *failure;        /* the text of a failed op while its done runs, or "" */

    /* private */
    struct log_op **ops; /* by low half of the token */
    uint32_t *op_gens, *free_ops;
    size_t op_count, op_cap, gen_cap, free_count, free_cap;
    uint32_t *free_slots; /* of file ids */
    size_t slot_free_count, slot_free_cap;
    uint32_t slot_next, gen_next;
    struct ferry_link idle;  /* open files that nothing uses, least recently used first */
    struct ferry_link ready; /* ops that end without an action */
    uint32_t open_count, open_max;
};

/* 0 or FERRY_E_NOMEM. open_max: files kept open while idle ones can be closed instead. */
int log_files_init(struct log_files *, const struct log_host *host, uint32_t open_max);
/* Frees the tables. Ops still submitted never complete. */
void log_files_free(struct log_files *);
/* At the beginning of every step. */
void log_files_step(struct log_files *, ferry_nsec now, ferry_msec wall, struct ferry_actions *out);
/* Every FERRY_EV_DONE comes here; unknown ops are ignored. */
void log_files_done(struct log_files *, const struct ferry_event *);
/* At the end of every step: completions that need no action. Call it until it returns false (it
 * gives them all, but they may submit more). */
bool log_files_settle(struct log_files *);

/* op->done(op, FERRY_OK, 0) from the next settle: for what must not be told from within a call. */
void log_files_later(struct log_files *, struct log_op *,
                     void (*done)(struct log_op *, int status, uint64_t count));

void log_files_say(struct log_files *, enum log_level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- whole names; paths are relative to the data directory, "." is itself, and live until done
 * ---- */
void log_files_list(struct log_files *, struct log_op *, const char *path);
void log_files_create_dir(struct log_files *, struct log_op *, const char *path);
void log_files_rename(struct log_files *, struct log_op *, const char *from, const char *to);
void log_files_unlink(struct log_files *, struct log_op *, const char *path);
void log_files_sync_dir(struct log_files *, struct log_op *, const char *path);

struct log_name {
    const char *name; /* borrowed */
    uint64_t size;
    bool is_dir;
};
/* Walks files->listing while a list op's done runs: start with *at = 0. False at the end. "." and
 * ".." never show. */
bool log_files_next_name(const struct log_files *, size_t *at, struct log_name *);

/* ---- open files ---- */
struct log_file {
    struct log_files *files;
    char *path;     /* owned */
    uint32_t flags; /* enum ferry_open_flag for the next opening; CREATE and TRUNCATE work once */
    struct ferry_id id; /* gen 0 while it is not open */
    uint64_t size;      /* as of the opening; then the owner's to keep */

    /* private */
    struct ferry_link link, waiting;
    struct log_op opening;
    uint32_t users; /* ops begun or waiting, and pins */
    bool is_open, dead;
};

/* Nothing is opened yet. 0 or FERRY_E_NOMEM. */
int log_file_init(struct log_file *, struct log_files *, const char *path, uint32_t flags);
/* Closes and frees what it holds; ops still waiting for the opening are dropped. The struct may go
 * after this; what was begun on it still completes. */
void log_file_free(struct log_file *);
/* Opens it, if it is not open: count is the size. */
void log_file_open(struct log_file *, struct log_op *);
/* DONE.count < length only at the end of the file. */
void log_file_read(struct log_file *, struct log_op *, uint64_t offset, void *buffer,
                   uint64_t length);
void log_file_write(struct log_file *, struct log_op *, uint64_t offset, const void *data,
                    uint64_t length);
void log_file_sync(struct log_file *, struct log_op *);
void log_file_truncate(struct log_file *, struct log_op *, uint64_t size);
/* While pinned it stays open with its id. Only an open file may be pinned (id.gen != 0). */
void log_file_pin(struct log_file *);
void log_file_unpin(struct log_file *);

/* ---- small files as a whole ---- */
struct log_load {
    /* Set by the owner. data is borrowed until done returns. FERRY_E_NOT_FOUND, FERRY_E_TOO_LARGE,
     * FERRY_E_IO .. */
    void (*done)(struct log_load *, int status, struct ferry_bytes data);

    /* private */
    struct log_file file;
    struct log_op op;
    uint8_t *buffer;
    uint64_t limit;
};
/* Reads the whole file, at most limit bytes. */
void log_files_load(struct log_files *, struct log_load *, const char *path, uint64_t limit);

struct log_save {
    void (*done)(struct log_save *, int status); /* set by the owner */

    /* private */
    struct log_file file;
    struct log_op op;
    char *path, *temporary;
    void *data;
    size_t len;
};
/*
 * Replaces the file: writes path.tmp, syncs it, renames it to path, syncs the directory; when done
 * says FERRY_OK the new content survives a crash, before that a crash leaves the old or the new one
 * whole. Takes `data` (from ferry_alloc and the like), frees it. One save of a path at a time.
 */
void log_files_save(struct log_files *, struct log_save *, const char *path, void *data,
                    size_t len);
/* Free what a load or save under way holds, without telling: teardown only (files->out is NULL). */
void log_load_drop(struct log_load *);
void log_save_drop(struct log_save *);

/* ---- Kafka's checkpoint files: a version line (0), a count line, one line per entry ---- */
struct log_checkpoint_line {
    struct ferry_str topic; /* NULL in a leader-epoch checkpoint */
    int32_t number;         /* partition, or leader epoch */
    int64_t offset;
};
/* Walks the lines of a checkpoint: start with *at = 0. 1: *out is the next (with_topic: "topic
 * partition offset", else "epoch offset"); 0: the end; FERRY_E_PROTOCOL: not such a file, or fewer
 * lines than it says. */
int log_checkpoint_next(struct ferry_bytes data, size_t *at, bool with_topic,
                        struct log_checkpoint_line *out);
void log_checkpoint_begin(struct ferry_text *, size_t count);
void log_checkpoint_add(struct ferry_text *, const struct log_checkpoint_line *);

#endif
