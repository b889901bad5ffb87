// What the tests of cart_store.c share: a fake database with one cart, a fake cache and a
// fake lock by name. A test that includes it has at its top the lines that pg_fake.h asks
// for, and
//   // wrap: cache_read cache_claim_token cache_hold cache_fill cache_drop
//   // wrap: keylock_take keylock_give
#pragma once

#include "../data/pg_fake.h"
#include "../loop/co_unit.h"

#include "cart/cart_store.h"
#include "data/cache.h"
#include "data/epoch.h"
#include "data/pg_group.h"
#include "loop/keylock.h"

#define NOW "2024-05-01T10:00:00.000009Z"
#define T1 "2024-05-01T10:00:00.000001Z"
#define START_BY INT64_C(4000000000000000000) // never

// The database: one cart, and one stored key.

static struct {
    const char *epoch;                // the number, when the cart is loaded
    const char *next_epoch;           // and from the second time on, or NULL
    const char *mode;                 // of both
    const char *version, *updated_at; // NULL: no such cart
    size_t n_lines;
    const char *lines[3][4]; // product_id, name, price, quantity
    bool lock_free;
    const char *at_once[2]; // what cart_lock_at_once says, in turn, or "t"
    const char *touched[2]; // what the first changes say instead of "1"
    const char *key_same;   // NULL: no such key
} db;

static size_t n_changes; // of those in db.touched
static size_t n_loads, n_at_once;

#define COLUMNS 11

static void put_epoch(const char **cells)
{
    cells[0] = n_loads && db.next_epoch ? db.next_epoch : db.epoch;
    cells[1] = db.mode;
    cells[2] = "redis.invalid:6390";
    cells[3] = "8bf315b94ae172c5c448365fba84c4059ee000f3";
}

static struct pg_rows *answer_rows(void *mem, const struct pg_stmt *stmt,
                                   const char **cells)
{
    if (strcmp(stmt->name, "cart_load") == 0) {
        for (size_t i = 0; i < 3; i++) {
            const char **row = &cells[COLUMNS * i];
            put_epoch(row);
            row[4] = NOW;
            row[5] = db.version;
            row[6] = db.updated_at;
            memcpy(row + 7, db.lines[i], sizeof db.lines[i]);
        }
        n_loads++;
        return pg_fake_rows(mem, db.n_lines ? db.n_lines : 1, COLUMNS, cells);
    }
    if (strcmp(stmt->name, "epoch_read") == 0) {
        put_epoch(cells);
        cells[4] = "t";
        return pg_fake_rows(mem, 1, 5, cells);
    }
    if (strcmp(stmt->name, "cart_find_key") == 0) {
        cells[0] = db.key_same;
        cells[1] = "201";
        cells[2] = "3";
        cells[3] = "{\"stored\":true}";
        return pg_fake_rows(mem, db.key_same ? 1 : 0, 4, cells);
    }
    if (strcmp(stmt->name, "cart_try_lock") == 0)
        cells[0] = db.lock_free ? "t" : "f";
    else if (strcmp(stmt->name, "cart_lock_at_once") == 0)
        cells[0] = n_at_once < LENGTH(db.at_once) && db.at_once[n_at_once]
                       ? db.at_once[n_at_once++]
                       : "t";
    else if (strcmp(stmt->columns, "touched") == 0)
        cells[0] = n_changes < LENGTH(db.touched) && db.touched[n_changes]
                       ? db.touched[n_changes++]
                       : "1";
    else
        return pg_fake_rows(mem, 0, 0, NULL);
    return pg_fake_rows(mem, 1, 1, cells);
}

static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt)
{
    const char **cells = mem_array(mem, const char *, COLUMNS * 3);
    struct pg_rows *rows = answer_rows(mem, stmt, cells);
    talloc_steal(rows, cells); // they go where the rows go
    return rows;
}

// The cache and the lock by name

static struct {
    enum work_cache read;
    int64_t epoch; // of the heartbeat that a read has seen
    bool held, lock;
    struct err hold; // what cache_hold() gives
    int claims;
} fake;

bool __wrap_cache_read(struct work *work, const char *user_id, struct cache_value *value,
                       struct cache_claim *claim);
void __wrap_cache_claim_token(struct work *work, const char *user_id,
                              struct cache_claim *claim);
struct err __wrap_cache_hold(struct work *work, const struct epoch *epoch,
                             const char *user_id, struct cache_claim *claim);
void __wrap_cache_fill(struct work *work, const char *user_id,
                       const struct cache_claim *claim, const struct cache_value *value);
void __wrap_cache_drop(struct work *work, const char *user_id,
                       const struct cache_claim *claim);
bool __wrap_keylock_take(struct keylock *locks, const char *key, int64_t deadline);
void __wrap_keylock_give(struct keylock *locks, const char *key);

bool __wrap_cache_read(struct work *work, const char *user_id, struct cache_value *value,
                       struct cache_claim *claim)
{
    STEP("read(%s)", user_id);
    work->cache = fake.read;
    claim->epoch = fake.read == WORK_CACHE_MISS ? fake.epoch : 0;
    if (fake.read == WORK_CACHE_HIT)
        *value = (struct cache_value){7, "{\"cached\":true}", 15};
    return fake.read == WORK_CACHE_HIT;
}

static void claim_as(char kind, struct cache_claim *claim)
{
    claim->held = fake.held && claim->epoch;
    snprintf(claim->nonce, sizeof claim->nonce, "%c%d", kind, ++fake.claims);
}

void __wrap_cache_claim_token(struct work *work, const char *user_id,
                              struct cache_claim *claim)
{
    STEP("token(%s %lld)", user_id, (long long)claim->epoch);
    assert_non_null(work->mem);
    claim_as('T', claim);
}

struct err __wrap_cache_hold(struct work *work, const struct epoch *epoch,
                             const char *user_id, struct cache_claim *claim)
{
    STEP("hold(%s %lld %s)", user_id, (long long)epoch->number,
         epoch_mode_name(epoch->mode));
    assert_non_null(work->mem);
    assert_string_equal(epoch->master, "redis.invalid:6390");
    assert_int_equal(strlen(epoch->replid), 40);
    claim->epoch = epoch->number;
    claim_as('X', claim);
    return fake.hold;
}

static struct cache_value filled;

void __wrap_cache_fill(struct work *work, const char *user_id,
                       const struct cache_claim *claim, const struct cache_value *value)
{
    STEP("fill(%s %s %lld)", user_id, claim->nonce, (long long)claim->epoch);
    assert_true(claim->held && work->mem);
    filled = *value;
}

void __wrap_cache_drop(struct work *work, const char *user_id,
                       const struct cache_claim *claim)
{
    STEP("drop(%s %s)", user_id, claim->nonce);
    assert_true(claim->held && work->mem);
}

bool __wrap_keylock_take(struct keylock *locks, const char *key, int64_t deadline)
{
    STEP("take(%s)", key);
    assert_non_null(locks);
    assert_int_equal(deadline, START_BY);
    return fake.lock;
}

void __wrap_keylock_give(struct keylock *locks, const char *key)
{
    STEP("give(%s)", key);
    assert_non_null(locks);
}

// The tests' own steps

static struct work work;
static struct cart_answer answer, untouched;

static int setup(void **state)
{
    int failed = unit_setup(state);
    work = (struct work){.mem = talloc_new(*state),
                         .start_by = START_BY,
                         .deadline = clock_mono_ns() + INT64_C(10000000000)};
    pg_fake_reset(work.mem);
    memset(&db, 0, sizeof db);
    db.epoch = "5";
    db.mode = "replicas";
    db.version = "7";
    db.updated_at = T1;
    db.n_lines = 2;
    static const char *const lines[2][4] = {{"20", "Mouse", "19.50", "3"},
                                            {"10", "Laptop", "999.99", "2"}};
    memcpy(db.lines, lines, sizeof lines);
    db.lock_free = true;
    n_changes = n_loads = n_at_once = 0;
    fake.read = WORK_CACHE_MISS;
    fake.epoch = 5;
    fake.held = fake.lock = true;
    fake.hold = err_ok();
    fake.claims = 0;
    memset(&untouched, 0x55, sizeof untouched);
    answer = untouched;
    return failed;
}

static int teardown(void **state)
{
    assert_false(fake_conn.busy); // every connection was given back
    talloc_free(work.mem);
    return unit_teardown(state);
}

// An empty database, but for the epoch.
static inline void forget_cart(void)
{
    memset(&db, 0, sizeof db);
    db.epoch = "5";
    db.mode = "replicas";
}

// Once, before all tests.
static inline void store_unit_begin(void)
{
    loop_init();
    epoch_setup();
    pg_group_setup();
    cart_store_setup();
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

// What is left to do after the answer.
static inline void run_after(void)
{
    if (work.after)
        work.after(&work, work.after_arg);
}

static inline void check_answer(int status, int64_t version, const char *json)
{
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.version, version);
    assert_string_equal(answer.json, json);
    assert_int_equal(answer.len, strlen(json));
}

static inline void check_filled(void)
{
    assert_int_equal(filled.version, answer.version);
    assert_int_equal(filled.len, answer.len);
    assert_memory_equal(filled.json, answer.json, answer.len);
}

static inline enum err_code read_cart(void)
{
    struct err err = cart_store_read(&work, "u", &answer);
    return err.code;
}

#define CART_7                                                                  \
    "{\"user_id\":\"u\",\"version\":7,\"items\":["                              \
    "{\"product_id\":20,\"name\":\"Mouse\",\"price\":19.50,\"quantity\":3,"     \
    "\"subtotal\":58.50},"                                                      \
    "{\"product_id\":10,\"name\":\"Laptop\",\"price\":999.99,\"quantity\":2,"   \
    "\"subtotal\":1999.98}],\"item_count\":5,\"total\":2058.48,\"updated_at\":" \
    "\"" T1 "\"}"

#define BEGIN "take(u) acquire(write) trip(begin cart_lock cart_load) "
#define BEGIN_KEY "take(u) acquire(write) trip(begin cart_lock cart_load cart_find_key) "
#define HOLD "hold(u 5 replicas) "
#define END "release give(u)"

static inline struct cart_write writing(enum cart_action action, int32_t product,
                                        int quantity)
{
    return (struct cart_write){
        .user_id = "u",
        .request = {action, {product, "Pen", 5, quantity}},
        .fingerprint = "",
    };
}

struct write_call {
    struct cart_write write;
    enum err_code code;
};

static inline void write_body(void *arg)
{
    struct write_call *call = arg;
    struct err err = cart_store_write(&work, &call->write, &answer);
    if (err_is(err) && err.code != ERR_VERSION_MISMATCH)
        assert_memory_equal(&answer, &untouched, sizeof answer);
    call->code = err.code;
    co_unit_alone();
}

static inline enum err_code write_cart(struct cart_write write)
{
    struct write_call call = {.write = write};
    co_unit_run(write_body, &call);
    return call.code;
}

static inline struct cart_write writing_with_key(enum cart_action action, int32_t product,
                                                 int quantity)
{
    struct cart_write write = writing(action, product, quantity);
    write.idempotency_key = "key1";
    write.fingerprint = "POST /x\n{}";
    write.fingerprint_len = strlen(write.fingerprint);
    return write;
}
