/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "accum/sealed.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/slab.h"
#include "record/compress.h"
#include "record/crc32c.h"
#include "record/varint.h"

/* -- Walking ---------------------------------------------------------------------------------- */

void ferry_sealed_iter_init(struct ferry_sealed_iter *it, const struct ferry_accum_batch *b)
{
    it->batch = b;
    it->chunk = b->first;
    it->at = b->first->data + (b->bare ? 0 : FERRY_BATCH_HEADER);
    it->index = 0;
    it->left = b->first->count;
}

/* Moves to the chunk of the next record. false at the end. */
static bool iter_ready(struct ferry_sealed_iter *it)
{
    while (it->left == 0) {
        if (!it->chunk || !it->chunk->next)
            return false;
        it->chunk = it->chunk->next;
        it->at = it->chunk->data;
        it->left = it->chunk->count;
    }
    return true;
}

static inline const uint8_t *side_of(const struct ferry_chunk *k, uint32_t index, uint32_t size)
{
    return k->data + k->cap - (size_t)(index - k->first + 1) * size;
}

static void get_side(const struct ferry_accum_batch *b, const uint8_t *at,
                     struct ferry_sealed_record *out)
{
    if (b->side & FERRY_SIDE_COOKIE) {
        memcpy(&out->cookie, at, 8);
        at += 8;
    }
    if (b->side & FERRY_SIDE_TIME) {
        memcpy(&out->sent_at, at, 8);
        at += 8;
    }
    if (b->side & FERRY_SIDE_EXPIRY) {
        memcpy(&out->expires_at, at, 8);
        at += 8;
    }
    if (b->side & FERRY_SIDE_RECEIPT)
        memcpy(&out->receipt, at, 8);
}

/* Our own encoding: a varint of at most ten bytes is there. */
static inline const uint8_t *get_varint(const uint8_t *p, int64_t *out)
{
    uint64_t v = *p++;
    if (__builtin_expect(v >= 0x80, 0)) {
        v &= 0x7f;
        for (unsigned shift = 7;; shift += 7) {
            uint64_t byte = *p++;
            v |= (byte & 0x7f) << shift;
            if (byte < 0x80)
                break;
        }
    }
    *out = ferry_varint_unzigzag64(v);
    return p;
}

static inline const uint8_t *get_bytes(const uint8_t *p, struct ferry_bytes *out)
{
    int64_t n;
    p = get_varint(p, &n);
    out->data = n < 0 ? NULL : p;
    out->len = n < 0 ? 0 : (size_t)n;
    return p + out->len;
}

/* The walk by cookies does not follow the records: find the one that is due. */
static void iter_find(struct ferry_sealed_iter *it)
{
    const struct ferry_chunk *k = it->chunk;
    int64_t length;
    it->at = k->data + (k == it->batch->first ? FERRY_BATCH_HEADER : 0);
    for (uint32_t i = k->first; i < it->index; i++) {
        const uint8_t *p = get_varint(it->at, &length);
        it->at = p + length;
    }
}

bool ferry_sealed_iter_next(struct ferry_sealed_iter *it, struct ferry_sealed_record *out)
{
    const struct ferry_accum_batch *b = it->batch;
    if (!iter_ready(it))
        return false;
    out->index = it->index;
    out->cookie = out->receipt = 0;
    out->sent_at = -1;
    out->expires_at = INT64_MAX;
    if (b->side)
        get_side(b, side_of(it->chunk, it->index, ferry_side_size(b->side)), out);
    if (b->bare) {
        out->key = out->value = out->headers = (struct ferry_bytes){NULL, 0};
        out->header_count = 0;
        out->timestamp = b->max_timestamp;
    } else {
        int64_t length, delta;
        if (!it->at)
            iter_find(it);
        const uint8_t *p = get_varint(it->at, &length), *end = p + length;
        p = get_varint(p + 1, &delta);
        out->timestamp = b->base_timestamp + delta;
        p = get_varint(p, &delta); /* of the offset: the index, which is known */
        p = get_bytes(p, &out->key);
        p = get_bytes(p, &out->value);
        p = get_varint(p, &delta);
        out->header_count = (int32_t)delta;
        out->headers = (struct ferry_bytes){p, (size_t)(end - p)};
        it->at = end;
    }
    it->index++;
    it->left--;
    return true;
}

const uint8_t *ferry_sealed_header(const uint8_t *at, struct ferry_bytes *name,
                                   struct ferry_bytes *value)
{
    at = get_bytes(at, name);
    return get_bytes(at, value);
}

uint32_t ferry_sealed_iter_cookies(struct ferry_sealed_iter *it, uint64_t *out, uint32_t max)
{
    uint32_t n = 0, size = ferry_side_size(it->batch->side);
    if (!(it->batch->side & FERRY_SIDE_COOKIE))
        return 0;
    while (n < max && iter_ready(it)) {
        const uint8_t *at = side_of(it->chunk, it->index, size);
        uint32_t many = it->left < max - n ? it->left : max - n;
        for (uint32_t i = 0; i < many; i++, at -= size)
            memcpy(&out[n + i], at, 8);
        n += many;
        it->index += many;
        it->left -= many;
        if (it->left)
            it->at = NULL;
    }
    return n;
}

/* -- Sending ---------------------------------------------------------------------------------- */

size_t ferry_sealed_wire_size(const struct ferry_accum_batch *b)
{
    return b->packed ? b->packed->len : b->size;
}

static size_t chunk_count(const struct ferry_accum_batch *b)
{
    size_t n = 0;
    for (const struct ferry_chunk *k = b->first; k; k = k->next)
        n++;
    return n;
}

/* The encoded records, behind the header: a piece for each chunk. */
static size_t record_parts(const struct ferry_accum_batch *b, struct ferry_bytes *parts)
{
    size_t n = 0;
    for (const struct ferry_chunk *k = b->first; k; k = k->next) {
        size_t skip = k == b->first ? FERRY_BATCH_HEADER : 0;
        parts[n++] = (struct ferry_bytes){k->data + skip, k->len - skip};
    }
    return n;
}

enum { FEW_PARTS = 64 };

/* Of what follows the header: taken once, whatever is stamped how often. */
static uint32_t records_crc(struct ferry_accum_batch *b)
{
    uint32_t crc = b->records_crc;
    size_t summed = b->summed;
    if (b->stamped)
        return crc;
    if (b->packed)
        crc = ferry_crc32c(0, b->packed->data + FERRY_BATCH_HEADER,
                           b->packed->len - FERRY_BATCH_HEADER);
    else
        for (const struct ferry_chunk *k = b->first; k; k = k->next) {
            size_t from = k == b->first ? FERRY_BATCH_HEADER : 0, len = k->len - from;
            size_t done = summed < len ? summed : len; /* when the chunk was full */
            crc = ferry_crc32c(crc, k->data + from + done, len - done);
            summed -= done;
        }
    b->records_crc = crc;
    b->stamped = true;
    return crc;
}

void ferry_sealed_stamp(struct ferry_accum_batch *b, const struct ferry_sealed_stamp *s)
{
    enum { COVERED = FERRY_BATCH_HEADER - FERRY_BATCH_CRC_FROM };
    uint8_t *header = b->packed ? b->packed->data : b->first->data;
    size_t size = ferry_sealed_wire_size(b);
    FERRY_CHECK(b->sealed && b->writers == 0 && b->count > 0);
    struct ferry_build_header h = {
        .base_timestamp = b->base_timestamp,
        .max_timestamp = b->max_timestamp,
        .producer_id = s->producer_id,
        .producer_epoch = s->producer_epoch,
        .base_sequence = s->base_sequence,
        .leader_epoch = -1,
        .last_offset_delta = (int32_t)b->count - 1,
        .count = (int32_t)b->count,
        .attributes = (uint16_t)((b->packed ? b->codec : 0) |
                                 (s->transactional ? FERRY_BATCH_TRANSACTIONAL : 0)),
    };
    ferry_build_header(header, &h, size);
    uint32_t crc = ferry_crc32c(0, header + FERRY_BATCH_CRC_FROM, COVERED);
    crc = ferry_crc32c_combine(crc, records_crc(b), size - FERRY_BATCH_HEADER);
    ferry_put32(header + 17, crc);
}

int ferry_sealed_pack(struct ferry_accum_batch *b, struct ferry_codecs *codecs, int codec,
                      int level, struct ferry_error *err)
{
    struct ferry_bytes few[FEW_PARTS], *parts = few;
    size_t n = chunk_count(b);
    FERRY_CHECK(b->sealed && !b->stamped && !b->packed && b->writers == 0);
    if (n > FEW_PARTS && !(parts = ferry_alloc(n * sizeof *parts)))
        return FERRY_E_NOMEM;
    record_parts(b, parts);
    struct ferry_slab *out = ferry_slab_new(FERRY_BATCH_HEADER + b->size / 2);
    int rc = FERRY_E_NOMEM;
    if (out) {
        out->len = FERRY_BATCH_HEADER;
        rc = ferry_compress(codecs, codec, level, parts, n, &out, err);
    }
    if (parts != few)
        ferry_free(parts);
    if (rc || out->len >= b->size) {
        ferry_slab_unref(out);
        return rc;
    }
    if (out->cap - out->len > out->cap / 4) { /* it waits in memory that is counted */
        struct ferry_slab *tight = ferry_slab_grow(out, out->len);
        out = tight ? tight : out;
    }
    b->packed = out;
    b->codec = (uint8_t)codec;
    b->counted = (int64_t)(out->cap + sizeof *out);
    ferry_chunks_count(b->chunks, b->counted);
    return 0;
}

size_t ferry_sealed_part_count(const struct ferry_accum_batch *b)
{
    return b->packed ? 1 : chunk_count(b);
}

void ferry_sealed_parts(const struct ferry_accum_batch *b,
                        void (*add)(void *cookie, const void *data, size_t len), void *cookie)
{
    if (b->packed) {
        add(cookie, b->packed->data, b->packed->len);
        return;
    }
    for (const struct ferry_chunk *k = b->first; k; k = k->next)
        add(cookie, k->data, k->len);
}

/* -- Cutting ---------------------------------------------------------------------------------- */

enum { FEW_FIELDS = 16 };

/* Decodes headers into fields that borrow from the record. */
static void read_fields(const struct ferry_sealed_record *r, struct ferry_build_field *fields)
{
    const uint8_t *p = r->headers.data;
    for (int32_t i = 0; i < r->header_count; i++) {
        struct ferry_bytes key;
        p = ferry_sealed_header(p, &key, &fields[i].value);
        fields[i].key = (struct ferry_str){(const char *)key.data, key.len};
    }
}

int ferry_sealed_move_one(const struct ferry_accum_batch *b, const struct ferry_sealed_record *r,
                          struct ferry_accum *to, unsigned *edges)
{
    struct ferry_build_field few[FEW_FIELDS], *fields = few;
    *edges = 0;
    if (r->header_count > FEW_FIELDS) {
        fields = ferry_alloc((size_t)r->header_count * sizeof *fields);
        if (!fields)
            return FERRY_E_NOMEM;
    }
    read_fields(r, fields);
    struct ferry_accum_record record = {
        .record = {.key = r->key,
                   .value = r->value,
                   .fields = fields,
                   .field_count = r->header_count},
        .timestamp = r->timestamp,
        .cookie = r->cookie,
        .sent_at = r->sent_at,
        .expires_at = r->expires_at,
        .receipt = r->receipt,
    };
    struct ferry_accum_place place;
    int rc = ferry_accum_append(to, &record, &place);
    if (rc == FERRY_E_AGAIN) {
        rc = ferry_accum_make_room(to, &record, b->opened_at, true, edges);
        if (!rc)
            rc = ferry_accum_append(to, &record, &place);
    }
    if (fields != few)
        ferry_free(fields);
    if (!rc && place.value_at) {
        memcpy(place.value_at, r->value.data, r->value.len);
        ferry_accum_written(to, place.batch);
    }
    return rc;
}

int ferry_sealed_move(const struct ferry_accum_batch *b, uint32_t first, uint32_t count,
                      struct ferry_accum *to)
{
    struct ferry_sealed_iter it;
    struct ferry_sealed_record r;
    unsigned edges;
    FERRY_CHECK(!b->bare);
    ferry_sealed_iter_init(&it, b);
    while (ferry_sealed_iter_next(&it, &r) && r.index < first + count)
        if (r.index >= first) {
            if (!r.receipt && b->id)
                r.receipt = ferry_receipt_pack(b->id, r.index);
            int rc = ferry_sealed_move_one(b, &r, to, &edges);
            if (rc)
                return rc;
        }
    return 0;
}

/* -- Ending ----------------------------------------------------------------------------------- */

void ferry_sealed_drop_records(struct ferry_accum_batch *b)
{
    struct ferry_chunk *side = NULL;
    uint32_t size = ferry_side_size(b->side), index = 0;
    if (!b->packed || b->bare)
        return;
    /* Without memory they stay: dropping them is thrift, not duty. */
    if (ferry_chunks_get(b->chunks, (size_t)b->count * size, 0, true, &side))
        return;
    side->count = b->count;
    for (const struct ferry_chunk *k = b->first; k; k = k->next)
        for (uint32_t i = 0; i < k->count && size; i++, index++)
            memcpy((uint8_t *)side_of(side, index, size), side_of(k, index, size), size);
    ferry_chunks_put(b->chunks, b->first);
    b->first = b->last = side;
    b->bare = true;
}

void ferry_sealed_free(struct ferry_accum_batch *b)
{
    FERRY_CHECK(!ferry_link_linked(&b->link) && b->writers == 0);
    ferry_chunks_put(b->chunks, b->first);
    if (b->packed) {
        ferry_slab_unref(b->packed);
        ferry_chunks_count(b->chunks, -b->counted);
    }
    ferry_free(b);
}
