/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "refbroker/handler/session.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"

enum { PARTS_MAX = 200000, TOPIC_MAX = 256 };
#define STALE_AFTER (120 * FERRY_SECOND)

void broker_sessions_init(struct broker_sessions *ss)
{
    *ss = (struct broker_sessions){0};
    ferry_list_init(&ss->lru);
    ferry_list_init(&ss->closed);
}

struct broker_session *broker_session_find(struct broker_sessions *ss, int32_t id)
{
    return ferry_map_get(&ss->by_id, &id, sizeof id);
}

static void free_list(struct ferry_link *list)
{
    struct ferry_link *l;
    while ((l = ferry_list_pop_front(list)))
        ferry_free(FERRY_CONTAINER(l, struct broker_session_part, link));
}

static void destroy(struct broker_sessions *ss, struct broker_session *s)
{
    ferry_list_remove(&s->lru);
    ss->part_count -= s->parts.live;
    free_list(&s->order);
    free_list(&s->dead);
    ferry_map_free(&s->parts);
    ferry_free(s);
}

void broker_sessions_free(struct broker_sessions *ss)
{
    while (!ferry_list_empty(&ss->lru))
        destroy(ss, FERRY_CONTAINER(ss->lru.next, struct broker_session, lru));
    while (!ferry_list_empty(&ss->closed))
        destroy(ss, FERRY_CONTAINER(ss->closed.next, struct broker_session, lru));
    ferry_map_free(&ss->by_id);
}

void broker_session_close(struct broker_sessions *ss, struct broker_session *s)
{
    if (s->closed)
        return;
    s->closed = true;
    ferry_map_remove(&ss->by_id, &s->id, sizeof s->id);
    ferry_list_remove(&s->lru);
    if (s->busy)
        ferry_list_push_back(&ss->closed, &s->lru);
    else
        destroy(ss, s);
}

/* Closes a session that nobody seems to use; false if there is none. */
static bool make_place(struct broker_sessions *ss, ferry_nsec now)
{
    struct broker_session *oldest;
    if (ferry_list_empty(&ss->lru))
        return false;
    oldest = FERRY_CONTAINER(ss->lru.next, struct broker_session, lru);
    if (oldest->busy || now - oldest->used_at < STALE_AFTER)
        return false;
    broker_session_close(ss, oldest);
    return true;
}

struct broker_session *broker_session_new(struct broker_sessions *ss, struct ferry_prng *prng,
                                          ferry_nsec now, int32_t slots, bool by_id, size_t parts)
{
    if (slots <= 0 || parts > PARTS_MAX)
        return NULL;
    while (ss->by_id.live >= (size_t)slots || ss->part_count + parts > PARTS_MAX)
        if (!make_place(ss, now))
            return NULL;
    struct broker_session *s = ferry_zalloc(sizeof *s);
    if (!s)
        return NULL;
    do
        s->id = (int32_t)ferry_prng_between(prng, 1, INT32_MAX);
    while (broker_session_find(ss, s->id));
    s->epoch = 1;
    s->by_id = by_id;
    s->used_at = now;
    ferry_list_init(&s->order);
    ferry_list_init(&s->dead);
    if (ferry_map_put(&ss->by_id, &s->id, sizeof s->id, s, NULL)) {
        ferry_free(s);
        return NULL;
    }
    ferry_list_push_back(&ss->lru, &s->lru);
    return s;
}

void broker_session_touch(struct broker_sessions *ss, struct broker_session *s, ferry_nsec now)
{
    s->used_at = now;
    ferry_list_remove(&s->lru);
    ferry_list_push_back(&ss->lru, &s->lru);
}

static size_t make_key(const struct broker_session *s, const struct broker_fetch_want *w,
                       uint8_t key[TOPIC_MAX + 4])
{
    size_t n = s->by_id ? sizeof w->id : w->topic.len < TOPIC_MAX ? w->topic.len : TOPIC_MAX;
    memcpy(key, s->by_id ? (const void *)&w->id : (const void *)w->topic.data, n);
    ferry_put32(key + n, (uint32_t)w->index);
    return n + 4;
}

int broker_session_put(struct broker_sessions *ss, struct broker_session *s,
                       const struct broker_fetch_want *w)
{
    uint8_t key[TOPIC_MAX + 4];
    size_t n = make_key(s, w, key);
    struct broker_session_part *p = ferry_map_get(&s->parts, key, n);
    if (p) {
        struct ferry_str topic = p->want.topic;
        p->want = *w;
        p->want.topic = topic;
        return 0;
    }
    if (ss->part_count >= PARTS_MAX)
        return FERRY_E_QUEUE_FULL;
    size_t len = s->by_id ? 0 : w->topic.len < TOPIC_MAX ? w->topic.len : TOPIC_MAX;
    p = ferry_zalloc(sizeof *p + len);
    if (!p || ferry_map_put(&s->parts, key, n, p, NULL)) {
        ferry_free(p);
        return FERRY_E_NOMEM;
    }
    p->want = *w;
    p->want.topic = (struct ferry_str){(char *)(p + 1), len};
    memcpy(p + 1, w->topic.data, len);
    p->sent_watermark = p->sent_start = -1;
    p->fresh = true;
    ferry_list_push_back(&s->order, &p->link);
    ss->part_count++;
    return 0;
}

void broker_session_forget(struct broker_sessions *ss, struct broker_session *s,
                           const struct broker_fetch_want *w)
{
    uint8_t key[TOPIC_MAX + 4];
    struct broker_session_part *p = ferry_map_remove(&s->parts, key, make_key(s, w, key));
    if (!p)
        return;
    ss->part_count--;
    p->forgotten = true;
    ferry_list_remove(&p->link);
    ferry_list_push_back(&s->dead, &p->link);
    if (!s->busy)
        free_list(&s->dead);
}

void broker_session_hold(struct broker_session *s)
{
    s->busy++;
}

void broker_session_release(struct broker_sessions *ss, struct broker_session *s)
{
    FERRY_CHECK(s->busy > 0);
    if (--s->busy)
        return;
    free_list(&s->dead);
    if (s->closed)
        destroy(ss, s);
}
