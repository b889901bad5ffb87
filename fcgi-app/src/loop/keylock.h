// Locks by name, for the coroutines of one process, first come first served.
//
// Writers of one cart queue here, in the process, so that at most one of them holds a
// PostgreSQL connection: two hundred writers of one cart must not starve all other carts.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct keylock;

// Makes an empty set of locks on mem; no more than so many may wait for one of them.
struct keylock *keylock_new(void *mem, unsigned waiters_max);

// Takes the lock called key, waiting until deadline (clock_mono_ns()); false at the
// deadline, or at once where too many wait already. Coroutines only.
bool keylock_take(struct keylock *locks, const char *key, int64_t deadline);

// Gives back a lock that is held; the longest waiting coroutine gets it.
void keylock_give(struct keylock *locks, const char *key);
