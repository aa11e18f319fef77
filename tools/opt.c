/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/opt.h"

#include <ferry/ferry.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

volatile int opt_interrupted;

static void on_signal(int number)
{
    (void)number;
    opt_interrupted = 1;
    signal(SIGINT, SIG_DFL);
}

void opt_catch_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void opt_say(const struct opt_program *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", p->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void opt_usage(const struct opt_program *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", p->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry \"%s --help\".\n", p->name);
    va_end(args);
    exit(EXIT_USAGE);
}

int opt_finish(int status)
{
    if (fflush(stdout) && errno != EPIPE) {
        perror("standard output");
        return EXIT_FAILED;
    }
    return status;
}

static bool is_named(const struct opt *o, const char *word, size_t len)
{
    if (strlen(o->name) == len && !memcmp(o->name, word, len))
        return true;
    for (const char *a = o->aliases; a && *a; a += strspn(a, " ")) {
        size_t n = strcspn(a, " ");
        if (n == len && !memcmp(a, word, n))
            return true;
        a += n;
    }
    return false;
}

static struct opt *find(struct opt_program *p, const char *word, size_t len)
{
    for (struct opt *o = p->opts; o->name; o++)
        if (is_named(o, word, len))
            return o;
    return NULL;
}

struct opt *opt_get(struct opt_program *p, const char *name)
{
    struct opt *o = find(p, name, strlen(name));
    if (!o) {
        opt_say(p, "internal error: no option %s", name);
        abort();
    }
    return o;
}

static void help(const struct opt_program *p)
{
    printf("Usage: %s [OPTION]...\n%s\n\n", p->name, p->summary);
    for (const struct opt *o = p->opts; o->name; o++) {
        char left[80];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf("  %-34s%s%s%s%s\n", left,
               strlen(left) > 33 ? "\n                                    " : "", o->help,
               o->aliases ? "; also " : "", o->aliases ? o->aliases : "");
    }
    printf("\nExit status: 0 done; 1 it failed, or not everything was done; 2 the command line is "
           "wrong.\n");
    if (p->epilog)
        printf("%s\n", p->epilog);
}

static void add(struct opt_program *p, struct opt *o, const char *value)
{
    static const char refused[] = "not supported: ";
    if (!strncmp(o->help, refused, sizeof refused - 1))
        opt_usage(p, "%s is not supported: %s", o->name, o->help + sizeof refused - 1);
    if (o->text && !o->many)
        opt_usage(p, "%s is given twice", o->name);
    const char **all = realloc(o->all, (o->count + 1) * sizeof *all);
    if (!all) {
        opt_say(p, "out of memory");
        exit(EXIT_FAILED);
    }
    o->all = all;
    o->all[o->count++] = o->text = value;
}

void opt_parse(struct opt_program *p, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *eq = !strncmp(word, "--", 2) ? strchr(word, '=') : NULL;
        struct opt *o =
            word[0] == '-' ? find(p, word, eq ? (size_t)(eq - word) : strlen(word)) : NULL;
        if (!o && !strncmp(word, "-X", 2) && word[2]) { /* -Xkey=value */
            add(p, opt_get(p, "-X"), word + 2);
            continue;
        }
        if (!o)
            opt_usage(p, "%s is no option of this program", word);
        if (!o->value && eq)
            opt_usage(p, "%s takes no value", o->name);
        if (!o->value)
            add(p, o, "");
        else if (eq)
            add(p, o, eq + 1);
        else if (o->value[0] == '[') /* may be left out */
            add(p, o, i + 1 < argc && argv[i + 1][0] != '-' ? argv[++i] : "");
        else if (i + 1 == argc)
            opt_usage(p, "%s needs a value: %s", o->name, o->value);
        else
            add(p, o, argv[++i]);
    }
    if (opt_given(p, "--help")) {
        help(p);
        exit(EXIT_DONE);
    }
    if (opt_given(p, "--version")) {
        printf("%s (ferry) %s\n", p->name, ferry_version());
        exit(EXIT_DONE);
    }
}

int64_t opt_number(struct opt_program *p, const char *name, int64_t low, int64_t high,
                   int64_t otherwise)
{
    const char *text = opt_get(p, name)->text;
    if (!text)
        return otherwise;
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end || errno || n < low || n > high)
        opt_usage(p, "%s %s: expected a whole number from %lld to %lld", name, text, (long long)low,
                  (long long)high);
    return n;
}

const char *opt_property(struct opt_program *p, const char *name, const char *key)
{
    struct opt *o = opt_get(p, name);
    size_t n = strlen(key);
    for (size_t i = o->count; i-- > 0;) {
        const char *text = o->all[i];
        if (!strncmp(text, key, n) && (text[n] == '=' || !text[n]))
            return text[n] ? text + n + 1 : text + n;
    }
    return NULL;
}

const char *opt_property2(struct opt_program *p, const char *older, const char *newer,
                          const char *key)
{
    const char *value = opt_property(p, newer, key);
    return value ? value : opt_property(p, older, key);
}

void opt_known_properties(struct opt_program *p, const char *name, const char *const *known)
{
    struct opt *o = opt_get(p, name);
    for (size_t i = 0; i < o->count; i++) {
        const char *text = o->all[i];
        size_t n = strcspn(text, "="), k = 0;
        for (; known[k]; k++) {
            size_t len = strlen(known[k]);
            if (known[k][len - 1] == '.' ? n > len && !memcmp(known[k], text, len)
                                         : n == len && !memcmp(known[k], text, n))
                break;
        }
        if (!known[k])
            opt_usage(p, "%s %s: no such property", name, text);
    }
}

bool opt_truth(struct opt_program *p, const char *key, const char *value, bool otherwise)
{
    if (!value)
        return otherwise;
    if (!*value || !strcasecmp(value, "true"))
        return true;
    if (strcasecmp(value, "false"))
        opt_usage(p, "%s=%s: expected true or false", key, value);
    return false;
}

struct ferry_config *opt_config(struct opt_program *p, const char *file_option,
                                const char *property_option)
{
    struct ferry_error err;
    struct ferry_config *config = ferry_config_new();
    if (!config) {
        opt_say(p, "out of memory");
        exit(EXIT_FAILED);
    }
    const char *file = file_option ? opt_get(p, file_option)->text : NULL;
    if (file && ferry_config_load_file(config, file, &err))
        opt_usage(p, "%s", err.text);
    const char *servers = opt_get(p, "--bootstrap-server")->text;
    if (servers && ferry_config_set(config, "bootstrap.servers", servers, &err))
        opt_usage(p, "--bootstrap-server: %s", err.text);
    const char *options[] = {property_option, "-X"};
    for (size_t k = 0; k < 2; k++) {
        struct opt *o = options[k] ? opt_get(p, options[k]) : NULL;
        for (size_t i = 0; o && i < o->count; i++)
            if (ferry_config_set_pair(config, o->all[i], &err))
                opt_usage(p, "%s %s: %s", o->name, o->all[i], err.text);
    }
    return config;
}
