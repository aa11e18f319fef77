/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H
/*
 * Records as JSON, one object a line, by jansson:
 *   {"topic":"t","partition":0,"offset":7,"timestamp":1700000000000,"timestampType":"CreateTime",
 *    "headers":[["name","value"]],"key":"k","value":{"base64":"AP8="}}
 * A key, value or header value is null, a string (UTF-8), or {"base64": "..."} for anything else. Without jansson or
 * OpenSSL's libcrypto (base64) at build time, json_supported is false and the tools refuse --json.
 */
#include <ferry/consumer.h>
#include <ferry/producer.h>

#include <stdbool.h>
#include <stdio.h>

extern const bool json_supported;

/* Writes a record and a newline. false: it could not be written. */
bool json_write_message(FILE *to, const struct ferry_message *message);

/* A parsed line; owns what `record` points to. */
struct json_record {
    struct ferry_outgoing record;
    void *owned;
};
/* false with `why` filled when the line is no such object. Free it in either case. */
bool json_read_record(const char *line, size_t len, struct json_record *out, char *why,
                      size_t why_size);
void json_free_record(struct json_record *record);

#endif
