/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REFBROKER_LOG_EPOCHS_H
#define REFBROKER_LOG_EPOCHS_H
/* Leader epochs and where each begins: what leader-epoch-checkpoint holds. Pure; owned by one log.
 */
#include "base/text.h"

struct log_epoch {
    int32_t epoch;
    int64_t start;
};

/* Ascending in both. */
struct log_epochs {
    struct log_epoch *items;
    size_t count, cap;
};

/* An epoch seen at a batch: noted if it is higher than the last. *added tells. 0 or FERRY_E_NOMEM.
 */
int log_epochs_note(struct log_epochs *, int32_t epoch, int64_t start, bool *added);
/* The log ends at `end` now: epochs that begin there or later go. True if any did. */
bool log_epochs_cut_end(struct log_epochs *, int64_t end);
/* The log starts at `start` now: the epoch that holds it begins there. True if anything changed. */
bool log_epochs_cut_start(struct log_epochs *, int64_t start);
/* Largest epoch <= `epoch`, and where it ends (`end` for the last one); -1, -1 if unknown. */
void log_epochs_end_offset(const struct log_epochs *, int32_t epoch, int64_t end, int32_t *found,
                           int64_t *end_offset);
int32_t log_epochs_at(const struct log_epochs *, int64_t offset); /* -1: unknown */
int32_t log_epochs_latest(const struct log_epochs *);             /* -1: none */
void log_epochs_save(const struct log_epochs *, struct ferry_text *);
/* Into an empty one. FERRY_E_PROTOCOL leaves it empty. */
int log_epochs_load(struct log_epochs *, struct ferry_bytes);
void log_epochs_free(struct log_epochs *);

#endif
