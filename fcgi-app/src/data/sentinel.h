// Redis Sentinel, asked who the master is.
//
// Each sentinel has a connection and a coroutine of its own, which asks every
// SENTINEL_EVERY_MS. What one says is an opinion with a number, the configuration's epoch
// (Sentinel's own, not ours): the highest one counts, and only if the node named says
// itself that it is a master.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "data/epoch.h"

#define SENTINEL_EVERY_MS 100

struct sentinel_word {
    int64_t asked_at; // clock_mono_ns(); 0: it has never answered
    int64_t config_epoch;
    char master[REDIS_ADDR_MAX]; // host:port
};

// Takes the configuration, which must outlive all use.
void sentinel_setup(const struct config *config);

// Starts to ask all of REDIS_SENTINELS. After loop_init().
void sentinel_start(void);

// How many are configured, and what one of them, by its number from 0, said last.
size_t sentinel_count(void);
struct sentinel_word sentinel_said(size_t number);
