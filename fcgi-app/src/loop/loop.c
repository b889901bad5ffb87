// The event loop: owns the libev loop and says in which order a turn's work is done.

#include "loop/loop.h"

#include <ev.h>
#include <stdlib.h>

#include "base/clock.h"
#include "loop/co.h"

#define FLUSH_MAX 4

static struct ev_loop *ev;
static ev_prepare before_wait;
static ev_check after_wait;
static int64_t turn_began_ns;
static uint64_t turn;
static void (*flush[FLUSH_MAX])(void);
static int n_flush;

static void on_before_wait(struct ev_loop *l, ev_prepare *w, int events)
{
    (void)l;
    (void)w;
    (void)events;
    // A flush can fail and so wake those who wait for an answer: go on until all is
    // quiet.
    while (co_run_ready())
        for (int i = 0; i < n_flush; i++)
            flush[i]();
}

// libev's own idea of now is by the wall clock, which may jump.
static void on_after_wait(struct ev_loop *l, ev_check *w, int events)
{
    (void)l;
    (void)w;
    (void)events;
    turn_began_ns = clock_mono_ns();
    turn++;
}

void loop_init(void)
{
    turn_began_ns = clock_mono_ns();
    ev = ev_default_loop(EVFLAG_AUTO);
    if (!ev)
        abort();
    ev_prepare_init(&before_wait, on_before_wait);
    ev_check_init(&after_wait, on_after_wait);
    ev_set_priority(&after_wait, EV_MAXPRI);
    ev_check_start(ev, &after_wait);
    ev_prepare_start(ev, &before_wait); // which also keeps ev_run() going
}

void loop_run(void)
{
    ev_run(ev, 0);
}

void loop_stop(void)
{
    ev_break(ev, EVBREAK_ALL);
}

struct ev_loop *loop_ev(void)
{
    return ev;
}

uint64_t loop_turn(void)
{
    return turn;
}

double loop_turn_seconds(void)
{
    return (double)(clock_mono_ns() - turn_began_ns) / 1e9;
}

void loop_on_flush(void (*fn)(void))
{
    if (n_flush == FLUSH_MAX)
        abort();
    flush[n_flush++] = fn;
}

static void on_fd(struct ev_loop *l, ev_io *io, int events)
{
    (void)l;
    (void)events;
    co_wake(io->data);
}

bool loop_wait_fd(int fd, int events, int64_t deadline)
{
    ev_io io;
    ev_io_init(&io, on_fd, fd, events);
    io.data = co_self();
    ev_io_start(ev, &io);
    bool woken = co_wait(deadline);
    ev_io_stop(ev, &io);
    return woken;
}

void loop_sleep_ms(int64_t ms)
{
    co_wait(clock_mono_ns() + ms * 1000000);
}
