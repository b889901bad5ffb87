// Replies: what handlers set, piece by piece.

#include "http/request.h"

void reply_set(struct request *req, int status, const char *type, const char *body,
               size_t len)
{
    req->reply.status = status;
    req->reply.type = type;
    req->reply.body = body;
    req->reply.len = len;
}

void reply_header(struct request *req, const char *name, const char *value)
{
    struct buf *b = &req->reply.headers;
    buf_add_str(b, name);
    buf_add(b, ": ", 2);
    buf_add_str(b, value);
    buf_add(b, "\r\n", 2);
}

void reply_etag(struct request *req, int64_t version)
{
    struct buf *b = &req->reply.headers;
    buf_add_str(b, "ETag: \"");
    buf_add_int(b, version);
    buf_add_str(b, "\"\r\n");
}
