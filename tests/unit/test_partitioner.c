/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/partitioner.h"
#include "tests/lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

static const struct ferry_bytes null_key = {NULL, 0}, empty_key = {(const uint8_t *)"", 0},
                                key = {(const uint8_t *)"foobar", 6};

static FILE *open_vectors(void)
{
    char path[1000];
    const char *top = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/vectors/partitioners.txt", top ? top : ".");
    return fopen(path, "r");
}

static bool matches(int32_t kind, struct ferry_bytes k, int32_t count, const char *want)
{
    int32_t partition = -1;
    if (ferry_partitioner_pick(kind, false, false, true, k, count, &partition) != FERRY_PICK_HASHED)
        return !strcmp(want, "random") || !strcmp(want, "sticky");
    return partition == atoi(want);
}

static bool key_line(char *line)
{
    static const int32_t kinds[7] = {
        FERRY_PARTITIONER_DEFAULT,           FERRY_PARTITIONER_CONSISTENT,
        FERRY_PARTITIONER_CONSISTENT_RANDOM, FERRY_PARTITIONER_MURMUR2,
        FERRY_PARTITIONER_MURMUR2_RANDOM,    FERRY_PARTITIONER_FNV1A,
        FERRY_PARTITIONER_FNV1A_RANDOM};
    uint8_t bytes[100];
    char *save, *word[10];
    for (int i = 0; i < 10; i++) {
        word[i] = strtok_r(i ? NULL : line, " \n", &save);
        if (!word[i])
            return false;
    }
    struct ferry_bytes k = {bytes, 0};
    unsigned byte;
    if (word[1][0] == '-')
        k.data = NULL;
    for (char *hex = word[1]; *hex && *hex != '-' && *hex != '.'; hex += 2) {
        sscanf(hex, "%2x", &byte);
        bytes[k.len++] = (uint8_t)byte;
    }
    if (k.data && ferry_partitioner_murmur2(k.data, k.len) != strtoul(word[2], NULL, 10))
        return false;
    for (int i = 0; i < 7; i++)
        if (!matches(kinds[i], k, atoi(word[0]), word[3 + i]))
            return false;
    return true;
}

static bool load_line(char *words)
{
    int32_t load[64], n = 0;
    uint32_t random = (uint32_t)strtol(words, &words, 10);
    bool all = strtol(words, &words, 10) != 0;
    char *want = strchr(words, '=');
    while (want && n < 64 && words < want - 1)
        load[n++] = (int32_t)strtol(words, &words, 10);
    return want && ferry_partitioner_weighted(random, load, n, all) == atoi(want + 1);
}

static void kept_vectors_hold(void)
{
    char line[1000];
    int keys = 0, loads = 0;
    FILE *f = open_vectors();
    CHECK(f);
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "key ", 4)) {
            CHECK(key_line(line + 4));
            keys++;
        } else if (!strncmp(line, "load ", 5)) {
            CHECK(load_line(line + 5));
            loads++;
        }
    }
    fclose(f);
    CHECK(keys > 40 && loads >= 20);
}

static enum ferry_pick pick(int32_t kind, bool custom, bool ignore, bool sticky,
                            struct ferry_bytes k)
{
    int32_t partition;
    return ferry_partitioner_pick(kind, custom, ignore, sticky, k, 10, &partition);
}

/* The table at the head of partitioner.h. */
static void keyless_records_stick_as_told(void)
{
    CHECK_INT(pick(FERRY_PARTITIONER_DEFAULT, false, false, true, null_key), FERRY_PICK_STICKY);
    CHECK_INT(pick(FERRY_PARTITIONER_DEFAULT, false, false, true, empty_key), FERRY_PICK_HASHED);
    CHECK_INT(pick(FERRY_PARTITIONER_DEFAULT, false, true, true, key), FERRY_PICK_STICKY);
    CHECK_INT(pick(FERRY_PARTITIONER_ROUND_ROBIN, false, false, true, key), FERRY_PICK_NEXT);
    CHECK_INT(pick(FERRY_PARTITIONER_RANDOM, false, false, true, key), FERRY_PICK_RANDOM);
    CHECK_INT(pick(FERRY_PARTITIONER_RANDOM, false, false, true, empty_key), FERRY_PICK_RANDOM);
    static const int32_t sticky[] = {FERRY_PARTITIONER_RANDOM, FERRY_PARTITIONER_CONSISTENT_RANDOM,
                                     FERRY_PARTITIONER_MURMUR2_RANDOM,
                                     FERRY_PARTITIONER_FNV1A_RANDOM};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pick(sticky[i], false, false, true, null_key), FERRY_PICK_STICKY_TIME);
        CHECK_INT(pick(sticky[i], false, false, false, null_key), FERRY_PICK_RANDOM);
    }
    CHECK_INT(pick(FERRY_PARTITIONER_CONSISTENT_RANDOM, false, false, true, empty_key),
              FERRY_PICK_STICKY_TIME);
    CHECK_INT(pick(FERRY_PARTITIONER_MURMUR2_RANDOM, false, false, true, empty_key),
              FERRY_PICK_HASHED);
    CHECK_INT(pick(FERRY_PARTITIONER_CONSISTENT, false, false, true, null_key), FERRY_PICK_HASHED);
    CHECK_INT(pick(FERRY_PARTITIONER_DEFAULT, true, false, true, null_key), FERRY_PICK_STICKY_TIME);
    CHECK_INT(pick(FERRY_PARTITIONER_DEFAULT, true, false, false, null_key), FERRY_PICK_CUSTOM);
    CHECK_INT(pick(FERRY_PARTITIONER_DEFAULT, true, false, true, key), FERRY_PICK_CUSTOM);
}

static bool only_third(void *cookie, int32_t partition)
{
    (void)cookie;
    return partition == 3;
}

static void random_prefers_what_is_available(void)
{
    CHECK_INT(ferry_partitioner_random(13, 5, 10, only_third, NULL), 3);
    CHECK_INT(ferry_partitioner_random(12, 5, 10, only_third, NULL), 5);
}

/* Shorter queues are chosen in proportion. */
static void weights_are_proportional(void)
{
    int hits[3] = {0};
    for (uint32_t r = 0; r < 8000; r++) {
        int32_t load[3] = {0, 3, 1}; /* shares 4, 1, 3 */
        hits[ferry_partitioner_weighted(r, load, 3, true)]++;
    }
    CHECK_INT(hits[0], 4000);
    CHECK_INT(hits[1], 1000);
    CHECK_INT(hits[2], 3000);
}

int main(void)
{
    TAP_RUN(kept_vectors_hold);
    TAP_RUN(keyless_records_stick_as_told);
    TAP_RUN(random_prefers_what_is_available);
    TAP_RUN(weights_are_proportional);
    return tap_done();
}
