// What the tests of pg_group.c share: a fake PostgreSQL of several connections, and
// writers. A test that includes it has at its top
//   wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore pg_ok
#pragma once

#include "../loop/co_unit.h"
#include "metrics_unit.h"
#include "pg_wrap.h"

#include <string.h>

#include "base/mem.h"
#include "data/pg_group.h"

#define PLACES_MAX 10
#define COMPANY_MS 2
#define COMMIT_MS 50

// A fake PostgreSQL, of connections by number

struct pg_rows {
    const char *of; // the statement
    bool ok;
};

struct pg_conn {
    size_t number, n;
    bool busy, sent, broken;
    const char *stmts[PG_TRIP_MAX];
};

// How a trip ends: the statement at `at` and those after it are refused or not answered,
// or nothing was sent.
enum end { WELL, REFUSED, LOST, UNSENT };

static struct {
    struct pg_conn conns[8];
    int connect_ms, trip_ms;
    int64_t start_by; // of the last who asked for a connection
    struct err acquire_err;
    size_t fault_trip, fault_at; // the how manieth trip, from 1, fails
    enum end end;
    enum err_code code;
    size_t trips, abandoned;
} fake;

struct err __wrap_pg_acquire(struct work *work, enum pg_use use, struct pg_conn **out)
{
    assert_int_equal(use, PG_WRITE);
    assert_non_null(work->mem);
    fake.start_by = work->start_by;
    if (fake.connect_ms)
        loop_sleep_ms(fake.connect_ms);
    if (err_is(fake.acquire_err))
        return err_make(fake.acquire_err.code, NULL,
                        mem_printf(work->mem, "%s", fake.acquire_err.detail));
    size_t i = 0;
    while (fake.conns[i].busy)
        assert_true(++i < LENGTH(fake.conns));
    fake.conns[i] = (struct pg_conn){.number = i, .busy = true};
    *out = &fake.conns[i];
    return err_ok();
}

void __wrap_pg_release(struct pg_conn *conn)
{
    assert_true(conn->busy && conn->n == 0);
    conn->busy = false;
}

void __wrap_pg_add(struct pg_conn *conn, const struct pg_stmt *stmt,
                   const struct pg_value *params)
{
    (void)params;
    assert_true(conn->busy && conn->n < PG_TRIP_MAX);
    conn->stmts[conn->n++] = stmt->name;
}

struct err __wrap_pg_trip(struct work *work, struct pg_conn *conn,
                          struct pg_rows *rows[PG_TRIP_MAX])
{
    bool fails = ++fake.trips == fake.fault_trip;
    size_t n = conn->n;
    conn->n = 0;
    conn->sent = !fails || fake.end != UNSENT;
    STEP("%zu(", conn->number);
    for (size_t i = 0; i < n; i++)
        buf_printf(&fake_trace, "%s%s", i ? " " : "", conn->stmts[i]);
    buf_add_char(&fake_trace, ')');
    int64_t until = co_unit_in_ms(fake.trip_ms);
    bool late = conn->broken = fake.trip_ms && until > work->deadline;
    while (fake.trip_ms && co_wait(late ? work->deadline : until)) {
    }
    for (size_t i = 0; i < n; i++) {
        bool ok = !late && (!fails || i < fake.fault_at);
        rows[i] = NULL;
        if (ok || (fails && fake.end == REFUSED)) {
            rows[i] = mem_new(work->mem, struct pg_rows);
            *rows[i] = (struct pg_rows){conn->stmts[i], ok};
        }
    }
    if (late)
        return err_make(ERR_DATABASE_UNAVAILABLE, NULL, "no answer");
    return fails ? err_make(fake.code, NULL, mem_printf(work->mem, "a fault")) : err_ok();
}

void __wrap_pg_abandon(struct work *work, struct pg_conn *conn)
{
    (void)work;
    fake.abandoned++;
    if (conn->broken)
        return;
    STEP("%zu(rollback)", conn->number);
    if (fake.trip_ms)
        loop_sleep_ms(fake.trip_ms);
}

bool __wrap_pg_was_sent(const struct pg_conn *conn)
{
    return conn->sent;
}

struct work __wrap_pg_chore(void)
{
    return (struct work){.mem = talloc_new(NULL)};
}

bool __wrap_pg_ok(const struct pg_rows *rows)
{
    return rows && rows->ok;
}

// Writers: of the letters a, b, c ...

struct writer {
    char name;
    bool alone, leaves;
    int hold_ms;      // between the trips
    const bool *gate; // or until this opens
    struct work work;
    struct pg_place place;
    struct pg_stmt first[2], second;
    bool shared; // what add() was told
    struct err begun, committed;
    bool done;
};

static struct writer writers[2 * PLACES_MAX];
static size_t n_writers, n_done;

static size_t add_first(struct pg_conn *conn, bool shared, const void *arg)
{
    const struct writer *writer = arg;
    assert_int_equal(shared, writer->place.shared);
    pg_add(conn, &writer->first[0], NULL);
    pg_add(conn, &writer->first[1], NULL);
    return 2;
}

static size_t add_second(struct pg_conn *conn, bool shared, const void *arg)
{
    const struct writer *writer = arg;
    assert_int_equal(shared, writer->place.shared);
    pg_add(conn, &writer->second, NULL);
    return 1;
}

static void write_it(void *arg)
{
    struct writer *writer = arg;
    struct pg_rows *rows[PG_PLACE_TRIP_MAX];
    writer->begun = pg_group_begin(&writer->work, &writer->place, writer->alone,
                                   add_first, writer, rows);
    writer->shared = writer->place.shared;
    if (!err_is(writer->begun)) {
        for (size_t i = 0; i < 2; i++)
            assert_string_equal(rows[i]->of, writer->first[i].name);
        if (writer->hold_ms)
            loop_sleep_ms(writer->hold_ms);
        while (writer->gate && !*writer->gate)
            co_give_way();
        if (writer->leaves) {
            pg_group_leave(&writer->place);
        } else {
            struct pg_rows *loaded = rows[0];
            writer->committed = pg_group_commit(&writer->place, add_second, writer, rows);
            if (!err_is(writer->committed))
                assert_string_equal(rows[0]->of, writer->second.name);
            assert_string_equal(loaded->of, writer->first[0].name); // it is there still
        }
    }
    writer->done = true;
    n_done++;
}

static struct writer *writer_of(void *mem)
{
    struct writer *writer = &writers[n_writers];
    *writer = (struct writer){.name = (char)('a' + n_writers)};
    n_writers++;
    writer->work = (struct work){.mem = talloc_new(mem),
                                 .start_by = co_unit_in_ms(5000),
                                 .deadline = co_unit_in_ms(10000)};
    struct pg_stmt *stmts[] = {&writer->first[0], &writer->first[1], &writer->second};
    for (int i = 0; i < 3; i++)
        stmts[i]->name = mem_printf(writer->work.mem, "%c%d", writer->name, i + 1);
    return writer;
}

static struct writer *start(void *mem)
{
    struct writer *writer = writer_of(mem);
    co_start(write_it, writer);
    return writer;
}

static void finish(void)
{
    while (n_done < n_writers)
        co_unit_yield();
    co_unit_alone();
}

static void check_committed(const struct writer *writer)
{
    assert_int_equal(writer->begun.code, ERR_NONE);
    assert_int_equal(writer->committed.code, ERR_NONE);
}

static void fail_trip(size_t number, enum err_code code, size_t at, enum end end)
{
    fake.fault_trip = number;
    fake.code = code;
    fake.fault_at = at;
    fake.end = end;
}

struct test {
    void (*body)(void *mem);
    void *mem;
};

static void in_coroutine(void *arg)
{
    struct test *test = arg;
    test->body(test->mem);
    finish();
    for (size_t i = 0; i < LENGTH(fake.conns); i++)
        assert_false(fake.conns[i].busy);
}

static void run(void (*body)(void *mem), void **state)
{
    struct test test = {body, talloc_new(*state)};
    memset(&fake, 0, sizeof fake);
    buf_init(&fake_trace, test.mem, 256);
    n_writers = n_done = 0;
    co_unit_run(in_coroutine, &test);
    talloc_free(test.mem);
}

#define GROUP_TEST(name)                \
    static void name##_body(void *mem); \
    static void name(void **state)      \
    {                                   \
        run(name##_body, state);        \
    }                                   \
    static void name##_body(void *mem)
