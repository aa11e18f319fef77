/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_FORMAT_H
#define TOOLS_FORMAT_H
/* How ferry-console-consumer prints a record: the properties of Kafka's default formatter, or JSON. */
#include "tools/opt.h"

#include <ferry/consumer.h>

enum decoding {
    DECODE_BYTES,
    DECODE_SHORT,
    DECODE_INTEGER,
    DECODE_LONG,
    DECODE_UUID,
    DECODE_BOOLEAN,
    DECODE_VOID
};

struct format {
    bool silent, timestamp, partition, offset, delivery, epoch, headers, key, value, json;
    enum decoding key_as, value_as, header_as;
    const char *key_separator, *line_separator, *headers_separator, *null_literal;
};

/* From --formatter, --formatter-config, --property, --formatter-property, --key-deserializer, --value-deserializer and
 * --json; exits 2 where they are wrong. */
void format_init(struct format *, struct opt_program *);
/* Prints a record to standard output. NULL, or what about it a deserializer cannot read: then nothing was printed. */
const char *format_put(const struct format *, const struct ferry_message *);

#endif
