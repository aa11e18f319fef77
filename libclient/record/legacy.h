/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_LEGACY_H
#define RECORD_LEGACY_H
/* Messages of version 0 and 1, behind the functions of batch.h: nobody else calls these. */
#include "record/batch.h"

/* b->data, size and magic are set and size bytes are there: fills in the rest. */
int ferry_legacy_parse(struct ferry_batch *b, struct ferry_error *err);
uint32_t ferry_legacy_crc(const struct ferry_batch *b);
int ferry_legacy_iter_init(struct ferry_batch_iter *it, const struct ferry_batch *b,
                           struct ferry_error *err);
int ferry_legacy_iter_next(struct ferry_batch_iter *it, struct ferry_batch_record *r,
                           struct ferry_error *err);

#endif
