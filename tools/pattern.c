/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/pattern.h"

#include <stdlib.h>
#include <string.h>

static const char name_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

bool pattern_is_name(const char *text, size_t len)
{
    return strspn(text, name_characters) >= len;
}

/* Java's expression in POSIX's words, into `out`, which has room for 8 bytes for each. */
static void translate(struct opt_program *p, const char *option, const char *text, char *out)
{
    bool literal = pattern_is_name(text, strlen(text)), set = false;
    for (const char *at = text; *at; at++) {
        if (literal && *at == '.') {
            out = stpcpy(out, "[.]");
        } else if (!set && at[0] == '\\' && at[1] == 'd') {
            out = stpcpy(out, "[0-9]");
            at++;
        } else if (!set && at[0] == '\\' && at[1]) {
            if (strchr("ABDQEGZzpPhHvVuxtnrfk123456789", at[1]))
                opt_usage(p, "%s %s: \\%c is Java's; POSIX extended expressions have no such thing",
                          option, text, at[1]);
            *out++ = *at++;
            *out++ = *at;
        } else if (at[0] == '(' && at[1] == '?') {
            if (set || at[2] != ':')
                opt_usage(p, "%s %s: (?%c is Java's; POSIX extended expressions have no such thing",
                          option, text, at[2] ? at[2] : ' ');
            *out++ = '(';
            at += 2;
        } else {
            if (set && at[0] == '\\')
                opt_usage(p, "%s %s: a backslash within [] is Java's; POSIX sets have none", option,
                          text);
            set = set ? *at != ']' : *at == '[';
            *out++ = *at;
        }
    }
    *out = 0;
}

/* One value: its parts between commas become alternatives. */
static size_t add(struct opt_program *p, const char *option, const char *value, char *out)
{
    char *copy = strdup(value), *rest = copy, *part, *start = out;
    while (copy && (part = strsep(&rest, ","))) {
        part += strspn(part, " \"'");
        for (size_t n = strlen(part); n && strchr(" \"'", part[n - 1]); n--)
            part[n - 1] = 0;
        if (!*part)
            continue;
        if (out != start)
            *out++ = '|';
        translate(p, option, part, out);
        out += strlen(out);
    }
    free(copy);
    return (size_t)(out - start);
}

void pattern_init(struct pattern *q, struct opt_program *p, const char *option)
{
    struct opt *o = opt_get(p, option);
    size_t room = 8, at = 2;
    *q = (struct pattern){.given = o->count > 0};
    if (!q->given)
        return;
    for (size_t i = 0; i < o->count; i++)
        room += 8 * strlen(o->all[i]) + 1;
    char *text = malloc(room), why[200];
    if (!text) {
        opt_say(p, "out of memory");
        exit(EXIT_FAILED);
    }
    memcpy(text, "^(", 2);
    for (size_t i = 0; i < o->count; i++) {
        if (i)
            text[at++] = '|';
        at += add(p, option, o->all[i], text + at);
    }
    memcpy(text + at, ")$", 3);
    int code = regcomp(&q->regex, text, REG_EXTENDED | REG_NOSUB);
    if (code) {
        regerror(code, &q->regex, why, sizeof why);
        opt_usage(p, "%s %s: %s", option, o->text, why);
    }
    free(text);
}

bool pattern_matches(const struct pattern *q, const char *name)
{
    return !q->given || !regexec(&q->regex, name, 0, NULL, 0);
}

void pattern_free(struct pattern *q)
{
    if (q->given)
        regfree(&q->regex);
}
