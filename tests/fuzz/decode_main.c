/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the decode target without a fuzzer: for every message and version, random valid messages
 * must come back byte for byte, and mutations of them must hold what decode.c says.
 *
 *   decode [COUNT [SEED]]      COUNT mutations a message and version (default 20; a tenth with
 * sanitizers) decode --files FILE...     inputs that a fuzzer kept
 */
#include "config.h"

#include "tests/fuzz/decode.h"
#include "tests/lib/gen.h"
#include "tests/lib/tap.h"
#include "wire/codec.h"
#include "wire/value.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned long count = 20, seed = 1;
static unsigned long pairs, messages, mutations, decoded_mutations;

static const char *one_message(struct gen *g, const struct ferry_msg *msg, int version,
                               unsigned long todo)
{
    _Alignas(16) uint8_t value[2048], back[2048];
    struct ferry_writer w = {0}, again = {0};
    struct ferry_arena arena = {.limit = 64 << 20};
    const char *bad = NULL;
    bool decoded;
    if (!gen_message(g, msg, version, value))
        bad = "no memory for a random message";
    else if (ferry_msg_encode(msg, version, value, &w, NULL))
        bad = "a random message does not encode";
    else if (ferry_msg_decode(msg, version, (struct ferry_bytes){w.data, w.len},
                              FERRY_DECODE_WHOLE | FERRY_DECODE_KEEP_TAGS, &arena, back, NULL))
        bad = "a random message does not decode";
    else if (!ferry_msg_equal(msg, value, back))
        bad = "a random message comes back changed";
    else if (ferry_msg_encode(msg, version, back, &again, NULL) || w.len != again.len ||
             (w.len && memcmp(w.data, again.data, w.len)))
        bad = "a random message comes back as other bytes";
    messages++;
    uint8_t *buf = malloc(2 * w.len + 16);
    for (; buf && !bad && todo && w.len; todo--) {
        size_t n = gen_mutate(g, w.data, w.len, buf);
        bad = fuzz_decode(msg, version, (unsigned)ferry_prng_below(&g->prng, 4),
                          (struct ferry_bytes){buf, n}, &decoded);
        mutations++;
        decoded_mutations += decoded;
    }
    free(buf);
    ferry_arena_free(&arena);
    ferry_writer_free(&again);
    ferry_writer_free(&w);
    return bad;
}

static void every_message_and_version(void)
{
    for (size_t i = 0; i < FERRY_MSG_COUNT; i++) {
        const struct ferry_msg *msg = &ferry_msgs[i];
        for (int version = msg->min; gen_is_top(msg) && version <= msg->max; version++) {
            struct ferry_arena arena = {.limit = 64 << 20};
            struct gen g;
            gen_init(&g, seed * 1000003 + i * 131 + (unsigned)version, &arena);
            for (unsigned long done = 0; done < count; done += 10) {
                const char *bad = one_message(&g, msg, version, 10);
                if (bad) {
                    printf("# %s version %d, seed %lu: %s\n", ferry_msg_name(msg), version, seed,
                           bad);
                    tap_fail(__FILE__, __LINE__, bad);
                    ferry_arena_free(&arena);
                    return;
                }
                ferry_arena_reset(&arena);
            }
            ferry_arena_free(&arena);
            pairs++;
        }
    }
    printf("# %lu messages and versions, %lu random messages, %lu mutations of which %lu still "
           "decode; at most %.0f bytes "
           "of memory a byte\n",
           pairs, messages, mutations, decoded_mutations, fuzz_decode_worst());
    CHECK(pairs > 700);
    CHECK(mutations > count * pairs / 2);
    CHECK(decoded_mutations > mutations / 50 && decoded_mutations < mutations);
}

static int run_files(int argc, char **argv)
{
    static uint8_t buf[1 << 20];
    for (int i = 0; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            perror(argv[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput(buf, fread(buf, 1, sizeof buf, f));
        fclose(f);
    }
    return 0;
}

static int find(const char *name)
{
    for (int i = 0; i < FERRY_MSG_COUNT; i++) {
        if (!strcmp(ferry_msg_name(&ferry_msgs[i]), name))
            return i;
    }
    return -1;
}

static int write_seeds(const char *vectors, const char *dir)
{
    static char line[4096], name[256], hex[2048], path[4096];
    FILE *in = fopen(vectors, "r");
    int version, written = 0;
    while (in && fgets(line, sizeof line, in)) {
        if (line[0] == '#' || sscanf(line, "%255s %d %2047s", name, &version, hex) != 3)
            continue;
        int i = find(name);
        snprintf(path, sizeof path, "%s/%s-%d", dir, name, version);
        FILE *out = i < 0 ? NULL : fopen(path, "wb");
        if (!out)
            return 1;
        uint8_t head[3] = {(uint8_t)(i >> 8), (uint8_t)i, (uint8_t)(version - ferry_msgs[i].min)};
        fwrite(head, 1, sizeof head, out);
        unsigned byte;
        for (const char *p = hex; sscanf(p, "%2x", &byte) == 1; p += 2)
            fputc((int)byte, out);
        written += fclose(out) == 0;
    }
    if (in)
        fclose(in);
    return written == 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--seeds"))
        return write_seeds(argv[2], argv[3]);
    if (argc > 1 && !strcmp(argv[1], "--files"))
        return run_files(argc - 2, argv + 2);
    if (argc > 1)
        count = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoul(argv[2], NULL, 10);
#ifdef FERRY_SANITIZED
    count = (count + 9) / 10;
#endif
    TAP_RUN(every_message_and_version);
    return tap_done();
}
