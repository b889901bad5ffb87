// The audit: whether what a reader would take for a hit is what PostgreSQL has.
//
// Twenty times a second, on one node after another: some cart that the node holds, first
// its committed version, then a read of that node. No hit may be of an older version, as
// a change is committed only when no node can show the cart from before it. (What other
// hands commit is seen within a lease: it raises the epoch, and then nothing is
// compared.) So one single stale hit means that the protocol, or this program, is broken.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum audit_result { AUDIT_HIT, AUDIT_MISS, AUDIT_STALE, AUDIT__MAX };

// Registers statements and metrics. After pg_setup().
void keeper_audit_setup(void);

// Starts it. After redis_start().
void keeper_audit_start(void);

// The id of the cart whose key this is; false for any other key.
bool keeper_audit_cart(const char *key, const char **user_id);

// hit: the read was a hit, of `cached`. committed: what PostgreSQL had before.
enum audit_result keeper_audit_judge(bool hit, int64_t cached, int64_t committed);
