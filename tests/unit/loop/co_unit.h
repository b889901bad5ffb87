// What the tests of code that waits share: their bodies run as coroutines, on the loop.
#pragma once

#include "../base/unit.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/co.h"
#include "loop/loop.h"

#define MS INT64_C(1000000)

// A test that hangs is ended by SIGALRM after so many seconds.
#define CO_UNIT_LIMIT_S 60

struct co_unit_body {
    void (*fn)(void *arg);
    void *arg;
};

static inline void co_unit_main(void *arg)
{
    const struct co_unit_body *body = arg;
    body->fn(body->arg);
    loop_stop();
}

// Runs fn(arg) as a coroutine, and the loop until it has returned. An assertion that
// fails in there jumps out of the loop's midst, so no later test could trust it.
static inline void co_unit_run(void (*fn)(void *arg), void *arg)
{
    static bool inside;
    if (inside) {
        puts("Bail out! A test failed in a coroutine.");
        fflush(stdout);
        _exit(1);
    }
    struct co_unit_body body = {fn, arg};
    inside = true;
    alarm(CO_UNIT_LIMIT_S);
    co_start(co_unit_main, &body);
    loop_run();
    alarm(0);
    inside = false;
}

// Lets every coroutine that is ready run, and a turn of the loop pass.
static inline void co_unit_yield(void)
{
    loop_sleep_ms(1);
}

// Waits for what another coroutine is to do.
static inline void co_unit_until(const bool *done)
{
    while (!*(const volatile bool *)done)
        co_unit_yield();
}

// Waits until all other coroutines have returned.
static inline void co_unit_alone(void)
{
    while (co_count() > 1)
        co_unit_yield();
}

static inline int64_t co_unit_in_ms(int64_t ms)
{
    return clock_mono_ns() + ms * MS;
}

// Passes time without giving up the processor.
static inline void co_unit_spin_ms(int64_t ms)
{
    int64_t until = co_unit_in_ms(ms);
    while (clock_mono_ns() < until) {
    }
}
