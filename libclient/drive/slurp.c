/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "drive/slurp.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int read_all(int fd, const char *path, size_t limit, char **text, size_t *len,
                    struct ferry_error *err)
{
    size_t cap = 0;
    for (;;) {
        if (FERRY_GROW(*text, cap, *len + 4096))
            return ferry_fail(err, FERRY_E_NOMEM, "no memory to read %s", path);
        ssize_t n = read(fd, *text + *len, cap - *len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ferry_fail(err, FERRY_E_IO, "cannot read %s: %s", path, strerror(errno));
        *len += (size_t)n;
        (*text)[*len] = 0;
        if (n == 0)
            return 0;
        if (*len > limit)
            return ferry_fail(err, FERRY_E_TOO_LARGE, "%s has more than %zu bytes", path, limit);
    }
}

int ferry_slurp(const char *path, size_t limit, char **text, size_t *len, struct ferry_error *err)
{
    *text = NULL;
    *len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ferry_fail(err, errno == ENOENT ? FERRY_E_NOT_FOUND : FERRY_E_IO,
                          "cannot open %s: %s", path, strerror(errno));
    int code = read_all(fd, path, limit, text, len, err);
    close(fd);
    if (code) {
        ferry_free(*text);
        *text = NULL;
    }
    return code;
}
