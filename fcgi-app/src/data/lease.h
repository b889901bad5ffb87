// Leases (Gray and Cheriton, SOSP 1989): for how long a hit may be believed.
//
// The keeper of each host writes a heartbeat to the master under the host's own key,
// every TICK_MS; it reaches the replicas behind every tombstone before it. Invariant: a
// node that shows a heartbeat younger than LEASE_MS holds every tombstone that was set
// under that epoch more than LEASE_MS ago.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "data/epoch.h"

#define LEASE_MS 300
#define TICK_MS 50

// How long a writer holds back its COMMIT where it has no better proof that no node can
// show the old cart: a lease, and as much again as clocks and rounding may take.
#define HOLD_NS ((LEASE_MS + 20) * 1000000LL)

// A moment by the two clocks that processes of one host have in common.
struct lease_clock {
    int64_t boot_ns; // CLOCK_BOOTTIME
    int64_t wall_ms; // CLOCK_REALTIME
};

struct heartbeat {
    int64_t epoch;
    enum cache_mode mode;
    struct lease_clock stamp; // from before PostgreSQL was asked for the epoch
    char replid[REPLID_MAX];  // of the master it was sent to
};

struct lease_clock lease_now(void);

// This host's key: hb:{boot id}.
const char *lease_key(void);

// H <epoch> <mode> <boot ns> <wall ms> <replid>
void heartbeat_put(struct buf *b, const struct heartbeat *hb);
bool heartbeat_parse(const char *text, size_t len, struct heartbeat *out);

// Whether the heartbeat's lease holds for a request that was accepted at `now`: by both
// clocks it is younger than LEASE_MS, and not from the future.
bool lease_holds(const struct heartbeat *hb, const struct lease_clock *now);
