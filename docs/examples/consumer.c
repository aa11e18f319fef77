/* Prints COUNT records in a group. cc consumer.c -o consumer $(pkg-config --cflags --libs ferry)
 * ./consumer localhost:9092 events my-group 1000 */
#include <ferry/ferry.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct ferry_error err = {0};
    struct ferry_message messages[100];
    struct ferry_config *config = ferry_config_new();
    if (argc != 5 || ferry_config_set(config, "bootstrap.servers", argv[1], &err) ||
        ferry_config_set(config, "group.id", argv[3], &err) ||
        ferry_config_set(config, "auto.offset.reset", "earliest", &err))
        return fprintf(stderr, "usage: consumer HOST:PORT TOPIC GROUP COUNT: %s\n", err.text), 2;
    struct ferry_consumer *consumer = ferry_consumer_new(config, &err);
    ferry_config_free(config);
    const char *topics[] = {argv[2]};
    if (!consumer || ferry_consumer_subscribe(consumer, topics, 1, &err))
        return fprintf(stderr, "%s\n", err.text), 1;
    for (int left = atoi(argv[4]); left > 0;) {
        int32_t n = ferry_consumer_poll(consumer, messages, left < 100 ? left : 100, 10000, &err);
        if (n <= 0)
            return fprintf(stderr, "nothing in 10 s: %s\n", err.text), 1;
        for (int32_t i = 0; i < n; i++) {
            if (messages[i].error) {
                fprintf(stderr, "error %d: %.*s\n", messages[i].error, messages[i].value_len, (const char *)messages[i].value);
                continue;
            }
            printf("%.*s\n", messages[i].value_len, (const char *)messages[i].value);
            left--;
        }
    }
    ferry_consumer_close(consumer, 10000, &err); /* commits and leaves the group */
    ferry_consumer_free(consumer);
    return 0;
}
