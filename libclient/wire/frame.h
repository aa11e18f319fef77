/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H
/*
 * Frames: int32 length, header, body. The functions that write append one whole frame to a writer
 * (several may follow each other in one writer); those that read take a frame without its length.
 */
#include "wire/apis.h"
#include "wire/codec.h"

enum { FERRY_FRAME_PREFIX = 4 }; /* bytes of the length */

/*
 * The length that a frame's first four bytes claim. -1 when fewer than four bytes are there;
 * FERRY_E_PROTOCOL when it is negative; FERRY_E_TOO_LARGE when it is above max.
 */
int64_t ferry_frame_length(const void *data, size_t len, size_t max);

/* Begins a frame: room for the length and the request header. Pass what it returns to
 * ferry_frame_end. */
struct ferry_writer_mark ferry_frame_begin_request(struct ferry_writer *w,
                                                   const struct ferry_api *api, int version,
                                                   int32_t correlation_id,
                                                   struct ferry_str client_id);
struct ferry_writer_mark ferry_frame_begin_response(struct ferry_writer *w,
                                                    const struct ferry_api *api, int version,
                                                    int32_t correlation_id);
/* Writes the length of the frame begun at mark. 0, FERRY_E_NOMEM, or FERRY_E_TOO_LARGE beyond 2
 * GiB. */
int ferry_frame_end(struct ferry_writer *w, struct ferry_writer_mark mark);

/* A whole frame; errors as of ferry_msg_encode. After an error the writer is as it was before.
 * client_id may be null. */
int ferry_frame_request(struct ferry_writer *w, const struct ferry_api *api, int version,
                        int32_t correlation_id, struct ferry_str client_id, const void *body,
                        struct ferry_error *err);
int ferry_frame_response(struct ferry_writer *w, const struct ferry_api *api, int version,
                         int32_t correlation_id, const void *body, struct ferry_error *err);

/* The head of a request. */
struct ferry_request_head {
    const struct ferry_api *api; /* NULL: a key without messages */
    int16_t key, version;
    int32_t correlation_id;
    struct ferry_str client_id; /* borrowed; may be null */
    struct ferry_bytes body;    /* what follows the header */
    bool known; /* api is set and has this version; else only key, version and correlation_id are */
};

/*
 * Reads a request's header. 0 or FERRY_E_PROTOCOL. For an unknown key or version it reads what
 * every request begins with and leaves the rest: a broker answers ApiVersions of any version, and
 * closes the connection on the others.
 */
int ferry_frame_parse_request(struct ferry_bytes frame, struct ferry_request_head *head,
                              struct ferry_error *err);

/* The correlation id of a response, before its API is known. 0 or FERRY_E_PROTOCOL. */
int ferry_frame_parse_correlation(struct ferry_bytes frame, int32_t *correlation_id);
/* Reads the header of a response; *body is what follows. 0 or FERRY_E_PROTOCOL. */
int ferry_frame_parse_response(struct ferry_bytes frame, const struct ferry_api *api, int version,
                               int32_t *correlation_id, struct ferry_bytes *body,
                               struct ferry_error *err);

#endif
