/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/lib/record_text.h"

static void put_hex(FILE *out, const void *data, size_t len)
{
    const uint8_t *p = data;
    if (!p) {
        fputc('-', out);
        return;
    }
    fputc('\'', out);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%02x", p[i]);
    fputc('\'', out);
}

static void put_batch(FILE *out, const struct ferry_batch *b)
{
    fprintf(out, "batch magic=%d last=%lld codec=%s", b->magic, (long long)b->last_offset,
            ferry_codec_name(ferry_batch_codec(b)));
    if (b->magic == 2)
        fprintf(out,
                " base=%lld count=%d max=%lld append_time=%d txn=%d control=%d "
                "producer=%lld/%d/%d epoch=%d",
                (long long)b->base_offset, b->count, (long long)b->max_timestamp,
                !!(b->attributes & FERRY_BATCH_LOG_APPEND_TIME), ferry_batch_is_transactional(b),
                ferry_batch_is_control(b), (long long)b->producer_id, b->producer_epoch,
                b->base_sequence, b->leader_epoch);
    fputc('\n', out);
}

static int put_control(FILE *out, const struct ferry_batch_record *r, struct ferry_error *err)
{
    int32_t epoch;
    int type = ferry_batch_control_type(r, err), rc = 0;
    if (type < 0)
        return type;
    if (out)
        fprintf(out, " type=%d", type);
    if (type <= FERRY_CONTROL_COMMIT) {
        rc = ferry_batch_marker_epoch(r, &epoch, err);
        if (rc == 0 && out)
            fprintf(out, " coordinator=%d", epoch);
    }
    return rc;
}

static int put_record(FILE *out, const struct ferry_batch *b, const struct ferry_batch_record *r,
                      struct ferry_error *err)
{
    struct ferry_batch_headers headers;
    struct ferry_batch_header h;
    int rc;
    if (out) {
        fprintf(out, "%lld %lld ", (long long)r->offset, (long long)r->timestamp);
        put_hex(out, r->key.data, r->key.len);
        fputc(' ', out);
        put_hex(out, r->value.data, r->value.len);
    }
    ferry_batch_headers_init(&headers, r);
    while ((rc = ferry_batch_headers_next(&headers, &h, err)) > 0) {
        if (!out)
            continue;
        fputc(' ', out);
        put_hex(out, h.key.data, h.key.len);
        fputc('=', out);
        put_hex(out, h.value.data, h.value.len);
    }
    if (rc == 0 && ferry_batch_is_control(b))
        rc = put_control(out, r, err);
    if (out)
        fputc('\n', out);
    return rc;
}

static int put_records(FILE *out, const struct ferry_batch *b, struct ferry_bytes bytes,
                       struct ferry_error *err)
{
    struct ferry_batch_iter it;
    struct ferry_batch_record r;
    int rc = ferry_batch_iter_init(&it, b, bytes, 0, INT64_MAX, err), count = 0;
    while (rc >= 0 && (rc = ferry_batch_iter_next(&it, &r, err)) > 0) {
        rc = put_record(out, b, &r, err);
        count++;
    }
    return rc < 0 ? rc : count;
}

int record_text(FILE *out, struct ferry_codecs *codecs, struct ferry_bytes bytes, size_t limit,
                struct ferry_error *err)
{
    struct ferry_batch_set set;
    struct ferry_batch b;
    struct ferry_slab *slab = NULL;
    int rc, total = 0;
    ferry_batch_set_init(&set, bytes);
    while ((rc = ferry_batch_set_next(&set, &b, err)) > 0) {
        struct ferry_bytes records = b.records;
        if (out)
            put_batch(out, &b);
        if ((rc = ferry_batch_check_crc(&b, err)) < 0)
            break;
        if (ferry_batch_codec(&b) && b.count != 0) {
            if (slab)
                slab->len = 0;
            rc = ferry_decompress(codecs, ferry_batch_codec(&b), b.records, limit, &slab, err);
            if (rc < 0)
                break;
            records = (struct ferry_bytes){slab->data, slab->len};
        }
        if ((rc = put_records(out, &b, records, err)) < 0)
            break;
        total += rc;
    }
    ferry_slab_unref(slab);
    return rc < 0 ? rc : total;
}
