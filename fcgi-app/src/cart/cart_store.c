// Carts in PostgreSQL, with copies in the cache.
//
// Whoever changes a cart holds its advisory lock, from before it reads the cart until
// COMMIT or ROLLBACK. Writers of different carts share transactions (data/pg_group.h).
//
// Invariant: a change is committed only when no node can show the cart as it was
// (data/hold.h); a value is put into the cache only by a reader that saw the lock free
// before it read, under a token no writer has since overwritten, or by the writer itself,
// and under the epoch that was read together with the cart.
//
// The steps of READ and WRITE are numbered as in ARCHITECTURE.md.

#include "cart/cart_store.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/money.h"
#include "base/parse.h"
#include "base/step.h"
#include "data/cache.h"
#include "data/epoch.h"
#include "data/pg.h"
#include "data/pg_group.h"
#include "loop/co.h"
#include "loop/keylock.h"

#define LOCK_ID "hashtextextended($1, 0)"
#define ISO_8601 "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'"

// The cart's row is moved to its new version only from the one just before, and its lines
// change only with it: a write by other hands that did not take the lock is noticed.
#define TOUCH                                                                     \
    "WITH touched AS ("                                                           \
    "  INSERT INTO cart (user_id, version, updated_at) VALUES ($1, $2, $3) "      \
    "  ON CONFLICT (user_id) DO UPDATE"                                           \
    "    SET version = excluded.version, updated_at = excluded.updated_at"        \
    "    WHERE cart.version = excluded.version - 1 RETURNING user_id, version), " \
    "changed AS ("
#define TOUCHED ") SELECT count(*) AS touched FROM touched"

// Writers that wait for one cart, in one process.
#define WRITERS_MAX 256

// Times a transaction is begun again after losing a race.
#define TRIES_MAX 5

static const struct pg_stmt stmts[] = {
#define TRY_LOCK (&stmts[0])
    {"cart_try_lock", 1, "free",
     "SELECT pg_try_advisory_xact_lock_shared(" LOCK_ID ") AS free"},
#define LOCK (&stmts[1])
    {"cart_lock", 1, "locked", "SELECT pg_advisory_xact_lock(" LOCK_ID ") AS locked"},
#define LOCK_AT_ONCE (&stmts[2])
    {"cart_lock_at_once", 1, "locked",
     "SELECT pg_try_advisory_xact_lock(" LOCK_ID ") AS locked"},
#define LOAD (&stmts[3])
    {"cart_load", 1,
     EPOCH_COLUMNS ",now,version,updated_at,product_id,name,price,quantity",
     // What all rows have in common is made once, as clock_timestamp() keeps it a query
     // of its own; OFFSET 0 does too, whatever becomes of that.
     "SELECT head.*, i.product_id, i.name, i.price, i.quantity "
     "FROM (SELECT " EPOCH_SQL ","
     "  to_char(clock_timestamp() AT TIME ZONE 'UTC', " ISO_8601 ") AS now, c.version,"
     "  to_char(c.updated_at AT TIME ZONE 'UTC', " ISO_8601 ") AS updated_at"
     "  FROM cache_state AS e LEFT JOIN cart AS c ON c.user_id = $1 OFFSET 0) AS head"
     "  LEFT JOIN cart_item AS i ON i.user_id = $1 ORDER BY i.added_in"},
#define INSERT_LINE (&stmts[4])
    {"cart_insert_line", 7, "touched",
     TOUCH "INSERT INTO cart_item (user_id, added_in, product_id, name, price, quantity)"
           "  SELECT user_id, version, $4, $5, $6, $7 FROM touched" TOUCHED},
#define SET_LINE (&stmts[5])
    {"cart_set_line", 7, "touched",
     TOUCH "UPDATE cart_item AS i SET name = $5, price = $6, quantity = $7 FROM touched"
           "  WHERE i.user_id = touched.user_id AND i.product_id = $4" TOUCHED},
#define DELETE_LINE (&stmts[6])
    {"cart_delete_line", 4, "touched",
     TOUCH "DELETE FROM cart_item AS i USING touched"
           "  WHERE i.user_id = touched.user_id AND i.product_id = $4" TOUCHED},
#define DELETE_LINES (&stmts[7])
    {"cart_delete_lines", 3, "touched",
     TOUCH "DELETE FROM cart_item AS i USING touched"
           "  WHERE i.user_id = touched.user_id" TOUCHED},
#define FIND_KEY (&stmts[8])
    {"cart_find_key", 3, "same,status,version,body",
     "SELECT fingerprint = sha256($3) AS same, status, version, body FROM "
     "idempotency_key "
     "WHERE user_id = $1 AND key = $2 AND created_at > now() - interval '24 hours'"},
#define STORE_KEY (&stmts[9])
    {"cart_store_key", 7, "",
     "INSERT INTO idempotency_key"
     "  (user_id, key, fingerprint, status, version, body, created_at) "
     "SELECT $1::text, $2::text, sha256($3), $4::smallint, $5::bigint, $6::text, now() "
     "WHERE $5::bigint = 0 OR EXISTS"
     "  (SELECT FROM cart WHERE user_id = $1 AND version = $5 AND updated_at = $7) "
     "ON CONFLICT (user_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,"
     "  status = excluded.status, version = excluded.version, body = excluded.body,"
     "  created_at = excluded.created_at"},
};

static struct keylock *writers;

void cart_store_setup(void)
{
    pg_register(stmts, sizeof stmts / sizeof *stmts);
    writers = keylock_new(NULL, WRITERS_MAX);
}

// LOAD's columns, after those of the epoch.
enum { NOW = 4, VERSION, UPDATED_AT, PRODUCT_ID, NAME, PRICE, QUANTITY };

// LOAD's rows to a cart, with the database's clock in *now.
static struct cart *cart_of(void *mem, const char *user_id, const struct pg_rows *rows,
                            const char **now)
{
    struct cart *cart = mem_new(mem, struct cart);
    *now = pg_get(rows, 0, NOW);
    cart->user_id = user_id;
    cart->version = pg_is_null(rows, 0, VERSION) ? 0 : pg_get_int(rows, 0, VERSION);
    cart->updated_at = cart->version ? pg_get(rows, 0, UPDATED_AT) : NULL;
    cart->n_lines = 0;
    for (size_t i = 0; i < pg_count(rows) && i < CART_LINES_MAX; i++) {
        if (pg_is_null(rows, i, PRODUCT_ID))
            break;
        struct cart_line *line = &cart->lines[cart->n_lines++];
        line->product_id = (int32_t)pg_get_int(rows, i, PRODUCT_ID);
        line->name = pg_get(rows, i, NAME);
        money_parse(pg_get(rows, i, PRICE), pg_get_len(rows, i, PRICE), &line->price);
        line->quantity = (int)pg_get_int(rows, i, QUANTITY);
    }
    return cart;
}

// LOAD has a row for each line, and one for none, while there is an epoch.
static struct err no_epoch(void)
{
    return err_make(ERR_INTERNAL, NULL, "cache_epoch must have one row");
}

static void answer_cart(void *mem, const struct cart *cart, int status,
                        struct cart_answer *answer)
{
    struct buf json;
    buf_init(&json, mem, 160 + cart->n_lines * 160);
    cart_put_json(&json, cart);
    *answer = (struct cart_answer){status, cart->version, json.data, json.len, false};
}

// READ

struct fill {
    const char *user_id;
    struct cache_claim claim;
    struct cache_value value;
    bool valid; // false: nobody may use the value, take the claim back
};

static void fill_after(struct work *work, void *arg)
{
    const struct fill *fill = arg;
    STEP(fill->claim.nonce[0] == 'T' ? "read-4" : "write-6");
    if (fill->valid)
        cache_fill(work, fill->user_id, &fill->claim, &fill->value);
    else
        cache_drop(work, fill->user_id, &fill->claim);
}

static void leave_fill(struct work *work, struct fill *fill)
{
    if (!fill->claim.held)
        return;
    work->after = fill_after;
    work->after_arg = fill;
}

// Step 2: with a claim, whether the lock was free is asked by a statement of its own
// before the cart is read. In one statement the snapshot would be older than the test.
// *valid: the lock was free, and the epoch is still the claim's.
static struct err read_database(struct work *work, const char *user_id,
                                const struct cache_claim *claim,
                                struct cart_answer *answer, bool *valid)
{
    struct pg_conn *conn;
    struct err err = pg_acquire(work, PG_READ, &conn);
    if (err_is(err))
        return err;
    struct pg_value id = pg_text(user_id);
    struct pg_rows *rows[PG_TRIP_MAX];
    if (claim->held)
        pg_add(conn, TRY_LOCK, &id);
    pg_add(conn, LOAD, &id);
    err = pg_trip(work, conn, rows);
    pg_release(conn);
    if (err_is(err))
        return err;
    const char *now;
    const struct pg_rows *loaded = rows[claim->held];
    if (pg_count(loaded) == 0)
        return no_epoch();
    struct epoch epoch = epoch_of(loaded, 0, 0);
    *valid = claim->held && pg_get_bool(rows[0], 0, 0) && epoch.number == claim->epoch;
    answer_cart(work->mem, cart_of(work->mem, user_id, loaded, &now), 200, answer);
    return err_ok();
}

struct err cart_store_read(struct work *work, const char *user_id,
                           struct cart_answer *answer)
{
    struct fill *fill = mem_zero(work->mem, struct fill);
    fill->user_id = user_id;
    if (cache_read(work, user_id, &fill->value, &fill->claim)) {
        *answer = (struct cart_answer){200, fill->value.version, fill->value.json,
                                       fill->value.len, false};
        return err_ok();
    }
    STEP("read-1");
    cache_claim_token(work, user_id, &fill->claim); // 1
    STEP("read-2");
    struct err err = read_database(work, user_id, &fill->claim, answer, &fill->valid);
    if (!err_is(err))
        fill->value = (struct cache_value){answer->version, answer->json, answer->len};
    leave_fill(work, fill); // 3 is the caller's, 4 comes after it
    return err;
}

// WRITE

// Whether the preconditions let the write through (RFC 9110, section 13.2.2).
static bool precondition_holds(const struct cart_write *write, int64_t version)
{
    if (write->if_match && !cart_version_matches(version, write->if_match, ETAG_STRONG))
        return false;
    return !write->if_none_match ||
           !cart_version_matches(version, write->if_none_match, ETAG_WEAK);
}

// The stored answer of the same request, if there is one.
static struct err replay(void *mem, const struct pg_rows *found,
                         struct cart_answer *answer)
{
    if (!pg_get_bool(found, 0, 0))
        return err_make(ERR_IDEMPOTENCY_KEY_REUSED, "Idempotency-Key",
                        "the key was used for another request");
    size_t len = pg_get_len(found, 0, 3);
    *answer = (struct cart_answer){(int)pg_get_int(found, 0, 1), pg_get_int(found, 0, 2),
                                   mem_strndup(mem, pg_get(found, 0, 3), len), len, true};
    return err_ok();
}

// Trip 1: the lock, then the cart, then what was stored under the key, each as a
// statement of its own so that it sees what was committed before the lock was had.
static size_t add_lock_and_load(struct pg_conn *conn, bool shared, const void *arg)
{
    const struct cart_write *write = arg;
    struct pg_value params[] = {pg_text(write->user_id),
                                write->idempotency_key ? pg_text(write->idempotency_key)
                                                       : pg_null(),
                                pg_bytes(write->fingerprint, write->fingerprint_len)};
    pg_add(conn, shared ? LOCK_AT_ONCE : LOCK, params);
    pg_add(conn, LOAD, params);
    if (!write->idempotency_key)
        return 2;
    pg_add(conn, FIND_KEY, params);
    return 3;
}

static struct err lock_and_load(struct work *work, struct pg_place *place, bool alone,
                                const struct cart_write *write, struct pg_rows **found,
                                struct pg_rows **loaded)
{
    struct pg_rows *rows[PG_PLACE_TRIP_MAX];
    struct err err = pg_group_begin(work, place, alone, add_lock_and_load, write, rows);
    if (err_is(err))
        return err;
    if (place->shared && !pg_get_bool(rows[0], 0, 0)) {
        pg_group_leave(place);
        return err_make(ERR_CONFLICT, NULL, "the cart's lock is not free");
    }
    *loaded = rows[1];
    *found = write->idempotency_key && pg_count(rows[2]) > 0 ? rows[2] : NULL;
    return err_ok();
}

// What a write changes, and what it answers.
struct change {
    const struct cart_write *write;
    const struct cart *cart;
    enum cart_change kind;
    const struct cart_line *line; // added or set
    const char *price;            // the line's
    struct cart_answer answer;
};

static void add_change(struct pg_conn *conn, const struct change *change)
{
    const struct cart *cart = change->cart;
    struct pg_value params[PG_PARAMS_MAX] = {
        pg_text(cart->user_id), pg_int(cart->version), pg_text(cart->updated_at),
        pg_int(change->write->request.line.product_id)};
    switch (change->kind) {
    case CART_LINE_ADDED:
    case CART_LINE_SET:
        params[4] = pg_text(change->line->name);
        params[5] = pg_text(change->price);
        params[6] = pg_int(change->line->quantity);
        pg_add(conn, change->kind == CART_LINE_ADDED ? INSERT_LINE : SET_LINE, params);
        break;
    case CART_LINE_REMOVED:
        pg_add(conn, DELETE_LINE, params);
        break;
    case CART_EMPTIED:
        pg_add(conn, DELETE_LINES, params);
        break;
    case CART_UNCHANGED:
        break;
    }
}

// Stores the answer under the key, provided that the cart is just as the answer says.
static void add_key(struct pg_conn *conn, const struct change *change)
{
    const struct cart_write *write = change->write;
    const struct cart_answer *answer = &change->answer;
    const char *updated_at = change->cart->updated_at;
    struct pg_value params[] = {pg_text(write->user_id),
                                pg_text(write->idempotency_key),
                                pg_bytes(write->fingerprint, write->fingerprint_len),
                                pg_int(answer->status),
                                pg_int(answer->version),
                                pg_text(answer->json),
                                updated_at ? pg_text(updated_at) : pg_null()};
    pg_add(conn, STORE_KEY, params);
}

// Trip 2, with COMMIT behind it.
static size_t add_change_and_key(struct pg_conn *conn, bool shared, const void *arg)
{
    const struct change *change = arg;
    size_t n = 0;
    (void)shared; // the cart's lock is had
    if (change->kind != CART_UNCHANGED) {
        add_change(conn, change);
        n++;
    }
    if (change->write->idempotency_key) {
        add_key(conn, change);
        n++;
    }
    return n;
}

static struct err change_and_commit(struct pg_place *place, const struct change *change)
{
    struct pg_rows *rows[PG_PLACE_TRIP_MAX];
    struct err err = pg_group_commit(place, add_change_and_key, change, rows);
    if (err.code == ERR_OUTCOME_UNKNOWN)
        return err_make(
            ERR_OUTCOME_UNKNOWN, NULL,
            "the database was lost while the change was being committed: read the "
            "cart, or repeat the request with the same Idempotency-Key");
    if (!err_is(err) && change->kind != CART_UNCHANGED && pg_get_int(rows[0], 0, 0) != 1)
        return err_make(ERR_CONFLICT, NULL, "the cart was changed without its lock");
    return err;
}

// What the write comes to by the rules, on the cart as it was loaded.
static struct err decide(struct work *work, const struct cart_write *write,
                         const struct pg_rows *loaded, struct change *change)
{
    const char *now;
    struct cart *cart = cart_of(work->mem, write->user_id, loaded, &now);
    *change = (struct change){.write = write, .cart = cart};
    if (!precondition_holds(write, cart->version)) {
        answer_cart(work->mem, cart, 412, &change->answer);
        return err_make(ERR_VERSION_MISMATCH,
                        write->if_match ? "If-Match" : "If-None-Match",
                        "the cart is at another version");
    }
    size_t line = 0;
    struct err err = cart_apply(cart, &write->request, now, &change->kind, &line);
    if (err_is(err))
        return err;
    if (change->kind == CART_LINE_ADDED || change->kind == CART_LINE_SET) {
        struct buf price;
        buf_init(&price, work->mem, 32);
        change->line = &cart->lines[line];
        money_put(&price, change->line->price);
        change->price = price.data;
    }
    answer_cart(work->mem, cart, change->kind == CART_LINE_ADDED ? 201 : 200,
                &change->answer);
    return err_ok();
}

// From the cart's lock to COMMIT. *left says whether the place is left.
static struct err transact(struct work *work, struct pg_place *place,
                           const struct cart_write *write, const struct pg_rows *loaded,
                           struct cart_answer *answer, bool *left)
{
    struct epoch epoch = epoch_of(loaded, 0, 0);
    struct change *change = mem_new(work->mem, struct change);
    struct err err = decide(work, write, loaded, change);
    if (err.code == ERR_VERSION_MISMATCH)
        *answer = change->answer;
    if (err_is(err))
        return err;
    if (change->kind == CART_UNCHANGED && !write->idempotency_key) {
        *answer = change->answer;
        return err_ok();
    }

    struct fill *fill = mem_zero(work->mem, struct fill);
    fill->user_id = write->user_id;
    STEP("write-2");
    if (change->kind != CART_UNCHANGED)
        err = cache_hold(work, &epoch, write->user_id, &fill->claim); // 2 and 3
    STEP("write-4");
    if (!err_is(err)) {
        err = change_and_commit(place, change); // 4
        *left = true;
    }
    STEP("write-5");
    fill->valid = !err_is(err);
    fill->value = (struct cache_value){change->answer.version, change->answer.json,
                                       change->answer.len};
    if (err.code == ERR_OUTCOME_UNKNOWN) {
        work->after = NULL; // the tombstone stays, and does no harm
        return err;
    }
    leave_fill(work, fill); // 6
    if (!err_is(err))
        *answer = change->answer;
    return err;
}

// One transaction, or a place in one.
static struct err write_once(struct work *work, const struct cart_write *write,
                             bool alone, struct cart_answer *answer)
{
    struct pg_place place;
    struct pg_rows *found = NULL, *loaded = NULL;
    bool left = false;
    struct err err = lock_and_load(work, &place, alone, write, &found, &loaded); // 1
    if (err_is(err))
        return err;
    STEP("write-1");
    if (found)
        err = replay(work->mem, found, answer);
    else if (pg_count(loaded) == 0)
        err = no_epoch();
    else
        err = transact(work, &place, write, loaded, answer, &left);
    if (!left)
        pg_group_leave(&place);
    return err;
}

struct err cart_store_write(struct work *work, const struct cart_write *write,
                            struct cart_answer *answer)
{
    int64_t begun = clock_mono_ns();
    bool mine = keylock_take(writers, write->user_id, work->start_by);
    work->db_ns += clock_mono_ns() - begun; // a queue for the database like any other
    if (!mine)
        return err_make(ERR_OVERLOADED, NULL, "too many writes wait for this cart");
    struct err err = write_once(work, write, false, answer);
    for (int tries = 1; err.code == ERR_CONFLICT && tries < TRIES_MAX; tries++)
        err = write_once(work, write, true, answer);
    keylock_give(writers, write->user_id);
    return err;
}

// Reads the epoch once: the hold of the first writes counts from here (data/hold.h).
static void read_epoch_at_start(void *unused)
{
    (void)unused;
    struct work work = pg_chore();
    struct epoch epoch;
    struct err err = epoch_read(&work, PG_CHORE, &epoch, NULL);
    (void)err; // the first request reads it then
    talloc_free(work.mem);
}

void cart_store_start(void)
{
    co_start(read_epoch_at_start, NULL);
}
