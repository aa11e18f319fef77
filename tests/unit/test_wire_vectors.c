/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that Apache Kafka's own classes wrote, kept for machines without a JVM: each decodes, and
 * encodes to the same. */
#include "config.h"

#include "ferry/ferry.h"
#include "tests/lib/gen.h"
#include "tests/lib/tap.h"
#include "wire/codec.h"
#include "wire/errors.h"
#include "wire/value.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *open_vectors(const char *name)
{
    const char *top = getenv("srcdir"); /* set by make check */
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/vectors/%s", top ? top : ".", name);
    return fopen(path, "r");
}

static int find(const char *name)
{
    for (int i = 0; i < FERRY_MSG_COUNT; i++) {
        if (!strcmp(ferry_msg_name(&ferry_msgs[i]), name))
            return i;
    }
    return -1;
}

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t n = 0;
    unsigned byte;
    while (sscanf(text + 2 * n, "%2x", &byte) == 1)
        out[n++] = (uint8_t)byte;
    return n;
}

static const char *check_vector(int i, int version, struct ferry_bytes in)
{
    _Alignas(16) uint8_t value[2048], copy[2048];
    const struct ferry_msg *msg = &ferry_msgs[i];
    struct ferry_arena arena = {.limit = 1 << 20};
    struct ferry_writer w = {0};
    struct ferry_text text = {0};
    const char *bad = NULL;
    if (ferry_msg_decode(msg, version, in, FERRY_DECODE_WHOLE | FERRY_DECODE_KEEP_TAGS, &arena,
                         value, NULL))
        bad = "does not decode";
    else if (ferry_msg_encode(msg, version, value, &w, NULL) || w.len != in.len ||
             (in.len && memcmp(w.data, in.data, in.len)))
        bad = "comes back as other bytes";
    else if (ferry_msg_copy(msg, value, &arena, copy) || !ferry_msg_equal(msg, value, copy))
        bad = "has a copy that differs";
    ferry_msg_print(msg, version, value, &text);
    if (!bad && (text.failed || text.data[0] != '{' || text.data[text.len - 1] != '}'))
        bad = "does not print";
    ferry_text_free(&text);
    ferry_writer_free(&w);
    ferry_arena_free(&arena);
    return bad;
}

static void messages_of_kafka(void)
{
    FILE *f = open_vectors("messages.txt");
    CHECK(f != NULL);
    static char line[4096], name[256], hex[2048];
    static bool seen[FERRY_MSG_COUNT][INT8_MAX];
    unsigned bad = 0, pairs = 0;
    while (fgets(line, sizeof line, f)) {
        uint8_t bytes[1024];
        int version;
        if (line[0] == '#' || sscanf(line, "%255s %d %2047s", name, &version, hex) != 3)
            continue;
        int i = find(name);
        const char *what =
            i < 0 ? "is not known"
                  : check_vector(i, version, (struct ferry_bytes){bytes, from_hex(hex, bytes)});
        if (what) {
            printf("# %s version %d %s\n", name, version, what);
            bad++;
        } else {
            seen[i][version] = true;
        }
    }
    fclose(f);
    CHECK_INT(bad, 0);
    for (int i = 0; i < FERRY_MSG_COUNT; i++) {
        for (int v = ferry_msgs[i].min; gen_is_kafka(&ferry_msgs[i]) && v <= ferry_msgs[i].max;
             v++, pairs++) {
            if (!seen[i][v])
                printf("# no vector of %s version %d\n", ferry_msg_name(&ferry_msgs[i]), v);
            bad += !seen[i][v];
        }
    }
    CHECK_INT(bad, 0);
    CHECK(pairs >= 798);
}

static void error_codes_of_kafka(void)
{
    FILE *f = open_vectors("errors.txt");
    CHECK(f != NULL);
    static char line[256], name[200];
    int code, retriable, count = 0, bad = 0;
    while (fgets(line, sizeof line, f) &&
           sscanf(line, "%d %199s %d", &code, name, &retriable) == 3) {
        bool ours = ferry_error_flags(code) & FERRY_ERROR_RETRIABLE;
        if (strcmp(ferry_error_name(code), name) != 0 && code != 0)
            printf("# %d is %s, not %s\n", code, name, ferry_error_name(code)), bad++;
        if (ours != retriable)
            printf("# %s: retriable is %d in Kafka\n", name, retriable), bad++;
        count++;
    }
    fclose(f);
    CHECK_INT(bad, 0);
    CHECK_INT(count, 138);
}

int main(void)
{
    TAP_RUN(messages_of_kafka);
    TAP_RUN(error_codes_of_kafka);
    return tap_done();
}
