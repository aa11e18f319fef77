/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ENGINE_ENV_H
#define ENGINE_ENV_H
/*
 * The seam between an engine and the world.
 *
 * A client and a broker node are each an engine: a state machine that takes events, gives actions, and asks for
 * one deadline. It has no clock, socket, file, thread or randomness of its own. The same engine runs under
 * drive/loop (epoll), on an application's own loop, and under tests/sim (virtual time).
 *
 * Invariants, kept by every driver:
 *  1. Events of one engine never overlap, and `now` never goes back.
 *  2. An id names one thing for ever: slot and generation. Actions and events about an id that is gone are ignored
 *     by whoever gets them.
 *  3. Memory named by an action (parts, buffers, paths are copied) is the driver's, untouched by the engine, until
 *     the completion event that carries the action's op, or until CLOSED of its connection: CLOSED comes exactly
 *     once for each connection, when the driver holds no reference of it any more.
 *  4. Actions of one step are begun in the order in which they were given. Writes to one file take effect in order.
 *  5. Event memory (data, addrs, text, names) is borrowed: gone when the step returns, except slabs that the engine
 *     lent with FERRY_DO_RECEIVE_INTO, which were the engine's all along.
 *  6. A file write is volatile until a SYNC begun after its completion has completed; a created, renamed or unlinked
 *     name until a SYNC_DIR of its directory has. A crash may lose, keep or tear what is volatile.
 */
#include "base/bytes.h"
#include "base/slab.h"

typedef int64_t ferry_nsec; /* monotonic */
typedef int64_t ferry_msec; /* since the Unix epoch */
#define FERRY_NEVER INT64_MAX
#define FERRY_MS ((ferry_nsec)1000000)
#define FERRY_SECOND ((ferry_nsec)1000000000)

/* gen is never 0 for a thing that exists, so {0, 0} names nothing. Chosen by the engine. */
struct ferry_id {
    uint32_t slot;
    uint32_t gen;
};

static inline bool ferry_id_eq(struct ferry_id a, struct ferry_id b)
{
    return a.slot == b.slot && a.gen == b.gen;
}

enum ferry_family { FERRY_INET4 = 4, FERRY_INET6 = 6 };

/* A numeric address. port in host order. */
struct ferry_addr {
    uint8_t family; /* enum ferry_family; 0 = none */
    uint8_t ip[16]; /* 4 or 16 bytes used */
    uint16_t port;
};

enum ferry_event_type {
    FERRY_EV_DEADLINE,  /* the time asked for by deadline() has come */
    FERRY_EV_RESOLVED,  /* of RESOLVE op: status; addrs, count; text on failure */
    FERRY_EV_LISTENING, /* of LISTEN who: status; addrs[0] is the bound address */
    FERRY_EV_OPENED,    /* of OPEN who: after TCP and any handshake; addrs[0] is the peer; `text` its identity */
    FERRY_EV_ACCEPTED,  /* on listener `who`: answer with ADOPT naming `handle`, or CLOSE_HANDLE; addrs[0] the peer */
    FERRY_EV_RECEIVED,  /* on `who`: data (borrowed), or data.data == NULL and data.len bytes now in the lent slab */
    FERRY_EV_DRAINED,   /* on `who`: SEND op and all earlier ones of this connection are written out and released */
    FERRY_EV_CLOSED,    /* of connection or listener `who`: status says why (FERRY_OK: the peer's orderly close or our
                           CLOSE); text. A failed OPEN ends with CLOSED alone, no OPENED */
    FERRY_EV_DONE,      /* of a file action op on file `who`: status; count; data for LIST; text on failure */
    FERRY_EV_WORKED,    /* of WORK op */
    FERRY_EV_ANSWERED,  /* of ASK op: status, data */
    FERRY_EV_COMMAND    /* from the application: command */
};

struct ferry_event {
    enum ferry_event_type type;
    int32_t status;  /* 0 or enum ferry_err */
    ferry_nsec now;
    ferry_msec wall;
    struct ferry_id who;
    uint64_t op;     /* the action's own token */
    uint64_t count;  /* bytes read or written, or a file's size */
    uint64_t handle; /* ACCEPTED */
    struct ferry_bytes data;
    const struct ferry_addr *addrs;
    size_t addr_count;
    const char *text; /* the reason behind a status, never needed to decide */
    void *command;
};

enum ferry_action_type {
    /* Connections */
    FERRY_DO_RESOLVE,      /* op, path = host name, addr.port: addresses come back with that port */
    FERRY_DO_OPEN,         /* who, addr, path = host name for TLS, profile: connect. OPENED or CLOSED follows */
    FERRY_DO_LISTEN,       /* who, addr: port 0 takes a free one. LISTENING or CLOSED follows */
    FERRY_DO_ADOPT,        /* who becomes the id of accepted `handle`; it is open at once */
    FERRY_DO_CLOSE_HANDLE, /* refuse accepted `handle` */
    FERRY_DO_SEND,         /* who, op, parts: in order after what was sent before. DRAINED(op) follows */
    FERRY_DO_RECEIVE_INTO, /* who, slab: the next bytes go to slab->data + slab->len, up to slab->cap; the driver
                              advances slab->len and reports the count. Ends by itself when the slab is full; the
                              engine may replace the slab (grown) while no event is running */
    FERRY_DO_PAUSE,        /* who: stop reading */
    FERRY_DO_RESUME,       /* who: read on */
    FERRY_DO_CLOSE,        /* who (connection or listener): drop what is unsent, close. CLOSED follows */
    /* Files. Paths are relative to the engine's root directory, '/' between names. DONE(op) follows each. */
    FERRY_DO_LIST,      /* path: DONE.data = per name: type byte ('f', 'd'), 8 bytes size (host order), name, NUL */
    FERRY_DO_CREATE,    /* path: make a directory; one that exists is fine */
    FERRY_DO_OPEN_FILE, /* who, path, flags: DONE.count = its size */
    FERRY_DO_CLOSE_FILE,/* who: no DONE; after what was begun on it */
    FERRY_DO_SIZE,      /* who: DONE.count */
    FERRY_DO_READ,      /* who, offset, buffer, length: DONE.count bytes, fewer only at the end of the file */
    FERRY_DO_WRITE,     /* who, offset, parts: DONE.count bytes written; fewer than asked only with a failure */
    FERRY_DO_SYNC,      /* who: data and size are on disk when DONE says 0 */
    FERRY_DO_TRUNCATE,  /* who, offset = new size */
    FERRY_DO_RENAME,    /* path, path2 */
    FERRY_DO_UNLINK,    /* path: a file, or an empty directory */
    FERRY_DO_SYNC_DIR,  /* path */
    /* The rest */
    FERRY_DO_WORK,   /* op, work, arg: pure CPU work on memory it alone touches; may run elsewhere. WORKED follows */
    FERRY_DO_ASK,    /* op, ask, buffer: an outside answer such as a token. ANSWERED follows */
    FERRY_DO_DELIVER /* deliver: handed to the driver's owner; no event follows */
};

enum ferry_open_flag {
    FERRY_OPEN_READ = 1,
    FERRY_OPEN_WRITE = 2,
    FERRY_OPEN_CREATE = 4,   /* make it if it is not there */
    FERRY_OPEN_TRUNCATE = 8  /* empty it */
};

/* A piece of a SEND or WRITE: memory, or (SEND only) a range of a file. */
struct ferry_part {
    const void *data;     /* NULL for a file range */
    uint64_t len;
    struct ferry_id file; /* gen 0 for memory */
    uint64_t offset;
};

struct ferry_action {
    enum ferry_action_type type;
    uint32_t flags;
    struct ferry_id who;
    uint64_t op;
    uint64_t offset;
    uint64_t handle;
    uint32_t part_first, part_count; /* into ferry_actions.parts */
    struct ferry_addr addr;
    uint32_t profile; /* security profile of OPEN and LISTEN; 0 = plaintext, the only one so far */
    const char *path, *path2;
    void *buffer;
    uint64_t length;
    struct ferry_slab *slab;
    void (*work)(void *arg);
    void *arg;
    void *deliver;
};

/* What one step gave. The driver empties it (ferry_actions_reset) after beginning every action. */
struct ferry_actions {
    struct ferry_action *items;
    size_t count, cap;
    struct ferry_part *parts;
    size_t part_count, part_cap;
    bool failed; /* memory ran out while adding: the driver treats the engine as dead */
};

/* Appends a zeroed action; never NULL (after lost memory it is a scratch one, and `failed` is set). */
struct ferry_action *ferry_act(struct ferry_actions *, enum ferry_action_type, struct ferry_id who);
/* Adds a part to the action that was appended last. */
void ferry_act_part(struct ferry_actions *, const void *data, size_t len);
void ferry_act_file_part(struct ferry_actions *, struct ferry_id file, uint64_t offset, uint64_t len);
void ferry_actions_reset(struct ferry_actions *);
void ferry_actions_free(struct ferry_actions *);

/* First member of every engine, so that drivers and the simulator hold clients and brokers alike. */
struct ferry_engine {
    const struct ferry_engine_ops *ops;
};

struct ferry_engine_ops {
    /* Takes one event, appends actions. 0, or a negative ferry_err when the engine cannot go on. */
    int (*step)(struct ferry_engine *, const struct ferry_event *, struct ferry_actions *);
    /* The next time at which it wants FERRY_EV_DEADLINE; FERRY_NEVER for none; in the past for at once. */
    ferry_nsec (*deadline)(const struct ferry_engine *);
};

static inline int ferry_step(struct ferry_engine *e, const struct ferry_event *ev, struct ferry_actions *out)
{
    return e->ops->step(e, ev, out);
}

static inline ferry_nsec ferry_deadline(const struct ferry_engine *e)
{
    return e->ops->deadline(e);
}

#endif
