/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "wire/apis.h"

const struct ferry_api *ferry_api_find(int key)
{
    size_t low = 0, high = FERRY_API_COUNT;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (ferry_apis[mid].key == key)
            return &ferry_apis[mid];
        if (ferry_apis[mid].key < key)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const char *ferry_api_name(int key)
{
    const struct ferry_api *api = ferry_api_find(key);
    return api ? ferry_msg_names + api->name : "Unknown";
}

int ferry_api_request_header(const struct ferry_api *api, int version)
{
    return ferry_api_is_flexible(api, version) ? 2 : 1;
}

int ferry_api_response_header(const struct ferry_api *api, int version)
{
    return api->key != FERRY_API_API_VERSIONS && ferry_api_is_flexible(api, version);
}

static int lower(int a, int b)
{
    return a < b ? a : b;
}

static int higher(int a, int b)
{
    return a > b ? a : b;
}

int ferry_api_choose(const struct ferry_api *api, int peer_min, int peer_max, int want_min,
                     int want_max)
{
    int low = higher(higher(api->min, peer_min), want_min);
    int high = lower(api->max, peer_max);
    if (want_max >= 0)
        high = lower(high, want_max);
    return high >= low ? high : -1;
}

const struct ferry_record_type *ferry_record_type_find(enum ferry_record_topic topic, int number)
{
    for (size_t i = 0; i < FERRY_RECORD_COUNT; i++) {
        if (ferry_record_types[i].topic == topic && ferry_record_types[i].number == number)
            return &ferry_record_types[i];
    }
    return NULL;
}

const struct ferry_msg *ferry_metadata_type_find(int number)
{
    for (size_t i = 0; i < FERRY_METADATA_COUNT; i++) {
        if (ferry_metadata_types[i].number == number)
            return &ferry_msgs[ferry_metadata_types[i].msg];
    }
    return NULL;
}
