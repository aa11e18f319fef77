/* SPDX-License-Identifier: BSD-2-Clause */
/* The same two tables by our own partitioners: `ours java` and `ours rdkafka`, keys on standard
 * input. */
#include "config.h"

#include "client/partitioner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(enum ferry_pick pick, int32_t partition, const char *drawn)
{
    if (pick == FERRY_PICK_HASHED)
        printf("%d ", partition);
    else
        printf("%s ", drawn);
}

static void java_line(struct ferry_bytes key, int32_t count)
{
    int32_t partition = 0;
    if (ferry_partitioner_pick(FERRY_PARTITIONER_DEFAULT, false, false, true, key, count,
                               &partition) != FERRY_PICK_HASHED)
        printf("sticky\n");
    else
        printf("%u %d\n", ferry_partitioner_murmur2(key.data, key.len), partition);
}

static void rdkafka_line(struct ferry_bytes key, int32_t count)
{
    static const int32_t kinds[6] = {
        FERRY_PARTITIONER_CONSISTENT, FERRY_PARTITIONER_CONSISTENT_RANDOM,
        FERRY_PARTITIONER_MURMUR2,    FERRY_PARTITIONER_MURMUR2_RANDOM,
        FERRY_PARTITIONER_FNV1A,      FERRY_PARTITIONER_FNV1A_RANDOM};
    for (int i = 0; i < 6; i++) {
        int32_t partition = 0;
        enum ferry_pick pick =
            ferry_partitioner_pick(kinds[i], false, false, true, key, count, &partition);
        say(pick, partition, "random");
    }
    printf("\n");
}

static void load_line(char *words)
{
    int32_t load[256], n = 0;
    uint32_t random = (uint32_t)strtol(words, &words, 10);
    int all = (int)strtol(words, &words, 10);
    char *end;
    for (;; words = end) {
        long v = strtol(words, &end, 10);
        if (end == words || n == 256)
            break;
        load[n++] = (int32_t)v;
    }
    printf("%d\n", ferry_partitioner_weighted(random, load, n, all));
}

int main(int argc, char **argv)
{
    static char line[1 << 16];
    static uint8_t bytes[1 << 15];
    int java = argc > 1 && !strcmp(argv[1], "java");
    while (fgets(line, sizeof line, stdin)) {
        if (!strncmp(line, "load ", 5)) {
            if (java)
                load_line(line + 5);
            continue;
        }
        char *hex = strchr(line, ' ');
        unsigned byte;
        struct ferry_bytes key = {bytes, 0};
        if (!hex)
            continue;
        int32_t count = atoi(line);
        for (hex++; *hex != '-' && *hex != '.' && sscanf(hex, "%2x", &byte) == 1; hex += 2)
            bytes[key.len++] = (uint8_t)byte;
        if (*hex == '-' && key.len == 0)
            key.data = NULL;
        if (java)
            java_line(key, count);
        else
            rdkafka_line(key, count);
    }
    return 0;
}
