/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_OBSERVE_H
#define FERRY_OBSERVE_H
/* What a client says and counts. */
#include <ferry/error.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ferry_handle;
struct ferry_queue;
struct ferry_delivery;

/* -- Logs: ferry.log.level and ferry.debug choose what there is ------------------------------------------- */

/** The numbers of syslog. */
enum ferry_log_level {
    FERRY_LOG_ERROR = 3,
    FERRY_LOG_WARNING = 4,
    FERRY_LOG_INFO = 6,
    FERRY_LOG_DEBUG = 7
};

/** One line. 40 bytes. */
struct ferry_log_line {
    const char *context; /**< "broker", "group" ...: what ferry.debug lists; "" for general */
    const char *text;    /**< without a newline */
    int64_t time_ms;     /**< since 1970 */
    int32_t level;       /**< enum ferry_log_level */
    int32_t reserved;
    const char *client; /**< client.id */
};

/** Takes a line, which is gone when it returns. */
typedef void (*ferry_log_function)(void *cookie, const struct ferry_log_line *line);

/** Has lines passed to `function`, instead of stderr as at first; NULL: to nobody. It is called by the I/O thread or a thread
 *  that waits in the library or steps it, holding no lock. When this returns, the former function is not called again. */
FERRY_API void ferry_log_call(struct ferry_handle *handle, ferry_log_function function,
                              void *cookie);
/** Has lines put into a queue instead (FERRY_DELIVERY_LOG), which ends a function; NULL ends that. When 10,000 lines wait there,
 *  further ones are dropped and counted (log_lines_dropped). */
FERRY_API void ferry_log_queue(struct ferry_handle *handle, struct ferry_queue *queue);
/** The line of a FERRY_DELIVERY_LOG, as long as the delivery lives; FERRY_E_INVALID for another kind. */
FERRY_API int32_t ferry_delivery_log(const struct ferry_delivery *delivery,
                                     struct ferry_log_line *out);
/** A ready ferry_log_function: "warning broker client-id: text" to stderr. What handles do at first. */
FERRY_API void ferry_log_stderr(void *cookie, const struct ferry_log_line *line);

/* -- Errors that no call reports -------------------------------------------------------------------------- */

/** The error that ended the handle (FERRY_ERROR_FATAL), if there is one: its code, with err filled; else 0. */
FERRY_API int32_t ferry_handle_fatal_error(struct ferry_handle *handle, struct ferry_error *err);

/* -- Counters ---------------------------------------------------------------------------------------------- */

/** All since the handle was made. Later versions add at the end. */
struct ferry_counters {
    uint64_t requests;         /**< given to connections */
    uint64_t replies;          /**< answered */
    uint64_t request_timeouts; /**< not answered in time */
    uint64_t request_failures; /**< failed otherwise */
    uint64_t connects;         /**< connections made */
    uint64_t connect_failures;
    uint64_t disconnects;
    uint64_t metadata_requests;
    uint64_t rebootstraps; /**< times at which all known brokers were given up */
    uint64_t throttles;    /**< answers that asked to wait */
    uint64_t bytes_sent;   /**< to sockets */
    uint64_t bytes_received;
    uint64_t send_calls; /**< system calls that wrote sockets */
    uint64_t receive_calls;
    uint64_t polls;       /**< times somebody slept in, or asked, epoll */
    uint64_t wakes;       /**< times it was woken by another thread */
    uint64_t steps;       /**< events that the engine handled */
    uint64_t helper_jobs; /**< given to helper threads: compression, blocking name lookup */
    uint64_t log_lines;
    uint64_t log_lines_dropped;
};

/** Fills *out, as much as `size` (sizeof(struct ferry_counters)) says. FERRY_E_STATE from inside a callback. */
FERRY_API int32_t ferry_handle_counters(struct ferry_handle *handle, struct ferry_counters *out,
                                        size_t size);
/** The same as a JSON object, NUL-terminated and cut to size. Returns its whole length without the NUL, or below 0 an error.
 *  buffer may be NULL if size is 0. */
FERRY_API int32_t ferry_handle_counters_json(struct ferry_handle *handle, char *buffer,
                                             size_t size);

/* -- Statistics -------------------------------------------------------------------------------------------- */

/** Connections, topics, producers and consumers as one JSON object (docs/statistics.md), with times in windows of ferry.statistics.interval.ms
 *  (count, min, max, avg, sum, percentiles); without an interval the windows are empty. Written and returned as by
 *  ferry_handle_counters_json. */
FERRY_API int32_t ferry_handle_statistics_json(struct ferry_handle *handle, char *buffer,
                                               size_t size);
/** The object of a FERRY_DELIVERY_STATISTICS, which comes to the handle's own queue at the end of each interval:
 *  NUL-terminated, as long as the delivery lives; NULL for another kind. */
FERRY_API const char *ferry_delivery_statistics(const struct ferry_delivery *delivery);

#ifdef __cplusplus
}
#endif
#endif
