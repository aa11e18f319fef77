/* Sends lines as records. cc producer.c -o producer $(pkg-config --cflags --libs ferry); ./producer localhost:9092 events <file */
#include <ferry/ferry.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct ferry_error err = {0};
    struct ferry_config *config = ferry_config_new();
    if (argc != 3 || ferry_config_set(config, "bootstrap.servers", argv[1], &err))
        return fprintf(stderr, "usage: producer HOST:PORT TOPIC: %s\n", err.text), 2;
    struct ferry_producer *producer = ferry_producer_new(config, FERRY_REPORTS | FERRY_REPORT_FAILURES_ONLY, &err);
    struct ferry_topic *topic = producer ? ferry_producer_topic(producer, argv[2], &err) : NULL;
    ferry_config_free(config);
    if (!topic)
        return fprintf(stderr, "%s\n", err.text), 1;
    char line[65536];
    int failed = 0;
    while (fgets(line, sizeof line, stdin))
        failed += ferry_send(topic, -1, NULL, 0, line, (int32_t)strcspn(line, "\n"), 0, FERRY_SEND_WAIT) != 0;
    ferry_producer_close(producer, -1, &err);
    for (struct ferry_report *r; (r = ferry_producer_poll(producer, 0)); ferry_report_release(r)) {
        struct ferry_report_info info;
        ferry_report_info(r, &info);
        failed += info.count;
        fprintf(stderr, "%d records failed: %s\n", info.count, info.text);
    }
    ferry_producer_free(producer);
    return failed ? 1 : 0;
}
