// JSON (RFC 8259): a strict check before json-c sees a text, and the writer of strings.
//
// json-c accepts more than JSON (duplicate keys, single quotes, NaN, raw control bytes,
// lone surrogates) even with its strict flags. json_check accepts nothing but JSON, so
// that what json-c then builds means what every other parser would read.
#pragma once

#include <json-c/json_object.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define JSON_DEPTH_MAX 8 // of a body: {"a": []} is two deep

// Checks that the `len` bytes are one JSON value with blanks around it at most. The first
// fault that is met while reading is returned, its detail on `mem`:
//   ERR_INVALID_JSON      not RFC 8259, or an escaped NUL or lone surrogate
//   ERR_INVALID_UTF8      malformed, overlong, a surrogate, or above U+10FFFF
//   ERR_DUPLICATE_KEY     equal after unescaping; met at the end of their object
//   ERR_NESTING_TOO_DEEP  more than max_depth objects and arrays within each other
// Takes O(n log n) time; its working memory is gone when it returns.
struct err json_check(void *mem, const char *text, size_t len, int max_depth) must_check;

// json_check with JSON_DEPTH_MAX, then json-c's tree in *root, released with `mem`. The
// text `null` gives NULL. json_object_get_string() of a number with a fraction or an
// exponent gives its text back byte for byte; integers beyond 64 bits are clamped. The
// errors are json_check's.
struct err json_parse(void *mem, const char *text, size_t len,
                      struct json_object **root) must_check;

// Appends a JSON string with its quotes. Non-ASCII passes through. Bytes that are not
// UTF-8 become U+FFFD, so the result is valid whatever comes in.
void json_put_string(struct buf *b, const char *utf8, size_t len);
