// Handlers of statistics.

#include "stats/stats_http.h"

#include "stats/stats_store.h"

static struct err get_top_products(struct request *req)
{
    const char *json;
    size_t len;
    struct err err = stats_store_top(&req->work, &json, &len);
    if (err_is(err))
        return err;
    reply_header(req, "Cache-Control", "no-cache");
    reply_set(req, 200, "application/json", json, len);
    return err_ok();
}

const struct route stats_routes[] = {
    {METHOD_GET, BODY_IGNORED, "/stats/top-products", get_top_products},
    {0},
};
