/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_QUEUE_H
#define FERRY_QUEUE_H
/*
 * Event queues: what the library has for the application waits in one until a thread takes it.
 *
 * Producers, consumers and handles have queues of their own, which their poll functions read. For programs with an event
 * loop or several sources: queues can be forwarded into one, measured, and can wake a descriptor or call a
 * function when they stop being empty.
 *
 * Any thread may call any function. A queue must be freed before its handle is closed.
 */
#include <ferry/error.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ferry_handle;

/** A queue, and what is taken out of one; opaque. */
struct ferry_queue;
struct ferry_delivery;

/** What a delivery is, and by which function its content is had. */
enum ferry_delivery_kind {
    FERRY_DELIVERY_REPORT = 1, /**< a producer's report: ferry_delivery_report */
    FERRY_DELIVERY_ERROR = 8,  /**< a condition that no call reports: ferry_delivery_error */
    FERRY_DELIVERY_LOG = 9,    /**< a log line: ferry_delivery_log of <ferry/observe.h> */
    FERRY_DELIVERY_STATISTICS =
        10, /**< at each ferry.statistics.interval.ms: ferry_delivery_statistics */
    FERRY_DELIVERY_ADMIN = 11, /**< an admin call that was started is done: ferry_delivery_admin */
    FERRY_DELIVERY_RECORDS = 16,   /**< fetched records of one partition */
    FERRY_DELIVERY_NOTE = 17,      /**< the end of a partition, or an error at it */
    FERRY_DELIVERY_REBALANCE = 18, /**< a group's rebalance, to be answered */
    FERRY_DELIVERY_RESULT = 19     /**< the result of a call that was started earlier */
};

/** An empty queue. NULL without memory. */
FERRY_API struct ferry_queue *ferry_queue_new(struct ferry_handle *handle);
/** Gives it back; what is in it is dropped when nobody forwards to it any more. NULL is fine. */
FERRY_API void ferry_queue_free(struct ferry_queue *queue);
/** The handle's own queue, for what belongs to no other: errors that no call reports (a consumer's come from its own queue
 *  instead, and so from poll), statistics (the newest 16), admin calls that name no queue. It lives as long as the handle. */
FERRY_API struct ferry_queue *ferry_handle_queue(struct ferry_handle *handle);

/** Takes the oldest delivery, waiting for one up to timeout_ms (0: not at all, -1: without end). A thread that waits drives
 *  the client itself. NULL if there is none: err then has FERRY_E_TIMED_OUT, FERRY_E_INTERRUPTED (ferry_queue_cancel),
 *  FERRY_E_STATE (from inside a callback) or the code with which the client ended. */
FERRY_API struct ferry_delivery *ferry_queue_poll(struct ferry_queue *queue, int32_t timeout_ms,
                                                  struct ferry_error *err);
/** Ends one wait on the queue that is under way, or the next one, with FERRY_E_INTERRUPTED. */
FERRY_API void ferry_queue_cancel(struct ferry_queue *queue);
/** How much is queued: records, where deliveries stand for records. */
FERRY_API uint64_t ferry_queue_length(struct ferry_queue *queue);

/** Sends what is queued, and what will come, to `target`; NULL ends that. Every function on a forwarded queue acts on its
 *  target. FERRY_E_INVALID for a circle. */
FERRY_API int32_t ferry_queue_forward(struct ferry_queue *queue, struct ferry_queue *target);

/** Writes the payload (1 to 16 bytes, copied) to fd whenever the queue stops being empty: an eventfd takes 8 bytes, a pipe or
 *  a socket any. Never blocks, never raises SIGPIPE. fd -1 ends it. The descriptor stays the caller's. Set it
 *  while the queue is empty, or look into the queue once afterwards. */
FERRY_API int32_t ferry_queue_wake_fd(struct ferry_queue *queue, int32_t fd, const void *payload,
                                      size_t size);
/** Calls `function` whenever the queue stops being empty: from the I/O thread, or a thread that waits in the library or steps
 *  it. It should only make some other thread look. NULL ends it: after the return it is not called again. */
FERRY_API void ferry_queue_wake_call(struct ferry_queue *queue, void (*function)(void *cookie),
                                     void *cookie);

/** enum ferry_delivery_kind. */
FERRY_API int32_t ferry_delivery_kind(const struct ferry_delivery *delivery);
/** How many records it stands for; 0 where it stands for none. */
FERRY_API uint32_t ferry_delivery_records(const struct ferry_delivery *delivery);
/** Frees it, whatever it is. NULL is fine. What was got out of a delivery by its own function is released by that one's own
 *  release instead. */
FERRY_API void ferry_delivery_free(struct ferry_delivery *delivery);
/** The error of a FERRY_DELIVERY_ERROR; FERRY_E_INVALID for another kind. */
FERRY_API int32_t ferry_delivery_error(const struct ferry_delivery *delivery,
                                       struct ferry_error *out);

#ifdef __cplusplus
}
#endif
#endif
