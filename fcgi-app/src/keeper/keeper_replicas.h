// How far the replicas are, judged by the heartbeats they have acknowledged.
//
// Invariant: a node counts as missing only if the master itself, asked later, did not
// list its acknowledgement of a heartbeat that was sent MISSING_MS before. So neither a
// pause of the keeper nor one of PostgreSQL, without whom there are no heartbeats, makes
// a node missing. All times are clock_mono_ns().
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/redis.h"
#include "data/replication.h"

// Replicas acknowledge once a second by themselves, so one that stood still for a second
// is not missing yet; and one that is well has acknowledged a heartbeat this fresh.
#define REPLICA_MISSING_MS 2200
#define REPLICA_WELL_MS 1500

#define HEARTBEATS_KEPT 128 // at one each 50 ms more than twice REPLICA_MISSING_MS

enum replica_state { REPLICA_BEHIND, REPLICA_WELL, REPLICA_MISSING };

// All zero at first.
struct keeper_replicas {
    char replid[REPLID_MAX]; // whose heartbeats these are
    size_t n_sent;           // in all; the last ones are kept
    struct {
        int64_t at, offset; // the master's offset just before
    } sent[HEARTBEATS_KEPT];
    struct {
        int64_t acked; // offset
        int64_t lag;   // bytes, when the master was last asked
        enum replica_state state;
    } nodes[REDIS_NODES_MAX];     // by redis_node()'s number
    char unknown[REDIS_ADDR_MAX]; // a replica that is listed and not configured, or ""
};

// A heartbeat was sent at `at` to the master with this replication id, whose offset had
// been `offset`.
void keeper_replicas_sent(struct keeper_replicas *replicas, const char *replid,
                          int64_t at, int64_t offset);

// The master, asked at `asked_at`, said this. Sets the state of all other nodes.
void keeper_replicas_heard(struct keeper_replicas *replicas,
                           const struct redis_node *master,
                           const struct replication *info, int64_t asked_at);
