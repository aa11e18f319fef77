# One file per API key, and the records. A new file goes into this list.
SCHEMAS = \
    %D%/00_produce.msg %D%/01_fetch.msg %D%/02_list_offsets.msg %D%/03_metadata.msg %D%/08_offset_commit.msg \
    %D%/09_offset_fetch.msg %D%/10_find_coordinator.msg %D%/11_join_group.msg %D%/12_heartbeat.msg \
    %D%/13_leave_group.msg %D%/14_sync_group.msg %D%/15_describe_groups.msg %D%/16_list_groups.msg \
    %D%/17_sasl_handshake.msg %D%/18_api_versions.msg %D%/19_create_topics.msg %D%/20_delete_topics.msg \
    %D%/21_delete_records.msg %D%/22_init_producer_id.msg %D%/23_offset_for_leader_epoch.msg \
    %D%/24_add_partitions_to_txn.msg %D%/25_add_offsets_to_txn.msg %D%/26_end_txn.msg \
    %D%/27_write_txn_markers.msg %D%/28_txn_offset_commit.msg %D%/29_describe_acls.msg %D%/30_create_acls.msg \
    %D%/31_delete_acls.msg %D%/32_describe_configs.msg %D%/33_alter_configs.msg \
    %D%/34_alter_replica_log_dirs.msg %D%/35_describe_log_dirs.msg %D%/36_sasl_authenticate.msg \
    %D%/37_create_partitions.msg %D%/38_create_delegation_token.msg %D%/39_renew_delegation_token.msg \
    %D%/40_expire_delegation_token.msg %D%/41_describe_delegation_token.msg %D%/42_delete_groups.msg \
    %D%/43_elect_leaders.msg %D%/44_incremental_alter_configs.msg %D%/45_alter_partition_reassignments.msg \
    %D%/46_list_partition_reassignments.msg %D%/47_offset_delete.msg %D%/48_describe_client_quotas.msg \
    %D%/49_alter_client_quotas.msg %D%/50_describe_user_scram_credentials.msg \
    %D%/51_alter_user_scram_credentials.msg %D%/52_vote.msg %D%/53_begin_quorum_epoch.msg \
    %D%/54_end_quorum_epoch.msg %D%/55_describe_quorum.msg %D%/56_alter_partition.msg %D%/57_update_features.msg \
    %D%/58_envelope.msg %D%/59_fetch_snapshot.msg %D%/60_describe_cluster.msg %D%/61_describe_producers.msg \
    %D%/62_broker_registration.msg %D%/63_broker_heartbeat.msg %D%/64_unregister_broker.msg \
    %D%/65_describe_transactions.msg %D%/66_list_transactions.msg %D%/67_allocate_producer_ids.msg \
    %D%/68_consumer_group_heartbeat.msg %D%/69_consumer_group_describe.msg %D%/70_controller_registration.msg \
    %D%/71_get_telemetry_subscriptions.msg %D%/72_push_telemetry.msg %D%/73_assign_replicas_to_dirs.msg \
    %D%/74_list_config_resources.msg %D%/75_describe_topic_partitions.msg %D%/76_share_group_heartbeat.msg \
    %D%/77_share_group_describe.msg %D%/78_share_fetch.msg %D%/79_share_acknowledge.msg \
    %D%/80_add_raft_voter.msg %D%/81_remove_raft_voter.msg %D%/82_update_raft_voter.msg \
    %D%/83_initialize_share_group_state.msg %D%/84_read_share_group_state.msg %D%/85_write_share_group_state.msg \
    %D%/86_delete_share_group_state.msg %D%/87_read_share_group_state_summary.msg \
    %D%/88_streams_group_heartbeat.msg %D%/89_streams_group_describe.msg %D%/90_describe_share_group_offsets.msg \
    %D%/91_alter_share_group_offsets.msg %D%/92_delete_share_group_offsets.msg \
    %D%/93_streams_group_topology_description_update.msg %D%/94_unregister_controller.msg \
    %D%/consumer_protocol.msg %D%/control_records.msg %D%/headers.msg %D%/other.msg %D%/records_group.msg \
    %D%/records_metadata.msg %D%/records_share.msg %D%/records_txn.msg
EXTRA_DIST += $(SCHEMAS) %D%/gen.py
