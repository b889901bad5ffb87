#include "co_unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "loop/keylock.h"

#define WAITERS_MAX 256

static struct keylock *locks;
static char trace[64];

static void note(char c)
{
    size_t len = strlen(trace);
    assert_true(len < sizeof trace - 1);
    trace[len] = c;
}

static int setup(void **state)
{
    memset(trace, 0, sizeof trace);
    int failed = unit_setup(state);
    locks = keylock_new(*state, WAITERS_MAX);
    return failed;
}

// What was taken and given back must leave nothing behind.
static int teardown(void **state)
{
    size_t left = talloc_total_blocks(locks) - 1;
    talloc_free(locks);
    if (left)
        print_error("%zu locks are still held\n", left);
    return unit_teardown(state) || left ? -1 : 0;
}

#define LOCK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

struct taker {
    const char *key;
    char name;
    int64_t deadline;
    int64_t hold_ms;
    bool done, got;
};

static void take(void *arg)
{
    struct taker *t = arg;
    t->got = keylock_take(locks, t->key, t->deadline);
    note(t->got ? t->name : (char)(t->name - 'a' + 'A'));
    if (t->got) {
        loop_sleep_ms(t->hold_ms);
        keylock_give(locks, t->key);
    }
    t->done = true;
}

static void take_quietly(void *arg)
{
    struct taker *t = arg;
    t->got = keylock_take(locks, t->key, t->deadline);
    if (t->got)
        keylock_give(locks, t->key);
    t->done = true;
}

static void start_takers(struct taker *takers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        co_start(take, &takers[i]);
}

static void take_in_turn(void *arg)
{
    struct taker t[] = {{"k", 'a', CO_FOREVER, 3, 0, 0},
                        {"k", 'b', CO_FOREVER, 1, 0, 0},
                        {"k", 'c', CO_FOREVER, 2, 0, 0},
                        {"k", 'd', co_unit_in_ms(10000), 1, 0, 0}};
    (void)arg;
    start_takers(t, LENGTH(t));
    co_unit_alone();
    for (size_t i = 0; i < LENGTH(t); i++)
        assert_true(t[i].got);
}

static void first_come_first_served(void **state)
{
    (void)state;
    co_unit_run(take_in_turn, NULL);
    assert_string_equal(trace, "abcd");
}

static void take_free_ones(void *arg)
{
    (void)arg;
    // A free lock needs no waiting, so a deadline in the past does not matter.
    assert_true(keylock_take(locks, "k", 0));
    assert_true(keylock_take(locks, "K", 0));
    assert_true(keylock_take(locks, "", 0));
    assert_true(keylock_take(locks, "kk", 0));
    assert_false(keylock_take(locks, "k", 0));
    int64_t begun = clock_mono_ns();
    assert_false(keylock_take(locks, "k", begun + 10 * MS));
    assert_true(clock_mono_ns() - begun >= 9 * MS);
    keylock_give(locks, "k");
    assert_true(keylock_take(locks, "k", 0));
    keylock_give(locks, "kk");
    keylock_give(locks, "k");
    keylock_give(locks, "");
    keylock_give(locks, "K");
}

static void other_names_are_other_locks(void **state)
{
    (void)state;
    co_unit_run(take_free_ones, NULL);
}

// a holds; which of b, c, d gives up, and who queues after that.
static void leave_the_queue(int64_t b_ms, int64_t c_ms, int64_t d_ms)
{
    struct taker t[] = {{"k", 'b', co_unit_in_ms(b_ms), 0, 0, 0},
                        {"k", 'c', co_unit_in_ms(c_ms), 0, 0, 0},
                        {"k", 'd', co_unit_in_ms(d_ms), 0, 0, 0}};
    struct taker late = {"k", 'e', CO_FOREVER, 0, 0, 0};
    memset(trace, 0, sizeof trace);
    assert_true(keylock_take(locks, "k", 0));
    start_takers(t, LENGTH(t));
    loop_sleep_ms(30);
    start_takers(&late, 1);
    co_unit_yield();
    keylock_give(locks, "k");
    co_unit_alone();
    assert_true(late.got);
}

static void let_each_leave(void *arg)
{
    const int64_t soon = 5, long_after = 20000;
    (void)arg;
    leave_the_queue(soon, long_after, long_after);
    assert_string_equal(trace, "Bcde");
    leave_the_queue(long_after, soon, long_after);
    assert_string_equal(trace, "Cbde");
    leave_the_queue(long_after, long_after, soon);
    assert_string_equal(trace, "Dbce");
    leave_the_queue(long_after, soon + 4, soon);
    assert_string_equal(trace, "DCbe");
    leave_the_queue(soon, soon + 4, soon + 8);
    assert_string_equal(trace, "BCDe");
}

static void whoever_gives_up_leaves_the_queue(void **state)
{
    (void)state;
    co_unit_run(let_each_leave, NULL);
}

static void give_after_the_deadline_passed(void *arg)
{
    struct taker t = {"k", 'b', co_unit_in_ms(5), 0, 0, 0};
    (void)arg;
    assert_true(keylock_take(locks, "k", 0));
    start_takers(&t, 1);
    co_unit_yield();
    co_unit_spin_ms(10);
    keylock_give(locks, "k"); // the loop has not seen the deadline yet
    co_unit_until(&t.done);
    assert_true(t.got);
}

static void spin_past(void *arg)
{
    co_wait(*(int64_t *)arg);
    co_unit_spin_ms(10);
}

// The holder and the next in the queue are ready in one turn, the latter by its deadline;
// the holder goes on first and gives the lock to one that has timed out.
static void give_to_the_timed_out(void *arg)
{
    int64_t begun = clock_mono_ns(), spin_at = begun + 5 * MS, give_at = begun + 10 * MS;
    struct taker t[] = {{"k", 'b', give_at + MS, 0, 0, 0},
                        {"k", 'c', CO_FOREVER, 0, 0, 0}};
    (void)arg;
    assert_true(keylock_take(locks, "k", 0));
    start_takers(t, LENGTH(t));
    co_start(spin_past, &spin_at);
    assert_false(co_wait(give_at));
    keylock_give(locks, "k");
    co_unit_alone();
    assert_true(t[0].got);
    assert_true(t[1].got);
}

static void a_lock_given_at_the_deadline_is_not_lost(void **state)
{
    (void)state;
    co_unit_run(give_after_the_deadline_passed, NULL);
    co_unit_run(give_to_the_timed_out, NULL);
    assert_string_equal(trace, "bbc");
}

// Giving does not pass the processor on, and nobody can overtake the heir meanwhile.
static void give_and_take_again(void *arg)
{
    struct taker t = {"k", 'b', CO_FOREVER, 0, 0, 0};
    (void)arg;
    assert_true(keylock_take(locks, "k", 0));
    start_takers(&t, 1);
    co_unit_yield();
    keylock_give(locks, "k");
    assert_false(t.done);
    assert_false(keylock_take(locks, "k", 0));
    assert_true(keylock_take(locks, "k", CO_FOREVER));
    note('a');
    keylock_give(locks, "k");
    assert_true(t.done);
}

static void nobody_overtakes_the_heir(void **state)
{
    (void)state;
    co_unit_run(give_and_take_again, NULL);
    assert_string_equal(trace, "ba");
}

// Names that meet in one bucket of the table: FNV-1a modulo 1024, as in keylock.c.
static unsigned bucket_of(const char *key)
{
    uint32_t hash = 2166136261U;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 16777619U;
    return hash % 1024;
}

#define CROWDED 12

static void take_crowded(void *arg)
{
    char keys[CROWDED][16];
    size_t n = 0;
    (void)arg;
    for (unsigned i = 0; n < CROWDED; i++) {
        snprintf(keys[n], sizeof keys[n], "user%u", i);
        n += bucket_of(keys[n]) == 77;
    }
    for (size_t i = 0; i < CROWDED; i++)
        assert_true(keylock_take(locks, keys[i], 0));
    for (size_t i = 0; i < CROWDED; i++)
        assert_false(keylock_take(locks, keys[i], 0));
    // The first, the last and those between; what is left stays held.
    static const size_t order[CROWDED] = {0, 11, 5, 6, 1, 10, 9, 2, 3, 8, 7, 4};
    bool held[CROWDED];
    memset(held, true, sizeof held);
    for (size_t i = 0; i < CROWDED; i++) {
        keylock_give(locks, keys[order[i]]);
        held[order[i]] = false;
        for (size_t k = 0; k < CROWDED; k++) {
            bool took = keylock_take(locks, keys[k], 0);
            assert_int_equal(took, !held[k]);
            if (took)
                keylock_give(locks, keys[k]);
        }
    }
}

static void many_names_fit_one_bucket(void **state)
{
    (void)state;
    co_unit_run(take_crowded, NULL);
}

static void wait_in_a_long_queue(void *arg)
{
    static struct taker t[WAITERS_MAX];
    int64_t soon = co_unit_in_ms(200), much_later = co_unit_in_ms(20000);
    (void)arg;
    assert_true(keylock_take(locks, "k", 0));
    for (size_t i = 0; i < LENGTH(t); i++)
        t[i] = (struct taker){.key = "k", .deadline = i % 2 ? CO_FOREVER : soon};
    for (size_t i = 0; i < LENGTH(t); i++)
        co_start(take_quietly, &t[i]);
    co_unit_yield();
    int64_t begun = clock_mono_ns();
    assert_false(keylock_take(locks, "k", much_later));
    assert_true(clock_mono_ns() - begun < 100 * MS);
    assert_true(keylock_take(locks, "other", 0));
    keylock_give(locks, "other");
    // Whoever gives up makes room, and so does whoever gets the lock.
    co_unit_until(&t[LENGTH(t) - 2].done);
    struct taker more[LENGTH(t) / 2];
    for (size_t i = 0; i < LENGTH(more); i++) {
        more[i] = (struct taker){.key = "k", .deadline = CO_FOREVER};
        co_start(take_quietly, &more[i]);
    }
    co_unit_yield();
    assert_false(keylock_take(locks, "k", much_later));
    keylock_give(locks, "k");
    struct taker last = {.key = "k", .deadline = CO_FOREVER};
    co_start(take_quietly, &last);
    co_unit_alone();
    assert_true(last.got);
    for (size_t i = 0; i < LENGTH(t); i++)
        assert_int_equal(t[i].got, i % 2);
    for (size_t i = 0; i < LENGTH(more); i++)
        assert_true(more[i].got);
}

static void no_more_than_so_many_wait(void **state)
{
    (void)state;
    co_unit_run(wait_in_a_long_queue, NULL);
}

// A crowd with random patience: never two holders, and at the end nobody holds anything.

#define NAMES 5

static int holders[NAMES];
static unsigned random_state, had, gave_up;

static unsigned next_random(void)
{
    random_state = random_state * 1103515245U + 12345U;
    return random_state >> 16;
}

static void come_and_go(void *arg)
{
    static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};
    (void)arg;
    for (int times = 0; times < 20; times++) {
        unsigned k = next_random() % NAMES;
        if (!keylock_take(locks, names[k], co_unit_in_ms(next_random() % 8))) {
            gave_up++;
            continue;
        }
        had++;
        assert_int_equal(holders[k]++, 0);
        if (next_random() % 4)
            loop_sleep_ms(next_random() % 2);
        assert_int_equal(holders[k]--, 1);
        keylock_give(locks, names[k]);
    }
}

static void start_a_crowd(void *arg)
{
    (void)arg;
    for (int i = 0; i < 60; i++)
        co_start(come_and_go, NULL);
    co_unit_alone();
}

static void never_two_hold_one(void **state)
{
    (void)state;
    random_state = 7;
    co_unit_run(start_a_crowd, NULL);
    assert_int_equal(had + gave_up, 60 * 20);
    assert_true(had > 100);
    assert_true(gave_up > 100);
}

static void give_back_what_was_not_taken(void)
{
    keylock_give(locks, "never taken");
}

static void giving_back_twice_aborts(void **state)
{
    (void)state;
    assert_true(unit_aborts(give_back_what_was_not_taken));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCK_TEST(first_come_first_served),
        LOCK_TEST(other_names_are_other_locks),
        LOCK_TEST(whoever_gives_up_leaves_the_queue),
        LOCK_TEST(a_lock_given_at_the_deadline_is_not_lost),
        LOCK_TEST(nobody_overtakes_the_heir),
        LOCK_TEST(many_names_fit_one_bucket),
        LOCK_TEST(no_more_than_so_many_wait),
        LOCK_TEST(never_two_hold_one),
        LOCK_TEST(giving_back_twice_aborts),
    };
    loop_init();
    return UNIT_RUN(tests);
}
