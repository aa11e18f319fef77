/* SPDX-License-Identifier: BSD-2-Clause */
/* The small ones: InitProducerId, FindCoordinator, DescribeLogDirs, and ACLs, of which there are none. */
#include "config.h"

#include "ferry/kafka_errors.h"
#include "refbroker/cluster/creation.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"

/* ---- InitProducerId ---- */

struct id_block {
    struct metalog_op op;
    struct broker_request *request;
    int64_t next;
};

static void give_id(struct broker_request *r, int error)
{
    struct broker_node *n = r->node;
    struct ferry_init_producer_id_response out;
    ferry_init_producer_id_response_init(&out);
    out.error_code = (int16_t)error;
    out.producer_id = error ? -1 : n->producer_id_next++;
    out.producer_epoch = error ? -1 : 0;
    broker_reply(r, &out);
}

/* Ids are given out in blocks; a block is on disk before the first of it is used. */
static int prepare_block(struct broker_node *n, struct metalog_op *op)
{
    struct id_block *b = FERRY_CONTAINER(op, struct id_block, op);
    if (n->producer_id_next < n->producer_id_end) /* somebody else was first */
        return 0;
    struct ferry_producer_ids_record r;
    ferry_producer_ids_record_init(&r);
    r.broker_id = n->config.now.node_id;
    r.broker_epoch = n->image.broker_epoch;
    b->next = n->image.next_producer_id;
    r.next_producer_id = b->next + BROKER_PRODUCER_ID_BLOCK;
    return broker_metalog_add(n, IMAGE_PRODUCER_IDS, 0, &r) ? FERRY_KAFKA_UNKNOWN_SERVER_ERROR : 0;
}

static void on_block(struct broker_node *n, struct metalog_op *op, int error)
{
    struct id_block *b = FERRY_CONTAINER(op, struct id_block, op);
    if (!error && n->producer_id_next >= n->producer_id_end) {
        n->producer_id_next = b->next;
        n->producer_id_end = b->next + BROKER_PRODUCER_ID_BLOCK;
    }
    give_id(b->request, error);
}

void broker_producer_id_start(struct broker_request *r)
{
    const struct ferry_init_producer_id_request *in = r->input;
    struct broker_node *n = r->node;
    if (in->transactional_id.data) { /* other codes would be retried for ever */
        give_id(r, FERRY_KAFKA_INVALID_REQUEST);
        return;
    }
    if (n->producer_id_next < n->producer_id_end) {
        give_id(r, 0);
        return;
    }
    struct id_block *b = broker_request_alloc(r, 1, sizeof *b);
    if (!b) {
        broker_finish(r, true);
        return;
    }
    b->request = r;
    b->op = (struct metalog_op){.prepare = prepare_block, .done = on_block};
    broker_metalog_submit(n, &b->op);
}

/* ---- FindCoordinator ---- */

struct find_coordinator {
    struct broker_creation creation;
    struct broker_creation_topic topic;
    struct broker_creation_config configs[3];
    char text[16];
    struct broker_request *request;
};

static void found(struct broker_request *r, int error)
{
    const struct ferry_find_coordinator_request *in = r->input;
    struct broker_node *n = r->node;
    struct ferry_find_coordinator_response out;
    ferry_find_coordinator_response_init(&out);
    const char *text =
        error == FERRY_KAFKA_INVALID_REQUEST ? "This broker coordinates groups only." : NULL;
    if (r->version < 4) {
        out.error_code = (int16_t)error;
        out.error_message = ferry_str_of(text);
        out.node_id = error ? -1 : n->config.now.node_id;
        out.host = error ? FERRY_STR("") : ferry_str_of(n->host);
        out.port = error ? -1 : n->port;
        broker_reply(r, &out);
        return;
    }
    size_t count = in->coordinator_keys_count > 0 ? (size_t)in->coordinator_keys_count : 0;
    out.coordinators =
        ferry_msg_array(&ferry_find_coordinator_response_coordinator_msg, &r->arena, count);
    if (!out.coordinators && count) {
        broker_finish(r, true);
        return;
    }
    out.coordinators_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct ferry_find_coordinator_response_coordinator *c = &out.coordinators[i];
        c->key = in->coordinator_keys[i];
        c->error_code = (int16_t)error;
        c->error_message = ferry_str_of(text);
        c->node_id = error ? -1 : n->config.now.node_id;
        c->host = error ? FERRY_STR("") : ferry_str_of(n->host);
        c->port = error ? -1 : n->port;
    }
    broker_reply(r, &out);
}

static void on_offsets_topic(struct broker_node *n, struct broker_creation *c)
{
    struct find_coordinator *f = FERRY_CONTAINER(c, struct find_coordinator, creation);
    (void)n;
    found(f->request, c->topics[0].error ? FERRY_KAFKA_COORDINATOR_NOT_AVAILABLE : 0);
}

void broker_coordinator_find(struct broker_request *r)
{
    const struct ferry_find_coordinator_request *in = r->input;
    struct broker_node *n = r->node;
    if (in->key_type != 0) {
        found(r, FERRY_KAFKA_INVALID_REQUEST);
        return;
    }
    const struct image_topic *t = broker_image_topic(&n->image, FERRY_STR("__consumer_offsets"));
    if (t && broker_creation_is_open(t)) {
        found(r, 0);
        return;
    }
    struct find_coordinator *f = broker_request_alloc(r, 1, sizeof *f);
    if (!f) {
        broker_finish(r, true);
        return;
    }
    broker_creation_want_offsets(n, &f->topic, f->configs, f->text);
    f->request = r;
    f->creation = (struct broker_creation){
        .topics = &f->topic, .count = 1, .existing_is_fine = true, .done = on_offsets_topic};
    broker_creation_submit(n, &f->creation);
}

/* ---- DescribeLogDirs ---- */

static bool dir_topic(struct broker_request *r, const struct image_topic *t, const int32_t *only,
                      int32_t only_count, struct ferry_describe_log_dirs_response_topic *out)
{
    int32_t count = only_count >= 0 ? only_count : t->partition_count;
    out->name = ferry_str_of(t->name);
    out->partitions =
        ferry_msg_array(&ferry_describe_log_dirs_response_partition_msg, &r->arena, (size_t)count);
    for (int32_t i = 0; out->partitions && i < count; i++) {
        int32_t index = only_count >= 0 ? only[i] : i;
        const struct image_partition *ip = broker_image_partition(t, index);
        if (!ip || !ip->local || !ip->local->log)
            continue;
        struct ferry_describe_log_dirs_response_partition *p =
            &out->partitions[out->partitions_count++];
        p->partition_index = index;
        p->partition_size = (int64_t)ip->local->log->size;
    }
    return out->partitions || !count;
}

void broker_log_dirs_describe(struct broker_request *r)
{
    const struct ferry_describe_log_dirs_request *in = r->input;
    struct broker_node *n = r->node;
    struct ferry_describe_log_dirs_response out;
    struct ferry_describe_log_dirs_response_result dir;
    ferry_describe_log_dirs_response_init(&out);
    ferry_describe_log_dirs_response_result_init(&dir);
    dir.log_dir = ferry_str_of(n->config.now.log_dirs ? n->config.now.log_dirs : ".");
    dir.error_code = n->dir.offline ? FERRY_KAFKA_KAFKA_STORAGE_ERROR : 0;
    size_t count = in->topics_count >= 0 ? (size_t)in->topics_count : n->image.by_name.live;
    dir.topics = ferry_msg_array(&ferry_describe_log_dirs_response_topic_msg, &r->arena, count);
    bool ok = dir.topics || !count;
    struct ferry_map_entry *e;
    for (int32_t i = 0; ok && i < in->topics_count; i++) {
        const struct image_topic *t = broker_image_topic(&n->image, in->topics[i].topic);
        if (t)
            ok = dir_topic(r, t, in->topics[i].partitions, in->topics[i].partitions_count,
                           &dir.topics[dir.topics_count++]);
    }
    for (size_t at = 0; ok && in->topics_count < 0 && (e = ferry_map_next(&n->image.by_name, &at));)
        ok = dir_topic(r, e->value, NULL, -1, &dir.topics[dir.topics_count++]);
    out.results = &dir;
    out.results_count = 1;
    if (ok)
        broker_reply(r, &out);
    else
        broker_finish(r, true);
}

/* ---- ACLs ---- */

static const char no_authorizer[] = "No Authorizer is configured on the broker.";

void broker_acls_describe(struct broker_request *r)
{
    struct ferry_describe_acls_response out;
    ferry_describe_acls_response_init(&out);
    out.error_code = FERRY_KAFKA_SECURITY_DISABLED;
    out.error_message = ferry_str_of(no_authorizer);
    broker_reply(r, &out);
}

void broker_acls_create(struct broker_request *r)
{
    const struct ferry_create_acls_request *in = r->input;
    struct ferry_create_acls_response out;
    ferry_create_acls_response_init(&out);
    size_t count = in->creations_count > 0 ? (size_t)in->creations_count : 0;
    out.results = ferry_msg_array(&ferry_create_acls_response_result_msg, &r->arena, count);
    if (!out.results && count) {
        broker_finish(r, true);
        return;
    }
    out.results_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        out.results[i].error_code = FERRY_KAFKA_SECURITY_DISABLED;
        out.results[i].error_message = ferry_str_of(no_authorizer);
    }
    broker_reply(r, &out);
}

void broker_acls_delete(struct broker_request *r)
{
    const struct ferry_delete_acls_request *in = r->input;
    struct ferry_delete_acls_response out;
    ferry_delete_acls_response_init(&out);
    size_t count = in->filters_count > 0 ? (size_t)in->filters_count : 0;
    out.filter_results =
        ferry_msg_array(&ferry_delete_acls_response_filter_result_msg, &r->arena, count);
    if (!out.filter_results && count) {
        broker_finish(r, true);
        return;
    }
    out.filter_results_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        out.filter_results[i].error_code = FERRY_KAFKA_SECURITY_DISABLED;
        out.filter_results[i].error_message = ferry_str_of(no_authorizer);
    }
    broker_reply(r, &out);
}
