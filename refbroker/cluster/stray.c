/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "refbroker/cluster/stray.h"

#include "refbroker/node_state.h"
#include "wire/value.h"

#include <stdio.h>

enum { METADATA_MAX = 4096 };

static void next(struct broker_node *);

static void on_renamed(struct log_op *op, int status, uint64_t count)
{
    struct broker_node *n = FERRY_CONTAINER(op, struct broker_node, strays.op);
    (void)count;
    if (status)
        broker_node_say(n, LOG_WARN, "%s belongs to no topic and cannot be renamed (%d): %s",
                        n->strays.path, status, n->files.failure);
    next(n);
}

static void put_aside(struct broker_node *n, bool deleted)
{
    struct broker_strays *s = &n->strays;
    snprintf(s->to, sizeof s->to, "%s%s", s->path, deleted ? ".left-delete" : "-stray");
    broker_node_say(
        n, deleted ? LOG_INFO : LOG_WARN, "%s belongs to %s; it is renamed to %s", s->path,
        deleted ? "a topic that was deleted" : "no topic that the metadata log knows", s->to);
    s->op.done = on_renamed;
    log_files_rename(&n->files, &s->op, s->path, s->to);
}

static void on_metadata(struct log_load *load, int status, struct ferry_bytes data)
{
    struct broker_node *n = FERRY_CONTAINER(load, struct broker_node, strays.load);
    struct ferry_uuid id;
    const char *at = status || !data.len ? NULL : memmem(data.data, data.len, "topic_id: ", 10);
    size_t left = at ? data.len - (size_t)(at + 10 - (const char *)data.data) : 0;
    bool deleted = left >= 22 && broker_node_parse_uuid((struct ferry_str){at + 10, 22}, &id) &&
                   broker_image_was_removed(&n->image, &id);
    put_aside(n, deleted);
}

static bool is_known(const struct broker_node *n, const struct log_found *f)
{
    const struct image_topic *t = broker_image_topic(&n->image, f->topic);
    return (t && broker_image_partition(t, f->partition)) ||
           ferry_str_eq(f->topic, FERRY_STR("__cluster_metadata"));
}

static void next(struct broker_node *n)
{
    struct broker_strays *s = &n->strays;
    struct log_found f;
    char path[sizeof s->path + 32];
    while (log_dir_next_found(&n->dir, &s->at, &f)) {
        if (is_known(n, &f))
            continue;
        snprintf(s->path, sizeof s->path, "%.*s-%d", (int)(f.topic.len < 250 ? f.topic.len : 250),
                 f.topic.data, (int)f.partition);
        snprintf(path, sizeof path, "%s/partition.metadata", s->path);
        s->load.done = on_metadata;
        log_files_load(&n->files, &s->load, path, METADATA_MAX);
        return;
    }
    s->done(n);
}

void broker_strays_clear(struct broker_node *n, void (*done)(struct broker_node *))
{
    n->strays.done = done;
    n->strays.at = 0;
    next(n);
}
