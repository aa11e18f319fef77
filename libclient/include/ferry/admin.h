/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_ADMIN_H
#define FERRY_ADMIN_H
/*
 * Administration: topics, partitions, configurations, groups, offsets.
 *
 * A call is made in three steps: fill it, run it, read its items.
 *
 *     struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
 *     ferry_admin_add_topic(call, "events", 12, 3);
 *     ferry_admin_add_config(call, "retention.ms", "3600000", FERRY_CONFIG_SET);
 *     if (ferry_admin_run(call, handle, 30000, &err))
 *         fprintf(stderr, "%s\n", err.text);
 *     for (int32_t i = 0; i < ferry_admin_count(call); i++)
 *         printf("%s: %s\n", ferry_admin_text(ferry_admin_item(call, i), FERRY_FIELD_NAME), ...
 *     ferry_admin_free(call);
 *
 * Every item has its own error: one topic that exists already does not keep others from being created. What may pass
 * (a leader or coordinator that moved, a broker that went away) is tried again until the call's time-out. An item is a set of
 * fields, read by number; which ones a kind of call fills is said at the kind. Lists in items are items again.
 *
 * A call belongs to one thread at a time, and to the library from start until it is done. Items and their texts live as
 * long as their call.
 */
#include <ferry/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A call and, once it is done, its items; opaque. */
struct ferry_admin;
/** One answer; opaque. */
struct ferry_admin_item;

/**
 * What a call does; which add functions fill it ("in"), and which fields its items have beside ERROR and ERROR_TEXT ("out").
 */
enum ferry_admin_kind {
    /** in: add_topic, add_config, add_assignment. out, in the order of adding: NAME, ID, PARTITION_COUNT, REPLICATION,
        CONFIGS (NAME, VALUE, READ_ONLY, SOURCE, SENSITIVE). Flag VALIDATE_ONLY. */
    FERRY_ADMIN_CREATE_TOPICS = 1,
    /** in: add_name. out: NAME, ID. */
    FERRY_ADMIN_DELETE_TOPICS,
    /** in: add_name; none: every topic. out: NAME, ID, INTERNAL, PARTITION_COUNT, PARTITIONS (PARTITION, ERROR, LEADER,
        LEADER_EPOCH, REPLICAS, ISR, OFFLINE). */
    FERRY_ADMIN_DESCRIBE_TOPICS,
    /** in: add_topic (partitions: the count wanted in the end; replication is ignored), add_assignment (of the new ones, in
        order). out: NAME. Flag VALIDATE_ONLY. */
    FERRY_ADMIN_CREATE_PARTITIONS,
    /** in: add_resource; add_config (value NULL) asks for that key only. out: TYPE, NAME, CONFIGS (NAME, VALUE, READ_ONLY,
        SENSITIVE, SOURCE, VALUE_TYPE, TEXT with DOCUMENTATION, SYNONYMS (NAME, VALUE, SOURCE)). Flags SYNONYMS,
        DOCUMENTATION. */
    FERRY_ADMIN_DESCRIBE_CONFIGS,
    /** Changes the named keys and no others. in: add_resource, add_config. out: TYPE, NAME. Flag VALIDATE_ONLY. */
    FERRY_ADMIN_ALTER_CONFIGS,
    /** in: add_filter. out, one for each group: NAME, PROTOCOL_TYPE, STATE, VALUE_TYPE (classic, consumer, ...), NODE. A
        broker that could not be asked is an item with NODE and ERROR and without NAME. */
    FERRY_ADMIN_LIST_GROUPS,
    /** in: add_name. out: NAME, STATE, PROTOCOL_TYPE, PROTOCOL, NODE (the coordinator), MEMBERS (NAME: the member's id,
        INSTANCE_ID, CLIENT_ID, HOST, METADATA, ASSIGNMENT: bytes; and if it is a consumer PARTITIONS (TOPIC,
        PARTITION)). A group that does not exist has STATE "Dead" and no error, or GROUP_ID_NOT_FOUND, as its broker
        says. */
    FERRY_ADMIN_DESCRIBE_GROUPS,
    /** in: add_name. out: NAME. */
    FERRY_ADMIN_DELETE_GROUPS,
    /** in: set_group; add_partition (offset ignored), none: all that are committed. out: TOPIC, PARTITION, OFFSET (-1:
        nothing is committed), LEADER_EPOCH, METADATA. Flag REQUIRE_STABLE. */
    FERRY_ADMIN_LIST_GROUP_OFFSETS,
    /** The same, and END_OFFSET, BEGIN_OFFSET, LAG (END_OFFSET less OFFSET; not set where nothing is committed). */
    FERRY_ADMIN_GROUP_LAG,
    /** Commits for a group that has no members. in: set_group, add_partition (offset). out: TOPIC, PARTITION, OFFSET. */
    FERRY_ADMIN_ALTER_GROUP_OFFSETS,
    /** in: set_group, add_partition. out: TOPIC, PARTITION. Only of topics that the group does not consume. */
    FERRY_ADMIN_DELETE_GROUP_OFFSETS,
    /** in: add_partition (offset: the first to stay; -1: none stays). out: TOPIC, PARTITION, OFFSET (the new log start). */
    FERRY_ADMIN_DELETE_RECORDS,
    /** in: add_partition (offset: a time in ms, or enum ferry_admin_offset). out: TOPIC, PARTITION, OFFSET (-1: none so
        late), TIMESTAMP, LEADER_EPOCH. Flag READ_COMMITTED. */
    FERRY_ADMIN_LIST_OFFSETS,
    /** out: one item: ID (the cluster's, as text), NODE (the controller; -1: none), BROKERS (NODE, HOST, PORT, RACK). */
    FERRY_ADMIN_DESCRIBE_CLUSTER
};

enum ferry_admin_flag {
    FERRY_ADMIN_VALIDATE_ONLY = 1,  /**< say what would happen, change nothing */
    FERRY_ADMIN_SYNONYMS = 2,       /**< where else a value could have come from */
    FERRY_ADMIN_DOCUMENTATION = 4,  /**< what a key means */
    FERRY_ADMIN_READ_COMMITTED = 8, /**< the end is where the first open transaction begins */
    FERRY_ADMIN_REQUIRE_STABLE = 16 /**< wait for offsets of open transactions */
};

/** Times of LIST_OFFSETS that are not times. */
enum ferry_admin_offset {
    FERRY_ADMIN_LATEST = -1,       /**< one past the last record */
    FERRY_ADMIN_EARLIEST = -2,     /**< the first record */
    FERRY_ADMIN_MAX_TIMESTAMP = -3 /**< the record with the largest timestamp */
};

enum ferry_admin_resource {
    FERRY_RESOURCE_TOPIC = 2,
    FERRY_RESOURCE_BROKER = 4,
    FERRY_RESOURCE_BROKER_LOGGER = 8,
    FERRY_RESOURCE_GROUP = 32
};

enum ferry_admin_config_op {
    FERRY_CONFIG_SET = 0,
    FERRY_CONFIG_DELETE = 1,  /**< back to the default; value NULL */
    FERRY_CONFIG_APPEND = 2,  /**< to a list */
    FERRY_CONFIG_SUBTRACT = 3 /**< from a list */
};

/** Fields of items. I: int, T: text, B: bytes, N: numbers (int32), L: list of items. */
enum ferry_admin_field {
    FERRY_FIELD_ERROR = 1,           /**< I: 0, enum ferry_err, or the broker's code */
    FERRY_FIELD_ERROR_TEXT = 2,      /**< T: what the error is about; set if ERROR is not 0 */
    FERRY_FIELD_NAME = 3,            /**< T */
    FERRY_FIELD_ID = 4,              /**< T: Kafka's text of a topic's id, or a cluster's id */
    FERRY_FIELD_INTERNAL = 5,        /**< I: 1 or 0 */
    FERRY_FIELD_PARTITION_COUNT = 6, /**< I */
    FERRY_FIELD_REPLICATION = 7,     /**< I */
    FERRY_FIELD_PARTITIONS = 8,      /**< L */
    FERRY_FIELD_PARTITION = 9,       /**< I */
    FERRY_FIELD_TOPIC = 10,          /**< T */
    FERRY_FIELD_LEADER = 11,         /**< I: node id; -1: none */
    FERRY_FIELD_LEADER_EPOCH = 12,   /**< I; -1: not told */
    FERRY_FIELD_REPLICAS = 13,       /**< N: node ids */
    FERRY_FIELD_ISR = 14,            /**< N */
    FERRY_FIELD_OFFLINE = 15,        /**< N */
    FERRY_FIELD_TYPE = 16,           /**< I: enum ferry_admin_resource */
    FERRY_FIELD_CONFIGS = 17,        /**< L */
    FERRY_FIELD_VALUE = 18,          /**< T; not set if null or secret */
    FERRY_FIELD_READ_ONLY = 19,      /**< I */
    FERRY_FIELD_SENSITIVE = 20,      /**< I */
    FERRY_FIELD_SOURCE =
        21, /**< I: 1 topic, 2 dynamic broker, 3 dynamic default broker, 4 static broker, 5 default ... */
    FERRY_FIELD_VALUE_TYPE = 22,    /**< I: a configuration's type. T: a group's type */
    FERRY_FIELD_SYNONYMS = 23,      /**< L */
    FERRY_FIELD_TEXT = 24,          /**< T: documentation */
    FERRY_FIELD_STATE = 25,         /**< T */
    FERRY_FIELD_PROTOCOL_TYPE = 26, /**< T */
    FERRY_FIELD_PROTOCOL = 27,      /**< T */
    FERRY_FIELD_MEMBERS = 28,       /**< L */
    FERRY_FIELD_INSTANCE_ID = 29,   /**< T */
    FERRY_FIELD_CLIENT_ID = 30,     /**< T */
    FERRY_FIELD_HOST = 31,          /**< T */
    FERRY_FIELD_PORT = 32,          /**< I */
    FERRY_FIELD_RACK = 33,          /**< T */
    FERRY_FIELD_NODE = 34,          /**< I */
    FERRY_FIELD_BROKERS = 35,       /**< L */
    FERRY_FIELD_METADATA = 36,      /**< B: a member's. T: a committed offset's */
    FERRY_FIELD_ASSIGNMENT = 37,    /**< B */
    FERRY_FIELD_OFFSET = 38,        /**< I */
    FERRY_FIELD_END_OFFSET = 39,    /**< I */
    FERRY_FIELD_BEGIN_OFFSET = 40,  /**< I */
    FERRY_FIELD_LAG = 41,           /**< I */
    FERRY_FIELD_TIMESTAMP = 42      /**< I: ms; -1: none */
};

/* -- Filling. Functions that add return 0, or FERRY_E_INVALID where the kind has no use for it, or FERRY_E_NOMEM. ------ */

/** A call of a kind (enum ferry_admin_kind). NULL for an unknown kind and without memory. */
FERRY_API struct ferry_admin *ferry_admin_new(int32_t kind);
/** Frees it with its items. Not while it runs. NULL is fine. */
FERRY_API void ferry_admin_free(struct ferry_admin *call);
/** enum ferry_admin_flag; replaces what was set. */
FERRY_API int32_t ferry_admin_set_flags(struct ferry_admin *call, uint32_t flags);
/** The group that LIST_GROUP_OFFSETS and its like are about; replaces what was set. */
FERRY_API int32_t ferry_admin_set_group(struct ferry_admin *call, const char *group);
/** A topic's or a group's name. */
FERRY_API int32_t ferry_admin_add_name(struct ferry_admin *call, const char *name);
/** partitions, replication -1: the broker's default. */
FERRY_API int32_t ferry_admin_add_topic(struct ferry_admin *call, const char *name,
                                        int32_t partitions, int32_t replication);
/** The replicas of one partition of the topic added last; the first is the preferred leader. */
FERRY_API int32_t ferry_admin_add_assignment(struct ferry_admin *call, int32_t partition,
                                             const int32_t *nodes, int32_t count);
/** type: enum ferry_admin_resource. A broker's name is its node id; "" is the default of all brokers. */
FERRY_API int32_t ferry_admin_add_resource(struct ferry_admin *call, int32_t type,
                                           const char *name);
/** To the topic or resource added last. op: enum ferry_admin_config_op, used by ALTER_CONFIGS only. */
FERRY_API int32_t ferry_admin_add_config(struct ferry_admin *call, const char *key,
                                         const char *value, int32_t op);
/** A partition, with an offset or a time where the kind wants one (else it is ignored). */
FERRY_API int32_t ferry_admin_add_partition(struct ferry_admin *call, const char *topic,
                                            int32_t partition, int64_t offset);
/** LIST_GROUPS: field FERRY_FIELD_STATE or FERRY_FIELD_VALUE_TYPE, and a value to be listed; several are "or". */
FERRY_API int32_t ferry_admin_add_filter(struct ferry_admin *call, int32_t field,
                                         const char *value);

/* -- Running ---------------------------------------------------------------------------------------------- */

/**
 * Runs the call and waits, at most timeout_ms (-1: default.api.timeout.ms). A call runs once.
 * 0 if every item succeeded; else the first failed item's error, with err naming the item; or what kept the call as a
 * whole from being answered.
 */
FERRY_API int32_t ferry_admin_run(struct ferry_admin *call, struct ferry_handle *handle,
                                  int32_t timeout_ms, struct ferry_error *err);

struct ferry_queue;
struct ferry_delivery;

/**
 * Begins the call and returns. When it is done it is put on `queue` (NULL: the handle's own) as FERRY_DELIVERY_ADMIN, always,
 * and in time: timeout_ms as of ferry_admin_run. 0; or FERRY_E_INVALID, FERRY_E_STATE with the call still the caller's.
 */
FERRY_API int32_t ferry_admin_start(struct ferry_admin *call, struct ferry_handle *handle,
                                    struct ferry_queue *queue, int32_t timeout_ms, uint64_t cookie,
                                    struct ferry_error *err);
/** The call of a FERRY_DELIVERY_ADMIN, which is the caller's again (ferry_admin_free instead of ferry_delivery_free); NULL for
    another kind. */
FERRY_API struct ferry_admin *ferry_delivery_admin(struct ferry_delivery *delivery);
/** The cookie that ferry_admin_start was given. */
FERRY_API uint64_t ferry_admin_cookie(const struct ferry_admin *call);
/** What ferry_admin_run would have returned; FERRY_E_STATE while the call is not done. */
FERRY_API int32_t ferry_admin_result(const struct ferry_admin *call, struct ferry_error *err);

/* -- Reading ---------------------------------------------------------------------------------------------- */

/** How many items the answer has; 0 while the call is not done. */
FERRY_API int32_t ferry_admin_count(const struct ferry_admin *call);
/** Item number `index`; NULL past the end. */
FERRY_API const struct ferry_admin_item *ferry_admin_item(const struct ferry_admin *call,
                                                          int32_t index);
/** How many items have an error. */
FERRY_API int32_t ferry_admin_error_count(const struct ferry_admin *call);

/* The fields (enum ferry_admin_field). item NULL is fine, and a field that is not set, or of another type, too. What is
   returned lives as long as the call. */

/** A number; `otherwise` where it is not set. */
FERRY_API int64_t ferry_admin_int(const struct ferry_admin_item *item, int32_t field,
                                  int64_t otherwise);
/** A text, NUL-terminated; NULL where it is not set. */
FERRY_API const char *ferry_admin_text(const struct ferry_admin_item *item, int32_t field);
/** Bytes, how many in *length; NULL and 0 where they are not set. */
FERRY_API const void *ferry_admin_bytes(const struct ferry_admin_item *item, int32_t field,
                                        int32_t *length);
/** Numbers, how many in *count; NULL and 0 where they are not set. */
FERRY_API const int32_t *ferry_admin_numbers(const struct ferry_admin_item *item, int32_t field,
                                             int32_t *count);
/** How many items a list has; 0 where it is not set. */
FERRY_API int32_t ferry_admin_list_count(const struct ferry_admin_item *item, int32_t field);
/** Item number `index` of a list; NULL past the end. */
FERRY_API const struct ferry_admin_item *ferry_admin_list_item(const struct ferry_admin_item *item,
                                                               int32_t field, int32_t index);

#ifdef __cplusplus
}
#endif
#endif
