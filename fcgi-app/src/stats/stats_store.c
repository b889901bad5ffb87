// Top products in PostgreSQL and Redis.
//
// Writers only insert deltas (sql/0002-top-products.sql); here they are folded into the
// totals, in batches, one folder at a time over all processes. One refresh at a time:
// within a process by a lock by name, between processes by a lock in PostgreSQL, and
// whoever had to wait looks into the cache again before working.

#include "stats/stats_store.h"

#include <limits.h>
#include <talloc.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "data/cache.h"
#include "data/pg.h"
#include "loop/co.h"
#include "loop/keylock.h"
#include "loop/loop.h"
#include "stats/stats.h"

#define KEY "stats:top-products"
#define BATCH_MIN 50
#define BATCH_MAX 5000
#define FOLD_SHARE_MS 500 // of the time of a request that refreshes
#define MS 1000000LL

static const struct pg_stmt stmts[] = {
#define LOCK (&stmts[0])
    {"stats_lock", 0, "locked",
     "SELECT pg_advisory_xact_lock(hashtextextended('/top-products', 0)) AS locked"},
#define FOLD (&stmts[1])
    {"stats_fold", 1, "folded", "SELECT product_fold($1) AS folded"},
#define TOP (&stmts[2])
    {"stats_top", 1, "product_id,name,units,carts",
     "SELECT t.product_id, n.name, t.units, t.carts "
     "FROM (SELECT * FROM product_total WHERE units > 0"
     "      ORDER BY units DESC, product_id LIMIT $1) AS t "
     "CROSS JOIN LATERAL (SELECT name FROM product_name_total AS n"
     "                    WHERE n.product_id = t.product_id AND n.carts > 0"
     "                    ORDER BY carts DESC, name LIMIT 1) AS n "
     "ORDER BY t.units DESC, t.product_id"},
};

// The last answer of this process: what those share who asked while it was being made.
struct answer {
    int64_t begun_at, done_at; // clock_mono_ns()
    char *json;
    size_t len;
};

static const struct config *config;
static struct keylock *refreshing;
static struct answer last;
static struct metric *refreshes;

void stats_store_setup(const struct config *c)
{
    config = c;
    pg_register(stmts, sizeof stmts / sizeof *stmts);
    refreshing = keylock_new(NULL, UINT_MAX); // however many ask
    refreshes = metrics_counter("carrito_top_products_refreshes_total",
                                "Times the top products were read from PostgreSQL.", "");
}

// Folds until fewer than a batch are left, or until the time. Each batch is a transaction
// of its own. One that fails, as it does when it takes longer than a statement may, is
// halved.
static struct err fold_until(struct work *work, struct pg_conn *conn, int64_t time)
{
    static int64_t batch = BATCH_MAX;
    while (clock_mono_ns() < time) {
        struct pg_value size = pg_int(batch);
        struct pg_rows *rows[PG_TRIP_MAX];
        pg_add(conn, FOLD, &size);
        struct err err = pg_trip(work, conn, rows);
        if (err_is(err)) {
            batch = batch / 2 > BATCH_MIN ? batch / 2 : BATCH_MIN;
            return err;
        }
        if (pg_get_int(rows[0], 0, 0) < size.number)
            break;
        batch = batch * 2 < BATCH_MAX ? batch * 2 : BATCH_MAX;
    }
    return err_ok();
}

// For those who wait for the same refresh.
static void share(const char *json, size_t len, int64_t begun_at)
{
    talloc_free(last.json);
    last = (struct answer){begun_at, clock_mono_ns(), mem_strndup(NULL, json, len), len};
}

static struct err load_top(struct work *work, struct pg_conn *conn)
{
    struct pg_value top = pg_int(STATS_TOP);
    struct pg_rows *rows[PG_TRIP_MAX];
    int64_t begun = clock_mono_ns();
    pg_add(conn, TOP, &top);
    struct err err = pg_trip(work, conn, rows);
    if (err_is(err))
        return err;
    struct stats_product products[STATS_TOP];
    size_t n = pg_count(rows[0]);
    for (size_t i = 0; i < n; i++)
        products[i] = (struct stats_product){
            (int32_t)pg_get_int(rows[0], i, 0), pg_get(rows[0], i, 1),
            pg_get_int(rows[0], i, 2), pg_get_int(rows[0], i, 3)};
    struct buf json;
    buf_init(&json, work->mem, 1024);
    stats_put_json(&json, products, n);
    share(json.data, json.len, begun);
    metrics_add(refreshes, 1);
    return err_ok();
}

static void use_last(struct work *work, const char **json, size_t *len)
{
    *json = mem_strndup(work->mem, last.json, last.len);
    *len = last.len;
}

// With the lock between processes held by this connection's transaction.
static struct err refresh_locked(struct work *work, struct pg_conn *conn,
                                 const char **json, size_t *len)
{
    enum work_cache seen = work->cache;
    if (cache_on() && cache_get_plain(work, KEY, json, len)) {
        share(*json, *len, 0); // another process made it while this one waited
        return err_ok();
    }
    work->cache = seen;
    struct err err = load_top(work, conn);
    if (err_is(err))
        return err;
    use_last(work, json, len);
    cache_set_plain(work, KEY, *json, *len, config->top_products_ttl_s * 1000LL);
    return err_ok();
}

static struct err refresh(struct work *work, const char **json, size_t *len)
{
    struct pg_conn *conn;
    struct err err = pg_acquire(work, PG_CHORE, &conn);
    if (err_is(err))
        return err;
    struct pg_rows *rows[PG_TRIP_MAX];
    // What a backlog, or a batch that failed, leaves unfolded is late, not lost.
    struct err folded = fold_until(work, conn, clock_mono_ns() + FOLD_SHARE_MS * MS);
    (void)folded;
    pg_add(conn, &pg_begin, NULL);
    pg_add(conn, LOCK, NULL);
    err = pg_trip(work, conn, rows);
    if (!err_is(err))
        err = refresh_locked(work, conn, json, len);
    pg_abandon(work, conn); // it only read
    pg_release(conn);
    return err;
}

struct err stats_store_top(struct work *work, const char **json, size_t *len)
{
    int64_t asked = clock_mono_ns();
    if (cache_get_plain(work, KEY, json, len))
        return err_ok();
    if (!keylock_take(refreshing, KEY, work->deadline))
        return err_make(ERR_OVERLOADED, NULL, "the refresh took too long");
    struct err err = err_ok();
    // The refresh this request waited for will do; without the cache only one that began
    // after it was asked, as nothing may then be older than the request.
    if (last.json && asked <= (cache_on() ? last.done_at : last.begun_at))
        use_last(work, json, len);
    else
        err = refresh(work, json, len);
    keylock_give(refreshing, KEY);
    return err;
}

static void fold_forever(void *arg)
{
    (void)arg;
    bool said = false;
    for (;;) {
        loop_sleep_ms(config->stats_fold_ms);
        struct work work = pg_chore();
        struct pg_conn *conn;
        struct err err = pg_acquire(&work, PG_CHORE, &conn);
        if (!err_is(err)) {
            err = fold_until(&work, conn, work.start_by);
            pg_release(conn);
        }
        if (err_is(err) && !said) // once per outage
            log_event(LOG_WARN, "fold-failed", LOG_STR("why", err.detail));
        said = err_is(err);
        talloc_free(work.mem);
    }
}

void stats_store_start(void)
{
    co_start(fold_forever, NULL);
}
