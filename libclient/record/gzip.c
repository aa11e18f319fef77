/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* gzip by zlib. Reads several members in a row, and ignores what follows the last, as Java's reader
 * does. */
#include "record/compress_impl.h"

#include "base/err.h"
#include "base/mem.h"

#include <limits.h>
#include <zlib.h>

enum { WINDOW_GZIP = 15 + 16, WINDOW_ANY = 15 + 32, STEP = 4096 };

struct state {
    z_stream deflate, inflate;
    bool can_deflate, can_inflate;
    int level;
};

static void *take(void *opaque, unsigned items, unsigned size)
{
    (void)opaque;
    return size && items > SIZE_MAX / size ? NULL : ferry_alloc((size_t)items * size);
}

static void give(void *opaque, void *p)
{
    (void)opaque;
    ferry_free(p);
}

static struct state *get_state(void **state)
{
    struct state *s = *state;
    if (!s && (s = *state = ferry_zalloc(sizeof *s))) {
        s->deflate.zalloc = s->inflate.zalloc = take;
        s->deflate.zfree = s->inflate.zfree = give;
    }
    return s;
}

static int nomem(struct ferry_compress_out *o)
{
    return ferry_fail(o->err, FERRY_E_NOMEM, "gzip: no memory for the codec");
}

static int start_deflate(struct state *s, int level, struct ferry_compress_out *o)
{
    if (s->can_deflate && s->level == level && deflateReset(&s->deflate) == Z_OK)
        return 0;
    if (s->can_deflate)
        deflateEnd(&s->deflate);
    s->can_deflate =
        deflateInit2(&s->deflate, level, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    s->level = level;
    return s->can_deflate ? 0 : nomem(o);
}

/* Points the stream's output at free room; *had is how much that is. */
static int give_room(z_stream *z, size_t want, size_t *had, struct ferry_compress_out *o)
{
    int rc = ferry_compress_room(o, want, had);
    if (*had > UINT_MAX)
        *had = UINT_MAX;
    z->next_out = o->slab->data + o->slab->len;
    z->avail_out = (uInt)*had;
    return rc;
}

static int pack(void **state, int level, const struct ferry_bytes *parts, size_t count,
                struct ferry_compress_out *o)
{
    struct state *s = get_state(state);
    if (!s)
        return nomem(o);
    int rc = start_deflate(s, level, o), status = Z_OK;
    z_stream *z = &s->deflate;
    for (size_t i = 0, at = 0; rc == 0 && status != Z_STREAM_END;) {
        if (i < count && z->avail_in == 0) {
            size_t n = parts[i].len - at;
            n = n > UINT_MAX ? UINT_MAX : n;
            z->next_in = (Bytef *)(uintptr_t)(parts[i].data + at);
            z->avail_in = (uInt)n;
            at += n;
            if (at == parts[i].len) {
                i++;
                at = 0;
            }
        }
        size_t had;
        rc = give_room(z, STEP, &had, o);
        if (rc < 0)
            break;
        status = deflate(z, i == count ? Z_FINISH : Z_NO_FLUSH);
        ferry_compress_wrote(o, had - z->avail_out);
        if (status == Z_STREAM_ERROR)
            rc = ferry_compress_bad(o, "the compressor failed");
    }
    return rc;
}

static int start_inflate(struct state *s, struct ferry_compress_out *o)
{
    if (s->can_inflate)
        return inflateReset(&s->inflate) == Z_OK ? 0 : ferry_compress_bad(o, "reset failed");
    s->can_inflate = inflateInit2(&s->inflate, WINDOW_ANY) == Z_OK;
    return s->can_inflate ? 0 : nomem(o);
}

/* One member; *in moves on behind it. */
static int member(z_stream *z, struct ferry_bytes *in, struct ferry_compress_out *o)
{
    int status = Z_OK;
    z->avail_in = 0;
    while (status != Z_STREAM_END) {
        size_t n = in->len > UINT_MAX ? UINT_MAX : in->len, had;
        z->next_in = (Bytef *)(uintptr_t)in->data;
        z->avail_in = (uInt)n;
        int rc = give_room(z, STEP, &had, o);
        if (rc < 0)
            return rc;
        status = inflate(z, Z_NO_FLUSH);
        ferry_compress_wrote(o, had - z->avail_out);
        in->data += n - z->avail_in;
        in->len -= n - z->avail_in;
        if (status == Z_MEM_ERROR)
            return nomem(o);
        if (status == Z_NEED_DICT || status == Z_DATA_ERROR || status == Z_STREAM_ERROR)
            return ferry_compress_bad(o, z->msg ? z->msg : "malformed data");
        if (status != Z_STREAM_END && in->len == 0 && z->avail_out > 0)
            return ferry_compress_bad(o, "the data ends too soon");
    }
    return 0;
}

static int unpack(void **state, struct ferry_bytes in, struct ferry_compress_out *o)
{
    struct state *s = get_state(state);
    if (!s)
        return nomem(o);
    int rc;
    do {
        rc = start_inflate(s, o);
        if (rc == 0)
            rc = member(&s->inflate, &in, o);
    } while (rc == 0 && in.len >= 2 && in.data[0] == 0x1f && in.data[1] == 0x8b);
    return rc;
}

static void free_state(void *state)
{
    struct state *s = state;
    if (s->can_deflate)
        deflateEnd(&s->deflate);
    if (s->can_inflate)
        inflateEnd(&s->inflate);
    ferry_free(s);
}

const struct ferry_compress_ops ferry_compress_gzip = {pack, unpack, free_state};
