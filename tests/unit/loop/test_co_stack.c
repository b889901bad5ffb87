#include "co_unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void keep_frame(void *arg)
{
    *(void **)arg = __builtin_frame_address(0);
}

static void compare_frames(void *arg)
{
    void *first = NULL, *second = NULL;
    (void)arg;
    co_start(keep_frame, &first);
    co_unit_yield();
    co_start(keep_frame, &second);
    co_unit_yield();
    assert_non_null(first);
    assert_ptr_equal(first, second);
}

static void a_stack_is_used_again(void **state)
{
    (void)state;
    co_unit_run(compare_frames, NULL);
}

static unsigned finished, waiting_most;

static void hold_a_pattern(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg;
    unsigned held[500];
    for (unsigned i = 0; i < LENGTH(held); i++)
        held[i] = number * 7919 + i;
    for (unsigned round = 0; round < 3; round++) {
        if (co_count() > waiting_most)
            waiting_most = co_count();
        loop_sleep_ms(1 + (number * 31 + round * 17) % 20);
        for (unsigned i = 0; i < LENGTH(held); i++)
            assert_int_equal(held[i], number * 7919 + i);
    }
    finished++;
}

#define CROWD 4000U

static void start_a_crowd(void *arg)
{
    (void)arg;
    for (int times = 0; times < 2; times++) {
        finished = 0;
        for (unsigned i = 0; i < CROWD; i++)
            co_start(hold_a_pattern, (void *)(uintptr_t)i);
        co_unit_alone();
        assert_int_equal(finished, CROWD);
    }
}

static void thousands_keep_their_stacks_apart(void **state)
{
    (void)state;
    waiting_most = 0;
    co_unit_run(start_a_crowd, NULL);
    assert_int_equal(waiting_most, CROWD + 1);
}

#define DEPTH_BYTES ((size_t)200 * 1024)

// Goes down until `bytes` below top, waits there, and checks every frame on the way up.
static unsigned go_down(const char *top, size_t bytes, unsigned level)
{
    volatile unsigned frame[64];
    for (unsigned i = 0; i < LENGTH(frame); i++)
        frame[i] = level + i;
    unsigned below = 0;
    if ((size_t)(top - (const char *)__builtin_frame_address(0)) < bytes)
        below = go_down(top, bytes, level + 1);
    else
        co_unit_yield();
    for (unsigned i = 0; i < LENGTH(frame); i++)
        assert_int_equal(frame[i], level + i);
    return below + 1;
}

static void go_deep(void *arg)
{
    unsigned *levels = arg;
    *levels = go_down(__builtin_frame_address(0), DEPTH_BYTES, 0);
}

static void go_deep_in_several(void *arg)
{
    unsigned levels[5] = {0};
    (void)arg;
    for (size_t i = 0; i < LENGTH(levels); i++)
        co_start(go_deep, &levels[i]);
    co_unit_alone();
    for (size_t i = 0; i < LENGTH(levels); i++)
        assert_true(levels[i] > 50);
}

static void a_stack_is_deep(void **state)
{
    (void)state;
    co_unit_run(go_deep_in_several, NULL);
}

// More than a stack has, but not much: what ends this is the page below it, and not
// memory further down that is nobody's. There another stack begins.
#ifdef __SANITIZE_ADDRESS__
#define TOO_DEEP_BYTES ((size_t)1100 * 1024)
#else
#define TOO_DEEP_BYTES ((size_t)300 * 1024)
#endif

static void go_too_deep(void *arg)
{
    void *frames[8];
    (void)arg;
    for (size_t i = 0; i < LENGTH(frames); i++)
        co_start(keep_frame, &frames[i]);
    co_unit_yield();
    go_down(__builtin_frame_address(0), TOO_DEEP_BYTES, 0);
    _exit(0);
}

static void an_overflow_ends_the_process(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO); // a sanitizer's words
        co_unit_run(go_too_deep, NULL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// What the compiler keeps in registers survives a wait, floating point too.
static void keep_registers(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    unsigned a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11;
    double x = seed, y = seed / 3.0;
    for (int i = 0; i < 5; i++) {
        co_unit_yield();
        a += 1, b += a, c ^= b, d += c, e -= d;
        x += 0.5, y *= 1.5;
    }
    *(unsigned *)arg = a + b + c + d + e + (unsigned)(x * 100) + (unsigned)(y * 100);
}

static unsigned expected_of(unsigned seed)
{
    unsigned a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11;
    double x = seed, y = seed / 3.0;
    for (int i = 0; i < 5; i++) {
        a += 1, b += a, c ^= b, d += c, e -= d;
        x += 0.5, y *= 1.5;
    }
    return a + b + c + d + e + (unsigned)(x * 100) + (unsigned)(y * 100);
}

static void start_many_with_registers(void *arg)
{
    unsigned values[20];
    (void)arg;
    for (unsigned i = 0; i < LENGTH(values); i++) {
        values[i] = i + 1;
        co_start(keep_registers, &values[i]);
    }
    co_unit_alone();
    for (unsigned i = 0; i < LENGTH(values); i++)
        assert_int_equal(values[i], expected_of(i + 1));
}

static void registers_survive_a_wait(void **state)
{
    (void)state;
    co_unit_run(start_many_with_registers, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        // The first, so that the stacks lie side by side.
        UNIT_TEST(an_overflow_ends_the_process),      UNIT_TEST(a_stack_is_used_again),
        UNIT_TEST(thousands_keep_their_stacks_apart), UNIT_TEST(a_stack_is_deep),
        UNIT_TEST(registers_survive_a_wait),
    };
    loop_init();
    return UNIT_RUN(tests);
}
