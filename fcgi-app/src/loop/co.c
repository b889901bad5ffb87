// Coroutines on glibc's ucontext.
//
// swapcontext() saves the signal mask with a system call at each switch. So it only makes
// the first entry to a stack; after that sigsetjmp() and siglongjmp() do the switching,
// without a system call (the technique of Engelschall, "Portable Multithreading", USENIX
// 2000). That jump goes to a deeper frame of another stack, which _FORTIFY_SOURCE takes
// for an attack: the Makefile builds this one file without it. Address sanitizer has to
// be told of each switch and follows swapcontext() only, so its builds use that
// throughout.

#include "loop/co.h"

#include <ev.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/loop.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#define STACK_BYTES ((size_t)1024 * 1024)
#else
#define STACK_BYTES ((size_t)256 * 1024)
#endif

// Stacks kept for the next request; more than these are given back.
#define IDLE_MAX 512U

enum co_state { CO_IDLE, CO_READY, CO_RUNNING, CO_WAITING };

struct co {
    enum co_state state;
    bool entered; // its stack has a frame to jump back to
    bool timed_out;
    struct co *next; // in the ready queue or in the idle list
    void (*fn)(void *arg);
    void *arg;
    const char *log_id;
    ev_timer timer;
    ucontext_t context;
    sigjmp_buf jump;
    void *map; // the guard page, then the stack
    size_t map_bytes;
#ifdef __SANITIZE_ADDRESS__
    void *fake_stack;
#endif
};

static struct co *current;
static struct co *ready_head, **ready_tail = &ready_head;
static struct co *idle;
static unsigned n_idle, n_live;

#ifdef __SANITIZE_ADDRESS__
static ucontext_t loop_context;
static void *loop_fake_stack;
static const void *loop_stack;
static size_t loop_stack_bytes;

static void switch_in(struct co *co)
{
    __sanitizer_start_switch_fiber(
        &loop_fake_stack, (char *)co->map + co->map_bytes - STACK_BYTES, STACK_BYTES);
    swapcontext(&loop_context, &co->context);
    __sanitizer_finish_switch_fiber(loop_fake_stack, NULL, NULL);
}

static void switch_out(struct co *co)
{
    __sanitizer_start_switch_fiber(&co->fake_stack, loop_stack, loop_stack_bytes);
    swapcontext(&co->context, &loop_context);
    __sanitizer_finish_switch_fiber(co->fake_stack, &loop_stack, &loop_stack_bytes);
}

static void first_entry(void)
{
    __sanitizer_finish_switch_fiber(NULL, &loop_stack, &loop_stack_bytes);
}

// What only a waiting coroutine's stack points to is no leak.
static void stack_made(const struct co *co)
{
    __lsan_register_root_region(co->context.uc_stack.ss_sp, STACK_BYTES);
}

static void stack_gone(const struct co *co)
{
    __lsan_unregister_root_region(co->context.uc_stack.ss_sp, STACK_BYTES);
}
#else
static sigjmp_buf loop_jump;

static void switch_in(struct co *co)
{
    if (sigsetjmp(loop_jump, 0) != 0)
        return;
    if (co->entered)
        siglongjmp(co->jump, 1);
    co->entered = true;
    setcontext(&co->context);
    abort();
}

static void switch_out(struct co *co)
{
    if (sigsetjmp(co->jump, 0) == 0)
        siglongjmp(loop_jump, 1);
}

static void first_entry(void)
{
}

static void stack_made(const struct co *co)
{
    (void)co;
}

static void stack_gone(const struct co *co)
{
    (void)co;
}
#endif

static void make_ready(struct co *co)
{
    co->state = CO_READY;
    co->next = NULL;
    *ready_tail = co;
    ready_tail = &co->next;
}

// The bottom of every stack: runs one function after another, as the stack is reused.
static void co_main(void)
{
    first_entry();
    for (;;) {
        struct co *co = current;
        co->fn(co->arg);
        co->state = CO_IDLE;
        switch_out(co);
    }
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)ev;
    (void)events;
    struct co *co = timer->data;
    if (co->state != CO_WAITING) // woken in this same turn
        return;
    co->timed_out = true;
    make_ready(co);
}

static struct co *co_new(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct co *co = calloc(1, sizeof *co);
    if (!co)
        abort();
    co->map_bytes = page + STACK_BYTES;
    co->map = mmap(NULL, co->map_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (co->map == MAP_FAILED || mprotect(co->map, page, PROT_NONE) != 0)
        abort();
    getcontext(&co->context);
    co->context.uc_stack.ss_sp = (char *)co->map + page;
    co->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&co->context, co_main, 0);
    stack_made(co);
    ev_timer_init(&co->timer, on_timer, 0., 0.);
    co->timer.data = co;
    return co;
}

static void co_recycle(struct co *co)
{
    n_live--;
    if (n_idle < IDLE_MAX) {
        co->next = idle;
        idle = co;
        n_idle++;
        return;
    }
    stack_gone(co);
    munmap(co->map, co->map_bytes);
    free(co);
}

void co_start(void (*fn)(void *arg), void *arg)
{
    struct co *co = idle;
    if (co) {
        idle = co->next;
        n_idle--;
    } else {
        co = co_new();
    }
    n_live++;
    co->fn = fn;
    co->arg = arg;
    co->log_id = NULL;
    make_ready(co);
}

struct co *co_self(void)
{
    return current;
}

unsigned co_count(void)
{
    return n_live;
}

void co_set_log_id(const char *id)
{
    current->log_id = id;
    log_set_request(id);
}

const char *co_log_id(void)
{
    return current->log_id;
}

bool co_wait(int64_t deadline)
{
    struct co *co = current;
    co->timed_out = false;
    if (deadline != CO_FOREVER) {
        int64_t left = deadline - clock_mono_ns();
        if (left <= 0)
            return false;
        // libev counts from the start of this turn of the loop.
        ev_timer_set(&co->timer, (double)left / 1e9 + loop_turn_seconds(), 0.);
        ev_timer_start(loop_ev(), &co->timer);
    }
    co->state = CO_WAITING;
    switch_out(co);
    ev_timer_stop(loop_ev(), &co->timer);
    return !co->timed_out;
}

void co_give_way(void)
{
    struct co *co = current;
    make_ready(co);
    switch_out(co);
}

void co_wake(struct co *co)
{
    if (co->state == CO_WAITING)
        make_ready(co);
}

bool co_run_ready(void)
{
    bool any = ready_head != NULL;
    while (ready_head) {
        struct co *co = ready_head;
        ready_head = co->next;
        if (!ready_head)
            ready_tail = &ready_head;
        co->state = CO_RUNNING;
        current = co;
        log_set_request(co->log_id);
        switch_in(co);
        current = NULL;
        log_set_request(NULL);
        if (co->state == CO_IDLE)
            co_recycle(co);
    }
    return any;
}
