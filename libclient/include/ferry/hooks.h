/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_HOOKS_H
#define FERRY_HOOKS_H
/*
 * What an application may do in the library's stead: name lookup, sockets, and a word when a thread
 * begins or ends. Given with a configuration (ferry_config_set_hooks) or to ferry_open.
 *
 * Hooks are called by whichever thread drives the handle, or by a helper thread, never by two
 * threads for one handle at once (thread hooks aside). They must not wait for the handle that calls
 * them: such a call fails with FERRY_E_STATE.
 */
#include <ferry/error.h>

#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Any function may be NULL: the library then does it itself. Zero the whole, set `size`, then
 * fill. */
struct ferry_hooks {
    uint32_t size; /**< sizeof(struct ferry_hooks), so that later versions can add at the end */
    void *cookie;  /**< given to every function */
    /** Looks a name up: fills up to `max` addresses with the port in them and returns how many, or
       a negative ferry_err. May block: where helper threads are allowed, one of them calls it. */
    int32_t (*resolve)(void *cookie, const char *host, uint16_t port,
                       struct sockaddr_storage *addresses, int32_t max);
    /** socket(2): a descriptor, or -1 with errno set. The library makes it non-blocking and
     * close-on-exec. */
    int (*socket)(void *cookie, int domain, int type, int protocol);
    /** connect(2) of a non-blocking descriptor: 0, or -1 with errno set (EINPROGRESS is the usual
       answer). `host` is the name that the configuration or the cluster gave. */
    int (*connect)(void *cookie, int fd, const struct sockaddr *address, uint32_t length,
                   const char *host);
    /** close(2) of a descriptor that was a connection. */
    int (*close)(void *cookie, int fd);
    /** In the new thread, before it does anything, with its name ("ferry:io", "ferry:pool"); and
     * last in it. */
    void (*thread_start)(void *cookie, const char *name);
    void (*thread_exit)(void *cookie, const char *name);
};

#ifdef __cplusplus
}
#endif
#endif
