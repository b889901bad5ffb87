// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool
// wrap: cache_read cache_claim_token cache_hold cache_fill cache_drop
// wrap: keylock_take keylock_give
#include "store_unit.h"

// READ

static void a_hit_asks_nobody_else(void **state)
{
    (void)state;
    fake.read = WORK_CACHE_HIT;
    assert_int_equal(read_cart(), ERR_NONE);
    check_answer(200, 7, "{\"cached\":true}");
    assert_false(answer.replayed);
    check_steps("read(u)");
    assert_null(work.after);
}

static void a_miss_fills_after_the_answer(void **state)
{
    (void)state;
    assert_int_equal(read_cart(), ERR_NONE);
    check_answer(200, 7, CART_7);
    assert_false(answer.replayed);
    check_steps("read(u) token(u 5) acquire(read) trip(cart_try_lock cart_load) release");
    check_sent("cart_try_lock|u");
    check_sent("cart_load|u");
    run_after();
    check_steps("fill(u T1 5)");
    check_filled();
}

static void a_token_is_taken_back_if_a_writer_was_there(void **state)
{
    (void)state;
    db.lock_free = false;
    assert_int_equal(read_cart(), ERR_NONE);
    check_answer(200, 7, CART_7);
    buf_truncate(&fake_trace, 0);
    run_after();
    check_steps("drop(u T1)");
}

// The epoch was raised between the heartbeat and the database's answer, or back then the
// keeper knew more than this snapshot: what was read is not what counts under the claim.
static void a_token_is_taken_back_if_the_epoch_is_another(void **state)
{
    static const struct {
        const char *database;
        int64_t heartbeat;
        bool free, fills;
    } rows[] = {
        {"5", 5, true, true},
        {"6", 5, true, false},
        {"4", 5, true, false},
        {"5", 6, true, false},
        {"5", 5, false, false},
        {"6", 5, false, false},
        {"9223372036854775807", INT64_MAX, true, true},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char expected[64];
        db.epoch = rows[i].database;
        fake.epoch = rows[i].heartbeat;
        db.lock_free = rows[i].free;
        fake.claims = 0;
        assert_int_equal(read_cart(), ERR_NONE);
        check_answer(200, 7, CART_7); // which is as true
        buf_truncate(&fake_trace, 0);
        run_after();
        snprintf(expected, sizeof expected,
                 rows[i].fills ? "fill(u T1 %lld)" : "drop(u T1)",
                 (long long)rows[i].heartbeat);
        check_steps(expected);
    }
}

// Whatever is read tells this process of the epoch.
static void every_read_of_the_database_tells_the_epoch(void **state)
{
    (void)state;
    epoch_setup(); // forgets what the tests before have read
    db.epoch = "70";
    fake.read = WORK_CACHE_BYPASS;
    assert_int_equal(read_cart(), ERR_NONE);
    assert_int_equal(epoch_known()->number, 70);
    assert_int_equal(epoch_known()->mode, CACHE_REPLICAS);
    db.epoch = "71";
    db.mode = "off";
    assert_int_equal(write_cart(writing(CART_UPDATE, 10, 2)), ERR_NONE);
    assert_int_equal(epoch_known()->number, 71);
    assert_int_equal(epoch_known()->mode, CACHE_OFF);
    fake.read = WORK_CACHE_HIT;
    db.epoch = "72";
    assert_int_equal(read_cart(), ERR_NONE);
    assert_int_equal(epoch_known()->number, 71);
}

static void start_body(void *unused)
{
    (void)unused;
    cart_store_start();
    co_unit_alone();
}

static void it_is_read_once_at_the_start(void **state)
{
    (void)state;
    db.epoch = "80";
    co_unit_run(start_body, NULL);
    check_steps("acquire(chore) trip(epoch_read) release");
    assert_int_equal(epoch_known()->number, 80);
    // And if the database is not there yet, the first request does it.
    fake_acquire_err = err_make(ERR_DATABASE_UNAVAILABLE, NULL, "gone");
    db.epoch = "81";
    co_unit_run(start_body, NULL);
    check_steps("acquire(chore)");
    assert_int_equal(epoch_known()->number, 80);
}

static void without_a_token_the_lock_is_not_asked_for(void **state)
{
    (void)state;
    fake.held = false;
    assert_int_equal(read_cart(), ERR_NONE);
    check_answer(200, 7, CART_7);
    check_steps("read(u) token(u 5) acquire(read) trip(cart_load) release");
    assert_null(work.after);
}

// Or without a heartbeat to claim it under.
static void without_a_cache_there_is_no_token(void **state)
{
    (void)state;
    fake.read = WORK_CACHE_BYPASS;
    assert_int_equal(read_cart(), ERR_NONE);
    check_answer(200, 7, CART_7);
    check_steps("read(u) token(u 0) acquire(read) trip(cart_load) release");
    assert_null(work.after);
}

static void a_read_that_fails_takes_its_token_back(void **state)
{
    (void)state;
    fake_acquire_err = err_make(ERR_OVERLOADED, NULL, "none free");
    assert_int_equal(read_cart(), ERR_OVERLOADED);
    assert_memory_equal(&answer, &untouched, sizeof answer);
    check_steps("read(u) token(u 5) acquire(read)");
    run_after();
    check_steps("drop(u T1)");

    fake_acquire_err = err_ok();
    work.after = NULL;
    for (size_t at = 0; at < 2; at++) {
        for (enum pg_fake_end end = FAKE_REFUSED; end <= FAKE_LOST; end++) {
            fake_faults[fake_trips] =
                (struct pg_fake_fault){ERR_DATABASE_UNAVAILABLE, at, end};
            assert_int_equal(read_cart(), ERR_DATABASE_UNAVAILABLE);
            assert_memory_equal(&answer, &untouched, sizeof answer);
            assert_non_null(strstr(fake_trace.data, "release"));
            buf_truncate(&fake_trace, 0);
            run_after();
            assert_int_equal(strncmp(fake_trace.data, "drop(u T", 8), 0);
            buf_truncate(&fake_trace, 0);
        }
    }
    fake.held = false;
    work.after = NULL;
    fake_faults[fake_trips] = (struct pg_fake_fault){ERR_INTERNAL, 0, FAKE_REFUSED};
    assert_int_equal(read_cart(), ERR_INTERNAL);
    assert_null(work.after);
}

static void a_cart_may_be_unknown_or_empty(void **state)
{
    (void)state;
    forget_cart();
    assert_int_equal(read_cart(), ERR_NONE);
    check_answer(200, 0,
                 "{\"user_id\":\"u\",\"version\":0,\"items\":[],\"item_count\":0,"
                 "\"total\":0.00,\"updated_at\":null}");
    db.version = "12";
    db.updated_at = T1;
    assert_int_equal(read_cart(), ERR_NONE);
    check_answer(200, 12,
                 "{\"user_id\":\"u\",\"version\":12,\"items\":[],\"item_count\":0,"
                 "\"total\":0.00,\"updated_at\":\"" T1 "\"}");
}

// WRITE

static void a_new_line_is_inserted(void **state)
{
    (void)state;
    forget_cart();
    assert_int_equal(write_cart(writing(CART_ADD, 5, 2)), ERR_NONE);
    check_answer(201, 1,
                 "{\"user_id\":\"u\",\"version\":1,\"items\":[{\"product_id\":5,"
                 "\"name\":\"Pen\",\"price\":0.05,\"quantity\":2,\"subtotal\":0.10}],"
                 "\"item_count\":2,\"total\":0.10,\"updated_at\":\"" NOW "\"}");
    assert_false(answer.replayed);
    check_steps(BEGIN HOLD "trip(cart_insert_line commit) " END);
    check_sent("cart_lock|u");
    check_sent("cart_load|u");
    check_sent("cart_insert_line|u|1|" NOW "|5|Pen|0.05|2");
    run_after();
    check_steps("fill(u X1 5)");
    check_filled();
}

static void a_line_that_is_there_is_set(void **state)
{
    (void)state;
    struct cart_write write = writing(CART_ADD, 10, 4);
    write.request.line.price = 100000000;
    assert_int_equal(write_cart(write), ERR_NONE);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.version, 8);
    check_steps(BEGIN HOLD "trip(cart_set_line commit) " END);
    check_sent("cart_set_line|u|8|" NOW "|10|Pen|1000000.00|6");
    run_after();
    check_steps("fill(u X1 5)");
    check_filled();

    // An update keeps name and price, to the cent.
    assert_int_equal(write_cart(writing(CART_UPDATE, 20, 999)), ERR_NONE);
    check_sent("cart_set_line|u|8|" NOW "|20|Mouse|19.50|999");
}

static void lines_are_deleted(void **state)
{
    (void)state;
    assert_int_equal(write_cart(writing(CART_UPDATE, 10, 0)), ERR_NONE);
    check_steps(BEGIN HOLD "trip(cart_delete_line commit) " END);
    check_sent("cart_delete_line|u|8|" NOW "|10");
    assert_int_equal(write_cart(writing(CART_REMOVE, 20, 0)), ERR_NONE);
    check_steps(BEGIN HOLD "trip(cart_delete_line commit) " END);
    check_sent("cart_delete_line|u|8|" NOW "|20");
    assert_int_equal(write_cart(writing(CART_CLEAR, 0, 0)), ERR_NONE);
    check_steps(BEGIN HOLD "trip(cart_delete_lines commit) " END);
    check_sent("cart_delete_lines|u|8|" NOW);
    check_answer(200, 8,
                 "{\"user_id\":\"u\",\"version\":8,\"items\":[],\"item_count\":0,"
                 "\"total\":0.00,\"updated_at\":\"" NOW "\"}");
    run_after(); // the last one's
    check_steps("fill(u X3 5)");
}

static void what_changes_nothing_leaves_the_cache_alone(void **state)
{
    (void)state;
    assert_int_equal(write_cart(writing(CART_UPDATE, 10, 2)), ERR_NONE);
    check_answer(200, 7, CART_7);
    check_steps(BEGIN "abandon " END);
    assert_null(work.after);
}

static void what_is_refused_leaves_the_cache_alone(void **state)
{
    (void)state;
    assert_int_equal(write_cart(writing(CART_REMOVE, 11, 0)), ERR_LINE_NOT_FOUND);
    check_steps(BEGIN "abandon " END);
    assert_int_equal(write_cart(writing(CART_ADD, 10, 998)), ERR_TOO_MANY_UNITS);
    check_steps(BEGIN "abandon " END);
    assert_null(work.after);
}

static void without_a_tombstone_nothing_is_filled(void **state)
{
    (void)state;
    fake.held = false;
    assert_int_equal(write_cart(writing(CART_ADD, 5, 2)), ERR_NONE);
    check_steps(BEGIN HOLD "trip(cart_insert_line commit) " END);
    assert_int_equal(answer.status, 201);
    assert_null(work.after);
}

// The epoch that its hold goes by, and its value under, is read under the lock.
static void a_write_is_of_the_epoch_it_has_read(void **state)
{
    (void)state;
    db.epoch = "12";
    db.mode = "master";
    assert_int_equal(write_cart(writing(CART_ADD, 10, 1)), ERR_NONE);
    check_steps(BEGIN "hold(u 12 master) trip(cart_set_line commit) " END);
    run_after();
    check_steps("fill(u X1 12)");
    db.mode = "off";
    fake.held = false;
    work.after = NULL;
    assert_int_equal(write_cart(writing(CART_ADD, 10, 1)), ERR_NONE);
    check_steps(BEGIN "hold(u 12 off) trip(cart_set_line commit) " END);
    assert_null(work.after);
}

// Conditions

static void conditions_are_held_against_the_version(void **state)
{
    static const struct {
        const char *if_match, *if_none_match;
        bool good;
    } rows[] = {
        {"\"7\"", NULL, true},        {"*", NULL, true},
        {"\"6\", \"7\"", NULL, true}, {"\"6\"", NULL, false},
        {"W/\"7\"", NULL, false},     {"\"07\"", NULL, false},
        {"\"\"", NULL, false},        {"", NULL, false},
        {NULL, "\"6\"", true},        {NULL, "\"7\"", false},
        {NULL, "W/\"7\"", false},     {NULL, "*", false},
        {NULL, "\"8\",\"9\"", true},  {"\"7\"", "\"6\"", true},
        {"\"7\"", "\"7\"", false},    {"\"6\"", "\"6\"", false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct cart_write write = writing(CART_ADD, 5, 2);
        write.if_match = rows[i].if_match;
        write.if_none_match = rows[i].if_none_match;
        answer = untouched;
        work.after = NULL;
        fake_trips = 0;
        assert_int_equal(write_cart(write),
                         rows[i].good ? ERR_NONE : ERR_VERSION_MISMATCH);
        if (rows[i].good) {
            check_steps(BEGIN HOLD "trip(cart_insert_line commit) " END);
        } else {
            check_steps(BEGIN "abandon " END);
            check_answer(412, 7, CART_7);
            assert_null(work.after);
        }
    }
}

static void an_unknown_cart_has_version_0(void **state)
{
    (void)state;
    forget_cart();
    struct cart_write write = writing(CART_ADD, 5, 2);
    write.if_match = "\"1\"";
    assert_int_equal(write_cart(write), ERR_VERSION_MISMATCH);
    assert_int_equal(answer.version, 0);
    write.if_match = "\"0\"";
    assert_int_equal(write_cart(write), ERR_NONE);
    assert_int_equal(answer.version, 1);
}

// Idempotency keys

static void an_answer_is_stored_with_its_change(void **state)
{
    (void)state;
    forget_cart();
    assert_int_equal(write_cart(writing_with_key(CART_ADD, 5, 2)), ERR_NONE);
    assert_int_equal(answer.status, 201);
    assert_false(answer.replayed);
    check_steps(BEGIN_KEY HOLD "trip(cart_insert_line cart_store_key commit) " END);
    check_sent("cart_find_key|u|key1|POST /x\n{}");
    char line[512];
    snprintf(line, sizeof line, "cart_store_key|u|key1|POST /x\n{}|201|1|%s|" NOW,
             answer.json);
    check_sent(line);
    run_after();
    check_steps("fill(u X1 5)");
}

static void an_answer_without_a_change_is_stored_too(void **state)
{
    (void)state;
    assert_int_equal(write_cart(writing_with_key(CART_UPDATE, 10, 2)), ERR_NONE);
    check_answer(200, 7, CART_7);
    check_steps(BEGIN_KEY "trip(cart_store_key commit) " END);
    check_sent("cart_store_key|u|key1|POST /x\n{}|200|7|" CART_7 "|" T1);
    assert_null(work.after);
    forget_cart();
    assert_int_equal(write_cart(writing_with_key(CART_CLEAR, 0, 0)), ERR_NONE);
    check_sent("cart_store_key|u|key1|POST /x\n{}|200|0|"
               "{\"user_id\":\"u\",\"version\":0,\"items\":[],\"item_count\":0,"
               "\"total\":0.00,\"updated_at\":null}|NULL");
}

static void errors_leave_the_key_free(void **state)
{
    (void)state;
    struct cart_write write = writing_with_key(CART_REMOVE, 11, 0);
    assert_int_equal(write_cart(write), ERR_LINE_NOT_FOUND);
    check_steps(BEGIN_KEY "abandon " END);
    write.if_match = "\"6\"";
    assert_int_equal(write_cart(write), ERR_VERSION_MISMATCH);
    check_steps(BEGIN_KEY "abandon " END);
}

static void a_repeated_request_is_answered_as_before(void **state)
{
    (void)state;
    db.key_same = "t";
    struct cart_write write = writing_with_key(CART_ADD, 5, 2);
    write.if_match = "\"6\""; // held against the version only after this
    assert_int_equal(write_cart(write), ERR_NONE);
    check_answer(201, 3, "{\"stored\":true}");
    assert_true(answer.replayed);
    check_steps(BEGIN_KEY "abandon " END);
    assert_null(work.after);
}

static void another_request_under_the_key_is_refused(void **state)
{
    (void)state;
    db.key_same = "f";
    struct cart_write write = writing_with_key(CART_ADD, 5, 2);
    write.if_match = "\"6\"";
    assert_int_equal(write_cart(write), ERR_IDEMPOTENCY_KEY_REUSED);
    check_steps(BEGIN_KEY "abandon " END);
    assert_null(work.after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_hit_asks_nobody_else),
        STORE_TEST(a_miss_fills_after_the_answer),
        STORE_TEST(a_token_is_taken_back_if_a_writer_was_there),
        STORE_TEST(a_token_is_taken_back_if_the_epoch_is_another),
        STORE_TEST(every_read_of_the_database_tells_the_epoch),
        STORE_TEST(it_is_read_once_at_the_start),
        STORE_TEST(without_a_token_the_lock_is_not_asked_for),
        STORE_TEST(without_a_cache_there_is_no_token),
        STORE_TEST(a_read_that_fails_takes_its_token_back),
        STORE_TEST(a_cart_may_be_unknown_or_empty),
        STORE_TEST(a_new_line_is_inserted),
        STORE_TEST(a_line_that_is_there_is_set),
        STORE_TEST(lines_are_deleted),
        STORE_TEST(what_changes_nothing_leaves_the_cache_alone),
        STORE_TEST(what_is_refused_leaves_the_cache_alone),
        STORE_TEST(without_a_tombstone_nothing_is_filled),
        STORE_TEST(a_write_is_of_the_epoch_it_has_read),
        STORE_TEST(conditions_are_held_against_the_version),
        STORE_TEST(an_unknown_cart_has_version_0),
        STORE_TEST(an_answer_is_stored_with_its_change),
        STORE_TEST(an_answer_without_a_change_is_stored_too),
        STORE_TEST(errors_leave_the_key_free),
        STORE_TEST(a_repeated_request_is_answered_as_before),
        STORE_TEST(another_request_under_the_key_is_refused),
    };
    store_unit_begin();
    return UNIT_RUN(tests);
}
