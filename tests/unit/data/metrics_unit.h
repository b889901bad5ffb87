// Reads a metric as it is rendered.
#pragma once

#include "../base/unit.h"

#include <string.h>

#include "base/metrics.h"

// The value of a series, "name{labels}"; 0 where it is left out.
static inline long long metrics_unit_value(const char *series)
{
    struct buf b;
    buf_init(&b, NULL, 65536);
    metrics_render(&b);
    size_t len = strlen(series);
    long long value = 0;
    for (const char *line = b.data; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, series, len) == 0 && line[len] == ' ')
            assert_int_equal(sscanf(line + len, "%lld", &value), 1);
    }
    talloc_free(b.data);
    return value;
}
