/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "wire/writer.h"

#include "base/mem.h"
#include "ferry/error.h"

void ferry_writer_free(struct ferry_writer *w)
{
    ferry_free(w->data);
    ferry_free(w->refs);
    *w = (struct ferry_writer){.ref_bytes_min = w->ref_bytes_min,
                               .ref_records_min = w->ref_records_min};
}

void ferry_writer_reset(struct ferry_writer *w)
{
    w->len = 0;
    w->ref_count = 0;
    w->ref_len = 0;
    w->err = 0;
}

int ferry_writer_grow(struct ferry_writer *w, size_t n)
{
    if (!w->err && (n > SIZE_MAX - w->len || FERRY_GROW(w->data, w->cap, w->len + n)))
        w->err = FERRY_E_NOMEM;
    return w->err;
}

static size_t put_uvarint(uint8_t out[10], uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        out[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    out[n++] = (uint8_t)v;
    return n;
}

void ferry_writer_uvarint(struct ferry_writer *w, uint32_t v)
{
    uint8_t buf[10];
    if (v < 0x80)
        ferry_writer_u8(w, (uint8_t)v);
    else
        ferry_writer_bytes(w, buf, put_uvarint(buf, v));
}

void ferry_writer_varint(struct ferry_writer *w, int32_t v)
{
    ferry_writer_uvarint(w, ((uint32_t)v << 1) ^ (uint32_t)(v >> 31));
}

void ferry_writer_varlong(struct ferry_writer *w, int64_t v)
{
    uint8_t buf[10];
    ferry_writer_bytes(w, buf, put_uvarint(buf, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63)));
}

void ferry_writer_bytes(struct ferry_writer *w, const void *data, size_t len)
{
    uint8_t *p = len ? ferry_writer_room(w, len) : NULL;
    if (p)
        memcpy(p, data, len);
}

void ferry_writer_ref(struct ferry_writer *w, struct ferry_bytes bytes)
{
    if (w->err || bytes.len == 0)
        return;
    if (FERRY_GROW(w->refs, w->ref_cap, w->ref_count + 1)) {
        w->err = FERRY_E_NOMEM;
        return;
    }
    w->refs[w->ref_count++] = (struct ferry_writer_ref){w->len, bytes};
    w->ref_len += bytes.len;
}

void ferry_writer_insert_length(struct ferry_writer *w, struct ferry_writer_mark mark)
{
    if (w->err)
        return;
    uint8_t buf[10];
    size_t n = put_uvarint(buf, ferry_writer_size(w) - mark.size), moved = w->len - mark.len;
    if (!ferry_writer_room(w, n))
        return;
    memmove(w->data + mark.len + n, w->data + mark.len, moved);
    memcpy(w->data + mark.len, buf, n);
    for (size_t i = mark.refs; i < w->ref_count; i++)
        w->refs[i].at += n;
}

void ferry_writer_cut(struct ferry_writer *w, struct ferry_writer_mark mark)
{
    w->len = mark.len;
    w->ref_len = mark.size - mark.len;
    w->ref_count = mark.refs;
    w->err = mark.err;
}

size_t ferry_writer_parts(const struct ferry_writer *w, struct ferry_bytes *parts, size_t max)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i <= w->ref_count; i++) {
        size_t upto = i < w->ref_count ? w->refs[i].at : w->len;
        if (upto > at) {
            if (count < max)
                parts[count] = (struct ferry_bytes){w->data + at, upto - at};
            count++;
            at = upto;
        }
        if (i < w->ref_count) {
            if (count < max)
                parts[count] = w->refs[i].bytes;
            count++;
        }
    }
    return count;
}
