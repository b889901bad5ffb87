// A fake PostgreSQL, for tests of stores. A test that includes it has at its top
//   // wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
//   // wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool
// and says in pg_fake_answer() what each statement gives. All steps go to fake_trace
// (pg_wrap.h), the parameters of each statement to fake_sent, and trips can be made to
// fail.
#pragma once

#include "pg_wrap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "data/pg.h"
#include "loop/co.h"

// A result: n rows of so many cells; a NULL cell is SQL's NULL.
struct pg_rows {
    bool ok;
    size_t n;
    int columns;
    const char **cells;
};

struct pg_conn {
    bool busy, sent;
    size_t n;
    const struct pg_stmt *stmts[PG_TRIP_MAX];
};

// How a trip fails, if at all: the statement at `at` and those after it are refused, are
// not answered, or were never sent.
enum pg_fake_end { FAKE_REFUSED, FAKE_LOST, FAKE_UNSENT };

struct pg_fake_fault {
    enum err_code code;
    size_t at;
    enum pg_fake_end end;
};

static struct buf fake_sent;
static struct pg_conn fake_conn;
static struct pg_fake_fault fake_faults[64];
static size_t fake_trips;
static struct err fake_acquire_err;
static void (*fake_pause)(void); // called in each trip, or NULL

// The rows that stmt gives, on mem.
static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt);

static inline void pg_fake_reset(void *mem)
{
    buf_init(&fake_trace, mem, 256);
    buf_init(&fake_sent, mem, 256);
    memset(fake_faults, 0, sizeof fake_faults);
    fake_conn = (struct pg_conn){0};
    fake_trips = 0;
    fake_acquire_err = err_ok();
    fake_pause = NULL;
}

// That a statement was sent with these parameters: "name|first|second".
static inline void check_sent(const char *line)
{
    const char *expected = mem_printf(fake_sent.mem, "\n%s\n", line);
    if (!strstr(fake_sent.data, expected))
        fail_msg("not sent: %s\namong:%s", line, fake_sent.data);
}

static inline struct pg_rows *pg_fake_rows(void *mem, size_t n, int columns,
                                           const char **cells)
{
    struct pg_rows *rows = mem_new(mem, struct pg_rows);
    *rows = (struct pg_rows){true, n, columns, cells};
    return rows;
}

bool __wrap_pg_was_sent(const struct pg_conn *conn)
{
    return conn->sent;
}

struct work __wrap_pg_chore(void)
{
    struct work work = {.mem = talloc_new(NULL)};
    work.start_by = clock_mono_ns() + INT64_C(1000000000);
    work.deadline = work.start_by + INT64_C(1000000000);
    return work;
}

size_t __wrap_pg_count(const struct pg_rows *rows);
bool __wrap_pg_is_null(const struct pg_rows *rows, size_t row, int column);
const char *__wrap_pg_get(const struct pg_rows *rows, size_t row, int column);
size_t __wrap_pg_get_len(const struct pg_rows *rows, size_t row, int column);
int64_t __wrap_pg_get_int(const struct pg_rows *rows, size_t row, int column);
bool __wrap_pg_get_bool(const struct pg_rows *rows, size_t row, int column);

struct err __wrap_pg_acquire(struct work *work, enum pg_use use, struct pg_conn **out)
{
    assert_non_null(work->mem);
    static const char *const uses[] = {"read", "write", "chore"};
    STEP("acquire(%s)", uses[use]);
    if (err_is(fake_acquire_err))
        return fake_acquire_err;
    while (fake_conn.busy && co_self()) // one at a time
        co_give_way();
    assert_false(fake_conn.busy);
    fake_conn = (struct pg_conn){.busy = true};
    *out = &fake_conn;
    return err_ok();
}

void __wrap_pg_release(struct pg_conn *conn)
{
    STEP("release");
    assert_true(conn->busy);
    conn->busy = false;
}

void __wrap_pg_add(struct pg_conn *conn, const struct pg_stmt *stmt,
                   const struct pg_value *params)
{
    assert_true(conn->busy && conn->n < PG_TRIP_MAX);
    conn->stmts[conn->n++] = stmt;
    buf_printf(&fake_sent, "\n%s", stmt->name);
    for (int i = 0; i < stmt->n_params; i++) {
        buf_add_char(&fake_sent, '|');
        if (params[i].type == PG_INT)
            buf_add_int(&fake_sent, params[i].number);
        else if (params[i].type == PG_TEXT)
            buf_add_str(&fake_sent, params[i].data);
        else if (params[i].type == PG_BYTES)
            buf_add(&fake_sent, params[i].data, params[i].len);
        else
            buf_add_str(&fake_sent, "NULL");
    }
    buf_add_char(&fake_sent, '\n');
}

struct err __wrap_pg_trip(struct work *work, struct pg_conn *conn,
                          struct pg_rows *rows[PG_TRIP_MAX])
{
    assert_true(conn->busy && conn->n > 0);
    assert_true(fake_trips < LENGTH(fake_faults));
    const struct pg_fake_fault fault = fake_faults[fake_trips++];
    conn->sent = fault.end != FAKE_UNSENT;
    size_t n = conn->n;
    conn->n = 0;
    STEP("trip(");
    for (size_t i = 0; i < n; i++)
        buf_printf(&fake_trace, "%s%s", i ? " " : "", conn->stmts[i]->name);
    buf_add_char(&fake_trace, ')');
    if (fake_pause)
        fake_pause();
    for (size_t i = 0; i < n; i++) {
        if (fault.code == ERR_NONE || i < fault.at)
            rows[i] = pg_fake_answer(work->mem, conn->stmts[i]);
        else
            rows[i] =
                fault.end == FAKE_REFUSED ? mem_zero(work->mem, struct pg_rows) : NULL;
    }
    return fault.code == ERR_NONE ? err_ok() : err_make(fault.code, NULL, "a fake fault");
}

void __wrap_pg_abandon(struct work *work, struct pg_conn *conn)
{
    assert_true(conn->busy && work->mem);
    STEP("abandon");
}

bool __wrap_pg_ok(const struct pg_rows *rows)
{
    return rows && rows->ok;
}

size_t __wrap_pg_count(const struct pg_rows *rows)
{
    assert_true(rows->ok);
    return rows->n;
}

static inline const char *pg_fake_cell(const struct pg_rows *rows, size_t row, int column)
{
    assert_true(rows->ok && row < rows->n);
    assert_true(column >= 0 && column < rows->columns);
    return rows->cells[row * (size_t)rows->columns + (size_t)column];
}

bool __wrap_pg_is_null(const struct pg_rows *rows, size_t row, int column)
{
    return pg_fake_cell(rows, row, column) == NULL;
}

const char *__wrap_pg_get(const struct pg_rows *rows, size_t row, int column)
{
    const char *cell = pg_fake_cell(rows, row, column);
    return cell ? cell : ""; // as libpq does
}

size_t __wrap_pg_get_len(const struct pg_rows *rows, size_t row, int column)
{
    return strlen(__wrap_pg_get(rows, row, column));
}

int64_t __wrap_pg_get_int(const struct pg_rows *rows, size_t row, int column)
{
    return strtoll(__wrap_pg_get(rows, row, column), NULL, 10);
}

bool __wrap_pg_get_bool(const struct pg_rows *rows, size_t row, int column)
{
    return *__wrap_pg_get(rows, row, column) == 't';
}
