/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_PLANT_H
#define BASE_PLANT_H
/*
 * Bugs that tests plant to see the simulator's checkers bite.
 *
 * FERRY_PLANTED(NAME) is 0 at compile time, so nothing of a plant is in a library, a broker or a tool. One test program
 * (tests/sim/planted) compiles the files that hold plants a second time, with FERRY_PLANTED_BUGS defined, and chooses one
 * plant at run time. What each does and which checker must find it: tests/sim/planted.c and docs/simulation.md.
 */
#ifdef FERRY_PLANTED_BUGS

enum ferry_plant {
    FERRY_PLANT_NONE,
    FERRY_PLANT_ACK_UNFLUSHED,
    FERRY_PLANT_WATERMARK_UNFLUSHED,
    FERRY_PLANT_CRC_UNCHECKED,
    FERRY_PLANT_HOLE_KEPT,
    FERRY_PLANT_DEDUP_FORGOTTEN,
    FERRY_PLANT_DUPLICATE_ACCEPTED,
    FERRY_PLANT_DUPLICATE_MISPLACED,
    FERRY_PLANT_EPOCH_KEPT,
    FERRY_PLANT_SYNC_RETRIED,
    FERRY_PLANT_SHORT_WRITE_KEPT,
    FERRY_PLANT_COMMIT_LOST,
    FERRY_PLANT_COMMIT_STALE,
    FERRY_PLANT_OWNERS_TWO,
    FERRY_PLANT_SESSION_ENDLESS,
    FERRY_PLANT_RETRY_REORDERED,
    FERRY_PLANT_REPORT_LOST,
    FERRY_PLANT_FAILURE_ACKED,
    FERRY_PLANT_MAYBE_DENIED,
    FERRY_PLANT_POSITION_SKIPS,
    FERRY_PLANT_POSITION_JUMPS,
    FERRY_PLANT_HEARTBEAT_MISSING,
    FERRY_PLANT_DEADLINE_PAST,
    FERRY_PLANT_ADDRESS_DECIDES
};
/* The one that is planted. */
extern enum ferry_plant ferry_planted;
#define FERRY_PLANTED(name) (ferry_planted == FERRY_PLANT_##name)

#else
#define FERRY_PLANTED(name) 0
#endif

#endif
