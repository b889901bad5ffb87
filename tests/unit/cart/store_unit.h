// What the tests of cart_store.c share: a fake database with one cart, a fake cache and a
// fake lock by name. A test that includes it has at its top the lines that pg_fake.h asks
// for, and
//   // wrap: cache_read cache_claim_token cache_claim_tombstone cache_fill cache_drop
//   // wrap: keylock_take keylock_give
#pragma once

#include "../data/pg_fake.h"

#include "cart/cart_store.h"
#include "data/cache.h"
#include "loop/keylock.h"

#define NOW "2024-05-01T10:00:00.000009Z"
#define T1 "2024-05-01T10:00:00.000001Z"
#define START_BY INT64_C(123456789)

// The database: one cart, and one stored key.

static struct {
    const char *version, *updated_at; // NULL: no such cart
    size_t n_lines;
    const char *lines[3][4]; // product_id, name, price, quantity
    bool lock_free;
    const char *touched[2]; // what the first changes say instead of "1"
    const char *key_same;   // NULL: no such key
} db;

static size_t n_changes; // of those in db.touched

static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt)
{
    const char **cells = mem_array(mem, const char *, 7 * 3);
    if (strcmp(stmt->name, "cart_load") == 0) {
        for (size_t i = 0; i < 3; i++) {
            cells[7 * i] = NOW;
            cells[7 * i + 1] = db.version;
            cells[7 * i + 2] = db.updated_at;
            memcpy(&cells[7 * i + 3], db.lines[i], sizeof db.lines[i]);
        }
        return pg_fake_rows(mem, db.n_lines ? db.n_lines : 1, 7, cells);
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
    else if (strcmp(stmt->columns, "touched") == 0)
        cells[0] = n_changes < LENGTH(db.touched) && db.touched[n_changes]
                       ? db.touched[n_changes++]
                       : "1";
    else
        return pg_fake_rows(mem, 0, 0, NULL);
    return pg_fake_rows(mem, 1, 1, cells);
}

// The cache and the lock by name

static struct {
    enum work_cache read;
    bool held, lock;
    int claims;
} fake;

bool __wrap_cache_read(struct work *work, const char *user_id, struct cache_value *value);
void __wrap_cache_claim_token(struct work *work, const char *user_id,
                              struct cache_claim *claim);
void __wrap_cache_claim_tombstone(struct work *work, const char *user_id,
                                  struct cache_claim *claim);
void __wrap_cache_fill(struct work *work, const char *user_id,
                       const struct cache_claim *claim, const struct cache_value *value);
void __wrap_cache_drop(struct work *work, const char *user_id,
                       const struct cache_claim *claim);
bool __wrap_keylock_take(struct keylock *locks, const char *key, int64_t deadline);
void __wrap_keylock_give(struct keylock *locks, const char *key);

bool __wrap_cache_read(struct work *work, const char *user_id, struct cache_value *value)
{
    STEP("read(%s)", user_id);
    work->cache = fake.read;
    if (fake.read == WORK_CACHE_HIT)
        *value = (struct cache_value){7, "{\"cached\":true}", 15};
    return fake.read == WORK_CACHE_HIT;
}

static void claim_as(char kind, struct cache_claim *claim)
{
    claim->held = fake.held;
    snprintf(claim->nonce, sizeof claim->nonce, "%c%d", kind, ++fake.claims);
}

void __wrap_cache_claim_token(struct work *work, const char *user_id,
                              struct cache_claim *claim)
{
    STEP("token(%s)", user_id);
    assert_non_null(work->mem);
    claim_as('T', claim);
}

void __wrap_cache_claim_tombstone(struct work *work, const char *user_id,
                                  struct cache_claim *claim)
{
    STEP("tombstone(%s)", user_id);
    assert_non_null(work->mem);
    claim_as('X', claim);
}

static struct cache_value filled;

void __wrap_cache_fill(struct work *work, const char *user_id,
                       const struct cache_claim *claim, const struct cache_value *value)
{
    STEP("fill(%s %s)", user_id, claim->nonce);
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
    db.version = "7";
    db.updated_at = T1;
    db.n_lines = 2;
    static const char *const lines[2][4] = {{"20", "Mouse", "19.50", "3"},
                                            {"10", "Laptop", "999.99", "2"}};
    memcpy(db.lines, lines, sizeof lines);
    db.lock_free = true;
    n_changes = 0;
    fake.read = WORK_CACHE_MISS;
    fake.held = fake.lock = true;
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

static inline enum err_code write_cart(struct cart_write write)
{
    struct err err = cart_store_write(&work, &write, &answer);
    if (err_is(err) && err.code != ERR_VERSION_MISMATCH)
        assert_memory_equal(&answer, &untouched, sizeof answer);
    return err.code;
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
