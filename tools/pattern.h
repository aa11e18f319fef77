/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_PATTERN_H
#define TOOLS_PATTERN_H
/*
 * Which topics an option names: a name, or a regular expression that matches whole names; with commas between several.
 *
 * What has only the characters of topic names is taken literally: Kafka's tools let the dot of "a.b" match any character,
 * so that deleting a.b deletes axb too; "a[.]b" and "a.b|" are expressions. They are POSIX extended ones with \d, \w,
 * \s and (?:...) of Java's; what else Java has is refused.
 */
#include "tools/opt.h"

#include <regex.h>

struct pattern {
    regex_t regex;
    bool given;
};

/* From all values of an option (none: everything matches). Exits 2 if an expression is wrong. */
void pattern_init(struct pattern *, struct opt_program *, const char *option);
bool pattern_matches(const struct pattern *, const char *name);
/* Has it only the characters of topic names? */
bool pattern_is_name(const char *text, size_t len);
void pattern_free(struct pattern *);

#endif
