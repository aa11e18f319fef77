/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_OPT_H
#define TOOLS_OPT_H
/*
 * Command lines of the console tools, in the spellings of Kafka's own tools: "--flag value", "--flag=value", repeated
 * "--property key=value". One table per tool gives the parser, --help and the man page its options.
 *
 * An option that Kafka's tool has and this one cannot have is a row whose help begins with "not supported: "; to give it is
 * a wrong command line, and the rest of that text says why.
 *
 * Exit codes of every tool: 0 done; 1 it failed, or not everything was done; 2 the command line is wrong.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ferry/config.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct opt {
    const char *name; /* with its dashes: "--topic", "-X" */
    const char *
        value; /* what the value is called in --help; NULL: a switch; "[NAME]": may be left out, then "" */
    const char *help;
    const char *aliases; /* other spellings, separated by blanks; NULL: none */
    bool many;           /* may be given more than once */
    /* Results. */
    const char *text; /* the last value; "" for a switch that was given; NULL if not given */
    const char **all; /* every value, in order */
    size_t count;
};

struct opt_program {
    const char *name, *summary; /* "ferry-topics", "creates, lists ..." */
    struct opt *opts;           /* ends with name == NULL */
    const char *epilog;         /* more text for --help: exit codes, examples */
};

/* Parses argv; serves --help and --version by itself (prints, exits 0). A wrong command line prints what is wrong and exits 2. */
void opt_parse(struct opt_program *, int argc, char **argv);
/* The row of this name; it must exist. */
struct opt *opt_get(struct opt_program *, const char *name);
static inline bool opt_given(struct opt_program *p, const char *name)
{
    return opt_get(p, name)->text != NULL;
}
/* The value as a whole number in [low, high], or `otherwise` if not given; exits 2 if it is none. */
int64_t opt_number(struct opt_program *, const char *name, int64_t low, int64_t high,
                   int64_t otherwise);
/* Looks key up in the "key=value" values of an option; NULL if it is not there. The last one wins. */
const char *opt_property(struct opt_program *, const char *name, const char *key);
/* Like opt_property over two options; `newer` wins: --property and --reader-property. */
const char *opt_property2(struct opt_program *, const char *older, const char *newer,
                          const char *key);
/* Takes the pairs of a properties file into the values of `into`, before those of the command line, which win. Nothing if
 * file_option was not given; exits 2 if the file cannot be read. */
void opt_load_properties(struct opt_program *, const char *file_option, const char *into);
/* Exits 2 for a key in the option's values that is neither in `known` (ends with NULL) nor under one of its entries that
 * end in a dot. */
void opt_known_properties(struct opt_program *, const char *name, const char *const *known);
/* "true" or "false" (also "" for a bare word); otherwise exits 2. */
bool opt_truth(struct opt_program *, const char *key, const char *value, bool otherwise);
/* Flushes standard output: the status to leave with. What could not be written makes it EXIT_FAILED, a closed pipe not. */
int opt_finish(int status);
/* Says what is wrong with the command line, how to get help, and exits 2. */
_Noreturn void opt_usage(const struct opt_program *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "NAME: text" on stderr. */
void opt_say(const struct opt_program *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A configuration from --bootstrap-server, --command-config and the like (file_option may be NULL), then every "-X
 * key=value", which wins. Exits 2 with the reason if a key or value is wrong. The caller frees it. */
struct ferry_config *opt_config(struct opt_program *, const char *file_option,
                                const char *property_option);

/* Rows that every tool has. */
#define OPT_COMMON                                                                                 \
    {"--bootstrap-server", "HOST:PORT,...", "the brokers to start from (required)",                \
     "-b --broker-list", 0},                                                                       \
        {"-X", "KEY=VALUE",                                                                        \
         "a client setting by Kafka's own key; may be repeated, wins over files", 0, 1},           \
        {"--help", 0, "print this page", "-h", 0},                                                 \
    {                                                                                              \
        "--version", 0, "print the version", 0, 0                                                  \
    }

/* Set by SIGINT and SIGTERM once opt_catch_signals was called; a second SIGINT ends the process. SIGPIPE is ignored, so
 * that a closed pipe is a write error (EPIPE), upon which a tool ends quietly with 0. */
extern volatile int opt_interrupted;
void opt_catch_signals(void);

#endif
