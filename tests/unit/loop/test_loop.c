#include "co_unit.h"

#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct pipe_end {
    int fd;
    int events;
    int64_t deadline;
    bool done, came;
};

static void wait_for_it(void *arg)
{
    struct pipe_end *end = arg;
    end->came = loop_wait_fd(end->fd, end->events, end->deadline);
    end->done = true;
}

static void wait_to_read(void *arg)
{
    int ends[2];
    (void)arg;
    assert_int_equal(pipe(ends), 0);
    struct pipe_end reader = {ends[0], EV_READ, co_unit_in_ms(10000), 0, 0};
    struct pipe_end second = reader;
    co_start(wait_for_it, &reader);
    co_start(wait_for_it, &second);
    loop_sleep_ms(5);
    assert_false(reader.done);
    assert_int_equal(write(ends[1], "x", 1), 1);
    co_unit_alone();
    assert_true(reader.came);
    assert_true(second.came);
    assert_true(loop_wait_fd(ends[0], EV_READ, CO_FOREVER)); // it is still there to read
    char c;
    assert_int_equal(read(ends[0], &c, 1), 1);
    assert_false(loop_wait_fd(ends[0], EV_READ, co_unit_in_ms(2)));
    close(ends[1]); // its end can be read as well
    assert_true(loop_wait_fd(ends[0], EV_READ, CO_FOREVER));
    close(ends[0]);
}

static void it_waits_for_something_to_read(void **state)
{
    (void)state;
    co_unit_run(wait_to_read, NULL);
}

static void wait_to_write(void *arg)
{
    int ends[2];
    char block[4096] = {0};
    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_true(loop_wait_fd(ends[0], EV_WRITE, co_unit_in_ms(10000)));
    while (write(ends[0], block, sizeof block) > 0) {
    }
    assert_false(loop_wait_fd(ends[0], EV_WRITE, co_unit_in_ms(2)));
    struct pipe_end writer = {ends[0], EV_WRITE, CO_FOREVER, 0, 0};
    co_start(wait_for_it, &writer);
    loop_sleep_ms(2);
    assert_false(writer.done);
    while (read(ends[1], block, sizeof block) > 0) {
    }
    co_unit_until(&writer.done);
    assert_true(writer.came);
    close(ends[0]);
    close(ends[1]);
}

static void it_waits_for_room_to_write(void **state)
{
    (void)state;
    co_unit_run(wait_to_write, NULL);
}

static void wait_until_the_deadline(void *arg)
{
    int ends[2];
    (void)arg;
    assert_int_equal(pipe(ends), 0);
    int64_t begun = clock_mono_ns();
    assert_false(loop_wait_fd(ends[0], EV_READ, begun + 20 * MS));
    int64_t took = clock_mono_ns() - begun;
    assert_true(took >= 19 * MS && took < 1000 * MS);
    assert_false(loop_wait_fd(ends[0], EV_READ, begun));
    // The watcher, which was on this stack, has gone: what comes now wakes nobody.
    assert_int_equal(write(ends[1], "x", 1), 1);
    begun = clock_mono_ns();
    assert_false(co_wait(begun + 10 * MS));
    close(ends[0]);
    close(ends[1]);
}

static void it_waits_no_longer_than_the_deadline(void **state)
{
    (void)state;
    co_unit_run(wait_until_the_deadline, NULL);
}

static void sleep_a_while(void *arg)
{
    (void)arg;
    int64_t begun = clock_mono_ns();
    loop_sleep_ms(0);
    assert_true(clock_mono_ns() - begun < 500 * MS);
    begun = clock_mono_ns();
    loop_sleep_ms(25);
    assert_true(clock_mono_ns() - begun >= 24 * MS);
    double before = loop_turn_seconds();
    co_unit_spin_ms(50);
    assert_true(loop_turn_seconds() - before >= 0.049);
    co_unit_yield();
    assert_true(loop_turn_seconds() < 0.049);
}

static void it_sleeps_and_knows_its_turn(void **state)
{
    (void)state;
    co_unit_run(sleep_a_while, NULL);
}

// Hooks stay for good, so these are switched on and off.

static char trace[64];
static struct co *waiting[4];
static size_t n_waiting;
static bool hooks_on;

static void note(char c)
{
    size_t len = strlen(trace);
    assert_true(len < sizeof trace - 1);
    trace[len] = c;
}

// Like a flush that fails: wakes who waits for an answer.
static void first_hook(void)
{
    if (!hooks_on)
        return;
    note('1');
    if (n_waiting)
        co_wake(waiting[--n_waiting]);
}

static void second_hook(void)
{
    if (hooks_on)
        note('2');
}

static void wait_for_a_hook(void *arg)
{
    note(*(const char *)arg);
    waiting[n_waiting++] = co_self();
    assert_true(co_wait(CO_FOREVER));
    note('.');
}

static void wait_in_threes(void *arg)
{
    (void)arg;
    memset(trace, 0, sizeof trace);
    hooks_on = true;
    co_start(wait_for_a_hook, "a");
    co_start(wait_for_a_hook, "b");
    co_start(wait_for_a_hook, "c");
    co_wait(co_unit_in_ms(50));
    hooks_on = false;
}

static void flushes_go_on_until_all_is_quiet(void **state)
{
    (void)state;
    co_unit_run(wait_in_threes, NULL);
    // All three have their turn before the first flush. Each flush wakes one of them,
    // which goes on in the same turn, until there is nobody to wake; nothing is flushed
    // after that before the sleep's end.
    assert_string_equal(trace, "abc12.12.12.12");
}

static void nothing(void)
{
}

static void hook_too_often(void)
{
    for (int i = 0; i < 4; i++)
        loop_on_flush(nothing);
}

static void hook_as_often_as_allowed(void)
{
    for (int i = 0; i < 2; i++)
        loop_on_flush(nothing);
}

static void there_are_four_hooks_at_most(void **state)
{
    (void)state;
    assert_false(unit_aborts(hook_as_often_as_allowed));
    assert_true(unit_aborts(hook_too_often));
}

static void start_and_stop(void *arg)
{
    (void)arg;
    loop_stop();
    note('s');
    loop_sleep_ms(20);
    note('!');
    loop_stop();
}

static void stopping_ends_the_turn(void **state)
{
    (void)state;
    memset(trace, 0, sizeof trace);
    co_start(start_and_stop, NULL);
    loop_run();
    assert_string_equal(trace, "s");
    assert_int_equal(co_count(), 1);
    loop_run(); // what was left goes on
    assert_string_equal(trace, "s!");
    assert_int_equal(co_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(it_waits_for_something_to_read),
        UNIT_TEST(it_waits_for_room_to_write),
        UNIT_TEST(it_waits_no_longer_than_the_deadline),
        UNIT_TEST(it_sleeps_and_knows_its_turn),
        UNIT_TEST(flushes_go_on_until_all_is_quiet),
        UNIT_TEST(there_are_four_hooks_at_most),
        UNIT_TEST(stopping_ends_the_turn),
    };
    loop_init();
    loop_on_flush(first_hook);
    loop_on_flush(second_hook);
    return UNIT_RUN(tests);
}
