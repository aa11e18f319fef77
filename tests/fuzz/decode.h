/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FUZZ_DECODE_H
#define TESTS_FUZZ_DECODE_H
/* What must hold for any bytes given to the decoder of one message. */
#include "base/bytes.h"
#include "wire/schema.h"

/* NULL when all holds, else what does not. *decoded tells whether the bytes were a message. */
const char *fuzz_decode(const struct ferry_msg *msg, int version, unsigned flags,
                        struct ferry_bytes in, bool *decoded);
/* Largest memory taken by one decoding, per byte of input, so far. */
double fuzz_decode_worst(void);

#endif
