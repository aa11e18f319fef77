/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FERRY_CONSUMER_H
#define FERRY_CONSUMER_H
/*
 * Consuming: alone (assign) or in a group (subscribe), record by record or by whole fetched
 * buffers.
 *
 *   struct ferry_consumer *c = ferry_consumer_new(config, &err);
 *   ferry_consumer_subscribe(c, topics, 1, &err);
 *   while (running) {
 *       struct ferry_message records[256];
 *       int32_t n = ferry_consumer_poll(c, records, 256, 1000, &err);
 *       for (int32_t i = 0; i < n; i++)
 *           ... records[i] ...
 *   }
 *   ferry_consumer_close(c, 10000, &err);
 *   ferry_consumer_free(c);
 *
 * Records are views into the received bytes: nothing is copied. What a poll returned stays valid
 * until the next poll of the same consumer, or, if a reference of its buffer was taken
 * (ferry_fetched_ref), until that is given back.
 *
 * What counts as processed, and is therefore committed (enable.auto.commit, ferry_consumer_commit without a list):
 * polled records when poll is called again, and when a commit without a list or close is called; a buffer from
 * ferry_consumer_fetch when it is released, and all before it in its partition are. So nothing is committed before the
 * application is done with it. With enable.auto.offset.store=false nothing counts but what ferry_consumer_store says.
 *
 * Every function may be called from any thread; ferry_consumer_poll by one thread at a time. Functions that wait take a
 * time-out in ms (0: not at all, -1: without end) and end by it whatever brokers do. All can fail with FERRY_E_NOMEM, and with
 * FERRY_E_CLOSED once the consumer is closed; those that take an err fill it. Callbacks (rebalances, commits) are called
 * under no lock, in the thread that polls, and may call everything but ferry_consumer_poll, ferry_consumer_fetch,
 * ferry_consumer_close and ferry_consumer_free of the same consumer (FERRY_E_STATE).
 *
 * A member of a group sends heartbeats while its application is busy, from the I/O thread; max.poll.interval.ms alone says
 * how long it may be busy without a poll. Without that thread (ferry.io.thread=false) heartbeats, like all else, are sent while
 * somebody steps the handle or waits in the library: an application that is busy for longer than session.timeout.ms must call
 * ferry_handle_step meanwhile, or it is put out of the group.
 *
 * Sources: the classic group protocol with its assignors as Kafka's own client has them; static members KIP-345,
 * incremental rebalances KIP-429, fetch sessions KIP-227, fetching from the nearest replica KIP-392, truncation KIP-320, leaders
 * told in answers KIP-951.
 */
#include <ferry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ferry_config;
struct ferry_handle;
struct ferry_consumer;
struct ferry_fetched;
struct ferry_rebalance;
struct ferry_partition_list;
struct ferry_queue;
struct ferry_delivery;

/** Offsets that are not one: for ferry_consumer_assign and ferry_consumer_seek. */
enum ferry_offset {
    FERRY_OFFSET_NONE = -1001,     /**< the committed offset, else auto.offset.reset */
    FERRY_OFFSET_EARLIEST = -2,    /**< the first offset of the partition's log */
    FERRY_OFFSET_LATEST = -1,      /**< the end of the log */
    FERRY_OFFSET_TAIL_BASE = -2000 /**< FERRY_OFFSET_TAIL_BASE - n: n before the end */
};

/* -- Lists of partitions --------------------------------------------------------------------------------- */

/** One entry of a list. Text and metadata belong to the list and live until it, or that field, is changed. */
struct ferry_topic_partition {
    const char *topic;
    int32_t partition;
    int32_t error;        /**< 0, or what went wrong with this one */
    int64_t offset;       /**< an offset, enum ferry_offset, or a time stamp
                             (ferry_consumer_offsets_for_times) */
    int64_t timestamp;    /**< of the record found by time; -1 */
    int32_t leader_epoch; /**< of the record before offset; -1 = not known */
    int32_t metadata_len; /**< bytes at metadata; -1 = none */
    const char *metadata; /**< committed with the offset: any bytes; NULL = none */
};

/** An empty list, or NULL without memory. Lists are not thread-safe; they belong to the caller. */
FERRY_API struct ferry_partition_list *ferry_partition_list_new(void);
/** Frees it; NULL is fine. */
FERRY_API void ferry_partition_list_free(struct ferry_partition_list *list);
/** Entries in it. */
FERRY_API int32_t ferry_partition_list_count(const struct ferry_partition_list *list);
/** Adds a partition with an offset (FERRY_OFFSET_NONE if it does not matter). Returns its index; below 0 an error. */
FERRY_API int32_t ferry_partition_list_add(struct ferry_partition_list *list, const char *topic,
                                           int32_t partition, int64_t offset);
/** Fills *out with entry `index`. FERRY_E_INVALID if there is none. */
FERRY_API int32_t ferry_partition_list_get(const struct ferry_partition_list *list, int32_t index,
                                           struct ferry_topic_partition *out);
/** Index of a partition; below 0 if it is not there. */
FERRY_API int32_t ferry_partition_list_find(const struct ferry_partition_list *list,
                                            const char *topic, int32_t partition);
/** Changes an entry's offset and leader epoch (-1: not known). */
FERRY_API int32_t ferry_partition_list_set_offset(struct ferry_partition_list *list, int32_t index,
                                                  int64_t offset, int32_t leader_epoch);
/** Copies metadata into an entry; NULL with len -1 takes it away. */
FERRY_API int32_t ferry_partition_list_set_metadata(struct ferry_partition_list *list,
                                                    int32_t index, const char *metadata,
                                                    int32_t len);
/** Removes an entry; those behind it move up. */
FERRY_API int32_t ferry_partition_list_remove(struct ferry_partition_list *list, int32_t index);

/* -- Life ------------------------------------------------------------------------------------------------ */

/** A consumer with a copy of the configuration (NULL: defaults); group.id is needed only for subscribe and commits.
 *  NULL with err filled on failure. */
FERRY_API struct ferry_consumer *ferry_consumer_new(const struct ferry_config *config,
                                                    struct ferry_error *err);
/** Commits what is processed (with enable.auto.commit), leaves the group, ends. Returns by the deadline, whatever
 *  brokers do; FERRY_E_TIMED_OUT then. Another thread's poll ends with FERRY_E_INTERRUPTED or FERRY_E_CLOSED. Calls the
 *  rebalance callback; a question that is kept, or was before, is waited for like everything else, and is gone,
 *  answered or not, once the consumer is freed. A callback that another thread is in is waited for, however long it
 *  takes. FERRY_E_STATE from inside a callback. */
FERRY_API int32_t ferry_consumer_close(struct ferry_consumer *consumer, int32_t timeout_ms,
                                       struct ferry_error *err);
/** Frees it; without a close before, at once and without a commit. Buffers still referenced stay valid until they are
 *  released. NULL is fine. Not from inside a callback: there it does nothing. */
FERRY_API void ferry_consumer_free(struct ferry_consumer *consumer);
/** The client beneath: queues, statistics, logs, the loop without a thread. It lives as long as the consumer. */
FERRY_API struct ferry_handle *ferry_consumer_handle(struct ferry_consumer *consumer);

/* -- What to consume ------------------------------------------------------------------------------------- */

/** Joins the group (group.id) for these topics, replacing what was subscribed before. Copies the names. Does not wait:
 *  the assignment comes with a poll. FERRY_E_STATE without group.id, FERRY_E_INVALID for a name that cannot be one. */
FERRY_API int32_t ferry_consumer_subscribe(struct ferry_consumer *consumer,
                                           const char *const *topics, int32_t count,
                                           struct ferry_error *err);
/** Leaves the group and drops the assignment. Does not wait. */
FERRY_API int32_t ferry_consumer_unsubscribe(struct ferry_consumer *consumer,
                                             struct ferry_error *err);
/** Adds the subscribed topics to the list (partition -1). */
FERRY_API int32_t ferry_consumer_subscription(struct ferry_consumer *consumer,
                                              struct ferry_partition_list *out);
/** Consumes exactly these partitions, each from its offset; NULL or empty: none. No group is needed: with group.id and
 *  FERRY_OFFSET_NONE they start at the committed offsets, without at auto.offset.reset. */
FERRY_API int32_t ferry_consumer_assign(struct ferry_consumer *consumer,
                                        const struct ferry_partition_list *list,
                                        struct ferry_error *err);
/** Adds partitions to the assignment; FERRY_E_EXISTS if one is assigned already (then none is added). */
FERRY_API int32_t ferry_consumer_assign_more(struct ferry_consumer *consumer,
                                             const struct ferry_partition_list *list,
                                             struct ferry_error *err);
/** Takes partitions off the assignment; FERRY_E_NOT_FOUND if one is not assigned (then none is taken). */
FERRY_API int32_t ferry_consumer_assign_fewer(struct ferry_consumer *consumer,
                                              const struct ferry_partition_list *list,
                                              struct ferry_error *err);
/** Adds the assigned partitions to the list, with their positions. */
FERRY_API int32_t ferry_consumer_assignment(struct ferry_consumer *consumer,
                                            struct ferry_partition_list *out);

/* -- Records --------------------------------------------------------------------------------------------- */

/** One record, or something that happened at a partition: error != 0 (FERRY_E_PARTITION_EOF with ferry.partition.eof;
 *  else what went wrong, value holding its text). 88 bytes. */
struct ferry_message {
    int64_t offset;
    int64_t timestamp;      /**< ms since 1970, -1 if the log has none */
    const uint8_t *key;     /**< NULL = null */
    const uint8_t *value;   /**< NULL = null */
    const uint8_t *headers; /**< encoded; read them with ferry_message_header */
    int32_t key_len;        /**< -1 = null */
    int32_t value_len;      /**< -1 = null */
    int32_t headers_len;    /**< bytes at headers */
    int32_t header_count;
    const char *topic; /**< NULL with partition -1 */
    struct ferry_fetched
        *buffer; /**< what it points into; where error != 0 NULL, or, if a batch cannot be read, the
                                       buffer: nothing more of its partition comes until ferry_fetched_skip or a seek */
    int32_t partition;     /**< -1: of no partition (errors only) */
    int32_t error;         /**< 0, or enum ferry_err, or a broker's code */
    int32_t leader_epoch;  /**< of the batch; -1 */
    int8_t timestamp_type; /**< 0 = create time, 1 = log append time */
    int8_t reserved[3];
};

/** The next records, at most `max`, of one or more partitions; offsets rise within a partition. Waits up to timeout_ms
 *  (0: not at all, -1: without end) for the first. Returns how many; 0 at the time-out; below 0 an error of the call
 *  itself (FERRY_E_INTERRUPTED after ferry_consumer_wakeup). Calls the rebalance callback. */
FERRY_API int32_t ferry_consumer_poll(struct ferry_consumer *consumer, struct ferry_message *out,
                                      int32_t max, int32_t timeout_ms, struct ferry_error *err);
/** Makes the poll or fetch that waits now, or else the next one, return at once. */
FERRY_API void ferry_consumer_wakeup(struct ferry_consumer *consumer);

/** Header `index` of a record: name (not NUL-terminated) and value (NULL = null, value_len -1). Headers are walked from
 *  *at, which starts as 0 and is moved on: pass the same variable for one header after the other. Returns 1; 0 after
 *  the last; FERRY_E_PROTOCOL if they are malformed. */
FERRY_API int32_t ferry_message_header(const struct ferry_message *message, int32_t *at,
                                       const char **name, int32_t *name_len, const uint8_t **value,
                                       int32_t *value_len);

/** The next fetched buffer: records of one partition, to be walked with ferry_fetched_next. NULL at the time-out or on
 *  an error (err->code 0 or which). The caller releases it, in any order, from any thread. Calls the rebalance
 *  callback. */
FERRY_API struct ferry_fetched *ferry_consumer_fetch(struct ferry_consumer *consumer,
                                                     int32_t timeout_ms, struct ferry_error *err);
/** Its topic; lives as long as the buffer. */
FERRY_API const char *ferry_fetched_topic(const struct ferry_fetched *fetched);
/** Its partition. */
FERRY_API int32_t ferry_fetched_partition(const struct ferry_fetched *fetched);
/** The next records, at most `max`. Returns how many; 0 at the end, and from the moment on at which its partition was
 *  revoked or sought; below 0 (FERRY_E_CRC, FERRY_E_CODEC, FERRY_E_PROTOCOL) where a batch cannot be read: err tells
 *  the offset. One thread at a time. Views live until the buffer is released. */
FERRY_API int32_t ferry_fetched_next(struct ferry_fetched *fetched, struct ferry_message *out,
                                     int32_t max, struct ferry_error *err);
/** After an error: goes on behind the batch that cannot be read. Returns the offset it goes on at. */
FERRY_API int64_t ferry_fetched_skip(struct ferry_fetched *fetched);
/** What it did not give yet is given again by a fetch later: the position goes back to there. Then release it. */
FERRY_API void ferry_fetched_return(struct ferry_fetched *fetched);
/** Another reference: the memory stays until each is released. Returns the buffer. */
FERRY_API struct ferry_fetched *ferry_fetched_ref(struct ferry_fetched *fetched);
/** Gives a reference back. The one from ferry_consumer_fetch, given back, says "processed". NULL is fine. */
FERRY_API void ferry_fetched_release(struct ferry_fetched *fetched);

/* -- Positions ------------------------------------------------------------------------------------------- */

/** The list's partitions are consumed from the given offsets (or enum ferry_offset) on; what was fetched before yields
 *  nothing more, from this call on. FERRY_E_NOT_FOUND if one is not assigned: then none is sought. */
FERRY_API int32_t ferry_consumer_seek(struct ferry_consumer *consumer,
                                      const struct ferry_partition_list *list,
                                      struct ferry_error *err);
/** Fills in the offsets of the next records to be returned; FERRY_OFFSET_NONE while that is not known.
 *  FERRY_E_NOT_FOUND, and as error in the list, where a partition is not assigned. */
FERRY_API int32_t ferry_consumer_position(struct ferry_consumer *consumer,
                                          struct ferry_partition_list *list);
/** Stops the delivery of partitions. The assignment and the position stay; what is fetched already is fetched again
 *  after the resume. FERRY_E_NOT_FOUND if one is not assigned (the others are paused). */
FERRY_API int32_t ferry_consumer_pause(struct ferry_consumer *consumer,
                                       const struct ferry_partition_list *list);
/** Takes it up again, at the position. Errors as of pause. */
FERRY_API int32_t ferry_consumer_resume(struct ferry_consumer *consumer,
                                        const struct ferry_partition_list *list);
/** Sets what the next commit without a list commits. Needs enable.auto.offset.store=false. */
FERRY_API int32_t ferry_consumer_store(struct ferry_consumer *consumer,
                                       const struct ferry_partition_list *list,
                                       struct ferry_error *err);
/** Records between the position and the end of the partition as last heard; -1 while either is not known. */
FERRY_API int64_t ferry_consumer_lag(struct ferry_consumer *consumer, const char *topic,
                                     int32_t partition);

/* -- Commits --------------------------------------------------------------------------------------------- */

/** Called in ferry_consumer_poll (or fetch, close) with what became of an asynchronous commit; `list` is borrowed and
 *  holds an error for each partition. */
typedef void (*ferry_commit_callback)(struct ferry_consumer *consumer, int32_t code,
                                      const struct ferry_partition_list *list, void *opaque);

/** Commits the list's offsets, of any partitions, assigned or not, or (NULL) all that is processed or stored, and waits
 *  for the outcome. Errors of single partitions are put into the list, and the first one is returned. FERRY_E_STATE
 *  without group.id. */
FERRY_API int32_t ferry_consumer_commit(struct ferry_consumer *consumer,
                                        struct ferry_partition_list *list, int32_t timeout_ms,
                                        struct ferry_error *err);
/** The same without waiting; the list is copied. callback may be NULL. */
FERRY_API int32_t ferry_consumer_commit_async(struct ferry_consumer *consumer,
                                              const struct ferry_partition_list *list,
                                              ferry_commit_callback callback, void *opaque,
                                              struct ferry_error *err);
/** Fills in the offsets that the group has committed; FERRY_OFFSET_NONE where it has none. */
FERRY_API int32_t ferry_consumer_committed(struct ferry_consumer *consumer,
                                           struct ferry_partition_list *list, int32_t timeout_ms,
                                           struct ferry_error *err);
/** For each partition, offset holds a time (ms): replaced by the offset of the first record at or after it, or the end
 *  of the log (FERRY_OFFSET_LATEST) if there is none. */
FERRY_API int32_t ferry_consumer_offsets_for_times(struct ferry_consumer *consumer,
                                                   struct ferry_partition_list *list,
                                                   int32_t timeout_ms, struct ferry_error *err);
/** First offset and end of a partition, asked of its leader. */
FERRY_API int32_t ferry_consumer_watermarks(struct ferry_consumer *consumer, const char *topic,
                                            int32_t partition, int64_t *low, int64_t *high,
                                            int32_t timeout_ms, struct ferry_error *err);
/** The same as last heard with fetched records; FERRY_E_AGAIN before the first. */
FERRY_API int32_t ferry_consumer_watermarks_cached(struct ferry_consumer *consumer,
                                                   const char *topic, int32_t partition,
                                                   int64_t *low, int64_t *high);

/* -- Rebalances ------------------------------------------------------------------------------------------ */

enum ferry_rebalance_kind {
    FERRY_REBALANCE_ASSIGNED = 1, /**< these partitions are to be consumed from now on */
    FERRY_REBALANCE_REVOKED = 2,  /**< these go to another member once you agree: finish, commit */
    FERRY_REBALANCE_LOST = 3      /**< these are another member's already: commits would fail */
};

/** Called in ferry_consumer_poll (or fetch, close) with a question: what to do is asked in `rebalance`. If it returns
 *  with the question neither answered nor kept, it is answered as asked. */
typedef void (*ferry_rebalance_callback)(struct ferry_consumer *consumer,
                                         struct ferry_rebalance *rebalance, void *opaque);

/** Registers the callback; NULL takes it away: then questions are answered as asked, inside poll. */
FERRY_API void ferry_consumer_on_rebalance(struct ferry_consumer *consumer,
                                           ferry_rebalance_callback callback, void *opaque);
/** enum ferry_rebalance_kind. */
FERRY_API int32_t ferry_rebalance_kind(const struct ferry_rebalance *rebalance);
/** 1 if only some partitions come or go (cooperative); 0 if the list is all (eager). */
FERRY_API int32_t ferry_rebalance_incremental(const struct ferry_rebalance *rebalance);
/** The partitions; they belong to the question. Offsets may be set before it is answered. */
FERRY_API struct ferry_partition_list *ferry_rebalance_list(struct ferry_rebalance *rebalance);
/** Keeps the question open beyond the callback, to be answered later, from any thread. The group waits for it, at most
 *  max.poll.interval.ms. */
FERRY_API void ferry_rebalance_keep(struct ferry_rebalance *rebalance);
/** Answers, with any list of partitions and offsets: NULL as asked; else the assignment becomes (whole) or gains or
 *  loses (incremental) the list's partitions. The question is gone afterwards, whatever is returned. */
FERRY_API int32_t ferry_rebalance_answer(struct ferry_rebalance *rebalance,
                                         const struct ferry_partition_list *list,
                                         struct ferry_error *err);

/* -- Queues (ferry/queue.h) ------------------------------------------------------------------------------ */

/** The queue that poll and fetch read: FERRY_DELIVERY_RECORDS, NOTE, REBALANCE, RESULT, ERROR. To wake an event loop by
 *  it, or to forward it. Take records from it either by poll, by fetch, or by ferry_queue_poll, not by several at a
 *  time. It lives as long as the consumer. */
FERRY_API struct ferry_queue *ferry_consumer_queue(struct ferry_consumer *consumer);
/** A queue for an assigned partition's records alone, forwarded to the consumer's until ferry_queue_forward(queue,
 *  NULL) or another target. What is queued is fetched again into it. NULL if the partition is not assigned. It lives as
 *  long as the consumer, and serves the partition again when it is assigned anew and asked for again. */
FERRY_API struct ferry_queue *ferry_consumer_partition_queue(struct ferry_consumer *consumer,
                                                             const char *topic, int32_t partition);
/** The buffer of a FERRY_DELIVERY_RECORDS, to be released as one of ferry_consumer_fetch; the delivery is gone. NULL,
 *  and nothing to release, if it does not count any more (or if the delivery is of another kind: then it is not gone).
 */
FERRY_API struct ferry_fetched *ferry_delivery_fetched(struct ferry_delivery *delivery);
/** The question of a FERRY_DELIVERY_REBALANCE, to be answered with ferry_rebalance_answer; the delivery is gone. NULL
 *  for another kind. */
FERRY_API struct ferry_rebalance *ferry_delivery_rebalance(struct ferry_consumer *consumer,
                                                           struct ferry_delivery *delivery);
/** Fills *out with what a FERRY_DELIVERY_NOTE tells (error != 0), as long as the delivery lives; FERRY_E_INVALID for
 *  another kind. */
FERRY_API int32_t ferry_delivery_note(const struct ferry_delivery *delivery,
                                      struct ferry_message *out);
/** Calls the callback that a FERRY_DELIVERY_RESULT is for; the delivery is gone. FERRY_E_INVALID for another kind. */
FERRY_API int32_t ferry_consumer_dispatch(struct ferry_consumer *consumer,
                                          struct ferry_delivery *delivery);

/** Who this member is to the group: member id (copied, cut to size) and generation (-1 while it has none). */
FERRY_API int32_t ferry_consumer_member(struct ferry_consumer *consumer, char *id, int32_t size,
                                        int32_t *generation);

#ifdef __cplusplus
}
#endif
#endif
