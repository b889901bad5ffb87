// PostgreSQL: pools of non-blocking connections, prepared statements, pipelined trips.
//
// A trip sends several statements at once and waits once for all their results (libpq's
// pipeline mode). Every wait is bounded: for a connection by PG_POOL_WAIT_MS, for a trip
// by PG_TIMEOUT_MS, for both by the work's deadline. A connection that missed its
// deadline is closed; its pool opens another when it is next wanted.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "base/work.h"

// Reads have a pool of their own, so that writers who wait for locks never keep them out;
// and so have chores, which may take long and for which no client waits.
enum pg_use { PG_READ, PG_WRITE, PG_CHORE, PG_USE__MAX };

#define PG_PARAMS_MAX 10
#define PG_TRIP_MAX 32

// A row of a store's statement table. The columns are what the code relies on; a test
// prepares every statement on a migrated database and compares.
struct pg_stmt {
    const char *name;
    int n_params;
    const char *columns; // "version,updated_at", "" for none
    const char *sql;
};

enum pg_type { PG_NULL, PG_TEXT, PG_INT, PG_BYTES };

struct pg_value {
    enum pg_type type;
    const char *data; // PG_TEXT (NUL-terminated), PG_BYTES
    size_t len;       // PG_BYTES
    int64_t number;   // PG_INT
};

#define pg_null() ((struct pg_value){.type = PG_NULL})
#define pg_text(s) ((struct pg_value){.type = PG_TEXT, .data = (s)})
#define pg_int(n) ((struct pg_value){.type = PG_INT, .number = (n)})
#define pg_bytes(p, n) ((struct pg_value){.type = PG_BYTES, .data = (p), .len = (n)})

struct pg_conn;
struct pg_rows; // a result, freed with the memory it was asked for on

// Takes the configuration and registers the metrics.
void pg_setup(const struct config *config);

// Has these statements prepared on every connection. After pg_setup(), before the first
// pg_acquire().
void pg_register(const struct pg_stmt *stmts, size_t n);

// The statement called name as a registered table holds it; for tests.
const struct pg_stmt *pg_registered(size_t number);

// Takes a connection out of the pool, opening one if it must; waits until work->start_by.
// Errors: ERR_OVERLOADED, none became free in time; ERR_DATABASE_UNAVAILABLE, none can be
// opened. Coroutines only.
struct err pg_acquire(struct work *work, enum pg_use use,
                      struct pg_conn **out) must_check;

// The error of who waited for a connection and got none: ERR_OVERLOADED, or
// ERR_DATABASE_UNAVAILABLE where the first is still being opened.
struct err pg_none_free(enum pg_use use) must_check;

// Gives it back. One that is in a transaction or broken is closed instead.
void pg_release(struct pg_conn *conn);

// Adds a registered statement to the next trip; its n_params parameters are copied.
void pg_add(struct pg_conn *conn, const struct pg_stmt *stmt,
            const struct pg_value *params);

// Sends what was added and waits for all results: rows[i] is that of the i-th statement
// added, empty where it returns none, and NULL where no answer came. Statements outside
// BEGIN and COMMIT form one transaction.
// Errors, those of the first statement that failed (the rest were not run): ERR_CONFLICT
// (SQLSTATE 40001, 40P01: try the whole transaction again); ERR_OVERLOADED (55P03: a lock
// was not had in time); ERR_DATABASE_UNAVAILABLE (no connection, shutting down, or no
// answer in time: what the server did is then unknown, see pg_ok());
// ERR_INTERNAL, with the constraint's name in field if it was one. Coroutines only.
struct err pg_trip(struct work *work, struct pg_conn *conn,
                   struct pg_rows *rows[PG_TRIP_MAX]) must_check;

// BEGIN, COMMIT and ROLLBACK as statements for pg_add().
extern const struct pg_stmt pg_begin, pg_commit, pg_rollback;

// Ends the transaction, if there is one, without effect; the connection can be released
// afterwards.
void pg_abandon(struct work *work, struct pg_conn *conn);

// Whether any statement of the last trip may have reached the server.
bool pg_was_sent(const struct pg_conn *conn);

// Whether the statement succeeded; after a trip that failed. NULL rows were not answered.
bool pg_ok(const struct pg_rows *rows);

// Work that no request asked for; its memory is the caller's to free.
struct work pg_chore(void);

// Rows that an INSERT, UPDATE or DELETE touched.
size_t pg_affected(const struct pg_rows *rows);

// Reading results: rows and columns count from 0. Texts live as long as the rows.
size_t pg_count(const struct pg_rows *rows);
bool pg_is_null(const struct pg_rows *rows, size_t row, int column);
const char *pg_get(const struct pg_rows *rows, size_t row, int column);
size_t pg_get_len(const struct pg_rows *rows, size_t row, int column);
int64_t pg_get_int(const struct pg_rows *rows, size_t row, int column);
bool pg_get_bool(const struct pg_rows *rows, size_t row, int column);
