// Errors as problem documents.

#include "http/problem.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define RETRY_AFTER_S "1"

static void put(struct buf *b, const char *name, const char *text)
{
    buf_printf(b, ",\"%s\":", name);
    json_put_string(b, text, strlen(text));
}

void problem_reply(struct request *req, struct err err)
{
    // Codes that are between the layers only would tell a client nothing.
    if (err.code == ERR_TIMEOUT || err.code == ERR_REDIS || err.code == ERR_CONFLICT)
        err = err_make(ERR_OVERLOADED, NULL, err.detail);
    struct buf b;
    buf_init(&b, req->work.mem, 256);
    buf_add_str(&b, "{\"type\":\"about:blank\"");
    put(&b, "title", err_title(err.code));
    buf_printf(&b, ",\"status\":%d", err_status(err.code));
    put(&b, "code", err_slug(err.code));
    bool of_field = err.field && *err.field == '/';
    if (err.detail)
        put(&b, "detail",
            of_field ? mem_printf(req->work.mem, "%s: %s", err.field + 1, err.detail)
                     : err.detail);
    if (of_field) {
        buf_add_str(&b, ",\"errors\":[");
        for (const struct err *e = &err; e; e = e->next) {
            buf_add_str(&b, e == &err ? "{\"pointer\":" : ",{\"pointer\":");
            json_put_string(&b, e->field, strlen(e->field));
            put(&b, "detail", e->detail ? e->detail : "");
            buf_add_char(&b, '}');
        }
        buf_add_char(&b, ']');
    }
    if (req->problem_cart)
        buf_printf(&b, ",\"cart\":%s", req->problem_cart);
    buf_add_char(&b, '}');
    if (err_status(err.code) == 503 && err.code != ERR_OUTCOME_UNKNOWN)
        reply_header(req, "Retry-After", RETRY_AFTER_S);
    reply_set(req, err_status(err.code), "application/problem+json", b.data, b.len);
}
