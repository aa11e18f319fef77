/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files.
 *
 * What the page cache answers is done at once: writes, warm reads, names. What waits for the disk
 * goes to a helper thread: syncs, cold reads, truncation, listing, the freeing of removed files.
 * Without helper threads everything is done at once.
 *
 * Invariants:
 *  1. Writes and truncations of one file take effect in the order in which they were given: while a
 * truncation is with a helper thread (file->busy), later operations of that file wait in
 * file->waiting.
 *  2. A descriptor is closed when nothing that was begun on it is left (file->refs).
 *  3. Paths stay below the root: no absolute ones, no "..".
 *  4. A failed sync is reported and never repeated here.
 */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "drive/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { IOV_LIMIT = 64, WARM_STRIDE = 32 * 1024 };

struct ferry_file {
    int fd;
    uint32_t refs;             /* the engine's, and one for each operation and SEND part */
    bool busy;                 /* a truncation is under way */
    bool no_nowait;            /* the file system does not say what is in memory */
    struct ferry_link waiting; /* of struct file_op */
};

struct ferry_disk {
    struct ferry_ids files;
};

/* An operation with a helper thread, or waiting behind one. */
struct file_op {
    struct ferry_job job; /* first; its link also serves file->waiting */
    enum ferry_action_type type;
    int root_fd;
    struct ferry_file *file; /* a reference, or NULL */
    struct ferry_id who;
    uint64_t op, offset, length, count;
    char *buffer;
    struct ferry_part *parts; /* of a WRITE that waits: own copy */
    uint32_t part_count;
    int os_error;
    struct ferry_text *listing;
    char path[]; /* of LIST and SYNC_DIR */
};

enum ferry_err ferry_loop_file_status(int e)
{
    switch (e) {
    case 0:
        return FERRY_OK;
    case ENOENT:
        return FERRY_E_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return FERRY_E_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* also a limit of the process (RLIMIT_FSIZE) */
        return FERRY_E_NO_SPACE;
    case ENOMEM:
        return FERRY_E_NOMEM;
    case EINVAL:
        return FERRY_E_INVALID;
    default:
        return FERRY_E_IO;
    }
}

static const char *name_of(enum ferry_action_type type)
{
    static const char *const names[] = {[FERRY_DO_LIST] = "list",
                                        [FERRY_DO_CREATE] = "create directory",
                                        [FERRY_DO_OPEN_FILE] = "open",
                                        [FERRY_DO_SIZE] = "size",
                                        [FERRY_DO_READ] = "read",
                                        [FERRY_DO_WRITE] = "write",
                                        [FERRY_DO_SYNC] = "sync",
                                        [FERRY_DO_TRUNCATE] = "truncate",
                                        [FERRY_DO_RENAME] = "rename",
                                        [FERRY_DO_UNLINK] = "remove",
                                        [FERRY_DO_SYNC_DIR] = "sync directory"};
    return names[type];
}

static void complete(struct ferry_loop *l, const struct ferry_action *a, int os_error,
                     uint64_t count)
{
    ferry_loop_complete(l, &(struct ferry_completion){.type = FERRY_EV_DONE,
                                                      .status = ferry_loop_file_status(os_error),
                                                      .os_error = os_error,
                                                      .who = a->who,
                                                      .op = a->op,
                                                      .count = count,
                                                      .what = name_of(a->type)});
}

static struct ferry_file *find(struct ferry_loop *l, struct ferry_id who)
{
    return ferry_ids_get(&l->disk->files, ferry_ids_key(who));
}

/* "" is the root itself. NULL if it would leave the root. */
static const char *checked(const char *path)
{
    if (!path || path[0] == '/')
        return NULL;
    for (const char *p = path; *p; p += strcspn(p, "/"), p += strspn(p, "/"))
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]))
            return NULL;
    return *path ? path : ".";
}

/* -- Plain blocking operations ------------------------------------------------------------- */

static int read_all(int fd, char *to, uint64_t length, uint64_t offset, uint64_t *count)
{
    while (*count < length) {
        ssize_t n = pread(fd, to + *count, length - *count, (off_t)(offset + *count));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return 0;
        *count += (uint64_t)n;
    }
    return 0;
}

/* Fills iov with what is left of the parts beyond `skip` bytes. */
static int left_of(const struct ferry_part *parts, uint32_t n, uint64_t skip, struct iovec *iov)
{
    int used = 0;
    for (uint32_t i = 0; i < n && used < IOV_LIMIT; i++) {
        if (skip >= parts[i].len) {
            skip -= parts[i].len;
            continue;
        }
        iov[used].iov_base = (char *)(uintptr_t)parts[i].data + skip;
        iov[used++].iov_len = parts[i].len - skip;
        skip = 0;
    }
    return used;
}

static int write_all(int fd, const struct ferry_part *parts, uint32_t part_count, uint64_t offset,
                     uint64_t *count)
{
    struct iovec iov[IOV_LIMIT];
    int used;
    while ((used = left_of(parts, part_count, *count, iov))) {
        ssize_t n = pwritev(fd, iov, used, (off_t)(offset + *count));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return ENOSPC;
        *count += (uint64_t)n;
    }
    return 0;
}

static void list_entry(int dir, const char *name, struct ferry_text *out)
{
    struct stat st;
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return;
    if (fstatat(dir, name, &st, 0) || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return; /* gone meanwhile, or nothing of ours */
    uint64_t size = (uint64_t)st.st_size;
    ferry_text_add_bytes(out, S_ISDIR(st.st_mode) ? "d" : "f", 1);
    ferry_text_add_bytes(out, &size, sizeof size);
    ferry_text_add_bytes(out, name, strlen(name) + 1);
}

static int list_directory(int root, const char *path, struct ferry_text *out)
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int e = errno;
        if (fd >= 0)
            close(fd);
        return e;
    }
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(d))) {
        list_entry(fd, entry->d_name, out);
        errno = 0;
    }
    int e = errno;
    closedir(d);
    return out->failed ? ENOMEM : e;
}

static int sync_directory(int root, const char *path)
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int e = fsync(fd) ? errno : 0;
    close(fd);
    return e;
}

static int size_of(int fd, uint64_t *size)
{
    struct stat st;
    if (fstat(fd, &st))
        return errno;
    *size = (uint64_t)st.st_size;
    return 0;
}

/* In a helper thread, or here where there is none. */
static void perform(struct file_op *o)
{
    int fd = o->file ? o->file->fd : -1;
    switch (o->type) {
    case FERRY_DO_READ:
        o->os_error = read_all(fd, o->buffer, o->length, o->offset, &o->count);
        break;
    case FERRY_DO_WRITE:
        o->os_error = write_all(fd, o->parts, o->part_count, o->offset, &o->count);
        break;
    case FERRY_DO_SYNC:
        o->os_error = fdatasync(fd) ? errno : 0;
        break;
    case FERRY_DO_TRUNCATE:
        o->os_error = ftruncate(fd, (off_t)o->offset) ? errno : 0;
        break;
    case FERRY_DO_SIZE:
        o->os_error = size_of(fd, &o->count);
        break;
    case FERRY_DO_LIST:
        o->os_error = list_directory(o->root_fd, o->path, o->listing);
        break;
    case FERRY_DO_SYNC_DIR:
        o->os_error = sync_directory(o->root_fd, o->path);
        break;
    default:
        FERRY_UNREACHABLE();
    }
}

/* -- Jobs ---------------------------------------------------------------------------------- */

struct close_job {
    struct ferry_job job; /* first */
    int fd;
};

static void close_run(struct ferry_job *j)
{
    struct close_job *c = (struct close_job *)j;
    close(c->fd);
    c->fd = -1;
}

static void close_done(struct ferry_loop *l, struct ferry_job *j)
{
    struct close_job *c = (struct close_job *)j;
    if (c->fd >= 0)
        close(c->fd);
    ferry_free(c);
}

/* The last descriptor of a removed file frees its blocks, which may take long. */
static void close_removed(struct ferry_loop *l, int fd)
{
    struct close_job *c =
        ferry_pool_threaded(l->pool) && !l->ended ? ferry_zalloc(sizeof *c) : NULL;
    if (!c) {
        close(fd);
        return;
    }
    *c = (struct close_job){{.run = close_run, .done = close_done}, fd};
    ferry_pool_submit(l->pool, &c->job);
}

static void unref(struct ferry_loop *l, struct ferry_file *f)
{
    struct stat st;
    if (--f->refs)
        return;
    if (!fstat(f->fd, &st) && st.st_nlink == 0)
        close_removed(l, f->fd);
    else
        close(f->fd);
    ferry_free(f);
}

static void op_run(struct ferry_job *j)
{
    perform((struct file_op *)j);
}

static void op_free(struct ferry_loop *l, struct file_op *o)
{
    if (o->file)
        unref(l, o->file);
    if (o->listing)
        ferry_text_free(o->listing);
    ferry_free(o->listing);
    ferry_free(o->parts);
    ferry_free(o);
}

static void count_op(struct ferry_loop *l, const struct file_op *o)
{
    l->counters.file_syncs += o->type == FERRY_DO_SYNC || o->type == FERRY_DO_SYNC_DIR;
    if (o->type == FERRY_DO_READ)
        l->counters.file_bytes_in += o->count;
    if (o->type == FERRY_DO_WRITE)
        l->counters.file_bytes_out += o->count;
}

/* What waited behind a truncation goes on, up to the next one. */
static void run_waiting(struct ferry_loop *l, struct ferry_file *f)
{
    struct ferry_link *n;
    while (!f->busy && (n = ferry_list_pop_front(&f->waiting))) {
        struct file_op *o =
            FERRY_CONTAINER(FERRY_CONTAINER(n, struct ferry_job, link), struct file_op, job);
        if (l->ended) {
            op_free(l, o);
            continue;
        }
        f->busy = o->type == FERRY_DO_TRUNCATE;
        if (o->type == FERRY_DO_WRITE || o->type == FERRY_DO_SIZE) {
            perform(o);
            o->job.done(l, &o->job);
        } else {
            ferry_pool_submit(l->pool, &o->job);
        }
    }
}

static void op_done(struct ferry_loop *l, struct ferry_job *j)
{
    struct file_op *o = (struct file_op *)j;
    struct ferry_file *f = o->file;
    struct ferry_completion c = {.type = FERRY_EV_DONE,
                                 .status = ferry_loop_file_status(o->os_error),
                                 .os_error = o->os_error,
                                 .who = o->who,
                                 .op = o->op,
                                 .count = o->count,
                                 .object = o->listing,
                                 .what = name_of(o->type)};
    o->listing = NULL;
    count_op(l, o);
    ferry_loop_complete(l, &c);
    if (f && o->type == FERRY_DO_TRUNCATE) {
        f->busy = false;
        f->refs++;
        run_waiting(l, f);
        unref(l, f);
    }
    op_free(l, o);
}

static struct file_op *new_op(struct ferry_loop *l, const struct ferry_action *a,
                              struct ferry_file *f, const char *path)
{
    size_t len = path ? strlen(path) + 1 : 0;
    struct file_op *o = ferry_zalloc(sizeof *o + len);
    if (!o)
        return NULL;
    o->job = (struct ferry_job){.run = op_run, .done = op_done};
    o->type = a->type;
    o->root_fd = l->config.root_fd;
    o->who = a->who;
    o->op = a->op;
    o->offset = a->offset;
    o->length = a->length;
    o->buffer = a->buffer;
    if (path)
        memcpy(o->path, path, len);
    if (a->type == FERRY_DO_LIST && !(o->listing = ferry_zalloc(sizeof *o->listing))) {
        ferry_free(o);
        return NULL;
    }
    if (a->type == FERRY_DO_WRITE && a->part_count) {
        o->part_count = a->part_count;
        o->parts = ferry_memdup(l->actions.parts + a->part_first, a->part_count * sizeof *o->parts);
        if (!o->parts) {
            ferry_free(o);
            return NULL;
        }
    }
    o->file = f;
    if (f)
        f->refs++;
    return o;
}

/* Gives the operation to a helper thread, or lets it wait behind what is under way on its file. */
static void hand_out(struct ferry_loop *l, const struct ferry_action *a, struct ferry_file *f,
                     const char *path, uint64_t count)
{
    struct file_op *o = new_op(l, a, f, path);
    if (!o) {
        complete(l, a, ENOMEM, count);
        return;
    }
    o->count = count;
    if (f && f->busy) {
        ferry_list_push_back(&f->waiting, &o->job.link);
        return;
    }
    if (f && a->type == FERRY_DO_TRUNCATE)
        f->busy = true;
    ferry_pool_submit(l->pool, &o->job);
}

/* -- Operations on open files -------------------------------------------------------------- */

/* What is in memory, at once. true: that is all there is to it. */
static bool read_warm(struct ferry_file *f, const struct ferry_action *a, uint64_t *count, int *e)
{
    *e = 0;
    while (*count < a->length) {
        struct iovec v = {(char *)a->buffer + *count, a->length - *count};
        ssize_t n = preadv2(f->fd, &v, 1, (off_t)(a->offset + *count), RWF_NOWAIT);
        if (n == 0)
            return true;
        if (n > 0) {
            *count += (uint64_t)n;
        } else if (errno == EOPNOTSUPP) {
            f->no_nowait = true;
            return false;
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno != EINTR) {
            *e = errno;
            return true;
        }
    }
    return true;
}

static void read_file(struct ferry_loop *l, const struct ferry_action *a, struct ferry_file *f)
{
    uint64_t count = 0;
    int e = 0;
    l->counters.file_reads++;
    bool finished = !f->busy && !f->no_nowait && read_warm(f, a, &count, &e);
    if (!finished && !f->busy && !ferry_pool_threaded(l->pool)) {
        e = read_all(f->fd, a->buffer, a->length, a->offset, &count);
        finished = true;
    }
    if (!finished) {
        hand_out(l, a, f, NULL, count);
        return;
    }
    l->counters.file_bytes_in += count;
    complete(l, a, e, count);
}

static void write_file(struct ferry_loop *l, const struct ferry_action *a, struct ferry_file *f)
{
    uint64_t count = 0;
    l->counters.file_writes++;
    if (f->busy) {
        hand_out(l, a, f, NULL, 0);
        return;
    }
    int e = write_all(f->fd, l->actions.parts + a->part_first, a->part_count, a->offset, &count);
    l->counters.file_bytes_out += count;
    complete(l, a, e, count);
}

static void size_file(struct ferry_loop *l, const struct ferry_action *a, struct ferry_file *f)
{
    uint64_t size = 0;
    if (f->busy) {
        hand_out(l, a, f, NULL, 0);
        return;
    }
    int e = size_of(f->fd, &size);
    complete(l, a, e, size);
}

static void on_file(struct ferry_loop *l, const struct ferry_action *a)
{
    struct ferry_file *f = find(l, a->who);
    if (!f)
        complete(l, a, EBADF, 0);
    else if (a->type == FERRY_DO_READ)
        read_file(l, a, f);
    else if (a->type == FERRY_DO_WRITE)
        write_file(l, a, f);
    else if (a->type == FERRY_DO_SIZE)
        size_file(l, a, f);
    else
        hand_out(l, a, f, NULL, 0);
}

/* -- Names --------------------------------------------------------------------------------- */

static int open_file(struct ferry_loop *l, const struct ferry_action *a, const char *path,
                     uint64_t *size)
{
    int flags = O_CLOEXEC | O_NOCTTY;
    flags |= a->flags & FERRY_OPEN_WRITE ? O_RDWR : O_RDONLY;
    flags |= a->flags & FERRY_OPEN_CREATE ? O_CREAT : 0;
    flags |= a->flags & FERRY_OPEN_TRUNCATE ? O_TRUNC : 0;
    struct ferry_file *f = ferry_zalloc(sizeof *f);
    if (!f)
        return ENOMEM;
    int e = 0;
    f->fd = openat(l->config.root_fd, path, flags, 0644);
    if (f->fd < 0)
        e = errno;
    else if (!(e = size_of(f->fd, size)) &&
             ferry_ids_put(&l->disk->files, ferry_ids_key(a->who), f))
        e = ENOMEM;
    if (e) {
        if (f->fd >= 0)
            close(f->fd);
        ferry_free(f);
        return e;
    }
    f->refs = 1;
    ferry_list_init(&f->waiting);
    return 0;
}

static int remove_name(struct ferry_loop *l, const char *path)
{
    /* Held open, so that the name goes now and the blocks later. */
    int fd = openat(l->config.root_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    int e = unlinkat(l->config.root_fd, path, 0) ? errno : 0;
    if (e == EISDIR || e == EPERM)
        e = unlinkat(l->config.root_fd, path, AT_REMOVEDIR) ? errno : 0;
    if (fd >= 0)
        close_removed(l, fd);
    return e;
}

static void on_name(struct ferry_loop *l, const struct ferry_action *a)
{
    const char *path = checked(a->path);
    const char *path2 = a->type == FERRY_DO_RENAME ? checked(a->path2) : path;
    int root = l->config.root_fd, e = 0;
    uint64_t count = 0;
    if (root < 0 || !path || !path2) {
        complete(l, a, root < 0 ? EBADF : EINVAL, 0);
        return;
    }
    switch (a->type) {
    case FERRY_DO_LIST:
    case FERRY_DO_SYNC_DIR:
        hand_out(l, a, NULL, path, 0);
        return;
    case FERRY_DO_CREATE:
        e = mkdirat(root, path, 0755) && errno != EEXIST ? errno : 0;
        break;
    case FERRY_DO_OPEN_FILE:
        e = open_file(l, a, path, &count);
        break;
    case FERRY_DO_RENAME:
        e = renameat(root, path, root, path2) ? errno : 0;
        break;
    default:
        e = remove_name(l, path);
        break;
    }
    complete(l, a, e, count);
}

static void close_file(struct ferry_loop *l, struct ferry_id who)
{
    struct ferry_file *f = find(l, who);
    if (!f)
        return;
    ferry_ids_remove(&l->disk->files, ferry_ids_key(who));
    unref(l, f);
}

void ferry_disk_execute(struct ferry_loop *l, const struct ferry_action *a)
{
    switch (a->type) {
    case FERRY_DO_LIST:
    case FERRY_DO_CREATE:
    case FERRY_DO_OPEN_FILE:
    case FERRY_DO_RENAME:
    case FERRY_DO_UNLINK:
    case FERRY_DO_SYNC_DIR:
        on_name(l, a);
        break;
    case FERRY_DO_CLOSE_FILE:
        close_file(l, a->who);
        break;
    case FERRY_DO_SIZE:
    case FERRY_DO_READ:
    case FERRY_DO_WRITE:
    case FERRY_DO_SYNC:
    case FERRY_DO_TRUNCATE:
        on_file(l, a);
        break;
    default:
        FERRY_UNREACHABLE();
    }
}

/* -- For sending file ranges --------------------------------------------------------------- */

struct ferry_file *ferry_disk_borrow(struct ferry_loop *l, struct ferry_id who)
{
    struct ferry_file *f = find(l, who);
    if (f)
        f->refs++;
    return f;
}

void ferry_disk_return(struct ferry_loop *l, struct ferry_file *f)
{
    unref(l, f);
}

int ferry_disk_fd(const struct ferry_file *f)
{
    return f->fd;
}

struct warm_job {
    struct ferry_job job; /* first */
    struct ferry_file *file;
    struct ferry_id who;
    uint64_t offset, length;
};

static void warm_run(struct ferry_job *j)
{
    struct warm_job *w = (struct warm_job *)j;
    char sink[16 * 1024];
    posix_fadvise(w->file->fd, (off_t)w->offset, (off_t)w->length, POSIX_FADV_WILLNEED);
    while (w->length) {
        size_t want = w->length < sizeof sink ? w->length : sizeof sink;
        ssize_t n = pread(w->file->fd, sink, want, (off_t)w->offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* sendfile will meet the same, and say it */
        w->offset += (uint64_t)n;
        w->length -= (uint64_t)n;
    }
}

static void warm_done(struct ferry_loop *l, struct ferry_job *j)
{
    struct warm_job *w = (struct warm_job *)j;
    unref(l, w->file);
    if (!l->ended)
        ferry_tcp_warmed(l, w->who);
    ferry_free(w);
}

/* Looks at a byte in every stride: the kernel reads ahead in larger pieces than that. */
static bool in_memory(struct ferry_file *f, uint64_t offset, uint64_t length)
{
    char byte;
    for (uint64_t at = 0; at < length && !f->no_nowait; at += WARM_STRIDE) {
        struct iovec v = {&byte, 1};
        if (preadv2(f->fd, &v, 1, (off_t)(offset + at), RWF_NOWAIT) >= 0)
            continue;
        if (errno == EAGAIN)
            return false;
        f->no_nowait = errno == EOPNOTSUPP;
    }
    return true;
}

bool ferry_disk_warm(struct ferry_loop *l, struct ferry_file *f, uint64_t offset, uint64_t length,
                     struct ferry_id who)
{
    if (!ferry_pool_threaded(l->pool) || in_memory(f, offset, length))
        return true;
    struct warm_job *w = ferry_zalloc(sizeof *w);
    if (!w)
        return true; /* slower, not wrong */
    *w = (struct warm_job){{.run = warm_run, .done = warm_done}, f, who, offset, length};
    f->refs++;
    ferry_pool_submit(l->pool, &w->job);
    return false;
}

/* -- Life ---------------------------------------------------------------------------------- */

int ferry_disk_create(struct ferry_loop *l)
{
    l->disk = ferry_zalloc(sizeof *l->disk);
    return l->disk ? 0 : FERRY_E_NOMEM;
}

void ferry_disk_destroy(struct ferry_loop *l)
{
    if (!l->disk)
        return;
    for (size_t i = 0; i < l->disk->files.cap; i++) {
        struct ferry_file *f = l->disk->files.entries[i].value;
        if (!l->disk->files.entries[i].key)
            continue;
        f->busy = false;
        f->refs++;
        run_waiting(l, f);
        unref(l, f);
        unref(l, f);
    }
    ferry_ids_free(&l->disk->files);
    ferry_free(l->disk);
}
