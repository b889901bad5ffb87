// wrap: log_write
#include "../loop/co_unit.h"
#include "metrics_unit.h"
#include "resp_fake.h"

#include "base/log.h"
#include "base/mem.h"
#include "data/pg.h"

// The pools without a server: where nobody listens, where somebody listens and says
// nothing, and where somebody hangs up. What works is tested with a real server.

static struct config config = {
    .pg_pool_wait_ms = 100,
    .pg_read_pool = 2,
    .pg_timeout_ms = 300,
    .pg_write_pool = 3,
};

static int said; // lines of the log

void __wrap_log_write(enum log_level level, const struct log_field *fields);

void __wrap_log_write(enum log_level level, const struct log_field *fields)
{
    assert_int_equal(level, LOG_ERROR);
    assert_string_equal(fields[0].str, "database-unavailable");
    assert_string_equal(fields[1].key, "why");
    assert_true(strlen(fields[1].str) > 0);
    said++;
}

static const char *url_of(void *mem, const char *port)
{
    return mem_printf(mem, "host=127.0.0.1 port=%s dbname=x user=x sslmode=disable",
                      port);
}

// Begins anew: no pool remembers an earlier failure.
static void set_up(void *mem, const char *port)
{
    config.database_url = (char *)(uintptr_t)url_of(mem, port);
    pg_setup(&config);
}

struct asker {
    enum pg_use use;
    void *mem;
    int64_t start_by;
    bool done;
    enum err_code code;
    int64_t took_ms, db_ns;
};

static void ask(void *arg)
{
    struct asker *asker = arg;
    struct work work = {.mem = asker->mem,
                        .start_by = asker->start_by ? asker->start_by : CO_FOREVER,
                        .deadline = CO_FOREVER};
    struct pg_conn *untouched = (struct pg_conn *)arg, *conn = untouched;
    int64_t begun = clock_mono_ns();
    struct err err = pg_acquire(&work, asker->use, &conn);
    asker->took_ms = (clock_mono_ns() - begun) / MS;
    asker->code = err.code;
    asker->db_ns = work.db_ns;
    assert_ptr_equal(conn, untouched);
    assert_non_null(err.detail);
    asker->done = true;
}

static void ask_where_nobody_listens(void *mem)
{
    struct asker askers[20];
    char port[8];
    close(resp_listen(port));
    set_up(mem, port);
    for (size_t i = 0; i < LENGTH(askers); i++) {
        askers[i] = (struct asker){.use = i % 2 ? PG_READ : PG_WRITE, .mem = mem};
        co_start(ask, &askers[i]);
    }
    for (size_t i = 0; i < LENGTH(askers); i++) {
        co_unit_until(&askers[i].done);
        assert_int_equal(askers[i].code, ERR_DATABASE_UNAVAILABLE);
        assert_true(askers[i].took_ms < 90);
    }
    co_unit_alone();
    set_up(mem, port);
    for (int times = 0; times < 3; times++)
        for (enum pg_use use = 0; use < PG_USE__MAX; use++) {
            struct asker alone = {.use = use, .mem = mem};
            ask(&alone);
            assert_int_equal(alone.code, ERR_DATABASE_UNAVAILABLE);
            assert_true(alone.took_ms < 90);
        }
    co_unit_alone();
    assert_int_equal(said, 1); // once for the whole outage
    talloc_free_children(mem);
}

static void where_nobody_listens_it_is_told_at_once(void **state)
{
    co_unit_run(ask_where_nobody_listens, *state);
}

static void ask_where_nobody_answers(void *mem)
{
    static const char waiting[] = "carrito_pg_waiting{pool=\"read\"}";
    struct asker askers[10];
    char port[8];
    int listener = resp_listen(port);
    set_up(mem, port);
    for (size_t i = 0; i < LENGTH(askers); i++) {
        askers[i] = (struct asker){.use = PG_READ, .mem = mem};
        co_start(ask, &askers[i]);
    }
    co_unit_yield();
    assert_int_equal(metrics_unit_value(waiting), LENGTH(askers));
    // The work's own limit may be sooner.
    struct asker hurried = {.mem = mem, .start_by = co_unit_in_ms(20)};
    ask(&hurried);
    assert_int_equal(hurried.code, ERR_DATABASE_UNAVAILABLE);
    assert_true(hurried.took_ms >= 19 && hurried.took_ms < 90);
    for (size_t i = 0; i < LENGTH(askers); i++) {
        co_unit_until(&askers[i].done);
        assert_int_equal(askers[i].code, ERR_DATABASE_UNAVAILABLE);
        assert_true(askers[i].took_ms >= config.pg_pool_wait_ms - 1);
        assert_true(askers[i].took_ms < 290);
        assert_true(askers[i].db_ns >= (config.pg_pool_wait_ms - 1) * MS);
    }
    assert_int_equal(metrics_unit_value(waiting), 0);
    co_unit_alone(); // the attempts end by PG_TIMEOUT_MS
    close(listener);
    talloc_free_children(mem);
}

static void where_nobody_answers_the_wait_is_bounded(void **state)
{
    co_unit_run(ask_where_nobody_answers, *state);
}

// A server that hangs up is not called again for a while, however many ask.
static void ask_where_somebody_hangs_up(void *mem)
{
    struct resp_node node;
    resp_start(&node, "");
    node.shared->hang_up = true;
    set_up(mem, node.port);
    int64_t until = co_unit_in_ms(200);
    int asked = 0;
    while (clock_mono_ns() < until) {
        struct asker asker = {.use = PG_READ, .mem = mem};
        ask(&asker);
        assert_int_equal(asker.code, ERR_DATABASE_UNAVAILABLE);
        assert_true(asker.took_ms < 90);
        co_unit_yield();
        asked++;
    }
    // After 50, 100 and 200 ms; libpq may try each twice.
    assert_true(asked > 10);
    assert_true(node.shared->connections >= 1 && node.shared->connections <= 8);
    co_unit_alone();
    resp_stop(&node);
    talloc_free_children(mem);
}

static void a_server_that_fails_is_given_time(void **state)
{
    co_unit_run(ask_where_somebody_hangs_up, *state);
}

static void statements_are_registered_by_number(void **state)
{
    static const struct pg_stmt two[] = {{"one", 0, "", "SELECT 1"},
                                         {"two", 1, "x", "SELECT $1"}};
    static const struct pg_stmt third = {"three", 0, "", "SELECT 3"};
    (void)state;
    pg_setup(&config);
    assert_ptr_equal(pg_registered(0), &pg_begin);
    assert_ptr_equal(pg_registered(1), &pg_commit);
    assert_ptr_equal(pg_registered(2), &pg_rollback);
    assert_null(pg_registered(3));
    pg_register(two, 2);
    pg_register(&third, 1);
    assert_ptr_equal(pg_registered(3), &two[0]);
    assert_ptr_equal(pg_registered(4), &two[1]);
    assert_ptr_equal(pg_registered(5), &third);
    assert_null(pg_registered(6));
    assert_null(pg_registered(1000));
    pg_setup(&config);
    assert_null(pg_registered(3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(where_nobody_listens_it_is_told_at_once),
        UNIT_TEST(where_nobody_answers_the_wait_is_bounded),
        UNIT_TEST(a_server_that_fails_is_given_time),
        UNIT_TEST(statements_are_registered_by_number),
    };
    signal(SIGPIPE, SIG_IGN);
    loop_init();
    return UNIT_RUN(tests);
}
