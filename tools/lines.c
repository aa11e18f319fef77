/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024 };

/* Reads more behind `end`, after moving the open line to the front. -1, 0 at the end of the input, 1. */
static int fill(struct lines *l)
{
    if (l->begin) {
        memmove(l->buffer, l->buffer + l->begin, l->end - l->begin);
        l->end -= l->begin;
        l->begin = 0;
    }
    if (l->cap - l->end < READ_SIZE) {
        size_t cap = l->cap ? l->cap * 2 : 2 * (size_t)READ_SIZE;
        char *grown = realloc(l->buffer, cap);
        if (!grown)
            return -1;
        l->buffer = grown;
        l->cap = cap;
    }
    ssize_t n = read(l->fd, l->buffer + l->end, READ_SIZE);
    if (n > 0)
        l->end += (size_t)n;
    return n > 0 ? 1 : (int)n;
}

int lines_next(struct lines *l, const char **line, size_t *len)
{
    size_t searched = 0;
    for (;;) {
        char *from = l->buffer ? l->buffer + l->begin : NULL;
        size_t have = l->end - l->begin;
        char *newline = have > searched ? memchr(from + searched, '\n', have - searched) : NULL;
        if (newline || (l->finished && have)) {
            *line = from;
            *len = newline ? (size_t)(newline - from) : have;
            l->begin += *len + (newline != NULL);
            return 1;
        }
        if (l->finished)
            return 0;
        searched = have;
        int got = fill(l);
        if (got < 0)
            return -1;
        l->finished = got == 0;
    }
}

bool lines_more(const struct lines *l)
{
    return l->end > l->begin && memchr(l->buffer + l->begin, '\n', l->end - l->begin);
}
