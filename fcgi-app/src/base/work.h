// What one request, or one background task, carries through all layers.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// What the cache did for a read: the X-Cache header.
enum work_cache { WORK_CACHE_NONE, WORK_CACHE_HIT, WORK_CACHE_MISS, WORK_CACHE_BYPASS };

struct work {
    void *mem;        // dies with the work: nobody frees what hangs from it
    int64_t deadline; // clock_mono_ns(); nothing waits beyond it
    int64_t start_by; // nothing is begun in PostgreSQL later, so that it has time to end

    // What it cost so far.
    enum work_cache cache;
    const char *redis_node; // the node that answered, or NULL
    int64_t redis_ns;       // spent waiting for Redis
    int64_t db_ns;          // spent waiting for PostgreSQL, and in its queues

    // What is left to do once the answer is on its way, or NULL.
    void (*after)(struct work *work, void *arg);
    void *after_arg;
};
