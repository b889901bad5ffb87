// The sweeper's rounds.
//
// It walks the carts by their primary key, a slice each round, and begins anew when it
// has come to the end: an index on updated_at would make every write dearer.

#include "keeper/keeper_sweep.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "data/pg.h"
#include "loop/co.h"
#include "loop/loop.h"

#define ROUND_MS 1000
#define SLICE 1000 // carts looked at in a round
#define CLEAR_PAUSE_MS 10
#define LAP_PAUSE_MS 10000 // between the last cart and the first
#define KEYS 1000          // in one statement
#define KEYS_TRIPS 10      // in a round
#define KEYS_PAUSE_MS 20
#define RETRY_MS 10000 // when another keeper sweeps, or the database has failed

#define LOCK_ID "hashtextextended('/sweep', 0)"

static const struct pg_stmt stmts[] = {
#define LOCK (&stmts[0])
    {"keeper_sweep_lock", 0, "mine", "SELECT pg_try_advisory_lock(" LOCK_ID ") AS mine"},
#define UNLOCK (&stmts[1])
    {"keeper_sweep_unlock", 0, "given",
     "SELECT pg_advisory_unlock(" LOCK_ID ") AS given"},
#define EXPIRE_KEYS (&stmts[2])
    {"keeper_expire_keys", 1, "",
     "DELETE FROM idempotency_key WHERE (user_id, key) IN"
     "  (SELECT user_id, key FROM idempotency_key"
     "   WHERE created_at <= now() - interval '24 hours'"
     "   ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED)"},
#define FIND_UNUSED (&stmts[3])
    {"keeper_find_unused", 3, "last,looked_at,user_id,version",
     "WITH slice AS (SELECT user_id, version, updated_at FROM cart WHERE user_id > $1"
     "               ORDER BY user_id LIMIT $2) "
     "SELECT whole.last, whole.looked_at, unused.user_id, unused.version "
     "FROM (SELECT max(user_id) AS last, count(*) AS looked_at FROM slice) AS whole"
     "  LEFT JOIN (SELECT user_id, version FROM slice"
     "             WHERE updated_at < now() - make_interval(days => $3::integer)"
     "               AND EXISTS (SELECT FROM cart_item"
     "                           WHERE cart_item.user_id = slice.user_id)) AS unused"
     "  ON true"},
};

static const struct config *config;
static struct metric *swept_carts, *swept_keys;

// Where the walk is: behind this cart; and not before this time.
static char *position;
static int64_t next_lap;

void keeper_sweep_setup(const struct config *c)
{
    config = c;
    pg_register(stmts, sizeof stmts / sizeof *stmts);
    swept_carts = metrics_counter("carrito_swept_carts_total",
                                  "Unused carts that were cleared.", "");
    swept_keys = metrics_counter("carrito_swept_keys_total",
                                 "Expired Idempotency-Keys that were removed.", "");
}

struct cart_write keeper_sweep_write(void *mem, const char *user_id, int64_t version)
{
    return (struct cart_write){
        .user_id = user_id,
        .request = {.action = CART_CLEAR},
        .if_match = mem_printf(mem, "\"%lld\"", (long long)version),
        .fingerprint = "",
    };
}

enum sweep_result keeper_sweep_judge(struct err err, int64_t version,
                                     const struct cart_answer *answer)
{
    if (err.code == ERR_VERSION_MISMATCH)
        return SWEEP_LEFT;
    if (err_is(err))
        return SWEEP_LATER;
    return answer->version > version ? SWEEP_CLEARED : SWEEP_LEFT;
}

// What WRITE leaves to do afterwards, its fill, is left undone: nobody reads such a cart,
// and its tombstone expires.
static enum sweep_result clear(const char *user_id, int64_t version)
{
    struct work work = pg_chore();
    struct cart_write write = keeper_sweep_write(work.mem, user_id, version);
    struct cart_answer answer = {0};
    struct err err = cart_store_write(&work, &write, &answer);
    enum sweep_result result = keeper_sweep_judge(err, version, &answer);
    metrics_add(swept_carts, result == SWEEP_CLEARED);
    talloc_free(work.mem);
    return result;
}

static void go_to(const char *user_id)
{
    talloc_free(position);
    position = mem_strndup(NULL, user_id, strlen(user_id));
}

// Clears what FIND_UNUSED has found, and moves on behind it, unless a cart is to be tried
// again.
static void clear_all(const struct pg_rows *found)
{
    size_t n = pg_is_null(found, 0, 2) ? 0 : pg_count(found);
    for (size_t i = 0; i < n; i++) {
        if (clear(pg_get(found, i, 2), pg_get_int(found, i, 3)) == SWEEP_LATER) {
            go_to(pg_get(found, i, 2)); // its turn comes again with the next lap
            return;
        }
        loop_sleep_ms(CLEAR_PAUSE_MS);
    }
    if (pg_get_int(found, 0, 1) < SLICE) {
        go_to("");
        next_lap = clock_mono_ns() + LAP_PAUSE_MS * 1000000LL;
    } else {
        go_to(pg_get(found, 0, 0));
    }
}

static struct err sweep_carts(struct pg_conn *conn)
{
    if (clock_mono_ns() < next_lap)
        return err_ok();
    struct work work = pg_chore();
    struct pg_rows *rows[PG_TRIP_MAX];
    struct pg_value params[] = {pg_text(position), pg_int(SLICE),
                                pg_int(config->cart_keep_days)};
    pg_add(conn, FIND_UNUSED, params);
    struct err err = pg_trip(&work, conn, rows);
    if (!err_is(err))
        clear_all(rows[0]);
    talloc_free(work.mem);
    return err;
}

static struct err sweep_keys(struct pg_conn *conn)
{
    struct err err = err_ok();
    size_t n = KEYS;
    for (int trips = 0; trips < KEYS_TRIPS && n == KEYS && !err_is(err); trips++) {
        if (trips > 0)
            loop_sleep_ms(KEYS_PAUSE_MS);
        struct work work = pg_chore();
        struct pg_rows *rows[PG_TRIP_MAX];
        struct pg_value batch = pg_int(KEYS);
        pg_add(conn, EXPIRE_KEYS, &batch);
        err = pg_trip(&work, conn, rows);
        n = err_is(err) ? 0 : pg_affected(rows[0]);
        metrics_add(swept_keys, n);
        talloc_free(work.mem);
    }
    return err;
}

// A statement that gives one truth.
static struct err ask(struct pg_conn *conn, const struct pg_stmt *stmt, bool *yes)
{
    struct work work = pg_chore();
    struct pg_rows *rows[PG_TRIP_MAX];
    pg_add(conn, stmt, NULL);
    struct err err = pg_trip(&work, conn, rows);
    *yes = !err_is(err) && pg_get_bool(rows[0], 0, 0);
    talloc_free(work.mem);
    return err;
}

// With the lock, until something fails.
static struct err sweep(struct pg_conn *conn)
{
    for (;;) {
        struct err err = sweep_keys(conn);
        if (!err_is(err))
            err = sweep_carts(conn);
        if (err_is(err))
            return err;
        loop_sleep_ms(ROUND_MS);
    }
}

// The connection is kept for as long as its lock is: another one would not have it.
static void sweep_on(struct pg_conn *conn)
{
    bool mine, given;
    struct err err = ask(conn, LOCK, &mine);
    if (err_is(err) || !mine)
        return;
    err = sweep(conn);
    if (err.code == ERR_INTERNAL)
        log_event(LOG_ERROR, "sweep-failed", LOG_STR("why", err.detail));
    // If this fails too, the connection is broken and its lock is gone.
    err = ask(conn, UNLOCK, &given);
    (void)err;
}

static void sweep_forever(void *unused)
{
    (void)unused;
    go_to("");
    for (;;) {
        struct work work = pg_chore();
        struct pg_conn *conn;
        struct err err = pg_acquire(&work, PG_CHORE, &conn);
        talloc_free(work.mem); // before what may take for ever
        if (!err_is(err)) {
            sweep_on(conn);
            pg_release(conn);
        }
        loop_sleep_ms(RETRY_MS);
    }
}

void keeper_sweep_start(void)
{
    co_start(sweep_forever, NULL);
}
