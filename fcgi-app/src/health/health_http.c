// Handlers for operators.

#include "health/health_http.h"

#include "base/metrics.h"
#include "health/health_store.h"

static struct err get_live(struct request *req)
{
    static const char body[] = "{\"status\":\"ok\"}";
    reply_header(req, "Cache-Control", "no-store");
    reply_set(req, 200, "application/json", body, sizeof body - 1);
    return err_ok();
}

static struct err get_ready(struct request *req)
{
    struct buf json;
    buf_init(&json, req->work.mem, 256);
    bool ready = health_store_ask(&req->work, &json) != HEALTH_UNAVAILABLE;
    reply_header(req, "Cache-Control", "no-store");
    if (!ready)
        reply_header(req, "Retry-After", "1");
    reply_set(req, ready ? 200 : 503, "application/json", json.data, json.len);
    return err_ok();
}

static struct err get_metrics(struct request *req)
{
    struct buf text;
    buf_init(&text, req->work.mem, 32768);
    metrics_render(&text);
    reply_header(req, "Cache-Control", "no-store");
    reply_set(req, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.len);
    return err_ok();
}

const struct route health_routes[] = {
    {METHOD_GET, BODY_IGNORED, "/health/live", get_live},
    {METHOD_GET, BODY_IGNORED, "/health/ready", get_ready},
    {METHOD_GET, BODY_IGNORED, "/metrics", get_metrics},
    {0},
};
