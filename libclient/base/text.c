/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/text.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

static bool reserve(struct ferry_text *t, size_t more)
{
    if (!t->failed && FERRY_GROW(t->data, t->cap, t->len + more + 1))
        t->failed = true;
    return !t->failed;
}

void ferry_text_add(struct ferry_text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        t->failed = true;
    else if (reserve(t, (size_t)n)) {
        vsnprintf(t->data + t->len, (size_t)n + 1, format, again);
        t->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void ferry_text_add_bytes(struct ferry_text *t, const void *data, size_t len)
{
    if (!reserve(t, len))
        return;
    if (len)
        memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = 0;
}

/* The length of the valid UTF-8 sequence at p, 0 if there is none. */
static size_t utf8_len(const uint8_t *p, size_t n)
{
    size_t want = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
    if (!want || want > n)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((want == 2 && p[0] < 0xc2) || (want == 3 && p[0] == 0xe0 && p[1] < 0xa0) ||
        (want == 3 && p[0] == 0xed && p[1] > 0x9f) || (want == 4 && p[0] == 0xf0 && p[1] < 0x90) ||
        (want == 4 && (p[0] > 0xf4 || (p[0] == 0xf4 && p[1] > 0x8f))))
        return 0;
    return want;
}

void ferry_text_add_json(struct ferry_text *t, struct ferry_str s)
{
    const uint8_t *p = (const uint8_t *)s.data, *end = s.len > 0 ? p + s.len : p;
    ferry_text_add_bytes(t, "\"", 1);
    while (p < end) {
        size_t n = utf8_len(p, (size_t)(end - p));
        if (n == 0) {
            ferry_text_add(t, "\\ufffd");
            n = 1;
        } else if (*p == '"' || *p == '\\') {
            ferry_text_add(t, "\\%c", *p);
        } else if (*p < 0x20) {
            ferry_text_add(t, "\\u%04x", *p);
        } else {
            ferry_text_add_bytes(t, p, n);
        }
        p += n;
    }
    ferry_text_add_bytes(t, "\"", 1);
}

void ferry_text_free(struct ferry_text *t)
{
    ferry_free(t->data);
    *t = (struct ferry_text){0};
}
