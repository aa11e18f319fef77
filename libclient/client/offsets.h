/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_OFFSETS_H
#define CLIENT_OFFSETS_H
/*
 * Questions about offsets, for a list of partitions at once: what the log has (ListOffsets, one request for each leader),
 * what the group has committed (OffsetFetch), and committing. Each is a job that retries what may be retried until
 * its deadline, then tells its owner once.
 */
#include "client/client.h"
#include "client/consumer_list.h"
#include "client/group.h"

struct ferry_offsets_job;

struct ferry_offsets_ask {
    struct ferry_partition_list
        *list;                 /* borrowed until done; answers go into it, an error to each entry */
    ferry_nsec deadline;       /* what is not answered then gets FERRY_E_TIMED_OUT */
    int8_t isolation;          /* list only: 1 = the last stable offset is the end */
    struct ferry_str group_id; /* fetch and commit; borrowed until done */
    struct ferry_group
        *group; /* commit: whose member it is (identity as of sending); NULL: nobody's */
    /* Called from a step, never from inside the call that made the job. status: 0, or the first entry's error, or
       what failed as a whole (then text says why). The job is gone afterwards. */
    void (*on_done)(void *cookie, int32_t status, const char *text);
    void *cookie;
};

/* Entries' offset holds a time stamp or a special one (-1 end, -2 start, -3 largest time stamp); replaced by the offset (-1:
   there is none), with timestamp and leader_epoch. NULL without memory. */
struct ferry_offsets_job *ferry_offsets_list(struct ferry_client *,
                                             const struct ferry_offsets_ask *);
/* Entries get the committed offset, leader epoch and metadata; FERRY_OFFSET_NONE where there is none. */
struct ferry_offsets_job *ferry_offsets_fetch(struct ferry_client *,
                                              const struct ferry_offsets_ask *);
struct ferry_offsets_job *ferry_offsets_commit(struct ferry_client *,
                                               const struct ferry_offsets_ask *);
/* on_done will not be called. Inside a step only; not from on_done. */
void ferry_offsets_cancel(struct ferry_offsets_job *);

#endif
