/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_CONFIG_H
#define FERRY_CONFIG_H
/*
 * Configuration by Kafka's own keys: bootstrap.servers, linger.ms, group.id ... The reference page
 * (docs/configuration.md) lists every key with its type, range, default and meaning.
 *
 * A configuration belongs to the thread that fills it. Handles take a copy: it may be changed or
 * freed afterwards.
 */
#include <ferry/error.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A set of settings; opaque. */
struct ferry_config;
struct ferry_hooks;

/** A configuration in which every key has its default. NULL without memory. */
FERRY_API struct ferry_config *ferry_config_new(void);

/** A copy that is independent of `config`. NULL without memory. */
FERRY_API struct ferry_config *ferry_config_copy(const struct ferry_config *config);

/** Frees it. NULL is fine. */
FERRY_API void ferry_config_free(struct ferry_config *config);

/**
 * Sets one key. A key that may differ by topic (acks, compression.type, ...) is set as the default
 * of all topics. FERRY_E_CONFIG for an unknown key or a value out of range: the text names the key,
 * the value, the range, and for an unknown key the nearest known one. The configuration is
 * unchanged on failure.
 */
FERRY_API int32_t ferry_config_set(struct ferry_config *config, const char *key, const char *value,
                                   struct ferry_error *err);

/** Sets one key for one topic only. FERRY_E_CONFIG also if the key is not one that may differ by
 * topic. */
FERRY_API int32_t ferry_config_set_topic(struct ferry_config *config, const char *topic,
                                         const char *key, const char *value,
                                         struct ferry_error *err);

/** Has every handle made with this configuration (producers, consumers and ferry_open) call these functions of the application's;
 * copied; NULL: none. FERRY_E_INVALID if their `size` cannot be right, FERRY_E_NOMEM. See <ferry/hooks.h>. */
FERRY_API int32_t ferry_config_set_hooks(struct ferry_config *config,
                                         const struct ferry_hooks *hooks, struct ferry_error *err);

/** Sets from one "key=value" text, as tools take with -X. */
FERRY_API int32_t ferry_config_set_pair(struct ferry_config *config, const char *pair,
                                        struct ferry_error *err);

/**
 * Sets from lines of "key=value" in the format of Java's properties files (comments with # or !,
 * continued lines, escapes). The error's text names the line. Lines before the wrong one have been
 * set.
 */
FERRY_API int32_t ferry_config_load_text(struct ferry_config *config, const char *text,
                                         size_t length, struct ferry_error *err);

/** The same from a file. FERRY_E_IO or FERRY_E_NOT_FOUND if it cannot be read. */
FERRY_API int32_t ferry_config_load_file(struct ferry_config *config, const char *path,
                                         struct ferry_error *err);

/**
 * Writes the present value as text, NUL-terminated and cut to `size`. Returns its whole length
 * without the NUL (an unset key has length 0), or FERRY_E_NOT_FOUND for an unknown key. buffer may
 * be NULL if size is 0.
 */
FERRY_API int32_t ferry_config_get(const struct ferry_config *config, const char *key, char *buffer,
                                   size_t size);

/** Checks what no single key shows, such as delivery.timeout.ms against linger.ms and
 * request.timeout.ms. */
FERRY_API int32_t ferry_config_check(const struct ferry_config *config, struct ferry_error *err);

/** How many keys there are. Like the three below it may be called by any thread at any time. */
FERRY_API int32_t ferry_config_key_count(void);
/** The name of key number `index`; NULL past the end. Static memory. */
FERRY_API const char *ferry_config_key_name(int32_t index);
/** Its default as text; NULL if it is unset, and past the end. Static memory. */
FERRY_API const char *ferry_config_key_default(int32_t index);
/** What it means; NULL past the end. Static memory. */
FERRY_API const char *ferry_config_key_meaning(int32_t index);

#ifdef __cplusplus
}
#endif
#endif
