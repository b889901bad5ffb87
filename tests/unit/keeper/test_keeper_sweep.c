// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool pg_affected
// wrap: loop_sleep_ms log_write cart_store_write clock_mono_ns
#include "../data/metrics_unit.h"
#include "../data/pg_fake.h"

#include "base/config.h"
#include "base/log.h"
#include "cart/cart_store.h"
#include "keeper/keeper_sweep.h"
#include "loop/co.h"
#include "loop/loop.h"

static struct config config = {.cart_keep_days = 90};

// The database: carts that are unused, by id, in slices; and keys that have expired.
struct slice {
    const char *last, *looked_at;
    size_t n;
    const char *unused[3][2]; // id, version
};

static struct {
    const char *mine;
    const struct slice *slices;
    size_t n_slices, slice;
    size_t expired;
    int sleeps_left;
    enum err_code write;
    int64_t answered; // the version after the write
    int64_t now_ms;
} fake;

static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt)
{
    const char **cells = mem_array(mem, const char *, 4 * 3);
    if (strcmp(stmt->columns, "mine") == 0 || strcmp(stmt->columns, "given") == 0) {
        cells[0] = fake.mine;
        return pg_fake_rows(mem, 1, 1, cells);
    }
    if (strcmp(stmt->name, "keeper_find_unused") != 0)
        return pg_fake_rows(mem, 0, 0, NULL);
    const struct slice *slice = &fake.slices[fake.slice++ % fake.n_slices];
    cells[0] = slice->last;
    cells[1] = slice->looked_at;
    for (size_t i = 0; i < slice->n; i++) {
        cells[4 * i] = slice->last;
        cells[4 * i + 1] = slice->looked_at;
        cells[4 * i + 2] = slice->unused[i][0];
        cells[4 * i + 3] = slice->unused[i][1];
    }
    return pg_fake_rows(mem, slice->n ? slice->n : 1, 4, cells);
}

size_t __wrap_pg_affected(const struct pg_rows *rows);
void __wrap_loop_sleep_ms(int64_t ms);
void __wrap_log_write(enum log_level level, const struct log_field *fields);
struct err __wrap_cart_store_write(struct work *work, const struct cart_write *write,
                                   struct cart_answer *answer);
int64_t __wrap_clock_mono_ns(void);

int64_t __wrap_clock_mono_ns(void)
{
    return fake.now_ms * 1000000;
}

size_t __wrap_pg_affected(const struct pg_rows *rows)
{
    assert_true(rows->ok);
    size_t n = fake.expired < 1000 ? fake.expired : 1000;
    fake.expired -= n;
    return n;
}

void __wrap_loop_sleep_ms(int64_t ms)
{
    STEP("sleep(%lld)", (long long)ms);
    fake.now_ms += ms;
    if (fake.sleeps_left-- > 0)
        return;
    loop_stop();
    co_wait(CO_FOREVER);
}

void __wrap_log_write(enum log_level level, const struct log_field *fields)
{
    STEP("%s(%s)", log_level_name(level), fields[0].str);
}

static void after(struct work *work, void *arg)
{
    (void)work;
    (void)arg;
    fail_msg("the cache is filled with a cart that nobody uses");
}

struct err __wrap_cart_store_write(struct work *work, const struct cart_write *write,
                                   struct cart_answer *answer)
{
    STEP("clear(%s %s)", write->user_id, write->if_match);
    assert_int_equal(write->request.action, CART_CLEAR);
    assert_null(write->if_none_match);
    assert_null(write->idempotency_key);
    answer->version = fake.answered;
    work->after = after;
    return fake.write ? err_make(fake.write, NULL, "a fake fault") : err_ok();
}

static int setup(void **state)
{
    int failed = unit_setup(state);
    pg_fake_reset(talloc_new(*state));
    fake.mine = "t";
    fake.slice = 0;
    fake.expired = 0;
    fake.write = ERR_NONE;
    fake.answered = 100;
    return failed;
}

static int teardown(void **state)
{
    talloc_free(talloc_parent(fake_trace.data));
    return unit_teardown(state);
}

#define SWEEP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void run(const struct slice *slices, size_t n, int sleeps)
{
    fake.slices = slices;
    fake.n_slices = n;
    fake.sleeps_left = sleeps;
    fake.now_ms += 100000;  // every lap's pause is over
    fake_conn.busy = false; // the sweeper of the run before keeps its connection
    keeper_sweep_start();
    loop_run();
}

static void check_swept(long long carts, long long keys)
{
    static long long carts_before, keys_before;
    carts_before += carts;
    keys_before += keys;
    assert_int_equal(metrics_unit_value("carrito_swept_carts_total"), carts_before);
    assert_int_equal(metrics_unit_value("carrito_swept_keys_total"), keys_before);
}

#define LOCK "acquire(chore) trip(keeper_sweep_lock) "
#define UNLOCK "trip(keeper_sweep_unlock) release "
#define EXPIRE "trip(keeper_expire_keys) "
#define FIND "trip(keeper_find_unused) "

static void what_came_of_it(void **state)
{
    static const struct {
        enum err_code code;
        int64_t version;
        enum sweep_result result;
    } rows[] = {
        {ERR_NONE, 8, SWEEP_CLEARED},
        {ERR_NONE, 7, SWEEP_LEFT}, // it was empty
        {ERR_VERSION_MISMATCH, 8, SWEEP_LEFT},
        {ERR_OVERLOADED, 0, SWEEP_LATER},
        {ERR_DATABASE_UNAVAILABLE, 0, SWEEP_LATER},
        {ERR_OUTCOME_UNKNOWN, 0, SWEEP_LATER},
        {ERR_INTERNAL, 0, SWEEP_LATER},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct cart_answer answer = {.version = rows[i].version};
        assert_int_equal(
            keeper_sweep_judge(err_make(rows[i].code, NULL, NULL), 7, &answer),
            rows[i].result);
    }
}

static void the_write(void **state)
{
    void *mem = talloc_new(*state);
    struct cart_write write = keeper_sweep_write(mem, "u", INT64_C(9007199254740993));
    assert_string_equal(write.user_id, "u");
    assert_string_equal(write.if_match, "\"9007199254740993\"");
    assert_int_equal(write.request.action, CART_CLEAR);
    assert_null(write.idempotency_key);
    talloc_free(mem);
}

static void carts_are_walked_in_slices(void **state)
{
    static const struct slice slices[] = {
        {"m", "1000", 2, {{"c", "7"}, {"k", "2"}}},
        {"z", "12", 0, {{NULL, NULL}}},
    };
    (void)state;
    run(slices, 2, 4);
    check_steps(LOCK EXPIRE FIND "clear(c \"7\") sleep(10) clear(k \"2\") "
                                 "sleep(10) sleep(1000) " EXPIRE FIND
                                 "sleep(1000) " EXPIRE "sleep(1000)");
    check_sent("keeper_find_unused||1000|90");
    check_sent("keeper_find_unused|m|1000|90");
    check_swept(2, 0);
}

static void a_lap_is_followed_by_a_pause(void **state)
{
    static const struct slice slices[] = {{NULL, "0", 0, {{NULL, NULL}}}};
    (void)state;
    run(slices, 1, 11);
    check_steps(LOCK EXPIRE FIND
                "sleep(1000) " EXPIRE "sleep(1000) " EXPIRE "sleep(1000) " EXPIRE
                "sleep(1000) " EXPIRE "sleep(1000) " EXPIRE "sleep(1000) " EXPIRE
                "sleep(1000) " EXPIRE "sleep(1000) " EXPIRE "sleep(1000) " EXPIRE
                "sleep(1000) " EXPIRE FIND "sleep(1000) " EXPIRE "sleep(1000)");
}

static void a_cart_that_cannot_be_cleared_is_met_again(void **state)
{
    static const struct slice slices[] = {
        {"m", "1000", 2, {{"c", "7"}, {"k", "2"}}},
        {"m", "1000", 2, {{"c", "7"}, {"k", "2"}}},
    };
    (void)state;
    fake.write = ERR_OVERLOADED;
    run(slices, 2, 1);
    check_steps(LOCK EXPIRE FIND "clear(c \"7\") sleep(1000) " EXPIRE FIND
                                 "clear(c \"7\") sleep(1000)");
    assert_null(strstr(fake_sent.data, "find_unused|m"));
    fake.write = ERR_VERSION_MISMATCH;
    run(slices, 2, 4);
    check_steps(LOCK EXPIRE FIND "clear(c \"7\") sleep(10) clear(k \"2\") "
                                 "sleep(10) sleep(1000) " EXPIRE FIND
                                 "clear(c \"7\") sleep(10) clear(k \"2\") "
                                 "sleep(10)");
    check_swept(0, 0);
}

static void keys_go_in_batches(void **state)
{
    static const struct slice slices[] = {{NULL, "0", 0, {{NULL, NULL}}}};
    (void)state;
    fake.expired = 2300;
    run(slices, 1, 2);
    check_steps(LOCK EXPIRE "sleep(20) " EXPIRE "sleep(20) " EXPIRE FIND "sleep(1000)");
    check_sent("keeper_expire_keys|1000");
    check_swept(0, 2300);
}

static void no_more_than_ten_batches_in_a_round(void **state)
{
    static const struct slice slices[] = {{NULL, "0", 0, {{NULL, NULL}}}};
    (void)state;
    fake.expired = 50000;
    run(slices, 1, 9);
    check_swept(0, 10000);
    const char *steps = fake_trace.data;
    assert_string_equal(steps + strlen(steps) - strlen(FIND "sleep(1000)"),
                        FIND "sleep(1000)");
}

static void another_keeper_sweeps(void **state)
{
    (void)state;
    fake.mine = "f";
    run(NULL, 0, 1);
    check_steps(LOCK "release sleep(10000) " LOCK "release sleep(10000)");
}

static void a_failure_gives_the_lock_back(void **state)
{
    static const struct slice slices[] = {{NULL, "0", 0, {{NULL, NULL}}}};
    (void)state;
    fake_faults[1] = (struct pg_fake_fault){ERR_INTERNAL, 0, FAKE_REFUSED};
    run(slices, 1, 0);
    check_steps(LOCK EXPIRE "error(sweep-failed) " UNLOCK "sleep(10000)");
    fake_faults[fake_trips + 2] =
        (struct pg_fake_fault){ERR_DATABASE_UNAVAILABLE, 0, FAKE_LOST};
    fake_faults[fake_trips + 3] =
        (struct pg_fake_fault){ERR_DATABASE_UNAVAILABLE, 0, FAKE_UNSENT};
    run(slices, 1, 0);
    check_steps(LOCK EXPIRE FIND UNLOCK "sleep(10000)");
    fake_acquire_err = err_make(ERR_DATABASE_UNAVAILABLE, NULL, "gone");
    run(slices, 1, 0);
    check_steps("acquire(chore) sleep(10000)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(what_came_of_it),
        UNIT_TEST(the_write),
        SWEEP_TEST(carts_are_walked_in_slices),
        SWEEP_TEST(a_lap_is_followed_by_a_pause),
        SWEEP_TEST(a_cart_that_cannot_be_cleared_is_met_again),
        SWEEP_TEST(keys_go_in_batches),
        SWEEP_TEST(no_more_than_ten_batches_in_a_round),
        SWEEP_TEST(another_keeper_sweeps),
        SWEEP_TEST(a_failure_gives_the_lock_back),
    };
    fake.now_ms = 1000000;
    loop_init();
    keeper_sweep_setup(&config);
    return UNIT_RUN(tests);
}
