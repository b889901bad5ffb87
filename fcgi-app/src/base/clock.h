// The three clocks. Deadlines and durations use the monotonic one.
#pragma once

#include <stdint.h>

// CLOCK_MONOTONIC, nanoseconds: never steps.
int64_t clock_mono_ns(void);

// CLOCK_BOOTTIME, nanoseconds: as above, and one for all processes of the host; it goes
// on while the machine sleeps.
int64_t clock_boot_ns(void);

// CLOCK_REALTIME, milliseconds since 1970: steps when somebody sets it.
int64_t clock_wall_ms(void);
