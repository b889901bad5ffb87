// The match of a path against the route tables.

#include "http/router.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/parse.h"

static bool decode(struct request *req, const char *text, size_t len,
                   struct path_param *param)
{
    char *decoded = mem_strndup(req->work.mem, text, len);
    if (!parse_percent_decode(text, len, decoded, &param->len))
        return false;
    decoded[param->len] = '\0';
    param->text = decoded;
    return true;
}

// Segment by segment; a fixed one may be percent-encoded too (RFC 3986, section 6.2.2.2).
static bool match(struct request *req, const char *pattern)
{
    const char *path = req->path;
    size_t n_params = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t pattern_len = strcspn(pattern, "/");
        size_t len = strcspn(path, "/");
        if (*pattern == '{') {
            if (len == 0 || n_params == PATH_PARAMS_MAX ||
                !decode(req, path, len, &req->params[n_params++]))
                return false;
        } else if (len != pattern_len || memcmp(path, pattern, len) != 0) {
            struct path_param fixed;
            if (!memchr(path, '%', len) || !decode(req, path, len, &fixed) ||
                fixed.len != pattern_len || memcmp(fixed.text, pattern, pattern_len) != 0)
                return false;
        }
        pattern += pattern_len;
        path += len;
    }
    return *pattern == '\0' && *path == '\0';
}

struct err router_match(const struct route_table *tables, struct request *req,
                        const struct route **route, const char **allow)
{
    enum method wanted = req->method == METHOD_HEAD ? METHOD_GET : req->method;
    unsigned found = 0;
    for (; tables->routes; tables++)
        for (const struct route *r = tables->routes; r->pattern; r++) {
            if ((r->method != wanted && (found & r->method)) || !match(req, r->pattern))
                continue;
            if (r->method == wanted) {
                *route = r;
                return err_ok();
            }
            found |= r->method;
        }
    if (!found)
        return err_make(ERR_NOT_FOUND, NULL, "there is nothing at this path");
    struct buf b;
    buf_init(&b, req->work.mem, 32);
    if (found & METHOD_GET)
        buf_add_str(&b, "GET, HEAD, ");
    if (found & METHOD_POST)
        buf_add_str(&b, "POST, ");
    if (found & METHOD_PUT)
        buf_add_str(&b, "PUT, ");
    buf_truncate(&b, b.len - 2);
    *allow = b.data;
    return err_make(ERR_METHOD_NOT_ALLOWED, NULL, "the path does not have this method");
}
