/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_LOOP_H
#define FERRY_LOOP_H
/*
 * A client on the application's own event loop, with no thread at all (ferry.io.thread=false):
 *
 *   struct ferry_handle *h = ferry_producer_handle(producer);
 *   struct pollfd p = {.fd = ferry_handle_fd(h), .events = POLLIN};
 *   for (;;) {
 *       poll(&p, 1, ferry_handle_timeout_ms(h));
 *       ferry_handle_step(h);
 *       ... take reports, records, events with time-out 0 ...
 *   }
 *
 * Ask for the time-out each time before waiting, after everything else that was called. Calls that wait (flush, close, polls
 * with a time-out) drive the handle themselves while they wait.
 *
 * With an I/O thread none of this is needed.
 */
#include <ferry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ferry_handle;

/** A descriptor that polls readable (it may be put into poll, select, epoll or any event library) when a step is due. It
 *  stays the same for the handle's life, and the handle's own: do not read or close it. */
FERRY_API int32_t ferry_handle_fd(struct ferry_handle *handle);

/** When a step is due at the latest even if the descriptor is not readable: ns of CLOCK_MONOTONIC; 0 for at once;
 *  INT64_MAX for never. */
FERRY_API int64_t ferry_handle_deadline(struct ferry_handle *handle);

/** The same as a time-out for poll or epoll_wait: ms from now, rounded up; 0 for at once; -1 for never. */
FERRY_API int32_t ferry_handle_timeout_ms(struct ferry_handle *handle);

/** Does what is due, without waiting: reads and writes sockets, fires timers, calls wake and log callbacks. A bounded share
 *  of the work: if some is left, the time-out is 0. Returns how many events it handled; 0 also if another thread
 *  drives just then; FERRY_E_STATE from inside a callback; or the code with which the client ended. */
FERRY_API int32_t ferry_handle_step(struct ferry_handle *handle);

#ifdef __cplusplus
}
#endif
#endif
