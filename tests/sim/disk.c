/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * The simulated disk (see disk.h).
 *
 * Invariants:
 *  1. node->bytes is what readers see; node->synced what a power loss leaves at least;
 * node->pending the writes and truncations that lead from the second to the first, in order.
 *  2. For a directory likewise: names, synced_names, changes.
 *  3. Nodes live until the disk is freed, so that an unlinked file stays readable through its open
 * id.
 */

#include "tests/sim/disk.h"

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "ferry/error.h"

enum { SECTOR = 512 };

struct blob {
    uint8_t *data;
    size_t len, cap;
};

struct name {
    char name[128];
    char from[128];    /* in a change that is a rename: the name that goes with it */
    struct node *node; /* NULL in a change: the name goes */
};

struct names {
    struct name *items;
    size_t count, cap;
};

struct pending {
    struct ferry_link link;
    bool truncate;
    uint64_t offset;
    size_t len;
    uint8_t data[];
};

struct node {
    struct ferry_link link;
    bool is_dir;
    struct blob bytes, synced;
    struct ferry_link pending;
    struct names names, synced_names, changes;
};

struct open_file {
    struct ferry_id id;
    struct node *node;
};

struct sim_disk {
    struct ferry_prng prng;
    struct sim_disk_faults faults;
    struct sim_disk_counts counts;
    struct ferry_link nodes;
    struct node *root;
    struct open_file *open;
    size_t open_count, open_cap;
    struct ferry_text listing;
};

static void *must(void *p)
{
    FERRY_CHECK(p);
    return p;
}

/* ---- bytes ---- */

static void blob_resize(struct blob *b, size_t len)
{
    if (len > b->cap) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap < len)
            cap *= 2;
        b->data = must(ferry_realloc(b->data, cap));
        b->cap = cap;
    }
    if (len > b->len)
        memset(b->data + b->len, 0, len - b->len);
    b->len = len;
}

static void blob_write(struct blob *b, uint64_t offset, const void *data, size_t len)
{
    if (len == 0)
        return;
    if (offset + len > b->len)
        blob_resize(b, offset + len);
    memcpy(b->data + offset, data, len);
}

static void blob_copy(struct blob *to, const struct blob *from)
{
    blob_resize(to, from->len);
    if (from->len)
        memcpy(to->data, from->data, from->len);
}

/* ---- names ---- */

static struct name *names_find(struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (!strcmp(n->items[i].name, name))
            return &n->items[i];
    return NULL;
}

static struct name *names_push(struct names *n, const char *name, struct node *node)
{
    FERRY_CHECK(strlen(name) < sizeof n->items->name);
    FERRY_CHECK(FERRY_GROW(n->items, n->cap, n->count + 1) == FERRY_OK);
    struct name *e = &n->items[n->count++];
    strcpy(e->name, name);
    e->from[0] = '\0';
    e->node = node;
    return e;
}

static void names_apply(struct names *n, const char *name, struct node *node)
{
    struct name *e = names_find(n, name);
    if (node && e)
        e->node = node;
    else if (node)
        names_push(n, name, node);
    else if (e)
        memmove(e, e + 1, (size_t)(&n->items[--n->count] - e) * sizeof *e);
}

static void names_copy(struct names *to, const struct names *from)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++)
        names_push(to, from->items[i].name, from->items[i].node);
}

static struct name *dir_change(struct node *dir, const char *name, struct node *node)
{
    names_apply(&dir->names, name, node);
    return names_push(&dir->changes, name, node);
}

static struct node *node_new(struct sim_disk *d, bool is_dir)
{
    struct node *n = must(ferry_zalloc(sizeof *n));
    n->is_dir = is_dir;
    ferry_list_init(&n->pending);
    ferry_list_push_back(&d->nodes, &n->link);
    return n;
}

/* The directory that holds path, and the path's last name; NULL if a directory on the way is
 * missing. */
static struct node *walk(struct sim_disk *d, const char *path, char last[128])
{
    struct node *at = d->root;
    strcpy(last, ".");
    while (*path) {
        size_t n = strcspn(path, "/");
        char name[128];
        FERRY_CHECK(n < sizeof name);
        memcpy(name, path, n);
        name[n] = '\0';
        path += n;
        while (*path == '/')
            path++;
        if (n == 0 || !strcmp(name, "."))
            continue;
        if (!*path) {
            strcpy(last, name);
            return at;
        }
        struct name *e = names_find(&at->names, name);
        if (!e || !e->node->is_dir)
            return NULL;
        at = e->node;
    }
    return at;
}

static struct node *lookup(struct sim_disk *d, const char *path)
{
    char last[128];
    struct node *dir = walk(d, path, last);
    if (!dir || !strcmp(last, "."))
        return dir;
    struct name *e = names_find(&dir->names, last);
    return e ? e->node : NULL;
}

/* ---- life ---- */

struct sim_disk *sim_disk_new(uint64_t seed)
{
    struct sim_disk *d = must(ferry_zalloc(sizeof *d));
    ferry_prng_seed(&d->prng, seed);
    ferry_list_init(&d->nodes);
    d->root = node_new(d, true);
    return d;
}

static void pending_clear(struct node *n)
{
    struct ferry_link *l;
    while ((l = ferry_list_pop_front(&n->pending)) != NULL)
        ferry_free(FERRY_CONTAINER(l, struct pending, link));
}

void sim_disk_free(struct sim_disk *d)
{
    struct ferry_link *l;
    if (!d)
        return;
    while ((l = ferry_list_pop_front(&d->nodes)) != NULL) {
        struct node *n = FERRY_CONTAINER(l, struct node, link);
        pending_clear(n);
        ferry_free(n->bytes.data);
        ferry_free(n->synced.data);
        ferry_free(n->names.items);
        ferry_free(n->synced_names.items);
        ferry_free(n->changes.items);
        ferry_free(n);
    }
    ferry_text_free(&d->listing);
    ferry_free(d->open);
    ferry_free(d);
}

struct sim_disk_faults *sim_disk_faults(struct sim_disk *d)
{
    return &d->faults;
}

const struct sim_disk_counts *sim_disk_counts(const struct sim_disk *d)
{
    return &d->counts;
}

size_t sim_disk_open_files(const struct sim_disk *d)
{
    return d->open_count;
}

/* ---- actions ---- */

static struct open_file *find_open(struct sim_disk *d, struct ferry_id id)
{
    for (size_t i = 0; i < d->open_count; i++)
        if (ferry_id_eq(d->open[i].id, id))
            return &d->open[i];
    return NULL;
}

static void add_pending(struct node *n, bool truncate, uint64_t offset, const void *data,
                        size_t len)
{
    struct pending *p = must(ferry_alloc(sizeof *p + len));
    p->link.next = NULL;
    p->truncate = truncate;
    p->offset = offset;
    p->len = len;
    if (len)
        memcpy(p->data, data, len);
    ferry_list_push_back(&n->pending, &p->link);
}

static void node_truncate(struct node *n, uint64_t size)
{
    blob_resize(&n->bytes, size);
    add_pending(n, true, size, NULL, 0);
}

/* What was written since the last sync, and no more: what a failed sync dropped stays lost. */
static void node_sync(struct node *n)
{
    struct ferry_link *l, *t;
    FERRY_LIST_EACH(l, t, &n->pending)
    {
        struct pending *p = FERRY_CONTAINER(l, struct pending, link);
        if (p->truncate)
            blob_resize(&n->synced, p->offset);
        else
            blob_write(&n->synced, p->offset, p->data, p->len);
    }
    pending_clear(n);
}

/* All that a reader sees. */
static void node_settle(struct node *n)
{
    blob_copy(&n->synced, &n->bytes);
    pending_clear(n);
}

static void dir_sync(struct node *n)
{
    names_copy(&n->synced_names, &n->names);
    n->changes.count = 0;
}

static int do_list(struct sim_disk *d, const char *path, struct ferry_event *out)
{
    struct node *dir = lookup(d, path);
    if (!dir || !dir->is_dir)
        return FERRY_E_NOT_FOUND;
    d->listing.len = 0;
    for (size_t i = 0; i < dir->names.count; i++) {
        struct name *e = &dir->names.items[i];
        uint64_t size = e->node->bytes.len;
        ferry_text_add_bytes(&d->listing, e->node->is_dir ? "d" : "f", 1);
        ferry_text_add_bytes(&d->listing, &size, 8);
        ferry_text_add_bytes(&d->listing, e->name, strlen(e->name) + 1);
    }
    out->data = (struct ferry_bytes){(const uint8_t *)d->listing.data, d->listing.len};
    return FERRY_OK;
}

static int do_open(struct sim_disk *d, const struct ferry_action *a, struct ferry_event *out)
{
    char last[128];
    struct node *dir = walk(d, a->path, last);
    if (!dir)
        return FERRY_E_NOT_FOUND;
    struct name *e = names_find(&dir->names, last);
    struct node *n = e ? e->node : NULL;
    if (!n && !(a->flags & FERRY_OPEN_CREATE))
        return FERRY_E_NOT_FOUND;
    if (n && n->is_dir)
        return FERRY_E_IO;
    if (!n)
        dir_change(dir, last, n = node_new(d, false));
    else if (a->flags & FERRY_OPEN_TRUNCATE)
        node_truncate(n, 0);
    FERRY_CHECK(!find_open(d, a->who));
    FERRY_CHECK(FERRY_GROW(d->open, d->open_cap, d->open_count + 1) == FERRY_OK);
    d->open[d->open_count++] = (struct open_file){a->who, n};
    out->count = n->bytes.len;
    return FERRY_OK;
}

static uint64_t total(struct sim_disk *d)
{
    uint64_t sum = 0;
    struct ferry_link *l, *t;
    FERRY_LIST_EACH(l, t, &d->nodes)
    sum += FERRY_CONTAINER(l, struct node, link)->bytes.len;
    return sum;
}

static int do_write(struct sim_disk *d, struct node *n, const struct ferry_action *a,
                    const struct ferry_part *parts, struct ferry_event *out)
{
    int status = FERRY_OK;
    uint64_t whole = 0, allowed, at = a->offset;
    for (uint32_t i = 0; i < a->part_count; i++)
        whole += parts[a->part_first + i].len;
    allowed = whole;
    d->counts.writes++;
    if (ferry_prng_chance(&d->prng, d->faults.no_space, 1000))
        status = FERRY_E_NO_SPACE;
    else if (ferry_prng_chance(&d->prng, d->faults.write_error, 1000))
        status = FERRY_E_IO;
    else if (d->faults.capacity && total(d) + whole > d->faults.capacity)
        status = FERRY_E_NO_SPACE;
    if (status != FERRY_OK)
        allowed = ferry_prng_below(&d->prng, whole);
    d->counts.no_space += status == FERRY_E_NO_SPACE;
    d->counts.short_writes += status != FERRY_OK && allowed > 0;
    out->count = allowed;
    for (uint32_t i = 0; i < a->part_count && allowed; i++) {
        const struct ferry_part *p = &parts[a->part_first + i];
        size_t len = p->len < allowed ? p->len : allowed;
        blob_write(&n->bytes, at, p->data, len);
        add_pending(n, false, at, p->data, len);
        at += len;
        allowed -= len;
    }
    return status;
}

static int do_read(struct sim_disk *d, struct node *n, const struct ferry_action *a,
                   struct ferry_event *out)
{
    if (ferry_prng_chance(&d->prng, d->faults.read_error, 1000))
        return FERRY_E_IO;
    if (a->offset < n->bytes.len) {
        out->count = n->bytes.len - a->offset;
        if (out->count > a->length)
            out->count = a->length;
        memcpy(a->buffer, n->bytes.data + a->offset, out->count);
    }
    return FERRY_OK;
}

static int do_rename(struct sim_disk *d, const char *from, const char *to)
{
    char last_from[128], last_to[128];
    struct node *dir_from = walk(d, from, last_from), *dir_to = walk(d, to, last_to);
    if (!dir_from || !dir_to)
        return FERRY_E_NOT_FOUND;
    struct name *e = names_find(&dir_from->names, last_from);
    if (!e)
        return FERRY_E_NOT_FOUND;
    struct node *n = e->node;
    FERRY_CHECK(dir_from == dir_to); /* a rename across directories could lose both names here */
    strcpy(dir_change(dir_to, last_to, n)->from, last_from);
    names_apply(&dir_from->names, last_from, NULL);
    return FERRY_OK;
}

static int do_unlink(struct sim_disk *d, const char *path)
{
    char last[128];
    struct node *dir = walk(d, path, last);
    struct name *e = dir ? names_find(&dir->names, last) : NULL;
    if (!e)
        return FERRY_E_NOT_FOUND;
    if (e->node->is_dir && e->node->names.count)
        return FERRY_E_IO;
    dir_change(dir, last, NULL);
    return FERRY_OK;
}

static int do_name_action(struct sim_disk *d, const struct ferry_action *a, struct ferry_event *out)
{
    char last[128];
    struct node *dir;
    switch (a->type) {
    case FERRY_DO_LIST:
        return do_list(d, a->path, out);
    case FERRY_DO_CREATE:
        dir = walk(d, a->path, last);
        if (!dir)
            return FERRY_E_NOT_FOUND;
        if (strcmp(last, ".") && !names_find(&dir->names, last))
            dir_change(dir, last, node_new(d, true));
        return FERRY_OK;
    case FERRY_DO_RENAME:
        return do_rename(d, a->path, a->path2);
    case FERRY_DO_UNLINK:
        return do_unlink(d, a->path);
    case FERRY_DO_SYNC_DIR:
        dir = lookup(d, a->path);
        if (!dir || !dir->is_dir)
            return FERRY_E_NOT_FOUND;
        if (ferry_prng_chance(&d->prng, d->faults.sync_error, 1000)) {
            d->counts.failed_syncs++;
            return FERRY_E_IO;
        }
        dir_sync(dir);
        return FERRY_OK;
    default:
        FERRY_UNREACHABLE();
    }
}

static int do_file_action(struct sim_disk *d, const struct ferry_action *a,
                          const struct ferry_part *parts, struct ferry_event *out)
{
    struct open_file *f = find_open(d, a->who);
    FERRY_CHECK(f); /* an engine that uses a file it has not open */
    switch (a->type) {
    case FERRY_DO_SIZE:
        out->count = f->node->bytes.len;
        return FERRY_OK;
    case FERRY_DO_READ:
        return do_read(d, f->node, a, out);
    case FERRY_DO_WRITE:
        return do_write(d, f->node, a, parts, out);
    case FERRY_DO_SYNC:
        d->counts.syncs++;
        if (ferry_prng_chance(&d->prng, d->faults.sync_error, 1000)) {
            /* As Linux does: the dirty pages are dropped from mind, the next sync says all is well.
             */
            d->counts.failed_syncs++;
            pending_clear(f->node);
            return FERRY_E_IO;
        }
        node_sync(f->node);
        return FERRY_OK;
    case FERRY_DO_TRUNCATE:
        node_truncate(f->node, a->offset);
        return FERRY_OK;
    default:
        FERRY_UNREACHABLE();
    }
}

bool sim_disk_execute(struct sim_disk *d, const struct ferry_action *a,
                      const struct ferry_part *parts, struct ferry_event *out)
{
    memset(out, 0, sizeof *out);
    out->type = FERRY_EV_DONE;
    out->who = a->who;
    out->op = a->op;
    if (a->type == FERRY_DO_CLOSE_FILE) {
        struct open_file *f = find_open(d, a->who);
        if (f)
            *f = d->open[--d->open_count];
        return false;
    }
    if (a->type == FERRY_DO_OPEN_FILE)
        out->status = do_open(d, a, out);
    else if (a->who.gen == 0)
        out->status = do_name_action(d, a, out);
    else
        out->status = do_file_action(d, a, parts, out);
    if (out->status != FERRY_OK)
        d->counts.failed++;
    out->text = out->status ? "simulated" : NULL;
    return true;
}

bool sim_disk_gather(struct sim_disk *d, struct ferry_id file, uint64_t offset, void *to,
                     uint64_t len)
{
    struct open_file *f = find_open(d, file);
    if (!f || offset > f->node->bytes.len || len > f->node->bytes.len - offset)
        return false;
    memcpy(to, f->node->bytes.data + offset, len);
    return true;
}

/* ---- the end of a process or a machine ---- */

void sim_disk_kill(struct sim_disk *d)
{
    d->open_count = 0;
}

/* Applies to synced a random choice of what was pending. */
static void lose_bytes(struct sim_disk *d, struct node *n)
{
    struct ferry_link *l, *t;
    uint64_t keep =
        ferry_prng_below(&d->prng, 4) * 333; /* in a thousand; 999: all but everything */
    FERRY_LIST_EACH(l, t, &n->pending)
    {
        struct pending *p = FERRY_CONTAINER(l, struct pending, link);
        size_t kept = 0;
        if (p->truncate) {
            if (ferry_prng_chance(&d->prng, 1, 2))
                blob_resize(&n->synced, p->offset);
            continue;
        }
        for (size_t at = 0; at < p->len;) {
            size_t step = SECTOR - (p->offset + at) % SECTOR;
            if (step > p->len - at)
                step = p->len - at;
            if (ferry_prng_chance(&d->prng, keep, 1000)) {
                blob_write(&n->synced, p->offset + at, p->data + at, step);
                kept += step;
            } else {
                d->counts.lost_sectors++;
            }
            at += step;
        }
        if (kept && kept < p->len)
            d->counts.torn_writes++;
    }
    pending_clear(n);
    blob_copy(&n->bytes, &n->synced);
}

void sim_disk_power_loss(struct sim_disk *d)
{
    struct ferry_link *l, *t;
    d->open_count = 0;
    FERRY_LIST_EACH(l, t, &d->nodes)
    {
        struct node *n = FERRY_CONTAINER(l, struct node, link);
        if (!n->is_dir) {
            lose_bytes(d, n);
            continue;
        }
        size_t kept = ferry_prng_below(&d->prng, n->changes.count + 1);
        d->counts.lost_names += n->changes.count - kept;
        for (size_t i = 0; i < kept; i++) {
            names_apply(&n->synced_names, n->changes.items[i].name, n->changes.items[i].node);
            if (n->changes.items[i].from[0])
                names_apply(&n->synced_names, n->changes.items[i].from, NULL);
        }
        n->changes.count = 0;
        names_copy(&n->names, &n->synced_names);
    }
}

void sim_disk_sync_all(struct sim_disk *d)
{
    struct ferry_link *l, *t;
    FERRY_LIST_EACH(l, t, &d->nodes)
    {
        struct node *n = FERRY_CONTAINER(l, struct node, link);
        if (n->is_dir)
            dir_sync(n);
        else
            node_settle(n);
    }
}

/* ---- for tests ---- */

struct ferry_bytes sim_disk_peek(struct sim_disk *d, const char *path)
{
    struct node *n = lookup(d, path);
    if (!n || n->is_dir)
        return (struct ferry_bytes){NULL, 0};
    if (!n->bytes.data)
        blob_resize(&n->bytes, 1), n->bytes.len = 0;
    return (struct ferry_bytes){n->bytes.data, n->bytes.len};
}

void sim_disk_put(struct sim_disk *d, const char *path, const void *data, size_t len)
{
    char last[128], part[256];
    for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
        FERRY_CHECK((size_t)(s - path) < sizeof part);
        memcpy(part, path, (size_t)(s - path));
        part[s - path] = '\0';
        struct node *dir = walk(d, part, last);
        if (!names_find(&dir->names, last))
            dir_change(dir, last, node_new(d, true));
        dir_sync(dir);
    }
    struct node *dir = walk(d, path, last);
    struct name *e = names_find(&dir->names, last);
    struct node *n = e ? e->node : node_new(d, false);
    if (!e)
        dir_change(dir, last, n);
    dir_sync(dir);
    blob_resize(&n->bytes, 0);
    blob_write(&n->bytes, 0, data, len);
    node_settle(n);
}

bool sim_disk_remove(struct sim_disk *d, const char *path)
{
    char last[128];
    struct node *dir = walk(d, path, last);
    if (!dir || do_unlink(d, path) != FERRY_OK)
        return false;
    dir_sync(dir);
    return true;
}

static void each(struct node *dir, struct ferry_text *path,
                 void (*fn)(const char *, struct ferry_bytes, void *), void *cookie)
{
    size_t at = path->len;
    for (size_t i = 0; i < dir->names.count; i++) {
        struct name *e = &dir->names.items[i];
        ferry_text_add(path, "%s%s", at ? "/" : "", e->name);
        if (e->node->is_dir)
            each(e->node, path, fn, cookie);
        else
            fn(path->data, (struct ferry_bytes){e->node->bytes.data, e->node->bytes.len}, cookie);
        path->len = at;
    }
}

void sim_disk_each(struct sim_disk *d, void (*fn)(const char *, struct ferry_bytes, void *),
                   void *cookie)
{
    struct ferry_text path = {0};
    each(d->root, &path, fn, cookie);
    ferry_text_free(&path);
}

static void add_name(const char *path, struct ferry_bytes bytes, void *cookie)
{
    ferry_text_add(cookie, "%s %zu\n", path, bytes.len);
}

void sim_disk_names(struct sim_disk *d, struct ferry_text *out)
{
    sim_disk_each(d, add_name, out);
}
