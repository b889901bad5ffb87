// Whether PostgreSQL and the Redis nodes answer.

#include "health/health_store.h"

#include "data/cache.h"
#include "data/pg.h"
#include "data/redis.h"

static const struct pg_stmt stmts[] = {
#define PING (&stmts[0])
    {"health_ping", 0, "one", "SELECT 1 AS one"},
};

void health_store_setup(void)
{
    pg_register(stmts, 1);
}

static bool ask_database(struct work *work)
{
    struct pg_conn *conn;
    struct err err = pg_acquire(work, PG_READ, &conn);
    if (err_is(err))
        return false;
    struct pg_rows *rows[PG_TRIP_MAX];
    pg_add(conn, PING, NULL);
    err = pg_trip(work, conn, rows);
    pg_release(conn);
    return !err_is(err);
}

static bool ask_node(struct work *work, struct redis_node *node)
{
    struct redis_arg ping[] = {redis_arg_text("PING")};
    struct redis_reply reply;
    return !err_is(redis_call(work, node, ping, 1, &reply));
}

static void put_node(struct buf *json, const struct redis_node *node, bool good)
{
    buf_printf(json, "\"%s\":\"%s\"", redis_name(node), good ? "ok" : "unavailable");
}

enum health health_store_ask(struct work *work, struct buf *json)
{
    static const char *const words[] = {"ok", "degraded", "unavailable"};
    struct buf redis;
    bool all = true;
    buf_init(&redis, work->mem, 128);
    if (cache_on()) {
        for (size_t i = 0; i < redis_nodes(); i++) {
            bool good = ask_node(work, redis_node(i));
            all = all && good;
            buf_add_char(&redis, i ? ',' : '{');
            put_node(&redis, redis_node(i), good);
        }
        buf_add_char(&redis, '}');
    } else {
        buf_add_str(&redis, "\"off\"");
    }
    bool database = ask_database(work);
    enum health health = !database ? HEALTH_UNAVAILABLE
                         : all     ? HEALTH_OK
                                   : HEALTH_DEGRADED;
    buf_printf(json, "{\"status\":\"%s\",\"database\":\"%s\",\"redis\":%s}",
               words[health], database ? "ok" : "unavailable", redis.data);
    return health;
}
