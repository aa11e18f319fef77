/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/statistics.h"

#include "api/handle.h"
#include "ferry/observe.h"

int32_t ferry_handle_statistics_json(struct ferry_handle *handle, char *buffer, size_t size)
{
    struct ferry_text text = {0};
    int code = ferry_handle_enter(handle);
    if (code)
        return code;
    ferry_statistics_print(handle->client, &text);
    ferry_handle_leave(handle);
    int32_t len = text.failed ? FERRY_E_NOMEM : (int32_t)text.len;
    if (len >= 0 && size) {
        size_t n = text.len < size ? text.len : size - 1;
        memcpy(buffer, text.data, n);
        buffer[n] = 0;
    }
    ferry_text_free(&text);
    return len;
}

const char *ferry_delivery_statistics(const struct ferry_delivery *d)
{
    return d && d->type == FERRY_DELIVERY_STATISTICS
               ? FERRY_CONTAINER(d, struct ferry_statistics, delivery)->json
               : NULL;
}
