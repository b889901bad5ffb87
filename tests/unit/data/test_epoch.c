// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool
// wrap: clock_mono_ns
#include "pg_fake.h"

#include "data/epoch.h"
#include "data/redis.h"

// What is to be forgotten is kept for at least so many epochs more.
#define REMEMBERED 16

#define REPLID "8bf315b94ae172c5c448365fba84c4059ee000f3"

static struct config config = {
    .redis_master = {"one.invalid", "1"},
    .redis_replicas = {{"two.invalid", "2"}},
    .n_redis_replicas = 1,
};

static int64_t now;

int64_t __wrap_clock_mono_ns(void);

int64_t __wrap_clock_mono_ns(void)
{
    return now;
}

// The database's answer, the row of cache_state, and whether cache_move() moved.
static const char *answer[5];
static size_t answer_rows;
static const char *db_moved;

static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt)
{
    const char **cells = mem_array(mem, const char *, 5);
    if (strcmp(stmt->name, "epoch_move") == 0) {
        cells[0] = db_moved;
        return pg_fake_rows(mem, 1, 1, cells);
    }
    if (strcmp(stmt->name, "epoch_read") != 0)
        return pg_fake_rows(mem, 0, 0, NULL);
    memcpy(cells, answer, sizeof answer);
    return pg_fake_rows(mem, answer_rows, 5, cells);
}

static void db_says(const char *number, const char *mode, const char *master,
                    const char *replid, const char *last)
{
    const char *row[] = {number, mode, master, replid, last};
    memcpy(answer, row, sizeof answer);
    answer_rows = 1;
}

static struct work work;

static int setup(void **state)
{
    int failed = unit_setup(state);
    work = (struct work){.mem = talloc_new(*state)};
    pg_fake_reset(work.mem);
    now = 1000;
    static bool before;
    if (!before) {
        redis_setup(&config);
        epoch_setup();
        before = true;
    }
    return failed;
}

static int teardown(void **state)
{
    assert_false(fake_conn.busy);
    talloc_free(work.mem);
    return unit_teardown(state);
}

#define EPOCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

// Learns an epoch as a statement of cart_store.c does: the columns begin anywhere.
static struct epoch read_as(int64_t number, const char *mode, const char *master,
                            const char *replid)
{
    const char *cells[] = {
        "other", "row",  mem_printf(work.mem, "%lld", (long long)number), mode, master,
        replid,  "other"};
    const char **rows = mem_array(work.mem, const char *, 14);
    memcpy(rows + 7, cells, sizeof cells);
    return epoch_of(pg_fake_rows(work.mem, 2, 7, rows), 1, 2);
}

static void modes_have_names(void **state)
{
    static const struct {
        const char *name;
        enum cache_mode mode;
    } rows[] = {
        {"off", CACHE_OFF}, {"master", CACHE_MASTER}, {"replicas", CACHE_REPLICAS}};
    static const char *const others[] = {"",        "o",  "of",      "offf",     "Off",
                                         "replica", "on", "masters", "replicas "};
    (void)state;
    enum cache_mode mode;
    assert_int_equal(LENGTH(rows), CACHE_MODE__MAX);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        assert_string_equal(epoch_mode_name(rows[i].mode), rows[i].name);
        mode = CACHE_MODE__MAX;
        assert_true(epoch_mode_parse(rows[i].name, strlen(rows[i].name), &mode));
        assert_int_equal(mode, rows[i].mode);
    }
    for (size_t i = 0; i < LENGTH(others); i++) {
        mode = CACHE_MODE__MAX;
        assert_false(epoch_mode_parse(others[i], strlen(others[i]), &mode));
        assert_int_equal(mode, CACHE_MODE__MAX);
    }
    assert_true(epoch_mode_parse("master,", 6, &mode)); // len counts, not a NUL
}

// First, as nothing is known yet.
static void before_the_first_its_number_is_0(void **state)
{
    (void)state;
    assert_int_equal(epoch_known()->number, 0);
    assert_int_equal(epoch_first_read(1), 1000);
    now = 2000;
    assert_int_equal(epoch_first_read(1), 2000); // asking is not reading
}

static void the_columns_are_read(void **state)
{
    (void)state;
    struct epoch epoch = read_as(5, "master", "two.invalid:2", REPLID);
    assert_int_equal(epoch.number, 5);
    assert_int_equal(epoch.mode, CACHE_MASTER);
    assert_string_equal(epoch.master, "two.invalid:2");
    assert_string_equal(epoch.replid, REPLID);
    assert_int_equal(epoch_known()->number, 5);
    assert_int_equal(epoch_known()->mode, CACHE_MASTER);
    assert_string_equal(epoch_known()->replid, REPLID);
    assert_ptr_equal(redis_master(), redis_node(1));

    epoch = read_as(6, "off", "", "");
    assert_string_equal(epoch.master, "");
    assert_int_equal(epoch_known()->mode, CACHE_OFF);
    assert_ptr_equal(redis_master(), redis_node(1)); // there is no better
    // What this program does not know is not used.
    epoch = read_as(7, "quorum", "one.invalid:1", REPLID);
    assert_int_equal(epoch.mode, CACHE_OFF);
    assert_ptr_equal(redis_master(), redis_node(0));
}

static void too_long_texts_are_cut(void **state)
{
    (void)state;
    char host[400];
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    struct epoch epoch = read_as(8, "replicas", host, host);
    assert_int_equal(strlen(epoch.master), REDIS_ADDR_MAX - 1);
    assert_int_equal(strlen(epoch.replid), REPLID_MAX - 1);
    assert_ptr_equal(redis_master(), redis_node(0));
}

// Answers of several connections come in any order.
static void only_the_newest_counts(void **state)
{
    (void)state;
    read_as(20, "replicas", "two.invalid:2", "a");
    struct epoch old = read_as(19, "master", "one.invalid:1", "b");
    assert_int_equal(old.number, 19); // as it was read, for who reads it
    assert_int_equal(old.mode, CACHE_MASTER);
    assert_string_equal(old.replid, "b");
    assert_int_equal(epoch_known()->number, 20);
    assert_int_equal(epoch_known()->mode, CACHE_REPLICAS);
    assert_string_equal(epoch_known()->replid, "a");
    assert_ptr_equal(redis_master(), redis_node(1));
    read_as(20, "off", "one.invalid:1", "c"); // one number, one state
    assert_int_equal(epoch_known()->mode, CACHE_REPLICAS);
    assert_ptr_equal(redis_master(), redis_node(1));
}

static void a_master_that_is_not_configured_is_not_used(void **state)
{
    (void)state;
    read_as(30, "master", "two.invalid:2", "a");
    static const char *const others[] = {"two.invalid:3", "two.invalid", "TWO.invalid:2",
                                         "three.invalid:3", ""};
    for (size_t i = 0; i < LENGTH(others); i++) {
        read_as(31 + (int64_t)i, "master", others[i], "b");
        assert_int_equal(epoch_known()->number, 31 + i);
        assert_string_equal(epoch_known()->master, others[i]);
        assert_ptr_equal(redis_master(), redis_node(1));
    }
}

static void an_epochs_age_counts_from_its_first_reading(void **state)
{
    (void)state;
    now = 5000;
    read_as(40, "off", "", "");
    now = 6000;
    read_as(40, "off", "", "");
    assert_int_equal(epoch_first_read(40), 5000);
    read_as(41, "off", "", "");
    now = 7000;
    read_as(40, "off", "", "");
    assert_int_equal(epoch_first_read(40), 5000);
    assert_int_equal(epoch_first_read(41), 6000);
    // One that came late has an age of its own.
    read_as(43, "off", "", "");
    now = 8000;
    read_as(42, "off", "", "");
    assert_int_equal(epoch_first_read(42), 8000);
    assert_int_equal(epoch_first_read(43), 7000);
    // One that was never read is as good as new, also where others were.
    now = 9000;
    assert_int_equal(epoch_first_read(44), 9000);
    assert_int_equal(epoch_first_read(42 + REMEMBERED), 9000);
    assert_int_equal(epoch_first_read(42 - REMEMBERED), 9000);
}

// Too young is safe: who holds by it, holds too long.
static void an_old_epoch_is_forgotten(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 4 * REMEMBERED; i++) {
        now = 10000 + i;
        read_as(1000 + i, "off", "", "");
        for (int64_t back = 0; back <= i; back++)
            assert_int_equal(epoch_first_read(1000 + i - back),
                             back < REMEMBERED ? now - back : now);
    }
    // Read again, it is not remembered again: a newer one has its place.
    now = 20000;
    read_as(1000, "off", "", "");
    now = 20001;
    assert_int_equal(epoch_first_read(1000), 20001);
    assert_int_equal(epoch_first_read(1000 + 3 * REMEMBERED), 10000 + 3 * REMEMBERED);
}

// Trips of its own

static void it_is_read_by_itself(void **state)
{
    (void)state;
    struct epoch epoch;
    bool restarted = true;
    db_says("2001", "replicas", "one.invalid:1", REPLID, "t");
    assert_int_equal(epoch_read(&work, PG_READ, &epoch, &restarted).code, ERR_NONE);
    check_steps("acquire(read) trip(epoch_read) release");
    assert_int_equal(epoch.number, 2001);
    assert_int_equal(epoch.mode, CACHE_REPLICAS);
    assert_int_equal(epoch_known()->number, 2001);
    assert_ptr_equal(redis_master(), redis_node(0));
    assert_false(restarted);
    answer[4] = "f";
    assert_int_equal(epoch_read(&work, PG_CHORE, &epoch, &restarted).code, ERR_NONE);
    assert_true(restarted);
    assert_int_equal(epoch_read(&work, PG_CHORE, &epoch, NULL).code, ERR_NONE);
}

// What it is then is asked once the move is committed: inside, a commit of other hands
// that comes before may yet make its number another state's.
static void it_is_moved(void **state)
{
    (void)state;
    struct epoch epoch;
    bool moved = false;
    db_moved = "t";
    db_says("2003", "master", "two.invalid:2", "b", "t");
    assert_int_equal(epoch_move(&work, PG_CHORE, 2002, CACHE_MASTER, "two.invalid:2", "b",
                                &epoch, &moved)
                         .code,
                     ERR_NONE);
    check_steps("acquire(chore) trip(begin epoch_move commit epoch_read) release");
    check_sent("epoch_move|2002|master|two.invalid:2|b");
    assert_true(moved);
    assert_int_equal(epoch.number, 2003);
    assert_int_equal(epoch_known()->number, 2003);
    assert_ptr_equal(redis_master(), redis_node(1));
    assert_int_equal(epoch_first_read(2003), now);

    // Somebody else was first: what it is now.
    db_moved = "f";
    db_says("2005", "replicas", "one.invalid:1", "c", "f");
    assert_int_equal(
        epoch_move(&work, PG_CHORE, 2003, CACHE_OFF, "two.invalid:2", "b", &epoch, &moved)
            .code,
        ERR_NONE);
    check_sent("epoch_move|2003|off|two.invalid:2|b");
    assert_false(moved);
    assert_int_equal(epoch.number, 2005);
    assert_int_equal(epoch.mode, CACHE_REPLICAS);
    assert_string_equal(epoch.replid, "c");
    assert_ptr_equal(redis_master(), redis_node(0));

    // Or was next, at once.
    db_moved = "t";
    db_says("2007", "replicas", "two.invalid:2", "d", "t");
    assert_int_equal(
        epoch_move(&work, PG_CHORE, 2005, CACHE_OFF, "one.invalid:1", "c", &epoch, &moved)
            .code,
        ERR_NONE);
    assert_true(moved);
    assert_int_equal(epoch.number, 2007);
    assert_int_equal(epoch.mode, CACHE_REPLICAS);
}

static void what_fails_leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct epoch before = *epoch_known(), untouched, epoch;
    memset(&untouched, 0x55, sizeof untouched);
    epoch = untouched;
    bool flag = true;
    db_says("3000", "master", "two.invalid:2", "b", "f");
    fake_acquire_err = err_make(ERR_OVERLOADED, NULL, "none free");
    assert_int_equal(epoch_read(&work, PG_READ, &epoch, &flag).code, ERR_OVERLOADED);
    fake_acquire_err = err_ok();
    fake_faults[0] = (struct pg_fake_fault){ERR_DATABASE_UNAVAILABLE, 0, FAKE_LOST};
    fake_faults[1] = (struct pg_fake_fault){ERR_INTERNAL, 0, FAKE_REFUSED};
    assert_int_equal(epoch_read(&work, PG_READ, &epoch, &flag).code,
                     ERR_DATABASE_UNAVAILABLE);
    assert_int_equal(epoch_move(&work, PG_READ, 1, CACHE_OFF, "", "", &epoch, &flag).code,
                     ERR_INTERNAL);
    for (answer_rows = 0; answer_rows < 3; answer_rows += 2)
        assert_int_equal(epoch_read(&work, PG_READ, &epoch, &flag).code, ERR_INTERNAL);
    assert_true(flag);
    assert_memory_equal(&epoch, &untouched, sizeof epoch);
    assert_memory_equal(epoch_known(), &before, sizeof before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EPOCH_TEST(modes_have_names),
        EPOCH_TEST(before_the_first_its_number_is_0),
        EPOCH_TEST(the_columns_are_read),
        EPOCH_TEST(too_long_texts_are_cut),
        EPOCH_TEST(only_the_newest_counts),
        EPOCH_TEST(a_master_that_is_not_configured_is_not_used),
        EPOCH_TEST(an_epochs_age_counts_from_its_first_reading),
        EPOCH_TEST(an_old_epoch_is_forgotten),
        EPOCH_TEST(it_is_read_by_itself),
        EPOCH_TEST(it_is_moved),
        EPOCH_TEST(what_fails_leaves_everything_as_it_was),
    };
    return UNIT_RUN(tests);
}
