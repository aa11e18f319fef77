/* SPDX-License-Identifier: BSD-2-Clause */
/* File actions on a real directory, with helper threads and without. */
#include "config.h"

#include "base/check.h"
#include "base/mem.h"
#include "drive/clock.h"
#include "drive/loop.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPS_MAX = 64, PATIENCE_MS = 20000 };

struct result {
    int times, order;
    int32_t status;
    uint64_t count;
    uint8_t *data;
    size_t len;
    char text[200];
};

struct node {
    struct ferry_engine engine;
    struct ferry_loop *loop;
    void (*order)(struct node *, struct ferry_actions *);
    struct result results[OPS_MAX];
    int done;
    /* Sending file ranges. */
    uint16_t port;
    int accepted, opened, closed, drained;
    int32_t closed_status;
    char closed_text[200];
    uint8_t *received;
    size_t received_len;
};

static char root[64];
static int root_fd;

static int step(struct ferry_engine *e, const struct ferry_event *ev, struct ferry_actions *out)
{
    struct node *n = (struct node *)e;
    switch (ev->type) {
    case FERRY_EV_COMMAND:
        ((void (*)(struct node *, struct ferry_actions *))ev->command)(n, out);
        break;
    case FERRY_EV_DONE: {
        struct result *r = &n->results[ev->op % OPS_MAX];
        r->times++;
        r->order = ++n->done;
        r->status = ev->status;
        r->count = ev->count;
        ferry_free(r->data);
        r->data = ev->data.data ? ferry_memdup(ev->data.data, ev->data.len) : NULL;
        r->len = ev->data.len;
        snprintf(r->text, sizeof r->text, "%s", ev->text);
        break;
    }
    case FERRY_EV_LISTENING:
        n->port = ev->addrs[0].port;
        break;
    case FERRY_EV_ACCEPTED:
        n->accepted++;
        ferry_act(out, FERRY_DO_ADOPT, (struct ferry_id){5, 1})->handle = ev->handle;
        break;
    case FERRY_EV_OPENED:
        n->opened++;
        break;
    case FERRY_EV_DRAINED:
        n->drained += ev->op == 51;
        break;
    case FERRY_EV_RECEIVED:
        n->received = ferry_realloc(n->received, n->received_len + ev->data.len);
        memcpy(n->received + n->received_len, ev->data.data, ev->data.len);
        n->received_len += ev->data.len;
        break;
    case FERRY_EV_CLOSED:
        n->closed++;
        n->closed_status = ev->status;
        snprintf(n->closed_text, sizeof n->closed_text, "%s", ev->text);
        break;
    default:
        break;
    }
    return 0;
}

static ferry_nsec deadline(const struct ferry_engine *e)
{
    return FERRY_NEVER;
}

static const struct ferry_engine_ops ops = {step, deadline};

static void node_start(struct node *n, int dir, uint32_t threads)
{
    memset(n, 0, sizeof *n);
    n->engine.ops = &ops;
    struct ferry_loop_config config = {.root_fd = dir, .pool_threads = threads};
    FERRY_CHECK(!ferry_loop_create(&n->loop, &n->engine, &config, NULL));
}

static void node_stop(struct node *n)
{
    ferry_loop_destroy(n->loop);
    for (int i = 0; i < OPS_MAX; i++)
        ferry_free(n->results[i].data);
    ferry_free(n->received);
}

static void give(struct node *n, void (*order)(struct node *, struct ferry_actions *))
{
    FERRY_CHECK(!ferry_loop_command(n->loop, (void *)order));
}

/* Runs until `count` operations are done in all. */
static bool until_done(struct node *n, int count)
{
    ferry_nsec end = ferry_clock_now() + PATIENCE_MS * FERRY_MS;
    while (n->done < count && ferry_clock_now() < end)
        ferry_loop_run(n->loop, 50 * FERRY_MS);
    return n->done == count;
}

static const struct ferry_id file = {1, 1}, other = {2, 1};
static char buffer[4096], big[300000];

static struct ferry_action *act(struct ferry_actions *out, enum ferry_action_type type, uint64_t op,
                                const char *path)
{
    struct ferry_action *a = ferry_act(out, type, file);
    a->op = op;
    a->path = path;
    return a;
}

static struct ferry_action *write_at(struct ferry_actions *out, uint64_t op, uint64_t offset,
                                     const char *text)
{
    struct ferry_action *a = act(out, FERRY_DO_WRITE, op, NULL);
    a->offset = offset;
    ferry_act_part(out, text, strlen(text));
    return a;
}

static struct ferry_action *read_at(struct ferry_actions *out, uint64_t op, uint64_t offset,
                                    void *to, uint64_t length)
{
    struct ferry_action *a = act(out, FERRY_DO_READ, op, NULL);
    a->offset = offset;
    a->buffer = to;
    a->length = length;
    return a;
}

/* -- Reading and writing ---------------------------------------------------------------------- */

static void order_write(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_CREATE, 1, "topic-0");
    act(out, FERRY_DO_CREATE, 2, "topic-0"); /* is there: fine */
    act(out, FERRY_DO_OPEN_FILE, 3, "topic-0/a.log")->flags =
        FERRY_OPEN_READ | FERRY_OPEN_WRITE | FERRY_OPEN_CREATE;
    struct ferry_action *a = act(out, FERRY_DO_WRITE, 4, NULL);
    a->offset = 0;
    for (int i = 0; i < 200; i++) /* more parts than one system call takes */
        ferry_act_part(out, i % 2 ? "cd" : "ab", 2);
    act(out, FERRY_DO_SYNC, 5, NULL);
    act(out, FERRY_DO_SYNC_DIR, 6, "topic-0");
    act(out, FERRY_DO_SIZE, 7, NULL);
    read_at(out, 8, 398, buffer, 100);
    read_at(out, 9, 1000, buffer + 200, 100);
}

static void order_reopen(struct node *n, struct ferry_actions *out)
{
    ferry_act(out, FERRY_DO_CLOSE_FILE, file);
    act(out, FERRY_DO_OPEN_FILE, 11, "topic-0/a.log")->flags = FERRY_OPEN_READ;
    read_at(out, 12, 0, buffer, 4);
    write_at(out, 13, 0, "x"); /* opened for reading alone */
}

static void writes_and_reads(uint32_t threads)
{
    struct node n;
    node_start(&n, root_fd, threads);
    give(&n, order_write);
    CHECK(until_done(&n, 9));
    for (int op = 1; op <= 9; op++) {
        CHECK_INT(n.results[op].times, 1);
        CHECK_INT(n.results[op].status, 0);
    }
    CHECK_INT(n.results[3].count, 0);
    CHECK_INT(n.results[4].count, 400);
    CHECK_INT(n.results[7].count, 400);
    CHECK_INT(n.results[8].count, 2);
    CHECK(!memcmp(buffer, "cd", 2));
    CHECK_INT(n.results[9].count, 0);
    give(&n, order_reopen);
    CHECK(until_done(&n, 12));
    CHECK_INT(n.results[11].count, 400);
    CHECK_INT(n.results[12].count, 4);
    CHECK(!memcmp(buffer, "abcd", 4));
    CHECK_INT(n.results[13].status, FERRY_E_IO);
    CHECK(strstr(n.results[13].text, "write: "));
    node_stop(&n);
    char path[128];
    snprintf(path, sizeof path, "%s/topic-0/a.log", root);
    unlink(path);
}

static void with_threads(void)
{
    writes_and_reads(2);
}

static void without_threads(void)
{
    writes_and_reads(0);
}

static void order_mix(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_OPEN_FILE, 1, "mix")->flags =
        FERRY_OPEN_READ | FERRY_OPEN_WRITE | FERRY_OPEN_CREATE | FERRY_OPEN_TRUNCATE;
    write_at(out, 2, 0, "0123456789");
    act(out, FERRY_DO_TRUNCATE, 3, NULL)->offset = 4;
    write_at(out, 4, 4, "ab");
    act(out, FERRY_DO_TRUNCATE, 5, NULL)->offset = 5;
    write_at(out, 6, 5, "XYZ");
    act(out, FERRY_DO_SYNC, 7, NULL);
    read_at(out, 8, 0, buffer, 100);
    act(out, FERRY_DO_SIZE, 9, NULL);
    ferry_act(out, FERRY_DO_CLOSE_FILE, file); /* takes effect behind all of it */
}

static void truncations_and_writes_keep_their_order(void)
{
    for (uint32_t threads = 0; threads < 3; threads++)
        for (int round = 0; round < 20; round++) {
            struct node n;
            node_start(&n, root_fd, threads);
            memset(buffer, 0, 100);
            give(&n, order_mix);
            CHECK(until_done(&n, 9));
            for (int op = 1; op <= 9; op++)
                CHECK_INT(n.results[op].status, 0);
            CHECK_INT(n.results[8].count, 8);
            CHECK_STR(buffer, "0123aXYZ");
            CHECK_INT(n.results[9].count, 8);
            node_stop(&n);
        }
}

static void order_cold(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_OPEN_FILE, 1, "cold")->flags = FERRY_OPEN_READ;
    read_at(out, 2, 1000, big, sizeof big);
}

static char *make_file(const char *name, size_t size)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (size_t i = 0; i < size; i += 4) {
        uint32_t word = (uint32_t)i * 2654435761u;
        FERRY_CHECK(pwrite(fd, &word, size - i < 4 ? size - i : 4, (off_t)i) > 0);
    }
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return path;
}

static bool right_bytes(const void *data, size_t size, size_t from)
{
    for (size_t i = 0; i < size; i++) {
        size_t at = from + i;
        uint32_t word = (uint32_t)(at & ~(size_t)3) * 2654435761u;
        if (((const uint8_t *)data)[i] != ((uint8_t *)&word)[at & 3])
            return false;
    }
    return true;
}

static void cold_reads_are_whole(void)
{
    for (uint32_t threads = 0; threads < 2; threads++) {
        struct node n;
        make_file("cold", 200000);
        node_start(&n, root_fd, threads);
        give(&n, order_cold);
        CHECK(until_done(&n, 2));
        CHECK_INT(n.results[2].status, 0);
        CHECK_INT(n.results[2].count, 199000);
        CHECK(right_bytes(big, 199000, 1000));
        node_stop(&n);
    }
}

/* -- Failures ---------------------------------------------------------------------------------- */

static void order_limited(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_OPEN_FILE, 1, "limited")->flags = FERRY_OPEN_WRITE | FERRY_OPEN_CREATE;
    struct ferry_action *a = act(out, FERRY_DO_WRITE, 2, NULL);
    a->offset = 0;
    for (int i = 0; i < 3; i++)
        ferry_act_part(out, big, 5000);
    act(out, FERRY_DO_TRUNCATE, 3, NULL)->offset = 100;
    act(out, FERRY_DO_SIZE, 4, NULL);
}

static void short_writes_are_counted(void)
{
    struct rlimit was, tight;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    sigaction(SIGXFSZ, &ignore, &old);
    getrlimit(RLIMIT_FSIZE, &was);
    tight = was;
    tight.rlim_cur = 12000;
    struct node n;
    node_start(&n, root_fd, 1);
    setrlimit(RLIMIT_FSIZE, &tight);
    give(&n, order_limited);
    bool done = until_done(&n, 4);
    setrlimit(RLIMIT_FSIZE, &was);
    sigaction(SIGXFSZ, &old, NULL);
    CHECK(done);
    CHECK_INT(n.results[2].status, FERRY_E_NO_SPACE);
    CHECK_INT(n.results[2].count, 12000);
    CHECK_INT(n.results[3].status, 0);
    CHECK_INT(n.results[4].count, 100);
    node_stop(&n);
}

static void order_full(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_OPEN_FILE, 1, "full")->flags = FERRY_OPEN_WRITE;
    write_at(out, 2, 0, "anything");
}

static void a_full_disk_is_told(void)
{
    struct node n;
    int dev = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    node_start(&n, dev, 0);
    give(&n, order_full);
    CHECK(until_done(&n, 2));
    CHECK_INT(n.results[1].status, 0);
    CHECK_INT(n.results[2].status, FERRY_E_NO_SPACE);
    CHECK_INT(n.results[2].count, 0);
    CHECK(strstr(n.results[2].text, "No space"));
    node_stop(&n);
    close(dev);
}

static void order_wrong(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_OPEN_FILE, 1, "not/there")->flags = FERRY_OPEN_READ;
    act(out, FERRY_DO_OPEN_FILE, 2, "/etc/passwd")->flags = FERRY_OPEN_READ;
    act(out, FERRY_DO_OPEN_FILE, 3, "a/../../etc/passwd")->flags = FERRY_OPEN_READ;
    act(out, FERRY_DO_UNLINK, 4, "..");
    read_at(out, 5, 0, buffer, 10); /* no such file is open */
    act(out, FERRY_DO_LIST, 6, "not there");
    act(out, FERRY_DO_SYNC_DIR, 7, "not there");
    act(out, FERRY_DO_CREATE, 8, "..x"); /* an ordinary name */
    act(out, FERRY_DO_UNLINK, 9, "..x");
    act(out, FERRY_DO_UNLINK, 10, "..x");
}

static void wrong_names_fail(void)
{
    struct node n;
    static const int32_t want[] = {0,
                                   FERRY_E_NOT_FOUND,
                                   FERRY_E_INVALID,
                                   FERRY_E_INVALID,
                                   FERRY_E_INVALID,
                                   FERRY_E_IO,
                                   FERRY_E_NOT_FOUND,
                                   FERRY_E_NOT_FOUND,
                                   0,
                                   0,
                                   FERRY_E_NOT_FOUND};
    node_start(&n, root_fd, 0);
    give(&n, order_wrong);
    CHECK(until_done(&n, 10));
    for (int op = 1; op <= 10; op++)
        CHECK_INT(n.results[op].status, want[op]);
    node_stop(&n);
}

/* -- Names ------------------------------------------------------------------------------------- */

static void order_names(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_CREATE, 1, "dir");
    act(out, FERRY_DO_OPEN_FILE, 2, "dir/one")->flags = FERRY_OPEN_WRITE | FERRY_OPEN_CREATE;
    write_at(out, 3, 0, "12345");
    act(out, FERRY_DO_RENAME, 4, "dir/one")->path2 = "dir/two";
    act(out, FERRY_DO_CREATE, 5, "dir/sub");
    act(out, FERRY_DO_UNLINK, 6, "dir"); /* not empty */
}

static void order_list(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_LIST, 7, "dir");
}

static void order_clear(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_UNLINK, 8, "dir/two");
    write_at(out, 9, 5, "678"); /* it is still open */
    act(out, FERRY_DO_SIZE, 10, NULL);
    act(out, FERRY_DO_UNLINK, 11, "dir/sub");
    act(out, FERRY_DO_UNLINK, 12, "dir");
    ferry_act(out, FERRY_DO_CLOSE_FILE, file);
}

static uint64_t listed_size(const struct result *r, char type, const char *name)
{
    for (size_t at = 0; at + 10 <= r->len;) {
        const char *entry = (const char *)r->data + at;
        uint64_t size;
        memcpy(&size, entry + 1, 8);
        if (entry[0] == type && !strcmp(entry + 9, name))
            return size;
        at += 9 + strlen(entry + 9) + 1;
    }
    return UINT64_MAX;
}

static void names_come_and_go(void)
{
    for (uint32_t threads = 0; threads < 2; threads++) {
        struct node n;
        node_start(&n, root_fd, threads);
        give(&n, order_names);
        CHECK(until_done(&n, 6));
        for (int op = 1; op <= 5; op++)
            CHECK_INT(n.results[op].status, 0);
        CHECK_INT(n.results[6].status, FERRY_E_EXISTS);
        give(&n, order_list);
        CHECK(until_done(&n, 7));
        CHECK_INT(n.results[7].status, 0);
        CHECK_INT(listed_size(&n.results[7], 'f', "two"), 5);
        CHECK(listed_size(&n.results[7], 'd', "sub") != UINT64_MAX);
        CHECK(listed_size(&n.results[7], 'f', "one") == UINT64_MAX);
        CHECK_INT(n.results[7].len, 2 * (9 + 4));
        give(&n, order_clear);
        CHECK(until_done(&n, 12));
        for (int op = 8; op <= 12; op++)
            CHECK_INT(n.results[op].status, 0);
        CHECK_INT(n.results[10].count, 8);
        node_stop(&n);
    }
}

static void order_much(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_OPEN_FILE, 1, "much")->flags =
        FERRY_OPEN_READ | FERRY_OPEN_WRITE | FERRY_OPEN_CREATE;
    for (uint64_t op = 2; op < 30; op++) {
        act(out, FERRY_DO_TRUNCATE, op, NULL)->offset = op * 1000;
        write_at(out, op, 0, "abc");
        act(out, FERRY_DO_SYNC, op, NULL);
        act(out, FERRY_DO_LIST, op, "");
    }
}

static void a_loop_ends_with_work_under_way(void)
{
    for (uint32_t threads = 0; threads < 4; threads++) {
        struct node n;
        node_start(&n, root_fd, threads);
        give(&n, order_much);
        node_stop(&n);
    }
}

/* -- Sending file ranges ------------------------------------------------------------------------ */

static void order_listen(struct node *n, struct ferry_actions *out)
{
    ferry_act(out, FERRY_DO_LISTEN, (struct ferry_id){9, 1})->addr =
        (struct ferry_addr){.family = FERRY_INET4, .ip = {127, 0, 0, 1}};
}

static uint16_t connect_port;
static void order_connect(struct node *n, struct ferry_actions *out)
{
    ferry_act(out, FERRY_DO_OPEN, (struct ferry_id){5, 1})->addr =
        (struct ferry_addr){.family = FERRY_INET4, .ip = {127, 0, 0, 1}, .port = connect_port};
}

static void order_send_file(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_OPEN_FILE, 1, "sent")->flags = FERRY_OPEN_READ;
    for (int i = 0; i < 2; i++) {
        ferry_act(out, FERRY_DO_SEND, (struct ferry_id){5, 1})->op = 50 + (uint64_t)i;
        ferry_act_part(out, "head", 4);
        ferry_act_file_part(out, file, 1, 3000001);
        ferry_act_part(out, "tail", 4);
    }
    ferry_act(out, FERRY_DO_CLOSE_FILE, file); /* pinned by what is unsent */
}

static bool until(struct node *a, struct node *b, const int *what)
{
    ferry_nsec end = ferry_clock_now() + PATIENCE_MS * FERRY_MS;
    while (!*what && ferry_clock_now() < end) {
        ferry_loop_run(a->loop, 0);
        ferry_loop_run(b->loop, FERRY_MS);
    }
    return *what;
}

static bool connect_both(struct node *server, struct node *client, uint32_t threads)
{
    node_start(server, root_fd, threads);
    node_start(client, -1, 0);
    give(server, order_listen);
    connect_port = server->port;
    give(client, order_connect);
    return until(server, client, &client->opened) && until(server, client, &server->accepted);
}

static void files_are_sent(void)
{
    for (uint32_t threads = 0; threads < 2; threads++) {
        struct node server, client;
        CHECK(connect_both(&server, &client, threads));
        make_file("sent", 3000100);
        give(&server, order_send_file);
        CHECK(until(&server, &client, &server.drained));
        size_t want = 2 * (3000001 + 8);
        ferry_nsec end = ferry_clock_now() + PATIENCE_MS * FERRY_MS;
        while (client.received_len < want && ferry_clock_now() < end)
            ferry_loop_run(client.loop, FERRY_MS);
        CHECK_INT(client.received_len, want);
        const uint8_t *half = client.received + want / 2;
        CHECK(!memcmp(client.received, "head", 4) && !memcmp(half, "head", 4));
        CHECK(right_bytes(client.received + 4, 3000001, 1) && right_bytes(half + 4, 3000001, 1));
        CHECK(!memcmp(half - 4, "tail", 4) && !memcmp(client.received + want - 4, "tail", 4));
        CHECK_INT(server.closed + client.closed, 0);
        node_stop(&client);
        node_stop(&server);
    }
}

static void order_send_short(struct node *n, struct ferry_actions *out)
{
    act(out, FERRY_DO_OPEN_FILE, 1, "sent")->flags = FERRY_OPEN_READ;
    ferry_act(out, FERRY_DO_SEND, (struct ferry_id){5, 1})->op = 51;
    ferry_act_part(out, "head", 4);
    ferry_act_file_part(out, file, 900, 200); /* 100 of them are there */
}

static void order_send_none(struct node *n, struct ferry_actions *out)
{
    ferry_act(out, FERRY_DO_SEND, (struct ferry_id){5, 1})->op = 51;
    ferry_act_file_part(out, other, 0, 10); /* not open */
}

static void files_that_cannot_be_sent_close_the_connection(void)
{
    for (int which = 0; which < 2; which++) {
        struct node server, client;
        CHECK(connect_both(&server, &client, 1));
        make_file("sent", 1000);
        give(&server, which ? order_send_none : order_send_short);
        CHECK(until(&server, &client, &client.closed));
        CHECK_INT(server.closed, 1);
        CHECK(server.closed_status < 0);
        CHECK_INT(server.drained, 0);
        CHECK(strstr(server.closed_text, "send file to 127.0.0.1"));
        CHECK_INT(client.received_len, which ? 0 : 104);
        node_stop(&client);
        node_stop(&server);
    }
}

static volatile sig_atomic_t pipes;
static void on_pipe(int sig)
{
    pipes++;
}

/* The peer is gone when the file is sent: EPIPE without its signal, in a thread that does not block it. */
static void sending_files_to_the_dead_raises_no_signal(void)
{
    struct sigaction act_pipe = {.sa_handler = on_pipe}, old;
    sigaction(SIGPIPE, &act_pipe, &old);
    struct node server, client;
    CHECK(connect_both(&server, &client, 0));
    make_file("sent", 3000100);
    node_stop(&client);
    for (int i = 0; i < 4; i++)
        give(&server, order_send_file);
    node_start(&client, -1, 0);
    CHECK(until(&server, &client, &server.closed));
    CHECK_INT(pipes, 0);
    sigset_t pending;
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGPIPE));
    sigaction(SIGPIPE, &old, NULL);
    node_stop(&client);
    node_stop(&server);
}

int main(void)
{
    snprintf(root, sizeof root, "drive-disk.XXXXXX");
    if (!mkdtemp(root) || (root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return 1;
    TAP_RUN(with_threads);
    TAP_RUN(without_threads);
    TAP_RUN(truncations_and_writes_keep_their_order);
    TAP_RUN(cold_reads_are_whole);
    TAP_RUN(short_writes_are_counted);
    TAP_RUN(a_full_disk_is_told);
    TAP_RUN(wrong_names_fail);
    TAP_RUN(names_come_and_go);
    TAP_RUN(a_loop_ends_with_work_under_way);
    TAP_RUN(files_are_sent);
    TAP_RUN(files_that_cannot_be_sent_close_the_connection);
    TAP_RUN(sending_files_to_the_dead_raises_no_signal);
    close(root_fd);
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command) ? 1 : tap_done();
}
