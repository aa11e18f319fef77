/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/admin.h"

#include "client/core.h"

/*
 * Offsets: of logs (list, delete records) and of groups (list, alter, delete, lag). All of them are requests about
 * partitions in topics; a part's entries are sorted, so a topic's stand together.
 */

static struct ferry_str none(void)
{
    return (struct ferry_str){NULL, 0};
}

static bool is_everything(const struct ferry_admin_part *part)
{
    return part->count == 1 && !part->entries[0]->name.data;
}

/* Topics in a part. */
static size_t count_topics(const struct ferry_admin_part *part)
{
    size_t n = 0;
    for (size_t i = 0; i < part->count; i += ferry_admin_same_name(part, i))
        n++;
    return n;
}

/* The partition numbers of `n` entries from `at` on. */
static int32_t *numbers(struct ferry_admin *call, const struct ferry_admin_part *part, size_t at,
                        size_t n)
{
    int32_t *list = ferry_admin_scratch(call, n, sizeof *list);
    for (size_t i = 0; list && i < n; i++)
        list[i] = part->entries[at + i]->partition;
    return list;
}

/* -- List offsets: once for what is asked, and for a group's lag the ends and the beginnings ------------------------ */

static int encode_times(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                        struct ferry_writer *w, const int64_t *time)
{
    struct ferry_list_offsets_request m;
    ferry_list_offsets_request_init(&m);
    m.replica_id = -1;
    if (version >= 2)
        m.isolation_level = call->flags & FERRY_ADMIN_READ_COMMITTED ? 1 : 0;
    m.topics = ferry_admin_scratch(call, count_topics(part), sizeof *m.topics);
    if (!m.topics)
        return FERRY_E_NOMEM;
    m.topics_count = 0;
    if (version >= 10)
        m.timeout_ms = ferry_admin_time_left(call);
    for (size_t i = 0, n; i < part->count; i += n) {
        struct ferry_list_offsets_request_topic *t = &m.topics[m.topics_count++];
        n = ferry_admin_same_name(part, i);
        ferry_list_offsets_request_topic_init(t);
        t->name = part->entries[i]->name;
        if (!(t->partitions = ferry_admin_scratch(call, n, sizeof *t->partitions)))
            return FERRY_E_NOMEM;
        for (t->partitions_count = 0; t->partitions_count < (int32_t)n; t->partitions_count++) {
            const struct ferry_admin_entry *e = part->entries[i + (size_t)t->partitions_count];
            struct ferry_list_offsets_request_partition *p = &t->partitions[t->partitions_count];
            ferry_list_offsets_request_partition_init(p);
            p->partition_index = e->partition;
            p->timestamp = time ? *time : e->offset;
        }
    }
    return ferry_msg_encode(&ferry_list_offsets_request_msg, version, &m, w, NULL);
}

static int encode_list(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                       struct ferry_writer *w)
{
    return encode_times(call, part, version, w, NULL);
}

static void answer_list(struct ferry_admin *call, struct ferry_admin_part *part,
                        const struct ferry_reply *reply)
{
    const struct ferry_list_offsets_response *m = reply->body;
    for (int32_t i = 0; i < m->topics_count; i++)
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct ferry_list_offsets_response_partition *p = &m->topics[i].partitions[k];
            struct ferry_admin_entry *e =
                ferry_admin_find(part, m->topics[i].name, p->partition_index);
            if (!e)
                continue;
            ferry_admin_outcome(call, e, p->error_code, none());
            if (p->error_code)
                continue;
            ferry_admin_set_int(call, e->item, FERRY_FIELD_OFFSET, p->offset);
            ferry_admin_set_int(call, e->item, FERRY_FIELD_TIMESTAMP, p->timestamp);
            ferry_admin_set_int(call, e->item, FERRY_FIELD_LEADER_EPOCH,
                                reply->version >= 4 ? p->leader_epoch : -1);
        }
}

/* MAX_TIMESTAMP needs version 7; an older broker's answer would be about something else. */
static const struct ferry_admin_ops list_ops = {FERRY_API_LIST_OFFSETS, 1,           11,
                                                FERRY_ADMIN_TO_LEADERS, encode_list, answer_list};
const struct ferry_admin_kind_ops ferry_admin_list_offsets = {FERRY_USES_PARTITION, {&list_ops}};

/* -- Delete records ------------------------------------------------------------------------------------- */

static int encode_records(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                          struct ferry_writer *w)
{
    struct ferry_delete_records_request m;
    ferry_delete_records_request_init(&m);
    m.timeout_ms = ferry_admin_time_left(call);
    m.topics = ferry_admin_scratch(call, count_topics(part), sizeof *m.topics);
    if (!m.topics)
        return FERRY_E_NOMEM;
    m.topics_count = 0;
    for (size_t i = 0, n; i < part->count; i += n) {
        struct ferry_delete_records_request_topic *t = &m.topics[m.topics_count++];
        n = ferry_admin_same_name(part, i);
        ferry_delete_records_request_topic_init(t);
        t->name = part->entries[i]->name;
        if (!(t->partitions = ferry_admin_scratch(call, n, sizeof *t->partitions)))
            return FERRY_E_NOMEM;
        for (t->partitions_count = 0; t->partitions_count < (int32_t)n; t->partitions_count++) {
            const struct ferry_admin_entry *e = part->entries[i + (size_t)t->partitions_count];
            t->partitions[t->partitions_count] = (struct ferry_delete_records_request_partition){
                .partition_index = e->partition, .offset = e->offset};
        }
    }
    return ferry_msg_encode(&ferry_delete_records_request_msg, version, &m, w, NULL);
}

static void answer_records(struct ferry_admin *call, struct ferry_admin_part *part,
                           const struct ferry_reply *reply)
{
    const struct ferry_delete_records_response *m = reply->body;
    for (int32_t i = 0; i < m->topics_count; i++)
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct ferry_delete_records_response_partition *p = &m->topics[i].partitions[k];
            struct ferry_admin_entry *e =
                ferry_admin_find(part, m->topics[i].name, p->partition_index);
            if (!e)
                continue;
            ferry_admin_outcome(call, e, p->error_code, none());
            if (!p->error_code)
                ferry_admin_set_int(call, e->item, FERRY_FIELD_OFFSET, p->low_watermark);
        }
}

static const struct ferry_admin_ops records_ops = {
    FERRY_API_DELETE_RECORDS, 0, 2, FERRY_ADMIN_TO_LEADERS, encode_records, answer_records};
const struct ferry_admin_kind_ops ferry_admin_delete_records = {FERRY_USES_PARTITION,
                                                                {&records_ops}};

/* -- A group's offsets ---------------------------------------------------------------------------------- */

static int fill_old_topics(struct ferry_admin *call, struct ferry_admin_part *part,
                           struct ferry_offset_fetch_request *m)
{
    m->group_id = call->group;
    m->topics = NULL;
    m->topics_count = -1;
    if (is_everything(part))
        return 0;
    m->topics_count = 0;
    if (!(m->topics = ferry_admin_scratch(call, count_topics(part), sizeof *m->topics)))
        return FERRY_E_NOMEM;
    for (size_t i = 0, n; i < part->count; i += n) {
        struct ferry_offset_fetch_request_topic *t = &m->topics[m->topics_count++];
        n = ferry_admin_same_name(part, i);
        *t = (struct ferry_offset_fetch_request_topic){.name = part->entries[i]->name,
                                                       .partition_indexes =
                                                           numbers(call, part, i, n),
                                                       .partition_indexes_count = (int32_t)n};
        if (!t->partition_indexes)
            return FERRY_E_NOMEM;
    }
    return 0;
}

static int fill_group(struct ferry_admin *call, struct ferry_admin_part *part,
                      struct ferry_offset_fetch_request *m)
{
    struct ferry_offset_fetch_request_group *g = ferry_admin_scratch(call, 1, sizeof *g);
    if (!g)
        return FERRY_E_NOMEM;
    ferry_offset_fetch_request_group_init(g);
    g->group_id = call->group;
    g->topics = NULL;
    g->topics_count = -1;
    m->groups = g;
    m->groups_count = 1;
    if (is_everything(part))
        return 0;
    g->topics_count = 0;
    if (!(g->topics = ferry_admin_scratch(call, count_topics(part), sizeof *g->topics)))
        return FERRY_E_NOMEM;
    for (size_t i = 0, n; i < part->count; i += n) {
        struct ferry_offset_fetch_request_group_topic *t = &g->topics[g->topics_count++];
        n = ferry_admin_same_name(part, i);
        ferry_offset_fetch_request_group_topic_init(t);
        t->name = part->entries[i]->name;
        t->partition_indexes = numbers(call, part, i, n);
        t->partition_indexes_count = (int32_t)n;
        if (!t->partition_indexes)
            return FERRY_E_NOMEM;
    }
    return 0;
}

static int encode_fetch(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                        struct ferry_writer *w)
{
    struct ferry_offset_fetch_request m;
    ferry_offset_fetch_request_init(&m);
    if (version >= 7)
        m.require_stable = call->flags & FERRY_ADMIN_REQUIRE_STABLE;
    int code = version >= 8 ? fill_group(call, part, &m) : fill_old_topics(call, part, &m);
    return code ? code : ferry_msg_encode(&ferry_offset_fetch_request_msg, version, &m, w, NULL);
}

/* One committed offset; both shapes of the answer have these fields. */
static void take_offset(struct ferry_admin *call, struct ferry_admin_part *part,
                        struct ferry_str topic, int32_t partition, int64_t offset, int32_t epoch,
                        struct ferry_str metadata, int16_t error)
{
    struct ferry_admin_entry *e;
    if (is_everything(
            part)) { /* an entry for each that the group has, for the phases that follow */
        if (!(e = ferry_admin_entry_new(call, topic, partition)))
            return;
        e->item = ferry_admin_item_new(call);
        ferry_admin_set_text(call, e->item, FERRY_FIELD_TOPIC, topic);
        ferry_admin_set_int(call, e->item, FERRY_FIELD_PARTITION, partition);
    } else if (!(e = ferry_admin_find(part, topic, partition))) {
        return;
    }
    ferry_admin_outcome(call, e, error, none());
    if (error)
        return;
    ferry_admin_set_int(call, e->item, FERRY_FIELD_OFFSET, offset);
    ferry_admin_set_int(call, e->item, FERRY_FIELD_LEADER_EPOCH, epoch);
    ferry_admin_set_text(call, e->item, FERRY_FIELD_METADATA, metadata);
}

static void take_old(struct ferry_admin *call, struct ferry_admin_part *part,
                     const struct ferry_offset_fetch_response *m)
{
    for (int32_t i = 0; i < m->topics_count; i++)
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct ferry_offset_fetch_response_partition *p = &m->topics[i].partitions[k];
            take_offset(call, part, m->topics[i].name, p->partition_index, p->committed_offset,
                        p->committed_leader_epoch, p->metadata, p->error_code);
        }
}

static void take_group(struct ferry_admin *call, struct ferry_admin_part *part,
                       const struct ferry_offset_fetch_response_group *g)
{
    for (int32_t i = 0; i < g->topics_count; i++)
        for (int32_t k = 0; k < g->topics[i].partitions_count; k++) {
            const struct ferry_offset_fetch_response_group_topic_partition *p =
                &g->topics[i].partitions[k];
            take_offset(call, part, g->topics[i].name, p->partition_index, p->committed_offset,
                        p->committed_leader_epoch, p->metadata, p->error_code);
        }
}

static void answer_fetch(struct ferry_admin *call, struct ferry_admin_part *part,
                         const struct ferry_reply *reply)
{
    const struct ferry_offset_fetch_response *m = reply->body;
    int16_t error = m->error_code;
    if (reply->version >= 8)
        error = m->groups_count == 1 ? m->groups[0].error_code : -1;
    if (error) {
        ferry_admin_outcome_all(call, part, error, none());
        return;
    }
    if (reply->version >= 8)
        take_group(call, part, &m->groups[0]);
    else
        take_old(call, part, m);
    if (is_everything(part))
        ferry_admin_outcome_all(call, part, 0, none());
}

static const struct ferry_admin_ops fetch_ops = {
    FERRY_API_OFFSET_FETCH, 2, 9, FERRY_ADMIN_TO_GROUP, encode_fetch, answer_fetch};
const struct ferry_admin_kind_ops ferry_admin_list_group_offsets = {
    FERRY_USES_GROUP | FERRY_USES_PARTITION | FERRY_USES_ALL, {&fetch_ops}};

/* -- A group's lag -------------------------------------------------------------------------------------- */

static int encode_ends(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                       struct ferry_writer *w)
{
    int64_t time = FERRY_ADMIN_LATEST;
    return encode_times(call, part, version, w, &time);
}

static int encode_begins(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                         struct ferry_writer *w)
{
    int64_t time = FERRY_ADMIN_EARLIEST;
    return encode_times(call, part, version, w, &time);
}

static void answer_bounds(struct ferry_admin *call, struct ferry_admin_part *part,
                          const struct ferry_reply *reply, int32_t field)
{
    const struct ferry_list_offsets_response *m = reply->body;
    for (int32_t i = 0; i < m->topics_count; i++)
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct ferry_list_offsets_response_partition *p = &m->topics[i].partitions[k];
            struct ferry_admin_entry *e =
                ferry_admin_find(part, m->topics[i].name, p->partition_index);
            if (!e)
                continue;
            ferry_admin_outcome(call, e, p->error_code, none());
            if (p->error_code)
                continue;
            ferry_admin_set_int(call, e->item, field, p->offset);
            int64_t committed = ferry_admin_int(e->item, FERRY_FIELD_OFFSET, -1);
            if (field == FERRY_FIELD_END_OFFSET && committed >= 0)
                ferry_admin_set_int(call, e->item, FERRY_FIELD_LAG,
                                    p->offset > committed ? p->offset - committed : 0);
        }
}

static void answer_ends(struct ferry_admin *call, struct ferry_admin_part *part,
                        const struct ferry_reply *reply)
{
    answer_bounds(call, part, reply, FERRY_FIELD_END_OFFSET);
}

static void answer_begins(struct ferry_admin *call, struct ferry_admin_part *part,
                          const struct ferry_reply *reply)
{
    answer_bounds(call, part, reply, FERRY_FIELD_BEGIN_OFFSET);
}

static const struct ferry_admin_ops ends_ops = {FERRY_API_LIST_OFFSETS, 1,           11,
                                                FERRY_ADMIN_TO_LEADERS, encode_ends, answer_ends};
static const struct ferry_admin_ops begins_ops = {
    FERRY_API_LIST_OFFSETS, 1, 11, FERRY_ADMIN_TO_LEADERS, encode_begins, answer_begins};
const struct ferry_admin_kind_ops ferry_admin_group_lag = {
    FERRY_USES_GROUP | FERRY_USES_PARTITION | FERRY_USES_ALL, {&fetch_ops, &ends_ops, &begins_ops}};

/* -- Commit for a group, and take back ------------------------------------------------------------------------ */

static int encode_commit(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                         struct ferry_writer *w)
{
    struct ferry_offset_commit_request m;
    ferry_offset_commit_request_init(&m);
    m.group_id = call->group;
    m.generation_id_or_member_epoch = -1;
    m.member_id = FERRY_STR("");
    m.topics = ferry_admin_scratch(call, count_topics(part), sizeof *m.topics);
    if (!m.topics)
        return FERRY_E_NOMEM;
    m.topics_count = 0;
    for (size_t i = 0, n; i < part->count; i += n) {
        struct ferry_offset_commit_request_topic *t = &m.topics[m.topics_count++];
        n = ferry_admin_same_name(part, i);
        ferry_offset_commit_request_topic_init(t);
        t->name = part->entries[i]->name;
        if (!(t->partitions = ferry_admin_scratch(call, n, sizeof *t->partitions)))
            return FERRY_E_NOMEM;
        for (t->partitions_count = 0; t->partitions_count < (int32_t)n; t->partitions_count++) {
            const struct ferry_admin_entry *e = part->entries[i + (size_t)t->partitions_count];
            struct ferry_offset_commit_request_partition *p = &t->partitions[t->partitions_count];
            ferry_offset_commit_request_partition_init(p);
            p->partition_index = e->partition;
            p->committed_offset = e->offset;
            p->committed_metadata = FERRY_STR("");
        }
    }
    return ferry_msg_encode(&ferry_offset_commit_request_msg, version, &m, w, NULL);
}

static void answer_commit(struct ferry_admin *call, struct ferry_admin_part *part,
                          const struct ferry_reply *reply)
{
    const struct ferry_offset_commit_response *m = reply->body;
    for (int32_t i = 0; i < m->topics_count; i++)
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct ferry_offset_commit_response_partition *p = &m->topics[i].partitions[k];
            struct ferry_admin_entry *e =
                ferry_admin_find(part, m->topics[i].name, p->partition_index);
            if (!e)
                continue;
            ferry_admin_outcome(call, e, p->error_code, none());
            if (!p->error_code)
                ferry_admin_set_int(call, e->item, FERRY_FIELD_OFFSET, e->offset);
        }
}

static const struct ferry_admin_ops commit_ops = {
    FERRY_API_OFFSET_COMMIT, 2, 9, FERRY_ADMIN_TO_GROUP, encode_commit, answer_commit};
const struct ferry_admin_kind_ops ferry_admin_alter_group_offsets = {
    FERRY_USES_GROUP | FERRY_USES_PARTITION, {&commit_ops}};

static int encode_forget(struct ferry_admin *call, struct ferry_admin_part *part, int16_t version,
                         struct ferry_writer *w)
{
    struct ferry_offset_delete_request m;
    ferry_offset_delete_request_init(&m);
    m.group_id = call->group;
    m.topics = ferry_admin_scratch(call, count_topics(part), sizeof *m.topics);
    if (!m.topics)
        return FERRY_E_NOMEM;
    m.topics_count = 0;
    for (size_t i = 0, n; i < part->count; i += n) {
        struct ferry_offset_delete_request_topic *t = &m.topics[m.topics_count++];
        n = ferry_admin_same_name(part, i);
        t->name = part->entries[i]->name;
        if (!(t->partitions = ferry_admin_scratch(call, n, sizeof *t->partitions)))
            return FERRY_E_NOMEM;
        for (t->partitions_count = 0; t->partitions_count < (int32_t)n; t->partitions_count++)
            t->partitions[t->partitions_count].partition_index =
                part->entries[i + (size_t)t->partitions_count]->partition;
    }
    return ferry_msg_encode(&ferry_offset_delete_request_msg, version, &m, w, NULL);
}

static void answer_forget(struct ferry_admin *call, struct ferry_admin_part *part,
                          const struct ferry_reply *reply)
{
    const struct ferry_offset_delete_response *m = reply->body;
    if (m->error_code) {
        ferry_admin_outcome_all(call, part, m->error_code, none());
        return;
    }
    for (int32_t i = 0; i < m->topics_count; i++)
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct ferry_offset_delete_response_partition *p = &m->topics[i].partitions[k];
            struct ferry_admin_entry *e =
                ferry_admin_find(part, m->topics[i].name, p->partition_index);
            if (e)
                ferry_admin_outcome(call, e, p->error_code, none());
        }
}

static const struct ferry_admin_ops forget_ops = {
    FERRY_API_OFFSET_DELETE, 0, 0, FERRY_ADMIN_TO_GROUP, encode_forget, answer_forget};
const struct ferry_admin_kind_ops ferry_admin_delete_group_offsets = {
    FERRY_USES_GROUP | FERRY_USES_PARTITION, {&forget_ops}};
