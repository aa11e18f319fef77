/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_WRITER_H
#define WIRE_WRITER_H
/*
 * Writing bytes into growing memory, with a sticky error: after the first failed allocation writes
 * do nothing, and whoever finishes the message checks `err` once.
 *
 * Big pieces can be written by reference: then the message is a list of parts, alternating between
 * the writer's own bytes and memory of the caller's, which must live until the parts are sent.
 * Referenced memory is never read here. A caller whose records are in a file may therefore pass any
 * pointer of its own that is not NULL, and finds it again in the part.
 */
#include "base/bytes.h"

struct ferry_writer_ref {
    size_t at; /* own bytes in front of it, from the start of `data` */
    struct ferry_bytes bytes;
};

struct ferry_writer {
    uint8_t *data; /* the writer's own bytes */
    size_t len, cap;
    struct ferry_writer_ref *refs;
    size_t ref_count, ref_cap;
    size_t ref_len;         /* bytes in all refs */
    size_t ref_bytes_min;   /* `bytes` fields of at least so many bytes go by reference; 0 = always
                               copied */
    size_t ref_records_min; /* the same for `records` fields */
    int err;                /* 0, FERRY_E_NOMEM, or what ferry_frame_begin_request found */
};

/* A zeroed writer is ready: it copies everything. */
void ferry_writer_free(struct ferry_writer *w);
/* Empties it and keeps its memory and its settings. */
void ferry_writer_reset(struct ferry_writer *w);

/* Bytes of the whole message so far. */
static inline size_t ferry_writer_size(const struct ferry_writer *w)
{
    return w->len + w->ref_len;
}

/* Makes room for n more bytes; 0 or the writer's error. */
int ferry_writer_grow(struct ferry_writer *w, size_t n);

/* Room for n bytes, counted as written; NULL without memory. Valid until the next write. */
static inline uint8_t *ferry_writer_room(struct ferry_writer *w, size_t n)
{
    if (__builtin_expect(n > w->cap - w->len, 0) && ferry_writer_grow(w, n))
        return NULL;
    uint8_t *p = w->data + w->len;
    w->len += n;
    return p;
}

static inline void ferry_writer_u8(struct ferry_writer *w, uint8_t v)
{
    uint8_t *p = ferry_writer_room(w, 1);
    if (p)
        *p = v;
}

static inline void ferry_writer_u16(struct ferry_writer *w, uint16_t v)
{
    uint8_t *p = ferry_writer_room(w, 2);
    if (p)
        ferry_put16(p, v);
}

static inline void ferry_writer_u32(struct ferry_writer *w, uint32_t v)
{
    uint8_t *p = ferry_writer_room(w, 4);
    if (p)
        ferry_put32(p, v);
}

static inline void ferry_writer_u64(struct ferry_writer *w, uint64_t v)
{
    uint8_t *p = ferry_writer_room(w, 8);
    if (p)
        ferry_put64(p, v);
}

void ferry_writer_uvarint(struct ferry_writer *w, uint32_t v);
void ferry_writer_varint(struct ferry_writer *w, int32_t v);
void ferry_writer_varlong(struct ferry_writer *w, int64_t v);
void ferry_writer_bytes(struct ferry_writer *w, const void *data, size_t len);
void ferry_writer_ref(struct ferry_writer *w, struct ferry_bytes bytes);

/* A place in the message, to put the length of what follows in front of it once it is known. */
struct ferry_writer_mark {
    size_t len, size, refs;
    int err;
};

static inline struct ferry_writer_mark ferry_writer_mark(const struct ferry_writer *w)
{
    return (struct ferry_writer_mark){w->len, ferry_writer_size(w), w->ref_count, w->err};
}

/* Inserts at the mark, as an unsigned varint, the length of what was written since. */
void ferry_writer_insert_length(struct ferry_writer *w, struct ferry_writer_mark mark);
/* Takes back what was written since the mark, and an error that came since. */
void ferry_writer_cut(struct ferry_writer *w, struct ferry_writer_mark mark);

/* The message in order: fills at most max parts and returns how many there are. Valid until the
 * next write. */
size_t ferry_writer_parts(const struct ferry_writer *w, struct ferry_bytes *parts, size_t max);

#endif
