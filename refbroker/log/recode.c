/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * compression.type other than "producer": a batch that came under another codec is written under the topic's. Its records
 * stay byte for byte what they were, so a new header and new compression are all there is to do.
 *
 * It runs within the step: a topic asks for it in so many words, and a batch is bounded by max.message.bytes. What such
 * batches take until they are written is bounded for the directory as a whole.
 */

#include "record/crc32c.h"
#include "refbroker/log/internal.h"

#include <stdio.h>

enum { RECODED_MAX = 64 << 20 };

bool log_recode_wanted(const struct log *l, const struct ferry_batch *b)
{
    int codec = l->config.codec;
    return codec != LOG_CODEC_PRODUCER && codec != ferry_batch_codec(b);
}

static void give_back(struct ferry_slab *s, void *cookie)
{
    struct log_dir_private *p = cookie;
    p->recoded_bytes -= s->cap;
    ferry_free(s);
}

static void write_header(struct ferry_slab *s, const struct ferry_batch *b, int codec)
{
    uint8_t *d = s->data;
    memcpy(d, b->data, FERRY_BATCH_HEADER);
    ferry_put32(d + 8, (uint32_t)(s->len - FERRY_BATCH_PREFIX));
    ferry_put16(d + FERRY_BATCH_CRC_FROM,
                (uint16_t)((b->attributes & ~FERRY_BATCH_CODEC_MASK) | codec));
    ferry_put32(d + FERRY_BATCH_CRC_FROM - 4,
                ferry_crc32c(0, d + FERRY_BATCH_CRC_FROM, s->len - FERRY_BATCH_CRC_FROM));
}

static int compress(struct log *l, const struct ferry_batch *b, struct ferry_slab **out,
                    struct ferry_error *err)
{
    struct ferry_slab *expanded = NULL;
    struct ferry_bytes records;
    int rc = log_plain_records(l, b, &records, &expanded, err);
    struct ferry_slab *s =
        rc == FERRY_OK ? ferry_slab_new(FERRY_BATCH_HEADER + records.len / 2 + 64) : NULL;
    if (rc == FERRY_OK && !s)
        rc = FERRY_E_NOMEM;
    if (rc == FERRY_OK) {
        s->len = FERRY_BATCH_HEADER;
        rc = ferry_compress(log_dir_codecs(l->dir), l->config.codec, l->config.codec_level,
                            &records, 1, &s, err);
    }
    ferry_slab_unref(expanded);
    if (rc == FERRY_OK)
        *out = s;
    else
        ferry_slab_unref(s);
    return rc;
}

static int refuse(struct log_append *a, int error, const char *why)
{
    snprintf(a->text, sizeof a->text, "%.*s", (int)sizeof a->text - 1, why);
    return error;
}

int log_recode(struct log *l, struct log_append *a, struct ferry_batch *b)
{
    struct log_dir_private *p = l->dir->private;
    struct ferry_error err = {0};
    struct ferry_slab *s = NULL;
    if (p->recoded_bytes > RECODED_MAX)
        return refuse(a, LOG_STORAGE_ERROR, "too much is being compressed anew; try again");
    int rc = log_dir_codecs(l->dir) ? compress(l, b, &s, &err) : FERRY_E_NOMEM;
    if (rc == FERRY_E_NOMEM)
        return refuse(a, LOG_UNKNOWN_SERVER_ERROR, "out of memory");
    if (rc != FERRY_OK)
        return refuse(
            a, rc == FERRY_E_UNSUPPORTED ? LOG_UNSUPPORTED_COMPRESSION_TYPE : LOG_INVALID_RECORD,
            err.text);
    write_header(s, b, l->config.codec);
    if (s->len > (uint64_t)l->config.max_message_bytes ||
        s->len > (uint64_t)l->config.segment_bytes) {
        ferry_slab_unref(s);
        return refuse(a, LOG_MESSAGE_TOO_LARGE,
                      "under the topic's compression.type the batch is larger than "
                      "max.message.bytes");
    }
    p->recoded_bytes += s->cap;
    s->on_free = give_back;
    s->cookie = p;
    ferry_slab_unref(a->private.slab);
    a->private.slab = s;
    a->data = s->data;
    a->len = s->len;
    rc = ferry_batch_parse(a->data, a->len, b, NULL);
    FERRY_CHECK(rc == FERRY_OK && b->size == a->len);
    return FERRY_OK;
}
