/* SPDX-License-Identifier: BSD-2-Clause */
/* The refbroker program: arguments, lock, signals, and the node under the epoll driver. */
#include "config.h"

#include "drive/clock.h"
#include "drive/loop.h"
#include "refbroker/node.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, CONFIG_FILE_MAX = 1 << 20, DISK_THREADS = 4 };
enum { MMAP_FROM = 256 << 10, TRIM_FROM = 4 << 20 }; /* bytes */

struct broker_program {
    struct broker_config config;
    const char *data, *config_file, *listen;
    int log_level;
    int root_fd, lock_fd;
    struct broker_node *node;
    struct ferry_loop *loop;
    bool done;
    int status;
};

static volatile sig_atomic_t stop_wanted;
static struct ferry_loop *woken_by_signal;

static void usage(FILE *to)
{
    fputs(
        "usage: refbroker --data DIR [--listen HOST:PORT] [--config FILE] [-X KEY=VALUE]...\n"
        "A broker that speaks the protocol of Apache Kafka, on one node.\n"
        "\n"
        "  --data DIR          where everything is kept; made if it is not there\n"
        "  --listen HOST:PORT  where to listen (127.0.0.1:9092); port 0 takes a free one\n"
        "  --config FILE       settings as KEY=VALUE lines under Kafka's names\n"
        "  -X KEY=VALUE        one setting; wins over the file\n"
        "  --log-level LEVEL   error, warn, info (the default) or debug\n"
        "  --help              print this page\n"
        "  --version           print the version\n"
        "\n"
        "Exit status: 0 after a clean stop; 1 after a failure; 2 for wrong arguments.\n"
        "When it can serve it prints \"refbroker: ready on HOST:PORT\" on standard output; logs "
        "go to standard\n"
        "error. SIGTERM and SIGINT stop it cleanly. It recovers by itself on the data that a kill "
        "or a power\n"
        "loss left. The settings are those of docs/configuration-broker.md.\n"
        "Example: refbroker --data /var/tmp/ferry --listen 127.0.0.1:9092 -X "
        "log.retention.hours=24\n",
        to);
}

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "refbroker: %s: %s\n", what, why);
    return EXIT_USAGE;
}

/* ---- logs ---- */

static void log_line(void *cookie, int level, const char *text)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    const struct broker_program *p = cookie;
    if (level > p->log_level)
        return;
    struct timespec now;
    struct tm tm;
    char stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &tm);
    fprintf(stderr, "[%s,%03ld] %s %s\n", stamp, now.tv_nsec / 1000000,
            names[level < 0 || level > 3 ? 3 : level], text);
}

static void skipped_key(void *cookie, const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "%s: this broker has no use for it; it is ignored", name);
    log_line(cookie, 2, text);
}

/* ---- arguments ---- */

static int read_config_file(struct broker_program *p)
{
    FILE *f = fopen(p->config_file, "re");
    if (!f)
        return complain(p->config_file, strerror(errno));
    char *text = malloc(CONFIG_FILE_MAX);
    size_t n = text ? fread(text, 1, CONFIG_FILE_MAX, f) : 0;
    bool whole = text && !ferror(f) && n < CONFIG_FILE_MAX;
    fclose(f);
    struct ferry_error err;
    int status = 0;
    if (!whole)
        status = complain(p->config_file, "it cannot be read, or is larger than 1 MiB");
    else if (broker_config_parse(&p->config, (struct ferry_str){text, n}, skipped_key, p, &err))
        status = complain(p->config_file, err.text);
    free(text);
    return status;
}

static int set_pair(struct broker_program *p, const char *pair)
{
    const char *eq = strchr(pair, '=');
    struct ferry_error err;
    if (!eq)
        return complain(pair, "expected KEY=VALUE");
    char *name = strndup(pair, (size_t)(eq - pair));
    int status = 0;
    if (!name)
        status = complain(pair, "no memory");
    else if (broker_config_set(&p->config, name, eq + 1, &err))
        status = complain("-X", err.text);
    free(name);
    return status;
}

/* The value of an option: behind '=' or the next argument. */
static const char *value_of(const char *name, int argc, char **argv, int *at)
{
    size_t n = strlen(name);
    if (strncmp(argv[*at], name, n))
        return NULL;
    if (argv[*at][n] == '=')
        return argv[*at] + n + 1;
    if (argv[*at][n] || *at + 1 >= argc)
        return NULL;
    return argv[++*at];
}

static int set_log_level(struct broker_program *p, const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(names[i], name)) {
            p->log_level = i;
            return 0;
        }
    return complain(name, "expected error, warn, info or debug");
}

/* First the file, whatever its place among the arguments; then -X. */
static int read_arguments(struct broker_program *p, int argc, char **argv, bool pairs)
{
    for (int i = 1; i < argc; i++) {
        const char *v;
        int status = 0;
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            usage(stdout);
            exit(0);
        } else if (!strcmp(argv[i], "--version")) {
            puts("refbroker " PACKAGE_VERSION);
            exit(0);
        } else if ((v = value_of("--data", argc, argv, &i)))
            p->data = v;
        else if ((v = value_of("--listen", argc, argv, &i)))
            p->listen = v;
        else if ((v = value_of("--config", argc, argv, &i)))
            p->config_file = v;
        else if ((v = value_of("--log-level", argc, argv, &i)))
            status = set_log_level(p, v);
        else if ((v = value_of("-X", argc, argv, &i)))
            status = pairs ? set_pair(p, v) : 0;
        else if (!strncmp(argv[i], "-X", 2) && argv[i][2])
            status = pairs ? set_pair(p, argv[i] + 2) : 0;
        else
            status = complain(argv[i], "unknown, or its value is missing; see refbroker --help");
        if (status)
            return status;
    }
    return 0;
}

/* ---- addresses ---- */

/* HOST:PORT, [V6]:PORT, or PLAINTEXT://HOST:PORT. 0, or the exit status. */
static int split_address(const char *text, char *host, size_t room, uint16_t *port)
{
    const char *from = strstr(text, "://");
    if (from && strncmp(text, "PLAINTEXT://", 12))
        return complain(text, "only PLAINTEXT listeners are there so far");
    if (from && strchr(text, ','))
        return complain(text, "one listener is all there is so far");
    from = from ? from + 3 : text;
    const char *colon = strrchr(from, ':');
    char *end;
    long n = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || end == colon + 1 || *end || n < 0 || n > 65535)
        return complain(text, "expected HOST:PORT with a port from 0 to 65535");
    size_t len = (size_t)(colon - from);
    if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    }
    if (len >= room)
        return complain(text, "the host's name is too long");
    memcpy(host, from, len);
    host[len] = 0;
    *port = (uint16_t)n;
    return 0;
}

static int resolve(const char *host, uint16_t port, struct ferry_addr *out)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *list;
    int rc = getaddrinfo(*host ? host : "0.0.0.0", NULL, &hints, &list);
    if (rc)
        return complain(host, gai_strerror(rc));
    memset(out, 0, sizeof *out);
    out->port = port;
    if (list->ai_family == AF_INET) {
        out->family = FERRY_INET4;
        memcpy(out->ip, &((const struct sockaddr_in *)(const void *)list->ai_addr)->sin_addr, 4);
    } else {
        out->family = FERRY_INET6;
        memcpy(out->ip, &((const struct sockaddr_in6 *)(const void *)list->ai_addr)->sin6_addr, 16);
    }
    freeaddrinfo(list);
    return 0;
}

static bool is_any(const struct ferry_addr *a)
{
    static const uint8_t zero[16];
    return !memcmp(a->ip, zero, sizeof zero);
}

/* ---- the data directory ---- */

static int cannot_use(const struct broker_program *p, const char *what)
{
    fprintf(stderr, "refbroker: --data %s: %s: %s\n", p->data, what, strerror(errno));
    return EXIT_FAILURE;
}

/* Makes the directory, and those above it. */
static int make_data(const struct broker_program *p)
{
    char *path = strdup(p->data);
    for (char *at = path; at && *at; at++) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char cut = *at;
        *at = 0;
        if (mkdir(path, 0777) < 0 && errno != EEXIST) {
            free(path);
            return cannot_use(p, "it cannot be made");
        }
        *at = cut;
        if (!cut)
            break;
    }
    free(path);
    return 0;
}

static int open_data(struct broker_program *p)
{
    struct stat st;
    int status = stat(p->data, &st) == 0 ? 0 : make_data(p);
    if (status)
        return status;
    p->root_fd = open(p->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->root_fd < 0)
        return cannot_use(p, "it cannot be opened as a directory");
    p->lock_fd = openat(p->root_fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->lock_fd < 0)
        return cannot_use(p, "its file .lock cannot be written");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(p->lock_fd, F_SETLK, &lock) == 0)
        return 0;
    if (errno != EACCES && errno != EAGAIN)
        return cannot_use(p, "its file .lock cannot be locked");
    fprintf(stderr, "refbroker: --data %s: another broker is running on this directory\n", p->data);
    return EXIT_FAILURE;
}

/* ---- running ---- */

static void on_signal(int signal_number)
{
    (void)signal_number;
    stop_wanted = 1;
    if (woken_by_signal)
        ferry_loop_wake(woken_by_signal);
}

static void catch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a write that fails */
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
}

static void print_ready(const struct ferry_addr *a)
{
    if (a->family == FERRY_INET4) {
        printf("refbroker: ready on %u.%u.%u.%u:%u\n", a->ip[0], a->ip[1], a->ip[2], a->ip[3],
               a->port);
    } else {
        printf("refbroker: ready on [");
        for (int i = 0; i < 16; i += 2)
            printf("%s%x", i ? ":" : "", a->ip[i] << 8 | a->ip[i + 1]);
        printf("]:%u\n", a->port);
    }
    fflush(stdout);
}

static void deliver(void *cookie, void *delivery)
{
    struct broker_program *p = cookie;
    const struct broker_notice *notice = delivery;
    switch (notice->type) {
    case BROKER_READY:
        print_ready(&notice->addr);
        break;
    case BROKER_STOPPED:
        p->done = true;
        break;
    case BROKER_FAILED: /* the log said why */
        p->done = true;
        p->status = 1;
        break;
    }
}

static int make_node(struct broker_program *p)
{
    static char host[256], advertised[256];
    struct broker_node_options o = {
        .config = &p->config, .seed = ferry_clock_seed(), .log = log_line, .cookie = p};
    struct ferry_error err;
    uint16_t port;
    const char *shown = p->config.now.advertised_listeners;
    int status =
        split_address(p->listen ? p->listen : p->config.now.listeners, host, sizeof host, &port);
    if (!status)
        status = resolve(host, port, &o.listen);
    if (!status && shown && *shown) {
        status = split_address(shown, advertised, sizeof advertised, &o.advertised_port);
        o.host = advertised;
    } else if (!status && is_any(&o.listen)) { /* clients cannot connect to "any address" */
        if (gethostname(advertised, sizeof advertised - 1))
            snprintf(advertised, sizeof advertised, "localhost");
        o.host = advertised;
    } else if (!status) {
        o.host = host;
    }
    if (!status && broker_node_new(&p->node, &o, &err))
        status = complain("cannot start", err.text);
    return status;
}

static int run(struct broker_program *p)
{
    struct ferry_loop_config c = {
        .deliver = deliver, .cookie = p, .root_fd = p->root_fd, .pool_threads = DISK_THREADS};
    struct ferry_error err;
    bool stopping = false;
    if (ferry_loop_create(&p->loop, broker_node_engine(p->node), &c, &err))
        return complain("cannot start", err.text), 1;
    woken_by_signal = p->loop;
    catch_signals();
    while (!p->done) {
        if (stop_wanted && !stopping) {
            struct broker_command stop = {BROKER_STOP};
            stopping = true;
            log_line(p, 2, "stopping");
            if (ferry_loop_command(p->loop, &stop) < 0)
                return 1;
            continue;
        }
        if (ferry_loop_run(p->loop, FERRY_NEVER) < 0) {
            fprintf(stderr, "refbroker: the event loop has failed\n");
            return 1;
        }
    }
    return p->status;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Helper threads allocate next to nothing. Fixed thresholds: left alone, glibc raises them to the largest block that was
 * ever given back, and then keeps the memory of one large request for ever. */
static void tune_memory(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
    mallopt(M_TRIM_THRESHOLD, TRIM_FROM);
}

int main(int argc, char **argv)
{
    static struct broker_program p = {.root_fd = -1, .lock_fd = -1, .log_level = 2};
    struct ferry_error err;
    if (broker_config_init(&p.config))
        return 1;
    int status = read_arguments(&p, argc, argv, false);
    if (!status && p.config_file)
        status = read_config_file(&p);
    if (!status)
        status = read_arguments(&p, argc, argv, true);
    if (!status && !p.data)
        p.data = p.config.now.log_dirs;
    if (!status && (!p.data || !*p.data))
        status = complain("--data", "a directory is needed; see refbroker --help");
    if (!status && broker_config_set(&p.config, "log.dirs", p.data, &err))
        status = complain("--data", err.text);
    if (!status) {
        raise_file_limit();
        tune_memory();
        status = make_node(&p);
    }
    if (!status) /* after all that can be wrong with the arguments */
        status = open_data(&p);
    if (!status)
        status = run(&p);
    woken_by_signal = NULL;
    ferry_loop_destroy(p.loop);
    broker_node_free(p.node);
    broker_config_free(&p.config);
    return status;
}
