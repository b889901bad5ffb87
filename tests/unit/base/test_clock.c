#include "unit.h"

#include <time.h>

#include "base/clock.h"

static void clocks_run_in_their_units(void **state)
{
    (void)state;
    int64_t mono = clock_mono_ns(), boot = clock_boot_ns(), wall = clock_wall_ms();
    const struct timespec nap = {.tv_nsec = 20000000};
    nanosleep(&nap, NULL);
    // A slow machine may sleep longer, never less.
    assert_in_range(clock_mono_ns() - mono, 20000000, INT64_C(10000000000));
    assert_in_range(clock_boot_ns() - boot, 20000000, INT64_C(10000000000));
    assert_in_range(clock_wall_ms() - wall, 19, 10000);
    assert_in_range(wall / 1000, time(NULL) - 60, time(NULL) + 1);
    assert_true(boot >= mono);
}

static void they_do_not_go_back(void **state)
{
    (void)state;
    int64_t mono = clock_mono_ns(), boot = clock_boot_ns();
    for (int i = 0; i < 100000; i++) {
        int64_t next_mono = clock_mono_ns(), next_boot = clock_boot_ns();
        assert_true(next_mono >= mono);
        assert_true(next_boot >= boot);
        mono = next_mono;
        boot = next_boot;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(clocks_run_in_their_units),
        UNIT_TEST(they_do_not_go_back),
    };
    return UNIT_RUN(tests);
}
