// The keeper: what a host needs done once and not by each request. It sends the
// heartbeats that hits live on, follows the master, chooses the mode, audits, and sweeps.
#pragma once

#include "base/config.h"

// Registers scripts, statements and metrics. After those of data/, before
// metrics_open(), in every program that shares the file of metrics.
void keeper_setup(const struct config *config);

// Starts it all. In carrito-keeper alone, after metrics_open() and redis_start().
void keeper_start(void);
