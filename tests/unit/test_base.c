/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/prng.h"
#include "base/slab.h"
#include "tests/lib/tap.h"

#include <stdio.h>

static void arena_limits(void)
{
    struct ferry_arena a;
    ferry_arena_init(&a, 64 * 1024);
    char *first = ferry_arena_alloc(&a, 10);
    CHECK(first && first[9] == 0);
    CHECK(ferry_arena_alloc(&a, 60 * 1024));
    CHECK(!ferry_arena_alloc(&a, 8 * 1024));
    CHECK(!ferry_arena_array(&a, SIZE_MAX / 2, 16));
    ferry_arena_reset(&a);
    CHECK(ferry_arena_alloc(&a, 64 * 1024));
    ferry_arena_free(&a);
}

static int fired[3], fired_count;
static void on_fire(struct ferry_timer *t, void *base)
{
    fired[fired_count++] = (int)(t - (struct ferry_timer *)base);
}

static void timers_fire_in_order(void)
{
    struct ferry_timers h = {0};
    struct ferry_timer t[3] = {{.fire = on_fire}, {.fire = on_fire}, {.fire = on_fire}};
    fired_count = 0;
    ferry_timer_set(&h, &t[0], 30);
    ferry_timer_set(&h, &t[1], 10);
    ferry_timer_set(&h, &t[2], 10);
    CHECK_INT(ferry_timers_next(&h), 10);
    ferry_timer_set_earlier(&h, &t[0], 5);
    ferry_timer_cancel(&h, &t[2]);
    ferry_timers_run(&h, 20, t);
    CHECK_INT(fired_count, 2);
    CHECK_INT(fired[0], 0);
    CHECK_INT(fired[1], 1);
    CHECK(ferry_timers_next(&h) == INT64_MAX);
    ferry_timers_free(&h);
}

static void timers_match_a_sorted_list(void)
{
    enum { N = 500 };
    static struct ferry_timer t[N];
    struct ferry_timers h = {0};
    struct ferry_prng r;
    ferry_prng_seed(&r, 7);
    for (int round = 0; round < 5000; round++) {
        struct ferry_timer *x = &t[ferry_prng_below(&r, N)];
        if (ferry_prng_chance(&r, 1, 3))
            ferry_timer_cancel(&h, x);
        else
            ferry_timer_set(&h, x, ferry_prng_between(&r, 0, 100));
        int64_t least = INT64_MAX;
        for (int i = 0; i < N; i++)
            if (ferry_timer_armed(&t[i]) && t[i].at < least)
                least = t[i].at;
        CHECK(ferry_timers_next(&h) == least);
    }
    ferry_timers_free(&h);
}

static void map_keeps_insertion_order(void)
{
    struct ferry_map m = {0};
    char key[16];
    for (long i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%ld", i);
        CHECK_INT(ferry_map_put(&m, key, strlen(key), (void *)(i + 1), NULL), 0);
    }
    for (long i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof key, "k%ld", i);
        CHECK_INT((long)ferry_map_remove(&m, key, strlen(key)), i + 1);
        CHECK(!ferry_map_get_str(&m, key));
    }
    long want = 2;
    size_t at = 0;
    for (struct ferry_map_entry *e; (e = ferry_map_next(&m, &at)); want += 2)
        CHECK_INT((long)e->value, want);
    CHECK_INT(want, 1002);
    CHECK_INT(m.live, 500);
    ferry_map_free(&m);
}

static void map_survives_churn_and_lost_memory(void)
{
    struct ferry_map m = {0};
    for (int i = 0; i < 100000; i++) {
        int key = i % 37;
        if (i % 3 == 0)
            ferry_map_remove(&m, &key, sizeof key);
        else {
            if (i % 101 == 0)
                ferry_mem_fail_after(1);
            int err = ferry_map_put(&m, &key, sizeof key, &m, NULL);
            ferry_mem_fail_after(0);
            CHECK(err == 0 ? ferry_map_get(&m, &key, sizeof key) == &m : err == FERRY_E_NOMEM);
        }
    }
    CHECK(m.cap < 1000);
    ferry_map_free(&m);
}

struct settings {
    int32_t linger;
    char *servers;
    bool idempotent;
    int32_t codec;
};
static const struct ferry_option rows[] = {
    {"linger.ms", FERRY_OPT_INT32, offsetof(struct settings, linger), 0, 900000, "5", NULL, "ms", ""},
    {"bootstrap.servers", FERRY_OPT_STRING, offsetof(struct settings, servers), 0, 0, NULL, NULL, NULL, ""},
    {"enable.idempotence", FERRY_OPT_BOOL, offsetof(struct settings, idempotent), 0, 0, "true", NULL, NULL, ""},
    {"compression.type", FERRY_OPT_ENUM, offsetof(struct settings, codec), 0, 0, "none", "none=0 gzip=1 zstd=4", NULL, ""},
};
static const struct ferry_option_table table = {"client", rows, 4};

static void options_say_what_is_wrong(void)
{
    struct settings s = {0}, copy = {0};
    struct ferry_error err;
    CHECK_INT(ferry_options_init(&table, &s), 0);
    CHECK_INT(s.linger, 5);
    CHECK_INT(ferry_options_set(&table, &s, "linger.ms", "-1", &err), FERRY_E_CONFIG);
    CHECK_STR(err.text, "linger.ms=-1: expected a whole number from 0 to 900000, in ms");
    CHECK_INT(ferry_options_set(&table, &s, "lingr.ms", "1", &err), FERRY_E_CONFIG);
    CHECK(strstr(err.text, "nearest known key is linger.ms"));
    CHECK_INT(ferry_options_set(&table, &s, "compression.type", "lzma", &err), FERRY_E_CONFIG);
    CHECK_STR(err.text, "compression.type=lzma: expected one of none, gzip, zstd");
    CHECK_INT(ferry_options_set(&table, &s, "compression.type", "zstd", &err), 0);
    CHECK_INT(ferry_options_set(&table, &s, "bootstrap.servers", "a:1,b:2", &err), 0);
    CHECK_INT(ferry_options_copy(&table, &copy, &s), 0);
    ferry_options_free(&table, &s);
    CHECK_STR(copy.servers, "a:1,b:2");
    struct ferry_text t = {0};
    ferry_options_get(&rows[3], &copy, &t);
    CHECK_STR(t.data, "zstd");
    ferry_text_free(&t);
    ferry_options_free(&table, &copy);
}

static void json_text_is_valid(void)
{
    struct ferry_text t = {0};
    ferry_text_add_json(&t, (struct ferry_str){"a\"\n\xff\xc3\xa9", 6});
    CHECK_STR(t.data, "\"a\\\"\\u000a\\ufffd\xc3\xa9\"");
    ferry_text_free(&t);
}

static void slabs_count_references(void)
{
    struct ferry_slab *s = ferry_slab_new(100);
    CHECK(s && s->cap == 100 && s->len == 0);
    s = ferry_slab_grow(s, 1000);
    CHECK(s && s->cap == 1000);
    ferry_slab_ref(s);
    ferry_slab_unref(s);
    CHECK_INT(s->refs, 1);
    ferry_slab_unref(s);
    ferry_slab_unref(NULL);
}

static void slab_pools_keep_large_ones(void)
{
    struct ferry_slab_pool *pool = ferry_slab_pool_new();
    CHECK(pool && !ferry_slab_pool_take(pool, 100000));
    struct ferry_slab *a = ferry_slab_new(200000), *b = ferry_slab_new(1000);
    ferry_slab_pool_adopt(pool, a);
    ferry_slab_pool_adopt(pool, b); /* too small to be worth it */
    CHECK(!b->on_free);
    ferry_slab_ref(a);
    ferry_slab_unref(a);
    CHECK(!ferry_slab_pool_take(pool, 100000)); /* still in use */
    a->len = 7;
    ferry_slab_unref(a);
    struct ferry_slab *again = ferry_slab_pool_take(pool, 150000);
    CHECK(again == a && a->cap == 150000 && a->room == 200000 && a->len == 0);
    ferry_slab_unref(again);
    CHECK(!ferry_slab_pool_take(pool, 300000)); /* the spare one is too small now, and gone */
    struct ferry_slab *c = ferry_slab_new(100000);
    ferry_slab_pool_adopt(pool, c);
    ferry_slab_unref(c);
    ferry_slab_pool_trim(pool);
    CHECK(!ferry_slab_pool_take(pool, 90000));
    struct ferry_slab *late = ferry_slab_new(100000);
    ferry_slab_pool_adopt(pool, late);
    ferry_slab_pool_free(pool);
    ferry_slab_unref(late); /* the pool is closed: freed */
    ferry_slab_unref(b);
}

int main(void)
{
    TAP_RUN(arena_limits);
    TAP_RUN(timers_fire_in_order);
    TAP_RUN(timers_match_a_sorted_list);
    TAP_RUN(map_keeps_insertion_order);
    TAP_RUN(map_survives_churn_and_lost_memory);
    TAP_RUN(options_say_what_is_wrong);
    TAP_RUN(json_text_is_valid);
    TAP_RUN(slabs_count_references);
    TAP_RUN(slab_pools_keep_large_ones);
    return tap_done();
}
