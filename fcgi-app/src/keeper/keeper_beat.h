// HEARTBEAT: the keeper's question to PostgreSQL and its word to the master, every tick.
//
// Invariant: a heartbeat's stamp is from before the question whose answer it carries, and
// it is set in one step with the proof that the node is the master the answer names. So a
// heartbeat can be older than it need be, never younger. Late or missing heartbeats only
// cost hits.
#pragma once

#include "base/config.h"
#include "data/epoch.h"
#include "data/redis.h"

// Registers the script and metrics. Before redis_start(). The configuration must outlive
// all use.
void keeper_beat_setup(const struct config *config);

// Starts the ticks, one at a time: when one takes long, the next begins as soon as it is
// over.
void keeper_beat_start(void);
