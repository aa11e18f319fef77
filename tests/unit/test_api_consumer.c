/* SPDX-License-Identifier: BSD-2-Clause */
/* The consumer's public API on a broker in the same process, or on the one whose HOST:PORT is the argument
   (tests/stages/70-admin.sh), with threads and without. Built with TSan by tests/stages/40-tsan.sh. */
#include "config.h"

#include "ferry/ferry.h"
#include "tests/lib/inner.h"
#include "tests/lib/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static const char *address;
static struct ferry_error err;

enum { PATIENCE_MS = 20000, PARTS = 4 };

static struct ferry_config *settings_of(const char *settings)
{
    struct ferry_config *c = ferry_config_new();
    /* Short waits: a seek goes on when the fetch that is parked at the broker has come back. */
    if (ferry_config_set(c, "bootstrap.servers", address, &err) ||
        ferry_config_set(c, "fetch.max.wait.ms", "50", &err) ||
        ferry_config_load_text(c, settings, strlen(settings), &err))
        fprintf(stderr, "# %s\n", err.text);
    return c;
}

static struct ferry_consumer *make(const char *settings)
{
    struct ferry_config *config = settings_of(settings);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    if (!c)
        fprintf(stderr, "# %s\n", err.text);
    ferry_config_free(config);
    return c;
}

/* `count` records of 10 bytes to each of PARTS partitions; each one's timestamp is its offset times 1000. */
static bool fill(const char *topic, int count)
{
    struct ferry_config *config = settings_of("linger.ms=0\n");
    struct ferry_producer *p = ferry_producer_new(config, 0, &err);
    struct ferry_topic *t = p ? ferry_producer_topic(p, topic, &err) : NULL;
    bool ok = t != NULL;
    ferry_config_free(config);
    for (int i = 0; ok && i < count * PARTS; i++) {
        char value[20];
        snprintf(value, sizeof value, "%010d", i / PARTS);
        struct ferry_outgoing o = {.value = value,
                                   .value_len = 10,
                                   .partition = i % PARTS,
                                   .timestamp = i / PARTS * 1000,
                                   .flags = FERRY_SEND_WAIT | FERRY_SEND_TIMESTAMP};
        ok = !ferry_send_record(t, &o, NULL, &err);
    }
    ok = ok && !ferry_producer_flush(p, PATIENCE_MS, &err);
    ferry_producer_free(p);
    return ok;
}

static struct ferry_partition_list *list_of(const char *topic, int32_t partition, int64_t offset)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    ferry_partition_list_add(list, topic, partition, offset);
    return list;
}

static struct ferry_partition_list *all_of(const char *topic, int64_t offset)
{
    struct ferry_partition_list *list = ferry_partition_list_new();
    for (int i = 0; i < PARTS; i++)
        ferry_partition_list_add(list, topic, i, offset);
    return list;
}

static bool assign(struct ferry_consumer *c, struct ferry_partition_list *list)
{
    int rc = ferry_consumer_assign(c, list, &err);
    ferry_partition_list_free(list);
    return rc == 0;
}

/* The next record or event; false if there is none within PATIENCE_MS. */
static bool next(struct ferry_consumer *c, struct ferry_message *m)
{
    return ferry_consumer_poll(c, m, 1, PATIENCE_MS, &err) == 1;
}

/* Takes `want` records; how many, less than that at a time-out; -1 at an error. */
static int drain(struct ferry_consumer *c, int want)
{
    struct ferry_message m[64];
    int got = 0;
    while (got < want) {
        int32_t n = ferry_consumer_poll(c, m, 64, PATIENCE_MS, &err);
        if (n <= 0)
            break;
        for (int32_t i = 0; i < n; i++) {
            if (m[i].error)
                return -1;
            got++;
        }
    }
    return got;
}

static void end(struct ferry_consumer *c)
{
    CHECK_INT(ferry_consumer_close(c, PATIENCE_MS, &err), 0);
    ferry_consumer_free(c);
}

/* -- Without a group ---------------------------------------------------------------------------- */

static void partitions_need_no_group(void)
{
    CHECK(fill("alone", 20));
    for (int thread = 0; thread < 2; thread++) {
        struct ferry_consumer *c =
            make(thread ? "ferry.partition.eof=true\n"
                        : "ferry.partition.eof=true\nferry.io.thread=false\n");
        struct ferry_message m;
        struct ferry_partition_list *list = list_of("alone", 0, 5);
        ferry_partition_list_add(list, "alone", 1, FERRY_OFFSET_EARLIEST);
        ferry_partition_list_add(list, "alone", 2, FERRY_OFFSET_LATEST);
        ferry_partition_list_add(list, "alone", 3, FERRY_OFFSET_TAIL_BASE - 3);
        CHECK(assign(c, list));
        static const int64_t first[PARTS] = {5, 0, 20, 17};
        int64_t expected[PARTS], ends = 0;
        memcpy(expected, first, sizeof first);
        while (ends < PARTS) { /* every partition tells its end, once */
            CHECK(next(c, &m));
            if (m.error) {
                CHECK_INT(m.error, FERRY_E_PARTITION_EOF);
                CHECK_INT(m.offset, 20);
                CHECK_INT(expected[m.partition], 20);
                ends++;
                continue;
            }
            CHECK_STR(m.topic, "alone");
            CHECK_INT(m.offset, expected[m.partition]);
            CHECK_INT(m.timestamp, m.offset * 1000);
            expected[m.partition]++;
        }
        CHECK_INT(ferry_consumer_poll(c, &m, 1, 0, &err), 0);
        int64_t low, high;
        CHECK_INT(ferry_consumer_watermarks(c, "alone", 1, &low, &high, PATIENCE_MS, &err), 0);
        CHECK(low == 0 && high == 20);
        CHECK_INT(ferry_consumer_watermarks_cached(c, "alone", 0, &low, &high), 0);
        CHECK(low == 0 && high == 20);
        CHECK_INT(ferry_consumer_lag(c, "alone", 0), 0);
        list = list_of("alone", 0, 7001);
        ferry_partition_list_add(list, "alone", 1, 1000000);
        struct ferry_topic_partition e;
        CHECK_INT(ferry_consumer_offsets_for_times(c, list, PATIENCE_MS, &err), 0);
        ferry_partition_list_get(list, 0, &e);
        CHECK(e.offset == 8 && e.timestamp == 8000 && e.error == 0);
        ferry_partition_list_get(list, 1, &e);
        CHECK(e.offset == FERRY_OFFSET_LATEST && e.error == 0);
        ferry_partition_list_free(list);
        end(c);
    }
}

static void a_reset_to_none_is_an_error_event(void)
{
    struct ferry_consumer *c = make("auto.offset.reset=none\n");
    struct ferry_message m;
    CHECK(assign(c, list_of("alone", 2, 4711)));
    CHECK(next(c, &m));
    CHECK_INT(m.error, FERRY_KAFKA_OFFSET_OUT_OF_RANGE);
    CHECK(m.partition == 2 && m.offset == 4711 && !strcmp(m.topic, "alone"));
    const char *text = (const char *)m.value;
    CHECK(strstr(text, "alone") && strstr(text, "[2]") && strstr(text, "4711") &&
          strstr(text, "auto.offset.reset"));
    struct ferry_partition_list *list = list_of("alone", 2, 19); /* a seek takes it up again */
    CHECK_INT(ferry_consumer_seek(c, list, &err), 0);
    ferry_partition_list_free(list);
    CHECK(next(c, &m));
    CHECK(m.error == 0 && m.offset == 19);
    end(c);
    c = make("auto.offset.reset=none\n");
    CHECK(assign(
        c, list_of("alone", 3, FERRY_OFFSET_NONE))); /* nothing is committed, there is no group */
    CHECK(next(c, &m));
    CHECK_INT(m.error, FERRY_E_NO_OFFSET);
    CHECK(m.partition == 3 && strstr((const char *)m.value, "alone [3]"));
    end(c);
}

static void a_seek_counts_at_once_and_a_pause_keeps_the_place(void)
{
    struct ferry_consumer *c = make("");
    struct ferry_message m;
    CHECK(assign(c, list_of("alone", 0, 0)));
    CHECK(next(c, &m));
    CHECK_INT(m.offset, 0);
    struct ferry_partition_list *list = list_of("alone", 0, 10);
    CHECK_INT(ferry_consumer_seek(c, list, &err),
              0); /* all 20 were fetched: none of them comes now */
    CHECK(next(c, &m));
    CHECK_INT(m.offset, 10);
    CHECK_INT(ferry_consumer_pause(c, list), 0);
    CHECK_INT(ferry_consumer_poll(c, &m, 1, 50, &err), 0);
    CHECK_INT(ferry_consumer_position(c, list), 0);
    struct ferry_topic_partition e;
    ferry_partition_list_get(list, 0, &e);
    CHECK_INT(e.offset, 11);
    CHECK_INT(ferry_consumer_resume(c, list), 0);
    for (int i = 11; i < 20; i++) {
        CHECK(next(c, &m));
        CHECK_INT(m.offset, i);
    }
    ferry_partition_list_free(list);
    end(c);
}

/* auto.offset.reset of one topic is its own. */
static void topics_are_reset_each_in_its_way(void)
{
    CHECK(fill("other", 5));
    struct ferry_config *config =
        settings_of("auto.offset.reset=latest\nferry.partition.eof=true\n");
    CHECK_INT(ferry_config_set_topic(config, "alone", "auto.offset.reset", "earliest", &err), 0);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    struct ferry_message m;
    int records = 0, ends = 0;
    ferry_config_free(config);
    CHECK(c);
    struct ferry_partition_list *list = list_of("alone", 0, FERRY_OFFSET_NONE);
    ferry_partition_list_add(list, "other", 0, FERRY_OFFSET_NONE);
    CHECK(assign(c, list));
    while (ends < 2) {
        CHECK(next(c, &m));
        CHECK(m.error == 0 || m.error == FERRY_E_PARTITION_EOF);
        CHECK(m.error || !strcmp(m.topic, "alone"));
        ends += m.error != 0;
        records += m.error == 0;
    }
    CHECK_INT(records, 20);
    end(c);
}

static void a_poll_is_bounded_by_the_setting(void)
{
    struct ferry_consumer *c = make("max.poll.records=3\n");
    struct ferry_message m[64];
    CHECK(assign(c, all_of("alone", 0)));
    for (int got = 0; got < 20 * PARTS;) {
        int32_t n = ferry_consumer_poll(c, m, 64, PATIENCE_MS, &err);
        CHECK(n > 0 && n <= 3);
        got += n;
    }
    end(c);
}

static void whole_buffers_are_taken_returned_and_outlive(void)
{
    struct ferry_consumer *c = make("");
    struct ferry_message m[5];
    CHECK(assign(c, list_of("alone", 1, 0)));
    struct ferry_fetched *f = ferry_consumer_fetch(c, PATIENCE_MS, &err), *kept;
    CHECK(f);
    CHECK_STR(ferry_fetched_topic(f), "alone");
    CHECK_INT(ferry_fetched_partition(f), 1);
    CHECK_INT(ferry_fetched_next(f, m, 5, &err), 5);
    ferry_fetched_return(f); /* the other 15 come again */
    kept = ferry_fetched_ref(f);
    ferry_fetched_release(f);
    f = ferry_consumer_fetch(c, PATIENCE_MS, &err);
    CHECK(f);
    CHECK_INT(ferry_fetched_next(f, m + 4, 1, &err), 1);
    CHECK_INT(m[4].offset, 5);
    ferry_fetched_release(f);
    end(c);
    CHECK(!memcmp(m[0].value, "0000000000", 10)); /* its buffer is still referenced */
    ferry_fetched_release(kept);
}

/* -- Commits ------------------------------------------------------------------------------------ */

struct outcome {
    struct ferry_consumer *c;
    int calls, code, error, in_poll;
    int64_t offset;
};

static void on_commit(struct ferry_consumer *c, int32_t code,
                      const struct ferry_partition_list *list, void *opaque)
{
    struct outcome *o = opaque;
    struct ferry_topic_partition e = {0};
    ferry_partition_list_get(list, 0, &e);
    o->calls++;
    o->code = code;
    o->error = e.error;
    o->offset = e.offset;
    o->c = c;
}

static void any_list_is_committed(void)
{
    struct ferry_consumer *c = make("group.id=lists\nenable.auto.commit=false\n");
    struct ferry_message m;
    struct ferry_topic_partition e;
    /* Neither assigned nor subscribed. */
    struct ferry_partition_list *list = list_of("alone", 0, 3);
    ferry_partition_list_set_metadata(list, 0, "why", 3);
    ferry_partition_list_add(list, "alone", 2, 9);
    CHECK_INT(ferry_consumer_commit(c, list, PATIENCE_MS, &err), 0);
    ferry_partition_list_free(list);
    list = list_of("alone", 0, FERRY_OFFSET_NONE);
    ferry_partition_list_add(list, "alone", 1, FERRY_OFFSET_NONE);
    ferry_partition_list_add(list, "alone", 2, FERRY_OFFSET_NONE);
    CHECK_INT(ferry_consumer_committed(c, list, PATIENCE_MS, &err), 0);
    ferry_partition_list_get(list, 0, &e);
    CHECK(e.offset == 3 && e.metadata_len == 3 && !memcmp(e.metadata, "why", 3));
    ferry_partition_list_get(list, 1, &e);
    CHECK_INT(e.offset, FERRY_OFFSET_NONE);
    ferry_partition_list_get(list, 2, &e);
    CHECK_INT(e.offset, 9);
    ferry_partition_list_free(list);
    /* One good, one bad: each has its own error. */
    list = list_of("no-such-topic", 0, 1);
    ferry_partition_list_add(list, "alone", 1, 2);
    CHECK(ferry_consumer_commit(c, list, PATIENCE_MS, &err) != 0);
    ferry_partition_list_get(list, 0, &e);
    CHECK_INT(e.error, FERRY_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    ferry_partition_list_get(list, 1, &e);
    CHECK_INT(e.error, 0);
    ferry_partition_list_free(list);
    /* Asynchronous: told in a poll. */
    struct outcome o = {0};
    list = list_of("alone", 0, 4);
    CHECK_INT(ferry_consumer_commit_async(c, list, on_commit, &o, &err), 0);
    ferry_partition_list_free(list);
    CHECK_INT(o.calls, 0);
    for (int i = 0; i < 400 && !o.calls; i++)
        CHECK_INT(ferry_consumer_poll(c, &m, 1, 50, &err), 0);
    CHECK(o.calls == 1 && o.code == 0 && o.error == 0 && o.offset == 4 && o.c == c);
    end(c);
}

static void what_is_stored_is_committed_and_gone_on_from(void)
{
    struct ferry_consumer *c =
        make("group.id=stored\nenable.auto.offset.store=false\nauto.offset.reset=earliest\n");
    struct ferry_message m;
    CHECK(assign(c, list_of("alone", 0, FERRY_OFFSET_NONE)));
    for (int i = 0; i < 8; i++)
        CHECK(next(c, &m));
    struct ferry_partition_list *list = list_of("alone", 0, 6);
    CHECK_INT(ferry_consumer_store(c, list, &err), 0);
    ferry_partition_list_free(list);
    CHECK_INT(ferry_consumer_commit(c, NULL, PATIENCE_MS, &err), 0);
    end(c);
    c = make("group.id=stored\n");
    CHECK(assign(c, list_of("alone", 0, FERRY_OFFSET_NONE)));
    CHECK(next(c, &m));
    CHECK_INT(m.offset, 6);
    end(c);
}

/* -- Rebalances --------------------------------------------------------------------------------- */

struct asked {
    pthread_mutex_t lock;
    pthread_cond_t kept;
    struct ferry_rebalance *question; /* kept */
    int assigned, revoked, lost;
};

static void keep_it(struct ferry_consumer *c, struct ferry_rebalance *r, void *opaque)
{
    struct asked *a = opaque;
    (void)c;
    pthread_mutex_lock(&a->lock);
    a->assigned += ferry_rebalance_kind(r) == FERRY_REBALANCE_ASSIGNED;
    a->revoked += ferry_rebalance_kind(r) == FERRY_REBALANCE_REVOKED;
    a->lost += ferry_rebalance_kind(r) == FERRY_REBALANCE_LOST;
    a->question = r;
    ferry_rebalance_keep(r);
    pthread_cond_broadcast(&a->kept);
    pthread_mutex_unlock(&a->lock);
}

/* Answers with other offsets, and without partition 3, from a thread that has nothing to do with the poll. */
static void *answer(void *opaque)
{
    struct asked *a = opaque;
    struct ferry_partition_list *list = ferry_partition_list_new();
    for (int i = 0; i < PARTS - 1; i++)
        ferry_partition_list_add(list, "alone", i, 10 + i);
    pthread_mutex_lock(&a->lock);
    while (!a->question)
        pthread_cond_wait(&a->kept, &a->lock);
    int rc = ferry_rebalance_answer(a->question, list, NULL);
    a->question = NULL;
    pthread_mutex_unlock(&a->lock);
    ferry_partition_list_free(list);
    return rc ? opaque : NULL;
}

static void a_rebalance_is_answered_later_by_any_thread(void)
{
    static const char *const topics[] = {"alone"};
    for (int incremental = 0; incremental < 2; incremental++) {
        struct ferry_consumer *c =
            make(incremental ? "group.id=later1\nauto.offset.reset=earliest\n"
                               "partition.assignment.strategy=cooperative-sticky\n"
                             : "group.id=later0\nauto.offset.reset=earliest\n"
                               "partition.assignment.strategy=range\n");
        struct asked a = {.lock = PTHREAD_MUTEX_INITIALIZER, .kept = PTHREAD_COND_INITIALIZER};
        struct ferry_message m;
        ferry_consumer_on_rebalance(c, keep_it, &a);
        CHECK_INT(ferry_consumer_subscribe(c, topics, 1, &err), 0);
        for (int i = 0; i < 400 && !a.question; i++)
            CHECK_INT(ferry_consumer_poll(c, &m, 1, 50, &err), 0);
        CHECK(a.question);
        CHECK_INT(ferry_rebalance_incremental(a.question), incremental);
        CHECK_INT(ferry_partition_list_count(ferry_rebalance_list(a.question)), PARTS);
        CHECK_INT(ferry_consumer_poll(c, &m, 1, 20, &err), 0); /* nothing is assigned yet */
        pthread_t thread;
        void *failed;
        CHECK_INT(pthread_create(&thread, NULL, answer, &a), 0);
        pthread_join(thread, &failed);
        CHECK(!failed);
        int seen[PARTS] = {0};
        for (int i = 0; i < 10 + 9 + 8; i++) {
            CHECK(next(c, &m));
            CHECK(m.error == 0 && m.partition < PARTS - 1 && m.offset >= 10 + m.partition);
            seen[m.partition]++;
        }
        CHECK(seen[0] == 10 && seen[1] == 9 && seen[2] == 8);
        char id[100];
        int32_t generation;
        CHECK_INT(ferry_consumer_member(c, id, sizeof id, &generation), 0);
        CHECK(strlen(id) > 10 && generation >= 1);
        /* Closing asks too, and waits for the answer, which comes from a thread again. */
        CHECK_INT(pthread_create(&thread, NULL, answer, &a), 0);
        CHECK_INT(ferry_consumer_close(c, PATIENCE_MS, &err), 0);
        pthread_join(thread, &failed);
        CHECK(!failed && a.assigned == 1 && a.revoked == 1 && a.lost == 0);
        ferry_consumer_free(c);
    }
}

static void count_it(struct ferry_consumer *c, struct ferry_rebalance *r, void *opaque)
{
    struct asked *a = opaque;
    (void)c;
    a->assigned += ferry_rebalance_kind(r) == FERRY_REBALANCE_ASSIGNED;
    a->revoked += ferry_rebalance_kind(r) == FERRY_REBALANCE_REVOKED;
    a->lost += ferry_rebalance_kind(r) == FERRY_REBALANCE_LOST;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Three applications that do not poll for more than twice the session time-out: the I/O thread sends heartbeats for the first,
 * the second steps its handle, the third does neither and is put out. */
static void a_busy_application_stays_a_member(void)
{
    static const char *const topics[] = {"alone"};
    struct ferry_consumer *c[3];
    struct asked asked[3] = {{.assigned = 0}};
    int32_t before[3], after;
    char settings[300], id[100];
    struct ferry_message m;
    for (int i = 0; i < 3; i++) {
        snprintf(settings, sizeof settings,
                 "group.id=busy%d\nsession.timeout.ms=800\nheartbeat.interval.ms=50\nferry.io."
                 "thread=%s\n",
                 i, i ? "false" : "true");
        c[i] = make(settings);
        ferry_consumer_on_rebalance(c[i], count_it, &asked[i]);
        CHECK_INT(ferry_consumer_subscribe(c[i], topics, 1, &err), 0);
        for (int k = 0; k < 400 && !asked[i].assigned; k++)
            CHECK_INT(ferry_consumer_poll(c[i], &m, 1, 50, &err), 0);
        CHECK_INT(asked[i].assigned, 1);
        CHECK_INT(ferry_consumer_member(c[i], id, sizeof id, &before[i]), 0);
    }
    struct ferry_handle *h = ferry_consumer_handle(c[1]);
    for (int64_t until = now_ms() + 1700, left; (left = until - now_ms()) > 0;) {
        struct pollfd p = {.fd = ferry_handle_fd(h), .events = POLLIN};
        int wait = ferry_handle_timeout_ms(h);
        poll(&p, 1, wait < 0 || wait > left ? (int)left : wait);
        CHECK(ferry_handle_step(h) >= 0);
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < (i < 2 ? 4 : 400) && !asked[i].lost; k++)
            CHECK_INT(ferry_consumer_poll(c[i], &m, 1, 50, &err), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(ferry_consumer_member(c[i], id, sizeof id, &after), 0);
        CHECK_INT(asked[i].lost, i == 2);
        CHECK(i == 2 || (after == before[i] && asked[i].assigned == 1));
        end(c[i]);
    }
}

/* -- Queues ------------------------------------------------------------------------------------- */

static void every_partition_can_have_a_queue(void)
{
    struct ferry_consumer *c = make("");
    struct ferry_message m;
    CHECK(!ferry_consumer_partition_queue(c, "alone", 0)); /* not assigned */
    CHECK(assign(c, list_of("alone", 1, 0)));
    struct ferry_partition_list *list = list_of("alone", 0, 15);
    CHECK_INT(ferry_consumer_pause(c, list), FERRY_E_NOT_FOUND);
    struct ferry_queue *q = ferry_consumer_partition_queue(c, "alone", 1);
    CHECK(q);
    CHECK_INT(ferry_queue_forward(q, NULL), 0);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t one = 1, count;
    CHECK_INT(ferry_queue_wake_fd(q, fd, &one, sizeof one), 0);
    CHECK_INT(ferry_consumer_assign_more(c, list, &err), 0); /* by poll */
    ferry_partition_list_free(list);
    CHECK_INT(drain(c, 5), 5);
    /* The queue of the other has been filled meanwhile, or is: its descriptor says so. */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_INT(poll(&p, 1, PATIENCE_MS), 1);
    CHECK(read(fd, &count, sizeof count) == sizeof count);
    CHECK_INT(ferry_queue_length(q), 20); /* records, not deliveries */
    CHECK_INT(ferry_consumer_poll(c, &m, 1, 0, &err), 0);
    struct ferry_delivery *d = ferry_queue_poll(q, PATIENCE_MS, &err);
    CHECK(d);
    CHECK_INT(ferry_delivery_kind(d), FERRY_DELIVERY_RECORDS);
    CHECK_INT(ferry_delivery_records(d), 20);
    struct ferry_fetched *f = ferry_delivery_fetched(d);
    CHECK(f);
    CHECK_INT(ferry_fetched_partition(f), 1);
    ferry_fetched_release(f);
    CHECK_INT(ferry_queue_length(q), 0);
    ferry_queue_cancel(q);
    CHECK(!ferry_queue_poll(q, -1, &err));
    CHECK_INT(err.code, FERRY_E_INTERRUPTED);
    /* Back into the consumer's. */
    CHECK_INT(ferry_queue_wake_fd(q, -1, NULL, 0), 0);
    CHECK_INT(ferry_queue_forward(q, ferry_consumer_queue(c)), 0);
    list = list_of("alone", 1, 18);
    CHECK_INT(ferry_consumer_seek(c, list, &err), 0);
    ferry_partition_list_free(list);
    CHECK(next(c, &m));
    CHECK(m.partition == 1 && m.offset == 18);
    close(fd);
    end(c);
}

/* Everything that poll does by itself, done by hand from the queue. */
static void the_consumers_queue_can_be_read_by_hand(void)
{
    static const char *const topics[] = {"alone"};
    struct ferry_consumer *c =
        make("group.id=by-hand\nauto.offset.reset=earliest\nferry.partition.eof=true\n");
    struct ferry_queue *q = ferry_consumer_queue(c);
    struct outcome o = {0};
    int records = 0, ends = 0, questions = 0;
    CHECK_INT(ferry_consumer_subscribe(c, topics, 1, &err), 0);
    while (ends < PARTS || records < 20 * PARTS || !o.calls) {
        struct ferry_delivery *d = ferry_queue_poll(q, PATIENCE_MS, &err);
        struct ferry_message m[32];
        CHECK(d);
        switch (ferry_delivery_kind(d)) {
        case FERRY_DELIVERY_RECORDS: {
            struct ferry_fetched *f = ferry_delivery_fetched(d);
            int32_t n;
            while ((n = ferry_fetched_next(f, m, 32, &err)) > 0)
                records += n;
            ferry_fetched_release(f);
            break;
        }
        case FERRY_DELIVERY_NOTE:
            CHECK_INT(ferry_delivery_note(d, m), 0);
            CHECK_INT(m[0].error, FERRY_E_PARTITION_EOF);
            ends++;
            ferry_delivery_free(d);
            break;
        case FERRY_DELIVERY_REBALANCE: {
            struct ferry_rebalance *r = ferry_delivery_rebalance(c, d);
            CHECK(r && ferry_rebalance_kind(r) == FERRY_REBALANCE_ASSIGNED);
            CHECK_INT(ferry_rebalance_answer(r, NULL, &err), 0);
            CHECK_INT(ferry_consumer_commit_async(c, NULL, on_commit, &o, &err), 0);
            questions++;
            break;
        }
        default:
            CHECK_INT(ferry_delivery_kind(d), FERRY_DELIVERY_RESULT);
            CHECK_INT(ferry_consumer_dispatch(c, d), 0);
        }
    }
    CHECK(records == 20 * PARTS && ends == PARTS && questions == 1 && o.calls == 1);
    end(c);
}

/* -- Callbacks ---------------------------------------------------------------------------------- */

/* An application with one lock of its own: it holds it around calls of the library, and its callbacks take it. */
struct strict {
    pthread_mutex_t lock;
    struct ferry_consumer *c;
    _Atomic int rebalances, commits, wakes, lines;
    int close_code, poll_code, commit_code, uses;
};

static void use_everything(struct strict *s)
{
    struct ferry_counters counters;
    struct ferry_error e;
    char text[100];
    if (s->uses++ > 40) /* a pause has records fetched again: for ever would be too often */
        return;
    struct ferry_partition_list *list = ferry_partition_list_new();
    ferry_consumer_assignment(s->c, list);
    ferry_consumer_position(s->c, list);
    ferry_consumer_pause(s->c, list);
    ferry_consumer_resume(s->c, list);
    ferry_consumer_subscription(s->c, list);
    ferry_partition_list_free(list);
    ferry_consumer_lag(s->c, "alone", 0);
    ferry_consumer_wakeup(s->c);
    ferry_queue_length(ferry_consumer_queue(s->c));
    ferry_handle_counters(ferry_consumer_handle(s->c), &counters, sizeof counters);
    ferry_handle_statistics_json(ferry_consumer_handle(s->c), text, sizeof text);
    ferry_setting(ferry_consumer_handle(s->c), "group.id", text, sizeof text);
    ferry_consumer_commit_async(s->c, NULL, NULL, NULL, &e);
    ferry_consumer_close(s->c, 1000, &e); /* refused: some callback is under way */
}

static void strict_rebalance(struct ferry_consumer *c, struct ferry_rebalance *r, void *opaque)
{
    struct strict *s = opaque;
    struct ferry_message m;
    struct ferry_error e;
    (void)r;
    pthread_mutex_lock(&s->lock);
    s->close_code = ferry_consumer_close(c, 1000, &e);
    s->poll_code = ferry_consumer_poll(c, &m, 1, 0, &e);
    use_everything(s);
    if (ferry_rebalance_kind(r) == FERRY_REBALANCE_REVOKED)
        s->commit_code =
            ferry_consumer_commit(c, NULL, PATIENCE_MS, &e); /* may wait: that is what it is for */
    s->rebalances++;
    pthread_mutex_unlock(&s->lock);
}

static void strict_commit(struct ferry_consumer *c, int32_t code,
                          const struct ferry_partition_list *list, void *opaque)
{
    struct strict *s = opaque;
    struct ferry_error e;
    (void)code;
    (void)list;
    pthread_mutex_lock(&s->lock);
    s->close_code = ferry_consumer_close(c, 1000, &e);
    ferry_consumer_free(c); /* refused too */
    use_everything(s);
    s->commits++;
    pthread_mutex_unlock(&s->lock);
}

static void strict_wake(void *opaque)
{
    struct strict *s = opaque;
    pthread_mutex_lock(&s->lock);
    use_everything(s);
    s->wakes++;
    pthread_mutex_unlock(&s->lock);
}

static void strict_line(void *opaque, const struct ferry_log_line *line)
{
    struct strict *s = opaque;
    (void)line;
    pthread_mutex_lock(&s->lock);
    if (s->c)
        use_everything(s);
    s->lines++;
    pthread_mutex_unlock(&s->lock);
}

static void callbacks_may_call_and_lock(void)
{
    static const char *const topics[] = {"alone"};
    for (int thread = 0; thread < 2; thread++) {
        struct strict s = {.lock = PTHREAD_MUTEX_INITIALIZER, .commit_code = -1};
        char settings[300];
        snprintf(settings, sizeof settings,
                 "group.id=strict%d\nauto.offset.reset=earliest\nferry.debug=group,fetch\nferry.io."
                 "thread=%s\n",
                 thread, thread ? "true" : "false");
        struct ferry_message m[16];
        struct ferry_consumer *c = make(settings);
        ferry_log_call(ferry_consumer_handle(c), strict_line, &s);
        s.c = c;
        ferry_queue_wake_call(ferry_consumer_queue(c), strict_wake, &s);
        ferry_consumer_on_rebalance(c, strict_rebalance, &s);
        CHECK_INT(ferry_consumer_subscribe(c, topics, 1, &err), 0);
        int got = 0;
        for (int i = 0; i < 4000 && (got < 20 * PARTS || !s.commits || !s.wakes || !s.lines); i++) {
            int32_t n = ferry_consumer_poll(c, m, 16, 20, &err);
            got += n > 0 ? n : 0;
            pthread_mutex_lock(
                &s.lock); /* callbacks on the I/O thread wait for it; this must not wait for them */
            CHECK_INT(ferry_consumer_commit_async(c, NULL, strict_commit, &s, &err), 0);
            pthread_mutex_unlock(&s.lock);
        }
        CHECK(got >= 20 * PARTS && s.rebalances >= 1 && s.commits >= 1 && s.wakes >= 1 &&
              s.lines >= 1);
        CHECK_INT(s.close_code, FERRY_E_STATE);
        CHECK_INT(s.poll_code, FERRY_E_STATE);
        ferry_queue_wake_call(ferry_consumer_queue(c), NULL, NULL);
        CHECK_INT(ferry_consumer_close(c, PATIENCE_MS, &err), 0);
        CHECK_INT(s.commit_code, 0);
        ferry_consumer_free(c);
    }
}

/* -- Statistics --------------------------------------------------------------------------------- */

static void statistics_tell_of_brokers_and_partitions(void)
{
    static const char *const topics[] = {"alone"};
    struct ferry_consumer *c =
        make("group.id=measured\nauto.offset.reset=earliest\nauto.commit.interval.ms=0\n"
             "ferry.statistics.interval.ms=50\n");
    struct ferry_queue *q = ferry_handle_queue(ferry_consumer_handle(c));
    struct ferry_message m[64];
    int got = 0, fetched = 0, committed = 0;
    char group[200] = "";
    CHECK_INT(ferry_consumer_subscribe(c, topics, 1, &err), 0);
    for (int i = 0; i < 2000 && (!fetched || !committed); i++) {
        int32_t n = ferry_consumer_poll(c, m, 64, 20, &err);
        CHECK(n >= 0);
        got += n;
        struct ferry_delivery *d = ferry_queue_poll(q, 0, NULL);
        if (!d)
            continue;
        CHECK_INT(ferry_delivery_kind(d), FERRY_DELIVERY_STATISTICS);
        const char *json = ferry_delivery_statistics(d), *at;
        CHECK(json && strstr(json, "\"consumer\":{\"group\":{\"id\":\"measured\""));
        if (strstr(json, "\"state\":\"stable\""))
            snprintf(group, sizeof group, "%.190s", strstr(json, "\"consumer\":"));
        at = strstr(json, "\"topic\":\"alone\",\"partition\":2,\"state\":\"fetching\"");
        at = at ? strstr(at, "\"fetch_records\":{") : NULL;
        fetched +=
            at && strncmp(at, "\"fetch_records\":{\"count\":0", 26) && strstr(at, "\"p99\":");
        at = strstr(json, "\"commit_us\":{");
        committed += at && strncmp(at, "\"commit_us\":{\"count\":0", 22);
        ferry_delivery_free(d);
    }
    CHECK(fetched && committed && *group);
    CHECK_INT(got, 20 * PARTS);
    int len = ferry_handle_statistics_json(ferry_consumer_handle(c), NULL, 0);
    char *json = malloc((size_t)len + 1000);
    CHECK(ferry_handle_statistics_json(ferry_consumer_handle(c), json, (size_t)len + 1000) > 0);
    CHECK(strstr(json, "\"rtt_us\":{") && strstr(json, "\"high_watermark\":20") &&
          strstr(json, "\"lag\":0"));
    free(json);
    /* What nobody takes does not pile up, nor what is forwarded to where poll can do nothing with it. */
    for (int i = 0; i < 20; i++)
        CHECK_INT(ferry_consumer_poll(c, m, 64, 50, &err), 0);
    int waiting = 0;
    for (struct ferry_delivery *d; (d = ferry_queue_poll(q, 0, NULL)); waiting++)
        ferry_delivery_free(d);
    CHECK(waiting >= 1 && waiting <= 16);
    CHECK_INT(ferry_queue_forward(q, ferry_consumer_queue(c)), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(ferry_consumer_poll(c, m, 64, 50, &err), 0);
    end(c);
}

/* -- The system underneath ---------------------------------------------------------------------- */

struct hooked {
    _Atomic int resolves, sockets, connects, closes, starts, exits;
    char host[64];
    int send_buffer, receive_buffer;
    struct sockaddr_in address;
};

static int32_t hook_resolve(void *cookie, const char *host, uint16_t port,
                            struct sockaddr_storage *out, int32_t max)
{
    struct hooked *h = cookie;
    (void)port;
    (void)max;
    h->resolves += !strcmp(host, "kafka.example");
    memcpy(out, &h->address, sizeof h->address);
    return 1;
}

static int hook_socket(void *cookie, int domain, int type, int protocol)
{
    ((struct hooked *)cookie)->sockets++;
    return socket(domain, type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK), protocol);
}

static int hook_connect(void *cookie, int fd, const struct sockaddr *a, uint32_t len,
                        const char *host)
{
    struct hooked *h = cookie;
    socklen_t size = sizeof h->send_buffer;
    if (h->connects++ == 0) {
        snprintf(h->host, sizeof h->host, "%s", host);
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &h->send_buffer, &size);
        getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &h->receive_buffer, &size);
    }
    return connect(fd, a, len);
}

static int hook_close(void *cookie, int fd)
{
    ((struct hooked *)cookie)->closes++;
    return close(fd);
}

static void hook_start(void *cookie, const char *name)
{
    (void)name;
    ((struct hooked *)cookie)->starts++;
}

static void hook_exit(void *cookie, const char *name)
{
    (void)name;
    ((struct hooked *)cookie)->exits++;
}

/* Descriptors of this process without close-on-exec. */
static int leaky_descriptors(void)
{
    int leaky = 0;
    DIR *d = opendir("/proc/self/fdinfo");
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300], line[100];
        unsigned long flags = O_CLOEXEC;
        snprintf(path, sizeof path, "/proc/self/fdinfo/%s", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        while (f && fgets(line, sizeof line, f))
            if (sscanf(line, "flags: %lo", &flags) == 1)
                break;
        if (f)
            fclose(f);
        leaky += !(flags & O_CLOEXEC);
    }
    if (d)
        closedir(d);
    return d ? leaky : -1;
}

static void hooks_serve_consumers_and_no_descriptor_leaks(void)
{
    struct hooked h = {.address = {.sin_family = AF_INET}};
    struct ferry_hooks hooks = {.size = sizeof hooks,
                                .cookie = &h,
                                .resolve = hook_resolve,
                                .socket = hook_socket,
                                .connect = hook_connect,
                                .close = hook_close,
                                .thread_start = hook_start,
                                .thread_exit = hook_exit};
    int before = leaky_descriptors();
    CHECK(before >= 0);
    h.address.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    h.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct ferry_config *config =
        settings_of("bootstrap.servers=kafka.example:9092\nauto.offset.reset=earliest\n"
                    "send.buffer.bytes=20000\nreceive.buffer.bytes=30000\n");
    CHECK_INT(ferry_config_set_hooks(config, &(struct ferry_hooks){.size = 1}, &err),
              FERRY_E_INVALID);
    CHECK_INT(ferry_config_set_hooks(config, &hooks, &err), 0);
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    ferry_config_free(config);
    CHECK(c);
    CHECK(assign(c, all_of("alone", FERRY_OFFSET_EARLIEST)));
    CHECK_INT(drain(c, 20 * PARTS), 20 * PARTS);
    CHECK_INT(leaky_descriptors(), before); /* sockets of the hook's too */
    CHECK_STR(h.host, "kafka.example");
    CHECK(h.send_buffer == 40000 && h.receive_buffer == 60000); /* Linux doubles what it is given */
    end(c);
    CHECK(h.resolves >= 1 && h.connects >= 2 && h.sockets >= h.connects);
    CHECK_INT(h.closes, h.sockets);
    CHECK(h.starts >= 1);
    CHECK_INT(h.starts, h.exits);
}

static void brokers_can_be_added_later(void)
{
    struct ferry_config *config = settings_of("bootstrap.servers=\nauto.offset.reset=earliest\n");
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    struct ferry_message m;
    ferry_config_free(config);
    CHECK(c);
    CHECK(assign(c, list_of("alone", 0, FERRY_OFFSET_EARLIEST)));
    CHECK_INT(ferry_consumer_poll(c, &m, 1, 20, &err), 0);
    CHECK_INT(ferry_add_brokers(ferry_consumer_handle(c), address, &err), 0);
    CHECK(next(c, &m));
    CHECK(m.error == 0 && m.offset == 0);
    end(c);
}

static bool create_topics(void)
{
    struct ferry_config *config = settings_of("");
    struct ferry_handle *h = ferry_open(config, NULL, &err);
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_CREATE_TOPICS);
    ferry_admin_add_topic(call, "alone", PARTS, 1);
    ferry_admin_add_topic(call, "other", PARTS, 1);
    int rc = h ? ferry_admin_run(call, h, PATIENCE_MS, &err) : -1;
    ferry_admin_free(call);
    ferry_config_free(config);
    ferry_close(h, PATIENCE_MS);
    if (rc)
        fprintf(stderr, "# %s\n", err.text);
    return rc == 0;
}

int main(int argc, char **argv)
{
    static const char *const settings[] = {"group.min.session.timeout.ms=100", NULL};
    struct inner *broker = argc > 1 ? NULL : inner_start(settings);
    if (argc < 2 && !broker)
        return 1;
    address = argc > 1 ? argv[1] : inner_address(broker);
    if (!create_topics())
        return 1;
    TAP_RUN(partitions_need_no_group);
    TAP_RUN(a_reset_to_none_is_an_error_event);
    TAP_RUN(a_seek_counts_at_once_and_a_pause_keeps_the_place);
    TAP_RUN(topics_are_reset_each_in_its_way);
    TAP_RUN(a_poll_is_bounded_by_the_setting);
    TAP_RUN(whole_buffers_are_taken_returned_and_outlive);
    TAP_RUN(any_list_is_committed);
    TAP_RUN(what_is_stored_is_committed_and_gone_on_from);
    TAP_RUN(a_rebalance_is_answered_later_by_any_thread);
    TAP_RUN(a_busy_application_stays_a_member);
    TAP_RUN(every_partition_can_have_a_queue);
    TAP_RUN(the_consumers_queue_can_be_read_by_hand);
    TAP_RUN(callbacks_may_call_and_lock);
    TAP_RUN(statistics_tell_of_brokers_and_partitions);
    TAP_RUN(hooks_serve_consumers_and_no_descriptor_leaks);
    TAP_RUN(brokers_can_be_added_later);
    inner_stop(broker);
    return tap_done();
}
