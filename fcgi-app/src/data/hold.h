// The hold before COMMIT: a change is committed only when no node can show the old cart.
//
// The tombstone is set on the master, and then one of these must be true (the rule for
// COMMIT; L is LEASE_MS):
// (a) mode replicas: every other configured node has acknowledged the tombstone, by name;
// (b) mode replicas: HOLD_NS have passed since the master answered that it is set;
// (c) mode master or off: HOLD_NS have passed since this process first read this epoch.
// Where the tombstone cannot be set, the epoch is moved to off first: a write needs no
// Redis. No clock but this process's own monotonic one is used.
#pragma once

#include <stdbool.h>

#include "base/config.h"
#include "base/err.h"
#include "base/work.h"
#include "data/epoch.h"
#include "data/nonce.h"

// Registers script and metrics. After redis_setup().
void hold_setup(const struct config *config);

// Steps 2 and 3 of WRITE: sets the tombstone at key, unless the mode is off, and waits
// until COMMIT may be sent. Each try has a fresh tombstone, and the last one's is left in
// `tombstone`: a SET that arrives late must not look like one that was relied on. `read`
// is the epoch that the transaction read under the cart's
// lock. *set: the tombstone stands (and may be replaced by its writer), also after an
// error. Errors, after which the transaction is to be rolled back: ERR_OVERLOADED, the
// hold would outlast the work's deadline; those of epoch_move(). Coroutines only.
struct err hold_commit(struct work *work, const struct epoch *read, const char *key,
                       char tombstone[NONCE_MAX], bool *set) must_check;
