// What the keeper shows of the cache: its epoch, mode and master, and how far each
// replica lags.
//
// A scrape adds up the gauges of all processes. So of several keepers that share a file
// of metrics only one shows: the one that holds a lock on a byte of that file.
#pragma once

#include "base/config.h"
#include "data/epoch.h"
#include "keeper/keeper_replicas.h"

// Registers the gauges. After redis_setup().
void keeper_gauges_setup(const struct config *config);

// Shows the epoch and what its master said of the replicas, if this keeper is the one to
// show it. Call it often.
void keeper_gauges_show(const struct epoch *epoch,
                        const struct keeper_replicas *replicas);
