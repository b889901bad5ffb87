// Money is an integer number of cents; no float ever holds it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define MONEY_CENTS_MAX INT64_C(9000000000000000) // 9e15: also exact as a JSON number

// Reads the text of a JSON number without exponent and with at most two digits after the
// point: 999, 999.9, 999.99, -0.5. False, and *cents untouched, for anything else and for
// more than MONEY_CENTS_MAX either way.
bool money_parse(const char *text, size_t len, int64_t *cents);

// Appends 1999.98: always two decimals, any value.
void money_put(struct buf *b, int64_t cents);
