/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_APIS_H
#define WIRE_APIS_H
/* The table of API keys and the tables of record types, and choosing a version with a peer. */
#include "wire/messages.h"

enum ferry_listener { FERRY_ON_BROKER = 1, FERRY_ON_CONTROLLER = 2 };

struct ferry_api {
    int16_t key;
    uint16_t name; /* offset into ferry_msg_names: ferry_api_name() */
    uint16_t request_msg,
        response_msg;          /* places in ferry_msgs: ferry_api_request(), ferry_api_response() */
    int8_t min, max;           /* versions that the codec knows */
    int8_t live_min, live_max; /* those that Apache Kafka 4.4 serves and calls stable */
    int8_t flexible;           /* the first flexible version; 127 = never */
    uint8_t listeners;         /* enum ferry_listener */
};

extern const struct ferry_api ferry_apis[FERRY_API_COUNT]; /* by ascending key */

/* NULL for a key without messages. */
const struct ferry_api *ferry_api_find(int key);
/* A key's name such as "Produce"; "Unknown" for one without messages. */
const char *ferry_api_name(int key);

static inline const struct ferry_msg *ferry_api_request(const struct ferry_api *api)
{
    return &ferry_msgs[api->request_msg];
}

static inline const struct ferry_msg *ferry_api_response(const struct ferry_api *api)
{
    return &ferry_msgs[api->response_msg];
}

static inline bool ferry_api_knows(const struct ferry_api *api, int version)
{
    return version >= api->min && version <= api->max;
}

static inline bool ferry_api_is_flexible(const struct ferry_api *api, int version)
{
    return version >= api->flexible;
}

/* The versions of the headers that go with a version of the body. The answer to ApiVersions always
   has header 0, so that a client of any age can read it. */
int ferry_api_request_header(const struct ferry_api *api, int version);
int ferry_api_response_header(const struct ferry_api *api, int version);

/*
 * The highest version that lies in the schema, in what the peer offers [peer_min, peer_max] and in
 * what the caller can use [want_min, want_max] (-1, -1 = anything); -1 when there is none.
 */
int ferry_api_choose(const struct ferry_api *api, int peer_min, int peer_max, int want_min,
                     int want_max);

/* The topics whose records have schemas. */
enum ferry_record_topic {
    FERRY_TOPIC_CONSUMER_OFFSETS,
    FERRY_TOPIC_TRANSACTION_STATE,
    FERRY_TOPIC_SHARE_GROUP_STATE
};

/* A kind of record: the int16 in front of its key, and what key and value are. */
struct ferry_record_type {
    uint8_t topic; /* enum ferry_record_topic */
    int16_t number;
    uint16_t key_msg, value_msg; /* places in ferry_msgs */
};

extern const struct ferry_record_type ferry_record_types[FERRY_RECORD_COUNT];
const struct ferry_record_type *ferry_record_type_find(enum ferry_record_topic topic, int number);

/* A record of the metadata log. */
struct ferry_metadata_type {
    int16_t number;
    uint16_t msg; /* place in ferry_msgs */
};

extern const struct ferry_metadata_type ferry_metadata_types[FERRY_METADATA_COUNT];
/* NULL for a number without a schema. */
const struct ferry_msg *ferry_metadata_type_find(int number);

#endif
