/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_RECORD_TEXT_H
#define TESTS_RECORD_TEXT_H
/* Record batches as lines of text, worded as tests/interop/RecordTool.java words them, so that both
 * can be compared. */
#include "record/batch.h"
#include "record/compress.h"

#include <stdio.h>

/*
 * Prints every batch and record of the set, checksums verified, compressed ones expanded up to
 * limit bytes each. `out` may be NULL: then everything is read all the same. Returns the number of
 * records, or the first error.
 */
int record_text(FILE *out, struct ferry_codecs *codecs, struct ferry_bytes set, size_t limit,
                struct ferry_error *err);

#endif
