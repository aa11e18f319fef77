/* A producer and a consumer on the caller's own epoll loop, with no thread at all. Build:
 *     cc loop.c -o loop $(pkg-config --cflags --libs ferry)
 *     ./loop localhost:9092 events 1000 */
#include <ferry/ferry.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static struct ferry_error err;

static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: %s\n", what, err.text);
        exit(1);
    }
}

static struct ferry_config *settings(const char *servers, const char *group)
{
    struct ferry_config *c = ferry_config_new();
    must(!ferry_config_set(c, "bootstrap.servers", servers, &err), "servers");
    must(!ferry_config_set(c, "ferry.io.thread", "false", &err), "no thread");
    must(!ferry_config_set(c, "group.id", group, &err), "group");
    must(!ferry_config_set(c, "auto.offset.reset", "earliest", &err), "reset");
    return c;
}

/* Sends until there is no room, then takes what is reported; returns how many records are delivered. */
static int pump_producer(struct ferry_producer *p, struct ferry_topic *topic, int *sent, int count)
{
    char text[32];
    int delivered = 0;
    while (*sent < count) {
        int n = snprintf(text, sizeof text, "value %d", *sent);
        if (ferry_send(topic, -1, text, n, text, n, 0, 0))
            break;
        ++*sent;
    }
    for (struct ferry_report *r; (r = ferry_producer_poll(p, 0)); ferry_report_release(r)) {
        struct ferry_report_info info;
        ferry_report_info(r, &info);
        if (info.error) {
            fprintf(stderr, "%d records failed: %s\n", info.count, info.text);
            exit(1);
        }
        delivered += info.count;
    }
    return delivered;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: loop HOST:PORT TOPIC COUNT\n");
        return 2;
    }
    int count = atoi(argv[3]), sent = 0, delivered = 0, received = 0;
    struct ferry_config *config = settings(argv[1], "loop");
    struct ferry_producer *p = ferry_producer_new(config, FERRY_REPORTS, &err);
    must(p != NULL, "producer");
    struct ferry_consumer *c = ferry_consumer_new(config, &err);
    must(c != NULL, "consumer");
    ferry_config_free(config);
    struct ferry_topic *topic = ferry_producer_topic(p, argv[2], &err);
    must(topic != NULL, "topic");
    must(!ferry_consumer_subscribe(c, (const char *const *)&argv[2], 1, &err), "subscribe");

    struct ferry_handle *handles[2] = {ferry_producer_handle(p), ferry_consumer_handle(c)};
    int loop = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(loop, EPOLL_CTL_ADD, ferry_handle_fd(handles[i]), &ev);
    }
    while (delivered < count || received < count) {
        struct epoll_event ev[2];
        struct ferry_message m[100];
        int a = ferry_handle_timeout_ms(handles[0]), b = ferry_handle_timeout_ms(handles[1]);
        epoll_wait(loop, ev, 2, a < 0 || (b >= 0 && b < a) ? b : a);
        for (int i = 0; i < 2; i++)
            ferry_handle_step(handles[i]);
        delivered += pump_producer(p, topic, &sent, count);
        for (int n; (n = ferry_consumer_poll(c, m, 100, 0, &err)) > 0;)
            for (int i = 0; i < n; i++)
                received += m[i].error == 0;
    }
    printf("sent %d records, received %d\n", delivered, received);
    ferry_consumer_close(c, 5000, &err);
    ferry_consumer_free(c);
    ferry_producer_close(p, 5000, &err);
    ferry_producer_free(p);
    return 0;
}
