/* SPDX-License-Identifier: BSD-2-Clause */
/* One record batch, built at the start and served over and over: only its base offset is patched, which the CRC leaves out. */
#include "sink.h"

#include <stdio.h>
#include <time.h>
#include <zlib.h>
#ifdef HAVE_LZ4
#include <lz4frame.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

uint8_t *served;
size_t served_len;

static uint64_t rng = 88172645463325252ull;
static uint64_t xs(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}
/* JSON-like text: compresses about as real event logs do. */
static void fill_text(char *d, int n)
{
    static const char *w[] = {"\"user_id\":",
                              "\"event\":\"page_view\",",
                              "\"ts\":17",
                              "\"path\":\"/index/item/",
                              "\"status\":200,",
                              "\"ms\":",
                              "\"agent\":\"Mozilla/5.0 (X11)\","};
    int i = 0;
    while (i < n) {
        char t[64];
        int l = snprintf(t, sizeof t, "%s%u,", w[xs() % 7], (unsigned)(xs() % 1000000));
        if (l > n - i)
            l = n - i;
        memcpy(d + i, t, l);
        i += l;
    }
}

static void add_record(buf_t *recs, int i, char *value)
{
    buf_t r = {0};
    char key[64];
    w_i8(&r, 0); /* attributes */
    w_sv(&r, 0); /* timestamp delta */
    w_sv(&r, i); /* offset delta */
    if (o_key > 0) {
        int kl = o_key > 63 ? 63 : o_key;
        snprintf(key, sizeof key, "%063llu", (unsigned long long)(xs() % 100000));
        w_sv(&r, kl);
        w_raw(&r, key + 63 - kl, kl);
    } else
        w_sv(&r, -1);
    fill_text(value, o_size);
    w_sv(&r, o_size);
    w_raw(&r, value, o_size);
    w_sv(&r, 0); /* headers */
    w_sv(recs, (int64_t)r.len);
    w_raw(recs, r.p, r.len);
    free(r.p);
}

static void gzip(const buf_t *recs, buf_t *body)
{
    z_stream z = {0};
    if (deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0) != Z_OK)
        die("zlib");
    b_room(body, deflateBound(&z, recs->len) + 64);
    z.next_in = recs->p;
    z.avail_in = recs->len;
    z.next_out = body->p;
    z.avail_out = body->cap;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        die("zlib");
    body->len = z.total_out;
    deflateEnd(&z);
}

#ifdef HAVE_LZ4
static void lz4(const buf_t *recs, buf_t *body)
{
    LZ4F_preferences_t pr;
    memset(&pr, 0, sizeof pr);
    pr.frameInfo.blockMode = LZ4F_blockIndependent;
    b_room(body, LZ4F_compressFrameBound(recs->len, &pr));
    size_t n = LZ4F_compressFrame(body->p, body->cap, recs->p, recs->len, &pr);
    if (LZ4F_isError(n))
        die("lz4");
    body->len = n;
}
#endif

#ifdef HAVE_ZSTD
static void zstd(const buf_t *recs, buf_t *body)
{
    b_room(body, ZSTD_compressBound(recs->len));
    size_t n = ZSTD_compress(body->p, body->cap, recs->p, recs->len, 3);
    if (ZSTD_isError(n))
        die("zstd");
    body->len = n;
}
#endif

/* Returns the codec's number in the batch's attributes. */
static int compress_records(const buf_t *recs, buf_t *body)
{
    if (!strcmp(o_codec, "none")) {
        w_raw(body, recs->p, recs->len);
        return 0;
    }
    if (!strcmp(o_codec, "gzip")) {
        gzip(recs, body);
        return 1;
    }
#ifdef HAVE_LZ4
    if (!strcmp(o_codec, "lz4")) {
        lz4(recs, body);
        return 3;
    }
#endif
#ifdef HAVE_ZSTD
    if (!strcmp(o_codec, "zstd")) {
        zstd(recs, body);
        return 4;
    }
#endif
    die("codec %s not built in", o_codec);
}

void build_served(void)
{
    buf_t recs = {0}, body = {0}, out = {0};
    char *v = malloc((size_t)o_size + 1);
    if (!v)
        die("out of memory");
    for (int i = 0; i < o_batch; i++)
        add_record(&recs, i, v);
    int attr = compress_records(&recs, &body);

    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    int64_t ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    w_i64(&out, 0);                        /* base offset, patched */
    w_i32(&out, (int64_t)(49 + body.len)); /* length after this field */
    w_i32(&out, 0);                        /* leader epoch */
    w_i8(&out, 2);                         /* magic */
    w_i32(&out, 0);                        /* crc, below */
    w_i16(&out, attr);
    w_i32(&out, o_batch - 1);
    w_i64(&out, ms);
    w_i64(&out, ms);
    w_i64(&out, -1); /* producer id */
    w_i16(&out, -1); /* producer epoch */
    w_i32(&out, -1); /* base sequence */
    w_i32(&out, o_batch);
    w_raw(&out, body.p, body.len);
    uint32_t c = htonl(crc32c(out.p + 21, out.len - 21));
    memcpy(out.p + 17, &c, 4);
    served = out.p;
    served_len = out.len;
    if (!o_quiet)
        fprintf(stderr,
                "sink: serving batches of %d records, %zu bytes "
                "(%zu before compression)\n",
                o_batch, served_len, recs.len + 61);
    free(recs.p);
    free(body.p);
    free(v);
}
