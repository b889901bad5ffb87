// Routes: const tables, one per module, and the match of a path against them.
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "http/request.h"

enum route_body {
    BODY_IGNORED, // whatever the client sends along is not looked at
    BODY_JSON     // needs Content-Type application/json
};

struct route {
    enum method method;   // METHOD_GET answers HEAD too
    enum route_body body; // for POST and PUT
    const char *pattern;  // "/cart/{user_id}/add": {…} matches one non-empty segment
    struct err (*handle)(struct request *req);
};

// A module's routes; the last has a NULL pattern.
struct route_table {
    const struct route *routes;
};

// The route of req->path and req->method among the tables (the last has NULL routes),
// with req->params filled in. Errors: ERR_NOT_FOUND; ERR_METHOD_NOT_ALLOWED, with *allow
// (on the request's memory) the methods the path does have, for the Allow header.
struct err router_match(const struct route_table *tables, struct request *req,
                        const struct route **route, const char **allow) must_check;
