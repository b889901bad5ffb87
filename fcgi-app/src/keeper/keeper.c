// The keeper's parts, in order.

#include "keeper/keeper.h"

#include <talloc.h>

#include "data/cache.h"
#include "data/epoch.h"
#include "data/sentinel.h"
#include "keeper/keeper_audit.h"
#include "keeper/keeper_beat.h"
#include "keeper/keeper_gauges.h"
#include "keeper/keeper_modes.h"
#include "keeper/keeper_sweep.h"
#include "loop/co.h"
#include "loop/loop.h"

#define FOLD_MS 1000

void keeper_setup(const struct config *config)
{
    sentinel_setup(config);
    keeper_gauges_setup(config);
    keeper_beat_setup(config);
    keeper_modes_setup(config);
    keeper_audit_setup();
    keeper_sweep_setup(config);
}

// Raises by other hands are counted by each read of the epoch until then.
static void fold_forever(void *unused)
{
    (void)unused;
    for (;;) {
        struct work work = pg_chore();
        struct err err = epoch_fold(&work, PG_CHORE);
        (void)err; // the next one folds more
        talloc_free(work.mem);
        loop_sleep_ms(FOLD_MS);
    }
}

void keeper_start(void)
{
    if (cache_on())
        sentinel_start();
    keeper_beat_start();
    keeper_modes_start();
    keeper_audit_start();
    keeper_sweep_start();
    co_start(fold_forever, NULL);
}
