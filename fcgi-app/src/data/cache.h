// Cached carts: cache-aside over the Redis nodes, never stale.
//
// A key `cart:{user_id}` holds one of
//   V <epoch> <version> <user_id>\n<json>   a value, CACHE_TTL_S long
//   T <nonce>                               a token: a reader is about to fill (5 s)
//   X <nonce>                               a tombstone: a write is under way (10 s)
// A value gets in only over the token or tombstone of its own filler, with a database
// read or write made while no other writer held the cart's lock. Any later writer's
// tombstone kills the token, so neither expiry, nor eviction, nor a slow filler can put
// an old cart back: the lease of Nishtala et al., "Scaling Memcache at Facebook" (NSDI
// 2013). A value is a hit only under the epoch it was put in with, and only where the
// host's heartbeat in the same answer shows that the node holds every tombstone that a
// COMMIT has relied on (lease.h, hold.h).
//
// Reads are spread over the replicas; a replica that is down is passed over, the master
// stands in when none is left or a replica's lease has lapsed, and without any node the
// caller goes to PostgreSQL. Nothing here is an error to a read.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "base/work.h"
#include "data/epoch.h"
#include "data/nonce.h"
#include "data/redis.h"

// A cart as it is kept: its version and its ready-made JSON.
struct cache_value {
    int64_t version;
    const char *json;
    size_t len;
};

// What this process puts at a key and may replace: a token or a tombstone.
struct cache_claim {
    bool held;     // whether it stands, as far as is known
    int64_t epoch; // the value will count under this one; 0: there may be no claim
    char nonce[NONCE_MAX];
};

// Takes the configuration and registers scripts and metrics. After redis_setup().
void cache_setup(const struct config *config);

// Whether CACHE=on.
bool cache_on(void);

// Looks for user_id's cart. True for a hit, with *value on work->mem. Sets work->cache
// and work->redis_node, and on a miss claim->epoch, for cache_claim_token().
bool cache_read(struct work *work, const char *user_id, struct cache_value *value,
                struct cache_claim *claim);

// The same question to one node only, uncounted: whether a request that begins now would
// take its answer for a hit, and under which epoch. For the audit.
bool cache_peek(struct work *work, struct redis_node *node, const char *user_id,
                struct cache_value *value, int64_t *epoch);

// READ 1, after a miss, before the database is read: announces that this reader is about
// to fill. claim->held says whether it may.
void cache_claim_token(struct work *work, const char *user_id, struct cache_claim *claim);

// WRITE 2 and 3, under the cart's lock: puts a tombstone over whatever the key holds and
// waits until COMMIT may be sent. `epoch` was read under the lock. Errors, after which
// the transaction is to be rolled back: those of hold_commit(). claim->held also counts
// after an error.
struct err cache_hold(struct work *work, const struct epoch *epoch, const char *user_id,
                      struct cache_claim *claim) must_check;

// READ 4, WRITE 6: replaces the claim by the value, if the key still holds the claim.
void cache_fill(struct work *work, const char *user_id, const struct cache_claim *claim,
                const struct cache_value *value);

// Takes the claim back: the key is deleted if it still holds it.
void cache_drop(struct work *work, const char *user_id, const struct cache_claim *claim);

// A plain value under a key of its own, for answers that may be seconds old.
bool cache_get_plain(struct work *work, const char *key, const char **text, size_t *len);
void cache_set_plain(struct work *work, const char *key, const char *text, size_t len,
                     int64_t ttl_ms);
