/* SPDX-License-Identifier: BSD-2-Clause */
/* The store behind groups: shards, records, what they mean, and what grows old. */
#include "config.h"

#include "refbroker/coord/groups.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "ferry/kafka_errors.h"
#include "record/batch.h"
#include "record/build.h"
#include "record/compress.h"
#include "refbroker/coord/group.h"
#include "refbroker/node_state.h"
#include "wire/codec.h"

enum {
    KEY_OFFSET_LEGACY = 0,
    KEY_OFFSET = 1,
    KEY_GROUP = 2,
    OFFSET_VALUE = 3,         /* the version that every reader knows */
    OFFSET_VALUE_EXPIRES = 1, /* the only one with a time of its own to expire at */
    GROUP_VALUE = 3,
    ARENA_LIMIT = 16 << 20,
    EXPANDED_MAX = 64 << 20,
    DELETE_BATCH = 1000 /* tombstones in one write */
};

static const struct ferry_str offsets_topic = {"__consumer_offsets", 18};

static void on_expiry(struct ferry_timer *, void *);

void broker_groups_init(struct broker_groups *gs)
{
    *gs = (struct broker_groups){0};
    gs->expiry.fire = on_expiry;
    ferry_list_init(&gs->writes);
}

struct detached_write {
    struct coord_write write;
    struct coord_group *group;
    const char *what;
};

static void destroy_detached(struct coord_write *w)
{
    ferry_free(FERRY_CONTAINER(w, struct detached_write, write));
}

void broker_groups_free(struct broker_node *n)
{
    struct broker_groups *gs = &n->groups;
    struct ferry_map_entry *e;
    struct ferry_link *l;
    while ((l = ferry_list_pop_front(&gs->writes))) {
        struct coord_write *w = FERRY_CONTAINER(l, struct coord_write, link);
        ferry_slab_unref(w->append.slab);
        if (w->destroy)
            w->destroy(w);
    }
    for (size_t at = 0; (e = ferry_map_next(&gs->by_name, &at));)
        coord_group_free(e->value);
    ferry_map_free(&gs->by_name);
    ferry_free(gs->shards);
    ferry_writer_free(&gs->records);
    ferry_writer_free(&gs->key);
    ferry_writer_free(&gs->value);
    ferry_codecs_free(gs->codecs);
    ferry_slab_unref(gs->expanded);
}

/* ---- shards ---- */

/* Java hashes UTF-16 units; what is not UTF-8 counts as a replacement character. */
uint32_t broker_groups_hash(struct ferry_str s)
{
    uint32_t h = 0;
    for (size_t i = 0; i < s.len;) {
        uint8_t c = (uint8_t)s.data[i];
        size_t n = c < 0x80             ? 1
                   : (c & 0xe0) == 0xc0 ? 2
                   : (c & 0xf0) == 0xe0 ? 3
                   : (c & 0xf8) == 0xf0 ? 4
                                        : 0;
        uint32_t u = n < 2 ? c : c & (0x7fu >> n);
        for (size_t k = 1; k < n; k++)
            if (i + k >= s.len || ((uint8_t)s.data[i + k] & 0xc0) != 0x80)
                n = 0;
            else
                u = u << 6 | ((uint8_t)s.data[i + k] & 0x3f);
        if (!n) {
            u = 0xfffd;
            n = 1;
        }
        if (u >= 0x10000) {
            h = 31 * h + (0xd800 + ((u - 0x10000) >> 10));
            u = 0xdc00 + ((u - 0x10000) & 0x3ff);
        }
        h = 31 * h + u;
        i += n;
    }
    return h & 0x7fffffff;
}

int broker_groups_shard(struct broker_node *n, struct ferry_str group, struct coord_shard **out)
{
    struct broker_groups *gs = &n->groups;
    if (!gs->shard_count)
        return FERRY_KAFKA_NOT_COORDINATOR;
    struct coord_shard *s = &gs->shards[broker_groups_hash(group) % (uint32_t)gs->shard_count];
    *out = s;
    switch (s->state) {
    case SHARD_READY:
        return n->dir.offline ? FERRY_KAFKA_NOT_COORDINATOR : 0;
    case SHARD_WAITING:
    case SHARD_LOADING:
        return FERRY_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    default:
        return FERRY_KAFKA_NOT_COORDINATOR;
    }
}

void broker_groups_log_opened(struct broker_node *n, struct broker_partition *p)
{
    struct broker_groups *gs = &n->groups;
    if (!ferry_str_eq(ferry_str_of(p->topic->name), offsets_topic))
        return;
    if (!gs->shards) { /* the count is fixed when the topic is made: adding partitions would move groups */
        gs->shards = ferry_zalloc((size_t)p->topic->partition_count * sizeof *gs->shards);
        if (!gs->shards) {
            broker_node_fail(n, "no memory for the group coordinator");
            return;
        }
        gs->shard_count = p->topic->partition_count;
        for (int32_t i = 0; i < gs->shard_count; i++)
            gs->shards[i] = (struct coord_shard){.node = n, .index = i};
    }
    if (p->index >= gs->shard_count)
        return;
    gs->shards[p->index].partition = p;
    gs->shards[p->index].state = p->log->start == p->log->end ? SHARD_READY : SHARD_WAITING;
}

void broker_groups_load(struct broker_node *n)
{
    int64_t ms = n->config.now.offsets_check_ms;
    if (broker_timer_in(n, &n->groups.expiry, ms < 1000 ? 1000 : ms))
        broker_node_fail(n, "no memory for a timer");
}

/* ---- what records mean ---- */

static size_t offset_key(struct ferry_str topic, int32_t partition, uint8_t key[256 + 4])
{
    size_t n = topic.len < 256 ? topic.len : 256;
    memcpy(key, topic.data, n);
    ferry_put32(key + n, (uint32_t)partition);
    return n + 4;
}

static int put_offset(struct coord_group *g, struct ferry_str topic, int32_t partition,
                      const struct ferry_offset_commit_value *v)
{
    uint8_t key[256 + 4];
    size_t n = offset_key(topic, partition, key);
    struct coord_offset *o = ferry_map_get(&g->offsets, key, n);
    struct ferry_str text = v->metadata.data ? v->metadata : FERRY_STR("");
    if (!o) {
        o = ferry_zalloc(sizeof *o);
        if (!o || ferry_map_put(&g->offsets, key, n, o, NULL)) {
            ferry_free(o);
            return FERRY_E_NOMEM;
        }
    }
    if (!o->metadata || o->metadata_len != text.len || memcmp(o->metadata, text.data, text.len)) {
        char *copy = text.len ? ferry_memdup(text.data, text.len) : NULL;
        if (text.len && !copy)
            return FERRY_E_NOMEM;
        ferry_free(o->metadata);
        o->metadata = copy;
        o->metadata_len = text.len;
    }
    o->offset = v->offset;
    o->epoch = v->leader_epoch;
    o->committed_at = v->commit_timestamp;
    o->expires_at = v->expire_timestamp;
    return 0;
}

static void remove_offset(struct coord_group *g, struct ferry_str topic, int32_t partition)
{
    uint8_t key[256 + 4];
    struct coord_offset *o = ferry_map_remove(&g->offsets, key, offset_key(topic, partition, key));
    if (o)
        ferry_free(o->metadata);
    ferry_free(o);
}

static int apply_offset(struct broker_node *n, const struct coord_shard *shard,
                        struct ferry_cursor *key, struct ferry_bytes value,
                        struct ferry_arena *arena)
{
    struct ferry_offset_commit_key k;
    struct ferry_offset_commit_value v;
    int code = ferry_msg_read(&ferry_offset_commit_key_msg, 0, key, 0, arena, &k, NULL);
    if (code)
        return code;
    struct coord_group *g = coord_group_find(n, k.group);
    if (!value.data) {
        if (g) {
            remove_offset(g, k.topic, k.partition);
            coord_group_drop_if_unused(g);
        }
        return 0;
    }
    struct ferry_cursor c = ferry_cursor_of(value);
    int version = (int16_t)ferry_cursor_u16(&c);
    code = ferry_msg_read(&ferry_offset_commit_value_msg, version, &c, 0, arena, &v, NULL);
    if (!code && !g && !(g = coord_group_new(n, shard, k.group)))
        code = FERRY_E_NOMEM;
    return code ? code : put_offset(g, k.topic, k.partition, &v);
}

/* A group as it was when the broker stopped: its members have one session time to show that they are alive. */
static int restore_members(struct coord_group *g, const struct ferry_group_metadata_value *v)
{
    while (!ferry_list_empty(&g->members))
        coord_group_remove_member(FERRY_CONTAINER(g->members.next, struct coord_member, link), 0);
    for (int32_t i = 0; i < v->members_count; i++) {
        const struct ferry_group_metadata_value_member_metadata *from = &v->members[i];
        struct ferry_join_group_request_protocol protocol = {
            .name = v->protocol.data ? v->protocol : FERRY_STR(""), .metadata = from->subscription};
        struct coord_joiner j = {from->member_id,
                                 from->group_instance_id,
                                 from->client_id,
                                 from->client_host,
                                 from->session_timeout,
                                 from->rebalance_timeout < 0 ? from->session_timeout
                                                             : from->rebalance_timeout,
                                 &protocol,
                                 1};
        struct coord_member *m = coord_group_add_member(g, &j);
        if (!m || coord_group_set_assignment(m, from->assignment))
            return FERRY_E_NOMEM;
        coord_group_touch(m);
    }
    return 0;
}

static char *dup_str(struct ferry_str s)
{
    return s.data ? ferry_strndup(s.data, s.len) : NULL;
}

static int restore_group(struct coord_group *g, const struct ferry_group_metadata_value *v)
{
    if (g->state == GROUP_STABLE && !v->members_count)
        coord_group_move(g, GROUP_EMPTY);
    ferry_free(g->protocol_type);
    ferry_free(g->protocol);
    g->protocol_type = dup_str(v->protocol_type);
    g->protocol = dup_str(v->protocol);
    g->generation = v->generation;
    int code = restore_members(g, v);
    ferry_free(g->leader);
    g->leader = dup_str(v->leader);
    if (!code && g->state == GROUP_EMPTY && v->members_count)
        coord_group_move(g, GROUP_STABLE);
    g->state_since = v->current_state_timestamp >= 0 ? v->current_state_timestamp : g->node->wall;
    return code;
}

static int apply_group(struct broker_node *n, const struct coord_shard *shard,
                       struct ferry_cursor *key, struct ferry_bytes value,
                       struct ferry_arena *arena)
{
    struct ferry_group_metadata_key k;
    struct ferry_group_metadata_value v;
    int code = ferry_msg_read(&ferry_group_metadata_key_msg, 0, key, 0, arena, &k, NULL);
    if (code)
        return code;
    struct coord_group *g = coord_group_find(n, k.group);
    if (!value.data) {
        if (g) {
            g->recorded = false;
            if (shard->state == SHARD_LOADING &&
                g->state == GROUP_STABLE) { /* deleted with its members gone */
                struct ferry_group_metadata_value nobody;
                ferry_group_metadata_value_init(&nobody);
                restore_group(g, &nobody);
            }
            coord_group_drop_if_unused(g);
        }
        return 0;
    }
    struct ferry_cursor c = ferry_cursor_of(value);
    int version = (int16_t)ferry_cursor_u16(&c);
    code = ferry_msg_read(&ferry_group_metadata_value_msg, version, &c, 0, arena, &v, NULL);
    if (!code && !g && !(g = coord_group_new(n, shard, k.group)))
        code = FERRY_E_NOMEM;
    if (code)
        return code;
    g->recorded = true;
    return shard->state == SHARD_LOADING ? restore_group(g, &v)
                                         : 0; /* live, the members are there already */
}

static int apply(struct broker_node *n, const struct coord_shard *shard,
                 const struct ferry_batch_record *r)
{
    struct ferry_arena arena;
    struct ferry_cursor key = ferry_cursor_of(r->key);
    int number = (int16_t)ferry_cursor_u16(&key), code = 0;
    if (!r->key.data || key.err)
        return FERRY_E_PROTOCOL;
    ferry_arena_init(&arena, ARENA_LIMIT);
    if (number == KEY_OFFSET || number == KEY_OFFSET_LEGACY)
        code = apply_offset(n, shard, &key, r->value, &arena);
    else if (number == KEY_GROUP)
        code = apply_group(n, shard, &key, r->value, &arena);
    ferry_arena_free(&arena); /* other numbers are of groups that this broker does not serve */
    return code;
}

static int apply_batch(const struct coord_shard *shard, const struct ferry_batch *b)
{
    struct broker_node *n = shard->node;
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    struct ferry_error err = {0};
    struct ferry_bytes records = b->records;
    if (ferry_batch_is_control(b))
        return 0;
    if (ferry_batch_codec(b)) {
        if (!n->groups.codecs && !(n->groups.codecs = ferry_codecs_new()))
            return FERRY_E_NOMEM;
        if (n->groups.expanded)
            n->groups.expanded->len = 0;
        int rc = ferry_decompress(n->groups.codecs, ferry_batch_codec(b), records, EXPANDED_MAX,
                                  &n->groups.expanded, &err);
        if (rc)
            return rc;
        records = (struct ferry_bytes){n->groups.expanded->data, n->groups.expanded->len};
    }
    int code = ferry_batch_iter_init(&it, b, records, 0, INT64_MAX, &err);
    while (!code && (code = ferry_batch_iter_next(&it, &r, &err)) > 0) {
        code = apply(n, shard, &r);
        if (code == FERRY_E_PROTOCOL || code == FERRY_E_UNSUPPORTED) {
            broker_node_say(n, LOG_WARN,
                            "__consumer_offsets-%d: the record at offset %lld is not understood",
                            (int)shard->index, (long long)r.offset);
            code = 0;
        }
    }
    return code;
}

/* ---- loading ---- */

static int on_batch(struct log_scan *scan, const struct ferry_batch *b)
{
    return apply_batch(FERRY_CONTAINER(scan, struct coord_shard, scan), b);
}

static void on_loaded(struct log_scan *scan, int error)
{
    struct coord_shard *s = FERRY_CONTAINER(scan, struct coord_shard, scan);
    s->state = error ? SHARD_FAILED : SHARD_READY;
    s->node->groups.loading = false;
    if (error)
        broker_node_say(s->node, LOG_ERROR,
                        "__consumer_offsets-%d cannot be read (%d): its groups are not served",
                        (int)s->index, error);
}

bool broker_groups_settle(struct broker_node *n)
{
    struct broker_groups *gs = &n->groups;
    if (gs->loading)
        return false;
    for (int32_t i = 0; i < gs->shard_count; i++) {
        struct coord_shard *s = &gs->shards[i];
        if (s->state != SHARD_WAITING)
            continue;
        struct log *log = s->partition->log;
        s->scan = (struct log_scan){
            .from = log->start, .upto = log->end, .on_batch = on_batch, .done = on_loaded};
        s->state = SHARD_LOADING;
        gs->loading = true;
        if (log_scan(log, &s->scan))
            on_loaded(&s->scan, FERRY_E_NOMEM);
        return true;
    }
    return false;
}

/* ---- writing ---- */

void broker_groups_begin(struct broker_node *n)
{
    ferry_writer_reset(&n->groups.records);
    ferry_writer_room(&n->groups.records, FERRY_BATCH_HEADER);
    n->groups.count = 0;
}

static int add(struct broker_node *n, int number, const struct ferry_msg *key_msg, const void *key,
               int version, const struct ferry_msg *value_msg, const void *value)
{
    struct broker_groups *gs = &n->groups;
    ferry_writer_reset(&gs->key);
    ferry_writer_reset(&gs->value);
    ferry_writer_u16(&gs->key, (uint16_t)number);
    int code = ferry_msg_encode(key_msg, 0, key, &gs->key, NULL);
    if (!code && value) {
        ferry_writer_u16(&gs->value, (uint16_t)version);
        code = ferry_msg_encode(value_msg, version, value, &gs->value, NULL);
    }
    if (code || gs->key.err || gs->value.err)
        return code ? code : FERRY_E_NOMEM;
    struct ferry_build_record r = {.key = {gs->key.data, gs->key.len}};
    if (value)
        r.value = (struct ferry_bytes){gs->value.data, gs->value.len};
    size_t at = gs->records.len;
    uint8_t *p = ferry_writer_room(&gs->records, ferry_build_record_max(&r));
    if (!p)
        return FERRY_E_NOMEM;
    gs->records.len = at + (size_t)(ferry_build_record(p, &r, 0, gs->count++) - p);
    return 0;
}

int broker_groups_add_offset(struct broker_node *n, struct ferry_str group, struct ferry_str topic,
                             int32_t partition, const struct ferry_offset_commit_value *value)
{
    struct ferry_offset_commit_key k;
    ferry_offset_commit_key_init(&k);
    k.group = group;
    k.topic = topic;
    k.partition = partition;
    int version = value && value->expire_timestamp >= 0 ? OFFSET_VALUE_EXPIRES : OFFSET_VALUE;
    return add(n, KEY_OFFSET, &ferry_offset_commit_key_msg, &k, version,
               &ferry_offset_commit_value_msg, value);
}

int broker_groups_add_group(struct broker_node *n, struct ferry_str group,
                            const struct ferry_group_metadata_value *value)
{
    struct ferry_group_metadata_key k;
    ferry_group_metadata_key_init(&k);
    k.group = group;
    return add(n, KEY_GROUP, &ferry_group_metadata_key_msg, &k, GROUP_VALUE,
               &ferry_group_metadata_value_msg, value);
}

static int to_group_error(int error)
{
    switch (error) {
    case FERRY_KAFKA_MESSAGE_TOO_LARGE:
    case FERRY_KAFKA_RECORD_LIST_TOO_LARGE:
    case FERRY_KAFKA_INVALID_FETCH_SIZE:
        return FERRY_KAFKA_INVALID_COMMIT_OFFSET_SIZE;
    case FERRY_KAFKA_KAFKA_STORAGE_ERROR:
        return FERRY_KAFKA_NOT_COORDINATOR;
    default:
        return FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
}

static void on_written(struct log_append *a, int error)
{
    struct coord_write *w = FERRY_CONTAINER(a, struct coord_write, append);
    struct ferry_batch b;
    if (!error && (ferry_batch_parse(a->data, a->len, &b, NULL) || apply_batch(w->shard, &b)))
        error = FERRY_KAFKA_UNKNOWN_SERVER_ERROR;
    ferry_slab_unref(a->slab);
    a->slab = NULL;
    ferry_list_remove(&w->link);
    w->done(w, error ? to_group_error(error) : 0);
}

bool broker_groups_too_large(const struct broker_node *n)
{
    return n->groups.records.len > (size_t)n->config.now.message_max_bytes;
}

int broker_groups_submit(struct broker_node *n, const struct coord_shard *shard,
                         struct coord_write *w)
{
    struct broker_groups *gs = &n->groups;
    size_t size = gs->records.len;
    if (n->phase >= PHASE_STOPPING) /* the logs close; a rebalance may still come to its time */
        return FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    struct ferry_slab *s = gs->records.err ? NULL : broker_pool_get(&n->conns.pool, size);
    if (!s)
        return FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    struct ferry_build_header h = {.base_timestamp = n->wall,
                                   .max_timestamp = n->wall,
                                   .producer_id = -1,
                                   .producer_epoch = -1,
                                   .base_sequence = -1,
                                   .leader_epoch = -1,
                                   .last_offset_delta = gs->count - 1,
                                   .count = gs->count};
    memcpy(s->data, gs->records.data, size);
    s->len = size;
    ferry_build_header(s->data, &h, size);
    ferry_build_crc(s->data, size);
    w->node = n;
    w->shard = shard;
    ferry_list_push_back(&gs->writes, &w->link);
    w->append = (struct log_append){.done = on_written,
                                    .slab = s,
                                    .data = s->data,
                                    .len = size,
                                    .flags = LOG_APPEND_INTERNAL,
                                    .bad_index = -1};
    log_append_as_leader(shard->partition->log, &w->append,
                         broker_partition_epoch(shard->partition));
    return 0;
}

static void on_detached(struct coord_write *w, int error)
{
    struct detached_write *d = FERRY_CONTAINER(w, struct detached_write, write);
    struct coord_group *g = d->group;
    if (error)
        broker_node_say(w->node, LOG_WARN, "group %s: %s could not be written (%d)", g->name,
                        d->what, error);
    ferry_free(d);
    g->writes--;
    coord_group_drop_if_unused(g);
}

void broker_groups_submit_detached(struct broker_node *n, struct coord_group *g, const char *what)
{
    struct detached_write *d = ferry_zalloc(sizeof *d);
    if (!d)
        return;
    d->write.done = on_detached;
    d->write.destroy = destroy_detached;
    d->group = g;
    d->what = what;
    g->writes++;
    if (broker_groups_submit(n, g->shard, &d->write)) {
        g->writes--;
        ferry_free(d);
    }
}

/* ---- what goes ---- */

static struct ferry_str topic_of(const struct ferry_map_entry *e)
{
    return (struct ferry_str){(const char *)e->key.data, e->key.len - 4};
}

static int32_t partition_of(const struct ferry_map_entry *e)
{
    return (int32_t)ferry_get32(e->key.data + e->key.len - 4);
}

/* Writes tombstones for the offsets that `gone` picks; of the group itself too if nothing is left of it. */
static void drop_offsets(struct broker_node *n, struct coord_group *g, const char *what,
                         bool (*gone)(const struct broker_node *, const struct coord_group *,
                                      const struct ferry_map_entry *, const void *),
                         const void *cookie, bool group_too)
{
    struct ferry_map_entry *e;
    size_t kept = 0, dropped = 0;
    broker_groups_begin(n);
    for (size_t at = 0; (e = ferry_map_next(&g->offsets, &at));)
        if (dropped < DELETE_BATCH && gone(n, g, e, cookie)) {
            if (broker_groups_add_offset(n, ferry_str_of(g->name), topic_of(e), partition_of(e),
                                         NULL))
                return;
            dropped++;
        } else {
            kept++;
        }
    if (group_too && !kept && g->recorded && g->state == GROUP_EMPTY && !g->pending_count) {
        if (broker_groups_add_group(n, ferry_str_of(g->name), NULL))
            return;
        dropped++;
    }
    if (dropped)
        broker_groups_submit_detached(n, g, what);
}

static bool is_of_topic(const struct broker_node *n, const struct coord_group *g,
                        const struct ferry_map_entry *e, const void *cookie)
{
    (void)n;
    (void)g;
    return ferry_str_eq(topic_of(e), ferry_str_of(cookie));
}

void broker_groups_topic_removed(struct broker_node *n, const struct image_topic *t)
{
    struct broker_groups *gs = &n->groups;
    struct ferry_map_entry *e;
    if (ferry_str_eq(ferry_str_of(t->name), offsets_topic)) { /* the coordinator goes with it */
        for (int32_t i = 0; i < gs->shard_count; i++)
            if (gs->shards[i].state == SHARD_LOADING)
                gs->loading = false;
        for (size_t at = 0; (e = ferry_map_next(&gs->by_name, &at));) {
            struct coord_group *g = e->value;
            while (!ferry_list_empty(&g->members))
                coord_group_remove_member(
                    FERRY_CONTAINER(g->members.next, struct coord_member, link),
                    FERRY_KAFKA_NOT_COORDINATOR);
        }
        for (int32_t i = 0; i < gs->shard_count; i++)
            gs->shards[i].state = SHARD_CLOSED;
        return;
    }
    if (n->phase != PHASE_SERVING)
        return;
    for (size_t at = 0; (e = ferry_map_next(&gs->by_name, &at));) {
        struct coord_group *g = e->value;
        if (g->offsets.live && g->shard->state == SHARD_READY)
            drop_offsets(n, g, "that a topic is gone", is_of_topic, t->name, false);
    }
}

static bool is_expired(const struct broker_node *n, const struct coord_group *g,
                       const struct ferry_map_entry *e, const void *cookie)
{
    const struct coord_offset *o = e->value;
    int64_t keep = n->config.now.offsets_retention_minutes * 60000;
    (void)cookie;
    if (o->expires_at >= 0)
        return n->wall >= o->expires_at;
    int64_t from = o->committed_at;
    if (g->protocol_type && g->state_since > from) /* a group that had members: since they went */
        from = g->state_since;
    return n->wall - from >= keep;
}

static void on_expiry(struct ferry_timer *t, void *context)
{
    struct broker_node *n = context;
    struct ferry_map_entry *e;
    (void)t;
    for (size_t at = 0;
         n->phase == PHASE_SERVING && (e = ferry_map_next(&n->groups.by_name, &at));) {
        struct coord_group *g = e->value;
        if (g->state == GROUP_EMPTY && g->shard->state == SHARD_READY && !g->writes)
            drop_offsets(n, g, "that offsets expired", is_expired, NULL, true);
    }
    broker_groups_load(n);
}
