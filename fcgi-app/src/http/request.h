// A request and its reply, as handlers see them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/work.h"

#define REQUEST_BODY_MAX 16384 // bytes

enum method {
    METHOD_GET = 1,
    METHOD_HEAD = 2,
    METHOD_POST = 4,
    METHOD_PUT = 8,
    METHOD_OTHER = 16
};

// A part of the path that matched a {name} of the route, percent-decoded.
struct path_param {
    const char *text; // NUL-terminated; a decoded NUL makes len longer than the string
    size_t len;
};

#define PATH_PARAMS_MAX 2

struct route;

struct reply {
    int status;
    const char *type; // Content-Type, or NULL for an empty body
    const char *body;
    size_t len;
    struct buf headers; // further ones, each line ended by CRLF
};

// Strings live on work.mem, or are NULL where the client sent nothing.
struct request {
    struct work work;
    int64_t begun; // clock_mono_ns()
    enum method method;
    const char *method_name;
    const char *path; // as sent, without the query
    const char *id;   // nginx's request id
    const char *content_type;
    const char *if_match;
    const char *if_none_match;
    const char *idempotency_key;
    const char *body;
    size_t body_len;
    bool body_too_large;
    const struct route *route; // NULL until one has matched
    struct path_param params[PATH_PARAMS_MAX];
    const char *problem_cart; // JSON for the member `cart` of a problem document, or NULL
    struct reply reply;
};

// Sets the whole reply; the strings must live as long as the request.
void reply_set(struct request *req, int status, const char *type, const char *body,
               size_t len);

// Adds a header line. The value must hold no line breaks.
void reply_header(struct request *req, const char *name, const char *value);

// Adds `ETag: "<version>"`.
void reply_etag(struct request *req, int64_t version);
