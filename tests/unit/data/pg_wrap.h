// What the fakes of PostgreSQL share: the functions that replace those of pg.h, and the
// trace of what they were asked.
#pragma once

#include "../base/unit.h"

#include "base/buf.h"
#include "data/pg.h"

static struct buf fake_trace;

// Appends a step, with a blank between two.
#define STEP(...)                                               \
    (fake_trace.len ? buf_add_char(&fake_trace, ' ') : (void)0, \
     buf_printf(&fake_trace, __VA_ARGS__))

static inline void check_steps(const char *expected)
{
    assert_string_equal(fake_trace.data, expected);
    buf_truncate(&fake_trace, 0);
}

struct err __wrap_pg_acquire(struct work *work, enum pg_use use, struct pg_conn **out);
void __wrap_pg_release(struct pg_conn *conn);
void __wrap_pg_add(struct pg_conn *conn, const struct pg_stmt *stmt,
                   const struct pg_value *params);
struct err __wrap_pg_trip(struct work *work, struct pg_conn *conn,
                          struct pg_rows *rows[PG_TRIP_MAX]);
void __wrap_pg_abandon(struct work *work, struct pg_conn *conn);
bool __wrap_pg_was_sent(const struct pg_conn *conn);
struct work __wrap_pg_chore(void);
bool __wrap_pg_ok(const struct pg_rows *rows);
