// Host names to addresses without stopping the loop.
#pragma once

#include <stdint.h>

#include "base/err.h"

// The first address of host, as text on mem. A numeric address comes back as it is; a
// name is asked of the system's resolver anew at each call, in a thread of glibc's, so
// that a container that came back under another address is found. Errors: ERR_TIMEOUT at
// the deadline (clock_mono_ns()), ERR_NOT_FOUND. Coroutines only.
struct err resolve_host(void *mem, const char *host, int64_t deadline,
                        const char **address) must_check;
