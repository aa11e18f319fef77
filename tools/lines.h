/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_LINES_H
#define TOOLS_LINES_H
/* Lines of a descriptor by large reads, each line a view until the next call; the last one may lack its newline. */
#include <stdbool.h>
#include <stddef.h>

struct lines {
    int fd;
    char *buffer;
    size_t begin, end, cap;
    bool finished;
};

/* 1: a line in *line, *len without the newline. 0: the end. -1: errno says why not, or EINTR: a signal came. more tells
 * whether another whole line is there already, so that a caller knows when it is about to wait. */
int lines_next(struct lines *, const char **line, size_t *len);
bool lines_more(const struct lines *);

#endif
