/* SPDX-License-Identifier: BSD-2-Clause */
/* OffsetCommit, OffsetFetch, OffsetDelete. */
#include "config.h"

#include "base/plant.h"
#include "ferry/kafka_errors.h"
#include "refbroker/coord/group.h"
#include "refbroker/coord/handlers.h"
#include "refbroker/handler/request.h"
#include "refbroker/node_state.h"
#include "wire/codec.h"
#include "wire/value.h"

#include <stdlib.h>

/* ---- OffsetCommit ---- */

struct commit {
    struct coord_write write;
    struct broker_request *request;
    struct coord_group *group;
    struct ferry_offset_commit_response response;
};

/* Sets the code of every row that has none yet. */
static void fill_codes(struct ferry_offset_commit_response *out, int code)
{
    for (int32_t i = 0; i < out->topics_count; i++)
        for (int32_t j = 0; j < out->topics[i].partitions_count; j++)
            if (!out->topics[i].partitions[j].error_code)
                out->topics[i].partitions[j].error_code = (int16_t)code;
}

static void on_committed(struct coord_write *w, int error)
{
    struct commit *c = FERRY_CONTAINER(w, struct commit, write);
    c->group->writes--;
    fill_codes(&c->response, error);
    coord_group_drop_if_unused(c->group);
    broker_reply(c->request, &c->response);
}

/* Who may commit: a member of this generation, or, while nobody is in the group, whoever names none. */
static int check_committer(struct coord_group *g, const struct ferry_offset_commit_request *in)
{
    int32_t generation = in->generation_id_or_member_epoch;
    if (!g)
        return generation < 0 ? 0 : FERRY_KAFKA_ILLEGAL_GENERATION;
    if (g->state == GROUP_DEAD)
        return FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (generation < 0 && g->state == GROUP_EMPTY)
        return 0;
    if (generation < 0 && !in->member_id.len && !in->group_instance_id.data)
        return FERRY_KAFKA_UNKNOWN_MEMBER_ID;
    struct coord_member *m = in->group_instance_id.data
                                 ? coord_group_static_member(g, in->group_instance_id)
                                 : coord_group_member(g, in->member_id);
    if (!m)
        return FERRY_KAFKA_UNKNOWN_MEMBER_ID;
    if (!ferry_str_eq(ferry_str_of(m->id), in->member_id))
        return FERRY_KAFKA_FENCED_INSTANCE_ID;
    if (generation != g->generation && !FERRY_PLANTED(COMMIT_STALE))
        return FERRY_KAFKA_ILLEGAL_GENERATION;
    if (g->state == GROUP_COMPLETING)
        return FERRY_KAFKA_REBALANCE_IN_PROGRESS;
    coord_group_touch(m);
    return 0;
}

static bool make_rows(struct broker_request *r, struct ferry_offset_commit_response *out)
{
    const struct ferry_offset_commit_request *in = r->input;
    size_t count = in->topics_count > 0 ? (size_t)in->topics_count : 0;
    ferry_offset_commit_response_init(out);
    out->topics = ferry_msg_array(&ferry_offset_commit_response_topic_msg, &r->arena, count);
    if (!out->topics && count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct ferry_offset_commit_request_topic *t = &in->topics[i];
        struct ferry_offset_commit_response_topic *to = &out->topics[out->topics_count++];
        size_t n = t->partitions_count > 0 ? (size_t)t->partitions_count : 0;
        to->name = t->name;
        to->topic_id = t->topic_id;
        to->partitions = ferry_msg_array(&ferry_offset_commit_response_partition_msg, &r->arena, n);
        if (!to->partitions && n)
            return false;
        to->partitions_count = (int32_t)n;
        for (size_t j = 0; j < n; j++)
            to->partitions[j].partition_index = t->partitions[j].partition_index;
    }
    return true;
}

/* Adds the records of one topic; the number of them, or a negative error. */
static int add_topic(struct broker_request *r, const struct ferry_offset_commit_request_topic *t,
                     struct ferry_offset_commit_response_topic *rows)
{
    const struct ferry_offset_commit_request *in = r->input;
    struct broker_node *n = r->node;
    const struct image_topic *topic = r->version >= 10
                                          ? broker_image_topic_by_id(&n->image, &t->topic_id)
                                          : broker_image_topic(&n->image, t->name);
    int added = 0;
    for (int32_t i = 0; i < rows->partitions_count; i++) {
        const struct ferry_offset_commit_request_partition *p = &t->partitions[i];
        struct ferry_offset_commit_value v;
        if (!topic || !broker_image_partition(topic, p->partition_index)) {
            rows->partitions[i].error_code = !topic && r->version >= 10
                                                 ? FERRY_KAFKA_UNKNOWN_TOPIC_ID
                                                 : FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            continue;
        }
        if (p->committed_metadata.len > (size_t)n->config.now.offset_metadata_max_bytes) {
            rows->partitions[i].error_code = FERRY_KAFKA_OFFSET_METADATA_TOO_LARGE;
            continue;
        }
        ferry_offset_commit_value_init(&v);
        v.offset = p->committed_offset;
        v.leader_epoch = p->committed_leader_epoch;
        v.metadata = p->committed_metadata.data ? p->committed_metadata : FERRY_STR("");
        v.commit_timestamp =
            r->version == 1 && p->commit_timestamp >= 0 ? p->commit_timestamp : n->wall;
        if (in->retention_time_ms >= 0 && r->version <= 4) {
            v.expire_timestamp = v.commit_timestamp + in->retention_time_ms;
            v.leader_epoch = -1; /* the version that can expire has no room for it */
        }
        if (broker_groups_add_offset(n, in->group_id, ferry_str_of(topic->name), p->partition_index,
                                     &v))
            return FERRY_E_NOMEM;
        added++;
    }
    return added;
}

static int write_commit(struct broker_request *r, struct commit *c, struct coord_shard *shard)
{
    const struct ferry_offset_commit_request *in = r->input;
    struct broker_node *n = r->node;
    int added = 0;
    broker_groups_begin(n);
    for (int32_t i = 0; i < c->response.topics_count; i++) {
        int some = add_topic(r, &in->topics[i], &c->response.topics[i]);
        if (some < 0)
            return FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
        added += some;
    }
    if (!added || FERRY_PLANTED(COMMIT_LOST)) {
        broker_reply(r, &c->response);
        return 0;
    }
    if (broker_groups_too_large(n))
        return FERRY_KAFKA_INVALID_COMMIT_OFFSET_SIZE;
    if (!c->group && !(c->group = coord_group_new(n, shard, in->group_id)))
        return FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE;
    c->request = r;
    c->write.done = on_committed;
    c->group->writes++;
    int code = broker_groups_submit(n, shard, &c->write);
    if (code) {
        c->group->writes--;
        coord_group_drop_if_unused(c->group);
    }
    return code;
}

void coord_offset_commit(struct broker_request *r)
{
    const struct ferry_offset_commit_request *in = r->input;
    struct coord_shard *shard = NULL;
    struct commit *c = broker_request_alloc(r, 1, sizeof *c);
    if (!c || !make_rows(r, &c->response)) {
        broker_finish(r, true);
        return;
    }
    int code = in->group_id.data ? broker_groups_shard(r->node, in->group_id, &shard)
                                 : FERRY_KAFKA_INVALID_GROUP_ID;
    if (!code) {
        c->group = coord_group_find(r->node, in->group_id);
        code = check_committer(c->group, in);
    }
    if (!code)
        code = write_commit(r, c, shard);
    if (code) {
        fill_codes(&c->response, code);
        broker_reply(r, &c->response);
    }
}

/* ---- OffsetFetch ---- */

/* One group in the newest shape; older requests are brought into it and back. */
struct fetched {
    struct ferry_str group;
    const struct ferry_offset_fetch_request_group_topic *topics;
    int32_t topics_count; /* -1: all */
    struct ferry_offset_fetch_response_group *out;
};

static void put_position(const struct coord_offset *o,
                         struct ferry_offset_fetch_response_group_topic_partition *to)
{
    to->committed_offset = o ? o->offset : -1;
    to->committed_leader_epoch = o ? o->epoch : -1;
    to->metadata =
        o && o->metadata ? (struct ferry_str){o->metadata, o->metadata_len} : FERRY_STR("");
}

static const struct coord_offset *find_offset(const struct coord_group *g, struct ferry_str topic,
                                              int32_t partition)
{
    uint8_t key[256 + 4];
    if (!g || topic.len > 256)
        return NULL;
    memcpy(key, topic.data, topic.len);
    ferry_put32(key + topic.len, (uint32_t)partition);
    return ferry_map_get(&g->offsets, key, topic.len + 4);
}

static bool fetch_asked(struct broker_request *r, const struct coord_group *g, struct fetched *f)
{
    size_t count = (size_t)f->topics_count;
    f->out->topics =
        ferry_msg_array(&ferry_offset_fetch_response_group_topic_msg, &r->arena, count);
    if (!f->out->topics && count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct ferry_offset_fetch_request_group_topic *t = &f->topics[i];
        struct ferry_offset_fetch_response_group_topic *to =
            &f->out->topics[f->out->topics_count++];
        size_t n = t->partition_indexes_count > 0 ? (size_t)t->partition_indexes_count : 0;
        const struct image_topic *topic =
            r->version >= 10 ? broker_image_topic_by_id(&r->node->image, &t->topic_id) : NULL;
        struct ferry_str name = topic ? ferry_str_of(topic->name) : t->name;
        to->name = t->name;
        to->topic_id = t->topic_id;
        to->partitions =
            ferry_msg_array(&ferry_offset_fetch_response_group_topic_partition_msg, &r->arena, n);
        if (!to->partitions && n)
            return false;
        to->partitions_count = (int32_t)n;
        for (size_t j = 0; j < n; j++) {
            bool lost = r->version >= 10 && !topic;
            to->partitions[j].partition_index = t->partition_indexes[j];
            put_position(lost ? NULL : find_offset(g, name, t->partition_indexes[j]),
                         &to->partitions[j]);
            to->partitions[j].error_code = lost ? FERRY_KAFKA_UNKNOWN_TOPIC_ID : 0;
        }
    }
    return true;
}

struct position {
    struct ferry_str topic; /* within the map's key */
    int32_t partition;
    const struct coord_offset *offset;
};

static int by_topic(const void *a, const void *b)
{
    const struct position *x = a, *y = b;
    int order = ferry_str_cmp(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* The group's offsets in the order of topic and partition; NULL without memory. */
static struct position *sorted_positions(struct broker_request *r, const struct coord_group *g,
                                         size_t *count)
{
    struct position *all = broker_request_alloc(r, (g ? g->offsets.live : 0) + 1, sizeof *all);
    struct ferry_map_entry *e;
    *count = 0;
    for (size_t at = 0; all && g && (e = ferry_map_next(&g->offsets, &at));) {
        size_t len = e->key.len - 4;
        all[(*count)++] = (struct position){
            {(const char *)e->key.data, len}, (int32_t)ferry_get32(e->key.data + len), e->value};
    }
    if (all)
        qsort(all, *count, sizeof *all, by_topic);
    return all;
}

/* Every offset of the group, a row per topic. */
static bool fetch_all(struct broker_request *r, const struct coord_group *g, struct fetched *f)
{
    size_t count;
    struct position *all = sorted_positions(r, g, &count);
    f->out->topics =
        ferry_msg_array(&ferry_offset_fetch_response_group_topic_msg, &r->arena, count);
    if (!all || (!f->out->topics && count))
        return false;
    for (size_t from = 0, upto; from < count; from = upto) {
        for (upto = from; upto < count && ferry_str_eq(all[upto].topic, all[from].topic);)
            upto++;
        struct ferry_str name = all[from].topic;
        const struct image_topic *topic = broker_image_topic(&r->node->image, name);
        if (r->version >= 10 && !topic)
            continue;
        struct ferry_offset_fetch_response_group_topic *to =
            &f->out->topics[f->out->topics_count++];
        to->name =
            (struct ferry_str){ferry_arena_strndup(&r->arena, name.data, name.len), name.len};
        if (topic)
            to->topic_id = topic->id;
        to->partitions = ferry_msg_array(&ferry_offset_fetch_response_group_topic_partition_msg,
                                         &r->arena, upto - from);
        if (!to->partitions || !to->name.data)
            return false;
        for (size_t i = from; i < upto; i++) {
            struct ferry_offset_fetch_response_group_topic_partition *row =
                &to->partitions[to->partitions_count++];
            row->partition_index = all[i].partition;
            put_position(all[i].offset, row);
        }
    }
    return true;
}

static bool fetch_group(struct broker_request *r, struct fetched *f)
{
    struct coord_shard *shard;
    int code = broker_groups_shard(r->node, f->group, &shard);
    f->out->group_id = f->group;
    f->out->error_code = (int16_t)code;
    if (code)
        return true;
    const struct coord_group *g = coord_group_find(r->node, f->group);
    return f->topics_count < 0 ? fetch_all(r, g, f) : fetch_asked(r, g, f);
}

/* Versions before 8: one group, stated in the request itself. */
static bool fetch_single(struct broker_request *r, struct ferry_offset_fetch_response *out)
{
    const struct ferry_offset_fetch_request *in = r->input;
    struct ferry_offset_fetch_response_group group;
    size_t asked = in->topics_count > 0 ? (size_t)in->topics_count : 0;
    struct ferry_offset_fetch_request_group_topic *topics =
        broker_request_alloc(r, asked, sizeof *topics);
    if (!topics && asked)
        return false;
    for (size_t i = 0; i < asked; i++) {
        topics[i].name = in->topics[i].name;
        topics[i].partition_indexes = in->topics[i].partition_indexes;
        topics[i].partition_indexes_count = in->topics[i].partition_indexes_count;
    }
    ferry_offset_fetch_response_group_init(&group);
    struct fetched f = {in->group_id, topics, in->topics_count, &group};
    if (!fetch_group(r, &f))
        return false;
    out->error_code = group.error_code;
    if (group.error_code && r->version < 2 &&
        f.topics_count >= 0) { /* no place for it but the rows */
        group.error_code = 0;
        if (!fetch_asked(r, NULL, &f))
            return false;
    }
    out->topics = ferry_msg_array(&ferry_offset_fetch_response_topic_msg, &r->arena,
                                  (size_t)group.topics_count);
    if (!out->topics && group.topics_count)
        return false;
    out->topics_count = group.topics_count;
    for (int32_t i = 0; i < group.topics_count; i++) {
        struct ferry_offset_fetch_response_topic *to = &out->topics[i];
        to->name = group.topics[i].name;
        to->partitions_count = group.topics[i].partitions_count;
        to->partitions = ferry_msg_array(&ferry_offset_fetch_response_partition_msg, &r->arena,
                                         (size_t)to->partitions_count);
        if (!to->partitions && to->partitions_count)
            return false;
        for (int32_t j = 0; j < to->partitions_count; j++) {
            const struct ferry_offset_fetch_response_group_topic_partition *p =
                &group.topics[i].partitions[j];
            to->partitions[j].partition_index = p->partition_index;
            to->partitions[j].committed_offset = p->committed_offset;
            to->partitions[j].committed_leader_epoch = p->committed_leader_epoch;
            to->partitions[j].metadata = p->metadata;
            to->partitions[j].error_code = r->version < 2 ? out->error_code : p->error_code;
        }
    }
    return true;
}

static bool fetch_many(struct broker_request *r, struct ferry_offset_fetch_response *out)
{
    const struct ferry_offset_fetch_request *in = r->input;
    size_t count = in->groups_count > 0 ? (size_t)in->groups_count : 0;
    out->groups = ferry_msg_array(&ferry_offset_fetch_response_group_msg, &r->arena, count);
    bool ok = out->groups || !count;
    for (size_t i = 0; ok && i < count; i++) {
        struct fetched f = {in->groups[i].group_id, in->groups[i].topics,
                            in->groups[i].topics_count, &out->groups[out->groups_count++]};
        ok = fetch_group(r, &f);
    }
    return ok;
}

void coord_offset_fetch(struct broker_request *r)
{
    struct ferry_offset_fetch_response out;
    ferry_offset_fetch_response_init(&out);
    if (r->version >= 8 ? fetch_many(r, &out) : fetch_single(r, &out))
        broker_reply(r, &out);
    else
        broker_finish(r, true);
}

/* ---- OffsetDelete ---- */

struct offset_delete {
    struct coord_write write;
    struct broker_request *request;
    struct coord_group *group;
    struct ferry_offset_delete_response response;
};

/* Is some member subscribed to the topic? Only the consumer's own protocol can be read; of others, all count. */
static bool is_subscribed(struct broker_request *r, const struct coord_group *g,
                          struct ferry_str topic)
{
    if (!g->member_count)
        return false;
    if (!g->protocol_type || strcmp(g->protocol_type, "consumer"))
        return true;
    for (struct ferry_link *l = g->members.next; l != &g->members; l = l->next) {
        const struct coord_member *m = FERRY_CONTAINER(l, struct coord_member, link);
        struct ferry_consumer_protocol_subscription s;
        struct ferry_cursor c = ferry_cursor_of(coord_group_metadata(m));
        int version = (int16_t)ferry_cursor_u16(&c);
        int highest = ferry_consumer_protocol_subscription_msg.max;
        if (c.err ||
            ferry_msg_read(&ferry_consumer_protocol_subscription_msg,
                           version > highest ? highest : version, &c, 0, &r->arena, &s, NULL))
            return true;
        for (int32_t i = 0; i < s.topics_count; i++)
            if (ferry_str_eq(s.topics[i], topic))
                return true;
    }
    return false;
}

static void on_offsets_deleted(struct coord_write *w, int error)
{
    struct offset_delete *d = FERRY_CONTAINER(w, struct offset_delete, write);
    d->group->writes--;
    d->response.error_code = (int16_t)error;
    coord_group_drop_if_unused(d->group);
    broker_reply(d->request, &d->response);
}

/* Rows and tombstones; how many of these, or a negative error. */
static int delete_offsets(struct broker_request *r, struct offset_delete *d)
{
    const struct ferry_offset_delete_request *in = r->input;
    int added = 0;
    broker_groups_begin(r->node);
    for (int32_t i = 0; i < in->topics_count; i++) {
        const struct ferry_offset_delete_request_topic *t = &in->topics[i];
        struct ferry_offset_delete_response_topic *to =
            &d->response.topics[d->response.topics_count++];
        bool subscribed = is_subscribed(r, d->group, t->name);
        to->name = t->name;
        to->partitions =
            ferry_msg_array(&ferry_offset_delete_response_partition_msg, &r->arena,
                            (size_t)(t->partitions_count > 0 ? t->partitions_count : 0));
        if (!to->partitions && t->partitions_count > 0)
            return FERRY_E_NOMEM;
        for (int32_t j = 0; j < t->partitions_count; j++) {
            int32_t index = t->partitions[j].partition_index;
            struct ferry_offset_delete_response_partition *row =
                &to->partitions[to->partitions_count++];
            row->partition_index = index;
            row->error_code = subscribed ? FERRY_KAFKA_GROUP_SUBSCRIBED_TO_TOPIC : 0;
            if (subscribed || !find_offset(d->group, t->name, index))
                continue;
            if (broker_groups_add_offset(r->node, in->group_id, t->name, index, NULL))
                return FERRY_E_NOMEM;
            added++;
        }
    }
    return added;
}

void coord_offset_delete(struct broker_request *r)
{
    const struct ferry_offset_delete_request *in = r->input;
    struct coord_shard *shard;
    size_t count = in->topics_count > 0 ? (size_t)in->topics_count : 0;
    struct offset_delete *d = broker_request_alloc(r, 1, sizeof *d);
    if (!d) {
        broker_finish(r, true);
        return;
    }
    ferry_offset_delete_response_init(&d->response);
    d->request = r;
    d->write.done = on_offsets_deleted;
    int code = broker_groups_shard(r->node, in->group_id, &shard);
    if (!code && !(d->group = coord_group_find(r->node, in->group_id)))
        code = FERRY_KAFKA_GROUP_ID_NOT_FOUND;
    if (!code && d->group->member_count && d->group->protocol_type &&
        strcmp(d->group->protocol_type, "consumer"))
        code = FERRY_KAFKA_NON_EMPTY_GROUP;
    int added = 0;
    if (!code) {
        d->response.topics =
            ferry_msg_array(&ferry_offset_delete_response_topic_msg, &r->arena, count);
        added = d->response.topics || !count ? delete_offsets(r, d) : FERRY_E_NOMEM;
    }
    if (added < 0) {
        broker_finish(r, true);
        return;
    }
    if (!code && added) {
        d->group->writes++;
        code = broker_groups_submit(r->node, shard, &d->write);
        if (!code)
            return;
        d->group->writes--;
    }
    d->response.error_code = (int16_t)code;
    broker_reply(r, &d->response);
}
