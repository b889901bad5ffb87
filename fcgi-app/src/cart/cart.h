// The rules of a cart, without database, cache or HTTP.
//
// Every limit stated here stands in sql/0001-cart.sql too. Money is in cents.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"

#define CART_USER_ID_MAX 64 // characters
#define CART_LINES_MAX 100
#define CART_QUANTITY_MAX 999
#define CART_PRODUCT_ID_MAX INT32_MAX
#define CART_NAME_MAX 200 // code points
#define CART_PRICE_MIN 1
#define CART_PRICE_MAX 100000000

struct cart_line {
    int32_t product_id;
    const char *name;
    int64_t price;
    int quantity;
};

// Lines are in the order in which their products were first added.
struct cart {
    const char *user_id;
    int64_t version;        // 0: never written
    const char *updated_at; // RFC 3339, UTC; NULL while version is 0
    size_t n_lines;
    struct cart_line lines[CART_LINES_MAX + 1]; // one over, for a line just added
};

// What a client asks of a cart.
enum cart_action { CART_ADD, CART_UPDATE, CART_REMOVE, CART_CLEAR };

struct cart_request {
    enum cart_action action;
    struct cart_line line; // CART_ADD all of it, CART_UPDATE and CART_REMOVE as needed
};

// What came of it.
enum cart_change {
    CART_UNCHANGED,
    CART_LINE_ADDED,
    CART_LINE_SET,
    CART_LINE_REMOVED,
    CART_EMPTIED
};

// 1 to 64 of A-Z a-z 0-9 . _ - but not "." and "..": ERR_INVALID_USER_ID.
struct err cart_check_user_id(const char *text, size_t len) must_check;

// 1 to 2^31-1 in plain digits: ERR_INVALID_PRODUCT_ID.
struct err cart_parse_product_id(const char *text, size_t len,
                                 int32_t *product_id) must_check;

// Whether the value of If-Match (ETAG_STRONG) or If-None-Match (ETAG_WEAK) names this
// version, whose entity-tag is "<version>" (RFC 9110, section 13.1). The value's form has
// been checked.
bool cart_version_matches(int64_t version, const char *header, enum etag_compare how);

// Carries the request out on the cart: lines, version and updated_at (set to now if
// anything changed). *change says what happened, and *line (an index) where, for
// CART_LINE_ADDED and CART_LINE_SET. Errors, which leave the cart as it was:
// ERR_LINE_NOT_FOUND, ERR_TOO_MANY_UNITS, ERR_TOO_MANY_LINES.
struct err cart_apply(struct cart *cart, const struct cart_request *request,
                      const char *now, enum cart_change *change, size_t *line) must_check;

// Appends the cart as the API shows it.
void cart_put_json(struct buf *b, const struct cart *cart);
