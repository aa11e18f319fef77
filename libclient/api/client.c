/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "ferry/client.h"

#include "api/handle.h"
#include "base/err.h"
#include "client/client.h"
#include "client/settings.h"

/* What concerns a handle as a whole. */

struct ferry_handle *ferry_open(const struct ferry_config *config, const struct ferry_hooks *hooks,
                                struct ferry_error *err)
{
    return ferry_handle_open(config, hooks, err);
}

int32_t ferry_close(struct ferry_handle *handle, int32_t timeout_ms)
{
    return handle ? ferry_handle_close(handle, ferry_deadline_ms(timeout_ms)) : 0;
}

struct add_command {
    struct ferry_command command;
    const char *list;
    struct ferry_error *err;
    int code;
    _Atomic bool done;
};

static void run_add(struct ferry_client *client, struct ferry_command *command)
{
    struct add_command *c = (struct add_command *)command;
    c->code = ferry_cluster_add_bootstrap(client, c->list, c->err);
    atomic_store(&c->done, true); /* from here on its memory may be gone */
}

static bool is_added(void *cookie)
{
    return atomic_load(&((struct add_command *)cookie)->done);
}

int32_t ferry_add_brokers(struct ferry_handle *handle, const char *list, struct ferry_error *err)
{
    struct add_command c = {.command.run = run_add, .list = list, .err = err};
    if (!list)
        return ferry_fail(err, FERRY_E_INVALID, "a list of brokers is needed");
    if (ferry_in_callback())
        return ferry_fail(err, FERRY_E_STATE, "brokers cannot be added inside a callback");
    ferry_handle_post(handle, &c.command);
    while (!is_added(&c)) {
        int code = ferry_handle_wait(handle, NULL, is_added, &c, FERRY_NEVER);
        if (code && code != FERRY_E_INTERRUPTED && !is_added(&c))
            return ferry_fail(err, code, "the client has ended");
    }
    return c.code;
}

int32_t ferry_setting(const struct ferry_handle *handle, const char *key, char *buffer, size_t size)
{
    return ferry_config_get(handle->client->config, key, buffer, size);
}
