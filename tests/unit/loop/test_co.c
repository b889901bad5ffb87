#include "co_unit.h"

#include <ev.h>
#include <stdbool.h>
#include <string.h>

#include "base/log.h"

// What happened, one letter a step.
static char trace[64];

static void note(char c)
{
    size_t len = strlen(trace);
    assert_true(len < sizeof trace - 1);
    trace[len] = c;
    trace[len + 1] = '\0';
}

static int clear_trace(void **state)
{
    memset(trace, 0, sizeof trace);
    return unit_setup(state);
}

#define CO_TEST(f) cmocka_unit_test_setup_teardown(f, clear_trace, unit_teardown)

static void note_arg(void *arg)
{
    note(*(const char *)arg);
}

static void start_three(void *arg)
{
    (void)arg;
    note('[');
    co_start(note_arg, "a");
    co_start(note_arg, "b");
    co_start(note_arg, "c");
    note(']');
    co_unit_yield();
    note('.');
}

static void started_ones_run_in_order_once_the_starter_waits(void **state)
{
    (void)state;
    co_unit_run(start_three, NULL);
    assert_string_equal(trace, "[]abc.");
}

static void start_and_yield(void *arg)
{
    (void)arg;
    co_start(note_arg, "a");
    co_start(note_arg, "b");
    uint64_t turn = loop_turn();
    note('[');
    co_give_way();
    note(']');
    assert_int_equal(loop_turn(), turn);
    co_unit_yield();
    assert_true(loop_turn() > turn);
}

static void who_yields_comes_after_all_that_are_ready(void **state)
{
    (void)state;
    co_unit_run(start_and_yield, NULL);
    assert_string_equal(trace, "[ab]");
}

static void keep_self(void *arg)
{
    struct co **self = arg;
    *self = co_self();
    co_unit_yield();
    assert_ptr_equal(co_self(), *self);
}

static void look_at_selves(void *arg)
{
    struct co *me = co_self(), *first = NULL, *second = NULL;
    (void)arg;
    assert_int_equal(co_count(), 1);
    co_start(keep_self, &first);
    co_start(keep_self, &second);
    assert_int_equal(co_count(), 3);
    co_unit_alone();
    assert_ptr_equal(co_self(), me);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    assert_ptr_not_equal(first, me);
}

static void each_knows_itself(void **state)
{
    (void)state;
    assert_null(co_self());
    co_unit_run(look_at_selves, NULL);
    assert_null(co_self());
    assert_int_equal(co_count(), 0);
}

// Waiting and waking

struct sleeper {
    char name;
    int64_t deadline; // or CO_FOREVER
    struct co *co;
    bool done, woken;
    int64_t at; // when it went on
};

static void sleep_until(void *arg)
{
    struct sleeper *s = arg;
    s->co = co_self();
    s->woken = co_wait(s->deadline);
    s->at = clock_mono_ns();
    s->done = true;
    note(s->name);
}

static void wake_in_another_order(void *arg)
{
    struct sleeper s[] = {{.name = 'a', .deadline = CO_FOREVER},
                          {.name = 'b', .deadline = co_unit_in_ms(10000)},
                          {.name = 'c', .deadline = CO_FOREVER}};
    (void)arg;
    for (size_t i = 0; i < LENGTH(s); i++)
        co_start(sleep_until, &s[i]);
    co_unit_yield();
    co_wake(s[2].co);
    co_wake(s[0].co);
    co_wake(s[1].co);
    co_wake(s[2].co); // again: it has its turn already
    note('|');
    co_unit_yield();
    for (size_t i = 0; i < LENGTH(s); i++)
        assert_true(s[i].woken);
}

static void the_woken_go_on_in_the_order_of_waking(void **state)
{
    (void)state;
    co_unit_run(wake_in_another_order, NULL);
    assert_string_equal(trace, "|cab");
}

static void wait_for_deadlines(void *arg)
{
    int64_t now = clock_mono_ns();
    struct sleeper s[] = {{.name = 'c', .deadline = now + 30 * MS},
                          {.name = 'a', .deadline = now + 10 * MS},
                          {.name = 'd', .deadline = now + 40 * MS},
                          {.name = 'b', .deadline = now + 20 * MS}};
    (void)arg;
    for (size_t i = 0; i < LENGTH(s); i++)
        co_start(sleep_until, &s[i]);
    for (size_t i = 0; i < LENGTH(s); i++) {
        co_unit_until(&s[i].done);
        assert_false(s[i].woken);
        assert_true(s[i].at >= s[i].deadline - MS);
        assert_true(s[i].at < s[i].deadline + 1000 * MS);
    }
}

static void deadlines_come_in_their_own_order(void **state)
{
    (void)state;
    co_unit_run(wait_for_deadlines, NULL);
    assert_string_equal(trace, "abcd");
}

// Libev counts from the start of a turn: a long turn must not shorten what comes after.
static void wait_after_a_long_turn(void *arg)
{
    (void)arg;
    co_unit_yield();
    co_unit_spin_ms(30);
    int64_t begun = clock_mono_ns();
    assert_false(co_wait(begun + 20 * MS));
    assert_true(clock_mono_ns() - begun >= 19 * MS);
}

static void a_deadline_counts_from_now(void **state)
{
    (void)state;
    co_unit_run(wait_after_a_long_turn, NULL);
}

static void wait_for_the_past(void *arg)
{
    (void)arg;
    co_start(note_arg, "x");
    assert_false(co_wait(clock_mono_ns()));
    assert_false(co_wait(0));
    note('.');
    co_unit_yield();
}

static void a_deadline_in_the_past_gives_nothing_up(void **state)
{
    (void)state;
    co_unit_run(wait_for_the_past, NULL);
    assert_string_equal(trace, ".x");
}

// Wakes that nobody waits for

static void wait_after_waking_oneself(void *arg)
{
    struct sleeper *s = arg;
    s->co = co_self();
    co_wake(co_self());
    s->woken = co_wait(co_unit_in_ms(10));
    s->done = true;
}

static void wake_those_who_do_not_wait(void *arg)
{
    struct sleeper s = {0};
    (void)arg;
    co_start(wait_after_waking_oneself, &s);
    co_unit_until(&s.done);
    assert_false(s.woken);
    co_wake(s.co); // it has returned
    co_unit_yield();
    co_start(note_arg, "x"); // on its stack
    loop_sleep_ms(5);
}

static void a_wake_that_nobody_waits_for_is_dropped(void **state)
{
    (void)state;
    co_unit_run(wake_those_who_do_not_wait, NULL);
    assert_string_equal(trace, "x");
}

struct waits {
    int64_t first_deadline;
    struct co *co;
    bool first_woken, second_woken, done;
};

static void wait_twice(void *arg)
{
    struct waits *waits = arg;
    waits->co = co_self();
    waits->first_woken = co_wait(waits->first_deadline);
    waits->second_woken = co_wait(co_unit_in_ms(20));
    waits->done = true;
}

static void take_long(void *arg)
{
    co_wait(*(int64_t *)arg);
    co_unit_spin_ms(10);
}

// Two deadlines pass in one turn. Who goes on first wakes the other, which has timed out
// but has not gone on yet: that wake is too late, and not meant for its next wait.
static void wake_the_timed_out(void *arg)
{
    int64_t begun = clock_mono_ns(), deadline = begun + 10 * MS, spin_at = begun + 5 * MS;
    struct waits waits = {.first_deadline = deadline + MS};
    (void)arg;
    co_start(wait_twice, &waits);
    co_start(take_long, &spin_at);
    assert_false(co_wait(deadline));
    co_wake(waits.co);
    co_unit_until(&waits.done);
    assert_false(waits.first_woken);
    assert_false(waits.second_woken);
}

static void a_wake_after_the_time_out_is_not_kept(void **state)
{
    (void)state;
    co_unit_run(wake_the_timed_out, NULL);
}

static void wake_twice(void *arg)
{
    struct waits waits = {.first_deadline = CO_FOREVER};
    (void)arg;
    co_start(wait_twice, &waits);
    co_unit_yield();
    co_wake(waits.co);
    co_wake(waits.co);
    co_unit_until(&waits.done);
    assert_true(waits.first_woken);
    assert_false(waits.second_woken);
}

static void two_wakes_end_one_wait(void **state)
{
    (void)state;
    co_unit_run(wake_twice, NULL);
}

static void wake_after_the_deadline_passed(void *arg)
{
    struct sleeper s = {.name = 'w', .deadline = co_unit_in_ms(5)};
    (void)arg;
    co_start(sleep_until, &s);
    co_unit_yield();
    co_unit_spin_ms(10);
    co_wake(s.co); // before the loop has seen that its time is over
    co_unit_yield();
    assert_true(s.done);
    assert_true(s.woken);
    // The stack is used again: a timer left behind would end this wait too soon.
    struct sleeper next = {.name = 'n', .deadline = CO_FOREVER};
    co_start(sleep_until, &next);
    loop_sleep_ms(20);
    assert_ptr_equal(next.co, s.co);
    assert_false(next.done);
    co_wake(next.co);
    co_unit_yield();
    assert_true(next.woken);
}

static void a_wake_before_the_time_out_counts(void **state)
{
    (void)state;
    co_unit_run(wake_after_the_deadline_passed, NULL);
    assert_string_equal(trace, "wn");
}

static void wake_it(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)ev;
    (void)events;
    co_wake(((struct sleeper *)timer->data)->co);
}

// The wake and the deadline are events of one turn, and the wake is the first.
static void wake_in_the_turn_of_the_deadline(void *arg)
{
    int64_t begun = clock_mono_ns(), spin_at = begun + 5 * MS;
    struct sleeper s = {.name = 'w', .deadline = begun + 12 * MS};
    ev_timer waker;
    (void)arg;
    co_start(sleep_until, &s);
    co_start(take_long, &spin_at);
    ev_timer_init(&waker, wake_it, 0.008 + loop_turn_seconds(), 0.);
    waker.data = &s;
    ev_timer_start(loop_ev(), &waker);
    co_unit_until(&s.done);
    assert_true(s.woken);
    co_unit_alone();
}

static void a_wake_just_before_the_time_out_counts(void **state)
{
    (void)state;
    co_unit_run(wake_in_the_turn_of_the_deadline, NULL);
    assert_string_equal(trace, "w");
}

// The log

static void log_with_id(void *arg)
{
    co_set_log_id(arg);
    log_event(LOG_ERROR, "first", LOG_STR("who", arg));
    co_unit_yield();
    log_event(LOG_ERROR, "second", LOG_STR("who", arg));
}

static void log_without_id(void *arg)
{
    log_event(LOG_ERROR, "nameless", LOG_STR("who", arg));
}

static void log_from_several(void *arg)
{
    (void)arg;
    co_start(log_with_id, "one");
    co_start(log_without_id, "nobody");
    co_start(log_with_id, "two");
    co_unit_alone();
    co_start(log_without_id, "later"); // on a stack that had an id
    co_unit_yield();
    co_set_log_id("main"); // the last to run before the loop itself logs
}

static void log_lines_carry_their_coroutines_id(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDERR_FILENO);
    char text[8192] = "";
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    co_unit_run(log_from_several, NULL);
    log_event(LOG_ERROR, "nameless", LOG_STR("who", "the loop"));
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    close(saved);
    ssize_t len = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    assert_true(len > 0);

    int lines = 0;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest), lines++) {
        bool one = strstr(line, "\"who\":\"one\""), two = strstr(line, "\"who\":\"two\"");
        assert_int_equal(strstr(line, "\"request_id\":\"one\"") != NULL, one);
        assert_int_equal(strstr(line, "\"request_id\":\"two\"") != NULL, two);
        assert_int_equal(strstr(line, "request_id") != NULL, one || two);
    }
    assert_int_equal(lines, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CO_TEST(started_ones_run_in_order_once_the_starter_waits),
        CO_TEST(who_yields_comes_after_all_that_are_ready),
        CO_TEST(each_knows_itself),
        CO_TEST(the_woken_go_on_in_the_order_of_waking),
        CO_TEST(deadlines_come_in_their_own_order),
        CO_TEST(a_deadline_counts_from_now),
        CO_TEST(a_deadline_in_the_past_gives_nothing_up),
        CO_TEST(a_wake_that_nobody_waits_for_is_dropped),
        CO_TEST(a_wake_after_the_time_out_is_not_kept),
        CO_TEST(two_wakes_end_one_wait),
        CO_TEST(a_wake_before_the_time_out_counts),
        CO_TEST(a_wake_just_before_the_time_out_counts),
        CO_TEST(log_lines_carry_their_coroutines_id),
    };
    loop_init();
    return UNIT_RUN(tests);
}
