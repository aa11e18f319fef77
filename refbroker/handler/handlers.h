/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANDLER_HANDLERS_H
#define HANDLER_HANDLERS_H
/* One function per API key: handler/request.h says how they are called. Group APIs are in coord/. */
#include "refbroker/handler/request.h"

void broker_produce_start(struct broker_request *);
void broker_fetch_start(struct broker_request *);
void broker_offsets_list(struct broker_request *);
void broker_offsets_for_epoch(struct broker_request *);
void broker_offsets_delete_records(struct broker_request *);
void broker_metadata_start(struct broker_request *);
void broker_metadata_describe_cluster(struct broker_request *);
void broker_metadata_describe_partitions(struct broker_request *);
void broker_versions_start(struct broker_request *);
void broker_topics_create(struct broker_request *);
void broker_topics_delete(struct broker_request *);
void broker_topics_grow(struct broker_request *);
void broker_producer_id_start(struct broker_request *);
void broker_coordinator_find(struct broker_request *);
void broker_configs_describe(struct broker_request *);
void broker_configs_alter(struct broker_request *);
void broker_configs_alter_incrementally(struct broker_request *);
void broker_log_dirs_describe(struct broker_request *);
void broker_acls_describe(struct broker_request *);
void broker_acls_create(struct broker_request *);
void broker_acls_delete(struct broker_request *);

/* Bits of the operations that a client without an authorizer in its way may do. */
enum {
    BROKER_TOPIC_OPERATIONS = 3576,
    BROKER_GROUP_OPERATIONS = 328,
    BROKER_CLUSTER_OPERATIONS = 8096
};

#endif
