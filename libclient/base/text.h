/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
/* Growing text: JSON, checkpoints, help pages. A failed allocation is sticky; check once at the end. */
#include "base/bytes.h"

struct ferry_text {
    char *data; /* NUL-terminated once anything was added */
    size_t len, cap;
    bool failed;
};

void ferry_text_add(struct ferry_text *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ferry_text_add_bytes(struct ferry_text *, const void *data, size_t len);
/* As a JSON string with its quotes; invalid UTF-8 bytes become U+FFFD. */
void ferry_text_add_json(struct ferry_text *, struct ferry_str s);
void ferry_text_free(struct ferry_text *);

#endif
