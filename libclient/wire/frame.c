/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "wire/frame.h"

#include "base/err.h"

int64_t ferry_frame_length(const void *data, size_t len, size_t max)
{
    if (len < FERRY_FRAME_PREFIX)
        return -1;
    int32_t claimed = (int32_t)ferry_get32(data);
    if (claimed < 0)
        return FERRY_E_PROTOCOL;
    return (size_t)claimed > max ? FERRY_E_TOO_LARGE : claimed;
}

/* Headers have no default that a version cannot carry, so only memory and the length of the client
 * id can fail. */
static struct ferry_writer_mark begin(struct ferry_writer *w, const struct ferry_msg *msg,
                                      int version, const void *header)
{
    struct ferry_writer_mark mark = ferry_writer_mark(w);
    ferry_writer_u32(w, 0);
    if (ferry_msg_encode(msg, version, header, w, NULL) && !w->err)
        w->err = FERRY_E_INVALID;
    return mark;
}

struct ferry_writer_mark ferry_frame_begin_request(struct ferry_writer *w,
                                                   const struct ferry_api *api, int version,
                                                   int32_t correlation_id,
                                                   struct ferry_str client_id)
{
    struct ferry_request_header h = {
        .request_api_key = api->key,
        .request_api_version = (int16_t)version,
        .correlation_id = correlation_id,
        .client_id = client_id,
    };
    return begin(w, &ferry_request_header_msg, ferry_api_request_header(api, version), &h);
}

struct ferry_writer_mark ferry_frame_begin_response(struct ferry_writer *w,
                                                    const struct ferry_api *api, int version,
                                                    int32_t correlation_id)
{
    struct ferry_response_header h = {.correlation_id = correlation_id};
    return begin(w, &ferry_response_header_msg, ferry_api_response_header(api, version), &h);
}

int ferry_frame_end(struct ferry_writer *w, struct ferry_writer_mark mark)
{
    if (w->err)
        return w->err;
    size_t size = ferry_writer_size(w) - mark.size - FERRY_FRAME_PREFIX;
    if (size > INT32_MAX)
        return FERRY_E_TOO_LARGE;
    ferry_put32(w->data + mark.len, (uint32_t)size);
    return 0;
}

/* Writes body and length; on failure cuts the writer back to the mark. */
static int finish(struct ferry_writer *w, struct ferry_writer_mark mark,
                  const struct ferry_msg *msg, int version, const void *body,
                  struct ferry_error *err)
{
    int code =
        w->err ? ferry_fail(err, w->err, "%s: its header cannot be encoded", ferry_msg_name(msg))
               : ferry_msg_encode(msg, version, body, w, err);
    if (!code) {
        code = ferry_frame_end(w, mark);
        if (code)
            ferry_fail(err, code, "%s version %d: the frame cannot be finished",
                       ferry_msg_name(msg), version);
    }
    if (code)
        ferry_writer_cut(w, mark);
    return code;
}

int ferry_frame_request(struct ferry_writer *w, const struct ferry_api *api, int version,
                        int32_t correlation_id, struct ferry_str client_id, const void *body,
                        struct ferry_error *err)
{
    struct ferry_writer_mark mark =
        ferry_frame_begin_request(w, api, version, correlation_id, client_id);
    return finish(w, mark, ferry_api_request(api), version, body, err);
}

int ferry_frame_response(struct ferry_writer *w, const struct ferry_api *api, int version,
                         int32_t correlation_id, const void *body, struct ferry_error *err)
{
    struct ferry_writer_mark mark = ferry_frame_begin_response(w, api, version, correlation_id);
    return finish(w, mark, ferry_api_response(api), version, body, err);
}

int ferry_frame_parse_request(struct ferry_bytes frame, struct ferry_request_head *head,
                              struct ferry_error *err)
{
    struct ferry_cursor c = ferry_cursor_of(frame), peek = c;
    *head = (struct ferry_request_head){.key = (int16_t)ferry_cursor_u16(&peek)};
    head->version = (int16_t)ferry_cursor_u16(&peek);
    head->correlation_id = (int32_t)ferry_cursor_u32(&peek);
    if (peek.err)
        return ferry_fail(err, FERRY_E_PROTOCOL, "a request of %zu bytes ends within its header",
                          frame.len);
    head->api = ferry_api_find(head->key);
    head->known = head->api && ferry_api_knows(head->api, head->version);
    if (!head->known)
        return 0;
    struct ferry_request_header h;
    struct ferry_arena none = {.limit = 0}; /* a header holds no array */
    int code =
        ferry_msg_read(&ferry_request_header_msg,
                       ferry_api_request_header(head->api, head->version), &c, 0, &none, &h, err);
    head->client_id = h.client_id;
    head->body = (struct ferry_bytes){c.at, ferry_cursor_left(&c)};
    return code;
}

int ferry_frame_parse_correlation(struct ferry_bytes frame, int32_t *correlation_id)
{
    struct ferry_cursor c = ferry_cursor_of(frame);
    *correlation_id = (int32_t)ferry_cursor_u32(&c);
    return c.err;
}

int ferry_frame_parse_response(struct ferry_bytes frame, const struct ferry_api *api, int version,
                               int32_t *correlation_id, struct ferry_bytes *body,
                               struct ferry_error *err)
{
    struct ferry_cursor c = ferry_cursor_of(frame);
    struct ferry_response_header h = {0};
    struct ferry_arena none = {.limit = 0};
    int code = ferry_msg_read(&ferry_response_header_msg, ferry_api_response_header(api, version),
                              &c, 0, &none, &h, err);
    *correlation_id = h.correlation_id;
    *body = (struct ferry_bytes){c.at, ferry_cursor_left(&c)};
    return code;
}
