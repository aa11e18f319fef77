/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_CLIENT_H
#define FERRY_CLIENT_H
/*
 * A handle: one client engine with its connections, on which producers, consumers and admin calls
 * live. It has one I/O thread whatever the number of brokers, or none (ferry.io.thread=false: the
 * application steps it, see <ferry/loop.h>). Every function may be called from any thread unless it
 * says otherwise.
 */
#include <ferry/config.h>
#include <ferry/hooks.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One client of one cluster; opaque. */
struct ferry_handle;

/**
 * Makes a handle from a copy of the configuration (NULL: defaults); hooks may be NULL. It connects when something first
 * needs the cluster. bootstrap.servers may be unset: brokers can be added later. NULL with err filled if a setting is
 * wrong or the system refuses a thread or a descriptor.
 */
FERRY_API struct ferry_handle *ferry_open(const struct ferry_config *config,
                                          const struct ferry_hooks *hooks, struct ferry_error *err);

/**
 * Ends connections and the thread, and frees the handle, at the latest after timeout_ms (-1: without end). 0, or
 * FERRY_E_TIMED_OUT if something had to be dropped; the handle is gone in both cases. FERRY_E_STATE inside a callback: then
 * it lives on. For handles of ferry_open only (a producer's or consumer's ends with it), and when no other thread uses it
 * any more. NULL is fine.
 */
FERRY_API int32_t ferry_close(struct ferry_handle *handle, int32_t timeout_ms);

/** Adds bootstrap servers ("host:port,host:port"). FERRY_E_CONFIG names the part that is wrong; those before it count. */
FERRY_API int32_t ferry_add_brokers(struct ferry_handle *handle, const char *list,
                                    struct ferry_error *err);

/** The value of a key in the handle's own configuration, as ferry_config_get; dependent defaults are resolved in it. */
FERRY_API int32_t ferry_setting(const struct ferry_handle *handle, const char *key, char *buffer,
                                size_t size);

#ifdef __cplusplus
}
#endif
#endif
