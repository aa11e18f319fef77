/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "refbroker/broker_config.h"

#include <stdio.h>

/* Prints docs/configuration-broker.md. */
int main(void)
{
    struct ferry_text page = {0};
    broker_config_page(&page);
    if (page.failed || fwrite(page.data, 1, page.len, stdout) != page.len || fflush(stdout))
        return 1;
    ferry_text_free(&page);
    return 0;
}
