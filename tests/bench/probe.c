/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe - starts a broker and tells how long it takes until it can be used; fills a broker's log. It speaks the protocol
 * by hand (Produce 7, Fetch 4, Metadata 4), so that no client library's start is part of the figure.
 *
 *   probe fill  HOST:PORT TOPIC PARTITIONS MEGABYTES
 *   probe ready [-k] [-t SECONDS] PORT TOPIC COMMAND ARGUMENT...
 *
 * `fill` writes batches of 1,000 records of 100 bytes, acks=all, to the partitions in turn. `ready` runs the command,
 * connects to PORT again and again, and prints `ready_ms=N`: the time from exec to the answers of a Produce of one record
 * (acks=all) and then of a Fetch at the end of the log, which must bring that record. Then it ends the command by
 * SIGTERM, or SIGKILL with -k, and waits until it is gone.
 *
 * Invariants: 1. Every wait is bounded (-t, 60 s). 2. The command never outlives the probe.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_RECORDS = 1000, VALUE = 100, RETRY_NS = 200000, IO_SECONDS = 30 };

static pid_t child;

static void end_child(int with)
{
    if (child > 0) {
        kill(child, with);
        waitpid(child, NULL, 0);
    }
    child = 0;
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fputs("probe: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    end_child(SIGKILL);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* -- Bytes -- */

struct buffer {
    uint8_t *data;
    size_t len, size;
};

static void put(struct buffer *b, const void *p, size_t n)
{
    while (b->len + n > b->size) {
        b->size = b->size ? b->size * 2 : 4096;
        b->data = realloc(b->data, b->size);
        if (!b->data)
            die("no memory for %zu bytes", b->size);
    }
    memcpy(b->data + b->len, p, n);
    b->len += n;
}

static void put_int(struct buffer *b, int64_t v, int bytes)
{
    uint8_t raw[8];
    for (int i = 0; i < bytes; i++)
        raw[i] = (uint8_t)((uint64_t)v >> (8 * (bytes - 1 - i)));
    put(b, raw, (size_t)bytes);
}

static void put_varint(struct buffer *b, int64_t v)
{
    uint64_t u = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
    for (; u >= 128; u >>= 7)
        put_int(b, (int64_t)((u & 127) | 128), 1);
    put_int(b, (int64_t)u, 1);
}

static void put_string(struct buffer *b, const char *s)
{
    put_int(b, (int64_t)strlen(s), 2);
    put(b, s, strlen(s));
}

static void patch_int(struct buffer *b, size_t at, int64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        b->data[at + (size_t)i] = (uint8_t)((uint64_t)v >> (8 * (bytes - 1 - i)));
}

struct reader {
    const uint8_t *p, *end;
};

static int64_t get_int(struct reader *r, int bytes)
{
    uint64_t v = 0;
    if (r->end - r->p < bytes)
        die("the answer is cut short");
    for (int i = 0; i < bytes; i++)
        v = v << 8 | r->p[i];
    r->p += bytes;
    return bytes == 8 ? (int64_t)v : bytes == 4 ? (int32_t)v : (int16_t)v;
}

static void skip(struct reader *r, int64_t n)
{
    if (n < 0 || r->end - r->p < n)
        die("the answer is cut short");
    r->p += n;
}

static uint32_t crc32c(const uint8_t *p, size_t n)
{
#ifdef __SSE4_2__
    uint64_t wide = ~0u;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    for (; n; n--)
        wide = __builtin_ia32_crc32qi((uint32_t)wide, *p++);
    return ~(uint32_t)wide;
#else
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++)
                c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
            table[i] = c;
        }
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++)
        c = table[(c ^ p[i]) & 255] ^ c >> 8;
    return ~c;
#endif
}

/* Gives the batch the present time, as a producer's batches have: a log whose times never grow is another thing. */
static void stamp_batch(struct buffer *b)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t stamp = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    patch_int(b, 27, stamp, 8);
    patch_int(b, 35, stamp, 8);
    patch_int(b, 17, crc32c(b->data + 21, b->len - 21), 4);
}

/* A record batch (version 2) of `count` records of VALUE bytes. */
static struct buffer make_batch(int count)
{
    struct buffer b = {0}, record = {0};
    put_int(&b, 0, 8);
    put_int(&b, 0, 4); /* length, patched below */
    put_int(&b, -1, 4);
    put_int(&b, 2, 1);
    put_int(&b, 0, 4); /* CRC, patched below */
    put_int(&b, 0, 2);
    put_int(&b, count - 1, 4);
    put_int(&b, 0, 8); /* times, set by stamp_batch */
    put_int(&b, 0, 8);
    put_int(&b, -1, 8);
    put_int(&b, -1, 2);
    put_int(&b, -1, 4);
    put_int(&b, count, 4);
    for (int i = 0; i < count; i++) {
        char value[VALUE + 60];
        snprintf(value, sizeof value,
                 "{\"user_id\":%08d,\"event\":\"page_view\",\"path\":\"/index/item/"
                 "%08d\",\"status\":200,\"ms\":%040d}",
                 i * 7919, i, i * 31);
        record.len = 0;
        put_int(&record, 0, 1);
        put_varint(&record, 0);
        put_varint(&record, i);
        put_varint(&record, -1);
        put_varint(&record, VALUE);
        put(&record, value, VALUE);
        put_varint(&record, 0);
        put_varint(&b, (int64_t)record.len);
        put(&b, record.data, record.len);
    }
    free(record.data);
    patch_int(&b, 8, (int64_t)b.len - 12, 4);
    stamp_batch(&b);
    return b;
}

/* -- One connection, one request at a time -- */

static int open_socket(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = IO_SECONDS};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

/* False: the peer closed or reset the connection, as a broker that is still starting may do. */
static int receive_all(int fd, void *to, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = recv(fd, (char *)to + got, n - got, 0);
        if (k <= 0)
            return 0;
        got += (size_t)k;
    }
    return 1;
}

static int send_all(int fd, const void *from, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = send(fd, (const char *)from + done, n - done, MSG_NOSIGNAL);
        if (k <= 0)
            return 0;
        done += (size_t)k;
    }
    return 1;
}

static void begin(struct buffer *b, int key, int version)
{
    b->len = 0;
    put_int(b, 0, 4);
    put_int(b, key, 2);
    put_int(b, version, 2);
    put_int(b, 1, 4);
    put_string(b, "probe");
}

static int call(int fd, struct buffer *request, struct buffer *answer, struct reader *r)
{
    uint8_t head[4];
    patch_int(request, 0, (int64_t)request->len - 4, 4);
    if (!send_all(fd, request->data, request->len) || !receive_all(fd, head, 4))
        return 0;
    struct reader size = {head, head + 4};
    int64_t n = get_int(&size, 4);
    if (n < 4 || n > 100 << 20)
        die("an answer of %lld bytes", (long long)n);
    answer->len = 0;
    while (answer->size < (size_t)n)
        put(answer, "", 1), answer->len = answer->size;
    answer->len = (size_t)n;
    if (!receive_all(fd, answer->data, (size_t)n))
        return 0;
    *r = (struct reader){answer->data + 4, answer->data + n};
    return 1;
}

static struct buffer request, answer;

static int ask_for_topic(int fd, const char *topic)
{
    struct reader r;
    begin(&request, 3, 4);
    put_int(&request, 1, 4);
    put_string(&request, topic);
    put_int(&request, 1, 1);
    return call(fd, &request, &answer, &r);
}

/* Kafka's error code, or -2 for a lost connection; *offset is the batch's. */
static int produce(int fd, const char *topic, int partition, const struct buffer *batch,
                   int64_t *offset)
{
    struct reader r;
    begin(&request, 0, 7);
    put_int(&request, -1, 2); /* no transactional id */
    put_int(&request, -1, 2); /* acks=all */
    put_int(&request, 30000, 4);
    put_int(&request, 1, 4);
    put_string(&request, topic);
    put_int(&request, 1, 4);
    put_int(&request, partition, 4);
    put_int(&request, (int64_t)batch->len, 4);
    put(&request, batch->data, batch->len);
    if (!call(fd, &request, &answer, &r))
        return -2;
    skip(&r, 4);
    skip(&r, get_int(&r, 2));
    skip(&r, 4 + 4);
    int error = (int)get_int(&r, 2);
    *offset = get_int(&r, 8);
    return error;
}

/* Bytes of records from `offset` on, -2 for a lost connection, or minus 1000 minus Kafka's error code. */
static int64_t fetch(int fd, const char *topic, int partition, int64_t offset)
{
    struct reader r;
    begin(&request, 1, 4);
    put_int(&request, -1, 4);
    put_int(&request, 1000, 4);
    put_int(&request, 1, 4);
    put_int(&request, 1 << 20, 4);
    put_int(&request, 0, 1);
    put_int(&request, 1, 4);
    put_string(&request, topic);
    put_int(&request, 1, 4);
    put_int(&request, partition, 4);
    put_int(&request, offset, 8);
    put_int(&request, 1 << 20, 4);
    if (!call(fd, &request, &answer, &r))
        return -2;
    skip(&r, 4 + 4);
    skip(&r, get_int(&r, 2));
    skip(&r, 4 + 4);
    int error = (int)get_int(&r, 2);
    skip(&r, 8 + 8);
    int64_t aborted = get_int(&r, 4);
    skip(&r, aborted > 0 ? aborted * 16 : 0);
    return error ? -1000 - error : get_int(&r, 4);
}

/* -- Commands -- */

static void pause_ns(long ns)
{
    struct timespec t = {0, ns};
    nanosleep(&t, NULL);
}

static int fill(const char *address, const char *topic, int partitions, int megabytes)
{
    const char *colon = strrchr(address, ':');
    int fd = open_socket(colon ? atoi(colon + 1) : 0);
    struct buffer batch = make_batch(BATCH_RECORDS);
    int64_t batches = ((int64_t)megabytes << 20) / (int64_t)batch.len + 1, offset,
            stop_at = now_ns() + 60000000000;
    if (fd < 0)
        die("%s: %s", address, strerror(errno));
    for (int64_t i = 0; i < batches;) {
        stamp_batch(&batch);
        int error = produce(fd, topic, (int)(i % partitions), &batch, &offset);
        if (!error) {
            i++;
            continue;
        }
        if ((error != 3 && error != 5 && error != 6) ||
            now_ns() > stop_at) /* unknown topic, no leader, not the leader */
            die("Produce to partition %d: error %d", (int)(i % partitions), error);
        ask_for_topic(fd, topic);
        pause_ns(20000000);
    }
    printf("batches=%lld records=%lld bytes=%lld\n", (long long)batches,
           (long long)batches * BATCH_RECORDS, (long long)batches * (long long)batch.len);
    return 0;
}

static int ready(int port, const char *topic, char **command, int with, int seconds)
{
    struct buffer batch = make_batch(1);
    int64_t start = now_ns(), offset = 0, stop_at = start + seconds * 1000000000ll;
    child = fork();
    if (child < 0)
        die("fork: %s", strerror(errno));
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(2, 1);
        execvp(command[0], command);
        _exit(127);
    }
    int fd = -1;
    for (;; pause_ns(RETRY_NS)) {
        if (waitpid(child, NULL, WNOHANG) == child) {
            child = 0;
            die("%s ended", command[0]);
        }
        if (now_ns() > stop_at)
            die("not ready after %d s", seconds);
        if (fd < 0 && (fd = open_socket(port)) < 0)
            continue;
        int error = produce(fd, topic, 0, &batch, &offset);
        if (!error && fetch(fd, topic, 0, offset) > 0)
            break;
        if (error == -2) {
            close(fd);
            fd = -1;
        }
    }
    printf("ready_ms=%.3f offset=%lld\n", (double)(now_ns() - start) / 1e6, (long long)offset);
    close(fd);
    end_child(with);
    return 0;
}

int main(int argc, char **argv)
{
    int o, with = SIGTERM, seconds = 60;
    if (argc == 6 && !strcmp(argv[1], "fill"))
        return fill(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
    if (argc > 1 && !strcmp(argv[1], "ready")) {
        optind = 2;
        while ((o = getopt(argc, argv, "+kt:")) != -1)
            switch (o) {
            case 'k':
                with = SIGKILL;
                break;
            case 't':
                seconds = atoi(optarg);
                break;
            default:
                return 2;
            }
        if (argc - optind >= 3)
            return ready(atoi(argv[optind]), argv[optind + 1], argv + optind + 2, with, seconds);
    }
    fputs("usage: probe fill HOST:PORT TOPIC PARTITIONS MEGABYTES | probe ready [-k] [-t SECONDS] "
          "PORT TOPIC COMMAND...\n",
          stderr);
    return 2;
}
