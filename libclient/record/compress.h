/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_COMPRESS_H
#define RECORD_COMPRESS_H
/*
 * Kafka's four codecs. Each is a configure switch; one that was left out gives FERRY_E_UNSUPPORTED
 * with a text that names the switch.
 *
 * A struct ferry_codecs owns the libraries' contexts and scratch, made at first use and kept, so
 * that the steady path allocates nothing but output. One thread at a time may use one; make one per
 * worker.
 *
 * Output goes to the end of a slab that the caller owns alone (one reference): *out may be NULL
 * (one is made), is grown as needed and may move; *out stays the caller's after an error, with len
 * as it was before.
 */
#include "base/bytes.h"
#include "base/slab.h"
#include "ferry/error.h"

enum ferry_codec {
    FERRY_CODEC_NONE = 0,
    FERRY_CODEC_GZIP = 1,
    FERRY_CODEC_SNAPPY = 2,
    FERRY_CODEC_LZ4 = 3,
    FERRY_CODEC_ZSTD = 4,
    FERRY_CODEC_COUNT = 5
};

enum { FERRY_CODEC_LEVEL_DEFAULT = INT32_MIN };

struct ferry_codecs;

/* NULL without memory. Small until a codec is used. */
struct ferry_codecs *ferry_codecs_new(void);
void ferry_codecs_free(struct ferry_codecs *);

/* Kafka's name ("none", "gzip" ..), or "unknown". */
const char *ferry_codec_name(int codec);
/* The codec of that name, or -1. */
int ferry_codec_find(struct ferry_str name);
/* 0, or FERRY_E_UNSUPPORTED naming the codec and what to do; FERRY_E_INVALID for a number that no
 * codec has. */
int ferry_codec_available(int codec, struct ferry_error *err);
/* The range of levels; false where the codec has none (snappy, none) or is not built. */
bool ferry_codec_levels(int codec, int *min, int *max, int *standard);

/*
 * Compresses the parts in a row to the end of *out. `level` outside the codec's range is clamped;
 * FERRY_CODEC_LEVEL_DEFAULT is the library's own choice. Codec 0 copies.
 */
int ferry_compress(struct ferry_codecs *, int codec, int level, const struct ferry_bytes *parts,
                   size_t count, struct ferry_slab **out, struct ferry_error *err);

/*
 * Expands `in` to the end of *out. More than `limit` bytes is FERRY_E_CODEC with the limit in the
 * text, found while expanding: memory grows with what really comes out, whatever sizes the input
 * claims. Reads what Kafka's clients write and have written: gzip with several members, snappy in
 * xerial blocks and bare, every kind of lz4 frame, those with the header checksum of Kafka 0.8 too,
 * zstd with several frames. Codec 0 copies.
 */
int ferry_decompress(struct ferry_codecs *, int codec, struct ferry_bytes in, size_t limit,
                     struct ferry_slab **out, struct ferry_error *err);

#endif
