/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FUZZ_BATCH_H
#define TESTS_FUZZ_BATCH_H
/* What must hold for any bytes taken as record batches, or as what a codec made. */
#include "record/batch.h"
#include "record/compress.h"

enum { FUZZ_BATCH_LIMIT = 256 * 1024 }; /* most bytes that anything may expand to */

/* NULL when all holds, else what does not. *records counts what was read. With `trusting`, wrong checksums are no
 * obstacle. */
const char *fuzz_batch_set(struct ferry_codecs *codecs, struct ferry_bytes in, bool trusting,
                           unsigned long *records);
const char *fuzz_batch_expand(struct ferry_codecs *codecs, int codec, struct ferry_bytes in,
                              unsigned long *expanded);

#endif
