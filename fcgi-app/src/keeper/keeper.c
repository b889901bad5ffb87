// The keeper's parts, in order.

#include "keeper/keeper.h"

#include "data/cache.h"
#include "data/sentinel.h"
#include "keeper/keeper_audit.h"
#include "keeper/keeper_beat.h"
#include "keeper/keeper_gauges.h"
#include "keeper/keeper_modes.h"
#include "keeper/keeper_sweep.h"

void keeper_setup(const struct config *config)
{
    sentinel_setup(config);
    keeper_gauges_setup(config);
    keeper_beat_setup(config);
    keeper_modes_setup(config);
    keeper_audit_setup();
    keeper_sweep_setup(config);
}

void keeper_start(void)
{
    if (cache_on())
        sentinel_start();
    keeper_beat_start();
    keeper_modes_start();
    keeper_audit_start();
    keeper_sweep_start();
}
