// Top products where they are kept: totals in PostgreSQL, the finished answer in Redis.
#pragma once

#include <stddef.h>

#include "base/config.h"
#include "base/err.h"
#include "base/work.h"

// Registers the statements. After pg_setup().
void stats_store_setup(const struct config *config);

// Starts folding deltas into the totals, every STATS_FOLD_MS. After metrics_open().
void stats_store_start(void);

// The top products as JSON on work->mem, at most TOP_PRODUCTS_TTL_S old. However many
// ask, one refresh runs at a time. Errors: those of pg_acquire() and pg_trip().
struct err stats_store_top(struct work *work, const char **json, size_t *len) must_check;
