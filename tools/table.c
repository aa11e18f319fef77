/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tools/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void table_column(struct table *t, const char *title, int width)
{
    t->columns[t->column_count].title = title;
    t->columns[t->column_count++].width = width;
}

static void add(struct table *t, const char *text)
{
    enum { STEP = 256 };
    if (t->cell_count % STEP == 0) {
        char **grown = realloc(t->cells, (t->cell_count + STEP) * sizeof *grown);
        if (!grown)
            abort();
        t->cells = grown;
    }
    t->cells[t->cell_count++] = strdup(text);
}

void table_text(struct table *t, const char *text)
{
    add(t, text && *text ? text : "-");
}

void table_blank(struct table *t)
{
    add(t, "");
}

void table_number(struct table *t, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    table_text(t, number < 0 ? NULL : text);
}

static void put_cell(const struct table *t, size_t column, const char *text)
{
    printf("%-*s%s", t->columns[column].width, text ? text : "?",
           column + 1 < t->column_count ? " " : "\n");
}

void table_print(struct table *t)
{
    for (size_t i = 0; i < t->cell_count; i++) {
        int *width = &t->columns[i % t->column_count].width,
            n = t->cells[i] ? (int)strlen(t->cells[i]) : 0;
        if (*width && n > *width)
            *width = n;
    }
    for (size_t i = 0; i < t->column_count; i++) {
        int n = (int)strlen(t->columns[i].title);
        if (t->columns[i].width && n > t->columns[i].width)
            t->columns[i].width = n;
        put_cell(t, i, t->columns[i].title);
    }
    for (size_t i = 0; i < t->cell_count; i++) {
        put_cell(t, i % t->column_count, t->cells[i]);
        free(t->cells[i]);
    }
    free(t->cells);
    *t = (struct table){0};
}
