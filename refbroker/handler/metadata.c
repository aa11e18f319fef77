/* SPDX-License-Identifier: BSD-2-Clause */
/* Metadata, DescribeCluster, DescribeTopicPartitions: views of the image. */
#include "config.h"

#include "ferry/kafka_errors.h"
#include "refbroker/cluster/creation.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"

#include <stdlib.h>

enum {
    AUTO_CREATE_MAX = 1000
}; /* topics made by one request; the others when they are asked for again */

struct parked_metadata {
    struct broker_creation creation;
    struct broker_request *request;
};

static int topics_by_name(const void *a, const void *b)
{
    const struct broker_creation_topic *x = a, *y = b;
    return ferry_str_cmp(x->name, y->name);
}

/* Names that a client may make by asking for them, and that are not there; each once. */
static struct broker_creation_topic *missing_topics(struct broker_request *r, int32_t *count)
{
    const struct ferry_metadata_request *in = r->input;
    const struct broker_node *n = r->node;
    struct broker_creation_topic *list = NULL;
    int32_t found = 0;
    *count = 0;
    if (in->topics_count <= 0 || (r->version >= 4 && !in->allow_auto_topic_creation) ||
        !n->config.now.auto_create_topics)
        return NULL;
    for (int32_t i = 0; i < in->topics_count && found < AUTO_CREATE_MAX; i++) {
        struct ferry_str name = in->topics[i].name;
        if (!name.data || broker_image_topic(&n->image, name) || broker_creation_bad_name(name))
            continue;
        if (!list && !(list = broker_request_alloc(r, AUTO_CREATE_MAX, sizeof *list)))
            return NULL;
        list[found++] = (struct broker_creation_topic){
            .name = name, .partitions = -1, .replication_factor = -1};
    }
    if (found)
        qsort(list, (size_t)found, sizeof *list, topics_by_name);
    for (int32_t i = 0; i < found; i++)
        if (i == 0 || !ferry_str_eq(list[i].name, list[*count - 1].name))
            list[(*count)++] = list[i];
    return list;
}

static int16_t fill_partition(struct broker_node *n, const struct image_partition *ip,
                              int32_t index, struct ferry_metadata_response_partition *out)
{
    const struct broker_partition *p = ip->local;
    bool usable = p && p->open && !n->dir.offline;
    out->partition_index = index;
    out->error_code = usable ? 0 : FERRY_KAFKA_LEADER_NOT_AVAILABLE;
    out->leader_id = usable ? ip->leader : -1;
    out->leader_epoch = ip->leader_epoch;
    out->replica_nodes = ip->replicas;
    out->replica_nodes_count = ip->replica_count;
    out->isr_nodes = ip->replicas;
    out->isr_nodes_count = ip->replica_count;
    if (!usable && p) {
        out->offline_replicas = ip->replicas;
        out->offline_replicas_count = ip->replica_count;
    }
    return out->error_code;
}

static bool fill_topic(struct broker_request *r, const struct image_topic *t,
                       struct ferry_metadata_response_topic *out)
{
    const struct ferry_metadata_request *in = r->input;
    ferry_metadata_response_topic_init(out);
    out->name = ferry_str_of(t->name);
    out->topic_id = t->id;
    out->is_internal = t->internal;
    out->partitions = ferry_msg_array(&ferry_metadata_response_partition_msg, &r->arena,
                                      (size_t)t->partition_count);
    if (!out->partitions && t->partition_count)
        return false;
    for (int32_t i = 0; i < t->partition_count; i++)
        if (t->partitions[i].exists)
            fill_partition(r->node, &t->partitions[i], i,
                           &out->partitions[out->partitions_count++]);
    if (in->include_topic_authorized_operations)
        out->topic_authorized_operations = BROKER_TOPIC_OPERATIONS;
    return true;
}

static bool fill_asked(struct broker_request *r, struct ferry_metadata_response *out)
{
    const struct ferry_metadata_request *in = r->input;
    out->topics =
        ferry_msg_array(&ferry_metadata_response_topic_msg, &r->arena, (size_t)in->topics_count);
    if (!out->topics && in->topics_count)
        return false;
    for (int32_t i = 0; i < in->topics_count; i++) {
        const struct ferry_metadata_request_topic *want = &in->topics[i];
        struct ferry_metadata_response_topic *to = &out->topics[out->topics_count++];
        bool by_id = r->version >= 10 && !ferry_uuid_is_zero(&want->topic_id);
        const struct image_topic *t =
            by_id ? broker_image_topic_by_id(&r->node->image, &want->topic_id)
                  : broker_image_topic(&r->node->image, want->name);
        if (t) {
            if (!fill_topic(r, t, to))
                return false;
            continue;
        }
        to->name = want->name;
        to->topic_id = want->topic_id;
        to->error_code = by_id ? FERRY_KAFKA_UNKNOWN_TOPIC_ID
                         : broker_creation_bad_name(want->name)
                             ? FERRY_KAFKA_INVALID_TOPIC_EXCEPTION
                             : FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (by_id)
            to->name = r->version >= 12 ? (struct ferry_str){0} : FERRY_STR("");
        else if (!to->name.data)
            to->name = r->version >= 12 ? to->name : FERRY_STR("");
    }
    return true;
}

static bool fill_all(struct broker_request *r, struct ferry_metadata_response *out)
{
    const struct broker_image *im = &r->node->image;
    struct ferry_map_entry *e;
    out->topics = ferry_msg_array(&ferry_metadata_response_topic_msg, &r->arena, im->by_name.live);
    if (!out->topics && im->by_name.live)
        return false;
    for (size_t at = 0; (e = ferry_map_next(&im->by_name, &at));)
        if (!fill_topic(r, e->value, &out->topics[out->topics_count++]))
            return false;
    return true;
}

static void answer(struct broker_request *r)
{
    const struct ferry_metadata_request *in = r->input;
    struct broker_node *n = r->node;
    struct ferry_metadata_response out;
    struct ferry_metadata_response_broker self;
    ferry_metadata_response_init(&out);
    ferry_metadata_response_broker_init(&self);
    self.node_id = n->config.now.node_id;
    self.host = ferry_str_of(n->host);
    self.port = n->port;
    out.brokers = &self;
    out.brokers_count = 1;
    out.cluster_id = ferry_str_of(n->cluster_id);
    out.controller_id = self.node_id;
    if (in->include_cluster_authorized_operations)
        out.cluster_authorized_operations = BROKER_CLUSTER_OPERATIONS;
    bool all = in->topics_count < 0 || (r->version == 0 && in->topics_count == 0);
    if (all ? fill_all(r, &out) : fill_asked(r, &out))
        broker_reply(r, &out);
    else
        broker_finish(r, true);
}

static void on_created(struct broker_node *n, struct broker_creation *c)
{
    struct parked_metadata *p = FERRY_CONTAINER(c, struct parked_metadata, creation);
    (void)n;
    answer(p->request);
}

void broker_metadata_start(struct broker_request *r)
{
    int32_t count;
    struct broker_creation_topic *missing = missing_topics(r, &count);
    if (!count) {
        answer(r);
        return;
    }
    struct parked_metadata *p = broker_request_alloc(r, 1, sizeof *p);
    if (!p) {
        broker_finish(r, true);
        return;
    }
    p->request = r;
    p->creation = (struct broker_creation){
        .topics = missing, .count = count, .existing_is_fine = true, .done = on_created};
    broker_creation_submit(r->node, &p->creation);
}

void broker_metadata_describe_cluster(struct broker_request *r)
{
    const struct ferry_describe_cluster_request *in = r->input;
    struct broker_node *n = r->node;
    struct ferry_describe_cluster_response out;
    struct ferry_describe_cluster_response_broker self;
    ferry_describe_cluster_response_init(&out);
    ferry_describe_cluster_response_broker_init(&self);
    out.cluster_id = ferry_str_of(n->cluster_id);
    if (r->version >= 1 && in->endpoint_type != 1) { /* this is a broker's listener */
        out.endpoint_type = 1;
        out.error_code = in->endpoint_type == 2 ? FERRY_KAFKA_MISMATCHED_ENDPOINT_TYPE
                                                : FERRY_KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
        broker_reply(r, &out);
        return;
    }
    self.broker_id = out.controller_id = n->config.now.node_id;
    self.host = ferry_str_of(n->host);
    self.port = n->port;
    out.brokers = &self;
    out.brokers_count = 1;
    if (in->include_cluster_authorized_operations)
        out.cluster_authorized_operations = BROKER_CLUSTER_OPERATIONS;
    broker_reply(r, &out);
}

/* ---- DescribeTopicPartitions: topics in the order of their names, page by page ---- */

static int by_name(const void *a, const void *b)
{
    return ferry_str_cmp(*(const struct ferry_str *)a, *(const struct ferry_str *)b);
}

/* The names asked for, or all, sorted and without doubles. NULL without memory. */
static struct ferry_str *sorted_names(struct broker_request *r, size_t *count)
{
    const struct ferry_describe_topic_partitions_request *in = r->input;
    const struct ferry_map *all = &r->node->image.by_name;
    size_t n = 0, max = in->topics_count > 0 ? (size_t)in->topics_count : all->live;
    struct ferry_str *names = broker_request_alloc(r, max + 1, sizeof *names);
    struct ferry_map_entry *e;
    if (!names)
        return NULL;
    if (in->topics_count > 0)
        for (int32_t i = 0; i < in->topics_count; i++)
            names[n++] = in->topics[i].name;
    else
        for (size_t at = 0; (e = ferry_map_next(all, &at));)
            names[n++] = ferry_str_of(((struct image_topic *)e->value)->name);
    qsort(names, n, sizeof *names, by_name);
    *count = 0;
    for (size_t i = 0; i < n; i++)
        if (!i || !ferry_str_eq(names[i], names[i - 1]))
            names[(*count)++] = names[i];
    return names;
}

/* Fills partitions [from, ..) while there is room; returns the first that did not fit, or -1. */
static int32_t describe_topic(struct broker_request *r, struct ferry_str name, int32_t from,
                              int32_t *room,
                              struct ferry_describe_topic_partitions_response_topic *out,
                              bool *failed)
{
    struct image_topic *t = broker_image_topic(&r->node->image, name);
    ferry_describe_topic_partitions_response_topic_init(out);
    out->name = name;
    if (!t) {
        out->error_code = broker_creation_bad_name(name) ? FERRY_KAFKA_INVALID_TOPIC_EXCEPTION
                                                         : FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return -1;
    }
    out->topic_id = t->id;
    out->is_internal = t->internal;
    out->topic_authorized_operations = BROKER_TOPIC_OPERATIONS;
    int32_t upto = t->partition_count - from > *room ? from + *room : t->partition_count;
    if (upto > from) {
        out->partitions = ferry_msg_array(&ferry_describe_topic_partitions_response_partition_msg,
                                          &r->arena, (size_t)(upto - from));
        if (!out->partitions) {
            *failed = true;
            return -1;
        }
    }
    for (int32_t i = from; i < upto; i++) {
        const struct image_partition *ip = &t->partitions[i];
        struct ferry_metadata_response_partition m;
        if (!ip->exists)
            continue;
        ferry_metadata_response_partition_init(&m);
        fill_partition(r->node, ip, i, &m);
        struct ferry_describe_topic_partitions_response_partition *to =
            &out->partitions[out->partitions_count++];
        to->error_code = m.error_code;
        to->partition_index = i;
        to->leader_id = m.leader_id;
        to->leader_epoch = m.leader_epoch;
        to->replica_nodes = to->isr_nodes = ip->replicas;
        to->replica_nodes_count = to->isr_nodes_count = ip->replica_count;
        to->eligible_leader_replicas_count = to->last_known_elr_count =
            0; /* empty: null fails Java */
        to->offline_replicas = m.offline_replicas;
        to->offline_replicas_count = m.offline_replicas_count;
    }
    *room -= upto - from;
    return upto < t->partition_count ? upto : -1;
}

void broker_metadata_describe_partitions(struct broker_request *r)
{
    enum { PAGE_MAX = 2000 };
    const struct ferry_describe_topic_partitions_request *in = r->input;
    struct ferry_describe_topic_partitions_response out;
    struct ferry_describe_topic_partitions_response_next_cursor next;
    ferry_describe_topic_partitions_response_init(&out);
    ferry_describe_topic_partitions_response_next_cursor_init(&next);
    int32_t room = in->response_partition_limit < 1 || in->response_partition_limit > PAGE_MAX
                       ? PAGE_MAX
                       : in->response_partition_limit;
    size_t count = 0;
    bool failed = false;
    struct ferry_str *names = sorted_names(r, &count);
    if (!names || (count && !(out.topics = broker_request_alloc(r, count, sizeof *out.topics)))) {
        broker_finish(r, true);
        return;
    }
    for (size_t i = 0; i < count && !failed; i++) {
        int after = in->cursor ? ferry_str_cmp(names[i], in->cursor->topic_name) : 1;
        int32_t from =
            after == 0 && in->cursor->partition_index > 0 ? in->cursor->partition_index : 0;
        if (after < 0)
            continue;
        if (room > 0)
            from =
                describe_topic(r, names[i], from, &room, &out.topics[out.topics_count++], &failed);
        if (from >= 0) {
            next.topic_name = names[i];
            next.partition_index = from;
            out.next_cursor = &next;
            break;
        }
    }
    if (failed)
        broker_finish(r, true);
    else
        broker_reply(r, &out);
}
