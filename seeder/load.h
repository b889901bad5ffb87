// One connection to the database, and the one way seed carts get into it.
#pragma once

#include <stdbool.h>

struct loader;

struct load_count {
    unsigned inserted; // carts
    unsigned lines;    // in these carts
};

// Connects. Returns NULL only when memory is short; otherwise ask loader_failed.
struct loader *loader_open(const char *conninfo);
void loader_close(struct loader *loader);

// The message of the first failure, one or more lines without a final newline; else NULL.
const char *loader_failed(const struct loader *loader);

// Inserts those of the carts first .. first + count - 1 that do not exist, in one
// transaction. Returns false when it failed.
bool loader_insert(struct loader *loader, unsigned first, unsigned count,
                   struct load_count *out);

// Brings the totals by product up to date.
bool loader_fold(struct loader *loader);
