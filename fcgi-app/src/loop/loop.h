// The event loop: one per process, on libev.
//
// A turn: events are gathered and their callbacks run, which wake or start coroutines;
// then, before the loop waits again, all ready coroutines run, and then the flush hooks
// send what the coroutines have written, until neither has anything left to do.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ev_loop;

// Makes the loop. Call once, before anything else of this layer.
void loop_init(void);

// Runs until loop_stop().
void loop_run(void);

// Makes loop_run() return after this turn.
void loop_stop(void);

struct ev_loop *loop_ev(void);

// A number that each turn has for itself.
uint64_t loop_turn(void);

// Seconds from the start of this turn to now: libev's timers count from the start.
double loop_turn_seconds(void);

// Has fn called at the end of each turn, before the loop waits; at most four.
void loop_on_flush(void (*fn)(void));

// Waits until fd can be read (EV_READ) or written (EV_WRITE), or until the deadline
// (clock_mono_ns()); false at the deadline. For connecting and other rare waits: it costs
// two system calls, so a connection in use keeps a watcher of its own. Coroutines only.
bool loop_wait_fd(int fd, int events, int64_t deadline);

// Lets ms milliseconds pass for this coroutine.
void loop_sleep_ms(int64_t ms);
