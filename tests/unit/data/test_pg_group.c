// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore pg_ok
#include "group_unit.h"

// Company

GROUP_TEST(one_by_itself_has_its_own_transaction_at_once)
{
    int64_t begun = clock_mono_ns();
    const struct writer *a = start(mem);
    co_unit_until(&a->done);
    assert_true(clock_mono_ns() - begun < 1000 * MS); // and not for ever
    check_steps("0(begin a1 a2) 0(a3 commit)");
    assert_false(a->shared);
    check_committed(a);
}

GROUP_TEST(those_of_one_turn_share_one)
{
    long long transactions = metrics_unit_value("carrito_write_transactions_total");
    long long places = metrics_unit_value("carrito_write_places_total");
    for (int i = 0; i < 3; i++)
        start(mem);
    finish();
    check_steps("0(begin brief_locks c1 c2 b1 b2 a1 a2) 0(c3 b3 a3 commit)");
    for (int i = 0; i < 3; i++) {
        assert_true(writers[i].shared);
        check_committed(&writers[i]);
    }
    assert_int_equal(metrics_unit_value("carrito_write_transactions_total"),
                     transactions + 1);
    assert_int_equal(metrics_unit_value("carrito_write_places_total"), places + 3);
}

// Three transactions: of a, of b, and of those who came while these two were under way.
GROUP_TEST(while_two_are_under_way_the_next_ones_gather)
{
    fake.trip_ms = 1;
    start(mem)->hold_ms = 60;
    co_give_way();
    co_give_way();
    start(mem)->hold_ms = 60;
    co_unit_yield();
    fake.trip_ms = 0;
    int64_t begun = clock_mono_ns();
    start(mem);
    co_give_way();
    start(mem);
    co_give_way();
    assert_int_equal(fake.trips, 2);
    while (!writers[2].done)
        co_unit_yield();
    assert_true(clock_mono_ns() - begun >= COMPANY_MS * MS); // not for their sake
    assert_false(writers[0].done || writers[1].done);
    finish();
    check_steps("0(begin a1 a2) 1(begin b1 b2) 2(begin brief_locks d1 d2 c1 c2) "
                "2(d3 c3 commit) 0(a3 commit) 1(b3 commit)");
}

// Seen where all of it takes less than the wait for company.
GROUP_TEST(they_go_as_soon_as_one_ends)
{
    bool seen = false;
    for (int i = 0; i < 100 && !seen; i++) {
        bool open = false, shut = false;
        n_writers = n_done = fake.trips = 0;
        struct writer *a = start(mem), *b = start(mem);
        a->alone = b->alone = true;
        a->gate = &open;
        b->gate = &shut;
        while (fake.trips < 2)
            co_give_way();
        int64_t begun = clock_mono_ns();
        const struct writer *c = start(mem);
        for (int k = 0; k < 20; k++)
            co_give_way();
        bool waited = fake.trips == 2;
        open = true;
        for (int k = 0; k < 20; k++)
            co_give_way();
        seen = waited && fake.trips == 5 && c->done && !b->done &&
               clock_mono_ns() - begun < COMPANY_MS * MS;
        shut = true;
        finish();
    }
    assert_true(seen);
}

GROUP_TEST(a_full_one_goes_and_the_next_gathers)
{
    for (int i = 0; i < PLACES_MAX + 2; i++)
        start(mem);
    finish();
    assert_int_equal(fake.trips, 4);
    assert_non_null(strstr(fake_trace.data, "0(begin brief_locks j1 j2 i1"));
    assert_non_null(strstr(fake_trace.data, "1(begin brief_locks l1 l2 k1 k2)"));
    for (size_t i = 0; i < n_writers; i++)
        check_committed(&writers[i]);
}

// The wait for a connection is used, too.
GROUP_TEST(until_it_has_a_connection_others_may_join)
{
    fake.connect_ms = 5;
    start(mem);
    co_unit_yield();
    start(mem);
    finish();
    check_steps("0(begin brief_locks b1 b2 a1 a2) 0(b3 a3 commit)");
}

GROUP_TEST(who_wants_to_be_alone_is_alone)
{
    start(mem);
    start(mem)->alone = true;
    start(mem);
    start(mem)->alone = true;
    finish();
    check_steps("0(begin brief_locks c1 c2 a1 a2) 1(begin b1 b2) 2(begin d1 d2) "
                "0(c3 a3 commit) 1(b3 commit) 2(d3 commit)");
    assert_false(writers[1].shared || writers[3].shared);
}

GROUP_TEST(commit_waits_for_the_slowest)
{
    start(mem);
    start(mem)->hold_ms = 20;
    int64_t begun = clock_mono_ns();
    co_unit_until(&writers[0].done);
    assert_true(clock_mono_ns() - begun >= 19 * MS);
    assert_true(writers[0].work.db_ns >= 19 * MS);
    finish();
    check_steps("0(begin brief_locks b1 b2 a1 a2) 0(b3 a3 commit)");
}

// Leaving

GROUP_TEST(who_leaves_changes_nothing)
{
    start(mem);
    start(mem)->leaves = true;
    start(mem);
    finish();
    check_steps("0(begin brief_locks c1 c2 b1 b2 a1 a2) 0(c3 a3 commit)");
    check_committed(&writers[0]);
    check_committed(&writers[2]);
}

GROUP_TEST(the_last_to_leave_waits_for_the_rollback)
{
    fake.trip_ms = 3;
    start(mem)->leaves = true;
    struct writer *b = start(mem);
    b->leaves = true;
    b->hold_ms = 10;
    co_unit_until(&writers[0].done);
    assert_false(b->done);
    assert_int_equal(fake.abandoned, 0);
    co_unit_until(&b->done);
    check_steps("0(begin brief_locks b1 b2 a1 a2) 0(rollback)");
    assert_false(fake.conns[0].busy);
}

GROUP_TEST(it_waits_for_it_no_longer_than_its_deadline)
{
    struct writer *a = start(mem);
    a->leaves = true;
    fake.trip_ms = 30;
    a->work.deadline = co_unit_in_ms(45);
    co_unit_until(&a->done);
    assert_true(clock_mono_ns() >= a->work.deadline);
    assert_true(a->work.db_ns >= 44 * MS);
    assert_true(fake.conns[0].busy); // the ROLLBACK is still under way
}

// Failures

GROUP_TEST(without_a_connection_all_are_told)
{
    fake.acquire_err = err_make(ERR_DATABASE_UNAVAILABLE, NULL, "gone");
    for (int i = 0; i < 3; i++)
        start(mem);
    finish();
    check_steps("");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(writers[i].begun.code, ERR_DATABASE_UNAVAILABLE);
        assert_string_equal(writers[i].begun.detail, "gone");
    }
}

// So many writers, of whom the server refuses the statement at `at` in their first or
// second trip; the first of them.
static size_t refuse(void *mem, size_t n, size_t trip, enum err_code code, size_t at)
{
    size_t from = n_writers;
    fail_trip(fake.trips + trip, code, at, REFUSED);
    for (size_t k = 0; k < n; k++)
        start(mem);
    finish();
    return from;
}

// In company nobody knows whose statement it was; alone one does.
GROUP_TEST(a_first_trip_that_fails)
{
    static const enum err_code codes[] = {ERR_OVERLOADED, ERR_INTERNAL, ERR_CONFLICT,
                                          ERR_DATABASE_UNAVAILABLE};
    for (size_t i = 0; i < LENGTH(codes) * 2; i++) {
        size_t n = i % 2 + 1, from = refuse(mem, n, 1, codes[i / 2], 2);
        for (size_t k = from; k < n_writers; k++)
            assert_int_equal(writers[k].begun.code, n > 1 ? ERR_CONFLICT : codes[i / 2]);
        assert_int_equal(fake.abandoned, i + 1);
        if (n == 1)
            assert_string_equal(writers[from].begun.detail, "a fault");
    }
}

// Where the server did not answer there is nothing to try again.
GROUP_TEST(a_first_trip_without_an_answer)
{
    fail_trip(1, ERR_DATABASE_UNAVAILABLE, 1, LOST);
    start(mem);
    start(mem);
    finish();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(writers[i].begun.code, ERR_DATABASE_UNAVAILABLE);
}

GROUP_TEST(a_change_that_is_refused)
{
    for (size_t n = 1; n <= 2; n++) {
        size_t from = refuse(mem, n, 2, ERR_INTERNAL, n - 1);
        assert_int_equal(fake.abandoned, n);
        for (size_t k = from; k < n_writers; k++)
            assert_int_equal(writers[k].committed.code,
                             n > 1 ? ERR_CONFLICT : ERR_INTERNAL);
    }
}

GROUP_TEST(a_change_that_was_never_sent)
{
    fail_trip(2, ERR_DATABASE_UNAVAILABLE, 0, UNSENT);
    start(mem);
    start(mem);
    finish();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(writers[i].committed.code, ERR_DATABASE_UNAVAILABLE);
}

// Whichever answer is the first that did not come; COMMIT's own refusal tells as little.
GROUP_TEST(a_commit_without_an_answer)
{
    for (size_t at = 0; at < 3; at++) {
        size_t from = n_writers;
        fail_trip(fake.trips + 2, ERR_DATABASE_UNAVAILABLE, at, at == 2 ? REFUSED : LOST);
        start(mem);
        start(mem);
        finish();
        for (size_t i = from; i < n_writers; i++)
            assert_int_equal(writers[i].committed.code, ERR_OUTCOME_UNKNOWN);
    }
    assert_int_equal(fake.abandoned, 0);
}

// Deadlines

GROUP_TEST(nothing_is_begun_after_start_by)
{
    fake.connect_ms = 60;
    struct writer *a = start(mem);
    const struct writer *b = start(mem);
    a->work.start_by = co_unit_in_ms(20);
    co_unit_until(&a->done);
    assert_int_equal(a->begun.code, ERR_OVERLOADED);
    assert_true(a->work.db_ns >= 19 * MS);
    co_unit_until(&b->done);
    check_steps("0(begin b1 b2) 0(b3 commit)");
}

GROUP_TEST(nobody_left_is_no_transaction)
{
    fake.connect_ms = 20;
    struct writer *a = start(mem);
    a->work.start_by = co_unit_in_ms(5);
    finish();
    check_steps("");
    assert_int_equal(a->begun.code, ERR_OVERLOADED);
}

GROUP_TEST(nor_is_it_begun_again)
{
    struct writer *a = start(mem);
    a->alone = true;
    a->work.start_by = co_unit_in_ms(-1);
    finish();
    check_steps("");
    assert_int_equal(a->begun.code, ERR_OVERLOADED);
}

// Who came first must not wait for a connection any more, who came later may.
GROUP_TEST(the_latest_says_how_long_a_connection_is_waited_for)
{
    fake.connect_ms = 30;
    fake.acquire_err = err_make(ERR_OVERLOADED, NULL, "none became free");
    struct writer *a = start(mem);
    a->work.start_by = co_unit_in_ms(20);
    co_unit_yield();
    struct writer *b = start(mem);
    co_unit_until(&a->done);
    assert_int_equal(a->begun.code, ERR_OVERLOADED);
    co_unit_yield();
    fake.acquire_err = err_ok();
    co_unit_until(&b->done);
    check_committed(b);
    assert_int_equal(fake.start_by, b->work.start_by);
}

GROUP_TEST(and_when_nobody_may_wait_any_more_all_are_told)
{
    fake.connect_ms = 10;
    fake.acquire_err = err_make(ERR_OVERLOADED, NULL, "none became free");
    for (int i = 0; i < 2; i++)
        start(mem)->work.start_by = co_unit_in_ms(35);
    finish();
    assert_int_equal(writers[0].begun.code, ERR_OVERLOADED);
    assert_int_equal(writers[1].begun.code, ERR_OVERLOADED);
    check_steps("");
}

GROUP_TEST(who_is_late_leaves_the_others)
{
    fake.trip_ms = 40;
    struct writer *a = start(mem);
    const struct writer *b = start(mem);
    a->work.deadline = a->work.start_by = co_unit_in_ms(20);
    co_unit_until(&a->done);
    assert_int_equal(a->begun.code, ERR_DATABASE_UNAVAILABLE);
    co_unit_until(&b->done);
    check_committed(b);
    check_steps("0(begin brief_locks b1 b2 a1 a2) 0(b3 commit)");
}

GROUP_TEST(who_is_late_for_commit_does_not_know)
{
    struct writer *a = start(mem);
    const struct writer *b = start(mem);
    co_give_way();
    co_give_way();
    fake.trip_ms = 100;
    a->work.deadline = co_unit_in_ms(70);
    co_unit_until(&a->done);
    assert_int_equal(a->committed.code, ERR_OUTCOME_UNKNOWN);
    co_unit_until(&b->done);
    check_committed(b);
}

// What it asked is not sent then.
GROUP_TEST(who_cannot_wait_for_the_slowest_is_refused)
{
    struct writer *a = start(mem), *b = start(mem);
    b->hold_ms = 60;
    a->work.deadline = co_unit_in_ms(COMMIT_MS + 20);
    co_unit_until(&a->done);
    assert_int_equal(a->committed.code, ERR_OVERLOADED);
    assert_false(b->done);
    finish();
    check_committed(b);
    check_steps("0(begin brief_locks b1 b2 a1 a2) 0(b3 commit)");
}

GROUP_TEST(commit_is_not_sent_without_time_for_its_answer)
{
    struct writer *a = start(mem);
    a->work.deadline = co_unit_in_ms(COMMIT_MS - 1);
    finish();
    assert_int_equal(a->committed.code, ERR_OVERLOADED);
    check_steps("0(begin a1 a2) 0(rollback)");
}

GROUP_TEST(a_silent_server_keeps_nobody)
{
    fake.trip_ms = 10000;
    struct writer *a = start(mem), *b = start(mem);
    a->work.deadline = a->work.start_by = co_unit_in_ms(20);
    b->work.deadline = b->work.start_by = co_unit_in_ms(40);
    co_unit_until(&a->done);
    co_unit_until(&b->done);
    assert_true(clock_mono_ns() < b->work.deadline + 1000 * MS);
    assert_int_equal(a->begun.code, ERR_DATABASE_UNAVAILABLE);
    assert_int_equal(b->begun.code, ERR_DATABASE_UNAVAILABLE);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(one_by_itself_has_its_own_transaction_at_once),
        UNIT_TEST(those_of_one_turn_share_one),
        UNIT_TEST(while_two_are_under_way_the_next_ones_gather),
        UNIT_TEST(they_go_as_soon_as_one_ends),
        UNIT_TEST(a_full_one_goes_and_the_next_gathers),
        UNIT_TEST(until_it_has_a_connection_others_may_join),
        UNIT_TEST(who_wants_to_be_alone_is_alone),
        UNIT_TEST(commit_waits_for_the_slowest),
        UNIT_TEST(who_leaves_changes_nothing),
        UNIT_TEST(the_last_to_leave_waits_for_the_rollback),
        UNIT_TEST(it_waits_for_it_no_longer_than_its_deadline),
        UNIT_TEST(without_a_connection_all_are_told),
        UNIT_TEST(a_first_trip_that_fails),
        UNIT_TEST(a_first_trip_without_an_answer),
        UNIT_TEST(a_change_that_is_refused),
        UNIT_TEST(a_change_that_was_never_sent),
        UNIT_TEST(a_commit_without_an_answer),
        UNIT_TEST(nothing_is_begun_after_start_by),
        UNIT_TEST(nobody_left_is_no_transaction),
        UNIT_TEST(nor_is_it_begun_again),
        UNIT_TEST(the_latest_says_how_long_a_connection_is_waited_for),
        UNIT_TEST(and_when_nobody_may_wait_any_more_all_are_told),
        UNIT_TEST(who_is_late_leaves_the_others),
        UNIT_TEST(who_is_late_for_commit_does_not_know),
        UNIT_TEST(who_cannot_wait_for_the_slowest_is_refused),
        UNIT_TEST(commit_is_not_sent_without_time_for_its_answer),
        UNIT_TEST(a_silent_server_keeps_nobody),
    };
    loop_init();
    pg_group_setup();
    return UNIT_RUN(tests);
}
