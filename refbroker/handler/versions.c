/* SPDX-License-Identifier: BSD-2-Clause */
/* ApiVersions, and the table of what is served. */
#include "config.h"

#include "base/check.h"
#include "ferry/kafka_errors.h"
#include "refbroker/coord/handlers.h"
#include "refbroker/handler/handlers.h"
#include "refbroker/node_state.h"

/*
 * Shown from, served from and to. Produce is shown from 0 because librdkafka before 2.11.1 compresses only then, and
 * served from 3; OffsetCommit is served from 1, which librdkafka before 1.3 and sarama before 1.41 send unasked.
 */
const struct broker_api broker_apis[] = {
    {0, 0, 3, 13, API_PIPELINED, broker_produce_start},
    {1, 4, 4, 18, 0, broker_fetch_start},
    {2, 1, 1, 11, 0, broker_offsets_list},
    {3, 0, 0, 13, 0, broker_metadata_start},
    {8, 1, 1, 10, 0, coord_offset_commit},
    {9, 1, 1, 10, 0, coord_offset_fetch},
    {10, 0, 0, 6, 0, broker_coordinator_find},
    {11, 0, 0, 9, 0, coord_join},
    {12, 0, 0, 4, 0, coord_heartbeat},
    {13, 0, 0, 5, 0, coord_leave},
    {14, 0, 0, 5, 0, coord_sync},
    {15, 0, 0, 6, 0, coord_describe},
    {16, 0, 0, 5, 0, coord_list},
    {18, 0, 0, 5, 0, broker_versions_start},
    {19, 2, 2, 7, 0, broker_topics_create},
    {20, 1, 1, 6, 0, broker_topics_delete},
    {21, 0, 0, 2, 0, broker_offsets_delete_records},
    {22, 0, 0, 5, 0, broker_producer_id_start},
    {23, 2, 2, 4, 0, broker_offsets_for_epoch},
    {29, 1, 1, 3, 0, broker_acls_describe},
    {30, 1, 1, 3, 0, broker_acls_create},
    {31, 1, 1, 3, 0, broker_acls_delete},
    {32, 1, 1, 4, 0, broker_configs_describe},
    {33, 0, 0, 2, 0, broker_configs_alter},
    {35, 1, 1, 5, 0, broker_log_dirs_describe},
    {37, 0, 0, 3, 0, broker_topics_grow},
    {42, 0, 0, 3, 0, coord_delete},
    {44, 0, 0, 1, 0, broker_configs_alter_incrementally},
    {47, 0, 0, 0, 0, coord_offset_delete},
    {60, 0, 0, 2, 0, broker_metadata_describe_cluster},
    {75, 0, 0, 0, 0, broker_metadata_describe_partitions},
};
const size_t broker_api_count = sizeof broker_apis / sizeof *broker_apis;

const struct broker_api *broker_api_find(int16_t key)
{
    size_t low = 0, high = broker_api_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (broker_apis[mid].key < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low < broker_api_count && broker_apis[low].key == key ? &broker_apis[low] : NULL;
}

static bool plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A client's name or version: letters, digits, dots and dashes, the ends neither dot nor dash. */
static bool is_software(struct ferry_str s)
{
    if (!s.len || !plain(s.data[0]) || !plain(s.data[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!plain(s.data[i]) && s.data[i] != '.' && s.data[i] != '-')
            return false;
    return true;
}

static int check(const struct broker_node *n, const struct broker_request *r)
{
    const struct ferry_api_versions_request *in = r->input;
    if (!in)
        return FERRY_KAFKA_UNSUPPORTED_VERSION;
    if (r->version >= 3 &&
        (!is_software(in->client_software_name) || !is_software(in->client_software_version)))
        return FERRY_KAFKA_INVALID_REQUEST;
    if (r->version >= 5 && in->cluster_id.data &&
        !ferry_str_eq(in->cluster_id, ferry_str_of(n->cluster_id)))
        return FERRY_KAFKA_REBOOTSTRAP_REQUIRED;
    if (r->version >= 5 && in->node_id >= 0 && in->node_id != n->config.now.node_id)
        return FERRY_KAFKA_REBOOTSTRAP_REQUIRED;
    return 0;
}

void broker_versions_start(struct broker_request *r)
{
    struct broker_node *n = r->node;
    struct ferry_api_versions_response out;
    struct ferry_api_versions_response_supported_feature supported;
    struct ferry_api_versions_response_finalized_feature finalized;
    struct ferry_api_versions_response_api_key keys[sizeof broker_apis / sizeof *broker_apis];
    ferry_api_versions_response_init(&out);
    out.error_code = (int16_t)check(n, r);
    for (size_t i = 0; i < broker_api_count; i++) {
        ferry_api_versions_response_api_key_init(&keys[i]);
        keys[i].api_key = broker_apis[i].key;
        keys[i].min_version = broker_apis[i].shown_min;
        keys[i].max_version = broker_apis[i].max;
    }
    out.api_keys = keys;
    out.api_keys_count = (int32_t)broker_api_count;
    if (!out.error_code) {
        ferry_api_versions_response_supported_feature_init(&supported);
        ferry_api_versions_response_finalized_feature_init(&finalized);
        supported.name = finalized.name = FERRY_STR("metadata.version");
        supported.min_version = BROKER_METADATA_VERSION_MIN;
        supported.max_version = BROKER_METADATA_VERSION;
        finalized.min_version_level = finalized.max_version_level = n->image.metadata_version;
        out.supported_features = &supported;
        out.finalized_features = &finalized;
        out.supported_features_count = out.finalized_features_count = 1;
        out.finalized_features_epoch = n->metalog.log->high_watermark;
    }
    broker_reply(r, &out);
}
