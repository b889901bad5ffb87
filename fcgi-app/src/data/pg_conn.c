// One connection to PostgreSQL: opening it, and trips in pipeline mode.
//
// Invariant: between trips the pipeline is empty and synchronised. Whatever breaks that
// (a deadline, a lost connection) sets conn->broken, and a broken connection is only
// closed.

#include "data/pg_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/co.h"
#include "loop/loop.h"
#include "loop/resolve.h"

#define OPTIONS_MAX 64

// The session must be what the protocol relies on, whatever the server's defaults are.
static const struct pg_stmt session_stmt = {
    "session", 0, "isolation,encoding,durable,standby",
    "SELECT current_setting('default_transaction_isolation') AS isolation,"
    "       current_setting('server_encoding') AS encoding,"
    "       current_setting('synchronous_commit') AS durable,"
    "       pg_is_in_recovery() AS standby"};

static void on_readable(struct ev_loop *l, ev_io *io, int events)
{
    (void)l;
    (void)events;
    struct pg_conn *conn = io->data;
    if (PQconsumeInput(conn->pg) != 1) {
        conn->broken = true;
        ev_io_stop(loop_ev(), io);
    }
    if (conn->waiter)
        co_wake(conn->waiter);
}

static bool wait_turn(struct pg_conn *conn, int64_t deadline)
{
    conn->waiter = co_self();
    bool woken = co_wait(deadline);
    conn->waiter = NULL;
    return woken;
}

static const char *last_line(void *mem, const char *message)
{
    size_t len = strcspn(message, "\n");
    return mem_strndup(mem, message, len);
}

// Warnings of the server, which libpq would print.
static void on_notice(void *unused, const char *message)
{
    (void)unused;
    log_event(LOG_WARN, "database-notice", LOG_STR("message", message));
}

static struct err unavailable(void *mem, const char *message)
{
    return err_make(ERR_DATABASE_UNAVAILABLE, NULL, last_line(mem, message));
}

// What a failed statement means to the caller. The server's own words go to the log: they
// may quote user data, which is not for other eyes.
static struct err result_error(void *mem, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    if (!state)
        return unavailable(mem, "the connection was lost");
    if (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0)
        return err_make(ERR_CONFLICT, NULL, "another transaction was in the way");
    if (strcmp(state, "55P03") == 0)
        return err_make(ERR_OVERLOADED, NULL, "the cart is busy: try again");
    // connection exceptions, insufficient resources, operator intervention, read-only
    if (strncmp(state, "08", 2) == 0 || strncmp(state, "53", 2) == 0 ||
        strncmp(state, "57", 2) == 0 || strcmp(state, "25006") == 0)
        return err_make(ERR_DATABASE_UNAVAILABLE, NULL, "the database cannot serve now");
    log_event(LOG_ERROR, "database-error", LOG_STR("sqlstate", state),
              LOG_STR("message", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)),
              LOG_STR("constraint", constraint));
    return err_make(ERR_INTERNAL, constraint ? mem_printf(mem, "%s", constraint) : NULL,
                    "the database refused the statement");
}

static int rows_free(struct pg_rows *rows)
{
    PQclear(rows->result);
    return 0;
}

static struct pg_rows *rows_new(void *mem, PGresult *result)
{
    struct pg_rows *rows = mem_new(mem, struct pg_rows);
    rows->result = result;
    talloc_set_destructor(rows, rows_free);
    return rows;
}

// The next result of the pipeline; false when it is broken or the deadline has passed.
static bool next_result(struct pg_conn *conn, int64_t deadline, PGresult **result)
{
    while (!conn->broken && PQisBusy(conn->pg))
        if (!wait_turn(conn, deadline))
            conn->broken = true;
    if (PQstatus(conn->pg) != CONNECTION_OK)
        conn->broken = true;
    if (conn->broken && PQisBusy(conn->pg))
        return false;
    *result = PQgetResult(conn->pg);
    return true;
}

// Most trips fit the socket's buffer; the rest waits until the server has read.
static bool flush(struct pg_conn *conn, int64_t deadline)
{
    for (;;) {
        int left = PQflush(conn->pg);
        if (left <= 0)
            return left == 0;
        if (!loop_wait_fd(PQsocket(conn->pg), EV_WRITE, deadline))
            return false;
    }
}

struct err pg_conn_trip(void *mem, struct pg_conn *conn, int64_t deadline,
                        struct pg_rows *rows[PG_TRIP_MAX])
{
    size_t n = conn->n_added;
    conn->n_added = 0;
    for (size_t i = 0; rows && i < n; i++)
        rows[i] = NULL;
    if (conn->broken || PQpipelineSync(conn->pg) != 1 || !flush(conn, deadline)) {
        conn->broken = true;
        return unavailable(mem, "the connection was lost");
    }
    struct err err = err_ok();
    bool answered = false; // whether the statement at i has its result
    for (size_t i = 0; i < n;) {
        PGresult *result;
        if (!next_result(conn, deadline, &result) || (!result && !answered)) {
            conn->broken = true;
            return err_is(err) ? err : unavailable(mem, "no answer within the deadline");
        }
        if (!result) { // the end of one statement's results
            answered = false;
            i++;
            continue;
        }
        answered = true;
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && !err_is(err))
            err = result_error(mem, result);
        // A failure without SQLSTATE is libpq's own: the server gave no answer.
        bool lost =
            status == PGRES_FATAL_ERROR && !PQresultErrorField(result, PG_DIAG_SQLSTATE);
        conn->broken = conn->broken || lost;
        if (rows && !lost)
            rows[i] = rows_new(mem, result);
        else
            PQclear(result);
    }
    PGresult *sync = NULL;
    if (!next_result(conn, deadline, &sync) ||
        PQresultStatus(sync) != PGRES_PIPELINE_SYNC)
        conn->broken = true;
    PQclear(sync);
    // All statements were answered: only what comes after them is in doubt.
    return err;
}

void pg_add(struct pg_conn *conn, const struct pg_stmt *stmt,
            const struct pg_value *params)
{
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX];
    char numbers[PG_PARAMS_MAX][24];
    for (int i = 0; params && i < stmt->n_params; i++) {
        values[i] = params[i].type == PG_NULL ? NULL : params[i].data;
        lengths[i] = (int)params[i].len;
        formats[i] = params[i].type == PG_BYTES;
        if (params[i].type == PG_INT) {
            snprintf(numbers[i], sizeof numbers[i], "%lld", (long long)params[i].number);
            values[i] = numbers[i];
        }
    }
    if (conn->n_added++ == 0)
        conn->sent = false;
    if (conn->broken)
        return;
    conn->sent = true;
    if (PQsendQueryPrepared(conn->pg, stmt->name, stmt->n_params, values, lengths,
                            formats, 0) != 1)
        conn->broken = true;
}

// Opening

// Gives libpq the address instead of the name, which it would look up with the loop at
// rest.
static struct err resolve_options(void *mem, PQconninfoOption *options, int64_t deadline,
                                  const char *keys[OPTIONS_MAX],
                                  const char *values[OPTIONS_MAX], size_t *n)
{
    const char *host = NULL;
    bool has_address = false;
    for (PQconninfoOption *o = options; o->keyword; o++) {
        if (!o->val || !*o->val || *n >= OPTIONS_MAX - 3)
            continue;
        if (strcmp(o->keyword, "host") == 0)
            host = o->val;
        if (strcmp(o->keyword, "hostaddr") == 0)
            has_address = true;
        keys[*n] = o->keyword;
        values[(*n)++] = o->val;
    }
    if (!host || has_address || strchr("/@", *host) || strchr(host, ','))
        return err_ok();
    const char *address;
    struct err err = resolve_host(mem, host, deadline, &address);
    if (err_is(err))
        return err;
    keys[*n] = "hostaddr";
    values[(*n)++] = address;
    return err_ok();
}

static const char *given_options(const PQconninfoOption *options)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, "options") == 0 && options->val)
            return options->val;
    return "";
}

// libpq's own order of steps for a connection that does not block.
static struct err dial(void *mem, struct pg_conn *conn, const char *conninfo,
                       const char *session, int64_t deadline)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &why);
    if (!options) {
        struct err err = unavailable(mem, why ? why : "DATABASE_URL cannot be read");
        PQfreemem(why);
        return err;
    }
    const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];
    size_t n = 0;
    struct err err = resolve_options(mem, options, deadline, keys, values, &n);
    if (!err_is(err)) {
        keys[n] = "fallback_application_name";
        values[n++] = "carrito";
        keys[n] = "options"; // the last of its name counts, so what was given is in it
        values[n++] = mem_printf(mem, "%s %s", given_options(options), session);
        keys[n] = values[n] = NULL;
        conn->pg = PQconnectStartParams(keys, values, 0);
        if (!conn->pg)
            abort();
    }
    PQconninfoFree(options);
    if (err_is(err))
        return err;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (PQstatus(conn->pg) != CONNECTION_BAD && next != PGRES_POLLING_OK) {
        int events = next == PGRES_POLLING_READING ? EV_READ : EV_WRITE;
        if (!loop_wait_fd(PQsocket(conn->pg), events, deadline))
            return unavailable(mem, "no connection within the deadline");
        next = PQconnectPoll(conn->pg);
        if (next == PGRES_POLLING_FAILED)
            break;
    }
    if (PQstatus(conn->pg) != CONNECTION_OK)
        return unavailable(mem, PQerrorMessage(conn->pg));
    return err_ok();
}

static struct err prepare_all(void *mem, struct pg_conn *conn, int64_t deadline)
{
    const struct pg_stmt *stmt;
    for (size_t i = 0; (stmt = pg_registered(i)); i++) {
        if (PQsendPrepare(conn->pg, stmt->name, stmt->sql, 0, NULL) != 1)
            return unavailable(mem, PQerrorMessage(conn->pg));
        conn->n_added++;
    }
    struct err err = pg_conn_trip(mem, conn, deadline, NULL);
    if (err_is(err))
        return err;
    if (PQsendPrepare(conn->pg, session_stmt.name, session_stmt.sql, 0, NULL) == 1)
        conn->n_added++;
    pg_add(conn, &session_stmt, NULL);
    struct pg_rows *rows[PG_TRIP_MAX] = {0};
    err = pg_conn_trip(mem, conn, deadline, rows);
    if (err_is(err))
        return err;
    const struct pg_rows *session = rows[1];
    if (!session)
        return unavailable(mem, "the session gave no answer");
    if (strcmp(pg_get(session, 0, 0), "read committed") != 0)
        return unavailable(mem, "default_transaction_isolation must be 'read committed'");
    if (strcmp(pg_get(session, 0, 1), "UTF8") != 0)
        return unavailable(mem, "the database's encoding must be UTF8");
    if (strcmp(pg_get(session, 0, 2), "off") == 0)
        return unavailable(mem, "synchronous_commit must not be off");
    if (pg_get_bool(session, 0, 3)) // its locks and its epoch are its own
        return unavailable(mem,
                           "the server is a standby: DATABASE_URL must name a primary");
    return err_ok();
}

struct err pg_conn_open(void *mem, const char *conninfo, int64_t timeout_ms,
                        int64_t deadline, struct pg_conn **out)
{
    // The server gives up no later than this program does, so that no statement and no
    // transaction outlives the interest in it; on a lock sooner, so that its reason is
    // told. A statement is planned once: left to choose, a session whose first plans were
    // made before the tables had statistics plans each time anew, which costs as much as
    // running it. And by indexes: the plan is kept while a small table grows. (What that
    // adds to the cost of a table of one row would have the plan compiled.)
    const char *session = mem_printf(
        mem,
        "-c default_transaction_isolation=read\\ committed -c client_encoding=UTF8 "
        "-c DateStyle=ISO -c carrito.service=on -c plan_cache_mode=force_generic_plan "
        "-c enable_seqscan=off -c jit=off "
        "-c statement_timeout=%lld -c lock_timeout=%lld "
        "-c idle_in_transaction_session_timeout=%lld",
        (long long)timeout_ms, (long long)timeout_ms * 3 / 4, (long long)timeout_ms * 2);
    struct pg_conn *conn = mem_zero(NULL, struct pg_conn);
    struct err err = dial(mem, conn, conninfo, session, deadline);
    if (!err_is(err)) {
        PQsetNoticeProcessor(conn->pg, on_notice, NULL);
        PQsetnonblocking(conn->pg, 1);
        PQenterPipelineMode(conn->pg);
        ev_io_init(&conn->readable, on_readable, PQsocket(conn->pg), EV_READ);
        conn->readable.data = conn;
        ev_io_start(loop_ev(), &conn->readable);
        err = prepare_all(mem, conn, deadline);
    }
    if (err_is(err)) {
        pg_conn_close(conn);
        return err_make(ERR_DATABASE_UNAVAILABLE, NULL, err.detail);
    }
    *out = conn;
    return err_ok();
}

void pg_conn_close(struct pg_conn *conn)
{
    ev_io_stop(loop_ev(), &conn->readable);
    PQfinish(conn->pg);
    talloc_free(conn);
}

// Results

bool pg_ok(const struct pg_rows *rows)
{
    ExecStatusType status = rows ? PQresultStatus(rows->result) : PGRES_FATAL_ERROR;
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

size_t pg_affected(const struct pg_rows *rows)
{
    return strtoul(PQcmdTuples(rows->result), NULL, 10);
}

size_t pg_count(const struct pg_rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

bool pg_is_null(const struct pg_rows *rows, size_t row, int column)
{
    return PQgetisnull(rows->result, (int)row, column);
}

const char *pg_get(const struct pg_rows *rows, size_t row, int column)
{
    return PQgetvalue(rows->result, (int)row, column);
}

size_t pg_get_len(const struct pg_rows *rows, size_t row, int column)
{
    return (size_t)PQgetlength(rows->result, (int)row, column);
}

int64_t pg_get_int(const struct pg_rows *rows, size_t row, int column)
{
    return strtoll(pg_get(rows, row, column), NULL, 10);
}

bool pg_get_bool(const struct pg_rows *rows, size_t row, int column)
{
    return *pg_get(rows, row, column) == 't';
}
