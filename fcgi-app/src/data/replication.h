// What a Redis node says of itself in INFO replication.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/epoch.h"
#include "data/redis.h"

#define REPLICATION_LISTED_MAX 16

struct replication {
    bool is_master;
    char replid[REPLID_MAX];
    int64_t offset; // of its own stream
    size_t n_listed;
    struct replication_listed {
        char addr[REDIS_ADDR_MAX]; // host:port, as the replica announced it
        bool online;
        int64_t offset; // acknowledged
    } listed[REPLICATION_LISTED_MAX];
};

// False when the text is not such an answer, or lists more than there is room for.
bool replication_parse(const char *text, size_t len, struct replication *out);

// The entry of a configured node; NULL if it is not listed, or more than once.
const struct replication_listed *replication_find(const struct replication *info,
                                                  const struct redis_node *node);

// Whether the replicas listed are the configured nodes but for the master itself, each
// once, all online, none else, and each has acknowledged at least `offset`.
bool replication_all_have(const struct replication *info, const struct redis_node *master,
                          int64_t offset);
