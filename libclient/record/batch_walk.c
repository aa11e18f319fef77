/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* What a broker looks at in the records themselves: the full walk, and control records. */
#include "record/batch.h"

#include "base/err.h"

static int walk_headers(const struct ferry_batch_record *r, struct ferry_error *err)
{
    struct ferry_batch_headers headers;
    struct ferry_batch_header header;
    int rc;
    ferry_batch_headers_init(&headers, r);
    while ((rc = ferry_batch_headers_next(&headers, &header, err)) > 0)
        continue;
    return rc;
}

static int check_record(const struct ferry_batch *b, const struct ferry_batch_record *r,
                        unsigned flags, int32_t index, struct ferry_error *err)
{
    if ((flags & FERRY_BATCH_WALK_DENSE) && r->offset != b->base_offset + index)
        return ferry_fail(err, FERRY_E_INVALID, "record %d has the offset delta %lld", (int)index,
                          (long long)(r->offset - b->base_offset));
    if ((flags & FERRY_BATCH_WALK_KEYED) && !r->key.data)
        return ferry_fail(err, FERRY_E_INVALID, "record %d has no key, and its topic is compacted",
                          (int)index);
    return r->header_count ? walk_headers(r, err) : 0;
}

int ferry_batch_walk(const struct ferry_batch *b, struct ferry_bytes records, unsigned flags,
                     struct ferry_batch_walked *out, struct ferry_error *err)
{
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    *out = (struct ferry_batch_walked){
        .max_timestamp = -1, .max_timestamp_offset = -1, .min_timestamp = -1, .bad_index = -1};
    int rc = ferry_batch_iter_init(&it, b, records, 0, INT64_MAX, err);
    while (rc >= 0 && (rc = ferry_batch_iter_next(&it, &r, err)) > 0) {
        rc = check_record(b, &r, flags, out->count, err);
        if (rc < 0)
            break;
        if (out->count == 0 || r.timestamp > out->max_timestamp) {
            out->max_timestamp = r.timestamp;
            out->max_timestamp_offset = r.offset;
        }
        if (out->count == 0 || r.timestamp < out->min_timestamp)
            out->min_timestamp = r.timestamp;
        out->count++;
    }
    if (rc < 0 && (b->count < 0 || out->count < b->count))
        out->bad_index = out->count;
    return rc;
}

int ferry_batch_control_type(const struct ferry_batch_record *r, struct ferry_error *err)
{
    if (!r->key.data || r->key.len < 4 || (int16_t)ferry_get16(r->key.data) < 0 ||
        (int16_t)ferry_get16(r->key.data + 2) < 0)
        return ferry_fail(err, FERRY_E_PROTOCOL, "control record at offset %lld: malformed key",
                          (long long)r->offset);
    return ferry_get16(r->key.data + 2);
}

int ferry_batch_marker_epoch(const struct ferry_batch_record *r, int32_t *epoch,
                             struct ferry_error *err)
{
    if (!r->value.data || r->value.len < 6 || (int16_t)ferry_get16(r->value.data) < 0)
        return ferry_fail(err, FERRY_E_PROTOCOL, "marker at offset %lld: malformed value",
                          (long long)r->offset);
    *epoch = (int32_t)ferry_get32(r->value.data + 2);
    return 0;
}
