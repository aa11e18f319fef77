/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVE_INTERNAL_H
#define DRIVE_INTERNAL_H
/*
 * What the files of the loop share.
 *
 * loop.c polls, feeds events, and hands actions to tcp.c, disk.c and resolve.c. Those never step
 * the engine while they execute an action: what has finished at once is noted as a completion, and
 * loop.c feeds it when the step's actions have all been begun. Only ferry_tcp_serve, called from
 * the loop's own round, feeds directly.
 */
#include "base/list.h"
#include "drive/ids.h"
#include "drive/loop.h"
#include "drive/pool.h"

#include <stdatomic.h>
#include <sys/epoll.h>

struct ferry_tcp;
struct ferry_disk;
struct ferry_resolver;

/*
 * What epoll gives back with an event: never a pointer, because what it names may be freed between the poll, which
 * needs no lock, and the serving. A connection or listener is its id's key; the kick is 0; a resolver's descriptor
 * is a key with generation 0, which no id has.
 */
enum { FERRY_WATCH_KICK = 0 };

/* Something that has finished and waits to be fed. */
struct ferry_completion {
    enum ferry_event_type type;
    int32_t status;
    int os_error; /* errno behind the status, for the text; 0 */
    struct ferry_id who;
    uint64_t op, count;
    void *object;     /* CLOSED: the struct ferry_tcp; RESOLVED: struct ferry_resolved; LIST: struct
                         ferry_text */
    const char *what; /* the system call or the reason, a literal; NULL */
};

struct ferry_loop {
    struct ferry_engine *engine;
    struct ferry_loop_config config;
    struct ferry_hooks hooks;
    struct ferry_loop_counters counters;
    int epoll_fd;
    int kick_fd;
    _Atomic bool kicked;
    int ended;
    bool stepping;
    int budget; /* steps that the present run may still take */
    ferry_nsec now;
    struct ferry_actions actions;

    struct ferry_completion *done; /* a ring */
    size_t done_cap, done_first, done_count;

    struct ferry_pool *pool;
    struct ferry_disk *disk;
    struct ferry_resolver *resolver;

    /* tcp.c */
    struct ferry_ids streams; /* connections and listeners by the engine's id */
    struct ferry_ids handed;  /* accepted ones that wait for ADOPT, by handle */
    uint64_t last_handle;
    struct ferry_link ready;   /* those that may have something to read, write or accept */
    struct ferry_link unsent;  /* those that were given something to send in this step */
    struct ferry_link starved; /* listeners that ran out of descriptors, until accept_again */
    ferry_nsec accept_again;
    struct ferry_tcp *serving; /* NULL once it was freed under its server */
    struct ferry_outbox *spare_boxes;
    uint32_t spare_count;
    uint8_t *scratch;
};

/* Notes a completion. Without memory the loop ends: a completion that is lost would leave the
 * engine waiting. */
void ferry_loop_complete(struct ferry_loop *, const struct ferry_completion *);
/* Feeds an event now (fills now and wall), begins its actions, sends what they gave to send. */
void ferry_loop_feed(struct ferry_loop *, struct ferry_event *);
void ferry_loop_end(struct ferry_loop *, int status);
int ferry_loop_watch(struct ferry_loop *, int fd, uint64_t key, uint32_t events);
enum ferry_err ferry_loop_file_status(int os_error);

/* -- tcp.c -- */
enum { FERRY_SCRATCH_BYTES = 64 * 1024 };
void ferry_tcp_execute(struct ferry_loop *, const struct ferry_action *);
/* epoll said so. */
void ferry_tcp_mark(struct ferry_loop *, uint64_t key, uint32_t events);
/* Does a bounded share of what can be done on the first of the ready list. */
void ferry_tcp_serve(struct ferry_loop *);
/* Sends what this step's actions gave. */
void ferry_tcp_flush(struct ferry_loop *);
void ferry_tcp_unstarve(struct ferry_loop *);
/* Fills the event of a CLOSED completion; ferry_tcp_free after the step. */
void ferry_tcp_closed_event(struct ferry_tcp *, struct ferry_event *, char *text, size_t size);
void ferry_tcp_free(struct ferry_loop *, struct ferry_tcp *);
/* The op of a DRAINED completion, or false if the connection is gone. */
bool ferry_tcp_drained(struct ferry_loop *, struct ferry_id, uint64_t *op);
struct ferry_addr ferry_tcp_bound(struct ferry_loop *, struct ferry_id);
void ferry_tcp_destroy(struct ferry_loop *);

/* -- disk.c -- */
struct ferry_file;
void ferry_disk_execute(struct ferry_loop *, const struct ferry_action *);
/* For file parts of a SEND: a reference to the open file, or NULL. */
struct ferry_file *ferry_disk_borrow(struct ferry_loop *, struct ferry_id);
void ferry_disk_return(struct ferry_loop *, struct ferry_file *);
int ferry_disk_fd(const struct ferry_file *);
/* True if [offset, offset + length) is likely in memory. Otherwise a helper thread reads it, then
   calls ferry_tcp_warmed(who); always true without helper threads. */
bool ferry_disk_warm(struct ferry_loop *, struct ferry_file *, uint64_t offset, uint64_t length,
                     struct ferry_id who);
void ferry_tcp_warmed(struct ferry_loop *, struct ferry_id who);
int ferry_disk_create(struct ferry_loop *);
void ferry_disk_destroy(struct ferry_loop *);

/* -- resolve.c -- */
enum { FERRY_RESOLVED_MAX = 16 };
struct ferry_resolved {
    size_t count;
    struct ferry_addr addrs[FERRY_RESOLVED_MAX];
    char text[160];
};
void ferry_resolve_execute(struct ferry_loop *, const struct ferry_action *);
void ferry_resolve_mark(struct ferry_loop *, uint64_t key, uint32_t events);
void ferry_resolve_run(struct ferry_loop *);
ferry_nsec ferry_resolve_deadline(const struct ferry_loop *);
void ferry_resolve_destroy(struct ferry_loop *);

#endif
