// Cached carts: cache-aside over the Redis nodes.
//
// A key `cart:{user_id}` holds one of
//   V <version> <user_id>\n<json>   a value, CACHE_TTL_S long; 5 s if never written
//   T <nonce>                       a token: a reader is about to fill (5 s)
//   X <nonce>                       a tombstone: a write is under way (10 s)
// A value gets in only over the token or tombstone of its own filler, with a database
// read or write made while no other writer held the cart's lock. Any later writer's
// tombstone kills the token, so neither expiry, nor eviction, nor a slow filler can put
// an old cart back: the lease of Nishtala et al., "Scaling Memcache at Facebook" (NSDI
// 2013).
//
// Reads are spread over the replicas; a replica that is down is passed over, the master
// stands in when none is left, and without any node the caller goes to PostgreSQL.
// Nothing here is an error to a request.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/work.h"

// A cart as it is kept: its version and its ready-made JSON.
struct cache_value {
    int64_t version;
    const char *json;
    size_t len;
};

// What this process put at a key and may replace: a token or a tombstone.
struct cache_claim {
    bool held; // whether it stands, as far as is known
    char nonce[40];
};

// Takes the configuration and registers scripts and metrics. After redis_setup().
void cache_setup(const struct config *config);

// Whether CACHE=on.
bool cache_on(void);

// Looks for user_id's cart. True for a hit, with *value on work->mem. Sets work->cache
// and work->redis_node.
bool cache_read(struct work *work, const char *user_id, struct cache_value *value);

// After a miss, before the database is read: announces that this reader is about to fill.
// claim->held says whether it may.
void cache_claim_token(struct work *work, const char *user_id, struct cache_claim *claim);

// Before COMMIT, under the cart's lock: puts a tombstone over whatever the key holds.
// Where that fails the key is deleted once the master can be reached again, before it is
// used.
void cache_claim_tombstone(struct work *work, const char *user_id,
                           struct cache_claim *claim);

// Replaces the claim by the value, if the key still holds the claim.
void cache_fill(struct work *work, const char *user_id, const struct cache_claim *claim,
                const struct cache_value *value);

// Takes the claim back: the key is deleted if it still holds it.
void cache_drop(struct work *work, const char *user_id, const struct cache_claim *claim);

// A plain value under a key of its own, for answers that may be seconds old.
bool cache_get_plain(struct work *work, const char *key, const char **text, size_t *len);
void cache_set_plain(struct work *work, const char *key, const char *text, size_t len,
                     int64_t ttl_ms);
