/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the real librdkafka's partitioners say of each key: a line of their partitions, "random"
 * where they draw one. The library is given by path (argument 1) and opened at run time, so that
 * any release can be asked.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int32_t partitioner(const void *topic, const void *key, size_t len, int32_t count, void *,
                            void *);

static partitioner *find(void *lib, const char *name)
{
    char symbol[100];
    snprintf(symbol, sizeof symbol, "rd_kafka_msg_partitioner_%s", name);
    partitioner *p = (partitioner *)(intptr_t)dlsym(lib, symbol);
    if (!p) {
        fprintf(stderr, "rdkafka: no %s\n", symbol);
        exit(1);
    }
    return p;
}

int main(int argc, char **argv)
{
    static const char *const names[6] = {
        "consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a", "fnv1a_random"};
    static char line[1 << 16];
    partitioner *of[6];
    void *lib = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!lib) {
        fprintf(stderr, "usage: rdkafka LIBRARY <keys (%s)\n", argc > 1 ? dlerror() : "");
        return 1;
    }
    for (int i = 0; i < 6; i++)
        of[i] = find(lib, names[i]);
    while (fgets(line, sizeof line, stdin)) {
        char *hex = strchr(line, ' ');
        static uint8_t key[1 << 15];
        size_t len = 0;
        unsigned byte;
        if (!hex || !strncmp(line, "load", 4))
            continue;
        int32_t count = atoi(line);
        hex++;
        int null = *hex == '-';
        while (*hex != '-' && *hex != '.' && sscanf(hex, "%2x", &byte) == 1) {
            key[len++] = (uint8_t)byte;
            hex += 2;
        }
        for (int i = 0; i < 6; i++) {
            /* These draw a random partition, and need a topic for it. */
            int draws = (i == 1 && len == 0) || (i % 2 == 1 && null);
            if (draws)
                printf("random ");
            else
                printf("%d ", of[i](NULL, null ? NULL : key, len, count, NULL, NULL));
        }
        printf("\n");
    }
    return 0;
}
