/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FEED_H
#define TESTS_FEED_H
/*
 * A consumer on a puppet's string: the puppet's cluster also serves logs (Fetch with sessions, ListOffsets), offsets and a
 * classic group with this one member, as the test scripts it. What the consumer is given is collected in `got`.
 */
#include "client/consumer_app.h"
#include "tests/lib/puppet.h"

enum { FEED_PARTS = 8, FEED_GOT = 4096, FEED_ABORTED = 4 };

struct feed_log {
    uint8_t *bytes; /* batches */
    size_t len;
    int64_t start, end;
    int64_t committed; /* -1: none */
    int16_t error;     /* answered to a fetch, `errors` times (-1: always) */
    int errors;
    int64_t stable; /* last stable offset; -1: end */
    struct {
        int64_t producer_id, first;
    } aborted[FEED_ABORTED];
    int aborted_count;
    int32_t replica;  /* preferred, told once; -1: none */
    int64_t diverged; /* end offset told once with a diverging epoch; -1: none */
};

struct feed_session {
    int32_t id, epoch;
    bool in[PUPPET_TOPICS][FEED_PARTS];
    int64_t offset[PUPPET_TOPICS][FEED_PARTS];
};

/* A record or event that the consumer was given. */
struct feed_got {
    int64_t offset;
    int32_t partition, error;
    char topic[16], value[64];
};

struct feed {
    struct puppet p;
    struct ferry_consumer_app *app;
    struct feed_log logs[PUPPET_TOPICS][FEED_PARTS];
    struct feed_session sessions[PUPPET_NODES];
    bool
        park_always; /* fetches are held until feed_release; else as long as they ask for (feed_pass) */
    bool no_sessions;    /* declines them */
    int16_t fetch_error; /* of the whole, once */
    struct {             /* parked fetches, by node */
        struct puppet_conn *conn;
        struct ferry_request_head head;
        ferry_nsec until;
    } parked[PUPPET_NODES];
    size_t fetch_bytes; /* most that is answered for a partition; 0: one batch */
    /* What the last fetch asked. */
    int fetches, last_asked, last_forgotten, last_epoch, last_wait, last_version;
    int last_min, last_max, last_isolation;
    char last_rack[16];
    int first_bytes,
        last_bytes;   /* asked of a partition by the first fetch, and by the last that named one */
    bool silent_once; /* the next answer leaves partition 1 out */
    int list_offsets, offset_fetches;

    /* The group. */
    const char *assignment; /* "topic:0,1 other:2": what SyncGroup gives */
    bool lead;              /* this member leads, and its own assignment is used */
    int32_t generation;
    int16_t join_error, sync_error, beat_error, commit_error, fetch_offsets_error; /* told once */
    bool need_member_id, hold_join;
    int joins, syncs, beats, leaves, commits;
    char protocol[32], member[64];   /* chosen, as last told */
    struct ferry_bytes subscription; /* metadata of the first protocol of the last join; owned */
    struct {
        struct puppet_conn *conn;
        struct ferry_request_head head;
    } held_join;
    int64_t commit_seen[64];
    int commit_count;

    struct feed_got got[FEED_GOT];
    int got_count;
    struct ferry_rebalance *question; /* the open one; the test answers, unless auto_answer */
    bool auto_answer;
    int questions, assigned, revoked, lost;
    char question_list[256];          /* "topic:0 topic:1" */
    struct ferry_consumer_call *done; /* the last answered call */
    int max;                          /* records a poll asks for */
};

/* Topic "t" with `partitions`, empty. settings as for puppet_init. */
void feed_init(struct feed *, const char *settings, int32_t partitions);
void feed_end(struct feed *);
/* Appends one batch of `count` records whose values are "v<offset>". codec: enum ferry_codec; none where this build lacks it. */
void feed_append(struct feed *, int topic, int partition, int count, int codec);
/* The same as part of a producer's transaction, and its marker. */
void feed_append_txn(struct feed *, int topic, int partition, int count, int64_t producer_id);
void feed_marker(struct feed *, int topic, int partition, int64_t producer_id, bool commit);
/* Answers parked fetches, whatever there is. */
void feed_release(struct feed *);
/* Takes deliveries to the application's half and polls until nothing comes. Returns how many were got. */
int feed_poll(struct feed *);
/* Settles and takes deliveries over, without polling. */
void feed_pump(struct feed *);
/* Lets time pass, pumping. */
void feed_pass(struct feed *, ferry_nsec);
/* "t:0,1@5" (offset after @, else NONE) as a list. */
struct ferry_partition_list *feed_list(const char *spec);
int feed_assign(struct feed *, const char *spec);
int feed_seek(struct feed *, const char *spec);
int feed_subscribe(struct feed *, const char *topics);
/* Posts a call and settles; the answer is f->done, if it is there. */
void feed_call(struct feed *, enum ferry_consumer_call_kind, const char *spec);

#endif
