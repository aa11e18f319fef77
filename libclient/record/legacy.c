/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "record/legacy.h"

#include "base/err.h"
#include "record/crc32c.h"

/*
 * Message sets before Kafka 0.11. A message (offset/size; time is missing in version 0):
 *
 *   offset 0/8  size 8/4  crc 12/4  magic 16/1  attributes 17/1  [time 18/8]  key length and bytes
 * value likewise
 *
 * A compressed wrapper is a message whose value is, expanded, a set of plain messages of the same
 * version. In version 1 those carry offsets 0, 1 .. and the wrapper the offset of the last one; in
 * version 0 they carry their own offsets and so, again, the wrapper has the last.
 *
 * 1. A set is walked by (offset, size) pairs, each checked against what is left before anything
 * behind it is read.
 * 2. Offsets that are yielded rise and never pass the wrapper's: others are left out, so that a set
 * out of order cannot move a consumer back.
 */
struct message {
    int64_t offset;
    int64_t timestamp; /* -1 in version 0 */
    struct ferry_bytes key, value;
    uint32_t crc;
    uint8_t magic, attributes;
    const uint8_t *next;
};

/* Reads an int32 length (-1: null) and its bytes; the place after, or NULL. */
static const uint8_t *take_bytes(const uint8_t *p, const uint8_t *end, struct ferry_bytes *out)
{
    if (end - p < 4)
        return NULL;
    int32_t len = (int32_t)ferry_get32(p);
    p += 4;
    *out = (struct ferry_bytes){NULL, 0};
    if (len == -1)
        return p;
    if (len < 0 || len > end - p)
        return NULL;
    *out = (struct ferry_bytes){p, (size_t)len};
    return p + len;
}

static int bad(const struct message *m, const char *what, struct ferry_error *err)
{
    return ferry_fail(err, FERRY_E_PROTOCOL, "message at offset %lld: %s", (long long)m->offset,
                      what);
}

/* The message at p, whole, with nothing left over inside its size. */
static int read_message(const uint8_t *p, const uint8_t *end, struct message *m,
                        struct ferry_error *err)
{
    m->offset = -1;
    if (end - p < FERRY_BATCH_PEEK + 1)
        return bad(m, "a set ends inside a message", err);
    m->offset = (int64_t)ferry_get64(p);
    int32_t size = (int32_t)ferry_get32(p + 8);
    if (size < 0 || size > end - p - FERRY_BATCH_PREFIX)
        return bad(m, "its size reaches beyond the set", err);
    m->next = p + FERRY_BATCH_PREFIX + size;
    m->crc = ferry_get32(p + 12);
    m->magic = p[16];
    m->attributes = p[17];
    m->timestamp = -1;
    const uint8_t *at = p + 18;
    if (m->magic == 1) {
        if (m->next - at < 8)
            return bad(m, "it ends before its timestamp", err);
        m->timestamp = (int64_t)ferry_get64(at);
        at += 8;
    }
    at = m->next < at ? NULL : take_bytes(at, m->next, &m->key);
    at = at ? take_bytes(at, m->next, &m->value) : NULL;
    if (at != m->next)
        return bad(m, "key and value do not fill its size", err);
    return 0;
}

int ferry_legacy_parse(struct ferry_batch *b, struct ferry_error *err)
{
    struct message m;
    int rc = read_message(b->data, b->data + b->size, &m, err);
    if (rc < 0)
        return rc;
    if (m.offset < 0 || m.offset == INT64_MAX)
        return bad(&m, "the offset is out of range", err);
    b->base_offset = b->last_offset = m.offset;
    b->base_timestamp = b->max_timestamp = m.timestamp;
    b->producer_id = -1;
    b->producer_epoch = -1;
    b->base_sequence = b->leader_epoch = -1;
    b->crc = m.crc;
    b->attributes = m.attributes & (FERRY_BATCH_CODEC_MASK | FERRY_BATCH_LOG_APPEND_TIME);
    b->count = 1;
    b->records = (struct ferry_bytes){b->data, b->size};
    if (ferry_batch_codec(b) == 0)
        return 0;
    if (!m.value.data)
        return bad(&m, "a compressed wrapper has no value", err);
    b->count = -1;
    b->records = m.value;
    return 0;
}

uint32_t ferry_legacy_crc(const struct ferry_batch *b)
{
    return ferry_crc32(0, b->data + 16, b->size - 16);
}

/* What to add to relative offsets: the wrapper's offset is that of the last message inside. */
static int find_base(struct ferry_batch_iter *it, const struct ferry_batch *b,
                     struct ferry_error *err)
{
    struct message m = {.offset = 0};
    for (const uint8_t *p = it->at; p < it->end; p = m.next) {
        int rc = read_message(p, it->end, &m, err);
        if (rc < 0)
            return rc;
    }
    if (m.offset < 0 || m.offset > b->last_offset)
        return ferry_fail(err, FERRY_E_PROTOCOL,
                          "wrapper at offset %lld: its last message has the relative offset %lld",
                          (long long)b->last_offset, (long long)m.offset);
    it->base_offset = b->last_offset - m.offset;
    return 0;
}

int ferry_legacy_iter_init(struct ferry_batch_iter *it, const struct ferry_batch *b,
                           struct ferry_error *err)
{
    it->fast = it->start;
    it->base_offset = 0;
    it->base_timestamp = b->max_timestamp;
    it->left = it->at < it->end;
    if (it->upto > b->last_offset + 1)
        it->upto = b->last_offset + 1;
    bool relative = b->magic == 1 && ferry_batch_codec(b) != 0;
    return relative ? find_base(it, b, err) : 0;
}

int ferry_legacy_iter_next(struct ferry_batch_iter *it, struct ferry_batch_record *r,
                           struct ferry_error *err)
{
    while (it->at < it->end) {
        struct message m;
        int rc = read_message(it->at, it->end, &m, err);
        if (rc < 0)
            return rc;
        if (m.magic != it->magic)
            return bad(&m, "its format version differs from its wrapper's", err);
        bool plain_set = it->count == 1;
        if ((m.attributes & FERRY_BATCH_CODEC_MASK) != 0 && !plain_set)
            return bad(&m, "a compressed message inside a compressed message", err);
        it->at = m.next;
        int64_t offset =
            m.offset < 0 ? -1 : (int64_t)((uint64_t)m.offset + (uint64_t)it->base_offset);
        if (offset < it->from)
            continue;
        if (offset >= it->upto)
            break;
        it->from = offset + 1;
        r->offset = offset;
        r->timestamp = it->timestamp_mask ? m.timestamp : it->base_timestamp;
        r->key = m.key;
        r->value = m.value;
        r->headers = (struct ferry_bytes){NULL, 0};
        r->header_count = 0;
        return 1;
    }
    it->left = 0;
    it->at = it->end;
    return 0;
}
