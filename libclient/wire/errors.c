/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker's error codes. The letters of the list are what a client does about a code:
 *   R  may be retried (Java's hierarchy)     M  refresh metadata first        C  find the
 * coordinator again first G  join the group again                  A  abort the transaction E  new
 * producer epoch, sequences from 0 O  reset the offset                      S  begin a new session
 * V  use another version or feature X  the client can only be closed
 */
#include "config.h"

#include "wire/errors.h"

#include "base/err.h"
#include "ferry/error.h"
#include "ferry/kafka_errors.h"

#include <stddef.h>

enum {
    NONE = 0,
    R = FERRY_WIRE_RETRY,
    M = FERRY_WIRE_METADATA,
    C = FERRY_WIRE_COORDINATOR,
    G = FERRY_WIRE_REJOIN,
    A = FERRY_WIRE_ABORT,
    E = FERRY_WIRE_BUMP,
    O = FERRY_WIRE_RESET,
    S = FERRY_WIRE_SESSION,
    V = FERRY_WIRE_VERSION,
    X = FERRY_WIRE_FATAL
};

/* clang-format off */
#define ERRORS(ERR) \
    ERR(UNKNOWN_SERVER_ERROR, NONE) \
    ERR(NONE, 0) \
    ERR(OFFSET_OUT_OF_RANGE, O) \
    ERR(CORRUPT_MESSAGE, R) \
    ERR(UNKNOWN_TOPIC_OR_PARTITION, R | M) \
    ERR(INVALID_FETCH_SIZE, NONE) \
    ERR(LEADER_NOT_AVAILABLE, R | M) \
    ERR(NOT_LEADER_OR_FOLLOWER, R | M) \
    ERR(REQUEST_TIMED_OUT, R) \
    ERR(BROKER_NOT_AVAILABLE, M) \
    ERR(REPLICA_NOT_AVAILABLE, R | M) \
    ERR(MESSAGE_TOO_LARGE, NONE) \
    ERR(STALE_CONTROLLER_EPOCH, NONE) \
    ERR(OFFSET_METADATA_TOO_LARGE, NONE) \
    ERR(NETWORK_EXCEPTION, R | M) \
    ERR(COORDINATOR_LOAD_IN_PROGRESS, R) \
    ERR(COORDINATOR_NOT_AVAILABLE, R | C) \
    ERR(NOT_COORDINATOR, R | C) \
    ERR(INVALID_TOPIC_EXCEPTION, NONE) \
    ERR(RECORD_LIST_TOO_LARGE, NONE) \
    ERR(NOT_ENOUGH_REPLICAS, R) \
    ERR(NOT_ENOUGH_REPLICAS_AFTER_APPEND, R) \
    ERR(INVALID_REQUIRED_ACKS, NONE) \
    ERR(ILLEGAL_GENERATION, G) \
    ERR(INCONSISTENT_GROUP_PROTOCOL, X) \
    ERR(INVALID_GROUP_ID, X) \
    ERR(UNKNOWN_MEMBER_ID, G) \
    ERR(INVALID_SESSION_TIMEOUT, X) \
    ERR(REBALANCE_IN_PROGRESS, G) \
    ERR(INVALID_COMMIT_OFFSET_SIZE, NONE) \
    ERR(TOPIC_AUTHORIZATION_FAILED, NONE) \
    ERR(GROUP_AUTHORIZATION_FAILED, X) \
    ERR(CLUSTER_AUTHORIZATION_FAILED, X) \
    ERR(INVALID_TIMESTAMP, NONE) \
    ERR(UNSUPPORTED_SASL_MECHANISM, X) \
    ERR(ILLEGAL_SASL_STATE, X) \
    ERR(UNSUPPORTED_VERSION, V) \
    ERR(TOPIC_ALREADY_EXISTS, NONE) \
    ERR(INVALID_PARTITIONS, NONE) \
    ERR(INVALID_REPLICATION_FACTOR, NONE) \
    ERR(INVALID_REPLICA_ASSIGNMENT, NONE) \
    ERR(INVALID_CONFIG, NONE) \
    ERR(NOT_CONTROLLER, R | M) \
    ERR(INVALID_REQUEST, NONE) \
    ERR(UNSUPPORTED_FOR_MESSAGE_FORMAT, V) \
    ERR(POLICY_VIOLATION, NONE) \
    ERR(OUT_OF_ORDER_SEQUENCE_NUMBER, E | A) \
    ERR(DUPLICATE_SEQUENCE_NUMBER, NONE) \
    ERR(INVALID_PRODUCER_EPOCH, A) \
    ERR(INVALID_TXN_STATE, A) \
    ERR(INVALID_PRODUCER_ID_MAPPING, X) \
    ERR(INVALID_TRANSACTION_TIMEOUT, X) \
    ERR(CONCURRENT_TRANSACTIONS, R) \
    ERR(TRANSACTION_COORDINATOR_FENCED, NONE) \
    ERR(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, X) \
    ERR(SECURITY_DISABLED, NONE) \
    ERR(OPERATION_NOT_ATTEMPTED, NONE) \
    ERR(KAFKA_STORAGE_ERROR, R | M) \
    ERR(LOG_DIR_NOT_FOUND, NONE) \
    ERR(SASL_AUTHENTICATION_FAILED, X) \
    ERR(UNKNOWN_PRODUCER_ID, E | A) \
    ERR(REASSIGNMENT_IN_PROGRESS, NONE) \
    ERR(DELEGATION_TOKEN_AUTH_DISABLED, NONE) \
    ERR(DELEGATION_TOKEN_NOT_FOUND, NONE) \
    ERR(DELEGATION_TOKEN_OWNER_MISMATCH, NONE) \
    ERR(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, NONE) \
    ERR(DELEGATION_TOKEN_AUTHORIZATION_FAILED, NONE) \
    ERR(DELEGATION_TOKEN_EXPIRED, NONE) \
    ERR(INVALID_PRINCIPAL_TYPE, NONE) \
    ERR(NON_EMPTY_GROUP, NONE) \
    ERR(GROUP_ID_NOT_FOUND, NONE) \
    ERR(FETCH_SESSION_ID_NOT_FOUND, R | S) \
    ERR(INVALID_FETCH_SESSION_EPOCH, R | S) \
    ERR(LISTENER_NOT_FOUND, R | M) \
    ERR(TOPIC_DELETION_DISABLED, NONE) \
    ERR(FENCED_LEADER_EPOCH, R | M) \
    ERR(UNKNOWN_LEADER_EPOCH, R | M) \
    ERR(UNSUPPORTED_COMPRESSION_TYPE, V) \
    ERR(STALE_BROKER_EPOCH, NONE) \
    ERR(OFFSET_NOT_AVAILABLE, R) \
    ERR(MEMBER_ID_REQUIRED, G) \
    ERR(PREFERRED_LEADER_NOT_AVAILABLE, R) \
    ERR(GROUP_MAX_SIZE_REACHED, X) \
    ERR(FENCED_INSTANCE_ID, X) \
    ERR(ELIGIBLE_LEADERS_NOT_AVAILABLE, R) \
    ERR(ELECTION_NOT_NEEDED, R) \
    ERR(NO_REASSIGNMENT_IN_PROGRESS, NONE) \
    ERR(GROUP_SUBSCRIBED_TO_TOPIC, NONE) \
    ERR(INVALID_RECORD, NONE) \
    ERR(UNSTABLE_OFFSET_COMMIT, R) \
    ERR(THROTTLING_QUOTA_EXCEEDED, R) \
    ERR(PRODUCER_FENCED, X) \
    ERR(RESOURCE_NOT_FOUND, NONE) \
    ERR(DUPLICATE_RESOURCE, NONE) \
    ERR(UNACCEPTABLE_CREDENTIAL, NONE) \
    ERR(INCONSISTENT_VOTER_SET, NONE) \
    ERR(INVALID_UPDATE_VERSION, NONE) \
    ERR(FEATURE_UPDATE_FAILED, NONE) \
    ERR(PRINCIPAL_DESERIALIZATION_FAILURE, NONE) \
    ERR(SNAPSHOT_NOT_FOUND, NONE) \
    ERR(POSITION_OUT_OF_RANGE, NONE) \
    ERR(UNKNOWN_TOPIC_ID, R | M) \
    ERR(DUPLICATE_BROKER_REGISTRATION, NONE) \
    ERR(BROKER_ID_NOT_REGISTERED, NONE) \
    ERR(INCONSISTENT_TOPIC_ID, R | M) \
    ERR(INCONSISTENT_CLUSTER_ID, NONE) \
    ERR(TRANSACTIONAL_ID_NOT_FOUND, NONE) \
    ERR(FETCH_SESSION_TOPIC_ID_ERROR, R | S) \
    ERR(INELIGIBLE_REPLICA, NONE) \
    ERR(NEW_LEADER_ELECTED, NONE) \
    ERR(OFFSET_MOVED_TO_TIERED_STORAGE, NONE) \
    ERR(FENCED_MEMBER_EPOCH, G) \
    ERR(UNRELEASED_INSTANCE_ID, X) \
    ERR(UNSUPPORTED_ASSIGNOR, X) \
    ERR(STALE_MEMBER_EPOCH, NONE) \
    ERR(MISMATCHED_ENDPOINT_TYPE, NONE) \
    ERR(UNSUPPORTED_ENDPOINT_TYPE, NONE) \
    ERR(UNKNOWN_CONTROLLER_ID, NONE) \
    ERR(UNKNOWN_SUBSCRIPTION_ID, NONE) \
    ERR(TELEMETRY_TOO_LARGE, NONE) \
    ERR(INVALID_REGISTRATION, NONE) \
    ERR(TRANSACTION_ABORTABLE, A) \
    ERR(INVALID_RECORD_STATE, NONE) \
    ERR(SHARE_SESSION_NOT_FOUND, R | S) \
    ERR(INVALID_SHARE_SESSION_EPOCH, R | S) \
    ERR(FENCED_STATE_EPOCH, NONE) \
    ERR(INVALID_VOTER_KEY, NONE) \
    ERR(DUPLICATE_VOTER, NONE) \
    ERR(VOTER_NOT_FOUND, NONE) \
    ERR(INVALID_REGULAR_EXPRESSION, X) \
    ERR(REBOOTSTRAP_REQUIRED, NONE) \
    ERR(STREAMS_INVALID_TOPOLOGY, X) \
    ERR(STREAMS_INVALID_TOPOLOGY_EPOCH, X) \
    ERR(STREAMS_TOPOLOGY_FENCED, X) \
    ERR(SHARE_SESSION_LIMIT_REACHED, R) \
    ERR(GROUP_DELETION_FAILED, NONE) \
    ERR(STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED, NONE) \
    ERR(CONTROLLER_ID_NOT_REGISTERED, NONE)
/* clang-format on */

/* All names in one object, so that the table below needs no pointers. */
#define NAME_SIZE(name, flags) char name[sizeof #name];
#define NAME_TEXT(name, flags) #name,
static const struct names {
    ERRORS(NAME_SIZE)
} names = {ERRORS(NAME_TEXT)};

#define ROW(name, flags) {offsetof(struct names, name), flags},
static const struct {
    uint16_t name, actions;
} rows[] = {ERRORS(ROW)};

enum { FIRST = FERRY_KAFKA_UNKNOWN_SERVER_ERROR, COUNT = sizeof rows / sizeof rows[0] };
_Static_assert(COUNT + FIRST - 1 == FERRY_KAFKA_CONTROLLER_ID_NOT_REGISTERED,
               "the list follows the enum");

const char *ferry_kafka_err_name(int code)
{
    if (code < FIRST || code >= FIRST + COUNT)
        return NULL;
    return (const char *)&names + rows[code - FIRST].name;
}

unsigned ferry_kafka_err_actions(int code)
{
    return code < FIRST || code >= FIRST + COUNT ? 0 : rows[code - FIRST].actions;
}

unsigned ferry_kafka_err_flags(int code)
{
    unsigned actions = ferry_kafka_err_actions(code);
    return (actions & R ? FERRY_ERROR_RETRIABLE : 0) | (actions & A ? FERRY_ERROR_ABORTABLE : 0) |
           (actions & X ? FERRY_ERROR_FATAL : 0);
}

/* The public functions, for our own codes and Kafka's. Here, so that every layer above can name an error. */

const char *ferry_error_name(int32_t code)
{
    const char *name = ferry_err_own_name(code);
    if (!name)
        name = ferry_kafka_err_name(code);
    return name ? name : "UNKNOWN";
}

uint32_t ferry_error_flags(int32_t code)
{
    switch (code) {
    case FERRY_OK:
        return 0;
    case FERRY_E_TIMED_OUT:
    case FERRY_E_QUEUE_FULL:
    case FERRY_E_TRANSPORT:
    case FERRY_E_RESOLVE:
    case FERRY_E_ALL_BROKERS_DOWN:
    case FERRY_E_AGAIN:
        return FERRY_ERROR_RETRIABLE;
    case FERRY_E_FATAL:
        return FERRY_ERROR_FATAL;
    default:
        return ferry_kafka_err_flags(code);
    }
}
