// Samples.

#include "keeper/keeper_audit.h"

#include <stddef.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/work.h"
#include "cart/cart.h"
#include "data/cache.h"
#include "data/epoch.h"
#include "data/pg.h"
#include "data/redis.h"
#include "loop/co.h"
#include "loop/loop.h"

#define EVERY_MS 50
#define PAUSE_MS 1000 // when PostgreSQL or Redis has something better to do

static const struct pg_stmt stmts[] = {
#define VERSION (&stmts[0])
    {"keeper_cart_version", 1, EPOCH_COLUMNS ",version",
     "SELECT " EPOCH_SQL ", coalesce(c.version, 0) AS version "
     "FROM cache_state AS e LEFT JOIN cart AS c ON c.user_id = $1"},
};

static struct metric *results[AUDIT__MAX];

void keeper_audit_setup(void)
{
    static const char *const labels[] = {"result=\"hit\"", "result=\"miss\"",
                                         "result=\"stale\""};
    pg_register(stmts, sizeof stmts / sizeof *stmts);
    for (enum audit_result i = 0; i < AUDIT__MAX; i++)
        results[i] = metrics_counter(
            "carrito_audit_reads_total",
            "Carts compared, as a reader finds them, with PostgreSQL; stale must stay 0.",
            labels[i]);
}

bool keeper_audit_cart(const char *key, const char **user_id)
{
    static const char prefix[] = "cart:";
    if (strncmp(key, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *id = key + sizeof prefix - 1;
    if (err_is(cart_check_user_id(id, strlen(id))))
        return false;
    *user_id = id;
    return true;
}

enum audit_result keeper_audit_judge(bool hit, int64_t cached, int64_t committed)
{
    return !hit ? AUDIT_MISS : cached < committed ? AUDIT_STALE : AUDIT_HIT;
}

// A node that hits may come from now; each in its turn.
static struct redis_node *next_node(void)
{
    static size_t turn;
    for (size_t tries = redis_nodes(); tries > 0; tries--) {
        struct redis_node *node = redis_node(turn++ % redis_nodes());
        bool serves = epoch_known()->mode == CACHE_REPLICAS ||
                      (epoch_known()->mode == CACHE_MASTER && node == redis_master());
        if (serves && redis_is_up(node))
            return node;
    }
    return NULL;
}

static struct err committed_version(struct work *work, const char *user_id,
                                    int64_t *version, int64_t *epoch)
{
    struct pg_conn *conn;
    struct err err = pg_acquire(work, PG_CHORE, &conn);
    if (err_is(err))
        return err;
    struct pg_value id = pg_text(user_id);
    struct pg_rows *rows[PG_TRIP_MAX];
    pg_add(conn, VERSION, &id);
    err = pg_trip(work, conn, rows);
    pg_release(conn);
    if (err_is(err))
        return err;
    if (pg_count(rows[0]) != 1)
        return err_make(ERR_INTERNAL, NULL, "cache_epoch must have one row");
    *epoch = epoch_of(rows[0], 0, 0).number;
    *version = pg_get_int(rows[0], 0, 4);
    return err_ok();
}

static void tell_stale(const struct redis_node *node, const char *user_id, int64_t cached,
                       int64_t committed)
{
    log_event(LOG_ERROR, "stale-hit", LOG_STR("node", redis_name(node)),
              LOG_STR("user_id", user_id), LOG_INT("version", cached),
              LOG_INT("committed", committed), LOG_INT("epoch", epoch_known()->number));
}

// One sample. False when it could not be made.
static bool sample(struct work *work)
{
    struct redis_node *node = cache_on() ? next_node() : NULL;
    struct redis_arg args[] = {redis_arg_text("RANDOMKEY")};
    struct redis_reply key;
    if (!node || err_is(redis_call(work, node, args, 1, &key)))
        return false;
    const char *user_id;
    if (key.type != REDIS_STRING || !keeper_audit_cart(key.text, &user_id))
        return true;
    int64_t committed = 0, epoch = 0, hit_epoch = 0;
    struct err err = committed_version(work, user_id, &committed, &epoch);
    if (err_is(err))
        return false;
    struct cache_value value = {0};
    // The cache follows other hands within a lease: what they committed raised the epoch.
    bool hit = cache_peek(work, node, user_id, &value, &hit_epoch) && hit_epoch == epoch;
    enum audit_result result = keeper_audit_judge(hit, value.version, committed);
    metrics_add(results[result], 1);
    if (result == AUDIT_STALE)
        tell_stale(node, user_id, value.version, committed);
    return true;
}

static void audit_forever(void *unused)
{
    (void)unused;
    for (;;) {
        struct work work = pg_chore();
        bool good = sample(&work);
        talloc_free(work.mem);
        loop_sleep_ms(good ? EVERY_MS : PAUSE_MS);
    }
}

void keeper_audit_start(void)
{
    co_start(audit_forever, NULL);
}
