/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * zstd. A frame that states a believable size is expanded in one go, straight into the output; any
 * other is streamed, so that memory follows what comes out.
 */
#include "record/compress_impl.h"

#include "base/err.h"
#include "base/mem.h"

#include <zstd.h>

enum {
    STEP = 16 * 1024,
    BELIEVED_RATIO = 32, /* a stated size up to this times the input is taken at its word */
    CONTEXT_KEPT = 4 * 1024 * 1024 /* a decoder that a huge window has blown up is not kept */
};

struct state {
    ZSTD_CCtx *c;
    ZSTD_DCtx *d;
};

static int nomem(struct ferry_compress_out *o)
{
    return ferry_fail(o->err, FERRY_E_NOMEM, "zstd: no memory for the codec");
}

static int failed(size_t code, struct ferry_compress_out *o)
{
    return ferry_compress_bad(o, ZSTD_getErrorName(code));
}

static struct state *get_state(void **state)
{
    if (!*state)
        *state = ferry_zalloc(sizeof(struct state));
    return *state;
}

static int feed(ZSTD_CCtx *c, ZSTD_inBuffer *in, ZSTD_EndDirective mode,
                struct ferry_compress_out *o)
{
    for (;;) {
        size_t room;
        int rc = ferry_compress_room(o, STEP, &room);
        if (rc < 0)
            return rc;
        ZSTD_outBuffer out = {o->slab->data + o->slab->len, room, 0};
        size_t left = ZSTD_compressStream2(c, &out, in, mode);
        ferry_compress_wrote(o, out.pos);
        if (ZSTD_isError(left))
            return failed(left, o);
        if (mode == ZSTD_e_end ? left == 0 : in->pos == in->size)
            return 0;
    }
}

static int pack(void **state, int level, const struct ferry_bytes *parts, size_t count,
                struct ferry_compress_out *o)
{
    struct state *s = get_state(state);
    if (!s || (!s->c && !(s->c = ZSTD_createCCtx())))
        return nomem(o);
    unsigned long long total = 0;
    for (size_t i = 0; i < count; i++)
        total += parts[i].len;
    ZSTD_CCtx_reset(s->c, ZSTD_reset_session_only);
    size_t code = ZSTD_CCtx_setParameter(s->c, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(code))
        code = ZSTD_CCtx_setPledgedSrcSize(s->c, total);
    if (ZSTD_isError(code))
        return failed(code, o);
    int rc = 0;
    for (size_t i = 0; i + 1 < count && rc == 0; i++) {
        ZSTD_inBuffer in = {parts[i].data, parts[i].len, 0};
        rc = feed(s->c, &in, ZSTD_e_continue, o);
    }
    if (rc < 0)
        return rc;
    ZSTD_inBuffer last = {count ? parts[count - 1].data : NULL, count ? parts[count - 1].len : 0,
                          0};
    return feed(s->c, &last, ZSTD_e_end, o);
}

/* The whole input is one frame of a stated size: 1 done, 0 not so. */
static int in_one_go(ZSTD_DCtx *d, struct ferry_bytes in, struct ferry_compress_out *o)
{
    unsigned long long size = ZSTD_getFrameContentSize(in.data, in.len);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ||
        size / BELIEVED_RATIO > in.len || ZSTD_findFrameCompressedSize(in.data, in.len) != in.len)
        return 0;
    if (size > o->limit)
        return ferry_compress_beyond(o);
    size_t room;
    int rc = ferry_compress_room(o, (size_t)size, &room);
    if (rc < 0)
        return rc;
    size_t n = ZSTD_decompressDCtx(d, o->slab->data + o->slab->len, room, in.data, in.len);
    if (ZSTD_isError(n))
        return failed(n, o);
    ferry_compress_wrote(o, n);
    return 1;
}

static int stream(ZSTD_DCtx *d, struct ferry_bytes bytes, struct ferry_compress_out *o)
{
    ZSTD_inBuffer in = {bytes.data, bytes.len, 0};
    size_t hint = 1;
    for (;;) {
        size_t room, before = in.pos;
        int rc = ferry_compress_room(o, STEP, &room);
        if (rc < 0)
            return rc;
        ZSTD_outBuffer out = {o->slab->data + o->slab->len, room, 0};
        hint = ZSTD_decompressStream(d, &out, &in);
        ferry_compress_wrote(o, out.pos);
        if (ZSTD_isError(hint))
            return failed(hint, o);
        if (in.pos == in.size && hint == 0)
            return 0;
        if (in.pos == in.size && in.pos == before && out.pos < out.size)
            return ferry_compress_bad(o, "the data ends too soon");
    }
}

static int unpack(void **state, struct ferry_bytes in, struct ferry_compress_out *o)
{
    struct state *s = get_state(state);
    if (!s || (!s->d && !(s->d = ZSTD_createDCtx())))
        return nomem(o);
    ZSTD_DCtx_reset(s->d, ZSTD_reset_session_only);
    int rc = in_one_go(s->d, in, o);
    if (rc == 0)
        rc = stream(s->d, in, o);
    if (ZSTD_sizeof_DCtx(s->d) > CONTEXT_KEPT) {
        ZSTD_freeDCtx(s->d);
        s->d = NULL;
    }
    return rc < 0 ? rc : 0;
}

static void free_state(void *state)
{
    struct state *s = state;
    ZSTD_freeCCtx(s->c);
    ZSTD_freeDCtx(s->d);
    ferry_free(s);
}

const struct ferry_compress_ops ferry_compress_zstd = {pack, unpack, free_state};
