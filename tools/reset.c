/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/reset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const targets[] = {"--to-earliest", "--to-latest", "--to-current",
                                      "--to-offset",   "--shift-by",  "--to-datetime",
                                      "--by-duration", "--from-file"};

/* "P1DT2H3M4S" in ms; -1 if it is none. */
static int64_t duration_ms(const char *text)
{
    int64_t total = 0;
    bool in_time = false, any = false;
    if (*text++ != 'P')
        return -1;
    while (*text) {
        if (*text == 'T' && !in_time) {
            in_time = true;
            text++;
            continue;
        }
        char *end;
        long n = strtol(text, &end, 10);
        int64_t unit = *end == 'D' && !in_time  ? 86400000
                       : *end == 'H' && in_time ? 3600000
                       : *end == 'M' && in_time ? 60000
                       : *end == 'S' && in_time ? 1000
                                                : 0;
        if (end == text || n < 0 || n > 100000000 || !unit)
            return -1;
        total += n * unit;
        any = true;
        text = end + 1;
    }
    return any ? total : -1;
}

/* "2026-01-02T03:04:05[.678][Z|+hh[:]mm]" in ms; -1 if it is none. */
static int64_t datetime_ms(const char *text)
{
    struct tm t = {0};
    int hours = 0, minutes = 0, used = 0;
    int64_t ms = 0, unit = 100;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
    if (!rest)
        return -1;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            ms += (*rest - '0') * unit;
    int sign = *rest == '+' ? 1 : *rest == '-' ? -1 : 0;
    if (*rest == 'Z') {
        rest++;
    } else if (sign) {
        if (sscanf(rest + 1, "%2d%*[:]%2d%n", &hours, &minutes, &used) < 2 &&
            sscanf(rest + 1, "%2d%2d%n", &hours, &minutes, &used) < 2)
            return -1;
        rest += 1 + used;
    }
    return *rest ? -1 : ((int64_t)timegm(&t) - sign * (hours * 3600 + minutes * 60)) * 1000 + ms;
}

/* The time that --to-datetime or --by-duration means; -1 if neither is given. */
static int64_t target_time(struct opt_program *p)
{
    const char *duration = opt_get(p, "--by-duration")->text,
               *datetime = opt_get(p, "--to-datetime")->text;
    int64_t ms = -1;
    if (datetime && (ms = datetime_ms(datetime)) < 0)
        opt_usage(p,
                  "--to-datetime %s: expected YYYY-MM-DDTHH:mm:SS[.sss], in UTC or with a zone "
                  "such as +02:00",
                  datetime);
    if (duration) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t back = duration_ms(duration);
        if (back < 0)
            opt_usage(p, "--by-duration %s: expected an ISO 8601 duration such as P1DT2H30M",
                      duration);
        ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - back;
    }
    return ms;
}

void reset_check(struct opt_program *p)
{
    int given = 0;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        given += opt_given(p, targets[i]);
    if (given != 1)
        opt_usage(p, "--reset-offsets needs one of --to-earliest, --to-latest, --to-current, "
                     "--to-offset, --shift-by, --to-datetime, --by-duration, --from-file");
    opt_number(p, "--to-offset", 0, INT64_MAX, 0);
    opt_number(p, "--shift-by", INT64_MIN, INT64_MAX, 0);
    target_time(p);
    if (!opt_given(p, "--topic") && !opt_given(p, "--all-topics") && !opt_given(p, "--from-file"))
        opt_usage(p, "--reset-offsets needs --topic or --all-topics");
}

static struct reset_part *find(struct reset_list *list, const char *topic, int64_t partition)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].partition == partition && !strcmp(list->items[i].topic, topic))
            return &list->items[i];
    return NULL;
}

static void add(struct reset_list *list, const char *topic, int64_t partition, int64_t offset)
{
    struct reset_part *old = find(list, topic, partition);
    if (old) {
        old->offset = offset;
        return;
    }
    struct reset_part *grown = realloc(list->items, (list->count + 1) * sizeof *grown);
    if (!grown)
        exit(EXIT_FAILED);
    list->items = grown;
    list->items[list->count++] = (struct reset_part){strdup(topic), (int32_t)partition, offset};
}

void reset_free(struct reset_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].topic);
    free(list->items);
    *list = (struct reset_list){0};
}

/* Every partition of a topic. */
static bool add_topic(struct opt_program *p, struct ferry_handle *handle, const char *topic,
                      struct reset_list *list)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_DESCRIBE_TOPICS);
    ferry_admin_add_name(call, topic);
    if (!admin_run(p, call, handle))
        return false;
    const struct ferry_admin_item *t = ferry_admin_item(call, 0);
    bool ok = !ferry_admin_int(t, FERRY_FIELD_ERROR, 0);
    if (!ok)
        admin_say(p, t, topic);
    for (int32_t i = 0; i < ferry_admin_list_count(t, FERRY_FIELD_PARTITIONS); i++)
        add(list, topic,
            ferry_admin_int(ferry_admin_list_item(t, FERRY_FIELD_PARTITIONS, i),
                            FERRY_FIELD_PARTITION, -1),
            -1);
    ferry_admin_free(call);
    return ok;
}

/* "name" or "name:0,1". */
static bool add_selection(struct opt_program *p, struct ferry_handle *handle, const char *text,
                          struct reset_list *list)
{
    char topic[256];
    const char *colon = strrchr(text, ':');
    if (!colon)
        return add_topic(p, handle, text, list);
    snprintf(topic, sizeof topic, "%.*s", (int)(colon - text), text);
    for (const char *at = colon + 1;; at++) {
        char *end;
        long n = strtol(at, &end, 10);
        if (end == at || n < 0 || n > INT32_MAX || (*end && *end != ','))
            opt_usage(p, "--topic %s: expected NAME or NAME:PARTITION,...", text);
        add(list, topic, n, -1);
        at = end;
        if (!*at)
            return true;
    }
}

bool reset_select(struct opt_program *p, struct ferry_handle *handle, const char *group,
                  struct reset_list *list)
{
    struct opt *o = opt_get(p, "--topic");
    for (size_t i = 0; i < o->count; i++)
        if (!add_selection(p, handle, o->all[i], list))
            return false;
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_GROUP_OFFSETS);
    ferry_admin_set_group(call, group);
    if (!admin_run(p, call, handle))
        return false;
    for (int32_t i = 0; i < ferry_admin_count(call); i++) {
        const struct ferry_admin_item *c = ferry_admin_item(call, i);
        const char *topic = ferry_admin_text(c, FERRY_FIELD_TOPIC);
        int64_t partition = ferry_admin_int(c, FERRY_FIELD_PARTITION, -1);
        if (topic && (opt_given(p, "--all-topics") || !o->count || find(list, topic, partition)))
            add(list, topic, partition, ferry_admin_int(c, FERRY_FIELD_OFFSET, -1));
    }
    ferry_admin_free(call);
    return true;
}

/* Asks for one offset of each partition, by time or enum ferry_admin_offset, into out[]. */
static bool ask(struct opt_program *p, struct ferry_handle *handle, const struct reset_list *list,
                int64_t time, int64_t *out)
{
    struct ferry_admin *call = ferry_admin_new(FERRY_ADMIN_LIST_OFFSETS);
    for (size_t i = 0; i < list->count; i++) {
        out[i] = -1;
        ferry_admin_add_partition(call, list->items[i].topic, list->items[i].partition, time);
    }
    if (!admin_run(p, call, handle))
        return false;
    bool ok = true;
    for (int32_t k = 0; k < ferry_admin_count(call); k++) {
        const struct ferry_admin_item *o = ferry_admin_item(call, k);
        const char *topic = ferry_admin_text(o, FERRY_FIELD_TOPIC);
        int64_t partition = ferry_admin_int(o, FERRY_FIELD_PARTITION, -1);
        if (ferry_admin_int(o, FERRY_FIELD_ERROR, 0)) {
            admin_say(p, o, topic);
            ok = false;
        }
        for (size_t i = 0; topic && i < list->count; i++)
            if (list->items[i].partition == partition && !strcmp(list->items[i].topic, topic))
                out[i] = ferry_admin_int(o, FERRY_FIELD_OFFSET, -1);
    }
    ferry_admin_free(call);
    return ok;
}

/* The offset that is asked for, before it is kept within the log. */
static int64_t wanted(struct opt_program *p, const struct reset_part *part, int64_t first,
                      int64_t end, int64_t by_time)
{
    if (opt_given(p, "--to-earliest"))
        return first;
    if (opt_given(p, "--to-latest"))
        return end;
    if (opt_given(p, "--to-current"))
        return part->offset >= 0 ? part->offset : end;
    if (opt_given(p, "--to-offset"))
        return opt_number(p, "--to-offset", 0, INT64_MAX, 0);
    if (opt_given(p, "--shift-by"))
        return (part->offset >= 0 ? part->offset : first) +
               opt_number(p, "--shift-by", -INT64_MAX / 2, INT64_MAX / 2, 0);
    return by_time >= 0 ? by_time : end;
}

/* Turns each offset into the new one, kept within the log. */
static bool set_targets(struct opt_program *p, struct ferry_handle *handle, struct reset_list *list)
{
    int64_t *answers = calloc(3 * list->count + 1, sizeof *answers), time = target_time(p);
    int64_t *first = answers, *end = answers + list->count, *by_time = end + list->count;
    bool from_file = opt_given(p, "--from-file");
    bool ok = answers && ask(p, handle, list, FERRY_ADMIN_EARLIEST, first) &&
              ask(p, handle, list, FERRY_ADMIN_LATEST, end) &&
              (time < 0 || ask(p, handle, list, time, by_time));
    for (size_t i = 0; ok && i < list->count; i++) {
        struct reset_part *part = &list->items[i];
        int64_t offset = from_file ? part->offset
                                   : wanted(p, part, first[i], end[i], time < 0 ? -1 : by_time[i]);
        int64_t kept = offset < first[i] ? first[i] : offset > end[i] ? end[i] : offset;
        if (kept != offset)
            opt_say(p, "%s-%d: offset %lld is outside the log: taking %lld", part->topic,
                    part->partition, (long long)offset, (long long)kept);
        part->offset = kept;
    }
    free(answers);
    return ok;
}

/* One line "[group,]topic,partition,offset"; false if it is none. */
static bool add_line(char *line, const char *group, bool with_group, struct reset_list *list)
{
    char *words[5] = {0}, *rest = line, *end, *end2;
    size_t n = 0;
    line[strcspn(line, "\r\n")] = 0;
    if (!*line)
        return true;
    while (n < 5 && (words[n] = strsep(&rest, ",")))
        n++;
    if (n != (with_group ? 4 : 3))
        return false;
    char **w = words + with_group;
    long partition = strtol(w[1], &end, 10);
    long long offset = strtoll(w[2], &end2, 10);
    if (!*w[0] || end == w[1] || *end || partition < 0 || partition > INT32_MAX || end2 == w[2] ||
        *end2)
        return false;
    if (!with_group || !strcmp(words[0], group))
        add(list, w[0], partition, offset);
    return true;
}

static bool read_list(struct opt_program *p, const char *group, bool with_group,
                      struct reset_list *list)
{
    const char *path = opt_get(p, "--from-file")->text;
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    int number = 0;
    if (!file)
        opt_usage(p, "--from-file %s: %s", path, strerror(errno));
    while (getline(&line, &size, file) > 0) {
        number++;
        if (!add_line(line, group, with_group, list))
            opt_usage(p, "--from-file %s: line %d is not %sTOPIC,PARTITION,OFFSET", path, number,
                      with_group ? "GROUP," : "");
    }
    free(line);
    fclose(file);
    return true;
}

bool reset_choose(struct opt_program *p, struct ferry_handle *handle, const char *group,
                  bool with_group, struct reset_list *list)
{
    if (opt_given(p, "--from-file") ? !read_list(p, group, with_group, list)
                                    : !reset_select(p, handle, group, list))
        return false;
    return !list->count || set_targets(p, handle, list);
}
