// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool
// wrap: cache_read cache_claim_token cache_hold cache_fill cache_drop
// wrap: keylock_take keylock_give
#include "store_unit.h"

#define TRY "release acquire(write) trip(begin cart_lock cart_load) "
#define CHANGE HOLD "trip(cart_set_line commit) "

// An add to a line that is there.
static enum err_code grow(void)
{
    return write_cart(writing(CART_ADD, 10, 1));
}

static void fail_trip(size_t number, enum err_code code, size_t at, enum pg_fake_end end)
{
    fake_faults[number] = (struct pg_fake_fault){code, at, end};
}

// Before the tombstone

static void a_lock_not_had_in_time_is_overload(void **state)
{
    (void)state;
    fake.lock = false;
    assert_int_equal(grow(), ERR_OVERLOADED);
    check_steps("take(u)"); // and is not given back
    assert_null(work.after);
}

static void without_a_connection_the_lock_is_given_back(void **state)
{
    (void)state;
    fake_acquire_err = err_make(ERR_DATABASE_UNAVAILABLE, NULL, "no connection");
    assert_int_equal(grow(), ERR_DATABASE_UNAVAILABLE);
    check_steps("take(u) acquire(write) give(u)");
    assert_null(work.after);
}

static void a_cart_that_cannot_be_loaded_is_left_alone(void **state)
{
    static const enum err_code codes[] = {ERR_OVERLOADED, ERR_DATABASE_UNAVAILABLE,
                                          ERR_INTERNAL};
    (void)state;
    for (size_t i = 0; i < LENGTH(codes); i++)
        for (size_t at = 0; at < 3; at++)
            for (enum pg_fake_end end = FAKE_REFUSED; end <= FAKE_LOST; end++) {
                fake_trips = 0;
                fail_trip(0, codes[i], at, end);
                assert_int_equal(grow(), codes[i]);
                check_steps(BEGIN "abandon " END);
                assert_null(work.after);
            }
}

// Between the tombstone and COMMIT

static void a_change_that_failed_takes_its_tombstone_back(void **state)
{
    static const enum err_code codes[] = {ERR_OVERLOADED, ERR_DATABASE_UNAVAILABLE,
                                          ERR_INTERNAL};
    (void)state;
    for (size_t i = 0; i < LENGTH(codes); i++) {
        fake_trips = 0;
        fake.claims = 0;
        fail_trip(1, codes[i], 0, FAKE_REFUSED);
        assert_int_equal(grow(), codes[i]);
        check_steps(BEGIN CHANGE "abandon " END);
        run_after();
        check_steps("drop(u X1)");
    }
}

static void a_key_that_was_not_stored_undoes_the_change(void **state)
{
    (void)state;
    fail_trip(1, ERR_INTERNAL, 1, FAKE_REFUSED);
    assert_int_equal(write_cart(writing_with_key(CART_ADD, 10, 1)), ERR_INTERNAL);
    check_steps(BEGIN_KEY HOLD "trip(cart_set_line cart_store_key commit) "
                               "abandon " END);
    run_after();
    check_steps("drop(u X1)");
}

static void a_change_that_failed_without_a_tombstone_drops_nothing(void **state)
{
    (void)state;
    fake.held = false;
    fail_trip(1, ERR_INTERNAL, 0, FAKE_REFUSED);
    assert_int_equal(grow(), ERR_INTERNAL);
    assert_null(work.after);
}

// Where the hold says no, nothing has been sent that could be committed. The tombstone
// may stand all the same.
static void a_write_that_is_not_held_sends_nothing(void **state)
{
    static const enum err_code codes[] = {ERR_OVERLOADED, ERR_DATABASE_UNAVAILABLE,
                                          ERR_INTERNAL};
    (void)state;
    for (size_t i = 0; i < LENGTH(codes) * 4; i++) {
        bool key = i % 4 > 1;
        fake.hold = err_make(codes[i / 4], NULL, "a fake failure");
        fake.held = i % 2;
        fake.claims = 0;
        work.after = NULL;
        answer = untouched;
        assert_int_equal(write_cart(key ? writing_with_key(CART_ADD, 10, 1)
                                        : writing(CART_ADD, 10, 1)),
                         codes[i / 4]);
        check_steps(key ? BEGIN_KEY HOLD "abandon " END : BEGIN HOLD "abandon " END);
        run_after();
        check_steps(i % 2 ? "drop(u X1)" : "");
    }
}

// The epoch is moved by a transaction like others, which may lose a race.
static void a_hold_that_lost_a_race_is_run_again(void **state)
{
    (void)state;
    fake.hold = err_make(ERR_CONFLICT, NULL, "a fake failure");
    assert_int_equal(grow(), ERR_CONFLICT);
    check_steps(BEGIN HOLD "abandon " TRY HOLD "abandon " TRY HOLD "abandon " TRY HOLD
                           "abandon " TRY HOLD "abandon " END);
    run_after();
    check_steps("drop(u X5)");
}

// The connection was lost between the trips: the server cannot have committed anything.
static void a_change_that_was_never_sent_has_failed(void **state)
{
    (void)state;
    fake_faults[1] = (struct pg_fake_fault){ERR_DATABASE_UNAVAILABLE, 0, FAKE_UNSENT};
    assert_int_equal(grow(), ERR_DATABASE_UNAVAILABLE);
    check_steps(BEGIN CHANGE "abandon " END);
    run_after();
    check_steps("drop(u X1)");
}

static void a_change_is_not_sent_when_there_is_no_time_for_it(void **state)
{
    (void)state;
    work.deadline = clock_mono_ns() + 49 * INT64_C(1000000);
    assert_int_equal(grow(), ERR_OVERLOADED);
    check_steps(BEGIN HOLD "give(u) abandon release");
    run_after();
    check_steps("drop(u X1)");
}

// Whichever answer is the first that did not come: the tombstone stands, nothing is
// filled, and nothing more is said on the connection.
static void an_unknown_outcome_leaves_the_tombstone(void **state)
{
    (void)state;
    for (size_t at = 0; at < 2; at++) {
        fake_trips = 0;
        fail_trip(1, ERR_DATABASE_UNAVAILABLE, at, FAKE_LOST);
        assert_int_equal(grow(), ERR_OUTCOME_UNKNOWN);
        check_steps(BEGIN CHANGE END);
        assert_null(work.after);
    }
    for (size_t at = 0; at < 3; at++) {
        fake_trips = 0;
        fail_trip(1, ERR_DATABASE_UNAVAILABLE, at, FAKE_LOST);
        assert_int_equal(write_cart(writing_with_key(CART_ADD, 10, 1)),
                         ERR_OUTCOME_UNKNOWN);
        assert_null(work.after);
    }
    fake_trips = 0;
    fail_trip(1, ERR_DATABASE_UNAVAILABLE, 0, FAKE_LOST); // of a key alone
    assert_int_equal(write_cart(writing_with_key(CART_UPDATE, 10, 2)),
                     ERR_OUTCOME_UNKNOWN);
    assert_null(work.after);
}

// Lost races

static void a_lost_race_is_run_again(void **state)
{
    (void)state;
    fail_trip(0, ERR_CONFLICT, 1, FAKE_REFUSED);
    fail_trip(1, ERR_CONFLICT, 2, FAKE_REFUSED);
    assert_int_equal(grow(), ERR_NONE);
    assert_int_equal(answer.version, 8);
    check_steps(BEGIN "abandon " TRY "abandon " TRY CHANGE END);
    run_after();
    check_steps("fill(u X1 5)");
    check_filled();
}

static void a_race_lost_at_the_change_is_run_again(void **state)
{
    (void)state;
    fail_trip(1, ERR_CONFLICT, 0, FAKE_REFUSED);
    assert_int_equal(grow(), ERR_NONE);
    check_steps(BEGIN CHANGE "abandon " TRY CHANGE END);
    run_after();
    check_steps("fill(u X2 5)"); // the first one was put over by it
    check_filled();
}

// Each try goes by the epoch that it has read itself.
static void a_race_that_is_run_again_reads_the_epoch_again(void **state)
{
    (void)state;
    db.next_epoch = "6";
    fail_trip(1, ERR_CONFLICT, 0, FAKE_REFUSED);
    assert_int_equal(grow(), ERR_NONE);
    check_steps(BEGIN CHANGE "abandon " TRY
                             "hold(u 6 replicas) trip(cart_set_line commit) " END);
    run_after();
    check_steps("fill(u X2 6)");
}

// The statement moved no row: somebody changed the cart without its lock.
static void a_version_that_moved_is_a_lost_race(void **state)
{
    (void)state;
    db.touched[0] = db.touched[1] = "0";
    assert_int_equal(grow(), ERR_NONE);
    check_steps(BEGIN CHANGE TRY CHANGE TRY CHANGE END);
    run_after();
    check_steps("fill(u X3 5)");
    check_filled();
}

static void a_race_is_run_five_times_at_most(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10; i++)
        fail_trip(i, ERR_CONFLICT, 0, FAKE_REFUSED);
    assert_int_equal(grow(), ERR_CONFLICT);
    check_steps(BEGIN "abandon " TRY "abandon " TRY "abandon " TRY "abandon " TRY
                      "abandon " END);
    assert_null(work.after);

    fake_trips = 0;
    memset(fake_faults, 0, sizeof fake_faults);
    for (size_t i = 1; i < 10; i += 2)
        fail_trip(i, ERR_CONFLICT, 0, FAKE_REFUSED);
    assert_int_equal(grow(), ERR_CONFLICT);
    assert_int_equal(fake_trips, 10);
    buf_truncate(&fake_trace, 0);
    run_after();
    check_steps("drop(u X5)");
}

static void other_errors_are_not_run_again(void **state)
{
    static const enum err_code codes[] = {ERR_OVERLOADED, ERR_DATABASE_UNAVAILABLE,
                                          ERR_INTERNAL, ERR_TIMEOUT};
    (void)state;
    for (size_t i = 0; i < LENGTH(codes); i++)
        for (size_t trip = 0; trip < 2; trip++) {
            fake_trips = 0;
            memset(fake_faults, 0, sizeof fake_faults);
            fail_trip(trip, codes[i], 0, FAKE_REFUSED);
            assert_int_equal(grow(), codes[i]);
            assert_int_equal(fake_trips, trip + 1);
        }
}

// The second try is refused before it has a tombstone: the first one's goes.
static void a_race_that_ends_without_a_change_takes_its_tombstone_back(void **state)
{
    (void)state;
    struct cart_write write = writing(CART_ADD, 10, 1);
    write.if_match = "\"7\"";
    db.touched[0] = "0";
    fail_trip(2, ERR_OVERLOADED, 1, FAKE_REFUSED);
    assert_int_equal(write_cart(write), ERR_OVERLOADED);
    check_steps(BEGIN CHANGE TRY "abandon " END);
    run_after();
    check_steps("drop(u X1)");
}

// Of an earlier try nothing is dropped, either: the last one's tombstone may not stand.
static void an_unknown_outcome_of_a_later_try_leaves_all_tombstones(void **state)
{
    (void)state;
    db.touched[0] = "0";
    fail_trip(3, ERR_DATABASE_UNAVAILABLE, 1, FAKE_LOST);
    assert_int_equal(grow(), ERR_OUTCOME_UNKNOWN);
    assert_null(work.after);
}

// In company

// Two writers; the second one's cart is named v. Its work and its answer are its own.
struct pair {
    struct write_call first;
    struct work work;
    struct cart_answer answer;
    enum err_code second;
};

static void second_body(void *arg)
{
    struct pair *pair = arg;
    struct cart_write write = writing(CART_ADD, 10, 1);
    write.user_id = "v";
    pair->second = cart_store_write(&pair->work, &write, &pair->answer).code;
}

static void pair_body(void *arg)
{
    struct pair *pair = arg;
    co_start(second_body, pair);
    write_body(&pair->first);
}

static struct pair write_pair(void)
{
    struct pair pair = {.first = {.write = writing(CART_ADD, 10, 1)}, .work = work};
    co_unit_run(pair_body, &pair);
    return pair;
}

#define BOTH                                                 \
    "take(u) take(v) acquire(write) trip(begin brief_locks " \
    "cart_lock_at_once cart_load cart_lock_at_once cart_load) "

static void two_carts_share_a_transaction(void **state)
{
    (void)state;
    const struct pair pair = write_pair();
    assert_int_equal(pair.first.code, ERR_NONE);
    assert_int_equal(pair.second, ERR_NONE);
    check_steps(BOTH "hold(v 5 replicas) hold(u 5 replicas) "
                     "trip(cart_set_line cart_set_line commit) release give(v) give(u)");
    check_sent("cart_lock_at_once|u");
    check_sent("cart_lock_at_once|v");
    run_after();
    check_steps("fill(u X2 5)");
    pair.work.after((struct work *)&pair.work, pair.work.after_arg);
    check_steps("fill(v X1 5)");
}

// Who cannot have the lock at once does not keep the other, and waits for it alone.
static void a_cart_that_is_locked_is_waited_for_alone(void **state)
{
    (void)state;
    db.at_once[0] = "t";
    db.at_once[1] = "f"; // u's, asked after v's
    const struct pair pair = write_pair();
    assert_int_equal(pair.first.code, ERR_NONE);
    assert_int_equal(pair.second, ERR_NONE);
    check_steps(BOTH "hold(v 5 replicas) trip(cart_set_line commit) release "
                     "acquire(write) trip(begin cart_lock cart_load) give(v) "
                     "hold(u 5 replicas) trip(cart_set_line commit) release give(u)");
    check_answer(200, 8, answer.json);
}

static void a_trip_that_failed_in_company_is_made_again_alone(void **state)
{
    (void)state;
    fail_trip(1, ERR_INTERNAL, 0, FAKE_REFUSED);
    const struct pair pair = write_pair();
    assert_int_equal(pair.first.code, ERR_NONE);
    assert_int_equal(pair.second, ERR_NONE);
    assert_int_equal(fake_trips, 6); // two, and two for each of them
}

// Order: every step of a write comes between the taking and giving of the cart's lock,
// and COMMIT comes after the tombstone, whatever happens.
static void commit_never_comes_before_the_tombstone(void **state)
{
    static const enum err_code codes[] = {ERR_NONE, ERR_CONFLICT, ERR_INTERNAL,
                                          ERR_DATABASE_UNAVAILABLE};
    (void)state;
    for (size_t way = 0; way < LENGTH(codes) * 2 * 3 * 2; way++) {
        fake_trips = 0;
        n_changes = 0;
        answer = untouched;
        work.after = NULL;
        memset(fake_faults, 0, sizeof fake_faults);
        fail_trip(way / 6 % 2, codes[way / 12], way / 2 % 3,
                  way % 2 ? FAKE_LOST : FAKE_REFUSED);
        fake.held = way % 5;
        write_cart(writing_with_key(CART_ADD, 10, 1));
        const char *steps = fake_trace.data;
        assert_int_equal(strncmp(steps, "take(u) ", 8), 0);
        assert_string_equal(steps + fake_trace.len - strlen(END), END);
        for (const char *s = steps; (s = strstr(s, "trip(cart_set_line")); s++)
            assert_int_equal(strncmp(s - strlen(HOLD), HOLD, strlen(HOLD)), 0);
        assert_null(strstr(steps, "trip(commit"));
        assert_null(strstr(steps, "fill"));
        buf_truncate(&fake_trace, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_lock_not_had_in_time_is_overload),
        STORE_TEST(without_a_connection_the_lock_is_given_back),
        STORE_TEST(a_cart_that_cannot_be_loaded_is_left_alone),
        STORE_TEST(a_change_that_failed_takes_its_tombstone_back),
        STORE_TEST(a_key_that_was_not_stored_undoes_the_change),
        STORE_TEST(a_change_that_failed_without_a_tombstone_drops_nothing),
        STORE_TEST(a_write_that_is_not_held_sends_nothing),
        STORE_TEST(a_hold_that_lost_a_race_is_run_again),
        STORE_TEST(a_change_that_was_never_sent_has_failed),
        STORE_TEST(a_change_is_not_sent_when_there_is_no_time_for_it),
        STORE_TEST(an_unknown_outcome_leaves_the_tombstone),
        STORE_TEST(a_lost_race_is_run_again),
        STORE_TEST(a_race_lost_at_the_change_is_run_again),
        STORE_TEST(a_race_that_is_run_again_reads_the_epoch_again),
        STORE_TEST(a_version_that_moved_is_a_lost_race),
        STORE_TEST(a_race_is_run_five_times_at_most),
        STORE_TEST(other_errors_are_not_run_again),
        STORE_TEST(a_race_that_ends_without_a_change_takes_its_tombstone_back),
        STORE_TEST(an_unknown_outcome_of_a_later_try_leaves_all_tombstones),
        STORE_TEST(two_carts_share_a_transaction),
        STORE_TEST(a_cart_that_is_locked_is_waited_for_alone),
        STORE_TEST(a_trip_that_failed_in_company_is_made_again_alone),
        STORE_TEST(commit_never_comes_before_the_tombstone),
    };
    store_unit_begin();
    return UNIT_RUN(tests);
}
