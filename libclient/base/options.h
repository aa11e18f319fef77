/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H
/*
 * Settings from one table: a key's name, type, range, default and meaning stand in one row, and the parser, the
 * error texts, DescribeConfigs and the generated reference page all read that row. The client, a topic and the
 * broker each have a table and a struct whose fields the rows point into.
 */
#include "base/err.h"
#include "base/text.h"

enum ferry_option_type {
    FERRY_OPT_INT32,
    FERRY_OPT_INT64,
    FERRY_OPT_BOOL,
    FERRY_OPT_DOUBLE,
    FERRY_OPT_STRING, /* char *, owned by the struct; NULL is unset */
    FERRY_OPT_ENUM    /* int32_t; choices names the values */
};

struct ferry_option {
    const char *name; /* Kafka's own key */
    enum ferry_option_type type;
    size_t offset;          /* of the field in the settings struct */
    int64_t low, high;      /* range of a number, both included */
    const char *standard;   /* the default, as text; NULL = unset */
    const char *choices;    /* "none=0 gzip=1 ...", for ENUM */
    const char *unit;       /* "ms", "bytes", or NULL */
    const char *meaning;    /* one or two sentences, for the reference page */
};

struct ferry_option_table {
    const char *what; /* "client", "topic", "broker": for error texts */
    const struct ferry_option *rows;
    size_t count;
};

/* Fills a zeroed settings struct with the defaults. 0 or FERRY_E_NOMEM. */
int ferry_options_init(const struct ferry_option_table *, void *settings);
/* Frees the strings. */
void ferry_options_free(const struct ferry_option_table *, void *settings);
/* Deep copy into a zeroed struct. */
int ferry_options_copy(const struct ferry_option_table *, void *to, const void *from);
/* NULL if there is no such key. */
const struct ferry_option *ferry_options_find(const struct ferry_option_table *, const char *name);
/* The known key nearest in spelling, for "did you mean". Never NULL for a table with rows. */
const char *ferry_options_nearest(const struct ferry_option_table *, const char *name);
/* Parses and stores. FERRY_E_CONFIG names the key, the value, the range and, if unknown, the nearest known key. */
int ferry_options_set(const struct ferry_option_table *, void *settings, const char *name, const char *value,
                      struct ferry_error *err);
/* The present value as text, as ferry_options_set would take it; unset strings give nothing. */
void ferry_options_get(const struct ferry_option *, const void *settings, struct ferry_text *out);

#endif
