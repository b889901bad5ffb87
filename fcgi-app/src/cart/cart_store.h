// Carts where they are kept: PostgreSQL, and copies in the cache.
//
// READ and WRITE are the two halves of the protocol that keeps the copies right; the
// steps are numbered in cart_store.c as in fcgi-app/ARCHITECTURE.md.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/work.h"
#include "cart/cart.h"

// What goes back to the client, on the work's memory.
struct cart_answer {
    int status; // 200, or 201 where an add made a new line
    int64_t version;
    const char *json;
    size_t len;
    bool
        replayed; // the stored answer of an earlier request with the same Idempotency-Key
};

struct cart_write {
    const char *user_id;
    struct cart_request request;
    const char *if_match;      // the header's value, or NULL
    const char *if_none_match; // likewise
    const char *idempotency_key;
    const char *fingerprint; // method, path and body: what the key stands for
    size_t fingerprint_len;
};

// Registers the statements. After pg_setup().
void cart_store_setup(void);

// Reads the epoch for the first time: holds count from then on. After metrics_open().
void cart_store_start(void);

// The cart of user_id, from the cache or the database; an unknown cart has version 0. A
// fill of the cache is left in work->after. Errors: those of pg_acquire() and pg_trip().
struct err cart_store_read(struct work *work, const char *user_id,
                           struct cart_answer *answer) must_check;

// Carries out one write, with its tombstone and, in work->after, its fill.
// Errors: those of cart_apply(); ERR_VERSION_MISMATCH, with the current cart in *answer;
// ERR_IDEMPOTENCY_KEY_REUSED; ERR_OUTCOME_UNKNOWN; those of pg_acquire() and pg_trip().
// Nothing is changed by any but ERR_OUTCOME_UNKNOWN.
struct err cart_store_write(struct work *work, const struct cart_write *write,
                            struct cart_answer *answer) must_check;
