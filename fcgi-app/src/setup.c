// The order in which everything registers itself.

#include "setup.h"

#include "cart/cart_store.h"
#include "data/cache.h"
#include "data/epoch.h"
#include "data/hold.h"
#include "data/pg.h"
#include "data/pg_group.h"
#include "data/redis.h"
#include "health/health_store.h"
#include "http/dispatch.h"
#include "keeper/keeper.h"
#include "routes.h"
#include "stats/stats_store.h"

void setup_all(const struct config *config)
{
    redis_setup(config);
    cache_setup(config);
    pg_setup(config);
    pg_group_setup();
    epoch_setup();
    hold_setup(config);
    cart_store_setup();
    stats_store_setup(config);
    health_store_setup();
    keeper_setup(config);
    dispatch_setup(routes);
}
