// The pools of PostgreSQL connections, and the statements that each connection prepares.
//
// Invariant: idle + busy + opening <= the pool's limit. Who asks for a connection and
// finds none idle queues; a freed or opened connection goes to the head of the queue.
// Connections are opened in the background, so an asker that gives up does not waste one.

#include "data/pg.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "data/pg_conn.h"
#include "loop/co.h"
#include "loop/loop.h"

#define MS 1000000LL
#define TABLES_MAX 16

// Connections for chores: of the program folding, moving the epoch and refreshing the top
// products; of the keeper sweeping, the audit, and moving or folding the epoch.
#define CHORES 3

const struct pg_stmt pg_begin = {"begin", 0, "", "BEGIN"};
const struct pg_stmt pg_commit = {"commit", 0, "", "COMMIT"};
const struct pg_stmt pg_rollback = {"rollback", 0, "", "ROLLBACK"};

struct asker {
    struct co *co;
    struct pg_conn *conn; // what it was given
    struct err err;       // or why it gets none
    bool done;
    struct asker *next;
};

struct pool {
    int limit, idle, busy, opening;
    struct pg_conn *first_idle;
    struct asker *first, **last;
    int64_t retry_at;   // after a failure to connect: not before this time
    int64_t retry_wait; // ns, doubles with each failure
    struct metric *idle_gauge, *busy_gauge, *waiting_gauge;
    int waiting;
};

static const struct config *config;
static struct pool pools[PG_USE__MAX];
static struct {
    const struct pg_stmt *stmts;
    size_t n;
} tables[TABLES_MAX];
static size_t n_tables;
static struct metric *trips;
static bool said_down;

static void show(struct pool *pool)
{
    metrics_set(pool->idle_gauge, pool->idle);
    metrics_set(pool->busy_gauge, pool->busy);
    metrics_set(pool->waiting_gauge, pool->waiting);
}

void pg_setup(const struct config *c)
{
    static const struct pg_stmt *const own[] = {&pg_begin, &pg_commit, &pg_rollback};
    static const char *const names[] = {"read", "write", "chore"};
    const int limits[] = {c->pg_read_pool, c->pg_write_pool, CHORES};
    config = c;
    n_tables = 0;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        pg_register(own[i], 1);
    for (int use = 0; use < PG_USE__MAX; use++) {
        const char *connections = "Connections to PostgreSQL.";
        char *idle = mem_printf(NULL, "pool=\"%s\",state=\"idle\"", names[use]);
        char *busy = mem_printf(idle, "pool=\"%s\",state=\"busy\"", names[use]);
        char *waiting = mem_printf(idle, "pool=\"%s\"", names[use]);
        pools[use] = (struct pool){
            .limit = limits[use],
            .last = &pools[use].first,
            .idle_gauge = metrics_gauge("carrito_pg_connections", connections, idle),
            .busy_gauge = metrics_gauge("carrito_pg_connections", connections, busy),
            .waiting_gauge = metrics_gauge("carrito_pg_waiting",
                                           "Trips that wait for a connection.", waiting)};
        talloc_free(idle);
    }
    trips = metrics_counter("carrito_pg_trips_total", "Trips to PostgreSQL.", "");
}

void pg_register(const struct pg_stmt *stmts, size_t n)
{
    if (n_tables == TABLES_MAX)
        abort();
    tables[n_tables].stmts = stmts;
    tables[n_tables++].n = n;
}

const struct pg_stmt *pg_registered(size_t number)
{
    for (size_t i = 0; i < n_tables; i++) {
        if (number < tables[i].n)
            return &tables[i].stmts[number];
        number -= tables[i].n;
    }
    return NULL;
}

static struct asker *queue_take(struct pool *pool)
{
    struct asker *asker = pool->first;
    pool->first = asker->next;
    if (!pool->first)
        pool->last = &pool->first;
    asker->done = true;
    co_wake(asker->co);
    return asker;
}

static void queue_leave(struct pool *pool, struct asker *asker)
{
    struct asker **at = &pool->first;
    while (*at != asker)
        at = &(*at)->next;
    *at = asker->next;
    if (!*at)
        pool->last = at;
}

static void offer(struct pool *pool, struct pg_conn *conn)
{
    if (pool->first) {
        pool->busy++;
        queue_take(pool)->conn = conn;
    } else {
        pool->idle++;
        conn->next = pool->first_idle;
        pool->first_idle = conn;
    }
}

static void open_more(struct pool *pool);

// With nothing open there is nothing to wait for, once the last attempt has failed; else
// one more is tried, later.
static void serve_queue_after_failure(struct pool *pool)
{
    while (pool->first && pool->busy + pool->opening == 0)
        queue_take(pool)->err =
            err_make(ERR_DATABASE_UNAVAILABLE, NULL, "the database cannot be reached");
    if (pool->first && pool->busy > 0)
        open_more(pool);
}

static void open_one(void *arg)
{
    struct pool *pool = arg;
    struct pg_conn *conn;
    while (clock_mono_ns() < pool->retry_at)
        loop_sleep_ms((pool->retry_at - clock_mono_ns()) / MS + 1);
    void *mem = talloc_new(NULL);
    int64_t deadline = clock_mono_ns() + config->pg_timeout_ms * MS;
    struct err err =
        pg_conn_open(mem, config->database_url, config->pg_timeout_ms, deadline, &conn);
    pool->opening--;
    if (!err_is(err)) {
        pool->retry_wait = pool->retry_at = 0;
        said_down = false;
        conn->use = (enum pg_use)(pool - pools);
        offer(pool, conn);
    } else {
        if (!said_down)
            log_event(LOG_ERROR, "database-unavailable", LOG_STR("why", err.detail));
        said_down = true;
        pool->retry_wait = pool->retry_wait ? pool->retry_wait * 2 : 50 * MS;
        if (pool->retry_wait > 500 * MS)
            pool->retry_wait = 500 * MS;
        pool->retry_at = clock_mono_ns() + pool->retry_wait;
        serve_queue_after_failure(pool);
    }
    show(pool);
    talloc_free(mem);
}

static void open_more(struct pool *pool)
{
    if (pool->idle + pool->busy + pool->opening < pool->limit) {
        pool->opening++;
        co_start(open_one, pool);
    }
}

// An idle connection that the server has closed meanwhile is no use.
static struct pg_conn *take_idle(struct pool *pool)
{
    while (pool->first_idle) {
        struct pg_conn *conn = pool->first_idle;
        pool->first_idle = conn->next;
        pool->idle--;
        if (!conn->broken && PQstatus(conn->pg) == CONNECTION_OK)
            return conn;
        pg_conn_close(conn);
    }
    return NULL;
}

struct err pg_none_free(enum pg_use use)
{
    if (pools[use].busy > 0 || pools[use].opening == 0)
        return err_make(ERR_OVERLOADED, NULL, "no database connection became free");
    return err_make(ERR_DATABASE_UNAVAILABLE, NULL, "the database is silent");
}

struct err pg_acquire(struct work *work, enum pg_use use, struct pg_conn **out)
{
    struct pool *pool = &pools[use];
    int64_t begun = clock_mono_ns();
    if (!pool->first) {
        struct pg_conn *conn = take_idle(pool);
        if (conn) {
            pool->busy++;
            show(pool);
            *out = conn;
            return err_ok();
        }
    }
    if (begun >= pool->retry_at)
        open_more(pool);
    if (pool->busy + pool->opening == 0)
        return err_make(ERR_DATABASE_UNAVAILABLE, NULL, "the database cannot be reached");

    struct asker me = {.co = co_self()};
    *pool->last = &me;
    pool->last = &me.next;
    pool->waiting++;
    show(pool);
    int64_t deadline = begun + config->pg_pool_wait_ms * MS;
    if (deadline > work->start_by)
        deadline = work->start_by;
    while (!me.done && co_wait(deadline)) {
    }
    pool->waiting--;
    show(pool);
    work->db_ns += clock_mono_ns() - begun;
    if (!me.done) {
        queue_leave(pool, &me);
        return pg_none_free(use);
    }
    if (err_is(me.err))
        return me.err;
    *out = me.conn;
    return err_ok();
}

void pg_release(struct pg_conn *conn)
{
    struct pool *pool = &pools[conn->use];
    pool->busy--;
    if (conn->broken || PQtransactionStatus(conn->pg) != PQTRANS_IDLE) {
        pg_conn_close(conn);
        if (pool->first) // for just this place in the pool
            open_more(pool);
    } else {
        offer(pool, conn);
    }
    show(pool);
}

struct err pg_trip(struct work *work, struct pg_conn *conn,
                   struct pg_rows *rows[PG_TRIP_MAX])
{
    int64_t begun = clock_mono_ns();
    int64_t deadline = begun + config->pg_timeout_ms * MS;
    if (deadline > work->deadline)
        deadline = work->deadline;
    struct err err = pg_conn_trip(work->mem, conn, deadline, rows);
    work->db_ns += clock_mono_ns() - begun;
    metrics_add(trips, 1);
    return err;
}

struct work pg_chore(void)
{
    struct work work = {.mem = talloc_new(NULL)};
    work.start_by = clock_mono_ns() + config->pg_pool_wait_ms * MS;
    work.deadline = work.start_by + config->pg_timeout_ms * MS;
    return work;
}

bool pg_was_sent(const struct pg_conn *conn)
{
    return conn->sent;
}

void pg_abandon(struct work *work, struct pg_conn *conn)
{
    if (conn->broken || PQtransactionStatus(conn->pg) == PQTRANS_IDLE)
        return;
    struct pg_rows *rows[PG_TRIP_MAX];
    pg_add(conn, &pg_rollback, NULL);
    struct err err = pg_trip(work, conn, rows);
    if (err_is(err))
        conn->broken = true;
}
