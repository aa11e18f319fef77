/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes, as a set of record batches, are errors or records: views inside the input, offsets that rise within the
 * batch's own, the same whichever decoder read them, and the same again when they are built anew. Any bytes, given to
 * a codec, are an error or expand to no more than the limit, and memory is no more than that either.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined over this file and libcommon. Byte 0 of the input chooses.
 */
#include "config.h"

#include "tests/fuzz/batch.h"

#include "base/mem.h"
#include "record/build.h"

#include <stdio.h>
#include <stdlib.h>

static bool inside(struct ferry_bytes view, struct ferry_bytes of)
{
    return !view.data || (view.data >= of.data && view.len <= of.len &&
                          (size_t)(view.data - of.data) <= of.len - view.len);
}

static bool same(struct ferry_bytes a, struct ferry_bytes b)
{
    return a.data == b.data && a.len == b.len;
}

static bool equal(struct ferry_bytes a, struct ferry_bytes b)
{
    return !a.data == !b.data && a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

/* Builds the record anew and reads it back. Headers are left to the iterator: their count and bytes may be odd. */
static const char *rebuild(const struct ferry_batch_record *r)
{
    struct ferry_build_record in = {.key = r->key, .value = r->value};
    uint8_t *made = ferry_alloc(FERRY_BATCH_HEADER + ferry_build_record_max(&in)), *end;
    const char *bad = "no memory to build a record anew";
    if (!made)
        return bad;
    end = ferry_build_record(made, &in, r->timestamp, 0);
    struct ferry_batch b = {.magic = 2, .count = 1};
    struct ferry_batch_iter it;
    struct ferry_batch_record back;
    ferry_batch_iter_init(&it, &b, (struct ferry_bytes){made, (size_t)(end - made)}, 0, 1, NULL);
    bad = NULL;
    if (ferry_batch_iter_next(&it, &back, NULL) != 1 ||
        ferry_batch_iter_next(&it, &back, NULL) != 0)
        bad = "a record built anew cannot be read";
    else if (!equal(back.key, r->key) || !equal(back.value, r->value) ||
             back.timestamp != r->timestamp)
        bad = "a record built anew is another";
    ferry_free(made);
    return bad;
}

static const char *check_headers(const struct ferry_batch_record *r, struct ferry_bytes bytes)
{
    struct ferry_batch_headers headers;
    struct ferry_batch_header h;
    int32_t count = 0;
    int rc;
    ferry_batch_headers_init(&headers, r);
    while ((rc = ferry_batch_headers_next(&headers, &h, NULL)) > 0) {
        if (!h.key.data ||
            !inside((struct ferry_bytes){(const uint8_t *)h.key.data, h.key.len}, bytes) ||
            !inside(h.value, bytes))
            return "a header lies outside";
        count++;
    }
    return rc == 0 && count != r->header_count ? "headers are missing" : NULL;
}

static const char *check_records(const struct ferry_batch *b, struct ferry_bytes bytes,
                                 unsigned long *records)
{
    struct ferry_batch_iter it, careful;
    struct ferry_batch_record r, r2;
    int rc = ferry_batch_iter_init(&it, b, bytes, 0, INT64_MAX, NULL);
    int64_t last = -1;
    careful = it;
    careful.fast = careful.start;
    while (rc >= 0 && (rc = ferry_batch_iter_next(&it, &r, NULL)) > 0) {
        if (ferry_batch_iter_next(&careful, &r2, NULL) != 1 || r.offset != r2.offset ||
            r.timestamp != r2.timestamp || !same(r.key, r2.key) || !same(r.value, r2.value) ||
            r.header_count != r2.header_count || !same(r.headers, r2.headers))
            return "the two decoders differ";
        if (!inside(r.key, bytes) || !inside(r.value, bytes) || !inside(r.headers, bytes))
            return "a view lies outside";
        if (r.offset <= last || r.offset > b->last_offset ||
            (b->magic == 2 && r.offset < b->base_offset))
            return "an offset is out of order";
        last = r.offset;
        const char *bad = check_headers(&r, bytes);
        bad = bad ? bad : rebuild(&r);
        if (bad)
            return bad;
        ++*records;
    }
    return NULL;
}

static const char *check_batch(struct ferry_codecs *codecs, const struct ferry_batch *b,
                               unsigned long *records)
{
    if (!ferry_batch_codec(b))
        return check_records(b, b->records, records);
    struct ferry_slab *slab = NULL;
    const char *bad = NULL;
    if (ferry_decompress(codecs, ferry_batch_codec(b), b->records, FUZZ_BATCH_LIMIT, &slab, NULL) ==
        0)
        bad = check_records(b, (struct ferry_bytes){slab->data, slab->len}, records);
    ferry_slab_unref(slab);
    return bad;
}

const char *fuzz_batch_set(struct ferry_codecs *codecs, struct ferry_bytes in, bool trusting,
                           unsigned long *records)
{
    struct ferry_batch_set set;
    struct ferry_batch b;
    int rc;
    ferry_batch_set_init(&set, in);
    while ((rc = ferry_batch_set_next(&set, &b, NULL)) > 0) {
        struct ferry_batch_walked walked;
        if (!inside((struct ferry_bytes){b.data, b.size}, in) || !inside(b.records, in))
            return "a batch lies outside";
        if (b.base_offset < 0 || b.last_offset < b.base_offset)
            return "a batch ends before it begins";
        if (!trusting && ferry_batch_check_crc(&b, NULL) < 0)
            break;
        const char *bad = check_batch(codecs, &b, records);
        if (bad)
            return bad;
        if (b.magic == 2 && !ferry_batch_codec(&b) &&
            ferry_batch_walk(&b, b.records, 0, &walked, NULL) == 0 && walked.count != b.count)
            return "a walk counts otherwise than the header";
    }
    if (rc == 0 && set.truncated != (size_t)(set.end - set.at) && set.at != set.end)
        return "bytes are neither a batch nor cut off";
    ferry_batch_check_produced(in, &b, NULL);
    return NULL;
}

const char *fuzz_batch_expand(struct ferry_codecs *codecs, int codec, struct ferry_bytes in,
                              unsigned long *expanded)
{
    struct ferry_slab *out = NULL;
    struct ferry_error err = {0};
    int rc = ferry_decompress(codecs, codec, in, FUZZ_BATCH_LIMIT, &out, &err);
    const char *bad = NULL;
    if (rc == FERRY_E_UNSUPPORTED)
        return NULL;
    if (out && out->len > FUZZ_BATCH_LIMIT)
        bad = "a codec went beyond the limit";
    else if (out && out->cap > FUZZ_BATCH_LIMIT + 4096)
        bad = "a codec took memory beyond the limit";
    else if (rc < 0 && (err.code != rc || !err.text[0] || (out && out->len)))
        bad = "a failure says nothing or leaves something";
    else if (rc == 0)
        ++*expanded;
    ferry_slab_unref(out);
    return bad;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct ferry_codecs *codecs;
    unsigned long count = 0;
    if (!codecs && !(codecs = ferry_codecs_new()))
        abort();
    if (len < 1)
        return 0;
    struct ferry_bytes in = {data + 1, len - 1};
    const char *bad = data[0] % 6 < 2 ? fuzz_batch_set(codecs, in, data[0] % 6, &count)
                                      : fuzz_batch_expand(codecs, data[0] % 6 - 1, in, &count);
    if (bad) {
        fprintf(stderr, "batch: %s\n", bad);
        abort();
    }
    return 0;
}
