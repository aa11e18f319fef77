/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "engine/frames.h"

#include "base/check.h"
#include "base/mem.h"
#include "ferry/error.h"

enum {
    FIRST_CAP = 4096, /* a slab's first room, if the frame is not shorter */
    GROWTH = 4,       /* and how much more than it holds it may get when it is full */
    LEND_FROM = 16384 /* bytes missing from which a slab is lent */
};

static size_t next_cap(const struct ferry_frames *f, size_t have)
{
    size_t cap = have * GROWTH < FIRST_CAP ? FIRST_CAP : have * GROWTH;
    return cap < f->need ? cap : f->need;
}

/* Makes room for at least one more byte, in proportion to what is there. */
static int make_room(struct ferry_frames *f, size_t coming)
{
    if (!f->slab && f->pool && (f->slab = ferry_slab_pool_take(f->pool, f->need)))
        return 0;
    if (!f->slab) {
        f->slab = ferry_slab_new(next_cap(f, coming));
        return f->slab ? 0 : FERRY_E_NOMEM;
    }
    if (f->slab->len < f->slab->cap)
        return 0;
    struct ferry_slab *grown = ferry_slab_grow(f->slab, next_cap(f, f->slab->len + coming));
    if (!grown)
        return FERRY_E_NOMEM;
    f->slab = grown;
    return 0;
}

/* The frame in f->slab is whole. */
static int finish(struct ferry_frames *f, int (*on_frame)(void *, const struct ferry_frame *),
                  void *cookie)
{
    struct ferry_slab *slab = f->slab;
    f->slab = NULL;
    f->head_len = 0;
    f->lent = false;
    if (f->pool)
        ferry_slab_pool_adopt(f->pool, slab);
    struct ferry_frame frame = {{slab->data, slab->len}, slab};
    int code = on_frame(cookie, &frame);
    ferry_slab_unref(slab);
    return code;
}

static int read_head(struct ferry_frames *f, struct ferry_bytes *in)
{
    while (f->head_len < 4 && in->len) {
        f->head[f->head_len++] = *in->data++;
        in->len--;
    }
    if (f->head_len < 4)
        return 0;
    f->need = ferry_get32(f->head);
    if (f->need > INT32_MAX)
        return FERRY_E_PROTOCOL;
    return f->need > f->limit ? FERRY_E_TOO_LARGE : 0;
}

/* Takes what `in` has of the frame in progress. */
static int take(struct ferry_frames *f, struct ferry_bytes *in,
                int (*on_frame)(void *, const struct ferry_frame *), void *cookie)
{
    if (!f->slab && in->len >= f->need) {
        struct ferry_frame frame = {{in->data, f->need}, NULL};
        in->data += f->need;
        in->len -= f->need;
        f->head_len = 0;
        return on_frame(cookie, &frame);
    }
    while (in->len && (!f->slab || f->slab->len < f->need)) {
        int code = make_room(f, in->len);
        if (code)
            return code;
        size_t room = f->slab->cap - f->slab->len, n = in->len < room ? in->len : room;
        memcpy(f->slab->data + f->slab->len, in->data, n);
        f->slab->len += n;
        in->data += n;
        in->len -= n;
    }
    return f->slab && f->slab->len == f->need ? finish(f, on_frame, cookie) : 0;
}

static int lend(struct ferry_frames *f, struct ferry_id who, struct ferry_actions *out)
{
    if (f->head_len < 4 || !f->slab || f->need - f->slab->len < LEND_FROM)
        return 0;
    int code = make_room(f, 0);
    if (code)
        return code;
    ferry_act(out, FERRY_DO_RECEIVE_INTO, who)->slab = f->slab;
    f->lent = true;
    return 0;
}

int ferry_frames_feed(struct ferry_frames *f, const struct ferry_event *ev, struct ferry_id who,
                      struct ferry_actions *out,
                      int (*on_frame)(void *cookie, const struct ferry_frame *), void *cookie)
{
    if (!ev->data.data) {
        FERRY_CHECK(f->lent && f->slab && f->slab->len <= f->slab->cap);
        if (f->slab->len < f->slab->cap)
            return 0; /* still lent */
        f->lent = false;
        if (f->slab->len == f->need)
            return finish(f, on_frame, cookie);
        return lend(f, who, out);
    }
    struct ferry_bytes in = ev->data;
    while (in.len) {
        int code = f->head_len < 4 ? read_head(f, &in) : 0;
        if (!code && f->head_len == 4)
            code = take(f, &in, on_frame, cookie);
        if (code)
            return code;
    }
    return lend(f, who, out);
}

size_t ferry_frames_held(const struct ferry_frames *f)
{
    return f->slab ? f->slab->cap : 0;
}

void ferry_frames_reset(struct ferry_frames *f)
{
    ferry_slab_unref(f->slab);
    *f = (struct ferry_frames){.limit = f->limit, .pool = f->pool};
}
