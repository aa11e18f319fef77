/* SPDX-License-Identifier: BSD-2-Clause */
/* Topics that come to be when they are asked for, and in relay mode what was produced to them. */
#include "sink.h"

topic_t topics[MAXTOPICS];
int ntopics;

topic_t *topic_get(const char *n, int l)
{
    static topic_t overflow;
    for (int i = 0; i < ntopics; i++)
        if (topics[i].nlen == l && !memcmp(topics[i].name, n, l))
            return &topics[i];
    topic_t *t = ntopics < MAXTOPICS ? &topics[ntopics++] : &overflow;
    if (l > 255)
        l = 255;
    memcpy(t->name, n, l);
    t->name[l] = 0;
    t->nlen = l;
    uint64_t h = 1469598103934665603ull;
    for (int i = 0; i < l; i++)
        h = (h ^ (uint8_t)n[i]) * 1099511628211ull;
    memcpy(t->id, &h, 8);
    memcpy(t->id + 8, "sinkbrkr", 8);
    free(t->next);
    t->next = calloc(o_parts, sizeof *t->next);
    t->log = calloc(o_parts, sizeof *t->log);
    return t;
}
void log_keep(topic_t *t, int part, const uint8_t *p, uint32_t len, uint32_t count)
{
    log_t *l = &t->log[part];
    if (l->head + l->n == l->cap) {
        if (l->head > l->cap / 2) {
            memmove(l->v, l->v + l->head, l->n * sizeof *l->v);
            l->head = 0;
        } else {
            l->cap = l->cap ? l->cap * 2 : 256;
            l->v = realloc(l->v, l->cap * sizeof *l->v);
        }
    }
    kept_t *k = &l->v[l->head + l->n++];
    *k = (kept_t){t->next[part], count, len, malloc(len)};
    memcpy(k->p, p, len);
    put_i64(k->p, t->next[part]);
    memset(k->p + 12, 0, 4);
    l->bytes += len;
    while (l->bytes > (64u << 20) && l->n > 1) {
        l->bytes -= l->v[l->head].len;
        free(l->v[l->head].p);
        l->head++;
        l->n--;
    }
}
size_t log_find(log_t *l, int64_t off)
{
    size_t lo = 0, hi = l->n;
    while (lo < hi) {
        size_t m = (lo + hi) / 2;
        kept_t *k = &l->v[l->head + m];
        if (k->base + k->count <= off)
            lo = m + 1;
        else
            hi = m;
    }
    return lo;
}
topic_t *topic_by_id(const uint8_t *id)
{
    for (int i = 0; i < ntopics; i++)
        if (!memcmp(topics[i].id, id, 16))
            return &topics[i];
    return NULL;
}
