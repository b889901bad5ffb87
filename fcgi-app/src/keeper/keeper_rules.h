// When the epoch is to move, and to what: the rules of FAILOVER and MODES, without any
// input or output.
//
// Nothing here is needed for the promise that no read is stale: the epoch's row, the
// heartbeats and the writers' hold see to that, whatever is decided here and by however
// many keepers. These rules are for the hits to be back soon and the writes to be fast,
// and for the epoch to rest when nothing is wrong, as each move empties the cache. All
// times are clock_mono_ns().
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/epoch.h"
#include "data/redis.h"
#include "data/sentinel.h"
#include "keeper/keeper_replicas.h"

// What the keeper knows of a configured node.
struct keeper_node {
    const char *addr;
    int64_t asked_at; // of the last question it has answered; 0: it never has
    bool is_master;   // what it answered
    const char *replid;
    enum replica_state replica; // as the epoch's master tells; of all other nodes
};

struct keeper_view {
    int64_t now;
    const struct epoch *epoch;
    bool restarted; // PostgreSQL, since the epoch was last moved
    bool cache;     // CACHE=on
    // How long after a question that was answered a node still counts as within reach.
    int64_t patience;
    size_t n_nodes;
    struct keeper_node nodes[REDIS_NODES_MAX]; // the one configured as master first
    bool unknown_replica;                      // the master lists one
    size_t n_sentinels;                        // 0: without Sentinel
    struct sentinel_word words[CONFIG_ADDRS_MAX];
};

// What the rules have to remember between two looks; all zero at first.
struct keeper_memory {
    struct epoch epoch;     // as it was the last time
    int64_t looked_at;      // the last time
    int64_t watching_since; // without a pause of this process
    int64_t master_at;      // when the last master that could be used was asked
    int64_t state_since;    // mode, master and replid were first seen as they are
    int64_t on_since;       // the cache was first seen to be on, or off
    int64_t well_since;     // all replicas are well; 0: not all are
    int64_t off_wait;       // ns, how long off is to last this time
};

// A move; why is NULL for none.
struct keeper_move {
    enum cache_mode mode;
    const char *master, *replid;
    const char *why; // for the log
};

// The move that is due. Its strings are the view's, or static.
struct keeper_move keeper_decide(struct keeper_memory *memory,
                                 const struct keeper_view *view);
