/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * The codec table, and output that grows with what really comes out.
 *
 * 1. Output is never sized by what the input claims, beyond a multiple of the input's own length
 * that the codec's format can reach.
 * 2. A failed call leaves the caller's slab as long as it was.
 */
#include "record/compress_impl.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"

enum { ROOM_MIN = 4096 };

struct codec {
    const char *name;
    const char *without; /* the configure switch that left it out */
    const struct ferry_compress_ops *ops;
    bool levels;
    int min, max, standard; /* as Kafka's compression.X.level has them */
};

static const struct codec table[FERRY_CODEC_COUNT] = {
    [FERRY_CODEC_NONE] = {.name = "none"},
    [FERRY_CODEC_GZIP] = {.name = "gzip",
                          .without = "--without-zlib",
#ifdef HAVE_ZLIB
                          .ops = &ferry_compress_gzip,
#endif
                          .levels = true,
                          .min = 1,
                          .max = 9,
                          .standard = 6},
    [FERRY_CODEC_SNAPPY] =
        {
            .name = "snappy",
            .without = "--without-snappy",
#ifdef HAVE_SNAPPY
            .ops = &ferry_compress_snappy,
#endif
        },
    [FERRY_CODEC_LZ4] = {.name = "lz4",
                         .without = "--without-lz4",
#ifdef HAVE_LZ4
                         .ops = &ferry_compress_lz4,
#endif
                         .levels = true,
                         .min = 1,
                         .max = 17,
                         .standard = 1},
    [FERRY_CODEC_ZSTD] = {.name = "zstd",
                          .without = "--without-zstd",
#ifdef HAVE_ZSTD
                          .ops = &ferry_compress_zstd,
#endif
                          .levels = true,
                          .min = -131072,
                          .max = 22,
                          .standard = 3},
};

struct ferry_codecs {
    void *state[FERRY_CODEC_COUNT];
};

struct ferry_codecs *ferry_codecs_new(void)
{
    return ferry_zalloc(sizeof(struct ferry_codecs));
}

void ferry_codecs_free(struct ferry_codecs *c)
{
    for (int i = 0; c && i < FERRY_CODEC_COUNT; i++)
        if (c->state[i])
            table[i].ops->free(c->state[i]);
    ferry_free(c);
}

const char *ferry_codec_name(int codec)
{
    return codec >= 0 && codec < FERRY_CODEC_COUNT ? table[codec].name : "unknown";
}

int ferry_codec_find(struct ferry_str name)
{
    for (int i = 0; i < FERRY_CODEC_COUNT; i++)
        if (ferry_str_eq(name, ferry_str_of(table[i].name)))
            return i;
    return -1;
}

int ferry_codec_available(int codec, struct ferry_error *err)
{
    if (codec < 0 || codec >= FERRY_CODEC_COUNT)
        return ferry_fail(err, FERRY_E_INVALID, "compression codec %d is unknown; there are 0 to 4",
                          codec);
    if (codec == FERRY_CODEC_NONE || table[codec].ops)
        return 0;
    return ferry_fail(err, FERRY_E_UNSUPPORTED,
                      "this build has no %s compression: it was configured %s, or the library was "
                      "missing then",
                      table[codec].name, table[codec].without);
}

bool ferry_codec_levels(int codec, int *min, int *max, int *standard)
{
    if (ferry_codec_available(codec, NULL) < 0 || !table[codec].levels)
        return false;
    *min = table[codec].min;
    *max = table[codec].max;
    *standard = table[codec].standard;
    return true;
}

/* ---- output ---- */

int ferry_compress_beyond(struct ferry_compress_out *o)
{
    return ferry_fail(o->err, FERRY_E_CODEC, "%s: the data expands beyond the limit of %zu bytes",
                      ferry_codec_name(o->codec), o->limit);
}

int ferry_compress_bad(struct ferry_compress_out *o, const char *what)
{
    return ferry_fail(o->err, FERRY_E_CODEC, "%s: %s", ferry_codec_name(o->codec), what);
}

static int nomem(struct ferry_compress_out *o, size_t want)
{
    return ferry_fail(o->err, FERRY_E_NOMEM, "%s: no memory for %zu bytes of output",
                      ferry_codec_name(o->codec), want);
}

int ferry_compress_room(struct ferry_compress_out *o, size_t want, size_t *room)
{
    size_t used = ferry_compress_used(o);
    if (used > o->limit)
        return ferry_compress_beyond(o);
    size_t most = o->limit - used + 1, have = o->slab->cap - o->slab->len;
    if (want > most)
        want = most;
    if (have < want) {
        size_t grown = o->slab->cap + o->slab->cap / 2;
        if (grown < o->slab->len + want)
            grown = o->slab->len + want;
        if (grown > o->slab->len + most)
            grown = o->slab->len + most;
        struct ferry_slab *slab = ferry_slab_grow(o->slab, grown);
        if (!slab)
            return nomem(o, grown);
        o->slab = slab;
        have = grown - slab->len;
    }
    *room = have < most ? have : most;
    return 0;
}

int ferry_compress_append(struct ferry_compress_out *o, const void *data, size_t len)
{
    size_t room;
    int rc = ferry_compress_room(o, len, &room);
    if (rc < 0)
        return rc;
    if (room < len)
        return ferry_compress_beyond(o);
    if (len)
        memcpy(o->slab->data + o->slab->len, data, len);
    ferry_compress_wrote(o, len);
    return 0;
}

bool ferry_compress_next_block(struct ferry_compress_blocks *b, struct ferry_bytes *out)
{
    while (b->count && b->at == b->parts->len) {
        b->parts++;
        b->count--;
        b->at = 0;
    }
    if (!b->count)
        return false;
    size_t left = b->parts->len - b->at;
    if (left >= b->block || b->count == 1) {
        *out = (struct ferry_bytes){b->parts->data + b->at, left < b->block ? left : b->block};
        b->at += out->len;
        return true;
    }
    size_t filled = 0;
    while (b->count && filled < b->block) {
        size_t n = b->parts->len - b->at;
        n = n < b->block - filled ? n : b->block - filled;
        if (n)
            memcpy(b->scratch + filled, b->parts->data + b->at, n);
        filled += n;
        b->at += n;
        if (b->at == b->parts->len) {
            b->parts++;
            b->count--;
            b->at = 0;
        }
    }
    *out = (struct ferry_bytes){b->scratch, filled};
    return true;
}

/* ---- the two calls ---- */

static int begin(struct ferry_compress_out *o, struct ferry_slab *slab, size_t expected)
{
    expected = expected < ROOM_MIN ? ROOM_MIN : expected;
    expected = expected > o->limit ? o->limit : expected;
    o->slab = slab ? slab : ferry_slab_new(expected + 1);
    if (!o->slab)
        return nomem(o, expected);
    o->start = o->slab->len;
    return 0;
}

static int finish(struct ferry_compress_out *o, int rc, struct ferry_slab **out)
{
    if (rc == 0 && ferry_compress_used(o) > o->limit)
        rc = ferry_compress_beyond(o);
    if (rc < 0)
        o->slab->len = o->start;
    *out = o->slab;
    return rc;
}

int ferry_compress(struct ferry_codecs *codecs, int codec, int level,
                   const struct ferry_bytes *parts, size_t count, struct ferry_slab **out,
                   struct ferry_error *err)
{
    struct ferry_compress_out o = {.limit = SIZE_MAX / 4, .codec = codec, .err = err};
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += parts[i].len;
    int rc = ferry_codec_available(codec, err);
    if (rc < 0 || (rc = begin(&o, *out, codec ? total / 2 : total)) < 0)
        return rc;
    if (codec != FERRY_CODEC_NONE) {
        const struct codec *c = &table[codec];
        if (level == FERRY_CODEC_LEVEL_DEFAULT)
            level = c->standard;
        level = level < c->min ? c->min : level > c->max ? c->max : level;
        rc = c->ops->compress(&codecs->state[codec], level, parts, count, &o);
    } else {
        for (size_t i = 0; i < count && rc == 0; i++)
            rc = ferry_compress_append(&o, parts[i].data, parts[i].len);
    }
    return finish(&o, rc, out);
}

int ferry_decompress(struct ferry_codecs *codecs, int codec, struct ferry_bytes in, size_t limit,
                     struct ferry_slab **out, struct ferry_error *err)
{
    struct ferry_compress_out o = {
        .limit = limit < SIZE_MAX / 4 ? limit : SIZE_MAX / 4, .codec = codec, .err = err};
    int rc = ferry_codec_available(codec, err);
    if (rc < 0 || (rc = begin(&o, *out, codec ? in.len * 4 : in.len)) < 0)
        return rc;
    if (codec == FERRY_CODEC_NONE)
        rc = ferry_compress_append(&o, in.data, in.len);
    else
        rc = table[codec].ops->decompress(&codecs->state[codec], in, &o);
    return finish(&o, rc, out);
}
