// What the tests of http share: a request made by hand, as fcgi.c makes it.
#pragma once

#include "../base/unit.h"

#include <string.h>

#include "base/mem.h"
#include "http/request.h"

// A request on a context of its own below parent; talloc_free(req->work.mem) ends it.
static inline struct request *http_unit_request(void *parent, const char *method,
                                                const char *path)
{
    static const struct {
        const char *name;
        enum method method;
    } methods[] = {{"GET", METHOD_GET},
                   {"HEAD", METHOD_HEAD},
                   {"POST", METHOD_POST},
                   {"PUT", METHOD_PUT}};
    void *mem = talloc_new(parent);
    struct request *req = mem_zero(mem, struct request);
    req->work.mem = mem;
    req->method = METHOD_OTHER;
    for (size_t i = 0; i < LENGTH(methods); i++)
        if (strcmp(method, methods[i].name) == 0)
            req->method = methods[i].method;
    req->method_name = method;
    req->path = path;
    req->body = "";
    buf_init(&req->reply.headers, mem, 256);
    return req;
}
