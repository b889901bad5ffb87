// The whole API: one line per module.

#include "routes.h"

#include "cart/cart_http.h"
#include "health/health_http.h"
#include "stats/stats_http.h"

const struct route_table routes[] = {
    {cart_routes},
    {stats_routes},
    {health_routes},
    {NULL},
};
