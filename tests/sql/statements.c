// Prepares every registered statement on the database of $DATABASE_URL and compares what
// the server says of it with the statement tables: the number of parameters and the
// columns.

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/mem.h"
#include "cart/cart_store.h"
#include "data/epoch.h"
#include "data/pg.h"
#include "data/pg_group.h"
#include "health/health_store.h"
#include "keeper/keeper.h"
#include "stats/stats_store.h"

static void check(PGconn *pg, const struct pg_stmt *stmt, struct buf *fault)
{
    PGresult *result = PQprepare(pg, stmt->name, stmt->sql, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        buf_printf(fault, "not prepared: %s", PQresultErrorMessage(result));
    PQclear(result);
    if (fault->len)
        return;
    result = PQdescribePrepared(pg, stmt->name);
    if (PQnparams(result) != stmt->n_params)
        buf_printf(fault, "%d parameters, %d expected; ", PQnparams(result),
                   stmt->n_params);
    struct buf columns;
    buf_init(&columns, fault->mem, 128);
    for (int i = 0; i < PQnfields(result); i++)
        buf_printf(&columns, i ? ",%s" : "%s", PQfname(result, i));
    if (strcmp(columns.data, stmt->columns) != 0)
        buf_printf(fault, "columns %s, %s expected", columns.data, stmt->columns);
    PQclear(result);
}

int main(void)
{
    const char *url = getenv("DATABASE_URL");
    PGconn *pg = PQconnectdb(url ? url : "");
    if (PQstatus(pg) != CONNECTION_OK) {
        printf("not ok - statements: %s", PQerrorMessage(pg));
        return 1;
    }
    struct config config = {.pg_read_pool = 1, .pg_write_pool = 1};
    pg_setup(&config);
    pg_group_setup();
    epoch_setup();
    cart_store_setup();
    stats_store_setup(&config);
    health_store_setup();
    keeper_setup(&config);

    int status = 0;
    const struct pg_stmt *stmt;
    for (size_t i = 0; (stmt = pg_registered(i)); i++) {
        void *mem = talloc_new(NULL);
        struct buf fault;
        buf_init(&fault, mem, 256);
        check(pg, stmt, &fault);
        printf("%s - statement %s\n", fault.len ? "not ok" : "ok", stmt->name);
        if (fault.len) {
            printf("# %s\n", fault.data);
            status = 1;
        }
        talloc_free(mem);
    }
    PQfinish(pg);
    return status;
}
