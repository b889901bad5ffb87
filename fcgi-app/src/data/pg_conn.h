// One connection to PostgreSQL on the loop; for pg.c and pg_conn.c alone.
#pragma once

#include <ev.h>
#include <libpq-fe.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/work.h"
#include "data/pg.h"

struct pg_rows {
    PGresult *result;
};

struct pg_conn {
    PGconn *pg;
    enum pg_use use;
    bool broken;
    size_t n_added;    // statements of the trip being gathered
    bool sent;         // some of them may have reached the server
    ev_io readable;    // always on: it keeps what the server sends moving
    struct co *waiter; // the coroutine in a trip
    struct pg_conn *next;
};

// Opens a connection as the conninfo says, prepares the statements and checks the
// session, all by deadline. *out is the caller's. Errors: ERR_DATABASE_UNAVAILABLE with
// detail on mem. Coroutines only.
struct err pg_conn_open(void *mem, const char *conninfo, int64_t timeout_ms,
                        int64_t deadline, struct pg_conn **out) must_check;

void pg_conn_close(struct pg_conn *conn);

// One trip, as pg_trip() but with a deadline of its own.
struct err pg_conn_trip(void *mem, struct pg_conn *conn, int64_t deadline,
                        struct pg_rows *rows[PG_TRIP_MAX]) must_check;
