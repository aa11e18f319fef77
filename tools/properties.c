/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Java's properties files, for --reader-config and --formatter-config: comments, continued lines, escapes. */

#include "tools/opt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A \uXXXX at `text`, as UTF-8 into out. Returns the bytes written; 0 if it is none. */
static size_t put_unicode(const char *text, char *out)
{
    unsigned code;
    if (strspn(text, "0123456789abcdefABCDEF") < 4 || sscanf(text, "%4x", &code) != 1)
        return 0;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

/* Resolves escapes in place; returns the new length. */
static size_t unescape(char *text, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        static const char from[] = "tnrf", to[] = "\t\n\r\f";
        if (text[i] != '\\' || i + 1 == len) {
            text[out++] = text[i];
            continue;
        }
        const char *escape = strchr(from, text[++i]);
        size_t n = text[i] == 'u' && len - i > 4 ? put_unicode(text + i + 1, text + out) : 0;
        if (n) {
            out += n;
            i += 4;
        } else {
            text[out++] = escape && *escape ? to[escape - from] : text[i];
        }
    }
    return out;
}

/* A logical line "key = value" as "key=value", which the caller frees; NULL without memory. */
static char *to_pair(const char *line)
{
    size_t len = strlen(line), key = 0;
    while (key < len && !strchr("=: \t", line[key]))
        key += line[key] == '\\' && key + 1 < len ? 2 : 1;
    if (key > len)
        key = len;
    size_t value = key + strspn(line + key, " \t");
    if (line[value] == '=' || line[value] == ':')
        value += 1 + strspn(line + value + 1, " \t");
    char *pair = malloc(len + 2);
    if (!pair)
        return NULL;
    memcpy(pair, line, key);
    size_t n = unescape(pair, key);
    pair[n++] = '=';
    memcpy(pair + n, line + value, len - value);
    n += unescape(pair + n, len - value);
    pair[n] = 0;
    return pair;
}

/* The next logical line, without leading blanks, comments and empty lines; NULL at the end. Cuts the text in place. */
static char *next_line(char **at)
{
    while (**at) {
        char *line = *at + strspn(*at, " \t\f\r\n"), *in = line, *out = line;
        bool comment = *line == '#' || *line == '!';
        while (*in && *in != '\n' && *in != '\r') {
            if (*in == '\\' && !comment && in[1]) {
                size_t eol = strspn(in + 1, "\r");
                if (in[1 + eol] ==
                    '\n') { /* goes on in the next line, whose leading blanks do not count */
                    in += 2 + eol;
                    in += strspn(in, " \t\f");
                    continue;
                }
                *out++ = *in++;
            }
            *out++ = *in++;
        }
        *at = *in ? in + 1 : in;
        *out = 0;
        if (!comment && *line)
            return line;
    }
    return NULL;
}

static char *read_file(struct opt_program *p, const char *option, const char *path)
{
    enum { MOST = 1 << 20 };
    FILE *file = fopen(path, "re");
    char *text = calloc(1, MOST + 1);
    if (!file || !text)
        opt_usage(p, "%s %s: %s", option, path, strerror(file ? ENOMEM : errno));
    size_t n = fread(text, 1, MOST, file);
    if (ferror(file))
        opt_usage(p, "%s %s: %s", option, path, strerror(errno));
    if (n == MOST)
        opt_usage(p, "%s %s: larger than %d bytes", option, path, MOST);
    fclose(file);
    return text;
}

void opt_load_properties(struct opt_program *p, const char *file_option, const char *into)
{
    const char *path = opt_get(p, file_option)->text, **pairs = NULL;
    struct opt *o = opt_get(p, into);
    if (!path)
        return;
    char *text = read_file(p, file_option, path), *at = text, *line;
    size_t count = 0;
    while ((line = next_line(&at))) {
        const char **grown = realloc(pairs, (count + o->count + 1) * sizeof *grown);
        char *pair = grown ? to_pair(line) : NULL;
        if (!pair) {
            opt_say(p, "out of memory");
            exit(EXIT_FAILED);
        }
        pairs = grown;
        pairs[count++] = pair; /* lives as long as the program */
    }
    free(text);
    if (!count)
        return;
    if (o->count)
        memcpy(pairs + count, o->all, o->count * sizeof *pairs);
    free(o->all);
    o->all = pairs;
    o->count += count;
    o->text = pairs[o->count - 1];
}
