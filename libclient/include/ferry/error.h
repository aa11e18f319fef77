/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_ERROR_H
#define FERRY_ERROR_H
/* Error codes and the struct that carries what went wrong, with which value, and what to do about it. */
#include <stdint.h>

#if defined(__GNUC__)
#define FERRY_API __attribute__((visibility("default")))
#else
#define FERRY_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Errors that this library finds itself are below -1000. Everything else is the protocol's own code as a
 * broker sent it (Kafka's numbers: -1, and 1 and up), listed in enum ferry_kafka_err of <ferry/kafka_errors.h>.
 */
enum ferry_err {
    FERRY_OK = 0,
    FERRY_E_NOMEM = -1001,        /**< memory could not be had */
    FERRY_E_INVALID = -1002,      /**< an argument is out of range or of the wrong kind */
    FERRY_E_CONFIG = -1003,       /**< a configuration key or value is wrong */
    FERRY_E_STATE = -1004,        /**< not possible in the handle's present state */
    FERRY_E_TIMED_OUT = -1005,    /**< the caller's time-out passed */
    FERRY_E_QUEUE_FULL = -1006,   /**< buffer.memory or a record limit is reached */
    FERRY_E_TOO_LARGE = -1007,    /**< a record, request or frame is above its limit */
    FERRY_E_CLOSED = -1008,       /**< the connection or the handle is closed */
    FERRY_E_TRANSPORT = -1009,    /**< a connection failed; the text has the system's reason */
    FERRY_E_RESOLVE = -1010,      /**< a host name has no address */
    FERRY_E_PROTOCOL = -1011,     /**< the peer broke the protocol: truncated or malformed bytes */
    FERRY_E_UNSUPPORTED = -1012,  /**< the peer, or this build, cannot do it */
    FERRY_E_CRC = -1013,          /**< a checksum does not match */
    FERRY_E_CODEC = -1014,        /**< compressed bytes cannot be expanded, or expand beyond the limit */
    FERRY_E_IO = -1015,           /**< a file operation failed; the text has the system's reason */
    FERRY_E_NO_SPACE = -1016,     /**< the disk is full */
    FERRY_E_NOT_FOUND = -1017,    /**< no such file, topic, partition, key or member */
    FERRY_E_EXISTS = -1018,       /**< it is there already */
    FERRY_E_PURGED = -1019,       /**< the record was purged before its outcome was known */
    FERRY_E_EXPIRED = -1020,      /**< delivery.timeout.ms passed before the outcome was known */
    FERRY_E_ALL_BROKERS_DOWN = -1021, /**< no broker can be reached */
    FERRY_E_PARTITION_EOF = -1022,    /**< the end of a partition was reached (an event, not a failure) */
    FERRY_E_MAX_POLL = -1023,         /**< max.poll.interval.ms passed between two polls */
    FERRY_E_NO_OFFSET = -1024,        /**< no committed offset, and auto.offset.reset is none */
    FERRY_E_FATAL = -1025,            /**< the handle can only be closed; its text says why */
    FERRY_E_AGAIN = -1026,            /**< nothing now; try again later */
    FERRY_E_INTERRUPTED = -1027,      /**< a wait was cancelled by another thread */
};

/** Flags of struct ferry_error (KIP-1050: what to do is a field, not text to parse). */
enum ferry_error_flag {
    FERRY_ERROR_RETRIABLE = 1, /**< the same call may succeed later */
    FERRY_ERROR_ABORTABLE = 2, /**< the transaction must be aborted, the handle lives on */
    FERRY_ERROR_FATAL = 4      /**< the handle can only be closed */
};

/** What went wrong. The caller owns it; every function that takes one accepts NULL. 512 bytes. */
struct ferry_error {
    int32_t code;   /**< enum ferry_err, or the broker's code */
    uint32_t flags; /**< enum ferry_error_flag */
    char text[504]; /**< what was wrong, with which value, and what to do; NUL-terminated */
};

/** A code's name, such as "FERRY_E_CONFIG" or "NOT_LEADER_OR_FOLLOWER"; never NULL. Static memory; any thread. */
FERRY_API const char *ferry_error_name(int32_t code);
/** What a code means for the caller, whoever found it: enum ferry_error_flag. Any thread. */
FERRY_API uint32_t ferry_error_flags(int32_t code);

#ifdef __cplusplus
}
#endif
#endif
