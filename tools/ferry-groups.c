/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/* Lists and describes consumer groups, resets and deletes their offsets, deletes them: as Kafka's consumer group tool.
 * Here are the options, and which of them go together. */

#include "tools/groups.h"
#include "tools/reset.h"

#include <string.h>

static struct opt opts[] = {
    {"--list", 0, "print the names of all groups (with --state, --type: those too)", 0, 0},
    {"--describe", 0, "print committed offsets and lag; or --members, or --state", 0, 0},
    {"--reset-offsets", 0, "move committed offsets of groups without members", 0, 0},
    {"--delete", 0, "delete groups", 0, 0},
    {"--delete-offsets", 0, "delete committed offsets of topics", 0, 0},
    {"--group", "NAME", "which group; may be repeated", 0, 1},
    {"--all-groups", 0, "every group", 0, 0},
    {"--topic", "NAME[:N,...]",
     "reset, delete offsets: of these topics, or only of these partitions; may be repeated", 0, 1},
    {"--all-topics", 0, "reset: every topic that has a committed offset", 0, 0},
    {"--offsets", 0, "describe: offsets and lag (the default)", 0, 0},
    {"--members", 0, "describe: the members", 0, 0},
    {"--state", "[STATE,...]",
     "describe: coordinator and state; list: the state too, or only groups in these states", 0, 0},
    {"--type", "[TYPE,...]", "list: the type too, or only groups of these types: classic, consumer",
     0, 0},
    {"--verbose", 0, "describe: leader epochs; members' assignments", 0, 0},
    {"--to-earliest", 0, "reset: to the beginning of each log", 0, 0},
    {"--to-latest", 0, "reset: to the end of each log", 0, 0},
    {"--to-current", 0, "reset: to what is committed now", 0, 0},
    {"--to-offset", "N", "reset: to this offset, kept within the log", 0, 0},
    {"--shift-by", "N", "reset: so many records forward, or back if negative", 0, 0},
    {"--to-datetime", "TIME",
     "reset: to the first record at or after YYYY-MM-DDTHH:mm:SS[.sss], in UTC or with a zone such "
     "as +02:00",
     0, 0},
    {"--by-duration", "PnDTnHnMnS", "reset: to the first record not older than this", 0, 0},
    {"--from-file", "FILE", "reset: to the offsets of a file that --export wrote", 0, 0},
    {"--execute", 0, "reset: do it; without, only show what would be done", 0, 0},
    {"--dry-run", 0, "reset: only show what would be done (the default)", 0, 0},
    {"--export", 0,
     "reset: show it as [GROUP,]TOPIC,PARTITION,OFFSET lines; with the group if several are given",
     0, 0},
    {"--validate-regex", "REGEX",
     "not supported: it is for RE2, the expressions of brokers, which is not built in", 0, 0},
    {"--command-config", "FILE", "client settings from a properties file", 0, 0},
    {"--timeout-ms", "MS", "how long a call may take (default 30000)", "--timeout", 0},
    OPT_COMMON,
    {0}};

static struct opt_program program = {
    "ferry-groups",
    "Lists and describes consumer groups, moves or deletes their offsets, deletes them.", opts,
    "Tables have the columns of Kafka's tool; what could not be done is said on standard error, "
    "and makes the status 1 "
    "(Kafka's: 0).\n"
    "Example: ferry-groups --bootstrap-server localhost:9092 --group g --topic t --reset-offsets "
    "--to-earliest --execute"};

/* Exits 2 where options contradict each other. */
static void check_options(bool resets)
{
    static const char *const states[] = {
        "PreparingRebalance", "CompletingRebalance", "Stable",   "Dead",    "Empty",
        "Assigning",          "Reconciling",         "NotReady", "Unknown", NULL};
    static const char *const types[] = {"Classic", "Consumer", NULL};
    int views = opt_given(&program, "--offsets") + opt_given(&program, "--members") +
                opt_given(&program, "--state");
    if (opt_given(&program, "--list")) {
        groups_check_list(&program, "--state", states);
        groups_check_list(&program, "--type", types);
    }
    if (opt_given(&program, "--describe") && views > 1)
        opt_usage(&program, "give one of --offsets, --members, --state");
    if (opt_given(&program, "--group") && opt_given(&program, "--all-groups"))
        opt_usage(&program, "--group and --all-groups do not go together");
    if (resets && opt_given(&program, "--execute") && opt_given(&program, "--dry-run"))
        opt_usage(&program, "--execute and --dry-run do not go together");
    if (opt_given(&program, "--delete-offsets") && !opt_given(&program, "--topic"))
        opt_usage(&program, "--delete-offsets needs --topic");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *option;
        int (*run)(struct opt_program *, struct ferry_handle *, const struct admin_names *);
    } actions[] = {{"--list", groups_list},
                   {"--describe", groups_describe},
                   {"--reset-offsets", groups_reset},
                   {"--delete", groups_delete},
                   {"--delete-offsets", groups_delete_offsets}};
    size_t chosen = 5, given = 0;
    opt_parse(&program, argc, argv);
    for (size_t i = 0; i < 5; i++)
        if (opt_given(&program, actions[i].option)) {
            chosen = i;
            given++;
        }
    if (given != 1)
        opt_usage(&program,
                  "give one of --list, --describe, --reset-offsets, --delete, --delete-offsets");
    struct admin_names groups = {0};
    for (size_t i = 0; i < opt_get(&program, "--group")->count; i++)
        admin_names_add(&groups, opt_get(&program, "--group")->all[i],
                        strlen(opt_get(&program, "--group")->all[i]));
    check_options(chosen == 2);
    if (chosen != 0 && !groups.count && !opt_given(&program, "--all-groups"))
        opt_usage(&program, "%s needs --group or --all-groups", actions[chosen].option);
    if (chosen == 2)
        reset_check(&program);
    struct ferry_handle *handle = admin_open(&program);
    int status = EXIT_FAILED;
    if (handle && (!opt_given(&program, "--all-groups") || groups.count ||
                   groups_name_all(&program, handle, &groups)))
        status = actions[chosen].run(&program, handle, &groups);
    ferry_close(handle, 1000);
    admin_names_free(&groups);
    return opt_finish(status);
}
