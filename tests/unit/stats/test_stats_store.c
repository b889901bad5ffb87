// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool
// wrap: cache_on cache_get_plain cache_set_plain log_write
#include "../data/pg_fake.h"

#include "../loop/co_unit.h"
#include "data/cache.h"
#include "stats/stats_store.h"

#define JSON "[{\"product_id\":7,\"name\":\"Pen\",\"units\":12,\"carts\":3}]"
#define FOLD "acquire(chore) trip(stats_fold) "
#define TOP "trip(begin stats_lock) get trip(stats_top) set "
#define END "abandon release"

static struct config config = {
    .pg_pool_wait_ms = 1000,
    .pg_timeout_ms = 1000,
    .stats_fold_ms = 10,
    .top_products_ttl_s = 10,
};

// The database

static int full_batches, tops;

// As many deltas as it may fold, or one less when all are through.
static const char *fold(void *mem)
{
    const char *last = fake_sent.data, *next;
    while ((next = strstr(last + 1, "\nstats_fold|")))
        last = next;
    int batch = atoi(last + strlen("\nstats_fold|"));
    return mem_printf(mem, "%d", full_batches-- > 0 ? batch : batch - 1);
}

static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt)
{
    static const char *const row[] = {"7", "Pen", "12", "3"};
    const char **cells = mem_array(mem, const char *, 4);
    if (strcmp(stmt->name, "stats_fold") == 0) {
        cells[0] = fold(mem);
        return pg_fake_rows(mem, 1, 1, cells);
    }
    if (strcmp(stmt->name, "stats_top") == 0) {
        tops++;
        memcpy(cells, row, sizeof row);
        return pg_fake_rows(mem, 1, 4, cells);
    }
    return pg_fake_rows(mem, 0, 0, NULL);
}

// The cache

static bool on, remembers;
static char *kept; // what is in the cache, or NULL
static int64_t kept_ttl_ms;
static int hits_after; // another process fills the cache before this get; 0: none does

bool __wrap_cache_on(void);
bool __wrap_cache_get_plain(struct work *work, const char *key, const char **text,
                            size_t *len);
void __wrap_cache_set_plain(struct work *work, const char *key, const char *text,
                            size_t len, int64_t ttl_ms);

bool __wrap_cache_on(void)
{
    return on;
}

bool __wrap_cache_get_plain(struct work *work, const char *key, const char **text,
                            size_t *len)
{
    STEP("get");
    assert_string_equal(key, "stats:top-products");
    if (hits_after && --hits_after == 0)
        kept = "[\"made elsewhere\"]";
    work->cache = !on ? WORK_CACHE_BYPASS : kept ? WORK_CACHE_HIT : WORK_CACHE_MISS;
    if (!on || !kept)
        return false;
    *text = mem_strndup(work->mem, kept, strlen(kept));
    *len = strlen(kept);
    return true;
}

void __wrap_cache_set_plain(struct work *work, const char *key, const char *text,
                            size_t len, int64_t ttl_ms)
{
    STEP("set");
    assert_string_equal(key, "stats:top-products");
    assert_int_equal(len, strlen(text));
    if (on && remembers)
        kept = mem_strndup(fake_trace.mem, text, len);
    kept_ttl_ms = ttl_ms;
    assert_non_null(work->mem);
}

static int warnings; // lines of the log

void __wrap_log_write(enum log_level level, const struct log_field *fields);

void __wrap_log_write(enum log_level level, const struct log_field *fields)
{
    assert_int_equal(level, LOG_WARN);
    assert_string_equal(fields[0].str, "fold-failed");
    warnings++;
}

// One who asks

struct asker {
    void *mem;
    bool done;
    struct err err;
    enum work_cache cache;
    const char *json;
    size_t len;
};

static void ask(void *arg)
{
    struct asker *asker = arg;
    struct work work = {.mem = asker->mem,
                        .start_by = co_unit_in_ms(10000),
                        .deadline = co_unit_in_ms(20000)};
    asker->err = stats_store_top(&work, &asker->json, &asker->len);
    asker->cache = work.cache;
    asker->done = true;
}

static void check_json(const struct asker *asker, const char *json)
{
    assert_int_equal(asker->err.code, ERR_NONE);
    assert_string_equal(asker->json, json);
    assert_int_equal(asker->len, strlen(json));
    assert_ptr_equal(talloc_parent(asker->json), asker->mem);
}

static void *test_mem;

static int setup(void **state)
{
    int failed = unit_setup(state);
    test_mem = talloc_new(*state);
    pg_fake_reset(test_mem);
    full_batches = tops = hits_after = 0;
    on = remembers = true;
    kept = NULL;
    kept_ttl_ms = 0;
    return failed;
}

static int teardown(void **state)
{
    assert_false(fake_conn.busy);
    talloc_free(test_mem);
    return unit_teardown(state);
}

#define STATS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void ask_when_it_is_cached(void *arg)
{
    struct asker asker = {.mem = test_mem};
    (void)arg;
    kept = "[\"cached\"]";
    ask(&asker);
    check_json(&asker, kept);
    assert_int_equal(asker.cache, WORK_CACHE_HIT);
    check_steps("get");
}

static void a_cached_answer_asks_nobody_else(void **state)
{
    (void)state;
    co_unit_run(ask_when_it_is_cached, NULL);
}

static void ask_when_it_is_not_cached(void *arg)
{
    struct asker asker = {.mem = test_mem};
    (void)arg;
    ask(&asker);
    check_json(&asker, JSON);
    assert_int_equal(asker.cache, WORK_CACHE_MISS);
    check_steps("get " FOLD TOP END);
    check_sent("stats_fold|5000");
    check_sent("stats_top|10");
    assert_int_equal(kept_ttl_ms, 10000);
}

static void a_miss_folds_reads_and_caches(void **state)
{
    (void)state;
    co_unit_run(ask_when_it_is_not_cached, NULL);
}

static void ask_when_much_is_to_fold(void *arg)
{
    struct asker asker = {.mem = test_mem};
    (void)arg;
    full_batches = 3;
    ask(&asker);
    check_json(&asker, JSON);
    check_steps("get " FOLD
                "trip(stats_fold) trip(stats_fold) trip(stats_fold) " TOP END);
}

static void folding_goes_on_until_a_batch_is_not_full(void **state)
{
    (void)state;
    co_unit_run(ask_when_much_is_to_fold, NULL);
}

// A batch that fails, as it does when it takes too long, is tried with half as much.
static void fold_too_much(void *arg)
{
    static const char *const sizes[] = {"5000", "2500", "1250", "625", "312",
                                        "156",  "78",   "50",   "50"};
    struct asker asker = {.mem = test_mem};
    char sent[32];
    (void)arg;
    remembers = false;
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        buf_truncate(&fake_sent, 0);
        fake_faults[fake_trips] = (struct pg_fake_fault){ERR_INTERNAL, 0, FAKE_REFUSED};
        ask(&asker);
        check_json(&asker, JSON); // what is not folded is late, and no more
        snprintf(sent, sizeof sent, "stats_fold|%s", sizes[i]);
        check_sent(sent);
    }
    // While there is more to fold it grows again.
    full_batches = 8;
    ask(&asker);
    check_json(&asker, JSON);
    for (int size = 50; size < 5000; size *= 2) {
        snprintf(sent, sizeof sent, "stats_fold|%d", size);
        check_sent(sent);
    }
    buf_truncate(&fake_sent, 0);
    ask(&asker);
    check_sent("stats_fold|5000");
}

static void a_batch_that_fails_is_halved(void **state)
{
    (void)state;
    co_unit_run(fold_too_much, NULL);
}

static void take_long(void)
{
    loop_sleep_ms(120);
}

// A backlog: this request folds for a part of its time, and then reads what there is.
static void ask_when_too_much_is_to_fold(void *arg)
{
    struct asker asker = {.mem = test_mem};
    (void)arg;
    full_batches = 1000;
    fake_pause = take_long;
    ask(&asker);
    check_json(&asker, JSON);
    assert_int_equal(tops, 1);
    assert_true(1000 - full_batches >= 1 && 1000 - full_batches <= 5);
}

static void a_refresh_folds_for_half_a_second_at_most(void **state)
{
    (void)state;
    co_unit_run(ask_when_too_much_is_to_fold, NULL);
}

static void ask_while_another_process_refreshes(void *arg)
{
    struct asker asker = {.mem = test_mem};
    (void)arg;
    hits_after = 2;
    ask(&asker);
    check_json(&asker, "[\"made elsewhere\"]");
    check_steps("get " FOLD "trip(begin stats_lock) get " END);
}

static void what_another_process_made_meanwhile_will_do(void **state)
{
    (void)state;
    co_unit_run(ask_while_another_process_refreshes, NULL);
}

static void fail_at_each_step(void *arg)
{
    (void)arg;
    static const enum err_code codes[] = {ERR_DATABASE_UNAVAILABLE, ERR_INTERNAL,
                                          ERR_OVERLOADED};
    // The trip before them folds, and may fail.
    static const char *const steps[] = {
        "get " FOLD "trip(begin stats_lock) " END,
        "get " FOLD "trip(begin stats_lock) get trip(stats_top) " END,
    };
    remembers = false;
    for (size_t c = 0; c < LENGTH(codes); c++)
        for (size_t trip = 0; trip < LENGTH(steps); trip++) {
            struct asker asker = {.mem = test_mem, .json = "untouched"};
            fake_trips = 0;
            fake_faults[1 + trip] = (struct pg_fake_fault){codes[c], 0, FAKE_REFUSED};
            ask(&asker);
            assert_int_equal(asker.err.code, codes[c]);
            assert_string_equal(asker.json, "untouched");
            check_steps(steps[trip]);
            // Nothing is left locked: the next one is served.
            fake_trips = 0;
            memset(fake_faults, 0, sizeof fake_faults);
            ask(&asker);
            check_json(&asker, JSON);
            buf_truncate(&fake_trace, 0);
        }
    struct asker asker = {.mem = test_mem};
    fake_acquire_err = err_make(ERR_OVERLOADED, NULL, "none free");
    ask(&asker);
    assert_int_equal(asker.err.code, ERR_OVERLOADED);
    check_steps("get acquire(chore)");
    fake_acquire_err = err_ok();
    fake_trips = 0;
    ask(&asker);
    check_json(&asker, JSON);
}

static void a_refresh_that_fails_is_told_and_leaves_no_lock(void **state)
{
    (void)state;
    co_unit_run(fail_at_each_step, NULL);
}

// Many at once

#define CROWD 500

static struct asker crowd[CROWD];

static void start_crowd(void)
{
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = (struct asker){.mem = talloc_new(test_mem)};
        co_start(ask, &crowd[i]);
    }
}

static void ask_at_once(void *arg)
{
    (void)arg;
    fake_pause = co_unit_yield;
    start_crowd();
    co_unit_alone();
    for (size_t i = 0; i < CROWD; i++)
        check_json(&crowd[i], JSON);
    assert_int_equal(tops, 1);
}

static void however_many_ask_one_refresh_runs(void **state)
{
    (void)state;
    co_unit_run(ask_at_once, NULL);
}

// Another process's answer is shared as well: one asks the database whether there is one.
static void ask_at_once_while_another_refreshes(void *arg)
{
    (void)arg;
    fake_pause = co_unit_yield;
    hits_after = CROWD + 1; // just before the first who asked looks again
    remembers = false;
    start_crowd();
    co_unit_alone();
    for (size_t i = 0; i < CROWD; i++)
        check_json(&crowd[i], "[\"made elsewhere\"]");
    assert_int_equal(tops, 0);
    assert_int_equal(fake_trips, 2);
}

static void all_share_what_another_process_made(void **state)
{
    (void)state;
    co_unit_run(ask_at_once_while_another_refreshes, NULL);
}

// Redis may be gone: then the answer of the refresh they waited for is shared all the
// same.
static void ask_at_once_in_vain(void *arg)
{
    remembers = false;
    ask_at_once(arg);
}

static void they_share_it_even_if_it_was_not_cached(void **state)
{
    (void)state;
    co_unit_run(ask_at_once_in_vain, NULL);
}

static void ask_at_once_without_a_cache(void *arg)
{
    (void)arg;
    on = false;
    fake_pause = co_unit_yield;
    start_crowd();
    co_unit_alone();
    for (size_t i = 0; i < CROWD; i++)
        check_json(&crowd[i], JSON);
    // All asked before the first one's table was read, so one reading is young enough.
    assert_int_equal(tops, 1);
    struct asker later = {.mem = test_mem};
    ask(&later);
    check_json(&later, JSON);
    assert_int_equal(tops, 2); // never one from before it asked
}

static void without_a_cache_no_answer_is_older_than_its_question(void **state)
{
    (void)state;
    co_unit_run(ask_at_once_without_a_cache, NULL);
}

static struct asker first_asker, second_asker;
static int pauses;

// Asks in the midst of the other's reading, the third trip.
static void start_the_second(void)
{
    if (++pauses == 3)
        co_start(ask, &second_asker);
    co_unit_yield();
    co_unit_yield();
}

static void ask_during_a_reading(void *arg)
{
    (void)arg;
    on = false;
    pauses = 0;
    first_asker = second_asker = (struct asker){.mem = test_mem};
    fake_pause = start_the_second;
    ask(&first_asker);
    co_unit_until(&second_asker.done);
    check_json(&second_asker, JSON);
    assert_int_equal(tops, 2);
}

static void without_a_cache_a_reading_under_way_is_too_old(void **state)
{
    (void)state;
    co_unit_run(ask_during_a_reading, NULL);
}

static void ask_when_it_takes_too_long(void *arg)
{
    (void)arg;
    struct asker slow = {.mem = test_mem};
    fake_pause = co_unit_yield;
    co_start(ask, &slow);
    while (fake_trips == 0)
        co_unit_yield();
    struct work work = {.mem = test_mem, .deadline = clock_mono_ns()};
    const char *json;
    size_t len;
    assert_int_equal(stats_store_top(&work, &json, &len).code, ERR_OVERLOADED);
    co_unit_until(&slow.done);
    check_json(&slow, JSON);
}

static void a_refresh_is_waited_for_until_the_deadline(void **state)
{
    (void)state;
    co_unit_run(ask_when_it_takes_too_long, NULL);
}

// In the background. This one comes last: folding goes on for ever.
static void watch_folding(void *arg)
{
    (void)arg;
    full_batches = 1;
    for (size_t trip = 3; trip < 6; trip++)
        fake_faults[trip] =
            (struct pg_fake_fault){ERR_DATABASE_UNAVAILABLE, 0, FAKE_LOST};
    fake_faults[7] = (struct pg_fake_fault){ERR_INTERNAL, 0, FAKE_REFUSED};
    stats_store_start();
    while (fake_trips < 9)
        co_unit_yield();
    static const char begun[] = FOLD "trip(stats_fold) release " FOLD "release " FOLD;
    assert_int_equal(strncmp(fake_trace.data, begun, strlen(begun)), 0);
    assert_int_equal(warnings, 2); // once for the outage, once for the failure after it
    config.stats_fold_ms = 60000;
    loop_sleep_ms(30);
}

static void deltas_are_folded_for_ever(void **state)
{
    (void)state;
    co_unit_run(watch_folding, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATS_TEST(a_cached_answer_asks_nobody_else),
        STATS_TEST(a_miss_folds_reads_and_caches),
        STATS_TEST(folding_goes_on_until_a_batch_is_not_full),
        STATS_TEST(a_batch_that_fails_is_halved),
        STATS_TEST(a_refresh_folds_for_half_a_second_at_most),
        STATS_TEST(what_another_process_made_meanwhile_will_do),
        STATS_TEST(a_refresh_that_fails_is_told_and_leaves_no_lock),
        STATS_TEST(however_many_ask_one_refresh_runs),
        STATS_TEST(all_share_what_another_process_made),
        STATS_TEST(they_share_it_even_if_it_was_not_cached),
        STATS_TEST(without_a_cache_no_answer_is_older_than_its_question),
        STATS_TEST(without_a_cache_a_reading_under_way_is_too_old),
        STATS_TEST(a_refresh_is_waited_for_until_the_deadline),
        STATS_TEST(deltas_are_folded_for_ever),
    };
    loop_init();
    stats_store_setup(&config);
    return UNIT_RUN(tests);
}
