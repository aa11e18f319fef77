/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sinkbroker - a Kafka-protocol endpoint that does as little as possible,
 * so that a benchmark against it measures the client and not the server.
 *
 *  - Produce: batch headers are parsed and counted, payload bytes are dropped
 *    in the kernel (recv MSG_TRUNC), the reply is sent at once.  With -V every
 *    batch is read whole and its CRC-32C is verified.
 *  - Fetch: one pre-built record batch is served over and over; only its base
 *    offset is patched (that field is outside the CRC), so every partition is
 *    a log of -n records (0: endless).
 *  - -R (relay): produced batches are kept in memory (the newest 64 MB of each
 *    partition) and served to Fetch, and a waiting Fetch is answered the moment
 *    data arrives: for end-to-end latency of a client.  Not a broker: nothing
 *    is deduplicated or persisted.
 *  - Metadata invents every topic that is asked for: -p partitions, leaders
 *    spread over -b fake brokers (one listening port each, one process).
 *  - Consumer groups (classic protocol) with exactly one member per group:
 *    join/sync/heartbeat/offset commit answer at once.
 *
 * One thread, epoll, loopback only.  Own code; no Kafka client library used.
 *
 * Built by tests/bench/run.sh.
 */
#define _GNU_SOURCE
#include "sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int o_brokers = 1, o_parts = 4, o_size = 100, o_key, o_batch = 1000, o_verify, o_quiet, o_relay;
int64_t o_log_end;
const char *o_codec = "none";
int ports[MAXBROKERS];
struct sink_stats st;
static int o_port, o_maxsec = 3600;
static int listeners[MAXBROKERS];

void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void print_stats(void)
{
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    fprintf(stderr,
            "sink: conns=%llu reqs=%llu produce=%llu batches=%llu "
            "records=%llu produce_bytes=%llu fetch=%llu "
            "fetch_records=%llu fetch_bytes=%llu badcrc=%llu "
            "user=%ld.%03ld sys=%ld.%03ld maxrss_kb=%ld\n",
            (unsigned long long)st.conns, (unsigned long long)st.reqs,
            (unsigned long long)st.produce, (unsigned long long)st.batches,
            (unsigned long long)st.records, (unsigned long long)st.wire,
            (unsigned long long)st.fetch, (unsigned long long)st.fetch_records,
            (unsigned long long)st.fetch_bytes, (unsigned long long)st.badcrc,
            (long)ru.ru_utime.tv_sec, (long)ru.ru_utime.tv_usec / 1000, (long)ru.ru_stime.tv_sec,
            (long)ru.ru_stime.tv_usec / 1000, ru.ru_maxrss);
}

static volatile sig_atomic_t stop, dump;
static void on_sig(int s)
{
    if (s == SIGUSR1)
        dump = 1;
    else
        stop = 1;
}

static void usage(void)
{
    fprintf(stderr, "usage: sinkbroker [-b brokers] [-P first_port] [-p parts]\n"
                    "  [-s value_size] [-k key_size] [-r records_per_batch]\n"
                    "  [-z none|gzip|lz4|zstd] [-n log_end_offset (0 endless)]\n"
                    "  [-V verify CRC of produced batches] [-R relay] [-t max_seconds] [-q]\n"
                    "prints the bootstrap list on stdout; SIGUSR1: stats;\n"
                    "SIGTERM/SIGINT: stats and exit\n");
    exit(2);
}

static void options(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "b:P:p:s:k:r:z:n:VRt:q")) != -1)
        switch (o) {
        case 'b':
            o_brokers = atoi(optarg);
            break;
        case 'P':
            o_port = atoi(optarg);
            break;
        case 'p':
            o_parts = atoi(optarg);
            break;
        case 's':
            o_size = atoi(optarg);
            break;
        case 'k':
            o_key = atoi(optarg);
            break;
        case 'r':
            o_batch = atoi(optarg);
            break;
        case 'z':
            o_codec = optarg;
            break;
        case 'n':
            o_log_end = atoll(optarg);
            break;
        case 'V':
            o_verify = 1;
            break;
        case 'R':
            o_relay = 1;
            break;
        case 't':
            o_maxsec = atoi(optarg);
            break;
        case 'q':
            o_quiet = 1;
            break;
        default:
            usage();
        }
    if (o_brokers < 1 || o_brokers > MAXBROKERS || o_parts < 1 || o_batch < 1 || o_size < 0)
        usage();
}

static void signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, on_sig);
    signal(SIGTERM, on_sig);
    signal(SIGINT, on_sig);
    signal(SIGALRM, on_sig);
    alarm((unsigned)o_maxsec); /* never outlive the bench */
}

/* A listener for each of the brokers that it plays; says where on stdout. */
static void listen_all(void)
{
    for (int i = 0; i < o_brokers; i++) {
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        struct sockaddr_in sa = {.sin_family = AF_INET};
        socklen_t sl = sizeof sa;
        sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sa.sin_port = htons((uint16_t)(o_port ? o_port + i : 0));
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (void *)&sa, sizeof sa) || listen(fd, 1024))
            die("bind/listen: %s", strerror(errno));
        getsockname(fd, (void *)&sa, &sl);
        ports[i] = ntohs(sa.sin_port);
        listeners[i] = fd;
        struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    }
    for (int i = 0; i < o_brokers; i++)
        printf("%s127.0.0.1:%d", i ? "," : "", ports[i]);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    options(argc, argv);
    crc_init();
    build_served();
    signals();
    ep = epoll_create1(EPOLL_CLOEXEC);
    listen_all();
    while (!stop) {
        struct epoll_event ev[128];
        int held;
        int timeout = conns_wait(&held);
        int n = epoll_wait(ep, ev, 128, timeout);
        if (dump) {
            dump = 0;
            print_stats();
        }
        for (int i = 0; i < n; i++) {
            if (ev[i].data.u64 < MAXBROKERS)
                conn_accept(listeners[ev[i].data.u64], (int)ev[i].data.u64);
            else
                on_conn(ev[i].data.ptr, ev[i].events);
        }
        if (held || fresh)
            conns_wake();
    }
    print_stats();
    return 0;
}
