// Errors are values. This table is the only place where a code meets its HTTP status, the
// slug that clients see as `code`, and its title.
#pragma once

#include <stdbool.h>

#define must_check __attribute__((warn_unused_result))

// X(code, HTTP status, slug, title). Our problem documents have the type about:blank, so
// the title is the phrase of the status (RFC 9457, 4.2.1).
#define ERR_CODES(X)                                                                \
    X(ERR_NONE, 200, "none", "OK")                                                  \
    X(ERR_INVALID_JSON, 400, "invalid-json", "Bad Request")                         \
    X(ERR_INVALID_UTF8, 400, "invalid-utf8", "Bad Request")                         \
    X(ERR_DUPLICATE_KEY, 400, "duplicate-key", "Bad Request")                       \
    X(ERR_NESTING_TOO_DEEP, 400, "nesting-too-deep", "Bad Request")                 \
    X(ERR_INVALID_IF_MATCH, 400, "invalid-if-match", "Bad Request")                 \
    X(ERR_INVALID_IF_NONE_MATCH, 400, "invalid-if-none-match", "Bad Request")       \
    X(ERR_INVALID_IDEMPOTENCY_KEY, 400, "invalid-idempotency-key", "Bad Request")   \
    X(ERR_NOT_FOUND, 404, "not-found", "Not Found")                                 \
    X(ERR_INVALID_USER_ID, 404, "invalid-user-id", "Not Found")                     \
    X(ERR_INVALID_PRODUCT_ID, 404, "invalid-product-id", "Not Found")               \
    X(ERR_LINE_NOT_FOUND, 404, "line-not-found", "Not Found")                       \
    X(ERR_METHOD_NOT_ALLOWED, 405, "method-not-allowed", "Method Not Allowed")      \
    X(ERR_VERSION_MISMATCH, 412, "version-mismatch", "Precondition Failed")         \
    X(ERR_BODY_TOO_LARGE, 413, "body-too-large", "Content Too Large")               \
    X(ERR_UNSUPPORTED_MEDIA_TYPE, 415, "unsupported-media-type",                    \
      "Unsupported Media Type")                                                     \
    X(ERR_BODY_NOT_OBJECT, 422, "body-not-object", "Unprocessable Content")         \
    X(ERR_UNKNOWN_FIELD, 422, "unknown-field", "Unprocessable Content")             \
    X(ERR_MISSING_FIELD, 422, "missing-field", "Unprocessable Content")             \
    X(ERR_INVALID_PRODUCT, 422, "invalid-product", "Unprocessable Content")         \
    X(ERR_INVALID_NAME, 422, "invalid-name", "Unprocessable Content")               \
    X(ERR_INVALID_PRICE, 422, "invalid-price", "Unprocessable Content")             \
    X(ERR_INVALID_QUANTITY, 422, "invalid-quantity", "Unprocessable Content")       \
    X(ERR_TOO_MANY_UNITS, 422, "too-many-units", "Unprocessable Content")           \
    X(ERR_TOO_MANY_LINES, 422, "too-many-lines", "Unprocessable Content")           \
    X(ERR_IDEMPOTENCY_KEY_REUSED, 422, "idempotency-key-reused",                    \
      "Unprocessable Content")                                                      \
    X(ERR_INTERNAL, 500, "internal", "Internal Server Error")                       \
    X(ERR_DATABASE_UNAVAILABLE, 503, "database-unavailable", "Service Unavailable") \
    X(ERR_OVERLOADED, 503, "overloaded", "Service Unavailable")                     \
    X(ERR_OUTCOME_UNKNOWN, 503, "outcome-unknown", "Service Unavailable")           \
    /* Never sent to a client. */                                                   \
    X(ERR_CONFIG, 500, "config", "Internal Server Error")                           \
    X(ERR_TIMEOUT, 503, "timeout", "Service Unavailable")                           \
    X(ERR_REDIS, 503, "redis", "Service Unavailable") /* no answer, or a refusal */ \
    X(ERR_CONFLICT, 503, "conflict", "Service Unavailable") /* lost a race: try again */

enum err_code {
#define ERR_ENUM(code, status, slug, title) code,
    ERR_CODES(ERR_ENUM) ERR__MAX
#undef ERR_ENUM
};

// A result: ERR_NONE is success. Strings are static or live on the request's memory.
struct err {
    enum err_code code;
    const char *field;  // what is at fault: an RFC 6901 pointer into the body ("/price"),
                        // a header's or a setting's name; or NULL
    const char *detail; // one sentence for a human, or NULL
    const struct err *next; // a further fault of the same body, or NULL
};

// Success.
static inline struct err err_ok(void)
{
    return (struct err){.code = ERR_NONE};
}

// True when `e` is an error.
static inline bool err_is(struct err e)
{
    return e.code != ERR_NONE;
}

// An error without a next one. The strings are not copied.
struct err err_make(enum err_code code, const char *field, const char *detail);

// The code's column of ERR_CODES. Any other value is answered as ERR_INTERNAL.
int err_status(enum err_code code);
const char *err_slug(enum err_code code);
const char *err_title(enum err_code code);
