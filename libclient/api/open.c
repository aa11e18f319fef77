/* SPDX-License-Identifier: BSD-2-Clause */
/* The handle of a client engine: made from a configuration, ended in order. */
#include "config.h"

#include "api/handle.h"
#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/settings.h"
#include "drive/clock.h"

static int start(struct ferry_handle *h, const struct ferry_config *config,
                 const struct ferry_hooks *hooks, struct ferry_error *err)
{
    h->observing = ferry_observe_new(h);
    if (!h->observing)
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a client handle");
    h->client =
        ferry_client_new(config, ferry_clock_seed(), &ferry_observe_host, h->observing, err);
    if (!h->client) {
        ferry_observe_free(h->observing);
        return FERRY_E_CONFIG;
    }
    const struct ferry_settings *s = h->client->settings;
    if (!hooks)
        hooks = h->client->config->hooks;
    /* With a thread of ours there may be a second one at times, for a resolver that blocks and for compression. */
    struct ferry_handle_config c = {.io_thread = s->io_thread,
                                    .pool_threads = s->io_thread,
                                    .hooks = hooks,
                                    .send_buffer_bytes = s->send_buffer_bytes,
                                    .receive_buffer_bytes = s->receive_buffer_bytes};
    int rc = ferry_handle_start(h, &h->client->engine, &c, err);
    if (rc) {
        ferry_client_free(h->client);
        ferry_observe_free(h->observing);
    }
    return rc;
}

struct ferry_handle *ferry_handle_open(const struct ferry_config *config,
                                       const struct ferry_hooks *hooks, struct ferry_error *err)
{
    struct ferry_config *defaults = config ? NULL : ferry_config_new();
    struct ferry_handle *h = ferry_zalloc(sizeof *h);
    ferry_error_clear(err);
    int rc = !h || (!config && !defaults)
                 ? ferry_fail(err, FERRY_E_NOMEM, "no memory for a client handle")
                 : start(h, config ? config : defaults, hooks, err);
    ferry_config_free(defaults);
    if (rc) {
        ferry_free(h);
        return NULL;
    }
    return h;
}

/* -- The end ------------------------------------------------------------------------------- */

struct close_command {
    struct ferry_command command;
    struct ferry_handle *handle;
};

static bool engine_closed(const struct ferry_engine *e)
{
    return ferry_client_closed((const struct ferry_client *)e);
}

static void run_close(struct ferry_client *client, struct ferry_command *command)
{
    struct close_command *c = FERRY_CONTAINER(command, struct close_command, command);
    c->handle->finished = engine_closed;
    ferry_client_close(client);
}

static bool has_finished(void *cookie)
{
    return atomic_load(&((struct ferry_handle *)cookie)->has_finished);
}

int ferry_handle_close(struct ferry_handle *h, ferry_nsec deadline)
{
    if (ferry_in_callback())
        return FERRY_E_STATE;
    struct close_command c = {.command = {.run = run_close}, .handle = h};
    ferry_handle_post(h, &c.command);
    int rc = ferry_handle_wait(h, NULL, has_finished, h, deadline);
    ferry_handle_stop(h); /* so that nobody runs the command, which is on this stack, later */
    ferry_client_free(h->client);
    h->client = NULL;
    ferry_handle_fini(h);
    ferry_observe_free(h->observing);
    ferry_free(h);
    return rc;
}
