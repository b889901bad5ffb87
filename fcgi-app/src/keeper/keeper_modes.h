// Failover and modes: what the keeper sees, and the moves of the epoch that follow.
//
// Two things go on: every configured node is asked, a few times a second, what it is; and
// every tick the rules (keeper_rules.h) look at all that was seen. A move is a
// compare-and-set in PostgreSQL, so any number of keepers may try the same one, or
// different ones, at once: whoever loses looks again.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "data/epoch.h"
#include "data/redis.h"

// Registers metrics. After redis_setup(). The configuration must outlive all use.
void keeper_modes_setup(const struct config *config);

// Starts asking and deciding. After redis_start().
void keeper_modes_start(void);

// The epoch as PostgreSQL, asked at asked_at (clock_mono_ns()), told it; restarted as
// epoch_read() says.
void keeper_modes_read(const struct epoch *epoch, bool restarted, int64_t asked_at);

// A node, asked at asked_at, answered this to INFO replication. sent: a heartbeat for the
// epoch's replid went into its stream right after.
void keeper_modes_heard(const struct redis_node *node, const char *text, size_t len,
                        int64_t asked_at, bool sent);
