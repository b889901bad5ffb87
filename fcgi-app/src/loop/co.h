// Coroutines: one stack per request, all in one thread.
//
// A coroutine runs until it returns or calls co_wait(); nothing else takes the processor
// from it, so what two coroutines share needs no lock between two waits. They are only
// ever entered from the event loop (loop.h), once per turn, which is what lets a turn's
// commands leave in one write. Stacks are pooled and have a guard page below them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct co;

// A deadline that never comes.
#define CO_FOREVER INT64_MAX

// Makes a coroutine that will run fn(arg) in this turn of the loop. Aborts when no memory
// for its stack can be had.
void co_start(void (*fn)(void *arg), void *arg);

// The running coroutine, or NULL on the loop's own stack.
struct co *co_self(void);

// Gives up the processor until co_wake() or until deadline (clock_mono_ns()). Returns
// true when woken, false when the deadline came first. A wake-up that nobody waits for is
// dropped, so say who is to wake you before you wait. Coroutines only.
bool co_wait(int64_t deadline);

// Lets all that are ready now run first, in this turn of the loop. Coroutines only.
void co_give_way(void);

// Lets co go on in this turn of the loop; does nothing unless it is in co_wait().
void co_wake(struct co *co);

// The id that log lines carry while this coroutine runs; NULL for none. id must live as
// long as the coroutine.
void co_set_log_id(const char *id);

// The running coroutine's, or NULL.
const char *co_log_id(void);

// Runs every coroutine that is ready; true if there was one. For loop.c alone.
bool co_run_ready(void);

// Coroutines that have been started and have not returned.
unsigned co_count(void);
