// Puts seed carts into the database while the service may be running.
//
// A batch is one transaction: lock its carts, insert the rows of those that do not exist,
// and COPY the lines of exactly the carts whose row this transaction inserted. Why that
// undoes nothing:
//  - A cart that anybody has ever written keeps its row for ever, also when it is empty.
//    So ON CONFLICT DO NOTHING passes by a cart that a user has cleared, and its lines
//    stay away.
//  - A row that another transaction has inserted but not committed makes ON CONFLICT
//    wait: committed, it wins; rolled back, ours goes in. Either way there is one row and
//    one owner.
//  - Until our commit nobody else sees the row, and the foreign key lets nobody else add
//    a line to it. COPY thus never meets a line that is already there.
//  - The service locks a cart before it looks at it. We hold that same lock until our
//    commit, so it finds the cart either not there or there with all its lines. The
//    primary key alone would not do: the service would wait for our row and then read
//    lines as of before it.
//  - Locks are taken in the order of the carts' numbers, in every batch of every seeder,
//    and the service takes one cart's lock at a time: nobody waits in a circle.
// A batch that is cut short is rolled back by the server: carts are whole or absent.

#include "load.h"

#include <libpq-fe.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cart.h"
#include "text.h"

#define FOLD_BATCH "20000"

static const char begin_sql[] = "BEGIN ISOLATION LEVEL READ COMMITTED";
static const char lock_sql[] =
    "SELECT pg_advisory_xact_lock(hashtextextended(user_id, 0))"
    " FROM unnest($1::text[]) AS seed (user_id)";
static const char missing_sql[] =
    "SELECT EXISTS (SELECT FROM unnest($1::text[]) AS seed (user_id)"
    "  WHERE NOT EXISTS (SELECT FROM cart WHERE cart.user_id = seed.user_id))";
static const char insert_sql[] =
    "INSERT INTO cart (user_id, version, updated_at)"
    " SELECT user_id, lines, now() - age * interval '1 second'"
    " FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS seed (user_id, lines, age)"
    " ON CONFLICT (user_id) DO NOTHING RETURNING user_id";
static const char copy_sql[] =
    "COPY cart_item (user_id, product_id, added_in, name, price, quantity) FROM STDIN";
static const char commit_sql[] = "COMMIT";
static const char fold_sql[] = "SELECT product_fold(" FOLD_BATCH ") < " FOLD_BATCH;

struct loader {
    PGconn *conn;
    char *failure;
    struct text users, lines, ages; // the arrays of insert_sql
    struct text copy;
};

static bool fail(struct loader *loader, const char *message)
{
    if (loader->failure == NULL) {
        size_t length = strlen(message);
        while (length > 0 && message[length - 1] == '\n')
            length--;
        loader->failure = strndup(message, length);
    }
    return false;
}

struct loader *loader_open(const char *conninfo)
{
    struct loader *loader = calloc(1, sizeof *loader);

    if (loader == NULL)
        return NULL;
    // What comes after dbname wins over what it says; what comes before is a default.
    loader->conn = PQconnectdbParams(
        (const char *[]){"connect_timeout", "fallback_application_name", "dbname",
                         "client_encoding", NULL},
        (const char *[]){"10", "carrito-seed", conninfo, "UTF8", NULL}, 1);
    if (PQstatus(loader->conn) != CONNECTION_OK)
        fail(loader, PQerrorMessage(loader->conn));
    return loader;
}

void loader_close(struct loader *loader)
{
    if (loader == NULL)
        return;
    PQfinish(loader->conn);
    free(loader->failure);
    text_free(&loader->users);
    text_free(&loader->lines);
    text_free(&loader->ages);
    text_free(&loader->copy);
    free(loader);
}

const char *loader_failed(const struct loader *loader)
{
    return loader->failure;
}

// Runs one statement. The result is the caller's to clear, or NULL when it failed.
static PGresult *run(struct loader *loader, const char *sql, int count,
                     const char *const *values, ExecStatusType expected)
{
    PGresult *result =
        PQexecParams(loader->conn, sql, count, NULL, values, NULL, NULL, 0);

    if (PQresultStatus(result) == expected)
        return result;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state != NULL && (strcmp(state, "42P01") == 0 || strcmp(state, "42883") == 0))
        fail(loader, "the tables are not there: run sql/migrate first");
    else
        fail(loader, PQerrorMessage(loader->conn));
    PQclear(result);
    return NULL;
}

static bool run_command(struct loader *loader, const char *sql)
{
    PGresult *result = run(loader, sql, 0, NULL, PGRES_COMMAND_OK);

    PQclear(result);
    return result != NULL;
}

static bool lock_carts(struct loader *loader)
{
    PGresult *result =
        run(loader, lock_sql, 1, (const char *[]){loader->users.data}, PGRES_TUPLES_OK);

    PQclear(result);
    return result != NULL;
}

// Sets *any: not all of the carts are there. An INSERT of none would raise the epoch of
// the cache, and so make all that is cached count for nothing.
static bool find_missing(struct loader *loader, bool *any)
{
    PGresult *result = run(loader, missing_sql, 1, (const char *[]){loader->users.data},
                           PGRES_TUPLES_OK);

    *any = result != NULL && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return result != NULL;
}

static void write_arrays(struct loader *loader, unsigned first, unsigned count)
{
    text_clear(&loader->users);
    text_clear(&loader->lines);
    text_clear(&loader->ages);
    for (unsigned number = first; number < first + count; number++) {
        char separator = number == first ? '{' : ',';
        char user[CART_USER_SIZE];
        struct cart cart;

        cart_make(number, &cart);
        cart_user(number, user);
        text_add_char(&loader->users, separator);
        text_add(&loader->users, user);
        text_add_char(&loader->lines, separator);
        text_add_number(&loader->lines, cart.lines);
        text_add_char(&loader->ages, separator);
        text_add_number(&loader->ages, cart.age);
    }
    text_add_char(&loader->users, '}');
    text_add_char(&loader->lines, '}');
    text_add_char(&loader->ages, '}');
}

static void write_copy_line(struct text *copy, const char *user, unsigned place,
                            const struct cart_line *line)
{
    unsigned cents = line->product->price % 100;

    text_add(copy, user);
    text_add_char(copy, '\t');
    text_add_number(copy, line->product->id);
    text_add_char(copy, '\t');
    text_add_number(copy, place);
    text_add_char(copy, '\t');
    text_add(copy, line->product->name);
    text_add_char(copy, '\t');
    text_add_number(copy, line->product->price / 100);
    text_add(copy, cents < 10 ? ".0" : ".");
    text_add_number(copy, cents);
    text_add_char(copy, '\t');
    text_add_number(copy, line->quantity);
    text_add_char(copy, '\n');
}

// Writes the lines of the carts that the INSERT returned; returns how many lines.
static unsigned write_copy(struct text *copy, const PGresult *inserted)
{
    unsigned lines = 0;

    text_clear(copy);
    for (int row = 0; row < PQntuples(inserted); row++) {
        const char *user = PQgetvalue(inserted, row, 0);
        struct cart cart;

        cart_make(cart_number(user), &cart);
        for (unsigned i = 0; i < cart.lines; i++)
            write_copy_line(copy, user, i + 1, &cart.line[i]);
        lines += cart.lines;
    }
    return lines;
}

static bool send_copy(struct loader *loader)
{
    PGresult *result = run(loader, copy_sql, 0, NULL, PGRES_COPY_IN);
    bool sent;

    if (result == NULL)
        return false;
    PQclear(result);
    sent =
        PQputCopyData(loader->conn, loader->copy.data, (int)loader->copy.length) == 1 &&
        PQputCopyEnd(loader->conn, NULL) == 1;
    while ((result = PQgetResult(loader->conn)) != NULL) {
        sent = sent && PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    return sent || fail(loader, PQerrorMessage(loader->conn));
}

bool loader_insert(struct loader *loader, unsigned first, unsigned count,
                   struct load_count *out)
{
    struct load_count done = {0};
    PGresult *inserted;
    bool missing;

    write_arrays(loader, first, count);
    if (!run_command(loader, begin_sql) || !lock_carts(loader) ||
        !find_missing(loader, &missing))
        return false;
    if (!missing) {
        *out = done;
        return run_command(loader, commit_sql);
    }
    inserted =
        run(loader, insert_sql, 3,
            (const char *[]){loader->users.data, loader->lines.data, loader->ages.data},
            PGRES_TUPLES_OK);
    if (inserted == NULL)
        return false;
    done.inserted = (unsigned)PQntuples(inserted);
    done.lines = write_copy(&loader->copy, inserted);
    PQclear(inserted);
    if (done.inserted > 0 && !send_copy(loader))
        return false;
    if (!run_command(loader, commit_sql))
        return false;
    *out = done;
    return true;
}

bool loader_fold(struct loader *loader)
{
    bool more = true;

    while (more) {
        PGresult *result = run(loader, fold_sql, 0, NULL, PGRES_TUPLES_OK);
        if (result == NULL)
            return false;
        more = PQgetvalue(result, 0, 0)[0] == 'f';
        PQclear(result);
    }
    return true;
}
