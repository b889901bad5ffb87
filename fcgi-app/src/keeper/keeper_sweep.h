// Sweeping: carts that nobody has used for CART_KEEP_DAYS lose their lines, and expired
// Idempotency-Keys go, in small batches with pauses, while traffic runs.
//
// A cart is cleared by WRITE like any other change, on condition that it still has the
// version that was seen, so a client that uses it meanwhile wins. Its row and its version
// stay for ever. Of several keepers one sweeps: whose connection holds an advisory lock.
#pragma once

#include "base/config.h"
#include "base/err.h"
#include "cart/cart_store.h"

// Registers statements and metrics. After pg_setup(). The configuration must outlive all
// use.
void keeper_sweep_setup(const struct config *config);

// Starts it.
void keeper_sweep_start(void);

// The write that clears a cart that is at this version; its strings live on mem.
struct cart_write keeper_sweep_write(void *mem, const char *user_id, int64_t version);

// What came of it: cleared; left, as somebody has used the cart, or it was empty; or to
// be tried again later.
enum sweep_result { SWEEP_CLEARED, SWEEP_LEFT, SWEEP_LATER };
enum sweep_result keeper_sweep_judge(struct err err, int64_t version,
                                     const struct cart_answer *answer);
