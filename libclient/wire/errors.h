/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_ERRORS_H
#define WIRE_ERRORS_H
/* Kafka's error codes (enum ferry_kafka_err): their names, and what a client does about them. */
#include <stdint.h>

enum ferry_wire_action {
    FERRY_WIRE_RETRY = 1,       /* the same request may succeed later */
    FERRY_WIRE_METADATA = 2,    /* refresh metadata first */
    FERRY_WIRE_COORDINATOR = 4, /* find the coordinator again first */
    FERRY_WIRE_REJOIN = 8,      /* join the group again */
    FERRY_WIRE_ABORT = 16,      /* abort the transaction */
    FERRY_WIRE_BUMP = 32,       /* new producer epoch, sequences from 0 */
    FERRY_WIRE_RESET = 64,      /* reset the consumer's offset */
    FERRY_WIRE_SESSION = 128,   /* begin a new fetch or share session */
    FERRY_WIRE_VERSION = 256,   /* another version or feature is needed */
    FERRY_WIRE_FATAL = 512      /* the client can only be closed */
};

/* Such as "NOT_LEADER_OR_FOLLOWER"; NULL for a code that is not Kafka's. */
const char *ferry_kafka_err_name(int code);
/* enum ferry_wire_action; 0 where it is for the caller to decide, and for codes that are not
 * Kafka's. */
unsigned ferry_kafka_err_actions(int code);
/* enum ferry_error_flag */
unsigned ferry_kafka_err_flags(int code);

#endif
