/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/options.h"

#include "base/check.h"
#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

static void *field(const struct ferry_option *o, void *settings)
{
    return (char *)settings + o->offset;
}

static int set_string(char **to, const char *value, struct ferry_error *err)
{
    char *copy = NULL;
    if (value && !(copy = ferry_strdup(value)))
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a setting of %zu bytes", strlen(value));
    ferry_free(*to);
    *to = copy;
    return 0;
}

static int set_number(const struct ferry_option *o, void *to, const char *value, struct ferry_error *err)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (end == value || *end || errno || n < o->low || n > o->high)
        return ferry_fail(err, FERRY_E_CONFIG, "%s=%s: expected a whole number from %" PRId64 " to %" PRId64 "%s%s",
                          o->name, value, o->low, o->high, o->unit ? ", in " : "", o->unit ? o->unit : "");
    if (o->type == FERRY_OPT_INT32)
        *(int32_t *)to = (int32_t)n;
    else
        *(int64_t *)to = n;
    return 0;
}

static int set_double(const struct ferry_option *o, double *to, const char *value, struct ferry_error *err)
{
    char *end;
    double d = strtod(value, &end);
    if (end == value || *end || !(d >= (double)o->low && d <= (double)o->high))
        return ferry_fail(err, FERRY_E_CONFIG, "%s=%s: expected a number from %" PRId64 " to %" PRId64, o->name, value,
                          o->low, o->high);
    *to = d;
    return 0;
}

static int set_bool(const struct ferry_option *o, bool *to, const char *value, struct ferry_error *err)
{
    if (!strcasecmp(value, "true") || !strcmp(value, "1"))
        *to = true;
    else if (!strcasecmp(value, "false") || !strcmp(value, "0"))
        *to = false;
    else
        return ferry_fail(err, FERRY_E_CONFIG, "%s=%s: expected true or false", o->name, value);
    return 0;
}

/* Walks "name=number name=number"; returns false at the end. */
static bool next_choice(const char **at, struct ferry_str *name, int32_t *number)
{
    const char *p = *at;
    while (*p == ' ')
        p++;
    const char *eq = strchr(p, '=');
    if (!*p || !eq)
        return false;
    *name = (struct ferry_str){p, (size_t)(eq - p)};
    char *end;
    *number = (int32_t)strtol(eq + 1, &end, 10);
    *at = end;
    return true;
}

static int set_enum(const struct ferry_option *o, int32_t *to, const char *value, struct ferry_error *err)
{
    const char *at = o->choices;
    struct ferry_str name;
    int32_t number;
    struct ferry_text all = {0};
    while (next_choice(&at, &name, &number)) {
        if (strlen(value) == name.len && strncasecmp(value, name.data, name.len) == 0) {
            *to = number;
            ferry_text_free(&all);
            return 0;
        }
        ferry_text_add(&all, "%s%.*s", all.len ? ", " : "", (int)name.len, name.data);
    }
    int code = ferry_fail(err, FERRY_E_CONFIG, "%s=%s: expected one of %s", o->name, value, all.data ? all.data : "");
    ferry_text_free(&all);
    return code;
}

static int set_row(const struct ferry_option *o, void *settings, const char *value, struct ferry_error *err)
{
    void *to = field(o, settings);
    switch (o->type) {
    case FERRY_OPT_INT32:
    case FERRY_OPT_INT64:
        return set_number(o, to, value, err);
    case FERRY_OPT_BOOL:
        return set_bool(o, to, value, err);
    case FERRY_OPT_DOUBLE:
        return set_double(o, to, value, err);
    case FERRY_OPT_STRING:
        return set_string(to, value, err);
    case FERRY_OPT_ENUM:
        return set_enum(o, to, value, err);
    }
    FERRY_UNREACHABLE();
}

int ferry_options_init(const struct ferry_option_table *t, void *settings)
{
    for (size_t i = 0; i < t->count; i++) {
        struct ferry_error err;
        if (!t->rows[i].standard)
            continue;
        int code = set_row(&t->rows[i], settings, t->rows[i].standard, &err);
        FERRY_CHECK(code == 0 || code == FERRY_E_NOMEM); /* a default outside its own range is our mistake */
        if (code)
            return code;
    }
    return 0;
}

void ferry_options_free(const struct ferry_option_table *t, void *settings)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->rows[i].type != FERRY_OPT_STRING)
            continue;
        char **s = field(&t->rows[i], settings);
        ferry_free(*s);
        *s = NULL;
    }
}

static size_t field_size(enum ferry_option_type type)
{
    switch (type) {
    case FERRY_OPT_INT32:
    case FERRY_OPT_ENUM:
        return sizeof(int32_t);
    case FERRY_OPT_INT64:
        return sizeof(int64_t);
    case FERRY_OPT_BOOL:
        return sizeof(bool);
    case FERRY_OPT_DOUBLE:
        return sizeof(double);
    case FERRY_OPT_STRING:
        return sizeof(char *);
    }
    FERRY_UNREACHABLE();
}

int ferry_options_copy(const struct ferry_option_table *t, void *to, const void *from)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct ferry_option *o = &t->rows[i];
        const void *source = field(o, (void *)from);
        int err = 0;
        if (o->type == FERRY_OPT_STRING)
            err = set_string(field(o, to), *(char *const *)source, NULL);
        else
            memcpy(field(o, to), source, field_size(o->type));
        if (err)
            return err;
    }
    return 0;
}

const struct ferry_option *ferry_options_find(const struct ferry_option_table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (!strcmp(t->rows[i].name, name))
            return &t->rows[i];
    return NULL;
}

/* Levenshtein distance, capped inputs: keys are short. */
static unsigned distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    unsigned row[MAX + 1];
    size_t na = strnlen(a, MAX), nb = strnlen(b, MAX);
    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned up = row[j], best = diagonal + (tolower((uint8_t)a[i - 1]) != tolower((uint8_t)b[j - 1]));
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = up;
            row[j] = best;
        }
    }
    return row[nb];
}

const char *ferry_options_nearest(const struct ferry_option_table *t, const char *name)
{
    const char *best = NULL;
    unsigned least = 1000;
    for (size_t i = 0; i < t->count; i++) {
        unsigned d = distance(t->rows[i].name, name);
        if (d < least) {
            least = d;
            best = t->rows[i].name;
        }
    }
    return best;
}

int ferry_options_set(const struct ferry_option_table *t, void *settings, const char *name, const char *value,
                      struct ferry_error *err)
{
    const struct ferry_option *o = ferry_options_find(t, name);
    if (!o)
        return ferry_fail(err, FERRY_E_CONFIG, "%s=%s: no %s setting has this key; the nearest known key is %s", name,
                          value, t->what, ferry_options_nearest(t, name));
    return set_row(o, settings, value, err);
}

static void get_enum(const struct ferry_option *o, int32_t value, struct ferry_text *out)
{
    const char *at = o->choices;
    struct ferry_str name;
    int32_t number;
    while (next_choice(&at, &name, &number))
        if (number == value) {
            ferry_text_add_bytes(out, name.data, name.len);
            return;
        }
}

void ferry_options_get(const struct ferry_option *o, const void *settings, struct ferry_text *out)
{
    const void *from = field(o, (void *)settings);
    switch (o->type) {
    case FERRY_OPT_INT32:
        ferry_text_add(out, "%" PRId32, *(const int32_t *)from);
        break;
    case FERRY_OPT_INT64:
        ferry_text_add(out, "%" PRId64, *(const int64_t *)from);
        break;
    case FERRY_OPT_BOOL:
        ferry_text_add(out, "%s", *(const bool *)from ? "true" : "false");
        break;
    case FERRY_OPT_DOUBLE:
        ferry_text_add(out, "%g", *(const double *)from);
        break;
    case FERRY_OPT_STRING:
        if (*(char *const *)from)
            ferry_text_add(out, "%s", *(char *const *)from);
        break;
    case FERRY_OPT_ENUM:
        get_enum(o, *(const int32_t *)from, out);
        break;
    }
}
