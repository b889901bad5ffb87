// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool pg_affected
// wrap: loop_sleep_ms log_write
#include "../data/pg_fake.h"

#include "base/log.h"
#include "cart/cart_store.h"
#include "loop/co.h"
#include "loop/loop.h"

#define ROUND "acquire(chore) trip(cart_expire_keys) release "
#define SLEEP "sleep(10000) "

// Keys that each statement in turn has deleted.
static const size_t *deleted;
static int sleeps_left, said;
static bool lose_database; // once the keys are deleted

static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt)
{
    assert_string_equal(stmt->name, "cart_expire_keys");
    return pg_fake_rows(mem, 0, 0, NULL);
}

size_t __wrap_pg_affected(const struct pg_rows *rows);
void __wrap_loop_sleep_ms(int64_t ms);
void __wrap_log_write(enum log_level level, const struct log_field *fields);

size_t __wrap_pg_affected(const struct pg_rows *rows)
{
    assert_true(rows->ok);
    if (lose_database)
        fake_acquire_err = err_make(ERR_DATABASE_UNAVAILABLE, NULL, "gone");
    return *deleted++;
}

// Passes no time; the last one has no end.
void __wrap_loop_sleep_ms(int64_t ms)
{
    STEP("sleep(%lld)", (long long)ms);
    if (sleeps_left-- > 0)
        return;
    loop_stop();
    co_wait(CO_FOREVER);
}

void __wrap_log_write(enum log_level level, const struct log_field *fields)
{
    assert_int_equal(level, LOG_ERROR);
    assert_string_equal(fields[0].str, "expire-keys-failed");
    said++;
}

static int setup(void **state)
{
    int failed = unit_setup(state);
    pg_fake_reset(talloc_new(*state));
    said = 0;
    lose_database = false;
    return failed;
}

static int teardown(void **state)
{
    assert_false(fake_conn.busy);
    talloc_free(talloc_parent(fake_trace.data));
    return unit_teardown(state);
}

#define CHORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void run(const size_t *numbers, int sleeps)
{
    deleted = numbers;
    sleeps_left = sleeps;
    cart_store_start();
    loop_run();
}

static void old_keys_are_deleted_now_and_then(void **state)
{
    static const size_t numbers[] = {0, 7, 999};
    (void)state;
    run(numbers, 3);
    check_steps(SLEEP ROUND SLEEP ROUND SLEEP ROUND "sleep(10000)");
    check_sent("cart_expire_keys|1000");
}

static void a_full_batch_is_followed_by_another_at_once(void **state)
{
    static const size_t numbers[] = {1000, 1000, 3, 0};
    (void)state;
    run(numbers, 2);
    check_steps(SLEEP ROUND ROUND ROUND SLEEP ROUND "sleep(10000)");
}

static void a_failure_waits_for_the_next_time(void **state)
{
    static const size_t numbers[] = {1000, 0};
    (void)state;
    fake_faults[1] = (struct pg_fake_fault){ERR_DATABASE_UNAVAILABLE, 0, FAKE_LOST};
    fake_faults[2] = (struct pg_fake_fault){ERR_INTERNAL, 0, FAKE_REFUSED};
    run(numbers, 3);
    check_steps(SLEEP ROUND ROUND SLEEP ROUND SLEEP ROUND "sleep(10000)");
    assert_int_equal(said, 1); // of an outage the pool tells
    fake_acquire_err = err_make(ERR_OVERLOADED, NULL, "none free");
    run(NULL, 2);
    check_steps(SLEEP "acquire(chore) " SLEEP "acquire(chore) sleep(10000)");
}

static void an_outage_after_a_full_batch_is_waited_for(void **state)
{
    static const size_t numbers[] = {1000};
    (void)state;
    lose_database = true;
    run(numbers, 2);
    check_steps(SLEEP ROUND "acquire(chore) " SLEEP "acquire(chore) sleep(10000)");
    assert_int_equal(said, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHORE_TEST(old_keys_are_deleted_now_and_then),
        CHORE_TEST(a_full_batch_is_followed_by_another_at_once),
        CHORE_TEST(a_failure_waits_for_the_next_time),
        CHORE_TEST(an_outage_after_a_full_batch_is_waited_for),
    };
    loop_init();
    cart_store_setup();
    return UNIT_RUN(tests);
}
