/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our side of the codec's proof; Codec.java is the other.
 *
 *   peer check FLOOR < FILE...   each message decodes, and encodes to the same bytes; every message
 * and version of our schema is among them at least FLOOR times peer make SEED COUNT         COUNT
 * random messages of each message and version, to stdout peer text < FILE             the messages
 * as lines: name, version, hexadecimal
 */
#include "config.h"

#include "tests/lib/gen.h"
#include "wire/codec.h"
#include "wire/value.h"

#include <stdio.h>
#include <stdlib.h>

enum { VERSIONS = 64, FRAME_MAX = 1 << 20 };

static unsigned long seen[FERRY_MSG_COUNT][VERSIONS];
static uint8_t bytes[FRAME_MAX];

struct frame {
    char name[256];
    int version;
    struct ferry_bytes body;
};

/* 1, 0 at the end, -1 when the file is broken. */
static int next_frame(struct frame *f)
{
    uint8_t head[6];
    if (fread(head, 1, 2, stdin) != 2)
        return 0;
    size_t n = ferry_get16(head);
    if (n >= sizeof f->name || fread(f->name, 1, n, stdin) != n || fread(head, 1, 6, stdin) != 6)
        return -1;
    f->name[n] = 0;
    f->version = (int16_t)ferry_get16(head);
    f->body = (struct ferry_bytes){bytes, ferry_get32(head + 2)};
    return f->body.len <= sizeof bytes && fread(bytes, 1, f->body.len, stdin) == f->body.len ? 1
                                                                                             : -1;
}

/* Kafka's class names end in Data where our names do not. */
static int find(const char *name)
{
    size_t n = strlen(name);
    for (int strip = 0; strip <= 4 && n > 4; strip += 4) {
        for (int i = 0; i < FERRY_MSG_COUNT; i++) {
            const char *ours = ferry_msg_name(&ferry_msgs[i]);
            if (strlen(ours) == n - (size_t)strip && !strncmp(ours, name, n - (size_t)strip) &&
                (!strip || !strcmp(name + n - 4, "Data")))
                return i;
        }
    }
    return -1;
}

static const char *check_frame(const struct frame *f, int i)
{
    _Alignas(16) uint8_t value[2048];
    const struct ferry_msg *msg = &ferry_msgs[i];
    struct ferry_arena arena = {.limit = 16 << 20};
    struct ferry_writer w = {0};
    static struct ferry_error err;
    const char *bad = NULL;
    if (ferry_msg_decode(msg, f->version, f->body, FERRY_DECODE_WHOLE | FERRY_DECODE_KEEP_TAGS,
                         &arena, value, &err) ||
        ferry_msg_encode(msg, f->version, value, &w, &err))
        bad = err.text;
    else if (w.len != f->body.len || memcmp(w.data, f->body.data, w.len) != 0)
        bad = "it comes back as other bytes";
    ferry_writer_free(&w);
    ferry_arena_free(&arena);
    return bad;
}

static int check(unsigned long floor)
{
    struct frame f;
    unsigned long messages = 0, bad = 0, pairs = 0, thin = 0;
    char told[sizeof f.name] = ""; /* one line a name is enough */
    int more;
    while ((more = next_frame(&f)) > 0) {
        int i = find(f.name);
        const char *what = i < 0 ? "we do not know it" : check_frame(&f, i);
        bad += what != NULL;
        if (what && strcmp(told, f.name) != 0) {
            printf("# %s version %d: %s\n", f.name, f.version, what);
            strcpy(told, f.name);
        }
        if (!what)
            seen[i][f.version]++;
        messages++;
    }
    for (int i = 0; i < FERRY_MSG_COUNT; i++) {
        for (int v = ferry_msgs[i].min; gen_is_kafka(&ferry_msgs[i]) && v <= ferry_msgs[i].max; v++) {
            pairs++;
            if (seen[i][v] >= floor)
                continue;
            if (thin++ < 20)
                printf("# %s version %d: only %lu came\n", ferry_msg_name(&ferry_msgs[i]), v,
                       seen[i][v]);
        }
    }
    printf("# checked %lu messages, %lu bad; of our %lu messages and versions %lu had fewer than "
           "%lu\n",
           messages, bad, pairs, thin, floor);
    return more < 0 || bad || thin || !messages;
}

static void put_frame(const char *name, int version, const struct ferry_writer *w)
{
    uint8_t head[6];
    size_t n = strlen(name);
    ferry_put16(head, (uint16_t)n);
    fwrite(head, 1, 2, stdout);
    fwrite(name, 1, n, stdout);
    ferry_put16(head, (uint16_t)version);
    ferry_put32(head + 2, (uint32_t)w->len);
    fwrite(head, 1, 6, stdout);
    fwrite(w->data, 1, w->len, stdout);
}

static int make(uint64_t seed, unsigned long count)
{
    _Alignas(16) uint8_t value[2048];
    struct ferry_arena arena = {.limit = 64 << 20};
    struct ferry_writer w = {0};
    for (int i = 0; i < FERRY_MSG_COUNT; i++) {
        const struct ferry_msg *msg = &ferry_msgs[i];
        for (int v = msg->min; gen_is_kafka(msg) && v <= msg->max; v++) {
            struct gen g;
            gen_init(&g, seed * 7919 + (uint64_t)i * 131 + (uint64_t)v, &arena);
            for (unsigned long n = 0; n < count; n++) {
                ferry_arena_reset(&arena);
                ferry_writer_reset(&w);
                if (!gen_message(&g, msg, v, value) || ferry_msg_encode(msg, v, value, &w, NULL))
                    return 1;
                put_frame(ferry_msg_name(msg), v, &w);
            }
        }
    }
    ferry_arena_free(&arena);
    ferry_writer_free(&w);
    return fflush(stdout) != 0;
}

static int list(void)
{
    for (int i = 0; i < FERRY_MSG_COUNT; i++) {
        for (int v = ferry_msgs[i].min; gen_is_kafka(&ferry_msgs[i]) && v <= ferry_msgs[i].max; v++)
            printf("%s %d\n", ferry_msg_name(&ferry_msgs[i]), v);
    }
    return 0;
}

static int text(void)
{
    struct frame f;
    int more;
    while ((more = next_frame(&f)) > 0) {
        int known = find(f.name);
        printf("%s %d ", known < 0 ? f.name : ferry_msg_name(&ferry_msgs[known]), f.version);
        for (size_t i = 0; i < f.body.len; i++)
            printf("%02x", f.body.data[i]);
        printf("\n");
    }
    return more < 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "check"))
        return check(strtoul(argv[2], NULL, 10));
    if (argc == 4 && !strcmp(argv[1], "make"))
        return make(strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    if (argc == 2 && !strcmp(argv[1], "text"))
        return text();
    if (argc == 2 && !strcmp(argv[1], "list"))
        return list();
    fprintf(stderr, "usage: peer check FLOOR | make SEED COUNT | list | text\n");
    return 2;
}
