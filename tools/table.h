/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H
/* Tables of text, whose columns grow with what is in them: laid out as those of Kafka's tools, which scripts take apart. */
#include <stddef.h>
#include <stdint.h>

enum { TABLE_COLUMNS = 12 };

struct table {
    struct {
        const char *title;
        int width; /* at least; 0: as it comes, without blanks behind it */
    } columns[TABLE_COLUMNS];
    size_t column_count, cell_count;
    char **cells; /* row by row */
};

void table_column(struct table *, const char *title, int width);
/* The next cell; a NULL or empty text is a dash. */
void table_text(struct table *, const char *text);
/* The next cell, left empty. */
void table_blank(struct table *);
/* The next cell; a number below 0 is a dash. */
void table_number(struct table *, int64_t number);
/* Prints titles and rows to standard output, columns divided by a blank, and frees what the table holds. */
void table_print(struct table *);

#endif
