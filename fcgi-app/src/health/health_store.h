// Whether what the service stands on answers.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/work.h"

enum health { HEALTH_OK, HEALTH_DEGRADED, HEALTH_UNAVAILABLE };

// Registers the statement. After pg_setup().
void health_store_setup(void);

// Asks PostgreSQL, which must answer, and every Redis node, which may be missing. Appends
// what was found, as JSON.
enum health health_store_ask(struct work *work, struct buf *json);
