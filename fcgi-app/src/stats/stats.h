// Top products: the ten with the most units in carts now.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define STATS_TOP 10

struct stats_product {
    int32_t product_id;
    const char *name; // the one that most carts use
    int64_t units;    // in carts now
    int64_t carts;    // that hold it now
};

// Appends the products as the API shows them.
void stats_put_json(struct buf *b, const struct stats_product *products, size_t n);
