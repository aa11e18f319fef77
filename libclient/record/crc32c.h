/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_CRC32C_H
#define RECORD_CRC32C_H
/*
 * CRC-32C (Castagnoli), which record batches carry, and CRC-32 (zlib's), which version 0 and 1
 * messages carry. Incremental: crc = ferry_crc32c(0, a, n); crc = ferry_crc32c(crc, b, m) is the
 * CRC of both in a row.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By the processor's instruction where it has one, told at run time. */
uint32_t ferry_crc32c(uint32_t crc, const void *data, size_t len);

/* The CRC of a and b in a row, from the CRCs of each and the length of b: time grows with the
 * logarithm of len_b. */
uint32_t ferry_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);
/* What a difference d (old CRC xor new CRC) of a prefix becomes after len more bytes that are the
 * same. */
uint32_t ferry_crc32c_shift(uint32_t d, uint64_t len);

uint32_t ferry_crc32(uint32_t crc, const void *data, size_t len);

/* The two ways, for tests and benchmarks. The second may only be called where
 * ferry_crc32c_has_hw(). */
uint32_t ferry_crc32c_portable(uint32_t crc, const void *data, size_t len);
uint32_t ferry_crc32c_hw(uint32_t crc, const void *data, size_t len);
bool ferry_crc32c_has_hw(void);

#endif
