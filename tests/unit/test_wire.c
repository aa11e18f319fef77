/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire module by hand-made examples: frames, versions, defaults, tags, errors. */
#include "config.h"

#include "ferry/ferry.h"
#include "ferry/kafka_errors.h"
#include "tests/lib/tap.h"
#include "wire/errors.h"
#include "wire/frame.h"
#include "wire/value.h"

static void request_frames(void)
{
    struct ferry_writer w = {0};
    struct ferry_api_versions_request body;
    ferry_api_versions_request_init(&body);
    body.client_software_name = FERRY_STR("ferry");
    body.client_software_version = FERRY_STR("1");
    const struct ferry_api *api = ferry_api_find(18);
    CHECK(api != NULL);
    CHECK_INT(ferry_frame_request(&w, api, 3, 7, FERRY_STR("c"), &body, NULL), 0);
    static const uint8_t want[] = {0, 0,   0, 21, 0,   18,  0,   3,   0,   0, 0,   7, 0,
                                   1, 'c', 0, 6,  'f', 'e', 'r', 'r', 'y', 2, '1', 0};
    CHECK_INT(w.len, sizeof want);
    CHECK(memcmp(w.data, want, sizeof want) == 0);
    struct ferry_request_head head;
    CHECK_INT(ferry_frame_parse_request((struct ferry_bytes){w.data + 4, w.len - 4}, &head, NULL),
              0);
    CHECK(head.known && head.api == api);
    CHECK_INT(head.version, 3);
    CHECK_INT(head.correlation_id, 7);
    CHECK(ferry_str_eq(head.client_id, FERRY_STR("c")));
    struct ferry_arena arena = {.limit = 4096};
    struct ferry_api_versions_request back;
    CHECK_INT(ferry_msg_decode(ferry_api_request(api), 3, head.body, FERRY_DECODE_WHOLE, &arena,
                               &back, NULL),
              0);
    CHECK(ferry_msg_equal(&ferry_api_versions_request_msg, &body, &back));
    ferry_arena_free(&arena);
    ferry_writer_free(&w);
}

static void error_names(void)
{
    CHECK_STR(ferry_error_name(FERRY_KAFKA_NOT_LEADER_OR_FOLLOWER), "NOT_LEADER_OR_FOLLOWER");
    CHECK_STR(ferry_error_name(FERRY_E_CONFIG), "FERRY_E_CONFIG");
    CHECK_STR(ferry_error_name(-1), "UNKNOWN_SERVER_ERROR");
    CHECK_STR(ferry_error_name(136), "CONTROLLER_ID_NOT_REGISTERED");
    CHECK_STR(ferry_error_name(137), "UNKNOWN");
    CHECK_INT(ferry_error_flags(FERRY_KAFKA_REQUEST_TIMED_OUT), FERRY_ERROR_RETRIABLE);
    CHECK_INT(ferry_error_flags(FERRY_KAFKA_PRODUCER_FENCED), FERRY_ERROR_FATAL);
    CHECK_INT(ferry_error_flags(FERRY_KAFKA_TRANSACTION_ABORTABLE), FERRY_ERROR_ABORTABLE);
    CHECK_INT(ferry_error_flags(0), 0);
    CHECK_INT(ferry_kafka_err_actions(16), FERRY_WIRE_RETRY | FERRY_WIRE_COORDINATOR);
}

int main(void)
{
    TAP_RUN(request_frames);
    TAP_RUN(error_names);
    return tap_done();
}
